//! Lists that an archive gives (QIDO-RS, PS3.18 10.6.3.3): studies, series, instances.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{ArchiveError, not_dicom};
use super::attributes::Attributes;
use crate::formats::dicom::is_uid;

/// A row of a list.
pub trait Row: Sized {
    /// Reads it from a data set in DICOM JSON; `None` where it does not say what it is of.
    fn of(set: &Value) -> Option<Self>;
    /// What it is of.
    fn uid(&self) -> &str;
}

/// Rows of an answer, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// How many more there were that did not say what they are of.
    pub skipped: usize,
}

/// A study.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRow {
    /// StudyInstanceUID (0020,000D).
    pub uid: String,
    /// PatientName (0010,0010) with its groups, as DICOM writes it; `formats::dicom::person_name` tells it as people do.
    pub patient_name: String,
    /// PatientID (0010,0020).
    pub patient_id: String,
    /// AccessionNumber (0008,0050).
    pub accession: String,
    /// StudyDescription (0008,1030).
    pub description: String,
    /// StudyDate (0008,0020), as DICOM writes it.
    pub date: String,
    /// StudyTime (0008,0030), as DICOM writes it.
    pub time: String,
    /// ModalitiesInStudy (0008,0061).
    pub modalities: Vec<String>,
    /// NumberOfStudyRelatedSeries (0020,1206).
    pub series: Option<usize>,
    /// NumberOfStudyRelatedInstances (0020,1208).
    pub instances: Option<usize>,
}

/// Shows nothing on purpose: a log line must not carry a name.
impl std::fmt::Debug for StudyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StudyRow(withheld)")
    }
}

impl Row for StudyRow {
    fn of(set: &Value) -> Option<Self> {
        let set = Attributes::of(set)?;
        Some(Self {
            uid: uid(&set, "0020000D")?,
            patient_name: set.person("00100010"),
            patient_id: set.text("00100020"),
            accession: set.text("00080050"),
            description: set.text("00081030"),
            date: set.text("00080020"),
            time: set.text("00080030"),
            modalities: set.texts("00080061"),
            series: set.count("00201206"),
            instances: set.count("00201208"),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

/// A series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// SeriesInstanceUID (0020,000E).
    pub uid: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// SeriesDescription (0008,103E).
    pub description: String,
    /// SeriesNumber (0020,0011).
    pub number: Option<i64>,
    /// NumberOfSeriesRelatedInstances (0020,1209).
    pub instances: Option<usize>,
}

impl Row for SeriesRow {
    fn of(set: &Value) -> Option<Self> {
        let set = Attributes::of(set)?;
        Some(Self {
            uid: uid(&set, "0020000E")?,
            modality: set.text("00080060"),
            description: set.text("0008103E"),
            number: set.integer("00200011"),
            instances: set.count("00201209"),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceRow {
    /// SOPInstanceUID (0008,0018).
    pub uid: String,
    /// SOPClassUID (0008,0016).
    pub class: String,
    /// InstanceNumber (0020,0013).
    pub number: Option<i64>,
}

impl Row for InstanceRow {
    fn of(set: &Value) -> Option<Self> {
        let set = Attributes::of(set)?;
        Some(Self { uid: uid(&set, "00080018")?, class: set.text("00080016"), number: set.integer("00200013") })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

fn uid(set: &Attributes<'_>, tag: &str) -> Option<String> {
    Some(set.text(tag)).filter(|uid| is_uid(uid))
}

/// Reads a list. Nothing at all is an empty list (204 No Content); a single data set is a list of one. `place` is the archive, for messages.
///
/// # Errors
/// [`ArchiveError::NotDicom`]: a web page, or anything else that is no list.
pub fn read_rows<R: Row>(body: &[u8], content_type: &str, place: &str) -> Result<Listed<R>, ArchiveError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Listed { rows: Vec::new(), skipped: 0 });
    }
    // A byte order mark is no JSON.
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut json = serde_json::Deserializer::from_slice(text);
    let listed = json.deserialize_any(List(PhantomData)).and_then(|listed| json.end().map(|()| listed));
    match listed {
        Ok(listed) if listed.skipped == 0 || !listed.rows.is_empty() => Ok(listed),
        _ => Err(not_dicom(place, content_type, body)),
    }
}

/// A list, read row by row: the attributes of one row take kilobytes, and of rows there are thousands.
struct List<R>(PhantomData<R>);

impl<'de, R: Row> Visitor<'de> for List<R> {
    type Value = Listed<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of data sets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sets: A) -> Result<Self::Value, A::Error> {
        let mut listed = Listed { rows: Vec::new(), skipped: 0 };
        while let Some(set) = sets.next_element()? {
            listed.add(&set);
        }
        Ok(listed)
    }

    /// One set that stands in no list.
    fn visit_map<A: MapAccess<'de>>(self, set: A) -> Result<Self::Value, A::Error> {
        let mut listed = Listed { rows: Vec::new(), skipped: 0 };
        listed.add(&Value::deserialize(MapAccessDeserializer::new(set))?);
        Ok(listed)
    }
}

impl<R: Row> Listed<R> {
    fn add(&mut self, set: &Value) {
        match R::of(set) {
            Some(row) => self.rows.push(row),
            None => self.skipped += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dicom::{date, person_name};

    fn stored(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/dicomweb");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    }

    fn read<R: Row>(name: &str) -> Vec<R> {
        let listed = read_rows::<R>(&stored(name), "application/dicom+json", "the archive").unwrap();
        assert_eq!(listed.skipped, 0);
        listed.rows
    }

    #[test]
    fn the_lists_of_a_real_archive_are_read() {
        let studies: Vec<StudyRow> = read("studies.json");
        let told: Vec<[String; 6]> = studies
            .iter()
            .map(|s| {
                let name = person_name(&s.patient_name);
                [
                    name,
                    s.patient_id.clone(),
                    date(&s.date),
                    s.description.clone(),
                    s.accession.clone(),
                    s.modalities.join(" "),
                ]
            })
            .collect();
        assert_eq!(
            told,
            [
                ["Yamada, Tarou · 山田 太郎 · やまだ たろう", "JP-1", "2024-01-31", "Thorax", "A100", "CT"]
                    .map(String::from),
                ["Müller, Jörg", "DE-2", "2024-02-01", "Überwachung", "", "CT RTSTRUCT"].map(String::from),
            ]
        );
        assert_eq!(
            studies.iter().map(|s| (s.series, s.instances)).collect::<Vec<_>>(),
            [(Some(1), Some(4)), (Some(2), Some(3))]
        );
        assert_eq!(studies[0].uid(), "1.2.826.0.1.3680043.10.7");
        assert_eq!(format!("{:?}", studies[0]), "StudyRow(withheld)");
        let series: Vec<SeriesRow> = read("series.json");
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].modality.as_str(), series[0].instances), ("CT", Some(4)));
        assert_eq!((series[0].uid(), series[0].description.as_str()), ("1.2.826.0.1.3680043.10.8", "Bauch 5.0 B30f"));
        let instances: Vec<InstanceRow> = read("instances.json");
        let numbers: Vec<_> = instances.iter().map(|i| (i.uid(), i.number)).collect();
        assert_eq!(numbers, [("1.2.826.0.1.3680043.10.9.1", Some(267)), ("1.2.826.0.1.3680043.10.9.2", Some(268))]);
        assert_eq!(instances[0].class, "1.2.840.10008.5.1.4.1.1.2");
    }

    #[test]
    fn nothing_is_an_empty_list_and_one_odd_row_hides_no_other() {
        let read = |body: &str| read_rows::<SeriesRow>(body.as_bytes(), "application/json", "the archive");
        for empty in ["", " \r\n", "[]"] {
            assert_eq!(read(empty).unwrap(), Listed { rows: Vec::new(), skipped: 0 });
        }
        let one = r#"{"0020000E":{"vr":"UI","Value":["1.2"]},"00080060":{"vr":"XX","Value":[{"odd":[]}]}}"#;
        let odd = r#"{"0020000E":{"vr":"UI","Value":["../x"]}}"#;
        let both = read(&format!("\u{feff}[{odd},{one},5]")).unwrap();
        assert_eq!((both.rows.len(), both.skipped), (1, 2));
        assert_eq!(read(one).unwrap().rows[0].uid(), "1.2");
        for wrong in ["<!DOCTYPE html><html>", "[5]", &format!("[{odd}]"), "\"text\"", "{\"Message\":\"no\"}", "[{"] {
            assert!(matches!(read(wrong), Err(ArchiveError::NotDicom { .. })), "{wrong}");
        }
    }
}
