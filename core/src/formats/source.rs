//! Bytes that may be gzipped, read as one stream.
//!
//! The magic number decides, not the file's name, because downloads and browsers lose or add `.gz`. A stream is
//! inflated in pieces, so that a CT of some hundred megabytes is never held unpacked beside its own voxels, and it may
//! have several gzip members (RFC 1952, section 2.2), as parallel compressors write them. The bytes lie in memory, or come
//! from a reader: a file of a browser takes no memory then but for its voxels.

use std::io::{self, BufRead, Read};
use std::sync::{Mutex, PoisonError};

use flate2::bufread::GzDecoder;

use crate::parallel::ahead;

/// What a gzip file starts with (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that deflate can make of one byte (258 from a quarter of a byte: two bits for length and distance).
const MAX_INFLATION: u64 = 1032;

/// How much unneeded data behind the voxels is unpacked only to reach the checksum behind it.
const MAX_DRAINED: u64 = 1 << 20;

/// Bytes that a stream reads at a time: a browser takes a millisecond for each call.
const PIECE: usize = 1 << 22;

/// Why a stream ended before its end; what is wrong with its content is another error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Unreadable(io::Error);

/// Bytes as they lie in the file.
pub(crate) enum Raw<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// To be read.
    Stream(Stream<'a>),
}

/// A reader of which it is known how many bytes it has, some of them at hand.
pub(crate) struct Stream<'a> {
    input: Box<dyn Read + 'a>,
    /// Bytes that are not at hand yet.
    left: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl Stream<'_> {
    /// What is at hand: `least` bytes, unless fewer are left.
    fn at_hand(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < least && self.left > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
            let (had, wanted) = (self.buffer.len(), PIECE.min(usize::try_from(self.left).unwrap_or(PIECE)));
            self.buffer.resize(had + wanted, 0);
            let rest = self.buffer.get_mut(had..).unwrap_or_default();
            let got = read_up_to(&mut self.input, rest).map_err(|e| io::Error::other(Unreadable(e)))?;
            self.buffer.truncate(had + got);
            // One that ends early has nothing left, whatever was said.
            self.left = if got < wanted { 0 } else { self.left - got as u64 };
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }
}

impl Raw<'_> {
    /// Bytes to come.
    fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream.left + (stream.buffer.len() - stream.at) as u64,
        }
    }

    /// Whether what comes next starts like a gzip file.
    fn is_gzip(&mut self) -> io::Result<bool> {
        Ok(is_gzip(match self {
            Self::Bytes(bytes) => bytes,
            Self::Stream(stream) => stream.at_hand(GZIP_MAGIC.len())?,
        }))
    }
}

impl BufRead for Raw<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(*bytes),
            Self::Stream(stream) => stream.at_hand(1),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => *bytes = bytes.get(count..).unwrap_or_default(),
            Self::Stream(stream) => stream.at = (stream.at + count).min(stream.buffer.len()),
        }
    }
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Plain bytes, or gzipped ones that are inflated while they are read.
pub(crate) enum Source<'a> {
    /// As they are.
    Plain(Raw<'a>),
    /// Within a gzip member; the decoder holds what follows it, too.
    Gzip(Box<GzDecoder<Raw<'a>>>),
    /// Inflated by somebody else, in pieces.
    Ahead(Ahead<'a>),
    /// After the last member.
    End,
}

/// Pieces that were inflated elsewhere.
pub(crate) struct Ahead<'a> {
    next: &'a mut dyn FnMut() -> Option<io::Result<Piece>>,
    piece: Piece,
    at: usize,
    at_most: u64,
    /// Where memory goes that can be used again.
    spare: &'a Mutex<Vec<Vec<u8>>>,
}

/// Memory, and how many bytes of it are meant.
type Piece = (Vec<u8>, usize);

/// From so many bytes on it is worth a thread to inflate them.
const WORTH_A_THREAD: usize = 1 << 20;
/// Bytes that such a thread hands over at a time.
const HANDED_OVER: usize = 1 << 16;

impl Read for Ahead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.1 {
            let Some(piece) = (self.next)() else { return Ok(0) };
            let (used, _) = std::mem::replace(&mut self.piece, piece?);
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(used);
            self.at = 0;
        }
        let count = self.piece.0.get(self.at..self.piece.1).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// Whether `bytes` start like a gzip file.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

impl<'a> Source<'a> {
    /// Opens `bytes`, gzipped or not.
    pub(crate) fn open(bytes: &'a [u8]) -> Self {
        if is_gzip(bytes) { Self::gzip(bytes) } else { Self::plain(bytes) }
    }

    /// Opens `bytes`, gzipped or not, for `work`. Many of them are inflated by another thread meanwhile, where there is one.
    pub(crate) fn opened_ahead<T>(bytes: &'a [u8], work: impl FnOnce(Source<'_>) -> T) -> T {
        if bytes.len() < WORTH_A_THREAD || !is_gzip(bytes) {
            return work(Self::open(bytes));
        }
        let at_most = Self::open(bytes).at_most();
        let spare = Mutex::new(Vec::<Vec<u8>>::new());
        let pieces = || {
            let spare = &spare;
            let (mut source, mut failed) = (Self::open(bytes), None);
            move || {
                let used = spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let (mut piece, mut filled) = (used.unwrap_or_default(), 0);
                piece.resize(HANDED_OVER, 0);
                while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty() && failed.is_none()) {
                    match source.read(rest) {
                        Ok(0) => break,
                        Ok(count) => filled += count,
                        // After what came before it.
                        Err(error) => failed = Some(error),
                    }
                }
                if filled == 0 {
                    source = Source::End;
                    return failed.take().map(Err);
                }
                Some(Ok((piece, filled)))
            }
        };
        let piece = (Vec::new(), 0);
        ahead(pieces, |next| work(Source::Ahead(Ahead { next, piece, at: 0, at_most, spare: &spare })))
    }

    /// Opens a reader that has so many bytes, gzipped or not.
    pub(crate) fn stream(input: impl Read + 'a, bytes: u64) -> io::Result<Self> {
        let mut raw = Raw::Stream(Stream { input: Box::new(input), left: bytes, buffer: Vec::new(), at: 0 });
        Ok(if raw.is_gzip()? { Self::Gzip(Box::new(GzDecoder::new(raw))) } else { Self::Plain(raw) })
    }

    /// Opens `bytes` that are taken as they are.
    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        Self::Plain(Raw::Bytes(bytes))
    }

    /// Opens `bytes` that must be gzipped.
    pub(crate) fn gzip(bytes: &'a [u8]) -> Self {
        Self::Gzip(Box::new(GzDecoder::new(Raw::Bytes(bytes))))
    }

    /// No more bytes than this can still come out; for plain bytes exactly these do. A reader asks before it
    /// allocates what a header claims.
    pub(crate) fn at_most(&self) -> u64 {
        match self {
            Self::Plain(rest) => rest.left(),
            // Up to 64 KiB may sit in the decoder's window, on their way out.
            Self::Gzip(member) => (member.get_ref().left() + 64).saturating_mul(MAX_INFLATION) + (1 << 16),
            Self::Ahead(ahead) => ahead.at_most,
            Self::End => 0,
        }
    }

    /// Leaves out `count` bytes; fewer if the stream ends before.
    pub(crate) fn skip(&mut self, count: u64) -> io::Result<()> {
        if let Self::Plain(Raw::Bytes(rest)) = self {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len());
            *rest = rest.get(count..).unwrap_or_default();
            return Ok(());
        }
        io::copy(&mut self.by_ref().take(count), &mut io::sink()).map(|_| ())
    }

    /// Reads on to the checksum at the end of a gzip stream, so that damaged voxels do not go unnoticed.
    pub(crate) fn verify_end(&mut self) -> io::Result<()> {
        if matches!(self, Self::Gzip(_) | Self::Ahead(_)) {
            io::copy(&mut self.by_ref().take(MAX_DRAINED), &mut io::sink())?;
        }
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self {
                Self::Plain(rest) => return rest.read(buffer),
                Self::Ahead(ahead) => return ahead.read(buffer),
                Self::End => return Ok(0),
                Self::Gzip(member) => {
                    let count = member.read(buffer)?;
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
            // The end of a member. What follows is another one, or padding that is nobody's business.
            if let Self::Gzip(member) = std::mem::replace(self, Self::End) {
                let mut rest = member.into_inner();
                if rest.is_gzip()? {
                    *self = Self::Gzip(Box::new(GzDecoder::new(rest)));
                }
            }
        }
    }
}

/// Reads until `buffer` is full or the stream ends; returns how many bytes came.
pub(crate) fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Gives seven bytes at a time, and then none, or an error.
    struct Dribble<'a>(&'a [u8], Option<io::ErrorKind>);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let least = buffer.len().min(7);
            match self.1 {
                Some(kind) if self.0.is_empty() => Err(kind.into()),
                _ => self.0.read(&mut buffer[..least]),
            }
        }
    }

    #[test]
    fn members_are_joined_and_padding_behind_them_is_left_alone() {
        let mut file = gzip(b"first ");
        file.extend(gzip(b""));
        file.extend(gzip(b"second"));
        file.extend([0; 512]);
        for mut source in [Source::open(&file), Source::stream(Dribble(&file, None), file.len() as u64).unwrap()] {
            let mut text = String::new();
            source.read_to_string(&mut text).unwrap();
            assert_eq!(text, "first second");
        }
    }

    #[test]
    fn a_stream_gives_what_the_same_bytes_in_memory_give() {
        let bytes: Vec<u8> = (0..2 * PIECE + 77).map(|n| (n % 251) as u8).collect();
        for file in [bytes.clone(), gzip(&bytes)] {
            let mut source = Source::stream(Dribble(&file, None), file.len() as u64).unwrap();
            assert_eq!(source.at_most(), Source::open(&file).at_most());
            source.skip(PIECE as u64 - 3).unwrap();
            let mut rest = Vec::new();
            source.read_to_end(&mut rest).unwrap();
            source.verify_end().unwrap();
            assert!(rest == bytes[PIECE - 3..], "{} bytes", rest.len());
        }
    }

    #[test]
    fn what_another_thread_inflates_is_the_same() {
        // Hardly to be packed.
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        let bytes: Vec<u8> = (0..WORTH_A_THREAD + 99).map(|_| noise()).collect();
        let mut file = gzip(&bytes);
        let all = |file: &[u8]| {
            Source::opened_ahead(file, |mut source| {
                assert!(matches!(source, Source::Ahead(_)) && source.at_most() == Source::open(file).at_most());
                source.skip(70_000)?;
                let mut rest = Vec::new();
                source.read_to_end(&mut rest).map(|_| rest)
            })
        };
        assert!(all(&file).unwrap() == bytes[70_000..]);
        // Somebody who needs only the beginning.
        let mut start = [0; 10];
        Source::opened_ahead(&file, |mut source| source.read_exact(&mut start)).unwrap();
        assert_eq!(start, bytes[..10]);
        let crc = file.len() - 8;
        file[crc] ^= 1;
        assert!(all(&file).is_err(), "the checksum was not looked at");
    }

    #[test]
    fn a_stream_that_ends_early_is_short_and_one_that_fails_says_why() {
        let mut source = Source::stream(Dribble(&[1, 2, 3], None), 1000).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read_up_to(&mut source, &mut buffer).unwrap(), 3);
        assert_eq!(source.at_most(), 0);
        let denied = Source::stream(Dribble(&[1, 2, 3], Some(io::ErrorKind::PermissionDenied)), 1000);
        let Err(error) = denied else { panic!("nothing was wrong") };
        assert!(error.get_ref().is_some_and(|e| e.is::<Unreadable>()), "{error:?}");
    }

    #[test]
    fn a_flipped_bit_is_found_by_the_checksum_even_if_nobody_reads_to_the_end() {
        let mut file = gzip(&[7; 1000]);
        let crc = file.len() - 8;
        file[crc] ^= 1;
        let mut source = Source::open(&file);
        let mut half = [0; 500];
        assert_eq!(read_up_to(&mut source, &mut half).unwrap(), 500);
        assert!(source.verify_end().is_err());
    }

    #[test]
    fn nothing_inflates_beyond_the_stated_bound() {
        for count in [0usize, 1, 100, 100_000, 3_000_000] {
            let file = gzip(&vec![0; count]);
            assert!(Source::open(&file).at_most() >= count as u64, "{count}");
        }
        assert_eq!(Source::open(&[1, 2, 3]).at_most(), 3);
    }
}
