//! Outlines between outlined slices (shape-based interpolation, Raya and Udupa 1990): between two slices the signed
//! distances to their outlines are mixed, and what is negative is inside.
//!
//! Where each of the two shapes is one piece they are first laid over each other by their centroids: thin organs that
//! run obliquely hardly overlap from slice to slice, and without that would vanish half-way.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::infer::keep_largest_components;
use attention_anatomy::raster::signed_distance;

use super::{LabelStore, NOT_EDITED, PaintOver};

/// Between which slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Between {
    /// Where slices without the organ lie between slices with it.
    Gaps,
    /// From each slice on which the organ was edited by hand to the next such slice: those between are outlined anew.
    Edited,
}

impl LabelStore {
    /// Outlines an organ between axial slices; the given slices stay exactly as they are. Returns how many labels are
    /// others now.
    pub fn interpolate(&mut self, organ: Organ, between: Between, over: PaintOver) -> usize {
        let given: Vec<usize> = match between {
            Between::Gaps => {
                let voxels = self.voxels_on_slices(organ);
                (0..voxels.len()).filter(|&k| voxels[k] > 0).collect()
            }
            Between::Edited => (0..self.layer().size()[2]).filter(|&k| self.organ_edited_on(organ, k)).collect(),
        };
        let spans: Vec<[usize; 2]> = given.windows(2).map(|w| [w[0], w[1]]).filter(|[a, b]| b - a > 1).collect();
        self.begin("interpolate");
        let changed = spans.into_iter().map(|span| self.interpolate_span(organ, span, over)).sum();
        self.end();
        changed
    }

    /// Whether an edit has added or taken away voxels of an organ on a slice that still has some.
    fn organ_edited_on(&self, organ: Organ, k: usize) -> bool {
        let edited = |(&label, &network): (&u8, &u8)| {
            network != NOT_EDITED && network != label && (label == organ.label() || network == organ.label())
        };
        self.voxels_on_slices(organ)[k] > 0
            && self.under_edits(k).is_some_and(|under| self.layer().slice(k).iter().zip(under).any(edited))
    }

    fn interpolate_span(&mut self, organ: Organ, [first, last]: [usize; 2], over: PaintOver) -> usize {
        let [nx, ny, _] = self.layer().size();
        let spacing = self.geometry().spacing();
        let shapes = [first, last].map(|k| Shape::of(&self.layer().slice(k), nx, organ));
        let [Some(a), Some(b)] = shapes else { return 0 };
        let shift: [f64; 2] = if a.one_piece(nx) && b.one_piece(nx) {
            std::array::from_fn(|c| b.centroid[c] - a.centroid[c])
        } else {
            [0.0; 2]
        };
        let crop = Crop::around(&a, &b, shift);
        let [a, b] = [a, b].map(|shape| signed_distance(&crop.inside(&shape), crop.size, [spacing[0], spacing[1]]));
        let mut changed = 0;
        for k in first + 1..last {
            let t = (k - first) as f64 / (last - first) as f64;
            let mixed = |x: usize, y: usize| {
                let at = |part: f64| [x as f64 + part * shift[0], y as f64 + part * shift[1]];
                (1.0 - t) * crop.sample(&a, at(-t)) + t * crop.sample(&b, at(1.0 - t))
            };
            changed += self.set(k, 0..nx * ny, |n, label| {
                let inside = crop.pixel(n % nx, n / nx).is_some_and(|[x, y]| mixed(x, y) <= 0.0);
                match (inside, label == organ.label()) {
                    (true, false) if over.allows(label, organ) => Some(organ.label()),
                    (false, true) => Some(0),
                    _ => None,
                }
            });
        }
        changed
    }
}

/// An organ on one slice.
struct Shape {
    /// Numbers of its voxels in the slice.
    voxels: Vec<usize>,
    /// `[i, j]`, first and last.
    bounds: [[usize; 2]; 2],
    centroid: [f64; 2],
    nx: usize,
}

impl Shape {
    fn of(slice: &[u8], nx: usize, organ: Organ) -> Option<Self> {
        let voxels: Vec<usize> = (0..slice.len()).filter(|&n| slice[n] == organ.label()).collect();
        let mut bounds = [[usize::MAX; 2], [0; 2]];
        let mut sum = [0u64; 2];
        for &n in &voxels {
            for (a, v) in [n % nx, n / nx].into_iter().enumerate() {
                (bounds[0][a], bounds[1][a]) = (bounds[0][a].min(v), bounds[1][a].max(v));
                sum[a] += v as u64;
            }
        }
        let count = voxels.len() as f64;
        (!voxels.is_empty()).then(|| Self { voxels, bounds, centroid: sum.map(|s| s as f64 / count), nx })
    }

    fn one_piece(&self, nx: usize) -> bool {
        let [low, high] = self.bounds;
        let size = [high[0] - low[0] + 1, high[1] - low[1] + 1, 1];
        let mut pixels = vec![0; size[0] * size[1]];
        for n in &self.voxels {
            pixels[n % nx - low[0] + size[0] * (n / nx - low[1])] = 1;
        }
        // As a sum: the compiler fails on `all` with the SIMD of WebAssembly (LLVM: "Cannot select ... setcc").
        keep_largest_components(&mut pixels, size).iter().sum::<usize>() == 0
    }
}

/// The part of the plane in which shapes are mixed; it may reach beyond the volume.
struct Crop {
    origin: [isize; 2],
    size: [usize; 2],
}

impl Crop {
    /// Wide enough that each shape, moved by part of `shift`, stays within.
    fn around(a: &Shape, b: &Shape, shift: [f64; 2]) -> Self {
        let margin = shift.map(|s| 2 * s.abs().ceil() as isize + 1);
        let origin: [isize; 2] = std::array::from_fn(|c| a.bounds[0][c].min(b.bounds[0][c]) as isize - margin[c]);
        let size = std::array::from_fn(|c| {
            (a.bounds[1][c].max(b.bounds[1][c]) as isize + margin[c] + 1 - origin[c]).unsigned_abs()
        });
        Self { origin, size }
    }

    /// The pixel of the crop at a voxel.
    fn pixel(&self, i: usize, j: usize) -> Option<[usize; 2]> {
        let x = usize::try_from(i as isize - self.origin[0]).ok().filter(|x| *x < self.size[0])?;
        let y = usize::try_from(j as isize - self.origin[1]).ok().filter(|y| *y < self.size[1])?;
        Some([x, y])
    }

    fn inside(&self, shape: &Shape) -> Vec<bool> {
        let mut inside = vec![false; self.size[0] * self.size[1]];
        for n in &shape.voxels {
            if let Some([x, y]) = self.pixel(n % shape.nx, n / shape.nx) {
                inside[x + self.size[0] * y] = true;
            }
        }
        inside
    }

    /// Bilinear, the edge goes on beyond the crop.
    fn sample(&self, values: &[f32], at: [f64; 2]) -> f64 {
        let [(x0, x1, fx), (y0, y1, fy)] = std::array::from_fn(|c| {
            let last = self.size[c] - 1;
            let v = at[c].clamp(0.0, last as f64);
            (v as usize, (v as usize + 1).min(last), v.fract())
        });
        let value = |x: usize, y: usize| f64::from(values[x + self.size[0] * y]);
        let row = |y: usize| value(x0, y) * (1.0 - fx) + value(x1, y) * fx;
        row(y0) * (1.0 - fy) + row(y1) * fy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{place, store};

    const CORD: Organ = Organ::SpinalCord;

    fn disc(labels: &mut LabelStore, k: usize, centre: [f64; 2], radius_mm: f64) {
        let (nx, spacing) = (labels.layer().size()[0], labels.geometry().spacing());
        let area = nx * labels.layer().size()[1];
        labels.set(k, 0..area, |n, _| {
            let d = ((n % nx) as f64 - centre[0]) * spacing[0];
            let e = ((n / nx) as f64 - centre[1]) * spacing[1];
            (d.hypot(e) <= radius_mm).then_some(CORD.label())
        });
    }

    #[test]
    fn a_cylinder_is_exact_also_where_it_runs_obliquely() {
        for step in [0.0, 2.0] {
            let size = [40, 30, 9];
            let (mut labels, mut whole) = (store(size, [1.5, 1.5, 4.0]), store(size, [1.5, 1.5, 4.0]));
            for k in 1..=7 {
                disc(&mut whole, k, [10.0 + step * k as f64, 14.0], 6.1);
            }
            for k in [1, 7] {
                disc(&mut labels, k, [10.0 + step * k as f64, 14.0], 6.1);
            }
            labels.interpolate(CORD, Between::Gaps, PaintOver::Background);
            assert_eq!(labels.layer().voxels(), whole.layer().voxels(), "step {step}");
        }
    }

    #[test]
    fn a_cone_is_exact_to_half_a_voxel_and_given_slices_stay() {
        let size = [64, 64, 11];
        let mut labels = store(size, [1.0, 1.0, 3.0]);
        let radius = |k: usize| 25.0 - 2.0 * k as f64;
        for k in [0, 5, 10] {
            disc(&mut labels, k, [31.5, 31.5], radius(k));
        }
        let before = labels.layer().clone();
        labels.interpolate(CORD, Between::Gaps, PaintOver::Background);
        for k in [0, 5, 10] {
            assert_eq!(labels.layer().slice(k), before.slice(k));
        }
        for (n, &label) in labels.layer().voxels().iter().enumerate() {
            let [i, j, k] = place(n, size);
            let d = (i as f64 - 31.5).hypot(j as f64 - 31.5);
            if (d - radius(k)).abs() > 0.5 {
                assert_eq!(label != 0, d < radius(k), "slice {k}, {d} mm from the axis of radius {}", radius(k));
            }
        }
    }

    #[test]
    fn slices_between_edited_ones_are_outlined_anew_and_others_are_protected() {
        let size = [30, 30, 9];
        let mut labels = store(size, [1.0, 1.0, 2.0]);
        let mut network = vec![0; 900];
        network[900 - 1] = CORD.label();
        for k in 0..9 {
            labels.apply_run_slice(k, &network);
        }
        assert_eq!(labels.interpolate(CORD, Between::Edited, PaintOver::Background), 0);
        for k in [2, 6] {
            disc(&mut labels, k, [14.0, 14.0], 5.0);
            labels.set(k, 899..900, |_, _| Some(0));
        }
        labels.set(4, 14 + 30 * 14..15 + 30 * 14, |_, _| Some(Organ::Trachea.label()));
        labels.interpolate(CORD, Between::Edited, PaintOver::Background);
        for k in 0..9 {
            let between = (2..=6).contains(&k);
            assert_eq!(labels.layer().get([29, 29, k]) == CORD.label(), !between);
            assert_eq!(labels.layer().get([14, 16, k]) == CORD.label(), between);
        }
        assert_eq!(labels.layer().get([14, 14, 4]), Organ::Trachea.label());
    }
}
