//! A file that the user names, written as a whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use super::{Made, Overwrite, check_input};

/// A file to be written.
#[derive(Debug)]
pub struct SingleFile {
    path: PathBuf,
    inputs: Vec<PathBuf>,
    overwrite: bool,
    _made: Made,
}

impl SingleFile {
    /// Looks whether a file can be written, before any work is done.
    ///
    /// # Errors
    /// Where something of that name is there, an input, or not to be overwritten; or the folder cannot be written into.
    pub fn claim(path: &Path, inputs: Vec<PathBuf>, overwrite: Overwrite) -> Result<Self> {
        let Overwrite { overwrite } = overwrite;
        let folder = folder_of(path);
        let single = Self { path: path.to_path_buf(), inputs, overwrite, _made: Made::make(folder)? };
        single.look()?;
        // That the folder can be written into.
        single.create()?;
        Ok(single)
    }

    fn look(&self) -> Result<()> {
        let path = &self.path;
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be written", path.display())),
            Ok(metadata) if metadata.is_dir() => bail!("{}: a folder, where a file is to be written", path.display()),
            Ok(_) => {}
        }
        check_input(path, &self.inputs, false)?;
        if !self.overwrite {
            bail!("{}: is there already; use another name, or --overwrite to replace it", path.display());
        }
        Ok(())
    }

    /// A file that has another name for the time being, in the same folder.
    ///
    /// # Errors
    /// Where none can be made.
    pub fn create(&self) -> Result<NamedTempFile> {
        let folder = folder_of(&self.path);
        Self::unnamed_in(folder).with_context(|| format!("{}: no file can be written here", folder.display()))
    }

    /// A file for the time being, with the rights of any other file that a program creates and not readable by the owner alone; the umask still
    /// applies.
    ///
    /// # Errors
    /// Where none can be made.
    pub fn unnamed_in(folder: &Path) -> std::io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".writing-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        builder.tempfile_in(folder)
    }

    /// Gives a file of [`create`](Self::create) its name.
    ///
    /// # Errors
    /// Where it cannot be written, or something of that name has come meanwhile.
    pub fn keep(self, file: NamedTempFile) -> Result<()> {
        self.look()?;
        let cannot = || format!("{}: cannot be written", self.path.display());
        file.as_file().sync_all().with_context(cannot)?;
        match self.overwrite {
            true => file.persist(&self.path).with_context(cannot)?,
            false => file.persist_noclobber(&self.path).with_context(cannot)?,
        };
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        let mut file = self.create()?;
        file.write_all(bytes).with_context(|| format!("{}: cannot be written", self.path.display()))?;
        self.keep(file)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
