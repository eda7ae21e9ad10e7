//! A world of clients for tests, and an insider among them who knows every secret of the group and
//! breaks one rule at a time. What it sends is signed and tagged correctly, so that a test reaches
//! the rule it is about and not the signature check before it. For tests only; never published.
//!
//! ```
//! use keyroom_insider::{Alter, Bench};
//! use keyroom_mls::error::Rule;
//! use keyroom_wire::{LeafIndex, Proposal};
//!
//! let mut bench = Bench::open();
//! let remove_himself = Proposal::Remove { removed: LeafIndex(1) };
//! let message = bench.bob().commit(vec![remove_himself], &Alter::default(), &mut keyroom_vectors::rng(1)).bytes();
//! bench.refuses("the own removal", &message, Rule::CommitterRemove);
//! bench.goes_on();
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::disallowed_methods,
    reason = "test support"
)]

mod bench;
mod counting;
mod disk;
mod forged;
mod insider;
pub mod naive;
mod populated;
mod private;
pub mod proposals;
mod world;

pub use bench::{BLANK, Bench, INFO, flipped, resigned, rule};
pub use counting::{Counting, Tally};
pub use disk::{Disk, Stored};
pub use forged::{Forged, Sealed};
pub use insider::{Alter, Init, Insider, Made, Recipients, SecretParts};
pub use populated::{Admitted, FIRST, Populated};
pub use private::Private;
pub use world::{
    Client, EXTENSION, Member, NOW, PROPOSAL, admission, agree, below, commit, config, count, now, room, room_in,
    room_of, seed, sent, suite,
};
