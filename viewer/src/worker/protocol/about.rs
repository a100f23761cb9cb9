//! Whose scan it is, and of when: for the screen alone. No log, no address, no status and no report holds it.

use attention_anatomy::formats::dicom::{SeriesInfo, date, person_name};
use serde::{Deserialize, Serialize};

/// What the files of a DICOM series say of patient, study and series, as people write it; empty where they do not.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AboutScan {
    /// PatientName (0010,0010).
    pub patient: String,
    /// PatientID (0010,0020).
    pub id: String,
    /// PatientBirthDate (0010,0030).
    pub birth_date: String,
    /// PatientSex (0010,0040).
    pub sex: String,
    /// StudyDate (0008,0020).
    pub study_date: String,
    /// StudyDescription (0008,1030).
    pub study: String,
    /// SeriesDescription (0008,103E).
    pub series: String,
    /// PatientPosition (0018,5100), as the scanner writes it: `HFS`.
    pub position: String,
    /// Width and level of the first window in the files, HU.
    pub window: Option<[f32; 2]>,
}

impl AboutScan {
    /// Of a series.
    pub fn of(series: &SeriesInfo) -> Self {
        let patient = &series.patient;
        Self {
            patient: person_name(&patient.name),
            id: patient.id.clone(),
            birth_date: date(&patient.birth_date),
            sex: patient.sex.clone(),
            study_date: date(&patient.study_date),
            study: patient.study_description.clone(),
            series: series.description.clone(),
            position: series.patient_position.clone(),
            window: series.window.map(|values| values.map(|v| v as f32)),
        }
    }

    /// What the scan is called: after its series, else after its study; empty where the files name neither.
    pub fn title(&self) -> &str {
        if self.series.is_empty() { &self.study } else { &self.series }
    }
}

/// Shows nothing on purpose: a log line must not carry a name.
impl std::fmt::Debug for AboutScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AboutScan(withheld)")
    }
}
