//! `attention-anatomy compare`: two label maps, whoever drew them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::metrics::{CaseResult, CaseTruth, DEFAULT_TOLERANCE_MM, Evaluation};
use attention_anatomy::volume::LabelVolume;

use crate::evaluation::{self, Format};
use crate::output::Overwrite;
use crate::{data, files, number, progress, results};

/// Compares label maps on the same grid, organ by organ, without any network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The truth: a label map, an RTSTRUCT or SEG file, or a folder of them. Organs are told by names where there are some, else by the
    /// numbers of the anatomy table.
    truth: PathBuf,
    /// What is judged: the same, or a folder with files of the same names.
    prediction: PathBuf,
    /// The CT that both were drawn on, where neither has voxels: of two RTSTRUCT files.
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Organs that the reference annotates, by id. Where not given: those that occur in it, and an organ that only the
    /// prediction has is not judged.
    #[arg(long, value_delimiter = ',')]
    organs: Vec<String>,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Folder for `evaluation.md`, `evaluation.json`, `evaluation.csv` and `cases.csv`.
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let claim = |folder: &PathBuf| {
        let read: Vec<&Path> = [Some(&args.truth), Some(&args.prediction), args.reference.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        results::claim("compare", folder, evaluation::FILES.map(String::from), &read, args.overwrite)
    };
    let output = args.output.as_ref().map(claim).transpose()?;
    let chosen = (!args.organs.is_empty()).then(|| OrganSet::from_ids(&args.organs)).transpose()?;
    let mut found = Evaluation {
        subject: format!("{} against {}.", args.prediction.display(), args.truth.display()),
        tolerance_mm: args.tolerance_mm,
        cases: Vec::new(),
        regions: None,
        presence: Vec::new(),
        attention: None,
    };
    let pairs = pairs(&args.truth, &args.prediction)?;
    let reference = args.reference.as_deref().map(data::read_reference).transpose()?;
    let bar = progress::bar(pairs.len() as u64, "compare");
    for (truth, prediction) in pairs {
        let (labels, judged) = data::read_labels_of_both(&truth, &prediction, reference.as_ref())?;
        let annotated = chosen.unwrap_or_else(|| occurring(&labels));
        let case = CaseTruth { labels: &labels, annotated, whole: None, regions: None };
        let name = files::file_name(&truth);
        let result = CaseResult::measure(name, &case, &judged, OrganSet::ALL, args.tolerance_mm);
        found.cases.push(result.with_context(|| prediction.display().to_string())?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    evaluation::print(&found, args.format)?;
    if let Some(output) = output {
        results::finish(output, evaluation::files(&found)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn occurring(labels: &LabelVolume) -> OrganSet {
    let mut seen = [false; 256];
    labels.voxels.iter().for_each(|&label| seen[usize::from(label)] = true);
    Organ::ALL.into_iter().filter(|o| seen[usize::from(o.label())]).collect()
}

/// The two files, or all files of the first folder with their partners in the second.
fn pairs(truth: &Path, prediction: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    match (truth.is_dir(), prediction.is_dir()) {
        (false, false) => Ok(vec![(truth.to_path_buf(), prediction.to_path_buf())]),
        (true, true) => {
            let names = |folder: &Path| -> Result<BTreeSet<String>> {
                let entries =
                    std::fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
                let files = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file());
                Ok(files.map(|p| files::file_name(&p)).filter(|n| !n.starts_with('.')).collect())
            };
            let (ours, theirs) = (names(truth)?, names(prediction)?);
            if ours.is_empty() {
                bail!("{}: the folder has no files", truth.display());
            }
            if let Some(name) = ours.difference(&theirs).next() {
                bail!("{}: there is no {name} to compare with that of {}", prediction.display(), truth.display());
            }
            Ok(ours.into_iter().map(|name| (truth.join(&name), prediction.join(&name))).collect())
        }
        _ => bail!("compare two files or two folders, not a file with a folder"),
    }
}
