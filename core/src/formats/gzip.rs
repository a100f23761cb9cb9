//! A large file gzipped on all threads.
//!
//! It is packed in pieces that do not refer to one another, each begun at the end of a whole byte (a sync flush), so that they stand
//! one behind the other in one member as any reader expects it. How the pieces are cut is the file's matter alone: its bytes are the
//! same for any number of threads. Pieces of [`PIECE`] bytes cost a label map a thousandth of its size.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::samples::Stored;
use crate::parallel::map;
use crate::volume::Volume;

/// Bytes of a piece, about.
const PIECE: usize = 2 << 20;
/// Deflate, no flags, no time, no hint of the level, no system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Appends `head` and the voxels in the order of the volume's file, least significant byte first, as one gzip member.
///
/// # Errors
/// Memory that there is not.
pub(super) fn append<T: Stored + Sync>(output: &mut Vec<u8>, head: &[u8], volume: &Volume<T>) -> io::Result<()> {
    let [nx, ny, nz] = volume.stored.size;
    let slice_bytes = nx * ny * T::SAMPLE.bytes();
    let slices = (PIECE / slice_bytes.max(1)).max(1);
    let last = nz.saturating_sub(1) / slices;
    let packed = map((0..=last).collect(), |piece| {
        let mut bytes = Vec::with_capacity(slices.min(nz) * slice_bytes + if piece == 0 { head.len() } else { 0 });
        if piece == 0 {
            bytes.extend_from_slice(head);
        }
        for k in piece * slices..((piece + 1) * slices).min(nz) {
            T::append(&volume.axes.stored_slice(&volume.voxels, volume.geometry.size, k), &mut bytes);
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        deflated(&bytes, piece == last).map(|deflated| (deflated, crc))
    });
    output.extend(HEADER);
    let mut whole = Crc::new();
    for piece in packed {
        let (deflated, crc) = piece?;
        output.extend(deflated);
        whole.combine(&crc);
    }
    output.extend(whole.sum().to_le_bytes());
    output.extend(whole.amount().to_le_bytes());
    Ok(())
}

/// Bytes deflated, to the end of a stream or of a whole byte in it.
fn deflated(bytes: &[u8], is_last: bool) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    if is_last {
        return encoder.finish();
    }
    encoder.flush()?;
    Ok(std::mem::take(encoder.get_mut()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::volume::{Geometry, Modality};

    #[test]
    fn pieces_are_one_member_with_the_checksum_of_all() {
        // Slices of 1.2 MB, so that a piece has one of them.
        for slices in [1, 2, 5] {
            let grid = Geometry::axial([800, 750, slices], [1.0; 3], [0.0; 3]).unwrap();
            let voxels: Vec<i16> = (0..grid.voxel_count()).map(|n| (n * n % 1009 + n / 600_000 * 40) as i16).collect();
            let volume = Volume::from_stored(grid, voxels.clone(), Modality::Ct).unwrap();
            let mut file = b"before".to_vec();
            append(&mut file, b"head", &volume).unwrap();
            let mut unpacked = Vec::new();
            // Of one member alone: a reader that stops at its end has everything.
            let mut reader = GzDecoder::new(&file[6..]);
            reader.read_to_end(&mut unpacked).unwrap();
            let mut expected = b"head".to_vec();
            expected.extend(voxels.iter().flat_map(|v| v.to_le_bytes()));
            assert!(unpacked == expected, "{slices} slices");
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let mut alone = b"before".to_vec();
            one.install(|| append(&mut alone, b"head", &volume)).unwrap();
            assert!(file == alone, "the number of threads shows");
        }
    }
}
