//! Lung-like air in one slice: closed, not the airway, as dense as lung tissue is in the mean.

use crate::preprocess::Body;
use crate::raster::{pieces, take};
use crate::volume::CtVolume;

/// Air and lung are below, soft tissue above.
const AIR_BELOW_HU: i16 = -500;
/// Lung tissue is above in the mean; sinuses, the airway, gas in the bowel and the air of a room are below.
const LUNG_ABOVE_HU: f64 = -935.0;
/// Half the width of the middle that belongs to the airway, in mm.
const MIDDLE_MM: f64 = 12.0;
/// A slice with less of the patient, in cm2, or with less than this share of it in one piece, was cut to contours: some
/// public sets blank everything outside structures and dose, and a lung that is not there says nothing.
const WHOLE_CM2: f64 = 60.0;
const WHOLE_SHARE: f64 = 0.75;

/// A closed body of lung-like air in one slice.
pub(super) struct Component {
    /// Cells of the search grid.
    pub cells: Vec<usize>,
    /// cm2 beside the midline, towards lower and higher i.
    pub sides: [f64; 2],
}

/// The search grid of one slice: every `step`-th pixel.
pub(super) struct Cells<'a> {
    ct: &'a CtVolume,
    body: &'a Body,
    k: usize,
    step: [usize; 2],
    size: [usize; 2],
}

impl<'a> Cells<'a> {
    /// Pixels of about `cell_mm`; those of the CT where that is less.
    pub fn new(ct: &'a CtVolume, body: &'a Body, k: usize, cell_mm: f64) -> Self {
        let spacing = ct.geometry.spacing();
        let step: [usize; 2] = std::array::from_fn(|a| ((cell_mm / spacing[a]) as usize).max(1));
        Self { ct, body, k, step, size: std::array::from_fn(|a| ct.geometry.size[a].div_ceil(step[a])) }
    }

    /// Cells of the grid.
    pub fn count(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn grid(&self) -> [usize; 3] {
        [self.size[0], self.size[1], 1]
    }

    /// The pixel of a cell, `[i, j]`.
    pub fn pixel(&self, n: usize) -> [usize; 2] {
        [n % self.size[0] * self.step[0], n / self.size[0] * self.step[1]]
    }

    fn hu(&self, n: usize) -> i16 {
        let [i, j] = self.pixel(n);
        self.ct.slice(self.k)[i + self.ct.geometry.size[0] * j]
    }

    fn in_body(&self, n: usize) -> bool {
        let [i, j] = self.pixel(n);
        self.body.contains(i, j, self.k)
    }

    /// Whether a cell lies on the patient's left of the body's middle.
    pub fn is_left(&self, n: usize) -> bool {
        self.pixel(n)[0] as f64 > self.body.centre(self.k)[0]
    }

    /// Area of a cell.
    pub fn cm2(&self) -> f64 {
        let spacing = self.ct.geometry.spacing();
        spacing[0] * self.step[0] as f64 * spacing[1] * self.step[1] as f64 / 100.0
    }

    /// Whether this is a whole section of the patient.
    pub fn whole(&self) -> bool {
        let tissue = (0..self.count()).map(|n| self.hu(n) >= AIR_BELOW_HU && self.in_body(n)).collect();
        let pieces: Vec<usize> = pieces(tissue, self.grid()).iter().map(Vec::len).collect();
        let sum = pieces.iter().sum::<usize>() as f64;
        let largest = pieces.into_iter().max().unwrap_or(0) as f64;
        largest * self.cm2() >= WHOLE_CM2 && largest >= WHOLE_SHARE * sum
    }

    /// The closed bodies of lung-like air.
    pub fn components(&self) -> Vec<Component> {
        let mut air: Vec<bool> = (0..self.count()).map(|n| self.hu(n) < AIR_BELOW_HU).collect();
        // Air joined to the outside is none of the lungs'.
        let outside: Vec<usize> = (0..self.count()).filter(|&n| air[n] && !self.in_body(n)).collect();
        take(&mut air, self.grid(), outside);

        let middle = self.body.centre(self.k)[0];
        let column_mm = self.ct.geometry.spacing()[0];
        let lung_like = |cells: &Vec<usize>| {
            let mean = cells.iter().map(|&n| f64::from(self.hu(n))).sum::<f64>() / cells.len() as f64;
            mean > LUNG_ABOVE_HU
        };
        let with_sides = |cells: Vec<usize>| {
            let mut sides = [0.0; 2];
            for &n in &cells {
                let x = (self.pixel(n)[0] as f64 - middle) * column_mm;
                if x.abs() > MIDDLE_MM {
                    sides[usize::from(x > 0.0)] += self.cm2();
                }
            }
            Component { cells, sides }
        };
        pieces(air, self.grid()).into_iter().filter(lung_like).map(with_sides).collect()
    }
}
