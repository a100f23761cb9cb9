//! A hospital's way of using the program: a folder in which scans arrive, by copying and over the network. The other side is dcmtk, where
//! it is installed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use attention_anatomy::formats::{self, dicom};
use whole_program_tests::{not_run, wait};

use crate::support::{Said, files_below, program, run, unpack_identified, write_phantom};

/// A folder that is watched.
struct Inbox(tempfile::TempDir);

impl Inbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn watch(&self, more: &[&str]) -> Said {
        let mut call = program("watch");
        call.arg(self.0.path()).args(["--once", "--quiet", "0.2", "--device", "cpu"]).args(more);
        run(&mut call)
    }

    /// What the log says: events with the names of what they are about.
    fn log(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.path("watch.jsonl")).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
        let part = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
        text.lines().filter_map(line).map(|l| (part(&l, "event"), part(&l, "name"))).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.log().iter().filter(|(e, _)| e == event).count()
    }
}

#[test]
fn what_arrives_is_outlined_once_and_what_cannot_be_is_left_alone() {
    let inbox = Inbox::new();
    write_phantom(0, &inbox.path("one.nii.gz"));
    std::fs::create_dir(inbox.path("broken")).unwrap();
    std::fs::write(inbox.path("broken/slice.dcm"), [&[0; 128], b"DICM\x02\0".as_slice()].concat()).unwrap();
    std::fs::write(inbox.path("notes.txt"), "no scan").unwrap();
    let said = inbox.watch(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("1 outlined, 1 not"), "{}", said.stderr);
    let results = files_below(&inbox.path("one.nii.gz.outlined"));
    assert!(results.contains("labels.nii.gz") && results.contains("run.json"), "{results:?}");
    let once = [("started", "broken"), ("failed", "broken"), ("started", "one.nii.gz"), ("done", "one.nii.gz")];
    assert_eq!(inbox.log(), once.map(|(e, n)| (e.to_owned(), n.to_owned())));

    // After a restart, and with the same scan under another name, nothing is done again.
    std::fs::create_dir(inbox.path("again")).unwrap();
    std::fs::copy(inbox.path("one.nii.gz"), inbox.path("again/two.nii.gz")).unwrap();
    let said = inbox.watch(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("the same as one.nii.gz, which was outlined already"), "{}", said.stderr);
    assert_eq!((inbox.count("done"), inbox.count("failed"), inbox.count("same")), (1, 1, 1));
    assert!(!inbox.path("again.outlined").exists());

    // Another scan under the old name is another scan; the results of before are the program's own and are replaced.
    write_phantom(1, &inbox.path("one.nii.gz"));
    let said = inbox.watch(&["--again"]);
    assert!(said.stderr.contains("1 outlined, 1 not"), "{}", said.stderr);
    assert_eq!((inbox.count("done"), inbox.count("failed")), (2, 2));
}

/// Whoever opens a pipe to read it waits for a writer, and here comes one with a scan.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_folder_is_not_read() {
    let inbox = Inbox::new();
    write_phantom(0, &inbox.path("one.nii.gz"));
    let pipe = inbox.path("pipe.nii.gz");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let scan = std::fs::read(inbox.path("one.nii.gz")).unwrap();
    let writer = std::thread::spawn({
        let (pipe, scan) = (pipe.clone(), scan.clone());
        move || std::fs::write(pipe, scan)
    });
    assert_eq!(inbox.watch(&[]).code, Some(0));
    assert_eq!(inbox.log(), [("started", "one.nii.gz"), ("done", "one.nii.gz")].map(|(e, n)| (e.into(), n.into())));
    assert!(!writer.is_finished(), "somebody has read the pipe");
    assert_eq!(std::fs::read(pipe).unwrap(), scan);
    writer.join().unwrap().unwrap();
}

#[test]
fn a_scan_that_the_program_died_of_twice_is_left_alone_and_a_log_cut_by_a_power_cut_is_read() {
    let inbox = Inbox::new();
    write_phantom(2, &inbox.path("scan.nii.gz"));
    assert_eq!(inbox.watch(&[]).code, Some(0));
    let text = std::fs::read_to_string(inbox.path("watch.jsonl")).unwrap();
    let started = text.lines().find(|line| line.contains("\"started\"")).unwrap();
    // Begun twice and never ended; then half a line.
    std::fs::write(inbox.path("watch.jsonl"), format!("{started}\n{started}\n{}", &started[..40])).unwrap();
    let said = inbox.watch(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("the program ended 2 times while it worked on this"), "{}", said.stderr);
    assert_eq!((inbox.count("started"), inbox.count("failed"), inbox.count("done")), (2, 1, 0));
    // Begun once: tried again.
    std::fs::write(inbox.path("watch.jsonl"), format!("{started}\n")).unwrap();
    assert_eq!(inbox.watch(&[]).code, Some(0));
    assert_eq!((inbox.count("started"), inbox.count("done")), (2, 1));
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A call of a program of dcmtk.
fn dcmtk(name: &str) -> Command {
    let mut call = Command::new(name);
    call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    call
}

fn is_installed(name: &str) -> bool {
    dcmtk(name).arg("--version").status().is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts `listen`; the program and its port.
fn listen(folder: &Path, more: &[&str]) -> (Running, String) {
    let mut call = program("listen");
    call.arg(folder).args(["--address", "127.0.0.1:0", "--quiet", "1", "--device", "cpu"]).args(more);
    call.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(call.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next().expect("the program says where it listens").unwrap();
        if let Some((_, address)) = line.split_once("listens on ") {
            break address.rsplit_once(':').unwrap().1.to_owned();
        }
    };
    // Whoever reads nothing more must not stop the program.
    std::thread::spawn(move || lines.for_each(drop));
    (running, port)
}

#[test]
fn a_series_comes_over_the_network_and_its_structures_go_back() {
    if !["storescu", "storescp", "echoscu"].into_iter().all(is_installed) {
        return not_run("dcmtk is not installed (storescu, storescp, echoscu)");
    }
    let (home, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let slices = unpack_identified(home.path());
    let inbox = Inbox(tempfile::tempdir().unwrap());
    let port = free_port().to_string();
    let archive_call = |call: &mut Command| {
        call.args(["--aetitle", "PLANNING", "--bit-preserving", "--output-directory"])
            .arg(archive.path())
            .arg(&port)
            .spawn()
            .unwrap()
    };
    let _archive = Running(archive_call(&mut dcmtk("storescp")));
    let node = format!("PLANNING@127.0.0.1:{port}");
    let from = ["--from", "SCANNER,ECHOSCU", "--send", &node];
    let (running, own) = listen(inbox.0.path(), &from);
    let store = |title: &str, called: &str| {
        let mut call = dcmtk("storescu");
        call.args(["-aet", title, "-aec", called, "-xv", "-R", "127.0.0.1", &own]).args(&slices).status().unwrap()
    };
    assert!(dcmtk("echoscu").args(["-aec", "AATTENTION", "127.0.0.1", &own]).status().unwrap().success());
    assert!(!store("STRANGER", "AATTENTION").success(), "who is not let in is refused");
    assert!(!store("SCANNER", "SOMEBODY").success(), "who means somebody else is refused");
    assert!(store("SCANNER", "AATTENTION").success());

    let files: Vec<(String, Vec<u8>)> =
        slices.iter().map(|p| (p.display().to_string(), std::fs::read(p).unwrap())).collect();
    let series = dicom::list_series(&files).unwrap().remove(0);
    let received = files_below(&inbox.path(&series.uid));
    assert_eq!(received.len(), slices.len(), "every slice is a file as soon as it is acknowledged");
    for instance in &series.instances {
        assert!(received.contains(&format!("{}.dcm", instance.sop_instance_uid)), "{received:?}");
    }
    // For whoever may read any other file that a program makes.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let rights = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode();
        let plain = home.path().join("plain");
        std::fs::write(&plain, b"").unwrap();
        let name = format!("{}/{}.dcm", series.uid, series.instances[0].sop_instance_uid);
        assert_eq!(rights(inbox.path(&name)), rights(plain));
    }
    let sent = wait("structures in the archive", || {
        let found = files_below(archive.path()).into_iter().find(|name| name.starts_with("RS."));
        found.filter(|_| inbox.path("watch.jsonl").exists() && inbox.count("sent") == 1)
    });
    // What arrived there is what lies here, drawn on the very series.
    let arrived = std::fs::read(archive.path().join(sent)).unwrap();
    let results = inbox.path(&format!("{}.outlined", series.uid));
    let own_set = std::fs::read(results.join("structures.dcm")).unwrap();
    let data_set = |bytes: &[u8]| dicom::Transfer::of_file("", bytes).unwrap().data_set.to_vec();
    assert!(data_set(&arrived) == data_set(&own_set), "the data set is the same, byte by byte");
    let reference = formats::Reference::read(files).unwrap();
    let drawn = formats::read_structures(vec![("sent".into(), arrived)], Some(&reference)).unwrap();
    assert!(!drawn.organs.is_empty() && drawn.warnings.is_empty(), "{:?}", drawn.warnings);

    // Sent again, and after a restart: nothing is done twice, nothing is sent twice.
    assert!(store("SCANNER", "AATTENTION").success());
    drop(running);
    let said = inbox.watch(&["--send", &node]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((inbox.count("done"), inbox.count("sent")), (1, 1), "{:?}", inbox.log());
    let text = std::fs::read_to_string(inbox.path("watch.jsonl")).unwrap();
    for secret in [&series.patient.name, &series.patient.id] {
        assert!(secret.is_empty() || !text.contains(secret.as_str()), "the log names no patient");
    }
}

#[test]
fn a_node_that_is_away_gets_its_structures_later() {
    let inbox = Inbox::new();
    unpack_identified(&inbox.path("scan"));
    let port = free_port().to_string();
    let node = format!("PLANNING@127.0.0.1:{port}");
    let said = inbox.watch(&["--send", &node]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("cannot be reached") && said.stderr.contains("1 outlined, 1 not"), "{}", said.stderr);
    if !is_installed("storescp") {
        return not_run("dcmtk is not installed (storescp)");
    }
    let archive = tempfile::tempdir().unwrap();
    let mut call = dcmtk("storescp");
    call.args(["--aetitle", "PLANNING", "--bit-preserving", "--output-directory"]).arg(archive.path()).arg(&port);
    let _archive = Running(call.spawn().unwrap());
    wait("the archive listens", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    let said = inbox.watch(&["--send", &node]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((inbox.count("done"), inbox.count("sent")), (1, 1));
    assert_eq!(files_below(archive.path()).len(), 1);
    // `watch` takes nodes, folders and titles that can be, and says so of those that cannot.
    for wrong in ["PLANNING", "PLANNING@host", "@host:1", "A-TITLE-THAT-IS-TOO-LONG@host:1"] {
        let said = inbox.watch(&["--send", wrong]);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}
