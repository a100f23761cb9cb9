//! Without the viewer.

use super::Shown;
use crate::device::DeviceOptions;
use anyhow::{Result, bail};

/// Whether there is a window to open.
pub const IS_BUILT_IN: bool = false;

/// Says what is missing.
///
/// # Errors
/// Always.
pub fn open(_: Shown, _: DeviceOptions) -> Result<()> {
    bail!("this program was built without the viewer; build it with its default features (cargo build --release)")
}
