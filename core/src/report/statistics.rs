//! Volume, density and place of every organ, measured in one pass over the volume.
//!
//! One pass, because a whole-body CT does not fit in a cache: thirty-three passes would take longer than the network.
//! The pass also counts each organ's voxels in every axial, coronal and sagittal plane, which is what choosing planes
//! to show needs.

use super::{ReportError, ReportInput};
use crate::anatomy::{ORGAN_COUNT, Organ, Side};
use crate::csv::{number, push_record};
use crate::preprocess::scanned_slices;
use crate::raster::label_runs;

/// Whether the scan ends inside an organ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutByScan {
    /// The organ touches neither the first nor the last slice that shows anything ([`scanned_slices`]).
    No,
    /// It reaches the most inferior of them.
    Inferior,
    /// It reaches the most superior of them.
    Superior,
    /// It reaches both.
    Both,
}

impl CutByScan {
    /// `no`, `inferior`, `superior` or `both`.
    pub fn id(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Inferior => "inferior",
            Self::Superior => "superior",
            Self::Both => "both",
        }
    }
}

/// What the label map and the CT say of one organ.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganStatistics {
    /// Which organ.
    pub organ: Organ,
    /// Voxels, at least 1.
    pub voxels: u64,
    /// Volume in millilitres.
    pub ml: f64,
    /// Mean HU.
    pub mean_hu: f64,
    /// Standard deviation of HU over the voxels (divided by their number, not one less).
    pub std_hu: f64,
    /// Smallest HU.
    pub min_hu: i16,
    /// Largest HU.
    pub max_hu: i16,
    /// Most inferior canonical slice that contains the organ.
    pub first_slice: usize,
    /// Most superior canonical slice that contains the organ.
    pub last_slice: usize,
    /// Patient S (LPS z) of the centre of `first_slice`, mm.
    pub first_mm: f64,
    /// Patient S (LPS z) of the centre of `last_slice`, mm.
    pub last_mm: f64,
    /// Mean position of the voxel centres in patient LPS mm.
    pub centroid_mm: [f64; 3],
    /// Whether the scan ends inside the organ, which makes its volume incomplete.
    pub cut: CutByScan,
}

/// The statistics of all organs in a label map.
#[derive(Clone, Debug)]
pub struct Statistics {
    organs: [Option<OrganStatistics>; ORGAN_COUNT],
    /// For the axes i, j, k: voxels of each organ in each plane across it, `[plane * ORGAN_COUNT + organ]`.
    planes: [Vec<u32>; 3],
}

#[derive(Clone, Copy)]
struct Sums {
    voxels: u64,
    hu: i64,
    hu_squared: i64,
    index: [u64; 3],
    min: i16,
    max: i16,
}

impl Sums {
    /// Adds the HU of some voxels.
    fn add(&mut self, hus: &[i16]) {
        self.voxels += hus.len() as u64;
        // As many as cannot overflow a sum of 32 bits: vectors do it without a check.
        for hus in hus.chunks(1 << 15) {
            self.hu += i64::from(hus.iter().fold(0i32, |sum, &hu| sum.wrapping_add(i32::from(hu))));
            let square = |hu: i16| i64::from(i32::from(hu).wrapping_mul(i32::from(hu)));
            self.hu_squared += hus.iter().fold(0i64, |sum, &hu| sum.wrapping_add(square(hu)));
            self.min = hus.iter().fold(self.min, |min, &hu| min.min(hu));
            self.max = hus.iter().fold(self.max, |max, &hu| max.max(hu));
        }
    }
}

impl Statistics {
    /// Measures every organ of the label map.
    ///
    /// # Errors
    /// [`ReportError`] when CT, labels and slices do not belong together or a label is not in the anatomy table.
    pub fn measure(seg: &ReportInput) -> Result<Self, ReportError> {
        seg.check()?;
        let geometry = &seg.ct.geometry;
        let [nx, ny, nz] = geometry.size;
        let empty = Sums { voxels: 0, hu: 0, hu_squared: 0, index: [0; 3], min: i16::MAX, max: i16::MIN };
        let mut sums = [empty; ORGAN_COUNT];
        let mut planes = [vec![0u32; nx * ORGAN_COUNT], vec![0u32; ny * ORGAN_COUNT], vec![0u32; nz * ORGAN_COUNT]];
        // Of each organ: how many more voxels a column has than the one before it.
        let mut steps = vec![0i32; (nx + 1) * ORGAN_COUNT];
        let mut unknown = None;
        let rows = seg.labels.voxels.chunks_exact(nx).zip(seg.ct.voxels.chunks_exact(nx));
        for (row, (labels, hus)) in rows.enumerate() {
            let (j, k) = (row % ny, row / ny);
            label_runs(labels, |label, start, end| {
                let c = usize::from(label) - 1;
                let Some(s) = sums.get_mut(c) else {
                    unknown = unknown.or(Some(label));
                    return;
                };
                let count = end - start;
                s.add(&hus[start..end]);
                // The indices of a run are as far below as above their middle.
                for (sum, twice) in s.index.iter_mut().zip([start + end - 1, 2 * j, 2 * k]) {
                    *sum += (twice * count / 2) as u64;
                }
                steps[start * ORGAN_COUNT + c] += 1;
                steps[end * ORGAN_COUNT + c] -= 1;
                planes[1][j * ORGAN_COUNT + c] += count as u32;
                planes[2][k * ORGAN_COUNT + c] += count as u32;
            });
        }
        if let Some(label) = unknown {
            return Err(ReportError::Label(label));
        }
        let mut column = [0i32; ORGAN_COUNT];
        for (plane, steps) in planes[0].chunks_exact_mut(ORGAN_COUNT).zip(steps.chunks_exact(ORGAN_COUNT)) {
            for ((voxels, now), step) in plane.iter_mut().zip(&mut column).zip(steps) {
                *now += step;
                *voxels = now.cast_unsigned();
            }
        }
        let scanned = scanned_slices(seg.ct);
        let organs = Organ::ALL.map(|organ| {
            let s = sums[organ.index()];
            if s.voxels == 0 {
                return None;
            }
            let n = s.voxels as f64;
            let mean_hu = s.hu as f64 / n;
            let holds = |k: &usize| planes[2][k * ORGAN_COUNT + organ.index()] > 0;
            let (first_slice, last_slice) = ((0..nz).find(holds)?, (0..nz).rfind(holds)?);
            Some(OrganStatistics {
                organ,
                voxels: s.voxels,
                ml: n * geometry.voxel_ml(),
                mean_hu,
                std_hu: (s.hu_squared as f64 / n - mean_hu * mean_hu).max(0.0).sqrt(),
                min_hu: s.min,
                max_hu: s.max,
                first_slice,
                last_slice,
                first_mm: seg.ct.geometry.slice_mm(first_slice),
                last_mm: seg.ct.geometry.slice_mm(last_slice),
                centroid_mm: geometry.to_patient(s.index.map(|sum| sum as f64 / n)),
                cut: match (first_slice <= scanned.start, last_slice + 1 >= scanned.end) {
                    (false, false) => CutByScan::No,
                    (true, false) => CutByScan::Inferior,
                    (false, true) => CutByScan::Superior,
                    (true, true) => CutByScan::Both,
                },
            })
        });
        Ok(Self { organs, planes })
    }

    /// The statistics of `organ`; `None` when it has no voxel.
    pub fn get(&self, organ: Organ) -> Option<&OrganStatistics> {
        self.organs[organ.index()].as_ref()
    }

    /// The organs that have voxels, in table order.
    pub fn found(&self) -> impl Iterator<Item = &OrganStatistics> {
        self.organs.iter().flatten()
    }

    /// Voxels of `organ` in plane `index` across `axis` (0, 1, 2 for i, j, k: sagittal, coronal, axial).
    pub fn plane_voxels(&self, axis: usize, index: usize, organ: Organ) -> u32 {
        self.planes[axis][index * ORGAN_COUNT + organ.index()]
    }

    /// The most voxels that `organ` has in any plane across `axis`.
    pub fn largest_plane(&self, axis: usize, organ: Organ) -> u32 {
        self.planes[axis].chunks_exact(ORGAN_COUNT).map(|p| p[organ.index()]).max().unwrap_or(0)
    }

    /// The organs a report speaks of, in table order: those the weights drew, and any other in the label map.
    pub fn rows(&self, seg: &ReportInput) -> Vec<Organ> {
        Organ::ALL.into_iter().filter(|&o| seg.is_enabled(o) || self.get(o).is_some()).collect()
    }
}

/// One row for each organ that was switched on (absent ones with 0 ml), comma-separated as RFC 4180 has it.
///
/// `first_slice` and `last_slice` count from 1 at the most inferior, as on screen and in the report, `first_k` and `last_k` are the same from 0,
/// as in arrays; positions are patient LPS mm (x to the patient's left, y to the posterior,
/// z to the superior); HU statistics are over the organ's voxels.
pub fn statistics_csv(seg: &ReportInput, statistics: &Statistics) -> String {
    let mut out = String::new();
    push_record(
        &mut out,
        [
            "organ",
            "name",
            "tg263",
            "patient_side",
            "volume_ml",
            "voxels",
            "mean_hu",
            "std_hu",
            "min_hu",
            "max_hu",
            "first_slice",
            "last_slice",
            "first_k",
            "last_k",
            "first_slice_z_mm",
            "last_slice_z_mm",
            "centroid_x_left_mm",
            "centroid_y_posterior_mm",
            "centroid_z_superior_mm",
            "cut_by_scan_end",
            "training_patients",
            "validation_dice",
        ],
    );
    for organ in statistics.rows(seg) {
        let mut row: Vec<String> =
            [organ.id(), organ.name(), organ.tg263(), side(organ)].into_iter().map(String::from).collect();
        match statistics.get(organ) {
            Some(s) => {
                row.extend([number(s.ml, 3), s.voxels.to_string(), number(s.mean_hu, 1), number(s.std_hu, 1)]);
                row.extend([s.min_hu.to_string(), s.max_hu.to_string()]);
                row.extend([s.first_slice + 1, s.last_slice + 1, s.first_slice, s.last_slice].map(|n| n.to_string()));
                row.extend([number(s.first_mm, 2), number(s.last_mm, 2)]);
                row.extend(s.centroid_mm.map(|v| number(v, 2)));
                row.push(s.cut.id().to_string());
            }
            None => {
                row.extend(["0.000".to_string(), "0".to_string()]);
                row.extend(std::iter::repeat_n(String::new(), 14));
            }
        }
        let trained = seg.trained(organ);
        row.push(trained.map(|t| t.patients.to_string()).unwrap_or_default());
        row.push(trained.and_then(|t| t.validation_dice).map(|d| number(d, 3)).unwrap_or_default());
        push_record(&mut out, row);
    }
    out
}

/// `left` or `right` of the patient for one of a pair, else nothing.
fn side(organ: Organ) -> &'static str {
    match organ.side() {
        Side::Left => "left",
        Side::Right => "right",
        Side::Midline | Side::Unpaired => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{organ, run, trained};
    use super::*;
    use crate::infer::SliceAnatomy;
    use crate::volume::{Geometry, Modality, Volume};

    /// A box of the liver with HU = i, and one voxel of the left lung in the last slice.
    fn phantom() -> (Volume<i16>, Volume<u8>) {
        let geometry = Geometry::axial([20, 16, 10], [1.5, 2.0, 3.0], [-10.0, 5.0, 100.0]).unwrap();
        let (mut hu, mut labels) = (vec![0i16; 3200], vec![0u8; 3200]);
        for k in 2..=5 {
            for j in 3..=6 {
                for i in 4..=12 {
                    let n = i + 20 * (j + 16 * k);
                    hu[n] = i as i16;
                    labels[n] = organ("liver").label();
                }
            }
        }
        let n = 19 + 20 * (15 + 16 * 9);
        hu[n] = -800;
        labels[n] = organ("lung_left").label();
        let ct = Volume::from_stored(geometry, hu, Modality::Ct).unwrap();
        let labels = ct.with_voxels(labels);
        (ct, labels)
    }

    #[test]
    fn a_box_has_the_statistics_that_arithmetic_gives() {
        let (ct, labels) = phantom();
        let trained = trained(&["liver", "lung_left", "spleen"]);
        let run = run();
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let all = Statistics::measure(&seg).unwrap();
        let s = all.get(organ("liver")).unwrap();
        assert_eq!(s.voxels, 9 * 4 * 4);
        assert!((s.ml - 144.0 * 9.0 / 1000.0).abs() < 1e-12);
        assert!((s.mean_hu - 8.0).abs() < 1e-12);
        // The uniform distribution on n equally spaced values has variance (n^2 - 1) / 12.
        assert!((s.std_hu - (80.0f64 / 12.0).sqrt()).abs() < 1e-9);
        assert_eq!((s.min_hu, s.max_hu, s.first_slice, s.last_slice), (4, 12, 2, 5));
        assert_eq!((s.first_mm, s.last_mm), (106.0, 115.0));
        let expected = [-10.0 + 8.0 * 1.5, 5.0 + 4.5 * 2.0, 100.0 + 3.5 * 3.0];
        assert!((0..3).all(|a| (s.centroid_mm[a] - expected[a]).abs() < 1e-9));
        assert_eq!(s.cut, CutByScan::No);
        let lung = all.get(organ("lung_left")).unwrap();
        assert_eq!((lung.voxels, lung.min_hu, lung.std_hu, lung.cut), (1, -800, 0.0, CutByScan::Superior));
        assert!(all.get(organ("spleen")).is_none());
        assert_eq!(all.plane_voxels(0, 4, organ("liver")), 16);
        assert_eq!(all.plane_voxels(1, 3, organ("liver")), 36);
        assert_eq!(all.largest_plane(2, organ("liver")), 36);
    }

    #[test]
    fn a_scan_ends_where_its_file_goes_on_with_nothing() {
        let (mut ct, labels) = phantom();
        let trained = trained(&["liver"]);
        let run = run();
        let plane = 20 * 16;
        let cut = |ct: &Volume<i16>| {
            let seg = ReportInput { ct, labels: &labels, slices: &[], trained: &trained, run: &run };
            Statistics::measure(&seg).unwrap().get(organ("liver")).unwrap().cut
        };
        // The liver lies in slices 2 to 5 of ten.
        ct.voxels[..2 * plane].fill(-1000);
        assert_eq!(cut(&ct), CutByScan::Inferior);
        ct.voxels[6 * plane..].fill(-1024);
        assert_eq!(cut(&ct), CutByScan::Both);
        // A single voxel of anything denser than air above it, and the scan goes on there.
        ct.voxels[8 * plane + 7] = -200;
        assert_eq!(cut(&ct), CutByScan::Inferior);
        // Of a scan that shows nothing as dense as a body all slices are.
        ct.voxels.fill(-800);
        assert_eq!(cut(&ct), CutByScan::No);
    }

    #[test]
    fn the_table_has_a_row_for_each_organ_that_was_switched_on() {
        let (ct, labels) = phantom();
        let mut trained = trained(&["liver", "lung_left", "spleen", "heart"]);
        trained[3].enabled = false;
        let run = run();
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let csv = statistics_csv(&seg, &Statistics::measure(&seg).unwrap());
        let lines: Vec<Vec<&str>> = csv.split_terminator("\r\n").map(|l| l.split(',').collect()).collect();
        assert_eq!(lines.len(), 4, "header, lung, liver, spleen: {csv}");
        assert!(lines.iter().all(|l| l.len() == 22), "{csv}");
        assert_eq!((lines[1][0], lines[1][3], lines[1][19]), ("lung_left", "left", "superior"));
        assert_eq!(lines[0][10..14], ["first_slice", "last_slice", "first_k", "last_k"]);
        assert_eq!(lines[2][10..14], ["3", "6", "2", "5"]);
        assert_eq!((lines[2][0], lines[2][4], lines[2][6]), ("liver", "1.296", "8.0"));
        assert_eq!((lines[3][0], lines[3][4], lines[3][5], lines[3][6]), ("spleen", "0.000", "0", ""));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let (ct, labels) = phantom();
        let (trained, run) = (trained(&["liver"]), run());
        let mut wrong = labels.clone();
        wrong.voxels[0] = 34;
        let seg = ReportInput { ct: &ct, labels: &wrong, slices: &[], trained: &trained, run: &run };
        assert_eq!(Statistics::measure(&seg).unwrap_err(), ReportError::Label(34));
        let mut moved = labels.clone();
        moved.geometry.affine[2][3] += 3.0;
        let seg = ReportInput { labels: &moved, ..seg };
        assert!(matches!(Statistics::measure(&seg), Err(ReportError::Grid { .. })));
        let slices = [SliceAnatomy { slice: 10, position_mm: 130.0, regions: [0.2; 5], attention: None }];
        let seg = ReportInput { labels: &labels, slices: &slices, ..seg };
        assert_eq!(Statistics::measure(&seg).unwrap_err(), ReportError::Slice { slice: 10, slices: 10 });
    }
}
