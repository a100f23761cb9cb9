//! Whether a file says what its labels are, what it keeps of the edits in them, and what structure sets call themselves.

use std::io::Read;

use super::dicom::{self, Stored};
use super::image_header::ReadOptions;
use super::label_names::LabelNames;
use super::open::{FormatError, OURS, Opened, classify};
use super::undecided::CtOrLabels;
use super::{nifti, nrrd, read_header, rtstruct, seg};

/// Around what a label map keeps of the edits in it: a text of the caller's, within the header.
const EDITS: [&str; 2] = ["{\"attention_anatomy_edits\":\"", "\"}"];
/// The same as a key of an NRRD header.
pub(crate) const EDITS_KEY: &str = "AttentionAnatomyEdits";

/// The comment that keeps `edits` within a NIfTI file; see [`kept_edits`].
pub(crate) fn edits_comment(edits: &str) -> String {
    format!("{}{edits}{}", EDITS[0], EDITS[1])
}

/// What a label map of this program keeps of the edits in it; `None` where it keeps nothing.
pub fn kept_edits(bytes: &[u8]) -> Option<String> {
    if nrrd::is_nrrd(bytes) {
        return nrrd::key_value(bytes, EDITS_KEY);
    }
    nifti::read_note(bytes, EDITS[0], EDITS[1])
}

/// Whether the files of a label map say what its numbers mean: by names within or beside it, or because this program wrote it.
pub fn says_names(files: &[(String, Vec<u8>)]) -> bool {
    let names = |bytes: &[u8]| {
        if nrrd::is_nrrd(bytes) {
            if nrrd::key_value(bytes, "Segment0_ID").or_else(|| nrrd::key_value(bytes, "Segment0_Name")).is_some() {
                return true;
            }
        } else if nifti::read_label_names(bytes).is_some() {
            return true;
        }
        match read_header(bytes, &ReadOptions::default()) {
            Ok(Some(header)) => header.description.contains(OURS),
            _ => LabelNames::parse(bytes).is_some(),
        }
    };
    files.iter().any(|(_, bytes)| names(bytes))
}

/// As [`read_ct_or_organs`](super::read_ct_or_organs), but a label map with the numbers that it has: for whoever asks what they mean.
///
/// # Errors
/// [`FormatError`].
pub fn read_ct_or_labels(files: Vec<(String, Vec<u8>)>) -> Result<CtOrLabels, FormatError> {
    let options = ReadOptions::default();
    Ok(match classify(files)?.0 {
        Opened::Nifti(bytes) => nifti::read_undecided(&bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_undecided(&header, &image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_undecided(&bytes, None, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_undecided(&header, Some(&data), &options)?,
        Opened::Dicom(files) => CtOrLabels::Ct(dicom::read_series(files, dicom::SeriesChoice::default())?.0),
    })
}

/// As [`read_ct_or_labels`] of one NIfTI file (`.nii`, `.nii.gz`) that is not in memory: `input` gives its so many `bytes`, and no more
/// than some megabytes of them lie beside the voxels at a time.
///
/// # Errors
/// [`FormatError::Nifti`], also for what `input` cannot give.
pub fn read_ct_or_labels_from(input: impl Read, bytes: u64) -> Result<CtOrLabels, FormatError> {
    Ok(nifti::read_undecided_from(input, bytes, &ReadOptions::default())?)
}

/// What a structure set or segmentation calls itself, and how much is in it, for whoever has to choose one; its file's name where
/// it says nothing.
pub fn structures_title(name: &str, bytes: &[u8]) -> String {
    let (label, count) = match dicom::stored(bytes) {
        Some(Stored::StructureSet) => match rtstruct::read(bytes) {
            Ok(set) => (set.label, set.rois.len()),
            Err(_) => return name.to_owned(),
        },
        _ => match seg::read(bytes) {
            Ok(segmentation) => (String::new(), segmentation.segments.len()),
            Err(_) => return name.to_owned(),
        },
    };
    let structures = if count == 1 { "1 structure".to_owned() } else { format!("{count} structures") };
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    if label.is_empty() { format!("{last} ({structures})") } else { format!("{label} ({structures}, {last})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Organ;
    use crate::formats::read_organs;
    use crate::volume::{Geometry, LabelVolume, Modality, Volume};

    fn labels() -> LabelVolume {
        let grid = Geometry::axial([4, 3, 2], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]).unwrap();
        let mut voxels = vec![0; 24];
        voxels[3..9].fill(Organ::Liver.label());
        voxels[20] = Organ::EyeLeft.label();
        Volume::from_stored(grid, voxels, Modality::Unknown).unwrap()
    }

    #[test]
    fn our_label_maps_carry_their_names_and_what_was_edited_in_them() {
        let (labels, edits) = (labels(), "ab+/=".repeat(20_000));
        for (file, kept) in [
            (nifti::write_organs(&labels, "", None).unwrap(), None),
            (nifti::write_organs(&labels, "", Some(&edits_comment(&edits))).unwrap(), Some(&edits)),
            (nrrd::write_organs(&labels, "", None).unwrap(), None),
            (nrrd::write_organs(&labels, "", Some((EDITS_KEY, &edits))).unwrap(), Some(&edits)),
        ] {
            assert_eq!(kept_edits(&file).as_ref(), kept);
            let files = vec![("map".to_owned(), file)];
            assert!(says_names(&files));
            let read = read_organs(files).unwrap();
            assert_eq!((&read.voxels, &read.stored, &read.warnings), (&labels.voxels, &labels.stored, &Vec::new()));
        }
        // Without names nobody can tell, unless it says that it is ours or a table lies beside it.
        let plain = |text| vec![("map".to_owned(), nifti::write_labels(&labels, text).unwrap())];
        assert!(!says_names(&plain("")) && says_names(&plain("Not a medical device. AttentionAnatomy, by hand")));
        let mut with_table = plain("");
        with_table.push(("names.json".into(), b"{\"liver\": 30}".to_vec()));
        assert!(says_names(&with_table));
        assert_eq!(kept_edits(&plain("")[0].1), None);
        assert!(matches!(read_ct_or_labels(plain("")), Ok(CtOrLabels::Labels(read)) if read.warnings.is_empty()));
    }
}
