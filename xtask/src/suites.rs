//! The test programs, run one after the other to the last, whatever fails on the way: `cargo test` ends at the first that fails,
//! and its summaries are lost among thousands of lines.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process::{cargo, program};
use crate::say;
use crate::stages::{Outcome, Stages};

/// Where a test that cannot run on this machine says so: `name TAB reason`, a line each. tests/src/lib.rs writes it.
const NOT_RUN: &str = "ATTENTION_ANATOMY_NOT_RUN";

/// A program of tests.
#[derive(Debug)]
struct Suite {
    name: String,
    executable: PathBuf,
    /// Of its package: where cargo would run it.
    folder: PathBuf,
}

/// What of cargo's messages is read here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

/// Builds and runs the tests of these packages; each program is a stage, and each test that did not run a line of the table.
pub fn run(stages: &mut Stages, name: &str, packages: &[&str]) {
    let mut suites = Vec::new();
    stages.run(&format!("{name}: build"), || {
        let built = build(packages)?;
        let passed = Outcome::passed(built.is_some(), "see above");
        suites = built.unwrap_or_default();
        Ok(passed)
    });
    let log = std::env::temp_dir().join(format!("attention-anatomy-not-run-{}", std::process::id()));
    for suite in &suites {
        stages.run(&suite.name, || suite.run(&log));
    }
    let skipped = std::fs::read_to_string(&log).unwrap_or_default();
    for (test, why) in skipped.lines().filter_map(|line| line.split_once('\t')) {
        stages.add(&format!("test {test}"), Outcome::NotChecked(why.into()));
    }
    // Nothing to remove where nothing was left out.
    std::fs::remove_file(&log).ok();
}

/// The programs; `None` where they do not compile.
fn build(packages: &[&str]) -> Result<Option<Vec<Suite>>> {
    let mut arguments = vec!["test", "--release", "--no-run", "--message-format", "json-render-diagnostics"];
    arguments.extend(packages);
    let mut command = cargo(&arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let mut suites = Vec::new();
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        let line = line.context("the output of cargo cannot be read")?;
        suites.extend(suite(&line));
    }
    Ok(child.wait().context("cargo cannot be waited for")?.success().then_some(suites))
}

fn suite(line: &str) -> Option<Suite> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" || !message.profile?.test {
        return None;
    }
    let folder = message.manifest_path?.parent()?.to_path_buf();
    let package = folder.file_name()?.to_string_lossy().into_owned();
    let target = message.target?.name;
    Some(Suite { name: format!("tests of {package} ({target})"), executable: message.executable?, folder })
}

/// What a test program said of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    result: Option<String>,
    ignored: Vec<String>,
    failed: Vec<String>,
}

impl Summary {
    fn hear(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result = Some(result.split("; finished").next().unwrap_or(result).to_string());
        }
        match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            Some((name, "FAILED")) => self.failed.push(name.into()),
            Some((name, how)) if how.starts_with("ignored") => self.ignored.push(name.into()),
            _ => {}
        }
    }

    fn outcome(self, passed: bool) -> Outcome {
        match self.result {
            None => Outcome::Failed("it ended without a result: a crash, or no test program".into()),
            Some(result) if !passed => Outcome::Failed(format!("{result}: {}", self.failed.join(", "))),
            Some(result) if !self.ignored.is_empty() => {
                Outcome::NotChecked(format!("{result}; ignored: {}", self.ignored.join(", ")))
            }
            Some(result) => Outcome::Passed(result.trim_start_matches("ok. ").into()),
        }
    }
}

impl Suite {
    fn run(&self, log: &Path) -> Result<Outcome> {
        let mut command = program(&self.executable);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder).env(NOT_RUN, log);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", self.executable.display()))?;
        let Some(output) = child.stdout.take() else { bail!("{} has no output", self.executable.display()) };
        let mut summary = Summary::default();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("the output of the tests cannot be read")?;
            let line = String::from_utf8_lossy(&line);
            say::line(&line);
            summary.hear(&line);
        }
        Ok(summary.outcome(child.wait().context("the tests cannot be waited for")?.success()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::root;

    #[test]
    fn a_test_program_is_found_among_the_messages_of_cargo() {
        let line = |test: bool, executable: &str| {
            let manifest = root().join("core/Cargo.toml");
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":{manifest:?},"target":{{"name":"attention_anatomy"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let found = suite(&line(true, "\"deps/x\"")).unwrap();
        assert_eq!(found.name, "tests of core (attention_anatomy)");
        assert_eq!((found.executable, found.folder), (PathBuf::from("deps/x"), root().join("core")));
        assert!(suite(&line(false, "\"deps/x\"")).is_none());
        assert!(suite(&line(true, "null")).is_none());
        assert!(suite(r#"{"reason":"build-finished","success":true}"#).is_none());
    }

    #[test]
    fn a_summary_tells_what_passed_what_was_ignored_and_what_crashed() {
        let heard = |lines: &[&str], passed| {
            let mut summary = Summary::default();
            lines.iter().for_each(|line| summary.hear(line));
            summary.outcome(passed)
        };
        let fine = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        let counts = "3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(heard(&["test a ... ok", fine], true), Outcome::Passed(counts.into()));
        let ignored = heard(&["test a::b ... ignored, slow", fine], true);
        assert!(matches!(&ignored, Outcome::NotChecked(why) if why.ends_with("ignored: a::b")), "{ignored:?}");
        let failed = heard(&["test a ... FAILED", "test b ... ok", "test result: FAILED. 1 passed; 1 failed"], false);
        assert_eq!(failed, Outcome::Failed("FAILED. 1 passed; 1 failed: a".into()));
        assert!(matches!(heard(&["running 3 tests"], false), Outcome::Failed(_)));
    }
}
