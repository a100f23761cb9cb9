//! The static folder: page, binary, weights and sample, all of one version.
//!
//! Every address that the page asks for carries the version as a query, so that no cache on the way can mix two of them;
//! the service worker keeps the files of its own version and drops those of others.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use attention_anatomy_assets as assets;

use super::compile::Compiled;
use super::fingerprint;
use crate::process::root;

/// What the browser asks for by its plain name, to find out what is new. Cached by the worker as the page itself.
const PAGE: &str = "index.html";
const SERVICE_WORKER: &str = "service-worker.js";

/// Makes the folder anew.
///
/// # Errors
/// Where a file of the page is missing or the folder cannot be written.
pub fn pack(compiled: &Compiled, folder: &Path) -> Result<()> {
    let mut files = sources()?;
    files.push(compiled.wasm.clone());
    files.push(compiled.script.clone());
    files.sort();
    fill_in(&mut files, compiled.wasm.1.len())?;

    // Beside the old one until it is complete: a server may be showing that.
    let fresh = folder.with_extension("new");
    let at = |path: &Path| format!("{} cannot be written", path.display());
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).with_context(|| at(&fresh))?;
    }
    std::fs::create_dir_all(&fresh).with_context(|| at(&fresh))?;
    for (name, bytes) in &files {
        let path = fresh.join(name);
        std::fs::write(&path, bytes).with_context(|| at(&path))?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| at(folder))?;
    }
    std::fs::rename(&fresh, folder).with_context(|| at(folder))
}

/// The page's own files, the weights and the sample, by their names on the page.
fn sources() -> Result<Vec<(String, Vec<u8>)>> {
    let page = root().join("web/page");
    let entries = std::fs::read_dir(&page).with_context(|| format!("{} cannot be read", page.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?));
    }
    files.push((assets::WEIGHTS_ON_THE_PAGE.into(), assets::WEIGHTS.to_vec()));
    files.push((assets::SAMPLE_ON_THE_PAGE.into(), sample()?));
    Ok(files)
}

/// The sample CT, unpacked: the host packs what it sends, and brotli packs better than gzip.
fn sample() -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(assets::SAMPLE).read_to_end(&mut plain).context("the sample CT cannot be unpacked")?;
    Ok(plain)
}

/// Puts version, size and list of files where the page and the service worker have placeholders.
fn fill_in(files: &mut [(String, Vec<u8>)], wasm_bytes: usize) -> Result<()> {
    let version = fingerprint(files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]));
    let kept: Vec<String> = files
        .iter()
        .map(|(name, _)| name)
        .filter(|name| ![PAGE, SERVICE_WORKER].contains(&name.as_str()))
        .map(|name| format!("\"{name}\""))
        .collect();
    for (name, placeholders) in
        [(PAGE, &["__VERSION__", "__WASM_BYTES__"][..]), (SERVICE_WORKER, &["__VERSION__", "\"__FILES__\""])]
    {
        let Some((_, bytes)) = files.iter_mut().find(|(n, _)| n == name) else { bail!("web/page/{name} is missing") };
        let mut text = String::from_utf8(std::mem::take(bytes)).with_context(|| format!("{name} is not text"))?;
        for placeholder in placeholders {
            if !text.contains(placeholder) {
                bail!("web/page/{name} does not contain {placeholder}");
            }
            let value = match *placeholder {
                "__VERSION__" => version.clone(),
                "__WASM_BYTES__" => wasm_bytes.to_string(),
                _ => kept.join(", "),
            };
            text = text.replace(placeholder, &value);
        }
        *bytes = text.into_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(files: &'a [(String, Vec<u8>)], name: &str) -> &'a str {
        std::str::from_utf8(&files.iter().find(|(n, _)| n == name).unwrap().1).unwrap()
    }

    #[test]
    fn page_and_service_worker_are_of_the_same_version_and_another_file_makes_another_one() {
        let mut files = sources().unwrap();
        files.push(("x.wasm".into(), vec![1, 2, 3]));
        let mut other = files.clone();
        other.last_mut().unwrap().1[0] = 9;
        fill_in(&mut files, 3).unwrap();
        fill_in(&mut other, 3).unwrap();
        let version = |files: &[(String, Vec<u8>)]| {
            let worker = text(files, SERVICE_WORKER);
            let (_, rest) = worker.split_once("const VERSION = \"").unwrap();
            rest.split_once('"').unwrap().0.to_string()
        };
        assert!(text(&files, PAGE).contains(&version(&files)));
        assert_ne!(version(&files), version(&other));
        let worker = text(&files, SERVICE_WORKER);
        assert!(worker.contains("\"x.wasm\"") && worker.contains("\"sample.nii\""), "{worker}");
        assert!(!worker.contains("\"service-worker.js\"") && !worker.contains("__"), "{worker}");
        assert!(!text(&files, PAGE).contains("__"));
    }

    #[test]
    fn the_page_allows_nothing_but_its_own_origin() {
        let files = sources().unwrap();
        let policy = crate::web::serve::policy(text(&files, PAGE)).unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
        for loose in ["unsafe-inline", "'unsafe-eval'", "http", "*"] {
            assert!(!policy.contains(loose), "{loose}: {policy}");
        }
        for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with(".nii")) {
            let text = String::from_utf8_lossy(bytes);
            let outside = text.contains("https://") || text.replace("http://www.w3.org", "").contains("http://");
            assert!(!outside, "{name} names another origin");
        }
    }
}
