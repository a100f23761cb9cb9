//! `attention-anatomy check`: everything that is wrong with a series or a structure set.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use attention_anatomy::formats::{self, Finding, Weight};

use crate::{files, progress, series};

/// Says all that is wrong with a CT series, a structure set, a segmentation or a label map. Ends with 0 if it can be used as it is, with 1
/// if it cannot.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NIfTI or NRRD files, DICOM files, zip archives, or folders; a folder with a CT and its structure sets is checked as a whole.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// What is worth a look counts as wrong, too.
    #[arg(long)]
    strict: bool,
    /// As JSON, a list of findings for each input.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A path that cannot be read.
pub fn run(args: Args) -> Result<ExitCode> {
    let from = if args.strict { Weight::Doubt } else { Weight::Wrong };
    let (mut usable, mut all) = (true, serde_json::Map::new());
    for input in &args.inputs {
        let findings = check(input).with_context(|| input.display().to_string())?;
        usable &= findings.iter().all(|finding| finding.weight < from);
        if args.json {
            all.insert(input.display().to_string(), findings.iter().map(as_json).collect());
        } else {
            print(input, &findings);
        }
    }
    if args.json {
        progress::print_line(&serde_json::to_string_pretty(&all)?);
    }
    Ok(if usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(input: &Path) -> Result<Vec<Finding>> {
    Ok(formats::check(files::collect_labels(input)?))
}

/// What a weight is called.
fn called(weight: Weight) -> &'static str {
    match weight {
        Weight::Wrong => "wrong",
        Weight::Doubt => "look",
        Weight::Note => "note",
    }
}

/// What a finding says, with the option that would mend it.
fn sentence(finding: &Finding) -> String {
    match finding.repair {
        Some(repair) => series::with_option(&finding.sentence, repair),
        None => finding.sentence.clone(),
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "weight": called(finding.weight), "about": finding.about, "sentence": sentence(finding)
    })
}

fn print(input: &Path, findings: &[Finding]) {
    let count = |weight| findings.iter().filter(|f| f.weight == weight).count();
    let summary = match (count(Weight::Wrong), count(Weight::Doubt)) {
        (0, 0) => "nothing is wrong with it".to_owned(),
        (0, doubts) => format!("can be used; {doubts} to look at"),
        (wrong, 0) => format!("{wrong} wrong"),
        (wrong, doubts) => format!("{wrong} wrong, {doubts} to look at"),
    };
    progress::print_line(&format!("{}: {summary}", input.display()));
    for finding in findings {
        let about = if finding.about.is_empty() { String::new() } else { format!("{}: ", finding.about) };
        progress::print_line(&format!("  {:<6}{about}{}", called(finding.weight), sentence(finding)));
    }
}
