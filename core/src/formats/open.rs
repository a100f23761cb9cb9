//! What a user drops on the program: one or more named blobs of bytes, and out comes a volume.
//!
//! Names are only for people: what a file is, its content tells. Downloads lose suffixes, and a DICOM file often has
//! none.

use super::archive::{self, ArchiveError};
use super::dicom::{self, DicomError, SeriesChoice, SeriesInfo, SeriesRequest};
use super::image_header::{Format, ImageHeader, ReadOptions};
use super::label_names::{self, LabelError, LabelNames};
use super::nifti::{self, NiftiError};
use super::nrrd::{self, NrrdError};
use super::rtstruct::StructureSetError;
use super::seg::DicomSegmentationError;
use super::source::{Source, is_gzip, read_up_to};
use super::structures::Structures;
use super::undecided::CtOrLabels;
use crate::volume::{CtVolume, GeometryError, LabelVolume};

/// The most bytes that an archive may unpack to: a large CT and what lies beside it, in the memory of a browser tab.
pub const MAX_UNPACKED: u64 = 2 << 30;

/// How this program describes label maps that it writes.
pub(super) const OURS: &str = "AttentionAnatomy";

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
    /// An archive within an archive.
    #[error("{0} is a zip archive within the archive; unpack it and open the folder that comes out")]
    ZipInZip(String),
    /// A file that was gzipped twice.
    #[error("{0} is gzipped twice; unpack it once and open what comes out")]
    GzippedTwice(String),
    /// More than one image in files of their own.
    #[error("{0} images were given; open one at a time")]
    SeveralImages(usize),
    /// A series of what has none.
    #[error("a series was asked for, but these are no DICOM files; leave it out")]
    NoSeries,
    /// Labels that are not those of organs.
    #[error(transparent)]
    LabelNames(#[from] LabelError),
    /// DICOM files of other kinds.
    #[error(
        "these DICOM files hold neither a structure set (RTSTRUCT) nor a segmentation (SEG); choose the file that does"
    )]
    NoStructures,
    /// Several of them.
    #[error("these are {0} structure sets or segmentations; open one at a time")]
    SeveralStructureSets(usize),
    /// Contours without voxels to be drawn on.
    #[error("a structure set holds contours, not voxels; give the CT series that it was drawn on, too")]
    NeedsReference,
    /// An RT Structure Set.
    #[error(transparent)]
    StructureSet(#[from] StructureSetError),
    /// A DICOM Segmentation.
    #[error(transparent)]
    Segmentation(#[from] DicomSegmentationError),
    /// A NIfTI file cannot be read.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// An NRRD file cannot be read.
    #[error(transparent)]
    Nrrd(#[from] NrrdError),
    /// A zip archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A DICOM series cannot be read.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// The grid of an image cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// What the given files are together.
pub(super) enum Opened {
    Nifti(Vec<u8>),
    NiftiPair { header: Vec<u8>, image: Vec<u8> },
    Nrrd(Vec<u8>),
    NrrdDetached { header: Vec<u8>, data: Vec<u8> },
    Dicom(Vec<Named>),
}

impl Opened {
    /// The file with the header.
    fn header(&self) -> Option<&[u8]> {
        match self {
            Self::Nifti(bytes) | Self::Nrrd(bytes) => Some(bytes),
            Self::NiftiPair { header, .. } | Self::NrrdDetached { header, .. } => Some(header),
            Self::Dicom(_) => None,
        }
    }
}

/// A file: its name, for messages, and its bytes.
type Named = (String, Vec<u8>);

/// The given files with the archives among them unpacked, once.
fn unpack(files: Vec<Named>) -> Result<Vec<Named>, FormatError> {
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

/// What is wrong with a file that is an archive in an archive; `None` for any other.
pub fn packed_twice(name: &str, bytes: &[u8]) -> Option<FormatError> {
    if archive::is_zip(bytes) {
        return Some(FormatError::ZipInZip(name.into()));
    }
    let mut head = [0; 2];
    let inside = is_gzip(bytes) && read_up_to(&mut Source::open(bytes), &mut head).is_ok_and(|_| is_gzip(&head));
    inside.then(|| FormatError::GzippedTwice(name.into()))
}

/// Sorts files by their content: the image, and what lies beside it. A folder may hold anything beside its DICOM files, and the
/// DICOM reader tells which of them it left out; every other format is one file, or a header with its data.
pub(super) fn classify(files: Vec<Named>) -> Result<(Opened, Vec<Named>), FormatError> {
    let mut files = unpack(files)?;
    let formats: Vec<Option<Format>> = files.iter().map(|(_, bytes)| sniff(bytes)).collect();
    let header = formats.iter().position(|f| matches!(f, Some(Format::NiftiPairHeader | Format::NrrdHeader)));
    if let Some(at) = header
        && let Some(data) = data_of(&files, &formats, at)
    {
        let is_nifti = formats.get(at) == Some(&Some(Format::NiftiPairHeader));
        // The later one first, so that the other keeps its place.
        let (late, early) = (files.swap_remove(at.max(data)).1, files.swap_remove(at.min(data)).1);
        let (header, other) = if at > data { (late, early) } else { (early, late) };
        let opened = if is_nifti {
            Opened::NiftiPair { header, image: other }
        } else {
            Opened::NrrdDetached { header, data: other }
        };
        return Ok((opened, files));
    }
    if formats.contains(&Some(Format::DicomFile)) {
        return Ok((Opened::Dicom(files), Vec::new()));
    }
    if files.is_empty() {
        return Err(FormatError::NoFiles);
    }
    // Notes, previews and the like beside the one image do no harm.
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for (format, file) in formats.into_iter().zip(files) {
        match format.filter(|&f| f != Format::Zip) {
            Some(format) => images.push((format, file.1)),
            None => others.push(file),
        }
    }
    let opened = match (images.pop(), images.len()) {
        (None, _) => {
            let twice = others.iter().find_map(|(name, bytes)| packed_twice(name, bytes));
            return Err(twice.unwrap_or(FormatError::Unknown));
        }
        (Some((Format::Nrrd | Format::NrrdHeader, bytes)), 0) => Opened::Nrrd(bytes),
        (Some((_, bytes)), 0) => Opened::Nifti(bytes),
        (Some(_), others) => return Err(FormatError::SeveralImages(others + 1)),
    };
    Ok((opened, others))
}

/// Which file has the data of the header `at`: the one that the header names, or the only one that can.
///
/// Raw voxels have no mark of their own, and their first ones may look like a DICOM file without mark; a file that is an
/// image by itself is never taken for them.
fn data_of(files: &[Named], formats: &[Option<Format>], at: usize) -> Option<usize> {
    let is_raw = |n: usize| match (formats.get(n), files.get(n)) {
        (Some(None), _) => true,
        (Some(Some(Format::DicomFile)), Some((_, bytes))) => !has_dicom_mark(bytes),
        _ => false,
    };
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
    let named = files.get(at).and_then(|(_, bytes)| nrrd::data_file(bytes)).map(|name| last(&name));
    let raw: Vec<usize> = (0..files.len()).filter(|&n| n != at && is_raw(n)).collect();
    if let Some(&found) = raw.iter().find(|&&n| files.get(n).is_some_and(|(name, _)| Some(last(name)) == named)) {
        return Some(found);
    }
    let mut data = raw.into_iter().filter(|&n| files.get(n).is_some_and(|(_, b)| LabelNames::parse(b).is_none()));
    let found = data.next()?;
    // With other images or further files beside it, nobody can tell.
    let alone = data.next().is_none() && formats.iter().enumerate().all(|(n, f)| n == at || n == found || f.is_none());
    alone.then_some(found)
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
/// (the series that suits best is read), or a zip of one of these. Each file is a name, for messages, and its bytes.
///
/// # Errors
/// [`FormatError`]: unknown content, several images, or whatever the reader of the format refuses.
pub fn read_ct(files: Vec<(String, Vec<u8>)>) -> Result<CtVolume, FormatError> {
    Ok(read_ct_and_series(files, SeriesChoice::default())?.0)
}

/// As [`read_ct`], with the DICOM series that the CT is, if it is one: what structure sets and segmentations refer to. `request`
/// says which of several series is read, and what may be mended of it.
///
/// # Errors
/// As [`read_ct`]; a choice where there are no series.
pub fn read_ct_and_series(
    files: Vec<(String, Vec<u8>)>,
    request: impl Into<SeriesRequest>,
) -> Result<(CtVolume, Option<SeriesInfo>), FormatError> {
    let request = request.into();
    let options = ReadOptions::default();
    let (opened, _) = classify(files)?;
    if !matches!(opened, Opened::Dicom(_)) && request.choice != SeriesChoice::Best {
        return Err(FormatError::NoSeries);
    }
    let ct = match opened {
        Opened::Nifti(bytes) => nifti::read_ct(&bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_ct(&header, &image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_ct(&bytes, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_detached_ct(&header, &data, &options)?,
        Opened::Dicom(files) => {
            let (ct, series, _) = dicom::read_series(files, request)?;
            return Ok((ct, Some(series)));
        }
    };
    Ok((ct, None))
}

/// The label map in what a user opened, with the numbers that it has.
pub(super) fn numbers_of(opened: &Opened) -> Result<LabelVolume, FormatError> {
    let options = ReadOptions::default();
    Ok(match opened {
        Opened::Nifti(bytes) => nifti::read_labels(bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_labels(header, image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_labels(bytes, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_detached_labels(header, data, &options)?,
        Opened::Dicom(_) => return Err(FormatError::NoStructures),
    })
}

/// The organs of a label map, with what lies beside it: see [`read_organs`](super::read_organs).
pub(super) fn organs_of(opened: &Opened, beside: &[Named]) -> Result<LabelVolume, FormatError> {
    if let Some(organs) = segments_of(opened)? {
        return Ok(organs);
    }
    let names = opened.header().and_then(nifti::read_label_names);
    named_organs(numbers_of(opened)?, names, opened, beside)
}

/// Reads a CT or the organs of a label map, whichever it is that a user opened. The voxels are unpacked once. A file that names
/// segments or labels is a label map, and so is one with no other numbers than those of organs; whatever else is a CT.
///
/// # Errors
/// As [`read_ct`] and [`read_organs`](super::read_organs).
pub fn read_ct_or_organs(files: Vec<(String, Vec<u8>)>) -> Result<CtOrLabels, FormatError> {
    match classify(files)? {
        (Opened::Dicom(files), _) => Ok(CtOrLabels::Ct(dicom::read_series(files, SeriesChoice::default())?.0)),
        (opened, beside) => ct_or_organs(opened, &beside),
    }
}

/// As [`read_ct_or_organs`], of what is no DICOM; `beside` is what lies beside it.
pub(super) fn ct_or_organs(opened: Opened, beside: &[Named]) -> Result<CtOrLabels, FormatError> {
    let options = ReadOptions::default();
    if let Some(organs) = segments_of(&opened)? {
        return Ok(CtOrLabels::Labels(organs));
    }
    let names = opened.header().and_then(nifti::read_label_names);
    if names.is_some() {
        return Ok(CtOrLabels::Labels(named_organs(numbers_of(&opened)?, names, &opened, beside)?));
    }
    let image = match &opened {
        Opened::Nifti(bytes) => nifti::read_undecided(bytes, &options)?,
        Opened::NiftiPair { header, image } => nifti::read_pair_undecided(header, image, &options)?,
        Opened::Nrrd(bytes) => nrrd::read_undecided(bytes, None, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_undecided(header, Some(data), &options)?,
        Opened::Dicom(_) => return Err(FormatError::NoStructures),
    };
    Ok(match image {
        CtOrLabels::Labels(labels) => CtOrLabels::Labels(named_organs(labels, None, &opened, beside)?),
        ct => ct,
    })
}

/// The organs of a segmentation of 3D Slicer; `None` for anything else.
fn segments_of(opened: &Opened) -> Result<Option<LabelVolume>, FormatError> {
    let options = ReadOptions::default();
    let segmentation = match opened {
        Opened::Nrrd(bytes) => nrrd::read_segmentation(bytes, None, &options)?,
        Opened::NrrdDetached { header, data } => nrrd::read_segmentation(header, Some(data), &options)?,
        _ => None,
    };
    Ok(segmentation.map(|segmentation| segmentation.organs()).transpose()?)
}

/// The structures of a label map within which names stand of which none is an organ's; `None` for any other.
pub(super) fn named_others(opened: &Opened) -> Option<Structures> {
    let names = opened.header().and_then(nifti::read_label_names)?;
    let called = |number: u8| names.name(number).map_or_else(|| format!("Label {number}"), str::to_owned);
    Some(Structures::called(numbers_of(opened).ok()?, false, called))
}

/// Label numbers as organs: by `names`, by a table beside the file, or as they are.
fn named_organs(
    labels: LabelVolume,
    names: Option<LabelNames>,
    opened: &Opened,
    beside: &[Named],
) -> Result<LabelVolume, FormatError> {
    let names = names.or_else(|| beside.iter().find_map(|(_, bytes)| LabelNames::parse(bytes)));
    if let Some(names) = names {
        return Ok(names.apply(labels)?);
    }
    let described = opened.header().and_then(|bytes| read_header(bytes, &ReadOptions::default()).ok().flatten());
    let ours = described.is_some_and(|header| header.description.contains(OURS));
    Ok(label_names::by_number(labels, ours)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{read_labels, read_organs};
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
    fn what_is_a_ct_and_what_a_label_map_is_told_in_one_reading() {
        let grid = Geometry::axial([4, 3, 2], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]).unwrap();
        let ct = Volume::from_stored(grid, (0..24i16).map(|n| 40 * n).collect(), Modality::Unknown).unwrap();
        let wide = ct.with_voxels((0..24i16).collect());
        let labels = ct.with_voxels((0..24u8).collect());
        for write in [|ct: &CtVolume| nifti::write_ct(ct, "").unwrap(), |ct: &CtVolume| nrrd::write_ct(ct, "").unwrap()]
        {
            assert_eq!(read_ct_or_organs(named(vec![write(&ct)])).unwrap(), CtOrLabels::Ct(ct.clone()));
            // Labels in 16 bits, with the warning of a map that nothing names, as `read_organs` gives them.
            let organs = read_organs(named(vec![write(&wide)])).unwrap();
            assert_eq!((&organs.voxels, organs.warnings.len()), (&labels.voxels, 1));
            assert_eq!(read_ct_or_organs(named(vec![write(&wide)])).unwrap(), CtOrLabels::Labels(organs));
            // A table beside it says what its numbers mean.
            let table = b"{\"labels\": {\"liver\": 1}}".to_vec();
            let organs = read_organs(named(vec![write(&wide), table.clone()])).unwrap();
            assert_eq!(organs.voxels.iter().filter(|&&v| v > 0).count(), 1);
            assert_eq!(read_ct_or_organs(named(vec![write(&wide), table])).unwrap(), CtOrLabels::Labels(organs));
        }
        // Numbers in 16 bits that no organ has here: named, they are labels all the same.
        let segments =
            b"NRRD0005\ntype: int16\ndimension: 3\nsizes: 2 1 1\nencoding: raw\nendian: little\nspace: LPS\n\
            space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nSegment0_Name:=liver\n\
            Segment0_LabelValue:=117\n\n\x75\x00\x00\x00";
        let CtOrLabels::Labels(found) = read_ct_or_organs(named(vec![segments.to_vec()])).unwrap() else {
            panic!("a segmentation was read as a CT")
        };
        assert_eq!(found.voxels, [crate::anatomy::Organ::Liver.label(), 0]);
        let series = read_ct_or_organs(named(vec![data("ct-dicom-jpeg2000.zip")]));
        assert!(matches!(series, Ok(CtOrLabels::Ct(_))), "{series:?}");
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
        assert!(matches!(read_labels(named(vec![dicom])), Err(FormatError::NoStructures)));
    }
}
