//! A short guided tour, for teaching: what the network sees, why it draws an organ here and not there, and how far it is to
//! be trusted. Each step arranges the window and frames the place that it speaks of.

use attention_anatomy::anatomy::{Organ, Region};
use egui::{Align2, Area, CornerRadius, Frame, Id, LayerId, Order, RichText, Stroke, StrokeKind, Ui, vec2};

use super::context::{Context, Panel, Spot, Tab};
use crate::display::Overlay;
use crate::document::RunPhase;
use crate::theme;

/// The tour.
#[derive(Clone, Debug, Default)]
pub struct Tour {
    /// The step that is on.
    step: Option<usize>,
    /// The organ that was chosen before: whoever takes the brush afterwards does not paint that of the tour.
    selected: Option<Organ>,
    /// A menu or a text field has the keyboard first.
    is_behind: bool,
}

struct Step {
    title: &'static str,
    text: &'static str,
    spot: Spot,
    arrange: fn(&mut Context<'_>),
}

static STEPS: [Step; 7] = [
    Step {
        title: "What the network sees",
        text: "One slice at a time, with two neighbours on either side. From these it guesses a label for every voxel of the \
               slice in the middle. Turn the wheel over the picture: organs were found slice by slice.",
        spot: Spot::Views,
        arrange: |cx| {
            cx.document.view.labels = true;
            cx.document.view.overlay = Overlay::None;
            cx.document.wish.reset();
        },
    },
    Step {
        title: "Where in the body?",
        text: "A side branch of the network guesses the region of each slice. The band shows the likeliest region, the wider \
               ribbon all five probabilities; the white line moves to the right where the network is undecided. Down a \
               body the colours must come in one order. Click to go there.",
        spot: Spot::AlongBody,
        arrange: |cx| cx.arrangement.hidden.along_body = false,
    },
    Step {
        title: "Attention",
        text: "The same branch gives a factor for each of the 33 organs: the attention of this slice. It weights the \
               organ's probability at every voxel: near 0 the organ is ruled out, about 1 is as on slices that show it.",
        spot: Spot::Attention,
        arrange: |cx| {
            attention_tab(cx);
            to_region(cx, Region::Chest);
        },
    },
    Step {
        title: "A liver in the head?",
        text: "This is a slice of the uppermost region in the scan. Drag the bar of the liver to 1: you ask what the network \
               would label if it attended to the liver here. The numbers above the bars say how many voxels change.",
        spot: Spot::Attention,
        arrange: |cx| {
            attention_tab(cx);
            to_uppermost(cx);
            cx.document.view.selected = Some(Organ::Liver);
        },
    },
    Step {
        title: "Attention off",
        text: "Now all factors are 1, as in a plain U-Net of the same weights. What appears had been held back by attention. \
               Often it is little, and then attention is not what keeps these outlines clean. Reset brings it back.",
        spot: Spot::Attention,
        arrange: |cx| {
            attention_tab(cx);
            cx.document.wish.off = true;
        },
    },
    Step {
        title: "Learned from partial outlines",
        text: "No training scan had all organs outlined. Where an organ was not outlined, the loss does not call its voxels \
               background: it looks away. An organ that no scan outlined was never learned; the list says so, and it is \
               never drawn.",
        spot: Spot::Organs,
        arrange: |cx| {
            cx.arrangement.hidden.organs = false;
            cx.document.wish.reset();
        },
    },
    Step {
        title: "How sure is it?",
        text: "Voxels glow where a second class nearly won. The list names the slices whose outlines are least certain: these \
               deserve your eyes first. Every contour needs review by a qualified person.",
        spot: Spot::Uncertain,
        arrange: |cx| {
            attention_tab(cx);
            cx.document.view.overlay = Overlay::Uncertainty;
        },
    },
];

fn attention_tab(cx: &mut Context<'_>) {
    cx.arrangement.hidden.side = false;
    cx.arrangement.tab = Tab::Attention;
}

/// Goes to the slice that is most certainly of a region.
fn to_region(cx: &mut Context<'_>, region: Region) {
    let Some(study) = &cx.document.study else { return };
    let p = |a: &attention_anatomy::infer::SliceAnatomy| a.regions[region.index()];
    let best = study.anatomy.iter().flatten().max_by(|a, b| p(a).total_cmp(&p(b))).map(|a| a.slice);
    if let Some(slice) = best {
        cx.document.go_to_slice(slice);
    }
}

/// Goes to a slice of the uppermost region that the scan shows.
fn to_uppermost(cx: &mut Context<'_>) {
    let Some(study) = &cx.document.study else { return };
    let likely = |r: Region| study.anatomy.iter().flatten().any(|a| a.regions[r.index()] > 0.5);
    if let Some(region) = Region::ALL.into_iter().find(|&r| likely(r)) {
        to_region(cx, region);
    }
}

impl Tour {
    /// Begins the tour.
    fn start(&mut self, cx: &mut Context<'_>) {
        cx.document.preferences.tour_seen = true;
        if self.step.is_none() {
            self.selected = cx.document.view.selected;
        }
        self.go(cx, Some(0));
    }

    /// Whether the tour is told to go by keyboard.
    fn is_told_to_go(&self, ui: &Ui) -> bool {
        !self.is_behind && ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Escape))
    }

    fn go(&mut self, cx: &mut Context<'_>, step: Option<usize>) {
        self.step = step;
        match step.and_then(|n| STEPS.get(n)) {
            Some(step) => {
                (step.arrange)(cx);
                cx.arrangement.bring_up(step.spot);
            }
            None => {
                cx.document.view.overlay = Overlay::None;
                cx.document.view.selected = self.selected;
                cx.document.wish.reset();
            }
        }
    }
}

impl Panel for Tour {
    fn update(&mut self, ctx: &egui::Context, _cx: &mut Context<'_>) {
        let has_dialog = ctx.memory(|memory| memory.top_modal_layer().is_some());
        self.is_behind = has_dialog || ctx.text_edit_focused() || egui::Popup::is_any_open(ctx);
    }

    /// Draws the step that is on, or offers the tour once, when the first segmentation is there.
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let seen = std::mem::take(&mut cx.arrangement.spots);
        if std::mem::take(&mut cx.arrangement.tour) {
            self.start(cx);
        }
        match self.step.and_then(|n| Some((n, STEPS.get(n)?))) {
            Some((n, step)) => {
                let rect = seen.iter().find(|(spot, _)| *spot == step.spot).map(|(_, rect)| *rect);
                if let Some(rect) = rect.filter(|r| r.is_positive()) {
                    let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, Id::unique("tour frame")));
                    let stroke = Stroke::new(2.0, theme::accent_of(ui));
                    painter.rect_stroke(rect.expand(4.0), CornerRadius::same(6), stroke, StrokeKind::Inside);
                }
                let to = if self.is_told_to_go(ui) { None } else { card(ui, n, step) };
                if to != Some(n) {
                    self.go(cx, to);
                }
            }
            // What there is to read comes first: both would stand in the same place.
            None if !cx.document.preferences.tour_seen
                && cx.document.run.phase == RunPhase::Finished
                && cx.outbox.notices.is_empty() =>
            {
                match offer(ui).or_else(|| self.is_told_to_go(ui).then_some(false)) {
                    Some(true) => self.start(cx),
                    Some(false) => cx.document.preferences.tour_seen = true,
                    None => {}
                }
            }
            None => {}
        }
    }
}

fn area(ui: &Ui) -> Area {
    let (views, window) = (ui.available_rect_before_wrap(), ui.ctx().content_rect());
    let offset = vec2(views.left() + 16.0, views.bottom() - window.bottom() - 16.0);
    Area::new(Id::unique("tour")).order(Order::Foreground).anchor(Align2::LEFT_BOTTOM, offset)
}

/// Draws a step; which one comes then.
fn card(ui: &mut Ui, n: usize, step: &Step) -> Option<usize> {
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
                let size = vec2(72.0, theme::target(ui));
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
    to
}

/// Whether the tour is wanted, once that is answered.
fn offer(ui: &mut Ui) -> Option<bool> {
    let mut answer = None;
    area(ui).accessible_name("Offer of a guided tour").show(ui.ctx(), |ui| {
        Frame::window(ui.style()).show(ui, |ui| {
            ui.set_width(290.0);
            ui.label(RichText::new("New here?").strong());
            ui.add(egui::Label::new("A tour of seven steps shows why the network draws what it draws.").wrap());
            ui.horizontal(|ui| {
                if ui.button("Take the tour").clicked() {
                    answer = Some(true);
                }
                if ui.button("No, thanks").clicked() {
                    answer = Some(false);
                }
            });
        });
    });
    answer
}
