//! Prepared cases in one small file: what a training needs of its sets, to be carried to the machine that trains.
//!
//! A ZIP archive of `index.json`, the input, the sets and their cases without pixels, and of two greyscale PNG images a
//! case with its slices one below the other: intensities in 256 steps of the input's curve, and labels. HU come back to half a
//! step and half a HU, which is 1.7 HU in soft tissue with the curve of `light` and 10 HU in lung.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use super::{DataSet, PreparedCase};
use crate::preprocess::InputConfig;
use crate::train::DataConfig;

const FORMAT: u32 = 1;
const INDEX: &str = "index.json";

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
        let mut put = |name: &str, packed: bool, bytes: &[u8]| -> Result<(), CompactError> {
            let method = if packed { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
            archive.start_file(name, SimpleFileOptions::default().compression_method(method)).map_err(unwritable)?;
            archive.write_all(bytes).map_err(unwritable)
        };
        put(INDEX, false, &serde_json::to_vec(self).map_err(unwritable)?)?;
        for (n, set) in self.sets.iter().enumerate() {
            for (id, case) in &set.cases {
                let code = |hu: i16| (self.input.intensity(f32::from(hu)) * 255.0).round() as u8;
                let intensities: Vec<u8> = case.hu.iter().flat_map(|slice| slice.iter().map(|&hu| code(hu))).collect();
                put(&image_name(n, id, false), true, &png(case.grid.size[0], &intensities)?)?;
                put(&image_name(n, id, true), true, &png(case.grid.size[0], &case.labels.concat())?)?;
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
        let mut take = |name: &str| -> Result<Vec<u8>, CompactError> {
            let mut file = archive.by_name(name).map_err(|e| unreadable(format!("{name}: {e}")))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|e| unreadable(format!("{name}: {e}")))?;
            Ok(bytes)
        };
        let mut compact: Self = serde_json::from_slice(&take(INDEX)?).map_err(unreadable)?;
        if compact.format != FORMAT {
            return Err(unreadable(format!("its format is {}, this program reads {FORMAT}", compact.format)));
        }
        compact.input.validate().map_err(unreadable)?;
        let levels = levels(&compact.input);
        for (n, set) in compact.sets.iter_mut().enumerate() {
            for (id, case) in &mut set.cases {
                let [width, height] = case.grid.size;
                let mut planes = |labels: bool| -> Result<Vec<u8>, CompactError> {
                    let name = image_name(n, id, labels);
                    let values = pixels(&take(&name)?, width).map_err(|e| unreadable(format!("{name}: {e}")))?;
                    if values.len() != width * height * case.grid.slices {
                        return Err(unreadable(format!("{name}: not as large as the index says")));
                    }
                    Ok(values)
                };
                let (intensities, labels) = (planes(false)?, planes(true)?);
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

fn image_name(set: usize, id: &str, labels: bool) -> String {
    format!("{set}/{id}{}.png", if labels { "_label" } else { "_ct" })
}

/// The whole HU nearest to each of the 256 values of intensity.
fn levels(input: &InputConfig) -> [i16; 256] {
    let [low, high] = input.hu_range();
    let mut nearest = [(f32::INFINITY, low as i16); 256];
    for hu in low as i16..=high as i16 {
        let exact = input.intensity(f32::from(hu)) * 255.0;
        let at = &mut nearest[exact.round() as usize];
        let distance = (exact - exact.round()).abs();
        if distance < at.0 {
            *at = (distance, hu);
        }
    }
    nearest.map(|(_, hu)| hu)
}

fn png(width: usize, values: &[u8]) -> Result<Vec<u8>, CompactError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width as u32, (values.len() / width.max(1)) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(unwritable)?;
    writer.write_image_data(values).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    Ok(out)
}

fn pixels(png: &[u8], width: usize) -> Result<Vec<u8>, String> {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().map_err(|e| e.to_string())?;
    let info = reader.info();
    let grey = (info.color_type, info.bit_depth) == (png::ColorType::Grayscale, png::BitDepth::Eight);
    if !grey || info.width as usize != width {
        return Err("not a greyscale image of the width of the case".into());
    }
    let mut values = vec![0; reader.output_buffer_size().ok_or("too large")?];
    reader.next_frame(&mut values).map_err(|e| e.to_string())?;
    Ok(values)
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
        let most = 0.5 / 255.0 + 0.5 * 0.65 / 400.0;
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
