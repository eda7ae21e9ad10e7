//! Devices, with their keys and sessions.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use keyroom_api::{Connection, DeviceUri, Identity, Live};
use keyroom_crypto::{Provider as _, Signer, Suite, Zeroizing};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_wire::{CipherSuite, Encode as _, KeyPackage, MlsMessage};
use rand::rngs::StdRng;

use super::host::{HOST, Host};
use super::line::Line;
use crate::suite::PROVIDER;

/// The suite of all groups: the one that every implementation has.
pub(super) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

/// How many requests run at the same time in preparations.
const AT_ONCE: usize = 64;

/// A device that is the only one of its user.
pub(super) struct Device {
    /// Its name.
    pub(super) uri: DeviceUri,
    /// Its credential key.
    pub(super) signer: Arc<dyn Signer>,
    /// A key package with which groups take it in.
    pub(super) key_package: KeyPackage,
    bundle: Zeroizing<Vec<u8>>,
}

impl Device {
    fn new(number: usize) -> Result<Self, String> {
        let uri = format!("mimi://{HOST}/d/user{number}/load").parse().map_err(told("a name"))?;
        let suite = suite()?;
        let private = suite.generate_signature_key(&mut rng()).map_err(told("a key"))?;
        let signer: Arc<dyn Signer> = suite.signer(private.expose()).map_err(told("a key"))?.into();
        let bundle = package(&uri, signer.as_ref())?;
        Ok(Self { uri, signer, key_package: bundle.key_package.clone(), bundle: bundle.encode() })
    }

    /// The key package with its private keys.
    pub(super) fn bundle(&self) -> Result<KeyPackageBundle, String> {
        KeyPackageBundle::decode(&self.bundle).map_err(told("a key package"))
    }

    /// So many new key packages, as `MLSMessage`s.
    pub(super) fn key_packages(&self, count: usize) -> Result<Vec<Vec<u8>>, String> {
        in_parallel(count, |_| {
            let bundle = package(&self.uri, self.signer.as_ref())?;
            Ok(MlsMessage::KeyPackage(bundle.key_package).to_bytes())
        })
    }

    /// A connection that opens a session with its first request.
    pub(super) fn connect(&self, host: &Host) -> Result<Connection, String> {
        let identity = Identity::new(SUITE.0, self.signer.clone());
        Connection::new(host.url(), self.uri.clone(), identity).map_err(told("a connection"))
    }

    /// A connection that is kept, in a session.
    pub(super) async fn line(&self, host: &Host) -> Result<Line, String> {
        let token = self.connect(host)?.token().await.map_err(told("a session"))?.ok_or("there is no session")?;
        Line::open_as(host.address(), token.expose()).await
    }

    /// Live delivery, with nothing subscribed.
    pub(super) async fn live(&self, host: &Host) -> Result<Live, String> {
        self.connect(host)?.live().await.map_err(told("live delivery"))
    }
}

/// So many devices, from this number on.
pub(super) fn devices(first: usize, count: usize) -> Result<Vec<Device>, String> {
    in_parallel(count, |index| Device::new(first + index))
}

/// Does something for each, many at once, and returns what came of it in their order.
pub(super) async fn for_each<T, U, F: Future<Output = Result<U, String>>>(
    all: impl IntoIterator<Item = T>,
    act: impl FnMut(T) -> F,
) -> Result<Vec<U>, String> {
    stream::iter(all).map(act).buffered(AT_ONCE).try_collect().await
}

/// Makes so many, on all cores, in their order.
pub(super) fn in_parallel<T: Send>(
    count: usize,
    make: impl Fn(usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let share = count.div_ceil(threads).max(1);
    let make = &make;
    std::thread::scope(|scope| {
        let shares = (0..count).step_by(share);
        let work: Vec<_> = shares
            .map(|begin| {
                scope.spawn(move || (begin..count.min(begin + share)).map(make).collect::<Result<Vec<T>, _>>())
            })
            .collect();
        let parts = work.into_iter().map(|part| part.join().unwrap_or_else(|_| Err("a thread broke off".into())));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}

pub(super) fn suite() -> Result<&'static dyn Suite, String> {
    PROVIDER.suite(SUITE).map_err(told("the cipher suite"))
}

pub(super) fn rng() -> StdRng {
    rand::make_rng()
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Says of what an error is.
pub(super) fn told<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

fn package(uri: &DeviceUri, signer: &dyn Signer) -> Result<KeyPackageBundle, String> {
    let builder = KeyPackageBuilder::new(suite()?, uri.credential(), lifetime_from(now(), 24 * 3_600));
    builder.build(signer, &mut rng()).map_err(told("a key package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_in_parallel_keeps_its_order() {
        for count in [0, 1, 2, 3, 7, 100] {
            let made = in_parallel(count, Ok).unwrap();
            assert_eq!(made, (0..count).collect::<Vec<_>>());
        }
        let failing = |index| if index == 5 { Err("five".to_owned()) } else { Ok(index) };
        assert_eq!(in_parallel(7, failing), Err("five".to_owned()));
    }
}
