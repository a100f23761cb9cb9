//! `attention-anatomy compare`: two label maps, whoever drew them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::metrics::{CaseResult, CaseTruth, DEFAULT_TOLERANCE_MM, Evaluation};

use crate::evaluation::{self, Format};
use crate::output::Overwrite;
use crate::{data, files, number, progress, results};

/// The label map of `segment`, and what tells its results from other files.
const LABELS: &str = "labels.nii.gz";
const RECORD: &str = "run.json";
/// Endings of what lies beside label maps and is none: names of their numbers, tables, pages.
const BESIDE: [&str; 11] =
    [".json", ".jsonl", ".csv", ".tsv", ".txt", ".ctbl", ".label", ".lut", ".html", ".md", ".img"];

/// Compares label maps on the same grid, organ by organ, without any network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The truth: a label map, an RTSTRUCT or SEG file, a folder of them, or of results of `segment`. Organs are told by names where
    /// there are some, else by the numbers of the anatomy table.
    truth: PathBuf,
    /// What is judged: the same, or a folder with files of the same names.
    prediction: PathBuf,
    /// The CT that both were drawn on, where neither has voxels: of two RTSTRUCT files.
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Organs that the reference annotates, by id. Where not given: those that occur in it. An organ that only the prediction has
    /// gets rows of its own, which no mean counts.
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
    for Pair { name, truth, prediction } in pairs {
        let (labels, judged) = data::read_labels_of_both(&truth, &prediction, reference.as_ref())?;
        let annotated = chosen.unwrap_or_else(|| OrganSet::of_labels(&labels.voxels));
        let case = CaseTruth { labels: &labels, annotated, whole: None, regions: None };
        let result = CaseResult::measure(name, &case, &judged, OrganSet::ALL, args.tolerance_mm);
        let result = result.with_context(|| prediction.display().to_string())?;
        found.cases.push(result.with_absent(&labels, &judged, chosen.unwrap_or(OrganSet::ALL), args.tolerance_mm));
        bar.inc(1);
    }
    bar.finish_and_clear();
    evaluation::print(&found, args.format)?;
    if let Some(output) = output {
        results::finish(output, evaluation::files(&found)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two that are compared.
struct Pair {
    name: String,
    truth: PathBuf,
    prediction: PathBuf,
}

/// The two files, or all label maps and structure sets of the first folder with their partners in the second.
fn pairs(truth: &Path, prediction: &Path) -> Result<Vec<Pair>> {
    match (truth.is_dir(), prediction.is_dir()) {
        (false, false) => {
            let name = files::file_name(truth);
            Ok(vec![Pair { name, truth: truth.to_path_buf(), prediction: prediction.to_path_buf() }])
        }
        (true, true) => {
            let (ours, mut theirs) = (drawn(truth)?, drawn(prediction)?);
            if ours.is_empty() {
                bail!("{}: the folder has no label map or structure set", truth.display());
            }
            let pair = |(name, own): (String, PathBuf)| match theirs.remove(&name) {
                Some(partner) => Ok(Pair { name, truth: own, prediction: partner }),
                None => {
                    bail!("{}: there is no {name} to compare with that of {}", prediction.display(), truth.display())
                }
            };
            ours.into_iter().map(pair).collect()
        }
        _ => bail!("compare two files or two folders, not a file with a folder"),
    }
}

/// What is drawn in a folder, by name: its files, without tables of names beside them; of results of `segment`, the label map, and of a
/// folder of those, theirs by the names of their folders.
fn drawn(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let is_results = |folder: &Path| [LABELS, RECORD].iter().all(|name| folder.join(name).is_file());
    if is_results(folder) {
        return Ok([(LABELS.to_owned(), folder.join(LABELS))].into());
    }
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))? {
        let path = entry.with_context(|| format!("{}: cannot be read", folder.display()))?.path();
        let name = files::file_name(&path);
        let is_table = BESIDE.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
        if path.is_file() && !name.starts_with('.') && !is_table {
            found.insert(name, path);
        } else if is_results(&path) {
            found.insert(name, path.join(LABELS));
        }
    }
    Ok(found)
}
