//! Archives: lists that are asked of them, and files that are made and sent. What comes as a scan comes by `open/retrieved.rs`.

use std::cell::Cell;
use std::rc::Rc;

use attention_anatomy::dicomweb::Archive;
use attention_anatomy::formats::dicom::Transfer;

use super::export::Exporting;
use super::{Executor, Step};
use crate::worker::error::PlatformError;
use crate::worker::platform::{Platform, Promise, ask};
use crate::worker::{Access, ArchiveAnswer, ArchiveCommand, Event, Export, SentFile, StructureFormat};

/// Something that was asked of an archive.
pub(super) struct Asked {
    number: u64,
    answer: Promise<ArchiveAnswer>,
    /// Files that were sent so far, of how many.
    sent: Option<(Rc<Cell<usize>>, usize)>,
    told: usize,
}

/// The archive, ready to be asked.
///
/// # Errors
/// A token that others could read on the way; a program without a connection.
pub(super) fn archive(platform: &mut dyn Platform, access: &Access) -> Result<Archive, PlatformError> {
    if access.authorization.is_some() && !access.root.is_private() {
        return Err(PlatformError::Refused(format!(
            "{}: the token is not sent there, because everybody on the way could read it; the address must begin with https://",
            access.root
        )));
    }
    Ok(Archive::new(access.root.clone(), platform.transport(access)?))
}

impl Executor {
    /// Begins to ask.
    pub(super) fn ask_archive(&mut self, number: u64, access: &Access, command: ArchiveCommand) {
        let archive = match archive(self.platform.as_mut(), access) {
            Ok(archive) => archive,
            Err(error) => return self.answer_archive(number, ArchiveAnswer::Failed(error.to_string())),
        };
        let failed = |trouble: attention_anatomy::dicomweb::Trouble| ArchiveAnswer::Failed(trouble.to_string());
        let answer: Promise<ArchiveAnswer> = match command {
            ArchiveCommand::Studies { query, page } => Box::pin(async move {
                let listed = archive.studies(&query, page).await;
                listed.map_or_else(failed, |l| ArchiveAnswer::Studies { rows: l.rows, skipped: l.skipped })
            }),
            ArchiveCommand::Series { study } => Box::pin(async move {
                let rows = archive.series(&study).await;
                rows.map_or_else(failed, |rows| ArchiveAnswer::Series { study, rows })
            }),
            ArchiveCommand::Send { what, labels, notes, opened_from } => {
                let mut files = Vec::new();
                for what in what {
                    let name = name_of(&what);
                    let (labels, notes, opened_from) = (labels.clone(), notes.clone(), opened_from.clone());
                    match self.file_of(Exporting { what, labels, notes, opened_from }) {
                        Ok((_, bytes)) => files.push((name, bytes)),
                        Err(error) => {
                            return self.answer_archive(number, ArchiveAnswer::Failed(error.to_string()));
                        }
                    }
                }
                let sent = Rc::new(Cell::new(0));
                let asked = Asked {
                    number,
                    sent: Some((sent.clone(), files.len())),
                    answer: Box::pin(send(archive, files, sent)),
                    told: 0,
                };
                self.sending = Some(asked);
                return;
            }
        };
        self.asked = Some(Asked { number, answer, sent: None, told: 0 });
    }

    fn answer_archive(&mut self, number: u64, answer: ArchiveAnswer) {
        self.events.push_back(Event::Archive { number, answer });
    }

    pub(super) fn step_archive(&mut self) -> Step {
        let mut step = Step::Idle;
        for lane in [&mut self.asked, &mut self.sending] {
            let Some(asked) = lane else { continue };
            let number = asked.number;
            let said = ask(&mut asked.answer);
            if let Some((sent, of)) = asked.sent.as_ref().filter(|(sent, _)| said.is_none() && sent.get() > asked.told)
            {
                asked.told = sent.get();
                let answer = ArchiveAnswer::Sending { done: asked.told, of: *of };
                self.events.push_back(Event::Archive { number, answer });
            }
            step = step.max(if said.is_some() { Step::Worked } else { Step::Waiting });
            if let Some(answer) = said {
                *lane = None;
                self.events.push_back(Event::Archive { number, answer });
            }
        }
        step
    }

    /// What was asked broke off.
    pub(super) fn archive_failed(&mut self, message: &str) {
        for asked in [self.asked.take(), self.sending.take()].into_iter().flatten() {
            self.answer_archive(asked.number, ArchiveAnswer::Failed(message.into()));
        }
    }
}

fn name_of(what: &Export) -> &'static str {
    match what {
        Export::Structures(structures) if structures.format == StructureFormat::StructureSet => "RTSTRUCT",
        _ => "SEG",
    }
}

/// Sends files one by one.
async fn send(archive: Archive, files: Vec<(&'static str, Vec<u8>)>, done: Rc<Cell<usize>>) -> ArchiveAnswer {
    let mut kept = Vec::new();
    let of = files.len();
    for (what, bytes) in files {
        let sent = match Transfer::of_file(what, &bytes) {
            Ok(transfer) => archive.send(&transfer.instance, &bytes).await.map_err(|trouble| trouble.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match sent {
            Ok(answer) => kept.push(SentFile {
                what: what.into(),
                bytes: bytes.len(),
                warnings: answer.warnings,
                is_told: answer.is_told,
            }),
            Err(message) if kept.is_empty() => return ArchiveAnswer::Failed(format!("{what} was not sent: {message}")),
            Err(message) => {
                let before: Vec<&str> = kept.iter().map(|file| file.what.as_str()).collect();
                let text = format!("{} was kept, {what} was not sent: {message}", before.join(" and "));
                return ArchiveAnswer::Failed(text);
            }
        }
        done.set(kept.len().min(of));
    }
    ArchiveAnswer::Sent(kept)
}
