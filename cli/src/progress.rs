//! What the program says while it works. Standard output is for results, standard error for everything else.
#![expect(clippy::print_stderr, reason = "the one place that talks to the terminal")]

use std::io::Write;

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

/// One line on standard output. That nobody reads on (`| head`) is no reason to stop the work.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line on standard error.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// An error, on standard error.
pub fn error(text: &str) {
    eprintln!("error: {text}");
}
