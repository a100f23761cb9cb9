use super::*;

fn at(size: [usize; 3], n: usize) -> [usize; 3] {
    [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])]
}

fn between(
    size: [usize; 3],
    spacing: [f64; 3],
    truth: impl Fn([usize; 3]) -> bool,
    prediction: impl Fn([usize; 3]) -> bool,
) -> SurfaceDistances {
    SurfaceDistances::between(size, spacing, |n| truth(at(size, n)), |n| prediction(at(size, n)))
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() < tolerance, "{a} is not {b}");
}

/// The share of the reference's surface, and of the prediction's, that lies within a distance of the other, as the definition
/// has it; `None` when both masks are empty, 0 when one is.
fn overlap_at(d: &SurfaceDistances, tolerance_mm: f64) -> Option<[f64; 2]> {
    let shares = d.directions().map(|elements| match area(elements) {
        total if total > 0.0 => area_within(elements, tolerance_mm) / total,
        _ => 0.0,
    });
    d.directions().iter().any(|elements| !elements.is_empty()).then_some(shares)
}

#[test]
fn two_voxels_two_apart() {
    // One voxel has eight corners; along the axis between the voxels four lie 1 and four 2 steps from the other.
    let truth = |p: [usize; 3]| p == [5, 6, 7];
    let prediction = |p: [usize; 3]| p == [5, 6, 9];
    let d = between([12, 12, 12], [3.0, 2.0, 1.0], truth, prediction);
    for elements in d.directions() {
        let distances: Vec<f64> = elements.iter().map(|e| e.distance_mm).collect();
        assert_eq!(distances, [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    }
    assert_eq!(d.mean_distances(), Some([1.5, 1.5]));
    assert_eq!(d.hausdorff(1.0), Some(2.0));
    assert_eq!(overlap_at(&d, 1.0), Some([0.5, 0.5]));
    assert_eq!(d.surface_dice(1.0), Some(0.5));
}

#[test]
fn two_pixels_two_apart_in_a_plane() {
    // The definition's two-dimensional example at 2 x 1 mm: four corners at [1, 1, 2, 2] of the other. A column of pixels has
    // them in every layer of corners.
    const LAYERS: usize = 5;
    let column = |y: usize| move |[i, j, k]: [usize; 3]| i == 5 && j == y && (2..2 + LAYERS).contains(&k);
    let d = between([12, 12, 12], [2.0, 1.0, 1.0], column(6), column(8));
    for elements in d.directions() {
        let distances: Vec<f64> = elements.iter().map(|e| e.distance_mm).collect();
        let layers = 2 * (LAYERS + 1);
        assert_eq!(distances, [vec![1.0; layers], vec![2.0; layers]].concat());
    }
    for mean in d.mean_distances().unwrap() {
        close(mean, 1.5, 1e-12);
    }
    assert_eq!(d.hausdorff(1.0), Some(2.0));
    close(d.surface_dice(1.0).unwrap(), 0.5, 1e-12);
}

#[test]
fn a_slab_and_the_same_slab_with_one_layer_more() {
    // The example in the tests of the definition: half of a 100^3 volume, and half plus a layer, at 2 x 1 x 1 mm.
    let d = between([100; 3], [2.0, 1.0, 1.0], |[x, ..]| x < 50, |[x, ..]| x < 51);
    let [a, b] = d.mean_distances().unwrap();
    close(a, 0.322, 1e-3);
    close(b, 0.339, 1e-3);
    assert_eq!(d.hausdorff(1.0), Some(2.0));
    assert_eq!(d.hausdorff(0.95), Some(2.0));
    let [a, b] = overlap_at(&d, 1.0).unwrap();
    close(a, 0.842, 1e-3);
    close(b, 0.830, 1e-3);
    close(d.surface_dice(1.0).unwrap(), 0.836, 1e-3);
    let slab = |layers: usize| (0..100).map(|x| u8::from(x < layers)).collect::<Vec<u8>>();
    close(crate::metrics::Overlap::of_label(&slab(50), &slab(51), 1).dice().unwrap(), 0.990, 1e-3);
}

/// Two ragged blobs that contain every code; a hash decides about each voxel.
fn ragged(centre: [f64; 3], seed: u64) -> impl Fn([usize; 3]) -> bool {
    move |p| {
        let n = (p[0] + 20 * (p[1] + 18 * p[2])) as u64;
        let hash = |seed: u64| {
            let x = n.wrapping_mul(2_654_435_761).wrapping_add(seed) & 0xffff_ffff;
            let x = x ^ x >> 15;
            let x = x.wrapping_mul(2_246_822_519) & 0xffff_ffff;
            x ^ x >> 13
        };
        let d: f64 = (0..3).map(|a| ((p[a] as f64 - centre[a]) * [1.0, 1.5, 2.0][a]).powi(2)).sum();
        d < 60.0 && hash(seed) % 10 < 8 || d < 90.0 && hash(seed + 7) % 10 < 2
    }
}

#[test]
fn ragged_masks_agree_with_the_reference_program() {
    // Computed with the PyPI package surface-distance 0.1 (numpy, scipy) on the same masks.
    let (a, b) = (ragged([9.0, 8.0, 7.0], 1), ragged([11.0, 8.5, 8.0], 2));
    let size = [20, 18, 16];
    let count = |mask: &dyn Fn([usize; 3]) -> bool| (0..size.iter().product()).filter(|&n| mask(at(size, n))).count();
    assert_eq!((count(&a), count(&b)), (660, 661));
    for (spacing, means, hausdorff, hausdorff_95, overlap, surface_dice, areas) in [
        (
            [1.0, 1.5, 2.0],
            [0.502775427922, 0.432700092360],
            4.472135955,
            2.0,
            [0.827133458175, 0.837139269419],
            0.831979082510,
            [1604.433759106606, 1506.62822932515],
        ),
        (
            [0.9, 1.1, 3.0],
            [0.455014058418, 0.393310310916],
            3.827531841801,
            2.109502310973,
            [0.827671761276, 0.836671697066],
            0.832015454031,
            [1765.946818615919, 1647.407651199338],
        ),
    ] {
        let d = between(size, spacing, &a, &b);
        for (elements, reference) in d.directions().into_iter().zip(areas) {
            close(area(elements), reference, 1e-2);
        }
        for (ours, reference) in d.mean_distances().unwrap().into_iter().zip(means) {
            close(ours, reference, 1e-5);
        }
        for (ours, reference) in overlap_at(&d, 1.0).unwrap().into_iter().zip(overlap) {
            close(ours, reference, 1e-5);
        }
        close(d.surface_dice(1.0).unwrap(), surface_dice, 1e-5);
        close(d.hausdorff(1.0).unwrap(), hausdorff, 1e-5);
        close(d.hausdorff(0.95).unwrap(), hausdorff_95, 1e-5);
    }
}

#[test]
fn equal_masks_are_at_distance_zero() {
    let ball = |[x, y, z]: [usize; 3]| {
        let d = |a: usize| (a as f64 - 9.5).powi(2);
        d(x) + d(y) + 4.0 * d(z) < 64.0
    };
    let d = between([20, 20, 20], [1.0, 1.5, 2.0], ball, ball);
    assert_eq!(d.hausdorff(1.0), Some(0.0));
    assert_eq!(d.mean_distance(), Some(0.0));
    assert_eq!(d.surface_dice(0.0), Some(1.0));
}

#[test]
fn an_empty_side_is_infinitely_far_and_two_are_nothing() {
    let some = |p: [usize; 3]| p == [1, 1, 1];
    for d in [between([4; 3], [1.0; 3], some, |_| false), between([4; 3], [1.0; 3], |_| false, some)] {
        assert_eq!(d.hausdorff(0.95), Some(f64::INFINITY));
        assert_eq!(d.mean_distances(), Some([f64::INFINITY; 2]));
        assert_eq!((overlap_at(&d, 1e9), d.surface_dice(1e9)), (Some([0.0; 2]), Some(0.0)));
    }
    let d = between([4; 3], [1.0; 3], |_| false, |_| false);
    assert_eq!(
        (d.hausdorff(0.95), d.mean_distance(), overlap_at(&d, 1.0), d.surface_dice(1.0)),
        (None, None, None, None)
    );
}

#[test]
fn a_box_has_the_area_of_its_faces_with_bevelled_edges() {
    // nx x ny faces and so on are cut at half a voxel; each edge element is a bevel, each corner a triangle.
    let (n, s) = ([7usize, 5, 4], [1.0, 2.0, 3.0]);
    let inside = move |p: [usize; 3]| (0..3).all(|a| (2..2 + n[a]).contains(&p[a]));
    let d = between([12; 3], s, inside, inside);
    let m: [f64; 3] = std::array::from_fn(|a| (n[a] - 1) as f64 * s[a]);
    let faces = 2.0 * (m[0] * m[1] + m[1] * m[2] + m[0] * m[2]);
    let bevels: f64 = (0..3).map(|a| 4.0 * m[a] * s[(a + 1) % 3].hypot(s[(a + 2) % 3]) / 2.0).sum();
    let corner = (0..3).map(|a| (s[(a + 1) % 3] * s[(a + 2) % 3] / 8.0).powi(2)).sum::<f64>().sqrt();
    close(area(&d.truth_to_prediction), faces + bevels + 8.0 * corner, 1e-9);
}

#[test]
fn complements_share_their_surface_and_every_polygon_closes() {
    let areas = cell_areas([1.0, 1.7, 2.9]);
    for code in 0..=255u8 {
        assert_eq!(areas[usize::from(code)], areas[usize::from(!code)]);
        assert_eq!(areas[usize::from(code)] > 0.0, on_surface(code));
        let cut = (0..3)
            .flat_map(|axis| (0..8).filter(move |corner| corner >> axis & 1 == 0).map(move |c| (c, c | 1 << axis)))
            .filter(|(a, b)| code >> a & 1 != code >> b & 1)
            .count();
        assert_eq!(polygons(code).iter().map(Vec::len).sum::<usize>(), cut, "{code:08b}");
        assert!(polygons(code).iter().all(|polygon| (3..=7).contains(&polygon.len())), "{code:08b}");
    }
}
