//! Voxels in.

use super::NrrdError;
use super::header::{Packing, Parsed, parse};
use super::segments::{self, SlicerSegmentation};
use crate::formats::samples::{Converter, SampleError, ToHu, ToLabel, ToNearest, damaged, decode, decode_text};
use crate::formats::source::Source;
use crate::formats::undecided::{CtOrLabels, Undecided};
use crate::formats::{ImageHeader, ReadOptions};
use crate::volume::{CtVolume, LabelVolume, Modality, Volume, Voxel};

/// Reads what the header (`.nrrd` or `.nhdr`) says about its image, without decoding voxels.
///
/// # Errors
/// [`NrrdError`], if the header is none, or not of one volume of numbers. An unusable orientation is no error here;
/// [`ImageHeader::geometry`] says why it is unusable.
pub fn read_header(bytes: &[u8], options: &ReadOptions) -> Result<ImageHeader, NrrdError> {
    let parsed = parse(bytes)?;
    // The layers of a segmentation are one label map.
    let is_segmentation = !segments::segments(parsed.keys(), 1).is_empty();
    Ok(if is_segmentation { parsed } else { parsed.single()? }.describe(options))
}

/// Reads a CT (`.nrrd`) as HU: rounded, clipped to the range of `i16`, NaN as -1024, with a warning for what was
/// clipped or NaN.
///
/// # Errors
/// [`NrrdError`], one for each way in which a file can be unusable.
pub fn read_ct(bytes: &[u8], options: &ReadOptions) -> Result<CtVolume, NrrdError> {
    voxels(bytes, None, options, ToHu::default())
}

/// Reads a label map (`.nrrd`), whose voxels must all be whole numbers from 0 to 255.
///
/// # Errors
/// As [`read_ct`], and what is no label.
pub fn read_labels(bytes: &[u8], options: &ReadOptions) -> Result<LabelVolume, NrrdError> {
    voxels(bytes, None, options, ToLabel)
}

/// Reads any image (`.nrrd`), each value rounded to the nearest one of `T`.
///
/// # Errors
/// As [`read_ct`], and a value out of the range of `T`.
pub fn read<T: Voxel>(bytes: &[u8], options: &ReadOptions) -> Result<Volume<T>, NrrdError> {
    voxels(bytes, None, options, ToNearest::default())
}

/// [`read_ct`] for a header (`.nhdr`) and the file that has its data.
///
/// # Errors
/// As [`read_ct`].
pub fn read_detached_ct(header: &[u8], data: &[u8], options: &ReadOptions) -> Result<CtVolume, NrrdError> {
    voxels(header, Some(data), options, ToHu::default())
}

/// [`read_labels`] for a header (`.nhdr`) and the file that has its data.
///
/// # Errors
/// As [`read_labels`].
pub fn read_detached_labels(header: &[u8], data: &[u8], options: &ReadOptions) -> Result<LabelVolume, NrrdError> {
    voxels(header, Some(data), options, ToLabel)
}

/// Reads a CT or a label map (`.nrrd`, or a header and the file that has its data), whichever its voxels are.
///
/// # Errors
/// As [`read_ct`], and a label map with a value between two labels.
pub(in crate::formats) fn read_undecided(
    header: &[u8],
    data: Option<&[u8]>,
    options: &ReadOptions,
) -> Result<CtOrLabels, NrrdError> {
    let parsed = parse(header)?.single()?;
    let data = data_of(&parsed, header, data)?;
    let (geometry, warnings) = parsed.geometry(options)?;
    geometry.canonical_axes()?;
    let mut voxels = Undecided::new(geometry.voxel_count());
    unpack(data, geometry.voxel_count(), &parsed, &mut voxels)?;
    voxels.finish(geometry, warnings)
}

fn voxels<C: Converter>(
    header: &[u8],
    data: Option<&[u8]>,
    options: &ReadOptions,
    mut converter: C,
) -> Result<Volume<C::Voxel>, NrrdError>
where
    C::Voxel: Copy,
{
    let parsed = parse(header)?.single()?;
    let data = data_of(&parsed, header, data)?;
    let (geometry, mut warnings) = parsed.geometry(options)?;
    // Before the long work, not after it.
    geometry.canonical_axes()?;
    let voxels = unpack(data, geometry.voxel_count(), &parsed, &mut converter)?;
    let mut volume = Volume::from_stored(geometry, voxels, Modality::Unknown)?;
    warnings.append(&mut volume.warnings);
    warnings.extend(converter.warnings());
    volume.warnings = warnings;
    Ok(volume)
}

/// Where the numbers are: behind the header or in a file of their own.
fn data_of<'a>(parsed: &Parsed, header: &'a [u8], data: Option<&'a [u8]>) -> Result<&'a [u8], NrrdError> {
    match (&parsed.data_file, data) {
        (None, None) => Ok(header.get(parsed.end..).unwrap_or_default()),
        (Some(_), Some(data)) => Ok(data),
        (Some(name), None) => Err(NrrdError::DataMissing(name.clone())),
        (None, Some(_)) => Err(NrrdError::NotDetached),
    }
}

/// Reads a segmentation of 3D Slicer: a header that names its segments, and the file that has its data where the header says
/// so. `None` where the header names no segments.
///
/// # Errors
/// As [`read_labels`]; shares in the place of labels.
pub fn read_segmentation(
    header: &[u8],
    data: Option<&[u8]>,
    options: &ReadOptions,
) -> Result<Option<SlicerSegmentation>, NrrdError> {
    let parsed = parse(header)?;
    let (count, between) = parsed.layers()?;
    let segments = segments::segments(parsed.keys(), count);
    if segments.is_empty() {
        return Ok(None);
    }
    if segments::is_fractional(parsed.keys()) {
        return Err(NrrdError::Fractional);
    }
    let data = data_of(&parsed, header, data)?;
    let (geometry, warnings) = parsed.geometry(options)?;
    geometry.canonical_axes()?;
    let voxels = geometry.voxel_count();
    let all = voxels.checked_mul(count).ok_or(SampleError::Memory(usize::MAX))?;
    let numbers = unpack(data, all, &parsed, &mut ToLabel)?;
    let layer = |n: usize| {
        let number = |v: usize| match between {
            0 => v,
            between => v / between * between * count + n * between + v % between,
        };
        let layer: Vec<u8> = (0..voxels).map(|v| numbers.get(number(v)).copied().unwrap_or(0)).collect();
        let mut volume = Volume::from_stored(geometry.clone(), layer, Modality::Unknown)?;
        volume.warnings.splice(0..0, warnings.clone());
        Ok(volume)
    };
    let layers = (0..count).map(layer).collect::<Result<_, NrrdError>>()?;
    Ok(Some(SlicerSegmentation { layers, segments }))
}

fn unpack<C: Converter>(
    mut data: &[u8],
    count: usize,
    parsed: &Parsed,
    converter: &mut C,
) -> Result<Vec<C::Voxel>, SampleError> {
    for _ in 0..parsed.line_skip {
        let Some(end) = data.iter().position(|&b| b == b'\n') else {
            data = &[];
            break;
        };
        data = data.get(end + 1..).unwrap_or_default();
    }
    let skip = parsed.byte_skip.unwrap_or_else(|| {
        let wanted = (count as u64).saturating_mul(parsed.encoding.sample.bytes() as u64);
        (data.len() as u64).saturating_sub(wanted)
    });
    let mut source = match parsed.packing {
        Packing::Gzip => Source::gzip(data),
        // Not `Source::open`: raw voxels may look like a gzip file.
        Packing::Raw => Source::plain(data),
        Packing::Text => {
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            return decode_text(data.get(skip..).unwrap_or_default(), count, converter);
        }
    };
    source.skip(skip).map_err(damaged)?;
    decode(&mut source, count, &parsed.encoding, converter)
}
