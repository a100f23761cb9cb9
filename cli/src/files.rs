//! Reading inputs and writing outputs: every file is written under a temporary name and then renamed, so that no file of
//! the promised name is ever half-written.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use attention_anatomy_viewer::worker::machine;

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
    let files = machine::files(path).map_err(anyhow::Error::msg)?;
    files.into_iter().map(|(name, path)| Ok((name, read(&path)?))).collect()
}

/// The last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
