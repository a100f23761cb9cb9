//! Whom to tell that there is something to draw: the window that shows the viewer now. It is not always the first one, as a
//! window whose graphics device is lost gives way to another.

use std::sync::{Arc, Mutex};

/// Wakes the window that shows the viewer now, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Mutex<egui::Context>>);

impl Waker {
    /// Wakes this window.
    pub fn new(window: &egui::Context) -> Self {
        Self(Arc::new(Mutex::new(window.clone())))
    }

    /// Wakes another window from now on; the one before it comes back.
    pub fn move_to(&self, window: &egui::Context) -> egui::Context {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *now, window.clone())
    }

    /// Asks for a frame.
    pub fn wake(&self) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).request_repaint();
    }
}
