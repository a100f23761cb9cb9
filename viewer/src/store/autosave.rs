//! When things are stored and when they come back: preferences a moment after they change, edits some seconds after, and
//! both when the program ends. Edits of the CT that is opened are offered, not laid over it unasked.
//!
//! Packing edits takes as long as a volume is large, so the worker does it, and the window only gives it shared slices.
//! Where the program ends, or the page is left, nobody is there any more to wait for: what is not stored by then is packed
//! on the spot.

mod rescue;
mod written;

use std::collections::VecDeque;
use std::rc::Rc;

use web_time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{AUTOSAVE_SECONDS, Found, Storage};
use crate::display::Preferences;
use crate::document::{Document, KeptEdits, Outbox, Study, UnsavedEdits};
use crate::edit::LabelSnapshot;
use crate::session::{CtKey, EditsRecord};
use crate::worker::{Command, SentFile};

pub use rescue::Rescue;
use written::{Way, Written};

/// Stored edits of one CT; when there are more, the oldest go.
const MOST_OFFERS: usize = 8;
/// Organs and structures of an offer that are told by name.
const NAMES_TOLD: usize = 4;
/// How often a window looks whether what it keeps is still there.
const LOOK_AFTER: Duration = Duration::from_secs(20);
/// How long preferences rest before they are stored.
const PREFERENCES_REST: Duration = Duration::from_secs(1);

/// What is stored, and what was found.
#[derive(Debug, Default)]
pub struct Autosave {
    /// `None` where nothing is remembered.
    storage: Option<Rc<Storage>>,
    preferences: Preferences,
    preferences_changed: Option<Instant>,
    study: Option<Remembered>,
    /// What the storage was asked for and has not answered yet.
    asked: VecDeque<Asked>,
    /// Edits that the worker packs.
    packing: Vec<Packing>,
    /// What lies in files that the user saved, or sent to an archive.
    written: Written,
}

/// What the storage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Edits of the CT that was opened.
    Offers,
    /// Whether what this window keeps is still there: another one may have discarded it.
    Own,
}

/// What is known of the open study.
#[derive(Debug)]
struct Remembered {
    number: u64,
    key: CtKey,
    /// When it was opened, nanoseconds since 1970: the edits of every opening are stored under a name of their own, so
    /// that they never replace what was stored before, whether that is known by then or not.
    opened: u128,
    /// The newest first.
    offers: Vec<Offer>,
    /// Names of offers that the worker unpacks.
    unpacking: Vec<String>,
    /// Names of offers that were laid over the labels: forgotten once the labels are stored with them.
    restored: Vec<String>,
    /// [`crate::edit::LabelStore::edits`] of what was stored last, or saved, or is being packed.
    stored: u64,
    changed: Option<Instant>,
    /// Whether edits of this opening are kept, and when it was last looked for them.
    kept: bool,
    looked: Option<Instant>,
}

/// Edits that the worker packs, to be packed here where the program ends before it answers.
#[derive(Debug)]
struct Packing {
    number: u64,
    name: String,
    ct: CtKey,
    labels: LabelSnapshot,
    /// Names under which the same edits were stored before.
    superseded: Vec<String>,
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

    /// How long ago they were stored, for people.
    pub fn age(&self) -> String {
        age(now().as_secs().saturating_sub(self.record.saved))
    }

    /// What they change, for people.
    fn holds(&self) -> String {
        let organs = self.record.changed_organs().into_iter().map(|organ| organ.name().to_lowercase());
        let mut names: Vec<String> = organs.chain(self.record.structure_names()).collect();
        let more = names.len().saturating_sub(NAMES_TOLD);
        names.truncate(NAMES_TOLD);
        let mut text = names.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
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

impl Remembered {
    fn of(study: &Study) -> Self {
        Self {
            number: study.number,
            key: study.key.clone(),
            opened: now().as_nanos(),
            offers: Vec::new(),
            unpacking: Vec::new(),
            restored: Vec::new(),
            stored: 0,
            changed: None,
            kept: false,
            looked: None,
        }
    }

    /// The name under which edits are stored.
    fn name(&self) -> String {
        format!("{}-{}", self.key.sha256, self.opened)
    }
}

impl Autosave {
    /// Begins to remember: reads the preferences of last time. Without this nothing is stored, and nothing comes back.
    pub fn start(&mut self, preferences: &mut Preferences) {
        if let Some(storage) = Storage::open() {
            self.start_on(storage, preferences);
        }
    }

    fn start_on(&mut self, storage: Storage, preferences: &mut Preferences) {
        // Preferences that cannot be read are those of a later program, or damaged: the usual ones do.
        if let Some(stored) = storage.preferences().and_then(|text| serde_json::from_str::<Preferences>(&text).ok()) {
            *preferences = stored;
            let zoom = preferences.zoom;
            preferences.zoom = if zoom.is_finite() { zoom.clamp(0.5, 3.0) } else { 1.0 };
        }
        self.preferences = preferences.clone();
        self.storage = Some(Rc::new(storage));
    }

    /// Notes what the worker is about to write or to send: what is edited after this is not in the file.
    pub fn about_to_export(&mut self, command: &Command, study: Option<&Study>) {
        if let Some(study) = study {
            self.written.asked(command, study);
        }
    }

    /// What the worker has written, or something else, is offered for saving under a name; the request has this number.
    pub fn about_to_save(&mut self, name: &str, number: u64) {
        self.written.offered(name, number);
    }

    /// Stores what is due and takes in what was found. Once a frame.
    pub fn tick(&mut self, document: &mut Document, outbox: &mut Outbox, ctx: &egui::Context) {
        let Some(storage) = &self.storage else { return };
        while let Some(found) = storage.try_recv() {
            // Answers come in the order of the questions; a failure to write answers none.
            match found {
                Ok(found) if self.asked.pop_front() == Some(Asked::Own) => missed(self.study.as_mut(), &found),
                Ok(found) => offer(self.study.as_mut(), storage, found),
                Err(message) => outbox.notices.warn(message),
            }
        }
        if let Some(due) = self.save_preferences(&document.preferences, false) {
            ctx.request_repaint_after(due);
        }
        self.follow_study(document.study.as_ref());
        if let Some(due) = self.save_edits(document.study.as_ref(), outbox, false) {
            ctx.request_repaint_after(due);
        }
        self.look_after();
        self.show_offer(document);
    }

    /// Looks now and then whether what this window keeps is still there.
    fn look_after(&mut self) {
        let (Some(storage), Some(study)) = (&self.storage, self.study.as_mut().filter(|study| study.kept)) else {
            return;
        };
        if study.looked.get_or_insert_with(Instant::now).elapsed() >= LOOK_AFTER {
            study.looked = Some(Instant::now());
            storage.find(&study.name());
            self.asked.push_back(Asked::Own);
        }
    }

    /// Stores everything that has changed, without waiting for its time: the study is about to be replaced.
    pub fn save(&mut self, document: &Document, outbox: &mut Outbox) {
        if self.storage.is_some() {
            self.save_preferences(&document.preferences, true);
            self.follow_study(document.study.as_ref());
            self.save_edits(document.study.as_ref(), outbox, true);
        }
    }

    /// Stores everything and waits until it is written: the tab is hidden, or the program ends. Whether it is.
    pub fn flush(&mut self, document: &Document) -> bool {
        let mut outbox = Outbox::default();
        self.save(document, &mut outbox);
        for Packing { name, ct, labels, superseded, .. } in std::mem::take(&mut self.packing) {
            let text = EditsRecord::of(&labels, ct, now().as_secs()).to_text();
            self.store_under(&name, text, &superseded);
        }
        self.storage.as_ref().is_none_or(|storage| storage.flush())
    }

    /// The worker has packed edits.
    pub fn store(&mut self, number: u64, text: String) {
        // What is no longer waited for is out of date.
        if let Some(at) = self.packing.iter().position(|packing| packing.number == number) {
            let Packing { name, superseded, .. } = self.packing.remove(at);
            self.store_under(&name, text, &superseded);
        }
    }

    /// First stored again, then forgotten.
    fn store_under(&mut self, name: &str, text: String, superseded: &[String]) {
        if let Some(storage) = &self.storage {
            storage.save(name, text);
            superseded.iter().for_each(|old| storage.remove(old));
        }
        if let Some(study) = self.study.as_mut().filter(|study| study.name() == name) {
            (study.kept, study.looked) = (true, Some(Instant::now()));
        }
    }

    /// The file of a request was saved: if files have all edits now, they need not be stored any more.
    pub fn file_saved(&mut self, number: u64, document: &Document) {
        self.kept_elsewhere(Way::Save(number), document);
    }

    /// An archive has the files of a request: the same, where it has said of each that it keeps it.
    pub fn files_sent(&mut self, number: u64, files: &[SentFile], document: &Document) {
        if files.iter().all(|file| file.is_told) {
            self.kept_elsewhere(Way::Send(number), document);
        }
    }

    fn kept_elsewhere(&mut self, way: Way, document: &Document) {
        if let Some(study) = document.study.as_ref()
            && self.written.kept(way, study)
        {
            self.forget(study);
        }
    }

    /// Files hold all that was edited: nothing is kept beside them, nor what it was restored from.
    fn forget(&mut self, study: &Study) {
        let (Some(remembered), Some(storage)) =
            (self.study.as_mut().filter(|s| s.number == study.number), self.storage.as_ref())
        else {
            return;
        };
        let own = remembered.name();
        storage.remove(&own);
        for packing in self.packing.extract_if(.., |packing| packing.name == own) {
            packing.superseded.iter().for_each(|old| storage.remove(old));
        }
        remembered.restored.drain(..).for_each(|old| storage.remove(&old));
        (remembered.stored, remembered.changed) = (study.labels.edits(), None);
        remembered.kept = false;
    }

    /// Lays the offered edits over the labels, each in a step that can be undone, once the worker has unpacked them: the newest first,
    /// and older ones only where nothing is edited yet.
    pub fn restore(&mut self, document: &mut Document, outbox: &mut Outbox, newest_only: bool) {
        if let Some(study) = self.study.as_mut() {
            let count = if newest_only { study.offers.len().min(1) } else { study.offers.len() };
            for Offer { name, record } in study.offers.drain(..count) {
                study.unpacking.push(name);
                outbox.send(Command::UnpackEdits { study: study.number, record: Box::new(record) });
            }
            // What is left is offered when the scan is opened again.
            study.offers.clear();
        }
        self.show_offer(document);
    }

    /// Edits that the worker has unpacked are being laid over the labels of a study.
    pub fn restored(&mut self, number: u64) {
        if let Some(study) = self.study.as_mut().filter(|s| s.number == number && !s.unpacking.is_empty()) {
            let name = study.unpacking.remove(0);
            study.restored.push(name);
        }
    }

    /// Forgets the offered edits.
    pub fn discard(&mut self, document: &mut Document) {
        let offers = self.study.as_mut().map(|study| std::mem::take(&mut study.offers)).unwrap_or_default();
        if let Some(storage) = &self.storage {
            offers.iter().for_each(|offer| storage.remove(&offer.name));
        }
        self.show_offer(document);
    }

    fn show_offer(&self, document: &mut Document) {
        let kept = |offer: &Offer| KeptEdits { age: offer.age(), voxels: offer.edited_voxels(), holds: offer.holds() };
        let offers = self.study.as_ref().map_or(&[][..], |study| &study.offers);
        let kept: Vec<KeptEdits> = offers.iter().map(kept).collect();
        let voxels = kept.iter().map(|kept| kept.voxels).sum();
        document.unsaved_edits = (!kept.is_empty()).then_some(UnsavedEdits { voxels, kept });
    }

    /// Writes changed preferences once they rest, or at once; how long that is still, if they have changed.
    fn save_preferences(&mut self, preferences: &Preferences, at_once: bool) -> Option<Duration> {
        if self.preferences == *preferences {
            self.preferences_changed = None;
            return None;
        }
        let waited = self.preferences_changed.get_or_insert_with(Instant::now).elapsed();
        if !at_once && waited < PREFERENCES_REST {
            return Some(PREFERENCES_REST - waited);
        }
        self.preferences = preferences.clone();
        self.preferences_changed = None;
        if let (Some(storage), Ok(text)) = (&self.storage, serde_json::to_string_pretty(preferences)) {
            storage.save_preferences_text(text);
        }
        None
    }

    /// Asks for edits of a CT that was just opened.
    fn follow_study(&mut self, study: Option<&Study>) {
        let known = self.study.as_ref().map(|remembered| remembered.number);
        if study.map(|study| study.number) == known {
            return;
        }
        self.study = study.map(Remembered::of);
        if let (Some(storage), Some(remembered)) = (&self.storage, &self.study) {
            storage.find(&remembered.key.sha256);
            self.asked.push_back(Asked::Offers);
        }
    }

    /// Has edits packed and stored some time after they changed, or at once; how long that is still, if they have changed.
    fn save_edits(&mut self, study: Option<&Study>, outbox: &mut Outbox, at_once: bool) -> Option<Duration> {
        let study = study?;
        let remembered = self.study.as_mut().filter(|s| s.number == study.number)?;
        let edits = study.labels.edits();
        if edits == remembered.stored {
            remembered.changed = None;
            return None;
        }
        if study.labels.are_in_file() {
            self.forget(study);
            return None;
        }
        let waited = remembered.changed.get_or_insert_with(Instant::now).elapsed();
        let rest = if remembered.restored.is_empty() { AUTOSAVE_SECONDS } else { 0.0 };
        let rest = Duration::from_secs_f64(rest);
        if !at_once && (waited < rest || study.labels.is_busy()) {
            return Some(rest.saturating_sub(waited).max(Duration::from_millis(10)));
        }
        (remembered.stored, remembered.changed) = (edits, None);
        let (name, ct) = (remembered.name(), remembered.key.clone());
        // Of edits that are still being laid over the labels a part would be stored: what they come from stays until then.
        let done = !study.labels.is_busy();
        let mut superseded = if done { std::mem::take(&mut remembered.restored) } else { Vec::new() };
        if !study.labels.has_edits() {
            remembered.kept = false;
            self.packing.retain(|packing| packing.name != name);
            if let Some(storage) = &self.storage {
                superseded.iter().chain([&name]).for_each(|old| storage.remove(old));
            }
            return None;
        }
        // What the worker still packs under this name is out of date, but what it takes the place of is not forgotten yet.
        if let Some(at) = self.packing.iter().position(|packing| packing.name == name) {
            superseded.append(&mut self.packing.remove(at).superseded);
        }
        let labels = study.labels.snapshot_of_edits();
        let saved = now().as_secs();
        let number = outbox.next_number();
        outbox.send(Command::PackEdits { number, ct: ct.clone(), saved, labels: labels.clone() });
        self.packing.push(Packing { number, name, ct, labels, superseded });
        None
    }
}

/// What this window keeps was looked for: where it is gone, it is kept once more.
fn missed(study: Option<&mut Remembered>, found: &[Found]) {
    if let Some(study) = study
        && study.kept
        && found.iter().all(|found| found.name != study.name())
    {
        (study.kept, study.stored) = (false, u64::MAX);
    }
}

fn offer(study: Option<&mut Remembered>, storage: &Storage, found: Vec<Found>) {
    let Some(study) = study else { return };
    let own = study.name();
    for found in found.into_iter().filter(|f| f.name.starts_with(&study.key.sha256) && f.name != own) {
        if let Some(record) = EditsRecord::from_text(&found.text, &study.key).filter(|a| !a.is_empty()) {
            study.offers.push(Offer { name: found.name, record });
        }
    }
    study.offers.sort_by_key(|o| std::cmp::Reverse(o.record.saved));
    for old in study.offers.drain(MOST_OFFERS.min(study.offers.len())..) {
        storage.remove(&old.name);
    }
}

#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
