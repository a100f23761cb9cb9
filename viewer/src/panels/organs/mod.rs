//! The 33 organs: what was found of each, how it is drawn, and a way to it.
//!
//! Rows are painted by hand, two lines at most, so that all of them cost less than a millisecond each frame.

mod detail;
mod row;

use attention_anatomy::anatomy::{Organ, Region};
use attention_anatomy::network::weights::TrainedOrgan;
use egui::{Align2, CornerRadius, Rect, Role, Sense, TextStyle, Ui, WidgetInfo, pos2, vec2};

use super::icons::Icon;
use super::tour::Spot;
use super::widgets::{icon_button_at, remark};
use crate::state::State;
use crate::theme;

/// What this panel remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What is searched for.
    pub search: String,
    /// Groups that are folded, by region.
    folded: [bool; 5],
    /// The organ that was last scrolled to.
    shown: Option<Organ>,
}

/// What the weights in use know of an organ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known<'a> {
    /// There are no weights yet.
    NoWeights,
    /// Never annotated in training: never drawn.
    Never,
    /// Learned, but off by default.
    Off(&'a TrainedOrgan),
    /// Learned, and drawn.
    Drawn(&'a TrainedOrgan),
}

/// What is known of an organ.
pub fn known(state: &State, organ: Organ) -> Known<'_> {
    match state.model.trained(organ) {
        _ if state.model.weights.is_none() => Known::NoWeights,
        None => Known::Never,
        Some(trained) if trained.enabled || state.model.all_organs => Known::Drawn(trained),
        Some(trained) => Known::Off(trained),
    }
}

impl Known<'_> {
    /// How it was learned, for people.
    pub fn sentence(self) -> String {
        match self {
            Self::NoWeights => "No weights are loaded yet.".to_string(),
            Self::Never => {
                "Not in these weights: no training patient had this organ outlined, so it is never drawn.".into()
            }
            Self::Drawn(t) | Self::Off(t) => {
                let patients = if t.patients == 1 { "patient" } else { "patients" };
                let dice = match t.validation_dice {
                    Some(dice) => format!("validation Dice {dice:.2} on {}", t.validation_patients),
                    None => "never measured on other patients".to_string(),
                };
                format!("Learned from {} {patients}, {dice}.", t.patients)
            }
        }
    }

    /// Why it is off, in two or three words.
    pub fn why_off(self) -> Option<String> {
        match self {
            Self::Never => Some("not in these weights".to_string()),
            Self::Off(t) => Some(match t.validation_dice {
                Some(dice) => format!("off: too weak, Dice {dice:.2}"),
                None => "off: never measured".to_string(),
            }),
            Self::NoWeights | Self::Drawn(_) => None,
        }
    }
}

/// Whether an organ answers a search; all do where nothing is searched for.
pub fn matches(organ: Organ, search: &str) -> bool {
    let search = search.trim().to_lowercase();
    let names = [organ.name(), organ.id(), organ.tg263()].map(str::to_lowercase);
    search.split_whitespace().all(|word| names.iter().any(|name| name.contains(word)))
}

/// The region under which an organ stands: the uppermost one that it lies in.
fn group(organ: Organ) -> Option<Region> {
    organ.regions().first().copied()
}

/// Draws the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    let whole = ui.available_rect_before_wrap();
    state.panels.tour.saw(Spot::Organs, whole);
    controls(ui, state);
    if let Some(organ) = state.view.selected {
        let frame = egui::Frame::side_top_panel(ui.style()).inner_margin(egui::Margin::symmetric(0, 6));
        egui::Panel::bottom("organ").frame(frame).show(ui, |ui| detail::show(ui, state, organ));
    }
    let scroll = egui::ScrollArea::vertical().auto_shrink(false);
    scroll.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let search = state.panels.organs.search.clone();
        let mut found = 0;
        for region in Region::ALL {
            let all: Vec<Organ> = Organ::ALL.into_iter().filter(|&o| group(o) == Some(region)).collect();
            let shown: Vec<Organ> = all.iter().copied().filter(|&o| matches(o, &search)).collect();
            if shown.is_empty() {
                continue;
            }
            found += shown.len();
            header(ui, state, region, &all);
            if !state.panels.organs.folded[region.index()] || !search.is_empty() {
                for organ in shown {
                    row::show(ui, state, organ);
                }
            }
            ui.add_space(4.0);
        }
        if found == 0 {
            ui.weak(format!("No organ is called \u{201c}{}\u{201d}.", search.trim()));
        } else if search.is_empty() {
            weak_organs(ui, state);
        }
    });
}

fn controls(ui: &mut Ui, state: &mut State) {
    ui.horizontal(|ui| {
        let clear = !state.panels.organs.search.is_empty();
        let width = ui.available_width() - if clear { 34.0 } else { 0.0 };
        let edit = egui::TextEdit::singleline(&mut state.panels.organs.search).hint_text("Search organs");
        ui.add_sized([width, 26.0], edit).accessible_name("Search organs");
        if clear && super::widgets::icon_button(ui, Icon::Close, "Clear search", "", None, true).clicked() {
            state.panels.organs.search.clear();
        }
    });
    ui.horizontal(|ui| {
        ui.checkbox(&mut state.view.labels, "Labels").on_hover_text("Draw labels at all (L)");
        if ui.button("All").on_hover_text("Show all organs").clicked() {
            state.view.styles.iter_mut().for_each(|s| s.visible = true);
            state.view.solo = None;
        }
        if ui.button("None").on_hover_text("Hide all organs").clicked() {
            state.view.styles.iter_mut().for_each(|s| s.visible = false);
            state.view.solo = None;
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 6.0).clamp(40.0, 120.0);
        let slider = egui::Slider::new(&mut state.view.opacity, 0.0..=1.0).show_value(false);
        ui.add(slider).on_hover_text("Opacity of all organs").accessible_name("Opacity of all organs");
    });
    ui.add_space(2.0);
}

fn header(ui: &mut Ui, state: &mut State, region: Region, organs: &[Organ]) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::click());
    let found = match &state.study {
        Some(study) => organs.iter().filter(|&&o| study.labels.voxel_count(o) > 0).count(),
        None => 0,
    };
    let folded = state.panels.organs.folded[region.index()];
    response.widget_info(|| WidgetInfo::selected(Role::DisclosureTriangle, true, !folded, region.name()));
    if ui.is_rect_visible(rect) {
        let painter = ui.painter();
        if response.hovered() || response.has_focus() {
            painter.rect_filled(rect, CornerRadius::same(4), ui.visuals().faint_bg_color);
        }
        let bar = Rect::from_min_size(rect.min + vec2(2.0, 5.0), vec2(4.0, 16.0));
        painter.rect_filled(bar, CornerRadius::same(2), theme::colour(region.colour()));
        let arrow = Rect::from_center_size(pos2(rect.left() + 17.0, rect.center().y), vec2(8.0, 8.0));
        let turn = if folded { -std::f32::consts::FRAC_PI_2 } else { 0.0 };
        painter.add(egui::Shape::rotated_triangle(arrow, turn, ui.visuals().weak_text_color()));
        let font = TextStyle::Body.resolve(ui.style());
        let at = pos2(rect.left() + 28.0, rect.center().y);
        let name = painter.text(at, Align2::LEFT_CENTER, region.name(), font, ui.visuals().strong_text_color());
        let count = format!("{found} of {}", organs.len());
        let small = TextStyle::Small.resolve(ui.style());
        let weak = ui.visuals().weak_text_color();
        painter.text(pos2(name.right() + 8.0, rect.center().y + 1.0), Align2::LEFT_CENTER, count, small, weak);
    }
    if response.clicked() {
        state.panels.organs.folded[region.index()] = !folded;
    }
    let all = organs.iter().all(|o| state.view.styles[o.index()].visible);
    let eye = Rect::from_center_size(pos2(rect.right() - 14.0, rect.center().y), vec2(26.0, 26.0));
    let name = format!("Show all of {}", region.name().to_lowercase());
    let icon = if all { Icon::Eye } else { Icon::EyeShut };
    if icon_button_at(ui, eye, response.id.with("eye"), icon, &name, Some(all)).clicked() {
        organs.iter().for_each(|o| state.view.styles[o.index()].visible = !all);
    }
}

/// Organs that these weights have learned too badly to be drawn unasked, and how to have them all the same.
fn weak_organs(ui: &mut Ui, state: &mut State) {
    let Some(weights) = &state.model.weights else { return };
    let weak = weights.info.trained_organs.iter().filter(|t| !t.enabled).count();
    if weak == 0 {
        return;
    }
    ui.add_space(4.0);
    let organs = if weak == 1 { "1 organ was".to_string() } else { format!("{weak} organs were") };
    let text = format!(
        "{organs} learned too weakly (validation Dice below {:.1}, or never measured) and are off unless asked for.",
        attention_anatomy::network::weights::ENABLE_DICE
    );
    remark(ui, Icon::Info, ui.visuals().weak_text_color(), &text);
    let mut all = state.model.all_organs;
    if ui.checkbox(&mut all, "Draw weak organs too").on_hover_text("Runs the segmentation again").changed() {
        state.model.all_organs = all;
        state.start_run();
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

    #[test]
    fn every_organ_stands_in_one_group() {
        assert!(Organ::ALL.into_iter().all(|o| group(o).is_some()));
        assert_eq!(group(Organ::SpinalCord), Some(Region::Head));
        assert_eq!(group(Organ::Heart), Some(Region::Chest));
    }
}
