//! The program: what it is asked to do, its settings, and what becomes of both.

mod backup;
mod check;
mod command;
mod doctor;
mod fault;
mod layers;
mod output;
mod plan;
mod serve;
mod settings;
mod signals;

use std::process::ExitCode;

use command::{Invocation, Task};
use layers::Values;

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let Invocation { task, file, flags } = command::read(std::env::args_os());
    let (values, faults) = Values::read(file, &flags, |name| std::env::var_os(name));
    match task {
        Task::Serve => serve::run(&values, faults),
        Task::CheckConfig => check::run(&values, faults),
        Task::Doctor => doctor::run(&values, faults),
        Task::BackUp(copy) => backup::run(&values, faults, &copy),
    }
}
