//! What was drawn, whoever drew it and in whatever format: a label map has its own grid, an RT Structure Set is drawn on the
//! grid of the CT that it belongs to, and a DICOM Segmentation has a grid of its own where no CT is given.

use super::dicom::{self, DicomError, SeriesChoice, SeriesInfo, SeriesRequest, Stored};
use super::label_names::LabelError;
use super::open::{FormatError, Opened, classify, named_others, numbers_of, organs_of};
use super::structures::{SeriesLink, Structures, TargetGrid};
use super::{ReadOptions, nifti, nrrd, rtstruct, seg};
use crate::volume::{LabelVolume, Volume};

/// The CT that structures were drawn on, as far as it matters for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Its grid.
    pub grid: TargetGrid,
    /// Its identity, where it is a DICOM series.
    pub series: Option<SeriesInfo>,
}

impl Reference {
    /// An open CT.
    pub fn of<T>(ct: &Volume<T>, series: Option<&SeriesInfo>) -> Self {
        Self { grid: TargetGrid::of(ct), series: series.cloned() }
    }

    /// From the files of a CT. Of a DICOM series no pixels are decoded.
    ///
    /// # Errors
    /// As [`read_ct`](super::read_ct).
    pub fn read(files: Vec<(String, Vec<u8>)>) -> Result<Self, FormatError> {
        Self::choose(files, SeriesRequest::default())
    }

    /// As [`read`](Self::read), of a certain series, mended as [`read_ct_and_series`](super::read_ct_and_series) would.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn choose(files: Vec<(String, Vec<u8>)>, request: impl Into<SeriesRequest>) -> Result<Self, FormatError> {
        let options = ReadOptions::default();
        Ok(match classify(files)?.0 {
            Opened::Nifti(bytes) => Self::of(&nifti::read_ct(&bytes, &options)?, None),
            Opened::NiftiPair { header, image } => Self::of(&nifti::read_pair_ct(&header, &image, &options)?, None),
            Opened::Nrrd(bytes) => Self::of(&nrrd::read_ct(&bytes, &options)?, None),
            Opened::NrrdDetached { header, data } => Self::of(&nrrd::read_detached_ct(&header, &data, &options)?, None),
            Opened::Dicom(files) => Self::of_series(dicom::find_series(&files, request)?)?,
        })
    }

    fn of_series(series: SeriesInfo) -> Result<Self, FormatError> {
        let grid = series.grid.clone().ok_or(FormatError::NeedsReference)?;
        Ok(Self { grid: TargetGrid::new(grid)?, series: Some(series) })
    }

    fn link(&self) -> Option<SeriesLink> {
        self.series.as_ref().map(SeriesLink::from)
    }
}

/// Reads what was drawn from what a user opened, with the numbers of the anatomy table: a label map (NIfTI, NRRD), an RT
/// Structure Set or a DICOM Segmentation, alone or in a folder or zip with the series that it belongs to.
///
/// Of label maps, names count before numbers: those in the file (segments of 3D Slicer, whose layers are joined, a table behind a
/// NIfTI header), then those of a table among the files (see [`LabelNames`](super::LabelNames)). Where nothing names the labels and
/// this program did not write them, a warning says that their numbers were taken as those of the table. A warning also names
/// what is left out. A NIfTI file that names what it holds, and no organ, as a mask of
/// [`write_masks`](super::write_masks) does, holds other structures.
///
/// `reference` is the CT. Without one, a structure set is drawn on the series that lies beside it.
///
/// # Errors
/// [`FormatError`]: unknown content, several structure sets, none, a structure set without a CT, numbers that are no organ's, names of
/// which none is an organ's, or whatever the reader of the format refuses.
pub fn read_structures(
    files: Vec<(String, Vec<u8>)>,
    reference: Option<&Reference>,
) -> Result<Structures, FormatError> {
    match classify(files)? {
        (Opened::Dicom(files), _) => in_dicom(files, reference),
        (opened, beside) => match organs_of(&opened, &beside) {
            Ok(organs) => Ok(Structures::of_map(organs, false)),
            Err(error @ FormatError::LabelNames(LabelError::NoOrgan(_))) => named_others(&opened).ok_or(error),
            Err(error) => Err(error),
        },
    }
}

/// As [`read_structures`], but of a label map with the numbers that it has: for masks, and where a manifest says what they mean.
///
/// # Errors
/// As [`read_structures`].
pub fn read_numbered(files: Vec<(String, Vec<u8>)>, reference: Option<&Reference>) -> Result<Structures, FormatError> {
    match classify(files)? {
        (Opened::Dicom(files), _) => in_dicom(files, reference),
        (opened, _) => Ok(Structures::of_map(numbers_of(&opened)?, true)),
    }
}

/// As [`read_structures`], the organs only.
///
/// # Errors
/// As [`read_structures`]; names of which none is an organ's.
pub fn read_organs_on(
    files: Vec<(String, Vec<u8>)>,
    reference: Option<&Reference>,
) -> Result<LabelVolume, FormatError> {
    match classify(files)? {
        (Opened::Dicom(files), _) => Ok(in_dicom(files, reference)?.labels),
        (opened, beside) => organs_of(&opened, &beside),
    }
}

/// As [`read_structures`] without a CT, the organs only.
///
/// # Errors
/// As [`read_structures`].
pub fn read_organs(files: Vec<(String, Vec<u8>)>) -> Result<LabelVolume, FormatError> {
    read_organs_on(files, None)
}

/// As [`read_numbered`] without a CT, the labels only.
///
/// # Errors
/// As [`read_structures`].
pub fn read_labels(files: Vec<(String, Vec<u8>)>) -> Result<LabelVolume, FormatError> {
    Ok(read_numbered(files, None)?.labels)
}

fn in_dicom(files: Vec<(String, Vec<u8>)>, reference: Option<&Reference>) -> Result<Structures, FormatError> {
    let is_drawn = |bytes: &[u8]| matches!(dicom::stored(bytes), Some(Stored::StructureSet | Stored::Segmentation));
    let (drawn, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(_, bytes)| is_drawn(bytes));
    let [(_, bytes)] = drawn.as_slice() else {
        return Err(match drawn.len() {
            0 => FormatError::NoStructures,
            n => FormatError::SeveralStructureSets(n),
        });
    };
    if dicom::stored(bytes) == Some(Stored::Segmentation) {
        let link = reference.and_then(Reference::link);
        return Ok(seg::structures(&seg::read(bytes)?, reference.map(|r| &r.grid), link.as_ref())?);
    }
    let set = rtstruct::read(bytes)?;
    let beside;
    let reference = match reference {
        Some(reference) => reference,
        None => {
            beside = series_of(&set, &others)?;
            &beside
        }
    };
    Ok(rtstruct::structures(&set, &reference.grid, reference.link().as_ref())?)
}

/// The series among the files that a structure set was drawn on.
fn series_of(set: &rtstruct::StructureSet, files: &[(String, Vec<u8>)]) -> Result<Reference, FormatError> {
    if !files.iter().any(|(_, bytes)| dicom::stored(bytes) == Some(Stored::Image)) {
        return Err(FormatError::NeedsReference);
    }
    for uid in &set.series_uids {
        match dicom::find_series(files, SeriesChoice::Uid(uid.clone())) {
            Err(DicomError::UnknownSeries { .. }) => {}
            found => return Reference::of_series(found?),
        }
    }
    Reference::of_series(dicom::find_series(files, SeriesRequest::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::analytic;
    use crate::formats::archive::unzip;
    use crate::formats::structures::{Drawn, Structure};

    fn archive() -> Vec<(String, Vec<u8>)> {
        let path = format!("{}/../tests/data/rtstruct.zip", env!("CARGO_MANIFEST_DIR"));
        unzip(&std::fs::read(path).unwrap(), 64 << 20).unwrap()
    }

    fn of(part: &str) -> Vec<(String, Vec<u8>)> {
        archive().into_iter().filter(|(name, _)| name.contains(part)).collect()
    }

    #[test]
    fn a_structure_set_finds_its_series_beside_it() {
        let mut files = of("mock_data/ct_");
        files.extend(of("mock_data/rt.dcm"));
        let found = read_structures(files, None).unwrap();
        assert_eq!(found.labels.geometry.size, [512, 512, 2]);
        assert_eq!(found.others[0].name, "ROI-1");
        assert!(found.organs.is_empty());
    }

    #[test]
    fn a_structure_set_alone_needs_a_ct_and_takes_any_that_is_given() {
        let alone = || of("mock_data/rt.dcm");
        assert!(matches!(read_structures(alone(), None), Err(FormatError::NeedsReference)));
        let reference = Reference::read(of("mock_data/ct_")).unwrap();
        assert_eq!(read_structures(alone(), Some(&reference)).unwrap().others.len(), 1);
        // As a NIfTI of it would be: the same place, no identity.
        let reference = Reference { series: None, ..reference };
        assert_eq!(read_structures(alone(), Some(&reference)).unwrap().others.len(), 1);
    }

    #[test]
    fn several_structure_sets_or_none_are_said() {
        assert!(matches!(read_labels(of("mock_data/ct_")), Err(FormatError::NoStructures)));
        assert!(matches!(read_labels(of("rt.dcm")), Err(FormatError::SeveralStructureSets(2))));
        let mut broken = of("mock_data/ct_1");
        broken.extend(of("mock_data/rt.dcm"));
        // One slice of two, as thick as it says, and the one that was drawn on.
        let found = read_structures(broken, None).unwrap();
        assert_eq!(found.labels.geometry.size, [512, 512, 1]);
        assert!(!found.others[0].voxels.is_empty(), "{:?}", found.warnings);
    }

    #[test]
    fn a_segmentation_needs_no_ct() {
        let stored = analytic::stored([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let affine =
            std::array::from_fn(|r| [stored.steps[0][r], stored.steps[1][r], stored.steps[2][r], stored.origin[r]]);
        let grid = crate::volume::Geometry::new(stored.size, affine).unwrap();
        let labels = Volume::from_stored(grid, stored.labels, crate::volume::Modality::Unknown).unwrap();
        let structures = Structure::organs(&labels, |_| Drawn::Automatic);
        let series = analytic::series(&labels.stored);
        let bytes = analytic::derive(&series, |made| seg::write(&structures, &labels.geometry, made)).unwrap();
        let found = read_structures(vec![("seg".into(), bytes)], None).unwrap();
        assert_eq!((found.labels.voxels, found.organs.len()), (labels.voxels.clone(), 3));
        assert!(found.labels.geometry.same_grid(&labels.geometry, 1e-3));
    }
}
