//! Solids that anatomy is made of, each with a signed distance that is cheap within one axial plane.
//!
//! A slice is drawn plane by plane, so every solid first gives its [`Section`] with the plane (all that depends on z is
//! worked out once) and the section then answers for points. Distances are in mm, negative inside, exact enough near the
//! surface for smooth edges and thin layers; far away they are only of the right sign.

/// A point or a vector in mm: x to the patient's left, y to the back, z up.
pub(super) type Point = [f32; 3];

/// What a [`Loft`] looks like at a height: an oval of four quarters around a centre, each with its own two half axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub z: f32,
    pub x: f32,
    pub y: f32,
    pub left: f32,
    pub right: f32,
    pub front: f32,
    pub back: f32,
}

/// An oval that is symmetrical both ways.
pub(super) const fn oval(z: f32, x: f32, y: f32, rx: f32, ry: f32) -> Key {
    Key { z, x, y, left: rx, right: rx, front: ry, back: ry }
}

/// An oval around the midline: half width, half axes to the front and to the back.
pub(super) const fn mid(z: f32, y: f32, rx: f32, front: f32, back: f32) -> Key {
    Key { z, x: 0.0, y, left: rx, right: rx, front, back }
}

/// An oval of four different quarters: centre, then half axes to the left, right, front and back.
pub(super) const fn quad(z: f32, [x, y]: [f32; 2], [left, right]: [f32; 2], [front, back]: [f32; 2]) -> Key {
    Key { z, x, y, left, right, front, back }
}

/// Where a loft begins or ends in a round tip.
pub(super) const fn tip(z: f32, x: f32, y: f32) -> Key {
    oval(z, x, y, 0.0, 0.0)
}

const FIELDS: usize = 6;

/// A solid through ovals at given heights. Squares of the half axes are interpolated, so that a tip is round, and
/// monotonically, so that nothing bulges between two heights.
#[derive(Clone, Debug)]
pub(super) struct Loft {
    heights: Vec<f32>,
    values: Vec<[f32; FIELDS]>,
    slopes: Vec<[f32; FIELDS]>,
    square: f32,
}

impl Loft {
    /// `square` in 0..1 goes from an ellipse to a rounded rectangle.
    pub fn new(keys: &[Key], square: f32) -> Self {
        let mut keys = keys.to_vec();
        keys.sort_by(|a, b| a.z.total_cmp(&b.z));
        let heights: Vec<f32> = keys.iter().map(|k| k.z).collect();
        let values: Vec<[f32; FIELDS]> = keys
            .iter()
            .map(|k| [k.x, k.y, k.left * k.left, k.right * k.right, k.front * k.front, k.back * k.back])
            .collect();
        let slopes = slopes(&heights, &values);
        Self { heights, values, slopes, square }
    }

    /// Lowest and highest z.
    pub fn extent(&self) -> [f32; 2] {
        [self.heights[0], self.heights[self.heights.len() - 1]]
    }

    fn change(mut self, change: impl Fn(&mut f32, &mut [f32; FIELDS])) -> Self {
        for (z, v) in self.heights.iter_mut().zip(&mut self.values) {
            change(z, v);
        }
        self.slopes = slopes(&self.heights, &self.values);
        self
    }

    fn oval_at(&self, z: f32) -> Option<Oval> {
        let [low, high] = self.extent();
        if !(low..=high).contains(&z) {
            return None;
        }
        let n = self.heights.partition_point(|&h| h < z).clamp(1, self.heights.len() - 1) - 1;
        let step = self.heights[n + 1] - self.heights[n];
        let t = (z - self.heights[n]) / step;
        let s = 1.0 - t;
        let (h00, h10, h01, h11) = ((1.0 + 2.0 * t) * s * s, t * s * s, t * t * (3.0 - 2.0 * t), -t * t * s);
        let v: [f32; FIELDS] = std::array::from_fn(|f| {
            h00 * self.values[n][f]
                + h01 * self.values[n + 1][f]
                + step * (h10 * self.slopes[n][f] + h11 * self.slopes[n + 1][f])
        });
        let axis = |square: f32| square.max(0.0).sqrt();
        let oval = Oval {
            x: v[0],
            y: v[1],
            left: axis(v[2]),
            right: axis(v[3]),
            front: axis(v[4]),
            back: axis(v[5]),
            square: self.square,
        };
        (oval.left.min(oval.right).min(oval.front).min(oval.back) > 0.05).then_some(oval)
    }

    /// The point of the surface at a height, in the direction `angle` from the back (0) over the left (pi / 2) to the front (pi).
    pub fn on_surface(&self, z: f32, angle: f32) -> Point {
        let [low, high] = self.extent();
        let Some(oval) = self.oval_at(z.clamp(low, high)) else { return [0.0, 0.0, z] };
        let (dx, dy) = (angle.sin(), angle.cos());
        let a = if dx >= 0.0 { oval.left } else { oval.right };
        let b = if dy >= 0.0 { oval.back } else { oval.front };
        let radius = 1.0 / rounded(dx / a, dy / b, self.square);
        [oval.x + radius * dx, oval.y + radius * dy, z]
    }
}

/// Slopes of a monotone cubic through the values (Fritsch and Butland).
fn slopes(heights: &[f32], values: &[[f32; FIELDS]]) -> Vec<[f32; FIELDS]> {
    let last = heights.len() - 1;
    let secant = |n: usize, f: usize| (values[n + 1][f] - values[n][f]) / (heights[n + 1] - heights[n]).max(1e-3);
    (0..=last)
        .map(|n| {
            std::array::from_fn(|f| match n {
                0 => secant(0, f),
                n if n == last => secant(last - 1, f),
                n => {
                    let (a, b) = (secant(n - 1, f), secant(n, f));
                    if a * b <= 0.0 { 0.0 } else { 2.0 * a * b / (a + b) }
                }
            })
        })
        .collect()
}

/// 1 on the unit circle (`square` 0) or on a rounded square (`square` 1).
fn rounded(u: f32, v: f32, square: f32) -> f32 {
    let (uu, vv) = (u * u, v * v);
    let circle = (uu + vv).sqrt();
    if square == 0.0 { circle } else { circle + square * ((uu * uu + vv * vv).sqrt().sqrt() - circle) }
}

/// An ellipsoid, turned by a rotation.
#[derive(Clone, Debug)]
pub(super) struct Ellipsoid {
    centre: Point,
    radii: Point,
    /// Unit vectors along the three radii.
    axes: [Point; 3],
}

impl Ellipsoid {
    fn half(&self, axis: usize) -> f32 {
        (0..3).map(|i| (self.axes[i][axis] * self.radii[i]).powi(2)).sum::<f32>().sqrt()
    }
}

/// A chain of round cones: vessels, ribs, the cord.
#[derive(Clone, Debug)]
pub(super) struct Tube {
    nodes: Vec<(Point, f32)>,
    /// How much taller (along z) than wide the cross-section is.
    tall: f32,
}

/// A solid.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Loft(Loft),
    Ellipsoid(Ellipsoid),
    Tube(Tube),
}

/// A loft through the keys.
pub(super) fn loft(keys: &[Key], square: f32) -> Shape {
    Shape::Loft(Loft::new(keys, square))
}

/// An ellipsoid along the axes of the body.
pub(super) fn ellipsoid(centre: Point, radii: Point) -> Shape {
    Shape::Ellipsoid(Ellipsoid { centre, radii, axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] })
}

/// A tube through the nodes `(point, radius)`, joined by a smooth curve.
pub(super) fn tube(nodes: &[(Point, f32)]) -> Shape {
    Shape::Tube(Tube { nodes: smoothed(nodes), tall: 1.0 })
}

/// A tube of straight pieces whose cross-section is `tall` times taller than wide.
pub(super) fn rod(nodes: &[(Point, f32)], tall: f32) -> Shape {
    Shape::Tube(Tube { nodes: nodes.to_vec(), tall })
}

/// Three more nodes between any two, on a Catmull-Rom curve.
fn smoothed(nodes: &[(Point, f32)]) -> Vec<(Point, f32)> {
    if nodes.len() < 3 {
        return nodes.to_vec();
    }
    let at = |n: isize| nodes[n.clamp(0, nodes.len() as isize - 1) as usize];
    let mut out = Vec::with_capacity(4 * nodes.len());
    for n in 0..nodes.len() - 1 {
        let quad: [(Point, f32); 4] = std::array::from_fn(|k| at(n as isize + k as isize - 1));
        for step in 0..4 {
            let t = step as f32 / 4.0;
            let blend = |p: [f32; 4]| {
                0.5 * (2.0 * p[1]
                    + t * (p[2] - p[0])
                    + t * t * (2.0 * p[0] - 5.0 * p[1] + 4.0 * p[2] - p[3])
                    + t * t * t * (3.0 * (p[1] - p[2]) + p[3] - p[0]))
            };
            let point = std::array::from_fn(|axis| blend(quad.map(|(p, _)| p[axis])));
            out.push((point, quad[1].1 + t * (quad[2].1 - quad[1].1)));
        }
    }
    out.push(nodes[nodes.len() - 1]);
    out
}

impl Shape {
    /// The same on the other side of the body.
    pub fn mirrored(self) -> Self {
        let flip = |p: Point| [-p[0], p[1], p[2]];
        match self {
            Self::Loft(l) => Self::Loft(l.change(|_, v| {
                v[0] = -v[0];
                v.swap(2, 3);
            })),
            Self::Ellipsoid(mut e) => {
                e.centre = flip(e.centre);
                e.axes = e.axes.map(flip);
                Self::Ellipsoid(e)
            }
            Self::Tube(mut t) => {
                t.nodes.iter_mut().for_each(|(p, _)| *p = flip(*p));
                Self::Tube(t)
            }
        }
    }

    /// The same elsewhere.
    pub fn moved(self, by: Point) -> Self {
        let add = |p: Point| std::array::from_fn(|n| p[n] + by[n]);
        match self {
            Self::Loft(l) => Self::Loft(l.change(|z, v| {
                *z += by[2];
                v[0] += by[0];
                v[1] += by[1];
            })),
            Self::Ellipsoid(mut e) => {
                e.centre = add(e.centre);
                Self::Ellipsoid(e)
            }
            Self::Tube(mut t) => {
                t.nodes.iter_mut().for_each(|(p, _)| *p = add(*p));
                Self::Tube(t)
            }
        }
    }

    /// The same, `factor` times larger around its own middle (a tube: thicker).
    pub fn grown(self, factor: f32) -> Self {
        match self {
            Self::Loft(l) => {
                let [low, high] = l.extent();
                let middle = (low + high) / 2.0;
                Self::Loft(l.change(|z, v| {
                    *z = middle + factor * (*z - middle);
                    v[2..].iter_mut().for_each(|s| *s *= factor * factor);
                }))
            }
            Self::Ellipsoid(mut e) => {
                e.radii = e.radii.map(|r| factor * r);
                Self::Ellipsoid(e)
            }
            Self::Tube(mut t) => {
                t.nodes.iter_mut().for_each(|(_, r)| *r *= factor);
                Self::Tube(t)
            }
        }
    }

    /// An ellipsoid turned by `degrees` in the plane of the two axes, from the first to the second; others stay as they are.
    pub fn turned(self, from: usize, to: usize, degrees: f32) -> Self {
        match self {
            Self::Ellipsoid(mut e) => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                for axis in &mut e.axes {
                    let (a, b) = (axis[from], axis[to]);
                    axis[from] = cos * a - sin * b;
                    axis[to] = sin * a + cos * b;
                }
                Self::Ellipsoid(e)
            }
            other => other,
        }
    }

    /// Lowest and highest z.
    pub fn extent(&self) -> [f32; 2] {
        match self {
            Self::Loft(l) => l.extent(),
            Self::Ellipsoid(e) => {
                let half = e.half(2);
                [e.centre[2] - half, e.centre[2] + half]
            }
            Self::Tube(t) => t.nodes.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], (p, r)| {
                [low.min(p[2] - r * t.tall), high.max(p[2] + r * t.tall)]
            }),
        }
    }

    /// The cut through height `z`; `None` where the solid does not reach.
    pub fn section(&self, z: f32) -> Option<Section> {
        match self {
            Self::Loft(l) => l.oval_at(z).map(Section::Oval),
            Self::Ellipsoid(e) => {
                let half = e.half(2);
                let dz = z - e.centre[2];
                (dz.abs() < half).then(|| {
                    let (hx, hy) = (e.half(0), e.half(1));
                    Section::Ellipse(Box::new(Ellipse {
                        bounds: [e.centre[0] - hx, e.centre[0] + hx, e.centre[1] - hy, e.centre[1] + hy],
                        // Row i: the coordinate along axis i as a linear function of (x, y, 1).
                        rows: std::array::from_fn(|i| {
                            let a = e.axes[i];
                            [a[0], a[1], a[2] * dz - a[0] * e.centre[0] - a[1] * e.centre[1]]
                        }),
                        inverse: e.radii.map(|r| 1.0 / r.max(0.1)),
                    }))
                })
            }
            Self::Tube(t) => {
                let mut bounds = [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY];
                let mut pieces = Vec::new();
                for pair in t.nodes.windows(2) {
                    let [(a, ra), (b, rb)] = [pair[0], pair[1]];
                    let reach = ra.max(rb);
                    if z < a[2].min(b[2]) - reach * t.tall || z > a[2].max(b[2]) + reach * t.tall {
                        continue;
                    }
                    bounds = [
                        bounds[0].min(a[0].min(b[0]) - reach),
                        bounds[1].max(a[0].max(b[0]) + reach),
                        bounds[2].min(a[1].min(b[1]) - reach),
                        bounds[3].max(a[1].max(b[1]) + reach),
                    ];
                    let along = [b[0] - a[0], b[1] - a[1], (b[2] - a[2]) / t.tall];
                    let length = along.iter().map(|v| v * v).sum::<f32>().max(1e-6);
                    let from = [a[0], a[1], (a[2] - z) / t.tall];
                    pieces.push(Piece { from, along, inverse: 1.0 / length, radius: ra, change: rb - ra });
                }
                (!pieces.is_empty()).then_some(Section::Chain { pieces, bounds })
            }
        }
    }
}

/// The cut of a loft.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oval {
    x: f32,
    y: f32,
    left: f32,
    right: f32,
    front: f32,
    back: f32,
    square: f32,
}

/// The cut of an ellipsoid.
#[derive(Debug)]
pub(super) struct Ellipse {
    bounds: [f32; 4],
    rows: [[f32; 3]; 3],
    inverse: Point,
}

/// A piece of a tube near the plane; z is relative to the plane.
#[derive(Debug)]
pub(super) struct Piece {
    from: Point,
    along: Point,
    inverse: f32,
    radius: f32,
    change: f32,
}

/// The cut of a solid through a plane.
#[derive(Debug)]
pub(super) enum Section {
    Oval(Oval),
    Ellipse(Box<Ellipse>),
    Chain { pieces: Vec<Piece>, bounds: [f32; 4] },
}

impl Section {
    /// `[x0, x1, y0, y1]` outside of which there is nothing.
    pub fn bounds(&self) -> [f32; 4] {
        match self {
            Self::Oval(o) => [o.x - o.right, o.x + o.left, o.y - o.front, o.y + o.back],
            Self::Ellipse(e) => e.bounds,
            Self::Chain { bounds, .. } => *bounds,
        }
    }

    /// Signed distance in mm, negative inside.
    #[inline]
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        match self {
            Self::Oval(o) => {
                let (dx, dy) = (x - o.x, y - o.y);
                let a = if dx >= 0.0 { o.left } else { o.right };
                let b = if dy >= 0.0 { o.back } else { o.front };
                let (u, v) = (dx / a, dy / b);
                let (gu, gv) = (u / a, v / b);
                let slope = (gu * gu + gv * gv).sqrt();
                if slope < 1e-6 {
                    return -a.min(b);
                }
                (rounded(u, v, o.square) - 1.0) * (u * u + v * v).sqrt() / slope
            }
            Self::Ellipse(e) => {
                let (mut k0, mut k1) = (0.0, 0.0);
                for (row, inverse) in e.rows.iter().zip(e.inverse) {
                    let u = (row[0] * x + row[1] * y + row[2]) * inverse;
                    k0 += u * u;
                    k1 += (u * inverse) * (u * inverse);
                }
                let (k0, k1) = (k0.sqrt(), k1.sqrt());
                if k1 < 1e-6 { -1.0 / e.inverse[0].max(e.inverse[1]).max(e.inverse[2]) } else { k0 * (k0 - 1.0) / k1 }
            }
            Self::Chain { pieces, .. } => pieces.iter().fold(f32::INFINITY, |nearest, p| {
                let q = [x - p.from[0], y - p.from[1], -p.from[2]];
                let t = ((q[0] * p.along[0] + q[1] * p.along[1] + q[2] * p.along[2]) * p.inverse).clamp(0.0, 1.0);
                let d = [q[0] - t * p.along[0], q[1] - t * p.along[1], q[2] - t * p.along[2]];
                nearest.min((d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt() - p.radius - t * p.change)
            }),
        }
    }
}

/// A shape and its mirror image.
pub(super) fn both(shape: Shape) -> [Shape; 2] {
    [shape.clone(), shape.mirrored()]
}
