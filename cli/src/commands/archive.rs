//! `attention-anatomy archive`: what lies in an archive, a series of it as files, and files into it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dicomweb::{Page, Root, SeriesRow, StudyQuery, StudyRow};
use attention_anatomy::formats::dicom::{date, person_name};

use crate::archive::{Access, Archive, Folder};
use crate::{files, number, progress};

/// Lists, retrieves and stores in an archive that speaks DICOMweb (QIDO-RS, WADO-RS, STOW-RS). Nothing else is asked of anybody.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists studies, or the series of one.
    List(ListArgs),
    /// Retrieves a study or a series as DICOM files, DIR/SERIES-UID/INSTANCE-UID.dcm. Given again, it goes on from what has come.
    Get(GetArgs),
    /// Stores DICOM files, as RTSTRUCT and SEG of `segment`.
    Send(SendArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// The root of the archive's DICOMweb services, as https://archive.example/dicom-web.
    root: Root,
    /// The series of this study, by its UID.
    #[arg(long, value_name = "UID", conflicts_with_all = ["patient", "patient_id", "accession", "date", "modality"])]
    study: Option<String>,
    /// Patients of this name, as DICOM has it; `*` stands for anything: "Yamada*".
    #[arg(long, value_name = "NAME", default_value = "")]
    patient: String,
    /// Patients of this identifier.
    #[arg(long, value_name = "ID", default_value = "")]
    patient_id: String,
    /// Studies of this accession number.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    accession: String,
    /// Studies of this day, or from one to another: 2024-01-31, 2024-01-01..2024-01-31, 2024-01-01...
    #[arg(long, value_name = "DATES", value_parser = dates, default_value = "", hide_default_value = true)]
    date: String,
    /// Studies with this modality.
    #[arg(long, default_value = "")]
    modality: String,
    /// The most studies.
    #[arg(long, default_value = "50", value_parser = number::count)]
    limit: usize,
    /// Studies before the first.
    #[arg(long, default_value = "0", value_parser = number::index)]
    offset: usize,
    #[command(flatten)]
    access: Access,
}

fn dates(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { StudyQuery::dates_of(text).map_err(|error| error.to_string()) }
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// The root of the archive's DICOMweb services.
    root: Root,
    /// The study, by its UID.
    #[arg(long, value_name = "UID")]
    study: String,
    /// Only this series, by its number in the list of `archive list --study` or by its UID.
    #[arg(long, value_name = "NUMBER|UID")]
    series: Option<String>,
    /// The folder.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    /// The root of the archive's DICOMweb services.
    root: Root,
    /// DICOM files, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    access: Access,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::List(args) => list(args)?,
        Command::Get(args) => get(&args)?,
        Command::Send(args) => send(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: ListArgs) -> Result<()> {
    let archive = Archive::open(&args.root, &args.access)?;
    if let Some(study) = &args.study {
        print_series(&archive.series(study)?);
        return Ok(());
    }
    let page = Page { limit: args.limit, offset: args.offset };
    let query = StudyQuery {
        uid: String::new(),
        patient_name: args.patient,
        patient_id: args.patient_id,
        accession: args.accession,
        description: String::new(),
        dates: args.date,
        modality: args.modality,
    };
    let listed = archive.studies(&query, page)?;
    let heads = ["date", "modalities", "series", "images", "patient", "id", "accession", "description", "study"];
    table(&heads, &listed.rows.iter().map(study_cells).collect::<Vec<_>>());
    if listed.skipped > 0 {
        progress::warn(&format!("{} more do not say which study they are", listed.skipped));
    }
    if listed.rows.len() + listed.skipped >= args.limit {
        progress::note(&format!("there may be more: --offset {}", args.offset + args.limit));
    }
    Ok(())
}

fn study_cells(study: &StudyRow) -> Vec<String> {
    let count = |count: Option<usize>| count.map_or_else(String::new, |count| count.to_string());
    vec![
        date(&study.date),
        study.modalities.join(","),
        count(study.series),
        count(study.instances),
        person_name(&study.patient_name),
        study.patient_id.clone(),
        study.accession.clone(),
        study.description.clone(),
        study.uid.clone(),
    ]
}

/// Prints a study's series with their numbers.
pub fn print_series(series: &[SeriesRow]) {
    let cells = |(place, row): (usize, &SeriesRow)| {
        let images = row.instances.map_or_else(String::new, |count| count.to_string());
        vec![(place + 1).to_string(), row.modality.clone(), images, row.description.clone(), row.uid.clone()]
    };
    let rows: Vec<Vec<String>> = series.iter().enumerate().map(cells).collect();
    table(&["", "modality", "images", "description", "series"], &rows);
}

/// Columns as wide as they need to be; what an archive says is made one line of printable characters.
fn table(heads: &[&str], rows: &[Vec<String>]) {
    let plain = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        progress::print_line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(heads.to_vec());
    for row in &rows {
        line(row.iter().map(String::as_str).collect());
    }
}

/// The series that a user names, by its number in the list or its UID.
///
/// # Errors
/// None of that name.
pub fn named<'a>(series: &'a [SeriesRow], name: &str) -> Result<&'a SeriesRow> {
    let name = name.trim();
    let by_number = name.parse::<usize>().ok().and_then(|number| series.get(number.checked_sub(1)?));
    match by_number.or_else(|| series.iter().find(|row| row.uid == name)) {
        Some(row) => Ok(row),
        None => {
            print_series(series);
            bail!("the study has no series {name:?}; above is what it has")
        }
    }
}

fn get(args: &GetArgs) -> Result<()> {
    let archive = Archive::open(&args.root, &args.access)?;
    let all = archive.series(&args.study)?;
    let wanted: Vec<&SeriesRow> = match &args.series {
        Some(name) => vec![named(&all, name)?],
        None => all.iter().collect(),
    };
    for row in wanted {
        let path = args.output.join(&row.uid);
        let bytes = archive.retrieve(&args.study, &row.uid, &mut Folder::new(&path, &row.uid)?)?;
        progress::print_line(&format!("{} ({}): {:.1} MB came", path.display(), row.modality, bytes as f64 / 1e6));
    }
    Ok(())
}

fn send(args: &SendArgs) -> Result<()> {
    let mut all = Vec::new();
    for path in &args.files {
        let is_file = path.is_file();
        for (name, bytes) in files::collect(path)? {
            let name = if is_file { path.display().to_string() } else { path.join(name).display().to_string() };
            all.push((name, bytes));
        }
    }
    Archive::open(&args.root, &args.access)?.send(&all)
}
