//! `attention-anatomy collect`: what `segment --list` made of a cohort, in one table and on one page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::cohort::{Collected, ScanRows, StatusLine, parse_list, read_statistics, status_lines};
use attention_anatomy::formats::{self, Reference};
use attention_anatomy::report::{KeyPicture, Panel, SideBySide, cohort_report_html};

use super::segment::{DOUBTFUL, STATUS};
use crate::output::{self, Overwrite};
use crate::{data, files, progress, results};

/// Puts the results of a list of scans together: organs.csv, failures.csv and cohort.html, with the scans that lie apart first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The list that was given to `segment --list`.
    list: PathBuf,
    /// The output folder of `segment`.
    results: PathBuf,
    /// Folder for tables and page.
    #[arg(short, long)]
    output: PathBuf,
    /// Pictures of scans that lie apart, at most; each is read again for it.
    #[arg(long, default_value_t = 60)]
    pictures: u16,
    /// Title of the page.
    #[arg(long, default_value = "Cohort")]
    title: String,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// The files that are made.
const FILES: [&str; 3] = ["organs.csv", "failures.csv", "cohort.html"];

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let list = parse_list(&data::text_file(&args.list)?).with_context(|| args.list.display().to_string())?;
    if !args.results.is_dir() {
        bail!("{}: not a folder; give the output folder of `segment --list`", args.results.display());
    }
    let output = results::claim(
        "collect",
        &args.output,
        FILES.map(String::from),
        &[&args.list, &args.results.join(STATUS)],
        args.overwrite,
    )?;
    let status = status(&args.results)?;
    let (mut scans, mut missing) = (Vec::new(), Vec::new());
    let bar = progress::bar(list.len() as u64, "collect");
    for scan in &list {
        bar.inc(1);
        match read(&args.results.join(&scan.name), &scan.name)? {
            Some(rows) => scans.push(rows),
            None if status.contains_key(&scan.name) => {}
            None => missing.push(scan.name.clone()),
        }
    }
    bar.finish_and_clear();
    let listed: BTreeMap<String, StatusLine> =
        list.iter().filter_map(|scan| Some((scan.name.clone(), status.get(&scan.name)?.clone()))).collect();
    let all = Collected::new(scans, listed);
    let places: BTreeMap<&str, PathBuf> =
        list.iter().map(|scan| (scan.name.as_str(), data::beside(&args.list, &scan.path))).collect();
    let pictures = pictures(&all, &args, &places);
    let base = relative(&args.output, &args.results);
    let page =
        cohort_report_html(&args.title, &all, &missing, &pictures, |scan| format!("{base}/{}/report.html", scan.scan));
    let made = [all.csv(), all.failures_csv(), page].map(String::into_bytes);
    results::finish(output, FILES.map(String::from).into_iter().zip(made))?;
    progress::print_line(&format!(
        "{} scans with results, {} apart from the others, {} failed, {} missing -> {}",
        all.scans.len(),
        all.odd.iter().filter(|odd| !odd.is_empty()).count(),
        all.failures().count(),
        missing.len(),
        args.output.join("cohort.html").display()
    ));
    for name in &missing {
        progress::warn(&format!("{name}: neither a result nor a reason; it was not run yet, or stopped on the way"));
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The last word on each scan.
fn status(results: &Path) -> Result<BTreeMap<String, StatusLine>> {
    let folder = results.join(STATUS);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| {
            format!("{}: there are no status files here; give the output folder of `segment --list`", folder.display())
        })?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    paths.sort();
    let texts = paths.iter().map(|path| data::text_file(path)).collect::<Result<Vec<_>>>()?;
    Ok(status_lines(texts.iter().map(String::as_str)))
}

/// What the folder of a scan says; nothing where its results are not complete.
fn read(folder: &Path, name: &str) -> Result<Option<ScanRows>> {
    let Some((_, fields)) = output::recorded(folder) else { return Ok(None) };
    let path = folder.join("statistics.csv");
    let mut organs = read_statistics(&data::text_file(&path)?).with_context(|| path.display().to_string())?;
    let shares = fields.get(DOUBTFUL);
    for row in &mut organs {
        row.doubtful = shares.and_then(|shares| shares.get(row.organ.id())?.as_f64());
    }
    let warnings = fields.get("warnings").and_then(|w| w.as_array()).into_iter().flatten();
    let warnings = warnings.filter_map(|w| Some(w.as_str()?.to_string())).collect();
    Ok(Some(ScanRows { scan: name.into(), organs, warnings }))
}

/// The key slices of the scans that lie furthest apart. One that cannot be drawn is said and left out: the page is worth more.
fn pictures(all: &Collected, args: &Args, places: &BTreeMap<&str, PathBuf>) -> Vec<KeyPicture> {
    let odd = all.by_oddity().into_iter().filter(|&n| !all.odd[n].is_empty()).take(usize::from(args.pictures));
    odd.filter_map(|n| {
        let scan = &all.scans[n].scan;
        let slice = all.odd[n].first()?.slice?;
        match picture(places.get(scan.as_str())?, &args.results.join(scan), slice) {
            Ok(png) => Some(KeyPicture { scan: n, png, slice }),
            Err(error) => {
                progress::warn(&format!("{scan}: no picture: {error:#}"));
                None
            }
        }
    })
    .collect()
}

fn picture(input: &Path, results: &Path, slice: usize) -> Result<Vec<u8>> {
    let ct = formats::read_ct(files::collect(input)?)?;
    let labels =
        formats::read_organs_on(files::collect(&results.join("labels.nii.gz"))?, Some(&Reference::of(&ct, None)))?;
    let [nx, ny, nz] = ct.geometry.size;
    if labels.geometry.size != [nx, ny, nz] || slice >= nz {
        bail!("its labels are not on its grid; the scan has changed since");
    }
    let [sx, sy, _] = ct.geometry.spacing();
    let panels = vec![Panel { title: String::new(), labels: labels.slice(slice).to_vec() }];
    Ok(SideBySide { size: [nx, ny], spacing: [sx, sy], hu: ct.slice(slice).to_vec(), panels }.png()?)
}

/// The way from one folder to another, as a page's address; absolute where they share nothing.
fn relative(from: &Path, to: &Path) -> String {
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let (from, to) = (absolute(from), absolute(to));
    let same = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(same).map(|_| "..".to_string());
    let down = to.components().skip(same).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}
