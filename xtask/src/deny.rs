//! deny.toml without `cargo deny` and without a network: licences, sources, and versions that must be one. Known vulnerabilities
//! need a data base that is fetched; [`advisories`] asks `cargo deny` for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::process::{captured, cargo, output, root, succeeds};
use crate::stages::Outcome;
use crate::{say, setup};

/// What of deny.toml is read here; `cargo deny` reads all of it.
#[derive(Debug, Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    deny_multiple_versions: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// What of Cargo.toml is read here.
#[derive(Debug, Deserialize)]
struct Manifest {
    workspace: Workspace,
}

#[derive(Debug, Deserialize)]
struct Workspace {
    dependencies: BTreeMap<String, toml::Value>,
}

/// A crate that is compiled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// Empty where it names none.
    licence: String,
    /// Where it comes from; `None` for crates.io.
    source: Option<String>,
}

/// The stage.
///
/// # Errors
/// Where deny.toml, Cargo.lock or a manifest cannot be read.
pub fn check() -> Result<Outcome> {
    let policy: Policy = read("deny.toml")?;
    let manifest: Manifest = read("Cargo.toml")?;
    let packages = match packages(&policy.graph.targets) {
        Ok(packages) => packages,
        Err(error) if setup::is_ci() => return Err(error),
        Err(error) => return Ok(Outcome::NotChecked(format!("{error:#}"))),
    };
    let mut found = problems(&policy, &packages)?;
    found.extend(loose(&manifest).map(|name| format!("Cargo.toml takes any version of {name}")));
    let several = several_versions(&packages).len();
    say::line(&format!("{} crates of others, {several} of them in more than one version", packages.len()));
    if found.is_empty() { Ok(Outcome::Ok) } else { Ok(Outcome::Failed(found.join("; "))) }
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> Result<T> {
    let text = std::fs::read_to_string(root().join(name)).with_context(|| format!("{name} cannot be read"))?;
    toml::from_str(&text).with_context(|| format!("{name} is not understood"))
}

/// All crates of others that are compiled for one of these platforms. (`cargo metadata` also lists what no feature asks for.)
fn packages(targets: &[String]) -> Result<Vec<Package>> {
    let mut found = BTreeSet::new();
    for target in targets {
        let arguments = ["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none"];
        let tree = output(cargo(&arguments).args(["--format", "{p}\t{l}", "--target", target]));
        found.extend(tree.context("the dependencies are unknown")?.lines().filter_map(package));
    }
    Ok(found.into_iter().collect())
}

/// A line of `cargo tree`: `name v1.2.3 (where from) (proc-macro) TAB licence (*)`. `None` for a crate of this workspace.
fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let rest = words.next().unwrap_or_default().replace("(proc-macro)", "");
    let source = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(String::from);
    if source.as_deref().is_some_and(|source| Path::new(source).starts_with(root())) {
        return None;
    }
    let licence = licence.trim().trim_end_matches("(*)").trim().to_string();
    Some(Package { name: name.into(), version: version.into(), licence, source })
}

/// Dependencies that Cargo.toml takes in any version.
fn loose(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest.workspace.dependencies.iter().filter_map(|(name, wanted)| {
        let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
        (version == Some("*")).then_some(name.as_str())
    })
}

fn problems(policy: &Policy, packages: &[Package]) -> Result<Vec<String>> {
    let allowed = licensees(&policy.licenses.allow)?;
    let mut found = Vec::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        if let Some(source) = &package.source
            && !policy.sources.allow_registry.iter().any(|allowed| source.contains(allowed.as_str()))
        {
            found.push(format!("{name} comes from {source}"));
        }
        let exceptions = policy.licenses.exceptions.iter().filter(|e| e.name == package.name);
        let mut own = licensees(&exceptions.flat_map(|e| e.allow.clone()).collect::<Vec<_>>())?;
        own.extend(allowed.iter().cloned());
        let licence = &package.licence;
        if licence.is_empty() {
            found.push(format!("{name} names no licence"));
            continue;
        }
        let expression = Expression::parse_mode(licence, ParseMode::LAX);
        let expression =
            expression.map_err(|error| anyhow::anyhow!("{name}: `{licence}` is not understood ({error})"))?;
        if !expression.evaluate(|asked| own.iter().any(|licensee| licensee.satisfies(asked))) {
            found.push(format!("{name} has the licence {licence}"));
        }
    }
    let several = several_versions(packages);
    for ban in &policy.bans.deny {
        match several.get(ban.name.as_str()) {
            Some(versions) if ban.deny_multiple_versions => {
                found.push(format!("{} is there as {}", ban.name, versions.join(" and ")));
            }
            _ if ban.deny_multiple_versions => {}
            _ if packages.iter().any(|package| package.name == ban.name) => {
                found.push(format!("{} is banned", ban.name))
            }
            _ => {}
        }
    }
    Ok(found)
}

fn licensees(names: &[String]) -> Result<Vec<Licensee>> {
    let parse = |name: &String| match Licensee::parse(name) {
        Ok(licensee) => Ok(licensee),
        Err(error) => bail!("deny.toml: `{name}` is not a licence ({error})"),
    };
    names.iter().map(parse).collect()
}

fn several_versions(packages: &[Package]) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

/// The stage of known vulnerabilities, which needs `cargo deny` and a network.
///
/// # Errors
/// Where `cargo deny` cannot be started.
pub fn advisories() -> Result<Outcome> {
    if !captured(&mut cargo(&["deny", "--version"])).is_ok_and(|(there, _)| there) {
        return Ok(Outcome::NotChecked(
            "known vulnerabilities need cargo-deny; install it: cargo install cargo-deny".into(),
        ));
    }
    Ok(Outcome::passed(succeeds(&mut cargo(&["deny", "check", "advisories"]))?, "see above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        read("deny.toml").unwrap()
    }

    fn with(name: &str, version: &str, licence: &str) -> Package {
        Package { name: name.into(), version: version.into(), licence: licence.into(), source: None }
    }

    fn found(packages: &[Package]) -> Vec<String> {
        problems(&policy(), packages).unwrap()
    }

    #[test]
    fn a_line_of_the_tree_is_understood() {
        assert_eq!(package("serde v1.0.229\tMIT OR Apache-2.0"), Some(with("serde", "1.0.229", "MIT OR Apache-2.0")));
        let again = package("serde_derive v1.0.229 (proc-macro)\tMIT OR Apache-2.0 (*)");
        assert_eq!(again, Some(with("serde_derive", "1.0.229", "MIT OR Apache-2.0")));
        let git = package("x v1.0.0 (https://example.org/x#1234)\tMIT").unwrap();
        assert_eq!(git.source.as_deref(), Some("https://example.org/x#1234"));
        assert_eq!(package(&format!("xtask v0.1.0 ({})\tMIT", root().join("xtask").display())), None);
        assert_eq!(package("[dev-dependencies]"), None);
    }

    #[test]
    fn a_licence_is_allowed_by_any_of_its_alternatives_and_by_exception() {
        let llvm = "Apache-2.0 WITH LLVM-exception";
        for fine in ["MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0-only) AND Unicode-3.0", llvm] {
            assert_eq!(found(&[with("x", "1.0.0", fine)]), Vec::<String>::new(), "{fine}");
        }
        for licence in ["GPL-3.0-only", "MIT AND GPL-2.0-only", "MPL-2.0"] {
            assert_eq!(found(&[with("x", "1.0.0", licence)]), [format!("x 1.0.0 has the licence {licence}")]);
        }
        assert!(found(&[with("colored", "3.0.0", "MPL-2.0")]).is_empty());
        assert_eq!(found(&[with("x", "1.0.0", "")]), ["x 1.0.0 names no licence"]);
    }

    #[test]
    fn other_sources_a_second_wgpu_and_loose_versions_are_found() {
        let git = Package { source: Some("https://example.org/x".into()), ..with("x", "1.0.0", "MIT") };
        assert_eq!(found(&[git]), ["x 1.0.0 comes from https://example.org/x"]);
        let wgpu = |version| with("wgpu", version, "MIT");
        assert_eq!(found(&[wgpu("29.0.0"), wgpu("30.0.0")]), ["wgpu is there as 29.0.0 and 30.0.0"]);
        assert!(found(&[wgpu("30.0.0")]).is_empty());
        let text = "[workspace.dependencies]\na = \"*\"\nb = { version = \"*\" }\nc = \"1\"\nd = { path = \"d\" }";
        let manifest: Manifest = toml::from_str(text).unwrap();
        assert_eq!(loose(&manifest).collect::<Vec<_>>(), ["a", "b"]);
    }
}
