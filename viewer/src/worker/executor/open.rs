//! Opening: from inputs to files, out of archives, to what is in them; in steps, with progress, and given up between
//! any two of them.
//!
//! The size of a study is known from its headers before its voxels are decoded. Where it exceeds what the platform has,
//! the job is parked with a question, and goes on if the answer is yes.

mod images;
mod needs;
mod reading;
mod retrieved;
mod streamed;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use attention_anatomy::formats::Reference;
use attention_anatomy::formats::dicom::{Repairs, SeriesInfo, SeriesReader, SeriesSurvey};
use attention_anatomy::formats::structures::Structures;
use attention_anatomy::volume::{CtVolume, LabelVolume, Modality, empty_slices};
use attention_anatomy_assets::SAMPLE_NAME;
use web_time::Instant;

pub(super) use retrieved::LeftOver;
use retrieved::Retrieving;
use streamed::Frames;

use super::arrived::Arrived;
use super::coming::ComingFiles;
use super::compute::Weights;
use super::content::{self, Named, Sorted};
use super::open_ct::OpenCt;
use super::{Executor, Step};
use crate::edit::{ByteSlices, Extra};
use crate::session::{self, CtKey, Hashing, Session};
use crate::worker::error::{FileError, OpenError, PlatformError};
use crate::worker::platform::{File, Platform};
use crate::worker::{AboutScan, Event, Input, OpenAnswer, OpenAs, OpenPicture, OpenQuestion, Opened};

/// Bytes that a voxel needs until it is on screen: read, brought to canonical order, labels on both sides, certainty.
const BYTES_PER_VOXEL: u64 = 7;
/// Of these, those that it has when it is read.
const BYTES_READ: u64 = 2;

/// What more of a step must be done to be told again.
const WORTH_TELLING: f32 = 0.005;

/// How long a step identifies a CT.
const PIECE: Duration = Duration::from_millis(50);
/// How long a step lists inputs.
const AT_ONCE: Duration = Duration::from_millis(10);
const IDENTIFYING: &str = "Looking for earlier edits";

/// Where the job is.
enum OpenStage {
    Listing(VecDeque<Input>),
    /// Large files, of which no more lies in memory than their voxels.
    Streaming(VecDeque<File>),
    /// One with many frames, before others.
    Frames(Box<Frames>, VecDeque<File>),
    /// A series of an archive.
    Retrieving(Box<Retrieving>),
    Reading,
    Unpacking(VecDeque<Named>),
    Sorting,
    Applying(Sorted),
    /// There are several series: the user chooses one.
    Choosing(Box<SeriesSurvey>, Sorted),
    /// The series of this place can only be read if it is mended: the user is asked.
    Repairing(Box<SeriesSurvey>, usize, Sorted),
    Series(Box<SeriesReader>, Sorted),
    /// A CT is read; what tells it from others is being found, for edits that were kept.
    Identifying(Box<Hashing>, Arc<CtVolume>, Sorted),
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
    /// What of a series the user wants to have mended.
    repairs: Repairs,
    /// The user knows how large it is.
    even_if_large: bool,
    /// Waits for the user's answer.
    parked: bool,
    /// A CT was among the files: another one is too much.
    has_ct: bool,
    stage: OpenStage,
    coming: ComingFiles,
    arrived: Arrived,
    /// What the user said to the last question.
    answer: Option<OpenAnswer>,
    /// A label map whose names the user is asked about.
    unnamed: Option<Box<LabelVolume>>,
    /// The step, and how much of it was done, when it was last told.
    told: (&'static str, Option<f32>),
    /// Whether some of them come from an archive.
    unpacked: bool,
    /// What had come of a series of an archive before, or when it was given up.
    left_over: Option<LeftOver>,
}

/// What a piece of work came to.
enum Progress {
    /// More to do; what is done now, and how much of it.
    Going(&'static str, Option<f32>),
    /// A series comes: what of it, and a slice.
    Coming(String, f32, Option<OpenPicture>),
    /// Something that the user should know.
    Note(String),
    /// Nothing came yet.
    Waiting,
    /// This many bytes will be needed.
    Large(u64),
    /// The user has to say something first.
    Asks(OpenQuestion),
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
    /// Organs, and structures that are none; what somebody edited, where the file says so.
    Labels {
        structures: Box<Structures>,
        edits: Option<String>,
    },
    /// A label map that nothing names.
    Unnamed(Box<LabelVolume>),
    /// Structures that came with a CT and cannot be shown, and why.
    LeftOut(OpenError),
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
            repairs: Repairs::default(),
            even_if_large,
            parked: false,
            has_ct: false,
            stage: OpenStage::Listing(inputs.into()),
            coming: ComingFiles::default(),
            arrived: Arrived::default(),
            answer: None,
            unnamed: None,
            told: ("", None),
            unpacked: false,
            left_over: None,
        }
    }

    /// Begins with what had come before, if it is of the same series.
    pub(super) fn with(self, left_over: Option<LeftOver>) -> Self {
        Self { left_over, ..self }
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

    /// The user said something.
    pub(super) fn answered(&mut self, answer: OpenAnswer) {
        (self.answer, self.parked) = (Some(answer), false);
    }

    /// Waits until the user has said something.
    fn asks(&mut self, question: OpenQuestion) -> Progress {
        self.parked = true;
        Progress::Asks(question)
    }

    fn step(&mut self, platform: &mut dyn Platform) -> Result<Progress, OpenError> {
        let progress = self.step_stage(platform)?;
        let Progress::Read(mut ct) = progress else { return Ok(progress) };
        // Said when it is opened, before anybody outlines anything; other modalities have other values.
        if !matches!(ct.modality, Modality::Other(_)) {
            ct.warnings.extend(empty_slices(&ct));
        }
        let ct: Arc<CtVolume> = Arc::from(ct);
        let rest = match &mut self.stage {
            OpenStage::Applying(rest) => std::mem::take(rest),
            _ => Sorted::default(),
        };
        self.stage = OpenStage::Identifying(Box::new(Hashing::new(ct.clone())), ct, rest);
        Ok(Progress::Going(IDENTIFYING, Some(0.0)))
    }

    fn step_stage(&mut self, platform: &mut dyn Platform) -> Result<Progress, OpenError> {
        if let Some(found) = self.answer_about_names()? {
            return Ok(Progress::Found(found));
        }
        match &mut self.stage {
            OpenStage::Listing(inputs) => {
                if let Some(Input::Archive(series)) = inputs.pop_front_if(|input| matches!(input, Input::Archive(_))) {
                    return self.retrieve(platform, *series);
                }
                if !inputs.is_empty() {
                    let clock = Instant::now();
                    // A dropped folder is thousands of them.
                    while let Some(input) = inputs.pop_front_if(|input| !matches!(input, Input::Archive(_))) {
                        self.coming.add(platform.list(&input)?);
                        if clock.elapsed() > AT_ONCE {
                            break;
                        }
                    }
                    return Ok(Progress::Going("Looking for files", None));
                }
                let bytes = self.coming.bytes();
                let most = platform.most_bytes();
                if bytes > most {
                    return Err(PlatformError::TooMuch { bytes, most }.into());
                }
                self.can_fit(platform)?;
                if let Some(large) = self.fits(platform, bytes)? {
                    return Ok(large);
                }
                self.arrived.slices.expect(self.coming.count(), bytes);
                let large = match self.as_what {
                    OpenAs::Whatever => self.coming.take_large(platform.large()),
                    OpenAs::Weights | OpenAs::Reference => VecDeque::new(),
                };
                self.stage = OpenStage::Streaming(large);
                Ok(Progress::Going("Reading", Some(0.0)))
            }
            OpenStage::Streaming(_) | OpenStage::Frames(..) => self.stream_on(platform),
            OpenStage::Retrieving(_) => self.retrieve_on(platform),
            OpenStage::Reading => self.read(),
            OpenStage::Unpacking(_) => self.unpack(platform),
            OpenStage::Sorting => {
                let sorted = content::sort(std::mem::take(&mut self.arrived), self.unpacked)
                    .map_err(|e| OpenError::of(&self.name, e))?;
                self.stage = OpenStage::Applying(self.expected(sorted)?);
                Ok(Progress::Going("Reading headers", None))
            }
            OpenStage::Applying(sorted) => {
                let mut sorted = std::mem::take(sorted);
                let progress = self.apply(platform, &mut sorted)?;
                // A series has taken the rest along.
                if let OpenStage::Applying(rest) = &mut self.stage {
                    *rest = sorted;
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
            OpenStage::Choosing(..) | OpenStage::Repairing(..) => self.go_on_with_series(platform),
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

    /// Whether so much of a step is worth being told.
    fn is_news(&mut self, step: &'static str, part: Option<f32>) -> bool {
        let news = self.told.0 != step || part.unwrap_or(0.0) - self.told.1.unwrap_or(0.0) >= WORTH_TELLING;
        if news {
            self.told = (step, part);
        }
        news
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
            if let Some(voxels) = images::header_voxels(group) {
                let bytes = group.files.iter().map(|f| f.1.len() as u64).sum::<u64>();
                let needed = bytes.saturating_add(voxels.saturating_mul(BYTES_PER_VOXEL));
                if let Some(large) = self.fits(platform, needed)? {
                    return Ok(large);
                }
            }
            return self.image(platform, sorted);
        }
        Ok(sorted.sessions.pop().map_or(Progress::Done, |session| Progress::Found(Found::Session(session))))
    }
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
        Some(Input::Archive(series)) => series.access.name.clone(),
    };
    // Which of several files comes first is chance, and says nothing.
    match inputs.len() {
        0 | 1 => name,
        n => format!("{n} files"),
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
                self.left_over = self.opening.take().and_then(|opening| opening.left_over);
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
            Progress::Going(step, part) => {
                if !self.opening.as_mut().is_some_and(|opening| opening.is_news(step, part)) {
                    return Ok(Step::Worked);
                }
                Event::OpenProgress { job, step: step.into(), part }
            }
            Progress::Coming(step, part, picture) => {
                let news = picture.map(|picture| Event::OpenPicture { job, picture });
                self.events.extend(news);
                Event::OpenProgress { job, step, part: Some(part) }
            }
            Progress::Note(note) => Event::Warning(note),
            Progress::Large(bytes) => Event::OpenLarge { job, bytes },
            Progress::Asks(question) => Event::OpenAsks { job, question },
            Progress::Found(Found::Unnamed(labels)) => {
                let question = self.ask_about_names(&labels)?;
                if let Some(opening) = &mut self.opening {
                    opening.unnamed = Some(labels);
                    opening.parked = true;
                }
                Event::OpenAsks { job, question }
            }
            Progress::Found(Found::LeftOut(error)) => Event::Failed(format!("{error}; the scan is shown without it")),
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
                let about = series.as_deref().map(AboutScan::of).map(Box::new);
                self.close();
                let study = OpenCt::new(name.clone(), ct.clone(), key.clone(), series);
                let mut labels_follow = false;
                if let Some(opening) = &mut self.opening {
                    opening.reference = Some(study.reference());
                    labels_follow = opening.labels_follow();
                }
                self.study = Some(study);
                Opened::Ct { name, ct, key, about, labels_follow }
            }
            Found::Labels { structures, edits } => {
                let Structures { labels, organs, others, warnings, .. } = *structures;
                let ct = self.study.as_ref().map(|s| &s.ct.geometry);
                content::check_labels(&labels.voxels, &labels.geometry, ct).map_err(|e| OpenError::of(&name, e))?;
                let size = labels.geometry.size;
                let mut warnings: Vec<String> = warnings.iter().map(|w| format!("{name}: {w}")).collect();
                let mut labels = ByteSlices::cut(&labels.voxels, size[0] * size[1]);
                let edits = edits.filter(|_| !reference).and_then(|text| {
                    let beneath = session::unpack_slices(&text, size);
                    if beneath.is_none() {
                        warnings.push(format!("{name}: what was edited by hand cannot be told any more"));
                    }
                    let (network, edits) = content::parted(&labels, &beneath?);
                    labels = network;
                    Some(edits)
                });
                // Structures without an organ leave the organs on screen as they are.
                let keep = others.is_empty() || !organs.is_empty();
                let extras = others.iter().enumerate().map(|(n, other)| Extra::read(n as u64 + 1, other)).collect();
                Opened::Labels { name, labels: keep.then_some(labels), edits, extras, reference, warnings }
            }
            Found::Unnamed(_) | Found::LeftOut(_) => return Err(OpenError::of(&name, FileError::NoLabelMap)),
            Found::Session((name, bytes)) => {
                let text = String::from_utf8(bytes).map_err(|_| OpenError::of(&name, FileError::SessionDamaged))?;
                let key = self.study.as_ref().map(|study| &study.key);
                let Session { head, network, edits, edited_voxels, extras } = session::read(&text, key)?;
                Opened::Session { head: Box::new(head), network, edits, edited_voxels, extras }
            }
        })
    }
}
