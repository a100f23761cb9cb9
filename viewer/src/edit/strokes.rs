//! What the mouse drew in the views becomes edits. One stroke, from pressing the button to letting it go, is one step to
//! undo.

use super::brush::{Dab, Ink};
use super::{EditSettings, FillError, LabelStore};
use crate::display::{Stroke, StrokePhase, Tool, View};

/// Why a stroke changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrokeError {
    /// No organ is selected.
    #[error("choose an organ in the list first; the tool works on that organ")]
    NoOrgan,
    /// Another edit is not done yet.
    #[error("the labels are still being changed; draw when that is done")]
    Busy,
    /// There is nothing that can be filled.
    #[error(transparent)]
    Fill(#[from] FillError),
}

/// Applies what was drawn in this frame with the tool of `view`; says why strokes changed nothing. Once a frame.
pub fn apply_strokes(
    labels: &mut LabelStore,
    strokes: &[Stroke],
    view: &View,
    settings: &EditSettings,
) -> Vec<StrokeError> {
    strokes.iter().filter_map(|stroke| apply(labels, view, settings, stroke).err()).collect()
}

fn apply(labels: &mut LabelStore, view: &View, settings: &EditSettings, stroke: &Stroke) -> Result<(), StrokeError> {
    let begins = stroke.phase == StrokePhase::Begin;
    if labels.is_busy() {
        return if begins { Err(StrokeError::Busy) } else { Ok(()) };
    }
    let everything = settings.erase_all || stroke.erase_all;
    let (name, ink) = match (view.tool, view.selected) {
        (Tool::Fill, Some(organ)) if begins => {
            if !stroke.from.iter().all(|v| v.is_finite() && *v >= -0.5) {
                return Ok(());
            }
            let at = stroke.from.map(|v| v.round().max(0.0) as usize);
            labels.fill(stroke.plane, at, organ, settings)?;
            return Ok(());
        }
        (Tool::Brush, Some(organ)) => ("brush", Ink::Paint(organ)),
        (Tool::Eraser, _) if everything => ("eraser", Ink::Erase(None)),
        (Tool::Eraser, Some(organ)) => ("eraser", Ink::Erase(Some(organ))),
        (Tool::Brush | Tool::Eraser | Tool::Fill, None) if begins => return Err(StrokeError::NoOrgan),
        _ => return Ok(()),
    };
    if begins {
        labels.begin(name);
    }
    let dab = Dab {
        way: [stroke.from, stroke.to],
        radius_mm: f64::from(view.brush_radius_mm),
        plane: (!settings.three_d).then_some(stroke.plane),
    };
    labels.stroke(&dab, ink, settings);
    if stroke.phase == StrokePhase::End {
        labels.end();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use attention_anatomy::anatomy::Organ;

    use super::*;
    use crate::display::Plane;
    use crate::edit::samples::store;

    fn view(tool: Tool, selected: Option<Organ>) -> View {
        View { tool, selected, brush_radius_mm: 1.5, ..View::default() }
    }

    fn stroke(i: f64, to: f64, phase: StrokePhase) -> Stroke {
        Stroke { plane: Plane::Axial, from: [i, 5.0, 2.0], to: [to, 5.0, 2.0], phase, erase_all: false }
    }

    #[test]
    fn a_stroke_over_many_frames_is_one_step() {
        let (mut labels, view) = (store([20, 20, 5], [1.0; 3]), view(Tool::Brush, Some(Organ::LungLeft)));
        for (from, to, phase) in
            [(3.0, 3.0, StrokePhase::Begin), (3.0, 9.0, StrokePhase::Move), (9.0, 12.0, StrokePhase::End)]
        {
            let refused = apply_strokes(&mut labels, &[stroke(from, to, phase)], &view, &EditSettings::default());
            assert!(refused.is_empty());
        }
        // The patient's left is at higher i: what was drawn on the left of the volume is there and nowhere else.
        assert!((0..20).all(|i| (labels.layer().get([i, 5, 2]) == Organ::LungLeft.label()) == (2..=13).contains(&i)));
        assert!(labels.layer().get([13, 5, 2]) != 0 && labels.layer().get([20 - 1 - 2, 5, 2]) == 0);
        assert_eq!(labels.undo_name(), Some("brush"));
        assert!(labels.undo() && !labels.undo());
        assert_eq!(labels.voxel_count(Organ::LungLeft), 0);
    }

    #[test]
    fn without_an_organ_the_user_is_told_once() {
        let strokes = [stroke(3.0, 3.0, StrokePhase::Begin), stroke(3.0, 9.0, StrokePhase::Move)];
        let mut labels = store([20, 20, 5], [1.0; 3]);
        let refused = apply_strokes(&mut labels, &strokes, &view(Tool::Eraser, None), &EditSettings::default());
        assert_eq!(refused, [StrokeError::NoOrgan]);
    }

    #[test]
    fn fill_says_why_it_does_not() {
        let strokes = [stroke(3.0, 3.0, StrokePhase::Begin)];
        let (mut labels, view) = (store([20, 20, 5], [1.0; 3]), view(Tool::Fill, Some(Organ::Heart)));
        let refused = apply_strokes(&mut labels, &strokes, &view, &EditSettings::default());
        assert!(refused.iter().any(|r| r.to_string().contains("not enclosed")));
    }
}
