//! What is copied to the host behind some dispatches of a submission, and how far it is.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use wgpu::{Buffer, CommandEncoder, MapMode};

const WAITING: u8 = 0;
const ARRIVED: u8 = 1;
const FAILED: u8 = 2;

/// How far a reading is, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct State {
    is: AtomicU8,
    waiting: Mutex<Option<Waker>>,
}

impl State {
    /// Whether it is neither there nor known to be lost.
    pub fn is_waiting(&self) -> bool {
        self.is.load(Ordering::Acquire) == WAITING
    }

    /// Whether it is there.
    pub fn has_arrived(&self) -> bool {
        self.is.load(Ordering::Acquire) == ARRIVED
    }

    /// Who is to be woken when it is one of the two.
    pub fn wakes(&self, context: &Context<'_>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
    }

    fn becomes(&self, state: u8) {
        self.is.store(state, Ordering::Release);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// What is copied to the host when all dispatches before it are done.
#[derive(Debug)]
pub(super) struct Reading {
    /// Dispatches that come before.
    pub until: usize,
    /// What is cleared before those that come after the reading before.
    pub flags: Buffer,
    /// From where, and how much of it.
    pub copies: Vec<(Buffer, u64, u64)>,
    pub staging: Buffer,
    /// All of it.
    pub bytes: u64,
    pub state: Arc<State>,
}

impl Reading {
    /// Copies.
    pub fn encode(&self, encoder: &mut CommandEncoder) {
        let mut at = 0;
        for (from, begin, bytes) in &self.copies {
            encoder.copy_buffer_to_buffer(from, *begin, &self.staging, at, *bytes);
            at += bytes;
        }
    }

    /// Once it is submitted: has it say when it has arrived.
    pub fn expect(self) {
        let Self { staging, bytes, state, .. } = self;
        staging.map_async(MapMode::Read, 0..bytes, move |outcome| {
            state.becomes(if outcome.is_ok() { ARRIVED } else { FAILED });
        });
    }
}
