//! What the network attends to on the slice on screen, and what would be if it attended otherwise.
//!
//! | file | what |
//! |---|---|
//! | `bars.rs` | the 33 values as bars that can be dragged |
//! | `removed.rs` | voxels that attention took away |
//! | `uncertain.rs` | the least certain slices |

mod bars;
mod removed;
mod uncertain;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, Region};
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::report::region_order_warnings;
use egui::{Align2, CornerRadius, Rect, RichText, Sense, Stroke, StrokeKind, TextStyle, Ui, pos2, vec2};

use super::context::{Context, Panel, Spot};
use super::icons::Icon;
use super::scale::Scale;
use super::widgets::{grouped, heading, remark, slice_number};
use crate::display::Overlay;
use crate::document::{Study, changes};
use crate::{focus, theme};

/// Below this probability of the likeliest region the network does not know where it is.
const SURE: f32 = 0.5;

/// Height of what stands below the bars, and the least that the bars are given.
const BELOW_BARS: f32 = 240.0;
const SHORTEST_BARS: f32 = 190.0;

/// The panel.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Bars in the order of the table, rather than the largest first.
    by_anatomy: bool,
    /// The organ whose bar was last scrolled to.
    shown: Option<Organ>,
    scores: uncertain::Scores,
    /// What is odd about the order of the regions, and the revision of the slices that it was found from.
    warnings: (u64, Vec<String>),
}

impl Panel for Attention {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        show(self, ui, cx);
    }

    fn update(&mut self, ctx: &egui::Context, cx: &mut Context<'_>) {
        let now = ctx.input(|i| i.time);
        if let Some(seconds) = cx.document.follow_wish(now, cx.outbox) {
            ctx.request_repaint_after_secs(seconds as f32);
        }
        let Some(study) = &cx.document.study else { return };
        if self.scores.update(study) {
            ctx.request_repaint();
        }
        let revision = study.anatomy_revision();
        if self.warnings.0 != revision {
            let slices: Vec<SliceAnatomy> = study.anatomy.iter().flatten().cloned().collect();
            self.warnings = (revision, region_order_warnings(&slices));
        }
    }
}

fn show(panel: &mut Attention, ui: &mut Ui, cx: &mut Context<'_>) {
    let Some(study) = &cx.document.study else {
        ui.weak("Open a scan to see what the network attends to, slice by slice.");
        return;
    };
    let slice = cx.document.view.slice();
    let Some(anatomy) = study.anatomy_near(slice).cloned() else {
        ui.weak(match cx.document.run.is_active() {
            true => "This slice has not been reached yet; the run works outwards from the slice on screen.",
            false => "This slice has not been segmented. Run the segmentation to see what the network attends to.",
        });
        return;
    };
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        warnings(ui, &panel.warnings.1, &anatomy);
        regions(ui, &anatomy, slice);
        match anatomy.attention {
            Some(own) => {
                let before = ui.cursor().top();
                switches(panel, ui, cx);
                if cx.document.wish.is_on() {
                    outcome(ui, cx.document.study.as_ref());
                }
                values(panel, ui, cx, own);
                let seen = Rect::from_min_max(
                    pos2(ui.max_rect().left(), before),
                    pos2(ui.max_rect().right(), ui.cursor().top()),
                );
                cx.arrangement.saw(Spot::Attention, seen.intersect(ui.clip_rect()));
                removed::show(ui, cx);
            }
            None => {
                ui.add_space(6.0);
                ui.weak("These weights are a plain U-Net without attention, so there is none to show.");
            }
        }
        uncertain_slices(panel, ui, cx);
        focus::keep_in_sight(ui);
    });
}

fn warnings(ui: &mut Ui, warnings: &[String], anatomy: &SliceAnatomy) {
    let colour = ui.visuals().warn_fg_color;
    for warning in warnings {
        remark(ui, Icon::Warning, colour, warning);
    }
    if let Some((region, p)) = anatomy.most_likely_region().filter(|(_, p)| *p < SURE) {
        let text = format!(
            "No region is likely on this slice ({} {p:.2} is the likeliest). It may show a part of the body that these weights \
             do not know.",
            region.name().to_lowercase()
        );
        remark(ui, Icon::Warning, colour, &text);
    }
}

fn regions(ui: &mut Ui, anatomy: &SliceAnatomy, slice: usize) {
    let Some((best, p)) = anatomy.most_likely_region() else { return };
    heading(ui, &format!("Slice {}: {} ({p:.2})", slice_number(slice), best.name().to_lowercase()));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0), Sense::hover());
    let total: f32 = anatomy.regions.iter().filter(|p| p.is_finite()).sum();
    let mut x = rect.left();
    for region in Region::ALL {
        let p = anatomy.regions[region.index()];
        let width = if p.is_finite() && total > 0.0 { rect.width() * p / total } else { 0.0 };
        let part = Rect::from_min_size(pos2(x, rect.top()), vec2(width, rect.height()));
        ui.painter().rect_filled(part, CornerRadius::ZERO, theme::colour(region.colour()));
        let font = TextStyle::Small.resolve(ui.style());
        let text = ui.painter().layout_no_wrap(region.name().to_string(), font, theme::ink_on(region.colour()));
        if text.size().x + 8.0 < width {
            let at = Align2::CENTER_CENTER.anchor_size(part.center(), text.size()).min;
            ui.painter().galley(at, text, theme::ink_on(region.colour()));
        }
        x += width;
    }
    let edge = ui.visuals().widgets.noninteractive.bg_stroke;
    ui.painter().rect_stroke(rect, CornerRadius::same(2), edge, StrokeKind::Outside);
    response.on_hover_text("How likely the network takes this slice for each region of the body");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for region in Region::ALL.into_iter().filter(|r| anatomy.regions[r.index()] >= 0.005) {
            let (rect, _) = ui.allocate_exact_size(vec2(9.0, 14.0), Sense::hover());
            super::widgets::swatch(ui, Rect::from_center_size(rect.center(), vec2(9.0, 9.0)), region.colour(), false);
            let text = format!("{} {:.2}", region.name(), anatomy.regions[region.index()]);
            ui.label(RichText::new(text).small());
            ui.add_space(4.0);
        }
    });
}

fn switches(panel: &mut Attention, ui: &mut Ui, cx: &mut Context<'_>) {
    heading(ui, "Attention");
    let shown_on = cx.arrangement.scale(cx.document);
    let wish = &mut cx.document.wish;
    ui.horizontal(|ui| {
        let mut off = wish.off;
        let hint = "What if the network had no attention? All values are taken for 1, as a plain U-Net would.";
        if ui.checkbox(&mut off, "Attention off").on_hover_text(hint).changed() {
            wish.off = off;
        }
        let reset = ui.add_enabled(wish.is_on(), egui::Button::new("Reset"));
        if reset.on_hover_text("Back to the network's own attention").clicked() {
            wish.reset();
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let by_anatomy = &mut panel.by_anatomy;
            let mut sorted = !*by_anatomy;
            if ui.checkbox(&mut sorted, "Sort").on_hover_text("The largest value first").changed() {
                *by_anatomy = !sorted;
            }
            let mut log = shown_on == Scale::Log;
            let hint = "Attention on a logarithmic scale, from 0.0001 to 1, here and along the body";
            if ui.checkbox(&mut log, "Log").on_hover_text(hint).changed() {
                cx.arrangement.attention_scale = Some(if log { Scale::Log } else { Scale::Linear });
            }
        });
    });
}

/// What the what-if has changed.
fn outcome(ui: &mut Ui, study: Option<&Study>) {
    let Some(study) = study.filter(|s| s.what_if.is_some()) else { return };
    let accent = theme::accent_of(ui);
    let frame = egui::Frame::new().fill(ui.visuals().faint_bg_color).inner_margin(8).corner_radius(5);
    frame.stroke(Stroke::new(1.0, accent)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let Some(changes) = changes(study) else {
            ui.label(RichText::new("What if: asking the network\u{2026}").small());
            return;
        };
        if changes.is_empty() {
            ui.label(RichText::new("What if: not one voxel of this slice changes.").small());
        } else {
            ui.label(RichText::new("What if: voxels of this slice that change").small().strong());
            egui::Grid::new("changes").num_columns(3).spacing([10.0, 1.0]).show(ui, |ui| {
                for change in changes.iter().take(6) {
                    ui.label(RichText::new(change.organ.name()).small());
                    for (sign, n) in [("+", change.gained), ("\u{2212}", change.lost)] {
                        let text = if n > 0 { format!("{sign}{}", grouped(n.into())) } else { String::new() };
                        ui.label(RichText::new(text).small().monospace());
                    }
                    ui.end_row();
                }
            });
            if changes.len() > 6 {
                ui.label(RichText::new(format!("and {} more organs", changes.len() - 6)).small().weak());
            }
        }
        let kept = match (study.labels.opened_from(), study.labels.edited_voxels()) {
            (Some(file), _) => format!("; the labels of {file} are kept and come back with Reset"),
            (None, 0) => String::new(),
            (None, _) => "; your edits are kept and come back with Reset".into(),
        };
        let note = format!("The picture shows the network's labels under this what-if{kept}.");
        ui.add(egui::Label::new(RichText::new(note).small().weak()).wrap());
    });
    ui.add_space(4.0);
}

fn values(panel: &mut Attention, ui: &mut Ui, cx: &mut Context<'_>, own: [f32; 33]) {
    let known = cx.document.model.known();
    let styles = cx.document.view.styles;
    let slice = cx.document.view.slice();
    let outlined = cx.document.study.as_ref().map(|study| study.outlined_on(slice)).unwrap_or_default();
    let bars = bars::Bars {
        values: cx.document.wish.vector(&own),
        own,
        scale: cx.arrangement.scale(cx.document),
        known,
        colours: &|organ| styles[organ.index()].colour,
        outlined,
        selected: cx.document.view.selected,
        sorted: !panel.by_anatomy,
    };
    // What stands below the bars should be seen without scrolling wherever the window is tall enough.
    let height = (ui.clip_rect().bottom() - ui.cursor().top() - BELOW_BARS).max(SHORTEST_BARS);
    let scroll = egui::ScrollArea::vertical().id_salt("bars").max_height(height).auto_shrink([false, true]);
    let done = scroll.show(ui, |ui| bars.show(ui, &mut panel.shown)).inner;
    ui.add(egui::Label::new(RichText::new("Bright names: outlined on this slice.").small().weak()).wrap());
    let unlearned = ORGAN_COUNT - known.len();
    if unlearned > 0 {
        let organs = if unlearned == 1 {
            "1 organ is not in these weights and has".to_string()
        } else {
            format!("{unlearned} organs are not in these weights and have")
        };
        let text = format!("{organs} no bars.");
        ui.add(egui::Label::new(RichText::new(text).small().weak()).wrap());
    }
    match done {
        Some(bars::Done::Set(organ, value)) => cx.document.wish.set[organ.index()] = Some(value),
        Some(bars::Done::Chosen(organ)) => cx.document.view.selected = Some(organ),
        None => {}
    }
}

fn uncertain_slices(panel: &Attention, ui: &mut Ui, cx: &mut Context<'_>) {
    let before = ui.cursor().top();
    heading(ui, "Least certain slices");
    let mut on = cx.document.view.overlay == Overlay::Uncertainty;
    if ui.checkbox(&mut on, "Show uncertainty").on_hover_text("Voxels that a second class nearly won glow").changed() {
        cx.document.view.overlay = if on { Overlay::Uncertainty } else { Overlay::None };
    }
    let worst = panel.scores.worst(10);
    if worst.is_empty() {
        ui.weak("Nothing to list: no labelled voxel is uncertain so far.");
    } else {
        ui.add(
            egui::Label::new(RichText::new("Mean uncertainty of the outlined voxels, 0 to 1.").small().weak()).wrap(),
        );
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
            ui.spacing_mut().button_padding.x = 5.0;
            for (slice, score) in worst {
                let here = slice == cx.document.view.slice();
                let text = format!("{} \u{b7} {score:.2}", slice_number(slice));
                let button = egui::Button::selectable(here, RichText::new(text).small())
                    .frame_when_inactive(true)
                    .min_size(vec2(0.0, theme::target(ui)));
                let name = format!("Go to uncertain slice {}", slice_number(slice));
                if ui.add(button).accessible_name(name).clicked() {
                    cx.document.go_to_slice(slice);
                }
            }
        });
    }
    let seen = Rect::from_min_max(pos2(ui.max_rect().left(), before), pos2(ui.max_rect().right(), ui.cursor().top()));
    cx.arrangement.saw(Spot::Uncertain, seen.intersect(ui.clip_rect()));
}
