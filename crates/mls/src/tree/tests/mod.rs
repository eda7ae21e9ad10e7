//! The tree against a naive model: plain maps, plain recursion, the words of the RFC.

extern crate std;

mod history;
mod hostile;
mod model;
mod parent_hash;
mod records;
mod suite;
