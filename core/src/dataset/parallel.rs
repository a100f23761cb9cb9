//! Work on many scans at a time, where there are threads.

/// Most threads that work at a time: each holds a scan.
#[cfg(not(target_family = "wasm"))]
const MOST_THREADS: usize = 8;

/// Does `one` for every number on all cores; `each` sees the results here, as they come, until it is no longer content.
#[cfg(not(target_family = "wasm"))]
pub(super) fn in_any_order<T: Send, E>(
    count: usize,
    one: impl Fn(usize) -> T + Sync,
    each: &mut dyn FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().min(MOST_THREADS);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (send, next, one) = (send.clone(), &next, &one);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || send.send((n, one(n))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        receive.into_iter().try_for_each(|(n, result)| each(n, result))
    })
}

/// Does `one` for every number.
#[cfg(target_family = "wasm")]
pub(super) fn in_any_order<T, E>(
    count: usize,
    one: impl Fn(usize) -> T,
    each: &mut dyn FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    (0..count).try_for_each(|n| each(n, one(n)))
}
