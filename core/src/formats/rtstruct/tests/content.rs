use dicom_core::value::Value;
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::*;
use crate::formats::rtstruct::{Holes, read};

type Object = dicom_object::DefaultDicomObject;

/// The file as a library reads it.
fn opened(bytes: &[u8]) -> Object {
    dicom_object::from_reader(bytes).unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end().to_owned()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

fn two_organs() -> LabelVolume {
    drawn([9, 8, 5], |i, j, k| match (i, j, k) {
        (2, 3, 2) => None,
        (1..4, 1..6, 1..4) => Some(Organ::ParotidRight),
        (6..8, 2..4, 0..2) => Some(Organ::SpinalCord),
        _ => None,
    })
}

#[test]
fn a_structure_set_says_what_the_standard_asks_for() {
    let labels = two_organs();
    let object =
        opened(&write(&labels, &WriteOptions { label: "AI contours".into(), ..WriteOptions::default() }).unwrap());
    assert_eq!(object.meta().transfer_syntax().trim_end_matches('\0'), uids::IMPLICIT_VR_LITTLE_ENDIAN);
    for (tag, value) in [
        (tags::SOP_CLASS_UID, uids::RT_STRUCTURE_SET_STORAGE),
        (tags::SOP_INSTANCE_UID, "2.25.1"),
        (tags::SERIES_INSTANCE_UID, "2.25.2"),
        (tags::MODALITY, "RTSTRUCT"),
        (tags::PATIENT_NAME, "Secret^Name"),
        (tags::PATIENT_ID, "007"),
        (tags::PATIENT_BIRTH_DATE, ""),
        (tags::PATIENT_SEX, "F"),
        (tags::STUDY_INSTANCE_UID, "1.2"),
        (tags::STUDY_DATE, "20240229"),
        (tags::STUDY_TIME, ""),
        (tags::FRAME_OF_REFERENCE_UID, "1.2.4"),
        (tags::STRUCTURE_SET_LABEL, "AI contours"),
        (tags::STRUCTURE_SET_DATE, "19700101"),
        (tags::APPROVAL_STATUS, "UNAPPROVED"),
        (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100"),
    ] {
        assert_eq!(text(&object, tag), value, "{tag}");
    }
    assert!(text(&object, tags::STRUCTURE_SET_DESCRIPTION).contains("AttentionAnatomy 1.0, weights test 0123456789ab"));
    let frame = &items(&object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE)[0];
    let study = &items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE)[0];
    assert_eq!(text(study, tags::REFERENCED_SOP_INSTANCE_UID), "1.2");
    let series = &items(study, tags::RT_REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(text(series, tags::SERIES_INSTANCE_UID), "1.2.3");
    let images = items(series, tags::CONTOUR_IMAGE_SEQUENCE);
    let named: Vec<String> = images.iter().map(|i| text(i, tags::REFERENCED_SOP_INSTANCE_UID)).collect();
    assert_eq!(named, ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4", "1.2.3.5"]);

    let regions = items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE);
    let names: Vec<String> = regions.iter().map(|r| text(r, tags::ROI_NAME)).collect();
    assert_eq!(names, ["Parotid_R", "SpinalCord"]);
    for region in regions {
        assert_eq!(text(region, tags::ROI_GENERATION_ALGORITHM), "AUTOMATIC");
        assert_eq!(text(region, tags::REFERENCED_FRAME_OF_REFERENCE_UID), "1.2.4");
    }
    let observed: Vec<String> = items(&object, tags::RTROI_OBSERVATIONS_SEQUENCE)
        .iter()
        .map(|o| {
            let code = &items(o, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE)[0];
            format!("{} {}", text(o, tags::RTROI_INTERPRETED_TYPE), text(code, tags::CODE_VALUE))
        })
        .collect();
    assert_eq!(observed, ["ORGAN 45289007", "ORGAN 2748008"]);
    let drawings = items(&object, tags::ROI_CONTOUR_SEQUENCE);
    let colour = drawings[0].element(tags::ROI_DISPLAY_COLOR).unwrap().to_multi_int::<u8>().unwrap();
    assert_eq!(colour, Organ::ParotidRight.colour());
    // The parotid's hole is part of its contour: one contour a slice, on the slice that it names.
    let contours = items(&drawings[0], tags::CONTOUR_SEQUENCE);
    assert_eq!(contours.len(), 3);
    for (n, contour) in contours.iter().enumerate() {
        assert_eq!(text(contour, tags::CONTOUR_GEOMETRIC_TYPE), "CLOSED_PLANAR");
        let image = &items(contour, tags::CONTOUR_IMAGE_SEQUENCE)[0];
        assert_eq!(text(image, tags::REFERENCED_SOP_INSTANCE_UID), format!("1.2.3.{}", n + 2));
        let numbers = contour.element(tags::CONTOUR_DATA).unwrap().to_multi_str().unwrap();
        let count = contour.element(tags::NUMBER_OF_CONTOUR_POINTS).unwrap().to_int::<usize>().unwrap();
        assert!(count > 3 && numbers.len() == 3 * count);
        assert!(numbers.iter().all(|v| v.len() <= 16), "{numbers:?}");
    }
}

#[test]
fn holes_are_contours_of_their_own_where_that_is_asked_for() {
    let bytes = write(&two_organs(), &WriteOptions { holes: Holes::Xor, ..WriteOptions::default() }).unwrap();
    let object = opened(&bytes);
    let kinds = |n: usize| -> Vec<String> {
        let contours = items(&items(&object, tags::ROI_CONTOUR_SEQUENCE)[n], tags::CONTOUR_SEQUENCE);
        contours.iter().map(|c| text(c, tags::CONTOUR_GEOMETRIC_TYPE)).collect()
    };
    assert_eq!(kinds(0), ["CLOSEDPLANAR_XOR"; 4]);
    assert_eq!(kinds(1), ["CLOSED_PLANAR"; 2]);
}

#[test]
fn a_long_contour_keeps_all_its_points() {
    // More than 64 KiB of numbers in one contour: a comb.
    let labels = drawn([700, 6, 2], |i, j, k| (k == 0 && (j == 5 || i % 2 == 0)).then_some(Organ::Liver));
    let bytes = write(&labels, &WriteOptions::default()).unwrap();
    let object = opened(&bytes);
    let contour = &items(&items(&object, tags::ROI_CONTOUR_SEQUENCE)[0], tags::CONTOUR_SEQUENCE)[0];
    let data = contour.element(tags::CONTOUR_DATA).unwrap();
    let Value::Primitive(PrimitiveValue::Strs(numbers)) = data.value() else { panic!() };
    // Two corners below, two on each of the 350 teeth, one or two between neighbours, one right of the last.
    assert_eq!(numbers.len(), 3 * (2 + 2 * 350 + 2 * 349 + 2));
    assert_eq!(read_on(&read(&bytes).unwrap(), &labels.stored).labels.voxels, labels.voxels);
    assert_eq!(data.vr(), VR::DS);
}

#[test]
fn names_in_any_script_survive() {
    let labels = two_organs();
    for (name, set) in [("Müller^Jörg", "ISO_IR 100"), ("Yamada^Tarou=山田^太郎", "ISO_IR 192")] {
        let mut info = series(&labels.stored);
        info.patient.name = name.into();
        let structures = Structure::organs(&labels, |_| Drawn::Semiautomatic);
        let options = WriteOptions::default();
        let bytes =
            derive(&info, |made| crate::formats::rtstruct::write(&structures, &labels.geometry, &options, made));
        let object = opened(&bytes.unwrap());
        assert_eq!(text(&object, tags::PATIENT_NAME), name);
        assert_eq!(text(&object, tags::SPECIFIC_CHARACTER_SET), set);
        let region = &items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE)[0];
        assert_eq!(text(region, tags::ROI_GENERATION_ALGORITHM), "SEMIAUTOMATIC");
    }
}

#[test]
fn what_cannot_be_referred_to_is_refused_in_a_sentence() {
    let labels = two_organs();
    let structures = Structure::organs(&labels, |_| Drawn::Automatic);
    let options = WriteOptions::default();
    let geometry = labels.geometry.clone();
    let refused =
        |structures: &[Structure], geometry: &Geometry, change: fn(&mut crate::formats::dicom::SeriesInfo)| {
            let mut info = series(&labels.stored);
            change(&mut info);
            derive(&info, |made| crate::formats::rtstruct::write(structures, geometry, &options, made)).unwrap_err()
        };
    assert_eq!(refused(&[], &geometry, |_| {}), ExportError::Empty);
    let absent = Structure { label: 200, ..structures[0] };
    assert_eq!(refused(&[absent], &geometry, |_| {}), ExportError::Empty);
    let error = refused(&structures, &geometry, |s| s.frame_of_reference_uid.clear()).to_string();
    assert!(error.contains("FrameOfReferenceUID (0020,0052)"), "{error}");
    let error = refused(&structures, &geometry, |s| s.instances[2].sop_instance_uid.clear()).to_string();
    assert!(error.contains("SOPInstanceUID (0008,0018)"), "{error}");
    let mut moved = geometry.clone();
    moved.affine[2][3] += 0.5;
    assert!(matches!(refused(&structures, &moved, |_| {}), ExportError::OtherGrid { .. }));
    let error = refused(&structures, &geometry, |s| {
        s.grid = None;
        s.problem = Some(crate::formats::dicom::DicomError::SingleSlice);
    });
    assert!(error.to_string().contains("1 slice"), "{error}");
}
