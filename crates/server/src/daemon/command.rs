//! The command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};

use super::settings::{Setting, Shape};

/// The variable that names the file, where no flag does.
pub(super) const FILE_VARIABLE: &str = "KEYROOM_CONFIG";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Serve, until a signal comes.
    Serve,
    /// Show the settings and what is wrong with them.
    CheckConfig,
    /// Look at everything that a server needs.
    Doctor,
    /// Copy the database to this file.
    BackUp(PathBuf),
}

/// A command line.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) task: Task,
    /// The configuration file, if a flag or the environment names one.
    pub(super) file: Option<PathBuf>,
    /// What flags say.
    pub(super) flags: BTreeMap<Setting, String>,
}

/// Reads a command line. One that is wrong, and a wish for help, end the process here.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Invocation {
    let matches = command().get_matches_from(arguments);
    let (task, matches) = innermost(&matches);
    let file = matches.get_one::<PathBuf>("config").cloned();
    let file = file.or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from));
    Invocation { task, file, flags: flags(matches) }
}

/// The task, and the matches of its subcommand, which have the flags that may stand anywhere too.
fn innermost(matches: &ArgMatches) -> (Task, &ArgMatches) {
    match matches.subcommand() {
        Some(("config", config)) => (Task::CheckConfig, config.subcommand().map_or(config, |(_, check)| check)),
        Some(("doctor", doctor)) => (Task::Doctor, doctor),
        Some(("backup", backup)) => {
            let copy = backup.get_one::<PathBuf>("copy").cloned().unwrap_or_default();
            (Task::BackUp(copy), backup)
        }
        _ => (Task::Serve, matches),
    }
}

fn flags(matches: &ArgMatches) -> BTreeMap<Setting, String> {
    let given = |setting: &Setting| {
        let is_given = matches.value_source(setting.name()) == Some(ValueSource::CommandLine);
        let text = matches.get_one::<String>(setting.name()).filter(|_| is_given)?;
        Some((*setting, text.clone()))
    };
    Setting::ALL.iter().filter_map(given).collect()
}

fn command() -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .global(true)
        .help(format!("Configuration file, in TOML [env: {FILE_VARIABLE}]"));
    let check = Command::new("check").about("Shows every setting, where it comes from, and what is wrong");
    let copy = Arg::new("copy")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .required(true)
        .help("Where the copy goes; a file that is there is not overwritten");
    Command::new("keyroomd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves encrypted rooms: orders and stores messages that it cannot read")
        .long_about(
            "Serves encrypted rooms: orders and stores messages that it cannot read.\n\n\
             Devices prove who they are with their own keys. A setting is taken from its flag, else from its \
             variable, else from the configuration file, else it has its default.",
        )
        .arg(file)
        .args(Setting::ALL.iter().map(|setting| argument(*setting)))
        .subcommand(
            Command::new("config")
                .about("Works with the settings")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(check),
        )
        .subcommand(Command::new("doctor").about("Looks at everything that a server needs, and says what to do"))
        .subcommand(
            Command::new("backup").about("Copies a SQLite database to a new file, also while it is in use").arg(copy),
        )
}

fn argument(setting: Setting) -> Arg {
    let default = match setting.default() {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let argument = Arg::new(setting.name())
        .long(setting.flag())
        .value_name(setting.value_name())
        .global(true)
        .help(format!("{} [env: {}]{default}", setting.meaning(), setting.variable()));
    let argument = match setting.table() {
        Some(table) => argument.help_heading(format!("[{table}]")),
        None => argument,
    };
    match setting.shape() {
        Shape::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Shape::Value | Shape::Secret => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Invocation {
        read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn flags_stand_before_and_after_a_subcommand_and_switches_need_no_value() {
        let before = parse("keyroomd --listen 127.0.0.1:0 --private-handshakes");
        assert_eq!(before.task, Task::Serve);
        let flags = BTreeMap::from([
            (Setting::Listen, "127.0.0.1:0".to_owned()),
            (Setting::PrivateHandshakes, "true".to_owned()),
        ]);
        assert_eq!(before.flags, flags);
        for line in ["keyroomd --poll 9 --config x config check", "keyroomd config check --poll 9 --config x"] {
            let invocation = parse(line);
            assert_eq!(invocation.task, Task::CheckConfig);
            assert_eq!(invocation.file, Some("x".into()));
            assert_eq!(invocation.flags, BTreeMap::from([(Setting::Poll, "9".to_owned())]), "{line}");
        }
        assert_eq!(parse("keyroomd doctor").task, Task::Doctor);
        assert_eq!(parse("keyroomd backup --poll 9 x.db").task, Task::BackUp("x.db".into()));
        let off = parse("keyroomd --private-handshakes=false");
        assert_eq!(off.flags.get(&Setting::PrivateHandshakes).map(String::as_str), Some("false"));
    }
}
