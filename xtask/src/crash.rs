//! `cargo xtask crash` and `cargo xtask durability`: faults under a real server, and what is left.
//!
//! The work is done by the program of the package `keyroom-faults`, so that the other chores need not
//! be built with all that it needs. `KEYROOM_BIN` names a folder with it and `keyroomd`, if they are built
//! already.

use std::path::Path;
use std::process::Command;

/// Builds the server and the program that puts it to the test, in the same way, and runs one of the tests
/// of the latter with these arguments. What it prints goes where our output goes.
pub(crate) fn run(test: &str, arguments: &[String]) -> Result<String, String> {
    if let Some(folder) = std::env::var_os("KEYROOM_BIN") {
        let program = Path::new(&folder).join("keyroom-faults");
        return done(Command::new(program).arg(test).args(arguments));
    }
    let release = arguments.iter().any(|argument| argument == "--release");
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let rest: Vec<&String> = arguments.iter().filter(|argument| *argument != "--release").collect();
    let build = ["build", "--quiet", "--package", "keyroom-server", "--package", "keyroom-faults", "--bins"];
    done(Command::new(env!("CARGO")).args(build).args(profile))?;
    let run = ["run", "--quiet", "--package", "keyroom-faults"];
    done(Command::new(env!("CARGO")).args(run).args(profile).args(["--", test]).args(rest))
}

/// Runs a command to its end; what it prints has gone where our output goes.
fn done(command: &mut Command) -> Result<String, String> {
    match command.status() {
        Ok(status) if status.success() => Ok(String::new()),
        Ok(status) => Err(format!("ended with {status}\n")),
        Err(error) => Err(format!("{} does not start: {error}\n", command.get_program().display())),
    }
}
