//! Artefacts in a folder of the disk.

use std::io::Write;
use std::path::{Path, PathBuf};

use attention_anatomy::artifacts::{ArtifactStore, StoreError};

use crate::files;

/// A folder, made when the first artefact is kept.
#[derive(Clone, Debug)]
pub struct FolderStore {
    folder: PathBuf,
}

impl FolderStore {
    /// The store in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where an artefact is; for an empty name the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        // Joined part by part: a separator at the end would be shown, and `/` is not every system's.
        name.split('/').filter(|part| !part.is_empty()).fold(self.folder.clone(), |path, part| path.join(part))
    }
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes)
}

/// Why, without the name of the file, which the error of a store says itself.
fn reason(error: &anyhow::Error) -> String {
    error.root_cause().to_string()
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
        files::write(&self.path(name), bytes)
            .map_err(|error| StoreError::Write { place: self.place(name), reason: reason(&error) })
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        append(&self.path(name), bytes)
            .map_err(|error| StoreError::Write { place: self.place(name), reason: error.to_string() })
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        files::remove(&self.path(name))
            .map_err(|error| StoreError::Remove { place: self.place(name), reason: reason(&error) })
    }

    fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
