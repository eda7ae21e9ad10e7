//! Whether what a server has promised was on the disk before it said so.

mod postgres;
mod sqlite;
mod tokens;

use crate::exchange::Exchange;
use crate::run::Engine;
use crate::trace::{Call, Place};

/// What a trace shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Answers that promise something.
    pub acknowledged: u64,
    /// Those that went out after the transaction had been written and synchronised.
    pub synced: u64,
    /// Transactions of the engine that held one of them at least.
    pub transactions: u64,
}

impl Order {
    /// Answers that went out before.
    pub fn violations(&self) -> u64 {
        self.acknowledged - self.synced
    }
}

/// Holds each answer against the transaction that holds its message: that transaction must have been
/// written to the log of the engine as a whole, the mark of its end included, and the log must have been
/// synchronised since, before the first byte of the answer goes out.
pub fn order(engine: Engine, calls: &[Call], exchanges: &[Exchange]) -> Order {
    let promised: Vec<(&[u8], Place)> =
        exchanges.iter().filter_map(|exchange| Some((exchange.token(), exchange.acknowledged()?))).collect();
    let tokens: Vec<&[u8]> = promised.iter().map(|(token, _)| *token).collect();
    let durable = match engine {
        Engine::Sqlite => sqlite::durable(calls, &tokens),
        Engine::Postgres => postgres::durable(calls, &tokens),
    };
    let mut order = Order { acknowledged: promised.len() as u64, ..Order::default() };
    for ((_, said), durable) in promised.iter().zip(&durable) {
        order.synced += u64::from(durable.is_some_and(|durable| durable.synced.is_some_and(|synced| synced < *said)));
    }
    let mut ends: Vec<Place> = durable.iter().flatten().map(|durable| durable.transaction).collect();
    ends.sort_unstable();
    ends.dedup();
    order.transactions = ends.len() as u64;
    order
}

/// Where a message came to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Durable {
    /// What tells its transaction from others.
    transaction: Place,
    /// Where the first synchronisation ended that began after the transaction had been written.
    synced: Option<Place>,
}
