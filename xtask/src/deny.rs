//! deny.toml without `cargo deny` and without a network: licences, sources, and versions that must be one. Known vulnerabilities
//! need a data base that is fetched; [`advisories`] asks `cargo deny` for them.

use std::collections::{BTreeMap, BTreeSet};

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

/// What of `cargo metadata` is read here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for a package of this workspace.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

/// The stage.
pub fn check() -> Result<Outcome> {
    let path = root().join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let policy: Policy = toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?;
    let packages = match packages(&policy.graph.targets) {
        Ok(packages) => packages,
        Err(error) if setup::is_ci() => return Err(error),
        Err(error) => return Ok(Outcome::NotChecked(format!("{error:#}"))),
    };
    let found = problems(&policy, &packages)?;
    let outside = packages.iter().filter(|package| package.source.is_some()).count();
    say::line(&format!(
        "{outside} crates of others, {} of them in more than one version",
        several_versions(&packages).len()
    ));
    if found.is_empty() { Ok(Outcome::Ok) } else { Ok(Outcome::Failed(found.join("; "))) }
}

/// All that is compiled for one of these platforms.
fn packages(targets: &[String]) -> Result<Vec<Package>> {
    let mut arguments = vec!["metadata", "--format-version", "1", "--locked"];
    arguments.extend(targets.iter().flat_map(|target| ["--filter-platform", target]));
    let json = output(&mut cargo(&arguments)).context("the dependencies are unknown")?;
    let metadata: Metadata = serde_json::from_str(&json).context("`cargo metadata` is not understood")?;
    let used: BTreeSet<String> = metadata.resolve.nodes.into_iter().map(|node| node.id).collect();
    Ok(metadata.packages.into_iter().filter(|package| used.contains(&package.id)).collect())
}

fn problems(policy: &Policy, packages: &[Package]) -> Result<Vec<String>> {
    let allowed = licensees(&policy.licenses.allow)?;
    let mut found = Vec::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        let Some(source) = &package.source else {
            let loose = package.dependencies.iter().filter(|d| d.req == "*" && d.path.is_none());
            found.extend(loose.map(|d| format!("{name} takes any version of {}", d.name)));
            continue;
        };
        if !policy.sources.allow_registry.iter().any(|allowed| source.strip_prefix("registry+") == Some(allowed)) {
            found.push(format!("{name} comes from {source}"));
        }
        let exceptions = policy.licenses.exceptions.iter().filter(|e| e.name == package.name);
        let mut own = licensees(&exceptions.flat_map(|e| e.allow.clone()).collect::<Vec<_>>())?;
        own.extend(allowed.iter().cloned());
        let Some(licence) = &package.license else {
            found.push(format!("{name} names no licence"));
            continue;
        };
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

    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn policy() -> Policy {
        toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap()
    }

    fn package(name: &str, version: &str, licence: Option<&str>, source: Option<&str>) -> Package {
        let text = |value: &str| value.to_string();
        Package {
            id: format!("{name} {version}"),
            name: name.into(),
            version: version.into(),
            license: licence.map(text),
            source: source.map(text),
            dependencies: Vec::new(),
        }
    }

    fn found(packages: &[Package]) -> Vec<String> {
        problems(&policy(), packages).unwrap()
    }

    #[test]
    fn a_licence_is_allowed_by_any_of_its_alternatives_and_by_exception() {
        for fine in ["MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0-only) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
        {
            assert_eq!(found(&[package("x", "1.0.0", Some(fine), Some(CRATES_IO))]), Vec::<String>::new(), "{fine}");
        }
        for (name, licence) in [("x", "GPL-3.0-only"), ("x", "MIT AND GPL-2.0-only"), ("x", "MPL-2.0")] {
            let found = found(&[package(name, "1.0.0", Some(licence), Some(CRATES_IO))]);
            assert_eq!(found, [format!("x 1.0.0 has the licence {licence}")]);
        }
        assert!(found(&[package("colored", "3.0.0", Some("MPL-2.0"), Some(CRATES_IO))]).is_empty());
        assert_eq!(found(&[package("x", "1.0.0", None, Some(CRATES_IO))]), ["x 1.0.0 names no licence"]);
    }

    #[test]
    fn other_sources_a_second_wgpu_and_loose_versions_are_found() {
        let git = package("x", "1.0.0", Some("MIT"), Some("git+https://example.org/x"));
        assert_eq!(found(&[git]), ["x 1.0.0 comes from git+https://example.org/x"]);
        let wgpu = |version| package("wgpu", version, Some("MIT"), Some(CRATES_IO));
        assert_eq!(found(&[wgpu("29.0.0"), wgpu("30.0.0")]), ["wgpu is there as 29.0.0 and 30.0.0"]);
        assert!(found(&[wgpu("30.0.0")]).is_empty());
        let mut own = package("own", "0.1.0", None, None);
        own.dependencies = [("y", "*", None), ("z", "*", Some("/z")), ("w", "^1", None)]
            .map(|(name, req, path)| Dependency { name: name.into(), req: req.into(), path: path.map(String::from) })
            .into();
        assert_eq!(found(&[own]), ["own 0.1.0 takes any version of y"]);
    }
}
