//! Carries out a plan.

use web_time::Instant;

use super::blocked::{Maps, Shape, from_planes};
use super::compile::{Plan, Work};
use super::head::Probabilities;
use super::region::RegionAnswer;
use crate::anatomy::CLASS_COUNT;
use crate::kernels::processor::Processor;

/// The memory of a plan for inputs of one size, used again for every slice.
#[derive(Debug)]
pub struct Arena {
    size: [usize; 2],
    places: Vec<Vec<f32>>,
}

/// What one operation took.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The modules that it computes.
    pub name: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Multiply-adds that its definition takes.
    pub multiply_adds: u64,
}

impl Plan {
    /// Memory for inputs of `size` (rows, columns), multiples of [`Plan::granularity`].
    pub fn arena(&self, size: [usize; 2]) -> Arena {
        Arena { size, places: self.places.iter().map(|place| vec![0.0; place.shape(size).len()]).collect() }
    }

    /// Shape of the maps that the head takes.
    fn output_shape(&self, size: [usize; 2]) -> Shape {
        self.places[self.output].shape(size)
    }

    /// Computes a stack `[S, rows, columns]`, up to the decoder's last maps, which the arena then holds
    /// ([`Arena::take_features`]). `None` for a plain U-Net.
    ///
    /// # Panics
    /// When the stack has another size than the arena is for.
    pub fn run(&self, arena: &mut Arena, stack: &[f32], processor: Processor) -> Option<RegionAnswer> {
        self.steps(arena, stack, processor, self.steps.len(), &mut |_, _| ())
    }

    /// The region branch alone, without the decoder.
    ///
    /// # Panics
    /// As [`Plan::run`].
    pub fn run_region(&self, arena: &mut Arena, stack: &[f32], processor: Processor) -> Option<RegionAnswer> {
        let end = self.steps.iter().position(|step| matches!(step.work, Work::Region(_)))?;
        self.steps(arena, stack, processor, end + 1, &mut |_, _| ())
    }

    /// [`Plan::run`] with the time that each operation takes.
    ///
    /// # Panics
    /// As [`Plan::run`].
    pub fn profile(&self, arena: &mut Arena, stack: &[f32], processor: Processor) -> Vec<Timing> {
        let mut timings = vec![Timing { name: "input".into(), seconds: 0.0, multiply_adds: 0 }];
        let size = arena.size;
        let mut clock = Instant::now();
        self.steps(arena, stack, processor, self.steps.len(), &mut |plan, n| {
            let seconds = clock.elapsed().as_secs_f64();
            clock = Instant::now();
            match n {
                None => timings[0].seconds = seconds,
                Some(n) => {
                    let step = &plan.steps[n];
                    let multiply_adds = match &step.work {
                        Work::Convolution(work) => work.multiply_adds(plan.places[step.output].shape(size).size),
                        Work::Region(_) => 0,
                    };
                    timings.push(Timing { name: step.name.clone(), seconds, multiply_adds });
                }
            }
        });
        timings
    }

    fn steps(
        &self,
        arena: &mut Arena,
        stack: &[f32],
        processor: Processor,
        end: usize,
        done: &mut dyn FnMut(&Self, Option<usize>),
    ) -> Option<RegionAnswer> {
        let Arena { size, places } = arena;
        let shape = self.places[self.input].shape(*size);
        assert_eq!(stack.len(), shape.channels * size[0] * size[1], "a stack of another size");
        from_planes(shape, stack, &mut places[self.input]);
        done(self, None);
        let mut answer = None;
        for (n, step) in self.steps[..end].iter().enumerate() {
            match &step.work {
                Work::Region(region) => {
                    let shape = self.places[step.output].shape(*size);
                    answer = Some(region.run(Maps { shape, values: &places[step.output] }));
                }
                Work::Convolution(work) => {
                    // No step writes what it reads: its output can be taken out meanwhile.
                    let mut output = std::mem::take(&mut places[step.output]);
                    let maps = |place: usize| Maps { shape: self.places[place].shape(*size), values: &places[place] };
                    let mut inputs = [const { Maps { shape: Shape { channels: 0, size: [0; 2] }, values: &[] } }; 3];
                    inputs.iter_mut().zip(&step.inputs).for_each(|(input, &place)| *input = maps(place));
                    let residual = step.residual.map(maps);
                    work.run(&inputs, residual, self.places[step.output].shape(*size), &mut output, processor);
                    places[step.output] = output;
                }
            }
            done(self, Some(n));
        }
        answer
    }
}

/// The decoder's last maps of a slice: what its probabilities are made of, under any attention.
#[derive(Clone, Debug)]
pub struct Features {
    size: [usize; 2],
    values: Vec<f32>,
}

impl Arena {
    /// Takes the last maps of the slice that was computed last, and leaves other memory in their place: `spare`, if it is of
    /// this size.
    pub fn take_features(&mut self, plan: &Plan, spare: Option<Features>) -> Features {
        let size = self.size;
        let spare = spare.filter(|spare| spare.size == size).map(|spare| spare.values);
        let spare = spare.unwrap_or_else(|| vec![0.0; plan.output_shape(size).len()]);
        Features { size, values: std::mem::replace(&mut self.places[plan.output], spare) }
    }

    /// Size of all buffers in bytes.
    pub fn bytes(&self) -> usize {
        self.places.iter().map(|place| place.len() * size_of::<f32>()).sum()
    }
}

impl Plan {
    /// The softmax's probabilities, each class's times its weight (the background's is 1), renormalised; those of classes that
    /// are not `drawn` go to the background. Left out are classes that stay below `negligible` everywhere. `None` where a logit is
    /// not finite.
    pub fn probabilities(
        &self,
        features: &Features,
        weights: &[f32; CLASS_COUNT],
        enabled: &[bool; CLASS_COUNT],
        negligible: f32,
        processor: Processor,
    ) -> Option<Probabilities> {
        self.head.probabilities(self.maps(features), weights, enabled, negligible, processor)
    }

    /// The softmax of all classes, `[34, rows, columns]`; `None` where a logit is not finite.
    pub fn softmax(&self, features: &Features, processor: Processor) -> Option<Vec<f32>> {
        self.head.softmax(self.maps(features), processor)
    }

    fn maps<'a>(&self, features: &'a Features) -> Maps<'a> {
        Maps { shape: self.output_shape(features.size), values: &features.values }
    }
}
