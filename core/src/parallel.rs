//! Work that falls into pieces, on the threads that there are (in a browser there is one), and in vectors as long as the processor has.

use pulp::WithSimd;

/// All of `items`, each on one thread, in their order.
pub fn map<T: Send, A: Send>(items: Vec<T>, of: impl Fn(T) -> A + Sync + Send) -> Vec<A> {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        items.into_par_iter().map(of).collect()
    }
    #[cfg(target_family = "wasm")]
    items.into_iter().map(of).collect()
}

/// Carries out an operation on vectors as long as the processor has them. Loops in it that the compiler makes vectors of become as long,
/// and give the same numbers.
#[inline(always)]
pub fn vectors<Op: WithSimd>(operation: Op) -> Op::Output {
    #[cfg(not(target_family = "wasm"))]
    return pulp::Arch::new().dispatch(operation);
    // Not by `Arch`: it would bring instructions (relaxed SIMD) that not every browser takes.
    #[cfg(target_family = "wasm")]
    match pulp::wasm::Simd128::try_new() {
        Some(simd) => pulp::Simd::vectorize(simd, operation),
        None => pulp::Simd::vectorize(pulp::Scalar, operation),
    }
}

/// Both, the second on another thread where there are several. That one is none of those that [`map`] uses: what waits in `first` keeps none
/// of them.
pub fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(not(target_family = "wasm"))]
    if rayon::current_num_threads() > 1 {
        return std::thread::scope(|scope| {
            let second = scope.spawn(second);
            let first = first();
            (first, second.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken)))
        });
    }
    (first(), second())
}

/// Items that lie ready at most.
#[cfg(not(target_family = "wasm"))]
const READY: usize = 16;

/// `work` on items until there are no more. They come from what `start` gives; where there are several threads both run ahead on another
/// one.
pub fn ahead<A: Send, N: FnMut() -> Option<A>, T>(
    start: impl FnOnce() -> N + Send,
    work: impl FnOnce(&mut dyn FnMut() -> Option<A>) -> T,
) -> T {
    #[cfg(not(target_family = "wasm"))]
    if rayon::current_num_threads() > 1 {
        return std::thread::scope(|scope| {
            let (sender, ready) = std::sync::mpsc::sync_channel(READY);
            scope.spawn(move || {
                let mut next = start();
                while let Some(item) = next() {
                    // Nobody takes it any more.
                    if sender.send(item).is_err() {
                        return;
                    }
                }
            });
            work(&mut move || ready.recv().ok())
        });
    }
    work(&mut start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_ahead_comes_in_its_order_and_need_not_be_taken() {
        for wanted in [0, 3, 1000, 2000] {
            let numbers = || {
                let mut numbers = 0..1000;
                move || numbers.next()
            };
            let taken = ahead(numbers, |next| std::iter::from_fn(next).take(wanted).collect::<Vec<i32>>());
            assert!(taken.into_iter().eq((0..1000).take(wanted)));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let numbers = || std::iter::repeat_n((), 50);
        let items = || {
            let mut numbers = numbers();
            move || numbers.next()
        };
        assert_eq!(pool.install(|| ahead(items, |next| std::iter::from_fn(next).count())), 50);
    }
}
