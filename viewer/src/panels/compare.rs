//! The labels against a second label map: metrics of every organ, and where they differ.

use std::cmp::Ordering;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::metrics::{DEFAULT_TOLERANCE_MM, OrganMetrics};

use super::context::{Context, Panel};
use crate::display::Overlay;
use crate::document::{Document, FileRequest, Outbox, Study};
use crate::worker::Command;

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// In the order of the table of organs.
    #[default]
    Organ,
    /// 1 is best.
    Dice,
    /// mm, 0 is best.
    Hausdorff,
    /// 1 is best.
    SurfaceDice,
    /// ml more than the reference.
    Volume,
}

/// How the table is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By this column.
    pub column: Column,
    /// The largest first.
    pub descending: bool,
}

impl Column {
    const ALL: [Self; 5] = [Self::Organ, Self::Dice, Self::Hausdorff, Self::SurfaceDice, Self::Volume];

    fn name(self) -> &'static str {
        match self {
            Self::Organ => "Organ",
            Self::Dice => "Dice",
            Self::Hausdorff => "HD95, mm",
            Self::SurfaceDice => "Surface Dice",
            Self::Volume => "Volume, ml",
        }
    }

    fn hint(self) -> String {
        match self {
            Self::Organ => "In the order of the list of organs".into(),
            Self::Dice => "Twice the common volume over the sum of both volumes; 1 is best".into(),
            Self::Hausdorff => "95 % of both surfaces lie nearer to the other than this; 0 is best".into(),
            Self::SurfaceDice => {
                format!("Share of both surfaces within {DEFAULT_TOLERANCE_MM} mm of the other; 1 is best")
            }
            Self::Volume => "How much larger the organ is here than in the reference".into(),
        }
    }

    fn order(self, a: &(Organ, OrganMetrics), b: &(Organ, OrganMetrics)) -> Ordering {
        let by = |value: fn(&OrganMetrics) -> f64| value(&a.1).total_cmp(&value(&b.1));
        match self {
            Self::Organ => a.0.cmp(&b.0),
            Self::Dice => by(|m| m.dice),
            Self::Hausdorff => by(|m| m.hausdorff_95_mm),
            Self::SurfaceDice => by(|m| m.surface_dice),
            Self::Volume => by(|m| m.prediction_ml - m.truth_ml),
        }
    }

    fn cell(self, organ: Organ, m: &OrganMetrics) -> String {
        match self {
            Self::Organ => organ.name().into(),
            Self::Dice => format!("{:.3}", m.dice),
            Self::Hausdorff if m.hausdorff_95_mm.is_finite() => format!("{:.1}", m.hausdorff_95_mm),
            Self::Hausdorff if m.missed => "missed".into(),
            Self::Hausdorff => "only here".into(),
            Self::SurfaceDice => format!("{:.3}", m.surface_dice),
            Self::Volume => format!("{:+.1}", m.prediction_ml - m.truth_ml),
        }
    }
}

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
    table(ui, cx.document, order);
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

/// Metrics of the organs that either map has, in order.
fn rows(study: &Study, order: Order) -> Vec<(Organ, OrganMetrics)> {
    let metrics = study.reference.iter().flat_map(|r| &r.metrics);
    let mut rows: Vec<_> = Organ::ALL.into_iter().zip(metrics).filter_map(|(o, m)| Some((o, (*m)?))).collect();
    rows.sort_by(|a, b| {
        let by = order.column.order(a, b);
        if order.descending { by.reverse() } else { by }
    });
    rows
}

fn table(ui: &mut egui::Ui, document: &mut Document, order: &mut Order) {
    let Some(study) = document.study.as_ref() else { return };
    let rows = rows(study, *order);
    if rows.is_empty() {
        if study.reference.as_ref().is_some_and(|r| !r.metrics.is_empty()) {
            ui.label("Neither label map has an organ.");
        }
        return;
    }
    let mean = rows.iter().map(|(_, m)| m.dice).sum::<f64>() / rows.len() as f64;
    ui.label(format!("Mean Dice {mean:.3} over {} organs", rows.len()));
    let Order { column, descending } = *order;
    let first = if descending { "largest" } else { "smallest" };
    if column == Column::Organ {
        ui.small("Click a heading to sort by it.");
    } else {
        ui.small(format!("Sorted by {}, the {first} first.", column.name()));
    }
    let mut clicked = None;
    egui::ScrollArea::both().id_salt("compare").show(ui, |ui| {
        egui::Grid::new("metrics").striped(true).spacing([8.0, 2.0]).show(ui, |ui| {
            for column in Column::ALL {
                header(ui, column, order);
            }
            ui.end_row();
            for (organ, metrics) in &rows {
                let chosen = document.view.selected == Some(*organ);
                let jump = "Selects the organ and goes to where the two differ most";
                if ui.selectable_label(chosen, organ.name()).on_hover_text(jump).clicked() {
                    clicked = Some(*organ);
                }
                for column in &Column::ALL[1..] {
                    let cell = ui.label(column.cell(*organ, metrics));
                    if *column == Column::Volume {
                        cell.on_hover_text(volumes(metrics));
                    }
                }
                ui.end_row();
            }
        });
    });
    if let Some(organ) = clicked {
        document.view.selected = Some(organ);
        if let Some(place) = most_different(study, organ).or_else(|| study.labels.centre(organ)) {
            document.view.cursor = place;
        }
    }
}

fn volumes(m: &OrganMetrics) -> String {
    let both = format!("{:.1} ml here, {:.1} ml in the reference", m.prediction_ml, m.truth_ml);
    match m.truth_ml > 0.0 {
        true => format!("{both}: {:+.0} %", 100.0 * (m.prediction_ml / m.truth_ml - 1.0)),
        false => both,
    }
}

fn header(ui: &mut egui::Ui, column: Column, order: &mut Order) {
    let chosen = order.column == column;
    if ui.selectable_label(chosen, egui::RichText::new(column.name()).strong()).on_hover_text(column.hint()).clicked() {
        *order = Order { column, descending: chosen && !order.descending };
    }
}

/// On the slice where the two maps differ in most voxels of an organ, the differing voxel in the middle of these.
fn most_different(study: &Study, organ: Organ) -> Option<[usize; 3]> {
    let reference = &study.reference.as_ref()?.labels;
    let labels = study.labels.layer();
    let [nx, _, nz] = labels.size();
    let differs = |k: usize| {
        let pairs = labels.slice(k).iter().zip(reference.slice(k)).enumerate();
        pairs
            .filter(move |(_, (a, b))| (**a == organ.label()) != (**b == organ.label()))
            .map(move |(n, _)| [(n % nx) as u64, (n / nx) as u64])
    };
    let (count, std::cmp::Reverse(k)) = (0..nz).map(|k| (differs(k).count(), std::cmp::Reverse(k))).max()?;
    let sum = differs(k).fold([0u64; 2], |sum, at| [sum[0] + at[0], sum[1] + at[1]]);
    let squared = |at: &[u64; 2]| (0..2).map(|a| (count as u64 * at[a]).abs_diff(sum[a]).pow(2)).sum::<u64>();
    differs(k).min_by_key(squared).map(|[i, j]| [i as usize, j as usize, k])
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    use super::*;
    use crate::document::Reference;
    use crate::edit::samples::ct;
    use crate::edit::{ByteLayer, ByteSlices};
    use crate::panels::tests::Desk;
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
            missed: hd.is_infinite(),
            truth_ml: 10.0,
            prediction_ml: 12.0,
        })
    }

    fn answer(state: &mut Desk) {
        let number = state.study.as_ref().and_then(|s| s.reference.as_ref()).and_then(|r| r.asked).unwrap();
        let mut all = vec![None; Organ::ALL.len()];
        all[Organ::Liver.index()] = metrics(0.9, 3.0);
        all[Organ::Spleen.index()] = metrics(0.0, f64::INFINITY);
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
        harness.get_by_label("Mean Dice 0.617 over 3 organs");
        harness.get_by_label("missed");
        assert_eq!(harness.get_all_by_label("+2.0").count(), 3);
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
        assert_eq!(order(harness.state()), [Organ::Heart, Organ::Liver, Organ::Spleen]);
        harness.get_by_label("Dice").click();
        harness.run();
        assert_eq!(order(harness.state()), [Organ::Spleen, Organ::Liver, Organ::Heart]);
        harness.get_by_label("HD95, mm").click();
        harness.run();
        harness.get_by_label("HD95, mm").click();
        harness.run();
        harness.get_by_label("Sorted by HD95, mm, the largest first.");
        assert_eq!(order(harness.state()), [Organ::Spleen, Organ::Liver, Organ::Heart]);
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
