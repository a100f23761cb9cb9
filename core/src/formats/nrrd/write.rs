//! Voxels out, on exactly the grid that came in.

use std::fmt::Write as _;

use super::NrrdError;
use crate::anatomy::OrganSet;
use crate::formats::gzip;
use crate::formats::samples::{Stored, damaged};
use crate::volume::{CtVolume, LabelVolume, Volume};

/// Readers have limits for the length of a line.
const LONGEST_VALUE: usize = 30_000;

/// A label map as gzipped `.nrrd` (uint8) on the grid of the file that the volume came from, in LPS mm; every number of
/// the grid reads back as the same f64. `description` becomes `content`.
///
/// # Errors
/// None that a caller can cause; a failing compressor is [`NrrdError::Samples`].
pub fn write_labels(volume: &LabelVolume, description: &str) -> Result<Vec<u8>, NrrdError> {
    write(volume, description)
}

/// As [`write_labels`], of a map with the numbers of the anatomy table, whose names are written as segments of 3D Slicer. `note` is a
/// key and its value, put beside them; a long value takes several lines, whose keys are numbered.
///
/// # Errors
/// None that a caller can cause; a failing compressor is [`NrrdError::Samples`].
pub fn write_organs(volume: &LabelVolume, description: &str, note: Option<(&str, &str)>) -> Result<Vec<u8>, NrrdError> {
    let mut keys = String::new();
    for (n, organ) in OrganSet::of_labels(&volume.voxels).iter().enumerate() {
        let [red, green, blue] = organ.colour().map(|c| f32::from(c) / 255.0);
        let _ = writeln!(keys, "Segment{n}_ID:={}\nSegment{n}_Name:={}", organ.id(), organ.name());
        let _ = writeln!(keys, "Segment{n}_LabelValue:={}\nSegment{n}_Layer:=0", organ.label());
        let _ = writeln!(keys, "Segment{n}_Color:={red:.4} {green:.4} {blue:.4}");
    }
    if let Some((key, value)) = note {
        for (n, part) in value.as_bytes().chunks(LONGEST_VALUE).enumerate() {
            let _ = writeln!(keys, "{key}_{n}:={}", String::from_utf8_lossy(part));
        }
    }
    write_with(volume, description, &keys)
}

/// A CT as gzipped `.nrrd` (int16, HU); otherwise as [`write_labels`].
///
/// # Errors
/// None that a caller can cause; a failing compressor is [`NrrdError::Samples`].
pub fn write_ct(volume: &CtVolume, description: &str) -> Result<Vec<u8>, NrrdError> {
    write(volume, description)
}

fn write<T: Stored + Sync>(volume: &Volume<T>, description: &str) -> Result<Vec<u8>, NrrdError> {
    write_with(volume, description, "")
}

/// With key/value pairs.
fn write_with<T: Stored + Sync>(volume: &Volume<T>, description: &str, keys: &str) -> Result<Vec<u8>, NrrdError> {
    let [nx, ny, nz] = volume.stored.size;
    let m = &volume.stored.affine;
    let vector = |column: usize| format!("({},{},{})", m[0][column], m[1][column], m[2][column]);
    let mut head = String::from("NRRD0004\n");
    let content: String = description.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !content.trim().is_empty() {
        let _ = writeln!(head, "content: {}", content.trim());
    }
    let _ = writeln!(head, "type: {}", T::SAMPLE.name());
    let _ = writeln!(head, "dimension: 3\nspace: left-posterior-superior\nsizes: {nx} {ny} {nz}");
    let _ = writeln!(head, "space directions: {} {} {}", vector(0), vector(1), vector(2));
    let _ = writeln!(head, "kinds: domain domain domain\nendian: little\nencoding: gzip");
    let _ = writeln!(head, "space origin: {}\n{keys}", vector(3));

    let mut output = head.into_bytes();
    gzip::append(&mut output, &[], volume).map_err(damaged)?;
    Ok(output)
}
