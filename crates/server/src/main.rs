//! `keyroomd`: a Keyroom server in one process.

mod daemon;

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::run()
}
