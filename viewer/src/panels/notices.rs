//! What the user should read: errors and warnings until they are closed, confirmations for a few seconds, edits that were
//! kept until they are answered; and what is being opened, with a way to give it up.

use egui::{Align2, Area, CornerRadius, Frame, Id, Label, Order, RichText, Sense, Stroke, TextureHandle, Ui, vec2};

use super::context::{Context, Panel};
use super::icons::{self, Icon};
use super::widgets::{icon_button, voxels};
use crate::document::{Notice, Severity, Task, UnsavedEdits};
use crate::theme;
use crate::worker::OpenPicture;

/// Seconds for which a confirmation stays.
const INFO_SECONDS: f64 = 6.0;
/// Notices that are shown at once; the others follow when these are closed.
const MOST: usize = 3;

/// Notices and the progress of opening, over the views.
#[derive(Clone, Debug, Default)]
pub struct NoticeCards {
    /// Confirmations, and when they were first shown.
    since: Vec<(String, f64)>,
    /// The slice that is seen while a scan comes, and its texture.
    coming: Coming,
}

/// A slice, and its texture in the present window.
#[derive(Clone, Default)]
struct Coming(Option<(OpenPicture, TextureHandle)>);

impl std::fmt::Debug for Coming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Coming").field(&self.0.is_some()).finish()
    }
}

impl Coming {
    /// Draws it, as large as there is room.
    fn show(&mut self, ui: &mut Ui, picture: &OpenPicture) {
        let OpenPicture { size, pixels } = picture;
        if size[0] * size[1] == 0 || pixels.len() != size[0] * size[1] {
            return;
        }
        if self.0.as_ref().is_none_or(|(last, _)| last != picture) {
            let image = egui::ColorImage::from_gray(*size, pixels);
            let texture = ui.ctx().load_texture("slice that came", image, egui::TextureOptions::LINEAR);
            self.0 = Some((picture.clone(), texture));
        }
        let Some((_, texture)) = &self.0 else { return };
        let side = ui.available_width().min(ui.ctx().content_rect().height() * 0.5);
        let scale = side / size[0].max(size[1]) as f32;
        let shown = vec2(size[0] as f32, size[1] as f32) * scale;
        ui.add(egui::Image::from_texture((texture.id(), shown)).alt_text("A slice that has come"));
    }
}

impl Panel for NoticeCards {
    fn new_window(&mut self) {
        // Its time begins anew.
        self.since.clear();
        self.coming = Coming::default();
    }

    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        expire(ui, cx, &mut self.since);
        // What lies over the views is not in a picture of them.
        if !crate::views::is_taking_picture(ui.ctx()) {
            list(ui, cx);
        }
        self.opening(ui, cx);
    }
}

fn expire(ui: &Ui, cx: &mut Context<'_>, since: &mut Vec<(String, f64)>) {
    let now = ui.input(|i| i.time);
    let infos: Vec<String> =
        cx.outbox.notices.iter().filter(|n| n.severity == Severity::Info).map(|n| n.text.clone()).collect();
    since.retain(|(text, _)| infos.contains(text));
    for text in infos {
        if !since.iter().any(|(t, _)| *t == text) {
            since.push((text, now));
        }
    }
    let old: Vec<String> =
        since.iter().filter(|(_, t)| now - t >= INFO_SECONDS).map(|(text, _)| text.clone()).collect();
    if !since.is_empty() {
        ui.ctx().request_repaint_after_secs(1.0);
    }
    for text in old {
        let place = cx.outbox.notices.iter().position(|n| n.severity == Severity::Info && n.text == text);
        if let Some(n) = place {
            cx.outbox.notices.dismiss(n);
        }
    }
}

fn list(ui: &mut Ui, cx: &mut Context<'_>) {
    let offer = cx.document.unsaved_edits.clone();
    if cx.outbox.notices.is_empty() && offer.is_none() {
        return;
    }
    let count = cx.outbox.notices.iter().count();
    let shown: Vec<(usize, Notice)> =
        cx.outbox.notices.iter().cloned().enumerate().skip(count.saturating_sub(MOST)).collect();
    let mut closed = None;
    let mut all = false;
    let mut answer = None;
    // Over the views, not over the panels beside them.
    let (views, window) = (ui.available_rect_before_wrap(), ui.ctx().content_rect());
    let width = (views.width() - 40.0).clamp(240.0, 460.0);
    let offset = vec2(views.center().x - window.center().x, views.bottom() - window.bottom() - 16.0);
    let area = Area::new(Id::unique("notices")).order(Order::Foreground).anchor(Align2::CENTER_BOTTOM, offset);
    area.accessible_name("Notices").show(ui.ctx(), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = 6.0;
        for (n, notice) in shown {
            if notice_card(ui, &notice, n) {
                closed = Some(n);
            }
        }
        if count > MOST {
            ui.horizontal(|ui| {
                ui.label(RichText::new(format!("and {} older", count - MOST)).small().weak());
                all = ui.small_button("Close all").clicked();
            });
        }
        if let Some(offer) = offer {
            answer = offer_card(ui, &offer);
        }
    });
    if let Some(task) = answer {
        cx.outbox.ask(task);
    }
    if all {
        cx.outbox.notices.clear();
    } else if let Some(n) = closed {
        cx.outbox.notices.dismiss(n);
    }
}

fn notice_card(ui: &mut Ui, notice: &Notice, n: usize) -> bool {
    card(ui, notice.severity, |ui, word| {
        let width = ui.available_width() - theme::target(ui) - ui.spacing().item_spacing.x;
        ui.vertical(|ui| {
            ui.set_width(width);
            said(ui, notice.severity, &notice.text);
        });
        let name = format!("Close {} {}", word.to_lowercase(), n + 1);
        icon_button(ui, Icon::Close, &name, "", None, true).clicked()
    })
}

/// Edits that were kept when the program ended, or by another window: what to do with them, once that is answered.
fn offer_card(ui: &mut Ui, offer: &UnsavedEdits) -> Option<Task> {
    card(ui, Severity::Info, |ui, _| {
        ui.vertical(|ui| {
            let one = offer.kept.len() == 1;
            said(ui, Severity::Info, "Edits of this CT that were not saved were found:");
            for kept in &offer.kept {
                let holds = if kept.holds.is_empty() { String::new() } else { format!(", {}", kept.holds) };
                ui.add(Label::new(format!("\u{2022} {}: {}{holds}", kept.age, voxels(kept.voxels))).wrap());
            }
            if !one {
                let text = "Where they touch the same voxel, the newer ones count.";
                ui.add(Label::new(RichText::new(text).small().weak()).wrap());
            }
            ui.horizontal_wrapped(|ui| {
                let mut task = None;
                let restore = if one { format!("Restore {}", voxels(offer.voxels)) } else { "Restore all".into() };
                if ui.button(restore).clicked() {
                    task = Some(Task::RestoreEdits { newest_only: false });
                }
                if !one && ui.button("Only the newest").clicked() {
                    task = Some(Task::RestoreEdits { newest_only: true });
                }
                if ui.button(if one { "Discard" } else { "Discard all" }).clicked() {
                    task = Some(Task::DiscardEdits);
                }
                task
            })
            .inner
        })
        .inner
    })
}

/// The word of a severity, its picture and its colour.
fn look(ui: &Ui, severity: Severity) -> (Icon, &'static str, egui::Color32) {
    let v = ui.visuals();
    match severity {
        Severity::Info => (Icon::Info, "Note", theme::accent_of(ui)),
        Severity::Warning => (Icon::Warning, "Warning", v.warn_fg_color),
        Severity::Error => (Icon::Error, "Error", v.error_fg_color),
    }
}

fn said(ui: &mut Ui, severity: Severity, text: &str) {
    let (_, word, colour) = look(ui, severity);
    ui.add_space(4.0);
    ui.label(RichText::new(word).small().color(colour));
    ui.add(Label::new(text).wrap().selectable(true));
}

/// A frame with the picture of a severity, and beside it what `body` draws.
fn card<R>(ui: &mut Ui, severity: Severity, body: impl FnOnce(&mut Ui, &str) -> R) -> R {
    let (icon, word, colour) = look(ui, severity);
    let shadow = ui.visuals().popup_shadow;
    let frame = Frame::new().fill(ui.visuals().window_fill).stroke(Stroke::new(1.0, colour));
    let frame = frame.corner_radius(CornerRadius::same(6)).shadow(shadow);
    let frame = frame.inner_margin(egui::Margin { left: 10, right: 4, top: 6, bottom: 6 });
    frame
        .show(ui, |ui| {
            ui.horizontal_top(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(20.0, 26.0), Sense::hover());
                icons::paint(ui.painter(), icon, rect.shrink(2.0), colour);
                body(ui, word)
            })
            .inner
        })
        .inner
}

impl NoticeCards {
    fn opening(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        // Not a copy of it: that would hold all files of a folder, once a frame.
        let Some(opening) = &cx.document.opening else {
            self.coming = Coming::default();
            return;
        };
        if let Some(bytes) = opening.large {
            return question(ui, cx, bytes);
        }
        let area =
            Area::new(Id::unique("opening")).order(Order::Foreground).anchor(Align2::CENTER_CENTER, vec2(0.0, -60.0));
        let mut cancel = false;
        area.accessible_name("Opening").show(ui.ctx(), |ui| {
            Frame::window(ui.style()).show(ui, |ui| {
                ui.set_width(340.0);
                if let Some(picture) = &opening.picture {
                    self.coming.show(ui, picture);
                }
                ui.label(opening.step.as_str());
                match opening.part {
                    Some(part) => {
                        ui.add(egui::ProgressBar::new(part).show_percentage()).accessible_name("Opening, done")
                    }
                    None => ui.add(egui::Spinner::new()),
                };
                cancel = ui.button("Cancel opening").clicked();
            });
        });
        if cancel {
            cx.document.cancel_open(cx.outbox);
        }
    }
}

/// "It will need about 3.1 GB": memory is counted in the units of the shops.
fn gigabytes(bytes: u64) -> String {
    let gb = bytes as f64 / 1e9;
    if gb < 10.0 { format!("{gb:.1} GB") } else { format!("{gb:.0} GB") }
}

fn question(ui: &mut Ui, cx: &mut Context<'_>, bytes: u64) {
    let frame = Frame::window(ui.style());
    let modal = egui::Modal::new(Id::unique("large")).frame(frame).show(ui.ctx(), |ui| {
        ui.set_width(380.0);
        ui.heading("This scan is large");
        ui.add_space(4.0);
        let text = format!(
            "It will need about {} of memory, and there may not be so much. Going on may slow the computer down or end this \
             program.",
            gigabytes(bytes)
        );
        ui.add(Label::new(text).wrap());
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            let size = vec2(90.0, theme::target(ui));
            let cancel = ui.add(egui::Button::new("Cancel").min_size(size));
            let go = ui.add(egui::Button::new("Go on").min_size(size));
            (cancel.clicked(), go.clicked())
        })
        .inner
    });
    let (cancel, go) = modal.inner;
    if go {
        cx.document.open_although_large(cx.outbox);
    } else if cancel || modal.should_close() {
        cx.document.cancel_open(cx.outbox);
    }
}

#[cfg(test)]
mod tests {
    use super::gigabytes;

    #[test]
    fn memory_is_told_in_gigabytes() {
        assert_eq!([3_140_000_000, 512_000_000, 23_000_000_000].map(gigabytes), ["3.1 GB", "0.5 GB", "23 GB"]);
    }
}
