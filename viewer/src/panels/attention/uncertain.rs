//! The slices that deserve a second look: where the outlined voxels were won by the smallest margin.
//!
//! A slice's uncertainty is the mean of 1 - margin over its labelled voxels. It is measured slice by slice, only after the
//! slice has changed, and a few slices a frame, so that a whole-body scan never holds the window up.

use crate::document::Study;

/// Slices that are measured in one frame at most.
const SLICES_PER_FRAME: usize = 6;
/// Fewer labelled voxels than this say nothing about a slice.
const FEWEST_VOXELS: u32 = 20;

/// Uncertainty by slice, and what it was measured from.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    study: u64,
    slices: Vec<Score>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    /// Revisions of labels and margin.
    of: (u64, u64),
    value: Option<f32>,
}

impl Scores {
    /// Measures slices that have changed; true where more are waiting.
    pub fn update(&mut self, study: &Study) -> bool {
        let (labels, margin) = (study.labels.layer(), &study.margin);
        let count = margin.revisions().len();
        if self.study != study.number || self.slices.len() != count {
            *self = Self { study: study.number, slices: vec![Score::default(); count] };
        }
        let mut left = SLICES_PER_FRAME;
        for k in 0..count {
            let of = (labels.revisions()[k], margin.revisions()[k]);
            // A slice without a margin was never run.
            if of.1 == 0 || of == self.slices[k].of {
                continue;
            }
            if left == 0 {
                return true;
            }
            left -= 1;
            self.slices[k] = Score { of, value: uncertainty(&labels.slice(k), &margin.slice(k)) };
        }
        false
    }

    /// The least certain slices, the worst first.
    pub fn worst(&self, most: usize) -> Vec<(usize, f32)> {
        let mut all: Vec<(usize, f32)> =
            self.slices.iter().enumerate().filter_map(|(k, s)| Some((k, s.value?))).filter(|s| s.1 > 0.0).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }
}

fn uncertainty(labels: &[u8], margin: &[u8]) -> Option<f32> {
    let (mut voxels, mut sum) = (0u32, 0u64);
    for (&label, &margin) in labels.iter().zip(margin) {
        if label != 0 {
            voxels += 1;
            sum += u64::from(u8::MAX - margin);
        }
    }
    (voxels >= FEWEST_VOXELS).then(|| sum as f32 / (voxels * u32::from(u8::MAX)) as f32)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use attention_anatomy::volume::{Geometry, Modality, Volume};

    use super::*;
    use crate::worker::PackedMargin;

    fn study(size: [usize; 3]) -> Study {
        let geometry = Geometry::axial(size, [1.0; 3], [0.0; 3]).unwrap();
        let voxels = vec![0i16; size.iter().product()];
        Study::of_ct(3, String::new(), Arc::new(Volume::from_stored(geometry, voxels, Modality::Ct).unwrap()))
    }

    #[test]
    fn the_worst_slices_come_first_and_only_changed_ones_are_measured() {
        let mut study = study([8, 8, 40]);
        let mut scores = Scores::default();
        assert!(!scores.update(&study) && scores.worst(10).is_empty());
        for k in 0..40 {
            study.labels.apply_run_slice(k, &[30; 64]);
            study.margin.set(k, PackedMargin::of(&[255 - 5 * k as u8; 64]));
        }
        let frames = (1..).find(|_| !scores.update(&study)).unwrap();
        assert_eq!(frames, 40usize.div_ceil(SLICES_PER_FRAME));
        let worst = scores.worst(10);
        assert_eq!(worst.len(), 10);
        assert_eq!((worst[0].0, worst[9].0), (39, 30));
        assert!((worst[0].1 - 195.0 / 255.0).abs() < 1e-6);

        study.margin.set(39, PackedMargin::of(&[255; 64]));
        assert!(!scores.update(&study));
        assert_eq!(scores.worst(1)[0].0, 38);
    }

    #[test]
    fn margins_beside_the_labels_do_not_count_and_a_speck_is_no_evidence() {
        let labels: Vec<u8> = (0..100).map(|n| u8::from(n < 50)).collect();
        let margin: Vec<u8> = (0..100).map(|n| if n < 50 { 204 } else { 0 }).collect();
        assert!((uncertainty(&labels, &margin).unwrap() - 0.2).abs() < 1e-6);
        assert_eq!(uncertainty(&[1; 5], &[0; 5]), None);
    }
}
