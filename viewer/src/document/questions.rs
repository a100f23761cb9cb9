//! What the user has to say before something goes on, and what each answer does.

use super::{Document, Outbox};
use crate::worker::{Command, OpenAnswer, OpenQuestion};

/// Something that the user is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// A run would replace labels that were opened from this file.
    Replace(String),
    /// The values do not look like HU; what they look like.
    NotHu(String),
    /// Something that is being opened.
    Opening {
        /// Number of the job.
        job: u64,
        /// What it has to know.
        question: OpenQuestion,
    },
}

impl Document {
    /// The labels from a file may be replaced by a run.
    pub fn replace_by_run(&mut self, outbox: &mut Outbox) {
        self.question = None;
        self.begin_run(outbox);
    }

    /// The values are HU, whatever they look like.
    pub fn assume_hu(&mut self, outbox: &mut Outbox) {
        self.question = None;
        outbox.send(Command::AssumeHu);
        self.begin_run(outbox);
    }

    /// Opening goes on with this.
    pub fn answer_opening(&mut self, answer: OpenAnswer, outbox: &mut Outbox) {
        if let Some(Question::Opening { job, .. }) = self.question {
            self.question = None;
            outbox.send(Command::AnswerOpen { job, answer });
        }
    }

    /// Nothing is done.
    pub fn decline(&mut self, outbox: &mut Outbox) {
        if let Some(Question::Opening { .. }) = self.question.take() {
            self.cancel_open(outbox);
        }
    }
}
