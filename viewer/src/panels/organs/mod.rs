//! The 33 organs: what was found of each, how it is drawn, and a way to it.
//!
//! Rows are painted by hand, two lines at most, so that all of them cost less than a millisecond each frame.

mod detail;
mod groups;
mod known;
mod others;
mod row;

use attention_anatomy::anatomy::{Organ, Region};
use egui::{Align2, CornerRadius, Rect, Role, Sense, TextStyle, Ui, WidgetInfo, pos2, vec2};

use super::context::{Context, Panel, Spot};
use super::icons::Icon;
use super::widgets::{icon_button_at, remark};
use crate::{focus, theme};

use groups::{Group, Heading, groups};

/// The panel.
#[derive(Clone, Debug, Default)]
pub struct Organs {
    /// What is searched for.
    search: String,
    /// Groups that are folded otherwise than they start.
    turned: Vec<Heading>,
    /// The region on screen by which the groups are ordered.
    on_screen: Option<Region>,
    /// The organ that was last scrolled to.
    shown: Option<Organ>,
}

/// Whether an organ answers a search; all do where nothing is searched for.
pub fn matches(organ: Organ, search: &str) -> bool {
    let search = search.trim().to_lowercase();
    let names = [organ.name(), organ.id(), organ.tg263()].map(str::to_lowercase);
    search.split_whitespace().all(|word| names.iter().any(|name| name.contains(word)))
}

impl Organs {
    fn is_folded(&self, heading: Heading) -> bool {
        heading.starts_folded() != self.turned.contains(&heading)
    }

    fn turn(&mut self, heading: Heading) {
        match self.turned.iter().position(|&h| h == heading) {
            Some(at) => drop(self.turned.remove(at)),
            None => self.turned.push(heading),
        }
    }

    /// Follows the slice on screen, but not while the mouse is over the list: rows do not run away from it.
    fn follow(&mut self, ui: &Ui, cx: &Context<'_>) {
        let Some(study) = &cx.document.study else {
            self.on_screen = None;
            return;
        };
        let is_pointed_at = ui.rect_contains_pointer(ui.max_rect());
        if self.on_screen.is_some() && is_pointed_at {
            return;
        }
        let anatomy = study.anatomy_near(cx.document.view.slice());
        if let Some((region, _)) = anatomy.and_then(|anatomy| anatomy.most_likely_region()) {
            self.on_screen = Some(region);
        }
    }
}

impl Panel for Organs {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        show(self, ui, cx);
    }
}

fn show(panel: &mut Organs, ui: &mut Ui, cx: &mut Context<'_>) {
    let whole = ui.available_rect_before_wrap();
    cx.arrangement.saw(Spot::Organs, whole);
    controls(panel, ui, cx);
    // A sheet has no height for it.
    if let Some(organ) = cx.document.view.selected.filter(|_| !cx.arrangement.has_sheets) {
        let frame = egui::Frame::side_top_panel(ui.style()).inner_margin(egui::Margin::symmetric(0, 6));
        egui::Panel::bottom("organ").frame(frame).show(ui, |ui| detail::show(ui, cx, organ));
    }
    panel.follow(ui, cx);
    let scroll = egui::ScrollArea::vertical().auto_shrink(false);
    scroll.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let search = panel.search.clone();
        let is_searching = !search.trim().is_empty();
        // Above the organs: what a file brought is looked for first.
        if !is_searching {
            others::show(ui, cx);
        }
        let mut found = 0;
        for group in groups(cx.document, panel.on_screen) {
            let shown: Vec<Organ> = group.organs.iter().copied().filter(|&o| matches(o, &search)).collect();
            if shown.is_empty() {
                continue;
            }
            found += shown.len();
            let is_folded = panel.is_folded(group.heading);
            if header(ui, cx, &group, is_folded) {
                panel.turn(group.heading);
            }
            // Whoever chose an organ in the views wants to see its row.
            let is_chosen = cx.document.view.selected.is_some_and(|o| panel.shown != Some(o) && shown.contains(&o));
            if is_chosen && is_folded {
                panel.turn(group.heading);
            }
            if !is_folded || is_searching || is_chosen {
                if group.heading == Heading::Weak
                    && let Some(why) = why_weak(cx)
                {
                    remark(ui, Icon::Info, ui.visuals().weak_text_color(), &why);
                }
                for organ in shown {
                    row::show(ui, cx, organ, &mut panel.shown);
                }
            }
            ui.add_space(4.0);
        }
        if found == 0 {
            ui.weak(format!("No organ is called \u{201c}{}\u{201d}.", search.trim()));
        } else if !is_searching {
            weak_organs(ui, cx);
        }
        focus::keep_in_sight(ui);
    });
}

fn controls(panel: &mut Organs, ui: &mut Ui, cx: &mut Context<'_>) {
    ui.horizontal(|ui| {
        let clear = !panel.search.is_empty();
        let width = ui.available_width() - if clear { 34.0 } else { 0.0 };
        let edit =
            egui::TextEdit::singleline(&mut panel.search).hint_text("Search organs").align(egui::Align2::LEFT_CENTER);
        let tall = if theme::target(ui) > theme::TOUCH { theme::target(ui) } else { 26.0 };
        ui.add_sized([width, tall], edit).accessible_name("Search organs");
        if clear && super::widgets::icon_button(ui, Icon::Close, "Clear search", "", None, true).clicked() {
            panel.search.clear();
        }
    });
    ui.horizontal(|ui| {
        ui.checkbox(&mut cx.document.view.labels, "Labels").on_hover_text("Draw labels at all (L)");
        let wide = egui::vec2(theme::target(ui), 0.0);
        if ui.add(egui::Button::new("All").min_size(wide)).on_hover_text("Show all organs").clicked() {
            cx.document.view.styles.iter_mut().for_each(|s| s.visible = true);
            cx.document.view.solo = None;
        }
        if ui.add(egui::Button::new("None").min_size(wide)).on_hover_text("Hide all organs").clicked() {
            cx.document.view.styles.iter_mut().for_each(|s| s.visible = false);
            cx.document.view.solo = None;
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 6.0).clamp(40.0, 120.0);
        let slider = egui::Slider::new(&mut cx.document.view.opacity, 0.0..=1.0).show_value(false);
        ui.add(slider).on_hover_text("Opacity of all organs").accessible_name("Opacity of all organs");
    });
    ui.add_space(2.0);
}

/// Draws the heading of a group; whether it was clicked.
fn header(ui: &mut Ui, cx: &mut Context<'_>, group: &Group, is_folded: bool) -> bool {
    let Group { heading, organs } = group;
    let id = ui.scope_id().with(heading.name());
    let rect = ui.allocate_space(vec2(ui.available_width(), theme::target(ui))).1;
    let response = ui.interact(rect, id, Sense::click());
    let name = match organs.len() {
        1 => format!("{}, 1 organ", heading.name()),
        n => format!("{}, {n} organs", heading.name()),
    };
    response.widget_info(|| WidgetInfo::selected(Role::DisclosureTriangle, true, !is_folded, &name));
    if ui.is_rect_visible(rect) {
        let painter = ui.painter();
        if response.hovered() || response.has_focus() {
            painter.rect_filled(rect, CornerRadius::same(4), ui.visuals().faint_bg_color);
        }
        if let Heading::Region(region) = heading {
            let bar = Rect::from_center_size(pos2(rect.left() + 4.0, rect.center().y), vec2(4.0, 16.0));
            painter.rect_filled(bar, CornerRadius::same(2), theme::colour(region.colour()));
        }
        let arrow = Rect::from_center_size(pos2(rect.left() + 17.0, rect.center().y), vec2(8.0, 8.0));
        let turn = if is_folded { -std::f32::consts::FRAC_PI_2 } else { 0.0 };
        painter.add(egui::Shape::rotated_triangle(arrow, turn, ui.visuals().weak_text_color()));
        let font = TextStyle::Body.resolve(ui.style());
        let at = pos2(rect.left() + 28.0, rect.center().y);
        let name = painter.text(at, Align2::LEFT_CENTER, heading.name(), font, ui.visuals().strong_text_color());
        let count = organs.len().to_string();
        let small = TextStyle::Small.resolve(ui.style());
        let weak = ui.visuals().weak_text_color();
        painter.text(pos2(name.right() + 8.0, rect.center().y + 1.0), Align2::LEFT_CENTER, count, small, weak);
    }
    if matches!(heading, Heading::Region(_)) {
        let all = organs.iter().all(|o| cx.document.view.styles[o.index()].visible);
        let eye = Rect::from_center_size(
            pos2(rect.right() - rect.height() / 2.0, rect.center().y),
            vec2(rect.height(), rect.height()),
        );
        let name = format!("Show all of {}", heading.name().to_lowercase());
        let icon = if all { Icon::Eye } else { Icon::EyeShut };
        if icon_button_at(ui, eye, id.with("eye"), icon, &name, Some(all)).clicked() {
            organs.iter().for_each(|o| cx.document.view.styles[o.index()].visible = !all);
        }
    }
    response.clicked()
}

/// How many organs these weights have learned too badly to be drawn unasked; `None` where there are none.
fn why_weak(cx: &Context<'_>) -> Option<String> {
    let trained = &cx.document.model.weights.as_ref()?.info.trained_organs;
    let organs = match trained.iter().filter(|t| !t.enabled).count() {
        0 => return None,
        1 => "1 organ was".to_string(),
        weak => format!("{weak} organs were"),
    };
    Some(format!(
        "{organs} learned too weakly (validation Dice below {:.1}, or never measured) and are off unless asked for.",
        attention_anatomy::network::weights::ENABLE_DICE
    ))
}

/// How to have them all the same, in one line: what stands at the foot of a long list is seen last.
fn weak_organs(ui: &mut Ui, cx: &mut Context<'_>) {
    let Some(why) = why_weak(cx) else { return };
    let mut all = cx.document.model.all_organs;
    let hover = format!("{why} Runs the segmentation again.");
    if ui.checkbox(&mut all, "Draw weak organs too").on_hover_text(hover).changed() {
        cx.document.model.all_organs = all;
        cx.document.start_run(cx.outbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_names_keys_and_standard_names_whatever_their_case() {
        let found = |search| Organ::ALL.into_iter().filter(|&o| matches(o, search)).collect::<Vec<_>>();
        assert_eq!(found("").len(), 33);
        assert_eq!(found("LIVER"), [Organ::Liver]);
        assert_eq!(found("left parot"), [Organ::ParotidLeft]);
        assert_eq!(found("Glnd_Submand_R"), [Organ::SubmandibularGlandRight]);
        assert_eq!(found(" kidney "), [Organ::KidneyLeft, Organ::KidneyRight]);
        assert!(found("prostate").is_empty());
    }
}
