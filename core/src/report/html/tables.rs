//! The tables of the report: organs, what the weights do not know, and how the run went.

use super::super::{CutByScan, ReportInput, Statistics};
use super::findings::{WEAK_DICE, cut_text, regions_seen, within_reach};
use super::text::{duration, escape, hex, millilitres, signed};
use crate::anatomy::Organ;

/// One row for each organ that was looked for.
pub fn organs(seg: &ReportInput, statistics: &Statistics) -> String {
    let mut out = String::from(
        "<section aria-labelledby=\"organs\">\n<h2 id=\"organs\">Organs</h2>\n<div class=\"wide\"><table class=\"organs\">\n<thead><tr>",
    );
    for (name, class) in [
        ("Organ", ""),
        ("TG-263", ""),
        ("Volume ml", "n"),
        ("Mean HU", "n"),
        ("From z mm", "n"),
        ("To z mm", "n"),
        ("Cut by scan", ""),
        ("Learned from", "n"),
        ("Validation Dice", "n"),
    ] {
        out.push_str(&format!("<th scope=\"col\" class=\"{class}\">{name}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let regions = regions_seen(seg);
    for organ in statistics.rows(seg) {
        let found = statistics.get(organ);
        out.push_str(&format!(
            "<tr{}><th scope=\"row\"><i style=\"background:{}\"></i>{}</th><td class=\"tg\">{}</td>",
            if found.is_some() { "" } else { " class=\"absent\"" },
            hex(organ.colour()),
            escape(organ.name()),
            organ.tg263()
        ));
        match found {
            Some(s) => out.push_str(&format!(
                "<td class=\"n\">{}</td><td class=\"n\">{} <small>&plusmn; {:.0}</small></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td>",
                millilitres(s.ml),
                signed(s.mean_hu, 0),
                s.std_hu,
                signed(s.first_mm, 0),
                signed(s.last_mm, 0),
                if s.cut == CutByScan::No { "" } else { cut_text(s.cut) }
            )),
            None if within_reach(&regions, organ) => out.push_str("<td colspan=\"5\">not found</td>"),
            None => out.push_str("<td colspan=\"5\">outside this scan</td>"),
        }
        match seg.trained(organ) {
            Some(t) => {
                out.push_str(&format!("<td class=\"n\">{}</td>", patients(t.patients)));
                out.push_str(&match t.validation_dice {
                    Some(d) => {
                        let class = if d < WEAK_DICE { "n weak" } else { "n" };
                        format!("<td class=\"{class}\">{d:.2} <small>n = {}</small></td>", t.validation_patients)
                    }
                    None => "<td class=\"n weak\">not measured</td>".to_string(),
                });
            }
            None => out.push_str("<td colspan=\"2\">not by these weights</td>"),
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out.push_str(
        "<p class=\"fine\">Mean HU &plusmn; standard deviation over the outlined voxels. Positions are slice centres in patient z \
         (DICOM, towards the head is positive). Dice: overlap with a drawn outline on n patients that were not trained on, 1 is \
         perfect. Cut by scan: the outline reaches the first or last slice.</p>\n</section>\n",
    );
    out
}

fn patients(n: usize) -> String {
    if n == 1 { "1 patient".to_string() } else { format!("{n} patients") }
}

/// The organs that are never drawn, and those that are switched off.
pub fn unknown_organs(seg: &ReportInput) -> String {
    let unknown: Vec<&str> = Organ::ALL.into_iter().filter(|&o| seg.trained(o).is_none()).map(Organ::name).collect();
    let off: Vec<_> = Organ::ALL.into_iter().filter_map(|o| seg.trained(o).filter(|t| !t.enabled)).collect();
    if unknown.is_empty() && off.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<section aria-labelledby=\"unknown\">\n<h2 id=\"unknown\">Organs these weights do not know</h2>\n",
    );
    if unknown.is_empty() {
        out.push_str("<p>None: these weights know all 33 organs of the table.</p>\n");
    } else {
        out.push_str("<p>Never outlined, whatever the scan shows. Their absence above says nothing about the patient.</p>\n<ul class=\"plain\">\n");
        unknown.iter().for_each(|name| out.push_str(&format!("<li>{}</li>\n", escape(name))));
        out.push_str("</ul>\n");
    }
    if !off.is_empty() {
        out.push_str("<h3>Known, but switched off in this run</h3>\n<ul class=\"plain\">\n");
        for t in off {
            let why = match t.validation_dice {
                Some(d) => format!("validation Dice {d:.2}, n = {}", t.validation_patients),
                None => "quality not measured".to_string(),
            };
            out.push_str(&format!("<li>{} <small>{why}</small></li>\n", escape(t.organ.name())));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
    out
}

/// How the run went, for whoever has to repeat it.
pub fn run_details(seg: &ReportInput) -> String {
    let run = seg.run;
    let mut out = String::from("<section aria-labelledby=\"run\">\n<h2 id=\"run\">Run</h2>\n<dl class=\"run\">\n");
    let mut row = |term: &str, text: String| {
        if !text.is_empty() {
            out.push_str(&format!("<div><dt>{term}</dt><dd>{text}</dd></div>\n"));
        }
    };
    row("Program", format!("AttentionAnatomy {}", escape(&run.program_version)));
    row("Files", run.inputs.iter().map(|i| escape(i)).collect::<Vec<_>>().join("<br>"));
    row("Started", escape(&run.started));
    row("Weights", escape(&run.weights_name));
    if !run.weights_sha256.is_empty() {
        row("Weights SHA-256", format!("<code>{}</code>", escape(&run.weights_sha256)));
    }
    row("Network", escape(&run.architecture));
    row("Device", escape(&run.device));
    let mut data: Vec<&str> = seg.trained.iter().flat_map(|t| t.source.iter().map(String::as_str)).collect();
    data.sort_unstable();
    data.dedup();
    row("Trained on", escape(&data.join(", ")));
    let [nx, ny, nz] = seg.ct.geometry.size;
    let [sx, sy, sz] = seg.ct.geometry.spacing();
    row(
        "Grid",
        format!(
            "{nx} &times; {ny} &times; {nz} voxels of {sx:.3} &times; {sy:.3} &times; {sz:.3} mm; slice 1 is the most inferior (<code>k</code> 0 in the tables of this run)"
        ),
    );
    let options: Vec<String> = run.options.iter().map(|(k, v)| format!("{} = {}", escape(k), escape(v))).collect();
    row("Options", options.join("<br>"));
    let seconds: Vec<String> =
        run.seconds.iter().map(|(stage, s)| format!("{} {}", escape(stage), duration(*s))).collect();
    row("Time", seconds.join(", "));
    out.push_str("</dl>\n</section>\n");
    out
}
