//! What mouse and keys do in the views, driven as a user drives them.

use attention_anatomy::anatomy::Organ;
use egui::{Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, TouchPhase, pos2, vec2};
use egui_kittest::kittest::Queryable;

use crate::display::{Layout, MeasurementKind, Plane, StrokePhase, Tool, WINDOW_PRESETS};
use crate::document::bench::Bench;
use crate::document::{FileRequest, RunPhase};
use crate::render::tests::{ROOM, Rig, phantom};
use crate::worker::{Command, Input};

/// The phantom of 60 x 50 x 20 voxels of 1 x 1 x 2.5 mm alone on the screen: 6 points for each millimetre.
fn rig(plane: Plane) -> Rig {
    Rig::new(phantom(plane))
}

const MIDDLE: Pos2 = pos2(208.0, 158.0);

fn button(rig: &mut Rig, at: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) {
    rig.harness.event(Event::PointerButton { pos: at, button, pressed, modifiers });
    rig.harness.step();
}

fn drag_with(rig: &mut Rig, which: PointerButton, modifiers: Modifiers, path: &[Pos2]) {
    rig.harness.event(Event::ModifiersChanged(modifiers));
    rig.harness.event(Event::PointerMoved(path[0]));
    rig.harness.step();
    button(rig, path[0], which, true, modifiers);
    for &at in &path[1..] {
        rig.harness.event(Event::PointerMoved(at));
        rig.harness.step();
    }
    button(rig, path[path.len() - 1], which, false, modifiers);
    rig.harness.event(Event::ModifiersChanged(Modifiers::NONE));
    rig.harness.run();
}

fn drag(rig: &mut Rig, path: &[Pos2]) {
    drag_with(rig, PointerButton::Primary, Modifiers::NONE, path);
}

fn wheel(rig: &mut Rig, unit: MouseWheelUnit, up: f32, modifiers: Modifiers) {
    rig.harness.event(Event::PointerMoved(MIDDLE));
    rig.harness.step();
    let delta = vec2(0.0, up);
    let (phase, source) = (TouchPhase::Move, MouseWheelSource::Unknown);
    rig.harness.event(Event::MouseWheel { unit, delta, phase, source, modifiers });
    rig.harness.run();
}

fn press(rig: &mut Rig, key: Key) {
    rig.harness.key_press(key);
    rig.harness.run();
}

#[test]
fn one_notch_is_one_slice_and_a_touch_pad_adds_up() {
    let mut rig = rig(Plane::Axial);
    wheel(&mut rig, MouseWheelUnit::Line, 1.0, Modifiers::NONE);
    assert_eq!(rig.state().view.cursor, [48, 12, 16]);
    wheel(&mut rig, MouseWheelUnit::Line, -2.0, Modifiers::NONE);
    assert_eq!(rig.state().view.slice(), 14);
    for _ in 0..4 {
        wheel(&mut rig, MouseWheelUnit::Point, 6.0, Modifiers::NONE);
    }
    assert_eq!(rig.state().view.slice(), 15, "four times a quarter");
    wheel(&mut rig, MouseWheelUnit::Point, 120.0, Modifiers::NONE);
    assert_eq!(rig.state().view.slice(), 16, "a browser's notch is one slice");
    wheel(&mut rig, MouseWheelUnit::Line, 100.0, Modifiers::NONE);
    assert_eq!(rig.state().view.slice(), 19, "the last slice is the last");
}

#[test]
fn the_wheel_with_ctrl_zooms_to_the_mouse() {
    let mut rig = rig(Plane::Axial);
    let at = pos2(300.0, 100.0);
    rig.harness.event(Event::PointerMoved(at));
    rig.harness.run();
    let under = rig.state().view.hover;
    let (ctrl, delta) = (Modifiers::COMMAND | Modifiers::CTRL, vec2(0.0, 3.0));
    rig.harness.event(Event::ModifiersChanged(ctrl));
    rig.harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta,
        phase: TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: ctrl,
    });
    for _ in 0..30 {
        rig.harness.step();
    }
    rig.harness.event(Event::ModifiersChanged(Modifiers::NONE));
    rig.harness.run();
    let view = &rig.state().view;
    assert!(view.cameras[0].zoom > 1.2 && view.slice() == 15, "{:?}", view.cameras[0]);
    assert_eq!(view.hover, under);
}

#[test]
fn the_crosshair_follows_the_left_button() {
    let mut rig = rig(Plane::Sagittal);
    // Across the sagittal picture runs j, up it k of 2.5 mm: 60 points are 10 mm.
    drag(&mut rig, &[MIDDLE, MIDDLE + vec2(-59.0, -59.0)]);
    // From the middle (24.5, 9.5) by -9.83 mm of j and +3.93 slices of k.
    assert_eq!(rig.state().view.cursor, [48, 15, 13]);
}

#[test]
fn the_right_button_changes_the_window_whatever_the_tool() {
    for tool in [Tool::Crosshair, Tool::Brush, Tool::Ruler] {
        let mut rig = rig(Plane::Axial);
        rig.state().view.tool = tool;
        let (before, cursor) = (rig.state().view.window, rig.state().view.cursor);
        drag_with(&mut rig, PointerButton::Secondary, Modifiers::NONE, &[MIDDLE, MIDDLE + vec2(40.0, -20.0)]);
        let view = &rig.state().view;
        // 2000 HU of width: 5 HU for each point.
        assert!((view.window.width - before.width - 200.0).abs() < 1.0, "{:?}", view.window);
        assert!((view.window.level - before.level + 100.0).abs() < 1.0, "{:?}", view.window);
        assert!(view.cursor == cursor && view.strokes.is_empty() && view.measurements.is_empty());
    }
}

#[test]
fn the_picture_is_moved_by_middle_shift_and_space() {
    for (which, modifiers, space) in [
        (PointerButton::Middle, Modifiers::NONE, false),
        (PointerButton::Primary, Modifiers::SHIFT, false),
        (PointerButton::Primary, Modifiers::NONE, true),
    ] {
        let mut rig = rig(Plane::Axial);
        if space {
            rig.harness.key_down(Key::Space);
            rig.harness.step();
        }
        drag_with(&mut rig, which, modifiers, &[MIDDLE, MIDDLE + vec2(30.0, 12.0)]);
        if space {
            rig.harness.key_up(Key::Space);
            rig.harness.run();
        }
        let camera = rig.state().view.cameras[0];
        assert!((camera.centre_mm[0] + 5.0).abs() < 0.01 && (camera.centre_mm[1] + 2.0).abs() < 0.01, "{camera:?}");
        assert_eq!(rig.state().view.cursor, [48, 12, 15]);
        press(&mut rig, Key::Space);
        assert_eq!(rig.state().view.cameras[0].centre_mm, [0.0; 2], "the space bar alone resets");
    }
}

#[test]
fn a_ruler_of_closed_form_can_be_drawn_corrected_and_removed() {
    let mut rig = rig(Plane::Coronal);
    rig.state().view.tool = Tool::Ruler;
    // 180 points across are 30 mm, 240 up are 40 mm.
    let (from, to) = (pos2(100.0, 280.0), pos2(280.0, 40.0));
    drag(&mut rig, &[from, MIDDLE, to]);
    let spacing = [1.0, 1.0, 2.5];
    let length = |rig: &mut Rig| rig.state().view.measurements[0].length_mm(spacing);
    assert!((length(&mut rig) - 50.0).abs() < 0.01, "{}", length(&mut rig));
    drag(&mut rig, &[to, pos2(280.0, 280.0)]);
    assert!((length(&mut rig) - 30.0).abs() < 0.01, "its end was moved: {}", length(&mut rig));
    assert_eq!(rig.state().view.measurements.len(), 1);
    rig.harness.get_by_label("Remove measurement 1").click();
    rig.harness.run();
    assert!(rig.state().view.measurements.is_empty());
    drag(&mut rig, &[MIDDLE, MIDDLE]);
    assert!(rig.state().view.measurements.is_empty(), "a click measures nothing");
}

#[test]
fn an_ellipse_measures_what_lies_in_it() {
    let mut rig = rig(Plane::Axial);
    rig.state().view.tool = Tool::Roi;
    // Inside the marker: 5 x 5 voxels of 2000 HU around (48, 12), which is at (319, 83).
    drag(&mut rig, &[pos2(307.0, 71.0), pos2(331.0, 95.0)]);
    let measurement = rig.state().view.measurements[0].clone();
    let hu = measurement.hu.unwrap();
    assert!(measurement.kind == MeasurementKind::Ellipse && (hu.mean, hu.deviation) == (2000.0, 0.0), "{hu:?}");
    assert!((measurement.area_mm2([1.0, 1.0, 2.5]) - std::f64::consts::PI * 4.0).abs() < 0.01);
    // Half marker, half tissue.
    press(&mut rig, Key::Delete);
    drag(&mut rig, &[pos2(289.0, 71.0), pos2(325.0, 95.0)]);
    let hu = rig.state().view.measurements[0].hu.unwrap();
    assert!(hu.min == 40 && hu.max == 2000 && hu.deviation > 800.0, "{hu:?}");
}

#[test]
fn strokes_join_up_from_press_to_release() {
    let mut rig = rig(Plane::Axial);
    rig.state().view.tool = Tool::Brush;
    rig.state().view.selected = Some(Organ::Liver);
    drag(&mut rig, &[MIDDLE, MIDDLE + vec2(12.0, 0.0), MIDDLE + vec2(12.0, 30.0)]);
    let strokes = rig.state().view.strokes.clone();
    let phases: Vec<_> = strokes.iter().map(|s| s.phase).collect();
    assert_eq!(phases, [StrokePhase::Begin, StrokePhase::Move, StrokePhase::Move, StrokePhase::End]);
    assert!(strokes.windows(2).all(|s| s[0].to == s[1].from));
    assert_eq!((strokes[0].from, strokes[3].to), ([29.5, 24.5, 15.0], [31.5, 29.5, 15.0]));
    assert_eq!(rig.state().view.cursor, [48, 12, 15]);
    rig.state().view.strokes.clear();
    rig.state().view.tool = Tool::Eraser;
    drag_with(&mut rig, PointerButton::Primary, Modifiers::ALT, &[MIDDLE, MIDDLE + vec2(5.0, 0.0)]);
    assert!(rig.state().view.strokes[0].erase_all);
}

#[test]
fn keys_do_what_the_table_says() {
    let mut rig = rig(Plane::Axial);
    press(&mut rig, Key::ArrowUp);
    assert_eq!(rig.state().view.slice(), 16);
    press(&mut rig, Key::PageDown);
    assert_eq!(rig.state().view.slice(), 6);
    press(&mut rig, Key::Home);
    assert_eq!(rig.state().view.slice(), 0);
    press(&mut rig, Key::ArrowDown);
    press(&mut rig, Key::End);
    assert_eq!(rig.state().view.slice(), 19);
    press(&mut rig, Key::Num3);
    assert_eq!(rig.state().view.window, WINDOW_PRESETS[2].window);
    for key in [Key::I, Key::C, Key::L] {
        press(&mut rig, key);
    }
    let view = &rig.state().view;
    assert!(view.inverted && view.crosshair && !view.labels);
    press(&mut rig, Key::M);
    assert_eq!(rig.state().view.tool, Tool::Ruler);
    rig.harness.key_press_modifiers(Modifiers::CTRL, Key::C);
    rig.harness.run();
    assert!(rig.state().view.crosshair, "Ctrl+C copies");
}

#[test]
fn no_press_is_lost_where_a_frame_takes_long() {
    let mut rig = rig(Plane::Axial);
    for pressed in [true, false, true, false, true, false] {
        let (key, modifiers) = (Key::ArrowUp, Modifiers::NONE);
        rig.harness.input_mut().events.push(Event::Key { key, physical_key: None, pressed, repeat: false, modifiers });
    }
    rig.harness.step();
    assert_eq!(rig.state().view.slice(), 18);
}

#[test]
fn the_run_is_told_once_which_slice_is_on_screen() {
    let mut rig = rig(Plane::Axial);
    press(&mut rig, Key::ArrowUp);
    assert!(rig.state().outbox.commands.is_empty(), "nobody runs");
    rig.state().run.phase = RunPhase::Running;
    press(&mut rig, Key::ArrowUp);
    rig.harness.run();
    assert_eq!(rig.state().outbox.commands, [Command::Focus { slice: 17 }]);
    rig.state().view.cursor[2] = 3;
    rig.harness.run();
    assert_eq!(rig.state().outbox.commands[1..], [Command::Focus { slice: 3 }], "whoever moved the crosshair");
}

#[test]
fn a_double_click_enlarges_a_view() {
    let mut rig = rig(Plane::Axial);
    rig.state().preferences.layout = Layout::ThreeUp;
    rig.harness.run();
    let double_click = |rig: &mut Rig, at: Pos2| {
        let button = |pressed| {
            let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
            Event::PointerButton { pos: at, button, pressed, modifiers }
        };
        rig.harness.event(Event::PointerMoved(at));
        rig.harness.run();
        rig.harness.input_mut().events.extend([button(true), button(false), button(true), button(false)]);
        rig.harness.run();
    };
    double_click(&mut rig, pos2(330.0, 150.0));
    let state = rig.state();
    assert_eq!((state.preferences.layout, state.view.main), (Layout::OneBig, Plane::Sagittal));
    double_click(&mut rig, pos2(100.0, 150.0));
    assert_eq!(rig.state().preferences.layout, Layout::Single);
}

#[test]
fn the_voxel_under_the_mouse_is_known() {
    let mut rig = rig(Plane::Axial);
    rig.harness.event(Event::PointerMoved(pos2(319.0, 83.0)));
    rig.harness.run();
    assert_eq!(rig.state().view.hover, Some((Plane::Axial, [48, 12, 15])));
    rig.harness.event(Event::PointerMoved(pos2(12.0, 158.0)));
    rig.harness.run();
    assert_eq!(rig.state().view.hover, None, "beside the volume");
}

#[test]
fn views_have_names_and_can_be_reached_by_keyboard() {
    let mut rig = rig(Plane::Axial);
    rig.state().preferences.layout = Layout::OneBig;
    rig.harness.run();
    rig.harness.get_by_label("Axial view, slice 16 of 20");
    rig.harness.get_by_label("Sagittal view, slice 49 of 60");
    rig.harness.get_by_label("Coronal view, slice 13 of 50").focus();
    rig.harness.run();
    press(&mut rig, Key::ArrowUp);
    rig.harness.get_by_label("Coronal view, slice 14 of 50");
    press(&mut rig, Key::ArrowUp);
    assert_eq!(rig.state().view.cursor, [48, 14, 15]);
}

#[test]
fn two_fingers_move_and_zoom() {
    let mut rig = rig(Plane::Axial);
    let touch = |rig: &mut Rig, id: u64, phase: TouchPhase, pos: Pos2| {
        let (device_id, id) = (egui::TouchDeviceId(1), egui::TouchId(id));
        rig.harness.event(Event::Touch { device_id, id, phase, pos, force: None });
        rig.harness.step();
    };
    let [a, b] = [MIDDLE - vec2(40.0, 0.0), MIDDLE + vec2(40.0, 0.0)];
    // The first finger also counts as the mouse.
    touch(&mut rig, 1, TouchPhase::Start, a);
    rig.harness.event(Event::PointerMoved(a));
    rig.harness.step();
    button(&mut rig, a, PointerButton::Primary, true, Modifiers::NONE);
    touch(&mut rig, 2, TouchPhase::Start, b);
    touch(&mut rig, 1, TouchPhase::Move, a - vec2(40.0, 0.0));
    touch(&mut rig, 2, TouchPhase::Move, b + vec2(40.0, 0.0));
    let zoom = rig.state().view.cameras[0].zoom;
    assert!((zoom - 2.0).abs() < 0.05, "fingers twice as far apart: {zoom}");
    assert_eq!(rig.state().view.cursor, [48, 12, 15], "one finger alone would have meant the crosshair");
}

#[test]
fn nothing_open_offers_what_can_be_opened() {
    let mut rig = Rig::new(Bench::default());
    rig.harness.set_size(vec2(900.0, 600.0));
    rig.state().preferences.recent = vec!["/data/scan 7.nii.gz".into()];
    rig.harness.run();
    rig.harness.get_by_label("Open the sample CT").click();
    rig.harness.get_by_label("Open files…").click();
    rig.harness.get_by_label("scan 7.nii.gz").click();
    rig.harness.run();
    let state = rig.state();
    assert!(matches!(&state.outbox.commands[..], [Command::Open { inputs, .. }] if *inputs == [Input::Sample]));
    assert_eq!(state.outbox.requests, [FileRequest::OpenFiles, FileRequest::OpenRecent("/data/scan 7.nii.gz".into())]);
}

#[test]
fn the_picture_is_cut_to_the_views() {
    let mut rig = rig(Plane::Axial);
    let ctx = rig.harness.ctx.clone();
    super::request_picture(&ctx);
    rig.harness.run();
    rig.harness.run();
    let Some(FileRequest::Save { name, bytes }) = rig.state().outbox.requests.pop() else { panic!("nothing to save") };
    assert_eq!(name, "phantom-axial-16.png");
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let [left, top, width, height] = ROOM;
    assert_eq!((reader.info().width as f32, reader.info().height as f32), (width, height));
    let at = 3 * ((319 - left as usize) + width as usize * (83 - top as usize));
    assert_eq!(pixels[at..at + 3], [255; 3], "the marker");
}

fn finger(rig: &mut Rig, phase: TouchPhase, at: Pos2) {
    let (device_id, id) = (egui::TouchDeviceId(0), egui::TouchId(1));
    let touch = Event::Touch { device_id, id, phase, pos: at, force: None };
    match phase {
        TouchPhase::Start => {
            rig.harness.event(touch);
            rig.harness.event(Event::PointerMoved(at));
            rig.harness.event(Event::PointerButton {
                pos: at,
                button: PointerButton::Primary,
                pressed: true,
                modifiers: Modifiers::NONE,
            });
        }
        TouchPhase::Move => {
            rig.harness.event(touch);
            rig.harness.event(Event::PointerMoved(at));
        }
        TouchPhase::End | TouchPhase::Cancel => {
            rig.harness.event(Event::PointerButton {
                pos: at,
                button: PointerButton::Primary,
                pressed: false,
                modifiers: Modifiers::NONE,
            });
            rig.harness.event(Event::PointerGone);
            rig.harness.event(touch);
        }
    }
    rig.harness.step();
}

#[test]
fn one_finger_turns_slices_a_tap_moves_the_crosshair_and_a_resting_finger_reads() {
    let mut rig = rig(Plane::Axial);
    let before = rig.state().view.cursor;
    finger(&mut rig, TouchPhase::Start, MIDDLE);
    finger(&mut rig, TouchPhase::Move, MIDDLE - vec2(0.0, 20.0));
    finger(&mut rig, TouchPhase::Move, MIDDLE - vec2(0.0, 34.0));
    // 20 slices on some 300 points: 15.8 points for each.
    assert_eq!(rig.state().view.cursor, [before[0], before[1], before[2] + 2]);
    finger(&mut rig, TouchPhase::End, MIDDLE - vec2(0.0, 34.0));
    assert_eq!(rig.state().view.slice(), before[2] + 2, "it stays where it was turned to");

    // Where a frame takes long the finger has gone on before it is seen.
    let (device_id, id, phase) = (egui::TouchDeviceId(0), egui::TouchId(1), TouchPhase::Start);
    let [pos, to] = [MIDDLE, MIDDLE + vec2(0.0, 34.0)];
    rig.harness.input_mut().events.extend([
        Event::Touch { device_id, id, phase, pos, force: None },
        Event::PointerMoved(pos),
        Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, modifiers: Modifiers::NONE },
        Event::Touch { device_id, id, phase: TouchPhase::Move, pos: to, force: None },
        Event::PointerMoved(to),
    ]);
    rig.harness.step();
    finger(&mut rig, TouchPhase::End, to);
    assert_eq!(rig.state().view.slice(), before[2]);
    rig.state().view.cursor[2] = before[2] + 2;

    let aside = MIDDLE + vec2(30.0, 12.0);
    finger(&mut rig, TouchPhase::Start, aside);
    finger(&mut rig, TouchPhase::End, aside);
    let tapped = rig.state().view.cursor;
    assert_ne!(tapped[..2], before[..2]);
    assert_eq!(tapped[2], before[2] + 2);

    finger(&mut rig, TouchPhase::Start, MIDDLE);
    for _ in 0..60 {
        finger(&mut rig, TouchPhase::Move, MIDDLE + vec2(2.0, 1.0));
    }
    let (plane, voxel) = rig.state().view.probe.unwrap();
    let hu = rig.state().study.as_ref().unwrap().readout(voxel).unwrap();
    assert!(plane == Plane::Axial && hu.contains(" HU "), "{hu}");
    assert_eq!(rig.state().view.cursor, tapped, "reading moves nothing");
    finger(&mut rig, TouchPhase::End, MIDDLE);
    assert!(rig.state().view.probe.is_some(), "the finger no longer hides it");
}
