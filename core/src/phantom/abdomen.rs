//! What lies below the diaphragm.

use super::body::{FAT, spine_front};
use super::patient::{ContrastPhase, Patient};
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Key, Point, Shape, ellipsoid, loft, mid, oval, quad, tip, tube};
use super::texture::{Fill, Pattern, hash};
use crate::anatomy::Organ::{self, *};

/// Within the wall of the belly, below the domes.
const BELLY: [Key; 8] = [
    tip(-196.0, 0.0, -36.0),
    mid(-208.0, -34.0, 60.0, 42.0, 26.0),
    mid(-232.0, -16.0, 119.0, 62.0, 62.0),
    mid(-262.0, -4.0, 129.0, 76.0, 72.0),
    mid(-300.0, -2.0, 129.0, 79.0, 76.0),
    mid(-350.0, -2.0, 126.0, 76.0, 72.0),
    mid(-420.0, -2.0, 124.0, 74.0, 68.0),
    mid(-470.0, -2.0, 126.0, 72.0, 66.0),
];

/// The left dome of the diaphragm; the right one stands higher.
const DOME: [Key; 5] = [
    tip(-188.0, 62.0, -4.0),
    oval(-196.0, 63.0, -4.0, 35.0, 36.0),
    quad(-212.0, [64.0, 0.0], [50.0, 50.0], [62.0, 52.0]),
    quad(-235.0, [64.0, 4.0], [62.0, 62.0], [78.0, 66.0]),
    quad(-262.0, [64.0, 4.0], [66.0, 62.0], [78.0, 74.0]),
];

const RIGHT_LOBE: [Key; 9] = [
    tip(-180.0, -60.0, -8.0),
    oval(-187.0, -60.0, -8.0, 32.0, 34.0),
    quad(-202.0, [-58.0, -6.0], [44.0, 52.0], [58.0, 50.0]),
    quad(-222.0, [-56.0, -4.0], [46.0, 68.0], [76.0, 62.0]),
    quad(-248.0, [-56.0, -4.0], [46.0, 72.0], [78.0, 70.0]),
    quad(-275.0, [-60.0, -4.0], [42.0, 68.0], [74.0, 70.0]),
    quad(-305.0, [-72.0, -4.0], [32.0, 56.0], [60.0, 56.0]),
    quad(-335.0, [-86.0, -4.0], [20.0, 36.0], [42.0, 38.0]),
    tip(-362.0, -94.0, -4.0),
];

const LEFT_LOBE: [Key; 6] = [
    tip(-196.0, 4.0, -44.0),
    quad(-206.0, [6.0, -46.0], [34.0, 40.0], [26.0, 20.0]),
    quad(-228.0, [6.0, -48.0], [56.0, 60.0], [36.0, 26.0]),
    quad(-252.0, [2.0, -52.0], [50.0, 60.0], [32.0, 26.0]),
    quad(-274.0, [-6.0, -54.0], [36.0, 50.0], [26.0, 22.0]),
    tip(-292.0, -10.0, -56.0),
];

/// The left kidney; its axis follows the psoas down, outwards and forwards.
const KIDNEY: [Key; 7] = [
    tip(-252.0, 47.0, 48.0),
    oval(-262.0, 49.0, 46.0, 18.0, 15.0),
    oval(-284.0, 53.0, 43.0, 27.0, 22.0),
    oval(-307.0, 57.0, 40.0, 29.0, 24.0),
    oval(-332.0, 61.0, 37.0, 27.0, 22.0),
    oval(-353.0, 65.0, 34.0, 17.0, 15.0),
    tip(-363.0, 66.0, 33.0),
];

const BAG: [Key; 6] = [
    tip(-252.0, 82.0, -22.0),
    quad(-266.0, [76.0, -26.0], [40.0, 40.0], [36.0, 30.0]),
    quad(-292.0, [30.0, -40.0], [86.0, 90.0], [36.0, 36.0]),
    mid(-330.0, -36.0, 116.0, 42.0, 46.0),
    mid(-390.0, -32.0, 118.0, 44.0, 50.0),
    mid(-470.0, -30.0, 116.0, 44.0, 50.0),
];

/// What the belly tells about the heights of the regions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Top of the liver.
    pub liver: f32,
    /// Mean of the middles of both kidneys.
    pub kidneys: f32,
}

const ROOM: Zones = Zones::of(&[zone::BELLY]);

/// The room below the diaphragm. Painted over the lungs, before the bones.
pub(super) fn room(scene: &mut Scene) {
    let chest = Zones::of(&[zone::CHEST, zone::TISSUE]).or(Zones::organs(&[LungLeft, LungRight]));
    let peritoneum = walled(FAT, 50.0, 2.5);
    let right = loft(&DOME, 0.1).mirrored().moved([0.0, 0.0, 10.5]);
    for shape in [loft(&DOME, 0.1), right, loft(&BELLY, 0.3)] {
        scene.add(shape.clone(), peritoneum).zone(zone::BELLY).within(chest);
        scene.add(shape, FAT).detail().within(ROOM).inset(2.6);
    }
}

/// The organs of the belly.
pub(super) fn organs(scene: &mut Scene, patient: &Patient) -> Levels {
    let blood = patient.blood();
    let others = |organs: &[Organ]| ROOM.or(Zones::organs(organs));
    let bag = patient.vary("bowel bag", loft(&BAG, 0.25), 3.0, 0.02);
    scene.add(bag, Fill::new(-98.0, 12.0, 9.0)).organ(BowelBag).within(ROOM);

    let bag_or_room = others(&[BowelBag]);
    let spleen = ellipsoid([94.0, 36.0, -242.0], [27.0, 45.0, 48.0]).turned(0, 1, 20.0).turned(1, 2, -12.0);
    let spleen = patient.vary("spleen", spleen, 4.0, 0.1);
    let mottle = if patient.phase == ContrastPhase::Arterial { 16.0 } else { 5.0 };
    scene.add(spleen, Fill::new(blood.spleen, mottle, 9.0)).organ(Spleen).within(bag_or_room).lumps(3.0);

    let by = [patient.between("liver x", -3.0, 3.0), patient.between("liver y", -3.0, 3.0), 0.0];
    let grow = patient.between("liver size", 0.95, 1.05);
    let liver_fill = Fill::new(blood.liver, 4.5, 5.0);
    let right_lobe = loft(&RIGHT_LOBE, 0.15).grown(grow).moved(by);
    let right_lobe_top = right_lobe.extent()[1];
    // The size of the liver varies below its dome.
    let right_lobe = right_lobe.moved([0.0, 0.0, RIGHT_LOBE[0].z - right_lobe_top]);
    let liver_top = right_lobe.extent()[1];
    scene.add(right_lobe, liver_fill).organ(Liver).within(bag_or_room).lumps(3.0);
    scene.add(loft(&LEFT_LOBE, 0.1).grown(grow).moved(by), liver_fill).organ(Liver).within(bag_or_room).lumps(3.0);
    liver_vessels(scene, blood.vein);

    let kidneys = kidneys(scene, patient);
    pancreas_and_stomach(scene, patient);
    let gallbladder = ellipsoid([-42.0, -56.0, -296.0], [13.0, 20.0, 17.0]).turned(1, 2, 25.0);
    let gallbladder = patient.vary("gallbladder", gallbladder, 3.0, 0.15);
    let bile = walled(Fill::new(8.0, 3.0, 5.0), blood.wall, 1.5);
    scene.add(gallbladder, bile).organ(Gallbladder).within(others(&[BowelBag, Liver])).lumps(1.5);
    bowel(scene, patient);
    Levels { liver: liver_top, kidneys }
}

fn liver_vessels(scene: &mut Scene, vein: f32) {
    let fill = Fill::new(vein, 4.0, 5.0);
    let inside = Zones::organs(&[Liver]);
    for nodes in [
        // Hepatic veins to the vena cava, portal vein from the hilum.
        [([-20.0, 2.0, -206.0], 5.5), ([-52.0, 8.0, -222.0], 4.5), ([-92.0, 14.0, -250.0], 2.5)],
        [([-20.0, -2.0, -206.0], 5.5), ([-42.0, -28.0, -222.0], 4.5), ([-62.0, -56.0, -252.0], 2.5)],
        [([-18.0, -6.0, -206.0], 5.0), ([-2.0, -30.0, -220.0], 4.0), ([22.0, -52.0, -238.0], 2.5)],
        [([-26.0, -22.0, -268.0], 6.5), ([-46.0, -12.0, -258.0], 5.5), ([-88.0, -6.0, -256.0], 3.0)],
        [([-46.0, -12.0, -258.0], 4.5), ([-66.0, 22.0, -264.0], 3.5), ([-84.0, 38.0, -290.0], 2.0)],
        [([-46.0, -12.0, -258.0], 4.5), ([-70.0, -34.0, -268.0], 3.5), ([-92.0, -42.0, -296.0], 2.0)],
        [([-26.0, -22.0, -268.0], 5.0), ([-12.0, -42.0, -252.0], 4.0), ([20.0, -54.0, -244.0], 2.5)],
    ] {
        scene.add(tube(&nodes), fill).detail().within(inside);
    }
    let ligament = ellipsoid([-16.0, -66.0, -262.0], [2.2, 20.0, 22.0]).turned(0, 1, 12.0);
    scene.add(ligament, FAT).zone(zone::BELLY).within(inside);
    let hilum = tube(&[([-26.0, -26.0, -282.0], 7.0), ([-34.0, -22.0, -268.0], 5.0)]);
    scene.add(hilum, FAT).zone(zone::BELLY).within(inside);
}

/// Both kidneys; the mean height of their middles.
fn kidneys(scene: &mut Scene, patient: &Patient) -> f32 {
    let blood = patient.blood();
    let within = ROOM.or(Zones::organs(&[BowelBag, Liver, Spleen]));
    let fill = walled(Fill::new(blood.kidney, 5.0, 6.0), blood.kidney_cortex, 7.0);
    let mut middles = 0.0;
    for (organ, name, low) in [(KidneyLeft, "left kidney", 0.0), (KidneyRight, "right kidney", -11.0)] {
        let place = |shape: Shape| {
            let shape = patient.vary(name, shape, 4.0, 0.0).moved([0.0, 0.0, low]);
            if organ == KidneyLeft { shape } else { shape.mirrored() }
        };
        let size = patient.between(&format!("{name} length"), 0.92, 1.08);
        let shape = place(loft(&KIDNEY, 0.05).grown(size));
        let [bottom, top] = shape.extent();
        middles += (bottom + top) / 4.0;
        // The fat capsule keeps other organs off.
        scene.add(shape.clone(), FAT).zone(zone::BELLY).within(within).inset(-3.5);
        scene.add(shape, fill).organ(organ).within(ROOM);
        let inside = Zones::organs(&[organ]);
        let medulla = Fill::new(blood.kidney - 20.0, 4.0, 5.0);
        for (x, y, z) in [(50.0, 38.0, -290.0), (50.0, 40.0, -308.0), (54.0, 38.0, -328.0)] {
            scene.add(place(ellipsoid([x + 8.0, y, z], [9.0, 9.0, 5.5])), medulla).detail().within(inside);
        }
        let sinus = place(ellipsoid([41.0, 37.0, -308.0], [17.0, 9.0, 21.0]).turned(0, 1, -15.0));
        scene.add(sinus, FAT).zone(zone::BELLY).within(inside);
        let hilum = Zones::of(&[zone::BELLY]);
        let vein = place(tube(&[([16.0, 8.0, -306.0], 4.5), ([34.0, 30.0, -308.0], 4.5), ([46.0, 37.0, -308.0], 4.0)]));
        scene.add(vein, Fill::new(blood.vein, 4.0, 5.0)).detail().within(hilum);
        let pelvis =
            place(tube(&[([44.0, 39.0, -302.0], 5.0), ([38.0, 35.0, -318.0], 4.0), ([36.0, 26.0, -350.0], 2.0)]));
        scene.add(pelvis, Fill::new(8.0, 3.0, 5.0)).detail().within(hilum);
    }
    middles
}

fn pancreas_and_stomach(scene: &mut Scene, patient: &Patient) {
    let blood = patient.blood();
    let within = ROOM.or(Zones::organs(&[BowelBag]));
    let pancreas = tube(&[
        ([-28.0, -14.0, -318.0], 11.0),
        ([-25.0, -16.0, -300.0], 16.0),
        ([-4.0, -30.0, -286.0], 10.5),
        ([24.0, -26.0, -276.0], 11.5),
        ([52.0, -4.0, -266.0], 11.5),
        ([78.0, 20.0, -258.0], 9.0),
    ]);
    let pancreas = patient.vary("pancreas", pancreas, 3.0, 0.1);
    let lobules = Fill::new(blood.pancreas, 6.0, 4.0).with(Pattern::Striated(13.0));
    scene.add(pancreas, lobules).organ(Pancreas).within(within).lumps(3.0);
    // Splenic vein behind it, the mesenteric vessels below.
    for nodes in [
        [([-18.0, -18.0, -282.0], 5.5), ([26.0, -14.0, -272.0], 4.5), ([74.0, 26.0, -256.0], 3.5)],
        [([-18.0, -18.0, -282.0], 5.5), ([-12.0, -24.0, -320.0], 5.0), ([-10.0, -32.0, -380.0], 4.0)],
        [([3.0, spine_front(-290.0) - 20.0, -290.0], 3.8), ([2.0, -26.0, -320.0], 3.8), ([0.0, -34.0, -380.0], 3.0)],
    ] {
        scene.add(tube(&nodes), Fill::new(blood.vein, 4.0, 5.0)).within(within);
    }
    let stomach = tube(&[
        ([60.0, 6.0, -222.0], 33.0),
        ([66.0, -14.0, -244.0], 33.0),
        ([58.0, -38.0, -268.0], 28.0),
        ([34.0, -52.0, -290.0], 22.0),
        ([4.0, -56.0, -300.0], 17.0),
        ([-14.0, -50.0, -296.0], 12.0),
    ]);
    let stomach = patient.vary("stomach", stomach, 3.0, 0.1);
    let level = patient.between("stomach level", -58.0, -22.0);
    let fill = Fill::new(blood.wall, 5.0, 5.0).with(Pattern::Level(level));
    scene.add(stomach, fill).organ(Stomach).within(within.or(Zones::organs(&[Spleen]))).lumps(3.0);
    let duodenum = tube(&[
        ([-16.0, -50.0, -296.0], 11.0),
        ([-40.0, -34.0, -300.0], 12.0),
        ([-47.0, -12.0, -320.0], 12.0),
        ([-42.0, -4.0, -346.0], 12.0),
        ([-10.0, -16.0, -356.0], 11.0),
        ([26.0, -20.0, -340.0], 11.0),
    ]);
    let fill = Fill::new(blood.wall, 8.0, 6.0).with(Pattern::Level(-60.0));
    scene.add(duodenum, fill).within(within);
}

/// Large and small bowel, which fill the bag but for its fat.
fn bowel(scene: &mut Scene, patient: &Patient) {
    let inside = Zones::organs(&[BowelBag]);
    let wall = patient.blood().wall;
    let mut random = hash(patient.seed("bowel"));
    let mut next = |low: f32, high: f32| {
        random = hash(random.wrapping_add(0x9e37_79b9));
        low + (high - low) * (random >> 8) as f32 / 16_777_216.0
    };
    let small = Fill::new(wall, 8.0, 5.0).with(Pattern::Level(-200.0));
    let windy = Fill::new(wall, 8.0, 5.0).with(Pattern::Level(-52.0));
    // Loops in layers from back to front, each winding from side to side and slowly down.
    for layer in 0..4 {
        let y = -6.0 - 20.0 * layer as f32;
        for row in 0..8 {
            let z = -318.0 - 20.0 * row as f32 + next(-6.0, 6.0);
            let mut x = -84.0 + next(-6.0, 6.0);
            let mut nodes: Vec<(Point, f32)> = Vec::new();
            while x < 84.0 {
                nodes.push(([x, y + next(-7.0, 7.0), z + next(-9.0, 9.0)], next(8.5, 13.5)));
                x += next(16.0, 26.0);
            }
            let fill = if next(0.0, 1.0) < 0.25 { windy } else { small };
            scene.add(tube(&nodes), fill).detail().within(inside);
        }
    }
    let stool = Fill::new(wall, 6.0, 5.0).with(Pattern::Stool);
    let colon = [
        tube(&[
            ([-98.0, -22.0, -470.0], 24.0),
            ([-102.0, -16.0, -420.0], 24.0),
            ([-98.0, -14.0, -370.0], 21.0),
            ([-88.0, -34.0, -342.0], 19.0),
        ]),
        tube(&[
            ([-88.0, -36.0, -340.0], 18.0),
            ([-40.0, -62.0, -346.0], 17.0),
            ([10.0, -64.0, -352.0], 17.0),
            ([60.0, -58.0, -330.0], 17.0),
            ([96.0, -18.0, -276.0], 18.0),
        ]),
        tube(&[
            ([98.0, -10.0, -274.0], 18.0),
            ([100.0, -8.0, -330.0], 17.0),
            ([100.0, -12.0, -400.0], 16.0),
            ([96.0, -20.0, -470.0], 16.0),
        ]),
    ];
    for shape in colon {
        scene.add(shape.clone(), FAT).detail().within(inside).inset(-2.5).lumps(3.0);
        scene.add(shape, stool).detail().within(inside).lumps(4.0);
    }
}
