//! `attention-anatomy prepare`: what a training needs of its data, in one small file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::dataset::{Compact, CompactSet};

use super::data::{self, Prepared};
use crate::{files, progress};

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
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let sets = data::manifests(&config, &args.data)?;
    let mut prepared = Prepared::default();
    prepared.divide(&config, &sets)?;
    let compact = |set: &data::LoadedSet| CompactSet {
        config: set.config.clone(),
        set: set.set.clone(),
        cases: prepared.of_set(set),
    };
    let compact = Compact::new(config.input(), sets.iter().map(compact).collect());
    let bytes = compact.write()?;
    files::write(&args.output, &bytes)?;
    let cases: usize = compact.sets.iter().map(|set| set.cases.len()).sum();
    progress::note(&format!("{cases} cases, {:.1} MiB", bytes.len() as f64 / 1024.0 / 1024.0));
    progress::say(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}
