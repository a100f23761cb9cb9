use dicom_core::value::Value;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::*;
use crate::formats::analytic::damaged_versions;
use crate::formats::archive::unzip;
use crate::formats::dicom::{self, SeriesChoice};
use crate::formats::rtstruct::{StructureSetError, read};

fn text(tag: dicom_core::Tag, vr: VR, value: &str) -> dicom_object::mem::InMemElement {
    DataElement::new(tag, vr, value)
}

/// Our own file, changed as other programs would have written it.
fn changed(syntax: &str, change: impl FnOnce(&mut InMemDicomObject)) -> (Vec<u8>, LabelVolume) {
    let labels = drawn([9, 8, 5], |i, j, k| {
        ((1..5).contains(&i) && (1..6).contains(&j) && (1..4).contains(&k)).then_some(Organ::Liver)
    });
    let object = dicom_object::from_reader(write(&labels, &WriteOptions::default()).unwrap().as_slice()).unwrap();
    let mut object = object.into_inner();
    change(&mut object);
    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    (bytes, labels)
}

/// Changes the items of a sequence.
fn each(object: &mut InMemDicomObject, tag: dicom_core::Tag, change: impl Fn(usize, &mut InMemDicomObject)) {
    object.update_value(tag, |value| {
        let Value::Sequence(items) = value else { panic!() };
        items.items_mut().iter_mut().enumerate().for_each(|(n, item)| change(n, item));
    });
}

/// Changes every contour.
fn contours(object: &mut InMemDicomObject, change: impl Fn(usize, &mut InMemDicomObject)) {
    each(object, tags::ROI_CONTOUR_SEQUENCE, |_, drawing| each(drawing, tags::CONTOUR_SEQUENCE, &change));
}

/// Shifts all points of a contour along z.
fn shift(contour: &mut InMemDicomObject, mm: f64) {
    let mut numbers = contour.element(tags::CONTOUR_DATA).unwrap().to_multi_float64().unwrap();
    numbers.iter_mut().skip(2).step_by(3).for_each(|z| *z += mm);
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    contour.put(text(tags::CONTOUR_DATA, VR::DS, &numbers.join("\\")));
}

#[test]
fn every_transfer_syntax_and_a_lost_preamble_are_read() {
    let deflated = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2", deflated] {
        let (bytes, labels) = changed(syntax, |_| {});
        assert_eq!(read_on(&read(&bytes).unwrap(), &labels.stored).labels.voxels, labels.voxels, "{syntax}");
        assert_eq!(read_on(&read(&bytes[128..]).unwrap(), &labels.stored).labels.voxels, labels.voxels, "{syntax}");
    }
    // Neither preamble nor meta group.
    let (bytes, labels) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, |_| {});
    let object = dicom_object::from_reader(bytes.as_slice()).unwrap().into_inner();
    let mut bare = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bare, &syntax).unwrap();
    assert_eq!(read_on(&read(&bare).unwrap(), &labels.stored).labels.voxels, labels.voxels);
}

/// What is said of a change, and whether the organ came out as drawn.
fn said(change: impl FnOnce(&mut InMemDicomObject)) -> (String, bool) {
    let (bytes, labels) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, change);
    let found = read_on(&read(&bytes).unwrap(), &labels.stored);
    (found.warnings.join("\n"), found.labels.voxels == labels.voxels)
}

#[test]
fn what_real_systems_write_is_taken_with_a_warning_that_names_the_structure() {
    // Within rounding of the plane: nothing to say.
    assert_eq!(said(|o| contours(o, |n, c| shift(c, 0.05 * n as f64 - 0.05))), (String::new(), true));
    let cases: Vec<(&str, (String, bool))> = vec![
        (
            "have no RTROIInterpretedType",
            said(|o| {
                each(o, tags::RTROI_OBSERVATIONS_SEQUENCE, |_, i| {
                    i.remove_element(tags::RTROI_INTERPRETED_TYPE);
                })
            }),
        ),
        (
            "have no RTROIInterpretedType",
            said(|o| {
                o.remove_element(tags::RTROI_OBSERVATIONS_SEQUENCE);
            }),
        ),
        ("Liver: 3 contours lie between two slices", said(|o| contours(o, |_, c| shift(c, 1.0)))),
        (
            "Liver: 3 contours have no ContourGeometricType",
            said(|o| {
                contours(o, |_, c| {
                    c.remove_element(tags::CONTOUR_GEOMETRIC_TYPE);
                })
            }),
        ),
        (
            "another number of points",
            said(|o| {
                contours(o, |_, c| {
                    c.put(text(tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "7"));
                })
            }),
        ),
        (
            "names no frame of reference",
            said(|o| {
                o.remove_element(tags::FRAME_OF_REFERENCE_UID);
                o.remove_element(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
            }),
        ),
        (
            "names another frame of reference than the CT, but refers to its slices",
            said(|o| {
                each(o, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, |_, i| {
                    i.put(text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "9.9"));
                });
            }),
        ),
        (
            "3 of 3 contours refer to slices that are not among those of the CT",
            said(|o| {
                contours(o, |_, c| {
                    each(c, tags::CONTOUR_IMAGE_SEQUENCE, |_, i| {
                        i.put(text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "9.9.9"));
                    });
                })
            }),
        ),
    ];
    for (expected, (said, exact)) in cases {
        assert!(said.contains(expected) && exact, "{expected}: {said} {exact}");
    }
    assert_eq!(
        said(|o| contours(o, |_, c| {
            c.remove_element(tags::CONTOUR_IMAGE_SEQUENCE);
        })),
        (String::new(), true)
    );
}

#[test]
fn what_is_no_area_is_left_out_and_said() {
    let kind = |kind: &'static str| {
        move |n: usize, c: &mut InMemDicomObject| {
            if n == 1 {
                c.put(text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, kind));
            }
        }
    };
    let data = |data: &'static str| {
        move |n: usize, c: &mut InMemDicomObject| {
            if n == 1 {
                c.put(text(tags::CONTOUR_DATA, VR::DS, data));
            }
        }
    };
    for (expected, (said, exact)) in [
        ("Liver: 1 open contours", said(|o| contours(o, kind("OPEN_PLANAR")))),
        ("Liver: 1 points were left out", said(|o| contours(o, kind("POINT")))),
        ("Liver: 1 contours of fewer than three points", said(|o| contours(o, data("1\\2\\3")))),
        ("Liver: 1 contours have no usable ContourData", said(|o| contours(o, data("1\\2\\3\\4")))),
        ("Liver: 1 contours have no usable ContourData", said(|o| contours(o, data("1\\2\\x")))),
        (
            "Liver: 1 contours that are not parallel",
            said(|o| contours(o, data("0\\13\\-200\\0\\14\\-204\\1\\14\\-200"))),
        ),
        (
            "Liver: 1 contours lie outside of the CT",
            said(|o| contours(o, |n, c| shift(c, if n == 1 { 500.0 } else { 0.0 }))),
        ),
    ] {
        assert!(said.contains(expected) && !exact, "{expected}: {said}");
        assert!(said.contains("Liver: 1 slices between the first and the last"), "{said}");
    }
}

#[test]
fn contours_on_finer_planes_and_doubled_ones_do_not_cancel() {
    let (bytes, labels) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, |_| {});
    let mut set = read(&bytes).unwrap();
    let between: Vec<_> = set.rois[0]
        .contours
        .iter()
        .map(|c| {
            let mut c = c.clone();
            c.points.iter_mut().for_each(|p| p[2] += 0.9);
            c
        })
        .collect();
    let twice = set.rois[0].contours[0].clone();
    set.rois[0].contours.extend(between);
    set.rois[0].contours.push(twice);
    let found = read_on(&set, &labels.stored);
    assert_eq!(found.labels.voxels, labels.voxels);
    let said = found.warnings.join("\n");
    assert!(
        said.contains("3 contours were left out because") && said.contains("1 contours that are there twice"),
        "{said}"
    );
}

#[test]
fn a_structure_set_of_another_patient_is_refused() {
    let (bytes, labels) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, |o| {
        each(o, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, |_, i| {
            i.put(text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "9.9"));
        });
        contours(o, |_, c| {
            c.remove_element(tags::CONTOUR_IMAGE_SEQUENCE);
        });
    });
    let grid = TargetGrid::of(&labels);
    let set = read(&bytes).unwrap();
    let error = structures(&set, &grid, Some(&SeriesLink::from(&series(&labels.stored)))).unwrap_err();
    assert!(matches!(&error, StructureSetError::OtherFrame { theirs, .. } if theirs == "9.9"), "{error}");
    // On a CT without identity, such as a NIfTI, coordinates are all there is.
    assert_eq!(structures(&set, &grid, None).unwrap().labels.voxels, labels.voxels);
}

#[test]
fn what_is_no_structure_set_is_said_to_be_something_else() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(error(b"nothing").contains("not DICOM"));
    let (bytes, _) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, |o| {
        o.put(text(tags::SOP_CLASS_UID, VR::UI, uids::RT_DOSE_STORAGE));
        o.put(text(tags::MODALITY, VR::CS, "RTDOSE"));
    });
    assert!(error(&bytes).contains("RTDOSE"));
    let (bytes, _) = changed(uids::IMPLICIT_VR_LITTLE_ENDIAN, |o| {
        o.remove_element(tags::STRUCTURE_SET_ROI_SEQUENCE);
    });
    assert!(error(&bytes).contains("StructureSetROISequence (3006,0020)"), "{}", error(&bytes));
}

#[test]
fn damaged_files_never_panic() {
    for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN] {
        let (bytes, labels) = changed(syntax, |_| {});
        let mut understood = 0;
        for damaged in damaged_versions(&bytes, 3000).chain(damaged_versions(&bytes[128..], 3000)) {
            if let Ok(set) = read(&damaged) {
                let _ = structures(&set, &TargetGrid::of(&labels), None);
                understood += 1;
            }
        }
        assert!(understood > 300, "{understood}");
    }
}

/// The files of other programs: rt-utils and MIM.
#[test]
fn structure_sets_of_other_programs_are_read() {
    let archive = format!("{}/../tests/data/rtstruct.zip", env!("CARGO_MANIFEST_DIR"));
    let files = unzip(&std::fs::read(archive).unwrap(), 64 << 20).unwrap();
    let named = |end: &str| files.iter().find(|(name, _)| name.ends_with(end)).unwrap().1.clone();
    let slices = files.iter().filter(|(name, _)| name.contains("/ct_")).cloned().collect::<Vec<_>>();
    let info = dicom::find_series(&slices, &SeriesChoice::Best).unwrap();
    let grid = TargetGrid::new(info.grid.clone().unwrap()).unwrap();
    let assert_counts = |structures: &Structures, expected: &[(&str, usize)]| {
        for (other, &(name, count)) in structures.others.iter().zip(expected) {
            let found: usize = other.voxels.iter().map(|r| r.len()).sum();
            assert_eq!(other.name, name);
            assert!(found.abs_diff(count) * 100 <= count, "{name}: {found} voxels, not {count}");
        }
        assert_eq!(structures.others.len(), expected.len());
    };

    // A square of 24 mm with a hole, in another frame of reference, on the first of the two slices.
    let set = read(&named("mock_data/rt.dcm")).unwrap();
    assert_eq!(set.rois[0].colour, Some([162, 136, 95]));
    let found = structures(&set, &grid, Some(&SeriesLink::from(&info))).unwrap();
    assert_counts(&found, &EXPECTED_RT);
    let said = found.warnings.join("\n");
    assert!(said.contains("another frame of reference") && said.contains("no RTROIInterpretedType"), "{said}");

    // Three slices, of which the CT has two.
    let set = read(&named("invalid_reference_rt.dcm")).unwrap();
    let found = structures(&set, &grid, Some(&SeriesLink::from(&info))).unwrap();
    assert_counts(&found, &EXPECTED_INVALID);
    let said = found.warnings.join("\n");
    assert!(said.contains("4 of 12 contours refer to slices that are not among those of the CT"), "{said}");
    assert!(said.contains("ROI-4: 1 contours lie outside of the CT"), "{said}");
}

/// Voxels by scikit-image's polygon fill on what pydicom reads (`tests/data/exchange/reference.py`).
const EXPECTED_RT: [(&str, usize); 1] = [("ROI-1", 1443)];
const EXPECTED_INVALID: [(&str, usize); 4] = [("ROI-1", 4976), ("ROI-2", 3697), ("ROI-3", 4519), ("ROI-4", 6954)];
