//! Keys and gestures of the views, in one table that the help lists.

use egui::Key;

use crate::display::{Camera, Plane, Tool, WINDOW_PRESETS};
use crate::document::Document;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyAction {
    /// Goes this many slices further in the view under the mouse.
    Slice(isize),
    /// Goes to the first slice.
    First,
    /// Goes to the last slice.
    Last,
    /// Takes a window preset.
    Preset(usize),
    /// Exchanges black and white.
    Invert,
    /// Shows all of every plane again.
    Reset,
    /// Shows or hides the crosshair.
    Crosshair,
    /// Shows or hides all labels.
    Labels,
    /// Takes a tool.
    Tool(Tool),
    /// Removes the measurement that was drawn last.
    RemoveMeasurement,
}

/// A key of the views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shortcut {
    /// The key, pressed without Ctrl, Alt or Command.
    pub key: Key,
    /// Its name for people.
    pub name: &'static str,
    /// What it does.
    pub action: KeyAction,
    /// The same for people.
    pub description: &'static str,
}

const fn shortcut(key: Key, name: &'static str, action: KeyAction, description: &'static str) -> Shortcut {
    Shortcut { key, name, action, description }
}

/// All keys of the views.
pub const SHORTCUTS: &[Shortcut] = &[
    shortcut(Key::ArrowUp, "Up", KeyAction::Slice(1), "next slice: towards the head, the back, the patient's left"),
    shortcut(Key::ArrowDown, "Down", KeyAction::Slice(-1), "previous slice"),
    shortcut(Key::PageUp, "Page up", KeyAction::Slice(10), "ten slices on"),
    shortcut(Key::PageDown, "Page down", KeyAction::Slice(-10), "ten slices back"),
    shortcut(Key::Home, "Home", KeyAction::First, "first slice"),
    shortcut(Key::End, "End", KeyAction::Last, "last slice"),
    shortcut(Key::Num1, "1", KeyAction::Preset(0), "bone window"),
    shortcut(Key::Num2, "2", KeyAction::Preset(1), "soft tissue window"),
    shortcut(Key::Num3, "3", KeyAction::Preset(2), "lung window"),
    shortcut(Key::Num4, "4", KeyAction::Preset(3), "brain window"),
    shortcut(Key::Num5, "5", KeyAction::Preset(4), "abdomen window"),
    shortcut(Key::I, "I", KeyAction::Invert, "black for white"),
    shortcut(Key::Space, "Space", KeyAction::Reset, "show everything again"),
    shortcut(Key::Num0, "0", KeyAction::Reset, "show everything again"),
    shortcut(Key::C, "C", KeyAction::Crosshair, "crosshair on or off"),
    shortcut(Key::L, "L", KeyAction::Labels, "labels on or off"),
    shortcut(Key::V, "V", KeyAction::Tool(Tool::Crosshair), "tool: crosshair"),
    shortcut(Key::W, "W", KeyAction::Tool(Tool::WindowLevel), "tool: window and level"),
    shortcut(Key::P, "P", KeyAction::Tool(Tool::Pan), "tool: move the picture"),
    shortcut(Key::M, "M", KeyAction::Tool(Tool::Ruler), "tool: measure a distance"),
    shortcut(Key::R, "R", KeyAction::Tool(Tool::Roi), "tool: HU in an ellipse"),
    shortcut(Key::B, "B", KeyAction::Tool(Tool::Brush), "tool: brush"),
    shortcut(Key::E, "E", KeyAction::Tool(Tool::Eraser), "tool: eraser"),
    shortcut(Key::F, "F", KeyAction::Tool(Tool::Fill), "tool: fill"),
    shortcut(Key::Delete, "Delete", KeyAction::RemoveMeasurement, "remove the last measurement"),
];

/// What mouse and fingers do in the views: gesture and meaning.
pub const GESTURES: &[(&str, &str)] = &[
    ("Wheel", "next or previous slice"),
    ("Ctrl + wheel, pinch", "zoom to the mouse"),
    ("Left drag", "what the chosen tool does"),
    ("Right drag", "window (across) and level (down)"),
    ("Middle drag, Shift or Space + drag, two fingers", "move the picture"),
    ("Double click", "make this view the large one, or the only one"),
    ("One finger", "turn slices; tap: crosshair there; rest: HU under it"),
];

/// How often a key was pressed since the last frame, which may have taken long. Space acts when it is let go: held down it
/// moves the picture.
fn presses(ui: &egui::Ui, shortcut: &Shortcut) -> usize {
    ui.input(|i| match shortcut.key {
        _ if i.modifiers.ctrl || i.modifiers.alt || i.modifiers.command => 0,
        Key::Space => usize::from(i.key_released(Key::Space)),
        key => i.num_presses(key),
    })
}

/// Applies the keys that were pressed, to the view `plane` where they are for one view. `only_letters` leaves out those that
/// move within or press a widget that has the keyboard.
pub fn apply(ui: &egui::Ui, document: &mut Document, plane: Plane, only_letters: bool) {
    for (shortcut, times) in SHORTCUTS.iter().map(|s| (s, presses(ui, s))).filter(|(_, times)| *times > 0) {
        let moves_in_widgets = matches!(
            shortcut.action,
            KeyAction::Slice(_) | KeyAction::First | KeyAction::Last | KeyAction::RemoveMeasurement
        ) || shortcut.key == Key::Space;
        if only_letters && moves_in_widgets {
            continue;
        }
        if shortcut.key == Key::Space && std::mem::take(&mut document.view.space_used) {
            continue;
        }
        for _ in 0..times {
            perform(document, plane, shortcut.action);
        }
    }
}

/// Does what a key does.
pub fn perform(document: &mut Document, plane: Plane, action: KeyAction) {
    let Some(size) = document.study.as_ref().map(|s| s.geometry().size) else { return };
    let view = &mut document.view;
    let axis = plane.axes()[2];
    match action {
        KeyAction::Slice(by) => view.scroll(plane, by, size),
        KeyAction::First => view.cursor[axis] = 0,
        KeyAction::Last => view.cursor[axis] = size[axis] - 1,
        KeyAction::Preset(n) => view.window = WINDOW_PRESETS[n].window,
        KeyAction::Invert => view.inverted ^= true,
        KeyAction::Reset => view.cameras = [Camera::default(); 3],
        KeyAction::Crosshair => view.crosshair ^= true,
        KeyAction::Labels => view.labels ^= true,
        KeyAction::Tool(tool) => view.tool = tool,
        KeyAction::RemoveMeasurement => {
            // A measurement whose end is under the mouse button stays: the button holds its place in the list.
            if view.gesture.is_none() {
                view.measurements.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_means_one_thing() {
        for (n, a) in SHORTCUTS.iter().enumerate() {
            assert!(SHORTCUTS[..n].iter().all(|b| a.key != b.key), "{} is used twice", a.name);
        }
    }

    #[test]
    fn every_preset_has_the_number_of_its_place() {
        for (n, preset) in WINDOW_PRESETS.iter().enumerate() {
            let shortcut = SHORTCUTS.iter().find(|s| s.action == KeyAction::Preset(n)).unwrap();
            assert_eq!(shortcut.name, (n + 1).to_string());
            assert_eq!(shortcut.description, format!("{} window", preset.name.to_lowercase()));
        }
    }
}
