//! Reading inputs and writing outputs: every file is written under a temporary name and then renamed, so that no file of
//! the promised name is ever half-written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The bytes of a file; the error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// A folder that files can be written into; made if it is not there.
pub fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("{}: cannot be used as a folder", path.display()))
}

/// Removes a file that an earlier run may have left.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be replaced", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file as a whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    self::folder(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        // As any other file that a program creates, not readable by the owner alone; the umask still applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file =
        builder.tempfile_in(folder).with_context(|| format!("{}: no file can be written here", folder.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    file.persist(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// Files by name, for messages, with their bytes.
pub type NamedFiles = Vec<(String, Vec<u8>)>;

/// A file, or all files below a folder, with their names relative to it, in a stable order.
pub fn collect(path: &Path) -> Result<NamedFiles> {
    let mut paths = Vec::new();
    if path.is_dir() {
        walk(path, &mut paths)?;
        if paths.is_empty() {
            bail!("{}: the folder is empty", path.display());
        }
    } else {
        paths.push(path.to_path_buf());
        // The other half of an Analyze-style pair travels with the one that was named.
        if let Some(partner) = partner(path) {
            paths.push(partner);
        }
    }
    paths
        .into_iter()
        .map(|p| {
            let name = p.strip_prefix(path).ok().filter(|n| !n.as_os_str().is_empty()).unwrap_or(&p);
            let name = if path.is_dir() { name.to_string_lossy().into_owned() } else { file_name(&p) };
            Ok((name, read(&p)?))
        })
        .collect()
}

/// The last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    for entry in entries {
        if file_name(&entry).starts_with('.') {
            continue;
        }
        if entry.is_dir() {
            walk(&entry, paths)?;
        } else {
            paths.push(entry);
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
