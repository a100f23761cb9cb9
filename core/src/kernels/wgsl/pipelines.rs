//! The kernels of a device, compiled once, and what is bound to them.

use std::collections::BTreeMap;

use attention_anatomy_shaders::network::{Kernel, Stored};
use wgpu::{BindGroup, BindGroupLayout, BindingType, Buffer, BufferBindingType, ComputePipeline, Device};

/// Distance of two dispatches' numbers: WebGPU's default for dynamic offsets, and more than any of them takes.
pub(super) const STRIDE: u64 = 256;

/// A buffer from a byte on, `None` to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a> {
    pub buffer: &'a Buffer,
    pub from: u64,
    pub bytes: Option<u64>,
}

impl<'a> From<&'a Buffer> for Bound<'a> {
    fn from(buffer: &'a Buffer) -> Self {
        Self { buffer, from: 0, bytes: None }
    }
}

/// Buffers that a kernel reads and writes, beside its uniform.
fn bindings(kernel: Kernel) -> [u32; 2] {
    match kernel {
        Kernel::ConvolutionTiles(_) | Kernel::ConvolutionHalo | Kernel::ConvolutionDirect | Kernel::AddParts => [5, 2],
        Kernel::Input => [1, 1],
        Kernel::Stack => [3, 1],
        Kernel::ResampleDown | Kernel::ResampleAcross | Kernel::Region => [2, 1],
        Kernel::Probabilities => [3, 2],
        Kernel::Labels => [2, 3],
        Kernel::Removed => [2, 1],
        Kernel::Planes | Kernel::AddGradients | Kernel::Moments | Kernel::Pack | Kernel::Unpack => [1, 1],
        Kernel::WeightGradient(_) => [2, 1],
        Kernel::Statistics => [3, 1],
        Kernel::Activate => [4, 1],
        Kernel::Slopes => [5, 2],
        Kernel::NormGradient => [2, 1],
        Kernel::BeforeNorm => [4, 1],
        Kernel::LossSums => [3, 1],
        Kernel::LossGradients => [4, 2],
    }
}

/// What gives the WGSL of kernels: [`Kernel::source`], or something else in a test.
pub(super) type Sources = fn(Kernel, Stored) -> String;

/// A dispatch of a submission.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub kernel: Kernel,
    pub bound: BindGroup,
    /// Where its numbers are in the uniforms.
    pub uniform: u32,
    pub groups: [u32; 3],
}

/// Compiled kernels.
#[derive(Clone, Debug)]
pub(super) struct Pipelines {
    layouts: BTreeMap<[u32; 2], BindGroupLayout>,
    pipelines: BTreeMap<Kernel, ComputePipeline>,
}

impl Pipelines {
    /// Compiles `kernels`. A browser does it while the page goes on; elsewhere each gets a thread.
    pub fn new(device: &Device, kernels: &[Kernel], stored: Stored, source: Sources) -> Self {
        Self { layouts: BTreeMap::new(), pipelines: BTreeMap::new() }.and(device, kernels, stored, source)
    }

    /// The same, and more.
    pub fn and(&self, device: &Device, kernels: &[Kernel], stored: Stored, source: Sources) -> Self {
        let Self { mut layouts, mut pipelines } = self.clone();
        for &kernel in kernels {
            layouts.entry(bindings(kernel)).or_insert_with(|| layout(device, bindings(kernel)));
        }
        let compile = |kernel: Kernel| {
            let layout = &layouts[&bindings(kernel)];
            (kernel, pipeline(device, kernel, layout, &source(kernel, stored)))
        };
        pipelines.extend(crate::kernels::processor::map(kernels.to_vec(), compile));
        Self { layouts, pipelines }
    }

    /// The buffers of a kernel, those that it reads first.
    pub fn bind(&self, device: &Device, kernel: Kernel, uniforms: &Buffer, buffers: &[Bound<'_>]) -> BindGroup {
        let uniform = Bound { buffer: uniforms, from: 0, bytes: Some(STRIDE) };
        let all = std::iter::once(&uniform).chain(buffers).enumerate();
        let entries: Vec<_> = all
            .map(|(binding, bound)| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: bound.buffer,
                    offset: bound.from,
                    size: bound.bytes.and_then(wgpu::BufferSize::new),
                }),
            })
            .collect();
        let layout = &self.layouts[&bindings(kernel)];
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
    }

    /// Dispatches of one compute pass.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, dispatches: &[Dispatch]) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let mut set = None;
        for Dispatch { kernel, bound, uniform, groups: [x, y, z] } in dispatches {
            if set != Some(*kernel) {
                pass.set_pipeline(&self.pipelines[kernel]);
                set = Some(*kernel);
            }
            pass.set_bind_group(0, bound, &[*uniform]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }
}

fn layout(device: &Device, [read, write]: [u32; 2]) -> BindGroupLayout {
    let entry = |binding: u32| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: BindingType::Buffer {
            ty: match binding {
                0 => BufferBindingType::Uniform,
                n => BufferBindingType::Storage { read_only: n <= read },
            },
            has_dynamic_offset: binding == 0,
            min_binding_size: None,
        },
        count: None,
    };
    let entries: Vec<_> = (0..=read + write).map(entry).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

fn pipeline(device: &Device, kernel: Kernel, layout: &BindGroupLayout, source: &str) -> ComputePipeline {
    let name = kernel.name();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&name),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&name),
        bind_group_layouts: &[Some(layout)],
        ..Default::default()
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&name),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        // Every kernel writes what it reads there.
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    })
}
