//! Outlines of structures that are none of the 33 organs. They may overlap, so they are drawn as lines over the image and are no part of
//! the label texture.

use std::sync::Arc;

use attention_anatomy::contour::{Curve, boxes, edge_outlines, smooth_outlines};
use egui::{Color32, Id, Painter, Shape, Stroke};

use crate::display::{Plane, Preferences, View};
use crate::document::Study;
use crate::edit::Extra;
use crate::render::Projection;

const WIDTH: f32 = 1.5;

/// The outlines of a structure in a slice of a plane.
#[derive(Clone)]
struct Outlined {
    extra: Arc<Extra>,
    slice: usize,
    smooth: bool,
    curves: Arc<[Curve]>,
}

/// Those of the last frame, by plane.
#[derive(Clone, Default)]
struct Cache([Vec<Outlined>; 3]);

/// Draws the outlines of all that are shown.
pub fn draw(
    painter: &Painter,
    study: &Study,
    view: &View,
    preferences: &Preferences,
    plane: Plane,
    projection: &Projection,
) {
    let shown: Vec<&Arc<Extra>> = study.labels.extras().iter().filter(|extra| view.shows_extra(extra.number)).collect();
    if shown.is_empty() {
        return;
    }
    let smooth = preferences.interpolate && !view.edits();
    let (id, slice) = (Id::unique("outlines of other structures"), projection.slice);
    let known =
        painter.ctx().data_mut(|data| std::mem::take(&mut data.get_temp_mut_or_default::<Cache>(id).0[plane.index()]));
    let outlined: Vec<Outlined> = shown
        .into_iter()
        .map(|extra| {
            let is_same = |o: &&Outlined| Arc::ptr_eq(&o.extra, extra) && (o.slice, o.smooth) == (slice, smooth);
            known.iter().find(is_same).cloned().unwrap_or_else(|| {
                let curves = outlines(extra, plane, slice, projection.size, smooth).into();
                Outlined { extra: extra.clone(), slice, smooth, curves }
            })
        })
        .collect();
    let axes = plane.axes();
    for Outlined { extra, curves, .. } in &outlined {
        let [r, g, b] = extra.colour;
        for curve in curves.iter() {
            let point = |p: &[f32; 2]| {
                let mut at = [slice as f64; 3];
                (at[axes[0]], at[axes[1]]) = (f64::from(p[0]), f64::from(p[1]));
                projection.to_screen(at)
            };
            let points: Vec<_> = curve.iter().map(point).collect();
            painter.add(Shape::closed_line(points.clone(), Stroke::new(WIDTH + 1.5, Color32::from_black_alpha(90))));
            painter.add(Shape::closed_line(points, Stroke::new(WIDTH, Color32::from_rgb(r, g, b))));
        }
    }
    painter.ctx().data_mut(|data| data.get_temp_mut_or_default::<Cache>(id).0[plane.index()] = outlined);
}

fn outlines(extra: &Extra, plane: Plane, slice: usize, size: [usize; 3], smooth: bool) -> Vec<Curve> {
    let picture = extra.plane(plane, slice, size);
    let width = size[plane.axes()[0]];
    let Some(Some(bounds)) = boxes(&picture, width).get(1).copied() else { return Vec::new() };
    let outline = if smooth { smooth_outlines } else { edge_outlines };
    outline(&picture, width, 1, bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_enclose_the_voxels_of_their_slice_in_every_plane() {
        let size = [6, 5, 4];
        let mut mask = vec![0; 120];
        for (i, j, k) in [(2, 1, 1), (3, 1, 1), (2, 2, 1), (2, 1, 2)] {
            mask[i + 6 * (j + 5 * k)] = 1;
        }
        let extra = Extra { runs: crate::edit::runs_of(&mask), ..Extra::default() };
        let area = |plane, slice| {
            let curves = outlines(&extra, plane, slice, size, false);
            curves.iter().map(|curve| attention_anatomy::contour::area(curve)).sum::<f32>()
        };
        assert_eq!([area(Plane::Axial, 1), area(Plane::Axial, 2), area(Plane::Axial, 3)], [3.0, 1.0, 0.0]);
        assert_eq!([area(Plane::Coronal, 1), area(Plane::Coronal, 2)], [3.0, 1.0]);
        assert_eq!([area(Plane::Sagittal, 2), area(Plane::Sagittal, 3)], [3.0, 1.0]);
    }
}
