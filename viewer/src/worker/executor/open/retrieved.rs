//! A series on its way from an archive: it becomes files in memory, and then goes the way of a folder. Slices are seen as they come; what
//! had come when the connection was given up is there when the same is asked for again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use attention_anatomy::dicomweb::{News, OwnError, Receiver, Trouble};
use web_time::Instant;

use super::super::archive::archive;
use super::super::arrived::{Arrived, Decoding};

use super::{OpenStage, Opening, Progress};
use crate::worker::error::{OpenError, PlatformError};
use crate::worker::platform::{Platform, Promise, ask};
use crate::worker::{ArchiveSeries, OpenPicture};

/// How often a slice that has come is shown; less often where that would take more than one part in so many of the time.
const PICTURE_EVERY: Duration = Duration::from_millis(500);
const PICTURE_PART: u32 = 10;
/// It is at most so wide and high.
const PICTURE: usize = 320;
/// What the step is called, for whether it is worth being told again.
const RETRIEVING: &str = "Retrieving";
/// How often its numbers are worth that: each time the window is drawn.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What has come so far.
#[derive(Default)]
struct Desk {
    arrived: Arrived,
    come: usize,
    wanted: usize,
    bytes: u64,
    /// The answer broke off, and what is missing is asked for one by one.
    is_slow: bool,
    /// What is to be said of it.
    notes: VecDeque<String>,
}

impl Desk {
    /// So many of so many instances of a series have come.
    fn expect(&mut self, come: usize, wanted: usize) {
        (self.come, self.wanted) = (come, wanted);
        let all = (self.arrived.len() + wanted).saturating_sub(come);
        self.arrived.slices.expect(all, u64::MAX);
    }
}

/// A series on its way.
pub(in super::super) struct Retrieving {
    of: ArchiveSeries,
    over: Promise<Result<(), Trouble>>,
    desk: Rc<RefCell<Desk>>,
    /// How many had come when one was last shown, and when the next may be.
    shown: Option<(usize, Instant)>,
    told: Option<Instant>,
}

/// Instances of a series that was not retrieved to the end.
pub(in super::super) struct LeftOver {
    of: ArchiveSeries,
    arrived: Arrived,
}

/// The desk, as it is told of one series.
struct Taker {
    desk: Rc<RefCell<Desk>>,
    decoding: Decoding,
}

fn file_name(uid: &str) -> String {
    format!("{uid}.dcm")
}

impl Receiver for Taker {
    fn stored(&self) -> Result<Vec<String>, OwnError> {
        Ok(self.desk.borrow().arrived.names().map(|name| name.trim_end_matches(".dcm").to_owned()).collect())
    }

    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        self.desk.borrow_mut().arrived.add((file_name(uid), bytes), self.decoding);
        Ok(())
    }

    fn on_news(&mut self, news: &News) {
        let mut desk = self.desk.borrow_mut();
        match news {
            News::There { there, wanted } => desk.expect(*there, *wanted),
            News::Came { come, wanted, bytes } => {
                desk.expect(*come, *wanted);
                desk.bytes = *bytes;
            }
            News::OneByOne { .. } => desk.is_slow = true,
            News::Note(_) => {}
        }
        desk.notes.extend(news.warning());
    }
}

/// Whether these are the same series of the same archive, whoever asks.
fn is_same(a: &ArchiveSeries, b: &ArchiveSeries) -> bool {
    a.access.root == b.access.root && a.study == b.study && a.series == b.series
}

impl Opening {
    /// Begins to retrieve a series.
    pub(super) fn retrieve(
        &mut self,
        platform: &mut dyn Platform,
        wanted: ArchiveSeries,
    ) -> Result<Progress, OpenError> {
        let archive = archive(platform, &wanted.access)?;
        let left = self.left_over.take().filter(|left| is_same(&left.of, &wanted));
        let arrived = left.map(|left| left.arrived).unwrap_or_default();
        let desk = Rc::new(RefCell::new(Desk { arrived, ..Desk::default() }));
        let of = wanted.clone();
        let decoding = if self.decoding() == Decoding::None { Decoding::None } else { Decoding::All };
        let mut taker = Taker { desk: desk.clone(), decoding };
        let over = Box::pin(async move {
            for series in &wanted.series {
                archive.retrieve(&wanted.study, series, &mut taker).await?;
            }
            Ok(())
        });
        self.stage = OpenStage::Retrieving(Box::new(Retrieving { of, over, desk, shown: None, told: None }));
        Ok(Progress::Going(RETRIEVING, None))
    }

    /// More of it.
    pub(super) fn retrieve_on(&mut self, platform: &dyn Platform) -> Result<Progress, OpenError> {
        let OpenStage::Retrieving(retrieving) = &mut self.stage else { return Ok(Progress::Done) };
        let over = ask(&mut retrieving.over);
        let mut desk = retrieving.desk.borrow_mut();
        if let Some(note) = desk.notes.pop_front() {
            if let Some(result) = over {
                // Asked once more than it may be: what it said is kept.
                retrieving.over = Box::pin(async move { result });
            }
            return Ok(Progress::Note(note));
        }
        let (bytes, most) = (desk.bytes, platform.most_bytes());
        if bytes > most {
            return Err(PlatformError::TooMuch { bytes, most }.into());
        }
        match over {
            None => {
                let progress = told(&desk, &mut retrieving.shown, &mut retrieving.told);
                Ok(progress.unwrap_or(Progress::Waiting))
            }
            Some(result) => {
                let arrived = std::mem::take(&mut desk.arrived);
                drop(desk);
                if let Err(trouble) = result {
                    self.left_over = Some(LeftOver { of: retrieving.of.clone(), arrived });
                    return Err(OpenError::Archive(trouble));
                }
                self.arrived = arrived;
                self.stage = OpenStage::Reading;
                Ok(Progress::Going("Reading headers", None))
            }
        }
    }
}

/// What is worth being told now, with a picture where it is time for one.
fn told(desk: &Desk, shown: &mut Option<(usize, Instant)>, told: &mut Option<Instant>) -> Option<Progress> {
    let now = Instant::now();
    // The first slice waits for nothing.
    let have = desk.arrived.len();
    let is_first = shown.is_none() && have > 0;
    let is_early = told.is_some_and(|last| now.duration_since(last) < TELL_EVERY);
    if is_early && !is_first || desk.wanted == 0 {
        return None;
    }
    *told = Some(now);
    let is_due = have > 0 && shown.is_none_or(|(count, next)| count < have && now >= next);
    let picture = if is_due { desk.arrived.picture(PICTURE) } else { None };
    if is_due {
        *shown = Some((have, now + PICTURE_EVERY.max(now.elapsed() * PICTURE_PART)));
    }
    let how = if desk.is_slow { ", one by one" } else { "" };
    let (come, wanted, mb) = (desk.come, desk.wanted, desk.bytes as f64 / 1e6);
    let step = format!("{RETRIEVING}{how}: {come} of {wanted} slices, {mb:.1} MB");
    let picture = picture.map(|(size, pixels)| OpenPicture { size, pixels });
    Some(Progress::Coming(step, come as f32 / wanted as f32, picture))
}
