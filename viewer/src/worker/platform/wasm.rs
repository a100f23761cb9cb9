//! The browser: files that the user gave to the page, and data that the page's own server has beside it.

use attention_anatomy_assets::{SAMPLE_NAME, SAMPLE_ON_THE_PAGE, WEIGHTS_ON_THE_PAGE};
use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Response, WorkerGlobalScope};

use super::{File, Promise, in_memory};
use crate::worker::Input;
use crate::worker::error::PlatformError;

/// Bytes for a study: a tab has 4 GB of addresses, in which everything else lies, too.
const LIMIT: u64 = 1_500_000_000;

/// The browser.
#[derive(Debug, Default)]
pub struct Browser;

impl super::Platform for Browser {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError> {
        match input {
            Input::Path(path) => Err(PlatformError::NoPaths(path.display().to_string())),
            Input::Bytes { name, bytes } => Ok(vec![in_memory(name, bytes)]),
            Input::Browser(file) => {
                let file = file.clone();
                let (name, bytes) = (file.name(), file.size() as u64);
                let read = move || -> Promise<_> {
                    Box::pin(async move {
                        let buffer = JsFuture::from(file.array_buffer()).await;
                        buffer
                            .map(to_bytes)
                            .map_err(|e| PlatformError::Unreadable { name: file.name(), reason: reason(&e) })
                    })
                };
                Ok(vec![File { name, bytes, read: Box::new(read) }])
            }
            Input::Sample => Ok(vec![File {
                name: SAMPLE_NAME.into(),
                bytes: 0,
                read: Box::new(|| Box::pin(fetch(SAMPLE_ON_THE_PAGE))),
            }]),
        }
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>> {
        Box::pin(fetch(WEIGHTS_ON_THE_PAGE))
    }

    fn memory_limit(&self) -> u64 {
        LIMIT
    }
}

fn to_bytes(buffer: JsValue) -> Vec<u8> {
    Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec()
}

/// What JavaScript says of an error.
fn reason(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "unknown reason".into(), |e| String::from(e.message()))
}

/// A file beside the page, of the version of this worker; never one of another origin, as the name is relative.
async fn fetch(name: &'static str) -> Result<Vec<u8>, PlatformError> {
    let failed = |e: JsValue| PlatformError::NotFetched { name, reason: reason(&e) };
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response =
        JsFuture::from(scope.fetch_with_str(&format!("{name}{}", version()))).await.map_err(failed)?.unchecked_into();
    if !response.ok() {
        let reason = format!("the server answers {}", response.status());
        return Err(PlatformError::NotFetched { name, reason });
    }
    let buffer = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
    Ok(to_bytes(buffer))
}

/// What follows the name in the address of this worker's own script.
fn version() -> String {
    let location = Reflect::get(&js_sys::global(), &"location".into());
    let query = location.and_then(|location| Reflect::get(&location, &"search".into()));
    query.ok().and_then(|query| query.as_string()).unwrap_or_default()
}
