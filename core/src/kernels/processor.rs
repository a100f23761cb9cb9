//! What computes: vectors of the length that the processor has, and threads where there are any.

use pulp::WithSimd;

pub use crate::parallel::map;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread alone: for whoever has as many other pieces of work as there are threads.
    One,
    /// All threads: for the one piece of work that somebody waits for.
    All,
}

/// The processor, or a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// Who takes part.
    pub threads: Threads,
    #[cfg(not(target_family = "wasm"))]
    arch: pulp::Arch,
}

impl Processor {
    /// With the longest vectors that there are.
    pub fn new(threads: Threads) -> Self {
        Self {
            threads,
            #[cfg(not(target_family = "wasm"))]
            arch: pulp::Arch::new(),
        }
    }

    /// Every length of vectors that this machine can compute with, for tests.
    #[cfg(all(test, not(target_family = "wasm")))]
    pub fn every(threads: Threads) -> Vec<Self> {
        let mut all = vec![Self::new(threads), Self { threads, arch: pulp::Arch::Scalar }];
        #[cfg(target_arch = "x86_64")]
        all.extend(pulp::x86::V3::try_new().map(|v3| Self { threads, arch: pulp::Arch::V3(v3) }));
        all
    }

    /// Carries out an operation on vectors.
    #[inline(always)]
    pub fn dispatch<Op: WithSimd>(self, operation: Op) -> Op::Output {
        #[cfg(not(target_family = "wasm"))]
        return self.arch.dispatch(operation);
        #[cfg(target_family = "wasm")]
        crate::parallel::vectors(operation)
    }

    /// Numbers in a vector.
    pub fn lanes(self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.dispatch(Lanes)
    }

    /// How many threads take part.
    pub fn count(self) -> usize {
        match self.threads {
            Threads::One => 1,
            Threads::All => available(),
        }
    }

    /// Both, at once where another thread is free.
    pub fn join<A: Send, B: Send>(self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self.threads {
            #[cfg(not(target_family = "wasm"))]
            Threads::All => rayon::join(a, b),
            _ => (a(), b()),
        }
    }

    /// `work` on one of the threads, so that it need not go over to them with every [`join`](Self::join).
    pub fn enter<A: Send>(self, work: impl FnOnce() -> A + Send) -> A {
        match self.threads {
            #[cfg(not(target_family = "wasm"))]
            Threads::All => rayon::scope(|_| work()),
            _ => work(),
        }
    }
}

/// Threads that there are.
pub fn available() -> usize {
    #[cfg(not(target_family = "wasm"))]
    return rayon::current_num_threads();
    #[cfg(target_family = "wasm")]
    1
}
