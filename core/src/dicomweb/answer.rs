//! Answers that are none, in words. Whoever reads them is a clinician, who forwards them, and somebody who runs a server, a proxy or a
//! firewall: so they name the place, the number and what is most often the reason. Nothing that an archive wrote itself is repeated, since
//! it may name a patient.

use super::content_type::ContentType;
use super::multipart::MultipartError;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A list (QIDO-RS).
    List,
    /// Images (WADO-RS).
    Retrieve,
    /// To keep so many bytes (STOW-RS).
    Store(usize),
}

/// What stands in front of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Content-Type; empty where there is none.
    pub content_type: String,
    /// Retry-After in seconds.
    pub retry_after: Option<u64>,
    /// Location of a redirection.
    pub location: Option<String>,
    /// WWW-Authenticate.
    pub authenticate: Option<String>,
}

/// An answer by status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The archive.
    pub place: String,
    /// What was asked for.
    pub asked: Asked,
    /// What stood in front of the answer.
    pub head: Head,
}

/// Why an archive gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Something else came.
    #[error("{place} answered with {found} in place of DICOM; {advice}")]
    NotDicom {
        /// The archive.
        place: String,
        /// What came.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A body that is odd or was cut off.
    #[error("the answer of {place} cannot be used: {error}")]
    Body {
        /// The archive.
        place: String,
        /// What is wrong with it.
        error: MultipartError,
    },
    /// Objects that were not kept.
    #[error("{place} did not keep {count} of {sent} objects: {reasons}")]
    NotStored {
        /// The archive.
        place: String,
        /// How many.
        count: usize,
        /// Of how many.
        sent: usize,
        /// Each with its reason.
        reasons: String,
    },
}

/// The error of a status that means nothing was given; redirections count, because they are not followed.
///
/// # Errors
/// [`ArchiveError::Refused`]
pub fn check(head: &Head, asked: Asked, place: &str) -> Result<(), ArchiveError> {
    match head.status {
        200..=299 => Ok(()),
        _ => Err(ArchiveError::Refused(Box::new(Refusal { place: place.into(), asked, head: head.clone() }))),
    }
}

impl Refusal {
    /// Whether the same may be answered in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self.head.status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
    }
}

impl ArchiveError {
    /// Whether the same may be answered in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Body { error: MultipartError::CutOff { .. }, .. } => true,
            Self::Body { .. } | Self::NotDicom { .. } | Self::NotStored { .. } => false,
        }
    }

    /// How long the archive wants to be left alone, seconds.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused(refusal) => refusal.head.retry_after,
            _ => None,
        }
    }
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place, asked, head } = self;
        let status = head.status;
        let doing = match asked {
            Asked::List => "list studies",
            Asked::Retrieve => "retrieve images",
            Asked::Store(_) => "store objects",
        };
        match status {
            300..=399 => {
                let to = head.location.as_deref().and_then(host).map_or_else(String::new, |host| format!(" to {host}"));
                write!(
                    f,
                    "{place} sends elsewhere{to} ({status}), which is not followed: most often to a sign-in page, or from http to https; \
                     sign in first, or give the address that answers itself"
                )
            }
            400 => write!(f, "{place} does not understand the request to {doing} (400 Bad Request); its log says why"),
            401 => {
                let schemes = schemes(head.authenticate.as_deref().unwrap_or_default());
                let takes = if schemes.is_empty() { String::new() } else { format!(", it takes {schemes}") };
                write!(
                    f,
                    "{place} does not know who asks (401 Unauthorized{takes}); sign in, or give a token that has not expired"
                )
            }
            403 => write!(
                f,
                "{place} knows who asks, and does not allow to {doing} (403 Forbidden); ask whoever runs the archive for that right"
            ),
            404 | 410 => match asked {
                Asked::List => write!(
                    f,
                    "{place} has no list there ({status}); check the root of the address, which differs between archives (Orthanc: \
                     /dicom-web, dcm4chee: /dcm4chee-arc/aets/TITLE/rs)"
                ),
                Asked::Retrieve => write!(
                    f,
                    "{place} does not have it ({status}); it was moved or deleted, or the root of the address is not that of DICOMweb"
                ),
                Asked::Store(_) => {
                    write!(
                        f,
                        "{place} has no place to store into ({status}); check the root of the address, and that STOW-RS is on"
                    )
                }
            },
            405 | 501 => {
                write!(
                    f,
                    "{place} does not let anyone {doing} there ({status}); that part of its DICOMweb services is off or missing"
                )
            }
            406 => write!(
                f,
                "{place} cannot give what was asked for as {} (406 Not Acceptable)",
                match asked {
                    Asked::Retrieve => "application/dicom, and only rendered images are no use here",
                    Asked::List | Asked::Store(_) => "application/dicom+json",
                }
            ),
            407 => write!(
                f,
                "a proxy on the way to {place} does not know who asks (407); sign in to it, or leave it out (NO_PROXY)"
            ),
            409 => {
                write!(f, "{place} kept nothing of what was sent (409 Conflict), and does not say why; its log does")
            }
            413 => {
                let size = match asked {
                    Asked::Store(bytes) => format!(" of {:.1} MB", *bytes as f64 / 1e6),
                    Asked::List | Asked::Retrieve => String::new(),
                };
                write!(
                    f,
                    "{place}, or a server in front of it, takes no message{size} (413 Content Too Large); raise its limit (nginx: \
                     client_max_body_size, Apache: LimitRequestBody)"
                )
            }
            415 => write!(
                f,
                "{place} does not take DICOM files in multipart/related (415); that it has STOW-RS is to be checked"
            ),
            429 => {
                let when = head.retry_after.map_or_else(String::new, |seconds| format!(", again in {seconds} s"));
                write!(
                    f,
                    "{place} asks for fewer requests (429 Too Many Requests{when}); raise the limit for this machine, or wait"
                )
            }
            502 | 504 => write!(
                f,
                "the server in front of {place} does not reach the archive behind it ({status}); the archive is down, or too slow for its \
                 time limit"
            ),
            503 => {
                let when = head.retry_after.map_or_else(String::new, |seconds| format!(", again in {seconds} s"));
                write!(f, "{place} is not available now (503{when})")
            }
            507 => write!(f, "{place} has no room left (507)"),
            500..=599 => write!(f, "{place} failed on the request to {doing} ({status}); its log says why"),
            _ => write!(f, "{place} answered {status} to the request to {doing}"),
        }
    }
}

/// The host of an address.
fn host(location: &str) -> Option<&str> {
    let (_, rest) = location.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))).then_some(host)
}

/// The ways of signing in that are offered, by name.
fn schemes(field: &str) -> String {
    let known = ["Bearer", "Basic", "Digest", "Negotiate", "NTLM"];
    let words: Vec<&str> = field.split([' ', ',']).collect();
    let offered = known.iter().filter(|name| words.iter().any(|word| word.eq_ignore_ascii_case(name)));
    offered.copied().collect::<Vec<_>>().join(" or ")
}

/// What came in place of DICOM, told by its Content-Type and the beginning of its body.
pub fn not_dicom(place: &str, content_type: &str, body: &[u8]) -> ArchiveError {
    let essence = ContentType::parse(content_type).essence;
    let start = String::from_utf8_lossy(&body[..body.len().min(200)]).trim_start().to_ascii_lowercase();
    let is_page = essence == "text/html" || start.starts_with("<!doctype html") || start.starts_with("<html");
    let (found, advice) = match () {
        () if is_page => (
            "a web page".into(),
            "a sign-in page or a proxy stands in between, or the address is that of the archive's own pages and not of its DICOMweb \
             services",
        ),
        () if essence.contains("xml") || start.starts_with("<?xml") => {
            ("XML".into(), "it must be able to answer as application/dicom+json (PS3.18 annex F)")
        }
        () if start.is_empty() => ("nothing".into(), "check the root of the address, and what the archive's log says"),
        () => {
            let plain = essence.bytes().all(|b| b.is_ascii_graphic()) && !essence.is_empty() && essence.len() < 60;
            let what = if plain { format!("something else ({essence})") } else { "something else".into() };
            (what, "check the root of the address, which is that of the archive's DICOMweb services")
        }
    };
    ArchiveError::NotDicom { place: place.into(), found, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "https://archive.example/dicom-web";

    fn refusal(asked: Asked, head: Head) -> ArchiveError {
        check(&head, asked, PLACE).unwrap_err()
    }

    fn said(status: u16, asked: Asked) -> String {
        refusal(asked, Head { status, ..Head::default() }).to_string()
    }

    #[test]
    fn every_refusal_names_the_place_the_number_and_what_to_do() {
        for (status, asked, what) in [
            (302, Asked::List, "sign-in page"),
            (400, Asked::List, "its log"),
            (401, Asked::List, "token"),
            (403, Asked::Store(1), "does not allow to store objects"),
            (404, Asked::List, "/dicom-web"),
            (404, Asked::Retrieve, "moved or deleted"),
            (404, Asked::Store(1), "STOW-RS"),
            (405, Asked::Store(1), "does not let anyone store objects"),
            (406, Asked::Retrieve, "application/dicom,"),
            (407, Asked::List, "proxy"),
            (409, Asked::Store(1), "kept nothing"),
            (413, Asked::Store(2_500_000), "of 2.5 MB"),
            (415, Asked::Store(1), "multipart/related"),
            (429, Asked::List, "fewer requests"),
            (500, Asked::Retrieve, "failed on the request to retrieve images"),
            (502, Asked::List, "does not reach the archive behind it"),
            (503, Asked::List, "not available"),
            (504, Asked::List, "time limit"),
            (507, Asked::Store(1), "no room"),
            (418, Asked::List, "418"),
        ] {
            let said = said(status, asked);
            assert!(said.contains(PLACE) && said.contains(&status.to_string()) && said.contains(what), "{said}");
        }
        assert!((200..300).all(|status| check(&Head { status, ..Head::default() }, Asked::List, PLACE).is_ok()));
    }

    #[test]
    fn what_the_archive_offers_is_said_and_nothing_else_of_it() {
        let authenticate = Some("Bearer realm=\"Jane Doe\", Basic realm=\"x\"".into());
        let said = refusal(Asked::List, Head { status: 401, authenticate, ..Head::default() }).to_string();
        assert!(said.contains("it takes Bearer or Basic") && !said.contains("Doe"), "{said}");
        let location = Some("https://login.example:444/sign-in?patient=Doe".into());
        let said = refusal(Asked::List, Head { status: 302, location, ..Head::default() }).to_string();
        assert!(said.contains("to login.example:444 (302)") && !said.contains("Doe"), "{said}");
        let waiting = refusal(Asked::List, Head { status: 429, retry_after: Some(7), ..Head::default() });
        assert!(waiting.to_string().contains("again in 7 s") && waiting.retry_after() == Some(7));
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let passing = |status| refusal(Asked::List, Head { status, ..Head::default() }).is_passing();
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![301, 400, 401, 403, 404, 409, 413, 415, 501, 507].into_iter().any(passing));
    }

    #[test]
    fn what_came_in_place_of_dicom_is_told() {
        for (content_type, body, what) in [
            ("text/html; charset=utf-8", "", "a web page"),
            ("application/dicom+json", "\n <!DOCTYPE HTML><html>", "a web page"),
            ("application/dicom+xml", "<?xml version=\"1.0\"?>", "XML"),
            ("", "", "nothing"),
            ("text/plain", "Jane Doe", "something else (text/plain)"),
            ("\u{7}", "x", "something else in place"),
        ] {
            let said = not_dicom(PLACE, content_type, body.as_bytes()).to_string();
            assert!(said.contains(what) && said.contains(PLACE) && !said.contains("Doe"), "{said}");
        }
    }
}
