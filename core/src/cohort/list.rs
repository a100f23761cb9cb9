//! Lists of scans: a path a line, `name TAB path` where the name of the file is not wanted, or the manifest of a data set.
//!
//! The name of a scan is that of its folder of results, so it does not depend on the part that is run, on what exists already or on
//! where the list lies: scans of one file name are told apart by a number, in the order of the list.

use std::collections::BTreeSet;

use crate::dataset::DataSet;

/// A scan of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Name of its folder of results, unique in the list.
    pub name: String,
    /// Where it is, as the list says: relative to the list, or absolute.
    pub path: String,
}

/// Why a list is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Nothing in it.
    #[error("there is no scan in this list; it takes a path a line, `name TAB path`, or the manifest of a data set")]
    Empty,
    /// A name that cannot be a folder's.
    #[error("line {line}: `{name}` cannot be the name of a folder; use letters, digits, `.`, `_` and `-`")]
    Name {
        /// From 1 on.
        line: usize,
        /// The name.
        name: String,
    },
    /// A name twice.
    #[error("line {line}: the name `{name}` is given twice; results of one would replace those of the other")]
    Twice {
        /// From 1 on.
        line: usize,
        /// The name.
        name: String,
    },
    /// JSON that is no manifest.
    #[error("this looks like the manifest of a data set, but {0}")]
    Manifest(String),
}

/// File names of scans end in one of these.
const ENDINGS: [&str; 7] = [".nii.gz", ".nii", ".nrrd", ".nhdr", ".zip", ".hdr", ".img"];

/// A file name without what it ends in as a scan.
pub fn stem(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The scans of a list. Empty lines and lines that begin with `#` say nothing.
///
/// # Errors
/// [`ListError`].
pub fn parse_list(text: &str) -> Result<Vec<Scan>, ListError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        return of_manifest(text);
    }
    let mut rows = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rows.push(match line.split_once('\t') {
            Some((name, path)) => (n + 1, Some(name.trim().to_string()), path.trim().to_string()),
            None => (n + 1, None, line.to_string()),
        });
    }
    name_all(rows)
}

fn of_manifest(text: &str) -> Result<Vec<Scan>, ListError> {
    let set: DataSet = serde_json::from_str(text).map_err(|error| ListError::Manifest(error.to_string()))?;
    name_all(set.cases.into_iter().enumerate().map(|(n, case)| (n + 1, Some(case.id), case.ct)).collect())
}

/// Line, name where one is given, path.
type Row = (usize, Option<String>, String);

/// Given names first: a number that is added to a file name never takes one of theirs.
fn name_all(rows: Vec<Row>) -> Result<Vec<Scan>, ListError> {
    let mut used = BTreeSet::new();
    for (line, name, _) in &rows {
        let Some(name) = name else { continue };
        if !is_folder_name(name) {
            return Err(ListError::Name { line: *line, name: name.clone() });
        }
        if !used.insert(name.clone()) {
            return Err(ListError::Twice { line: *line, name: name.clone() });
        }
    }
    let scans: Vec<Scan> = rows
        .into_iter()
        .map(|(_, given, path)| {
            let name = given.unwrap_or_else(|| unused(&of_path(&path), &mut used));
            Scan { name, path }
        })
        .collect();
    if scans.is_empty() { Err(ListError::Empty) } else { Ok(scans) }
}

fn unused(wanted: &str, used: &mut BTreeSet<String>) -> String {
    let numbered = (2u64..).map(|n| format!("{wanted}-{n}"));
    let mut names = std::iter::once(wanted.to_string()).chain(numbered);
    names.find(|name| used.insert(name.clone())).unwrap_or_default()
}

/// A folder's name for the last part of a path.
fn of_path(path: &str) -> String {
    let last = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = stem(last).chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let plain = plain.trim().trim_start_matches('.');
    if is_folder_name(plain) { plain.to_string() } else { "scan".into() }
}

/// Whether a letter may stand in the name of a folder on every system.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "._- ".contains(c)
}

/// Whether a name may be that of a folder of results: no way out of the output folder, none that is hidden or kept for this program.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name != "status"
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
        && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse_list(text).unwrap().into_iter().map(|scan| scan.name).collect()
    }

    #[test]
    fn names_come_from_files_and_folders_and_never_meet() {
        let text = "# chest\n/data/a/ct.nii.gz\n\n/data/b/ct.nii.gz\r\n/data/c/\nct-2\tother.nii\nd\\e\\scan.nrrd\n";
        let scans = parse_list(text).unwrap();
        let found: Vec<(&str, &str)> = scans.iter().map(|s| (s.name.as_str(), s.path.as_str())).collect();
        assert_eq!(
            found,
            [
                ("ct", "/data/a/ct.nii.gz"),
                ("ct-3", "/data/b/ct.nii.gz"),
                ("c", "/data/c/"),
                ("ct-2", "other.nii"),
                ("scan", "d\\e\\scan.nrrd"),
            ]
        );
    }

    #[test]
    fn a_manifest_is_a_list_of_its_cases() {
        let text = r#"{"name": "set", "cases": [{"id": "p1", "split": "train", "ct": "p1/ct.nii.gz"}]}"#;
        assert_eq!(parse_list(text).unwrap(), [Scan { name: "p1".into(), path: "p1/ct.nii.gz".into() }]);
        assert!(matches!(parse_list("{\"x\": 1}"), Err(ListError::Manifest(_))));
    }

    #[test]
    fn names_that_lead_elsewhere_or_nowhere_are_refused_with_their_line() {
        for name in ["..", "../x", "a/b", ".hidden", "status", "a\u{0}b", "x."] {
            let error = parse_list(&format!("first.nii\n{name}\tct.nii\n")).unwrap_err();
            assert_eq!(error, ListError::Name { line: 2, name: name.trim().into() }, "{name:?}");
        }
        let twice = parse_list("a\tx.nii\na\ty.nii\n").unwrap_err();
        assert_eq!(twice, ListError::Twice { line: 2, name: "a".into() });
        assert_eq!(parse_list("# nothing\n\n").unwrap_err(), ListError::Empty);
        // A file may be called what it likes: its results get a name that is none of these.
        assert_eq!(names("..\n.hidden.nii\nx:y?.nii\nstatus.nii.gz\n"), ["scan", "hidden", "x_y_", "scan-2"]);
    }
}
