//! The browser: files that the user gave to the page, and data that the page's own server has beside it.

use attention_anatomy::dicomweb::Transport;
use attention_anatomy::infer::{ComputeDevice, ComputeKind, Crew, Engine, engine_of_weights, plan_engine_of_weights};
use attention_anatomy_assets::{SAMPLE_NAME, SAMPLE_ON_THE_PAGE, WEIGHTS_ON_THE_PAGE};
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Response, WorkerGlobalScope};

use super::browser_files::{Bundles, pieces};
use super::fetch::Fetch;
use super::{File, Promise, in_memory};
use crate::worker::error::PlatformError;
use crate::worker::helpers::{WebHelpers, location};
use crate::worker::{Access, Input};

/// Bytes for a study: a tab has 4 GB of addresses, in which everything else lies, too.
const LIMIT: u64 = 1_500_000_000;

/// Bytes for a study, at most: with more the addresses run out on the way, and the tab with it.
const MOST_NEEDED: u64 = 3_000_000_000;

/// Bytes that are read: a browser hands out no more than 2 GB at once, and the volume needs room beside them.
const MOST: u64 = 2_000_000_000;

/// The browser.
#[derive(Debug, Default)]
pub struct Browser {
    bundles: Bundles,
}

impl super::Platform for Browser {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError> {
        match input {
            Input::Path(path) => Err(PlatformError::NoPaths(path.display().to_string())),
            Input::Bytes { name, bytes } => Ok(vec![in_memory(name, bytes)]),
            Input::Browser(file) => {
                let (name, bytes) = (file.name(), file.size() as u64);
                let part = self.bundles.add(file);
                let pieces = Some(pieces(file.clone()));
                Ok(vec![File { name, bytes, read: Box::new(move || Box::pin(part.read())), pieces }])
            }
            Input::Sample => Ok(vec![File {
                name: SAMPLE_NAME.into(),
                bytes: 0,
                read: Box::new(|| Box::pin(fetch(SAMPLE_ON_THE_PAGE))),
                pieces: None,
            }]),
            Input::Archive(series) => Err(PlatformError::NoPaths(series.access.name.clone())),
        }
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>> {
        Box::pin(fetch(WEIGHTS_ON_THE_PAGE))
    }

    fn transport(&mut self, access: &Access) -> Result<Box<dyn Transport>, PlatformError> {
        Ok(Box::new(Fetch::new(access)))
    }

    fn memory_limit(&self) -> u64 {
        LIMIT
    }

    fn most_bytes(&self) -> u64 {
        MOST
    }

    fn most_needed(&self) -> u64 {
        MOST_NEEDED
    }

    /// On the processor as many workers compute as it has cores to spare: this one, and helpers.
    fn engine(&mut self, bytes: &[u8], device: &ComputeDevice) -> Result<Box<dyn Engine>, PlatformError> {
        match WebHelpers::wanted() {
            Some(helpers) if device.kind == ComputeKind::Cpu => {
                Ok(Box::new(Crew::new(plan_engine_of_weights(bytes, device)?, WebHelpers::new(bytes, helpers))))
            }
            _ => Ok(engine_of_weights(bytes, device)?),
        }
    }
}

fn to_bytes(buffer: JsValue) -> Vec<u8> {
    Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec()
}

/// What JavaScript says of an error.
pub(super) fn reason(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "unknown reason".into(), |e| String::from(e.message()))
}

/// A file beside the page, of the version that the address of this worker's script names; never one of another origin, as the name is relative.
async fn fetch(name: &'static str) -> Result<Vec<u8>, PlatformError> {
    let failed = |e: JsValue| PlatformError::NotFetched { name, reason: reason(&e) };
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response = JsFuture::from(scope.fetch_with_str(&format!("{name}{}", location("search"))))
        .await
        .map_err(failed)?
        .unchecked_into();
    if !response.ok() {
        let reason = format!("the server answers {}", response.status());
        return Err(PlatformError::NotFetched { name, reason });
    }
    let buffer = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
    Ok(to_bytes(buffer))
}
