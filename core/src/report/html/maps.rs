//! The region ribbon and the map of attention: what the network believed, slice by slice.

use super::super::figures::{data_uri, encode, shade, viridis};
use super::super::{ReportError, ReportInput, Statistics};
use super::layout::{BAND, Heights, RIBBON};
use super::text::{escape, hex};
use crate::anatomy::{ORGAN_COUNT, Organ, Region};
use crate::infer::SliceAnatomy;

/// The network's slice for each slice of the scan: the nearest one, so that a scan of which every k-th slice was run
/// has no gaps. `None` farther away than slices that were run lie apart: nothing was run there.
pub fn nearest<'a>(slices: &[&'a SliceAnatomy], count: usize) -> Vec<Option<&'a SliceAnatomy>> {
    let apart = slices.windows(2).map(|two| two[0].slice.abs_diff(two[1].slice)).min().unwrap_or(1);
    let mut at = 0;
    (0..count)
        .map(|k| {
            while at + 1 < slices.len() && slices[at + 1].slice.abs_diff(k) <= slices[at].slice.abs_diff(k) {
                at += 1;
            }
            slices.get(at).copied().filter(|slice| slice.slice.abs_diff(k) <= apart)
        })
        .collect()
}

/// The most likely region of each slice, `rows` from [`nearest`], as a band with names, and the probabilities of all five beside it.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn ribbon(rows: &[Option<&SliceAnatomy>], x: f64, heights: &Heights) -> Result<String, ReportError> {
    const COLUMNS: usize = 60;
    let mut palette: Vec<[u8; 3]> = Region::ALL.iter().map(|r| r.colour()).collect();
    palette.push([128, 128, 128]);
    let none = Region::ALL.len() as u8;
    let (mut band, mut stack) = (Vec::new(), Vec::new());
    let mut winners = Vec::new();
    for row in rows.iter().rev() {
        let winner = row.and_then(|s| s.most_likely_region()).map(|(r, _)| r);
        winners.push(winner);
        band.push(winner.map_or(none, |r| r.index() as u8));
        match row {
            Some(row) => stack.extend(row.region_cells(COLUMNS).map(|r| r.map_or(none, |r| r.index() as u8))),
            None => stack.resize(stack.len() + COLUMNS, none),
        }
    }
    let h = heights.all();
    let image = |png: &[u8], x: f64, w: f64| {
        format!(
            "<image class=\"px\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{w}\" height=\"{h:.2}\" preserveAspectRatio=\"none\" href=\"{}\"/>\n",
            heights.head,
            data_uri(png)
        )
    };
    let mut out = image(&encode(1, rows.len(), &band, Some(&palette))?, x, BAND);
    out.push_str(&image(&encode(COLUMNS, rows.len(), &stack, Some(&palette))?, x + BAND + 4.0, RIBBON));
    out.push_str(&not_run(rows, x, BAND, heights));
    out.push_str(&not_run(rows, x + BAND + 4.0, RIBBON, heights));
    // Names in the middle of each run that is tall enough for one.
    let mut start = 0;
    for n in 1..=winners.len() {
        if n < winners.len() && winners[n] == winners[start] {
            continue;
        }
        let tall = (n - start) as f64 * heights.step;
        if let Some(region) = winners[start].filter(|_| tall >= 15.0) {
            let [r, g, b] = region.colour().map(f64::from);
            let ink = if 0.299 * r + 0.587 * g + 0.114 * b > 125.0 { "dark" } else { "light" };
            out.push_str(&format!(
                "<text class=\"region {ink}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                x + BAND / 2.0,
                heights.head + (start + n) as f64 / 2.0 * heights.step + 4.0,
                escape(region.name())
            ));
        }
        start = n;
    }
    Ok(out)
}

/// Covers the stretches of a column where nothing was run.
fn not_run(rows: &[Option<&SliceAnatomy>], x: f64, width: f64, heights: &Heights) -> String {
    let mut out = String::new();
    let mut start = 0;
    for stretch in rows.chunk_by(|a, b| a.is_some() == b.is_some()) {
        let end = start + stretch.len();
        if stretch[0].is_none() {
            let (top, bottom) = (heights.top(end as f64 - 1.0), heights.top(start as f64 - 1.0));
            let height = bottom - top;
            out.push_str(&format!(
                "<rect class=\"h0\" x=\"{x:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>\n"
            ));
        }
        start = end;
    }
    out
}

/// The attention of every organ on every slice, `rows` from [`nearest`]. Organs that the weights do not know are hatched: their values mean
/// nothing.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn heat_map(
    seg: &ReportInput,
    statistics: &Statistics,
    rows: &[Option<&SliceAnatomy>],
    x: f64,
    column: f64,
    heights: &Heights,
) -> Result<String, ReportError> {
    let mut pixels = Vec::with_capacity(rows.len() * ORGAN_COUNT);
    for row in rows.iter().rev() {
        let values = row.and_then(|s| s.attention).unwrap_or([0.0; ORGAN_COUNT]);
        pixels.extend(values.map(shade));
    }
    let (w, h) = (column * ORGAN_COUNT as f64, heights.all());
    let mut out = format!(
        "<image class=\"px\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{w:.2}\" height=\"{h:.2}\" preserveAspectRatio=\"none\" href=\"{}\"/>\n",
        heights.head,
        data_uri(&encode(ORGAN_COUNT, rows.len(), &pixels, Some(&viridis()))?)
    );
    out.push_str(&not_run(rows, x, w, heights));
    for organ in Organ::ALL {
        let left = x + column * organ.index() as f64;
        let known = seg.trained(organ).is_some();
        if !known {
            out.push_str(&format!(
                "<rect x=\"{left:.2}\" y=\"{:.2}\" width=\"{column:.2}\" height=\"{h:.2}\" fill=\"url(#hatch)\"/>",
                heights.head
            ));
        }
        out.push_str(&format!(
            "<text class=\"{}\" transform=\"translate({:.1} {:.1}) rotate(-90)\">{}</text>",
            if known { "col" } else { "col off" },
            left + column / 2.0 + 4.0,
            heights.head - 6.0,
            escape(organ.name())
        ));
        if let Some(s) = statistics.get(organ) {
            let (top, bottom) = (heights.top(s.last_slice as f64), heights.top(s.first_slice as f64 - 1.0));
            let frame = format!(
                "x=\"{:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{:.2}\"",
                left + 2.0,
                column - 4.0,
                (bottom - top).max(1.0)
            );
            out.push_str(&format!("<rect class=\"frame under\" {frame}/><rect class=\"frame\" {frame}/>"));
        }
        if organ.index() > 0 {
            out.push_str(&format!("<path class=\"between\" d=\"M{left:.2} {:.2}v{h:.2}\"/>", heights.head));
        }
        out.push('\n');
    }
    Ok(out)
}

/// The regions' colours, above the ribbon.
pub fn region_legend(x: f64, head: f64) -> String {
    let mut out = String::new();
    for (n, region) in Region::ALL.into_iter().enumerate() {
        let y = head - 106.0 + 16.0 * n as f64;
        out.push_str(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{}\"/><text class=\"key\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            hex(region.colour()),
            x + 17.0,
            y + 9.5,
            escape(region.name())
        ));
    }
    out.push('\n');
    out
}

/// How to read the map of attention, above the coronal picture, and the pattern that the map uses.
pub fn attention_legend(seg: &ReportInput, x: f64, head: f64) -> String {
    let map = viridis();
    let mut out = String::from(
        "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect class=\"h0\" width=\"6\" height=\"6\"/><rect class=\"h1\" width=\"1.5\" height=\"6\"/></pattern>\
         <linearGradient id=\"viridis\">",
    );
    for n in 0..=9 {
        out.push_str(&format!("<stop offset=\"{:.4}\" stop-color=\"{}\"/>", n as f64 / 9.0, hex(map[n * 255 / 9])));
    }
    out.push_str("</linearGradient></defs>\n");
    let mut row = |n: usize, shape: String, words: &str, from: f64| {
        let y = head - 106.0 + 19.0 * n as f64;
        out.push_str(&format!(
            "<g transform=\"translate({x:.1} {y:.1})\">{shape}<text class=\"key\" x=\"{from}\" y=\"10\">{words}</text></g>\n"
        ));
    };
    row(
        0,
        "<text class=\"key\" y=\"10\">0</text><rect x=\"13\" width=\"110\" height=\"12\" rx=\"2\" fill=\"url(#viridis)\"/>".into(),
        "1&#160; attention",
        129.0,
    );
    row(
        1,
        "<rect x=\"13\" width=\"12\" height=\"12\" fill=\"#26828e\"/><rect class=\"frame under\" x=\"15\" y=\"2\" width=\"8\" height=\"8\"/>\
         <rect class=\"frame\" x=\"15\" y=\"2\" width=\"8\" height=\"8\"/>"
            .into(),
        "organ outlined on these slices",
        31.0,
    );
    if Organ::ALL.into_iter().any(|o| seg.trained(o).is_none()) {
        row(2, "<rect x=\"13\" width=\"12\" height=\"12\" fill=\"url(#hatch)\"/>".into(), "not in these weights", 31.0);
    }
    out
}
