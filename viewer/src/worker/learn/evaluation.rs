//! What the network says of patients that it never saw, all of whose organs are known.
//!
//! The question of a demo on partially annotated sets is what becomes of an organ where a set shows it without
//! outlining it. So the score is parted: organs at heights where every set that gets there outlines them, and organs at
//! heights where some set gets there and leaves them out.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use attention_anatomy::dataset::{Augmentation, Batch, Hpa, PreparedCase, SliceRef, make_batch};
use attention_anatomy::preprocess::InputConfig;
use attention_anatomy::train::{SlicePredictions, Trainer, predict};
use burn::tensor::Device;

use super::demo::{SETS, Scan};
use crate::worker::error::DemoError;
use crate::worker::protocol::{LearnAnswer, LearnEvaluation, LearnSlice};

/// Every so many slices of the patients that are not shown.
const EVERY: usize = 8;
/// Slices that go through the network at once.
const AT_ONCE: usize = 8;

/// The held-out slices; the first ones are shown.
#[derive(Debug)]
pub(super) struct Evaluation {
    batches: Vec<Batch>,
    /// For every slice, organs that some set shows at its height without outlining them.
    contested: Vec<[bool; ORGAN_COUNT]>,
    titles: Vec<&'static str>,
}

impl Evaluation {
    /// `held_out`: whole bodies, the first of which is shown; `training`: what is learned from.
    pub fn new(held_out: Vec<Scan>, training: &[Scan], input: &InputConfig) -> Self {
        let mut slices = Vec::new();
        let mut titles = Vec::new();
        for (case, scan) in held_out.iter().enumerate() {
            if case == 0 {
                for (title, z_mm) in heights(scan) {
                    slices.push((case, scan.slice_at(z_mm)));
                    titles.push(title);
                }
            } else {
                slices.extend(scan.case.usable.iter().step_by(EVERY).map(|&k| (case, k)));
            }
        }
        let contested = slices.iter().map(|&(case, k)| contested(held_out[case].z_mm(k), training)).collect();
        let refs: Vec<SliceRef> = slices.into_iter().map(|(case, slice)| SliceRef { case, slice, seed: 0 }).collect();
        let cases: Vec<PreparedCase> = held_out.into_iter().map(|scan| scan.case).collect();
        let batches = refs
            .chunks(AT_ONCE)
            .map(|chunk| make_batch(&cases, chunk, input, Hpa::Off, &Augmentation::default()))
            .collect();
        Self { batches, contested, titles }
    }

    /// Image and truth of the slices that are shown.
    pub fn shown(&self) -> Vec<LearnSlice> {
        let slices = self.batches.iter().flat_map(|batch| {
            let pixels = batch.target.size[0] * batch.target.size[1];
            let stacks = batch.stacks.chunks_exact(batch.stacks.len() / batch.target.len());
            stacks.zip(batch.target.labels.chunks_exact(pixels)).zip(&batch.target.regions).map(
                move |((stack, truth), regions)| {
                    let centre = stack.len() / pixels / 2 * pixels;
                    let grey = |v: &f32| (v * 255.0).round() as u8;
                    let image: Vec<u8> = stack[centre..centre + pixels].iter().map(grey).collect();
                    (image, truth.to_vec(), regions.unwrap_or_default())
                },
            )
        });
        let named = self.titles.iter().zip(slices);
        named
            .map(|(title, (image, truth, regions))| LearnSlice { title: (*title).into(), image, truth, regions })
            .collect()
    }

    /// The network's present answers.
    ///
    /// # Errors
    /// [`DemoError`]: the device gave no answer.
    pub async fn measure(&self, trainer: &Trainer, device: &Device) -> Result<LearnEvaluation, DemoError> {
        let network = trainer.network().fold();
        let mut score = Score::default();
        let mut answers = Vec::new();
        let mut contested = self.contested.iter();
        for batch in &self.batches {
            let found = predict(&network, batch, OrganSet::ALL, device).await?;
            let pixels = batch.target.size[0] * batch.target.size[1];
            let pairs = batch.target.labels.chunks_exact(pixels).zip(found.labels.chunks_exact(pixels));
            for (b, ((truth, guess), contested)) in pairs.zip(&mut contested).enumerate() {
                let dice = score.add(truth, guess, contested);
                let regions = found.regions.as_ref().map(|r| r[b]);
                score.region(regions.as_ref(), batch.target.regions[b].as_ref());
                if answers.len() < self.titles.len() {
                    answers.push(answer(&found, b, guess, dice));
                }
            }
        }
        Ok(LearnEvaluation {
            step: trainer.steps_done(),
            dice_outlined: score.mean(0),
            dice_contested: score.mean(1),
            region_accuracy: score.region_accuracy(),
            answers,
        })
    }
}

fn answer(found: &SlicePredictions, b: usize, labels: &[u8], dice: Option<f32>) -> LearnAnswer {
    LearnAnswer {
        labels: labels.to_vec(),
        regions: found.regions.as_ref().map(|r| r[b]),
        attention: found.attention.as_ref().map(|a| a[b]),
        dice,
    }
}

/// The slices that are shown, from the head down, with their patient z.
fn heights(scan: &Scan) -> [(&'static str, f64); 6] {
    let [apex, heart, dome, kidneys] = scan.boundaries_mm;
    let (top, bottom) = (scan.z_mm(scan.case.grid.slices), scan.low_mm);
    let between = |a: f64, b: f64, t: f64| a + t * (b - a);
    [
        ("Head", between(apex, top, 0.6)),
        ("Neck", between(apex, top, 0.25)),
        ("Upper chest", between(apex, heart, 0.5)),
        ("Chest", between(heart, dome, 0.6)),
        ("Upper abdomen", between(dome, kidneys, 0.5)),
        ("Abdomen", between(kidneys, bottom, 0.35)),
    ]
}

pub(super) fn contested(z_mm: f64, training: &[Scan]) -> [bool; ORGAN_COUNT] {
    let mut result = [false; ORGAN_COUNT];
    for (index, set) in SETS.iter().enumerate() {
        if training.iter().any(|scan| scan.case.set == index && scan.reaches(z_mm)) {
            for organ in OrganSet::ALL.difference(set.annotated()).iter() {
                result[organ.index()] = true;
            }
        }
    }
    result
}

/// Sums over slices.
struct Score {
    /// Voxels in both, in the truth, in the answer; outlined and contested, by organ.
    counts: [[[u64; 3]; ORGAN_COUNT + 1]; 2],
    right: usize,
    known: usize,
}

impl Default for Score {
    fn default() -> Self {
        Self { counts: [[[0; 3]; ORGAN_COUNT + 1]; 2], right: 0, known: 0 }
    }
}

impl Score {
    /// Adds a slice; returns the mean Dice over the organs that it shows.
    fn add(&mut self, truth: &[u8], guess: &[u8], contested: &[bool; ORGAN_COUNT]) -> Option<f32> {
        let mut own = [[0u64; 3]; ORGAN_COUNT + 1];
        for (&t, &g) in truth.iter().zip(guess) {
            own[usize::from(t)][1] += 1;
            own[usize::from(g)][2] += 1;
            own[usize::from(t)][0] += u64::from(t == g);
        }
        for organ in Organ::ALL {
            let label = usize::from(organ.label());
            let sums = &mut self.counts[usize::from(contested[organ.index()])][label];
            for (sum, n) in sums.iter_mut().zip(own[label]) {
                *sum += n;
            }
        }
        mean_dice(&own)
    }

    fn region(&mut self, answer: Option<&[f32; 5]>, truth: Option<&[f32; 5]>) {
        let largest = |row: &[f32; 5]| (1..row.len()).fold(0, |best, r| if row[r] > row[best] { r } else { best });
        if let (Some(answer), Some(truth)) = (answer, truth) {
            self.known += 1;
            self.right += usize::from(largest(answer) == largest(truth));
        }
    }

    fn mean(&self, group: usize) -> Option<f32> {
        mean_dice(&self.counts[group])
    }

    fn region_accuracy(&self) -> Option<f32> {
        (self.known > 0).then(|| self.right as f32 / self.known as f32)
    }
}

/// Mean over the organs that the truth has.
fn mean_dice(counts: &[[u64; 3]; ORGAN_COUNT + 1]) -> Option<f32> {
    let there: Vec<f32> = counts[1..]
        .iter()
        .filter(|[_, truth, _]| *truth > 0)
        .map(|&[both, truth, guess]| 2.0 * both as f32 / (truth + guess) as f32)
        .collect();
    (!there.is_empty()).then(|| there.iter().sum::<f32>() / there.len() as f32)
}
