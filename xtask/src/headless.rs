//! The program without the viewer: for machines that have no screen, and none of what draws on one.

use anyhow::Result;

use crate::clippy;
use crate::process::{captured, cargo};
use crate::say;
use crate::stages::Outcome;

const PACKAGE: &str = "attention-anatomy-cli";
/// Where a window's crates differ.
const SYSTEMS: [&str; 3] = ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-apple-darwin"];
/// How the names of crates begin that open windows, draw in them or speak to the desktop. (`wgpu` computes, too.)
const OF_WINDOWS: [&str; 12] = [
    "accesskit",
    "arboard",
    "attention-anatomy-viewer",
    "eframe",
    "egui",
    "epaint",
    "rfd",
    "smithay",
    "wayland-client",
    "winit",
    "x11rb",
    "zbus",
];

/// The stage: nothing of a window among the dependencies, and the code compiles without a warning.
///
/// It is compiled as part of the workspace and not by itself: a single package resolves other features of what all share, and
/// burn would be compiled a second time, for twenty minutes. What is resolved for it alone is read from `cargo tree`, which
/// compiles nothing.
///
/// # Errors
/// Where cargo cannot be started.
pub fn check() -> Result<Outcome> {
    for system in SYSTEMS {
        let arguments =
            ["tree", "--package", PACKAGE, "--no-default-features", "--edges", "normal,build", "--prefix", "none"];
        let (known, tree) = captured(cargo(&arguments).args(["--format", "{p}", "--target", system]))?;
        if !known {
            return Ok(Outcome::Failed(format!("the dependencies for {system} are unknown: {tree}")));
        }
        let found = of_windows(&tree);
        if !found.is_empty() {
            return Ok(Outcome::Failed(format!(
                "without the viewer, the program for {system} depends on {}",
                found.join(", ")
            )));
        }
        say::line(&format!("{system}: {} crates, none of them of a window", crates(&tree).len()));
    }
    let workspace = ["--workspace", "--exclude", "xtask", "--all-targets", "--no-default-features"];
    clippy::check(&workspace, Some(PACKAGE))
}

fn crates(tree: &str) -> Vec<&str> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn of_windows(tree: &str) -> Vec<&str> {
    crates(tree).into_iter().filter(|name| OF_WINDOWS.iter().any(|start| name.starts_with(start))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_of_a_window_is_found_once() {
        let tree = "attention-anatomy-cli v0.1.0 (/src/cli)\nburn v0.22.1\nwgpu v30.0.1\negui-wgpu v0.37.0\negui-wgpu v0.37.0 (*)\n";
        assert_eq!(of_windows(tree), ["egui-wgpu"]);
        assert_eq!(crates(tree).len(), 4);
    }
}
