//! Whatever is drawn comes back from every format as it was: any mask, on slices of any orientation, of any thickness, single ones too.

use proptest::prelude::*;

use super::analytic::{all_48_axes, derive, series};
use super::rtstruct::{self, Holes, WriteOptions};
use super::structures::{Drawn, SeriesLink, Structure, TargetGrid};
use super::{ReadOptions, nifti, nrrd, seg};
use crate::volume::{Geometry, LabelVolume, Modality, Volume};

/// The most voxels along each axis.
const MOST: [usize; 3] = [9, 8, 5];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_organs_come_back_voxel_by_voxel(
        size in [1..=MOST[0], 1..=MOST[1], 1..=MOST[2]],
        spacing in [0.3f64..4.0, 0.3f64..4.0, 0.3f64..8.0],
        origin in [-600f64..600.0, -600f64..600.0, -1500f64..1500.0],
        turn in 0usize..48,
        numbers in proptest::collection::vec(0u8..4, MOST.iter().product::<usize>()),
    ) {
        let mut axes = all_48_axes()[turn];
        let [a, b, _] = axes;
        // Slices are stored along row x column.
        axes[2] = std::array::from_fn(|r| a[(r + 1) % 3] * b[(r + 2) % 3] - a[(r + 2) % 3] * b[(r + 1) % 3]);
        let affine = std::array::from_fn(|r| {
            [axes[0][r] * spacing[0], axes[1][r] * spacing[1], axes[2][r] * spacing[2], origin[r]]
        });
        let grid = Geometry::new(size, affine).unwrap();
        let numbers = numbers[..grid.voxel_count()].to_vec();
        prop_assume!(numbers.iter().any(|&n| n != 0));
        let labels: LabelVolume = Volume::from_stored(grid, numbers, Modality::Unknown).unwrap();
        let organs = Structure::organs(&labels, |_| Drawn::Automatic);
        let (ct, target) = (series(&labels.stored), TargetGrid::of(&labels));
        let link = SeriesLink::from(&ct);
        for holes in [Holes::Keyhole, Holes::Xor] {
            let options = WriteOptions { holes, ..WriteOptions::default() };
            let bytes = derive(&ct, |made| rtstruct::write(&organs, &labels.geometry, &options, made)).unwrap();
            let found = rtstruct::structures(&rtstruct::read(&bytes).unwrap(), &target, Some(&link)).unwrap();
            prop_assert_eq!(&found.labels.voxels, &labels.voxels, "{:?}", holes);
        }
        let bytes = derive(&ct, |made| seg::write(&organs, &labels.geometry, made)).unwrap();
        let found = seg::structures(&seg::read(&bytes).unwrap(), Some(&target), Some(&link)).unwrap();
        prop_assert_eq!(&found.labels.voxels, &labels.voxels);
        let options = ReadOptions::default();
        for found in [
            nifti::read_labels(&nifti::write_labels(&labels, "").unwrap(), &options).unwrap(),
            nrrd::read_labels(&nrrd::write_labels(&labels, "").unwrap(), &options).unwrap(),
        ] {
            prop_assert_eq!(&found.voxels, &labels.voxels);
            prop_assert!(found.geometry.same_grid(&labels.geometry, 1e-2));
        }
    }
}
