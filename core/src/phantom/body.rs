//! What holds the body together: skin, fat, muscles, spine, ribs, shoulders, arms.

use super::patient::Patient;
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Key, Loft, Point, Shape, ellipsoid, loft, mid, oval, quad, rod, tip, tube};
use super::texture::{Fill, Pattern};
use crate::anatomy::Organ;

pub(super) const FAT: Fill = Fill::new(-102.0, 5.0, 7.0);
const SKIN: Fill = Fill::new(15.0, 8.0, 4.0);
const CARTILAGE: Fill = Fill::new(110.0, 15.0, 4.0);
/// Mean thickness of the skin in mm.
const SKIN_MM: f32 = 2.2;

/// Muscle of this patient, with fat between its bellies.
pub(super) fn muscle(patient: &Patient) -> Fill {
    Fill::new(patient.blood().muscle, 5.0, 5.0).with(Pattern::Striated(20.0))
}

/// Surface of the muscles of the trunk.
const TRUNK: [Key; 14] = [
    mid(-470.0, 0.0, 152.0, 84.0, 92.0),
    mid(-440.0, 0.0, 148.0, 84.0, 91.0),
    mid(-380.0, 0.0, 138.0, 86.0, 90.0),
    mid(-320.0, 0.0, 138.0, 90.0, 92.0),
    mid(-250.0, 0.0, 143.0, 94.0, 98.0),
    mid(-180.0, 0.0, 149.0, 95.0, 104.0),
    mid(-130.0, 0.0, 156.0, 93.0, 107.0),
    mid(-90.0, 1.0, 164.0, 89.0, 107.0),
    mid(-60.0, 4.0, 174.0, 81.0, 102.0),
    mid(-32.0, 10.0, 176.0, 70.0, 92.0),
    mid(-10.0, 14.0, 156.0, 60.0, 80.0),
    mid(12.0, 15.0, 102.0, 52.0, 70.0),
    mid(31.0, 15.0, 64.0, 44.0, 57.0),
    mid(50.0, 14.0, 38.0, 34.0, 42.0),
];

/// Surface of the neck's muscles, from within the trunk to within the head.
const NECK: [Key; 5] = [
    mid(-20.0, 14.0, 56.0, 54.0, 60.0),
    mid(15.0, 14.0, 55.0, 56.0, 58.0),
    mid(50.0, 12.0, 53.0, 52.0, 54.0),
    mid(85.0, 14.0, 54.0, 50.0, 52.0),
    mid(125.0, 18.0, 56.0, 40.0, 52.0),
];

/// The skin of head and face.
const HEAD: [Key; 13] = [
    tip(272.0, 0.0, -6.0),
    mid(264.0, -4.0, 42.0, 50.0, 48.0),
    mid(246.0, 0.0, 62.0, 76.0, 73.0),
    mid(222.0, 0.0, 75.0, 92.0, 89.0),
    mid(196.0, 0.0, 79.0, 98.0, 95.0),
    mid(172.0, 0.0, 79.0, 99.0, 94.0),
    mid(150.0, 0.0, 77.0, 97.0, 88.0),
    mid(128.0, 0.0, 74.0, 96.0, 78.0),
    mid(105.0, 0.0, 69.0, 97.0, 66.0),
    mid(85.0, 0.0, 65.0, 96.0, 62.0),
    mid(66.0, 0.0, 61.0, 93.0, 60.0),
    mid(50.0, 2.0, 56.0, 76.0, 58.0),
    mid(38.0, 6.0, 50.0, 48.0, 52.0),
];

/// Middle of the ribs.
const CAGE: [Key; 8] = [
    mid(8.0, 26.0, 50.0, 42.0, 40.0),
    mid(-28.0, 18.0, 86.0, 74.0, 60.0),
    mid(-70.0, 8.0, 114.0, 84.0, 76.0),
    mid(-120.0, 2.0, 131.0, 84.0, 86.0),
    mid(-180.0, 0.0, 138.0, 85.0, 87.0),
    mid(-240.0, 0.0, 134.0, 84.0, 84.0),
    mid(-300.0, 0.0, 129.0, 82.0, 80.0),
    mid(-345.0, 0.0, 127.0, 80.0, 78.0),
];

/// The middle of the ribs.
pub(super) fn cage() -> Loft {
    Loft::new(&CAGE, 0.35)
}

/// Keys of a surface `mm` further out; on the neck there is little fat.
fn inflated(keys: &[Key], mm: f32) -> Vec<Key> {
    let wider = |k: &Key| {
        let mm = if k.z > 20.0 { mm.min(6.0) } else { mm };
        Key { left: k.left + mm, right: k.right + mm, front: k.front + mm, back: k.back + 0.7 * mm, ..*k }
    };
    keys.iter().map(wider).collect()
}

/// The arms, hanging beside the trunk; of raised ones only the shoulders.
fn arm(patient: &Patient, mm: f32) -> Vec<Shape> {
    let shoulder = ellipsoid([166.0, 14.0, -57.0], [36.0 + mm, 44.0 + mm, 48.0 + mm]);
    let hanging = loft(
        &[
            oval(-470.0, 212.0, -4.0, 30.0 + mm, 34.0 + mm),
            oval(-300.0, 208.0, 8.0, 34.0 + mm, 38.0 + mm),
            oval(-260.0, 206.0, 8.0, 33.0 + mm, 36.0 + mm),
            oval(-150.0, 200.0, 12.0, 38.0 + mm, 42.0 + mm),
            oval(-80.0, 186.0, 14.0, 36.0 + mm, 44.0 + mm),
            tip(-20.0, 172.0, 14.0),
        ],
        0.0,
    );
    let left = if patient.arms { vec![shoulder, hanging] } else { vec![shoulder] };
    left.iter().cloned().chain(left.iter().cloned().map(Shape::mirrored)).collect()
}

/// Skin, fat and the muscles under it.
pub(super) fn outline(scene: &mut Scene, patient: &Patient) {
    let fat = patient.fat_mm;
    let skin = |mm: f32| {
        let mut shapes = vec![loft(&inflated(&TRUNK, fat + mm), 0.3), loft(&inflated(&NECK, 0.35 * fat + mm), 0.1)];
        shapes.push(loft(&inflated(&HEAD, mm - SKIN_MM), 0.08));
        shapes.extend(arm(patient, 0.4 * fat + mm));
        if patient.breasts {
            let breast = ellipsoid([74.0, -88.0 - 0.7 * fat, -135.0], [56.0 + mm, 30.0 + 0.5 * fat + mm, 54.0 + mm]);
            shapes.extend([breast.clone(), breast.mirrored()]);
        }
        shapes
    };
    for shape in skin(SKIN_MM) {
        scene.add(shape, SKIN).within(Zones::ANY).lumps(2.0);
    }
    for shape in skin(0.0) {
        scene.add(shape, FAT).lumps(2.0);
    }
    if patient.breasts {
        let gland = ellipsoid([74.0, -100.0 - 0.7 * fat, -137.0], [30.0, 14.0, 28.0]);
        for shape in [gland.clone(), gland.mirrored()] {
            scene.add(shape, Fill::new(-20.0, 45.0, 7.0)).lumps(6.0);
        }
    }
    let muscle = muscle(patient);
    scene.add(loft(&TRUNK, 0.3), muscle).lumps(3.0);
    scene.add(loft(&NECK, 0.1), muscle).lumps(2.0);
    for shape in arm(patient, -1.0) {
        scene.add(shape, muscle).lumps(3.0);
    }
    // The armpits.
    let pit = ellipsoid([140.0, 12.0, -84.0], [15.0, 30.0, 34.0]).turned(0, 2, 14.0);
    for shape in [pit.clone(), pit.mirrored()] {
        scene.add(shape, FAT).lumps(6.0);
    }
}

/// Height of the top of every vertebra, the atlas first, then the top of the sacrum.
const LEVELS: [f32; 25] = [
    126.0, 111.0, 93.0, 76.0, 59.0, 42.0, 25.0, 7.0, -11.0, -30.0, -50.0, -71.0, -92.0, -114.0, -137.0, -161.0, -185.0,
    -210.0, -236.0, -263.0, -293.0, -325.0, -358.0, -391.0, -424.0,
];
/// Vertebrae of the neck.
const CERVICAL: usize = 7;
/// Vertebrae of the neck and chest.
const ABOVE_LOINS: usize = 19;

/// How far back the middle of the spinal canal lies: neck and loins bend forwards, the chest backwards.
const CANAL: [(f32, f32); 12] = [
    (150.0, 12.0),
    (126.0, 22.0),
    (100.0, 25.0),
    (60.0, 27.0),
    (20.0, 42.0),
    (-30.0, 62.0),
    (-95.0, 72.0),
    (-160.0, 72.0),
    (-230.0, 62.0),
    (-300.0, 51.0),
    (-370.0, 45.0),
    (-440.0, 56.0),
];

/// y of the middle of the spinal canal at a height.
pub(super) fn canal(z: f32) -> f32 {
    let n = CANAL.iter().position(|&(at, _)| at < z).unwrap_or(CANAL.len() - 1).max(1);
    let ((above, from), (below, to)) = (CANAL[n - 1], CANAL[n]);
    let t = ((above - z) / (above - below)).clamp(0.0, 1.0);
    // Half linear, half eased: smooth enough to the eye, monotone between the points.
    from + (to - from) * (0.4 * t + 0.6 * t * t * (3.0 - 2.0 * t))
}

/// Half width and half depth of a vertebral body at a height.
fn body_size(z: f32) -> [f32; 2] {
    const SIZES: [(f32, f32, f32); 5] =
        [(126.0, 10.0, 7.5), (20.0, 13.0, 8.5), (-60.0, 14.0, 12.0), (-250.0, 20.0, 15.5), (-450.0, 25.0, 18.0)];
    let n = SIZES.iter().position(|&(at, ..)| at < z).unwrap_or(SIZES.len() - 1).max(1);
    let ((above, rx, ry), (below, sx, sy)) = (SIZES[n - 1], SIZES[n]);
    let t = ((above - z) / (above - below)).clamp(0.0, 1.0);
    [rx + t * (sx - rx), ry + t * (sy - ry)]
}

/// y of the front of the spine at a height.
pub(super) fn spine_front(z: f32) -> f32 {
    canal(z) - 8.0 - 2.0 * body_size(z)[1]
}

/// Vertebrae, discs, canal and cord.
pub(super) fn spine(scene: &mut Scene, patient: &Patient) {
    let bottom = LEVELS[LEVELS.len() - 1] - 40.0;
    let column: Vec<Key> = (0..)
        .map(|n| LEVELS[1] - 8.0 * n as f32)
        .take_while(|&z| z > bottom)
        .map(|z| {
            let [rx, ry] = body_size(z);
            oval(z, 0.0, canal(z) - 8.0 - ry, 0.94 * rx, 0.94 * ry)
        })
        .collect();
    scene.add(loft(&column, 0.2), Fill::new(85.0, 10.0, 5.0)).zone(zone::TISSUE);
    for n in 1..LEVELS.len() {
        let (top, low) = (LEVELS[n], LEVELS.get(n + 1).copied().unwrap_or(bottom));
        vertebra(scene, n, top, low);
    }
    atlas(scene);
    let canal_keys: Vec<Key> =
        (0..36).map(|n| 128.0 - 16.0 * n as f32).map(|z| oval(z, 0.0, canal(z), 9.5, 8.0)).collect();
    scene.add(loft(&canal_keys, 0.0), walled(Fill::new(12.0, 6.0, 4.0), -40.0, 1.5));
    let mut nodes: Vec<(Point, f32)> = (0..26)
        .map(|n| 125.0 - 16.5 * n as f32)
        .map(|z| {
            // Thicker where the nerves of arms and legs leave it.
            let swelling = (-((z - 40.0) / 35.0).powi(2)).exp() + 0.6 * (-((z + 270.0) / 25.0).powi(2)).exp();
            ([0.0, canal(z), z], 5.0 + 1.2 * swelling)
        })
        .collect();
    nodes.push(([0.0, canal(-306.0), -306.0], 3.0));
    nodes.push(([0.0, canal(-314.0), -314.0], 1.2));
    let radius = patient.between("cord", 0.95, 1.12);
    scene.add(tube(&nodes).grown(radius), Fill::new(38.0, 3.0, 4.0)).organ(Organ::SpinalCord);
}

fn atlas(scene: &mut Scene) {
    let z = 118.0;
    let y = canal(z);
    let ring: Vec<(Point, f32)> = (0..=24)
        .map(|n| std::f32::consts::TAU * n as f32 / 24.0)
        .map(|a| ([19.0 * a.sin(), y - 3.0 - 17.0 * a.cos(), z], 3.6))
        .collect();
    let mass = ellipsoid([19.0, y - 6.0, z], [8.0, 10.0, 8.0]);
    let process = rod(&[([20.0, y - 2.0, z], 5.0), ([38.0, y, z], 4.0)], 1.2);
    let dens = rod(&[([0.0, y - 14.0, 98.0], 6.5), ([0.0, y - 13.0, 123.0], 4.5)], 1.0);
    let shapes = [rod(&ring, 1.4), mass.clone(), mass.mirrored(), process.clone(), process.mirrored(), dens];
    scene.bones(&shapes, zone::BONE, 2.0);
}

fn vertebra(scene: &mut Scene, n: usize, top: f32, low: f32) {
    let height = top - low;
    let (neck, loins) = (n < CERVICAL, n >= ABOVE_LOINS);
    let disc = if neck { 4.0 } else { 0.24 * height };
    let (high, base) = (top - disc / 2.0, low + disc / 2.0);
    let middle = (high + base) / 2.0;
    let body = |z: f32, share: f32| {
        let [rx, ry] = body_size(z);
        oval(z, 0.0, canal(z) - 8.0 - ry, share * rx, share * ry)
    };
    let mut shapes = vec![loft(&[body(high, 1.02), body(middle, 0.93), body(base, 1.03)], 0.25)];
    let z = middle + 0.1 * height;
    let y = canal(z);
    let [rx, _] = body_size(z);
    // Tall enough for the arches to close the canal over two thirds of each level.
    let tall = 0.34 * height / 4.5;
    let reach = if neck { 26.0 } else { 32.0 };
    let spinous = if neck { 16.0 + 2.2 * n as f32 } else { 33.0 };
    let drop = if neck || loins { 6.0 } else { 20.0 };
    let pedicle = rod(&[([0.7 * rx, y - 9.0, z], 4.4), ([12.5, y + 2.0, z], 4.4)], tall);
    let lamina = rod(&[([12.5, y + 2.0, z], 4.2), ([0.0, y + 13.0, z - 4.0], 3.8)], tall);
    let back = if loins { -2.0 } else { 8.0 };
    let transverse = rod(&[([12.0, y, z], 4.5), ([reach, y + back, z], 3.6)], if neck { 1.0 } else { 1.4 });
    for half in [pedicle, lamina, transverse] {
        shapes.extend([half.clone(), half.mirrored()]);
    }
    let process = [([0.0, y + 12.0, z - 4.0], 3.6), ([0.0, y + spinous, z - 4.0 - drop], 3.2)];
    shapes.push(rod(&process, if loins { 2.6 } else { 1.3 }));
    scene.bones(&shapes, zone::BONE, 1.8);
}

/// How far each rib comes down from the spine to its front end, in mm, and where around the chest that end is, in degrees
/// from the spine.
const RIBS: [(f32, f32); 12] = [
    (45.0, 158.0),
    (60.0, 165.0),
    (76.0, 166.0),
    (90.0, 166.0),
    (102.0, 165.0),
    (110.0, 164.0),
    (112.0, 162.0),
    (108.0, 152.0),
    (96.0, 140.0),
    (76.0, 124.0),
    (48.0, 86.0),
    (28.0, 58.0),
];

/// Ribs, sternum, collar bones, shoulder blades and arms.
pub(super) fn ribs_and_shoulders(scene: &mut Scene, patient: &Patient) {
    let cage = cage();
    let (mut bones, mut cartilage) = (Vec::new(), Vec::new());
    for (n, (drop, end)) in RIBS.into_iter().enumerate() {
        let top = LEVELS[CERVICAL + n] - 2.0;
        let mut nodes: Vec<(Point, f32)> = vec![([17.0, canal(top) - 14.0, top], 4.0)];
        let (start, end) = (26f32.to_radians(), end.to_radians());
        let mut gristle: Vec<(Point, f32)> = Vec::new();
        for k in 0..=18 {
            let t = k as f32 / 18.0;
            let angle = start + t * (end - start);
            // Cartilage rises again towards the sternum.
            let degrees = angle.to_degrees();
            let rise = ((degrees - 138.0) / 28.0).max(0.0) * if n > 3 { 14.0 * (n as f32 - 3.0) } else { 0.0 };
            let point = cage.on_surface(top - drop * t.powf(0.9) + rise, angle);
            if degrees <= 140.0 {
                nodes.push((point, 4.1));
            }
            if degrees >= 132.0 {
                gristle.push((point, 4.2));
            }
        }
        bones.push(rod(&nodes, 1.45));
        if gristle.len() > 1 {
            cartilage.push(rod(&gristle, 1.6));
        }
    }
    let breast_bone = loft(
        &[
            mid(-38.0, -52.0, 24.0, 5.0, 5.0),
            mid(-62.0, -66.0, 20.0, 6.0, 6.0),
            mid(-100.0, -79.0, 15.0, 5.5, 5.5),
            mid(-160.0, -83.0, 18.0, 5.5, 5.5),
            mid(-182.0, -84.0, 10.0, 4.0, 4.0),
            tip(-200.0, 0.0, -83.0),
        ],
        0.3,
    );
    let clavicle = tube(&[
        ([16.0, -50.0, -36.0], 8.0),
        ([48.0, -54.0, -24.0], 5.5),
        ([95.0, -34.0, -10.0], 5.5),
        ([135.0, -2.0, -6.0], 5.5),
        ([158.0, 8.0, -10.0], 6.0),
    ]);
    let blade = ellipsoid([104.0, 78.0, -95.0], [44.0, 4.0, 66.0]).turned(0, 1, -26.0).turned(1, 2, 6.0);
    let spine_of_blade = tube(&[
        ([74.0, 92.0, -62.0], 4.0),
        ([108.0, 84.0, -45.0], 5.0),
        ([150.0, 52.0, -22.0], 6.0),
        ([164.0, 22.0, -14.0], 6.5),
    ]);
    let neck_of_blade = tube(&[([118.0, 66.0, -60.0], 7.0), ([146.0, 32.0, -46.0], 12.0)]);
    let head = ellipsoid([170.0, 16.0, -42.0], [23.0, 23.0, 24.0]);
    for shape in &cartilage {
        for shape in [shape.clone(), shape.clone().mirrored()] {
            scene.add(shape, CARTILAGE);
        }
    }
    let mut each_side = bones;
    each_side.extend([clavicle, blade, spine_of_blade, neck_of_blade]);
    each_side.push(head);
    if patient.arms {
        each_side.push(rod(
            &[([176.0, 16.0, -50.0], 13.0), ([200.0, 14.0, -150.0], 11.0), ([206.0, 10.0, -275.0], 13.0)],
            1.0,
        ));
        each_side.push(rod(&[([212.0, -2.0, -285.0], 9.0), ([217.0, -14.0, -480.0], 7.0)], 1.0));
        each_side.push(rod(&[([200.0, 16.0, -275.0], 9.0), ([206.0, 6.0, -480.0], 6.5)], 1.0));
    }
    let mirrored: Vec<Shape> = each_side.iter().cloned().map(Shape::mirrored).collect();
    each_side.extend(mirrored);
    each_side.push(breast_bone);
    // The hip bones, which the scan reaches at its lower end.
    let hip = ellipsoid([96.0, 30.0, -448.0], [9.0, 62.0, 46.0]).turned(0, 1, 32.0).turned(0, 2, -14.0);
    each_side.extend([hip.clone(), hip.mirrored()]);
    scene.bones(&each_side, zone::BONE, 1.5);
}

/// Muscles of the back and loins that have planes of fat around them.
pub(super) fn back_muscles(scene: &mut Scene, patient: &Patient) {
    let muscle = muscle(patient);
    let psoas = tube(&[
        ([24.0, 34.0, -285.0], 7.0),
        ([33.0, 28.0, -330.0], 14.0),
        ([42.0, 24.0, -380.0], 20.0),
        ([54.0, 14.0, -470.0], 24.0),
    ]);
    let quadratus = ellipsoid([66.0, 58.0, -362.0], [20.0, 11.0, 62.0]).turned(0, 1, 20.0);
    let erector: Vec<Key> = (0..30)
        .map(|n| -20.0 - 16.0 * n as f32)
        .map(|z| {
            let y = canal(z) + 22.0;
            quad(z, [32.0, y], [if z < -240.0 { 34.0 } else { 24.0 }, 24.0], [15.0, (96.0 - y).max(12.0)])
        })
        .collect();
    for shape in [loft(&erector, 0.2), psoas, quadratus] {
        for shape in [shape.clone(), shape.mirrored()] {
            scene.add(shape.clone(), FAT).inset(-1.6).within(Zones::of(&[zone::TISSUE, zone::BELLY])).detail();
            scene.add(shape, muscle).within(Zones::of(&[zone::TISSUE, zone::BELLY])).lumps(2.0);
        }
    }
}
