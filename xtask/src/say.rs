//! What the tasks print. Results go to standard output, problems to standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that talks to the terminal")]

/// One line on standard output.
pub fn line(text: &str) {
    println!("{text}");
}

/// The heading of a stage.
pub fn heading(text: &str) {
    println!("\n=== {text}");
}

/// One line on standard error.
pub fn error_line(text: &str) {
    eprintln!("{text}");
}

/// An error.
pub fn error(text: &str) {
    eprintln!("error: {text}");
}
