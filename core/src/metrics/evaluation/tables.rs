//! An evaluation as CSV, JSON and Markdown.

use super::{Evaluation, OrganResult, Organs, OverOrgans};
use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::csv;
use crate::metrics::presence;
use crate::metrics::{AttentionEffect, MeanStd, OrganMetrics, Summary};
use serde::Serialize;

/// Column name, digits, value of a case, moments over cases.
type Column = (&'static str, usize, fn(&OrganMetrics) -> f64, fn(&Summary) -> MeanStd);

const COLUMNS: [Column; 5] = [
    ("dice", 4, |m| m.dice, |s| s.dice),
    ("hausdorff_95_mm", 3, |m| m.hausdorff_95_mm, |s| s.hausdorff_95_mm),
    ("surface_dice", 4, |m| m.surface_dice, |s| s.surface_dice),
    ("mean_surface_distance_mm", 3, |m| m.mean_surface_distance_mm, |s| s.mean_surface_distance_mm),
    ("added_path_mm", 1, |m| m.added_path_mm, |s| s.added_path_mm),
];

impl Evaluation {
    /// All files: name and content. Whoever writes them in this order may take the last for the sign that all are there.
    ///
    /// # Errors
    /// The reason, should the JSON not be writable.
    pub fn files(&self) -> Result<[(&'static str, String); 4], serde_json::Error> {
        Ok([
            ("evaluation.md", self.markdown()),
            ("evaluation.csv", self.organs_csv()),
            ("cases.csv", self.cases_csv()),
            ("evaluation.json", self.json()?),
        ])
    }

    /// Everything, for programs; the summaries are there as well, so that nobody has to make them again.
    ///
    /// # Errors
    /// The reason, should it not be writable.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct OrganSummary {
            organ: Organ,
            #[serde(flatten)]
            summary: Summary,
        }
        #[derive(Serialize)]
        struct File<'a> {
            #[serde(flatten)]
            evaluation: &'a Evaluation,
            summary: Vec<OrganSummary>,
            mean: OverOrgans,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            summary_unannotated: Vec<OrganSummary>,
            #[serde(skip_serializing_if = "Option::is_none")]
            mean_unannotated: Option<OverOrgans>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            summary_absent: Vec<OrganSummary>,
        }
        let named = |which| -> Vec<OrganSummary> {
            self.summaries(which).into_iter().map(|(organ, summary)| OrganSummary { organ, summary }).collect()
        };
        let summary_unannotated = named(Organs::Unannotated);
        let file = File {
            evaluation: self,
            summary: named(Organs::Annotated),
            mean: self.over_organs(Organs::Annotated),
            mean_unannotated: (!summary_unannotated.is_empty()).then(|| self.over_organs(Organs::Unannotated)),
            summary_unannotated,
            summary_absent: named(Organs::Absent),
        };
        serde_json::to_string_pretty(&file)
    }

    /// One row an organ: mean and standard deviation over the cases, and what of it is drawn in any of them where it cannot be:
    /// once for each organ, also for organs without any truth.
    pub fn organs_csv(&self) -> String {
        let mut out = String::new();
        let mut header = vec!["organ".to_string(), "truth".into(), "cases".into(), "missed".into()];
        for (name, ..) in COLUMNS {
            header.extend([format!("{name}_mean"), format!("{name}_std"), format!("{name}_n")]);
        }
        header.extend(["impossible_ml", "impossible_cases"].map(String::from));
        csv::push_record(&mut out, header);
        let mut told = [false; ORGAN_COUNT];
        for which in [Organs::Annotated, Organs::Unannotated, Organs::Absent] {
            for (organ, summary) in self.summaries(which) {
                let mut row = vec![
                    organ.id().to_string(),
                    which.name().into(),
                    summary.dice.n.to_string(),
                    summary.misses.to_string(),
                ];
                for (_, decimals, _, moments) in COLUMNS {
                    let m = moments(&summary);
                    let cell = |v: Option<f64>| csv::number(v.unwrap_or(f64::NAN), decimals);
                    row.extend([cell(m.mean), cell(m.std), m.n.to_string()]);
                }
                row.extend(if std::mem::replace(&mut told[organ.index()], true) {
                    [String::new(), String::new()]
                } else {
                    self.impossible_cells(organ)
                });
                csv::push_record(&mut out, row);
            }
        }
        for organ in Organ::ALL.into_iter().filter(|o| !told[o.index()] && self.impossible(*o).1 > 0) {
            let mut row = vec![organ.id().to_string(), "none".into(), "0".into(), "0".into()];
            row.extend(vec![String::new(); 3 * COLUMNS.len()]);
            row.extend(self.impossible_cells(organ));
            csv::push_record(&mut out, row);
        }
        out
    }

    fn impossible_cells(&self, organ: Organ) -> [String; 2] {
        let (ml, cases) = self.impossible(organ);
        [csv::number(ml, 3), cases.to_string()]
    }

    /// One row an organ of a case. An infinite distance (one side is empty) is an empty cell.
    pub fn cases_csv(&self) -> String {
        let mut out = String::new();
        let names = COLUMNS.iter().map(|c| c.0);
        csv::push_record(
            &mut out,
            ["case", "organ", "truth"].into_iter().chain(names).chain(["missed", "truth_ml", "prediction_ml"]),
        );
        for case in &self.cases {
            for which in [Organs::Annotated, Organs::Unannotated, Organs::Absent] {
                for OrganResult { organ, metrics: m } in case.organs(which) {
                    let mut row = vec![case.name.clone(), organ.id().into(), which.name().into()];
                    row.extend(COLUMNS.iter().map(|(_, decimals, value, _)| csv::number(value(m), *decimals)));
                    row.extend([m.missed.to_string(), csv::number(m.truth_ml, 3), csv::number(m.prediction_ml, 3)]);
                    csv::push_record(&mut out, row);
                }
            }
        }
        out
    }

    /// The tables that people read.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        for which in [Organs::Annotated, Organs::Unannotated] {
            let summaries = self.summaries(which);
            if summaries.is_empty() {
                continue;
            }
            if which == Organs::Unannotated {
                text.push_str("\nOrgans that the cases do not annotate, against the truth kept aside:\n");
            }
            text.push_str(&format!(
                "\n| organ | patients | Dice | HD95 mm | surface Dice at {} mm | mean distance mm | added path mm | missed |\n{}\n",
                self.tolerance_mm,
                "|---".repeat(8) + "|"
            ));
            for (organ, s) in &summaries {
                text.push_str(&format!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
                    organ.name(),
                    s.dice.n,
                    s.dice.text(3),
                    s.hausdorff_95_mm.text(1),
                    s.surface_dice.text(3),
                    s.mean_surface_distance_mm.text(2),
                    s.added_path_mm.text(0),
                    s.misses
                ));
            }
            let mean = self.over_organs(which);
            text.push_str(&format!(
                "\nMean over {} organs: Dice {}, HD95 {} mm, surface Dice {}.\n",
                mean.dice.n,
                mean.dice.mean_text(3),
                mean.hausdorff_95_mm.mean_text(1),
                mean.surface_dice.mean_text(3)
            ));
        }
        text.push_str(&self.absent_markdown());
        if self.regions.is_some() || self.cases.iter().any(|c| !c.impossible.is_empty()) {
            let organs: Vec<String> = Organ::ALL
                .into_iter()
                .map(|organ| (organ, self.impossible(organ)))
                .filter(|(_, (_, cases))| *cases > 0)
                .map(|(organ, (ml, cases))| format!("{} {ml:.1} ml in {cases}", organ.name()))
                .collect();
            text.push_str(&format!(
                "\nDrawn in parts of the body where the organ cannot be: {:.1} ml in {} of {} cases{}{}.\n",
                self.impossible_ml(),
                self.cases.iter().filter(|c| !c.impossible.is_empty()).count(),
                self.cases.len(),
                if organs.is_empty() { "" } else { ": " },
                organs.join(", ")
            ));
        }
        for part in [
            self.regions.map(|r| r.markdown()),
            Some(presence::markdown(&self.presence)),
            self.attention.as_ref().map(AttentionEffect::markdown),
            Some(self.cases_markdown()),
        ] {
            if let Some(part) = part.filter(|p| !p.is_empty()) {
                text.push_str(&format!("\n{part}"));
            }
        }
        text
    }

    /// What the prediction alone has; empty where that was not asked for, or is nothing.
    fn absent_markdown(&self) -> String {
        let summaries = self.summaries(Organs::Absent);
        if summaries.is_empty() {
            return String::new();
        }
        let ml = |organ: Organ| {
            let drawn = self.cases.iter().flat_map(|case| &case.absent).filter(|result| result.organ == organ);
            drawn.map(|result| result.metrics.prediction_ml).sum::<f64>()
        };
        let mut text = String::from(
            "\nOnly in what is judged, not in the reference: drawn wrongly, or left out there. The means leave them out.\n\n\
             | organ | patients | Dice | HD95 mm | surface Dice | ml in all |\n|---|---|---|---|---|---|\n",
        );
        for (organ, s) in summaries {
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {:.1} |\n",
                organ.name(),
                s.dice.n,
                s.dice.mean_text(3),
                s.hausdorff_95_mm.mean_text(1),
                s.surface_dice.mean_text(3),
                ml(organ)
            ));
        }
        text
    }

    /// Dice case by case.
    fn cases_markdown(&self) -> String {
        let mut text = String::from("| case | organs | mean Dice | lowest | missed |\n|---|---|---|---|---|\n");
        let mut rows = 0;
        for case in &self.cases {
            let dice = MeanStd::of(case.annotated.iter().map(|r| r.metrics.dice));
            let lowest = case.annotated.iter().min_by(|a, b| a.metrics.dice.total_cmp(&b.metrics.dice));
            let Some(lowest) = lowest else { continue };
            let missed: Vec<&str> =
                case.annotated.iter().filter(|r| r.metrics.missed).map(|r| r.organ.name()).collect();
            text.push_str(&format!(
                "| {} | {} | {} | {} {:.3} | {} |\n",
                case.name.replace('|', "\\|"),
                dice.n,
                dice.mean_text(3),
                lowest.organ.name(),
                lowest.metrics.dice,
                if missed.is_empty() { "-".into() } else { missed.join(", ") }
            ));
            rows += 1;
        }
        if rows == 0 { String::new() } else { text }
    }
}
