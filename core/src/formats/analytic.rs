//! A phantom whose place in the patient is known without any reader: three boxes of different size on an odd grid.
//!
//! Tests encode it by small encoders of their own, which share no code with the readers, in every orientation that a
//! format can express, and ask where the organs came out.

use crate::volume::LabelVolume;

/// Voxels to the patient's left, posterior, superior.
const SIZE: [usize; 3] = [13, 11, 9];
/// Their distance in mm; not all exact in f32.
pub(crate) const SPACING: [f64; 3] = [1.3, 0.7, 2.9];
/// Patient LPS mm of the most right, anterior, inferior voxel.
const ORIGIN: [f64; 3] = [-31.7, 12.4, -208.6];
/// First and last voxel of each box along left, posterior, superior; labels 1, 2, 3.
const BOXES: [[[usize; 2]; 3]; 3] = [[[2, 4], [1, 3], [1, 2]], [[8, 11], [5, 9], [3, 7]], [[5, 5], [8, 8], [0, 8]]];

/// The label at a point in patient LPS mm.
fn label_at(point: [f64; 3]) -> u8 {
    let inside = |bounds: &[[usize; 2]; 3]| {
        (0..3).all(|a| {
            let low = ORIGIN[a] + (bounds[a][0] as f64 - 0.5) * SPACING[a];
            let high = ORIGIN[a] + (bounds[a][1] as f64 + 0.5) * SPACING[a];
            (low..high).contains(&point[a])
        })
    };
    BOXES.iter().position(inside).map_or(0, |n| n as u8 + 1)
}

/// The phantom as a scanner of any orientation would store it.
pub(crate) struct Stored {
    pub size: [usize; 3],
    /// Patient LPS mm from each voxel to the next along each stored axis.
    pub steps: [[f64; 3]; 3],
    /// Patient LPS mm of the first stored voxel.
    pub origin: [f64; 3],
    pub labels: Vec<u8>,
}

/// The phantom stored with unit steps along `axes`, three vectors of which each has one component of +-1.
pub(crate) fn stored(axes: [[f64; 3]; 3]) -> Stored {
    let patient_axis = axes.map(|d| d.iter().position(|c| c.abs() > 0.5).unwrap());
    let size = patient_axis.map(|a| SIZE[a]);
    let steps: [[f64; 3]; 3] =
        std::array::from_fn(|n| std::array::from_fn(|r| axes[n][r].round() * SPACING[patient_axis[n]]));
    let mut origin = ORIGIN;
    for (n, &a) in patient_axis.iter().enumerate() {
        if axes[n][a] < 0.0 {
            origin[a] += (size[n] - 1) as f64 * SPACING[a];
        }
    }
    let mut labels = Vec::new();
    for k in 0..size[2] {
        for j in 0..size[1] {
            for i in 0..size[0] {
                let ijk = [i as f64, j as f64, k as f64];
                labels.push(label_at(std::array::from_fn(|r| {
                    origin[r] + (0..3).map(|n| ijk[n] * steps[n][r]).sum::<f64>()
                })));
            }
        }
    }
    Stored { size, steps, origin, labels }
}

/// All 48 ways in which three stored axes can lie along the patient's axes.
pub(crate) fn all_48_axes() -> Vec<[[f64; 3]; 3]> {
    let mut all = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for bits in 0..8 {
            all.push(std::array::from_fn(|n| {
                let mut axis = [0.0; 3];
                axis[order[n]] = if bits >> n & 1 == 1 { -1.0 } else { 1.0 };
                axis
            }));
        }
    }
    all
}

/// Asserts that a reader put every organ where the phantom has it: centroids within 0.01 mm, every voxel's label.
pub(crate) fn assert_in_place(volume: &LabelVolume, what: &str) {
    assert_eq!(volume.geometry.size, SIZE, "{what}");
    let mut sum = [[0.0; 3]; 4];
    let mut count = [0.0; 4];
    for (n, &label) in volume.voxels.iter().enumerate() {
        let ijk = [n % SIZE[0], n / SIZE[0] % SIZE[1], n / (SIZE[0] * SIZE[1])];
        let point = volume.geometry.to_patient(ijk.map(|x| x as f64));
        assert_eq!(label, label_at(point), "{what}: voxel {ijk:?} at {point:?}");
        count[label as usize] += 1.0;
        (0..3).for_each(|a| sum[label as usize][a] += point[a]);
    }
    for (n, bounds) in BOXES.iter().enumerate() {
        let voxels: usize = bounds.iter().map(|[low, high]| high - low + 1).product();
        assert_eq!(count[n + 1], voxels as f64, "{what}: organ {}", n + 1);
        for a in 0..3 {
            let expected = ORIGIN[a] + SPACING[a] * (bounds[a][0] + bounds[a][1]) as f64 / 2.0;
            let found = sum[n + 1][a] / count[n + 1];
            assert!((found - expected).abs() < 0.01, "{what}: organ {} axis {a}: {found} not {expected}", n + 1);
        }
    }
}

/// Valid files, damaged in many ways: cut anywhere, bytes changed. The same on every run.
pub(crate) fn damaged_versions(file: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ file.len() as u64;
    let mut random = move |below: usize| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let file = file.to_vec();
    (0..count).map(move |n| {
        let mut damaged = file.clone();
        if n % 4 == 0 {
            damaged.truncate(random(file.len()));
        } else {
            for _ in 0..=random(8) {
                // Headers are where the damage does most harm; those of DICOM are longer.
                let reach = file.len().min([file.len(), 400, 400, 4000][random(4)]);
                damaged[random(reach)] = [0, 0xff, 0x7f, 0x80, random(256) as u8][random(5)];
            }
        }
        damaged
    })
}

/// A CT series on a stored grid, as the DICOM reader would describe it.
pub(crate) fn series(stored: &crate::volume::Geometry) -> super::dicom::SeriesInfo {
    use super::dicom::{PatientStudy, SeriesInfo, SliceReference};
    let d = stored.direction();
    let spacing = stored.spacing();
    SeriesInfo {
        uid: "1.2.3".into(),
        modality: crate::volume::Modality::Ct,
        description: "chest".into(),
        number: Some(3),
        image_type: Vec::new(),
        kernel: String::new(),
        window: None,
        slices: stored.size[2],
        size: [stored.size[0], stored.size[1]],
        spacing: Some(spacing),
        orientation: Some([d[0][0], d[1][0], d[2][0], d[0][1], d[1][1], d[2][1]]),
        grid: Some(stored.clone()),
        corrected_tilt: None,
        problem: None,
        study_uid: "1.2".into(),
        frame_of_reference_uid: "1.2.4".into(),
        patient_position: "HFS".into(),
        instances: (0..stored.size[2])
            .map(|k| SliceReference {
                sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
                sop_instance_uid: format!("1.2.3.{}", k + 1),
                frame: None,
                position: Some(stored.to_patient([0.0, 0.0, k as f64])),
                interpolated: false,
            })
            .collect(),
        patient: PatientStudy {
            name: "Secret^Name".into(),
            id: "007".into(),
            sex: "F".into(),
            study_date: "20240229".into(),
            study_id: "S1".into(),
            ..PatientStudy::default()
        },
    }
}

/// Writes an object made from a series with UIDs that count from 1 and a moment that never changes.
pub(crate) fn derive<T>(
    series: &super::dicom::SeriesInfo,
    write: impl FnOnce(super::dicom::Derivation) -> Result<T, super::dicom::ExportError>,
) -> Result<T, super::dicom::ExportError> {
    use super::dicom::{Author, Derivation, Moment};
    let author = Author { version: "1.0".into(), weights: Some("test 0123456789ab".into()) };
    let mut count = 0;
    let mut new_uid = || {
        count += 1;
        Ok(format!("2.25.{count}"))
    };
    write(Derivation { series, author: &author, moment: Moment::from_unix(0), new_uid: &mut new_uid })
}
