//! The GPU's side of the views: the CT as a 3-D texture of HU, labels and overlays as 3-D textures of bytes, and the
//! drawing of slices through them.

use eframe::egui_wgpu::RenderState;

use crate::state::State;

/// Makes pipelines and puts them where paint callbacks find them. Once, when the window is made.
pub fn install(_render_state: &RenderState) {}

/// Brings the textures up to date with the state: a new study, changed slices. Once a frame, before the views are drawn.
pub fn upload(_render_state: &RenderState, _state: &State) {}
