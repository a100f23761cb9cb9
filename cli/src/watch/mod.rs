//! A watched folder: whatever arrives in it is outlined, once.
//!
//! Nobody says when the last slice of a series has arrived, so what has not changed for a while counts as complete. A log beside the
//! results ([`log`]) says what was done with what, by content: a scan that comes again, under another name or after a restart, is not
//! outlined again; one that has got more slices is. What cannot be outlined is left alone until it changes, and what the program died of
//! twice, too, so that one bad file does not stop all others.

mod arrivals;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use attention_anatomy::cohort::InputKey;

use crate::commands::segment::{Options, ReadCt, Session};
use crate::node::{self, Node};
use crate::output::Overwrite;
use crate::{interrupt, progress};
use arrivals::{Arrival, Kinds};
use log::{Event, Line, Log};

/// How often something may be begun that never ends.
const MOST_STARTS: usize = 2;
/// How often the folder is looked at, at least.
const LOOK: Duration = Duration::from_millis(500);
/// How long until an unreachable node is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// DICOM files of a result, which are sent.
const SENT: [&str; 2] = ["structures.dcm", "segmentation.dcm"];

/// What is watched and what is done.
#[derive(Debug)]
pub struct Watch {
    /// The folder.
    pub folder: PathBuf,
    /// Where results go, a folder for each scan; beside the scans where not given.
    pub output: Option<PathBuf>,
    /// How long nothing may change until a scan is complete.
    pub quiet: Duration,
    /// Whether to end when everything that is there is done.
    pub once: bool,
    /// Whether to try again what could not be outlined before.
    pub again: bool,
    /// Nodes that get RTSTRUCT and SEG.
    pub nodes: Vec<Node>,
    /// The application entity title under which they are sent.
    pub title: String,
    /// How it is outlined.
    pub options: Options,
}

/// The watch at work.
struct Watcher {
    watch: Watch,
    session: Session,
    log: Log,
    /// What loose files were found to be.
    kinds: Kinds,
    /// When each arrival was first seen as it is now.
    seen: BTreeMap<String, (String, Instant)>,
    /// When a node was last tried, and why it failed.
    tried: BTreeMap<String, (Instant, String)>,
    stop: Arc<AtomicBool>,
    done: usize,
    failed: usize,
    /// So that nobody else works here.
    _lock: File,
}

impl Watch {
    /// Watches until Ctrl-C, or with `once` until all is done.
    ///
    /// # Errors
    /// A folder, weights or a device that cannot be used; another watch on the folder.
    pub fn run(self) -> Result<Totals> {
        let stop = interrupt::flag()?;
        if !self.folder.is_dir() {
            bail!("{}: is no folder", self.folder.display());
        }
        let home = self.output.as_ref().unwrap_or(&self.folder).clone();
        std::fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        let lock = lock(&home)?;
        let log = Log::open(&home, self.again)?;
        let session = Session::open(self.options.clone())?;
        progress::note(&format!("watching {}; Ctrl-C ends it", self.folder.display()));
        let mut watcher = Watcher {
            watch: self,
            session,
            log,
            kinds: Kinds::default(),
            seen: BTreeMap::new(),
            tried: BTreeMap::new(),
            stop,
            done: 0,
            failed: 0,
            _lock: lock,
        };
        watcher.run()
    }
}

/// What came of a watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Scans that were outlined.
    pub done: usize,
    /// Scans that could not be, and results that could not be sent.
    pub failed: usize,
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".watch.lock");
    let file = File::create(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("{}: another watch writes here", folder.display()),
        // A file system without locks.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

impl Watcher {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(&mut self) -> Result<Totals> {
        let mut away = false;
        while !self.stopped() {
            match arrivals::list(&self.watch.folder, &mut self.kinds) {
                Ok(arrivals) => {
                    away = false;
                    let waiting = self.look(arrivals)?;
                    let unsent = self.send()?;
                    if self.watch.once && !waiting {
                        self.failed += unsent;
                        break;
                    }
                }
                // A share that is gone may come back.
                Err(error) if !away => {
                    progress::warn(&format!("{error:#}"));
                    away = true;
                }
                Err(_) => {}
            }
            let until = Instant::now() + LOOK.min(self.watch.quiet);
            while Instant::now() < until && !self.stopped() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(Totals { done: self.done, failed: self.failed })
    }

    /// Does what is complete; whether something else is still on its way.
    fn look(&mut self, arrivals: Vec<Arrival>) -> Result<bool> {
        let names: BTreeSet<String> = arrivals.iter().map(|a| a.name.clone()).collect();
        self.seen.retain(|name, _| names.contains(name));
        let mut waiting = false;
        for arrival in arrivals {
            if self.stopped() {
                return Ok(true);
            }
            if self.log.is_settled(&arrival.name, &arrival.signature) {
                continue;
            }
            let now = (arrival.signature.clone(), Instant::now());
            let (signature, since) = self.seen.entry(arrival.name.clone()).or_insert_with(|| now.clone());
            if *signature != arrival.signature {
                (*signature, *since) = now;
            }
            if since.elapsed() < self.watch.quiet {
                waiting = true;
                continue;
            }
            self.outline(&arrival)?;
        }
        Ok(waiting)
    }

    /// Only what the log cannot take is an error: without it everything would be done again.
    fn outline(&mut self, arrival: &Arrival) -> Result<()> {
        let name = &arrival.name;
        let line = |event, content: &str, sentence: String| Line {
            time: String::new(),
            event,
            name: name.clone(),
            signature: arrival.signature.clone(),
            content: content.to_owned(),
            output: String::new(),
            sentence,
        };
        let files = match arrival.read() {
            Ok(files) => files,
            Err(error) => {
                self.failed += 1;
                progress::error(&format!("{error:#}"));
                return self.log.add(line(Event::Failed, "", format!("{error:#}")));
            }
        };
        let content = arrivals::content(&files);
        if let Some(known) = self.log.known(&content) {
            let sentence = match known.event {
                Event::Failed => format!("the same as {}, which could not be outlined", known.name),
                _ => format!("the same as {}, which was outlined already", known.name),
            };
            progress::note(&format!("{name}: {sentence}"));
            return self.log.add(line(Event::Same, &content, sentence));
        }
        if self.log.starts(&content) >= MOST_STARTS {
            let sentence = format!("the program ended {MOST_STARTS} times while it worked on this; it is left alone");
            self.failed += 1;
            progress::error(&format!("{name}: {sentence}"));
            return self.log.add(line(Event::Failed, &content, sentence));
        }
        self.log.add(line(Event::Started, &content, String::new()))?;
        let output = self.watch.output.as_ref().unwrap_or(&self.watch.folder).join(arrivals::output_name(name));
        let work = std::panic::AssertUnwindSafe(|| self.segment(arrival, files, &output));
        let result = std::panic::catch_unwind(work);
        match result {
            Ok(Ok(summary)) => {
                self.done += 1;
                progress::print_line(&summary);
                let output = output.display().to_string();
                self.log.add(Line { output, ..line(Event::Done, &content, summary) })
            }
            // Begun and not ended, but not because of what arrived.
            Ok(Err(_)) if self.stopped() => self.log.add(line(Event::Stopped, &content, String::new())),
            Ok(Err(error)) => {
                self.failed += 1;
                progress::error(&format!("{name}: {error:#}"));
                self.log.add(line(Event::Failed, &content, format!("{error:#}")))
            }
            Err(_) => {
                self.failed += 1;
                let sentence = "the program failed on it, which is a mistake in the program";
                progress::error(&format!("{name}: {sentence}"));
                // Nobody knows what state the engine is in.
                self.session = Session::open(self.watch.options.clone())?;
                self.log.add(line(Event::Failed, &content, sentence.into()))
            }
        }
    }

    fn segment(&mut self, arrival: &Arrival, files: Vec<(String, Vec<u8>)>, output: &Path) -> Result<String> {
        let options = &self.watch.options;
        let ct = ReadCt::of_files(files, InputKey::default(), &options.asked())?;
        let read: Vec<&Path> = arrival.files.iter().map(|(_, path)| path.as_path()).collect();
        let claimed = Session::claim(options, output, &read, Overwrite::default())?;
        Ok(self.session.segment(ct, &arrival.name, claimed)?.line(&arrival.name, output))
    }

    /// Sends what was not sent yet; how many results no node has taken.
    fn send(&mut self) -> Result<usize> {
        let mut unsent = 0;
        for node in self.watch.nodes.clone() {
            let key = node.to_string();
            for done in self.log.unsent(&key) {
                let waits = self.tried.get(&key).is_some_and(|(at, _)| at.elapsed() < AGAIN);
                if waits || self.stopped() {
                    unsent += 1;
                    continue;
                }
                let mut files = Vec::new();
                for name in SENT {
                    let path = Path::new(&done.output).join(name);
                    if path.is_file() {
                        files.push((path.display().to_string(), crate::files::read(&path)?));
                    }
                }
                let sent = if files.is_empty() { Ok(()) } else { node::send(&self.watch.title, &node, &files) };
                match sent {
                    Ok(()) => {
                        self.tried.remove(&key);
                        if !files.is_empty() {
                            progress::print_line(&format!("{}: sent to {node}", done.name));
                        }
                        self.log.add(Line { event: Event::Sent, sentence: key.clone(), ..done })?;
                    }
                    Err(error) => {
                        unsent += 1;
                        let text = format!("{error:#}");
                        if self.tried.get(&key).is_none_or(|(_, before)| *before != text) {
                            progress::warn(&format!("{text}; it is tried again"));
                        }
                        self.tried.insert(key.clone(), (Instant::now(), text));
                    }
                }
            }
        }
        Ok(unsent)
    }
}
