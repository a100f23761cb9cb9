//! Ctrl-C, for whoever wants to end in good order.
//!
//! Who waits for the flag may not get to look at it: a file on a network drive that is gone is waited for without end. So that nobody
//! needs another terminal to get rid of the program, it ends at once at the third Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::progress;

/// How a program ends that was stopped by a signal and would go on if it were started again: `EX_TEMPFAIL` of sysexits.h.
pub const STOPPED: u8 = 75;
/// How a program ends at the third Ctrl-C, as shells call what SIGINT ended.
const ENDED: i32 = 130;
/// Signals closer together are one: `timeout` and schedulers send theirs to a process and to its group.
const APART: Duration = Duration::from_millis(500);

/// Signals so far.
#[derive(Default)]
struct Asked {
    times: u32,
    last: Option<Instant>,
}

impl Asked {
    /// Counts a signal that came at `now`; how many there are now, or `None` for one that came with the last.
    fn again(&mut self, now: Instant) -> Option<u32> {
        let together = self.last.is_some_and(|last| now.duration_since(last) < APART);
        self.last = Some(now);
        self.times += u32::from(!together);
        (!together).then_some(self.times)
    }
}

/// A flag that Ctrl-C (or a scheduler's termination) sets. The same one for every caller.
///
/// # Errors
/// Where the system does not let it be caught.
pub fn flag() -> Result<Arc<AtomicBool>> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(flag) = FLAG.get() {
        return Ok(flag.clone());
    }
    let flag = Arc::new(AtomicBool::new(false));
    let (set, mut asked) = (flag.clone(), Asked::default());
    ctrlc::set_handler(move || {
        set.store(true, Ordering::Relaxed);
        match asked.again(Instant::now()) {
            Some(2) => progress::warn("still stopping in good order; the next Ctrl-C ends the program at once"),
            // Files appear whole or not at all, however the program ends.
            Some(3..) => std::process::exit(ENDED),
            _ => {}
        }
    })
    .context("Ctrl-C cannot be caught")?;
    Ok(FLAG.get_or_init(|| flag).clone())
}
