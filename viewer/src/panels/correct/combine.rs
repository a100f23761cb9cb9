//! Structures made of others: margins, unions, intersections, differences, crops; and names and end of those that are no organs.

use attention_anatomy::anatomy::Organ;
use egui::{ComboBox, DragValue, RichText, Ui};

use super::super::context::Context;
use super::super::widgets::millilitres;
use crate::document::Study;
use crate::edit::{Extra, LabelStore, Operand, Operation, PaintOver, SideMargins, StructureEdit, Target};
use crate::worker::Command;

/// The widest margin, mm.
const WIDEST_MM: f64 = 100.0;
/// Sides of the patient, in pairs along the axes of the grid: lower index first.
const SIDES: [[&str; 2]; 3] = [["right", "left"], ["anterior", "posterior"], ["inferior", "superior"]];

/// What is done, without its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Grow,
    Shrink,
    Union,
    Intersection,
    Difference,
    CropTo,
    CropFrom,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Grow, Self::Shrink, Self::Union, Self::Intersection, Self::Difference, Self::CropTo, Self::CropFrom];

    fn name(self) -> &'static str {
        match self {
            Self::Grow => "with a margin",
            Self::Shrink => "less a margin",
            Self::Union => "together with",
            Self::Intersection => "where it overlaps",
            Self::Difference => "without",
            Self::CropTo => "only inside",
            Self::CropFrom => "only outside",
        }
    }
}

/// Where the result goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Into {
    /// A new structure.
    #[default]
    New,
    /// An organ.
    Organ(Organ),
    /// In place of a structure that is no organ.
    Extra(u64),
}

/// What is chosen.
#[derive(Clone, Debug)]
pub struct Combine {
    of: Option<Operand>,
    kind: Kind,
    with: Option<Operand>,
    margins: SideMargins,
    /// All six margins are one number.
    uniform: bool,
    distance_mm: f64,
    into: Into,
    /// What the user wrote in place of the usual name.
    name: Option<String>,
    /// A structure whose name is being written.
    renaming: Option<(u64, String)>,
    /// Where that goes which the worker is making.
    awaited: Option<Target>,
}

impl Default for Combine {
    fn default() -> Self {
        Self {
            of: None,
            kind: Kind::default(),
            with: None,
            margins: SideMargins { lower: [5.0; 3], higher: [5.0; 3] },
            uniform: true,
            distance_mm: 0.0,
            into: Into::default(),
            name: None,
            renaming: None,
            awaited: None,
        }
    }
}

fn called(labels: &LabelStore, operand: Operand) -> Option<String> {
    Some(match operand {
        Operand::Organ(organ) => organ.name().to_owned(),
        Operand::Extra(number) => labels.extra(number)?.name.clone(),
        Operand::Body => "Body".into(),
    })
}

/// All that has a voxel, and the body.
fn operands(study: &Study) -> Vec<Operand> {
    let organs = Organ::ALL.into_iter().filter(|&organ| study.labels.voxel_count(organ) > 0).map(Operand::Organ);
    let extras = study.labels.extras().iter().map(|extra| Operand::Extra(extra.number));
    organs.chain(extras).chain([Operand::Body]).collect()
}

fn choice(ui: &mut Ui, id: &str, label: &str, labels: &LabelStore, all: &[Operand], chosen: &mut Option<Operand>) {
    let text = chosen.and_then(|operand| called(labels, operand)).unwrap_or_else(|| "choose a structure".into());
    ComboBox::new(("combine", id), label).selected_text(text).width(150.0).show_ui(ui, |ui| {
        for &operand in all {
            if let Some(name) = called(labels, operand) {
                ui.selectable_value(chosen, Some(operand), name);
            }
        }
    });
}

impl Combine {
    /// Draws it.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>, over: PaintOver) {
        self.tell(cx);
        let selected = cx.document.view.selected;
        egui::CollapsingHeader::new("Margins and combinations").id_salt("combine").show(ui, |ui| {
            let Some(study) = cx.document.study.as_mut() else { return };
            let all = operands(study);
            if self.of.is_none_or(|of| !all.contains(&of)) {
                self.of = selected.map(Operand::Organ).filter(|organ| all.contains(organ));
            }
            self.with.take_if(|with| !all.contains(with));
            choice(ui, "of", "structure", &study.labels, &all, &mut self.of);
            ComboBox::new(("combine", "kind"), "operation").selected_text(self.kind.name()).width(150.0).show_ui(
                ui,
                |ui| {
                    for kind in Kind::ALL {
                        ui.selectable_value(&mut self.kind, kind, kind.name());
                    }
                },
            );
            match self.kind {
                Kind::Grow | Kind::Shrink => self.margins(ui),
                kind => {
                    choice(ui, "with", "other structure", &study.labels, &all, &mut self.with);
                    if matches!(kind, Kind::CropTo | Kind::CropFrom) {
                        ui.horizontal(|ui| {
                            let label = ui.label("at least this far from its surface");
                            millimetres(ui, &mut self.distance_mm).labelled_by(label.id);
                        });
                    }
                }
            }
            self.result(ui, study);
            let edit = self.edit(study, over);
            let ready = edit.is_some() && !study.labels.is_busy();
            if ui.add_enabled(ready, egui::Button::new("Make it")).on_hover_text("Undo takes it back").clicked()
                && let Some(edit) = edit
            {
                let number = cx.outbox.next_number();
                study.what_if = None;
                study.labels.await_changes(number, edit.operation.name());
                let labels = study.labels.snapshot_of_structures(&edit);
                self.awaited = Some(edit.into.clone());
                cx.outbox.send(Command::Combine { number, edit, labels });
            }
            self.listed(ui, study);
        });
    }

    fn margins(&mut self, ui: &mut Ui) {
        ui.checkbox(&mut self.uniform, "the same to all sides");
        let SideMargins { lower, higher } = &mut self.margins;
        if self.uniform {
            ui.horizontal(|ui| {
                let label = ui.label("Margin");
                millimetres(ui, &mut lower[0]).labelled_by(label.id);
            });
            (*lower, *higher) = ([lower[0]; 3], [lower[0]; 3]);
            return;
        }
        egui::Grid::new("sides").num_columns(4).show(ui, |ui| {
            for (axis, sides) in SIDES.into_iter().enumerate() {
                for (side, mm) in sides.into_iter().zip([&mut lower[axis], &mut higher[axis]]) {
                    let label = ui.label(side);
                    millimetres(ui, mm).labelled_by(label.id);
                }
                ui.end_row();
            }
        });
    }

    /// What the result is called unless the user wants otherwise.
    fn usual_name(&self, labels: &LabelStore) -> String {
        let of = self.of.and_then(|of| called(labels, of)).unwrap_or_else(|| "Structure".into());
        let with = self.with.and_then(|with| called(labels, with)).unwrap_or_default();
        let mm = |mm: f64| format!("{mm:.0}").replace("-0", "0");
        let widest = self.margins.lower.iter().chain(&self.margins.higher).fold(0.0f64, |most, &mm| most.max(mm));
        let name = match self.kind {
            Kind::Grow => format!("{of}+{}", mm(widest)),
            Kind::Shrink => format!("{of}-{}", mm(widest)),
            Kind::Union => format!("{of} or {with}"),
            Kind::Intersection => format!("{of} and {with}"),
            Kind::Difference => format!("{of}-{with}"),
            Kind::CropTo => format!("{of} in {with}"),
            Kind::CropFrom => format!("{of} out of {with}"),
        };
        free_name(labels, &name)
    }

    fn result(&mut self, ui: &mut Ui, study: &Study) {
        let text = match self.into {
            Into::New => "a new structure".to_string(),
            Into::Organ(organ) => organ.name().into(),
            Into::Extra(number) => match called(&study.labels, Operand::Extra(number)) {
                Some(name) => name,
                None => {
                    self.into = Into::New;
                    "a new structure".into()
                }
            },
        };
        ComboBox::new(("combine", "into"), "result").selected_text(text).width(150.0).show_ui(ui, |ui| {
            ui.selectable_value(&mut self.into, Into::New, "a new structure");
            for extra in study.labels.extras() {
                ui.selectable_value(&mut self.into, Into::Extra(extra.number), extra.name.as_str());
            }
            for organ in Organ::ALL {
                ui.selectable_value(&mut self.into, Into::Organ(organ), organ.name());
            }
        });
        if self.into == Into::New {
            ui.horizontal(|ui| {
                let label = ui.label("Name");
                let mut name = self.name.clone().unwrap_or_else(|| self.usual_name(&study.labels));
                let edit = egui::TextEdit::singleline(&mut name).char_limit(64).desired_width(160.0);
                if ui.add(edit).labelled_by(label.id).changed() {
                    self.name = Some(name);
                }
            });
        } else {
            ui.label(RichText::new("What it was until now goes; undo brings it back.").small().weak());
        }
    }

    /// What is asked for; `None` while something is missing.
    fn edit(&self, study: &Study, over: PaintOver) -> Option<StructureEdit> {
        let (of, mm) = (self.of?, self.distance_mm.max(0.0));
        let operation = match self.kind {
            Kind::Grow => Operation::Grow(self.margins),
            Kind::Shrink => Operation::Shrink(self.margins),
            Kind::Union => Operation::Union(self.with?),
            Kind::Intersection => Operation::Intersection(self.with?),
            Kind::Difference => Operation::Difference(self.with?),
            Kind::CropTo => Operation::CropTo(self.with?, mm),
            Kind::CropFrom => Operation::CropFrom(self.with?, mm),
        };
        let into = match self.into {
            Into::Organ(organ) => Target::Organ(organ),
            Into::Extra(number) => Target::Extra(number),
            Into::New => {
                let written = self.name.as_ref().map(|name| name.trim()).filter(|name| !name.is_empty());
                Target::New(
                    written.map_or_else(|| self.usual_name(&study.labels), |name| free_name(&study.labels, name)),
                )
            }
        };
        Some(StructureEdit { of, operation, into, over })
    }

    /// Says what came of it, once it is there.
    fn tell(&mut self, cx: &mut Context<'_>) {
        let Some(study) = cx.document.study.as_mut() else {
            *self = Self::default();
            return;
        };
        if study.labels.is_busy() {
            return;
        }
        let Some(made) = self.awaited.take() else { return };
        self.name = None;
        // Where it was refused, that was said.
        if study.labels.take_finished().is_none() {
            return;
        }
        let extra = match made {
            Target::Organ(organ) => {
                let ml = study.labels.volume_ml(organ);
                cx.outbox.notices.info(format!("{}: {}", organ.name(), millilitres(ml)));
                return;
            }
            Target::Extra(number) => study.labels.extra(number),
            // What is new comes behind all others.
            Target::New(_) => study.labels.extras().last(),
        };
        if let Some(extra) = extra {
            let ml = extra.voxel_count() as f64 * study.geometry().voxel_ml();
            cx.outbox.notices.info(format!("{}: {}", extra.name, millilitres(ml)));
        }
    }

    /// The structures that are no organs, each with its name to be changed and a way to be rid of it.
    fn listed(&mut self, ui: &mut Ui, study: &mut Study) {
        let extras = study.labels.extras().to_vec();
        if extras.is_empty() {
            return;
        }
        ui.add_space(4.0);
        ui.label(RichText::new("Other structures").strong());
        for extra in extras {
            ui.horizontal(|ui| {
                let mut name = match &self.renaming {
                    Some((number, name)) if *number == extra.number => name.clone(),
                    _ => extra.name.clone(),
                };
                let edit = egui::TextEdit::singleline(&mut name).char_limit(64).desired_width(140.0);
                let response = ui.add(edit).accessible_name(format!("Name of {}", extra.name));
                if response.changed() {
                    self.renaming = Some((extra.number, name.clone()));
                }
                if response.lost_focus() && self.renaming.take_if(|(number, _)| *number == extra.number).is_some() {
                    let name = name.trim().to_owned();
                    if !name.is_empty() && name != extra.name {
                        study.labels.put_extra("rename", Extra { name, edited: true, ..(*extra).clone() });
                    }
                }
                let remove = ui.small_button("Remove").on_hover_text("Undo brings it back");
                if remove.accessible_name(format!("Remove {}", extra.name)).clicked() {
                    let rest = study.labels.extras().iter().filter(|e| e.number != extra.number).cloned().collect();
                    study.labels.change_extras("remove structure", rest);
                }
            });
        }
    }
}

fn millimetres(ui: &mut Ui, mm: &mut f64) -> egui::Response {
    ui.add(DragValue::new(mm).range(0.0..=WIDEST_MM).speed(0.2).max_decimals(1).suffix(" mm"))
}

/// This name, with a number behind it where another structure has it.
fn free_name(labels: &LabelStore, name: &str) -> String {
    let taken = |name: &str| labels.extras().iter().any(|extra| extra.name == name);
    if !taken(name) {
        return name.to_owned();
    }
    (2..).map(|n| format!("{name} {n}")).find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    use super::*;
    use crate::edit::Made;
    use crate::edit::samples::ct;
    use crate::panels::tests::Desk;
    use crate::worker::Event;

    fn harness() -> Harness<'static, Desk> {
        let mut state = Desk::default();
        let mut study = Study::of_ct(1, "sample".into(), ct([20, 20, 5], [1.0, 1.0, 2.0]));
        let mut slice = vec![0; 400];
        for j in 8..12 {
            slice[20 * j + 8..20 * j + 12].fill(Organ::Liver.label());
        }
        study.labels.apply_run_slice(2, &slice);
        let gtv = Extra { number: 1, name: "GTV".into(), runs: vec![[970, 976]], ..Extra::default() };
        study.labels.put_extra("opened", gtv);
        state.study = Some(study);
        state.view.selected = Some(Organ::Liver);
        let app = |ui: &mut egui::Ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.correct);
        let mut harness = Harness::builder().with_size(egui::vec2(420.0, 1600.0)).build_ui_state(app, state);
        harness.run();
        harness.get_by_label("Margins and combinations").click_accesskit();
        harness.run_steps(8);
        harness
    }

    /// What the worker does with what was asked of it.
    fn answer(harness: &mut Harness<'_, Desk>) -> StructureEdit {
        let sent = std::mem::take(&mut harness.state_mut().outbox.commands);
        let [Command::Combine { number, edit, labels }] = &sent[..] else { panic!("{sent:?}") };
        let ct = harness.state().study.as_ref().unwrap().ct.clone();
        let event = match labels.make(&ct, edit, &|_| true).unwrap() {
            Made::Changes(changes) => Event::Edited { number: *number, changes },
            Made::Extra(extra) => Event::Made { number: *number, extra: vec![extra] },
        };
        harness.state_mut().apply(event);
        harness.run_steps(4);
        edit.clone()
    }

    fn click(harness: &mut Harness<'_, Desk>, name: &str) {
        harness.get_by_label(name).click_accesskit();
        harness.run_steps(4);
    }

    #[test]
    fn a_margin_becomes_a_new_structure_is_told_undone_renamed_and_removed() {
        let mut harness = harness();
        click(&mut harness, "Make it");
        let edit = answer(&mut harness);
        assert_eq!((edit.of, edit.into), (Operand::Organ(Organ::Liver), Target::New("Liver+5".into())));
        let labels = |harness: &Harness<'_, Desk>| {
            harness.state().study.as_ref().unwrap().labels.extras().iter().map(|e| e.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(labels(&harness), ["GTV", "Liver+5"]);
        let extra = harness.state().study.as_ref().unwrap().labels.extras()[1].clone();
        assert!(extra.voxel_count() > 16 * 5 && extra.edited && extra.colour != [0; 3]);
        assert!(harness.state().outbox.notices.iter().any(|n| n.text.starts_with("Liver+5: ")));
        // A second one has a name of its own.
        click(&mut harness, "Make it");
        answer(&mut harness);
        assert_eq!(labels(&harness)[2], "Liver+5 2");
        click(&mut harness, "Undo");
        assert_eq!(labels(&harness), ["GTV", "Liver+5"]);
        click(&mut harness, "Remove GTV");
        assert_eq!(labels(&harness), ["Liver+5"]);
        click(&mut harness, "Undo");
        harness.get_by_label("Name of GTV").focus();
        harness.run_steps(3);
        harness.get_by_label("Name of GTV").type_text(" 1");
        harness.run_steps(3);
        harness.key_press(egui::Key::Enter);
        harness.run_steps(3);
        assert_eq!(labels(&harness), ["GTV 1", "Liver+5"]);
    }

    #[test]
    fn what_was_refused_is_not_told_as_made() {
        let mut harness = harness();
        click(&mut harness, "Make it");
        answer(&mut harness);
        let told = |harness: &Harness<'_, Desk>| {
            harness.state().outbox.notices.iter().filter(|n| n.text.starts_with("Liver+5: ")).count()
        };
        assert_eq!(told(&harness), 1);
        // Into the one that is there already, whose name alone says nothing of whether that came about.
        harness.state_mut().panels.side.correct.combine.into = Into::Extra(2);
        harness.run_steps(3);
        click(&mut harness, "Make it");
        let sent = std::mem::take(&mut harness.state_mut().outbox.commands);
        let [Command::Combine { number, .. }] = &sent[..] else { panic!("{sent:?}") };
        harness.state_mut().apply(Event::EditFailed { number: *number, message: "no room".into() });
        harness.run_steps(4);
        assert_eq!(told(&harness), 1);
    }

    #[test]
    fn an_organ_loses_what_another_structure_has() {
        let mut harness = harness();
        let over = PaintOver::Everything;
        let study =
            |harness: &Harness<'_, Desk>| harness.state().study.as_ref().unwrap().labels.voxel_count(Organ::Liver);
        assert_eq!(study(&harness), 16);
        {
            let combine = &mut harness.state_mut().panels.side.correct.combine;
            (combine.kind, combine.with) = (Kind::Difference, Some(Operand::Extra(1)));
            combine.into = Into::Organ(Organ::Liver);
        }
        harness.run_steps(3);
        click(&mut harness, "Make it");
        let edit = answer(&mut harness);
        assert_eq!(edit.operation, Operation::Difference(Operand::Extra(1)));
        assert!(study(&harness) < 16, "{} {over:?}", study(&harness));
        click(&mut harness, "Undo");
        assert_eq!(study(&harness), 16);
    }
}
