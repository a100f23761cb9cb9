//! In the browser: preferences in localStorage, edits in IndexedDB, one after the other in the background. A page that is
//! left does not live to see the background: what is not in IndexedDB by then goes to localStorage, which is written at once
//! but is small, and from there to IndexedDB at the next visit. Both belong to the page's own origin; nothing is sent
//! anywhere.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction, IdbTransactionMode};

use super::Found;

/// Seconds after a change when edits are kept: a tab is closed without warning.
pub const AUTOSAVE_SECONDS: f64 = 5.0;

const PREFERENCES: &str = "attention-anatomy/preferences";
const DATABASE: &str = "attention-anatomy";
const EDITS: &str = "edits";
/// Before the names of edits in localStorage. Without text: edits that are to be forgotten.
const UNFINISHED: &str = "attention-anatomy/edits/";

/// Where things are kept.
#[derive(Debug)]
pub struct Storage {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    storage: Option<web_sys::Storage>,
    /// What is to be done; the first is being done and stays until it is.
    jobs: RefCell<VecDeque<Request>>,
    working: Cell<bool>,
    reports: RefCell<VecDeque<Result<Vec<Found>, String>>>,
}

#[derive(Clone, Debug)]
enum Request {
    Save(String, String),
    Remove(String),
    Find(String),
}

impl Storage {
    /// The page's own; `None` outside a window.
    pub fn open() -> Option<Self> {
        let window = web_sys::window()?;
        // A browser that forbids storage still shows the page.
        let local = window.local_storage().ok().flatten();
        let (jobs, working, reports) = Default::default();
        let storage = Self { inner: Rc::new(Inner { storage: local, jobs, working, reports }) };
        for Found { name, text } in storage.inner.unfinished("") {
            storage.request(if text.is_empty() { Request::Remove(name) } else { Request::Save(name, text) });
        }
        Some(storage)
    }

    /// The preferences of last time.
    pub fn preferences(&self) -> Option<String> {
        self.inner.storage.as_ref()?.get_item(PREFERENCES).ok().flatten()
    }

    /// Keeps preferences.
    pub fn save_preferences_text(&self, text: String) {
        if let Some(storage) = &self.inner.storage {
            // Preferences that cannot be kept are not worth a message.
            let _ = storage.set_item(PREFERENCES, &text);
        }
    }

    /// Keeps edits under a name.
    pub fn save(&self, name: &str, text: String) {
        self.request(Request::Save(name.into(), text));
    }

    /// Forgets what was kept under a name.
    pub fn remove(&self, name: &str) {
        self.request(Request::Remove(name.into()));
    }

    /// Asks what is kept under names that begin so; [`Self::try_recv`] has it later.
    pub fn find(&self, beginning: &str) {
        self.request(Request::Find(beginning.into()));
    }

    /// What was asked for, once it is there; or what went wrong, one sentence.
    pub fn try_recv(&self) -> Option<Result<Vec<Found>, String>> {
        self.inner.reports.borrow_mut().pop_front()
    }

    /// Puts what is not yet in the database where it is at once: before the page is left. Whether all of it is there; what is
    /// too large may still reach the database.
    pub fn flush(&self) -> bool {
        let put = |name: &str, text: &str| {
            let storage = self.inner.storage.as_ref();
            storage.is_some_and(|storage| storage.set_item(&format!("{UNFINISHED}{name}"), text).is_ok())
        };
        let mut all = true;
        for job in &*self.inner.jobs.borrow() {
            all &= match job {
                Request::Save(name, text) => put(name, text),
                Request::Remove(name) => put(name, ""),
                Request::Find(_) => true,
            };
        }
        all
    }

    fn request(&self, request: Request) {
        self.inner.jobs.borrow_mut().push_back(request);
        if !self.inner.working.replace(true) {
            let inner = self.inner.clone();
            spawn_local(async move { inner.work().await });
        }
    }
}

impl Inner {
    async fn work(&self) {
        loop {
            // Not in the condition: the borrow would last through the wait.
            let job = self.jobs.borrow().front().cloned();
            let Some(job) = job else { break };
            let outcome = match &job {
                Request::Save(name, text) => put(name, text).await,
                Request::Remove(name) => delete(name).await,
                Request::Find(beginning) => self.answer(beginning).await,
            };
            self.jobs.borrow_mut().pop_front();
            match (outcome, job) {
                (Ok(()), Request::Save(name, _) | Request::Remove(name)) => self.finish(&name),
                (Ok(()), Request::Find(_)) => {}
                (Err(_), _) => self.reports.borrow_mut().push_back(Err(
                    "this browser does not let the page keep edits; save them before the tab is closed".to_string(),
                )),
            }
        }
        self.working.set(false);
    }

    /// The database is up to date: what the page left behind is not needed any more, unless there is something newer.
    fn finish(&self, name: &str) {
        let is_newer = |job: &Request| matches!(job, Request::Save(of, _) | Request::Remove(of) if of == name);
        if let Some(storage) = &self.storage
            && !self.jobs.borrow().iter().any(is_newer)
        {
            // Fails only where nothing can have been kept.
            let _ = storage.remove_item(&format!("{UNFINISHED}{name}"));
        }
    }

    /// What a page left behind under names that begin so.
    fn unfinished(&self, beginning: &str) -> Vec<Found> {
        let Some(storage) = &self.storage else { return Vec::new() };
        let keys = (0..storage.length().unwrap_or(0)).filter_map(|n| storage.key(n).ok().flatten());
        let found = keys.filter_map(|key| {
            let name = key.strip_prefix(UNFINISHED).filter(|name| name.starts_with(beginning))?.to_string();
            Some(Found { name, text: storage.get_item(&key).ok().flatten()? })
        });
        found.collect()
    }

    /// What is kept under names that begin so, also where only localStorage can be read.
    async fn answer(&self, beginning: &str) -> Result<(), JsValue> {
        let mut found = self.unfinished(beginning);
        let outcome = add_finished(beginning, &mut found).await;
        found.retain(|f| !f.text.is_empty());
        self.reports.borrow_mut().push_back(Ok(found));
        outcome
    }
}

/// Adds what the database has. What a page left behind is newer and stays.
async fn add_finished(beginning: &str, found: &mut Vec<Found>) -> Result<(), JsValue> {
    for name in names().await?.into_iter().filter(|name| name.starts_with(beginning)) {
        if found.iter().all(|f| f.name != name)
            && let Some(text) = fetch(&name).await?
        {
            found.push(Found { name, text });
        }
    }
    Ok(())
}

async fn put(name: &str, text: &str) -> Result<(), JsValue> {
    let edits = edits(IdbTransactionMode::Readwrite).await?;
    edits.put_with_key(&text.into(), &name.into())?;
    complete(&edits.transaction()).await
}

async fn delete(name: &str) -> Result<(), JsValue> {
    let edits = edits(IdbTransactionMode::Readwrite).await?;
    edits.delete(&name.into())?;
    complete(&edits.transaction()).await
}

async fn names() -> Result<Vec<String>, JsValue> {
    let edits = edits(IdbTransactionMode::Readonly).await?;
    let keys: Array = done(&edits.get_all_keys()?).await?.dyn_into()?;
    Ok(keys.iter().filter_map(|key| key.as_string()).collect())
}

async fn fetch(name: &str) -> Result<Option<String>, JsValue> {
    // A transaction ends while nothing is asked of it: one for each.
    let edits = edits(IdbTransactionMode::Readonly).await?;
    Ok(done(&edits.get(&name.into())?).await?.as_string())
}

async fn edits(mode: IdbTransactionMode) -> Result<IdbObjectStore, JsValue> {
    let factory = web_sys::window().ok_or(JsValue::NULL)?.indexed_db()?.ok_or(JsValue::NULL)?;
    let request = factory.open_with_u32(DATABASE, 1)?;
    let opening = request.clone();
    let create = Closure::once(move || {
        if let Ok(database) = opening.result()
            && let Some(database) = database.dyn_ref::<IdbDatabase>()
        {
            // Where it fails, opening the store below does too and is reported.
            let _ = database.create_object_store(EDITS);
        }
    });
    request.set_onupgradeneeded(Some(create.as_ref().unchecked_ref()));
    let database: IdbDatabase = done(&request).await?.dyn_into()?;
    let transaction = database.transaction_with_str_and_mode(EDITS, mode)?;
    // It is closed as soon as the transaction is over.
    database.close();
    transaction.object_store(EDITS)
}

/// The result of a request, once it is done.
async fn done(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    JsFuture::from(promise).await?;
    request.result()
}

/// Waits until all that was asked in a transaction is in the database, or none of it will be.
async fn complete(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    });
    JsFuture::from(promise).await.map(drop)
}
