//! The viewer: one egui application, on the desktop and in the browser.
//!
//! Arrows run one way: `app` -> `panels`, `views` -> `document` -> `worker::protocol`. Whatever takes time (files, the
//! network, metrics, training) happens in the worker; the application sends it [`worker::Command`]s and applies its
//! [`worker::Event`]s, once a frame. No panel ever waits. A test (`arrows.rs`) reads the arrows from the sources.
//!
//! | folder | what |
//! |---|---|
//! | `app` | one frame: events in, windows drawn, commands out |
//! | `document/` | what is open: study, run, model, and what others have to do. Knows no panel, draws nothing |
//! | `display/` | how a study is looked at: planes, cameras, window and level, tools; preferences |
//! | `worker/` | the other side: opening, segmenting, measuring, training. Thread or Web Worker |
//! | `views/` | axial, coronal, sagittal: what the mouse does and what lies over the image |
//! | `render/` | the GPU's side of the views: textures and the drawing of slices |
//! | `panels/` | everything around the views; each panel owns its state |
//! | `edit/` | the label map and all that changes it, with undo |
//! | `focus` | what has the keyboard |
//! | `files/` | dialogs, drops and downloads of each platform |
//! | `session/` | what of a study is written down: session files, edits that were not saved |
//! | `store/` | what survives the program: preferences, autosave |
//! | `theme` | colours, sizes and spacing of everything |
//! | `waker` | which window is told that there is something to draw |

pub mod app;
#[cfg(test)]
mod arrows;
pub mod display;
pub mod document;
pub mod edit;
pub mod files;
pub mod focus;
pub mod panels;
pub mod render;
pub mod session;
pub mod store;
pub mod theme;
pub mod views;
pub mod waker;
pub mod worker;

#[cfg(not(target_family = "wasm"))]
mod native;

pub use app::{Launch, Shown, ViewerApp};
#[cfg(not(target_family = "wasm"))]
pub use native::{WindowError, run_native};
