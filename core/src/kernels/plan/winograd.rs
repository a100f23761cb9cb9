//! Convolutions of 3x3 at stride 1 with fewer multiplications: Winograd's F(2x2, 3x3).
//!
//! Four outputs of a 2x2 group take 36 products of nine weights with 16 inputs. Transformed (Lavin and Gray, "Fast algorithms
//! for convolutional neural networks", CVPR 2016: Y = A^T [(G g G^T) * (B^T d B)] A) they take 16. The weights are
//! transformed once; the inputs once for all output channels, groups of several rows together, as many as stay in the
//! second cache; the sums over input channels are products of matrices, one for each of the 16 points.

use pulp::{Simd, WithSimd};

use super::blocked::{BLOCK, BORDER, Maps};
use super::tile::End;

/// Points of a transformed group.
pub const POINTS: usize = 16;

/// G g G^T for kernels of nine weights, those of a block of output channels.
pub fn transform_weights(g: [[[f32; BLOCK]; 3]; 3]) -> [[f32; BLOCK]; POINTS] {
    let line = |[a, b, c]: [[f32; BLOCK]; 3]| {
        let (mut sum, mut difference) = ([0.0; BLOCK], [0.0; BLOCK]);
        for n in 0..BLOCK {
            sum[n] = 0.5 * (a[n] + b[n] + c[n]);
            difference[n] = 0.5 * (a[n] - b[n] + c[n]);
        }
        [a, sum, difference, c]
    };
    let rows = [line(g[0]), line(g[1]), line(g[2])];
    let mut points = [[0.0; BLOCK]; POINTS];
    for x in 0..4 {
        for (y, value) in line([rows[0][x], rows[1][x], rows[2][x]]).into_iter().enumerate() {
            points[y * 4 + x] = value;
        }
    }
    points
}

/// B^T d of four numbers.
#[inline(always)]
fn before<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
    [simd.sub_f32s(a, c), simd.add_f32s(b, c), simd.sub_f32s(c, b), simd.sub_f32s(b, d)]
}

/// B^T d of a column of four rows: one vector of the pixel.
#[inline(always)]
fn column<S: Simd>(simd: S, rows: [&[[f32; BLOCK]]; 4], x: usize, vector: usize) -> [S::f32s; 4] {
    let mut pixels = [simd.splat_f32s(0.0); 4];
    for (pixel, row) in pixels.iter_mut().zip(rows) {
        *pixel = S::as_simd_f32s(&row[x]).0[vector];
    }
    before(simd, pixels)
}

/// A^T m of four numbers.
#[inline(always)]
fn after<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(a, b), c), simd.sub_f32s(simd.sub_f32s(b, c), d)]
}

/// Groups of 2x2 outputs: those of some whole rows of groups.
#[derive(Clone, Copy)]
pub struct Groups {
    /// The first row of groups, and how many.
    pub rows: [usize; 2],
    /// Groups in a row.
    pub columns: usize,
}

impl Groups {
    /// How many there are.
    pub fn len(self) -> usize {
        self.rows[1] * self.columns
    }
}

/// B^T d B for all channels of an input.
pub struct Transform<'a, 'b> {
    /// The input.
    pub input: Maps<'a>,
    /// Which outputs.
    pub groups: Groups,
    /// `[16 points, blocks, groups, 16]`.
    pub to: &'b mut [f32],
}

impl WithSimd for Transform<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.compute::<S, 1>(simd),
            8 => self.compute::<S, 2>(simd),
            4 => self.compute::<S, 4>(simd),
            _ => self.compute::<S, 16>(simd),
        }
    }
}

impl Transform<'_, '_> {
    #[inline(always)]
    fn compute<S: Simd, const V: usize>(self, simd: S) {
        let Self { input, groups, to } = self;
        let (blocks, count) = (input.part.shape.blocks(), groups.len());
        let height = input.part.shape.size[0] + 2 * BORDER;
        let zeros = &input.row(0, 0).as_chunks::<BLOCK>().0;
        let mut points = to.chunks_exact_mut(blocks * count * BLOCK);
        let mut points: [&mut [[f32; BLOCK]]; POINTS] =
            std::array::from_fn(|_| points.next().map_or(&mut [][..], |point| point.as_chunks_mut().0));
        for block in 0..blocks {
            for n in 0..groups.rows[1] {
                let top = 2 * (groups.rows[0] + n);
                // Below the border, where the last group has one row only, there is nothing either.
                let rows: [&[[f32; BLOCK]]; 4] =
                    std::array::from_fn(
                        |y| {
                            if top + y < height { input.row(block, top + y).as_chunks().0 } else { zeros }
                        },
                    );
                let first = block * count + n * groups.columns;
                let out = points.each_mut().map(|point| &mut point[first..][..groups.columns]);
                for v in 0..V {
                    // Of the four columns of a group two are those of the next.
                    let width = rows[0].len();
                    let (mut a, mut b) = (column(simd, rows, 0, v), column(simd, rows, 1, v));
                    for x in 0..groups.columns {
                        let c = column(simd, rows, 2 * x + 2, v);
                        let d = if 2 * x + 3 < width {
                            column(simd, rows, 2 * x + 3, v)
                        } else {
                            [simd.splat_f32s(0.0); 4]
                        };
                        for y in 0..4 {
                            let line = before(simd, [a[y], b[y], c[y], d[y]]);
                            for k in 0..4 {
                                S::as_mut_simd_f32s(&mut out[y * 4 + k][x]).0[v] = line[k];
                            }
                        }
                        (a, b) = (c, d);
                    }
                }
            }
        }
    }
}

/// A transformed input and the transformed weights that it meets.
#[derive(Clone, Copy)]
pub struct TransformedInput<'a, const B: usize> {
    /// As [`Transform`] makes it.
    pub values: &'a [f32],
    /// Channels of the input.
    pub channels: usize,
    /// Of each output block `[16 points, channels, 16]`.
    pub weights: [&'a [f32]; B],
}

/// Sums over all input channels, and back to outputs.
pub struct Products<'a, 'b, const B: usize> {
    /// One, or two that stand for their concatenation.
    pub sources: [Option<TransformedInput<'a, B>>; 2],
    /// Which outputs.
    pub groups: Groups,
    /// Rows and columns of the output.
    pub size: [usize; 2],
    /// Of each output block the rows from `2 * groups.rows[0]`, with the borders left and right.
    pub out: [&'b mut [f32]; B],
    /// Numbers in a row of the output.
    pub pitch: usize,
    /// Where the sums begin.
    pub bias: [&'a [f32; BLOCK]; B],
    /// How they end; `None` where they go on.
    pub end: Option<End<'a, B>>,
    /// Room for the sums of some groups.
    pub room: &'b mut [[f32; BLOCK]; ROOM],
}

/// Vectors of sums that wait for their way back: all points of as many groups of two blocks as are computed at once.
pub const ROOM: usize = POINTS * 2 * 12;

impl<const B: usize> WithSimd for Products<'_, '_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, B) {
            (16, 1) => self.sweep::<S, 1, 1, 20, 16, 10, 5>(simd),
            (16, _) => self.sweep::<S, 1, 1, 12, 10, 8, 5>(simd),
            (8, _) => self.sweep::<S, 2, 1, 6, 5, 4, 2>(simd),
            (4, _) => self.sweep::<S, 2, 2, 4, 4, 3, 2>(simd),
            _ => self.sweep::<S, 16, 1, 1, 1, 1, 1>(simd),
        }
    }
}

impl<const B: usize> Products<'_, '_, B> {
    /// All groups, as many at once as leave least over. `V` vectors of the `P` parts of a block.
    #[inline(always)]
    fn sweep<
        S: Simd,
        const V: usize,
        const P: usize,
        const A: usize,
        const C: usize,
        const D: usize,
        const E: usize,
    >(
        mut self,
        simd: S,
    ) {
        let count = self.groups.len();
        let cost = |width: usize| count / width * (width + 1) + count % width * 3;
        let main = [A, C, D, E].into_iter().min_by_key(|&width| cost(width)).unwrap_or(E);
        for first in (0..P).map(|part| part * V) {
            let mut x = 0;
            while x < count {
                let left = (count - x).min(main);
                if left >= A {
                    self.tile::<S, V, A>(simd, first, x);
                    x += A;
                } else if left >= C {
                    self.tile::<S, V, C>(simd, first, x);
                    x += C;
                } else if left >= D {
                    self.tile::<S, V, D>(simd, first, x);
                    x += D;
                } else if left >= E {
                    self.tile::<S, V, E>(simd, first, x);
                    x += E;
                } else {
                    self.tile::<S, V, 1>(simd, first, x);
                    x += 1;
                }
            }
        }
    }

    /// `W` groups from `at`, and `V` of their vectors from the `first`.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const W: usize>(&mut self, simd: S, first: usize, at: usize) {
        let zero = simd.splat_f32s(0.0);
        let count = self.groups.len();
        for point in 0..POINTS {
            let mut sums = [[[zero; V]; W]; B];
            for source in self.sources.iter().flatten() {
                let (channels, blocks) = (source.channels, source.channels.div_ceil(BLOCK));
                let weights: [&[[f32; BLOCK]]; B] = std::array::from_fn(|b| {
                    source.weights[b][point * channels * BLOCK..][..channels * BLOCK].as_chunks().0
                });
                for block in 0..blocks {
                    let values = &source.values[((point * blocks + block) * count + at) * BLOCK..][..W * BLOCK];
                    let values: &[[f32; BLOCK]] = values.as_chunks().0;
                    let here = BLOCK.min(channels - block * BLOCK);
                    let weights = weights.map(|weights| &weights[block * BLOCK..][..here]);
                    for channel in 0..here {
                        let mut vectors = [[zero; V]; B];
                        for (vectors, weights) in vectors.iter_mut().zip(weights) {
                            vectors.copy_from_slice(&S::as_simd_f32s(&weights[channel]).0[first..][..V]);
                        }
                        for p in 0..W {
                            let value = simd.splat_f32s(values[p][channel % BLOCK]);
                            for b in 0..B {
                                for v in 0..V {
                                    sums[b][p][v] = simd.mul_add_e_f32s(vectors[b][v], value, sums[b][p][v]);
                                }
                            }
                        }
                    }
                }
            }
            let room = &mut self.room[point * B * W..][..B * W];
            for (room, sums) in room.iter_mut().zip(sums.as_flattened()) {
                S::as_mut_simd_f32s(room).0[first..][..V].copy_from_slice(sums);
            }
        }
        let floor = simd.splat_f32s(if self.end.is_some_and(|end| end.relu) { 0.0 } else { f32::MIN });
        let residual = self.end.and_then(|end| end.residual);
        let [height, width] = [self.size[0] - 2 * self.groups.rows[0], self.size[1]];
        for b in 0..B {
            let (mut row, mut column) = (at / self.groups.columns, at % self.groups.columns);
            for p in 0..W {
                for v in first..first + V {
                    let bias = S::as_simd_f32s(self.bias[b]).0[v];
                    let mut half = [[zero; 4]; 2];
                    for k in 0..4 {
                        let mut points = [zero; 4];
                        for (y, point) in points.iter_mut().enumerate() {
                            *point = S::as_simd_f32s(&self.room[(y * 4 + k) * B * W + b * W + p]).0[v];
                        }
                        let [upper, lower] = after(simd, points);
                        (half[0][k], half[1][k]) = (upper, lower);
                    }
                    for (dy, half) in half.into_iter().enumerate() {
                        let y = 2 * row + dy;
                        if y >= height {
                            continue;
                        }
                        let line = y * self.pitch + (2 * column + BORDER) * BLOCK;
                        let [left, right] = after(simd, half);
                        let (mut left, mut right) = (simd.add_f32s(left, bias), simd.add_f32s(right, bias));
                        if let Some((residual, pitch)) = &residual {
                            let residual = &residual[b][y * pitch + (2 * column + BORDER) * BLOCK..][..2 * BLOCK];
                            left = simd.add_f32s(left, S::as_simd_f32s(&residual[..BLOCK]).0[v]);
                            right = simd.add_f32s(right, S::as_simd_f32s(&residual[BLOCK..]).0[v]);
                        }
                        let to = &mut self.out[b][line..][..2 * BLOCK];
                        S::as_mut_simd_f32s(&mut to[..BLOCK]).0[v] = simd.max_f32s(left, floor);
                        if 2 * column + 1 < width {
                            S::as_mut_simd_f32s(&mut to[BLOCK..]).0[v] = simd.max_f32s(right, floor);
                        }
                    }
                }
                column += 1;
                if column == self.groups.columns {
                    (row, column) = (row + 1, 0);
                }
            }
        }
    }
}
