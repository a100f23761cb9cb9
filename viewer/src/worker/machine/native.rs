//! The desktop: files and folders of the disk, data bundled with the program.

use std::path::{Path, PathBuf};

use super::{File, Promise, SAMPLE_NAME, in_memory};
use crate::worker::Input;

/// The bundled weights; models/README.md is their model card.
pub const WEIGHTS: &[u8] = include_bytes!("../../../../models/light.safetensors");
/// A neck and chest CT; models/sample/README.md says where it is from.
pub const SAMPLE: &[u8] = include_bytes!("../../../../models/sample/neck-chest.nii.gz");
/// Bytes for a study where the system does not say how much memory is free.
const USUAL_LIMIT: u64 = 6_000_000_000;

/// This machine.
#[derive(Debug, Default)]
pub struct Machine;

impl super::Machine for Machine {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, String> {
        match input {
            Input::Path(path) => files(path)?.into_iter().map(|(name, path)| on_disk(name, path)).collect(),
            Input::Bytes { name, bytes } => Ok(vec![in_memory(name, bytes)]),
            Input::Sample => {
                let read = || -> Promise<_> { Box::pin(async { Ok(SAMPLE.to_vec()) }) };
                Ok(vec![File { name: SAMPLE_NAME.into(), bytes: SAMPLE.len() as u64, read: Box::new(read) }])
            }
        }
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, String>> {
        Box::pin(async { Ok(WEIGHTS.to_vec()) })
    }

    fn memory_limit(&self) -> u64 {
        available_memory().map_or(USUAL_LIMIT, |bytes| bytes / 2)
    }
}

/// What Linux says that programs can still have.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The name and the path of a file, or of all files below a folder, named relative to it, in a stable order.
///
/// # Errors
/// One sentence for a folder that cannot be read or is empty.
pub fn files(path: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, path, &mut files)?;
        if files.is_empty() {
            return Err(format!("{}: the folder is empty", path.display()));
        }
    } else {
        files.push((file_name(path), path.to_path_buf()));
        // The other half of an Analyze-style pair travels with the one that was named.
        files.extend(partner(path).map(|partner| (file_name(&partner), partner)));
    }
    Ok(files)
}

fn on_disk(name: String, path: PathBuf) -> Result<File, String> {
    let unreadable = |path: &Path, e: std::io::Error| format!("{}: cannot be read ({e})", path.display());
    let bytes = std::fs::metadata(&path).map_err(|e| unreadable(&path, e))?.len();
    let read =
        move || -> Promise<_> { Box::pin(async move { std::fs::read(&path).map_err(|e| unreadable(&path, e)) }) };
    Ok(File { name, bytes, read: Box::new(read) })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("{}: cannot be read ({e})", folder.display());
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    for entry in entries {
        if file_name(&entry).starts_with('.') {
            continue;
        }
        if entry.is_dir() {
            // A link that leads back up would be followed for ever.
            if !entry.is_symlink() {
                walk(root, &entry, files)?;
            }
        } else {
            let name = entry.strip_prefix(root).unwrap_or(&entry).to_string_lossy().into_owned();
            files.push((name, entry));
        }
    }
    Ok(())
}

fn partner(path: &Path) -> Option<PathBuf> {
    let name = file_name(path);
    [(".hdr", ".img"), (".img", ".hdr"), (".hdr.gz", ".img.gz"), (".img.gz", ".hdr.gz")]
        .into_iter()
        .filter_map(|(own, other)| name.strip_suffix(own).map(|stem| path.with_file_name(format!("{stem}{other}"))))
        .find(|p| p.exists())
}
