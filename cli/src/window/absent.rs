//! Without the viewer.

use anyhow::{Result, bail};
use attention_anatomy::infer::DevicePreference;

use super::Shown;

/// Whether there is a window to open.
pub const IS_BUILT_IN: bool = false;

/// Says what is missing.
///
/// # Errors
/// Always.
pub fn open(_: Shown, _: DevicePreference) -> Result<()> {
    bail!("this program was built without the viewer; build it with its default features (cargo build --release)")
}
