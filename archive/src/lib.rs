//! HTTP to archives, for the command line and the window: TLS by rustls, and whom to trust as the system says, since hospitals have
//! authorities of their own. What is asked, and what the answers mean, is the library's matter (`attention_anatomy::dicomweb`).
//!
//! Every request has a thread of its own, which waits for the wire so that nobody else does. A page has `fetch` instead of all this.

#[cfg(not(target_family = "wasm"))]
mod http;
#[cfg(not(target_family = "wasm"))]
mod trouble;

#[cfg(not(target_family = "wasm"))]
pub use http::{Http, wait};
