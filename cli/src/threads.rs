//! How many threads compute: as many as there are cores for this process, and not as many as the machine has.
//!
//! A scheduler gives a task some cores of a node. Where it binds them (cgroup, affinity), the system tells by itself; Slurm without such a
//! plugin only says it, in `SLURM_CPUS_PER_TASK`. Twice as many threads as cores compute more slowly than half as many.

use anyhow::{Context, Result};

/// What the user, or the scheduler, asked for.
const ASKED: [&str; 2] = ["RAYON_NUM_THREADS", "SLURM_CPUS_PER_TASK"];

/// Threads of a computation.
pub fn count() -> usize {
    let asked = ASKED.iter().filter_map(|name| std::env::var(name).ok()?.trim().parse::<usize>().ok());
    let system = std::thread::available_parallelism().map_or(1, usize::from);
    asked.into_iter().find(|&n| n > 0).unwrap_or(system)
}

/// Makes the pool that all computations share. Called once, before any of them.
///
/// # Errors
/// Where the system gives no threads.
pub fn start() -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(count()).build_global().context("the system gives no threads")
}
