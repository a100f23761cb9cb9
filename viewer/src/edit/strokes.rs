//! What the mouse drew in the views becomes edits. One stroke, from pressing the button to letting it go, is one step to
//! undo.

use super::brush::{Dab, Ink};
use crate::state::{State, Stroke, StrokePhase, Study, Tool, View};

/// Applies what was drawn in this frame. Once a frame.
pub fn apply_strokes(state: &mut State) {
    let strokes = std::mem::take(&mut state.view.strokes);
    let Some(study) = state.study.as_mut() else { return };
    for stroke in strokes {
        if let Err(message) = apply(study, &state.view, &state.edit, &stroke) {
            state.notices.warn(message);
        }
    }
}

fn apply(study: &mut Study, view: &View, settings: &super::EditSettings, stroke: &Stroke) -> Result<(), String> {
    let begins = stroke.phase == StrokePhase::Begin;
    if begins {
        // Painting over labels that are only supposed would hide what is painted.
        study.what_if = None;
    }
    let everything = settings.erase_all || stroke.erase_all;
    let (name, ink) = match (view.tool, view.selected) {
        (Tool::Fill, Some(organ)) if begins => {
            if !stroke.from.iter().all(|v| v.is_finite() && *v >= -0.5) {
                return Ok(());
            }
            let at = stroke.from.map(|v| v.round().max(0.0) as usize);
            return study.labels.fill(stroke.plane, at, organ, settings).map(drop).map_err(|e| e.to_string());
        }
        (Tool::Brush, Some(organ)) => ("brush", Ink::Paint(organ)),
        (Tool::Eraser, _) if everything => ("eraser", Ink::Erase(None)),
        (Tool::Eraser, Some(organ)) => ("eraser", Ink::Erase(Some(organ))),
        (Tool::Brush | Tool::Eraser | Tool::Fill, None) if begins => {
            return Err("choose an organ in the list first; the tool works on that organ".into());
        }
        _ => return Ok(()),
    };
    if begins {
        study.labels.begin(name);
    }
    let dab = Dab {
        way: [stroke.from, stroke.to],
        radius_mm: f64::from(view.brush_radius_mm),
        plane: (!settings.three_d).then_some(stroke.plane),
    };
    study.labels.stroke(&dab, ink, settings);
    if stroke.phase == StrokePhase::End {
        study.labels.end();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use attention_anatomy::anatomy::Organ;

    use super::*;
    use crate::edit::samples::ct;
    use crate::state::Plane;

    fn state(tool: Tool, selected: Option<Organ>) -> State {
        let study = Study::new(1, "sample".into(), ct([20, 20, 5], [1.0; 3]));
        let mut state = State { study: Some(study), ..State::default() };
        (state.view.tool, state.view.selected, state.view.brush_radius_mm) = (tool, selected, 1.5);
        state
    }

    fn stroke(i: f64, to: f64, phase: StrokePhase) -> Stroke {
        Stroke { plane: Plane::Axial, from: [i, 5.0, 2.0], to: [to, 5.0, 2.0], phase, erase_all: false }
    }

    #[test]
    fn a_stroke_over_many_frames_is_one_step() {
        let mut state = state(Tool::Brush, Some(Organ::LungLeft));
        for (from, to, phase) in
            [(3.0, 3.0, StrokePhase::Begin), (3.0, 9.0, StrokePhase::Move), (9.0, 12.0, StrokePhase::End)]
        {
            state.view.strokes.push(stroke(from, to, phase));
            apply_strokes(&mut state);
            assert!(state.view.strokes.is_empty());
        }
        let labels = &mut state.study.as_mut().unwrap().labels;
        // The patient's left is at higher i: what was drawn on the left of the volume is there and nowhere else.
        assert!((0..20).all(|i| (labels.layer().get([i, 5, 2]) == Organ::LungLeft.label()) == (2..=13).contains(&i)));
        assert!(labels.layer().get([13, 5, 2]) != 0 && labels.layer().get([20 - 1 - 2, 5, 2]) == 0);
        assert_eq!(labels.undo_name(), Some("brush"));
        assert!(labels.undo() && !labels.undo());
        assert_eq!(labels.voxel_count(Organ::LungLeft), 0);
    }

    #[test]
    fn without_an_organ_the_user_is_told_once() {
        let mut state = state(Tool::Eraser, None);
        state.view.strokes = vec![stroke(3.0, 3.0, StrokePhase::Begin), stroke(3.0, 9.0, StrokePhase::Move)];
        apply_strokes(&mut state);
        assert_eq!(state.notices.iter().count(), 1);
    }

    #[test]
    fn fill_says_why_it_does_not() {
        let mut state = state(Tool::Fill, Some(Organ::Heart));
        state.view.strokes = vec![stroke(3.0, 3.0, StrokePhase::Begin)];
        apply_strokes(&mut state);
        assert!(state.notices.iter().any(|n| n.text.contains("not enclosed")));
    }
}
