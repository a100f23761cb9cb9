//! What the worker asks of the platform that it runs on: files, bundled data, memory, devices, engines. One twin for the
//! desktop, one for the browser, and one for tests that is slow or fails on demand.

#[cfg(target_family = "wasm")]
mod browser_files;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(target_family = "wasm")]
mod fetch;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use attention_anatomy::dicomweb::Transport;
use attention_anatomy::infer::{ComputeDevice, DevicePreference, Engine, engine_of_weights};

#[cfg(test)]
pub use fake::FakePlatform;
#[cfg(not(target_family = "wasm"))]
pub use native::Desktop as ThisPlatform;
#[cfg(target_family = "wasm")]
pub use wasm::Browser as ThisPlatform;

use super::error::PlatformError;
use super::{Access, Input};

/// Something that will be there later. Nobody is woken: the worker asks again.
pub type Promise<T> = Pin<Box<dyn Future<Output = T>>>;

/// Asks once whether it is there.
pub(super) fn ask<T>(promise: &mut Promise<T>) -> Option<T> {
    match promise.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A file that can be read.
pub struct File {
    /// Its name within what was opened, for messages and for telling header and data apart.
    pub name: String,
    /// Its size; 0 where it is not known before it is read.
    pub bytes: u64,
    /// Its contents or one sentence why there are none; called once, when it is its turn.
    pub read: Box<dyn FnOnce() -> Promise<Result<Vec<u8>, PlatformError>>>,
    /// The same piece by piece, from the start at every call; `None` where it is in memory anyway.
    pub pieces: Option<Pieces>,
}

/// Opens a file that is read as far as it is needed. The worker waits for each piece.
pub type Pieces = Box<dyn Fn() -> std::io::Result<Box<dyn std::io::Read>>>;

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What the worker runs on.
pub trait Platform {
    /// The files of an input: one, or all below a folder.
    ///
    /// # Errors
    /// What cannot be listed.
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError>;

    /// The weights that come with the program.
    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>>;

    /// What carries requests to an archive.
    ///
    /// # Errors
    /// An address that cannot be asked from here; a program without a connection.
    fn transport(&mut self, access: &Access) -> Result<Box<dyn Transport>, PlatformError> {
        Err(PlatformError::Refused(format!("{}: no archive can be asked from here", access.root)))
    }

    /// The most bytes that an opened study should need.
    fn memory_limit(&self) -> u64;

    /// The most bytes of files that can be read, whatever the user says.
    fn most_bytes(&self) -> u64 {
        u64::MAX
    }

    /// The most bytes that an opened study can need, whatever the user says.
    fn most_needed(&self) -> u64 {
        u64::MAX
    }

    /// Bytes from which on a file that is read alone does not lie in memory beside its voxels, where its format allows that.
    fn large(&self) -> u64 {
        64_000_000
    }

    /// Opens a device.
    fn device(&mut self, preference: DevicePreference) -> Promise<Result<ComputeDevice, PlatformError>> {
        Box::pin(async move { Ok(ComputeDevice::open_async(preference).await?) })
    }

    /// An engine for a weights file.
    ///
    /// # Errors
    /// Weights that cannot be used.
    fn engine(&mut self, bytes: &[u8], device: &ComputeDevice) -> Result<Box<dyn Engine>, PlatformError> {
        Ok(engine_of_weights(bytes, device)?)
    }
}

/// A file whose contents are at hand.
fn in_memory(name: &str, bytes: &std::sync::Arc<[u8]>) -> File {
    let (name, bytes) = (name.to_string(), bytes.clone());
    let size = bytes.len() as u64;
    File { name, bytes: size, read: Box::new(move || Box::pin(async move { Ok(bytes.to_vec()) })), pieces: None }
}
