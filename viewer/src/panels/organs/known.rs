//! What the weights in use know of an organ, in words.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::network::weights::TrainedOrgan;

use crate::document::Model;

/// What the weights in use know of an organ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known<'a> {
    /// There are no weights yet.
    NoWeights,
    /// Never annotated in training: never drawn.
    Never,
    /// Learned, but off by default.
    Off(&'a TrainedOrgan),
    /// Learned, and on.
    On(&'a TrainedOrgan),
}

/// What is known of an organ.
pub fn known(model: &Model, organ: Organ) -> Known<'_> {
    match model.trained(organ) {
        _ if model.weights.is_none() => Known::NoWeights,
        None => Known::Never,
        Some(trained) if trained.enabled || model.all_organs => Known::On(trained),
        Some(trained) => Known::Off(trained),
    }
}

impl Known<'_> {
    /// How it was learned, for people.
    pub fn sentence(self) -> String {
        match self {
            Self::NoWeights => "No weights are loaded yet.".to_string(),
            Self::Never => {
                "Not in these weights: no training patient had this organ outlined, so it is never drawn.".into()
            }
            Self::On(t) | Self::Off(t) => {
                let patients = if t.patients == 1 { "patient" } else { "patients" };
                let dice = match t.validation_dice {
                    Some(dice) => format!("validation Dice {dice:.2} on {}", t.validation_patients),
                    None => "never measured on other patients".to_string(),
                };
                format!("Learned from {} {patients}, {dice}.", t.patients)
            }
        }
    }

    /// Why it is off, in two or three words.
    pub fn why_off(self) -> Option<String> {
        match self {
            Self::Never => Some("not in these weights".to_string()),
            Self::Off(t) => Some(match t.validation_dice {
                Some(dice) => format!("off: too weak, Dice {dice:.2}"),
                None => "off: never measured".to_string(),
            }),
            Self::NoWeights | Self::On(_) => None,
        }
    }
}
