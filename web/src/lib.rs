//! The viewer as a web page: what the page's scripts call.
//!
//! | called by | what |
//! |---|---|
//! | `page/app.js` | [`prepare`] and [`show`]: the viewer on a canvas; [`save`]: what must survive the page; [`status`] and [`labels`]: what it shows, as data |
//! | `page/mirror.js` | [`mirror`], [`act`], [`needs`]: the same for a screen reader, and what the system asks for |
//! | `page/worker.js` | [`worker_main`]: the other side, in a Web Worker; [`helper_main`]: further ones, which compute slices for it |
//! | `cargo xtask bench` | [`milliseconds`] of a slice, [`milliseconds_on_gpu`] |

#[cfg(target_family = "wasm")]
mod constructors;
#[cfg(target_family = "wasm")]
mod mirror;
#[cfg(target_family = "wasm")]
mod page;
#[cfg(target_family = "wasm")]
mod summary;
#[cfg(target_family = "wasm")]
pub use mirror::{act, mirror, needs};
#[cfg(target_family = "wasm")]
pub use page::{helper_main, labels, milliseconds, milliseconds_on_gpu, prepare, save, show, status, worker_main};
