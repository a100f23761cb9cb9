//! `attention-anatomy prepare`: what a training needs of its data, in one file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use attention_anatomy::dataset::prepared::prepare;
use attention_anatomy::dataset::{ArchivedSet, CaseArchiveWriter, LoadedSet, Scans, Storage};

use crate::data::{self, FolderSource};
use crate::output::{Overwrite, SingleFile};
use crate::{interrupt, progress};

/// Brings the cases of a training to its model grid and packs them into one file, which `train` takes as its `--data`: to train on
/// another machine, or to begin sooner.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file (see configs/).
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// The file to write; a name ending in .zip suits it.
    #[arg(short, long)]
    output: PathBuf,
    /// Keep HU as they are, uncompressed: a large file that `train` maps into memory instead of reading it, for more data than memory
    /// holds.
    #[arg(long)]
    mapped: bool,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let read = data::inputs(&args.config, &config, &args.data);
    let output = SingleFile::claim(&args.output, read, args.overwrite)?;
    let source = FolderSource::new(&args.data)?;
    let sets = LoadedSet::all(&config.data, &source)?;
    let (mut jobs, mut set_of) = (Vec::new(), Vec::new());
    for (n, set) in sets.iter().enumerate() {
        jobs.extend(set.set.cases.iter().filter(|entry| entry.split == "train").map(|entry| (set, entry)));
        set_of.resize(jobs.len(), n);
    }
    let mut scans = Scans::default();
    scans.tell_apart(&sets)?;
    scans.read(&sets, |entry| entry.split == "test", &source, &mut |_, _| {})?;
    let mut archived: Vec<ArchivedSet> = sets
        .iter()
        .map(|set| ArchivedSet { config: set.config.clone(), set: set.set.clone(), cases: Vec::new() })
        .collect();
    let (stop, cannot) = (interrupt::flag()?, || args.output.display().to_string());
    let mut file = output.create()?;
    let storage = if args.mapped { Storage::Mapped } else { Storage::Packed };
    let mut writer = CaseArchiveWriter::new(file.as_file_mut(), config.input(), storage);
    let bar = progress::bar(jobs.len() as u64, "prepare");
    let mut show = |done: usize, _| bar.set_position(done as u64);
    prepare(&jobs, &config.input(), &source, &mut show, |n, mut case| {
        let (set, id) = (set_of[n], jobs[n].1.id.clone());
        if stop.load(Ordering::Relaxed) {
            bail!("{}: stopped; nothing was written", args.output.display());
        }
        writer.add(set, &id, &case).with_context(cannot)?;
        scans.remember(&sets[set], &id, case.scan);
        (case.hu, case.labels) = Default::default();
        archived[set].cases.push((id, case));
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    scans.tell_apart(&sets)?;
    let size = writer.finish(archived).with_context(cannot)?.metadata().with_context(cannot)?.len();
    output.keep(file)?;
    progress::note(&format!("{} cases, {:.1} MiB", jobs.len(), size as f64 / 1024.0 / 1024.0));
    progress::print_line(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}
