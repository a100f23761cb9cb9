//! Voxels out, on exactly the grid that came in.

use std::fmt::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::NrrdError;
use crate::formats::samples::{Stored, damaged, write_voxels};
use crate::volume::{CtVolume, LabelVolume, Volume};

/// A label map as gzipped `.nrrd` (uint8) on the grid of the file that the volume came from, in LPS mm; every number of
/// the grid reads back as the same f64. `description` becomes `content`.
///
/// # Errors
/// None that a caller can cause; a failing compressor is [`NrrdError::Samples`].
pub fn write_labels(volume: &LabelVolume, description: &str) -> Result<Vec<u8>, NrrdError> {
    write(volume, description)
}

/// A CT as gzipped `.nrrd` (int16, HU); otherwise as [`write_labels`].
///
/// # Errors
/// None that a caller can cause; a failing compressor is [`NrrdError::Samples`].
pub fn write_ct(volume: &CtVolume, description: &str) -> Result<Vec<u8>, NrrdError> {
    write(volume, description)
}

fn write<T: Stored>(volume: &Volume<T>, description: &str) -> Result<Vec<u8>, NrrdError> {
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
    let _ = writeln!(head, "space origin: {}\n", vector(3));

    let voxels = volume.stored_order(volume.voxels.clone());
    let mut output = GzEncoder::new(head.into_bytes(), Compression::default());
    write_voxels(&mut output, &voxels).and_then(|()| output.finish()).map_err(|e| damaged(e).into())
}
