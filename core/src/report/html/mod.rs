//! The report that people read: one HTML file that needs no other file, no network and no script.
//!
//! It is often opened on a hospital computer far from where it was written, so everything is inside (a content security
//! policy in the page forbids any request), and it prints on A4. Names of files and warnings come from outside and are
//! escaped. The script only adds a read-out under the pointer; without it nothing is missing.

mod along_body;
mod axial;
mod chart;
mod cohort;
mod findings;
mod layout;
mod maps;
mod tables;
mod text;
mod training;

pub use cohort::{KeyPicture, cohort_report_html};
pub use training::training_report_html;

pub(super) use layout::STYLE;
pub(super) use text::{escape, hex};

use super::key_slices;
use super::{NOT_A_MEDICAL_DEVICE, ReportError, ReportInput, Statistics};
use crate::anatomy::Organ;
use findings::{notes, regions_seen, within_reach};
use text::{date, duration};

/// The report as one HTML page.
///
/// # Errors
/// [`ReportError`] when the parts do not belong together or a picture cannot be encoded.
pub fn report_html(seg: &ReportInput, statistics: &Statistics) -> Result<String, ReportError> {
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

fn header(seg: &ReportInput) -> String {
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

fn summary(seg: &ReportInput, statistics: &Statistics) -> String {
    let known = seg.trained.iter().filter(|t| t.enabled).count();
    let found = statistics.found().filter(|s| seg.is_enabled(s.organ)).count();
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
        let absent = Organ::ALL.into_iter().filter(|&o| seg.is_enabled(o) && statistics.get(o).is_none());
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

#[cfg(test)]
mod tests;
