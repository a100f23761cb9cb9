//! The pipeline that draws slices, and the shapes of what it is bound to.

use std::num::NonZeroU64;

use attention_anatomy_shaders::{SLICE, SLICE_PALETTE_BYTES, SLICE_VIEW_BYTES};

/// Distance between the uniforms of two draws: what every device accepts as a dynamic offset.
pub(super) const SLOT: usize = 256;

/// Pipeline and layouts; they outlive studies.
pub(super) struct Pipeline {
    pub pipeline: wgpu::RenderPipeline,
    pub uniforms_layout: wgpu::BindGroupLayout,
    pub textures_layout: wgpu::BindGroupLayout,
    pub palette: wgpu::Buffer,
}

fn uniform(binding: u32, bytes: usize, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset,
            min_binding_size: NonZeroU64::new(bytes as u64),
        },
        count: None,
    }
}

fn texture(
    binding: u32,
    sample_type: wgpu::TextureSampleType,
    view_dimension: wgpu::TextureViewDimension,
) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Texture { sample_type, view_dimension, multisampled: false },
        count: None,
    }
}

impl Pipeline {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        use wgpu::TextureSampleType::{Sint, Uint};
        use wgpu::TextureViewDimension::{D2, D2Array};

        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("slice"),
            source: wgpu::ShaderSource::Wgsl(SLICE.into()),
        });
        let uniforms_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("slice uniforms"),
            entries: &[uniform(0, SLICE_VIEW_BYTES, true), uniform(1, SLICE_PALETTE_BYTES, false)],
        });
        let textures_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("slice textures"),
            entries: &[
                texture(0, Sint, D2Array),
                texture(1, Uint, D2Array),
                texture(2, Uint, D2Array),
                texture(3, Uint, D2),
            ],
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("slice"),
            bind_group_layouts: &[Some(&uniforms_layout), Some(&textures_layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("slice"),
            layout: Some(&layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                buffers: &[],
                compilation_options: Default::default(),
            },
            primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                targets: &[Some(target.into())],
                compilation_options: Default::default(),
            }),
            multiview_mask: None,
            cache: None,
        });
        let palette = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("palette"),
            size: SLICE_PALETTE_BYTES as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { pipeline, uniforms_layout, textures_layout, palette }
    }

    /// Room for the uniforms of `draws` draws, and the group that binds them.
    pub fn uniforms(&self, device: &wgpu::Device, draws: usize) -> (wgpu::Buffer, wgpu::BindGroup) {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("slices"),
            size: (draws * SLOT) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("slice uniforms"),
            layout: &self.uniforms_layout,
            entries: &[
                wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer,
                        offset: 0,
                        size: NonZeroU64::new(SLICE_VIEW_BYTES as u64),
                    }),
                },
                wgpu::BindGroupEntry { binding: 1, resource: self.palette.as_entire_binding() },
            ],
        });
        (buffer, group)
    }
}
