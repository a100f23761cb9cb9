//! Training on boxes against training on whole fields.

use super::*;
use crate::dataset::SliceRef;

/// The same loss whether the air around the slices is part of them or counted.
#[test]
fn losses_on_a_box_are_those_of_the_field_when_the_rest_is_known_to_be_air() {
    let device = Device::flex().autodiff();
    let (field, size, first) = ([6usize, 8usize], [3usize, 4usize], [2usize, 1usize]);
    let inside = |n: usize| {
        let (y, x) = (n / field[1] % field[0], n % field[1]);
        (first[0]..first[0] + size[0]).contains(&y) && (first[1]..first[1] + size[1]).contains(&x)
    };
    let pixels = field[0] * field[1];
    // What a network says inside; outside nothing but background.
    let logits: Vec<f32> = (0..2 * CLASS_COUNT * pixels)
        .map(|n| match (inside(n), n / pixels % CLASS_COUNT) {
            (true, _) => (n * 7919 % 97) as f32 / 30.0 - 1.6,
            (false, 0) => 60.0,
            (false, _) => -60.0,
        })
        .collect();
    let labels: Vec<u8> = (0..2 * pixels).map(|n| if inside(n) { [0, 1, 9, 9, 3][n % 5] } else { 0 }).collect();
    let attention: Vec<f32> = (0..2 * ORGAN_COUNT).map(|n| 0.1 + (n * 31 % 17) as f32 / 20.0).collect();
    let mut weights = vec![[true; ORGAN_COUNT]; 2];
    weights[1][8] = false;
    let cut = |values: Vec<f32>| -> Vec<f32> {
        values.into_iter().enumerate().filter(|(n, _)| inside(*n)).map(|(_, v)| v).collect()
    };
    let of = |values: Vec<f32>, labels: Vec<u8>, size: [usize; 2], outside: usize, norm: FocalNorm| {
        let target = Target { labels, size, outside, weights: weights.clone(), regions: vec![None; 2] };
        let logits =
            Tensor::<4>::from_data(TensorData::new(values, [2, CLASS_COUNT, size[0], size[1]]), &device).require_grad();
        let z4 = Tensor::<2>::from_data(TensorData::new(attention.clone(), [2, ORGAN_COUNT]), &device);
        let region = crate::network::region::RegionOutput { regions: Tensor::zeros([2, 5], &device), attention: z4 };
        let output = NetworkOutput { logits: logits.clone(), elsewhere: None, region: Some(region) };
        let loss = LossWeights { dice: 1.0, focal: 1.0, region: 0.0, ..LossWeights::default() };
        let counts = BatchCounts::of(&target);
        let parts = total(&output, &target, &counts, &loss, norm, None);
        // The same by its sums, as micro-batches have it.
        let whole = dice_sums(&output, &target).detach();
        let dice = batch_dice(whole, &counts.present()).into_scalar::<f32>();
        let gradient = logits.grad(&parts.total.clone().backward()).unwrap();
        let number = |t: Option<Tensor<1>>| t.unwrap().into_scalar::<f32>();
        ([number(parts.dice), number(parts.focal), dice], gradient.into_data().try_to_vec::<f32>().unwrap())
    };
    for norm in [FocalNorm::PresentClasses, FocalNorm::Paper] {
        let (whole, gradient) = of(logits.clone(), labels.clone(), field, 0, norm);
        let boxed: Vec<u8> = labels.iter().enumerate().filter(|(n, _)| inside(*n)).map(|(_, label)| *label).collect();
        let (part, part_gradient) = of(cut(logits.clone()), boxed, size, pixels - size[0] * size[1], norm);
        for (a, b) in whole.iter().zip(&part) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1e-2), "{norm:?}: {whole:?} {part:?}");
        }
        for (a, b) in cut(gradient).iter().zip(&part_gradient) {
            assert!((a - b).abs() < 1e-6, "{norm:?}: gradients {a} {b}");
        }
    }
}

#[test]
fn a_batch_on_boxes_has_what_its_slices_show_where_it_stood_and_left_is_left() {
    let (input, cases) = (input(), narrow_cases());
    let slices = [(0, 1), (1, 4)].map(|(case, slice)| SliceRef { case, slice, seed: 5 });
    let whole = make_batch(&cases, &slices, &input, Hpa::Off, &Augmentation::default());
    let boxed = whole.clone().on_boxes(&input, 4);
    let [height, width] = boxed.target.size;
    // Nine columns and twelve rows are shown, off the middle, and two pixels of margin on every side.
    assert_eq!(boxed.target.size, [16, 16]);
    assert_eq!(boxed.target.outside, CROP * CROP - 256);
    assert_eq!(BatchCounts::of(&boxed.target), BatchCounts::of(&whole.target));
    let sum = |batch: &Batch| batch.stacks.iter().map(|&v| f64::from(v)).sum::<f64>();
    assert!((sum(&boxed) - sum(&whole)).abs() < 1e-3);
    // The left half of what is seen is one organ, the right half the other.
    for labels in boxed.target.labels.chunks_exact(height * width) {
        let mean = |organ: Organ| {
            let columns: Vec<usize> =
                (0..labels.len()).filter(|&n| labels[n] == organ.label()).map(|n| n % width).collect();
            columns.iter().sum::<usize>() as f64 / columns.len() as f64
        };
        assert!(mean(Organ::KidneyRight) < mean(Organ::KidneyLeft));
    }
}

/// [`cases`] with air around the square, whose halves are the kidneys: the right one on the left of the image.
fn narrow_cases() -> Vec<PreparedCase> {
    let mut cases = cases();
    for case in &mut cases {
        let shown: Vec<bool> = case.labels.all().iter().map(|&label| label > 0).collect();
        let first = shown.iter().position(|&shown| shown).unwrap() % CROP;
        let hu = case.hu.all().iter().zip(&shown).map(|(&hu, &shown)| if shown { hu } else { -1000 }).collect();
        let label = |(n, &shown): (usize, &bool)| match (shown, n % CROP < first + 4) {
            (false, _) => 0,
            (true, true) => Organ::KidneyRight.label(),
            (true, false) => Organ::KidneyLeft.label(),
        };
        case.labels = Planes::new(CROP * CROP, shown.iter().enumerate().map(label).collect());
        case.hu = Planes::new(CROP * CROP, hu);
    }
    cases
}

#[test]
fn training_on_boxes_goes_on_bit_for_bit_and_its_weights_serve_boxes_and_whole_fields_alike() {
    let device = Device::flex();
    let config = TrainingConfig { boxes: true, ..config(None) };
    let cases = narrow_cases();
    let sampler = Sampler::new(&cases, &[1.0, 1.0], true, config.seed);
    let run = |trainer: &mut Trainer, until: u64| {
        while trainer.steps_done() < until {
            let batch = Trainer::batch(trainer.config(), &cases, &sampler, trainer.steps_done());
            assert!(batch.target.outside > 0);
            trainer.step(&batch).unwrap();
        }
    };
    let start = Trainer::new(config.clone(), &device).checkpoint().unwrap();
    let mut unbroken = Trainer::resume(config.clone(), &start, &device).unwrap();
    run(&mut unbroken, 6);
    let mut first = Trainer::resume(config.clone(), &start, &device).unwrap();
    run(&mut first, 3);
    let mut second = Trainer::resume(config.clone(), &first.checkpoint().unwrap(), &device).unwrap();
    run(&mut second, 6);
    assert_eq!(unbroken.checkpoint().unwrap(), second.checkpoint().unwrap());
    // Regions of a box with air around it are nearly those of the field.
    let slices = [(0, 1), (1, 4)].map(|(case, slice)| SliceRef { case, slice, seed: 5 });
    let whole = make_batch(&cases, &slices, &input(), Hpa::Off, &Augmentation::default());
    let boxed = whole.clone().on_boxes(&input(), 4);
    let network = unbroken.network();
    let outside = pollster::block_on(network.air(5, CROP, 0.0)).unwrap();
    let attention = |network: &AttentionAnatomy, batch: &Batch| {
        let [height, width] = batch.target.size;
        let x = Tensor::<4>::from_data(TensorData::new(batch.stacks.clone(), [2, 5, height, width]), &device);
        network.forward_region(x).unwrap().attention.into_data().try_to_vec::<f32>().unwrap()
    };
    let field = attention(&network, &whole);
    let off = |z4: &[f32]| z4.iter().zip(&field).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    let (with, without) =
        (off(&attention(&network.clone().within(outside), &boxed)), off(&attention(&network, &boxed)));
    assert!(with < 0.02 && with < without, "{with} {without}");
}
