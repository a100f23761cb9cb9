//! The viewer: one egui application, on the desktop and in the browser.
//!
//! Arrows run one way: `app` -> `panels`, `views` -> `state` -> `worker::protocol`. Whatever takes time (files, the
//! network, metrics, training) happens in the worker; the application sends it [`worker::Command`]s and applies its
//! [`worker::Event`]s, once a frame. No panel ever waits.
//!
//! | folder | what |
//! |---|---|
//! | `app` | one frame: events in, windows drawn, commands out |
//! | `state/` | all that is known: the study, the views, the model, the run. No drawing |
//! | `worker/` | the other side: opening, segmenting, measuring, training. Thread or Web Worker |
//! | `views/` | axial, coronal, sagittal: what the mouse does and what lies over the image |
//! | `render/` | the GPU's side of the views: textures and the drawing of slices |
//! | `panels/` | everything around the views |
//! | `edit/` | the label map and all that changes it, with undo |
//! | `files/` | dialogs, drops and downloads of each platform |
//! | `store/` | what survives the program: preferences, autosave |
//! | `theme` | colours, sizes and spacing of everything |

pub mod app;
pub mod edit;
pub mod files;
pub mod panels;
pub mod render;
pub mod state;
pub mod store;
pub mod theme;
pub mod views;
pub mod worker;

#[cfg(not(target_family = "wasm"))]
mod native;

pub use app::{Launch, ViewerApp};
#[cfg(not(target_family = "wasm"))]
pub use native::run_native;
