//! `attention-anatomy phantom`: synthetic patients as data sets ready for training.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::dataset::{CaseEntry, DataSet};
use attention_anatomy::formats::nifti;
use attention_anatomy::phantom::{Phantom, PhantomOptions, PhantomSlice, ScanSet, partial, shown};
use attention_anatomy::random::hash;
use attention_anatomy::volume::{LabelVolume, Modality, Volume};
use indicatif::ProgressBar;

use crate::output::{Output, Overwrite};
use crate::{interrupt, number, progress, results};

/// Draws synthetic whole-body CT with exact masks of all 33 organs: partially annotated sets, the full truth beside them, and a
/// training file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output folder.
    #[arg(short, long)]
    output: PathBuf,
    /// Seed: the same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Patients of each set; every fifth is put aside for testing.
    #[arg(long, default_value_t = 10, value_parser = number::count)]
    patients: usize,
    /// Distance between pixels in mm.
    #[arg(long, default_value_t = 3.0, value_name = "MM", value_parser = number::pixel_mm)]
    spacing: f64,
    /// Distance between slices in mm.
    #[arg(long, default_value_t = 3.0, value_name = "MM", value_parser = number::slice_mm)]
    slice: f64,
    /// Columns, and rows, of a slice; as many as 528 mm need where not given.
    #[arg(long, value_name = "N", value_parser = number::matrix)]
    matrix: Option<usize>,
    /// Which sets; the three partially annotated ones where not given.
    #[arg(long, value_enum, value_name = "SET")]
    set: Vec<SetChoice>,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// A scan range and what is annotated in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum SetChoice {
    /// Top of the head to the arch of the aorta.
    HeadNeck,
    /// Larynx to the upper poles of the kidneys.
    Thorax,
    /// Middle of the heart to the hips.
    Abdomen,
    /// Head to hips, everything annotated.
    WholeBody,
}

impl From<SetChoice> for ScanSet {
    fn from(choice: SetChoice) -> Self {
        match choice {
            SetChoice::HeadNeck => Self::HeadNeck,
            SetChoice::Thorax => Self::Thorax,
            SetChoice::Abdomen => Self::Abdomen,
            SetChoice::WholeBody => Self::WholeBody,
        }
    }
}

/// Width of a slice in mm where its matrix is not given: arms and couch are in it.
const FIELD_MM: f64 = 528.0;
/// Name of the training file.
const TRAINING: &str = "train.toml";
const TERMS: &str = "synthetic: no patient, no terms";

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let sets: Vec<ScanSet> = if args.set.is_empty() {
        ScanSet::PARTIAL.to_vec()
    } else {
        let mut chosen: Vec<ScanSet> = Vec::new();
        for set in args.set.iter().copied().map(ScanSet::from) {
            if !chosen.contains(&set) {
                chosen.push(set);
            }
        }
        chosen
    };
    let matrix = args.matrix.unwrap_or((FIELD_MM / args.spacing).round().clamp(0.0, 1e6) as usize);
    let options = |set: ScanSet, seed: u64| PhantomOptions {
        seed,
        set,
        matrix,
        pixel_mm: args.spacing,
        slice_mm: args.slice,
        ..PhantomOptions::default()
    };
    // Options are refused before anything is written.
    Phantom::new(options(sets[0], args.seed))?;
    let claim = |sets: &[ScanSet]| {
        let names = sets.iter().flat_map(|set| names(*set, args.patients)).chain([TRAINING.to_string()]);
        results::claim("phantom", &args.output, names, &[], args.overwrite)
    };
    // All of them before the first is drawn.
    drop(claim(&sets)?);

    let stop = interrupt::flag()?;
    for (n, set) in sets.iter().enumerate() {
        let mut output = claim(&[*set])?;
        let (mut drawn, mut truth) = (Vec::new(), Vec::new());
        let bar = progress::bar(0, set.id());
        for n in 0..args.patients {
            let id = case_id(*set, n);
            let phantom = Phantom::new(options(*set, hash(args.seed, &id)))?;
            bar.set_length((args.patients * phantom.slices()) as u64);
            bar.set_message(id.clone());
            let split = split(n);
            let Some(entries) = write_case(&mut output, &phantom, *set, &id, split, &stop, &bar)? else {
                bar.finish_and_clear();
                progress::note(&format!("stopped at {id}; the same command starts {} anew", set.id()));
                return Ok(ExitCode::FAILURE);
            };
            drawn.push(entries.0);
            truth.push(entries.1);
        }
        bar.finish_and_clear();
        for (manifest, cases) in manifests(*set).iter().zip([drawn, truth]) {
            let name = format!("phantom_{}", set.id());
            let set = DataSet { name, license: TERMS.into(), labels: BTreeMap::new(), own_patients: false, cases };
            output.stage(manifest, serde_json::to_string_pretty(&set)?.as_bytes())?;
        }
        if n + 1 == sets.len() {
            output.stage(TRAINING, training_file(&sets, args.seed, args.patients).as_bytes())?;
        }
        // A set is there as a whole, or that of an earlier run is.
        let [own, truth] = folders(*set);
        output.finish(results::fields(), |name| {
            [&own, &truth].into_iter().any(|folder| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
        })?;
    }
    let training = args.output.join(TRAINING);
    progress::print_line(&format!(
        "{} patients in each of {} in {}; the full truth is in {}",
        args.patients,
        sets.iter().map(|s| s.id()).collect::<Vec<_>>().join(", "),
        args.output.display(),
        args.output.join("truth").display()
    ));
    progress::print_line(&format!(
        "attention-anatomy train {} --data {} -o runs/phantom",
        training.display(),
        args.output.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Folders of a set and of the truth about it.
fn folders(set: ScanSet) -> [String; 2] {
    [set.id().to_string(), format!("truth/{}", set.id())]
}

fn manifests(set: ScanSet) -> [String; 2] {
    folders(set).map(|folder| format!("{folder}/dataset.json"))
}

fn case_id(set: ScanSet, n: usize) -> String {
    format!("{}-{:03}", set.id(), n + 1)
}

fn split(n: usize) -> &'static str {
    if n % 5 == 4 { "test" } else { "train" }
}

/// CT, what is drawn on it, and the whole truth.
fn case_files(set: ScanSet, n: usize) -> [String; 3] {
    let ([own, truth], split, id) = (folders(set), split(n), case_id(set, n));
    [
        format!("{own}/{split}/{id}_ct.nii.gz"),
        format!("{own}/{split}/{id}_label.nii.gz"),
        format!("{truth}/{split}/{id}_label.nii.gz"),
    ]
}

/// All files of a set.
fn names(set: ScanSet, patients: usize) -> impl Iterator<Item = String> {
    (0..patients).flat_map(move |n| case_files(set, n)).chain(manifests(set))
}

/// Writes a patient; its entries in the manifest of its set and in that of the truth. `None` when stopped.
fn write_case(
    output: &mut Output,
    phantom: &Phantom,
    set: ScanSet,
    id: &str,
    split: &str,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> Result<Option<(CaseEntry, CaseEntry)>> {
    let Some(slices) = draw(phantom, stop, bar) else { return Ok(None) };
    let count = phantom.geometry().voxel_count();
    let (mut hu, mut labels) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for slice in slices {
        hu.extend(slice.hu);
        labels.extend(slice.labels);
    }
    let ct = Volume::from_stored(phantom.geometry().clone(), hu, Modality::Ct)?;
    let truth: LabelVolume = ct.with_voxels(labels);
    let drawn = truth.with_voxels(partial(&truth.voxels, set.annotated()));
    let names = [format!("{split}/{id}_ct.nii.gz"), format!("{split}/{id}_label.nii.gz")];
    let [own, beside] = folders(set);
    output.stage(&format!("{own}/{}", names[0]), &nifti::write_ct(&ct, "AttentionAnatomy phantom")?)?;
    output.stage(&format!("{own}/{}", names[1]), &nifti::write_labels(&drawn, "AttentionAnatomy phantom")?)?;
    output.stage(&format!("{beside}/{}", names[1]), &nifti::write_labels(&truth, "AttentionAnatomy phantom")?)?;
    let entry = |ct: String, truth: Option<String>, annotated: OrganSet| CaseEntry {
        id: id.to_string(),
        patient: None,
        split: split.to_string(),
        ct,
        label: Some(names[1].clone()),
        masks: BTreeMap::new(),
        truth,
        annotated: Some(annotated.iter().map(|organ| organ.id().to_string()).collect()),
        region_boundaries_mm: Some(phantom.region_boundaries_mm()),
    };
    let aside = format!("../truth/{}/{}", set.id(), names[1]);
    let own = entry(names[0].clone(), Some(aside), set.annotated());
    let full = entry(format!("../../{}/{}", set.id(), names[0]), None, shown(&truth.voxels));
    Ok(Some((own, full)))
}

/// All slices, on all cores; `None` when stopped.
fn draw(phantom: &Phantom, stop: &AtomicBool, bar: &ProgressBar) -> Option<Vec<PhantomSlice>> {
    let threads = crate::threads::count();
    let share = phantom.slices().div_ceil(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|t| (t * share).min(phantom.slices())..((t + 1) * share).min(phantom.slices()))
            .map(|range| {
                scope.spawn(move || {
                    range
                        .map(|k| {
                            bar.inc(1);
                            (!stop.load(Ordering::Relaxed)).then(|| phantom.slice(k))
                        })
                        .collect::<Option<Vec<_>>>()
                })
            })
            .collect();
        let parts: Option<Vec<Vec<_>>> = workers.into_iter().map(|worker| worker.join().ok().flatten()).collect();
        Some(parts?.into_iter().flatten().collect())
    })
}

/// A training that two cores finish in minutes.
fn training_file(sets: &[ScanSet], seed: u64, patients: usize) -> String {
    let validation = (patients / 5).max(usize::from(patients > 1));
    let data: String = sets
        .iter()
        .map(|set| {
            format!(
                "[[data]]\nmanifest = \"{}/dataset.json\"\nweight = 1.0\nvalidation_patients = {validation}\n\n",
                set.id()
            )
        })
        .collect();
    include_str!("phantom.toml").replace("{seed}", &seed.to_string()).replace("{data}", data.trim_end())
}
