//! The paper's table and the fifth row beside it: a region router, the brute-force approach that the paper argues against.
//!
//! A classifier tells the region of a slice, and a plain U-Net of that region alone draws it: six trainings where
//! AttentionAnatomy has one. Each of the five has as many segmentation steps as every other system, so that none of them is judged before
//! it has learned; a region of which the data have no slice has no network.

use super::experiment::{self, Experiment, TrainingRun};
use super::tasks::{Choice, PlannedTask};
use super::variant::{self, PAPER_ROWS};
use super::{TrainError, TrainingConfig};
use crate::anatomy::{OrganSet, REGION_COUNT, Region};
use crate::artifacts::ArtifactStore;
use crate::dataset::Fold;
use crate::infer::{ComputeDevice, Model, RegionRouter, WeightsUsed};
use crate::loss::LossWeights;
use crate::metrics::{self, Comparison, MeasureError, Subject, System};
use crate::network::count::multiply_adds;
use crate::network::weights::TrainedOrgan;

/// As the table calls it.
pub const NAME: &str = "Region router + HPA";
/// Name of its folder.
const ID: &str = "router-hpa";

/// The trainings of a router.
#[derive(Clone, Debug)]
pub struct Router {
    /// The router as a whole: its configuration is that of the classifier, its folder holds what was measured.
    pub whole: TrainingRun,
    classifier: TrainingRun,
    specialists: [TrainingRun; REGION_COUNT],
}

impl Router {
    /// The router with the data and the schedule of the full system.
    pub fn new(base: &TrainingConfig, seed: u64) -> Self {
        let fold = base.fold;
        let of_fold = fold.map_or(String::new(), |fold| format!("/{}", fold.folder()));
        let folder = format!("{ID}/seed-{seed}{of_fold}");
        let run = |name: &str, config: TrainingConfig, folder: String| {
            let fold = fold.map_or(String::new(), |fold| format!(", fold {fold}"));
            let name = format!("{NAME}, {name}, seed {seed}{fold}");
            TrainingRun { config: TrainingConfig { name: name.clone(), seed, ..config }, name, folder }
        };
        let mut classifier = base.clone();
        for phase in &mut classifier.phases {
            phase.loss = LossWeights { region: 1.0, ..LossWeights::default() };
        }
        let specialist = |region: Region| {
            let mut config = base.clone();
            config.network.attention = false;
            config.region = Some(region);
            config.without_regions();
            run(region.name(), config, format!("{folder}/{}", region.id()))
        };
        Self {
            whole: run("all", classifier.clone(), folder.clone()),
            classifier: run("classifier", classifier, format!("{folder}/classifier")),
            specialists: Region::ALL.map(specialist),
        }
    }

    /// Multiply-adds of a slice: classifier and one U-Net.
    pub fn multiply_adds(&self) -> u64 {
        let crop = self.classifier.config.input().crop;
        let of = |run: &TrainingRun| multiply_adds(&run.config.network, crop);
        of(&self.classifier).classifier() + of(&self.specialists[0]).unet()
    }

    /// Trains and measures whatever is not done. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn run(&self, experiment: &mut Experiment<'_>) -> Result<bool, TrainError> {
        let store = experiment.store();
        if self.whole.finished(store)?.is_some() {
            return Ok(true);
        }
        let mut specialists = Vec::new();
        for run in &self.specialists {
            specialists.push(experiment.has_slices(&run.config)?.then_some(run));
        }
        for run in std::iter::once(&self.classifier).chain(specialists.iter().copied().flatten()) {
            if !experiment.trained(run).map_err(experiment::of_run(&run.name))? {
                return Ok(false);
            }
        }
        let classifier = self.classifier.model(store)?;
        let networks: Vec<Option<Model>> =
            specialists.into_iter().map(|run| run.map(|run| run.model(store)).transpose()).collect::<Result<_, _>>()?;
        experiment.measured(&self.whole, |device, patients, _| {
            let head = format!("{NAME}, held-out patients: {}.", metrics::by_set(patients));
            Ok((subject(&classifier, &networks, device)?, head))
        })
    }
}

/// A router of trained networks, with all organs that one of them has learned.
fn subject(classifier: &Model, networks: &[Option<Model>], device: &ComputeDevice) -> Result<Subject, MeasureError> {
    let mut info = classifier.info.clone();
    info.trained_organs.clear();
    for model in networks.iter().flatten() {
        let new = |t: &&TrainedOrgan| info.trained_organs.iter().all(|known| known.organ != t.organ);
        let more: Vec<TrainedOrgan> = model.info.trained_organs.iter().filter(new).cloned().collect();
        info.trained_organs.extend(more);
    }
    let mut engines = Vec::new();
    for model in networks {
        let engine = |model: &Model| model.engine(device, model.info.organs(true));
        engines.push(model.as_ref().map(engine).transpose()?);
    }
    let specialists = <[_; REGION_COUNT]>::try_from(engines).map_err(|_| MeasureError::Router)?;
    let classify = classifier.engine(device, OrganSet::EMPTY)?;
    let weights = WeightsUsed { name: NAME.into(), sha256: String::new(), info };
    let engine = Box::new(RegionRouter::new(classify, specialists));
    Ok(Subject { weights, engine, without_attention: None, regions: true })
}

/// What is done in one go.
#[derive(Clone, Debug)]
enum Task {
    Run(Box<TrainingRun>),
    Router(Box<Router>),
}

impl Task {
    fn id(&self) -> &str {
        match self {
            Self::Run(run) => &run.folder,
            Self::Router(router) => &router.whole.folder,
        }
    }

    fn planned(&self, store: &dyn ArtifactStore) -> PlannedTask {
        match self {
            Self::Run(run) => run.task(store),
            Self::Router(router) => {
                let parts = std::iter::once(&router.classifier).chain(&router.specialists);
                PlannedTask { steps: parts.map(|run| run.config.total_steps()).sum(), ..router.whole.task(store) }
            }
        }
    }
}

/// The paper's four systems and a router, trained alike with several seeds.
#[derive(Clone, Debug)]
pub struct Ablation {
    base: TrainingConfig,
    /// Seed, fold and router of each run of a system, those of a seed one after the other.
    repeats: Vec<(TrainingConfig, Router)>,
    /// What the runs of a system differ in.
    over: &'static str,
}

impl Ablation {
    /// The systems with the data and the schedule of the full one, which is `base`: trained with so many seeds, the first of them that of
    /// `base`, and with `folds` on each fold of a cross-validation with each seed.
    pub fn new(base: &TrainingConfig, seeds: u64, folds: Option<usize>) -> Self {
        let of_seed = |n: u64| {
            let seeded = TrainingConfig { seed: base.seed.wrapping_add(n), ..base.clone() };
            let fold = |fold| TrainingConfig { fold, ..seeded.clone() };
            match folds {
                None => vec![fold(base.fold)],
                Some(of) => (1..=of).map(|index| fold(Some(Fold { index, of }))).collect::<Vec<_>>(),
            }
        };
        let repeat = |config: TrainingConfig| (config.clone(), Router::new(&config, config.seed));
        let over = match (folds, seeds) {
            (None, _) => "seeds",
            (Some(_), 1) => "folds",
            (Some(_), _) => "seeds and folds",
        };
        Self { base: base.clone(), repeats: (0..seeds).flat_map(of_seed).map(repeat).collect(), over }
    }

    /// The training that the systems are derived from.
    pub fn full_system(&self) -> &TrainingConfig {
        &self.base
    }

    /// Everything that there is to do. Systems that share the preparation of a seed's patients come one after the other.
    fn tasks(&self) -> Vec<Task> {
        const ORDER: [usize; 4] = [0, 2, 1, 3];
        let of_repeat = |(config, router): &(TrainingConfig, Router)| {
            let run = |n: usize| Task::Run(Box::new(PAPER_ROWS[n].variant().run(config, config.seed)));
            ORDER.map(run).into_iter().chain([Task::Router(Box::new(router.clone()))]).collect::<Vec<_>>()
        };
        self.repeats.iter().flat_map(of_repeat).collect()
    }

    /// The tasks, each of which can be done by itself.
    pub fn plan(&self, store: &dyn ArtifactStore) -> Vec<PlannedTask> {
        self.tasks().iter().map(|task| task.planned(store)).collect()
    }

    /// Trains and measures whatever is not done, of what is chosen. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn run(&self, choice: &Choice, experiment: &mut Experiment<'_>) -> Result<bool, TrainError> {
        let tasks = choice.of(self.tasks(), Task::id)?;
        for (n, task) in tasks.iter().enumerate() {
            let of = format!("{} of {}", n + 1, tasks.len());
            let finished = match task {
                Task::Run(run) => experiment.next(run, &of)?,
                Task::Router(router) => {
                    experiment.announce(&router.whole, &of);
                    router.run(experiment)?
                }
            };
            if !finished {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the runs say together.
    ///
    /// # Errors
    /// [`TrainError::NotDone`].
    pub fn comparison(&self, store: &dyn ArtifactStore) -> Result<Comparison, TrainError> {
        let rows = PAPER_ROWS.map(|row| row.variant());
        let repeats: Vec<&TrainingConfig> = self.repeats.iter().map(|(config, _)| config).collect();
        let mut systems = variant::systems(&rows, &self.base, &repeats, store)?;
        let whole: Vec<TrainingRun> = self.repeats.iter().map(|(_, router)| router.whole.clone()).collect();
        systems.push(System {
            name: NAME.into(),
            multiply_adds: self.repeats.first().map_or(0, |(_, router)| router.multiply_adds()),
            runs: experiment::results(&whole, store)?,
            against: Vec::new(),
        });
        let subject = format!(
            "The four systems of the paper and a router that has a network for each region, trained alike on the data of {}: \
             {} segmentation steps of {} slices for each network.",
            self.base.name,
            self.base.segmentation_steps(),
            self.base.batch
        );
        Ok(Comparison { subject, over: self.over.into(), systems, chosen: None })
    }
}

#[cfg(test)]
mod tests;
