//! Chromium, driven by the DevTools protocol through a pipe.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;
use whole_program_tests::PATIENCE;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const ALWAYS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--window-size=1280,800",
];
/// WebGPU for computing and for the canvas on a machine without a GPU: less than this and one of the two is missing.
const WITH_WEBGPU: [&str; 4] =
    ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-vulkan=swiftshader", "--enable-gpu"];
const WITHOUT_WEBGPU: [&str; 1] = ["--disable-blink-features=WebGPU"];

/// Without WebGPU the page says so in a line at the top, once in a browser.
const TOLD: &str = "try { localStorage.setItem('attention-anatomy/told-without-webgpu', 'yes') } catch {}";

/// The protocol's number of the key that is held for shortcuts.
pub const CONTROL: u32 = 2;
/// The same of the shift key.
pub const SHIFT: u32 = 8;

/// A browser that is silent for so long after it was asked to close is not going to.
const LONGEST_FAREWELL: Duration = Duration::from_secs(30);

/// The browser of this machine, if it has one.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// A page in a browser of its own. All that happens in it and in its workers is recorded.
pub struct Chromium {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What the page and its workers asked for.
    pub requests: BTreeSet<String>,
    /// What should not be in the console of a page that is well.
    pub complaints: Vec<String>,
    /// A page that says that it has stopped is what a test waits for.
    pub may_stop: bool,
    /// Workers that were started so far.
    pub workers: usize,
    /// Run in every worker before its own script.
    pub worker_prelude: Option<String>,
    /// Removed when the browser is gone.
    _profile: TempDir,
}

impl Chromium {
    /// Starts a browser with an empty page, in which the page was before.
    pub fn start(program: &Path, webgpu: bool) -> Self {
        let mut browser = Self::start_new(program, webgpu);
        browser.at_start(TOLD);
        browser
    }

    /// Starts a browser that has never seen the page.
    pub fn start_new(program: &Path, webgpu: bool) -> Self {
        let profile = TempDir::new().unwrap();
        // The protocol is spoken on the descriptors 3 and 4, which a shell can make of the usual two.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"]).arg(program).args(ALWAYS);
        command.args(if webgpu { &WITH_WEBGPU[..] } else { &WITHOUT_WEBGPU });
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, messages) = channel();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let input = process.stdin.take().unwrap();
        let mut browser = Self {
            process,
            input,
            messages,
            last: 0,
            session: None,
            requests: BTreeSet::new(),
            complaints: Vec::new(),
            may_stop: false,
            workers: 0,
            worker_prelude: None,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().unwrap().to_string();
        browser.session = Some(session);
        for (method, parameters) in [
            ("Page.enable", json!({})),
            ("Runtime.enable", json!({})),
            ("Log.enable", json!({})),
            ("Network.enable", json!({})),
            // Workers wait until they are listened to.
            ("Target.setAutoAttach", json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true })),
            (
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": false }),
            ),
        ] {
            browser.call(method, &parameters);
        }
        browser
    }

    /// Runs a script in every page before its own.
    pub fn at_start(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// Ends the process that draws, as the system does where a driver fails.
    pub fn end_graphics(&mut self) {
        let found = self.call_in(None, "SystemInfo.getProcessInfo", &json!({}));
        let processes = found["processInfo"].as_array().unwrap();
        let id = processes.iter().find(|p| p["type"] == "GPU").expect("no process draws")["id"].to_string();
        assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
    }

    /// Calls a method of the protocol and waits for its result.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.call_in(self.session.clone().as_deref(), method, parameters)
    }

    /// The same without waiting for the result.
    pub fn post(&mut self, method: &str, parameters: &Value) {
        self.send(self.session.clone().as_deref(), method, parameters);
    }

    fn call_in(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        self.ask(session, method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The result of a method, or the protocol's error.
    fn ask(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Result<Value, Value> {
        let id = self.send(session, method, parameters);
        let until = Instant::now() + PATIENCE;
        loop {
            let message = match self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer in {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("{method}: the browser is gone"),
            };
            if message["id"] == id {
                let error = &message["error"];
                return if error.is_null() { Ok(message["result"].clone()) } else { Err(error.clone()) };
            }
            self.hear(&message);
        }
    }

    fn send(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> u64 {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        self.last
    }

    fn hear(&mut self, message: &Value) {
        let (parameters, session) = (&message["params"], message["sessionId"].as_str());
        match message["method"].as_str().unwrap_or_default() {
            "Target.attachedToTarget" => {
                let worker = parameters["sessionId"].as_str().map(String::from);
                if let Some(prelude) = self.worker_prelude.clone() {
                    self.send(worker.as_deref(), "Runtime.evaluate", &json!({ "expression": prelude }));
                }
                // Workers that it starts, too.
                let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
                self.send(worker.as_deref(), "Target.setAutoAttach", &attach);
                // Not the one that keeps the page for offline use.
                self.workers += usize::from(parameters["targetInfo"]["type"] == "worker");
                for method in ["Runtime.enable", "Network.enable", "Runtime.runIfWaitingForDebugger"] {
                    self.send(worker.as_deref(), method, &json!({}));
                }
            }
            // Nothing that it is asked afterwards is ever answered. (A service worker that has been replaced says the same of itself.)
            "Inspector.targetCrashed" if session == self.session.as_deref() => {
                panic!("the process of the page has crashed")
            }
            "Network.requestWillBeSent" => {
                self.requests.insert(parameters["request"]["url"].as_str().unwrap_or_default().to_string());
            }
            "Runtime.exceptionThrown" => self.complaints.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if ["error", "assert"].contains(&parameters["type"].as_str().unwrap_or("")) => {
                self.complaints.push(format!("{session:?}: {}", parameters["args"]));
            }
            // Most hosts have no archive, and no file that names one.
            "Log.entryAdded"
                if parameters["entry"]["url"].as_str().is_some_and(|url| url.ends_with("/config.json")) => {}
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Opens an address and waits until the page is loaded.
    pub fn open(&mut self, address: &str) {
        let result = self.call("Page.navigate", &json!({ "url": address }));
        assert!(result["errorText"].is_null(), "{address}: {}", result["errorText"]);
        self.wait_for("document.readyState === 'complete'");
    }

    /// Takes the page off the network.
    pub fn unplug(&mut self) {
        let none = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
        self.call("Network.emulateNetworkConditions", &none);
    }

    /// The value of a JavaScript expression; of what it promises, if it is a promise.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.evaluated(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn evaluated(&mut self, expression: &str) -> Result<Value, Value> {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask(self.session.clone().as_deref(), "Runtime.evaluate", &ask)?;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].clone())
    }

    /// The same; nothing of a page that goes while it is asked, because it loads itself anew.
    fn evaluate_of_any_page(&mut self, expression: &str) -> Value {
        self.evaluated(expression).unwrap_or_else(|error| {
            let gone = error["message"].as_str().is_some_and(|message| message.contains("navigated or closed"));
            assert!(gone, "{expression}: {error}");
            Value::Null
        })
    }

    /// Waits until an expression is neither false nor empty; its value. A page that says that it has failed is not waited for.
    pub fn wait_for(&mut self, expression: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.evaluate_of_any_page(expression);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            let state = self.evaluate_of_any_page("document.body?.dataset.state");
            let failed = state == "failed" || (state == "stopped" && !self.may_stop);
            if failed || Instant::now() > until {
                let seen = self
                    .evaluate("document.body.innerText + '\\n' + JSON.stringify(window.attention_anatomy_status?.())");
                self.screenshot("timeout");
                panic!(
                    "{}: {expression}\n{seen}\n{:#?}",
                    if failed { "the page failed before" } else { "not yet" },
                    self.complaints
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Presses and releases the key of a letter.
    pub fn press(&mut self, letter: char) {
        self.press_with(letter, 0);
    }

    /// The same while other keys are held, such as [`CONTROL`].
    pub fn press_with(&mut self, letter: char, modifiers: u32) {
        let (text, code) = (letter.to_string(), format!("Key{}", letter.to_uppercase()));
        let number = letter.to_ascii_uppercase() as u32;
        let mut key = json!({ "type": "keyDown", "key": text, "code": code, "windowsVirtualKeyCode": number });
        key["modifiers"] = modifiers.into();
        if modifiers == 0 {
            key["text"] = text.clone().into();
        }
        self.call("Input.dispatchKeyEvent", &key);
        let up = json!({ "type": "keyUp", "key": text, "code": code, "modifiers": modifiers });
        self.call("Input.dispatchKeyEvent", &up);
        self.settle();
    }

    /// Presses and releases a key that types nothing.
    pub fn press_key(&mut self, name: &str, number: u32) {
        let key = json!({ "key": name, "code": name, "windowsVirtualKeyCode": number });
        for kind in ["rawKeyDown", "keyUp"] {
            let mut event = key.clone();
            event["type"] = kind.into();
            self.call("Input.dispatchKeyEvent", &event);
        }
        self.settle();
    }

    /// Moves the mouse.
    pub fn move_to(&mut self, [x, y]: [usize; 2]) {
        self.call("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }));
        self.settle();
    }

    /// Clicks with the left button.
    pub fn click(&mut self, place: [usize; 2]) {
        self.move_to(place);
        // At once: what is held for long is no click.
        self.mouse("mousePressed", place, 1);
        self.mouse("mouseReleased", place, 0);
        self.settle();
    }

    /// Presses the left button, moves to each of the places and releases it at the last.
    pub fn drag(&mut self, places: &[[usize; 2]]) {
        self.move_to(places[0]);
        self.mouse("mousePressed", places[0], 1);
        for &place in &places[1..] {
            self.mouse("mouseMoved", place, 1);
            self.settle();
        }
        self.mouse("mouseReleased", places[places.len() - 1], 0);
        self.settle();
    }

    fn mouse(&mut self, kind: &str, [x, y]: [usize; 2], held: u32) {
        let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": held, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", &event);
    }

    /// Drops files and folders of this machine on the page, as from a file manager.
    pub fn drop(&mut self, paths: &[&Path], [x, y]: [usize; 2]) {
        let data = json!({ "items": [], "files": paths, "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            self.call("Input.dispatchDragEvent", &json!({ "type": kind, "x": x, "y": y, "data": data }));
        }
    }

    /// Waits until what was last done is drawn.
    pub fn settle(&mut self) {
        self.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))");
    }

    /// What is on screen. Also written to `target/browser`, for people to look at.
    pub fn screenshot(&mut self, name: &str) -> Picture {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(3).unwrap().join("browser");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), &png).unwrap();
        Picture::decode(&png)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked to close, it first ends its helpers, which write into the profile to the last; then its pipe breaks.
        if self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0").is_ok() {
            while self.messages.recv_timeout(LONGEST_FAREWELL).is_ok() {}
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Colours of a screenshot.
pub struct Picture {
    /// Pixels across and down.
    pub size: [usize; 2],
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn decode(png: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        assert!(samples >= 3, "{:?}", info.color_type);
        let pixels = bytes[..info.buffer_size()].chunks_exact(samples).map(|p| [p[0], p[1], p[2]]).collect();
        Self { size: [info.width as usize, info.height as usize], pixels }
    }

    /// Pixels that have another colour in another picture of the same size.
    pub fn differing(&self, other: &Self) -> usize {
        assert_eq!(self.size, other.size);
        self.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count()
    }

    /// Colour of a pixel.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[x + self.size[0] * y]
    }
}
