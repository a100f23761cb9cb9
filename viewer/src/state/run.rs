//! The segmentation under way.

use web_time::Instant;

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    /// None was started on this study.
    #[default]
    Idle,
    /// Slices are coming.
    Running,
    /// Held by the user.
    Paused,
    /// All slices are there.
    Finished,
    /// Stopped by the user; what was done stays.
    Cancelled,
    /// Stopped by an error; what was done stays.
    Failed(String),
}

/// The segmentation under way.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its number; events of other runs are late and dropped.
    pub number: u64,
    /// Where it is.
    pub phase: RunPhase,
    /// Slices done.
    pub done: usize,
    /// Slices in all.
    pub total: usize,
    /// When the first slice of it was asked for.
    pub started: Option<Instant>,
    /// Seconds that it took, once it is over.
    pub seconds: Option<f64>,
}

impl Run {
    /// Whether slices may still come.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, RunPhase::Running | RunPhase::Paused)
    }

    /// Slices a second so far, once there is something to say.
    pub fn slices_per_second(&self) -> Option<f64> {
        let seconds = self.seconds.or_else(|| self.started.map(|s| s.elapsed().as_secs_f64()))?;
        (self.done > 0 && seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Seconds that it will still take.
    pub fn seconds_left(&self) -> Option<f64> {
        Some(self.total.saturating_sub(self.done) as f64 / self.slices_per_second()?)
    }
}
