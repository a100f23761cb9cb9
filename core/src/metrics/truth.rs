//! What a case knows of itself, and what everything that measures holds predictions against.

use crate::anatomy::OrganSet;
use crate::dataset::regions::RegionLabels;
use crate::volume::LabelVolume;

/// What is known about a case.
#[derive(Clone, Copy, Debug)]
pub struct CaseTruth<'a> {
    /// Its labels.
    pub labels: &'a LabelVolume,
    /// The organs that they annotate.
    pub annotated: OrganSet,
    /// Labels of all organs, where they are known.
    pub whole: Option<&'a LabelVolume>,
    /// The part of the body that each slice shows, where that is known.
    pub regions: Option<&'a RegionLabels>,
}
