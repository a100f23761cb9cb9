//! What a panel is given when it is drawn, and what panels know of each other: no panel uses another one.

use egui::{Rect, Ui};

use super::scale::Scale;
use crate::document::{Document, Outbox};
use crate::worker::{LearnEvent, StructureFormat};

/// Something around the views, which owns its state. A new one takes a file of its own and a place in [`super::Panels`].
pub trait Panel {
    /// Draws it.
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>);

    /// What has to be done in every frame before anything is drawn, whether the panel is open or not.
    fn update(&mut self, _ctx: &egui::Context, _cx: &mut Context<'_>) {}

    /// The window is another one from now on: textures of the last one are gone.
    fn new_window(&mut self) {}

    /// The demo training has got further.
    fn training(&mut self, _event: &LearnEvent) {}
}

/// What a panel is given.
pub struct Context<'a> {
    /// What is open.
    pub document: &'a mut Document,
    /// What others have to do.
    pub outbox: &'a mut Outbox,
    /// What panels know of each other.
    pub arrangement: &'a mut Arrangement,
}

/// A tab on the right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// What the network attends to.
    #[default]
    Attention,
    /// Tools that change labels.
    Correct,
    /// Against a second label map.
    Compare,
    /// A small network learning live.
    Learn,
}

impl Tab {
    /// In the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Attention, Self::Correct, Self::Compare, Self::Learn];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "Attention",
            Self::Correct => "Correct",
            Self::Compare => "Compare",
            Self::Learn => "Learn",
        }
    }
}

/// A panel of a small screen, which comes up from below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheet {
    /// The list of organs.
    Organs,
    /// The strip along the body.
    AlongBody,
    /// Layout, tools, window and overlay.
    Tools,
    /// The tabs that stand on the right of a large screen.
    Side,
}

impl Sheet {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organs => "Organs",
            Self::AlongBody => "Along the body",
            Self::Tools => "Tools",
            Self::Side => "Panels",
        }
    }
}

/// Panels that the user has put away, so that the views have the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// The list of organs on the left.
    pub organs: bool,
    /// The strip along the body.
    pub along_body: bool,
    /// The tabs on the right.
    pub side: bool,
}

/// A place that a step of the guided tour frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The three views.
    Views,
    /// The list of organs.
    Organs,
    /// The strip along the body.
    AlongBody,
    /// Switches and bars of the attention panel.
    Attention,
    /// The least certain slices.
    Uncertain,
}

/// What panels know of each other.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    /// The tab on the right.
    pub tab: Tab,
    /// Panels that are put away.
    pub hidden: Hidden,
    /// Whether panels are sheets, because the screen is small.
    pub has_sheets: bool,
    /// The sheet that is up.
    pub sheet: Option<Sheet>,
    /// Whether the list of shortcuts is open.
    pub help: bool,
    /// Whether the guided tour is asked for; it takes the flag back when it begins.
    pub tour: bool,
    /// The format in which structures are to be saved; the dialog takes it back when it opens.
    pub export: Option<StructureFormat>,
    /// Whether structures are to be sent to where the scan came from, in place of saved; the dialog takes it back when it opens.
    pub send: bool,
    /// Whether the list of an archive is to be shown, and of it only what was drawn on the open scan; the panel takes it back.
    pub archive: Option<bool>,
    /// The scale on which the user wants to see attention; the one that shows a study best where `None`.
    pub attention_scale: Option<Scale>,
    /// Where the places of the guided tour are in this frame.
    pub spots: Vec<(Spot, Rect)>,
}

impl Arrangement {
    /// Brings up the sheet that a place of the guided tour is on.
    pub fn bring_up(&mut self, spot: Spot) {
        self.sheet = match spot {
            Spot::Views => None,
            Spot::Organs => Some(Sheet::Organs),
            Spot::AlongBody => Some(Sheet::AlongBody),
            Spot::Attention | Spot::Uncertain => Some(Sheet::Side),
        };
    }

    /// A place of the guided tour was drawn here.
    pub fn saw(&mut self, spot: Spot, rect: Rect) {
        self.spots.retain(|(s, _)| *s != spot);
        self.spots.push((spot, rect));
    }

    /// The scale that attention is shown on: the user's, or the one that shows the study best.
    pub fn scale(&self, document: &Document) -> Scale {
        let known = document.model.known();
        let best = || document.study.as_ref().map_or(Scale::Linear, |study| Scale::best_for(study, known));
        self.attention_scale.unwrap_or_else(best)
    }

    /// Whether a panel takes the place of the views.
    pub fn has_board(&self) -> bool {
        self.tab == Tab::Learn && (!self.has_sheets || self.sheet == Some(Sheet::Side))
    }
}
