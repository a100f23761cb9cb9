//! Curves over training steps, drawn as SVG.

use super::text::escape;

/// A curve.
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// CSS colour.
    pub colour: &'static str,
    /// Step and value, by rising step.
    pub points: Vec<(f64, f64)>,
}

/// Curves over one span of steps.
pub struct Chart<'a> {
    /// What a screen reader says of it.
    pub title: &'a str,
    /// First and last step.
    pub span: (f64, f64),
    /// Where phases begin, and their names.
    pub phases: &'a [(f64, String)],
    /// The curves.
    pub series: Vec<Series>,
    /// Value at the upper edge; that of the highest point where `None`.
    pub top: Option<f64>,
}

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const HEAD: f64 = 22.0;
const FOOT: f64 = 40.0;
/// More points than this cannot be told apart at this width; they are averaged.
const POINTS: usize = 400;

/// Averages runs of points so that at most [`POINTS`] are left.
pub fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(run).map(mean).collect()
}

/// The largest of 1, 2 and 5 times a power of ten of which at most `count` fit into `span`.
fn tick(span: f64, count: f64) -> f64 {
    let rough = (span / count).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|t| *t >= rough).unwrap_or(10.0 * power)
}

/// `M x y L x y...` of points scaled into a box.
pub fn path(points: &[(f64, f64)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    for (n, point) in points.iter().enumerate() {
        out.push_str(&format!("{}{:.1} {:.1}", if n == 0 { "M" } else { "L" }, x(point.0), y(point.1)));
    }
    out
}

impl Chart<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let curves: Vec<Vec<(f64, f64)>> = self.series.iter().map(|s| thin(&s.points)).collect();
        let highest = curves.iter().flatten().map(|p| p.1).fold(0.0, f64::max);
        let top = self.top.unwrap_or(highest * 1.05).max(1e-6);
        let (first, last) = (self.span.0, self.span.1.max(self.span.0 + 1.0));
        let x = |step: f64| LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - FOOT - (value / top).clamp(0.0, 1.0) * (HEIGHT - HEAD - FOOT);
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" style=\"width:100%;height:auto\">\n<g class=\"axis\">\n",
            escape(self.title)
        );
        let step = tick(top, 5.0);
        for n in 0..=(top / step + 1e-9) as usize {
            let value = n as f64 * step;
            let decimals = (-step.log10().floor()).max(0.0) as usize;
            out.push_str(&format!(
                "<path d=\"M{LEFT} {0:.1}H{1}\" stroke-opacity=\".25\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value:.decimals$}</text>\n",
                y(value),
                WIDTH - RIGHT,
                LEFT - 6.0,
                y(value) + 4.0
            ));
        }
        let step = tick(last - first, 10.0).max(1.0);
        for n in (first / step).ceil() as u64..=(last / step) as u64 {
            let value = n as f64 * step;
            out.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value:.0}</text>\n",
                x(value),
                HEIGHT - FOOT + 16.0
            ));
        }
        for (start, name) in self.phases {
            out.push_str(&format!(
                "<path d=\"M{0:.1} {HEAD}V{1}\" stroke-dasharray=\"3 3\"/><text x=\"{2:.1}\" y=\"{3}\">{4}</text>\n",
                x(*start),
                HEIGHT - FOOT,
                x(*start) + 4.0,
                HEAD - 8.0,
                escape(name)
            ));
        }
        out.push_str("</g>\n");
        for (series, curve) in self.series.iter().zip(&curves) {
            let d = path(curve, x, y);
            out.push_str(&format!(
                "<path d=\"{d}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>\n",
                series.colour
            ));
        }
        let mut at = LEFT;
        for series in &self.series {
            out.push_str(&format!(
                "<path d=\"M{at:.0} {0}h18\" stroke=\"{1}\" stroke-width=\"3\"/><text x=\"{2:.0}\" y=\"{3}\">{4}</text>\n",
                HEIGHT - 10.0,
                series.colour,
                at + 24.0,
                HEIGHT - 6.0,
                escape(&series.name)
            ));
            at += 44.0 + 7.0 * series.name.len() as f64;
        }
        out.push_str("</svg>\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!((tick(1.0, 5.0), tick(2300.0, 10.0), tick(7.0, 10.0)), (0.2, 500.0, 1.0));
    }

    #[test]
    fn thinning_keeps_the_mean_and_the_number_small() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|n| (f64::from(n), f64::from(n % 2))).collect();
        let thin = thin(&points);
        assert!(thin.len() <= POINTS && thin.iter().all(|p| (p.1 - 0.5).abs() < 0.01), "{}", thin.len());
        assert_eq!(super::thin(&points[..3]), points[..3]);
    }
}
