//! Counts in storage: records of up to [`PER_RECORD`] entries, named by a summary in the head.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use keyroom_wire::{Decode, DecodeError, Encode, Limits, Reader};

use super::{Counted, Counts};
use crate::fingerprint::{Seed, digest};
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind};

/// Entries of 7 bytes in one record, so that it stays below 1,000 bytes.
const PER_RECORD: usize = 128;
const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"counts";

/// What the head holds of the counts: how many records there are, and a keyed digest of what they
/// say, so that one that is stale or damaged is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountsSummary {
    records: u32,
    digest: u64,
}

/// Why stored counts were refused. The store is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CountsError {
    /// Records that do not parse, or that are not those that the head names.
    Damaged,
}

impl fmt::Display for CountsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored counts are damaged or stale")
    }
}

impl core::error::Error for CountsError {}

impl CountsSummary {
    /// The records to read, in order.
    pub fn records(&self) -> Missing {
        Missing((0..self.records).map(record_key).collect())
    }

    /// Puts together the values of [`records`](Self::records), given in that order.
    ///
    /// # Errors
    /// [`CountsError::Damaged`].
    pub fn load<'a>(&self, seed: &Seed, values: impl IntoIterator<Item = &'a [u8]>) -> Result<Counts, CountsError> {
        let values: Vec<&[u8]> = values.into_iter().collect();
        if !u32::try_from(values.len()).is_ok_and(|n| n == self.records) || summary_digest(seed, &values) != self.digest
        {
            return Err(CountsError::Damaged);
        }
        let mut table = BTreeMap::new();
        for value in values {
            decode_record(value, &mut table).map_err(|_| CountsError::Damaged)?;
        }
        Ok(Counts { table: Arc::new(table) })
    }
}

impl Encode for CountsSummary {
    fn encode(&self, out: &mut Vec<u8>) {
        self.records.encode(out);
        self.digest.encode(out);
    }
}

impl Decode<'_> for CountsSummary {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { records: u32::decode(reader)?, digest: u64::decode(reader)? })
    }
}

impl Counts {
    /// The summary for the head.
    pub fn summary(&self, seed: &Seed) -> CountsSummary {
        let values = self.encode_records();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        CountsSummary {
            records: u32::try_from(values.len()).unwrap_or(u32::MAX),
            digest: summary_digest(seed, &values),
        }
    }

    /// Writes what differs from the counts that the store holds; `None` if it holds none.
    pub fn write(&self, stored: Option<&Self>, changes: &mut ChangeSet) {
        if stored.is_some_and(|stored| Arc::ptr_eq(&self.table, &stored.table)) {
            return;
        }
        let before = stored.map(Self::encode_records).unwrap_or_default();
        let after = self.encode_records();
        for minor in 0..before.len().max(after.len()) {
            let key = record_key(u32::try_from(minor).unwrap_or(u32::MAX));
            match (before.get(minor), after.get(minor)) {
                (old, Some(new)) if old != Some(new) => changes.put(key, new.clone()),
                (Some(_), None) => changes.delete(key),
                _ => {}
            }
        }
    }

    pub(super) fn encode_records(&self) -> Vec<Vec<u8>> {
        let entries: Vec<(&Counted, &u32)> = self.table.iter().collect();
        entries.chunks(PER_RECORD).map(encode_record).collect()
    }
}

fn record_key(minor: u32) -> RecordKey {
    RecordKey::new(RecordKind::Counts, 0, minor.into())
}

fn summary_digest(seed: &Seed, values: &[&[u8]]) -> u64 {
    let mut bytes = Vec::new();
    for value in values {
        keyroom_wire::write_vector(&mut bytes, |out| out.extend_from_slice(value));
    }
    digest(seed, DOMAIN, &[&bytes])
}

fn encode_record(entries: &[(&Counted, &u32)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + entries.len() * 7);
    out.push(VERSION);
    for (counted, count) in entries {
        out.push(counted.list());
        counted.value().encode(&mut out);
        count.encode(&mut out);
    }
    out
}

fn decode_record(value: &[u8], table: &mut BTreeMap<Counted, u32>) -> Result<(), CountsError> {
    let damaged = |_: DecodeError| CountsError::Damaged;
    let mut reader = Reader::new(value, Limits::default());
    if u8::decode(&mut reader).map_err(damaged)? != VERSION {
        return Err(CountsError::Damaged);
    }
    while !reader.is_empty() {
        let list = u8::decode(&mut reader).map_err(damaged)?;
        let value = u16::decode(&mut reader).map_err(damaged)?;
        let counted = Counted::from_parts(list, value).ok_or(CountsError::Damaged)?;
        table.insert(counted, u32::decode(&mut reader).map_err(damaged)?);
    }
    Ok(())
}

impl Counted {
    fn list(self) -> u8 {
        match self {
            Self::Version(_) => 0,
            Self::CipherSuite(_) => 1,
            Self::Extension(_) => 2,
            Self::Proposal(_) => 3,
            Self::Credential(_) => 4,
            Self::CredentialInUse(_) => 5,
        }
    }

    fn from_parts(list: u8, value: u16) -> Option<Self> {
        Some(match list {
            0 => Self::Version(value),
            1 => Self::CipherSuite(value),
            2 => Self::Extension(value),
            3 => Self::Proposal(value),
            4 => Self::Credential(value),
            5 => Self::CredentialInUse(value),
            _ => return None,
        })
    }
}
