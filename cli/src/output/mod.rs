//! The guard of output folders: nothing that this program did not write is ever lost.
//!
//! People put results beside their own files, give a folder twice, and name the folder of their input. So a folder is changed only in
//! files that its `run.json` vouches for, by name and SHA-256 ([`record`]). Anything else that has the name of a file to be written is
//! *in the way*: an error before the work begins, unless `--overwrite` says that it is meant. Files of other names are nobody's concern. An
//! output never is an input, whatever is said, and links do not hide that.
//!
//! **Whole sets** ([`Output::stage`], [`Output::finish`]). New files are written to the disk in a hidden folder within the output
//! folder ([`stage`]), the new record with them. When all of them are complete a `commit.json` says so, the old record goes, old
//! results go, new ones are renamed into their places, and the new record comes last.
//!
//! | a kill, a full disk or a power cut | leaves | the next run |
//! |---|---|---|
//! | before `commit.json` | the old results, untouched | removes the hidden folder |
//! | after it | no `run.json`, files of both sets under their names, the rest hidden; none of them half | finishes what was begun |
//! | after the record | the new results | removes the hidden folder |
//!
//! What is in the way is looked at again before the first name changes: work of hours is then kept under a name that is said.
//!
//! **Results that grow** ([`Output::put`], [`Output::append`]), those of a training. The record is written first and vouches for the old and the
//! new content of the file that is about to be replaced; then the file is replaced in one go. A log is vouched for as far as the record
//! knows it, and what follows must look like its lines.
//!
//! **Single files** ([`SingleFile`]) that the user names, as of `export`: one that is there is in the way.

mod record;
mod single;
mod stage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use record::{Content, Found, Record, Voucher};
pub use single::SingleFile;
use stage::{Commit, Stage, Step, state};

pub use record::{RUN, hexadecimal, sha256};

/// Whether files that are in the way are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Overwrite {
    /// Replace files in the way that this program did not write, or that were changed since. Inputs are never replaced.
    #[arg(long)]
    pub overwrite: bool,
}

/// What is going to be written where.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// The command whose results these are.
    pub command: String,
    /// All names that may be written, relative to the folder, `/` between the parts. The record is none of them.
    pub names: Vec<String>,
    /// Files and folders that are read, none of which is written.
    pub inputs: Vec<PathBuf>,
    /// Whether what is in the way is replaced.
    pub overwrite: bool,
}

/// A folder that may be written into.
#[derive(Debug)]
pub struct Output {
    // Dropped in this order: what was made for nothing goes last.
    stage: Stage,
    claim: Claim,
    names: BTreeSet<String>,
    /// What the folder's record says.
    record: Record,
    /// What lies in the places of new files.
    replaces: BTreeMap<String, String>,
    staged: BTreeMap<String, String>,
    logs: BTreeMap<String, Log>,
    _made: Made,
}

/// How names of logs end.
const LOG: &str = ".jsonl";

/// A log that is being written.
#[derive(Debug)]
struct Log {
    file: File,
    bytes: u64,
    sha: Sha256,
}

/// Folders that were made; those that are empty in the end are removed.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for folder in &self.0 {
            std::fs::remove_dir(folder).ok();
        }
    }
}

impl Made {
    /// Makes a folder and those above it.
    fn make(folder: &Path) -> Result<Self> {
        let absent = folder.ancestors().filter(|p| !p.as_os_str().is_empty()).take_while(|p| !p.exists());
        let made = Self(absent.map(Path::to_path_buf).collect());
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be used as a folder", folder.display()))?;
        Ok(made)
    }
}

impl Output {
    /// Takes a folder, before any work is done.
    ///
    /// # Errors
    /// Where the folder cannot be written into, something is in the way, an output is an input, or another run is at work in it.
    pub fn claim(claim: Claim) -> Result<Self> {
        Self::claim_step(claim, &mut || Ok(()))
    }

    fn claim_step(claim: Claim, step: Step<'_>) -> Result<Self> {
        let made = Made::make(&claim.folder)?;
        stage::recover(&claim.folder, &claim.inputs, step)?;
        let Seen { record, replaces } = Seen::of(&claim)?;
        let stage = Stage::new(&claim.folder, claim.names.clone())?;
        let names = claim.names.iter().cloned().collect();
        let (staged, logs) = Default::default();
        Ok(Self { stage, names, record, replaces, staged, logs, claim, _made: made })
    }

    /// Looks whether a folder could be taken, and leaves it as it is; what an earlier run has begun is not looked at.
    ///
    /// # Errors
    /// Where something is in the way, or an output is an input.
    pub fn look(claim: &Claim) -> Result<()> {
        match stage::is_pending(&claim.folder) {
            true => Ok(()),
            false => Seen::of(claim).map(drop),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.claim.folder
    }

    fn expect(&self, name: &str) -> Result<()> {
        if !self.names.contains(name) {
            bail!(
                "{}: written without having been announced; this is a fault of the program",
                self.folder().join(name).display()
            );
        }
        Ok(())
    }

    /// Writes a file of a whole set. It gets its place with [`finish`](Self::finish).
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.expect(name)?;
        self.stage.write(name, bytes, &self.folder().join(name))?;
        self.staged.insert(name.into(), sha256(bytes));
        Ok(())
    }

    /// Puts all staged files in their places. Of the files that the record vouches for and that were not written again, those that
    /// `retires` names go, as far as they are unchanged. `fields` is what the record says besides.
    ///
    /// # Errors
    /// Where a file cannot be written, or something has come in the way meanwhile.
    pub fn finish(self, fields: Map<String, Value>, retires: impl Fn(&str) -> bool) -> Result<()> {
        self.finish_step(fields, retires, &mut || Ok(()))
    }

    fn finish_step(self, fields: Map<String, Value>, retires: impl Fn(&str) -> bool, step: Step<'_>) -> Result<()> {
        let Self { stage, claim, record, replaces, staged, .. } = self;
        let mut commit = Commit { files: staged, replaces, retires: BTreeMap::new() };
        let mut files = record.files;
        for (name, voucher) in &files {
            let path = claim.folder.join(name);
            let goes = record.command == claim.command && !commit.files.contains_key(name) && retires(name);
            if goes && voucher.holds(&path) && check_input(&path, &claim.inputs, true).is_ok() {
                commit.retires.extend(state(&path)?.map(|now| (name.clone(), now)));
            }
        }
        files.retain(|name, _| !commit.retires.contains_key(name) && claim.folder.join(name).exists());
        files.extend(commit.files.iter().map(|(name, hash)| (name.clone(), Voucher::whole(hash.clone()))));
        let text = Record { command: claim.command, files, fields }.text();
        stage.write(RUN, text.as_bytes(), &claim.folder.join(RUN))?;
        commit.files.insert(RUN.into(), sha256(text.as_bytes()));
        stage.commit(&claim.folder, &commit, step)
    }

    /// Writes a file of results that grow, at once. `fields` is what the record says besides.
    ///
    /// # Errors
    /// Where it cannot be written, or the file that is there is not the one that was there.
    pub fn put(&mut self, name: &str, bytes: &[u8], fields: &Map<String, Value>) -> Result<()> {
        self.put_step(name, bytes, fields, &mut || Ok(()))
    }

    fn put_step(&mut self, name: &str, bytes: &[u8], fields: &Map<String, Value>, step: Step<'_>) -> Result<()> {
        self.expect(name)?;
        let path = self.folder().join(name);
        self.logs.remove(name);
        let (now, new) = (self.unchanged(name)?, sha256(bytes));
        step()?;
        self.stage.write(name, bytes, &path)?;
        let content = match name.ends_with(LOG) {
            true => Content::Log { bytes: bytes.len() as u64, sha256: new.clone() },
            false => Content::Whole(new.clone()),
        };
        self.adopt();
        let both = Voucher(now.map(Content::Whole).into_iter().chain([content.clone()]).collect());
        self.record.files.insert(name.into(), both);
        self.write_record(fields, step)?;
        step()?;
        let cannot = || format!("{}: cannot be written", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(cannot)?;
        }
        std::fs::rename(self.stage.place(name), &path).with_context(cannot)?;
        stage::sync(path.parent().unwrap_or(self.folder()));
        self.record.files.insert(name.into(), Voucher(vec![content]));
        self.replaces.insert(name.into(), new);
        Ok(())
    }

    /// Appends to a log that [`put`](Self::put) has begun or an earlier run has left.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(&mut self, name: &str, line: &[u8]) -> Result<()> {
        self.expect(name)?;
        let path = self.folder().join(name);
        let cannot = || format!("{}: cannot be written", path.display());
        if !self.logs.contains_key(name) {
            let known = std::fs::read(&path).unwrap_or_default();
            let file = std::fs::OpenOptions::new().append(true).create(true).open(&path).with_context(cannot)?;
            let log = Log { file, bytes: known.len() as u64, sha: Sha256::new_with_prefix(known) };
            self.logs.insert(name.into(), log);
        }
        let Some(log) = self.logs.get_mut(name) else { return Ok(()) };
        log.file.write_all(line).with_context(cannot)?;
        log.sha.update(line);
        log.bytes += line.len() as u64;
        Ok(())
    }

    /// Removes a file that this program wrote; false where there is none, or one that was changed.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove(&mut self, name: &str, fields: &Map<String, Value>) -> Result<bool> {
        let path = self.folder().join(name);
        let vouched = self.record.files.get(name).is_some_and(|voucher| voucher.holds(&path));
        if vouched {
            check_input(&path, &self.claim.inputs, true)?;
            self.logs.remove(name);
            std::fs::remove_file(&path).with_context(|| format!("{}: cannot be replaced", path.display()))?;
            self.replaces.remove(name);
            self.record.files.remove(name);
            self.write_record(fields, &mut || Ok(()))?;
        }
        Ok(vouched)
    }

    /// What lies in the place of a file, if it is what this program knows of.
    fn unchanged(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder().join(name);
        let now = state(&path)?;
        let known = now.is_none()
            || now.as_ref() == self.replaces.get(name)
            || self.record.files.get(name).is_some_and(|voucher| voucher.holds(&path));
        if !known {
            bail!(
                "{}: changed while this ran, and is left as it is; move it away, and the same command goes on",
                path.display()
            );
        }
        Ok(now)
    }

    /// What was meant to be replaced is this program's from now on, so that a training of an earlier version can be gone on with.
    fn adopt(&mut self) {
        for (name, hash) in self.replaces.iter().filter(|(name, _)| self.claim.overwrite && *name != RUN) {
            let known = self.record.files.get(name).is_some_and(|voucher| voucher.holds(&self.claim.folder.join(name)));
            if !known && hash.len() == 64 {
                self.record.files.insert(name.clone(), Voucher::whole(hash.clone()));
            }
        }
    }

    fn write_record(&mut self, fields: &Map<String, Value>, step: Step<'_>) -> Result<()> {
        for (name, log) in &self.logs {
            log.file.sync_data().ok();
            let sha256 = hexadecimal(&log.sha.clone().finalize());
            self.record.files.insert(name.clone(), Voucher(vec![Content::Log { bytes: log.bytes, sha256 }]));
        }
        let path = self.folder().join(RUN);
        if self.replaces.get(RUN) != state(&path)?.as_ref() {
            bail!("{}: changed while this ran, and is left as it is; move it away", path.display());
        }
        let new =
            Record { command: self.claim.command.clone(), fields: fields.clone(), files: self.record.files.clone() };
        let text = new.text();
        step()?;
        self.stage.write("run.tmp", text.as_bytes(), &path)?;
        step()?;
        std::fs::rename(self.stage.place("run.tmp"), &path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        self.replaces.insert(RUN.into(), sha256(text.as_bytes()));
        self.record = new;
        Ok(())
    }

    /// Ends as a kill would.
    #[cfg(test)]
    fn abandon(self) {
        self.stage.abandon();
    }
}

/// What the record of a folder says, if it is one of this program: which files it vouches for, and everything else.
pub fn recorded(folder: &Path) -> Option<(Vec<String>, Map<String, Value>)> {
    match Record::find(folder).ok()? {
        Found::Ours(record) => Some((record.files.into_keys().collect(), record.fields)),
        Found::Nothing | Found::Older | Found::Foreign => None,
    }
}

/// Whether a folder holds results of this program, or what a run has begun there, and nothing else that can be seen.
pub fn is_own(folder: &Path) -> bool {
    let known = recorded(folder).map(|(names, _)| names).unwrap_or_default();
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| e.ok());
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.all(|name| {
        let within = format!("{name}/");
        name == RUN || stage::is_stage(&name) || known.iter().any(|file| *file == name || file.starts_with(&within))
    })
}

/// What lies in a folder that is to be written into.
struct Seen {
    record: Record,
    replaces: BTreeMap<String, String>,
}

impl Seen {
    /// Refuses what is in the way.
    fn of(claim: &Claim) -> Result<Self> {
        let found = Record::find(&claim.folder)?;
        let foreign = matches!(found, Found::Foreign | Found::Older);
        let older = matches!(found, Found::Older);
        let record = if let Found::Ours(record) = found { record } else { Record::default() };
        let (mut replaces, mut in_the_way) = (BTreeMap::new(), Vec::new());
        for name in &claim.names {
            let path = claim.folder.join(name);
            check_way(&claim.folder, name)?;
            let Some(now) = state(&path)? else { continue };
            if now == "folder" {
                bail!("{}: a folder, where a file is to be written; use another output folder", path.display());
            }
            let vouched = record.files.get(name).is_some_and(|voucher| voucher.holds(&path));
            check_input(&path, &claim.inputs, vouched)?;
            if !vouched {
                in_the_way.push(name.as_str());
            }
            replaces.insert(name.clone(), now);
        }
        let own = claim.folder.join(RUN);
        if let Some(now) = state(&own)? {
            check_input(&own, &claim.inputs, !foreign)?;
            replaces.insert(RUN.into(), now);
        }
        if !claim.overwrite {
            let folder = claim.folder.display();
            if older {
                bail!(
                    "{folder}: its run.json is of an earlier version that did not list its files, so results cannot be told from files of \
                     yours; use another output folder, or --overwrite if what is to be written may replace what is there"
                );
            }
            if foreign {
                in_the_way.push(RUN);
            }
            if !in_the_way.is_empty() {
                bail!(
                    "{folder}: {} not, or no longer, what this program wrote here and would be replaced; move {} away, use another \
                     output folder, or --overwrite",
                    list(&in_the_way),
                    if in_the_way.len() == 1 { "it" } else { "them" },
                );
            }
            if !record.command.is_empty() && record.command != claim.command {
                bail!(
                    "{folder}: holds results of `{}`; use another output folder for those of `{}`, or --overwrite",
                    record.command,
                    claim.command
                );
            }
        }
        Ok(Self { record, replaces })
    }
}

/// Refuses a way to a file that leads through a link or a file.
fn check_way(folder: &Path, name: &str) -> Result<()> {
    let above: Vec<&Path> = Path::new(name).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    for part in above {
        let path = folder.join(part);
        if let Ok(metadata) = std::fs::symlink_metadata(&path)
            && !metadata.is_dir()
        {
            bail!(
                "{}: not a folder of its own, but files are to be written into it; use another output folder",
                path.display()
            );
        }
    }
    Ok(())
}

/// Refuses an output that is an input. What an input folder holds is an input unless this program wrote it.
fn check_input(output: &Path, inputs: &[PathBuf], vouched: bool) -> Result<()> {
    // A link that leads nowhere is no file, but has a place.
    let place = |path: &Path| Some((path.parent()?.canonicalize().ok()?, path.file_name()?.to_owned()));
    let own = place(output);
    let same =
        |input: &Path| same_file::is_same_file(output, input).unwrap_or(false) || own.is_some() && place(input) == own;
    let within = |folder: &Path| {
        let mut folders = vec![folder.to_path_buf()];
        while let Some(next) = folders.pop() {
            for path in std::fs::read_dir(&next).into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path())) {
                match std::fs::symlink_metadata(&path) {
                    Ok(metadata) if metadata.is_dir() => folders.push(path),
                    Ok(_) if same(&path) => return true,
                    _ => {}
                }
            }
        }
        false
    };
    for input in inputs {
        if if input.is_dir() { !vouched && within(input) } else { same(input) } {
            bail!("{}: is an input, and inputs are never replaced; use another output folder", output.display());
        }
    }
    Ok(())
}

/// `a is`, `a and b are`, `a, b and 3 more are`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("{one} is"),
        [first, last] => format!("{first} and {last} are"),
        [a, b, c] => format!("{a}, {b} and {c} are"),
        [a, b, c, more @ ..] => format!("{a}, {b}, {c} and {} more are", more.len()),
    }
}
