//! The wasm binary of the page and its JavaScript.
//!
//! wasm-bindgen comes as a library of exactly the version that the binary was built with, so that nothing has to be
//! installed. `wasm-opt` comes with the npm package `binaryen`: it is a third of the size, and optional.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wasm_bindgen_cli_support::Bindgen;

use super::{exports, fingerprint, target};
use crate::process::{captured, cargo, program, succeeds};
use crate::{say, setup};

/// What browsers run.
pub const TRIPLE: &str = "wasm32-unknown-unknown";
/// The page's own crate.
pub const PACKAGE: &str = "attention-anatomy-web";
/// The name of the binary and of its JavaScript on the page.
const NAME: &str = "attention_anatomy_web";

/// Pinned: another version may write a binary that older browsers refuse.
const BINARYEN: &str = "132.0.0";
/// What rustc 1.95 and wasm-bindgen use; all of it is in the browsers that have SIMD. Nothing else may come in.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// What was compiled.
pub struct Compiled {
    /// The binary, with its name on the page.
    pub wasm: (String, Vec<u8>),
    /// Its JavaScript, with its name on the page.
    pub script: (String, Vec<u8>),
    /// Whether `wasm-opt` was there.
    pub optimised: bool,
}

/// Compiles the page's code: as quickly as it goes, or `small`, with a profile of its own, which takes many minutes more.
///
/// # Errors
/// Where it does not compile, or `wasm-bindgen` or `wasm-opt` refuses it.
pub fn compile(small: bool) -> Result<Compiled> {
    setup::target(TRIPLE).map_err(|why| anyhow!(why))?;
    say::heading(&format!("{PACKAGE} for {TRIPLE}"));
    let profile = if small { "page" } else { "release" };
    if !succeeds(&mut cargo(&["build", "--profile", profile, "--package", PACKAGE, "--target", TRIPLE]))? {
        bail!("the page's code does not compile");
    }
    let target = target()?;
    let folder = target.join("web-build");
    let raw = target.join(TRIPLE).join(profile).join(format!("{NAME}.wasm"));
    exports::check(&raw)?;
    Bindgen::new()
        .input_path(&raw)
        .web(true)
        .and_then(|bindgen| {
            bindgen.typescript(false).remove_name_section(true).remove_producers_section(true).generate(&folder)
        })
        .with_context(|| format!("wasm-bindgen cannot read {}", raw.display()))?;
    let bound = folder.join(format!("{NAME}_bg.wasm"));
    let script = folder.join(format!("{NAME}.js"));
    let smallest = if small { optimised(&bound, &target)? } else { None };
    Ok(Compiled {
        optimised: smallest.is_some(),
        wasm: (format!("{NAME}_bg.wasm"), smallest.map_or_else(|| read(&bound), Ok)?),
        script: (format!("{NAME}.js"), read(&script)?),
    })
}

/// The binary as `wasm-opt` makes it; `None` where there is no npm. Kept, because it takes minutes.
fn optimised(bound: &Path, target: &Path) -> Result<Option<Vec<u8>>> {
    let bytes = read(bound)?;
    let key = fingerprint([bytes.as_slice(), BINARYEN.as_bytes()]);
    let result = bound.with_file_name(format!("{key}.wasm"));
    if result.is_file() {
        return read(&result).map(Some);
    }
    let Some(wasm_opt) = wasm_opt(target)? else { return Ok(None) };
    say::heading("wasm-opt");
    forget_older(bound)?;
    let unfinished = bound.with_extension("unfinished");
    let mut command = program("node");
    command.arg(&wasm_opt).arg("-Oz").args(FEATURES).args(["--strip-debug", "--strip-producers"]);
    if !succeeds(command.arg(bound).arg("-o").arg(&unfinished))? {
        bail!("wasm-opt failed on {}", bound.display());
    }
    std::fs::rename(&unfinished, &result).with_context(|| format!("{} cannot be written", result.display()))?;
    read(&result).map(Some)
}

/// The program `wasm-opt`, fetched where npm is there.
fn wasm_opt(target: &Path) -> Result<Option<PathBuf>> {
    let folder = target.join("tools");
    let wasm_opt = folder.join("node_modules/binaryen/bin/wasm-opt");
    let version = format!("\"version\": \"{BINARYEN}\"");
    let there = std::fs::read_to_string(folder.join("node_modules/binaryen/package.json"));
    if there.is_ok_and(|text| text.contains(&version)) {
        return Ok(Some(wasm_opt));
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut install = program(npm);
    install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix"]).arg(&folder);
    let why = match captured(install.arg(format!("binaryen@{BINARYEN}"))) {
        Ok((true, _)) if wasm_opt.is_file() => return Ok(Some(wasm_opt)),
        Ok((_, text)) => text.lines().last().unwrap_or("npm said nothing").to_string(),
        Err(error) => format!("{error:#}"),
    };
    say::error(&format!(
        "the binary is not optimised and much larger than it should be, because wasm-opt is not there ({why}); \
         install Node.js with npm and build the page again"
    ));
    Ok(None)
}

/// Removes the results of earlier binaries.
fn forget_older(bound: &Path) -> Result<()> {
    let folder = bound.parent().unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|e| e == "wasm") && path != bound {
            std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
