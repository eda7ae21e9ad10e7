//! `keyroom`: the command line of the stack.
//!
//! Each subcommand is one file with an `Options` struct and a `run` function; [`args`] lists them.

mod args;
mod bench;
mod chat;
mod demo;
mod failure;
mod inspect;
mod output;
mod process;
mod serve;
mod state;
mod suite;
mod time;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Serve(options) => serve::run(options),
        Command::Chat(options) => chat::run(options),
        Command::Bench(options) => bench::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::DemoClient(options) => demo::run_client(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
