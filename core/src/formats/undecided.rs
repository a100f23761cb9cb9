//! A CT or a label map: which of both an image is, its voxels say while they are decoded, once.
//!
//! Label maps are stored in any number type, and no header says that its image is one. So voxels are taken for labels, a
//! byte each, until one comes that no organ has; from there on the image is a CT. The first voxel of a CT is air and decides.

use super::samples::{Converter, SampleError, ToHu, ToLabel, reserve};
use crate::anatomy::ORGAN_COUNT;
use crate::volume::{CtVolume, Geometry, GeometryError, LabelVolume, Modality, Volume};

/// What an image is.
#[derive(Clone, Debug, PartialEq)]
pub enum CtOrLabels {
    /// A CT, in HU.
    Ct(CtVolume),
    /// A label map.
    Labels(LabelVolume),
}

/// Voxels of which it is not known yet what they are.
pub(super) struct Undecided {
    /// How many there are.
    count: usize,
    labels: Vec<u8>,
    /// Why it is no label map that can be read, if it is one: a value between two labels.
    between: Option<SampleError>,
    /// All of them, once one was no label.
    hu: Option<(Vec<i16>, ToHu)>,
}

impl Undecided {
    /// For `count` voxels; memory is asked for when the first one comes, which the decoder lets through if the file can hold all.
    pub(super) fn new(count: usize) -> Self {
        Self { count, labels: Vec::new(), between: None, hu: None }
    }

    /// The image, with `warnings` before its own.
    ///
    /// # Errors
    /// [`SampleError::NotALabel`] for a label map with a value between two labels; an oblique grid.
    pub(super) fn finish<E>(self, stored: Geometry, mut warnings: Vec<String>) -> Result<CtOrLabels, E>
    where
        E: From<SampleError> + From<GeometryError>,
    {
        Ok(match self.hu {
            Some((voxels, to_hu)) => {
                let mut ct = Volume::from_stored(stored, voxels, Modality::Unknown)?;
                warnings.append(&mut ct.warnings);
                warnings.extend(to_hu.warnings());
                CtOrLabels::Ct(Volume { warnings, ..ct })
            }
            None => {
                if let Some(error) = self.between {
                    return Err(error.into());
                }
                let mut labels = Volume::from_stored(stored, self.labels, Modality::Unknown)?;
                warnings.append(&mut labels.warnings);
                CtOrLabels::Labels(Volume { warnings, ..labels })
            }
        })
    }
}

impl Converter for Undecided {
    /// The voxels are kept here.
    type Voxel = ();

    fn convert(&mut self, value: f64, voxel: usize) -> Result<(), SampleError> {
        if let Some((voxels, to_hu)) = &mut self.hu {
            voxels.push(to_hu.convert(value, voxel)?);
            return Ok(());
        }
        let rounded = value.round();
        if (0.0..=ORGAN_COUNT as f64).contains(&rounded) {
            if self.labels.capacity() == 0 {
                self.labels = reserve(self.count)?;
            }
            if self.between.is_none() {
                self.between = ToLabel.convert(value, voxel).err();
            }
            self.labels.push(rounded as u8);
            return Ok(());
        }
        let mut to_hu = ToHu::default();
        let mut voxels = reserve(self.count)?;
        voxels.extend(std::mem::take(&mut self.labels).into_iter().map(i16::from));
        voxels.push(to_hu.convert(value, voxel)?);
        self.hu = Some((voxels, to_hu));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::nifti::NiftiError;
    use crate::formats::samples::{ByteOrder, Encoding, SampleType, decode};
    use crate::formats::source::Source;

    /// The values as floats, decoded once.
    fn decoded(values: &[f32]) -> Undecided {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let format = Encoding { sample: SampleType::F32, order: ByteOrder::Little, slope: 1.0, intercept: 0.0 };
        let mut undecided = Undecided::new(values.len());
        let voxels = decode(&mut Source::open(&bytes), values.len(), &format, &mut undecided).unwrap();
        assert_eq!(voxels.len(), values.len());
        undecided
    }

    fn image(values: &[f32]) -> Result<CtOrLabels, NiftiError> {
        let grid = Geometry::axial([values.len(), 1, 1], [1.0; 3], [0.0; 3]).unwrap();
        decoded(values).finish(grid, vec!["of the header".into()])
    }

    #[test]
    fn a_label_map_is_never_a_ct_on_the_way() {
        let undecided = decoded(&[0.0, 33.0, 7.0005]);
        assert!(undecided.hu.is_none() && undecided.labels.capacity() == 3);
        let Ok(CtOrLabels::Labels(labels)) = image(&[0.0, 33.0, 7.0005]) else { panic!("no label map") };
        assert_eq!((labels.voxels, labels.warnings), (vec![0, 33, 7], vec!["of the header".to_owned()]));
    }

    #[test]
    fn one_voxel_that_no_organ_has_makes_a_ct_of_all() {
        // Wherever it stands; what came before keeps its HU, rounded as those behind it.
        for at in 0..4 {
            for (other, hu) in [(34.0, 34), (-0.6, -1), (-1000.0, -1000), (f32::NAN, -1024), (1e9, i16::MAX)] {
                let mut values = vec![0.0, 2.4, 32.6];
                values.insert(at, other);
                let mut expected = vec![0, 2, 33];
                expected.insert(at, hu);
                let Ok(CtOrLabels::Ct(ct)) = image(&values) else { panic!("no CT: {values:?}") };
                assert_eq!(ct.voxels, expected, "{values:?}");
                assert_eq!(ct.warnings.len(), 1 + usize::from(other.is_nan() || other > 1e6), "{:?}", ct.warnings);
            }
        }
    }

    #[test]
    fn a_label_map_with_a_value_between_two_labels_is_refused_with_its_place() {
        let refused = image(&[0.0, 5.0, 2.5, 0.25]);
        let Err(NiftiError::Samples(SampleError::NotALabel { voxel: 2, value })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(value, 2.5);
    }
}
