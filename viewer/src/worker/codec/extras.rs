//! Structures that are none of the 33 organs: their voxels beside the text, the rest in it.

use super::*;
use crate::edit::Extra;

#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    number: u64,
    name: String,
    colour: [u8; 3],
    interpreted_type: String,
    edited: bool,
    runs: usize,
}

pub(super) fn put_all<'a>(extras: impl Iterator<Item = &'a Extra>) -> Vec<Head> {
    let head = |extra: &Extra| Head {
        number: extra.number,
        name: extra.name.clone(),
        colour: extra.colour,
        interpreted_type: extra.interpreted_type.clone(),
        edited: extra.edited,
        runs: put(Buffer::Own(bytemuck::cast_slice(&extra.runs).to_vec())),
    };
    extras.map(head).collect()
}

pub(super) fn take_all<'de, D: Deserializer<'de>>(heads: Vec<Head>) -> Result<Vec<Extra>, D::Error> {
    let one = |head: Head| {
        let bytes = taken_bytes::<D>(head.runs)?;
        let number = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let (runs, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a structure is cut off"));
        }
        let runs = runs.iter().map(|run| [number(&run[..4]), number(&run[4..])]).collect();
        let Head { number, name, colour, interpreted_type, edited, .. } = head;
        Ok(Extra { number, name, colour, interpreted_type, edited, runs })
    };
    heads.into_iter().map(one).collect()
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
