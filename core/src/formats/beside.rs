//! A CT read while somebody else looks at its files.
//!
//! One thread inflates a file, and the others have nothing to do until it has: whoever wants its hash as well makes it then.

use super::dicom::{SeriesChoice, SeriesInfo, SeriesRequest};
use super::open::{FormatError, read_ct_and_series, sniff};
use super::{Format, ReadOptions, nifti, nrrd};
use crate::parallel::both;
use crate::volume::CtVolume;

/// As [`read_ct_and_series`], and what `look` makes of the files: of one NIfTI or NRRD file on another thread, where there is one; else
/// before they are read, because the memory of files of a series is given back while they are decoded.
///
/// # Errors
/// As [`read_ct_and_series`].
pub fn read_ct_beside<T: Send>(
    files: Vec<(String, Vec<u8>)>,
    request: impl Into<SeriesRequest>,
    look: impl FnOnce(&[(String, Vec<u8>)]) -> T + Send,
) -> Result<(CtVolume, Option<SeriesInfo>, T), FormatError> {
    let request = request.into();
    if let [(_, bytes)] = &files[..]
        && let Some(format) = sniff(bytes).filter(|format| matches!(format, Format::Nifti | Format::Nrrd))
    {
        if request.choice != SeriesChoice::Best {
            return Err(FormatError::NoSeries);
        }
        let options = ReadOptions::default();
        let read = || -> Result<CtVolume, FormatError> {
            Ok(match format {
                Format::Nrrd => nrrd::read_ct(bytes, &options)?,
                _ => nifti::read_ct(bytes, &options)?,
            })
        };
        let (ct, seen) = both(read, || look(&files));
        return Ok((ct?, None, seen));
    }
    let seen = look(&files);
    let (ct, series) = read_ct_and_series(files, request)?;
    Ok((ct, series, seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    fn names(files: &[(String, Vec<u8>)]) -> Vec<(String, usize)> {
        files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect()
    }

    #[test]
    fn the_volume_is_the_same_and_all_files_are_seen() {
        let grid = Geometry::axial([5, 4, 3], [1.0, 2.0, 3.0], [0.0; 3]).unwrap();
        let ct = Volume::from_stored(grid, (0..60).map(|n| n * 7 - 200).collect(), Modality::Ct).unwrap();
        let note = ("note.txt".to_string(), b"a note".to_vec());
        for (name, bytes) in
            [("a.nii.gz", nifti::write_ct(&ct, "").unwrap()), ("a.nrrd", nrrd::write_ct(&ct, "").unwrap())]
        {
            let file = (name.to_string(), bytes);
            // With a note beside it, it is read as whatever a folder holds.
            for files in [vec![file.clone()], vec![file.clone(), note.clone()]] {
                let (found, series, seen) = read_ct_beside(files.clone(), SeriesChoice::Best, names).unwrap();
                assert_eq!(
                    (&found, series.is_none()),
                    (&read_ct_and_series(files.clone(), SeriesChoice::Best).unwrap().0, true)
                );
                assert_eq!(seen, names(&files));
                let chosen = read_ct_beside(files, SeriesChoice::Listed(1), names);
                assert!(matches!(chosen, Err(FormatError::NoSeries)));
            }
            let mut damaged = file;
            let middle = damaged.1.len() / 2;
            damaged.1[middle..].fill(0x55);
            assert!(read_ct_beside(vec![damaged], SeriesChoice::Best, names).is_err());
        }
    }
}
