//! An archive as hospitals have it: what the program gets from one, what it gives back, and what it says when something on the way is not
//! as it should be.

pub mod orthanc;
pub mod server;

use std::path::Path;
use std::process::Command;

use crate::support::{Said, data, files_below, program, run, succeed};
use server::{Archive, Reply, Request, SERIES, STUDY, Series};

/// A call of `archive`, without whatever proxy this machine has.
pub fn archive(command: &str, root: &str) -> Command {
    let mut call = without_proxy(program("archive"));
    call.args([command, root]);
    call
}

pub fn without_proxy(mut call: Command) -> Command {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        call.env_remove(name);
    }
    call.env_remove("ATTENTION_ANATOMY_TOKEN");
    call
}

fn get(root: &str, output: &Path) -> Said {
    run(archive("get", root).args(["--study", STUDY, "--output"]).arg(output))
}

fn is_whole_series(request: &Request) -> bool {
    request.path.ends_with(SERIES)
}

/// What was retrieved is what lies in the archive, byte by byte.
fn assert_same(output: &Path, series: &Series) {
    let names: Vec<String> = files_below(output).into_iter().collect();
    let expected: Vec<String> = series.0.keys().map(|uid| format!("{SERIES}/{uid}.dcm")).collect();
    assert_eq!(names, expected);
    for (name, bytes) in names.iter().zip(series.0.values()) {
        assert!(std::fs::read(output.join(name)).unwrap() == *bytes, "{name}");
    }
}

#[test]
fn a_series_comes_whole_wherever_the_connection_breaks_and_what_came_is_not_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let length = series.message(series.0.keys()).len();
    // Ten places that nobody chose, the first in the first head.
    let mut place = 20_u64;
    for n in 0..10 {
        let cut = usize::try_from(place % length as u64).unwrap();
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 3;
        let own = series.clone();
        let server = Archive::answering(move |request| {
            let reply = own.answer(request);
            let is_instance = request.path.contains("/instances/");
            match () {
                () if is_whole_series(request) => reply.cut(cut),
                // Single ones break the first time, too.
                () if is_instance && request.before == 0 => reply.cut(1000 * n),
                () => reply,
            }
        });
        let output = folder.path().join(format!("came-{n}"));
        let said = get(&server.root, &output);
        assert_eq!(said.code, Some(0), "cut at {cut}: {said:?}");
        assert!(said.stderr.contains("asked for one by one"), "{}", said.stderr);
        assert_same(&output, &series);
        let asked = server.seen().len();
        let again = get(&server.root, &output);
        assert!(again.code == Some(0) && again.stderr.contains("4 of 4 instances"), "{again:?}");
        let more = server.seen().split_off(asked);
        assert!(more.iter().all(|request| request.path.contains("limit=")), "{more:?}");
    }
}

#[test]
fn a_series_with_holes_is_never_taken_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let own = series.clone();
    // The list names a slice more than the archive gives.
    let server = Archive::answering(move |request| {
        let mut reply = own.answer(request);
        if request.path.contains("/instances?") && request.path.contains("offset=0") {
            let more = "[{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]}},";
            reply.body = [more.as_bytes(), &reply.body[1..]].concat();
        }
        reply
    });
    let output = folder.path().join("came");
    let said = get(&server.root, &output);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("1 of 5 instances of the series did not come"), "{}", said.stderr);
    assert_same(&output, &series);
    let mut call = without_proxy(program("segment"));
    call.args(["--from", &server.root, "--study", STUDY, "--device", "cpu", "--output"]).arg(folder.path().join("out"));
    let said = run(&mut call);
    assert!(said.code == Some(1) && said.stderr.contains("did not come"), "{said:?}");
    assert!(files_below(&folder.path().join("out")).is_empty());
}

#[test]
fn odd_messages_are_read_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let own = series.clone();
    let server = Archive::answering(move |request| {
        if !is_whole_series(request) {
            return own.answer(request);
        }
        let mut body = b"A message in parts.\n\n--cut here\nContent-Type: text/plain\n\nno DICOM".to_vec();
        for bytes in own.0.values().chain(own.0.values().take(1)) {
            body.extend(b"\n--cut here \nContent-Length: 1\ncontent-type:application/dicom\n\n");
            body.extend(bytes);
        }
        body.extend(b"\n--cut here--\nepilogue\n--cut here\n\n");
        Series::reply(body)
    });
    let output = folder.path().join("came");
    let said = get(&server.root, &output);
    assert_eq!(said.code, Some(0), "{said:?}");
    for told in ["1 parts of the answer came twice", "1 parts of the answer were no DICOM"] {
        assert!(said.stderr.contains(told), "{}", said.stderr);
    }
    assert_same(&output, &series);
    // What is there is never replaced.
    let file = output.join(format!("{SERIES}/{}.dcm", series.0.keys().next().unwrap()));
    std::fs::write(&file, "mine").unwrap();
    let said = get(&server.root, &output);
    assert!(said.code == Some(1) && said.stderr.contains("is there already"), "{said:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[test]
fn refusals_are_sentences_and_a_token_is_in_none_of_them() {
    let page = "<!DOCTYPE html><html><body>Sign in as Jane Doe</body></html>";
    let refusals = [
        (
            Reply::new(401, "text/html", page).with("WWW-Authenticate", "Bearer realm=\"Doe\""),
            "does not know who asks (401",
        ),
        (Reply::new(403, "text/html", page), "does not allow to list studies (403"),
        (Reply::new(404, "text/html", page), "check the root of the address"),
        (
            Reply::new(302, "text/html", page).with("Location", "https://login.example/?for=Doe"),
            "to login.example (302)",
        ),
        (Reply::new(429, "text/html", page).with("Retry-After", "3600"), "again in 3600 s"),
        (Reply::new(507, "text/html", page), "no room left"),
        (Reply::new(200, "text/html", page), "a web page in place of DICOM"),
        (Reply::new(200, "application/dicom+xml", "<?xml version=\"1.0\"?>"), "XML in place of DICOM"),
    ];
    for (reply, sentence) in refusals {
        let server = Archive::answering(move |_| reply.clone());
        let said = run(archive("list", &server.root).env("ATTENTION_ANATOMY_TOKEN", "very-secret"));
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(said.errors().len(), 1, "{said:?}");
        assert!(said.stderr.contains(sentence) && said.stderr.contains(&server.root), "{}", said.stderr);
        assert!(
            !said.stderr.contains("very-secret") && !said.stderr.contains("Doe") && said.stdout.is_empty(),
            "{said:?}"
        );
        assert_eq!(server.seen().len(), 1);
        assert_eq!(server.seen()[0].headers["authorization"], "Bearer very-secret");
    }
}

#[test]
fn what_passes_is_waited_for_and_a_token_goes_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let server = Archive::answering(move |request| match request.before {
        0 => Reply::new(503, "text/plain", "").with("Retry-After", "1"),
        1 => series.answer(request).cut(1),
        _ => series.answer(request),
    });
    let token = folder.path().join("token");
    std::fs::write(&token, "Basic dXNlcjpwYXNz\n").unwrap();
    let said = succeed(archive("list", &server.root).arg("--token-file").arg(&token));
    assert!(said.stdout.contains(STUDY), "{said:?}");
    assert_eq!(said.stderr, format!("the archive is {}\n", server.root));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.headers["authorization"] == "Basic dXNlcjpwYXNz"), "{seen:?}");
    // Others could read it on the way.
    let said = run(archive("list", "http://archive.invalid/dicom-web").arg("--token-file").arg(&token));
    assert!(said.code == Some(1) && said.stderr.contains("the address must begin with https://"), "{said:?}");
    for (root, sentence) in [
        ("https://me:very-secret@archive.invalid/", "must not hold a user or a password"),
        ("archive.invalid", "is no address of an archive"),
        ("/dicom-web", "is no address of an archive"),
    ] {
        let said = run(&mut archive("list", root));
        assert!(said.code != Some(0) && said.stderr.contains(sentence), "{said:?}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = run(&mut archive("list", &format!("http://{nobody}/dicom-web")));
    assert!(said.code == Some(1) && said.stderr.contains("nobody"), "{said:?}");
}

#[test]
fn lists_are_tables_with_names_as_people_write_them() {
    let studies = std::fs::read(data("dicomweb/studies.json")).unwrap();
    let server = Archive::answering(move |_| Reply::json(studies.clone()));
    let mut call = archive("list", &server.root);
    let said = succeed(call.args(["--patient", "*a*", "--date", "2024-01-01..", "--limit", "2", "--offset", "4"]));
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    let has = |parts: &[&str]| lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(
        has(&["2024-01-31", "Yamada, Tarou · 山田 太郎 · やまだ たろう", "JP-1", "A100", "Thorax", STUDY]),
        "{said:?}"
    );
    assert!(has(&["2024-02-01", "CT,RTSTRUCT", "Müller, Jörg", "Überwachung"]), "{said:?}");
    assert!(said.stderr.contains("--offset 6"), "{said:?}");
    let asked = &server.seen()[0].path;
    for part in ["PatientName=*a*&", "StudyDate=20240101-&", "limit=2&offset=4"] {
        assert!(asked.contains(part), "{asked}");
    }
}

#[test]
fn a_series_is_outlined_from_the_archive_and_the_structures_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let server = Archive::answering(move |request| match request.method.as_str() {
        "POST" => Reply::new(200, "application/dicom+json", ""),
        _ => series.answer(request),
    });
    let mut call = without_proxy(program("segment"));
    call.args([
        "--from",
        &server.root,
        "--study",
        STUDY,
        "--send",
        "--format",
        "rtstruct,seg",
        "--device",
        "cpu",
        "--output",
    ]);
    let said = succeed(call.arg(folder.path().join("out")));
    assert!(said.stdout.contains("as far as it says"), "{said:?}");
    assert!(said.stderr.starts_with(&format!("the archive is {}\n", server.root)), "{said:?}");
    let sent: Vec<Request> = server.seen().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(sent.len(), 2);
    for (request, name) in sent.iter().zip(["structures.dcm", "segmentation.dcm"]) {
        assert_eq!(request.path, "/studies");
        assert!(
            request.headers["content-type"].starts_with("multipart/related; type=\"application/dicom\"; boundary=")
        );
        let file = std::fs::read(folder.path().join("out").join(name)).unwrap();
        assert!(request.body.windows(file.len()).any(|window| window == file), "{name}");
    }
}

#[test]
fn what_is_not_kept_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::new(&folder.path().join("ct"));
    let file = folder.path().join("one.dcm");
    std::fs::write(&file, series.0.values().next().unwrap()).unwrap();
    let conflict = std::fs::read(data("dicomweb/conflict.json")).unwrap();
    for (reply, sentence) in [
        (Reply::json(conflict).with("X", "y"), "failure reason 0110"),
        (Reply::new(413, "text/html", "<html>"), "client_max_body_size"),
        (Reply::new(405, "text/plain", ""), "STOW"),
    ] {
        let reply = Reply { status: if reply.status == 200 { 409 } else { reply.status }, ..reply };
        let server = Archive::answering(move |_| reply.clone());
        let said = run(archive("send", &server.root).arg(&file));
        let is_405 = sentence == "STOW";
        let sentence = if is_405 { "does not let anyone store objects" } else { sentence };
        assert!(said.code == Some(1) && said.stderr.contains(sentence), "{said:?}");
        assert!(said.stderr.contains("one.dcm: not sent") && said.stdout.is_empty(), "{said:?}");
    }
    // Nothing is sent before all of it is known to be DICOM.
    let server = Archive::answering(|_| Reply::json(""));
    let other = folder.path().join("two.dcm");
    std::fs::write(&other, "no DICOM").unwrap();
    let said = run(archive("send", &server.root).args([&file, &other]));
    assert!(said.code == Some(1) && said.stderr.contains("two.dcm") && server.seen().is_empty(), "{said:?}");
}
