//! What a visitor downloads, file by file, and the limit that it must keep.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::say;

/// Bytes with brotli of all files together.
const MOST: usize = 8_000_000;
/// Quality and window of brotli as a careful host would choose them.
const BROTLI: (u32, u32) = (11, 24);

struct Row {
    name: String,
    raw: usize,
    brotli: usize,
}

/// Prints the sizes. A page larger than [`MOST`] is an error if it is as small as it gets, else only said: it works.
///
/// # Errors
/// Where a file cannot be read, or the page is too large.
pub fn check(folder: &Path, optimised: bool) -> Result<()> {
    match judge(measure(folder)?) {
        Err(error) if !optimised => say::error(&error.to_string()),
        judged => judged?,
    }
    Ok(())
}

fn judge(mut rows: Vec<Row>) -> Result<()> {
    rows.sort_by(|a, b| b.brotli.cmp(&a.brotli).then_with(|| a.name.cmp(&b.name)));
    let total = Row {
        name: "in all".into(),
        raw: rows.iter().map(|row| row.raw).sum(),
        brotli: rows.iter().map(|row| row.brotli).sum(),
    };
    let brotli = total.brotli;
    say::heading("sizes, bytes");
    say::line(&format!("{:34}{:>12}{:>12}", "file", "raw", "brotli"));
    for row in rows.iter().chain([&total]) {
        say::line(&format!("{:34}{:>12}{:>12}", row.name, row.raw, row.brotli));
    }
    if brotli > MOST {
        bail!("the page is too large: {brotli} bytes with brotli, {MOST} are allowed");
    }
    Ok(())
}

/// All files at once, because the best compression is slow.
fn measure(folder: &Path) -> Result<Vec<Row>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for entry in entries {
            let path = entry?.path();
            running.push(scope.spawn(move || {
                let bytes = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Row { name, raw: bytes.len(), brotli: brotli_size(&bytes)? })
            }));
        }
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("brotli panicked"))).collect()
    })
}

fn brotli_size(bytes: &[u8]) -> Result<usize> {
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI.0 as i32,
        lgwin: BROTLI.1 as i32,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters).context("brotli failed")?;
    Ok(packed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_too_large_is_told_with_its_size() {
        let rows = |least: usize| {
            [least, MOST - 1000].map(|brotli| Row { name: "x.bin".into(), raw: 2 * brotli, brotli }).into()
        };
        assert!(judge(rows(1000)).is_ok());
        let error = judge(rows(1001)).unwrap_err().to_string();
        assert_eq!(error, "the page is too large: 8000001 bytes with brotli, 8000000 are allowed");
    }

    #[test]
    fn all_files_of_a_folder_are_measured() {
        let folder = std::env::temp_dir().join(format!("xtask-sizes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("long.txt"), "a".repeat(10_000)).unwrap();
        std::fs::write(folder.join("empty.txt"), "").unwrap();
        let mut rows = measure(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        rows.sort_by_key(|row| row.raw);
        let names: Vec<(&str, usize)> = rows.iter().map(|row| (row.name.as_str(), row.raw)).collect();
        assert_eq!(names, [("empty.txt", 0), ("long.txt", 10_000)]);
        assert!(rows[1].brotli < 100, "{}", rows[1].brotli);
    }
}
