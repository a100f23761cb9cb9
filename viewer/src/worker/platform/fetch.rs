//! `fetch`, as what carries requests to archives: bodies are read as streams, in tasks of their own, so that the wire does not wait until the
//! worker asks for more; and the worker is woken when something came.
//!
//! Cookies and the browser's own sign-in go along to the page's origin. A redirection is not followed: it would end on a sign-in page, which
//! is no DICOM.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use attention_anatomy::dicomweb::{ACCEPT_JSON, Answer, Body, Broken, Head, Later, Request, Transport};
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Response;
use web_time::Instant;

use super::wasm::reason;
use crate::worker::Access;
use crate::worker::wasm::wake;

/// Bytes that are read before anybody wants them. They wait in the browser's memory, which it gives back; what the program has taken once it
/// keeps.
const AHEAD: u32 = 1 << 20;
/// Bytes that the program takes at a time.
const PIECE: u32 = 1 << 16;

#[wasm_bindgen]
extern "C" {
    // Not those of web-sys: all that depends on it would have to be compiled anew for a further feature of it.
    type AbortController;
    #[wasm_bindgen(constructor)]
    fn new() -> AbortController;
    #[wasm_bindgen(method, getter)]
    fn signal(this: &AbortController) -> JsValue;
    #[wasm_bindgen(method)]
    fn abort(this: &AbortController);
    type Stream;
    #[wasm_bindgen(method, js_name = getReader)]
    fn reader(this: &Stream) -> Reader;
    type Reader;
    #[wasm_bindgen(method)]
    fn read(this: &Reader) -> Promise;
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(address: &str, how: &JsValue) -> Promise;
}

/// Asks by `fetch`.
#[derive(Debug)]
pub(super) struct Fetch {
    authorization: Option<Arc<str>>,
    /// Another origin than the page's, if the archive has one.
    origin: Option<String>,
}

impl Fetch {
    pub(super) fn new(access: &Access) -> Self {
        let own = super::super::helpers::location("origin");
        let origin = access.root.origin().filter(|origin| *origin != own);
        Self { authorization: access.authorization.as_deref().map(Arc::from), origin }
    }
}

/// What came and was not taken yet.
#[derive(Default)]
struct Flow {
    head: Option<Result<Head, Broken>>,
    pieces: VecDeque<Uint8Array>,
    bytes: u32,
    over: Option<Result<(), Broken>>,
    /// Called when there is room for more, or nobody wants more. (A timer would do, but in a tab that is not seen it runs once a second.)
    room: Option<Function>,
}

impl Flow {
    fn make_room(&mut self) {
        if let Some(room) = self.room.take_if(|_| self.bytes <= AHEAD) {
            // It only resolves a promise.
            room.call0(&JsValue::NULL).ok();
        }
    }
}

/// An answer on its way; where nobody holds it any more, the browser is told.
struct Wire {
    flow: Rc<RefCell<Flow>>,
    controller: AbortController,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.controller.abort();
        let mut flow = self.flow.borrow_mut();
        flow.pieces.clear();
        flow.bytes = 0;
        flow.make_room();
    }
}

impl Transport for Fetch {
    fn ask(&self, request: &Request) -> Later<'static, Result<Answer, Broken>> {
        let flow: Rc<RefCell<Flow>> = Rc::default();
        let controller = AbortController::new();
        let promise = self.promise(request, &controller);
        let (filling, origin) = (flow.clone(), self.origin.clone());
        spawn_local(async move {
            match promise {
                Ok(promise) => fill(promise, &filling, origin.as_deref()).await,
                Err(error) => filling.borrow_mut().head = Some(Err(Broken::off(&reason(&error)))),
            }
            wake();
        });
        let wire = Wire { flow, controller };
        Box::pin(async move {
            let head = poll_fn(|_| match wire.flow.borrow_mut().head.take() {
                Some(head) => Poll::Ready(head),
                None => Poll::Pending,
            });
            let head = head.await?;
            Ok(Answer { head, body: Box::new(wire) })
        })
    }

    fn pause(&self, time: Duration) -> Later<'static, ()> {
        let until = Instant::now() + time;
        Box::pin(poll_fn(move |_| if Instant::now() < until { Poll::Pending } else { Poll::Ready(()) }))
    }
}

impl Fetch {
    fn promise(&self, request: &Request, controller: &AbortController) -> Result<Promise, JsValue> {
        let (how, fields) = (Object::new(), Object::new());
        let set = |object: &Object, name: &str, value: &JsValue| Reflect::set(object, &name.into(), value);
        if let Some(authorization) = &self.authorization {
            set(&fields, "Authorization", &JsValue::from_str(authorization))?;
        }
        let address = match request {
            Request::Get { address, accept } => {
                set(&fields, "Accept", &JsValue::from_str(accept))?;
                address
            }
            Request::Post { address, content_type, bytes } => {
                set(&fields, "Accept", &ACCEPT_JSON.into())?;
                set(&fields, "Content-Type", &content_type.into())?;
                set(&how, "method", &"POST".into())?;
                set(&how, "body", &Uint8Array::from(&bytes[..]))?;
                address
            }
        };
        set(&how, "headers", &fields)?;
        set(&how, "signal", &controller.signal())?;
        set(&how, "redirect", &"manual".into())?;
        set(&how, "credentials", &"same-origin".into())?;
        // What is in the archive now, and nothing of a patient in a cache.
        set(&how, "cache", &"no-store".into())?;
        Ok(fetch(address, &how))
    }
}

/// Fills the flow as the answer comes.
async fn fill(promise: Promise, flow: &RefCell<Flow>, origin: Option<&str>) {
    let answer: Response = match JsFuture::from(promise).await {
        Ok(answer) => answer.unchecked_into(),
        Err(error) => {
            flow.borrow_mut().head = Some(Err(refused(&reason(&error), origin)));
            return;
        }
    };
    flow.borrow_mut().head = Some(Ok(head(&answer)));
    wake();
    let body = Reflect::get(&answer, &"body".into()).ok().filter(|body| body.is_object());
    let over = match body {
        Some(body) => read(&body.unchecked_into::<Stream>().reader(), flow).await,
        None => Ok(()),
    };
    flow.borrow_mut().over = Some(over.map_err(|error| Broken::off(&reason(&error))));
}

async fn read(reader: &Reader, flow: &RefCell<Flow>) -> Result<(), JsValue> {
    loop {
        let next = JsFuture::from(reader.read()).await?;
        if Reflect::get(&next, &"done".into())?.is_truthy() {
            return Ok(());
        }
        let piece = Reflect::get(&next, &"value".into())?.unchecked_into::<Uint8Array>();
        {
            let mut flow = flow.borrow_mut();
            flow.bytes += piece.length();
            flow.pieces.push_back(piece);
        }
        wake();
        if flow.borrow().bytes > AHEAD {
            room(flow).await;
        }
    }
}

/// Waits until there is room for more. Where nobody wants more, too: the next piece is an error then.
async fn room(flow: &RefCell<Flow>) {
    let made = Promise::new(&mut |made, _| flow.borrow_mut().room = Some(made));
    // It is never rejected.
    JsFuture::from(made).await.ok();
}

fn head(answer: &Response) -> Head {
    let headers = answer.headers();
    let field = |name: &str| headers.get(name).ok().flatten();
    // Where a redirection leads, the browser tells nobody.
    let kind = Reflect::get(answer, &"type".into()).ok().and_then(|kind| kind.as_string());
    let status = if kind.as_deref() == Some("opaqueredirect") { 302 } else { answer.status() };
    Head {
        status,
        content_type: field("content-type").unwrap_or_default(),
        retry_after: field("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
        location: None,
        authenticate: field("www-authenticate"),
    }
}

/// The browser says no more than that it failed. Of another origin it may also be its refusal.
fn refused(reason: &str, origin: Option<&str>) -> Broken {
    match origin {
        None => Broken {
            sentence: format!("cannot be reached ({reason}); is the archive running, and the connection up?"),
            is_passing: true,
        },
        Some(origin) => Broken {
            sentence: format!(
                "the browser got no answer from {origin} that this page may read ({reason}): the archive is off, or it does not \
                 let this page's origin in (CORS); with page and archive under one name, none of that is needed"
            ),
            is_passing: false,
        },
    }
}

impl Body for Wire {
    fn next(&mut self) -> Later<'_, Result<Option<Vec<u8>>, Broken>> {
        Box::pin(poll_fn(|_| {
            let mut flow = self.flow.borrow_mut();
            match flow.pieces.pop_front() {
                Some(whole) => {
                    let piece = whole.subarray(0, PIECE).to_vec();
                    if whole.length() > PIECE {
                        flow.pieces.push_front(whole.subarray(PIECE, whole.length()));
                    }
                    flow.bytes -= piece.len() as u32;
                    flow.make_room();
                    Poll::Ready(Ok(Some(piece)))
                }
                None => match flow.over.take() {
                    Some(over) => Poll::Ready(over.map(|()| None)),
                    None => Poll::Pending,
                },
            }
        }))
    }
}
