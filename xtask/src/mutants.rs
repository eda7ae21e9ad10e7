//! Is there a test that fails when a check is taken out?
//!
//! `checks` takes every place that returns an error which a row names, makes that one check vacuous,
//! and runs the tests of the rows that name the error; if none of them notices, the other tests in
//! which the check refuses. In the same way it takes out every call in the engine of a function that only judges: a
//! rule that one function enforces must be asked for on every path. All places are prepared in one
//! copy of the workspace, each behind a switch that an environment variable sets, so that one
//! compilation serves them all and a place costs one run of a few tests.
//!
//! `bodies` runs cargo-mutants, which replaces the bodies of functions and operators.
//!
//! What no test can see is listed with the reason in `conformance/survivors.toml`.

mod bodies;
mod build;
mod checks;
mod copy;
mod explained;
mod measure;
mod memory;
mod options;
mod report;
mod run;
mod sites;
mod switched;
mod work;

pub(crate) const USAGE: &str = "usage: cargo xtask mutants [checks|bodies] [options]

checks (the default): take out each check of a row, and each call of the engine that only judges;
run the tests of the rows, and where none of them notices, those in which it refuses
  --list              show the checks and what would be done
  --only Rule::X      only the checks that return this error; may be repeated
  --package NAME      only the checks and tests of this package
  --slice K/N         only every N-th check, from the K-th (from 0) on
  --fresh             forget the results of earlier runs of the same sources

bodies: cargo-mutants over the files that .cargo/mutants.toml names
  --shard K/N         one part of N; each part is resumed where it was stopped
  --list              show the mutants
";

/// Runs one of the two.
pub(crate) fn run(arguments: &[String]) -> Result<String, String> {
    match arguments.split_first() {
        Some((which, rest)) if which == "bodies" => bodies::run(rest),
        Some((which, rest)) if which == "checks" => checks::run(rest),
        _ => checks::run(arguments),
    }
}
