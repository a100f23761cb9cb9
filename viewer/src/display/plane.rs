//! The three patient planes, and which canonical axes run across, down and through each.

/// A patient plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// Across the body, seen from the feet: the patient's right is on the left of the picture, anterior is up.
    #[default]
    Axial,
    /// From the front: the patient's right is on the left of the picture, superior is up.
    Coronal,
    /// From the patient's left: anterior is on the left of the picture, superior is up.
    Sagittal,
}

impl Plane {
    /// In the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Axial, Self::Coronal, Self::Sagittal];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axial => "Axial",
            Self::Coronal => "Coronal",
            Self::Sagittal => "Sagittal",
        }
    }

    /// Canonical axis (0 = i, 1 = j, 2 = k) across the picture, down the picture, and through it.
    pub fn axes(self) -> [usize; 3] {
        match self {
            Self::Axial => [0, 1, 2],
            Self::Coronal => [0, 2, 1],
            Self::Sagittal => [1, 2, 0],
        }
    }

    /// Whether the second axis runs up the picture (k runs to the head, and the head is up).
    pub fn flips_down(self) -> bool {
        self != Self::Axial
    }

    /// Place in arrays by plane.
    pub fn index(self) -> usize {
        match self {
            Self::Axial => 0,
            Self::Coronal => 1,
            Self::Sagittal => 2,
        }
    }
}
