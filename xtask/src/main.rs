//! Chores of the workspace: `cargo run -p xtask -- purity`.

mod purity;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- <chore>

chores:
  purity    check that the protocol crates reach no clock, thread, random generator, file or socket
";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1);
    let (text, code) = match chore.as_deref() {
        Some("purity") => match purity::run() {
            Ok(report) => (report, ExitCode::SUCCESS),
            Err(report) => (report, ExitCode::FAILURE),
        },
        _ => (USAGE.to_owned(), ExitCode::from(2)),
    };
    // Where the output is gone there is nobody to tell; the status still says it.
    let _unheard = io::stdout().lock().write_all(text.as_bytes());
    code
}
