//! Whose scan the views show: a line above them, as in any clinical viewer, and one switch that hides it before a class.

use egui::{Align, Layout, RichText, Ui, vec2};

use super::context::{Context, Panel};
use crate::document::Study;
use crate::theme;
use crate::worker::AboutScan;

/// The line.
#[derive(Clone, Debug, Default)]
pub struct Subject;

impl Panel for Subject {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let Some(study) = &cx.document.study else { return };
        ui.horizontal(|ui| show(ui, study, &mut cx.document.preferences.hide_patient));
    }
}

/// What the line says: patient first, then study and series. One part each.
fn parts(study: &Study) -> Vec<String> {
    let Some(about) = &study.about else { return vec![study.name.clone()] };
    let AboutScan { patient, id, birth_date, sex, study_date, study, series, position, window: _ } = &**about;
    let said = |before: &str, value: &String| (!value.is_empty()).then(|| format!("{before}{value}"));
    let parts = [
        said("", patient),
        said("ID ", id),
        said("born ", birth_date),
        said("", sex),
        said("studied ", study_date),
        said("", study),
        said("", series).filter(|_| series != study),
        said("", position),
    ];
    parts.into_iter().flatten().collect()
}

/// The same as one sentence, for a screen reader.
pub fn spoken(study: &Study) -> String {
    format!("{}.", parts(study).join(", "))
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
            let said = parts(study);
            let mut whole = said.join("   ");
            let label = egui::Label::new(RichText::new(&whole).strong()).truncate();
            let response = ui.add(label);
            if let Some(about) = &study.about {
                let position = position_in_words(&about.position);
                if !position.is_empty() {
                    whole = format!("{whole} ({position})");
                }
            }
            response.on_hover_text(whole);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn the_line_names_patient_study_and_series_and_a_file_where_there_is_nothing_else() {
        let mut study = sample::study();
        assert_eq!(parts(&study), ["neck-to-abdomen.nii.gz"]);
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
        assert_eq!(parts(&study), said);
        assert_eq!(study.title(), "Thorax");
        assert!(!format!("{study:?}").contains("Yamada"), "a log line must not carry a name");
    }
}
