//! Archives: which ones can be asked, by whom, what they were asked for and what they said. Nothing is asked unless the user clicked, or
//! came by a link that names a study; what goes to one goes to the one that is named at the top.

use attention_anatomy::dicomweb::{Page, Root, Scans, SeriesRow, StudyQuery, StudyRow, authorization, is_drawn, scans};
use serde::{Deserialize, Serialize};

use super::{Document, Outbox};
use crate::edit::ByteSlices;
use crate::worker::{
    Access, ArchiveAnswer, ArchiveCommand, ArchiveSeries, Command, Export, Input, OpenAs, SentFile, StructureFormat,
};

/// An archive, as the host's configuration or the user names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What people call it.
    pub name: String,
    /// The root of its DICOMweb services.
    pub root: Root,
    /// What may be written into it: nothing where nothing is said.
    #[serde(default)]
    pub writes: Vec<Writes>,
}

/// What may be written into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writes {
    /// RT Structure Sets.
    #[serde(rename = "RTSTRUCT")]
    StructureSets,
    /// DICOM Segmentations.
    #[serde(rename = "SEG")]
    Segmentations,
}

impl Source {
    /// Whether structures of this format may go there.
    pub fn takes(&self, format: StructureFormat) -> bool {
        match format {
            StructureFormat::StructureSet => self.writes.contains(&Writes::StructureSets),
            StructureFormat::Segmentation => self.writes.contains(&Writes::Segmentations),
            StructureFormat::Nifti | StructureFormat::Nrrd => false,
        }
    }
}

/// What stands in `config.json` beside the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    archives: Vec<Source>,
}

/// Reads the host's configuration. `own` is the origin of the page, `allowed` are the others that its policy lets it speak to: what the
/// configuration names besides is left out, and said, a sentence each.
pub fn sources_of(config: &str, own: &str, allowed: &[String]) -> (Vec<Source>, Vec<String>) {
    let read: Config = match serde_json::from_str(config) {
        Ok(read) => read,
        Err(error) => {
            let example = r#"{"archives": [{"name": "Archive", "root": "/dicom-web", "writes": ["RTSTRUCT", "SEG"]}]}"#;
            let text = format!("config.json beside this page cannot be read ({error}); it has to look like {example}");
            return (Vec::new(), vec![text]);
        }
    };
    let is_allowed =
        |source: &Source| source.root.origin().is_none_or(|origin| origin == own || allowed.contains(&origin));
    let (sources, others): (Vec<Source>, Vec<Source>) = read.archives.into_iter().partition(is_allowed);
    let told = |source: Source| {
        format!(
            "config.json beside this page names {}, but the page may speak to its own origin alone: serve page and archive under one name, \
             or build the page with `cargo xtask web --connect {}`",
            source.root,
            source.root.origin().unwrap_or_default()
        )
    };
    (sources, others.into_iter().map(told).collect())
}

/// The value of the Authorization field. In memory alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(Option<String>);

impl Token {
    /// Of what was given; nothing where that is no token.
    pub fn of(text: &str) -> Self {
        Self(authorization(text))
    }

    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// Shows nothing on purpose.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(withheld)")
    }
}

/// What a link names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// StudyInstanceUIDs.
    pub studies: Vec<String>,
    /// SeriesInstanceUIDs; of several series the user chooses where there are none.
    pub series: Vec<String>,
}

impl Link {
    /// From the values of `StudyInstanceUIDs` and `SeriesInstanceUIDs`, as OHIF writes them: UIDs with commas between.
    pub fn of(studies: &str, series: &str) -> Option<Self> {
        let uids = |text: &str| -> Vec<String> {
            text.split([',', ';', ' ']).filter(|uid| !uid.is_empty()).map(String::from).collect()
        };
        let link = Self { studies: uids(studies), series: uids(series) };
        (!link.studies.is_empty()).then_some(link)
    }
}

/// Studies that an archive has listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Studies {
    /// The rows.
    pub rows: Vec<StudyRow>,
    /// How many more do not say which they are.
    pub skipped: usize,
    /// The part of the list that this is.
    pub page: Page,
}

impl Studies {
    /// Whether there may be more behind it.
    pub fn may_go_on(&self) -> bool {
        self.rows.len() + self.skipped >= self.page.limit
    }
}

/// Where an open scan came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The archive.
    pub source: Source,
    /// StudyInstanceUID.
    pub study: String,
}

/// Files on their way to an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    number: u64,
    /// Files that it has.
    pub done: usize,
    /// In all.
    pub of: usize,
}

/// Why the series of a study are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The user looks at the list.
    List,
    /// The one scan among them is opened.
    Open,
    /// What was drawn on the scan that is open is offered.
    Offer,
}

/// Archives, and what they said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archives {
    /// Those that can be asked.
    pub sources: Vec<Source>,
    /// The place of the one that is asked.
    pub chosen: usize,
    /// Who asks.
    pub token: Token,
    /// What is opened at the start.
    pub link: Option<Link>,
    /// What is wrong with the host's configuration, a sentence each.
    pub problems: Vec<String>,
    /// Whether one was asked for anything since the program began.
    pub is_connected: bool,
    /// The studies that were listed last.
    pub studies: Option<Studies>,
    /// A study and its series, as they were listed last.
    pub series: Option<(String, Vec<SeriesRow>)>,
    /// Why a list did not come.
    pub problem: Option<String>,
    /// What is being sent.
    pub sending: Option<Sending>,
    /// The panel is to be shown: somebody has to choose.
    pub is_wanted: bool,
    /// Number of the list that is on its way, and the part of it or why.
    asked: Option<(u64, Asked)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Studies(Page),
    Series(Purpose),
}

impl Archives {
    /// Archives that a host names, what is wrong with its configuration, and what the address of the page says of them.
    pub fn named(sources: Vec<Source>, problems: Vec<String>, link: Option<Link>, token: Token) -> Self {
        Self { sources, problems, link, token, ..Self::default() }
    }

    /// The one that is asked.
    pub fn source(&self) -> Option<&Source> {
        self.sources.get(self.chosen)
    }

    /// Whether a list is on its way.
    pub fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks another one from now on: what the last one said is forgotten.
    pub fn choose(&mut self, place: usize) {
        (self.chosen, self.studies, self.series, self.problem, self.asked) = (place, None, None, None, None);
    }

    fn access(&self, source: &Source) -> Access {
        let Source { name, root, .. } = source.clone();
        Access { name, root, authorization: self.token.0.clone() }
    }
}

impl Document {
    /// Asks for a part of the studies.
    pub fn list_studies(&mut self, query: StudyQuery, page: Page, outbox: &mut Outbox) {
        self.ask_list(Asked::Studies(page), ArchiveCommand::Studies { query, page }, outbox);
    }

    /// Asks for the series of a study.
    pub fn list_series(&mut self, study: &str, outbox: &mut Outbox) {
        self.ask_series(study, Purpose::List, outbox);
    }

    fn ask_series(&mut self, study: &str, purpose: Purpose, outbox: &mut Outbox) {
        self.ask_list(Asked::Series(purpose), ArchiveCommand::Series { study: study.into() }, outbox);
    }

    fn ask_list(&mut self, asked: Asked, what: ArchiveCommand, outbox: &mut Outbox) {
        let Some(source) = self.archives.source() else { return };
        let (access, number) = (self.archives.access(source), outbox.next_number());
        self.archives.is_connected = true;
        self.archives.problem = None;
        self.archives.asked = Some((number, asked));
        outbox.send(Command::Archive { number, access, what });
    }

    /// Opens what a link names.
    pub fn follow_link(&mut self, outbox: &mut Outbox) {
        for problem in std::mem::take(&mut self.archives.problems) {
            outbox.notices.error(problem);
        }
        let Some(Link { studies, series }) = self.archives.link.take() else { return };
        let Some(study) = studies.first() else { return };
        if self.archives.sources.is_empty() {
            let text = "the address of this page names a study, but no archive: whoever hosts the page has to name it in config.json beside it";
            outbox.notices.error(text);
            return;
        }
        if studies.len() > 1 {
            let text = format!("the address of this page names {} studies; the first is opened", studies.len());
            outbox.notices.warn(text);
        }
        if series.is_empty() {
            self.ask_series(study, Purpose::Open, outbox);
        } else {
            self.open_series(study, series, OpenAs::Whatever, outbox);
        }
    }

    /// Opens series of the archive that is asked.
    pub fn open_series(&mut self, study: &str, series: Vec<String>, as_what: OpenAs, outbox: &mut Outbox) {
        let Some(source) = self.archives.source() else { return };
        let access = self.archives.access(source);
        self.archives.is_connected = true;
        let series = ArchiveSeries { access, study: study.into(), series };
        self.open(vec![Input::Archive(Box::new(series))], as_what, outbox);
    }

    /// Where what is being opened comes from, if that is an archive.
    pub(super) fn origin_of_opening(&self, job: u64) -> Option<Origin> {
        let opening = self.opening.as_ref().filter(|opening| opening.job == job)?;
        let [Input::Archive(series)] = opening.inputs.as_slice() else { return None };
        let source = self.archives.sources.iter().find(|source| source.root == series.access.root)?;
        Some(Origin { source: source.clone(), study: series.study.clone() })
    }

    /// A scan of an archive is open: what was drawn on it there is offered.
    pub(super) fn offer_structures(&mut self, outbox: &mut Outbox) {
        let origin = self.study.as_ref().and_then(|study| study.origin.clone());
        if let Some(origin) = origin {
            self.ask_series(&origin.study, Purpose::Offer, outbox);
        }
    }

    /// Series with structures of the open scan, in the archive that it came from.
    pub fn structures_in_archive(&self) -> Vec<&SeriesRow> {
        let study = self.study.as_ref().and_then(|study| study.origin.as_ref()).map(|origin| &origin.study);
        match &self.archives.series {
            Some((of, rows)) if Some(of) == study => rows.iter().filter(|row| is_drawn(row)).collect(),
            _ => Vec::new(),
        }
    }

    /// Has files made of the labels and sent to where the scan came from.
    pub fn send_structures(
        &mut self,
        what: Vec<Export>,
        labels: ByteSlices,
        notes: Vec<String>,
        opened_from: Option<String>,
        outbox: &mut Outbox,
    ) {
        let Some(origin) = self.study.as_ref().and_then(|study| study.origin.as_ref()) else { return };
        let (access, number) = (self.archives.access(&origin.source), outbox.next_number());
        self.archives.sending = Some(Sending { number, done: 0, of: what.len() });
        let what = ArchiveCommand::Send { what, labels, notes, opened_from };
        outbox.send(Command::Archive { number, access, what });
    }

    /// An archive has said something.
    pub(super) fn archive_said(&mut self, number: u64, answer: ArchiveAnswer, outbox: &mut Outbox) {
        if let Some(sending) = self.archives.sending.as_mut().filter(|sending| sending.number == number) {
            match answer {
                ArchiveAnswer::Sending { done, .. } => sending.done = done,
                ArchiveAnswer::Sent(files) => self.was_sent(files, outbox),
                ArchiveAnswer::Failed(message) => {
                    self.archives.sending = None;
                    outbox.notices.error(message);
                }
                ArchiveAnswer::Studies { .. } | ArchiveAnswer::Series { .. } => {}
            }
            return;
        }
        let Some((_, asked)) = self.archives.asked.take_if(|(asked, _)| *asked == number) else { return };
        match (answer, asked) {
            (ArchiveAnswer::Studies { rows, skipped }, Asked::Studies(page)) => {
                self.archives.studies = Some(Studies { rows, skipped, page });
            }
            (ArchiveAnswer::Series { study, rows }, Asked::Series(purpose)) => {
                self.archives.series = Some((study.clone(), rows));
                self.series_came(&study, purpose, outbox);
            }
            // What is only offered is not missed.
            (ArchiveAnswer::Failed(_), Asked::Series(Purpose::Offer)) => {}
            (ArchiveAnswer::Failed(message), asked) => {
                if asked == Asked::Series(Purpose::Open) {
                    outbox.notices.error(message.clone());
                }
                self.archives.problem = Some(message);
            }
            _ => {}
        }
    }

    fn series_came(&mut self, study: &str, purpose: Purpose, outbox: &mut Outbox) {
        let Some((_, rows)) = &self.archives.series else { return };
        match (purpose, scans(rows)) {
            (Purpose::List, _) => {}
            (Purpose::Open, Scans::One(row)) => {
                let series = vec![row.uid.clone()];
                self.open_series(study, series, OpenAs::Whatever, outbox);
            }
            (Purpose::Open, Scans::Several(_)) => self.archives.is_wanted = true,
            (Purpose::Open, Scans::Nothing) => {
                outbox.notices.error("the study has no CT series with more than one image; below is what it has");
                self.archives.is_wanted = true;
            }
            (Purpose::Offer, _) => {
                let count = rows.iter().filter(|row| is_drawn(row)).count();
                if count > 0 {
                    let what = if count == 1 { "a series" } else { "series" };
                    let text = format!(
                        "the archive has {what} of structures on this scan: Open, \u{201c}Structures from the archive\u{201d}, to go on from or to compare with"
                    );
                    outbox.notices.info(text);
                }
            }
        }
    }

    fn was_sent(&mut self, files: Vec<SentFile>, outbox: &mut Outbox) {
        self.archives.sending = None;
        let origin = self.study.as_ref().and_then(|study| study.origin.as_ref());
        let name = origin.map_or("the archive", |origin| origin.source.name.as_str()).to_owned();
        for file in &files {
            for warning in &file.warnings {
                outbox.notices.warn(format!("{}: {warning}", file.what));
            }
        }
        let told = if files.iter().all(|file| file.is_told) { "" } else { ", as far as it says" };
        let each = |file: &SentFile| format!("{} ({} kB)", file.what, file.bytes.div_ceil(1000));
        let all: Vec<String> = files.iter().map(each).collect();
        let text = format!("{} sent, and kept by {name}{told}", all.join(" and "));
        outbox.notices.info(text);
        // They are among what is offered from now on.
        if let Some(origin) = self.study.as_ref().and_then(|study| study.origin.clone()) {
            self.ask_series(&origin.study, Purpose::List, outbox);
        }
    }
}

#[cfg(test)]
mod tests;
