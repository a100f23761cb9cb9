//! Orbits, nose, jaws and teeth.

use super::body::FAT;
use super::patient::Patient;
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Point, Shape, both, ellipsoid, loft, quad, rod, tube};
use super::texture::{AIR, Fill, Pattern};
use crate::anatomy::Organ::*;

const TEETH: Fill = Fill::new(1900.0, 150.0, 3.0);

/// Orbits, nose and cheeks.
pub(super) fn face(scene: &mut Scene, patient: &Patient) {
    let bone = Zones::of(&[zone::BONE, zone::TISSUE, zone::BRAIN]);
    for (organ, name) in [(EyeLeft, "left eye"), (EyeRight, "right eye")] {
        let side = |shape: Shape| {
            let shape = patient.vary(name, shape, 1.0, 0.0);
            if organ == EyeLeft { shape } else { shape.mirrored() }
        };
        let cone = tube(&[
            ([32.0, -74.0, 152.0], 17.0),
            ([31.0, -64.0, 153.0], 16.0),
            ([20.0, -40.0, 155.0], 8.0),
            ([12.0, -30.0, 157.0], 3.0),
        ]);
        scene.add(side(cone.clone()), Fill::new(750.0, 80.0, 4.0)).zone(zone::BONE).within(bone).inset(-1.6);
        scene.add(side(cone), FAT).zone(zone::TISSUE).within(bone);
        // Eyelids close the orbit in front.
        scene.add(side(ellipsoid([33.0, -86.0, 152.0], [17.0, 6.0, 13.0])), Fill::new(30.0, 8.0, 4.0)).within(bone);
        let muscle = Fill::new(50.0, 5.0, 4.0);
        for (x, z) in [(12.5, 0.0), (-12.5, 0.0), (0.0, 11.5), (0.0, -11.5)] {
            let nodes = [
                ([32.0 + x, -72.0, 152.0 + z], 1.8),
                ([28.0 + 0.8 * x, -56.0, 153.0 + 0.8 * z], 2.6),
                ([14.0, -34.0, 157.0], 1.6),
            ];
            scene.add(side(tube(&nodes)), muscle);
        }
        scene.add(
            side(tube(&[([31.0, -62.0, 152.0], 2.4), ([22.0, -44.0, 155.0], 2.2), ([10.0, -28.0, 160.0], 2.2)])),
            muscle,
        );
        let eye = side(ellipsoid([32.5, -74.0, 152.0], [12.2, 12.2, 12.0]));
        let globe = walled(Fill::new(8.0, 2.0, 5.0), 55.0, 1.3);
        scene.add(eye.grown(patient.between(name, 0.95, 1.06)), globe).organ(organ);
        let lens = ellipsoid([32.5, -82.0, 152.0], [4.6, 2.1, 4.6]);
        scene.add(side(lens), Fill::new(85.0, 3.0, 4.0)).detail();
    }
    let mucosa = walled(AIR, 40.0, 1.2);
    for shape in both(ellipsoid([22.0, -64.0, 126.0], [13.0, 16.0, 16.0])) {
        scene.add(shape, mucosa).zone(zone::TISSUE);
    }
    let bone_or_tissue = Zones::of(&[zone::BONE, zone::TISSUE]);
    scene
        .add(ellipsoid([0.0, -58.0, 150.0], [12.0, 23.0, 11.0]), Fill::new(-250.0, 80.0, 3.0).with(Pattern::Cells(6.0)))
        .zone(zone::TISSUE)
        .within(bone_or_tissue);
    // Nose: outside, cavity, conchae, septum.
    scene.add(ellipsoid([0.0, -102.0, 121.0], [13.0, 18.0, 15.0]), Fill::new(20.0, 15.0, 5.0)).within(Zones::ANY);
    scene
        .add(rod(&[([0.0, -98.0, 152.0], 6.0), ([0.0, -112.0, 124.0], 8.0)], 1.0), Fill::new(20.0, 15.0, 5.0))
        .within(Zones::ANY);
    scene.add(ellipsoid([0.0, -62.0, 122.0], [11.0, 38.0, 15.0]), AIR).zone(zone::TISSUE);
    for shape in both(ellipsoid([7.0, -64.0, 117.0], [2.8, 24.0, 5.0]))
        .into_iter()
        .chain(both(ellipsoid([6.0, -60.0, 128.0], [2.4, 20.0, 4.0])))
    {
        scene.add(shape, Fill::new(45.0, 5.0, 4.0)).lumps(1.0);
    }
    let bend = patient.between("septum", -2.0, 2.0);
    scene.add(ellipsoid([bend, -66.0, 124.0], [1.3, 36.0, 16.0]), Fill::new(120.0, 30.0, 4.0));
    scene.bones(&[ellipsoid([0.0, -62.0, 103.5], [25.0, 30.0, 2.4]).turned(1, 2, 8.0)], zone::BONE, 1.0);
}

/// x along an arch of half width `width`, for `t` from -1 (right) to 1 (left).
fn arch(t: f32, width: f32) -> f32 {
    width * (1.25 * t).sin() / 0.95
}

/// The lower jaw, the teeth and the glands under the tongue; gives the places of metal in the teeth.
pub(super) fn jaw(scene: &mut Scene, patient: &Patient, metal: bool) -> Vec<Point> {
    let limb = [
        quad(128.0, [49.0, -14.0], [4.0, 4.0], [7.0, 7.0]),
        quad(116.0, [49.0, -18.0], [4.0, 4.0], [14.0, 10.0]),
        quad(98.0, [48.0, -22.0], [4.5, 4.5], [15.0, 14.0]),
        quad(80.0, [46.0, -22.0], [5.0, 5.0], [18.0, 14.0]),
        quad(68.0, [44.0, -26.0], [4.5, 4.5], [14.0, 10.0]),
    ];
    let mut bones: Vec<Shape> = both(loft(&limb, 0.15)).into();
    bones.extend(both(rod(&[([47.0, -34.0, 112.0], 3.5), ([46.0, -35.0, 126.0], 2.5)], 1.0)));
    bones.extend(both(rod(&[([49.0, -11.0, 118.0], 5.0), ([50.0, -9.0, 133.0], 6.5)], 1.0)));
    let body: Vec<(Point, f32)> = (-8..=8)
        .map(|n| n as f32 / 8.0)
        .map(|t| ([arch(t, 44.0), -85.0 + 60.0 * t * t, 64.0 + 6.0 * t * t], 5.2))
        .collect();
    bones.push(rod(&body, 2.4));
    bones.push(ellipsoid([0.0, -86.0, 57.0], [12.0, 6.0, 8.0]));
    let bones: Vec<Shape> = bones.into_iter().map(|b| patient.vary("mandible", b, 1.0, 0.0)).collect();
    // Soft tissue in front of the chin.
    scene.add(ellipsoid([0.0, -85.0, 61.0], [27.0, 13.0, 13.0]), Fill::new(-20.0, 30.0, 6.0)).within(Zones::ANY);
    scene.bones(&bones, Mandible.label(), 2.2);
    let mut fillings = Vec::new();
    let metal = metal && patient.between("fillings", 0.0, 1.0) < 0.4;
    let mut teeth = |scene: &mut Scene, z: f32, root: f32, front: f32| {
        for n in 0..14 {
            let t = (n as f32 - 6.5) / 7.0;
            if patient.between(&format!("tooth {z} {n}"), 0.0, 1.0) < 0.07 {
                continue;
            }
            let p = [arch(t, 27.0), front + 38.0 * t * t, z];
            let size = 3.0 + 1.6 * t.abs();
            scene
                .add(ellipsoid([p[0], p[1], p[2] + root], [0.7 * size, 0.8 * size, 8.0]), Fill::new(1300.0, 100.0, 3.0))
                .zone(zone::TISSUE);
            scene.add(ellipsoid(p, [size, 1.1 * size, 5.0]), TEETH).zone(zone::TISSUE);
            if metal && t.abs() > 0.5 && patient.between(&format!("filling {z} {n}"), 0.0, 1.0) < 0.4 {
                scene.add(ellipsoid(p, [2.5, 2.5, 3.5]), Fill::new(8000.0, 0.0, 1.0)).detail();
                fillings.push(p);
            }
        }
    };
    teeth(scene, 91.0, 7.0, -86.0);
    teeth(scene, 81.0, -7.0, -84.0);
    let gland = rod(&[([9.0, -70.0, 64.0], 4.5), ([16.0, -56.0, 65.0], 5.5), ([18.0, -44.0, 65.0], 4.5)], 1.3);
    let gland = patient.vary("sublingual", gland, 0.8, 0.08);
    let floor = Zones::of(&[zone::TISSUE]).or(Zones::organs(&[OralCavity]));
    for shape in both(gland) {
        scene.add(shape.clone(), FAT).detail().within(floor).inset(-1.2);
        scene.add(shape, Fill::new(patient.blood().gland - 5.0, 8.0, 4.0)).organ(SublingualGland).within(floor);
    }
    fillings
}
