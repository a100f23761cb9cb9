//! How parameters lie, and how the kernels want them: packed for a step, and their gradients unpacked, on the device.

use std::collections::{BTreeMap, BTreeSet};

use attention_anatomy_shaders::network::Kernel;

use super::memory::Room;
use super::work::{Work, for_each};
use crate::kernels::parameters::Parameters;
use crate::kernels::training::Gradients;
use crate::kernels::wgsl::gpu::GpuError;
use crate::kernels::wgsl::weights::LANES;

/// Where there is no weight.
pub const NO_WEIGHT: i32 = -1;

/// Weights of one of the convolutions of a sum, as they lie in a parameter.
#[derive(Clone, Debug)]
pub struct Term {
    /// Of the maps that it reads.
    pub channels: usize,
    /// Pixels a side: 1, 3, or 2 from the pixel on.
    pub kernel: usize,
    /// Step of the grid in the maps.
    pub stride: usize,
    /// Where the parameter begins.
    pub at: usize,
    /// From channel to channel, and from output to output.
    pub steps: [usize; 2],
    /// Of every tap and corner where it lies, or [`NO_WEIGHT`].
    pub taps: Vec<i32>,
}

impl Term {
    /// Rows of its weights.
    pub fn rows(&self) -> usize {
        self.kernel.pow(2) * self.channels.next_multiple_of(LANES)
    }

    /// What the kernels are told, of rows from number `rows_at` on.
    pub fn words(&self, rows_at: usize, outputs: usize) -> Vec<usize> {
        let corners = self.taps.len() / self.kernel.pow(2);
        order(
            [self.rows(), self.channels, self.channels.next_multiple_of(LANES)],
            [outputs, corners],
            [rows_at, self.at],
            self.steps,
            &self.taps,
        )
    }
}

/// What the kernels are told: `[rows, channels, filled up]`, `[outputs, corners]`, where both begin, steps and taps.
pub fn order(
    [rows, channels, channel_pitch]: [usize; 3],
    [outputs, corners]: [usize; 2],
    [rows_at, parameter_at]: [usize; 2],
    [of_channel, of_output]: [usize; 2],
    taps: &[i32],
) -> Vec<usize> {
    let pitch = outputs.next_multiple_of(LANES);
    let width = corners * pitch;
    let head = [rows * width, width, channels, channel_pitch, outputs, pitch, corners, rows_at, parameter_at];
    let mut words = [&head[..], &[of_channel, of_output, 0]].concat();
    words.extend((0..16).map(|n| taps.get(n).copied().unwrap_or(NO_WEIGHT) as u32 as usize));
    words
}

/// All parameters of a step on the device, one behind the other, and their gradients.
#[derive(Debug)]
pub struct Tensors {
    /// Where each begins, and its shape.
    places: BTreeMap<String, (usize, Vec<usize>)>,
    values: Room,
    gradients: Room,
    count: usize,
    /// Those that have a gradient.
    found: BTreeSet<String>,
}

impl Tensors {
    /// On the device, with gradients of 0.
    pub fn new(parameters: &Parameters, work: &mut Work) -> Self {
        let mut places = BTreeMap::new();
        let mut all = Vec::new();
        for (name, parameter) in parameters {
            places.insert(name.clone(), (all.len(), parameter.shape.clone()));
            all.extend_from_slice(&parameter.values);
        }
        let values = work.upload(&all);
        let gradients = work.upload(&vec![0.0; all.len()]);
        Self { places, values, gradients, count: all.len(), found: BTreeSet::new() }
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Where it begins.
    pub fn at(&self, name: &str) -> usize {
        self.places[name].0
    }

    /// Its shape.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.places[name].1
    }

    /// Numbers in the order of the kernels.
    pub fn pack(&self, words: &[usize], to: &Room, work: &mut Work) {
        work.run(Kernel::Pack, words, &[&self.values, to], for_each(words[0]));
    }

    /// Adds the gradient of a parameter, which lies in the order of the kernels.
    pub fn unpack(&mut self, name: String, words: &[usize], from: &Room, work: &mut Work) {
        work.run(Kernel::Unpack, words, &[from, &self.gradients], for_each(words[0]));
        self.found.insert(name);
    }

    /// Takes all gradients that there are, and begins anew.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn take(&mut self, work: &mut Work) -> Result<Gradients, GpuError> {
        let all = work.read(&[(&self.gradients, self.count)])?.pop().unwrap_or_default();
        self.gradients = work.upload(&vec![0.0; self.count]);
        let of = |name: &String| {
            let (at, shape) = &self.places[name];
            (name.clone(), all[*at..][..shape.iter().product()].to_vec())
        };
        let gradients = self.found.iter().map(of).collect();
        self.found.clear();
        Ok(gradients)
    }
}
