//! What is sent to an archive (STOW-RS, PS3.18 10.5), and what it says of it (the Store Instances Response Module, PS3.18 annex I).

use serde_json::Value;

use super::answer::{ArchiveError, Asked, Head, check, not_dicom};
use super::attributes::Attributes;

/// A message with files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreBody {
    /// Its Content-Type.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Files, each a part. The boundary stands in none of them.
pub fn store_body(files: &[&[u8]]) -> StoreBody {
    let is_within = |boundary: &[u8]| files.iter().any(|file| file.windows(boundary.len()).any(|w| w == boundary));
    let mut boundary = String::from("attention-anatomy");
    let mut number = 0_u32;
    while is_within(boundary.as_bytes()) {
        number += 1;
        boundary = format!("attention-anatomy-{number}");
    }
    let mut bytes = Vec::with_capacity(files.iter().map(|file| file.len() + 128).sum());
    for file in files {
        bytes.extend(
            format!("--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {}\r\n\r\n", file.len())
                .bytes(),
        );
        bytes.extend_from_slice(file);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("--{boundary}--\r\n").bytes());
    StoreBody { content_type: format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"), bytes }
}

/// What an archive said of what it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreAnswer {
    /// SOPInstanceUIDs of what it kept.
    pub stored: Vec<String>,
    /// What it did not keep.
    pub unstored: Vec<Unstored>,
    /// What it kept and said something of, a sentence each.
    pub warnings: Vec<String>,
    /// Whether it said all this; without a word, success counts as kept.
    pub is_told: bool,
}

/// An object that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// Its SOPInstanceUID.
    pub instance: String,
    /// Why, in words.
    pub reason: String,
}

impl StoreAnswer {
    /// Nothing, if all was kept.
    ///
    /// # Errors
    /// [`ArchiveError::NotStored`]
    pub fn all(&self, place: &str) -> Result<(), ArchiveError> {
        if self.unstored.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = self.unstored.iter().map(|u| format!("{} {}", u.instance, u.reason)).collect();
        let (count, sent) = (self.unstored.len(), self.stored.len() + self.unstored.len());
        Err(ArchiveError::NotStored { place: place.into(), count, sent, reasons: reasons.join("; ") })
    }
}

/// Reads the answer to what was sent: `sent` are its SOPInstanceUIDs. What the archive says of objects counts more than its status, since
/// some say 400 where the standard has 202 or 409.
///
/// # Errors
/// [`ArchiveError`]: a refusal without a word on any object, or something that is no answer.
pub fn stored(
    head: &Head,
    body: &[u8],
    bytes_sent: usize,
    sent: &[String],
    place: &str,
) -> Result<StoreAnswer, ArchiveError> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    // Some put it into a list.
    let set = json.as_ref().map(|json| json.as_array().and_then(|all| all.first()).unwrap_or(json));
    let told =
        set.and_then(Attributes::of).filter(|set| set.has(FAILED) || set.has(REFERENCED) || set.has(OTHER_FAILURES));
    let Some(told) = told else {
        check(head, Asked::Store(bytes_sent), place)?;
        let is_page = not_dicom(place, &head.content_type, body);
        return match is_page {
            ArchiveError::NotDicom { ref found, .. } if found == "a web page" => Err(is_page),
            _ => Ok(StoreAnswer { stored: sent.to_vec(), ..StoreAnswer::default() }),
        };
    };
    let mut answer = StoreAnswer { is_told: true, ..StoreAnswer::default() };
    for item in told.items(REFERENCED) {
        let instance = item.text(INSTANCE);
        if let Some(code) = item.integer(WARNING) {
            answer.warnings.push(format!("{instance} {}", warning(code)));
        }
        answer.stored.push(instance);
    }
    let failures = told.items(FAILED).into_iter().chain(told.items(OTHER_FAILURES));
    for item in failures {
        let instance = item.text(INSTANCE);
        let instance = if instance.is_empty() { "an object".into() } else { instance };
        answer.unstored.push(Unstored { instance, reason: reason(item.integer(REASON)) });
    }
    for instance in sent {
        let is_said = answer.stored.contains(instance) || answer.unstored.iter().any(|u| u.instance == *instance);
        // A failure that names nothing may be any of them.
        if !is_said && answer.unstored.iter().all(|u| u.instance != "an object") {
            answer
                .unstored
                .push(Unstored { instance: instance.clone(), reason: "is not mentioned in the answer".into() });
        }
    }
    Ok(answer)
}

/// FailedSOPSequence.
const FAILED: &str = "00081198";
/// ReferencedSOPSequence.
const REFERENCED: &str = "00081199";
/// OtherFailuresSequence.
const OTHER_FAILURES: &str = "0008119A";
/// ReferencedSOPInstanceUID.
const INSTANCE: &str = "00081155";
/// WarningReason.
const WARNING: &str = "00081196";
/// FailureReason.
const REASON: &str = "00081197";

/// FailureReason (0008,1197) in words (PS3.18 table I.2-2).
fn reason(code: Option<i64>) -> String {
    let words = match code {
        Some(0xA700..=0xA7FF) => "was refused because the archive has no room left",
        Some(0xA900..=0xA9FF) => "does not fit its SOP class, the archive says",
        Some(0xC122) => "has a transfer syntax that the archive does not take",
        Some(0xC000..=0xCFFF) => "was not understood",
        Some(0x0110) => {
            "could not be processed (most often: of another study than the address, or refused by a rule of the archive)"
        }
        Some(0x0111) => "is there already, with other content",
        Some(0x0122) => "has a SOP class that the archive does not take",
        Some(0x0124) => "was refused: whoever asks has no right to store it",
        Some(0x0131 | 0x0132) => "needs another SOP class than the archive lets in",
        _ => "was not kept, without a reason that is known",
    };
    code.map_or_else(|| words.into(), |code| format!("{words} (failure reason {code:04X})"))
}

/// WarningReason (0008,1196) in words (PS3.18 table I.2-1).
fn warning(code: i64) -> String {
    let words = match code {
        0xB000 => "was kept with attributes that the archive changed",
        0xB006 => "was kept without elements that the archive left out",
        0xB007 => "was kept although it does not fit its SOP class, the archive says",
        _ => "was kept with a warning",
    };
    format!("{words} (warning reason {code:04X})")
}

#[cfg(test)]
mod tests {
    use super::super::multipart::{Limits, PartReader};
    use super::*;

    const PLACE: &str = "the archive";

    fn answer(status: u16, name: &str, sent: &[&str]) -> Result<StoreAnswer, ArchiveError> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/dicomweb");
        let body = std::fs::read(format!("{folder}/{name}")).unwrap();
        read(status, &body, sent)
    }

    fn read(status: u16, body: &[u8], sent: &[&str]) -> Result<StoreAnswer, ArchiveError> {
        let sent: Vec<String> = sent.iter().map(ToString::to_string).collect();
        stored(&Head { status, ..Head::default() }, body, 10, &sent, PLACE)
    }

    #[test]
    fn what_is_written_is_read_again_and_a_boundary_stands_in_no_file() {
        let files: [&[u8]; 3] = [b"DICM\r\n--attention-anatomy--\r\n", b"", b"attention-anatomy-1\r"];
        let body = store_body(&files);
        assert!(body.content_type.ends_with("boundary=attention-anatomy-2"), "{}", body.content_type);
        let mut reader = PartReader::new(&body.content_type, Limits::default()).unwrap();
        let parts: Vec<Vec<u8>> = reader.push(&body.bytes).unwrap().into_iter().map(|part| part.body).collect();
        assert_eq!(parts, files);
        assert_eq!(reader.finish(), Ok(None));
    }

    #[test]
    fn what_a_real_archive_says_is_understood() {
        let one = "1.2.826.0.1.3680043.10.9.1";
        let kept = answer(200, "stored.json", &[one]).unwrap();
        assert_eq!(
            (kept.stored.as_slice(), kept.is_told, kept.all(PLACE)),
            ([one.to_owned()].as_slice(), true, Ok(()))
        );
        // Of two parts one was no DICOM: the archive says 400, and names what it kept.
        let half = answer(400, "stored.json", &[one, "1.2.3"]).unwrap();
        assert_eq!(half.stored, [one]);
        assert_eq!(
            half.all(PLACE).unwrap_err().to_string(),
            "the archive did not keep 1 of 2 objects: 1.2.3 is not mentioned in the answer"
        );
        let conflict = answer(409, "conflict.json", &[one]).unwrap();
        assert!(conflict.stored.is_empty());
        let said = conflict.all(PLACE).unwrap_err().to_string();
        assert!(said.contains("1 of 1") && said.contains(one) && said.contains("failure reason 0110"), "{said}");
    }

    #[test]
    fn reasons_are_words() {
        for (code, word) in [
            (0xA700, "no room"),
            (0xA901, "SOP class"),
            (0xC122, "transfer syntax"),
            (0xC001, "not understood"),
            (0x0110, "could not be processed"),
            (0x0122, "SOP class that the archive does not take"),
            (0x0124, "no right"),
            (0x0999, "without a reason"),
        ] {
            let body = format!(
                r#"{{"00081198":{{"vr":"SQ","Value":[{{"00081155":{{"Value":["1.2"]}},"00081197":{{"Value":["{code}"]}}}}]}}}}"#
            );
            let said = read(202, body.as_bytes(), &["1.2"]).unwrap().all(PLACE).unwrap_err().to_string();
            assert!(said.contains(word) && said.contains(&format!("{code:04X}")), "{said}");
        }
        let warned = r#"[{"00081199":{"Value":[{"00081155":{"Value":["1.2"]},"00081196":{"Value":[45056]}}]}}]"#;
        let warned = read(202, warned.as_bytes(), &["1.2"]).unwrap();
        assert_eq!((warned.all(PLACE), warned.warnings.len()), (Ok(()), 1));
        assert!(warned.warnings[0].contains("changed"));
        let nameless = r#"{"0008119A":{"Value":[{"00081197":{"Value":[49152]}}]},"00081199":{"vr":"SQ"}}"#;
        assert_eq!(read(409, nameless.as_bytes(), &["1.2"]).unwrap().unstored.len(), 1);
    }

    #[test]
    fn silence_is_success_and_a_web_page_is_not() {
        let silent = read(200, b"", &["1.2"]).unwrap();
        assert_eq!((silent.stored.as_slice(), silent.is_told), (["1.2".to_owned()].as_slice(), false));
        assert!(read(200, b"<NativeDicomModel/>", &["1.2"]).is_ok());
        assert!(matches!(read(200, b"<html>sign in", &["1.2"]), Err(ArchiveError::NotDicom { .. })));
        for status in [302, 400, 401, 403, 409, 413, 503] {
            assert!(
                matches!(read(status, b"{\"Message\":\"no\"}", &["1.2"]), Err(ArchiveError::Refused(_))),
                "{status}"
            );
        }
    }
}
