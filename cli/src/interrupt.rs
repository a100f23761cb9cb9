//! Ctrl-C, for whoever wants to end in good order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};

/// How a program ends that was stopped by a signal and would go on if it were started again: `EX_TEMPFAIL` of sysexits.h.
pub const STOPPED: u8 = 75;

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
    let set = flag.clone();
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
    Ok(FLAG.get_or_init(|| flag).clone())
}
