//! The list of shortcuts, on `?`, and the way to the tour.

use egui::{Event, Grid, Key, Modifiers, RichText, ScrollArea, Ui};

use super::context::{Context, Panel};
use crate::views::{GESTURES, SHORTCUTS};

/// Keys that are not the views': keys, and what they do.
const OTHERS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Correcting",
        &[
            ("[ and ], or the keys in their place", "smaller and larger brush"),
            ("Ctrl + Z", "undo"),
            ("Ctrl + Shift + Z, Ctrl + Y", "redo"),
        ],
    ),
    (
        "Bars and strip of attention",
        &[
            ("Left, Right, Home, End", "a bar: lower, raise, 0, 1"),
            ("Up, Down, Left, Right", "the strip: next slice, next organ"),
        ],
    ),
    (
        "Window",
        &[
            ("Ctrl + S", "save what is outlined"),
            ("Escape", "close the tour or a dialog"),
            ("Ctrl + plus, minus", "everything larger, smaller"),
            ("Tab, Shift + Tab", "next, last control"),
            ("?", "this list"),
        ],
    ),
];

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Help;

impl Panel for Help {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        show(ui, cx);
    }
}

/// Draws the list if it is open, and opens or closes it by key.
fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    let typing = ui.ctx().text_edit_focused();
    let asked = ui.input(|i| i.events.iter().any(|e| matches!(e, Event::Text(text) if text == "?")));
    if asked && !typing {
        cx.arrangement.help = !cx.arrangement.help;
    }
    // One press closes one thing, the uppermost.
    if cx.arrangement.help && ui.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
        cx.arrangement.help = false;
    }
    let mut open = cx.arrangement.help;
    let mut tour = false;
    let tallest = (ui.ctx().content_rect().height() - 160.0).max(120.0);
    let window = egui::Window::new("Keyboard and mouse").open(&mut open).collapsible(false).resizable(false);
    window.anchor(egui::Align2::CENTER_CENTER, [0.0, 0.0]).show(ui.ctx(), |ui| {
        ScrollArea::vertical().max_height(tallest).show(ui, |ui| {
            let keys = SHORTCUTS.iter().map(|s| (s.name, s.description));
            group(ui, "Keys of the views", keys);
            group(ui, "Mouse and fingers in the views", GESTURES.iter().copied());
            for (name, shortcuts) in OTHERS {
                group(ui, name, shortcuts.iter().copied());
            }
        });
        tour = ui.button("Take the guided tour").clicked();
    });
    cx.arrangement.help = open && !tour;
    cx.arrangement.tour |= tour;
}

fn group<'a>(ui: &mut Ui, name: &str, shortcuts: impl Iterator<Item = (&'a str, &'a str)>) {
    ui.label(RichText::new(name).strong());
    Grid::new(name).num_columns(2).spacing([20.0, 2.0]).min_col_width(150.0).min_row_height(0.0).show(ui, |ui| {
        for (keys, what) in shortcuts {
            ui.label(RichText::new(keys).monospace());
            ui.label(what);
            ui.end_row();
        }
    });
    ui.add_space(8.0);
}
