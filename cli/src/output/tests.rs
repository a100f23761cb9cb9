//! Generated folders: what people leave in them, what earlier runs left in them, and runs that end anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;

/// What a run may write.
const NAMES: [&str; 6] =
    ["attention.csv", "labels.nii.gz", "metrics.jsonl", "organs/liver.nii.gz", "organs/spleen.nii.gz", "report.html"];

/// SplitMix64: the same folders in every run of the tests.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A folder in memory of the disk, where there is one: what is tested is order, not speed.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// All that lies below a folder: files by content, links by target.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(&next).unwrap().map(|e| e.unwrap().path()) {
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(path, format!("-> {}", target.display()).into_bytes());
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// A world in which people and this program write.
struct World {
    root: TempDir,
    random: Random,
    /// Whatever somebody else wrote, and what lies there.
    theirs: BTreeMap<PathBuf, Vec<u8>>,
    /// What a run with `--overwrite` that was killed was about to replace: the next run may finish it.
    meant: BTreeMap<PathBuf, Vec<u8>>,
    /// Every content that this program was ever given to write.
    written: BTreeSet<Vec<u8>>,
    inputs: Vec<PathBuf>,
    count: usize,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let root = folder();
        std::fs::create_dir(root.path().join("patient")).unwrap();
        std::fs::create_dir(root.path().join("out")).unwrap();
        let mut world = Self {
            root,
            random: Random(seed),
            theirs: BTreeMap::new(),
            meant: BTreeMap::new(),
            written: BTreeSet::new(),
            inputs: Vec::new(),
            count: 0,
            story: Vec::new(),
        };
        for name in ["patient/ct.nii.gz", "patient/1.dcm", "elsewhere.txt"] {
            world.user_writes(name);
        }
        world.inputs = vec![world.at("patient/ct.nii.gz")];
        if world.random.chance(50) {
            world.inputs = vec![world.at("patient")];
        }
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn content(&mut self) -> Vec<u8> {
        self.count += 1;
        format!("content {}", self.count).into_bytes()
    }

    fn user_writes(&mut self, name: &str) {
        let (path, bytes) = (self.at(name), self.content());
        // Only where a person could: not below a file, not over a folder.
        if path.is_dir() || std::fs::create_dir_all(path.parent().unwrap()).is_err() {
            return;
        }
        // As an editor does, beside and renamed: what a hard link shares stays.
        std::fs::remove_file(&path).ok();
        std::fs::write(&path, &bytes).unwrap();
        self.theirs.insert(path, bytes);
        self.story.push(format!("user writes {name}"));
    }

    /// One thing that people do.
    fn user_acts(&mut self) {
        let own =
            ["out/notes.txt", "out/organs/mine.nii.gz", "out/run.json", "out/.writing-own/journal.json", "out/organs"];
        let name = format!("out/{}", self.random.pick(&NAMES));
        let path = self.at(&name);
        match self.random.below(8) {
            0 => {
                let name = self.random.pick(&own);
                self.user_writes(name);
            }
            1 | 2 => self.user_writes(&name),
            3 if path.is_file() => {
                std::fs::remove_file(&path).unwrap();
                self.theirs.remove(&path);
                self.story.push(format!("user removes {name}"));
            }
            4 if std::fs::hard_link(self.at("patient/ct.nii.gz"), &path).is_ok() => {
                let bytes = std::fs::read(&path).unwrap();
                self.theirs.insert(path, bytes);
                self.story.push(format!("user links {name} to the CT"));
            }
            #[cfg(unix)]
            5 if !path.exists() && path.parent().unwrap().is_dir() => {
                let target = self.random_target();
                let target = self.at(target);
                std::fs::remove_file(&path).ok();
                std::os::unix::fs::symlink(&target, &path).unwrap();
                self.theirs.insert(path, format!("-> {}", target.display()).into_bytes());
                self.story.push(format!("user links {name} to {}", target.display()));
            }
            6 => {
                // A record that was looked at, and saved with other blanks.
                let record = self.at("out/run.json");
                if let Ok(text) = std::fs::read_to_string(&record) {
                    let bytes = text.replace("  ", " ").into_bytes();
                    std::fs::write(&record, &bytes).unwrap();
                    self.theirs.insert(record, bytes);
                    self.story.push("user reformats run.json".into());
                }
            }
            7 if !self.at("out/run.json").exists() => {
                let bytes = br#"{"schema": "attention-anatomy/run", "version": 1}"#.to_vec();
                std::fs::write(self.at("out/run.json"), &bytes).unwrap();
                self.theirs.insert(self.at("out/run.json"), bytes);
                self.story.push("there is a record of an earlier version".into());
            }
            _ => {}
        }
    }

    #[cfg(unix)]
    fn random_target(&mut self) -> &'static str {
        self.random.pick(&["elsewhere.txt", "patient/ct.nii.gz", "not-there.txt"])
    }

    /// Some run of the program, that may end at any of its steps.
    fn program_acts(&mut self) {
        let (overwrite, grows) = (self.random.chance(25), self.random.chance(35));
        let name = self.random.pick(&NAMES);
        let inputs = match self.random.below(6) {
            0 => vec![self.at(&format!("out/{name}"))],
            1 => vec![self.at("out")],
            _ => self.inputs.clone(),
        };
        let claim = Claim {
            folder: self.at("out"),
            command: self.random.pick(&["segment", "segment", "segment", "evaluate"]).into(),
            names: NAMES.map(String::from).into(),
            inputs: inputs.clone(),
            overwrite,
        };
        let (before, pending) = (tree(self.root.path()), self.pending());
        let mut left = if self.random.chance(50) { usize::MAX } else { self.random.below(22) };
        let mut step = || -> Result<()> {
            left = left.checked_sub(1).ok_or_else(|| anyhow!("killed"))?;
            Ok(())
        };
        let names: Vec<&str> = NAMES.into_iter().filter(|_| self.random.chance(60)).collect();
        let new: BTreeMap<&str, Vec<u8>> = names
            .iter()
            .map(|&name| {
                let line = if name.ends_with(LOG) { "{\"event\":\"" } else { "" };
                (name, [line.as_bytes(), &self.content(), b"\n"].concat())
            })
            .collect();
        self.written.extend(new.values().cloned());
        let stop_early = self.random.chance(10);
        let ended = Output::claim_step(claim, &mut step).and_then(|mut output| {
            let fields = Map::from_iter([("statement".to_string(), Value::from("not a medical device"))]);
            if grows {
                for (name, bytes) in &new {
                    let mut put = || -> Result<()> {
                        let half = if name.ends_with(LOG) { bytes.len() / 2 } else { bytes.len() };
                        output.put_step(name, if half < bytes.len() { b"" } else { bytes }, &fields, &mut step)?;
                        if half < bytes.len() {
                            output.append(name, &bytes[..half])?;
                            step()?;
                            output.append(name, &bytes[half..])?;
                        }
                        Ok(())
                    };
                    if let Err(error) = put() {
                        if error.to_string() == "killed" {
                            output.abandon();
                        }
                        return Err(error);
                    }
                }
                return Ok(false);
            }
            for (n, (name, bytes)) in new.iter().enumerate() {
                output.stage(name, bytes)?;
                if stop_early && n == 1 {
                    output.abandon();
                    return Err(anyhow!("killed"));
                }
            }
            output.finish_step(fields, |_| true, &mut step).map(|()| true)
        });
        let killed = ended.as_ref().is_err_and(|e| e.to_string().contains("killed"));
        self.story.push(format!(
            "{} of {names:?}, overwrite {overwrite}, inputs {inputs:?}: {}",
            if grows { "growing run" } else { "run" },
            ended.as_ref().map_or_else(|e| format!("{e:#}"), |_| "done".into())
        ));
        let after = tree(self.root.path());
        self.check(&before, &after, &new, &inputs, overwrite, ended.is_ok() || killed);
        match ended {
            Ok(whole) => {
                for (name, bytes) in &new {
                    assert_eq!(after.get(&self.at(&format!("out/{name}"))), Some(bytes), "{name}: {:#?}", self.story);
                }
                if whole || !new.is_empty() {
                    let Found::Ours(record) = Record::find(&self.at("out")).unwrap() else {
                        panic!("{:#?}", self.story)
                    };
                    for name in new.keys() {
                        let path = self.at(&format!("out/{name}"));
                        assert!(record.files[*name].holds(&path), "{name}: {:#?}", self.story);
                    }
                }
                assert_eq!(self.pending(), 0, "{:#?}", self.story);
            }
            // What is refused changes nothing at all; an earlier run may have been finished meanwhile.
            Err(_) if !killed && pending == 0 => assert_eq!(before, after, "{:#?}", self.story),
            Err(_) => {}
        }
    }

    /// Unfinished runs.
    fn pending(&self) -> usize {
        let named = |e: std::io::Result<std::fs::DirEntry>| {
            let name = e.unwrap().file_name().to_string_lossy().into_owned();
            name.starts_with(".writing-") && name != ".writing-own"
        };
        std::fs::read_dir(self.at("out")).unwrap().filter(|_| true).map(named).filter(|&is| is).count()
    }

    /// Nothing of theirs is lost, and nothing is half.
    fn check(
        &mut self,
        before: &BTreeMap<PathBuf, Vec<u8>>,
        after: &BTreeMap<PathBuf, Vec<u8>>,
        new: &BTreeMap<&str, Vec<u8>>,
        inputs: &[PathBuf],
        overwrite: bool,
        ran: bool,
    ) {
        let replaced = |path: &Path| {
            let name = path.strip_prefix(self.at("out")).ok().map(|name| name.to_string_lossy().replace('\\', "/"));
            name.is_some_and(|name| name == RUN || new.contains_key(name.as_str()))
        };
        let mut gone = Vec::new();
        for (path, bytes) in &self.theirs {
            if after.get(path) == Some(bytes) {
                continue;
            }
            let meant = overwrite && ran && replaced(path) || self.meant.get(path) == Some(bytes);
            assert!(meant, "{} is lost: {:#?}", path.display(), self.story);
            gone.push(path.clone());
        }
        if overwrite && ran {
            // Results that grow take over all that lies in the places of their files.
            let named = |path: &Path| NAMES.iter().any(|name| path == self.at(&format!("out/{name}")));
            let theirs: Vec<_> = self.theirs.iter().filter(|(path, _)| replaced(path) || named(path)).collect();
            let theirs: Vec<_> = theirs.into_iter().map(|(path, bytes)| (path.clone(), bytes.clone())).collect();
            self.meant.extend(theirs);
        }
        gone.iter().for_each(|path| drop(self.theirs.remove(path)));
        // Inputs are not replaced, whatever was said.
        let within = |path: &Path| inputs.iter().any(|input| path == input);
        for (path, bytes) in before.iter().filter(|(path, _)| within(path)) {
            assert_eq!(after.get(path), Some(bytes), "{}: {:#?}", path.display(), self.story);
        }
        for (path, bytes) in after.iter().filter(|(path, _)| !self.theirs.contains_key(*path)) {
            let hidden = path.iter().any(|part| part.to_string_lossy().starts_with(".writing-"));
            let record = path.ends_with(RUN) && matches!(Record::find(path.parent().unwrap()), Ok(Found::Ours(_)));
            // A log grows; it may end in half a line.
            let whole = self.written.contains(bytes)
                || path.ends_with("metrics.jsonl") && self.written.iter().any(|w| w.starts_with(bytes));
            assert!(hidden || record || whole, "{} is half written: {:#?}", path.display(), self.story);
        }
    }
}

#[test]
fn whatever_lies_in_a_folder_nothing_is_lost_that_this_program_did_not_write() {
    for seed in 0..500 {
        let mut world = World::new(seed);
        for _ in 0..6 {
            if world.random.chance(45) {
                world.user_acts();
            } else {
                world.program_acts();
            }
        }
    }
}

fn claim(folder: &Path, inputs: &[&Path], overwrite: bool) -> Claim {
    Claim {
        folder: folder.to_path_buf(),
        command: "segment".into(),
        names: NAMES.map(String::from).into(),
        inputs: inputs.iter().map(|p| p.to_path_buf()).collect(),
        overwrite,
    }
}

fn run(claim: Claim, files: &[(&str, &str)], step: Step<'_>) -> Result<()> {
    let mut output = Output::claim_step(claim, step)?;
    for (name, text) in files {
        output.stage(name, text.as_bytes())?;
    }
    output.finish_step(Map::new(), |_| true, step)
}

/// Whoever kills a run at whatever step: the next one works, and old or new results are complete after it, whatever it does itself.
#[test]
fn a_run_that_is_killed_at_any_step_leaves_the_old_or_the_new_set() {
    let old = [("labels.nii.gz", "old"), ("organs/liver.nii.gz", "old liver"), ("report.html", "old page")];
    let new = [("labels.nii.gz", "new"), ("organs/spleen.nii.gz", "new spleen"), ("report.html", "new page")];
    let mut ends = BTreeSet::new();
    for steps in 0.. {
        let root = folder();
        let out = root.path().join("out");
        run(claim(&out, &[], false), &old, &mut || Ok(())).unwrap();
        let mut left: usize = steps;
        let killed = run(claim(&out, &[], false), &new, &mut || {
            left = left.checked_sub(1).ok_or_else(|| anyhow!("killed"))?;
            Ok(())
        });
        // The next run is refused for something else, or does nothing: only what was begun is finished.
        drop(Output::claim(claim(&out, &[], false)).unwrap());
        let found: BTreeMap<String, String> = tree(&out)
            .into_iter()
            .map(|(path, bytes)| {
                let name = path.strip_prefix(&out).unwrap().to_string_lossy().replace('\\', "/");
                (name, String::from_utf8(bytes).unwrap())
            })
            .filter(|(name, _)| name != RUN)
            .collect();
        let set = |files: &[(&str, &str)]| files.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect();
        assert!(found == set(&old) || found == set(&new), "killed after {steps} steps: {found:?}");
        assert!(matches!(Record::find(&out).unwrap(), Found::Ours(_)));
        ends.insert(found == set(&new));
        if killed.is_ok() {
            break;
        }
    }
    assert_eq!(ends.len(), 2, "both happen");
}

/// Each refusal with its sentence.
#[test]
fn what_is_in_the_way_is_named_before_the_work() {
    type Prepare = fn(&Path);
    let rows: [(&str, Prepare, &str); 6] = [
        (
            "their own label map",
            |out| std::fs::write(out.join("labels.nii.gz"), "drawn").unwrap(),
            "labels.nii.gz is not, or no longer",
        ),
        (
            "a record of an earlier version",
            |out| {
                std::fs::write(out.join(RUN), r#"{"schema": "attention-anatomy/run", "version": 1}"#).unwrap();
            },
            "earlier version that did not list its files",
        ),
        ("a run.json of another program", |out| std::fs::write(out.join(RUN), "{}").unwrap(), "run.json is not"),
        (
            "a folder",
            |out| std::fs::create_dir(out.join("report.html")).unwrap(),
            "a folder, where a file is to be written",
        ),
        ("a file for a folder", |out| std::fs::write(out.join("organs"), "").unwrap(), "not a folder of its own"),
        (
            "results of another command",
            |out| {
                let other = Claim { command: "evaluate".into(), ..claim(out, &[], false) };
                run(other, &[], &mut || Ok(())).unwrap();
            },
            "holds results of `evaluate`",
        ),
    ];
    for (what, prepare, sentence) in rows {
        let root = folder();
        prepare(root.path());
        let before = tree(root.path());
        let error = Output::claim(claim(root.path(), &[], false)).unwrap_err().to_string();
        assert!(error.contains(sentence) && error.contains(&root.path().display().to_string()), "{what}: {error}");
        assert_eq!(before, tree(root.path()), "{what}");
        let meant = run(claim(root.path(), &[], true), &[("labels.nii.gz", "new")], &mut || Ok(()));
        assert_eq!(meant.is_ok(), !sentence.contains("folder of its own") && !sentence.contains("a folder,"), "{what}");
    }
}

#[test]
fn two_runs_at_once_do_not_mix_in_one_folder() {
    let root = folder();
    let first = Output::claim(claim(root.path(), &[], false)).unwrap();
    let error = Output::claim(claim(root.path(), &[], false)).unwrap_err().to_string();
    assert!(error.contains("another run"), "{error}");
    drop(first);
    assert!(tree(root.path()).is_empty());
    Output::claim(claim(root.path(), &[], false)).unwrap();
}

/// The record of what came in the way after the claim: hours of work are kept.
#[test]
fn results_are_kept_where_somebody_took_their_place_meanwhile() {
    let root = folder();
    let mut output = Output::claim(claim(root.path(), &[], false)).unwrap();
    output.stage("labels.nii.gz", b"computed").unwrap();
    std::fs::write(root.path().join("labels.nii.gz"), "drawn meanwhile").unwrap();
    let error = output.finish(Map::new(), |_| true).unwrap_err().to_string();
    let found = tree(root.path());
    assert_eq!(found[&root.path().join("labels.nii.gz")], b"drawn meanwhile");
    let kept = found.iter().find(|(_, bytes)| *bytes == b"computed").unwrap().0;
    assert!(error.contains(&kept.parent().unwrap().display().to_string()), "{error}");
    let below = kept.strip_prefix(root.path()).unwrap();
    assert!(!below.to_string_lossy().starts_with('.'), "{}: hidden", below.display());
}

#[test]
fn a_folder_that_was_made_for_nothing_is_gone_again() {
    let root = folder();
    let deep = root.path().join("a/b");
    drop(Output::claim(claim(&deep, &[], false)).unwrap());
    assert!(!root.path().join("a").exists());
    std::fs::write(root.path().join("taken"), "of value").unwrap();
    let error = Output::claim(claim(&root.path().join("taken"), &[], true)).unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
    assert_eq!(std::fs::read(root.path().join("taken")).unwrap(), b"of value");
}

#[test]
fn a_single_file_is_not_replaced_unless_it_is_meant_and_never_where_it_is_an_input() {
    let root = folder();
    let (file, input) = (root.path().join("new/a.onnx"), root.path().join("in.safetensors"));
    std::fs::write(&input, "weights").unwrap();
    let meant = |overwrite| Overwrite { overwrite };
    SingleFile::claim(&file, vec![input.clone()], meant(false)).unwrap().write(b"one").unwrap();
    let error = SingleFile::claim(&file, vec![input.clone()], meant(false)).unwrap_err().to_string();
    assert!(error.contains("a.onnx: is there already"), "{error}");
    SingleFile::claim(&file, vec![input.clone()], meant(true)).unwrap().write(b"two").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"two");
    let error = SingleFile::claim(&input, vec![input.clone()], meant(true)).unwrap_err().to_string();
    assert!(error.contains("is an input"), "{error}");
    let late = SingleFile::claim(&root.path().join("late"), Vec::new(), meant(false)).unwrap();
    std::fs::write(root.path().join("late"), "came first").unwrap();
    assert!(late.write(b"second").is_err());
    assert_eq!(std::fs::read(root.path().join("late")).unwrap(), b"came first");
    assert_eq!(tree(root.path()).len(), 3, "nothing temporary is left");
}
