//! The weights: bundled, or from a file.

use std::path::Path;

use anyhow::{Context, Result};
use attention_anatomy::network::weights::{self, ModelInfo};
use attention_anatomy_assets::{WEIGHTS, WEIGHTS_NAME};

use crate::files;

/// Weights that are ready to be put on a device.
#[derive(Debug)]
pub struct Model {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its description.
    pub info: ModelInfo,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Reads a weights file, or takes the bundled one.
pub fn open(path: Option<&Path>) -> Result<Model> {
    let (bytes, name) = match path {
        Some(path) => (files::read(path)?, files::file_name(path)),
        None => (WEIGHTS.to_vec(), WEIGHTS_NAME.to_string()),
    };
    let info = weights::read_info(&bytes).with_context(|| name.clone())?;
    let sha256 = weights::sha256(&bytes);
    Ok(Model { bytes, info, name, sha256 })
}
