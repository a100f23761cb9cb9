//! Addresses below the root of an archive (PS3.18 chapters 8 and 10). UIDs are digits and points, and what people type is escaped, so that no
//! text becomes a path or an option.

use std::fmt::Write;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::formats::dicom::is_uid;

/// What a list is asked for as.
pub const ACCEPT_JSON: &str = "application/dicom+json";
/// What images are asked for as: whole instances, in the transfer syntax that the archive has them in.
pub const ACCEPT_DICOM: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";

/// Why text is no address of an archive, or no UID of a study.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `https://`, `http://` nor a path of the same origin.
    #[error(
        "{0:?} is no address of an archive; write the root of its DICOMweb services, as https://archive.example/dicom-web"
    )]
    NotHttp(String),
    /// `user:password@` in it. It is not repeated.
    #[error("an address must not hold a user or a password: it is shown, and others can see it; give a token instead")]
    Secret,
    /// Something that belongs behind the root.
    #[error("{0:?} has a ? or # in it; write only the root of the archive's DICOMweb services")]
    Query(String),
    /// Not a UID.
    #[error("{0:?} is no {1} UID: digits and points, at most 64")]
    Uid(String, &'static str),
    /// Not a date.
    #[error(
        "{0:?} is no date; write 2024-01-31, or 2024-01-01..2024-01-31 for a range of which either end may be left out"
    )]
    Date(String),
}

/// The root of an archive's DICOMweb services: `https://archive.example/dicom-web`, or a path of the page's own origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Root(String);

impl TryFrom<String> for Root {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Root> for String {
    fn from(root: Root) -> Self {
        root.0
    }
}

impl FromStr for Root {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim().trim_end_matches('/');
        let no_address = || AddressError::NotHttp(text.to_owned());
        let rest = ["https://", "http://"].iter().find_map(|scheme| {
            let start = text.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
        });
        let authority = match rest {
            Some(rest) => rest.split(['/', '?', '#']).next().filter(|a| !a.is_empty()).ok_or_else(no_address)?,
            None if text.starts_with('/') && !text.starts_with("//") => "",
            None => return Err(no_address()),
        };
        if authority.contains('@') {
            return Err(AddressError::Secret);
        }
        if text.contains(['?', '#']) {
            return Err(AddressError::Query(text.to_owned()));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)) {
            return Err(no_address());
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a long list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The most rows.
    pub limit: usize,
    /// Rows before the first.
    pub offset: usize,
}

/// Which studies are listed; what is empty is not asked for. `*` and `?` stand for anything and for one character, as in PS3.4 C.2.2.2.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyQuery {
    /// StudyInstanceUID (0020,000D).
    pub uid: String,
    /// PatientName (0010,0010), as `Yamada*`.
    pub patient_name: String,
    /// PatientID (0010,0020).
    pub patient_id: String,
    /// AccessionNumber (0008,0050).
    pub accession: String,
    /// StudyDescription (0008,1030). Matching it is optional for an archive.
    pub description: String,
    /// StudyDate (0008,0020): a day or a range, as DICOM has it ([`StudyQuery::dates_of`]).
    pub dates: String,
    /// ModalitiesInStudy (0008,0061).
    pub modality: String,
}

/// Shows nothing on purpose: a log line must not carry a name.
impl std::fmt::Debug for StudyQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StudyQuery(withheld)")
    }
}

impl StudyQuery {
    /// A range of dates as DICOM has it (`20240101-20240131`), from what people write (`2024-01-01..2024-01-31`, `2024-01-31`, `2024-01-01..`).
    ///
    /// # Errors
    /// [`AddressError::Date`]
    pub fn dates_of(text: &str) -> Result<String, AddressError> {
        let wrong = || AddressError::Date(text.to_owned());
        let day = |day: &str| {
            let digits: String = day.trim().chars().filter(|c| *c != '-').collect();
            let is_day = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
            let within = |range: std::ops::Range<usize>, most: u32| {
                digits[range].parse::<u32>().is_ok_and(|number| (1..=most).contains(&number))
            };
            (is_day && within(4..6, 12) && within(6..8, 31)).then_some(digits)
        };
        match text.split_once("..") {
            None => day(text).ok_or_else(wrong),
            Some((from, to)) => {
                let end = |text: &str| if text.trim().is_empty() { Some(String::new()) } else { day(text) };
                match (end(from), end(to)) {
                    (Some(from), Some(to)) if !(from.is_empty() && to.is_empty()) => Ok(format!("{from}-{to}")),
                    _ => Err(wrong()),
                }
            }
        }
    }
}

impl Root {
    /// Whether nobody on the way can read what is sent: TLS, this machine, or the origin of the page, which decided that for itself.
    pub fn is_private(&self) -> bool {
        let lower = self.0.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix("http://") else { return true };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The origin, in small letters, `https://archive.example:8443`; `None` where it is that of the page.
    pub fn origin(&self) -> Option<String> {
        let (scheme, rest) = self.0.split_once("://")?;
        Some(format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()).to_ascii_lowercase())
    }

    /// The list of studies (QIDO-RS, PS3.18 10.6).
    pub fn studies(&self, query: &StudyQuery, page: Page) -> String {
        let mut address = format!("{self}/studies?");
        for (name, value) in [
            ("StudyInstanceUID", &query.uid),
            ("PatientName", &query.patient_name),
            ("PatientID", &query.patient_id),
            ("AccessionNumber", &query.accession),
            ("StudyDescription", &query.description),
            ("StudyDate", &query.dates),
            ("ModalitiesInStudy", &query.modality),
        ] {
            if !value.is_empty() {
                let _ = write!(address, "{name}={}&", escaped(value));
            }
        }
        // StudyDescription, ModalitiesInStudy, and how many series and instances there are: not everyone tells unasked.
        for tag in ["00081030", "00080061", "00201206", "00201208"] {
            let _ = write!(address, "includefield={tag}&");
        }
        address + &paged(page)
    }

    /// The list of a study's series.
    ///
    /// # Errors
    /// [`AddressError::Uid`]
    pub fn series(&self, study: &str, page: Page) -> Result<String, AddressError> {
        let study = self.study(study)?;
        // SeriesDescription and the number of instances.
        Ok(format!("{study}/series?includefield=0008103E&includefield=00201209&{}", paged(page)))
    }

    /// The list of a series' instances.
    ///
    /// # Errors
    /// [`AddressError::Uid`]
    pub fn instances(&self, study: &str, series: &str, page: Page) -> Result<String, AddressError> {
        Ok(format!("{}/instances?{}", self.whole_series(study, series)?, paged(page)))
    }

    /// All instances of a series (WADO-RS, PS3.18 10.4).
    ///
    /// # Errors
    /// [`AddressError::Uid`]
    pub fn whole_series(&self, study: &str, series: &str) -> Result<String, AddressError> {
        Ok(format!("{}/series/{}", self.study(study)?, uid(series, "series")?))
    }

    /// One instance.
    ///
    /// # Errors
    /// [`AddressError::Uid`]
    pub fn instance(&self, study: &str, series: &str, instance: &str) -> Result<String, AddressError> {
        Ok(format!("{}/instances/{}", self.whole_series(study, series)?, uid(instance, "instance")?))
    }

    /// Where objects are stored (STOW-RS, PS3.18 10.5).
    pub fn store(&self) -> String {
        format!("{self}/studies")
    }

    fn study(&self, study: &str) -> Result<String, AddressError> {
        Ok(format!("{self}/studies/{}", uid(study, "study")?))
    }
}

fn uid<'a>(text: &'a str, of: &'static str) -> Result<&'a str, AddressError> {
    if is_uid(text) { Ok(text) } else { Err(AddressError::Uid(text.chars().take(80).collect(), of)) }
}

fn paged(page: Page) -> String {
    format!("limit={}&offset={}", page.limit, page.offset)
}

/// Percent-encoded (RFC 3986 2.1), but for unreserved characters and the `*` of a search.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page { limit: 50, offset: 100 };

    fn root(text: &str) -> Result<Root, AddressError> {
        text.parse()
    }

    #[test]
    fn a_root_is_an_address_without_secrets_and_without_a_slash_at_its_end() {
        for (text, expected) in [
            ("https://archive.example/dicom-web/", "https://archive.example/dicom-web"),
            (" http://127.0.0.1:8042/dicom-web//", "http://127.0.0.1:8042/dicom-web"),
            ("HTTPS://A/b", "HTTPS://A/b"),
            ("/dicom-web/", "/dicom-web"),
        ] {
            assert_eq!(root(text).unwrap().to_string(), expected);
        }
        let secret = root("https://user:secret@archive.example/").unwrap_err();
        assert!(secret == AddressError::Secret && !secret.to_string().contains("secret@"));
        assert!(matches!(root("https://a/b?x=1"), Err(AddressError::Query(_))));
        for wrong in
            ["", "archive", "ftp://a/b", "https://", "//a/b", "https:///b", "https://a/ b", "https://a/\"", "/ü"]
        {
            assert!(matches!(root(wrong), Err(AddressError::NotHttp(_))), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (text, origin) in [
            ("HTTPS://Archive.example:8443/dicom-web", Some("https://archive.example:8443")),
            ("http://127.0.0.1", Some("http://127.0.0.1")),
            ("/dicom-web", None),
        ] {
            assert_eq!(root(text).unwrap().origin().as_deref(), origin);
        }
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        for (text, private) in [
            ("https://archive.example", true),
            ("HTTP://LOCALHOST:80/x", true),
            ("http://127.1.2.3/x", true),
            ("http://[::1]:8042/x", true),
            ("/dicom-web", true),
            ("http://archive.example/x", false),
            ("http://localhost.example/x", false),
            ("http://127.0.0.1.example/x", false),
            ("http://10.0.0.1/x", false),
        ] {
            assert_eq!(root(text).unwrap().is_private(), private, "{text}");
        }
    }

    #[test]
    fn what_people_type_never_leaves_its_place() {
        let query = StudyQuery {
            patient_name: "Müller&limit=1/../*".into(),
            dates: "20240101-".into(),
            ..StudyQuery::default()
        };
        let address = root("https://a/b").unwrap().studies(&query, PAGE);
        let expected = "https://a/b/studies?PatientName=M%C3%BCller%26limit%3D1%2F..%2F*&StudyDate=20240101-&includefield=00081030\
                        &includefield=00080061&includefield=00201206&includefield=00201208&limit=50&offset=100";
        assert_eq!(address, expected);
        assert_eq!(format!("{query:?}"), "StudyQuery(withheld)");
    }

    #[test]
    fn addresses_are_those_of_the_standard_and_uids_are_uids() {
        let root = root("https://a/b").unwrap();
        assert_eq!(root.store(), "https://a/b/studies");
        assert_eq!(root.whole_series("1.2", "3.4").unwrap(), "https://a/b/studies/1.2/series/3.4");
        assert_eq!(root.instance("1.2", "3.4", "5.6").unwrap(), "https://a/b/studies/1.2/series/3.4/instances/5.6");
        let listed = root.instances("1.2", "3.4", PAGE).unwrap();
        assert_eq!(listed, "https://a/b/studies/1.2/series/3.4/instances?limit=50&offset=100");
        assert!(root.series("1.2", PAGE).unwrap().starts_with("https://a/b/studies/1.2/series?includefield=0008103E"));
        for wrong in ["", "1.2/../..", "1.2?x", "x"] {
            assert!(root.series(wrong, PAGE).is_err() && root.instance("1.2", "3", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_days_or_ranges() {
        for (text, expected) in [
            ("2024-01-31", "20240131"),
            ("20240131", "20240131"),
            ("2024-01-01..2024-01-31", "20240101-20240131"),
            ("2024-01-01..", "20240101-"),
            ("..2024-01-31", "-20240131"),
        ] {
            assert_eq!(StudyQuery::dates_of(text).unwrap(), expected);
        }
        for wrong in ["", "..", "yesterday", "2024-13-01", "2024-01-32", "2024-01", "31.01.2024", "2024-01-01..x"] {
            assert!(StudyQuery::dates_of(wrong).is_err(), "{wrong}");
        }
    }
}
