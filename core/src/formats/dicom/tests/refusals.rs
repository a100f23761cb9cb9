//! Each way in which a folder can be wrong has its own answer; and what is merely unusual is read.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::super::{DicomError, ExportError, SeriesChoice, can_refer, list_series, looks_like_dicom};
use super::{SliceFile, decode_slice, read_series, series};
use crate::volume::Modality;

fn refuse(files: Vec<(String, Vec<u8>)>) -> DicomError {
    let error = read_series(files, SeriesChoice::Best).unwrap_err();
    assert!(!error.to_string().contains("Secret"), "no patient name in {error}");
    error
}

fn at(z: f64) -> [f64; 3] {
    [0.0, 0.0, z]
}

#[test]
fn gaps_duplicates_and_uneven_spacing_are_told_apart() {
    let heights = |z: &[f64]| {
        let slice = |(k, &z): (usize, &f64)| (k.to_string(), SliceFile::axial(k, z, 6, 4).write());
        refuse(z.iter().enumerate().map(slice).collect())
    };
    let error = heights(&[0.0, 2.0, 4.0, 10.0, 12.0, 16.0, 18.0]);
    assert!(matches!(&error, DicomError::MissingSlices { missing: 3, .. }), "{error}");
    assert!(error.to_string().contains("2 between z = 4.00 and 10.00 mm, 1 between z = 12.00 and 16.00 mm"), "{error}");
    let error = heights(&[0.0, 2.0, 2.0, 4.0, 4.0, 6.0]);
    assert!(
        matches!(error, DicomError::DuplicatePositions { count: 2, axis: 'z', at_mm, .. } if at_mm == 2.0),
        "{error}"
    );
    let error = heights(&[0.0, 2.0, 4.0, 6.5, 8.5]);
    assert!(
        matches!(error, DicomError::UnevenSpacing { spacing, largest, at_mm, .. }
            if spacing == 2.0 && largest == 2.5 && at_mm == 4.0),
        "{error}"
    );
    assert_eq!(heights(&[5.0]), DicomError::SingleSlice);
}

#[test]
fn spacing_may_vary_by_a_fiftieth_of_a_millimetre_or_one_percent() {
    let jitter = |by: f64, spacing: f64| {
        let move_one = |k: usize, s: SliceFile| {
            let z = k as f64 * spacing + if k == 3 { by } else { 0.0 };
            s.numbers(tags::IMAGE_POSITION_PATIENT, &at(z))
        };
        read_series(series(8, spacing, move_one), SeriesChoice::Best)
    };
    assert!(jitter(0.019, 1.0).is_ok());
    assert!(matches!(jitter(0.021, 1.0), Err(DicomError::UnevenSpacing { .. })));
    assert!(jitter(0.049, 5.0).is_ok());
    assert!(matches!(jitter(0.051, 5.0), Err(DicomError::UnevenSpacing { .. })));
}

#[test]
fn tilt_is_refused_from_the_positions_and_not_from_the_tag() {
    let tagged = series(4, 3.0, |_, s| s.numbers(tags::GANTRY_DETECTOR_TILT, &[-7.5]));
    let (volume, ..) = read_series(tagged, SeriesChoice::Best).unwrap();
    assert_eq!(volume.warnings.len(), 1, "{:?}", volume.warnings);
    assert!(volume.warnings[0].starts_with("the files tell of a gantry tilt of 7.5 degrees"), "{:?}", volume.warnings);
    let level = series(4, 3.0, |_, s| s.numbers(tags::GANTRY_DETECTOR_TILT, &[0.0]));
    assert!(read_series(level, SeriesChoice::Best).is_ok());
    let lean = 10f64.to_radians().tan();
    let leaning = series(4, 3.0, |k, s| {
        let z = k as f64 * 3.0;
        s.numbers(tags::IMAGE_POSITION_PATIENT, &[0.0, z * lean, z])
    });
    let error = refuse(leaning);
    assert!(matches!(error, DicomError::GantryTilt { degrees } if (degrees - 10.0).abs() < 1e-3), "{error}");
    let shifted = series(5, 3.0, |k, s| {
        s.numbers(tags::IMAGE_POSITION_PATIENT, &[if k == 2 { 1.5 } else { 0.0 }, 0.0, k as f64 * 3.0])
    });
    let error = refuse(shifted);
    assert!(
        matches!(&error, DicomError::ShiftedSlice { axis: 'z', at_mm, shift_mm, file, count: 1 }
        if *at_mm == 6.0 && (shift_mm - 1.5).abs() < 1e-6 && file == "2.dcm"),
        "{error}"
    );
}

#[test]
fn missing_and_impossible_attributes_are_named_with_their_file() {
    for tag in [
        tags::PIXEL_SPACING,
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
    ] {
        let error = refuse(series(3, 2.0, |_, s| s.without(tag)));
        let code = format!("({:04X},{:04X})", tag.0, tag.1);
        assert!(
            matches!(error, DicomError::MissingAttribute { attribute, .. } if attribute.contains(&code)),
            "{error}"
        );
        assert!(error.to_string().starts_with("0.dcm has no usable"), "{error}");
    }
    let error = refuse(series(3, 2.0, |k, s| if k == 1 { s.without(tags::PIXEL_DATA) } else { s }));
    assert_eq!(error, DicomError::MissingPixelData { file: "1.dcm".into() });
    for bad in [[1.0, 0.0, 0.0, 0.0, 0.9, 0.0], [1.0, 0.0, 0.0, 0.1, 0.99, 0.0], [0.0; 6]] {
        let error = refuse(series(3, 2.0, |_, s| s.numbers(tags::IMAGE_ORIENTATION_PATIENT, &bad)));
        assert!(matches!(error, DicomError::BadOrientation { .. }), "{error}");
    }
    let error = refuse(series(3, 2.0, |_, s| s.text(tags::IMAGE_POSITION_PATIENT, VR::DS, "NaN\\0\\inf")));
    assert!(matches!(error, DicomError::MissingAttribute { .. }), "{error}");
}

#[test]
fn colour_odd_samples_and_cut_off_pixels_are_refused() {
    let colour = series(3, 2.0, |_, s| {
        s.unsigned(tags::SAMPLES_PER_PIXEL, 3).text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB")
    });
    assert!(matches!(refuse(colour), DicomError::Colour { samples: 3, .. }));
    let odd = series(3, 2.0, |_, s| s.unsigned(tags::BITS_ALLOCATED, 32));
    assert!(matches!(refuse(odd), DicomError::UnsupportedPixels { .. }));
    let short = series(3, 2.0, |_, s| s.pixels(&[0; 20]));
    let error = refuse(short);
    assert!(
        matches!(&error, DicomError::Decode { reason, .. } if reason == "48 bytes are needed and 40 are there"),
        "{error}"
    );
    let mut cut = series(3, 2.0, |_, s| s);
    let end = cut[1].1.len() - 10;
    cut[1].1.truncate(end);
    assert!(matches!(refuse(cut), DicomError::Decode { .. }));
}

#[test]
fn slices_that_do_not_belong_together_are_refused() {
    let error = refuse(series(6, 2.0, |k, s| if k > 3 { s.numbers(tags::PIXEL_SPACING, &[2.0, 2.5]) } else { s }));
    assert_eq!(error, DicomError::MixedPixelSpacing { a: [2.0, 2.0], b: [2.0, 2.5] });
    let error = refuse(series(6, 2.0, |k, s| if k > 3 { SliceFile::axial(k, k as f64 * 2.0, 5, 4) } else { s }));
    assert!(matches!(error, DicomError::MixedMatrix { a_columns: 6, b_columns: 5, .. }), "{error}");
    let (sin, cos) = 5f64.to_radians().sin_cos();
    let turned = [1.0, 0.0, 0.0, 0.0, cos, sin];
    let error =
        refuse(series(6, 2.0, |k, s| if k == 2 { s.numbers(tags::IMAGE_ORIENTATION_PATIENT, &turned) } else { s }));
    assert!(
        matches!(error, DicomError::MixedOrientation { odd: 1, slices: 6, degrees, ref file } if (degrees - 5.0).abs() < 1e-3 && file == "2.dcm"),
        "{error}"
    );
}

#[test]
fn slices_of_two_frames_of_reference_are_refused_and_named() {
    for other in ["1.2.99", ""] {
        let files = series(6, 2.0, |k, s| if k > 3 { s.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, other) } else { s });
        let error = refuse(files);
        assert_eq!(error, DicomError::MixedFrames { frames: 2, file: "4.dcm".into() });
    }
    let none = series(6, 2.0, |_, s| s.without(tags::FRAME_OF_REFERENCE_UID));
    assert!(read_series(none, SeriesChoice::Best).is_ok(), "without any, nothing contradicts");
}

#[test]
fn nothing_refers_to_slices_that_share_an_identifier() {
    let files = |shared: bool| {
        let change = |k: usize, s: SliceFile| {
            if shared && k > 3 { s.text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.0") } else { s }
        };
        series(6, 2.0, |k, s| change(k, s.pixels(&[1024 + k as u16; 24])))
    };
    let (volume, info, _) = read_series(files(false), SeriesChoice::Best).unwrap();
    assert_eq!(can_refer(&info, &volume.geometry), Ok(()));
    let (volume, info, _) = read_series(files(true), SeriesChoice::Best).unwrap();
    assert_eq!(can_refer(&info, &volume.geometry), Err(ExportError::SharedIdentifier(2)));
}

#[test]
fn a_scout_does_not_poison_its_series() {
    let coronal = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
    for typed in [true, false] {
        let files = series(9, 2.0, |k, s| match k {
            8 if typed => s.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER"),
            8 => s.numbers(tags::IMAGE_ORIENTATION_PATIENT, &coronal),
            _ => s,
        });
        let (volume, info, _) = read_series(files, SeriesChoice::Best).unwrap();
        assert_eq!(info.slices, 8);
        assert!(volume.warnings.iter().any(|w| w.starts_with("scouts") && w.ends_with(": 1")), "{:?}", volume.warnings);
    }
}

#[test]
fn ct_comes_before_a_larger_mr_and_a_series_can_be_asked_for() {
    let mut files = series(3, 2.0, |_, s| s);
    files.extend(series(7, 2.0, |k, s| {
        s.text(tags::MODALITY, VR::CS, "MR")
            .text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.9")
            .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.9.{k}"))
            .without(tags::RESCALE_SLOPE)
            .without(tags::RESCALE_INTERCEPT)
    }));
    files.push(("notes.txt".into(), b"Secret notes".to_vec()));
    files.push(("empty".into(), Vec::new()));
    let (volume, info, all) = read_series(files.clone(), SeriesChoice::Best).unwrap();
    assert_eq!((info.uid.as_str(), info.slices, all.len()), ("1.2.3", 3, 2));
    assert!(volume.voxels.iter().all(|&v| v == 0) && volume.modality == Modality::Ct);
    assert!(volume.warnings.iter().any(|w| w.contains("2 not DICOM")), "{:?}", volume.warnings);
    let (volume, info, _) = read_series(files.clone(), SeriesChoice::Uid("1.2.9".into())).unwrap();
    assert_eq!((info.slices, &volume.modality), (7, &Modality::Other("MR".into())));
    assert!(volume.voxels.iter().all(|&v| v == 1024));
    let error = read_series(files.clone(), SeriesChoice::Uid("7.7".into())).unwrap_err();
    assert_eq!(error, DicomError::UnknownSeries { uid: "7.7".into(), available: "1.2.3, 1.2.9".into() });
    // The list is the same whatever the order of the files.
    let listed = list_series(&files).unwrap();
    files.reverse();
    assert_eq!(list_series(&files).unwrap(), listed);
    // The patient travels with the series, and shows nowhere.
    assert_eq!(listed[0].patient.name, "Secret^Name");
    assert!(!format!("{listed:?}").contains("Secret"));
}

#[test]
fn a_folder_without_slices_says_what_it_holds() {
    let error = refuse(vec![("a".into(), b"hello".to_vec()), ("b".into(), vec![0; 500])]);
    assert_eq!(error, DicomError::NoImages { files: 2, found: "2 not DICOM".into() });
    assert_eq!(refuse(Vec::new()), DicomError::NoImages { files: 0, found: "nothing".into() });
}

#[test]
fn bare_data_sets_without_preamble_are_read() {
    for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"] {
        let bare = |k: usize| {
            let mut object = SliceFile::axial(k, k as f64, 6, 4);
            object.0.remove_element(tags::SPECIFIC_CHARACTER_SET);
            let bytes = object.write_as(syntax);
            // Behind preamble, prefix and meta group, whose length stands in its first element.
            let meta = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
            bytes[144 + meta..].to_vec()
        };
        let files: Vec<_> = (0..3).map(|k| (k.to_string(), bare(k))).collect();
        assert!(looks_like_dicom(&files[0].1));
        let (volume, ..) = read_series(files, SeriesChoice::Best).unwrap();
        assert!(volume.voxels.iter().all(|&v| v == 0), "{syntax}");
    }
    assert!(!looks_like_dicom(b"hello") && !looks_like_dicom(&[0x5c; 400]));
}

#[test]
fn stored_bits_signs_padding_and_clipping() {
    let slice =
        |stored: [u16; 4]| SliceFile::axial(0, 0.0, 2, 2).pixels(&stored).numbers(tags::RESCALE_INTERCEPT, &[0.0]);
    let values = |s: SliceFile| decode_slice(&s.write()).unwrap();
    // 12 bits in 16, signed, with an overlay in the unused bits above.
    let signed = slice([0x0FFF, 0xF800, 0x17FF, 5]);
    let signed =
        signed.unsigned(tags::BITS_STORED, 12).unsigned(tags::HIGH_BIT, 11).unsigned(tags::PIXEL_REPRESENTATION, 1);
    assert_eq!(values(signed.clone()), [-1, -2048, 2047, 5]);
    // The same bits left-aligned.
    let left =
        slice([0xFFF0, 0x8000, 0x7FF0, 0x0050]).unsigned(tags::BITS_STORED, 12).unsigned(tags::PIXEL_REPRESENTATION, 1);
    assert_eq!(values(left), [-1, -2048, 2047, 5]);
    // Inverted display changes no value.
    assert_eq!(values(signed.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")), [-1, -2048, 2047, 5]);
    // -2000 written as unsigned, as implicit files do; a range of padding; another modality keeps its values.
    let signed = slice([63536, 7, 8, 9]).unsigned(tags::PIXEL_REPRESENTATION, 1);
    assert_eq!(values(signed.clone().unsigned(tags::PIXEL_PADDING_VALUE, 63536)), [-1000, 7, 8, 9]);
    let range = signed.unsigned(tags::PIXEL_PADDING_VALUE, 9).unsigned(tags::PIXEL_PADDING_RANGE_LIMIT, 8);
    assert_eq!(values(range.clone()), [-2000, 7, -1000, -1000]);
    assert_eq!(values(range.text(tags::MODALITY, VR::CS, "PT")), [-2000, 7, 8, 9]);
    // Beyond i16: clipped, and said.
    let files = series(2, 1.0, |_, s| s.numbers(tags::RESCALE_SLOPE, &[40.0]));
    let (volume, ..) = read_series(files, SeriesChoice::Best).unwrap();
    assert!(volume.voxels.iter().all(|&v| v == i16::MAX));
    assert_eq!(volume.warnings, ["48 voxels were outside -32768 to 32767 and were clipped"]);
}

#[test]
fn a_ct_that_is_not_in_hu_says_so() {
    let files = series(2, 1.0, |_, s| s.text(tags::RESCALE_TYPE, VR::LO, "US"));
    let (volume, ..) = read_series(files, SeriesChoice::Best).unwrap();
    assert_eq!(volume.warnings, ["the CT declares its values as \"US\", not as HU"]);
}
