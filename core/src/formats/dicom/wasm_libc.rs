//! The five C functions that the JPEG 2000 decoder calls, for the browser.
//!
//! `openjp2` is OpenJPEG translated to Rust and still asks the C library for memory. In a browser there is no C library:
//! the program builds, and then the module does not load because `env.malloc` is missing. Each block carries its size
//! in front of it, because C frees without saying how much. To be dropped when `openjp2` uses Rust's allocator.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc as rust_realloc};
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

/// Bytes before each block; also the alignment, which is that of C's `malloc`.
const HEAD: usize = 16;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
}

/// Writes the size in front of a fresh block and gives the part behind it.
///
/// # Safety
/// `block` is null or has room for [`HEAD`] bytes.
unsafe fn behind_head(block: *mut u8, size: usize) -> *mut c_void {
    if block.is_null() {
        return null_mut();
    }
    // SAFETY: the caller gave HEAD bytes, aligned to HEAD.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(HEAD).cast()
    }
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: the layout is never empty, HEAD is part of it.
    layout(size).map_or(null_mut(), |l| unsafe { behind_head(alloc(l), size) })
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, each: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(each) else { return null_mut() };
    // SAFETY: as for `malloc`.
    layout(size).map_or(null_mut(), |l| unsafe { behind_head(alloc_zeroed(l), size) })
}

/// # Safety
/// As in C: `block` is null or came from these functions and was not freed.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    // SAFETY: the block starts HEAD bytes earlier, with its size.
    unsafe {
        let start = block.cast::<u8>().sub(HEAD);
        let (Some(old), Some(new)) = (layout(start.cast::<usize>().read()), layout(size)) else { return null_mut() };
        behind_head(rust_realloc(start, old, new.size()), size)
    }
}

/// # Safety
/// As in C: `block` is null or came from these functions and was not freed.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block starts HEAD bytes earlier, with its size.
    unsafe {
        let start = block.cast::<u8>().sub(HEAD);
        if let Some(old) = layout(start.cast::<usize>().read()) {
            dealloc(start, old);
        }
    }
}

/// # Safety
/// As in C: `from` ends with a zero and `to` has room for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        let length = std::ffi::CStr::from_ptr(from).to_bytes_with_nul().len();
        std::ptr::copy_nonoverlapping(from, to, length);
    }
    to
}
