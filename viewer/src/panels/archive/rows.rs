//! Lines of a list: cells under heads, one of them chosen.

use egui::{
    Align2, Color32, FontId, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, TextStyle, Ui, WidgetInfo, pos2,
    vec2,
};

use crate::theme;

/// A column: its head, and its share of the width.
pub struct Column {
    pub head: &'static str,
    pub share: f32,
}

const fn column(head: &'static str, share: f32) -> Column {
    Column { head, share }
}

/// Columns of studies.
pub const STUDIES: [Column; 7] = [
    column("Patient", 0.27),
    column("ID", 0.13),
    column("Date", 0.11),
    column("Description", 0.21),
    column("Accession", 0.12),
    column("Modalities", 0.10),
    column("Images", 0.06),
];

/// Room at both sides of a cell.
const PADDING: f32 = 4.0;

fn places(row: Rect, columns: &[Column]) -> impl Iterator<Item = Rect> {
    let mut left = row.left();
    columns.iter().map(move |column| {
        let width = column.share * row.width();
        let cell = Rect::from_min_size(pos2(left, row.top()), vec2(width, row.height()));
        left += width;
        cell
    })
}

fn cell(ui: &Ui, place: Rect, text: &str, font: FontId, colour: Color32) {
    let inner = place.shrink2(vec2(PADDING, 0.0));
    let painter = ui.painter().with_clip_rect(inner.intersect(ui.clip_rect()));
    painter.text(inner.left_center(), Align2::LEFT_CENTER, text, font, colour);
}

/// A triangle at the right end of a head: up where the smallest comes first.
fn arrow(ui: &Ui, place: Rect, descending: bool) {
    let (x, y, up) = (place.right() - 10.0, place.center().y, if descending { 3.0 } else { -3.0 });
    let points = vec![pos2(x - 4.0, y - up), pos2(x + 4.0, y - up), pos2(x, y + up)];
    ui.painter().add(Shape::convex_polygon(points, ui.visuals().strong_text_color(), Stroke::NONE));
}

/// The heads; the place of the one that was clicked. A triangle stands at the one that the list is sorted by.
pub fn heads(ui: &mut Ui, columns: &[Column], sorted: Option<(usize, bool)>) -> Option<usize> {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let mut clicked = None;
    for (n, (place, column)) in places(row, columns).zip(columns).enumerate() {
        let response = ui.interact(place, ui.scope_id().with(column.head), Sense::click());
        let strong = response.hovered() || response.has_focus();
        let colour = if strong { ui.visuals().strong_text_color() } else { ui.visuals().weak_text_color() };
        cell(ui, place, column.head, TextStyle::Small.resolve(ui.style()), colour);
        if let Some((_, descending)) = sorted.filter(|(by, _)| *by == n) {
            arrow(ui, place, descending);
        }
        let name = format!("Sort by {}", column.head.to_lowercase());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
        if response.on_hover_text("Sorts what is listed here").clicked() {
            clicked = Some(n);
        }
    }
    clicked
}

/// A line. `number` tells it from others of the list.
pub fn line(ui: &mut Ui, columns: &[Column], cells: &[String], number: usize, is_chosen: bool) -> Response {
    let height = theme::target(ui).clamp(22.0, 26.0);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let response = ui.interact(rect, ui.scope_id().with(("line", number)), Sense::click());
    let said = cells.iter().filter(|cell| !cell.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ");
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_chosen, &said));
    if ui.is_rect_visible(rect) {
        let visuals = ui.style().interact_selectable(&response, is_chosen);
        if is_chosen || response.hovered() || response.has_focus() {
            ui.painter().rect(rect, 3.0, visuals.weak_bg_fill, visuals.bg_stroke, StrokeKind::Inside);
        } else if number % 2 == 1 {
            ui.painter().rect_filled(rect, 0.0, ui.visuals().faint_bg_color);
        }
        for (place, text) in places(rect, columns).zip(cells) {
            cell(ui, place, text, TextStyle::Body.resolve(ui.style()), visuals.text_color());
        }
    }
    response.on_hover_text(said)
}
