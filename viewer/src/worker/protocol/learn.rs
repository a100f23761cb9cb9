//! What is asked of the small training, and what it answers.

use attention_anatomy::anatomy::{ORGAN_COUNT, REGION_COUNT};
use attention_anatomy::dataset::Hpa;
use serde::{Deserialize, Serialize};

use crate::worker::codec;

/// What the small training of a lesson is to be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnSettings {
    /// With the region branch and its attention vector.
    pub attention: bool,
    /// What makes a re-calibration weight 1.
    pub hpa: Hpa,
    /// Seed of the start weights, of the phantoms and of the order of the slices.
    pub seed: u64,
}

/// For the panel that trains a small network on phantoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnCommand {
    /// Begins anew; a training under way is dropped.
    Start {
        /// Its number.
        run: u64,
        /// What is trained, and how.
        settings: LearnSettings,
    },
    /// Holds or goes on.
    Pause(bool),
    /// Ends the training for good.
    Stop,
}

/// Something that the small training says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnEvent {
    /// Which training.
    pub run: u64,
    /// What there is to say.
    pub update: LearnUpdate,
}

/// What the small training says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LearnUpdate {
    /// Phantoms are being made.
    Preparing {
        /// Phantoms that are made.
        done: usize,
        /// In all.
        of: usize,
    },
    /// All is ready; steps follow.
    Started(LearnPlan),
    /// A step was done.
    Step {
        /// Steps so far.
        step: u64,
        /// Dice, focal and region loss, where the phase has them.
        losses: [Option<f32>; 3],
    },
    /// The network's present answers on slices of patients that it was not trained on.
    Evaluation(LearnEvaluation),
    /// All steps are done, or it was stopped.
    Finished,
    /// It cannot go on, and why.
    Failed(String),
}

/// What a small training is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnPlan {
    /// The device, for people.
    pub device: String,
    /// Name of each phase and the step at which it ends; the last one ends the training.
    pub phases: Vec<(String, u64)>,
    /// Scans trained on.
    pub scans: usize,
    /// Parameters of the network.
    pub parameters: usize,
    /// Pixels across and down of the pictures.
    pub size: [usize; 2],
    /// The slices that are shown, from the head down.
    pub slices: Vec<LearnSlice>,
}

/// A slice that is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnSlice {
    /// Where it lies, for people.
    pub title: String,
    /// Grey values.
    #[serde(with = "codec::bytes")]
    pub image: Vec<u8>,
    /// True labels.
    #[serde(with = "codec::bytes")]
    pub truth: Vec<u8>,
    /// True region probabilities.
    pub regions: [f32; REGION_COUNT],
}

/// The network's answers after a step. Dice is the mean over organs, each over all held-out slices, shown or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnEvaluation {
    /// Steps done.
    pub step: u64,
    /// Dice of organs where every set that reaches a slice's height outlines them.
    pub dice_outlined: Option<f32>,
    /// Dice of organs where some set reaches a slice's height without outlining them.
    pub dice_contested: Option<f32>,
    /// Share of held-out slices whose most likely region is the true one; `None` for a plain U-Net.
    pub region_accuracy: Option<f32>,
    /// One for each slice that is shown.
    pub answers: Vec<LearnAnswer>,
}

/// The network's answer on a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnAnswer {
    /// The label of each pixel, row by row.
    #[serde(with = "codec::bytes")]
    pub labels: Vec<u8>,
    /// Region probabilities; `None` for a plain U-Net.
    pub regions: Option<[f32; REGION_COUNT]>,
    /// Its attention vector; `None` for a plain U-Net.
    #[serde(with = "codec::organs")]
    pub attention: Option<[f32; ORGAN_COUNT]>,
    /// Mean Dice over the organs of the slice.
    pub dice: Option<f32>,
}
