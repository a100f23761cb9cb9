//! What other people's folders did to readers: one row for each kind of trouble, with what is said of it.
//!
//! Rows are read through [`read_series`], as every front end does it. The values of slice k are k + 1, so that a slice
//! that is lost, doubled or exchanged shows.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};

use super::super::{DicomError, SeriesChoice, list_series};
use super::{SliceFile, read_series, series};

type Files = Vec<(String, Vec<u8>)>;

/// What becomes of a folder: the values of its slices, bottom up, with the start of its one warning (none where empty); or
/// what the one sentence of the refusal says.
enum Expected {
    Read(&'static [i16], &'static str),
    Refused(&'static str),
}
use Expected::{Read, Refused};

/// Slice `k` of five, 3 mm apart, of the value k + 1.
fn valued(k: usize, slice: SliceFile) -> SliceFile {
    slice.pixels(&[1025 + k as u16; 24])
}

/// Five slices, changed.
fn five(change: impl Fn(usize, SliceFile) -> SliceFile) -> Files {
    series(5, 3.0, |k, s| change(k, valued(k, s)))
}

fn with(mut files: Files, name: &str, bytes: Vec<u8>) -> Files {
    files.push((name.into(), bytes));
    files
}

/// An object of another kind that carries the series UID of the CT, as some planning systems write it.
fn other(class: &str, modality: &str, matrix: bool) -> Vec<u8> {
    let object = SliceFile::axial(77, 40.0, 6, 4).text(tags::SOP_CLASS_UID, VR::UI, class).text(
        tags::MODALITY,
        VR::CS,
        modality,
    );
    if matrix {
        object.write()
    } else {
        object.without(tags::ROWS).without(tags::COLUMNS).without(tags::PIXEL_DATA).write()
    }
}

const RTDOSE: &str = "1.2.840.10008.5.1.4.1.1.481.2";
const RTSTRUCT: &str = "1.2.840.10008.5.1.4.1.1.481.3";
const SR: &str = "1.2.840.10008.5.1.4.1.1.88.11";

/// The same with its data set cut off within an element.
fn damaged(mut file: Vec<u8>) -> Vec<u8> {
    let place = file.windows(4).rposition(|w| w == [0x20, 0, 0x52, 0]).unwrap();
    file.truncate(place + 11);
    file
}

/// A file whose data set is implicit and whose meta group says that it is explicit, or the other way round.
fn mislabelled(slice: &SliceFile, written: &str, labelled: &str) -> Vec<u8> {
    let (mut right, wrong) = (slice.write_as(written), slice.write_as(labelled));
    let length = |bytes: &[u8]| 144 + u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    let data = right.split_off(length(&right));
    [&wrong[..length(&wrong)], &data].concat()
}

/// With every element behind group 0008 that has a short VR written as UN.
fn unknown(slice: &SliceFile) -> Vec<u8> {
    let bytes = slice.write();
    let start = 144 + u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    let (mut out, mut at) = (bytes[..start].to_vec(), start);
    while at < bytes.len() {
        let long = matches!(&bytes[at + 4..at + 6], b"OW" | b"OB" | b"SQ" | b"UN" | b"UT");
        let (head, length) = if long {
            (12, u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize)
        } else {
            (8, usize::from(u16::from_le_bytes(bytes[at + 6..at + 8].try_into().unwrap())))
        };
        if bytes[at] == 8 || long {
            out.extend(&bytes[at..at + head + length]);
        } else {
            out.extend(&bytes[at..at + 4]);
            out.extend(*b"UN\0\0");
            out.extend((length as u32).to_le_bytes());
            out.extend(&bytes[at + head..at + head + length]);
        }
        at += head + length;
    }
    out
}

/// Five slices whose known tags are written as UN.
pub(super) fn unknown_tags() -> Files {
    (0..5).map(|k| (k.to_string(), unknown(&valued(k, SliceFile::axial(k, 3.0 * k as f64, 6, 4))))).collect()
}

/// Five slices of implicit data that is called explicit.
pub(super) fn implicit_called_explicit() -> Files {
    let slice = |k: usize| valued(k, SliceFile::axial(k, 3.0 * k as f64, 6, 4));
    let (written, labelled) = (uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    (0..5).map(|k| (k.to_string(), mislabelled(&slice(k), written, labelled))).collect()
}

fn at(x: f64, z: f64) -> [f64; 3] {
    [x, 0.0, z]
}

const ALL: &[i16] = &[1, 2, 3, 4, 5];

fn rows() -> Vec<(&'static str, Files, Expected)> {
    let plain = five(|_, s| s);
    let slice = |k: usize| valued(k, SliceFile::axial(k, 3.0 * k as f64, 6, 4));
    let coronal = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
    let mut copies = plain.clone();
    copies.extend(plain.iter().take(2).map(|(name, bytes)| (format!("copy of {name}"), bytes.clone())));
    // A copy that an archive has sent again: other meta group, other description, the same pixels.
    let sent_again = slice(1).text(tags::SERIES_DESCRIPTION, VR::LO, "again").write();
    let same_uid = slice(1).pixels(&[9999; 24]).write();
    let mut turned_ten = plain.clone();
    turned_ten.extend((5..12).map(|k| (format!("{k}.dcm"), slice(k).write())));
    vec![
        ("nothing odd", plain.clone(), Read(ALL, "")),
        // Item 4.
        (
            "a tilt in the tag alone",
            five(|_, s| s.numbers(tags::GANTRY_DETECTOR_TILT, &[15.0])),
            Read(ALL, "the files tell of a gantry tilt of 15.0 degrees, but their slices lie straight"),
        ),
        (
            "a lean of 15 degrees without a tag",
            five(|k, s| {
                let z = 3.0 * k as f64;
                s.numbers(tags::IMAGE_POSITION_PATIENT, &[0.0, z * 15f64.to_radians().tan(), z])
            }),
            Refused("taken with the gantry tilted by 15.0 degrees"),
        ),
        // Item 15: a last slice that was moved makes no tilt.
        (
            "the last slice moved aside",
            five(|k, s| s.numbers(tags::IMAGE_POSITION_PATIENT, &at(if k == 4 { 1.5 } else { 0.0 }, 3.0 * k as f64))),
            Refused("4.dcm, the slice at z = 12.00 mm, is shifted sideways by 1.50 mm out of the stack; export"),
        ),
        (
            "jitter",
            five(|k, s| s.numbers(tags::IMAGE_POSITION_PATIENT, &at([0.0, 0.4, -0.4, 0.0, 0.5][k], 3.0 * k as f64))),
            Refused(
                "4.dcm, the slice at z = 12.00 mm, is shifted sideways by 0.50 mm out of the stack, as are 2 others less",
            ),
        ),
        // Item 10.
        ("two files twice", copies, Read(ALL, "copies of slices that are there twice were left out: 2")),
        ("a slice sent again", with(plain.clone(), "again.dcm", sent_again), Read(ALL, "copies of slices")),
        (
            "other pixels under the same UID",
            with(plain.clone(), "forged.dcm", same_uid),
            Refused("slices lie in the same place (1 too many, the first at z = 3.00 mm: 1.dcm and forged.dcm)"),
        ),
        // Item 11.
        (
            "a slice of another size in the middle",
            five(|k, s| if k == 2 { SliceFile::axial(2, 6.0, 5, 4) } else { s }),
            Refused("2.dcm, the slice at z = 6.00 mm, has 5 x 4 pixels and the others 6 x 4; export"),
        ),
        (
            "a turned slice in the middle",
            five(|k, s| if k == 2 { s.numbers(tags::IMAGE_ORIENTATION_PATIENT, &coronal) } else { s }),
            Refused("2.dcm, the slice at z = 6.00 mm, is turned by 90.0 degrees against the others; export"),
        ),
        (
            "a slice of another size at the end",
            five(|k, s| if k == 4 { SliceFile::axial(4, 12.0, 5, 4) } else { s }),
            Read(
                &ALL[..4],
                "4.dcm, a slice at the end of the series, has 5 x 4 pixels and the others 6 x 4 and was left out",
            ),
        ),
        (
            "a slice a little turned",
            five(
                |k, s| {
                    if k == 0 { s.numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 0.8, 0.6]) } else { s }
                },
            ),
            Refused("1 of 5 slices of the series (0.dcm first) are turned by up to 36.9 degrees"),
        ),
        (
            "a slice that became nothing",
            five(|_, s| s).into_iter().map(|(n, b)| if n == "2.dcm" { (n, vec![0; 50]) } else { (n, b) }).collect(),
            Refused(
                "1 between z = 3.00 and 9.00 mm (no DICOM, but perhaps meant to be: 2.dcm); export the whole series",
            ),
        ),
        (
            "a slice that was cut off in its header",
            five(|_, s| s).into_iter().map(|(n, b)| if n == "2.dcm" { (n, damaged(b)) } else { (n, b) }).collect(),
            Refused("2.dcm is a damaged DICOM file"),
        ),
        // Item 12.
        (
            "a dose in the series",
            with(plain.clone(), "dose", other(RTDOSE, "RTDOSE", true)),
            Read(ALL, "files that are no slices were left out: 1 RTDOSE"),
        ),
        (
            "contours in the series",
            with(plain.clone(), "rs", other(RTSTRUCT, "RTSTRUCT", false)),
            Read(ALL, "files that are no slices were left out: 1 RTSTRUCT"),
        ),
        (
            "a report in the series",
            with(plain.clone(), "sr", other(SR, "SR", true)),
            Read(ALL, "files that are no slices were left out: 1 SR"),
        ),
        (
            "a damaged report",
            with(plain.clone(), "sr.dcm", damaged(other(SR, "SR", true))),
            Read(ALL, "sr.dcm is a damaged SR file (it is cut off"),
        ),
        (
            "a dose alone",
            vec![("dose".into(), other(RTDOSE, "RTDOSE", true))],
            Refused("no DICOM image was found among 1 files (1 RTDOSE)"),
        ),
        // Item 13.
        (
            "implicit data called explicit",
            (0..5)
                .map(|k| {
                    (
                        k.to_string(),
                        mislabelled(&slice(k), uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN),
                    )
                })
                .collect(),
            Read(ALL, ""),
        ),
        (
            "explicit data called implicit",
            (0..5)
                .map(|k| {
                    (
                        k.to_string(),
                        mislabelled(&slice(k), uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN),
                    )
                })
                .collect(),
            Read(ALL, ""),
        ),
        ("known tags as UN", (0..5).map(|k| (k.to_string(), unknown(&slice(k)))).collect(), Read(ALL, "")),
        // Item 8.
        (
            "two patients",
            five(|k, s| if k == 3 { s.text(tags::PATIENT_ID, VR::LO, "B") } else { s }),
            Read(ALL, "the slices are of 2 patients"),
        ),
    ]
}

#[test]
fn folders_of_other_people_are_read_or_refused_with_the_reason() {
    for (name, files, expected) in rows() {
        match (read_series(files, SeriesChoice::Best), expected) {
            (Ok((volume, ..)), Read(values, warning)) => {
                let found: Vec<i16> = (0..volume.geometry.size[2]).map(|k| volume.slice(k)[0]).collect();
                assert_eq!(found, values, "{name}");
                assert!(volume.voxels.iter().all(|v| values.contains(v)), "{name}");
                match warning {
                    "" => assert!(volume.warnings.is_empty(), "{name}: {:?}", volume.warnings),
                    start => assert!(volume.warnings[0].starts_with(start), "{name}: {:?}", volume.warnings),
                }
            }
            (Err(error), Refused(said)) => assert!(error.to_string().contains(said), "{name}: {error}"),
            (Ok((volume, ..)), Refused(_)) => panic!("{name} was read: {:?}", volume.warnings),
            (Err(error), Read(..)) => panic!("{name} was refused: {error}"),
        }
    }
}

/// Three slices at `step` mm of a series with this number, kernel and image type, of `value`.
fn reconstruction(number: u16, slices: usize, step: f64, kernel: &str, image_type: &str, turned: bool) -> Files {
    let slice = |k: usize| {
        let z = k as f64 * step;
        let (cosines, place) = if turned {
            ([1.0, 0.0, 0.0, 0.0, 0.0, -1.0], [0.0, z, 0.0])
        } else {
            ([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, z])
        };
        SliceFile::axial(k, z, 6, 4)
            .numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines)
            .numbers(tags::IMAGE_POSITION_PATIENT, &place)
            .text(tags::SERIES_INSTANCE_UID, VR::UI, &format!("1.9.{number}"))
            .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{number}.{k}"))
            .text(tags::SERIES_NUMBER, VR::IS, &number.to_string())
            .text(tags::CONVOLUTION_KERNEL, VR::SH, kernel)
            .text(tags::IMAGE_TYPE, VR::CS, image_type)
            .pixels(&[1024 + number; 24])
            .write()
    };
    (0..slices).map(|k| (format!("{number}/{k}"), slice(k))).collect()
}

#[test]
fn of_several_series_the_best_is_read_and_the_choice_is_said() {
    let (axial, derived) = ("ORIGINAL\\PRIMARY\\AXIAL", "DERIVED\\SECONDARY\\MPR");
    let thick = || reconstruction(1, 7, 5.0, "B30f", axial, false);
    let rows: Vec<(&str, Vec<Files>, i16, &str)> = vec![
        (
            "thin before thick",
            vec![thick(), reconstruction(2, 31, 1.0, "B30f", axial, false)],
            2,
            "its slices are thin",
        ),
        (
            "soft before sharp",
            vec![reconstruction(1, 31, 1.0, "B70f", axial, false), reconstruction(2, 31, 1.0, "B30f", axial, false)],
            2,
            "its kernel is soft",
        ),
        (
            "axial before coronal",
            vec![reconstruction(1, 60, 1.0, "B30f", axial, true), reconstruction(2, 7, 5.0, "", axial, false)],
            2,
            "its slices are axial",
        ),
        (
            "the long one before a thin part",
            vec![thick(), reconstruction(2, 11, 1.0, "B30f", axial, false)],
            1,
            "it covers more of the body",
        ),
    ];
    for (name, series, value, reason) in rows {
        let count = series.len();
        let (volume, ..) = read_series(series.concat(), SeriesChoice::Best).unwrap();
        assert_eq!(volume.voxels[0], value, "{name}: {:?}", volume.warnings);
        let said = volume.warnings.last().unwrap();
        assert!(
            said.starts_with(&format!("the files hold {count} series; number {value} of them was read")),
            "{name}: {said}"
        );
        assert!(said.contains(reason), "{name}: {said}");
    }
    let original =
        [reconstruction(1, 40, 1.0, "", derived, false), reconstruction(2, 7, 5.0, "B30f", axial, false)].concat();
    let (volume, ..) = read_series(original.clone(), SeriesChoice::Best).unwrap();
    assert_eq!(volume.voxels[0], 2, "{:?}", volume.warnings);
    // Asked for by number or UID, nothing is said of a choice.
    for choice in ["1", "1.9.1"] {
        let (volume, info, _) = read_series(original.clone(), SeriesChoice::from_text(choice)).unwrap();
        assert_eq!((volume.voxels[0], info.uid.as_str(), volume.warnings.len()), (1, "1.9.1", 0));
    }
}

#[test]
fn thirty_two_series_are_counted_and_a_number_that_is_none_is_named() {
    let files: Files =
        (1..=32).flat_map(|n| reconstruction(n, 2, 1.0, "", "ORIGINAL\\PRIMARY\\AXIAL", false)).collect();
    assert_eq!(list_series(&files).unwrap().len(), 32);
    let (volume, ..) = read_series(files.clone(), SeriesChoice::Best).unwrap();
    assert!(
        volume.warnings[0].starts_with("the files hold 32 series; number 1 of them was read"),
        "{:?}",
        volume.warnings
    );
    let error = read_series(files, SeriesChoice::Listed(33)).unwrap_err();
    assert!(matches!(&error, DicomError::UnknownSeries { .. }));
    let said = error.to_string();
    assert!(said.contains("number 33") && said.ends_with("and 22 more"), "{said}");
}

#[test]
fn a_japanese_name_and_the_window_of_the_scanner_come_with_the_series() {
    // PS3.5 H.3.1; all its bytes are ASCII.
    let name = "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
    let sets = PrimitiveValue::Strs(["", "ISO 2022 IR 87"].map(String::from).into_iter().collect());
    let files = series(4, 2.0, |_, slice| {
        slice
            .element(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, sets.clone()))
            .text(tags::PATIENT_NAME, VR::PN, name)
            .numbers(tags::WINDOW_WIDTH, &[400.0, 1500.0])
            .numbers(tags::WINDOW_CENTER, &[40.0, -600.0])
    });
    let (_, info, _) = read_series(files, SeriesChoice::default()).unwrap();
    assert_eq!(info.patient.name, "Yamada^Tarou=山田^太郎=やまだ^たろう");
    assert_eq!(info.window, Some([400.0, 40.0]));
}
