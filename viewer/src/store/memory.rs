//! When things are kept and when they come back: preferences a moment after they change, edits some seconds after, and both
//! when the program ends. Edits of the CT that is opened are offered, not laid over it unasked.

use web_time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::autosave::Autosave;
use super::fingerprint::{CtKey, Hashing};
use super::session::SESSION_NAME;
use super::{AUTOSAVE_SECONDS, Found, Shelf};
use crate::state::{FileRequest, Preferences, State, Study};
use crate::worker::{Command, Export};

/// Kept edits of one CT; when there are more, the oldest go.
const MOST_OFFERS: usize = 8;
/// How long preferences rest before they are written.
const PREFERENCES_REST: Duration = Duration::from_secs(1);
/// How long a frame hashes.
const HASHING: Duration = Duration::from_millis(4);

/// What is kept, and what was found.
#[derive(Debug, Default)]
pub struct Memory {
    /// `None` where nothing is remembered.
    shelf: Option<Shelf>,
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
    autosave: Autosave,
}

impl Offer {
    /// Number of voxels that were edited.
    pub fn edited_voxels(&self) -> u64 {
        self.autosave.edited_voxels
    }

    /// How long ago they were kept, for people.
    pub fn age(&self) -> String {
        age(now().as_secs().saturating_sub(self.autosave.saved))
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

impl Memory {
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
}

fn is_labels(name: &str) -> bool {
    [".nii", ".nii.gz", ".nrrd"].iter().any(|end| name.ends_with(end))
}

/// Begins to remember: reads the preferences of last time. Without this nothing is kept, and nothing comes back.
pub fn remember(state: &mut State) {
    let Some(shelf) = Shelf::open() else { return };
    remember_on(state, shelf);
}

fn remember_on(state: &mut State, shelf: Shelf) {
    // Preferences that cannot be read are those of a later program, or damaged: the usual ones do.
    if let Some(preferences) = shelf.preferences().and_then(|text| serde_json::from_str::<Preferences>(&text).ok()) {
        state.preferences = preferences;
        let zoom = state.preferences.zoom;
        state.preferences.zoom = if zoom.is_finite() { zoom.clamp(0.5, 3.0) } else { 1.0 };
    }
    state.memory.preferences = state.preferences.clone();
    state.memory.shelf = Some(shelf);
}

/// Keeps what is due and takes in what was found. Once a frame.
pub fn tick(state: &mut State, ctx: &egui::Context) {
    let Some(shelf) = &state.memory.shelf else { return };
    while let Some(found) = shelf.found() {
        match found {
            Ok(found) => offer(state.memory.study.as_mut(), shelf, found),
            Err(message) => state.notices.warn(message),
        }
    }
    if let Some(due) = keep_preferences(state, false) {
        ctx.request_repaint_after(due);
    }
    follow_study(state, ctx);
    if let Some(due) = keep_edits(state, false) {
        ctx.request_repaint_after(due);
    }
}

/// Keeps everything now: the study is about to be replaced.
pub fn keep(state: &mut State) {
    if state.memory.shelf.is_some() {
        keep_preferences(state, true);
        keep_edits(state, true);
    }
}

/// Keeps everything and waits until it is written: the tab is hidden, or the program ends.
pub fn leave(state: &mut State) {
    keep(state);
    if let Some(shelf) = &state.memory.shelf {
        shelf.flush();
    }
}

/// A file was saved: if it has all edits, they need not be kept any more.
pub fn saved(state: &mut State, name: &str) {
    let has_edits = is_labels(name) || name.ends_with(".json");
    let (Some(study), Some(shelf)) = (state.study.as_ref(), state.memory.shelf.as_ref()) else { return };
    if !has_edits || state.memory.saving.take() != Some(study.labels.edits()) {
        return;
    }
    if let Some(remembered) = state.memory.study.as_mut().filter(|s| s.number == study.number) {
        if let Some(name) = remembered.name() {
            shelf.forget(&name);
        }
        (remembered.kept, remembered.changed) = (study.labels.edits(), None);
    }
}

/// Lays the offered edits over the labels, in one step that can be undone.
pub fn restore_offer(state: &mut State) {
    let Some(offer) = state.memory.offer().cloned() else { return };
    let Some(study) = state.study.as_mut() else { return };
    match offer.autosave.edits() {
        Ok(edits) => {
            study.labels.restore_edits(&edits, true, "restored edits");
            state.notices.info(format!("{} edited voxels restored", offer.edited_voxels()));
        }
        Err(error) => state.notices.error(format!("the edits that were kept cannot be restored: {error}")),
    }
    // First kept again, then forgotten.
    keep_edits(state, true);
    discard_offer(state);
}

/// Forgets the offered edits.
pub fn discard_offer(state: &mut State) {
    let Some(study) = state.memory.study.as_mut().filter(|s| !s.offers.is_empty()) else { return };
    let offer = study.offers.remove(0);
    if let Some(shelf) = &state.memory.shelf {
        shelf.forget(&offer.name);
    }
}

fn offer(study: Option<&mut Remembered>, shelf: &Shelf, found: Vec<Found>) {
    let Some(study) = study else { return };
    let Key::Known(key) = &study.key else { return };
    let own = study.name();
    for found in found.into_iter().filter(|f| f.name.starts_with(&key.sha256) && Some(&f.name) != own.as_ref()) {
        if let Some(autosave) = Autosave::from_text(&found.text, key).filter(|a| a.edited_voxels > 0) {
            study.offers.push(Offer { name: found.name, autosave });
        }
    }
    study.offers.sort_by_key(|o| std::cmp::Reverse(o.autosave.saved));
    for old in study.offers.drain(MOST_OFFERS.min(study.offers.len())..) {
        shelf.forget(&old.name);
    }
}

impl Remembered {
    /// The name under which edits are kept; `None` before the CT is known.
    fn name(&self) -> Option<String> {
        let Key::Known(key) = &self.key else { return None };
        Some(format!("{}-{}", key.sha256, self.opened))
    }

    /// Goes on hashing, and asks for edits of the CT once it is known.
    fn identify(&mut self, time: Duration, shelf: Option<&Shelf>) {
        if let Key::Hashing(hashing) = &mut self.key
            && let Some(key) = hashing.advance(time)
        {
            if let Some(shelf) = shelf {
                shelf.ask(&key.sha256);
            }
            self.key = Key::Known(key);
        }
    }
}

/// Writes changed preferences once they rest, or at once; how long that is still, if they have changed.
fn keep_preferences(state: &mut State, now: bool) -> Option<Duration> {
    let memory = &mut state.memory;
    if memory.preferences == state.preferences {
        memory.preferences_changed = None;
        return None;
    }
    let waited = memory.preferences_changed.get_or_insert_with(Instant::now).elapsed();
    if !now && waited < PREFERENCES_REST {
        return Some(PREFERENCES_REST - waited);
    }
    memory.preferences = state.preferences.clone();
    memory.preferences_changed = None;
    if let (Some(shelf), Ok(text)) = (&memory.shelf, serde_json::to_string_pretty(&memory.preferences)) {
        shelf.keep_preferences(text);
    }
    None
}

/// Knows the open CT again: hashes it, and asks for edits of it.
fn follow_study(state: &mut State, ctx: &egui::Context) {
    let Some(study) = &state.study else {
        state.memory.study = None;
        return;
    };
    let remembered = match &mut state.memory.study {
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
        remembered.identify(HASHING, state.memory.shelf.as_ref());
        // The next piece, or the answer.
        ctx.request_repaint_after(Duration::from_millis(10));
    }
}

/// Keeps edits some time after they changed, or at once; how long that is still, if they have changed.
fn keep_edits(state: &mut State, at_once: bool) -> Option<Duration> {
    let study = state.study.as_ref()?;
    let remembered = state.memory.study.as_mut().filter(|s| s.number == study.number)?;
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
        remembered.identify(Duration::MAX, state.memory.shelf.as_ref());
    }
    if let (Some(name), Key::Known(key), Some(shelf)) = (remembered.name(), &remembered.key, &state.memory.shelf) {
        if study.labels.edited_voxels() > 0 {
            shelf.keep(&name, Autosave::of(&study.labels, key.clone(), now().as_secs()).to_text());
        } else {
            shelf.forget(&name);
        }
    }
    (remembered.kept, remembered.changed) = (edits, None);
    None
}

#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
