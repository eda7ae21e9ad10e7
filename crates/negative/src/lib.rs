//! Negative test vectors: the project's corpus in `vectors/negative/`, and what makes and reads it.
//!
//! Each case gives a passive client everything it needs to join a group (as the working group's
//! passive-client vectors do), a message that breaks one rule of RFC 9420 and is otherwise made as
//! an honest member would make it, and a good twin that must be accepted in its place. For tests
//! only; never published. `cargo run -p keyroom-negative` writes the corpus anew.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "test support"
)]

mod book;
mod case;
mod corpus;
mod forged;
mod reader;
mod sections;
mod stage;

pub use book::Book;
pub use case::{Bad, Case, Epoch, ExternalPsk, Kind, Opening, Twin};
pub use corpus::{FILES, folder, generate, load};
pub use reader::{Effect, Reader, code, row_of_refusal};
