//! Left is left: a phantom without any symmetry, through slices in all 24 right-angled orientations and as one
//! multi-frame file, has every organ where its closed form says.

use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::SeriesChoice;
use super::{SliceFile, read_series};
use crate::formats::analytic::derive;
use crate::formats::structures::{Drawn, Structure};
use crate::formats::{Reference, read_structures, rtstruct, seg};
use crate::volume::CtVolume;

/// Voxels, spacing and first voxel centre along the patient's x, y, z.
const SIZE: [usize; 3] = [22, 18, 14];
const SPACING: [f64; 3] = [2.0, 3.0, 2.5];
const ORIGIN: [f64; 3] = [-17.5, 31.0, -240.0];
/// Organs: HU, first and last voxel along x, y, z. No mirror image or turn of the set is the set.
const ORGANS: [(i16, [usize; 3], [usize; 3]); 5] = [
    (300, [2, 3, 1], [4, 5, 3]),
    (-700, [12, 2, 2], [19, 6, 9]),
    (60, [3, 10, 8], [9, 13, 12]),
    (1200, [14, 11, 5], [15, 16, 6]),
    (-90, [18, 14, 11], [20, 15, 12]),
];
const BACKGROUND: i16 = 0;

fn hu(voxel: [usize; 3]) -> i16 {
    let within =
        |(_, low, high): &&(i16, [usize; 3], [usize; 3])| (0..3).all(|a| (low[a]..=high[a]).contains(&voxel[a]));
    ORGANS.iter().find(within).map_or(BACKGROUND, |o| o.0)
}

/// Every organ's centre of mass in the patient, against the middle of its box.
fn assert_organs_in_place(volume: &CtVolume, label: &str) {
    let [nx, ny, _] = volume.geometry.size;
    for (value, low, high) in ORGANS {
        let mut sum = [0.0; 3];
        let mut count = 0usize;
        for (n, _) in volume.voxels.iter().enumerate().filter(|&(_, &v)| v == value) {
            let p = volume.geometry.to_patient([n % nx, n / nx % ny, n / (nx * ny)].map(|v| v as f64));
            (0..3).for_each(|a| sum[a] += p[a]);
            count += 1;
        }
        assert_eq!(count, (0..3).map(|a| high[a] - low[a] + 1).product::<usize>(), "{label}: voxels of {value} HU");
        for a in 0..3 {
            let expected = ORIGIN[a] + SPACING[a] * (low[a] + high[a]) as f64 / 2.0;
            let found = sum[a] / count as f64;
            assert!((found - expected).abs() < 0.01, "{label}: {value} HU lies at {found} along {a}, not {expected}");
        }
    }
    assert_eq!(volume.geometry.size, SIZE, "{label}");
}

/// A scan whose rows run along `row` and whose columns run along `column` (patient axis, negative direction).
struct Scan {
    row: (usize, bool),
    column: (usize, bool),
}

/// Head or feet first, on the back, the front or a side (PS3.3 C.7.3.1.1.2).
const POSITIONS: [&str; 5] = ["HFS", "FFS", "HFP", "FFP", "FFDR"];

impl Scan {
    fn all() -> Vec<Self> {
        let mut scans = Vec::new();
        for (row, column) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            for signs in 0..4 {
                scans.push(Self { row: (row, signs & 1 == 1), column: (column, signs & 2 == 2) });
            }
        }
        scans
    }

    fn normal(&self) -> usize {
        3 - self.row.0 - self.column.0
    }

    /// Slice number `n` along the patient axis of the normal: position, cosines, pixel spacing, HU.
    fn slice(&self, n: usize) -> ([f64; 3], [f64; 6], [f64; 2], Vec<i16>) {
        let along = |(axis, back): (usize, bool), step: usize| if back { SIZE[axis] - 1 - step } else { step };
        let voxel = |i: usize, j: usize| {
            let mut voxel = [0; 3];
            voxel[self.row.0] = along(self.row, i);
            voxel[self.column.0] = along(self.column, j);
            voxel[self.normal()] = n;
            voxel
        };
        let first = voxel(0, 0);
        let position = std::array::from_fn(|a| ORIGIN[a] + SPACING[a] * first[a] as f64);
        let mut cosines = [0.0; 6];
        cosines[self.row.0] = if self.row.1 { -1.0 } else { 1.0 };
        cosines[3 + self.column.0] = if self.column.1 { -1.0 } else { 1.0 };
        let pixels = (0..SIZE[self.column.0]).flat_map(|j| (0..SIZE[self.row.0]).map(move |i| (i, j)));
        let values = pixels.map(|(i, j)| hu(voxel(i, j))).collect();
        // Between rows first, then between columns.
        (position, cosines, [SPACING[self.column.0], SPACING[self.row.0]], values)
    }

    fn file(&self, n: usize) -> SliceFile {
        let (position, cosines, spacing, values) = self.slice(n);
        // Every slice has its own scale, as PET and some CT write it.
        let (slope, intercept) = [(1.0, -1024.0), (2.0, -2000.0), (0.5, -1000.0)][n % 3];
        let stored: Vec<u16> = values.iter().map(|&v| ((f64::from(v) - intercept) / slope) as u16).collect();
        SliceFile::axial(n, 0.0, SIZE[self.row.0] as u16, SIZE[self.column.0] as u16)
            .numbers(tags::IMAGE_POSITION_PATIENT, &position)
            .numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines)
            .numbers(tags::PIXEL_SPACING, &spacing)
            .numbers(tags::RESCALE_SLOPE, &[slope])
            .numbers(tags::RESCALE_INTERCEPT, &[intercept])
            // How the patient lay changes no place in the patient.
            .text(tags::PATIENT_POSITION, VR::CS, POSITIONS[(2 * self.row.0 + self.column.0) % POSITIONS.len()])
            // The instance numbers lie.
            .text(tags::INSTANCE_NUMBER, VR::IS, &((n * 5) % 7).to_string())
            .pixels(&stored)
    }
}

#[test]
fn organs_stay_in_place_through_every_orientation_and_file_order() {
    for scan in Scan::all() {
        let label = format!("rows {:?}, columns {:?}", scan.row, scan.column);
        let count = SIZE[scan.normal()];
        // 5 is coprime to all three sizes: every slice once, in disorder.
        let order = (0..count).map(|k| (k * 5 + 3) % count);
        let files = order.map(|n| (format!("{n}"), scan.file(n).write())).collect();
        let (volume, info, _) = read_series(files, SeriesChoice::Best).unwrap();
        assert_organs_in_place(&volume, &label);
        assert!(volume.warnings.is_empty(), "{:?}", volume.warnings);

        // The stored grid is the one of the slices, and the instances follow it.
        assert_eq!(info.grid.as_ref(), Some(&volume.stored));
        assert_eq!(info.orientation, Some(scan.slice(0).1));
        assert!(POSITIONS.contains(&info.patient_position.as_str()), "{label}: {}", info.patient_position);
        for (k, instance) in info.instances.iter().enumerate() {
            let n: usize = instance.sop_instance_uid.rsplit('.').next().unwrap().parse().unwrap();
            let (position, ..) = scan.slice(n);
            let found = volume.stored.to_patient([0.0, 0.0, k as f64]);
            assert!((0..3).all(|a| (found[a] - position[a]).abs() < 1e-6), "{label}: slice {k}");
            assert_eq!(instance.position, Some(position), "{label}: slice {k}");
        }
    }
}

#[test]
fn organs_stay_in_place_through_structure_sets_and_segmentations_of_every_orientation() {
    for scan in Scan::all() {
        let label = format!("rows {:?}, columns {:?}", scan.row, scan.column);
        let files: Vec<(String, Vec<u8>)> =
            (0..SIZE[scan.normal()]).map(|n| (format!("{n}"), scan.file(n).write())).collect();
        let (ct, info, _) = read_series(files.clone(), SeriesChoice::default()).unwrap();
        let number = |hu: i16| ORGANS.iter().position(|organ| organ.0 == hu).map_or(0, |n| n as u8 + 1);
        let labels = ct.with_voxels(ct.voxels.iter().map(|&hu| number(hu)).collect());
        let organs = Structure::organs(&labels, |_| Drawn::Automatic);
        let options = rtstruct::WriteOptions::default();
        let contours = derive(&info, |made| rtstruct::write(&organs, &labels.geometry, &options, made)).unwrap();
        let segments = derive(&info, |made| seg::write(&organs, &labels.geometry, made)).unwrap();
        let hu = |l: u8| if l == 0 { BACKGROUND } else { ORGANS[usize::from(l) - 1].0 };
        // Contours find their series beside them; segments are put on the grid of the CT.
        let beside = [files, vec![("structures".into(), contours)]].concat();
        let reference = Reference::of(&ct, Some(&info));
        for found in
            [read_structures(beside, None), read_structures(vec![("segments".into(), segments)], Some(&reference))]
        {
            let found = found.unwrap();
            assert!(found.warnings.is_empty(), "{label}: {:?}", found.warnings);
            let back = found.labels.with_voxels(found.labels.voxels.iter().map(|&l| hu(l)).collect());
            assert_organs_in_place(&back, &label);
        }
    }
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> dicom_object::mem::InMemElement {
    DataElement::new(tag, VR::SQ, Value::Sequence(DataSetSequence::new(items, Length::UNDEFINED)))
}

fn numbers(tag: Tag, values: &[f64]) -> dicom_object::mem::InMemElement {
    let texts: Vec<String> = values.iter().map(|v| format!("{v}")).collect();
    DataElement::new(tag, VR::DS, PrimitiveValue::Strs(texts.into()))
}

fn group(tag: Tag, elements: Vec<dicom_object::mem::InMemElement>) -> dicom_object::mem::InMemElement {
    sequence(tag, vec![InMemDicomObject::from_element_iter(elements)])
}

#[test]
fn enhanced_multi_frame_ct_is_read_by_its_functional_groups() {
    let scan = Scan { row: (0, true), column: (2, true) };
    let count = SIZE[scan.normal()];
    let mut frames = Vec::new();
    let mut stored = Vec::new();
    for k in 0..count {
        let n = (k * 5 + 3) % count;
        let (position, _, _, values) = scan.slice(n);
        let intercept = -1024.0 - n as f64;
        stored.extend(values.iter().map(|&v| (f64::from(v) - intercept) as u16));
        frames.push(InMemDicomObject::from_element_iter([
            group(tags::PLANE_POSITION_SEQUENCE, vec![numbers(tags::IMAGE_POSITION_PATIENT, &position)]),
            group(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![numbers(tags::RESCALE_INTERCEPT, &[intercept]), numbers(tags::RESCALE_SLOPE, &[1.0])],
            ),
        ]));
    }
    let (_, cosines, spacing, _) = scan.slice(0);
    let shared = InMemDicomObject::from_element_iter([
        group(tags::PLANE_ORIENTATION_SEQUENCE, vec![numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines)]),
        group(tags::PIXEL_MEASURES_SEQUENCE, vec![numbers(tags::PIXEL_SPACING, &spacing)]),
    ]);
    let mut file = SliceFile::axial(1, 0.0, SIZE[0] as u16, SIZE[2] as u16)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &count.to_string())
        .element(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]))
        .element(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames))
        .pixels(&stored);
    for tag in [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING] {
        file = file.without(tag);
    }
    for tag in [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT] {
        file = file.without(tag);
    }
    for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"] {
        let files = vec![("enhanced".to_owned(), file.write_as(syntax))];
        let (volume, info, _) = read_series(files, SeriesChoice::Best).unwrap();
        assert_organs_in_place(&volume, syntax);
        // Stored k counts along row x column, which here is +y: frame numbers tell where each slice is in the file.
        let expected: Vec<u32> =
            (0..count).map(|n| (0..count).position(|k| (k * 5 + 3) % count == n).unwrap() as u32 + 1).collect();
        let found: Vec<u32> = info.instances.iter().map(|i| i.frame.unwrap()).collect();
        assert!(found == expected || found.iter().rev().eq(&expected), "{found:?}");
    }
}
