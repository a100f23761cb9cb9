//! Where voxels lie in the patient.
//!
//! One frame everywhere: patient LPS millimetres (DICOM PS3.3 C.7.6.2.1.1: +x to the patient's **L**eft, +y to the
//! **P**osterior, +z to the **S**uperior). Readers convert from their own frame (NIfTI is RAS) on the way in,
//! writers on the way out; nothing between them knows another frame.

use serde::{Deserialize, Serialize};

/// Voxel index to patient LPS mm: rows are x, y, z; columns are the i, j, k steps and the origin.
pub type Affine = [[f64; 4]; 3];

/// The largest tilt of a voxel axis against its patient axis that is still read (DESIGN: 20 degrees).
pub const MAX_OBLIQUE_DEGREES: f64 = 20.0;

/// A regular grid in the patient: `size` voxels along i (fastest in memory), j, k.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Voxel index (centre of the voxel) to patient LPS mm.
    pub affine: Affine,
}

/// Most voxels of a volume: eight bytes of each can be addressed.
const MOST_VOXELS: usize = isize::MAX as usize / 8;

/// Why a grid is no volume of the patient that this program can use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeometryError {
    /// One of the sides has no voxels.
    #[error("the volume has {0} x {1} x {2} voxels; every side must be at least 1")]
    Size(usize, usize, usize),
    /// More voxels than can be addressed with all that is computed of them: 268 million in a browser tab.
    #[error(
        "the volume has {0} x {1} x {2} voxels, and at most {most} million fit in memory here; crop it, or open it with the desktop \
         program, which holds more",
        most = MOST_VOXELS / 1_000_000
    )]
    TooManyVoxels(usize, usize, usize),
    /// The affine contains NaN or infinity, or a step of no length, or is singular.
    #[error("the voxel-to-patient transform is not usable ({0}); export the image again with a valid orientation")]
    Affine(String),
    /// The voxel axes are not at right angles.
    #[error(
        "the voxel axes are not at right angles (off by {0:.2} degrees); resample the image onto a rectangular grid first"
    )]
    Sheared(f64),
    /// The voxel axes are further from the patient's axes than [`MAX_OBLIQUE_DEGREES`].
    #[error(
        "the slices are oblique by {0:.1} degrees; at most {MAX_OBLIQUE_DEGREES} degrees are accepted: resample the image to axial slices first"
    )]
    Oblique(f64),
}

impl Geometry {
    /// Checks size, finiteness, right angles (within 0.5 degrees) and handedness-free invertibility.
    ///
    /// # Errors
    /// [`GeometryError::Size`], [`GeometryError::TooManyVoxels`], [`GeometryError::Affine`], [`GeometryError::Sheared`].
    pub fn new(size: [usize; 3], affine: Affine) -> Result<Self, GeometryError> {
        let [nx, ny, nz] = size;
        if nx == 0 || ny == 0 || nz == 0 {
            return Err(GeometryError::Size(nx, ny, nz));
        }
        let count = nx.checked_mul(ny).and_then(|n| n.checked_mul(nz));
        if count.is_none_or(|n| n > MOST_VOXELS) {
            return Err(GeometryError::TooManyVoxels(nx, ny, nz));
        }
        if affine.iter().flatten().any(|v| !v.is_finite()) {
            return Err(GeometryError::Affine("it contains numbers that are not finite".into()));
        }
        let geometry = Self { size, affine };
        let spacing = geometry.spacing();
        if spacing.iter().any(|&s| !(1e-4..=1e4).contains(&s)) {
            return Err(GeometryError::Affine(format!(
                "voxel spacing {:.4} x {:.4} x {:.4} mm",
                spacing[0], spacing[1], spacing[2]
            )));
        }
        let d = geometry.direction();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let dot: f64 = (0..3).map(|r| d[r][a] * d[r][b]).sum();
            let off = dot.clamp(-1.0, 1.0).asin().to_degrees().abs();
            if off > 0.5 {
                return Err(GeometryError::Sheared(off));
            }
        }
        Ok(geometry)
    }

    /// An axial grid whose i, j, k run to the patient's left, posterior and superior.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn axial(size: [usize; 3], spacing: [f64; 3], origin: [f64; 3]) -> Result<Self, GeometryError> {
        let mut affine = [[0.0; 4]; 3];
        for a in 0..3 {
            affine[a][a] = spacing[a];
            affine[a][3] = origin[a];
        }
        Self::new(size, affine)
    }

    /// Distance between neighbouring voxel centres along i, j, k, in mm.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|c| (0..3).map(|r| self.affine[r][c].powi(2)).sum::<f64>().sqrt())
    }

    /// Unit vectors of the i, j, k steps as columns: `direction()[row][axis]`.
    pub fn direction(&self) -> [[f64; 3]; 3] {
        let s = self.spacing();
        std::array::from_fn(|r| std::array::from_fn(|c| self.affine[r][c] / s[c]))
    }

    /// Number of voxels.
    pub fn voxel_count(&self) -> usize {
        self.size.iter().product()
    }

    /// Volume of one voxel in millilitres.
    pub fn voxel_ml(&self) -> f64 {
        self.spacing().iter().product::<f64>() / 1000.0
    }

    /// Patient LPS mm of a (fractional) voxel index; whole numbers are voxel centres.
    pub fn to_patient(&self, ijk: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| (0..3).map(|c| self.affine[r][c] * ijk[c]).sum::<f64>() + self.affine[r][3])
    }

    /// Patient S (LPS z) in mm of the middle of slice `k`.
    pub fn slice_mm(&self, k: usize) -> f64 {
        let [nx, ny, _] = self.size;
        self.to_patient([(nx as f64 - 1.0) / 2.0, (ny as f64 - 1.0) / 2.0, k as f64])[2]
    }

    /// Fractional voxel index of a point in patient LPS mm.
    pub fn to_index(&self, point: [f64; 3]) -> [f64; 3] {
        // Right-angled columns: the inverse is the transpose over the squared lengths, up to the 0.5 degrees that
        // `new` lets pass; solve exactly so that those do not matter either.
        let m = &self.affine;
        let b: [f64; 3] = std::array::from_fn(|r| point[r] - m[r][3]);
        let det3 = |c: [[f64; 3]; 3]| {
            c[0][0] * (c[1][1] * c[2][2] - c[1][2] * c[2][1]) - c[0][1] * (c[1][0] * c[2][2] - c[1][2] * c[2][0])
                + c[0][2] * (c[1][0] * c[2][1] - c[1][1] * c[2][0])
        };
        let columns: [[f64; 3]; 3] = std::array::from_fn(|r| std::array::from_fn(|c| m[r][c]));
        let det = det3(columns);
        std::array::from_fn(|c| {
            let mut replaced = columns;
            for r in 0..3 {
                replaced[r][c] = b[r];
            }
            det3(replaced) / det
        })
    }

    /// The axis map that brings this grid to canonical axial order, and the largest angle in degrees that a canonical
    /// axis makes with its patient axis.
    ///
    /// # Errors
    /// [`GeometryError::Oblique`] beyond [`MAX_OBLIQUE_DEGREES`].
    pub fn canonical_axes(&self) -> Result<(AxisMap, f64), GeometryError> {
        let d = self.direction();
        let mut best = (f64::MIN, [0, 1, 2]);
        for perm in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let score: f64 = (0..3).map(|a| d[a][perm[a]].abs()).sum();
            if score > best.0 + 1e-12 {
                best = (score, perm);
            }
        }
        let perm = best.1;
        let flip = std::array::from_fn(|a| d[a][perm[a]] < 0.0);
        let tilt = (0..3).map(|a| d[a][perm[a]].abs().clamp(0.0, 1.0).acos().to_degrees()).fold(0.0, f64::max);
        if tilt > MAX_OBLIQUE_DEGREES {
            return Err(GeometryError::Oblique(tilt));
        }
        Ok((AxisMap { perm, flip }, tilt))
    }

    /// This grid with its axes reordered and reversed as `axes` says; every voxel stays where it is in the patient.
    pub fn permuted(&self, axes: &AxisMap) -> Self {
        let size = std::array::from_fn(|a| self.size[axes.perm[a]]);
        let mut affine = self.affine;
        for a in 0..3 {
            let from = axes.perm[a];
            let sign = if axes.flip[a] { -1.0 } else { 1.0 };
            for r in 0..3 {
                affine[r][a] = sign * self.affine[r][from];
            }
        }
        for a in 0..3 {
            if axes.flip[a] {
                let last = (self.size[axes.perm[a]] - 1) as f64;
                for r in 0..3 {
                    affine[r][3] += last * self.affine[r][axes.perm[a]];
                }
            }
        }
        Self { size, affine }
    }

    /// Whether two grids have the same size and put every voxel within `tolerance_mm` of the same place.
    pub fn same_grid(&self, other: &Self, tolerance_mm: f64) -> bool {
        self.size == other.size
            && (0..8).all(|corner| {
                let ijk = std::array::from_fn(|a| if corner >> a & 1 == 1 { (self.size[a] - 1) as f64 } else { 0.0 });
                let (p, q) = (self.to_patient(ijk), other.to_patient(ijk));
                (0..3).all(|r| (p[r] - q[r]).abs() <= tolerance_mm)
            })
    }
}

/// A reordering of axes: axis `a` of the result is axis `perm[a]` of the source, reversed where `flip[a]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisMap {
    /// Source axis of each result axis.
    pub perm: [usize; 3],
    /// Whether the source axis is walked from its far end.
    pub flip: [bool; 3],
}

impl AxisMap {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self { perm: [0, 1, 2], flip: [false; 3] };

    /// The map back.
    fn inverse(&self) -> Self {
        let mut perm = [0; 3];
        let mut flip = [false; 3];
        for a in 0..3 {
            perm[self.perm[a]] = a;
            flip[self.perm[a]] = self.flip[a];
        }
        Self { perm, flip }
    }

    /// Slice `k` of the source, row by row, out of voxels in the result's order. `size` is the result's.
    pub fn stored_slice<T: Copy>(&self, voxels: &[T], size: [usize; 3], k: usize) -> Vec<T> {
        let back = self.inverse();
        let stride = [1, size[0], size[0] * size[1]];
        // The source's axis `a` is the result's axis `back.perm[a]`.
        let along: [usize; 3] = std::array::from_fn(|a| size[back.perm[a]]);
        let at = |a: usize, n: usize| stride[back.perm[a]] * if back.flip[a] { along[a] - 1 - n } else { n };
        let mut slice = Vec::with_capacity(along[0] * along[1]);
        for j in 0..along[1] {
            let row = at(2, k) + at(1, j);
            if back.perm[0] == 0 {
                // As in most files, the rows are those of the result.
                let row = &voxels[row..row + along[0]];
                match back.flip[0] {
                    true => slice.extend(row.iter().rev()),
                    false => slice.extend_from_slice(row),
                }
                continue;
            }
            slice.extend((0..along[0]).map(|i| voxels[row + at(0, i)]));
        }
        slice
    }

    /// Voxels reordered into the result's memory order (i fastest). `size` is the source's. Where axes keep their places, as in most
    /// files, no second volume is needed.
    pub fn apply<T: Copy>(&self, mut voxels: Vec<T>, size: [usize; 3]) -> Vec<T> {
        debug_assert_eq!(voxels.len(), size.iter().product::<usize>());
        if self.perm == Self::IDENTITY.perm {
            turn(&mut voxels, size, self.flip);
            return voxels;
        }
        let mut result = Vec::with_capacity(voxels.len());
        let columns = size[self.perm[0]] as isize;
        self.rows(size, |first, step| {
            result.extend((0..columns).map(|i| voxels[(first as isize + i * step) as usize]));
        });
        result
    }

    /// Calls `each` for every row of the result, in its memory order, with the places of the row's voxels in the source: that of the
    /// first, and how far it is to the next. `size` is the source's.
    pub(crate) fn rows(&self, size: [usize; 3], mut each: impl FnMut(usize, isize)) {
        let source_stride = [1, size[0], size[0] * size[1]];
        let out: [usize; 3] = std::array::from_fn(|a| size[self.perm[a]]);
        let mut start = 0usize;
        let stride: [isize; 3] = std::array::from_fn(|a| {
            let s = source_stride[self.perm[a]];
            if self.flip[a] {
                start += s * (out[a] - 1);
                -(s as isize)
            } else {
                s as isize
            }
        });
        for k in 0..out[2] {
            for j in 0..out[1] {
                let row = start as isize + k as isize * stride[2] + j as isize * stride[1];
                each(row as usize, stride[0]);
            }
        }
    }
}

/// Turns axes round, in place.
fn turn<T>(voxels: &mut [T], [nx, ny, _]: [usize; 3], flip: [bool; 3]) {
    let area = (nx * ny).max(1);
    if flip[2] {
        swap_ends(voxels, area);
    }
    if flip[1] {
        voxels.chunks_exact_mut(area).for_each(|slice| swap_ends(slice, nx.max(1)));
    }
    if flip[0] {
        voxels.chunks_exact_mut(nx.max(1)).for_each(<[T]>::reverse);
    }
}

/// The last piece first: pieces of `length` values in the opposite order.
fn swap_ends<T>(values: &mut [T], length: usize) {
    let count = values.len() / length;
    let (front, back) = values.split_at_mut(count.div_ceil(2) * length);
    for (a, b) in front.chunks_exact_mut(length).zip(back.chunks_exact_mut(length).rev()) {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_48() -> Vec<AxisMap> {
        let mut maps = Vec::new();
        for perm in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for bits in 0..8 {
                maps.push(AxisMap { perm, flip: std::array::from_fn(|a| bits >> a & 1 == 1) });
            }
        }
        maps
    }

    #[test]
    fn every_voxel_keeps_its_place_through_all_48_axis_maps() {
        let base = Geometry::axial([3, 4, 5], [1.0, 2.0, 3.5], [-7.0, 11.0, 40.0]).unwrap();
        let values: Vec<u16> = (0..60).collect();
        for map in all_48() {
            let moved = base.permuted(&map);
            let data = map.apply(values.clone(), base.size);
            for (n, &v) in data.iter().enumerate() {
                let ijk = [n % moved.size[0], n / moved.size[0] % moved.size[1], n / (moved.size[0] * moved.size[1])];
                let p = moved.to_patient(ijk.map(|x| x as f64));
                let v = v as usize;
                let q = base.to_patient([(v % 3) as f64, (v / 3 % 4) as f64, (v / 12) as f64]);
                assert!((0..3).all(|r| (p[r] - q[r]).abs() < 1e-9), "{map:?}");
            }
            let (canonical, tilt) = moved.canonical_axes().unwrap();
            assert!(tilt < 1e-9);
            for k in 0..moved.size[2] {
                let slice = canonical.stored_slice(&values, base.size, k);
                let n = moved.size[0] * moved.size[1];
                assert_eq!(slice, data[k * n..(k + 1) * n], "{map:?}");
            }
            assert_eq!(canonical.apply(data, moved.size), values, "{map:?}");
            assert!(moved.permuted(&canonical).same_grid(&base, 1e-9));
            assert_eq!(map.inverse().inverse(), map);
        }
    }

    #[test]
    fn index_and_patient_are_inverse_on_an_oblique_grid() {
        let (s, c) = (15f64.to_radians().sin(), 15f64.to_radians().cos());
        let g = Geometry::new(
            [10, 10, 10],
            [[c * 2.0, -s * 3.0, 0.0, 5.0], [s * 2.0, c * 3.0, 0.0, -4.0], [0.0, 0.0, 2.5, 100.0]],
        )
        .unwrap();
        let p = g.to_patient([1.25, 7.5, 3.0]);
        let back = g.to_index(p);
        assert!((back[0] - 1.25).abs() < 1e-9 && (back[1] - 7.5).abs() < 1e-9 && (back[2] - 3.0).abs() < 1e-9);
        let (_, tilt) = g.canonical_axes().unwrap();
        assert!((tilt - 15.0).abs() < 1e-6);
    }

    #[test]
    fn unusable_grids_are_refused_with_their_numbers() {
        assert!(matches!(Geometry::axial([0, 4, 4], [1.0; 3], [0.0; 3]), Err(GeometryError::Size(0, 4, 4))));
        let refused = Geometry::axial([usize::MAX / 2, 4, 4], [1.0; 3], [0.0; 3]).unwrap_err();
        assert!(matches!(refused, GeometryError::TooManyVoxels(..)), "{refused}");
        assert!(refused.to_string().contains(&format!("at most {} million", MOST_VOXELS / 1_000_000)), "{refused}");
        assert!(matches!(Geometry::axial([4, 4, 4], [1.0, 0.0, 1.0], [0.0; 3]), Err(GeometryError::Affine(_))));
        let sheared = [[1.0, 0.3, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        assert!(matches!(Geometry::new([4; 3], sheared), Err(GeometryError::Sheared(_))));
        let a = 35f64.to_radians();
        let oblique = [[a.cos(), -a.sin(), 0.0, 0.0], [a.sin(), a.cos(), 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let g = Geometry::new([4; 3], oblique).unwrap();
        assert!(matches!(g.canonical_axes(), Err(GeometryError::Oblique(t)) if (t - 35.0).abs() < 1e-6));
    }
}
