//! Whole networks against the processor's, on every kind of device's kernels.

use attention_anatomy_shaders::network::{Kernel, Stored};
use burn::tensor::Device;

use super::*;
use crate::anatomy::OrganSet;
use crate::kernels::plan::Plan;
use crate::kernels::processor::{Processor, Threads};
use crate::network::{NetworkConfig, pytorch};

/// A device of the first adapter, if there is one, with the kernels of a kind of device.
pub(crate) fn gpu(tuning: Tuning, source: fn(Kernel, Stored) -> String) -> Option<Gpu> {
    gpu_storing(tuning, Stored::F32, source)
}

/// The same with weights and maps as they are to be stored, if it can.
fn gpu_storing(tuning: Tuning, stored: Stored, source: fn(Kernel, Stored) -> String) -> Option<Gpu> {
    let adapter = crate::infer::device::enumerate().1.into_iter().next();
    let can =
        |adapter: &wgpu::Adapter| stored == Stored::F32 || adapter.features().contains(wgpu::Features::SHADER_F16);
    let Some(adapter) = adapter.filter(can) else {
        let what = stored.name();
        whole_program_tests::not_run(&format!("there is no graphics adapter with {what}, not even one in software"));
        return None;
    };
    Some(pollster::block_on(Gpu::open_with(&adapter, "test", tuning, stored, source)).unwrap())
}

fn noise(count: usize, salt: u32) -> Vec<f32> {
    let of = |i: u32| {
        let hash = i.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)).wrapping_mul(0x9E37_79B1) >> 8;
        (hash & 0xffff) as f32 / 65_535.0
    };
    (0..count as u32).map(of).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0f32, |m, (a, b)| if (a - b).is_nan() { f32::INFINITY } else { m.max((a - b).abs()) })
}

/// A network of a configuration on both.
struct Pair {
    plan: Plan,
    network: Network,
    stack: usize,
}

impl Pair {
    fn new(config: &NetworkConfig, gpu: &Gpu, field: usize) -> Self {
        let bytes = pytorch::tensors(&config.init(&Device::flex()).fold()).unwrap();
        let network = Network::compile(gpu, &bytes, None, field, 0.0).unwrap();
        Self { plan: Plan::compile(&bytes, None).unwrap(), network, stack: config.stack }
    }

    /// How far the probabilities are from the processor's, and what the region branch says.
    fn difference(&mut self, salt: u32) -> f32 {
        let field = self.network.field();
        let input = noise(self.stack * field * field, salt);
        let mut arena = self.plan.arena([field; 2]);
        let processor = Processor::new(Threads::All);
        let answer = self.plan.run(&mut arena, &input, processor);
        let expected = self.plan.softmax(&arena.take_features(&self.plan, None), processor).unwrap();

        let slot = self.network.slot();
        let window = Window::whole(field);
        self.network.tile(Shown::Stack(&input), window, &slot, true, true);
        let tile = TileMaps { slot: &slot, window, at: [0; 2] };
        self.network.probabilities(&[tile], [field; 2], ClassWeights::Ones, Drawn(OrganSet::ALL), 0);
        let readback = self.network.read_probabilities(Readback::default(), &slot, field * field);
        self.network.submit();
        readback.wait(self.network.gpu());
        let (found, _) = readback.take().unwrap();
        assert_eq!(self.network.gpu().refused(), None);
        assert!(!found.broken);
        let mut off = worst(&found.probabilities, &expected);
        if let Some(answer) = answer {
            off = off.max(worst(&found.regions, &answer.regions)).max(worst(&found.attention, &answer.attention));
        }
        off
    }
}

#[test]
fn networks_give_what_the_processor_gives_with_the_kernels_of_every_kind_of_device() {
    // Of f16: `infer/wgsl_engine/tests/f16.rs`.
    let kinds = Tuning::ALL.into_iter().flat_map(|tuning| [(tuning, Stored::F32, 5e-5), (tuning, Stored::F16, 2e-3)]);
    for (tuning, stored, bound) in kinds {
        let Some(gpu) = gpu_storing(tuning, stored, Kernel::source) else { return };
        for (base, levels, stack, attention, field) in [
            (4, 3, 5, true, 20),
            (16, 5, 5, true, 48),
            (5, 2, 3, false, 18),
            // As many channels as planes: the first block has a residual.
            (5, 3, 5, true, 20),
            (32, 3, 5, true, 36),
            (24, 4, 1, true, 40),
        ] {
            let mut pair = Pair::new(&NetworkConfig { base, levels, stack, attention }, &gpu, field);
            // Twice: nothing of a slice stays for the next.
            for salt in [1, 2] {
                let off = pair.difference(salt);
                let name = stored.name();
                assert!(off < bound, "{}, {name}, base {base}, field {field}: {off}", tuning.name);
            }
        }
    }
}
