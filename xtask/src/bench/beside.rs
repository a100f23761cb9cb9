//! A slice beside onnxruntime and beside burn, with the same weights: in turns, so that whatever else the machine does meets all of
//! them. What counts is the ratio of two turns that follow one another; the table shows medians.

use std::path::Path;

use anyhow::{Context, Result};

use super::python::python_with;
use crate::process::{output, program, root};

/// The release of onnxruntime that is measured.
const ONNXRUNTIME: &str = "onnxruntime==1.32.0";
/// How often either program has its turn.
const TURNS: usize = 7;
/// Slices of a turn.
const SLICES: &str = "12";

/// An input: columns and rows that others compute, and the body in air of which we compute so many; `None` for the whole field.
struct Size {
    pixels: [&'static str; 2],
    body: Option<&'static str>,
}

const SIZES: [Size; 2] =
    [Size { pixels: ["160", "160"], body: None }, Size { pixels: ["96", "64"], body: Some("92x60") }];

/// Milliseconds of the three.
#[derive(Default)]
struct Turns {
    ours: Vec<f64>,
    burn: Vec<f64>,
    theirs: Vec<f64>,
}

/// A table.
///
/// # Errors
/// Where one of the programs cannot be run.
pub fn measure(binary: &Path, model: &Path) -> Result<Vec<String>> {
    let python = python_with("numpy, onnxruntime", &["numpy", ONNXRUNTIME])?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lines = vec![
        "| pixels | threads | this program, ms a slice | burn | onnxruntime | this program / onnxruntime |".into(),
        "|---|---|---|---|---|---|".into(),
    ];
    let counts = if threads > 1 { vec![1, threads.min(2)] } else { vec![1] };
    for size in &SIZES {
        for &threads in &counts {
            let mut turns = Turns::default();
            for _ in 0..TURNS {
                let [ours, burn] = own(binary, size, threads)?;
                turns.ours.push(ours);
                turns.burn.push(burn);
                turns.theirs.push(onnxruntime(&python, model, size, threads)?);
            }
            let ratios = turns.ours.iter().zip(&turns.theirs).map(|(ours, theirs)| ours / theirs).collect();
            let [columns, rows] = size.pixels;
            lines.push(format!(
                "| {columns} x {rows} | {threads} | {:.1} | {:.1} | {:.1} | {:.2} |",
                median(turns.ours),
                median(turns.burn),
                median(turns.theirs),
                median(ratios)
            ));
        }
    }
    Ok(lines)
}

/// Of this program's engine and of burn's: what `bench` prints.
fn own(binary: &Path, size: &Size, threads: usize) -> Result<[f64; 2]> {
    let mut bench = program(binary);
    bench.env("RAYON_NUM_THREADS", threads.to_string()).args(["bench", "--slices", SLICES]);
    if let Some(body) = size.body {
        bench.args(["--body", body]);
    }
    let table = output(&mut bench)?;
    let of = |engine: &str| {
        let row = table.lines().find(|line| line.contains(engine));
        row.and_then(|row| number(row.split('|').nth(2)?)).with_context(|| format!("`bench` has no row of{engine}"))
    };
    Ok([of(", one slice at a time |")?, of(", burn, the reference |")?])
}

fn onnxruntime(python: &Path, model: &Path, size: &Size, threads: usize) -> Result<f64> {
    let mut script = program(python);
    script.arg(root().join("xtask/onnxruntime_slices.py")).arg(model).args(size.pixels).arg(SLICES);
    let line = output(script.arg(threads.to_string()))?;
    line.split(' ').next().and_then(number).context("onnxruntime's script says nothing")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}
