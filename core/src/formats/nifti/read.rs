//! Voxels in.

use std::io::Read;

use super::NiftiError;
use super::header::{Parsed, parse, peek, to_voxels};
use crate::formats::label_names::LabelNames;
use crate::formats::samples::{Converter, ToHu, ToLabel, ToNearest, damaged, decode};
use crate::formats::source::{Source, read_up_to};
use crate::formats::undecided::{CtOrLabels, Undecided};
use crate::formats::{ImageHeader, ReadOptions};
use crate::volume::{CtVolume, Geometry, LabelVolume, Modality, Volume, Voxel};

/// Names of labels are looked for in so many bytes behind the header.
const LONGEST_EXTENSION: u64 = 16 << 20;

/// Reads what a single file or the header of a pair says about its image, without decoding voxels.
///
/// # Errors
/// [`NiftiError`], if the header is none, or not of one volume of numbers. An unusable orientation is no error here;
/// [`ImageHeader::geometry`] says why it is unusable.
pub fn read_header(bytes: &[u8], options: &ReadOptions) -> Result<ImageHeader, NiftiError> {
    Ok(peek(bytes)?.describe(options))
}

/// The names that stand between the header of a single file and its voxels (a header extension), as TotalSegmentator writes
/// them; `None` where there are none.
pub fn read_label_names(bytes: &[u8]) -> Option<LabelNames> {
    LabelNames::find_xml(&extensions(bytes)?)
}

/// The text that stands between the header of a single file and its voxels after `start` and before `end`; `None` where there is
/// none.
pub(in crate::formats) fn read_note(bytes: &[u8], start: &str, end: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&extensions(bytes)?).into_owned();
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0.to_owned())
}

/// What lies between header and voxels.
fn extensions(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut source = Source::open(bytes);
    let parsed = parse(&mut source).ok()?;
    let between = parsed.offset.checked_sub(parsed.header.bytes as u64).filter(|_| !parsed.pair)?;
    let mut extensions = vec![0; usize::try_from(between.min(LONGEST_EXTENSION)).ok()?];
    let count = read_up_to(&mut source, &mut extensions).ok()?;
    extensions.truncate(count);
    Some(extensions)
}

/// Reads a CT (`.nii`, `.nii.gz`) as HU: rounded, clipped to the range of `i16`, NaN as -1024, with a warning for what
/// was clipped or NaN.
///
/// # Errors
/// [`NiftiError`], one for each way in which a file can be unusable.
pub fn read_ct(bytes: &[u8], options: &ReadOptions) -> Result<CtVolume, NiftiError> {
    single(bytes, options, ToHu::default())
}

/// Reads a label map (`.nii`, `.nii.gz`), whose voxels must all be whole numbers from 0 to 255.
///
/// # Errors
/// As [`read_ct`], and what is no label.
pub fn read_labels(bytes: &[u8], options: &ReadOptions) -> Result<LabelVolume, NiftiError> {
    single(bytes, options, ToLabel)
}

/// Reads any image (`.nii`, `.nii.gz`), each value rounded to the nearest one of `T`.
///
/// # Errors
/// As [`read_ct`], and a value out of the range of `T`.
pub fn read<T: Voxel>(bytes: &[u8], options: &ReadOptions) -> Result<Volume<T>, NiftiError> {
    single(bytes, options, ToNearest::default())
}

/// [`read_ct`] for a header and its image in two files, each gzipped or not.
///
/// # Errors
/// As [`read_ct`].
pub fn read_pair_ct(header: &[u8], image: &[u8], options: &ReadOptions) -> Result<CtVolume, NiftiError> {
    pair(header, image, options, ToHu::default())
}

/// [`read_labels`] for a header and its image in two files, each gzipped or not.
///
/// # Errors
/// As [`read_labels`].
pub fn read_pair_labels(header: &[u8], image: &[u8], options: &ReadOptions) -> Result<LabelVolume, NiftiError> {
    pair(header, image, options, ToLabel)
}

/// Reads a CT or a label map (`.nii`, `.nii.gz`), whichever its voxels are.
///
/// # Errors
/// As [`read_ct`], and a label map with a value between two labels.
pub(in crate::formats) fn read_undecided(bytes: &[u8], options: &ReadOptions) -> Result<CtOrLabels, NiftiError> {
    let (source, parsed) = open(Source::open(bytes))?;
    undecided(source, &parsed, options)
}

/// [`read_undecided`] of a reader that has so many bytes.
///
/// # Errors
/// As [`read_undecided`], and what the reader cannot give.
pub(in crate::formats) fn read_undecided_from(
    input: impl Read,
    bytes: u64,
    options: &ReadOptions,
) -> Result<CtOrLabels, NiftiError> {
    let (source, parsed) = open(Source::stream(input, bytes).map_err(damaged)?)?;
    undecided(source, &parsed, options)
}

/// [`read_undecided`] for a header and its image in two files, each gzipped or not.
///
/// # Errors
/// As [`read_undecided`].
pub(in crate::formats) fn read_pair_undecided(
    header: &[u8],
    image: &[u8],
    options: &ReadOptions,
) -> Result<CtOrLabels, NiftiError> {
    undecided(Source::open(image), &pair_header(header)?, options)
}

/// A single file, read to the end of its header.
fn open(mut source: Source<'_>) -> Result<(Source<'_>, Parsed), NiftiError> {
    let parsed = parse(&mut source)?;
    if parsed.pair {
        return Err(NiftiError::ImageMissing);
    }
    Ok((source, parsed))
}

fn pair_header(header: &[u8]) -> Result<Parsed, NiftiError> {
    let parsed = peek(header)?;
    if !parsed.pair {
        return Err(NiftiError::NotAPair);
    }
    Ok(parsed)
}

fn single<C: Converter>(bytes: &[u8], options: &ReadOptions, converter: C) -> Result<Volume<C::Voxel>, NiftiError>
where
    C::Voxel: Copy,
{
    Source::opened_ahead(bytes, |source| {
        let (source, parsed) = open(source)?;
        voxels(source, &parsed, options, converter)
    })
}

fn pair<C: Converter>(
    header: &[u8],
    image: &[u8],
    options: &ReadOptions,
    converter: C,
) -> Result<Volume<C::Voxel>, NiftiError>
where
    C::Voxel: Copy,
{
    voxels(Source::open(image), &pair_header(header)?, options, converter)
}

fn voxels<C: Converter>(
    mut source: Source<'_>,
    parsed: &Parsed,
    options: &ReadOptions,
    mut converter: C,
) -> Result<Volume<C::Voxel>, NiftiError>
where
    C::Voxel: Copy,
{
    let (geometry, mut warnings) = to_grid(&mut source, parsed, options)?;
    let voxels = decode(&mut source, geometry.voxel_count(), &parsed.encoding, &mut converter)?;
    let mut volume = Volume::from_stored(geometry, voxels, Modality::Unknown)?;
    warnings.append(&mut volume.warnings);
    warnings.extend(converter.warnings());
    volume.warnings = warnings;
    Ok(volume)
}

fn undecided(mut source: Source<'_>, parsed: &Parsed, options: &ReadOptions) -> Result<CtOrLabels, NiftiError> {
    let (geometry, warnings) = to_grid(&mut source, parsed, options)?;
    let mut voxels = Undecided::new(geometry.voxel_count());
    decode(&mut source, geometry.voxel_count(), &parsed.encoding, &mut voxels)?;
    voxels.finish(geometry, warnings)
}

/// The grid, with the source where its voxels begin.
fn to_grid(
    source: &mut Source<'_>,
    parsed: &Parsed,
    options: &ReadOptions,
) -> Result<(Geometry, Vec<String>), NiftiError> {
    let (geometry, warnings) = parsed.geometry(options)?;
    // Before the long work, not after it.
    geometry.canonical_axes()?;
    to_voxels(source, parsed)?;
    Ok((geometry, warnings))
}
