//! Measurements on a terminal and on the disk.

use anyhow::Result;
use attention_anatomy::metrics::Evaluation;

use crate::progress;

/// Names of the files of [`files`].
pub const FILES: [&str; 4] = ["evaluation.md", "evaluation.json", "evaluation.csv", "cases.csv"];

/// An evaluation as files.
///
/// # Errors
/// The reason, should it not be writable.
pub fn files(evaluation: &Evaluation) -> Result<Vec<(String, Vec<u8>)>> {
    Ok(evaluation.files()?.into_iter().map(|(name, text)| (name.to_string(), text.into_bytes())).collect())
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Markdown,
    /// One row an organ.
    Csv,
    /// Every figure of every patient and organ, for programs.
    Json,
}

/// Prints an evaluation.
///
/// # Errors
/// The reason, should it not be writable.
pub fn print(evaluation: &Evaluation, format: Format) -> Result<()> {
    let text = match format {
        Format::Markdown => evaluation.markdown(),
        Format::Csv => evaluation.organs_csv(),
        Format::Json => evaluation.json()?,
    };
    progress::print_line(text.trim_end());
    Ok(())
}
