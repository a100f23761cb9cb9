//! The description of a data set: which cases, which files, which organs each case annotates, which split.
//!
//! JSON or TOML with the same keys. A case lists the organs that are annotated *in it*; the set as a whole promises
//! nothing. Keys that the program does not use (source, quality notes...) are kept out of its way and ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::anatomy::{Organ, OrganSet};
use crate::formats::organ_named;

/// A data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataSet {
    /// Short name, part of every case's identity.
    pub name: String,
    /// Terms under which the images may be used.
    #[serde(default, alias = "licence")]
    pub license: String,
    /// The numbers that the organs have in the label maps of this set, by name; those of the anatomy table where there are none.
    /// Names that are no organ's are of no interest: what has their numbers is background.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, OneOrMore<u32>>,
    /// Whether its patients are its own: that a case of another set has the same id, or names the same patient, means nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_patients: bool,
    /// The cases.
    pub cases: Vec<CaseEntry>,
}

/// One or more, in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`labels` takes `name: number` or `name: [numbers]`, `masks` takes `name: file` or `name: [files]`"
)]
pub enum OneOrMore<T> {
    /// Without a list.
    One(T),
    /// In a list.
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

/// Where the labels of a case are, and how they become those of the anatomy table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelFiles<'a> {
    /// A label map, and what each of its numbers means: 0 or the label of an organ.
    Map(&'a str, Box<[u8; 256]>),
    /// Masks, each of one organ or of a part of it; the parts of an organ one after the other.
    Masks(Vec<(Organ, &'a str)>),
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

impl Fold {
    /// Name of the folder of its results.
    pub fn folder(self) -> String {
        format!("fold-{}-of-{}", self.index, self.of)
    }
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// One case: a scan and what was drawn on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseEntry {
    /// Unique in the set.
    pub id: String,
    /// The patient, where it is not the id: cases of one patient, in whatever set, stand on one side of every split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// `train` or `test`.
    pub split: String,
    /// CT file, relative to the manifest.
    pub ct: String,
    /// Label map on the CT's grid, relative to the manifest; its numbers are those of the set's `labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Or masks on the CT's grid, relative to the manifest, by the name of the organ; of one that consists of parts all parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masks: BTreeMap<String, OneOrMore<String>>,
    /// The whole truth, where it is known and kept from the training, as on phantoms: a label map of every organ with the
    /// numbers of `label`, relative to the manifest. Only evaluation reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// Organs annotated in this case. With masks it may be left out: those that have a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotated: Option<Vec<String>>,
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
    /// A mask of nothing known.
    #[error(
        "case {case}: `masks` names `{name}`, which is not one of the 33 organs; `attention-anatomy info --organs` lists them"
    )]
    Mask {
        /// The case.
        case: String,
        /// The name as written.
        name: String,
    },
    /// No labels, or labels twice.
    #[error("case {0}: give either `label`, one map of all organs, or `masks`, one for each organ")]
    Labels(String),
    /// A label map, and nothing about what it shows.
    #[error(
        "case {0}: `annotated` is missing; name the organs that were drawn for this case, whether or not they are in view"
    )]
    NotAnnotated(String),
    /// An annotated organ without a number.
    #[error(
        "case {case}: `annotated` names {organ}, to which `labels` gives no number; add it there, or do not call it annotated"
    )]
    NoNumber {
        /// The case.
        case: String,
        /// The organ.
        organ: Organ,
    },
    /// An annotated organ without a mask.
    #[error(
        "case {case}: {organ} is to count as annotated, but `masks` has no file of it; add one (empty if the scan does not show the organ), or leave it out of `annotated`"
    )]
    NoMask {
        /// The case.
        case: String,
        /// The organ.
        organ: Organ,
    },
    /// A number for two organs, or too large a one.
    #[error("`labels`: {number} stands for {organ}, but {why}")]
    Number {
        /// The number.
        number: u32,
        /// The organ.
        organ: Organ,
        /// What is wrong.
        why: String,
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
    ///
    /// # Errors
    /// [`ManifestError`]: another notation or layout, a case or a number that cannot be.
    pub fn parse(text: &str, toml: bool) -> Result<Self, ManifestError> {
        // Editors of Windows put a byte order mark first.
        let text = text.trim_start_matches('\u{feff}');
        let mut set: Self = if toml {
            toml::from_str(text).map_err(|e| ManifestError::Parse(e.to_string()))?
        } else {
            serde_json::from_str(text).map_err(|e| ManifestError::Parse(e.to_string()))?
        };
        set.cases.iter_mut().for_each(CaseEntry::use_slashes);
        set.numbers()?;
        let mut seen = std::collections::BTreeSet::new();
        for case in &set.cases {
            if !seen.insert(&case.id) {
                return Err(ManifestError::Twice(case.id.clone()));
            }
            if !["train", "test"].contains(&case.split.as_str()) {
                return Err(ManifestError::Split { case: case.id.clone(), split: case.split.clone() });
            }
            let (annotated, files) = (case.organs()?, set.label_files(case)?);
            let case = || case.id.clone();
            for organ in annotated.iter() {
                match &files {
                    LabelFiles::Map(_, organs) if !organs.contains(&organ.label()) => {
                        return Err(ManifestError::NoNumber { case: case(), organ });
                    }
                    LabelFiles::Masks(masks) if masks.iter().all(|mask| mask.0 != organ) => {
                        return Err(ManifestError::NoMask { case: case(), organ });
                    }
                    _ => {}
                }
            }
        }
        Ok(set)
    }

    /// Where the labels of one of its cases are.
    ///
    /// # Errors
    /// [`ManifestError`], which [`parse`](Self::parse) has looked for.
    pub fn label_files<'a>(&self, case: &'a CaseEntry) -> Result<LabelFiles<'a>, ManifestError> {
        match (&case.label, case.masks.is_empty()) {
            (Some(map), true) => Ok(LabelFiles::Map(map, Box::new(self.numbers()?))),
            (None, false) => {
                let mut masks = Vec::new();
                for (organ, files) in case.mask_organs()?.into_iter().zip(case.masks.values()) {
                    masks.extend(files.as_slice().iter().map(|file| (organ, file.as_str())));
                }
                if masks.is_empty() {
                    return Err(ManifestError::Labels(case.id.clone()));
                }
                masks.sort_by_key(|(organ, _)| organ.index());
                Ok(LabelFiles::Masks(masks))
            }
            _ => Err(ManifestError::Labels(case.id.clone())),
        }
    }

    /// What each number of the set's label maps means: 0 or the label of an organ.
    ///
    /// # Errors
    /// [`ManifestError::Number`], which [`parse`](Self::parse) has looked for.
    pub fn numbers(&self) -> Result<[u8; 256], ManifestError> {
        if self.labels.is_empty() {
            return Ok(std::array::from_fn(|n| n as u8));
        }
        let mut meant = [0u8; 256];
        for (name, numbers) in &self.labels {
            let Some(organ) = organ_named(name) else { continue };
            for &number in numbers.as_slice() {
                let wrong = |why: String| Err(ManifestError::Number { number, organ, why });
                match meant.get_mut(number as usize) {
                    None => return wrong("label maps have numbers up to 255".into()),
                    Some(_) if number == 0 => return wrong("0 is the background".into()),
                    Some(label) => match Organ::from_label(*label) {
                        Some(other) if other != organ => return wrong(format!("also for {other}")),
                        _ => *label = organ.label(),
                    },
                }
            }
        }
        Ok(meant)
    }

    /// Which numbers `labels` lists, whether as an organ's or as another's; 0 is always listed.
    pub fn listed(&self) -> [bool; 256] {
        let mut listed = [false; 256];
        listed[0] = true;
        for &number in self.labels.values().flat_map(OneOrMore::as_slice) {
            if let Some(is) = listed.get_mut(number as usize) {
                *is = true;
            }
        }
        listed
    }

    /// The `train` cases in the order in which `seed` divides them.
    pub(super) fn shuffled(&self, seed: u64) -> Vec<&CaseEntry> {
        let mut cases: Vec<&CaseEntry> = self.cases.iter().filter(|c| c.split == "train").collect();
        cases.sort_by_key(|c| (crate::random::hash(seed, &format!("{}/{}", self.name, c.id)), c.id.clone()));
        cases
    }
}

impl CaseEntry {
    /// Paths as Windows writes them become paths that are found everywhere.
    fn use_slashes(&mut self) {
        let mend = |path: &mut String| *path = path.replace('\\', "/");
        mend(&mut self.ct);
        self.label.iter_mut().chain(&mut self.truth).for_each(mend);
        for masks in self.masks.values_mut() {
            match masks {
                OneOrMore::One(path) => mend(path),
                OneOrMore::More(paths) => paths.iter_mut().for_each(mend),
            }
        }
    }

    /// The patient: as named, or the id.
    pub fn patient(&self) -> &str {
        self.patient.as_deref().unwrap_or(&self.id)
    }

    /// The annotated organs.
    ///
    /// # Errors
    /// [`ManifestError::NotAnnotated`], [`ManifestError::Organ`].
    pub fn organs(&self) -> Result<OrganSet, ManifestError> {
        let Some(annotated) = &self.annotated else {
            return match self.masks.is_empty() {
                true => Err(ManifestError::NotAnnotated(self.id.clone())),
                false => Ok(self.mask_organs()?.into_iter().collect()),
            };
        };
        let organ = |name: &String| {
            Organ::from_id(name).ok_or_else(|| ManifestError::Organ { case: self.id.clone(), name: name.clone() })
        };
        annotated.iter().map(organ).collect()
    }

    /// The organ of every entry of `masks`.
    fn mask_organs(&self) -> Result<Vec<Organ>, ManifestError> {
        let organ = |name: &String| {
            organ_named(name).ok_or_else(|| ManifestError::Mask { case: self.id.clone(), name: name.clone() })
        };
        self.masks.keys().map(organ).collect()
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

    /// As nnU-Net numbers its sets, with parts of a lung.
    #[test]
    fn a_set_may_have_numbers_of_its_own() {
        let set = |labels: &str, annotated: &str| {
            let case = format!(r#"{{"id": "p1", "split": "train", "ct": "a", "label": "b"{annotated}}}"#);
            DataSet::parse(&format!(r#"{{"name": "set", "labels": {labels}, "cases": [{case}]}}"#), false)
        };
        let labels = r#"{"background": 0, "spleen": 1, "Kidney_L": 3, "lung_left": [7, 8], "tumour": 9}"#;
        let good = set(labels, r#", "annotated": ["spleen", "kidney_left", "lung_left"]"#).unwrap();
        let LabelFiles::Map("b", meant) = good.label_files(&good.cases[0]).unwrap() else { panic!() };
        let expected = [(1, Organ::Spleen), (3, Organ::KidneyLeft), (7, Organ::LungLeft), (8, Organ::LungLeft)];
        for (number, label) in meant.into_iter().enumerate() {
            let organ = expected.iter().find(|e| e.0 == number).map(|e| e.1);
            assert_eq!(Organ::from_label(label), organ, "{number}");
        }
        let error = |labels: &str, annotated: &str| set(labels, annotated).unwrap_err().to_string();
        assert!(error(labels, "").contains("`annotated` is missing"));
        assert!(error(labels, r#", "annotated": ["liver"]"#).contains("to which `labels` gives no number"));
        let annotated = r#", "annotated": ["spleen"]"#;
        assert!(error(r#"{"spleen": 300}"#, annotated).contains("up to 255"));
        assert!(error(r#"{"spleen": 0}"#, annotated).contains("0 is the background"));
        assert!(error(r#"{"spleen": 2, "liver": 2}"#, annotated).contains("also for"));
    }

    #[test]
    fn masks_name_their_organs_and_are_annotated() {
        let set = |rest: &str| {
            let case = format!("[[cases]]\nid = \"p1\"\nsplit = \"train\"\nct = \"a\"\n{rest}\n");
            DataSet::parse(&format!("name = \"set\"\n{case}"), true)
        };
        let masks = "masks = { Lung_L = \"t.nii\", liver = \"l.nii\", \"lung left\" = [\"u.nii\", \"v.nii\"] }";
        let good = set(masks).unwrap();
        let lung = ["t.nii", "u.nii", "v.nii"].map(|part| (Organ::LungLeft, part));
        let files = lung.into_iter().chain([(Organ::Liver, "l.nii")]).collect();
        assert_eq!(good.label_files(&good.cases[0]).unwrap(), LabelFiles::Masks(files));
        assert_eq!(good.cases[0].organs().unwrap(), [Organ::Liver, Organ::LungLeft].into_iter().collect());
        let fewer = set("annotated = [\"liver\"]\nmasks = { liver = \"l.nii\", heart = \"h.nii\" }").unwrap();
        assert_eq!(fewer.cases[0].organs().unwrap(), [Organ::Liver].into_iter().collect());
        let error = |rest: &str| set(rest).unwrap_err().to_string();
        assert!(error("masks = { livver = \"l.nii\" }").contains("`livver`"));
        let both = "annotated = []\nlabel = \"b\"\nmasks = { liver = \"l.nii\" }";
        for rest in ["annotated = []", both, "annotated = []\nmasks = { liver = [] }"] {
            assert!(error(rest).contains("either `label`"), "{}", error(rest));
        }
        let absent = "annotated = [\"liver\", \"spleen\"]\nmasks = { liver = \"l.nii\" }";
        for rest in [absent, "masks = { liver = \"l.nii\", spleen = [] }"] {
            assert!(error(rest).contains("Spleen") && error(rest).contains("no file"), "{}", error(rest));
        }
        assert!(error("masks = { liver = 3.5 }").contains("`masks` takes"), "{}", error("masks = { liver = 3.5 }"));
    }

    fn text(cases: &str) -> String {
        format!(r#"{{"name": "set", "license": "x", "extra": 1, "cases": [{cases}]}}"#)
    }

    fn case(id: &str, organ: &str) -> String {
        format!(r#"{{"id": "{id}", "split": "train", "ct": "a", "label": "b", "annotated": ["{organ}"]}}"#)
    }

    #[test]
    fn a_manifest_of_windows_is_read() {
        let case = r#"{"id": "p1", "split": "train", "ct": "train\\a.nii", "label": "b\\c.nii", "annotated": []}"#;
        let text = format!("\u{feff}{{\r\n\"name\": \"set\",\r\n\"cases\": [{case}]\r\n}}\r\n");
        let set = DataSet::parse(&text, false).unwrap();
        assert_eq!((set.cases[0].ct.as_str(), set.cases[0].label.as_deref()), ("train/a.nii", Some("b/c.nii")));
        let toml = "\u{feff}name = \"set\"\r\n[[cases]]\r\nid = \"p1\"\r\nsplit = \"test\"\r\nct = 'x\\y'\r\nmasks = { liver = ['m\\n'] }\r\n";
        let set = DataSet::parse(toml, true).unwrap();
        assert_eq!(set.cases[0].ct, "x/y");
        assert_eq!(set.label_files(&set.cases[0]).unwrap(), LabelFiles::Masks(vec![(Organ::Liver, "m/n")]));
    }

    #[test]
    fn faults_are_named_with_their_case() {
        let wrong = DataSet::parse(&text(&case("p1", "kidneys")), false).unwrap_err().to_string();
        assert!(wrong.contains("p1") && wrong.contains("kidneys"), "{wrong}");
        let twice = text(&[case("p1", "liver"), case("p1", "liver")].join(","));
        assert!(matches!(DataSet::parse(&twice, false), Err(ManifestError::Twice(_))));
        assert!(DataSet::parse("{", false).is_err());
    }
}
