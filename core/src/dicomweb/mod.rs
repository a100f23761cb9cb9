//! DICOMweb (PS3.18) without transport: what is asked for, as addresses and bodies, and what the answers mean.
//!
//! A clinician's CT lies in an archive, not in a folder. Whoever talks to one has two troubles: the answers of real archives are odd in
//! small ways, and when something between browser and archive is not as it should be, nobody says what. So every reader here takes what
//! can be understood and counts the rest, and every answer that is none is told in a sentence that a hospital's IT department can act on.
//!
//! The page asks by `fetch`, the program by an HTTP client of its own; both hand the bytes in as they come ([`Transport`]), and what is asked
//! when, and again, is the same for both ([`Archive`]).
//!
//! | file | |
//! |---|---|
//! | `address.rs` | the root of an archive, and the addresses below it: QIDO-RS, WADO-RS, STOW-RS |
//! | `rows.rs`, `attributes.rs` | lists of studies, series and instances, from DICOM JSON (PS3.18 annex F) |
//! | `content_type.rs`, `multipart.rs` | `multipart/related`, chunk by chunk |
//! | `retrieval.rs` | which instances of a series have come, and which are missing |
//! | `store.rs` | what is sent, and what the archive says of it |
//! | `answer.rs` | answers that are none, in words |
//! | `choice.rs` | which series of a study is meant |
//! | `transport.rs` | what carries requests and answers, and what goes wrong on the way |
//! | `client.rs` | an archive that is asked: lists, series, what is sent; again where that helps |

mod address;
mod answer;
mod attributes;
mod choice;
mod client;
mod content_type;
mod multipart;
mod retrieval;
mod rows;
mod store;
mod transport;

pub use address::{ACCEPT_DICOM, ACCEPT_JSON, AddressError, Page, Root, StudyQuery};
pub use answer::{ArchiveError, Asked, Head, Refusal, check, not_dicom};
pub use choice::{Scans, is_drawn, scans};
pub use client::{Archive, News, Receiver};
pub use multipart::{Limits, MultipartError, Part, PartReader};
pub use retrieval::{Incomplete, Retrieval, Taken};
pub use rows::{InstanceRow, Listed, Row, SeriesRow, StudyRow, read_rows};
pub use store::{StoreAnswer, StoreBody, Unstored, store_body, stored};
pub use transport::{Answer, Body, Broken, Later, OwnError, Request, Transport, Trouble, authorization};
