//! A document with its outbox, for tests that need no window.

use std::ops::{Deref, DerefMut};

use super::{Document, Outbox};
use crate::worker::{Event, Input, OpenAs};

/// The document can be reached as if it were this.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    pub document: Document,
    pub outbox: Outbox,
}

impl Deref for Bench {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Document {
        &mut self.document
    }
}

impl Bench {
    pub fn apply(&mut self, event: Event) {
        self.document.apply(event, &mut self.outbox);
    }

    pub fn open(&mut self, inputs: Vec<Input>, as_what: OpenAs) {
        self.document.open(inputs, as_what, &mut self.outbox);
    }

    pub fn start_run(&mut self) {
        self.document.start_run(&mut self.outbox);
    }
}
