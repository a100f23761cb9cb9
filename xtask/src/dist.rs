//! `cargo xtask dist`: what is handed out, each as one archive in target/dist: the program for this system with its licences, or the
//! page as a static folder.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::process::{cargo, output, program, root, succeeds};
use crate::{say, web};

/// From the repository, beside the program, and how they are called there.
const FILES: [(&str, &str); 4] = [
    ("README.md", "README.md"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("models/README.md", "MODEL-CARD.md"),
];
const NAME: &str = "attention-anatomy";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The program for this system.
///
/// # Errors
/// Where something does not compile or the archive cannot be written.
pub fn program_archive() -> Result<ExitCode> {
    say::heading("program");
    if !succeeds(&mut cargo(&["build", "--release"]))? {
        bail!("the program does not compile");
    }
    let version = output(program("rustc").arg("-vV"))?;
    let executable = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let mut files = vec![(executable.clone(), web::target()?.join("release").join(executable))];
    files.extend(FILES.map(|(path, name)| (name.to_string(), root().join(path))));
    pack(&format!("{NAME}-{VERSION}-{}", host(&version)?), &files)
}

/// The page as it is hosted.
///
/// # Errors
/// Where something does not compile or the archive cannot be written.
pub fn page_archive() -> Result<ExitCode> {
    let folder = web::build()?;
    let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = vec![("README.md".to_string(), root().join("web/README.md"))];
    for entry in entries {
        let path = entry?.path();
        files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path));
    }
    files.sort();
    pack(&format!("{NAME}-{VERSION}-page"), &files)
}

fn pack(stem: &str, files: &[(String, PathBuf)]) -> Result<ExitCode> {
    let folder = web::target()?.join("dist");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join(format!("{stem}.zip"));
    write(&path, stem, files).with_context(|| format!("{} cannot be written", path.display()))?;
    say::line(&format!("{} is there", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// An archive of these files, by their names, in one folder. Who unpacks it can run the program.
fn write(path: &Path, stem: &str, files: &[(String, PathBuf)]) -> Result<()> {
    let mut archive = ZipWriter::new(File::create(path)?);
    for (name, from) in files {
        let bytes = std::fs::read(from).with_context(|| format!("{} cannot be read", from.display()))?;
        let mode = if name.starts_with(NAME) { 0o755 } else { 0o644 };
        archive.start_file(format!("{stem}/{name}"), SimpleFileOptions::default().unix_permissions(mode))?;
        archive.write_all(&bytes)?;
    }
    archive.finish()?;
    Ok(())
}

/// The system that the compiler compiles for.
fn host(version: &str) -> Result<&str> {
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say for which system it compiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_what_the_compiler_says() {
        assert_eq!(host("rustc 1.95.0\nhost: x86_64-pc-windows-msvc\n").unwrap(), "x86_64-pc-windows-msvc");
        assert!(host("rustc 1.95.0").is_err());
    }

    #[test]
    fn the_program_in_an_archive_can_be_run_and_the_rest_only_read() {
        let path = std::env::temp_dir().join(format!("xtask-dist-{}.zip", std::process::id()));
        let licence = root().join("LICENSE-MIT");
        let files = [(NAME.to_string(), licence.clone()), ("LICENSE-MIT".into(), licence.clone())];
        write(&path, "x-1.0", &files).unwrap();
        let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut of = |name: &str| {
            let mut file = archive.by_name(name).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            (file.unix_mode().unwrap() & 0o777, bytes)
        };
        let text = std::fs::read(licence).unwrap();
        assert_eq!(of("x-1.0/attention-anatomy"), (0o755, text.clone()));
        assert_eq!(of("x-1.0/LICENSE-MIT"), (0o644, text));
    }
}
