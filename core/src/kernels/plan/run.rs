//! Carries out a plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::air::Air;
use super::blocked::{Maps, Shape, from_planes, surround};
use super::compile::{Plan, Work};
use super::head::Probabilities;
use super::region::RegionAnswer;
use super::window::{Span, Windows};
use crate::anatomy::CLASS_COUNT;
use crate::kernels::floats;
use crate::kernels::processor::Processor;

/// The memory of a plan, used again for every slice: as much as the largest of them took.
#[derive(Debug)]
pub struct Arena {
    /// Rows and columns of the input.
    size: [usize; 2],
    windows: Windows,
    /// What lies around; `None` where nothing of the field is left out.
    air: Option<Arc<Air>>,
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

/// Hears of each step that is done, with all maps; `None` for the input.
type Done<'a> = &'a mut dyn FnMut(&[Vec<f32>], Option<usize>);

impl Plan {
    /// Memory for fields of `size` (rows, columns), multiples of [`Plan::granularity`].
    pub fn arena(&self, size: [usize; 2]) -> Arena {
        let mut arena = self.empty_arena();
        self.set(&mut arena, size, self.windows(size, Span::all(size)), None);
        arena
    }

    /// Memory for nothing yet: [`Plan::set_box`] makes it what it has to be.
    pub fn empty_arena(&self) -> Arena {
        Arena { size: [0; 2], windows: Windows::nowhere(), air: None, places: vec![Vec::new(); self.places.len()] }
    }

    /// From now on `arena` takes the rows and columns of the field that `air` is of that begin at `first`; the rest of it is air.
    /// Where it took larger ones before, nothing is allocated.
    pub fn set_box(&self, arena: &mut Arena, first: [usize; 2], size: [usize; 2], air: &Arc<Air>) {
        let within = Span { first, end: [0, 1].map(|a| first[a] + size[a]) };
        let around = (size != air.size()).then(|| air.clone());
        self.set(arena, size, self.windows(air.size(), within), around);
    }

    fn windows(&self, field: [usize; 2], within: Span) -> Windows {
        Windows::new(self.steps.iter().map(|step| &step.flow), &self.maps, self.ends, field, within)
    }

    fn set(&self, arena: &mut Arena, size: [usize; 2], windows: Windows, air: Option<Arc<Air>>) {
        (arena.size, arena.windows, arena.air) = (size, windows, air);
        let steps = self.steps.iter().map(|step| (step.output, step.flow.output));
        for (place, map) in steps.chain([(self.input, self.ends[0])]) {
            let (values, len) = (&mut arena.places[place], arena.windows.memory(map).len());
            if values.len() < len {
                // Nothing of what was there is needed, and what nobody has touched is made where it is first written, on all threads.
                *values = Vec::new();
                *values = vec![0.0; len];
            }
        }
    }

    /// Shape of the maps that the head takes.
    fn output_shape(&self, size: [usize; 2]) -> Shape {
        Shape { size, ..self.places[self.output].shape(size) }
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
        let windows = arena.windows.clone();
        let mut clock = Instant::now();
        self.steps(arena, stack, processor, self.steps.len(), &mut |_, n| {
            let seconds = clock.elapsed().as_secs_f64();
            clock = Instant::now();
            match n {
                None => timings[0].seconds = seconds,
                Some(n) => {
                    let step = &self.steps[n];
                    let multiply_adds = match &step.work {
                        Work::Convolution(work) => work.multiply_adds(windows.computed(step.flow.output).size()),
                        Work::Region(_) => 0,
                    };
                    timings.push(Timing { name: step.name.clone(), seconds, multiply_adds });
                }
            }
        });
        timings
    }

    pub(super) fn steps(
        &self,
        arena: &mut Arena,
        stack: &[f32],
        processor: Processor,
        end: usize,
        done: Done<'_>,
    ) -> Option<RegionAnswer> {
        let Arena { size, windows, air, places } = arena;
        // What air gives where a map's memory begins.
        let around = |map: usize| Some((air.as_ref()?.map(self, map)?, windows.first(map)));
        let (map, part) = (self.ends[0], windows.output(self.ends[0]));
        assert_eq!(stack.len(), part.shape.channels * size[0] * size[1], "a stack of another size");
        let input = &mut places[self.input][..windows.memory(map).len()];
        from_planes(part, stack, input);
        surround(windows.memory(map), part, input, around(map));
        done(places, None);
        let mut answer = None;
        for (n, step) in self.steps[..end].iter().enumerate() {
            let (flow, map) = (&step.flow, step.flow.output);
            let (shape, part) = (windows.memory(map), windows.output(map));
            match &step.work {
                Work::Region(region) => {
                    let around = around(map).map(|(air, _)| (air, windows.computed(map).first));
                    answer = Some(region.run(Maps { part, values: &places[step.output] }, around));
                }
                Work::Convolution(work) => {
                    // No step writes what it reads: its output can be taken out meanwhile.
                    let mut output = std::mem::take(&mut places[step.output]);
                    let mut inputs = [const { Maps::nothing() }; 3];
                    for (n, (to, place)) in inputs.iter_mut().zip(&step.inputs).enumerate() {
                        *to = Maps { part: windows.input(flow, n), values: &places[*place] };
                    }
                    let residual = step.residual.zip(windows.residual(flow));
                    let residual = residual.map(|(place, part)| Maps { part, values: &places[place] });
                    let values = &mut output[..shape.len()];
                    work.run(&inputs, residual, part, values, processor);
                    if flow.surrounded {
                        surround(shape, part, values, around(map));
                    }
                    places[step.output] = output;
                }
            }
            done(places, Some(n));
        }
        answer
    }
}

/// The decoder's last maps of a slice: what its probabilities are made of, under any attention.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Features {
    size: [usize; 2],
    #[serde(with = "floats")]
    values: Vec<f32>,
}

impl Arena {
    /// Takes the last maps of the slice that was computed last, and leaves other memory in their place: `spare`, if there is some.
    pub fn take_features(&mut self, plan: &Plan, spare: Option<Features>) -> Features {
        let size = self.size;
        let mut spare = spare.map(|spare| spare.values).unwrap_or_default();
        spare.resize(self.places[plan.output].len(), 0.0);
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
        Maps::whole(self.output_shape(features.size), &features.values)
    }
}
