//! `segment --from`: a series of an archive instead of files, and what was found back to it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use attention_anatomy::cohort::InputKey;
use attention_anatomy::dicomweb::{Root, Scans, SeriesRow, scans};
use attention_anatomy::formats::dicom::SeriesRequest;
use attention_anatomy::report::ResultFile;

use super::{DicomFormat, ReadCt, Session};
use crate::archive::{Access, Archive};
use crate::commands::archive::{named, print_series};
use crate::{files, progress};

/// Where a scan comes from that lies in no file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Origin {
    /// Instead: a series of an archive, by the root of its DICOMweb services, as https://archive.example/dicom-web. With several CT series
    /// in the study, `--series` says which.
    #[arg(long, value_name = "ROOT", requires = "study", conflicts_with_all = ["inputs", "list", "reference"])]
    pub from: Option<Root>,
    /// The study in the archive, by its UID.
    #[arg(long, value_name = "UID", requires = "from")]
    study: Option<String>,
    /// Also send RTSTRUCT and SEG, as far as `--format` has them written, to the archive that the series came from.
    #[arg(long, requires = "from", conflicts_with = "deidentify")]
    send: bool,
    #[command(flatten)]
    access: Access,
}

/// Runs the command on a series of an archive.
///
/// # Errors
/// What the user is told.
pub(super) fn run(args: &super::Args, root: &Root) -> Result<ExitCode> {
    let super::Args { archive: from, options, output, overwrite, .. } = args;
    let study = from.study.as_deref().unwrap_or_default();
    let dicom = DicomFormat::files(&options.format, true);
    if from.send && dicom.is_empty() {
        bail!("there is nothing to send: --format names neither rtstruct nor seg");
    }
    let weights: Vec<&Path> = options.weights.iter().map(AsRef::as_ref).collect();
    let claim = || Session::claim(options, output, &weights, *overwrite);
    // Before anybody is asked for anything.
    claim()?;
    let archive = Archive::open(root, &from.access)?;
    let all = archive.series(study)?;
    let series = match &options.series {
        Some(name) => named(&all, name)?,
        None => only_ct(&all)?,
    };
    let clock = Instant::now();
    let mut instances: files::NamedFiles = Vec::new();
    let bytes = archive.retrieve(study, &series.uid, &mut instances)?;
    let count = instances.len();
    progress::note(&format!(
        "series {}: {count} instances, {:.1} MB in {:.1} s",
        series.uid,
        bytes as f64 / 1e6,
        clock.elapsed().as_secs_f64()
    ));
    let name = format!("series {}", series.uid);
    // Which series was chosen already.
    let asked: SeriesRequest = options.repairs.request(None);
    let ct = ReadCt::of_files(instances, InputKey::default(), &asked).with_context(|| name.clone())?;
    let mut session = Session::open(options.clone())?;
    progress::note(&format!("{} on {}", session.common.model.name, session.device.in_words()));
    let summary = session.segment(ct, &name, claim()?).with_context(|| name.clone())?;
    progress::print_line(&summary.line(&name, output));
    if from.send {
        send(&archive, output, &dicom)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one series that can be meant.
fn only_ct(all: &[SeriesRow]) -> Result<&SeriesRow> {
    match scans(all) {
        Scans::One(row) => Ok(row),
        Scans::Nothing => {
            print_series(all);
            bail!("the study has no CT series; above is what it has")
        }
        Scans::Several(several) => {
            print_series(all);
            bail!("the study has {} CT series; say which one with --series NUMBER or --series UID", several.len())
        }
    }
}

/// Sends what was written.
fn send(archive: &Archive, output: &Path, dicom: &[ResultFile]) -> Result<()> {
    let mut found = Vec::new();
    for path in dicom.iter().map(|file| output.join(file.name())).filter(|path| path.is_file()) {
        let bytes = files::read(&path)?;
        found.push((path.display().to_string(), bytes));
    }
    if found.is_empty() {
        progress::warn("no organ was found, so there is nothing to send");
        return Ok(());
    }
    archive.send(&found)
}
