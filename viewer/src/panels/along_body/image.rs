//! The pixels of the strip: one row for every slice, superior at the top.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet, Region};
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::report::{shade, viridis};
use egui::{Color32, ColorImage};

use super::super::scale::Scale;
use crate::document::Study;
use crate::theme;

/// Columns of the stacked probabilities.
pub const STACK: usize = 40;
/// Columns in all: the likeliest region, the stacked probabilities, the attention of every organ.
pub const COLUMNS: usize = 1 + STACK + ORGAN_COUNT;
/// More rows than any device refuses.
const MOST_ROWS: usize = 2048;

/// Rows of the image of a scan of `slices` slices.
pub fn rows(slices: usize) -> usize {
    slices.clamp(1, MOST_ROWS)
}

/// The image of a study. Slices that were not run are transparent, organs that the weights do not know are grey.
pub fn image(study: &Study, known: OrganSet, scale: Scale) -> ColorImage {
    let slices = study.anatomy.len();
    let rows = rows(slices);
    let map = viridis();
    let mut pixels = Vec::with_capacity(rows * COLUMNS);
    for row in 0..rows {
        let k = slices.saturating_sub(1) - (row * slices / rows).min(slices.saturating_sub(1));
        let Some(anatomy) = study.anatomy_near(k) else {
            pixels.resize(pixels.len() + COLUMNS, Color32::TRANSPARENT);
            continue;
        };
        let best = anatomy.most_likely_region();
        pixels.push(best.map_or(Color32::TRANSPARENT, |(region, _)| theme::colour(region.colour())));
        let colour = |region: Option<Region>| region.map_or(Color32::TRANSPARENT, |r| theme::colour(r.colour()));
        pixels.extend(anatomy.region_cells(STACK).map(colour));
        for organ in Organ::ALL {
            pixels.push(match anatomy.attention.map(|a| a[organ.index()]) {
                Some(value) if known.contains(organ) => theme::colour(map[usize::from(shade(scale.place(value)))]),
                Some(_) => Color32::from_gray(70),
                None => Color32::TRANSPARENT,
            });
        }
    }
    ColorImage::new([COLUMNS, rows], pixels)
}

/// How undecided the network is between the regions, 0 (one is certain) to 1 (all alike).
pub fn entropy(anatomy: &SliceAnatomy) -> f32 {
    let total: f32 = anatomy.regions.iter().filter(|p| p.is_finite()).sum();
    let bits: f32 = anatomy
        .regions
        .iter()
        .map(|p| p / total.max(f32::MIN_POSITIVE))
        .filter(|p| p.is_finite() && *p > 0.0)
        .map(|p| -p * p.ln())
        .sum();
    bits / (Region::ALL.len() as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn the_head_is_at_the_top_and_every_column_is_what_it_says() {
        let study = sample::study();
        let known: OrganSet = Organ::ALL.into_iter().filter(|&o| o != Organ::Pancreas).collect();
        let picture = image(&study, known, Scale::Linear);
        let slices = study.anatomy.len();
        assert_eq!(picture.size, [COLUMNS, slices]);
        let at = |column: usize, row: usize| picture.pixels[row * COLUMNS + column];
        assert_eq!(at(0, 0), theme::colour(Region::Head.colour()));
        assert_eq!(at(0, slices - 1), theme::colour(Region::Abdomen.colour()));
        let liver = study.anatomy[3].as_ref().unwrap().attention.unwrap()[Organ::Liver.index()];
        let shown = at(1 + STACK + Organ::Liver.index(), slices - 1 - 3);
        assert_eq!(shown, theme::colour(viridis()[(liver * 255.0).round() as usize]));
        assert_eq!(at(1 + STACK + Organ::Pancreas.index(), 0), Color32::from_gray(70));
    }

    #[test]
    fn slices_that_were_not_run_stay_empty() {
        let mut study = sample::study();
        study.anatomy[..10].fill(None);
        let picture = image(&study, OrganSet::ALL, Scale::Linear);
        let last = &picture.pixels[picture.pixels.len() - COLUMNS..];
        assert!(last.iter().all(|&c| c == Color32::TRANSPARENT));
        assert!(rows(100_000) <= 2048 && rows(0) == 1);
    }

    #[test]
    fn entropy_runs_from_certain_to_undecided() {
        let slice = |regions| SliceAnatomy { slice: 0, position_mm: 0.0, regions, attention: None };
        assert_eq!(entropy(&slice([0.0, 1.0, 0.0, 0.0, 0.0])), 0.0);
        assert!((entropy(&slice([0.2; 5])) - 1.0).abs() < 1e-6);
        assert!((entropy(&slice([0.5, 0.5, 0.0, 0.0, 0.0])) - 2f32.ln() / 5f32.ln()).abs() < 1e-6);
        assert_eq!(entropy(&slice([0.0; 5])), 0.0);
    }
}
