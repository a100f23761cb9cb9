//! Without an HTTP client.

use anyhow::{Result, bail};

use super::wire::{Answer, Trouble};

/// There is none.
pub enum Client {}

impl Client {
    /// Says what is missing.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: Option<String>) -> Result<Self> {
        bail!(
            "this program was built without the connection to archives; build it with its default features, or with `--features archive`"
        )
    }

    /// Cannot be called.
    pub fn get(&self, _: &str, _: &str) -> Result<Answer, Trouble> {
        match *self {}
    }

    /// Cannot be called.
    pub fn post(&self, _: &str, _: &str, _: &[u8]) -> Result<Answer, Trouble> {
        match *self {}
    }
}
