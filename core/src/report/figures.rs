//! Planes of the CT as pictures.
//!
//! Orientation is the radiological convention and follows from the canonical order without any flipping of sides: i
//! runs to the patient's left, so the patient's left is on the viewer's right in axial and coronal planes. Letters,
//! scale bars and outlines are drawn over the pictures as curves and text (see `html`), so that the pictures hold
//! nothing but the CT, and no font is needed here.

use base64::Engine;

use super::{ReportError, ReportInput};
use crate::raster;

/// The direction a plane is looked at from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From the feet: right x is the patient's left, down is posterior.
    Axial,
    /// From the front: right is the patient's left, up is superior.
    Coronal,
    /// From the patient's left: right is posterior, up is superior.
    Sagittal,
}

impl View {
    /// Patient directions at the left, right, upper and lower edge.
    pub fn letters(self) -> [&'static str; 4] {
        match self {
            Self::Axial => ["R", "L", "A", "P"],
            Self::Coronal => ["R", "L", "S", "I"],
            Self::Sagittal => ["A", "P", "S", "I"],
        }
    }
}

/// A plane through the scan as it is shown: x to the right, y down.
pub struct Plane {
    /// Pixels across and down.
    pub size: [usize; 2],
    /// Pixel distance across and down, mm.
    pub spacing: [f64; 2],
    /// HU, row by row.
    pub hu: Vec<i16>,
    /// Label numbers, row by row.
    pub labels: Vec<u8>,
}

impl Plane {
    /// Plane `index` of the scan, counted along k (axial), j (coronal) or i (sagittal).
    pub fn new(seg: &ReportInput, view: View, index: usize) -> Self {
        let [nx, ny, nz] = seg.ct.geometry.size;
        let [sx, sy, sz] = seg.ct.geometry.spacing();
        let (size, spacing) = match view {
            View::Axial => ([nx, ny], [sx, sy]),
            View::Coronal => ([nx, nz], [sx, sz]),
            View::Sagittal => ([ny, nz], [sy, sz]),
        };
        let source = |x: usize, y: usize| match view {
            View::Axial => x + nx * (y + ny * index),
            View::Coronal => x + nx * (index + ny * (nz - 1 - y)),
            View::Sagittal => index + nx * (x + ny * (nz - 1 - y)),
        };
        let mut hu = Vec::with_capacity(size[0] * size[1]);
        let mut labels = Vec::with_capacity(size[0] * size[1]);
        for y in 0..size[1] {
            for x in 0..size[0] {
                let n = source(x, y);
                hu.push(seg.ct.voxels[n]);
                labels.push(seg.labels.voxels[n]);
            }
        }
        Self { size, spacing, hu, labels }
    }

    /// The box `[x0, y0, x1, y1]` (inclusive) around the patient and every label: the largest thing denser than
    /// -300 HU, and others at least a tenth as large (arms, legs), which leaves the couch out.
    pub fn body_box(&self) -> [usize; 4] {
        let [width, height] = self.size;
        let step = width.max(height).div_ceil(192).max(1);
        let (w, h) = (width.div_ceil(step), height.div_ceil(step));
        let dense = (0..w * h).map(|n| self.hu[n % w * step + width * (n / w * step)] > -300).collect();
        let extent = |piece: Vec<usize>| {
            let pixels = piece.iter().map(|n| [n % w, n / w, n % w, n / w]);
            (piece.len(), pixels.fold([w, h, 0, 0], join))
        };
        let parts: Vec<(usize, [usize; 4])> = raster::pieces(dense, [w, h, 1]).into_iter().map(extent).collect();
        let largest = parts.iter().map(|p| p.0).max().unwrap_or(0);
        let scaled = |b: [usize; 4]| {
            [
                b[0] * step,
                b[1] * step,
                (b[2] * step + step - 1).min(width - 1),
                (b[3] * step + step - 1).min(height - 1),
            ]
        };
        let body = parts.iter().filter(|p| p.0 * 10 >= largest).map(|p| scaled(p.1));
        let labelled = crate::contour::boxes(&self.labels, width).into_iter().flatten();
        body.chain(labelled).reduce(join).unwrap_or([0, 0, width - 1, height - 1])
    }

    /// The window that suits what is inside `bounds`: with lung where more than a twelfth of it is.
    pub fn window(&self, bounds: [usize; 4]) -> GreyWindow {
        let [x0, y0, x1, y1] = bounds;
        let rows = || (y0..=y1).map(|y| &self.hu[x0 + self.size[0] * y..=x1 + self.size[0] * y]);
        let lung = rows().flatten().filter(|hu| (-930..=-500).contains(*hu)).count();
        match lung * 12 > rows().flatten().count() {
            true => GreyWindow::SoftTissueAndLung,
            false => GreyWindow::SoftTissue,
        }
    }

    /// The part of the CT within `bounds` as a grey PNG of at most `limit` pixels a side, reduced by averaging HU.
    ///
    /// # Errors
    /// [`ReportError::Picture`] when the encoder refuses.
    pub fn png(&self, bounds: [usize; 4], window: GreyWindow, limit: usize) -> Result<Vec<u8>, ReportError> {
        let [x0, y0, x1, y1] = bounds;
        let (w, h) = (x1 - x0 + 1, y1 - y0 + 1);
        let (fx, fy) = (w.div_ceil(limit), h.div_ceil(limit));
        // Whole blocks but for the last ones; the picture is stretched over `bounds` again by the page.
        let (cols, rows) = (w.div_ceil(fx), h.div_ceil(fy));
        let mut grey = Vec::with_capacity(cols * rows);
        for row in 0..rows {
            for col in 0..cols {
                let xs = x0 + col * w / cols..(x0 + (col + 1) * w / cols).max(x0 + col * w / cols + 1);
                let ys = y0 + row * h / rows..(y0 + (row + 1) * h / rows).max(y0 + row * h / rows + 1);
                let count = xs.len() * ys.len();
                let sum: i64 =
                    ys.map(|y| xs.clone().map(|x| i64::from(self.hu[x + self.size[0] * y])).sum::<i64>()).sum();
                grey.push(window.grey(sum as f32 / count as f32));
            }
        }
        encode(cols, rows, &grey, None)
    }
}

/// The smallest box around two boxes.
pub fn join(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// How HU become grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GreyWindow {
    /// Width 400, level 40.
    SoftTissue,
    /// The soft tissue window in the upper three quarters of the greys and -1000 to -160 HU in the lower quarter, so
    /// that vessels and airways show within the lung.
    SoftTissueAndLung,
}

impl GreyWindow {
    /// What the caption calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoftTissue => "W 400 L 40",
            Self::SoftTissueAndLung => "W 400 L 40 + lung",
        }
    }

    /// Grey, 0 to 255, in steps of 2: what the eye does not see need not be stored.
    pub fn grey(self, hu: f32) -> u8 {
        let soft = ((hu + 160.0) / 400.0).clamp(0.0, 1.0);
        let share = match self {
            Self::SoftTissue => soft,
            Self::SoftTissueAndLung => 0.25 * ((hu + 1000.0) / 840.0).clamp(0.0, 1.0).powf(0.7) + 0.75 * soft,
        };
        (share * 127.0).round() as u8 * 2
    }
}

/// A PNG of grey values, or of indices into `palette`.
///
/// # Errors
/// [`ReportError::Picture`] when the encoder refuses.
pub fn encode(width: usize, height: usize, pixels: &[u8], palette: Option<&[[u8; 3]]>) -> Result<Vec<u8>, ReportError> {
    let failed = |e: png::EncodingError| ReportError::Picture { width, height, reason: e.to_string() };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
    encoder.set_depth(png::BitDepth::Eight);
    match palette {
        None => {
            // Noise packs no better for being looked at for longer.
            encoder.set_compression(png::Compression::Balanced);
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_filter(png::Filter::Adaptive);
        }
        Some(palette) => {
            encoder.set_compression(png::Compression::High);
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette.concat());
            encoder.set_filter(png::Filter::NoFilter);
        }
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// A PNG as it stands in the page itself.
pub fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
}

/// The place of a value from 0 to 1 in [`viridis`].
pub fn shade(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The viridis colour map (van der Walt and Smith, released as CC0) at 256 steps, interpolated between its values at
/// ninths. Its lightness rises evenly, which readers with any kind of colour vision see, and so does a grey printer.
pub fn viridis() -> [[u8; 3]; 256] {
    const NINTHS: [[u8; 3]; 10] = [
        [0x44, 0x01, 0x54],
        [0x48, 0x28, 0x78],
        [0x3e, 0x49, 0x89],
        [0x31, 0x68, 0x8e],
        [0x26, 0x82, 0x8e],
        [0x1f, 0x9e, 0x89],
        [0x35, 0xb7, 0x79],
        [0x6d, 0xcd, 0x59],
        [0xb4, 0xde, 0x2c],
        [0xfd, 0xe7, 0x25],
    ];
    std::array::from_fn(|n| {
        let place = n as f32 / 255.0 * 9.0;
        let low = (place as usize).min(8);
        let t = place - low as f32;
        std::array::from_fn(|c| {
            let (a, b) = (f32::from(NINTHS[low][c]), f32::from(NINTHS[low + 1][c]));
            (a + t * (b - a)).round() as u8
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{run, trained};
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    fn decode(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        pixels.truncate(info.buffer_size());
        (info.width as usize, info.height as usize, pixels)
    }

    #[test]
    fn left_is_right_up_is_superior_and_front_is_up_or_left() {
        // Bright towards the patient's left, front and top, in three scans of one plane each.
        let geometry = Geometry::axial([8, 6, 4], [1.0, 2.0, 4.0], [0.0; 3]).unwrap();
        let at = |f: &dyn Fn([usize; 3]) -> bool| -> Vec<i16> {
            (0..192).map(|n| if f([n % 8, n / 8 % 6, n / 48]) { 240 } else { -160 }).collect()
        };
        let (trained, run) = (trained(&["heart"]), run());
        let bright_half = |view: View, index: usize, hu: Vec<i16>| {
            let ct = Volume::from_stored(geometry.clone(), hu, Modality::Ct).unwrap();
            let labels = ct.with_voxels(vec![0u8; 192]);
            let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
            let plane = Plane::new(&seg, view, index);
            let [w, h] = plane.size;
            let (pw, ph, grey) = decode(&plane.png([0, 0, w - 1, h - 1], GreyWindow::SoftTissue, 720).unwrap());
            assert_eq!((pw, ph), (w, h));
            let bright: Vec<[usize; 2]> = (0..w * h).filter(|&n| grey[n] == 254).map(|n| [n % w, n / w]).collect();
            assert_eq!(bright.len() * 2, w * h);
            (
                bright.iter().all(|p| p[0] * 2 >= w),
                bright.iter().all(|p| p[1] * 2 < h),
                bright.iter().all(|p| p[0] * 2 < w),
            )
        };
        let (left, front, top): (_, _, _) = (at(&|p| p[0] >= 4), at(&|p| p[1] < 3), at(&|p| p[2] >= 2));
        assert!(bright_half(View::Axial, 1, left.clone()).0, "patient's left in the right half");
        assert!(bright_half(View::Coronal, 2, left).0, "patient's left in the right half");
        assert!(bright_half(View::Axial, 1, front.clone()).1, "front in the upper half");
        assert!(bright_half(View::Sagittal, 3, front).2, "front in the left half");
        assert!(bright_half(View::Coronal, 2, top.clone()).1, "head in the upper half");
        assert!(bright_half(View::Sagittal, 3, top).1, "head in the upper half");
    }

    #[test]
    fn the_box_holds_the_body_and_not_the_couch() {
        let (w, h) = (200, 160);
        let mut hu = vec![-1000i16; w * h];
        for y in 0..h {
            for x in 0..w {
                let body = ((x as f32 - 100.0) / 70.0).powi(2) + ((y as f32 - 70.0) / 50.0).powi(2) < 1.0;
                let couch = (10..190).contains(&x) && (140..143).contains(&y);
                if body || couch {
                    hu[x + w * y] = 20;
                }
            }
        }
        let plane = Plane { size: [w, h], spacing: [1.0; 2], hu, labels: vec![0; w * h] };
        let [x0, y0, x1, y1] = plane.body_box();
        assert!((29..=32).contains(&x0) && (168..=171).contains(&x1), "{x0} {x1}");
        assert!((19..=22).contains(&y0) && (118..=121).contains(&y1), "{y0} {y1}");
        assert_eq!(plane.window([x0, y0, x1, y1]), GreyWindow::SoftTissue);
    }

    #[test]
    fn reduced_pictures_keep_the_mean_and_stay_within_the_limit() {
        let hu: Vec<i16> = (0..1000 * 10).map(|n| if n % 2 == 0 { -160 } else { 240 }).collect();
        let plane = Plane { size: [1000, 10], spacing: [1.0; 2], hu, labels: vec![0; 10_000] };
        let (w, h, grey) = decode(&plane.png([0, 0, 999, 9], GreyWindow::SoftTissue, 720).unwrap());
        assert_eq!((w, h), (500, 10));
        assert!(grey.iter().all(|&g| (126..=128).contains(&g)));
    }

    #[test]
    fn greys_rise_with_hu_and_viridis_runs_from_purple_to_yellow() {
        for window in [GreyWindow::SoftTissue, GreyWindow::SoftTissueAndLung] {
            let greys: Vec<u8> = (-1100..400).map(|hu| window.grey(hu as f32)).collect();
            assert!(greys.windows(2).all(|p| p[0] <= p[1]));
            assert_eq!((greys[0], greys[1499]), (0, 254));
        }
        assert!(GreyWindow::SoftTissueAndLung.grey(-600.0) > 20 && GreyWindow::SoftTissue.grey(-600.0) == 0);
        let map = viridis();
        assert_eq!((map[0], map[255], map[85]), ([68, 1, 84], [253, 231, 37], [0x31, 0x68, 0x8e]));
        let light = |c: [u8; 3]| 0.2126 * f32::from(c[0]) + 0.7152 * f32::from(c[1]) + 0.0722 * f32::from(c[2]);
        assert!(map.windows(2).all(|p| light(p[1]) >= light(p[0]) - 1.0));
    }
}
