//! Artefacts in a folder of the disk, each folder of it guarded by a record of its own ([`output`](crate::output)).
//!
//! A record a folder and not one for all, because the tasks of an array job train into folders beside each other at the same time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use attention_anatomy::artifacts::{ArtifactStore, StoreError};
use attention_anatomy::train::persistent::{AVERAGE, BEST, CONFIG, FINAL, LAST, METRICS, REPORT};

use crate::output::{Claim, Output, Overwrite};
use crate::{evaluation, results};

/// What a training keeps in its folder.
const TRAINING: [&str; 7] = [CONFIG, METRICS, LAST, BEST, AVERAGE, FINAL, REPORT];
/// What several trainings are told by together.
const COMPARISON: [&str; 4] = ["results.md", "results.json", "organs.csv", "systems.csv"];
/// Whose results a folder of a single training holds, whoever asked for it.
const TRAIN: &str = "train";

/// A folder.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
    guard: Option<Guard>,
}

#[derive(Debug)]
struct Guard {
    command: String,
    inputs: Vec<PathBuf>,
    overwrite: bool,
    /// Folders that were written into, by name.
    open: Mutex<BTreeMap<String, Output>>,
}

impl FolderStore {
    /// A folder that is read.
    pub fn to_read(folder: &Path) -> Self {
        Self { folder: folder.into(), guard: None }
    }

    /// A folder for the results of a command. Looks at everything below it, so that what is in the way of a later training is known before
    /// the first one.
    ///
    /// # Errors
    /// Where something is in the way.
    pub fn guarded(folder: &Path, command: &str, inputs: Vec<PathBuf>, overwrite: Overwrite) -> Result<Self> {
        let guard = Guard { command: command.into(), inputs, overwrite: overwrite.overwrite, open: Mutex::default() };
        let store = Self { folder: folder.into(), guard: Some(guard) };
        let mut folders = vec![String::new()];
        while let Some(below) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(store.path(&below)) else { continue };
            // Folders of other purposes are nobody's concern, and below a single training all are.
            let training = store.path(&below).join(CONFIG).exists() && command != TRAIN;
            if let Some(guard) = store.guard.as_ref().filter(|_| below.is_empty() || training) {
                Output::look(&store.claim_of(guard, &below))?;
            }
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.starts_with('.') {
                    folders.push(if below.is_empty() { name } else { format!("{below}/{name}") });
                }
            }
        }
        Ok(store)
    }

    /// Takes the folder itself, before any work is done.
    ///
    /// # Errors
    /// As [`Output::claim`].
    pub fn claim(&self) -> Result<(), StoreError> {
        self.guarded_in("", |_| Ok(()))
    }

    /// Where an artefact is; for an empty name the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        // Joined part by part: a separator at the end would be shown, and `/` is not every system's.
        name.split('/').filter(|part| !part.is_empty()).fold(self.folder.clone(), |path, part| path.join(part))
    }

    fn claim_of(&self, guard: &Guard, below: &str) -> Claim {
        let training = below.is_empty() && guard.command == TRAIN;
        let names: Vec<&str> = match below.is_empty() {
            true if training => TRAINING.to_vec(),
            true => COMPARISON.to_vec(),
            false => TRAINING.into_iter().chain(evaluation::FILES).collect(),
        };
        Claim {
            folder: self.path(below),
            command: if below.is_empty() { guard.command.clone() } else { TRAIN.into() },
            names: names.into_iter().map(String::from).collect(),
            inputs: guard.inputs.clone(),
            overwrite: guard.overwrite,
        }
    }

    /// Does something with the guard of a folder of this store.
    fn guarded_in<T>(&self, below: &str, work: impl FnOnce(&mut Output) -> Result<T>) -> Result<T, StoreError> {
        let guarded = |error: anyhow::Error| StoreError::Guarded(format!("{error:#}"));
        let Some(guard) = &self.guard else {
            let reason = "opened to be read; this is a fault of the program".into();
            return Err(StoreError::Write { place: self.place(below), reason });
        };
        let mut open = guard.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.contains_key(below) {
            open.insert(below.into(), Output::claim(self.claim_of(guard, below)).map_err(guarded)?);
        }
        let output = open.get_mut(below).ok_or_else(|| StoreError::Guarded(self.place(below)))?;
        work(output).map_err(guarded)
    }
}

/// The folder of an artefact, and its name there.
fn parts(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

impl ArtifactStore for FolderStore {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match std::fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Read { place: self.place(name), reason: error.to_string() }),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (below, name) = parts(name);
        self.guarded_in(below, |output| output.put(name, bytes, &results::fields()))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (below, name) = parts(name);
        self.guarded_in(below, |output| output.append(name, bytes))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        if !self.exists(name) {
            return Ok(());
        }
        let (below, name) = parts(name);
        self.guarded_in(below, |output| output.remove(name, &results::fields()).map(drop))
    }

    fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
