//! Text in the character sets of DICOM. `dicom-object` goes by the first value of SpecificCharacterSet (0008,0005) alone; names
//! from Japan, Korea and China have several, and change between them with escape sequences (ISO 2022; PS3.5 6.1.2.5 and
//! annexes H to K). Files that name no set and hold UTF-8 all the same are common, too.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::InMemDicomObject;

const ESC: u8 = 0x1b;
/// Behind these the first set holds again.
const DELIMITERS: &[u8] = b"^=\\\r\n\t\x0c";

/// What an escape sequence changes.
#[derive(Clone, Copy)]
enum Shift {
    /// The lower half of the codes: a set of two bytes each, or ASCII.
    Left(Option<&'static str>),
    /// The upper half.
    Right(&'static str),
}

/// Escape sequences of PS3.3 C.12.1.1.2 with the numbers of their sets.
const ESCAPES: [(&[u8], Shift); 17] = [
    (b"\x1b(B", Shift::Left(None)),
    (b"\x1b(J", Shift::Left(None)),
    (b"\x1b$B", Shift::Left(Some("87"))),
    (b"\x1b$@", Shift::Left(Some("87"))),
    (b"\x1b$(D", Shift::Left(Some("159"))),
    (b"\x1b)I", Shift::Right("13")),
    (b"\x1b$)C", Shift::Right("149")),
    (b"\x1b$)A", Shift::Right("58")),
    (b"\x1b-A", Shift::Right("100")),
    (b"\x1b-B", Shift::Right("101")),
    (b"\x1b-C", Shift::Right("109")),
    (b"\x1b-D", Shift::Right("110")),
    (b"\x1b-F", Shift::Right("126")),
    (b"\x1b-G", Shift::Right("127")),
    (b"\x1b-H", Shift::Right("138")),
    (b"\x1b-L", Shift::Right("144")),
    (b"\x1b-M", Shift::Right("148")),
];

/// Whether `dicom-object` reads text in this SpecificCharacterSet as it is meant.
pub(super) fn is_plain(value: &str) -> bool {
    !value.contains('\\') && SpecificCharacterSet::from_code(value.trim()).is_some() && number(value) != "13"
}

/// Puts a SpecificCharacterSet that was kept from the parser back: its texts hold one character for each byte.
pub(super) fn put_back(object: &mut InMemDicomObject, value: &str) {
    let values = value.split('\\').map(|set| set.trim().to_owned()).collect();
    object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, PrimitiveValue::Strs(values)));
}

/// The text that was meant where the parser could not know it.
pub(super) fn meant(object: &InMemDicomObject, parsed: String) -> String {
    if !parsed.contains(|c: char| !c.is_ascii() || c == '\x1b') {
        return parsed;
    }
    let sets = object.get(tags::SPECIFIC_CHARACTER_SET).and_then(|e| e.to_str().ok()).unwrap_or_default();
    if is_plain(&sets) {
        return parsed;
    }
    // One character for each byte, or it was parsed otherwise.
    let Some(bytes) = parsed.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>() else { return parsed };
    decode(&bytes, &sets)
}

/// `ISO 2022 IR 87` and `ISO_IR 87` are the same set.
fn number(set: &str) -> &str {
    set.trim().rsplit([' ', '_']).next().unwrap_or_default()
}

/// Text in the sets of a SpecificCharacterSet. What no set explains is shown as a question.
fn decode(bytes: &[u8], sets: &str) -> String {
    if sets.trim().is_empty()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.to_owned();
    }
    let first = sets.split('\\').next().map(number).filter(|n| !n.is_empty()).unwrap_or("100");
    let (mut left, mut right) = (None, first);
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(&next) = rest.first() {
        if next == ESC {
            let known = ESCAPES.iter().find(|(sequence, _)| rest.starts_with(sequence));
            match known {
                Some((_, Shift::Left(set))) => left = *set,
                Some((_, Shift::Right(set))) => right = set,
                None => {}
            }
            rest = &rest[known.map_or(1, |(sequence, _)| sequence.len())..];
            continue;
        }
        let ends = |&b: &u8| b == ESC || left.is_none() && DELIMITERS.contains(&b);
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        if length == 0 {
            text.push(char::from(next));
            right = first;
            rest = &rest[1..];
            continue;
        }
        let (run, behind) = rest.split_at(length);
        text += &match left {
            Some("87") => in_set("87", &[b"\x1b$B", run, b"\x1b(B"].concat()),
            Some(_) => "\u{fffd}".repeat(run.len() / 2),
            None if right == "13" => run.iter().map(|&b| japanese(b)).collect(),
            None if right == "148" => run.iter().map(|&b| turkish(b)).collect(),
            None => in_set(right, run),
        };
        rest = behind;
    }
    text
}

fn in_set(number: &str, bytes: &[u8]) -> String {
    let name = match number {
        "58" => "GBK".to_owned(),
        "GBK" | "GB18030" => number.to_owned(),
        number => format!("ISO_IR {number}"),
    };
    let set = SpecificCharacterSet::from_code(&name).unwrap_or(SpecificCharacterSet::ISO_IR_100);
    set.decode(bytes).unwrap_or_else(|_| "\u{fffd}".repeat(bytes.len()))
}

/// JIS X 0201: ASCII, but for the yen sign and the overline, and half-width katakana.
fn japanese(byte: u8) -> char {
    match byte {
        b'\\' => '\u{a5}',
        b'~' => '\u{203e}',
        0xa1..=0xdf => char::from_u32(0xff61 + u32::from(byte - 0xa1)).unwrap_or('\u{fffd}'),
        0..=0x7f => char::from(byte),
        _ => '\u{fffd}',
    }
}

/// ISO 8859-9: Latin 1 with six letters of Turkish.
fn turkish(byte: u8) -> char {
    match byte {
        0xd0 => 'Ğ',
        0xdd => 'İ',
        0xde => 'Ş',
        0xf0 => 'ğ',
        0xfd => 'ı',
        0xfe => 'ş',
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// The examples of PS3.5 H.3.1, H.3.2, I.2, J.3 and K, byte by byte.
    #[test]
    fn names_of_the_standards_annexes_are_read() {
        let kanji = "59 61 6D 61 64 61 5E 54 61 72 6F 75 3D 1B 24 42 3B 33 45 44 1B 28 42 5E 1B 24 42 42 40 4F 3A 1B 28 42 3D \
                     1B 24 42 24 64 24 5E 24 40 1B 28 42 5E 1B 24 42 24 3F 24 6D 24 26 1B 28 42";
        let half_width = "D4 CF C0 DE 5E C0 DB B3 3D 1B 24 42 3B 33 45 44 1B 28 4A 5E 1B 24 42 42 40 4F 3A 1B 28 4A 3D 1B 24 42 \
                          24 64 24 5E 24 40 1B 28 4A 5E 1B 24 42 24 3F 24 6D 24 26 1B 28 4A";
        let korean = "48 6F 6E 67 5E 47 69 6C 64 6F 6E 67 3D 1B 24 29 43 FB F3 5E 1B 24 29 43 D1 CE D4 D7 3D 1B 24 29 43 C8 AB \
                      5E 1B 24 29 43 B1 E6 B5 BF";
        for (sets, hex, name) in [
            ("\\ISO 2022 IR 87", kanji, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ("ISO 2022 IR 13\\ISO 2022 IR 87", half_width, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
            ("\\ISO 2022 IR 149", korean, "Hong^Gildong=洪^吉洞=홍^길동"),
            ("ISO_IR 148", "C7 61 F0 6C 61 5E DE 65 6E", "Çağla^Şen"),
            ("\\ISO 2022 IR 100\\ISO 2022 IR 144", "1B 2D 4C BB EE 5E 1B 2D 41 FC", "Лю^ü"),
            ("", "57 61 6E 67 5E 58 69 61 6F 44 6F 6E 67 3D E7 8E 8B 5E E5 B0 8F E6 9D B1", "Wang^XiaoDong=王^小東"),
            ("", "42 75 63 5E 4A E9 72 F4 6D 65", "Buc^Jérôme"),
        ] {
            assert_eq!(decode(&bytes(hex), sets), name, "{sets}");
        }
    }

    #[test]
    fn whatever_bytes_come_no_set_fails() {
        let mut state = 7u32;
        for _ in 0..2000 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let noise: Vec<u8> = (0..20).map(|_| if next() < 60 { ESC } else { next() }).collect();
            for sets in ["", "\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 159", "GB18030\\x", "nonsense"] {
                decode(&noise, sets);
            }
        }
    }
}
