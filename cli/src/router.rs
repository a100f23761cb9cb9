//! The fifth row of the table: a region router, the brute-force approach that the paper argues against.
//!
//! A classifier tells the region of a slice, and a plain U-Net of that region alone draws it: six trainings where
//! AttentionAnatomy has one. The five share the segmentation steps that every other system has to itself; a
//! region of which the data have no slice has no network.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use attention_anatomy::anatomy::{OrganSet, REGION_COUNT, Region};
use attention_anatomy::infer::{Engine, RegionRouter};
use attention_anatomy::network::count::multiply_adds;
use attention_anatomy::network::weights::TrainedOrgan;
use attention_anatomy::train::TrainingConfig;

use crate::evaluation::{self, Subject};
use crate::experiment::{Experiment, Run};
use crate::model::Model;
use crate::pipeline;

/// As the table calls it.
pub const NAME: &str = "Region router + HPA";
/// Name of its folder.
pub const ID: &str = "router-hpa";

/// The trainings of a router.
#[derive(Clone, Debug)]
pub struct Router {
    /// The router as a whole: its configuration is that of the classifier, its folder holds what was measured.
    pub whole: Run,
    classifier: Run,
    specialists: [Run; REGION_COUNT],
}

impl Router {
    /// The router with the data and the schedule of the full system.
    pub fn new(base: &TrainingConfig, seed: u64, output: &Path) -> Self {
        let folder = output.join(ID).join(format!("seed-{seed}"));
        let run = |name: &str, config: TrainingConfig, folder: PathBuf| {
            let name = format!("{NAME}, {name}, seed {seed}");
            Run { config: TrainingConfig { name: name.clone(), seed, ..config }, name, folder }
        };
        let mut classifier = base.clone();
        for phase in &mut classifier.phases {
            (phase.loss.dice, phase.loss.focal, phase.loss.region) = (0.0, 0.0, 1.0);
        }
        let specialist = |region: Region| {
            let mut config = base.clone();
            config.network.attention = false;
            config.region = Some(region);
            config.phases.retain(|phase| phase.loss.segments());
            config.phases.iter_mut().for_each(|phase| phase.loss.region = 0.0);
            config.steps_per_epoch = base.steps_per_epoch.div_ceil(REGION_COUNT as u64);
            run(region.name(), config, folder.join(region.id()))
        };
        Self {
            whole: run("all", classifier.clone(), folder.clone()),
            classifier: run("classifier", classifier, folder.join("classifier")),
            specialists: Region::ALL.map(specialist),
        }
    }

    /// Multiply-adds of a slice: classifier and one U-Net.
    pub fn multiply_adds(&self) -> u64 {
        let crop = self.classifier.config.input().crop;
        let of = |run: &Run| multiply_adds(&run.config.network, crop);
        of(&self.classifier).classifier() + of(&self.specialists[0]).unet()
    }

    /// Trains and measures whatever is not done. False when it was asked to stop.
    pub fn run(&self, experiment: &mut Experiment<'_>) -> Result<bool> {
        if self.whole.finished()?.is_some() {
            return Ok(true);
        }
        let mut specialists = Vec::new();
        for run in &self.specialists {
            specialists.push(experiment.has_slices(&run.config)?.then_some(run));
        }
        for run in std::iter::once(&self.classifier).chain(specialists.iter().copied().flatten()) {
            if !experiment.trained(run).with_context(|| run.name.clone())? {
                return Ok(false);
            }
        }
        let classifier = self.classifier.model()?;
        let mut info = classifier.info.clone();
        info.trained_organs.clear();
        let mut networks = Vec::new();
        for run in specialists {
            let Some(model) = run.map(Run::model).transpose()? else {
                networks.push(None);
                continue;
            };
            let new = |t: &&TrainedOrgan| info.trained_organs.iter().all(|known| known.organ != t.organ);
            let more: Vec<TrainedOrgan> = model.info.trained_organs.iter().filter(new).cloned().collect();
            info.trained_organs.extend(more);
            networks.push(Some(model));
        }
        experiment.measured(&self.whole, |device, patients, options, stop| {
            let mut engines = Vec::new();
            for model in &networks {
                let engine = |model: &Model| -> Result<Box<dyn Engine>> {
                    Ok(Box::new(pipeline::engine(model, device, model.info.organs(true))?))
                };
                engines.push(model.as_ref().map(engine).transpose()?);
            }
            let specialists = <[_; REGION_COUNT]>::try_from(engines).ok().context("a region is missing")?;
            let tells = Box::new(pipeline::engine(&classifier, device, OrganSet::EMPTY)?);
            let engine = Box::new(RegionRouter::new(tells, specialists));
            let subject = format!("{NAME}, held-out patients: {}.", evaluation::by_set(patients));
            let measured = Subject { info: &info, engine, without_attention: None, regions: true };
            evaluation::evaluate(measured, device, patients, subject, options, stop)
        })
    }
}
