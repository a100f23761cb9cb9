//! The page beside an archive: it opens what a link names, sends back what was corrected, and asks nobody else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use attention_anatomy::formats::dicom::{SeriesChoice, read_series};
use serde_json::json;
use whole_program_tests::{left_out, wait};

use super::chromium::SHIFT;
use super::*;
use crate::archive::orthanc::{MISSING, NO_PYDICOM, Orthanc, centres, read_back};
use crate::archive::server::{Archive, Reply, Request, SERIES, STUDY, Series};
use crate::support::{files_below, unpack_identified};

/// A copy of the page with a configuration of its host.
fn hosted(stage: &Stage, folder: &Path, root: &str) -> PathBuf {
    let page = folder.join("page");
    std::fs::create_dir_all(&page).unwrap();
    for entry in std::fs::read_dir(&stage.page).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, page.join(path.file_name().unwrap())).unwrap();
    }
    let config = json!({ "archives": [{ "name": "Ours", "root": root, "writes": ["RTSTRUCT", "SEG"] }] });
    std::fs::write(page.join("config.json"), config.to_string()).unwrap();
    page
}

fn notices(browser: &mut Chromium) -> String {
    status(browser)["notices"].to_string()
}

const SAYS: &str = "window.attention_anatomy_status?.()?.notices.join(' ')";

fn all_labels(browser: &mut Chromium, slices: usize) -> Vec<u8> {
    (0..slices).flat_map(|k| labels_of(browser, k as u64)).collect()
}

#[test]
fn a_link_opens_a_study_of_a_real_archive_and_what_was_corrected_goes_back_to_it() {
    let Some(stage) = stage() else { return };
    let folder = TempDir::new().unwrap();
    let page = hosted(&stage, folder.path(), "/dicom-web");
    let Some(orthanc) = Orthanc::start_beside(&folder.path().join("orthanc"), Some(&page)) else {
        return left_out(MISSING);
    };
    let slices = unpack_identified(&folder.path().join("ct"));
    let call = |command| crate::archive::archive(command, &orthanc.root);
    succeed(call("send").arg(folder.path().join("ct")));
    let address = orthanc.root.replace("/dicom-web", "/viewer/index.html");

    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{address}?device=cpu&StudyInstanceUIDs={STUDY}"));
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    let seen = status(&mut browser);
    assert!(seen["archive"]["came_from_one"] == true && seen["archive"]["connected"] == true, "{seen:#}");
    assert_eq!(seen["study"]["size"], json!([512, 512, slices.len()]));
    browser.screenshot("archive-opened");
    // The line that names the archive moves the list down: the first organ of it, and a stroke.
    browser.click([66, 202]);
    browser.press('b');
    browser.drag(&[[500, 320], [520, 330], [540, 340]]);
    assert!(status(&mut browser)["study"]["edited_voxels"].as_u64().unwrap() > 0);
    browser.press_with('S', CONTROL | SHIFT);
    browser.screenshot("archive-send");
    assert!(!notices(&mut browser).contains("sent"), "nothing by itself");
    // "Send", in a window of 1280 by 720.
    browser.click([378, 569]);
    // Its name is the scan's, too, and a status names no scan.
    browser.wait_for(&format!("{SAYS}.includes('sent, and kept by')"));
    let said = notices(&mut browser);
    assert!(said.contains("RTSTRUCT (") && said.contains("SEG ("), "{said}");
    let sent = all_labels(&mut browser, slices.len());

    let back = folder.path().join("back");
    succeed(call("get").args(["--study", STUDY, "--output"]).arg(&back));
    let new: Vec<String> = files_below(&back).into_iter().filter(|name| !name.starts_with(SERIES)).collect();
    assert_eq!(new.len(), 2, "{new:?}");
    let files: Vec<(String, Vec<u8>)> =
        slices.iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
    let (ct, ..) = read_series(files, SeriesChoice::Best).unwrap();
    let Some(read) = read_back(&new.iter().map(|name| back.join(name)).collect::<Vec<_>>()) else {
        return left_out(NO_PYDICOM);
    };
    let expected = centres(ct.geometry.size, &sent, |index| ct.geometry.to_patient(index));
    assert!(!expected.is_empty());
    for modality in ["RTSTRUCT", "SEG"] {
        let found = read[modality].as_object().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{modality}");
        for (name, [_, centre @ ..]) in &expected {
            let number = |n: usize| found[name][n + 1].as_f64().unwrap();
            let off = (0..3).map(|n| (number(n) - centre[n]).abs()).fold(0.0, f64::max);
            assert!(off < 0.01, "{modality}, {name}: {off} mm off");
        }
    }
    // Opened again with the scan, each shows as it was sent, and nothing is run over it.
    for name in new {
        let series = name.split('/').next().unwrap();
        browser.open("about:blank");
        browser.open(&format!("{address}?device=cpu&StudyInstanceUIDs={STUDY}&SeriesInstanceUIDs={SERIES},{series}"));
        browser.wait_for(&format!("{SAYS}.includes('the labels on screen are those of')"));
        // A large change is made over some frames.
        wait(&name, || (all_labels(&mut browser, slices.len()) == sent).then_some(()));
        browser.wait_for(&format!("{STATUS}.archive.structures === 2"));
    }
    browser.screenshot("archive-again");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

/// An archive of four slices beside the page.
fn beside(page: &Path, folder: &Path, change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Archive {
    let series = Series::new(&folder.join("ct"));
    Archive::beside(Some(page.to_path_buf()), move |request| change(request, series.answer(request)))
}

fn is_whole_series(request: &Request) -> bool {
    request.path.ends_with(SERIES)
}

/// A place in an answer that nobody chose, the same every time.
fn somewhere(number: usize, length: usize) -> usize {
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    usize::try_from(mixed).unwrap() % length
}

#[test]
fn a_connection_that_breaks_a_server_that_restarts_and_a_tab_that_is_reloaded_end_in_a_whole_scan_or_in_none() {
    let Some(stage) = stage() else { return };
    let folder = TempDir::new().unwrap();
    let page = hosted(&stage, folder.path(), "/dicom-web");
    // Who asks is the visit. How often each slice was asked for in the one that ends well, and how many answers broke off.
    let asked: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let cuts: Arc<AtomicUsize> = Arc::default();
    let (times, broken) = (asked.clone(), cuts.clone());
    let archive = beside(&page, folder.path(), move |request: &Request, reply: Reply| {
        let (length, is_one) = (reply.body.len(), request.path.contains("/instances/"));
        let cut = |reply: Reply, within| reply.cut(somewhere(broken.fetch_add(1, Ordering::SeqCst), within));
        match request.headers.get("authorization").map_or("", String::as_str) {
            "Bearer stranger" => Reply::new(401, "text/html", "<html>Sign in"),
            _ if !is_one && !is_whole_series(request) => reply,
            "Bearer holes" if is_one => Reply::new(404, "text/plain", ""),
            "Bearer holes" => reply.cut(length - 100),
            // In the first slice.
            _ if !is_one => cut(reply, length / 5),
            "Bearer first" => Reply::gone(),
            _ => {
                let mut times = times.lock().unwrap();
                let time = times.entry(request.path.clone()).or_default();
                *time += 1;
                match *time {
                    // As while a server starts anew.
                    1 => Reply::gone(),
                    2 | 3 => cut(reply, length),
                    _ => reply,
                }
            }
        }
    });
    let address = archive.root.replace("/dicom-web", "/");
    let mut browser = Chromium::start(&stage.program, false);
    let visit = |browser: &mut Chromium, token: &str| {
        // An address that differs behind the # alone would be no other page.
        browser.open("about:blank");
        browser.open(&format!("{address}?device=cpu&StudyInstanceUIDs={STUDY}#token={token}"));
        assert_eq!(browser.evaluate("location.hash"), "", "a token stays in no address");
    };
    // Left in the middle, when nobody is there any more.
    visit(&mut browser, "first");
    browser.wait_for(&format!("{SAYS}.includes('of 4 instances had come, the others are asked for one by one')"));
    assert!(status(&mut browser)["study"].is_null());

    visit(&mut browser, "very-secret");
    browser.wait_for(&format!("{STATUS}?.study?.size"));
    assert_eq!(status(&mut browser)["study"]["size"][2], 4);
    assert_eq!(asked.lock().unwrap().values().collect::<Vec<_>>(), [&4; 4], "what has come is not asked for again");
    assert!(cuts.load(Ordering::SeqCst) >= 10);
    let seen = archive.seen();
    let is_known = |request: &Request| {
        let token = request.headers.get("authorization").map(String::as_str);
        [Some("Bearer first"), Some("Bearer very-secret")].contains(&token)
    };
    assert!(seen.iter().all(is_known), "{seen:?}");
    let kept = browser.evaluate(
        "JSON.stringify([window.attention_anatomy_status(), {...localStorage}, {...sessionStorage}, location.href])",
    );
    assert!(!kept.to_string().contains("very-secret"), "{kept}");
    browser.screenshot("archive-broken-off");

    // A hole is never taken for a slice; and what an archive refuses is a sentence. (How many slices had come is not said here: of an answer
    // that breaks off, a browser drops what it has received and nobody has read yet.)
    for (token, sentence) in
        [("holes", "of 4 instances of the series did not come"), ("stranger", "does not know who asks")]
    {
        visit(&mut browser, token);
        browser.wait_for(&format!("{SAYS}.includes({})", json!(sentence)));
        assert!(status(&mut browser)["study"].is_null());
    }

    // Another token in the address of the open page is taken out of it, too, and is who asks now.
    browser.evaluate("location.hash = '#token=very-secret'");
    browser.wait_for(&format!("location.hash === '' && {STATUS}?.study?.size"));
    assert_eq!(status(&mut browser)["study"]["size"][2], 4);
}

#[test]
fn a_page_reaches_no_other_origin_unless_it_was_built_for_it() {
    let Some(stage) = stage() else { return };
    let folder = TempDir::new().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let other = Archive::answering(move |request| {
        series.answer(request).with("Access-Control-Allow-Origin", "*").with("Access-Control-Allow-Headers", "*")
    });
    let page = hosted(&stage, folder.path(), &other.root);
    let host = Host::of(&page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?device=cpu&StudyInstanceUIDs={STUDY}", host.origin));
    browser.wait_for(&format!("{SAYS}.includes('cargo xtask web --connect')"));
    browser.screenshot("archive-other-origin");
    let refused = browser.evaluate(&format!("fetch({}).then(() => 'answer', () => 'refused')", json!(other.root)));
    assert_eq!(refused, "refused");
    assert_eq!(other.seen().len(), 0);

    // As `cargo xtask web --connect` writes it.
    let index = page.join("index.html");
    let text = std::fs::read_to_string(&index).unwrap();
    let origin = other.root.replace("/dicom-web", "");
    std::fs::write(&index, text.replace("connect-src 'self'", &format!("connect-src 'self' {origin}"))).unwrap();
    let host = Host::of(&page);
    browser.open(&format!("{}?device=cpu&StudyInstanceUIDs={STUDY}", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.size"));
    assert!(!other.seen().is_empty());
}
