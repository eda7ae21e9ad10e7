//! Bounds and time: values that whoever starts a Delivery Service passes in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Upper bounds of a Delivery Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body that carries a GroupInfo or commit, in bytes. Default 64 MiB, which holds the
    /// tree of about two hundred thousand members.
    pub body: usize,
    /// Longest application message or proposal in bytes. Default 1 MiB.
    pub message: usize,
    /// Longest batch of key packages in bytes. Default 8 MiB.
    pub batch: usize,
    /// Most key packages of a device that have not been claimed, over all suites. Default 1,000.
    pub key_packages: u64,
    /// How often a device may claim key packages of one user within an hour, counted from full hours. Default
    /// 60: each claim takes one key package of every device of the user.
    pub claims: u64,
    /// A device with fewer one-time key packages of a suite is told to publish more. Default 10.
    pub low_stock: u64,
    /// Most Welcomes that wait in a mailbox. Default 1,000.
    pub mailbox: u64,
    /// Most addressees of the Welcomes of one commit. Default 10,000.
    pub addressees: usize,
    /// How many epochs an application message may be late. Default 4.
    pub late_epochs: u64,
    /// How many epochs keep their GroupInfo and public state, the current one included, where the server can read
    /// handshakes. Each costs what its commit changed. A commit that members cannot follow can be reported as long
    /// as the epoch that it ended is kept. Default 256.
    pub epochs_kept: u64,
    /// The same where it cannot: there each epoch costs a whole tree. Default 4.
    pub private_epochs_kept: u64,
    /// How many do as long as a Welcome into the oldest of them has not been fetched: its tree belongs
    /// to it. Default 1,000.
    pub epochs_for_welcomes: u64,
    /// Compressed ratchet trees that are held in memory, in bytes. Default 64 MiB.
    pub trees: usize,
    /// The newest entries of logs that are held in memory for live connections, in bytes. Default 16 MiB.
    pub recent: usize,
    /// Most entries in a page of a log or mailbox. Default 500.
    pub page: usize,
    /// Size at which a page ends, in bytes. Default 4 MiB.
    pub page_bytes: usize,
    /// Most rooms that one live connection subscribes to. Default 1,000.
    pub live_rooms: usize,
    /// Longest time that a request for a log waits for news. Default 30 s.
    pub wait: Duration,
    /// How often a live connection looks into the ledger when no hint comes. Default 30 s.
    pub poll: Duration,
    /// How long a challenge can be answered, in whole seconds. Default 60 s.
    pub challenge: Duration,
    /// How long a session lasts, in whole seconds. Default 15 minutes.
    pub session: Duration,
    /// Longest time that a body or a frame may take to arrive or to leave. Default 60 s.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            message: 1 << 20,
            batch: 8 << 20,
            key_packages: 1_000,
            claims: 60,
            low_stock: 10,
            mailbox: 1_000,
            addressees: 10_000,
            late_epochs: 4,
            epochs_kept: 256,
            private_epochs_kept: 4,
            epochs_for_welcomes: 1_000,
            trees: 64 << 20,
            recent: 16 << 20,
            page: 500,
            page_bytes: 4 << 20,
            live_rooms: 1_000,
            wait: Duration::from_secs(30),
            poll: Duration::from_secs(30),
            challenge: Duration::from_secs(60),
            session: Duration::from_secs(15 * 60),
            transfer: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// The decoder's bounds: nothing in a body is longer than the longest body.
    pub(crate) fn wire(&self) -> keyroom_wire::Limits {
        let longest = self.body.max(self.message).max(self.batch);
        keyroom_wire::Limits { message: longest, vector: longest, ..keyroom_wire::Limits::default() }
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Time since 1970-01-01T00:00Z.
    fn now(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
