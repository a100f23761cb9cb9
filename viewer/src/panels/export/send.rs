//! What is sent to the archive that the scan came from: RTSTRUCT, SEG or both, as far as its host lets them in. It is shown before it is
//! sent, and nothing is sent by itself.

use egui::{Label, RichText, Ui};

use crate::document::{Document, Source};
use crate::worker::StructureFormat;

/// The formats, each under the name that it is known by.
const FORMATS: [(StructureFormat, &str, &str); 2] = [
    (StructureFormat::StructureSet, "RTSTRUCT", "Contours, for treatment planning systems"),
    (StructureFormat::Segmentation, "DICOM SEG", "Voxels, for archives"),
];

/// What is sent, and where.
#[derive(Clone, Debug)]
pub(super) struct Sends {
    to: Source,
    formats: Vec<StructureFormat>,
}

impl Sends {
    /// All that may go to where the open scan came from; `None` for a scan that came from elsewhere.
    pub(super) fn to_origin(document: &Document) -> Option<Self> {
        let to = document.study.as_ref()?.origin.as_ref()?.source.clone();
        let formats = FORMATS.iter().map(|(format, ..)| *format).filter(|format| to.takes(*format)).collect();
        Some(Self { to, formats })
    }

    /// The formats, in the order in which they are shown.
    pub(super) fn formats(&self) -> impl Iterator<Item = StructureFormat> {
        FORMATS.iter().map(|(format, ..)| *format).filter(|format| self.formats.contains(format))
    }

    /// Whether anything is.
    pub(super) fn is_any(&self) -> bool {
        !self.formats.is_empty()
    }

    /// Where it goes, and a mark for each format.
    pub(super) fn show(&mut self, ui: &mut Ui) {
        let text = format!("To {} ({}), as new series of the study that the scan is of.", self.to.name, self.to.root);
        ui.add(Label::new(text).wrap());
        ui.horizontal_wrapped(|ui| {
            for (format, name, hint) in FORMATS {
                let mut on = self.formats.contains(&format);
                let mark =
                    ui.add_enabled(self.to.takes(format), egui::Checkbox::new(&mut on, name)).on_hover_text(hint);
                let mark = mark.on_disabled_hover_text("Whoever hosts this page has not allowed it");
                if mark.changed() {
                    self.formats.retain(|other| *other != format);
                    if on {
                        self.formats.push(format);
                    }
                }
            }
        });
        if !self.to.root.is_private() {
            let text = "Others can read on the way what is sent there: its address is not https.";
            ui.add(Label::new(RichText::new(text).color(ui.visuals().warn_fg_color)).wrap());
        }
    }
}
