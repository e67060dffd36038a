//! `docs/mutants.md` tells of every mutant what the code says.

use std::fs;
use std::path::PathBuf;

use milena_mutants::Mutant;

pub(crate) fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mutants.md"))
}

/// A row of the table, up to the word by which the mutant was found.
pub(crate) fn row(mutant: Mutant) -> String {
    format!("| `{mutant:?}` | `{}` | {} | ", mutant.home(), mutant.what())
}

/// Lines of the table that stand for a mutant.
pub(crate) fn is_row(line: &str) -> bool {
    line.starts_with("| `")
}

#[test]
fn the_docs_name_every_mutant_and_no_other() {
    let text = fs::read_to_string(path()).unwrap();
    let mut rows = text.lines().filter(|line| is_row(line));
    for mutant in Mutant::ALL {
        let line = rows.next().unwrap_or_default();
        let found = line.strip_prefix(&row(*mutant)).and_then(|rest| rest.strip_suffix(" |"));
        assert!(
            found.is_some_and(|word| !word.is_empty()),
            "not so: {line:?}; `just mutants write` writes {mutant:?} anew"
        );
    }
    assert_eq!(rows.next(), None, "there is no such mutant; `just mutants write`");
}
