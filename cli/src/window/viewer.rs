//! With the viewer.

use anyhow::{Result, anyhow};
use attention_anatomy_viewer::worker::Input;
use attention_anatomy_viewer::{Launch, WindowError};

use super::Shown;
use crate::device::DeviceOptions;

/// Whether there is a window to open.
pub const IS_BUILT_IN: bool = true;

/// Opens the window; returns when it is closed.
///
/// # Errors
/// Where there is no display.
pub fn open(shown: Shown, on: DeviceOptions) -> Result<()> {
    let inputs = match shown {
        Shown::Paths(paths) => paths.into_iter().map(Input::Path).collect(),
        Shown::Sample => vec![Input::Sample],
    };
    let launch = Launch { inputs, device: on.device.into(), remember: true, ..Launch::default() };
    attention_anatomy_viewer::run_native(launch, on.gpu_storage.into()).map_err(|error| match error {
        WindowError::NoDisplay(_) => anyhow!(
            "{error}: start it on a desktop, or do without one: `segment SCAN -o DIR`, or `demo --no-view`, writes labels, tables and a \
             report for any browser"
        ),
        other => other.into(),
    })
}
