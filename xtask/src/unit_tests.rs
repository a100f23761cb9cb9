//! That every test is compiled into some test program: a target whose manifest says `test = false` compiles the tests in its files
//! nowhere, and neither do files that no module declares, and nothing fails for it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::{cargo, output, program, root};
use crate::say;
use crate::stages::Outcome;

/// What is read here of what cargo knows of the workspace.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    src_path: PathBuf,
    test: bool,
}

/// The stage.
///
/// # Errors
/// Where cargo or git is missing, or a file cannot be read.
pub fn check() -> Result<Outcome> {
    let metadata = output(&mut cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("what cargo says is not understood")?;
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let mut compiled = BTreeSet::new();
    for target in metadata.packages.iter().flat_map(|package| &package.targets).filter(|target| target.test) {
        reach(&target.src_path, true, &read, &mut compiled);
    }
    let files = output(program("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]))?;
    let with_tests = files.lines().filter(|name| read(&root().join(name)).is_some_and(|text| has_tests(&text)));
    let (run, dead): (Vec<&str>, Vec<&str>) = with_tests.partition(|name| compiled.contains(&root().join(name)));
    say::line(&format!("{} files with tests", run.len() + dead.len()));
    Ok(Outcome::passed(dead.is_empty(), &format!("tests that run nowhere: {}", dead.join(", "))))
}

fn has_tests(text: &str) -> bool {
    text.lines().any(|line| matches!(line.trim(), "#[test]" | "#[cfg(test)]"))
}

/// Adds a file and those of the modules that it declares. The children of a `root` (`main.rs`, `mod.rs`, what `#[path]` names) lie beside
/// it, those of others in a folder of its name. What is only for browsers runs in no test program.
fn reach(file: &Path, is_root: bool, read: &impl Fn(&Path) -> Option<String>, into: &mut BTreeSet<PathBuf>) {
    let Some(text) = read(file) else { return };
    if !into.insert(file.to_path_buf()) {
        return;
    }
    let beside = file.parent().unwrap_or(file);
    let children = if is_root { beside.to_path_buf() } else { file.with_extension("") };
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(named) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            path = Some(beside.join(named));
        }
        let Some(name) = module(line).filter(|name| *name != "wasm") else { continue };
        match path.take() {
            Some(path) => reach(&plain(&path), true, read, into),
            None => {
                reach(&children.join(format!("{name}.rs")), false, read, into);
                reach(&children.join(name).join("mod.rs"), true, read, into);
            }
        }
    }
}

/// The module that a line declares to lie in another file.
fn module(line: &str) -> Option<&str> {
    let line = line.strip_suffix(';')?;
    let (before, name) = line.split_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

/// Without `a/..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_reached_by_the_names_of_modules_and_by_paths_and_no_others() {
        let files = [
            (
                "a/src/lib.rs",
                "mod one;\npub(crate) mod two;\n#[cfg(test)]\nmod tests;\nmod wasm;\n// mod gone;\nmod inline {",
            ),
            ("a/src/one.rs", "mod below;\nfn mod_(); let x = 1;"),
            ("a/src/one/below.rs", ""),
            ("a/src/below.rs", ""),
            ("a/src/gone.rs", ""),
            ("a/src/wasm.rs", ""),
            ("a/src/tests.rs", ""),
            ("a/src/two/mod.rs", "#[path = \"../../../b/src/main.rs\"]\n#[allow(dead_code)]\nmod b;"),
            ("b/src/main.rs", "mod part;"),
            ("b/src/part.rs", ""),
        ];
        let read =
            |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.to_string());
        let mut reached = BTreeSet::new();
        reach(Path::new("a/src/lib.rs"), true, &read, &mut reached);
        let names: Vec<_> = reached.iter().map(|path| path.to_str().unwrap()).collect();
        let wanted = [
            "a/src/lib.rs",
            "a/src/one/below.rs",
            "a/src/one.rs",
            "a/src/tests.rs",
            "a/src/two/mod.rs",
            "b/src/main.rs",
            "b/src/part.rs",
        ];
        assert_eq!(names, wanted);
    }
}
