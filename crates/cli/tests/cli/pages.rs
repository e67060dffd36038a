//! The settings that the pages on SASL show, with the names of this machine put in.

use std::path::Path;

/// The pages; the block of each has to work as it stands.
pub(crate) const SASL: &[&str] = &["plain", "scram", "oauthbearer", "delegation-tokens"];

/// Every ```` ```properties ```` block of a page under `docs/`.
pub(crate) fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```properties\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// The page's block for a mechanism, written to a file in `dir`: `values` stand for what is only an example in it, and none may be left over.
pub(crate) fn config(page: &str, dir: &Path, values: &[(&str, &str)]) -> String {
    let mut block = blocks(&format!("sasl/{page}.md")).remove(0);
    for (example, real) in values {
        block = block.replace(example, real);
    }
    for example in ["kafka-1:", "/etc/kafka", "/run/secrets"] {
        assert!(!block.contains(example), "{example} is left in {block}");
    }
    let file = dir.join(format!("{page}.properties"));
    std::fs::write(&file, block).unwrap();
    file.to_str().unwrap().to_owned()
}
