//! `docs/security.md` shows each promise by a row or a test. Here is checked that they exist:
//!
//! * a link to `conformance.md#row-017` leads to a row, and its text is that row's number,
//! * `path.rs::item` in backticks is an item, and a name that begins with `row_` is a test that runs,
//! * a link to a file leads to one.

use std::fs;
use std::path::Path;

use super::ROWS;
use super::check::exists;
use super::gap::Gap;
use crate::index::Index;

const PAGE: &str = "docs/security.md";

pub(super) fn check(root: &Path, index: &Index) -> Result<Vec<Gap>, String> {
    let path = root.join(PAGE);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}\n", path.display()))?;
    let docs = root.join("docs");
    Ok(check_text(&text, index, |file| docs.join(file).exists()))
}

fn check_text(text: &str, index: &Index, is_file: impl Fn(&str) -> bool) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut wrong = |what: String| gaps.push(Gap::Security { line: at + 1, what });
        for (label, target) in links(line) {
            if let Some(what) = wrong_link(label, target, &is_file) {
                wrong(what);
            }
        }
        for code in code_spans(line) {
            if let Some(what) = wrong_code(code, index) {
                wrong(what);
            }
        }
    }
    gaps
}

fn wrong_link(label: &str, target: &str, is_file: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(row) = target.strip_prefix("conformance.md#row-") {
        let number: Option<u16> = if row.len() == 3 { row.parse().ok() } else { None };
        let known = number.is_some_and(|number| (1..=ROWS).contains(&number));
        if !known {
            return Some(format!("there is no row {row}"));
        }
        return (label.parse().ok() != number).then(|| format!("the link to row {row} says {label}"));
    }
    if target.contains("://") || target.starts_with('#') {
        return None;
    }
    let file = target.split('#').next().unwrap_or(target);
    (!is_file(file)).then(|| format!("there is no file {file}"))
}

fn wrong_code(code: &str, index: &Index) -> Option<String> {
    if code.starts_with("row_") {
        let runs = index.tests().any(|test| test.name == code);
        return (!runs).then(|| format!("there is no test {code}"));
    }
    (code.contains(".rs::") && !exists(index, code)).then(|| format!("{code} does not exist"))
}

/// The links of a line, as label and target.
fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("](").filter_map(move |(at, mark)| {
        let label = line.get(..at)?.rsplit('[').next()?;
        let target = line.get(at + mark.len()..)?.split(')').next()?;
        Some((label, target))
    })
}

/// What stands between backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    fn wrong(text: &str) -> Vec<String> {
        let source =
            Source::of_text("crates/mls/tests/t.rs", "#[test] fn row_007_a() {} #[ignore] #[test] fn row_008_b() {}");
        let gaps = check_text(text, &Index::new(&[source]), |file| file == "../ARCHITECTURE.md");
        gaps.iter().map(Gap::to_string).collect()
    }

    #[test]
    fn what_exists_may_be_named() {
        let text = "[7](conformance.md#row-007), [240](conformance.md#row-240), `row_007_a`, `Rule::A`,
                    `crates/mls/tests/t.rs::row_007_a`, [map](../ARCHITECTURE.md#the-map), [RFC](https://example.org/)";
        assert_eq!(wrong(text), [""; 0]);
    }

    #[test]
    fn what_does_not_exist_is_found_with_its_line() {
        for (text, what) in [
            ("\n[241](conformance.md#row-241)", "docs/security.md:2: there is no row 241"),
            ("[0](conformance.md#row-000)", "docs/security.md:1: there is no row 000"),
            ("[8](conformance.md#row-007)", "docs/security.md:1: the link to row 007 says 8"),
            ("a `row_009_c`", "docs/security.md:1: there is no test row_009_c"),
            ("a `row_008_b`", "docs/security.md:1: there is no test row_008_b"),
            ("`crates/mls/tests/t.rs::gone`", "docs/security.md:1: crates/mls/tests/t.rs::gone does not exist"),
            ("[x](gone.md)", "docs/security.md:1: there is no file gone.md"),
        ] {
            assert_eq!(wrong(text), [what]);
        }
    }
}
