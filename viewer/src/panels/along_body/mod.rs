//! The strip along the body: which region the network takes each slice for, and which organs it attends to there. One row
//! for every slice, superior at the top, as in the coronal view.

mod image;
mod told;

pub use told::spoken;

use std::sync::Arc;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet, Region};
use egui::{
    Align2, Color32, CornerRadius, EventFilter, Key, Pos2, Rect, Response, RichText, Role, Sense, Shape, Stroke,
    StrokeKind, TextStyle, TextureHandle, TextureOptions, Ui, WidgetInfo, pos2, vec2,
};

use super::context::{Context, Panel, Spot};
use super::scale::{Scale, number};
use super::widgets::slice_number;
use crate::display::View;
use crate::document::Study;
use crate::theme;

/// The strip.
#[derive(Clone, Default)]
pub struct AlongBody {
    drawn: Option<Drawn>,
}

impl std::fmt::Debug for AlongBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlongBody").field("drawn", &self.drawn.as_ref().map(|d| d.of)).finish()
    }
}

/// The texture, and what it was made from.
#[derive(Clone)]
struct Drawn {
    of: (u64, OrganSet, Scale),
    texture: TextureHandle,
}

/// Where things stand.
#[derive(Clone, Copy)]
struct Places {
    band: Rect,
    stack: Rect,
    heat: Rect,
    slices: usize,
}

impl Places {
    fn new(rect: Rect, slices: usize) -> Self {
        let part = |from: f32, to: f32| {
            let x = |t: f32| rect.left() + t * rect.width();
            Rect::from_min_max(pos2(x(from), rect.top()), pos2(x(to), rect.bottom()))
        };
        Self { band: part(0.0, 0.1), stack: part(0.12, 0.36), heat: part(0.4, 1.0), slices: slices.max(1) }
    }

    fn step(&self) -> f32 {
        self.heat.height() / self.slices as f32
    }

    /// The middle of slice `k`.
    fn y(&self, k: usize) -> f32 {
        self.heat.bottom() - (k as f32 + 0.5) * self.step()
    }

    /// The slice at a height.
    fn slice(&self, y: f32) -> usize {
        let k = ((self.heat.bottom() - y) / self.step()).floor();
        (k.max(0.0) as usize).min(self.slices - 1)
    }

    /// The organ at a place across the heat map.
    fn organ(&self, x: f32) -> Option<Organ> {
        let t = (x - self.heat.left()) / self.heat.width();
        if (0.0..1.0).contains(&t) { Organ::from_index((t * ORGAN_COUNT as f32) as usize) } else { None }
    }

    fn column(&self, organ: Organ) -> Rect {
        let width = self.heat.width() / ORGAN_COUNT as f32;
        let left = self.heat.left() + organ.index() as f32 * width;
        Rect::from_min_max(pos2(left, self.heat.top()), pos2(left + width, self.heat.bottom()))
    }
}

impl Panel for AlongBody {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        show(&mut self.drawn, ui, cx);
    }

    fn new_window(&mut self) {
        self.drawn = None;
    }
}

fn show(drawn: &mut Option<Drawn>, ui: &mut Ui, cx: &mut Context<'_>) {
    let Some(study) = &cx.document.study else { return };
    cx.arrangement.saw(Spot::AlongBody, ui.available_rect_before_wrap());
    ui.horizontal(|ui| {
        ui.label(RichText::new("Along the body").strong());
    });
    let titles = ui.allocate_exact_size(vec2(ui.available_width(), 15.0), Sense::hover()).0;
    let legend_height = 30.0 + told::LINE;
    let size = vec2(ui.available_width(), (ui.available_height() - legend_height).max(60.0));
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let places = Places::new(rect.shrink2(vec2(1.0, 2.0)), study.anatomy.len());

    let known = cx.document.model.known();
    let scale = cx.arrangement.scale(cx.document);
    let texture = texture(ui, drawn, study, known, scale);
    paint(ui, &cx.document.view, study, &texture, &places, titles);
    let slice = cx.document.view.slice();
    let over = response.hover_pos().and_then(|at| Some((places.organ(at.x)?, places.slice(at.y))));
    told::line(ui, study, known, &cx.document.view, over);
    legend(ui, scale);
    let count = places.slices;
    let chosen = cx.document.view.selected;
    response.widget_info(|| {
        let organ =
            chosen.map_or(String::new(), |organ| format!("; attention: {}", told::said(study, known, organ, slice)));
        let name = format!("Slice along the body, {} of {count}{organ}", slice_number(slice));
        WidgetInfo { value: Some(slice_number(slice) as f64), ..WidgetInfo::labeled(Role::Slider, true, name) }
    });
    let to = wanted(ui, &response, &places, slice);
    let beside = wanted_organ(ui, &response, known, chosen);
    if let Some(at) = response.hover_pos().filter(|_| !response.dragged()) {
        let text = readout(study, known, &places, at);
        response.clone().on_hover_text_at_pointer(text);
    }
    if response.clicked()
        && let Some(organ) = response.interact_pointer_pos().and_then(|p| places.organ(p.x))
        && known.contains(organ)
    {
        cx.document.view.selected = Some(organ);
    }
    if beside.is_some() {
        cx.document.view.selected = beside;
    }
    if let Some(slice) = to {
        cx.document.go_to_slice(slice);
    }
}

/// The slice that the mouse or the keyboard asks for.
fn wanted(ui: &Ui, response: &Response, places: &Places, now: usize) -> Option<usize> {
    if let Some(at) = response.interact_pointer_pos() {
        return Some(places.slice(at.y));
    }
    let mut steps = 0;
    if response.has_focus() {
        let filter = EventFilter { vertical_arrows: true, horizontal_arrows: true, ..Default::default() };
        ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
        ui.input(|i| {
            steps += i.num_presses(Key::ArrowUp) as isize - i.num_presses(Key::ArrowDown) as isize;
            steps += 10 * (i.num_presses(Key::PageUp) as isize - i.num_presses(Key::PageDown) as isize);
        });
    }
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.add_action(egui::accesskit::Action::Increment);
        node.add_action(egui::accesskit::Action::Decrement);
    });
    ui.input(|i| {
        use egui::accesskit::Action;
        steps += i.num_accesskit_action_requests(response.id, Action::Increment) as isize;
        steps -= i.num_accesskit_action_requests(response.id, Action::Decrement) as isize;
    });
    (steps != 0).then(|| now.saturating_add_signed(steps).min(places.slices - 1))
}

/// The organ that the keyboard asks for, to the left or to the right of the chosen one.
fn wanted_organ(ui: &Ui, response: &Response, known: OrganSet, chosen: Option<Organ>) -> Option<Organ> {
    if !response.has_focus() {
        return None;
    }
    let [left, right] = ui.input(|i| [Key::ArrowLeft, Key::ArrowRight].map(|key| i.num_presses(key)));
    let steps = (0..left).map(|_| false).chain((0..right).map(|_| true));
    steps.fold(None, |wanted, forward| told::next_organ(known, wanted.or(chosen), forward))
}

fn texture(ui: &Ui, last: &mut Option<Drawn>, study: &Study, known: OrganSet, scale: Scale) -> TextureHandle {
    let of = (study.anatomy_revision(), known, scale);
    match last {
        Some(drawn) if drawn.of == of => drawn.texture.clone(),
        Some(drawn) => {
            drawn.of = of;
            drawn.texture.set(image::image(study, known, scale), TextureOptions::NEAREST);
            drawn.texture.clone()
        }
        None => {
            let picture = Arc::new(image::image(study, known, scale));
            let texture = ui.ctx().load_texture("along the body", picture, TextureOptions::NEAREST);
            *last = Some(Drawn { of, texture: texture.clone() });
            texture
        }
    }
}

fn paint(ui: &Ui, view: &View, study: &Study, texture: &TextureHandle, places: &Places, titles: Rect) {
    let painter = ui.painter();
    let weak = ui.visuals().weak_text_color();
    let font = TextStyle::Small.resolve(ui.style());
    for (rect, title) in [(places.band.union(places.stack), "Region"), (places.heat, "Attention")] {
        painter.text(pos2(rect.left(), titles.center().y), Align2::LEFT_CENTER, title, font.clone(), weak);
    }
    let columns = image::COLUMNS as f32;
    let part =
        |from: usize, to: usize| Rect::from_min_max(pos2(from as f32 / columns, 0.0), pos2(to as f32 / columns, 1.0));
    let stack = 1 + image::STACK;
    let parts = [(places.band, part(0, 1)), (places.stack, part(1, stack)), (places.heat, part(stack, image::COLUMNS))];
    for (rect, uv) in parts {
        painter.rect_filled(rect, CornerRadius::ZERO, ui.visuals().extreme_bg_color);
        painter.image(texture.id(), rect, uv, Color32::WHITE);
        let edge = ui.visuals().widgets.noninteractive.bg_stroke;
        painter.rect_stroke(rect, CornerRadius::ZERO, edge, StrokeKind::Outside);
    }
    names(ui, study, places);
    entropy_line(ui, study, places);
    if let Some(organ) = view.selected {
        let column = places.column(organ).expand2(vec2(0.5, 0.0));
        painter.rect_stroke(column, CornerRadius::ZERO, Stroke::new(1.0, Color32::WHITE), StrokeKind::Outside);
        painter.rect_stroke(
            column.expand(1.0),
            CornerRadius::ZERO,
            Stroke::new(1.0, Color32::BLACK),
            StrokeKind::Outside,
        );
    }
    // Where the slice on screen is: a light line on a dark one is seen on every colour.
    let y = places.y(view.slice());
    let x = places.band.left()..=places.heat.right();
    painter.hline(x.clone(), y, Stroke::new(3.0, Color32::from_black_alpha(170)));
    painter.hline(x, y, Stroke::new(1.5, Color32::WHITE));
    let tip = pos2(places.band.left() + 5.0, y);
    let arrow = vec![tip, tip + vec2(-7.0, -5.0), tip + vec2(-7.0, 5.0)];
    painter.add(Shape::convex_polygon(arrow, theme::accent_of(ui), Stroke::new(1.0, Color32::BLACK)));
}

/// Names of the regions on the band, upright where a stretch is tall enough.
fn names(ui: &Ui, study: &Study, places: &Places) {
    let region = |k: usize| study.anatomy_near(k).and_then(|a| a.most_likely_region()).map(|(r, _)| r);
    let mut start = 0;
    for k in 1..=places.slices {
        if k < places.slices && region(k) == region(start) {
            continue;
        }
        if let Some(region) = region(start) {
            let tall = (k - start) as f32 * places.step();
            let ink = theme::ink_on(region.colour());
            let galley =
                ui.painter().layout_no_wrap(region.name().to_string(), TextStyle::Small.resolve(ui.style()), ink);
            if galley.size().x + 4.0 < tall && galley.size().y < places.band.width() + 3.0 {
                let middle = (places.y(start) + places.y(k - 1)) / 2.0;
                let centre = pos2(places.band.center().x, middle);
                let (long, high) = (galley.size().x, galley.size().y);
                let corner = centre + vec2(-high / 2.0, long / 2.0);
                let text = egui::epaint::TextShape::new(corner, galley, ink).with_angle(-std::f32::consts::FRAC_PI_2);
                ui.painter().add(text);
            }
        }
        start = k;
    }
}

/// How undecided the network is: to the right is undecided.
fn entropy_line(ui: &Ui, study: &Study, places: &Places) {
    let stride = (2.0 / places.step()).ceil().max(1.0) as usize;
    let mut line: Vec<Pos2> = Vec::new();
    let flush = |line: &mut Vec<Pos2>| {
        let points = std::mem::take(line);
        if points.len() > 1 {
            ui.painter().line(points.clone(), Stroke::new(2.5, Color32::from_black_alpha(190)));
            ui.painter().line(points, Stroke::new(1.2, Color32::WHITE));
        }
    };
    for k in (0..places.slices).step_by(stride) {
        match study.anatomy_near(k) {
            Some(anatomy) => {
                let x = egui::lerp(places.stack.x_range(), image::entropy(anatomy).clamp(0.0, 1.0));
                line.push(pos2(x, places.y(k)));
            }
            None => flush(&mut line),
        }
    }
    flush(&mut line);
}

/// What the colours mean.
fn legend(ui: &mut Ui, scale: Scale) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    let map = attention_anatomy::report::viridis();
    let bar = Rect::from_min_max(
        pos2(rect.left() + 0.4 * rect.width(), rect.top() + 3.0),
        pos2(rect.right(), rect.top() + 10.0),
    );
    let steps = 32;
    for n in 0..steps {
        let x = |t: usize| egui::lerp(bar.x_range(), t as f32 / steps as f32);
        let part = Rect::from_min_max(pos2(x(n), bar.top()), pos2(x(n + 1), bar.bottom()));
        ui.painter().rect_filled(part, CornerRadius::ZERO, theme::colour(map[n * 255 / (steps - 1)]));
    }
    let font = TextStyle::Small.resolve(ui.style());
    let weak = ui.visuals().weak_text_color();
    let y = bar.bottom() + 7.0;
    for (x, align, text) in [
        (bar.left(), Align2::LEFT_CENTER, scale.lower_end()),
        (bar.center().x, Align2::CENTER_CENTER, "attention"),
        (bar.right(), Align2::RIGHT_CENTER, "1"),
    ] {
        ui.painter().text(pos2(x, y), align, text, font.clone(), weak);
    }
    let line = pos2(rect.left() + 0.12 * rect.width(), bar.center().y);
    ui.painter().line_segment([line, line + vec2(18.0, 0.0)], Stroke::new(1.5, ui.visuals().strong_text_color()));
    ui.painter().text(pos2(rect.left(), y), Align2::LEFT_CENTER, "entropy", font, weak);
}

/// What is under the mouse.
fn readout(study: &Study, known: OrganSet, places: &Places, at: Pos2) -> String {
    let k = places.slice(at.y);
    let place = format!("Slice {}, z {:.0} mm", slice_number(k), study.slice_mm(k));
    let Some(anatomy) = study.anatomy_near(k) else { return format!("{place}\nnot segmented yet") };
    match (places.organ(at.x), anatomy.attention) {
        (Some(organ), Some(attention)) if known.contains(organ) => {
            format!("{organ}: attention {}\n{place}", number(attention[organ.index()]))
        }
        (Some(organ), Some(_)) => format!("{organ}: not in these weights\n{place}"),
        _ => {
            let likely: Vec<String> = Region::ALL
                .into_iter()
                .filter(|r| anatomy.regions[r.index()] >= 0.005)
                .map(|r| format!("{r} {:.2}", anatomy.regions[r.index()]))
                .collect();
            format!("{}\nentropy {:.2} of 1\n{place}", likely.join(", "), image::entropy(anatomy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superior_is_up_and_places_are_found_again() {
        let places = Places::new(Rect::from_min_size(pos2(10.0, 100.0), vec2(200.0, 480.0)), 120);
        assert!(places.y(119) < places.y(0));
        for k in [0, 1, 60, 119] {
            assert_eq!(places.slice(places.y(k)), k);
        }
        assert_eq!((places.slice(-50.0), places.slice(5000.0)), (119, 0));
        for organ in Organ::ALL {
            assert_eq!(places.organ(places.column(organ).center().x), Some(organ));
        }
        assert_eq!(places.organ(places.stack.center().x), None);
    }
}
