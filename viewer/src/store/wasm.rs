//! In the browser: preferences in localStorage, edits in IndexedDB, one after the other in the background. A page that is
//! left does not live to see the background: what is not in IndexedDB by then goes to localStorage, which is written at once
//! but is small. Both belong to the page's own origin; nothing is sent anywhere.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{IdbDatabase, IdbObjectStore, IdbRequest, IdbTransactionMode, Storage};

use super::Found;

/// Seconds after a change when edits are kept: a tab is closed without warning.
pub const AUTOSAVE_SECONDS: f64 = 5.0;

const PREFERENCES: &str = "attention-anatomy/preferences";
const DATABASE: &str = "attention-anatomy";
const EDITS: &str = "edits";
/// Before the names of edits in localStorage.
const UNFINISHED: &str = "attention-anatomy/edits/";

/// Where things are kept.
#[derive(Debug)]
pub struct Shelf {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    storage: Option<Storage>,
    /// What is to be done; the first is being done and stays until it is.
    jobs: RefCell<VecDeque<Job>>,
    working: Cell<bool>,
    reports: RefCell<VecDeque<Result<Vec<Found>, String>>>,
}

#[derive(Clone, Debug)]
enum Job {
    Keep(String, String),
    Forget(String),
    Ask(Vec<String>),
}

impl Shelf {
    /// The page's own; `None` outside a window.
    pub fn open() -> Option<Self> {
        let window = web_sys::window()?;
        // A browser that forbids storage still shows the page.
        let storage = window.local_storage().ok().flatten();
        let (jobs, working, reports) = Default::default();
        Some(Self { inner: Rc::new(Inner { storage, jobs, working, reports }) })
    }

    /// The preferences of last time.
    pub fn preferences(&self) -> Option<String> {
        self.inner.storage.as_ref()?.get_item(PREFERENCES).ok().flatten()
    }

    /// Keeps preferences.
    pub fn keep_preferences(&self, text: String) {
        if let Some(storage) = &self.inner.storage {
            // Preferences that cannot be kept are not worth a message.
            let _ = storage.set_item(PREFERENCES, &text);
        }
    }

    /// Keeps edits under a name.
    pub fn keep(&self, name: &str, text: String) {
        self.job(Job::Keep(name.into(), text));
    }

    /// Forgets what was kept under a name.
    pub fn forget(&self, name: &str) {
        self.job(Job::Forget(name.into()));
    }

    /// Asks what is kept under these names; [`Self::found`] has it later.
    pub fn ask(&self, names: Vec<String>) {
        self.job(Job::Ask(names));
    }

    /// What was asked for, once it is there; or what went wrong, one sentence.
    pub fn found(&self) -> Option<Result<Vec<Found>, String>> {
        self.inner.reports.borrow_mut().pop_front()
    }

    /// Puts what is not yet in the database where it is at once: before the page is left.
    pub fn flush(&self) {
        let Some(storage) = &self.inner.storage else { return };
        for job in &*self.inner.jobs.borrow() {
            // What is too large for it may still reach the database.
            let _ = match job {
                Job::Keep(name, text) => storage.set_item(&unfinished(name), text),
                Job::Forget(name) => storage.remove_item(&unfinished(name)),
                Job::Ask(_) => Ok(()),
            };
        }
    }

    fn job(&self, job: Job) {
        self.inner.jobs.borrow_mut().push_back(job);
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
            let report = match job {
                Job::Keep(name, text) => keep(&name, &text).await.map(|()| self.finish(&name)),
                Job::Forget(name) => forget(&name).await.map(|()| self.finish(&name)),
                Job::Ask(names) => self.ask(names).await.map(Some),
            };
            self.jobs.borrow_mut().pop_front();
            let report = report.map_err(|_| {
                "this browser does not let the page keep edits; save them before the tab is closed".to_string()
            });
            if let Some(report) = report.transpose() {
                self.reports.borrow_mut().push_back(report);
            }
        }
        self.working.set(false);
    }

    /// The database is up to date: what the page left behind is not needed any more.
    fn finish(&self, name: &str) -> Option<Vec<Found>> {
        if let Some(storage) = &self.storage {
            // Fails only where nothing can have been kept.
            let _ = storage.remove_item(&unfinished(name));
        }
        None
    }

    async fn ask(&self, names: Vec<String>) -> Result<Vec<Found>, JsValue> {
        let mut found = Vec::new();
        for name in names {
            // Newer than what the database has.
            let left = self.storage.as_ref().and_then(|storage| storage.get_item(&unfinished(&name)).ok().flatten());
            let text = match left {
                Some(text) => Some(text),
                None => fetch(&name).await?,
            };
            found.extend(text.map(|text| Found { name, text }));
        }
        Ok(found)
    }
}

fn unfinished(name: &str) -> String {
    format!("{UNFINISHED}{name}")
}

async fn keep(name: &str, text: &str) -> Result<(), JsValue> {
    let edits = edits(IdbTransactionMode::Readwrite).await?;
    done(&edits.put_with_key(&text.into(), &name.into())?).await.map(drop)
}

async fn forget(name: &str) -> Result<(), JsValue> {
    let edits = edits(IdbTransactionMode::Readwrite).await?;
    done(&edits.delete(&name.into())?).await.map(drop)
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
