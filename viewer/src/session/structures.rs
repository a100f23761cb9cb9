//! Structures that are none of the 33 organs, as they are written down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::packed::{Packer, UnpackError, unpack};
use crate::edit::{Extra, runs_of};

/// A structure with its voxels packed: 1 inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedExtra {
    #[serde(flatten)]
    pub(super) head: Extra,
    voxels: String,
    /// Voxels of the volume that are packed: those behind the last one of the structure are not.
    packed: usize,
}

/// All of them.
pub(super) fn pack_extras(extras: &[Arc<Extra>]) -> Vec<PackedExtra> {
    let one = |extra: &Arc<Extra>| {
        let (mut packer, mut at) = (Packer::default(), 0);
        for [start, end] in extra.runs.iter().map(|run| run.map(|n| n as usize)) {
            packer.repeat(0, start - at);
            packer.repeat(1, end - start);
            at = end;
        }
        PackedExtra { head: Extra { runs: Vec::new(), ..Extra::clone(extra) }, voxels: packer.finish(), packed: at }
    };
    extras.iter().map(one).collect()
}

/// As they were, in a volume of `voxels`.
///
/// # Errors
/// [`UnpackError`].
pub(super) fn unpack_extras(packed: &[PackedExtra], voxels: usize) -> Result<Vec<Extra>, UnpackError> {
    let one = |extra: &PackedExtra| {
        if extra.packed > voxels {
            return Err(UnpackError::Length(voxels));
        }
        Ok(Extra { runs: runs_of(&unpack(&extra.voxels, extra.packed)?), ..extra.head.clone() })
    };
    packed.iter().map(one).collect()
}
