//! Distances between the surfaces of two masks.
//!
//! The definition is that of google-deepmind/surface-distance (Nikolov et al., "Deep learning to achieve clinically
//! applicable segmentation of head and neck anatomy for radiotherapy", 2018), so that figures compare with published ones:
//! surface elements sit at the corners between voxels. The 2x2x2 voxels around a corner give an 8-bit code; a
//! corner that sees both inside and outside belongs to the surface, with the area that a marching-cubes surface of that
//! code has inside the cell. Distances go from each element of one surface to the nearest element of the other, and means,
//! percentiles and shares are weighted by area.
//!
//! Counting boundary voxels instead would make every figure depend on how the surface runs through the grid.

use crate::raster::squared_distances;

/// The surface elements of two masks with their distance to the other surface.
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceDistances {
    /// From the reference to the prediction, nearest first.
    pub truth_to_prediction: Vec<SurfaceElement>,
    /// From the prediction to the reference, nearest first.
    pub prediction_to_truth: Vec<SurfaceElement>,
}

/// A piece of a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceElement {
    /// Distance to the other surface in mm; infinite if there is none.
    pub distance_mm: f64,
    /// Area in mm2.
    pub area_mm2: f64,
}

impl SurfaceDistances {
    /// Measures two masks on a grid of `size` voxels (i fastest) with `spacing` in mm; `truth(n)` tells whether voxel `n` is inside.
    ///
    /// Works on the bounding box of both masks: 10 bytes for each voxel of it. Voxels beyond the grid count as outside.
    pub fn between(
        size: [usize; 3],
        spacing: [f64; 3],
        truth: impl Fn(usize) -> bool,
        prediction: impl Fn(usize) -> bool,
    ) -> Self {
        let Some(bounds) = BoundingBox::around(size, |n| truth(n) || prediction(n)) else {
            return Self { truth_to_prediction: Vec::new(), prediction_to_truth: Vec::new() };
        };
        let areas = cell_areas(spacing);
        let truth_codes = bounds.codes(&truth);
        let prediction_codes = bounds.codes(&prediction);
        let elements = |from: &[u8], to: &[u8]| {
            let squared = squared_distances::<f32>(bounds.corners(), spacing, |n| on_surface(to[n]));
            let mut elements: Vec<SurfaceElement> = from
                .iter()
                .zip(&squared)
                .filter(|(code, _)| on_surface(**code))
                .map(|(code, d)| SurfaceElement {
                    distance_mm: f64::from(*d).sqrt(),
                    area_mm2: areas[usize::from(*code)],
                })
                .collect();
            elements.sort_unstable_by(|a, b| a.distance_mm.total_cmp(&b.distance_mm));
            elements
        };
        Self {
            truth_to_prediction: elements(&truth_codes, &prediction_codes),
            prediction_to_truth: elements(&prediction_codes, &truth_codes),
        }
    }

    fn directions(&self) -> [&[SurfaceElement]; 2] {
        [&self.truth_to_prediction, &self.prediction_to_truth]
    }

    /// The larger of the two directed Hausdorff distances at a share of the area (0.95 for HD95), in mm.
    ///
    /// `None` when both masks are empty, infinite when one is.
    pub fn hausdorff(&self, share: f64) -> Option<f64> {
        self.of_both(|elements| {
            let total = area(elements);
            let mut sum = 0.0;
            for element in elements {
                sum += element.area_mm2;
                if sum >= share * total {
                    return element.distance_mm;
                }
            }
            elements.last().map_or(f64::INFINITY, |element| element.distance_mm)
        })
        .map(|[a, b]| a.max(b))
    }

    /// The mean distance from the reference to the prediction and from the prediction to the reference, in mm.
    ///
    /// `None` when both masks are empty, infinite when one is.
    pub fn mean_distances(&self) -> Option<[f64; 2]> {
        self.of_both(|elements| elements.iter().map(|e| e.distance_mm * e.area_mm2).sum::<f64>() / area(elements))
    }

    /// The mean of the two [`mean_distances`](Self::mean_distances), in mm.
    pub fn mean_distance(&self) -> Option<f64> {
        self.mean_distances().map(|[a, b]| (a + b) / 2.0)
    }

    /// The share of both surfaces together that lies within `tolerance_mm` of the other.
    ///
    /// `None` when both masks are empty, 0 when one is.
    pub fn surface_dice(&self, tolerance_mm: f64) -> Option<f64> {
        let total: f64 = self.directions().iter().map(|elements| area(elements)).sum();
        let within: f64 = self.directions().iter().map(|elements| area_within(elements, tolerance_mm)).sum();
        (total > 0.0).then(|| within / total)
    }

    /// `value` of both directions; `None` when both are empty, infinity twice when one is.
    fn of_both(&self, value: impl Fn(&[SurfaceElement]) -> f64) -> Option<[f64; 2]> {
        match self.directions().map(<[SurfaceElement]>::is_empty) {
            [true, true] => None,
            [false, false] => Some(self.directions().map(value)),
            _ => Some([f64::INFINITY; 2]),
        }
    }
}

fn area(elements: &[SurfaceElement]) -> f64 {
    elements.iter().map(|element| element.area_mm2).sum()
}

fn area_within(elements: &[SurfaceElement], tolerance_mm: f64) -> f64 {
    // `sum` would make -0 of nothing.
    elements.iter().filter(|e| e.distance_mm <= tolerance_mm).fold(0.0, |sum, e| sum + e.area_mm2)
}

/// Some of the eight voxels around the corner are inside and some outside.
fn on_surface(code: u8) -> bool {
    code != 0 && code != u8::MAX
}

/// The bounding box of some voxels in a grid.
struct BoundingBox {
    grid: [usize; 3],
    start: [usize; 3],
    size: [usize; 3],
}

impl BoundingBox {
    fn around(grid: [usize; 3], inside: impl Fn(usize) -> bool) -> Option<Self> {
        let (mut low, mut high) = (grid, [0; 3]);
        let mut n = 0;
        for k in 0..grid[2] {
            for j in 0..grid[1] {
                for i in 0..grid[0] {
                    if inside(n) {
                        for (a, at) in [i, j, k].into_iter().enumerate() {
                            low[a] = low[a].min(at);
                            high[a] = high[a].max(at + 1);
                        }
                    }
                    n += 1;
                }
            }
        }
        (high[0] > 0).then(|| Self { grid, start: low, size: std::array::from_fn(|a| high[a] - low[a]) })
    }

    /// Corners of the bounds's voxels along each axis.
    fn corners(&self) -> [usize; 3] {
        self.size.map(|n| n + 1)
    }

    /// The code of each corner: bit `x + 2 y + 4 z` for the voxel that lies after the corner along the axes whose digit is 1.
    fn codes(&self, inside: &impl Fn(usize) -> bool) -> Vec<u8> {
        let corners = self.corners();
        let step = [1, corners[0], corners[0] * corners[1]];
        let mut codes = vec![0u8; corners.iter().product()];
        for k in 0..self.size[2] {
            for j in 0..self.size[1] {
                let row = self.start[0] + self.grid[0] * (self.start[1] + j + self.grid[1] * (self.start[2] + k));
                for i in 0..self.size[0] {
                    if inside(row + i) {
                        let corner = i + j * step[1] + k * step[2];
                        for bit in 0..8usize {
                            // The voxel lies after its lower corners and before its upper ones.
                            let upper = 7 - bit;
                            let at = corner + (upper & 1) + (upper >> 1 & 1) * step[1] + (upper >> 2) * step[2];
                            codes[at] |= 1 << bit;
                        }
                    }
                }
            }
        }
        codes
    }
}

/// The area in mm2 of the surface inside a cell, by the code of its eight corners.
///
/// The surface cuts the edges between inside and outside at their middle. On a face with two opposite inside corners each of them is cut off alone. Codes of more
/// than four corners have the surface of their complement.
fn cell_areas(spacing: [f64; 3]) -> [f64; 256] {
    std::array::from_fn(|code| {
        let code = code as u8;
        let few = if code.count_ones() > 4 { !code } else { code };
        polygons(few).iter().map(|polygon| polygon_area(polygon, spacing)).sum()
    })
}

/// An edge of the cell: its axis and its lower corner. Corner `x + 2 y + 4 z`.
#[derive(Clone, Copy, PartialEq)]
struct Edge {
    axis: usize,
    corner: usize,
}

/// The closed polygons, as runs of cut edges, in which the surface leaves the cell.
fn polygons(code: u8) -> Vec<Vec<Edge>> {
    let inside = |corner: usize| code >> corner & 1 == 1;
    // The surface crosses the faces of the cell in segments between cut edges.
    let mut segments = Vec::new();
    for axis in 0..3 {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        for face in [0, 1 << axis] {
            let corners = [face, face | 1 << u, face | 1 << u | 1 << v, face | 1 << v];
            let edges = [
                Edge { axis: u, corner: corners[0] },
                Edge { axis: v, corner: corners[1] },
                Edge { axis: u, corner: corners[3] },
                Edge { axis: v, corner: corners[0] },
            ];
            let cut: Vec<usize> = (0..4).filter(|&e| inside(corners[e]) != inside(corners[(e + 1) % 4])).collect();
            match cut[..] {
                [a, b] => segments.push([edges[a], edges[b]]),
                [_, _, _, _] => {
                    segments.extend((0..4).filter(|&c| inside(corners[c])).map(|c| [edges[(c + 3) % 4], edges[c]]));
                }
                _ => {}
            }
        }
    }
    let mut polygons = Vec::new();
    while let Some([first, mut end]) = segments.pop() {
        let mut polygon = vec![first];
        while end != first {
            polygon.push(end);
            let Some(next) = segments.iter().position(|segment| segment.contains(&end)) else { break };
            let [a, b] = segments.swap_remove(next);
            end = if a == end { b } else { a };
        }
        polygons.push(polygon);
    }
    polygons
}

/// The area of a polygon of cut edges, as a fan of triangles.
///
/// Five and six points need not lie in a plane, and the area depends on where the fan starts. Three neighbouring points on parallel
/// edges make a flat triangle, which leaves a flat rectangle of the pentagon; the hexagon that winds around a chain of
/// corners is split along its diagonal between parallel edges.
fn polygon_area(polygon: &[Edge], spacing: [f64; 3]) -> f64 {
    let count = polygon.len();
    let axis = |n: usize| polygon[n % count].axis;
    let start = (0..count)
        .find(|&n| match count {
            5 => axis(n) == axis(n + 1) && axis(n) == axis(n + 2),
            6 => axis(n) == axis(n + 3),
            _ => true,
        })
        .unwrap_or(0);
    let point = |n: usize| -> [f64; 3] {
        let edge = polygon[(start + n) % count];
        std::array::from_fn(|a| spacing[a] * if a == edge.axis { 0.5 } else { (edge.corner >> a & 1) as f64 })
    };
    let apex = point(0);
    (1..count.saturating_sub(1))
        .map(|n| {
            let [p, q] = [point(n), point(n + 1)].map(|r| -> [f64; 3] { std::array::from_fn(|a| r[a] - apex[a]) });
            let cross = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
            cross.iter().map(|c| c * c).sum::<f64>().sqrt() / 2.0
        })
        .sum()
}

#[cfg(test)]
mod tests;
