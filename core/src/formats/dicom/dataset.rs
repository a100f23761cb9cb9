//! From the bytes of a file to the few attributes that are needed, and to where its pixels lie.
//!
//! A general parser takes every element's length at its word and makes room for it: one flipped bit asks for four
//! gigabytes. It also decodes every name in the header. This walk checks each length against the bytes that are there,
//! bounds the nesting, picks out the wanted elements and hands only those to `dicom-object`. Pixel data stays where
//! it is and is never copied. PS3.5 chapter 7 (data set), PS3.10 chapter 7 (file).

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

use super::walk::{
    EXPLICIT_BE, EXPLICIT_LE, Element, Encoding, IMPLICIT_LE, ITEM, UNDEFINED, Unreadable, check_sequence, contain,
    damaged, element, is_whole, plain_end, sequence_end,
};
use super::{characters, unknown};

/// Deflated data sets are inflated up to here.
const MAX_INFLATED: u64 = 1 << 29;

/// A data set, inflated where needed, with its transfer syntax.
pub(in crate::formats) struct DataSet<'a> {
    /// Transfer syntax UID.
    pub(in crate::formats) syntax: String,
    /// MediaStorageSOPClassUID (0002,0002): what the object is; empty where the file has no meta group.
    pub(in crate::formats) class: String,
    /// How its elements and native pixels are written.
    pub(in crate::formats) encoding: Encoding,
    /// Where it begins in the file, behind the meta group.
    pub(in crate::formats) start: usize,
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
                    let set = Self {
                        syntax: syntax.into(),
                        class: String::new(),
                        encoding,
                        start: 0,
                        bytes: Cow::Borrowed(bytes),
                    };
                    return if set.walk(&mut |_, _| {}).is_ok() { Ok(set) } else { Err(Unreadable::NotDicom) };
                }
            }
        };
        // File meta group: always explicit little endian, and walked by its tags because its length is often wrong.
        let mut at = start;
        let (mut syntax, mut class) = (None, String::new());
        while bytes.get(at..at + 2) == Some(&[2, 0]) {
            let element = element(bytes, at, EXPLICIT_LE)?;
            let end = plain_end(bytes, &element)?;
            match element.tag {
                tags::TRANSFER_SYNTAX_UID => syntax = Some(trimmed(&bytes[element.value..end])),
                tags::MEDIA_STORAGE_SOP_CLASS_UID => class = trimmed(&bytes[element.value..end]),
                _ => {}
            }
            at = end;
        }
        let start = at.min(bytes.len());
        let rest = &bytes[start..];
        // Without a transfer syntax: what the first element looks like.
        let Some(syntax) = syntax else {
            return match bare_encoding(rest) {
                Some(EXPLICIT_LE) => Ok(Self {
                    syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
                    class,
                    encoding: EXPLICIT_LE,
                    start,
                    bytes: Cow::Borrowed(rest),
                }),
                Some(_) => Ok(Self {
                    syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
                    class,
                    encoding: IMPLICIT_LE,
                    start,
                    bytes: Cow::Borrowed(rest),
                }),
                None => damaged("its transfer syntax is not given"),
            };
        };
        let (encoding, bytes) = match syntax.as_str() {
            // Some writers call implicit data explicit, and the other way round: the first element shows which it is.
            uids::IMPLICIT_VR_LITTLE_ENDIAN => (bare_encoding(rest).unwrap_or(IMPLICIT_LE), Cow::Borrowed(rest)),
            uids::EXPLICIT_VR_LITTLE_ENDIAN => (bare_encoding(rest).unwrap_or(EXPLICIT_LE), Cow::Borrowed(rest)),
            "1.2.840.10008.1.2.2" => (EXPLICIT_BE, Cow::Borrowed(rest)),
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => (EXPLICIT_LE, Cow::Owned(inflate(rest)?)),
            // Every encapsulated syntax, known or not, is explicit little endian (PS3.5 A.4): its header can be read
            // and its series named even where its pixels cannot be decoded.
            _ => (EXPLICIT_LE, Cow::Borrowed(rest)),
        };
        Ok(Self { syntax, class, encoding, start, bytes })
    }

    /// The data set of a file that was opened before, without looking at it again: `start`, `syntax` and `encoding` are what was found
    /// then.
    pub(in crate::formats) fn known(
        bytes: &'a [u8],
        start: usize,
        syntax: &str,
        encoding: Encoding,
    ) -> Result<Self, Unreadable> {
        let rest = bytes.get(start..).unwrap_or_default();
        let bytes = match syntax {
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => Cow::Owned(inflate(rest)?),
            _ => Cow::Borrowed(rest),
        };
        Ok(Self { syntax: syntax.into(), class: String::new(), encoding, start, bytes })
    }

    /// The text of an element, empty where it is not there; as far as the elements of a damaged file can be followed.
    pub(in crate::formats) fn text_before_damage(&self, tag: Tag) -> String {
        let mut found = String::new();
        let _ = self.walk(&mut |range, element| {
            if element.tag == tag && element.length != UNDEFINED {
                found = trimmed(&self.bytes[element.value..range.end]);
            }
        });
        found
    }

    /// The elements in `wanted` (those that are there), and where the pixels are.
    pub(in crate::formats) fn read(
        &self,
        wanted: &[Tag],
    ) -> Result<(InMemDicomObject, Option<PixelBytes>), Unreadable> {
        let (mut picked, mut unknown): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        let bytes = &*self.bytes;
        let mut problem = None;
        // The parser goes by the first of several character sets; without it, a character of its texts is a byte.
        let mut character_sets = None;
        let pixels = self.walk(&mut |range, element| {
            if !wanted.contains(&element.tag) {
                return;
            }
            if element.tag == tags::SPECIFIC_CHARACTER_SET && element.length != UNDEFINED {
                let value = trimmed(&bytes[element.value..range.end]);
                if !characters::is_plain(&value) {
                    character_sets = Some(value);
                    return;
                }
            }
            let is_unknown = element.vr == VR::UN && unknown::is_known(element.tag);
            let encoding = if is_unknown { IMPLICIT_LE } else { self.encoding };
            let sequence = element.vr == VR::SQ || is_unknown && unknown::is_sequence(element.tag);
            let vr = if is_unknown { unknown::known(element.tag).unwrap_or(VR::UN) } else { element.vr };
            let broken = if sequence {
                check_sequence(bytes, element, range.end, encoding, 0).is_err()
            } else {
                !is_whole(vr, element.length)
            };
            if broken {
                problem = Some(element.tag);
            } else if is_unknown && (sequence || element.length != UNDEFINED) {
                unknown::write_implicit(&mut unknown, element.tag, element.length, &bytes[element.value..range.end]);
            } else if sequence || element.length != UNDEFINED {
                picked.extend_from_slice(&bytes[range]);
            }
        })?;
        let pixels = pixels.map(|element| pixel_bytes(bytes, &element, self.encoding));
        if let Some(tag) = problem {
            return damaged(format!("element {tag} is broken"));
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
        match parsed.and_then(|object| unknown::resolve(object, &unknown)) {
            Some(mut object) => {
                if let Some(value) = character_sets {
                    characters::put_back(&mut object, &value);
                }
                Ok((object, pixels))
            }
            None => damaged("an element of its header cannot be parsed"),
        }
    }

    /// The element of the pixels, which may end behind these bytes.
    pub(in crate::formats) fn pixel_element(&self) -> Option<Element> {
        self.walk(&mut |_, _| {}).ok().flatten()
    }

    /// Calls `visit` for each element up to the pixel data, which is returned.
    fn walk(&self, visit: &mut dyn FnMut(Range<usize>, &Element)) -> Result<Option<Element>, Unreadable> {
        let bytes = &*self.bytes;
        let mut at = 0;
        while at < bytes.len() {
            // Zeros or a few stray bytes after the last element are padding.
            if bytes.len() - at < 8 || bytes[at..].iter().take(8).all(|&b| b == 0) {
                break;
            }
            let element = element(bytes, at, self.encoding)?;
            if element.tag == tags::PIXEL_DATA {
                return Ok(Some(element));
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

/// A text value without its padding.
fn trimmed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
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

/// Where the pixels of a pixel data element are (PS3.5 8.1 and A.4).
fn pixel_bytes(bytes: &[u8], pixels: &Element, encoding: Encoding) -> PixelBytes {
    if pixels.length != UNDEFINED {
        return match plain_end(bytes, pixels) {
            Ok(end) => PixelBytes::Native(pixels.value..end),
            Err(_) => PixelBytes::Truncated,
        };
    }
    let mut items = Vec::new();
    let mut at = pixels.value;
    // Many files end without the sequence delimiter; what counts is that every fragment is whole.
    while at < bytes.len() {
        let Ok(item) = element(bytes, at, encoding) else { return PixelBytes::Truncated };
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
    PixelBytes::Encapsulated { offsets: offset_table(&bytes[table]), fragments: items }
}

/// The numbers of a basic offset table.
pub(in crate::formats) fn offset_table(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect()
}
