//! A training from start to end: checkpoints, metrics, weights. What `train`, `crossval` and `ablation` share.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use attention_anatomy::anatomy::{Organ, OrganSet, Region};
use attention_anatomy::dataset::{PreparedCase, Sampler};
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::network::weights::{self, DataSource, ModelInfo, Precision};
use attention_anatomy::report::{self, TrainedOrgan};
use attention_anatomy::train::{LogLine, StepReport, Trainer, TrainingConfig, Validation, ValidationReport, validate};
use attention_anatomy::wait::ready;

use crate::commands::data::{self, LoadedSet, Prepared};
use crate::{files, progress};

/// The weights after the last step.
pub const FINAL: &str = "final.safetensors";

/// What is trained on.
#[derive(Debug)]
pub struct Data {
    /// The sets.
    pub sets: Vec<LoadedSet>,
    /// Training patients.
    pub training: Vec<PreparedCase>,
    /// Held-out patients.
    pub validation: Vec<PreparedCase>,
}

impl Data {
    /// Reads and prepares everything that a training file names and that is not in `prepared`; `root` is the folder of its
    /// manifests, or a file of prepared cases.
    pub fn load(config: &TrainingConfig, root: &Path, prepared: &mut Prepared) -> Result<Self> {
        let sets = if root.is_file() {
            let sets;
            (*prepared, sets) = Prepared::read(root, config)?;
            sets
        } else {
            data::manifests(config, root)?
        };
        let (training, validation) = prepared.divide(config, &sets)?;
        Ok(Self { sets, training, validation })
    }
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After its last step.
    Finished,
    /// It was asked to stop; the same call goes on where it stopped.
    Stopped,
}

/// How a training is run, whatever it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Start anew even if the folder holds a checkpoint.
    pub restart: bool,
    /// Weights to begin with, instead of random ones.
    pub from: Option<&'a Path>,
    /// Write a page with the curves at every validation and at the end.
    pub report: bool,
}

/// Trains as `text`, which is `config`, says. Goes on from a checkpoint in `output`, unless told to start anew.
pub fn train(
    (text, config): (&str, &TrainingConfig),
    data: &Data,
    output: &Path,
    options: Options<'_>,
    device: &ComputeDevice,
    stop: &AtomicBool,
) -> Result<Ended> {
    let Data { sets, training, validation } = data;
    let of_region: Vec<PreparedCase>;
    let training = match config.region {
        None => training,
        Some(region) => {
            of_region = training.iter().map(|case| case.clone().of_region(region)).collect();
            &of_region
        }
    };
    // A fold may be the only patient of a set, and a region may be missing from one.
    if config.fold.is_none() && config.region.is_none() {
        for (n, data) in config.data.iter().enumerate().filter(|(_, data)| data.weight > 0.0) {
            if training.iter().all(|case| case.set != n) {
                bail!(
                    "{}: no patient is left to train on ({} held out by `validation_patients`); hold out fewer, or set its `weight` to 0",
                    data.manifest,
                    validation.iter().filter(|case| case.set == n).count()
                );
            }
        }
    }
    let set_weights: Vec<f64> = config.data.iter().map(|d| d.weight).collect();
    let sampler = Sampler::new(training, &set_weights, config.mixed, config.seed);
    if sampler.is_empty() {
        let region = config.region.map_or(String::new(), |region| format!(" with slices of region {}", region.id()));
        bail!("there is nothing to train on: no set with a weight has a usable case{region}");
    }
    let learned = |c: &PreparedCase| if set_weights[c.set] > 0.0 { c.shown() } else { OrganSet::EMPTY };
    let trained = training.iter().fold(OrganSet::EMPTY, |all, c| all.union(learned(c)));
    progress::note(&format!(
        "{} training and {} validation patients, {} organs; {} steps on {}",
        training.len(),
        validation.len(),
        trained.len(),
        config.total_steps(),
        device.name,
    ));

    let last = output.join("last.safetensors");
    let metrics_path = output.join("metrics.jsonl");
    let mut trainer = if last.exists() && !options.restart {
        let trainer = Trainer::resume(config.clone(), &files::read(&last)?, &device.burn)
            .with_context(|| last.display().to_string())?;
        progress::note(&format!("resuming after step {}", trainer.steps_done()));
        if let Some(from) = options.from {
            progress::note(&format!("note: {} is not read: --restart would begin with it", from.display()));
        }
        let used = output.join("config.toml");
        let before = std::fs::read_to_string(&used).unwrap_or_else(|_| text.to_string());
        if TrainingConfig::parse(&before).is_ok_and(|before| !before.same_split(config)) {
            bail!(
                "{}: seed, fold or validation patients differ from those this training began with; patients would change \
                 sides. Undo that, or use another output folder",
                output.display()
            );
        }
        if before != text {
            progress::note(
                "note: the training file has changed since this training began; it goes on with the new one",
            );
            files::write(&used, text.as_bytes())?;
        }
        forget_after(&metrics_path, trainer.steps_done())?;
        trainer
    } else {
        let trainer = match options.from {
            None => Trainer::new(config.clone(), &device.burn),
            Some(path) => {
                let (trainer, info) = Trainer::starting_from(config.clone(), &files::read(path)?, &device.burn)
                    .with_context(|| path.display().to_string())?;
                check_held_out(&info, sets, validation).with_context(|| path.display().to_string())?;
                trainer
            }
        };
        // Only now: the weights to begin with may be among them.
        for old in ["last", "best", "final"] {
            files::remove(&output.join(format!("{old}.safetensors")))?;
        }
        files::write(&output.join("config.toml"), text.as_bytes())?;
        files::write(&metrics_path, b"")?;
        // From now on there is something to go on from, whatever happens.
        files::write(&last, &trainer.checkpoint()?)?;
        trainer
    };
    let mut metrics = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&metrics_path)
        .with_context(|| metrics_path.display().to_string())?;

    let mut log = |line: &LogLine| -> Result<()> {
        writeln!(metrics, "{}", line.to_json()?).with_context(|| metrics_path.display().to_string())
    };
    let bar = progress::bar(config.total_steps(), "train");
    bar.set_position(trainer.steps_done());
    let started = Instant::now();
    let mut best = best_so_far(&metrics_path);
    let mut at_the_end = None;
    std::thread::scope(|scope| -> Result<()> {
        // The loader works two batches ahead.
        let (send, batches) = mpsc::sync_channel(2);
        let (first, sampler) = (trainer.steps_done(), &sampler);
        scope.spawn(move || {
            for step in first..config.total_steps() {
                if send.send(Trainer::batch(config, training, sampler, step)).is_err() {
                    return;
                }
            }
        });
        for batch in batches {
            // On an error the last checkpoint stays: what is in memory may no longer be finite.
            let report = trainer.step(&batch)?;
            log(&LogLine::Step(report.clone()))?;
            bar.set_position(report.step);
            bar.set_message(message(&report));
            let stopping = stop.load(Ordering::Relaxed);
            let due = report.step % config.validate_every == 0 || trainer.finished();
            // What is no longer finite ends here. The checkpoint is written last: what it says was done, was validated, logged and kept.
            let checkpoint = (due || stopping).then(|| trainer.checkpoint()).transpose()?;
            if due && !validation.is_empty() {
                let network = trainer.network();
                let input = config.input();
                let found =
                    ready(validate(&network, validation, &input, trained, config.validation_slices, &device.burn))?;
                if found.mean_dice > best {
                    best = found.mean_dice;
                    let info = model_info(config, sets, training, validation, trained, report.step, Some(&found));
                    files::write(&output.join("best.safetensors"), &weights::write(&network, &info, Precision::Half)?)?;
                }
                let seconds = started.elapsed().as_secs_f64();
                log(&LogLine::Validation(Validation { step: report.step, seconds, report: found.clone() }))?;
                bar.suspend(|| progress::note(&summary(report.step, &found)));
                at_the_end = trainer.finished().then_some(found);
            }
            if options.report && (due || stopping) {
                let page = report::training_report_html(config, &read_log(&metrics_path));
                files::write(&output.join("report.html"), page.as_bytes())?;
            }
            if let Some(checkpoint) = checkpoint {
                files::write(&last, &checkpoint)?;
            }
            if stopping {
                bar.abandon();
                progress::note(&format!("stopped after step {}; the same command goes on from here", report.step));
                return Ok(());
            }
        }
        Ok(())
    })?;
    if trainer.finished() {
        bar.finish();
        let network = trainer.network();
        // Not yet validated only where the training had ended before this call.
        let found = match at_the_end {
            None if !validation.is_empty() => {
                let input = config.input();
                Some(ready(validate(&network, validation, &input, trained, config.validation_slices, &device.burn))?)
            }
            known => known,
        };
        let info = model_info(config, sets, training, validation, trained, trainer.steps_done(), found.as_ref());
        let path = output.join(FINAL);
        files::write(&path, &weights::write(&network, &info, Precision::Half)?)?;
        return Ok(Ended::Finished);
    }
    Ok(Ended::Stopped)
}

/// Refuses weights that may have seen one of the validation patients: its score would be worth nothing.
fn check_held_out(info: &ModelInfo, sets: &[LoadedSet], validation: &[PreparedCase]) -> Result<()> {
    let seen = validation.iter().find(|case| {
        let known = info.data.iter().any(|d| d.name == sets[case.set].set.name);
        known && !info.held_out.contains(&case.name)
    });
    match seen {
        None => Ok(()),
        Some(case) => bail!(
            "these weights were trained on the set of validation patient {} and did not hold the patient out; use the \
             seed and the validation patients of their training",
            case.name
        ),
    }
}

fn message(report: &StepReport) -> String {
    let term = |name: &str, v: Option<f32>| v.map_or(String::new(), |v| format!(" {name} {v:.3}"));
    format!(
        "{}:{}{}{}",
        report.phase,
        term("Dice", report.dice),
        term("focal", report.focal),
        term("region", report.region)
    )
}

/// One line: the means, those of the organs of each region, and the worst organ. `metrics.jsonl` has every organ.
fn summary(step: u64, found: &ValidationReport) -> String {
    let measured = || Organ::ALL.into_iter().zip(&found.dice).filter_map(|(organ, (_, dice))| Some((organ, (*dice)?)));
    let mut parts = Vec::new();
    for region in Region::ALL {
        let dice: Vec<f64> = measured().filter(|(o, _)| o.regions().contains(&region)).map(|(_, dice)| dice).collect();
        if !dice.is_empty() {
            parts.push(format!("{} {:.2}", region.name(), dice.iter().sum::<f64>() / dice.len() as f64));
        }
    }
    if let Some((organ, dice)) = measured().min_by(|a, b| a.1.total_cmp(&b.1)) {
        parts.push(format!("lowest: {} {dice:.2}", organ.name()));
    }
    format!(
        "step {step}: validation Dice {}, region accuracy {} | {}",
        found.mean_dice.map_or("-".into(), |d| format!("{d:.3}")),
        found.region_accuracy.map_or("-".into(), |a| format!("{a:.3}")),
        parts.join(", ")
    )
}

/// Drops the lines of steps that a checkpoint does not know; they are done again.
fn forget_after(metrics: &Path, step: u64) -> Result<()> {
    let text = std::fs::read_to_string(metrics).unwrap_or_default();
    let known = |line: &&str| LogLine::parse_all(line).first().is_some_and(|l| l.step() <= step);
    let kept: String = text.lines().filter(known).flat_map(|line| [line, "\n"]).collect();
    files::write(metrics, kept.as_bytes())
}

/// The best mean Dice that an earlier part of this training has logged.
fn best_so_far(metrics: &Path) -> Option<f64> {
    let dice = |line: LogLine| if let LogLine::Validation(v) = line { v.report.mean_dice } else { None };
    read_log(metrics).into_iter().filter_map(dice).max_by(f64::total_cmp)
}

fn read_log(metrics: &Path) -> Vec<LogLine> {
    LogLine::parse_all(&std::fs::read_to_string(metrics).unwrap_or_default())
}

fn model_info(
    config: &TrainingConfig,
    sets: &[LoadedSet],
    training: &[PreparedCase],
    validation: &[PreparedCase],
    trained: OrganSet,
    steps: u64,
    found: Option<&ValidationReport>,
) -> ModelInfo {
    let trained_organs = trained
        .iter()
        .map(|organ: Organ| {
            let with = |c: &&PreparedCase| config.data[c.set].weight > 0.0 && c.shown().contains(organ);
            let mut source: Vec<String> = training.iter().filter(with).map(|c| sets[c.set].set.name.clone()).collect();
            source.dedup();
            let dice = found.and_then(|f| f.dice[organ.index()].1);
            let mut entry = TrainedOrgan {
                organ,
                patients: training.iter().filter(with).count(),
                source,
                validation_dice: None,
                validation_patients: 0,
                enabled: false,
            };
            entry.set_validation(dice, validation.iter().filter(|c| c.shown().contains(organ)).count());
            entry
        })
        .collect();
    let data = sets
        .iter()
        .enumerate()
        .map(|(n, s)| DataSource {
            name: s.set.name.clone(),
            licence: s.set.license.clone(),
            patients: training.iter().filter(|c| c.set == n).count(),
        })
        .collect();
    ModelInfo {
        format: weights::FORMAT_VERSION,
        name: config.name.clone(),
        network: config.network.clone(),
        input: config.input(),
        trained_organs,
        data,
        held_out: validation.iter().map(|c| c.name.clone()).collect(),
        steps,
        note: "Dice as measured while training, on slices of held-out patients on the model grid.".into(),
    }
}
