//! Slices that are decoded when they come: what lies in memory meanwhile, and pictures of them.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::super::{SeriesChoice, SeriesFiles, SeriesReader, SeriesSurvey};
use super::{SliceFile, archive, series};

/// A slice of 64 x 64 pixels whose number can be told from its values.
fn slice(n: usize) -> Vec<u8> {
    SliceFile::axial(n, 2.0 * n as f64, 64, 64).pixels(&[1024 + n as u16; 4096]).write()
}

#[test]
fn no_more_lies_in_memory_than_the_volume_while_slices_come_in_any_order() {
    let (count, instance) = (50, slice(0).len() as u64);
    let mut files = SeriesFiles::default();
    files.expect(count, u64::MAX);
    for n in 0..count {
        // 37 and 50 have no common divisor.
        let n = 37 * n % count;
        files.decode(n.to_string(), slice(n), true).unwrap();
        assert!(files.bytes() <= 2 * 64 * 64 * count as u64 + instance, "{n}: {}", files.bytes());
    }
    assert_eq!((files.len(), files.names().nth(1)), (count, Some("37")));
    let mut reader = SeriesReader::open(files, SeriesChoice::Best).unwrap();
    assert_eq!(reader.bytes(), 2 * 64 * 64 * count as u64);
    while reader.step().unwrap() {}
    let (ct, ..) = reader.finish().unwrap();
    for k in 0..count {
        assert!(ct.slice(k).iter().all(|&v| v == k as i16), "slice {k}");
    }
}

#[test]
fn more_than_was_expected_finds_room_and_no_more_is_made_than_files_can_fill() {
    let mut files = SeriesFiles::default();
    files.expect(3, u64::MAX);
    (0..40).for_each(|n| files.decode(n.to_string(), slice(n), true).unwrap());
    assert_eq!(SeriesReader::open(files, SeriesChoice::Best).unwrap().size(), [64, 64, 40]);
    // A folder of ten thousand small files beside two slices.
    let mut files = SeriesFiles::default();
    files.expect(10_000, 2 * slice(0).len() as u64);
    (0..2).for_each(|n| files.decode(n.to_string(), slice(n), true).unwrap());
    assert!(files.bytes() <= 3 * 2 * 64 * 64, "{}", files.bytes());
}

#[test]
fn what_is_no_slice_is_given_back_as_it_was() {
    let scout = SliceFile::axial(90, 0.0, 32, 64).pixels(&[1024; 2048]).write();
    let structures = SliceFile::axial(91, 0.0, 64, 64).text(tags::MODALITY, VR::CS, "RTSTRUCT").write();
    let mut cut = slice(3);
    cut.truncate(5000);
    let mut files = SeriesFiles::default();
    files.decode("first".into(), slice(0), false).unwrap();
    for other in [scout, structures, cut, b"Secret notes".to_vec(), Vec::new()] {
        assert_eq!(files.decode("other".into(), other.clone(), true), Err(("other".into(), other)));
    }
    assert_eq!(files.len(), 1);
    // Of 6 x 4 pixels, and so is every other in the series.
    let mut files = SeriesFiles::default();
    series(3, 2.0, |_, s| s).into_iter().for_each(|(name, bytes)| files.decode(name, bytes, true).unwrap());
}

#[test]
fn a_compressed_slice_is_decoded_where_that_is_asked_for() {
    let is_compressed = |name: &str| name.starts_with("JPEGLSLossless");
    let (name, bytes) = archive("dicom-transfer-syntaxes").into_iter().find(|(name, _)| is_compressed(name)).unwrap();
    let mut files = SeriesFiles::default();
    assert_eq!(files.decode(name.clone(), bytes.clone(), false), Err((name.clone(), bytes.clone())));
    assert_eq!(files.bytes(), 0);
    files.decode(name, bytes, true).unwrap();
    assert_eq!(files.bytes(), 2 * 512 * 512);
}

#[test]
fn the_picture_of_a_decoded_slice_is_that_of_its_file() {
    let shaded: Vec<u16> = (0..4096).map(|n| 324 + (n % 64) * 16).collect();
    let bytes = SliceFile::axial(0, 0.0, 64, 64).pixels(&shaded).write();
    let mut decoded = SeriesFiles::default();
    decoded.decode("a".into(), bytes.clone(), true).unwrap();
    let kept = SeriesFiles::from(vec![("a".into(), bytes.clone())]);
    let (size, grey) = decoded.picture(0, 32).unwrap();
    assert_eq!(Some((size, grey.clone())), kept.picture(0, 32));
    assert_eq!(Some((size, grey.clone())), SeriesSurvey::of(vec![("a".into(), bytes)]).unwrap().preview(0, 32));
    // -700 HU is black and 300 white; the second of two columns is shown.
    assert_eq!((size, grey[0], grey[31]), ([32, 32], 4, 255));
}
