//! What the network believed along the body, checked against anatomy.
//!
//! The regions come in one order along every body. A network that sees them in another order is looking at a scan that
//! is upside down, put together from two series, or outside what it was trained on, and then no outline is to be
//! trusted however plausible it looks on its own slice.

use crate::anatomy::Region;
use crate::infer::SliceAnatomy;

/// A run of one region shorter than this is not taken as evidence: around a boundary the network may waver.
const SHORTEST_RUN_MM: f64 = 15.0;
/// The most likely region of a slice counts from this probability on.
const SURE: f32 = 0.5;
/// Uncertainty over less than this length is what boundaries between regions look like.
const LONGEST_UNSURE_MM: f64 = 40.0;

/// A stretch of slices on which the same region is most likely.
struct RegionRun {
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
    let steps: Vec<(&RegionRun, &RegionRun)> = runs.iter().zip(runs.iter().skip(1)).collect();
    let wrong = |(a, b): &&(&RegionRun, &RegionRun)| a.region.index() < b.region.index();
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
fn sure_runs(slices: &[&SliceAnatomy]) -> Vec<RegionRun> {
    let mut runs: Vec<RegionRun> = Vec::new();
    let mut last = None;
    for s in slices {
        let sure = s.most_likely_region().filter(|&(_, p)| p >= SURE).map(|(r, _)| r);
        if let Some(region) = sure {
            match runs.last_mut().filter(|_| last == sure) {
                Some(run) => run.to_mm = s.position_mm,
                None => runs.push(RegionRun { region, from_mm: s.position_mm, to_mm: s.position_mm }),
            }
        }
        last = sure;
    }
    runs.retain(|r| (r.to_mm - r.from_mm).abs() >= SHORTEST_RUN_MM);
    let mut joined: Vec<RegionRun> = Vec::new();
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
    use super::super::samples::body;
    use super::*;

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
}
