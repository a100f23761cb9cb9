//! Entry points of the page and of its worker.

use std::cell::RefCell;
use std::sync::Arc;

use attention_anatomy::infer::DevicePreference;
use attention_anatomy_viewer::document::Severity;
use attention_anatomy_viewer::worker::{self, Input};
use attention_anatomy_viewer::{Launch, ViewerApp};
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupCreateNew, wgpu};
use eframe::{CreationContext, WebOptions, WebRunner};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlCanvasElement;

use crate::{constructors, pace, summary};

#[wasm_bindgen]
extern "C" {
    /// How the page wants the viewer.
    #[derive(Clone)]
    pub type Options;
    #[wasm_bindgen(method, getter)]
    fn canvas(this: &Options) -> HtmlCanvasElement;
    /// Address of the worker's script.
    #[wasm_bindgen(method, getter)]
    fn worker(this: &Options) -> String;
    /// Whether the browser has WebGPU and an adapter for it.
    #[wasm_bindgen(method, getter)]
    fn webgpu(this: &Options) -> bool;
    /// Whether the sample is opened at once.
    #[wasm_bindgen(method, getter)]
    fn sample(this: &Options) -> bool;
    /// `gpu`, `cpu`, or empty for whatever is best.
    #[wasm_bindgen(method, getter)]
    fn device(this: &Options) -> String;
    /// Hears that the viewer wants to be drawn in so many milliseconds.
    #[wasm_bindgen(method)]
    pub fn repaint(this: &Options, milliseconds: f64);
}

thread_local! {
    /// The viewer of this page.
    static RUNNER: RefCell<Option<WebRunner>> = const { RefCell::new(None) };
}

const NO_WEBGPU: &str = "This browser offers no WebGPU, so organs are outlined on the processor: a few slices a second. \
    For the graphics card use Chrome or Edge 113, Safari 26 or Firefox 141 or later, over https";

const FAULT: &str = "The viewer has stopped because of a fault in it. Please reload the page.";

/// Starts the viewer. An error when the browser has nothing to draw with.
///
/// # Errors
/// A sentence, where the browser has nothing to draw with.
#[wasm_bindgen]
pub async fn start(options: Options) -> Result<(), JsValue> {
    constructors::run();
    let runner = WebRunner::new();
    show_faults();
    let canvas = options.canvas();
    runner.start(canvas, web_options(), Box::new(move |cc| Ok(Box::new(viewer(cc, &options))))).await?;
    RUNNER.set(Some(runner));
    save_when_left()
}

/// A page that is hidden may never be heard of again: what it has to save is saved then. (eframe saves when the page loses the
/// keyboard, which one that never had it does not, and not when it is left.)
fn save_when_left() -> Result<(), JsValue> {
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let document = window.document().ok_or(JsValue::NULL)?;
    let left = Closure::<dyn Fn()>::new(|| {
        with_viewer(ViewerApp::flush);
    });
    let listener = left.as_ref().unchecked_ref();
    document.add_event_listener_with_callback("visibilitychange", listener)?;
    window.add_event_listener_with_callback("pagehide", listener)?;
    // For as long as there is the page.
    left.forget();
    Ok(())
}

/// The other side of the viewer. Called in a Web Worker, once.
#[wasm_bindgen]
pub async fn worker_main() {
    constructors::run();
    console_error_panic_hook::set_once();
    worker::worker_main().await;
}

/// One of those who compute slices for the other side. Called in a Web Worker, once, with a weights file.
#[wasm_bindgen]
pub fn helper_main(weights: &[u8]) {
    constructors::run();
    console_error_panic_hook::set_once();
    worker::helper_main(weights);
}

/// What the viewer shows, as JSON; empty before it is started and after a fault.
#[wasm_bindgen]
pub fn status() -> String {
    with_viewer(|viewer| summary::of(viewer).to_string()).unwrap_or_default()
}

/// Labels of an axial slice, by row; nothing where there is no such slice.
#[wasm_bindgen]
pub fn labels(slice: usize) -> Option<Vec<u8>> {
    let labels = with_viewer(|viewer| Some(viewer.document.study.as_ref()?.labels.layer().slice(slice).to_vec()));
    labels.flatten().filter(|labels| !labels.is_empty())
}

pub fn with_viewer<T>(act: impl FnOnce(&mut ViewerApp) -> T) -> Option<T> {
    RUNNER.with_borrow(|runner| Some(act(&mut *runner.as_ref()?.app_mut::<ViewerApp>()?)))
}

fn viewer(cc: &CreationContext<'_>, options: &Options) -> ViewerApp {
    pace::tell(options, &cc.egui_ctx);
    let worker = worker::spawn_worker(&cc.egui_ctx, &options.worker());
    let device = match options.device().as_str() {
        "gpu" => DevicePreference::Gpu,
        "cpu" => DevicePreference::Cpu,
        // Looking for one would only say once more, and less plainly, that there is none.
        _ if !options.webgpu() => DevicePreference::Cpu,
        _ => DevicePreference::Auto,
    };
    let inputs = if options.sample() { vec![Input::Sample] } else { Vec::new() };
    let mut viewer = ViewerApp::new(cc, worker, Launch { inputs, device, remember: true });
    if !options.webgpu() {
        viewer.outbox.notices.lasting(Severity::Warning, NO_WEBGPU);
    }
    viewer
}

/// The window's own device: as large textures as the adapter has, for whole scans, and no more than that.
fn web_options() -> WebOptions {
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.device_descriptor = Arc::new(|adapter| {
        let least = match adapter.get_info().backend {
            wgpu::Backend::Gl => wgpu::Limits::downlevel_webgl2_defaults(),
            _ => wgpu::Limits::default(),
        };
        wgpu::DeviceDescriptor {
            label: Some("window"),
            required_limits: least.using_resolution(adapter.limits()),
            ..Default::default()
        }
    });
    let mut options = WebOptions::default();
    options.wgpu_options.wgpu_setup = WgpuSetup::CreateNew(setup);
    options
}

/// After a fault the canvas is dead: the page says so.
fn show_faults() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |fault| {
        report(fault);
        let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
        if let Some(trouble) = document.get_element_by_id("trouble") {
            trouble.set_text_content(Some(FAULT));
        }
        if let Some(body) = document.body() {
            // Nobody is left to tell if even this fails.
            body.set_attribute("data-state", "failed").ok();
        }
    }));
}
