//! Structure sets and segmentations without their patient: the Basic Application Level Confidentiality Profile (PS3.15 E.2, table E.1-1)
//! for the attributes that this program writes, with the Clean Descriptors Option: descriptions are those of this program, and names of
//! structures that it does not know are replaced.
//!
//! It works on finished files by lists of attributes that are emptied, removed or replaced: all of table E.1-1 that the writers of this
//! program write or copy from a series. It is no tool for files of other programs: what is on no list stays.

use std::collections::BTreeMap;

use dicom_core::value::Value;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use sha2::{Digest, Sha256};

use super::derived::{self, ExportError, code_elements, item, sequence, text};
use crate::anatomy::Organ;

/// What becomes of identifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uids {
    /// Each is replaced by another one, the same by the same in all files of one [`Deidentifier`].
    #[default]
    Replace,
    /// They stay, so that the file still belongs to its CT (Retain UIDs Option).
    Keep,
}

/// Takes patients out of files.
#[derive(Debug)]
pub struct Deidentifier {
    uids: Uids,
    key: [u8; 16],
}

/// What stands for a name and an identifier that must not be empty for some archives.
const NOBODY: &str = "ANONYMOUS";
/// What stands for a date and a time that must not be empty.
const SOME_DATE: &str = "19000101";
const SOME_TIME: &str = "000000";

/// Identifiers of patients' objects; UIDs of classes and codes mean the same everywhere and stay.
const IDENTIFIERS: [Tag; 7] = [
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::REFERENCED_FRAME_OF_REFERENCE_UID,
    tags::REFERENCED_SOP_INSTANCE_UID,
    tags::DIMENSION_ORGANIZATION_UID,
];
/// Left empty (Z of the profile).
const EMPTY: [Tag; 12] = [
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STRUCTURE_SET_DATE,
    tags::STRUCTURE_SET_TIME,
    tags::OPERATORS_NAME,
    tags::CONTENT_CREATOR_NAME,
    tags::POSITION_REFERENCE_INDICATOR,
];
/// Removed (X of the profile).
const REMOVED: [Tag; 5] = [
    tags::STUDY_DESCRIPTION,
    tags::INSTANCE_CREATION_DATE,
    tags::INSTANCE_CREATION_TIME,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
];
/// What a structure is called.
const NAMES: [Tag; 2] = [tags::ROI_NAME, tags::SEGMENT_LABEL];

impl Deidentifier {
    /// With a key of its own, so that nobody finds the old identifiers by trying.
    ///
    /// # Errors
    /// [`ExportError::Random`]
    pub fn new(uids: Uids) -> Result<Self, ExportError> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|e| ExportError::Random(e.to_string()))?;
        Ok(Self { uids, key })
    }

    /// A structure set or segmentation that this program wrote, without its patient.
    ///
    /// # Errors
    /// [`ExportError::Encode`]: it cannot be read or written again.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, ExportError> {
        let encode = |e: &dyn std::error::Error| ExportError::Encode(e.to_string());
        let read = dicom_object::from_reader(bytes).map_err(|e| encode(&e))?;
        let syntax = read.meta().transfer_syntax().trim_end_matches('\0').to_owned();
        let mut object = self.cleaned(read.into_inner(), &mut BTreeMap::new());
        object.put(text(tags::PATIENT_NAME, VR::PN, NOBODY));
        object.put(text(tags::PATIENT_ID, VR::LO, NOBODY));
        object.put(text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"));
        let mut methods = vec![("113100", "Basic Application Confidentiality Profile")];
        methods.push(("113105", "Clean Descriptors Option"));
        if self.uids == Uids::Keep {
            methods.push(("113110", "Retain UIDs Option"));
        }
        let methods = methods.into_iter().map(|(value, meaning)| item(code_elements(value, "DCM", meaning))).collect();
        object.put(sequence(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, methods));
        derived::file(object, &syntax)
    }

    fn cleaned(&self, object: InMemDicomObject, names: &mut BTreeMap<String, String>) -> InMemDicomObject {
        let elements = object.into_iter().filter(|e| !REMOVED.contains(&e.header().tag)).map(|element| {
            let (tag, vr) = (element.header().tag, element.vr());
            if matches!(element.value(), Value::Sequence(_)) {
                let items = element.into_value().into_items().unwrap_or_default();
                return sequence(tag, items.into_iter().map(|item| self.cleaned(item, names)).collect());
            }
            let value = element.to_str().map(|s| s.trim_matches([' ', '\0']).to_owned()).unwrap_or_default();
            match tag {
                _ if EMPTY.contains(&tag) => DataElement::new(tag, vr, PrimitiveValue::Empty),
                _ if IDENTIFIERS.contains(&tag) => text(tag, vr, &self.identifier(value)),
                _ if NAMES.contains(&tag) => text(tag, vr, &name(value, names)),
                tags::CONTENT_DATE => text(tag, vr, SOME_DATE),
                tags::CONTENT_TIME => text(tag, vr, SOME_TIME),
                _ => element,
            }
        });
        InMemDicomObject::from_element_iter(elements.collect::<Vec<_>>())
    }

    fn identifier(&self, uid: String) -> String {
        if self.uids == Uids::Keep || uid.is_empty() {
            return uid;
        }
        let digest = Sha256::new().chain_update(self.key).chain_update(uid.as_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        derived::uid_of(bytes)
    }
}

/// Names of organs and of the body say nothing of a patient; any other may.
fn name(name: String, seen: &mut BTreeMap<String, String>) -> String {
    if name == "BODY" || Organ::ALL.iter().any(|organ| organ.tg263() == name) {
        return name;
    }
    let next = format!("Structure_{}", seen.len() + 1);
    seen.entry(name).or_insert(next).clone()
}

#[cfg(test)]
mod tests {
    use super::super::element;
    use super::*;
    use crate::formats::analytic::{self, derive};
    use crate::formats::rtstruct::{self, WriteOptions};
    use crate::formats::seg;
    use crate::formats::structures::{Drawn, SeriesLink, Structure, TargetGrid};
    use crate::volume::{Modality, Volume};

    /// Every value of an object, at any depth, as text.
    fn values(object: &InMemDicomObject, into: &mut Vec<(Tag, String)>) {
        for element in object {
            match element.value() {
                Value::Sequence(items) => items.items().iter().for_each(|item| values(item, into)),
                _ => into.push((element.header().tag, element.to_str().map(|s| s.into_owned()).unwrap_or_default())),
            }
        }
    }

    #[test]
    fn nothing_of_the_patient_stays_and_the_structures_do() {
        let stored = analytic::stored([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let affine =
            std::array::from_fn(|r| [stored.steps[0][r], stored.steps[1][r], stored.steps[2][r], stored.origin[r]]);
        let grid = crate::volume::Geometry::new(stored.size, affine).unwrap();
        let labels = Volume::from_stored(grid, stored.labels, Modality::Unknown).unwrap();
        let mut series = analytic::series(&labels.stored);
        series.patient.birth_date = "19500102".into();
        series.patient.referring_physician = "Doctor^Known".into();
        series.patient.accession_number = "ACC77".into();
        series.patient.study_description = "Secret study".into();
        series.patient.study_time = "112233".into();
        let mask: Vec<u8> = labels.voxels.iter().map(|&v| u8::from(v == 2)).collect();
        let mut structures = Structure::organs(&labels, |_| Drawn::Automatic);
        let other = Structure { name: "GTV Secret^Name", labels: &mask, label: 1, code: None, ..structures[0] };
        structures.push(other);
        let files = [
            derive(&series, |made| rtstruct::write(&structures, &labels.geometry, &WriteOptions::default(), made)),
            derive(&series, |made| seg::write(&structures, &labels.geometry, made)),
        ];
        let deidentifier = Deidentifier::new(Uids::Replace).unwrap();
        let mut studies = Vec::new();
        for (n, file) in files.into_iter().enumerate() {
            let file = file.unwrap();
            let cleaned = deidentifier.apply(&file).unwrap();
            let object = dicom_object::from_reader(cleaned.as_slice()).unwrap();
            let mut all = Vec::new();
            values(&object, &mut all);
            all.push((tags::MEDIA_STORAGE_SOP_INSTANCE_UID, object.meta().media_storage_sop_instance_uid().into()));
            for (tag, value) in &all {
                for secret in ["Secret", "007", "20240229", "19700101", "Known", "ACC77", "112233", "1.2.3", "S1"] {
                    let uid = value.trim_end_matches('\0');
                    // Coordinates and colours are numbers and hold any digits.
                    let is_number =
                        matches!(*tag, tags::CONTOUR_DATA | tags::IMAGE_POSITION_PATIENT | tags::PIXEL_DATA)
                            || uid.starts_with("2.25.")
                            || uid.starts_with("1.2.840.");
                    assert!(is_number || !value.contains(secret), "{tag}: {value} has {secret}");
                }
                assert!(
                    !["1.2", "1.2.4", "2.25.1", "2.25.2"].contains(&value.trim_end_matches('\0')),
                    "{tag}: {value}"
                );
            }
            assert_eq!(element::text(&object, tags::PATIENT_NAME), NOBODY);
            assert_eq!(element::text(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
            studies.push(element::text(&object, tags::STUDY_INSTANCE_UID));
            let grid = TargetGrid::of(&labels);
            let back = if n == 0 {
                rtstruct::structures(&rtstruct::read(&cleaned).unwrap(), &grid, None).unwrap()
            } else {
                seg::structures(&seg::read(&cleaned).unwrap(), Some(&grid), None).unwrap()
            };
            assert_eq!(back.labels.voxels, labels.voxels);
            assert_eq!(back.others[0].name, "Structure_1");
            // With its identifiers it belongs to its CT.
            let kept = Deidentifier::new(Uids::Keep).unwrap().apply(&file).unwrap();
            if n == 0 {
                let set = rtstruct::read(&kept).unwrap();
                assert_eq!(set.series_uids, ["1.2.3"]);
                let found = rtstruct::structures(&set, &grid, Some(&SeriesLink::from(&series))).unwrap();
                assert_eq!(found.warnings, Vec::<String>::new());
            }
        }
        // Both files of one run are of one study, and another run gives another.
        assert_eq!(studies[0], studies[1]);
        assert_ne!(
            deidentifier.identifier("1.2".into()),
            Deidentifier::new(Uids::Replace).unwrap().identifier("1.2".into())
        );
    }
}
