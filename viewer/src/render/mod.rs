//! The GPU's side of the views: the CT as an array of slices of HU, labels and overlays as arrays of bytes, and the
//! drawing of planes through them. What the shader does is told in `shaders/README.md`.
//!
//! | file | what |
//! |---|---|
//! | `projection.rs` | voxels to points of the screen and back |
//! | `slabs.rs` | how a volume is cut into what a device can hold |
//! | `textures.rs` | the textures of a study, and uploading what has changed |
//! | `uniforms.rs` | what the shader is told |
//! | `pipeline.rs` | pipeline and layouts |
//! | `callback.rs` | the drawing of one view |

mod callback;
mod pipeline;
mod projection;
mod slabs;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
pub(crate) mod tests;
mod textures;
mod uniforms;

use std::sync::{Arc, Mutex};

use eframe::egui_wgpu::RenderState;

pub use callback::paint_slice;
pub use projection::Projection;
pub use slabs::Capacity;

use crate::document::{Document, Notices};
use pipeline::Pipeline;
use textures::{StudyTextures, Upload};
use uniforms::Palette;

/// Difference to the reference: labelled here and not there. Apart from the next two in every kind of vision.
pub const ONLY_HERE: [u8; 3] = [255, 176, 0];
/// Difference to the reference: labelled there and not here.
pub const ONLY_THERE: [u8; 3] = [100, 143, 255];
/// Difference to the reference: another organ there.
pub const ANOTHER: [u8; 3] = [220, 38, 127];

/// All that lives on the window's device. Paint callbacks find it among egui's resources.
pub(crate) struct Renderer {
    pipeline: Pipeline,
    uniforms: wgpu::Buffer,
    uniforms_group: wgpu::BindGroup,
    /// Draws that the uniforms have room for.
    draws: usize,
    /// What the palette buffer holds.
    palette: Option<Palette>,
    /// Whether the target converts what is written from linear to sRGB.
    linear_target: bool,
    capacity: Capacity,
    study: Option<StudyTextures>,
    /// Number of a study that this device cannot show.
    refused: Option<u64>,
    error: Arc<Mutex<Option<String>>>,
}

/// Makes pipelines and puts them where paint callbacks find them. Whenever the window gets a device.
pub fn install(render_state: &RenderState) {
    install_with(render_state, Capacity::of(&render_state.device.limits()));
}

/// As [`install`], on a device that holds less than it could.
pub fn install_with(render_state: &RenderState, capacity: Capacity) {
    let device = &render_state.device;
    let error: Arc<Mutex<Option<String>>> = Arc::default();
    // wgpu ends the program at an error that nobody listens to; too little memory on the card must not.
    let heard = error.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        tracing::error!("graphics: {error}");
        if let Ok(mut last) = heard.lock() {
            *last = Some(match error {
                wgpu::Error::OutOfMemory { .. } => {
                    "the graphics card has too little free memory to show this CT; close other programs and open it again"
                        .into()
                }
                other => format!("the graphics card refused to draw ({other}); open the CT again"),
            });
        }
    }));
    let pipeline = Pipeline::new(device, render_state.target_format);
    let draws = 1;
    let (uniforms, uniforms_group) = pipeline.uniforms(device, draws);
    render_state.renderer.write().callback_resources.insert(Renderer {
        pipeline,
        uniforms,
        uniforms_group,
        draws,
        palette: None,
        linear_target: render_state.target_format.is_srgb(),
        capacity,
        study: None,
        refused: None,
        error,
    });
}

/// Brings the textures up to date with the state: a new study, changed slices. Once a frame, after everything that may
/// change them; asks for another frame while something is left to upload.
pub fn upload(render_state: &RenderState, ctx: &egui::Context, document: &Document, notices: &mut Notices) {
    let mut renderer = render_state.renderer.write();
    let Some(renderer) = renderer.callback_resources.get_mut::<Renderer>() else { return };
    if let Some(message) = renderer.error.lock().ok().and_then(|mut error| error.take()) {
        notices.error(message);
    }
    let Some(study) = document.study.as_ref() else {
        renderer.study = None;
        return;
    };
    if renderer.refused == Some(study.number) {
        return;
    }
    let mut upload = Upload {
        device: &render_state.device,
        queue: &render_state.queue,
        pipeline: &renderer.pipeline,
        bytes_left: renderer.capacity.bytes_after(ctx.input(|input| input.unstable_dt)),
    };
    if renderer.study.as_ref().is_none_or(|t| t.study != study.number) {
        // The old textures go first: both together may not fit.
        renderer.study = None;
        // Making them takes its time, too.
        upload.bytes_left = renderer.capacity.bytes_after(0.0);
        match StudyTextures::new(&upload, study, &renderer.capacity) {
            Ok(textures) => renderer.study = Some(textures),
            Err(error) => {
                renderer.refused = Some(study.number);
                notices.error(error.to_string());
                return;
            }
        }
    }
    if let Some(textures) = renderer.study.as_mut()
        && textures.bring_up_to_date(&mut upload, study, &document.view)
    {
        ctx.request_repaint();
    }
}
