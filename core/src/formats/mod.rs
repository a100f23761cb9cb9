//! File formats: bytes in, volume out, and back.
//!
//! Every reader takes bytes, so that the browser uses the same code, and trusts none of them: what a file is, is told
//! by its content and not by its name; no header's claim is believed before the bytes back it; how the image lies in
//! the patient is read or refused, never guessed.

pub mod archive;
pub mod dicom;
pub mod nifti;
pub mod nrrd;
pub mod rtstruct;
pub mod seg;
pub mod structures;

mod beside;
mod check;
mod drawn;
#[cfg(test)]
mod exchange;
mod expression;
mod finding;
mod gzip;
mod image_header;
mod label_names;
mod masks;
#[cfg(test)]
mod mutated;
mod naming;
mod open;
#[cfg(test)]
mod orientations;
#[cfg(test)]
mod round_trips;
mod samples;
mod source;
mod undecided;

#[cfg(test)]
mod allocated;
#[cfg(test)]
pub(crate) mod analytic;

pub use beside::read_ct_beside;
pub use check::check;
pub use drawn::{Reference, read_labels, read_numbered, read_organs, read_organs_on, read_structures};
pub use expression::{ExpressionError, Rule};
pub use finding::{Finding, Weight};
pub(crate) use image_header::printable;
pub use image_header::{Format, ImageHeader, ReadOptions};
pub(crate) use label_names::organ_named;
pub use label_names::{LabelError, LabelNames};
pub use masks::write_masks;
pub(crate) use naming::{EDITS_KEY, edits_comment};
pub use naming::{kept_edits, read_ct_or_labels, read_ct_or_labels_from, says_names, structures_title};
pub use open::{
    FormatError, MAX_UNPACKED, packed_twice, read_ct, read_ct_and_series, read_ct_or_organs, read_header, sniff,
};
pub use samples::{ByteOrder, SampleError, SampleType};
pub use undecided::CtOrLabels;
