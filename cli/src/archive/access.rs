//! Who asks.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use attention_anatomy::dicomweb::authorization;

/// The environment variable with a token.
pub const TOKEN: &str = "ATTENTION_ANATOMY_TOKEN";

/// Who asks an archive.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Access {
    /// A file with the token that the archive asks for (`Bearer` where it does not say otherwise). Where not given, the environment
    /// variable ATTENTION_ANATOMY_TOKEN; none where that is not set. A token is sent over https and within this machine only.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Access {
    /// The value of the Authorization field, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds no token. Nothing of a token stands in a message.
    pub fn authorization(&self) -> Result<Option<String>> {
        let (token, from) = match &self.token_file {
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
                (String::from_utf8(bytes).unwrap_or_default(), path.display().to_string())
            }
            None => match std::env::var(TOKEN) {
                Ok(token) => (token, TOKEN.to_owned()),
                Err(_) => return Ok(None),
            },
        };
        match authorization(&token) {
            Some(field) => Ok(Some(field)),
            None => bail!("{from}: holds no token, which is a line of plain characters"),
        }
    }
}
