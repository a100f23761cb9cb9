//! Axial slices with outlines, names beside them.
//!
//! The names stand outside the picture and a thin line leads to each organ, as in an atlas: a legend of colours alone
//! asks a reader to tell thirty-three colours apart.

use super::super::figures::{Plane, View, data_uri};
use super::super::path::path_data;
use super::super::{ReportError, ReportInput};
use super::layout::{letters, scale_bar};
use super::text::{escape, hex, signed};
use crate::anatomy::Organ;
use crate::contour::{boxes, smooth_outlines};
use crate::parallel::map;

/// Width and height of a card's drawing, and of the margin for names on each side.
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 116.0;
/// Letters that fit on a line of a margin.
const LINE: usize = 15;
const LINE_HEIGHT: f64 = 13.0;
/// A slice is shown at least this wide, so that a neck does not look like an abdomen.
const LEAST_MM: f64 = 150.0;
/// Stored pixels across a picture.
const PIXELS: usize = 560;

/// The section of axial slices, most superior first.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn section(seg: &ReportInput, keys: &[usize]) -> Result<String, ReportError> {
    let mut out =
        String::from("<section aria-labelledby=\"axial\" class=\"axial\">\n<h2 id=\"axial\">Axial slices</h2>\n");
    out.push_str(
        "<p class=\"lead\">Each outlined organ is seen at least once. Seen from the feet: the patient&#39;s left is on the \
         right of the picture.</p>\n<p class=\"switches\"><label><input type=\"checkbox\" id=\"lines\" checked> Outlines</label> \
         <label><input type=\"checkbox\" id=\"names\" checked> Names</label></p>\n<div class=\"cards\">\n",
    );
    for card in map(keys.iter().enumerate().collect(), |(n, &k)| card(seg, n + 1, k)) {
        out.push_str(&card?);
    }
    out.push_str("</div>\n</section>\n");
    Ok(out)
}

struct Callout {
    organ: Organ,
    lines: Vec<String>,
    /// Where a line from the left margin and one from the right margin end in the organ.
    anchors: [[f64; 2]; 2],
    /// Middle of the text.
    y: f64,
}

impl Callout {
    fn height(&self) -> f64 {
        self.lines.len() as f64 * LINE_HEIGHT + 3.0
    }
}

fn card(seg: &ReportInput, number: usize, k: usize) -> Result<String, ReportError> {
    let plane = Plane::new(seg, View::Axial, k);
    let [sx, sy] = plane.spacing;
    let body = plane.body_box();
    let window = plane.window(body);
    let (pw, ph) = (WIDTH - 2.0 * MARGIN, HEIGHT);
    // The part of the plane that is shown, in mm from the plane's upper left corner.
    let (bw, bh) = ((body[2] + 1 - body[0]) as f64 * sx + 14.0, (body[3] + 1 - body[1]) as f64 * sy + 14.0);
    let shown_w = bw.max(bh * pw / ph).max(LEAST_MM);
    let scale = pw / shown_w;
    let left = (body[0] + body[2] + 1) as f64 * sx / 2.0 - shown_w / 2.0;
    let top = (body[1] + body[3] + 1) as f64 * sy / 2.0 - ph / scale / 2.0;
    let pixels = |from: f64, length: f64, step: f64, count: usize| {
        let first = (from / step).floor().clamp(0.0, count as f64 - 1.0) as usize;
        let last = ((from + length) / step).ceil().clamp(first as f64 + 1.0, count as f64) as usize - 1;
        (first, last)
    };
    let (x0, x1) = pixels(left, shown_w, sx, plane.size[0]);
    let (y0, y1) = pixels(top, ph / scale, sy, plane.size[1]);
    let png = plane.png([x0, y0, x1, y1], window, PIXELS)?;

    let place_x = |x: f64| MARGIN + (x * sx - left) * scale;
    let place_y = |y: f64| (y * sy - top) * scale;
    let mut curves = String::new();
    let mut callouts = Vec::new();
    for (label, bounds) in boxes(&plane.labels, plane.size[0]).into_iter().enumerate() {
        let (Some(bounds), Some(organ)) = (bounds, Organ::from_label(label as u8)) else { continue };
        let d = path_data(&smooth_outlines(&plane.labels, plane.size[0], label as u8, bounds));
        curves.push_str(&organ_path(organ, &d));
        let (anchors, side) = anchors(&plane, label as u8, bounds, body);
        let anchors = anchors.map(|[x, y]| [place_x(x), place_y(y)]);
        callouts.push((side, Callout { organ, lines: wrap(organ.name()), anchors, y: anchors[0][1] }));
    }
    let names: Vec<&str> = callouts.iter().map(|c| c.1.organ.name()).collect();
    let position = signed(seg.ct.geometry.slice_mm(k), 0);
    let shows =
        if names.is_empty() { "no outlined organ".to_string() } else { format!("outlines of {}", names.join(", ")) };
    let alt = format!("Axial CT slice at z {position} mm with {shows}");

    let region = seg.slices.iter().min_by_key(|s| s.slice.abs_diff(k)).and_then(|s| s.most_likely_region());
    let region = region.map(|(r, p)| format!("<span>{} {p:.2}</span>", escape(r.name()))).unwrap_or_default();
    let mut out = format!(
        "<figure class=\"card\" id=\"a{number}\">\n<figcaption><span class=\"n\">{number}</span><b>z {position} mm</b>\
         <span>slice {} of {}</span>{}<span class=\"end\">{}</span></figcaption>\n",
        k + 1,
        seg.ct.geometry.size[2],
        region,
        window.name()
    );
    out.push_str(&format!(
        "<svg class=\"ct\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n<rect class=\"air\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n",
        escape(&alt)
    ));
    out.push_str(&format!(
        "<svg x=\"{MARGIN}\" y=\"0\" width=\"{pw}\" height=\"{ph}\" viewBox=\"{MARGIN} 0 {pw} {ph}\">"
    ));
    out.push_str(&format!(
        "<image x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" preserveAspectRatio=\"none\" href=\"{}\"/>\n",
        place_x(x0 as f64),
        place_y(y0 as f64),
        (x1 + 1 - x0) as f64 * sx * scale,
        (y1 + 1 - y0) as f64 * sy * scale,
        data_uri(&png)
    ));
    out.push_str(&format!(
        "<g class=\"lines\" transform=\"translate({:.3} {:.3}) scale({:.6} {:.6})\">{curves}</g></svg>\n",
        place_x(0.0),
        place_y(0.0),
        sx * scale / 10.0,
        sy * scale / 10.0
    ));
    out.push_str(&letters(View::Axial, [MARGIN, 0.0, pw, ph]));
    out.push_str(&scale_bar(12.0, HEIGHT - 10.0, scale, MARGIN - 52.0));
    out.push_str("\n<g class=\"names\">");
    let (mut lefts, mut rights) = share_sides(callouts);
    for (side, right) in [(&mut lefts, false), (&mut rights, true)] {
        // The scale bar has the lower end of the left margin.
        spread(side, if right { HEIGHT - 4.0 } else { HEIGHT - 24.0 });
        side.iter().for_each(|c| out.push_str(&draw(c, right)));
    }
    out.push_str("</g>\n</svg>\n</figure>\n");
    Ok(out)
}

/// An organ's outline with its name.
pub fn organ_path(organ: Organ, d: &str) -> String {
    let colour = hex(organ.colour());
    format!("<path fill=\"{colour}\" stroke=\"{colour}\" d=\"{d}\"><title>{}</title></path>", escape(organ.name()))
}

/// The ends of the organ's row at its middle height, a little inside it, in pixels from the plane's corner, and whether
/// its name belongs to the right of the picture; `None` for an organ on the midline.
fn anchors(plane: &Plane, label: u8, bounds: [usize; 4], body: [usize; 4]) -> ([[f64; 2]; 2], Option<bool>) {
    let width = plane.size[0];
    let holds = |x: usize, y: usize| plane.labels[x + width * y] == label;
    let (mut count, mut sum_x, mut sum_y) = (0usize, 0usize, 0usize);
    for y in bounds[1]..=bounds[3] {
        for x in (bounds[0]..=bounds[2]).filter(|&x| holds(x, y)) {
            count += 1;
            sum_x += x;
            sum_y += y;
        }
    }
    let (cx, cy) = (sum_x as f64 / count as f64, sum_y as f64 / count as f64);
    // The row nearest the centroid that has a pixel: what is in two parts may have none at the centroid itself.
    let rows = (bounds[1]..=bounds[3]).filter(|&y| (bounds[0]..=bounds[2]).any(|x| holds(x, y)));
    let y = rows.min_by_key(|&y| (y as f64 - cy).abs() as usize).unwrap_or(bounds[1]);
    let mut xs = (bounds[0]..=bounds[2]).filter(|&x| holds(x, y));
    let first = xs.next().unwrap_or(bounds[0]);
    let last = xs.next_back().unwrap_or(first);
    let depth = ((last - first) / 4).min(3);
    let inside = |from: usize, to: usize| {
        let x = if holds(to, y) { to } else { from };
        [x as f64 + 0.5, y as f64 + 0.5]
    };
    let off = (cx - (body[0] + body[2]) as f64 / 2.0) / ((body[2] - body[0]) as f64 + 1.0);
    ([inside(first, first + depth), inside(last, last - depth)], (off.abs() > 0.04).then_some(off > 0.0))
}

/// Names for the left and the right margin; those of the midline go where there is more room.
fn share_sides(callouts: Vec<(Option<bool>, Callout)>) -> (Vec<Callout>, Vec<Callout>) {
    let (mut left, mut right, mut middle) = (Vec::new(), Vec::new(), Vec::new());
    for (side, callout) in callouts {
        match side {
            Some(false) => left.push(callout),
            Some(true) => right.push(callout),
            None => middle.push(callout),
        }
    }
    for callout in middle {
        let fewer = if left.len() < right.len() { &mut left } else { &mut right };
        fewer.push(callout);
    }
    (left, right)
}

/// Moves names apart so that none covers another, as little as that takes.
fn spread(side: &mut [Callout], bottom: f64) {
    side.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut floor = 4.0;
    for c in side.iter_mut() {
        c.y = c.y.max(floor + c.height() / 2.0);
        floor = c.y + c.height() / 2.0;
    }
    let mut ceiling = bottom;
    for c in side.iter_mut().rev() {
        c.y = c.y.min(ceiling - c.height() / 2.0);
        ceiling = c.y - c.height() / 2.0;
    }
}

fn draw(c: &Callout, right: bool) -> String {
    let (text_x, line_x) =
        if right { (WIDTH - MARGIN + 16.0, WIDTH - MARGIN + 12.0) } else { (MARGIN - 16.0, MARGIN - 12.0) };
    let colour = hex(c.organ.colour());
    let [ax, ay] = c.anchors[usize::from(right)];
    let mut out = format!(
        "<g><path class=\"leader\" d=\"M{line_x} {:.1}L{ax:.1} {ay:.1}\"/><circle cx=\"{line_x}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>\
         <circle class=\"dot\" cx=\"{ax:.1}\" cy=\"{ay:.1}\" r=\"1.6\"/>",
        c.y, c.y
    );
    out.push_str(&format!("<text class=\"{}\">", if right { "r" } else { "l" }));
    let first = c.y + 4.0 - (c.lines.len() as f64 - 1.0) * LINE_HEIGHT / 2.0;
    for (n, line) in c.lines.iter().enumerate() {
        let y = first + n as f64 * LINE_HEIGHT;
        let x = if right { text_x + 2.0 } else { text_x - 2.0 };
        out.push_str(&format!("<tspan x=\"{x}\" y=\"{y:.1}\">{}</tspan>", escape(line)));
    }
    out.push_str("</text></g>");
    out
}

/// A name in lines of at most [`LINE`] letters, where its words allow.
fn wrap(name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        match lines.last_mut().filter(|l| l.chars().count() + 1 + word.chars().count() <= LINE) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_string()),
        }
    }
    lines
}
