//! Names and seals.
//!
//! Three subkeys come from the application's key and the store's random identifier by HKDF-SHA-256. One
//! names groups and rows (HMAC-SHA-256, 16 bytes), one makes the keys of values, one is compared when the
//! store is opened. A value is sealed with XChaCha20-Poly1305 under HMAC of a random salt, with a random
//! nonce; the salt lies in a slot ([`super::slots`]). Secret records and rows have a salt each, the public
//! records of a group share one.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use keyroom_crypto::{Zeroizing, constant_time_eq};
use keyroom_mls::record::{RecordKey, RecordKind, RecordValue};
use keyroom_wire::GroupId;
use sha2::Sha256;

use crate::{Namespace, StoreError, StoreKey};

pub(super) const ID: usize = 16;
pub(super) const SALT: usize = 32;
const NAME: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const KEY: usize = 32;

/// How a group, a namespace or the name of a row appears in the file.
pub(super) type Name = [u8; NAME];
/// What makes the key of one secret value; without it the value cannot be opened.
pub(super) type Salt = Zeroizing<[u8; SALT]>;

/// What a sealed value is; it opens as nothing else.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Group { name: &'a Name, version: u64 },
    Record { group: &'a GroupId, key: RecordKey, version: u64 },
    Row { space: &'a Name, name: &'a Name, order: u64 },
}

pub(super) struct Sealer {
    store: [u8; ID],
    names: Hmac<Sha256>,
    values: Hmac<Sha256>,
    check: Zeroizing<[u8; KEY]>,
}

impl Sealer {
    pub(super) fn new(key: &StoreKey, store: [u8; ID]) -> Result<Self, StoreError> {
        let kdf = Hkdf::<Sha256>::new(Some(&store), key.expose());
        let subkey = |label: &[u8]| {
            let mut out = Zeroizing::new([0; KEY]);
            let expanded = kdf.expand_multi_info(&[b"keyroom store ", label], out.as_mut_slice());
            expanded.map(|()| out).map_err(|_| StoreError::Corrupt)
        };
        Ok(Self {
            store,
            names: keyed(&*subkey(b"names")?),
            values: keyed(&*subkey(b"values")?),
            check: subkey(b"check")?,
        })
    }

    /// Tells a wrong key from a right one; says nothing else about it.
    pub(super) fn check_value(&self) -> &[u8] {
        self.check.as_slice()
    }

    pub(super) fn accepts(&self, check_value: &[u8]) -> bool {
        constant_time_eq(self.check.as_slice(), check_value)
    }

    pub(super) fn group_name(&self, group: &GroupId) -> Name {
        self.name(b"group", &[group.as_slice()])
    }

    pub(super) fn space(&self, namespace: Namespace) -> Name {
        self.name(b"space", &[namespace.as_str().as_bytes()])
    }

    pub(super) fn row_name(&self, space: &Name, name: &[u8]) -> Name {
        self.name(b"name ", &[space, name])
    }

    /// Seals under a key made from `salt`.
    pub(super) fn seal(&self, place: Place<'_>, salt: &Salt, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce)?;
        let mut sealed = Vec::with_capacity(NONCE + value.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(value);
        let body = sealed.get_mut(NONCE..).unwrap_or_default();
        let tag = self
            .cipher(salt)
            .encrypt_inout_detached(&XNonce::from(nonce), &self.associated_data(place), body.into())
            .map_err(|_| StoreError::Io(std::io::ErrorKind::FileTooLarge))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made for the same place and salt.
    pub(super) fn open(&self, place: Place<'_>, salt: &Salt, sealed: &[u8]) -> Result<RecordValue, StoreError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(StoreError::Corrupt)?;
        let (body, tag) = body.split_last_chunk::<TAG>().ok_or(StoreError::Corrupt)?;
        let mut value = Zeroizing::new(body.to_vec());
        self.cipher(salt)
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &self.associated_data(place),
                value.as_mut_slice().into(),
                &(*tag).into(),
            )
            .map_err(|_| StoreError::Corrupt)?;
        Ok(value)
    }

    fn cipher(&self, salt: &Salt) -> XChaCha20Poly1305 {
        let key = Zeroizing::new(mac(&self.values, &[salt.as_slice()]));
        XChaCha20Poly1305::new((&*key).into())
    }

    fn name(&self, role: &[u8; 5], parts: &[&[u8]]) -> Name {
        let mac = mac(&self.names, &[&[role.as_slice()], parts].concat());
        mac.first_chunk::<NAME>().copied().unwrap_or_default()
    }

    fn associated_data(&self, place: Place<'_>) -> Vec<u8> {
        let mut data = self.store.to_vec();
        match place {
            Place::Group { name, version } => {
                data.push(0);
                data.extend_from_slice(name);
                data.extend_from_slice(&version.to_be_bytes());
            }
            Place::Record { group, key, version } => {
                data.push(1);
                data.push(key.kind as u8);
                data.extend_from_slice(&key.major.to_be_bytes());
                data.extend_from_slice(&key.minor.to_be_bytes());
                data.extend_from_slice(&version.to_be_bytes());
                // Last, so that it needs no length.
                data.extend_from_slice(group.as_slice());
            }
            Place::Row { space, name, order } => {
                data.push(2);
                data.extend_from_slice(space);
                data.extend_from_slice(name);
                data.extend_from_slice(&order.to_be_bytes());
            }
        }
        data
    }
}

/// HMAC with its key absorbed, to be cloned for each use.
fn keyed(key: &[u8; KEY]) -> Hmac<Sha256> {
    // A key shorter than a block is padded with zeros.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::new((&*block).into())
}

fn mac(keyed: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; KEY] {
    let mut mac = keyed.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Whether records of a kind are sealed under a salt of their own. The others hold what every member and,
/// mostly, the server knows; they share the salt of the group and are erased with it.
pub(super) fn is_secret(kind: RecordKind) -> bool {
    !matches!(
        kind,
        RecordKind::Leaf | RecordKind::Page | RecordKind::IndexBase | RecordKind::IndexLog | RecordKind::Counts
    )
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|_| StoreError::Io(std::io::ErrorKind::Other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(store: u8) -> Sealer {
        Sealer::new(&StoreKey::new([7; 32]), [store; ID]).unwrap()
    }

    fn record(group: &GroupId, minor: u64, version: u64) -> Place<'_> {
        Place::Record { group, key: RecordKey::new(RecordKind::Ratchet, 1, minor), version }
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let (group, other) = (GroupId::from(&b"g"[..]), GroupId::from(&b"h"[..]));
        let (salt, other_salt) = (Zeroizing::new([1; SALT]), Zeroizing::new([2; SALT]));
        let sealed = sealer(1).seal(record(&group, 2, 3), &salt, b"value").unwrap();
        assert_eq!(*sealer(1).open(record(&group, 2, 3), &salt, &sealed).unwrap(), b"value");

        let name = [0; NAME];
        for (place, salt, store) in [
            (record(&other, 2, 3), &salt, 1),
            (record(&group, 3, 3), &salt, 1),
            (record(&group, 2, 4), &salt, 1),
            (Place::Group { name: &name, version: 3 }, &salt, 1),
            (Place::Row { space: &name, name: &name, order: 3 }, &salt, 1),
            (record(&group, 2, 3), &other_salt, 1),
            (record(&group, 2, 3), &salt, 2),
        ] {
            assert_eq!(sealer(store).open(place, salt, &sealed), Err(StoreError::Corrupt));
        }
        for length in 0..sealed.len() {
            assert!(sealer(1).open(record(&group, 2, 3), &salt, &sealed[..length]).is_err());
        }
    }

    #[test]
    fn names_of_different_things_differ() {
        let sealer = sealer(1);
        let space = sealer.space(Namespace::new("x"));
        assert_ne!(sealer.group_name(&GroupId::from(&b"x"[..])), space);
        assert_ne!(space, self::sealer(2).space(Namespace::new("x")));
        assert_ne!(sealer.row_name(&space, b"a"), sealer.row_name(&space, b"b"));
    }
}
