//! What a finished segmentation leaves behind for people and for other programs.
//!
//! A label map alone answers few of the questions that follow a run: how large is each organ, was it cut by the end of
//! the scan, how far is its outline to be trusted, where along the body did the network believe itself to be? The
//! files written here answer them from one [`ReportInput`]:
//!
//! | file | function | for |
//! |---|---|---|
//! | `statistics.csv` | [`statistics_csv`] | spreadsheets |
//! | `attention.csv`, `attention.json` | [`attention_csv`], [`attention_json`] | whoever studies the network |
//! | `run.json` | [`run_manifest_json`] | repeating and auditing the run |
//! | `report.html` | [`report_html`] | people: one page, no other file, no network |
//! | `cohort.html` | [`cohort_report_html`] | whoever reviews many scans |
//! | `report.html` of a training | [`training_report_html`] | whoever trains |
//!
//! Everything is strings out, so that the command line and the browser write the same files; [`ResultFiles`] makes them.
//!
//! ```text
//! let statistics = Statistics::measure(&segmentation)?;
//! let csv = statistics_csv(&segmentation, &statistics);
//! let page = report_html(&segmentation, &statistics)?;
//! ```

mod attention;
mod figures;
mod html;
mod input;
mod key_slices;
mod manifest;
mod path;
mod region_order;
mod result_files;
#[cfg(test)]
mod samples;
mod sheet;
mod side_by_side;
mod sides;
mod statistics;

pub use crate::network::weights::TrainedOrgan;
pub use attention::{attention_csv, attention_json};
pub use figures::{shade, viridis};
pub use html::{KeyPicture, cohort_report_html, report_html, training_report_html};
pub use input::{ReportError, ReportInput};
pub use key_slices::key_slices;
pub use manifest::run_manifest_json;
pub use region_order::region_order_warnings;
pub use result_files::{DicomSource, ResultFile, ResultFileError, ResultFiles};
pub use sheet::{SheetRow, SheetTile, sheet_png, sheet_rows};
pub use side_by_side::{Panel, SideBySide};
pub use statistics::{CutByScan, OrganStatistics, Statistics, statistics_csv};

/// The sentence that accompanies every result.
pub const NOT_A_MEDICAL_DEVICE: &str = "Not a medical device: every contour needs review by a qualified person.";
