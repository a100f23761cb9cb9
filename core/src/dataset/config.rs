//! What a training file says of each of its sets.

use serde::{Deserialize, Serialize};

use crate::anatomy::{OrganSet, UnknownOrgan};

/// A set in a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Manifest file, relative to the data folder given on the command line.
    pub manifest: String,
    /// Share of every batch, relative to the other sets.
    pub weight: f64,
    /// Patients of the `train` split held out for validation.
    #[serde(default)]
    pub validation_patients: usize,
    /// Whether the lungs are labelled by rule in cases that do not annotate them
    /// ([`label_lungs`](super::regions::label_lungs)), in training and in evaluation.
    #[serde(default)]
    pub derive_lungs: bool,
    /// Slices beyond either end of an organ's contours on which nothing is known of it: plans draw organs no further than they need
    /// them.
    #[serde(default)]
    pub open_ends: usize,
    /// Whether values that do not look like HU are taken as HU ([`require_ct`](crate::volume::require_ct)).
    #[serde(default)]
    pub assume_hu: bool,
    /// Ids of the organs whose labels are used, the others counting as not annotated; all where absent.
    pub organs: Option<Vec<String>>,
}

impl DataConfig {
    /// All of the set of a manifest, to be trained on.
    pub fn of(manifest: impl Into<String>) -> Self {
        Self {
            manifest: manifest.into(),
            weight: 1.0,
            validation_patients: 0,
            derive_lungs: false,
            open_ends: 0,
            assume_hu: false,
            organs: None,
        }
    }

    /// Those of `annotated` whose labels are used.
    ///
    /// # Errors
    /// An id that no organ has.
    pub fn used(&self, annotated: OrganSet) -> Result<OrganSet, UnknownOrgan> {
        match &self.organs {
            None => Ok(annotated),
            Some(ids) => Ok(annotated.intersection(OrganSet::from_ids(ids)?)),
        }
    }
}
