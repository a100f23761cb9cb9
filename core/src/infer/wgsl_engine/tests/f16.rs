//! Weights and maps in f16, as they are on GPUs that have it.
//!
//! How far that may be from the processor's f32: a store rounds a number by up to 2^-11 of it, and every layer reads weights and maps that
//! were rounded so. Roundings are as often up as down: behind n layers some sqrt(2 n) of them are left, 0.35 % of a logit after the 25
//! operations of the shipped network, and a probability changes by at most half of what its logit does. Hence 2e-3. (Found on lavapipe were
//! 6e-4, and 8e-7 with f32.)

use super::*;

const BOUND: f32 = 2e-3;

/// What weights and maps can be on an adapter.
pub(super) fn all(adapter: &wgpu::Adapter) -> Vec<Stored> {
    if adapter.features().contains(wgpu::Features::SHADER_F16) {
        return Stored::ALL.to_vec();
    }
    whole_program_tests::not_run("the graphics adapter has no f16");
    vec![Stored::F32]
}

/// A device with weights and maps in f16, with the kernels of a kind of device; nothing where there is none.
fn half(tuning: Tuning) -> Option<Gpu> {
    let adapter = adapter()?;
    all(&adapter)
        .contains(&Stored::F16)
        .then(|| pollster::block_on(Gpu::open_with(&adapter, "gpu", tuning, Stored::F16, Kernel::source)).unwrap())
}

/// The largest difference of a probability, of attention, of a region. A class that is left out is negligible.
fn off(a: &SlicePrediction, b: &SlicePrediction) -> f32 {
    assert_eq!((a.slice, a.origin, a.size), (b.slice, b.origin, b.size));
    let area = a.size[0] * a.size[1];
    let map = |prediction: &SlicePrediction, class: usize| {
        let at = prediction.classes.iter().position(|&c| usize::from(c) == class);
        at.map_or(vec![0.0; area], |at| prediction.probabilities[at * area..][..area].to_vec())
    };
    let mut worst = 0.0f32;
    let mut compare = |a: &[f32], b: &[f32]| {
        let apart = a.iter().zip(b).map(|(a, b)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() });
        worst = apart.fold(worst, f32::max);
    };
    (0..CLASS_COUNT).for_each(|class| compare(&map(a, class), &map(b, class)));
    compare(&a.attention.unwrap(), &b.attention.unwrap());
    compare(&a.regions.unwrap(), &b.regions.unwrap());
    worst
}

#[test]
fn probabilities_are_the_processors_within_what_rounding_explains() {
    for tuning in Tuning::ALL {
        let Some(gpu) = half(tuning) else { return };
        let (mut own, mut plan) = engines(&gpu);
        let mut worst = 0.0f32;
        for request in boxes_and_tiles() {
            let found = ask(&mut own, request.clone()).outcome.unwrap();
            worst = worst.max(off(&found, &ask(&mut plan, request).outcome.unwrap()));
        }
        // And stacks that are made on the device, in thin slices.
        let input = InputConfig { crop: CROP, ..InputConfig::light() };
        let ct = body([75, 61, 24], [1.3, 1.5, 0.7], [2.0, -3.0], [31.0, 27.0]);
        let slices = Arc::new(ModelSlices::new(ct, &input).unwrap());
        let wanted = VolumeSlice::of(&slices, 12).unwrap();
        let expected = ask(&mut plan, wanted.clone().prepared(&slices)).outcome.unwrap();
        assert!(own.prepares(&slices));
        own.submit_slices(&slices, vec![wanted]);
        worst = worst.max(off(&own.poll(Wait::Yes).unwrap().outcome.unwrap(), &expected));
        assert!(worst < BOUND, "{}: {worst}", tuning.name);
        // That it is f16 at all.
        assert!(worst > 1e-6, "{}: {worst}", tuning.name);
    }
}

#[test]
fn the_shipped_weights_label_volumes_as_the_processor_does_but_where_two_classes_are_as_likely() {
    let Some(gpu) = half(Tuning::SOFTWARE) else { return };
    let (network, info) = weights::read_gauged(WEIGHTS, &Device::flex()).unwrap();
    let enabled = info.organs(true);
    let mut own = WgslEngine::new(network.clone(), info.input.clone(), enabled, &gpu).unwrap();
    let mut plan = PlanEngine::new(network, info.input.clone(), enabled, "cpu".into()).unwrap();
    for (slices, mm) in [(10..12, 3.0), (40..45, 1.0)] {
        let slices = Arc::new(ModelSlices::new(Arc::new(sample(slices, mm)), &info.input).unwrap());
        let (own, plan) = (run(&mut own, &slices), run(&mut plan, &slices));
        let (mut pixels, mut labelled, mut other) = (0, 0, 0);
        for ((labels, ..), (expected, lead, _)) in own.iter().zip(&plan) {
            pixels += labels.len();
            labelled += labels.iter().filter(|&&l| l > 0).count();
            for (n, _) in labels.iter().zip(expected).enumerate().filter(|(_, (a, b))| a != b) {
                other += 1;
                assert!(f32::from(lead[n]) <= 255.0 * 2.0 * BOUND, "a lead of {} of 255 is lost", lead[n]);
            }
        }
        assert!(labelled > 500, "{labelled}");
        assert!(other * 1000 <= pixels, "{other} of {pixels} labels");
    }
}

#[test]
fn weights_and_maps_take_half_of_the_device() {
    let Some(gpu) = half(Tuning::SOFTWARE) else { return };
    let Some(single) = as_if(Tuning::SOFTWARE) else { return };
    // Large enough that all else does not count.
    let network = NetworkConfig { base: 32, ..NetworkConfig::default() }.init(&Device::flex());
    let bytes = |gpu: &Gpu| {
        let mut own = WgslEngine::new(network.clone(), InputConfig::paper(), OrganSet::ALL, gpu).unwrap();
        let before = own.device_bytes();
        (0..KEPT).for_each(|_| drop(own.network.slot()));
        [before, own.device_bytes() - before]
    };
    let ([half, of_slots], [whole, slots]) = (bytes(&gpu), bytes(&single));
    assert_eq!(2 * of_slots, slots);
    assert!(2 * half < whole + (64 << 20), "{} and {} MB", half >> 20, whole >> 20);
}

#[test]
fn what_is_too_large_becomes_the_largest_and_what_is_no_number_is_an_error() {
    let Some(gpu) = half(Tuning::SOFTWARE) else { return };
    let (mut own, _) = engines(&gpu);
    let with = |value: f32| {
        let mut request = slice(3, 1.0);
        request.tiles[0].stack[100] = value;
        request
    };
    let largest = ask(&mut own, with(65_504.0)).outcome.unwrap();
    assert_eq!(ask(&mut own, with(1e30)).outcome.unwrap(), largest);
    assert_eq!(ask(&mut own, with(70_000.0)).outcome.unwrap(), largest);
    assert!(ask(&mut own, with(f32::NAN)).outcome.is_err());
    assert!(ask(&mut own, slice(4, 1.0)).outcome.is_ok());
}

#[test]
fn a_training_on_such_a_device_is_in_f32() {
    let Some(gpu) = half(Tuning::DISCRETE) else { return };
    let off = crate::infer::device::training_difference(&gpu).unwrap();
    assert!(off < crate::infer::device::TRAINING_TOLERANCE, "{off}");
}
