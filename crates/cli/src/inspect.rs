//! `keyroom inspect`: what the bytes of a message say, or where and why they are malformed.

mod describe;
mod diagnosis;
mod input;
mod item;
mod json;
mod structs;
mod text;

use std::path::PathBuf;

use clap::Args;
use keyroom_wire::Limits;

use self::describe::Notes;
use self::input::Encoding;
use self::structs::Struct;
use crate::failure::Failure;
use crate::output;

/// The arguments of `keyroom inspect`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Which struct the bytes are
    #[arg(long = "as", value_enum, default_value_t = Struct::Message, value_name = "STRUCT")]
    kind: Struct,

    /// How the bytes are written in the file
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,

    /// Print JSON, with all bytes in full
    #[arg(long)]
    json: bool,

    /// Print long byte strings in full
    #[arg(long)]
    full: bool,

    /// Refuse messages of more bytes than this
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().message)]
    max_bytes: usize,
}

/// Reads, decodes and prints.
///
/// # Errors
/// [`Failure::Data`] if the bytes are malformed, [`Failure::Usage`] if they cannot be read.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let limits = Limits { message: options.max_bytes, vector: options.max_bytes, ..Limits::default() };
    let bytes = input::read(&options.file, options.encoding, limits.message)?;
    let mut notes = Notes::new(limits);
    let item = options
        .kind
        .describe(&bytes, &mut notes)
        .map_err(|error| Failure::Data { text: diagnosis::explain(options.kind, &error, &bytes, &limits) })?;
    output::write(&if options.json {
        json::render(&item)?
    } else {
        text::render(options.kind.name(), &item, if options.full { text::Bytes::Full } else { text::Bytes::Short })
    })?;
    match notes.problems() {
        [] => Ok(()),
        problems => Err(Failure::Data { text: diagnosis::explain_extensions(problems) }),
    }
}
