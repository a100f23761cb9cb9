//! What the network says of one slice, in words: region and attention vector for whoever would not read 33 numbers.

use super::record::SliceAnatomy;
use crate::anatomy::{Organ, OrganSet, Region};

/// In units of the gauge: from here on attention is that of slices that show the organ.
const SHOWN: f32 = 0.5;
/// Below this the organ is ruled out: its probability is less than a tenth of what the features alone would give.
const RULED_OUT: f32 = 0.1;

/// Sentences about a slice. `known` are the organs that the weights have learned; `gauged` says whether their attention has a unit
/// ([`crate::network::gauge`]), without which its height means nothing.
pub fn in_words(anatomy: &SliceAnatomy, known: OrganSet, gauged: bool) -> Vec<String> {
    let mut lines = vec![place_in_words(anatomy.slice, anatomy.position_mm)];
    match anatomy.most_likely_region() {
        None => lines.push("The network has no region branch.".into()),
        Some((region, p)) if p >= 0.9 => lines.push(format!("Region: {} ({:.0} %).", region.name(), 100.0 * p)),
        Some((region, p)) => {
            let second = Region::ALL
                .into_iter()
                .filter(|other| *other != region)
                .max_by(|a, b| anatomy.regions[a.index()].total_cmp(&anatomy.regions[b.index()]));
            let other = second.map_or(String::new(), |other| {
                format!(", perhaps {} ({:.0} %)", other.name(), 100.0 * anatomy.regions[other.index()])
            });
            lines.push(format!("Region: {} ({:.0} %){other}.", region.name(), 100.0 * p));
        }
    }
    let Some(attention) = anatomy.attention else {
        lines.push("The network has no attention.".into());
        return lines;
    };
    if !gauged {
        lines.push(
            "The attention of these weights has no unit, so how high it is means nothing; `gauge` adds one.".into(),
        );
        return lines;
    }
    let mut organs: Vec<(Organ, f32)> = known.iter().map(|organ| (organ, attention[organ.index()])).collect();
    organs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let list = |wanted: &dyn Fn(f32) -> bool, numbers: bool| {
        let named = organs.iter().filter(|(_, a)| wanted(*a)).map(|(organ, a)| match numbers {
            true => format!("{} {a:.2}", organ.name()),
            false => organ.name().to_string(),
        });
        let all: Vec<String> = named.collect();
        if all.is_empty() { "none".to_string() } else { all.join(", ") }
    };
    lines.push(format!("Attention as on slices that show the organ: {}.", list(&|a| a >= SHOWN, true)));
    lines.push(format!("Less than that: {}.", list(&|a| (RULED_OUT..SHOWN).contains(&a), true)));
    lines.push(format!("Ruled out: {}.", list(&|a| a < RULED_OUT, false)));
    lines
}

/// Which slice it is: its number from 1, as on screen, its index from 0, as in arrays, and its height in the patient.
pub fn place_in_words(k: usize, position_mm: f64) -> String {
    format!("Slice {} (k = {k} from 0, z = {position_mm:.1} mm).", k + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::{ORGAN_COUNT, REGION_COUNT};

    fn slice(regions: [f32; REGION_COUNT], values: &[(Organ, f32)]) -> SliceAnatomy {
        let mut attention = [0.0; ORGAN_COUNT];
        values.iter().for_each(|(organ, value)| attention[organ.index()] = *value);
        SliceAnatomy { slice: 12, position_mm: -40.25, regions, attention: Some(attention) }
    }

    #[test]
    fn organs_stand_in_the_order_of_their_attention_and_unknown_ones_nowhere() {
        let values = [(Organ::Spleen, 0.6), (Organ::Liver, 1.234), (Organ::Heart, 0.2), (Organ::Larynx, 0.9)];
        let known: OrganSet = [Organ::Liver, Organ::Spleen, Organ::Heart, Organ::Mandible].into_iter().collect();
        let lines = in_words(&slice([0.0, 0.01, 0.02, 0.96, 0.01], &values), known, true);
        assert_eq!(lines[0], "Slice 13 (k = 12 from 0, z = -40.2 mm).");
        assert_eq!(lines[1], format!("Region: {} (96 %).", Region::ALL[3].name()));
        assert_eq!(lines[2], "Attention as on slices that show the organ: Liver 1.23, Spleen 0.60.");
        assert_eq!(lines[3], "Less than that: Heart 0.20.");
        assert_eq!(lines[4], "Ruled out: Mandible.");
    }

    #[test]
    fn what_is_not_sure_or_not_there_is_said() {
        let known = OrganSet::EMPTY;
        let unsure = slice([0.0, 0.55, 0.45, 0.0, 0.0], &[]);
        let names = [1, 2].map(|n: usize| Region::ALL[n].name());
        assert_eq!(
            in_words(&unsure, known, true)[1],
            format!("Region: {} (55 %), perhaps {} (45 %).", names[0], names[1])
        );
        assert!(in_words(&unsure, known, false)[2].contains("has no unit"));
        let plain = SliceAnatomy { attention: None, regions: [0.0; REGION_COUNT], ..unsure };
        assert_eq!(
            in_words(&plain, known, true)[1..],
            ["The network has no region branch.", "The network has no attention."]
        );
    }
}
