//! The scan from head to foot: sagittal and coronal plane, the region ribbon and the attention of every organ, all on
//! one axis, so that an eye moving sideways stays at the same height of the patient.

use super::super::figures::{Plane, View, data_uri};
use super::super::key_slices::best_plane;
use super::super::path::path_data;
use super::super::{ReportError, ReportInput, Statistics};
use super::axial::organ_path;
use super::layout::{BAND, Heights, RIBBON, letters, scale_bar};
use super::maps::{attention_legend, heat_map, nearest, region_legend, ribbon};
use super::text::signed;
use crate::anatomy::{ORGAN_COUNT, Organ, Region};
use crate::contour::{boxes, smooth_outlines};
use crate::csv::six_digits;
use crate::infer::SliceAnatomy;

const WIDTH: f64 = 1180.0;
const AXIS: f64 = 46.0;
const GAP: f64 = 14.0;
/// Between the coronal picture and the next column, where the numbers of the axial slices stand.
const KEYS: f64 = 36.0;
/// The largest size of each picture, px.
const SAGITTAL: f64 = 190.0;
const CORONAL: f64 = 276.0;
const TALLEST: f64 = 820.0;
/// Stored pixels along a picture's side.
const PIXELS: usize = 640;

/// The section.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn section(seg: &ReportInput, statistics: &Statistics, keys: &[usize]) -> Result<String, ReportError> {
    let [nx, ny, nz] = seg.ct.geometry.size;
    let spacing = seg.ct.geometry.spacing();
    // The patient's extent across, from a few slices and every label.
    let mut body: Option<[usize; 4]> = None;
    for n in 0..nz.min(12) {
        let b = Plane::new(seg, View::Axial, (2 * n + 1) * nz / (2 * nz.min(12))).body_box();
        body = Some(body.map_or(b, |a| super::super::figures::join(a, b)));
    }
    let body = body.unwrap_or([0, 0, nx - 1, ny - 1]);
    let coronal = (View::Coronal, best_plane(statistics, 1, body[1]..=body[3]), [body[0], body[2]], spacing[0]);
    let sagittal = (View::Sagittal, best_plane(statistics, 0, body[0]..=body[2]), [body[1], body[3]], spacing[1]);

    let slices = seg.ordered_slices();
    let rows = nearest(&slices, nz);
    let has_regions = slices.iter().any(|s| s.most_likely_region().is_some());
    let has_attention = slices.iter().any(|s| s.attention.is_some());

    let width_mm = |p: &(View, usize, [usize; 2], f64)| (p.2[1] + 1 - p.2[0]) as f64 * p.3;
    let z_mm = nz as f64 * spacing[2];
    // Without the map of attention there is room for larger pictures.
    let larger = if has_attention { 1.0 } else { 1.6 };
    let scale =
        (larger * CORONAL / width_mm(&coronal)).min(larger * SAGITTAL / width_mm(&sagittal)).min(TALLEST / z_mm);

    let head = if has_attention {
        166.0
    } else if has_regions {
        112.0
    } else {
        28.0
    };
    let heights = Heights { head, slices: nz, step: spacing[2] * scale };
    let height = head + heights.all() + 8.0;

    let mut svg = String::new();
    let mut x = AXIS;
    svg.push_str(&axis(seg, &heights, scale));
    let mut coronal_x = x;
    for (p, name) in [(&sagittal, "Sagittal"), (&coronal, "Coronal")] {
        let width = width_mm(p) * scale;
        svg.push_str(&title(x + width / 2.0, head, name));
        svg.push_str(&picture(seg, p, x, width, &heights, name)?);
        if p.0 == View::Coronal {
            coronal_x = x;
            svg.push_str(&key_marks(keys, x + width, &heights));
            svg.push_str(&scale_bar(x + 8.0, heights.head + heights.all() - 8.0, scale, width * 0.3));
        }
        x += width + GAP;
    }
    x += KEYS - GAP;
    let ribbon_x = x;
    if has_regions {
        svg.push_str(&title(x + BAND / 2.0, head, "Region"));
        svg.push_str(&title(x + BAND + 4.0 + RIBBON / 2.0, head, "Probability"));
        svg.push_str(&region_legend(x, head));
        svg.push_str(&ribbon(&rows, x, &heights)?);
        x += BAND + 4.0 + RIBBON + GAP;
    }
    let column = ((WIDTH - x - 2.0) / ORGAN_COUNT as f64).clamp(8.0, 20.0);
    if has_attention {
        svg.push_str(&attention_legend(seg, coronal_x, head));
        svg.push_str(&heat_map(seg, statistics, &rows, x, column, &heights)?);
    }
    svg.push_str(&format!(
        "<line id=\"hair\" class=\"hair\" x1=\"{AXIS}\" x2=\"{:.1}\" y1=\"0\" y2=\"0\" visibility=\"hidden\"/>\n",
        if has_attention { x + column * ORGAN_COUNT as f64 } else { x }
    ));

    let mut out =
        String::from("<section aria-labelledby=\"along\" class=\"along\">\n<h2 id=\"along\">Along the body</h2>\n");
    out.push_str("<p class=\"lead\">Every column shares one axis: patient z in mm, up is towards the head.");
    if has_attention {
        out.push_str(
            " Attention is the factor by which the network lets each organ through on each slice: near 0 the organ is \
             ruled out, about 1 is as on slices that show it. White frames show where an organ was outlined.",
        );
    }
    if (has_regions || has_attention) && rows.iter().any(Option::is_none) {
        out.push_str(" Grey: slices on which the network was not run, as on those that hold nothing.");
    }
    out.push_str("</p>\n");
    out.push_str(&format!(
        "<div class=\"wide\"><svg id=\"body\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"Sagittal and coronal view with outlines{}{}\">\n{svg}</svg></div>\n",
        if has_regions { ", most likely region of each slice" } else { "" },
        if has_attention { ", attention of each organ on each slice" } else { "" }
    ));
    if has_regions || has_attention {
        out.push_str("<p id=\"readout\" class=\"readout\" hidden></p>\n");
    }
    if !has_attention {
        out.push_str(
            "<p class=\"calm\">These weights are a network without attention, so there is none to show.</p>\n",
        );
    }
    out.push_str(&hover_data(seg, &rows, &heights, ribbon_x, x, if has_attention { column } else { 0.0 }));
    out.push_str("</section>\n");
    Ok(out)
}

fn title(x: f64, head: f64, text: &str) -> String {
    format!("<text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>\n", head - 8.0)
}

fn axis(seg: &ReportInput, heights: &Heights, scale: f64) -> String {
    let mut out = String::from("<g class=\"axis\">");
    let (low, high) = (seg.ct.geometry.slice_mm(0), seg.ct.geometry.slice_mm(heights.slices - 1));
    let step = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0].into_iter().find(|s| s * scale >= 30.0).unwrap_or(1000.0);
    let mm_per_slice = (high - low) / (heights.slices.max(2) - 1) as f64;
    let mut z = (low / step).ceil() * step;
    while z <= high {
        let k = if mm_per_slice > 0.0 { (z - low) / mm_per_slice } else { 0.0 };
        let y = heights.middle(k);
        out.push_str(&format!(
            "<path d=\"M{:.1} {y:.1}h5\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            AXIS - 6.0,
            AXIS - 9.0,
            y + 4.0,
            signed(z, 0)
        ));
        z += step;
    }
    out.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">z mm</text></g>\n",
        AXIS - 9.0,
        heights.head - 8.0
    ));
    out
}

fn picture(
    seg: &ReportInput,
    (view, index, [first, last], _): &(View, usize, [usize; 2], f64),
    x: f64,
    width: f64,
    heights: &Heights,
    name: &str,
) -> Result<String, ReportError> {
    let plane = Plane::new(seg, *view, *index);
    let bounds = [*first, 0, *last, plane.size[1] - 1];
    let png = plane.png(bounds, plane.window(plane.body_box()), PIXELS)?;
    let px = width / (last + 1 - first) as f64;
    let height = heights.all();
    let mut out = format!(
        "<svg x=\"{x:.2}\" y=\"{:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"><title>{name} plane</title>\
         <image width=\"{width:.2}\" height=\"{height:.2}\" preserveAspectRatio=\"none\" href=\"{}\"/>\n",
        heights.head,
        data_uri(&png)
    );
    out.push_str(&format!(
        "<g class=\"lines\" transform=\"translate({:.3} 0) scale({:.6} {:.6})\">",
        -(*first as f64) * px,
        px / 10.0,
        heights.step / 10.0
    ));
    for (label, b) in boxes(&plane.labels, plane.size[0]).into_iter().enumerate() {
        if let (Some(b), Some(organ)) = (b, Organ::from_label(label as u8)) {
            out.push_str(&organ_path(
                organ,
                &path_data(&smooth_outlines(&plane.labels, plane.size[0], label as u8, b)),
            ));
        }
    }
    out.push_str("</g></svg>\n");
    out.push_str(&letters(*view, [x, heights.head, width, height]));
    out.push('\n');
    Ok(out)
}

/// Where the numbered axial slices lie, to the right of the coronal picture.
fn key_marks(keys: &[usize], x: f64, heights: &Heights) -> String {
    let mut out = String::from("<g class=\"keys\">");
    let mut floor = f64::MIN;
    for (n, &k) in keys.iter().enumerate() {
        let y = heights.middle(k as f64);
        // Neighbours move apart so that no number covers another.
        let text_y = y.max(floor + 11.0);
        floor = text_y;
        out.push_str(&format!(
            "<path d=\"M{:.1} {y:.1}h6L{:.1} {text_y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x - 2.0,
            x + 11.0,
            x + 13.0,
            text_y + 4.0,
            n + 1
        ));
    }
    out.push_str("</g>\n");
    out
}

/// What the read-out under the pointer says, as JSON for the script.
fn hover_data(
    seg: &ReportInput,
    rows: &[Option<&SliceAnatomy>],
    heights: &Heights,
    ribbon: f64,
    heat: f64,
    column: f64,
) -> String {
    let digits = |v: f32| if v.is_finite() { six_digits(v.into()) } else { 0.0 };
    let mm: Vec<f64> = (0..heights.slices).map(|k| (seg.ct.geometry.slice_mm(k) * 10.0).round() / 10.0).collect();
    let value = serde_json::json!({
        "top": heights.head, "step": heights.step, "slices": heights.slices, "ribbon": ribbon, "heat": heat, "column": column,
        "mm": mm,
        "regionNames": Region::ALL.map(Region::name),
        "organNames": Organ::ALL.map(Organ::name).to_vec(),
        "known": Organ::ALL.map(|o| seg.trained(o).is_some()).to_vec(),
        "regions": rows.iter().map(|r| r.map(|s| s.regions.map(digits))).collect::<Vec<_>>(),
        "attention": rows.iter().map(|r| r.and_then(|s| s.attention).map(|a| a.map(digits).to_vec())).collect::<Vec<_>>(),
    });
    // Within a script element only `<` could end it early.
    format!("<script type=\"application/json\" id=\"rows\">{}</script>\n", value.to_string().replace('<', "\\u003c"))
}
