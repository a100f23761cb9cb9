//! How a training went, or goes: curves of the losses and of the validation, in one file like the report of a scan.

use super::chart::{Chart, Series, path, thin};
use super::layout::head;
use super::text::{duration, escape, hex};
use crate::anatomy::Organ;
use crate::train::log::{LogLine, Validation};
use crate::train::{StepReport, TrainingConfig};

/// Colours that readers with any kind of colour vision tell apart (Okabe and Ito).
const BLUE: &str = "#0072b2";
const VERMILION: &str = "#d55e00";
const GREEN: &str = "#009e73";
const PURPLE: &str = "#cc79a7";
const ORANGE: &str = "#e69f00";
const SKY: &str = "#56b4e9";

/// The page of a training, finished or not.
pub fn training_report_html(config: &TrainingConfig, log: &[LogLine]) -> String {
    let steps: Vec<&StepReport> =
        log.iter().filter_map(|l| if let LogLine::Step(s) = l { Some(s) } else { None }).collect();
    let validations: Vec<&Validation> =
        log.iter().filter_map(|l| if let LogLine::Validation(v) = l { Some(v) } else { None }).collect();
    let done = log.iter().map(LogLine::step).max().unwrap_or(0);
    let mut page = head(&format!("Training of {}", escape(&config.name)), false, "");
    page.push_str(&facts(config, done, &validations));
    let mut phases: Vec<(f64, String)> = Vec::new();
    for step in &steps {
        if phases.last().is_none_or(|(_, name)| *name != step.phase) {
            phases.push((step.step as f64 - 1.0, step.phase.clone()));
        }
    }
    let chart = |title: &str, series: Vec<Series>, top: Option<f64>| {
        let series = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        Chart { title, span: (0.0, done as f64), phases: &phases, series, top }.svg()
    };
    let losses = |name: &str, colour, value: fn(&StepReport) -> Option<f32>| Series {
        name: name.into(),
        colour,
        points: steps.iter().filter_map(|s| Some((s.step as f64, f64::from(value(s)?)))).collect(),
    };
    page.push_str("<section aria-labelledby=\"loss\">\n<h2 id=\"loss\">Loss of the training batches</h2>\n");
    page.push_str(&chart(
        "Losses over training steps",
        vec![
            losses("weighted sum", BLUE, |s| Some(s.total)),
            losses("batch Dice", VERMILION, |s| s.dice),
            losses("focal", GREEN, |s| s.focal),
            losses("cross entropy", ORANGE, |s| s.cross_entropy),
            losses("region", PURPLE, |s| s.region),
            losses("presence", SKY, |s| s.presence),
        ],
        None,
    ));
    page.push_str("</section>\n");
    if !validations.is_empty() {
        let found = |name: &str, colour, value: fn(&Validation) -> Option<f64>| Series {
            name: name.into(),
            colour,
            points: validations.iter().filter_map(|v| Some((v.step as f64, value(v)?))).collect(),
        };
        page.push_str("<section aria-labelledby=\"dice\">\n<h2 id=\"dice\">Held-out slices</h2>\n");
        page.push_str(&chart(
            "Mean Dice and region accuracy over training steps",
            vec![
                found("mean Dice", BLUE, |v| v.report.mean_dice),
                found("region accuracy", PURPLE, |v| v.report.region_accuracy),
            ],
            Some(1.0),
        ));
        page.push_str("</section>\n");
        page.push_str(&organs(&validations, done as f64));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn facts(config: &TrainingConfig, done: u64, validations: &[&Validation]) -> String {
    let mut out = String::from("<section>\n<ul class=\"facts\">\n");
    let mut fact = |big: String, small: String| out.push_str(&format!("<li><b>{big}</b><span>{small}</span></li>\n"));
    fact(format!("{done} of {}", config.total_steps()), format!("steps of {} slices", config.batch));
    let best =
        validations.iter().filter_map(|v| Some((v.report.mean_dice?, v.step))).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((dice, step)) = best {
        fact(format!("{dice:.3}"), format!("best mean Dice of held-out slices, at step {step}"));
    }
    if let Some(last) = validations.last() {
        if let Some(accuracy) = last.report.region_accuracy {
            fact(format!("{:.1} %", 100.0 * accuracy), "of held-out slices in the right region".into());
        }
        fact(duration(last.seconds), "until the last validation, since the start or the last resumption".into());
    }
    out.push_str("</ul>\n</section>\n");
    out
}

/// One row an organ: how its Dice went, where it is, where it was best.
fn organs(validations: &[&Validation], last_step: f64) -> String {
    const WIDTH: f64 = 260.0;
    const HEIGHT: f64 = 26.0;
    let mut out = String::from(
        "<section aria-labelledby=\"organs\">\n<h2 id=\"organs\">Organs</h2>\n<div class=\"wide\"><table class=\"organs\">\n<thead><tr>\
         <th scope=\"col\">Organ</th><th scope=\"col\">Dice, 0 to 1</th><th scope=\"col\" class=\"n\">Last</th>\
         <th scope=\"col\" class=\"n\">Best</th><th scope=\"col\" class=\"n\">At step</th></tr></thead>\n<tbody>\n",
    );
    for organ in Organ::ALL {
        let value = |v: &Validation| v.report.dice.iter().find(|d| d.0 == organ.id()).and_then(|d| d.1);
        let points: Vec<(f64, f64)> = validations.iter().filter_map(|v| Some((v.step as f64, value(v)?))).collect();
        let (Some(last), Some(best)) = (points.last(), points.iter().max_by(|a, b| a.1.total_cmp(&b.1))) else {
            continue;
        };
        let d = path(
            &thin(&points),
            |step| 1.0 + step / last_step.max(1.0) * (WIDTH - 2.0),
            |dice| HEIGHT - 1.0 - dice * (HEIGHT - 2.0),
        );
        out.push_str(&format!(
            "<tr><th scope=\"row\"><i style=\"background:{0}\"></i>{1}</th><td><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" aria-hidden=\"true\"><path d=\"M0 {2}H{WIDTH}\" stroke=\"currentColor\" stroke-opacity=\".25\"/>\
             <path d=\"{d}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"1.6\"/></svg></td><td class=\"n\">{3:.3}</td>\
             <td class=\"n\">{4:.3}</td><td class=\"n\">{5:.0}</td></tr>\n",
            hex(organ.colour()),
            escape(organ.name()),
            HEIGHT - 0.5,
            last.1,
            best.1,
            best.0
        ));
    }
    out.push_str(
        "</tbody>\n</table></div>\n<p class=\"fine\">Dice of held-out slices on the model grid, as measured while training. It tells which \
         checkpoint is best; the Dice of whole scans is what <code>evaluate</code> measures.</p>\n</section>\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ValidationReport;

    #[test]
    fn the_page_shows_every_curve_and_asks_for_no_other_file() {
        let text = include_str!("../../../../configs/light.toml").replace("\"light\"\nseed", "\"<light>\"\nseed");
        let config = TrainingConfig::parse(&text).unwrap();
        let mut log = Vec::new();
        for step in 1..=1000u64 {
            let phase = if step <= 200 { "region" } else { "joint" };
            let segments = step > 200;
            log.push(LogLine::Step(StepReport {
                step,
                phase: phase.into(),
                learning_rate: 1e-3,
                dice: segments.then_some(0.5),
                focal: None,
                region: Some(0.2),
                cross_entropy: None,
                presence: None,
                total: 0.7,
            }));
        }
        for step in [500, 1000] {
            let report = ValidationReport {
                slices: 10,
                dice: vec![("liver".into(), Some(step as f64 / 1250.0)), ("heart".into(), None)],
                mean_dice: Some(step as f64 / 1250.0),
                region_accuracy: Some(0.9),
            };
            log.push(LogLine::Validation(Validation { step, seconds: 60.0, report }));
        }
        let page = training_report_html(&config, &log);
        for text in
            ["weighted sum", "batch Dice", "region accuracy", ">joint<", "1000 of ", "0.800", "Liver", "&lt;light&gt;"]
        {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains(">focal<") && !page.contains("Heart"), "what was not measured is not drawn");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), 2 + 1);
        assert!(page.len() < 60_000, "{} bytes", page.len());
        assert!(training_report_html(&config, &[]).contains("0 of "));
    }
}
