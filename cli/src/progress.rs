//! What the program says while it works. Standard output is for results, standard error for everything else.
#![expect(clippy::print_stderr, reason = "the one place that talks to the terminal")]

use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar with rate and ETA; drawn only on a terminal.
pub fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {per_sec}, {eta} left {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what.to_string());
    bar
}

/// What went wrong first on standard output.
static FAILED: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// One line on standard output, the only way there. That it cannot be written is no reason to stop the work, whose files may be worth
/// more; [`finish`] tells.
pub fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// Text as it is.
pub fn print(text: &str) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    // After a failure the rest would stand without its beginning.
    if failed.is_none() {
        let mut out = std::io::stdout().lock();
        *failed = out.write_all(text.as_bytes()).and_then(|()| out.flush()).err();
    }
}

/// Whether all that was said was written. Who stops reading (`| head`) has seen enough: that is no failure.
///
/// # Errors
/// What went wrong with standard output.
pub fn finish() -> Result<()> {
    match FAILED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output cannot be written"),
        _ => Ok(()),
    }
}

/// What the user should know, on standard error.
pub fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// One line on standard error.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// An error, on standard error.
pub fn error(text: &str) {
    eprintln!("error: {text}");
}
