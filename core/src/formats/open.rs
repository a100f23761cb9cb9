//! What a user drops on the program: one or more named blobs of bytes, and out comes a volume.
//!
//! Names are only for people: what a file is, its content tells. Downloads lose suffixes, and a DICOM file often has
//! none.

use super::archive::{self, ArchiveError};
use super::dicom::{self, DicomError, SeriesChoice, SeriesInfo};
use super::image_header::{Format, ImageHeader, ReadOptions};
use super::nifti::{self, NiftiError};
use super::nrrd::{self, NrrdError};
use super::source::{Source, read_up_to};
use crate::volume::{CtVolume, GeometryError, LabelVolume};

/// The most bytes that an archive may unpack to: a large CT and what lies beside it, in the memory of a browser tab.
pub const MAX_UNPACKED: u64 = 2 << 30;

/// How many bytes, unpacked, tell every format.
const SNIFFED: usize = 352;

/// Tells what a file is by its content; `None` if it is nothing that is read here.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if nrrd::is_nrrd(bytes) {
        return Some(if nrrd::is_detached(bytes) { Format::NrrdHeader } else { Format::Nrrd });
    }
    if has_dicom_mark(bytes) {
        return Some(Format::DicomFile);
    }
    if archive::is_zip(bytes) {
        return Some(Format::Zip);
    }
    let mut head = [0; SNIFFED];
    let count = read_up_to(&mut Source::open(bytes), &mut head).unwrap_or(0);
    let head = head.get(..count).unwrap_or_default();
    if nifti::is_single_file(head) {
        Some(Format::Nifti)
    } else if nifti::is_pair_header(head) {
        Some(Format::NiftiPairHeader)
    } else {
        // Last, because files from before PS3.10 have no mark, only a plausible start.
        dicom::looks_like_dicom(bytes).then_some(Format::DicomFile)
    }
}

fn has_dicom_mark(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// Why what a user opened is no volume.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// No file at all.
    #[error("there is no file to read")]
    NoFiles,
    /// Nothing that is known.
    #[error(
        "this is not a NIfTI, NRRD or DICOM file; open a .nii, .nii.gz or .nrrd file, a DICOM folder, or a .zip of one"
    )]
    Unknown,
    /// More than one image in files of their own.
    #[error("{0} images were given; open one at a time")]
    SeveralImages(usize),
    /// Labels from DICOM.
    #[error("a label map is read from NIfTI or NRRD, and these are DICOM files; convert the segmentation first")]
    LabelsInDicom,
    /// NIfTI.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// NRRD.
    #[error(transparent)]
    Nrrd(#[from] NrrdError),
    /// A zip archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// DICOM.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// The grid.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// What the given files are together.
enum Opened {
    Nifti(Vec<u8>),
    NiftiPair { header: Vec<u8>, image: Vec<u8> },
    Nrrd(Vec<u8>),
    NrrdDetached { header: Vec<u8>, data: Vec<u8> },
    Dicom(Vec<(String, Vec<u8>)>),
}

/// The given files with the archives among them unpacked, once.
fn unpack(files: Vec<(String, Vec<u8>)>) -> Result<Vec<(String, Vec<u8>)>, FormatError> {
    let mut unpacked = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        if sniff(&bytes) == Some(Format::Zip) {
            unpacked.extend(archive::unzip(&bytes, MAX_UNPACKED)?);
        } else {
            unpacked.push((name, bytes));
        }
    }
    Ok(unpacked)
}

/// Sorts files by their content. A folder may hold anything beside its DICOM files, and the DICOM reader tells which
/// of them it left out; every other format is one file, or a header with its data.
fn classify(files: Vec<(String, Vec<u8>)>) -> Result<Opened, FormatError> {
    let mut files = unpack(files)?;
    let formats: Vec<Option<Format>> = files.iter().map(|(_, bytes)| sniff(bytes)).collect();
    // Raw voxels have no mark of their own, and their first ones may look like a DICOM file without mark; a file that
    // is an image by itself is never taken for them.
    let header = formats.iter().position(|f| matches!(f, Some(Format::NiftiPairHeader | Format::NrrdHeader)));
    let is_raw = |n: usize| match (formats.get(n), files.get(n)) {
        (Some(None), _) => true,
        (Some(Some(Format::DicomFile)), Some((_, bytes))) => !has_dicom_mark(bytes),
        _ => false,
    };
    if let Some(at) = header
        && files.len() == 2
        && is_raw(1 - at)
    {
        let is_nifti = formats.get(at) == Some(&Some(Format::NiftiPairHeader));
        let (_, header) = files.swap_remove(at);
        let Some((_, other)) = files.pop() else { return Err(FormatError::NoFiles) };
        return Ok(if is_nifti {
            Opened::NiftiPair { header, image: other }
        } else {
            Opened::NrrdDetached { header, data: other }
        });
    }
    if formats.contains(&Some(Format::DicomFile)) {
        return Ok(Opened::Dicom(files));
    }
    if files.is_empty() {
        return Err(FormatError::NoFiles);
    }
    // Notes, previews and the like beside the one image do no harm.
    let mut images: Vec<(Format, Vec<u8>)> = formats
        .into_iter()
        .zip(files)
        .filter_map(|(format, (_, bytes))| Some((format.filter(|&f| f != Format::Zip)?, bytes)))
        .collect();
    match (images.pop(), images.len()) {
        (None, _) => Err(FormatError::Unknown),
        (Some((Format::Nrrd | Format::NrrdHeader, bytes)), 0) => Ok(Opened::Nrrd(bytes)),
        (Some((_, bytes)), 0) => Ok(Opened::Nifti(bytes)),
        (Some(_), others) => Err(FormatError::SeveralImages(others + 1)),
    }
}

/// Reads what a NIfTI or NRRD file, or the header file of a pair, says about its image, without decoding voxels. `None`
/// for DICOM files and archives, where one file says too little.
///
/// # Errors
/// [`FormatError::Unknown`], or what the reader of the format finds wrong with the header.
pub fn read_header(bytes: &[u8], options: &ReadOptions) -> Result<Option<ImageHeader>, FormatError> {
    Ok(match sniff(bytes).ok_or(FormatError::Unknown)? {
        Format::Nifti | Format::NiftiPairHeader => Some(nifti::read_header(bytes, options)?),
        Format::Nrrd | Format::NrrdHeader => Some(nrrd::read_header(bytes, options)?),
        Format::DicomFile | Format::Zip => None,
    })
}

/// Reads a CT from what a user opened: one NIfTI or NRRD file, a header with its data file, the DICOM files of a study
/// (the largest CT series is read), or a zip of one of these. Each file is a name, for messages, and its bytes.
///
/// # Errors
/// [`FormatError`]: unknown content, several images, or whatever the reader of the format refuses.
pub fn read_ct(files: Vec<(String, Vec<u8>)>) -> Result<CtVolume, FormatError> {
    Ok(read_ct_and_series(files)?.0)
}

/// As [`read_ct`], with the DICOM series that the CT is, if it is one: what structure sets and segmentations refer to.
///
/// # Errors
/// As [`read_ct`].
pub fn read_ct_and_series(files: Vec<(String, Vec<u8>)>) -> Result<(CtVolume, Option<SeriesInfo>), FormatError> {
    let options = ReadOptions::default();
    let ct = match classify(files)? {
        Opened::Nifti(bytes) => nifti::read_ct(&bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_ct(&header, &image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_ct(&bytes, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_detached_ct(&header, &data, &options)?,
        Opened::Dicom(files) => {
            let (ct, series, _) = dicom::read_series(files, SeriesChoice::default())?;
            return Ok((ct, Some(series)));
        }
    };
    Ok((ct, None))
}

/// Reads a label map from what a user opened: one NIfTI or NRRD file, a header with its data file, or a zip of one of
/// these.
///
/// # Errors
/// As [`read_ct`]; voxels that are no labels; DICOM.
pub fn read_labels(files: Vec<(String, Vec<u8>)>) -> Result<LabelVolume, FormatError> {
    let options = ReadOptions::default();
    Ok(match classify(files)? {
        Opened::Nifti(bytes) => nifti::read_labels(&bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_labels(&header, &image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_labels(&bytes, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_detached_labels(&header, &data, &options)?,
        Opened::Dicom(_) => return Err(FormatError::LabelsInDicom),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::formats::analytic::damaged_versions;
    use crate::volume::{Geometry, Modality, Volume};

    fn data(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn named(blobs: Vec<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
        blobs.into_iter().enumerate().map(|(n, bytes)| (format!("download ({n})"), bytes)).collect()
    }

    fn zipped(files: &[&[u8]]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (n, bytes) in files.iter().enumerate() {
            archive.start_file(format!("study/{n}"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn formats_are_told_by_content_alone() {
        assert_eq!(sniff(&data("nifti/minimal.nii.gz")), Some(Format::Nifti));
        assert_eq!(sniff(&data("nifti/datatypes/int8.nii")), Some(Format::Nifti));
        assert_eq!(sniff(&data("nifti/minimal.hdr.gz")), Some(Format::NiftiPairHeader));
        assert_eq!(sniff(b"NRRD0005\ntype: short\n\n"), Some(Format::Nrrd));
        assert_eq!(sniff(b"NRRD0005\ntype: short\ndata file: a.raw\n\n"), Some(Format::NrrdHeader));
        assert_eq!(sniff(&[&[0; 128], b"DICM".as_slice()].concat()), Some(Format::DicomFile));
        assert_eq!(sniff(b"PK\x03\x04rest"), Some(Format::Zip));
        assert_eq!(sniff(&data("nifti/minimal.img.gz")), None);
        assert_eq!(sniff(b""), None);
        for damaged in damaged_versions(&data("nifti/minimal.nii.gz"), 500) {
            let _ = sniff(&damaged);
        }
    }

    #[test]
    fn one_image_in_any_format_is_read_whatever_its_name() {
        let grid = Geometry::axial([4, 3, 2], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]).unwrap();
        let ct = Volume::from_stored(grid, (0..24i16).collect(), Modality::Unknown).unwrap();
        let labels = ct.with_voxels((0..24u8).collect());
        let nifti = nifti::write_ct(&ct, "").unwrap();
        let nrrd = nrrd::write_ct(&ct, "").unwrap();
        assert_eq!(read_ct(named(vec![nifti.clone()])).unwrap(), ct);
        assert_eq!(read_ct(named(vec![nrrd.clone()])).unwrap(), ct);
        assert_eq!(read_labels(named(vec![nifti::write_labels(&labels, "").unwrap()])).unwrap(), labels);
        assert_eq!(read_labels(named(vec![nrrd::write_labels(&labels, "").unwrap()])).unwrap(), labels);
        assert_eq!(read_ct(named(vec![b"read me".to_vec(), nrrd.clone()])).unwrap(), ct);
        for file in [&nifti, &nrrd] {
            let header = read_header(file, &ReadOptions::default()).unwrap().unwrap();
            assert_eq!((header.voxel_count(), header.geometry), (24, Ok(ct.stored.clone())));
        }
        assert_eq!(read_ct(named(vec![zipped(&[&nifti, b"read me"])])).unwrap(), ct);
        assert!(matches!(read_ct(named(vec![zipped(&[&nifti, &nrrd])])), Err(FormatError::SeveralImages(2))));
        assert!(matches!(read_ct(named(vec![nifti, nrrd])), Err(FormatError::SeveralImages(2))));
    }

    #[test]
    fn a_header_finds_its_data_in_either_order() {
        let (header, image) = (data("nifti/minimal.hdr.gz"), data("nifti/minimal.img.gz"));
        for files in [vec![header.clone(), image.clone()], vec![image, header.clone()]] {
            // The pair has no orientation: that it is asked for shows that both were taken.
            assert!(matches!(read_labels(named(files)), Err(FormatError::Nifti(NiftiError::NoOrientation))));
        }
        assert!(matches!(read_ct(named(vec![header.clone()])), Err(FormatError::Nifti(NiftiError::ImageMissing))));
        let complete = data("nifti/minimal.nii.gz");
        assert!(matches!(read_ct(named(vec![header, complete])), Err(FormatError::SeveralImages(2))));
        let header =
            b"NRRD0005\ntype: uint8\ndimension: 3\nsizes: 2 1 1\nencoding: raw\ndata file: a.raw\nspace: LPS\n\
            space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n";
        let files = named(vec![vec![3, 4], header.to_vec()]);
        assert_eq!(read_labels(files).unwrap().voxels, [3, 4]);
        // These voxels look like the start of a DICOM file without a mark.
        let tricky = vec![8, 0, 0, 0, 4, 0, 0, 0, 1, 1, 1, 1];
        assert_eq!(sniff(&tricky), Some(Format::DicomFile));
        let files = named(vec![tricky, header.to_vec()]);
        assert_eq!(read_labels(files).unwrap().voxels, [8, 0]);
        assert!(matches!(read_ct(named(vec![header.to_vec()])), Err(FormatError::Nrrd(NrrdError::DataMissing(_)))));
    }

    #[test]
    fn what_is_nothing_known_is_said_to_be_so() {
        assert!(matches!(read_ct(Vec::new()), Err(FormatError::NoFiles)));
        for files in [vec![vec![]], vec![b"<html>".to_vec()], vec![vec![1; 500], vec![2; 500]]] {
            assert!(matches!(read_ct(named(files)), Err(FormatError::Unknown)));
        }
        let dicom = [&[0; 128], b"DICM".as_slice()].concat();
        assert!(matches!(read_labels(named(vec![dicom])), Err(FormatError::LabelsInDicom)));
    }
}
