//! Slices drawn by the real callbacks on whatever device this machine has, checked against closed forms.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::volume::{CtVolume, Geometry, Modality};
use eframe::egui_wgpu::{RenderState, RendererOptions};
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};

use super::*;
use crate::display::{Layout, Overlay, Plane};
use crate::document::bench::Bench;
use crate::document::{Reference, Study, WhatIf};
use crate::edit::{ByteLayer, ByteSlices};
use crate::views;
use crate::worker::PackedMargin;

/// The views alone in a window whose room for them is 400 x 300 points, at (8, 8).
pub(crate) struct Rig {
    pub harness: Harness<'static, Bench>,
    pub render_state: RenderState,
}

pub(crate) const ROOM: [f32; 4] = [8.0, 8.0, 400.0, 300.0];

impl Rig {
    pub fn new(state: Bench) -> Self {
        Self::with(state, |_| {})
    }

    /// On a device with less capacity.
    pub fn with(state: Bench, change: impl FnOnce(&mut Capacity)) -> Self {
        let render_state = create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE);
        let mut capacity = Capacity::of(&render_state.device.limits());
        change(&mut capacity);
        install_with(&render_state, capacity);
        let device = render_state.clone();
        let harness = Harness::builder()
            .with_size([416.0, 316.0])
            .with_render_cursor(false)
            .with_max_steps(64)
            .renderer(WgpuTestRenderer::from_render_state(render_state.clone()))
            .build_ui_state(
                move |ui, state| {
                    let Bench { document, outbox } = state;
                    views::show(ui, document, outbox);
                    upload(&device, ui.ctx(), document, &mut outbox.notices);
                },
                state,
            );
        Self { harness, render_state }
    }

    pub fn state(&mut self) -> &mut Bench {
        self.harness.state_mut()
    }

    pub fn image(&mut self) -> Picture {
        self.harness.run();
        let image = self.harness.render().unwrap();
        assert!(self.state().outbox.notices.is_empty(), "{:?}", self.state().outbox.notices);
        Picture { width: image.width() as usize, rgba: image.into_raw() }
    }

    fn slices_uploaded(&self) -> usize {
        let renderer = self.render_state.renderer.read();
        renderer.callback_resources.get::<Renderer>().unwrap().study.as_ref().unwrap().slices_uploaded
    }
}

#[derive(PartialEq)]
pub(crate) struct Picture {
    width: usize,
    rgba: Vec<u8>,
}

impl Picture {
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let n = 4 * (x + self.width * y);
        [self.rgba[n], self.rgba[n + 1], self.rgba[n + 2]]
    }

    /// Pixels of a view that `wanted` holds for; the slider at the right edge is left out.
    fn count(&self, wanted: impl Fn([u8; 3]) -> bool) -> usize {
        self.pixels(wanted).len()
    }

    fn pixels(&self, wanted: impl Fn([u8; 3]) -> bool) -> Vec<[usize; 2]> {
        let all = (8..308).flat_map(|y| (8..385).map(move |x| [x, y]));
        all.filter(|&[x, y]| wanted(self.at(x, y))).collect()
    }

    fn centroid(&self, wanted: impl Fn([u8; 3]) -> bool) -> [f64; 2] {
        let pixels = self.pixels(wanted);
        assert!(!pixels.is_empty());
        [0, 1].map(|n| pixels.iter().map(|p| p[n] as f64 + 0.5).sum::<f64>() / pixels.len() as f64)
    }
}

const WHITE: [u8; 3] = [255; 3];

/// A study of one view: the plane alone, no crosshair, voxels as they are.
pub(crate) fn study_of(geometry: Geometry, hu: impl Fn([usize; 3]) -> i16, plane: Plane) -> Bench {
    let [nx, ny, nz] = geometry.size;
    let mut voxels = Vec::with_capacity(geometry.voxel_count());
    for k in 0..nz {
        for j in 0..ny {
            voxels.extend((0..nx).map(|i| hu([i, j, k])));
        }
    }
    let ct = CtVolume::from_stored(geometry, voxels, Modality::Ct).unwrap();
    let mut state = Bench::default();
    state.outbox.last_number = 1;
    state.view.reset(ct.geometry.size);
    state.study = Some(Study::of_ct(1, "phantom".into(), ct.into()));
    state.view.main = plane;
    state.view.crosshair = false;
    state.preferences.layout = Layout::Single;
    state.preferences.interpolate = false;
    state
}

fn set_labels(state: &mut Bench, label: impl Fn([usize; 3]) -> u8) {
    let study = state.study.as_mut().unwrap();
    let [nx, ny, nz] = study.geometry().size;
    for k in 0..nz {
        let slice: Vec<u8> = (0..nx * ny).map(|n| label([n % nx, n / nx, k])).collect();
        study.labels.apply_run_slice(k, &slice);
    }
}

const SIZE: [usize; 3] = [60, 50, 20];
const SPACING: [f64; 3] = [1.0, 1.0, 2.5];
/// On the patient's left, in front, near the head.
const MARKER: [usize; 3] = [48, 12, 15];

fn geometry() -> Geometry {
    Geometry::axial(SIZE, SPACING, [0.0; 3]).unwrap()
}

/// Soft tissue in air, with a bright cube of 5 x 5 x 3 voxels that is not in the middle of anything.
pub(crate) fn phantom(plane: Plane) -> Bench {
    let hu = |voxel: [usize; 3]| {
        let off: [usize; 3] = std::array::from_fn(|a| voxel[a].abs_diff(MARKER[a]));
        let body = ((voxel[0] as f64 - 29.5) / 28.0).powi(2) + ((voxel[1] as f64 - 24.5) / 23.0).powi(2) <= 1.0;
        match body {
            _ if off[0] <= 2 && off[1] <= 2 && off[2] <= 1 => 2000,
            true => 40,
            false => -1000,
        }
    };
    let mut state = study_of(geometry(), hu, plane);
    state.view.cursor = MARKER;
    state.view.window = crate::display::DisplayWindow { width: 2000.0, level: 0.0 };
    state
}

/// Points for each millimetre with which a plane of the phantom just fits into 400 x 300 points.
const SCALE: f64 = 6.0;

/// Where the marker must be: millimetres from the middle of the volume, right and down.
fn marker_on_screen(plane: Plane) -> [f64; 2] {
    let [left, posterior, superior] =
        std::array::from_fn(|a| (MARKER[a] as f64 - (SIZE[a] - 1) as f64 / 2.0) * SPACING[a]);
    let [right, down] = match plane {
        Plane::Axial => [left, posterior],
        Plane::Coronal => [left, -superior],
        Plane::Sagittal => [posterior, -superior],
    };
    [208.0 + SCALE * right, 158.0 + SCALE * down]
}

#[test]
fn the_marker_is_where_the_convention_puts_it_in_every_plane() {
    for plane in Plane::ALL {
        for interpolate in [false, true] {
            let mut state = phantom(plane);
            state.preferences.interpolate = interpolate;
            let image = Rig::new(state).image();
            let (found, wanted) = (image.centroid(|p| p == WHITE), marker_on_screen(plane));
            assert!((0..2).all(|n| (found[n] - wanted[n]).abs() < 1.0), "{plane:?}: {found:?}, not {wanted:?}");
        }
    }
}

#[test]
fn labels_lie_on_what_they_label_in_every_plane() {
    for plane in Plane::ALL {
        let mut state = phantom(plane);
        set_labels(&mut state, |voxel| {
            let inside = voxel[0].abs_diff(48) <= 2 && voxel[1].abs_diff(12) <= 2 && voxel[2].abs_diff(15) <= 1;
            if inside { Organ::Liver.label() } else { 0 }
        });
        let style = &mut state.view.styles[Organ::Liver.index()];
        (style.colour, style.opacity, style.outline) = ([255, 0, 0], 1.0, false);
        let image = Rig::new(state).image();
        let (found, wanted) = (image.centroid(|p| p == [255, 0, 0]), marker_on_screen(plane));
        assert!((0..2).all(|n| (found[n] - wanted[n]).abs() < 0.6), "{plane:?}: {found:?}, not {wanted:?}");
        assert_eq!(image.count(|p| p == WHITE), 0, "{plane:?}: the label covers the whole marker");
    }
}

#[test]
fn a_sphere_is_round_whatever_the_spacing() {
    for plane in Plane::ALL {
        let hu = |voxel: [usize; 3]| {
            let mm: f64 = (0..3).map(|a| ((voxel[a] as f64 - (SIZE[a] - 1) as f64 / 2.0) * SPACING[a]).powi(2)).sum();
            if mm <= 18.0 * 18.0 { 2000 } else { -1000 }
        };
        let mut state = study_of(geometry(), hu, plane);
        state.preferences.interpolate = true;
        let mut rig = Rig::new(state);
        let bright = rig.image().pixels(|p| p == WHITE);
        let extent = [0, 1].map(|n| {
            let along = bright.iter().map(|p| p[n]);
            (along.clone().max().unwrap() - along.min().unwrap()) as f64 / SCALE
        });
        // 36 mm across; a voxel of 1 or 2.5 mm more or less.
        assert!(extent.iter().all(|mm| (mm - 36.0).abs() < 2.6), "{plane:?}: {extent:?} mm");
    }
}

#[test]
fn greys_are_those_of_the_dicom_formula() {
    let mut rig = Rig::new(study_of(geometry(), |[i, ..]| 10 * i as i16 - 250, Plane::Axial));
    for (width, level) in [(350.0, 50.0), (80.0, 40.0), (1.0, 0.0), (1500.0, -600.0)] {
        for inverted in [false, true] {
            let view = &mut rig.state().view;
            view.window = crate::display::DisplayWindow { width, level };
            view.inverted = inverted;
            let image = rig.image();
            for i in 0..60 {
                // The six pixels of voxel i begin at 28 + 6 i.
                let [shown, green, blue] = image.at(31 + 6 * i, 120);
                let (x, w, c) = (10.0 * i as f64 - 250.0, f64::from(width), f64::from(level));
                let y = match x {
                    _ if x <= c - 0.5 - (w - 1.0) / 2.0 => 0.0,
                    _ if x > c - 0.5 + (w - 1.0) / 2.0 => 1.0,
                    _ => (x - (c - 0.5)) / (w - 1.0) + 0.5,
                };
                let wanted = 255.0 * if inverted { 1.0 - y } else { y };
                assert!(shown == green && shown == blue);
                assert!((f64::from(shown) - wanted).abs() < 0.51, "HU {x}, {width}/{level}: {shown}, not {wanted}");
            }
        }
    }
}

#[test]
fn interpolation_is_linear_in_the_plane() {
    let mut state = study_of(geometry(), |[i, ..]| 10 * i as i16 - 250, Plane::Axial);
    state.preferences.interpolate = true;
    state.view.window = crate::display::DisplayWindow { width: 601.0, level: 0.5 };
    let image = Rig::new(state).image();
    for x in 40..360 {
        let i = (x as f64 + 0.5 - 208.0) / SCALE + 29.5;
        let y = (10.0 * i - 250.0) / 600.0 + 0.5;
        assert!(
            (f64::from(image.at(x, 120)[0]) - 255.0 * y).abs() < 0.6,
            "{x}: {:?}, not {}",
            image.at(x, 120),
            255.0 * y
        );
    }
}

#[test]
fn outlines_are_a_pixel_and_a_half_wide_at_any_zoom() {
    for zoom in [0.5, 1.0, 4.0, 20.0] {
        for smooth in [false, true] {
            let mut state = study_of(geometry(), |_| 0, Plane::Axial);
            set_labels(&mut state, |[i, ..]| if i >= 30 { Organ::Liver.label() } else { 0 });
            state.preferences.interpolate = smooth;
            state.view.cameras[0].zoom = zoom;
            let style = &mut state.view.styles[Organ::Liver.index()];
            (style.colour, style.fill) = ([255, 0, 0], false);
            let image = Rig::new(state).image();
            // The boundary is at i = 29.5, the middle of the view, and the outline lies inside the organ.
            let row: Vec<usize> = (150..250).filter(|&x| image.at(x, 158) == [255, 0, 0]).collect();
            assert!(row == [208] || row == [208, 209], "zoom {zoom}: {row:?}");
        }
    }
}

#[test]
fn fill_blends_with_the_grey_below() {
    let mut state = study_of(geometry(), |_| 0, Plane::Axial);
    state.view.window = crate::display::DisplayWindow { width: 401.0, level: 100.5 };
    set_labels(&mut state, |_| Organ::Liver.label());
    let style = &mut state.view.styles[Organ::Liver.index()];
    (style.colour, style.opacity, style.outline) = ([200, 100, 0], 0.5, false);
    state.view.opacity = 0.5;
    let mut rig = Rig::new(state);
    // Grey is a quarter of 255; the fill counts a quarter.
    let wanted = [200.0, 100.0, 0.0].map(|c| 0.75 * 63.75 + 0.25 * c);
    let close = |found: [u8; 3], wanted: [f64; 3]| (0..3).all(|n| (f64::from(found[n]) - wanted[n]).abs() < 0.6);
    assert!(close(rig.image().at(150, 120), wanted), "{:?}", rig.image().at(150, 120));
    rig.state().view.solo = Some(Organ::Heart);
    assert!(close(rig.image().at(150, 120), [63.75; 3]), "an organ that is not alone is hidden");
}

/// Stripes of organs along every axis, so that slabs and slices cannot be mistaken for each other.
fn stripes(voxel: [usize; 3]) -> u8 {
    ((voxel[0] / 7 + 3 * (voxel[1] / 9) + 5 * voxel[2]) % 12) as u8
}

#[test]
fn slabs_make_the_same_picture_as_one_texture() {
    for plane in Plane::ALL {
        for zoom in [1.0, 7.0] {
            let picture = |layers: Option<usize>| {
                let mut state = study_of(geometry(), |[i, j, k]| (i * 7 + j * 3 + k * 20) as i16, plane);
                set_labels(&mut state, stripes);
                state.preferences.interpolate = true;
                state.view.cameras = [crate::display::Camera { zoom, ..Default::default() }; 3];
                Rig::with(state, |capacity| capacity.layers = layers.unwrap_or(capacity.layers)).image()
            };
            let whole = picture(None);
            assert!(picture(Some(8)) == whole && picture(Some(5)) == whole, "{plane:?} at zoom {zoom}");
        }
    }
}

#[test]
fn a_changed_slice_is_uploaded_alone() {
    let mut state = study_of(geometry(), |_| 0, Plane::Axial);
    set_labels(&mut state, |_| Organ::Heart.label());
    let style = &mut state.view.styles[Organ::Liver.index()];
    (style.colour, style.opacity, style.outline) = ([255, 0, 0], 1.0, false);
    state.view.cursor[2] = 7;
    let mut rig = Rig::new(state);
    let red = |p| p == [255, 0, 0];
    assert_eq!((rig.image().count(red), rig.slices_uploaded()), (0, 2 * SIZE[2]));
    let labels = vec![Organ::Liver.label(); SIZE[0] * SIZE[1]];
    rig.state().study.as_mut().unwrap().labels.apply_run_slice(7, &labels);
    assert!(rig.image().count(red) > 90_000, "slice 7 is all red but for the text over it");
    assert_eq!(rig.slices_uploaded(), 2 * SIZE[2] + 1);
    for k in [6, 8] {
        rig.state().view.cursor[2] = k;
        assert_eq!(rig.image().count(red), 0, "slice {k} has not changed");
    }
}

#[test]
fn labels_that_nobody_made_are_not_uploaded() {
    let mut state = study_of(geometry(), |_| 0, Plane::Axial);
    let style = &mut state.view.styles[Organ::Liver.index()];
    (style.colour, style.opacity, style.outline) = ([255, 0, 0], 1.0, false);
    state.view.overlay = Overlay::Uncertainty;
    let mut rig = Rig::new(state);
    let red = |p| p == [255, 0, 0];
    assert_eq!((rig.image().count(red), rig.slices_uploaded()), (0, SIZE[2]));
    let k = rig.state().view.slice();
    let labels = vec![Organ::Liver.label(); SIZE[0] * SIZE[1]];
    rig.state().study.as_mut().unwrap().labels.apply_run_slice(k, &labels);
    assert!(rig.image().count(red) > 90_000);
    assert_eq!(rig.slices_uploaded(), SIZE[2] + 1);
}

#[test]
fn a_large_volume_arrives_over_frames_with_the_slice_on_screen_first() {
    let mut state = study_of(geometry(), |_| 3000, Plane::Axial);
    state.view.cursor[2] = 13;
    // One CT slice is 6000 bytes.
    let mut rig = Rig::with(state, |capacity| capacity.frame_bytes = 6000);
    let ready = |rig: &Rig| {
        let renderer = rig.render_state.renderer.read();
        renderer.callback_resources.get::<Renderer>().unwrap().study.as_ref().unwrap().ready()
    };
    install_with(&rig.render_state, Capacity { frame_bytes: 6000, ..Capacity::of(&rig.render_state.device.limits()) });
    rig.harness.step();
    assert_eq!(ready(&rig), 13..14);
    rig.harness.step();
    rig.harness.step();
    assert_eq!(ready(&rig), 12..15);
    assert!(rig.image().count(|p| p == WHITE) > 80_000);
    assert_eq!(ready(&rig), 0..SIZE[2], "it goes on until all is there");
}

#[test]
fn a_ct_that_does_not_fit_is_one_notice() {
    let mut rig = Rig::with(phantom(Plane::Axial), |capacity| capacity.side = 40);
    rig.harness.run();
    rig.harness.run();
    rig.harness.render().unwrap();
    let notices: Vec<_> = rig.state().outbox.notices.iter().map(|n| n.text.clone()).collect();
    assert!(notices.len() == 1 && notices[0].contains("60 x 50 voxels"), "{notices:?}");
}

#[test]
fn another_device_gets_everything_again() {
    let mut state = phantom(Plane::Coronal);
    set_labels(&mut state, stripes);
    let mut rig = Rig::new(state);
    let before = rig.image();
    install(&rig.render_state);
    assert!(rig.image() == before);
}

#[test]
fn what_if_labels_take_the_place_of_their_slice_alone() {
    let mut state = study_of(geometry(), |_| 0, Plane::Axial);
    let style = &mut state.view.styles[Organ::Liver.index()];
    (style.colour, style.opacity, style.outline) = ([255, 0, 0], 1.0, false);
    let labels = Some(vec![Organ::Liver.label(); SIZE[0] * SIZE[1]]);
    let (own, answer, revision, differing) = (None, None, 0, labels.clone());
    state.study.as_mut().unwrap().what_if =
        Some(WhatIf { slice: 9, attention: [1.0; 33], asked: 1, own, answer, labels, differing, revision });
    state.view.cursor[2] = 9;
    let mut rig = Rig::new(state);
    let red = |p| p == [255, 0, 0];
    assert!(rig.image().count(red) > 90_000);
    rig.state().view.cursor[2] = 8;
    assert_eq!(rig.image().count(red), 0);
    rig.state().view.main = Plane::Coronal;
    let rows = rig.image().pixels(red);
    let (top, bottom) = (rows.iter().map(|p| p[1]).min().unwrap(), rows.iter().map(|p| p[1]).max().unwrap());
    // Slice 9 is 2.5 mm high, half a slice below the middle of 20.
    assert_eq!((top, bottom), (158, 172));
    // As "removed by attention" they are striped over the network's own labels.
    rig.state().view.overlay = Overlay::RemovedByAttention;
    assert_eq!(rig.image().count(red), 0);
    assert!(rig.image().count(|[r, g, b]| r > 200 && g < 40 && b < 40) > 1000);
    // Not what else differs from the picture: edits over the network's labels, or what a file brought.
    let what_if = rig.state().study.as_mut().unwrap().what_if.as_mut().unwrap();
    what_if.differing.as_mut().unwrap().fill(0);
    assert_eq!(rig.image().count(|[r, g, b]| r > 200 && g < 40 && b < 40), 0);
    rig.state().study.as_mut().unwrap().what_if = None;
    assert_eq!(rig.image().count(|[r, g, b]| r > 200 && g < 40 && b < 40), 0);
}

#[test]
fn the_difference_to_a_reference_has_three_colours() {
    let mut state = study_of(geometry(), |_| -1000, Plane::Axial);
    let (liver, heart) = (Organ::Liver.label(), Organ::Heart.label());
    // Four quarters across: here only, there only, other organ there, the same.
    set_labels(&mut state, |[i, ..]| [liver, 0, liver, liver][i / 15]);
    let there: Vec<u8> = (0..SIZE.iter().product()).map(|n| [0, liver, heart, liver][n % SIZE[0] / 15]).collect();
    for organ in [Organ::Liver, Organ::Heart] {
        state.view.styles[organ.index()].outline = false;
    }
    let labels = ByteLayer::from_slices(SIZE, &ByteSlices::cut(&there, SIZE[0] * SIZE[1])).unwrap();
    let reference = Reference { name: String::new(), labels, metrics: Vec::new(), asked: None, revision: 0 };
    state.study.as_mut().unwrap().reference = Some(reference);
    state.view.overlay = Overlay::Difference;
    let mut rig = Rig::new(state);
    let image = rig.image();
    let quarter = |n: usize| image.at(73 + 90 * n, 120);
    for (n, colour) in [ONLY_HERE, ONLY_THERE, ANOTHER, [0; 3]].into_iter().enumerate() {
        let off = (0..3).map(|c| (f64::from(quarter(n)[c]) - 0.75 * f64::from(colour[c])).abs());
        assert!(off.fold(0.0, f64::max) < 0.6, "quarter {n}: {:?}, not three quarters of {colour:?}", quarter(n));
    }
}

#[test]
fn what_the_network_is_unsure_of_glows() {
    let mut state = study_of(geometry(), |_| -1000, Plane::Axial);
    let k = state.view.slice();
    let margin: Vec<u8> = (0..SIZE[0] * SIZE[1]).map(|n| [255, 128, 0][n % SIZE[0] / 20]).collect();
    state.study.as_mut().unwrap().margin.set(k, PackedMargin::of(&margin));
    state.view.overlay = Overlay::Uncertainty;
    let image = Rig::new(state).image();
    let [sure, half, unsure] = [88, 208, 328].map(|x| u32::from(image.at(x, 120)[0]));
    assert!(sure == 0 && half > 60 && unsure > half + 60, "{sure} {half} {unsure}");
}
