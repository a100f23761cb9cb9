//! What is chosen so far of what will be written, and what is told of each structure.

use attention_anatomy::anatomy::Organ;

use super::super::widgets::cut_by_scan;
use crate::document::Study;
use crate::edit::Extra;
use crate::worker::StructureFormat;

/// Interpreted types that are expected to reach the scan's end.
const WHOLE_BODY: [&str; 2] = ["EXTERNAL", "SUPPORT"];

/// What is chosen so far.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) format: StructureFormat,
    /// Organs and other structures that are left out.
    pub(super) without: Vec<What>,
    pub(super) label: String,
    /// What the user wrote in place of the usual name.
    pub(super) file_name: Option<String>,
    /// What is sent to where the scan came from, in place of a file that is saved.
    pub(super) sends: Option<super::send::Sends>,
}

/// What is told of a structure.
pub(super) struct Row {
    pub(super) name: String,
    /// As it is written.
    pub(super) written: String,
    pub(super) colour: [u8; 3],
    pub(super) ml: f64,
    pub(super) edited: bool,
    /// Which ends of the scan it reaches.
    pub(super) cut: Option<&'static str>,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Organ(Organ),
    Extra(u64),
}

/// All that has a voxel.
pub(super) fn rows(study: &Study) -> Vec<Row> {
    let [nx, ny, _] = study.geometry().size;
    let edited = study.labels.edited_organs();
    let organ = |organ: Organ| Row {
        name: organ.name().into(),
        written: organ.tg263().into(),
        colour: organ.colour(),
        ml: study.labels.volume_ml(organ),
        edited: edited.contains(organ),
        cut: cut_by_scan(study.labels.first_last_slice(organ), &study.scanned),
        what: What::Organ(organ),
    };
    let organs = Organ::ALL.into_iter().filter(|&o| study.labels.voxel_count(o) > 0).map(organ);
    let extra = |extra: &std::sync::Arc<Extra>| Row {
        name: extra.name.clone(),
        written: extra.name.clone(),
        colour: extra.colour,
        ml: extra.voxel_count() as f64 * study.geometry().voxel_ml(),
        edited: extra.edited,
        cut: cut_by_scan(extra.first_last_slice(nx * ny), &study.scanned)
            .filter(|_| !WHOLE_BODY.contains(&extra.interpreted_type.as_str())),
        what: What::Extra(extra.number),
    };
    let extras = study.labels.extras().iter().filter(|extra| extra.voxel_count() > 0).map(extra);
    organs.chain(extras).collect()
}

impl Draft {
    pub(super) fn has(&self, what: What) -> bool {
        !self.without.contains(&what)
    }

    pub(super) fn set(&mut self, what: What, on: bool) {
        self.without.retain(|other| *other != what);
        if !on {
            self.without.push(what);
        }
    }

    /// Whether it is an archive of a label map and of masks of what has no number in it.
    pub(super) fn is_archive(&self, rows: &[Row]) -> bool {
        let is_mask = |row: &Row| matches!(row.what, What::Extra(_)) && self.has(row.what);
        !self.format.is_dicom() && rows.iter().any(is_mask)
    }

    /// What it is called unless the user wants otherwise.
    pub(super) fn usual_name(&self, study: &Study, rows: &[Row], without_patient: bool) -> String {
        let ending = if self.is_archive(rows) { "labels.zip" } else { self.format.ending() };
        // What a study is called may name its patient or its date.
        if without_patient && self.format.is_dicom() { format!("anonymous-{ending}") } else { study.file_name(ending) }
    }
}
