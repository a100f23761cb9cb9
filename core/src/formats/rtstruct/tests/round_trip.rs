use super::*;
use crate::formats::analytic;
use crate::formats::rtstruct::{Holes, read};
use crate::volume::AxisMap;

const BOTH: [Holes; 2] = [Holes::Keyhole, Holes::Xor];

fn assert_exact(labels: &LabelVolume, what: &str) {
    for holes in BOTH {
        let bytes = write(labels, &WriteOptions { holes, ..WriteOptions::default() }).unwrap();
        let found = read_on(&read(&bytes).unwrap(), &labels.stored);
        assert!(found.warnings.is_empty(), "{what}: {:?}", found.warnings);
        for organ in found.organs.iter() {
            assert_eq!(iou(labels, &found.labels, organ), 1.0, "{what}, {holes:?}: {organ}");
        }
        assert_eq!(found.labels.voxels, labels.voxels, "{what}, {holes:?}");
    }
}

/// A ball, with what is left out of it.
fn ball(left_out: impl Fn(usize, usize, usize) -> bool) -> impl Fn(usize, usize, usize) -> Option<Organ> {
    move |i, j, k| {
        let (x, y, z) = (i as f64 - 14.0, j as f64 - 12.0, (k as f64 - 5.0) * 2.0);
        (x * x + y * y + z * z < 100.0 && !left_out(i, j, k)).then_some(Organ::Liver)
    }
}

#[test]
fn masks_come_back_exactly() {
    let size = [30, 26, 11];
    assert_exact(&drawn(size, ball(|_, _, _| false)), "a plain organ");
    assert_exact(&drawn(size, ball(|i, j, _| (11..18).contains(&i) && (9..15).contains(&j))), "a ring");
    assert_exact(&drawn(size, ball(|i, j, _| i % 3 == 1 && j % 2 == 0)), "pinholes of one voxel");
    assert_exact(&drawn(size, ball(|i, j, _| (i + j) % 2 == 0)), "a chequerboard");
    assert_exact(&drawn(size, ball(|i, _, _| i == 14)), "two components");
    assert_exact(&drawn(size, |i, j, _| (i < 9 || j > 20 || i == 29).then_some(Organ::LungLeft)), "at the borders");
    assert_exact(&drawn(size, |_, _, _| Some(Organ::Stomach)), "the whole image");
    let organs = [Organ::Liver, Organ::Spleen, Organ::KidneyLeft];
    assert_exact(&drawn(size, |i, j, k| organs.get((i / 4 + j / 3 + k) % 4).copied()), "touching organs");
    assert_exact(&drawn([30, 26, 1], |i, j, _| ball(|i, _, _| i == 12)(i, j, 5)), "a single slice");
}

#[test]
fn masks_survive_every_orientation_of_the_series() {
    let base = Geometry::axial([9, 8, 7], [1.3, 0.7, 2.9], [-31.7, 12.4, -208.6]).unwrap();
    for perm in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for bits in 0..8 {
            let map = AxisMap { perm, flip: std::array::from_fn(|a| bits >> a & 1 == 1) };
            let labels = on(base.permuted(&map), |i, j, k| {
                (i > 1 && j < 5 && (i, j, k) != (3, 2, 3)).then_some(if k < 3 { Organ::Heart } else { Organ::Liver })
            });
            assert_exact(&labels, &format!("{map:?}"));
        }
    }
}

#[test]
fn contours_of_an_oblique_series_lie_in_its_planes() {
    let (s, c) = (14f64.to_radians().sin(), 14f64.to_radians().cos());
    // Slices turned about the patient's x axis, in descending order.
    let affine = [[1.5, 0.0, 0.0, -20.0], [0.0, 2.0 * c, -3.0 * s, 7.25], [0.0, -2.0 * s, -3.0 * c, 101.125]];
    let grid = Geometry::new([20, 18, 6], affine).unwrap();
    let labels = on(grid.clone(), |i, j, k| {
        let inside = i.abs_diff(9) + j.abs_diff(8) < 8 && (1..5).contains(&k);
        (inside && (i, j) != (9, 8)).then_some(Organ::Spleen)
    });
    assert_exact(&labels, "oblique");
    let set = read(&write(&labels, &WriteOptions::default()).unwrap()).unwrap();
    for contour in &set.rois[0].contours {
        let k: usize = contour.image.rsplit('.').next().unwrap().parse::<usize>().unwrap() - 1;
        for &point in &contour.points {
            let index = grid.to_index(point);
            assert!((index[2] - k as f64).abs() < 1e-4, "{index:?} in slice {k}");
            // Borders of voxels, to a tenth of a micrometre.
            assert!((0..2).all(|a| ((index[a] - 0.5).round() + 0.5 - index[a]).abs() < 1e-3), "{index:?}");
        }
    }
}

#[test]
fn smooth_contours_stay_close_to_the_voxels_and_keep_the_volume() {
    let labels = drawn([30, 26, 11], ball(|i, j, _| (12..16).contains(&i) && (10..14).contains(&j)));
    for holes in BOTH {
        let bytes = write(&labels, &WriteOptions { smooth: true, holes, ..WriteOptions::default() }).unwrap();
        let set = read(&bytes).unwrap();
        let found = read_on(&set, &labels.stored);
        let iou = iou(&labels, &found.labels, Organ::Liver);
        assert!(iou > 0.95, "{holes:?}: {iou}");
        // Not along the borders: most points are off the half voxels.
        let points: Vec<[f64; 3]> =
            set.rois[0].contours.iter().flat_map(|c| &c.points).map(|&p| labels.stored.to_index(p)).collect();
        let off = points.iter().filter(|p| ((p[0] * 2.0).round() - p[0] * 2.0).abs() > 0.01).count();
        assert!(off * 3 > points.len(), "{off} of {}", points.len());
        assert!(set.rois[0].contours.iter().all(|c| c.points.len() > 3));
    }
}

#[test]
fn centroids_are_where_the_organ_is() {
    // A phantom without any symmetry, by its closed form: the boxes of `analytic`.
    for axes in analytic::all_48_axes() {
        let stored = analytic::stored(axes);
        let affine =
            std::array::from_fn(|r| [stored.steps[0][r], stored.steps[1][r], stored.steps[2][r], stored.origin[r]]);
        let grid = Geometry::new(stored.size, affine).unwrap();
        let labels = Volume::from_stored(grid.clone(), stored.labels, Modality::Unknown).unwrap();
        let found = read_on(&read(&write(&labels, &WriteOptions::default()).unwrap()).unwrap(), &grid);
        assert_eq!(found.labels.voxels, labels.voxels);
        analytic::assert_in_place(&found.labels, &format!("{axes:?}"));
    }
}

#[test]
fn the_smaller_of_two_structures_wins_and_a_body_may_lie_around_all() {
    let labels =
        drawn([12, 10, 4], |i, j, _| (4..7).contains(&i).then_some(if j < 5 { Organ::Heart } else { Organ::Liver }));
    let body: Vec<u8> = labels.voxels.iter().enumerate().map(|(n, _)| u8::from(n % 12 > 0)).collect();
    let mut structures = Structure::organs(&labels, |_| Drawn::Automatic);
    structures.push(Structure::body(&body));
    let info = series(&labels.stored);
    let options = WriteOptions::default();
    let bytes =
        derive(&info, |made| crate::formats::rtstruct::write(&structures, &labels.geometry, &options, made)).unwrap();
    let set = read(&bytes).unwrap();
    assert_eq!(
        set.rois.iter().map(|r| r.interpreted_type.as_str()).collect::<Vec<_>>(),
        ["ORGAN", "ORGAN", "EXTERNAL"]
    );
    let found = read_on(&set, &labels.stored);
    assert_eq!(found.labels.voxels, labels.voxels);
    assert_eq!(found.others.len(), 1);
    let inside: usize = found.others[0].voxels.iter().map(|r| r.len()).sum();
    assert_eq!((found.others[0].name.as_str(), inside), ("BODY", 11 * 10 * 4));
}

#[test]
fn what_a_label_map_has_no_room_for_is_said_with_its_volume() {
    // 5 x 10 x 4 voxels of liver, of which 2 x 10 x 4 are spleen too; the kidney lies apart.
    let slab =
        |from: usize, to: usize, organ| drawn([14, 10, 4], move |i, _, _| (from..to).contains(&i).then_some(organ));
    let maps = [slab(1, 6, Organ::Liver), slab(4, 7, Organ::Spleen), slab(9, 11, Organ::KidneyLeft)];
    let structures: Vec<Structure> = maps.iter().flat_map(|map| Structure::organs(map, |_| Drawn::Automatic)).collect();
    let options = WriteOptions::default();
    let bytes = derive(&series(&maps[0].stored), |made| {
        crate::formats::rtstruct::write(&structures, &maps[0].geometry, &options, made)
    })
    .unwrap();
    let found = read_on(&read(&bytes).unwrap(), &maps[0].stored);
    let voxels = |organ: Organ| found.labels.voxels.iter().filter(|&&v| v == organ.label()).count();
    assert_eq!([Organ::Liver, Organ::Spleen, Organ::KidneyLeft].map(voxels), [120, 120, 80]);
    // 80 voxels of 1.3 x 0.7 x 2.9 mm.
    let said = "organs overlap; a voxel of several was taken as the smallest one's, so that the larger ones lack: Liver 0.21 of 0.53 ml (40.0 %)";
    assert_eq!(found.warnings, [said]);
    assert_eq!(found.labels.warnings, [said]);
    let apart: Vec<Structure> = structures.iter().filter(|s| s.label != Organ::Spleen.label()).copied().collect();
    let bytes = derive(&series(&maps[0].stored), |made| {
        crate::formats::rtstruct::write(&apart, &maps[0].geometry, &options, made)
    });
    assert!(read_on(&read(&bytes.unwrap()).unwrap(), &maps[0].stored).warnings.is_empty());
}
