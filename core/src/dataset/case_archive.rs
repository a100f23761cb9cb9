//! Prepared cases in one file: what a training needs of its sets.
//!
//! A ZIP archive of two arrays a case, slice by slice, of intensities and of labels, and of `index.json`: the input, the sets and
//! their cases without pixels. In one of two ways:
//!
//! | | intensities | |
//! |---|---|---|
//! | [`Storage::Packed`] | [`LEVELS`] steps of the input's curve, a byte each, bzip2 | small, to be carried to another machine |
//! | [`Storage::Mapped`] | HU, 16 bits, uncompressed and aligned | exact; used where it lies, so that memory need not hold it |
//!
//! From steps, HU come back to half a step and half a HU, which is 4.8 HU in soft tissue with the curve of `light` and 36 HU in lung:
//! below the noise of a CT, and what remains of it packs well (bzip2 gains a quarter on PNG).

use std::io::{Cursor, Read, Seek, Write};

use serde::{Deserialize, Serialize};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::{Bytes, DataConfig, DataSet, Planes, PreparedCase};
use crate::preprocess::InputConfig;

const FORMAT: u32 = 3;
/// Intensities that are told apart in packed files.
pub const LEVELS: usize = 72;
const INDEX: &str = "index.json";
/// Where arrays of mapped files begin is a multiple of this.
const ALIGNMENT: u16 = 64;
const LARGEST_INDEX: usize = 256 << 20;
const LARGEST_CASE: usize = 1 << 30;

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Few levels, compressed: small.
    Packed,
    /// As they are used, to be mapped into memory.
    Mapped,
}

/// A set of a training, with its cases prepared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArchivedSet {
    /// What the training file says of it.
    pub config: DataConfig,
    /// Its manifest.
    pub set: DataSet,
    /// Its prepared cases by id. Pixels are kept apart.
    pub cases: Vec<(String, PreparedCase)>,
}

/// Everything in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseArchive {
    format: u32,
    storage: Storage,
    /// The input that the cases were prepared for.
    pub input: InputConfig,
    /// The sets.
    pub sets: Vec<ArchivedSet>,
}

/// Why prepared cases cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CaseArchiveError {
    /// Not such a file, a damaged one, or one of another version.
    #[error("this is not a usable file of prepared cases ({0}); make it anew with `prepare`")]
    Unreadable(String),
    /// The reason.
    #[error("the prepared cases cannot be written: {0}")]
    Write(String),
}

fn unreadable(e: impl std::fmt::Display) -> CaseArchiveError {
    CaseArchiveError::Unreadable(e.to_string())
}

fn unwritable(e: impl std::fmt::Display) -> CaseArchiveError {
    CaseArchiveError::Write(e.to_string())
}

/// Writes a file case by case; no more than one need be in memory.
pub struct CaseArchiveWriter<W: Write + Seek> {
    archive: zip::ZipWriter<W>,
    input: InputConfig,
    storage: Storage,
}

impl<W: Write + Seek> CaseArchiveWriter<W> {
    /// Begins a file of cases that were prepared for `input`.
    pub fn new(to: W, input: InputConfig, storage: Storage) -> Self {
        Self { archive: zip::ZipWriter::new(to), input, storage }
    }

    fn put(&mut self, name: &str, storage: Storage, bytes: &[u8]) -> Result<(), CaseArchiveError> {
        let options = match storage {
            Storage::Packed => SimpleFileOptions::default().compression_method(CompressionMethod::Bzip2),
            Storage::Mapped => SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .with_alignment(ALIGNMENT)
                .large_file(bytes.len() > u32::MAX as usize),
        };
        self.archive.start_file(name, options).map_err(unwritable)?;
        self.archive.write_all(bytes).map_err(unwritable)
    }

    /// Writes the pixels of a case of set number `set`.
    ///
    /// # Errors
    /// [`CaseArchiveError::Write`].
    pub fn add(&mut self, set: usize, id: &str, case: &PreparedCase) -> Result<(), CaseArchiveError> {
        let intensities: Vec<u8> = match self.storage {
            Storage::Packed => case.hu.all().iter().map(|&hu| level(&self.input, hu).round() as u8).collect(),
            Storage::Mapped => case.hu.all().iter().flat_map(|hu| hu.to_le_bytes()).collect(),
        };
        self.put(&entry_name(set, id, false), self.storage, &intensities)?;
        self.put(&entry_name(set, id, true), self.storage, case.labels.all())
    }

    /// Ends the file: `sets` with all cases that were added, whose pixels may be gone.
    ///
    /// # Errors
    /// [`CaseArchiveError::Write`].
    pub fn finish(mut self, sets: Vec<ArchivedSet>) -> Result<W, CaseArchiveError> {
        let index = CaseArchive { format: FORMAT, storage: self.storage, input: self.input.clone(), sets };
        self.put(INDEX, Storage::Packed, &serde_json::to_vec(&index).map_err(unwritable)?)?;
        self.archive.finish().map_err(unwritable)
    }
}

impl CaseArchive {
    /// Reads a file. Of a mapped one the pixels stay in `bytes`.
    ///
    /// # Errors
    /// [`CaseArchiveError::Unreadable`].
    pub fn read(bytes: &Bytes) -> Result<Self, CaseArchiveError> {
        let mut archive = zip::ZipArchive::new(Cursor::new((**bytes).as_ref())).map_err(unreadable)?;
        let mut held: Self =
            serde_json::from_slice(&unpacked(&mut archive, INDEX, LARGEST_INDEX)?).map_err(unreadable)?;
        if held.format != FORMAT {
            return Err(unreadable(format!("its format is {}, this program reads {FORMAT}", held.format)));
        }
        held.input.validate().map_err(unreadable)?;
        let levels = levels(&held.input);
        for (n, set) in held.sets.iter_mut().enumerate() {
            for (id, case) in &mut set.cases {
                let [width, height] = case.grid.size;
                let pixels = width.saturating_mul(height);
                let voxels = pixels.saturating_mul(case.grid.slices);
                if voxels == 0 || voxels > LARGEST_CASE {
                    return Err(unreadable(format!(
                        "{}: a grid of {width} x {height} x {}",
                        case.name, case.grid.slices
                    )));
                }
                let [ct, label] = [false, true].map(|labels| entry_name(n, id, labels));
                match held.storage {
                    Storage::Packed => {
                        let codes = unpacked(&mut archive, &ct, voxels)?;
                        if codes.iter().any(|&code| usize::from(code) >= LEVELS) {
                            return Err(unreadable(format!("{}: values above {}", case.name, LEVELS - 1)));
                        }
                        let hu = codes.into_iter().map(|code| levels[usize::from(code)]);
                        case.hu = Planes::new(pixels, hu.collect());
                        case.labels = Planes::new(pixels, unpacked(&mut archive, &label, voxels)?);
                    }
                    Storage::Mapped => {
                        case.hu = in_place(&mut archive, &ct, pixels, bytes)?;
                        case.labels = in_place(&mut archive, &label, pixels, bytes)?;
                    }
                }
                if !case.fits() {
                    return Err(unreadable(format!("{}: its parts do not fit together", case.name)));
                }
            }
        }
        Ok(held)
    }
}

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// What is packed, of at most so many bytes.
fn unpacked(archive: &mut Archive<'_>, name: &str, most: usize) -> Result<Vec<u8>, CaseArchiveError> {
    let file = archive.by_name(name).map_err(|e| unreadable(format!("{name}: {e}")))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|e| unreadable(format!("{name}: {e}")))?;
    if bytes.len() > most {
        return Err(unreadable(format!("{name}: more than {most} bytes")));
    }
    Ok(bytes)
}

/// An array that is used where it lies.
fn in_place<T: bytemuck::AnyBitPattern>(
    archive: &mut Archive<'_>,
    name: &str,
    pixels: usize,
    bytes: &Bytes,
) -> Result<Planes<T>, CaseArchiveError> {
    let file = archive.by_name(name).map_err(|e| unreadable(format!("{name}: {e}")))?;
    let range = file.data_start().and_then(|start| {
        let (start, size) = (usize::try_from(start).ok()?, usize::try_from(file.size()).ok()?);
        (file.compression() == CompressionMethod::Stored).then(|| start..start.saturating_add(size))
    });
    let planes = range.and_then(|range| Planes::in_file(pixels, bytes.clone(), range));
    planes.ok_or_else(|| unreadable(format!("{name}: does not lie where it could be used")))
}

fn entry_name(set: usize, id: &str, labels: bool) -> String {
    format!("{set}/{id}_{}", if labels { "label" } else { "ct" })
}

/// Where `hu` lies among the steps of intensity.
fn level(input: &InputConfig, hu: i16) -> f32 {
    input.intensity(f32::from(hu)) * (LEVELS - 1) as f32
}

/// The whole HU nearest to each step of intensity.
fn levels(input: &InputConfig) -> [i16; LEVELS] {
    let [low, high] = input.hu_range();
    let mut nearest = [(f32::INFINITY, low as i16); LEVELS];
    for hu in low as i16..=high as i16 {
        let exact = level(input, hu);
        let at = &mut nearest[exact.round() as usize];
        let distance = (exact - exact.round()).abs();
        if distance < at.0 {
            *at = (distance, hu);
        }
    }
    nearest.map(|(_, hu)| hu)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::anatomy::Organ;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};

    fn written(archive: &CaseArchive, storage: Storage) -> Bytes {
        let mut writer = CaseArchiveWriter::new(Cursor::new(Vec::new()), archive.input.clone(), storage);
        let mut sets = archive.sets.clone();
        for (n, set) in sets.iter_mut().enumerate() {
            for (id, case) in &mut set.cases {
                writer.add(n, id, case).unwrap();
                (case.hu, case.labels) = Default::default();
            }
        }
        Arc::new(writer.finish(sets).unwrap().into_inner())
    }

    fn archive() -> CaseArchive {
        let input = InputConfig { spacing_mm: Some(6.0), crop: 80, ..InputConfig::light() };
        let options = PhantomOptions {
            set: ScanSet::Thorax,
            matrix: 70,
            pixel_mm: 6.0,
            slice_mm: 12.0,
            ..PhantomOptions::default()
        };
        let phantom = Phantom::new(options).unwrap();
        let (ct, labels) = phantom.volume().unwrap();
        let annotated = ScanSet::Thorax.annotated();
        let given = Some(phantom.region_boundaries_mm());
        let case =
            PreparedCase::prepare("thorax/1".into(), 0, Arc::new(ct), &labels, annotated, &input, given).unwrap();
        let text = r#"{"name": "thorax", "license": "free", "cases": [{"id": "1", "split": "train", "ct": "a",
            "label": "b", "annotated": ["lung_left"]}]}"#;
        let set = DataSet::parse(text, false).unwrap();
        let sets = vec![ArchivedSet { config: DataConfig::of("m"), set, cases: vec![("1".into(), case)] }];
        CaseArchive { format: FORMAT, storage: Storage::Packed, input, sets }
    }

    #[test]
    fn cases_come_back_to_half_a_step_of_intensity_and_labels_exactly() {
        let before = archive();
        let after = CaseArchive::read(&written(&before, Storage::Packed)).unwrap();
        let (a, b) = (&before.sets[0].cases[0].1, &after.sets[0].cases[0].1);
        assert_eq!((a.labels.all(), &a.evaluable, &a.possible), (b.labels.all(), &b.evaluable, &b.possible));
        assert_eq!((&a.regions, &a.origins, &a.usable), (&b.regions, &b.origins, &b.usable));
        assert_eq!((&a.grid, &a.organ_slices, a.annotated), (&b.grid, &b.organ_slices, b.annotated));
        assert!(!a.organ_slices[Organ::LungLeft.index()].is_empty());
        let intensity = |hu: i16| before.input.intensity(f32::from(hu));
        let pairs = || a.hu.all().iter().zip(b.hu.all());
        let worst = pairs().map(|(&a, &b)| (intensity(a) - intensity(b)).abs()).fold(0.0, f32::max);
        // HU are whole numbers: half of one, where the curve is steepest, comes on top.
        let most = 0.5 / (LEVELS - 1) as f32 + 0.5 * 0.65 / 400.0;
        assert!(worst > 0.0 && worst <= most, "{worst} of the whole range");
        assert!(pairs().filter(|(a, _)| **a == -1000).all(|(_, b)| *b == -1000), "air stays air");
    }

    #[test]
    fn mapped_cases_are_exact_and_stay_where_they_lie() {
        let before = archive();
        let bytes = written(&before, Storage::Mapped);
        let after = CaseArchive::read(&bytes).unwrap();
        let (a, b) = (&before.sets[0].cases[0].1, &after.sets[0].cases[0].1);
        assert_eq!((a.hu.all(), a.labels.all()), (b.hu.all(), b.labels.all()));
        let within = (*bytes).as_ref().as_ptr_range();
        assert!(within.contains(&b.labels.all().as_ptr()) && within.contains(&b.hu.all().as_ptr().cast()));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let refused = |bytes: Vec<u8>, why: &str| match CaseArchive::read(&(Arc::new(bytes) as Bytes)) {
            Err(CaseArchiveError::Unreadable(said)) => said,
            other => panic!("{why}: {other:?}"),
        };
        for storage in [Storage::Packed, Storage::Mapped] {
            let good = written(&archive(), storage);
            let good = (*good).as_ref();
            refused(good[..good.len() / 2].to_vec(), "cut");
            refused(good[good.len() / 2..].to_vec(), "cut");
            let mut fewer = archive();
            fewer.sets[0].cases[0].1.origins.pop();
            let said = refused((*written(&fewer, storage)).as_ref().to_vec(), "parts");
            assert!(said.contains("thorax/1") && said.contains("fit together"), "{said}");
            let mut strange = archive();
            let case = &mut strange.sets[0].cases[0].1;
            case.labels = Planes::new(case.labels.pixels(), vec![34; case.labels.all().len()]);
            let said = refused((*written(&strange, storage)).as_ref().to_vec(), "labels");
            assert!(said.contains("fit together"), "{said}");
        }
        refused(b"PK nothing".to_vec(), "no archive");
        refused(Vec::new(), "empty");
    }
}
