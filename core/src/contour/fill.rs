//! From curves back to pixels: those whose centres lie inside.

use std::ops::RangeInclusive;

/// A centre this close to a curve lies inside, pixels. Many programs draw contours through the centres of an organ's outermost
/// pixels; rounding decides on which side of them a line falls.
const ON_LINE: f64 = 0.02;

/// Fills closed curves by the even-odd rule, all of them together: a curve within a curve is a hole, and a curve that walks
/// one way to and fro (a keyhole) encloses nothing there.
#[derive(Clone, Debug)]
pub struct Filler {
    width: usize,
    height: usize,
    /// Edges `[x, y, x, y]`.
    edges: Vec<[f64; 4]>,
}

impl Filler {
    /// For a picture of `width` x `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, edges: Vec::new() }
    }

    /// Adds a closed curve; points are `[x, y]` in pixels. Points that are no numbers are left out.
    pub fn add(&mut self, curve: impl IntoIterator<Item = [f64; 2]>) {
        let points: Vec<[f64; 2]> = curve.into_iter().filter(|p| p.iter().all(|v| v.is_finite())).collect();
        for (n, a) in points.iter().enumerate() {
            let b = points[(n + 1) % points.len()];
            self.edges.push([a[0], a[1], b[0], b[1]]);
        }
    }

    /// Calls `run` with every row and its runs of pixels inside; runs of a row may overlap.
    pub fn fill(&self, mut run: impl FnMut(usize, RangeInclusive<usize>)) {
        let last_row = self.height as f64 - 1.0;
        // Edges by the first row that they touch, with the last one.
        let mut touching: Vec<(usize, usize, &[f64; 4])> = Vec::with_capacity(self.edges.len());
        for edge in &self.edges {
            let first = (edge[1].min(edge[3]) - ON_LINE).ceil().max(0.0);
            let last = (edge[1].max(edge[3]) + ON_LINE).floor().min(last_row);
            if first <= last {
                touching.push((first as usize, last as usize, edge));
            }
        }
        touching.sort_by_key(|t| t.0);
        let mut coming = touching.into_iter().peekable();
        let mut here: Vec<(usize, &[f64; 4])> = Vec::new();
        let mut crossings: Vec<f64> = Vec::new();
        let last_column = self.width as f64 - 1.0;
        for row in 0..self.height {
            here.retain(|&(last, _)| last >= row);
            while let Some((_, last, edge)) = coming.next_if(|t| t.0 == row) {
                here.push((last, edge));
            }
            let mut inside = |from: f64, to: f64| {
                let first = (from - ON_LINE).ceil().max(0.0);
                let last = (to + ON_LINE).floor().min(last_column);
                if first <= last {
                    run(row, first as usize..=last as usize);
                }
            };
            let y = row as f64;
            crossings.clear();
            for &(_, &[x0, y0, x1, y1]) in &here {
                // Half open, so that a corner between two edges counts once.
                if (y0 <= y) != (y1 <= y) {
                    crossings.push(x0 + (x1 - x0) * (y - y0) / (y1 - y0));
                }
                // The part of the edge that lies on the row.
                if (y1 - y0).abs() <= 2.0 * ON_LINE {
                    inside(x0.min(x1), x0.max(x1));
                } else if (y - y0).abs() <= ON_LINE {
                    inside(x0, x0);
                } else if (y - y1).abs() <= ON_LINE {
                    inside(x1, x1);
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                inside(pair[0], pair[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(width: usize, height: usize, curves: &[&[[f64; 2]]]) -> Vec<String> {
        let mut filler = Filler::new(width, height);
        curves.iter().for_each(|c| filler.add(c.iter().copied()));
        let mut rows = vec![vec![b'.'; width]; height];
        filler.fill(|y, x| rows[y][x].fill(b'#'));
        rows.into_iter().map(|row| String::from_utf8(row).unwrap()).collect()
    }

    #[test]
    fn contours_through_pixel_centres_include_them_with_and_without_rounding() {
        for off in [0.0, 1e-6, -1e-6, 0.01, -0.01] {
            let square = [[1.0 + off, 1.0], [3.0, 1.0 + off], [3.0 - off, 3.0], [1.0, 3.0 - off]];
            assert_eq!(filled(5, 5, &[&square]), [".....", ".###.", ".###.", ".###.", "....."], "{off}");
        }
        let diamond = [[2.0, 0.0], [4.0, 2.0], [2.0, 4.0], [0.0, 2.0]];
        assert_eq!(filled(5, 5, &[&diamond]), ["..#..", ".###.", "#####", ".###.", "..#.."]);
    }

    #[test]
    fn a_curve_in_a_curve_is_a_hole_and_a_keyhole_is_too() {
        let outer = [[-0.5, -0.5], [4.5, -0.5], [4.5, 4.5], [-0.5, 4.5]];
        let inner = [[0.5, 0.5], [3.5, 0.5], [3.5, 3.5], [0.5, 3.5]];
        let ring = ["#####", "#...#", "#...#", "#...#", "#####"];
        assert_eq!(filled(5, 5, &[&outer, &inner]), ring);
        let keyhole = [
            [-0.5, -0.5],
            [4.5, -0.5],
            [4.5, 4.5],
            [-0.5, 4.5],
            [-0.5, 0.5],
            [0.5, 0.5],
            [0.5, 3.5],
            [3.5, 3.5],
            [3.5, 0.5],
            [0.5, 0.5],
            [-0.5, 0.5],
        ];
        assert_eq!(filled(5, 5, &[&keyhole]), ring);
    }

    #[test]
    fn what_lies_outside_the_picture_or_is_no_number_does_no_harm() {
        let far = [[-1e12, -1e12], [1e12, -1e12], [1e12, 1e12], [-1e12, 1e12]];
        assert_eq!(filled(2, 2, &[&far]), ["##", "##"]);
        assert_eq!(filled(2, 2, &[&[[9.0, 9.0], [12.0, 9.0], [9.0, 12.0]], &[], &[[f64::NAN, 0.0]]]), ["..", ".."]);
    }
}
