//! `cargo xtask cluster`: a cohort and a table of trainings on a real Slurm and by a real Snakemake, on this machine; what it prints is
//! what stands in docs/cluster.md.
//!
//! It needs root on Debian or a relative (for Slurm's packages) and a network (for Snakemake), and takes a quarter of an hour; the same
//! logic is tested without either in `cargo xtask test`.

mod slurm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{captured, cargo, output, program, root, succeeds};
use crate::say;
use slurm::{NODES, Slurm};

/// Parts of the cohort.
const PARTS: usize = 6;
/// Scans of it, and how many of them are broken.
const SCANS: usize = 60;
const BROKEN: usize = 3;
/// Release of Snakemake and of its executor.
const SNAKEMAKE: [&str; 2] = ["snakemake==9.27.1", "snakemake-executor-plugin-slurm==2.8.0"];

/// Runs the command, with a program that is built already or with one that is built now.
///
/// # Errors
/// What cannot be set up, or is not as it should be.
pub fn run(built: Option<&str>) -> Result<ExitCode> {
    let binary = match built {
        Some(path) => std::fs::canonicalize(path).with_context(|| format!("{path}: no program"))?,
        None => {
            say::heading("build");
            if !succeeds(&mut cargo(&["build", "--release"]))? {
                bail!("the program does not compile");
            }
            beside("attention-anatomy")?
        }
    };
    let folder = std::env::temp_dir().join(format!("attention-anatomy-cluster-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let stage = Stage { binary, folder };
    let proved = stage.all();
    match &proved {
        Ok(()) => std::fs::remove_dir_all(&stage.folder).context("the files of the run cannot be removed")?,
        Err(_) => say::line(&format!("{} is kept to be looked at", stage.folder.display())),
    }
    proved.map(|()| ExitCode::SUCCESS)
}

/// A file of the folder in which this program lies.
fn beside(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe().context("the folder of the programs is unknown")?.with_file_name(name))
}

struct Stage {
    binary: PathBuf,
    folder: PathBuf,
}

/// Something that was seen to be true.
fn proved(what: &str) {
    say::line(&format!("- {what}"));
}

impl Stage {
    fn all(&self) -> Result<()> {
        let list = self.cohort()?;
        say::heading("one process");
        let one = self.folder.join("one");
        let clock = Instant::now();
        let code = self.program().args(["segment", "--list"]).arg(&list).arg("-o").arg(&one).args(OPTIONS).status()?;
        let seconds = clock.elapsed().as_secs_f64();
        ensure!(code.code() == Some(3), "segment --list ended with {code}");
        self.is_complete(&one)?;
        proved(&format!("{} results and {BROKEN} named failures in {seconds:.1} s", SCANS - BROKEN));

        say::heading("Slurm, two nodes");
        let mut slurm = Slurm::start(&self.folder.join("slurm"))?;
        self.array(&mut slurm, &list, &one)?;
        self.again(&slurm, &list)?;

        say::heading("Snakemake");
        let snakemake = Self::snakemake()?;
        for profile in ["local", "slurm"] {
            self.workflow(&snakemake, &slurm, &list, &one, profile)?;
        }

        say::heading("trainings as tasks");
        self.trainings(&slurm)
    }

    fn program(&self) -> Command {
        let mut command = program(&self.binary);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    }

    /// Phantoms, three of them broken, each in its own way; the list.
    fn cohort(&self) -> Result<PathBuf> {
        say::heading("phantoms");
        let scans = self.folder.join("phantoms");
        let patients = (SCANS / 3).to_string();
        let made = self
            .program()
            .args(["phantom", "-o"])
            .arg(&scans)
            .args(["--patients", &patients, "--spacing", "8", "--slice", "12"])
            .status()?;
        ensure!(made.success(), "the phantoms were not made");
        let found = output(program("find").arg(&scans).args(["-name", "*_ct.nii.gz"]))?;
        let mut paths: Vec<&str> = found.lines().collect();
        paths.sort_unstable();
        ensure!(paths.len() == SCANS, "{} phantoms", paths.len());
        std::fs::write(paths[7], "no scan")?;
        let cut = std::fs::read(paths[20])?;
        std::fs::write(paths[20], &cut[..cut.len() / 2])?;
        std::fs::copy(paths[33].replace("_ct.", "_label."), paths[33])?;
        let list = self.folder.join("list.txt");
        std::fs::write(&list, paths.join("\n") + "\n")?;
        proved(&format!("{SCANS} phantoms, {BROKEN} of them broken: no scan, cut in half, a label map"));
        Ok(list)
    }

    /// As an array, with a node and a task that die in the middle.
    fn array(&self, slurm: &mut Slurm, list: &Path, one: &Path) -> Result<()> {
        let results = self.folder.join("array");
        let job = self.submit_cohort(slurm, list, &results)?;
        slurm.until("ten scans are done", || Ok(self.done(&results)? >= 10))?;
        slurm.kill_node(NODES[1])?;
        let (_, running) = captured(Command::new("pgrep").args(["-f", &format!("segment --list {}", list.display())]))?;
        let victim = running.lines().last().context("no task runs any more")?.to_string();
        output(Command::new("kill").args(["-9", &victim]))?;
        let left = SCANS - BROKEN - self.done(&results)?;
        slurm.finish(&job)?;
        self.is_complete(&results)?;
        self.is_same(one, &results)?;
        slurm.revive_node(NODES[1])?;
        proved(&format!(
            "an array of {PARTS} tasks; with {left} scans to go one node's daemon and one running task were killed with -9: {} results \
             and {BROKEN} named failures, byte for byte those of one process",
            SCANS - BROKEN
        ));
        Ok(())
    }

    /// The same once more: nothing to do.
    fn again(&self, slurm: &Slurm, list: &Path) -> Result<()> {
        let results = self.folder.join("array");
        let before = self.times(&results)?;
        let clock = Instant::now();
        let job = self.submit_cohort(slurm, list, &results)?;
        slurm.finish(&job)?;
        ensure!(self.times(&results)? == before, "a second submission changed results");
        proved(&format!(
            "a second submission changed no result, in {:.0} s with waiting for the scheduler",
            clock.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// All parts of the list as an array.
    fn submit_cohort(&self, slurm: &Slurm, list: &Path, results: &Path) -> Result<String> {
        let arguments = [path(list), path(results), OPTIONS.join(" ")];
        self.submit(slurm, "segment.sbatch", &format!("--array=1-{PARTS}"), &arguments)
    }

    fn submit(&self, slurm: &Slurm, script: &str, array: &str, arguments: &[String]) -> Result<String> {
        let script = root().join("workflow/slurm").join(script);
        let program = format!("--export=ALL,ATTENTION_ANATOMY={}", self.binary.display());
        let mut all = vec![array.to_string(), "--mem=0".into(), "--cpus-per-task=1".into(), program, path(&script)];
        all.extend(arguments.iter().flat_map(|words| words.split(' ').map(String::from)));
        slurm.submit(&self.folder, &all)
    }

    /// A Python that has Snakemake, in the target folder.
    fn snakemake() -> Result<PathBuf> {
        let environment = beside("cluster-python")?;
        let snakemake = environment.join("bin/snakemake");
        if !captured(Command::new(&snakemake).arg("--version")).is_ok_and(|(there, _)| there) {
            output(program("python3").args(["-m", "venv"]).arg(&environment))?;
            output(program(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet"]).args(SNAKEMAKE))?;
        }
        Ok(snakemake)
    }

    fn workflow(&self, snakemake: &Path, slurm: &Slurm, list: &Path, one: &Path, profile: &str) -> Result<()> {
        let results = self.folder.join(format!("snakemake-{profile}"));
        let config = self.folder.join(format!("{profile}.json"));
        let value = serde_json::json!({
            "program": path(&self.binary),
            "cohort": {
                "list": path(list),
                "results": path(&results),
                "summary": path(&self.folder.join(format!("summary-{profile}"))),
                "parts": PARTS,
                "options": OPTIONS.join(" "),
                "threads": 1,
                "mem_mb": 500,
                "minutes": 30,
            },
        });
        std::fs::write(&config, value.to_string())?;
        let mut call = slurm.call("env");
        call.arg(snakemake).args(["--snakefile", "workflow/Snakefile", "--workflow-profile"]);
        call.arg(format!("workflow/profiles/{profile}")).arg("--configfile").arg(&config);
        // Locks and logs of Snakemake stay with the results.
        call.arg("--directory").arg(&self.folder);
        if profile == "slurm" {
            // What has become of a job it asks the accounting, which is more than this Slurm has.
            call.args(["--slurm-status-command", "squeue"]);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let beside = snakemake.parent().context("Snakemake has no folder")?.to_path_buf();
        let paths = std::iter::once(beside).chain(std::env::split_paths(&path));
        call.env("PATH", std::env::join_paths(paths)?);
        let clock = Instant::now();
        let (well, text) = captured(&mut call)?;
        ensure!(well, "snakemake, profile {profile}:\n{text}");
        self.is_complete(&results)?;
        self.is_same(one, &results)?;
        proved(&format!(
            "Snakemake with the profile `{profile}` made the same files, in {:.0} s, and a page of the cohort",
            clock.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// The paper's table over two folds, in one process and as tasks of an array of which one is killed.
    fn trainings(&self, slurm: &Slurm) -> Result<()> {
        let data = self.folder.join("training-data");
        let made = self
            .program()
            .args(["phantom", "-o"])
            .arg(&data)
            .args(["--patients", "4", "--spacing", "9", "--slice", "9", "--seed", "5"])
            .status()?;
        ensure!(made.success(), "the phantoms of the training were not made");
        let training = data.join("train.toml");
        let text = std::fs::read_to_string(&training)?;
        let short = |line: &str| match line.split_once(" = ") {
            Some(("steps_per_epoch", _)) => "steps_per_epoch = 6".into(),
            Some(("epochs", _)) => "epochs = 1".into(),
            Some(("batch", _)) => "batch = 2".into(),
            Some(("crop", _)) => "crop = 64".into(),
            Some(("spacing_mm" | "slice_distance_mm" | "input_fwhm_mm", _)) => {
                format!("{} = 9.0", line.split(' ').next().unwrap_or_default())
            }
            Some(("validation_patients", _)) => "validation_patients = 1".into(),
            Some(("validate_every", _)) => "validate_every = 3".into(),
            _ => line.to_string(),
        };
        std::fs::write(&training, text.lines().map(short).collect::<Vec<String>>().join("\n"))?;
        let [one, tasks] = ["table", "tasks"].map(|name| self.folder.join(name));
        let call = |output: &Path| {
            ["ablation".to_string(), path(&training), "--data".into(), path(&data), "-o".into(), path(output)]
                .into_iter()
                .chain(["--seeds", "1", "--folds", "2", "--device", "cpu"].map(String::from))
                .collect::<Vec<String>>()
        };
        ensure!(self.program().args(call(&one)).status()?.success(), "the table was not made");
        let plan = output(program(&self.binary).args(call(&tasks)).args(["--plan", "--step-seconds", "1"]))?;
        let count = plan.lines().count();
        let job = self.submit(slurm, "train.sbatch", &format!("--array=1-{count}"), &call(&tasks))?;
        let done = |folder: &Path| -> Result<usize> {
            let found = captured(Command::new("find").arg(folder).args(["-name", "evaluation.json"]))?.1;
            Ok(found.lines().filter(|line| line.ends_with("evaluation.json")).count())
        };
        slurm.until("two trainings are done", || Ok(done(&tasks)? >= 2))?;
        let (_, running) = captured(Command::new("pgrep").args(["-f", &format!("ablation {}", training.display())]))?;
        for signal in ["-9", "-TERM"] {
            if let Some(victim) = running.lines().last() {
                captured(Command::new("kill").args([signal, victim]))?;
            }
        }
        slurm.finish(&job)?;
        ensure!(self.program().args(call(&tasks)).arg("--collect").status()?.success(), "the tasks were not collected");
        for name in ["results.md", "organs.csv", "systems.csv"] {
            ensure!(std::fs::read(one.join(name))? == std::fs::read(tasks.join(name))?, "{name} differs");
        }
        proved(&format!(
            "the four systems and the router over two folds as {count} tasks, one of them killed on the way: the same table, byte for byte, \
             as in one process"
        ));
        Ok(())
    }

    /// Scans that have results.
    fn done(&self, results: &Path) -> Result<usize> {
        let entries = std::fs::read_dir(results).map(|entries| entries.filter_map(|e| e.ok()).collect::<Vec<_>>());
        Ok(entries.unwrap_or_default().iter().filter(|entry| entry.path().join("run.json").is_file()).count())
    }

    /// All results there are, nothing else that can be seen, and every broken scan with its reason.
    fn is_complete(&self, results: &Path) -> Result<()> {
        let done = self.done(results)?;
        ensure!(done == SCANS - BROKEN, "{}: {done} results", results.display());
        let mut last = BTreeMap::new();
        for entry in std::fs::read_dir(results.join("status"))? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                // One that a kill has cut says nothing.
                let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
                last.insert(line["scan"].to_string(), line);
            }
        }
        let failed: Vec<&Value> = last.values().filter(|line| line["outcome"] == "failed").collect();
        ensure!(failed.len() == BROKEN, "{}: {failed:?}", results.display());
        ensure!(failed.iter().all(|line| line["reason"].as_str().is_some_and(|r| r.len() > 20)), "{failed:?}");
        Ok(())
    }

    /// Whether two folders hold the same results, byte for byte, apart from when and how fast they were made.
    fn is_same(&self, one: &Path, other: &Path) -> Result<()> {
        for entry in std::fs::read_dir(one)? {
            let scan = entry?.file_name();
            if !one.join(&scan).join("run.json").is_file() {
                continue;
            }
            for name in ["labels.nii.gz", "statistics.csv", "attention.csv", "attention.json"] {
                let [a, b] = [one, other].map(|folder| std::fs::read(folder.join(&scan).join(name)));
                ensure!(a? == b?, "{} of {} differs in {}", name, scan.display(), other.display());
            }
        }
        Ok(())
    }

    /// When every record was written.
    fn times(&self, results: &Path) -> Result<BTreeMap<PathBuf, std::time::SystemTime>> {
        let mut times = BTreeMap::new();
        for entry in std::fs::read_dir(results)? {
            let path = entry?.path().join("run.json");
            if let Ok(metadata) = path.metadata() {
                times.insert(path, metadata.modified()?);
            }
        }
        Ok(times)
    }
}

/// What every run is given, so that they can be compared.
const OPTIONS: [&str; 3] = ["--device", "cpu", "--all-organs"];

fn path(path: &Path) -> String {
    path.display().to_string()
}
