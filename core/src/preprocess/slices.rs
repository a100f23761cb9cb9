//! A volume as the network sees it, slice by slice: mask, filter, stack, made when asked for.

use super::stack::{centred_origin, tile_origins};
use super::{
    AIR_HU, Body, Centres, FieldBox, InPlaneFilter, InputConfig, ModelGrid, PreprocessError, crop_stack, stack_weights,
};
use crate::volume::CtVolume;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A CT on the model grid, streamed: holds the CT it was given, the coarse body mask and a few slices.
#[derive(Debug)]
pub struct ModelSlices {
    ct: Arc<CtVolume>,
    body: Arc<Body>,
    config: InputConfig,
    grid: ModelGrid,
    filter: InPlaneFilter,
    /// Slices used last, the most recent at the back.
    recent: Mutex<VecDeque<(usize, Arc<[f32]>)>>,
    capacity: usize,
}

impl ModelSlices {
    /// Finds the body and prepares the filter. Takes about a second for 512 x 512 x 600.
    ///
    /// # Errors
    /// [`PreprocessError`] for a senseless configuration or field of view.
    pub fn new(ct: Arc<CtVolume>, config: &InputConfig) -> Result<Self, PreprocessError> {
        config.validate()?;
        let body = Arc::new(Body::find(&ct));
        Self::with_body(ct, body, config)
    }

    /// With a body that is known already.
    ///
    /// # Errors
    /// As for [`ModelSlices::new`].
    ///
    /// # Panics
    /// When `body` was found in a volume of another size.
    pub fn with_body(ct: Arc<CtVolume>, body: Arc<Body>, config: &InputConfig) -> Result<Self, PreprocessError> {
        config.validate()?;
        assert_eq!(body.size(), ct.geometry.size, "the body of this volume");
        let grid = ModelGrid::new(&ct.geometry, config)?;
        let filter = InPlaneFilter::new(&grid, config);
        // Two neighbouring stacks share all but a few slices, and a run goes outwards on both sides of the slice on screen by turns: with
        // room for one side alone each stack would be made anew from all of its slices (33 of a scan of 0.46 mm). A side may be a stack
        // ahead of the other, where two threads make them.
        let distance = config.slice_distance_mm.map_or(1.0, |mm| (mm / grid.slice_mm).max(1.0));
        let side = (distance * (config.stack + 1) as f64).ceil() as usize + 4;
        let capacity = (2 * side).min(grid.slices.max(1));
        Ok(Self { ct, body, config: config.clone(), grid, filter, recent: Mutex::new(VecDeque::new()), capacity })
    }

    /// The model grid of this volume.
    pub fn grid(&self) -> &ModelGrid {
        &self.grid
    }

    /// The body mask.
    pub fn body(&self) -> &Arc<Body> {
        &self.body
    }

    /// The CT.
    pub fn ct(&self) -> &Arc<CtVolume> {
        &self.ct
    }

    /// The configuration.
    pub fn config(&self) -> &InputConfig {
        &self.config
    }

    /// How input pixels become model pixels.
    pub fn filter(&self) -> &InPlaneFilter {
        &self.filter
    }

    /// HU of slice `k` within a box of input pixels, outside the body -1000, for who filters them elsewhere: piece by piece handed to
    /// `write` with the place that it comes to, in rows that are `pitch` long. What of a row lies past the box is -1000, too.
    ///
    /// # Panics
    /// When there is no such slice or box, or rows are longer than the pitch.
    pub fn masked(
        &self,
        k: usize,
        [columns, rows]: &[Range<usize>; 2],
        pitch: usize,
        mut write: impl FnMut(usize, &[i16]),
    ) {
        let slice = self.ct.slice(k);
        let width = self.grid.input_size[0];
        let air = vec![AIR_HU as i16; pitch];
        for (n, j) in rows.clone().enumerate() {
            let mut done = 0;
            for part in self.body.row(j, k) {
                let part = part.start.max(columns.start + done)..part.end.min(columns.end);
                if !part.is_empty() {
                    let [first, end] = [part.start, part.end].map(|i| i - columns.start);
                    write(n * pitch + done, &air[done..first]);
                    write(n * pitch + first, &slice[j * width..][part]);
                    done = end;
                }
            }
            write(n * pitch + done, &air[done..]);
        }
    }

    /// Input slice `k` on the model grid, `[h, w]` in HU: outside the body -1000, low-passed, sampled.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn slice_hu(&self, k: usize) -> Arc<[f32]> {
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = recent.iter().position(|(n, _)| *n == k)
                && let Some(entry) = recent.remove(at)
            {
                let slice = entry.1.clone();
                recent.push_back(entry);
                return slice;
            }
        }
        // Made outside the lock: several threads may want several slices.
        let slice: Arc<[f32]> = self.filter.apply(&self.ct, &self.body, k).into();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if !recent.iter().any(|(n, _)| *n == k) {
            if recent.len() >= self.capacity {
                recent.pop_front();
            }
            recent.push_back((k, slice.clone()));
        }
        slice
    }

    /// [`stack_weights`] for this volume.
    pub fn stack_weights(&self, k: usize, offset: isize) -> Vec<(usize, f32)> {
        stack_weights(self.grid.slice_mm, self.grid.slices, &self.config, k, offset)
    }

    /// Top-left model pixel `[x, y]` of the crop centred on the (smoothed) centre of the body at slice `k`: the place
    /// that training takes before it shifts anything.
    pub fn centre_origin(&self, k: usize) -> [i64; 2] {
        let centre = self.body.centre(k);
        [0, 1].map(|a| centred_origin(self.grid.to_model(a, centre[a]), self.config.crop))
    }

    /// Top-left model pixels `[x, y]` of the crops that cover the body at slice `k`, for all channels of its stack.
    ///
    /// One, at [`ModelSlices::centre_origin`] or moved just so far that the body lies inside. Where the body is wider than
    /// the crop: overlapping tiles from edge to edge, left to right, then down (with the shipped preset two).
    pub fn origins(&self, k: usize) -> Vec<[i64; 2]> {
        let Some(extent) = self.body.extent(k) else {
            return vec![self.centre_origin(k)];
        };
        let centre = self.body.centre(k);
        let [across, down] = [0, 1].map(|a| {
            let [low, high] = extent[a].map(|edge| self.grid.to_model(a, edge));
            tile_origins(low, high, self.grid.to_model(a, centre[a]), self.config.crop)
        });
        down.iter().flat_map(|&y| across.iter().map(move |&x| [x, y])).collect()
    }

    /// The stack around slice `k`: `[stack, crop, crop]` intensities in [0, 1]; outside the field of view as air.
    pub fn stack(&self, k: usize, origin: [i64; 2]) -> Vec<f32> {
        crop_stack(|n| self.slice_hu(n), &self.grid, &self.config, k, origin)
    }

    /// The box of the field at `origin` that holds all that may be seen in the stack around slice `k`, known from the body alone: what a
    /// stack shows of it lies within ([`FieldBox::around`] is as tight as what is there).
    pub fn seen_box(&self, k: usize, origin: [i64; 2]) -> FieldBox {
        let half = (self.config.stack / 2) as isize;
        let of_channel = |channel| self.stack_weights(k, channel).into_iter();
        let bounds = (-half..=half).flat_map(of_channel).filter_map(|(slice, _)| self.body.bounds(slice));
        let hull = bounds.reduce(|a, b| [0, 1].map(|n| a[n].start.min(b[n].start)..a[n].end.max(b[n].end)));
        let seen = hull.map_or([0..0, 0..0], |hull| [0, 1].map(|axis| self.filter.shows(axis, &hull[axis])));
        let [columns, rows] = [0, 1].map(|a| {
            let [first, end] = [seen[a].start, seen[a].end].map(|n| (n as i64).saturating_sub(origin[a]));
            first..end
        });
        FieldBox::of(self.config.crop, columns, rows)
    }

    /// Which slices are run, and how the others follow.
    pub fn centres(&self) -> Centres {
        Centres::new(self.grid.slice_mm, self.grid.slices, &self.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::crop_stack_hu;
    use crate::volume::{Geometry, Modality, Volume};

    /// As [`ModelSlices::stack`], in HU.
    fn stack_hu(slices: &ModelSlices, k: usize, origin: [i64; 2]) -> Vec<f32> {
        crop_stack_hu(|n| slices.slice_hu(n), slices.grid(), &slices.config, k, origin)
    }

    /// A CT from a function of mm from the middle of the image and of the slice.
    fn ct(n: usize, spacing: [f64; 3], slices: usize, hu: impl Fn(f64, f64, usize) -> i16) -> CtVolume {
        let g = Geometry::axial([n, n, slices], spacing, [0.0; 3]).unwrap();
        let at = |v: usize, s: f64| (v as f64 - (n as f64 - 1.0) / 2.0) * s;
        let voxels =
            (0..n * n * slices).map(|v| hu(at(v % n, spacing[0]), at(v / n % n, spacing[1]), v / (n * n))).collect();
        Volume::from_stored(g, voxels, Modality::Ct).unwrap()
    }

    #[test]
    fn an_asymmetric_patient_stays_on_the_left() {
        let ct = ct(128, [3.9, 3.9, 2.5], 4, |x, y, _| {
            if (x - 70.0).hypot(y + 20.0) < 50.0 {
                if (x - 100.0).hypot(y + 20.0) < 12.0 { 800 } else { 0 }
            } else {
                -1000
            }
        });
        let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
        let (grid, image) = (slices.grid().clone(), slices.slice_hu(2));
        let (w, mut bone, mut sum) = (grid.size[0], [0.0; 2], 0.0);
        for (p, &hu) in image.iter().enumerate() {
            let weight = f64::from((hu - 200.0).max(0.0));
            bone = [bone[0] + weight * (p % w) as f64, bone[1] + weight * (p / w) as f64];
            sum += weight;
        }
        let mm = |a: usize| (bone[a] / sum - (grid.size[a] as f64 - 1.0) / 2.0) * 3.0;
        assert!((mm(0) - 100.0).abs() < 1.5 && (mm(1) + 20.0).abs() < 1.5, "{} {}", mm(0), mm(1));
        let [x, y] = slices.centre_origin(2);
        let (cx, cy) = grid.input_to_model(slices.body().centre(2)[0], slices.body().centre(2)[1]);
        assert!((x as f64 + 79.5 - cx).abs() <= 0.5 && (y as f64 + 79.5 - cy).abs() <= 0.5);
        let middle = (grid.size[0] as f64 - 1.0) / 2.0;
        assert!(((cx - middle) * 3.0 - 70.0).abs() < 4.0);
    }

    #[test]
    fn outside_the_body_is_air_and_the_cache_changes_nothing() {
        let ct = ct(90, [2.0, 2.0, 1.0], 30, |x, y, k| {
            if x.hypot(y) < 50.0 {
                (k as i16) * 10
            } else if y > 75.0 {
                100
            } else {
                -940
            }
        });
        let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
        let first: Vec<_> = (0..30).map(|k| slices.slice_hu(k)).collect();
        for k in (0..30).rev() {
            assert_eq!(slices.slice_hu(k), first[k]);
        }
        let [w, h] = slices.grid().size;
        for (x, y) in [(0, 0), (w / 2, h - 1), (w - 1, 0)] {
            assert_eq!(first[4][y * w + x], AIR_HU);
        }
        assert!((first[4][h / 2 * w + w / 2] - 40.0).abs() < 1e-3);
        // 1 mm slices: the channel 3 mm above slice 10 is the mean of 12, 13, 14, hence 130 HU.
        let [origin] = slices.origins(10)[..] else { panic!("one crop") };
        let stack = stack_hu(&slices, 10, origin);
        let middle = |c: usize| stack[c * 160 * 160 + 80 * 160 + 80];
        assert!((middle(3) - 130.0).abs() < 1e-3 && (middle(0) - 40.0).abs() < 1e-3, "{} {}", middle(3), middle(0));
        assert!((slices.stack(10, origin)[80 * 160 + 80] - InputConfig::light().intensity(40.0)).abs() < 1e-5);
    }

    #[test]
    fn a_body_wider_than_the_crop_gets_two_tiles_that_cover_it() {
        let ct = ct(200, [3.0, 3.0, 3.0], 2, |x, y, _| if (x / 270.0).hypot(y / 120.0) < 1.0 { 0 } else { -1000 });
        let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
        let origins = slices.origins(0);
        assert_eq!(origins.len(), 2);
        assert_eq!(origins[0][1], origins[1][1]);
        let [low, high] = slices.body().extent(0).unwrap()[0].map(|i| slices.grid().input_to_model(i, 0.0).0);
        assert!(origins[0][0] as f64 - 0.5 <= low && origins[1][0] as f64 + 159.5 >= high);
        assert!(origins[1][0] - origins[0][0] <= 120);
    }

    #[test]
    fn volumes_of_one_voxel_and_of_odd_shapes_are_no_trouble() {
        for size in [[1, 1, 1], [1, 9, 2], [7, 1, 1], [3, 2, 40]] {
            for spacing in [[0.05, 0.05, 0.1], [0.7, 1.9, 5.0], [12.0, 9.0, 40.0]] {
                let g = Geometry::axial(size, spacing, [0.0; 3]).unwrap();
                for hu in [i16::MIN, -1000, 0, i16::MAX] {
                    let ct = Volume::from_stored(g.clone(), vec![hu; g.voxel_count()], Modality::Ct).unwrap();
                    let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
                    for k in slices.centres().run() {
                        for origin in slices.origins(*k) {
                            assert!(slices.stack(*k, origin).iter().all(|v| (0.0..=1.0).contains(v)));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_volume_streams_through_a_few_slices_on_both_sides_and_each_is_made_once() {
        let ct = Arc::new(ct(32, [3.0, 3.0, 0.625], 400, |x, y, _| if x.hypot(y) < 30.0 { 0 } else { -1000 }));
        let slices = ModelSlices::new(ct, &InputConfig::light()).unwrap();
        let mut order = slices.centres().run().to_vec();
        order.sort_by_key(|&k| (k.abs_diff(200), k < 200));
        let (mut most, mut made, mut before) = (0, 0, Vec::<usize>::new());
        for k in order {
            slices.stack(k, slices.origins(k)[0]);
            let kept: Vec<usize> = slices.recent.lock().unwrap().iter().map(|(n, _)| *n).collect();
            most = most.max(kept.len());
            made += kept.iter().filter(|n| !before.contains(n)).count();
            before = kept;
        }
        // Five slabs of 3 mm and one more, 0.625 mm slices, twice.
        assert!((50..=66).contains(&most), "{most} slices kept");
        assert!(made <= 400, "{made} of 400 slices made");
    }

    #[test]
    fn all_channels_of_a_stack_have_one_origin() {
        // A body that leans: the crop follows it from stack to stack, never within one.
        let ct = ct(128, [3.0, 3.0, 3.0], 30, |x, y, k| {
            if (x - 4.0 * k as f64).hypot(y) < 50.0 { if (x - 50.0).hypot(y) < 12.0 { 900 } else { 0 } } else { -1000 }
        });
        let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
        let (a, b) = (slices.centre_origin(8), slices.centre_origin(14));
        assert!(b[0] - a[0] >= 6 && b[1] == a[1], "{a:?} {b:?}");
        let stack = stack_hu(&slices, 14, b);
        let place = |c: usize| {
            let bright = (0..160 * 160).filter(|p| stack[c * 25600 + p] > 450.0);
            let (n, sum) = bright.fold((0.0, 0.0), |(n, sum), p| (n + 1.0, sum + (p % 160) as f64));
            sum / n
        };
        // The bone stands still while the body moves by 4 mm from slice to slice.
        assert!((0..5).all(|c| (place(c) - place(2)).abs() < 0.1), "{:?}", (0..5).map(place).collect::<Vec<_>>());
    }
    #[test]
    fn what_is_seen_of_a_body_lies_in_the_box_that_is_known_before() {
        // A body that leans and grows, with metal in its skin, in the middle and at the edge of the field of view.
        for (spacing, middle, slice_mm) in [(0.9, 0.0, 1.0), (2.0, 60.0, 2.5), (5.0, 0.0, 5.0), (1.3, -150.0, 0.7)] {
            let n = (380.0 / spacing) as usize;
            let ct = ct(n, [spacing, spacing * 1.1, slice_mm], 12, |x, y, k| {
                let r = (x - middle - 3.0 * k as f64).hypot(y) - 5.0 * k as f64;
                if r > 60.0 { -1000 } else { if r > 57.0 && y > 20.0 { 2900 } else { 30 } }
            });
            let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
            for k in [0, 3, 11] {
                for origin in slices.origins(k) {
                    let (stack, found) = (slices.stack(k, origin), slices.seen_box(k, origin));
                    let tight = FieldBox::around(&stack, 160, 0.0);
                    for (p, &value) in stack.iter().enumerate() {
                        let within = [p % 160, p / 160 % 160];
                        let inside = (0..2).all(|a| within[a].wrapping_sub(found.offset[a]) < found.size[a]);
                        assert!(inside || value < 0.004, "{spacing} mm, slice {k}: {value} at {within:?}, {found:?}");
                    }
                    // It is no larger than it has to be.
                    assert!((0..2).all(|a| found.size[a] <= tight.size[a] + 6), "{spacing} mm: {found:?} {tight:?}");
                }
            }
        }
    }

    #[test]
    fn what_goes_elsewhere_is_the_body_and_air_around_it() {
        let ct = ct(60, [2.0, 2.0, 3.0], 2, |x, y, _| if x.hypot(y) < 40.0 { x as i16 } else { -990 });
        let slices = ModelSlices::new(Arc::new(ct), &InputConfig::light()).unwrap();
        let region = [3..58, 7..50];
        let mut to = vec![7; 43 * 56];
        slices.masked(1, &region, 56, |at, hu| to[at..at + hu.len()].copy_from_slice(hu));
        for (n, &hu) in to.iter().enumerate() {
            let [i, j] = [3 + n % 56, 7 + n / 56];
            let inside = i < 58 && slices.body().contains(i, j, 1);
            assert_eq!(hu, if inside { slices.ct().slice(1)[j * 60 + i] } else { -1000 });
        }
    }
}
