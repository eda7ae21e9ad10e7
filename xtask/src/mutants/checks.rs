//! Every check taken out in turn.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::report::Report;
use super::build::{Built, Executable, Fault, build};
use super::copy::{Copy, write_if_other};
use super::explained::{Explained, Which};
use super::memory::{Finding, Memory};
use super::run::Runner;
use super::sites::{Kind, Site, sites};
use super::switched::{Prepared, SWITCH, Switched};
use crate::conformance::{Decision, Row, Rows, row_of};
use crate::index::{Function, Index};
use crate::say;
use crate::workspace::{self, Name, Source, Target};

/// The packages whose tests are run: the protocol and what it stands on.
const PACKAGES: [&str; 4] = ["keyroom-wire", "keyroom-crypto", "keyroom-rustcrypto", "keyroom-mls"];
/// A provider of which the tests above know nothing; its own tests run against official vectors.
const LEFT_OUT: &str = "crates/awslc/";
/// How often switches that the compiler refuses may be exchanged before we give up.
const MOST_ATTEMPTS: usize = 20;

#[derive(Debug, Default)]
struct Options {
    list: bool,
    fresh: bool,
    only: BTreeSet<Name>,
    package: Option<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--fresh" => options.fresh = true,
                "--package" => {
                    let name = arguments.next().filter(|name| PACKAGES.contains(&name.as_str()));
                    options.package = Some(name.ok_or_else(|| super::USAGE.to_owned())?.clone());
                }
                "--only" => {
                    let name = arguments.next().and_then(|name| Name::parse(name));
                    options.only.insert(name.ok_or_else(|| super::USAGE.to_owned())?);
                }
                _ => return Err(super::USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}

/// A check with the tests that must notice when it is gone.
struct Check<'a> {
    prepared: Prepared,
    tests: Vec<&'a Function>,
}

impl Check<'_> {
    fn test_names(&self) -> BTreeSet<String> {
        self.tests.iter().map(|test| test.name.clone()).collect()
    }
}

pub(super) fn run(arguments: &[String]) -> Result<String, String> {
    let options = Options::parse(arguments)?;
    let root = workspace::root()?;
    let rows = Rows::read(&root.join("conformance"))?;
    let sources = workspace::sources()?;
    let index = Index::new(&sources);
    let wanted = wanted(&rows, &index, &options.only);
    let sites = sites(&sources, &index, &wanted).into_iter().filter(|site| !site.path.starts_with(LEFT_OUT));
    let mut checks: Vec<Check<'_>> = sites.map(|site| with_tests(site, &rows, &index)).collect();
    if let Some(package) = &options.package {
        for check in &mut checks {
            check.tests.retain(|test| test.target.package == *package);
        }
        // The checks of others are tested by others.
        let folder = format!("crates/{}/", package.trim_start_matches("keyroom-"));
        checks.retain(|check| !check.tests.is_empty() && check.prepared.site.path.starts_with(&folder));
    }
    if options.list {
        return Ok(list(&checks));
    }
    let folder = workspace::target_folder()?.join("mutants");
    let copy = Copy::update(&root, folder.join("workspace"), &replaced(&checks))?;
    let memory_file = folder.join("checks.json");
    let memory = if options.fresh { Memory::fresh } else { Memory::read };
    let mut memory = memory(&memory_file, copy.digest);
    let work = Work { root: &root, copy: &copy, sources: &sources, target_folder: &workspace::target_folder()? };
    work.measure(&mut checks, &mut memory)?;
    let measured: Vec<(&Site, Finding)> = checks
        .iter()
        .filter_map(|check| {
            Some((&check.prepared.site, memory.get(&check.prepared.site.key, &check.test_names())?.clone()))
        })
        .collect();
    let enforced: Vec<&Row> = rows.iter().filter(|row| row.decision == Decision::Enforced).collect();
    let explained = Explained::read(&root)?;
    let whole = options.only.is_empty() && options.package.is_none();
    Report { measured, rows: enforced, index: &index, explained: explained.names(Which::Checks), whole }.finish()
}

/// The variants that enforced rows name.
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
    let names = index.becomes(&site.name);
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
    format!("{lines}{} checks\n", checks.len())
}

/// The files that are written with switches in them.
fn replaced(checks: &[Check<'_>]) -> BTreeSet<String> {
    let paths = checks.iter().map(|check| check.prepared.site.path.clone());
    paths.flat_map(|path| [root_file(&path), path]).collect()
}

/// The root file of the library that a file belongs to.
fn root_file(path: &str) -> String {
    let folder: Vec<&str> = path.split('/').take(3).collect();
    format!("{}/lib.rs", folder.join("/"))
}

struct Work<'a> {
    root: &'a Path,
    copy: &'a Copy,
    sources: &'a [Source],
    target_folder: &'a PathBuf,
}

impl Work<'_> {
    /// Fills the memory for every check.
    fn measure(&self, checks: &mut [Check<'_>], memory: &mut Memory) -> Result<(), String> {
        let unknown =
            |check: &Check<'_>, memory: &Memory| memory.get(&check.prepared.site.key, &check.test_names()).is_none();
        let open = checks.iter().filter(|check| unknown(check, memory)).count();
        say(&format!("{} checks, {} of them known from an earlier run\n", checks.len(), checks.len() - open));
        if open == 0 {
            return Ok(());
        }
        let executables = self.prepare(checks)?;
        let runner = Runner::new(self.root);
        self.all_pass(checks, &executables, &runner)?;
        for (number, check) in checks.iter().enumerate() {
            if !unknown(check, memory) {
                continue;
            }
            let begin = Instant::now();
            let failed = match check.prepared.way() {
                Some(_) => self.failing(&check.tests, &executables, &runner, Some(number))?,
                None => BTreeSet::new(),
            };
            let (tests, kind) = (check.test_names(), check.prepared.way().map(|way| way.kind));
            let (key, count) = (&check.prepared.site.key, tests.len());
            let time = begin.elapsed().as_secs_f32();
            say(&format!("{:4} {key}: {} of {count} tests fail, {time:.1} s\n", number + 1, failed.len()));
            memory.put(key, Finding { kind, tests, failed })?;
        }
        Ok(())
    }

    /// Writes switches until the compiler takes them all, and compiles the tests.
    fn prepare(&self, checks: &mut [Check<'_>]) -> Result<Vec<Executable>, String> {
        let tests = checks.iter().flat_map(|check| &check.tests);
        let targets: BTreeSet<Target> = tests.map(|test| test.target.clone()).collect();
        if targets.is_empty() {
            return Err("no test is named after a row that names these errors\n".to_owned());
        }
        for attempt in 1..=MOST_ATTEMPTS {
            let switched = self.write(checks)?;
            let begin = Instant::now();
            let built = build(&self.copy.root, self.target_folder, &targets)?;
            let time = begin.elapsed().as_secs();
            match built {
                Built::Executables(executables) => {
                    say(&format!("attempt {attempt}: compiled, {time} s\n"));
                    return Ok(executables);
                }
                Built::Faults(faults) => {
                    let refused = refused(&faults, &switched)?;
                    say(&format!("attempt {attempt}: the compiler refuses {} switches, {time} s\n", refused.len()));
                    for number in refused {
                        if let Some(check) = checks.get_mut(number) {
                            check.prepared.way += 1;
                        }
                    }
                }
            }
        }
        Err(format!("the compiler still refuses switches after {MOST_ATTEMPTS} attempts\n"))
    }

    /// Writes every file that holds switches; gives back what was written, by path.
    fn write(&self, checks: &[Check<'_>]) -> Result<BTreeMap<String, Switched>, String> {
        let prepared: Vec<&Prepared> = checks.iter().map(|check| &check.prepared).collect();
        let mut written = BTreeMap::new();
        for path in replaced(checks) {
            let source = self.sources.iter().find(|source| source.path == path);
            let source = source.ok_or_else(|| format!("{path} is no source of the workspace\n"))?;
            let here = prepared.iter().enumerate().filter(|(_, prepared)| prepared.site.path == path);
            let here: Vec<(usize, &Prepared)> = here.map(|(number, prepared)| (number, *prepared)).collect();
            let mut switched = Switched::new(&source.text, &here);
            if root_file(&path) == path {
                switched.text.push_str(SWITCH);
            }
            write_if_other(&self.copy.root.join(&path), switched.text.as_bytes())?;
            written.insert(path, switched);
        }
        Ok(written)
    }

    /// With every check in place, every test passes.
    fn all_pass(&self, checks: &[Check<'_>], executables: &[Executable], runner: &Runner) -> Result<(), String> {
        let mut tests: Vec<&Function> = checks.iter().flat_map(|check| &check.tests).copied().collect();
        tests.sort_by_key(|test| (&test.path, &test.name));
        tests.dedup_by_key(|test| (&test.path, &test.name));
        let begin = Instant::now();
        let failed = self.failing(&tests, executables, runner, None)?;
        if failed.is_empty() {
            say(&format!("{} tests pass with every check in place, {} s\n", tests.len(), begin.elapsed().as_secs()));
            return Ok(());
        }
        let list: Vec<String> = failed.into_iter().collect();
        Err(format!("tests fail with every check in place: {}\n", list.join(", ")))
    }

    /// Those of the tests that fail.
    fn failing(
        &self,
        tests: &[&Function],
        executables: &[Executable],
        runner: &Runner,
        mutant: Option<usize>,
    ) -> Result<BTreeSet<String>, String> {
        let mut failing = BTreeSet::new();
        for executable in executables {
            let held = tests.iter().filter(|test| executable.holds(&self.copy.root, &test.target, &test.path));
            let names: Vec<&str> = held.map(|test| &*test.name).collect();
            if !names.is_empty() {
                let results = runner.run(executable, &names, mutant)?;
                failing.extend(results.into_iter().filter(|(_, passed)| !passed).map(|(name, _)| name));
            }
        }
        Ok(failing)
    }
}

/// The checks whose switches the compiler refuses.
fn refused(faults: &[Fault], switched: &BTreeMap<String, Switched>) -> Result<BTreeSet<usize>, String> {
    let site = |fault: &Fault| fault.spans.iter().find_map(|place| switched.get(&place.path)?.site_at(&place.bytes));
    let refused: BTreeSet<usize> = faults.iter().filter_map(site).collect();
    if refused.is_empty() {
        return Err(faults.iter().map(|fault| fault.text.clone()).collect());
    }
    Ok(refused)
}
