//! A segmentation from its first slice to labels that can be kept: run, labels, clean-up, and how they came about.
//!
//! One path for the command line, which waits for it ([`SegmentationSession::finish`]), and for a window, which feeds it between other
//! work ([`feed`](SegmentationSession::feed), [`accept`](SegmentationSession::accept)), shows every slice as it comes, holds it, lets
//! another device take over and may end it early. What the two wrote had begun to differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use web_time::{Instant, SystemTime, UNIX_EPOCH};

use super::cleanup::clean_up;
use super::device::ComputeDevice;
use super::doubt::Doubt;
use super::engine::{Engine, EngineError, SliceResult, Ticket, Wait};
use super::organ_runs::SliceRuns;
use super::provenance::{Provenance, WeightsUsed};
use super::volume_run::{Message, RunOptions, VolumeRun};
use crate::anatomy::{Organ, OrganSet};
use crate::network::weights::ModelInfo;
use crate::parallel::map;
use crate::preprocess::{Body, ModelSlices, PreprocessError};
use crate::volume::{CtVolume, LabelVolume};

/// What is to be segmented, with what, and how.
#[derive(Clone, Debug)]
pub struct SegmentationRequest {
    /// The weights that the engine holds.
    pub weights: WeightsUsed,
    /// The device that computes, in words.
    pub device: String,
    /// What opening it gave to say.
    pub device_notes: Vec<String>,
    /// Names of the files that the CT came from.
    pub inputs: Vec<String>,
    /// Organs that may be labelled.
    pub enabled: OrganSet,
    /// Whether what lies outside the body, pieces apart from their organ, and what is none by its side, size or place, are taken away at the end.
    pub cleanup: bool,
    /// Whether values that do not look like HU are taken as HU, for the record; see [`require_ct`](crate::volume::require_ct).
    pub assume_hu: bool,
    /// Where to begin, and what else to say of each slice.
    pub run: RunOptions,
    /// Seconds of what was done before, by stage.
    pub seconds: Vec<(String, f64)>,
}

impl SegmentationRequest {
    /// Cleaned up, from the middle outwards, with nothing done before.
    pub fn new(weights: WeightsUsed, device: &ComputeDevice, enabled: OrganSet) -> Self {
        Self {
            weights,
            device: device.in_words(),
            device_notes: device.notes.clone(),
            inputs: Vec::new(),
            enabled,
            cleanup: true,
            assume_hu: false,
            run: RunOptions::default(),
            seconds: Vec::new(),
        }
    }
}

/// Why there are no labels.
#[derive(Debug, thiserror::Error)]
pub enum SegmentationError {
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Labels of a volume, and how they came about.
#[derive(Debug)]
pub struct Segmented {
    /// On the canonical grid of the CT.
    pub labels: LabelVolume,
    /// The body that was found in the CT.
    pub body: Arc<Body>,
    /// How they came about.
    pub provenance: Provenance,
    /// How sure the network was of each organ, where that was asked for.
    pub doubt: Doubt,
}

/// A segmentation under way.
pub struct SegmentationSession {
    run: VolumeRun,
    /// What the network says, canonical; the clean-up needs all of it. As runs: a byte a voxel would be half of what the CT takes.
    slices: Vec<SliceRuns>,
    provenance: Provenance,
    doubt: Doubt,
    cancel: Arc<AtomicBool>,
    started: Instant,
    /// Since when it is held.
    held: Option<Instant>,
    complete: bool,
}

impl std::fmt::Debug for SegmentationSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentationSession").field("run", &self.run).field("complete", &self.complete).finish()
    }
}

impl SegmentationSession {
    /// Of a CT, which is brought to the model grid first.
    ///
    /// # Errors
    /// [`PreprocessError`].
    pub fn of_ct(ct: Arc<CtVolume>, mut request: SegmentationRequest) -> Result<Self, PreprocessError> {
        let clock = Instant::now();
        let slices = ModelSlices::new(ct, &request.weights.info.input)?;
        request.seconds.push(("prepare".into(), clock.elapsed().as_secs_f64()));
        Ok(Self::new(slices, request))
    }

    /// Nothing is computed yet; the clock runs.
    pub fn new(slices: impl Into<Arc<ModelSlices>>, request: SegmentationRequest) -> Self {
        let slices = slices.into();
        let geometry = &slices.ct().geometry;
        let provenance = Provenance {
            weights: request.weights,
            inputs: request.inputs,
            devices: vec![request.device],
            device_notes: request.device_notes,
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            seconds: request.seconds,
            enabled: request.enabled,
            cleanup: request.cleanup,
            assume_hu: request.assume_hu,
            removed: 0,
            voxel_ml: geometry.voxel_ml(),
            done: [0, slices.grid().slices],
            anatomy: BTreeMap::new(),
        };
        Self {
            slices: vec![SliceRuns::default(); geometry.size[2]],
            run: VolumeRun::new(slices, &request.run),
            provenance,
            doubt: Doubt::default(),
            cancel: request.run.cancel,
            started: Instant::now(),
            held: None,
            complete: false,
        }
    }

    /// How the labels came about so far.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The labels of a slice so far, `[ny, nx]`; empty outside the volume.
    pub fn labels(&self, slice: usize) -> Vec<u8> {
        let Some(runs) = self.slices.get(slice) else { return Vec::new() };
        let [nx, ny, _] = self.run.slices().ct().geometry.size;
        let mut labels = vec![0; nx * ny];
        runs.paint(&mut labels, nx);
        labels
    }

    /// Slices done, and in all.
    pub fn progress(&self) -> [usize; 2] {
        self.provenance.done
    }

    /// Whether all slices are there and only the clean-up is left.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether an engine is needed for it now.
    pub fn wants_engine(&self) -> bool {
        !self.complete && (self.held.is_none() || self.run.under_way() > 0)
    }

    /// From now on slices come outwards from `slice`.
    pub fn focus(&mut self, slice: usize) {
        self.run.focus(slice);
    }

    /// Holds it: no slice starts until it goes on. Time for which it was held is not the engine's.
    pub fn hold(&mut self, held: bool) {
        match (held, self.held.take()) {
            (true, since) => self.held = Some(since.unwrap_or_else(Instant::now)),
            (false, Some(since)) => self.started += since.elapsed(),
            (false, None) => {}
        }
    }

    /// Another engine takes over, on another device; what the first had under way comes again.
    pub fn change_device(&mut self, device: &str, notes: &[String], next: usize) {
        self.run.restart_in_flight();
        self.run.focus(next);
        self.provenance.devices.push(device.into());
        self.provenance.device_notes.extend_from_slice(notes);
    }

    /// Slices that were submitted and are not back.
    pub fn under_way(&self) -> usize {
        self.run.under_way()
    }

    /// Whether a result is one of this run's.
    pub fn owns(&self, ticket: Ticket) -> bool {
        self.run.owns(ticket)
    }

    /// Submits what the engine has room for.
    pub fn feed(&mut self, engine: &mut dyn Engine) -> Vec<Message> {
        if self.held.is_some() && !self.cancel.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let messages = self.run.feed(engine);
        self.note(&messages);
        messages
    }

    /// Takes a result; one that is not this run's changes nothing.
    pub fn accept(&mut self, engine: &mut dyn Engine, result: SliceResult) -> Vec<Message> {
        let messages = self.run.accept(engine, result);
        self.note(&messages);
        messages
    }

    fn note(&mut self, messages: &[Message]) {
        self.keep(messages);
        for message in messages {
            match message {
                Message::Anatomy(anatomy) => {
                    self.provenance.anatomy.insert(anatomy.slice, anatomy.clone());
                }
                Message::Progress { done, total } => self.provenance.done = [*done, *total],
                Message::Finished => {
                    self.provenance.seconds.push(("segment".into(), self.started.elapsed().as_secs_f64()));
                    self.complete = true;
                }
                Message::SliceDone { .. } | Message::Cancelled | Message::Failed(_) => {}
            }
        }
    }

    /// Keeps labels of slices, and how sure they are.
    fn keep(&mut self, messages: &[Message]) {
        let mut done: BTreeMap<usize, &[u8]> = BTreeMap::new();
        for message in messages {
            if let Message::SliceDone { slice, labels, doubt, .. } = message {
                done.insert(*slice, labels);
                doubt.iter().for_each(|doubt| self.doubt.add(doubt));
            }
        }
        let nx = self.run.slices().ct().geometry.size[0];
        let kept =
            self.slices.iter_mut().enumerate().filter_map(|(slice, to)| Some((to, done.remove(&slice)?))).collect();
        map(kept, |(to, labels): (&mut SliceRuns, &[u8])| *to = SliceRuns::of(labels, nx));
    }

    /// Takes away what lies outside the body, pieces apart from their organ, and what is none by its side, size or place, if that was asked for; the slices that this changed. To be
    /// called once, when all slices are there. Who cancels by then is too late: the record says whether the labels are cleaned up, and
    /// it takes less than a second.
    pub fn clean_up(&mut self) -> Vec<usize> {
        // It only takes away: a slice has changed where it has fewer labelled voxels.
        let before: Vec<usize> = self.slices.iter().map(SliceRuns::voxels).collect();
        self.take_away();
        (0..before.len()).filter(|&slice| self.slices[slice].voxels() != before[slice]).collect()
    }

    /// [`clean_up`](Self::clean_up) for whoever does not show slices.
    fn take_away(&mut self) {
        if !self.provenance.cleanup {
            return;
        }
        let clock = Instant::now();
        let slices = self.run.slices();
        let removed = clean_up(&mut self.slices, slices.ct(), slices.body());
        self.provenance.removed = removed.iter().sum();
        self.provenance.seconds.push(("clean up".into(), clock.elapsed().as_secs_f64()));
    }

    /// Waits for all that is left, cleans up and ends: not in a browser's main thread. `progress(done, total)` is called as slices
    /// come.
    ///
    /// # Errors
    /// [`SegmentationError`].
    pub fn finish(
        mut self,
        engine: &mut dyn Engine,
        progress: impl FnMut(usize, usize),
    ) -> Result<Segmented, SegmentationError> {
        self.compute(engine, progress)?;
        Ok(self.conclude())
    }

    /// The first half of [`finish`](Self::finish), all that the engine is needed for: waits until all slices are there.
    ///
    /// # Errors
    /// [`SegmentationError`].
    pub fn compute(
        &mut self,
        engine: &mut dyn Engine,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), SegmentationError> {
        self.run.want_as_a_whole();
        while !self.run.is_over() {
            let messages = self.run.advance(engine, Wait::Yes);
            self.note(&messages);
            for message in messages {
                match message {
                    Message::Progress { done, total } => progress(done, total),
                    Message::Cancelled => return Err(SegmentationError::Cancelled),
                    Message::Failed(error) => return Err(error.into()),
                    Message::SliceDone { .. } | Message::Anatomy(_) | Message::Finished => {}
                }
            }
        }
        // What follows works on whole volumes, and nobody can ask this engine what if any more.
        engine.rest();
        Ok(())
    }

    /// The second half: cleans up and ends. Another thread may do it while the engine has the next scan.
    pub fn conclude(mut self) -> Segmented {
        self.take_away();
        let slices = self.run.slices();
        let geometry = &slices.ct().geometry;
        let [nx, ny, _] = geometry.size;
        let mut labels = vec![0; geometry.voxel_count()];
        let parts = labels.chunks_exact_mut((nx * ny).max(1)).zip(&self.slices).collect();
        map(parts, |(to, runs): (&mut [u8], &SliceRuns)| runs.paint(to, nx));
        let labels = slices.ct().with_voxels(labels);
        Segmented { labels, body: slices.body().clone(), provenance: self.provenance, doubt: self.doubt }
    }

    /// How the labels came about, of a session that is given up.
    pub fn into_provenance(self) -> Provenance {
        self.provenance
    }
}

/// Which organs are to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrganChoice<'a> {
    /// Those that the weights draw without being asked.
    Usual,
    /// All that the weights have learned.
    All,
    /// These, by id or by a name that hospitals give them.
    Named(&'a [String]),
}

/// Why a choice of organs cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The weights draw nothing without being asked.
    #[error("no organ of these weights is on by default; use --all-organs or --organs")]
    NothingOn,
    /// No organ's name.
    #[error("`{0}` is not one of the 33 organs; `info --organs` lists them")]
    Unknown(String),
    /// Not in these weights.
    #[error("these weights have never learned the organ `{}`", .0.id())]
    NotLearned(Organ),
}

impl OrganChoice<'_> {
    /// The organs, of weights.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn organs(self, info: &ModelInfo) -> Result<OrganSet, ChoiceError> {
        let known = info.organs(true);
        let organs = match self {
            Self::Usual => info.organs(false),
            Self::All => known,
            Self::Named(names) => {
                let organ = |name: &String| {
                    let named = Organ::from_id(name).or_else(|| Organ::from_name(name));
                    let organ = named.ok_or_else(|| ChoiceError::Unknown(name.clone()))?;
                    known.contains(organ).then_some(organ).ok_or(ChoiceError::NotLearned(organ))
                };
                return names.iter().map(organ).collect();
            }
        };
        if organs.is_empty() { Err(ChoiceError::NothingOn) } else { Ok(organs) }
    }
}

#[cfg(test)]
mod tests;
