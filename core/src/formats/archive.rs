//! A zip of a study as the files in it: what people get when they download a series, and what a browser can take in one
//! drop.

use std::io::{Cursor, Read, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Why an archive gives no files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not a zip, or a broken one.
    #[error("the zip archive cannot be read ({0}); download or pack it again")]
    Damaged(String),
    /// One of its files cannot be unpacked.
    #[error("file {index} of the zip archive cannot be unpacked ({reason}); {advice}")]
    Entry {
        /// Place in the archive, from 1.
        index: usize,
        /// What the unpacker says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// Unpacked, it is larger than the caller allows.
    #[error("the zip archive unpacks to more than {} MiB; unpack it and open the folder", .limit >> 20)]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// It cannot be made.
    #[error("the zip archive cannot be made ({0})")]
    Unwritable(String),
    /// Nothing in it but folders and side files.
    #[error("the zip archive holds no files; pack the folder again")]
    Empty,
}

/// Whether bytes start like a zip archive with something in it.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// How many entries a zip archive has, and how many bytes they are unpacked, as far as it says: for whoever makes room, not to be believed.
pub fn declared(bytes: &[u8]) -> (usize, u64) {
    let archive = ZipArchive::new(Cursor::new(bytes)).ok();
    archive.map_or((0, 0), |a| (a.len(), a.decompressed_size().and_then(|n| n.try_into().ok()).unwrap_or(0)))
}

/// The files of a zip archive, as (path within the archive, contents), in its order. As [`unzip_each`].
///
/// # Errors
/// [`ArchiveError`]
pub fn unzip(bytes: &[u8], limit: u64) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let mut files = Vec::new();
    unzip_each(bytes, limit, |name, data| files.push((name, data)))?;
    Ok(files)
}

/// Hands over the files of a zip archive one by one, as path within the archive and contents, in its order.
///
/// Folders, `__MACOSX` side files, hidden files and DICOMDIR are skipped. At most `limit` bytes are unpacked in all,
/// counted while unpacking: the sizes that an archive declares are not believed.
///
/// # Errors
/// [`ArchiveError`]; some files may have been handed over before.
pub fn unzip_each(bytes: &[u8], limit: u64, mut each: impl FnMut(String, Vec<u8>)) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| ArchiveError::Damaged(reason(&e)))?;
    let mut left = limit;
    let mut is_empty = true;
    for n in 0..archive.len() {
        let entry_error = |e: &ZipError| ArchiveError::Entry { index: n + 1, reason: reason(e), advice: advice(e) };
        let entry = archive.by_index(n).map_err(|e| entry_error(&e))?;
        let name = match entry.name() {
            Ok(name) => name.replace('\\', "/"),
            Err(e) => return Err(entry_error(&e)),
        };
        if entry.is_dir() || is_side_file(&name) {
            continue;
        }
        let mut data = Vec::new();
        entry.take(left.saturating_add(1)).read_to_end(&mut data).map_err(|e| entry_error(&unwrapped(e)))?;
        if data.len() as u64 > left {
            return Err(ArchiveError::TooLarge { limit });
        }
        left -= data.len() as u64;
        is_empty = false;
        each(name, data);
    }
    if is_empty { Err(ArchiveError::Empty) } else { Ok(()) }
}

/// A zip archive of files, as (path within the archive, contents), that are compressed already.
///
/// # Errors
/// [`ArchiveError::Unwritable`]
pub fn zip(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, ArchiveError> {
    let unwritable = |error: &dyn std::fmt::Display| ArchiveError::Unwritable(error.to_string());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(name.as_str(), options).map_err(|e| unwritable(&e))?;
        archive.write_all(bytes).map_err(|e| unwritable(&e))?;
    }
    Ok(archive.finish().map_err(|e| unwritable(&e))?.into_inner())
}

fn is_side_file(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.is_empty()
        || last.starts_with('.')
        || last.eq_ignore_ascii_case("DICOMDIR")
        || name.split('/').any(|p| p == "__MACOSX")
}

/// What the unpacker means: whatever it finds out while it reads comes inside an error of the reader.
fn unwrapped(error: std::io::Error) -> ZipError {
    error.downcast::<ZipError>().unwrap_or_else(ZipError::Io)
}

fn is_locked(error: &ZipError) -> bool {
    matches!(error, ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED))
}

fn reason(error: &ZipError) -> String {
    match error {
        locked if is_locked(locked) => "it is encrypted".into(),
        ZipError::CompressionMethodNotSupported(9) => "it is packed with Deflate64, which is not read".into(),
        ZipError::CompressionMethodNotSupported(14) => "it is packed with LZMA, which is not read".into(),
        ZipError::CompressionMethodNotSupported(93) => "it is packed with Zstandard, which is not read".into(),
        ZipError::CompressionMethodNotSupported(95) => "it is packed with XZ, which is not read".into(),
        other => other.to_string(),
    }
}

fn advice(error: &ZipError) -> &'static str {
    match error {
        locked if is_locked(locked) => "pack the files again without encryption",
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            "pack the files again with Deflate, the method of most programs, or open the unpacked folder"
        }
        _ => "download or pack it again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, data) in files {
            match name.strip_suffix('/') {
                Some(folder) => zip.add_directory(folder, SimpleFileOptions::default()).unwrap(),
                None => {
                    zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                    zip.write_all(data).unwrap();
                }
            }
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn nested_files_come_out_and_side_files_do_not() {
        let bytes = pack(&[
            ("study/", b""),
            ("study/series/1.dcm", b"one"),
            ("study/2", b"two"),
            ("study/DICOMDIR", b"x"),
            ("__MACOSX/study/._2", b"x"),
            ("study/.DS_Store", b"x"),
        ]);
        assert!(is_zip(&bytes));
        let files = unzip(&bytes, 6).unwrap();
        assert_eq!(
            files,
            [("study/series/1.dcm".to_owned(), b"one".to_vec()), ("study/2".to_owned(), b"two".to_vec())]
        );
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bytes = pack(&[("a", &vec![0; 1 << 20]), ("b", &vec![0; 1 << 20])]);
        assert!(bytes.len() < 1 << 13);
        assert_eq!(unzip(&bytes, (2 << 20) - 1), Err(ArchiveError::TooLarge { limit: (2 << 20) - 1 }));
        assert_eq!(unzip(&bytes, 2 << 20).unwrap().len(), 2);
        let text = unzip(&bytes, 1 << 20).unwrap_err().to_string();
        assert!(text.contains("more than 1 MiB"), "{text}");
        assert_eq!(unzip(&bytes, u64::MAX).unwrap().len(), 2);
    }

    #[test]
    fn a_method_that_is_not_read_is_not_called_encryption_nor_encryption_a_method() {
        // Method and flags of an entry stand in its own header and again in the directory at the end.
        let changed = |at: [usize; 2], value: u16| {
            let mut bytes = pack(&[("1.dcm", &[7; 100])]);
            let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
            for at in [at[0], directory + at[1]] {
                bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            }
            unzip(&bytes, 1 << 20).unwrap_err().to_string()
        };
        for (method, name) in [(9, "Deflate64"), (14, "LZMA"), (93, "Zstandard"), (95, "XZ")] {
            let text = changed([8, 10], method);
            assert!(text.contains(name) && text.contains("pack the files again with Deflate"), "{text}");
            assert!(!text.contains("encrypt"), "{text}");
        }
        let text = changed([6, 8], 1);
        assert!(text.contains("encrypted") && text.contains("without encryption"), "{text}");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(matches!(unzip(b"PK\x03\x04 and no more", 100), Err(ArchiveError::Damaged(_))));
        assert_eq!(unzip(&pack(&[("folder/", b"")]), 100), Err(ArchiveError::Empty));
        assert!(!is_zip(b"\x1f\x8b"));
    }
}
