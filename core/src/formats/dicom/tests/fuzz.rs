//! Damaged bytes give an answer, never a panic, a hang, or an allocation that the bytes cannot back.

use super::super::SeriesChoice;
use super::{SliceFile, archive, decode_slice, folder, read_series, reported, series};
use crate::formats::archive::unzip;
use crate::formats::rtstruct;

/// A small generator (xorshift): the same bytes every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Files cut off at many places, and with bytes changed: mostly in the header and where the compressed stream starts.
fn mutations(bytes: &[u8], rounds: usize, mut check: impl FnMut(&[u8])) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ bytes.len() as u64);
    for round in 0..rounds {
        let mut changed = bytes.to_vec();
        let reach = if round % 3 == 0 { bytes.len() } else { bytes.len().min(6000) };
        if round % 4 == 0 {
            changed.truncate(random.below(reach));
        } else {
            for _ in 0..=random.below(4) {
                let place = random.below(reach);
                changed[place] = match random.below(4) {
                    0 => 0xFF,
                    1 => 0,
                    2 => changed[place] ^ 1 << random.below(8),
                    _ => random.below(256) as u8,
                };
            }
        }
        check(&changed);
    }
}

#[test]
fn damaged_compressed_slices_never_panic() {
    for (name, bytes) in archive("dicom-transfer-syntaxes") {
        let rounds = if name.contains("2000") { 60 } else { 150 };
        mutations(&bytes, rounds, |changed| {
            let _ = decode_slice(changed);
        });
    }
}

#[test]
fn damage_in_the_compressed_stream_never_panics() {
    for uid in ["50", "51", "57", "70", "90", "91"] {
        let end = format!("1.2.4.{uid}.dcm");
        let (_, bytes) = archive("dicom-transfer-syntaxes").into_iter().find(|(n, _)| n.ends_with(&end)).unwrap();
        let marker: &[u8] = if uid.starts_with('9') { &[0xFF, 0x4F, 0xFF, 0x51] } else { &[0xFF, 0xD8, 0xFF] };
        let stream = bytes.windows(marker.len()).position(|w| w == marker).unwrap();
        let mut random = Random(uid.len() as u64 + 77);
        for _ in 0..80 {
            let mut changed = bytes.clone();
            for _ in 0..=random.below(3) {
                let reach = if random.below(2) == 0 { 700 } else { bytes.len() - stream };
                let place = stream + random.below(reach);
                changed[place] = random.below(256) as u8;
            }
            let _ = decode_slice(&changed);
        }
    }
}

#[test]
fn numbers_that_are_cut_off_are_refused_before_the_parser_asks_for_gigabytes() {
    // A UID that is said to be numbers of four bytes each: 26 bytes hold six of them and a half.
    let (_, mut slice) = archive("exchange/ct").remove(0);
    let at = slice.windows(8).position(|w| w == [8, 0, 0x16, 0, b'U', b'I', 26, 0]).unwrap();
    slice[at + 5] = b'L';
    let error = read_series(vec![("slice".into(), slice)], SeriesChoice::Best).unwrap_err().to_string();
    assert!(error.contains("element (0008,0016) is broken"), "{error}");
    // Within a sequence, the UID of a series that becomes the length of a group.
    let mut files = archive("rtstruct").into_iter();
    let (_, mut set) = files.find(|(name, _)| name.ends_with("invalid_reference_rt.dcm")).unwrap();
    let sequence = set.windows(4).position(|w| w == [0x06, 0x30, 0x14, 0]).unwrap();
    let at = set[sequence..].windows(8).position(|w| w == [0x20, 0, 0x0E, 0, 58, 0, 0, 0]).unwrap();
    set[sequence + at + 2] = 0;
    let error = rtstruct::read(&set).unwrap_err().to_string();
    assert!(error.contains("element (3006,0010) is broken"), "{error}");
}

#[test]
fn a_compressed_stream_that_stops_early_is_refused() {
    // The fragment is shortened and its length made right, as an interrupted transfer with a repaired container has it.
    for uid in ["50", "51", "57", "70", "90", "91"] {
        let end = format!("1.2.4.{uid}.dcm");
        let (_, bytes) = archive("dicom-transfer-syntaxes").into_iter().find(|(n, _)| n.ends_with(&end)).unwrap();
        let pixels = bytes.windows(5).position(|w| w == [0xE0, 0x7F, 0x10, 0, b'O']).unwrap();
        let table = u32::from_le_bytes(bytes[pixels + 16..pixels + 20].try_into().unwrap()) as usize;
        let length_at = pixels + 20 + table + 4;
        let length = u32::from_le_bytes(bytes[length_at..length_at + 4].try_into().unwrap()) as usize;
        for kept in [length / 3, length / 2, length * 9 / 10, length - 600] {
            let kept = kept & !1;
            let mut cut = bytes[..length_at + 4 + kept].to_vec();
            cut[length_at..length_at + 4].copy_from_slice(&(kept as u32).to_le_bytes());
            assert!(decode_slice(&cut).is_err(), "{uid}: {kept} of {length} bytes");
        }
    }
}

#[test]
fn damaged_series_never_panic() {
    let mr = folder("dicom-geometry", "non-isotropic");
    let implicit = |k: usize| SliceFile::axial(k, k as f64 * 2.0, 6, 4).write_as("1.2.840.10008.1.2");
    let implicit: Vec<_> = (0..3).map(|k| (k.to_string(), implicit(k))).collect();
    for files in
        [series(3, 2.0, |_, s| s), implicit, mr, reported::unknown_tags(), reported::implicit_called_explicit()]
    {
        mutations(&files[1].1.clone(), 1500, |changed| {
            let mut files = files.clone();
            files[1].1 = changed.to_vec();
            let _ = read_series(files, SeriesChoice::Best);
        });
    }
}

#[test]
fn every_truncation_of_a_slice_is_refused() {
    let files = series(5, 2.0, |_, s| s);
    for length in 0..files[2].1.len() {
        let mut files = files.clone();
        files[2].1.truncate(length);
        // A middle slice is the damaged one: without it there is a gap.
        assert!(read_series(files, SeriesChoice::Best).is_err(), "cut at {length}");
    }
}

#[test]
fn lengths_beyond_the_file_and_deep_nesting_are_refused() {
    let bytes = SliceFile::axial(0, 0.0, 6, 4).write();
    // An element that claims 4 GB: (0020,9999) OB, length FFFFFFF0.
    let mut huge = bytes.clone();
    let at = huge.windows(4).position(|w| w == [0x28, 0, 0x02, 0]).unwrap();
    huge.splice(at..at, [0x20, 0, 0x99, 0x99, b'O', b'B', 0, 0, 0xF0, 0xFF, 0xFF, 0xFF]);
    assert!(decode_slice(&huge).unwrap_err().to_string().contains("no image"));
    // A hundred thousand sequences, each within the one before.
    let mut deep = bytes.clone();
    let level =
        [0x20, 0, 0x16, 0x91, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
    deep.splice(at..at, level.repeat(100_000));
    assert!(decode_slice(&deep).is_err());
    // The same inside a sequence that is parsed, of defined lengths.
    let mut inner: Vec<u8> = Vec::new();
    for _ in 0..3000 {
        let mut outer = vec![0x20, 0, 0x16, 0x91, b'S', b'Q', 0, 0];
        outer.extend((inner.len() as u32 + 8).to_le_bytes());
        outer.extend([0xFE, 0xFF, 0, 0xE0]);
        outer.extend((inner.len() as u32).to_le_bytes());
        outer.append(&mut inner);
        inner = outer;
    }
    inner[..4].copy_from_slice(&[0, 0x52, 0x29, 0x92]);
    let mut parsed = bytes;
    let pixels = parsed.windows(4).position(|w| w == [0xE0, 0x7F, 0x10, 0]).unwrap();
    parsed.splice(pixels..pixels, inner);
    assert!(decode_slice(&parsed).is_err());
    // An image that claims more pixels than its stream can hold.
    let (_, rle) = archive("dicom-transfer-syntaxes").into_iter().find(|(n, _)| n.ends_with("1.2.5.dcm")).unwrap();
    let mut vast = rle;
    for tag in [[0x28, 0, 0x10, 0], [0x28, 0, 0x11, 0]] {
        let at = vast.windows(4).position(|w| w == tag).unwrap();
        vast[at + 8..at + 10].copy_from_slice(&[0xFF, 0xFF]);
    }
    assert!(decode_slice(&vast).is_err());
}

#[test]
fn damaged_archives_never_panic() {
    let path = format!("{}/../tests/data/dicom-broken.zip", env!("CARGO_MANIFEST_DIR"));
    mutations(&std::fs::read(path).unwrap(), 1500, |changed| {
        let _ = unzip(changed, 1 << 20);
    });
}
