//! What the tests need from the machine: rustfmt, clippy, standard libraries for other platforms, a Vulkan driver, a browser, an archive.
//!
//! A bare container has none of them. What can be added is added; what cannot is named together with the command that
//! adds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{captured, program, succeeds};
use crate::say;
use crate::stages::Outcome;

/// Packages that hold a Vulkan loader and Mesa's drivers, among them a software one that needs no GPU.
const VULKAN_PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];
const HOW_TO_GET_VULKAN: &str = "install a Vulkan driver (Debian, Ubuntu: apt-get install mesa-vulkan-drivers \
    libvulkan1; Fedora: dnf install mesa-vulkan-drivers vulkan-loader; Arch: pacman -S vulkan-swrast vulkan-icd-loader)";
const HOW_TO_GET_CHROMIUM: &str = "install it (Debian: apt-get install chromium; Fedora: dnf install chromium; Arch: \
    pacman -S chromium)";
/// An archive with DICOMweb.
pub const ORTHANC_PACKAGES: [&str; 2] = ["orthanc", "orthanc-dicomweb"];
/// What to do where there is none.
pub const HOW_TO_GET_ORTHANC: &str = "Orthanc with its DICOMweb plugin is not there; install it (Debian, Ubuntu: apt-get install orthanc \
    orthanc-dicomweb)";
/// Another reader of DICOM, by whom is checked what comes back from the archive.
const PYDICOM_PACKAGE: &str = "python3-pydicom";

/// Whether this runs where nothing may be left out silently.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// rustfmt and clippy, added where they are missing.
///
/// # Errors
/// Where the installer cannot be started.
pub fn components() -> Result<Outcome> {
    for (name, component) in [("rustfmt", "rustfmt"), ("clippy-driver", "clippy")] {
        let there = captured(program(name).arg("--version")).is_ok_and(|(there, _)| there);
        if !there && !succeeds(program("rustup").args(["component", "add", component])).unwrap_or(false) {
            let why =
                format!("{component} is missing and could not be added; install it: rustup component add {component}");
            return Ok(Outcome::Failed(why));
        }
    }
    Ok(Outcome::Ok)
}

/// Makes sure that the standard library for `triple` is there.
///
/// # Errors
/// What to install, where it cannot be added.
pub fn target(triple: &str) -> Result<(), String> {
    if has_target(triple) {
        return Ok(());
    }
    let reason = match captured(program("rustup").args(["target", "add", triple])) {
        Ok((true, _)) if has_target(triple) => return Ok(()),
        Ok((_, text)) => text.lines().last().unwrap_or("rustup said nothing").trim().to_string(),
        Err(error) => format!("{error:#}"),
    };
    Err(format!("the standard library for {triple} is missing ({reason}); install it: rustup target add {triple}"))
}

fn has_target(triple: &str) -> bool {
    let sysroot = captured(program("rustc").args(["--print", "sysroot"]));
    sysroot.is_ok_and(|(found, path)| found && Path::new(&path).join("lib/rustlib").join(triple).join("lib").is_dir())
}

/// A Vulkan driver for the GPU tests, installed where that is possible without asking anyone.
///
/// # Errors
/// Where the installer cannot be started.
pub fn vulkan() -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        say::line("Metal or DirectX 12 comes with the system");
        return Ok(Outcome::Ok);
    }
    if vulkan_drivers().is_empty() {
        install_if_allowed(&VULKAN_PACKAGES)?;
    }
    let drivers = vulkan_drivers();
    if !drivers.is_empty() {
        let names: Vec<_> = drivers.iter().map(|path| path.display().to_string()).collect();
        say::line(&names.join("\n"));
        return Ok(Outcome::Ok);
    }
    if is_ci() {
        return Ok(Outcome::Failed(format!("there is no Vulkan driver for the GPU tests; {HOW_TO_GET_VULKAN}")));
    }
    Ok(Outcome::NotChecked(format!(
        "there is no Vulkan driver: the GPU tests will report that they did not run; {HOW_TO_GET_VULKAN}"
    )))
}

/// A browser for the tests of the web page, installed where that is possible without asking anyone.
///
/// # Errors
/// Where the installer cannot be started.
pub fn browser() -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        say::line("the page is the same everywhere; its tests run on Linux");
        return Ok(Outcome::Ok);
    }
    if let Some(found) = chromium() {
        say::line(&found.display().to_string());
        return Ok(Outcome::Ok);
    }
    install_if_allowed(&["chromium"])?;
    Ok(match chromium() {
        Some(_) => Outcome::Ok,
        None if is_ci() => {
            Outcome::Failed(format!("there is no Chromium for the tests of the web page; {HOW_TO_GET_CHROMIUM}"))
        }
        None => Outcome::NotChecked(format!(
            "there is no Chromium: the tests of the web page will report that they did not run; {HOW_TO_GET_CHROMIUM}"
        )),
    })
}

/// An archive for the tests of DICOMweb, and pydicom to read what is in it, installed where that is possible without asking anyone.
///
/// # Errors
/// Where the installer cannot be started.
pub fn archive() -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        say::line("the connection is the same everywhere; its tests with a real archive run on Linux");
        return Ok(Outcome::Ok);
    }
    let mut packages: Vec<&str> = if has_orthanc() { Vec::new() } else { ORTHANC_PACKAGES.to_vec() };
    if !has_pydicom() {
        packages.push(PYDICOM_PACKAGE);
    }
    if !packages.is_empty() {
        install_if_allowed(&packages)?;
    }
    let missing = match (has_orthanc(), has_pydicom()) {
        (true, true) => return Ok(Outcome::Ok),
        (false, _) => HOW_TO_GET_ORTHANC.to_string(),
        (true, false) => {
            format!("pydicom is not there; install it (Debian, Ubuntu: apt-get install {PYDICOM_PACKAGE})")
        }
    };
    Ok(Outcome::NotChecked(format!("{missing}; the tests of the archive will report that they did not run")))
}

/// Orthanc, which Debian has where only root looks.
pub fn orthanc() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("Orthanc")).find(|path| path.is_file())
}

/// Whether Orthanc and its DICOMweb plugin are there.
pub fn has_orthanc() -> bool {
    orthanc().is_some() && Path::new("/usr/share/orthanc/plugins/libOrthancDicomWeb.so").is_file()
}

/// By the names that the tests look for.
fn has_pydicom() -> bool {
    ["python3", "/usr/bin/python3"]
        .iter()
        .any(|python| captured(program(python).args(["-c", "import pydicom"])).is_ok_and(|(there, _)| there))
}

/// Chromium or its sibling, by the names that the tests look for.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// Installs packages on Debian and its relatives where nobody has to be asked: for root, and on a machine for such tests that lets
/// everybody be root.
///
/// # Errors
/// Where the installer cannot be started.
pub fn install_if_allowed(packages: &[&str]) -> Result<()> {
    let by_sudo = !is_root() && is_ci() && captured(program("sudo").args(["-n", "true"])).is_ok_and(|(may, _)| may);
    if !is_debian() || !(is_root() || by_sudo) {
        return Ok(());
    }
    say::line(&format!("installing {}", packages.join(" and ")));
    let apt = |arguments: &[&str]| {
        let mut command = program(if by_sudo { "sudo" } else { "env" });
        command.args(if by_sudo { &["-n"][..] } else { &[] });
        succeeds(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(arguments))
    };
    // A list that cannot be renewed may still be good enough to install from.
    let renewed = apt(&["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    if !apt(&install)? && !renewed {
        say::error("neither the list of packages nor a package could be fetched; is there a network?");
    }
    Ok(())
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

fn is_root() -> bool {
    captured(program("id").arg("-u")).is_ok_and(|(known, id)| known && id == "0")
}

/// The driver manifests that the Vulkan loader would find.
fn vulkan_drivers() -> Vec<PathBuf> {
    for named in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(list) = std::env::var_os(named) {
            return std::env::split_paths(&list).filter(|path| path.is_file()).collect();
        }
    }
    let mut folders: Vec<PathBuf> = ["/etc", "/usr/local/etc", "/usr/share", "/usr/local/share"].map(Into::into).into();
    for named in ["XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"] {
        folders.extend(std::env::var_os(named).iter().flat_map(std::env::split_paths));
    }
    folders.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
    drivers_below(&folders)
}

fn drivers_below(folders: &[PathBuf]) -> Vec<PathBuf> {
    let found: BTreeSet<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder.join("vulkan/icd.d")).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_a_manifest_in_the_folder_of_the_loader() {
        let base = std::env::temp_dir().join(format!("xtask-drivers-{}", std::process::id()));
        let folder = base.join("vulkan/icd.d");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("README"), "").unwrap();
        assert_eq!(drivers_below(std::slice::from_ref(&base)), Vec::<PathBuf>::new());
        std::fs::write(folder.join("lvp_icd.x86_64.json"), "{}").unwrap();
        let twice = [base.clone(), base.join("not there"), base.clone()];
        assert_eq!(drivers_below(&twice), [folder.join("lvp_icd.x86_64.json")]);
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_target_that_does_not_exist_comes_with_the_command_that_would_add_it() {
        let problem = target("no-such-platform").unwrap_err();
        assert!(problem.ends_with("install it: rustup target add no-such-platform"), "{problem}");
    }
}
