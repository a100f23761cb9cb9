//! What a page must survive: graphics that the browser takes away, faults in the program, a new version on the server.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use whole_program_tests::PATIENCE;

use super::*;

/// Whether the viewer is shown on another canvas than when this was asked last, and nothing stands in its way.
const ON_ANOTHER_CANVAS: &str = "(() => {
    const [last, now] = [window.canvas_seen, document.getElementById('viewer')];
    const well = document.body.dataset.state === 'running' && !document.querySelector('#lines .line, dialog[open]');
    if (now === last || !now.dataset.shown || !well) return false;
    window.canvas_seen = now;
    return true;
})()";

const LOSE_CONTEXT: &str =
    "document.getElementById('viewer').getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()";
/// No new canvas gets a context.
const NO_GRAPHICS: &str = "void (() => {
    window.own = [HTMLCanvasElement.prototype.getContext, window.setTimeout];
    const last = document.getElementById('viewer');
    HTMLCanvasElement.prototype.getContext = function (...what) {
        return this === last ? own[0].apply(this, what) : null;
    };
    window.setTimeout = (act) => own[1].call(window, act, 0);
})()";
const GRAPHICS_AGAIN: &str = "void ([HTMLCanvasElement.prototype.getContext, window.setTimeout] = window.own)";

/// Letters lie at other places of a new canvas' texture: so many pixels at their edges may be rounded otherwise.
const ROUNDED: usize = 200;

/// What is on screen, once it is drawn to the end and the mouse is away.
fn picture(browser: &mut Chromium, name: &str) -> Picture {
    browser.move_to([2, 2]);
    let mut last = browser.screenshot(name);
    // Textures are uploaded over some frames.
    for _ in 0..100 {
        browser.move_to([2, 2]);
        let next = browser.screenshot(name);
        if next.differing(&last) == 0 {
            return next;
        }
        last = next;
    }
    panic!("{name}: the picture does not come to rest")
}

#[test]
fn a_lost_webgl_context_comes_back_with_the_picture_and_the_edits() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    paint(&mut browser);
    browser.wait_for(ON_ANOTHER_CANVAS);
    let (before, seen) = (picture(&mut browser, "graphics-before"), status(&mut browser));
    for _ in 0..2 {
        browser.evaluate(LOSE_CONTEXT);
        browser.wait_for(ON_ANOTHER_CANVAS);
        let after = picture(&mut browser, "graphics-after");
        assert!(before.differing(&after) < ROUNDED, "{} pixels are others than before", before.differing(&after));
        assert_eq!(status(&mut browser), seen);
    }
    // Graphics that do not come back, where nobody waits long for them.
    browser.may_stop = true;
    browser.evaluate(NO_GRAPHICS);
    browser.evaluate(LOSE_CONTEXT);
    let said = browser.wait_for(MESSAGE);
    let said = said.as_str().unwrap();
    assert!(
        said.contains("There is no picture") && said.contains("everything you have drawn are still there"),
        "{said}"
    );
    browser.screenshot("no-graphics");
    browser.evaluate(GRAPHICS_AGAIN);
    assert_eq!(browser.evaluate("document.activeElement.textContent"), "Try again");
    browser.evaluate("document.activeElement.click()");
    browser.wait_for(ON_ANOTHER_CANVAS);
    let again = picture(&mut browser, "graphics-again");
    assert!(before.differing(&again) < ROUNDED, "{} pixels are others than before", before.differing(&again));
    browser.may_stop = false;
    check_label_pixels(&mut browser, "labels-after-a-lost-context");
    // The keyboard still speaks to the viewer, and edits can be taken back.
    browser.press_with('z', CONTROL);
    assert_eq!(status(&mut browser)["study"]["edited_voxels"], 0);
    check_well(&mut browser, &host);
}

/// Remembers the devices that the page asks for, to end them as a driver does.
const REMEMBER_DEVICES: &str = "window.devices = [];
    const ask = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...how) {
        const device = await ask.apply(this, how);
        window.devices.push(device);
        return device;
    };";

/// The worker takes no further step between "hold" and "go on": a run lasts as long as the test needs it. It listens from its first
/// step on: a worker that has not begun yet, and opens a channel, crashes.
const HOLD_THE_RUN: &str = "{
    const post = MessagePort.prototype.postMessage;
    let told, held;
    const listen = () => {
        told = new BroadcastChannel('run');
        told.onmessage = ({ data }) => {
            held?.forEach((step) => step());
            held = data === 'hold' ? [] : undefined;
        };
    };
    MessagePort.prototype.postMessage = function (...what) {
        if (!told) listen();
        const step = () => post.apply(this, what);
        if (held) held.push(step); else step();
    };
}";

#[test]
fn a_lost_device_and_an_ended_graphics_process_leave_a_run_alone() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, true);
    browser.at_start(REMEMBER_DEVICES);
    browser.worker_prelude = Some(HOLD_THE_RUN.into());
    browser.open(&format!("{}?sample&device=cpu&workers=1", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 2"));
    browser.evaluate("(window.run = new BroadcastChannel('run')).postMessage('hold')");
    browser.wait_for(ON_ANOTHER_CANVAS);
    assert_eq!(browser.evaluate("devices.length > 0"), true);
    browser.evaluate("devices.forEach((device) => device.destroy())");
    browser.wait_for(ON_ANOTHER_CANVAS);
    browser.end_graphics();
    browser.wait_for(ON_ANOTHER_CANVAS);
    assert_eq!(status(&mut browser)["run"]["phase"], "running", "the run was over before the graphics were");
    browser.evaluate("run.postMessage('go on')");
    browser.wait_for(&format!("{STATUS}.run.phase === 'finished'"));
    assert_eq!(status(&mut browser)["study"]["labelled_slices"], 79);
    check_label_pixels(&mut browser, "labels-after-an-ended-graphics-process");
    check_well(&mut browser, &host);
}

/// Lets the program's clock fail in the middle of a frame: as deep as it is read often, as the last fifty calls have shown. (Frames
/// may never again be what the first ones were, while a run went on.)
const NO_CLOCK_IN_A_FRAME: &str = "void (() => {
    Error.stackTraceLimit = 200;
    const now = Performance.prototype.now;
    let [calls, deep] = [[], Infinity];
    Performance.prototype.now = function () {
        const stack = new Error().stack.split('\\n');
        if (stack[2].includes('attention_anatomy_web')) {
            if (stack.length >= deep) throw new Error('no clock');
            calls.push(stack.length);
            if (calls.length === 50) {
                const often = calls.filter((depth) => calls.filter((other) => other === depth).length > 2);
                deep = Math.min(deep, Math.max(...often));
                calls = [];
            }
        }
        return now.call(this);
    };
})()";

/// The program finds no clock at all, which it panics about.
const NO_CLOCK: &str = "void (() => {
    const own = window.performance;
    const isAskedByTheProgram = () => new Error().stack.split('\\n')[3].includes('attention_anatomy_web');
    Object.defineProperty(window, 'performance', { get: () => (isAskedByTheProgram() ? undefined : own) });
})()";

/// Moves the mouse over the picture until there is a message; its words.
fn message(browser: &mut Chromium) -> String {
    let until = Instant::now() + PATIENCE;
    for n in 0.. {
        browser.call("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": 500 + n % 40, "y": 300 }));
        std::thread::sleep(Duration::from_millis(50));
        if let Some(said) = browser.evaluate(MESSAGE).as_str() {
            return said.to_string();
        }
        assert!(Instant::now() < until, "no message: {}\n{:#?}", browser.evaluate(STATUS), browser.complaints);
    }
    unreachable!()
}

/// The words of the message above everything, once there is one.
const MESSAGE: &str = "document.querySelector('dialog[open]')?.innerText";

#[test]
fn a_fault_is_said_in_plain_words_and_loses_no_edit() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    browser.may_stop = true;
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 1"));
    let edited = paint(&mut browser);
    browser.evaluate(NO_CLOCK_IN_A_FRAME);
    let said = message(&mut browser);
    assert!(said.contains("The viewer has stopped") && said.contains("Your edits are kept"), "{said}");
    browser.screenshot("fault");
    // The button that has the keyboard reloads the page.
    assert_eq!(browser.evaluate("document.activeElement.textContent"), "Reload the page");
    browser.evaluate("document.activeElement.click()");
    assert_eq!(browser.wait_for(&format!("{STATUS}?.offered_edits")), edited);

    // A panic.
    browser.evaluate(NO_CLOCK);
    let said = message(&mut browser);
    assert!(said.contains("The viewer has stopped"), "{said}");

    // The same in the worker, which has no clock here from the start.
    browser.worker_prelude = Some("Object.defineProperty(self, 'performance', { value: undefined })".into());
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    let said = browser.wait_for(MESSAGE);
    let said = said.as_str().unwrap();
    assert!(said.contains("can no longer open, outline or save") && said.contains("Your edits are kept"), "{said}");
    browser.screenshot("fault-of-the-worker");
}

/// The version that a page is of.
fn version(page: &Path) -> String {
    let index = std::fs::read_to_string(page.join("index.html")).unwrap();
    let (_, rest) = index.split_once("app.js?v=").unwrap();
    rest.split_once('"').unwrap().0.to_string()
}

/// The page as another version of itself, which is seen by its title.
fn another_version(page: &Path, name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let own = version(page);
    for entry in std::fs::read_dir(page).unwrap() {
        let path = entry.unwrap().path();
        let to = folder.path().join(path.file_name().unwrap());
        if ["index.html", "service-worker.js"].iter().any(|changed| path.ends_with(changed)) {
            let text = std::fs::read_to_string(&path).unwrap().replace(&own, name);
            std::fs::write(to, text.replace("<title>AttentionAnatomy", &format!("<title>{name}"))).unwrap();
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
    folder
}

const LINES: &str = "document.getElementById('lines').innerText";
const ASK_FOR_A_NEW_VERSION: &str =
    "navigator.serviceWorker.getRegistration().then((own) => own.update()).then(() => true)";
const NEW_VERSION_WAITS: &str = "navigator.serviceWorker.getRegistration().then((own) => Boolean(own.waiting))";
const NO_VERSION_WAITS: &str = "navigator.serviceWorker.getRegistration().then((own) => !own.waiting)";

#[test]
fn a_new_version_is_said_and_taken_when_it_is_asked_for() {
    let Some(stage) = stage() else { return };
    let (second, third) = (another_version(&stage.page, "second"), another_version(&stage.page, "third"));
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start_new(&stage.program, false);
    browser.open(&host.origin);
    browser.wait_for(&format!("{STATUS} && navigator.serviceWorker.controller !== null"));
    // Said in one line, once in a browser.
    let lines = browser.evaluate(LINES);
    assert!(lines.as_str().unwrap().contains("no WebGPU"), "{lines}");
    browser.screenshot("without-webgpu");
    browser.open(&format!("{}?sample&device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.study?.labelled_slices >= 1"));
    assert_eq!(browser.evaluate(LINES), "");
    let edited = paint(&mut browser);

    host.deploy(second.path());
    browser.evaluate(ASK_FOR_A_NEW_VERSION);
    browser.wait_for(&format!("{LINES}.includes('A new version of this page is ready')"));
    browser.screenshot("new-version");
    assert_eq!(browser.evaluate("document.title"), "AttentionAnatomy", "it was taken without being asked for");
    assert_eq!(status(&mut browser)["study"]["edited_voxels"], edited);
    browser.evaluate(
        "[...document.querySelectorAll('#lines button')].find((b) => b.textContent === 'Use it now').click()",
    );
    browser.wait_for("document.title === 'second'");
    assert_eq!(browser.wait_for(&format!("{STATUS}?.offered_edits")), edited);
    assert_eq!(browser.evaluate(LINES), "");
    // The files of the first version are gone with its last page.
    browser.wait_for("caches.keys().then((names) => names.join() === 'attention-anatomy-second')");

    // A page that begins takes a version that waits.
    host.deploy(third.path());
    browser.evaluate(ASK_FOR_A_NEW_VERSION);
    browser.wait_for(NEW_VERSION_WAITS);
    browser.open(&host.origin);
    browser.wait_for(STATUS);
    // One that is slow to take over is not waited for; it does all the same, and the next page has it.
    if browser.evaluate("document.title") != "third" {
        browser.wait_for(NO_VERSION_WAITS);
        browser.open(&host.origin);
    }
    browser.wait_for(&format!("document.title === 'third' && {STATUS}"));
    browser.wait_for("caches.keys().then((names) => names.join() === 'attention-anatomy-third')");
    check_well(&mut browser, &host);
}
