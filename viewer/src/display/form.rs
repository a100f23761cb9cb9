//! On what kind of screen the window stands: by its size alone, so that a narrow window on a desk is arranged like a telephone.

/// Below this width, and on a screen that is less tall than [`FLAT`], one plane fills the views, points.
const NARROW: f32 = 800.0;
/// A telephone that lies on its side is wide and has no height to share, points.
const FLAT: f32 = 500.0;
/// Below this width there is no room for panels beside the views, points.
const ROOMY: f32 = 1000.0;

/// How the window is arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Panels beside the views.
    #[default]
    Desk,
    /// Panels as sheets from below; the views as the user likes them.
    Tablet,
    /// Panels as sheets; one plane fills the screen.
    Phone,
}

impl Form {
    /// For a window of so many points.
    pub fn of(width: f32, height: f32) -> Self {
        match () {
            () if width < NARROW || height < FLAT => Self::Phone,
            () if width < ROOMY => Self::Tablet,
            () => Self::Desk,
        }
    }

    /// Whether panels come as sheets, and fingers are what touches them.
    pub fn has_sheets(self) -> bool {
        self != Self::Desk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephones_and_tablets_are_told_by_their_size() {
        let forms = [(390.0, 844.0), (844.0, 390.0), (820.0, 1180.0), (1280.0, 720.0), (3840.0, 2160.0)];
        let told = forms.map(|(width, height)| Form::of(width, height));
        assert_eq!(told, [Form::Phone, Form::Phone, Form::Tablet, Form::Desk, Form::Desk]);
    }
}
