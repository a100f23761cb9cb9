//! The attention of the 33 organs on one slice as bars that can be dragged.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use egui::{Align2, CornerRadius, Rect, Sense, Stroke, StrokeKind, TextStyle, Ui, pos2, vec2};

use super::super::scale::{self, Scale};
use super::super::widgets::{drag_bar, elided, short_name, swatch};
use crate::{focus, theme};

/// Height of a row; of one that a finger drags.
const ROW: f32 = 21.0;
const TOUCHED_ROW: f32 = 40.0;
const NAME: f32 = 132.0;
const NUMBER: f32 = 42.0;

/// What the bars show.
pub struct Bars<'a> {
    /// Values as they are shown.
    pub values: [f32; ORGAN_COUNT],
    /// The network's own values, marked where they differ.
    pub own: [f32; ORGAN_COUNT],
    /// How they are laid out.
    pub scale: Scale,
    /// Organs that the weights know; the others have no bar, for their values mean nothing.
    pub known: OrganSet,
    /// Colours, by organ.
    pub colours: &'a dyn Fn(Organ) -> [u8; 3],
    /// Organs that are outlined on this slice: their names are bright.
    pub outlined: OrganSet,
    /// The organ that is highlighted.
    pub selected: Option<Organ>,
    /// The largest value first, rather than in the order of the table.
    pub sorted: bool,
}

/// What was done with a bar.
pub enum Done {
    /// The value was dragged.
    Set(Organ, f32),
    /// The name was clicked.
    Chosen(Organ),
}

impl Bars<'_> {
    /// The order of the rows. It follows the network's own values, so that no row runs away while it is dragged.
    fn order(&self) -> Vec<Organ> {
        let mut organs: Vec<Organ> = self.known.iter().collect();
        if self.sorted {
            let key = |o: Organ| self.own[o.index()];
            organs.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
        }
        organs
    }

    /// Draws them, and scrolls to that of an organ that was chosen since it was last scrolled to one.
    pub fn show(&self, ui: &mut Ui, scrolled_to: &mut Option<Organ>) -> Option<Done> {
        let mut done = None;
        ui.spacing_mut().item_spacing.y = 0.0;
        let before = scrolled_to.take();
        for organ in self.order() {
            let at = ui.cursor().top();
            done = self.row(ui, organ).or(done);
            // Chosen elsewhere: its bar may stand below all that are seen.
            if self.selected == Some(organ) {
                if before != self.selected {
                    ui.scroll_to_rect(Rect::from_x_y_ranges(ui.max_rect().x_range(), at..=ui.cursor().top()), None);
                }
                *scrolled_to = self.selected;
            }
        }
        focus::keep_in_sight(ui);
        done
    }

    fn row(&self, ui: &mut Ui, organ: Organ) -> Option<Done> {
        let height = if theme::target(ui) > theme::TOUCH { TOUCHED_ROW } else { ROW };
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
        let id = ui.scope_id().with(("attention", organ.label()));
        let mut value = self.values[organ.index()];
        let name_rect = Rect::from_min_size(rect.min, vec2(NAME, height));
        let bar = Rect::from_min_max(pos2(rect.left() + NAME, rect.top()), pos2(rect.right() - NUMBER, rect.bottom()));
        let name = format!("Attention of {}", organ.name().to_lowercase());
        let mut place = self.scale.place(value);
        let (response, changed) = drag_bar(ui, bar, id, &name, &mut place, true);
        if changed {
            value = self.scale.value(place);
        }
        let chosen = ui.interact(name_rect, id.with("name"), Sense::CLICK);
        if ui.is_rect_visible(rect) {
            self.paint(ui, organ, value, rect, bar.shrink2(vec2(2.0, 4.0)), &response);
        }
        let (shown, own) = (scale::number(value), scale::number(self.own[organ.index()]));
        let outlined = if self.outlined.contains(organ) { "outlined" } else { "not outlined" };
        let hint = format!("{organ}: {shown} (the network says {own}), {outlined} on this slice\nDrag to ask what if");
        response.on_hover_text(hint);
        match () {
            () if changed => Some(Done::Set(organ, value)),
            () if chosen.clicked() => Some(Done::Chosen(organ)),
            () => None,
        }
    }

    fn paint(&self, ui: &Ui, organ: Organ, value: f32, rect: Rect, bar: Rect, response: &egui::Response) {
        let own = self.own[organ.index()];
        let painter = ui.painter();
        let visuals = ui.visuals();
        if self.selected == Some(organ) {
            painter.rect_filled(rect, CornerRadius::same(3), visuals.faint_bg_color);
        }
        let ink = visuals.text_color();
        let colour = (self.colours)(organ);
        swatch(ui, Rect::from_center_size(pos2(rect.left() + 7.0, rect.center().y), vec2(9.0, 9.0)), colour, false);
        let outlined = self.outlined.contains(organ);
        let name_ink = if outlined { visuals.strong_text_color() } else { visuals.weak_text_color() };
        let name = elided(ui, &short_name(organ), TextStyle::Small, name_ink, NAME - 18.0);
        painter.galley(pos2(rect.left() + 16.0, rect.center().y - name.size().y / 2.0), name, name_ink);

        painter.rect_filled(bar, CornerRadius::same(2), visuals.extreme_bg_color);
        let x = |v: f32| egui::lerp(bar.x_range(), self.scale.place(v));
        let mut filled = bar;
        filled.set_right(x(value));
        painter.rect_filled(filled, CornerRadius::same(2), theme::colour(colour));
        let edge = match () {
            () if response.has_focus() => Stroke::new(1.5, theme::accent_of(ui)),
            () if response.hovered() => Stroke::new(1.0, visuals.weak_text_color()),
            () => Stroke::new(1.0, visuals.widgets.noninteractive.bg_stroke.color),
        };
        painter.rect_stroke(bar, CornerRadius::same(2), edge, StrokeKind::Outside);
        let moved = (self.scale.place(value) - self.scale.place(own)).abs() > 0.002;
        if moved {
            // Where the network's own value was.
            let mark = Stroke::new(2.0, visuals.strong_text_color());
            painter.vline(x(own), (bar.top() - 2.0)..=(bar.bottom() + 2.0), mark);
        }
        let number = scale::number(value);
        let font = TextStyle::Small.resolve(ui.style());
        let ink = if moved { theme::accent_of(ui) } else { ink };
        painter.text(pos2(rect.right() - 2.0, rect.center().y), Align2::RIGHT_CENTER, number, font, ink);
    }
}
