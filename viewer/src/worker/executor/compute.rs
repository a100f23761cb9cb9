//! Weights, device and engine: each made when it is needed, and again when it was lost.

use std::sync::Arc;

use attention_anatomy::infer::{ComputeDevice, ComputeKind, DevicePreference, Engine};
use attention_anatomy::network::{Folded, weights};
use attention_anatomy_assets::WEIGHTS_NAME;

use super::{Executor, Step};
use crate::worker::error::{NetworkError, OpenError, PlatformError};
use crate::worker::platform::{self, Platform, Promise};
use crate::worker::{DeviceInfo, Event, LearnUpdate, WeightsInfo};

/// Weights in use.
pub(super) struct Weights {
    pub(super) bytes: Arc<[u8]>,
    pub(super) ready: WeightsInfo,
}

impl Weights {
    /// Checks a weights file: description, tensors, and that all numbers are numbers.
    pub(super) fn read(name: String, bytes: Vec<u8>) -> Result<Self, OpenError> {
        let (_, info) = Folded::read(&bytes).map_err(|e| OpenError::of(&name, e))?;
        let sha256 = weights::sha256(&bytes);
        Ok(Self { bytes: bytes.into(), ready: WeightsInfo { name, sha256, info } })
    }
}

/// A device on its way.
struct OpeningDevice {
    promise: Promise<Result<ComputeDevice, PlatformError>>,
    /// Why it is not the one that was asked for.
    note: Option<String>,
}

/// Whether an engine can be had.
pub(super) enum EngineState {
    /// It is there: [`Compute::engine`].
    Ready,
    /// Weights or device are on their way.
    Pending,
    /// It cannot be had, and why.
    Unavailable(NetworkError),
}

/// What segments: weights, device, and the engine of both.
pub(super) struct Compute {
    loading: Option<Promise<Result<Vec<u8>, PlatformError>>>,
    weights: Option<Weights>,
    preference: DevicePreference,
    opening: Option<OpeningDevice>,
    device: Option<ComputeDevice>,
    engine: Option<Box<dyn Engine>>,
    /// Whether an engine of these weights on this device was made, or could not be, before somebody wanted one.
    is_prepared: bool,
    /// Devices that stopped working, by name.
    lost: Vec<String>,
}

impl Compute {
    /// Loads the bundled weights.
    pub(super) fn new(platform: &mut dyn Platform) -> Self {
        Self {
            loading: Some(platform.weights()),
            weights: None,
            preference: DevicePreference::Auto,
            opening: None,
            device: None,
            engine: None,
            is_prepared: false,
            lost: Vec::new(),
        }
    }

    pub(super) fn use_bundled(&mut self, platform: &mut dyn Platform) {
        self.loading = Some(platform.weights());
    }

    /// The present device goes on until the other one is there.
    pub(super) fn use_device(&mut self, platform: &mut dyn Platform, preference: DevicePreference) {
        self.preference = preference;
        self.opening = Some(OpeningDevice { promise: platform.device(preference), note: None });
    }

    /// Whether the weights that the program starts with are still on their way.
    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    pub(super) fn weights(&self) -> Option<&Weights> {
        self.weights.as_ref()
    }

    /// Other weights: the engine of the old ones is gone.
    pub(super) fn set_weights(&mut self, weights: Weights) {
        self.engine = None;
        self.is_prepared = false;
        self.loading = None;
        self.weights = Some(weights);
    }

    /// Makes the engine while nothing else is to be done, so that the first slice of a run need not wait for it. Whether it did. What goes wrong
    /// is said when an engine is wanted.
    pub(super) fn prepare_engine(&mut self, platform: &mut dyn Platform) -> bool {
        let is_early = self.loading.is_some() || self.opening.is_some();
        let (false, None, false, Some(weights), Some(device)) =
            (is_early, &self.engine, self.is_prepared, &self.weights, &self.device)
        else {
            return false;
        };
        // First: what breaks the program does so once.
        self.is_prepared = true;
        self.engine = platform.engine(&weights.bytes, device).ok();
        true
    }

    /// The device and the engine on it, where there is one.
    pub(super) fn engine(&mut self) -> Option<&mut (dyn Engine + 'static)> {
        self.engine.as_deref_mut()
    }

    pub(super) fn device(&self) -> Option<&ComputeDevice> {
        self.device.as_ref()
    }

    /// The device if it is there; else sees to it that it will be, or that it is said that it cannot.
    pub(super) fn device_or_open(&mut self, platform: &mut dyn Platform) -> Option<&ComputeDevice> {
        if self.device.is_none() && self.opening.is_none() {
            self.use_device(platform, self.preference);
        }
        self.device.as_ref()
    }

    /// Makes the engine if that is possible now; else sees to it that it will be.
    pub(super) fn ensure_engine(&mut self, platform: &mut dyn Platform) -> EngineState {
        if self.engine.is_some() {
            return EngineState::Ready;
        }
        if self.loading.is_some() {
            return EngineState::Pending;
        }
        let Some(weights) = &self.weights else {
            return EngineState::Unavailable(NetworkError::NoWeights);
        };
        if self.opening.is_some() {
            return EngineState::Pending;
        }
        let Some(device) = &self.device else {
            self.use_device(platform, self.preference);
            return EngineState::Pending;
        };
        match platform.engine(&weights.bytes, device) {
            Ok(engine) => {
                self.engine = Some(engine);
                EngineState::Ready
            }
            Err(error) => EngineState::Unavailable(NetworkError::Engine { name: weights.ready.name.clone(), error }),
        }
    }

    /// The device is not to be used again: its name, and the engine on it, whose end may fail, too.
    pub(super) fn drop_device(&mut self) -> (String, Option<Box<dyn Engine>>) {
        let name = self.device.take().map_or_else(|| "the device".into(), |d| d.name);
        self.lost.push(name.clone());
        (name, self.engine.take())
    }

    pub(super) fn give_up_opening(&mut self) {
        self.opening = None;
        self.loading = None;
    }

    fn is_unreliable(&self, device: &ComputeDevice) -> bool {
        self.preference == DevicePreference::Auto
            && device.kind != ComputeKind::Cpu
            && self.lost.iter().filter(|lost| **lost == device.name).count() > 1
    }

    /// Memory that the device keeps for later is given back.
    pub(super) fn free_memory(&self) {
        if let Some(device) = &self.device {
            device.burn.memory_cleanup();
        }
    }
}

impl Executor {
    pub(super) fn step_compute(&mut self) -> Step {
        self.load_weights().max(self.open_device())
    }

    fn load_weights(&mut self) -> Step {
        let Some(loading) = &mut self.compute.loading else { return Step::Idle };
        let Some(loaded) = platform::ask(loading) else { return Step::Waiting };
        self.compute.loading = None;
        match loaded.map_err(OpenError::from).and_then(|bytes| Weights::read(WEIGHTS_NAME.into(), bytes)) {
            Ok(weights) => {
                let ready = weights.ready.clone();
                self.change_weights(weights);
                self.events.push_back(Event::Weights(ready));
            }
            Err(error) => self.events.push_back(Event::Failed(error.to_string())),
        }
        Step::Worked
    }

    /// Other weights: what the old ones were doing is over.
    pub(super) fn change_weights(&mut self, weights: Weights) {
        self.give_up_run();
        self.questions.clear();
        self.compute.set_weights(weights);
    }

    fn open_device(&mut self) -> Step {
        let compute = &mut self.compute;
        let Some(opening) = &mut compute.opening else { return Step::Idle };
        let Some(opened) = platform::ask(&mut opening.promise) else { return Step::Waiting };
        let note = compute.opening.take().and_then(|o| o.note);
        match opened {
            Ok(device) if compute.is_unreliable(&device) => {
                // What stopped working twice will do so a third time.
                let note = Some(format!("{} stopped working twice; the CPU computes now", device.name));
                compute.opening = Some(OpeningDevice { promise: self.platform.device(DevicePreference::Cpu), note });
            }
            Ok(mut device) => {
                device.notes.extend(note);
                self.events.push_back(Event::Device(DeviceInfo {
                    name: device.in_words(),
                    kind: device.kind,
                    notes: device.notes.clone(),
                }));
                if let Some(run) = &mut self.run {
                    run.change_device(&device.in_words(), &device.notes);
                }
                self.questions.engine_changed();
                compute.engine = None;
                compute.is_prepared = false;
                compute.device = Some(device);
            }
            Err(error) => {
                let message = error.to_string();
                compute.preference = DevicePreference::Auto;
                self.events.push_back(Event::DeviceFailed(message.clone()));
                if compute.device.is_none() {
                    self.network_failed(&message, false);
                    self.end_demo(LearnUpdate::Failed(message));
                }
            }
        }
        Step::Worked
    }
}
