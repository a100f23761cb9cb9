//! Losses and scores over the steps, with an earlier training in grey.

use egui::{Color32, Ui};
use egui_plot::{Corner, Legend, Line, LineStyle, Plot, PlotPoint, PlotPoints, Text, VLine};

use super::record::{Record, label};
use crate::worker::LearnEvaluation;

const HEIGHT: f32 = 190.0;
const COLOURS: [Color32; 3] =
    [Color32::from_rgb(232, 126, 36), Color32::from_rgb(56, 142, 230), Color32::from_rgb(70, 170, 90)];

/// Draws both plots side by side.
pub fn show(ui: &mut Ui, record: &Record, earlier: Option<&Record>) {
    let (grey, text) = (ui.visuals().weak_text_color(), ui.visuals().text_color());
    ui.columns(2, |columns| {
        let [left, right] = columns else { return };
        left.strong("Loss of each batch");
        plot("learn losses", record).show(left, |plot| {
            if let Some(earlier) = earlier {
                for (n, name) in LOSSES.iter().enumerate() {
                    plot.line(earlier_line(losses(earlier, n), format!("{name}, {}", label(&earlier.settings)), grey));
                }
            }
            for (n, name) in LOSSES.iter().enumerate() {
                plot.line(Line::new(*name, losses(record, n)).color(COLOURS[n]).width(1.5));
            }
            phases(plot, record, text);
        });
        right.strong("On patients never learned from");
        let legend = legend().position(Corner::LeftTop);
        plot("learn scores", record).include_y(1.0).legend(legend).show(right, |plot| {
            if let Some(earlier) = earlier {
                for (n, (name, value)) in SCORES.iter().enumerate() {
                    let line =
                        earlier_line(scores(earlier, *value), format!("{name}, {}", label(&earlier.settings)), grey);
                    plot.line(if n == 1 { line.style(LineStyle::dashed_dense()) } else { line });
                }
            }
            for (n, (name, value)) in SCORES.iter().enumerate() {
                let line = Line::new(*name, scores(record, *value)).color(COLOURS[n]).width(2.0);
                plot.line(if n == 1 { line.style(LineStyle::dashed_dense()) } else { line });
            }
            phases(plot, record, text);
        });
        if let Some(earlier) = earlier {
            right.small(format!("Grey: {}", label(&earlier.settings)));
        }
    });
}

const LOSSES: [&str; 3] = ["Dice loss", "focal loss", "region loss"];
type Score = fn(&LearnEvaluation) -> Option<f32>;
const SCORES: [(&str, Score); 3] = [
    ("Dice, outlined", |l| l.dice_outlined),
    ("Dice, contested", |l| l.dice_contested),
    ("regions right", |l| l.region_accuracy),
];

fn plot<'a>(id: &str, record: &Record) -> Plot<'a> {
    Plot::new(id.to_string())
        .height(HEIGHT)
        .include_x(0.0)
        .include_x(record.total() as f64)
        .include_y(0.0)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .legend(legend())
        .x_axis_label("step")
}

fn legend() -> Legend {
    Legend::default().follow_insertion_order(true).background_alpha(0.5)
}

fn earlier_line(points: PlotPoints<'static>, name: String, grey: Color32) -> Line<'static> {
    // Not in the legend: its name would fill the plot; the text under it says which one is grey.
    Line::new("", points).id(name).color(grey).width(1.0)
}

fn losses(record: &Record, term: usize) -> PlotPoints<'static> {
    let value = |(n, l): (usize, &[Option<f32>; 3])| l[term].map(|v| [n as f64 + 1.0, f64::from(v)]);
    record.losses.iter().enumerate().filter_map(value).collect()
}

fn scores(record: &Record, score: Score) -> PlotPoints<'static> {
    record.evaluations.iter().filter_map(|l| score(l).map(|v| [l.step as f64, f64::from(v)])).collect()
}

fn phases(plot: &mut egui_plot::PlotUi<'_>, record: &Record, colour: Color32) {
    let mut start = 0;
    for (name, end) in &record.plan.phases {
        if start > 0 {
            plot.vline(VLine::new("", start as f64).color(colour).style(LineStyle::dotted_dense()).allow_hover(false));
        }
        let middle = (start + end) as f64 / 2.0;
        plot.text(
            Text::new("", PlotPoint::new(middle, 0.02), name.as_str())
                .color(colour)
                .anchor(egui::Align2::CENTER_BOTTOM),
        );
        start = *end;
    }
}
