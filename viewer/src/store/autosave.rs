//! When things are kept and when they come back: preferences a moment after they change, edits some seconds after, and both
//! when the program ends. Edits of the CT that is opened are offered, not laid over it unasked.

use web_time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fingerprint::{CtKey, Hashing};
use super::record::EditsRecord;
use super::session::SESSION_NAME;
use super::{AUTOSAVE_SECONDS, Found, Storage};
use crate::display::Preferences;
use crate::document::{Document, FileRequest, KeptEdits, Outbox, Study};
use crate::worker::{Command, Export};

/// Kept edits of one CT; when there are more, the oldest go.
const MOST_OFFERS: usize = 8;
/// How long preferences rest before they are written.
const PREFERENCES_REST: Duration = Duration::from_secs(1);
/// How long a frame hashes.
const HASHING: Duration = Duration::from_millis(4);

/// What is kept, and what was found.
#[derive(Debug, Default)]
pub struct Autosave {
    /// `None` where nothing is remembered.
    storage: Option<Storage>,
    preferences: Preferences,
    preferences_changed: Option<Instant>,
    study: Option<Remembered>,
    /// Edits of the labels that go into the file that is being saved.
    saving: Option<u64>,
}

/// What is known of the open study.
#[derive(Debug)]
struct Remembered {
    number: u64,
    /// When it was opened, nanoseconds since 1970: the edits of every opening are kept under a name of their own, so that
    /// they never replace what was kept before, whether that is known by then or not.
    opened: u128,
    key: Key,
    /// The newest first.
    offers: Vec<Offer>,
    /// [`crate::edit::LabelStore::edits`] of what was kept last, or saved.
    kept: u64,
    changed: Option<Instant>,
}

#[derive(Debug)]
enum Key {
    Hashing(Box<Hashing>),
    Known(CtKey),
}

/// Edits that were found for the open CT.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    name: String,
    record: EditsRecord,
}

impl Offer {
    /// Number of voxels that were edited.
    pub fn edited_voxels(&self) -> u64 {
        self.record.edited_voxels
    }

    /// How long ago they were kept, for people.
    pub fn age(&self) -> String {
        age(now().as_secs().saturating_sub(self.record.saved))
    }
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds in words.
fn age(seconds: u64) -> String {
    let (n, unit) = match seconds {
        0..60 => return "less than a minute ago".into(),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}

fn is_labels(name: &str) -> bool {
    [".nii", ".nii.gz", ".nrrd"].iter().any(|end| name.ends_with(end))
}

impl Autosave {
    /// Begins to remember: reads the preferences of last time. Without this nothing is kept, and nothing comes back.
    pub fn start(&mut self, preferences: &mut Preferences) {
        if let Some(storage) = Storage::open() {
            self.start_on(storage, preferences);
        }
    }

    fn start_on(&mut self, storage: Storage, preferences: &mut Preferences) {
        // Preferences that cannot be read are those of a later program, or damaged: the usual ones do.
        if let Some(kept) = storage.preferences().and_then(|text| serde_json::from_str::<Preferences>(&text).ok()) {
            *preferences = kept;
            let zoom = preferences.zoom;
            preferences.zoom = if zoom.is_finite() { zoom.clamp(0.5, 3.0) } else { 1.0 };
        }
        self.preferences = preferences.clone();
        self.storage = Some(storage);
    }

    /// What identifies the CT of a study; hashed now if that is not done yet.
    pub fn key_of(&self, study: &Study) -> CtKey {
        match self.study.as_ref().filter(|s| s.number == study.number).map(|s| &s.key) {
            Some(Key::Known(key)) => key.clone(),
            _ => CtKey::of(&study.ct),
        }
    }

    /// Edits that were found for the open CT and are offered to the user, the newest first.
    pub fn offer(&self) -> Option<&Offer> {
        self.study.as_ref()?.offers.first()
    }

    /// Notes what the worker is about to write: what is edited after this is not in the file.
    pub fn about_to_export(&mut self, command: &Command, study: Option<&Study>) {
        if let Command::Export { what, .. } = command {
            let labels = matches!(what, Export::Labels { .. });
            self.saving = study.filter(|_| labels).map(|s| s.labels.edits());
        }
    }

    /// The same for what is saved: a session, the labels that the worker has written, or something without edits.
    pub fn about_to_save(&mut self, request: &FileRequest, study: Option<&Study>) {
        match request {
            FileRequest::Save { name, .. } if name == SESSION_NAME => self.saving = study.map(|s| s.labels.edits()),
            FileRequest::Save { name, .. } if !is_labels(name) => self.saving = None,
            _ => {}
        }
    }

    /// Saves what is due and takes in what was found. Once a frame.
    pub fn tick(&mut self, document: &mut Document, outbox: &mut Outbox, ctx: &egui::Context) {
        let Some(storage) = &self.storage else { return };
        while let Some(found) = storage.found() {
            match found {
                Ok(found) => offer(self.study.as_mut(), storage, found),
                Err(message) => outbox.notices.warn(message),
            }
        }
        if let Some(due) = self.save_preferences(&document.preferences, false) {
            ctx.request_repaint_after(due);
        }
        self.follow_study(document.study.as_ref(), ctx);
        if let Some(due) = self.save_edits(document.study.as_ref(), false) {
            ctx.request_repaint_after(due);
        }
        self.show_offer(document);
    }

    /// Saves everything now: the study is about to be replaced.
    pub fn save(&mut self, document: &Document) {
        if self.storage.is_some() {
            self.save_preferences(&document.preferences, true);
            self.save_edits(document.study.as_ref(), true);
        }
    }

    /// Saves everything and waits until it is written: the tab is hidden, or the program ends.
    pub fn flush(&mut self, document: &Document) {
        self.save(document);
        if let Some(storage) = &self.storage {
            storage.flush();
        }
    }

    /// A file was saved: if it has all edits, they need not be kept any more.
    pub fn file_saved(&mut self, name: &str, document: &Document) {
        let has_edits = is_labels(name) || name.ends_with(".json");
        let (Some(study), Some(storage)) = (document.study.as_ref(), self.storage.as_ref()) else { return };
        if !has_edits || self.saving.take() != Some(study.labels.edits()) {
            return;
        }
        if let Some(remembered) = self.study.as_mut().filter(|s| s.number == study.number) {
            if let Some(name) = remembered.name() {
                storage.forget(&name);
            }
            (remembered.kept, remembered.changed) = (study.labels.edits(), None);
        }
    }

    /// Lays the offered edits over the labels, in one step that can be undone.
    pub fn restore(&mut self, document: &mut Document, outbox: &mut Outbox) {
        let Some(offer) = self.offer().cloned() else { return };
        let Some(study) = document.study.as_mut() else { return };
        match offer.record.edits() {
            Ok(edits) => {
                study.labels.restore_edits(&edits, true, "restored edits");
                outbox.notices.info(format!("{} edited voxels restored", offer.edited_voxels()));
            }
            Err(error) => {
                outbox.notices.error(format!("the edits that were kept cannot be restored: {error}"));
            }
        }
        // First kept again, then forgotten.
        self.save_edits(document.study.as_ref(), true);
        self.discard(document);
    }

    /// Forgets the offered edits.
    pub fn discard(&mut self, document: &mut Document) {
        let Some(study) = self.study.as_mut().filter(|s| !s.offers.is_empty()) else { return };
        let offer = study.offers.remove(0);
        if let Some(storage) = &self.storage {
            storage.forget(&offer.name);
        }
        self.show_offer(document);
    }

    fn show_offer(&self, document: &mut Document) {
        document.kept_edits = self.offer().map(|offer| KeptEdits { voxels: offer.edited_voxels(), age: offer.age() });
    }

    /// Writes changed preferences once they rest, or at once; how long that is still, if they have changed.
    fn save_preferences(&mut self, now_wanted: &Preferences, at_once: bool) -> Option<Duration> {
        if self.preferences == *now_wanted {
            self.preferences_changed = None;
            return None;
        }
        let waited = self.preferences_changed.get_or_insert_with(Instant::now).elapsed();
        if !at_once && waited < PREFERENCES_REST {
            return Some(PREFERENCES_REST - waited);
        }
        self.preferences = now_wanted.clone();
        self.preferences_changed = None;
        if let (Some(storage), Ok(text)) = (&self.storage, serde_json::to_string_pretty(&self.preferences)) {
            storage.keep_preferences(text);
        }
        None
    }

    /// Knows the open CT again: hashes it, and asks for edits of it.
    fn follow_study(&mut self, study: Option<&Study>, ctx: &egui::Context) {
        let Some(study) = study else {
            self.study = None;
            return;
        };
        let remembered = match &mut self.study {
            Some(remembered) if remembered.number == study.number => remembered,
            other => other.insert(Remembered {
                number: study.number,
                opened: now().as_nanos(),
                key: Key::Hashing(Box::new(Hashing::new(study.ct.clone()))),
                offers: Vec::new(),
                kept: 0,
                changed: None,
            }),
        };
        if let Key::Hashing(_) = &remembered.key {
            remembered.identify(HASHING, self.storage.as_ref());
            // The next piece, or the answer.
            ctx.request_repaint_after(Duration::from_millis(10));
        }
    }

    /// Keeps edits some time after they changed, or at once; how long that is still, if they have changed.
    fn save_edits(&mut self, study: Option<&Study>, at_once: bool) -> Option<Duration> {
        let study = study?;
        let remembered = self.study.as_mut().filter(|s| s.number == study.number)?;
        let edits = study.labels.edits();
        if edits == remembered.kept {
            remembered.changed = None;
            return None;
        }
        let rest = Duration::from_secs_f64(AUTOSAVE_SECONDS);
        let waited = remembered.changed.get_or_insert_with(Instant::now).elapsed();
        if !at_once && waited < rest {
            return Some(rest - waited);
        }
        if let Key::Hashing(_) = &remembered.key {
            if !at_once {
                return Some(Duration::from_millis(10));
            }
            remembered.identify(Duration::MAX, self.storage.as_ref());
        }
        if let (Some(name), Key::Known(key), Some(storage)) = (remembered.name(), &remembered.key, &self.storage) {
            if study.labels.edited_voxels() > 0 {
                storage.keep(&name, EditsRecord::of(&study.labels, key.clone(), now().as_secs()).to_text());
            } else {
                storage.forget(&name);
            }
        }
        (remembered.kept, remembered.changed) = (edits, None);
        None
    }
}

fn offer(study: Option<&mut Remembered>, storage: &Storage, found: Vec<Found>) {
    let Some(study) = study else { return };
    let Key::Known(key) = &study.key else { return };
    let own = study.name();
    for found in found.into_iter().filter(|f| f.name.starts_with(&key.sha256) && Some(&f.name) != own.as_ref()) {
        if let Some(record) = EditsRecord::from_text(&found.text, key).filter(|a| a.edited_voxels > 0) {
            study.offers.push(Offer { name: found.name, record });
        }
    }
    study.offers.sort_by_key(|o| std::cmp::Reverse(o.record.saved));
    for old in study.offers.drain(MOST_OFFERS.min(study.offers.len())..) {
        storage.forget(&old.name);
    }
}

impl Remembered {
    /// The name under which edits are kept; `None` before the CT is known.
    fn name(&self) -> Option<String> {
        let Key::Known(key) = &self.key else { return None };
        Some(format!("{}-{}", key.sha256, self.opened))
    }

    /// Goes on hashing, and asks for edits of the CT once it is known.
    fn identify(&mut self, time: Duration, storage: Option<&Storage>) {
        if let Key::Hashing(hashing) = &mut self.key
            && let Some(key) = hashing.advance(time)
        {
            if let Some(storage) = storage {
                storage.ask(&key.sha256);
            }
            self.key = Key::Known(key);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
