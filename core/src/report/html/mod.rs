//! The report that people read: one HTML file that needs no other file, no network and no script.
//!
//! It is often opened on a hospital computer far from where it was written, so everything is inside (a content security
//! policy in the page forbids any request), and it prints on A4. Names of files and warnings come from outside and are
//! escaped. The script only adds a read-out under the pointer; without it nothing is missing.

mod along_body;
mod axial;
mod chart;
mod layout;
mod maps;
mod tables;
mod training;

pub use training::training_report_html;

use super::figures::View;
use super::key_slices;
use super::{CutByScan, NOT_A_MEDICAL_DEVICE, OrganStatistics, ReportError, Segmentation, Statistics};
use crate::anatomy::{Organ, Region};

/// How pages look.
pub(super) const STYLE: &str = include_str!("report.css");
/// An outline below this Dice on validation patients is pointed out.
const WEAK_DICE: f64 = 0.7;

/// The report as one HTML page.
///
/// # Errors
/// [`ReportError`] when the parts do not belong together or a picture cannot be encoded.
pub fn report_html(seg: &Segmentation, statistics: &Statistics) -> Result<String, ReportError> {
    seg.check()?;
    let [_, _, slices] = seg.ct.geometry.size;
    let keys = key_slices(statistics, slices, seg.ct.geometry.spacing()[2]);
    let title = match seg.run.inputs.first() {
        Some(name) => format!("Organs at risk - {}", escape(name)),
        None => "Organs at risk".to_string(),
    };
    let mut page = String::with_capacity(1 << 20);
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n",
    );
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str(&format!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"));
    page.push_str(&header(seg));
    page.push_str("<main>\n");
    page.push_str(&summary(seg, statistics));
    page.push_str(&axial::section(seg, &keys)?);
    page.push_str(&along_body::section(seg, statistics, &keys)?);
    page.push_str(&tables::organs(seg, statistics));
    page.push_str(&tables::unknown_organs(seg));
    page.push_str(&tables::run_details(seg));
    page.push_str("</main>\n");
    page.push_str(&format!("<script>\n{}</script>\n</body>\n</html>\n", include_str!("report.js")));
    Ok(page)
}

fn header(seg: &Segmentation) -> String {
    let run = seg.run;
    let files = match run.inputs.as_slice() {
        [] => "not named".to_string(),
        [one] => escape(one),
        [first, rest @ ..] => format!("{} and {} more", escape(first), rest.len()),
    };
    let mut out = String::from("<header class=\"top\">\n<p class=\"brand\">AttentionAnatomy</p>\n");
    out.push_str("<h1>Organs at risk, outlined automatically</h1>\n<dl>\n");
    for (term, text) in [
        ("Scan", files),
        ("Outlined", date(&run.started)),
        ("Weights", escape(&run.weights_name)),
        ("Computed on", escape(&run.device)),
    ] {
        if !text.is_empty() {
            out.push_str(&format!("<div><dt>{term}</dt><dd>{text}</dd></div>\n"));
        }
    }
    out.push_str(&format!("</dl>\n<p class=\"device\">{NOT_A_MEDICAL_DEVICE}</p>\n</header>\n"));
    out
}

fn summary(seg: &Segmentation, statistics: &Statistics) -> String {
    let known = seg.trained.iter().filter(|t| t.enabled).count();
    let found = statistics.found().filter(|s| seg.is_drawn(s.organ)).count();
    let [nx, ny, nz] = seg.ct.geometry.size;
    let [sx, sy, sz] = seg.ct.geometry.spacing();
    let total: f64 = seg.run.seconds.iter().map(|s| s.1).sum();
    let mut out =
        String::from("<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<ul class=\"facts\">\n");
    let mut fact = |big: String, small: String| {
        out.push_str(&format!("<li><b>{big}</b><span>{small}</span></li>\n"));
    };
    fact(format!("{found} of {known}"), "organs found, of those looked for".into());
    fact(
        format!("{nz} slices, {:.0} mm", nz as f64 * sz),
        format!("{nx} &times; {ny} pixels, {sx:.2} &times; {sy:.2} &times; {sz:.2} mm"),
    );
    let regions = regions_seen(seg);
    if let [first, .., last] = regions.as_slice() {
        fact(
            format!("{} to {}", first.name(), last.name().to_lowercase()),
            "parts of the body, as the network sees them".into(),
        );
    } else if let [one] = regions.as_slice() {
        fact(one.name().into(), "part of the body, as the network sees it".into());
    }
    if total > 0.0 {
        fact(duration(total), "for the whole run".into());
    }
    out.push_str("</ul>\n");
    let notes = notes(seg, statistics);
    if notes.is_empty() {
        out.push_str("<p class=\"calm\">Nothing unusual was noticed in this scan.</p>\n");
    } else {
        out.push_str("<div class=\"notes\" role=\"note\">\n<h3>Look at these first</h3>\n<ul>\n");
        for note in notes {
            out.push_str(&format!("<li>{}</li>\n", escape(&note)));
        }
        out.push_str("</ul>\n</div>\n");
    }
    let absent = |expected: bool| -> Vec<&str> {
        let absent = Organ::ALL.into_iter().filter(|&o| seg.is_drawn(o) && statistics.get(o).is_none());
        absent.filter(|&o| within_reach(&regions, o) == expected).map(Organ::name).collect()
    };
    for (names, text) in [
        (
            absent(true),
            if regions.is_empty() {
                "Looked for and not found"
            } else {
                "Not found, though the scan reaches their part of the body"
            },
        ),
        (absent(false), "Not found, their part of the body was not scanned"),
    ] {
        if !names.is_empty() {
            out.push_str(&format!("<p class=\"missing\"><b>{text}:</b> {}.</p>\n", escape(&names.join(", "))));
        }
    }
    out.push_str("</section>\n");
    out
}

/// Everything a reader should check first: what the run and the reader said, and what the results say themselves.
fn notes(seg: &Segmentation, statistics: &Statistics) -> Vec<String> {
    let mut notes: Vec<String> = seg.warnings().iter().map(|w| sentence(w)).collect();
    let list = |keep: &dyn Fn(&OrganStatistics) -> Option<String>| -> String {
        statistics.found().filter_map(keep).collect::<Vec<_>>().join(", ")
    };
    let weak = list(&|s| {
        let dice = seg.trained(s.organ)?.validation_dice?;
        (dice < WEAK_DICE).then(|| format!("{} ({dice:.2})", s.organ.name()))
    });
    if !weak.is_empty() {
        notes.push(format!("Outlines that were weak on validation patients (mean Dice below {WEAK_DICE:.2}): {weak}."));
    }
    let unmeasured = list(&|s| {
        let t = seg.trained(s.organ)?;
        t.validation_dice.is_none().then(|| s.organ.name().to_string())
    });
    if !unmeasured.is_empty() {
        notes.push(format!("Outlines whose quality was never measured on patients: {unmeasured}."));
    }
    let cut = list(&|s| (s.cut != CutByScan::No).then(|| format!("{} ({})", s.organ.name(), cut_text(s.cut))));
    if !cut.is_empty() {
        notes.push(format!("Reaches the end of the scan, so the volume may be incomplete: {cut}."));
    }
    let foreign = list(&|s| (!seg.is_drawn(s.organ)).then(|| s.organ.name().to_string()));
    if !foreign.is_empty() {
        notes.push(format!("In the label map, but not outlined by these weights: {foreign}."));
    }
    notes
}

/// The regions that surely cover at least 30 mm of the scan, or half of a short one, from the head down.
fn regions_seen(seg: &Segmentation) -> Vec<Region> {
    let slices = seg.ordered_slices();
    let (Some(first), Some(last)) = (slices.first(), slices.last()) else { return Vec::new() };
    let each = (last.position_mm - first.position_mm).abs() / slices.len() as f64;
    let covers = |r: &Region| {
        let count = slices.iter().filter(|s| s.most_likely_region().is_some_and(|(m, p)| m == *r && p >= 0.5)).count();
        count > 0 && (count as f64 * each >= 30.0 || 2 * count >= slices.len())
    };
    Region::ALL.into_iter().filter(covers).collect()
}

/// Whether an organ can lie in one of these regions; true where no region is known.
fn within_reach(regions: &[Region], organ: Organ) -> bool {
    regions.is_empty() || regions.iter().any(|&r| organ.can_occur_in(r))
}

/// Where the scan ends inside an organ, in words.
fn cut_text(cut: CutByScan) -> &'static str {
    match cut {
        CutByScan::No => "no",
        CutByScan::Inferior => "lower end",
        CutByScan::Superior => "upper end",
        CutByScan::Both => "both ends",
    }
}

/// Text that stands for itself in HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Controls and overrides of the writing direction can make a name look like another.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// A warning as a sentence: capital first letter, full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

/// A signed number with a true minus sign.
fn signed(value: f64, decimals: usize) -> String {
    crate::csv::number(value, decimals).replace('-', "\u{2212}")
}

/// Millilitres with three significant digits or so.
fn millilitres(ml: f64) -> String {
    match ml {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
    }
}

/// An RFC 3339 time as people write it; anything else as it is.
fn date(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let readable = match (text.get(..10), text.get(10..11), text.get(11..16)) {
        (Some(day), Some("T" | "t" | " "), Some(time)) => {
            let zone = text[16..].trim_start_matches(|c: char| c == ':' || c == '.' || c.is_ascii_digit());
            let zone = if zone.eq_ignore_ascii_case("z") { "UTC" } else { zone };
            format!("{day} {time} {zone}")
        }
        _ => text.to_string(),
    };
    format!("<time datetime=\"{}\">{}</time>", escape(text), escape(readable.trim()))
}

/// A colour as `#rrggbb`.
pub(super) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The four direction letters around a picture at `x`, `y` of `width` x `height`.
fn letters(view: View, [x, y, width, height]: [f64; 4]) -> String {
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
fn scale_bar(x: f64, y: f64, scale: f64, room: f64) -> String {
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

#[cfg(test)]
mod tests;
