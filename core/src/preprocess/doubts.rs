//! Are these numbers those of the anatomy table? What a label map that nothing names looks like in its CT.
//!
//! Every program numbers its organs by a list of its own, and 1 to 33 are in most of them: read by our list, a liver becomes an eye and
//! a spleen the brain stem. Four things tell: how large an organ can be, how dense it is, on which side it lies, and what lies above it.
//! None of them proves anything, so what is found is for a question to the user and for nothing else.

use std::collections::BTreeMap;

use super::Body;
use crate::anatomy::{Organ, Side};
use crate::volume::CtVolume;

/// What a number of a label map would be, and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberDoubts {
    /// The number.
    pub label: u8,
    /// Volume of its voxels, ml.
    pub volume_ml: f64,
    /// Median of their HU, to within 8.
    pub median_hu: i16,
    /// What speaks against the organ of that number, a clause each; empty where nothing does.
    pub doubts: Vec<String>,
}

/// Width of a bin of HU, and of the range that is counted.
const BIN_HU: i32 = 8;
const RANGE_HU: [i32; 2] = [-1024, 3072];
const BINS: usize = ((RANGE_HU[1] - RANGE_HU[0]) / BIN_HU) as usize;
/// A paired organ may reach so far over the middle of the body, mm.
const OVER_THE_MIDDLE_MM: f64 = 10.0;
/// An organ lies in the wrong order if it does with more than this share of those that it can be compared with.
const WRONG_ORDER: f64 = 0.5;

/// The largest that an organ becomes, ml, and the medians of HU that it may have: wide enough for the sick and for contrast medium.
fn expected(organ: Organ) -> (f64, [i16; 2]) {
    match organ {
        Organ::BrainStem => (60.0, [-20, 90]),
        Organ::ConstrictorNaris => (60.0, [-120, 160]),
        Organ::EarLeft | Organ::EarRight => (40.0, [-1024, 1200]),
        Organ::EyeLeft | Organ::EyeRight => (20.0, [-60, 110]),
        Organ::Hypophysis => (4.0, [-40, 400]),
        Organ::Larynx => (120.0, [-800, 250]),
        Organ::Mandible => (200.0, [120, 2200]),
        Organ::OralCavity => (300.0, [-300, 250]),
        Organ::ParotidLeft | Organ::ParotidRight => (90.0, [-140, 140]),
        Organ::SubmandibularGlandLeft | Organ::SubmandibularGlandRight => (30.0, [-100, 170]),
        Organ::SpinalCord => (150.0, [-60, 250]),
        Organ::SublingualGland => (30.0, [-120, 200]),
        Organ::TemporalLobeLeft | Organ::TemporalLobeRight => (180.0, [-20, 100]),
        Organ::TmjLeft | Organ::TmjRight => (30.0, [-150, 1500]),
        Organ::Trachea => (150.0, [-1024, -500]),
        Organ::Heart => (1800.0, [-40, 500]),
        Organ::LungLeft | Organ::LungRight => (5000.0, [-1024, -200]),
        Organ::Esophagus => (150.0, [-600, 200]),
        Organ::Gallbladder => (300.0, [-60, 300]),
        Organ::KidneyLeft | Organ::KidneyRight => (700.0, [-40, 400]),
        Organ::BowelBag => (8000.0, [-600, 250]),
        Organ::Liver => (4000.0, [-60, 300]),
        Organ::Pancreas => (300.0, [-120, 250]),
        Organ::Spleen => (3000.0, [-40, 300]),
        Organ::Stomach => (3000.0, [-950, 300]),
    }
}

/// What is counted of a number.
struct Counted {
    voxels: u64,
    hu: Vec<u32>,
    /// Sums of i and of k.
    at: [u64; 2],
    /// Of the middle of the body in the slice of each voxel, in voxels.
    middle: f64,
}

impl Counted {
    fn median_hu(&self) -> i16 {
        let mut below = 0u64;
        let bin = self.hu.iter().position(|&count| {
            below += u64::from(count);
            2 * below >= self.voxels
        });
        (RANGE_HU[0] + BIN_HU * bin.unwrap_or(0) as i32 + BIN_HU / 2) as i16
    }

    /// Means of k, and of i from the middle of the body.
    fn height(&self) -> f64 {
        self.at[1] as f64 / self.voxels as f64
    }

    fn off_middle(&self) -> f64 {
        (self.at[0] as f64 - self.middle) / self.voxels as f64
    }
}

/// What speaks against each number of a label map on the grid of `ct` being the organ of that number in the anatomy table, in the order
/// of the numbers. `labels` are in canonical order.
pub fn doubts_of_numbers(ct: &CtVolume, labels: &[u8]) -> Vec<NumberDoubts> {
    let [nx, ny, _] = ct.geometry.size;
    let area = (nx * ny).max(1);
    let body = Body::find(ct);
    let mut counted: BTreeMap<u8, Counted> = BTreeMap::new();
    for (k, (slice, hu)) in labels.chunks(area).zip(ct.voxels.chunks(area)).enumerate() {
        let middle = body.centre(k)[0];
        for (n, (&label, &hu)) in slice.iter().zip(hu).enumerate().filter(|(_, (label, _))| **label != 0) {
            let of = counted.entry(label).or_insert_with(|| Counted {
                voxels: 0,
                hu: vec![0; BINS],
                at: [0; 2],
                middle: 0.0,
            });
            of.voxels += 1;
            of.hu[(((i32::from(hu) - RANGE_HU[0]) / BIN_HU).max(0) as usize).min(BINS - 1)] += 1;
            of.at = [of.at[0] + (n % nx) as u64, of.at[1] + k as u64];
            of.middle += middle;
        }
    }
    let spacing = ct.geometry.spacing();
    let doubts = |(&label, of): (&u8, &Counted)| {
        let volume_ml = of.voxels as f64 * ct.geometry.voxel_ml();
        let median_hu = of.median_hu();
        let mut doubts = Vec::new();
        match Organ::from_label(label) {
            None => doubts.push("no organ has this number here".into()),
            Some(organ) => {
                let (most_ml, [low, high]) = expected(organ);
                if volume_ml > most_ml {
                    doubts.push(format!("too large (at most about {most_ml:.0} ml)"));
                }
                if !(low..=high).contains(&median_hu) {
                    doubts.push(format!("too {} for it", if median_hu < low { "thin" } else { "dense" }));
                }
                let off = of.off_middle() * spacing[0];
                match organ.side() {
                    // On the canonical grid i runs to the patient's left.
                    Side::Left if off < -OVER_THE_MIDDLE_MM => doubts.push("on the patient's right".into()),
                    Side::Right if off > OVER_THE_MIDDLE_MM => doubts.push("on the patient's left".into()),
                    _ => {}
                }
                doubts.extend(wrong_order(organ, of, &counted));
            }
        }
        NumberDoubts { label, volume_ml, median_hu, doubts }
    };
    counted.iter().map(doubts).collect()
}

/// Whether the organ lies on the wrong side of most of those that are surely further up or down the body.
fn wrong_order(organ: Organ, of: &Counted, all: &BTreeMap<u8, Counted>) -> Option<String> {
    let regions = |organ: Organ| {
        let all = organ.regions().iter().map(|region| region.index());
        Some((all.clone().min()?, all.max()?))
    };
    let (first, last) = regions(organ)?;
    let (mut compared, mut wrong) = (0, None::<(Organ, &str)>);
    let mut wrongs = 0;
    for (other, there) in all.iter().filter_map(|(&label, there)| Some((Organ::from_label(label)?, there))) {
        let Some((other_first, other_last)) = regions(other) else { continue };
        // Regions are numbered from the head down; k grows towards the head.
        let (should_be_above, word) = match () {
            () if last < other_first => (true, "below"),
            () if first > other_last => (false, "above"),
            () => continue,
        };
        compared += 1;
        if (of.height() > there.height()) != should_be_above {
            wrongs += 1;
            wrong = Some((other, word));
        }
    }
    let (other, word) = wrong.filter(|_| f64::from(wrongs) > WRONG_ORDER * f64::from(compared))?;
    Some(format!("{word} what would be the {}", other.name().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};

    #[test]
    fn right_numbers_raise_no_doubt_in_any_patient() {
        for set in [ScanSet::WholeBody].into_iter().chain(ScanSet::PARTIAL) {
            for seed in 0..3 {
                let options =
                    PhantomOptions { set, seed, matrix: 128, pixel_mm: 4.0, slice_mm: 5.0, ..Default::default() };
                let (ct, labels) = Phantom::new(options).unwrap().volume().unwrap();
                let found = doubts_of_numbers(&ct, &labels.voxels);
                assert!(found.len() >= 8, "{set:?}");
                for number in &found {
                    let organ = Organ::from_label(number.label).unwrap();
                    assert!(number.doubts.is_empty(), "{set:?} {seed} {organ}: {number:?}");
                }
            }
        }
    }

    #[test]
    fn the_lists_of_other_programs_raise_doubts_of_most_numbers() {
        // Organs by the numbers of TotalSegmentator 2, of the BTCV challenge, of AMOS; and ours with left and right exchanged.
        use Organ::*;
        let total = [
            (Spleen, 1),
            (KidneyRight, 2),
            (KidneyLeft, 3),
            (Gallbladder, 4),
            (Liver, 5),
            (Stomach, 6),
            (Pancreas, 7),
            (LungLeft, 10),
            (LungRight, 12),
            (Esophagus, 15),
            (Trachea, 16),
            (Heart, 51),
        ];
        // Both alike but for one.
        let with_pancreas = |number: u8| {
            [
                (Spleen, 1),
                (KidneyRight, 2),
                (KidneyLeft, 3),
                (Gallbladder, 4),
                (Esophagus, 5),
                (Liver, 6),
                (Stomach, 7),
                (Pancreas, number),
            ]
        };
        let (btcv, amos) = (with_pancreas(11), with_pancreas(10));
        let mirrored: Vec<(Organ, u8)> =
            [(EyeLeft, EyeRight), (ParotidLeft, ParotidRight), (LungLeft, LungRight), (KidneyLeft, KidneyRight)]
                .into_iter()
                .flat_map(|(left, right)| [(left, right.label()), (right, left.label())])
                .collect();
        let options = PhantomOptions { seed: 4, matrix: 128, pixel_mm: 4.0, slice_mm: 5.0, ..Default::default() };
        let (ct, labels) = Phantom::new(options).unwrap().volume().unwrap();
        for (name, list) in
            [("TotalSegmentator", &total[..]), ("BTCV", &btcv), ("AMOS", &amos), ("mirrored", &mirrored)]
        {
            let renumbered: Vec<u8> = labels
                .voxels
                .iter()
                .map(|&label| list.iter().find(|(organ, _)| organ.label() == label).map_or(0, |&(_, number)| number))
                .collect();
            let found = doubts_of_numbers(&ct, &renumbered);
            let doubted = found.iter().filter(|number| !number.doubts.is_empty()).count();
            assert!(found.len() == list.len() && 4 * doubted >= 3 * found.len(), "{name}: {found:#?}");
        }
    }

    #[test]
    fn a_real_label_map_of_another_program_is_doubted() {
        let data = |name: &str| {
            let bytes = std::fs::read(format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            vec![(name.to_owned(), bytes)]
        };
        let ct = formats::read_ct(data("ct-trunk-small.nii.gz")).unwrap();
        let labels = formats::read_labels(data("ct-trunk-small.labels.nii.gz")).unwrap();
        let found = doubts_of_numbers(&ct, &labels.voxels);
        // By its own list 5 is the liver, by ours the left eye.
        let liver = found.iter().find(|number| number.label == 5).unwrap();
        assert!(liver.doubts.iter().any(|doubt| doubt.starts_with("too large")), "{liver:?}");
        let doubted = found.iter().filter(|number| !number.doubts.is_empty()).count();
        assert!(3 * doubted >= 2 * found.len(), "{found:#?}");
    }
}
