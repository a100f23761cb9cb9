//! The description of a data set: which cases, which files, which organs each case annotates, which split.
//!
//! JSON or TOML with the same keys. A case lists the organs that are annotated *in it*; the set as a whole promises
//! nothing. Keys that the program does not use (source, quality notes...) are kept out of its way and ignored.

use serde::{Deserialize, Serialize};

use crate::anatomy::{Organ, OrganSet};

/// A data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataSet {
    /// Short name, part of every case's identity.
    pub name: String,
    /// Terms under which the images may be used.
    #[serde(default, alias = "licence")]
    pub license: String,
    /// The cases.
    pub cases: Vec<CaseEntry>,
}

/// A part of a cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which part, from 1.
    pub index: usize,
    /// How many parts.
    pub of: usize,
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// One case, which is one patient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseEntry {
    /// Unique in the set.
    pub id: String,
    /// `train` or `test`.
    pub split: String,
    /// CT file, relative to the manifest.
    pub ct: String,
    /// Label map on the CT's grid, relative to the manifest; values are the labels 1..=33 of the anatomy table.
    pub label: String,
    /// The whole truth, where it is known and kept from the training, as on phantoms: a label map of every organ, relative to
    /// the manifest. Only evaluation reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// Organs annotated in this case.
    pub annotated: Vec<String>,
    /// Where it is known better than it can be derived: z (patient superior mm) of lung apex, top of the heart, liver dome
    /// and middle of the kidneys. A boundary that the scan does not reach is given as a height beyond its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_boundaries_mm: Option<[f64; 4]>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Neither valid JSON nor valid TOML of this layout.
    #[error("the manifest cannot be read ({0}); docs/training.md shows its layout")]
    Parse(String),
    /// An organ name outside the table.
    #[error(
        "case {case}: `annotated` names `{name}`, which is not one of the 33 organs; use the ids of `attention-anatomy info --organs`"
    )]
    Organ {
        /// The case.
        case: String,
        /// The name as written.
        name: String,
    },
    /// Two cases of one id.
    #[error(
        "case {0} is listed twice; patients must be unique, or the same patient ends up in training and validation"
    )]
    Twice(String),
    /// An unknown split.
    #[error("case {case}: split is `{split}`; it must be `train` or `test`")]
    Split {
        /// The case.
        case: String,
        /// The split as written.
        split: String,
    },
}

impl DataSet {
    /// Reads and checks a manifest; `toml` says which of the two notations it is in.
    pub fn parse(text: &str, toml: bool) -> Result<Self, ManifestError> {
        let set: Self = if toml {
            toml::from_str(text).map_err(|e| ManifestError::Parse(e.to_string()))?
        } else {
            serde_json::from_str(text).map_err(|e| ManifestError::Parse(e.to_string()))?
        };
        let mut seen = std::collections::BTreeSet::new();
        for case in &set.cases {
            if !seen.insert(&case.id) {
                return Err(ManifestError::Twice(case.id.clone()));
            }
            if !["train", "test"].contains(&case.split.as_str()) {
                return Err(ManifestError::Split { case: case.id.clone(), split: case.split.clone() });
            }
            case.organs()?;
        }
        Ok(set)
    }

    /// The `train` cases, divided into training and `validation` patients by `seed`. The choice depends on the ids alone,
    /// not on their order in the file.
    pub fn divide(&self, validation: usize, seed: u64) -> (Vec<&CaseEntry>, Vec<&CaseEntry>) {
        let mut cases = self.shuffled(seed);
        let held_out = cases.split_off(cases.len() - validation.min(cases.len()));
        (cases, held_out)
    }

    /// The `train` cases, divided into training patients and those of one fold. Every patient is held out in one fold, and
    /// the sizes of the folds differ by one at most.
    pub fn fold(&self, fold: Fold, seed: u64) -> (Vec<&CaseEntry>, Vec<&CaseEntry>) {
        let (mut training, mut held_out) = (Vec::new(), Vec::new());
        for (n, case) in self.shuffled(seed).into_iter().enumerate() {
            if n % fold.of.max(1) + 1 == fold.index { held_out.push(case) } else { training.push(case) }
        }
        (training, held_out)
    }

    fn shuffled(&self, seed: u64) -> Vec<&CaseEntry> {
        let mut cases: Vec<&CaseEntry> = self.cases.iter().filter(|c| c.split == "train").collect();
        cases.sort_by_key(|c| (super::sampler::hash(seed, &format!("{}/{}", self.name, c.id)), c.id.clone()));
        cases
    }
}

impl CaseEntry {
    /// The annotated organs.
    pub fn organs(&self) -> Result<OrganSet, ManifestError> {
        self.annotated
            .iter()
            .map(|name| {
                Organ::from_id(name).ok_or_else(|| ManifestError::Organ { case: self.id.clone(), name: name.clone() })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_beside_the_labels_is_optional() {
        let set = |truth: &str| {
            let case = format!(
                "[[cases]]\nid = \"p1\"\nsplit = \"train\"\nct = \"a\"\nlabel = \"b\"\n{truth}annotated = []\n"
            );
            DataSet::parse(&format!("name = \"set\"\n{case}"), true).unwrap().cases[0].truth.clone()
        };
        assert_eq!((set(""), set("truth = \"c\"\n")), (None, Some("c".into())));
    }

    fn text(cases: &str) -> String {
        format!(r#"{{"name": "set", "license": "x", "extra": 1, "cases": [{cases}]}}"#)
    }

    fn case(id: &str, organ: &str) -> String {
        format!(r#"{{"id": "{id}", "split": "train", "ct": "a", "label": "b", "annotated": ["{organ}"]}}"#)
    }

    #[test]
    fn faults_are_named_with_their_case() {
        let wrong = DataSet::parse(&text(&case("p1", "kidneys")), false).unwrap_err().to_string();
        assert!(wrong.contains("p1") && wrong.contains("kidneys"), "{wrong}");
        let twice = text(&[case("p1", "liver"), case("p1", "liver")].join(","));
        assert!(matches!(DataSet::parse(&twice, false), Err(ManifestError::Twice(_))));
        assert!(DataSet::parse("{", false).is_err());
    }

    #[test]
    fn a_patient_is_never_on_both_sides_and_the_choice_ignores_file_order() {
        let ids: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
        let forward = ids.iter().map(|i| case(i, "liver")).collect::<Vec<_>>().join(",");
        let backward = ids.iter().rev().map(|i| case(i, "liver")).collect::<Vec<_>>().join(",");
        let (a, b) =
            (DataSet::parse(&text(&forward), false).unwrap(), DataSet::parse(&text(&backward), false).unwrap());
        let names = |v: &[&CaseEntry]| v.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
        let ((train, validation), (_, again)) = (a.divide(7, 3), b.divide(7, 3));
        assert_eq!((train.len(), validation.len()), (23, 7));
        assert!(names(&validation).iter().all(|v| !names(&train).contains(v)));
        assert_eq!(names(&validation), names(&again));
        assert_ne!(names(&validation), names(&a.divide(7, 4).1));
    }
    #[test]
    fn every_patient_is_held_out_in_exactly_one_fold() {
        let set = text(&(0..30).map(|n| case(&format!("p{n}"), "liver")).collect::<Vec<_>>().join(","));
        let set = DataSet::parse(&set, false).unwrap();
        let mut seen = Vec::new();
        for index in 1..=7 {
            let (training, held_out) = set.fold(Fold { index, of: 7 }, 3);
            assert!((4..=5).contains(&held_out.len()) && training.len() + held_out.len() == 30);
            assert!(held_out.iter().all(|h| training.iter().all(|t| t.id != h.id)));
            seen.extend(held_out.iter().map(|c| c.id.clone()));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 30);
    }
}
