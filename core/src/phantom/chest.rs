//! Lungs and what lies between them.

use super::body::{FAT, cage, spine_front};
use super::patient::Patient;
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Key, Point, Shape, ellipsoid, loft, quad, tip, tube};
use super::texture::{Fill, Pattern, hash};
use crate::anatomy::Organ::{self, *};

/// The left lung; chest wall, heart and diaphragm give it its other surfaces.
const LUNG: [Key; 10] = [
    tip(0.0, 28.0, 30.0),
    quad(-12.0, [34.0, 27.0], [22.0, 16.0], [24.0, 24.0]),
    quad(-35.0, [46.0, 18.0], [40.0, 31.0], [46.0, 50.0]),
    quad(-70.0, [62.0, 10.0], [54.0, 45.0], [78.0, 72.0]),
    quad(-120.0, [72.0, 5.0], [62.0, 54.0], [88.0, 88.0]),
    quad(-180.0, [76.0, 3.0], [66.0, 55.0], [90.0, 90.0]),
    quad(-220.0, [78.0, 8.0], [62.0, 52.0], [84.0, 84.0]),
    quad(-250.0, [82.0, 28.0], [56.0, 46.0], [64.0, 62.0]),
    quad(-270.0, [86.0, 42.0], [44.0, 38.0], [40.0, 40.0]),
    tip(-284.0, 84.0, 50.0),
];

/// The heart with its sac. It tapers where the great vessels leave it.
const HEART: [Key; 8] = [
    tip(-98.0, 4.0, -26.0),
    quad(-106.0, [5.0, -26.0], [28.0, 28.0], [22.0, 20.0]),
    quad(-125.0, [8.0, -26.0], [46.0, 41.0], [38.0, 36.0]),
    quad(-150.0, [12.0, -28.0], [62.0, 47.0], [46.0, 42.0]),
    quad(-175.0, [18.0, -31.0], [67.0, 45.0], [46.0, 40.0]),
    quad(-197.0, [26.0, -36.0], [60.0, 40.0], [40.0, 36.0]),
    quad(-211.0, [34.0, -40.0], [40.0, 30.0], [27.0, 26.0]),
    tip(-219.0, 36.0, -40.0),
];

const LUNGS: Zones = Zones::organs(&[LungLeft, LungRight]);
const MEDIASTINUM: Zones = Zones::of(&[zone::CHEST, zone::TISSUE]);

/// The space within the ribs and the lungs in it; gives the top of the higher lung. Bones and the organs of the belly come
/// later and take their share.
pub(super) fn lungs(scene: &mut Scene, patient: &Patient) -> f32 {
    scene.add(Shape::Loft(cage()), FAT).zone(zone::CHEST).inset(7.0);
    let density = patient.between("lung density", -875.0, -815.0);
    let fill = Fill::new(density, 14.0, 6.0).with(Pattern::Dependent(110.0));
    let mut top = f32::NEG_INFINITY;
    for (organ, side) in [(LungLeft, "left lung"), (LungRight, "right lung")] {
        let shape = patient.vary(side, loft(&LUNG, 0.5), 3.0, 0.02);
        let shape = if organ == LungLeft { shape } else { shape.mirrored() };
        top = top.max(shape.extent()[1]);
        scene.add(shape, fill).organ(organ).within(Zones::of(&[zone::CHEST]));
    }
    top
}

/// Heart, great vessels, airways, gullet and the vessels of the lungs; gives the top of the heart.
pub(super) fn mediastinum(scene: &mut Scene, patient: &Patient) -> f32 {
    let blood = patient.blood();
    let artery = walled(Fill::new(blood.artery, 4.0, 5.0), 45.0, 1.2);
    let vein = walled(Fill::new(blood.vein, 4.0, 5.0), 45.0, 1.0);
    bronchial_tree(scene, patient, blood.vein.max(blood.artery * 0.7));

    let heart = patient.vary("heart", loft(&HEART, 0.1), 4.0, 0.05);
    let heart_top = heart.extent()[1];
    let around = MEDIASTINUM.or(LUNGS);
    scene.add(heart, walled(Fill::new(blood.myocardium, 5.0, 5.0), -70.0, 2.5)).organ(Heart).within(around).lumps(3.0);
    let chamber = |hu: f32| Fill::new(hu, 5.0, 6.0);
    let inside = Zones::organs(&[Heart]);
    let (left, right) = (blood.artery, blood.vein);
    for (shape, hu) in [
        (ellipsoid([44.0, -30.0, -172.0], [19.0, 27.0, 32.0]).turned(0, 1, 35.0).turned(0, 2, 20.0), left),
        (ellipsoid([6.0, -52.0, -172.0], [33.0, 15.0, 32.0]).turned(0, 1, -18.0), right),
        (ellipsoid([-20.0, -24.0, -152.0], [19.0, 24.0, 32.0]), right),
        (ellipsoid([10.0, -1.0, -130.0], [30.0, 14.0, 20.0]), left),
    ] {
        scene.add(shape, chamber(hu)).detail().within(inside).lumps(2.0);
    }
    // Fat between atria and ventricles.
    for groove in [
        [([-28.0, -46.0, -140.0], 4.0), ([-14.0, -34.0, -178.0], 4.0), ([8.0, -6.0, -192.0], 4.0)],
        [([30.0, -50.0, -125.0], 3.0), ([42.0, -62.0, -165.0], 3.5), ([52.0, -62.0, -200.0], 3.0)],
    ] {
        scene.add(tube(&groove), FAT).detail().within(inside);
    }

    let at_spine = |z: f32, x: f32, before: f32| -> Point { [x, spine_front(z) - before, z] };
    let aorta = tube(&[
        ([6.0, -28.0, -128.0], 15.0),
        ([-10.0, -34.0, -100.0], 15.5),
        ([-13.0, -28.0, -72.0], 15.0),
        ([3.0, -18.0, -54.0], 14.0),
        ([20.0, 4.0, -52.0], 13.0),
        ([26.0, 28.0, -66.0], 12.5),
        ([24.0, 40.0, -100.0], 12.0),
        (at_spine(-150.0, 20.0, -3.0), 11.5),
        (at_spine(-200.0, 14.0, 4.0), 11.0),
        (at_spine(-250.0, 7.0, 8.0), 10.5),
        (at_spine(-310.0, 5.0, 10.0), 9.5),
        (at_spine(-380.0, 4.0, 9.0), 9.0),
        (at_spine(-398.0, 4.0, 9.0), 8.5),
    ]);
    let iliac = |side: f32| {
        tube(&[
            (at_spine(-394.0, 4.0, 9.0), 6.5),
            (at_spine(-420.0, 16.0 * side, 8.0), 6.0),
            ([30.0 * side, 6.0, -470.0], 5.5),
        ])
    };
    let belly = around.or(Zones::of(&[zone::BELLY])).or(Zones::organs(&[BowelBag]));
    let outside_heart = belly.without(inside);
    for shape in [
        aorta,
        iliac(1.0),
        iliac(-1.0),
        // Branches of the arch, as far as the skull.
        tube(&[
            ([-8.0, -14.0, -52.0], 6.0),
            ([-16.0, -14.0, -24.0], 5.5),
            ([-24.0, -4.0, 5.0], 4.0),
            ([-26.0, -6.0, 60.0], 3.6),
            ([-24.0, 0.0, 118.0], 2.8),
        ]),
        tube(&[
            ([6.0, -2.0, -52.0], 4.5),
            ([14.0, -4.0, -22.0], 4.0),
            ([24.0, -2.0, 5.0], 4.0),
            ([26.0, -6.0, 60.0], 3.6),
            ([24.0, 0.0, 118.0], 2.8),
        ]),
        tube(&[
            ([16.0, 14.0, -54.0], 5.0),
            ([28.0, 18.0, -20.0], 4.5),
            ([50.0, 10.0, -8.0], 4.5),
            ([100.0, 0.0, -32.0], 4.0),
        ]),
        tube(&[
            ([-16.0, -14.0, -26.0], 5.0),
            ([-34.0, 8.0, -8.0], 4.5),
            ([-60.0, 4.0, -10.0], 4.5),
            ([-100.0, 0.0, -32.0], 4.0),
        ]),
    ] {
        scene.add(shape, artery).within(outside_heart);
    }
    for shape in [
        tube(&[([-25.0, -22.0, -46.0], 9.0), ([-27.0, -20.0, -90.0], 9.5), ([-26.0, -18.0, -136.0], 10.0)]),
        tube(&[
            ([-25.0, -22.0, -48.0], 7.5),
            ([0.0, -34.0, -38.0], 6.5),
            ([28.0, -26.0, -20.0], 6.0),
            ([32.0, 2.0, 10.0], 5.5),
            ([34.0, 2.0, 60.0], 5.5),
            ([32.0, 8.0, 118.0], 4.0),
        ]),
        tube(&[
            ([-25.0, -22.0, -48.0], 7.5),
            ([-30.0, -18.0, -20.0], 6.5),
            ([-32.0, 2.0, 10.0], 6.0),
            ([-34.0, 2.0, 60.0], 6.0),
            ([-32.0, 8.0, 118.0], 4.5),
        ]),
        tube(&[([28.0, -26.0, -22.0], 5.0), ([60.0, -26.0, -24.0], 5.0), ([105.0, -10.0, -42.0], 4.5)]),
        tube(&[([-30.0, -20.0, -22.0], 5.0), ([-60.0, -26.0, -24.0], 5.0), ([-105.0, -10.0, -42.0], 4.5)]),
        // Inferior vena cava.
        tube(&[
            ([-20.0, -8.0, -196.0], 11.0),
            ([-20.0, 2.0, -230.0], 11.0),
            (at_spine(-290.0, -18.0, 8.0), 11.0),
            (at_spine(-390.0, -16.0, 7.0), 10.5),
            ([-30.0, 14.0, -470.0], 8.0),
        ]),
        // Azygos vein.
        tube(&[(at_spine(-90.0, -6.0, 4.0), 3.5), (at_spine(-200.0, -5.0, 3.5), 3.2)]),
    ] {
        scene.add(shape, vein).within(outside_heart);
    }
    // Pulmonary trunk and its two branches.
    let lung_blood = walled(Fill::new(blood.vein.max(0.8 * blood.artery), 4.0, 5.0), 45.0, 1.2);
    for shape in [
        tube(&[([18.0, -44.0, -116.0], 13.0), ([18.0, -30.0, -94.0], 13.0)]),
        tube(&[([18.0, -28.0, -92.0], 12.0), ([-6.0, -8.0, -98.0], 10.5), ([-40.0, 4.0, -104.0], 9.0)]),
        tube(&[([18.0, -28.0, -92.0], 12.0), ([34.0, -4.0, -88.0], 10.5), ([48.0, 10.0, -96.0], 9.0)]),
    ] {
        scene.add(shape, lung_blood).within(outside_heart);
    }
    airways(scene, patient, outside_heart);
    heart_top
}

/// z where the trachea parts.
const CARINA: Point = [2.0, 10.0, -86.0];

fn airways(scene: &mut Scene, patient: &Patient, within: Zones) {
    let wall = Fill::new(45.0, 6.0, 4.0);
    let air = Fill::new(-990.0, 0.0, 5.0);
    let gullet = tube(&[
        ([0.0, 4.0, 9.0], 6.5),
        ([3.0, 15.0, -15.0], 7.0),
        ([5.0, spine_front(-50.0) - 9.0, -50.0], 7.5),
        ([7.0, spine_front(-92.0) - 9.0, -92.0], 7.5),
        ([6.0, 25.0, -140.0], 8.0),
        ([10.0, 21.0, -180.0], 8.0),
        ([20.0, 8.0, -212.0], 8.5),
        ([34.0, 2.0, -226.0], 8.5),
    ]);
    let gullet = patient.vary("esophagus", gullet, 0.5, 0.1);
    let near = within.or(Zones::organs(&[Heart]));
    scene.add(gullet.clone(), Fill::new(patient.blood().wall, 5.0, 4.0)).organ(Esophagus).within(near);
    if patient.between("air in the esophagus", 0.0, 1.0) < 0.5 {
        let z = patient.between("where the air is", -130.0, -30.0);
        let pocket = ellipsoid([5.0, if z > -60.0 { 20.0 } else { 26.0 }, z], [3.0, 2.5, 22.0]);
        scene.add(pocket, Fill::new(-600.0, 60.0, 3.0)).detail().within(Zones::organs(&[Esophagus]));
    }
    let bronchi = [
        tube(&[
            (CARINA, 8.0),
            ([-22.0, 13.0, -102.0], 7.5),
            ([-42.0, 18.0, -118.0], 6.0),
            ([-50.0, 24.0, -145.0], 4.0),
        ]),
        tube(&[(CARINA, 8.0), ([22.0, 15.0, -108.0], 6.5), ([44.0, 18.0, -122.0], 5.5), ([52.0, 26.0, -150.0], 4.0)]),
    ];
    for shape in bronchi.iter().cloned() {
        scene.add(shape, wall).within(within);
    }
    let trachea =
        tube(&[([0.0, -19.0, 9.0], 10.2), ([0.0, -13.0, -15.0], 10.2), ([0.0, 0.0, -50.0], 10.2), (CARINA, 10.5)]);
    let trachea = patient.vary("trachea", trachea, 0.5, 0.08);
    scene.add(trachea.clone(), wall).organ(Trachea).within(within.without(Zones::organs(&[Esophagus])));
    scene.add(trachea, air).detail().within(Zones::organs(&[Trachea])).inset(1.6);
    for shape in bronchi {
        scene.add(shape, air).detail().within(within.or(Zones::organs(&[Trachea]))).inset(1.5);
    }
}

/// Vessels that fork from each hilum towards the chest wall.
fn bronchial_tree(scene: &mut Scene, patient: &Patient, blood: f32) {
    let fill = Fill::new(blood.max(45.0), 10.0, 5.0);
    for (organ, name, side) in [(LungLeft, "left tree", 1.0), (LungRight, "right tree", -1.0)] {
        let mut random = hash(patient.seed(name));
        let mut next = |low: f32, high: f32| {
            random = hash(random.wrapping_add(0x9e37_79b9));
            low + (high - low) * (random >> 8) as f32 / 16_777_216.0
        };
        let hilum: Point = [46.0 * side, 14.0, -112.0];
        // A lung is fed in all directions; spread the first branches evenly over them.
        for n in 0..16 {
            let turn = n as f32 * 2.4 + next(-0.3, 0.3);
            let up = 1.0 - (n as f32 + 0.5) / 8.0;
            let flat = (1.0 - up * up).sqrt();
            let direction = [side * (0.35 + 0.65 * turn.cos().abs()) * flat, turn.sin() * flat, up];
            branch(scene, organ, fill, hilum, direction, next(38.0, 52.0), 4.6, 3, &mut next);
        }
    }
}

fn branch(
    scene: &mut Scene,
    organ: Organ,
    fill: Fill,
    from: Point,
    direction: Point,
    length: f32,
    radius: f32,
    generations: u32,
    next: &mut impl FnMut(f32, f32) -> f32,
) {
    let bend: Point = std::array::from_fn(|_| next(-0.25, 0.25));
    let point = |t: f32| std::array::from_fn(|n| from[n] + t * length * (direction[n] + t * bend[n]));
    let (half, end) = (point(0.5), point(1.0));
    let nodes = [(from, radius), (half, 0.85 * radius), (end, 0.68 * radius)];
    scene.add(tube(&nodes), fill).detail().within(Zones::organs(&[organ]));
    if generations == 0 {
        return;
    }
    for _ in 0..2 {
        let turned: Point = std::array::from_fn(|n| direction[n] + bend[n] + next(-0.75, 0.75));
        let norm = turned.iter().map(|v| v * v).sum::<f32>().sqrt().max(0.3);
        let turned = turned.map(|v| v / norm);
        branch(scene, organ, fill, end, turned, 0.72 * length, 0.66 * radius, generations - 1, next);
    }
}
