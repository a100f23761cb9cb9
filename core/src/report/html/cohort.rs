//! A cohort on one page: what to look at first, how each organ is distributed, and every scan.
//!
//! Ten thousand scans are ten thousand rows: one line of text each, laid out by the browser only where they are on screen
//! (`content-visibility`), and pictures only for those that lie apart.

use super::super::figures::data_uri;
use super::layout::head;
use super::text::{duration, escape, hex, millilitres};
use crate::anatomy::Organ;
use crate::cohort::{Collected, Distribution, Oddity, ScanRows};

/// How the rows look.
const ROWS: &str = ".scans .part{content-visibility:auto;contain-intrinsic-size:auto 2600px}\
.scans .row{display:grid;grid-template-columns:minmax(140px,1fr) 80px 3fr;gap:12px;padding:4px 0;border-bottom:1px solid var(--line);font-size:14px}\
.scans .row span:nth-child(2){text-align:right}\
.card img{display:block;width:100%;max-height:360px;object-fit:contain;background:#000;border-radius:6px}\
.spread{display:block;height:26px;width:340px}\
.spread .range{stroke:var(--soft)}.spread .box{fill:var(--hatch1)}.spread .mid{stroke:var(--ink);stroke-width:2px}.spread .far{fill:#d55e00}";

/// Rows that are laid out together.
const PART: usize = 100;

/// A picture of a scan's key slice.
#[derive(Clone, Debug)]
pub struct KeyPicture {
    /// Place of the scan in [`Collected::scans`].
    pub scan: usize,
    /// PNG.
    pub png: Vec<u8>,
    /// Number of the slice, canonical.
    pub slice: usize,
}

/// The page of a cohort. `link` is the address of a scan's own report, relative to the page; `missing` are scans of the list of which
/// nothing is known.
pub fn cohort_report_html(
    title: &str,
    cohort: &Collected,
    missing: &[String],
    pictures: &[KeyPicture],
    link: impl Fn(&ScanRows) -> String,
) -> String {
    let mut page = head(&escape(title), true, ROWS);
    let order = cohort.by_oddity();
    let odd: Vec<usize> = order.iter().copied().filter(|&n| !cohort.odd[n].is_empty()).collect();
    page.push_str(&facts(cohort, missing, odd.len()));
    page.push_str(&first(cohort, &odd, pictures, &link));
    page.push_str(&failures(cohort, missing));
    page.push_str(&organs(cohort));
    page.push_str(&scans(cohort, &order, &link));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn facts(cohort: &Collected, missing: &[String], odd: usize) -> String {
    let mut out = String::from("<section>\n<ul class=\"facts\">\n");
    let mut fact = |big: String, small: &str| out.push_str(&format!("<li><b>{big}</b><span>{small}</span></li>\n"));
    fact(cohort.scans.len().to_string(), "scans with results");
    fact(odd.to_string(), "of them lie apart in an organ");
    fact(cohort.failures().count().to_string(), "scans failed");
    if !missing.is_empty() {
        fact(missing.len().to_string(), "scans of the list have neither result nor reason yet");
    }
    let seconds: f64 = cohort.status.values().map(|line| line.seconds).sum();
    if seconds > 0.0 {
        fact(duration(seconds), "of computing, reading and writing included");
    }
    out.push_str("</ul>\n</section>\n");
    out
}

fn sentence(odd: &Oddity) -> String {
    format!("{}: {}", escape(odd.organ.name()), escape(&odd.what))
}

fn anchor(scan: &ScanRows, link: &impl Fn(&ScanRows) -> String) -> String {
    format!("<a href=\"{}\">{}</a>", escape(&link(scan)), escape(&scan.scan))
}

/// The scans that lie furthest apart, with their pictures.
fn first(cohort: &Collected, odd: &[usize], pictures: &[KeyPicture], link: &impl Fn(&ScanRows) -> String) -> String {
    let mut out = String::from(
        "<section aria-labelledby=\"first\">\n<h2 id=\"first\">To be looked at first</h2>\n\
         <p class=\"lead\">Scans in which an organ that the scan shows whole is more than 3.5 robust standard deviations from the median of the \
         cohort, in volume (as a logarithm), mean HU or length, or of which the network was that much less sure than usual. Unusual anatomy is unusual, too: this is a reason to look and no verdict.</p>\n",
    );
    if odd.is_empty() {
        out.push_str("<p class=\"calm\">None.</p>\n");
    }
    out.push_str("<div class=\"cards\">\n");
    for &n in odd {
        let Some(picture) = pictures.iter().find(|picture| picture.scan == n) else { continue };
        let scan = &cohort.scans[n];
        let lines: Vec<String> = cohort.odd[n].iter().map(sentence).collect();
        out.push_str(&format!(
            "<figure class=\"card\"><figcaption><b>{}</b><span class=\"end\">slice {}</span></figcaption>\
             <img alt=\"Slice {} of {} with its outlines\" src=\"{}\">\
             <p class=\"fine\">{}</p></figure>\n",
            anchor(scan, link),
            picture.slice + 1,
            picture.slice + 1,
            escape(&scan.scan),
            data_uri(&picture.png),
            lines.join("<br>")
        ));
    }
    out.push_str("</div>\n</section>\n");
    out
}

fn failures(cohort: &Collected, missing: &[String]) -> String {
    let mut rows: Vec<(&str, &str)> = cohort
        .failures()
        .map(|line| (line.scan.as_str(), line.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    rows.extend(missing.iter().map(|scan| (scan.as_str(), "not run yet, or stopped on the way")));
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from("<section aria-labelledby=\"failed\">\n<h2 id=\"failed\">Without results</h2>\n");
    let rows: Vec<[String; 3]> = rows.iter().map(|(scan, why)| [escape(scan), String::new(), escape(why)]).collect();
    out.push_str(&in_parts(&rows));
    out.push_str("</section>\n");
    out
}

/// Rows of three cells of HTML, some at a time.
fn in_parts(rows: &[[String; 3]]) -> String {
    let mut out = String::from("<div class=\"scans\">\n");
    for part in rows.chunks(PART) {
        out.push_str("<div class=\"part\">\n");
        for [scan, number, text] in part {
            out.push_str(&format!(
                "<div class=\"row\"><span>{scan}</span><span>{number}</span><span>{text}</span></div>\n"
            ));
        }
        out.push_str("</div>\n");
    }
    out.push_str("</div>\n");
    out
}

/// One row an organ: how many scans show it, and how its volume and HU are distributed.
fn organs(cohort: &Collected) -> String {
    let mut out = String::from(
        "<section aria-labelledby=\"organs\">\n<h2 id=\"organs\">Organs</h2>\n\
         <p class=\"lead\">Of scans that show the whole organ: median, middle half (box) and middle 90 % (line) of its volume on a logarithmic \
         axis; dots are scans that lie apart. Doubtful is the median share of an organ's voxels in which the network's first choice led its \
         second by less than one half in probability.</p>\n<div class=\"wide\"><table class=\"organs\">\n<thead><tr><th scope=\"col\">Organ</th>\
         <th scope=\"col\" class=\"n\">Found in</th><th scope=\"col\" class=\"n\">Whole in</th><th scope=\"col\" class=\"n\">Median, ml</th>\
         <th scope=\"col\">Volume</th><th scope=\"col\" class=\"n\">Median HU</th>\
         <th scope=\"col\" class=\"n\">Doubtful</th></tr></thead>\n<tbody>\n",
    );
    for organ in Organ::ALL {
        let rows = || cohort.scans.iter().flat_map(|scan| &scan.organs).filter(|row| row.organ == organ);
        let (asked, found) = (rows().count(), rows().filter(|row| row.ml > 0.0).count());
        if asked == 0 {
            continue;
        }
        let whole = rows().filter(|row| row.cut == "no").count();
        let ml = cohort.ml[organ.index()].as_ref();
        let hu = cohort.hu[organ.index()].as_ref();
        let doubtful = cohort.doubtful[organ.index()].as_ref();
        out.push_str(&format!(
            "<tr><th scope=\"row\"><i style=\"background:{}\"></i>{}</th><td class=\"n\">{found} of {asked}</td><td class=\"n\">{whole}</td>\
             <td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            hex(organ.colour()),
            escape(organ.name()),
            ml.map_or(String::new(), |d| millilitres(d.median)),
            ml.map_or(String::new(), spread),
            hu.map_or(String::new(), |d| super::text::signed(d.median, 0)),
            doubtful.map_or(String::new(), |d| format!("{:.1} %", 100.0 * d.median)),
        ));
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
    out
}

/// Box, line and dots of a distribution.
fn spread(d: &Distribution) -> String {
    const WIDTH: f64 = 340.0;
    let (low, high) = (d.quantile(0.0).ln(), d.quantile(1.0).ln());
    let x = |value: f64| 4.0 + (value.ln() - low) / (high - low).max(1e-9) * (WIDTH - 8.0);
    let [p5, p25, p50, p75, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| x(d.quantile(share)));
    let mut out = format!(
        "<svg class=\"spread\" viewBox=\"0 0 {WIDTH} 26\" role=\"img\" aria-label=\"5 to 95 %: {} to {} ml\">\
         <path class=\"range\" d=\"M{p5:.1} 13H{p95:.1}\"/><rect class=\"box\" x=\"{p25:.1}\" y=\"6\" width=\"{:.1}\" height=\"14\"/>\
         <path class=\"mid\" d=\"M{p50:.1} 4V22\"/>",
        millilitres(d.quantile(0.05)),
        millilitres(d.quantile(0.95)),
        (p75 - p25).max(1.0)
    );
    for value in d.values.iter().filter(|value| d.score(**value).abs() >= crate::cohort::FAR) {
        out.push_str(&format!("<circle class=\"far\" cx=\"{:.1}\" cy=\"13\" r=\"3\"/>", x(*value)));
    }
    out.push_str("</svg>");
    out
}

/// Every scan, the one that lies furthest apart first.
fn scans(cohort: &Collected, order: &[usize], link: &impl Fn(&ScanRows) -> String) -> String {
    let mut out = String::from(
        "<section aria-labelledby=\"scans\">\n<h2 id=\"scans\">All scans</h2>\n\
         <p class=\"lead\">With the number of organs found, and what lies apart.</p>\n",
    );
    let row = |&n: &usize| {
        let scan = &cohort.scans[n];
        let found = scan.organs.iter().filter(|row| row.ml > 0.0).count();
        let lines: Vec<String> = cohort.odd[n].iter().map(sentence).collect();
        [anchor(scan, link), found.to_string(), lines.join("; ")]
    };
    out.push_str(&in_parts(&order.iter().map(row).collect::<Vec<_>>()));
    out.push_str("</section>\n");
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cohort::OrganRow;

    fn cohort(count: usize) -> Collected {
        let scan = |n: usize| ScanRows {
            scan: format!("scan <{n}>"),
            organs: vec![OrganRow {
                organ: Organ::Liver,
                ml: if n == 3 { 100.0 } else { 1500.0 + (n % 50) as f64 },
                mean_hu: Some(60.0),
                extent_mm: Some([0.0, 150.0]),
                slice: Some(7),
                cut: "no".into(),
                doubtful: Some(0.125),
            }],
            warnings: Vec::new(),
        };
        Collected::new((0..count).map(scan).collect(), BTreeMap::new())
    }

    #[test]
    fn the_scan_that_lies_apart_comes_first_with_its_picture_and_names_cannot_break_the_page() {
        let all = cohort(20);
        let at = all.by_oddity()[0];
        let picture = KeyPicture { scan: at, png: vec![1, 2, 3], slice: 7 };
        let page =
            cohort_report_html("A <cohort>", &all, &["lost".into()], &[picture], |scan| format!("../{}/x", scan.scan));
        assert!(page.contains("<title>A &lt;cohort&gt;</title>") && !page.contains("scan <"));
        let card = page.split("<figure").nth(1).unwrap();
        assert!(card.contains("scan &lt;3&gt;") && card.contains("slice 8") && card.contains("base64,AQID"), "{card}");
        assert!(card.contains("Liver: 100.0 ml, where the median is 15"), "{card}");
        assert!(card.contains("href=\"../scan &lt;3&gt;/x\""), "{card}");
        assert!(page.contains("not run yet") && page.contains("20 of 20"));
        assert_eq!(page.matches("class=\"far\"").count(), 1);
        assert!(page.contains("<td class=\"n\">12.5 %</td>"), "the share of doubtful voxels of the organ");
    }

    #[test]
    fn ten_thousand_scans_are_a_page_of_a_few_megabytes() {
        let page = cohort_report_html("many", &cohort(10_000), &[], &[], |scan| scan.scan.clone());
        assert_eq!(page.matches("class=\"row\"").count(), 10_000);
        assert!(page.len() < 3_000_000, "{}", page.len());
    }
}
