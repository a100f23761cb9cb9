//! Many trainings as tasks that can be done apart: by an array of a scheduler, by a workflow program, one after the other.
//!
//! A task is named by the folder of its results, which says what it is and does not depend on how many there are: `fold-2-of-7`,
//! `attentionanatomy/seed-7`. Whoever runs them needs to know no more than the plan says.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::TrainError;
use crate::dataset::Fold;

/// The part `k/n` of a larger job, for one task of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(pub Fold);

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self(Fold { index: 1, of: 1 });

    /// Whether what stands at this place, from 0 on, is this part's. Neighbours go to different parts, because lists are sorted by what
    /// makes them long or short: each part is then about as long as any other.
    pub fn takes(self, place: usize) -> bool {
        place % self.0.of == self.0.index - 1
    }

    /// Those of `all` that are this part's.
    pub fn of<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().enumerate().filter(|(place, _)| self.takes(*place)).map(|(_, one)| one).collect()
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self(Fold { index, of })),
            _ => Err("give k/n, with k from 1 to n".into()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of the tasks of a job are done in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// All, one after the other.
    #[default]
    All,
    /// Every n-th.
    Part(Part),
    /// The one of this id.
    Task(String),
}

impl Choice {
    /// Whether this is the whole job, so that its results can be put together afterwards.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Those of `all` that are meant.
    ///
    /// # Errors
    /// [`TrainError::NoTask`].
    pub fn of<T>(&self, all: Vec<T>, id: impl Fn(&T) -> &str) -> Result<Vec<T>, TrainError> {
        match self {
            Self::All => Ok(all),
            Self::Part(part) => Ok(part.of(all)),
            Self::Task(wanted) => {
                let mut all = all;
                all.retain(|task| id(task) == wanted);
                if all.is_empty() { Err(TrainError::NoTask(wanted.clone())) } else { Ok(all) }
            }
        }
    }
}

/// A task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTask {
    /// What names it, and the folder of its results.
    pub id: String,
    /// What it is, for people.
    pub name: String,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Whether its results are there.
    pub done: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_a_job_without_rest() {
        for of in [1, 2, 3, 7, 60] {
            let parts: Vec<Part> = (1..=of).map(|k| format!("{k}/{of}").parse().unwrap()).collect();
            for place in 0..60 {
                assert_eq!(parts.iter().filter(|part| part.takes(place)).count(), 1, "{place} of {of}");
            }
            let sizes: Vec<usize> = parts.iter().map(|part| part.of((0..60).collect()).len()).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        assert_eq!("2/3".parse::<Part>().unwrap().of(vec!['a', 'b', 'c', 'd', 'e']), ['b', 'e']);
        assert_eq!("3/20".parse::<Part>().unwrap().to_string(), "3/20");
        for wrong in ["", "3", "0/4", "5/4", "1/0", "-1/2", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_task_is_chosen_by_its_id_and_one_that_is_not_there_is_named() {
        let all = || vec!["fold-1-of-2", "fold-2-of-2"];
        let choose = |choice: Choice| choice.of(all(), |id| id);
        assert_eq!(choose(Choice::All).unwrap(), all());
        assert_eq!(choose(Choice::Task("fold-2-of-2".into())).unwrap(), ["fold-2-of-2"]);
        assert_eq!(choose(Choice::Part("1/2".parse().unwrap())).unwrap(), ["fold-1-of-2"]);
        let error = choose(Choice::Task("fold-3-of-2".into())).unwrap_err();
        assert!(error.to_string().contains("`fold-3-of-2`"), "{error}");
        assert!(Choice::All.is_all() && !Choice::Part(Part::WHOLE).is_all());
    }
}
