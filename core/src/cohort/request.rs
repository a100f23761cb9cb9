//! What a result was made from. It stands in the result's `run.json`, so that a list that is given again does only what is new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// An input's files, as far as they tell it from others.
///
/// Their contents decide ([`same_content`](Self::same_content)); where number, length and time are as before, nobody reads them again
/// ([`untouched`](Self::untouched)): ten thousand scans are looked through in seconds then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputKey {
    /// How many files.
    pub files: usize,
    /// Their bytes in all.
    pub bytes: u64,
    /// When the newest of them was changed, in nanoseconds since 1970; 0 where that is not known.
    pub modified: u64,
    /// SHA-256 over names and contents, hexadecimal; empty where they have not been read.
    pub sha256: String,
}

/// The hash of files while they come.
#[derive(Clone, Debug, Default)]
pub struct Contents(Sha256);

impl Contents {
    /// The next file: name and content.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        // With its length before it, no content can be taken for a name.
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }
}

impl InputKey {
    /// With the hash of these files: name and content.
    pub fn with_contents<'a>(self, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut contents = Contents::default();
        files.into_iter().for_each(|(name, bytes)| contents.add(name, bytes));
        self.with(contents)
    }

    /// With the hash of files that came one after the other.
    pub fn with(self, Contents(sha): Contents) -> Self {
        Self { sha256: sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), ..self }
    }

    /// Whether nothing has happened to the files since `earlier`, as far as one sees from outside.
    pub fn untouched(&self, earlier: &Self) -> bool {
        let outside = |key: &Self| (key.files, key.bytes, key.modified);
        self.modified != 0 && outside(self) == outside(earlier)
    }

    /// Whether these are the same files, whatever their time.
    pub fn same_content(&self, earlier: &Self) -> bool {
        !self.sha256.is_empty() && self.sha256 == earlier.sha256
    }
}

/// All that a result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The scan.
    pub input: InputKey,
    /// SHA-256 of the weights, hexadecimal.
    pub weights: String,
    /// Version of this program.
    pub program: String,
    /// Options that change the result.
    pub options: BTreeMap<String, Value>,
}

impl Request {
    /// Whether a result of `earlier` is the result of this one, apart from the input.
    pub fn same_but_input(&self, earlier: &Self) -> bool {
        (&self.weights, &self.program, &self.options) == (&earlier.weights, &earlier.program, &earlier.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(modified: u64, files: &[(&str, &str)]) -> InputKey {
        let bytes = files.iter().map(|(_, text)| text.len() as u64).sum();
        InputKey { files: files.len(), bytes, modified, sha256: String::new() }
            .with_contents(files.iter().map(|(name, text)| (*name, text.as_bytes())))
    }

    #[test]
    fn contents_decide_and_times_only_save_the_reading() {
        let before = key(5, &[("a", "xy"), ("b", "z")]);
        let copied = key(9, &[("a", "xy"), ("b", "z")]);
        assert!(copied.same_content(&before) && !copied.untouched(&before));
        for changed in [&[("a", "xz"), ("b", "z")][..], &[("a", "x"), ("b", "yz")], &[("ax", "y"), ("b", "z")]] {
            assert!(!key(5, changed).same_content(&before), "{changed:?}");
        }
        // Where no time is known, or no content was read, nothing is known.
        assert!(!key(0, &[]).untouched(&key(0, &[])));
        assert!(!InputKey::default().same_content(&InputKey::default()));
    }

    #[test]
    fn the_hash_is_that_of_lengths_and_bytes() {
        // printf '\1\0\0\0\0\0\0\0a\2\0\0\0\0\0\0\0xy' | sha256sum
        let expected = "7c087e571f616446b9ac2bc63eb9ad0b1bcd415bc6986698a130bd971024467b";
        assert_eq!(key(1, &[("a", "xy")]).sha256, expected);
    }

    #[test]
    fn another_option_weights_or_version_is_another_result() {
        let request = Request {
            input: key(1, &[("a", "x")]),
            weights: "w".into(),
            program: "1".into(),
            options: BTreeMap::from([("no_cleanup".to_string(), Value::from(true))]),
        };
        assert!(request.same_but_input(&Request { input: key(2, &[]), ..request.clone() }));
        assert!(!request.same_but_input(&Request { weights: "v".into(), ..request.clone() }));
        assert!(!request.same_but_input(&Request { program: "2".into(), ..request.clone() }));
        assert!(!request.same_but_input(&Request { options: BTreeMap::new(), ..request.clone() }));
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    }
}
