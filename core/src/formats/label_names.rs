//! What the numbers of a label map mean, where something says so.
//!
//! Every program numbers its labels in its own way: the liver is 1 in one file, 5 in TotalSegmentator, 30 here. A map that is
//! read by its numbers alone calls a liver a brain stem and says nothing. Names come with the file (Slicer's segments, the
//! table that TotalSegmentator writes behind a NIfTI header) or lie beside it, in the formats below; the anatomy table says
//! which organ a name is.
//!
//! | what | who writes it |
//! |---|---|
//! | `Label Key="5"` within XML | TotalSegmentator, Connectome Workbench |
//! | `{"labels": {"liver": 1}}`, `{"labels": {"1": "liver"}}`, the same without `labels` | nnU-Net 2 and 1, scripts |
//! | `[{"id": 1, "name": "liver"}]`, `segmentAttributes` with `labelID` | scripts, dcmqi |
//! | `1 liver 128 174 128 255` | 3D Slicer (`.ctbl`), FreeSurfer |
//! | `1 255 0 0 1 1 1 "liver"` | ITK-SNAP |
//! | CSV or TSV with a header | 3D Slicer, BIDS |

use std::collections::BTreeMap;

use serde_json::Value;

use crate::anatomy::Organ;
use crate::volume::LabelVolume;

/// A table longer than this is none, bytes.
const LONGEST: usize = 4 << 20;
/// Names or numbers that are told one by one.
const TOLD: usize = 8;

/// The names of label numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames(BTreeMap<u32, String>);

/// Why a label map's numbers are not those of organs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Numbers beyond the table, and no names.
    #[error(
        "the label map holds the {0}, and organs are numbered 1 to 33 here; put a table of its names beside it (a .json, .ctbl, .txt, .csv or .tsv of the same name), or renumber it"
    )]
    Foreign(String),
    /// Names, and none is an organ's.
    #[error("none of the labels is named as an organ ({0}); name them as `attention-anatomy info --organs` lists them")]
    NoOrgan(String),
}

/// The organ of an id, or of a name that hospitals give it.
pub(crate) fn organ_named(name: &str) -> Option<Organ> {
    Organ::from_id(name).or_else(|| Organ::from_name(name))
}

impl LabelNames {
    /// Reads a table in any of the formats of this module; `None` if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.trim_start_matches('\u{feff}').trim();
        let names = if text.starts_with(['{', '[']) {
            from_json(&serde_json::from_str(text).ok()?)
        } else if text.starts_with('<') {
            from_xml(text)
        } else {
            from_header(text).or_else(|| from_lines(text))
        }?;
        let names: BTreeMap<u32, String> = names.into_iter().filter(|(number, _)| *number > 0).collect();
        (!names.is_empty()).then_some(Self(names))
    }

    /// Reads the table that stands somewhere within `bytes`, as behind the header of a NIfTI file.
    pub(crate) fn find_xml(bytes: &[u8]) -> Option<Self> {
        let names: BTreeMap<u32, String> = from_xml(&String::from_utf8_lossy(bytes))?.into_iter().collect();
        (!names.is_empty()).then_some(Self(names))
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u8) -> Option<&str> {
        self.0.get(&u32::from(number)).map(String::as_str)
    }

    /// A label map with the numbers of the anatomy table. What is no organ becomes background, and a warning names it.
    ///
    /// # Errors
    /// [`LabelError::NoOrgan`] for a map that shows something and no organ.
    pub fn apply(&self, mut labels: LabelVolume) -> Result<LabelVolume, LabelError> {
        let used = used(&labels);
        let mut meant = [0u8; 256];
        let (mut others, mut unnamed) = (Vec::new(), Vec::new());
        for &number in &used {
            match self.0.get(&u32::from(number)) {
                None => unnamed.push(number.to_string()),
                Some(name) => match organ_named(name) {
                    Some(organ) => meant[usize::from(number)] = organ.label(),
                    None => others.push(format!("{name} ({number})")),
                },
            }
        }
        if !used.is_empty() && meant == [0; 256] {
            others.extend(unnamed.into_iter().map(|number| format!("{number} without a name")));
            return Err(LabelError::NoOrgan(told(&others)));
        }
        for label in &mut labels.voxels {
            *label = meant[usize::from(*label)];
        }
        labels.warnings.extend(left_out(&others));
        if !unnamed.is_empty() {
            labels.warnings.push(format!("labels whose numbers have no name count as background: {}", told(&unnamed)));
        }
        Ok(labels)
    }
}

/// The warning for labels that are named and no organs.
pub(super) fn left_out(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("labels that are none of the 33 organs count as background: {}", told(names)))
}

/// What organs lose where several are drawn over one voxel, which has one number: unsaid, volumes and Dice would be wrong unseen.
pub(super) struct Lost([usize; 256]);

impl Default for Lost {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Lost {
    /// That a voxel of the organ with the number `loser`, or of none (0), is the other one's from now on.
    pub(super) fn count(&mut self, loser: u8, winner: u8) {
        if loser != 0 && loser != winner {
            self.0[usize::from(loser)] += 1;
        }
    }

    /// The warning, with volumes, if there is anything to warn of. `labels` are the organs as they came out.
    pub(super) fn sentence(&self, labels: &LabelVolume) -> Option<String> {
        let mut left = [0usize; 256];
        labels.voxels.iter().for_each(|&label| left[usize::from(label)] += 1);
        let voxel_ml = labels.geometry.spacing().iter().product::<f64>() / 1000.0;
        let one = |organ: Organ| {
            let label = usize::from(organ.label());
            let (lost, all) = (self.0[label], left[label] + self.0[label]);
            let percent = 100.0 * lost as f64 / all as f64;
            let [lost_ml, all_ml] = [lost, all].map(|voxels| voxels as f64 * voxel_ml);
            (lost > 0).then(|| format!("{organ} {lost_ml:.2} of {all_ml:.2} ml ({percent:.1} %)"))
        };
        let organs: Vec<String> = Organ::ALL.into_iter().filter_map(one).collect();
        (!organs.is_empty()).then(|| {
            format!(
                "organs overlap; a voxel of several was taken as the smallest one's, so that the larger ones lack: {}",
                organs.join(", ")
            )
        })
    }
}

/// A label map whose numbers nothing names: they are taken as those of the anatomy table, and that is said unless `ours`.
///
/// # Errors
/// [`LabelError::Foreign`] for numbers that the table has not.
pub(super) fn by_number(mut labels: LabelVolume, ours: bool) -> Result<LabelVolume, LabelError> {
    let used = used(&labels);
    let foreign: Vec<String> =
        used.iter().filter(|&&n| Organ::from_label(n).is_none()).map(ToString::to_string).collect();
    if !foreign.is_empty() {
        let word = if foreign.len() == 1 { "number" } else { "numbers" };
        return Err(LabelError::Foreign(format!("{word} {}", told(&foreign))));
    }
    if !ours && !used.is_empty() {
        let organs: Vec<String> =
            used.iter().filter_map(|&n| Organ::from_label(n)).map(|o| format!("{} {}", o.label(), o.name())).collect();
        labels.warnings.push(format!(
            "nothing names the labels of this map; their numbers were taken as those of the anatomy table: {}",
            told(&organs)
        ));
    }
    Ok(labels)
}

/// The numbers that occur, but for 0.
fn used(labels: &LabelVolume) -> Vec<u8> {
    let mut seen = [false; 256];
    labels.voxels.iter().for_each(|&v| seen[usize::from(v)] = true);
    (1..=255u8).filter(|&n| seen[usize::from(n)]).collect()
}

/// Some of them, and how many more there are.
pub(super) fn told(all: &[String]) -> String {
    let mut text = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > TOLD {
        text.push_str(&format!(" and {} more", all.len() - TOLD));
    }
    text
}

type Names = Vec<(u32, String)>;

/// A whole number in a JSON value, written as a number or as text.
fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).or_else(|| value.as_str()?.trim().parse().ok())
}

fn from_json(value: &Value) -> Option<Names> {
    match value {
        Value::Object(map) => {
            for key in ["labels", "segmentAttributes", "segments", "label_names"] {
                if let Some(inner) = map.get(key).filter(|v| v.is_object() || v.is_array()) {
                    return from_json(inner);
                }
            }
            // Anything else than names and numbers, and it is a file about something else.
            let mut names = Vec::new();
            for (key, value) in map {
                match (key.trim().parse::<u32>(), value) {
                    (Ok(n), Value::String(name)) => names.push((n, name.clone())),
                    // A region of nnU-Net is made of several numbers.
                    (_, Value::Array(numbers)) => {
                        let numbers: Option<Vec<u32>> = numbers.iter().map(number).collect();
                        names.extend(numbers?.into_iter().map(|n| (n, key.clone())));
                    }
                    (_, value) => names.push((number(value)?, key.clone())),
                }
            }
            Some(names)
        }
        Value::Array(items) => {
            let mut names = Vec::new();
            for item in items {
                match item {
                    // dcmqi keeps a list for each file.
                    Value::Array(_) => names.extend(from_json(item)?),
                    Value::Object(map) => {
                        let first = |keys: &[&str]| keys.iter().find_map(|k| map.get(*k));
                        let n =
                            first(&["labelID", "id", "value", "label_value", "labelValue", "index", "number", "label"]);
                        let name = first(&["SegmentLabel", "SegmentDescription", "name", "structure", "label"]);
                        if let (Some(n), Some(name)) = (n.and_then(number), name.and_then(Value::as_str)) {
                            names.push((n, name.to_owned()));
                        }
                    }
                    _ => return None,
                }
            }
            Some(names)
        }
        _ => None,
    }
}

/// `<Label Key="5" ...><![CDATA[liver]]></Label>`
fn from_xml(text: &str) -> Option<Names> {
    let mut names = Vec::new();
    for piece in text.split("<Label ").skip(1) {
        let Some((attributes, rest)) = piece.split_once('>') else { continue };
        let key =
            attributes.split("Key=\"").nth(1).and_then(|a| a.split('"').next()).and_then(|k| k.trim().parse().ok());
        let Some((name, _)) = rest.split_once("</Label>") else { continue };
        let name = name.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>").trim();
        if let Some(key) = key.filter(|_| !name.is_empty()) {
            names.push((key, name.to_owned()));
        }
    }
    Some(names)
}

/// A table with a line that names its columns.
fn from_header(text: &str) -> Option<Names> {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let header = lines.next()?;
    let separator = ['\t', ';', ','].into_iter().find(|&s| header.contains(s))?;
    let cells = |line: &str| -> Vec<String> {
        line.split(separator).map(|cell| cell.trim().trim_matches('"').to_owned()).collect()
    };
    let columns: Vec<String> = cells(header).iter().map(|c| c.to_ascii_lowercase().replace(['_', ' '], "")).collect();
    let column = |names: &[&str]| names.iter().find_map(|n| columns.iter().position(|c| c == n));
    let (number, name) = (
        column(&["labelvalue", "index", "value", "id", "number", "key", "label"])?,
        column(&["name", "structure", "segment", "organ", "labelname", "label"])?,
    );
    let names: Option<Names> = lines
        .map(|line| {
            let cells = cells(line);
            Some((cells.get(number)?.parse().ok()?, cells.get(name)?.clone()))
        })
        .collect();
    names.filter(|_| number != name)
}

/// Lines that start with a number and have a name, and perhaps colours around it.
fn from_lines(text: &str) -> Option<Names> {
    let mut names = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (number, rest) = line.split_once(char::is_whitespace)?;
        let number = number.trim_end_matches([':', ',', '=']).parse().ok()?;
        let name = match rest.split_once('"') {
            Some((_, quoted)) => quoted.split('"').next()?.to_owned(),
            None => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let colours = words.iter().rev().take_while(|w| w.parse::<f64>().is_ok()).count();
                // A name may end in a number of its own; colours are three or four.
                let kept = if colours >= 3 { words.len() - colours.min(4) } else { words.len() };
                words.get(..kept)?.join(" ")
            }
        };
        if name.is_empty() {
            return None;
        }
        names.push((number, name));
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    fn map(voxels: &[u8]) -> LabelVolume {
        let grid = Geometry::axial([voxels.len(), 1, 1], [1.0; 3], [0.0; 3]).unwrap();
        Volume::from_stored(grid, voxels.to_vec(), Modality::Unknown).unwrap()
    }

    #[test]
    fn tables_of_eight_programs_name_the_same_organs() {
        let xml = "\0\0<?xml version=\"1.0\"?><CaretExtension><LabelTable>\
            <Label Key=\"5\" Red=\"0.5\" Green=\"0\" Blue=\"0\" Alpha=\"1\"><![CDATA[liver]]></Label>\n\
            <Label Key=\"2\" Red=\"0\" Green=\"0\" Blue=\"0\" Alpha=\"1\"><![CDATA[kidney_right]]></Label></LabelTable>";
        let snap = "# ITK-SnAP Label Description File\n    0     0    0    0        0  0  0    \"Clear Label\"\n    \
            2   255    0    0        1  1  1    \"Kidney, right\"\n    5   0 255 0 1 1 1 \"liver\"\n";
        for text in [
            &xml[2..],
            snap,
            r#"{"name": "x", "labels": {"background": 0, "liver": 5, "kidney_right": [2]}}"#,
            r#"{"labels": {"0": "background", "5": "liver", "2": "Kidney_R"}}"#,
            r#"{"5": "liver", "2": "right kidney"}"#,
            r#"{"liver": 5, "kidney right": "2"}"#,
            r#"[{"id": 5, "name": "liver"}, {"label": 2, "name": "kidney_right"}]"#,
            r#"{"segmentAttributes": [[{"labelID": 5, "SegmentLabel": "Liver"}], [{"labelID": 2, "SegmentLabel": "Kidney_R"}]]}"#,
            "# Color table file\n0 Background 0 0 0 0\n2 kidney_right 185 102 83 255\n5 liver 221 130 101 255\n",
            "\u{feff}LabelValue,Name,Color_R,Color_G\r\n5,liver,1,2\r\n2,\"kidney_right\",3,4\r\n",
            "index\tname\n5\tliver\n2\tKidney, right\n",
            "2 right kidney\n5 liver\n",
        ] {
            let names = LabelNames::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let read = names.apply(map(&[0, 5, 2])).unwrap();
            assert_eq!(read.voxels, [0, Organ::Liver.label(), Organ::KidneyRight.label()], "{text}");
            assert!(read.warnings.is_empty(), "{text}: {:?}", read.warnings);
        }
        assert_eq!(LabelNames::find_xml(xml.as_bytes()).unwrap().0.len(), 2);
    }

    #[test]
    fn what_is_no_table_is_none() {
        for text in [
            "",
            "a note about the patient",
            "{}",
            "[1, 2]",
            "[",
            "<html>",
            "1\n2\n",
            "0 background 0 0 0 0",
            "x,y\n1,2",
        ] {
            assert_eq!(LabelNames::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(LabelNames::parse(&[0xff, 0xfe, 0]), None);
    }

    #[test]
    fn nothing_is_dropped_in_silence() {
        let names = LabelNames::parse(b"1 liver\n2 tumour\n3 cyst").unwrap();
        let read = names.apply(map(&[1, 2, 9, 0])).unwrap();
        assert_eq!(read.voxels, [Organ::Liver.label(), 0, 0, 0]);
        assert_eq!(read.warnings.len(), 2);
        assert!(read.warnings[0].ends_with("count as background: tumour (2)"), "{:?}", read.warnings);
        assert!(read.warnings[1].ends_with("have no name count as background: 9"), "{:?}", read.warnings);
        let none = names.apply(map(&[2, 9])).unwrap_err().to_string();
        assert!(none.contains("(tumour (2), 9 without a name)"), "{none}");
        assert_eq!(names.apply(map(&[0, 0])).unwrap().voxels, [0, 0]);

        let assumed = by_number(map(&[0, 30, 1]), false).unwrap();
        assert_eq!(assumed.voxels, [0, 30, 1]);
        assert!(assumed.warnings[0].ends_with("anatomy table: 1 Brain stem, 30 Liver"), "{:?}", assumed.warnings);
        assert!(by_number(map(&[0, 30]), true).unwrap().warnings.is_empty());
        let many: Vec<u8> = (30..60).collect();
        let foreign = by_number(map(&many), true).unwrap_err().to_string();
        assert!(foreign.contains("34, 35, 36, 37, 38, 39, 40, 41 and 18 more"), "{foreign}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[\\[\\]{}\"a-z0-9,:;<> \t\n#]{0,200}") {
            let _ = LabelNames::parse(text.as_bytes());
            let _ = LabelNames::find_xml(text.as_bytes());
        }
    }
}
