//! Do the organs say that left and right are exchanged?
//!
//! A header that mirrors a scan cannot be told from a right one by its numbers, and the network outlines what it finds on each side under
//! that side's names: the liver becomes a spleen. So a spleen that is large beside the liver is said. Measured on 17 scans with
//! both (BTCV, a trunk, two chests that end in the abdomen), each outlined as it is and mirrored: as they are, the spleen has more than half
//! of the liver's volume in two (3 litres of it in one, and one of a planning CT that is outlined badly), mirrored in twelve.

use crate::anatomy::Organ;
use crate::volume::LabelVolume;

/// A spleen of more than this share of the liver is said.
const SHARE: f64 = 0.5;
/// A spleen below this is the tip of one at the end of a scan, or a mistake of a few voxels, ml.
const LEAST_ML: f64 = 100.0;

/// That left and right may be exchanged, in a sentence, if the organs suggest it. The liver has to be among those that were looked for.
pub(super) fn sides_warning(labels: &LabelVolume) -> Option<String> {
    let mut voxels = [0usize; 256];
    labels.voxels.iter().for_each(|&label| voxels[usize::from(label)] += 1);
    let voxel_ml = labels.geometry.spacing().iter().product::<f64>() / 1000.0;
    let [liver, spleen] =
        [Organ::Liver, Organ::Spleen].map(|organ| voxels[usize::from(organ.label())] as f64 * voxel_ml);
    (spleen >= LEAST_ML && spleen > SHARE * liver).then(|| {
        format!(
            "The spleen ({spleen:.0} ml) has more than half of the liver's volume ({liver:.0} ml). Either it is enlarged, or the outlines \
             are wrong, or the file says left where right is: look whether the scan is mirrored, for then every left and right organ is \
             named wrongly."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    /// Ten slices of 100 x 10 voxels of 1 ml, so many of which are of each organ.
    fn labels(liver: usize, spleen: usize) -> LabelVolume {
        let mut voxels = vec![0; 10_000];
        voxels[..liver].fill(Organ::Liver.label());
        voxels[liver..liver + spleen].fill(Organ::Spleen.label());
        let grid = Geometry::axial([100, 10, 10], [10.0; 3], [0.0; 3]).unwrap();
        Volume::from_stored(grid, voxels, Modality::Unknown).unwrap()
    }

    #[test]
    fn a_spleen_beside_which_the_liver_is_small_is_said_with_both_volumes() {
        assert_eq!(sides_warning(&labels(1500, 300)), None);
        assert_eq!(sides_warning(&labels(40, 90)), None, "the end of a scan");
        assert_eq!(sides_warning(&labels(0, 0)), None);
        for (liver, spleen) in [(888, 1009), (300, 160), (0, 400)] {
            let said = sides_warning(&labels(liver, spleen)).unwrap();
            assert!(
                said.starts_with(&format!(
                    "The spleen ({spleen} ml) has more than half of the liver's volume ({liver} ml)"
                )),
                "{said}"
            );
        }
    }
}
