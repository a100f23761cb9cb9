//! What each operation of a slice takes on a GPU.
//!
//! Timestamps within a pass are an option that few browsers give and that this program does not ask for. So each operation is
//! carried out many times in one submission, and the time on the clock divided by that; what a submission costs by itself is taken off.

use web_time::Instant;

use super::network::{Network, Shown, Slot, Window};
use crate::kernels::plan::Timing;

impl Network {
    /// Seconds of each operation of a tile, `[S, rows, columns]` of a box, each carried out `times` times. Waits: not for a browser.
    ///
    /// # Panics
    /// When the stack does not have the box's size.
    pub fn profile(&mut self, stack: &[f32], window: Window, slot: &Slot, times: usize) -> Vec<Timing> {
        // Everything once: compiled, and all maps there.
        self.tile(Shown::Stack(stack), window, slot, true, true);
        self.submit_and_wait();
        let mut empty = f64::INFINITY;
        for _ in 0..3 {
            self.record_input(stack, window);
            empty = empty.min(self.submit_and_wait());
        }
        let mut timings = Vec::with_capacity(self.steps.len());
        for n in 0..self.steps.len() {
            for _ in 0..times {
                self.record(n, slot);
            }
            let seconds = (self.submit_and_wait() - empty).max(0.0) / times as f64;
            let step = &self.steps[n];
            let [width, height] = self.windows[step.map].size;
            let multiply_adds = step.multiply_adds(width * height);
            timings.push(Timing { name: step.name.clone(), seconds, multiply_adds });
        }
        timings
    }

    /// Seconds until everything that is recorded is done.
    fn submit_and_wait(&mut self) -> f64 {
        let clock = Instant::now();
        self.submit();
        // Fails where the device is gone: then there is nothing to wait for.
        let _ = self.gpu.device.poll(wgpu::PollType::wait_indefinitely());
        clock.elapsed().as_secs_f64()
    }
}
