//! What the steps of a layout need on the device: weights, the maps that they read, and bindings.

use attention_anatomy_shaders::network::{Kernel, SPARE_ROWS};
use wgpu::{BindGroup, Buffer};

use super::gpu::Gpu;
use super::pipelines::{Bound, Pipelines};
use super::uniforms::Uniforms;
use super::weights::{LANES, Packed};
use crate::kernels::plan::layout::{Layout, Operation, Place, Step, Sum, Taps};

/// A map that a step reads.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub place: usize,
    /// Its number among all that there are.
    pub map: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Where air's maps begin, in vectors.
    pub air: u64,
}

/// What a step needs on the device.
#[derive(Debug)]
pub(super) enum Work {
    Sum {
        weights: Buffer,
        packed: PackedShape,
        sources: Vec<Source>,
        relu: bool,
        transposed: bool,
        /// `None` where the result is a slot's.
        bound: Option<BindGroup>,
    },
    Region {
        weights: Buffer,
        width: usize,
        /// Where air's maps begin, in vectors.
        air: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PackedShape {
    pub n4: usize,
    pub out_c4: usize,
    pub chunks: usize,
    pub bias_row: usize,
}

#[derive(Debug)]
pub(super) struct GpuStep {
    /// The modules whose parameters it holds.
    pub name: String,
    pub work: Work,
    pub residual: Option<Source>,
    pub output: usize,
    /// The map that is written.
    pub map: usize,
    /// Where air's maps of the output go, in vectors; `None` where nobody reads them.
    pub air: Option<u64>,
}

impl GpuStep {
    /// Multiply-adds for so many pixels of its output.
    pub fn multiply_adds(&self, pixels: usize) -> u64 {
        match &self.work {
            Work::Sum { packed, transposed, .. } => {
                let corners = if *transposed { 4 } else { 1 };
                (pixels / corners * packed.n4 * LANES) as u64 * (packed.bias_row - SPARE_ROWS) as u64
            }
            Work::Region { .. } => 0,
        }
    }
}

/// Vectors of a place's maps of the whole field.
pub(super) fn vectors(place: Place, field: usize) -> u64 {
    let side = field >> place.level;
    (side * side * place.channels.div_ceil(LANES)) as u64
}

/// Where air's maps lie.
pub(super) struct Airs {
    /// Bytes of each place's buffer.
    pub bytes: Vec<u64>,
    /// Of each map, in vectors; `None` where nobody reads it.
    pub at: Vec<Option<u64>>,
}

impl Airs {
    /// For vectors of so many bytes.
    pub fn of(layout: &Layout, field: usize, vector: u64) -> Self {
        let mut bytes: Vec<u64> = layout.places.iter().map(|&place| vectors(place, field) * vector).collect();
        let mut at = vec![None; layout.maps.len()];
        let read = |map: usize| {
            let flows = layout.steps.iter().map(|step| &step.flow);
            flows.into_iter().any(|flow| flow.inputs.contains(&map) || flow.residual == Some(map))
        };
        let written = layout.steps.iter().map(|step| (step.flow.output, step.output));
        for (map, place) in std::iter::once((layout.ends[0], layout.input)).chain(written) {
            if at[map].is_none() && read(map) {
                at[map] = Some(bytes[place] / vector);
                bytes[place] += vectors(layout.maps[map], field) * vector;
            }
        }
        Self { bytes, at }
    }
}

/// What steps are built of.
pub(super) struct Build<'a> {
    pub gpu: &'a Gpu,
    pub pipelines: &'a Pipelines,
    pub uniforms: &'a Uniforms,
    pub buffers: &'a [Buffer],
    pub scratch: &'a Buffer,
}

impl Build<'_> {
    pub fn sum(&self, step: &Step<Operation>, sum: &Sum, packed: Packed, airs: &Airs, last: bool) -> Work {
        let Packed { values, n4, out_c4, chunks, bias_row } = packed;
        let weights = self.gpu.upload_stored("weights", &values);
        let source = |taps: &Taps| Source {
            place: step.inputs[taps.input],
            map: step.flow.inputs[taps.input],
            kernel: if sum.transposed { 1 } else { taps.kernel },
            stride: taps.stride,
            air: airs.at[step.flow.inputs[taps.input]].unwrap_or(0),
        };
        let sources: Vec<Source> = sum.taps.iter().map(source).collect();
        let bound = (!last).then(|| self.bind(&weights, &sources, step.residual, &self.buffers[step.output]));
        let packed = PackedShape { n4, out_c4, chunks, bias_row };
        Work::Sum { weights, packed, sources, relu: sum.relu, transposed: sum.transposed, bound }
    }

    /// A sum, in one pass or in two.
    pub fn bind(&self, weights: &Buffer, sources: &[Source], residual: Option<usize>, to: &Buffer) -> BindGroup {
        let source = |n: usize| sources.get(n).map_or(weights, |source| &self.buffers[source.place]);
        let residual = residual.map_or(weights, |place| &self.buffers[place]);
        let bound = [weights, source(0), source(1), source(2), residual, to, self.scratch].map(Bound::from);
        self.pipelines.bind(&self.gpu.device, Kernel::AddParts, &self.uniforms.buffer, &bound)
    }
}
