//! Rows, variants and tests, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::gap::Gap;
use super::rows::{Beyond, Decision, Listed, Row, Rows};
use super::{MOST_APPLICATION, ROWS};
use crate::index::{ERRORS, Function, Index};
use crate::workspace::Name;

/// What was counted and what does not fit.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) gaps: Vec<Gap>,
    pub(super) counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) rows: usize,
    pub(super) enforced: usize,
    pub(super) behaviour: usize,
    pub(super) application: usize,
    pub(super) open: usize,
    pub(super) tests: usize,
}

/// The row that a test is named after.
pub(crate) fn row_of(test: &str) -> Option<u16> {
    let (number, rest) = test.strip_prefix("row_")?.split_once('_')?;
    (number.len() == 3 && !rest.is_empty()).then(|| number.parse().ok()).flatten()
}

/// Whether a test is named after a row.
pub(super) fn is_test_of(test: &Function, row: u16) -> bool {
    row_of(&test.name) == Some(row)
}

pub(super) fn check(rows: &Rows, index: &Index) -> Checked {
    let mut check = Check { rows, index, tests: tests_by_row(index), checked: Checked::default() };
    check.numbers();
    for row in rows.iter() {
        check.row(row);
    }
    check.variants();
    for beyond in &rows.beyond {
        check.beyond(beyond);
    }
    check.test_names();
    let left = check.checked.counts.application;
    if left > MOST_APPLICATION {
        check.gap(Gap::TooManyApplication(left));
    }
    check.checked
}

fn tests_by_row(index: &Index) -> BTreeMap<u16, Vec<&Function>> {
    let mut tests = BTreeMap::<u16, Vec<&Function>>::new();
    for test in index.tests() {
        if let Some(row) = row_of(&test.name) {
            tests.entry(row).or_default().push(test);
        }
    }
    tests
}

struct Check<'a> {
    rows: &'a Rows,
    index: &'a Index,
    tests: BTreeMap<u16, Vec<&'a Function>>,
    checked: Checked,
}

impl Check<'_> {
    fn gap(&mut self, gap: Gap) {
        self.checked.gaps.push(gap);
    }

    fn numbers(&mut self) {
        let mut missing: BTreeSet<u16> = (1..=ROWS).collect();
        for row in self.rows.iter() {
            if !missing.remove(&row.number) {
                self.gap(Gap::StrangeNumber(row.number));
            }
        }
        for number in missing {
            self.gap(Gap::NoRow(number));
        }
    }

    fn row(&mut self, row: &Row) {
        let counts = &mut self.checked.counts;
        counts.rows += 1;
        match row.decision {
            Decision::Open => {
                counts.open += 1;
                return self.gap(Gap::Open(row.number));
            }
            Decision::Enforced => {
                counts.enforced += 1;
                self.enforced(row);
                self.asserts_what_is_listed(row);
            }
            Decision::Behaviour => {
                counts.behaviour += 1;
                self.names_code(row, "code", &row.code);
            }
            Decision::Application => {
                counts.application += 1;
                self.names_code(row, "hook", &row.hook);
            }
        }
        self.codes_exist(row);
        self.code_is_touched(row);
        if !self.tests.contains_key(&row.number) {
            self.gap(Gap::Untested(row.number));
        }
    }

    fn enforced(&mut self, row: &Row) {
        if row.refused_with.is_empty() {
            self.gap(Gap::Field { row: row.number, field: "refused_with", why: "names no variant" });
        }
        for text in row.refused_with.iter() {
            let Some(name) = Name::parse(text) else {
                self.gap(Gap::Field { row: row.number, field: "refused_with", why: "is not Error::Variant" });
                continue;
            };
            if !self.index.variants().contains(&name) {
                self.gap(Gap::NoSuchVariant { by: format!("row {}", row.number), name });
                continue;
            }
            // Those of the five enums are held against the code in one go.
            let never = Gap::NeverMade { name: name.clone() };
            let unmade = !ERRORS.contains(&name.owner.as_str()) && self.index.places(&name).is_empty();
            if unmade && !self.checked.gaps.contains(&never) {
                self.gap(never);
            }
            let tests = self.tests.get(&row.number).map_or(&[][..], Vec::as_slice);
            if !tests.is_empty() && !tests.iter().any(|test| self.index.named_by(test).contains(&name)) {
                self.gap(Gap::NotNamedByTest { row: row.number, name });
            }
        }
    }

    fn names_code(&mut self, row: &Row, field: &'static str, code: &Listed) {
        if code.is_empty() {
            self.gap(Gap::Field { row: row.number, field, why: "names no code" });
        }
    }

    fn codes_exist(&mut self, row: &Row) {
        for code in row.code.iter().chain(row.hook.iter()) {
            if !exists(self.index, code) {
                self.gap(Gap::NoSuchCode { row: row.number, code: code.to_owned() });
            }
        }
    }

    /// Its tests assert errors that it lists, and those beside them that it says they do.
    fn asserts_what_is_listed(&mut self, row: &Row) {
        let tests = self.tests.get(&row.number).map_or(&[][..], Vec::as_slice);
        let named: BTreeSet<&Name> = tests.iter().flat_map(|test| &test.mentions.names).collect();
        let beside: BTreeSet<Name> = row.beside.iter().filter_map(Name::parse).collect();
        let listed: BTreeSet<Name> = row.refused_with.iter().filter_map(Name::parse).collect();
        let beyond: BTreeSet<Name> = self.rows.beyond.iter().filter_map(|beyond| Name::parse(&beyond.name)).collect();
        let is_error = |name: &Name| ERRORS.contains(&name.owner.as_str()) && self.index.variants().contains(name);
        let strange = named.iter().filter(|name| is_error(name)).map(|name| (*name).clone());
        let strange = strange.filter(|name| ![&beside, &listed, &beyond].iter().any(|list| list.contains(name)));
        let mut gaps: Vec<Gap> = strange.map(|name| Gap::NotListed { row: row.number, name }).collect();
        let idle = beside.iter().filter(|name| !named.contains(name) || listed.contains(name));
        gaps.extend(idle.map(|name| Gap::NotBeside { row: row.number, name: name.clone() }));
        self.checked.gaps.extend(gaps);
    }

    fn code_is_touched(&mut self, row: &Row) {
        let Some(tests) = self.tests.get(&row.number) else { return };
        let words: Vec<&str> =
            row.code.iter().chain(row.hook.iter()).filter_map(|code| code.rsplit("::").next()).collect();
        let touched = || tests.iter().any(|test| words.iter().any(|word| self.index.touches(test, word)));
        if !words.is_empty() && !touched() {
            self.gap(Gap::NotTouched(row.number));
        }
    }

    /// Every variant of the five enums is made somewhere and named once.
    fn variants(&mut self) {
        let by_rows: BTreeSet<Name> =
            self.rows.iter().flat_map(|row| row.refused_with.iter()).filter_map(Name::parse).collect();
        let beyond: BTreeSet<Name> = self.rows.beyond.iter().filter_map(|beyond| Name::parse(&beyond.name)).collect();
        for name in self.index.variants().iter().filter(|name| ERRORS.contains(&name.owner.as_str())) {
            if self.index.places(name).is_empty() {
                self.gap(Gap::NeverMade { name: name.clone() });
            }
            match (by_rows.contains(name), beyond.contains(name)) {
                (false, false) => self.gap(Gap::Unlisted { name: name.clone() }),
                (true, true) => self.gap(Gap::ListedTwice { name: name.clone() }),
                _ => {}
            }
        }
    }

    fn beyond(&mut self, beyond: &Beyond) {
        let name = Name::parse(&beyond.name).unwrap_or_else(|| Name::new("", &beyond.name));
        if !self.index.variants().contains(&name) {
            return self.gap(Gap::NoSuchVariant { by: "beyond.toml".to_owned(), name });
        }
        let named = find_test(self.index, &beyond.test).any(|test| self.index.named_by(test).contains(&name));
        if !named {
            self.gap(Gap::BeyondTest { name, test: beyond.test.clone() });
        }
    }

    fn test_names(&mut self) {
        let numbers: BTreeSet<u16> = self.rows.iter().map(|row| row.number).collect();
        let of_rows = |test: &&Function| test.name.starts_with("row_");
        let mut gaps = Vec::new();
        for test in self.index.tests().filter(of_rows) {
            if row_of(&test.name).is_some_and(|row| numbers.contains(&row)) {
                self.checked.counts.tests += 1;
            } else {
                gaps.push(Gap::StrangeTest { test: test.name.clone() });
            }
        }
        let conditional = self.index.conditional_tests().filter(of_rows);
        gaps.extend(conditional.map(|test| Gap::Conditional { test: test.name.clone() }));
        gaps.extend(self.index.ignored_tests().filter(of_rows).map(|test| Gap::Ignored { test: test.name.clone() }));
        self.checked.gaps.extend(gaps);
    }
}

/// Whether there is what `path.rs::item` names.
pub(super) fn exists(index: &Index, code: &str) -> bool {
    split(code).is_some_and(|(path, item)| index.has_item(path, item))
}

/// The tests that `path.rs::name` names.
pub(super) fn find_test<'a>(index: &'a Index, test: &str) -> impl Iterator<Item = &'a Function> {
    let split = split(test).map(|(path, name)| (path.to_owned(), name.to_owned()));
    index
        .tests()
        .filter(move |test| split.as_ref().is_some_and(|(path, name)| test.path == *path && test.name == *name))
}

/// The file and the item of `path.rs::item`.
pub(super) fn split(code: &str) -> Option<(&str, &str)> {
    let at = code.find(".rs::")?;
    Some((code.get(..at + 3)?, code.get(at + 5..)?))
}

#[cfg(test)]
mod tests;
