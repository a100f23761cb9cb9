//! What a network has a device do in one submission: the input of some slices, their dispatches, and what is read of each.
//!
//! A submission, and each piece of memory that is written for it, costs the host as much as a dozen dispatches. So slices for which
//! nobody waits share one: a pass each, one after the other, with what is read of it copied behind it.

use std::sync::Arc;

use attention_anatomy_shaders::network::Kernel;

use super::network::{Network, Window};
use super::pipelines::Dispatch;
use super::volume::Volume;
use super::weights::LANES;
use crate::preprocess::ModelSlices;

impl Network {
    /// A volume's slices on the device; `None` where there is no [`Room`](super::Room) for them.
    pub fn volume(&self, slices: &Arc<ModelSlices>) -> Option<Volume> {
        Volume::new(&self.gpu, &self.pipelines, &self.uniforms, self.input_buffer(), slices)
    }

    /// Multiply-adds of a whole field.
    pub fn multiply_adds(&self) -> u64 {
        let of = |step: &super::steps::GpuStep| {
            let side = self.field() >> self.places[step.output].level;
            step.multiply_adds(side * side)
        };
        self.steps.iter().map(of).sum()
    }

    /// Submissions so far.
    pub fn submissions(&self) -> u64 {
        self.submissions
    }

    /// Brings what is missing of the stack around slice `k` to the device, and to the model grid there.
    pub fn prepare(&mut self, volume: &mut Volume, slices: &ModelSlices, k: usize) {
        if self.uniforms.is_half_full() {
            self.submit();
        }
        let gpu = self.gpu.clone();
        let claimed = volume.claim(slices, k);
        for claimed in claimed.chunks(volume.batch()) {
            let Some(sending) = volume.sending(slices, claimed) else { continue };
            if !volume.has_room(&sending, self.submissions) {
                self.submit();
            }
            let (words, pitch) = volume.send(&gpu, slices, claimed, &sending, self.submissions);
            let uniform = self.uniforms.push(&words);
            let [width, height] = volume.size();
            for (kernel, bound, columns) in
                [(Kernel::ResampleDown, &volume.down, pitch), (Kernel::ResampleAcross, &volume.across, width)]
            {
                let groups = [columns.div_ceil(64), height, claimed.len()].map(|n| n as u32);
                self.dispatches.push(Dispatch { kernel, bound: bound.clone(), uniform, groups });
            }
        }
    }

    /// Submits what is recorded.
    pub fn submit(&mut self) {
        if self.dispatches.is_empty() && self.readings.is_empty() {
            return;
        }
        self.uniforms.flush(&self.gpu);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut from = 0;
        for reading in &self.readings {
            encoder.clear_buffer(&reading.flags, 0, None);
            self.pipelines.encode(&mut encoder, &self.dispatches[from..reading.until]);
            reading.encode(&mut encoder);
            from = reading.until;
        }
        if from < self.dispatches.len() {
            self.pipelines.encode(&mut encoder, &self.dispatches[from..]);
        }
        self.dispatches.clear();
        self.gpu.queue.submit([encoder.finish()]);
        self.submissions += 1;
        for reading in self.readings.drain(..) {
            reading.expect();
        }
    }

    pub(super) fn record_input(&mut self, stack: &[f32], window: Window) {
        let pixels = window.size[0] * window.size[1];
        let channels = self.places[self.input.0].channels;
        assert_eq!(stack.len(), channels * pixels, "a stack of another size");
        self.gpu.queue.write_buffer(&self.planes, 0, bytemuck::cast_slice(stack));
        let uniform = self.uniforms.push(&[pixels as u32, channels as u32, channels.div_ceil(LANES) as u32, 0]);
        let groups = [pixels.div_ceil(64) as u32, 1, 1];
        self.dispatches.push(Dispatch { kernel: Kernel::Input, bound: self.input_bound.clone(), uniform, groups });
    }

    pub(super) fn record_stack(&mut self, volume: &Volume, origin: [i64; 2], window: Window) {
        let channels = self.places[self.input.0].channels;
        let parts = self.uniforms.push(volume.parts()) / size_of::<u32>() as u32;
        let [columns, rows] = window.size;
        let [width, height] = volume.size().map(|n| n as u32);
        let [x, y] = [0, 1].map(|axis| (origin[axis] + window.offset[axis] as i64) as i32 as u32);
        let [pixels, c4] = [columns * rows, channels.div_ceil(LANES)];
        let [columns, pixels, channels, c4, knots] = [columns, pixels, channels, c4, volume.knots()].map(|n| n as u32);
        let uniform = self.uniforms.push(&[columns, pixels, channels, c4, width, height, x, y, knots, parts, 0, 0]);
        let (bound, groups) = (volume.stack.clone(), [pixels.div_ceil(64), 1, 1]);
        self.dispatches.push(Dispatch { kernel: Kernel::Stack, bound, uniform, groups });
    }
}
