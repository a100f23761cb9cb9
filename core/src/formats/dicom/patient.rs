//! Who and which study the slices belong to. An RTSTRUCT or SEG made from them has to repeat it, or no planning system
//! puts the two together; and whoever looks at the slices must see whose they are. It goes from file to file and to the
//! screen, and nowhere else: `Debug` shows nothing, and it is not serialisable.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::element::text;

/// Patient attributes that are read besides those of the image.
pub(super) const TAGS: [Tag; 6] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DESCRIPTION,
    tags::POSITION_REFERENCE_INDICATOR,
];

/// The patient and general study modules (PS3.3 C.7.1.1 and C.7.2.1), as written in the file; absent ones are empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PatientStudy {
    /// PatientName (0010,0010).
    pub name: String,
    /// PatientID (0010,0020).
    pub id: String,
    /// PatientBirthDate (0010,0030).
    pub birth_date: String,
    /// PatientSex (0010,0040).
    pub sex: String,
    /// StudyDate (0008,0020).
    pub study_date: String,
    /// StudyTime (0008,0030).
    pub study_time: String,
    /// StudyID (0020,0010).
    pub study_id: String,
    /// AccessionNumber (0008,0050).
    pub accession_number: String,
    /// ReferringPhysicianName (0008,0090).
    pub referring_physician: String,
    /// StudyDescription (0008,1030).
    pub study_description: String,
    /// PositionReferenceIndicator (0020,1040), of the frame of reference.
    pub position_reference: String,
}

impl PatientStudy {
    pub(super) fn read(object: &InMemDicomObject) -> Self {
        Self {
            name: text(object, tags::PATIENT_NAME),
            id: text(object, tags::PATIENT_ID),
            birth_date: text(object, tags::PATIENT_BIRTH_DATE),
            sex: text(object, tags::PATIENT_SEX),
            study_date: text(object, tags::STUDY_DATE),
            study_time: text(object, tags::STUDY_TIME),
            study_id: text(object, tags::STUDY_ID),
            accession_number: text(object, tags::ACCESSION_NUMBER),
            referring_physician: text(object, tags::REFERRING_PHYSICIAN_NAME),
            study_description: text(object, tags::STUDY_DESCRIPTION),
            position_reference: text(object, tags::POSITION_REFERENCE_INDICATOR),
        }
    }
}

/// Shows nothing on purpose: a log line must not carry a name.
impl std::fmt::Debug for PatientStudy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientStudy(withheld)")
    }
}
