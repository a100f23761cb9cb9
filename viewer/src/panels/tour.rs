//! A short guided tour, for teaching: what the network sees, why it draws an organ here and not there, and how far it is to
//! be trusted. Each step arranges the window and frames the place that it speaks of.

use attention_anatomy::anatomy::{Organ, Region};
use egui::{Align2, Area, CornerRadius, Frame, Id, LayerId, Order, Rect, RichText, Stroke, StrokeKind, Ui, vec2};

use super::Tab;
use crate::state::{Overlay, RunPhase, State};
use crate::theme;

/// A place that a step frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The three views.
    Views,
    /// The list of organs.
    Organs,
    /// The strip along the body.
    AlongBody,
    /// Switches and bars of the attention panel.
    Attention,
    /// The least certain slices.
    Uncertain,
}

/// What the tour remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    step: Option<usize>,
    /// Places of this frame.
    seen: Vec<(Spot, Rect)>,
}

impl Memory {
    /// A panel was drawn here.
    pub fn saw(&mut self, spot: Spot, rect: Rect) {
        if self.step.is_some() {
            self.seen.retain(|(s, _)| *s != spot);
            self.seen.push((spot, rect));
        }
    }
}

struct Step {
    title: &'static str,
    text: &'static str,
    spot: Spot,
    arrange: fn(&mut State),
}

static STEPS: [Step; 7] = [
    Step {
        title: "What the network sees",
        text: "One slice at a time, with two neighbours on either side. From these it guesses a label for every voxel of the \
               slice in the middle. Turn the wheel over the picture: organs were found slice by slice.",
        spot: Spot::Views,
        arrange: |state| {
            state.view.labels = true;
            state.view.overlay = Overlay::None;
            state.panels.attention.wish.reset();
        },
    },
    Step {
        title: "Where in the body?",
        text: "A side branch of the network guesses the region of each slice. The band shows the likeliest region, the wider \
               ribbon all five probabilities; the white line moves to the right where the network is undecided. Down a \
               body the colours must come in one order. Click to go there.",
        spot: Spot::AlongBody,
        arrange: |state| state.panels.hidden.along_body = false,
    },
    Step {
        title: "Attention",
        text: "The same branch gives a factor between 0 and 1 for each of the 33 organs: the attention of this slice. It \
               weights the organ's probability at every voxel. Organs that cannot be here get a factor near 0.",
        spot: Spot::Attention,
        arrange: |state| {
            attention_tab(state);
            to_region(state, Region::Chest);
        },
    },
    Step {
        title: "A liver in the head?",
        text: "This is a slice of the uppermost region in the scan. Drag the bar of the liver to 1: you ask what the network \
               would label if it attended to the liver here. The numbers above the bars say how many voxels change.",
        spot: Spot::Attention,
        arrange: |state| {
            attention_tab(state);
            to_uppermost(state);
            state.view.selected = Some(Organ::Liver);
        },
    },
    Step {
        title: "Attention off",
        text: "Now all factors are 1, as in a plain U-Net of the same weights. What appears had been held back by attention. \
               Often it is little, and then attention is not what keeps these outlines clean. Reset brings it back.",
        spot: Spot::Attention,
        arrange: |state| {
            attention_tab(state);
            state.panels.attention.wish.off = true;
        },
    },
    Step {
        title: "Learned from partial outlines",
        text: "No training scan had all organs outlined. Where an organ was not outlined, the loss does not call its voxels \
               background: it looks away. An organ that no scan outlined was never learned; the list says so, and it is \
               never drawn.",
        spot: Spot::Organs,
        arrange: |state| {
            state.panels.hidden.organs = false;
            state.panels.attention.wish.reset();
        },
    },
    Step {
        title: "How sure is it?",
        text: "Voxels glow where a second class nearly won. The list names the slices whose outlines are least certain: these \
               deserve your eyes first. Every contour needs review by a qualified person.",
        spot: Spot::Uncertain,
        arrange: |state| {
            attention_tab(state);
            state.view.overlay = Overlay::Uncertainty;
        },
    },
];

fn attention_tab(state: &mut State) {
    state.panels.hidden.side = false;
    state.panels.tab = Tab::Attention;
}

/// Goes to the slice that is most certainly of a region.
fn to_region(state: &mut State, region: Region) {
    let Some(study) = &state.study else { return };
    let p = |a: &attention_anatomy::infer::SliceAnatomy| a.regions[region.index()];
    let best = study.anatomy.iter().flatten().max_by(|a, b| p(a).total_cmp(&p(b))).map(|a| a.slice);
    if let Some(slice) = best {
        super::go_to_slice(state, slice);
    }
}

/// Goes to a slice of the uppermost region that the scan shows.
fn to_uppermost(state: &mut State) {
    let Some(study) = &state.study else { return };
    let likely = |r: Region| study.anatomy.iter().flatten().any(|a| a.regions[r.index()] > 0.5);
    if let Some(region) = Region::ALL.into_iter().find(|&r| likely(r)) {
        to_region(state, region);
    }
}

/// Begins the tour.
pub fn start(state: &mut State) {
    state.preferences.tour_seen = true;
    go(state, Some(0));
}

fn go(state: &mut State, step: Option<usize>) {
    state.panels.tour.step = step;
    match step.and_then(|n| STEPS.get(n)) {
        Some(step) => (step.arrange)(state),
        None => {
            state.view.overlay = Overlay::None;
            state.panels.attention.wish.reset();
        }
    }
}

/// Draws the step that is on, or offers the tour once, when the first segmentation is there.
pub fn show(ui: &mut Ui, state: &mut State) {
    let seen = std::mem::take(&mut state.panels.tour.seen);
    match state.panels.tour.step.and_then(|n| Some((n, STEPS.get(n)?))) {
        Some((n, step)) => {
            let rect = seen.iter().find(|(spot, _)| *spot == step.spot).map(|(_, rect)| *rect);
            if let Some(rect) = rect.filter(|r| r.is_positive()) {
                let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, Id::unique("tour frame")));
                let stroke = Stroke::new(2.0, theme::accent_of(ui));
                painter.rect_stroke(rect.expand(4.0), CornerRadius::same(6), stroke, StrokeKind::Inside);
            }
            card(ui, state, n, step);
        }
        // What there is to read comes first: both would stand in the same place.
        None if !state.preferences.tour_seen && state.run.phase == RunPhase::Finished && state.notices.is_empty() => {
            offer(ui, state);
        }
        None => {}
    }
}

fn area(ui: &Ui) -> Area {
    let left = ui.available_rect_before_wrap().left() + 16.0;
    Area::new(Id::unique("tour")).order(Order::Foreground).anchor(Align2::LEFT_BOTTOM, vec2(left, -44.0))
}

fn card(ui: &mut Ui, state: &mut State, n: usize, step: &Step) {
    let mut to = Some(n);
    area(ui).accessible_name("Guided tour").show(ui.ctx(), |ui| {
        Frame::window(ui.style()).show(ui, |ui| {
            ui.set_width(330.0);
            ui.horizontal(|ui| {
                ui.label(RichText::new(step.title).heading().strong());
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.label(RichText::new(format!("{} of {}", n + 1, STEPS.len())).small().weak());
                });
            });
            ui.add(egui::Label::new(step.text).wrap());
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                let size = vec2(72.0, theme::TOUCH);
                if ui.add_enabled(n > 0, egui::Button::new("Back").min_size(size)).clicked() {
                    to = n.checked_sub(1);
                }
                let last = n + 1 == STEPS.len();
                if ui.add(egui::Button::new(if last { "Done" } else { "Next" }).min_size(size)).clicked() {
                    to = (!last).then_some(n + 1);
                }
                if !last && ui.add(egui::Button::new("End tour").min_size(size)).clicked() {
                    to = None;
                }
            });
        });
    });
    if to != Some(n) {
        go(state, to);
    }
}

fn offer(ui: &mut Ui, state: &mut State) {
    area(ui).accessible_name("Offer of a guided tour").show(ui.ctx(), |ui| {
        Frame::window(ui.style()).show(ui, |ui| {
            ui.set_width(290.0);
            ui.label(RichText::new("New here?").strong());
            ui.add(egui::Label::new("A tour of seven steps shows why the network draws what it draws.").wrap());
            ui.horizontal(|ui| {
                if ui.button("Take the tour").clicked() {
                    start(state);
                }
                if ui.button("No, thanks").clicked() {
                    state.preferences.tour_seen = true;
                }
            });
        });
    });
}
