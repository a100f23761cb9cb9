//! The worker in a Web Worker: the same [`Executor`] on the other side of `postMessage`. The page may wait for nothing, and
//! here, too, nobody blocks: the executor is stepped from a loop that returns to the event loop after every piece of work,
//! so that commands and the GPU's promises arrive in between.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Function, Int16Array, Promise, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, WorkerOptions, WorkerType};

use super::codec::{self, CodecError, Encoded, Received};
use super::platform::ThisPlatform;
use super::{Command, Event, Executor, Step, Worker};
use crate::waker::Waker;

/// What a worker posts when it is ready to hear: its first command would be lost before.
const READY: &str = "ready";
/// What the page posts when it has heard how many voxels a CT has.
const GO_ON: &str = "go on";
/// Voxels of a CT that are posted together, few enough for the page to draw in between. They go forth and back in the same memory: a browser
/// takes its time to look for what nobody needs any more, and as much as a CT would have come together until then.
const PIECE: u32 = 2 << 20;
/// Milliseconds after which a GPU or a promise is asked again.
const ASK_AGAIN: i32 = 4;

#[wasm_bindgen]
extern "C" {
    // Not those of web-sys: all that depends on it would have to be compiled anew for a further feature of it.
    type MessageChannel;
    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;
    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> Port;
    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> Port;
    type Port;
    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &Port, heard: &Function);
    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &Port, message: &JsValue);
}
/// The function of the page's script that says that the worker has stopped, and why.
const WORKER_STOPPED: &str = "attention_anatomy_worker_stopped";

thread_local! {
    /// Called when something comes while the worker rests.
    static WAKE: Cell<Option<Function>> = const { Cell::new(None) };

    /// Called with what the page gives back when it has taken a piece.
    static NEXT_PIECE: Cell<Option<Function>> = const { Cell::new(None) };

    /// Files of the message that is being written or read: structured clones, beside the text.
    static FILES: RefCell<Vec<web_sys::File>> = const { RefCell::new(Vec::new()) };
}

/// A file of the browser, beside the text.
pub(super) mod file {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::FILES;

    pub(crate) fn serialize<S: Serializer>(file: &web_sys::File, serializer: S) -> Result<S::Ok, S::Error> {
        let number = FILES.with_borrow_mut(|files| {
            files.push(file.clone());
            files.len() - 1
        });
        number.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<web_sys::File, D::Error> {
        let number = usize::deserialize(deserializer)?;
        let file = FILES.with_borrow(|files| files.get(number).cloned());
        file.ok_or_else(|| D::Error::custom(format!("file {number} is missing")))
    }
}

/// A message as `[text, [buffers], [files]]`, and what of it is handed over rather than copied. In the place of voxels stands nothing: they
/// went before, in pieces.
fn pack((Encoded { text, buffers }, files): &Outgoing) -> (JsValue, Array) {
    let (posted, handed_over) = (Array::new(), Array::new());
    for buffer in buffers {
        if buffer.voxels().is_some() {
            posted.push(&JsValue::NULL);
            continue;
        }
        let array = Uint8Array::from(buffer.bytes());
        handed_over.push(&array.buffer());
        posted.push(&array);
    }
    let files: Array = files.iter().cloned().map(JsValue::from).collect();
    (Array::of3(&text.as_str().into(), &posted, &files).into(), handed_over)
}

/// A message, and the files in it.
type Outgoing = (Encoded, Vec<web_sys::File>);

fn encode(message: &impl serde::Serialize) -> Result<Outgoing, CodecError> {
    FILES.take();
    let encoded = codec::encode(message)?;
    Ok((encoded, FILES.take()))
}

/// Voxels that come in pieces. Their room is first touched when they come: all of a large CT at once is a second in which nothing is drawn.
#[derive(Default)]
struct Gathered {
    voxels: Vec<i16>,
    /// How many will come.
    count: usize,
}

impl Gathered {
    /// Takes what belongs to voxels: how many there are, or a piece of them. Whether it did.
    fn take(&mut self, message: &JsValue) -> bool {
        if let Some(count) = message.as_f64() {
            // Where there is no memory for them, they are missing in the message.
            *self = Self { voxels: Vec::new(), count: count as usize };
            // Said once more by the capacity.
            self.voxels.try_reserve_exact(self.count).ok();
            return true;
        }
        let Some(piece) = message.dyn_ref::<Int16Array>() else { return false };
        let (start, end) = (self.voxels.len(), self.voxels.len() + piece.length() as usize);
        if end <= self.count.min(self.voxels.capacity()) {
            self.voxels.resize(end, 0);
            piece.copy_to(&mut self.voxels[start..]);
        }
        true
    }

    /// All of them.
    fn all(&mut self) -> Option<Vec<i16>> {
        let Self { voxels, count } = std::mem::take(self);
        (voxels.len() == count && count > 0).then_some(voxels)
    }
}

fn unpack<T: serde::de::DeserializeOwned>(message: &JsValue, gathered: &mut Gathered) -> Result<T, CodecError> {
    let message: &Array = message.unchecked_ref();
    let list = |n: u32| message.get(n).unchecked_into::<Array>();
    let mut received = |buffer: JsValue| match buffer.dyn_into::<Uint8Array>() {
        Ok(bytes) => Received::Bytes(bytes.to_vec()),
        Err(_) => Received::Voxels(gathered.all().unwrap_or_default()),
    };
    let buffers = list(1).iter().map(&mut received).collect();
    FILES.replace(list(2).iter().map(JsCast::unchecked_into).collect());
    let text = message.get(0).as_string().unwrap_or_default();
    let result = codec::decode(&text, buffers);
    FILES.take();
    result
}

/// The page's end.
struct Page {
    worker: web_sys::Worker,
    events: Rc<RefCell<VecDeque<Event>>>,
    /// Commands from before the worker was ready; `None` once it is.
    early: Rc<RefCell<Option<Vec<Command>>>>,
    // They are called as long as the worker lives.
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _failed: Closure<dyn FnMut(JsValue)>,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

fn post(worker: &web_sys::Worker, events: &RefCell<VecDeque<Event>>, command: &Command) {
    let posted = encode(command).map_err(|e| e.to_string()).and_then(|encoded| {
        let (message, handed_over) = pack(&encoded);
        worker.post_message_with_transfer(&message, &handed_over).map_err(|_| "the worker cannot be reached".into())
    });
    if let Err(message) = posted {
        events.borrow_mut().push_back(Event::Failed(message));
    }
}

impl Worker for Page {
    fn send(&mut self, command: Command) {
        if let Some(early) = self.early.borrow_mut().as_mut() {
            early.push(command);
            return;
        }
        post(&self.worker, &self.events, &command);
    }

    fn try_recv(&mut self) -> Option<Event> {
        self.events.borrow_mut().pop_front()
    }
}

/// A worker that never was: it says why once.
struct Nobody(Option<Event>);

impl Worker for Nobody {
    fn send(&mut self, _: Command) {}

    fn try_recv(&mut self) -> Option<Event> {
        self.0.take()
    }
}

/// The worker of a page: the script `worker.js` beside it, which loads this program and calls [`worker_main`]. Its address
/// carries the version of the page.
pub fn spawn_worker(window: &Waker, script: &str) -> Box<dyn Worker> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let worker = match web_sys::Worker::new_with_options(script, &options) {
        Ok(worker) => worker,
        Err(_) => {
            let message = "this browser starts no worker for the page; use a current Chrome, Edge, Firefox or Safari";
            return Box::new(Nobody(Some(Event::Failed(message.into()))));
        }
    };
    let events: Rc<RefCell<VecDeque<Event>>> = Rc::default();
    let early = Rc::new(RefCell::new(Some(Vec::new())));
    let on_message = {
        let (events, early, worker, window) = (events.clone(), early.clone(), worker.clone(), window.clone());
        let mut gathered = Gathered::default();
        Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let data = message.data();
            if data.as_string().as_deref() == Some(READY) {
                for command in early.borrow_mut().take().unwrap_or_default() {
                    post(&worker, &events, &command);
                }
                return;
            }
            if gathered.take(&data) {
                // A worker that is no more needs nothing.
                match data.dyn_ref::<Int16Array>() {
                    Some(piece) => worker.post_message_with_transfer(&data, &Array::of1(&piece.buffer())),
                    None => worker.post_message(&GO_ON.into()),
                }
                .ok();
                return;
            }
            let event = unpack(&data, &mut gathered).unwrap_or_else(|e| Event::Failed(e.to_string()));
            events.borrow_mut().push_back(event);
            window.wake();
        })
    };
    let failed = {
        let (events, window) = (events.clone(), window.clone());
        Closure::<dyn FnMut(JsValue)>::new(move |error: JsValue| {
            // A script that cannot be loaded has no message.
            let reason = js_sys::Reflect::get(&error, &"message".into()).ok().and_then(|m| m.as_string());
            let reason = reason.unwrap_or_else(|| "it cannot be loaded".into());
            if !page_was_told(&reason) {
                let message = format!("the worker of this page has stopped ({reason}); reload the page");
                events.borrow_mut().push_back(Event::Failed(message));
                window.wake();
            }
        })
    };
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    worker.set_onerror(Some(failed.as_ref().unchecked_ref()));
    // The program itself, which is loaded and compiled already. What cannot be posted shows as a worker that stops.
    worker.post_message(&Array::of1(&wasm_bindgen::module())).ok();
    Box::new(Page { worker, events, early, _on_message: on_message, _failed: failed })
}

/// Ends the rest of this worker, if it has one.
pub(super) fn wake() {
    if let Some(wake) = WAKE.take() {
        // It only resolves a promise.
        wake.call0(&JsValue::NULL).ok();
    }
}

/// Rests until something comes; no longer than `at_most` milliseconds.
async fn rest(scope: &DedicatedWorkerGlobalScope, at_most: Option<i32>) {
    let woken = Promise::new(&mut |resolve, _| {
        if let Some(milliseconds) = at_most {
            // Where there is no timer, what comes next wakes it.
            scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds).ok();
        }
        WAKE.set(Some(resolve));
    });
    // It is never rejected.
    JsFuture::from(woken).await.ok();
}

/// Lets the event loop run once. Not by a timer, which a browser makes four milliseconds of.
async fn turn(channel: &MessageChannel) {
    let turned = Promise::new(&mut |resolve, _| {
        channel.port1().set_onmessage(&resolve);
        channel.port2().post_message(&JsValue::NULL);
    });
    // As above.
    JsFuture::from(turned).await.ok();
}

/// Tells the page that its worker is no more: without it nothing can be opened or saved, and a notice in a corner would not do
/// justice to that. Whether the page has a way to say it.
fn page_was_told(reason: &str) -> bool {
    let function = js_sys::Reflect::get(&js_sys::global(), &WORKER_STOPPED.into());
    let function = function.ok().and_then(|function| function.dyn_into::<Function>().ok());
    function.is_some_and(|function| function.call1(&JsValue::NULL, &reason.into()).is_ok())
}

/// The worker's end: hears commands and works for as long as the page is open. Called once, in the worker.
pub async fn worker_main() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let commands: Rc<RefCell<VecDeque<Result<Command, CodecError>>>> = Rc::default();
    let on_message = {
        let commands = commands.clone();
        Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let data = message.data();
            if data.as_string().as_deref() == Some(GO_ON) || data.has_type::<Int16Array>() {
                if let Some(next) = NEXT_PIECE.take() {
                    // It only resolves a promise.
                    next.call1(&JsValue::NULL, &data).ok();
                }
                return;
            }
            // No command has voxels.
            commands.borrow_mut().push_back(unpack(&data, &mut Gathered::default()));
            wake();
        })
    };
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    let _ = scope.post_message(&READY.into());
    let channel = MessageChannel::new();
    let mut executor = Executor::new(Box::new(ThisPlatform::default()));
    loop {
        let step = executor.step();
        while let Some(event) = executor.event() {
            post_event(&scope, &event).await;
        }
        match step {
            // No command comes between the question and the promise: only the event loop brings them.
            Step::Idle if commands.borrow().is_empty() => rest(&scope, None).await,
            Step::Waiting if commands.borrow().is_empty() => rest(&scope, Some(ASK_AGAIN)).await,
            _ => turn(&channel).await,
        }
        for command in commands.take() {
            match command {
                Ok(command) => executor.handle(command),
                Err(error) => post_event(&scope, &Event::Failed(error.to_string())).await,
            }
        }
    }
}

async fn post_event(scope: &DedicatedWorkerGlobalScope, event: &Event) {
    let posted = match encode(event) {
        Ok(encoded) => {
            for voxels in encoded.0.buffers.iter().filter_map(|buffer| buffer.voxels()) {
                post_voxels(scope, voxels).await;
            }
            let (message, handed_over) = pack(&encoded);
            let posted = scope.post_message_with_transfer(&message, &handed_over);
            posted.map_err(|_| "an answer cannot be posted".to_owned())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(message) = posted {
        // A sentence always can.
        if let Ok(encoded) = encode(&Event::Failed(message)) {
            let _ = scope.post_message(&pack(&encoded).0);
        }
    }
}

/// Posts voxels, each piece when the one before has come back.
async fn post_voxels(scope: &DedicatedWorkerGlobalScope, voxels: &[i16]) {
    if scope.post_message(&(voxels.len() as f64).into()).is_err() {
        return;
    }
    given_back().await;
    let mut whole = Int16Array::new_with_length(PIECE.min(voxels.len() as u32));
    for piece in voxels.chunks(PIECE as usize) {
        let posted = whole.subarray(0, piece.len() as u32);
        posted.copy_from(piece);
        if scope.post_message_with_transfer(&posted, &Array::of1(&posted.buffer())).is_err() {
            return;
        }
        whole = given_back().await.unchecked_into();
    }
}

/// What the page posts next to whoever posts voxels.
async fn given_back() -> JsValue {
    let next = Promise::new(&mut |resolve, _| NEXT_PIECE.set(Some(resolve)));
    // It is never rejected.
    JsFuture::from(next).await.unwrap_or(JsValue::NULL)
}
