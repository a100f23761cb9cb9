//! From the tensors of a folded network to a list of operations, each with the places of what it reads and writes: what all that
//! carry a plan out have in common, before weights are put in the order in which one of them uses them.
//!
//! What a step reads stays in its place until the last step that reads it; then the place is free for another map of the
//! same shape.

use super::blocked::Shape;
use super::error::PlanError;
use super::head::Head;
use super::region::{AttentionLine, RegionLayers};
use crate::kernels::parameters::{Parameter, Parameters};

/// An input under a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// Which of the step's inputs.
    pub input: usize,
    /// Rows and columns of the kernel: 1 or 3; 2 in a transposed convolution.
    pub kernel: usize,
    /// Step of the output in the input: 1 or 2.
    pub stride: usize,
    /// Channels in and out.
    pub channels: [usize; 2],
    /// `[out, in, kernel, kernel]`.
    pub values: Vec<f32>,
}

impl Taps {
    /// The weight of an input channel, at a place of the kernel, for an output channel.
    pub fn at(&self, out: usize, input: usize, row: usize, column: usize) -> f32 {
        self.values[((out * self.channels[0] + input) * self.kernel + row) * self.kernel + column]
    }
}

/// A sum of inputs under kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// What is added up.
    pub taps: Vec<Taps>,
    /// Of each output channel.
    pub bias: Vec<f32>,
    /// Negative numbers become 0.
    pub relu: bool,
    /// Whether it is a transposed convolution of 2x2 at stride 2, of one input.
    pub transposed: bool,
}

/// What a step computes.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a layout has some dozens of them, and each is read in place")]
pub enum Operation {
    /// Feature maps.
    Sum(Sum),
    /// Region and attention, from pooled maps.
    Region(RegionLayers),
}

/// How far an output looks at an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Rows and columns of the kernel: 1 or 3; 2 in a transposed convolution.
    pub kernel: usize,
    /// Step of the output in the input: 1 or 2.
    pub stride: usize,
    /// Whether each pixel of the input makes 2x2 of the output.
    pub transposed: bool,
}

/// Which of all maps that there are for a while a step reads and writes. Places hold one after the other of them.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Maps that are read.
    pub inputs: Vec<usize>,
    /// Which of them are looked at how far; nothing in the region branch's last step.
    pub reaches: Vec<(usize, Reach)>,
    /// A map that is added before the ReLU.
    pub residual: Option<usize>,
    /// The map that is written.
    pub output: usize,
    /// Whether somebody reads what lies around the output, too.
    pub surrounded: bool,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Step<W> {
    /// The modules whose parameters it holds.
    pub name: String,
    /// What it computes.
    pub work: W,
    /// Places that are read.
    pub inputs: Vec<usize>,
    /// A place that is added before the ReLU.
    pub residual: Option<usize>,
    /// The place that is written.
    pub output: usize,
    /// Which maps these are.
    pub flow: Flow,
}

/// Maps that one place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Halvings against the input.
    pub level: usize,
    /// Channels that mean something.
    pub channels: usize,
}

impl Place {
    /// The shape for an input of `size`.
    pub fn shape(&self, size: [usize; 2]) -> Shape {
        Shape { channels: self.channels, size: size.map(|n| n >> self.level) }
    }
}

/// A folded network as a list of operations.
#[derive(Clone, Debug)]
pub struct Layout {
    /// In the order in which they are carried out.
    pub steps: Vec<Step<Operation>>,
    /// What the places hold.
    pub places: Vec<Place>,
    /// All maps that are ever made.
    pub maps: Vec<Place>,
    /// The input among them, and the decoder's last maps.
    pub ends: [usize; 2],
    /// Where the input goes.
    pub input: usize,
    /// Where the decoder's last maps are.
    pub output: usize,
    /// From the decoder's last maps to classes.
    pub head: Head,
}

impl Layout {
    /// Of the tensors of a folded network in PyTorch's names and layout; `line` changes its attention, if it has any.
    ///
    /// # Errors
    /// A tensor that is missing or has no fitting shape.
    pub fn new(parameters: &Parameters, line: Option<AttentionLine>) -> Result<Self, PlanError> {
        let mut builder = Builder { parameters, maps: Vec::new(), drafts: Vec::new() };
        let stack = builder.tensor("encoder.levels.0.first.conv.weight")?.shape[1];
        let input = builder.map(0, stack);
        let mut features = vec![];
        let mut x = input;
        while builder.has(&format!("encoder.levels.{}.first.conv.weight", features.len())) {
            let level = features.len();
            x = builder.block(&format!("encoder.levels.{level}"), &[x], if level == 0 { 1 } else { 2 })?;
            features.push(x);
        }
        if builder.has("region.reduce.conv.weight") {
            builder.region(x, line)?;
        }
        for (step, skip) in features.iter().rev().skip(1).enumerate() {
            let module = format!("decoder.steps.{step}");
            let up = builder.up(&format!("{module}.up"), x)?;
            x = builder.block(&format!("{module}.block"), &[up, *skip], 1)?;
        }
        let (weight, bias) = (builder.tensor("decoder.head.weight")?, builder.tensor("decoder.head.bias")?);
        let head = Head::new(&weight.values, &bias.values)?;
        let Builder { maps, drafts, .. } = builder;
        let (steps, places, of) = assign(drafts, &maps, input, x);
        Ok(Self { steps, places, maps, ends: [input, x], input: of[input], output: of[x], head })
    }
}

/// A step whose maps have no places yet.
struct Draft {
    name: String,
    work: Operation,
    inputs: Vec<usize>,
    residual: Option<usize>,
    output: usize,
}

struct Builder<'a> {
    parameters: &'a Parameters,
    /// All maps that are ever made.
    maps: Vec<Place>,
    drafts: Vec<Draft>,
}

impl<'a> Builder<'a> {
    fn has(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    fn tensor(&self, name: &str) -> Result<&'a Parameter, PlanError> {
        self.parameters.get(name).ok_or_else(|| PlanError::Tensor(format!("tensor `{name}` is missing")))
    }

    /// Weight and bias of a convolution, `[out, in, k, k]`.
    fn convolution(&self, module: &str) -> Result<(&'a Parameter, &'a [f32]), PlanError> {
        let weight = self.tensor(&format!("{module}.weight"))?;
        let bias = &self.tensor(&format!("{module}.bias"))?.values;
        match weight.shape[..] {
            [out, _, height, width] if height == width && matches!(height, 1 | 3) && bias.len() == out => {
                Ok((weight, bias))
            }
            _ => Err(PlanError::Tensor(format!("`{module}` has the shape {:?}", weight.shape))),
        }
    }

    fn map(&mut self, level: usize, channels: usize) -> usize {
        self.maps.push(Place { level, channels });
        self.maps.len() - 1
    }

    fn push(
        &mut self,
        name: String,
        work: Operation,
        inputs: Vec<usize>,
        residual: Option<usize>,
        output: usize,
    ) -> usize {
        self.drafts.push(Draft { name, work, inputs, residual, output });
        output
    }

    /// Terms of one convolution over maps that stand for their concatenation.
    fn terms(&self, module: &str, weight: &Parameter, inputs: &[usize], stride: usize) -> Result<Vec<Taps>, PlanError> {
        let [outputs, channels, kernel, _] = weight.shape[..] else { return Ok(Vec::new()) };
        let area = kernel * kernel;
        let mut first = 0;
        let mut terms = Vec::new();
        for (input, map) in inputs.iter().enumerate() {
            let count = self.maps[*map].channels;
            if first + count <= channels {
                let mut values = Vec::with_capacity(outputs * count * area);
                for out in 0..outputs {
                    values.extend_from_slice(&weight.values[(out * channels + first) * area..][..count * area]);
                }
                terms.push(Taps { input, kernel, stride, channels: [count, outputs], values });
            }
            first += count;
        }
        if first != channels {
            return Err(PlanError::Tensor(format!("`{module}` takes {channels} channels of {first}")));
        }
        Ok(terms)
    }

    /// A residual block over the concatenation of `inputs`.
    fn block(&mut self, module: &str, inputs: &[usize], stride: usize) -> Result<usize, PlanError> {
        let level = self.maps[inputs[0]].level + stride - 1;
        let names =
            [format!("{module}.first.conv"), format!("{module}.second.conv"), format!("{module}.shortcut.conv")];
        let (weight, bias) = self.convolution(&names[0])?;
        let first = self.map(level, bias.len());
        let work = sum(self.terms(&names[0], weight, inputs, stride)?, bias.to_vec());
        self.push(names[0].clone(), Operation::Sum(work), inputs.to_vec(), None, first);

        let (weight, bias) = self.convolution(&names[1])?;
        let mut bias = bias.to_vec();
        let out = self.map(level, bias.len());
        let mut all = vec![first];
        let mut terms = self.terms(&names[1], weight, &all, 1)?;
        let mut name = names[1].clone();
        let residual = if self.has(&format!("{}.weight", names[2])) {
            // The shortcut as further terms of the same sum.
            let (weight, other) = self.convolution(&names[2])?;
            let further = self.terms(&names[2], weight, inputs, stride)?;
            terms.extend(further.into_iter().map(|term| Taps { input: term.input + 1, ..term }));
            all.extend(inputs);
            bias.iter_mut().zip(other).for_each(|(bias, other)| *bias += other);
            name += " + shortcut";
            None
        } else {
            Some(inputs[0])
        };
        let work = sum(terms, bias);
        Ok(self.push(name, Operation::Sum(work), all, residual, out))
    }

    /// A transposed convolution of 2x2 at stride 2, `[in, out, 2, 2]`.
    fn up(&mut self, module: &str, input: usize) -> Result<usize, PlanError> {
        let weight = self.tensor(&format!("{module}.weight"))?;
        let bias = self.tensor(&format!("{module}.bias"))?.values.clone();
        let Place { level, channels } = self.maps[input];
        let [inputs, outputs, 2, 2] = weight.shape[..] else {
            return Err(PlanError::Tensor(format!("`{module}` has the shape {:?}", weight.shape)));
        };
        if inputs != channels || bias.len() != outputs || level == 0 {
            return Err(PlanError::Tensor(format!("`{module}` has the shape {:?}", weight.shape)));
        }
        let of = |out: usize, input: usize| &weight.values[(input * outputs + out) * 4..][..4];
        let values = (0..outputs).flat_map(|out| (0..inputs).flat_map(move |input| of(out, input))).copied().collect();
        let taps = Taps { input: 0, kernel: 2, stride: 1, channels: [inputs, outputs], values };
        let work = Sum { taps: vec![taps], bias, relu: false, transposed: true };
        let out = self.map(level - 1, outputs);
        Ok(self.push(module.to_string(), Operation::Sum(work), vec![input], None, out))
    }

    /// The region branch on the deepest features.
    fn region(&mut self, features: usize, line: Option<AttentionLine>) -> Result<(), PlanError> {
        let mut x = features;
        for module in ["region.reduce.conv", "region.conv.conv"] {
            let (weight, bias) = self.convolution(module)?;
            let out = self.map(self.maps[features].level, bias.len());
            let work = sum(self.terms(module, weight, &[x], 1)?, bias.to_vec());
            x = self.push(module.to_string(), Operation::Sum(work), vec![x], None, out);
        }
        let layer = |module: &str| -> Result<_, PlanError> {
            let of = |name: &str| Ok::<_, PlanError>(self.tensor(&format!("{module}.{name}"))?.values.clone());
            Ok((of("weight")?, of("bias")?))
        };
        let work = RegionLayers::new(
            self.maps[x].channels,
            [layer("region.shared")?, layer("region.region")?, layer("region.attention")?],
            line,
        )?;
        self.push("region.pool".into(), Operation::Region(work), vec![x], None, x);
        Ok(())
    }
}

/// A sum that a ReLU follows.
fn sum(taps: Vec<Taps>, bias: Vec<f32>) -> Sum {
    Sum { taps, bias, relu: true, transposed: false }
}

fn reaches(work: &Operation) -> Vec<(usize, Reach)> {
    let Operation::Sum(sum) = work else { return Vec::new() };
    let of = |taps: &Taps| Reach { kernel: taps.kernel, stride: taps.stride, transposed: sum.transposed };
    sum.taps.iter().map(|taps| (taps.input, of(taps))).collect()
}

/// Places for all maps: a place is free again after the last step that reads what it holds.
fn assign(
    drafts: Vec<Draft>,
    maps: &[Place],
    input: usize,
    result: usize,
) -> (Vec<Step<Operation>>, Vec<Place>, Vec<usize>) {
    let reads = |draft: &Draft, map: usize| draft.inputs.contains(&map) || draft.residual == Some(map);
    let last: Vec<usize> = (0..maps.len())
        .map(|map| match drafts.iter().rposition(|draft| reads(draft, map)) {
            _ if map == result => usize::MAX,
            found => found.unwrap_or(0),
        })
        .collect();
    let reaches: Vec<Vec<(usize, Reach)>> = drafts.iter().map(|draft| reaches(&draft.work)).collect();
    let mut surrounded = vec![false; maps.len()];
    for (draft, reaches) in drafts.iter().zip(&reaches) {
        let around = reaches.iter().filter(|(_, reach)| reach.kernel > 1 && !reach.transposed);
        around.for_each(|(input, _)| surrounded[draft.inputs[*input]] = true);
    }
    let mut places: Vec<Place> = vec![maps[input]];
    let mut free = vec![false];
    let mut of = vec![usize::MAX; maps.len()];
    of[input] = 0;
    let mut steps = Vec::with_capacity(drafts.len());
    for ((n, draft), reaches) in drafts.into_iter().enumerate().zip(reaches) {
        if of[draft.output] == usize::MAX {
            let fits = (0..places.len()).find(|&place| free[place] && places[place] == maps[draft.output]);
            let place = fits.unwrap_or_else(|| {
                places.push(maps[draft.output]);
                free.push(true);
                places.len() - 1
            });
            free[place] = false;
            of[draft.output] = place;
        }
        let Draft { name, work, inputs, residual, output } = draft;
        let read = inputs.iter().copied().chain(residual);
        read.clone().filter(|&map| last[map] == n).for_each(|map| free[of[map]] = true);
        steps.push(Step {
            name,
            work,
            inputs: inputs.iter().map(|&map| of[map]).collect(),
            residual: residual.map(|map| of[map]),
            output: of[output],
            flow: Flow { inputs, reaches, residual, output, surrounded: surrounded[output] },
        });
    }
    (steps, places, of)
}
