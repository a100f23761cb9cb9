//! Lists of scans: a part is a command with one result, whatever ends it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use whole_program_tests::wait;

use crate::support::{files_below, program, promised, run, segment, succeed, write_phantom};

/// Four scans, one file that is no scan, and one that is not there.
fn cohort() -> (TempDir, PathBuf) {
    let root = TempDir::new().unwrap();
    let scans = root.path().join("scans");
    std::fs::create_dir(&scans).unwrap();
    let mut list = String::from("# a cohort\n");
    for n in 0..4 {
        write_phantom(n, &scans.join(format!("scan{n}.nii.gz")));
        list.push_str(&format!("scans/scan{n}.nii.gz\n"));
    }
    std::fs::write(scans.join("broken.nii.gz"), "no scan").unwrap();
    list.push_str("scans/broken.nii.gz\nlost\tscans/nowhere.nii.gz\n");
    let path = root.path().join("list.txt");
    std::fs::write(&path, list).unwrap();
    (root, path)
}

fn call(list: &Path, output: &Path) -> Command {
    let mut call = program("segment");
    call.arg("--list").arg(list).arg("--output").arg(output).args(["--device", "cpu", "--all-organs"]);
    call
}

/// What the results say, apart from when and how long: by file.
fn results(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let timeless = |name: &String| !name.ends_with("run.json") && !name.ends_with("report.html");
    let names = files_below(output).into_iter().filter(|name| !name.starts_with("status/")).filter(timeless);
    names.map(|name| (name.clone(), std::fs::read(output.join(name)).unwrap())).collect()
}

/// The last outcome and reason of each scan.
fn status(output: &Path) -> BTreeMap<String, (String, String)> {
    let folder = output.join("status");
    let texts = files_below(&folder).into_iter().map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    let text: String = texts.collect();
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_string();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (word(&line, "scan"), (word(&line, "outcome"), word(&line, "reason"))))
        .collect()
}

fn outcomes(output: &Path) -> Vec<(String, String)> {
    status(output).into_iter().map(|(scan, (outcome, _))| (scan, outcome)).collect()
}

fn with_outcome(good: &str) -> Vec<(String, String)> {
    let mut all = vec![("broken".to_string(), "failed".to_string()), ("lost".to_string(), "failed".to_string())];
    all.extend((0..4).map(|n| (format!("scan{n}"), good.to_string())));
    all
}

#[test]
fn parts_make_what_single_calls_make_and_a_second_call_does_only_what_changed() {
    let (root, list) = cohort();
    let parts = root.path().join("parts");
    for part in ["1/2", "2/2"] {
        let said = run(call(&list, &parts).args(["--part", part]));
        // Of each part one scan fails, and the others are not lost for it.
        assert_eq!(said.code, Some(3), "{said:#?}");
        assert_eq!(said.errors().len(), 2, "{said:#?}");
    }
    assert_eq!(outcomes(&parts), with_outcome("done"));
    let reasons = status(&parts);
    assert!(reasons["broken"].1.contains("broken.nii.gz"), "{reasons:?}");
    assert!(reasons["lost"].1.contains("nowhere.nii.gz"), "{reasons:?}");
    // Whole folders and nothing else.
    let mut names: Vec<String> =
        std::fs::read_dir(&parts).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["scan0", "scan1", "scan2", "scan3", "status"]);
    for n in 0..4 {
        assert_eq!(files_below(&parts.join(format!("scan{n}"))), promised());
    }
    // What a call for one scan makes.
    let single = root.path().join("single");
    succeed(segment(&root.path().join("scans/scan2.nii.gz"), &single).arg("--all-organs"));
    assert_eq!(results(&single), results(&parts.join("scan2")));

    // Again, as another division of the list: nothing is written, but for the lines that say so.
    let record = |n: usize| std::fs::read(parts.join(format!("scan{n}/run.json"))).unwrap();
    let before: Vec<Vec<u8>> = (0..4).map(record).collect();
    assert_eq!(run(&mut call(&list, &parts)).code, Some(3));
    assert_eq!((0..4).map(record).collect::<Vec<_>>(), before);

    // Another scan under an old name, and a result of which a file is gone, are done again; a copy with a new time is not.
    write_phantom(7, &root.path().join("scans/scan0.nii.gz"));
    std::fs::remove_file(parts.join("scan1/labels.nii.gz")).unwrap();
    let scan2 = root.path().join("scans/scan2.nii.gz");
    let bytes = std::fs::read(&scan2).unwrap();
    std::fs::remove_file(&scan2).unwrap();
    std::fs::write(&scan2, bytes).unwrap();
    assert_eq!(run(&mut call(&list, &parts)).code, Some(3));
    let changed: Vec<usize> = (0..4).filter(|&n| record(n) != before[n]).collect();
    assert_eq!(changed, [0, 1]);
    assert_eq!(files_below(&parts.join("scan1")), promised());

    // Other options make other results of all of them.
    assert_eq!(run(call(&list, &parts).arg("--no-cleanup")).code, Some(3));
    assert!((0..4).all(|n| record(n) != before[n]));
}

#[test]
fn a_killed_task_and_two_at_once_leave_whole_results() {
    let (root, list) = cohort();
    let [one, killed, both] = ["one", "killed", "both"].map(|name| root.path().join(name));
    assert_eq!(run(&mut call(&list, &one)).code, Some(3));

    let mut task = call(&list, &killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait("a scan is done", || status_is_there(&killed).then_some(()));
    task.kill().unwrap();
    task.wait().unwrap();
    for name in files_below(&killed).iter().filter(|name| name.ends_with("run.json") && !name.starts_with('.')) {
        assert_eq!(files_below(killed.join(name).parent().unwrap()), promised(), "{name}");
    }
    assert_eq!(run(&mut call(&list, &killed)).code, Some(3));
    // What the kill has left is hidden and out of the way.
    let seen: BTreeMap<_, _> = results(&killed).into_iter().filter(|(name, _)| !name.starts_with('.')).collect();
    assert_eq!(seen, results(&one));

    let tasks: Vec<_> = (0..2).map(|_| call(&list, &both).stderr(Stdio::null()).spawn().unwrap()).collect();
    for mut task in tasks {
        assert_eq!(task.wait().unwrap().code(), Some(3));
    }
    assert_eq!(results(&both), results(&one));
}

/// Whether a scan of the list is done.
fn status_is_there(output: &Path) -> bool {
    let path = output.join("status/part-0001-of-0001.jsonl");
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("\"done\""))
}

/// A scheduler's warning: the task ends in good order, with the code that asks for another try.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_task_with_a_code_that_asks_for_another_try() {
    let (root, list) = cohort();
    let output = root.path().join("results");
    let mut task = call(&list, &output).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait("a scan is done", || status_is_there(&output).then_some(()));
    Command::new("kill").args(["-TERM", &task.id().to_string()]).status().unwrap();
    let code = task.wait().unwrap().code();
    // It may have been over by then.
    assert!(code == Some(75) || code == Some(3), "{code:?}");
    assert!(outcomes(&output).iter().all(|(scan, outcome)| outcome == "done" || !scan.starts_with("scan")));
    assert_eq!(run(&mut call(&list, &output)).code, Some(3));
    assert_eq!(outcomes(&output).len(), 6);
}

#[test]
fn what_cannot_be_run_at_all_is_told_from_scans_that_fail() {
    let (root, list) = cohort();
    let output = root.path().join("results");
    let twice = root.path().join("twice.txt");
    std::fs::write(&twice, "a\tx.nii\na\ty.nii\n").unwrap();
    for (list, sentence) in [(root.path().join("no.txt"), "no.txt"), (twice, "given twice")] {
        let said = run(&mut call(&list, &output));
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.errors()[0].contains(sentence), "{said:#?}");
    }
    let said = run(call(&list, &output).args(["--organs", "liverwurst"]));
    assert_eq!(said.code, Some(1), "{said:#?}");
    for part in ["0/2", "3/2", "x"] {
        assert_eq!(run(call(&list, &output).args(["--part", part])).code, Some(2), "{part}");
    }
    assert!(!output.exists());
}

#[test]
fn the_cost_of_a_list_is_said_and_nothing_is_written() {
    let (root, list) = cohort();
    let output = root.path().join("results");
    let said = run(call(&list, &output).arg("--cost"));
    assert_eq!(said.code, Some(3), "two scans have no cost: {said:#?}");
    for n in 0..4 {
        assert!(said.stdout.contains(&format!("scan{n}")), "{said:#?}");
    }
    assert!(said.stdout.contains("4 scans"), "{said:#?}");
    assert!(!output.exists());
}

#[test]
fn a_cohort_is_collected_in_tables_and_a_page_and_who_is_missing_is_named() {
    let (root, list) = cohort();
    let [results, summary] = ["results", "summary"].map(|name| root.path().join(name));
    let collect = || {
        let mut call = program("collect");
        call.arg(&list).arg(&results).arg("-o").arg(&summary);
        call
    };
    let early = run(&mut collect());
    assert!(early.code == Some(1) && early.errors()[0].contains("not a folder"), "{early:#?}");
    run(&mut call(&list, &results));
    let said = succeed(&mut collect());
    assert!(said.stdout.contains("4 scans with results") && said.stdout.contains("2 failed"), "{said:#?}");
    let read = |name: &str| std::fs::read_to_string(summary.join(name)).unwrap();
    // The volumes are those of each scan's own table, row by row.
    let table = read("organs.csv");
    for n in 0..4 {
        let own = std::fs::read_to_string(results.join(format!("scan{n}/statistics.csv"))).unwrap();
        for row in own.lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            let wanted = format!("scan{n},{},{},", fields[0], fields[4]);
            assert!(table.lines().any(|line| line.starts_with(&wanted)), "{wanted} is not in\n{table}");
        }
    }
    // So are the doubts about them, of which the record of each scan speaks.
    for n in 0..4 {
        let own = std::fs::read(results.join(format!("scan{n}/run.json"))).unwrap();
        let own: Value = serde_json::from_slice(&own).unwrap();
        let found: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
        for row in found.iter().filter(|row| row[0] == format!("scan{n}")) {
            let share = own["doubtful_share"][row[1]].as_f64();
            assert_eq!(row[10], share.map_or(String::new(), |share| format!("{share:.4}")), "{row:?}");
            assert_eq!(share.is_some(), row[2] != "0.000", "{row:?}");
            assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{row:?}");
        }
    }
    let failures = read("failures.csv");
    assert!(failures.contains("broken,") && failures.contains("lost,") && failures.lines().count() == 3, "{failures}");
    let page = read("cohort.html");
    assert!(page.contains("href=\"../results/scan1/report.html\"") && page.contains("nowhere.nii.gz"), "{page}");

    // A scan that was never run is named, and is in no table.
    let longer = std::fs::read_to_string(&list).unwrap() + "later\tscans/scan3.nii.gz\n";
    std::fs::write(&list, longer).unwrap();
    let said = run(&mut collect());
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("later") && read("cohort.html").contains("not run yet"), "{said:#?}");
    assert_eq!(read("organs.csv"), table);
}
