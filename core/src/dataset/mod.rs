//! Partially annotated CT sets, from their description to the batches that a trainer eats.
//!
//! Several sets, each of which annotates some of the 33 organs, are trained on together. What is not annotated is
//! unknown, never background; the re-calibration weights w that say so are made here, once for each slice of a case.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | what a training file says of a set |
//! | `manifest.rs` | a set as its index file describes it |
//! | `patients.rs` | who is who across the sets, and on which side of a split everybody stands |
//! | `load.rs` | the files of a case, wherever they are, and who is held out |
//! | `prepared.rs` | cases on the model grid, each prepared once for all trainings |
//! | `parallel.rs` | work on many scans at a time |
//! | `scans.rs` | the scans of all cases, hashed once |
//! | `labels.rs` | label maps with numbers of their own, and masks, become labels of the anatomy table |
//! | `regions/` | which body region each slice shows, derived from landmarks |
//! | `case.rs` | a case on the model grid, with its re-calibration weights |
//! | `planes.rs` | its pixels: in memory, or in a file that is mapped there |
//! | `sampler.rs` | which slices make the batch of a step: a pure function of seed and step |
//! | `augment.rs` | geometry and intensity changes, never a left-right mirror |
//! | `batch.rs` | stacks and targets of a batch |
//! | `target.rs` | the truth of a batch, and what is counted of it |
//! | `case_archive.rs` | prepared cases in one file, packed or to be mapped |

pub mod augment;
pub mod batch;
pub mod case;
pub mod case_archive;
pub mod config;
pub mod labels;
pub mod load;
pub mod manifest;
mod parallel;
pub mod patients;
pub mod planes;
pub mod prepared;
pub mod regions;
pub mod sampler;
#[cfg(test)]
pub(crate) mod samples;
pub mod scans;
pub mod target;

pub use augment::{Augmentation, Elastic};
pub use batch::{Batch, make_batch};
pub use case::{Hpa, PrepareError, PreparedCase};
pub use case_archive::{ArchivedSet, CaseArchive, CaseArchiveError, CaseArchiveWriter, Storage};
pub use config::DataConfig;
pub use load::{CaseSource, LoadError, LoadedSet, NamedFiles, SplitSpec};
pub use manifest::{CaseEntry, DataSet, Fold, LabelFiles, ManifestError, OneOrMore};
pub use patients::{Patients, ScanKey, SplitConflict};
pub use planes::{Bytes, Planes};
pub use prepared::{PatientSplit, Prepared};
pub use sampler::{Sampler, SliceRef};
pub use scans::Scans;
pub use target::{BatchCounts, Target};
