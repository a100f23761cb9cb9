//! A contact sheet: what a training eats, to be looked at before it is believed.

use super::ReportError;
use super::side_by_side::{OPACITY, encode};
use crate::anatomy::{Organ, REGION_COUNT, Region};
use crate::dataset::{Augmentation, Hpa, PreparedCase, SliceRef, make_batch};
use crate::preprocess::InputConfig;

/// A row of square slices of one set.
#[derive(Clone, Debug, Default)]
pub struct SheetRow {
    /// The body region that they most likely show; `None` where it is unknown.
    pub region: Option<Region>,
    /// How many slices there are to choose from.
    pub slices: usize,
    /// Those that are shown.
    pub tiles: Vec<SheetTile>,
}

/// A slice as the network sees it.
#[derive(Clone, Debug)]
pub struct SheetTile {
    /// Intensities in `[0, 1]`, row by row.
    pub intensities: Vec<f32>,
    /// Label numbers, row by row.
    pub labels: Vec<u8>,
}

/// Colour of the band where the region is unknown.
const UNKNOWN: [u8; 3] = [128; 3];
/// Width of the band.
const BAND: usize = 8;
/// Between tiles.
const GAP: usize = 2;

/// The rows of a set, down the body: up to `columns` slices of each region that it shows, evenly spread over its patients, as the network
/// gets them.
pub fn sheet_rows(
    cases: &[PreparedCase],
    set: usize,
    columns: usize,
    input: &InputConfig,
    augmentation: &Augmentation,
) -> Vec<SheetRow> {
    let pixels = input.crop * input.crop;
    let middle = input.stack / 2 * pixels;
    let row = |region: Option<Region>| {
        let mut slices = Vec::new();
        for (c, case) in cases.iter().enumerate().filter(|(_, case)| case.set == set) {
            slices.extend(case.usable.iter().filter(|&&k| case.region(k) == region).map(|&k| (c, k)));
        }
        let batch = make_batch(cases, &spread(&slices, columns), input, Hpa::Off, augmentation);
        let stacks = batch.stacks.chunks_exact(input.stack * pixels);
        let tiles = stacks
            .zip(batch.target.labels.chunks_exact(pixels))
            .map(|(stack, labels)| SheetTile {
                intensities: stack[middle..][..pixels].to_vec(),
                labels: labels.to_vec(),
            })
            .collect();
        SheetRow { region, slices: slices.len(), tiles }
    };
    (0..=REGION_COUNT).map(|n| row(Region::ALL.get(n).copied())).filter(|row| row.slices > 0).collect()
}

/// At most `count` of them, evenly spread.
fn spread(slices: &[(usize, usize)], count: usize) -> Vec<SliceRef> {
    let count = count.min(slices.len());
    (0..count)
        .map(|n| {
            let (case, slice) = slices[(2 * n + 1) * slices.len() / (2 * count)];
            SliceRef { case, slice, seed: n as u64 }
        })
        .collect()
}

/// All rows as one RGB PNG; tiles are of `side` x `side` pixels.
///
/// # Errors
/// [`ReportError::Picture`] when a tile is not of that size or the encoder refuses.
pub fn sheet_png(side: usize, rows: &[SheetRow]) -> Result<Vec<u8>, ReportError> {
    let columns = rows.iter().map(|row| row.tiles.len()).max().unwrap_or(0);
    let size = [BAND + columns * (side + GAP), rows.len() * (side + GAP)];
    let mut rgb = vec![0u8; 3 * size[0] * size[1]];
    let mut set = |x: usize, y: usize, colour: [u8; 3]| {
        let at = 3 * (x + size[0] * y);
        rgb[at..at + 3].copy_from_slice(&colour);
    };
    for (r, row) in rows.iter().enumerate() {
        let top = r * (side + GAP);
        let colour = row.region.map_or(UNKNOWN, Region::colour);
        for y in 0..side {
            (0..BAND - GAP).for_each(|x| set(x, top + y, colour));
        }
        for (n, tile) in row.tiles.iter().enumerate() {
            if tile.intensities.len() != side * side || tile.labels.len() != side * side {
                let reason = "intensities and labels are not of this size".into();
                return Err(ReportError::Picture { width: side, height: side, reason });
            }
            let left = BAND + n * (side + GAP);
            for p in 0..side * side {
                set(left + p % side, top + p / side, tile.colour(p));
            }
        }
    }
    encode(size, &rgb)
}

impl SheetTile {
    fn colour(&self, p: usize) -> [u8; 3] {
        let grey = 255.0 * self.intensities[p].clamp(0.0, 1.0);
        let Some(organ) = Organ::from_label(self.labels[p]) else { return [grey as u8; 3] };
        organ.colour().map(|c| (OPACITY * f32::from(c) + (1.0 - OPACITY) * grey).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_stand_beside_their_band_with_grey_and_colour_where_they_belong() {
        let organ = Organ::Liver;
        let tile = SheetTile { intensities: vec![0.0, 1.0, 0.5, 0.5], labels: vec![0, 0, 0, organ.label()] };
        let tiles = vec![tile.clone(), tile.clone()];
        let rows = [SheetRow { region: Some(Region::Chest), slices: 2, tiles }, SheetRow::default()];
        let png = sheet_png(2, &rows).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.width, info.height), (16, 8));
        let at = |x: usize, y: usize| [0, 1, 2].map(|c| rgb[3 * (x + 16 * y) + c]);
        let chest = Region::Chest.colour();
        assert_eq!((at(0, 0), at(5, 1), at(6, 0), at(0, 4)), (chest, chest, [0, 0, 0], UNKNOWN));
        assert_eq!((at(8, 0), at(9, 0), at(8, 1)), ([0; 3], [255; 3], [127; 3]));
        assert_eq!(at(13, 1), at(9, 1));
        assert_eq!(at(9, 1), organ.colour().map(|c| (0.4 * f32::from(c) + 0.6 * 127.5).round() as u8));
        assert!(sheet_png(3, &rows).is_err());
    }
    #[test]
    fn a_row_is_spread_over_all_slices_and_repeats_none() {
        let slices: Vec<(usize, usize)> = (0..7).map(|k| (0, k)).collect();
        let shown = |count| spread(&slices, count).iter().map(|s| s.slice).collect::<Vec<_>>();
        assert_eq!((shown(2), shown(7), shown(9)), (vec![1, 5], (0..7).collect(), (0..7).collect()));
        assert!(spread(&[], 3).is_empty());
    }
}
