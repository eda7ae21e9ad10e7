//! What holds stores, and those who use them, to the contract: [`conformance`] for whoever writes a
//! store, [`FaultStore`] for whoever must survive one that fails.
//!
//! A failed check is a panic, as in any test.

pub mod conformance;
mod fault;

pub use fault::{Effect, Fault, FaultStore, Moment};
