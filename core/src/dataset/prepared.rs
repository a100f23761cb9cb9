//! Cases on the model grid, each prepared once for all trainings that use it, and divided as a training asks for.

use std::collections::{BTreeMap, HashMap};

use super::case_archive::CaseArchive;
use super::load::{CaseSource, Key, LoadError, LoadedSet, SplitSpec, divide};
use super::parallel::in_any_order;
use super::planes::Bytes;
use super::scans::Scans;
use super::{CaseEntry, DataConfig, Patients, PreparedCase};
use crate::preprocess::InputConfig;

/// Training and held-out patients, prepared.
#[derive(Clone, Debug, Default)]
pub struct PatientSplit {
    /// Patients that are learned from.
    pub training: Vec<PreparedCase>,
    /// Patients that are held out.
    pub validation: Vec<PreparedCase>,
    /// Who is who in the sets.
    pub identities: Patients,
}

/// Cases on the model grid, each prepared once for all trainings that use it.
#[derive(Debug, Default)]
pub struct Prepared {
    input: Option<InputConfig>,
    /// By manifest, what is used of its labels, and id.
    cases: HashMap<Key, PreparedCase>,
    scans: Scans,
}

impl Prepared {
    /// What a file of prepared cases holds for a training: the cases, and the sets of which they are. `place` is what people call the
    /// file.
    ///
    /// # Errors
    /// [`LoadError::Archive`], and [`LoadError::Other`] for a file that was made for another training.
    pub fn read(
        bytes: &Bytes,
        place: &str,
        data: &[DataConfig],
        input: &InputConfig,
    ) -> Result<(Self, Vec<LoadedSet>), LoadError> {
        let archive = CaseArchive::read(bytes).map_err(|error| LoadError::Archive { place: place.into(), error })?;
        let other = |reason: String| LoadError::Other { place: place.into(), reason };
        if archive.input != *input {
            return Err(other("prepared for another [input] than the training file's".into()));
        }
        let mut prepared = Self { input: Some(archive.input), ..Self::default() };
        let mut known = archive.sets;
        let mut sets = Vec::new();
        for config in data {
            let used = |c: &DataConfig| (c.manifest.clone(), c.derive_lungs, c.organs.clone());
            let Some(n) = known.iter().position(|set| used(&set.config) == used(config)) else {
                return Err(other(format!("does not hold {} as the training file uses it", config.manifest)));
            };
            let found = known.swap_remove(n);
            let set = LoadedSet { set: found.set, config: config.clone() };
            prepared.cases.extend(found.cases.into_iter().map(|(id, case)| (set.key(&id), case)));
            sets.push(set);
        }
        Ok((prepared, sets))
    }

    /// Training and validation cases. What is not known yet is prepared on all cores; a case that cannot be used is named and ends it: a
    /// training on other data than asked for is not the training asked for. `progress(done, of)` tells how far it is.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn divide(
        &mut self,
        sets: &[LoadedSet],
        spec: SplitSpec,
        input: &InputConfig,
        source: &dyn CaseSource,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<PatientSplit, LoadError> {
        if self.input.as_ref() != Some(input) {
            (self.input, self.cases) = (Some(input.clone()), HashMap::new());
        }
        // What is wrong by name alone is said before anything is read.
        self.scans.tell_apart(sets)?;
        let wanted = sets.iter().flat_map(|set| set.set.shuffled(spec.seed).into_iter().map(move |entry| (set, entry)));
        let missing: Vec<_> = wanted.filter(|(set, entry)| !self.cases.contains_key(&set.key(&entry.id))).collect();
        prepare(&missing, input, source, progress, |n, case| {
            let (set, entry) = missing[n];
            self.cases.insert(set.key(&entry.id), case);
            Ok::<(), LoadError>(())
        })?;
        for set in sets {
            for entry in set.set.cases.iter().filter(|entry| entry.split == "train") {
                if let Some(case) = self.cases.get(&set.key(&entry.id)) {
                    self.scans.remember(set, &entry.id, case.scan);
                }
            }
        }
        // Those to test with are read for this alone, once; that one is not there harms nobody who does not test with it.
        self.scans.read(sets, |entry| entry.split == "test", source, &mut |_, _| {})?;
        let identities = self.scans.tell_apart(sets)?;
        let known = |n: usize, set: &LoadedSet, entry: &CaseEntry| {
            let patient = Some(identities.number(n, &entry.id));
            self.cases.get(&set.key(&entry.id)).map(|case| PreparedCase { set: n, patient, ..case.clone() })
        };
        let mut result = PatientSplit::default();
        for (n, (set, (learned, held_out))) in sets.iter().zip(divide(sets, &identities, spec)).enumerate() {
            result.training.extend(learned.iter().filter_map(|entry| known(n, set, entry)));
            result.validation.extend(held_out.iter().filter_map(|entry| known(n, set, entry)));
        }
        Ok(PatientSplit { identities, ..result })
    }
}

/// Brings cases to the model grid, on all cores where there are threads, and hands them over with their numbers, in order.
///
/// # Errors
/// [`LoadError`]; what `take` returns ends it, too.
pub fn prepare<E: From<LoadError>>(
    jobs: &[(&LoadedSet, &CaseEntry)],
    input: &InputConfig,
    source: &dyn CaseSource,
    progress: &mut dyn FnMut(usize, usize),
    mut take: impl FnMut(usize, PreparedCase) -> Result<(), E>,
) -> Result<(), E> {
    progress(0, jobs.len());
    let one = |n: usize| jobs[n].0.prepare(0, jobs[n].1, input, source);
    // Asked for in order, made in any.
    let (mut ready, mut due) = (BTreeMap::new(), 0);
    let mut done = 0;
    in_any_order(jobs.len(), one, &mut |n, case| {
        ready.insert(n, case?);
        while let Some(case) = ready.remove(&due) {
            take(due, case)?;
            due += 1;
        }
        done += 1;
        progress(done, jobs.len());
        Ok(())
    })
}
