//! `run.json` as a voucher: which files of a folder this program wrote, by name and SHA-256.
//!
//! The record itself is sealed with the hash of its own text (64 zeros in the place of the hash), so that a record that somebody has
//! edited is somebody's file and is not replaced either. The seal is no signature: it tells accident from intent, not friend from foe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Name of the record.
pub const RUN: &str = "run.json";
const SCHEMA: &str = "attention-anatomy/run";
const VERSION: u64 = 2;
const SEAL: &str = "\"seal\": \"";
const HEX: usize = 64;
/// How every line of a log of this program begins.
const LOG_LINE: &[u8] = b"{\"event\":\"";

/// What a record knows of the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of it has this hash.
    Whole(String),
    /// Its first so many bytes have this hash; after them come lines of a log.
    Log {
        /// Bytes that are vouched for.
        bytes: u64,
        /// Their hash.
        sha256: String,
    },
}

/// What a record says of a file: one content, or two while the file is being replaced, the old and the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher(pub Vec<Content>);

impl Content {
    fn holds(&self, path: &Path) -> bool {
        match self {
            Self::Whole(hash) => sha256_of(path).is_ok_and(|now| now == *hash),
            Self::Log { bytes, sha256 } => {
                let Ok(text) = std::fs::read(path) else { return false };
                let Some((known, rest)) = usize::try_from(*bytes).ok().and_then(|n| text.split_at_checked(n)) else {
                    return false;
                };
                self::sha256(known) == *sha256 && is_log(rest)
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Whole(hash) => hash.as_str().into(),
            Self::Log { bytes, sha256 } => serde_json::json!({ "bytes": bytes, "sha256": sha256 }),
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(hash) => Some(Self::Whole(hash.clone())),
            Value::Object(log) => {
                Some(Self::Log { bytes: log.get("bytes")?.as_u64()?, sha256: log.get("sha256")?.as_str()?.into() })
            }
            _ => None,
        }
    }
}

impl Voucher {
    /// For a file of this hash.
    pub fn whole(hash: String) -> Self {
        Self(vec![Content::Whole(hash)])
    }

    /// Whether this is what lies at `path`: a file, no link, unchanged.
    pub fn holds(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file()) && self.0.iter().any(|content| content.holds(path))
    }

    fn to_json(&self) -> Value {
        match self.0.as_slice() {
            [one] => one.to_json(),
            more => more.iter().map(Content::to_json).collect(),
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Array(contents) => Some(Self(contents.iter().map(Content::from_json).collect::<Option<_>>()?)),
            one => Some(Self(vec![Content::from_json(one)?])),
        }
    }
}

/// Whether these bytes are lines of a log, the last of which a kill may have cut.
fn is_log(bytes: &[u8]) -> bool {
    bytes
        .split_inclusive(|&b| b == b'\n')
        .all(|line| line.starts_with(LOG_LINE) || (line.len() < LOG_LINE.len() && LOG_LINE.starts_with(line)))
}

/// What a record of this program says.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The command whose results these are.
    pub command: String,
    /// What it vouches for, by name relative to its folder, `/` between the parts.
    pub files: BTreeMap<String, Voucher>,
    /// Everything else that it says.
    pub fields: Map<String, Value>,
}

/// What stands in the place of a record.
#[derive(Debug)]
pub enum Found {
    /// No file of that name.
    Nothing,
    /// A record, as it was written.
    Ours(Record),
    /// One of a version that did not list its files.
    Older,
    /// Something else, or a record that was changed.
    Foreign,
}

impl Record {
    /// Looks at the record of a folder.
    ///
    /// # Errors
    /// Where there is one that cannot be read.
    pub fn find(folder: &Path) -> Result<Found> {
        let path = folder.join(RUN);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
            Ok(metadata) if !metadata.is_file() => return Ok(Found::Foreign),
            Ok(_) => {}
        }
        let bytes = std::fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Found {
        let Ok(text) = std::str::from_utf8(bytes) else { return Found::Foreign };
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else { return Found::Foreign };
        if fields.get("schema").and_then(Value::as_str) != Some(SCHEMA) {
            return Found::Foreign;
        }
        let Some(Value::Object(files)) = fields.remove("files") else { return Found::Older };
        if !is_sealed(text) {
            return Found::Foreign;
        }
        fields.remove("seal");
        let mut known = BTreeMap::new();
        for (name, value) in &files {
            match Voucher::from_json(value) {
                Some(voucher) if is_plain(name) => known.insert(name.clone(), voucher),
                _ => return Found::Foreign,
            };
        }
        let command = fields.get("command").and_then(Value::as_str).unwrap_or_default().to_string();
        Found::Ours(Self { command, files: known, fields })
    }

    /// The sealed text.
    pub fn text(&self) -> String {
        let mut fields = self.fields.clone();
        let files: Map<String, Value> = self.files.iter().map(|(name, v)| (name.clone(), v.to_json())).collect();
        fields.insert("schema".into(), SCHEMA.into());
        fields.insert("version".into(), VERSION.into());
        fields.insert("command".into(), self.command.as_str().into());
        fields.insert("files".into(), files.into());
        let none = "0".repeat(HEX);
        fields.insert("seal".into(), none.as_str().into());
        let text = format!("{:#}\n", Value::Object(fields));
        text.replacen(&format!("{SEAL}{none}"), &format!("{SEAL}{}", sha256(text.as_bytes())), 1)
    }
}

fn is_sealed(text: &str) -> bool {
    let Some(at) = text.find(SEAL).map(|at| at + SEAL.len()) else { return false };
    let Some(seal) = text.get(at..at + HEX) else { return false };
    sha256(text.replacen(seal, &"0".repeat(HEX), 1).as_bytes()) == seal
}

/// Whether a name leads nowhere but into the folder.
pub fn is_plain(name: &str) -> bool {
    let path = Path::new(name);
    !name.is_empty() && !name.contains('\\') && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Digits of a hash.
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same of a file, piece by piece.
///
/// # Errors
/// Whatever reading the file refuses.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    let (mut file, mut sha, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&sha.finalize())),
            n => sha.update(&piece[..n]),
        }
    }
}
