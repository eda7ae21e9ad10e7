//! What taking the checks out has shown.

use std::collections::{BTreeMap, BTreeSet};

use super::super::memory::Finding;
use super::super::sites::{Kind, Site};
use super::LEFT_OUT;
use crate::conformance::{Row, row_of};
use crate::index::Index;
use crate::workspace::Name;

pub(super) struct Report<'a> {
    pub(super) measured: Vec<(&'a Site, Finding)>,
    /// The enforced rows.
    pub(super) rows: Vec<&'a Row>,
    pub(super) index: &'a Index,
    /// The checks that `survivors.toml` explains.
    pub(super) explained: BTreeSet<&'a str>,
    /// Whether all checks were measured, and not only some.
    pub(super) whole: bool,
}

impl Report<'_> {
    /// The text; an error if something has survived that nobody explained.
    pub(super) fn finish(&self) -> Result<String, String> {
        let missed: Vec<&(&Site, Finding)> = self.measured.iter().filter(|(_, it)| it.failed.is_empty()).collect();
        let (known, unknown): (Vec<_>, Vec<_>) =
            missed.into_iter().partition(|(site, _)| self.explained.contains(&*site.key));
        let idle = self.rows_without_effect();
        let stale = self.stale();
        let mut text = self.summary(unknown.len(), known.len());
        for (site, finding) in &unknown {
            let tests =
                if finding.tests.is_empty() { "no test is named after it".to_owned() } else { listed(&finding.tests) };
            text += &format!("  missed: {} (line {}, {}): {tests}\n", site.key, site.line, how(finding.kind));
        }
        for (row, tests) in &idle {
            text += &format!("  row {row}: no check that is taken out makes a test of it fail: {}\n", listed(tests));
        }
        for name in &stale {
            text += &format!("  survivors.toml explains {name}, which is no survivor\n");
        }
        if unknown.is_empty() && idle.is_empty() && stale.is_empty() { Ok(text) } else { Err(text) }
    }

    fn summary(&self, missed: usize, explained: usize) -> String {
        let of_kind = |kind| self.measured.iter().filter(|(_, finding)| finding.kind == kind).count();
        format!(
            "{} checks: {} removed, {} with another error because nothing can stand for the value, {} that the \
             compiler lets nobody change\n{missed} missed, {explained} explained in conformance/survivors.toml\n",
            self.measured.len(),
            of_kind(Some(Kind::Removed)),
            of_kind(Some(Kind::Exchanged)),
            of_kind(None),
        )
    }

    /// Rows all of whose checks were measured and of which no test failed, with their tests.
    fn rows_without_effect(&self) -> BTreeMap<u16, BTreeSet<String>> {
        let mut idle = BTreeMap::new();
        for row in &self.rows {
            let names: BTreeSet<Name> = row.refused_with.iter().filter_map(Name::parse).collect();
            let places = names.iter().flat_map(|name| self.index.places(name));
            let places = places.filter(|made| !made.path.starts_with(LEFT_OUT)).count();
            let of_row: Vec<&Finding> = self
                .measured
                .iter()
                .filter(|(site, _)| !self.index.becomes(&site.name).is_disjoint(&names))
                .map(|(_, finding)| finding)
                .collect();
            let is_of_row = |test: &&String| row_of(test) == Some(row.number);
            let failed = of_row.iter().any(|finding| finding.failed.iter().any(|test| is_of_row(&test)));
            let tests: BTreeSet<String> =
                of_row.iter().flat_map(|finding| &finding.tests).filter(is_of_row).cloned().collect();
            if places > 0 && of_row.len() >= places && !failed {
                idle.insert(row.number, tests);
            }
        }
        idle
    }

    fn stale(&self) -> Vec<&str> {
        let survives = |name: &str| self.measured.iter().any(|(site, it)| site.key == name && it.failed.is_empty());
        self.explained.iter().filter(|name| self.whole && !survives(name)).copied().collect()
    }
}

fn how(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Removed) => "removed",
        Some(Kind::Exchanged) => "another error",
        None => "cannot be changed",
    }
}

fn listed(tests: &BTreeSet<String>) -> String {
    tests.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Rows;
    use crate::workspace::Source;

    const CODE: &str = "pub enum Rule { A } fn f() { Err(Rule::A) }";
    const ROW: &str = "title = \"x\"\n[[row]]\nnumber = 1\nsection = \"6\"\nlevel = \"MUST\"\nrule = \"a\"\n\
                       decision = \"enforced\"\nrefused_with = [\"Rule::A\"]\n";

    fn report(failed: &[&str], explained: &[&str]) -> Result<String, String> {
        let index = Index::new(&[Source::of_text("crates/mls/src/a.rs", CODE)]);
        let mut rows = Rows::default();
        rows.add("a.toml", ROW).unwrap();
        let site =
            Site { name: Name::new("Rule", "A"), path: String::new(), line: 3, key: "k".to_owned(), ways: Vec::new() };
        let tests = ["row_001_x", "row_002_y"].map(str::to_owned).into();
        let failed = failed.iter().map(|name| (*name).to_owned()).collect();
        let finding = Finding { kind: Some(Kind::Removed), tests, failed };
        let rows = rows.iter().collect();
        let explained = explained.iter().copied().collect();
        Report { measured: vec![(&site, finding)], rows, index: &index, explained, whole: true }.finish()
    }

    #[test]
    fn a_check_whose_absence_a_test_notices_is_fine() {
        assert!(report(&["row_001_x"], &[]).unwrap().contains("0 missed"));
    }

    #[test]
    fn a_check_whose_absence_no_test_notices_is_missed() {
        let text = report(&[], &[]).unwrap_err();
        assert!(text.contains("missed: k (line 3, removed): row_001_x, row_002_y"), "{text}");
        assert!(text.contains("row 1: no check that is taken out makes a test of it fail: row_001_x\n"), "{text}");
    }

    #[test]
    fn a_row_whose_own_tests_notice_nothing_is_found_though_others_do() {
        let text = report(&["row_002_y"], &[]).unwrap_err();
        assert!(!text.contains("missed: k") && text.contains("row 1: no check"), "{text}");
    }

    #[test]
    fn an_explanation_that_explains_nothing_is_found() {
        assert!(report(&["row_001_x"], &["k"]).unwrap_err().contains("explains k, which is no survivor"));
        assert!(report(&["row_001_x"], &["gone"]).is_err());
    }
}
