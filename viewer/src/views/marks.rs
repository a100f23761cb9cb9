//! What lies over the image: letters, scale bar, crosshair, measurements, the brush.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, Ui, pos2, vec2};

use super::plane_colour;
use crate::display::{Measurement, MeasurementKind, Plane, View};
use crate::document::{Document, Study, on_side};
use crate::render::Projection;

const TEXT: Color32 = Color32::from_rgb(230, 230, 230);
const MEASURE: Color32 = Color32::from_rgb(120, 255, 160);

/// Half of the hole in the crosshair, so that it hides nothing of what it points at.
const HOLE: f32 = 7.0;

/// What a fingertip hides, points around its middle.
const FINGER_HIDES: f32 = 64.0;

/// Room that the crosshair leaves for the letters at the edges: a line through an `I` hides it.
const EDGE: f32 = 26.0;

/// Text that can be read on any grey.
fn text(painter: &Painter, at: Pos2, anchor: Align2, text: &str, size: f32, colour: Color32) -> Rect {
    let font = FontId::proportional(size);
    for offset in [vec2(1.0, 1.0), vec2(-1.0, 1.0), vec2(1.0, -1.0), vec2(-1.0, -1.0)] {
        painter.text(at + offset, anchor, text, font.clone(), Color32::from_black_alpha(170));
    }
    painter.text(at, anchor, text, font, colour)
}

/// A line that can be seen on any grey.
fn line(painter: &Painter, ends: [Pos2; 2], width: f32, colour: Color32) {
    painter.line_segment(ends, Stroke::new(width + 2.0, Color32::from_black_alpha(110)));
    painter.line_segment(ends, Stroke::new(width, colour));
}

/// Plane, slice and position: `Axial 87/152  S 34.5 mm`.
pub fn title(study: &Study, plane: Plane, cursor: [usize; 3]) -> String {
    let axis = plane.axes()[2];
    let at = study.geometry().to_patient(cursor.map(|v| v as f64));
    let place = on_side(at[axis], axis);
    format!("{} {}/{}  {place} mm", plane.name(), cursor[axis] + 1, study.geometry().size[axis])
}

/// Draws letters, title, window and scale bar.
pub fn legend(painter: &Painter, study: &Study, view: &View, plane: Plane, projection: &Projection) {
    let rect = projection.rect;
    let is_small = rect.width() < 260.0;
    let size = if is_small { 12.0 } else { 14.0 };
    let [left, right, top, bottom] = projection.edge_letters();
    let letters = [
        (pos2(rect.left() + 6.0, rect.center().y), Align2::LEFT_CENTER, left),
        (pos2(rect.right() - super::SLIDER - 4.0, rect.center().y), Align2::RIGHT_CENTER, right),
        (pos2(rect.center().x, rect.top() + 24.0), Align2::CENTER_TOP, top),
        (pos2(rect.center().x, rect.bottom() - 6.0), Align2::CENTER_BOTTOM, bottom),
    ];
    for (at, anchor, letter) in letters {
        text(painter, at, anchor, letter, size + 2.0, TEXT);
    }
    let corner = rect.left_top() + vec2(8.0, 6.0);
    let title = text(painter, corner, Align2::LEFT_TOP, &title(study, plane, view.cursor), size, plane_colour(plane));
    let window = format!(
        "W {:.0}  L {:.0}{}",
        view.window.width,
        view.window.level,
        if view.inverted { "  inverted" } else { "" }
    );
    let at = rect.right_top() + vec2(-super::SLIDER - 6.0, 6.0);
    let width = painter.layout_no_wrap(window.clone(), FontId::proportional(12.0), TEXT).size().x;
    // Not over the title: the views beside this one say the same.
    if !is_small && title.right() + 12.0 <= at.x - width {
        text(painter, at, Align2::RIGHT_TOP, &window, 12.0, TEXT);
    }
    scale_bar(painter, projection);
}

/// What the voxel under a resting finger is, where the finger does not hide it.
pub fn probe(painter: &Painter, study: &Study, voxel: [usize; 3], projection: &Projection) {
    if voxel[projection.axes[2]] != projection.slice {
        return;
    }
    let Some(said) = study.short_readout(voxel) else { return };
    let at = projection.to_screen(voxel.map(|n| n as f64));
    painter.circle_stroke(at, 5.0, Stroke::new(3.5, Color32::from_black_alpha(170)));
    painter.circle_stroke(at, 5.0, Stroke::new(1.5, MEASURE));
    let galley = painter.layout_no_wrap(said, FontId::proportional(18.0), MEASURE);
    let half = galley.size().x / 2.0 + 8.0;
    let middle =
        at.x.clamp(projection.rect.left() + half, (projection.rect.right() - half).max(projection.rect.left() + half));
    // Above the finger, or below it where there is no room.
    let above = at.y - FINGER_HIDES > projection.rect.top() + 20.0;
    let centre = pos2(middle, if above { at.y - FINGER_HIDES } else { at.y + FINGER_HIDES });
    let ground = Rect::from_center_size(centre, galley.size() + vec2(16.0, 10.0));
    painter.rect_filled(ground, 6.0, Color32::from_black_alpha(210));
    painter.galley(centre - galley.size() / 2.0, galley, MEASURE);
}

/// Length of the scale bar: a round number of millimetres that takes at most a quarter of the width.
fn scale_mm(projection: &Projection) -> f64 {
    let most = f64::from(projection.rect.width()) * 0.25 / projection.points_per_mm;
    [500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0].into_iter().find(|&mm| mm <= most).unwrap_or(1.0)
}

fn scale_bar(painter: &Painter, projection: &Projection) {
    let mm = scale_mm(projection);
    let start = projection.rect.left_bottom() + vec2(10.0, -10.0);
    let at = |mm: f64| start + vec2((mm * projection.points_per_mm) as f32, 0.0);
    line(painter, [start, at(mm)], 1.5, TEXT);
    let step = if mm > 100.0 {
        100.0
    } else if mm > 10.0 {
        10.0
    } else {
        mm
    };
    let ticks = (mm / step).round() as usize;
    for n in 0..=ticks {
        let height = if n == 0 || n == ticks { 7.0 } else { 4.0 };
        let foot = at(n as f64 * step);
        line(painter, [foot, foot - vec2(0.0, height)], 1.5, TEXT);
    }
    let name = if mm >= 10.0 { format!("{:.0} cm", mm / 10.0) } else { format!("{mm:.0} mm") };
    text(painter, start - vec2(0.0, 9.0), Align2::LEFT_BOTTOM, &name, 12.0, TEXT);
}

/// Draws the lines along which the other two planes cut this one, in their colours.
pub fn crosshair(painter: &Painter, cursor: [usize; 3], projection: &Projection) {
    let at = projection.to_screen(cursor.map(|v| v as f64));
    let rect = projection.rect;
    let inner = Rect::from_min_max(rect.min + vec2(EDGE, 2.0 * EDGE), rect.max - vec2(EDGE + super::SLIDER, EDGE));
    let plane_through = |axis: usize| Plane::ALL.into_iter().find(|p| p.axes()[2] == axis).unwrap_or_default();
    let colour = |axis: usize| plane_colour(plane_through(axis)).gamma_multiply(0.8);
    let [across, along, _] = projection.axes;
    // Not `clamp`: in a view without room for letters the bounds are the wrong way round.
    let (x, y) = (|x: f32| x.max(inner.left()).min(inner.right()), |y: f32| y.max(inner.top()).min(inner.bottom()));
    for (ends, axis) in [
        ([pos2(at.x, inner.top()), pos2(at.x, y(at.y - HOLE))], across),
        ([pos2(at.x, y(at.y + HOLE)), pos2(at.x, inner.bottom())], across),
        ([pos2(inner.left(), at.y), pos2(x(at.x - HOLE), at.y)], along),
        ([pos2(x(at.x + HOLE), at.y), pos2(inner.right(), at.y)], along),
    ] {
        painter.line_segment(ends, Stroke::new(1.0, colour(axis)));
    }
}

/// The circle that brush and eraser would paint, in the colour of the chosen organ.
pub fn brush(painter: &Painter, view: &View, at: Pos2, projection: &Projection) {
    let radius = view.brush_radius_mm * projection.points_per_mm as f32;
    let is_brush = view.tool == crate::display::Tool::Brush;
    let organ = view.selected.filter(|_| is_brush).map(|o| view.styles[o.index()].colour);
    let [r, g, b] = organ.unwrap_or([255; 3]);
    painter.circle_stroke(at, radius, Stroke::new(3.0, Color32::from_black_alpha(110)));
    painter.circle_stroke(at, radius, Stroke::new(1.5, Color32::from_rgb(r, g, b)));
}

/// What a measurement says.
pub fn reading(measurement: &Measurement, spacing: [f64; 3]) -> String {
    match (measurement.kind, measurement.hu) {
        (MeasurementKind::Ruler, _) => format!("{:.1} mm", measurement.length_mm(spacing)),
        (MeasurementKind::Ellipse, None) => "no voxels".into(),
        (MeasurementKind::Ellipse, Some(hu)) => format!(
            "{:.1} ± {:.1} HU\n{} to {} HU\n{:.2} cm²",
            hu.mean,
            hu.deviation,
            hu.min,
            hu.max,
            measurement.area_mm2(spacing) / 100.0
        ),
    }
}

fn ellipse(painter: &Painter, ends: [Pos2; 2]) {
    let rect = Rect::from_two_pos(ends[0], ends[1]);
    let points = (0..=72).map(|n| {
        let (sin, cos) = (n as f32 * std::f32::consts::TAU / 72.0).sin_cos();
        rect.center() + vec2(cos * rect.width() / 2.0, sin * rect.height() / 2.0)
    });
    let points: Vec<Pos2> = points.collect();
    painter.add(egui::Shape::line(points.clone(), Stroke::new(3.5, Color32::from_black_alpha(110))));
    painter.add(egui::Shape::line(points, Stroke::new(1.5, MEASURE)));
}

/// Draws the measurements of the slice on screen, each with a button that removes it.
pub fn measurements(ui: &Ui, painter: &Painter, document: &mut Document, plane: Plane, projection: &Projection) {
    let Some(spacing) = document.study.as_ref().map(|s| s.geometry().spacing()) else { return };
    let mut removed = None;
    for (index, measurement) in document.view.measurements.iter().enumerate() {
        if measurement.plane != plane || measurement.slice() != projection.slice {
            continue;
        }
        let ends = measurement.ends.map(|end| projection.to_screen(end));
        match measurement.kind {
            MeasurementKind::Ruler => line(painter, ends, 1.5, MEASURE),
            MeasurementKind::Ellipse => ellipse(painter, ends),
        }
        for end in ends {
            painter.circle(end, 3.5, MEASURE, Stroke::new(1.0, Color32::BLACK));
        }
        let beside = pos2(ends[0].x.max(ends[1].x) + 8.0, ends[0].y.min(ends[1].y));
        let written = text(painter, beside, Align2::LEFT_TOP, &reading(measurement, spacing), 13.0, MEASURE);
        let button = Rect::from_min_size(written.right_top() + vec2(4.0, -4.0), vec2(22.0, 22.0));
        let response = ui.interact(button, ui.scope_id().with((plane, "measurement", index)), egui::Sense::click());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Remove measurement {}", index + 1))
        });
        let colour = if response.hovered() { Color32::WHITE } else { MEASURE };
        text(painter, button.center(), Align2::CENTER_CENTER, "×", 20.0, colour);
        if response.clicked() && document.view.gesture.is_none() {
            removed = Some(index);
        }
    }
    if let Some(index) = removed {
        document.view.measurements.remove(index);
        ui.ctx().request_repaint();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Camera;
    use attention_anatomy::volume::{CtVolume, Geometry, Modality};

    fn study() -> Study {
        let geometry = Geometry::axial([40, 30, 20], [1.0, 1.0, 2.5], [-20.0, -10.0, -12.5]).unwrap();
        let ct = CtVolume::from_stored(geometry, vec![0; 24_000], Modality::Ct).unwrap();
        Study::of_ct(1, String::new(), ct.into())
    }

    #[test]
    fn the_title_gives_the_patients_side_of_the_slice() {
        let study = study();
        assert_eq!(title(&study, Plane::Axial, [0, 0, 19]), "Axial 20/20  S 35.0 mm");
        assert_eq!(title(&study, Plane::Axial, [0, 0, 0]), "Axial 1/20  I 12.5 mm");
        assert_eq!(title(&study, Plane::Coronal, [0, 4, 0]), "Coronal 5/30  A 6.0 mm");
        assert_eq!(title(&study, Plane::Sagittal, [30, 0, 0]), "Sagittal 31/40  L 10.0 mm");
    }

    #[test]
    fn the_scale_bar_is_round_and_fits() {
        for zoom in [0.3, 1.0, 4.0, 17.0] {
            let rect = Rect::from_min_size(Pos2::ZERO, vec2(400.0, 300.0));
            let camera = Camera { zoom, ..Camera::default() };
            let projection = Projection::new(Plane::Axial, study().geometry(), rect, camera, [0; 3]);
            let points = scale_mm(&projection) * projection.points_per_mm;
            assert!(points <= 100.0 || scale_mm(&projection) == 1.0, "{zoom}: {points}");
        }
    }
}
