//! `docs/conformance.md`: from rule to code to test.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::check::{Checked, find_test, is_test_of, split};
use super::rows::{Beyond, Decision, Row, Rows};
use crate::index::{Function, Index};
use crate::workspace::Name;

const HEAD: &str = "# Every rule, its code and its test

<!-- Written by `cargo xtask conformance --write` from `conformance/*.toml`, the code and the tests. -->

Each row is a rule of RFC 9420, or of the document named, that a receiver enforces or that we follow. *Enforced* rows end in the errors named, with the state unchanged to the byte; the code is every place that returns them. *Behaviour* rows reject nothing: something is done, accepted or ignored. *Application* rows are hooks that the type system does not let a caller skip. `cargo xtask conformance` checks that rows, variants, code and tests fit together, and `cargo xtask mutants` that a test fails when its check is taken out.
";

/// The page.
pub(super) fn render(rows: &Rows, checked: &Checked, index: &Index) -> String {
    let mut page = HEAD.to_owned();
    let counts = &checked.counts;
    let _infallible = writeln!(
        page,
        "\n{} rows: {} enforced, {} behaviour, {} left to the application, {} open.",
        counts.rows, counts.enforced, counts.behaviour, counts.application, counts.open
    );
    for section in &rows.sections {
        let _infallible = writeln!(page, "\n## {}. {}\n", section.letter, section.title);
        page.push_str("| row | RFC 9420 | rule | ends in | code | tests |\n|---|---|---|---|---|---|\n");
        for row in &section.rows {
            page.push_str(&line(row, index));
        }
    }
    if !rows.beyond.is_empty() {
        page.push_str("\n## Errors beyond the rows\n\n| error | why | code | test |\n|---|---|---|---|\n");
        for beyond in &rows.beyond {
            page.push_str(&beyond_line(beyond, index));
        }
    }
    page
}

fn line(row: &Row, index: &Index) -> String {
    let ends = match row.decision {
        Decision::Enforced => listed(row.refused_with.iter().map(|name| format!("`{name}`"))),
        Decision::Behaviour => "behaviour".to_owned(),
        Decision::Application => "the application".to_owned(),
        Decision::Open => "**open**".to_owned(),
    };
    let rule = if row.note.is_empty() { row.rule.clone() } else { format!("{} – *{}*", row.rule, row.note) };
    format!(
        "| <a id=\"row-{:03}\"></a>{} | {} {} | {} | {ends} | {} | {} |\n",
        row.number,
        row.number,
        cell(&row.section),
        cell(&row.level),
        cell(&rule),
        code(row, index),
        tests(row.number, index),
    )
}

/// The code that the row names, or every place that returns its errors.
fn code(row: &Row, index: &Index) -> String {
    let named: Vec<&str> = row.code.iter().chain(row.hook.iter()).collect();
    if !named.is_empty() {
        return listed(named.into_iter().filter_map(split).map(|(path, item)| link(path, item)));
    }
    places(row.refused_with.iter(), index)
}

fn places<'a>(names: impl Iterator<Item = &'a str>, index: &Index) -> String {
    let names: Vec<Name> = names.filter_map(Name::parse).collect();
    let places = names.iter().flat_map(|name| index.places(name));
    let distinct: BTreeSet<(&str, &str)> = places.map(|made| (&*made.path, &*made.function)).collect();
    listed(distinct.into_iter().map(|(path, function)| link(path, function)))
}

fn tests(row: u16, index: &Index) -> String {
    let of_row: BTreeSet<(&str, &str)> =
        index.tests().filter(|test| is_test_of(test, row)).map(|test| (&*test.path, &*test.name)).collect();
    listed(of_row.into_iter().map(|(path, name)| link(path, name)))
}

fn beyond_line(beyond: &Beyond, index: &Index) -> String {
    let test = find_test(index, &beyond.test).next().map(|test: &Function| link(&test.path, &test.name));
    format!(
        "| `{}` | {} | {} | {} |\n",
        beyond.name,
        cell(&beyond.note),
        places(std::iter::once(&*beyond.name), index),
        test.unwrap_or_default()
    )
}

/// A link to a file, from the folder of the page. Without a line: that would change with every edit.
fn link(path: &str, item: &str) -> String {
    format!("[`{item}`](../{path})")
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("<br>")
}

/// Text that cannot end the cell that it stands in.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::check;
    use crate::workspace::Source;

    #[test]
    fn a_row_shows_its_rule_its_code_and_its_tests() {
        let index = Index::new(&[
            Source::of_text("crates/mls/src/a.rs", "pub enum Rule { A } impl T { fn check() { Err(Rule::A) } }"),
            Source::of_text("crates/mls/tests/t.rs", "#[test] fn row_007_a_is_refused() { Rule::A; }"),
        ]);
        let mut rows = Rows::default();
        let text = "title = \"Trees\"\n[[row]]\nnumber = 7\nsection = \"7.3\"\nlevel = \"MUST\"\nrule = \"a | b\"\n\
                    decision = \"enforced\"\nrefused_with = [\"Rule::A\"]\nnote = \"so\"\n";
        rows.add("l_trees.toml", text).unwrap();
        let page = render(&rows, &check::check(&rows, &index), &index);
        assert!(page.contains("## L. Trees"));
        let line = "| <a id=\"row-007\"></a>7 | 7.3 MUST | a \\| b – *so* | `Rule::A` | \
                    [`T::check`](../crates/mls/src/a.rs) | [`row_007_a_is_refused`](../crates/mls/tests/t.rs) |";
        assert!(page.contains(line), "{page}");
    }
}
