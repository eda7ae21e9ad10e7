//! `keyroom demo`: an encrypted meeting, played by processes that share nothing but a server.
//!
//! | file | what |
//! |---|---|
//! | [`play`] | the acts, and what must hold in each |
//! | [`company`] | the processes, started, told what to do and killed |
//! | [`client`] | one client, as a process |
//! | [`pry`] | what somebody can do who was removed |
//! | [`relay`] | counts the bytes on the wire |
//! | [`screen`] | what the audience sees |

mod client;
mod company;
mod play;
mod pry;
mod relay;
mod screen;

use clap::Args;
use keyroom_wire::CipherSuite;

pub(crate) use client::{ClientOptions, run as run_client};

use crate::failure::Failure;
use crate::suite;

/// Play an encrypted meeting on this machine, with a server and five clients of its own.
///
/// Everything is kept in a temporary folder that is deleted at the end. The exit status is 0 only if
/// every expectation held.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave the temporary folder in place, for a look.
    #[arg(long)]
    keep: bool,

    /// The cipher suite, by number (in decimal, or after 0x) or by name.
    #[arg(long, default_value = "1", value_parser = suite::parse)]
    suite: CipherSuite,
}

/// Plays the meeting.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("keyroom-demo-").tempdir();
    let mut folder = folder.map_err(|error| Failure::usage(format!("no temporary folder: {error}")))?;
    folder.disable_cleanup(options.keep);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(error.to_string()))?;
    let played = runtime.block_on(play::play(folder.path(), options.suite));
    if options.keep {
        crate::output::write(&format!("kept: {}\n", folder.path().display()))?;
    }
    played.map_err(|what| Failure::data(what, "this is a defect of keyroom: please report it with the output above"))
}
