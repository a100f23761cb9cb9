//! The slices that are shown: image, truth and prediction, what region the network takes them for, and their attention.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, Region};
use egui::{
    Align2, Color32, ColorImage, FontId, Id, Rect, Response, Role, Sense, Stroke, StrokeKind, TextureOptions, Ui,
    WidgetInfo, pos2, vec2,
};

use crate::worker::{LearnAnswer, LearnEvaluation, LearnPlan, LearnSlice};

const ROWS: [&str; 3] = ["Image", "Truth", "Network"];
/// Opacity of organs over the image.
const OPACITY: f32 = 0.75;
const GAP: f32 = 4.0;
/// Room for the names of the rows.
const LABELS: f32 = 58.0;
const BARS: f32 = 34.0;
const LINE: f32 = 14.0;
/// Attention that is drawn dark: it takes 7 from an organ's logits.
const DARK: f32 = 0.001;
/// Attention that is called off.
const OFF: f32 = 0.05;

/// Draws the slices side by side, from the head down.
pub fn pictures(ui: &mut Ui, plan: &LearnPlan, evaluation: &LearnEvaluation) {
    let columns = plan.slices.len().max(1);
    let side = ((ui.available_width() - LABELS) / columns as f32 - GAP).clamp(40.0, 150.0).floor();
    let regions = evaluation.answers.iter().any(|a| a.regions.is_some());
    let height = LINE + ROWS.len() as f32 * (side + GAP) + LINE + if regions { BARS + LINE } else { 0.0 };
    let size = vec2(LABELS + columns as f32 * (side + GAP), height);
    let (area, _) = ui.allocate_exact_size(size, Sense::hover());
    let texture = ui.ctx().load_texture_cached(
        "slices of the demo training",
        Id::unique("slices of the demo training"),
        compose(plan, evaluation),
        TextureOptions::NEAREST,
    );
    let text = ui.visuals().text_color();
    let small = FontId::proportional(11.0);
    for (r, name) in ROWS.iter().enumerate() {
        let y = area.top() + LINE + (r as f32 + 0.5) * (side + GAP);
        ui.painter().text(pos2(area.left(), y), Align2::LEFT_CENTER, name, small.clone(), text);
    }
    for (c, slice) in plan.slices.iter().enumerate() {
        let x = area.left() + LABELS + c as f32 * (side + GAP);
        let centre = x + side / 2.0;
        ui.painter().text(pos2(centre, area.top()), Align2::CENTER_TOP, &slice.title, small.clone(), text);
        let Some(answer) = evaluation.answers.get(c) else { continue };
        let dice = answer.dice.map_or("no organ".to_string(), |d| format!("Dice {:.0} %", 100.0 * d));
        for (r, name) in ROWS.iter().enumerate() {
            let rect = Rect::from_min_size(pos2(x, area.top() + LINE + r as f32 * (side + GAP)), vec2(side, side));
            let uv = Rect::from_min_size(
                pos2(c as f32 / columns as f32, r as f32 / ROWS.len() as f32),
                vec2(1.0 / columns as f32, 1.0 / ROWS.len() as f32),
            );
            ui.painter().image(texture.id(), rect, uv, Color32::WHITE);
            let said =
                if r == 2 { format!("{}, {name}: {dice}", slice.title) } else { format!("{}, {name}", slice.title) };
            picture(ui, rect, Id::unique(("learn picture", c, r)), plan, slice, answer, said);
        }
        let mut y = area.top() + LINE + ROWS.len() as f32 * (side + GAP);
        ui.painter().text(pos2(centre, y), Align2::CENTER_TOP, dice, small.clone(), text);
        y += LINE;
        if let Some(p) = &answer.regions {
            let rect = Rect::from_min_size(pos2(x, y), vec2(side, BARS));
            bars(ui, rect, Id::unique(("learn regions", c)), slice, p);
            let best = Region::ALL.into_iter().max_by(|a, b| p[a.index()].total_cmp(&p[b.index()]));
            if let Some(best) = best {
                ui.painter().text(pos2(centre, y + BARS), Align2::CENTER_TOP, best.name(), small.clone(), text);
            }
        }
    }
    if regions {
        let y = area.bottom() - BARS / 2.0 - LINE;
        ui.painter().text(pos2(area.left(), y), Align2::LEFT_CENTER, "Region", small, text);
    }
}

/// A picture answers to the mouse with the organs under it, and to a screen reader with what it is.
fn picture(ui: &Ui, rect: Rect, id: Id, plan: &LearnPlan, slice: &LearnSlice, answer: &LearnAnswer, said: String) {
    let response = ui.interact(rect, id, Sense::hover());
    name(&response, said);
    let Some(at) = response.hover_pos() else { return };
    let inside = (at - rect.min) / rect.size();
    let [width, height] = plan.size;
    let x = ((inside.x * width as f32) as usize).min(width.saturating_sub(1));
    let y = ((inside.y * height as f32) as usize).min(height.saturating_sub(1));
    let organ = |labels: &[u8]| {
        let label = labels.get(y * width + x).copied().unwrap_or(0);
        Organ::from_label(label).map_or("no organ", Organ::name)
    };
    response.on_hover_text(format!("truth: {}\nnetwork: {}", organ(&slice.truth), organ(&answer.labels)));
}

fn name(response: &Response, said: String) {
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &said));
}

/// Images in the first row, truth over them in the second, the network's labels in the third.
fn compose(plan: &LearnPlan, evaluation: &LearnEvaluation) -> ColorImage {
    let [width, height] = plan.size;
    let stride = width * plan.slices.len();
    let mut pixels = vec![Color32::BLACK; stride * height * ROWS.len()];
    for (c, slice) in plan.slices.iter().enumerate() {
        let answer = evaluation.answers.get(c).map_or(&[][..], |a| &a.labels[..]);
        for (r, labels) in [&[][..], &slice.truth[..], answer].into_iter().enumerate() {
            for (n, &grey) in slice.image.iter().enumerate().take(width * height) {
                let at = (r * height + n / width) * stride + c * width + n % width;
                let organ = labels.get(n).copied().and_then(Organ::from_label);
                let grey = Color32::from_gray(grey);
                pixels[at] = match organ.map(Organ::colour) {
                    Some([r, g, b]) => grey.lerp_to_gamma(Color32::from_rgb(r, g, b), OPACITY),
                    None => grey,
                };
            }
        }
    }
    ColorImage::new([stride, height * ROWS.len()], pixels)
}

/// Probabilities of the regions, the true ones outlined.
fn bars(ui: &Ui, rect: Rect, id: Id, slice: &LearnSlice, p: &[f32; 5]) {
    let response = ui.interact(rect, id, Sense::hover());
    let list: Vec<String> = Region::ALL.iter().map(|r| format!("{} {:.0} %", r.name(), 100.0 * p[r.index()])).collect();
    let said = format!("{}, region: {}", slice.title, list.join(", "));
    name(&response, said.clone());
    let width = rect.width() / Region::ALL.len() as f32;
    for region in Region::ALL {
        let n = region.index();
        let bar = |value: f32| {
            let left = rect.left() + n as f32 * width + 1.0;
            Rect::from_min_max(
                pos2(left, rect.bottom() - value.clamp(0.0, 1.0) * (rect.height() - 2.0)),
                pos2(left + width - 2.0, rect.bottom()),
            )
        };
        let [r, g, b] = region.colour();
        ui.painter().rect_filled(bar(p[n]), 0.0, Color32::from_rgb(r, g, b));
        if slice.regions[n] > 0.0 {
            let stroke = Stroke::new(1.0, ui.visuals().strong_text_color());
            ui.painter().rect_stroke(bar(slice.regions[n]), 0.0, stroke, StrokeKind::Inside);
        }
    }
    let line = ui.visuals().widgets.noninteractive.bg_stroke;
    ui.painter().hline(rect.x_range(), rect.bottom(), line);
    response.on_hover_text(said + "\nthe outline is the truth");
}

/// Draws the attention vectors of the slices: organs down, slices across.
pub fn attention(ui: &mut Ui, plan: &LearnPlan, evaluation: &LearnEvaluation) {
    const NAMES: f32 = 140.0;
    const ROW: f32 = 14.0;
    ui.strong("Attention vector of each slice");
    ui.small("All organs start alike. Dark: switched off here, unless the rest of the network is very sure.");
    let cell = ((ui.available_width().min(360.0) - NAMES) / plan.slices.len().max(1) as f32).clamp(18.0, 60.0).floor();
    let size = vec2(NAMES + cell * plan.slices.len() as f32, ROW * ORGAN_COUNT as f32 + 24.0);
    let (area, _) = ui.allocate_exact_size(size, Sense::hover());
    let text = ui.visuals().text_color();
    let font = FontId::proportional(10.5);
    let top = area.top() + 24.0;
    for organ in Organ::ALL {
        let y = top + (organ.index() as f32 + 0.5) * ROW;
        let [r, g, b] = organ.colour();
        let swatch = Rect::from_center_size(pos2(area.left() + 5.0, y), vec2(8.0, 8.0));
        ui.painter().rect_filled(swatch, 1.0, Color32::from_rgb(r, g, b));
        ui.painter().text(pos2(area.left() + 13.0, y), Align2::LEFT_CENTER, organ.name(), font.clone(), text);
    }
    for (c, (slice, answer)) in plan.slices.iter().zip(&evaluation.answers).enumerate() {
        let left = area.left() + NAMES + c as f32 * cell;
        // Two lines: the names are wider than the cells.
        for (line, word) in slice.title.split(' ').enumerate() {
            let at = pos2(left + cell / 2.0, area.top() + 11.0 * line as f32);
            ui.painter().text(at, Align2::CENTER_TOP, word, FontId::proportional(8.5), text);
        }
        let Some(values) = &answer.attention else { continue };
        for (organ, &value) in Organ::ALL.iter().zip(values) {
            let y = top + organ.index() as f32 * ROW;
            let rect = Rect::from_min_size(pos2(left, y), vec2(cell - 1.0, ROW - 1.0));
            ui.painter().rect_filled(rect, 0.0, heat(strength(value)));
            // A dot marks what the slice shows: there attention must stay.
            if slice.truth.contains(&organ.label()) {
                ui.painter().circle(rect.center(), 2.5, Color32::WHITE, Stroke::new(1.0, Color32::BLACK));
            }
        }
        let column = Rect::from_min_max(pos2(left, top), pos2(left + cell, area.bottom()));
        let response = ui.interact(column, Id::unique(("learn attention", c)), Sense::hover());
        let off = values.iter().filter(|&&v| v < OFF).count();
        name(&response, format!("{}, attention: {off} of {ORGAN_COUNT} organs below {OFF}", slice.title));
        if let Some(at) = response.hover_pos()
            && let Some(organ) = Organ::from_index(((at.y - top) / ROW).max(0.0) as usize)
            && let Some(value) = values.get(organ.index())
        {
            let place = slice.title.to_lowercase();
            let logit = value.max(f32::MIN_POSITIVE).ln();
            response.on_hover_text(format!("{} in {place}: {value:.4}, {logit:+.1} to its logit", organ.name()));
        }
    }
    ui.small("The colour is that of ln z4, which equation (1) adds to the organ's logits; at a dot the slice shows the organ.");
}

/// Attention acts through its logarithm, which equation (1) adds to an organ's logits: from 0 for [`DARK`] to 1 for no
/// change.
fn strength(value: f32) -> f32 {
    1.0 - value.max(DARK).ln() / DARK.ln()
}

/// Dark blue over green to yellow, for 0 to 1.
fn heat(value: f32) -> Color32 {
    const STOPS: [[u8; 3]; 5] = [[24, 20, 56], [52, 78, 138], [32, 144, 140], [104, 202, 96], [253, 231, 76]];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (at as usize).min(STOPS.len() - 2);
    let colour = |[r, g, b]: [u8; 3]| Color32::from_rgb(r, g, b);
    colour(STOPS[below]).lerp_to_gamma(colour(STOPS[below + 1]), at - below as f32)
}
