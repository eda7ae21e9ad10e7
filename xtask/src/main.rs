//! Chores of the workspace: `cargo xtask purity`, `conformance`, `mutants`, `crash` and
//! `durability`.

mod conformance;
mod crash;
mod index;
mod mutants;
mod purity;
mod workspace;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <chore>

chores:
  purity         check that the protocol crates reach no clock, thread, random generator, file or socket
  conformance    check that rows, errors, code and tests fit together
                 --write    write docs/conformance.md anew
  mutants        take checks out, one at a time, and see whether a test fails; `mutants --help` says more
  crash          kill keyroomd under load and check that nothing acknowledged is lost, nothing is twice
                 and no group is stuck; `crash --help` says more
  durability     record what keyroomd asks of the kernel and check that each answer waited for the disk, and
                 that a disk that forgets what was not synchronised loses nothing; `--help` says more
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let report = match arguments.split_first() {
        Some((chore, [])) if chore == "purity" => purity::run(),
        Some((chore, rest)) if chore == "conformance" => conformance::run(rest),
        Some((chore, rest)) if chore == "mutants" => mutants::run(rest),
        Some((chore, rest)) if chore == "crash" => crash::run("crash", rest),
        Some((chore, rest)) if chore == "durability" => crash::run("durability", rest),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match report {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            say(&text);
            ExitCode::FAILURE
        }
    }
}

/// Prints. Where the output is gone there is nobody to tell; the status still says it.
fn say(text: &str) {
    let _unheard = io::stdout().lock().write_all(text.as_bytes());
}
