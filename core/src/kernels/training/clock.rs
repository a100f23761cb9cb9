//! Where the time of a step goes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use web_time::Instant;

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Weights into the order of their use.
    Weights,
    /// Convolutions on the way forward.
    Forward,
    /// Statistics, normalisations, shortcuts and ReLU.
    Normalisation,
    /// Gradients of convolutions by their input.
    InputGradient,
    /// Gradients of convolutions by their weights.
    WeightGradient,
    /// The ways back through normalisations, shortcuts and ReLU.
    NormalisationGradient,
    /// Planes into blocks of channels, and back.
    Layout,
    /// Attention, re-calibration and losses, with their gradients.
    Losses,
    /// The update of the weights.
    Optimiser,
}

impl Kind {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 9] = [
        Self::Layout,
        Self::Weights,
        Self::Forward,
        Self::Normalisation,
        Self::Losses,
        Self::InputGradient,
        Self::WeightGradient,
        Self::NormalisationGradient,
        Self::Optimiser,
    ];

    /// What it is called in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights into the order of their use",
            Self::Forward => "forward: convolutions",
            Self::Normalisation => "forward: normalisation, shortcut, ReLU",
            Self::InputGradient => "backward: gradients by inputs",
            Self::WeightGradient => "backward: gradients by weights",
            Self::NormalisationGradient => "backward: normalisation, shortcut, ReLU",
            Self::Losses => "attention, re-calibration, losses, and back",
            Self::Optimiser => "optimiser",
            Self::Layout => "planes into blocks of channels, and back",
        }
    }
}

/// Time and multiply-adds of a kind of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Nanoseconds, of all threads together.
    pub nanoseconds: u64,
    /// Multiply-adds, as a convolution is defined.
    pub multiply_adds: u64,
}

/// Adds up what each kind of work takes, from all threads.
#[derive(Debug, Default)]
pub struct Clock {
    spent: [[AtomicU64; 2]; Kind::ALL.len()],
}

impl Clock {
    /// Does some work.
    pub fn time<R>(&self, kind: Kind, multiply_adds: u64, work: impl FnOnce() -> R) -> R {
        let clock = Instant::now();
        let result = work();
        let [time, operations] = &self.spent[kind as usize];
        time.fetch_add(clock.elapsed().as_nanos() as u64, Relaxed);
        operations.fetch_add(multiply_adds, Relaxed);
        result
    }

    /// Adds work that was timed otherwise.
    pub fn add(&self, kind: Kind, nanoseconds: u64) {
        self.spent[kind as usize][0].fetch_add(nanoseconds, Relaxed);
    }

    /// What a kind took since the last time of asking.
    pub fn take(&self, kind: Kind) -> Spent {
        let [nanoseconds, multiply_adds] = self.spent[kind as usize].each_ref().map(|sum| sum.swap(0, Relaxed));
        Spent { nanoseconds, multiply_adds }
    }
}
