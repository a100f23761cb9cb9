//! The labels of a study: what the network said, and over it what was edited by hand.
//!
//! Every voxel either shows the network's label or was edited. Beneath an edited voxel the network's label is kept and
//! follows later runs, so that a run never overwrites an edit, and undoing one shows what the network says *now*.

use std::ops::Range;
use std::sync::Arc;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use attention_anatomy::volume::{CtVolume, Geometry};

use super::bulk::Bulk;
use super::extras::Extra;
use super::history::{BaseChange, Change, ExtrasChange, History, Step};
use super::layer::ByteLayer;
use super::snapshot::LabelSnapshot;
use super::tally::Tallies;

/// Stands for "not edited by hand" where labels of edited voxels are listed.
pub const NOT_EDITED: u8 = u8::MAX;

/// The labels of a study.
#[derive(Debug)]
pub struct LabelStore {
    ct: Arc<CtVolume>,
    layer: ByteLayer,
    /// By slice, `None` where nothing was edited.
    under: Vec<Option<Under>>,
    tallies: Tallies,
    /// Edited voxels whose label is not the network's, counted under both labels.
    changed: [u64; ORGAN_COUNT + 1],
    edited: u64,
    /// Structures that are none of the 33 organs.
    pub(super) extras: Vec<Arc<Extra>>,
    /// The file that the labels beneath all edits come from; `None` for a run.
    pub(super) opened_from: Option<Arc<str>>,
    /// Slices that runs have delivered.
    pub(super) delivered: u64,
    pub(super) history: History,
    open: Option<Step>,
    edits: u64,
    /// [`Self::edits`] when the edits were those of the file that was opened last, and no others.
    pub(super) in_file: Option<u64>,
    /// An edit of many voxels that is under way.
    pub(super) bulk: Option<Bulk>,
    /// Number and name of an edit whose changes the worker looks for.
    pub(super) awaited: Option<(u64, &'static str)>,
    /// Labels that the last edit of many voxels has changed.
    pub(super) finished: Option<usize>,
}

/// What lies beneath the edits of a slice.
#[derive(Clone, Debug)]
struct Under {
    /// The network's label beneath an edited voxel, [`NOT_EDITED`] elsewhere.
    network: Arc<[u8]>,
    /// Number of edited voxels.
    edited: u32,
}

/// Takes the edits off the labels of a slice: `beneath` is what the network says beneath every edited voxel, [`NOT_EDITED`] elsewhere.
pub fn take_edits_off(labels: &mut [u8], beneath: &[u8]) {
    let edited = labels.iter_mut().zip(beneath).filter(|(_, beneath)| **beneath != NOT_EDITED);
    edited.for_each(|(label, &beneath)| *label = beneath);
}

/// A label that the table knows; anything else is background.
pub(super) fn known(label: u8) -> u8 {
    if usize::from(label) <= ORGAN_COUNT { label } else { 0 }
}

impl LabelStore {
    /// No labels yet.
    pub fn new(ct: Arc<CtVolume>) -> Self {
        let size = ct.geometry.size;
        Self {
            layer: ByteLayer::new(size),
            under: vec![None; size[2]],
            tallies: Tallies::new(size[2]),
            changed: [0; ORGAN_COUNT + 1],
            edited: 0,
            extras: Vec::new(),
            opened_from: None,
            delivered: 0,
            history: History::default(),
            open: None,
            edits: 0,
            in_file: None,
            bulk: None,
            awaited: None,
            finished: None,
            ct,
        }
    }

    /// Those of a snapshot; `None` where it does not belong to the CT.
    pub(super) fn from_snapshot(ct: Arc<CtVolume>, snapshot: &LabelSnapshot) -> Option<Self> {
        let mut store = Self::new(ct);
        let (area, hu) = (store.area(), store.ct.clone());
        let layer = ByteLayer::from_slices(store.layer.size(), &snapshot.labels)?;
        if snapshot.under.len() != store.under.len() || snapshot.under.iter().flatten().any(|u| u.len() != area) {
            return None;
        }
        let nx = layer.size()[0];
        for (k, under) in snapshot.under.iter().enumerate() {
            let labels = layer.slice(k);
            for (n, &label) in labels.iter().enumerate().filter(|(_, label)| **label != 0) {
                store.tallies.change([n % nx, n / nx, k], hu.voxels[k * area + n], 0, known(label));
            }
            let Some(network) = under.clone() else { continue };
            let edited = network.iter().filter(|n| **n != NOT_EDITED).count();
            for (&label, &network) in labels.iter().zip(network.iter()).filter(|(_, n)| **n != NOT_EDITED) {
                count_difference(&mut store.changed, known(label), known(network), Sign::Plus);
            }
            store.edited += edited as u64;
            if edited > 0 {
                store.under[k] = Some(Under { network, edited: edited as u32 });
            }
        }
        store.layer = layer;
        store.extras.clone_from(&snapshot.extras);
        Some(store)
    }

    /// What the last edit has changed; it cannot be undone any more.
    pub(super) fn take_last_changes(&mut self) -> Vec<Change> {
        self.end();
        self.history.take_done().map(|step| step.changes).unwrap_or_default()
    }

    /// The labels as they are drawn.
    pub fn layer(&self) -> &ByteLayer {
        &self.layer
    }

    /// The file that the labels beneath all edits were opened from; `None` where a run said them, or nobody.
    pub fn opened_from(&self) -> Option<&str> {
        self.opened_from.as_deref()
    }

    /// A run is about to say what lies beneath all edits.
    pub fn begin_run(&mut self) {
        self.opened_from = None;
    }

    /// The CT that they belong to.
    pub fn ct(&self) -> &Arc<CtVolume> {
        &self.ct
    }

    /// The canonical grid.
    pub fn geometry(&self) -> &Geometry {
        &self.ct.geometry
    }

    /// Labels of a slice from the network; what was edited by hand stays.
    pub fn apply_run_slice(&mut self, k: usize, labels: &[u8]) {
        self.delivered += 1;
        self.lay_beneath(k, labels);
    }

    /// Labels of a slice beneath what was edited by hand. Returns how many labels on screen are others now.
    pub(super) fn lay_beneath(&mut self, k: usize, labels: &[u8]) -> usize {
        let area = self.area();
        if k >= self.under.len() || labels.len() != area {
            return 0;
        }
        let (nx, hu) = (self.ct.geometry.size[0], &self.ct.voxels[k * area..]);
        let mut others = 0;
        let Some(under) = self.under[k].as_mut() else {
            if *self.layer.slice(k) != *labels {
                for (n, label) in self.layer.slice_mut(k).iter_mut().enumerate() {
                    let new = known(labels[n]);
                    if *label != new {
                        self.tallies.change([n % nx, n / nx, k], hu[n], *label, new);
                        *label = new;
                        others += 1;
                    }
                }
            }
            return others;
        };
        let networks = Arc::make_mut(&mut under.network);
        for (n, label) in self.layer.slice_mut(k).iter_mut().enumerate() {
            let new = known(labels[n]);
            let network = &mut networks[n];
            if *network == NOT_EDITED {
                if *label != new {
                    self.tallies.change([n % nx, n / nx, k], hu[n], *label, new);
                    *label = new;
                    others += 1;
                }
            } else if *network != new {
                count_difference(&mut self.changed, *label, *network, Sign::Minus);
                count_difference(&mut self.changed, *label, new, Sign::Plus);
                *network = new;
            }
        }
        others
    }

    /// Number of voxels of an organ.
    pub fn voxel_count(&self, organ: Organ) -> u64 {
        self.tallies.sums(organ.index()).voxels
    }

    /// Volume of an organ in millilitres.
    pub fn volume_ml(&self, organ: Organ) -> f64 {
        self.voxel_count(organ) as f64 * self.geometry().voxel_ml()
    }

    /// Mean HU over the voxels of an organ; `None` where it has none.
    pub fn mean_hu(&self, organ: Organ) -> Option<f64> {
        let sums = self.tallies.sums(organ.index());
        (sums.voxels > 0).then(|| sums.hu as f64 / sums.voxels as f64)
    }

    /// The most inferior and the most superior slice with an organ; `None` where it has no voxel.
    pub fn first_last_slice(&self, organ: Organ) -> Option<(usize, usize)> {
        let voxels = self.voxels_on_slices(organ);
        Some((voxels.iter().position(|&n| n > 0)?, voxels.iter().rposition(|&n| n > 0)?))
    }

    /// Voxels of an organ on every slice, from inferior to superior.
    pub fn voxels_on_slices(&self, organ: Organ) -> &[u32] {
        self.tallies.on_slices(organ.index())
    }

    /// The voxel of an organ that is nearest to its centroid, mm; `None` where it has no voxel. Looks through a few
    /// slices where the centroid lies outside the organ: for a click, not for every frame.
    pub fn centre(&self, organ: Organ) -> Option<[usize; 3]> {
        let sums = self.tallies.sums(organ.index());
        if sums.voxels == 0 {
            return None;
        }
        let centroid = sums.index.map(|s| s as f64 / sums.voxels as f64);
        let rounded = centroid.map(|c| c.round() as usize);
        if self.layer.get(rounded) == organ.label() {
            return Some(rounded);
        }
        let (nx, spacing) = (self.geometry().size[0], self.geometry().spacing());
        let squared = |at: [usize; 3]| (0..3).map(|a| ((at[a] as f64 - centroid[a]) * spacing[a]).powi(2)).sum::<f64>();
        let mut slices: Vec<usize> =
            self.voxels_on_slices(organ).iter().enumerate().filter(|(_, n)| **n > 0).map(|(k, _)| k).collect();
        slices.sort_by(|a, b| (*a as f64 - centroid[2]).abs().total_cmp(&(*b as f64 - centroid[2]).abs()));
        let mut best: Option<(f64, [usize; 3])> = None;
        for k in slices {
            if best.is_some_and(|(d, _)| ((k as f64 - centroid[2]) * spacing[2]).powi(2) >= d) {
                break;
            }
            for (n, _) in self.layer.slice(k).iter().enumerate().filter(|(_, l)| **l == organ.label()) {
                let at = [n % nx, n / nx, k];
                let d = squared(at);
                if best.is_none_or(|(least, _)| d < least) {
                    best = Some((d, at));
                }
            }
        }
        best.map(|(_, at)| at)
    }

    /// Organs of which edits have added or taken away voxels.
    pub fn edited_organs(&self) -> OrganSet {
        Organ::ALL.into_iter().filter(|o| self.changed[usize::from(o.label())] > 0).collect()
    }

    /// Number of voxels that were edited by hand.
    pub fn edited_voxels(&self) -> u64 {
        self.edited
    }

    /// Whether a voxel was edited by hand.
    pub fn is_edited(&self, [i, j, k]: [usize; 3]) -> bool {
        let [nx, ny, nz] = self.layer.size();
        i < nx && j < ny && k < nz && self.under[k].as_ref().is_some_and(|u| u.network[i + nx * j] != NOT_EDITED)
    }

    /// What the network says beneath the edits of a slice, [`NOT_EDITED`] where a voxel was not edited; `None` where none
    /// was.
    pub fn under_edits(&self, k: usize) -> Option<&[u8]> {
        self.under.get(k)?.as_ref().map(|u| &*u.network)
    }

    /// As [`Self::under_edits`], shared.
    pub(super) fn shared_under(&self, k: usize) -> Option<Arc<[u8]>> {
        self.under.get(k)?.as_ref().map(|u| u.network.clone())
    }

    /// Grows with every change of the edits, those by undo and redo included.
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// Whether the edits are those of the file that was opened last, and no others: nothing would be lost with them.
    pub fn are_in_file(&self) -> bool {
        self.in_file == Some(self.edits)
    }

    /// What [`Self::undo`] would undo, for people.
    pub fn undo_name(&self) -> Option<&'static str> {
        self.open.as_ref().filter(|s| !s.is_empty()).or(self.history.last_done()).map(|s| s.name)
    }

    /// What [`Self::redo`] would do again, for people.
    pub fn redo_name(&self) -> Option<&'static str> {
        self.history.last_undone().map(|s| s.name)
    }

    /// Begins a step: all that is set until [`Self::end`] is undone at once.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.end();
        self.open = Some(Step::new(name));
    }

    /// Ends a step; one that has changed nothing leaves no trace.
    pub(super) fn end(&mut self) {
        if let Some(step) = self.open.take().filter(|s| !s.is_empty()) {
            self.history.push(step);
        }
    }

    /// Sets voxels of slice `k`, by their number in the slice: `code(n, label)` is the new label, [`NOT_EDITED`] to give
    /// a voxel back to the network, or `None` to leave it. Returns how many labels are others now.
    pub(super) fn set(
        &mut self,
        k: usize,
        voxels: Range<usize>,
        mut code: impl FnMut(usize, u8) -> Option<u8>,
    ) -> usize {
        if k >= self.under.len() {
            return 0;
        }
        let mut fresh = Step::new("edit");
        self.layer.open(k);
        let (labels, under) = (self.layer.slice(k), self.under[k].as_ref());
        for n in voxels.start..voxels.end.min(labels.len()) {
            let Some(after) = code(n, labels[n]) else { continue };
            let after = if after == NOT_EDITED { NOT_EDITED } else { known(after) };
            let edited = under.is_some_and(|u| u.network[n] != NOT_EDITED);
            let before = if edited { labels[n] } else { NOT_EDITED };
            if before != after {
                fresh.note(k, n, before, after);
            }
        }
        let others = self.apply(fresh.changes.iter().map(|c| (*c, c.after)));
        match &mut self.open {
            Some(step) => step.changes.append(&mut fresh.changes),
            None if fresh.changes.is_empty() => {}
            None => self.history.push(fresh),
        }
        others
    }

    /// Gives the voxels of changes of one slice these codes; returns how many labels are others now.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = (Change, u8)>) -> usize {
        let mut changes = changes.into_iter().peekable();
        let Some(&(first, _)) = changes.peek() else { return 0 };
        self.edits += 1;
        let (k, area, nx) = (first.slice as usize, self.area(), self.layer.size()[0]);
        let hu = &self.ct.voxels[k * area..(k + 1) * area];
        let labels = self.layer.slice_mut(k);
        let under = self.under[k].get_or_insert_with(|| Under { network: vec![NOT_EDITED; area].into(), edited: 0 });
        let networks = Arc::make_mut(&mut under.network);
        let (mut others, mut edited) = (0, 0i64);
        for (change, code) in changes {
            let run = change.start as usize..(change.start + change.len) as usize;
            let places = run.clone().zip(labels[run.clone()].iter_mut().zip(&mut networks[run]));
            for (n, (label, network)) in places {
                let base = if *network == NOT_EDITED { *label } else { *network };
                let new = if code == NOT_EDITED { base } else { code };
                if *network != NOT_EDITED {
                    count_difference(&mut self.changed, *label, base, Sign::Minus);
                    edited -= 1;
                }
                *network = NOT_EDITED;
                if code != NOT_EDITED {
                    count_difference(&mut self.changed, new, base, Sign::Plus);
                    edited += 1;
                    *network = base;
                }
                if new != *label {
                    self.tallies.change([n % nx, n / nx, k], hu[n], *label, new);
                    *label = new;
                    others += 1;
                }
            }
        }
        self.edited = self.edited.saturating_add_signed(edited);
        under.edited = under.edited.saturating_add_signed(edited as i32);
        if under.edited == 0 {
            self.under[k] = None;
        }
        others
    }

    /// The edits are others than before.
    pub(super) fn count_edit(&mut self) {
        self.edits += 1;
    }

    /// What the open step changes besides voxels.
    pub(super) fn note_extras(&mut self, change: ExtrasChange) {
        if let Some(step) = &mut self.open {
            step.extras = Some(change);
        }
    }

    /// As [`Self::note_extras`], of what lies beneath all edits.
    pub(super) fn note_base(&mut self, change: BaseChange) {
        if let Some(step) = &mut self.open {
            step.base = Some(change);
        }
    }

    fn area(&self) -> usize {
        self.layer.size()[0] * self.layer.size()[1]
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

/// Counts an edited voxel under its label and the network's, where they differ.
fn count_difference(changed: &mut [u64; ORGAN_COUNT + 1], label: u8, network: u8, sign: Sign) {
    if label != network {
        for l in [label, network] {
            match sign {
                Sign::Plus => changed[usize::from(l)] += 1,
                Sign::Minus => changed[usize::from(l)] -= 1,
            }
        }
    }
}

#[cfg(test)]
impl LabelStore {
    /// Whether all that is kept up to date equals a recount.
    pub(super) fn check(&self) {
        let [nx, _, nz] = self.layer.size();
        let area = self.area();
        let mut tallies = Tallies::new(nz);
        let (mut changed, mut edited) = ([0; ORGAN_COUNT + 1], 0);
        for (at, &label) in self.layer.voxels().iter().enumerate() {
            let (n, k) = (at % area, at / area);
            tallies.change([n % nx, n / nx, k], self.ct.voxels[at], 0, label);
            let network = self.under[k].as_ref().map_or(NOT_EDITED, |u| u.network[n]);
            if network != NOT_EDITED {
                edited += 1;
                count_difference(&mut changed, label, network, Sign::Plus);
            }
        }
        assert_eq!(self.tallies, tallies);
        assert_eq!((self.changed, self.edited), (changed, edited));
        for under in self.under.iter().flatten() {
            assert_eq!(under.edited as usize, under.network.iter().filter(|&&n| n != NOT_EDITED).count());
            assert!(under.edited > 0);
        }
    }
}
