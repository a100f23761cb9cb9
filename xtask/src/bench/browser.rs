//! A slice in Chromium, beside onnxruntime-web's WebAssembly: one worker beside one thread, and several beside several. A script drives
//! the browser, as what is measured is JavaScript's anyway.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{captured, program, root, succeeds};

/// The release of onnxruntime-web that is measured.
const ONNXRUNTIME_WEB: &str = "1.30.0";
/// How often either program has its turn.
const TURNS: &str = "5";
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Prints tables.
///
/// # Errors
/// Where Chromium cannot be driven.
pub fn measure(page: &Path, model: &Path) -> Result<()> {
    let chromium = chromium().context("there is no Chromium (Debian: apt-get install chromium)")?;
    let onnxruntime = onnxruntime_web()?;
    // As the page itself would choose, but two at least.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores - 1).clamp(2, 8);
    let mut script = program("node");
    script.arg(root().join("xtask/browser_slices.mjs")).arg(chromium).arg(page).arg(onnxruntime).arg(model);
    if !succeeds(script.arg(workers.to_string()).arg(TURNS))? {
        bail!("the script in the browser failed");
    }
    Ok(())
}

fn chromium() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    NAMES.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// The package's files for browsers, in the target folder.
fn onnxruntime_web() -> Result<PathBuf> {
    let folder = root().join("target/bench-npm");
    let package = folder.join("node_modules/onnxruntime-web");
    let version = format!("\"version\": \"{ONNXRUNTIME_WEB}\"");
    if !std::fs::read_to_string(package.join("package.json")).is_ok_and(|text| text.contains(&version)) {
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut install = program(if cfg!(windows) { "npm.cmd" } else { "npm" });
        install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix"]).arg(&folder);
        let (done, text) = captured(install.arg(format!("onnxruntime-web@{ONNXRUNTIME_WEB}")))?;
        if !done {
            bail!("npm installs no onnxruntime-web ({})", text.lines().last().unwrap_or("it said nothing"));
        }
    }
    Ok(package.join("dist"))
}
