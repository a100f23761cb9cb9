//! Without an HTTP client.

use std::future::Future;

use anyhow::{Result, bail};
use attention_anatomy::dicomweb::Transport;

/// Says what is missing.
///
/// # Errors
/// Always.
pub fn transport(_: Option<&str>) -> Result<Box<dyn Transport>> {
    bail!(
        "this program was built without the connection to archives; build it with its default features, or with `--features archive`"
    )
}

/// Is not called: there is nothing to wait for.
pub fn wait<T>(_: impl Future<Output = T>) -> T {
    unreachable!("there is no archive to wait for")
}
