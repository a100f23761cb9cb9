//! A run in stages. Every stage is run even after one has failed, because whoever waits for a long run wants to know
//! all that is wrong; nothing that was left out looks like something that passed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::say;

/// How a stage ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Passed, and nothing more is to be said.
    Ok,
    /// Passed, and what is to be said of it.
    Passed(String),
    /// Did not pass; the run fails.
    Failed(String),
    /// Could not be done on this machine, and why. The run does not fail for it.
    NotChecked(String),
}

impl Outcome {
    /// Passed, or failed with this sentence.
    pub fn passed(success: bool, otherwise: &str) -> Self {
        if success { Self::Ok } else { Self::Failed(otherwise.to_string()) }
    }
}

struct Row {
    name: String,
    outcome: Outcome,
    duration: Duration,
}

/// The stages that have been run.
#[derive(Default)]
pub struct Stages {
    rows: Vec<Row>,
}

impl Stages {
    /// Runs a stage under a heading. An error of its own counts as failed.
    pub fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<Outcome>) {
        say::heading(name);
        let start = Instant::now();
        let outcome = stage().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        let row = Row { name: name.to_string(), outcome, duration: start.elapsed() };
        say::line(&format!("--- {}", row.text(0)));
        self.rows.push(row);
    }

    /// Adds to the table what came out of a stage beside its own outcome.
    pub fn add(&mut self, name: &str, outcome: Outcome) {
        self.rows.push(Row { name: name.to_string(), outcome, duration: Duration::ZERO });
    }

    /// The table of all stages, and the exit code: failure when one stage failed.
    pub fn finish(self) -> ExitCode {
        say::heading("stages");
        say::line(&self.table());
        if self.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn failed(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        self.rows.iter().map(|row| row.text(width)).collect::<Vec<_>>().join("\n")
    }
}

impl Row {
    fn text(&self, width: usize) -> String {
        let (word, why) = match &self.outcome {
            Outcome::Ok => ("ok", String::new()),
            Outcome::Passed(what) => ("ok", format!("  {what}")),
            Outcome::Failed(why) => ("failed", format!("  {why}")),
            Outcome::NotChecked(why) => ("not checked", format!("  {why}")),
        };
        format!("{:width$}  {:>8.1} s  {word}{why}", self.name, self.duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(outcomes: &[Outcome]) -> Stages {
        let mut stages = Stages::default();
        for (n, outcome) in outcomes.iter().enumerate() {
            stages.run(&format!("stage {n}"), || Ok(outcome.clone()));
        }
        stages
    }

    #[test]
    fn only_a_failed_stage_fails_the_run() {
        let skipped = Outcome::NotChecked("no compiler".into());
        assert!(!stages(&[Outcome::Ok, skipped.clone()]).failed());
        assert!(stages(&[Outcome::Ok, Outcome::Failed("broken".into()), skipped]).failed());
    }

    #[test]
    fn an_error_inside_a_stage_fails_it_with_its_words() {
        let mut stages = Stages::default();
        stages.run("start", || anyhow::bail!("rustup cannot be started"));
        assert!(stages.failed());
        assert!(stages.table().contains("failed  rustup cannot be started"), "{}", stages.table());
    }

    #[test]
    fn the_table_says_why_something_was_not_checked() {
        let table = stages(&[Outcome::Ok, Outcome::NotChecked("no linker".into())]).table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("stage 0") && lines[0].ends_with("ok"), "{table}");
        assert!(lines[1].ends_with("not checked  no linker"), "{table}");
    }
}
