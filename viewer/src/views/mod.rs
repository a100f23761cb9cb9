//! The three views: what the mouse and the keys do in them, and what lies over the image. The image itself is drawn by
//! [`crate::render`].
//!
//! | file | what |
//! |---|---|
//! | `layout.rs` | which views, where |
//! | `pointer.rs` | mouse and fingers |
//! | `keys.rs` | the table of keys |
//! | `extras.rs` | outlines of structures that are none of the 33 organs |
//! | `marks.rs` | letters, scale bar, crosshair, measurements |
//! | `start.rs` | what is shown while nothing is open |
//! | `picture.rs` | the views as a PNG |

mod extras;
mod keys;
mod layout;
mod marks;
mod picture;
mod pointer;
mod start;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;

use egui::emath::GuiRounding as _;
use egui::{Color32, CursorIcon, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, vec2};

pub use keys::{GESTURES, KeyAction, SHORTCUTS, Shortcut};
pub use picture::{is_taking_picture, request_picture};

use crate::display::{Drag, Form, Layout, Plane, Tool};
use crate::document::{Document, Outbox};
use crate::focus;
use crate::render::{self, Projection};
use crate::worker::Command;

/// Width of the slice slider at the right edge of a view.
const SLIDER: f32 = 18.0;

/// The colour that stands for a plane: of its title, and of its line in the other two views.
pub fn plane_colour(plane: Plane) -> Color32 {
    match plane {
        Plane::Axial => Color32::from_rgb(255, 110, 100),
        Plane::Coronal => Color32::from_rgb(110, 220, 120),
        Plane::Sagittal => Color32::from_rgb(250, 215, 80),
    }
}

/// Draws the views in all of `ui`, in the layout that the preferences name.
pub fn show(ui: &mut Ui, document: &mut Document, outbox: &mut Outbox) {
    document.view.hover = None;
    let room = ui.available_rect_before_wrap();
    ui.painter().rect_filled(room, 0.0, ui.visuals().panel_fill);
    let Some(size) = document.study.as_ref().map(|s| s.geometry().size) else {
        start::show(ui, document, outbox);
        return;
    };
    picture::deliver(ui.ctx(), document, outbox, room);
    picture::take(ui.ctx());
    for axis in 0..3 {
        document.view.cursor[axis] = document.view.cursor[axis].min(size[axis] - 1);
    }
    let is_small = document.view.form == Form::Phone;
    let layout = if is_small { Layout::Single } else { document.preferences.layout };
    let views = layout::place(layout, document.view.main, room);
    let ids: Vec<_> = views.iter().map(|(plane, _)| ui.scope_id().with(plane)).collect();

    if let Some(&main) = ids.first() {
        focus::first_stop(ui, main);
    }
    let focused = ui.memory(|memory| memory.focused());
    let mouse = ui.input(|i| i.pointer.hover_pos());
    let under_mouse = views.iter().find(|(_, rect)| mouse.is_some_and(|at| rect.contains(at)));
    let with_keyboard = views.iter().zip(&ids).find(|(_, id)| focused == Some(**id)).map(|(view, _)| view);
    if !ui.ctx().text_edit_focused() {
        let plane = under_mouse.or(with_keyboard).map_or(document.view.main, |(plane, _)| *plane);
        keys::apply(ui, document, plane, focused.is_some() && with_keyboard.is_none());
    }
    let pixels_per_point = ui.ctx().pixels_per_point();
    let views =
        views.into_iter().zip(ids).map(|((plane, rect), id)| (plane, rect.round_to_pixels(pixels_per_point), id));
    let views: Vec<_> = views.filter(|(_, rect, _)| rect.width() >= 1.0 && rect.height() >= 1.0).collect();
    // All that the mouse did comes before all that is drawn: a view must not lag behind what was done in another.
    let mut responses = Vec::new();
    for &(plane, rect, id) in &views {
        let response = ui.interact(rect, id, Sense::click_and_drag());
        if let Some(projection) = projection(document, plane, rect) {
            pointer::interact(ui, &response, document, plane, &projection);
        }
        responses.push(response);
    }
    // Here and not in the view: it may no longer be shown.
    if let Some(gesture) = document.view.gesture.filter(|_| !ui.input(|i| i.pointer.any_down()))
        && let Some(projection) = projection(document, gesture.plane, room)
    {
        pointer::finish(document, &projection);
    }
    for ((plane, rect, _), response) in views.into_iter().zip(responses) {
        draw(ui, document, plane, rect, &response);
    }
    ui.advance_cursor_after_rect(room);
    if document.view.focused != document.view.slice() {
        document.view.focused = document.view.slice();
        if document.run.is_active() {
            let slice = document.view.slice();
            outbox.send(Command::Focus { slice });
        }
    }
}

fn projection(document: &Document, plane: Plane, rect: Rect) -> Option<Projection> {
    let (study, view) = (document.study.as_ref()?, &document.view);
    Some(Projection::new(plane, study.geometry(), rect, view.cameras[plane.index()], view.cursor))
}

fn draw(ui: &mut Ui, document: &mut Document, plane: Plane, rect: Rect, response: &Response) {
    let Some(projection) = projection(document, plane, rect) else { return };
    let Some(study) = document.study.as_ref() else { return };
    let count = projection.size[projection.axes[2]];
    let label = format!("{} view, slice {} of {count}", plane.name(), projection.slice + 1);
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &label));
    if response.has_focus() {
        let arrows = egui::EventFilter { vertical_arrows: true, horizontal_arrows: true, ..Default::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
    }

    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 0.0, Color32::BLACK);
    let pixels_per_point = ui.ctx().pixels_per_point();
    painter.add(render::paint_slice(
        study,
        &document.view,
        &document.preferences,
        plane,
        &projection,
        pixels_per_point,
    ));
    extras::draw(&painter, study, &document.view, &document.preferences, plane, &projection);
    if document.view.crosshair {
        marks::crosshair(&painter, document.view.cursor, &projection);
    }
    marks::legend(&painter, study, &document.view, plane, &projection);
    marks::measurements(ui, &painter, document, plane, &projection);
    let mouse = ui.input(|i| i.pointer.hover_pos()).filter(|_| response.contains_pointer());
    if let Some(at) = mouse {
        let has_circle = matches!(document.view.tool, Tool::Brush | Tool::Eraser);
        if has_circle && projection.voxel_at(at).is_some() {
            marks::brush(&painter, &document.view, at, &projection);
        }
        ui.set_cursor_icon(cursor_icon(document));
    }
    if let (Some((_, voxel)), Some(study)) = (document.view.probe.filter(|(of, _)| *of == plane), &document.study) {
        marks::probe(&painter, study, voxel, &projection);
    }
    // A finger turns slices over all of the picture.
    if document.view.form != Form::Phone {
        slider(ui, document, plane, &projection);
    }
    if response.has_focus() {
        painter.rect_stroke(rect, 0.0, Stroke::new(1.0, plane_colour(plane)), StrokeKind::Inside);
    }
}

fn cursor_icon(document: &Document) -> CursorIcon {
    match (document.view.gesture.map(|g| g.drag), document.view.tool) {
        (Some(Drag::Pan), _) => CursorIcon::Grabbing,
        (Some(Drag::Window), _) | (None, Tool::WindowLevel) => CursorIcon::Move,
        (None, Tool::Pan) => CursorIcon::Grab,
        _ => CursorIcon::Crosshair,
    }
}

/// The slice as a slider at the right edge: for fingers, which have no wheel, and for the keyboard.
fn slider(ui: &mut Ui, document: &mut Document, plane: Plane, projection: &Projection) {
    let axis = projection.axes[2];
    let last = projection.size[axis] - 1;
    if last == 0 {
        return;
    }
    let rect = Rect::from_min_max(projection.rect.right_top() - vec2(SLIDER, 0.0), projection.rect.max)
        .shrink2(vec2(0.0, 24.0));
    if rect.height() < 60.0 {
        return;
    }
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt((plane, "slice")));
    ui.spacing_mut().slider_width = rect.height();
    // It is as wide as this: a wider one, for fingers, would lie over the view beside it, or beyond the window.
    ui.spacing_mut().interact_size.y = SLIDER;
    ui.visuals_mut().widgets.inactive.bg_fill = Color32::from_white_alpha(60);
    let slider = egui::Slider::new(&mut document.view.cursor[axis], 0..=last).vertical().show_value(false);
    if ui.put(rect, slider).accessible_name(format!("{} slice", plane.name())).changed() {
        ui.ctx().request_repaint();
    }
}
