//! A set of organs in one machine word: what a case annotates, what weights were trained on, what a user switched on.

use super::organ::{ORGAN_COUNT, Organ};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A set of organs. Serialised as a list of ids in table order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OrganSet(u64);

impl OrganSet {
    /// No organ.
    pub const EMPTY: Self = Self(0);
    /// All 33 organs.
    pub const ALL: Self = Self((1 << ORGAN_COUNT) - 1);

    /// The organs with these keys.
    ///
    /// # Errors
    /// The first key that is no organ's [`id`](Organ::id).
    pub fn from_ids<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Result<Self, UnknownOrgan> {
        ids.into_iter()
            .map(|id| Organ::from_id(id.as_ref()).ok_or_else(|| UnknownOrgan(id.as_ref().to_owned())))
            .collect()
    }

    /// The organs whose numbers occur in a label map; other numbers are no organ's.
    pub fn of_labels(labels: &[u8]) -> Self {
        let mut seen = [false; 256];
        // Eight voxels are mostly what the eight before them were.
        let (words, rest) = labels.as_chunks::<8>();
        let mut before = [0; 8];
        seen[0] = true;
        for word in words.iter().filter(|&word| std::mem::replace(&mut before, *word) != *word) {
            word.iter().for_each(|&label| seen[usize::from(label)] = true);
        }
        rest.iter().for_each(|&label| seen[usize::from(label)] = true);
        Organ::ALL.into_iter().filter(|organ| seen[usize::from(organ.label())]).collect()
    }

    /// Adds an organ; true if it was not there before.
    pub fn insert(&mut self, organ: Organ) -> bool {
        let before = self.0;
        self.0 |= 1 << organ.index();
        self.0 != before
    }

    /// Takes an organ out; true if it was there.
    pub fn remove(&mut self, organ: Organ) -> bool {
        let before = self.0;
        self.0 &= !(1 << organ.index());
        self.0 != before
    }

    /// Whether the organ is in the set.
    pub fn contains(self, organ: Organ) -> bool {
        self.0 >> organ.index() & 1 == 1
    }

    /// Number of organs in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set has no organ.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The organs of the set in table order.
    pub fn iter(self) -> impl Iterator<Item = Organ> {
        Organ::ALL.into_iter().filter(move |&organ| self.contains(organ))
    }

    /// The organs of either set.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The organs that both sets have.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The organs of this set that the other has not.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A key that is no organ's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no organ of this program; the keys are brain_stem, parotid_left, liver and so on")]
pub struct UnknownOrgan(pub String);

impl FromIterator<Organ> for OrganSet {
    fn from_iter<I: IntoIterator<Item = Organ>>(organs: I) -> Self {
        let mut set = Self::EMPTY;
        for organ in organs {
            set.insert(organ);
        }
        set
    }
}

impl Extend<Organ> for OrganSet {
    fn extend<I: IntoIterator<Item = Organ>>(&mut self, organs: I) {
        for organ in organs {
            self.insert(organ);
        }
    }
}

impl fmt::Debug for OrganSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for OrganSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Organ::id))
    }
}

impl<'de> Deserialize<'de> for OrganSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<String>::deserialize(deserializer)?;
        Self::from_ids(ids).map_err(serde::de::Error::custom)
    }
}
