//! The server as its clients see it: every test talks to it over HTTP or WebSocket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod durability;
mod key_packages;
mod live;
mod malformed;
mod members;
mod messages;
mod protocol;
mod reports;
mod rooms;
mod sessions;
mod world;
