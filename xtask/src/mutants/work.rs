//! The work that all kinds of checks share: switches around them, one compilation, and the tests
//! with one check taken out at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::build::{Built, Executable, Fault, Stage, build};
use super::copy::{Copy, write_if_other};
use super::memory::Ways;
use super::run::{Mode, Runner};
use super::switched::{Prepared, SWITCH, Switched};
use crate::say;
use crate::workspace::{Source, Target};

/// How often switches that the compiler refuses may be exchanged before we give up.
const MOST_ATTEMPTS: usize = 30;

/// A test, by the number of its executable and its full name there.
pub(super) type TestId = (usize, String);

pub(super) struct Work<'a> {
    pub(super) copy: Copy,
    sources: &'a [Source],
    target_folder: PathBuf,
    /// The files that are written with switches in them.
    paths: BTreeSet<String>,
    runner: Runner,
}

impl<'a> Work<'a> {
    /// Copies the workspace, but for the files that these sites are in.
    pub(super) fn new(
        root: &Path,
        target_folder: PathBuf,
        sources: &'a [Source],
        sites: &[Prepared],
    ) -> Result<Self, String> {
        let paths = sites.iter().map(|prepared| prepared.site.path.clone());
        let paths = paths.flat_map(|path| [root_file(&path), path]).collect();
        let copy = Copy::update(root, target_folder.join("mutants/workspace"), &paths)?;
        Ok(Self { copy, sources, target_folder, paths, runner: Runner::new(root) })
    }

    /// Writes switches until the compiler takes them all, and compiles the tests.
    pub(super) fn prepare(
        &self,
        sites: &mut [Prepared],
        targets: &BTreeSet<Target>,
        ways: &mut Ways,
    ) -> Result<Vec<Executable>, String> {
        ways.recall(sites);
        let members = self.sources.iter().map(|source| &*source.target.package).collect();
        // What was compiled before will most likely compile again; otherwise checking is faster.
        let mut stage = if ways.is_empty() { Stage::Check } else { Stage::Tests };
        for attempt in 1..=MOST_ATTEMPTS {
            let switched = self.write(sites)?;
            let begin = Instant::now();
            let built = build(&self.copy.root, &self.target_folder, targets, &members, stage)?;
            let time = begin.elapsed().as_secs();
            match built {
                Built::Executables(executables) if stage == Stage::Tests => {
                    say(&format!("attempt {attempt}: compiled, {time} s\n"));
                    ways.remember(sites)?;
                    return Ok(executables);
                }
                Built::Executables(_) => {
                    say(&format!("attempt {attempt}: every switch compiles, {time} s\n"));
                    stage = Stage::Tests;
                }
                Built::Faults(faults) => {
                    let refused = refused(&faults, &switched)?;
                    say(&format!("attempt {attempt}: the compiler refuses {} switches, {time} s\n", refused.len()));
                    for number in refused {
                        if let Some(prepared) = sites.get_mut(number) {
                            prepared.way += 1;
                        }
                    }
                    ways.remember(sites)?;
                    stage = Stage::Check;
                }
            }
        }
        Err(format!("the compiler still refuses switches after {MOST_ATTEMPTS} attempts\n"))
    }

    /// Writes every file that holds switches; gives back what was written, by path.
    fn write(&self, sites: &[Prepared]) -> Result<BTreeMap<&str, Switched>, String> {
        let mut written = BTreeMap::new();
        for path in &self.paths {
            let source = self.sources.iter().find(|source| source.path == *path);
            let source = source.ok_or_else(|| format!("{path} is no source of the workspace\n"))?;
            let here = sites.iter().enumerate().filter(|(_, prepared)| prepared.site.path == *path);
            let here: Vec<(usize, &Prepared)> = here.collect();
            let mut switched = Switched::new(&source.text, &here);
            if root_file(path) == *path {
                switched.text.push_str(SWITCH);
            }
            write_if_other(&self.copy.root.join(path), switched.text.as_bytes())?;
            written.insert(path.as_str(), switched);
        }
        Ok(written)
    }

    /// Runs tests with every check in place: all must pass. Says in which of them
    /// which site refuses.
    pub(super) fn trace(
        &self,
        executables: &[Executable],
        tests: &BTreeSet<TestId>,
    ) -> Result<BTreeMap<usize, BTreeSet<TestId>>, String> {
        let file = self.target_folder.join("mutants/trace");
        let begin = Instant::now();
        let mut reached: BTreeMap<usize, BTreeSet<TestId>> = BTreeMap::new();
        for (at, executable) in executables.iter().enumerate() {
            let held = held(tests, at);
            if held.is_empty() {
                continue;
            }
            // What stands there from before would be taken for what these tests reach.
            let _absent = fs::remove_file(&file);
            let outcomes = self.runner.run(executable, &held, Mode::Traced(&file))?;
            if let Some((name, _)) = outcomes.iter().find(|(_, passed)| !**passed) {
                return Err(format!("{}: {name} fails with every check in place\n", executable.name));
            }
            for line in fs::read_to_string(&file).unwrap_or_default().lines() {
                let Some((number, test)) = line.split_once(' ') else { continue };
                if let (Ok(number), true) = (number.parse(), held.contains(test)) {
                    reached.entry(number).or_default().insert((at, test.to_owned()));
                }
            }
        }
        let time = begin.elapsed().as_secs();
        say(&format!("{} tests pass with every check in place, {time} s\n", tests.len()));
        Ok(reached)
    }

    /// Those of the tests that fail with these sites taken out, at least one if there is one.
    pub(super) fn failing(
        &self,
        executables: &[Executable],
        tests: &BTreeSet<TestId>,
        out: &[usize],
        until: Until,
    ) -> Result<BTreeSet<String>, String> {
        let mut failing = BTreeSet::new();
        for (at, executable) in executables.iter().enumerate() {
            let held = held(tests, at);
            if held.is_empty() {
                continue;
            }
            let outcomes = self.runner.run(executable, &held, Mode::Out(out, until))?;
            failing.extend(outcomes.into_iter().filter(|(_, passed)| !passed).map(|(name, _)| last(&name).to_owned()));
            if until == Until::OneFails && !failing.is_empty() {
                break;
            }
        }
        Ok(failing)
    }
}

/// The tests of one executable.
fn held(tests: &BTreeSet<TestId>, at: usize) -> BTreeSet<&str> {
    tests.iter().filter(|(number, _)| *number == at).map(|(_, name)| &**name).collect()
}

/// How long tests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    AllEnd,
    OneFails,
}

/// Every test of every executable.
pub(super) fn every_test(executables: &[Executable]) -> Result<BTreeSet<TestId>, String> {
    let mut tests = BTreeSet::new();
    for (at, executable) in executables.iter().enumerate() {
        tests.extend(Runner::names(executable)?.into_iter().map(|name| (at, name)));
    }
    Ok(tests)
}

/// A test without its modules.
pub(super) fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// The root file of the library that a file belongs to.
fn root_file(path: &str) -> String {
    let folder: Vec<&str> = path.split('/').take(3).collect();
    format!("{}/lib.rs", folder.join("/"))
}

/// The sites whose switches the compiler refuses.
fn refused(faults: &[Fault], switched: &BTreeMap<&str, Switched>) -> Result<BTreeSet<usize>, String> {
    let site =
        |fault: &Fault| fault.spans.iter().find_map(|place| switched.get(place.path.as_str())?.site_at(&place.bytes));
    let refused: BTreeSet<usize> = faults.iter().filter_map(site).collect();
    if refused.is_empty() {
        return Err(faults.iter().map(|fault| fault.text.clone()).collect());
    }
    Ok(refused)
}
