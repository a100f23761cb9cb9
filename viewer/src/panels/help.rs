//! The list of shortcuts, on `?`, and the way to the tour.

use egui::{Event, Grid, Key, RichText, ScrollArea, Ui};

use crate::state::State;

/// Groups of shortcuts: keys or gestures, and what they do.
const SHORTCUTS: [(&str, &[(&str, &str)]); 5] = [
    (
        "Slices",
        &[
            ("Wheel, Up, Down", "next slice"),
            ("Page up, Page down", "ten slices"),
            ("Home, End", "first and last slice"),
            ("Click a view", "crosshair there"),
        ],
    ),
    (
        "Picture",
        &[
            ("Ctrl + wheel, pinch", "zoom to the pointer"),
            ("Middle drag", "move the picture"),
            ("Right drag", "window (across) and level (up and down)"),
            ("1 to 5", "bone, soft tissue, lung, brain, abdomen"),
            ("I", "invert"),
            ("Space", "show all again"),
        ],
    ),
    (
        "Labels",
        &[
            ("L", "labels on and off"),
            ("[ and ]", "smaller and larger brush"),
            ("Ctrl + Z", "undo"),
            ("Ctrl + Y", "redo"),
        ],
    ),
    (
        "Window",
        &[("Ctrl + plus, minus", "larger, smaller"), ("Tab, Shift + Tab", "next, last control"), ("?", "this list")],
    ),
    ("Bars of attention", &[("Left, Right", "lower, raise"), ("Home, End", "0 and 1")]),
];

/// Draws the list if it is open, and opens or closes it by key.
pub fn show(ui: &mut Ui, state: &mut State) {
    let typing = ui.ctx().text_edit_focused();
    let (asked, escape) = ui.input(|i| {
        let asked = i.events.iter().any(|e| matches!(e, Event::Text(text) if text == "?"));
        (asked, i.key_pressed(Key::Escape))
    });
    if asked && !typing {
        state.panels.help = !state.panels.help;
    }
    if escape {
        state.panels.help = false;
    }
    let mut open = state.panels.help;
    let mut tour = false;
    let tallest = (ui.ctx().content_rect().height() - 160.0).max(120.0);
    let window = egui::Window::new("Keyboard and mouse").open(&mut open).collapsible(false).resizable(false);
    window.anchor(egui::Align2::CENTER_CENTER, [0.0, 0.0]).show(ui.ctx(), |ui| {
        ScrollArea::vertical().max_height(tallest).show(ui, |ui| {
            for (group, shortcuts) in SHORTCUTS {
                ui.label(RichText::new(group).strong());
                Grid::new(group).num_columns(2).spacing([20.0, 3.0]).min_col_width(130.0).show(ui, |ui| {
                    for (keys, what) in shortcuts {
                        ui.label(RichText::new(*keys).monospace());
                        ui.label(*what);
                        ui.end_row();
                    }
                });
                ui.add_space(6.0);
            }
        });
        tour = ui.button("Take the guided tour").clicked();
    });
    state.panels.help = open && !tour;
    if tour {
        super::tour::start(state);
    }
}
