//! The desktop: files and folders of the disk, data bundled with the program.

use std::path::{Path, PathBuf};

use attention_anatomy::dicomweb::{AddressError, Transport};
use attention_anatomy::infer::{ComputeDevice, DevicePreference, StoragePreference};
use attention_anatomy_assets::{self as assets, SAMPLE, SAMPLE_NAME, WEIGHTS};

use super::{File, Pieces, Promise, in_memory};
use crate::worker::error::PlatformError;
use crate::worker::{Access, Input};

/// Bytes for a study where the system does not say how much memory is free.
const USUAL_LIMIT: u64 = 6_000_000_000;

/// The desktop.
#[derive(Debug, Default)]
pub struct Desktop {
    /// How weights and maps of a network lie on a GPU.
    pub storage: StoragePreference,
}

impl super::Platform for Desktop {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError> {
        match input {
            Input::Path(path) => assets::list(path)
                .map_err(PlatformError::Refused)?
                .into_iter()
                .map(|(name, path)| on_disk(name, path))
                .collect(),
            Input::Bytes { name, bytes } => Ok(vec![in_memory(name, bytes)]),
            Input::Sample => {
                let read = || -> Promise<_> { Box::pin(async { Ok(SAMPLE.to_vec()) }) };
                Ok(vec![File {
                    name: SAMPLE_NAME.into(),
                    bytes: SAMPLE.len() as u64,
                    read: Box::new(read),
                    pieces: None,
                }])
            }
            Input::Archive(series) => Err(PlatformError::NoPaths(series.access.name.clone())),
        }
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>> {
        Box::pin(async { Ok(WEIGHTS.to_vec()) })
    }

    #[cfg(feature = "archive")]
    fn transport(&mut self, access: &Access) -> Result<Box<dyn Transport>, PlatformError> {
        check_address(access)?;
        Ok(Box::new(attention_anatomy_archive::Http::new(access.authorization.as_deref())))
    }

    #[cfg(not(feature = "archive"))]
    fn transport(&mut self, access: &Access) -> Result<Box<dyn Transport>, PlatformError> {
        check_address(access)?;
        let missing = "this program was built without the connection to archives; build it with its default features";
        Err(PlatformError::Refused(missing.into()))
    }

    fn device(&mut self, preference: DevicePreference) -> Promise<Result<ComputeDevice, PlatformError>> {
        let storage = self.storage;
        Box::pin(async move { Ok(ComputeDevice::open_storing(preference, storage)?) })
    }

    fn memory_limit(&self) -> u64 {
        available_memory().map_or(USUAL_LIMIT, |bytes| bytes / 2)
    }
}

/// A path alone is an address on a page, and none here.
fn check_address(access: &Access) -> Result<(), PlatformError> {
    match access.root.origin() {
        Some(_) => Ok(()),
        None => Err(PlatformError::Refused(AddressError::NotHttp(access.root.to_string()).to_string())),
    }
}

/// What Linux says that programs can still have.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn on_disk(name: String, path: PathBuf) -> Result<File, PlatformError> {
    let unreadable = |path: &Path, e: std::io::Error| PlatformError::Unreadable {
        name: path.display().to_string(),
        reason: e.to_string(),
    };
    let bytes = std::fs::metadata(&path).map_err(|e| unreadable(&path, e))?.len();
    let own = path.clone();
    let pieces: Pieces = Box::new(move || Ok(Box::new(std::fs::File::open(&own)?)));
    let read =
        move || -> Promise<_> { Box::pin(async move { std::fs::read(&path).map_err(|e| unreadable(&path, e)) }) };
    Ok(File { name, bytes, read: Box::new(read), pieces: Some(pieces) })
}
