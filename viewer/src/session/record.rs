//! Edits as they are kept for the case that the program ends without saving: labels of edited voxels only. Neither the CT
//! nor the name of the file or of the patient is in it.

use attention_anatomy::anatomy::Organ;
use serde::{Deserialize, Serialize};

use super::fingerprint::CtKey;
use super::packed::{Packer, UnpackError, unpack};
use super::structures::{PackedExtra, pack_extras, unpack_extras};
use crate::edit::{ByteSlices, Extra, LabelSnapshot, NOT_EDITED};

/// Version of the format.
const VERSION: u32 = 1;

/// Edits of a CT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditsRecord {
    #[serde(rename = "attention_anatomy_autosave")]
    version: u32,
    /// The CT that was edited.
    pub ct: CtKey,
    /// Organs by their label in `edits`, from 1 on.
    organs: Vec<String>,
    /// When, seconds since 1970.
    pub saved: u64,
    /// Number of edited voxels.
    pub edited_voxels: u64,
    /// Ids of the organs that have more or less voxels by it.
    #[serde(default)]
    changed: Vec<String>,
    /// The label of every edited voxel, [`NOT_EDITED`] elsewhere; packed.
    edits: String,
    /// Structures that are none of the 33 organs and were made or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    structures: Vec<PackedExtra>,
}

/// Keys of the organs by their label, from 1 on: a file says itself what its numbers mean.
pub fn organ_keys() -> Vec<String> {
    Organ::ALL.map(|o| o.id().to_string()).to_vec()
}

/// The edits of a study, packed.
pub fn pack_edits(labels: &LabelSnapshot) -> String {
    let mut packer = Packer::default();
    for (slice, under) in labels.labels.slices().iter().zip(&labels.under) {
        match under {
            None => packer.repeat(NOT_EDITED, slice.len()),
            Some(under) => {
                for (label, &network) in slice.to_vec().into_iter().zip(under.iter()) {
                    packer.repeat(if network == NOT_EDITED { NOT_EDITED } else { label }, 1);
                }
            }
        }
    }
    packer.finish()
}

/// Slices, packed.
pub fn pack(slices: &ByteSlices) -> String {
    let mut packer = Packer::default();
    slices.slices().iter().for_each(|slice| packer.push(&slice.to_vec()));
    packer.finish()
}

/// Slices of a volume, unpacked; `None` where they are those of another one, or damaged.
pub fn unpack_slices(text: &str, [nx, ny, nz]: [usize; 3]) -> Option<ByteSlices> {
    Some(ByteSlices::cut(&unpack(text, nx * ny * nz).ok()?, nx * ny))
}

/// Why edits that were kept cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the edits that were kept cannot be restored: {0}")]
pub struct RecordError(#[from] UnpackError);

impl EditsRecord {
    /// The edits of a study at a time.
    pub fn of(labels: &LabelSnapshot, ct: CtKey, saved: u64) -> Self {
        let edited = labels.under.iter().flatten().flat_map(|under| under.iter()).filter(|n| **n != NOT_EDITED);
        let (edits, edited_voxels) = (pack_edits(labels), edited.count() as u64);
        let structures = pack_extras(&labels.extras);
        let mut seen = [false; 256];
        for (slice, under) in labels.labels.slices().iter().zip(&labels.under) {
            let Some(under) = under else { continue };
            let voxels = slice.to_vec().into_iter().zip(under.iter().copied());
            for (label, network) in voxels.filter(|(label, network)| *network != NOT_EDITED && label != network) {
                seen[usize::from(label)] = true;
                seen[usize::from(network)] = true;
            }
        }
        let changed = Organ::ALL.into_iter().filter(|organ| seen[usize::from(organ.label())]);
        let changed = changed.map(|organ| organ.id().to_string()).collect();
        Self { version: VERSION, ct, organs: organ_keys(), saved, edited_voxels, changed, edits, structures }
    }

    /// Organs that have more or less voxels by it; none where an earlier program wrote it.
    pub fn changed_organs(&self) -> Vec<Organ> {
        self.changed.iter().filter_map(|id| Organ::from_id(id)).collect()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.edited_voxels == 0 && self.structures.is_empty()
    }

    /// Names of the other structures in it.
    pub fn structure_names(&self) -> Vec<String> {
        self.structures.iter().map(|structure| structure.head.name.clone()).collect()
    }

    /// The other structures in it.
    ///
    /// # Errors
    /// [`RecordError`] when the record is damaged.
    pub fn extras(&self) -> Result<Vec<Extra>, RecordError> {
        Ok(unpack_extras(&self.structures, self.ct.size.iter().product())?)
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was written, if it belongs to this CT and is of this program's format.
    pub fn from_text(text: &str, ct: &CtKey) -> Option<Self> {
        let record: Self = serde_json::from_str(text).ok()?;
        (record.version == VERSION && record.ct == *ct && record.organs == organ_keys()).then_some(record)
    }

    /// The label of every edited voxel, [`NOT_EDITED`] elsewhere.
    ///
    /// # Errors
    /// [`RecordError`] when the record is damaged.
    pub fn edits(&self) -> Result<ByteSlices, RecordError> {
        let [nx, ny, nz] = self.ct.size;
        Ok(ByteSlices::cut(&unpack(&self.edits, nx * ny * nz)?, nx * ny))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{place, store};

    #[test]
    fn edits_come_back_on_the_same_ct_only_and_nothing_else_is_written() {
        let mut labels = store([20, 10, 6], [1.0; 3]);
        labels.apply_run_slice(2, &[Organ::Heart.label(); 200]);
        labels.restore_edits(edits_of(&[(250, 30), (251, 0), (1199, 5)]), Vec::new(), true, "brush");
        let key = CtKey::of(labels.ct());
        let text = EditsRecord::of(&labels.snapshot_of_edits(), key.clone(), 1234).to_text();
        let back = EditsRecord::from_text(&text, &key).unwrap();
        assert_eq!((back.saved, back.edited_voxels), (1234, 3));
        // The network says nothing there, and the rubbed out voxel was none.
        assert_eq!(back.changed_organs(), [Organ::EyeLeft, Organ::Liver]);
        assert_eq!(back.edits().unwrap(), edits_of(&[(250, 30), (251, 0), (1199, 5)]));
        assert_eq!(EditsRecord::from_text(&text, &CtKey { sha256: "0".into(), ..key.clone() }), None);

        let mut fresh = store([20, 10, 6], [1.0; 3]);
        fresh.restore_edits(back.edits().unwrap(), back.extras().unwrap(), true, "restored edits");
        let edited: Vec<usize> = (0..1200).filter(|&n| fresh.is_edited(place(n, [20, 10, 6]))).collect();
        assert_eq!(edited, [250, 251, 1199]);
        let mut keys: Vec<String> =
            serde_json::from_str::<serde_json::Value>(&text).unwrap().as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["attention_anatomy_autosave", "changed", "ct", "edited_voxels", "edits", "organs", "saved"]);
        // Structures that were made here come back; those that a file holds need not be kept.
        let ring =
            Extra { number: 3, name: "PTV".into(), edited: true, runs: vec![[5, 9], [30, 31]], ..Extra::default() };
        labels.put_extra("structures", Extra { number: 1, name: "GTV".into(), runs: vec![[0, 4]], ..Extra::default() });
        labels.put_extra("margin", ring.clone());
        let text = EditsRecord::of(&labels.snapshot_of_edits(), key.clone(), 1234).to_text();
        let back = EditsRecord::from_text(&text, &key).unwrap();
        assert_eq!((back.structure_names(), back.extras().unwrap()), (vec!["PTV".into()], vec![ring]));
    }

    fn edits_of(voxels: &[(usize, u8)]) -> ByteSlices {
        let mut edits = vec![NOT_EDITED; 1200];
        for (n, label) in voxels {
            edits[*n] = *label;
        }
        ByteSlices::cut(&edits, 200)
    }
}
