//! `cargo xtask crash` and `cargo xtask durability`: faults under a real server, and what is left.
//!
//! The work is done by the program of the package `keyroom-faults`, so that the other chores need not
//! be built with all that it needs.

use std::process::Command;

/// Builds the server and the program that puts it to the test, in the same way, and runs one of the tests
/// of the latter with these arguments. What it prints goes where our output goes.
pub(crate) fn run(test: &str, arguments: &[String]) -> Result<String, String> {
    let release = arguments.iter().any(|argument| argument == "--release");
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let rest: Vec<&String> = arguments.iter().filter(|argument| *argument != "--release").collect();
    let build = ["build", "--quiet", "--package", "keyroom-server", "--package", "keyroom-faults", "--bins"];
    cargo(Command::new(env!("CARGO")).args(build).args(profile))?;
    let run = ["run", "--quiet", "--package", "keyroom-faults"];
    cargo(Command::new(env!("CARGO")).args(run).args(profile).args(["--", test]).args(rest))?;
    Ok(String::new())
}

fn cargo(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status}\n")),
        Err(error) => Err(format!("cargo does not start: {error}\n")),
    }
}
