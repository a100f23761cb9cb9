//! What mouse and fingers do in a view.

use egui::{MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, Response, Ui, Vec2};

use crate::display::{
    Camera, Drag, Form, Gesture, Layout, Measurement, MeasurementKind, Plane, Stroke, StrokePhase, Tool,
};
use crate::document::Document;
use crate::render::Projection;

/// Scroll points of a touch pad that make one slice.
const POINTS_PER_SLICE: f32 = 24.0;

/// How near to an end of a measurement takes it, points. Fingers are wider than the tip of an arrow.
const GRAB: f32 = 9.0;

/// A finger trembles by so many points and still rests.
const SLOP: f32 = 8.0;

/// A finger that rests for so long reads the voxel under it.
const REST_SECONDS: f64 = 0.5;

/// Drag points that change window or level by the window's own width.
const POINTS_PER_WIDTH: f32 = 400.0;

/// Applies what mouse and fingers did in the view of `plane`.
pub fn interact(ui: &Ui, response: &Response, document: &mut Document, plane: Plane, projection: &Projection) {
    if two_fingers(ui, document, plane, projection) {
        return;
    }
    if response.contains_pointer() {
        wheel(ui, document, plane, projection);
        let at = ui.input(|i| i.pointer.hover_pos());
        if let Some(voxel) = at.and_then(|at| projection.voxel_at(at)) {
            document.view.hover = Some((plane, voxel));
        }
    }
    if response.double_clicked() {
        enlarge(document, plane);
    }
    drag(ui, response, document, plane, projection);
}

fn enlarge(document: &mut Document, plane: Plane) {
    // Where one plane fills the screen, it shows all of it again.
    if document.view.form == Form::Phone {
        document.view.cameras[plane.index()] = Camera::default();
        return;
    }
    let layout = &mut document.preferences.layout;
    let is_main = document.view.main == plane;
    *layout = match layout {
        Layout::OneBig if is_main => Layout::Single,
        Layout::Single | Layout::OneBig | Layout::ThreeUp => Layout::OneBig,
    };
    document.view.main = plane;
}

/// Two fingers move and scale the picture, and end whatever one finger had begun.
fn two_fingers(ui: &Ui, document: &mut Document, plane: Plane, projection: &Projection) -> bool {
    let Some(touch) = ui.input(|i| i.multi_touch()) else { return false };
    if !projection.rect.contains(touch.center_pos) {
        return false;
    }
    if let Some(gesture) = document.view.gesture.filter(|g| g.plane == plane) {
        // The first finger came to move the picture, not the crosshair.
        if matches!(gesture.drag, Drag::Crosshair | Drag::Slices | Drag::Touch) {
            document.view.cursor = gesture.cursor_before;
            document.view.gesture = None;
        }
        finish(document, projection);
    }
    let camera = projection.zoomed(document.view.cameras[plane.index()], touch.zoom_delta, touch.center_pos);
    document.view.cameras[plane.index()] = projection.panned(camera, touch.translation_delta);
    true
}

fn wheel(ui: &Ui, document: &mut Document, plane: Plane, projection: &Projection) {
    let (zoom, slices, at) = ui.input(|i| {
        let turned = |event: &egui::Event| match event {
            // Slices that fly by after the fingers have left the pad are slices nobody saw.
            egui::Event::MouseWheel { source: MouseWheelSource::Momentum, .. } => 0.0,
            egui::Event::MouseWheel { unit, delta, modifiers, .. } if !modifiers.ctrl && !modifiers.command => {
                match unit {
                    // One notch is one slice, however many points a browser makes of it.
                    MouseWheelUnit::Point => (delta.y / POINTS_PER_SLICE).clamp(-1.0, 1.0),
                    MouseWheelUnit::Line => delta.y,
                    MouseWheelUnit::Page => 10.0 * delta.y,
                }
            }
            _ => 0.0,
        };
        (i.zoom_delta(), i.events.iter().map(turned).sum::<f32>(), i.pointer.hover_pos())
    });
    if let Some(at) = at.filter(|_| zoom != 1.0) {
        let camera = &mut document.view.cameras[plane.index()];
        *camera = projection.zoomed(*camera, zoom, at);
    }
    // A turn the other way begins anew.
    if slices * document.view.wheel < 0.0 {
        document.view.wheel = 0.0;
    }
    document.view.wheel += slices;
    let whole = document.view.wheel.trunc();
    if whole != 0.0 {
        document.view.wheel -= whole;
        document.view.scroll(plane, whole as isize, projection.size);
    }
}

fn drag(ui: &Ui, response: &Response, document: &mut Document, plane: Plane, projection: &Projection) {
    let pointer = ui.input(|i| i.pointer.clone());
    let Some(at) = pointer.interact_pos() else { return };
    if document.view.gesture.is_none() && response.is_pointer_button_down_on() {
        let buttons = [PointerButton::Primary, PointerButton::Secondary, PointerButton::Middle];
        if let Some(button) = buttons.into_iter().find(|&b| pointer.button_pressed(b)) {
            response.request_focus();
            // Where it went down: where frames are slow, a finger is elsewhere by now.
            begin(ui, document, plane, projection, button, pointer.press_origin().unwrap_or(at));
        }
    }
    let Some(gesture) = document.view.gesture.filter(|g| g.plane == plane) else { return };
    proceed(ui, document, projection, gesture, at, pointer.delta());
}

fn begin(ui: &Ui, document: &mut Document, plane: Plane, projection: &Projection, button: PointerButton, at: Pos2) {
    let (space, shift) = ui.input(|i| (i.key_down(egui::Key::Space), i.modifiers.shift));
    let (is_finger, pressed) = ui.input(|i| (i.any_touches(), i.time));
    let voxel = projection.to_voxel(at);
    let view = &mut document.view;
    view.probe = None;
    let drag = match button {
        PointerButton::Secondary => Drag::Window,
        PointerButton::Middle => Drag::Pan,
        _ if space || shift => {
            view.space_used |= space;
            Drag::Pan
        }
        _ => match view.tool {
            Tool::WindowLevel => Drag::Window,
            Tool::Pan => Drag::Pan,
            Tool::Brush | Tool::Eraser | Tool::Fill => Drag::Stroke,
            Tool::Crosshair | Tool::Ruler | Tool::Roi => {
                let kind = match view.tool {
                    Tool::Ruler => Some(MeasurementKind::Ruler),
                    Tool::Roi => Some(MeasurementKind::Ellipse),
                    _ => None,
                };
                match (end_at(&view.measurements, plane, projection, at), kind) {
                    (Some((index, end)), _) => Drag::Measure { index, end },
                    (None, Some(kind)) => {
                        view.measurements.push(Measurement::at(plane, kind, voxel));
                        Drag::Measure { index: view.measurements.len() - 1, end: 1 }
                    }
                    (None, None) if is_finger => Drag::Touch,
                    (None, None) => Drag::Crosshair,
                }
            }
        },
    };
    let (cursor_before, pressed_at) = (view.cursor, at.into());
    view.gesture = Some(Gesture { plane, drag, at: voxel, cursor_before, pressed_at, pressed });
    if drag == Drag::Stroke {
        let erase_all = ui.input(|i| i.modifiers.alt);
        view.strokes.push(Stroke { plane, from: voxel, to: voxel, phase: StrokePhase::Begin, erase_all });
    }
}

/// The end of a measurement under the mouse.
fn end_at(measurements: &[Measurement], plane: Plane, projection: &Projection, at: Pos2) -> Option<(usize, usize)> {
    let on_slice = |m: &Measurement| m.plane == plane && m.slice() == projection.slice;
    measurements.iter().enumerate().rev().filter(|(_, m)| on_slice(m)).find_map(|(index, m)| {
        (0..2).find(|&end| projection.to_screen(m.ends[end]).distance(at) < GRAB).map(|end| (index, end))
    })
}

/// What a finger does that has not been told yet: it moves, or it rests.
fn told(ui: &Ui, gesture: Gesture, at: Pos2) -> Gesture {
    // Browsers tell of a finger as of a mouse, and a frame later that it is one.
    let is_finger = gesture.drag == Drag::Crosshair && ui.input(|i| i.any_touches());
    if gesture.drag != Drag::Touch && !is_finger {
        return gesture;
    }
    let rested = ui.input(|i| i.time) - gesture.pressed;
    let drag = match () {
        () if at.distance(gesture.pressed_at.into()) > SLOP => Drag::Slices,
        () if rested >= REST_SECONDS => Drag::Probe,
        () => {
            ui.ctx().request_repaint_after_secs((REST_SECONDS - rested) as f32);
            Drag::Touch
        }
    };
    Gesture { drag, ..gesture }
}

/// Points that a finger moves for a slice: a short scan is not turned through by a tremble, a long one not only in part.
fn points_per_turn(projection: &Projection) -> f32 {
    let slices = projection.size[projection.axes[2]].max(1) as f32;
    (projection.rect.height() / slices).clamp(4.0, 16.0)
}

fn proceed(ui: &Ui, document: &mut Document, projection: &Projection, gesture: Gesture, at: Pos2, moved: Vec2) {
    let gesture = told(ui, gesture, at);
    let voxel = projection.to_voxel(at);
    let plane = gesture.plane;
    let view = &mut document.view;
    match gesture.drag {
        Drag::Crosshair => view.cursor = projection.nearest_voxel(at),
        Drag::Window => {
            let per_point = view.window.width.max(50.0) / POINTS_PER_WIDTH;
            view.window.width = (view.window.width + moved.x * per_point).clamp(1.0, 8000.0);
            view.window.level = (view.window.level + moved.y * per_point).clamp(-2000.0, 4000.0);
        }
        Drag::Pan => {
            let camera = &mut view.cameras[plane.index()];
            *camera = projection.panned(*camera, moved);
        }
        Drag::Measure { index, end } => {
            if let (Some(measurement), Some(study)) = (view.measurements.get_mut(index), document.study.as_ref())
                && measurement.ends[end] != voxel
            {
                measurement.move_end(end, voxel, &study.ct);
            }
        }
        Drag::Touch => view.cursor = gesture.cursor_before,
        Drag::Slices => {
            let turned = (gesture.pressed_at[1] - at.y) / points_per_turn(projection);
            view.cursor = gesture.cursor_before;
            view.scroll(plane, turned.trunc() as isize, projection.size);
        }
        Drag::Probe => {
            view.cursor = gesture.cursor_before;
            if let Some(voxel) = projection.voxel_at(at) {
                view.probe = Some((plane, voxel));
            }
        }
        Drag::Stroke => {
            if gesture.at != voxel {
                let erase_all = ui.input(|i| i.modifiers.alt);
                let phase = StrokePhase::Move;
                view.strokes.push(Stroke { plane, from: gesture.at, to: voxel, phase, erase_all });
            }
        }
    }
    view.gesture = Some(Gesture { at: voxel, ..gesture });
}

/// Ends what a button had begun, once it is up.
pub fn finish(document: &mut Document, projection: &Projection) {
    let view = &mut document.view;
    let Some(gesture) = view.gesture.take() else { return };
    match gesture.drag {
        Drag::Stroke => {
            let (plane, at) = (gesture.plane, gesture.at);
            view.strokes.push(Stroke { plane, from: at, to: at, phase: StrokePhase::End, erase_all: false });
        }
        Drag::Measure { index, .. } => {
            // A click without a drag measures nothing.
            let is_point = view
                .measurements
                .get(index)
                .is_some_and(|m| projection.to_screen(m.ends[0]).distance(projection.to_screen(m.ends[1])) < 2.0);
            if is_point {
                view.measurements.remove(index);
            }
        }
        // A tap.
        Drag::Touch => view.cursor = projection.nearest_voxel(gesture.pressed_at.into()),
        Drag::Crosshair | Drag::Window | Drag::Pan | Drag::Slices | Drag::Probe => {}
    }
}
