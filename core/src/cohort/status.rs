//! What became of each scan: a line of JSON in the status file of its part, appended when the scan is over.
//!
//! A file is written by the task that runs its part, and read by whoever wants to know how far a cohort is. A task that was killed leaves a
//! line that is cut; one that ran twice leaves two lines for a scan, of which the later one counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::train::Part;

/// What became of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Segmented; its folder is there.
    Done,
    /// Nothing to do: its folder was there, made from the same.
    Kept,
    /// Not segmented, for the reason that is said.
    Failed,
}

/// A line of a status file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusLine {
    /// The scan's name in the list.
    pub scan: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Seconds that it took, reading and writing included.
    pub seconds: f64,
    /// Slices of the scan; 0 where it could not be read.
    #[serde(default)]
    pub slices: usize,
    /// Why it failed, one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

impl StatusLine {
    /// As it is appended to the file.
    pub fn text(&self) -> String {
        // Numbers, strings and no maps with other keys: nothing that JSON cannot hold.
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("{line}\n")
    }
}

/// The name of the status file of a part.
pub fn status_file(part: Part) -> String {
    format!("part-{:04}-of-{:04}.jsonl", part.0.index, part.0.of)
}

/// The last word on each scan in the status files of a cohort; what is cut or strange is passed over. Of two lines the later one
/// counts, and `kept` says nothing new of a scan that was done.
pub fn status_lines<'a>(files: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, StatusLine> {
    let mut last: BTreeMap<String, StatusLine> = BTreeMap::new();
    for line in files.into_iter().flat_map(str::lines) {
        let Ok(line) = serde_json::from_str::<StatusLine>(line) else { continue };
        match last.get(&line.scan) {
            Some(known) if known.at > line.at => {}
            Some(known) if known.outcome == Outcome::Done && line.outcome == Outcome::Kept => {}
            _ => {
                last.insert(line.scan.clone(), line);
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scan: &str, outcome: Outcome, at: &str) -> StatusLine {
        let reason = (outcome == Outcome::Failed).then(|| "no CT".to_string());
        StatusLine { scan: scan.into(), outcome, seconds: 1.5, slices: 3, reason, at: at.into() }
    }

    #[test]
    fn the_last_word_counts_and_cut_lines_do_not() {
        let first = [
            line("a", Outcome::Failed, "2026-01-01T00:00:00Z").text(),
            line("b", Outcome::Done, "2026-01-01T00:01:00Z").text(),
        ]
        .concat();
        let second = [
            line("a", Outcome::Done, "2026-01-02T00:00:00Z").text(),
            line("b", Outcome::Kept, "2026-01-02T00:00:00Z").text(),
            "{\"scan\":\"c\",\"outco".to_string(),
        ]
        .concat();
        for files in [[first.as_str(), second.as_str()], [second.as_str(), first.as_str()]] {
            let found = status_lines(files);
            assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"], "the cut line is none");
            assert_eq!(found["a"].outcome, Outcome::Done);
        }
        assert_eq!(status_lines([first.as_str(), second.as_str()])["b"].outcome, Outcome::Done);
    }

    #[test]
    fn files_of_parts_are_listed_in_the_order_of_the_parts() {
        let names: Vec<String> = ["2/20", "10/20"].map(|part| status_file(part.parse().unwrap())).into();
        assert_eq!(names, ["part-0002-of-0020.jsonl", "part-0010-of-0020.jsonl"]);
    }

    #[test]
    fn a_line_is_one_line_of_plain_json() {
        let mut failed = line("a", Outcome::Failed, "2026-01-01T00:00:00Z");
        failed.reason = Some("two\nlines, \"quoted\"".into());
        let text = failed.text();
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["outcome"], &value["seconds"]), (&"failed".into(), &1.5.into()));
        assert!(!line("a", Outcome::Done, "").text().contains("reason"));
    }
}
