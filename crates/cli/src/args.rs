//! What can be typed. A new subcommand is one variant here and one file beside this one.

use clap::{Parser, Subcommand};

use crate::{bench, chat, demo, inspect, serve};

/// End-to-end encrypted groups on Messaging Layer Security (RFC 9420).
#[derive(Debug, Parser)]
#[command(name = "keyroom", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play an encrypted meeting on this machine, with a server and five clients of its own.
    Demo(demo::Options),
    /// Serve rooms: order and store messages that cannot be read.
    Serve(serve::Options),
    /// Talk in a room.
    Chat(chat::Options),
    /// Show what the bytes of a message say, or where and why they are malformed.
    Inspect(inspect::Options),
    /// Measure.
    Bench(bench::Options),
    /// A client of the demonstration.
    #[command(hide = true)]
    DemoClient(demo::ClientOptions),
}
