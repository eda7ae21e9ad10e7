//! The member's own private keys of the ratchet tree, one per height of its direct path.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::{Secret, Zeroizing};
use keyroom_wire::{Decode, Encode, Limits, Reader};

use crate::error::Error;
use crate::record::{RecordKey, RecordKind, RecordValue};

/// Private keys by height: 0 is the leaf. Secrets have one owner: keys move in and out, replaced
/// ones are overwritten at once.
#[derive(Debug, Default)]
pub(crate) struct PathKeys(BTreeMap<u8, Secret>);

impl PathKeys {
    pub(crate) const RECORD: RecordKey = RecordKey::new(RecordKind::PathKeys, 0, 0);

    /// Only the key of the leaf.
    pub(crate) fn leaf(private: Secret) -> Self {
        Self(BTreeMap::from([(0, private)]))
    }

    /// The key at a height.
    pub(crate) fn at(&self, height: u8) -> Option<&Secret> {
        self.0.get(&height)
    }

    pub(crate) fn set(&mut self, height: u8, private: Secret) {
        self.0.insert(height, private);
    }

    /// Takes over newer keys and drops those at heights for which `keep` is false.
    pub(crate) fn advance(&mut self, newer: Self, mut keep: impl FnMut(u8) -> bool) {
        self.0.extend(newer.0);
        self.0.retain(|height, _| keep(*height));
    }

    /// The heights at which there is a key.
    pub(crate) fn heights(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.keys().copied()
    }

    pub(crate) fn encode(&self) -> RecordValue {
        let size = self.0.values().map(|key| key.len() + 6).sum::<usize>() + 1;
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(1);
        for (height, key) in &self.0 {
            out.push(*height);
            keyroom_wire::write_vector(&mut out, |out| out.extend_from_slice(key.expose()));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |_| Error::Corrupt(Self::RECORD);
        let mut reader = Reader::new(bytes, Limits::default());
        let mut keys = BTreeMap::new();
        if u8::decode(&mut reader).map_err(corrupt)? != 1 {
            return Err(Error::Corrupt(Self::RECORD));
        }
        while !reader.is_empty() {
            let height = u8::decode(&mut reader).map_err(corrupt)?;
            keys.insert(height, Secret::copy_of(reader.field().map_err(corrupt)?));
        }
        Ok(Self(keys))
    }
}

/// Writes a length-prefixed secret or bytes; shared by the record encoders of this module tree.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    keyroom_wire::write_vector(out, |out| out.extend_from_slice(bytes));
}

/// Writes an integer; shared by the record encoders of this module tree.
pub(crate) fn put<T: Encode>(out: &mut Vec<u8>, value: T) {
    value.encode(out);
}
