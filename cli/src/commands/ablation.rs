//! `attention-anatomy ablation`: the paper's table, with and without attention and re-calibration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dataset::Hpa;
use attention_anatomy::metrics::{Comparison, DEFAULT_TOLERANCE_MM, System};
use attention_anatomy::train::TrainingConfig;

use super::data;
use crate::device::DeviceChoice;
use crate::evaluation::Options;
use crate::experiment::{self, Experiment, Part, Run};
use crate::router::{self, Router};
use crate::variant::{self, Variant};
use crate::{interrupt, number, progress};

/// Trains the four systems of the paper and a region router alike and puts them side by side. Stop with Ctrl-C; the same
/// command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file of the full system, AttentionAnatomy + HPA; the others are derived from it.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the trainings and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Trainings of each system, with the seed of the training file and those that follow it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Do only part k of n of the trainings, as one task of an array job.
    #[arg(long, value_name = "K/N", conflicts_with = "merge")]
    part: Option<Part>,
    /// Do nothing but make the results of trainings that are done.
    #[arg(long)]
    merge: bool,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Device.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
}

/// What is done in one go.
enum Task<'a> {
    Run(Box<Run>),
    Router(&'a Router),
}

/// A row of the paper's table.
#[derive(Clone, Copy, Debug)]
pub struct Ablated {
    /// As the paper calls it.
    pub name: &'static str,
    /// The system that it is judged against.
    against: Option<&'static str>,
    attention: bool,
    recalibrated: bool,
}

/// The rows, in the paper's order.
pub const SYSTEMS: [Ablated; 4] = [
    Ablated { name: "Vanilla U-Net", against: None, attention: false, recalibrated: false },
    Ablated { name: "Vanilla U-Net + HPA", against: Some("Vanilla U-Net"), attention: false, recalibrated: true },
    Ablated { name: "AttentionAnatomy", against: Some("Vanilla U-Net"), attention: true, recalibrated: false },
    Ablated { name: "AttentionAnatomy + HPA", against: Some("AttentionAnatomy"), attention: true, recalibrated: true },
];

impl Ablated {
    /// The training of this system. All share encoder, data, seed and number of segmentation steps; where there is no region
    /// branch, its pre-training and its loss fall away.
    pub fn run(&self, base: &TrainingConfig, seed: u64, output: &Path) -> Run {
        self.variant().run(base, seed, output)
    }

    fn variant(&self) -> Variant {
        Variant {
            name: self.name.into(),
            against: self.against.into_iter().map(String::from).collect(),
            attention: Some(self.attention),
            hpa: (!self.recalibrated).then_some(Hpa::Off),
            ..Variant::default()
        }
    }
}

/// Reads the training file of the full system.
pub fn full_system(path: &Path) -> Result<TrainingConfig> {
    let (_, config) = data::training_file(path)?;
    if !config.network.attention || config.hpa == Hpa::Off {
        bail!(
            "{}: an ablation begins with the full system; it needs network.attention = true and hpa = \"source_region\" or \"source\"",
            path.display()
        );
    }
    Ok(config)
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let config = full_system(&args.config)?;
    let seeds: Vec<u64> = (0..args.seeds).map(|n| config.seed.wrapping_add(n)).collect();
    let routers: Vec<Router> = seeds.iter().map(|&s| Router::new(&config, s, &args.output)).collect();
    if !args.merge {
        // Systems that share the preparation of a seed's patients come one after the other.
        let order = [0, 2, 1, 3].map(|n| &SYSTEMS[n]);
        let all: Vec<Task<'_>> = seeds
            .iter()
            .zip(&routers)
            .flat_map(|(&seed, router)| {
                let one = |system: &Ablated| Task::Run(Box::new(system.run(&config, seed, &args.output)));
                order.map(one).into_iter().chain([Task::Router(router)]).collect::<Vec<_>>()
            })
            .collect();
        let is_mine = |n: usize| args.part.is_none_or(|Part(part)| n % part.of + 1 == part.index);
        let mine: Vec<&Task<'_>> = all.iter().enumerate().filter(|(n, _)| is_mine(*n)).map(|(_, task)| task).collect();
        let device = args.device.open()?;
        let options = Options::new(args.tolerance_mm);
        let mut experiment = Experiment::new(&args.data, &device, options, interrupt::flag()?);
        for (n, task) in mine.iter().enumerate() {
            let of = format!("{} of {}", n + 1, mine.len());
            let finished = match task {
                Task::Run(run) => experiment.next(run, &of)?,
                Task::Router(router) => {
                    progress::note(&format!("{} ({of})", router.whole.name));
                    router.run(&mut experiment)?
                }
            };
            if !finished {
                return Ok(ExitCode::SUCCESS);
            }
        }
        if args.part.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let mut systems = variant::systems(&SYSTEMS.map(|s| s.variant()), &config, &seeds, &args.output)?;
    let whole: Vec<Run> = routers.iter().map(|router| router.whole.clone()).collect();
    systems.push(System {
        name: router::NAME.into(),
        multiply_adds: routers[0].multiply_adds(),
        runs: experiment::results(&whole)?,
        against: Vec::new(),
    });
    let comparison = Comparison {
        subject: format!(
            "The four systems of the paper and a router that has a network for each region, trained alike on the data of {}: \
             {} segmentation steps of {} slices each.",
            config.name,
            config.segmentation_steps(),
            config.batch
        ),
        over: "seeds".into(),
        systems,
        chosen: None,
    };
    experiment::publish(&comparison, &args.output)?;
    Ok(ExitCode::SUCCESS)
}
