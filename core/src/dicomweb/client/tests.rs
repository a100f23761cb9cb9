//! An archive of paper: it answers as a test says, breaks off, falls silent, forgets, and never lets time pass.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::*;
use crate::dicomweb::transport::Body;
use crate::dicomweb::{Head, Refusal};

/// A body, and what becomes of the connection behind it.
type Sent = (Head, Vec<u8>, Then);

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Breaks,
    /// It stays open, and nothing comes any more.
    IsSilent,
}

type Answering = Box<dyn Fn(&str, usize) -> Sent>;

#[derive(Default)]
struct Seen {
    asked: Vec<String>,
    pauses: Vec<Duration>,
    posted: Vec<Vec<u8>>,
}

struct Paper {
    answer: Answering,
    seen: Rc<RefCell<Seen>>,
}

struct Pieces(VecDeque<u8>, usize, Then);

impl Body for Pieces {
    fn next(&mut self) -> Later<'_, Result<Option<Vec<u8>>, Broken>> {
        let piece: Vec<u8> = (0..self.1).map_while(|_| self.0.pop_front()).collect();
        let next = match (piece.is_empty(), self.2) {
            (false, _) => Ok(Some(piece)),
            (true, Then::IsSilent) => return Box::pin(std::future::pending()),
            (true, Then::Breaks) => {
                self.2 = Then::Ends;
                Err(Broken::off("reset"))
            }
            (true, Then::Ends) => Ok(None),
        };
        Box::pin(async move { next })
    }
}

impl Transport for Paper {
    fn ask(&self, request: &Request) -> Later<'static, Result<Answer, Broken>> {
        let mut seen = self.seen.borrow_mut();
        let address = match request {
            Request::Get { address, .. } => address,
            Request::Post { address, bytes, .. } => {
                seen.posted.push(bytes.to_vec());
                address
            }
        };
        let before = seen.asked.iter().filter(|other| *other == address).count();
        seen.asked.push(address.clone());
        let (head, body, then) = (self.answer)(address, before);
        let result = match (head.status, then) {
            (0, Then::IsSilent) => return Box::pin(std::future::pending()),
            (0, _) => Err(Broken::off("refused")),
            _ => Ok(Answer { head, body: Box::new(Pieces(body.into(), 7, then)) }),
        };
        Box::pin(async move { result })
    }

    fn pause(&self, time: Duration) -> Later<'static, ()> {
        self.seen.borrow_mut().pauses.push(time);
        Box::pin(async {})
    }
}

fn archive(answer: impl Fn(&str, usize) -> Sent + 'static) -> (Archive, Rc<RefCell<Seen>>) {
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let transport = Paper { answer: Box::new(answer), seen: seen.clone() };
    (Archive::new("/dicom-web".parse().unwrap(), Box::new(transport)), seen)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

fn json(rows: &str) -> Sent {
    (Head { status: 200, content_type: "application/dicom+json".into(), ..Head::default() }, rows.into(), Then::Ends)
}

fn status(status: u16) -> Sent {
    (Head { status, ..Head::default() }, Vec::new(), Then::Ends)
}

fn rows(tag: &str, numbers: std::ops::Range<usize>) -> String {
    let rows: Vec<String> = numbers.map(|n| format!("{{\"{tag}\":{{\"Value\":[\"1.{n}\"]}}}}")).collect();
    format!("[{}]", rows.join(","))
}

#[test]
fn two_thousand_studies_are_listed_page_by_page_without_asking_for_all() {
    let (archive, seen) = archive(|address, _| {
        let number = |name: &str| {
            let (_, rest) = address.split_once(name).unwrap();
            rest.split('&').next().unwrap().parse::<usize>().unwrap()
        };
        let (limit, offset) = (number("limit="), number("offset="));
        json(&rows("0020000D", offset..(offset + limit).min(2000)))
    });
    let mut found = BTreeSet::new();
    for page in 0..41 {
        let page = Page { limit: 50, offset: 50 * page };
        let listed = wait(archive.studies(&StudyQuery::default(), page)).unwrap();
        assert_eq!(listed.rows.len(), if page.offset < 2000 { 50 } else { 0 });
        found.extend(listed.rows.into_iter().map(|row| row.uid));
    }
    assert_eq!(found.len(), 2000);
    assert!(seen.borrow().asked.iter().all(|address| address.contains("limit=50&")), "never all at once");
    assert_eq!(seen.borrow().asked.len(), 41);
}

#[test]
fn what_passes_is_asked_again_after_pauses_that_grow_and_what_does_not_pass_is_not() {
    let (archive, seen) = archive(|_, before| if before < 5 { status(0) } else { json("[]") });
    assert!(wait(archive.studies(&StudyQuery::default(), Page { limit: 1, offset: 0 })).is_ok());
    assert_eq!(seen.borrow().pauses, PAUSES);
    for refused in [401, 403, 404, 302] {
        let (archive, seen) = self::archive(move |_, _| status(refused));
        let trouble = wait(archive.series("1.2")).unwrap_err();
        assert_eq!((trouble.status(), seen.borrow().asked.len()), (Some(refused), 1));
    }
    let busy = |seconds| {
        let head = Head { status: 503, retry_after: Some(seconds), ..Head::default() };
        self::archive(move |_, before| if before == 0 { (head.clone(), Vec::new(), Then::Ends) } else { json("[]") })
    };
    let (archive, seen) = busy(30);
    assert!(wait(archive.studies(&StudyQuery::default(), Page { limit: 1, offset: 0 })).is_ok());
    assert_eq!(seen.borrow().pauses, [Duration::from_secs(30)]);
    let (archive, seen) = busy(61);
    let trouble = wait(archive.studies(&StudyQuery::default(), Page { limit: 1, offset: 0 })).unwrap_err();
    assert!(seen.borrow().pauses.is_empty() && trouble.to_string().contains("503"), "{trouble}");
}

#[test]
fn a_study_that_is_not_there_and_a_text_that_is_no_uid_are_told() {
    let (archive, seen) = archive(|_, _| json("[]"));
    let trouble = wait(archive.series("1.2.3")).unwrap_err().to_string();
    assert_eq!(trouble, "/dicom-web: there is no study 1.2.3, or it is empty");
    assert!(matches!(wait(archive.series("../x")), Err(Trouble::Address(_))));
    assert_eq!(seen.borrow().asked.len(), 1);
}

/// A file with the least that is one: class, instance and series, explicit little endian.
fn instance(number: usize) -> Vec<u8> {
    use crate::formats::dicom::Transfer;
    let mut data = Vec::new();
    let uid = format!("1.{number}");
    let mut element = |group: u16, element: u16, value: &str| {
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        data.extend([group.to_le_bytes(), element.to_le_bytes()].concat());
        data.extend(b"UI");
        data.extend((value.len() as u16).to_le_bytes());
        data.extend(value);
    };
    element(8, 0x16, "1.2.840.10008.5.1.4.1.1.2");
    element(8, 0x18, &uid);
    element(0x20, 0xE, "1.9");
    // What follows the series, so that its end is known.
    element(0x20, 0x52, "1.8");
    let (class, syntax) = ("1.2.840.10008.5.1.4.1.1.2".to_owned(), "1.2.840.10008.1.2.1".to_owned());
    Transfer { class, instance: uid, syntax, data_set: &data }.to_file().unwrap()
}

fn message(numbers: std::ops::Range<usize>) -> Sent {
    let files: Vec<Vec<u8>> = numbers.map(instance).collect();
    let body = store_body(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
    (Head { status: 200, content_type: body.content_type, ..Head::default() }, body.bytes, Then::Ends)
}

#[derive(Default)]
struct Kept {
    there: Vec<String>,
    kept: Vec<(String, Vec<u8>)>,
    news: Vec<News>,
    /// Nothing can be kept.
    is_full: bool,
}

impl Receiver for Kept {
    fn stored(&self) -> Result<Vec<String>, OwnError> {
        Ok(self.there.clone())
    }

    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        if self.is_full {
            return Err("no room".into());
        }
        self.kept.push((uid.into(), bytes));
        Ok(())
    }

    fn on_news(&mut self, news: &News) {
        self.news.push(news.clone());
    }
}

/// Five instances, of which the whole answer breaks off at `cut`.
fn five(cut: usize) -> impl Fn(&str, usize) -> Sent {
    move |address, before| match address.rsplit_once("/instances") {
        None => {
            let (head, mut body, _) = message(0..5);
            body.truncate(cut);
            (head, body, Then::Breaks)
        }
        Some((_, list)) if list.starts_with('?') => json(if before == 0 { &ROWS_OF_FIVE } else { "[]" }),
        // Each breaks the first time, too.
        Some((_, one)) => {
            let number: usize = one.trim_start_matches("/1.").parse().unwrap();
            let (head, mut body, _) = message(number..number + 1);
            if before == 0 {
                body.truncate(cut % 300);
            }
            (head, body, if before == 0 { Then::Breaks } else { Then::Ends })
        }
    }
}

static ROWS_OF_FIVE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| rows("00080018", 0..5));

#[test]
fn a_series_comes_whole_wherever_its_answer_breaks_and_each_instance_once() {
    let length = message(0..5).1.len();
    for cut in (0..length).step_by(97) {
        let (archive, seen) = archive(five(cut));
        let mut kept = Kept::default();
        wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap();
        kept.kept.sort();
        assert!(kept.kept.iter().map(|(_, bytes)| bytes.clone()).eq((0..5).map(instance)), "cut at {cut}");
        let broke: Vec<usize> = kept
            .news
            .iter()
            .filter_map(|n| if let News::OneByOne { come, .. } = n { Some(*come) } else { None })
            .collect();
        assert_eq!(broke.len(), 1, "{:?}", kept.news);
        // Only what had not come is asked for again.
        let one_by_one = seen.borrow().asked.iter().filter(|address| address.contains("/instances/")).count();
        assert_eq!(one_by_one, 2 * (5 - broke[0]), "cut at {cut}");
        assert!(matches!(kept.news.last(), Some(News::Came { come: 5, wanted: 5, .. })));
    }
}

#[test]
fn what_came_whole_before_its_connection_broke_is_not_asked_for_again() {
    let (archive, seen) = archive(|address, before| match address.rsplit_once("/instances/1.") {
        Some((_, number)) => {
            let number: usize = number.parse().unwrap();
            let (head, body, _) = message(number..number + 1);
            (head, body, Then::Breaks)
        }
        None => five(0)(address, before),
    });
    let mut kept = Kept::default();
    wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap();
    assert_eq!(kept.kept.len(), 5);
    assert_eq!(seen.borrow().asked.iter().filter(|address| address.contains("/instances/")).count(), 5);
    assert!(seen.borrow().pauses.is_empty());
}

#[test]
fn what_came_and_cannot_be_kept_is_an_error_also_where_instances_are_asked_for_one_by_one() {
    for cut in [0, usize::MAX] {
        let (archive, _) = archive(five(cut));
        let mut kept = Kept { is_full: true, ..Kept::default() };
        let error = wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap_err();
        assert_eq!(error.to_string(), "no room");
    }
}

#[test]
fn what_is_there_is_not_asked_for_and_a_hole_is_never_filled_by_silence() {
    let (archive, seen) = archive(five(usize::MAX));
    let mut kept = Kept { there: ["1.0", "1.2", "1.3"].map(String::from).into(), ..Kept::default() };
    wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap();
    assert_eq!(kept.news[0], News::There { there: 3, wanted: 5 });
    assert_eq!(kept.kept.len(), 2);
    assert!(!seen.borrow().asked.iter().any(|address| address.ends_with("/series/1.9")));

    let (archive, _) = self::archive(|address, before| match five(usize::MAX)(address, before) {
        _ if address.ends_with("/1.4") => status(404),
        _ if !address.contains("/instances") => {
            let (head, body, _) = message(0..4);
            (head, body, Then::Ends)
        }
        other => other,
    });
    let mut kept = Kept::default();
    let trouble = wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap_err();
    assert!(matches!(&trouble, Trouble::Incomplete(holes) if holes.missing == 1), "{trouble}");
    assert_eq!(kept.kept.len(), 4, "what came is kept");
}

#[test]
fn what_falls_silent_is_asked_for_once_more_and_then_told() {
    let silent = || (Head::default(), Vec::new(), Then::IsSilent);
    let (archive, seen) = archive(move |_, _| silent());
    let trouble = wait(archive.series("1.2")).unwrap_err().to_string();
    assert!(trouble.starts_with("/dicom-web: no answer came for 60 s; "), "{trouble}");
    assert_eq!(seen.borrow().asked.len(), 2);
    assert_eq!(seen.borrow().pauses, [SILENCE_OF_LISTS, PAUSES[0], SILENCE_OF_LISTS]);
    let (archive, seen) = self::archive(move |_, _| silent());
    let trouble = wait(archive.send("1.3", &instance(3))).unwrap_err();
    assert!(matches!(trouble, Trouble::Silent { seconds: 120, .. }), "{trouble}");
    assert_eq!(seen.borrow().posted.len(), 2);

    // In the middle of the whole answer, and of each one that is asked for then, the first time.
    let length = message(0..5).1.len();
    let falls_silent =
        |(head, body, then): Sent| -> Sent { (head, body, if then == Then::Breaks { Then::IsSilent } else { then }) };
    let (archive, seen) = self::archive(move |address, before| falls_silent(five(length / 2)(address, before)));
    let mut kept = Kept::default();
    wait(archive.retrieve("1.7", "1.9", &mut kept)).unwrap();
    kept.kept.sort();
    assert!(kept.kept.iter().map(|(_, bytes)| bytes.clone()).eq((0..5).map(instance)));
    let why = |news: &News| matches!(news, News::OneByOne { why, .. } if why.contains("no answer came for 120 s"));
    assert!(kept.news.iter().any(why), "{:?}", kept.news);
    assert!(seen.borrow().pauses.iter().all(|pause| [SILENCE, PAUSES[0]].contains(pause)));
}

#[test]
fn what_is_not_answered_is_sent_again_as_it_was() {
    let (archive, seen) = archive(|_, before| if before == 0 { status(0) } else { json("") });
    let answer = wait(archive.send("1.3", &instance(3))).unwrap();
    assert_eq!((answer.stored, answer.is_told), (vec!["1.3".to_owned()], false));
    let posted = &seen.borrow().posted;
    assert!(posted.len() == 2 && posted[0] == posted[1]);
    let (archive, _) = self::archive(|_, _| status(413));
    let refused = wait(archive.send("1.3", &instance(3))).unwrap_err();
    assert!(
        matches!(&refused, Trouble::Archive(ArchiveError::Refused(r)) if matches!(**r, Refusal { asked: Asked::Store(_), .. }))
    );
}
