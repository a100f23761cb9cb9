//! Whose scan the views show: a line above them, as in any clinical viewer, and one switch that hides it before a class.

use std::ops::Range;

use egui::{Align, Label, Layout, RichText, TextStyle, Ui, vec2};

use super::context::{Context, Panel};
use crate::document::Study;
use crate::theme;
use crate::worker::AboutScan;

/// Between two parts that are one text.
const BETWEEN: &str = "   ";
/// Between two parts that are two.
const GAP: f32 = 12.0;
/// With less room than this for a name that is longer, the name has a line of its own.
const SHORTEST_NAME: f32 = 150.0;
/// What is left is not begun where there is less room for it.
const SHORTEST_REST: f32 = 40.0;

/// The line.
#[derive(Clone, Debug, Default)]
pub struct Subject;

impl Panel for Subject {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let Some(study) = &cx.document.study else { return };
        ui.horizontal(|ui| show(ui, study, &mut cx.document.preferences.hide_patient));
    }
}

/// What the line says.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// The patient's name; of a scan that does not tell whose it is, the file's.
    name: String,
    /// What tells two patients of one name apart, and two scans of one patient: read whole, however little room there is.
    whole: Vec<String>,
    /// What is left: sex, descriptions, position.
    rest: Vec<String>,
}

impl Said {
    fn of(study: &Study) -> Self {
        let Some(about) = &study.about else { return Self { name: study.name.clone(), ..Self::default() } };
        let AboutScan { patient, id, birth_date, sex, study_date, study: description, series, position, window: _ } =
            &**about;
        let filled = |parts: &[(&str, &String)]| {
            let filled = parts.iter().filter(|(_, value)| !value.is_empty());
            filled.map(|(before, value)| format!("{before}{value}")).collect::<Vec<_>>()
        };
        let mut rest = vec![("", sex), ("", description), ("", position)];
        if series != description {
            rest.insert(2, ("", series));
        }
        let whole = filled(&[("ID ", id), ("born ", birth_date), ("studied ", study_date)]);
        Self { name: patient.clone(), whole, rest: filled(&rest) }
    }

    /// All of it, one part each: patient first, then study and series.
    fn parts(&self) -> Vec<&str> {
        let name = Some(self.name.as_str()).filter(|name| !name.is_empty());
        name.into_iter().chain(self.whole.iter().chain(&self.rest).map(String::as_str)).collect()
    }
}

/// The same as one sentence, for a screen reader.
pub fn spoken(study: &Study) -> String {
    format!("{}.", Said::of(study).parts().join(", "))
}

/// PatientPosition (0018,5100) in words; empty for codes that are no position of a CT.
fn position_in_words(code: &str) -> &'static str {
    match code {
        "HFS" => "head first, supine",
        "HFP" => "head first, prone",
        "HFDR" => "head first, on the right side",
        "HFDL" => "head first, on the left side",
        "FFS" => "feet first, supine",
        "FFP" => "feet first, prone",
        "FFDR" => "feet first, on the right side",
        "FFDL" => "feet first, on the left side",
        _ => "",
    }
}

/// Draws the line, and turns `hidden` where its switch is clicked.
fn show(ui: &mut Ui, study: &Study, hidden: &mut bool) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        if theme::target(ui) <= theme::TOUCH {
            ui.spacing_mut().button_padding.y = 1.0;
            ui.spacing_mut().interact_size.y = 20.0;
        }
        let (word, hint) = match *hidden {
            true => ("Show patient", "Show whose scan this is"),
            false => ("Hide patient", "Before a class: hide name, dates and descriptions, here and in the title"),
        };
        let tall = if theme::target(ui) > theme::TOUCH { theme::target(ui) } else { theme::TOUCH - 6.0 };
        ui.set_min_height(tall);
        let button = egui::Button::new(RichText::new(word).small()).min_size(vec2(0.0, tall));
        if ui.add(button).on_hover_text(hint).clicked() {
            *hidden = !*hidden;
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            if *hidden {
                ui.weak("Whose scan this is, is hidden.");
                return;
            }
            let said = Said::of(study);
            let mut hint = said.parts().join(BETWEEN);
            if let Some(about) = &study.about {
                let position = position_in_words(&about.position);
                if !position.is_empty() {
                    hint = format!("{hint} ({position})");
                }
            }
            lines(ui, &said, &hint);
        });
    });
}

/// Draws what is said on one line if the name has room on it, else the name on a line of its own and below it what is read whole. The
/// name and what is left give way: they are cut off, and whoever points at them reads all.
fn lines(ui: &mut Ui, said: &Said, hint: &str) {
    ui.spacing_mut().item_spacing = vec2(GAP, 1.0);
    // A line of text is no button.
    ui.spacing_mut().interact_size.y = 0.0;
    let font = TextStyle::Body.resolve(ui.style());
    let wide = |text: &str| {
        let galley = ui.painter().layout_no_wrap(text.to_owned(), font.clone(), ui.visuals().strong_text_color());
        // A label is as wide as whole pixels are.
        galley.size().x.ceil()
    };
    let room = ui.available_width();
    let widths: Vec<f32> = said.whole.iter().map(|part| wide(part)).collect();
    let taken: f32 = widths.iter().map(|width| width + GAP).sum();
    let rest = said.rest.join(BETWEEN);
    if wide(&said.name).min(SHORTEST_NAME) + taken <= room {
        if !said.name.is_empty() {
            cut_off(ui, &said.name, room - taken, hint);
        }
        said.whole.iter().for_each(|part| drop(ui.add(strong(part).extend()).on_hover_text(hint)));
        let left = ui.available_width();
        if !rest.is_empty() && left >= SHORTEST_REST {
            cut_off(ui, &rest, left, hint);
        }
        return;
    }
    let first = [said.name.as_str(), &rest].into_iter().filter(|part| !part.is_empty());
    let first = first.collect::<Vec<_>>().join(BETWEEN);
    ui.vertical(|ui| {
        if !first.is_empty() {
            cut_off(ui, &first, room, hint);
        }
        for line in packed(&widths, room) {
            ui.horizontal(|ui| {
                for (part, width) in said.whole[line.clone()].iter().zip(&widths[line]) {
                    let label = strong(part);
                    // One that is longer than a line goes on in the next.
                    let label = if *width > room { label.wrap() } else { label.extend() };
                    ui.add(label).on_hover_text(hint);
                }
            });
        }
    });
}

fn strong(text: &str) -> Label {
    Label::new(RichText::new(text).strong())
}

/// A label that is no wider than this.
fn cut_off(ui: &mut Ui, text: &str, width: f32, hint: &str) {
    ui.scope(|ui| {
        ui.set_max_width(width);
        ui.add(strong(text).truncate().show_tooltip_when_elided(false)).on_hover_text(hint);
    });
}

/// Parts of these widths on lines that are no wider than `room`, in their order; one that is wider has a line of its own.
fn packed(widths: &[f32], room: f32) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let mut used = 0.0;
    for (n, width) in widths.iter().enumerate() {
        match lines.last_mut() {
            Some(line) if used + GAP + width <= room => {
                line.end = n + 1;
                used += GAP + width;
            }
            _ => {
                lines.push(n..n + 1);
                used = *width;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn the_line_names_patient_study_and_series_and_a_file_where_there_is_nothing_else() {
        let mut study = sample::study();
        assert_eq!(Said::of(&study).parts(), ["neck-to-abdomen.nii.gz"]);
        study.about = Some(Box::new(AboutScan {
            patient: "Yamada, Tarou".into(),
            id: "007".into(),
            birth_date: "1952-03-17".into(),
            study_date: "2024-02-29".into(),
            study: "Thorax".into(),
            series: "Thorax".into(),
            position: "HFS".into(),
            ..AboutScan::default()
        }));
        let said = ["Yamada, Tarou", "ID 007", "born 1952-03-17", "studied 2024-02-29", "Thorax", "HFS"];
        assert_eq!(Said::of(&study).parts(), said);
        assert_eq!(spoken(&study), "Yamada, Tarou, ID 007, born 1952-03-17, studied 2024-02-29, Thorax, HFS.");
        assert_eq!(study.title(), "Thorax");
        assert!(!format!("{study:?}").contains("Yamada"), "a log line must not carry a name");
    }
    #[test]
    fn a_part_has_its_line_where_the_last_one_is_full_and_none_is_lost() {
        assert_eq!(packed(&[50.0, 100.0, 120.0], 400.0), vec![0..3]);
        assert_eq!(packed(&[50.0, 100.0, 120.0], 200.0), [0..2, 2..3]);
        assert_eq!(packed(&[300.0, 100.0, 88.0], 200.0), [0..1, 1..3]);
        assert!(packed(&[], 200.0).is_empty());
    }
}
