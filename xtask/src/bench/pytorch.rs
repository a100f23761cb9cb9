//! `cargo xtask bench --training CONFIG`: the same step of training in PyTorch and in this program, in turns.

use std::path::Path;

use anyhow::{Context, Result};

use super::python::python_with;
use crate::process::{output, program, root};

/// How often either program has its turn.
const TURNS: usize = 5;
/// Steps of a turn, unless told otherwise.
const STEPS: &str = "5";

/// Medians of pairs on the same processor; a table.
///
/// # Errors
/// Where PyTorch cannot be installed, or a program fails.
pub fn measure(binary: &Path, config: &str, arguments: &[String]) -> Result<Vec<String>> {
    let python = python_with("numpy, safetensors, torch", &["numpy", "safetensors", "torch"])?;
    let script = root().join("xtask/pytorch_step.py");
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|n| arguments.get(n + 1));
    let mut options = vec!["--steps", option("--steps").map_or(STEPS, String::as_str)];
    options.extend(option("--batch").iter().flat_map(|batch| ["--batch", batch.as_str()]));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let text = output(program(binary).args(["bench", "--training", config]).args(&options))?;
        ours.push(after(&text, "seconds per step: ").context("`bench` names no seconds per step")?);
        let text = output(program(&python).arg(&script).arg(config).args(&options))?;
        theirs.push(after(&text, "at once): ").context("PyTorch's script names no seconds per step")?);
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [ours, theirs, ratio] = [&mut ours, &mut theirs, &mut ratios].map(|turns| {
        turns.sort_by(f64::total_cmp);
        turns[turns.len() / 2]
    });
    Ok(vec![
        "| program | seconds a step, median | ratio, median of pairs |".into(),
        "|---|---|---|".into(),
        format!("| PyTorch | {theirs:.3} | 1 |"),
        format!("| attention-anatomy | {ours:.3} | {ratio:.2} |"),
    ])
}

/// The number behind some words.
fn after(text: &str, words: &str) -> Option<f64> {
    let rest = &text[text.find(words)? + words.len()..];
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_are_found_in_what_both_programs_print() {
        assert_eq!(after("light: batch of 8\nseconds per step: 0.512\n", "seconds per step: "), Some(0.512));
        let theirs = "PyTorch 2.9, CPU, 2 threads, batch of 8 (8 at once): 1.190 s per step\n";
        assert_eq!(after(theirs, "at once): "), Some(1.19));
        assert_eq!(after("seconds per step: none", "seconds per step: "), None);
    }
}
