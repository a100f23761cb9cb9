//! What the user should read: errors, warnings, confirmations.

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something went as asked.
    Info,
    /// Something the user should know.
    Warning,
    /// Something did not work.
    Error,
}

/// One sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loud.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
    /// Whether it is about this computer, and so holds whatever is open.
    pub lasting: bool,
}

/// Notices, the newest last, until the user closes them.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    list: Vec<Notice>,
}

/// More than this many are never kept: the oldest go.
const MOST: usize = 20;

impl Notices {
    /// Adds a notice; one that is already shown is not shown twice.
    pub fn push(&mut self, severity: Severity, text: impl Into<String>) {
        self.add(Notice { severity, text: text.into(), lasting: false });
    }

    /// Adds one that holds whatever is open.
    pub fn lasting(&mut self, severity: Severity, text: impl Into<String>) {
        self.add(Notice { severity, text: text.into(), lasting: true });
    }

    /// Another scan is open: what was said of the last one goes.
    pub fn begin_scan(&mut self) {
        self.list.retain(|notice| notice.lasting);
    }

    fn add(&mut self, notice: Notice) {
        self.list.retain(|n| *n != notice);
        self.list.push(notice);
        if self.list.len() > MOST {
            self.list.remove(0);
        }
    }

    /// An error.
    pub fn error(&mut self, text: impl Into<String>) {
        self.push(Severity::Error, text);
    }

    /// A warning.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.push(Severity::Warning, text);
    }

    /// A confirmation.
    pub fn info(&mut self, text: impl Into<String>) {
        self.push(Severity::Info, text);
    }

    /// All of them, the newest last.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.list.iter()
    }

    /// Takes one away.
    pub fn dismiss(&mut self, index: usize) {
        if index < self.list.len() {
            self.list.remove(index);
        }
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
