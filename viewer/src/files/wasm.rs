//! The browser: its own dialogs, whole folders that are dropped on the page, downloads. Files stay handles here; the
//! worker reads them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, DataTransfer, DataTransferItem, Document, DragEvent, File, FileSystemDirectoryEntry, FileSystemEntry,
    FileSystemFileEntry, HtmlAnchorElement, HtmlInputElement, Url,
};

use super::{Chosen, Dialog, NO_FILES, Outcome, Reply};
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
        number: u64,
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
                let outcome = Outcome { save: Some(number), said: Ok(name) };
                self.replies.borrow_mut().push_back(Reply::Finished(outcome));
            }
            Err(_) => self.fail(&format!("{name} cannot be saved: the browser offers no download")),
        }
    }

    fn fail(&self, message: &str) {
        self.replies.borrow_mut().push_back(Reply::Finished(Outcome::failed(message)));
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
        Reply::Finished(Outcome::failed(NO_FILES))
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
                replies.borrow_mut().push_back(Reply::Finished(Outcome::failed(message)));
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

/// Something that was dropped: an entry, and of a folder what the browser promises to hand over beside it.
type Dropped = (FileSystemEntry, Option<JsFuture>);

/// What was dropped: as entries, where the browser has them, which may be folders; as files otherwise.
fn entries(transfer: &DataTransfer) -> (Vec<Dropped>, Vec<File>) {
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    let items = transfer.items();
    for item in (0..items.length()).filter_map(|n| items.get(n)).filter(|item| item.kind() == "file") {
        match item.webkit_get_as_entry() {
            Ok(Some(entry)) => {
                let folder = if entry.is_directory() { folder_of(item) } else { None };
                entries.push((entry, folder));
            }
            _ => files.extend(item.get_as_file().ok().flatten()),
        }
    }
    (entries, files)
}

#[wasm_bindgen]
extern "C" {
    // Not those of web-sys: all that depends on it would have to be compiled anew for further features of it.
    /// An item of a drop, as browsers know it that hand over folders.
    type FolderItem;
    #[wasm_bindgen(method, catch, js_name = getAsFileSystemHandle)]
    fn folder(this: &FolderItem) -> Result<Promise, JsValue>;
    /// A file or a folder.
    type Handle;
    #[wasm_bindgen(method, getter)]
    fn kind(this: &Handle) -> String;
    #[wasm_bindgen(method, catch, js_name = getFile)]
    fn file(this: &Handle) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn values(this: &Handle) -> Result<js_sys::AsyncIterator, JsValue>;
}

/// The folder of an item, where the browser has that: Chromium gives the files of it in a third of the time that they take as entries.
fn folder_of(item: DataTransferItem) -> Option<JsFuture> {
    let is_known = Reflect::has(&item, &"getAsFileSystemHandle".into()).unwrap_or(false);
    if is_known { item.unchecked_into::<FolderItem>().folder().ok().map(JsFuture::from) } else { None }
}

/// Files that a browser was asked for. Each answer takes a turn of its, and of some folders there are thousands: several are on their way.
#[derive(Default)]
struct Asked(VecDeque<JsFuture>);

impl Asked {
    /// So many at the same time.
    const AT_ONCE: usize = 1024;

    /// One more; the first of them is waited for where there are too many.
    async fn add(&mut self, file: Promise, files: &mut Vec<File>) -> Result<(), JsValue> {
        self.0.push_back(file.into());
        if self.0.len() < Self::AT_ONCE { Ok(()) } else { self.take(files).await }
    }

    async fn take(&mut self, files: &mut Vec<File>) -> Result<(), JsValue> {
        if let Some(next) = self.0.pop_front() {
            files.push(next.await?.dyn_into()?);
        }
        Ok(())
    }

    /// All that are on their way.
    async fn rest(mut self, files: &mut Vec<File>) -> Result<(), JsValue> {
        while !self.0.is_empty() {
            self.take(files).await?;
        }
        Ok(())
    }
}

/// Collects all files of what was dropped.
async fn walk(dropped: Vec<Dropped>, files: &mut Vec<File>) -> Result<(), JsValue> {
    for (entry, folder) in dropped {
        if let Some(folder) = folder {
            // A browser may refuse to hand over what it lets be read as entries.
            let mut found = Vec::new();
            if walk_folder(folder, &mut found).await.is_ok() {
                files.append(&mut found);
                continue;
            }
        }
        walk_entry(entry, files).await?;
    }
    Ok(())
}

/// Collects all files of a folder and of those below it.
async fn walk_folder(folder: JsFuture, files: &mut Vec<File>) -> Result<(), JsValue> {
    let mut folders: Vec<Handle> = vec![folder.await?.unchecked_into()];
    let mut asked = Asked::default();
    while let Some(folder) = folders.pop() {
        let within = folder.values()?;
        loop {
            let next: js_sys::IteratorNext = JsFuture::from(within.next()?).await?.unchecked_into();
            if next.done() {
                break;
            }
            let handle: Handle = next.value().unchecked_into();
            if handle.kind() == "directory" {
                folders.push(handle);
            } else {
                asked.add(handle.file()?, files).await?;
            }
        }
    }
    asked.rest(files).await
}

/// The same of an entry: a file, or a folder.
async fn walk_entry(entry: FileSystemEntry, files: &mut Vec<File>) -> Result<(), JsValue> {
    let (mut entries, mut asked) = (vec![entry], Asked::default());
    while let Some(entry) = entries.pop() {
        if entry.is_file() {
            asked.add(file_of(entry), files).await?;
            continue;
        }
        let reader = entry.unchecked_into::<FileSystemDirectoryEntry>().create_reader();
        // A folder comes in portions; an empty one is the end.
        loop {
            let ask = |done: &Function, failed: &Function| reader.read_entries_with_callback_and_callback(done, failed);
            let portion: Array = JsFuture::from(answer(ask)).await?.dyn_into()?;
            if portion.length() == 0 {
                break;
            }
            entries.extend(portion.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
        }
    }
    asked.rest(files).await
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
