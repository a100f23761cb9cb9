//! Further Web Workers, which compute slices for the one that drives the run: where there is no GPU, as many work as the processor
//! has cores to spare. Each is an instance of this program of its own, so that no memory is shared and any host will do; the program
//! comes compiled, from the page.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use attention_anatomy::infer::{Helper, HelperWord, Helpers};
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, WorkerOptions, WorkerType};

use super::wasm::wake;

/// Workers that compute at most, the first included: each takes some 60 MB.
const MOST: usize = 8;
/// Helpers with nothing to do end after so many milliseconds.
const LONGEST_REST: i32 = 60_000;
/// What in the address of the first worker's script says how many shall compute: for measurements and tests.
const WANTED: &str = "#workers=";
/// What a helper posts when it hears.
const READY: &str = "ready";

/// A helper. It ends when this is dropped.
struct Hired {
    worker: web_sys::Worker,
    number: usize,
    // They are called as long as the worker lives.
    _heard: Closure<dyn FnMut(MessageEvent)>,
    _failed: Closure<dyn FnMut(web_sys::Event)>,
}

impl Drop for Hired {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

type Words = Rc<RefCell<VecDeque<(usize, HelperWord)>>>;
type Crowd = Rc<RefCell<Vec<Hired>>>;

/// The helpers of a worker.
pub(super) struct WebHelpers {
    weights: Arc<[u8]>,
    hired: Crowd,
    words: Words,
    /// How many there shall be: one less for each that was lost.
    wanted: usize,
    last: usize,
    /// The end of their rest, where they have one.
    rest: Rc<Cell<Option<i32>>>,
    end: Closure<dyn FnMut()>,
}

impl WebHelpers {
    /// How many helpers this worker should have, if any: the page takes one core, this worker another.
    pub(super) fn wanted() -> Option<usize> {
        let cores = scope().navigator().hardware_concurrency() as usize;
        let asked = location("hash").strip_prefix(WANTED).and_then(|count| count.parse().ok());
        let workers: usize = asked.unwrap_or(cores.saturating_sub(1));
        (workers > 1).then(|| workers.min(MOST) - 1)
    }

    pub(super) fn new(weights: &[u8], wanted: usize) -> Self {
        let (hired, words, rest): (Crowd, Words, Rc<Cell<Option<i32>>>) = Default::default();
        let end = {
            let (hired, words, rest) = (hired.clone(), words.clone(), rest.clone());
            Closure::<dyn FnMut()>::new(move || {
                rest.take();
                let ended = hired.take().into_iter().map(|hired| (hired.number, HelperWord::Ended));
                words.borrow_mut().extend(ended);
            })
        };
        Self { weights: weights.into(), hired, words, wanted, last: 0, rest, end }
    }

    fn hire(&mut self) -> Result<Hired, JsValue> {
        let number = self.last;
        self.last += 1;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name("helper");
        let worker = web_sys::Worker::new_with_options(&location("href"), &options)?;
        let heard = {
            let words = self.words.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
                let word = match message.data().dyn_into::<Uint8Array>() {
                    Ok(answer) => HelperWord::Answer(answer.to_vec()),
                    Err(text) if text.as_string().as_deref() == Some(READY) => HelperWord::Ready,
                    Err(text) => HelperWord::Lost(text.as_string().unwrap_or_default()),
                };
                words.borrow_mut().push_back((number, word));
                wake();
            })
        };
        let failed = {
            let words = self.words.clone();
            Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
                // Else it would be an error of this worker, too.
                event.prevent_default();
                let reason = Reflect::get(&event, &"message".into()).ok().and_then(|m| m.as_string());
                let reason = reason.unwrap_or_else(|| "their script cannot be loaded".into());
                words.borrow_mut().push_back((number, HelperWord::Lost(reason)));
                wake();
            })
        };
        worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        worker.set_onerror(Some(failed.as_ref().unchecked_ref()));
        let hired = Hired { worker, number, _heard: heard, _failed: failed };
        let start = Array::of2(&wasm_bindgen::module(), &Uint8Array::from(&self.weights[..]));
        hired.worker.post_message(&start)?;
        Ok(hired)
    }

    fn stop_resting(&self) {
        if let Some(timer) = self.rest.take() {
            scope().clear_timeout_with_handle(timer);
        }
    }
}

impl Drop for WebHelpers {
    fn drop(&mut self) {
        self.stop_resting();
    }
}

impl Helpers for WebHelpers {
    fn start(&mut self) {
        self.stop_resting();
        while self.count() < self.wanted {
            match self.hire() {
                Ok(hired) => self.hired.borrow_mut().push(hired),
                Err(_) => {
                    self.wanted = self.count();
                    let reason = "this browser starts no further worker".into();
                    self.words.borrow_mut().push_back((self.last, HelperWord::Lost(reason)));
                }
            }
        }
    }

    fn receive(&mut self) -> Option<(usize, HelperWord)> {
        self.words.borrow_mut().pop_front()
    }

    fn ask(&mut self, helper: usize, question: Vec<u8>) {
        let hired = self.hired.borrow();
        let Some(hired) = hired.iter().find(|hired| hired.number == helper) else { return };
        let question = Uint8Array::from(&question[..]);
        if hired.worker.post_message_with_transfer(&question, &Array::of1(&question.buffer())).is_err() {
            let reason = "they cannot be reached".into();
            self.words.borrow_mut().push_back((helper, HelperWord::Lost(reason)));
        }
    }

    fn dismiss(&mut self, helper: usize) {
        self.hired.borrow_mut().retain(|hired| hired.number != helper);
        self.words.borrow_mut().retain(|(number, _)| *number != helper);
        self.wanted = self.wanted.min(self.count());
    }

    fn count(&self) -> usize {
        self.hired.borrow().len()
    }

    fn rest(&mut self) {
        self.stop_resting();
        let end = self.end.as_ref().unchecked_ref();
        // Without it they only rest for longer.
        self.rest.set(scope().set_timeout_with_callback_and_timeout_and_arguments_0(end, LONGEST_REST).ok());
    }
}

/// A part of the address of this worker's script.
pub(super) fn location(part: &str) -> String {
    let location = Reflect::get(&js_sys::global(), &"location".into());
    let part = location.and_then(|location| Reflect::get(&location, &part.into()));
    part.ok().and_then(|part| part.as_string()).unwrap_or_default()
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// A helper's end: answers questions for as long as it is asked. Called once, in its worker, with a weights file.
pub fn helper_main(weights: &[u8]) {
    let scope = scope();
    // Nobody is left to tell where even that cannot be posted.
    let say = |text: &str| scope.post_message(&text.into()).unwrap_or_default();
    let mut helper = match Helper::new(weights) {
        Ok(helper) => helper,
        Err(error) => return say(&error.to_string()),
    };
    let asked = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let scope = self::scope();
        let answer = helper.answer(&message.data().unchecked_into::<Uint8Array>().to_vec());
        let posted = match answer {
            Some(answer) => {
                let answer = Uint8Array::from(&answer[..]);
                scope.post_message_with_transfer(&answer, &Array::of1(&answer.buffer()))
            }
            None => scope.post_message(&"a slice cannot be read".into()),
        };
        // As above.
        posted.unwrap_or_default();
    });
    scope.set_onmessage(Some(asked.as_ref().unchecked_ref()));
    // For as long as the worker lives.
    asked.forget();
    say(READY);
}
