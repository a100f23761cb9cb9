//! What is searched for, and the studies that were found: fifty at a time, sorted by a click on a head, chosen with mouse or arrow keys.

use attention_anatomy::dicomweb::{Page, StudyQuery, StudyRow};
use attention_anatomy::formats::dicom::{date, person_name};
use egui::{Key, Modifiers, ScrollArea, TextEdit, Ui, vec2};

use super::rows::{STUDIES, heads, line};
use crate::document::{Document, Outbox};
use crate::theme;

/// Studies of a page.
const PAGE: usize = 50;
/// What stands for what must not be read before a class.
const HIDDEN: &str = "hidden";

/// What was typed, and how the list is sorted.
#[derive(Clone, Debug, Default)]
pub struct Search {
    name: String,
    id: String,
    accession: String,
    description: String,
    dates: String,
    /// What is wrong with the dates.
    wrong: Option<String>,
    /// What was searched for last, for its other pages.
    last: Option<StudyQuery>,
    sorted: Option<(usize, bool)>,
}

/// Names are begun and not spelled out: what has no wildcard of its own is found anywhere in them.
fn anywhere(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.contains(['*', '?']) { text.into() } else { format!("*{text}*") }
}

impl Search {
    fn query(&self) -> Result<StudyQuery, String> {
        let dates = match self.dates.trim() {
            "" => String::new(),
            text => StudyQuery::dates_of(text).map_err(|error| error.to_string())?,
        };
        Ok(StudyQuery {
            uid: String::new(),
            patient_name: anywhere(&self.name),
            patient_id: self.id.trim().into(),
            accession: self.accession.trim().into(),
            description: anywhere(&self.description),
            dates,
            modality: String::new(),
        })
    }

    /// What is searched for.
    pub fn fields(&mut self, ui: &mut Ui, document: &mut Document, outbox: &mut Outbox) {
        let mut is_asked = false;
        ui.horizontal_wrapped(|ui| {
            for (name, hint, text, width) in [
                ("Patient", "any part of the name", &mut self.name, 150.0),
                ("ID", "", &mut self.id, 90.0),
                ("Accession", "", &mut self.accession, 90.0),
                ("Description", "any part", &mut self.description, 120.0),
                ("Dates", "2024-01-01..2024-01-31", &mut self.dates, 160.0),
            ] {
                let label = ui.label(name);
                let edit =
                    ui.add(TextEdit::singleline(text).hint_text(hint).desired_width(width)).labelled_by(label.id);
                is_asked |= edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            }
            is_asked |= ui.add(egui::Button::new("Search").min_size(vec2(80.0, theme::target(ui)))).clicked();
        });
        if is_asked {
            // The keyboard goes from what was typed to what will be listed.
            if let Some(id) = ui.memory(|memory| memory.focused()) {
                ui.memory_mut(|memory| memory.surrender_focus(id));
            }
            match self.query() {
                Ok(query) => {
                    self.wrong = None;
                    self.last = Some(query.clone());
                    document.list_studies(query, Page { limit: PAGE, offset: 0 }, outbox);
                }
                Err(sentence) => self.wrong = Some(sentence),
            }
        }
        if let Some(wrong) = &self.wrong {
            ui.colored_label(ui.visuals().error_fg_color, wrong);
        }
    }

    fn turn(&self, document: &mut Document, outbox: &mut Outbox, offset: usize) {
        if let Some(query) = self.last.clone() {
            document.list_studies(query, Page { limit: PAGE, offset }, outbox);
        }
    }

    /// The studies that were found; `chosen` is the UID of one of them.
    pub fn list(&mut self, ui: &mut Ui, document: &mut Document, outbox: &mut Outbox, chosen: &mut Option<String>) {
        let hides = document.preferences.hide_patient;
        let Some(studies) = document.archives.studies.clone() else { return };
        let mut rows: Vec<(Vec<String>, &StudyRow)> = studies.rows.iter().map(|row| (cells(row, hides), row)).collect();
        if let Some((by, descending)) = self.sorted {
            rows.sort_by_cached_key(|row| key(&row.0, by));
            if descending {
                rows.reverse();
            }
        }
        if let Some(clicked) = heads(ui, &STUDIES, self.sorted) {
            self.sorted = match self.sorted {
                Some((by, false)) if by == clicked => Some((by, true)),
                Some((by, true)) if by == clicked => None,
                _ => Some((clicked, false)),
            };
        }
        let keys = Keys::pressed(ui);
        let now = rows.iter().position(|(_, row)| Some(&row.uid) == chosen.as_ref());
        let moved = keys.moved(now, rows.len());
        if let Some(place) = moved {
            *chosen = Some(rows[place].1.uid.clone());
        }
        let tallest = (ui.ctx().content_rect().height() * 0.42).clamp(120.0, 460.0);
        ScrollArea::vertical().id_salt("studies").max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (n, (cells, row)) in rows.iter().enumerate() {
                let is_chosen = chosen.as_ref() == Some(&row.uid);
                let response = line(ui, &STUDIES, cells, n, is_chosen);
                if moved == Some(n) {
                    response.scroll_to_me(None);
                }
                if response.clicked() {
                    *chosen = Some(row.uid.clone());
                }
            }
        });
        if rows.is_empty() {
            ui.weak(if studies.page.offset == 0 { "No study is like that." } else { "There are no more." });
        }
        let Page { limit, offset } = studies.page;
        ui.horizontal(|ui| {
            let before = ui.add_enabled(offset > 0, egui::Button::new("Before")).accessible_name("Studies before");
            let after = ui.add_enabled(studies.may_go_on(), egui::Button::new("After"));
            let after = after.accessible_name("Studies after");
            if offset > 0 && (before.clicked() || keys.back) {
                self.turn(document, outbox, offset.saturating_sub(limit));
            } else if studies.may_go_on() && (after.clicked() || keys.on) {
                self.turn(document, outbox, offset + limit);
            }
            if !rows.is_empty() {
                ui.weak(format!("{} to {}", offset + 1, offset + rows.len()));
            }
            if studies.skipped > 0 {
                ui.weak(format!("{} more do not say which study they are", studies.skipped));
            }
        });
    }
}

/// Keys of the list, as long as nothing is typed.
#[derive(Clone, Copy, Debug, Default)]
struct Keys {
    by: isize,
    back: bool,
    on: bool,
}

impl Keys {
    fn pressed(ui: &Ui) -> Self {
        if ui.ctx().text_edit_focused() {
            return Self::default();
        }
        ui.input_mut(|input| {
            let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
            let (up, down) = (pressed(Key::ArrowUp), pressed(Key::ArrowDown));
            Self { by: isize::from(down) - isize::from(up), back: pressed(Key::PageUp), on: pressed(Key::PageDown) }
        })
    }

    /// The line that is chosen now, if that is another one.
    fn moved(self, now: Option<usize>, count: usize) -> Option<usize> {
        if self.by == 0 || count == 0 {
            return None;
        }
        let place = match now {
            Some(now) => now.saturating_add_signed(self.by).min(count - 1),
            None => 0,
        };
        (Some(place) != now).then_some(place)
    }
}

/// What a study is sorted by: numbers as numbers.
fn key(cells: &[String], by: usize) -> (usize, String) {
    let text = cells.get(by).cloned().unwrap_or_default();
    (text.parse().unwrap_or(usize::MAX), text.to_lowercase())
}

fn cells(row: &StudyRow, hides: bool) -> Vec<String> {
    let shown = |text: String| if hides && !text.is_empty() { HIDDEN.into() } else { text };
    vec![
        shown(person_name(&row.patient_name)),
        shown(row.patient_id.clone()),
        date(&row.date),
        row.description.clone(),
        shown(row.accession.clone()),
        row.modalities.join(" "),
        row.instances.map_or_else(String::new, |count| count.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_within_the_list_and_begin_at_its_top() {
        let down = Keys { by: 1, ..Keys::default() };
        let up = Keys { by: -1, ..Keys::default() };
        assert_eq!([down.moved(None, 3), down.moved(Some(0), 3), down.moved(Some(2), 3)], [Some(0), Some(1), None]);
        assert_eq!([up.moved(Some(2), 3), up.moved(Some(0), 3), down.moved(None, 0)], [Some(1), None, None]);
        assert_eq!(Keys::default().moved(Some(1), 3), None);
    }

    #[test]
    fn names_are_found_by_a_part_and_wildcards_are_left_as_they_are() {
        assert_eq!(["yam", " Yam*", ""].map(anywhere), ["*yam*", "Yam*", ""]);
        let search = Search { dates: "2024-13".into(), ..Search::default() };
        assert!(search.query().unwrap_err().contains("2024-01-31"));
        let search = Search { dates: "2024-01-01..".into(), name: "Müller".into(), ..Search::default() };
        let query = search.query().unwrap();
        assert_eq!((query.dates.as_str(), query.patient_name.as_str()), ("20240101-", "*Müller*"));
    }

    #[test]
    fn before_a_class_nobody_is_named() {
        let row = StudyRow {
            patient_name: "Yamada^Tarou=山田^太郎".into(),
            patient_id: "JP-1".into(),
            accession: "A100".into(),
            date: "20240131".into(),
            instances: Some(12),
            ..StudyRow::default()
        };
        assert_eq!(cells(&row, false)[..3], ["Yamada, Tarou · 山田 太郎", "JP-1", "2024-01-31"].map(String::from));
        let hidden = cells(&row, true).join(" ");
        assert!(["Yamada", "山田", "JP-1", "A100"].iter().all(|private| !hidden.contains(private)), "{hidden}");
        let row = |count: usize| StudyRow { instances: Some(count), ..StudyRow::default() };
        assert!(key(&cells(&row(9), false), 6) < key(&cells(&row(10), false), 6), "as numbers");
    }
}
