//! What a voxel is, for people.

use attention_anatomy::anatomy::Organ;

use super::Study;

impl Study {
    /// HU, label and position of a voxel; `None` where there is none.
    pub fn readout(&self, voxel: [usize; 3]) -> Option<String> {
        let [x, y, z] = self.geometry().to_patient(voxel.map(|n| n as f64));
        let side = |v: f64, plus: &str, minus: &str| format!("{} {:.1}", if v < 0.0 { minus } else { plus }, v.abs());
        let what = self.short_readout(voxel)?;
        Some(format!("{what}   {}  {}  {} mm", side(x, "L", "R"), side(y, "P", "A"), side(z, "S", "I")))
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
