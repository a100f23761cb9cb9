//! The arrows between the files of a crate, read from its sources. The tests `arrows.rs` of the crates take this file in.
//!
//! An arrow goes from file A to file B where A names something that B defines, in a `use` or in a path, whoever re-exports
//! it. A `mod.rs` that only re-exports therefore has no arrows; one that defines what its children use must not use them in
//! turn, so that shared definitions stand in a file of their own. Methods need no path and are not seen. Tests may
//! use anything: the phantom at the top is the oracle of much that stands below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// `["panels", "top", "run"]`; the root of the crate is empty.
pub type Module = Vec<String>;

/// A path in a file, and what a `use` makes of it.
struct Named {
    /// The (inline) module that it stands in.
    within: Module,
    path: Vec<String>,
    /// The name that a `use` gives it, and whether others see it.
    import: Option<(String, bool)>,
}

/// What the files of a crate say of each other.
#[derive(Default)]
pub struct Crate {
    /// The name of each file by its module.
    pub files: BTreeMap<Module, String>,
    named: BTreeMap<Module, Vec<Named>>,
    /// Names that a `use` brings into a module, as absolute paths; true where they are re-exported.
    imports: BTreeMap<(Module, String), (Module, bool)>,
}

/// Identifiers, `::` and single punctuation marks; comments and literals are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |n: usize| chars.get(n).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut n) = (Vec::new(), 0);
    while n < chars.len() {
        match (at(n), at(n + 1)) {
            ('/', '/') => n += chars[n..].iter().take_while(|&&c| c != '\n').count(),
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(n), at(n + 1)) {
                        ('/', '*') => (depth, n) = (depth + 1, n + 2),
                        ('*', '/') => (depth, n) = (depth - 1, n + 2),
                        _ => n += 1,
                    }
                    if depth == 0 || n >= chars.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if at(n + 1) == '"' || matches!(at(n + 2), '"' | '#') => {
                let hashes = chars[n + 1..].iter().take_while(|&&c| c == '#').count();
                n += hashes + 2;
                while n < chars.len() && !(at(n) == '"' && (1..=hashes).all(|h| at(n + h) == '#')) {
                    n += 1;
                }
                n += hashes + 1;
            }
            ('"', _) => {
                n += 1;
                while n < chars.len() && at(n) != '"' {
                    n += if at(n) == '\\' { 2 } else { 1 };
                }
                n += 1;
            }
            ('\'', '\\') => n += 3 + chars[n + 3..].iter().take_while(|&&c| c != '\'').count(),
            ('\'', _) if at(n + 2) == '\'' => n += 3,
            (':', ':') => {
                out.push("::".into());
                n += 2;
            }
            (c, _) if is_word(c) => {
                let word: String = chars[n..].iter().take_while(|&&c| is_word(c)).collect();
                n += word.chars().count();
                out.push(word);
            }
            (c, _) => {
                if !c.is_whitespace() {
                    out.push(c.into());
                }
                n += 1;
            }
        }
    }
    out
}

/// The place behind the item or block that begins at `from`.
fn behind_item(tokens: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (n, token) in tokens.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return n + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return n + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Tokens without the items that only tests have.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let (mut out, mut n) = (Vec::new(), 0);
    while n < tokens.len() {
        let here: Vec<&str> = tokens[n..].iter().take(7).map(String::as_str).collect();
        let is_test = here.starts_with(&["#", "[", "cfg", "(", "test", ")"])
            || here.starts_with(&["#", "[", "cfg", "(", "all", "(", "test"]);
        if is_test {
            n = behind_item(tokens, n);
        } else {
            out.push(tokens[n].clone());
            n += 1;
        }
    }
    out
}

/// The names of a `use` tree, each with the path that it stands for; `at` ends behind the tree.
fn use_tree(tokens: &[String], at: &mut usize, prefix: &[String]) -> Vec<(Vec<String>, String)> {
    let mut path = prefix.to_vec();
    loop {
        match tokens[*at].as_str() {
            "::" => *at += 1,
            "{" => {
                let mut all = Vec::new();
                *at += 1;
                while tokens[*at] != "}" {
                    all.extend(use_tree(tokens, at, &path));
                    *at += usize::from(tokens[*at] == ",");
                }
                *at += 1;
                return all;
            }
            "as" => {
                *at += 2;
                return vec![(path, tokens[*at - 1].clone())];
            }
            ";" | "," | "}" => {
                path.truncate(path.len() - usize::from(path.len() > 1 && path.last().is_some_and(|s| s == "self")));
                let name = path.last().cloned().unwrap_or_default();
                return vec![(path, name)];
            }
            word => {
                path.push(word.to_string());
                *at += 1;
            }
        }
    }
}

impl Crate {
    /// Reads a crate's files, given with their paths below `src`. Files that no module declares, tests for one, are left out.
    pub fn read(sources: &BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        found.add(sources, Vec::new(), "lib.rs");
        let mut imports = BTreeMap::new();
        for named in found.named.values().flatten() {
            if let (Some((name, public)), Some(path)) = (&named.import, found.absolute(&named.within, &named.path)) {
                imports.insert((named.within.clone(), name.clone()), (path, *public));
            }
        }
        found.imports = imports;
        found
    }

    fn add(&mut self, sources: &BTreeMap<String, String>, module: Module, file: &str) {
        let tokens = without_tests(&tokens(&sources[file]));
        self.files.insert(module.clone(), file.to_string());
        let mut named = Vec::new();
        let mut within = module.clone();
        // At which depth of braces each inline module ends.
        let (mut depth, mut ends) = (0, Vec::new());
        let mut n = 0;
        while n < tokens.len() {
            let next = |m: usize| tokens.get(n + m).map_or("", String::as_str);
            match next(0) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if ends.last() == Some(&depth) {
                        ends.pop();
                        within.pop();
                    }
                }
                "mod" if next(2) == "{" => {
                    within.push(next(1).to_string());
                    ends.push(depth);
                    depth += 1;
                    n += 2;
                }
                "mod" if next(2) == ";" => {
                    let child = [within.as_slice(), &[next(1).to_string()]].concat();
                    let path = child.join("/");
                    let file = [format!("{path}.rs"), format!("{path}/mod.rs")];
                    if let Some(file) = file.iter().find(|file| sources.contains_key(*file)) {
                        self.add(sources, child, file);
                    }
                    n += 2;
                }
                "use" => {
                    let public = n > 0 && matches!(tokens[n - 1].as_str(), "pub" | ")");
                    let mut at = n + 1;
                    for (path, name) in use_tree(&tokens, &mut at, &[]) {
                        named.push(Named { within: within.clone(), path, import: Some((name, public)) });
                    }
                    n = at;
                }
                word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') && next(1) == "::" => {
                    let mut path = vec![word.to_string()];
                    let mut m = 1;
                    while next(m) == "::" && next(m + 1).starts_with(|c: char| c.is_alphabetic() || c == '_') {
                        path.push(next(m + 1).to_string());
                        m += 2;
                    }
                    named.push(Named { within: within.clone(), path, import: None });
                    n += m - 1;
                }
                _ => {}
            }
            n += 1;
        }
        self.named.insert(module, named);
    }

    /// A path from the root of the crate; `None` where it leads out of it, or to something of the module itself.
    fn absolute(&self, within: &Module, path: &[String]) -> Option<Module> {
        let first = path.first()?;
        let up = path.iter().take_while(|part| *part == "super").count();
        match first.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([within.as_slice(), &path[1..]].concat()),
            "super" => Some([&within[..within.len().checked_sub(up)?], &path[up..]].concat()),
            name => match self.imports.get(&(within.clone(), name.to_string())) {
                Some((import, _)) => Some([import.as_slice(), &path[1..]].concat()),
                None => {
                    let child = [within.as_slice(), std::slice::from_ref(first)].concat();
                    self.files.contains_key(&child).then(|| [within.as_slice(), path].concat())
                }
            },
        }
    }

    /// The file that defines what an absolute path names; `None` for the root and where a path ends at a module.
    fn defined_in(&self, path: &[String]) -> Option<Module> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|&n| self.files.contains_key(&path[..n]))?;
            let (module, rest) = path.split_at(depth);
            let item = rest.first()?;
            match self.imports.get(&(module.to_vec(), item.clone())) {
                Some((import, true)) => path = [import.as_slice(), &rest[1..]].concat(),
                _ => return (depth > 0).then(|| module.to_vec()),
            }
        }
        None
    }

    /// From each file to those whose definitions it names.
    pub fn arrows(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let mut arrows: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, named) in &self.named {
            for named in named {
                let to = self.absolute(&named.within, &named.path).and_then(|path| self.defined_in(&path));
                let passes_on = |to: &Module| named.import.as_ref().is_some_and(|i| i.1) && to.starts_with(module);
                if let Some(to) = to.filter(|to| to != module && !passes_on(to)) {
                    arrows.entry(module).or_default().insert(to);
                }
            }
        }
        arrows
    }

    /// From each file to all that it leads to along arrows.
    pub fn reached(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let arrows = self.arrows();
        let reached = |from: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = open.pop() {
                for next in arrows.get(&module).into_iter().flatten() {
                    if seen.insert(next.clone()) {
                        open.push(next.clone());
                    }
                }
            }
            seen
        };
        self.files.keys().map(|module| (module, reached(module))).collect()
    }

    /// Files that lie in a circle, in groups of those that reach each other.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let reached = self.reached();
        let mut circles: Vec<Vec<&str>> = Vec::new();
        for (module, to) in reached.iter().filter(|(module, to)| to.contains(**module)) {
            let mut circle: Vec<&str> =
                to.iter().filter(|other| reached[other].contains(*module)).map(|m| self.files[m].as_str()).collect();
            circle.sort_unstable();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }
}

fn read_folder(folder: &Path, below: &str, into: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_folder(&path, &format!("{name}/"), into);
        } else if name.ends_with(".rs") {
            into.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The crate that is compiled.
pub fn this_crate() -> Crate {
    let mut sources = BTreeMap::new();
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    Crate::read(&sources)
}
