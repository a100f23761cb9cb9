//! Whatever is done, all of it can be undone and done again, and what is counted along the way is right.

use attention_anatomy::anatomy::{Organ, OrganSet};
use proptest::prelude::*;

use super::samples::{place, store};
use super::{Between, ByteSlices, Dab, EditSettings, Ink, LabelStore, NOT_EDITED, PaintOver};
use crate::display::Plane;

const SIZE: [usize; 3] = [9, 8, 7];
const ORGANS: [Organ; 3] = [Organ::BrainStem, Organ::KidneyLeft, Organ::Stomach];

#[derive(Clone, Debug)]
enum Edit {
    Stroke { from: [f64; 3], to: [f64; 3], radius: f64, plane: Option<usize>, ink: Option<usize> },
    Fill { plane: usize, at: [usize; 3] },
    FillHoles,
    Interpolate { edited: bool },
    LargestComponent,
    Smooth { sigma: f64 },
    Reassign { to: Option<usize>, first: usize, last: usize },
    ReplaceAll { seed: u32 },
    Discard,
    Undo,
    Redo,
}

fn noise(seed: u32, n: usize) -> u8 {
    let x = (n as u32).wrapping_add(seed).wrapping_mul(2654435761);
    [0, 0, 0, 1, 27, 33, 99, 255][(x >> 24) as usize % 8]
}

fn edit() -> impl Strategy<Value = (Edit, usize, EditSettings)> {
    let point = || [-2.0..11.0, -2.0..10.0, -2.0..9.0];
    let organ = || prop::option::of(0..3usize);
    let edit = prop_oneof![
        6 => (point(), point(), 0.1..4.0, prop::option::of(0..3usize), organ())
            .prop_map(|(from, to, radius, plane, ink)| Edit::Stroke { from, to, radius, plane, ink }),
        2 => (0..3usize, [0..9usize, 0..9, 0..9]).prop_map(|(plane, at)| Edit::Fill { plane, at }),
        1 => Just(Edit::FillHoles),
        2 => any::<bool>().prop_map(|edited| Edit::Interpolate { edited }),
        1 => Just(Edit::LargestComponent),
        1 => (0.0..3.0).prop_map(|sigma| Edit::Smooth { sigma }),
        1 => (organ(), 0..8usize, 0..8usize).prop_map(|(to, first, last)| Edit::Reassign { to, first, last }),
        1 => any::<u32>().prop_map(|seed| Edit::ReplaceAll { seed }),
        1 => Just(Edit::Discard),
        2 => Just(Edit::Undo),
        1 => Just(Edit::Redo),
    ];
    let settings = (any::<[bool; 3]>(), -10..90i16, 0..90i16).prop_map(|([three_d, limit_hu, all], low, more)| {
        let over = if all { PaintOver::Everything } else { PaintOver::Background };
        EditSettings { three_d, limit_hu, hu: [low, low + more], over, ..EditSettings::default() }
    });
    (edit, 0..3usize, settings)
}

fn apply(labels: &mut LabelStore, (edit, organ, settings): &(Edit, usize, EditSettings)) {
    let organ = ORGANS[*organ];
    match edit.clone() {
        Edit::Stroke { from, to, radius, plane, ink } => {
            let ink = ink.map_or(Ink::Erase(None), |_| Ink::Paint(organ));
            let dab = Dab { way: [from, to], radius_mm: radius, plane: plane.map(|p| Plane::ALL[p]) };
            labels.begin("stroke");
            labels.stroke(&dab, ink, settings);
            labels.stroke(&Dab { way: [to, from], radius_mm: radius / 2.0, ..dab }, Ink::Erase(Some(organ)), settings);
            labels.end();
        }
        Edit::Fill { plane, at } => drop(labels.fill(Plane::ALL[plane], at, organ, settings)),
        Edit::FillHoles => drop(labels.fill_holes(organ, settings.three_d, settings.over)),
        Edit::Interpolate { edited } => {
            let between = if edited { Between::Edited } else { Between::Gaps };
            labels.interpolate(organ, between, settings.over);
        }
        Edit::LargestComponent => drop(labels.largest_component(organ)),
        Edit::Smooth { sigma } => drop(labels.smooth(organ, sigma, settings.three_d, settings.over)),
        Edit::Reassign { to, first, last } => drop(labels.reassign(organ, to.map(|t| ORGANS[t]), first..last)),
        Edit::ReplaceAll { seed } => {
            let voxels: Vec<u8> = (0..SIZE.iter().product()).map(|n| noise(seed, n)).collect();
            labels.open_labels("map", ByteSlices::cut(&voxels, SIZE[0] * SIZE[1]), None, Vec::new());
        }
        Edit::Discard => labels.discard_edits(),
        Edit::Undo => drop(labels.undo()),
        Edit::Redo => drop(labels.redo()),
    }
}

fn run(labels: &mut LabelStore, seed: u32) {
    let area = SIZE[0] * SIZE[1];
    for k in 0..SIZE[2] {
        labels.apply_run_slice(k, &(0..area).map(|n| noise(seed, n + area * k)).collect::<Vec<_>>());
    }
}

/// Labels, and which voxels were edited.
fn contents(labels: &LabelStore) -> (Vec<u8>, Vec<bool>) {
    let voxels = labels.layer().voxels();
    let edited = (0..voxels.len()).map(|n| labels.is_edited(place(n, SIZE))).collect();
    (voxels, edited)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn undoing_all_gives_the_original_bytes_and_redoing_all_the_final_ones(
        before in any::<u32>(),
        edits in prop::collection::vec(edit(), 1..25),
    ) {
        let mut labels = store(SIZE, [1.0, 1.3, 2.1]);
        run(&mut labels, before);
        let original = contents(&labels);
        for edit in &edits {
            apply(&mut labels, edit);
            labels.check();
        }
        while labels.redo() {}
        let last = contents(&labels);
        while labels.undo() {}
        labels.check();
        prop_assert_eq!(contents(&labels), original);
        prop_assert_eq!((labels.edited_voxels(), labels.edited_organs()), (0, OrganSet::EMPTY));
        while labels.redo() {}
        labels.check();
        prop_assert_eq!(contents(&labels), last);
    }

    #[test]
    fn a_run_changes_what_lies_beneath_edits_and_never_an_edit(
        seeds in any::<[u32; 2]>(),
        edits in prop::collection::vec(edit(), 1..12),
    ) {
        let mut labels = store(SIZE, [1.0, 1.3, 2.1]);
        run(&mut labels, seeds[0]);
        for edit in &edits {
            apply(&mut labels, edit);
        }
        let edited = contents(&labels);
        run(&mut labels, seeds[1]);
        labels.check();
        let mut fresh = store(SIZE, [1.0, 1.3, 2.1]);
        run(&mut fresh, seeds[1]);
        let after = contents(&labels);
        for n in 0..edited.0.len() {
            let expected = if edited.1[n] { edited.0[n] } else { fresh.layer().voxels()[n] };
            prop_assert_eq!(after.0[n], expected);
        }
        if labels.edited_voxels() > 0 {
            labels.discard_edits();
            prop_assert_eq!(labels.layer().voxels(), fresh.layer().voxels());
            labels.undo();
            prop_assert_eq!(contents(&labels), after);
        }
        while labels.undo() {}
        labels.check();
        prop_assert_eq!(labels.layer().voxels(), fresh.layer().voxels());
    }
}

#[test]
fn what_the_list_of_organs_shows_follows_every_edit() {
    let mut labels = store([10, 6, 5], [2.0, 1.0, 5.0]);
    let mut slice = vec![0; 60];
    slice[12..15].fill(Organ::Liver.label());
    slice[59] = 200;
    labels.apply_run_slice(1, &slice);
    labels.apply_run_slice(3, &slice);
    labels.apply_run_slice(9, &slice);
    labels.apply_run_slice(2, &slice[1..]);
    assert_eq!((labels.voxel_count(Organ::Liver), labels.volume_ml(Organ::Liver)), (6, 0.06));
    assert_eq!(labels.layer().get([9, 5, 1]), 0, "no organ has the number 200");
    assert_eq!(labels.mean_hu(Organ::Liver), Some(30.0));
    assert_eq!(labels.first_last_slice(Organ::Liver), Some((1, 3)));
    assert!(labels.edited_organs().is_empty());
    // Its centroid [3, 1, 2] lies between the two pieces: the nearest voxel of one of them.
    assert!(matches!(labels.centre(Organ::Liver), Some([3, 1, 1 | 3])));
    labels.reassign(Organ::Liver, Some(Organ::Spleen), 3..4);
    assert_eq!(labels.edited_organs().iter().collect::<Vec<_>>(), [Organ::Liver, Organ::Spleen]);
    assert_eq!(labels.first_last_slice(Organ::Liver), Some((1, 1)));
    assert_eq!(labels.centre(Organ::Liver), Some([3, 1, 1]));
    assert_eq!((labels.mean_hu(Organ::Heart), labels.centre(Organ::Heart)), (None, None));
    assert_eq!(labels.under_edits(3).map(|u| [u[12], u[11]]), Some([Organ::Liver.label(), NOT_EDITED]));
    // The run comes to the same result: the organs are no longer changed, but the voxels stay by hand.
    slice[12..15].fill(Organ::Spleen.label());
    labels.apply_run_slice(3, &slice);
    assert!(labels.edited_organs().is_empty() && labels.edited_voxels() == 3);
}

#[test]
fn a_run_replaces_labels_from_a_file_but_for_what_was_edited_in_them() {
    let mut labels = store(SIZE, [1.0; 3]);
    let file: Vec<u8> = (0..504).map(|n| (n % 34) as u8).collect();
    let mut edits = vec![NOT_EDITED; 504];
    edits[100..110].fill(9);
    labels.open_labels("map", ByteSlices::cut(&file[..503], 72), None, Vec::new());
    assert_eq!(labels.undo_name(), None);
    labels.open_labels("map", ByteSlices::cut(&file, 72), Some(ByteSlices::cut(&edits, 72)), Vec::new());
    assert_eq!(
        (labels.edited_voxels(), labels.layer().voxels()[99..111].to_vec()),
        (10, [&file[99..100], &[9; 10], &file[110..111]].concat())
    );
    run(&mut labels, 7);
    let mut fresh = store(SIZE, [1.0; 3]);
    run(&mut fresh, 7);
    let mut expected = fresh.layer().voxels();
    expected[100..110].fill(9);
    assert_eq!(labels.layer().voxels(), expected);
    labels.discard_edits();
    assert_eq!(labels.layer().voxels(), fresh.layer().voxels());
}
