//! Where new files lie until they get their names: a hidden folder `.writing-*` in the output folder.
//!
//! | file | meaning |
//! |---|---|
//! | `journal.json` | made first, locked while its program lives: which files may lie here |
//! | the new files | under the names that they will have |
//! | `commit.json` | made last, in one go: the new files are complete, and this is what they replace |
//!
//! Without `commit.json` nothing outside this folder has been touched, and whoever comes next removes it. With it the old results may be
//! partly gone, and whoever comes next finishes the work. Every step of that can be done twice.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::check_input;
use super::record::{RUN, is_plain, sha256_of};

const PREFIX: &str = ".writing-";
const JOURNAL: &str = "journal.json";
const COMMIT: &str = "commit.json";

/// Which files may lie in a stage.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    schema: String,
    names: Vec<String>,
}

const SCHEMA: &str = "attention-anatomy/journal";

/// What is to happen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// The new files and their hashes. The record is one of them, and comes last.
    pub files: BTreeMap<String, String>,
    /// What may lie in their places, as [`state`] tells it.
    pub replaces: BTreeMap<String, String>,
    /// Old files that go, as they must still be.
    pub retires: BTreeMap<String, String>,
}

/// What is called before each change of the disk; tests end there what a kill would end.
pub type Step<'a> = &'a mut dyn FnMut() -> Result<()>;

/// A journal that may be locked. It is unlocked, and not only closed: a child that another thread is just starting has its own copy of it,
/// and with that of the lock, until it becomes another program.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

/// A folder of files that have no place yet.
#[derive(Debug)]
pub struct Stage {
    path: PathBuf,
    journal: Option<Lock>,
    names: Vec<String>,
    kept: bool,
}

impl Stage {
    /// Makes one in `folder` for files of these names.
    ///
    /// # Errors
    /// Nothing can be written in `folder`.
    pub fn new(folder: &Path, names: Vec<String>) -> Result<Self> {
        let cannot = || format!("{}: no file can be written here", folder.display());
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder).with_context(cannot)?.keep();
        let mut stage = Self { path, journal: None, names, kept: false };
        let file = File::create_new(stage.path.join(JOURNAL)).with_context(cannot)?;
        // Where there are no locks, a stage of a living program looks like one of a dead one only to itself.
        file.try_lock().ok();
        let file = stage.journal.insert(Lock(file));
        let journal = Journal { schema: SCHEMA.into(), names: stage.names.clone() };
        file.0.write_all(&serde_json::to_vec(&journal)?).and_then(|()| file.0.sync_all()).with_context(cannot)?;
        Ok(stage)
    }

    /// Where a file of this name lies meanwhile.
    pub fn place(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file here, as a whole and to the disk.
    ///
    /// # Errors
    /// The file cannot be written whole.
    pub fn write(&self, name: &str, bytes: &[u8], finally: &Path) -> Result<()> {
        let cannot = || format!("{}: cannot be written", finally.display());
        let path = self.place(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(cannot)?;
        }
        let mut file = File::create(&path).with_context(cannot)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).with_context(cannot)
    }

    /// Puts the files in their places. From here on, what is begun is finished, now or by whoever comes next.
    ///
    /// # Errors
    /// What lay in `folder` has changed meanwhile, or a file cannot be put in its place.
    pub fn commit(mut self, folder: &Path, commit: &Commit, step: Step<'_>) -> Result<()> {
        let conflict = check(&self.path, folder, commit)?;
        if let Some(name) = conflict {
            let kept = self.keep(folder)?;
            bail!(
                "{}: changed while this ran, and is left as it is; the new results are in {}",
                folder.join(name).display(),
                kept.display()
            );
        }
        step()?;
        let text = serde_json::to_vec_pretty(commit)?;
        self.write("commit.tmp", &text, &self.place(COMMIT))?;
        let (from, to) = (self.place("commit.tmp"), self.place(COMMIT));
        std::fs::rename(from, &to).with_context(|| format!("{}: cannot be written", to.display()))?;
        sync(&self.path);
        self.kept = true;
        put_in_place(&self.path, folder, commit, step)?;
        self.kept = false;
        Ok(())
    }

    /// Gives what lies here a visible name.
    fn keep(&mut self, folder: &Path) -> Result<PathBuf> {
        self.journal = None;
        std::fs::remove_file(self.place(JOURNAL)).ok();
        let hidden = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let visible = folder.join(format!("new-{}", hidden.trim_start_matches(PREFIX)));
        std::fs::rename(&self.path, &visible).with_context(|| format!("{}: cannot be kept", visible.display()))?;
        self.kept = true;
        Ok(visible)
    }

    /// Ends as a kill would.
    #[cfg(test)]
    pub fn abandon(mut self) {
        self.kept = true;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.journal = None;
        if !self.kept {
            clear(&self.path, &self.names);
        }
    }
}

/// Removes a stage: only files that its journal names, and folders that are empty then.
fn clear(stage: &Path, names: &[String]) {
    let own = [RUN, COMMIT, "commit.tmp", "run.tmp"];
    for name in names.iter().map(String::as_str).chain(own).filter(|name| is_plain(name)) {
        std::fs::remove_file(stage.join(name)).ok();
        if let Some(parent) = Path::new(name).parent().filter(|p| !p.as_os_str().is_empty()) {
            // `a/b` before `a`; what is not empty stays.
            parent.ancestors().filter(|p| !p.as_os_str().is_empty()).for_each(|p| {
                std::fs::remove_dir(stage.join(p)).ok();
            });
        }
    }
    // Last, because it says what the rest is.
    if std::fs::read_dir(stage).is_ok_and(|entries| entries.count() <= 1) {
        std::fs::remove_file(stage.join(JOURNAL)).ok();
    }
    std::fs::remove_dir(stage).ok();
}

/// Finishes or removes what a program that is no more has left in a folder.
///
/// # Errors
/// Where a living one is writing into the folder, or something has come in the way of what is to be finished, or an input would be replaced
/// by it.
pub fn recover(folder: &Path, inputs: &[PathBuf], step: Step<'_>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
    for stage in entries.filter_map(|e| e.ok().map(|e| e.path())) {
        let named = stage.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PREFIX));
        if !named || !std::fs::symlink_metadata(&stage).is_ok_and(|m| m.is_dir()) {
            continue;
        }
        let Ok(file) = File::open(stage.join(JOURNAL)) else {
            // Killed before it had a journal, or somebody's own, and then not empty.
            std::fs::remove_dir(&stage).ok();
            continue;
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another run of this program is writing into this folder", folder.display())
            }
            // Nobody can tell whether its program lives.
            Err(TryLockError::Error(_)) => continue,
        }
        let file = Lock(file);
        let Some(Journal { names, .. }) =
            serde_json::from_reader(&file.0).ok().filter(|j: &Journal| j.schema == SCHEMA)
        else {
            continue;
        };
        if let Ok(text) = std::fs::read(stage.join(COMMIT))
            && let Ok(commit) = serde_json::from_slice::<Commit>(&text)
        {
            if let Some(name) = check(&stage, folder, &commit)? {
                bail!(
                    "{}: an earlier run ended while it put its results here, and {name} has changed since; move that file away, \
                     and they are put in place, or remove {} to give them up",
                    folder.display(),
                    stage.display()
                );
            }
            // What is read now is not what the earlier run was about to replace: the user decides.
            for name in commit.files.keys().chain(commit.retires.keys()) {
                check_input(&folder.join(name), inputs, true)?;
            }
            put_in_place(&stage, folder, &commit, step)?;
        }
        drop(file);
        clear(&stage, &names);
    }
    Ok(())
}

/// Whether this is the name of a stage.
pub fn is_stage(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a run has begun something in a folder and has not ended it.
pub fn is_pending(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| e.ok());
    entries.into_iter().any(|e| e.file_name().to_string_lossy().starts_with(PREFIX) && e.path().join(JOURNAL).exists())
}

/// The first place in which something else lies than there should.
fn check(stage: &Path, folder: &Path, commit: &Commit) -> Result<Option<String>> {
    for (name, new) in &commit.files {
        let now = state(&folder.join(name))?;
        let known = now.is_none() || now.as_ref() == Some(new) || now.as_ref() == commit.replaces.get(name);
        let there = now.as_ref() == Some(new) || stage.join(name).exists();
        if !is_plain(name) || !known || !there {
            return Ok(Some(name.clone()));
        }
    }
    for (name, old) in &commit.retires {
        let now = state(&folder.join(name))?;
        if !is_plain(name) || now.is_some_and(|now| now != *old) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// The record goes, then the old files, then the new ones come, the record last: where it is, the others are complete.
fn put_in_place(stage: &Path, folder: &Path, commit: &Commit, step: Step<'_>) -> Result<()> {
    let record = folder.join(RUN);
    // Not the new one, of an earlier attempt that came to its last step.
    if commit.files.contains_key(RUN) && stage.join(RUN).exists() && state(&record)?.is_some() {
        step()?;
        std::fs::remove_file(&record).with_context(|| format!("{}: cannot be replaced", record.display()))?;
    }
    for name in commit.retires.keys() {
        let path = folder.join(name);
        step()?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{}: cannot be removed", path.display()));
            }
            _ => {}
        }
        if let Some(parent) = path.parent().filter(|p| *p != folder) {
            // Where other files lie in it, it stays.
            std::fs::remove_dir(parent).ok();
        }
    }
    let names = commit.files.keys().filter(|name| *name != RUN).map(String::as_str);
    for name in names.chain(commit.files.contains_key(RUN).then_some(RUN)) {
        let (from, to) = (stage.join(name), folder.join(name));
        if !from.exists() {
            continue;
        }
        step()?;
        let cannot = || format!("{}: cannot be written", to.display());
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).with_context(cannot)?;
        }
        std::fs::rename(&from, &to).with_context(cannot)?;
    }
    sync(folder);
    step()?;
    // Nothing is left to be done twice.
    std::fs::remove_file(stage.join(COMMIT)).ok();
    Ok(())
}

/// What lies at a path: nothing, a file with its hash, a link with its target, or a folder.
///
/// # Errors
/// What lies there cannot be read.
pub fn state(path: &Path) -> Result<Option<String>> {
    let cannot = || format!("{}: cannot be read", path.display());
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A file where a folder should be: the name cannot exist.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        found => found.with_context(cannot)?,
    };
    Ok(Some(if metadata.is_symlink() {
        format!("link to {}", std::fs::read_link(path).with_context(cannot)?.display())
    } else if metadata.is_file() {
        sha256_of(path).with_context(cannot)?
    } else {
        "folder".into()
    }))
}

/// Names in a folder reach the disk; where a system cannot do that, it does so by itself sooner or later.
pub fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_child_that_is_just_started_does_not_keep_a_stage_locked() {
        let root = TempDir::new().unwrap();
        let stage = Stage::new(root.path(), vec!["labels.nii.gz".into()]).unwrap();
        let child = stage.journal.as_ref().unwrap().0.try_clone().unwrap();
        let next = || recover(root.path(), &[], &mut || Ok(()));
        let refused = next().unwrap_err().to_string();
        assert!(refused.contains("another run of this program is writing into this folder"), "{refused}");
        stage.abandon();
        next().unwrap();
        assert!(!is_pending(root.path()));
        drop(child);
    }
}
