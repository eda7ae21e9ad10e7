//! What taking the checks out has shown.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::LEFT_OUT;
use super::explained::Which;
use super::measure::together;
use super::memory::{Finding, Memory};
use super::options::Options;
use super::sites::{Kind, Site};
use super::switched::Prepared;
use crate::conformance::{Row, row_of};
use crate::index::Index;
use crate::workspace::Name;

pub(super) struct Report<'a> {
    /// What was taken out.
    pub(super) which: Which,
    pub(super) measured: Vec<(&'a Site, &'a Finding)>,
    /// Where several were taken out at once, those that survive alone: under the name of the first.
    pub(super) together: Vec<(&'a Site, &'a Finding)>,
    /// The enforced rows, where tests are asked by row.
    pub(super) rows: Vec<&'a Row>,
    pub(super) index: &'a Index,
    /// What `survivors.toml` explains.
    pub(super) explained: BTreeSet<&'a str>,
    /// Whether everything was measured, and not only some.
    pub(super) whole: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        which: Which,
        sites: &'a [Prepared],
        memory: &'a Memory,
        index: &'a Index,
        companions: &BTreeMap<&str, &[String]>,
        options: &Options,
    ) -> Self {
        let of_which = |site: &&Site| site.name.is_none() == (which == Which::Calls);
        let wanted = || {
            let wanted = sites.iter().enumerate().filter(|(number, _)| options.wants(*number));
            wanted.map(|(_, prepared)| &prepared.site).filter(of_which)
        };
        let measured = wanted().filter_map(|site| Some((site, memory.get(&site.key)?))).collect();
        let company = |site: &Site| memory.get(&together(&site.key, companions.get(site.key.as_str())?));
        let together = wanted().filter_map(|site| Some((site, company(site)?))).collect();
        let (rows, explained) = (Vec::new(), BTreeSet::new());
        Self { which, measured, together, rows, index, explained, whole: options.whole() }
    }

    /// The text; an error if something has survived that nobody explained.
    pub(super) fn finish(&self) -> Result<String, String> {
        // A call that cannot be left out is one of a function of the same name that returns something.
        let judged = |it: &Finding| self.which == Which::Checks || it.kind.is_some();
        let missed: Vec<_> = self.measured.iter().filter(|(_, it)| it.survived() && judged(it)).collect();
        let (known, unknown): (Vec<_>, Vec<_>) =
            missed.into_iter().partition(|(site, _)| self.explained.contains(&*site.key));
        let idle = self.rows_without_effect();
        let stale = self.stale();
        let alone: Vec<_> = self.together.iter().filter(|(_, finding)| finding.survived()).collect();
        let mut text = String::new();
        for (site, finding) in &unknown {
            text += &format!(
                "  missed: {} (line {}, {}): {} tests make it refuse, {} are of its rows\n",
                site.key,
                site.line,
                how(finding.kind),
                finding.reached,
                finding.tests.len()
            );
        }
        for (site, _) in &alone {
            text += &format!("  missed: {}, also without what survivors.toml names with it\n", site.key);
        }
        for (row, tests) in &idle {
            text += &format!("  row {row}: no check that is taken out makes a test of it fail: {}\n", listed(tests));
        }
        for name in &stale {
            text += &format!("  survivors.toml explains {name}, which is no survivor\n");
        }
        text += &self.summary(unknown.len(), known.len());
        let fine = unknown.is_empty() && alone.is_empty() && idle.is_empty() && stale.is_empty();
        if fine { Ok(text) } else { Err(text) }
    }

    fn summary(&self, missed: usize, explained: usize) -> String {
        let count = |wanted: &dyn Fn(&Finding) -> bool| self.measured.iter().filter(|(_, it)| wanted(it)).count();
        format!(
            "{} {}: {} removed, {} with another error because nothing can stand for the value, {} that the \
             compiler lets nobody change\n\
             {} noticed by tests of their rows, {} by other tests, {explained} explained in \
             conformance/survivors.toml ({} of them noticed when what stands behind them is out too), {missed} missed\n",
            self.measured.len(),
            if self.which == Which::Calls { "calls" } else { "checks" },
            count(&|it| it.kind == Some(Kind::Removed)),
            count(&|it| it.kind == Some(Kind::Exchanged)),
            count(&|it| it.kind.is_none()),
            count(&|it| !it.failed.is_empty()),
            count(&|it| it.other.is_some()),
            self.together.iter().filter(|(_, it)| !it.survived()).count(),
        )
    }

    /// Rows all of whose checks were measured and of which no test failed, with their tests.
    fn rows_without_effect(&self) -> BTreeMap<u16, BTreeSet<String>> {
        let mut idle = BTreeMap::new();
        for row in &self.rows {
            let names: BTreeSet<Name> = row.refused_with.iter().filter_map(Name::parse).collect();
            let places = names.iter().flat_map(|name| self.index.places(name));
            let places = places.filter(|made| !made.path.starts_with(LEFT_OUT)).count();
            let makes = |site: &Site| site.name.as_ref().is_some_and(|it| !self.index.becomes(it).is_disjoint(&names));
            let of_row = |all: &[(&'a Site, &'a Finding)]| -> Vec<&'a Finding> {
                all.iter().filter(|(site, _)| makes(site)).map(|(_, finding)| *finding).collect()
            };
            let (single, company) = (of_row(&self.measured), of_row(&self.together));
            let is_of_row = |test: &&String| row_of(test) == Some(row.number);
            let failed = single.iter().chain(&company).any(|finding| finding.failed.iter().any(|it| is_of_row(&it)));
            let tests: BTreeSet<String> =
                single.iter().flat_map(|finding| &finding.tests).filter(is_of_row).cloned().collect();
            if places > 0 && single.len() >= places && !failed {
                idle.insert(row.number, tests);
            }
        }
        idle
    }

    fn stale(&self) -> Vec<&str> {
        let survives = |name: &str| self.measured.iter().any(|(site, it)| site.key == name && it.survived());
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

    fn found(failed: &[&str]) -> Finding {
        let tests = ["row_001_x", "row_002_y"].map(str::to_owned).into();
        let failed = failed.iter().map(|name| (*name).to_owned()).collect();
        Finding { kind: Some(Kind::Removed), tests, failed, ..Finding::default() }
    }

    fn report(finding: &Finding, company: Option<&Finding>, explained: &[&str]) -> Result<String, String> {
        let index = Index::new(&[Source::of_text("crates/mls/src/a.rs", CODE)]);
        let mut rows = Rows::default();
        rows.add("a.toml", ROW).unwrap();
        let name = Some(Name::new("Rule", "A"));
        let site = Site { name, path: String::new(), line: 3, key: "k".to_owned(), ways: Vec::new() };
        let report = Report {
            which: Which::Checks,
            measured: vec![(&site, finding)],
            together: company.map(|company| (&site, company)).into_iter().collect(),
            rows: rows.iter().collect(),
            index: &index,
            explained: explained.iter().copied().collect(),
            whole: true,
        };
        report.finish()
    }

    #[test]
    fn a_check_whose_absence_a_test_notices_is_fine() {
        assert!(report(&found(&["row_001_x"]), None, &[]).unwrap().contains("0 missed"));
    }

    #[test]
    fn a_check_whose_absence_no_test_notices_is_missed() {
        let text = report(&found(&[]), None, &[]).unwrap_err();
        assert!(text.contains("missed: k (line 3, removed): 0 tests make it refuse, 2 are of its rows"), "{text}");
        assert!(text.contains("row 1: no check that is taken out makes a test of it fail: row_001_x\n"), "{text}");
    }

    #[test]
    fn a_row_whose_own_tests_notice_nothing_is_found_though_others_do() {
        let other = Finding { other: Some("other".to_owned()), ..found(&[]) };
        for finding in [found(&["row_002_y"]), other] {
            let text = report(&finding, None, &[]).unwrap_err();
            assert!(!text.contains("missed: k") && text.contains("row 1: no check"), "{text}");
        }
    }

    #[test]
    fn a_check_that_another_one_hides_is_noticed_without_both() {
        assert!(report(&found(&[]), Some(&found(&["row_001_x"])), &["k"]).unwrap().contains(", 0 missed"));
        assert!(report(&found(&[]), Some(&found(&[])), &["k"]).unwrap_err().contains("missed: k, also without"));
    }

    #[test]
    fn an_explanation_that_explains_nothing_is_found() {
        let found = found(&["row_001_x"]);
        assert!(report(&found, None, &["k"]).unwrap_err().contains("explains k, which is no survivor"));
        assert!(report(&found, None, &["gone"]).is_err());
    }
}
