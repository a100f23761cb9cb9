//! What the network believed along the body, for programs, and a check of it against anatomy.
//!
//! The regions come in one order along every body. A network that sees them in another order is looking at a scan that
//! is upside down, put together from two series, or outside what it was trained on, and then no outline is to be
//! trusted however plausible it looks on its own slice.

use serde_json::{Value, json};

use super::manifest::round;
use super::{NOT_A_MEDICAL_DEVICE, Segmentation};
use crate::anatomy::{Organ, Region};
use crate::csv::{number, push_record, significant, six_digits};
use crate::infer::SliceAnatomy;

/// A run of one region shorter than this is not taken as evidence: around a boundary the network may waver.
const SHORTEST_RUN_MM: f64 = 15.0;
/// The most likely region of a slice counts from this probability on.
const SURE: f32 = 0.5;
/// Uncertainty over less than this length is what boundaries between regions look like.
const LONGEST_UNSURE_MM: f64 = 40.0;

/// One row per slice from inferior to superior: slice, position in patient S mm, region probabilities, the most likely
/// region, and the attention of each organ (headers are organ ids), values to six significant digits: attention of organs
/// that are ruled out is small, but not nought. Cells are empty where the network has no such
/// output. Attention of organs that the weights do not know is written as it came and means nothing.
pub fn attention_csv(seg: &Segmentation) -> String {
    let mut out = String::new();
    let header = ["slice".to_string(), "position_mm".to_string()]
        .into_iter()
        .chain(Region::ALL.map(|r| format!("p_{}", r.id())))
        .chain(["most_likely_region".to_string()])
        .chain(Organ::ALL.map(|o| o.id().to_string()));
    push_record(&mut out, header);
    for s in seg.ordered_slices() {
        let region = s.most_likely_region();
        let mut row = vec![s.slice.to_string(), number(s.position_mm, 2)];
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

/// The same as named arrays, schema `attention-anatomy/attention` version 1; `null` where the network has no such
/// output. `region_probability` is `[slices][5]`, `attention` is `[slices][33]`.
pub fn attention_json(seg: &Segmentation) -> String {
    let slices = seg.ordered_slices();
    let digits = |v: f32| if v.is_finite() { Value::from(six_digits(v.into())) } else { Value::Null };
    let known: Vec<&str> = Organ::ALL.into_iter().filter(|&o| seg.trained(o).is_some()).map(Organ::id).collect();
    let array = |f: &dyn Fn(&SliceAnatomy) -> Value| slices.iter().map(|s| f(s)).collect::<Vec<_>>();
    let value = json!({
        "schema": "attention-anatomy/attention",
        "version": 1,
        "statement": NOT_A_MEDICAL_DEVICE,
        "weights": { "name": seg.run.weights_name, "sha256": seg.run.weights_sha256 },
        "organs": Organ::ALL.map(Organ::id).to_vec(),
        "organs_in_weights": known,
        "regions": Region::ALL.map(Region::id),
        "slice": array(&|s| s.slice.into()),
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

/// A stretch of slices on which the same region is most likely.
struct Run {
    region: Region,
    from_mm: f64,
    to_mm: f64,
}

/// What is impossible about the regions along the body, one sentence each; empty for a plausible scan.
pub fn region_order_warnings(slices: &[SliceAnatomy]) -> Vec<String> {
    let mut slices: Vec<&SliceAnatomy> = slices.iter().filter(|s| s.most_likely_region().is_some()).collect();
    slices.sort_by_key(|s| s.slice);
    let mut warnings = Vec::new();
    let runs = sure_runs(&slices);
    // Inferior to superior the region number must fall: abdomen is 4, head is 0.
    let steps: Vec<(&Run, &Run)> = runs.iter().zip(runs.iter().skip(1)).collect();
    let wrong = |(a, b): &&(&Run, &Run)| a.region.index() < b.region.index();
    if !steps.is_empty() && steps.iter().all(|s| wrong(&s)) {
        let (low, high) = (&runs[0], &runs[runs.len() - 1]);
        warnings.push(format!(
            "The regions run the wrong way: {} at the lower end of the scan (z {:.0} mm) and {} at the upper end (z {:.0} mm). \
             The scan is probably stored upside down; left and right may be exchanged as well.",
            lower(low.region),
            low.from_mm,
            lower(high.region),
            high.to_mm,
        ));
    } else {
        for (a, b) in steps.iter().filter(wrong) {
            warnings.push(format!(
                "Going up, {} (to z {:.0} mm) is followed by {} (from z {:.0} mm), which no body does. Two series may have been put \
                 together, or the network is mistaken about this part of the scan.",
                lower(a.region),
                a.to_mm,
                lower(b.region),
                b.from_mm,
            ));
        }
        for (a, b) in steps.iter().filter(|(a, b)| a.region.index() > b.region.index() + 1) {
            warnings.push(format!(
                "Going up, {} (to z {:.0} mm) is followed directly by {} (from z {:.0} mm). Slices between them may be missing.",
                lower(a.region),
                a.to_mm,
                lower(b.region),
                b.from_mm,
            ));
        }
    }
    let mut start = 0;
    for end in 0..=slices.len() {
        let unsure = end < slices.len() && slices[end].most_likely_region().is_some_and(|(_, p)| p < SURE);
        if unsure {
            continue;
        }
        if end > start {
            let (from, to) = (slices[start].position_mm, slices[end - 1].position_mm);
            if (to - from).abs() >= LONGEST_UNSURE_MM {
                warnings.push(format!(
                    "Between z {from:.0} and {to:.0} mm no region reaches a probability of {SURE}. The scan may show a part of the \
                     body that these weights were not trained on.",
                ));
            }
        }
        start = end + 1;
    }
    warnings
}

fn lower(region: Region) -> String {
    region.name().to_lowercase()
}

/// The runs of confident slices, without those too short to be evidence, neighbours of the same region joined.
fn sure_runs(slices: &[&SliceAnatomy]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    for s in slices {
        let sure = s.most_likely_region().filter(|&(_, p)| p >= SURE).map(|(r, _)| r);
        if let Some(region) = sure {
            match runs.last_mut().filter(|_| last == sure) {
                Some(run) => run.to_mm = s.position_mm,
                None => runs.push(Run { region, from_mm: s.position_mm, to_mm: s.position_mm }),
            }
        }
        last = sure;
    }
    runs.retain(|r| (r.to_mm - r.from_mm).abs() >= SHORTEST_RUN_MM);
    let mut joined: Vec<Run> = Vec::new();
    for run in runs {
        match joined.last_mut().filter(|j| j.region == run.region) {
            Some(j) => j.to_mm = run.to_mm,
            None => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::samples::{run, trained};
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    /// Slices 3 mm apart, `(region, slices)` from inferior to superior.
    fn body(parts: &[(usize, usize)], p: f32) -> Vec<SliceAnatomy> {
        let mut out = Vec::new();
        for &(region, count) in parts {
            for _ in 0..count {
                let mut regions = [(1.0 - p) / 4.0; 5];
                regions[region] = p;
                let slice = out.len();
                out.push(SliceAnatomy { slice, position_mm: 3.0 * slice as f64 - 100.0, regions, attention: None });
            }
        }
        out
    }

    #[test]
    fn a_body_from_abdomen_to_head_raises_no_warning() {
        assert!(region_order_warnings(&body(&[(4, 20), (3, 20), (2, 20), (1, 10), (0, 30)], 0.9)).is_empty());
        assert!(region_order_warnings(&body(&[(2, 30)], 0.9)).is_empty());
        assert!(region_order_warnings(&[]).is_empty());
    }

    #[test]
    fn wavering_over_a_few_slices_at_a_boundary_raises_no_warning() {
        assert!(region_order_warnings(&body(&[(3, 20), (2, 2), (3, 2), (2, 20)], 0.9)).is_empty());
    }

    #[test]
    fn an_upside_down_scan_is_named_as_such() {
        let w = region_order_warnings(&body(&[(0, 30), (1, 10), (2, 20)], 0.9));
        assert_eq!(w.len(), 1);
        assert!(w[0].contains("upside down") && w[0].contains("head at the lower end"), "{w:?}");
    }

    #[test]
    fn two_series_put_together_and_missing_slices_are_named_with_their_positions() {
        let w = region_order_warnings(&body(&[(4, 20), (3, 20), (4, 20), (3, 20)], 0.9));
        assert_eq!(w.len(), 1);
        assert!(w[0].contains("upper abdomen (to z 17 mm) is followed by abdomen (from z 20 mm)"), "{w:?}");
        let w = region_order_warnings(&body(&[(4, 20), (1, 20)], 0.9));
        assert!(w.len() == 1 && w[0].contains("missing"), "{w:?}");
    }

    #[test]
    fn a_long_stretch_without_a_likely_region_is_named() {
        let mut b = body(&[(3, 20)], 0.9);
        b.extend(body(&[(2, 20)], 0.3).into_iter().map(|s| SliceAnatomy {
            slice: s.slice + 20,
            position_mm: s.position_mm + 60.0,
            ..s
        }));
        let w = region_order_warnings(&b);
        assert!(w.len() == 1 && w[0].contains("Between z -40 and 17 mm"), "{w:?}");
        assert!(region_order_warnings(&body(&[(3, 20), (2, 10)], 0.9)[..]).is_empty());
    }

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
        let seg = Segmentation { ct: &ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
        let csv = attention_csv(&seg);
        let lines: Vec<Vec<&str>> = csv.split_terminator("\r\n").map(|l| l.split(',').collect()).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|l| l.len() == 2 + 5 + 1 + 33));
        assert_eq!((lines[0][2], lines[0][7], lines[0][8]), ("p_head", "most_likely_region", "brain_stem"));
        assert_eq!(lines[1][..8], ["0", "-100.00", "0.025", "0.025", "0.9", "0.025", "0.025", "chest"]);
        assert_eq!((lines[1][8], lines[2][40]), ("", "0.5"));
        assert_eq!((lines[3][2], lines[3][7]), ("", ""));
        let v: Value = serde_json::from_str(&attention_json(&seg)).unwrap();
        assert_eq!(v["version"], 1);
        assert_eq!(v["attention"][1][32], 0.5);
        assert_eq!((lines[2][10], &v["attention"][1][2]), ("3.25149e-5", &json!(3.25149e-5)));
        assert_eq!((&v["attention"][0], &v["region_probability"][2]), (&Value::Null, &Value::Null));
        assert_eq!(v["region_probability"][0][2], 0.9);
        assert_eq!((&v["most_likely_region"][0], &v["organs_in_weights"]), (&json!("chest"), &json!(["heart"])));
    }
}
