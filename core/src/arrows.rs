//! The arrows between the files of this crate: none lead in a circle, and no top-level module uses one that stands above it in [`ORDER`].

#[path = "../../tests/src/sources.rs"]
mod sources;

use sources::{Crate, Module, this_crate};

/// Top-level modules; each may use those before it.
const ORDER: &[&str] = &[
    "artifacts",
    "anatomy",
    "csv",
    "random",
    "parallel",
    "raster",
    "contour",
    "volume",
    "formats",
    "dicomweb",
    "preprocess",
    "dataset",
    "kernels",
    "network",
    "loss",
    "infer",
    "testing",
    "metrics",
    "train",
    "cohort",
    "report",
    "phantom",
];

/// Arrows against an order of top-level modules, in words; a module that the order leaves out is against it.
fn upwards(found: &Crate, order: &[&str]) -> Vec<String> {
    let place = |module: &Module| order.iter().position(|name| *name == module[0]);
    let mut wrong = Vec::new();
    for (from, to) in found.arrows().into_iter().filter(|(from, _)| !from.is_empty()) {
        for to in to.iter().filter(|to| to[0] != from[0]) {
            if !matches!((place(from), place(to)), (Some(from), Some(to)) if to < from) {
                wrong.push(format!("{} uses {}", found.files[from], found.files[to]));
            }
        }
    }
    wrong
}

#[test]
fn no_files_of_this_crate_use_each_other_in_a_circle() {
    let found = this_crate();
    let circles = found.circles();
    assert!(circles.is_empty(), "move what they share into a file of its own: {circles:#?}");
}

#[test]
fn every_module_uses_only_what_stands_below_it() {
    let found = this_crate();
    let upwards = upwards(&found, ORDER);
    assert!(upwards.is_empty(), "{upwards:#?}");
    // That the reader is not blind: arrows through a re-export, a path and an imported module.
    let arrows = found.arrows();
    for (from, to) in [("train/start", "random"), ("loss/fused", "loss/fused_cpu"), ("metrics/systems", "csv")] {
        let module = |path: &str| path.split('/').map(String::from).collect::<Module>();
        assert!(arrows[&module(from)].contains(&module(to)), "{from} uses {to}");
    }
}

#[test]
fn circles_are_found_through_re_exports_inline_modules_and_paths_but_not_in_tests() {
    let source = |files: &[(&str, &str)]| {
        Crate::read(&files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect())
    };
    let root = ("lib.rs", "mod a; mod b;");
    let facade = ("b/mod.rs", "mod inner; pub use inner::{Thing as Part}; // use crate::a::Other;\n");
    let circle = source(&[
        root,
        facade,
        ("a.rs", "use crate::b::Part; struct Other;"),
        ("b/inner.rs", "fn f() { crate::a::Other }"),
    ]);
    assert_eq!(circle.circles(), [["a.rs", "b/inner.rs"]]);
    assert_eq!(upwards(&circle, &["a", "b"]), ["a.rs uses b/inner.rs"]);
    let inline = ("b/inner.rs", "pub mod deep { use super::super::super::a::Other; }");
    assert_eq!(source(&[root, facade, ("a.rs", "use crate::b::Part;"), inline]).circles().len(), 1);
    let inner = ("b/inner.rs", "const S: &str = \"crate::a::Other\"; #[cfg(test)] mod tests { use crate::a::Other; }");
    let none = source(&[root, facade, ("a.rs", "use crate::b::Part;"), inner]);
    assert!(none.circles().is_empty() && upwards(&none, &["b", "a"]).is_empty());
    // What a parent defines and a child uses, while the parent uses the child.
    let parent = ("b/mod.rs", "mod inner; struct Whole(inner::Part);");
    let both = source(&[("lib.rs", "mod b;"), parent, ("b/inner.rs", "use super::Whole; struct Part;")]);
    assert_eq!(both.circles(), [["b/inner.rs", "b/mod.rs"]]);
}
