//! `attention-anatomy segment`: CT in, masks, tables and report out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::formats::{self, nifti};
use attention_anatomy::infer::{BurnEngine, ComputeDevice, Engine, RunInfo, removal_warning};
use attention_anatomy::report::{self, Segmentation, Statistics, TrainedOrgan};
use attention_anatomy::volume::{CtVolume, NotCt, require_ct};

use crate::device::DeviceChoice;
use crate::model::{self, Model};
use crate::output::{Output, Overwrite};
use crate::{files, interrupt, pipeline, progress, results};

/// Outlines the organs on one or several CTs and writes masks, tables and a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NIfTI or NRRD files, zip archives, or folders with a DICOM series.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Output folder; with several inputs each gets a folder of its own in it.
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// What is written of every CT, beside the record and the masks of organs.
const FILES: [&str; 5] = ["attention.csv", "attention.json", "labels.nii.gz", "report.html", "statistics.csv"];

/// What changes the result.
#[derive(Clone, Debug, Default, clap::Args)]
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
    /// Device.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// Weights file; the bundled weights where not given.
    #[arg(long)]
    pub weights: Option<PathBuf>,
    /// Keep all pieces of an organ, not only the largest and large ones close to it, and organs below 0.1 ml.
    #[arg(long)]
    pub no_cleanup: bool,
    /// Take the values as HU although they do not look like it.
    #[arg(long)]
    pub assume_hu: bool,
}

/// Everything that is the same for all inputs of a call.
pub struct Session {
    options: Options,
    model: Model,
    device: ComputeDevice,
    engine: BurnEngine,
    drawn: OrganSet,
    cancel: Arc<AtomicBool>,
}

impl Session {
    /// Opens weights and device. Ctrl-C cancels the run under way.
    pub fn open(options: Options) -> Result<Self> {
        let model = model::open(options.weights.as_deref())?;
        let drawn = choose_organs(&model, &options)?;
        let device = options.device.open()?;
        for note in &device.notes {
            progress::note(&format!("note: {note}"));
        }
        let engine = pipeline::engine(&model, &device, drawn).with_context(|| model.name.clone())?;
        Ok(Self { options, model, device, engine, drawn, cancel: interrupt::flag()? })
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Segments one CT and writes everything into `output`.
    pub fn segment(&mut self, mut ct: CtVolume, name: &str, mut output: Output, read_seconds: f64) -> Result<Summary> {
        require_ct(&mut ct, self.options.assume_hu).map_err(|odd| match odd {
            NotCt::Values(_) => anyhow!("{odd}; or, if you know that they are HU, insist with --assume-hu"),
            NotCt::Modality(_) | NotCt::TooFew(_) => odd.into(),
        })?;
        for warning in &ct.warnings {
            progress::warn(&format!("{name}: {warning}"));
        }
        let started = SystemTime::now();
        let clock = Instant::now();
        let ct = Arc::new(ct);
        let bar = progress::bar(ct.geometry.size[2] as u64, "segment");
        let outcome = pipeline::segment(
            &ct,
            &self.model.info,
            &mut self.engine,
            !self.options.no_cleanup,
            &self.cancel,
            |done, _| bar.set_position(done as u64),
        );
        bar.finish_and_clear();
        let outcome = outcome?;
        let mut seconds = vec![("read".to_string(), read_seconds)];
        seconds.extend(outcome.seconds.clone());
        let mut warnings = ct.warnings.clone();
        warnings.extend(removal_warning(outcome.removed, ct.geometry.voxel_ml()));
        let run = RunInfo {
            program_version: env!("CARGO_PKG_VERSION").into(),
            weights_name: self.model.name.clone(),
            weights_sha256: self.model.sha256.clone(),
            architecture: self.model.info.architecture(),
            device: self.engine.name(),
            inputs: vec![name.to_string()],
            started: humantime::format_rfc3339_seconds(started).to_string(),
            seconds,
            warnings,
            options: self.named_options(),
        };
        let trained: Vec<TrainedOrgan> = self
            .model
            .info
            .trained_organs
            .iter()
            .map(|t| TrainedOrgan { enabled: self.drawn.contains(t.organ), ..t.clone() })
            .collect();
        let segmentation =
            Segmentation { ct: &ct, labels: &outcome.labels, slices: &outcome.slices, trained: &trained, run: &run };
        let statistics = Statistics::measure(&segmentation)?;
        let note = "AttentionAnatomy labels, not a medical device";
        for warning in segmentation.warnings().iter().filter(|warning| !ct.warnings.contains(warning)) {
            progress::warn(&format!("{name}: {warning}"));
        }
        let mut write = |file: &str, bytes: &[u8]| output.stage(file, bytes);
        write("labels.nii.gz", &nifti::write_labels(&outcome.labels, note)?)?;
        if self.options.organ_files {
            for organ in self.drawn.iter().filter(|o| outcome.labels.voxels.contains(&o.label())) {
                let mask: Vec<u8> = outcome.labels.voxels.iter().map(|&l| u8::from(l == organ.label())).collect();
                let mask = nifti::write_labels(&outcome.labels.with_voxels(mask), organ.name())?;
                write(&format!("organs/{}.nii.gz", organ.id()), &mask)?;
            }
        }
        write("attention.csv", report::attention_csv(&segmentation).as_bytes())?;
        write("attention.json", report::attention_json(&segmentation).as_bytes())?;
        write("statistics.csv", report::statistics_csv(&segmentation, &statistics).as_bytes())?;
        write("report.html", report::report_html(&segmentation, &statistics)?.as_bytes())?;
        let record = serde_json::from_str(&report::run_manifest_json(&segmentation, &statistics))?;
        // Results of an earlier run go now, masks of organs that this one has not found among them.
        output.finish(record, |_| true)?;
        self.device.burn.memory_cleanup();
        Ok(Summary {
            found: statistics.found().count(),
            known: self.drawn.len(),
            seconds: clock.elapsed().as_secs_f64(),
        })
    }

    /// Takes a folder for results.
    pub fn claim(options: &Options, output: &Path, read: &[&Path], overwrite: Overwrite) -> Result<Output> {
        let organs =
            Organ::ALL.into_iter().filter(|_| options.organ_files).map(|o| format!("organs/{}.nii.gz", o.id()));
        results::claim("segment", output, FILES.map(String::from).into_iter().chain(organs), read, overwrite)
    }

    fn named_options(&self) -> Vec<(String, String)> {
        let mut options =
            vec![("clean-up".to_string(), if self.options.no_cleanup { "off" } else { "on" }.to_string())];
        if self.options.all_organs {
            options.push(("all organs".into(), "on".into()));
        }
        if self.options.assume_hu {
            options.push(("assume HU".into(), "on".into()));
        }
        if !self.options.organs.is_empty() {
            options.push(("organs".into(), self.options.organs.join(", ")));
        }
        options
    }
}

/// What is said of a finished input.
#[derive(Debug)]
pub struct Summary {
    found: usize,
    known: usize,
    seconds: f64,
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
pub fn run(args: Args) -> Result<ExitCode> {
    let outputs = output_folders(&args.inputs, &args.output);
    let claim = |input: &PathBuf, output: &Path| {
        let read: Vec<&Path> =
            [Some(input), args.options.weights.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
        Session::claim(&args.options, output, &read, args.overwrite)
    };
    // All of them before the first slice.
    for (input, output) in args.inputs.iter().zip(&outputs) {
        claim(input, output)?;
    }
    let mut session = Session::open(args.options.clone())?;
    progress::note(&format!("{} on {}", session.model.name, session.device.name));
    let mut failed = 0;
    for (input, output) in args.inputs.iter().zip(&outputs) {
        let result = open_ct(input).and_then(|(ct, seconds)| {
            let output = claim(input, output)?;
            session.segment(ct, &files::file_name(input), output, seconds).with_context(|| input.display().to_string())
        });
        match result {
            Ok(summary) => progress::say(&summary.line(&input.display().to_string(), output)),
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

/// Reads a CT; the seconds that it took.
pub fn open_ct(input: &Path) -> Result<(CtVolume, f64)> {
    let clock = Instant::now();
    let ct = formats::read_ct(files::collect(input)?).with_context(|| input.display().to_string())?;
    Ok((ct, clock.elapsed().as_secs_f64()))
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
            let stem = [".nii.gz", ".nii", ".nrrd", ".nhdr", ".zip", ".hdr", ".img"]
                .iter()
                .find_map(|e| name.strip_suffix(e))
                .unwrap_or(&name)
                .to_string();
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

fn choose_organs(model: &Model, options: &Options) -> Result<OrganSet> {
    let known = model.info.organs(true);
    if options.organs.is_empty() {
        let drawn = model.info.organs(options.all_organs);
        if drawn.is_empty() {
            bail!("{}: no organ of these weights is on by default; use --all-organs or --organs", model.name);
        }
        return Ok(drawn);
    }
    options
        .organs
        .iter()
        .map(|name| {
            let organ = Organ::from_id(name)
                .or_else(|| Organ::from_name(name))
                .ok_or_else(|| anyhow!("`{name}` is not one of the 33 organs; `info --organs` lists them"))?;
            if !known.contains(organ) {
                bail!("{}: these weights have never learned the organ `{}`", model.name, organ.id());
            }
            Ok(organ)
        })
        .collect()
}
