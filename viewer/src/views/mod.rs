//! The three views: what the mouse and the keys do in them, and what lies over the image. The image itself is drawn by
//! [`crate::render`].

use crate::state::State;

/// Draws the views in all of `ui`, in the layout that the preferences name.
pub fn show(_ui: &mut egui::Ui, _state: &mut State) {}
