//! Waiting for a device, where a program may wait: everywhere but in the browser.
//!
//! Whatever reads from a device is written once, as a future; the command line waits for it here, a browser's event loop
//! awaits it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The result of a future whose work goes on by itself, as that of a device does; it needs nobody to wake it.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
