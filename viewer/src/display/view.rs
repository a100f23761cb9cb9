//! How the study is looked at: cameras, window and level, tools, colours.

use std::collections::BTreeSet;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ};

use super::form::Form;
use super::measurement::Measurement;
use super::plane::Plane;

/// Which part of a plane is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Millimetres of the picture's centre from the centre of the volume, along the picture's axes (right, down).
    pub centre_mm: [f32; 2],
    /// 1 shows the whole plane, larger is closer.
    pub zoom: f32,
}

impl Default for Camera {
    fn default() -> Self {
        Self { centre_mm: [0.0; 2], zoom: 1.0 }
    }
}

/// Window width and level of the display, HU (DICOM PS3.3 C.11.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisplayWindow {
    /// HU from black to white.
    pub width: f32,
    /// HU of middle grey.
    pub level: f32,
}

/// A window that has a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowPreset {
    /// For people.
    pub name: &'static str,
    /// The window.
    pub window: DisplayWindow,
}

const fn preset(name: &'static str, width: f32, level: f32) -> WindowPreset {
    WindowPreset { name, window: DisplayWindow { width, level } }
}

/// CT presets, on the number keys in this order.
pub const WINDOW_PRESETS: [WindowPreset; 5] = [
    preset("Bone", 1000.0, 400.0),
    preset("Soft tissue", 350.0, 50.0),
    preset("Lung", 1500.0, -600.0),
    preset("Brain", 80.0, 40.0),
    preset("Abdomen", 400.0, 40.0),
];

/// What lies over the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Labels only.
    #[default]
    None,
    /// How sure the network is: what is close to the runner-up glows.
    Uncertainty,
    /// Voxels that attention took away, on the current slice.
    RemovedByAttention,
    /// Where the labels differ from the reference.
    Difference,
}

/// What the left mouse button does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Moves the crosshair.
    #[default]
    Crosshair,
    /// Changes window (across) and level (down).
    WindowLevel,
    /// Moves the picture.
    Pan,
    /// Measures a distance.
    Ruler,
    /// Mean and deviation of HU in an ellipse.
    Roi,
    /// Paints the chosen organ.
    Brush,
    /// Erases the chosen organ, or all.
    Eraser,
    /// Fills a hole or an enclosed area with the chosen organ.
    Fill,
}

/// Where a stroke of brush, eraser or fill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrokePhase {
    /// The button went down.
    Begin,
    /// It moved while down.
    Move,
    /// The button went up.
    End,
}

/// A piece of what the mouse drew in a view with brush, eraser or fill. Views report strokes, the editing consumes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// The view.
    pub plane: Plane,
    /// Where the piece begins: fractional canonical voxel `[i, j, k]`, whole numbers are voxel centres.
    pub from: [f64; 3],
    /// Where it ends.
    pub to: [f64; 3],
    /// Begin, move or end.
    pub phase: StrokePhase,
    /// Whether the eraser takes every organ rather than the chosen one (Alt is held).
    pub erase_all: bool,
}

/// How an organ is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrganStyle {
    /// Drawn at all.
    pub visible: bool,
    /// Colour, sRGB.
    pub colour: [u8; 3],
    /// 0 to 1, of the fill.
    pub opacity: f32,
    /// With an outline.
    pub outline: bool,
    /// With a fill.
    pub fill: bool,
}

/// What a pressed mouse button is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drag {
    /// Moves the crosshair.
    Crosshair,
    /// Changes window and level.
    Window,
    /// Moves the picture.
    Pan,
    /// Moves an end of a measurement.
    Measure {
        /// Place in [`View::measurements`].
        index: usize,
        /// Which end.
        end: usize,
    },
    /// Draws with brush, eraser or fill.
    Stroke,
    /// A finger that has neither moved nor rested yet.
    Touch,
    /// A finger that turns slices.
    Slices,
    /// A finger that has rested, and reads the voxel under it.
    Probe,
}

/// A mouse button that is down in a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gesture {
    /// The view.
    pub plane: Plane,
    /// What it does.
    pub drag: Drag,
    /// Where the mouse was last: fractional canonical voxel.
    pub at: [f64; 3],
    /// Where the crosshair was when the button went down.
    pub cursor_before: [usize; 3],
    /// Where on the screen that was, points.
    pub pressed_at: [f32; 2],
    /// When, seconds of the program's clock.
    pub pressed: f64,
}

/// How the study is looked at.
#[derive(Clone, Debug)]
pub struct View {
    /// The voxel at the crosshair, canonical `[i, j, k]`; its k is the axial slice on screen.
    pub cursor: [usize; 3],
    /// By [`Plane::index`].
    pub cameras: [Camera; 3],
    /// The plane that is shown large.
    pub main: Plane,
    /// Grey values.
    pub window: DisplayWindow,
    /// Black is white.
    pub inverted: bool,
    /// Whether the crosshair is drawn.
    pub crosshair: bool,
    /// Whether labels are drawn at all.
    pub labels: bool,
    /// Opacity of all fills together, 0 to 1.
    pub opacity: f32,
    /// Over the labels.
    pub overlay: Overlay,
    /// What the left mouse button does.
    pub tool: Tool,
    /// By organ index.
    pub styles: [OrganStyle; ORGAN_COUNT],
    /// Numbers of structures that are no organs and are not drawn.
    pub hidden_extras: BTreeSet<u64>,
    /// The only organ that is drawn, if one is.
    pub solo: Option<Organ>,
    /// The organ that was clicked last: highlighted in the lists and painted by the tools.
    pub selected: Option<Organ>,
    /// The voxel under the mouse, in which view.
    pub hover: Option<(Plane, [usize; 3])>,
    /// The voxel that a resting finger reads, in which view; it stays until the next touch.
    pub probe: Option<(Plane, [usize; 3])>,
    /// How the window is arranged.
    pub form: Form,
    /// What was drawn with brush, eraser or fill in this frame; emptied by the editing.
    pub strokes: Vec<Stroke>,
    /// Radius of brush and eraser, mm.
    pub brush_radius_mm: f32,
    /// Distances and ellipses drawn into the views of this study.
    pub measurements: Vec<Measurement>,
    /// The mouse button that is down in a view.
    pub gesture: Option<Gesture>,
    /// What is left of the mouse wheel's turning once whole slices were taken, in slices.
    pub wheel: f32,
    /// Whether the space bar was used to move the picture, and so does not reset it when let go.
    pub space_used: bool,
    /// The slice that the run was last told to put first.
    pub focused: usize,
}

impl Default for View {
    fn default() -> Self {
        let styles = std::array::from_fn(|n| OrganStyle {
            visible: true,
            colour: Organ::from_index(n).map_or([255; 3], Organ::colour),
            opacity: 0.4,
            outline: true,
            fill: true,
        });
        Self {
            cursor: [0; 3],
            cameras: [Camera::default(); 3],
            main: Plane::Axial,
            window: WINDOW_PRESETS[1].window,
            inverted: false,
            crosshair: true,
            labels: true,
            opacity: 1.0,
            overlay: Overlay::None,
            tool: Tool::Crosshair,
            styles,
            hidden_extras: BTreeSet::new(),
            solo: None,
            selected: None,
            hover: None,
            probe: None,
            form: Form::default(),
            strokes: Vec::new(),
            brush_radius_mm: 6.0,
            measurements: Vec::new(),
            gesture: None,
            wheel: 0.0,
            space_used: false,
            focused: 0,
        }
    }
}

impl View {
    /// The axial slice on screen.
    pub fn slice(&self) -> usize {
        self.cursor[2]
    }

    /// Whether an organ is to be drawn.
    pub fn shows(&self, organ: Organ) -> bool {
        self.labels && self.styles[organ.index()].visible && self.solo.is_none_or(|s| s == organ)
    }

    /// Whether a structure that is no organ is to be drawn.
    pub fn shows_extra(&self, number: u64) -> bool {
        self.labels && self.solo.is_none() && !self.hidden_extras.contains(&number)
    }

    /// Brings the crosshair to the middle of another volume and shows all of it.
    pub fn reset(&mut self, size: [usize; 3]) {
        self.cursor = size.map(|n| n / 2);
        self.focused = self.cursor[2];
        self.cameras = [Camera::default(); 3];
        self.hidden_extras.clear();
        (self.hover, self.probe) = (None, None);
        self.gesture = None;
        self.strokes.clear();
        self.measurements.clear();
    }

    /// Takes the window of another scan: width and level as its files say, else that of soft tissue.
    pub fn set_window_of_scan(&mut self, window: Option<[f32; 2]>) {
        self.window = window.map_or(WINDOW_PRESETS[1].window, |[width, level]| DisplayWindow { width, level });
        self.inverted = false;
    }

    /// Goes `by` slices on in a plane, as far as there are slices.
    pub fn scroll(&mut self, plane: Plane, by: isize, size: [usize; 3]) {
        let axis = plane.axes()[2];
        self.cursor[axis] = self.cursor[axis].saturating_add_signed(by).min(size[axis].saturating_sub(1));
    }

    /// Whether the left mouse button changes labels.
    pub fn edits(&self) -> bool {
        matches!(self.tool, Tool::Brush | Tool::Eraser | Tool::Fill)
    }
}
