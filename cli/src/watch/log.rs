//! What was done with what arrived: a line of JSON for each event, appended and on the disk before anything else happens. It names folders
//! and files as they are named there, and nothing of what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The name of the log.
pub const LOG: &str = "watch.jsonl";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It is being worked on.
    Started,
    /// The work was interrupted by whoever runs the program.
    Stopped,
    /// It is outlined.
    Done,
    /// It cannot be.
    Failed,
    /// It has come before.
    Same,
    /// Its structures went to a node, which the sentence names.
    Sent,
}

/// A line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Universal time.
    pub time: String,
    /// What happened.
    pub event: Event,
    /// To what.
    pub name: String,
    /// Of its files: names, lengths, times.
    pub signature: String,
    /// SHA-256 of what is in them; empty where they could not be read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// Where the results are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sentence: String,
}

/// The log of a watched folder.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// By name, the signatures that need no more work.
    settled: BTreeMap<String, BTreeSet<String>>,
    /// By content, the line that settled it.
    known: BTreeMap<String, Line>,
    /// By content, how often it was begun and never ended.
    begun: BTreeMap<String, usize>,
    /// Contents and the nodes that have their structures.
    sent: BTreeSet<(String, String)>,
}

impl Log {
    /// Reads what happened before. A line that a power cut left half is nothing; with `again`, neither are failures.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(folder: &Path, again: bool) -> Result<Self> {
        let path = folder.join(LOG);
        let cannot = || format!("{}: cannot be read or written", path.display());
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).with_context(cannot)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(cannot)?;
        file.seek(SeekFrom::End(0)).with_context(cannot)?;
        if bytes.last().is_some_and(|&last| last != b'\n') {
            file.write_all(b"\n").with_context(cannot)?;
        }
        let mut log = Self {
            path: path.clone(),
            file,
            settled: BTreeMap::new(),
            known: BTreeMap::new(),
            begun: BTreeMap::new(),
            sent: BTreeSet::new(),
        };
        for line in String::from_utf8_lossy(&bytes).lines() {
            match serde_json::from_str::<Line>(line) {
                Ok(line) if again && line.event == Event::Failed => {
                    log.begun.remove(&line.content);
                }
                Ok(line) => log.note(&line),
                Err(_) => {}
            }
        }
        Ok(log)
    }

    /// Adds a line, with the time.
    ///
    /// # Errors
    /// A line that cannot be written.
    pub fn add(&mut self, line: Line) -> Result<()> {
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let line = Line { time, ..line };
        let text = serde_json::to_string(&line)? + "\n";
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("{}: cannot be written", self.path.display()))?;
        self.note(&line);
        Ok(())
    }

    fn note(&mut self, line: &Line) {
        match line.event {
            Event::Started => *self.begun.entry(line.content.clone()).or_default() += 1,
            Event::Stopped => {
                self.begun.remove(&line.content);
            }
            Event::Sent => {
                self.sent.insert((line.content.clone(), line.sentence.clone()));
            }
            Event::Done | Event::Failed | Event::Same => {
                self.settled.entry(line.name.clone()).or_default().insert(line.signature.clone());
                self.begun.remove(&line.content);
                if line.event != Event::Same && !line.content.is_empty() {
                    self.known.insert(line.content.clone(), line.clone());
                }
            }
        }
    }

    /// Whether a scan needs no more work as it is.
    pub fn is_settled(&self, name: &str, signature: &str) -> bool {
        self.settled.get(name).is_some_and(|signatures| signatures.contains(signature))
    }

    /// What became of this content before.
    pub fn known(&self, content: &str) -> Option<&Line> {
        self.known.get(content)
    }

    /// How often it was begun and never ended.
    pub fn starts(&self, content: &str) -> usize {
        self.begun.get(content).copied().unwrap_or(0)
    }

    /// What is outlined and not yet with a node.
    pub fn unsent(&self, node: &str) -> Vec<Line> {
        let is_sent = |line: &Line| self.sent.contains(&(line.content.clone(), node.to_owned()));
        self.known.values().filter(|line| line.event == Event::Done && !is_sent(line)).cloned().collect()
    }
}
