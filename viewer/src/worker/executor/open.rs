//! Opening: from inputs to files, out of archives, to what is in them; in steps, with progress, and given up between
//! any two of them.
//!
//! The size of a study is known from its headers before its voxels are decoded. Where it exceeds what the platform has,
//! the job is parked with a question, and goes on if the answer is yes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use attention_anatomy::formats::dicom::{SeriesChoice, SeriesInfo, SeriesReader, Stored, stored};
use attention_anatomy::formats::{
    self, CtOrLabels, Format, FormatError, MAX_UNPACKED, ReadOptions, Reference, archive,
};
use attention_anatomy::volume::{CtVolume, LabelVolume};
use attention_anatomy_assets::SAMPLE_NAME;

use super::compute::Weights;
use super::content::{self, Group, Named, Sorted};
use super::open_ct::OpenCt;
use super::{Executor, Step};
use crate::edit::ByteSlices;
use crate::session::{self, CtKey, Hashing, Session};
use crate::worker::error::{FileError, OpenError, PlatformError};
use crate::worker::platform::{self, File, Platform, Promise};
use crate::worker::{Event, Input, OpenAs, Opened};

/// Bytes that a voxel needs until it is on screen: read, brought to canonical order, labels on both sides, certainty.
const BYTES_PER_VOXEL: u64 = 7;

/// How long a step identifies a CT.
const PIECE: Duration = Duration::from_millis(50);
const IDENTIFYING: &str = "Looking for earlier edits";

/// Where the job is.
enum OpenStage {
    Listing(VecDeque<Input>),
    Reading,
    Unpacking(VecDeque<Named>),
    Sorting,
    Applying(Sorted),
    Series(Box<SeriesReader>, Sorted),
    /// A CT is read; what tells it from others is being found, for edits that were kept.
    Identifying(Box<Hashing>, Arc<CtVolume>, Sorted),
}

/// A file on its way.
struct Reading {
    name: String,
    promise: Promise<Result<Vec<u8>, PlatformError>>,
}

/// Something that is being opened.
pub(super) struct Opening {
    job: u64,
    name: String,
    as_what: OpenAs,
    /// The CT that is open, which contours are drawn on.
    reference: Option<Reference>,
    /// The DICOM series that the CT is that was read.
    series: Option<Box<SeriesInfo>>,
    /// The user knows how large it is.
    even_if_large: bool,
    /// Waits for the user's answer.
    parked: bool,
    /// A CT was among the files: another one is too much.
    has_ct: bool,
    stage: OpenStage,
    listed: VecDeque<File>,
    reading: Option<Reading>,
    files: Vec<Named>,
}

/// What a piece of work came to.
enum Progress {
    /// More to do; what is done now, and how much of it.
    Going(&'static str, Option<f32>),
    /// Nothing came yet.
    Waiting,
    /// This many bytes will be needed.
    Large(u64),
    /// A CT was read, and is to be identified.
    Read(Box<CtVolume>),
    /// Something was opened; there may be more.
    Found(Found),
    /// That was all.
    Done,
}

/// Something that was opened.
enum Found {
    Ct(Arc<CtVolume>, CtKey),
    Labels(Box<LabelVolume>),
    Session(Named),
    Weights(Named),
}

impl Opening {
    pub(super) fn new(
        job: u64,
        inputs: Vec<Input>,
        as_what: OpenAs,
        even_if_large: bool,
        reference: Option<Reference>,
    ) -> Self {
        Self {
            job,
            name: name_of(&inputs),
            as_what,
            reference,
            series: None,
            even_if_large,
            parked: false,
            has_ct: false,
            stage: OpenStage::Listing(inputs.into()),
            listed: VecDeque::new(),
            reading: None,
            files: Vec::new(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.job
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The user said yes.
    pub(super) fn go_on(&mut self) {
        (self.even_if_large, self.parked) = (true, false);
    }

    /// Asks the user, once, if so much is too much.
    fn fits(&mut self, platform: &dyn Platform, bytes: u64) -> Option<Progress> {
        let large = !self.even_if_large && bytes > platform.memory_limit();
        self.parked = large;
        large.then_some(Progress::Large(bytes))
    }

    fn step(&mut self, platform: &mut dyn Platform) -> Result<Progress, OpenError> {
        let progress = self.step_stage(platform)?;
        let Progress::Read(ct) = progress else { return Ok(progress) };
        let ct: Arc<CtVolume> = Arc::from(ct);
        let rest = match &mut self.stage {
            OpenStage::Applying(rest) => std::mem::take(rest),
            _ => Sorted::default(),
        };
        self.stage = OpenStage::Identifying(Box::new(Hashing::new(ct.clone())), ct, rest);
        Ok(Progress::Going(IDENTIFYING, Some(0.0)))
    }

    fn step_stage(&mut self, platform: &mut dyn Platform) -> Result<Progress, OpenError> {
        match &mut self.stage {
            OpenStage::Listing(inputs) => {
                if let Some(input) = inputs.pop_front() {
                    self.listed.extend(platform.list(&input)?);
                    return Ok(Progress::Going("Looking for files", None));
                }
                let bytes = self.listed.iter().map(|f| f.bytes).sum();
                if let Some(large) = self.fits(platform, bytes) {
                    return Ok(large);
                }
                self.stage = OpenStage::Reading;
                Ok(Progress::Going("Reading", Some(0.0)))
            }
            OpenStage::Reading => self.read(),
            OpenStage::Unpacking(packed) => {
                let Some((name, bytes)) = packed.pop_front() else {
                    self.stage = OpenStage::Sorting;
                    return Ok(Progress::Going("Reading headers", None));
                };
                let limit = if self.even_if_large { MAX_UNPACKED } else { MAX_UNPACKED.min(platform.memory_limit()) };
                let unpacked = archive::unzip(&bytes, limit).map_err(|e| OpenError::of(&name, e))?;
                self.files.extend(unpacked);
                Ok(Progress::Going("Unpacking", None))
            }
            OpenStage::Sorting => {
                let sorted =
                    content::sort(std::mem::take(&mut self.files)).map_err(|e| OpenError::of(&self.name, e))?;
                self.stage = OpenStage::Applying(self.expected(sorted)?);
                Ok(Progress::Going("Reading headers", None))
            }
            OpenStage::Applying(sorted) => {
                let mut sorted = std::mem::take(sorted);
                let progress = self.apply(platform, &mut sorted)?;
                match &mut self.stage {
                    OpenStage::Applying(rest) | OpenStage::Series(_, rest) => *rest = sorted,
                    _ => {}
                }
                Ok(progress)
            }
            OpenStage::Identifying(hashing, ct, rest) => {
                let Some(key) = hashing.advance(PIECE) else {
                    return Ok(Progress::Going(IDENTIFYING, Some(hashing.part())));
                };
                let (ct, rest) = (ct.clone(), std::mem::take(rest));
                self.stage = OpenStage::Applying(rest);
                Ok(Progress::Found(Found::Ct(ct, key)))
            }
            OpenStage::Series(reader, sorted) => {
                if reader.step().map_err(|e| OpenError::of(&self.name, e))? {
                    return Ok(Progress::Going("Decoding", Some(reader.part())));
                }
                let next = OpenStage::Applying(std::mem::take(sorted));
                let OpenStage::Series(reader, _) = std::mem::replace(&mut self.stage, next) else {
                    return Ok(Progress::Done);
                };
                let (ct, series, _) = reader.finish().map_err(|e| OpenError::of(&self.name, e))?;
                self.series = Some(Box::new(series));
                Ok(Progress::Read(Box::new(ct)))
            }
        }
    }

    /// One file.
    fn read(&mut self) -> Result<Progress, OpenError> {
        if self.reading.is_none() {
            let Some(file) = self.listed.pop_front() else {
                let (packed, files) = std::mem::take(&mut self.files)
                    .into_iter()
                    .partition(|(_, bytes)| formats::sniff(bytes) == Some(Format::Zip));
                self.files = files;
                self.stage = OpenStage::Unpacking(VecDeque::from(packed));
                return Ok(Progress::Going("Unpacking", None));
            };
            self.reading = Some(Reading { name: file.name, promise: (file.read)() });
        }
        let Some(Reading { name, promise }) = &mut self.reading else { return Ok(Progress::Waiting) };
        let Some(bytes) = platform::ask(promise) else { return Ok(Progress::Waiting) };
        let name = std::mem::take(name);
        self.reading = None;
        self.files.push((name, bytes?));
        let part = self.files.len() as f32 / (self.files.len() + self.listed.len()) as f32;
        Ok(Progress::Going("Reading", Some(part)))
    }

    /// Only what was asked for.
    fn expected(&self, sorted: Sorted) -> Result<Sorted, OpenError> {
        match self.as_what {
            OpenAs::Weights if sorted.weights.is_empty() => Err(OpenError::of(&self.name, FileError::NoWeights)),
            OpenAs::Weights => Ok(Sorted { weights: sorted.weights, ..Sorted::default() }),
            OpenAs::Reference if sorted.images.is_empty() => Err(OpenError::of(&self.name, FileError::NoLabelMap)),
            OpenAs::Reference => Ok(Sorted { images: sorted.images, ..Sorted::default() }),
            OpenAs::Whatever => Ok(sorted),
        }
    }

    /// The next of what is there: weights first, a session last, when the CT that it is about is open.
    fn apply(&mut self, platform: &dyn Platform, sorted: &mut Sorted) -> Result<Progress, OpenError> {
        if let Some(weights) = sorted.weights.pop() {
            return Ok(Progress::Found(Found::Weights(weights)));
        }
        if let Some(group) = sorted.images.first() {
            if let Some(voxels) = header_voxels(group) {
                let bytes = group.files.iter().map(|f| f.1.len() as u64).sum::<u64>();
                if let Some(large) = self.fits(platform, bytes.saturating_add(voxels.saturating_mul(BYTES_PER_VOXEL))) {
                    return Ok(large);
                }
            }
            return self.image(platform, sorted);
        }
        Ok(sorted.sessions.pop().map_or(Progress::Done, |session| Progress::Found(Found::Session(session))))
    }

    fn image(&mut self, platform: &dyn Platform, sorted: &mut Sorted) -> Result<Progress, OpenError> {
        let Group { files, dicom, eight_bit } = sorted.images.remove(0);
        // A structure set or segmentation alone is labels; one beside its series is left to the reader of the series.
        let is = |kind: Option<Stored>| files.iter().any(|(_, bytes)| stored(bytes) == kind);
        let drawn =
            dicom && !is(Some(Stored::Image)) && (is(Some(Stored::StructureSet)) || is(Some(Stored::Segmentation)));
        if self.as_what == OpenAs::Reference || drawn {
            let labels =
                formats::read_organs_on(files, self.reference.as_ref()).map_err(|e| OpenError::of(&self.name, e))?;
            return Ok(Progress::Found(Found::Labels(Box::new(labels))));
        }
        if !dicom {
            // Unsigned bytes are always labels; of other images the values say it.
            let image = if eight_bit {
                formats::read_organs(files).map(CtOrLabels::Labels)
            } else {
                formats::read_ct_or_organs(files)
            };
            let ct = match image.map_err(|e| OpenError::of(&self.name, e))? {
                CtOrLabels::Labels(labels) => return Ok(Progress::Found(Found::Labels(Box::new(labels)))),
                CtOrLabels::Ct(ct) => ct,
            };
            if std::mem::replace(&mut self.has_ct, true) {
                return Err(OpenError::of(&self.name, FormatError::SeveralImages(2)));
            }
            return Ok(Progress::Read(Box::new(ct)));
        }
        self.has_ct = true;
        let bytes = files.iter().map(|f| f.1.len() as u64).sum::<u64>();
        let reader = SeriesReader::open(files, SeriesChoice::default()).map_err(|e| OpenError::of(&self.name, e))?;
        let voxels = reader.size().iter().fold(1u64, |count, &n| count.saturating_mul(n as u64));
        self.stage = OpenStage::Series(Box::new(reader), Sorted::default());
        // The reader holds the files: a yes goes on with it.
        let large = self.fits(platform, bytes.saturating_add(voxels.saturating_mul(BYTES_PER_VOXEL)));
        Ok(large.unwrap_or(Progress::Going("Decoding", Some(0.0))))
    }
}

/// Voxels of an image by its header; `None` for DICOM, whose reader says it, and for what its reader will refuse.
fn header_voxels(group: &Group) -> Option<u64> {
    let header = |(_, bytes): &Named| formats::read_header(bytes, &ReadOptions::default()).ok().flatten();
    if group.dicom { None } else { group.files.iter().find_map(header).map(|h| h.voxel_count()) }
}

/// What the inputs are called together.
fn name_of(inputs: &[Input]) -> String {
    let name = match inputs.first() {
        None => "nothing".into(),
        Some(Input::Path(path)) => {
            path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
        }
        // Files of a folder are named with it.
        Some(Input::Bytes { name, .. }) => match name.split_once('/') {
            Some((folder, _)) if inputs.len() > 1 => return folder.into(),
            _ => name.clone(),
        },
        #[cfg(target_family = "wasm")]
        Some(Input::Browser(file)) => file.name(),
        Some(Input::Sample) => SAMPLE_NAME.into(),
    };
    match inputs.len() {
        0 | 1 => name,
        n => format!("{name} and {} more", n - 1),
    }
}

impl Executor {
    /// What is being opened is given up, without a word of reproach.
    pub(super) fn give_up_opening(&mut self) {
        if let Some(opening) = self.opening.take() {
            self.events.push_back(Event::OpenFailed { job: opening.job, message: String::new() });
        }
    }

    pub(super) fn step_opening(&mut self) -> Step {
        let Some(opening) = &mut self.opening else { return Step::Idle };
        if opening.parked {
            return Step::Idle;
        }
        // A run starts as soon as a CT is open, and needs to know which organs the weights know.
        if self.compute.is_loading() {
            return Step::Waiting;
        }
        let job = opening.job;
        let progress = opening.step(self.platform.as_mut());
        match progress.and_then(|progress| self.opened(job, progress)) {
            Ok(step) => step,
            Err(error) => {
                self.opening = None;
                self.events.push_back(Event::OpenFailed { job, message: error.to_string() });
                Step::Worked
            }
        }
    }

    fn opened(&mut self, job: u64, progress: Progress) -> Result<Step, OpenError> {
        let event = match progress {
            // A step goes on with what it has read.
            Progress::Waiting | Progress::Read(_) => return Ok(Step::Waiting),
            Progress::Done => {
                self.opening = None;
                return Ok(Step::Worked);
            }
            Progress::Going(step, part) => Event::OpenProgress { job, step: step.into(), part },
            Progress::Large(bytes) => Event::OpenLarge { job, bytes },
            Progress::Found(found) => Event::Opened { job, what: self.found(found)? },
        };
        self.events.push_back(event);
        Ok(Step::Worked)
    }

    fn found(&mut self, found: Found) -> Result<Opened, OpenError> {
        let (name, reference) = self.opening.as_ref().map_or_else(
            || (String::new(), false),
            |opening| (opening.name.clone(), opening.as_what == OpenAs::Reference),
        );
        Ok(match found {
            Found::Weights((name, bytes)) => {
                let weights = Weights::read(name, bytes)?;
                let ready = weights.ready.clone();
                self.change_weights(weights);
                Opened::Weights(ready)
            }
            Found::Ct(ct, key) => {
                let series = self.opening.as_mut().and_then(|opening| opening.series.take());
                self.close();
                self.study = Some(OpenCt::new(name.clone(), ct.clone(), key.clone(), series));
                Opened::Ct { name, ct, key }
            }
            Found::Labels(labels) => {
                let ct = self.study.as_ref().map(|s| &s.ct.geometry);
                content::check_labels(&labels.voxels, &labels.geometry, ct).map_err(|e| OpenError::of(&name, e))?;
                let [nx, ny, _] = labels.geometry.size;
                let warnings = labels.warnings.iter().map(|w| format!("{name}: {w}")).collect();
                Opened::Labels { name, labels: ByteSlices::cut(&labels.voxels, nx * ny), reference, warnings }
            }
            Found::Session((name, bytes)) => {
                let text = String::from_utf8(bytes).map_err(|_| OpenError::of(&name, FileError::SessionDamaged))?;
                let key = self.study.as_ref().map(|study| &study.key);
                let Session { head, network, edits, edited_voxels } = session::read(&text, key)?;
                Opened::Session { head: Box::new(head), network, edits, edited_voxels }
            }
        })
    }
}
