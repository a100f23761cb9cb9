//! Which organ a column of the strip is, in words: on a line below it, for the keyboard, and for who cannot see it.

use attention_anatomy::anatomy::{Organ, OrganSet};
use egui::{Align2, Rect, Sense, TextStyle, Ui, pos2, vec2};

use super::super::scale::number;
use super::super::widgets::{elided, short_name, slice_number, swatch};
use crate::display::View;
use crate::document::{Document, Study};

/// Height of the line.
pub const LINE: f32 = 17.0;
/// Organs that are told to who cannot see the strip, the most attended to first.
const SPOKEN: usize = 5;

/// Name and value of an organ on a slice; what stands in place of a value where there is none.
pub fn said(study: &Study, known: OrganSet, organ: Organ, slice: usize) -> String {
    let attention = study.anatomy_near(slice).and_then(|anatomy| anatomy.attention);
    let value = match attention {
        Some(_) if !known.contains(organ) => "not in these weights".to_string(),
        Some(values) => number(values[organ.index()]),
        None => "not segmented yet".into(),
    };
    format!("{} {value}", short_name(organ))
}

/// The line: the organ and the slice that are pointed at, else those that are chosen.
pub fn line(ui: &mut Ui, study: &Study, known: OrganSet, view: &View, pointed: Option<(Organ, usize)>) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::hover());
    let shown = pointed.or(view.selected.map(|organ| (organ, view.slice())));
    let Some((organ, slice)) = shown else {
        let hint = "Each column is an organ: point at it";
        let text = elided(ui, hint, TextStyle::Small, ui.visuals().weak_text_color(), rect.width());
        ui.painter().galley(
            pos2(rect.left(), rect.center().y - text.size().y / 2.0),
            text,
            ui.visuals().weak_text_color(),
        );
        response.on_hover_text("A click chooses the organ; with the keyboard, left and right do");
        return;
    };
    let at = Rect::from_center_size(pos2(rect.left() + 6.0, rect.center().y), vec2(9.0, 9.0));
    swatch(ui, at, view.styles[organ.index()].colour, false);
    let ink = ui.visuals().strong_text_color();
    let whole = format!("{}, slice {}", said(study, known, organ, slice), slice_number(slice));
    let text = elided(ui, &whole, TextStyle::Small, ink, rect.width() - 15.0);
    let corner = Align2::LEFT_CENTER.anchor_size(pos2(rect.left() + 15.0, rect.center().y), text.size()).min;
    ui.painter().galley(corner, text, ink);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &whole));
}

/// The organ beside the chosen one among those that the weights know; the first or the last where none is chosen.
pub fn next_organ(known: OrganSet, chosen: Option<Organ>, forward: bool) -> Option<Organ> {
    let organs: Vec<Organ> = known.iter().collect();
    let at = chosen.and_then(|organ| organs.iter().position(|&other| other == organ));
    match (at, forward) {
        (Some(at), true) => organs.get(at + 1).or(organs.last()).copied(),
        (Some(at), false) => organs.get(at.saturating_sub(1)).copied(),
        (None, true) => organs.first().copied(),
        (None, false) => organs.last().copied(),
    }
}

/// What the strip shows of the slice on screen, as a sentence for a screen reader: the organs that the network attends to most, and the
/// chosen one. `None` where there is nothing to say.
pub fn spoken(document: &Document) -> Option<String> {
    let (study, slice, known) = (document.study.as_ref()?, document.view.slice(), document.model.known());
    let attention = study.anatomy_near(slice)?.attention?;
    let mut organs: Vec<Organ> = known.iter().collect();
    organs.sort_by(|a, b| attention[b.index()].total_cmp(&attention[a.index()]));
    organs.truncate(SPOKEN);
    if let Some(chosen) = document.view.selected.filter(|chosen| known.contains(*chosen) && !organs.contains(chosen)) {
        organs.push(chosen);
    }
    let told: Vec<String> =
        organs.iter().map(|o| format!("{} {}", o.name().to_lowercase(), number(attention[o.index()]))).collect();
    (!told.is_empty()).then(|| format!("Attention: {}.", told.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn an_organ_has_its_neighbours_among_those_that_are_known() {
        let known: OrganSet = [Organ::Larynx, Organ::Heart, Organ::Liver].into_iter().collect();
        let step = |from, forward| next_organ(known, from, forward);
        assert_eq!([step(None, true), step(None, false)], [Some(Organ::Larynx), Some(Organ::Liver)]);
        assert_eq!(
            [step(Some(Organ::Heart), true), step(Some(Organ::Heart), false)],
            [Some(Organ::Liver), Some(Organ::Larynx)]
        );
        assert_eq!(
            [step(Some(Organ::Liver), true), step(Some(Organ::Larynx), false)],
            [Some(Organ::Liver), Some(Organ::Larynx)]
        );
        assert_eq!(step(Some(Organ::Spleen), true), Some(Organ::Larynx), "what has no column has no neighbours");
        assert_eq!(next_organ(OrganSet::EMPTY, None, true), None);
    }

    #[test]
    fn the_most_attended_organs_and_the_chosen_one_are_spoken() {
        let mut bench = sample::bench();
        let attention =
            bench.document.study.as_mut().unwrap().anatomy[48].as_mut().unwrap().attention.as_mut().unwrap();
        attention.fill(0.01);
        let values = [(Organ::Heart, 0.97), (Organ::LungLeft, 0.8), (Organ::Pancreas, 0.99), (Organ::Liver, 0.5)];
        for (organ, value) in values {
            attention[organ.index()] = value;
        }
        attention[Organ::Spleen.index()] = 0.004;
        bench.view.cursor[2] = 48;
        let said = spoken(&bench).unwrap();
        assert!(said.starts_with("Attention: heart 0.97, lung left 0.80, liver 0.50, "), "{said}");
        assert!(!said.contains("pancreas"), "these weights never learned it: {said}");
        assert!(!said.contains("spleen"));
        bench.view.selected = Some(Organ::Spleen);
        assert!(spoken(&bench).unwrap().ends_with(", spleen 0.0040."), "{:?}", spoken(&bench));
    }
}
