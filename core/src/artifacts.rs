//! Where what a training or a segmentation makes is kept: by name, each artefact whole or not at all.
//!
//! The rules of a run (what is written when, what a run that was killed goes on from) are the same over a folder of a disk, over the
//! memory of a browser tab and over what a test looks into. So they are written once, over [`ArtifactStore`]; who owns a disk
//! implements it there.
//!
//! Names are relative, with `/` between folders: `final.safetensors`, `fold-1-of-7/evaluation.json`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why an artefact cannot be had or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is there and cannot be read.
    #[error("{place}: cannot be read ({reason})")]
    Read {
        /// As [`ArtifactStore::place`] calls it.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// It cannot be written; what was there before still is.
    #[error("{place}: cannot be written ({reason})")]
    Write {
        /// As [`ArtifactStore::place`] calls it.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// It cannot be taken away.
    #[error("{place}: cannot be replaced ({reason})")]
    Remove {
        /// As [`ArtifactStore::place`] calls it.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// It is in the way, or not what it was: one sentence of whoever guards the store.
    #[error("{0}")]
    Guarded(String),
    /// It is not what its name says.
    #[error("{place}: {reason}")]
    Content {
        /// As [`ArtifactStore::place`] calls it.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Keeps artefacts by name.
pub trait ArtifactStore {
    /// The bytes of an artefact; `None` where there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps an artefact in place of one of the same name. Whoever looks, even after a power cut, finds the old one or the new
    /// one, never a part.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Adds to the end of an artefact, for logs: what a kill leaves may end in the middle of `bytes`.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Takes an artefact away, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Remove`].
    fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Whether there is an artefact of that name.
    fn exists(&self, name: &str) -> bool;

    /// What people call the place of an artefact, or for an empty name that of the whole store: a path on a disk.
    fn place(&self, name: &str) -> String;

    /// An artefact that is text.
    ///
    /// # Errors
    /// [`StoreError::Read`], and [`StoreError::Content`] for what is no text.
    fn read_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        let text = self.read(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| StoreError::Content { place: self.place(name), reason: "not a text file".into() })
    }
}

/// A folder of a store, as a store of its own.
#[derive(Clone, Debug)]
pub struct Folder<S> {
    store: S,
    path: String,
}

impl<S: ArtifactStore> Folder<S> {
    /// The folder `path` of `store`.
    pub fn new(store: S, path: impl Into<String>) -> Self {
        Self { store, path: path.into() }
    }

    fn name(&self, name: &str) -> String {
        if name.is_empty() { self.path.clone() } else { format!("{}/{name}", self.path) }
    }
}

impl<S: ArtifactStore> ArtifactStore for Folder<S> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(&self.name(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.write(&self.name(name), bytes)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.append(&self.name(name), bytes)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.store.remove(&self.name(name))
    }

    fn exists(&self, name: &str) -> bool {
        self.store.exists(&self.name(name))
    }

    fn place(&self, name: &str) -> String {
        self.store.place(&self.name(name))
    }
}

impl<S: ArtifactStore + ?Sized> ArtifactStore for &S {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).read(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        (**self).write(name, bytes)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        (**self).append(name, bytes)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        (**self).remove(name)
    }

    fn exists(&self, name: &str) -> bool {
        (**self).exists(name)
    }

    fn place(&self, name: &str) -> String {
        (**self).place(name)
    }
}

/// Artefacts in memory: for a browser tab, and for tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    artifacts: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    fn artifacts(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // A panic elsewhere cannot leave half an artefact here.
        self.artifacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all artefacts, in order.
    pub fn names(&self) -> Vec<String> {
        self.artifacts().keys().cloned().collect()
    }
}

impl ArtifactStore for MemoryStore {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.artifacts().get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.artifacts().insert(name.into(), bytes.into());
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.artifacts().entry(name.into()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.artifacts().remove(name);
        Ok(())
    }

    fn exists(&self, name: &str) -> bool {
        self.artifacts().contains_key(name)
    }

    fn place(&self, name: &str) -> String {
        if name.is_empty() { "memory".into() } else { name.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_store_is_a_store_and_sees_nothing_of_its_neighbours() {
        let store = MemoryStore::default();
        let (one, two) = (Folder::new(&store, "a"), Folder::new(Folder::new(&store, "a"), "b"));
        one.write("x", b"1").unwrap();
        two.append("x", b"2").unwrap();
        two.append("x", b"3").unwrap();
        assert_eq!(store.names(), ["a/b/x", "a/x"]);
        assert_eq!((one.read("x").unwrap(), two.read_text("x").unwrap()), (Some(b"1".into()), Some("23".into())));
        assert!(one.exists("b/x") && !two.exists("b/x"));
        one.remove("x").unwrap();
        one.remove("x").unwrap();
        assert_eq!((one.read("x").unwrap(), store.names().len()), (None, 1));
        assert_eq!((two.place("x"), two.place("")), ("a/b/x".into(), "a/b".into()));
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let store = MemoryStore::default();
        store.write("config.toml", &[0xff]).unwrap();
        let refused = store.read_text("config.toml").unwrap_err();
        assert_eq!(refused.to_string(), "config.toml: not a text file");
    }
}
