//! What the user has to say before something goes on: which of several series or structure sets, whether numbers are those of our
//! organs, whether values are HU, whether a run may replace what a file brought.

use std::collections::BTreeMap;

use attention_anatomy::formats::dicom::Repair;
use egui::{Button, Grid, Label, Modal, RichText, ScrollArea, TextureHandle, Ui, vec2};

use super::context::{Context, Panel};
use super::widgets::{grouped, millilitres};
use crate::document::Question;
use crate::theme;
use crate::worker::{DoubtfulOrgan, OpenAnswer, OpenQuestion, SeriesEntry};

/// Side of the picture of a series, points.
const PICTURE: f32 = 72.0;

/// The dialog, and the pictures in it.
#[derive(Clone, Default)]
pub struct Questions {
    /// By job and place.
    pictures: BTreeMap<(u64, usize), TextureHandle>,
}

impl std::fmt::Debug for Questions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Questions").field("pictures", &self.pictures.len()).finish()
    }
}

/// What was answered.
enum Answer {
    None,
    /// Nothing is done.
    Decline,
    Yes,
    Opening(OpenAnswer),
}

impl Panel for Questions {
    fn new_window(&mut self) {
        self.pictures.clear();
    }

    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let Some(question) = &cx.document.question else {
            self.pictures.clear();
            return;
        };
        let frame = egui::Frame::popup(ui.style()).inner_margin(theme::DIALOG);
        let modal = Modal::new(egui::Id::unique("question")).frame(frame).show(ui.ctx(), |ui| {
            let wanted = match question {
                Question::Opening { question: OpenQuestion::Series(_) | OpenQuestion::Names { .. }, .. } => 600.0,
                _ => 420.0,
            };
            ui.set_width(theme::dialog_width(ui, wanted));
            theme::let_dialog_grow(ui);
            match question {
                Question::Replace(file) => replace(ui, file),
                Question::NotHu(message) => not_hu(ui, message),
                Question::Opening { job, question } => match question {
                    OpenQuestion::Series(series) => self.series(ui, *job, series),
                    OpenQuestion::Names { name, organs } => names(ui, name, organs),
                    OpenQuestion::Structures(titles) => structures(ui, titles),
                    OpenQuestion::Repair { problem, repair } => mend(ui, problem, *repair),
                },
            }
        });
        match modal.inner {
            Answer::None if modal.should_close() => cx.document.decline(cx.outbox),
            Answer::None => {}
            Answer::Decline => cx.document.decline(cx.outbox),
            Answer::Yes if matches!(question, Question::NotHu(_)) => cx.document.assume_hu(cx.outbox),
            Answer::Yes => cx.document.replace_by_run(cx.outbox),
            Answer::Opening(answer) => cx.document.answer_opening(answer, cx.outbox),
        }
    }
}

fn text(ui: &mut Ui, text: impl Into<String>) {
    ui.add(Label::new(text.into()).wrap());
}

/// Buttons below each other's text, the safe one first. The one that was clicked.
fn buttons(ui: &mut Ui, names: &[&str]) -> Option<usize> {
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        let mut clicked = None;
        for (n, name) in names.iter().enumerate() {
            if ui.add(Button::new(*name).min_size(vec2(90.0, theme::TOUCH))).clicked() {
                clicked = Some(n);
            }
        }
        clicked
    })
    .inner
}

fn replace(ui: &mut Ui, file: &str) -> Answer {
    ui.heading("Replace what is on screen?");
    ui.add_space(4.0);
    text(
        ui,
        format!(
            "The labels on screen come from {file}. A segmentation puts its own in their place; what was edited here by hand stays."
        ),
    );
    match buttons(ui, &["Keep them", "Replace them"]) {
        Some(0) => Answer::Decline,
        Some(_) => Answer::Yes,
        None => Answer::None,
    }
}

/// An error as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut message = message.to_owned();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    message + "."
}

fn mend(ui: &mut Ui, problem: &str, repair: Repair) -> Answer {
    let (heading, what, yes) = match repair {
        Repair::FillGaps => (
            "Slices are missing",
            "They can be interpolated between their neighbours. Nobody has measured what is seen there then: the notices name these slices, and \
             RTSTRUCT and SEG hold nothing on them.",
            "Interpolate them",
        ),
        Repair::CorrectTilt => (
            "The gantry was tilted",
            "Each slice can be shifted within its own plane, and resampled, so that they stand upright. Contours are written on the slices as \
             they were taken.",
            "Correct the tilt",
        ),
    };
    ui.heading(heading);
    ui.add_space(4.0);
    text(ui, sentence(problem));
    ui.add_space(4.0);
    text(ui, what);
    match buttons(ui, &["Do not open", yes]) {
        Some(0) => Answer::Decline,
        Some(_) => Answer::Opening(OpenAnswer::Repair),
        None => Answer::None,
    }
}

fn not_hu(ui: &mut Ui, message: &str) -> Answer {
    ui.heading("This does not look like CT in HU");
    ui.add_space(4.0);
    text(ui, sentence(message));
    ui.add_space(4.0);
    text(
        ui,
        "The network knows HU only: on other values its outlines are wrong, and look as if they were right. Go on only if you know that \
         these are HU; the report will say so.",
    );
    match buttons(ui, &["Do not segment", "Segment all the same"]) {
        Some(0) => Answer::Decline,
        Some(_) => Answer::Yes,
        None => Answer::None,
    }
}

fn structures(ui: &mut Ui, titles: &[String]) -> Answer {
    ui.heading("Which structures?");
    ui.add_space(4.0);
    text(ui, format!("{} structure sets or segmentations were opened; one is shown.", titles.len()));
    ui.add_space(4.0);
    let mut answer = Answer::None;
    let tallest = (ui.ctx().content_rect().height() - 240.0).max(90.0);
    ScrollArea::vertical().max_height(tallest).show(ui, |ui| {
        for (place, title) in titles.iter().enumerate() {
            let button = Button::new(title.as_str()).wrap().min_size(vec2(ui.available_width(), theme::TOUCH));
            if ui.add(button).clicked() {
                answer = Answer::Opening(OpenAnswer::Structures(Some(place)));
            }
        }
    });
    if buttons(ui, &["None of them"]).is_some() {
        answer = Answer::Opening(OpenAnswer::Structures(None));
    }
    answer
}

fn names(ui: &mut Ui, file: &str, organs: &[DoubtfulOrgan]) -> Answer {
    ui.heading("What do these numbers mean?");
    ui.add_space(4.0);
    let doubtful = organs.iter().filter(|organ| !organ.doubts.is_empty()).count();
    let verdict = match (doubtful, organs.len()) {
        (_, 0) => "It holds no label.".to_string(),
        (0, _) => "By size, density and place they may be those of this program's own list:".into(),
        (n, all) if n == all => "They do not look like those of this program's own list:".into(),
        (n, all) => format!("{n} of {all} do not look like those of this program's own list:"),
    };
    text(
        ui,
        format!(
            "Nothing in {file} says which organ each number stands for, and every program has a list of its own. {verdict}"
        ),
    );
    ui.add_space(4.0);
    let tallest = (ui.ctx().content_rect().height() - 300.0).clamp(90.0, 340.0);
    ScrollArea::vertical().max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
        let colour = ui.visuals().warn_fg_color;
        let doubts = |organ: &DoubtfulOrgan| RichText::new(organ.doubts.join(", ")).color(colour);
        if ui.available_width() < theme::NARROW {
            for organ in organs {
                ui.horizontal(|ui| {
                    ui.label(format!("{}: {}", organ.label, organ.organ));
                    let right = egui::Layout::right_to_left(egui::Align::Center);
                    ui.with_layout(right, |ui| ui.label(millilitres(organ.volume_ml)));
                });
                if !organ.doubts.is_empty() {
                    ui.add(Label::new(doubts(organ)).wrap());
                }
                ui.add_space(2.0);
            }
            return;
        }
        Grid::new("numbers").num_columns(4).striped(true).spacing([14.0, 3.0]).show(ui, |ui| {
            for title in ["Number", "Would be", "Volume", "But it is"] {
                ui.label(RichText::new(title).small().weak());
            }
            ui.end_row();
            for organ in organs {
                ui.label(organ.label.to_string());
                ui.label(organ.organ.as_str());
                ui.label(millilitres(organ.volume_ml)).on_hover_text(format!("median {:.0} HU", organ.median_hu));
                ui.label(doubts(organ));
                ui.end_row();
            }
        });
    });
    ui.add_space(4.0);
    ui.add(
        Label::new(
            RichText::new(
                "A table of names beside the file (.json, .ctbl, .txt, .csv of the same folder, opened together with it) answers this for good.",
            )
            .small()
            .weak(),
        )
        .wrap(),
    );
    match buttons(ui, &["Cancel", "Show without names", "The names are right"]) {
        Some(0) => Answer::Decline,
        Some(1) => Answer::Opening(OpenAnswer::ByNumber),
        Some(_) => Answer::Opening(OpenAnswer::NamesAreRight),
        None => Answer::None,
    }
}

impl Questions {
    fn series(&mut self, ui: &mut Ui, job: u64, series: &[SeriesEntry]) -> Answer {
        ui.heading("Which series?");
        ui.add_space(4.0);
        text(
            ui,
            format!(
                "{} series were opened. The network was trained on original axial slices of soft tissue.",
                series.len()
            ),
        );
        ui.add_space(4.0);
        let mut answer = Answer::None;
        // The one that suits best first, then in the order of the files.
        let mut order: Vec<usize> = (0..series.len()).collect();
        order.sort_by_key(|&place| series[place].best.is_none());
        let tallest = (ui.ctx().content_rect().height() - 220.0).max(120.0);
        ScrollArea::vertical().max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            for place in order {
                if self.entry(ui, job, place, &series[place]) {
                    answer = Answer::Opening(OpenAnswer::Series(place));
                }
                ui.add_space(4.0);
            }
        });
        if buttons(ui, &["Cancel"]).is_some() {
            answer = Answer::Decline;
        }
        answer
    }

    /// A series with its picture; whether it was chosen.
    fn entry(&mut self, ui: &mut Ui, job: u64, place: usize, entry: &SeriesEntry) -> bool {
        let frame = egui::Frame::group(ui.style()).inner_margin(6);
        frame
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.horizontal(|ui| {
                    self.picture(ui, job, place, entry);
                    ui.vertical(|ui| {
                        ui.set_width((ui.available_width() - 110.0).max(80.0));
                        let number = entry.number.map_or(String::new(), |n| format!("{n}: "));
                        ui.add(Label::new(RichText::new(format!("{number}{}", entry.description)).strong()).wrap());
                        ui.add(Label::new(RichText::new(facts(entry)).small()).wrap());
                        if let Some(why) = &entry.best {
                            let text = match why.as_str() {
                                "" => "Suits best".to_string(),
                                why => format!("Suits best: {why}"),
                            };
                            ui.add(Label::new(RichText::new(text).small().color(theme::accent_of(ui))).wrap());
                        }
                        if let Some(problem) = &entry.problem {
                            let colour = ui.visuals().warn_fg_color;
                            let mend = if entry.repairable { " It can be mended." } else { "" };
                            let text = format!("{}{mend}", sentence(problem));
                            ui.add(Label::new(RichText::new(text).small().color(colour)).wrap());
                        }
                    });
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                        let button = Button::new("Open").min_size(vec2(80.0, theme::TOUCH));
                        let response = ui.add_enabled(entry.problem.is_none() || entry.repairable, button);
                        response.accessible_name(format!("Open series {}", entry.description)).clicked()
                    })
                    .inner
                })
                .inner
            })
            .inner
    }

    fn picture(&mut self, ui: &mut Ui, job: u64, place: usize, entry: &SeriesEntry) {
        let [width, height] = entry.picture_size;
        let (rect, _) = ui.allocate_exact_size(vec2(PICTURE, PICTURE), egui::Sense::hover());
        ui.painter().rect_filled(rect, 2.0, egui::Color32::BLACK);
        if width == 0 || height == 0 || entry.picture.len() != width * height {
            return;
        }
        let texture = self.pictures.entry((job, place)).or_insert_with(|| {
            let image = egui::ColorImage::from_gray(entry.picture_size, &entry.picture);
            ui.ctx().load_texture(format!("series {place}"), image, egui::TextureOptions::LINEAR)
        });
        let scale = PICTURE / width.max(height) as f32;
        let shown = egui::Rect::from_center_size(rect.center(), vec2(width as f32, height as f32) * scale);
        egui::Image::from_texture(&*texture).paint_at(ui, shown);
    }
}

/// What is known of a series, in one line.
fn facts(entry: &SeriesEntry) -> String {
    let [slices, columns, rows] = entry.size;
    let count = if slices == 1 { "1 slice".to_string() } else { format!("{} slices", grouped(slices as u64)) };
    let mut facts = vec![entry.modality.clone(), format!("{count} of {columns} x {rows}")];
    if let Some([x, _, z]) = entry.spacing {
        let along = if slices == 1 { "thick" } else { "apart" };
        facts.push(format!("{x:.2} mm pixels, {z:.2} mm {along}"));
    }
    if !entry.kernel.is_empty() {
        facts.push(format!("kernel {}", entry.kernel));
    }
    facts.join(" \u{b7} ")
}
