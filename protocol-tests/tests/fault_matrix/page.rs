//! Keeps `docs/fault-matrix.md` what the rows say, and the rows what the sources hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol_tests::fault_matrix::{Shown, page, rows};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of a file's functions.
fn functions(file: &Path) -> BTreeSet<String> {
    let source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    source.split("fn ").skip(1).map(name).collect()
}

#[test]
fn the_page_of_the_matrix_is_current() {
    let path = root().join("docs/fault-matrix.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let how = "UPDATE_DOCS=1 cargo test -p protocol-tests --test fault_matrix page";
    assert!(written == page(), "docs/fault-matrix.md is out of date: run {how}");
}

#[test]
fn every_row_is_there_once_and_its_text_fits_the_table() {
    let numbers: Vec<usize> = rows().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    for row in rows() {
        assert!(!row.fault.is_empty() && !row.outcome.is_empty(), "row {}", row.number);
        assert!(!row.fault.contains('|') && !row.outcome.contains('|'), "row {} breaks the table", row.number);
    }
}

#[test]
fn every_test_that_a_row_names_is_there_and_the_first_carries_its_number() {
    for row in rows() {
        let Shown::By(tests) = row.shown else { continue };
        let first = tests.first().unwrap_or_else(|| panic!("row {} names no test", row.number));
        assert!(first.name.starts_with(&format!("row_{:03}_", row.number)), "row {}: {}", row.number, first.name);
        for test in tests {
            assert!(functions(&root().join(test.file)).contains(test.name), "{} has no {}", test.file, test.name);
        }
    }
}

#[test]
fn every_test_of_a_row_is_named_by_it() {
    let named: BTreeSet<&str> = rows()
        .filter_map(|row| if let Shown::By(tests) = row.shown { Some(tests) } else { None })
        .flat_map(|tests| tests.iter().map(|test| test.name))
        .collect();
    let here = root().join("protocol-tests/tests/fault_matrix");
    for file in std::fs::read_dir(here).unwrap() {
        for name in functions(&file.unwrap().path())
            .iter()
            .filter(|name| name.starts_with("row_0") || name.starts_with("row_1"))
        {
            assert!(named.contains(name.as_str()), "no row names {name}");
        }
    }
}
