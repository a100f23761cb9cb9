//! Several systems, each measured in several runs: folds of a cross-validation, or seeds.
//!
//! A run gives one number an organ, its mean over the patients of that run. The tables hold the mean and the standard deviation of
//! those numbers over the runs, so that the spread says how much of a difference chance may explain.

use super::evaluation::{Evaluation, Organs};
use super::{MeanStd, Summary};
use crate::anatomy::{Organ, OrganSet};
use crate::csv;
use serde::Serialize;

/// A system and its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// As the tables call it.
    pub name: String,
    /// Multiply-adds of a slice.
    pub multiply_adds: u64,
    /// Its runs.
    pub runs: Vec<Evaluation>,
    /// Which of the systems it is judged against, run by run.
    pub against: Vec<usize>,
}

/// An organ over the runs of a system.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OrganOverRuns {
    /// Dice, 0 to 1, over runs.
    pub dice: MeanStd,
    /// 95 % Hausdorff distance, mm, over runs in which it is finite for some patient.
    pub hausdorff_95_mm: MeanStd,
    /// Patients of all runs in which the organ was not found.
    pub misses: usize,
}

impl System {
    /// One organ; `None` where no run measures it.
    pub fn organ(&self, which: Organs, organ: Organ) -> Option<OrganOverRuns> {
        let runs: Vec<Summary> =
            self.runs.iter().map(|run| run.summary(which, organ)).filter(|s| s.dice.n > 0).collect();
        let moments = |value: fn(&Summary) -> MeanStd| MeanStd::of(runs.iter().filter_map(|s| value(s).mean));
        (!runs.is_empty()).then(|| OrganOverRuns {
            dice: moments(|s| s.dice),
            hausdorff_95_mm: moments(|s| s.hausdorff_95_mm),
            misses: runs.iter().map(|s| s.misses).sum(),
        })
    }

    /// The mean organ; `None` where no run measures any.
    pub fn mean(&self, which: Organs) -> Option<OrganOverRuns> {
        let runs: Vec<_> = self.runs.iter().map(|run| run.over_organs(which)).filter(|m| m.dice.n > 0).collect();
        (!runs.is_empty()).then(|| OrganOverRuns {
            dice: MeanStd::of(runs.iter().filter_map(|m| m.dice.mean)),
            hausdorff_95_mm: MeanStd::of(runs.iter().filter_map(|m| m.hausdorff_95_mm.mean)),
            misses: Organ::ALL.iter().filter_map(|o| self.organ(which, *o)).map(|o| o.misses).sum(),
        })
    }

    /// Volume drawn where the organ cannot be, ml for each patient.
    pub fn impossible_ml(&self) -> MeanStd {
        let runs = self.runs.iter().filter(|run| !run.cases.is_empty());
        MeanStd::of(runs.map(|run| run.impossible_ml() / run.cases.len() as f64))
    }
}

/// Systems side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What was compared, on what, in a sentence or two.
    pub subject: String,
    /// What a run is, in plural: `folds`, `seeds`.
    pub over: String,
    /// The systems.
    pub systems: Vec<System>,
    /// Organs whose mean Dice decides between systems; all that are measured where nothing is said.
    pub chosen: Option<OrganSet>,
}

/// How much more Dice a system has than one that it is judged against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Of the mean Dice of organs, over the runs.
    pub dice: MeanStd,
    /// Runs in which it is above 0.
    pub above: usize,
}

/// Title, digits, value of an organ.
type Measure = (&'static str, usize, fn(&OrganOverRuns) -> MeanStd);

impl Comparison {
    /// All files: name and content.
    ///
    /// # Errors
    /// The reason, should the JSON not be writable.
    pub fn files(&self) -> Result<[(&'static str, String); 4], serde_json::Error> {
        Ok([
            ("results.md", self.markdown()),
            ("results.json", self.json()?),
            ("organs.csv", self.organs_csv()),
            ("systems.csv", self.systems_csv()),
        ])
    }

    /// The difference of system `n` to another one, run by run.
    pub fn difference(&self, which: Organs, n: usize, other: usize) -> Option<Difference> {
        let [system, other] = [n, other].map(|n| &self.systems[n]);
        let mean = |run: &Evaluation| {
            let deciding = |o: &Organ| self.chosen.is_none_or(|chosen| chosen.contains(*o));
            let dice = Organ::ALL.into_iter().filter(deciding).filter_map(|o| run.summary(which, o).dice.mean);
            MeanStd::of(dice).mean
        };
        let pairs = system.runs.iter().zip(&other.runs);
        let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some(mean(a)? - mean(b)?)).collect();
        let above = differences.iter().filter(|d| **d > 0.0).count();
        (!differences.is_empty()).then(|| Difference { dice: MeanStd::of(differences), above })
    }

    /// The organs that some system measures, in table order.
    fn organs(&self, which: Organs) -> Vec<Organ> {
        let measured = |organ: &Organ| self.systems.iter().any(|s| s.organ(which, *organ).is_some());
        Organ::ALL.into_iter().filter(measured).collect()
    }

    /// The tables that people read.
    pub fn markdown(&self) -> String {
        let mut runs: Vec<String> = self.systems.iter().map(|s| s.runs.len().to_string()).collect();
        if runs.windows(2).all(|two| two[0] == two[1]) {
            runs.truncate(1);
        }
        let mut text =
            format!("{}\n\nMean ± standard deviation over {} {}.\n", self.subject, runs.join(", "), self.over);
        for which in [Organs::Annotated, Organs::Unannotated] {
            let organs = self.organs(which);
            if organs.is_empty() {
                continue;
            }
            let measures: [Measure; 2] =
                [("Dice, %", 1, |o| o.dice.scaled(100.0)), ("95 % Hausdorff distance, mm", 1, |o| o.hausdorff_95_mm)];
            for (title, decimals, value) in measures {
                text.push_str(&format!("\n{title}, organs {} in the patient\n\n| organ |", which.name()));
                self.systems.iter().for_each(|s| text.push_str(&format!(" {} |", s.name)));
                text.push_str(&format!("\n|{}\n", "---|".repeat(self.systems.len() + 1)));
                let mut row = |name: &str, cell: &dyn Fn(&System) -> Option<OrganOverRuns>| {
                    text.push_str(&format!("| {name} |"));
                    for system in &self.systems {
                        text.push_str(&format!(" {} |", cell(system).map_or("-".into(), |o| value(&o).text(decimals))));
                    }
                    text.push('\n');
                };
                for organ in &organs {
                    row(organ.name(), &|system| system.organ(which, *organ));
                }
                row("**mean**", &|system| system.mean(which));
            }
        }
        text.push_str(&self.differences_markdown());
        text.push_str("\n| system | drawn where the organ cannot be, ml a patient | missed organs | multiply-adds a slice |\n|---|---|---|---|\n");
        for system in &self.systems {
            text.push_str(&format!(
                "| {} | {} | {} | {:.3} G |\n",
                system.name,
                system.impossible_ml().text(2),
                system.mean(Organs::Annotated).map_or(0, |o| o.misses),
                system.multiply_adds as f64 * 1e-9
            ));
        }
        text
    }

    fn differences_markdown(&self) -> String {
        let mut rows = String::new();
        for (n, system) in self.systems.iter().enumerate() {
            for &other in &system.against {
                let cell = |which| match self.difference(which, n, other) {
                    Some(d) => format!("{} | {} of {}", d.dice.scaled(100.0).signed(1), d.above, d.dice.n),
                    None => "- | -".into(),
                };
                let cells = [Organs::Annotated, Organs::Unannotated].map(cell).join(" | ");
                rows.push_str(&format!("| {} | {} | {cells} |\n", system.name, self.systems[other].name));
            }
        }
        if rows.is_empty() {
            return rows;
        }
        let organs = match &self.chosen {
            None => "all measured organs".into(),
            Some(organs) => organs.iter().map(Organ::name).collect::<Vec<_>>().join(", "),
        };
        format!(
            "\nDifference of the mean Dice, points, paired by run, over {organs}\n\n\
             | system | against | annotated organs | above in | unannotated organs | above in |\n{}\n{rows}",
            "|---|---|---|---|---|---|"
        )
    }

    /// Everything, for programs.
    ///
    /// # Errors
    /// The reason, should it not be writable.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let organs = |system: &System, which: Organs| -> Vec<serde_json::Value> {
            self.organs(which)
                .into_iter()
                .filter_map(|organ| {
                    system.organ(which, organ).map(|over| serde_json::json!({ "organ": organ, "over_runs": over }))
                })
                .collect()
        };
        let systems: Vec<serde_json::Value> = self
            .systems
            .iter()
            .enumerate()
            .map(|(n, system)| {
                let against: Vec<serde_json::Value> = system
                    .against
                    .iter()
                    .map(|&other| {
                        serde_json::json!({
                            "name": self.systems[other].name,
                            "difference_annotated": self.difference(Organs::Annotated, n, other),
                            "difference_unannotated": self.difference(Organs::Unannotated, n, other),
                        })
                    })
                    .collect();
                serde_json::json!({
                    "name": system.name,
                    "against": against,
                    "multiply_adds": system.multiply_adds,
                    "runs": system.runs.len(),
                    "impossible_ml_a_patient": system.impossible_ml(),
                    "annotated": { "mean": system.mean(Organs::Annotated), "organs": organs(system, Organs::Annotated) },
                    "unannotated": { "mean": system.mean(Organs::Unannotated), "organs": organs(system, Organs::Unannotated) },
                })
            })
            .collect();
        serde_json::to_string_pretty(&serde_json::json!({
            "subject": self.subject,
            "runs_are": self.over,
            "differences_over": self.chosen.map(|organs| organs.iter().map(Organ::id).collect::<Vec<_>>()),
            "systems": systems,
        }))
    }

    /// One row an organ of a system.
    pub fn organs_csv(&self) -> String {
        let mut out = String::new();
        csv::push_record(
            &mut out,
            [
                "system",
                "truth",
                "organ",
                "runs",
                "dice_mean",
                "dice_std",
                "hausdorff_95_mm_mean",
                "hausdorff_95_mm_std",
                "missed",
            ],
        );
        let cell = |v: Option<f64>, decimals| csv::number(v.unwrap_or(f64::NAN), decimals);
        for system in &self.systems {
            for which in [Organs::Annotated, Organs::Unannotated] {
                let organs = self.organs(which).into_iter().map(|o| (o.id(), system.organ(which, o)));
                for (name, over) in organs.chain([("mean", system.mean(which))]) {
                    let Some(o) = over else { continue };
                    csv::push_record(
                        &mut out,
                        [
                            system.name.clone(),
                            which.name().into(),
                            name.into(),
                            o.dice.n.to_string(),
                            cell(o.dice.mean, 4),
                            cell(o.dice.std, 4),
                            cell(o.hausdorff_95_mm.mean, 3),
                            cell(o.hausdorff_95_mm.std, 3),
                            o.misses.to_string(),
                        ],
                    );
                }
            }
        }
        out
    }

    /// One row a system.
    pub fn systems_csv(&self) -> String {
        let mut out = String::new();
        csv::push_record(&mut out, ["system", "runs", "multiply_adds", "impossible_ml_mean", "impossible_ml_std"]);
        for system in &self.systems {
            let impossible = system.impossible_ml();
            csv::push_record(
                &mut out,
                [
                    system.name.clone(),
                    system.runs.len().to_string(),
                    system.multiply_adds.to_string(),
                    csv::number(impossible.mean.unwrap_or(f64::NAN), 3),
                    csv::number(impossible.std.unwrap_or(f64::NAN), 3),
                ],
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{CaseResult, Impossible, OrganMetrics, OrganResult};

    fn run(liver: &[f64], heart: Option<f64>) -> Evaluation {
        let result = |organ, dice: f64| OrganResult {
            organ,
            metrics: OrganMetrics {
                dice,
                hausdorff_95_mm: 10.0 * (1.0 - dice),
                surface_dice: dice,
                mean_surface_distance_mm: 1.0,
                added_path_mm: 1.0,
                missed: false,
                truth_ml: 1.0,
                prediction_ml: 1.0,
            },
        };
        let cases = liver.iter().map(|&dice| CaseResult {
            name: "case".into(),
            annotated: vec![result(Organ::Liver, dice)],
            unannotated: heart.map(|dice| result(Organ::Heart, dice)).into_iter().collect(),
            absent: Vec::new(),
            impossible: vec![Impossible { organ: Organ::Heart, ml: 3.0 }],
        });
        Evaluation {
            subject: String::new(),
            tolerance_mm: 3.0,
            cases: cases.collect(),
            regions: None,
            presence: Vec::new(),
            attention: None,
        }
    }

    #[test]
    fn the_spread_is_that_of_the_runs_and_not_of_the_patients() {
        let system = System {
            name: "A".into(),
            multiply_adds: 5,
            runs: vec![run(&[0.9, 0.5], Some(0.2)), run(&[0.8], None)],
            against: Vec::new(),
        };
        let liver = system.organ(Organs::Annotated, Organ::Liver).unwrap();
        assert_eq!(liver.dice.n, 2);
        assert!((liver.dice.mean.unwrap() - 0.75).abs() < 1e-12);
        assert!((liver.dice.std.unwrap() - 0.005f64.sqrt()).abs() < 1e-12, "0.7 and 0.8");
        assert_eq!(system.organ(Organs::Unannotated, Organ::Heart).unwrap().dice.n, 1);
        assert_eq!(system.organ(Organs::Annotated, Organ::Heart), None);
        assert_eq!(system.impossible_ml().mean, Some(3.0), "a patient, whatever their number");

        let plain = System { name: "B".into(), multiply_adds: 4, runs: vec![run(&[0.4], None)], against: vec![0] };
        let comparison = Comparison {
            subject: "Two systems.".into(),
            over: "seeds".into(),
            systems: vec![system, plain],
            chosen: None,
        };
        let text = comparison.markdown();
        assert!(text.contains("over 2, 1 seeds."), "{text}");
        assert!(text.contains("| Liver | 75.0 ± 7.1 | 40.0 |"), "{text}");
        assert!(text.contains("| Heart | 20.0 | - |"), "{text}");
        assert!(text.contains("| B | A | -30.0 | 0 of 1 | - | - |"), "the first runs of both: {text}");
        assert_eq!(comparison.organs_csv().lines().count(), 1 + 4 + 2);
        let json: serde_json::Value = serde_json::from_str(&comparison.json().unwrap()).unwrap();
        assert_eq!(json["systems"][0]["unannotated"]["organs"][0]["organ"], "heart");
        assert!(json["systems"][1]["unannotated"]["mean"].is_null());

        let alike = Comparison { systems: vec![comparison.systems[1].clone(); 3], ..comparison };
        assert!(alike.markdown().contains("over 1 seeds."), "once, where all have as many runs");
    }
}
