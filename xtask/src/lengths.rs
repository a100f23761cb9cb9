//! How long a source file may be: as long as it is read in one sitting.

use std::path::Path;

use anyhow::{Context, Result};

use crate::process::{captured, program, root};
use crate::say;
use crate::stages::Outcome;

const MOST_LINES: usize = 500;
const KINDS: [&str; 5] = ["rs", "wgsl", "js", "html", "css"];

/// The stage.
///
/// # Errors
/// Where git is missing or a file cannot be read.
pub fn check() -> Result<Outcome> {
    let (known, files) = captured(program("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    if !known {
        return Ok(Outcome::NotChecked(
            "this folder is not a git checkout, so which files are sources is unknown".into(),
        ));
    }
    let mut long = Vec::new();
    let mut counted = 0;
    for name in files.lines().filter(|name| is_source(name)) {
        let path = root().join(name);
        // Removed, and not committed yet.
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{name} cannot be read"))?;
        counted += 1;
        if let Some(lines) = too_long(&text) {
            long.push(format!("{name} has {lines} lines"));
        }
    }
    say::line(&format!("{counted} files"));
    if long.is_empty() {
        return Ok(Outcome::Ok);
    }
    Ok(Outcome::Failed(format!("{}; more than {MOST_LINES} want to be a folder", long.join(", "))))
}

fn is_source(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| KINDS.iter().any(|kind| extension == *kind))
}

fn too_long(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    (lines > MOST_LINES).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_501_lines_is_too_long() {
        assert_eq!(too_long(&"x\n".repeat(MOST_LINES)), None);
        assert_eq!(too_long(&"x\n".repeat(MOST_LINES + 1)), Some(MOST_LINES + 1));
    }

    #[test]
    fn sources_are_told_by_their_ends() {
        assert!(is_source("core/src/lib.rs") && is_source("web/page/app.js") && is_source("shaders/slice.wgsl"));
        assert!(!is_source("README.md") && !is_source("Cargo.lock") && !is_source("rs"));
    }
}
