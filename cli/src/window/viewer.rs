//! With the viewer.

use anyhow::{Context, Result};
use attention_anatomy::infer::DevicePreference;
use attention_anatomy_viewer::Launch;
use attention_anatomy_viewer::worker::Input;

use super::Shown;

/// Whether there is a window to open.
pub const IS_BUILT_IN: bool = true;

/// Opens the window; returns when it is closed.
///
/// # Errors
/// Where there is no display.
pub fn open(shown: Shown, device: DevicePreference) -> Result<()> {
    let inputs = match shown {
        Shown::Paths(paths) => paths.into_iter().map(Input::Path).collect(),
        Shown::Sample => vec![Input::Sample],
    };
    attention_anatomy_viewer::run_native(Launch { inputs, device, remember: true, ..Launch::default() })
        .context("the window cannot be opened; is there a display?")
}
