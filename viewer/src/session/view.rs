//! How a study was looked at, as a session file keeps it. Whatever a file says is brought into range.

use std::collections::BTreeMap;

use attention_anatomy::anatomy::Organ;
use serde::{Deserialize, Serialize};

use crate::display::{Camera, DisplayWindow, Layout, OrganStyle, Plane, View};

/// How a study was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    cursor: [usize; 3],
    layout: Layout,
    main: Plane,
    /// By plane: centre right and down in mm, zoom.
    cameras: [[f32; 3]; 3],
    window_width: f32,
    window_level: f32,
    inverted: bool,
    crosshair: bool,
    labels: bool,
    opacity: f32,
    styles: BTreeMap<Organ, SessionStyle>,
    solo: Option<Organ>,
    selected: Option<Organ>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SessionStyle {
    visible: bool,
    colour: [u8; 3],
    opacity: f32,
    outline: bool,
    fill: bool,
}

fn within(v: f32, low: f32, high: f32) -> f32 {
    if v.is_finite() { v.clamp(low, high) } else { low }
}

impl SessionView {
    /// Of a view.
    pub fn of(view: &View, layout: Layout) -> Self {
        let style = |s: &OrganStyle| SessionStyle {
            visible: s.visible,
            colour: s.colour,
            opacity: s.opacity,
            outline: s.outline,
            fill: s.fill,
        };
        Self {
            cursor: view.cursor,
            layout,
            main: view.main,
            cameras: view.cameras.map(|c| [c.centre_mm[0], c.centre_mm[1], c.zoom]),
            window_width: view.window.width,
            window_level: view.window.level,
            inverted: view.inverted,
            crosshair: view.crosshair,
            labels: view.labels,
            opacity: view.opacity,
            styles: Organ::ALL.into_iter().map(|o| (o, style(&view.styles[o.index()]))).collect(),
            solo: view.solo,
            selected: view.selected,
        }
    }

    /// Looks at a volume of `size` in this way.
    pub fn apply(self, view: &mut View, layout: &mut Layout, size: [usize; 3]) {
        *layout = self.layout;
        view.main = self.main;
        view.cursor = std::array::from_fn(|a| self.cursor[a].min(size[a].saturating_sub(1)));
        view.cameras = self.cameras.map(|[x, y, zoom]| Camera {
            centre_mm: [x, y].map(|v| if v.is_finite() { v.clamp(-5e3, 5e3) } else { 0.0 }),
            zoom: within(zoom, 0.1, 100.0),
        });
        view.window = DisplayWindow {
            width: within(self.window_width, 1.0, 65536.0),
            level: within(self.window_level, -32768.0, 32767.0),
        };
        (view.inverted, view.crosshair, view.labels) = (self.inverted, self.crosshair, self.labels);
        view.opacity = within(self.opacity, 0.0, 1.0);
        for (organ, s) in self.styles {
            view.styles[organ.index()] = OrganStyle {
                visible: s.visible,
                colour: s.colour,
                opacity: within(s.opacity, 0.0, 1.0),
                outline: s.outline,
                fill: s.fill,
            };
        }
        (view.solo, view.selected) = (self.solo, self.selected);
    }
}
