//! Session files: labels, edits and settings of a study, to go on another day. No voxel of the CT is in it, nor the name of
//! its file: the CT is opened first, and the session is laid over it.

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet, REGION_COUNT};
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use serde::{Deserialize, Serialize};

use super::fingerprint::CtKey;
use super::packed::{Packer, UnpackError, unpack};
use super::record::{organ_keys, pack_edits};
use super::session_view::SessionView;
use crate::document::{Document, Outbox, Run, RunPhase, Study};
use crate::edit::NOT_EDITED;
use crate::worker::Command;

/// Name under which a session file is offered for saving.
pub const SESSION_NAME: &str = "attention-anatomy-session.json";

/// Version of the format.
const VERSION: u32 = 1;

/// Why a session file is not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is something else, or damaged.
    #[error("this is no session file that can be read ({0}); open another copy of it")]
    Unreadable(String),
    /// A later program wrote it.
    #[error(
        "the session file has version {0}, this program reads version {VERSION}; open it with the program that wrote it"
    )]
    Version(u32),
    /// Its numbers stand for other organs.
    #[error("the session file numbers its organs otherwise than this program; open it with the program that wrote it")]
    Organs,
    /// There is nothing to lay it over.
    #[error("a session file has no voxels; open the CT that it belongs to first")]
    NoCt,
    /// It belongs to another CT.
    #[error(
        "the session file belongs to another CT ({} x {} x {} voxels); open that CT first, exactly as it was",
        .0[0], .0[1], .0[2]
    )]
    OtherCt([usize; 3]),
    /// Its labels are damaged.
    #[error("the labels of the session file are damaged: {0}; open another copy of it")]
    Labels(#[from] UnpackError),
}

#[derive(Serialize, Deserialize)]
struct SessionFile {
    #[serde(rename = "attention_anatomy_session")]
    version: u32,
    statement: String,
    program_version: String,
    ct: CtKey,
    /// Organs by their label, from 1 on.
    organs: Vec<String>,
    model: Option<SessionModel>,
    /// Organs that the run labelled.
    drawn: OrganSet,
    run_finished: bool,
    view: SessionView,
    /// What the network says of each slice that was run.
    anatomy: Vec<SessionSlice>,
    /// The network's labels beneath the edits; packed.
    network: String,
    /// The label of every edited voxel, 255 elsewhere; packed.
    edits: String,
}

#[derive(Serialize, Deserialize)]
struct SessionModel {
    name: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct SessionSlice {
    slice: usize,
    position_mm: f64,
    regions: [f32; REGION_COUNT],
    attention: Option<Vec<f32>>,
    /// Voxels of each organ that attention took away.
    removed: Option<Vec<u32>>,
}

/// JSON knows no infinity.
fn finite(v: f32) -> f32 {
    if v.is_finite() { v } else { 0.0 }
}

impl SessionSlice {
    fn of(anatomy: &SliceAnatomy, removed: Option<[u32; ORGAN_COUNT]>) -> Self {
        Self {
            slice: anatomy.slice,
            position_mm: anatomy.position_mm,
            regions: anatomy.regions.map(finite),
            attention: anatomy.attention.map(|a| a.map(finite).to_vec()),
            removed: removed.map(|r| r.to_vec()),
        }
    }
}

/// The open study's labels, edits and settings as a session file, without voxels of the CT; `None` without a study.
pub fn save_session(document: &Document, ct: CtKey) -> Option<String> {
    let study = document.study.as_ref()?;
    let labels = &study.labels;
    let mut network = Packer::default();
    for k in 0..study.geometry().size[2] {
        network.push(&labels.network_slice(k));
    }
    let slices = study.anatomy.iter().zip(&study.removed);
    let file = SessionFile {
        version: VERSION,
        statement: NOT_A_MEDICAL_DEVICE.into(),
        program_version: env!("CARGO_PKG_VERSION").into(),
        ct,
        organs: organ_keys(),
        model: document.model.weights.as_ref().map(|w| SessionModel { name: w.name.clone(), sha256: w.sha256.clone() }),
        drawn: study.drawn,
        run_finished: document.run.phase == RunPhase::Finished,
        view: SessionView::of(&document.view, document.preferences.layout),
        anatomy: slices.filter_map(|(a, r)| Some(SessionSlice::of(a.as_ref()?, *r))).collect(),
        network: network.finish(),
        edits: pack_edits(labels),
    };
    serde_json::to_string_pretty(&file).ok()
}

/// Brings the edits and settings of a session file back onto the open CT, whose key is `ct`; a notice says how that went.
/// The edits are one step that can be undone.
pub fn restore_session(document: &mut Document, outbox: &mut Outbox, ct: Option<CtKey>, text: &str) {
    match restore(document, outbox, ct, text) {
        Ok(edited) => outbox.notices.info(format!("session restored, with {edited} voxels edited by hand")),
        Err(error) => outbox.notices.error(error.to_string()),
    }
}

fn restore(document: &mut Document, outbox: &mut Outbox, ct: Option<CtKey>, text: &str) -> Result<u64, SessionError> {
    let file: SessionFile = serde_json::from_str(text).map_err(|e| SessionError::Unreadable(e.to_string()))?;
    if file.version != VERSION {
        return Err(SessionError::Version(file.version));
    }
    if file.organs != organ_keys() {
        return Err(SessionError::Organs);
    }
    let study = document.study.as_mut().ok_or(SessionError::NoCt)?;
    if file.ct.size != study.geometry().size || Some(&file.ct) != ct.as_ref() {
        return Err(SessionError::OtherCt(file.ct.size));
    }
    let voxels = study.geometry().voxel_count();
    let (network, edits) = (unpack(&file.network, voxels)?, unpack(&file.edits, voxels)?);
    let other = |weights: &crate::worker::WeightsReady| {
        file.model.as_ref().filter(|m| m.sha256 != weights.sha256).map(|m| m.name.clone())
    };
    if let Some(name) = document.model.weights.as_ref().and_then(other) {
        outbox
            .notices
            .warn(format!("the labels of this session come from the weights {name}, not from those in use now"));
    }
    if file.run_finished {
        // All that a run would find is in the file.
        if document.run.is_active() {
            outbox.send(Command::CancelRun);
        }
        let total = study.geometry().size[2];
        document.run =
            Run { number: outbox.next_number(), phase: RunPhase::Finished, done: total, total, ..Run::default() };
    }
    file.view.apply(&mut document.view, &mut document.preferences.layout, file.ct.size);
    study.drawn = file.drawn;
    study.what_if = None;
    restore_anatomy(study, file.anatomy);
    let area = file.ct.size[0] * file.ct.size[1];
    for (k, labels) in network.chunks_exact(area).enumerate() {
        study.labels.apply_run_slice(k, labels);
    }
    study.labels.restore_edits(&edits, false, "session");
    Ok(edits.iter().filter(|e| **e != NOT_EDITED).count() as u64)
}

fn restore_anatomy(study: &mut Study, slices: Vec<SessionSlice>) {
    study.anatomy.fill(None);
    study.removed.fill(None);
    for slice in slices {
        let (Some(anatomy), Some(removed)) = (study.anatomy.get_mut(slice.slice), study.removed.get_mut(slice.slice))
        else {
            continue;
        };
        *removed = slice.removed.and_then(|r| r.try_into().ok());
        *anatomy = Some(SliceAnatomy {
            slice: slice.slice,
            position_mm: slice.position_mm,
            regions: slice.regions,
            attention: slice.attention.and_then(|a| a.try_into().ok()),
        });
    }
}

#[cfg(test)]
mod tests;
