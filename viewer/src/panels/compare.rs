//! The labels against a second label map: metrics of every organ, and where they differ.

mod table;

use super::context::{Context, Panel};
use crate::display::Overlay;
use crate::document::{Document, FileRequest, Outbox, Study};
use crate::worker::Command;

pub use table::Order;

/// The panel.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// How the table is sorted.
    pub order: Order,
}

impl Panel for Compare {
    fn show(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        show(ui, cx, &mut self.order);
    }
}

fn show(ui: &mut egui::Ui, cx: &mut Context<'_>, order: &mut Order) {
    ui.heading("Compare");
    let Some(study) = cx.document.study.as_ref() else {
        ui.label("Open a CT, and then a second label map of it.");
        return;
    };
    if study.reference.is_none() {
        ui.label("Open a second label map of this CT: a reference, another result, or the result of other weights.");
        if ui.button("Open a label map...").clicked() {
            cx.outbox.request(FileRequest::OpenReference);
        }
        if study.origin.is_some() && ui.button("From the archive...").clicked() {
            cx.arrangement.archive = Some(true);
        }
        return;
    }
    head(ui, cx);
    let not_yet = |s: &&Study| s.reference.as_ref().is_some_and(|r| r.asked.is_none()) && !s.labels.is_busy();
    if cx.document.study.as_ref().filter(not_yet).is_some() && !cx.document.run.is_active() {
        measure(cx.document, cx.outbox);
    }
    ui.separator();
    freshness(ui, cx.document);
    table::show(ui, cx.document, order);
}

/// Name, overlay, and what can be done with the reference.
fn head(ui: &mut egui::Ui, cx: &mut Context<'_>) {
    if let Some(reference) = cx.document.study.as_ref().and_then(|s| s.reference.as_ref()) {
        ui.label(format!("Against {}", reference.name));
    }
    let mut shown = cx.document.view.overlay == Overlay::Difference;
    if ui.checkbox(&mut shown, "Show where they differ").changed() {
        cx.document.view.overlay = if shown { Overlay::Difference } else { Overlay::None };
    }
    // Labels that are being laid over others are neither of the two: not to be measured, nor kept as a reference.
    let settled = cx.document.study.as_ref().is_some_and(|study| !study.labels.is_busy());
    ui.horizontal_wrapped(|ui| {
        if ui.add_enabled(settled, egui::Button::new("Measure again")).clicked() {
            measure(cx.document, cx.outbox);
        }
        let hint = "The reference becomes the labels to work on, and the labels the reference. Undo takes it back.";
        if ui.add_enabled(settled, egui::Button::new("Swap")).on_hover_text(hint).clicked() {
            swap(cx.document);
        }
        if ui.button("Open another...").clicked() {
            cx.outbox.request(FileRequest::OpenReference);
        }
        if ui.button("Close").clicked() {
            close(cx.document);
        }
    });
}

/// Whether the figures are those of the labels on screen.
fn freshness(ui: &mut egui::Ui, document: &Document) {
    let Some(study) = document.study.as_ref() else { return };
    let Some(reference) = study.reference.as_ref() else { return };
    if reference.asked.is_none() && !study.labels.is_busy() {
        ui.label("The labels are measured when the run is over, or now by \"Measure again\".");
    } else if reference.metrics.is_empty() {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label("Measuring");
        });
    } else if reference.revision != study.labels.layer().revision() {
        ui.colored_label(ui.visuals().warn_fg_color, "The labels have changed since; measure again.");
    }
}

/// Asks the worker to measure.
fn measure(document: &mut Document, outbox: &mut Outbox) {
    let number = outbox.next_number();
    let Some(study) = document.study.as_mut() else { return };
    let Some(reference) = study.reference.as_mut() else { return };
    reference.asked = Some(number);
    reference.revision = study.labels.layer().revision();
    reference.metrics.clear();
    let (labels, reference) = (study.labels.layer().share(), reference.labels.share());
    outbox.send(Command::Compare { number, labels, reference });
}

fn swap(document: &mut Document) {
    let Some(study) = document.study.as_mut() else { return };
    let Some(reference) = study.reference.as_mut() else { return };
    // The reference is a copy of the moment: what is edited later does not change it, and what was under way belongs to it.
    study.labels.finish();
    let labels = std::mem::replace(&mut reference.labels, study.labels.layer().clone());
    study.labels.open_labels(&reference.name, labels.share(), None, Vec::new());
    reference.name = match reference.name.strip_suffix(SWAPPED) {
        Some(name) => name.to_string(),
        None => format!("{}{SWAPPED}", reference.name),
    };
    (reference.asked, reference.metrics) = (None, Vec::new());
}

const SWAPPED: &str = ", swapped with the labels";

fn close(document: &mut Document) {
    if let Some(study) = document.study.as_mut() {
        study.reference = None;
    }
    if document.view.overlay == Overlay::Difference {
        document.view.overlay = Overlay::None;
    }
}

#[cfg(test)]
mod tests {
    use attention_anatomy::anatomy::Organ;
    use attention_anatomy::metrics::OrganMetrics;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    use super::table::{rows, volumes};
    use super::*;
    use crate::document::Reference;
    use crate::edit::samples::ct;
    use crate::edit::{ByteLayer, ByteSlices};
    use crate::panels::tests::Desk;
    use crate::panels::{Sheet, Tab};
    use crate::worker::Event;

    const SIZE: [usize; 3] = [10, 8, 6];

    fn state() -> Desk {
        let mut state = Desk::default();
        let mut study = Study::of_ct(1, "sample".into(), ct(SIZE, [1.0; 3]));
        for k in 0..6 {
            study.labels.apply_run_slice(k, &[Organ::Liver.label(); 80]);
        }
        let mut other = vec![Organ::Liver.label(); 480];
        other[3 * 80 + 42..3 * 80 + 45].fill(Organ::Spleen.label());
        other[80] = 0;
        let labels = ByteLayer::from_slices(SIZE, &ByteSlices::cut(&other, 80)).unwrap();
        study.reference =
            Some(Reference { name: "reference".into(), labels, metrics: Vec::new(), asked: None, revision: 0 });
        state.study = Some(study);
        state
    }

    fn metrics(dice: f64, hd: f64) -> Option<OrganMetrics> {
        Some(OrganMetrics {
            dice,
            hausdorff_95_mm: hd,
            surface_dice: dice,
            mean_surface_distance_mm: hd,
            added_path_mm: 0.0,
            missed: false,
            truth_ml: 10.0,
            prediction_ml: 12.0,
        })
    }

    /// One that only the reference has, and one that it lacks.
    fn one_sided(truth_ml: f64, prediction_ml: f64) -> Option<OrganMetrics> {
        let none = metrics(0.0, f64::INFINITY)?;
        Some(OrganMetrics { missed: truth_ml > 0.0, truth_ml, prediction_ml, ..none })
    }

    fn answer(state: &mut Desk) {
        let number = state.study.as_ref().and_then(|s| s.reference.as_ref()).and_then(|r| r.asked).unwrap();
        let mut all = vec![None; Organ::ALL.len()];
        all[Organ::Liver.index()] = metrics(0.9, 3.0);
        all[Organ::Spleen.index()] = one_sided(10.0, 0.0);
        all[Organ::SpinalCord.index()] = one_sided(0.0, 7.5);
        all[Organ::Heart.index()] = metrics(0.95, 1.0);
        state.apply(Event::Compared { number, metrics: all });
    }

    #[test]
    fn it_measures_by_itself_once_and_again_when_asked() {
        let mut harness =
            Harness::new_ui_state(|ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.compare), state());
        harness.step();
        harness.step();
        assert_eq!(harness.state().outbox.commands.len(), 1);
        assert!(matches!(&harness.state().outbox.commands[0], Command::Compare { labels, .. } if labels.len() == 480));
        harness.get_by_label("Measuring");
        answer(harness.state_mut());
        harness.run();
        harness.get_by_label("Mean Dice 0.617 over 3 organs of the reference");
        harness.get_by_label("Only here, in no mean: spinal cord.");
        harness.get_by_label("Only in the reference: spleen.");
        assert_eq!(harness.get_all_by_label("-").count(), 2);
        assert_eq!(harness.get_all_by_label("+2.0").count(), 2);
        for only_one_has in ["-10.0", "+7.5"] {
            harness.get_by_label(only_one_has);
        }
        assert_eq!(volumes(&metrics(0.9, 3.0).unwrap()), "12.0 ml here, 10.0 ml in the reference: +20 %");

        harness.state_mut().study.as_mut().unwrap().labels.reassign(Organ::Liver, None, 0..1);
        harness.run();
        harness.get_by_label_contains("have changed since");
        harness.get_by_label("Measure again").click();
        harness.step();
        harness.step();
        assert_eq!(harness.state().outbox.commands.len(), 2);
    }

    #[test]
    fn a_click_goes_where_they_differ_most_and_headers_sort() {
        let mut harness =
            Harness::new_ui_state(|ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.compare), state());
        harness.step();
        answer(harness.state_mut());
        harness.run();
        harness.get_by_label("Liver").click();
        harness.run();
        assert_eq!(harness.state().view.selected, Some(Organ::Liver));
        assert_eq!(harness.state().view.cursor, [3, 4, 3]);
        let order = |state: &Desk| {
            let study = state.study.as_ref().unwrap();
            rows(study, state.panels.side.compare.order).iter().map(|(o, _)| *o).collect::<Vec<_>>()
        };
        let [cord, heart, liver, spleen] = [Organ::SpinalCord, Organ::Heart, Organ::Liver, Organ::Spleen];
        assert_eq!(order(harness.state()), [cord, heart, liver, spleen]);
        harness.get_by_label("Dice").click();
        harness.run();
        assert_eq!(order(harness.state()), [cord, spleen, liver, heart]);
        harness.get_by_label("HD95, mm").click();
        harness.run();
        harness.get_by_label("HD95, mm").click();
        harness.run();
        harness.get_by_label("Sorted by HD95, mm, the largest first.");
        assert_eq!(order(harness.state())[2..], [liver, heart]);
    }

    #[test]
    fn every_column_is_in_sight_beside_the_pictures() {
        for size in [[1280.0, 800.0], [1000.0, 700.0], [390.0, 844.0], [3840.0, 2160.0]] {
            let show = |ui: &mut egui::Ui, desk: &mut Desk| desk.show(ui);
            let mut harness = Harness::builder().with_size(size).build_ui_state(show, state());
            let arrangement = &mut harness.state_mut().panels.arrangement;
            (arrangement.tab, arrangement.sheet) = (Tab::Compare, Some(Sheet::Side));
            harness.state_mut().preferences.tour_seen = true;
            harness.run_steps(4);
            answer(harness.state_mut());
            let study = harness.state_mut().study.as_mut().unwrap();
            let metrics = &mut study.reference.as_mut().unwrap().metrics;
            metrics[Organ::SubmandibularGlandLeft.index()] = one_sided(1234.5, 0.0);
            metrics[Organ::EyeLeft.index()] = super::tests::metrics(0.987, 123.4);
            harness.run_steps(4);
            let right = harness.ctx.content_rect().right();
            for name in
                ["Organ", "Dice", "HD95, mm", "Surface Dice", "Volume, ml", "Submandibular gland left", "-1234.5"]
            {
                let rect = harness.get_by_label(name).rect();
                assert!(rect.left() >= 0.0 && rect.right() <= right, "{size:?}: {name} at {rect:?}");
            }
            // Beside each other, not over each other.
            let at = |name: &str| harness.get_by_label(name).rect();
            let (name, dice) = (at("Submandibular gland left"), at("Dice"));
            assert!(
                name.right() <= dice.left() && dice.right() <= at("HD95, mm").left(),
                "{size:?}: {name:?} {dice:?}"
            );
        }
    }

    #[test]
    fn of_a_large_scan_nothing_is_measured_or_swapped_before_the_labels_are_those_that_were_swapped_in() {
        const LARGE: [usize; 3] = [64, 64, 96];
        let (area, voxels) = (64 * 64, 64 * 64 * 96);
        let mut state = Desk::default();
        let mut study = Study::of_ct(1, "sample".into(), ct(LARGE, [1.0; 3]));
        (0..96).for_each(|k| study.labels.apply_run_slice(k, &vec![Organ::Liver.label(); area]));
        let slices = ByteSlices::cut(&vec![Organ::Spleen.label(); voxels], area);
        let labels = ByteLayer::from_slices(LARGE, &slices).unwrap();
        let name = "reference".into();
        study.reference = Some(Reference { name, labels, metrics: Vec::new(), asked: Some(1), revision: 0 });
        state.study = Some(study);
        let mut harness =
            Harness::new_ui_state(|ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.compare), state);
        harness.step();
        swap(&mut harness.state_mut().bench.document);
        assert!(harness.state().study.as_ref().unwrap().labels.is_busy());
        harness.step();
        harness.get_by_label("Swap").click();
        harness.step();
        assert!(harness.state().outbox.commands.is_empty(), "half of the one and half of the other");
        harness.state_mut().study.as_mut().unwrap().labels.finish();
        harness.step();
        let sent = &harness.state().outbox.commands;
        let Some(Command::Compare { labels, reference, .. }) = sent.first() else { panic!("{sent:?}") };
        assert_eq!([labels.slice(95)[0], reference.slice(95)[0]], [Organ::Spleen, Organ::Liver].map(Organ::label));
        assert_eq!([labels.slice(0)[0], reference.slice(0)[0]], [Organ::Spleen, Organ::Liver].map(Organ::label));
        // Twice in a row, without a frame in between.
        let document = &mut harness.state_mut().bench.document;
        swap(document);
        swap(document);
        let reference = &document.study.as_ref().unwrap().reference.as_ref().unwrap().labels;
        assert!(reference.voxels().iter().all(|&label| label == Organ::Liver.label()));
    }

    #[test]
    fn swapping_twice_is_as_before_and_closing_ends_the_overlay() {
        let mut state = state();
        state.view.overlay = Overlay::Difference;
        let voxels = |state: &Desk| {
            let study = state.study.as_ref().unwrap();
            let reference = study.reference.as_ref().unwrap();
            [study.labels.layer().voxels(), reference.labels.voxels()]
        };
        let [labels, reference] = voxels(&state);
        swap(&mut state.bench.document);
        assert_eq!(voxels(&state), [reference.clone(), labels.clone()]);
        swap(&mut state.bench.document);
        assert_eq!(voxels(&state), [labels, reference]);
        assert_eq!(state.study.as_ref().unwrap().reference.as_ref().unwrap().name, "reference");
        close(&mut state.bench.document);
        assert_eq!(state.view.overlay, Overlay::None);
        assert!(state.study.as_ref().unwrap().reference.is_none());
    }
}
