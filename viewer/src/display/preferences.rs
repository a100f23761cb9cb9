//! What is remembered between sessions. No patient data: file names of recent scans only, and only on the desktop.

use serde::{Deserialize, Serialize};

/// Which views are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// The chosen plane large, the other two small beside it.
    #[default]
    OneBig,
    /// Three views of equal size.
    ThreeUp,
    /// The chosen plane alone.
    Single,
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Which views are shown.
    pub layout: Layout,
    /// Light or dark.
    pub dark: bool,
    /// Size of everything, 1.0 is normal.
    pub zoom: f32,
    /// Whether a scan is segmented as soon as it is open.
    pub run_after_opening: bool,
    /// Whether voxels are interpolated when drawn.
    pub interpolate: bool,
    /// Paths of recent scans, the newest first (desktop only).
    pub recent: Vec<String>,
    /// Addresses of archives that were asked, the last one first (desktop only).
    pub archives: Vec<String>,
    /// Whether the line that says whose scan it is stays hidden, as before a class.
    pub hide_patient: bool,
    /// Whether the guided tour has been offered.
    pub tour_seen: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            dark: true,
            zoom: 1.0,
            run_after_opening: true,
            interpolate: true,
            recent: Vec::new(),
            archives: Vec::new(),
            hide_patient: false,
            tour_seen: false,
        }
    }
}

impl Preferences {
    /// Puts a path at the head of the recent ones.
    pub fn opened(&mut self, path: &str) {
        self.recent.retain(|p| p != path);
        self.recent.insert(0, path.to_string());
        self.recent.truncate(10);
    }
}
