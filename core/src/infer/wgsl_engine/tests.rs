mod broken;
mod f16;

use std::collections::BTreeMap;
use std::sync::Arc;

use attention_anatomy_shaders::network::{Kernel, Stored};
use burn::tensor::Device;

use super::*;
use crate::anatomy::Organ;
use crate::infer::device::{check_network, enumerate};
use crate::infer::volume_run::{Explanation, Message, RunOptions, VolumeRun};
use crate::infer::{LabelOutput, PlanEngine, Tile};
use crate::kernels::wgsl::{Room, Tuning};
use crate::network::gauge::{AttentionGauge, OrganGauge};
use crate::network::{NetworkConfig, weights};
use crate::preprocess::{FieldBox, ModelSlices};
use crate::volume::{CtVolume, Geometry};

const CROP: usize = 32;
const WEIGHTS: &[u8] = include_bytes!("../../../../models/light.safetensors");
const SAMPLE: &[u8] = include_bytes!("../../../../models/sample/neck-chest.nii.gz");

/// The first adapter, if there is one.
fn adapter() -> Option<wgpu::Adapter> {
    let (_, found) = enumerate();
    if found.is_empty() {
        whole_program_tests::not_run("there is no graphics adapter, not even one in software");
    }
    found.into_iter().next()
}

/// A device of it.
fn gpu(source: fn(Kernel, Stored) -> String) -> Option<Gpu> {
    let adapter = adapter()?;
    let tuning = Tuning::of(&adapter.get_info());
    Some(pollster::block_on(Gpu::open_with(&adapter, "gpu", tuning, Stored::F32, source)).unwrap())
}

/// The same network on both engines, the attention of one organ in units.
fn engines(gpu: &Gpu) -> (WgslEngine, PlanEngine) {
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    let network = NetworkConfig { base: 8, levels: 3, stack: 5, attention: true }.init(&Device::flex());
    let liver = OrganGauge { organ: Organ::Liver, unit: 0.4, slices: 20 };
    let network = network.with_gauge(&AttentionGauge { organs: vec![liver] });
    let own = WgslEngine::new(network.clone(), input.clone(), OrganSet::ALL, gpu).unwrap();
    (own, PlanEngine::new(network, input, OrganSet::ALL, "cpu".into()).unwrap())
}

fn stack(brightness: f32, pixels: usize) -> Vec<f32> {
    (0..5 * pixels).map(|i| brightness * ((i * 37 % 101) as f32 / 100.0)).collect()
}

fn tile(field: [i64; 2], within: FieldBox, brightness: f32) -> Tile {
    Tile { place: TilePlace { field, within }, stack: stack(brightness, within.pixels()) }
}

fn slice(slice: usize, brightness: f32) -> SliceRequest {
    let tiles = vec![tile([3, -4], FieldBox::whole(CROP), brightness)];
    SliceRequest { slice, tiles, centre: None, labels: None }
}

fn ask(engine: &mut dyn Engine, request: SliceRequest) -> SliceResult {
    let ticket = engine.submit(request);
    let result = engine.poll(Wait::Yes).unwrap();
    assert_eq!(result.ticket, ticket);
    result
}

fn assert_close(a: &SlicePrediction, b: &SlicePrediction) {
    assert_eq!((a.slice, a.origin, a.size, &a.classes), (b.slice, b.origin, b.size, &b.classes));
    let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(close(&a.probabilities, &b.probabilities));
    assert!(close(&a.attention.unwrap(), &b.attention.unwrap()) && close(&a.regions.unwrap(), &b.regions.unwrap()));
}

/// Boxes at odd places, at the edges, of one pixel; several tiles; then the whole field again, with nothing left of them.
fn boxes_and_tiles() -> [SliceRequest; 7] {
    let boxed = |offset, size| FieldBox { field: CROP, offset, size };
    let whole = FieldBox::whole(CROP);
    let one =
        |slice, within| SliceRequest { slice, tiles: vec![tile([-3, 7], within, 0.8)], centre: None, labels: None };
    let wide = SliceRequest {
        slice: 9,
        tiles: vec![tile([-10, 2], whole, 0.9), tile([6, 2], boxed([3, 5], [22, 9]), 0.4)],
        centre: Some(tile([-2, 2], boxed([0, 1], [32, 30]), 0.6)),
        labels: None,
    };
    [
        one(1, whole),
        one(2, boxed([5, 9], [11, 7])),
        one(3, boxed([0, 0], [32, 13])),
        one(4, boxed([31, 30], [1, 2])),
        one(5, boxed([17, 3], [15, 29])),
        wide,
        one(1, whole),
    ]
}

#[test]
fn probabilities_are_the_processors_for_fields_boxes_and_several_tiles_with_the_kernels_of_every_kind_of_device() {
    for tuning in Tuning::ALL {
        let Some(gpu) = as_if(tuning) else { return };
        let (mut own, mut plan) = engines(&gpu);
        for request in boxes_and_tiles() {
            let found = ask(&mut own, request.clone()).outcome.unwrap();
            assert_close(&found, &ask(&mut plan, request).outcome.unwrap());
        }
        for engine in [&mut own as &mut dyn Engine, &mut plan] {
            engine.set_enabled([Organ::Heart].into_iter().collect());
        }
        assert_close(&ask(&mut own, slice(3, 0.5)).outcome.unwrap(), &ask(&mut plan, slice(3, 0.5)).outcome.unwrap());
    }
}

/// Some slices of the sample, taken for as far apart as it is said.
fn sample(slices: std::ops::Range<usize>, slice_mm: f64) -> CtVolume {
    let ct = crate::formats::read_ct(vec![("neck-chest.nii.gz".into(), SAMPLE.to_vec())]).unwrap();
    let [nx, ny, _] = ct.geometry.size;
    let [sx, sy, _] = ct.geometry.spacing();
    let geometry = Geometry::axial([nx, ny, slices.len()], [sx, sy, slice_mm], [0.0; 3]).unwrap();
    let voxels = slices.flat_map(|k| ct.slice(k).to_vec()).collect();
    crate::volume::Volume::from_stored(geometry, voxels, crate::volume::Modality::Ct).unwrap()
}

/// Labels, margins and counts of all slices.
fn run(engine: &mut dyn Engine, slices: &Arc<ModelSlices>) -> Vec<(Vec<u8>, Vec<u8>, [u32; ORGAN_COUNT])> {
    let mut run = VolumeRun::new(slices.clone(), &RunOptions { explain: true, ..RunOptions::default() });
    let mut found = vec![None; slices.grid().slices];
    while !run.is_over() {
        for message in run.advance(engine, Wait::Yes) {
            match message {
                Message::SliceDone { slice, labels, explanation, doubt } => {
                    let explanation = explanation.unwrap();
                    assert_eq!(*doubt.unwrap(), Doubt::of(&labels, &explanation.margin), "counted where it is made");
                    let removed = explanation.removed.unwrap_or([0; ORGAN_COUNT]);
                    assert!(
                        found[slice].replace((labels, explanation.margin, removed)).is_none(),
                        "slice {slice} twice"
                    );
                }
                Message::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }
    found.into_iter().map(Option::unwrap).collect()
}

#[test]
fn the_shipped_weights_label_volumes_as_the_processor_does_thick_slices_and_thin_ones() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (network, info) = weights::read_gauged(WEIGHTS, &Device::flex()).unwrap();
    let enabled = info.organs(true);
    let mut own = WgslEngine::new(network.clone(), info.input.clone(), enabled, &gpu).unwrap();
    let mut plan = PlanEngine::new(network, info.input.clone(), enabled, "cpu".into()).unwrap();
    for (slices, mm) in [(10..12, 3.0), (40..45, 1.0)] {
        let slices = Arc::new(ModelSlices::new(Arc::new(sample(slices, mm)), &info.input).unwrap());
        let (own, plan) = (run(&mut own, &slices), run(&mut plan, &slices));
        let (mut pixels, mut labelled, mut other, mut margins) = (0, 0, 0, 0);
        for ((labels, margin, removed), (expected, lead, gone)) in own.iter().zip(&plan) {
            pixels += labels.len();
            labelled += labels.iter().filter(|&&l| l > 0).count();
            other += labels.iter().zip(expected).filter(|(a, b)| a != b).count();
            // Where a class is negligible the processor may leave it out.
            margins += margin.iter().zip(lead).filter(|(a, b)| a.abs_diff(**b) > 8).count();
            let counts = removed.iter().zip(gone);
            assert!(counts.clone().all(|(a, b)| a.abs_diff(*b) <= 1 + b / 50), "{removed:?} {gone:?}");
        }
        assert!(labelled > 500, "{labelled}");
        assert!(other * 10_000 <= pixels, "{other} of {pixels} labels");
        assert!(margins * 1000 <= pixels, "{margins} of {pixels} margins");
    }
    // A large CT in place of these few slices.
    let geometry = Geometry::axial([512, 512, 600], [0.977, 0.977, 1.0], [0.0; 3]).unwrap();
    let large = Room::of(&ModelGrid::new(&geometry, &info.input).unwrap(), &info.input).unwrap();
    let bytes = own.network.bytes() + large.bytes();
    assert!(own.device_bytes() < bytes && bytes < 300 << 20, "{} MB", bytes >> 20);
}

#[test]
fn the_largest_preset_takes_less_than_a_gigabyte_of_the_device_with_a_large_ct() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let network = NetworkConfig { base: 32, ..NetworkConfig::default() }.init(&Device::flex());
    let mut own = WgslEngine::new(network, InputConfig::paper(), OrganSet::ALL, &gpu).unwrap();
    // All slices that are ever kept, and the labels of one.
    let slots: Vec<Slot> = (0..KEPT).map(|_| own.network.slot()).collect();
    own.spare.extend(slots);
    own.network.reserve_results(2, [512; 2]);
    let geometry = Geometry::axial([512, 512, 600], [0.977, 0.977, 1.0], [0.0; 3]).unwrap();
    let ct = Room::of(&ModelGrid::new(&geometry, &InputConfig::paper()).unwrap(), &InputConfig::paper()).unwrap();
    let bytes = own.device_bytes() + ct.bytes();
    assert!(bytes < 1 << 30, "{} MB", bytes >> 20);
}

/// Bodies at any place and of any size: an ellipse around a point in mm from the middle, with a bone, noise and metal.
fn body(size: [usize; 3], spacing: [f64; 3], centre: [f64; 2], radius: [f64; 2]) -> Arc<CtVolume> {
    let voxel = |n: usize| {
        let at = [n % size[0], n / size[0] % size[1]];
        let [x, y] = [0, 1].map(|a| {
            let middle = (size[a] as f64 - 1.0) / 2.0;
            (at[a] as f64 - middle) * spacing[a] - centre[a]
        });
        let noise = (n * 7919 % 241) as i16;
        match (x / radius[0]).hypot(y / radius[1]) {
            r if r >= 1.0 => -1000 - noise % 30,
            _ if x.hypot(y - 4.0) < 3.0 => 3000,
            _ if (x - 9.0).hypot(y) < 7.0 => 700 + noise,
            _ => noise - 100,
        }
    };
    let geometry = Geometry::axial(size, spacing, [0.0; 3]).unwrap();
    let voxels = (0..size.iter().product()).map(voxel).collect();
    Arc::new(crate::volume::Volume::from_stored(geometry, voxels, crate::volume::Modality::Ct).unwrap())
}

#[test]
fn stacks_that_are_made_on_the_device_are_the_processors() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, mut plan) = engines(&gpu);
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    let mut tiles = 0;
    for ct in [
        // Thin slices, an odd matrix, a body in the middle; thick ones, at the edge of the field of view; coarse pixels; two tiles.
        body([75, 61, 24], [1.3, 1.5, 0.7], [2.0, -3.0], [31.0, 27.0]),
        body([64, 50, 5], [1.4, 1.8, 5.0], [30.0, -20.0], [25.0, 40.0]),
        body([20, 25, 7], [5.2, 4.8, 3.0], [-10.0, 0.0], [30.0, 45.0]),
        body([101, 40, 9], [1.7, 2.0, 2.0], [0.0, 0.0], [80.0, 30.0]),
        body([1, 33, 2], [3.0, 3.0, 3.0], [0.0, 0.0], [40.0, 40.0]),
    ] {
        let slices = Arc::new(ModelSlices::new(ct, &input).unwrap());
        let count = slices.grid().slices;
        for k in [count / 2, 0, count - 1, count / 2] {
            assert!(own.prepares(&slices));
            let Some(wanted) = VolumeSlice::of(&slices, k) else { continue };
            tiles += wanted.tiles.len();
            let expected = ask(&mut plan, wanted.clone().prepared(&slices)).outcome.unwrap();
            let tickets = own.submit_slices(&slices, vec![wanted]);
            let found = own.poll(Wait::Yes).unwrap();
            assert_eq!([found.ticket], tickets[..]);
            assert_close(&found.outcome.unwrap(), &expected);
        }
    }
    assert!(tiles > 16, "{tiles} tiles");
}

#[test]
fn a_volume_that_has_no_room_on_the_device_is_prepared_by_the_host() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, _) = engines(&gpu);
    let ct = body([75, 61, 4], [1.3, 1.5, 3.0], [2.0, -3.0], [31.0, 27.0]);
    // Air is not what the curve begins with; another network's field.
    let [mut lifted, mut other] = [(); 2].map(|()| InputConfig { crop: CROP, ..InputConfig::light() });
    lifted.hu_knots[0][0] = -900.0;
    other.crop = 48;
    let network = NetworkConfig { base: 8, levels: 3, stack: 5, attention: true }.init(&Device::flex());
    let mut of_lifted = WgslEngine::new(network, lifted.clone(), OrganSet::ALL, &gpu).unwrap();
    for (engine, input) in [(&mut of_lifted, lifted), (&mut own, other)] {
        let slices = Arc::new(ModelSlices::new(ct.clone(), &input).unwrap());
        assert!(!engine.prepares(&slices));
        if input.crop == CROP {
            assert_eq!(run(engine, &slices).len(), 4);
        }
    }
}

#[test]
fn a_what_if_gives_the_labels_under_its_vector_and_slices_that_are_gone_are_said_to_be() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, mut plan) = engines(&gpu);
    let grid = ModelGrid {
        size: [40; 2],
        spacing_mm: [3.0; 2],
        slices: 2,
        slice_mm: 3.0,
        input_size: [75, 61],
        input_spacing_mm: [1.6, 2.0],
    };
    let output = LabelOutput { slice: 1, parts: vec![(Some(1), 0.25), (Some(2), 0.75)] };
    let wanted = LabelRequest { grid: grid.clone(), outputs: vec![output], explain: false };
    let mut attention = [1.0; ORGAN_COUNT];
    (0..ORGAN_COUNT).step_by(2).for_each(|n| attention[n] = 1e-4);
    assert_eq!(own.relabel(&wanted, &attention), None);
    for k in [1, 2] {
        ask(&mut own, slice(k, 0.3 * k as f32)).outcome.unwrap();
        ask(&mut plan, slice(k, 0.3 * k as f32)).outcome.unwrap();
    }
    let ticket = own.relabel(&wanted, &attention).unwrap();
    let result = own.poll(Wait::Yes).unwrap();
    assert_eq!(result.ticket, ticket);
    let [below, above] = [1, 2].map(|k| plan.reweight(k, &attention).unwrap());
    let expected = crate::infer::reduce::labels(&grid, &below, Some((&above, 0.75)));
    let other = result.labels[0].labels.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert!(other * 1000 <= expected.len(), "{other} of {}", expected.len());
    for k in 3..3 + KEPT {
        own.submit(slice(k, 0.5));
        own.poll(Wait::Yes).unwrap().outcome.unwrap();
    }
    assert_eq!(own.relabel(&wanted, &attention), None);
}

#[test]
fn organs_that_are_switched_off_meanwhile_are_not_in_what_is_fetched_afterwards() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, _) = engines(&gpu);
    for k in 0..3 {
        own.submit(slice(k, 0.7));
    }
    own.set_enabled(OrganSet::default());
    for k in 0..3 {
        let result = own.poll(Wait::Yes).unwrap();
        assert_eq!((result.slice, result.outcome.unwrap().classes), (k, vec![0]));
    }
    assert!(own.poll(Wait::Yes).is_none());
}

/// Labels, margins, what attention takes away and how sure each organ is.
type Said = (Vec<u8>, Explanation, Doubt);

/// A run over all slices, in which a slice is waited for all the time, or none: what is said of each, and the largest number of slices
/// under way.
fn labelled(engine: &mut WgslEngine, slices: &Arc<ModelSlices>, waits: bool) -> (BTreeMap<usize, Said>, usize) {
    let options = RunOptions { first: waits.then_some(1), explain: true, ..RunOptions::default() };
    let mut run = VolumeRun::new(slices.clone(), &options);
    let (mut found, mut most) = (BTreeMap::new(), 0);
    while !run.is_over() {
        if let Some(left) = (0..slices.grid().slices).find(|slice| waits && !found.contains_key(slice)) {
            run.focus(left);
        }
        for message in run.advance(engine, Wait::Yes) {
            match message {
                Message::SliceDone { slice, labels, explanation, doubt } => {
                    assert!(found.insert(slice, (labels, explanation.unwrap(), *doubt.unwrap())).is_none());
                }
                Message::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
        most = most.max(run.under_way());
    }
    (found, most)
}

/// Kernels and submissions of a kind of device that there need not be.
fn as_if(tuning: Tuning) -> Option<Gpu> {
    let adapter = adapter()?;
    Some(pollster::block_on(Gpu::open_with(&adapter, "gpu", tuning, Stored::F32, Kernel::source)).unwrap())
}

#[test]
fn slices_that_share_a_submission_have_the_labels_that_each_has_alone_bit_for_bit() {
    let Some(gpu) = as_if(Tuning::DISCRETE) else { return };
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    // Its labels are many and its margins small.
    let network = check_network(&Device::flex(), 16);
    let mut own = WgslEngine::new(network, input.clone(), OrganSet::ALL, &gpu).unwrap();
    assert_eq!((own.together(), own.batch(), own.depth()), (4, 8, 3));
    let (mut organs, mut doubtful) = (0, 0);
    for ct in [
        // Slices that are all computed; thin ones, labelled from two each; two tiles; fewer than a submission holds.
        body([64, 50, 11], [1.4, 1.8, 3.0], [10.0, -20.0], [25.0, 40.0]),
        body([75, 61, 26], [1.3, 1.5, 0.7], [2.0, -3.0], [31.0, 27.0]),
        body([101, 40, 6], [1.7, 2.0, 3.0], [0.0, 0.0], [80.0, 30.0]),
        body([40, 40, 2], [2.0, 2.0, 3.0], [0.0, 0.0], [30.0, 30.0]),
    ] {
        let slices = Arc::new(ModelSlices::new(ct, &input).unwrap());
        let computed = slices.centres().run().len() as u64;
        own.rest();
        let before = own.submissions();
        let (alone, most) = labelled(&mut own, &slices, true);
        assert!(most <= own.depth() && own.submissions() - before >= computed);
        own.rest();
        let before = own.submissions();
        let (together, most) = labelled(&mut own, &slices, false);
        assert!(most <= own.batch());
        // Where slices have several tiles, a submission may be full before.
        assert!(own.submissions() - before <= computed.div_ceil(2) + 1, "{computed} slices");
        assert_eq!(alone.len(), slices.grid().slices);
        assert!(alone == together);
        organs += alone.values().flat_map(|(labels, ..)| labels).filter(|&&label| label > 0).count();
        doubtful += alone.values().flat_map(|(_, explained, _)| &explained.margin).filter(|&&m| m < 200).count();
    }
    assert!(organs > 100 && doubtful > 100, "the test shows nothing: {organs} and {doubtful}");
}

#[test]
fn a_device_that_is_destroyed_in_the_middle_of_shared_submissions_leaves_what_was_done_and_another_goes_on() {
    let [Some(gpu), Some(other)] = [(); 2].map(|()| as_if(Tuning::DISCRETE)) else { return };
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    let ct = body([64, 50, 14], [1.4, 1.8, 3.0], [10.0, -20.0], [25.0, 40.0]);
    let slices = Arc::new(ModelSlices::new(ct, &input).unwrap());
    let engine =
        |gpu: &Gpu| WgslEngine::new(check_network(&Device::flex(), 16), input.clone(), OrganSet::ALL, gpu).unwrap();
    let (mut second, mut first) = (engine(&other), engine(&gpu));
    let (expected, _) = labelled(&mut second, &slices, false);
    let mut run = VolumeRun::new(slices.clone(), &RunOptions::default());
    let mut done = BTreeMap::new();
    let mut keep = |messages: Vec<Message>| {
        for message in messages {
            match message {
                Message::SliceDone { slice, labels, .. } => assert!(done.insert(slice, labels).is_none()),
                Message::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
        done.len()
    };
    while keep(run.advance(&mut first, Wait::Yes)) < 3 {}
    gpu.destroy();
    let lost = whole_program_tests::wait("an answer comes", || first.poll(Wait::Yes)).outcome;
    // What had arrived before may still be there.
    assert!(lost.is_ok() || lost == Err(EngineError::DeviceLost("gpu".into())));
    drop(first);
    run.restart_in_flight();
    while !run.is_over() {
        keep(run.advance(&mut second, Wait::Yes));
    }
    let expected: BTreeMap<usize, Vec<u8>> =
        expected.into_iter().map(|(slice, (labels, ..))| (slice, labels)).collect();
    assert!(expected.values().flatten().filter(|&&label| label > 0).count() > 100, "the test shows nothing");
    assert!(done == expected);
}

#[test]
fn an_answer_that_is_no_number_is_an_error_of_its_slice() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, _) = engines(&gpu);
    let mut broken = slice(3, 1.0);
    broken.tiles[0].stack[100] = f32::NAN;
    let error = ask(&mut own, broken).outcome.unwrap_err();
    assert!(error.to_string().contains("slice 3"), "{error}");
    assert!(ask(&mut own, slice(4, 1.0)).outcome.is_ok(), "what was left in memory harms nobody");
}

#[test]
fn a_device_that_is_destroyed_is_an_error_and_no_wait_for_ever() {
    let Some(gpu) = gpu(Kernel::source) else { return };
    let (mut own, _) = engines(&gpu);
    ask(&mut own, slice(0, 0.5)).outcome.unwrap();
    gpu.destroy();
    for wait in [Wait::Yes, Wait::No] {
        own.submit(slice(1, 0.5));
        let result = whole_program_tests::wait("an answer comes", || own.poll(wait));
        assert_eq!(result.outcome.unwrap_err(), EngineError::DeviceLost("gpu".into()));
    }
}
