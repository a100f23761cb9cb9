//! Session files: labels, edits and settings of a study, to go on another day. No voxel of the CT is in it, nor the name of
//! its file: the CT is opened first, and the session is laid over it.

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet, REGION_COUNT};
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use serde::{Deserialize, Serialize};

use super::fingerprint::CtKey;
use super::packed::{Packer, UnpackError, unpack};
use super::record::{organ_keys, pack_edits};
use super::structures::{PackedExtra, pack_extras, unpack_extras};
use super::view::SessionView;
use crate::edit::{ByteSlices, Extra, LabelSnapshot, NOT_EDITED};

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

/// All of a session but its volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionHead {
    /// The CT that it belongs to.
    pub ct: CtKey,
    /// The weights that the labels come from.
    pub model: Option<SessionModel>,
    /// Organs that the run labelled.
    pub drawn: OrganSet,
    /// Whether the run was finished.
    pub run_finished: bool,
    /// How the study was looked at.
    pub view: SessionView,
    /// What the network says of each slice that was run.
    pub anatomy: Vec<SessionSlice>,
}

/// What a session file holds, once it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// All but the volumes.
    pub head: SessionHead,
    /// The network's labels beneath the edits.
    pub network: ByteSlices,
    /// The label of every edited voxel, [`NOT_EDITED`] elsewhere.
    pub edits: ByteSlices,
    /// Number of edited voxels.
    pub edited_voxels: u64,
    /// Structures that are none of the 33 organs.
    pub extras: Vec<Extra>,
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
    drawn: OrganSet,
    run_finished: bool,
    view: SessionView,
    anatomy: Vec<SessionSlice>,
    /// The network's labels, compressed and in base 64.
    network: String,
    /// Packed; 255 where a voxel was not edited.
    edits: String,
    /// Those that are none of the organs above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    structures: Vec<PackedExtra>,
}

/// Weights by name and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionModel {
    /// For people.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What the network says of a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSlice {
    slice: usize,
    position_mm: f64,
    regions: [f32; REGION_COUNT],
    attention: Option<Vec<f32>>,
    /// Voxels of each organ that attention took away.
    removed: Option<Vec<u32>>,
    /// Voxels that the run gave an organ; sessions of earlier programs do not say.
    #[serde(default)]
    drawn: Option<u32>,
}

/// JSON knows no infinity.
fn finite(v: f32) -> f32 {
    if v.is_finite() { v } else { 0.0 }
}

impl SessionSlice {
    /// Of what the network says, of the voxels that attention took away, and of those that it drew.
    pub fn of(anatomy: &SliceAnatomy, removed: Option<[u32; ORGAN_COUNT]>, drawn: Option<u32>) -> Self {
        Self {
            slice: anatomy.slice,
            position_mm: anatomy.position_mm,
            regions: anatomy.regions.map(finite),
            attention: anatomy.attention.map(|a| a.map(finite).to_vec()),
            removed: removed.map(|r| r.to_vec()),
            drawn,
        }
    }

    /// What the network says, the voxels that attention took away, and those that the network drew.
    pub fn parts(self) -> (SliceAnatomy, Option<[u32; ORGAN_COUNT]>, Option<u32>) {
        let anatomy = SliceAnatomy {
            slice: self.slice,
            position_mm: self.position_mm,
            regions: self.regions,
            attention: self.attention.and_then(|a| a.try_into().ok()),
        };
        (anatomy, self.removed.and_then(|r| r.try_into().ok()), self.drawn)
    }
}

/// A session file, without voxels of the CT.
pub fn write(head: SessionHead, labels: &LabelSnapshot) -> String {
    let mut network = Packer::default();
    for k in 0..labels.labels.slices().len() {
        network.push(&labels.network_slice(k));
    }
    let SessionHead { ct, model, drawn, run_finished, view, anatomy } = head;
    let file = SessionFile {
        version: VERSION,
        statement: NOT_A_MEDICAL_DEVICE.into(),
        program_version: env!("CARGO_PKG_VERSION").into(),
        ct,
        organs: organ_keys(),
        model,
        drawn,
        run_finished,
        view,
        anatomy,
        network: network.finish(),
        edits: pack_edits(labels),
        structures: pack_extras(&labels.extras),
    };
    // Numbers, strings and lists: nothing in it that JSON cannot say.
    serde_json::to_string_pretty(&file).unwrap_or_default()
}

/// Reads a session file for the open CT.
///
/// # Errors
/// [`SessionError`]: what is no session of this CT and of this program's format.
pub fn read(text: &str, ct: Option<&CtKey>) -> Result<Session, SessionError> {
    let file: SessionFile = serde_json::from_str(text).map_err(|e| SessionError::Unreadable(e.to_string()))?;
    if file.version != VERSION {
        return Err(SessionError::Version(file.version));
    }
    if file.organs != organ_keys() {
        return Err(SessionError::Organs);
    }
    if file.ct != *ct.ok_or(SessionError::NoCt)? {
        return Err(SessionError::OtherCt(file.ct.size));
    }
    let [nx, ny, nz] = file.ct.size;
    let (network, edits) = (unpack(&file.network, nx * ny * nz)?, unpack(&file.edits, nx * ny * nz)?);
    let extras = unpack_extras(&file.structures, nx * ny * nz)?;
    let edited_voxels = edits.iter().filter(|e| **e != NOT_EDITED).count() as u64;
    let SessionFile { ct, model, drawn, run_finished, view, anatomy, .. } = file;
    Ok(Session {
        head: SessionHead { ct, model, drawn, run_finished, view, anatomy },
        network: ByteSlices::cut(&network, nx * ny),
        edits: ByteSlices::cut(&edits, nx * ny),
        edited_voxels,
        extras,
    })
}
