//! `cargo xtask bench`: the program's own measurements, and what it can hardly measure itself: its peak memory on a
//! large CT, and what other programs take for the same slice and for the same training step.
//!
//! | file | what |
//! |---|---|
//! | `beside.rs` | a slice beside onnxruntime and burn |
//! | `browser.rs` | the same in Chromium, with one worker and with several |
//! | `pytorch.rs` | a step of training beside PyTorch |
//! | `python.rs` | Python with what these need |
//!
//! `--beside PROGRAM PAGE` measures only these two, with a program and a page that are there.

mod beside;
mod browser;
mod python;
mod pytorch;

use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output, program, succeeds};
use crate::{say, web};

/// A slice beside other programs, natively and in Chromium; what cannot be measured here says why.
fn beside_others(binary: &Path, page: &Path, folder: &Path) -> Result<()> {
    let model = folder.join("network.onnx");
    output(program(binary).arg("export").arg("--onnx").arg(&model))?;
    say::heading("a slice beside onnxruntime");
    match beside::measure(binary, &model) {
        Ok(lines) => lines.iter().for_each(|line| say::line(line)),
        Err(problem) => say::line(&format!("not measured: {problem:#}")),
    }
    say::heading("a slice in Chromium beside onnxruntime-web");
    if let Err(problem) = browser::measure(page, &model) {
        say::line(&format!("not measured: {problem:#}"));
    }
    Ok(())
}

/// What `segment` may take of a CT of 512 x 512 x 600 voxels (which itself are 315 MB), in MB of 10^6 bytes.
const MOST_MB: f64 = 1500.0;

/// Runs the command; `arguments` go to `attention-anatomy bench`.
///
/// # Errors
/// Where cargo, Python or the program cannot be started or fails.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    if let [option, binary, page] = arguments
        && option == "--beside"
    {
        let folder = Scratch::new()?;
        beside_others(Path::new(binary), Path::new(page), &folder.0)?;
        return Ok(ExitCode::SUCCESS);
    }
    say::heading("attention-anatomy bench");
    if !succeeds(cargo(&["run", "--release", "--", "bench"]).args(arguments))? {
        bail!("`attention-anatomy bench` failed");
    }
    // `cargo run` has just built it, beside this program.
    let own = std::env::current_exe().context("the folder of the programs is unknown")?;
    let binary = own.with_file_name(format!("attention-anatomy{}", std::env::consts::EXE_SUFFIX));
    if let Some(config) = arguments.iter().position(|a| a == "--training").and_then(|n| arguments.get(n + 1)) {
        say::heading("a step of training beside PyTorch");
        match pytorch::measure(&binary, config, arguments) {
            Ok(lines) => lines.iter().for_each(|line| say::line(line)),
            Err(problem) => say::line(&format!("not measured: {problem:#}")),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let folder = Scratch::new()?;
    beside_others(&binary, &web::build_for_tests()?, &folder.0)?;
    say::heading("peak memory of `segment`, 512 x 512 x 600 voxels, CPU");
    let volume = folder.0.join("big.nii.gz");
    if !succeeds(program(&binary).arg("bench-volume").arg("--output").arg(&volume))? {
        bail!("the large CT was not made");
    }
    let start = Instant::now();
    let mut segment = program(&binary);
    // It is made of noise and has no fat.
    segment.arg("segment").arg(&volume).arg("-o").arg(folder.0.join("out")).args(["--device", "cpu", "--assume-hu"]);
    let child = segment.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
    let peak = peak_memory(child)?;
    say::line(&format!("time: {:.1} s", start.elapsed().as_secs_f64()));
    let Some(bytes) = peak else {
        say::line("peak memory: not measured (only Linux tells it while a program runs)");
        return Ok(ExitCode::SUCCESS);
    };
    let mb = bytes as f64 / 1e6;
    let kept = mb < MOST_MB;
    say::line(&format!("peak memory: {mb:.0} MB, {} {MOST_MB:.0} MB", if kept { "below" } else { "NOT below" }));
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for a program; the most memory that it held, in bytes, `None` where the system does not tell.
fn peak_memory(mut child: Child) -> Result<Option<u64>> {
    let status_file = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = None;
    loop {
        // The mark never falls, so only what grows in the last few milliseconds of the program can be missed.
        let mark = std::fs::read_to_string(&status_file).ok().and_then(|text| high_water_mark(&text));
        peak = peak.max(mark);
        if let Some(status) = child.try_wait().context("the program cannot be waited for")? {
            if !status.success() {
                bail!("`attention-anatomy segment` failed ({status})");
            }
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `VmHWM` of /proc/PID/status (proc(5)), in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("attention-anatomy-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = std::fs::remove_dir_all(path) {
            say::error(&format!("{} is left behind: {error}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tx\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t  100 kB\n";
        assert_eq!(high_water_mark(status), Some(123_456 * 1024));
        assert_eq!(high_water_mark("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_of_a_program_that_ran_for_a_while_is_known() {
        let child = program("sleep").arg("0.2").spawn().unwrap();
        let peak = peak_memory(child).unwrap().unwrap();
        assert!((10_000..100_000_000).contains(&peak), "{peak} bytes");
        let failing = program("sh").args(["-c", "exit 3"]).spawn().unwrap();
        assert!(peak_memory(failing).is_err());
    }
}
