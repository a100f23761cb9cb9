//! Added path length: how much of a contour somebody would have to draw anew.
//!
//! Defined by Vaassen et al., "Evaluation of measures for assessing time-saving of automatic organ-at-risk segmentation in
//! radiotherapy" (2020): in every axial slice, the contour of the reference that does not lie on the contour of the
//! prediction. Contours are the pixels of a mask that have one of their four neighbours outside it; what lies beyond
//! the grid counts as outside. A pixel is as long as the geometric mean of its sides.

/// The added path length of two masks on a grid of `size` voxels (i fastest) with `spacing` in mm; `truth(n)` tells
/// whether voxel `n` is inside.
pub fn added_path_mm(
    size: [usize; 3],
    spacing: [f64; 3],
    truth: impl Fn(usize) -> bool,
    prediction: impl Fn(usize) -> bool,
) -> f64 {
    let [nx, ny, nz] = size;
    let mut added = 0u64;
    for k in 0..nz {
        for j in 0..ny {
            let row = nx * (j + ny * k);
            for i in 0..nx {
                let on_contour = |mask: &dyn Fn(usize) -> bool| {
                    let n = row + i;
                    let enclosed = i > 0
                        && i + 1 < nx
                        && j > 0
                        && j + 1 < ny
                        && mask(n - 1)
                        && mask(n + 1)
                        && mask(n - nx)
                        && mask(n + nx);
                    mask(n) && !enclosed
                };
                added += u64::from(on_contour(&truth) && !on_contour(&prediction));
            }
        }
    }
    added as f64 * (spacing[0] * spacing[1]).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 3] = [16, 16, 3];

    /// A square of ten pixels a side in each of three slices, moved to the left by `shift`.
    fn square(shift: usize) -> impl Fn(usize) -> bool {
        move |n| (2 + shift..12 + shift).contains(&(n % 16)) && (3..13).contains(&(n / 16 % 16))
    }

    #[test]
    fn a_missing_square_costs_its_whole_contour_and_an_equal_one_nothing() {
        assert_eq!(added_path_mm(SIZE, [1.0, 1.0, 5.0], square(0), |_| false), 3.0 * 36.0);
        assert_eq!(added_path_mm(SIZE, [4.0, 1.0, 5.0], square(0), |_| false), 3.0 * 36.0 * 2.0);
        assert_eq!(added_path_mm(SIZE, [1.0; 3], square(0), square(0)), 0.0);
        assert_eq!(added_path_mm(SIZE, [1.0; 3], |_| false, square(0)), 0.0, "what was drawn too much is not added");
    }

    #[test]
    fn a_square_moved_by_a_pixel_costs_both_its_sides() {
        // The left column of ten, and the right one without its two corners, which lie on the other's upper and lower side.
        assert_eq!(added_path_mm(SIZE, [1.0; 3], square(0), square(1)), 3.0 * 18.0);
    }

    #[test]
    fn a_mask_ends_at_the_edge_of_the_grid() {
        assert_eq!(added_path_mm([4, 3, 1], [1.0; 3], |_| true, |_| false), 10.0);
    }
}
