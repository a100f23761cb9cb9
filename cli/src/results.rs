//! Output folders of commands: the guard of [`output`](crate::output), and what every record says.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use serde_json::{Map, Value, json};

use crate::output::{Claim, Output, Overwrite};

/// Takes a folder for the results of a command, before any work is done.
///
/// # Errors
/// As [`Output::claim`].
pub fn claim(
    command: &str,
    folder: &Path,
    names: impl IntoIterator<Item = String>,
    inputs: &[&Path],
    overwrite: Overwrite,
) -> Result<Output> {
    Output::claim(Claim {
        folder: folder.to_path_buf(),
        command: command.into(),
        names: names.into_iter().collect(),
        inputs: inputs.iter().map(|input| input.to_path_buf()).collect(),
        overwrite: overwrite.overwrite,
    })
}

/// Writes whole results: these files and no others of the same command stay.
///
/// # Errors
/// As [`Output::finish`].
pub fn finish(mut output: Output, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<()> {
    for (name, bytes) in files {
        output.stage(&name, &bytes)?;
    }
    output.finish(fields(), |_| true)
}

/// What a record says where the command has nothing to add.
pub fn fields() -> Map<String, Value> {
    Map::from_iter([
        ("statement".to_string(), NOT_A_MEDICAL_DEVICE.into()),
        ("program".to_string(), json!({ "name": "AttentionAnatomy", "version": env!("CARGO_PKG_VERSION") })),
        ("written".to_string(), humantime::format_rfc3339_seconds(SystemTime::now()).to_string().into()),
    ])
}

/// The paths that there are.
pub fn inputs<'a>(given: impl IntoIterator<Item = Option<&'a PathBuf>>) -> Vec<PathBuf> {
    given.into_iter().flatten().cloned().collect()
}
