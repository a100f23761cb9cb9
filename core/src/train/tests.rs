use super::validation::validate;
use super::*;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ, OrganSet};
use crate::dataset::{Augmentation, Hpa, Planes, Target};
use crate::loss::{FocalNorm, LossWeights};
use crate::network::{NetworkConfig, ORGAN_LOGIT};
use crate::preprocess::{InputConfig, ModelGrid};
use crate::volume::Geometry;

mod boxes;

const CROP: usize = 32;

fn input() -> InputConfig {
    InputConfig { crop: CROP, ..InputConfig::light() }
}

fn config(micro_batch: Option<usize>) -> TrainingConfig {
    let phase = |name: &str, loss| Phase {
        name: name.into(),
        epochs: 1,
        learning_rate: 1e-3,
        final_learning_rate: None,
        loss,
        augmentation: Augmentation { shift_mm: 6.0, noise_hu: 5.0, ..Augmentation::default() },
    };
    TrainingConfig {
        name: "test".into(),
        seed: 7,
        batch: 4,
        micro_batch,
        steps_per_epoch: 2,
        validate_every: 2,
        validation_slices: 10,
        hpa: Hpa::SourceRegion,
        focal_norm: FocalNorm::PresentClasses,
        boxes: false,
        average: None,
        mixed: true,
        organ_logit: ORGAN_LOGIT,
        network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
        input: InputChoice::Explicit(input()),
        fold: None,
        region: None,
        data: Vec::new(),
        phases: vec![
            phase("region", LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() }),
            phase("joint", LossWeights { dice: 1.0, focal: 1.0, region: 1.0, ..LossWeights::default() }),
            phase("dice", LossWeights { dice: 1.0, focal: 0.0, region: 0.0, ..LossWeights::default() }),
        ],
    }
}

/// Two tiny cases: a bright square that is "liver" in one set, a dim one that is "brain stem" in the other.
fn cases() -> Vec<PreparedCase> {
    [(Organ::Liver, 100i16, 4usize, 0usize), (Organ::BrainStem, 30, 18, 1)]
        .into_iter()
        .map(|(organ, hu, left, set)| {
            let geometry = Geometry::axial([CROP, CROP, 6], [3.0; 3], [0.0; 3]).unwrap();
            let grid = ModelGrid::new(&geometry, &input()).unwrap();
            let inside = |n: usize| (8..20).contains(&(n / CROP)) && (left..left + 9).contains(&(n % CROP));
            let slice: Vec<i16> = (0..CROP * CROP).map(|n| if inside(n) { hu } else { -80 }).collect();
            let labels: Vec<u8> = (0..CROP * CROP).map(|n| if inside(n) { organ.label() } else { 0 }).collect();
            let mut weights = [false; ORGAN_COUNT];
            weights[organ.index()] = true;
            let mut target = [0.0; 5];
            target[if set == 0 { 3 } else { 0 }] = 1.0;
            let mut organ_slices = vec![Vec::new(); ORGAN_COUNT];
            organ_slices[organ.index()] = (0..6).collect();
            PreparedCase {
                name: format!("set{set}/case"),
                set,
                patient: None,
                scan: None,
                annotated: [organ].into_iter().collect::<OrganSet>(),
                grid,
                hu: Planes::new(CROP * CROP, slice.repeat(6)),
                labels: Planes::new(CROP * CROP, labels.repeat(6)),
                evaluable: vec![weights; 6],
                possible: vec![[true; ORGAN_COUNT]; 6],
                regions: vec![Some(target); 6],
                origins: vec![[0, 0]; 6],
                usable: (0..6).collect(),
                organ_slices,
            }
        })
        .collect()
}

fn run(trainer: &mut Trainer, until: u64) -> Vec<StepReport> {
    let cases = cases();
    let sampler = Sampler::new(&cases, &[1.0, 1.0], true, trainer.config().seed);
    let mut reports = Vec::new();
    while trainer.steps_done() < until {
        let batch = Trainer::batch(trainer.config(), &cases, &sampler, trainer.steps_done());
        reports.push(trainer.step(&batch).unwrap());
    }
    reports
}

#[test]
fn resuming_gives_bit_for_bit_what_an_unbroken_training_gives() {
    let device = Device::flex();
    // One start for both: the device's random numbers are shared by all tests of the process.
    let start = Trainer::new(config(None), &device).checkpoint().unwrap();
    let mut unbroken = Trainer::resume(config(None), &start, &device).unwrap();
    run(&mut unbroken, 6);
    let mut first = Trainer::resume(config(None), &start, &device).unwrap();
    run(&mut first, 3);
    let checkpoint = first.checkpoint().unwrap();
    let mut second = Trainer::resume(config(None), &checkpoint, &device).unwrap();
    assert_eq!(second.steps_done(), 3);
    run(&mut second, 6);
    assert!(second.finished());
    assert_eq!(unbroken.checkpoint().unwrap(), second.checkpoint().unwrap());
}

#[test]
fn training_on_two_partial_sets_lowers_the_loss_and_learns_the_regions() {
    let mut config = config(None);
    config.phases.remove(0);
    config.phases.truncate(1);
    config.phases[0].epochs = 40;
    config.phases[0].learning_rate = 1e-2;
    let device = Device::flex();
    let mut trainer = Trainer::new(config, &device);
    let reports = run(&mut trainer, 80);
    assert!(reports[79].total < 0.5 * reports[0].total, "{} -> {}", reports[0].total, reports[79].total);
    let trained = [Organ::Liver, Organ::BrainStem].into_iter().collect();
    let report =
        pollster::block_on(validate(None, &trainer.network(), &cases(), &input(), trained, 20, &device)).unwrap();
    assert_eq!(report.region_accuracy, Some(1.0));
    assert!(report.mean_dice.unwrap() > 0.8, "{:?}", report.mean_dice);
}

#[test]
fn accumulation_has_the_gradients_of_the_unsplit_batch() {
    // Batch normalisation frozen (validation state keeps the running statistics), so that slices do not see each other.
    let device = Device::flex().autodiff();
    let network = config(None).network.init(&device);
    let network = network.map(&mut FreezeStatistics);
    let cases = cases();
    let sampler = Sampler::new(&cases, &[1.0, 1.0], true, 3);
    let batch = Trainer::batch(&config(None), &cases, &sampler, 2);
    let loss = LossWeights { dice: 1.0, focal: 1.0, region: 1.0, ..LossWeights::default() };
    let counts = BatchCounts::of(&batch.target);
    let forward = |range: std::ops::Range<usize>| {
        let per = 5 * CROP * CROP;
        let data = batch.stacks[range.start * per..range.end * per].to_vec();
        network.forward(Tensor::<4>::from_data(TensorData::new(data, [range.len(), 5, CROP, CROP]), &device))
    };
    let norm = FocalNorm::PresentClasses;
    let whole = total(&forward(0..4), &batch.target, &counts, &loss, norm, None).total.backward();
    let whole = GradientsParams::from_grads(whole, &network);
    let parts: Vec<Target> = vec![batch.target.narrow(0..1), batch.target.narrow(1..4)];
    let sums = dice_sums(&forward(0..1), &parts[0]).detach().plus(dice_sums(&forward(1..4), &parts[1]).detach());
    let gradient = |range: std::ops::Range<usize>, target: &Target| {
        let part = total(&forward(range), target, &counts, &loss, norm, Some(&sums));
        GradientsParams::from_grads(part.total.backward(), &network)
    };
    let mut split = GradientsAccumulator::new();
    split.accumulate(&network, gradient(0..1, &parts[0]));
    split.accumulate(&network, gradient(1..4, &parts[1]));
    let (compared, worst) = compare_gradients(&network, whole, split.grads());
    assert!(compared > 20, "{compared} parameters have gradients");
    assert!(worst < 2e-4, "largest relative difference {worst}");
}

/// Batch normalisation uses its running statistics; all parameters keep their gradients.
struct FreezeStatistics;

impl burn::module::ModuleMapper for FreezeStatistics {
    fn map_flag(&mut self, _: burn::module::Param<burn::module::Flag>) -> burn::module::Param<burn::module::Flag> {
        burn::module::Param::from_bool(false)
    }
}

fn compare_gradients(network: &AttentionAnatomy, mut a: GradientsParams, mut b: GradientsParams) -> (usize, f32) {
    struct Compare<'a>(&'a mut GradientsParams, &'a mut GradientsParams, usize, f32);
    impl burn::module::ModuleVisitor for Compare<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let (Some(a), Some(b)) = (self.0.remove::<D>(param.id), self.1.remove::<D>(param.id)) else { return };
            let scale = a.clone().abs().max().into_scalar::<f32>().max(1e-4);
            self.2 += 1;
            self.3 = self.3.max((a - b).abs().max().into_scalar::<f32>() / scale);
        }
    }
    let mut compare = Compare(&mut a, &mut b, 0, 0.0);
    network.visit(&mut compare);
    (compare.2, compare.3)
}

/// Central differences of every loss term with respect to the logits and the attention vector.
fn finite_differences(device: &Device, stride: usize) {
    let (height, width) = (2, 3);
    let pixels = height * width;
    let mut state = 12345u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let logits: Vec<f32> = (0..2 * CLASS_COUNT * pixels).map(|_| 3.0 * next() - 1.5).collect();
    let attention: Vec<f32> = (0..2 * ORGAN_COUNT).map(|_| 0.1 + 0.8 * next()).collect();
    let regions: Vec<f32> = (0..10).map(|_| next()).collect();
    let mut weights = vec![[true; ORGAN_COUNT]; 2];
    weights[0][5] = false;
    weights[1] = [false; ORGAN_COUNT];
    weights[1][2] = true;
    let target = Target {
        labels: vec![0, 1, 1, 9, 0, 0, 3, 0, 0, 3, 3, 0],
        size: [height, width],
        outside: 0,
        weights,
        regions: vec![Some([0.7, 0.3, 0.0, 0.0, 0.0]), None],
    };
    let counts = BatchCounts::of(&target);
    let device = device.clone().autodiff();
    let tensors = |l: &[f32], a: &[f32], r: &[f32]| {
        (
            Tensor::<4>::from_data(TensorData::new(l.to_vec(), [2, CLASS_COUNT, height, width]), &device)
                .require_grad(),
            Tensor::<2>::from_data(TensorData::new(a.to_vec(), [2, ORGAN_COUNT]), &device).require_grad(),
            Tensor::<2>::from_data(TensorData::new(r.to_vec(), [2, 5]), &device).require_grad(),
        )
    };
    let output = |(l, a, r): &(Tensor<4>, Tensor<2>, Tensor<2>)| NetworkOutput {
        elsewhere: None,
        logits: l.clone(),
        region: Some(crate::network::region::RegionOutput { regions: r.clone(), attention: a.clone() }),
    };
    for (name, loss) in [
        ("dice", LossWeights { dice: 1.0, focal: 0.0, region: 0.0, ..LossWeights::default() }),
        ("focal", LossWeights { dice: 0.0, focal: 1.0, region: 0.0, ..LossWeights::default() }),
        ("region", LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() }),
    ] {
        let value = |l: &[f32], a: &[f32], r: &[f32]| {
            let out = output(&tensors(l, a, r));
            total(&out, &target, &counts, &loss, FocalNorm::PresentClasses, None).total.into_scalar::<f32>()
        };
        let inputs = tensors(&logits, &attention, &regions);
        let gradients =
            total(&output(&inputs), &target, &counts, &loss, FocalNorm::PresentClasses, None).total.backward();
        let read = |t: Option<Vec<f32>>, n: usize| t.unwrap_or(vec![0.0; n]);
        let dl = read(inputs.0.grad(&gradients).map(|g| g.into_data().try_to_vec::<f32>().unwrap()), logits.len());
        let da = read(inputs.1.grad(&gradients).map(|g| g.into_data().try_to_vec::<f32>().unwrap()), attention.len());
        let dr = read(inputs.2.grad(&gradients).map(|g| g.into_data().try_to_vec::<f32>().unwrap()), regions.len());
        let h = 1e-2f32;
        let check = |which: &str, n: usize, analytic: f32| {
            let shifted = |sign: f32| {
                let (mut l, mut a, mut r) = (logits.clone(), attention.clone(), regions.clone());
                match which {
                    "logits" => l[n] += sign * h,
                    "attention" => a[n] += sign * h,
                    _ => r[n] += sign * h,
                }
                value(&l, &a, &r)
            };
            let numeric = (shifted(1.0) - shifted(-1.0)) / (2.0 * h);
            let bound = 2e-4 + 2e-2 * numeric.abs();
            assert!((numeric - analytic).abs() < bound, "{name}, {which}[{n}]: {numeric} against {analytic}");
        };
        for n in (0..logits.len()).step_by(stride) {
            check("logits", n, dl[n]);
        }
        for n in (0..attention.len()).step_by(stride) {
            check("attention", n, da[n]);
        }
        for n in 0..regions.len() {
            check("regions", n, dr[n]);
        }
    }
}

#[test]
fn gradients_match_finite_differences_on_the_cpu() {
    finite_differences(&Device::flex(), 5);
}

/// A wgpu device, be it a software adapter. `cargo xtask test` installs one where it can; where there is none, a machine
/// that does not claim to check everything goes on without.
fn wgpu() -> Option<Device> {
    let opened = crate::infer::ComputeDevice::open(crate::infer::DevicePreference::Gpu);
    match opened.and_then(crate::infer::ComputeDevice::with_tensors) {
        Ok(device) => Some(device.burn),
        Err(error) => {
            whole_program_tests::not_run(&error.to_string());
            None
        }
    }
}

#[test]
fn gradients_match_finite_differences_on_wgpu() {
    if let Some(device) = wgpu() {
        finite_differences(&device, 31);
    }
}

#[test]
fn a_training_on_wgpu_follows_the_one_on_the_cpu() {
    let Some(device) = wgpu() else { return };
    let cases = cases();
    let sampler = Sampler::new(&cases, &[1.0, 1.0], true, 7);
    // The same start on both: the random numbers of two devices differ.
    let start = Trainer::new(config(None), &Device::flex()).checkpoint().unwrap();
    let losses = |device: &Device| -> Vec<f32> {
        let mut trainer = Trainer::resume(config(None), &start, device).unwrap();
        (0..4).map(|n| trainer.step(&Trainer::batch(&config(None), &cases, &sampler, n)).unwrap().total).collect()
    };
    let (cpu, gpu) = (losses(&Device::flex()), losses(&device));
    for (c, g) in cpu.iter().zip(&gpu) {
        assert!((c - g).abs() < 0.02 * c.abs().max(0.1), "{cpu:?} {gpu:?}");
    }
    assert!((cpu[0] - gpu[0]).abs() < 1e-3, "before the first update rounding alone differs: {cpu:?} {gpu:?}");
}

/// The same with the kernels of this program: a training, not only a step.
#[test]
fn a_training_by_our_own_kernels_follows_the_one_on_the_cpu() {
    let opened = crate::infer::ComputeDevice::open(crate::infer::DevicePreference::Gpu);
    let device = match opened.and_then(crate::infer::ComputeDevice::for_training) {
        Ok(device) => device,
        Err(error) => return whole_program_tests::not_run(&error.to_string()),
    };
    let cases = cases();
    let sampler = Sampler::new(&cases, &[1.0, 1.0], true, 7);
    for micro_batch in [None, Some(1)] {
        let losses = |device: TrainingDevice| -> Vec<f32> {
            let on_gpu = device.gpu.is_some();
            let mut trainer = Trainer::new(config(micro_batch), device);
            let batch = |n| Trainer::batch(&config(micro_batch), &cases, &sampler, n);
            let losses = (0..4).map(|n| trainer.step(&batch(n)).unwrap().total).collect();
            assert_eq!(trainer.device_bytes().is_some_and(|bytes| bytes > 0), on_gpu);
            losses
        };
        let (cpu, gpu) = (losses((&Device::flex()).into()), losses((&device).into()));
        for (c, g) in cpu.iter().zip(&gpu) {
            assert!((c - g).abs() < 0.01 * c.abs().max(0.1), "{cpu:?} {gpu:?}");
        }
        assert!((cpu[0] - gpu[0]).abs() < 1e-3, "before the first update rounding alone differs: {cpu:?} {gpu:?}");
    }
}

#[test]
fn a_broken_training_file_is_refused_with_the_reason() {
    let mut bad = config(None);
    bad.input = InputChoice::Explicit(InputConfig { crop: 30, ..input() });
    let text = toml::to_string(&bad).unwrap();
    let error = TrainingConfig::parse(&text).unwrap_err().to_string();
    assert!(error.contains("30"), "{error}");
    let mut good = config(Some(2));
    good.fold = Some(crate::dataset::Fold { index: 7, of: 7 });
    assert_eq!(TrainingConfig::parse(&toml::to_string(&good).unwrap()).unwrap(), good);
    good.fold = Some(crate::dataset::Fold { index: 8, of: 7 });
    let error = TrainingConfig::parse(&toml::to_string(&good).unwrap()).unwrap_err().to_string();
    assert!(error.contains("fold 8 of 7"), "{error}");
    let error = TrainingConfig::parse("name = 3").unwrap_err();
    assert!(error.to_string().starts_with("the training file cannot be read: TOML parse error at line 1"), "{error}");
    assert!(std::error::Error::source(&error).is_none(), "what the sentence holds would be said twice");
}

#[test]
fn validation_gives_what_was_never_learned_to_the_background_as_inference_does() {
    /// A network whose logits are constants: background 1.4, liver 1.6, heart 2.0, all else 0.
    struct Constant(Vec<String>);
    impl burn::module::ModuleMapper for Constant {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            let head = self.0.join(".") == "decoder.head.bias";
            param.map(|t| {
                let shape = t.shape();
                let mut values = vec![0.0f32; shape.num_elements()];
                if head {
                    values[0] = 1.4;
                    values[usize::from(Organ::Liver.label())] = 1.6;
                    values[usize::from(Organ::Heart.label())] = 2.0;
                }
                Tensor::from_data(TensorData::new(values, shape), &t.device())
            })
        }
    }
    let device = Device::flex();
    let plain = NetworkConfig { attention: false, ..config(None).network };
    let network = plain.init(&device).map(&mut Constant(Vec::new()));
    let report = |trained: OrganSet| {
        pollster::block_on(validate(None, &network, &cases(), &input(), trained, 4, &device)).unwrap().dice
    };
    let liver = Organ::Liver.index();
    assert_eq!(
        report([Organ::Liver].into_iter().collect())[liver].1,
        Some(0.0),
        "background wins with what heart gives"
    );
    let all_but_heart: OrganSet = Organ::ALL.into_iter().filter(|o| *o != Organ::Heart).collect();
    assert_eq!(report(all_but_heart)[liver].1, Some(0.0));
    assert_eq!(report(OrganSet::ALL)[liver].1, Some(0.0), "heart itself wins where it was learned");
}
