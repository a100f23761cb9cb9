//! The bytes of a data set, element by element, each length checked against the bytes that are there (PS3.5 chapter 7).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// Sequences within sequences; real files stay below ten.
pub(in crate::formats) const MAX_DEPTH: usize = 32;
pub(in crate::formats) const UNDEFINED: u32 = u32::MAX;
pub(in crate::formats) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(in crate::formats) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(in crate::formats) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Why bytes are no data set.
#[derive(Debug, PartialEq)]
pub(in crate::formats) enum Unreadable {
    /// Nothing says that this is DICOM.
    NotDicom,
    /// It is DICOM, and damaged.
    Damaged(String),
}

pub(in crate::formats) fn damaged<T>(reason: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable::Damaged(reason.into()))
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::formats) struct Encoding {
    pub(in crate::formats) explicit: bool,
    pub(in crate::formats) big_endian: bool,
}

pub(in crate::formats) const IMPLICIT_LE: Encoding = Encoding { explicit: false, big_endian: false };
pub(in crate::formats) const EXPLICIT_LE: Encoding = Encoding { explicit: true, big_endian: false };
pub(in crate::formats) const EXPLICIT_BE: Encoding = Encoding { explicit: true, big_endian: true };

/// One element: where its value lies and where the next element starts.
pub(in crate::formats) struct Element {
    pub(in crate::formats) tag: Tag,
    pub(in crate::formats) vr: VR,
    pub(in crate::formats) length: u32,
    pub(in crate::formats) value: usize,
}

/// Runs third-party parsers and decoders so that a panic of theirs is an answer, not the end of the program.
/// (Where panics abort, as on wasm, the checks made before the call are what stands between.)
pub(in crate::formats) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

pub(in crate::formats) fn cut_off<T>(at: usize) -> Result<T, Unreadable> {
    damaged(format!("it is cut off, or its header is broken, at byte {at}"))
}

pub(in crate::formats) fn u16_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u16> {
    let b: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
}

pub(in crate::formats) fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let b: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
}

/// Reads an element's header (PS3.5 7.1). The length is not yet checked.
pub(in crate::formats) fn element(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Element, Unreadable> {
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

/// Whether a value of this representation holds whole numbers (PS3.5 6.2). `dicom-object` reads those that are whole, and takes what is left
/// for the next element, whose length then is anything up to four gigabytes.
pub(in crate::formats) fn is_whole(vr: VR, length: u32) -> bool {
    use VR::*;
    let bytes = match vr {
        SS | US | OW => 2,
        AT | FL | OF | OL | SL | UL => 4,
        FD | OD | OV | SV | UV => 8,
        _ => 1,
    };
    length == UNDEFINED || length.is_multiple_of(bytes)
}

/// End of a value of known length, which the bytes must hold.
pub(in crate::formats) fn plain_end(bytes: &[u8], element: &Element) -> Result<usize, Unreadable> {
    match element.value.checked_add(element.length as usize) {
        Some(end) if element.length != UNDEFINED && end <= bytes.len() => Ok(end),
        _ => cut_off(element.value),
    }
}

/// End of a sequence of undefined length (PS3.5 7.5), by walking its items.
pub(in crate::formats) fn sequence_end(
    bytes: &[u8],
    sequence: &Element,
    outer: Encoding,
    depth: usize,
) -> Result<usize, Unreadable> {
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
pub(in crate::formats) fn item_end(
    bytes: &[u8],
    start: usize,
    encoding: Encoding,
    depth: usize,
) -> Result<usize, Unreadable> {
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

/// Checks every length inside a sequence of one element that `dicom-object` is going to parse, in implicit little endian.
pub(in crate::formats) fn is_sound_sequence(bytes: &[u8]) -> bool {
    element(bytes, 0, IMPLICIT_LE).is_ok_and(|e| check_sequence(bytes, &e, bytes.len(), IMPLICIT_LE, 0).is_ok())
}

/// Checks every length inside a sequence that `dicom-object` is going to parse.
pub(in crate::formats) fn check_sequence(
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
                (vr, length) if !is_whole(vr, length) => return cut_off(inside),
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
