//! Skull, brain, ears and the joints of the jaw.

use super::patient::Patient;
use super::scene::{Scene, Zones, walled, zone};
use super::shapes::{Key, Point, Shape, both, ellipsoid, loft, mid, oval, rod, tip, tube};
use super::texture::{AIR, Fill, Pattern};
use super::{face, neck};
use crate::anatomy::Organ::*;

const FLUID: Fill = Fill::new(9.0, 3.0, 5.0);

const BRAIN: Fill = Fill::new(28.0, 2.5, 5.0).with(Pattern::Folded);

/// Outside of the braincase. In front of and below its lower part lies the face.
const SKULL: [Key; 10] = [
    tip(265.0, 0.0, -5.0),
    mid(258.0, -4.0, 38.0, 45.0, 43.0),
    mid(243.0, 0.0, 57.0, 70.0, 68.0),
    mid(220.0, 0.0, 70.0, 86.0, 84.0),
    mid(196.0, 0.0, 74.0, 92.0, 90.0),
    mid(174.0, 0.0, 73.0, 92.0, 89.0),
    mid(160.0, 0.0, 72.0, 62.0, 85.0),
    mid(146.0, 2.0, 69.0, 44.0, 78.0),
    mid(134.0, 14.0, 58.0, 36.0, 58.0),
    mid(122.0, 28.0, 22.0, 14.0, 22.0),
];

/// Inside of the braincase, down to the great foramen.
const BRAINCASE: [Key; 10] = [
    tip(259.0, 0.0, -5.0),
    mid(251.0, -4.0, 34.0, 40.0, 38.0),
    mid(240.0, 0.0, 51.0, 64.0, 62.0),
    mid(219.0, 0.0, 64.0, 80.0, 78.0),
    mid(196.0, 0.0, 68.0, 86.0, 84.0),
    mid(176.0, 0.0, 67.0, 84.0, 82.0),
    mid(161.0, 0.0, 65.0, 48.0, 78.0),
    mid(146.0, 8.0, 60.0, 42.0, 66.0),
    mid(136.0, 28.0, 46.0, 28.0, 40.0),
    mid(127.0, 28.0, 20.0, 12.0, 20.0),
];

/// The head, from the top of the skull to the jaw. Gives the places of metal in the teeth; `metal` allows some.
pub(super) fn head(scene: &mut Scene, patient: &Patient, metal: bool) -> Vec<Point> {
    neck::glands(scene, patient);
    neck::face_muscles(scene, patient);
    skull(scene, patient);
    brain(scene, patient);
    face::face(scene, patient);
    neck::mouth_and_throat(scene, patient);
    let fillings = face::jaw(scene, patient, metal);
    ears_and_joints(scene, patient);
    fillings
}

fn skull(scene: &mut Scene, patient: &Patient) {
    let bone = loft(&SKULL, 0.08);
    scene.add(bone.clone(), Fill::new(1150.0, 60.0, 6.0)).zone(zone::BONE);
    scene.add(bone, Fill::new(650.0, 120.0, 4.0)).detail().within(Zones::of(&[zone::BONE])).inset(2.0);
    let sides = [
        // Bone around the ear and the process behind it.
        ellipsoid([56.0, 18.0, 134.0], [11.0, 15.0, 19.0]),
        // Cheek bone and its arch.
        rod(
            &[
                ([36.0, -70.0, 128.0], 6.0),
                ([56.0, -56.0, 132.0], 6.5),
                ([66.0, -32.0, 136.0], 3.6),
                ([66.0, -8.0, 139.0], 4.0),
            ],
            1.5,
        ),
        // Rim of the orbit.
        rod(
            &[
                ([52.0, -62.0, 140.0], 4.5),
                ([54.0, -62.0, 160.0], 4.5),
                ([38.0, -80.0, 172.0], 4.5),
                ([12.0, -90.0, 168.0], 4.0),
            ],
            1.2,
        ),
        // Wings behind the nose.
        rod(&[([22.0, -26.0, 128.0], 4.0), ([17.0, -32.0, 104.0], 3.0)], 1.0),
    ];
    let mut bones: Vec<Shape> = sides.into_iter().flat_map(both).collect();
    bones.push(ellipsoid([0.0, -70.0, 118.0], [32.0, 23.0, 15.0]));
    bones.push(ellipsoid([0.0, -64.0, 138.0], [30.0, 26.0, 14.0]));
    bones.push(rod(&[([0.0, -92.0, 166.0], 6.0), ([0.0, -105.0, 138.0], 3.2)], 1.0));
    scene.bones(&bones, zone::BONE, 1.8);
    for shape in both(ellipsoid([56.0, 22.0, 132.0], [8.0, 10.0, 13.0])) {
        scene.add(shape, Fill::new(-100.0, 60.0, 3.0).with(Pattern::Cells(3.5))).detail();
    }
    let frontal = patient.between("frontal sinus", 8.0, 19.0);
    scene.add(ellipsoid([2.0, -88.0, 178.0], [frontal, 3.5, 9.0]), AIR).zone(zone::TISSUE);
}

fn brain(scene: &mut Scene, patient: &Patient) {
    let inside = Zones::of(&[zone::BRAIN]);
    let case = loft(&BRAINCASE, 0.08);
    scene.add(case.clone(), FLUID).zone(zone::BRAIN).within(Zones::of(&[zone::BONE, zone::TISSUE]));
    scene.add(case, BRAIN).detail().within(inside).inset(patient.between("brain shrinkage", 1.5, 3.5)).lumps(2.0);
    scene.add(ellipsoid([0.0, 0.0, 215.0], [1.2, 82.0, 44.0]), Fill::new(55.0, 5.0, 5.0)).detail().within(inside);
    // Cisterns around the brain stem, fissures between the lobes.
    scene.add(ellipsoid([0.0, 2.0, 160.0], [25.0, 22.0, 17.0]), FLUID).detail().within(inside);
    for shape in both(ellipsoid([50.0, -22.0, 182.0], [17.0, 24.0, 2.6]).turned(0, 2, 18.0)) {
        scene.add(shape, FLUID).detail().within(inside);
    }
    for shape in both(tube(&[
        ([7.0, -38.0, 204.0], 5.0),
        ([11.0, -10.0, 212.0], 6.0),
        ([16.0, 18.0, 210.0], 6.5),
        ([27.0, 36.0, 194.0], 6.0),
    ])) {
        scene.add(shape.grown(patient.between("ventricles", 0.7, 1.3)), FLUID).detail().within(inside);
    }
    scene.add(ellipsoid([0.0, -2.0, 190.0], [2.4, 14.0, 12.0]), FLUID).detail().within(inside);
    for shape in both(ellipsoid([21.0, -4.0, 197.0], [9.0, 17.0, 14.0])) {
        scene.add(shape, Fill::new(40.0, 2.0, 5.0)).detail().within(inside);
    }
    // Cerebellum under its tent.
    for shape in both(ellipsoid([22.0, 46.0, 151.0], [28.0, 25.0, 19.0])) {
        scene.add(shape, Fill::new(39.0, 3.0, 3.0)).detail().within(inside);
    }
    scene.add(ellipsoid([0.0, 27.0, 155.0], [7.0, 5.0, 10.0]), FLUID).detail().within(inside);
    for (organ, name) in [(TemporalLobeLeft, "left temporal lobe"), (TemporalLobeRight, "right temporal lobe")] {
        let lobe = ellipsoid([44.0, -8.0, 161.0], [19.0, 37.0, 20.0]).turned(1, 2, -8.0);
        let lobe = patient.vary(name, lobe, 1.5, 0.06);
        let lobe = if organ == TemporalLobeLeft { lobe } else { lobe.mirrored() };
        scene.add(lobe.clone(), FLUID).detail().within(inside).inset(-1.5);
        scene.add(lobe, BRAIN).organ(organ).within(inside);
    }
    // The base of the skull rises between the lobes.
    let petrous = rod(&[([60.0, 16.0, 142.0], 11.0), ([36.0, 6.0, 145.0], 9.0), ([13.0, -8.0, 148.0], 6.0)], 1.0);
    let mut base: Vec<Shape> = both(petrous).into();
    base.push(ellipsoid([0.0, -27.0, 146.0], [15.0, 16.0, 12.0]));
    base.push(rod(&[([0.0, -15.0, 157.0], 5.0), ([0.0, -8.0, 146.0], 6.5), ([0.0, 4.0, 129.0], 4.5)], 1.0));
    base.extend(both(rod(&[([16.0, -30.0, 158.0], 3.0), ([48.0, -40.0, 163.0], 3.0)], 1.4)));
    scene.bones(&base, zone::BONE, 2.2);
    scene.add(ellipsoid([0.0, -30.0, 146.0], [10.0, 10.0, 8.0]), AIR).zone(zone::TISSUE);
    let stem = tube(&[
        ([0.0, 2.0, 176.0], 14.5),
        ([0.0, 6.0, 160.0], 14.5),
        ([0.0, 12.0, 146.0], 10.5),
        ([0.0, 18.0, 134.0], 7.5),
        ([0.0, 21.5, 126.0], 6.5),
    ]);
    let stem = patient.vary("brain stem", stem, 0.6, 0.06);
    scene
        .add(loft(&[oval(142.0, 0.0, 18.0, 15.0, 15.0), oval(124.0, 0.0, 22.0, 12.0, 11.0)], 0.0), FLUID)
        .zone(zone::BRAIN);
    scene.add(stem, Fill::new(31.0, 3.0, 4.0)).organ(BrainStem).within(Zones::of(&[zone::BRAIN]));
    let gland = patient.vary("hypophysis", ellipsoid([0.0, -20.0, 159.5], [7.0, 5.5, 4.5]), 0.8, 0.1);
    scene.add(gland.clone(), FLUID).zone(zone::BRAIN).inset(-1.0);
    scene.add(gland, Fill::new(patient.blood().gland, 3.0, 4.0)).organ(Hypophysis);
}

fn ears_and_joints(scene: &mut Scene, patient: &Patient) {
    for (joint, ear, name) in [(TmjLeft, EarLeft, "left"), (TmjRight, EarRight, "right")] {
        let side = |shape: Shape| if name == "left" { shape } else { shape.mirrored() };
        // Middle and inner ear in the petrous bone, with the ear canal.
        let inner = patient.vary(
            &format!("{name} ear"),
            ellipsoid([42.0, 11.0, 143.0], [15.0, 9.0, 8.5]).turned(0, 1, -12.0),
            0.8,
            0.05,
        );
        scene.add(side(inner), Fill::new(900.0, 120.0, 3.0)).organ(ear).within(Zones::of(&[
            zone::BONE,
            zone::TISSUE,
            zone::BRAIN,
        ]));
        let inside = Zones::organs(&[ear]);
        scene.add(side(ellipsoid([45.0, 10.0, 144.0], [5.0, 3.5, 6.0])), AIR).detail().within(inside);
        scene
            .add(side(ellipsoid([33.0, 12.0, 143.0], [3.0, 2.0, 3.0])), Fill::new(40.0, 5.0, 4.0))
            .detail()
            .within(inside);
        let canal = tube(&[([48.0, 10.0, 142.0], 2.6), ([64.0, 9.0, 141.0], 3.0), ([80.0, 10.0, 140.0], 3.4)]);
        let pinna = ellipsoid([80.0, 18.0, 142.0], [4.0, 14.0, 28.0]).turned(0, 1, -24.0);
        scene.add(side(pinna), Fill::new(-10.0, 30.0, 5.0)).within(Zones::ANY).lumps(2.0);
        scene.add(side(canal), AIR).zone(zone::TISSUE).within(Zones::of(&[zone::BONE, zone::TISSUE]));

        let capsule =
            patient.vary(&format!("{name} joint"), ellipsoid([50.0, -9.0, 136.0], [10.0, 9.0, 9.0]), 0.6, 0.06);
        scene
            .add(side(capsule), Fill::new(60.0, 15.0, 4.0))
            .organ(joint)
            .within(Zones::BODY.without(Zones::organs(&[ear, TemporalLobeLeft, TemporalLobeRight])));
        let inside = Zones::organs(&[joint]);
        scene
            .add(side(ellipsoid([50.0, -9.0, 132.0], [8.0, 5.5, 7.5])), walled(Fill::new(400.0, 50.0, 3.0), 950.0, 1.8))
            .detail()
            .within(inside);
        scene
            .add(
                side(rod(&[([46.0, -20.0, 143.0], 4.0), ([50.0, -9.0, 146.0], 3.0), ([52.0, 0.0, 140.0], 4.0)], 1.0)),
                Fill::new(850.0, 80.0, 4.0),
            )
            .detail()
            .within(inside);
    }
}
