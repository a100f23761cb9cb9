//! What every object has in common that is made from a series: it belongs to the same patient and study, lies in the same
//! frame of reference, and refers to the slices. Everything about patient and study is copied as it stands; what the
//! series does not say stays empty.

use std::collections::BTreeSet;

use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::DicomError;
use super::decimal::{decimal, most_decimals};
use super::series::{SeriesInfo, SliceReference};
use crate::volume::{AxisMap, Geometry, GeometryError};

/// Voxels of labels and series may be this far apart, mm.
const SAME_GRID_MM: f64 = 0.1;
/// Decimals of the coordinates of a point.
const POINT_DECIMALS: usize = 4;
/// Implementation Version Name (PS3.7 D.3.3.2), at most 16 characters.
pub(super) const IMPLEMENTATION_NAME: &str = "ATTENTIONANATOMY";
/// Implementation Class UID (PS3.7 D.3.3.2), a UUID of this program.
pub(super) const IMPLEMENTATION_UID: &str = "2.25.337136878421013166361004263896809217025";

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExportError {
    /// The series is no volume.
    #[error("the series cannot be referred to: {0}")]
    Series(Box<DicomError>),
    /// The series has too little to be referred to.
    #[error("the series has no {0}, by which structures refer to it; export the series again with complete headers")]
    Missing(&'static str),
    /// What is drawn could not say on which slice.
    #[error(
        "{0} slices of the series have the SOPInstanceUID (0008,0018) of another one, so structures cannot say to which they refer; \
         export the series again, each slice with an identifier of its own"
    )]
    SharedIdentifier(usize),
    /// The grid cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The labels are not on the slices of the series.
    #[error(
        "the labels have {} x {} x {} voxels and the series {} x {} x {}, or they lie elsewhere in the patient; give the series that the labels were drawn on",
        .labels[0], .labels[1], .labels[2], .series[0], .series[1], .series[2]
    )]
    OtherGrid {
        /// Voxels of the labels.
        labels: [usize; 3],
        /// Voxels of the series, in the same order of axes.
        series: [usize; 3],
    },
    /// Nothing is drawn.
    #[error("there is nothing to write: no structure has a voxel")]
    Empty,
    /// No random numbers.
    #[error("no unique identifier can be made, because the system gives no random numbers ({0})")]
    Random(String),
    /// The object cannot be encoded.
    #[error("the file cannot be encoded ({0})")]
    Encode(String),
}

/// A fresh UID derived from a random UUID (PS3.5 B.2).
///
/// # Errors
/// [`ExportError::Random`]
pub fn new_uid() -> Result<String, ExportError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| ExportError::Random(e.to_string()))?;
    Ok(uid_of(bytes))
}

/// The UID of a UUID of these bits (PS3.5 B.2): version 4, variant 1 (RFC 9562).
pub(super) fn uid_of(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// A date and a time as DICOM writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Day, `YYYYMMDD` (VR DA).
    pub date: String,
    /// Time of day, `HHMMSS` (VR TM).
    pub time: String,
}

impl Moment {
    /// Now, in universal time.
    pub fn now() -> Self {
        let since = web_time::SystemTime::now().duration_since(web_time::SystemTime::UNIX_EPOCH);
        Self::from_unix(since.map_or(0, |d| d.as_secs()))
    }

    /// Seconds since 1970-01-01, universal time.
    pub fn from_unix(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        // Gregorian calendar from days, by eras of 400 years that begin on a first of March.
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
        Self { date: format!("{year:04}{month:02}{day:02}"), time: format!("{h:02}{m:02}{s:02}") }
    }
}

/// Who drew the structures, for the equipment module and the descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Version of this program.
    pub version: String,
    /// Weights that drew the structures; `None` where this program only wrote down what another one drew.
    pub weights: Option<String>,
}

impl Author {
    /// For descriptions.
    pub fn sentence(&self) -> String {
        match &self.weights {
            Some(weights) => format!("AttentionAnatomy {}, weights {weights}", self.version),
            None => format!("written by AttentionAnatomy {}", self.version),
        }
    }
}

/// What a new object is made from.
pub struct Derivation<'a> {
    /// The series that the structures were drawn on.
    pub series: &'a SeriesInfo,
    /// Who drew them.
    pub author: &'a Author,
    /// When the object was made.
    pub moment: Moment,
    /// Where fresh UIDs come from; [`new_uid`] outside of tests.
    pub new_uid: &'a mut dyn FnMut() -> Result<String, ExportError>,
}

/// Whether structures on `geometry` (canonical) can refer to the slices of a series.
///
/// # Errors
/// [`ExportError`]: what the series lacks, or another grid.
pub fn can_refer(series: &SeriesInfo, geometry: &Geometry) -> Result<(), ExportError> {
    Slices::of(series, geometry).map(|_| ())
}

/// The slices of a series as a grid.
pub(in crate::formats) struct Slices<'a> {
    /// The stored grid.
    pub stored: &'a Geometry,
    /// From stored to canonical order.
    pub axes: AxisMap,
    /// Unit vectors along a row and down a column.
    pub directions: [[f64; 3]; 2],
    /// Whether the pixels of the grid are not those of the slices.
    pub resampled: bool,
    instances: &'a [SliceReference],
}

impl<'a> Slices<'a> {
    /// Checks that the series can be referred to and that labels on `geometry` (canonical) lie on its slices.
    ///
    /// # Errors
    /// [`ExportError`]: the series has no grid or lacks an identifier, or the labels lie elsewhere.
    pub fn of(series: &'a SeriesInfo, geometry: &Geometry) -> Result<Self, ExportError> {
        let Some(stored) = &series.grid else {
            return Err(match &series.problem {
                Some(problem) => ExportError::Series(Box::new(problem.clone())),
                None => ExportError::Missing("grid"),
            });
        };
        let (axes, _) = stored.canonical_axes()?;
        let own = stored.permuted(&axes);
        if !own.same_grid(geometry, SAME_GRID_MM) {
            return Err(ExportError::OtherGrid { labels: geometry.size, series: own.size });
        }
        let needed = [
            (&series.uid, "SeriesInstanceUID (0020,000E)"),
            (&series.study_uid, "StudyInstanceUID (0020,000D)"),
            (&series.frame_of_reference_uid, "FrameOfReferenceUID (0020,0052)"),
        ];
        if let Some((_, attribute)) = needed.iter().find(|(value, _)| value.is_empty()) {
            return Err(ExportError::Missing(attribute));
        }
        let unnamed =
            |i: &SliceReference| !i.interpolated && (i.sop_class_uid.is_empty() || i.sop_instance_uid.is_empty());
        if series.instances.len() != stored.size[2] || series.instances.iter().any(unnamed) {
            return Err(ExportError::Missing("SOPInstanceUID (0008,0018)"));
        }
        let acquired = || series.instances.iter().filter(|i| !i.interpolated);
        let distinct = acquired().map(|i| (&i.sop_instance_uid, i.frame)).collect::<BTreeSet<_>>().len();
        let shared = acquired().count() - distinct;
        if shared > 0 {
            return Err(ExportError::SharedIdentifier(shared));
        }
        let d = stored.direction();
        let directions = [0, 1].map(|axis| std::array::from_fn(|r| d[r][axis]));
        let resampled = series.corrected_tilt.is_some();
        Ok(Self { stored, axes, directions, resampled, instances: &series.instances })
    }

    pub fn instance(&self, k: usize) -> &SliceReference {
        &self.instances[k]
    }

    /// Whether there is a file with slice `k`, so that something can be drawn on it.
    pub fn is_acquired(&self, k: usize) -> bool {
        !self.instances[k].interpolated
    }

    /// The centre of the first pixel of slice `k` as its file gives it, patient LPS mm; of resampled slices, that of the grid, in the
    /// same plane.
    pub fn position(&self, k: usize) -> [f64; 3] {
        let own = self.instances[k].position.filter(|_| !self.resampled);
        own.unwrap_or_else(|| self.stored.to_patient([0.0, 0.0, k as f64]))
    }
}

/// A text element.
pub(in crate::formats) fn text(tag: Tag, vr: VR, value: &str) -> InMemElement {
    let value = if value.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(value) };
    DataElement::new(tag, vr, value)
}

/// Text cut to what its value representation holds, in characters.
pub(in crate::formats) fn short_text(tag: Tag, vr: VR, value: &str) -> InMemElement {
    let most = match vr {
        VR::SH => 16,
        VR::ST => 1024,
        _ => 64,
    };
    // A backslash would make two values of one.
    let value: String = value.replace('\\', "/").chars().filter(|c| !c.is_control()).take(most).collect();
    text(tag, vr, value.trim())
}

/// A US element.
pub(in crate::formats) fn unsigned(tag: Tag, values: &[u16]) -> InMemElement {
    DataElement::new(tag, VR::US, PrimitiveValue::U16(values.into()))
}

/// An integer as text (IS).
pub(in crate::formats) fn integer(tag: Tag, value: usize) -> InMemElement {
    text(tag, VR::IS, &value.to_string())
}

/// Millimetres of points as text (DS), each to a tenth of a micrometre: there are thousands of them, and none depends on another.
pub(in crate::formats) fn points(tag: Tag, mm: &[f64]) -> InMemElement {
    decimals(tag, mm, |_| POINT_DECIMALS)
}

/// Numbers of a grid as text (DS), with all that 16 characters hold: what is rounded in one of them is multiplied by the number of pixels.
pub(in crate::formats) fn grid(tag: Tag, values: &[f64]) -> InMemElement {
    decimals(tag, values, most_decimals)
}

fn decimals(tag: Tag, values: &[f64], places: impl Fn(f64) -> usize) -> InMemElement {
    text(tag, VR::DS, &values.iter().map(|&v| decimal(v, places(v))).collect::<Vec<_>>().join("\\"))
}

/// A sequence.
pub(in crate::formats) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, Value::Sequence(DataSetSequence::new(items, Length::UNDEFINED)))
}

/// A sequence of one item.
pub(in crate::formats) fn one(tag: Tag, elements: impl IntoIterator<Item = InMemElement>) -> InMemElement {
    sequence(tag, vec![item(elements)])
}

/// An item.
pub(in crate::formats) fn item(elements: impl IntoIterator<Item = InMemElement>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

/// A code of SNOMED CT, or of another scheme.
pub(in crate::formats) fn code(tag: Tag, value: &str, scheme: &str, meaning: &str) -> InMemElement {
    one(tag, code_elements(value, scheme, meaning))
}

/// The elements of a code (PS3.3 8.8).
pub(in crate::formats) fn code_elements(value: &str, scheme: &str, meaning: &str) -> [InMemElement; 3] {
    [
        short_text(tags::CODE_VALUE, VR::SH, value),
        short_text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
        short_text(tags::CODE_MEANING, VR::LO, meaning),
    ]
}

/// An element of the slice reference macros.
pub(in crate::formats) fn reference(slice: &SliceReference, frame: bool) -> Vec<InMemElement> {
    let mut elements = vec![
        text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, &slice.sop_class_uid),
        text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &slice.sop_instance_uid),
    ];
    if let Some(number) = slice.frame.filter(|_| frame) {
        elements.push(integer(tags::REFERENCED_FRAME_NUMBER, number as usize));
    }
    elements
}

/// References to every instance of the series, each once.
pub(in crate::formats) fn instances(series: &SeriesInfo) -> Vec<InMemDicomObject> {
    let mut seen = std::collections::BTreeSet::new();
    let fresh = series.instances.iter().filter(|i| !i.interpolated && seen.insert(&i.sop_instance_uid));
    fresh.map(|slice| item(reference(slice, false))).collect()
}

impl Derivation<'_> {
    /// A new object of a class in a new series, with all modules but its own.
    pub(in crate::formats) fn object(
        &mut self,
        class: &str,
        modality: &str,
        description: &str,
    ) -> Result<InMemDicomObject, ExportError> {
        let (series, patient) = (self.series, &self.series.patient);
        let Moment { date, time } = &self.moment;
        let mut object = item([
            text(tags::SOP_CLASS_UID, VR::UI, class),
            text(tags::SOP_INSTANCE_UID, VR::UI, &(self.new_uid)()?),
            text(tags::INSTANCE_CREATION_DATE, VR::DA, date),
            text(tags::INSTANCE_CREATION_TIME, VR::TM, time),
            // Patient and study, as they stand.
            text(tags::PATIENT_NAME, VR::PN, &patient.name),
            text(tags::PATIENT_ID, VR::LO, &patient.id),
            text(tags::PATIENT_BIRTH_DATE, VR::DA, &patient.birth_date),
            text(tags::PATIENT_SEX, VR::CS, &patient.sex),
            text(tags::STUDY_INSTANCE_UID, VR::UI, &series.study_uid),
            text(tags::STUDY_DATE, VR::DA, &patient.study_date),
            text(tags::STUDY_TIME, VR::TM, &patient.study_time),
            text(tags::STUDY_ID, VR::SH, &patient.study_id),
            text(tags::ACCESSION_NUMBER, VR::SH, &patient.accession_number),
            text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, &patient.referring_physician),
            // The new series.
            text(tags::MODALITY, VR::CS, modality),
            text(tags::SERIES_INSTANCE_UID, VR::UI, &(self.new_uid)()?),
            text(tags::SERIES_DATE, VR::DA, date),
            text(tags::SERIES_TIME, VR::TM, time),
            short_text(tags::SERIES_DESCRIPTION, VR::LO, description),
            // Behind the series that it is made from in any list.
            integer(tags::SERIES_NUMBER, series.number.map_or(1, |n| n.unsigned_abs() as usize + 1000)),
            text(tags::INSTANCE_NUMBER, VR::IS, "1"),
            text(tags::MANUFACTURER, VR::LO, "AttentionAnatomy"),
            text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "AttentionAnatomy"),
            short_text(tags::SOFTWARE_VERSIONS, VR::LO, &self.author.version),
            text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &series.frame_of_reference_uid),
            text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, &patient.position_reference),
        ]);
        if !patient.study_description.is_empty() {
            object.put(text(tags::STUDY_DESCRIPTION, VR::LO, &patient.study_description));
        }
        Ok(object)
    }
}

/// The bytes of a file (PS3.10) in a transfer syntax.
pub(in crate::formats) fn file(mut object: InMemDicomObject, syntax: &str) -> Result<Vec<u8>, ExportError> {
    // Latin 1 is what every system reads; all that it cannot hold is written as UTF-8.
    let set = if is_latin(&object) { "ISO_IR 100" } else { "ISO_IR 192" };
    object.put(text(tags::SPECIFIC_CHARACTER_SET, VR::CS, set));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .implementation_class_uid(IMPLEMENTATION_UID)
        .implementation_version_name(IMPLEMENTATION_NAME);
    let encode = |e: &dyn std::error::Error| ExportError::Encode(e.to_string());
    let object = object.with_meta(meta).map_err(|e| encode(&e))?;
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).map_err(|e| encode(&e))?;
    Ok(bytes)
}

/// Whether all text outside of sequences and within is Latin 1.
fn is_latin(object: &InMemDicomObject) -> bool {
    object.iter().all(|element| match element.value() {
        Value::Sequence(items) => items.items().iter().all(is_latin),
        Value::Primitive(PrimitiveValue::Str(s)) => s.chars().all(|c| u32::from(c) < 256),
        Value::Primitive(PrimitiveValue::Strs(s)) => s.iter().all(|s| s.chars().all(|c| u32::from(c) < 256)),
        _ => true,
    })
}

/// Implicit VR Little Endian: in explicit VR a contour of more than 64 KiB has no place (PS3.5 6.2.2).
pub(in crate::formats) const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, date, time) in [
            (0, "19700101", "000000"),
            (951_782_399, "20000228", "235959"),
            (951_868_799, "20000229", "235959"),
            (1_709_251_199, "20240229", "235959"),
            (4_102_444_800, "21000101", "000000"),
        ] {
            assert_eq!(Moment::from_unix(seconds), Moment { date: date.into(), time: time.into() });
        }
    }

    #[test]
    fn fresh_uids_are_valid_and_differ() {
        let (a, b) = (new_uid().unwrap(), new_uid().unwrap());
        assert_ne!(a, b);
        for uid in [a, b] {
            assert!(uid.len() <= 44 && uid.starts_with("2.25."), "{uid}");
            assert!(uid[5..].bytes().all(|b| b.is_ascii_digit()) && !uid[5..].starts_with('0'), "{uid}");
        }
    }
}
