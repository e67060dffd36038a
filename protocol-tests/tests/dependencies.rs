//! Holds docs/dependencies.md to what the manifests say: no crate comes in without a reason that somebody wrote down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Lines `name = …` or `name.… = …` of a manifest's tables whose heading `wanted` is true of, with that name.
fn entries(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            inside = wanted(heading.trim_end_matches(']'));
        } else if let (true, false, Some((left, _))) = (inside, line.starts_with('#'), line.split_once('=')) {
            let name = left.trim().split('.').next().unwrap_or_default();
            found.push((name.to_owned(), line.to_owned()));
        }
    }
    found
}

/// What the workspace's one table has, without its own crates.
fn declared() -> BTreeSet<String> {
    let manifest = read(&root().join("Cargo.toml"));
    let names = entries(&manifest, |heading| heading == "workspace.dependencies").into_iter().map(|(name, _)| name);
    names.filter(|name| !name.starts_with("milena")).collect()
}

fn manifests() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).expect("the folder of crates");
    let mut all: Vec<_> = crates.map(|entry| entry.expect("a folder").path().join("Cargo.toml")).collect();
    all.extend(["protocol-tests", "benches"].map(|name| root().join(name).join("Cargo.toml")));
    all
}

#[test]
fn every_dependency_has_its_reason_on_the_page_and_the_page_has_no_other() {
    let page = read(&root().join("docs/dependencies.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name));
    // The table of HTTP libraries has crates that were looked at and not taken; they have a version or a feature behind the name.
    let reviewed = page.split("### HTTP").next().unwrap_or_default().to_owned()
        + page.split("## In the command").nth(1).unwrap_or_default();
    let named: BTreeSet<String> =
        rows.filter(|name| reviewed.contains(&format!("| `{name}` | "))).map(str::to_owned).collect();
    let declared = declared();
    let missing: Vec<_> = declared.difference(&named).collect();
    let left: Vec<_> = named.difference(&declared).collect();
    assert!(missing.is_empty(), "docs/dependencies.md does not say why there is {missing:?}");
    assert!(left.is_empty(), "docs/dependencies.md speaks of {left:?}, which no manifest names");
    assert!(declared.len() > 10, "the manifests were not read");
    assert!(page.contains(&format!("There are {}.", declared.len())), "there are {} dependencies", declared.len());
    let empty = page.lines().filter(|line| line.starts_with("| `") && line.contains("|  |")).collect::<Vec<_>>();
    assert!(empty.is_empty(), "cells without a word: {empty:?}");
}

#[test]
fn every_manifest_takes_its_dependencies_from_the_one_table_and_every_entry_of_that_is_used() {
    let mut used = BTreeSet::new();
    for manifest in manifests() {
        for (name, line) in entries(&read(&manifest), |heading| heading.ends_with("dependencies")) {
            let itself = line.contains("path = \".\""); // with features that only its tests need
            assert!(itself || line.contains("workspace = true"), "{}: {line}", manifest.display());
            used.insert(name);
        }
    }
    let unused: Vec<_> = declared().difference(&used).cloned().collect();
    assert!(unused.is_empty(), "the workspace's table has {unused:?}, which nobody uses");
}
