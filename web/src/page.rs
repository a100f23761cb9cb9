//! Entry points of the page and of its worker.
//!
//! The viewer outlives the canvas that shows it: where the browser takes the graphics away, the page makes another canvas and
//! calls [`show`] again.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use attention_anatomy::infer::{ComputeDevice, DevicePreference, measure};
use attention_anatomy_viewer::document::{Archives, Link, Token, sources_of};
use attention_anatomy_viewer::worker::{self, Input};
use attention_anatomy_viewer::{Launch, Shown, ViewerApp};
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupCreateNew, wgpu};
use eframe::{CreationContext, WebOptions, WebRunner, egui};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsError, JsValue};
use web_sys::HtmlCanvasElement;

use crate::{constructors, summary};

#[wasm_bindgen]
extern "C" {
    /// How the page wants the viewer, and what it wants to hear of it.
    pub type Options;
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
    /// What the host has put beside the page as `config.json`; empty where there is none.
    #[wasm_bindgen(method, getter)]
    fn archives(this: &Options) -> String;
    /// Origins besides the page's own that its policy lets it speak to, with blanks between.
    #[wasm_bindgen(method, getter)]
    fn connects(this: &Options) -> String;
    /// `StudyInstanceUIDs` of the address.
    #[wasm_bindgen(method, getter)]
    fn studies(this: &Options) -> String;
    /// `SeriesInstanceUIDs` of the address.
    #[wasm_bindgen(method, getter)]
    fn series(this: &Options) -> String;
    /// The token of the address, which it does not hold any more.
    #[wasm_bindgen(method, getter)]
    fn token(this: &Options) -> String;
    /// Hears that the viewer wants to be drawn in so many milliseconds.
    #[wasm_bindgen(method)]
    fn repaint(this: &Options, milliseconds: f64);
    /// The device that draws on the canvas is lost; what the browser says of it.
    #[wasm_bindgen(method)]
    fn lost(this: &Options, why: &str);
    /// The program has a fault and stands still; what it says of it.
    #[wasm_bindgen(method)]
    fn fault(this: &Options, what: &str);

    /// Tells whoever started a worker of an error that nobody in it handles.
    #[wasm_bindgen(js_name = reportError)]
    fn report_error(error: JsValue);
}

/// What there is once in a page.
struct Page {
    options: Options,
    runner: WebRunner,
    viewer: OnceCell<Shown>,
    /// How often [`show`] was called: a canvas that was given up has nothing to say any more.
    windows: Cell<u32>,
}

thread_local! {
    static PAGE: OnceCell<Page> = const { OnceCell::new() };
}

fn with_page<T>(act: impl FnOnce(&Page) -> T) -> Option<T> {
    PAGE.with(|page| page.get().map(act))
}

/// Prepares the viewer; [`show`] starts it.
///
/// # Errors
/// Where it is called twice.
#[wasm_bindgen]
pub fn prepare(options: Options) -> Result<(), JsValue> {
    constructors::run();
    let page = Page { options, runner: WebRunner::new(), viewer: OnceCell::new(), windows: Cell::new(0) };
    PAGE.with(|slot| slot.set(page)).map_err(|_| JsValue::from("the viewer was started twice"))?;
    show_faults();
    save_when_left()
}

/// Shows the viewer on a canvas: starts it, or goes on with it where the last canvas has lost its graphics.
///
/// # Errors
/// What is missing, where the browser has nothing to draw with.
#[wasm_bindgen]
pub async fn show(canvas: HtmlCanvasElement) -> Result<(), JsValue> {
    let this = with_page(|page| {
        page.windows.set(page.windows.get() + 1);
        (page.runner.clone(), page.windows.get())
    });
    let (runner, window) = this.ok_or("the viewer was not prepared")?;
    let create = move |cc: &CreationContext<'_>| {
        listen(cc, window);
        let shown = with_page(|page| {
            tell_repaints(&cc.egui_ctx);
            match page.viewer.get() {
                Some(viewer) => {
                    viewer.move_to(cc);
                    viewer.clone()
                }
                None => page.viewer.get_or_init(|| Shown::new(viewer(cc, &page.options))).clone(),
            }
        });
        Ok(Box::new(shown.ok_or("the viewer was not prepared")?) as Box<dyn eframe::App>)
    };
    let webgpu = with_page(|page| page.options.webgpu()).unwrap_or_default();
    runner.start(canvas, web_options(webgpu), Box::new(create)).await
}

/// From now on the page hears whenever the viewer wants to be drawn, so that no frame is asked for while nothing moves (`page/pace.js`).
fn tell_repaints(ctx: &egui::Context) {
    ctx.set_repaint_observer(|wish| {
        with_page(|page| page.options.repaint(wish.delay.as_secs_f64() * 1e3));
    });
}

/// Hears when the device of a canvas is lost. (WebGL loses contexts, and tells the canvas.)
fn listen(cc: &CreationContext<'_>, window: u32) {
    let Some(render_state) = &cc.wgpu_render_state else { return };
    render_state.device.set_device_lost_callback(move |_, why| {
        with_page(|page| {
            if page.windows.get() == window {
                page.options.lost(&why);
            }
        });
    });
}

/// A page that is hidden may never be heard of again: what it has to save is saved then. (eframe saves when the page loses the
/// keyboard, which one that never had it does not, and not when it is left.)
fn save_when_left() -> Result<(), JsValue> {
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let document = window.document().ok_or(JsValue::NULL)?;
    let left = Closure::<dyn Fn()>::new(|| {
        save();
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
    report_faults();
    worker::worker_main().await;
}

/// One of those who compute slices for the other side. Called in a Web Worker, once, with a weights file.
#[wasm_bindgen]
pub fn helper_main(weights: &[u8]) {
    constructors::run();
    report_faults();
    worker::helper_main(weights);
}

/// Whoever started a worker hears of a fault in it.
fn report_faults() {
    std::panic::set_hook(Box::new(|fault| report_error(JsError::new(&fault.to_string()).into())));
}

/// Stores what must survive the page, now, also after a fault. Whether all of it is written.
#[wasm_bindgen]
pub fn save() -> bool {
    with_page(|page| page.viewer.get().is_none_or(Shown::save)).unwrap_or(true)
}

/// Milliseconds of each of `slices` made-up slices, for `cargo xtask bench`: of the whole field, or of a body of `columns` and `rows` where
/// these are above 0. Called in a Web Worker.
///
/// # Errors
/// A sentence, for weights that cannot be used.
#[wasm_bindgen]
pub fn milliseconds(weights: &[u8], columns: usize, rows: usize, slices: usize) -> Result<Vec<f64>, JsValue> {
    constructors::run();
    let body = (columns > 0 && rows > 0).then_some([columns, rows]);
    measure::milliseconds(weights, body, slices).map_err(|error| error.to_string().into())
}

/// The same of the whole field with this browser's WebGPU, in software if need be, labels on a CT's matrix included.
///
/// # Errors
/// A sentence, where there is no such device, and for weights that cannot be used.
#[wasm_bindgen]
pub async fn milliseconds_on_gpu(weights: Vec<u8>, slices: usize) -> Result<Vec<f64>, JsValue> {
    constructors::run();
    let opened = ComputeDevice::open_async(DevicePreference::Gpu).await;
    let device = opened.map_err(|error| error.to_string())?;
    let gpu = device.gpu.as_ref().ok_or("there is no GPU")?;
    let times = measure::milliseconds_on_gpu(&weights, gpu, slices).await.map_err(|error| error.to_string())?;
    Ok(times.ok_or("the GPU gave no answer")?)
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
    with_page(|page| page.viewer.get()?.with(act)).flatten()
}

fn viewer(cc: &CreationContext<'_>, options: &Options) -> ViewerApp {
    let device = match options.device().as_str() {
        "gpu" => DevicePreference::Gpu,
        "cpu" => DevicePreference::Cpu,
        // Looking for one would only say once more, and less plainly, that there is none.
        _ if !options.webgpu() => DevicePreference::Cpu,
        _ => DevicePreference::Auto,
    };
    let inputs = if options.sample() { vec![Input::Sample] } else { Vec::new() };
    let script = options.worker();
    let launch = Launch { inputs, archives: archives(options), device, remember: true };
    ViewerApp::new(cc, |window| worker::spawn_worker(window, &script), launch)
}

/// The archives that the host names, and what the address says of them. Without a configuration there are none, and nobody is asked.
fn archives(options: &Options) -> Archives {
    let config = options.archives();
    let (sources, problems) = if config.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        let own = web_sys::window().and_then(|window| window.location().origin().ok()).unwrap_or_default();
        let allowed: Vec<String> = options.connects().split_whitespace().map(str::to_ascii_lowercase).collect();
        sources_of(&config, &own, &allowed)
    };
    let link = Link::of(&options.studies(), &options.series());
    Archives::named(sources, problems, link, Token::of(&options.token()))
}

/// The window's own device: as large textures as the adapter has, for whole scans, and no more than that.
fn web_options(webgpu: bool) -> WebOptions {
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    if !webgpu {
        // Looking for it once more would only be said once more, in the console.
        setup.instance_descriptor.backends = wgpu::Backends::GL;
    }
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
        with_page(|page| page.options.fault(&fault.to_string()));
    }));
}
