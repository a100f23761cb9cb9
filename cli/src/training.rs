//! What trainings say, on a terminal; and what every command needs that trains several.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use attention_anatomy::anatomy::{Organ, Region};
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::metrics::{Comparison, MeasureOptions};
use attention_anatomy::report;
use attention_anatomy::train::{
    self, Experiment, ExperimentSetup, StepReport, TrainError, TrainEvent, ValidationReport,
};
use indicatif::ProgressBar;

use crate::data::FolderSource;
use crate::progress;

/// Draws bars and lines of what a training says.
#[derive(Debug, Default)]
pub struct Monitor {
    device: String,
    bar: Option<ProgressBar>,
    /// Steps done and in all, of a training that has not done one yet.
    steps: (u64, u64),
}

impl Monitor {
    /// Of what computes on this device.
    pub fn new(device: &ComputeDevice) -> Self {
        Self { device: device.name.clone(), ..Self::default() }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| progress::note(text)),
            None => progress::note(text),
        }
    }

    /// A bar of something that is done piece by piece and then no longer of interest.
    fn pieces(&mut self, what: &str, done: usize, of: usize) {
        let bar = self.bar.get_or_insert_with(|| progress::bar(of as u64, what));
        bar.set_position(done as u64);
        if done == of {
            bar.finish_and_clear();
            self.bar = None;
        }
    }

    /// Shows what is said.
    pub fn on_event(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::DoneBefore { run } => self.note(&format!("{run}: done before")),
            TrainEvent::Run { run, place } => self.note(&format!("{run}: {place}")),
            TrainEvent::Preparing { done, of } => self.pieces("prepare", done, of),
            TrainEvent::Measuring { done, of } => self.pieces("evaluate", done, of),
            TrainEvent::Began { training, validation, organs, steps } => {
                self.steps = (0, steps);
                self.note(&format!(
                    "{training} training and {validation} validation patients, {organs} organs; {steps} steps on {}",
                    self.device
                ));
            }
            TrainEvent::Resumed { step } => {
                self.steps.0 = step;
                self.note(&format!("resuming after step {step}"));
            }
            TrainEvent::StartNotRead { place } => {
                self.note(&format!("note: {place} is not read: --restart would begin with it"));
            }
            TrainEvent::ConfigChanged => {
                self.note("note: the training file has changed since this training began; it goes on with the new one")
            }
            TrainEvent::Step(report) => {
                let (before, of) = self.steps;
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = progress::bar(of, "train");
                    // Its rate is that of this call.
                    bar.set_position(before);
                    bar.reset_eta();
                    bar
                });
                bar.set_position(report.step);
                bar.set_message(losses(&report));
            }
            TrainEvent::Validated { step, report } => self.note(&summary(step, &report)),
            TrainEvent::Stopped { step } => {
                if let Some(bar) = self.bar.take() {
                    bar.abandon();
                }
                self.note(&format!("stopped after step {step}; the same command goes on from here"));
            }
            TrainEvent::Finished { .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish();
                }
            }
        }
    }
}

fn losses(report: &StepReport) -> String {
    let term = |name: &str, v: Option<f32>| v.map_or(String::new(), |v| format!(" {name} {v:.3}"));
    format!(
        "{}:{}{}{}{}{}",
        report.phase,
        term("Dice", report.dice),
        term("focal", report.focal),
        term("cross entropy", report.cross_entropy),
        term("region", report.region),
        term("presence", report.presence)
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

/// Does runs that take their patients from below `root` and keep what they make in `store`.
///
/// # Errors
/// What `work` cannot do, or a file of prepared cases in place of the folder.
pub fn experiment<T>(
    root: &Path,
    store: &dyn ArtifactStore,
    device: &ComputeDevice,
    tolerance_mm: f64,
    stop: Arc<AtomicBool>,
    work: impl FnOnce(&mut Experiment<'_>) -> Result<T, TrainError>,
) -> Result<T> {
    let source = FolderSource::new(root)?;
    let mut monitor = Monitor::new(device);
    let mut events = |event| monitor.on_event(event);
    let mut experiment = Experiment::new(ExperimentSetup {
        source: &source,
        store,
        device,
        options: MeasureOptions::new(tolerance_mm),
        report: Some(report::training_report_html),
        stop,
        events: &mut events,
    });
    Ok(work(&mut experiment)?)
}

/// Prints a comparison and writes its files.
///
/// # Errors
/// A file that cannot be written.
pub fn publish(comparison: &Comparison, store: &dyn ArtifactStore) -> Result<()> {
    train::experiment::save_comparison(comparison, store)?;
    progress::print_line(comparison.markdown().trim_end());
    Ok(())
}
