//! An archive on loopback that can be told to misbehave: to break off, to answer oddly, to refuse.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use whole_program_tests::{SERIES, STUDY};

use crate::support::{type_of, unpack_identified};

/// How instances of the CT begin that `support::unpack_identified` writes.
const INSTANCE: &str = "1.2.826.0.1.3680043.10.9";

/// What somebody asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query, behind the root.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How often the same was asked for before.
    pub before: usize,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 0 where there is no answer.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// After how many bytes of the body the connection breaks.
    pub cut: Option<usize>,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".into(), content_type.into())], body: body.into(), cut: None }
    }

    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "application/dicom+json", body)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Nobody is there: the connection ends without a word.
    pub fn gone() -> Self {
        Self::new(0, "", "")
    }

    pub fn cut(mut self, at: usize) -> Self {
        self.cut = Some(at);
        self
    }
}

/// A server that runs as long as the test program.
pub struct Archive {
    /// The root of its DICOMweb services.
    pub root: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Archive {
    /// Answers as it is told.
    pub fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::beside(None, answer)
    }

    /// The same, with the files of a page on the same origin.
    pub fn beside(page: Option<PathBuf>, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}/dicom-web", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (noted, answer) = (seen.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, answer, page) = (noted.clone(), answer.clone(), page.clone());
                std::thread::spawn(move || talk(stream, page.as_deref(), &noted, answer.as_ref()));
            }
        });
        Self { root, seen }
    }

    /// What was asked for so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request a connection. Where the client has gone, nobody minds.
fn talk(
    mut stream: TcpStream,
    page: Option<&Path>,
    noted: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Reply,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, asked) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let Some(path) = asked.strip_prefix("/dicom-web").map(str::to_owned) else {
        return write(&mut stream, &file(page?, &asked));
    };
    let request = {
        let mut noted = noted.lock().unwrap();
        let before = noted.iter().filter(|seen| seen.path == path && seen.method == method).count();
        let request = Request { method, path, headers, body, before };
        noted.push(request.clone());
        request
    };
    write(&mut stream, &answer(&request))
}

/// A file of the page.
fn file(page: &Path, asked: &str) -> Reply {
    let name = asked.split('?').next().unwrap_or_default().trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    match std::fs::read(page.join(name)) {
        Ok(bytes) => Reply::new(200, type_of(name), bytes).with("Cache-Control", "no-store"),
        Err(_) => Reply::new(404, "text/plain", ""),
    }
}

fn write(stream: &mut TcpStream, reply: &Reply) -> Option<()> {
    if reply.status == 0 {
        return stream.shutdown(Shutdown::Both).ok();
    }
    let mut head =
        format!("HTTP/1.1 {} Answer\r\nConnection: close\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(b"\r\n").ok()?;
    let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    stream.write_all(&reply.body[..end]).ok()?;
    stream.flush().ok()?;
    stream.shutdown(Shutdown::Both).ok()
}

/// The CT of four slices, as files by UID.
#[derive(Clone)]
pub struct Series(pub BTreeMap<String, Vec<u8>>);

impl Series {
    pub fn new(folder: &Path) -> Self {
        let files = unpack_identified(folder);
        let named = |(n, path)| (format!("{INSTANCE}.{}", n + 1), std::fs::read::<&std::path::PathBuf>(path).unwrap());
        Self(files.iter().enumerate().map(named).collect())
    }

    /// The instances as parts of a message, as the standard has it.
    pub fn message<'a>(&self, uids: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
        let mut body = Vec::new();
        for uid in uids {
            body.extend(b"--cut here\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend(&self.0[uid]);
            body.extend(b"\r\n");
        }
        body.extend(b"--cut here--\r\n");
        body
    }

    /// A message of these parts.
    pub fn reply(body: Vec<u8>) -> Reply {
        Reply::new(200, "multipart/related; type=\"application/dicom\"; boundary=\"cut here\"", body)
    }

    /// What a good archive would answer. It gives three rows at a time, whatever it is asked for.
    pub fn answer(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let offset = query.split('&').find_map(|part| part.strip_prefix("offset=")?.parse().ok()).unwrap_or(0);
        let rows = |tag: &str, uids: Vec<&str>, more: &str| {
            let rows: Vec<String> = uids
                .iter()
                .skip(offset)
                .take(3)
                .map(|uid| format!("{{\"{tag}\":{{\"vr\":\"UI\",\"Value\":[\"{uid}\"]}}{more}}}"))
                .collect();
            Reply::json(format!("[{}]", rows.join(",")))
        };
        let series = format!("/studies/{STUDY}/series");
        let one = format!("{series}/{SERIES}");
        match path.strip_prefix(&one) {
            Some("") => return Self::reply(self.message(self.0.keys())),
            Some("/instances") => return rows("00080018", self.0.keys().map(String::as_str).collect(), ""),
            Some(rest) => {
                let uid = rest.trim_start_matches("/instances/").to_owned();
                return match self.0.contains_key(&uid) {
                    true => Self::reply(self.message([&uid])),
                    false => Reply::new(404, "application/json", "{}"),
                };
            }
            None => {}
        }
        match path {
            _ if path == series => {
                let more =
                    ",\"00080060\":{\"vr\":\"CS\",\"Value\":[\"CT\"]},\"00201209\":{\"vr\":\"IS\",\"Value\":[4]}";
                rows("0020000E", vec![SERIES], more)
            }
            "/studies" => rows("0020000D", vec![STUDY], ""),
            _ => Reply::json("[]"),
        }
    }
}
