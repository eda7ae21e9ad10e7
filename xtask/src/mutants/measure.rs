//! One check after another is taken out, and its tests are run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::build::Executable;
use super::memory::{Finding, Memory};
use super::options::Options;
use super::switched::Prepared;
use super::work::{TestId, Until, Work, last};
use crate::say;

/// What the tests have to say to.
pub(super) struct Measure<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) executables: &'a [Executable],
    pub(super) sites: &'a [Prepared],
    /// The tests of the rows of each site.
    pub(super) own: &'a [BTreeSet<TestId>],
    /// The tests in which each site refuses: no other can notice.
    pub(super) reached: &'a BTreeMap<usize, BTreeSet<TestId>>,
}

impl Measure<'_> {
    /// Fills the memory for every site that is wanted, and for the company of those that survive.
    pub(super) fn run(
        &self,
        options: &Options,
        companions: &BTreeMap<&str, &[String]>,
        memory: &mut Memory,
    ) -> Result<(), String> {
        for (number, prepared) in self.sites.iter().enumerate().filter(|(number, _)| options.wants(*number)) {
            let key = &prepared.site.key;
            if memory.get(key).is_none() {
                let finding = self.timed(key, number, &[number])?;
                memory.put(key, finding)?;
            }
            let Some(with) = companions.get(key.as_str()) else { continue };
            let together = together(key, with);
            if memory.get(key).is_some_and(Finding::survived) && memory.get(&together).is_none() {
                let finding = self.timed(&together, number, &self.numbers(number, with)?)?;
                memory.put(&together, finding)?;
            }
        }
        Ok(())
    }

    fn numbers(&self, number: usize, with: &[String]) -> Result<Vec<usize>, String> {
        let position = |key: &String| {
            let position = self.sites.iter().position(|prepared| prepared.site.key == *key);
            position.ok_or_else(|| format!("survivors.toml names {key}, which is not there\n"))
        };
        std::iter::once(Ok(number)).chain(with.iter().map(position)).collect()
    }

    fn timed(&self, key: &str, number: usize, out: &[usize]) -> Result<Finding, String> {
        let begin = Instant::now();
        let finding = self.finding(number, out)?;
        let time = begin.elapsed().as_secs_f32();
        let outcome = match &finding.other {
            Some(other) => format!("only another test fails, {other}"),
            None => format!("{} of {} tests fail", finding.failed.len(), finding.tests.len()),
        };
        say(&format!("{:4} {key}: {outcome}, {time:.1} s\n", number + 1));
        Ok(finding)
    }

    fn finding(&self, number: usize, out: &[usize]) -> Result<Finding, String> {
        let none = BTreeSet::new();
        let own = self.own.get(number).unwrap_or(&none);
        let reached: BTreeSet<TestId> =
            out.iter().filter_map(|number| self.reached.get(number)).flatten().cloned().collect();
        let mut finding = Finding {
            kind: self.sites.get(number).and_then(Prepared::way).map(|way| way.kind),
            tests: own.iter().map(|(_, name)| last(name).to_owned()).collect(),
            reached: reached.len(),
            ..Finding::default()
        };
        if finding.kind.is_none() {
            return Ok(finding);
        }
        let run = |tests: &BTreeSet<TestId>, until| self.work.failing(self.executables, tests, out, until);
        finding.failed = run(own, Until::AllEnd)?;
        if finding.failed.is_empty() {
            let others = reached.difference(own).cloned().collect();
            finding.other = run(&others, Until::OneFails)?.into_iter().next();
        }
        Ok(finding)
    }
}

/// The name under which it is remembered that several were out at once.
pub(super) fn together(key: &str, with: &[String]) -> String {
    format!("{key} & {}", with.join(" & "))
}
