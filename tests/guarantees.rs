//! The page of evidence names for every rule the test that shows it.

use std::path::Path;

/// Every test that docs/src/evidence.md names exists: `file::function` is a function of that file.
#[test]
fn every_test_that_the_guarantees_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/src/evidence.md")).unwrap();
    // What stands between backticks is every second part.
    let quoted = page.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = quoted.filter_map(|text| text.split_once(".rs::")).collect();
    assert!(named.len() > 100, "the page names {} tests", named.len());
    let missing: Vec<String> = named
        .into_iter()
        .filter(|(file, function)| {
            let source = std::fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
            !source.contains(&format!("fn {function}("))
        })
        .map(|(file, function)| format!("{file}.rs::{function}"))
        .collect();
    assert!(missing.is_empty(), "these tests are not there:\n{}", missing.join("\n"));
}
