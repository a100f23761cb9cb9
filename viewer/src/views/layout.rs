//! Where the views lie in the room that the panels leave.

use egui::{Rect, pos2};

use crate::display::{Layout, Plane};

/// Points between two views.
const GAP: f32 = 3.0;

/// Part of the longer side that the large view takes.
const BIG: f32 = 0.66;

/// Cuts a rectangle in two, along its width or its height.
fn cut(rect: Rect, part: f32, across: bool) -> [Rect; 2] {
    if across {
        let x = rect.left() + (rect.width() - GAP) * part;
        [Rect::from_min_max(rect.min, pos2(x, rect.bottom())), Rect::from_min_max(pos2(x + GAP, rect.top()), rect.max)]
    } else {
        let y = rect.top() + (rect.height() - GAP) * part;
        [Rect::from_min_max(rect.min, pos2(rect.right(), y)), Rect::from_min_max(pos2(rect.left(), y + GAP), rect.max)]
    }
}

/// The views that are shown, the large one first, with their rectangles.
pub fn place(layout: Layout, main: Plane, rect: Rect) -> Vec<(Plane, Rect)> {
    let is_wide = rect.width() >= rect.height();
    let others: Vec<Plane> = Plane::ALL.into_iter().filter(|&p| p != main).collect();
    match layout {
        Layout::Single => vec![(main, rect)],
        Layout::OneBig => {
            let [big, rest] = cut(rect, BIG, is_wide);
            let [first, second] = cut(rest, 0.5, !is_wide);
            vec![(main, big), (others[0], first), (others[1], second)]
        }
        Layout::ThreeUp => {
            let [first, rest] = cut(rect, 1.0 / 3.0, is_wide);
            let [second, third] = cut(rest, 0.5, is_wide);
            Plane::ALL.into_iter().zip([first, second, third]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::vec2;

    #[test]
    fn views_fill_the_room_without_overlapping() {
        for (layout, shown) in [(Layout::OneBig, 3), (Layout::ThreeUp, 3), (Layout::Single, 1)] {
            for size in [vec2(900.0, 600.0), vec2(500.0, 900.0)] {
                let room = Rect::from_min_size(pos2(10.0, 20.0), size);
                let views = place(layout, Plane::Sagittal, room);
                assert_eq!(views.len(), shown);
                let area: f32 = views.iter().map(|(_, r)| r.area()).sum();
                assert!(area > 0.98 * room.area(), "{layout:?} {size:?}: {area}");
                for (n, (_, a)) in views.iter().enumerate() {
                    assert!(room.expand(0.01).contains_rect(*a));
                    assert!(views[..n].iter().all(|(_, b)| !a.shrink(0.01).intersects(b.shrink(0.01))), "{views:?}");
                }
                if layout != Layout::ThreeUp {
                    assert_eq!(views[0].0, Plane::Sagittal, "the chosen plane comes first");
                }
            }
        }
    }
}
