//! The header of a compressed frame against the header of its file.
//!
//! The codecs trust that both agree and panic, or fill memory, where they do not. Comparing first costs nothing and
//! gives a sentence that names the disagreement.

use super::jpeg_ls::{self, is_jpeg_ls};
use super::jpeg_markers::be16;
use super::jpeg2000::is_jpeg2000;

/// Whether the syntax is one of the JPEG (ISO 10918) processes.
pub(super) fn is_jpeg(syntax: &str) -> bool {
    matches!(syntax.strip_prefix("1.2.840.10008.1.2.4."), Some("50" | "51" | "57" | "70"))
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

fn le32(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

/// What a stream says it holds.
struct Stream {
    columns: usize,
    rows: usize,
    components: usize,
    sample: Sample,
}

/// What a decoded sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) bits: u32,
    /// Whether the stream itself has signed samples; JPEG and RLE have not.
    pub(super) signed: bool,
}

/// Compares, and gives what a decoded sample is.
pub(super) fn check(
    syntax: &str,
    stream: &[u8],
    columns: usize,
    rows: usize,
    allocated: u32,
) -> Result<Sample, String> {
    let plain = Sample { bits: allocated, signed: false };
    let found = match syntax {
        "1.2.840.10008.1.2.5" => return rle(stream, columns * rows, allocated as usize / 8).map(|()| plain),
        _ if is_jpeg(syntax) => jpeg(stream),
        _ if is_jpeg2000(syntax) => jpeg2000(stream),
        _ if is_jpeg_ls(syntax) => jpeg_ls::size(stream).map(|([columns, rows], components, bits)| Stream {
            columns,
            rows,
            components,
            sample: Sample { bits, signed: false },
        }),
        // Uncompressed but in fragments: the length is all there is.
        _ if stream.len() / (allocated as usize / 8).max(1) >= columns * rows => return Ok(plain),
        _ => None,
    };
    let Some(found) = found else {
        return Err("their compressed stream is damaged".into());
    };
    if found.components != 1 {
        return Err(format!("their compressed stream has {} colour components", found.components));
    }
    if (found.columns, found.rows) != (columns, rows) {
        return Err(format!(
            "their compressed stream has {} x {} pixels, the header says {columns} x {rows}",
            found.columns, found.rows
        ));
    }
    if !(2..=16).contains(&found.sample.bits) {
        return Err(format!("their compressed stream has {} bits per sample", found.sample.bits));
    }
    Ok(found.sample)
}

/// Frame header of a JPEG stream (ISO 10918-1 B.2.2).
fn jpeg(stream: &[u8]) -> Option<Stream> {
    if !stream.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    let mut at = 2;
    loop {
        if *stream.get(at)? != 0xFF {
            return None;
        }
        let marker = *stream.get(at + 1)?;
        match marker {
            0xFF => at += 1,
            // SOF0..SOF15 without DHT, JPG and DAC.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                return Some(Stream {
                    sample: Sample { bits: u32::from(*stream.get(at + 4)?), signed: false },
                    rows: be16(stream, at + 5)?,
                    columns: be16(stream, at + 7)?,
                    components: usize::from(*stream.get(at + 9)?),
                });
            }
            0xD0..=0xD8 | 0x01 => at += 2,
            0xD9 | 0xDA => return None,
            _ => at += 2 + be16(stream, at + 2)?,
        }
    }
}

/// Size marker of a JPEG 2000 codestream (ISO 15444-1 A.5.1), which some writers wrap in JP2 boxes.
fn jpeg2000(stream: &[u8]) -> Option<Stream> {
    let head = &stream[..stream.len().min(4096)];
    let at = head.windows(4).position(|w| w == [0xFF, 0x4F, 0xFF, 0x51])? + 4;
    let [right, bottom, left, top] = [4, 8, 12, 16].map(|o| be32(head, at + o));
    let (tile_columns, tile_rows) = (be32(head, at + 20)?, be32(head, at + 24)?);
    let components = be16(head, at + 36)?;
    let depth = *head.get(at + 38)?;
    let whole = *head.get(at + 39)? == 1 && *head.get(at + 40)? == 1;
    let (columns, rows) = (right?.checked_sub(left?)?, bottom?.checked_sub(top?)?);
    // Subsampled, or cut in more tiles than pixels allow: nothing that a scanner writes.
    if !whole
        || tile_columns == 0
        || tile_rows == 0
        || columns.div_ceil(tile_columns).saturating_mul(rows.div_ceil(tile_rows)) > 65535
    {
        return None;
    }
    // Decoders fill what is missing with grey: without its end marker (A.4.4) a stream is cut off.
    let end = stream.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    let sample = Sample { bits: u32::from(depth & 0x7F) + 1, signed: depth & 0x80 != 0 };
    stream[..end].ends_with(&[0xFF, 0xD9]).then_some(Stream { columns, rows, components, sample })
}

/// Every segment of an RLE frame has to give one byte of every pixel (PS3.5 annex G).
fn rle(stream: &[u8], pixels: usize, bytes_per_pixel: usize) -> Result<(), String> {
    let segments = le32(stream, 0).unwrap_or(0);
    if segments != bytes_per_pixel || stream.len() < 64 {
        return Err(format!("their RLE header names {segments} segments instead of {bytes_per_pixel}"));
    }
    let edges: Vec<usize> = (0..segments).filter_map(|s| le32(stream, 4 + 4 * s)).chain([stream.len()]).collect();
    for edge in edges.windows(2) {
        let segment = stream.get(edge[0]..edge[1]).filter(|_| edge[0] >= 64);
        let segment = segment.ok_or("their RLE segments overlap or are cut off")?;
        let (mut at, mut out) = (0, 0);
        while at < segment.len() && out < pixels {
            let control = segment[at] as i8;
            if control >= 0 {
                let run = control as usize + 1;
                out += run.min(segment.len() - at - 1);
                at += 1 + run;
            } else if control != -128 {
                out += if at + 1 < segment.len() { 1 + control.unsigned_abs() as usize } else { 0 };
                at += 2;
            } else {
                at += 1;
            }
        }
        if out < pixels {
            return Err(format!("an RLE segment gives {out} of {pixels} pixels"));
        }
    }
    Ok(())
}
