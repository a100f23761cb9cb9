//! The viewer as a web page, in a real browser: with WebGPU, without it, without a network, and when something stops.
//!
//! The page is the one that `cargo xtask web` has built. One test at a time: each of them keeps all cores busy.

mod archive;
mod chromium;
mod computing;
mod resilience;
mod screen;
mod server;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use attention_anatomy::formats::{ReadOptions, nifti};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{segment, succeed, unpack};
use chromium::{CONTROL, Chromium, Picture};
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
    whole_program_tests::not_run(lacks);
    None
}

const HAS_ADAPTER: &str = "(async () => Boolean(await navigator.gpu?.requestAdapter()))()";
const STATUS: &str = "window.attention_anatomy_status?.()";

fn status(browser: &mut Chromium) -> Value {
    browser.evaluate(STATUS)
}

fn labels_of(browser: &mut Chromium, slice: u64) -> Vec<u8> {
    let labels = browser.evaluate(&format!("Array.from(window.attention_anatomy_labels({slice}))"));
    serde_json::from_value(labels).unwrap()
}

/// Labelled voxels of the first slice, and voxels in which the second differs.
fn differing(expected: &[u8], labels: &[u8]) -> (usize, usize) {
    assert_eq!(expected.len(), labels.len());
    let different = expected.iter().zip(labels).filter(|(a, b)| a != b).count();
    (expected.iter().filter(|&&label| label > 0).count(), different)
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

/// Where the axial view shows which voxel: found by moving the mouse over it and asking what lies under it.
struct AxialView {
    /// Pixels of the screen for each voxel, across and down.
    scale: [f64; 2],
    /// Where the centre of voxel 0 lies.
    origin: [f64; 2],
    /// The slice that is seen.
    slice: usize,
}

impl AxialView {
    fn find(browser: &mut Chromium) -> Self {
        let mut under = |at: [usize; 2]| -> Option<[usize; 3]> {
            browser.move_to(at);
            let hover = status(browser)["hover"].clone();
            (hover["plane"] == "axial").then(|| serde_json::from_value(hover["voxel"].clone()).unwrap())
        };
        // The large view lies about here, whatever the widths of the panels.
        let middle = [520, 320];
        let slice = under(middle).expect("the mouse is not over the axial view")[2];
        // Voxels are whole numbers: the line through many of them is finer than any one.
        let mut line = |axis: usize| {
            let mut points: Vec<(f64, f64)> = Vec::new();
            for pixel in (middle[axis] - 100..=middle[axis] + 100).step_by(20) {
                let mut at = middle;
                at[axis] = pixel;
                points.extend(under(at).map(|voxel| (pixel as f64, voxel[axis] as f64)));
            }
            assert!(points.len() > 8, "the axial view is small: {points:?}");
            let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
            let (p, v) = (mean(|point| point.0), mean(|point| point.1));
            let (products, squares) =
                points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + (x - p) * (y - v), b + (x - p) * (x - p)));
            let scale = squares / products;
            (scale, p - v * scale)
        };
        let (across, down) = (line(0), line(1));
        Self { scale: [across.0, down.0], origin: [across.1, down.1], slice }
    }

    fn pixel(&self, [i, j]: [usize; 2]) -> Option<[usize; 2]> {
        let at = |n: usize, v: usize| self.origin[n] + v as f64 * self.scale[n];
        let [x, y] = [at(0, i), at(1, j)];
        (x >= 0.0 && y >= 0.0).then(|| [x.round() as usize, y.round() as usize])
    }
}

/// Labels colour exactly the pixels under which the mouse finds labelled voxels.
fn check_label_pixels(browser: &mut Chromium, name: &str) {
    let view = AxialView::find(browser);
    assert!((view.scale[0] / view.scale[1] - 1.0).abs() < 0.03, "square voxels are not square: {:?}", view.scale);
    // Away from the pictures, so that nothing is drawn for the mouse; without the crosshair's lines.
    browser.move_to([2, 2]);
    browser.press('c');
    let with = browser.screenshot(name);
    browser.press('l');
    let without = browser.screenshot(&format!("{name}-no-labels"));
    browser.press('l');
    let labels = labels_of(browser, view.slice as u64);
    let (width, mut right, mut wrong) = (128, [0, 0], Vec::new());
    for (n, &label) in labels.iter().enumerate() {
        let (i, j) = (n % width, n / width);
        // Not at an edge of a label, where outlines and interpolation are.
        let near = |di: usize, dj: usize| labels.get(i + di - 1 + width * (j + dj - 1));
        let inside = (1..width - 1).contains(&i) && j >= 1 && (0..9).all(|d| near(d % 3, d / 3) == Some(&label));
        let Some([x, y]) = view.pixel([i, j]).filter(|_| inside) else { continue };
        // The middle of the view: scale bar, letters and slider lie at its rim.
        if x.abs_diff(520) > 170 || y.abs_diff(320) > 170 {
            continue;
        }
        if (with.at(x, y) != without.at(x, y)) == (label > 0) {
            right[usize::from(label > 0)] += 1;
        } else {
            wrong.push(([x, y], label, with.at(x, y), without.at(x, y)));
        }
    }
    assert!(right[1] > 50 && right[0] > 500, "{right:?} pixels to judge by");
    assert!(wrong.len() * 50 < right[1], "{} wrong, {right:?} right: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn the_page_segments_the_sample_with_webgpu() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, true);
    browser.open(&format!("{}?sample&device=gpu", host.origin));
    assert_eq!(browser.evaluate(HAS_ADAPTER), true);
    browser.wait_for(&format!("{STATUS}?.study?.size"));
    // Seconds for each slice on a machine without a GPU; minutes when it is busy.
    browser.wait_for(&format!("{STATUS}.study.labelled_slices >= 2"));
    let seen = status(&mut browser);
    assert_eq!(seen["study"]["size"], serde_json::json!([128, 128, 79]));
    assert!(["gpu", "software_gpu"].contains(&seen["device"]["kind"].as_str().unwrap()), "{seen:#}");
    assert!(seen["study"]["attention_slices"].as_u64().unwrap() >= 2, "{seen:#}");
    let slice = seen["study"]["slice"].as_u64().unwrap();
    let on_gpu = labels_of(&mut browser, slice);
    browser.screenshot("with-webgpu");
    check_well(&mut browser, &host);
    // A software GPU computes for minutes; WebGPU draws what the processor computes, too.
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    // Before the run ends, as above: its end removes pieces that lie apart from their organ.
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 2"));
    let on_cpu = labels_of(&mut browser, slice);
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    let (labelled, different) = differing(&on_gpu, &on_cpu);
    assert!(labelled > 50 && different * 50 <= labelled, "{different} of {labelled} labelled voxels differ");
    check_label_pixels(&mut browser, "labels-with-webgpu");
    check_well(&mut browser, &host);
}

#[test]
fn the_page_segments_the_sample_without_webgpu_as_the_program_does() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    // On a machine with two cores it would be one worker.
    browser.open(&format!("{}?sample&workers=3", host.origin));
    assert_eq!(browser.evaluate(HAS_ADAPTER), false);
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    assert_eq!(browser.workers, 3);
    let seen = status(&mut browser);
    assert_eq!(seen["device"]["kind"], "cpu", "{seen:#}");
    check_label_pixels(&mut browser, "labels-without-webgpu");
    check_well(&mut browser, &host);

    let folder = TempDir::new().unwrap();
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/sample/neck-chest.nii.gz");
    succeed(&mut segment(&sample, folder.path()));
    let bytes = std::fs::read(folder.path().join("labels.nii.gz")).unwrap();
    let native = nifti::read_labels(&bytes, &ReadOptions::default()).unwrap();
    let [nx, ny, _] = native.geometry.size;
    let (mut labelled, mut different) = (0, 0);
    for (k, expected) in native.voxels.chunks_exact(nx * ny).enumerate() {
        let (l, d) = differing(expected, &labels_of(&mut browser, k as u64));
        (labelled, different) = (labelled + l, different + d);
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
    browser.wait_for(&format!("{STATUS} && navigator.serviceWorker.controller !== null"));
    // Nobody answers any more, not even the workers, which have a network of their own.
    drop(host);
    browser.unplug();
    assert_eq!(browser.evaluate(&format!("fetch('{origin}none').then(() => 'answer', () => 'offline')")), "offline");
    browser.complaints.clear();
    browser.open(&format!("{origin}?sample"));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 3"));
    let kept = browser.evaluate("caches.keys().then(async (names) => (await Promise.all(names.map(async (n) => (await (await caches.open(n)).keys()).map((r) => new URL(r.url).pathname)))).flat())");
    let kept: Vec<String> = serde_json::from_value(kept).unwrap();
    assert!(
        kept.contains(&"/".to_string())
            && kept.iter().all(|path| stage.page.join(path.trim_start_matches('/')).exists()),
        "{kept:?}"
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn a_folder_that_is_dropped_on_the_page_opens() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let folder = TempDir::new().unwrap();
    unpack("ct-dicom-jpeg2000.zip", "", &folder.path().join("patient/series"));
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    browser.drop(&[&folder.path().join("patient")], [640, 400]);
    let size = browser.wait_for(&format!("{STATUS}.study?.size"));
    assert_eq!(size[2], 4);
    check_well(&mut browser, &host);
}

/// Paints a stroke on the slice on screen; the voxels that are edited then.
fn paint(browser: &mut Chromium) -> u64 {
    // "Brain stem" in the list of organs, in a window of 1280 by 720.
    browser.click([66, 182]);
    browser.press('b');
    browser.drag(&[[500, 300], [520, 310], [540, 320]]);
    let edited = status(browser)["study"]["edited_voxels"].as_u64().unwrap();
    assert!(edited > 0);
    edited
}

/// Whether the browser keeps any edits.
const KEPT: &str = "new Promise((kept) => {
    const open = indexedDB.open('attention-anatomy');
    open.onsuccess = () => {
        const count = open.result.transaction('edits').objectStore('edits').count();
        count.onsuccess = () => { open.result.close(); kept(count.result > 0); };
    };
})";

#[test]
fn edits_come_back_after_the_tab_was_closed() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    let edited = paint(&mut browser);
    // Some seconds after a stroke they are kept.
    browser.wait_for(KEPT);
    // A page that is left before keeps them, too.
    browser.drag(&[[500, 360], [520, 370], [540, 380]]);
    let all = status(&mut browser)["study"]["edited_voxels"].as_u64().unwrap();
    assert!(all > edited, "{all} voxels after the second stroke, {edited} before");
    browser.open("about:blank");
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    assert_eq!(browser.wait_for(&format!("{STATUS}?.offered_edits")), all);
    browser.screenshot("edits-offered");
    check_well(&mut browser, &host);
}

#[test]
fn a_network_learns_in_the_page() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    // The tab "Learn" and the button "Start" in a window of 1280 by 720.
    browser.click([1217, 96]);
    browser.click([1003, 419]);
    browser.wait_for(&format!("{STATUS}.demo_training?.length >= 60"));
    let losses: Vec<[Option<f64>; 3]> = serde_json::from_value(status(&mut browser)["demo_training"].clone()).unwrap();
    // The region loss counts from the first step; the others come later.
    let mean =
        |losses: &[[Option<f64>; 3]]| losses.iter().map(|step| step[2].unwrap()).sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[losses.len() - 10..]));
    assert!(last < 0.8 * first, "the region loss of the first ten steps is {first}, of the last {last}");
    browser.screenshot("learning");
    check_well(&mut browser, &host);
}
