//! `cargo xtask web`: the viewer as a static folder, which any server can host.
//!
//! | file | what |
//! |---|---|
//! | `compile.rs` | the wasm binary and its JavaScript, as small as they get |
//! | `exports.rs` | whether calls into the binary do only what was called |
//! | `connect.rs` | another origin that the page may speak to |
//! | `pack.rs` | the folder: page, binary, weights, sample, all of one version |
//! | `sizes.rs` | what a visitor downloads, and the limit that it must keep |
//! | `serve.rs` | a server on this machine |

mod compile;
mod connect;
mod exports;
mod pack;
mod serve;
mod sizes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::say;

pub use compile::{PACKAGE, TRIPLE};

/// Port of `--serve` without a number.
const PORT: u16 = 8080;

/// Runs the command.
///
/// # Errors
/// For arguments that it does not know, and as [`build`] and [`serve`](serve::serve).
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let Wanted { quick, connect, port } = wanted(arguments)?;
    let folder = if quick { build_for_tests()? } else { build()? };
    if let Some(origin) = &connect {
        connect::allow(&folder, origin)?;
        say::line(&connect::how_to_host(&folder, origin)?);
    }
    if let Some(port) = port {
        serve::serve(&folder, port)?;
    } else {
        say::line("\nto look at it: cargo xtask web --serve; to host it, see web/README.md");
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the page as it is hosted; its folder.
///
/// # Errors
/// Where the page does not compile, is too large or cannot be written.
pub fn build() -> Result<PathBuf> {
    let (folder, optimised) = pack(true)?;
    sizes::check(&folder, optimised)?;
    say::line(&format!("the page is in {}", folder.display()));
    Ok(folder)
}

/// Builds the page for tests: the same code, without the minutes that a small binary takes.
///
/// # Errors
/// Where the page does not compile, is too large or cannot be written.
pub fn build_for_tests() -> Result<PathBuf> {
    Ok(pack(false)?.0)
}

/// Compiles and packs; the folder, and whether its binary is as small as it gets.
fn pack(small: bool) -> Result<(PathBuf, bool)> {
    let compiled = compile::compile(small)?;
    let folder = target()?.join("web");
    pack::pack(&compiled, &folder)?;
    Ok((folder, compiled.optimised))
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// As the tests take it.
    quick: bool,
    /// Another origin that the page may speak to.
    connect: Option<String>,
    /// The port to serve on, if it is to be served.
    port: Option<u16>,
}

fn wanted(arguments: &[String]) -> Result<Wanted> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (quick, rest) = match words.split_first() {
        Some((&"--quick", rest)) => (true, rest),
        _ => (false, &words[..]),
    };
    let (connect, rest) = match rest {
        ["--connect", origin, rest @ ..] => (Some(connect::origin(origin)?), rest),
        _ => (None, rest),
    };
    let port = match rest {
        [] => None,
        ["--serve"] => Some(PORT),
        ["--serve", port] => Some(port.parse().with_context(|| format!("`{port}` is not a port number"))?),
        _ => bail!("`web` takes `--quick`, then `--connect ORIGIN`, then `--serve [PORT]`, or none of them"),
    };
    Ok(Wanted { quick, connect, port })
}

/// The folder that cargo builds into: this program lies in one of its profiles.
///
/// # Errors
/// Where the folder of this program is unknown.
pub fn target() -> Result<PathBuf> {
    let own = std::env::current_exe().context("the folder of the programs is unknown")?;
    let folder = own.parent().and_then(|profile| profile.parent()).context("the folder of the programs is unknown")?;
    Ok(folder.to_path_buf())
}

/// Sixteen digits that differ between different contents: names a version of the page, not a secret.
fn fingerprint<'a>(contents: impl IntoIterator<Item = &'a [u8]>) -> String {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    for bytes in contents {
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(arguments: &[&str]) -> Result<Wanted> {
        wanted(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_port_is_a_number_or_the_usual_one() {
        let as_hosted = |port| Wanted { quick: false, connect: None, port };
        assert_eq!(ask(&[]).unwrap(), as_hosted(None));
        assert_eq!(ask(&["--serve"]).unwrap(), as_hosted(Some(PORT)));
        assert_eq!(ask(&["--serve", "9000"]).unwrap(), as_hosted(Some(9000)));
        assert_eq!(ask(&["--quick", "--serve"]).unwrap(), Wanted { quick: true, connect: None, port: Some(PORT) });
        let connect = Some("https://archive.example:8443".to_owned());
        let asked = ask(&["--quick", "--connect", "https://Archive.example:8443/", "--serve"]).unwrap();
        assert_eq!(asked, Wanted { quick: true, connect, port: Some(PORT) });
        for wrong in [
            &["--serve", "nine"][..],
            &["--serve", "70000"],
            &["serve"],
            &["--serve", "1", "2"],
            &["--connect"],
            &["--connect", "*"],
            &["--connect", "https://a/b"],
        ] {
            assert!(ask(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_fingerprint_tells_where_one_content_ends() {
        let print = |parts: &[&'static str]| fingerprint(parts.iter().map(|p| p.as_bytes()));
        assert_eq!(print(&["ab", "c"]), print(&["ab", "c"]));
        assert_ne!(print(&["ab", "c"]), print(&["a", "bc"]));
        assert_eq!(print(&[]).len(), 16);
    }
}
