//! What the network believed along the body, for programs: a table and the same as JSON.

use serde_json::{Value, json};

use super::manifest::round;
use super::{NOT_A_MEDICAL_DEVICE, ReportInput};
use crate::anatomy::{Organ, Region};
use crate::csv::{number, push_record, significant, six_digits};
use crate::infer::SliceAnatomy;

/// One row per slice from inferior to superior: its number, from 1 as on screen and in the report; `k`, the same as an index, from 0; position
/// in patient S mm, region probabilities, the most likely region, and the attention of each organ (headers are organ ids), values to six significant digits: attention of organs
/// that are ruled out is small, but not nought. Cells are empty where the network has no such
/// output. Attention of organs that the weights do not know is written as it came and means nothing.
pub fn attention_csv(seg: &ReportInput) -> String {
    let mut out = String::new();
    let header = ["slice", "k", "position_mm"]
        .into_iter()
        .map(String::from)
        .chain(Region::ALL.map(|r| format!("p_{}", r.id())))
        .chain(["most_likely_region".to_string()])
        .chain(Organ::ALL.map(|o| o.id().to_string()));
    push_record(&mut out, header);
    for s in seg.ordered_slices() {
        let region = s.most_likely_region();
        let mut row = vec![(s.slice + 1).to_string(), s.slice.to_string(), number(s.position_mm, 2)];
        row.extend(s.regions.map(|p| region.map(|_| significant(p.into())).unwrap_or_default()));
        row.push(region.map(|(r, _)| r.id().to_string()).unwrap_or_default());
        match &s.attention {
            Some(values) => row.extend(values.iter().map(|&v| significant(v.into()))),
            None => row.extend(Organ::ALL.map(|_| String::new())),
        }
        push_record(&mut out, row);
    }
    out
}

/// The same as named arrays, schema `attention-anatomy/attention` version 2 (in version 1 `slice` was what is `k` now); `null` where the network has no such
/// output. `region_probability` is `[slices][5]`, `attention` is `[slices][33]`.
pub fn attention_json(seg: &ReportInput) -> String {
    let slices = seg.ordered_slices();
    let digits = |v: f32| if v.is_finite() { Value::from(six_digits(v.into())) } else { Value::Null };
    let known: Vec<&str> = Organ::ALL.into_iter().filter(|&o| seg.trained(o).is_some()).map(Organ::id).collect();
    let array = |f: &dyn Fn(&SliceAnatomy) -> Value| slices.iter().map(|s| f(s)).collect::<Vec<_>>();
    let value = json!({
        "schema": "attention-anatomy/attention",
        "version": 2,
        "statement": NOT_A_MEDICAL_DEVICE,
        "weights": { "name": seg.run.weights_name, "sha256": seg.run.weights_sha256 },
        "organs": Organ::ALL.map(Organ::id).to_vec(),
        "organs_in_weights": known,
        "regions": Region::ALL.map(Region::id),
        "slice": array(&|s| (s.slice + 1).into()),
        "k": array(&|s| s.slice.into()),
        "position_mm": array(&|s| round(s.position_mm, 3).into()),
        "region_probability": array(&|s| match s.most_likely_region() {
            Some(_) => s.regions.map(digits).to_vec().into(),
            None => Value::Null,
        }),
        "most_likely_region": array(&|s| s.most_likely_region().map(|(r, _)| r.id()).into()),
        "attention": array(&|s| match &s.attention {
            Some(values) => values.iter().map(|&v| digits(v)).collect::<Vec<_>>().into(),
            None => Value::Null,
        }),
    });
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{body, run, trained};
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    #[test]
    fn both_files_carry_the_same_named_values() {
        let geometry = Geometry::axial([4, 4, 3], [1.0, 1.0, 2.0], [0.0; 3]).unwrap();
        let ct = Volume::from_stored(geometry, vec![0i16; 48], Modality::Ct).unwrap();
        let labels = ct.with_voxels(vec![0u8; 48]);
        let mut slices = body(&[(2, 3)], 0.9);
        slices[1].attention = Some(std::array::from_fn(|c| c as f32 / 64.0));
        slices[1].attention.as_mut().unwrap()[2] = 3.251_487_6e-5;
        slices[2].regions = [0.0; 5];
        slices.reverse();
        let (trained, run) = (trained(&["heart"]), run());
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
        let csv = attention_csv(&seg);
        let lines: Vec<Vec<&str>> = csv.split_terminator("\r\n").map(|l| l.split(',').collect()).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|l| l.len() == 3 + 5 + 1 + 33));
        assert_eq!(lines[0][..4], ["slice", "k", "position_mm", "p_head"]);
        assert_eq!((lines[0][8], lines[0][9]), ("most_likely_region", "brain_stem"));
        assert_eq!(lines[1][..9], ["1", "0", "-100.00", "0.025", "0.025", "0.9", "0.025", "0.025", "chest"]);
        assert_eq!((lines[1][9], lines[2][41]), ("", "0.5"));
        assert_eq!((lines[3][3], lines[3][8]), ("", ""));
        let v: Value = serde_json::from_str(&attention_json(&seg)).unwrap();
        assert_eq!((&v["version"], &v["slice"], &v["k"]), (&json!(2), &json!([1, 2, 3]), &json!([0, 1, 2])));
        assert_eq!(v["attention"][1][32], 0.5);
        assert_eq!((lines[2][11], &v["attention"][1][2]), ("3.25149e-5", &json!(3.25149e-5)));
        assert_eq!((&v["attention"][0], &v["region_probability"][2]), (&Value::Null, &Value::Null));
        assert_eq!(v["region_probability"][0][2], 0.9);
        assert_eq!((&v["most_likely_region"][0], &v["organs_in_weights"]), (&json!("chest"), &json!(["heart"])));
    }
}
