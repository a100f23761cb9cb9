//! What the network would say under another attention: asked for, answered, told.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ};
use egui_kittest::kittest::Queryable;

use super::{answer_of_its_own, asks, click, reads, sample, window};
use crate::display::Overlay;
use crate::document::{Change, changes};
use crate::edit::ByteSlices;
use crate::worker::{Ask, Event};

#[test]
fn attention_off_is_asked_for_after_what_is_and_what_differs_is_told_in_voxels() {
    let mut window = window(sample::bench());
    assert!(asks(&mut window).is_empty());
    click(&mut window, "Attention off");
    window.run_steps(5);
    // What the clean-up of the run took away, 40 voxels of mandible here, is not what attention held back.
    let mut labels = window.state().study.as_ref().unwrap().labels.layer().slice(48).to_vec();
    let background: Vec<usize> = (0..labels.len()).filter(|&n| labels[n] == 0).collect();
    background[100..140].iter().for_each(|&n| labels[n] = Organ::Mandible.label());
    answer_of_its_own(&mut window, 48, &labels);

    let asked = asks(&mut window);
    assert_eq!(asked.len(), 1);
    let Ask { number, slice, attention, .. } = asked[0].clone();
    assert_eq!((slice, attention), (48, [1.0; ORGAN_COUNT]));
    assert!(reads(&window, "asking the network"));

    background[..25].iter().for_each(|&n| labels[n] = Organ::Spleen.label());
    let late = Event::Answer { number: number - 1, slice, labels: vec![0; labels.len()] };
    window.state_mut().apply(late);
    window.run_steps(2);
    assert!(reads(&window, "asking the network"), "a late answer changes nothing");
    window.state_mut().apply(Event::Answer { number, slice, labels });
    window.run_steps(2);
    assert!(reads(&window, "+25") && !reads(&window, "+40") && !reads(&window, "asking the network"));
    assert!(!window.state().study.as_ref().unwrap().outlined_on(48).contains(Organ::Mandible));
    assert!(window.state().study.as_ref().unwrap().outlined_on(48).contains(Organ::Spleen));

    window.state_mut().view.cursor[2] = 60;
    window.run_steps(3);
    let asked = asks(&mut window);
    assert_eq!(asked.iter().map(|a| a.slice).collect::<Vec<_>>(), [60]);
    click(&mut window, "Reset");
    assert!(window.state().study.as_ref().unwrap().what_if.is_none() && asks(&mut window).is_empty());
}

#[test]
fn under_a_label_map_from_a_file_the_network_answers_for_itself_alone() {
    let mut window = window(sample::bench());
    let own = window.state().study.as_ref().unwrap().labels.layer().slice(48).to_vec();
    let lungs = ByteSlices::cut(&vec![Organ::LungLeft.label(); sample::SIZE.iter().product()], own.len());
    let labels = &mut window.state_mut().study.as_mut().unwrap().labels;
    labels.open_labels("theirs.nii.gz", lungs, None, Vec::new());
    labels.finish();
    click(&mut window, "Show removed voxels");
    window.run_steps(5);
    answer_of_its_own(&mut window, 48, &own);
    let number = asks(&mut window)[0].number;
    let mut without = own.clone();
    let background: Vec<usize> = (0..own.len()).filter(|&n| own[n] == 0).take(25).collect();
    background.iter().for_each(|&n| without[n] = Organ::Spleen.label());
    window.state_mut().apply(Event::Answer { number, slice: 48, labels: without.clone() });
    window.run_steps(2);
    let study = window.state().study.as_ref().unwrap();
    let gained = Change { organ: Organ::Spleen, gained: 25, lost: 0 };
    assert_eq!(changes(study), Some(vec![gained]), "nothing of what the file holds");
    let what_if = study.what_if.as_ref().unwrap();
    let taken = what_if.drawn_under(Overlay::RemovedByAttention).unwrap();
    assert!(
        taken.iter().enumerate().all(|(n, &l)| l == if background.contains(&n) { Organ::Spleen.label() } else { 0 })
    );
    assert_eq!(what_if.drawn_under(Overlay::None), Some(&without));
}

#[test]
fn a_dragged_bar_asks_for_its_organ_alone_and_a_new_run_ends_the_question() {
    let mut window = window(sample::bench());
    window.state_mut().view.cursor[2] = 90;
    window.run_steps(2);
    window.get_by_label("Attention of liver").set_value_accesskit(1.0);
    window.run_steps(3);
    let labels = window.state().study.as_ref().unwrap().labels.layer().slice(90).to_vec();
    answer_of_its_own(&mut window, 90, &labels);
    let asked = asks(&mut window);
    assert_eq!(asked.len(), 1);
    let own = window.state().study.as_ref().unwrap().anatomy[90].as_ref().unwrap().attention.unwrap();
    for organ in Organ::ALL {
        let wanted = if organ == Organ::Liver { 1.0 } else { own[organ.index()] };
        assert_eq!(asked[0].attention[organ.index()], wanted, "{organ}");
    }
    // What the weights never learned has no bar.
    assert!(window.query_by_label("Attention of pancreas").is_none());
    assert!(reads(&window, "2 organs are not in these weights"));
    click(&mut window, "Run the segmentation again");
    window.run_steps(3);
    assert!(!window.state().wish.is_on() && asks(&mut window).is_empty());
}
