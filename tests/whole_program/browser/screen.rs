//! The page on small and large screens, for a screen reader, by keyboard, and whose scan it shows.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::chromium::Chromium;
use super::server::Host;
use super::{STATUS, check_well, stage, status};
use crate::support::unpack;

/// Nodes of the accessibility tree that a screen reader stops at: role and name.
fn spoken(browser: &mut Chromium) -> Vec<(String, String)> {
    let tree = browser.call("Accessibility.getFullAXTree", &json!({}));
    let said = |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_string();
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != true);
    nodes.map(|node| (said(node, "role"), said(node, "name"))).collect()
}

fn says(tree: &[(String, String)], role: &str, name: &str) -> bool {
    tree.iter().any(|(r, n)| r == role && n.contains(name))
}

/// A screen of so many points, touched by fingers.
fn hold(browser: &mut Chromium, width: usize, height: usize) {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", &metrics);
    browser.call("Emulation.setTouchEmulationEnabled", &json!({ "enabled": true, "maxTouchPoints": 5 }));
}

const TOUCH: &str = "Input.dispatchTouchEvent";

fn fingers(kind: &str, at: &[[usize; 2]]) -> Value {
    let points: Vec<Value> = at.iter().enumerate().map(|(id, [x, y])| json!({ "x": x, "y": y, "id": id })).collect();
    json!({ "type": kind, "touchPoints": points })
}

/// What comes next comes at once: a finger that rests reads, and is no tap and turns no slices.
fn put_down(browser: &mut Chromium, at: [usize; 2]) {
    browser.post(TOUCH, &fingers("touchStart", &[at]));
}

fn touch(browser: &mut Chromium, kind: &str, at: &[[usize; 2]]) {
    browser.call(TOUCH, &fingers(kind, at));
    browser.settle();
}

fn tap(browser: &mut Chromium, at: [usize; 2]) {
    put_down(browser, at);
    touch(browser, "touchEnd", &[]);
}

fn slice(browser: &mut Chromium) -> u64 {
    status(browser)["study"]["slice"].as_u64().unwrap()
}

/// Text of the page's mirror, once it is this.
fn mirrored(browser: &mut Chromium, id: &str, text: &str) {
    let text = serde_json::to_string(text).unwrap();
    browser.wait_for(&format!("document.getElementById('{id}').textContent.includes({text})"));
}

#[test]
fn on_telephones_and_tablets_fingers_turn_zoom_and_read() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    hold(&mut browser, 390, 844);
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 2"));
    browser.screenshot("telephone");
    assert_eq!(status(&mut browser)["view"]["form"], "phone");

    // One finger: 79 slices on some 700 points. It moves at once, as one that rests reads a voxel.
    let before = slice(&mut browser);
    put_down(&mut browser, [195, 500]);
    for y in [460, 420, 380] {
        touch(&mut browser, "touchMove", &[[195, y]]);
    }
    touch(&mut browser, "touchEnd", &[]);
    let turned = slice(&mut browser) - before;
    assert!((8..=20).contains(&turned), "{turned} slices by 120 points");

    touch(&mut browser, "touchStart", &[[155, 400], [235, 400]]);
    touch(&mut browser, "touchMove", &[[135, 400], [255, 400]]);
    touch(&mut browser, "touchMove", &[[115, 400], [275, 400]]);
    touch(&mut browser, "touchEnd", &[]);
    let zoom = status(&mut browser)["view"]["zoom"].as_f64().unwrap();
    assert!((1.6..=2.4).contains(&zoom), "fingers twice as far apart: {zoom}");
    assert_eq!(slice(&mut browser) - before, turned, "two fingers turn nothing");

    touch(&mut browser, "touchStart", &[[195, 400]]);
    let read = browser.wait_for(&format!("{STATUS}.view.probe"));
    assert_eq!((&read["plane"], &read["voxel"][2]), (&json!("axial"), &json!(before + turned)));
    browser.screenshot("telephone-reading");
    touch(&mut browser, "touchEnd", &[]);

    // The first button of the bar at the bottom.
    tap(&mut browser, [40, 822]);
    browser.wait_for(&format!("{STATUS}.view.sheet === 'Organs'"));
    browser.screenshot("telephone-organs");

    hold(&mut browser, 844, 390);
    browser.wait_for(&format!("innerWidth === 844 && {STATUS}.view.form === 'phone'"));
    browser.screenshot("telephone-on-its-side");
    hold(&mut browser, 820, 1180);
    browser.wait_for(&format!("{STATUS}.view.form === 'tablet'"));
    browser.screenshot("tablet");
    check_well(&mut browser, &host);
}

#[test]
fn a_screen_reader_and_the_keyboard_find_what_the_screen_shows() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    let features = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.call("Emulation.setEmulatedMedia", &features);
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    browser.wait_for(&format!("{STATUS}.needs.still"));
    mirrored(&mut browser, "mirror-scan", "No scan is open");
    let tree = spoken(&mut browser);
    assert!(says(&tree, "heading", "AttentionAnatomy") && says(&tree, "button", "Open the sample CT"), "{tree:?}");
    let unnamed: Vec<_> = tree.iter().filter(|(role, name)| role == "textbox" && name.is_empty()).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");

    // The first stop of the tab key is the main action.
    browser.press_key("Tab", 9);
    browser.press_key("Enter", 13);
    browser.wait_for(&format!("{STATUS}.study?.size"));
    browser.wait_for(&format!("{STATUS}.run.phase === 'finished'"));
    mirrored(&mut browser, "mirror-run", "finished: 79 slices");
    let at = slice(&mut browser) + 1;
    mirrored(&mut browser, "mirror-view", &format!("Axial, slice {at} of 79. Region: "));
    mirrored(&mut browser, "mirror-view", " Attention: ");
    browser.press_key("ArrowUp", 38);
    mirrored(&mut browser, "mirror-view", &format!("Axial, slice {} of 79.", at + 1));
    let tree = spoken(&mut browser);
    assert!(says(&tree, "heading", "neck-chest"), "{tree:?}");
    assert!(says(&tree, "status", "Slice") && says(&tree, "status", "Progress") && says(&tree, "log", "Notices"));
    // What the network finds on this scan, whatever it is, stands in the table and in the labels alike.
    let rows = browser.evaluate("[...document.querySelectorAll('#mirror tbody th')].map((cell) => cell.textContent)");
    let rows: Vec<String> = serde_json::from_value(rows).unwrap();
    assert!(rows.contains(&"Spinal cord".to_string()) && rows.contains(&"Lung left".to_string()), "{rows:?}");
    assert!(rows.iter().all(|organ| says(&tree, "rowheader", organ)), "{tree:?}");
    check_well(&mut browser, &host);
}

/// The slices of a series under another name: `ISO_IR 192` is UTF-8, and the elements of the patient are empty in the files.
fn named_series(folder: &std::path::Path) {
    unpack("ct-dicom-jpeg2000.zip", "", folder);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        for (tag, vr, value) in [
            ([0x10, 0, 0x10, 0], b"PN", "Yamada^Tarou=山田^太郎"),
            ([0x10, 0, 0x20, 0], b"LO", "ID-471100"),
            ([0x10, 0, 0x30, 0], b"DA", "19520317"),
        ] {
            let empty: Vec<u8> = [&tag[..], vr, &[0, 0]].concat();
            let at = bytes.windows(8).position(|window| window == empty).unwrap();
            let padded = if value.len() % 2 == 0 { value.to_string() } else { format!("{value} ") };
            let filled = [&tag[..], vr, &(padded.len() as u16).to_le_bytes(), padded.as_bytes()].concat();
            bytes.splice(at..at + 8, filled);
        }
        let set = b"ISO_IR 100";
        let at = bytes.windows(set.len()).position(|window| window == set).unwrap();
        bytes[at..at + set.len()].copy_from_slice(b"ISO_IR 192");
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn whose_scan_it_is_stands_on_screen_and_nowhere_else() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let folder = TempDir::new().unwrap();
    named_series(&folder.path().join("series"));
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    browser.drop(&[&folder.path().join("series")], [640, 400]);
    browser.wait_for(&format!("{STATUS}.study?.size"));
    // Patient, study and series, as people write them.
    let said = "Yamada, Tarou \u{b7} 山田 太郎, ID ID-471100, born 1952-03-17, studied 2022-12-08, CT Body 3.0, HFS.";
    mirrored(&mut browser, "mirror-scan", said);
    // The first window of the files: 300 around 40.
    assert_eq!(status(&mut browser)["view"]["window"], json!([300, 40]));
    let shown = browser.screenshot("patient");
    // Not the port, which may be any number.
    let address = browser.evaluate("location.pathname + location.search + location.hash");
    let told = format!("{} {address}", status(&mut browser));
    for private in ["Yamada", "山田", "471100", "1952", "2022-12-08", "CT Body"] {
        assert!(!told.contains(private), "{private}: {told}");
    }
    // The same switch as the button at the right end of the line above the views.
    browser.evaluate("document.querySelector('#mirror button[value=patient]').click()");
    browser.wait_for(&format!("{STATUS}.patient_hidden"));
    mirrored(&mut browser, "mirror-scan", "Whose it is, is hidden");
    let hidden = browser.screenshot("patient-hidden");
    let line = |y: usize| (260..700).filter(|&x| shown.at(x, y) != hidden.at(x, y)).count();
    assert!((60..130).map(line).sum::<usize>() > 300, "the line looks as before");
    // It stays hidden in the next scan, and after a reload.
    browser.open("about:blank");
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.size"));
    mirrored(&mut browser, "mirror-scan", "Whose it is, is hidden");
    check_well(&mut browser, &host);
}
