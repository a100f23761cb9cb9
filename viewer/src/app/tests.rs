//! The whole application with its worker's thread, driven as a person drives it. The engine is a fake one that finds
//! the bright rod of a small patient; windows are drawn on whatever device this machine has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use attention_anatomy::anatomy::Organ;
use attention_anatomy::formats::{self, nifti};
use attention_anatomy::infer::{ComputeDevice, ComputeKind, DevicePreference, device};
use attention_anatomy::kernels::wgsl::{Gpu, Stored};
use egui::{Event, Key, Modifiers, PointerButton, Pos2, vec2};
use egui_kittest::{Harness, SnapshotOptions, kittest::Queryable};
use whole_program_tests::{not_run, wait};

use super::*;
use crate::display::{Tool, WINDOW_PRESETS};
use crate::document::{FileRequest, RunPhase};
use crate::panels::tests::sample;
use crate::worker::error::PlatformError;
use crate::worker::platform::{FakePlatform, File, Platform, Promise};
use crate::worker::{Input, Options, samples, spawn};

type Window = Harness<'static, ViewerApp>;

fn spawn_with(window: &Waker, options: Options) -> Box<dyn Worker> {
    let window = window.clone();
    spawn(Arc::new(move || window.wake()), options)
}

fn window(platform: &(impl Platform + Clone + Send + 'static)) -> Window {
    let platform = platform.clone();
    let mut window = Harness::builder().with_size(vec2(1280.0, 720.0)).with_max_steps(64).wgpu().build_eframe(|cc| {
        let options = Options { platform: Box::new(move || Box::new(platform)) };
        let mut app = ViewerApp::new(cc, |window| spawn_with(window, options), Launch::default());
        app.files.kept = Some(Vec::new());
        app.document.preferences.tour_seen = true;
        app
    });
    window.step();
    window
}

/// Draws frames until it has happened; a viewer that hangs fails the test.
fn until(window: &mut Window, what: &str, happened: impl Fn(&ViewerApp) -> bool) {
    wait(what, || {
        let over = happened(window.state());
        window.step();
        over.then_some(())
    });
}

fn press(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.step();
    window.step();
}

fn click(window: &mut Window, name: &str) {
    window.get_by_label(name).click_accesskit();
    window.step();
    window.step();
}

fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    for event in [
        Event::PointerMoved(from),
        button(from, true),
        Event::PointerMoved(from + (to - from) / 2.0),
        Event::PointerMoved(to),
        button(to, false),
    ] {
        window.event(event);
        window.step();
    }
    window.step();
}

fn ml(window: &Window, organ: Organ) -> f64 {
    window.state().document.study.as_ref().unwrap().labels.volume_ml(organ)
}

fn start_run(window: &mut Window) {
    let app = window.state_mut();
    app.document.start_run(&mut app.outbox);
}

fn open_sample(window: &mut Window) {
    click(window, "Open the sample CT");
    until(window, "the sample is segmented", |app| app.document.run.phase == RunPhase::Finished);
    assert!(window.state().outbox.notices.is_empty(), "{:?}", window.state().outbox.notices);
}

#[test]
fn a_scan_is_opened_segmented_looked_at_corrected_questioned_and_saved() {
    let platform = samples::platform();
    platform.state().attention = 0.2;
    let mut window = window(&platform);
    open_sample(&mut window);
    // The rod of 11 x 7 voxels through nine slices, 3 mm each; what lies apart is cleaned up.
    let rod = 11.0 * 7.0 * 9.0 * 0.027;
    assert!((ml(&window, samples::ORGAN) - rod).abs() < 0.2 * rod, "{} ml", ml(&window, samples::ORGAN));

    let before = window.state().document.view.slice();
    press(&mut window, Modifiers::NONE, Key::ArrowUp);
    assert_eq!(window.state().document.view.slice(), before + 1);
    press(&mut window, Modifiers::NONE, Key::Num3);
    assert_eq!(window.state().document.view.window, WINDOW_PRESETS[2].window);
    press(&mut window, Modifiers::NONE, Key::L);
    assert!(!window.state().document.view.labels);
    press(&mut window, Modifiers::NONE, Key::L);

    // A stroke of the spleen across the middle of the axial view, and back.
    let original = window.state().document.study.as_ref().unwrap().labels.layer().voxels();
    window.state_mut().document.view.selected = Some(Organ::Spleen);
    press(&mut window, Modifiers::NONE, Key::B);
    assert_eq!(window.state().document.view.tool, Tool::Brush);
    let middle = window.get_by_label_contains("Axial view").rect().center();
    drag(&mut window, middle + vec2(-30.0, 40.0), middle + vec2(30.0, 40.0));
    assert!(ml(&window, Organ::Spleen) > 1.0, "{} ml", ml(&window, Organ::Spleen));
    press(&mut window, Modifiers::COMMAND, Key::Z);
    assert_eq!(window.state().document.study.as_ref().unwrap().labels.layer().voxels(), original);
    press(&mut window, Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    let painted = ml(&window, Organ::Spleen);

    // A run that is started again leaves the stroke alone.
    start_run(&mut window);
    until(&mut window, "the second run ends", |app| app.document.run.phase == RunPhase::Finished);
    assert_eq!(ml(&window, Organ::Spleen), painted);

    click(&mut window, "Attention off");
    until(&mut window, "the question is answered", |app| {
        app.document.study.as_ref().is_some_and(|s| s.what_if.as_ref().is_some_and(|w| w.labels.is_some()))
    });

    click(&mut window, "Save");
    click(&mut window, "Labels, NIfTI\u{2026}");
    click(&mut window, "Save the file");
    until(&mut window, "a file is made", |app| app.files.kept.as_ref().is_some_and(|k| !k.is_empty()));
    let saved = window.state_mut().files.kept.as_mut().unwrap().remove(0);
    let FileRequest::Save { name, bytes } = saved else { panic!("{saved:?}") };
    let read = formats::read_labels(vec![(name, bytes)]).unwrap();
    let study = window.state().document.study.as_ref().unwrap();
    assert_eq!(read.voxels, study.labels.layer().voxels(), "what is saved is what is shown, without the what-if");
    assert!(read.geometry.same_grid(study.geometry(), 1e-3));
}

#[test]
fn the_window_answers_while_the_engine_never_does() {
    let platform = samples::platform();
    platform.state().slow = u32::MAX;
    let mut window = window(&platform);
    click(&mut window, "Open the sample CT");
    until(&mut window, "a slice is under way", |app| {
        app.document.run.phase == RunPhase::Running && app.document.study.is_some()
    });
    until(&mut window, "the engine was asked", |_| !platform.state().submitted.is_empty());
    let slice = window.state().document.view.slice();
    press(&mut window, Modifiers::NONE, Key::ArrowUp);
    assert_eq!(window.state().document.view.slice(), slice + 1);
    press(&mut window, Modifiers::NONE, Key::Num1);
    assert_eq!(window.state().document.view.window, WINDOW_PRESETS[0].window);
    assert_eq!(window.state().document.run.done, 0);
}

#[test]
fn a_device_lost_in_the_middle_of_a_run_keeps_window_labels_and_edits() {
    let platform = samples::platform();
    platform.state().fails_at = Some(1);
    let mut window = window(&platform);
    click(&mut window, "Open the sample CT");
    until(&mut window, "the device is lost", |app| matches!(app.document.run.phase, RunPhase::Failed(_)));
    assert!(window.state().outbox.notices.iter().any(|n| n.text.contains("stopped working")));
    let done = ml(&window, samples::ORGAN);
    assert!(done > 0.0, "slices that were there stay");
    window.state_mut().document.view.selected = Some(Organ::Spleen);
    press(&mut window, Modifiers::NONE, Key::B);
    let middle = window.get_by_label_contains("Axial view").rect().center();
    drag(&mut window, middle + vec2(-30.0, 40.0), middle + vec2(30.0, 40.0));
    let painted = ml(&window, Organ::Spleen);
    assert!(painted > 0.0);
    start_run(&mut window);
    until(&mut window, "the next run ends", |app| app.document.run.phase == RunPhase::Finished);
    assert!(ml(&window, samples::ORGAN) > done);
    assert_eq!(ml(&window, Organ::Spleen), painted);
}

/// A platform with a real GPU (a software one where there is no other), and the processor once that is gone.
#[derive(Clone)]
struct RealDevice {
    files: FakePlatform,
    gpu: Gpu,
    opened: Arc<AtomicUsize>,
}

impl RealDevice {
    fn new() -> Option<Self> {
        let adapter = attention_anatomy::testing::separate_gpu()?.adapter;
        let gpu = pollster::block_on(Gpu::open(&adapter, "doomed GPU", Stored::F32)).unwrap();
        Some(Self { files: samples::platform(), gpu, opened: Arc::default() })
    }
}

impl Platform for RealDevice {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError> {
        self.files.list(input)
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>> {
        self.files.weights()
    }

    fn memory_limit(&self) -> u64 {
        u64::MAX
    }

    fn device(&mut self, _: DevicePreference) -> Promise<Result<ComputeDevice, PlatformError>> {
        let device = match self.opened.fetch_add(1, Ordering::Relaxed) {
            0 => {
                let gpu = Some(self.gpu.clone());
                ComputeDevice { kind: ComputeKind::Gpu, name: "doomed GPU".into(), gpu, ..device::cpu() }
            }
            _ => device::cpu(),
        };
        Box::pin(async move { Ok(device) })
    }
}

#[test]
fn a_real_device_destroyed_in_the_middle_of_a_run_is_said_and_the_next_run_goes_on_without_it() {
    let Some(platform) = RealDevice::new() else {
        not_run("there is no adapter to destroy");
        return;
    };
    let mut window = window(&platform);
    click(&mut window, "Open the sample CT");
    until(&mut window, "the scan is there", |app| app.document.study.is_some());
    window.state_mut().document.view.selected = Some(Organ::Spleen);
    press(&mut window, Modifiers::NONE, Key::B);
    let middle = window.get_by_label_contains("Axial view").rect().center();
    drag(&mut window, middle + vec2(-30.0, 40.0), middle + vec2(30.0, 40.0));
    let painted = ml(&window, Organ::Spleen);
    until(&mut window, "a slice is computed", |app| app.document.run.done > 0);
    platform.gpu.destroy();
    until(&mut window, "the run ends", |app| matches!(app.document.run.phase, RunPhase::Failed(_)));
    let notices = window.state().outbox.notices.iter().map(|n| n.text.clone()).collect::<String>();
    assert!(notices.contains("doomed GPU stopped working"), "{notices}");
    start_run(&mut window);
    until(&mut window, "the next run ends", |app| app.document.run.phase == RunPhase::Finished);
    assert_eq!(platform.opened.load(Ordering::Relaxed), 2, "a second device was opened");
    assert!(painted > 0.0);
    assert_eq!(ml(&window, Organ::Spleen), painted);
}

#[test]
fn a_viewer_whose_window_has_lost_its_device_goes_on_in_another_with_the_same_picture() {
    let builder = || Harness::builder().with_size(vec2(1280.0, 720.0)).with_max_steps(64).wgpu();
    let options = Options { platform: Box::new(|| Box::new(samples::platform())) };
    let device = Arc::new(std::sync::Mutex::new(None));
    let first = device.clone();
    let mut window = builder().build_eframe(|cc| {
        *first.lock().unwrap() = cc.wgpu_render_state.as_ref().map(|state| state.device.clone());
        let mut app = ViewerApp::new(cc, |window| spawn_with(window, options), Launch::default());
        app.document.preferences.tour_seen = true;
        app.document.open(vec![Input::Sample], OpenAs::Whatever, &mut app.outbox);
        Shown::new(app)
    });
    let finished = |window: &mut Harness<'_, Shown>| {
        wait("the run ends", || {
            window.step();
            window.state().with(|app| app.document.run.phase == RunPhase::Finished).unwrap().then_some(())
        });
    };
    // Answers of the worker and textures come over some frames.
    let settled = |window: &mut Harness<'_, Shown>| {
        let mut last = window.render().unwrap();
        wait("the picture rests", || {
            window.run_steps(8);
            let now = window.render().unwrap();
            let rests = now == last;
            last = now;
            rests.then(|| last.clone())
        })
    };
    finished(&mut window);
    window.state().with(|app| app.document.preferences.layout = crate::display::Layout::ThreeUp);
    let before = settled(&mut window);
    let viewer = window.state().clone();
    device.lock().unwrap().take().unwrap().destroy();
    window.step();
    drop(window);

    let mut window = builder().build_eframe(|cc| {
        viewer.move_to(cc);
        viewer.clone()
    });
    let after = settled(&mut window);
    let pixels = before.enumerate_pixels().zip(after.pixels()).filter(|((.., a), b)| a != b);
    let other: Vec<[u32; 2]> = pixels.map(|((x, y, _), _)| [x, y]).collect();
    // Letters lie at other places of the new window's texture, and a few of their edges are rounded otherwise.
    assert!(other.len() < 40, "{} pixels are others, from {:?} to {:?}", other.len(), other.first(), other.last());
    // The worker speaks to this window.
    let notices = viewer.with(|app| {
        app.document.start_run(&mut app.outbox);
        app.outbox.notices.iter().map(|n| n.text.clone()).collect::<Vec<_>>()
    });
    assert_eq!(notices.unwrap(), Vec::<String>::new());
    finished(&mut window);
}

#[test]
fn what_cannot_be_opened_is_said_and_changes_nothing() {
    let mut window = window(&samples::platform());
    open_sample(&mut window);
    let before = ml(&window, samples::ORGAN);
    let small = nifti::write_labels(&samples::ct(3).with_voxels(vec![1; 60 * 60 * 3]), "").unwrap();
    for (name, bytes) in [("letter.txt", b"Dear colleague".to_vec()), ("other.nii.gz", small)] {
        let inputs = vec![Input::Bytes { name: name.into(), bytes: bytes.into() }];
        let app = window.state_mut();
        app.document.open(inputs, OpenAs::Whatever, &mut app.outbox);
        until(&mut window, "it is refused", |app| !app.outbox.notices.is_empty());
        let text = window.state().outbox.notices.iter().map(|n| n.text.clone()).collect::<String>();
        assert!(text.contains(name), "{text}");
        window.state_mut().outbox.notices.clear();
    }
    assert_eq!(ml(&window, samples::ORGAN), before);
}

/// Fonts and lavapipe may round a few edges otherwise on another machine.
fn picture(window: &mut Window, name: &str) {
    window.run_steps(4);
    let options = SnapshotOptions::new().threshold(2.0).max_failed_pixels(400);
    window.snapshot_options(name, &options);
}

#[test]
fn main_states_look_as_they_did() {
    let mut window = window(&samples::platform());
    until(&mut window, "weights and device are known", |app| {
        app.document.model.weights.is_some() && app.document.model.device.is_some()
    });
    picture(&mut window, "start");
    let sample = sample::bench();
    let app = window.state_mut();
    (app.document, app.outbox, app.panels) = (sample.document, sample.outbox, Panels::default());
    app.document.preferences.tour_seen = true;
    picture(&mut window, "study_dark");
    window.state_mut().document.preferences.dark = false;
    picture(&mut window, "study_light");
}
