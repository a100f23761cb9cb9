use super::landmarks::BELOW_APEX_MM;
use super::*;
use crate::volume::Modality;

const SIZE: [usize; 3] = [112, 72, 120];
const SPACING: [f64; 3] = [4.0, 4.0, 5.0];
/// Heights of the landmarks of the test body, mm.
const APEX: f64 = 430.0;
const HEART: f64 = 330.0;
const DOME: f64 = 260.0;
const KIDNEYS: f64 = 120.0;

/// A body of cylinders seen from x, y (mm from its axis) and height z: shoulders up to 450 mm, neck, and a head with sinuses.
fn hu(x: f64, y: f64, z: f64) -> i16 {
    let ellipse = |cx: f64, cy: f64, a: f64, b: f64| ((x - cx) / a).powi(2) + ((y - cy) / b).powi(2) < 1.0;
    let body = if z < 450.0 { ellipse(0.0, 0.0, 200.0, 110.0) } else { ellipse(0.0, 0.0, 75.0, 90.0) };
    if !body {
        return -1000;
    }
    // Cones that begin at the apex and are at full width 80 mm below it.
    let width = ((APEX - z) / 80.0).clamp(0.0, 1.0).sqrt();
    let lungs =
        z > DOME && z < APEX && [-85.0, 85.0].into_iter().any(|cx| ellipse(cx, 0.0, 65.0 * width, 80.0 * width));
    let airway = z > 350.0 && z < 520.0 && ellipse(0.0, -20.0, 9.0, 9.0);
    let sinuses = (530.0..570.0).contains(&z) && [-35.0, 35.0].into_iter().any(|cx| ellipse(cx, -50.0, 16.0, 20.0));
    let gas = z < 100.0 && [-120.0, 120.0].into_iter().any(|cx| ellipse(cx, -20.0, 30.0, 30.0));
    match () {
        () if lungs => -780,
        () if airway || sinuses || gas => -1000,
        () => 40,
    }
}

/// The label of a height in a column of its own for each organ.
fn label(x: f64, y: f64, z: f64) -> u8 {
    let column = |organ: Organ, cx: f64, from: f64, to: f64| {
        ((x - cx).abs() < 20.0 && (-10.0..30.0).contains(&y) && (from..=to).contains(&z)).then_some(organ.label())
    };
    column(Organ::BrainStem, 0.0, 540.0, 580.0)
        .or_else(|| column(Organ::LungLeft, 85.0, DOME, APEX))
        .or_else(|| column(Organ::LungRight, -85.0, DOME, APEX - 10.0))
        .or_else(|| column(Organ::Heart, 0.0, 230.0, HEART))
        .or_else(|| column(Organ::Liver, -50.0, 110.0, DOME))
        .or_else(|| column(Organ::KidneyLeft, 90.0, KIDNEYS - 40.0, KIDNEYS + 60.0))
        .or_else(|| column(Organ::KidneyRight, -100.0, KIDNEYS - 60.0, KIDNEYS + 40.0))
        .unwrap_or(0)
}

/// The slices of the test body from `low` to `high` mm.
fn volume<T: Copy>(low: f64, high: f64, value: impl Fn(f64, f64, f64) -> T) -> crate::volume::Volume<T> {
    let slices = ((high - low) / SPACING[2]).round() as usize + 1;
    let size = [SIZE[0], SIZE[1], slices];
    let origin = [0, 1].map(|a| -(SIZE[a] as f64 - 1.0) / 2.0 * SPACING[a]);
    let geometry = Geometry::axial(size, SPACING, [origin[0], origin[1], low]).unwrap();
    let voxels = (0..geometry.voxel_count())
        .map(|n| {
            let ijk = [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])];
            let [x, y, z] = geometry.to_patient(ijk.map(|i| i as f64));
            value(x, y, z)
        })
        .collect();
    crate::volume::Volume::from_stored(geometry, voxels, Modality::Ct).unwrap()
}

fn derive(low: f64, high: f64, annotated: &[Organ]) -> RegionLabels {
    let annotated = annotated.iter().copied().collect();
    let labels = volume(low, high, label);
    RegionLabels::derive(&volume(low, high, hu), Some(&labels), annotated, None).unwrap()
}

fn at(regions: &RegionLabels, low: f64, z: f64) -> Option<[f32; REGION_COUNT]> {
    regions.targets[((z - low) / SPACING[2]).round() as usize]
}

fn sure(region: Region) -> Option<[f32; REGION_COUNT]> {
    Some(std::array::from_fn(|r| f32::from(r == region.index())))
}

const ALL_LANDMARKS: &[Organ] =
    &[Organ::LungLeft, Organ::LungRight, Organ::Heart, Organ::Liver, Organ::KidneyLeft, Organ::KidneyRight];

#[test]
fn labelled_landmarks_part_a_whole_body() {
    let regions = derive(0.0, 595.0, ALL_LANDMARKS);
    for (landmark, z) in regions.landmarks.iter().zip([APEX, HEART, DOME, KIDNEYS]) {
        assert_eq!((landmark.position, landmark.source), (Position::Exact(z), LandmarkSource::Label));
    }
    for (z, region) in [
        (580.0, Region::Head),
        (APEX + 15.0, Region::Head),
        (APEX - 15.0, Region::UpperChest),
        (HEART - 15.0, Region::Chest),
        (DOME - 15.0, Region::UpperAbdomen),
        (KIDNEYS - 15.0, Region::Abdomen),
        (0.0, Region::Abdomen),
    ] {
        assert_eq!(at(&regions, 0.0, z), sure(region), "{z}");
    }
    assert_eq!(at(&regions, 0.0, APEX), Some([0.5, 0.5, 0.0, 0.0, 0.0]));
    let near = at(&regions, 0.0, DOME + 5.0).unwrap();
    assert!((near[2] - 2.0 / 3.0).abs() < 1e-6 && (near[3] - 1.0 / 3.0).abs() < 1e-6, "{near:?}");
}

#[test]
fn the_apex_is_seen_in_the_ct_and_sinuses_and_airway_are_not() {
    let regions = derive(300.0, 595.0, &[Organ::BrainStem]);
    let apex = regions.landmarks[0];
    assert_eq!(apex.source, LandmarkSource::Hounsfield);
    let Position::Exact(z) = apex.position else { panic!("{apex:?}") };
    // The cone's last slice of a voxel or two may be missed.
    assert!((APEX - 15.0..=APEX).contains(&z), "{z}");
    assert_eq!(regions.region(0), Some(Region::Chest), "130 mm below the apex is below the top of the heart");
    assert_eq!(at(&regions, 300.0, 590.0), sure(Region::Head));
    // Without any label as well.
    let alone = RegionLabels::derive(&volume(300.0, 595.0, hu), None, OrganSet::EMPTY, None).unwrap();
    assert_eq!(alone.landmarks[0].position, Position::Exact(z));
}

#[test]
fn a_scan_that_ends_above_the_lungs_is_all_head() {
    let regions = derive(440.0, 595.0, &[Organ::BrainStem]);
    assert!(regions.targets.iter().all(|t| *t == sure(Region::Head)));
    // The sinuses are at the very end of this one.
    let regions = derive(535.0, 595.0, &[Organ::BrainStem]);
    assert!((5..12).all(|k| regions.region(k).is_none_or(|r| r == Region::Head)));
    // Without a head in the labels, nothing is known: it may be a leg.
    let regions = derive(440.0, 595.0, &[]);
    assert!(regions.targets.iter().all(Option::is_none));
}

#[test]
fn slices_cut_to_contours_do_not_prove_that_there_is_no_lung() {
    let cut = |x: f64, y: f64, z: f64| {
        if z < 480.0 && (x.powi(2) + (y - 20.0).powi(2) > 20.0f64.powi(2)) { -1000 } else { hu(x, y, z) }
    };
    let labels = volume(300.0, 595.0, label);
    let annotated: OrganSet = [Organ::BrainStem].into_iter().collect();
    let regions = RegionLabels::derive(&volume(300.0, 595.0, cut), Some(&labels), annotated, None).unwrap();
    assert_eq!(at(&regions, 300.0, 590.0), sure(Region::Head));
    assert_eq!(at(&regions, 300.0, 480.0), sure(Region::Head));
    assert_eq!(at(&regions, 300.0, 400.0), None);
    assert_eq!(at(&regions, 300.0, 300.0), None);
}

#[test]
fn a_scan_that_begins_in_the_lungs_leaves_an_inequality() {
    let regions = derive(200.0, 340.0, &[]);
    assert!(
        matches!(regions.landmarks[0].position, Position::AtOrAbove(z) if z >= 340.0),
        "{:?}",
        regions.landmarks[0]
    );
    assert!(regions.targets.iter().all(Option::is_none), "chest or upper abdomen: not known");
    // Lungs labelled up to the top of the scan say the same.
    let labelled = derive(200.0, 340.0, &[Organ::LungLeft, Organ::LungRight]);
    assert!(matches!(labelled.landmarks[0].position, Position::AtOrAbove(_)));
}

#[test]
fn an_abdomen_takes_the_heart_and_the_apex_from_its_liver() {
    let regions = derive(0.0, 340.0, &[Organ::Liver, Organ::KidneyLeft, Organ::KidneyRight]);
    let [apex, heart, dome, kidneys] = regions.landmarks;
    assert_eq!((dome.position, kidneys.position), (Position::Exact(DOME), Position::Exact(KIDNEYS)));
    assert_eq!(
        (heart.position, heart.source, heart.band_mm),
        (Position::Estimated(DOME + 85.0), LandmarkSource::Offset, 30.0)
    );
    assert_eq!((apex.source, apex.band_mm), (LandmarkSource::Offset, 45.0));
    assert!(matches!(apex.position, Position::Estimated(z) if z >= 340.0));
    assert_eq!(at(&regions, 0.0, 300.0), sure(Region::Chest));
    let top = at(&regions, 0.0, 340.0).unwrap();
    assert!(top[1] > 0.2 && top[2] > 0.2 && top[0] < 0.1, "{top:?}");
}

#[test]
fn a_liver_cut_by_the_top_of_the_scan_is_no_dome() {
    let regions = derive(0.0, 200.0, &[Organ::Liver, Organ::KidneyLeft, Organ::KidneyRight]);
    assert_eq!(regions.landmarks[3].position, Position::Exact(KIDNEYS));
    assert_eq!(at(&regions, 0.0, 0.0), sure(Region::Abdomen));
    // The dome from the kidneys would be at 257 mm, and it is nowhere below 200.
    assert!(matches!(regions.landmarks[2].position, Position::Estimated(z) if z >= 200.0));
    let without = derive(100.0, 200.0, &[Organ::Liver]);
    assert_eq!(without.landmarks[2].position, Position::AtOrAbove(200.0));
    assert_eq!(without.targets[0], None, "upper abdomen or abdomen");
}

#[test]
fn a_landmark_between_two_others_is_placed_in_proportion() {
    let regions = derive(0.0, 595.0, &[Organ::LungLeft, Organ::LungRight, Organ::Liver]);
    let share = BELOW_APEX_MM[1] / BELOW_APEX_MM[2];
    let Position::Estimated(heart) = regions.landmarks[1].position else { panic!() };
    assert!((heart - (APEX + share * (DOME - APEX))).abs() < 1e-9);
    assert_eq!(regions.landmarks[1].band_mm, 30.0);
}

#[test]
fn a_kidney_cut_by_the_bottom_bounds_the_middle() {
    let regions = derive(100.0, 340.0, &[Organ::Liver, Organ::KidneyLeft, Organ::KidneyRight]);
    let Position::Estimated(z) = regions.landmarks[3].position else { panic!("{:?}", regions.landmarks[3]) };
    // What is seen of them has its middle at 135 mm.
    assert!(z <= 135.0 && regions.landmarks[3].band_mm == 30.0, "{z}");
}

#[test]
fn organs_can_occur_in_their_regions_and_next_to_them() {
    let regions = derive(0.0, 595.0, ALL_LANDMARKS);
    let slice = |z: f64| (z / SPACING[2]).round() as usize;
    assert!(!regions.can_occur(slice(580.0), Organ::Liver));
    assert!(!regions.can_occur(slice(380.0), Organ::Liver));
    assert!(regions.can_occur(slice(300.0), Organ::Liver), "one region above its own");
    assert!(regions.can_occur(slice(200.0), Organ::Liver));
    assert!(!regions.can_occur(slice(200.0), Organ::ParotidLeft));
    assert!(regions.can_occur(slice(HEART - 10.0), Organ::ParotidLeft), "upper chest still has a probability here");
    assert!(!regions.can_occur(slice(HEART - 20.0), Organ::ParotidLeft));
    let unknown = derive(440.0, 595.0, &[]);
    assert!(Organ::ALL.into_iter().all(|organ| unknown.can_occur(0, organ) && unknown.can_occur(9999, organ)));
}

#[test]
fn given_boundaries_are_taken_as_they_are() {
    let geometry = Geometry::axial([4, 4, 200], [1.0, 1.0, 2.5], [0.0, 0.0, -100.0]).unwrap();
    let regions = RegionLabels::from_boundaries(&geometry, [300.0, 250.0, 240.0, f64::NEG_INFINITY]).unwrap();
    for (k, target) in regions.targets.iter().enumerate() {
        let target = target.unwrap();
        assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-6 && target.iter().all(|p| (0.0..=1.0).contains(p)));
        let z = -100.0 + 2.5 * k as f64;
        assert!((f64::from(target[0]) - ((z - 285.0) / 30.0).clamp(0.0, 1.0)).abs() < 1e-6);
        assert_eq!(target[4], 0.0);
    }
    assert_eq!(regions.region(0), Some(Region::UpperAbdomen));
    assert_eq!(regions.region(199), Some(Region::Head));
    assert!(matches!(
        RegionLabels::from_boundaries(&geometry, [300.0, 310.0, 240.0, 100.0]),
        Err(RegionError::Order { upper: "lung apex", lower: "top of the heart", .. })
    ));
    assert!(matches!(
        RegionLabels::from_boundaries(&geometry, [300.0, f64::NAN, 240.0, 100.0]),
        Err(RegionError::NotANumber("top of the heart"))
    ));
    let json = serde_json::to_string(&regions).unwrap();
    assert_eq!(serde_json::from_str::<RegionLabels>(&json).unwrap(), regions);
    let json = serde_json::to_string(&derive(0.0, 595.0, ALL_LANDMARKS)).unwrap();
    assert_eq!(serde_json::from_str::<RegionLabels>(&json).unwrap(), derive(0.0, 595.0, ALL_LANDMARKS));
}

#[test]
fn labels_that_contradict_the_order_or_the_grid_are_refused() {
    let ct = volume(0.0, 595.0, hu);
    let upside_down = volume(0.0, 595.0, |x, y, z| label(x, y, 595.0 - z));
    let annotated: OrganSet = ALL_LANDMARKS.iter().copied().collect();
    let error = RegionLabels::derive(&ct, Some(&upside_down), annotated, None).unwrap_err();
    assert!(matches!(error, RegionError::Order { .. }), "{error}");
    let shorter = volume(0.0, 500.0, label);
    assert!(matches!(RegionLabels::derive(&ct, Some(&shorter), annotated, None), Err(RegionError::Grid { .. })));
    let given = Some([500.0, 400.0, 300.0, 200.0]);
    let of_case = |labels: &LabelVolume| RegionLabels::of_case(&ct, labels, annotated, given, &Body::find(&ct));
    assert!(of_case(&volume(0.0, 595.0, label)).is_ok());
    assert!(matches!(of_case(&shorter), Err(RegionError::Grid { .. })));
}

#[test]
fn empty_slices_have_no_region() {
    let labels = volume(0.0, 595.0, label);
    let annotated: OrganSet = ALL_LANDMARKS.iter().copied().collect();
    let half = volume(0.0, 595.0, |x, y, z| if z < 200.0 { -1000 } else { hu(x, y, z) });
    let regions = RegionLabels::derive(&half, Some(&labels), annotated, None).unwrap();
    assert_eq!((at(&regions, 0.0, 100.0), at(&regions, 0.0, 220.0)), (None, sure(Region::UpperAbdomen)));
    let nothing = volume(0.0, 100.0, |_, _, _| -1000i16);
    let regions = RegionLabels::derive(&nothing, None, OrganSet::EMPTY, None).unwrap();
    assert!(regions.targets.iter().all(Option::is_none));
}

#[test]
fn lungs_are_labelled_by_rule_each_on_its_side() {
    // With a vessel in the patient's left lung, and the airway's label in the way of the right one.
    let vessel = |x: f64, y: f64| (80.0..90.0).contains(&x) && y.abs() < 6.0;
    let ct = volume(0.0, 595.0, |x, y, z| if vessel(x, y) && z < 350.0 && z > DOME { 40 } else { hu(x, y, z) });
    let trachea = |x: f64, z: f64| ((-90.0..-80.0).contains(&x) && z == 300.0).then_some(Organ::Trachea.label());
    let mut labels = volume(0.0, 595.0, |x, _, z| trachea(x, z).unwrap_or(0));
    let annotated: OrganSet = [Organ::Trachea].into_iter().collect();
    assert!(label_lungs(&ct, &Body::find(&ct), &mut labels, annotated));
    let truth = volume(0.0, 595.0, |x, y, z| match () {
        () if trachea(x, z).is_some() => Organ::Trachea.label(),
        () if hu(x, y, z) != -780 => 0,
        () if x > 0.0 => Organ::LungLeft.label(),
        () => Organ::LungRight.label(),
    });
    let count = |organ: Organ| truth.voxels.iter().filter(|&&l| l == organ.label()).count();
    assert!(count(Organ::LungLeft) > 5000 && count(Organ::LungRight) > 5000);
    // The tips, of less than half a square centimetre, may be missed.
    let differing = truth.voxels.iter().zip(&labels.voxels).filter(|(a, b)| a != b);
    assert!(differing.clone().all(|(_, &got)| got == 0), "nothing else is labelled");
    assert!(differing.count() <= 8);
}

#[test]
fn lungs_in_doubt_are_left_alone() {
    let body = |ct: &CtVolume| Body::find(ct);
    let unchanged = |ct: CtVolume, annotated: OrganSet| {
        let mut labels = ct.with_voxels(vec![0u8; ct.voxels.len()]);
        let done = label_lungs(&ct, &body(&ct), &mut labels, annotated);
        !done && labels.voxels.iter().all(|&l| l == 0)
    };
    let whole = || volume(0.0, 595.0, hu);
    assert!(!unchanged(whole(), OrganSet::EMPTY));
    assert!(unchanged(whole(), [Organ::LungLeft].into_iter().collect()), "somebody drew them");
    assert!(unchanged(volume(440.0, 595.0, hu), OrganSet::EMPTY), "no lungs in view");
    let one = volume(0.0, 595.0, |x, y, z| if x > 0.0 && hu(x, y, z) == -780 { 40 } else { hu(x, y, z) });
    assert!(unchanged(one, OrganSet::EMPTY), "one lung");
    let far = |x: f64, y: f64| x.powi(2) + (y - 20.0).powi(2) > 20.0f64.powi(2);
    let cut = volume(0.0, 595.0, |x, y, z| if z < 300.0 && far(x, y) { -1000 } else { hu(x, y, z) });
    assert!(unchanged(cut, OrganSet::EMPTY), "sections cut to contours");
}
