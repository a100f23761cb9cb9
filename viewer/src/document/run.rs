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
pub struct RunState {
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
    /// Since when it is held.
    pub held: Option<Instant>,
    /// Seconds that it took without those for which it was held, once it is over.
    pub seconds: Option<f64>,
}

impl RunState {
    /// Whether slices may still come.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, RunPhase::Running | RunPhase::Paused)
    }

    /// Holds it, or lets it go on; the time between is not the engine's.
    pub fn hold(&mut self, held: bool) {
        self.phase = if held { RunPhase::Paused } else { RunPhase::Running };
        if held {
            self.held = Some(Instant::now());
        } else {
            self.forget_held_time();
        }
    }

    /// Ends it.
    pub fn end(&mut self, phase: RunPhase) {
        self.forget_held_time();
        self.seconds = self.started.map(|s| s.elapsed().as_secs_f64());
        self.phase = phase;
    }

    fn forget_held_time(&mut self) {
        if let (Some(held), Some(started)) = (self.held.take(), self.started.as_mut()) {
            *started += held.elapsed();
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_for_which_a_run_is_held_is_not_counted() {
        let before = Instant::now().checked_sub(Duration::from_secs(100));
        let mut run = RunState { done: 10, total: 20, started: before, ..RunState::default() };
        run.hold(true);
        run.held = Instant::now().checked_sub(Duration::from_secs(60));
        run.hold(false);
        let speed = run.slices_per_second().unwrap();
        assert!((speed - 0.25).abs() < 0.01, "{speed}");
        run.hold(true);
        run.held = Instant::now().checked_sub(Duration::from_secs(30));
        run.end(RunPhase::Cancelled);
        assert!((run.seconds.unwrap() - 10.0).abs() < 1.0);
    }
}
