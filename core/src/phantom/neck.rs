//! Mouth, throat, larynx, glands and the muscles around them.

use super::body::{FAT, muscle};
use super::patient::Patient;
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Key, Shape, both, ellipsoid, loft, mid, oval, quad, rod, tip, tube};
use super::texture::{AIR, Fill, Pattern};
use crate::anatomy::Organ::*;

/// Outlines of the throat's back wall, from the base of the skull to the gullet.
const CONSTRICTOR: [Key; 7] = [
    mid(126.0, -17.0, 14.5, 7.0, 6.0),
    mid(110.0, -17.0, 15.0, 8.0, 6.5),
    mid(90.0, -13.0, 15.0, 8.0, 7.0),
    mid(70.0, -10.0, 15.5, 8.0, 6.5),
    mid(50.0, -6.0, 16.0, 7.0, 6.0),
    mid(30.0, -2.0, 14.0, 5.0, 5.5),
    mid(9.0, 3.0, 10.5, 4.0, 5.5),
];

/// The air in the throat.
const THROAT: [Key; 7] = [
    mid(130.0, -26.0, 10.0, 8.0, 4.0),
    mid(110.0, -22.0, 12.0, 9.0, 6.0),
    mid(90.0, -19.0, 11.0, 7.0, 6.5),
    mid(72.0, -16.0, 12.0, 7.0, 6.5),
    mid(56.0, -13.0, 13.0, 7.0, 5.5),
    mid(44.0, -10.0, 12.0, 4.0, 4.0),
    mid(34.0, -7.0, 9.0, 2.0, 2.0),
];

/// Mouth, throat, larynx and thyroid.
pub(super) fn mouth_and_throat(scene: &mut Scene, patient: &Patient) {
    let mouth = loft(
        &[
            tip(105.0, 0.0, -52.0),
            mid(99.0, -52.0, 20.0, 24.0, 24.0),
            mid(84.0, -50.0, 23.0, 28.0, 26.0),
            mid(72.0, -50.0, 21.0, 25.0, 24.0),
            tip(62.0, 0.0, -50.0),
        ],
        0.15,
    );
    let tongue = Fill::new(58.0, 5.0, 4.0).with(Pattern::Striated(12.0));
    let mouth = patient.vary("mouth", mouth, 1.0, 0.04);
    scene.add(mouth, tongue).organ(OralCavity).within(Zones::of(&[zone::TISSUE]));
    let gap = patient.between("gap under the palate", 1.0, 4.0);
    scene.add(ellipsoid([0.0, -52.0, 98.5], [15.0, 19.0, gap]), AIR).detail().within(Zones::organs(&[OralCavity]));

    let wall = Fill::new(58.0, 5.0, 4.0);
    let constrictor = patient.vary("constrictor", loft(&CONSTRICTOR, 0.1), 0.5, 0.03);
    scene.add(constrictor, wall).organ(ConstrictorNaris).within(Zones::of(&[zone::TISSUE]));
    let throat = loft(&THROAT, 0.1);
    let all = Zones::of(&[zone::TISSUE]).or(Zones::organs(&[ConstrictorNaris, OralCavity]));
    scene
        .add(throat.clone(), Fill::new(48.0, 5.0, 4.0))
        .within(all.without(Zones::organs(&[ConstrictorNaris])))
        .inset(-2.5);
    scene.add(throat, AIR).zone(zone::TISSUE).within(all);

    let larynx = loft(
        &[
            mid(52.0, -26.0, 15.0, 12.0, 10.0),
            mid(42.0, -25.0, 18.0, 17.0, 13.0),
            mid(26.0, -24.0, 18.0, 18.0, 14.0),
            mid(16.0, -22.0, 15.0, 14.0, 13.0),
            mid(8.5, -20.0, 13.0, 12.0, 12.0),
        ],
        0.1,
    );
    let larynx = patient.vary("larynx", larynx, 0.8, 0.05);
    let cartilage = walled(Fill::new(35.0, 8.0, 5.0), patient.between("calcified larynx", 110.0, 330.0), 2.8);
    scene.add(larynx, cartilage).organ(Larynx).within(Zones::of(&[zone::TISSUE]));
    let lumen = [
        quad(54.0, [0.0, -22.0], [8.0, 8.0], [6.0, 6.0]),
        quad(40.0, [0.0, -23.0], [6.5, 6.5], [8.0, 7.0]),
        quad(30.0, [0.0, -23.0], [2.2, 2.2], [11.0, 8.0]),
        quad(22.0, [0.0, -21.0], [6.5, 6.5], [9.0, 8.0]),
        quad(8.0, [0.0, -19.5], [8.5, 8.5], [8.5, 8.5]),
    ];
    scene.add(loft(&lumen, 0.0), AIR).detail().within(Zones::organs(&[Larynx]));
    let hyoid = rod(
        &[
            ([20.0, -14.0, 53.0], 2.4),
            ([15.0, -32.0, 50.0], 2.8),
            ([0.0, -42.0, 48.0], 3.4),
            ([-15.0, -32.0, 50.0], 2.8),
            ([-20.0, -14.0, 53.0], 2.4),
        ],
        1.3,
    );
    scene.bones(&[hyoid], zone::BONE, 1.0);
    let thyroid = Fill::new(if patient.blood().gland > 60.0 { 170.0 } else { 105.0 }, 8.0, 4.0);
    for shape in both(ellipsoid([17.0, -16.0, 4.0], [8.5, 11.0, 21.0])) {
        scene.add(shape, thyroid).within(Zones::of(&[zone::TISSUE]));
    }
    scene
        .add(rod(&[([13.0, -25.0, -4.0], 4.0), ([-13.0, -25.0, -4.0], 4.0)], 1.6), thyroid)
        .within(Zones::of(&[zone::TISSUE]));
}

/// The salivary glands beside the jaw.
pub(super) fn glands(scene: &mut Scene, patient: &Patient) {
    let parotid = [
        tip(131.0, 56.0, 2.0),
        quad(120.0, [55.0, 3.0], [7.0, 8.0], [15.0, 16.0]),
        quad(104.0, [53.0, 4.0], [9.0, 12.0], [22.0, 20.0]),
        quad(88.0, [51.0, 4.0], [8.0, 11.0], [18.0, 17.0]),
        tip(73.0, 49.0, 6.0),
    ];
    let fatty = patient.between("parotid HU", -25.0, 25.0) + 0.4 * (patient.blood().gland - 42.0);
    for (organs, sign) in
        [([ParotidLeft, SubmandibularGlandLeft], "left"), ([ParotidRight, SubmandibularGlandRight], "right")]
    {
        let side = |shape: Shape| if sign == "left" { shape } else { shape.mirrored() };
        let gland = side(patient.vary(&format!("{sign} parotid"), loft(&parotid, 0.1), 1.0, 0.07));
        scene.add(gland, Fill::new(fatty, 14.0, 3.5)).organ(organs[0]).lumps(3.0);
        let gland = ellipsoid([29.0, -30.0, 58.0], [8.5, 15.0, 14.0]).turned(0, 1, -20.0);
        let gland = side(patient.vary(&format!("{sign} submandibular"), gland, 1.5, 0.1));
        scene.add(gland.clone(), FAT).inset(-2.5);
        scene.add(gland, Fill::new(patient.blood().gland + 5.0, 7.0, 4.0)).organ(organs[1]).lumps(1.5);
    }
}

/// Muscles and deep fat of face and neck.
pub(super) fn face_muscles(scene: &mut Scene, patient: &Patient) {
    let muscle = muscle(patient);
    let soft = Zones::of(&[zone::TISSUE]);
    let sternomastoid = tube(&[
        ([56.0, 24.0, 122.0], 8.0),
        ([50.0, 16.0, 85.0], 10.0),
        ([38.0, -8.0, 40.0], 10.5),
        ([22.0, -30.0, 0.0], 9.0),
        ([13.0, -46.0, -30.0], 6.0),
    ]);
    let masseter = ellipsoid([57.0, -28.0, 98.0], [7.5, 18.0, 28.0]);
    let temporalis = ellipsoid([66.0, -24.0, 168.0], [6.0, 34.0, 32.0]).turned(0, 2, -8.0);
    let pterygoid = ellipsoid([37.0, -24.0, 104.0], [8.0, 15.0, 22.0]);
    let lateral_pterygoid = rod(&[([20.0, -38.0, 118.0], 8.0), ([44.0, -14.0, 128.0], 7.0)], 1.1);
    let digastric = tube(&[([10.0, -74.0, 52.0], 5.0), ([22.0, -40.0, 48.0], 5.0), ([48.0, 12.0, 90.0], 5.0)]);
    // Deep fat of face and cheek first; the muscles lie in it.
    for shape in both(ellipsoid([42.0, -46.0, 100.0], [20.0, 32.0, 32.0])) {
        scene.add(shape, FAT).within(soft).lumps(3.0);
    }
    for shape in both(ellipsoid([38.0, -2.0, 98.0], [16.0, 16.0, 30.0])) {
        scene.add(shape, FAT).within(soft);
    }
    let cheek = Fill::new(35.0, 12.0, 5.0);
    scene.add(ellipsoid([0.0, -72.0, 82.0], [42.0, 24.0, 26.0]), cheek).within(soft);
    scene.add(ellipsoid([0.0, -50.0, 58.0], [30.0, 32.0, 14.0]), muscle).within(soft);
    scene.add(ellipsoid([0.0, -8.0, 84.0], [22.0, 22.0, 46.0]), muscle).within(soft);
    for shape in [masseter, temporalis, pterygoid, lateral_pterygoid, digastric, sternomastoid] {
        for shape in both(shape) {
            scene.add(shape.clone(), FAT).within(soft).detail().inset(-1.5);
            scene.add(shape, muscle).within(soft);
        }
    }
    // The nape.
    for shape in both(loft(
        &[oval(130.0, 22.0, 54.0, 20.0, 14.0), oval(80.0, 24.0, 52.0, 24.0, 14.0), oval(20.0, 26.0, 62.0, 26.0, 12.0)],
        0.1,
    )) {
        scene.add(shape.clone(), FAT).within(soft).detail().inset(-1.5);
        scene.add(shape, muscle).within(soft);
    }
}
