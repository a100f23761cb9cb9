//! Static constructors: what some crates want done before anything of theirs is called (`inventory`, through cubecl's compiler).
//!
//! As long as nothing calls them, the linker takes this module for a program that is started anew for every call, and puts a call
//! of all constructors before every export, down to `malloc`. One such call took 110 us, and an idle page a quarter of a core.

use std::sync::Once;

#[expect(unsafe_code, reason = "a symbol that the linker makes")]
mod linker {
    unsafe extern "C" {
        /// Runs all of them.
        pub fn __wasm_call_ctors();
    }
}

/// Runs all constructors, once in a page and once in a worker. Whatever enters this module first calls it first.
#[expect(unsafe_code, reason = "a symbol that the linker makes")]
pub fn run() {
    static DONE: Once = Once::new();
    // SAFETY: the linker defines the symbol with this signature; nothing that a constructor prepares has been used before.
    DONE.call_once(|| unsafe { linker::__wasm_call_ctors() });
}
