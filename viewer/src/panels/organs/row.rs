//! One organ in the list.

use attention_anatomy::anatomy::Organ;
use egui::color_picker::{Alpha, color_picker_color32};
use egui::{CornerRadius, Popup, PopupCloseBehavior, Rect, Role, Sense, Stroke, StrokeKind, TextStyle, Ui, WidgetInfo};
use egui::{pos2, vec2};

use super::super::context::Context;
use super::super::icons::Icon;
use super::super::widgets::{elided, icon_button_at, millilitres, short_name, slice_number, swatch};
use super::known::{Known, known};
use crate::document::Document;
use crate::theme;

/// What was measured of an organ, in one short line; `None` where it was not found.
pub fn measures(document: &Document, organ: Organ) -> Option<String> {
    let labels = &document.study.as_ref()?.labels;
    let (first, last) = labels.first_last_slice(organ)?;
    let hu = labels.mean_hu(organ)?;
    let (first, last) = (slice_number(first), slice_number(last));
    Some(format!("{} \u{b7} {hu:.0} HU \u{b7} {first}\u{2013}{last}", millilitres(labels.volume_ml(organ))))
}

/// The same for a screen reader.
fn spoken(document: &Document, organ: Organ, tag: Option<&str>) -> String {
    let measured = document.study.as_ref().and_then(|study| {
        let (first, last) = study.labels.first_last_slice(organ)?;
        let (ml, hu) = (millilitres(study.labels.volume_ml(organ)), study.labels.mean_hu(organ)?);
        Some(format!("{ml}, mean {hu:.0} HU, slices {} to {}", slice_number(first), slice_number(last)))
    });
    match (measured, tag) {
        (Some(measured), Some(tag)) => format!("{organ}, {measured}, {tag}"),
        (Some(measured), None) => format!("{organ}, {measured}"),
        (None, Some(tag)) => format!("{organ}, {tag}"),
        (None, None) => format!("{organ}, not found"),
    }
}

/// Draws the row, and does what is clicked in it.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>, organ: Organ, scrolled_to: &mut Option<Organ>) {
    let knowledge = known(&cx.document.model, organ);
    let measured = measures(cx.document, organ);
    let present = measured.is_some();
    let edited = cx.document.study.as_ref().is_some_and(|s| s.labels.edited_organs().contains(organ));
    let tag = if edited { Some("edited by hand".to_string()) } else { knowledge.why_off() };
    // That somebody edited it is never what is cut off.
    let second = match (&measured, &tag) {
        (Some(m), Some(_)) if edited => Some(format!("edited \u{b7} {m}")),
        (Some(m), _) => Some(m.clone()),
        (None, tag) => tag.clone(),
    };
    let sentence = knowledge.sentence();
    let drawable = present || matches!(knowledge, Known::On(_) | Known::NoWeights);

    let button = theme::target(ui);
    let height = if second.is_some() { 37.0_f32 } else { 28.0 }.max(button);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    let name = spoken(cx.document, organ, tag.as_deref());
    let selected = cx.document.view.selected == Some(organ);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &name));
    // Chosen in the views or the bars: the list follows.
    if selected && *scrolled_to != Some(organ) {
        response.scroll_to_me(Some(egui::Align::Center));
        *scrolled_to = Some(organ);
    }
    let style = cx.document.view.styles[organ.index()];
    // A finger needs more room for the colour than the square takes.
    let indent = button.max(28.0);
    let square = Rect::from_center_size(pos2(rect.left() + indent / 2.0, rect.center().y), vec2(16.0, 16.0));
    if ui.is_rect_visible(rect) {
        let fill = match () {
            () if selected => Some(ui.visuals().selection.bg_fill),
            () if response.hovered() || response.has_focus() => Some(ui.visuals().faint_bg_color),
            () => None,
        };
        if let Some(fill) = fill {
            let stroke = if response.has_focus() { Stroke::new(1.5, theme::accent_of(ui)) } else { Stroke::NONE };
            ui.painter().rect(rect, CornerRadius::same(4), fill, stroke, StrokeKind::Inside);
        }
        swatch(ui, square, style.colour, !present || !cx.document.view.shows(organ));
        let width = rect.width() - indent - 2.0 * button - 4.0;
        let v = ui.visuals();
        let (ink, weak) = match () {
            () if selected => (v.selection.stroke.color, v.selection.stroke.color),
            () if present => (v.text_color(), v.weak_text_color()),
            () => (v.weak_text_color(), v.weak_text_color()),
        };
        let name = elided(ui, &short_name(organ), TextStyle::Body, ink, width);
        let left = rect.left() + indent;
        match second {
            Some(second) => {
                let second =
                    elided(ui, &second, TextStyle::Small, weak, width + if drawable { 0.0 } else { 2.0 * button });
                ui.painter().galley(pos2(left, rect.center().y - name.size().y + 1.0), name, ink);
                ui.painter().galley(pos2(left, rect.center().y + 2.0), second, weak);
            }
            None => {
                ui.painter().galley(pos2(left, rect.center().y - name.size().y / 2.0), name, ink);
            }
        }
    }
    let id = response.id;
    if response.on_hover_text(format!("{organ}\n{sentence}")).clicked() {
        cx.document.view.selected = Some(organ);
        if let Some(centre) = cx.document.study.as_ref().and_then(|s| s.labels.centre(organ)) {
            cx.document.go_to(centre);
        }
    }
    let well = if button > theme::TOUCH { button / 2.0 } else { 13.0 };
    colour(ui, cx, organ, Rect::from_center_size(square.center(), vec2(2.0 * well, 2.0 * well)), id);
    if drawable {
        buttons(ui, cx, organ, rect, id);
    }
}

fn colour(ui: &Ui, cx: &mut Context<'_>, organ: Organ, rect: Rect, id: egui::Id) {
    let response = ui.interact(rect, id.with("colour"), Sense::click());
    let name = format!("Colour of {}", organ.name().to_lowercase());
    response.widget_info(|| WidgetInfo::labeled(Role::ColorWell, true, &name));
    if response.has_focus() {
        let stroke = Stroke::new(1.5, theme::accent_of(ui));
        ui.painter().rect_stroke(rect, CornerRadius::same(4), stroke, StrokeKind::Inside);
    }
    let response = response.on_hover_text(&name);
    let popup = Popup::from_toggle_button_response(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    popup.show(|ui| {
        let chosen = &mut cx.document.view.styles[organ.index()].colour;
        let mut colour = theme::colour(*chosen);
        ui.name_inputs(name, |ui| {
            ui.spacing_mut().slider_width = 220.0;
            if color_picker_color32(ui, &mut colour, Alpha::Opaque) {
                *chosen = [colour.r(), colour.g(), colour.b()];
            }
        });
        if ui.button("Back to the usual colour").clicked() {
            *chosen = organ.colour();
            ui.close();
        }
    });
}

fn buttons(ui: &Ui, cx: &mut Context<'_>, organ: Organ, rect: Rect, id: egui::Id) {
    let side = theme::target(ui);
    let spot = |n: f32| {
        let centre = pos2(rect.right() - side * (n + 0.5), rect.center().y);
        Rect::from_center_size(centre, vec2(side, side.min(rect.height())))
    };
    let lower = organ.name().to_lowercase();
    let alone = cx.document.view.solo == Some(organ);
    let name = format!("Only {lower}");
    let solo = super::super::widgets::quiet_icon_button_at(ui, spot(1.0), id.with("solo"), Icon::Target, &name, alone);
    if solo.clicked() {
        cx.document.view.solo = (!alone).then_some(organ);
    }
    let visible = cx.document.view.styles[organ.index()].visible;
    let icon = if visible { Icon::Eye } else { Icon::EyeShut };
    if icon_button_at(ui, spot(0.0), id.with("eye"), icon, &format!("Show {lower}"), Some(visible)).clicked() {
        cx.document.view.styles[organ.index()].visible = !visible;
    }
}
