//! The arrows between the files of this crate: none lead round through a panel, and what lies below the panels does not know them.

#[path = "../../tests/src/sources.rs"]
mod sources;

use sources::{Module, this_crate};

fn is_in(module: &Module, folders: &[&str]) -> bool {
    module.first().is_some_and(|first| folders.contains(&first.as_str()))
}

#[test]
fn arrows_are_found_where_they_are() {
    let found = this_crate();
    let arrows = found.arrows();
    let uses = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|path| path.split('/').map(String::from).collect::<Module>());
        arrows.get(&from).is_some_and(|arrows| arrows.contains(&to))
    };
    assert!(found.files.len() > 80, "{}", found.files.len());
    assert!(uses("panels", "panels/side"), "a child by its name");
    assert!(uses("panels/side", "panels/context"), "a file beside it");
    assert!(uses("panels/context", "document/outbox"), "through what the folder gives out");
    assert!(uses("panels/top/menus", "worker/protocol"));
    assert!(!uses("document", "document/outbox"), "giving something out is not using it");
}

#[test]
fn no_circle_of_files_goes_through_a_panel() {
    let found = this_crate();
    let circles = found.circles();
    let circles: Vec<_> = circles.iter().filter(|files| files.iter().any(|file| file.starts_with("panels"))).collect();
    assert!(circles.is_empty(), "these files use themselves by way of others: {circles:#?}");
}

#[test]
fn what_lies_below_panels_and_views_does_not_know_them() {
    let found = this_crate();
    for (module, reached) in found.reached() {
        if is_in(module, &["document", "display", "edit", "store", "worker"]) {
            let above: Vec<_> =
                reached.iter().filter(|used| is_in(used, &["app", "panels", "views", "render"])).collect();
            assert!(above.is_empty(), "{module:?} uses {above:?}");
        }
        let beside: Vec<_> = reached.iter().filter(|used| !is_in(used, &["edit", "display"])).collect();
        assert!(!is_in(module, &["edit"]) || beside.is_empty(), "{module:?} uses {beside:?}");
    }
}
