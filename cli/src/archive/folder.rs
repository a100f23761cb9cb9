//! A folder for instances that are retrieved.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use attention_anatomy::dicomweb::{OwnError, Receiver};
use attention_anatomy::formats::dicom::{Transfer, series_of};

use crate::output::SingleFile;

/// A folder: `INSTANCE-UID.dcm`, each whole or not there. What is there is never replaced.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    series: String,
}

impl Folder {
    /// A folder for a series; made if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(path: &Path, series: &str) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("{}: cannot be used as a folder", path.display()))?;
        Ok(Self { path: path.to_path_buf(), series: series.into() })
    }
}

impl Receiver for Folder {
    fn stored(&self) -> Result<Vec<String>, OwnError> {
        let cannot = || format!("{}: cannot be read", self.path.display());
        let mut there = Vec::new();
        for entry in std::fs::read_dir(&self.path).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.extension().is_none_or(|extension| extension != "dcm") || !path.is_file() {
                continue;
            }
            let bytes = crate::files::read(&path)?;
            let is_own = Transfer::of_file("", &bytes).is_ok_and(|transfer| transfer.instance == stem);
            if is_own && series_of(&bytes).is_none_or(|series| series == self.series) {
                there.push(stem.to_owned());
            }
        }
        Ok(there)
    }

    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        let path = self.path.join(format!("{uid}.dcm"));
        let cannot = || format!("{}: cannot be written", path.display());
        if path.exists() {
            let why = "is there already, and is not that instance of that series; move it away";
            return Err(format!("{}: {why}", path.display()).into());
        }
        let mut file = SingleFile::unnamed_in(&self.path).with_context(cannot)?;
        file.write_all(&bytes).with_context(cannot)?;
        file.persist_noclobber(&path).with_context(cannot)?;
        Ok(())
    }
}
