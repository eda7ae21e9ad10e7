//! The rules: what is checked before the ledger is asked, and who is woken after.

mod access;
mod feed;
mod key_packages;
mod known;
mod log;
mod mailbox;
mod recent;
mod reports;
mod rooms;
mod send;
mod trees;
mod views;

use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{DeviceUri, Host, Receipt, RoomStatus};

pub use feed::Feed;
pub use trees::TreeFile;

use crate::{Accounts, Bus, Clock, Durability, Ledger, LedgerError, Limits, Refusal, Validator};
use known::Known;
use recent::Recent;
use trees::Trees;
use views::Views;

/// Which handshake messages a Delivery Service takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handshakes {
    /// Public ones only, so that every commit is judged on the public state of its epoch.
    #[default]
    Public,
    /// Private ones too, in rooms that were made for them with an
    /// [access key](keyroom_api::RoomBundle::access_key). Of a private commit only order, group and epoch
    /// are judged, and its GroupInfo must carry the ratchet tree.
    PublicAndPrivate,
}

/// What a Delivery Service is made of.
#[derive(Clone)]
pub struct Setup {
    /// What is true.
    pub ledger: Arc<dyn Ledger>,
    /// Which keys are whose.
    pub accounts: Arc<dyn Accounts>,
    /// Who wakes whom.
    pub bus: Arc<dyn Bus>,
    /// What is valid.
    pub validator: Arc<dyn Validator>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The host of all names that are served.
    pub host: Host,
    /// How much is too much.
    pub limits: Limits,
    /// Which handshakes are taken.
    pub handshakes: Handshakes,
}

/// A Delivery Service. Methods take the device that asks; whoever calls them has authenticated it.
pub struct Delivery {
    ledger: Arc<dyn Ledger>,
    accounts: Arc<dyn Accounts>,
    bus: Arc<dyn Bus>,
    validator: Arc<dyn Validator>,
    clock: Arc<dyn Clock>,
    host: Host,
    limits: Limits,
    handshakes: Handshakes,
    known: Known,
    views: Views,
    trees: Trees,
    recent: Recent,
}

/// A request was carried out, now or when it came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// It was carried out now.
    Now(T),
    /// It had been carried out before, and this is the answer of then.
    Before(T),
}

/// How a message was taken.
pub type Sent = Done<Receipt>;

/// How a room was created.
pub type Opened = Done<RoomStatus>;

impl Delivery {
    /// A Delivery Service over these parts.
    pub fn new(setup: Setup) -> Self {
        let Setup { ledger, accounts, bus, validator, clock, host, limits, handshakes } = setup;
        let recent = Recent::new(limits.recent);
        Self {
            ledger,
            accounts,
            bus,
            validator,
            clock,
            host,
            limits,
            handshakes,
            known: Known::default(),
            views: Views::default(),
            trees: Trees::default(),
            recent,
        }
    }

    /// The host of all names that are served.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks the ledger for something small, and how it writes.
    ///
    /// # Errors
    /// [`LedgerError`] when it does not answer.
    pub async fn health(&self) -> Result<Durability, LedgerError> {
        let nobody = keyroom_api::RoomUri::new(self.host.clone(), "health".parse().map_err(|_| LedgerError::Corrupt)?);
        let device = keyroom_api::UserUri::new(self.host.clone(), nobody.name().clone()).device(nobody.name().clone());
        self.ledger.room(&nobody, &device).await?;
        self.ledger.durability().await
    }

    fn own_host(&self, host: &Host) -> Result<(), Refusal> {
        if *host == self.host { Ok(()) } else { Err(Refusal::ForeignHost) }
    }

    fn own_device(&self, caller: &DeviceUri, device: &DeviceUri) -> Result<(), Refusal> {
        self.own_host(device.host())?;
        if caller == device { Ok(()) } else { Err(Refusal::NotOwn) }
    }

    /// Time since 1970-01-01T00:00Z, by the clock of this service.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    fn seconds(&self) -> u64 {
        self.clock.now().as_secs()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs())
    }
}

/// Runs a check that computes for long without holding up others.
async fn compute<T: Send + 'static>(check: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(check).await.map_err(|_| Refusal::Interrupted)?
}
