//! `attention-anatomy segment`: CT in, masks, tables and report out. A list of scans is the matter of [`list`].

mod cost;
mod from;
mod list;
mod stages;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use attention_anatomy::cohort::{self, InputKey};
use attention_anatomy::formats;
use attention_anatomy::formats::dicom::{SeriesInfo, SeriesRequest};
use attention_anatomy::infer::{ComputeDevice, Engine, RunOptions, SegmentationRequest, SegmentationSession};
use attention_anatomy::report::ResultFile;
use attention_anatomy::train::Part;
use attention_anatomy::volume::CtVolume;

use super::convert::{Contours, Deidentify};
use crate::device::{DeviceOptions, EngineChoice};
use crate::output::{Output, Overwrite};
use crate::series::RepairOptions;
use crate::{files, interrupt, progress, results, series};
use stages::{Common, Computed, Prepared};

/// Outlines the organs on one or several CTs and writes masks, tables and a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NIfTI or NRRD files, zip archives, or folders with a DICOM series.
    #[arg(required_unless_present_any = ["list", "from"])]
    inputs: Vec<PathBuf>,
    /// Instead: the scans of this file (a path a line, `name TAB path`, or the manifest of a data set), each into a folder of its own.
    /// Given again, it does what is missing or has changed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inputs", "reference"])]
    list: Option<PathBuf>,
    /// Of the list only part K of N.
    #[arg(long, value_name = "K/N", requires = "list", default_value_t = Part::WHOLE)]
    part: Part,
    /// Only say what the list will take: slices, seconds and memory.
    #[arg(long, requires = "list")]
    cost: bool,
    /// Output folder; with several inputs each gets a folder of its own in it.
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    archive: from::Origin,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// What changes the result.
#[derive(Clone, Debug, Default, clap::Args, serde::Serialize)]
pub struct Options {
    /// Only these organs: ids or names, separated by commas (see `info --organs`).
    #[arg(long, value_delimiter = ',')]
    pub organs: Vec<String>,
    /// Also draw organs that are off by default because their validation Dice is low or was never measured.
    #[arg(long)]
    pub all_organs: bool,
    /// Also write one mask file for each organ.
    #[arg(long)]
    pub organ_files: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub on: DeviceOptions,
    /// What computes there.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip)]
    pub engine: EngineChoice,
    /// Weights file; the bundled weights where not given.
    #[arg(long)]
    #[serde(skip)]
    pub weights: Option<PathBuf>,
    /// Keep all pieces of an organ, not only the largest and large ones close to it, and what no organ is by its side, size or place.
    #[arg(long)]
    pub no_cleanup: bool,
    /// Take the values as HU although they do not look like it.
    #[arg(long)]
    pub assume_hu: bool,
    /// The DICOM series to read, by its number in the list of `info` or by its UID; what suits best where not given.
    #[arg(long, value_name = "NUMBER|UID")]
    pub series: Option<String>,
    #[command(flatten)]
    pub repairs: RepairOptions,
    /// DICOM files besides the label map, separated by commas. Where not given: an RTSTRUCT of a DICOM series, nothing of other
    /// files.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub format: Vec<DicomFormat>,
    /// The DICOM series that a NIfTI or NRRD file was made from, to whose slices RTSTRUCT and SEG then refer.
    #[arg(long)]
    pub reference: Option<PathBuf>,
    #[command(flatten)]
    pub contours: Contours,
    #[command(flatten)]
    pub deidentify: Deidentify,
    /// Also write the outline of the body into RTSTRUCT and SEG, as BODY of type EXTERNAL.
    #[arg(long)]
    pub body: bool,
}

impl Options {
    /// The series to read, and what may be mended of it.
    pub fn asked(&self) -> SeriesRequest {
        self.repairs.request(self.series.as_deref())
    }
}

/// DICOM files of a segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
pub enum DicomFormat {
    /// An RT Structure Set, `structures.dcm`.
    Rtstruct,
    /// A DICOM Segmentation, `segmentation.dcm`.
    Seg,
    /// No DICOM file.
    None,
}

impl DicomFormat {
    /// The files to write of a CT that is a DICOM series, or not.
    fn files(chosen: &[Self], is_series: bool) -> Vec<ResultFile> {
        if chosen.is_empty() {
            return if is_series { vec![ResultFile::StructureSet] } else { Vec::new() };
        }
        let wanted = |format| chosen.contains(&format);
        let structures = wanted(Self::Rtstruct).then_some(ResultFile::StructureSet);
        structures.into_iter().chain(wanted(Self::Seg).then_some(ResultFile::DicomSegmentation)).collect()
    }
}

/// Weights and device of a call. Threads that do not compute have [`Common`] of it.
pub struct Session {
    common: Arc<Common>,
    device: ComputeDevice,
    engine: Box<dyn Engine>,
    cancel: Arc<AtomicBool>,
}

impl Session {
    /// Opens weights and device. Ctrl-C cancels the run under way.
    ///
    /// # Errors
    /// Weights, organs or a device that cannot be used.
    pub fn open(options: Options) -> Result<Self> {
        Self::of(Arc::new(Common::open(options)?))
    }

    /// Opens the device for weights that are open.
    ///
    /// # Errors
    /// A device that cannot be used.
    fn of(common: Arc<Common>) -> Result<Self> {
        let Common { options, model, enabled } = &*common;
        let device = match options.engine {
            EngineChoice::Own => options.on.open()?,
            EngineChoice::Burn => options.on.device.open_with_tensors()?,
        };
        for note in &device.notes {
            progress::note(&format!("note: {note}"));
        }
        let engine = match options.engine {
            EngineChoice::Own => model.engine(&device, *enabled),
            EngineChoice::Burn => model.reference_engine(&device, *enabled),
        };
        let engine = engine.with_context(|| model.name.clone())?;
        Ok(Self { common, device, engine, cancel: interrupt::flag()? })
    }

    /// Opens weights, and the device while another thread brings the first scan to the model grid.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_with_first(options: Options, input: &Path) -> Result<(Self, Result<Prepared>)> {
        let common = Arc::new(Common::open(options)?);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| common.read(input));
            let session = Self::of(common.clone());
            let first = first.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken));
            Ok((session?, first))
        })
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Segments one CT, which may be a DICOM series, and writes everything into `output`.
    ///
    /// # Errors
    /// What is no CT in HU, a device that stops, a file that cannot be written, or Ctrl-C.
    pub fn segment(&mut self, read: ReadCt, name: &str, output: Output) -> Result<Summary> {
        let prepared = self.common.prepare(read, name)?;
        self.segment_prepared(prepared, output)
    }

    fn segment_prepared(&mut self, prepared: Prepared, output: Output) -> Result<Summary> {
        let computed = self.compute(prepared)?;
        self.common.write(computed, output)
    }

    /// The network's part of it.
    ///
    /// # Errors
    /// A device that stops, or Ctrl-C.
    fn compute(&mut self, prepared: Prepared) -> Result<Computed> {
        let Prepared { slices, mut scan, stages } = prepared;
        let clock = Instant::now();
        let Common { options, model, enabled, .. } = &*self.common;
        let request = SegmentationRequest {
            inputs: vec![scan.name.clone()],
            cleanup: !options.no_cleanup,
            assume_hu: options.assume_hu,
            run: RunOptions { cancel: self.cancel.clone(), doubt: true, ..RunOptions::default() },
            seconds: stages,
            ..SegmentationRequest::new(model.used(), &self.device, *enabled)
        };
        let bar = progress::bar(slices.ct().geometry.size[2] as u64, "segment");
        let mut session = SegmentationSession::new(slices, request);
        let computed = session.compute(self.engine.as_mut(), |done, _| bar.set_position(done as u64));
        bar.finish_and_clear();
        computed?;
        self.device.burn.memory_cleanup();
        scan.seconds += clock.elapsed().as_secs_f64();
        Ok(Computed { session, scan })
    }

    /// Takes a folder for results.
    ///
    /// # Errors
    /// As [`results::claim`].
    pub fn claim(options: &Options, output: &Path, read: &[&Path], overwrite: Overwrite) -> Result<Output> {
        let dicom = [ResultFile::StructureSet, ResultFile::DicomSegmentation].map(ResultFile::name);
        let names = ResultFile::names(options.organ_files).into_iter().chain(dicom);
        results::claim("segment", output, names, read, overwrite)
    }
}

/// What is said of a finished input.
#[derive(Debug)]
pub struct Summary {
    found: usize,
    known: usize,
    seconds: f64,
    network_seconds: f64,
}

impl Summary {
    /// One line.
    pub fn line(&self, name: &str, output: &Path) -> String {
        format!(
            "{name}: {} of {} organs found in {:.1} s -> {}",
            self.found,
            self.known,
            self.seconds,
            output.display()
        )
    }
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(list) = &args.list {
        return list::run(&args, list);
    }
    if let Some(root) = &args.archive.from {
        return from::run(&args, root);
    }
    let outputs = output_folders(&args.inputs, &args.output);
    let claim = |input: &PathBuf, output: &Path| {
        let read: Vec<&Path> = [Some(input), args.options.weights.as_ref(), args.options.reference.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        Session::claim(&args.options, output, &read, args.overwrite)
    };
    // All of them before the first slice.
    for (input, output) in args.inputs.iter().zip(&outputs) {
        claim(input, output)?;
    }
    let Some(first) = args.inputs.first() else { return Ok(ExitCode::SUCCESS) };
    let (mut session, first) = Session::open_with_first(args.options.clone(), first)?;
    progress::note(&format!("{} on {}", session.common.model.name, session.device.in_words()));
    let (mut failed, mut first) = (0, Some(first));
    for (input, output) in args.inputs.iter().zip(&outputs) {
        let prepared = first.take().unwrap_or_else(|| session.common.read(input));
        let result = prepared.and_then(|prepared| {
            let output = claim(input, output)?;
            session.segment_prepared(prepared, output).with_context(|| input.display().to_string())
        });
        match result {
            Ok(summary) => progress::print_line(&summary.line(&input.display().to_string(), output)),
            Err(error) if session.cancelled() => return Err(error),
            Err(error) => {
                failed += 1;
                progress::error(&format!("{error:#}"));
            }
        }
    }
    if failed > 0 {
        if args.inputs.len() > 1 {
            progress::error(&format!("{failed} of {} inputs failed", args.inputs.len()));
        }
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the status files of a list lie, below the output folder.
pub const STATUS: &str = "status";

/// Where a record says what its result was made from.
const REQUEST: &str = "request";

/// Where a record says of each organ in which share of its voxels the network only just chose it.
pub const DOUBTFUL: &str = "doubtful_share";

/// A CT that was read.
pub struct ReadCt {
    /// The CT.
    pub ct: CtVolume,
    /// The DICOM series that it is, if it is one.
    pub series: Option<SeriesInfo>,
    /// What tells its files from others.
    pub key: InputKey,
    /// Seconds that reading took.
    pub seconds: f64,
}

impl ReadCt {
    /// Reads a CT, of several series the one that is asked for.
    ///
    /// # Errors
    /// A scan that cannot be read.
    pub fn open(input: &Path, asked: &SeriesRequest) -> Result<Self> {
        let listed = files::list(input)?;
        let key = listed.key()?;
        Self::of_listed(listed, key, input, asked)
    }

    /// As [`open`](Self::open), of the files that `input` stands for and what tells them from others.
    ///
    /// # Errors
    /// A scan that cannot be read.
    pub fn of_listed(listed: files::Listed, key: InputKey, input: &Path, asked: &SeriesRequest) -> Result<Self> {
        let clock = Instant::now();
        let read = match listed.is_one() {
            true => Self::of_files(listed.read()?, key, asked),
            false => {
                let (files, contents) = listed.read_and_hash()?;
                let read = formats::read_ct_and_series(files, asked);
                let of = |(ct, series)| Self { ct, series, key: key.with(contents), seconds: 0.0 };
                read.map(of).map_err(|error| series::hint(error, asked))
            }
        };
        let read = read.with_context(|| input.display().to_string())?;
        Ok(Self { seconds: clock.elapsed().as_secs_f64(), ..read })
    }

    /// As [`open`](Self::open), of files that are read; `key` tells them from others.
    ///
    /// # Errors
    /// A scan that cannot be read.
    pub fn of_files(files: files::NamedFiles, key: InputKey, asked: &SeriesRequest) -> Result<Self> {
        let clock = Instant::now();
        let hash = |files: &[(String, Vec<u8>)]| {
            key.with_contents(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
        };
        let read = formats::read_ct_beside(files, asked, hash);
        let (ct, series, key) = read.map_err(|error| series::hint(error, asked))?;
        Ok(Self { ct, series, key, seconds: clock.elapsed().as_secs_f64() })
    }
}

/// One folder for each input: the output folder itself for one, folders named after the inputs for several.
fn output_folders(inputs: &[PathBuf], output: &Path) -> Vec<PathBuf> {
    if inputs.len() == 1 {
        return vec![output.to_path_buf()];
    }
    let mut used = std::collections::BTreeSet::new();
    inputs
        .iter()
        .map(|input| {
            let name = files::file_name(&input.canonicalize().unwrap_or_else(|_| input.clone()));
            let stem = cohort::stem(&name).to_string();
            let mut folder = stem.clone();
            let mut n = 2;
            while !used.insert(folder.clone()) {
                folder = format!("{stem}-{n}");
                n += 1;
            }
            output.join(folder)
        })
        .collect()
}
