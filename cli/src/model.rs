//! The weights: bundled, or from a file.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result};
use attention_anatomy::infer::Model;
use attention_anatomy_assets::{WEIGHTS, WEIGHTS_NAME};

use crate::files;

/// Reads a weights file, or takes the bundled one.
///
/// # Errors
/// A file that cannot be read, or that holds no weights of this program.
pub fn open(path: Option<&Path>) -> Result<Model> {
    let (bytes, name): (Cow<'static, [u8]>, String) = match path {
        Some(path) => (Cow::Owned(files::read(path)?), files::file_name(path)),
        None => (Cow::Borrowed(WEIGHTS), WEIGHTS_NAME.to_string()),
    };
    Model::read(name.clone(), bytes).context(name)
}
