//! Which file uses which, read from the sources: arrows between files must not lead round through a panel, and what lies
//! below the panels must not know them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Sources by their module, `["panels", "top", "run"]`, without comments and tests.
type Sources = BTreeMap<Vec<String>, String>;
type Arrows = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

const TESTS: [&str; 4] = ["tests", "samples", "bench", "arrows"];

fn module(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// Without comments, without the test module at the end, and without single items that only tests have.
fn program_text(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut text = String::new();
    let mut skip = false;
    for line in source.lines() {
        let code = line.trim();
        if code.starts_with("//") {
            continue;
        }
        if !skip {
            text.push_str(line.split(" // ").next().unwrap_or_default());
            text.push('\n');
        }
        skip = code == "#[cfg(test)]" || (skip && code.starts_with('#'));
    }
    text
}

fn read(folder: &Path, root: &Path, sources: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let parts = module(path.strip_prefix(root).unwrap());
        if parts.iter().any(|part| TESTS.contains(&part.as_str())) {
            continue;
        }
        if path.is_dir() {
            read(&path, root, sources);
        } else if path.extension().is_some_and(|e| e == "rs") {
            sources.insert(parts, program_text(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The paths that begin at the start of `text`, `a::{b, c::d}` as two.
fn paths(text: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut start, mut all) = (0, 0, Vec::new());
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    all.extend(paths(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
        return all;
    }
    let name: String = text.chars().take_while(|&c| is_name(c)).collect();
    if name.is_empty() {
        return Vec::new();
    }
    match text[name.len()..].strip_prefix("::") {
        Some(rest) => {
            let mut all = paths(rest);
            if all.is_empty() {
                all.push(Vec::new());
            }
            all.iter_mut().for_each(|path| path.insert(0, name.clone()));
            all
        }
        None => vec![vec![name]],
    }
}

/// Where `word` stands as a word of its own, followed by `::`.
fn starts<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    text.match_indices(word)
        .filter(move |(at, _)| !text[..*at].ends_with(is_part) && text[at + word.len()..].starts_with("::"))
        .map(|(at, _)| &text[at..])
}

/// What a module gives out under its own name although another file has it.
fn re_exports(text: &str) -> BTreeMap<String, Vec<String>> {
    let uses = text.match_indices("pub use ").map(|(at, word)| &text[at + word.len()..]);
    uses.flat_map(paths).filter_map(|path| Some((path.last()?.clone(), path))).collect()
}

fn without_re_exports(text: &str) -> String {
    let mut parts = text.split("pub use ");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| text + part.split_once(';').map_or("", |(_, rest)| rest))
}

/// The file that has what a path names, seen from `from`.
fn resolve(sources: &Sources, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
    let (mut at, mut rest) = (from.to_vec(), path);
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            name => {
                let child: Vec<String> = at.iter().cloned().chain([name.to_string()]).collect();
                if sources.contains_key(&child) {
                    at = child;
                } else {
                    let exported = sources.get(&at).and_then(|text| re_exports(text).remove(name));
                    return match exported.filter(|_| depth < 5) {
                        Some(path) => resolve(sources, &at, &path, depth + 1),
                        None => sources.contains_key(&at).then_some(at),
                    };
                }
            }
        }
        rest = others;
    }
    sources.contains_key(&at).then_some(at)
}

fn arrows() -> Arrows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::new();
    read(&root, &root, &mut sources);
    let arrow = |(module, text): (&Vec<String>, &String)| {
        let text = without_re_exports(text);
        let children: Vec<&String> = sources
            .keys()
            .filter(|other| other.len() == module.len() + 1 && other.starts_with(module))
            .filter_map(|other| other.last())
            .collect();
        let words = ["crate", "super", "self"].into_iter().chain(children.into_iter().map(String::as_str));
        let named: Vec<&str> = words.collect();
        let paths = named.into_iter().flat_map(|word| starts(&text, word).flat_map(paths).collect::<Vec<_>>());
        let used = paths.filter_map(|path| resolve(&sources, module, &path, 0)).filter(|used| used != module);
        (module.clone(), used.collect())
    };
    sources.iter().map(arrow).collect()
}

/// All that can be reached along arrows.
fn reached(arrows: &Arrows, from: &[String]) -> BTreeSet<Vec<String>> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_vec()]);
    while let Some(module) = next.pop() {
        for used in &arrows[&module] {
            if seen.insert(used.clone()) {
                next.push(used.clone());
            }
        }
    }
    seen
}

fn is_in(module: &[String], folder: &str) -> bool {
    module.first().is_some_and(|first| first == folder)
}

#[test]
fn arrows_are_found_where_they_are() {
    let arrows = arrows();
    let uses = |from: &[&str], to: &[&str]| {
        let [from, to] = [from, to].map(|path| path.iter().map(|part| part.to_string()).collect::<Vec<_>>());
        arrows[&from].contains(&to)
    };
    assert!(arrows.len() > 80, "{}", arrows.len());
    assert!(uses(&["panels"], &["panels", "side"]), "a child by its name");
    assert!(uses(&["panels", "side"], &["panels", "context"]), "a file beside it");
    assert!(uses(&["panels", "context"], &["document", "outbox"]), "through what the folder gives out");
    assert!(uses(&["panels", "top", "menus"], &["worker", "protocol"]));
    assert!(!uses(&["document"], &["document", "outbox"]), "giving something out is not using it");
}

#[test]
fn no_circle_of_files_goes_through_a_panel() {
    let arrows = arrows();
    let circles: Vec<_> = arrows.keys().filter(|m| is_in(m, "panels") && reached(&arrows, m).contains(*m)).collect();
    assert!(circles.is_empty(), "these files use themselves by way of others: {circles:?}");
}

#[test]
fn what_lies_below_panels_and_views_does_not_know_them() {
    let arrows = arrows();
    for (module, _) in
        arrows.iter().filter(|(m, _)| ["document", "display", "edit", "store", "worker"].iter().any(|f| is_in(m, f)))
    {
        let above: Vec<_> = reached(&arrows, module)
            .into_iter()
            .filter(|used| ["app", "panels", "views", "render"].iter().any(|folder| is_in(used, folder)))
            .collect();
        assert!(above.is_empty(), "{module:?} uses {above:?}");
    }
    for (module, used) in arrows.iter().filter(|(m, _)| is_in(m, "edit")) {
        let beside: Vec<_> = used.iter().filter(|used| !is_in(used, "edit") && !is_in(used, "display")).collect();
        assert!(beside.is_empty(), "{module:?} uses {beside:?}");
    }
}
