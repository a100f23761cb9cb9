use super::*;
use crate::dataset::samples::drawn;

#[test]
fn beyond_the_ends_of_contours_nothing_is_known_of_the_organ_and_of_no_other() {
    let (ct, whole) = drawn(0);
    let [w, h, depth] = ct.geometry.size;
    let (liver, spleen) = (Organ::Liver, Organ::Spleen);
    let shown = 2..=3;
    let cut = whole
        .voxels
        .iter()
        .enumerate()
        .map(|(n, &label)| if label == liver.label() && !shown.contains(&(n / (w * h))) { 0 } else { label });
    let labels = whole.with_voxels(cut.collect::<Vec<u8>>());
    let input = InputConfig { crop: 48, ..InputConfig::light() };
    let annotated = [liver, spleen].into_iter().collect();
    let boundaries = Some([500.0, 400.0, 300.0, -100.0]);
    let case = PreparedCase::prepare("a".into(), 0, Arc::new(ct), &labels, annotated, &input, boundaries).unwrap();
    let known = |slices: usize, organ: Organ| {
        let case = case.clone().with_open_ends(slices);
        (0..depth).map(|k| case.weights(k, Hpa::Source)[organ.index()]).collect::<Vec<bool>>()
    };
    assert_eq!(known(0, liver), [true; 6]);
    assert_eq!(known(1, liver), [true, false, true, true, false, true]);
    assert_eq!(known(2, liver), [false, false, true, true, false, false]);
    assert_eq!(known(9, liver), [false, false, true, true, false, false]);
    // It goes on to both ends of the scan.
    assert_eq!(known(2, spleen), [true; 6]);
    // What was never drawn ends nowhere.
    let none = case.labels.all().iter().all(|&label| label != Organ::Stomach.label());
    assert!(none && known(2, Organ::Stomach) == [false; 6]);
}
