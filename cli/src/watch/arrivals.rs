//! What lies in a watched folder: each folder directly in it is a scan, each file that is no DICOM is one, and DICOM files that lie there
//! loose belong together by series. Hidden things, results and the log are none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use attention_anatomy::cohort::Found;
use attention_anatomy::formats::dicom::series_of;
use attention_anatomy::formats::{Format, sniff};
use attention_anatomy_assets as assets;
use sha2::{Digest, Sha256};

use super::log::LOG;
use crate::files;
use crate::output::{hexadecimal, sha256};

/// What the folder of a scan's results ends with.
const RESULTS: &str = ".outlined";

/// A scan.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Of the folder or file; the UID of a series whose files lie loose.
    pub name: String,
    /// Its files: their names for messages, and where they lie.
    pub files: Vec<(String, PathBuf)>,
    /// Tells whether anything changed: names, lengths and times.
    pub signature: String,
}

/// The folder for the results of a scan.
pub fn output_name(name: &str) -> String {
    format!("{name}{RESULTS}")
}

/// What the loose files of a folder are.
pub type Kinds = Found<PathBuf, Stamp, Kind>;

/// What lies in the folder, in the order of names.
///
/// # Errors
/// A folder that cannot be read.
pub fn list(folder: &Path, kinds: &mut Kinds) -> Result<Vec<Arrival>> {
    let cannot = || format!("{}: cannot be read", folder.display());
    let (mut found, mut loose) = (Vec::new(), BTreeMap::<String, Vec<(String, PathBuf)>>::new());
    let mut children: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(cannot)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()
        .with_context(cannot)?;
    children.sort();
    for path in children {
        let name = files::file_name(&path);
        if name.starts_with('.') || name.ends_with(RESULTS) || name == LOG {
            continue;
        }
        if path.is_dir() {
            // An empty folder is one that is about to be filled.
            let Ok(files) = assets::list(&path) else { continue };
            found.extend(arrival(name, files));
        } else if path.is_file() {
            // No pipe, which would be waited for.
            let kind = stamp(&path).and_then(|stamp| kinds.get(path.clone(), stamp, || read_kind(&path)));
            match kind {
                Some(Kind::Slice(series)) => loose.entry(series).or_default().push((name, path)),
                Some(Kind::Image) => found.extend(arrival(name.clone(), vec![(name, path)])),
                Some(Kind::Nothing) | None => {}
            }
        }
    }
    kinds.end_round();
    found.extend(loose.into_iter().filter_map(|(series, files)| arrival(series, files)));
    Ok(found)
}

/// `None` where a file has gone meanwhile.
fn arrival(name: String, files: Vec<(String, PathBuf)>) -> Option<Arrival> {
    let mut hash = Sha256::new();
    for (name, path) in &files {
        let stamp = stamp(path)?;
        hash.update(format!("{name}\0{}\0{}\n", stamp.0, stamp.1));
    }
    Some(Arrival { name, files, signature: hexadecimal(&hash.finalize()) })
}

/// Length, and time of the last change in ns.
pub type Stamp = (u64, u128);

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    Some((metadata.len(), time))
}

/// What a loose file is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Of a series.
    Slice(String),
    /// A scan by itself.
    Image,
    /// Neither.
    Nothing,
}

/// `None` where it cannot be read.
fn read_kind(path: &Path) -> Option<Kind> {
    let bytes = std::fs::read(path).ok()?;
    Some(match sniff(&bytes) {
        Some(Format::DicomFile) => series_of(&bytes).map_or(Kind::Nothing, Kind::Slice),
        Some(_) => Kind::Image,
        None => Kind::Nothing,
    })
}

impl Arrival {
    /// Reads its files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self) -> Result<Vec<(String, Vec<u8>)>> {
        self.files.iter().map(|(name, path)| Ok((name.clone(), files::read(path)?))).collect()
    }
}

/// The same for the same files, whatever they are called and in whatever order they came.
pub fn content(files: &[(String, Vec<u8>)]) -> String {
    let mut each: Vec<String> = files.iter().map(|(_, bytes)| sha256(bytes)).collect();
    each.sort_unstable();
    sha256(each.join("\n").as_bytes())
}
