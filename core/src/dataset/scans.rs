//! The scans of all cases of a training, each hashed once, so that patients are told apart before they are divided.

use std::collections::HashMap;

use super::load::{CaseSource, LoadError, LoadedSet};
use super::parallel::in_any_order;
use super::{CaseEntry, DataSet, Patients, ScanKey, SplitConflict};
use crate::formats;

/// Keys of scans by manifest and id. `None` for a scan that cannot be read: its case is told apart by its patient alone.
#[derive(Debug, Default)]
pub struct Scans {
    known: HashMap<(String, String), Option<ScanKey>>,
}

impl Scans {
    /// Tells the patients of sets apart by all their scans, read here and nowhere kept.
    ///
    /// # Errors
    /// [`LoadError::Patients`].
    pub fn of(
        sets: &[LoadedSet],
        source: &dyn CaseSource,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Patients, LoadError> {
        let mut scans = Self::default();
        // What is wrong by name alone is said before anything is read.
        scans.tell_apart(sets)?;
        scans.read(sets, |_| true, source, progress)?;
        Ok(scans.tell_apart(sets)?)
    }

    /// Remembers the scan of a case.
    pub fn remember(&mut self, set: &LoadedSet, id: &str, key: Option<ScanKey>) {
        self.known.insert((set.config.manifest.clone(), id.to_string()), key);
    }

    /// Reads the scans of those cases that are not known yet and that `which` is about, on all cores.
    ///
    /// # Errors
    /// None of its own: a scan that cannot be read is used by nobody who has not been told so.
    pub fn read(
        &mut self,
        sets: &[LoadedSet],
        which: impl Fn(&CaseEntry) -> bool,
        source: &dyn CaseSource,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), LoadError> {
        let all = sets.iter().flat_map(|set| set.set.cases.iter().map(move |case| (set, case)));
        let missing: Vec<(&LoadedSet, &CaseEntry)> = all
            .filter(|(set, case)| {
                which(case) && !self.known.contains_key(&(set.config.manifest.clone(), case.id.clone()))
            })
            .collect();
        let one = |n: usize| {
            let (set, case) = missing[n];
            let files = source.image(&set.config.manifest, &case.ct).ok()?;
            Some(ScanKey::of(&formats::read_ct(files).ok()?))
        };
        let mut done = 0;
        let mut keys = vec![None; missing.len()];
        in_any_order(missing.len(), one, &mut |n, key| {
            keys[n] = key;
            done += 1;
            progress(done, missing.len());
            Ok::<(), LoadError>(())
        })?;
        for ((set, case), key) in missing.into_iter().zip(keys) {
            self.remember(set, &case.id, key);
        }
        Ok(())
    }

    /// Who is who, as far as it is known.
    ///
    /// # Errors
    /// [`SplitConflict`].
    pub fn tell_apart(&self, sets: &[LoadedSet]) -> Result<Patients, SplitConflict> {
        let all: Vec<&DataSet> = sets.iter().map(|set| &set.set).collect();
        let key = |set: usize, id: &str| {
            self.known.get(&(sets[set].config.manifest.clone(), id.to_string())).copied().flatten()
        };
        Patients::tell_apart(&all, key)
    }
}
