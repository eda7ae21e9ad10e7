//! `cargo run -p keyroom-peers -- verdicts`: runs the negative vectors with each peer and writes
//! `docs/peers.md`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::process::ExitCode;

use keyroom_peers::verdicts;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("verdicts") {
        println!("usage: cargo run -p keyroom-peers -- verdicts");
        return ExitCode::from(2);
    }
    let document = verdicts::document(&verdicts::measure());
    std::fs::create_dir_all(verdicts::path().parent().unwrap()).unwrap();
    std::fs::write(verdicts::path(), &document).unwrap();
    print!("{document}");
    ExitCode::SUCCESS
}
