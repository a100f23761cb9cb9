//! Who is who in the sets of a training, and on which side of a split everybody stands.
//!
//! The same scan is published under several names: a second group contours it, a challenge reuses it, somebody lists a folder twice. A
//! patient who is trained on and measured makes a figure that lies, so cases are told apart by
//!
//! 1. the patient that they name: `patient` in the manifest, or the id where there is none, compared across all sets but those whose
//!    manifest says `own_patients`;
//! 2. the content of their CT: SHA-256 of its matrix and its HU in canonical order. Spacing and position are left out on purpose: sets
//!    exist that carry one scan with estimated spacing, or with its origin reset, and no two scans of patients share all their HU.
//!
//! Cases that agree in either are one patient with several annotations, which is what partially annotated data looks like, and
//! stand on one side of every split. Between `train` and `test`, which the manifests choose, that is an error.
//!
//! Where nobody occurs twice a split is what it has always been: the cases of each set in the order of a hash of seed, set and id, the last
//! ones held out. A set that shares a patient with one before it holds that patient out as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::{CaseEntry, DataSet, Fold};
use crate::volume::CtVolume;

/// What tells scans apart: SHA-256 of matrix and HU. Says nothing of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScanKey([u8; 32]);

impl ScanKey {
    /// Of a CT. A second for a gigabyte.
    pub fn of(ct: &CtVolume) -> Self {
        let mut sha = Sha256::new();
        for n in ct.geometry.size {
            sha.update((n as u64).to_le_bytes());
        }
        let mut bytes = Vec::new();
        for voxels in ct.voxels.chunks(1 << 16) {
            bytes.clear();
            bytes.extend(voxels.iter().flat_map(|hu| hu.to_le_bytes()));
            sha.update(&bytes);
        }
        Self(sha.finalize().into())
    }
}

impl From<ScanKey> for String {
    fn from(key: ScanKey) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for ScanKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |n: usize| text.get(2 * n..2 * n + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let bytes: Option<Vec<u8>> = (0..32).map(digit).collect();
        match bytes.and_then(|bytes| bytes.try_into().ok()).filter(|_| text.len() == 64) {
            Some(key) => Ok(Self(key)),
            None => Err(format!("`{text}` is not the hash of a scan")),
        }
    }
}

/// What two cases have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The CT.
    Scan,
    /// The patient that they name.
    Patient(String),
    /// Other cases.
    Others,
}

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scan => f.write_str("both are the same scan"),
            Self::Patient(name) => {
                write!(
                    f,
                    "both are patient `{name}` (if these are two people: `own_patients` in the manifest of a set says that its ids are its own, and `patient` in a case who it is)"
                )
            }
            Self::Others => f.write_str("other cases say that both are one patient"),
        }
    }
}

/// A patient on both sides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{train} is there to be trained on and {test} to test with, and {shared}: what is measured on a patient that was trained on says \
     nothing; give both the same `split`, or leave one of them out"
)]
pub struct SplitConflict {
    /// `set/id` of a case of the `train` split.
    pub train: String,
    /// `set/id` of one of the `test` split.
    pub test: String,
    /// Why they are one patient.
    pub shared: Shared,
}

/// Training and held-out cases of a set, each in the order of the split.
pub type Sides<'a> = (Vec<&'a CaseEntry>, Vec<&'a CaseEntry>);

/// The patients of several sets.
#[derive(Clone, Debug, Default)]
pub struct Patients {
    /// Number of the patient of each case, by set and id.
    numbers: Vec<HashMap<String, usize>>,
}

impl Patients {
    /// Tells the patients of `sets` apart. `key` gives the scan of a case by set and id, where it is known.
    ///
    /// # Errors
    /// [`SplitConflict`].
    pub fn tell_apart(sets: &[&DataSet], key: impl Fn(usize, &str) -> Option<ScanKey>) -> Result<Self, SplitConflict> {
        let cases: Vec<(usize, &CaseEntry)> =
            sets.iter().enumerate().flat_map(|(n, set)| set.cases.iter().map(move |case| (n, case))).collect();
        let keys: Vec<Option<ScanKey>> = cases.iter().map(|(n, case)| key(*n, &case.id)).collect();
        // Each case points to an earlier one of the same patient, or to itself.
        let mut earlier: Vec<usize> = (0..cases.len()).collect();
        let (mut by_name, mut by_scan) = (HashMap::new(), HashMap::new());
        // Ids of a set that says so are no other set's.
        let name =
            |set: usize, case: &'_ CaseEntry| (sets[set].own_patients.then_some(set), case.patient().to_string());
        for (n, (set, case)) in cases.iter().enumerate() {
            let same_name = *by_name.entry(name(*set, case)).or_insert(n);
            let same_scan = keys[n].map_or(n, |key| *by_scan.entry(key).or_insert(n));
            for other in [same_name, same_scan] {
                let (a, b) = (first(&mut earlier, n), first(&mut earlier, other));
                earlier[a.max(b)] = a.min(b);
            }
        }
        let patients: Vec<usize> = (0..cases.len()).map(|n| first(&mut earlier, n)).collect();
        let mut tested: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for n in (0..cases.len()).filter(|&n| cases[n].1.split == "test") {
            tested.entry(patients[n]).or_default().push(n);
        }
        for train in (0..cases.len()).filter(|&n| cases[n].1.split == "train") {
            let Some(tests) = tested.get(&patients[train]) else { continue };
            let shared = |test: usize| match (keys[train], keys[test]) {
                (Some(a), Some(b)) if a == b => Shared::Scan,
                _ if name(cases[train].0, cases[train].1) == name(cases[test].0, cases[test].1) => {
                    Shared::Patient(cases[train].1.patient().into())
                }
                _ => Shared::Others,
            };
            let test = tests.iter().copied().find(|&test| shared(test) != Shared::Others).unwrap_or(tests[0]);
            let called = |n: usize| format!("{}/{}", sets[cases[n].0].name, cases[n].1.id);
            return Err(SplitConflict { train: called(train), test: called(test), shared: shared(test) });
        }
        let mut numbers = vec![HashMap::new(); sets.len()];
        for ((set, case), patient) in cases.iter().zip(patients) {
            numbers[*set].insert(case.id.clone(), patient);
        }
        Ok(Self { numbers })
    }

    /// The number of the patient of a case; the same in all sets.
    pub fn number(&self, set: usize, id: &str) -> usize {
        self.numbers.get(set).and_then(|numbers| numbers.get(id)).copied().unwrap_or(usize::MAX)
    }

    /// The `train` cases of each set, divided by `seed` into those that are trained on and those of at least `validation[set]` patients (all
    /// where there are fewer), who are held out in all sets. The choice depends on the ids alone, not on their order in the files.
    pub fn divide<'a>(&self, sets: &[&'a DataSet], validation: &[usize], seed: u64) -> Vec<Sides<'a>> {
        let orders: Vec<_> = sets.iter().map(|set| set.shuffled(seed)).collect();
        let mut held_out = BTreeSet::new();
        for (n, order) in orders.iter().enumerate() {
            let own: BTreeSet<usize> = order.iter().map(|case| self.number(n, &case.id)).collect();
            let mut count = own.intersection(&held_out).count();
            for case in order.iter().rev() {
                if count >= validation.get(n).copied().unwrap_or(0) {
                    break;
                }
                count += usize::from(held_out.insert(self.number(n, &case.id)));
            }
        }
        self.sides(orders, |patient| held_out.contains(&patient))
    }

    /// The `train` cases of each set, divided into those that are trained on and those of one fold. Every patient is held out in one fold, in
    /// all sets; of the patients that a set shares with none before it, the folds hold out equally many, one more or less.
    pub fn fold<'a>(&self, sets: &[&'a DataSet], fold: Fold, seed: u64) -> Vec<Sides<'a>> {
        let orders: Vec<_> = sets.iter().map(|set| set.shuffled(seed)).collect();
        let mut folds: HashMap<usize, usize> = HashMap::new();
        for (n, order) in orders.iter().enumerate() {
            let mut new = 0;
            for case in order {
                folds.entry(self.number(n, &case.id)).or_insert_with(|| {
                    new += 1;
                    (new - 1) % fold.of.max(1) + 1
                });
            }
        }
        self.sides(orders, |patient| folds.get(&patient) == Some(&fold.index))
    }

    fn sides<'a>(&self, orders: Vec<Vec<&'a CaseEntry>>, is_out: impl Fn(usize) -> bool) -> Vec<Sides<'a>> {
        let side = |(n, order): (usize, Vec<&'a CaseEntry>)| {
            let (out, learned) = order.into_iter().partition(|case| is_out(self.number(n, &case.id)));
            (learned, out)
        };
        orders.into_iter().enumerate().map(side).collect()
    }
}

/// The first case of the patient of case `n`.
fn first(earlier: &mut [usize], n: usize) -> usize {
    let mut at = n;
    while earlier[at] != at {
        earlier[at] = earlier[earlier[at]];
        at = earlier[at];
    }
    at
}

#[cfg(test)]
mod tests;
