//! Voxels come back: through every orientation, with empty frames left out, with and without the CT.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::{DicomSegmentationError, read, structures};
use crate::anatomy::Organ;
use crate::formats::analytic::{self, damaged_versions, derive, series};
use crate::formats::dicom::ExportError;
use crate::formats::structures::{Drawn, SeriesLink, Structure, TargetGrid};
use crate::volume::{Geometry, LabelVolume, Modality, Volume};

fn write(labels: &LabelVolume) -> Result<Vec<u8>, ExportError> {
    let structures = Structure::organs(labels, |_| Drawn::Automatic);
    derive(&series(&labels.stored), |made| super::write(&structures, &labels.geometry, made))
}

/// A scan of 7 slices with organs on slices 1, 2 and 5.
fn sample() -> LabelVolume {
    let grid = Geometry::axial([11, 9, 7], [1.3, 0.7, 2.9], [-31.7, 12.4, -208.6]).unwrap();
    let label = |n: usize| match (n % 11, n / 11 % 9, n / 99) {
        (2..=5, 3..=7, 1 | 2 | 5) => Organ::KidneyRight.label(),
        (0, 0, 1) => Organ::BowelBag.label(),
        (7..=9, 1..=8, 2) => Organ::Liver.label(),
        _ => 0,
    };
    Volume::from_stored(grid, (0..11 * 9 * 7).map(label).collect(), Modality::Unknown).unwrap()
}

#[test]
fn voxels_survive_every_orientation_with_and_without_the_ct() {
    for axes in analytic::all_48_axes() {
        let what = format!("{axes:?}");
        let stored = analytic::stored(axes);
        let affine =
            std::array::from_fn(|r| [stored.steps[0][r], stored.steps[1][r], stored.steps[2][r], stored.origin[r]]);
        let grid = Geometry::new(stored.size, affine).unwrap();
        let labels = Volume::from_stored(grid.clone(), stored.labels, Modality::Unknown).unwrap();
        let segmentation = read(&write(&labels).unwrap()).unwrap();
        let link = SeriesLink::from(&series(&grid));
        let found = structures(&segmentation, Some(&TargetGrid::of(&labels)), Some(&link)).unwrap();
        assert!(found.warnings.is_empty(), "{what}: {:?}", found.warnings);
        analytic::assert_in_place(&found.labels, &what);
        // One of the phantom's boxes reaches through all slices along z, so without a CT the grid has them all only there.
        let alone = structures(&segmentation, None, None).unwrap();
        let voxels = |v: &LabelVolume, label: u8| v.voxels.iter().filter(|&&l| l == label).count();
        for label in 1..=3 {
            assert_eq!(voxels(&alone.labels, label), voxels(&labels, label), "{what}: {label}");
        }
    }
}

#[test]
fn only_frames_with_a_voxel_are_written_and_every_segment_says_what_it_is() {
    let labels = sample();
    let object = dicom_object::from_reader(write(&labels).unwrap().as_slice()).unwrap();
    let text =
        |object: &InMemDicomObject, tag: Tag| object.element(tag).unwrap().to_str().unwrap().trim_end().to_owned();
    assert_eq!(text(&object, tags::NUMBER_OF_FRAMES), "5");
    assert_eq!(text(&object, tags::SEGMENTATION_TYPE), "BINARY");
    assert_eq!(text(&object, tags::PATIENT_NAME), "Secret^Name");
    // Five frames of 99 pixels in whole 16-bit words.
    assert_eq!(object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len(), 62);
    let items = |object: &InMemDicomObject, tag: Tag| object.element(tag).unwrap().items().unwrap().to_vec();
    let segments = items(&object, tags::SEGMENT_SEQUENCE);
    let described: Vec<String> = segments
        .iter()
        .map(|s| {
            let kind = &items(s, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)[0];
            let side = kind.get(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE);
            let side = side.map(|s| text(&s.items().unwrap()[0], tags::CODE_VALUE));
            format!("{} {} {side:?}", text(s, tags::SEGMENT_LABEL), text(kind, tags::CODE_VALUE))
        })
        .collect();
    assert_eq!(described, ["Kidney_R 64033007 Some(\"24028007\")", "Bag_Bowel 123037004 None", "Liver 10200004 None"]);
    let frames = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let indices: Vec<Vec<u32>> = frames
        .iter()
        .map(|f| {
            let content = &items(f, tags::FRAME_CONTENT_SEQUENCE)[0];
            content.element(tags::DIMENSION_INDEX_VALUES).unwrap().to_multi_int().unwrap()
        })
        .collect();
    assert_eq!(indices, [[1, 1], [1, 2], [1, 3], [2, 1], [3, 2]]);
}

#[test]
fn without_the_ct_the_grid_reaches_from_the_first_frame_to_the_last() {
    let labels = sample();
    let found = structures(&read(&write(&labels).unwrap()).unwrap(), None, None).unwrap();
    assert_eq!(found.labels.geometry.size, [11, 9, 5]);
    assert_eq!(found.labels.voxels, labels.voxels[99..99 * 6]);
    let [a, b] = [found.labels.geometry.to_patient([0.0; 3]), labels.geometry.to_patient([0.0, 0.0, 1.0])];
    assert!((0..3).all(|r| (a[r] - b[r]).abs() < 1e-3));
    let [colour, expected] =
        [read(&write(&labels).unwrap()).unwrap().segments[2].colour.unwrap(), Organ::Liver.colour()];
    assert!((0..3).all(|n| colour[n].abs_diff(expected[n]) <= 1), "{colour:?}");
}

#[test]
fn the_last_pixel_lies_where_the_scan_has_it_whatever_its_spacing() {
    // Turned by 5 and by 3 degrees, with spacings of more decimals than anybody writes.
    let ((s, c), (t, d)) = (5f64.to_radians().sin_cos(), 3f64.to_radians().sin_cos());
    let axes = [[d, t * s, -t * c], [0.0, c, s], [t, -d * s, d * c]];
    let spacing = [500.0 / 513.0, 2.0 / 3.0, 1.0 / 0.7];
    let affine = std::array::from_fn(|r| {
        [axes[0][r] * spacing[0], axes[1][r] * spacing[1], axes[2][r] * spacing[2], [-249.51, -250.0 / 3.0, -1871.0][r]]
    });
    let size = [512, 300, 40];
    let grid = Geometry::new(size, affine).unwrap();
    let mut voxels = vec![0; grid.voxel_count()];
    for k in [0, size[2] - 1] {
        voxels[k * size[0] * size[1]] = Organ::Liver.label();
    }
    let labels = Volume::from_stored(grid.clone(), voxels, Modality::Unknown).unwrap();
    let found = structures(&read(&write(&labels).unwrap()).unwrap(), None, None).unwrap();
    assert_eq!(found.labels.stored.size, size);
    let last = size.map(|n| n as f64 - 1.0);
    for corner in [[0.0; 3], [last[0], 0.0, 0.0], [0.0, last[1], 0.0], last] {
        let [ours, theirs] = [&grid, &found.labels.stored].map(|grid| grid.to_patient(corner));
        // Rounded to four decimals, it was off by a hundred times as much.
        assert!((0..3).all(|r| (ours[r] - theirs[r]).abs() < 1e-6), "{corner:?}: {ours:?}, not {theirs:?}");
    }
}

#[test]
fn another_grid_or_frame_of_reference_is_refused() {
    let labels = sample();
    let segmentation = read(&write(&labels).unwrap()).unwrap();
    let mut info = series(&labels.stored);
    info.frame_of_reference_uid = "9.9".into();
    let error = structures(&segmentation, Some(&TargetGrid::of(&labels)), Some(&SeriesLink::from(&info))).unwrap_err();
    assert!(matches!(error, DicomSegmentationError::OtherFrame { .. }));
    let mut moved = labels.stored.clone();
    moved.affine[0][3] += 0.6;
    let error = structures(&segmentation, Some(&TargetGrid::new(moved).unwrap()), None).unwrap_err();
    assert_eq!(error, DicomSegmentationError::OtherGrid);
    let mut shorter = labels.stored.clone();
    shorter.size[2] = 5;
    let found = structures(&segmentation, Some(&TargetGrid::new(shorter).unwrap()), None).unwrap();
    assert_eq!(found.warnings, ["Kidney_R: 20 voxels lie outside of the CT"]);
}

/// Our own file, changed.
fn changed(change: impl FnOnce(&mut InMemDicomObject)) -> Vec<u8> {
    let mut object = dicom_object::from_reader(write(&sample()).unwrap().as_slice()).unwrap().into_inner();
    change(&mut object);
    let mut bytes = Vec::new();
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

/// As highdicom and others write it: every slice once, its pixels the numbers of the segments.
#[test]
fn label_maps_and_fractions_are_read() {
    let labels = sample();
    // The frames of the first segment, with its number, and the other two on them.
    let as_bytes = |wide: bool, kind: &'static str| {
        changed(move |o| {
            let frames = o.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap()[..3].to_vec();
            let number = |l: u8| match Organ::from_label(l) {
                Some(Organ::KidneyRight) => 1u8,
                Some(Organ::BowelBag) => 2,
                Some(_) => 3,
                None => 0,
            };
            let labels = sample();
            let pixels: Vec<u8> = [1, 2, 5].into_iter().flat_map(|k| labels.slice(k).to_vec()).map(number).collect();
            let pixels = match (kind, wide) {
                ("FRACTIONAL", _) => pixels.into_iter().map(|p| if p == 1 { 128 } else { 100 * p.min(1) }).collect(),
                (_, false) => pixels,
                (_, true) => pixels.into_iter().flat_map(|p| [p, 0]).collect(),
            };
            let bits = if wide { 16u16 } else { 8 };
            o.put(DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(bits)));
            o.put(DataElement::new(tags::SEGMENTATION_TYPE, VR::CS, kind));
            o.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "3"));
            let mut pixels: Vec<u8> = pixels;
            if pixels.len() % 2 == 1 {
                pixels.push(0);
            }
            o.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
            o.put(crate::formats::dicom::derived::sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames));
        })
    };
    let grid = TargetGrid::of(&labels);
    for wide in [false, true] {
        let found = structures(&read(&as_bytes(wide, "LABELMAP")).unwrap(), Some(&grid), None).unwrap();
        assert_eq!(found.labels.voxels, labels.voxels);
    }
    let found = structures(&read(&as_bytes(false, "FRACTIONAL")).unwrap(), Some(&grid), None).unwrap();
    let kidney = Organ::KidneyRight.label();
    let expected: Vec<u8> = labels.voxels.iter().map(|&l| if l == kidney { l } else { 0 }).collect();
    assert_eq!(found.labels.voxels, expected);
    assert!(found.warnings[0].contains("fractional"));
}

#[test]
fn a_segment_of_a_foreign_name_is_known_by_its_code() {
    let rename = |name: &'static str, category: &'static str| {
        changed(move |o| {
            o.update_value(tags::SEGMENT_SEQUENCE, |value| {
                let dicom_core::value::Value::Sequence(items) = value else { panic!() };
                let first = &mut items.items_mut()[0];
                first.put(DataElement::new(tags::SEGMENT_LABEL, VR::LO, name));
                let code = crate::formats::dicom::derived::code;
                first.put(code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category, "SCT", "what"));
            });
        })
    };
    let organ = |name, category| read(&rename(name, category)).unwrap().segments[0].organ;
    assert_eq!(organ("rene destro", "123037004"), Some(Organ::KidneyRight));
    assert_eq!(organ("rene destro", "49755003"), None);
    assert_eq!(organ("", "85756007"), Some(Organ::KidneyRight));
}

#[test]
fn what_is_no_segmentation_or_damaged_is_said_to_be() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(error(b"nothing").contains("not DICOM"));
    let drop = |tag: Tag| error(&changed(|o| _ = o.remove_element(tag)));
    assert!(drop(tags::SEGMENT_SEQUENCE).contains("SegmentSequence (0062,0002)"));
    assert!(drop(tags::PIXEL_DATA).contains("PixelData (7FE0,0010)"));
    assert!(drop(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).contains("ImageOrientationPatient (0020,0037)"));
    assert!(drop(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).contains("5 frames and describes 0"));
    let bytes = write(&sample()).unwrap();
    let labels = sample();
    for damaged in damaged_versions(&bytes, 3000) {
        if let Ok(segmentation) = read(&damaged) {
            let _ = structures(&segmentation, None, None);
            let _ = structures(&segmentation, Some(&TargetGrid::of(&labels)), None);
        }
    }
}
