//! Files of the browser: small ones are read together, a large one in pieces.
//!
//! It takes a millisecond and more for each file that it is asked for, however small, and of a folder there are thousands. Files
//! that lie one after the other in a `Blob` are one for it: 3,000 of 3 kB took a tenth of the time so.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::{Rc, Weak};

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use super::Pieces;
use super::wasm::reason;
use crate::worker::error::PlatformError;

/// Files of a bundle at most, and bytes of them above which no further one joins.
const FILES: usize = 256;
const BYTES: u64 = 16_000_000;

/// Gives every file a place in a bundle, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    /// Gone with the last of its files: it holds what was read.
    last: Weak<Bundle>,
}

/// Files that are read at once, when the first of them is asked for.
#[derive(Debug, Default)]
struct Bundle {
    files: RefCell<Vec<web_sys::File>>,
    /// Bytes of them together.
    bytes: Cell<u64>,
    /// What the browser has promised: the contents of all of them, one after the other.
    asked: RefCell<Option<js_sys::Promise>>,
}

/// A file within its bundle.
#[derive(Debug)]
pub(super) struct Part {
    bundle: Rc<Bundle>,
    file: web_sys::File,
    /// Bytes of the files before it.
    before: u64,
}

impl Bundles {
    pub(super) fn add(&mut self, file: &web_sys::File) -> Part {
        let bytes = size(file);
        let bundle = self.last.upgrade().filter(|last| last.has_room_for(bytes)).unwrap_or_default();
        self.last = Rc::downgrade(&bundle);
        bundle.files.borrow_mut().push(file.clone());
        let before = bundle.bytes.get();
        bundle.bytes.set(before + bytes);
        Part { bundle, file: file.clone(), before }
    }
}

fn size(file: &web_sys::File) -> u64 {
    file.size() as u64
}

impl Bundle {
    fn has_room_for(&self, bytes: u64) -> bool {
        self.asked.borrow().is_none() && self.files.borrow().len() < FILES && self.bytes.get() + bytes <= BYTES
    }

    /// The contents of all files; asked for once.
    fn contents(&self) -> Result<js_sys::Promise, JsValue> {
        let mut asked = self.asked.borrow_mut();
        if let Some(promise) = &*asked {
            return Ok(promise.clone());
        }
        let files: Array = self.files.borrow().iter().collect();
        Ok(asked.insert(Blob::new_with_blob_sequence(&files)?.array_buffer()).clone())
    }
}

impl Part {
    /// The contents of the file.
    pub(super) async fn read(self) -> Result<Vec<u8>, PlatformError> {
        if let Some(bytes) = self.of_bundle().await {
            return Ok(bytes);
        }
        // One of them cannot be read: alone it is said of the right one.
        let contents = JsFuture::from(self.file.array_buffer()).await;
        let unreadable = |e| PlatformError::Unreadable { name: self.file.name(), reason: reason(&e) };
        Ok(Uint8Array::new(&contents.map_err(unreadable)?).to_vec())
    }

    async fn of_bundle(&self) -> Option<Vec<u8>> {
        let all: ArrayBuffer = JsFuture::from(self.bundle.contents().ok()?).await.ok()?.unchecked_into();
        // A file that has changed since it was chosen would move all behind it.
        if u64::from(all.byte_length()) != self.bundle.bytes.get() {
            return None;
        }
        let [before, bytes] = [self.before, size(&self.file)].map(|n| u32::try_from(n).ok());
        Some(Uint8Array::new_with_byte_offset_and_length(&all, before?, bytes?).to_vec())
    }
}

#[wasm_bindgen]
extern "C" {
    // Not that of web-sys: all that depends on it would have to be compiled anew for a further feature of it.
    type FileReaderSync;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<FileReaderSync, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readAsArrayBuffer)]
    fn read_as_array_buffer(this: &FileReaderSync, blob: &Blob) -> Result<ArrayBuffer, JsValue>;
}

/// A file that is read from the start at every call. Only a worker may wait for what it reads.
pub(super) fn pieces(file: web_sys::File) -> Pieces {
    Box::new(move || {
        let reader = FileReaderSync::new().map_err(failed)?;
        Ok(Box::new(ReadOn { file: file.clone(), reader, at: 0.0 }))
    })
}

fn failed(error: JsValue) -> io::Error {
    io::Error::other(reason(&error))
}

struct ReadOn {
    file: web_sys::File,
    reader: FileReaderSync,
    at: f64,
}

impl Read for ReadOn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.file.slice_with_f64_and_f64(self.at, self.at + buffer.len() as f64).map_err(failed)?;
        let contents = self.reader.read_as_array_buffer(&piece).map_err(failed)?;
        let contents = Uint8Array::new(&contents);
        let count = (contents.length() as usize).min(buffer.len());
        contents.copy_to(&mut buffer[..count]);
        self.at += count as f64;
        Ok(count)
    }
}
