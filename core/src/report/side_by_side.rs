//! One slice, drawn on by several: the figure that shows what a table only counts.
//!
//! Panels stand row by row in one picture. The PNG has no letters in it; the page around it names every panel and every
//! organ.

use super::figures::{GreyWindow, Plane, data_uri};
use super::{NOT_A_MEDICAL_DEVICE, ReportError};
use crate::anatomy::Organ;

/// What one of them drew.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Whose labels these are, above the picture.
    pub title: String,
    /// Label numbers of the slice, row by row.
    pub labels: Vec<u8>,
}

/// An axial slice with panels of the same size.
#[derive(Clone, Debug)]
pub struct SideBySide {
    /// Pixels across and down.
    pub size: [usize; 2],
    /// Pixel distance across and down, mm.
    pub spacing: [f64; 2],
    /// HU, row by row.
    pub hu: Vec<i16>,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// Picture pixels a panel is wide at least.
const PANEL_PIXELS: usize = 360;
/// Panels in a row.
const COLUMNS: usize = 3;
/// Picture pixels between panels.
const GAP: usize = 6;
/// How much of an organ's colour covers the CT inside its outline.
pub(super) const OPACITY: f32 = 0.4;

impl SideBySide {
    fn check(&self) -> Result<(), ReportError> {
        let pixels = self.size[0] * self.size[1];
        let right = pixels > 0 && self.hu.len() == pixels && self.panels.iter().all(|p| p.labels.len() == pixels);
        right.then_some(()).ok_or_else(|| ReportError::Picture {
            width: self.size[0],
            height: self.size[1],
            reason: "CT and panels are not of this size".into(),
        })
    }

    /// All panels as one RGB PNG.
    ///
    /// # Errors
    /// [`ReportError::Picture`] when panels are not of the slice's size or the encoder refuses.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        self.check()?;
        let any = (0..self.hu.len()).map(|n| self.panels.iter().map(|p| p.labels[n]).max().unwrap_or(0)).collect();
        let plane = Plane { size: self.size, spacing: self.spacing, hu: self.hu.clone(), labels: any };
        let bounds = plane.body_box();
        let window = plane.window(bounds);
        let across = (bounds[2] - bounds[0] + 1) as f64 * self.spacing[0];
        let down = (bounds[3] - bounds[1] + 1) as f64 * self.spacing[1];
        // As many picture pixels a millimetre for both axes: circles stay circles.
        let scale = PANEL_PIXELS as f64 / across;
        let panel = [PANEL_PIXELS, ((down * scale).round() as usize).clamp(1, 8 * PANEL_PIXELS)];
        let columns = self.panels.len().clamp(1, COLUMNS);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let size = [columns * (panel[0] + GAP) - GAP, rows * (panel[1] + GAP) - GAP];
        let mut rgb = vec![255u8; 3 * size[0] * size[1]];
        for (n, own) in self.panels.iter().enumerate() {
            let corner = [n % columns * (panel[0] + GAP), n / columns * (panel[1] + GAP)];
            for (row, line) in self.panel(&own.labels, bounds, panel, window).chunks_exact(3 * panel[0]).enumerate() {
                let at = 3 * (corner[0] + size[0] * (corner[1] + row));
                rgb[at..at + line.len()].copy_from_slice(line);
            }
        }
        encode(size, &rgb)
    }

    fn panel(&self, labels: &[u8], bounds: [usize; 4], panel: [usize; 2], window: GreyWindow) -> Vec<u8> {
        let [x0, y0, x1, y1] = bounds;
        let source = |at: usize, count: usize, low: usize, high: usize| {
            low as f64 + (at as f64 + 0.5) / count as f64 * (high - low + 1) as f64 - 0.5
        };
        let label = |x: usize, y: usize| {
            let i = source(x, panel[0], x0, x1).round().clamp(x0 as f64, x1 as f64) as usize;
            let j = source(y, panel[1], y0, y1).round().clamp(y0 as f64, y1 as f64) as usize;
            labels[i + self.size[0] * j]
        };
        let mut out = Vec::with_capacity(3 * panel[0] * panel[1]);
        for y in 0..panel[1] {
            for x in 0..panel[0] {
                let hu = self.hu_at(source(x, panel[0], x0, x1), source(y, panel[1], y0, y1));
                let grey = f32::from(window.grey(hu));
                let here = label(x, y);
                let Some(organ) = Organ::from_label(here) else {
                    out.extend([grey as u8; 3]);
                    continue;
                };
                let edge = x == 0
                    || y == 0
                    || x + 1 == panel[0]
                    || y + 1 == panel[1]
                    || [label(x - 1, y), label(x + 1, y), label(x, y - 1), label(x, y + 1)].iter().any(|&l| l != here);
                let cover = if edge { 1.0 } else { OPACITY };
                out.extend(organ.colour().map(|c| (cover * f32::from(c) + (1.0 - cover) * grey).round() as u8));
            }
        }
        out
    }

    /// HU between pixels, bilinear.
    fn hu_at(&self, x: f64, y: f64) -> f32 {
        let [w, h] = self.size;
        let neighbours = |at: f64, count: usize| {
            let at = at.clamp(0.0, (count - 1) as f64);
            let first = at.floor() as usize;
            (first, (first + 1).min(count - 1), (at - first as f64) as f32)
        };
        let ((xa, xb, u), (ya, yb, v)) = (neighbours(x, w), neighbours(y, h));
        let hu = |x: usize, y: usize| f32::from(self.hu[x + w * y]);
        (hu(xa, ya) * (1.0 - u) + hu(xb, ya) * u) * (1.0 - v) + (hu(xa, yb) * (1.0 - u) + hu(xb, yb) * u) * v
    }

    /// A page that shows the PNG and names what is in it.
    ///
    /// # Errors
    /// As for [`png`](Self::png).
    pub fn html(&self, caption: &str) -> Result<String, ReportError> {
        let escape = super::html::escape;
        let png = self.png()?;
        let columns = self.panels.len().clamp(1, COLUMNS);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n<main>\n\
             <section>\n<h2>{0}</h2>\n<img class=\"ct\" style=\"max-width:1092px;background:none\" alt=\"The panels\" src=\"{2}\">\n<ol>\n",
            escape(caption),
            super::html::STYLE,
            data_uri(&png)
        );
        for (n, panel) in self.panels.iter().enumerate() {
            page.push_str(&format!(
                "<li>Row {}, column {}: {}</li>\n",
                n / columns + 1,
                n % columns + 1,
                escape(&panel.title)
            ));
        }
        page.push_str("</ol>\n<table class=\"organs\">\n<tbody>\n");
        for organ in Organ::ALL {
            let by: Vec<String> =
                self.panels.iter().filter(|p| p.labels.contains(&organ.label())).map(|p| escape(&p.title)).collect();
            if !by.is_empty() {
                page.push_str(&format!(
                    "<tr><th scope=\"row\"><i style=\"background:{}\"></i>{}</th><td>{}</td></tr>\n",
                    super::html::hex(organ.colour()),
                    escape(organ.name()),
                    by.join(", ")
                ));
            }
        }
        page.push_str(&format!(
            "</tbody>\n</table>\n<p class=\"device\">{NOT_A_MEDICAL_DEVICE}</p>\n</section>\n</main>\n</body>\n</html>\n"
        ));
        Ok(page)
    }
}

pub(super) fn encode([width, height]: [usize; 2], rgb: &[u8]) -> Result<Vec<u8>, ReportError> {
    let failed = |e: png::EncodingError| ReportError::Picture { width, height, reason: e.to_string() };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(rgb).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round body in a square of 3 x 2 mm pixels, and a liver on the patient's right in the first panel alone.
    fn figure() -> SideBySide {
        let size = [80, 120];
        let at = |n: usize| ((n % 80) as f64 * 3.0 - 120.0, (n / 80) as f64 * 2.0 - 120.0);
        let hu = (0..9600).map(|n| if at(n).0.hypot(at(n).1) < 100.0 { 40 } else { -1000 }).collect();
        let liver = (0..9600).map(|n| if (at(n).0 + 50.0).hypot(at(n).1) < 25.0 { Organ::Liver.label() } else { 0 });
        let panels =
            [("truth", liver.collect()), ("none", vec![0; 9600]), ("also none", vec![0; 9600]), ("x", vec![0; 9600])];
        let panels = panels.into_iter().map(|(title, labels)| Panel { title: title.into(), labels }).collect();
        SideBySide { size, spacing: [3.0, 2.0], hu, panels }
    }

    #[test]
    fn organs_are_coloured_in_their_own_panel_and_round_things_stay_round() {
        let png = figure().png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        let width = info.width as usize;
        assert_eq!(width, 3 * PANEL_PIXELS + 2 * GAP);
        let panel_height = (info.height as usize - GAP) / 2;
        assert!(panel_height.abs_diff(PANEL_PIXELS) < 20, "{panel_height}");
        let coloured: Vec<[usize; 2]> = (0..width * info.height as usize)
            .filter(|&n| rgb[3 * n] != rgb[3 * n + 1] || rgb[3 * n + 1] != rgb[3 * n + 2])
            .map(|n| [n % width, n / width])
            .collect();
        let range = |a: usize| {
            let values = coloured.iter().map(|p| p[a]);
            (values.clone().min().unwrap(), values.max().unwrap())
        };
        let ((x0, x1), (y0, y1)) = (range(0), range(1));
        assert!(x1 < PANEL_PIXELS / 2 && y1 < panel_height, "{x1} {y1}: the patient's right is left in the picture");
        assert!((x1 - x0).abs_diff(y1 - y0) < 12, "{} by {}", x1 - x0, y1 - y0);
    }

    #[test]
    fn the_page_names_panels_and_organs_and_a_wrong_panel_is_refused() {
        let mut figure = figure();
        let page = figure.html("A <slice>").unwrap();
        assert!(page.contains("A &lt;slice&gt;") && page.contains("Row 2, column 1: x"));
        assert!(page.contains("Liver</th><td>truth</td>") && !page.contains("http://"));
        figure.panels[1].labels.pop();
        assert!(matches!(figure.png(), Err(ReportError::Picture { .. })));
    }
}
