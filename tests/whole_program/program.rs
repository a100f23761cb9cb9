//! What the program says about itself, and the command that needs nothing.

use tempfile::TempDir;

use crate::support::{files_below, program, promised, succeed};

#[test]
fn demo_needs_nothing_but_the_binary() {
    let folder = TempDir::new().unwrap();
    let said = succeed(program("demo").args(["-o", "out", "--device", "cpu", "--no-view"]).current_dir(folder.path()));
    assert!(said.stdout.contains("report.html") && said.stdout.contains("Not a medical device"), "{said:#?}");
    assert_eq!(files_below(&folder.path().join("out")), promised());
    assert_eq!(files_below(folder.path()).len(), promised().len(), "something was written elsewhere");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_the_viewer_says_so_in_one_sentence_and_what_needs_none() {
    let mut calls: Vec<_> = (0..2).map(|_| program("view")).collect();
    // None, and one that does not answer.
    calls[1].env("DISPLAY", ":4711");
    calls[0].env_remove("DISPLAY");
    for call in &mut calls {
        let said = crate::support::run(call.arg("--sample").env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET"));
        assert!(said.code == Some(1) && said.stderr.lines().count() == 1, "{said:#?}");
        let error = said.errors()[0];
        assert!(error.starts_with("error: there is no display to open a window on ("), "{error}");
        assert!(error.contains("`segment SCAN -o DIR`") && error.contains("`demo --no-view`"), "{error}");
        assert!(!error.contains(".rs") && !error.contains("winit"), "{error}");
    }
}

#[test]
fn info_lists_33_organs() {
    let said = succeed(program("info").arg("--organs"));
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 1 + 33, "{said:#?}");
    for (n, line) in lines.iter().skip(1).enumerate() {
        assert_eq!(line.split_whitespace().next(), Some((n + 1).to_string().as_str()), "{line}");
    }
    for (label, id) in [("28", "kidney_right"), ("30", "liver"), ("32", "spleen")] {
        let found = lines.iter().any(|l| l.split_whitespace().take(2).eq([label, id]));
        assert!(found, "{label} {id}: {said:#?}");
    }
}

#[test]
fn devices_names_the_cpu() {
    let said = succeed(&mut program("devices"));
    let cpus: Vec<&str> = said.stdout.lines().filter(|l| l.starts_with("cpu ")).collect();
    assert!(cpus.len() == 1 && cpus[0].contains("threads"), "{said:#?}");
}

#[test]
fn help_names_every_command() {
    let said = succeed(&mut program("--help"));
    for command in [
        "view", "segment", "archive", "demo", "info", "devices", "prepare", "train", "evaluate", "compare", "crossval",
        "ablation", "trials", "figure", "export", "import", "phantom", "bench",
    ] {
        let named = said.stdout.lines().any(|l| l.split_whitespace().next() == Some(command));
        assert!(named, "{command}: {said:#?}");
        let help = succeed(program(command).arg("--help"));
        assert!(help.stdout.contains("Usage:"), "{command}: {help:#?}");
    }
    assert!(said.stdout.contains("Not a medical device"), "{said:#?}");
}
