//! Nothing is lost: whatever lies in an output folder, and however a run ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use whole_program_tests::wait;

use crate::support::{files_below, program, promised, run, segment, succeed, write_phantom};

/// Everything below a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files_below(folder).into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

/// A folder with a CT and what a person has drawn on it.
fn patient() -> (TempDir, PathBuf, PathBuf) {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("patient");
    std::fs::create_dir_all(folder.join("organs")).unwrap();
    let ct = folder.join("ct.nii.gz");
    write_phantom(0, &ct);
    (root, folder, ct)
}

/// Each row: what lies where, the call, the sentence. Exit code 1, nothing changed, and no network was run.
#[test]
fn what_this_program_did_not_write_is_in_the_way_before_the_first_slice() {
    type Prepare = fn(&Path);
    let rows: [(&str, Prepare, &[&str], &str); 6] = [
        (
            "a label map drawn by hand",
            |f| std::fs::write(f.join("labels.nii.gz"), "drawn").unwrap(),
            &[],
            "labels.nii.gz is not, or no longer",
        ),
        (
            "a report and a table",
            |f| {
                std::fs::write(f.join("report.html"), "mine").unwrap();
                std::fs::write(f.join("statistics.csv"), "mine").unwrap();
            },
            &[],
            "statistics.csv and report.html are not, or no longer",
        ),
        (
            "an organ",
            |f| std::fs::write(f.join("organs/liver.nii.gz"), "drawn").unwrap(),
            &["--organ-files"],
            "organs/liver.nii.gz is not",
        ),
        (
            "results of an earlier version",
            |f| std::fs::write(f.join("run.json"), r#"{"schema": "attention-anatomy/run", "version": 1}"#).unwrap(),
            &[],
            "an earlier version that did not list its files",
        ),
        (
            "another program's run.json",
            |f| std::fs::write(f.join("run.json"), "{}").unwrap(),
            &[],
            "run.json is not, or no longer",
        ),
        (
            "a folder",
            |f| std::fs::create_dir(f.join("labels.nii.gz")).unwrap(),
            &["--overwrite"],
            "a folder, where a file is to be written",
        ),
    ];
    for (what, prepare, more, sentence) in rows {
        let (_root, folder, ct) = patient();
        prepare(&folder);
        let before = contents(&folder);
        let said = run(segment(&ct, &folder).arg("--all-organs").args(more));
        assert_eq!(said.code, Some(1), "{what}: {said:#?}");
        let errors = said.errors();
        assert!(errors.len() == 1 && errors[0].contains(sentence), "{what}: {said:#?}");
        assert!(errors[0].contains(&folder.display().to_string()), "{what}: {said:#?}");
        assert!(what == "a folder" || errors[0].contains("--overwrite"), "{what}: {said:#?}");
        assert_eq!(said.stderr.lines().count(), 1, "{what}: said before any work: {said:#?}");
        assert_eq!(contents(&folder), before, "{what}");
    }
}

#[test]
fn an_output_is_never_an_input_whatever_is_said_and_however_it_is_linked() {
    let (root, folder, _) = patient();
    let input = folder.join("labels.nii.gz");
    write_phantom(1, &input);
    let mut calls = vec![(input.clone(), folder.clone())];
    #[cfg(unix)]
    {
        let linked = root.path().join("linked");
        std::os::unix::fs::symlink(&folder, &linked).unwrap();
        calls.push((input.clone(), linked));
        let hard = root.path().join("hard");
        std::fs::create_dir(&hard).unwrap();
        std::fs::hard_link(&input, hard.join("labels.nii.gz")).unwrap();
        calls.push((input.clone(), hard));
        let soft = root.path().join("soft");
        std::fs::create_dir(&soft).unwrap();
        std::os::unix::fs::symlink(&input, soft.join("report.html")).unwrap();
        calls.push((input.clone(), soft));
    }
    let before = contents(root.path());
    for (input, output) in calls {
        let said = run(segment(&input, &output).args(["--all-organs", "--overwrite"]));
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.errors()[0].contains("is an input"), "{said:#?}");
        assert_eq!(contents(root.path()), before, "{}", output.display());
    }
}

#[test]
fn results_replace_results_and_leave_everything_else() {
    let (_root, folder, ct) = patient();
    for name in ["organs/liver.nii.gz", "organs/mine.nii.gz", "notes.txt"] {
        std::fs::write(folder.join(name), "drawn by hand").unwrap();
    }
    // Beside the input and beside masks drawn by hand: nothing has the name of anything.
    succeed(segment(&ct, &folder).arg("--all-organs"));
    let first = contents(&folder);
    assert_eq!(first.len(), promised().len() + 4, "{:?}", first.keys());
    let other = folder.join("other.nii.gz");
    write_phantom(3, &other);
    succeed(segment(&other, &folder).args(["--all-organs", "--no-cleanup"]));
    let second = contents(&folder);
    for name in ["ct.nii.gz", "organs/liver.nii.gz", "organs/mine.nii.gz", "notes.txt"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert_ne!(first["report.html"], second["report.html"]);

    // Corrected by hand: the next run is refused, and replaces it if that is meant.
    std::fs::write(folder.join("labels.nii.gz"), "corrected").unwrap();
    let said = run(segment(&ct, &folder).arg("--all-organs"));
    assert!(said.code == Some(1) && said.errors()[0].contains("labels.nii.gz is not, or no longer"), "{said:#?}");
    assert_eq!(std::fs::read(folder.join("labels.nii.gz")).unwrap(), b"corrected");
    succeed(segment(&ct, &folder).args(["--all-organs", "--overwrite"]));
    assert_eq!(contents(&folder)["labels.nii.gz"], first["labels.nii.gz"]);

    // Masks that this program wrote go with the run that they belong to.
    let out = folder.join("out");
    succeed(segment(&ct, &out).args(["--all-organs", "--organ-files"]));
    succeed(segment(&ct, &out).arg("--all-organs"));
    assert_eq!(files_below(&out), promised());
}

/// The commands that write one file, or sets of files, where something of that name is.
#[test]
fn every_command_that_writes_asks_before_it_replaces() {
    let root = TempDir::new().unwrap();
    let file = |name: &str| root.path().join(name).display().to_string();
    std::fs::write(root.path().join("taken"), "of value").unwrap();
    std::fs::create_dir(root.path().join("folder")).unwrap();
    for name in ["train.toml", "evaluation.csv", "figure.png", "results.md", "report.html"] {
        std::fs::write(root.path().join("folder").join(name), "of value").unwrap();
    }
    let labels = file("labels.nii.gz");
    std::fs::copy(crate::support::data("ct-trunk-small.labels.nii.gz"), &labels).unwrap();
    let before = contents(root.path());
    let rows: [(&str, Vec<String>); 6] = [
        ("export", vec!["--onnx".into(), file("taken")]),
        ("export", vec!["--pytorch".into(), file("taken")]),
        ("import", vec![file("labels.nii.gz"), "-o".into(), file("taken")]),
        ("bench-volume", vec!["-o".into(), file("taken"), "--slices".into(), "1".into()]),
        ("phantom", vec!["-o".into(), file("folder"), "--patients".into(), "1".into()]),
        ("compare", vec![labels.clone(), labels, "-o".into(), file("folder")]),
    ];
    for (command, arguments) in rows {
        let said = run(program(command).args(&arguments));
        assert_eq!(said.code, Some(1), "{command}: {said:#?}");
        assert!(said.errors().len() == 1 && said.errors()[0].contains("--overwrite"), "{command}: {said:#?}");
        assert_eq!(contents(root.path()), before, "{command}");
    }
}

/// Sets of results by the weights' report of them: which CT they are of.
fn is_whole(folder: &Path, of: &BTreeMap<String, Vec<u8>>) -> bool {
    let now = contents(folder);
    let names = |set: &BTreeMap<String, Vec<u8>>| {
        set.keys().filter(|name| !name.starts_with(".writing-")).cloned().collect::<Vec<_>>()
    };
    // Report and record name the time of the run.
    names(&now) == names(of)
        && ["labels.nii.gz", "attention.csv", "statistics.csv"].iter().all(|name| now[*name] == of[*name])
}

/// A scan that is waited for without end, as on a network drive that is gone. Signals that come together, as `timeout` sends them to a
/// process and to its group, are one.
#[cfg(target_os = "linux")]
#[test]
fn the_third_ctrl_c_ends_a_program_that_waits_for_a_file() {
    let root = TempDir::new().unwrap();
    let pipe = root.path().join("ct.nii");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child =
        segment(&pipe, &root.path().join("results")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let catches = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(caught.trim(), 16).ok()? & 1 << 1 != 0).then_some(())
    };
    wait("Ctrl-C is caught", catches);
    let interrupt = || assert!(Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap().success());
    for _ in 0..2 {
        interrupt();
        interrupt();
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "it was asked twice");
    }
    interrupt();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("the next Ctrl-C ends the program at once"), "{said}");
    assert!(files_below(root.path()).iter().all(|name| name == "ct.nii"), "{:?}", files_below(root.path()));
}

/// Ctrl-C and `kill -9` in turn, at moments all over a run over earlier results, until ten have stopped it: a run may end before it is
/// stopped, but not those that are stopped at once.
#[cfg(unix)]
#[test]
fn whenever_a_run_is_stopped_inputs_and_earlier_results_are_whole_and_the_next_run_works() {
    let (_root, folder, ct) = patient();
    let other = folder.join("other.nii.gz");
    write_phantom(3, &other);
    let (out, reference) = (folder.join("out"), folder.join("reference"));
    succeed(segment(&ct, &out).arg("--all-organs"));
    let old = contents(&out);
    let clock = Instant::now();
    succeed(segment(&other, &reference).arg("--all-organs"));
    // Of the shortest run so far: this one may have been slowed by other work.
    let (new, mut whole) = (contents(&reference), clock.elapsed());
    assert_ne!(old["attention.csv"], new["attention.csv"]);
    let inputs = [std::fs::read(&ct).unwrap(), std::fs::read(&other).unwrap()];
    let (mut n, mut stopped) = (0u32, 0);
    while n < 20 || stopped < 10 {
        let (of, expected) = if n % 4 < 2 { (&other, &new) } else { (&ct, &old) };
        let mut call = segment(of, &out);
        let mut child = call.arg("--all-organs").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Every twentieth part of a run, in mixed order.
        std::thread::sleep(whole.mul_f64(f64::from(n * 7 % 20) / 20.0));
        let signal = if n % 2 == 0 { "-INT" } else { "-KILL" };
        Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        let ended = wait(&format!("{signal} ends it"), || child.try_wait().unwrap());
        stopped += u32::from(!ended.success());
        assert_eq!([std::fs::read(&ct).unwrap(), std::fs::read(&other).unwrap()], inputs, "{signal}");
        if !is_whole(&out, &old) && !is_whole(&out, &new) {
            // Stopped while names changed: none is half, and there is no record until the next run has finished it.
            assert!(signal == "-KILL" && !out.join("run.json").exists(), "{signal}: {:?}", files_below(&out));
        }
        let clock = Instant::now();
        succeed(segment(of, &out).arg("--all-organs"));
        whole = whole.min(clock.elapsed());
        assert!(is_whole(&out, expected) && files_below(&out) == promised(), "{:?}", files_below(&out));
        n += 1;
    }
}

/// A limit on the size of files stands for a disk that is full: what is written fails in the middle of a file.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_inputs_and_earlier_results_and_the_next_run_works() {
    let (_root, folder, ct) = patient();
    let out = folder.join("out");
    succeed(segment(&ct, &out).arg("--all-organs"));
    let before = contents(&folder);
    let full = |call: &mut Command, blocks: u32| {
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        run(Command::new("sh").arg("-c").arg(line).arg(call.get_program()).args(call.get_args()))
    };
    // In blocks of 512 bytes: not even the journal of what is written, not the first file, not the report.
    for blocks in [0, 1, 8] {
        let said = full(segment(&ct, &out).arg("--all-organs"), blocks);
        assert_eq!(said.code, Some(1), "{blocks}: {said:#?}");
        assert!(
            said.errors().len() == 1 && said.errors()[0].contains(&out.display().to_string()),
            "{blocks}: {said:#?}"
        );
        assert_eq!(contents(&folder), before, "{blocks}: {said:#?}");
    }
    let onnx = folder.join("a.onnx");
    let said = full(program("export").arg("--onnx").arg(&onnx), 8);
    assert!(said.code == Some(1) && said.errors()[0].contains("a.onnx: cannot be written"), "{said:#?}");
    assert_eq!(contents(&folder), before);
    succeed(segment(&ct, &out).arg("--all-organs"));
}

/// As a user; whoever may write everywhere is refused by a system of files that holds none.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_into_is_named_before_the_work() {
    use std::os::unix::fs::PermissionsExt;
    let (_root, folder, ct) = patient();
    let locked = folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut outputs = vec![PathBuf::from("/proc/attention")];
    if std::fs::write(locked.join("probe"), "").is_err() {
        outputs.extend([locked.clone(), locked.join("deeper")]);
    }
    let before = contents(&folder);
    for output in outputs {
        let said = run(segment(&ct, &output).arg("--all-organs"));
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.errors().len() == 1 && said.errors()[0].contains(&output.display().to_string()), "{said:#?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:#?}");
        assert_eq!(contents(&folder), before);
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_said_is_a_failure_and_what_nobody_reads_is_none() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [["info", "--organs"], ["info", "--weights"], ["--help", ""], ["--version", ""]] {
        let arguments: Vec<&str> = arguments.into_iter().filter(|a| !a.is_empty()).collect();
        let mut call = program(arguments[0]);
        let output = call.args(&arguments[1..]).stdout(full()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: standard output cannot be written"), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // Somebody who closes the pipe has seen enough.
    let mut child = program("info").arg("--organs").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// The list comes from the program's own table of options, so no option can be forgotten here.
#[test]
fn every_number_option_refuses_what_is_no_number_of_its_range() {
    let listed = succeed(&mut program("number-options")).stdout;
    let options: Vec<(&str, &str)> = listed.lines().map(|line| line.split_once(' ').unwrap()).collect();
    for expected in
        [("compare", "--tolerance-mm"), ("phantom", "--spacing"), ("crossval", "--folds"), ("sheet", "--columns")]
    {
        assert!(options.contains(&expected), "{expected:?}: {listed}");
    }
    // What is counted from nought, and seeds.
    let nought = [("phantom", "--seed"), ("bench", "--steps"), ("collect", "--pictures")];
    let judged = |command: &str, option: &str, value: &str| {
        let said = run(program(command).arg(format!("{option}={value}")));
        assert_eq!(said.code, Some(2), "{command} {option}={value}: {said:#?}");
        let refused = ["error: invalid value", "error: a value is required"].iter().any(|s| said.stderr.starts_with(s));
        assert!(!refused || said.stderr.contains(option), "{said:#?}");
        !refused
    };
    for (command, option) in options {
        for wrong in
            ["nan", "NaN", "inf", "-inf", "infinity", "-1", "-0.5", "1e999", "1e300", "", " ", "abc", "1,5", "0x10"]
        {
            assert!(!judged(command, option, wrong), "{command} {option} takes `{wrong}`");
        }
        let accepted = nought.contains(&(command, option));
        // A call that is refused for what it lacks has taken its numbers.
        if !accepted {
            assert!(!judged(command, option, "0"), "{command} {option} takes 0");
        }
    }
    for (command, option, value) in [
        ("compare", "--tolerance-mm", "3.5"),
        ("phantom", "--matrix", "64"),
        ("crossval", "--folds", "2"),
        ("ablation", "--seeds", "3"),
    ] {
        let said = run(program(command).arg(format!("{option}={value}")));
        assert!(said.stderr.contains("required arguments were not provided"), "{said:#?}");
    }
    for wrong in ["0/3", "4/3", "1/0", "-1/3", "1/3/3", "x"] {
        let said = run(program("crossval").arg(format!("--part={wrong}")));
        assert!(said.stderr.contains("give k/n, with k from 1 to n"), "{wrong}: {said:#?}");
    }
}
