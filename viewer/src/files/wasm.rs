//! The browser: its own dialogs, whole folders that are dropped on the page, downloads. Files stay handles here; the
//! worker reads them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, DataTransfer, Document, DragEvent, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry,
    HtmlAnchorElement, HtmlInputElement, Url,
};

use super::{Chosen, Dialog, NO_FILES, Reply};
use crate::waker::Waker;
use crate::worker::{Input, OpenAs};

/// Answers that have not been fetched yet.
type Replies = Rc<RefCell<VecDeque<Reply>>>;

/// The browser's dialogs, and what came of them.
#[derive(Debug, Default)]
pub struct Platform {
    replies: Replies,
    /// The field that the last dialog belongs to; a browser may drop one that nobody holds before it has answered.
    field: Option<HtmlInputElement>,
    /// Address of the last download, which is kept until the next one: nobody says when it has been fetched.
    download: Option<String>,
    /// The window that is woken by answers; drops are heard once there is one.
    window: Option<Waker>,
}

impl Platform {
    /// Opens a dialog.
    pub fn choose(&mut self, dialog: Dialog, ctx: &egui::Context) {
        match self.field(dialog, ctx) {
            Ok(field) => {
                field.click();
                self.field = Some(field);
            }
            Err(_) => self.fail("the browser opens no file dialog: drop files on the page instead"),
        }
    }

    fn field(&self, dialog: Dialog, ctx: &egui::Context) -> Result<HtmlInputElement, JsValue> {
        let field: HtmlInputElement = document()?.create_element("input")?.dyn_into()?;
        field.set_type("file");
        match dialog {
            Dialog::Files | Dialog::Reference => field.set_multiple(true),
            Dialog::Folder => field.set_attribute("webkitdirectory", "")?,
            Dialog::Weights => field.set_accept(".safetensors"),
        }
        let window = self.window.clone().unwrap_or_else(|| Waker::new(ctx));
        let (replies, answered) = (self.replies.clone(), field.clone());
        let changed = Closure::once_into_js(move || {
            let Some(files) = answered.files() else { return };
            let inputs = (0..files.length()).filter_map(|n| files.get(n)).map(Input::Browser).collect();
            reply(&replies, &window, inputs, dialog.as_what());
        });
        field.set_onchange(Some(changed.unchecked_ref()));
        Ok(field)
    }

    /// Offers the bytes as a download.
    pub fn save(
        &mut self,
        name: String,
        bytes: Vec<u8>,
        _opened: Vec<(std::path::PathBuf, web_time::SystemTime)>,
        _ctx: &egui::Context,
    ) {
        if let Some(address) = self.download.take() {
            // It fails for an address that is no longer known, and then there is nothing to revoke.
            Url::revoke_object_url(&address).ok();
        }
        match download(&name, &bytes) {
            Ok(address) => {
                self.download = Some(address);
                self.replies.borrow_mut().push_back(Reply::Finished(Ok(name)));
            }
            Err(_) => self.fail(&format!("{name} cannot be saved: the browser offers no download")),
        }
    }

    fn fail(&self, message: &str) {
        self.replies.borrow_mut().push_back(Reply::Finished(Err(message.into())));
    }

    /// Drops come as answers, later: folders have to be walked through first. The window's own list of dropped files
    /// knows no folders, and nobody reads it.
    pub fn dropped(&mut self, ctx: &egui::Context) -> Vec<Input> {
        if let Some(window) = &self.window {
            window.move_to(ctx);
            return Vec::new();
        }
        let window = self.window.insert(Waker::new(ctx)).clone();
        if listen(self.replies.clone(), window).is_err() {
            self.fail("the browser hears no drops: use the file dialog instead");
        }
        Vec::new()
    }

    /// What came meanwhile.
    pub fn try_recv(&self) -> Option<Reply> {
        self.replies.borrow_mut().pop_front()
    }
}

fn document() -> Result<Document, JsValue> {
    web_sys::window().and_then(|window| window.document()).ok_or(JsValue::NULL)
}

fn reply(replies: &Replies, window: &Waker, inputs: Vec<Input>, as_what: OpenAs) {
    let reply = if inputs.is_empty() {
        Reply::Finished(Err(NO_FILES.into()))
    } else {
        Reply::Chosen(Chosen { inputs, as_what })
    };
    replies.borrow_mut().push_back(reply);
    window.wake();
}

/// Starts a download; the address that it is fetched from.
fn download(name: &str, bytes: &[u8]) -> Result<String, JsValue> {
    let blob = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes)))?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document()?.create_element("a")?.dyn_into()?;
    link.set_href(&address);
    link.set_download(name);
    link.click();
    Ok(address)
}

/// Hears drops before anyone else does: on their way down to the canvas.
fn listen(replies: Replies, window: Waker) -> Result<(), JsValue> {
    let dropped = Closure::<dyn FnMut(DragEvent)>::new(move |event: DragEvent| {
        // Without this the browser leaves the page and shows the file.
        event.prevent_default();
        let Some(transfer) = event.data_transfer() else { return };
        // Only now, during the event, are the entries there.
        let (entries, mut files) = entries(&transfer);
        let (replies, window) = (replies.clone(), window.clone());
        spawn_local(async move {
            let walked = walk(entries, &mut files).await;
            if walked.is_err() {
                let message = "a part of what was dropped cannot be read: choose the folder with the file dialog";
                replies.borrow_mut().push_back(Reply::Finished(Err(message.into())));
                window.wake();
            }
            if walked.is_ok() || !files.is_empty() {
                reply(&replies, &window, files.into_iter().map(Input::Browser).collect(), OpenAs::Whatever);
            }
        });
    });
    document()?.add_event_listener_with_callback_and_bool("drop", dropped.as_ref().unchecked_ref(), true)?;
    // As long as the page.
    dropped.forget();
    Ok(())
}

/// What was dropped: as entries, where the browser has them, which may be folders; as files otherwise.
fn entries(transfer: &DataTransfer) -> (Vec<FileSystemEntry>, Vec<File>) {
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    let items = transfer.items();
    for item in (0..items.length()).filter_map(|n| items.get(n)).filter(|item| item.kind() == "file") {
        match item.webkit_get_as_entry() {
            Ok(Some(entry)) => entries.push(entry),
            _ => files.extend(item.get_as_file().ok().flatten()),
        }
    }
    (entries, files)
}

/// Files of a folder that are asked for at the same time: each answer takes a turn of the browser's, and of some folders there are
/// thousands.
const AT_ONCE: usize = 64;

/// Collects all files of the entries and of the folders below them.
async fn walk(mut entries: Vec<FileSystemEntry>, files: &mut Vec<File>) -> Result<(), JsValue> {
    while let Some(entry) = entries.pop() {
        if entry.is_file() {
            let mut asked = vec![file_of(entry)];
            while let Some(next) = entries.pop_if(|next| next.is_file() && asked.len() < AT_ONCE) {
                asked.push(file_of(next));
            }
            for file in asked {
                files.push(JsFuture::from(file).await?.dyn_into()?);
            }
        } else {
            let reader = entry.unchecked_into::<FileSystemDirectoryEntry>().create_reader();
            // A folder comes in portions; an empty one is the end.
            loop {
                let ask =
                    |done: &Function, failed: &Function| reader.read_entries_with_callback_and_callback(done, failed);
                let portion: Array = JsFuture::from(answer(ask)).await?.dyn_into()?;
                if portion.length() == 0 {
                    break;
                }
                entries.extend(portion.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
            }
        }
    }
    Ok(())
}

/// The file of an entry that is one.
fn file_of(entry: FileSystemEntry) -> Promise {
    let entry: FileSystemFileEntry = entry.unchecked_into();
    answer(|done: &Function, failed: &Function| {
        entry.file_with_callback_and_callback(done, failed);
        Ok(())
    })
}

/// The value that a function with two callbacks gives to the first, or the error that it gives to the second.
fn answer(ask: impl Fn(&Function, &Function) -> Result<(), JsValue>) -> Promise {
    Promise::new(&mut |done, failed| {
        if let Err(error) = ask(&done, &failed) {
            // Rejecting a promise does not fail.
            failed.call1(&JsValue::NULL, &error).ok();
        }
    })
}
