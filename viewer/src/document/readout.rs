//! What a voxel is, for people.

use attention_anatomy::anatomy::Organ;

use super::Study;

/// A position along an axis of the patient (0 left, 1 back, 2 head; mm), by its side of the origin: `R 12.8`.
pub fn on_side(mm: f64, axis: usize) -> String {
    let [low, high] = [["R", "L"], ["A", "P"], ["I", "S"]][axis];
    // Formatting alone rounds halves to the even digit: of one place two digits would be read.
    let mm = (mm * 10.0).round() / 10.0;
    format!("{} {:.1}", if mm < 0.0 { low } else { high }, mm.abs())
}

impl Study {
    /// HU, label and position of a voxel; `None` where there is none.
    pub fn readout(&self, voxel: [usize; 3]) -> Option<String> {
        let [x, y, z] = self.geometry().to_patient(voxel.map(|n| n as f64));
        let what = self.short_readout(voxel)?;
        Some(format!("{what}   {}  {}  {} mm", on_side(x, 0), on_side(y, 1), on_side(z, 2)))
    }

    /// HU and label of a voxel; `None` where there is none.
    pub fn short_readout(&self, voxel: [usize; 3]) -> Option<String> {
        let [nx, ny, nz] = self.geometry().size;
        let [i, j, k] = voxel;
        if i >= nx || j >= ny || k >= nz {
            return None;
        }
        let hu = self.ct.voxels.get(i + nx * (j + ny * k))?;
        let organ = match Organ::from_label(self.labels.layer().get(voxel)) {
            Some(organ) if self.labels.is_edited(voxel) => format!("{organ} (by hand)"),
            Some(organ) => organ.name().to_string(),
            None => "no organ".to_string(),
        };
        Some(format!("{hu} HU   {organ}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn halves_are_rounded_away_from_the_origin_on_both_sides() {
        assert_eq!([465.25, 465.24].map(|mm| on_side(mm, 2)), ["S 465.3", "S 465.2"]);
        assert_eq!([on_side(-0.25, 0), on_side(-0.04, 0), on_side(-6.0, 1)], ["R 0.3", "L 0.0", "A 6.0"]);
    }

    #[test]
    fn a_voxel_is_told_with_hu_organ_and_patient_position() {
        let study = sample::study();
        let [i, j, k] = study.labels.centre(Organ::Liver).unwrap();
        let text = study.readout([i, j, k]).unwrap();
        let [x, y, z] = study.geometry().to_patient([i as f64, j as f64, k as f64]);
        assert!(text.starts_with("60 HU   Liver"), "{text}");
        // The liver lies on the patient's right, and this body below the origin.
        assert!(x < 0.0 && text.contains(&format!("R {:.1}", -x)), "{text} {x}");
        assert!(text.contains(&format!("{} {:.1}", if y < 0.0 { "A" } else { "P" }, y.abs())), "{text} {y}");
        assert!(text.contains(&format!("I {:.1} mm", -z)), "{text} {z}");
        assert_eq!(study.readout([999, 0, 0]), None);
    }
}
