//! Kernels that are broken on purpose: what is found at the start.

use super::*;
use crate::infer::device::{KNOWN_ANSWER_TOLERANCE, kernels_difference};

/// Which kernel, what stands there, and what stands there instead.
type Break = (fn(Kernel) -> bool, &'static str, &'static str);

const BREAKS: [Break; 10] = [
    (|k| matches!(k, Kernel::ConvolutionTiles(_)), "dx = i32(tap % 3u) - 1;", "dx = 1 - i32(tap % 3u);"),
    (|k| k == Kernel::ConvolutionHalo, "at < HALO_PIXELS", "at < 600u"),
    (|k| k == Kernel::ConvolutionDirect, "min(first + 7u, layer.pixels - 1u)", "min(first + 6u, layer.pixels - 1u)"),
    (|k| k == Kernel::Region, "answer[65u + local] = attention", "answer[65u + local] = 0.5"),
    (|k| k == Kernel::Probabilities, "fma(vec4<f32>(value.w)", "fma(vec4<f32>(value.x)"),
    (|k| k == Kernel::ResampleDown, "f32(bitcast<i32>(word) >> 16u)", "f32(word >> 16u)"),
    (|k| k == Kernel::ResampleAcross, "let first = weights[id.x];", "let first = 3u * id.x / 2u;"),
    (|k| k == Kernel::Stack, "told[stack.parts + channel + 1u];", "told[stack.parts + channel] + 2u;"),
    (|k| k == Kernel::Labels, "if value > best {", "if value > best + 0.02 {"),
    (|k| k == Kernel::Labels, "&found[64u + label], 1u", "&found[64u + label], 2u"),
];

/// All kernels, one of them broken.
fn broken<const N: usize>(kernel: Kernel, stored: Stored) -> String {
    let (which, old, new) = BREAKS[N];
    let source = kernel.source(stored);
    if !which(kernel) {
        return source;
    }
    assert!(source.contains(old), "{}", kernel.name());
    source.replace(old, new)
}

#[test]
fn the_check_at_the_start_sees_every_kernel_that_is_broken() {
    let sources: [fn(Kernel, Stored) -> String; BREAKS.len()] = [
        broken::<0>,
        broken::<1>,
        broken::<2>,
        broken::<3>,
        broken::<4>,
        broken::<5>,
        broken::<6>,
        broken::<7>,
        broken::<8>,
        broken::<9>,
    ];
    let Some(adapter) = adapter() else { return };
    let off = |tuning: Tuning, stored: Stored, source| {
        let gpu = pollster::block_on(Gpu::open_with(&adapter, "gpu", tuning, stored, source)).unwrap();
        (pollster::block_on(kernels_difference(&gpu)), format!("{}, {}", tuning.name, stored.name()))
    };
    for stored in f16::all(&adapter) {
        // What lies in f16 is read and written by the same lines in all kernels: there the convolutions and one more stand for all.
        let tried = if stored == Stored::F32 { BREAKS.len() } else { 4 };
        for ((n, source), (which, ..)) in sources.into_iter().enumerate().zip(BREAKS).take(tried) {
            // A kind of device that uses the kernel, the one with the fewest of them first.
            let uses = |tuning: &Tuning| tuning.kernels().into_iter().any(which);
            let tuning = Tuning::ALL.into_iter().rev().find(uses).unwrap();
            let (difference, of) = off(tuning, stored, source);
            assert!(difference > KNOWN_ANSWER_TOLERANCE, "{of}, kernel {n}: {difference}");
        }
        for tuning in Tuning::ALL {
            let (difference, of) = off(tuning, stored, Kernel::source);
            assert!(difference <= KNOWN_ANSWER_TOLERANCE, "{of}: {difference}");
        }
    }
}
