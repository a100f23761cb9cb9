//! How much memory is asked for, counted where it is asked for: what the system reports as in use leaves out what nobody has touched
//! yet, and a browser has no such memory to lend.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are allocated now, by all threads.
static NOW: AtomicUsize = AtomicUsize::new(0);
/// The most that they have been since [`begin`].
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, and a tally. The tests of this crate allocate through it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Begins to count the most; what is allocated now, bytes.
pub(super) fn begin() -> usize {
    let now = NOW.load(Relaxed);
    MOST.store(now, Relaxed);
    now
}

/// The most that has been allocated at once since [`begin`], bytes.
pub(super) fn most() -> usize {
    MOST.load(Relaxed)
}

fn took(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    if now > MOST.load(Relaxed) {
        MOST.fetch_max(now, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came; the tally touches no memory of anybody's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may stand beside each other while it moves.
        took(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
