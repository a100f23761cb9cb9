//! In which order the organs stand: what was found first, the region on screen before the others, and folded away what is
//! not there to be found.

use attention_anatomy::anatomy::{Organ, Region};

use super::known::{Known, known};
use crate::document::Document;

/// What the rows of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// They lie in this region.
    Region(Region),
    /// These weights know them, and no voxel of them was found.
    NotFound,
    /// Learned too weakly to be drawn unasked.
    Weak,
    /// Never learned.
    Unlearned,
}

impl Heading {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Region(region) => region.name(),
            Self::NotFound => "Not found",
            Self::Weak => "Off: learned too weakly",
            Self::Unlearned => "Not in these weights",
        }
    }

    /// Whether its rows are put away until somebody asks for them.
    pub fn starts_folded(self) -> bool {
        !matches!(self, Self::Region(_))
    }
}

/// Rows under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub heading: Heading,
    /// In the order of the table.
    pub organs: Vec<Organ>,
}

/// The region under which an organ stands: the one on screen where it lies in it, else the uppermost that it lies in.
fn region_of(organ: Organ, on_screen: Option<Region>) -> Option<Region> {
    let regions = organ.regions();
    on_screen.filter(|here| regions.contains(here)).or_else(|| regions.first().copied())
}

/// All organs in the order in which they are listed. Until the first one is found, all that can be found count as such.
pub fn groups(document: &Document, on_screen: Option<Region>) -> Vec<Group> {
    let count = |organ| document.study.as_ref().map_or(0, |study| study.labels.voxel_count(organ));
    let nothing_yet = Organ::ALL.into_iter().all(|organ| count(organ) == 0);
    let heading = |organ| match known(&document.model, organ) {
        Known::Never if count(organ) == 0 => Some(Heading::Unlearned),
        Known::Off(_) if count(organ) == 0 => Some(Heading::Weak),
        _ if count(organ) == 0 && !nothing_yet => Some(Heading::NotFound),
        _ => region_of(organ, on_screen).map(Heading::Region),
    };
    let mut regions = Region::ALL;
    if let Some(here) = on_screen {
        // The nearest first; of two that are as near, the upper one.
        regions.sort_by_key(|region| region.index().abs_diff(here.index()));
    }
    let headings =
        regions.map(Heading::Region).into_iter().chain([Heading::NotFound, Heading::Weak, Heading::Unlearned]);
    let of = |wanted| Organ::ALL.into_iter().filter(|&organ| heading(organ) == Some(wanted)).collect::<Vec<_>>();
    headings.map(|heading| Group { heading, organs: of(heading) }).filter(|group| !group.organs.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::bench::Bench;
    use crate::panels::tests::sample;

    fn headings(document: &Document, on_screen: Option<Region>) -> Vec<Heading> {
        groups(document, on_screen).into_iter().map(|group| group.heading).collect()
    }

    #[test]
    fn every_organ_stands_in_one_group_whatever_is_open() {
        for document in [Bench::default().document, sample::bench().document] {
            for here in [None, Some(Region::Abdomen)] {
                let mut organs: Vec<Organ> = groups(&document, here).into_iter().flat_map(|g| g.organs).collect();
                organs.sort();
                assert_eq!(organs, Organ::ALL);
            }
        }
    }

    #[test]
    fn what_was_found_in_the_region_on_screen_comes_first() {
        let document = sample::bench().document;
        let listed = groups(&document, Some(Region::UpperAbdomen));
        assert_eq!(listed[0].heading, Heading::Region(Region::UpperAbdomen));
        assert!(listed[0].organs.contains(&Organ::Liver) && listed[0].organs.contains(&Organ::Spleen));
        // The cord runs through all of them, and so through this one.
        let cord = listed.iter().find(|group| group.organs.contains(&Organ::SpinalCord)).unwrap();
        assert_eq!(cord.heading, Heading::Region(region_of(Organ::SpinalCord, Some(Region::UpperAbdomen)).unwrap()));
        let found = |group: &Group| matches!(group.heading, Heading::Region(_));
        let labels = &document.study.as_ref().unwrap().labels;
        for group in &listed {
            assert!(group.organs.iter().all(|&o| (labels.voxel_count(o) > 0) == found(group)), "{group:?}");
        }
        let rest: Vec<Heading> = listed.iter().skip_while(|g| found(g)).map(|g| g.heading).collect();
        assert_eq!(rest, [Heading::NotFound, Heading::Weak, Heading::Unlearned]);
        assert_eq!(listed.last().unwrap().organs, [Organ::Gallbladder, Organ::Pancreas]);
    }

    #[test]
    fn before_anything_is_found_organs_stand_from_the_head_down() {
        let mut bench = sample::bench();
        bench.document.study = None;
        // No organ begins below the middle of the kidneys.
        let regions: Vec<Heading> = Region::ALL[..4].iter().copied().map(Heading::Region).collect();
        assert_eq!(headings(&bench.document, None)[..4], regions);
        assert!(!headings(&bench.document, None).contains(&Heading::NotFound));
    }
}
