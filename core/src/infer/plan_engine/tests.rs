use burn::tensor::Device;

use super::*;
use crate::anatomy::Organ;
use crate::infer::reduce::labels_and_margin;
use crate::infer::{BurnEngine, Tile};
use crate::network::gauge::{AttentionGauge, OrganGauge};
use crate::network::{NetworkConfig, weights};
use crate::preprocess::{FieldBox, ModelSlices};

const CROP: usize = 32;
const WEIGHTS: &[u8] = include_bytes!("../../../../models/light.safetensors");
const SAMPLE: &[u8] = include_bytes!("../../../../models/sample/neck-chest.nii.gz");

fn tile(origin: [i64; 2], brightness: f32) -> Tile {
    let n = 5 * CROP * CROP;
    let stack = (0..n).map(|i| brightness * ((i * 37 % 101) as f32 / 100.0)).collect();
    Tile::whole(origin, stack, CROP)
}

fn slice(slice: usize, brightness: f32) -> SliceRequest {
    SliceRequest { slice, tiles: vec![tile([3, -4], brightness)], centre: None, labels: None }
}

/// The same network on both engines, the attention of one organ in units.
fn engines() -> (PlanEngine, BurnEngine) {
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    let network = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true }.init(&Device::flex());
    let liver = OrganGauge { organ: Organ::Liver, unit: 0.4, slices: 20 };
    let network = network.with_gauge(&AttentionGauge { organs: vec![liver] });
    let plan = PlanEngine::new(network.clone(), input.clone(), OrganSet::ALL, "cpu".into()).unwrap();
    (plan, BurnEngine::new(network, input, OrganSet::ALL, Device::flex(), "cpu".into(), false))
}

fn assert_close(a: &SlicePrediction, b: &SlicePrediction) {
    assert_eq!((a.slice, a.origin, a.size, &a.classes), (b.slice, b.origin, b.size, &b.classes));
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-5);
    assert!(close(&a.probabilities, &b.probabilities));
    assert!(close(&a.attention.unwrap(), &b.attention.unwrap()) && close(&a.regions.unwrap(), &b.regions.unwrap()));
}

#[test]
fn the_plan_says_what_burn_says_of_one_tile_and_of_several() {
    let (mut plan, mut burn) = engines();
    let wide = SliceRequest {
        slice: 9,
        tiles: vec![tile([-10, 2], 0.9), tile([6, 2], 0.4)],
        centre: Some(tile([-2, 2], 0.6)),
        labels: None,
    };
    for request in [slice(4, 1.0), wide] {
        plan.submit(request.clone());
        burn.submit(request.clone());
        let own = plan.poll(Wait::Yes).unwrap().outcome.unwrap();
        assert_close(&own, &burn.poll(Wait::Yes).unwrap().outcome.unwrap());
        let half = own.attention.unwrap().map(|z4| 0.5 * z4);
        assert_close(&plan.reweight(own.slice, &half).unwrap(), &burn.reweight(own.slice, &half).unwrap());
        let heart = crate::anatomy::Organ::Heart;
        for engine in [&mut plan as &mut dyn Engine, &mut burn] {
            engine.set_enabled([heart].into_iter().collect());
            assert!(engine.reweight(own.slice, &half).unwrap().classes.iter().all(|&c| c == 0 || c == heart.label()));
            engine.set_enabled(OrganSet::ALL);
        }
    }
}

#[test]
fn results_come_in_order_whoever_computes_how_many_of_them_at_once() {
    let (mut plan, mut burn) = engines();
    assert!(plan.poll(Wait::Yes).is_none());
    let brightness = |k: usize| 0.1 + 0.04 * k as f32;
    let tickets: Vec<_> = (0..20).map(|k| plan.submit(slice(k, brightness(k)))).collect();
    for (k, ticket) in tickets.into_iter().enumerate() {
        let result = plan.poll(if k % 2 == 0 { Wait::Yes } else { Wait::No }).unwrap();
        assert_eq!((result.ticket, result.slice), (ticket, k));
        burn.submit(slice(k, brightness(k)));
        assert_close(&result.outcome.unwrap(), &burn.poll(Wait::Yes).unwrap().outcome.unwrap());
    }
    assert!(plan.poll(Wait::Yes).is_none());
}

#[test]
fn organs_that_are_switched_off_meanwhile_are_not_in_what_is_fetched_afterwards() {
    let (mut plan, _) = engines();
    for k in 0..12 {
        plan.submit(slice(k, 0.7));
    }
    plan.poll(Wait::Yes).unwrap();
    plan.poll(Wait::Yes).unwrap();
    plan.set_enabled(OrganSet::default());
    while let Some(result) = plan.poll(Wait::Yes) {
        assert_eq!(result.outcome.unwrap().classes, [0]);
    }
}

#[test]
fn a_slice_that_is_asked_about_stays_at_hand_while_others_are_computed() {
    let (mut plan, _) = engines();
    for k in 0..2 * KEPT {
        plan.submit(slice(k, 0.5));
        plan.poll(Wait::Yes).unwrap().outcome.unwrap();
        assert!(plan.reweight(0, &[1.0; ORGAN_COUNT]).is_some());
    }
    assert!(plan.reweight(1, &[1.0; ORGAN_COUNT]).is_none());
}

#[test]
fn an_engine_that_rested_has_nothing_at_hand_and_computes_as_before() {
    let (mut plan, _) = engines();
    let of = |plan: &mut PlanEngine| {
        plan.submit(slice(3, 0.6));
        plan.poll(Wait::Yes).unwrap().outcome.unwrap()
    };
    let before = of(&mut plan);
    plan.rest();
    assert!(plan.reweight(3, &[1.0; ORGAN_COUNT]).is_none() && plan.arenas.is_empty());
    assert_eq!(of(&mut plan), before);
}

#[test]
fn an_answer_that_is_no_number_is_an_error_of_its_slice() {
    let (mut plan, _) = engines();
    let mut broken = slice(3, 1.0);
    broken.tiles[0].stack[100] = f32::INFINITY;
    plan.submit(broken);
    let error = plan.poll(Wait::Yes).unwrap().outcome.unwrap_err();
    assert!(error.to_string().contains("slice 3"), "{error}");
    plan.submit(slice(4, 1.0));
    assert!(plan.poll(Wait::Yes).unwrap().outcome.is_ok(), "what was left in memory harms nobody");
}

#[test]
fn the_shipped_weights_label_the_sample_as_burn_does() {
    let (network, info) = weights::read(WEIGHTS, &Device::flex()).unwrap();
    let ct = crate::formats::read_ct(vec![("neck-chest.nii.gz".into(), SAMPLE.to_vec())]).unwrap();
    let slices = ModelSlices::new(std::sync::Arc::new(ct), &info.input).unwrap();
    let enabled = info.organs(true);
    let mut plan = PlanEngine::new(network.clone(), info.input.clone(), enabled, "cpu".into()).unwrap();
    let mut burn = BurnEngine::new(network, info.input, enabled, Device::flex(), "cpu".into(), false);
    let (mut pixels, mut different) = (0, 0);
    let depth = slices.grid().slices;
    for k in (depth / 16..depth).step_by(depth / 8) {
        let Some(request) = request(&slices, k) else { continue };
        let labels: Vec<_> = [&mut plan as &mut dyn Engine, &mut burn]
            .into_iter()
            .map(|engine| {
                engine.submit(request.clone());
                let prediction = engine.poll(Wait::Yes).unwrap().outcome.unwrap();
                labels_and_margin(slices.grid(), &prediction, None).0
            })
            .collect();
        assert!(labels[0].iter().any(|&l| l > 0));
        pixels += labels[0].len();
        different += labels[0].iter().zip(&labels[1]).filter(|(a, b)| a != b).count();
    }
    assert!(pixels > 0 && different * 10_000 <= pixels, "{different} of {pixels}");
}

/// What is asked of a slice of a volume.
fn request(slices: &ModelSlices, k: usize) -> Option<SliceRequest> {
    VolumeSlice::of(slices, k).map(|wanted| wanted.fitted(slices))
}

/// The scan of the sample as this engine sees it.
fn sample() -> (ModelSlices, crate::network::AttentionAnatomy, weights::ModelInfo) {
    let (network, info) = weights::read_gauged(WEIGHTS, &Device::flex()).unwrap();
    let ct = crate::formats::read_ct(vec![("neck-chest.nii.gz".into(), SAMPLE.to_vec())]).unwrap();
    (ModelSlices::new(Arc::new(ct), &info.input).unwrap(), network, info)
}

#[test]
fn a_box_gives_the_labels_regions_and_attention_of_the_whole_field() {
    let (slices, network, info) = sample();
    let mut plan = PlanEngine::new(network, info.input.clone(), info.organs(true), "cpu".into()).unwrap();
    let (mut pixels, mut different) = (0, 0);
    let depth = slices.grid().slices;
    for k in (depth / 12..depth).step_by(depth / 6) {
        let Some(boxed) = request(&slices, k) else { continue };
        let mut whole = boxed.clone();
        whole.tiles = whole.tiles.into_iter().map(|tile| tile.on(FieldBox::whole(info.input.crop), 0.0)).collect();
        assert!(boxed.tiles[0].stack.len() * 2 < whole.tiles[0].stack.len(), "a neck leaves most of the field to air");
        let [a, b] = [boxed, whole].map(|request| {
            plan.submit(request);
            plan.poll(Wait::Yes).unwrap().outcome.unwrap()
        });
        for (x, y) in a.attention.unwrap().iter().zip(b.attention.unwrap()) {
            assert!((x - y).abs() < 1e-4 * y.abs().max(1.0), "attention {x} {y}");
        }
        assert!(a.regions.unwrap().iter().zip(b.regions.unwrap()).all(|(x, y)| (x - y).abs() < 1e-4));
        let labels = [a, b].map(|prediction| labels_and_margin(slices.grid(), &prediction, None).0);
        pixels += labels[0].len();
        different += labels[0].iter().zip(&labels[1]).filter(|(a, b)| a != b).count();
    }
    assert!(pixels > 0 && different * 100_000 <= pixels, "{different} of {pixels}");
}

#[test]
fn a_volume_whose_stacks_are_made_here_gives_what_stacks_made_before_give_and_one_that_is_gone_nothing() {
    let (slices, network, info) = sample();
    let slices = Arc::new(slices);
    let mut plan = PlanEngine::new(network, info.input.clone(), info.organs(true), "cpu".into()).unwrap();
    assert!(plan.prepares(&slices));
    let depth = slices.grid().slices;
    let wanted: Vec<usize> = (depth / 3..depth).step_by(depth / 4).collect();
    let tickets: Vec<Ticket> =
        plan.submit_slices(&slices, wanted.iter().map(|&k| VolumeSlice::of(&slices, k).unwrap()).collect());
    let found: Vec<SliceResult> = tickets.iter().map(|_| plan.poll(Wait::Yes).unwrap()).collect();
    for ((k, ticket), found) in wanted.into_iter().zip(tickets).zip(found) {
        assert_eq!((found.ticket, found.slice), (ticket, k));
        plan.submit(request(&slices, k).unwrap());
        assert_eq!(found.outcome, plan.poll(Wait::Yes).unwrap().outcome);
    }
    plan.submit_slices(&slices, vec![VolumeSlice::of(&slices, depth / 2).unwrap()]);
    drop(slices);
    assert!(plan.poll(Wait::Yes).is_none() && plan.is_idle());
}

/// A body of `half` mm to both sides and 0.4 of that to front and back around `middle` (mm), with a bright rod in its left half, in an
/// image of 240 mm; the last slice is empty.
fn body(middle: [f64; 2], half: f64) -> ModelSlices {
    let (n, slices) = (120, 4);
    let geometry = crate::volume::Geometry::axial([n, n, slices], [2.0, 2.0, 3.0], [-119.0, -119.0, 0.0]).unwrap();
    let voxel = |v: usize| {
        let [x, y] = [v % n, v / n % n].map(|v| v as f64 * 2.0 - 119.0);
        let [u, w] = [x - middle[0], y - middle[1]];
        if v / (n * n) == slices - 1 || (u / half).hypot(w / (0.4 * half)) >= 1.0 {
            -1000
        } else if (u - 0.5 * half).hypot(w) < 0.2 * half {
            600
        } else {
            20 + (v * 7919 % 41) as i16
        }
    };
    let voxels = (0..n * n * slices).map(voxel).collect();
    let ct = crate::volume::Volume::from_stored(geometry, voxels, crate::volume::Modality::Ct).unwrap();
    ModelSlices::new(Arc::new(ct), &InputConfig { crop: 48, ..InputConfig::light() }).unwrap()
}

#[test]
fn boxes_of_any_body_give_what_burn_says_of_whole_fields_and_left_stays_left() {
    let input = InputConfig { crop: 48, ..InputConfig::light() };
    let network = NetworkConfig { base: 8, levels: 5, stack: 5, attention: true }.init(&Device::flex());
    let mut plan = PlanEngine::new(network.clone(), input.clone(), OrganSet::ALL, "cpu".into()).unwrap();
    let mut burn = BurnEngine::new(network, input, OrganSet::ALL, Device::flex(), "cpu".into(), false);
    // Off the middle, against the edge of the image, as wide as the field, and wider: two tiles.
    for (middle, half, tiles) in
        [([30.0, -20.0], 40.0, 1), ([-90.0, 70.0], 45.0, 1), ([0.0, 0.0], 69.0, 1), ([0.0, 10.0], 110.0, 2)]
    {
        let slices = body(middle, half);
        assert!(request(&slices, 3).is_none(), "nothing is asked of a slice without a body");
        let request = request(&slices, 1).unwrap();
        assert_eq!(request.tiles.len(), tiles);
        for tile in &request.tiles {
            assert!(!tile.place.within.is_whole() && tile.stack.len() == 5 * tile.place.within.pixels());
        }
        // The rod lies on the patient's left, hence on the right of the image, in model pixels of the slice.
        let (mut sum, mut at) = (0.0, 0.0);
        for tile in &request.tiles {
            let [width, _] = tile.place.within.size;
            let middle_slice = &tile.stack[2 * tile.place.within.pixels()..][..tile.place.within.pixels()];
            for (n, _) in middle_slice.iter().enumerate().filter(|(_, v)| **v > 0.88) {
                (sum, at) = (sum + 1.0, at + tile.place.origin()[0] as f64 + (n % width) as f64);
            }
        }
        let expected = (slices.grid().size[0] as f64 - 1.0) / 2.0 + (middle[0] + 0.5 * half) / 3.0;
        assert!((at / sum - expected).abs() < 0.5, "{} {expected}", at / sum);
        plan.submit(request.clone());
        burn.submit(request);
        let [a, b] = [&mut plan as &mut dyn Engine, &mut burn].map(|e| e.poll(Wait::Yes).unwrap().outcome.unwrap());
        assert_close(&a, &b);
    }
}
