//! From the bytes of a file to the few attributes that are needed, and to where its pixels lie.
//!
//! A general parser takes every element's length at its word and makes room for it: one flipped bit asks for four
//! gigabytes. It also decodes every name in the header. This walk checks each length against the bytes that are there,
//! bounds the nesting, picks out the wanted elements and hands only those to `dicom-object`. Pixel data stays where
//! it is and is never copied. PS3.5 chapter 7 (data set), PS3.10 chapter 7 (file).

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

/// Deflated data sets are inflated up to here.
const MAX_INFLATED: u64 = 1 << 29;
/// Sequences within sequences; real files stay below ten.
const MAX_DEPTH: usize = 32;
const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Why bytes are no data set.
#[derive(Debug, PartialEq)]
pub(in crate::formats) enum Unreadable {
    /// Nothing says that this is DICOM.
    NotDicom,
    /// It is DICOM, and damaged.
    Damaged(String),
}

fn damaged<T>(reason: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable::Damaged(reason.into()))
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::formats) struct Encoding {
    explicit: bool,
    pub(in crate::formats) big_endian: bool,
}

pub(in crate::formats) const IMPLICIT_LE: Encoding = Encoding { explicit: false, big_endian: false };
const EXPLICIT_LE: Encoding = Encoding { explicit: true, big_endian: false };
const EXPLICIT_BE: Encoding = Encoding { explicit: true, big_endian: true };

/// A data set, inflated where needed, with its transfer syntax.
pub(in crate::formats) struct DataSet<'a> {
    /// Transfer syntax UID.
    pub(in crate::formats) syntax: String,
    /// How its elements and native pixels are written.
    pub(in crate::formats) encoding: Encoding,
    /// The elements, without the file meta group.
    pub(in crate::formats) bytes: Cow<'a, [u8]>,
}

/// Where the pixels are, as ranges of [`DataSet::bytes`].
#[derive(Clone, Debug, PartialEq)]
pub(in crate::formats) enum PixelBytes {
    /// As they are, frame after frame.
    Native(Range<usize>),
    /// Compressed: the basic offset table and the fragments (PS3.5 A.4).
    Encapsulated { offsets: Vec<u32>, fragments: Vec<Range<usize>> },
    /// The file ends before the pixels do.
    Truncated,
}

/// One element: where its value lies and where the next element starts.
struct Element {
    tag: Tag,
    vr: VR,
    length: u32,
    value: usize,
}

/// Whether a file is worth giving to [`super::read_series`]: it has the `DICM` prefix, or starts like a bare data set.
pub fn looks_like_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM") || bytes.starts_with(b"DICM") || bare_encoding(bytes).is_some()
}

/// Files from before PS3.10 have no preamble and start with group 0008 (or with group 0002, preamble lost).
fn bare_encoding(bytes: &[u8]) -> Option<Encoding> {
    let head = bytes.get(..8)?;
    let group = u16::from_le_bytes([head[0], head[1]]);
    if (group != 0x0008 && group != 0x0002) || head[3] != 0 {
        return None;
    }
    if VR::from_binary([head[4], head[5]]).is_some() {
        return Some(EXPLICIT_LE);
    }
    // The first element of the group is short: its length, a character set, a type, a date.
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    (group == 0x0008 && length <= 256).then_some(IMPLICIT_LE)
}

impl<'a> DataSet<'a> {
    /// Finds the data set and its transfer syntax.
    pub(in crate::formats) fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let start = if bytes.get(128..132) == Some(b"DICM") {
            132
        } else if bytes.starts_with(b"DICM") {
            4
        } else {
            match bare_encoding(bytes) {
                None => return Err(Unreadable::NotDicom),
                Some(_) if bytes.starts_with(&[2, 0]) => 0,
                Some(encoding) => {
                    // Anything may start with these bytes: only what can be walked to the end counts.
                    let syntax = if encoding.explicit {
                        uids::EXPLICIT_VR_LITTLE_ENDIAN
                    } else {
                        uids::IMPLICIT_VR_LITTLE_ENDIAN
                    };
                    let set = Self { syntax: syntax.into(), encoding, bytes: Cow::Borrowed(bytes) };
                    return if set.walk(&mut |_, _| {}).is_ok() { Ok(set) } else { Err(Unreadable::NotDicom) };
                }
            }
        };
        // File meta group: always explicit little endian, and walked by its tags because its length is often wrong.
        let mut at = start;
        let mut syntax = None;
        while bytes.get(at..at + 2) == Some(&[2, 0]) {
            let element = element(bytes, at, EXPLICIT_LE)?;
            let end = plain_end(bytes, &element)?;
            if element.tag == tags::TRANSFER_SYNTAX_UID {
                let text = String::from_utf8_lossy(&bytes[element.value..end]);
                syntax = Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned());
            }
            at = end;
        }
        let rest = &bytes[at.min(bytes.len())..];
        // Without a transfer syntax: what the first element looks like.
        let Some(syntax) = syntax else {
            return match bare_encoding(rest) {
                Some(EXPLICIT_LE) => Ok(Self {
                    syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
                    encoding: EXPLICIT_LE,
                    bytes: Cow::Borrowed(rest),
                }),
                Some(_) => Ok(Self {
                    syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
                    encoding: IMPLICIT_LE,
                    bytes: Cow::Borrowed(rest),
                }),
                None => damaged("its transfer syntax is not given"),
            };
        };
        let (encoding, bytes) = match syntax.as_str() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => (IMPLICIT_LE, Cow::Borrowed(rest)),
            "1.2.840.10008.1.2.2" => (EXPLICIT_BE, Cow::Borrowed(rest)),
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => (EXPLICIT_LE, Cow::Owned(inflate(rest)?)),
            // Every encapsulated syntax, known or not, is explicit little endian (PS3.5 A.4): its header can be read
            // and its series named even where its pixels cannot be decoded.
            _ => (EXPLICIT_LE, Cow::Borrowed(rest)),
        };
        Ok(Self { syntax, encoding, bytes })
    }

    /// The elements in `wanted` (those that are there), and where the pixels are.
    pub(in crate::formats) fn read(
        &self,
        wanted: &[Tag],
    ) -> Result<(InMemDicomObject, Option<PixelBytes>), Unreadable> {
        let mut picked: Vec<u8> = Vec::new();
        let bytes = &*self.bytes;
        let mut problem = None;
        let pixels = self.walk(&mut |range, element| {
            if !wanted.contains(&element.tag) {
                return;
            }
            let nested = element.vr == VR::SQ && check_sequence(bytes, element, range.end, self.encoding, 0).is_err();
            if nested {
                problem = Some(element.tag);
            } else if element.vr == VR::SQ || element.length != UNDEFINED {
                picked.extend_from_slice(&bytes[range]);
            }
        })?;
        if let Some(tag) = problem {
            return damaged(format!("sequence {tag} is broken"));
        }
        let uid = match self.encoding {
            IMPLICIT_LE => uids::IMPLICIT_VR_LITTLE_ENDIAN,
            EXPLICIT_BE => "1.2.840.10008.1.2.2",
            _ => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        };
        let Some(syntax) = TransferSyntaxRegistry.get(uid) else {
            return damaged("no reader for its transfer syntax");
        };
        let parsed = contain(|| InMemDicomObject::read_dataset_with_ts(picked.as_slice(), syntax).ok()).flatten();
        match parsed {
            Some(object) => Ok((object, pixels)),
            None => damaged("an element of its header cannot be parsed"),
        }
    }

    /// Calls `visit` for each element up to the pixel data, which is returned.
    fn walk(&self, visit: &mut dyn FnMut(Range<usize>, &Element)) -> Result<Option<PixelBytes>, Unreadable> {
        let bytes = &*self.bytes;
        let mut at = 0;
        while at < bytes.len() {
            // Zeros or a few stray bytes after the last element are padding.
            if bytes.len() - at < 8 || bytes[at..].iter().take(8).all(|&b| b == 0) {
                break;
            }
            let element = element(bytes, at, self.encoding)?;
            if element.tag == tags::PIXEL_DATA {
                return Ok(Some(pixel_bytes(bytes, &element, self.encoding)));
            }
            if element.tag > tags::PIXEL_DATA {
                break;
            }
            let end = if element.length == UNDEFINED {
                sequence_end(bytes, &element, self.encoding, 0)?
            } else {
                plain_end(bytes, &element)?
            };
            visit(at..end, &element);
            at = end;
        }
        Ok(None)
    }
}

/// Runs third-party parsers and decoders so that a panic of theirs is an answer, not the end of the program.
/// (Where panics abort, as on wasm, the checks made before the call are what stands between.)
pub(in crate::formats) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    let read = flate2::read::DeflateDecoder::new(bytes).take(MAX_INFLATED + 1).read_to_end(&mut out);
    // A stream that is cut off still gives its header; the walk finds what is missing.
    if read.is_err() && out.is_empty() {
        return damaged("its deflated data set cannot be inflated");
    }
    if out.len() as u64 > MAX_INFLATED {
        return damaged(format!("its deflated data set is larger than {} MiB", MAX_INFLATED >> 20));
    }
    Ok(out)
}

fn cut_off<T>(at: usize) -> Result<T, Unreadable> {
    damaged(format!("it is cut off, or its header is broken, at byte {at}"))
}

fn u16_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u16> {
    let b: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
}

fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let b: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
}

/// Reads an element's header (PS3.5 7.1). The length is not yet checked.
fn element(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Element, Unreadable> {
    let read = || {
        let big = encoding.big_endian;
        let tag = Tag(u16_at(bytes, at, big)?, u16_at(bytes, at + 2, big)?);
        if tag.0 == 0xFFFE {
            return Some(Element { tag, vr: VR::UN, length: u32_at(bytes, at + 4, big)?, value: at + 8 });
        }
        if !encoding.explicit {
            let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
            return Some(Element { tag, vr, length: u32_at(bytes, at + 4, big)?, value: at + 8 });
        }
        let code: [u8; 2] = bytes.get(at + 4..at + 6)?.try_into().ok()?;
        let vr = VR::from_binary(code).unwrap_or(VR::UN);
        use VR::*;
        let short = matches!(
            vr,
            AE | AS | AT | CS | DA | DS | DT | FL | FD | IS | LO | LT | PN | SH | SL | SS | ST | TM | UI | UL | US
        );
        Some(if short {
            Element { tag, vr, length: u16_at(bytes, at + 6, big)?.into(), value: at + 8 }
        } else {
            Element { tag, vr, length: u32_at(bytes, at + 8, big)?, value: at + 12 }
        })
    };
    match read() {
        Some(element) => Ok(element),
        None => cut_off(at),
    }
}

/// End of a value of known length, which the bytes must hold.
fn plain_end(bytes: &[u8], element: &Element) -> Result<usize, Unreadable> {
    match element.value.checked_add(element.length as usize) {
        Some(end) if element.length != UNDEFINED && end <= bytes.len() => Ok(end),
        _ => cut_off(element.value),
    }
}

/// End of a sequence of undefined length (PS3.5 7.5), by walking its items.
fn sequence_end(bytes: &[u8], sequence: &Element, outer: Encoding, depth: usize) -> Result<usize, Unreadable> {
    if depth > MAX_DEPTH {
        return damaged(format!("its sequences are nested more than {MAX_DEPTH} deep"));
    }
    // A UN of undefined length is a sequence in implicit little endian (PS3.5 6.2.2, note 4).
    let encoding = if sequence.vr == VR::UN { IMPLICIT_LE } else { outer };
    let mut at = sequence.value;
    loop {
        let item = element(bytes, at, encoding)?;
        at = match item.tag {
            SEQUENCE_END => return Ok(item.value),
            ITEM if item.length != UNDEFINED => plain_end(bytes, &item)?,
            ITEM => item_end(bytes, item.value, encoding, depth)?,
            _ => return cut_off(at),
        };
    }
}

/// End of an item of undefined length, behind its delimiter.
fn item_end(bytes: &[u8], start: usize, encoding: Encoding, depth: usize) -> Result<usize, Unreadable> {
    let mut at = start;
    loop {
        let inner = element(bytes, at, encoding)?;
        at = match inner.tag {
            ITEM_END => return Ok(inner.value),
            _ if inner.length == UNDEFINED => sequence_end(bytes, &inner, encoding, depth + 1)?,
            _ => plain_end(bytes, &inner)?,
        };
    }
}

/// Calls `visit` with every element of a data set or item: tag, representation, value. A sequence's value is its items.
pub(in crate::formats) fn each<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
    visit: &mut dyn FnMut(Tag, VR, &'a [u8]),
) -> Result<(), Unreadable> {
    let mut at = 0;
    // Zeros or a few stray bytes after the last element are padding.
    while bytes.len() - at >= 8 && bytes[at..at + 8] != [0; 8] {
        let element = element(bytes, at, encoding)?;
        if element.tag == ITEM_END || element.tag >= tags::PIXEL_DATA && element.length == UNDEFINED {
            break;
        }
        let end = if element.length == UNDEFINED {
            sequence_end(bytes, &element, encoding, 0)?
        } else {
            plain_end(bytes, &element)?
        };
        visit(element.tag, element.vr, &bytes[element.value..end]);
        at = end;
    }
    Ok(())
}

/// The items of a sequence's value.
pub(in crate::formats) fn items(value: &[u8], encoding: Encoding) -> Result<Vec<&[u8]>, Unreadable> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let item = element(value, at, encoding)?;
        let end = match item.tag {
            SEQUENCE_END => break,
            ITEM if item.length != UNDEFINED => plain_end(value, &item)?,
            ITEM => item_end(value, item.value, encoding, 0)?,
            _ => return cut_off(at),
        };
        items.push(&value[item.value..end]);
        at = end;
    }
    Ok(items)
}

/// Checks every length inside a sequence that `dicom-object` is going to parse.
fn check_sequence(
    bytes: &[u8],
    sequence: &Element,
    end: usize,
    encoding: Encoding,
    depth: usize,
) -> Result<(), Unreadable> {
    if depth > MAX_DEPTH {
        return damaged(format!("its sequences are nested more than {MAX_DEPTH} deep"));
    }
    let bytes = &bytes[..end];
    let mut at = sequence.value;
    while at < end {
        let item = element(bytes, at, encoding)?;
        let (mut inside, item_end) = match item.tag {
            SEQUENCE_END => return Ok(()),
            ITEM if item.length != UNDEFINED => (item.value, plain_end(bytes, &item)?),
            ITEM => (item.value, item_end(bytes, item.value, encoding, depth)?),
            _ => return cut_off(at),
        };
        let within = &bytes[..item_end];
        while inside < item_end {
            let inner = element(within, inside, encoding)?;
            if inner.tag == ITEM_END {
                break;
            }
            let inner_end = match (inner.vr, inner.length) {
                (VR::SQ, UNDEFINED) => sequence_end(within, &inner, encoding, depth + 1)?,
                (_, UNDEFINED) => return cut_off(inside),
                _ => plain_end(within, &inner)?,
            };
            if inner.vr == VR::SQ {
                check_sequence(within, &inner, inner_end, encoding, depth + 1)?;
            }
            inside = inner_end;
        }
        at = item_end;
    }
    Ok(())
}

/// Where the pixels of a pixel data element are (PS3.5 8.1 and A.4).
fn pixel_bytes(bytes: &[u8], element: &Element, encoding: Encoding) -> PixelBytes {
    if element.length != UNDEFINED {
        return match plain_end(bytes, element) {
            Ok(end) => PixelBytes::Native(element.value..end),
            Err(_) => PixelBytes::Truncated,
        };
    }
    let mut items = Vec::new();
    let mut at = element.value;
    // Many files end without the sequence delimiter; what counts is that every fragment is whole.
    while at < bytes.len() {
        let Ok(item) = self::element(bytes, at, encoding) else { return PixelBytes::Truncated };
        if item.tag != ITEM {
            break;
        }
        let Ok(end) = plain_end(bytes, &item) else { return PixelBytes::Truncated };
        items.push(item.value..end);
        at = end;
    }
    if items.is_empty() {
        return PixelBytes::Truncated;
    }
    let table = items.remove(0);
    let offsets = bytes[table].chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    PixelBytes::Encapsulated { offsets, fragments: items }
}
