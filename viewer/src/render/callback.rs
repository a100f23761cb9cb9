//! The drawing of one view inside egui's own render pass.

use eframe::egui_wgpu::{Callback, CallbackResources, CallbackTrait, ScreenDescriptor};
use egui::{PaintCallback, PaintCallbackInfo, Rect};

use super::pipeline::SLOT;
use super::uniforms::{Palette, SliceUniform, flag};
use super::{Projection, Renderer};
use crate::display::{Overlay, Plane, Preferences, View};
use crate::document::Study;

/// One view: what its shader is told, but for what depends on a slab.
struct SliceCallback {
    study: u64,
    plane: Plane,
    uniform: SliceUniform,
    palette: Palette,
    rect: Rect,
}

fn four([x, y, z]: [f64; 3]) -> [f32; 4] {
    [x as f32, y as f32, z as f32, 0.0]
}

fn unit(axis: usize, last: usize) -> [i32; 4] {
    let mut step = [0, 0, 0, last as i32];
    step[axis] = 1;
    step
}

/// Pixels that cover more voxels than this along an axis average several samples.
const VOXELS_PER_SAMPLE: f64 = 1.25;
const MOST_SAMPLES: f64 = 4.0;

/// The shape that draws `study` as `projection` sees it.
pub fn paint_slice(
    study: &Study,
    view: &View,
    preferences: &Preferences,
    plane: Plane,
    projection: &Projection,
    pixels_per_point: f32,
) -> PaintCallback {
    let per_point = projection.voxels_per_point();
    let [right, down] = per_point.map(|step| step.map(|v| v / f64::from(pixels_per_point)));
    let samples = |step: [f64; 3]| {
        let voxels = step.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let interpolated = if preferences.interpolate { voxels / VOXELS_PER_SAMPLE } else { 1.0 };
        interpolated.ceil().clamp(1.0, MOST_SAMPLES) as usize
    };
    let what_if = study.what_if.as_ref().filter(|w| {
        let [nx, ny, _] = study.geometry().size;
        w.labels.as_ref().is_some_and(|l| l.len() == nx * ny)
    });
    let overlay = match view.overlay {
        Overlay::None => 0,
        Overlay::Uncertainty => 1,
        Overlay::RemovedByAttention => 2,
        // Without a reference there is nothing to differ from.
        Overlay::Difference => {
            if study.reference.is_some() {
                3
            } else {
                0
            }
        }
    };
    let flags = [
        (preferences.interpolate, flag::INTERPOLATE),
        // Whoever edits voxels sees voxels.
        (preferences.interpolate && !view.edits(), flag::SMOOTH_LABELS),
        (view.inverted, flag::INVERTED),
        // What attention took away is shown over the network's own answer.
        (what_if.is_some() && view.overlay != Overlay::RemovedByAttention, flag::OTHER_LABELS_REPLACE),
    ];
    let [nx, ny, nz] = projection.size.map(|n| n as i32);
    let uniform = SliceUniform {
        origin: four(projection.to_voxel(projection.rect.min)),
        right: four(right),
        down: four(down),
        across: unit(projection.axes[0], samples(right)),
        along: unit(projection.axes[1], samples(down)),
        size: [nx, ny, nz, flags.iter().filter(|(is_on, _)| *is_on).map(|(_, bit)| bit).sum()],
        slab: [0; 4],
        options: [what_if.map_or(-1, |w| w.slice as i32), overlay, 0, 0],
        viewport: [0.0, 0.0, pixels_per_point, 0.0],
        window: [view.window.level - 0.5, (view.window.width - 1.0).max(1e-3), 0.0, 0.0],
    };
    let callback =
        SliceCallback { study: study.number, plane, uniform, palette: Palette::of(view), rect: projection.rect };
    Callback::new_paint_callback(projection.rect, callback)
}

impl CallbackTrait for SliceCallback {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(renderer) = resources.get_mut::<Renderer>() else { return Vec::new() };
        let Some(textures) = renderer.study.as_ref().filter(|t| t.study == self.study) else { return Vec::new() };
        let ready = textures.ready();
        let slabs: Vec<_> = textures.slabs().map(|(slab, _)| slab.clone()).collect();
        let draws = Plane::ALL.len() * slabs.len();
        if renderer.draws < draws {
            (renderer.uniforms, renderer.uniforms_group) = renderer.pipeline.uniforms(device, draws);
            renderer.draws = draws;
        }
        if renderer.palette != Some(self.palette) {
            queue.write_buffer(&renderer.pipeline.palette, 0, bytemuck::bytes_of(&self.palette));
            renderer.palette = Some(self.palette);
        }
        let info = PaintCallbackInfo {
            viewport: self.rect,
            clip_rect: self.rect,
            pixels_per_point: screen.pixels_per_point,
            screen_size_px: screen.size_in_pixels,
        };
        let corner = info.viewport_in_pixels();
        let mut uniform = self.uniform;
        uniform.viewport[..2].copy_from_slice(&[corner.left_px as f32, corner.top_px as f32]);
        if renderer.linear_target {
            uniform.size[3] |= flag::LINEAR_TARGET;
        }
        for (n, slab) in slabs.iter().enumerate() {
            let own = slab.own.start.max(ready.start)..slab.own.end.min(ready.end);
            uniform.slab = [slab.held.start, slab.held.end, own.start, own.end.max(own.start)].map(|k| k as i32);
            let at = (self.plane.index() * slabs.len() + n) * SLOT;
            queue.write_buffer(&renderer.uniforms, at as u64, bytemuck::bytes_of(&uniform));
        }
        Vec::new()
    }

    fn paint(&self, _info: PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        let Some(renderer) = resources.get::<Renderer>() else { return };
        let Some(textures) = renderer.study.as_ref().filter(|t| t.study == self.study) else { return };
        let count = textures.slabs().count();
        pass.set_pipeline(&renderer.pipeline.pipeline);
        for (n, (slab, group)) in textures.slabs().enumerate() {
            // An axial slice lies in one slab; the other planes cut through all of them.
            let slice = self.uniform.origin[2] as usize;
            let at = ((self.plane.index() * count + n) * SLOT) as u32;
            if (self.plane == Plane::Axial && !slab.own.contains(&slice)) || at as usize >= renderer.draws * SLOT {
                continue;
            }
            pass.set_bind_group(0, &renderer.uniforms_group, &[at]);
            pass.set_bind_group(1, group, &[]);
            pass.draw(0..4, 0..1);
        }
    }
}
