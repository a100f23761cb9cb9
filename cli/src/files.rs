//! Reading inputs and writing outputs: every file is written under a temporary name and then renamed, so that no file of
//! the promised name is ever half-written.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use attention_anatomy::dataset::Bytes;
use attention_anatomy_assets as assets;
use tempfile::NamedTempFile;

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
    let mut file = create(path)?;
    file.write_all(bytes).with_context(|| format!("{}: cannot be written", path.display()))?;
    keep(file, path)
}

/// A file that has a name for the time being, beside what it is to become.
pub fn create(path: &Path) -> Result<NamedTempFile> {
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
    builder.tempfile_in(folder).with_context(|| format!("{}: no file can be written here", folder.display()))
}

/// Gives a file of [`create`] its name.
pub fn keep(file: NamedTempFile, path: &Path) -> Result<()> {
    let cannot = || format!("{}: cannot be written", path.display());
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).with_context(cannot)?;
    Ok(())
}

/// The bytes of a file, read from the disk when they are looked at.
#[expect(unsafe_code, reason = "a file that is mapped may be changed by others")]
pub fn map(path: &Path) -> Result<Bytes> {
    let cannot = || format!("{}: cannot be read", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    // SAFETY: the map is only read. Who cuts the file while it is in use ends this program; who writes into it changes what is trained
    // on, as with any data: all bytes are valid values of what they are read as, and a label beyond the classes is an index out of range.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(cannot)?;
    Ok(Arc::new(map))
}

/// Files by name, for messages, with their bytes.
pub type NamedFiles = Vec<(String, Vec<u8>)>;

/// A file, or all files below a folder, with their names relative to it, in a stable order.
pub fn collect(path: &Path) -> Result<NamedFiles> {
    let files = assets::list(path).map_err(anyhow::Error::msg)?;
    files.into_iter().map(|(name, path)| Ok((name, read(&path)?))).collect()
}

/// The last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
