//! Volumes of bytes as text: runs of equal bytes, gzip, base64. A whole label map is some hundred kilobytes.
//!
//! A run is its byte and its length, seven bits a byte, the lowest first, the highest bit set in all but the last (LEB128).

use std::io::{BufReader, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Why a packed volume cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It is not base64.
    #[error("its text is not base64")]
    Base64,
    /// It ends too early or is no gzip.
    #[error("its compressed data are cut off or changed")]
    Gzip,
    /// It has another number of voxels.
    #[error("it does not have {0} voxels")]
    Length(usize),
}

/// Packs bytes that come piece by piece.
#[derive(Debug, Default)]
pub struct Packer {
    runs: Vec<u8>,
    current: Option<(u8, u64)>,
}

impl Packer {
    /// The same byte some times.
    pub fn repeat(&mut self, byte: u8, times: usize) {
        match &mut self.current {
            Some((same, count)) if *same == byte => *count += times as u64,
            _ => {
                self.close();
                self.current = Some((byte, times as u64));
            }
        }
    }

    /// These bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for run in bytes.chunk_by(|a, b| a == b) {
            self.repeat(run[0], run.len());
        }
    }

    fn close(&mut self) {
        let Some((byte, mut count)) = self.current.take().filter(|(_, count)| *count > 0) else { return };
        self.runs.push(byte);
        while count > 0x7f {
            self.runs.push(count as u8 | 0x80);
            count >>= 7;
        }
        self.runs.push(count as u8);
    }

    /// The text.
    pub fn finish(mut self) -> String {
        self.close();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        // Writing into memory does not fail.
        let packed = gzip.write_all(&self.runs).and_then(|()| gzip.finish()).unwrap_or_default();
        STANDARD.encode(packed)
    }
}

/// The bytes of a packed volume of `len` voxels.
///
/// # Errors
/// [`UnpackError`], before more than `len` bytes are allocated.
pub fn unpack(text: &str, len: usize) -> Result<Vec<u8>, UnpackError> {
    let packed = STANDARD.decode(text).map_err(|_| UnpackError::Base64)?;
    let mut runs = BufReader::new(GzDecoder::new(packed.as_slice())).bytes();
    let mut next = || runs.next().transpose().map_err(|_| UnpackError::Gzip);
    let mut bytes = Vec::new();
    while let Some(byte) = next()? {
        let (mut count, mut shift) = (0u64, 0);
        loop {
            let part = next()?.ok_or(UnpackError::Gzip)?;
            count |= u64::from(part & 0x7f) << shift;
            shift += 7;
            if part & 0x80 == 0 {
                break;
            }
            if shift > 56 {
                return Err(UnpackError::Length(len));
            }
        }
        // A run of nothing is never written; many of them would take for ever.
        if count == 0 || count > (len - bytes.len()) as u64 {
            return Err(UnpackError::Length(len));
        }
        bytes.resize(bytes.len() + count as usize, byte);
    }
    if bytes.len() == len { Ok(bytes) } else { Err(UnpackError::Length(len)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(bytes: &[u8]) -> String {
        let mut packer = Packer::default();
        packer.push(bytes);
        packer.finish()
    }

    proptest! {
        #[test]
        fn bytes_come_back(runs in prop::collection::vec((any::<u8>(), 1..400usize), 0..30)) {
            let bytes: Vec<u8> = runs.iter().flat_map(|&(byte, n)| std::iter::repeat_n(byte, n)).collect();
            prop_assert_eq!(unpack(&pack(&bytes), bytes.len()), Ok(bytes.clone()));
            prop_assert_eq!(unpack(&pack(&bytes), bytes.len() + 1), Err(UnpackError::Length(bytes.len() + 1)));
            if !bytes.is_empty() {
                prop_assert!(unpack(&pack(&bytes), bytes.len() - 1).is_err());
            }
        }

        #[test]
        fn damaged_text_is_an_error_and_never_a_panic(at in 0..60usize, with in any::<char>(), len in 0..5000usize) {
            let mut text: Vec<char> = pack(&[vec![3; 3000], vec![7; 200], vec![0; 9]].concat()).chars().collect();
            let n = text.len();
            text[at % n] = with;
            if let Ok(bytes) = unpack(&text.iter().collect::<String>(), len) {
                prop_assert_eq!(bytes.len(), len);
            }
        }
    }

    #[test]
    fn a_long_run_is_a_few_bytes_and_a_run_beyond_the_volume_is_not_allocated() {
        let mut packer = Packer::default();
        packer.repeat(5, 150_000_000);
        packer.repeat(5, 0);
        packer.repeat(5, 10);
        assert!(packer.runs.is_empty(), "one run, still open");
        let text = packer.finish();
        assert!(text.len() < 60);
        assert_eq!(unpack(&text, 100), Err(UnpackError::Length(100)));
        for runs in [&[7, 0, 7, 1][..], &[7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], &[7, 0x80], &[7]]
        {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(runs).unwrap();
            assert!(unpack(&STANDARD.encode(gzip.finish().unwrap()), 1).is_err(), "{runs:?}");
        }
    }
}
