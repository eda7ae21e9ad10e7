//! The contract of the accounts: by which keys devices are known.

use keyroom_api::DeviceUri;
use keyroom_crypto::Secret;

use crate::ledger::Answer;

/// A credential key of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureKey {
    /// Code point of the cipher suite that it is for.
    pub cipher_suite: u16,
    /// The public key.
    pub public: Vec<u8>,
}

/// A device that has proved its keys and is to be let in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The device.
    pub device: DeviceUri,
    /// Its keys when that was decided, as [`Accounts::keys`] gave them.
    pub known: Vec<SignatureKey>,
    /// Keys that are new, and are its keys from now on: for other cipher suites than the known ones.
    pub new: Vec<SignatureKey>,
    /// What tells the challenge from every other.
    pub challenge: Vec<u8>,
    /// The last second in which the challenge is good, since 1970-01-01T00:00Z.
    pub expires: u64,
    /// This second.
    pub now: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The challenge is spent and the new keys are registered.
    Done,
    /// The challenge was spent before; nothing was changed.
    Spent,
    /// The device's keys are other ones by now; nothing was changed. Decide again.
    Changed,
}

/// Keeps what sessions need. As with a [`Ledger`](crate::Ledger), one call is one transaction, what was
/// answered survives, and every later call on any node sees it.
///
/// Every implementation keeps these promises, and the tests of this crate hold it to them:
/// * all nodes on one database have one secret, and it stays;
/// * a challenge is spent once, ever, until it has expired;
/// * a key that stands for a device and cipher suite is not replaced.
pub trait Accounts: Send + Sync {
    /// The secret with which the nodes of this server recognise what they have given out. The first
    /// call makes `fresh` the secret.
    fn secret(&self, fresh: Secret) -> Answer<'_, Secret>;

    /// The keys of a device, in the order of their suites; none for an unknown one.
    fn keys<'a>(&'a self, device: &'a DeviceUri) -> Answer<'a, Vec<SignatureKey>>;

    /// Spends a challenge and registers the keys that are new.
    fn enter(&self, entrance: Entrance) -> Answer<'_, Entered>;
}
