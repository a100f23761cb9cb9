//! How pages look, and where things stand in them: what the pictures, the ribbon and the map of a report share.

use super::super::figures::View;

/// How pages look.
pub const STYLE: &str = include_str!("report.css");

/// The beginning of a page of tables and curves, up to its content: `title` is HTML; `images` are allowed as data only.
pub fn head(title: &str, images: bool, style: &str) -> String {
    let images = if images { "; img-src data:" } else { "" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'{images}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n\
         <header class=\"top\">\n<p class=\"brand\">AttentionAnatomy</p>\n<h1>{title}</h1>\n</header>\n<main>\n"
    )
}

/// Width of the band of most likely regions, px.
pub const BAND: f64 = 100.0;
/// Width of the probabilities beside it, px.
pub const RIBBON: f64 = 60.0;

/// Heights on the page of positions along the body.
pub struct Heights {
    /// Upper edge of the columns: the room for their names and the legend above them.
    pub head: f64,
    /// Slices of the scan.
    pub slices: usize,
    /// Pixels per slice.
    pub step: f64,
}

impl Heights {
    /// Upper edge of slice `k`; `top(k - 1)` is its lower edge.
    pub fn top(&self, k: f64) -> f64 {
        self.head + (self.slices as f64 - 1.0 - k) * self.step
    }
    /// The middle of slice `k`.
    pub fn middle(&self, k: f64) -> f64 {
        self.top(k) + self.step / 2.0
    }
    /// All slices together.
    pub fn all(&self) -> f64 {
        self.slices as f64 * self.step
    }
}

/// The four direction letters around a picture at `x`, `y` of `width` x `height`.
pub fn letters(view: View, [x, y, width, height]: [f64; 4]) -> String {
    let [left, right, up, down] = view.letters();
    let (cx, cy) = (x + width / 2.0, y + height / 2.0 + 5.0);
    format!(
        "<g class=\"dir\"><text x=\"{:.1}\" y=\"{cy:.1}\">{left}</text><text x=\"{:.1}\" y=\"{cy:.1}\">{right}</text>\
         <text x=\"{cx:.1}\" y=\"{:.1}\">{up}</text><text x=\"{cx:.1}\" y=\"{:.1}\">{down}</text></g>",
        x + 9.0,
        x + width - 9.0,
        y + 15.0,
        y + height - 6.0
    )
}

/// A scale bar in whole centimetres with its lower left end at (`x`, `y`); `scale` is pixels per millimetre.
pub fn scale_bar(x: f64, y: f64, scale: f64, room: f64) -> String {
    let cm = [10, 5, 2, 1].into_iter().find(|&cm| f64::from(cm) * 10.0 * scale <= room).unwrap_or(1);
    let length = f64::from(cm) * 10.0 * scale;
    let mut ticks = String::new();
    for n in 0..=cm {
        let at = x + length * f64::from(n) / f64::from(cm);
        let tall = if n == 0 || n == cm { 5.0 } else { 3.0 };
        ticks.push_str(&format!("M{at:.1} {y:.1}v-{tall}"));
    }
    format!(
        "<g class=\"bar\"><path d=\"M{x:.1} {y:.1}h{length:.1}{ticks}\"/><text x=\"{:.1}\" y=\"{:.1}\">{cm} cm</text></g>",
        x + length + 5.0,
        y + 1.0
    )
}
