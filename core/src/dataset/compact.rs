//! Prepared cases in one small file: what a training needs of its sets, to be carried to the machine that trains.
//!
//! A ZIP archive of `index.json`, the input, the sets and their cases without pixels, and of two arrays of bytes a case, slice by
//! slice: intensities in [`LEVELS`] steps of the input's curve, and labels. HU come back to half a step and half a HU, which is
//! 4.8 HU in soft tissue with the curve of `light` and 36 HU in lung: below the noise of a CT, and what remains of it packs well
//! (bzip2 gains a quarter on PNG).

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use super::{DataSet, PreparedCase};
use crate::preprocess::InputConfig;
use crate::train::DataConfig;

const FORMAT: u32 = 2;
/// Intensities that are told apart.
pub const LEVELS: usize = 72;
const INDEX: &str = "index.json";
const LARGEST_INDEX: usize = 256 << 20;
const LARGEST_CASE: usize = 1 << 30;

/// A set of a training, with its cases prepared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompactSet {
    /// What the training file says of it.
    pub config: DataConfig,
    /// Its manifest.
    pub set: DataSet,
    /// Its prepared cases by id. Pixels are kept apart.
    pub cases: Vec<(String, PreparedCase)>,
}

/// Everything in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compact {
    format: u32,
    /// The input that the cases were prepared for.
    pub input: InputConfig,
    /// The sets.
    pub sets: Vec<CompactSet>,
}

/// Why prepared cases cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// Not such a file, a damaged one, or one of another version.
    #[error("this is not a usable file of prepared cases ({0}); make it anew with `prepare`")]
    Unreadable(String),
    /// The reason.
    #[error("the prepared cases cannot be written: {0}")]
    Write(String),
}

fn unreadable(e: impl std::fmt::Display) -> CompactError {
    CompactError::Unreadable(e.to_string())
}

fn unwritable(e: impl std::fmt::Display) -> CompactError {
    CompactError::Write(e.to_string())
}

impl Compact {
    /// Cases that were prepared for `input`.
    pub fn new(input: InputConfig, sets: Vec<CompactSet>) -> Self {
        Self { format: FORMAT, input, sets }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`CompactError::Write`].
    pub fn write(&self) -> Result<Vec<u8>, CompactError> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let mut put = |name: &str, bytes: &[u8]| -> Result<(), CompactError> {
            let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Bzip2);
            archive.start_file(name, packed).map_err(unwritable)?;
            archive.write_all(bytes).map_err(unwritable)
        };
        put(INDEX, &serde_json::to_vec(self).map_err(unwritable)?)?;
        for (n, set) in self.sets.iter().enumerate() {
            for (id, case) in &set.cases {
                let code = |hu: i16| level(&self.input, hu).round() as u8;
                let intensities: Vec<u8> = case.hu.iter().flat_map(|slice| slice.iter().map(|&hu| code(hu))).collect();
                put(&entry_name(n, id, false), &intensities)?;
                put(&entry_name(n, id, true), &case.labels.concat())?;
            }
        }
        Ok(archive.finish().map_err(unwritable)?.into_inner())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`CompactError::Unreadable`].
    pub fn read(bytes: &[u8]) -> Result<Self, CompactError> {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
        let mut take = |name: &str, most: usize| -> Result<Vec<u8>, CompactError> {
            let file = archive.by_name(name).map_err(|e| unreadable(format!("{name}: {e}")))?;
            let mut bytes = Vec::new();
            file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|e| unreadable(format!("{name}: {e}")))?;
            Ok(bytes)
        };
        let mut compact: Self = serde_json::from_slice(&take(INDEX, LARGEST_INDEX)?).map_err(unreadable)?;
        if compact.format != FORMAT {
            return Err(unreadable(format!("its format is {}, this program reads {FORMAT}", compact.format)));
        }
        compact.input.validate().map_err(unreadable)?;
        let levels = levels(&compact.input);
        for (n, set) in compact.sets.iter_mut().enumerate() {
            for (id, case) in &mut set.cases {
                let [width, height] = case.grid.size;
                let voxels = width.saturating_mul(height).saturating_mul(case.grid.slices);
                if voxels == 0 || voxels > LARGEST_CASE {
                    return Err(unreadable(format!(
                        "{}: a grid of {width} x {height} x {}",
                        case.name, case.grid.slices
                    )));
                }
                let mut planes = |labels: bool| -> Result<Vec<u8>, CompactError> {
                    let name = entry_name(n, id, labels);
                    let values = take(&name, voxels)?;
                    if values.len() != voxels {
                        return Err(unreadable(format!("{name}: not as large as the index says")));
                    }
                    Ok(values)
                };
                let (intensities, labels) = (planes(false)?, planes(true)?);
                if intensities.iter().any(|&code| usize::from(code) >= LEVELS) {
                    return Err(unreadable(format!("{}: values above {}", case.name, LEVELS - 1)));
                }
                let slice = |codes: &[u8]| codes.iter().map(|&code| levels[usize::from(code)]).collect::<Arc<[i16]>>();
                case.hu = intensities.chunks_exact(width * height).map(slice).collect();
                case.labels = labels.chunks_exact(width * height).map(Arc::from).collect();
                if !case.fits() {
                    return Err(unreadable(format!("{}: its parts do not fit together", case.name)));
                }
            }
        }
        Ok(compact)
    }
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
    use super::*;
    use crate::anatomy::Organ;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};

    fn compact() -> Compact {
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
        let config =
            DataConfig { manifest: "m".into(), weight: 1.0, validation_patients: 0, derive_lungs: false, organs: None };
        Compact::new(input, vec![CompactSet { config, set, cases: vec![("1".into(), case)] }])
    }

    #[test]
    fn cases_come_back_to_half_a_step_of_intensity_and_labels_exactly() {
        let before = compact();
        let after = Compact::read(&before.write().unwrap()).unwrap();
        let (a, b) = (&before.sets[0].cases[0].1, &after.sets[0].cases[0].1);
        assert_eq!((&a.labels, &a.evaluable, &a.possible), (&b.labels, &b.evaluable, &b.possible));
        assert_eq!((&a.regions, &a.origins, &a.usable), (&b.regions, &b.origins, &b.usable));
        assert_eq!((&a.grid, &a.organ_slices, a.annotated), (&b.grid, &b.organ_slices, b.annotated));
        assert!(!a.organ_slices[Organ::LungLeft.index()].is_empty());
        let intensity = |hu: i16| before.input.intensity(f32::from(hu));
        let pairs = || a.hu.iter().zip(&b.hu).flat_map(|(a, b)| a.iter().zip(b.iter()));
        let worst = pairs().map(|(&a, &b)| (intensity(a) - intensity(b)).abs()).fold(0.0, f32::max);
        // HU are whole numbers: half of one, where the curve is steepest, comes on top.
        let most = 0.5 / (LEVELS - 1) as f32 + 0.5 * 0.65 / 400.0;
        assert!(worst > 0.0 && worst <= most, "{worst} of the whole range");
        assert!(pairs().filter(|(a, _)| **a == -1000).all(|(_, b)| *b == -1000), "air stays air");
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let good = compact().write().unwrap();
        for (bytes, why) in [(&good[..good.len() / 2], "cut"), (b"PK nothing".as_slice(), "no archive"), (b"", "empty")]
        {
            assert!(matches!(Compact::read(bytes), Err(CompactError::Unreadable(_))), "{why}");
        }
        let mut fewer = compact();
        fewer.sets[0].cases[0].1.origins.pop();
        let said = Compact::read(&fewer.write().unwrap()).unwrap_err().to_string();
        assert!(said.contains("thorax/1") && said.contains("fit together"), "{said}");
    }
}
