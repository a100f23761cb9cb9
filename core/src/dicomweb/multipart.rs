//! `multipart/related` as it comes, chunk by chunk (RFC 2046 5.1, RFC 2387): a series of 600 slices never lies in memory twice.
//!
//! A part ends at a line break, two hyphens and the boundary; what stands before the first and behind the last is nobody's. Lengths in the
//! heads of parts are not believed, because not every archive writes them and nothing is lost without. Line breaks may be bare line feeds;
//! whether a carriage return before a boundary belongs to the break or to the part is told by the breaks in the part's head.

use super::content_type::ContentType;

/// Blanks behind a boundary.
const MOST_PADDING: usize = 256;

/// How much is kept before it is something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest part, bytes.
    pub part: usize,
    /// The longest head of a part, and the most that may stand before the first boundary, bytes.
    pub head: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { part: 1 << 30, head: 1 << 16 }
    }
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its Content-Type; empty where it has none.
    pub content_type: String,
    /// What it holds.
    pub body: Vec<u8>,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// Neither `multipart/related` with a boundary nor a single DICOM file.
    #[error("it is neither multipart/related with a boundary nor application/dicom")]
    NotMultipart,
    /// The boundary that was announced does not come.
    #[error("the boundary that its header announces does not come")]
    NoBoundary,
    /// A head without an end.
    #[error("the head of a part has no end")]
    Head,
    /// A part beyond the limit.
    #[error("a part of it is larger than {0} MiB")]
    TooLarge(usize),
    /// The end did not come.
    #[error("it was cut off after {parts} whole parts and {bytes} bytes")]
    CutOff {
        /// Parts that came whole.
        parts: usize,
        /// Bytes in all.
        bytes: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// In the head of a part.
    Head,
    /// In a part. The buffer begins with the line feed that ended its head.
    Body,
    /// Behind the last boundary.
    Epilogue,
    /// One file, and no parts.
    Single,
}

/// Takes a body apart as it comes.
#[derive(Debug)]
pub struct PartReader {
    /// Line feed, two hyphens, boundary.
    delimiter: Vec<u8>,
    limits: Limits,
    state: State,
    buffer: Vec<u8>,
    /// Up to where there is no boundary.
    searched: usize,
    /// Whether lines end with carriage return and line feed.
    has_returns: bool,
    content_type: String,
    parts: usize,
    bytes: u64,
}

/// What follows a boundary.
enum Behind {
    /// Not known yet.
    More,
    /// It was none.
    Nothing,
    /// A part, whose head begins so far behind.
    Part(usize, bool),
    /// The end.
    End,
}

impl PartReader {
    /// For a body of this Content-Type.
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`]
    pub fn new(content_type: &str, limits: Limits) -> Result<Self, MultipartError> {
        let read = ContentType::parse(content_type);
        let boundary = read.parameter("boundary").unwrap_or_default().trim_end();
        let state = match read.essence.as_str() {
            "application/dicom" => State::Single,
            // Subtypes that are not known are to be taken as multipart/mixed (RFC 2046 5.1.3), which ends its parts likewise.
            essence if essence.starts_with("multipart/") && !boundary.is_empty() => State::Preamble,
            _ => return Err(MultipartError::NotMultipart),
        };
        // The first boundary may be the first of all; this is the line that it ends.
        let buffer = if state == State::Preamble { vec![b'\n'] } else { Vec::new() };
        Ok(Self {
            delimiter: [b"\n--", boundary.as_bytes()].concat(),
            limits,
            state,
            buffer,
            searched: 0,
            has_returns: true,
            content_type: read.essence,
            parts: 0,
            bytes: 0,
        })
    }

    /// Takes the next bytes; the parts that are whole with them.
    ///
    /// # Errors
    /// [`MultipartError`]; the reader is of no more use then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Part>, MultipartError> {
        self.bytes += chunk.len() as u64;
        if self.state == State::Epilogue {
            return Ok(Vec::new());
        }
        self.buffer.extend_from_slice(chunk);
        let mut whole = Vec::new();
        while self.step(&mut whole)? {}
        Ok(whole)
    }

    /// The end of the bytes. For a body that is one file, that file.
    ///
    /// # Errors
    /// [`MultipartError`]: the end of the last part did not come.
    pub fn finish(self) -> Result<Option<Part>, MultipartError> {
        match self.state {
            State::Epilogue => Ok(None),
            State::Single => Ok(Some(Part { content_type: self.content_type, body: self.buffer })),
            State::Preamble if self.bytes > 0 => Err(MultipartError::NoBoundary),
            _ => Err(MultipartError::CutOff { parts: self.parts, bytes: self.bytes }),
        }
    }

    /// Parts that came whole, and bytes in all.
    pub fn progress(&self) -> (usize, u64) {
        (self.parts, self.bytes)
    }

    /// One step; false where more bytes are needed.
    fn step(&mut self, whole: &mut Vec<Part>) -> Result<bool, MultipartError> {
        match self.state {
            State::Preamble => {
                let Some((at, behind)) = self.find() else {
                    // Whatever it is, no boundary begins in it.
                    self.buffer.drain(..self.searched);
                    self.searched = 0;
                    // The line feed before the first byte is ours.
                    let is_long = self.bytes > self.limits.head as u64;
                    return if is_long { Err(MultipartError::NoBoundary) } else { Ok(false) };
                };
                self.open(at, &behind);
                Ok(true)
            }
            State::Head => self.head(),
            State::Body => {
                let Some((at, behind)) = self.find() else {
                    let is_large =
                        self.buffer.len() > self.limits.part.saturating_add(self.delimiter.len() + MOST_PADDING);
                    return if is_large { Err(MultipartError::TooLarge(self.limits.part >> 20)) } else { Ok(false) };
                };
                // The line feed of the head is not the part's.
                let mut end = at.max(1);
                end -= usize::from(self.has_returns && end > 1 && self.buffer[end - 1] == b'\r');
                if end - 1 > self.limits.part {
                    return Err(MultipartError::TooLarge(self.limits.part >> 20));
                }
                let body = self.buffer[1..end].to_vec();
                whole.push(Part { content_type: std::mem::take(&mut self.content_type), body });
                self.parts += 1;
                self.open(at, &behind);
                Ok(self.state != State::Epilogue)
            }
            State::Epilogue => {
                self.buffer.clear();
                Ok(false)
            }
            State::Single if self.buffer.len() > self.limits.part => {
                Err(MultipartError::TooLarge(self.limits.part >> 20))
            }
            State::Single => Ok(false),
        }
    }

    /// Goes on behind a boundary.
    fn open(&mut self, at: usize, behind: &Behind) {
        self.searched = 0;
        match behind {
            Behind::Part(length, has_returns) => {
                self.buffer.drain(..at + self.delimiter.len() + length);
                self.has_returns = *has_returns;
                self.state = State::Head;
            }
            _ => {
                self.buffer = Vec::new();
                self.state = State::Epilogue;
            }
        }
    }

    /// The lines up to an empty one.
    fn head(&mut self) -> Result<bool, MultipartError> {
        let (mut start, mut content_type) = (0, String::new());
        while let Some(length) = self.buffer[start..].iter().position(|&byte| byte == b'\n') {
            if start + length > self.limits.head {
                return Err(MultipartError::Head);
            }
            let line = &self.buffer[start..start + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                self.buffer.drain(..start + length);
                self.content_type = content_type;
                self.searched = 0;
                self.state = State::Body;
                return Ok(true);
            }
            let text = String::from_utf8_lossy(line);
            if let Some((name, value)) = text.split_once(':')
                && name.trim().eq_ignore_ascii_case("content-type")
            {
                content_type = value.trim().to_owned();
            }
            start += length + 1;
        }
        if self.buffer.len() > self.limits.head { Err(MultipartError::Head) } else { Ok(false) }
    }

    /// The next boundary, at its line feed, and what follows it. Where there is none yet, `searched` says from where to look on.
    fn find(&mut self) -> Option<(usize, Behind)> {
        let delimiter = &self.delimiter;
        let mut from = self.searched;
        while let Some(found) = self.buffer[from..].iter().position(|&byte| byte == b'\n') {
            let at = from + found;
            let rest = &self.buffer[at..];
            let known = rest.len().min(delimiter.len());
            if rest[..known] == delimiter[..known] {
                let behind = if known < delimiter.len() { Behind::More } else { behind(&rest[known..]) };
                match behind {
                    Behind::More => {
                        self.searched = at;
                        return None;
                    }
                    Behind::Nothing => {}
                    found => return Some((at, found)),
                }
            }
            from = at + 1;
        }
        self.searched = self.buffer.len();
        None
    }
}

/// Two hyphens end it all; blanks and a line break begin a part; anything else is a longer word than the boundary.
fn behind(rest: &[u8]) -> Behind {
    match rest {
        [b'-', b'-', ..] => Behind::End,
        [] | [b'-'] => Behind::More,
        _ => {
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            match &rest[blanks..] {
                _ if blanks > MOST_PADDING => Behind::Nothing,
                [b'\n', ..] => Behind::Part(blanks + 1, false),
                [b'\r', b'\n', ..] => Behind::Part(blanks + 2, true),
                [] | [b'\r'] => Behind::More,
                _ => Behind::Nothing,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RELATED: &str = "multipart/related; type=\"application/dicom\"; boundary=\"a+b/1\"";

    fn part(content_type: &str, body: &[u8]) -> Part {
        Part { content_type: content_type.into(), body: body.into() }
    }

    /// In chunks that end at these places.
    fn read(content_type: &str, body: &[u8], cuts: &[usize]) -> Result<Vec<Part>, MultipartError> {
        let mut reader = PartReader::new(content_type, Limits::default())?;
        let (mut parts, mut from) = (Vec::new(), 0);
        for &cut in cuts.iter().chain([&body.len()]) {
            parts.extend(reader.push(&body[from..cut])?);
            from = cut;
        }
        parts.extend(reader.finish()?);
        Ok(parts)
    }

    /// The same wherever the chunks end: at every place, and byte by byte.
    fn everywhere(content_type: &str, body: &[u8]) -> Result<Vec<Part>, MultipartError> {
        let whole = read(content_type, body, &[]);
        for cut in 0..=body.len() {
            assert_eq!(read(content_type, body, &[cut]), whole, "cut at {cut}");
        }
        assert_eq!(read(content_type, body, &(0..body.len()).collect::<Vec<_>>()), whole);
        whole
    }

    #[test]
    fn parts_are_found_however_the_lines_end_and_wherever_the_chunks_do() {
        let two = [part("application/dicom", b"one\r\n--a+b/\n\r"), part("", b"two\n")];
        let plain = b"--a+b/1\r\nContent-Type: application/dicom\r\nContent-Length: 99\r\n\r\none\r\n--a+b/\n\r\r\n--a+b/1\r\n\r\ntwo\n\r\n--a+b/1--\r\n";
        assert_eq!(everywhere(RELATED, plain).unwrap(), two);
        let preamble =
            [b"This is a message in parts.\r\n--other\r\n".as_slice(), plain, b"--a+b/1\r\nepilogue"].concat();
        assert_eq!(everywhere(RELATED, &preamble).unwrap(), two);
        let padded = b"\r\n--a+b/1 \t\r\ncontent-type:application/dicom\r\n\r\none\r\n--a+b/\n\r\r\n--a+b/1\t\r\nX: y\r\n\r\ntwo\n\r\n--a+b/1--";
        assert_eq!(everywhere(RELATED, padded).unwrap(), two);
        // Bare line feeds: the carriage return is the part's own.
        let bare = b"--a+b/1\nContent-Type: application/dicom\n\none\r\n--a+b/\n\r\n--a+b/1\n\ntwo\n\n--a+b/1--\n";
        assert_eq!(everywhere(RELATED, bare).unwrap(), two);
    }

    #[test]
    fn what_only_looks_like_a_boundary_is_content() {
        let body = b"--a+b/1\r\n\r\n\r\n--a+b/12\r\n--a+b/1x--\r\n -- a+b/1--\r\n--a+b/1- -\r\n--a+b/1--";
        let content = b"\r\n--a+b/12\r\n--a+b/1x--\r\n -- a+b/1--\r\n--a+b/1- -";
        assert_eq!(everywhere(RELATED, body).unwrap(), [part("", content)]);
    }

    #[test]
    fn empty_parts_and_bodies_without_parts_are_what_they_are() {
        for body in [&b"--a+b/1\r\n\r\n\r\n--a+b/1--"[..], b"--a+b/1\r\n\r\n--a+b/1--", b"--a+b/1\n\n--a+b/1--"] {
            assert_eq!(everywhere(RELATED, body).unwrap(), [part("", b"")]);
        }
        assert_eq!(everywhere(RELATED, b"--a+b/1--\r\n").unwrap(), []);
        let single = [part("application/dicom", b"DICM\n--a+b/1--")];
        assert_eq!(everywhere("application/dicom", b"DICM\n--a+b/1--").unwrap(), single);
        for wrong in ["text/html", "multipart/related", "multipart/related; boundary=\"\"", "", "application/json"] {
            assert_eq!(everywhere(wrong, b"x"), Err(MultipartError::NotMultipart), "{wrong}");
        }
    }

    #[test]
    fn wherever_it_is_cut_off_no_part_comes_that_is_not_whole() {
        let body = b"pre\r\n--a+b/1\r\nContent-Type: application/dicom\r\n\r\none\r\n--a+b/1\r\n\r\ntwo\r\n--a+b/1--\r\nepilogue";
        let whole = read(RELATED, body, &[]).unwrap();
        let end = body.windows(10).position(|w| w == b"--a+b/1--\r").unwrap() + 9;
        for cut in 0..body.len() {
            let mut reader = PartReader::new(RELATED, Limits::default()).unwrap();
            let parts = reader.push(&body[..cut]).unwrap();
            assert_eq!(parts, whole[..parts.len()], "cut at {cut}");
            assert_eq!(reader.progress(), (parts.len(), cut as u64));
            let ended = reader.finish();
            assert_eq!(ended.is_ok(), cut >= end, "cut at {cut}: {ended:?}");
        }
    }

    #[test]
    fn nothing_is_kept_beyond_its_limits() {
        let limits = Limits { part: 100, head: 50 };
        let read = |body: &[u8]| {
            let mut reader = PartReader::new(RELATED, limits)?;
            for chunk in body.chunks(7) {
                reader.push(chunk)?;
                assert!(reader.buffer.len() < 100 + 300, "{}", reader.buffer.len());
            }
            reader.finish()
        };
        let start = b"--a+b/1\r\n\r\n";
        let end = b"\r\n--a+b/1--";
        assert_eq!(read(&[start.as_slice(), &[b'x'; 100], end].concat()), Ok(None));
        assert_eq!(read(&[start.as_slice(), &[b'x'; 101], end].concat()), Err(MultipartError::TooLarge(0)));
        assert_eq!(read(&[start.as_slice(), &[b'\n'; 4000]].concat()), Err(MultipartError::TooLarge(0)));
        assert_eq!(read(&[b'x'; 4000]), Err(MultipartError::NoBoundary));
        assert_eq!(read(&[b"--a+b/1\r\n".as_slice(), &[b'x'; 4000]].concat()), Err(MultipartError::Head));
        assert_eq!(read(b"short and something else"), Err(MultipartError::NoBoundary));
        assert_eq!(read(b""), Err(MultipartError::CutOff { parts: 0, bytes: 0 }));
    }

    proptest! {
        /// What is written as the standard has it comes back, whatever it is and however it is cut.
        #[test]
        fn any_parts_come_back(
            bodies in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n-ab+/1 x\0".to_vec()), 0..60), 0..5),
            bare in any::<bool>(),
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            let line = if bare { "\n" } else { "\r\n" };
            let mut message = b"preamble".to_vec();
            // A boundary stands in no part.
            let stands_in = |body: &[u8]| String::from_utf8_lossy(body).contains("--a+b/1");
            let bodies: Vec<Vec<u8>> = bodies.into_iter().filter(|body| !stands_in(body)).collect();
            for body in &bodies {
                message.extend(format!("{line}--a+b/1{line}Content-Type: x{line}{line}").bytes());
                message.extend(body);
            }
            message.extend(format!("{line}--a+b/1--{line}").bytes());
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut < message.len()).collect();
            cuts.sort_unstable();
            let parts: Vec<Vec<u8>> = read(RELATED, &message, &cuts).unwrap().into_iter().map(|p| p.body).collect();
            prop_assert_eq!(parts, bodies);
        }

        /// Nothing that an archive sends breaks it.
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(prop::sample::select(b"\r\n-a+b/1: x".to_vec()), 0..300), cut in 0usize..300) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(read(RELATED, &bytes, &[cut]), read(RELATED, &bytes, &[]));
        }
    }
}
