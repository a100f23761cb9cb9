//! What the page's binary does when it is called: nothing but what was called.
//!
//! A linker that takes it for a program to be started anew puts a call of all static constructors before every export, down to
//! `malloc` (web/src/constructors.rs says what that cost). It gives such a wrapper the export's name and this ending.

use std::path::Path;

use anyhow::{Context, Result, bail};
use wasmparser::{KnownCustom, Name, Parser, Payload};

const WRAPPER: &str = ".command_export";

/// Refuses a binary (as the compiler makes it, with its functions' names) with such wrappers.
///
/// # Errors
/// Where the binary cannot be read, names no functions or has such wrappers.
pub fn check(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    judge(&functions(&bytes).with_context(|| format!("{} is not understood", path.display()))?)
}

fn judge(names: &[String]) -> Result<()> {
    if names.is_empty() {
        bail!(
            "the page's binary does not name its functions, so nobody can see whether all of them call the constructors"
        );
    }
    let wrappers: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(WRAPPER)).collect();
    match wrappers.first() {
        None => Ok(()),
        Some(first) => bail!(
            "every call into the page runs all static constructors ({} of them, {first} the first): web/src/constructors.rs must \
             call `__wasm_call_ctors`",
            wrappers.len()
        ),
    }
}

fn functions(bytes: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Name(subsections) = section.as_known() else { continue };
        for subsection in subsections {
            let Name::Function(functions) = subsection? else { continue };
            for function in functions {
                names.push(function?.name.to_string());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty module that names one function.
    fn module(name: &str) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        // One name: function 0.
        let mut map = vec![1, 0, length(name.as_bytes())];
        map.extend(name.as_bytes());
        let mut section = b"\x04name".to_vec();
        section.extend([1, length(&map)]);
        section.extend(map);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([0, length(&section)]);
        module.extend(section);
        module
    }

    #[test]
    fn a_wrapper_around_an_export_is_refused_by_name() {
        assert_eq!(functions(&module("malloc")).unwrap(), ["malloc"]);
        assert!(judge(&functions(&module("malloc")).unwrap()).is_ok());
        let error = judge(&functions(&module("malloc.command_export")).unwrap()).unwrap_err().to_string();
        assert!(error.contains("(1 of them, malloc the first)"), "{error}");
    }

    #[test]
    fn a_binary_without_names_tells_nothing_and_is_refused() {
        assert!(judge(&functions(b"\0asm\x01\0\0\0").unwrap()).is_err());
        assert!(functions(b"no module").is_err());
    }
}
