//! How a study is looked at, and how the user likes the window. No drawing, and no knowledge of what is open: the editing,
//! session files, views and panels all stand on this.
//!
//! | file | what |
//! |---|---|
//! | `plane.rs` | the three patient planes |
//! | `form.rs` | desk, tablet or telephone |
//! | `view.rs` | cameras, window and level, tools, colours of the organs |
//! | `measurement.rs` | distances and ellipses drawn into a view |
//! | `preferences.rs` | what is remembered from one start of the program to the next |

mod form;
mod measurement;
mod plane;
mod preferences;
mod view;

pub use form::Form;
pub use measurement::{HuStatistics, Measurement, MeasurementKind};
pub use plane::Plane;
pub use preferences::{Layout, Preferences};
pub use view::{
    Camera, DisplayWindow, Drag, Gesture, OrganStyle, Overlay, Stroke, StrokePhase, Tool, View, WINDOW_PRESETS,
    WindowPreset,
};
