//! `cargo xtask COMMAND`: what a shell script would do, in Rust, so that it does the same on every system.

mod archive;
mod bench;
mod clippy;
mod cluster;
mod deny;
mod dist;
mod gpu;
mod headless;
mod lengths;
mod lint;
mod process;
mod say;
mod setup;
mod stages;
mod suites;
mod test;
mod unit_tests;
mod web;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test             everything that must pass before a change is taken: set-up, format, clippy (warnings are errors),
                   licences, the program without the viewer, build, page, tests
  lint [--systems] of `test` all that runs nothing, and known vulnerabilities; with --systems also whether the program
                   compiles for Windows and macOS
  web [--quick] [--connect ORIGIN] [--serve [PORT]]
                   the viewer as a static folder, target/web; with --quick as the tests take it, larger and minutes
                   earlier; with --connect it may speak to an archive of that origin, too; with --serve also on localhost
  dist [--page]    the program for this system with its licences, or the page, as one archive in target/dist
  bench [ARGS...]  `attention-anatomy bench ARGS`, a slice beside onnxruntime's, and the peak memory of `segment` on a large CT;
                   with `--training CONFIG` a training step, beside PyTorch's
  archive [PORT]   a real archive (Orthanc) on this machine alone, with the sample in it and, if it is built, the page; prints the
                   address, and lasts until it is stopped
  cluster [PROGRAM]
                   a cohort and a table of trainings on a Slurm of two nodes and by Snakemake, both on this machine: installs them,
                   prints what it proved; with a PROGRAM that is built already nothing is built
  gpu [CONFIGS...] what is to be measured on a machine with a real GPU, in at most ten minutes, with programs that are built already:
                   kernels against the processor, a slice of each preset, each operation, a training step
  help             this text";

fn main() -> ExitCode {
    if let Some(code) = clippy::as_compiler() {
        return code;
    }
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_deref() {
        Some("test") if rest.is_empty() => test::run(),
        Some("lint") if rest.is_empty() => lint::run(false),
        Some("lint") if rest == ["--systems"] => lint::run(true),
        Some("dist") if rest.is_empty() => dist::program_archive(),
        Some("dist") if rest == ["--page"] => dist::page_archive(),
        Some("archive") => archive::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("gpu") => gpu::run(&rest),
        Some("cluster") if rest.len() <= 1 => cluster::run(rest.first().map(String::as_str)),
        Some("web") => web::run(&rest),
        Some("help" | "--help" | "-h") => {
            say::line(USAGE);
            return ExitCode::SUCCESS;
        }
        None => return usage_error("no command was given"),
        Some("lint") => return usage_error("`lint` takes nothing or `--systems`"),
        Some("dist") => return usage_error("`dist` takes nothing or `--page`"),
        Some("test") => return usage_error("`test` takes no arguments"),
        Some("cluster") => return usage_error("`cluster` takes at most a program"),
        Some(name) => return usage_error(&format!("there is no command `{name}`")),
    };
    result.unwrap_or_else(|error| {
        say::error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

fn usage_error(problem: &str) -> ExitCode {
    say::error(problem);
    say::error_line(USAGE);
    ExitCode::from(2)
}
