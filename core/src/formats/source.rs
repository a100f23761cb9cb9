//! Bytes that may be gzipped, read as one stream.
//!
//! The magic number decides, not the file's name, because downloads and browsers lose or add `.gz`. A stream is
//! inflated in pieces, so that a CT of some hundred megabytes is never held unpacked beside its own voxels, and it may
//! have several gzip members (RFC 1952, section 2.2), as parallel compressors write them.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

/// What a gzip file starts with (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that deflate can make of one byte (258 from a quarter of a byte: two bits for length and distance).
const MAX_INFLATION: u64 = 1032;

/// How much unneeded data behind the voxels is unpacked only to reach the checksum behind it.
const MAX_DRAINED: u64 = 1 << 20;

/// Plain bytes, or gzipped ones that are inflated while they are read.
pub(crate) enum Source<'a> {
    /// As they are.
    Plain(&'a [u8]),
    /// Within a gzip member; the decoder holds what follows it, too.
    Gzip(Box<GzDecoder<&'a [u8]>>),
    /// After the last member.
    End,
}

/// Whether `bytes` start like a gzip file.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

impl<'a> Source<'a> {
    /// Opens `bytes`, gzipped or not.
    pub(crate) fn open(bytes: &'a [u8]) -> Self {
        if is_gzip(bytes) { Self::gzip(bytes) } else { Self::Plain(bytes) }
    }

    /// Opens `bytes` that must be gzipped.
    pub(crate) fn gzip(bytes: &'a [u8]) -> Self {
        Self::Gzip(Box::new(GzDecoder::new(bytes)))
    }

    /// No more bytes than this can still come out; for plain bytes exactly these do. A reader asks before it
    /// allocates what a header claims.
    pub(crate) fn at_most(&self) -> u64 {
        match self {
            Self::Plain(rest) => rest.len() as u64,
            // Up to 64 KiB may sit in the decoder's window, on their way out.
            Self::Gzip(member) => (member.get_ref().len() as u64 + 64).saturating_mul(MAX_INFLATION) + (1 << 16),
            Self::End => 0,
        }
    }

    /// Leaves out `count` bytes; fewer if the stream ends before.
    pub(crate) fn skip(&mut self, count: u64) -> io::Result<()> {
        if let Self::Plain(rest) = self {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len());
            *rest = rest.get(count..).unwrap_or_default();
            return Ok(());
        }
        io::copy(&mut self.by_ref().take(count), &mut io::sink()).map(|_| ())
    }

    /// Reads on to the checksum at the end of a gzip stream, so that damaged voxels do not go unnoticed.
    pub(crate) fn verify_end(&mut self) -> io::Result<()> {
        if matches!(self, Self::Gzip(_)) {
            io::copy(&mut self.by_ref().take(MAX_DRAINED), &mut io::sink())?;
        }
        Ok(())
    }
}

impl<'a> Read for Source<'a> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self {
                Self::Plain(rest) => return rest.read(buffer),
                Self::End => return Ok(0),
                Self::Gzip(member) => {
                    let count = member.read(buffer)?;
                    if count > 0 {
                        return Ok(count);
                    }
                    // The end of this member. What follows is another one, or padding that is nobody's business.
                    let rest: &'a [u8] = member.get_ref();
                    *self = if is_gzip(rest) { Self::gzip(rest) } else { Self::End };
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

    #[test]
    fn members_are_joined_and_padding_behind_them_is_left_alone() {
        let mut file = gzip(b"first ");
        file.extend(gzip(b""));
        file.extend(gzip(b"second"));
        file.extend([0; 512]);
        let mut text = String::new();
        Source::open(&file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "first second");
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
