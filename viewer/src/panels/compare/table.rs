//! The table: a row for every organ that either label map has.

use std::cmp::Ordering;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::metrics::{DEFAULT_TOLERANCE_MM, OrganMetrics};
use egui::{Button, RichText, ScrollArea, TextStyle, Ui};

use super::super::widgets::short_name;
use crate::document::{Document, Study};
use crate::edit::ByteLayer;
use crate::theme;

/// Between two columns, and two rows.
const SPACING: [f32; 2] = [6.0, 2.0];
/// A narrower column of names would break them after each word.
const NARROWEST_NAME: f32 = 84.0;

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

    /// For people.
    fn name(self) -> &'static str {
        match self {
            Self::Organ => "Organ",
            Self::Dice => "Dice",
            Self::Hausdorff => "HD95, mm",
            Self::SurfaceDice => "Surface Dice",
            Self::Volume => "Volume, ml",
        }
    }

    /// As narrow as a panel beside pictures needs it.
    fn head(self) -> &'static str {
        match self {
            Self::Organ => "Organ",
            Self::Dice => "Dice",
            Self::Hausdorff => "HD95",
            Self::SurfaceDice => "Surf.",
            Self::Volume => "\u{b1} ml",
        }
    }

    fn hint(self) -> String {
        let name = self.name();
        match self {
            Self::Organ => "In the order of the list of organs".into(),
            Self::Dice => format!("{name}: twice the common volume over the sum of both volumes; 1 is best"),
            Self::Hausdorff => {
                format!(
                    "{name}: 95 % of both surfaces lie nearer to the other than this; 0 is best, - where one side has none"
                )
            }
            Self::SurfaceDice => {
                format!("{name}: share of both surfaces within {DEFAULT_TOLERANCE_MM} mm of the other; 1 is best")
            }
            Self::Volume => format!("{name}: how much larger the organ is here than in the reference"),
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
            Self::Organ => short_name(organ),
            Self::Dice => format!("{:.3}", m.dice),
            Self::Hausdorff if m.hausdorff_95_mm.is_finite() => format!("{:.1}", m.hausdorff_95_mm),
            Self::Hausdorff => "-".into(),
            Self::SurfaceDice => format!("{:.3}", m.surface_dice),
            Self::Volume => format!("{:+.1}", m.prediction_ml - m.truth_ml),
        }
    }
}

/// Metrics of the organs that either map has, in order.
pub(super) fn rows(study: &Study, order: Order) -> Vec<(Organ, OrganMetrics)> {
    let metrics = study.reference.iter().flat_map(|r| &r.metrics);
    let mut rows: Vec<_> = Organ::ALL.into_iter().zip(metrics).filter_map(|(o, m)| Some((o, (*m)?))).collect();
    rows.sort_by(|a, b| {
        let by = order.column.order(a, b);
        if order.descending { by.reverse() } else { by }
    });
    rows
}

/// Organs of these by name, after what is said of them; nothing where there are none.
fn named(what: &str, rows: &[(Organ, OrganMetrics)], which: fn(&OrganMetrics) -> bool) -> Option<String> {
    let names: Vec<String> = rows.iter().filter(|(_, m)| which(m)).map(|(o, _)| o.name().to_lowercase()).collect();
    (!names.is_empty()).then(|| format!("{what}: {}.", names.join(", ")))
}

/// What is said above the table: the mean over the reference's organs, and which organs one side alone has.
fn summary(rows: &[(Organ, OrganMetrics)]) -> Vec<String> {
    let dice: Vec<f64> = rows.iter().filter(|(_, m)| !m.is_only_predicted()).map(|(_, m)| m.dice).collect();
    let mean = dice.iter().sum::<f64>() / dice.len() as f64;
    let mean = (!dice.is_empty()).then(|| format!("Mean Dice {mean:.3} over {} organs of the reference", dice.len()));
    let only_here = named("Only here, in no mean", rows, OrganMetrics::is_only_predicted);
    let only_there = named("Only in the reference", rows, |m| m.missed);
    [mean, only_here, only_there].into_iter().flatten().collect()
}

/// Draws the table, and changes its order where a heading is clicked.
pub(super) fn show(ui: &mut Ui, document: &mut Document, order: &mut Order) {
    let Some(study) = document.study.as_ref() else { return };
    let rows = rows(study, *order);
    if rows.is_empty() {
        if study.reference.as_ref().is_some_and(|r| !r.metrics.is_empty()) {
            ui.label("Neither label map has an organ.");
        }
        return;
    }
    for said in summary(&rows) {
        ui.add(egui::Label::new(said).wrap());
    }
    let Order { column, descending } = *order;
    let first = if descending { "largest" } else { "smallest" };
    if column == Column::Organ {
        ui.small("Click a heading to sort by it.");
    } else {
        ui.small(format!("Sorted by {}, the {first} first.", column.name()));
    }
    let mut clicked = None;
    ScrollArea::both().id_salt("compare").show(ui, |ui| {
        if theme::target(ui) <= theme::TOUCH {
            ui.spacing_mut().button_padding.x = 2.0;
        }
        let room = name_room(ui, &rows);
        egui::Grid::new("metrics").striped(true).spacing(SPACING).min_col_width(0.0).show(ui, |ui| {
            for column in Column::ALL {
                header(ui, column, order);
            }
            ui.end_row();
            for (organ, metrics) in &rows {
                let chosen = document.view.selected == Some(*organ);
                let jump = format!("{organ}: selects it and goes to where the two differ most");
                // Broken, not cut off: left and right stand at the end.
                let name = Button::selectable(chosen, Column::Organ.cell(*organ, metrics)).wrap();
                let name = ui.scope(|ui| {
                    ui.set_max_width(room);
                    ui.add(name).accessible_name(organ.name()).on_hover_text(jump)
                });
                if name.inner.clicked() {
                    clicked = Some(*organ);
                }
                for column in &Column::ALL[1..] {
                    let cell = ui.label(column.cell(*organ, metrics));
                    match column {
                        Column::Volume => drop(cell.on_hover_text(volumes(metrics))),
                        Column::Hausdorff if metrics.missed => {
                            drop(cell.on_hover_text("The labels here have none of it"))
                        }
                        Column::Hausdorff if metrics.is_only_predicted() => {
                            cell.on_hover_text("The reference has none of it");
                        }
                        _ => {}
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

/// What the columns of numbers leave for the names.
fn name_room(ui: &Ui, rows: &[(Organ, OrganMetrics)]) -> f32 {
    let font = TextStyle::Body.resolve(ui.style());
    let wide =
        |text: String| ui.painter().layout_no_wrap(text, font.clone(), ui.visuals().text_color()).size().x.ceil();
    let around = 2.0 * ui.spacing().button_padding.x;
    let column = |column: Column| {
        let cells = rows.iter().map(|(organ, metrics)| wide(column.cell(*organ, metrics)));
        cells.fold(wide(column.head().into()) + around, f32::max)
    };
    let numbers: f32 = Column::ALL[1..].iter().map(|&of| column(of) + SPACING[0]).sum();
    (ui.available_width() - numbers).max(NARROWEST_NAME)
}

pub(super) fn volumes(m: &OrganMetrics) -> String {
    let both = format!("{:.1} ml here, {:.1} ml in the reference", m.prediction_ml, m.truth_ml);
    match m.truth_ml > 0.0 {
        true => format!("{both}: {:+.0} %", 100.0 * (m.prediction_ml / m.truth_ml - 1.0)),
        false => both,
    }
}

fn header(ui: &mut Ui, column: Column, order: &mut Order) {
    let chosen = order.column == column;
    let head = ui.selectable_label(chosen, RichText::new(column.head()).strong());
    if head.accessible_name(column.name()).on_hover_text(column.hint()).clicked() {
        *order = Order { column, descending: chosen && !order.descending };
    }
}

/// On the slice where the two maps differ in most voxels of an organ, the differing voxel in the middle of these.
fn most_different(study: &Study, organ: Organ) -> Option<[usize; 3]> {
    let reference = &study.reference.as_ref()?.labels;
    let labels = study.labels.layer();
    let [nx, _, nz] = labels.size();
    let differs = |k: usize| {
        let of = |labels: &ByteLayer| labels.slice(k).iter().map(|&l| l == organ.label()).collect::<Vec<bool>>();
        let pairs = of(labels).into_iter().zip(of(reference)).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(move |(n, _)| [(n % nx) as u64, (n / nx) as u64])
    };
    let (count, std::cmp::Reverse(k)) = (0..nz).map(|k| (differs(k).count(), std::cmp::Reverse(k))).max()?;
    let sum = differs(k).fold([0u64; 2], |sum, at| [sum[0] + at[0], sum[1] + at[1]]);
    let squared = |at: &[u64; 2]| (0..2).map(|a| (count as u64 * at[a]).abs_diff(sum[a]).pow(2)).sum::<u64>();
    differs(k).min_by_key(squared).map(|[i, j]| [i as usize, j as usize, k])
}
