//! A platform for tests: everything in memory, an engine whose answers are known, and failures on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use attention_anatomy::dicomweb::{self, Body, Broken, Head, Later, Request, Transport};
use attention_anatomy::infer::{
    ComputeDevice, ComputeKind, DevicePreference, Engine, SlicePrediction, SliceRequest, SliceResult, Ticket, Wait,
    device,
};
use attention_anatomy::network::weights;
use attention_anatomy::testing::FakeEngine;

use super::{File, Pieces, Promise, in_memory};
use crate::worker::error::PlatformError;
use crate::worker::{Access, Input};

/// What the tests look at and set, from whatever thread.
#[derive(Debug)]
pub struct FakeState {
    /// Slices submitted to any engine, in order.
    pub submitted: Vec<usize>,
    /// How many polls a slice takes.
    pub slow: u32,
    /// The slice that fails as a lost device does, once.
    pub fails_at: Option<usize>,
    /// The slice at which the engine panics, once.
    pub panics_at: Option<usize>,
    /// Devices opened, by name.
    pub opened: Vec<String>,
    /// How many engines were made.
    pub engines: usize,
    /// Why the next device cannot be opened.
    pub device_error: Option<String>,
    /// How many times a promise is asked for before it is there.
    pub patience: u32,
    /// What [`super::Platform::memory_limit`] says.
    pub memory_limit: u64,
    /// What [`super::Platform::most_bytes`] says.
    pub most_bytes: u64,
    /// What [`super::Platform::most_needed`] says.
    pub most_needed: u64,
    /// What [`super::Platform::large`] says.
    pub large: u64,
    /// Files that lay in memory whole.
    pub read_whole: usize,
    /// Attention of the organ that is found.
    pub attention: f32,
    /// What an archive answers, by address and how often the same was asked before: status, Content-Type, body, and whether the
    /// connection breaks behind it.
    pub archive: Option<Answering>,
    /// What an archive was asked for.
    pub asked: Vec<String>,
    /// What it was sent.
    pub posted: Vec<Vec<u8>>,
}

/// Pauses that are so long end connections on which nothing comes: here something does.
const ENDLESS: std::time::Duration = std::time::Duration::from_secs(60);

/// See [`FakeState::archive`].
#[derive(Clone)]
pub struct Answering(pub Arc<Answer>);

type Answer = dyn Fn(&str, usize) -> (u16, String, Vec<u8>, bool) + Send + Sync;

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answering")
    }
}

impl Default for FakeState {
    fn default() -> Self {
        Self {
            submitted: Vec::new(),
            slow: 0,
            fails_at: None,
            panics_at: None,
            opened: Vec::new(),
            engines: 0,
            device_error: None,
            patience: 0,
            memory_limit: u64::MAX,
            most_bytes: u64::MAX,
            most_needed: u64::MAX,
            large: u64::MAX,
            read_whole: 0,
            attention: 1.0,
            archive: None,
            asked: Vec::new(),
            posted: Vec::new(),
        }
    }
}

/// A platform that does what a test says.
#[derive(Clone, Debug)]
pub struct FakePlatform {
    state: Arc<Mutex<FakeState>>,
    /// The bundled weights.
    pub weights: Arc<[u8]>,
    /// The bundled CT.
    pub sample: Arc<[u8]>,
    /// The organ that is found where it is bright.
    pub organ: Organ,
    /// HU above which it is.
    pub threshold_hu: f32,
}

impl FakePlatform {
    /// A platform with these bundled data, that finds `organ` above `threshold_hu`.
    pub fn new(weights: Vec<u8>, sample: Vec<u8>, organ: Organ, threshold_hu: f32) -> Self {
        Self { state: Arc::default(), weights: weights.into(), sample: sample.into(), organ, threshold_hu }
    }

    /// What happened, and what shall happen.
    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that counts how often it is read whole.
    fn on_disk(&self, name: &str, bytes: &Arc<[u8]>) -> File {
        let (read, platform, own) = (in_memory(name, bytes).read, self.clone(), bytes.clone());
        let read = move || {
            platform.state().read_whole += 1;
            read()
        };
        let pieces: Pieces = Box::new(move || Ok(Box::new(std::io::Cursor::new(own.clone()))));
        File { name: name.into(), bytes: bytes.len() as u64, read: Box::new(read), pieces: Some(pieces) }
    }

    fn later<T: 'static>(&self, value: T) -> Promise<T> {
        let (mut left, mut value) = (self.state().patience, Some(value));
        Box::pin(std::future::poll_fn(move |_| {
            let patient = left > 0;
            left = left.saturating_sub(1);
            match value.take_if(|_| !patient) {
                Some(value) => std::task::Poll::Ready(value),
                None => std::task::Poll::Pending,
            }
        }))
    }
}

impl super::Platform for FakePlatform {
    fn list(&mut self, input: &Input) -> Result<Vec<File>, PlatformError> {
        match input {
            Input::Bytes { name, bytes } => Ok(vec![self.on_disk(name, bytes)]),
            Input::Sample => Ok(vec![in_memory("sample.nii.gz", &self.sample)]),
            _ => Err(PlatformError::Refused("this platform has no files".into())),
        }
    }

    fn weights(&mut self) -> Promise<Result<Vec<u8>, PlatformError>> {
        self.later(Ok(self.weights.to_vec()))
    }

    fn transport(&mut self, _: &Access) -> Result<Box<dyn Transport>, PlatformError> {
        Ok(Box::new(self.clone()))
    }

    fn memory_limit(&self) -> u64 {
        self.state().memory_limit
    }

    fn most_bytes(&self) -> u64 {
        self.state().most_bytes
    }

    fn most_needed(&self) -> u64 {
        self.state().most_needed
    }

    fn large(&self) -> u64 {
        self.state().large
    }

    fn device(&mut self, preference: DevicePreference) -> Promise<Result<ComputeDevice, PlatformError>> {
        let failure = self.state().device_error.take();
        let (kind, name) = match preference {
            DevicePreference::Cpu => (ComputeKind::Cpu, "fake CPU"),
            _ => (ComputeKind::Gpu, "fake GPU"),
        };
        if failure.is_none() {
            self.state().opened.push(name.into());
        }
        self.later(match failure {
            Some(reason) => Err(PlatformError::Refused(reason)),
            None => Ok(ComputeDevice { kind, name: name.into(), ..device::cpu() }),
        })
    }

    fn engine(&mut self, bytes: &[u8], _: &ComputeDevice) -> Result<Box<dyn Engine>, PlatformError> {
        let input = weights::read_info(bytes)?.input;
        let threshold = input.intensity(self.threshold_hu);
        self.state().engines += 1;
        let mut engine = FakeEngine::new(input, self.organ, threshold);
        engine.attention[self.organ.index()] = self.state().attention;
        engine.depth = 2;
        Ok(Box::new(Watched { engine, platform: self.clone(), under_way: VecDeque::new() }))
    }
}

/// The body of an answer, in pieces.
struct Coming(VecDeque<Vec<u8>>, bool);

impl Body for Coming {
    fn next(&mut self) -> Later<'_, Result<Option<Vec<u8>>, Broken>> {
        let mut next = Some(match self.0.pop_front() {
            None if std::mem::take(&mut self.1) => Err(Broken::off("reset")),
            piece => Ok(piece),
        });
        // Not before it was asked for twice, as from a wire.
        let mut is_there = false;
        Box::pin(std::future::poll_fn(move |_| match next.take_if(|_| std::mem::replace(&mut is_there, true)) {
            Some(next) => std::task::Poll::Ready(next),
            None => std::task::Poll::Pending,
        }))
    }
}

impl Transport for FakePlatform {
    fn ask(&self, request: &Request) -> Later<'static, Result<dicomweb::Answer, Broken>> {
        let mut state = self.state();
        let address = match request {
            Request::Get { address, .. } => address,
            Request::Post { address, bytes, .. } => {
                state.posted.push(bytes.to_vec());
                address
            }
        };
        let before = state.asked.iter().filter(|asked| *asked == address).count();
        state.asked.push(address.clone());
        let answered = state.archive.as_ref().map(|answering| (answering.0)(address, before));
        drop(state);
        self.later(match answered {
            None | Some((0, ..)) => Err(Broken::off("refused")),
            Some((status, content_type, body, is_cut)) => {
                let pieces = body.chunks(5000).map(<[u8]>::to_vec).collect();
                let head = Head { status, content_type, ..Head::default() };
                Ok(dicomweb::Answer { head, body: Box::new(Coming(pieces, is_cut)) })
            }
        })
    }

    fn pause(&self, time: std::time::Duration) -> Later<'static, ()> {
        if time < ENDLESS { self.later(()) } else { Box::pin(std::future::pending()) }
    }
}

/// A fake engine that follows the platform's state while it works.
struct Watched {
    engine: FakeEngine,
    platform: FakePlatform,
    under_way: VecDeque<usize>,
}

impl Engine for Watched {
    fn name(&self) -> String {
        self.engine.name()
    }

    fn depth(&self) -> usize {
        self.engine.depth()
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.engine.set_enabled(enabled);
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        let panics = {
            let mut state = self.platform.state();
            state.submitted.push(request.slice);
            self.engine.slow = state.slow;
            state.panics_at.take_if(|k| *k == request.slice).is_some()
        };
        assert!(!panics, "the engine was told to panic");
        self.under_way.push_back(request.slice);
        self.engine.submit(request)
    }

    fn poll(&mut self, wait: Wait) -> Option<SliceResult> {
        let next = self.under_way.front().copied();
        self.engine.fails_at = self.platform.state().fails_at;
        let result = self.engine.poll(wait)?;
        self.under_way.pop_front();
        self.platform.state().fails_at.take_if(|k| Some(*k) == next);
        Some(result)
    }

    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        self.engine.reweight(slice, attention)
    }
}
