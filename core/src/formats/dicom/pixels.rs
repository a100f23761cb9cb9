//! One frame of stored pixels to HU (or to the values of another modality) in `i16`.
//!
//! Native pixels are read here. Compressed ones go to the codecs of `dicom-pixeldata`, wrapped in an object that has only
//! the image pixel module, or to `jpeg2000`, `jpeg_ls` and `jpeg12`, after `codestream` has compared the stream's own header with the
//! file's.

use dicom_core::smallvec::SmallVec;
use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_pixeldata::PixelDecoder;
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

use super::codestream;
use super::dataset::{DataSet, PixelBytes};
use super::error::DicomError;
use super::header::{Frame, Header};
use super::pixel_format::PixelFormat;
use super::walk::contain;
use super::{jpeg_ls, jpeg12, jpeg2000};

/// A contained panic of a codec, as a reason.
const PANIC: &str = "the decoder failed on them";
/// Padding outside the field of view of a CT becomes air.
const PADDING_HU: i16 = -1000;

/// Refuses, before anything is decoded, what cannot be: syntax, sample format, missing scale, too few bytes.
pub(super) fn check(header: &Header, file: &str) -> Result<(), DicomError> {
    let syntax = header.syntax.as_str();
    header.format.check(file)?;
    let missing = |attribute| DicomError::MissingAttribute { file: file.to_owned(), attribute };
    if header.modality == "CT" {
        for frame in &header.frames {
            frame.slope.filter(|&s| s != 0.0).ok_or_else(|| missing("RescaleSlope (0028,1053)"))?;
            frame.intercept.ok_or_else(|| missing("RescaleIntercept (0028,1052)"))?;
        }
    }
    let decode = |reason: String| DicomError::Decode { file: file.to_owned(), reason };
    let voxels = header.columns.saturating_mul(header.rows);
    match &header.pixels {
        None => Err(DicomError::MissingPixelData { file: file.to_owned() }),
        Some(PixelBytes::Truncated) => Err(decode("the file ends before they do".into())),
        Some(PixelBytes::Native(range)) => {
            let bytes = header.format.bits_allocated as usize / 8;
            let need = voxels.saturating_mul(header.frames.len()).saturating_mul(bytes);
            if range.len() < need {
                return Err(decode(format!("{need} bytes are needed and {} are there", range.len())));
            }
            if is_native(syntax) { Ok(()) } else { Err(decode("they are not compressed as the file says".into())) }
        }
        Some(PixelBytes::Encapsulated { fragments, .. }) => {
            if is_native(syntax) {
                return Err(decode("they are compressed and the file says they are not".into()));
            }
            if !decodable(syntax) {
                return Err(unsupported(syntax, file));
            }
            // No codec packs a slice of a body tighter than this; what claims to is asking for memory.
            let bytes: usize = fragments.iter().map(|f| f.len()).sum();
            if voxels.saturating_mul(header.frames.len()) > bytes.saturating_mul(4096) {
                return Err(decode(format!("{bytes} bytes cannot hold {} x {} pixels", header.columns, header.rows)));
            }
            Ok(())
        }
    }
}

fn is_native(syntax: &str) -> bool {
    matches!(
        syntax,
        uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | "1.2.840.10008.1.2.2"
    )
}

fn decodable(syntax: &str) -> bool {
    jpeg2000::is_jpeg2000(syntax)
        || jpeg_ls::is_jpeg_ls(syntax)
        || TransferSyntaxRegistry.get(syntax).is_some_and(|ts| ts.is_encapsulated_pixel_data() && ts.can_decode_all())
}

fn unsupported(uid: &str, file: &str) -> DicomError {
    // The registry knows the current syntaxes only; the retired JPEG processes are named here (PS3.6 table A-1).
    let retired = match uid {
        "1.2.840.10008.1.2.4.52" => Some("JPEG Extended (Processes 3 & 5, retired)"),
        "1.2.840.10008.1.2.4.53" => Some("JPEG Spectral Selection, Non-Hierarchical (Processes 6 & 8, retired)"),
        "1.2.840.10008.1.2.4.54" => Some("JPEG Spectral Selection, Non-Hierarchical (Processes 7 & 9, retired)"),
        "1.2.840.10008.1.2.4.55" => Some("JPEG Full Progression, Non-Hierarchical (Processes 10 & 12, retired)"),
        "1.2.840.10008.1.2.4.56" => Some("JPEG Full Progression, Non-Hierarchical (Processes 11 & 13, retired)"),
        "1.2.840.10008.1.2.4.58" => Some("JPEG Lossless, Non-Hierarchical (Process 15, retired)"),
        _ => None,
    };
    let name =
        retired.or_else(|| TransferSyntaxRegistry.get(uid).map(|ts| ts.name())).unwrap_or("an unknown transfer syntax");
    DicomError::UnsupportedSyntax {
        file: file.to_owned(),
        uid: uid.to_owned(),
        name: name.to_owned(),
        advice: "export the series uncompressed or as JPEG 2000 lossless, or convert it, for example with gdcmconv --raw",
    }
}

/// What happened to values on their way to `i16`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Clipping {
    /// Values outside -32768..=32767 that were clipped.
    pub(super) clipped: usize,
}

/// Decodes frame `index` into `out` (row after row, `columns * rows` values). `check` has passed.
pub(super) fn decode(
    header: &Header,
    set: &DataSet,
    pixels: &PixelBytes,
    index: usize,
    out: &mut [i16],
    file: &str,
) -> Result<Clipping, DicomError> {
    let fail = |reason: String| DicomError::Decode { file: file.to_owned(), reason };
    let frame = header.frames.get(index).ok_or_else(|| fail("a frame is missing".into()))?;
    let size = frame_bytes(header);
    match pixels {
        PixelBytes::Truncated => Err(fail("the file ends before they do".into())),
        PixelBytes::Native(range) => {
            let cells = set.bytes.get(range.clone()).and_then(|all| all.get(index * size..(index + 1) * size));
            let cells = cells.ok_or_else(|| fail("the file ends before they do".into()))?;
            Ok(of_cells(header, frame, cells, out))
        }
        PixelBytes::Encapsulated { offsets, fragments } => {
            let stream = frame_stream(set, offsets, fragments, index, header.frames.len()).map_err(fail)?;
            of_stream(header, frame, stream, out).map_err(fail)
        }
    }
}

/// Bytes of a frame that is not compressed.
pub(super) fn frame_bytes(header: &Header) -> usize {
    let bytes = if header.format.bits_allocated == 16 { 2 } else { 1 };
    header.columns.saturating_mul(header.rows).saturating_mul(bytes)
}

/// As [`decode`], of the bytes of a frame that is not compressed.
pub(super) fn of_cells(header: &Header, frame: &Frame, cells: &[u8], out: &mut [i16]) -> Clipping {
    scale(header, frame, header.format.bits_allocated == 16, cells, out)
}

/// As [`decode`], of the compressed stream of a frame; else a reason.
pub(super) fn of_stream(header: &Header, frame: &Frame, stream: Vec<u8>, out: &mut [i16]) -> Result<Clipping, String> {
    let (cells, wide) = decompress(header, &header.syntax, stream)?;
    Ok(scale(header, frame, wide, &cells, out))
}

/// Cells (little endian unless the file says otherwise) through sign, padding, slope and intercept (C.11.1.1.2).
fn scale(header: &Header, frame: &Frame, wide: bool, cells: &[u8], out: &mut [i16]) -> Clipping {
    let format = &header.format;
    let (slope, intercept) = (frame.slope.unwrap_or(1.0), frame.intercept.unwrap_or(0.0));
    let padding = format.padding.filter(|_| header.modality == "CT");
    if let (Some(slope), Some(intercept)) = (whole(slope, 1e3), whole(intercept, 1e6))
        && wide
        && !format.big_endian
    {
        return scale_whole(format, slope, intercept, padding, cells, out);
    }
    let mut done = Clipping::default();
    let mut convert = |cell: u16| {
        let stored = format.stored_value(cell);
        if padding.is_some_and(|(low, high)| (low..=high).contains(&stored)) {
            return PADDING_HU;
        }
        let value = (stored as f64 * slope + intercept).round();
        if !(-32768.0..=32767.0).contains(&value) {
            done.clipped += 1;
        }
        value.clamp(-32768.0, 32767.0) as i16
    };
    if !wide {
        out.iter_mut().zip(cells).for_each(|(o, &c)| *o = convert(c.into()));
    } else if format.big_endian {
        out.iter_mut().zip(cells.chunks_exact(2)).for_each(|(o, c)| *o = convert(u16::from_be_bytes([c[0], c[1]])));
    } else {
        out.iter_mut().zip(cells.chunks_exact(2)).for_each(|(o, c)| *o = convert(u16::from_le_bytes([c[0], c[1]])));
    }
    done
}

/// A whole number that is at most `most` in size.
fn whole(value: f64, most: f64) -> Option<i32> {
    (value.trunc() == value && value.abs() <= most).then_some(value as i32)
}

/// As [`scale`], where slope and intercept are whole numbers, as in nearly every CT: without a branch and in 32 bits, which are enough for a
/// value of 16 bits times a thousand and a million.
fn scale_whole(
    format: &PixelFormat,
    slope: i32,
    intercept: i32,
    padding: Option<(i64, i64)>,
    cells: &[u8],
    out: &mut [i16],
) -> Clipping {
    // What lies above the stored bits goes out at the top, and what lies below them at the bottom.
    let (up, down) = ((31 - format.high_bit) as u32, (32 - format.bits_stored) as u32);
    let bound = |value: i64| value.clamp(-0x1_0000, 0x1_0000) as i32;
    let (low, high) = padding.map_or((1, 0), |(low, high)| (bound(low), bound(high)));
    let line = Line { slope, intercept, low, high };
    if format.signed {
        line.fill(cells, out, |cell| ((cell << up) as i32) >> down)
    } else {
        line.fill(cells, out, |cell| ((cell << up) >> down) as i32)
    }
}

/// From stored values to HU in whole numbers; from `low` to `high` they are padding.
struct Line {
    slope: i32,
    intercept: i32,
    low: i32,
    high: i32,
}

impl Line {
    /// For `stored`, which makes a value of a cell, a loop of its own.
    fn fill(&self, cells: &[u8], out: &mut [i16], stored: impl Fn(u32) -> i32) -> Clipping {
        let mut clipped = 0u32;
        for (o, c) in out.iter_mut().zip(cells.as_chunks::<2>().0) {
            let stored = stored(u16::from_le_bytes(*c).into());
            let is_padding = (self.low <= stored) & (stored <= self.high);
            let value = stored.wrapping_mul(self.slope).wrapping_add(self.intercept);
            let fitting = value.clamp(i16::MIN.into(), i16::MAX.into());
            clipped = clipped.wrapping_add(u32::from((value != fitting) & !is_padding));
            *o = if is_padding { PADDING_HU } else { fitting as i16 };
        }
        Clipping { clipped: clipped as usize }
    }
}

/// The compressed stream of one frame (PS3.5 A.4): fragments belong to frames one to one, or as the offsets say.
fn frame_stream(
    set: &DataSet,
    offsets: &[u32],
    fragments: &[std::ops::Range<usize>],
    index: usize,
    frames: usize,
) -> Result<Vec<u8>, String> {
    let range = if frames == 1 {
        0..fragments.len()
    } else if fragments.len() == frames {
        index..index + 1
    } else if offsets.len() == frames {
        // Offsets count from the first fragment's item tag, eight bytes before its value.
        let origin = fragments.first().map_or(0, |f| f.start - 8);
        let at = |k: usize| {
            let position = offsets.get(k).map(|&o| (o as usize).saturating_add(origin + 8));
            position.map_or(Some(fragments.len()), |p| fragments.iter().position(|f| f.start == p))
        };
        match (at(index), at(index + 1)) {
            (Some(a), Some(b)) if a < b => a..b,
            _ => return Err("the offset table does not fit the fragments".into()),
        }
    } else {
        return Err(format!("{frames} frames lie in {} fragments and no table tells them apart", fragments.len()));
    };
    let pieces = fragments.get(range).unwrap_or_default();
    let mut stream = Vec::with_capacity(pieces.iter().map(|p| p.len()).sum());
    for piece in pieces {
        stream.extend_from_slice(set.bytes.get(piece.clone()).unwrap_or_default());
    }
    Ok(stream)
}

/// Decompresses one frame to cells, little endian; the flag says whether a cell has two bytes.
fn decompress(header: &Header, syntax: &str, stream: Vec<u8>) -> Result<(Vec<u8>, bool), String> {
    let (columns, rows) = (header.columns, header.rows);
    let sample = codestream::check(syntax, &stream, columns, rows, header.format.bits_allocated as u32)?;
    let wide = sample.bits > 8;
    if codestream::is_jpeg(syntax) && jpeg12::is_twelve_bit(&stream) {
        return jpeg12::decode(&stream, columns, rows).map(|cells| (cells, true));
    }
    if jpeg_ls::is_jpeg_ls(syntax) {
        let cells = contain(|| jpeg_ls::decode(&stream, columns, rows));
        return cells.unwrap_or_else(|| Err(PANIC.into())).map(|cells| (cells, true));
    }
    if jpeg2000::is_jpeg2000(syntax) {
        let cells = contain(|| jpeg2000::decode(&stream, columns * rows, sample.bits, sample.signed));
        return cells.unwrap_or_else(|| Err(PANIC.into())).map(|cells| (cells, true));
    }
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag, value: u16| {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    };
    put(tags::ROWS, rows as u16);
    put(tags::COLUMNS, columns as u16);
    put(tags::SAMPLES_PER_PIXEL, 1);
    put(tags::BITS_ALLOCATED, if wide { 16 } else { 8 });
    put(tags::BITS_STORED, if wide { 16 } else { 8 });
    put(tags::HIGH_BIT, if wide { 15 } else { 7 });
    put(tags::PIXEL_REPRESENTATION, 0);
    put(tags::PLANAR_CONFIGURATION, 0);
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("MONOCHROME2")));
    let fragments: SmallVec<[Vec<u8>; 2]> = SmallVec::from_iter([stream]);
    let value = Value::PixelSequence(PixelFragmentSequence::new_fragments(fragments));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid("1.2.3")
        .build()
        .map_err(|_| "no codec object".to_owned())?;
    let object = object.with_exact_meta(meta);
    let decoded = contain(|| match object.decode_pixel_data_frame(0) {
        Ok(pixels) => Ok(pixels.data().to_vec()),
        Err(error) => Err(reasons(&error)),
    });
    let cells = decoded.unwrap_or_else(|| Err(PANIC.into()))?;
    let need = columns * rows * if wide { 2 } else { 1 };
    if cells.len() < need {
        return Err(format!("{need} bytes are needed and {} came out", cells.len()));
    }
    Ok((cells, wide))
}

/// An error with its causes, in one line.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cell there is, by the definition: a stored value, its padding, its line.
    #[test]
    fn whole_numbers_give_what_the_definition_gives() {
        let cells: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for (bits_stored, high_bit, signed) in
            [(16, 15, true), (16, 15, false), (12, 11, true), (12, 11, false), (12, 15, true), (1, 0, true)]
        {
            for padding in [None, Some((-2000, -2000)), Some((4000, 65_535))] {
                for (slope, intercept) in [(1, -1024), (1, 0), (-1, 5), (1000, 1_000_000), (0, 7)] {
                    let format = PixelFormat {
                        samples: 1,
                        photometric: "MONOCHROME2".into(),
                        bits_allocated: 16,
                        bits_stored,
                        high_bit,
                        signed,
                        padding,
                        lookup_table: false,
                        big_endian: false,
                    };
                    let mut out = vec![0; 1 << 16];
                    let done = scale_whole(&format, slope, intercept, padding, &cells, &mut out);
                    let mut clipped = 0;
                    for (cell, &hu) in (0..=u16::MAX).zip(&out) {
                        let stored = format.stored_value(cell);
                        let value = stored * i64::from(slope) + i64::from(intercept);
                        let expected = match padding {
                            Some((low, high)) if (low..=high).contains(&stored) => PADDING_HU,
                            _ => {
                                clipped += usize::from(i16::try_from(value).is_err());
                                value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
                            }
                        };
                        assert_eq!(hu, expected, "{cell} as {format:?}, {slope}, {intercept}");
                    }
                    assert_eq!(done.clipped, clipped);
                }
            }
        }
    }

    #[test]
    fn what_is_no_whole_number_of_that_size_is_none() {
        assert_eq!(
            [whole(-1024.0, 1e6), whole(0.5, 1e6), whole(1e7, 1e6), whole(f64::NAN, 1e6)],
            [Some(-1024), None, None, None]
        );
    }
}
