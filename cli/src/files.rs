//! Reading inputs. What is written goes through the guard of [`output`](crate::output).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use attention_anatomy::cohort::{Contents, InputKey};
use attention_anatomy::dataset::Bytes;
use attention_anatomy::parallel::ahead;
use attention_anatomy_assets as assets;

/// The bytes of a file; the error names it.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// The bytes of a file, read from the disk when they are looked at.
///
/// # Errors
/// A file that cannot be read.
#[expect(unsafe_code, reason = "a file that is mapped may be changed by others")]
pub fn map(path: &Path) -> Result<Bytes> {
    let cannot = || format!("{}: cannot be read", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    // SAFETY: the map is only read. Who cuts the file while it is in use ends this program; who writes into it changes what is trained
    // on, as with any data: all bytes are valid values of what they are read as, and a label beyond the classes is an index out of range.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(cannot)?;
    Ok(Arc::new(map))
}

/// Files by name, for messages, with their bytes.
pub type NamedFiles = Vec<(String, Vec<u8>)>;

/// The files that a path stands for, by name, before they are read.
pub struct Listed(Vec<(String, PathBuf)>);

/// A file, or all files below a folder, with their names relative to it, in a stable order.
///
/// # Errors
/// A folder that cannot be read, or one without files.
pub fn list(path: &Path) -> Result<Listed> {
    assets::list(path).map(Listed).map_err(anyhow::Error::msg)
}

impl Listed {
    /// What tells them from others without reading them.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn key(&self) -> Result<InputKey> {
        let mut key = InputKey { files: self.0.len(), ..InputKey::default() };
        for (_, path) in &self.0 {
            let metadata = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?;
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified = modified.and_then(|time| u64::try_from(time.as_nanos()).ok()).unwrap_or(0);
            (key.bytes, key.modified) = (key.bytes + metadata.len(), key.modified.max(modified));
        }
        Ok(key)
    }

    /// Whether it is one file.
    pub fn is_one(&self) -> bool {
        self.0.len() == 1
    }

    /// Reads them, and makes the hash of each while the next ones are read.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read_and_hash(self) -> Result<(NamedFiles, Contents)> {
        let mut paths = self.0.into_iter();
        let read = move || move || paths.next().map(|(name, path)| read(&path).map(|bytes| (name, bytes)));
        ahead(read, |next| {
            let (mut files, mut contents) = (NamedFiles::new(), Contents::default());
            while let Some(file) = next() {
                let (name, bytes) = file?;
                contents.add(&name, &bytes);
                files.push((name, bytes));
            }
            Ok((files, contents))
        })
    }

    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(self) -> Result<NamedFiles> {
        self.0.into_iter().map(|(name, path)| Ok((name, read(&path)?))).collect()
    }
}

/// The files of [`list`], read.
///
/// # Errors
/// A file that cannot be read, or a folder without files.
pub fn collect(path: &Path) -> Result<NamedFiles> {
    list(path)?.read()
}

/// As [`collect`], with the tables beside a label map that may say what its numbers mean.
///
/// # Errors
/// A file that cannot be read, or a folder without files.
pub fn collect_labels(path: &Path) -> Result<NamedFiles> {
    assets::list_labels(path).map(Listed).map_err(anyhow::Error::msg)?.read()
}

/// The last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
