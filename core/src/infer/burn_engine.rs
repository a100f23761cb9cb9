//! The network on any burn device.
//!
//! Submitting enqueues the forward pass on the device and starts an asynchronous read of the softmax; polling asks
//! whether it has arrived. On the CPU (flex) the work is done when it is submitted, on a GPU it runs while the host
//! prepares the next slice. All burn work of an engine stays on one thread.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, activation};

use super::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, Wait};
use super::prediction::{RawPrediction, SlicePrediction, TileSoftmax};
use super::tile::Tile;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, OrganSet, REGION_COUNT};
use crate::network::AttentionAnatomy;
use crate::preprocess::{AIR_HU, FieldBox, InputConfig};

/// Slices kept for what-if questions, those asked about last or computed last: 3.5 MB each with the shipped weights.
const KEPT: usize = 16;

type Reading = Pin<Box<dyn Future<Output = Result<RawPrediction, EngineError>>>>;

/// A slice under way.
struct Pending {
    ticket: Ticket,
    slice: usize,
    reading: Reading,
    outcome: Option<Result<RawPrediction, EngineError>>,
}

impl Pending {
    /// Asks once whether the result has arrived.
    fn poll(&mut self) {
        if self.outcome.is_none()
            && let Poll::Ready(outcome) = self.reading.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            self.outcome = Some(outcome);
        }
    }

    /// Sleeps until the result has arrived: whoever completes the read wakes this thread.
    #[cfg(not(target_family = "wasm"))]
    fn wait(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(pollster::block_on(&mut self.reading));
        }
    }

    /// In a browser nobody may wait; what a processor computes is there at the first question.
    #[cfg(target_family = "wasm")]
    fn wait(&mut self) {
        self.poll();
    }
}

/// An engine on a burn device.
pub struct BurnEngine {
    network: AttentionAnatomy,
    device: Device,
    device_name: String,
    input: InputConfig,
    enabled: OrganSet,
    queue: VecDeque<Pending>,
    kept: VecDeque<RawPrediction>,
    next: u64,
    depth: usize,
}

impl std::fmt::Debug for BurnEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnEngine").field("device", &self.device_name).field("queued", &self.queue.len()).finish()
    }
}

impl BurnEngine {
    /// `network` as read from its weights file, on `device`; `drawn` are the organs that may be labelled. `gpu` says
    /// whether the device works on its own while the host goes on.
    pub fn new(
        network: AttentionAnatomy,
        input: InputConfig,
        enabled: OrganSet,
        device: Device,
        device_name: String,
        gpu: bool,
    ) -> Self {
        let network = network.fold();
        let depth = if gpu { 2 } else { 1 };
        Self {
            network,
            device,
            device_name,
            input,
            enabled,
            queue: VecDeque::new(),
            kept: VecDeque::new(),
            next: 0,
            depth,
        }
    }

    /// The whole field of a tile: what a box leaves out is air, and this engine is what engines that spare it are compared with.
    fn tensor(&self, tile: Tile) -> Tensor<4> {
        let (crop, air) = (self.input.crop, self.input.intensity(AIR_HU));
        let whole = tile.on(FieldBox::whole(crop), air);
        Tensor::from_data(TensorData::new(whole.stack, [1, self.input.stack, crop, crop]), &self.device)
    }
}

async fn read(tensor: Tensor<4>, name: &str, slice: usize) -> Result<Vec<f32>, EngineError> {
    let lost = || EngineError::DeviceLost(name.to_string());
    let data = tensor.into_data_async().await.map_err(|_: ExecutionError| lost())?;
    // The bytes are fetched only here: a device that was lost on the way is told by this, too.
    let values = data.try_to_vec::<f32>().map_err(|_| lost())?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(EngineError::BadAnswer { slice, reason: "it contains numbers that are not finite".into() })
    }
}

fn array<const N: usize>(values: Vec<f32>, slice: usize) -> Result<[f32; N], EngineError> {
    let n = values.len();
    values.try_into().map_err(|_| EngineError::BadAnswer { slice, reason: format!("{n} values instead of {N}") })
}

impl Engine for BurnEngine {
    fn name(&self) -> String {
        self.device_name.clone()
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.enabled = enabled;
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let slice = request.slice;
        let shared = request.centre.and_then(|tile| self.network.forward_region(self.tensor(tile)));
        let mut region = shared;
        let mut softmax = Vec::new();
        for tile in request.tiles {
            let place = tile.place;
            let output = self.network.forward(self.tensor(tile));
            let [columns, rows] = [0, 1].map(|a| place.within.offset[a]..place.within.offset[a] + place.within.size[a]);
            let logits = output.logits.slice([0..1, 0..CLASS_COUNT, rows, columns]);
            softmax.push((place, activation::softmax(logits, 1)));
            region = region.or(output.region);
        }
        let name = self.device_name.clone();
        // Four dimensions for all: one reading function.
        let small = region.map(|r| {
            (
                r.attention.reshape([1, ORGAN_COUNT, 1, 1]),
                activation::softmax(r.regions, 1).reshape([1, REGION_COUNT, 1, 1]),
            )
        });
        let reading: Reading = Box::pin(async move {
            let mut tiles = Vec::with_capacity(softmax.len());
            for (place, values) in softmax {
                let values = read(values, &name, slice).await?;
                if values.len() != CLASS_COUNT * place.within.pixels() {
                    let reason = format!("{} values for {:?} pixels", values.len(), place.within.size);
                    return Err(EngineError::BadAnswer { slice, reason });
                }
                tiles.push(TileSoftmax { place, values });
            }
            let (mut attention, mut regions) = (None, None);
            if let Some((a, r)) = small {
                attention = Some(array(read(a, &name, slice).await?, slice)?);
                regions = Some(array(read(r, &name, slice).await?, slice)?);
            }
            Ok(RawPrediction { slice, tiles, attention, regions })
        });
        // The first poll starts the read, behind this slice's work and before the next slice's.
        let mut pending = Pending { ticket, slice, reading, outcome: None };
        pending.poll();
        self.queue.push_back(pending);
        ticket
    }

    fn poll(&mut self, wait: Wait) -> Option<SliceResult> {
        let pending = self.queue.front_mut()?;
        match wait {
            Wait::Yes => pending.wait(),
            Wait::No => pending.poll(),
        }
        pending.outcome.as_ref()?;
        let Pending { ticket, slice, outcome, .. } = self.queue.pop_front()?;
        let outcome = outcome?.map(|raw| {
            let prediction = raw.finish(None, self.enabled);
            self.kept.retain(|k| k.slice != slice);
            self.kept.push_back(raw);
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
            prediction
        });
        Some(SliceResult { ticket, slice, outcome, labels: Vec::new() })
    }

    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        let at = self.kept.iter().position(|k| k.slice == slice)?;
        let raw = self.kept.remove(at)?;
        let prediction = raw.finish(Some(attention), self.enabled);
        self.kept.push_back(raw);
        Some(prediction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkConfig;

    const CROP: usize = 32;

    fn request(slice: usize, brightness: f32) -> SliceRequest {
        let n = 5 * CROP * CROP;
        let stack = (0..n).map(|i| brightness * ((i * 37 % 101) as f32 / 100.0)).collect();
        SliceRequest { slice, tiles: vec![Tile::whole([3, -4], stack, CROP)], centre: None, labels: None }
    }

    fn engine() -> BurnEngine {
        let input = InputConfig { crop: CROP, ..InputConfig::light() };
        let network = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true }.init(&Device::flex());
        BurnEngine::new(network, input, OrganSet::ALL, Device::flex(), "cpu".into(), false)
    }

    #[test]
    fn results_come_in_the_order_of_the_requests_with_probabilities_that_sum_to_one() {
        let mut engine = engine();
        assert!(engine.poll(Wait::Yes).is_none());
        let tickets = [engine.submit(request(8, 1.0)), engine.submit(request(2, 0.3))];
        for (ticket, slice) in tickets.into_iter().zip([8, 2]) {
            let result = engine.poll(Wait::Yes).unwrap();
            assert_eq!((result.ticket, result.slice), (ticket, slice));
            let p = result.outcome.unwrap();
            assert_eq!((p.origin, p.size), ([3, -4], [CROP, CROP]));
            let regions: f32 = p.regions.unwrap().iter().sum();
            assert!((regions - 1.0).abs() < 1e-5);
            let area = CROP * CROP;
            for n in 0..area {
                let sum: f32 = (0..p.classes.len()).map(|c| p.probabilities[c * area + n]).sum();
                // Classes that can win nowhere are left out.
                assert!(sum > 0.3 && sum < 1.0 + 1e-4, "{sum}");
            }
        }
    }

    #[test]
    fn a_what_if_answers_at_once_and_equals_the_network_under_that_attention() {
        let mut engine = engine();
        engine.submit(request(5, 0.7));
        let own = engine.poll(Wait::Yes).unwrap().outcome.unwrap();
        let same = engine.reweight(5, &own.attention.unwrap()).unwrap();
        assert_eq!(own, same);
        let mut off = own.attention.unwrap();
        off[11] = 0.0;
        let without = engine.reweight(5, &off).unwrap();
        assert!(!without.classes.contains(&12), "an organ without attention can win nowhere");
        assert!(engine.reweight(6, &off).is_none());
        let heart = crate::anatomy::Organ::Heart;
        engine.set_enabled([heart].into_iter().collect());
        assert!(engine.reweight(5, &off).unwrap().classes.iter().all(|&c| c == 0 || c == heart.label()));
    }

    #[test]
    fn a_slice_that_is_asked_about_stays_at_hand_while_others_are_computed() {
        let mut engine = engine();
        for slice in 0..2 * KEPT {
            engine.submit(request(slice, 0.5));
            engine.poll(Wait::Yes).unwrap().outcome.unwrap();
            assert!(engine.reweight(0, &[1.0; ORGAN_COUNT]).is_some());
        }
        assert!(engine.reweight(1, &[1.0; ORGAN_COUNT]).is_none());
        assert_eq!(engine.kept.len(), KEPT);
    }

    #[test]
    fn an_engine_on_wgpu_gives_the_labels_of_the_cpu() {
        let opened = crate::infer::ComputeDevice::open(crate::infer::DevicePreference::Gpu);
        let device = match opened.and_then(crate::infer::ComputeDevice::with_tensors) {
            Ok(device) => device,
            Err(error) => {
                whole_program_tests::not_run(&error.to_string());
                return;
            }
        };
        let input = InputConfig { crop: CROP, ..InputConfig::light() };
        let config = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true };
        let info = crate::network::weights::ModelInfo {
            format: crate::network::weights::FORMAT_VERSION,
            name: "test".into(),
            network: config.clone(),
            input: input.clone(),
            trained_organs: Vec::new(),
            data: Vec::new(),
            held_out: Vec::new(),
            gauge: None,
            steps: 0,
            note: String::new(),
        };
        let precision = crate::network::weights::Precision::Full;
        let bytes = crate::network::weights::write(&config.init(&Device::flex()), &info, precision).unwrap();
        let predict = |burn: &Device, gpu: bool| {
            let (network, _) = crate::network::weights::read(&bytes, burn).unwrap();
            let mut engine = BurnEngine::new(network, input.clone(), OrganSet::ALL, burn.clone(), "x".into(), gpu);
            for slice in 0..3 {
                engine.submit(request(slice, 0.4 + 0.2 * slice as f32));
            }
            (0..3).map(|_| engine.poll(Wait::Yes).unwrap().outcome.unwrap()).collect::<Vec<_>>()
        };
        for (a, b) in predict(&Device::flex(), false).iter().zip(&predict(&device.burn, true)) {
            for (x, y) in a.attention.unwrap().iter().zip(b.attention.unwrap()) {
                assert!((x - y).abs() < 1e-4, "attention {x} {y}");
            }
            assert_eq!(a.classes, b.classes);
            let worst = a.probabilities.iter().zip(&b.probabilities).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(worst < 1e-3, "probabilities differ by {worst}");
        }
    }

    #[test]
    fn a_device_that_is_destroyed_is_an_error_and_no_wait_for_ever() {
        let Some(setup) = crate::testing::separate_gpu() else {
            whole_program_tests::not_run("there is no adapter to destroy");
            return;
        };
        let device = Device::wgpu_options().setup(setup.clone()).init().unwrap();
        let input = InputConfig { crop: CROP, ..InputConfig::light() };
        let network = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true }.init(&device);
        let mut engine = BurnEngine::new(network, input, OrganSet::ALL, device, "gpu".into(), true);
        engine.submit(request(0, 0.5));
        assert!(engine.poll(Wait::Yes).unwrap().outcome.is_ok());
        setup.device.destroy();
        engine.submit(request(1, 0.5));
        let result = whole_program_tests::wait("an answer comes", || engine.poll(Wait::No));
        assert_eq!(result.outcome.unwrap_err(), EngineError::DeviceLost("gpu".into()));
    }
}
