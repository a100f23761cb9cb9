//! Structures that are none of the 33 organs: their voxels beside the text, the rest in it.

use super::*;
use crate::edit::Extra;

/// Each with the buffer of its runs.
pub(super) fn put_all<'a>(extras: impl Iterator<Item = &'a Extra>) -> Vec<(&'a Extra, usize)> {
    extras.map(|extra| (extra, put(Buffer::Own(bytemuck::cast_slice(&extra.runs).to_vec())))).collect()
}

pub(super) fn take_all<'de, D: Deserializer<'de>>(extras: Vec<(Extra, usize)>) -> Result<Vec<Extra>, D::Error> {
    let one = |(extra, buffer)| {
        let bytes = taken_bytes::<D>(buffer)?;
        let number = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let (runs, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a structure is cut off"));
        }
        Ok(Extra { runs: runs.iter().map(|run| [number(&run[..4]), number(&run[4..])]).collect(), ..extra })
    };
    extras.into_iter().map(one).collect()
}

/// Puts the voxels beside the text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(extras: &[Extra], serializer: S) -> Result<S::Ok, S::Error> {
    put_all(extras.iter()).serialize(serializer)
}

/// Takes them from there.
///
/// # Errors
/// What is missing, or not what it should be.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Extra>, D::Error> {
    take_all::<D>(Vec::deserialize(deserializer)?)
}
