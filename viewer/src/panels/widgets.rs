//! Controls that several panels use. Each has a name that screen readers and tests find it by.

use std::ops::Range;

use attention_anatomy::anatomy::Organ;
use egui::{
    Color32, CornerRadius, EventFilter, FontId, Key, Rect, Response, Role, Sense, Stroke, StrokeKind, TextStyle, Ui,
    WidgetInfo, accesskit, vec2,
};

use super::icons::{self, Icon};
use crate::theme;

/// How far an arrow key moves a bar.
const STEP: f32 = 0.05;

/// A button that is only a picture. `on` is drawn pressed, for switches.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str, hint: &str, on: Option<bool>, enabled: bool) -> Response {
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(theme::target(ui), theme::target(ui)), sense);
    paint_icon_button(ui, rect, &response, icon, on.unwrap_or(false), enabled);
    name_button(&response, name, on, enabled);
    if hint.is_empty() { response.on_hover_text(name) } else { response.on_hover_text(format!("{name}\n{hint}")) }
}

/// The same at a place that the caller has chosen.
pub fn icon_button_at(ui: &Ui, rect: Rect, id: egui::Id, icon: Icon, name: &str, on: Option<bool>) -> Response {
    let response = ui.interact(rect, id, Sense::click());
    paint_icon_button(ui, rect, &response, icon, false, true);
    name_button(&response, name, on, true);
    response.on_hover_text(name)
}

/// The same, hardly seen until it is pressed or pointed at.
pub fn quiet_icon_button_at(ui: &Ui, rect: Rect, id: egui::Id, icon: Icon, name: &str, on: bool) -> Response {
    let response = ui.interact(rect, id, Sense::click());
    let loud = on || response.hovered() || response.has_focus();
    if loud {
        paint_icon_button(ui, rect, &response, icon, on, true);
    } else if ui.is_rect_visible(rect) {
        let colour = ui.visuals().weak_text_color().gamma_multiply(0.55);
        icons::paint(ui.painter(), icon, Rect::from_center_size(rect.center(), vec2(14.0, 14.0)), colour);
    }
    name_button(&response, name, Some(on), true);
    response.on_hover_text(name)
}

fn name_button(response: &Response, name: &str, on: Option<bool>, enabled: bool) {
    response.widget_info(|| match on {
        Some(on) => WidgetInfo::selected(Role::CheckBox, enabled, on, name),
        None => WidgetInfo::labeled(Role::Button, enabled, name),
    });
}

fn paint_icon_button(ui: &Ui, rect: Rect, response: &Response, icon: Icon, pressed: bool, enabled: bool) {
    if !ui.is_rect_visible(rect) {
        return;
    }
    let visuals = ui.style().interact_selectable(response, pressed);
    if pressed || response.hovered() || response.has_focus() {
        let stroke = if response.has_focus() { Stroke::new(1.5, theme::accent_of(ui)) } else { Stroke::NONE };
        ui.painter().rect(rect, CornerRadius::same(5), visuals.weak_bg_fill, stroke, StrokeKind::Inside);
    }
    let colour = if enabled { visuals.fg_stroke.color } else { ui.visuals().disable(ui.visuals().text_color()) };
    let side = (rect.height() * 0.58).min(17.0);
    icons::paint(ui.painter(), icon, Rect::from_center_size(rect.center(), vec2(side, side)), colour);
}

/// A bar from 0 to 1 across `rect` that can be dragged, set by keyboard (left, right, home, end) and by a screen reader.
/// Draws nothing. True where the value was changed.
pub fn drag_bar(ui: &Ui, rect: Rect, id: egui::Id, name: &str, value: &mut f32, enabled: bool) -> (Response, bool) {
    let sense = if enabled { Sense::click_and_drag() } else { Sense::hover() };
    let response = ui.interact(rect, id, sense);
    let before = *value;
    if enabled {
        if let Some(pointer) = response.interact_pointer_pos() {
            *value = egui::remap_clamp(pointer.x, rect.x_range(), 0.0..=1.0);
        }
        if response.has_focus() {
            let filter = EventFilter { horizontal_arrows: true, ..Default::default() };
            ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
            let (steps, end) = ui.input(|i| {
                let end = match () {
                    () if i.key_pressed(Key::Home) => Some(0.0),
                    () if i.key_pressed(Key::End) => Some(1.0),
                    () => None,
                };
                (i.num_presses(Key::ArrowRight) as f32 - i.num_presses(Key::ArrowLeft) as f32, end)
            });
            *value = end.unwrap_or(*value + STEP * steps);
        }
        ui.input(|i| {
            use accesskit::{Action, ActionData};
            *value += STEP * i.num_accesskit_action_requests(response.id, Action::Increment) as f32;
            *value -= STEP * i.num_accesskit_action_requests(response.id, Action::Decrement) as f32;
            for request in i.accesskit_action_requests(response.id, Action::SetValue) {
                if let Some(ActionData::NumericValue(wanted)) = request.data {
                    *value = wanted as f32;
                }
            }
        });
        *value = value.clamp(0.0, 1.0);
    }
    let shown = f64::from(*value);
    response.widget_info(|| WidgetInfo::slider(enabled, shown, name));
    ui.ctx().accesskit_node_builder(response.id, |node| {
        use accesskit::Action;
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(1.0);
        node.set_numeric_value_step(f64::from(STEP));
        if enabled {
            [Action::SetValue, Action::Increment, Action::Decrement].into_iter().for_each(|a| node.add_action(a));
        }
    });
    (response, *value != before)
}

/// A square of a colour.
pub fn swatch(ui: &Ui, rect: Rect, colour: [u8; 3], dim: bool) {
    let fill = if dim { theme::colour(colour).gamma_multiply(0.35) } else { theme::colour(colour) };
    ui.painter().rect_filled(rect, CornerRadius::same(3), fill);
}

/// The same where the next control would stand.
pub fn swatch_here(ui: &mut Ui, colour: [u8; 3]) {
    let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
    swatch(ui, rect, colour, false);
}

/// Text of one line that ends with dots where it is too long for `width`.
pub fn elided(ui: &Ui, text: &str, style: TextStyle, colour: Color32, width: f32) -> std::sync::Arc<egui::Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_string(), style.resolve(ui.style()), colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(8.0));
    ui.painter().layout_job(job)
}

/// At most so many characters of a name that somebody else has chosen. Its end is kept, where side and version stand.
pub fn in_short(name: &str, most: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= most {
        return name.to_string();
    }
    let end = most / 3;
    let head = characters[..most - end - 1].iter().chain(&['\u{2026}']);
    head.chain(&characters[characters.len() - end..]).collect()
}

/// The name of an organ where room is short. No side is ever cut off: left and right are what must not be mixed up.
pub fn short_name(organ: Organ) -> String {
    organ.name().replace("Submandibular gland", "Submandibular")
}

/// A heading within a panel.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(4.0);
    let size = FontId::proportional(13.5);
    ui.label(egui::RichText::new(text).font(size).strong());
}

/// A sentence that the user should know, with its sign: never by colour alone.
pub fn remark(ui: &mut Ui, icon: Icon, colour: Color32, text: &str) -> Response {
    ui.horizontal_top(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(16.0, 18.0), Sense::hover());
        icons::paint(ui.painter(), icon, rect.shrink(1.0), colour);
        ui.add(egui::Label::new(egui::RichText::new(text).color(colour).small()).wrap())
    })
    .inner
}

/// The number of a slice for people, who count from one; canonical slices count from zero, from inferior to superior.
pub fn slice_number(k: usize) -> usize {
    k + 1
}

/// Which ends of the scanned slices an organ or structure reaches, which was not scanned whole then; its first and last slice are given.
pub fn cut_by_scan(first_last: Option<(usize, usize)>, scanned: &Range<usize>) -> Option<&'static str> {
    let (first, last) = first_last?;
    match (first <= scanned.start, last + 1 >= scanned.end) {
        (true, true) => Some("reaches both ends of the scan"),
        (true, false) => Some("reaches the lower end of the scan"),
        (false, true) => Some("reaches the upper end of the scan"),
        (false, false) => None,
    }
}

/// A number of voxels with thin groups of three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

/// A volume as a clinician writes it.
pub fn millilitres(ml: f64) -> String {
    match ml {
        ml if ml >= 99.95 => format!("{ml:.0} ml"),
        ml if ml >= 9.995 => format!("{ml:.1} ml"),
        ml => format!("{ml:.2} ml"),
    }
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s if s < 100 => format!("{s} s"),
        s if s < 6000 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A number of voxels in words.
pub fn voxels(count: u64) -> String {
    if count == 1 { "1 voxel".into() } else { format!("{} voxels", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_of_an_organ_is_never_what_is_cut_off() {
        for organ in Organ::ALL {
            let (name, short) = (organ.name(), short_name(organ));
            assert!(short.len() <= 19, "{short}");
            assert_eq!(name.rsplit(' ').next(), short.rsplit(' ').next());
        }
    }

    #[test]
    fn of_a_long_name_beginning_and_end_are_shown() {
        let name = "PTV_high_risk_with_a_long_name_L";
        assert_eq!(in_short(name, 32), name);
        assert_eq!(in_short(name, 16), "PTV_high_r\u{2026}ame_L");
        assert_eq!(in_short("R\u{fc}ckenmark \u{e4}\u{f6}\u{fc}", 10), "R\u{fc}cken\u{2026}\u{e4}\u{f6}\u{fc}");
    }

    #[test]
    fn what_is_cut_off_ends_where_the_scan_does_and_not_where_its_file_does() {
        // Ten slices, of which the two lowest and the one above hold nothing.
        let cut = |first, last| cut_by_scan(Some((first, last)), &(2..9)).map(|text| text.split(' ').nth(2).unwrap());
        assert_eq!([cut(3, 7), cut(2, 7), cut(3, 8)], [None, Some("lower"), Some("upper")]);
        assert_eq!(cut_by_scan(Some((0, 9)), &(2..9)), Some("reaches both ends of the scan"));
        assert_eq!(cut_by_scan(None, &(0..10)), None);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!((grouped(0).as_str(), grouped(999).as_str()), ("0", "999"));
        assert_eq!(
            [1412.3, 61.04, 9.996, 0.71].map(millilitres),
            ["1412 ml", "61.0 ml", "10.0 ml", "0.71 ml"].map(String::from)
        );
        assert_eq!(
            [0.2, 99.4, 100.0, 7300.0].map(duration),
            ["0 s", "99 s", "1 min 40 s", "2 h 01 min"].map(String::from)
        );
    }
}
