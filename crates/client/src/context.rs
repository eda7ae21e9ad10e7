//! What all rooms of a device share.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyroom_api::DeviceUri;
use keyroom_crypto::{CryptoRng, Provider, Signer, Suite, Zeroizing};
use keyroom_mls::config::Config;
use keyroom_mls::error::Error as ProtocolError;
use keyroom_mls::group::Group;
use keyroom_store::{Store, Transaction, load};
use keyroom_wire::{CipherSuite, Credential, Decode as _, Encode as _, GroupId, Limits};

use crate::rows::{self, DeviceRow};
use crate::{Error, Judge, Usage};

/// How often an operation may ask for more records. Each round brings more of the group into memory,
/// so that honest storage ends it far earlier.
const ROUNDS: usize = 64;

/// The device and what it works with.
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) suite: &'static dyn Suite,
    pub(crate) config: Arc<Config>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) device: DeviceUri,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) credential: RwLock<Credential>,
}

/// Entropy and time, passed to whatever needs them.
pub(crate) struct Env {
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    pub(crate) clock: fn() -> u64,
}

impl Env {
    /// Those of the machine.
    pub(crate) fn system() -> Self {
        Self { rng: Box::new(rand::make_rng::<rand::rngs::StdRng>()), clock: seconds }
    }

    /// A random time up to this one.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let mut byte = [0];
        self.rng.fill_bytes(&mut byte);
        most.mul_f64(f64::from(byte[0]) / 255.0)
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }
}

pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads who a store belongs to; `None` for a new one.
pub(crate) fn stored_device(store: &dyn Store) -> Result<Option<DeviceRow>, Error> {
    store.row(&rows::device_key())?.map(|row| rows::decode(&row)).transpose()
}

/// The private signature key of the device, made and stored if it is not there.
pub(crate) fn signer(
    store: &dyn Store,
    suite: &'static dyn Suite,
    device: &DeviceRow,
    env: &mut Env,
) -> Result<Arc<dyn Signer>, Error> {
    let crypto = |error| Error::Protocol(ProtocolError::Crypto(error));
    if let Some(private) = store.row(&rows::signature_key())? {
        return suite.signer(&private).map(Arc::from).map_err(crypto);
    }
    let private = suite.generate_signature_key(&mut env.rng).map_err(crypto)?;
    let value = Zeroizing::new(private.expose().to_vec());
    let stored =
        Transaction::new().insert(rows::signature_key(), value).insert(rows::device_key(), rows::encode(device)?);
    store.apply(stored)?;
    suite.signer(private.expose()).map(Arc::from).map_err(crypto)
}

/// The suite with this code point.
pub(crate) fn suite(provider: &'static dyn Provider, code: u16) -> Result<&'static dyn Suite, Error> {
    provider.suite(CipherSuite(code)).map_err(|_| Error::Usage(Usage::CipherSuite))
}

/// The credential that an Authentication Service has given, if there is one.
pub(crate) fn stored_credential(store: &dyn Store) -> Result<Option<Credential>, Error> {
    let row = store.row(&rows::credential_key())?;
    row.map(|row| Credential::from_bytes(&row, &Limits::default()).map_err(|_| Error::Corrupt)).transpose()
}

/// Makes a credential durable, and with it that the key packages which the server has are older.
pub(crate) fn store_credential(store: &dyn Store, credential: &Credential) -> Result<(), Error> {
    let row = Zeroizing::new(credential.to_bytes());
    let change = Transaction::new().put(rows::credential_key(), row);
    Ok(store.apply(change.put(rows::stale_stock_key(), Zeroizing::new(Vec::new())))?)
}

impl Context {
    /// The credential of the device: its URI, or the certificate that it has now.
    pub(crate) fn credential(&self) -> Credential {
        self.credential.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another one from now on.
    pub(crate) fn renew(&self, credential: Credential) {
        *self.credential.write().unwrap_or_else(PoisonError::into_inner) = credential;
    }

    /// The groups that this device is in: what it leaves is deleted.
    pub(crate) fn groups(&self) -> Result<Vec<GroupId>, Error> {
        Ok(self.store.groups()?.into_iter().map(|(group, _)| group).collect())
    }

    /// Loads a group.
    pub(crate) fn open_group(&self, group_id: &[u8]) -> Result<Group, Error> {
        let id = group_id.into();
        let mut records = std::collections::BTreeMap::new();
        let mut version = None;
        for _ in 0..ROUNDS {
            match Group::open(self.provider, self.config.clone(), version.unwrap_or(0), &records) {
                Err(ProtocolError::Missing(missing)) => {
                    let snapshot = load(&self.store, &id, version, &missing)?;
                    version = Some(snapshot.version);
                    for (key, value) in snapshot.records {
                        records.insert(key, value.ok_or(Error::Corrupt)?);
                    }
                }
                opened => return Ok(opened?),
            }
        }
        Err(Error::Corrupt)
    }

    /// Runs an operation and gives it the records that it asks for.
    pub(crate) fn supply<T>(
        &self,
        group: &mut Group,
        mut operation: impl FnMut(&mut Group) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..ROUNDS {
            match operation(group) {
                Err(Error::Protocol(ProtocolError::Missing(missing))) => {
                    let snapshot = load(&self.store, group.group_id(), Some(group.version()), &missing)?;
                    group.supply(&snapshot.records)?;
                }
                done => return done,
            }
        }
        Err(Error::Corrupt)
    }
}
