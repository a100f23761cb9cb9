//! The viewer as a web page, in a real browser: with WebGPU, without it, and without a network.
//!
//! The page is the one that `cargo xtask web` has built. One test at a time: each of them keeps all cores busy.

mod chromium;
mod server;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use attention_anatomy::formats::{ReadOptions, nifti};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{segment, succeed};
use chromium::Chromium;
use server::Host;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What a browser test needs.
struct Stage {
    program: PathBuf,
    page: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// `None` where browser or page are missing; under CI that is a failure.
fn stage() -> Option<Stage> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let test = std::env::current_exe().unwrap();
    let page = test.ancestors().nth(3).unwrap().join("web");
    let (program, built) = (chromium::find(), page.join("index.html").is_file());
    if let (Some(program), true) = (program.clone(), built) {
        return Some(Stage { program, page, _turn: turn });
    }
    let lacks = match (program, built) {
        (None, _) => "Chromium is missing (Debian: apt-get install chromium)",
        _ => "the page is not built (cargo xtask web)",
    };
    assert!(std::env::var_os("CI").is_none(), "{lacks}");
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    {
        eprintln!("NOT RUN: {lacks}");
    }
    None
}

const STATUS: &str = "window.attention_anatomy_status?.()";

fn status(browser: &mut Chromium) -> Value {
    browser.evaluate(STATUS)
}

/// Nothing went wrong in the page, in its workers or in what it shows, and nothing was asked of anybody else.
fn check_well(browser: &mut Chromium, host: &Host) {
    assert_eq!(browser.complaints, Vec::<String>::new());
    let own = |address: &&String| {
        !address.starts_with(&host.origin) && !["data:", "blob:", "about:"].iter().any(|s| address.starts_with(s))
    };
    assert_eq!(browser.requests.iter().filter(own).collect::<Vec<_>>(), Vec::<&String>::new());
    let status = status(browser);
    let errors: Vec<&Value> =
        status["notices"].as_array().unwrap().iter().filter(|n| n.as_str().unwrap().starts_with("Error")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_page_segments_the_sample_with_webgpu() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, true);
    browser.open(&format!("{}?sample&device=gpu", host.origin));
    assert_eq!(browser.wait_for("navigator.gpu ? 'there' : false", 5), "there");
    browser.wait_for(&format!("{STATUS}?.study?.size"), 120);
    browser.wait_for(&format!("{STATUS}.study.labelled_slices >= 3"), 240);
    let seen = status(&mut browser);
    assert_eq!(seen["study"]["size"], serde_json::json!([128, 128, 79]));
    assert!(["gpu", "software_gpu"].contains(&seen["device"]["kind"].as_str().unwrap()), "{seen:#}");
    assert!(seen["study"]["attention_slices"].as_u64().unwrap() >= 3, "{seen:#}");
    browser.screenshot("with-webgpu");
    check_well(&mut browser, &host);
}

#[test]
fn the_page_segments_the_sample_without_webgpu_as_the_program_does() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?sample", host.origin));
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"), 180);
    let seen = status(&mut browser);
    assert_eq!(browser.evaluate("navigator.gpu === undefined"), true);
    assert_eq!(seen["device"]["kind"], "cpu", "{seen:#}");
    assert!(seen["notices"].to_string().contains("no WebGPU"), "{seen:#}");
    let picture = browser.screenshot("without-webgpu");
    assert!(picture.colours() > 300, "{} colours: is the scan drawn?", picture.colours());
    check_well(&mut browser, &host);

    let folder = TempDir::new().unwrap();
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/sample/neck-chest.nii.gz");
    succeed(&mut segment(&sample, folder.path()));
    let bytes = std::fs::read(folder.path().join("labels.nii.gz")).unwrap();
    let native = nifti::read_labels(&bytes, &ReadOptions::default()).unwrap();
    let [nx, ny, nz] = native.geometry.size;
    let (mut labelled, mut different) = (0, 0);
    for k in 0..nz {
        let labels = browser.evaluate(&format!("Array.from(window.attention_anatomy_labels({k}))"));
        let labels: Vec<u8> = serde_json::from_value(labels).unwrap();
        let expected = &native.voxels[k * nx * ny..(k + 1) * nx * ny];
        assert_eq!(labels.len(), expected.len());
        labelled += expected.iter().filter(|&&l| l > 0).count();
        different += labels.iter().zip(expected).filter(|(a, b)| a != b).count();
    }
    // Of the labelled voxels, which is ten times as strict as of all.
    assert!(labelled > 1000 && different * 1000 <= labelled, "{different} of {labelled} labelled voxels differ");
}

#[test]
fn the_page_works_offline_after_the_first_visit() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let origin = host.origin.clone();
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&origin);
    browser.wait_for(&format!("{STATUS} && navigator.serviceWorker.controller !== null"), 120);
    drop(host);
    assert_eq!(browser.evaluate(&format!("fetch('{origin}none').then(() => 'answer', () => 'offline')")), "offline");
    browser.complaints.clear();
    browser.open(&format!("{origin}?sample"));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 3"), 120);
    let kept = browser.evaluate("caches.keys().then(async (names) => (await Promise.all(names.map(async (n) => (await (await caches.open(n)).keys()).map((r) => new URL(r.url).pathname)))).flat())");
    let kept: Vec<String> = serde_json::from_value(kept).unwrap();
    assert!(
        kept.contains(&"/".to_string())
            && kept.iter().all(|path| stage.page.join(path.trim_start_matches('/')).exists()),
        "{kept:?}"
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}
