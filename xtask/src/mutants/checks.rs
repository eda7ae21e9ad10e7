//! Every place that returns an error of a row, made vacuous in turn; and every call in the engine
//! that only judges, taken out in turn.

use std::collections::BTreeSet;

use super::build::Executable;
use super::explained::{Explained, Which};
use super::measure::Measure;
use super::memory::{Memory, Ways};
use super::options::Options;
use super::report::Report;
use super::sites::calls::calls;
use super::sites::{Kind, Site, sites};
use super::switched::Prepared;
use super::work::{TestId, Work, every_test, last};
use crate::conformance::{Decision, Rows, row_of};
use crate::index::{Function, Index};
use crate::say;
use crate::workspace::{self, Name, Source, Target};

/// The packages whose tests are run: the protocol and what it stands on.
pub(super) const PACKAGES: [&str; 4] = ["keyroom-wire", "keyroom-crypto", "keyroom-rustcrypto", "keyroom-mls"];
/// Whose calls are taken out.
const ENGINE: &str = "keyroom-mls";
const FOLDER: &str = "crates/mls/src/";
/// A provider of which the tests above know nothing; its own tests run against official vectors.
pub(super) const LEFT_OUT: &str = "crates/awslc/";
/// Files of tests all of which are asked where no test of the row has noticed; the others take long.
const QUICK: [&str; 8] = ["rows", "rules", "group", "public_group", "storage", "advice", "backlog", "self_remove"];

/// A check with the tests that must notice when it is gone.
struct Check<'a> {
    prepared: Prepared,
    tests: Vec<&'a Function>,
}

pub(super) fn run(arguments: &[String]) -> Result<String, String> {
    let options = Options::parse(arguments, &PACKAGES)?;
    let root = workspace::root()?;
    let rows = Rows::read(&root.join("conformance"))?;
    let sources = workspace::sources()?;
    let index = Index::new(&sources);
    let checks = checks(&options, &sources, &rows, &index);
    if options.list {
        return Ok(list(&checks));
    }
    let (mut sites, tests): (Vec<Prepared>, Vec<Vec<&Function>>) =
        checks.into_iter().map(|check| (check.prepared, check.tests)).unzip();
    let target_folder = workspace::target_folder()?;
    let folder = target_folder.join("mutants");
    let work = Work::new(&root, target_folder, &sources, &sites)?;
    let memory = if options.fresh { Memory::fresh } else { Memory::read };
    let mut memory = memory(&folder.join("checks.json"), work.copy.digest);
    let known = sites.iter().filter(|prepared| memory.get(&prepared.site.key).is_some()).count();
    say(&format!("{} checks and calls, {known} of them known from an earlier run\n", sites.len()));
    let explained = Explained::read(&root)?;
    let companions = explained.companions();

    let targets = targets(&options, &sources, &tests);
    let mut ways = Ways::read(&folder.join("ways.json"), &sources);
    let executables = work.prepare(&mut sites, &targets, &mut ways)?;
    let every = every_test(&executables)?;
    let own: Vec<BTreeSet<TestId>> = tests.iter().map(|tests| ids(tests, &executables, &every, &work)).collect();
    let quick = |(at, _): &&TestId| executables.get(*at).is_some_and(is_quick);
    let run: BTreeSet<TestId> = every.iter().filter(quick).chain(own.iter().flatten()).cloned().collect();
    let reached = work.trace(&executables, &run)?;
    let measure = Measure { work: &work, executables: &executables, sites: &sites, own: &own, reached: &reached };
    measure.run(&options, &companions, &mut memory)?;

    let report = |which| Report::new(which, &sites, &memory, &index, &companions, &options);
    let mut of_checks = report(Which::Checks);
    of_checks.rows = rows.iter().filter(|row| row.decision == Decision::Enforced).collect();
    of_checks.explained = explained.names(Which::Checks);
    let mut of_calls = report(Which::Calls);
    of_calls.explained = explained.names(Which::Calls);
    match (of_checks.finish(), of_calls.finish()) {
        (Ok(checks), Ok(calls)) => Ok(checks + &calls),
        (Ok(checks) | Err(checks), Ok(calls) | Err(calls)) => Err(checks + &calls),
    }
}

fn checks<'a>(options: &Options, sources: &[Source], rows: &Rows, index: &'a Index) -> Vec<Check<'a>> {
    let wanted = wanted(rows, index, &options.only);
    let sites = sites(sources, index, &wanted).into_iter().filter(|site| !site.path.starts_with(LEFT_OUT));
    let mut checks: Vec<Check<'_>> = sites.map(|site| with_tests(site, rows, index)).collect();
    if let Some(package) = &options.package {
        for check in &mut checks {
            check.tests.retain(|test| test.target.package == *package);
        }
        // The checks of others are tested by others.
        let folder = format!("crates/{}/", package.trim_start_matches("keyroom-"));
        checks.retain(|check| !check.tests.is_empty() && check.prepared.site.path.starts_with(&folder));
    }
    if options.only.is_empty() && options.package.as_deref().is_none_or(|package| package == ENGINE) {
        let call = |site| Check { prepared: Prepared { site, way: 0 }, tests: Vec::new() };
        checks.extend(calls(sources, FOLDER).into_iter().map(call));
    }
    checks
}

/// The variants that enforced rows name, and those beyond the rows.
fn wanted(rows: &Rows, index: &Index, only: &BTreeSet<Name>) -> BTreeSet<Name> {
    let enforced = rows.iter().filter(|row| row.decision == Decision::Enforced);
    let named = enforced.flat_map(|row| row.refused_with.iter()).filter_map(Name::parse);
    let beyond = rows.beyond.iter().filter_map(|beyond| Name::parse(&beyond.name));
    named
        .chain(beyond)
        .filter(|name| index.variants().contains(name) && (only.is_empty() || only.contains(name)))
        .collect()
}

/// The tests of the rows that name what the site makes, or what becomes of it.
fn with_tests<'a>(site: Site, rows: &Rows, index: &'a Index) -> Check<'a> {
    let names = site.name.as_ref().map(|name| index.becomes(name)).unwrap_or_default();
    let names_it = |text: &str| Name::parse(text).is_some_and(|name| names.contains(&name));
    let numbers: BTreeSet<u16> =
        rows.iter().filter(|row| row.refused_with.iter().any(names_it)).map(|row| row.number).collect();
    let beyond: BTreeSet<&str> =
        rows.beyond.iter().filter(|beyond| names_it(&beyond.name)).map(|beyond| &*beyond.test).collect();
    let is_wanted = |test: &&Function| {
        row_of(&test.name).is_some_and(|row| numbers.contains(&row))
            || beyond.contains(&*format!("{}::{}", test.path, test.name))
    };
    let in_packages = |test: &&Function| PACKAGES.contains(&test.target.package.as_str());
    let tests = index.tests().filter(in_packages).filter(is_wanted).collect();
    Check { prepared: Prepared { site, way: 0 }, tests }
}

fn list(checks: &[Check<'_>]) -> String {
    let line = |check: &Check<'_>| {
        let site = &check.prepared.site;
        let how = match check.prepared.way().map(|way| way.kind) {
            Some(Kind::Removed) => "remove",
            Some(Kind::Exchanged) => "exchange the error",
            None => "nothing can be done",
        };
        format!("{} (line {}): {how}, {} tests\n", site.key, site.line, check.tests.len())
    };
    let lines: String = checks.iter().map(line).collect();
    let calls = checks.iter().filter(|check| check.prepared.site.name.is_none()).count();
    format!("{lines}{} checks, {calls} calls\n", checks.len() - calls)
}

/// What has to be compiled: the tests of the rows, and those that are asked besides.
fn targets(options: &Options, sources: &[Source], tests: &[Vec<&Function>]) -> BTreeSet<Target> {
    let package = |target: &Target| match &options.package {
        Some(package) => target.package == *package,
        None => PACKAGES.contains(&target.package.as_str()),
    };
    let quick = |target: &&Target| {
        package(target) && (target.kind == "lib" || (target.kind == "test" && QUICK.contains(&target.name.as_str())))
    };
    let besides = sources.iter().map(|source| &source.target).filter(quick);
    tests.iter().flatten().map(|test| &test.target).chain(besides).cloned().collect()
}

fn is_quick(executable: &Executable) -> bool {
    executable.kind == "lib" || QUICK.contains(&executable.name.as_str())
}

/// Where the tests stand, with their full names.
fn ids(tests: &[&Function], executables: &[Executable], every: &BTreeSet<TestId>, work: &Work<'_>) -> BTreeSet<TestId> {
    let is_one = |(at, name): &&TestId| {
        let Some(executable) = executables.get(*at) else { return false };
        let here = |test: &&Function| executable.holds(&work.copy.root, &test.target, &test.path);
        tests.iter().filter(|test| here(test)).any(|test| test.name == last(name))
    };
    every.iter().filter(is_one).cloned().collect()
}
