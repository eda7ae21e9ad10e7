//! Resumption PSKs that are kept, and the choice of PSKs for a commit (RFC 9420 §8.4, §8.6).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use keyroom_crypto::{Secret, Suite, Zeroizing};
use keyroom_wire::{Decode, GroupId, Limits, PreSharedKeyId, Psk, Reader};

use super::keys::{put, put_bytes};
use crate::config::{Config, Inputs};
use crate::error::{Error, NotYet, Refusal, Rule};
use crate::psk::{self, PskError, PskSecret};
use crate::record::{RecordKey, RecordKind, RecordValue};

/// Resumption PSKs of past epochs, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ResumptionPsks(VecDeque<(u64, Secret)>);

impl ResumptionPsks {
    pub(crate) const RECORD: RecordKey = RecordKey::new(RecordKind::Resumption, 0, 0);

    pub(crate) fn at(&self, epoch: u64) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| *known == epoch).map(|(_, psk)| psk)
    }

    /// Keeps the PSK of an epoch that ends; the oldest beyond the window go.
    pub(crate) fn push(&mut self, epoch: u64, psk: Secret, window: usize) {
        self.0.push_back((epoch, psk));
        while self.0.len() > window {
            self.0.pop_front();
        }
    }

    pub(crate) fn encode(&self) -> RecordValue {
        let size = self.0.iter().map(|(_, psk)| psk.len() + 12).sum::<usize>() + 1;
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(1);
        for (epoch, psk) in &self.0 {
            put(&mut out, *epoch);
            put_bytes(&mut out, psk.expose());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |_| Error::Corrupt(Self::RECORD);
        let mut reader = Reader::new(bytes, Limits::default());
        if u8::decode(&mut reader).map_err(corrupt)? != 1 {
            return Err(Error::Corrupt(Self::RECORD));
        }
        let mut psks = VecDeque::new();
        while !reader.is_empty() {
            let epoch = u64::decode(&mut reader).map_err(corrupt)?;
            psks.push_back((epoch, Secret::copy_of(reader.field().map_err(corrupt)?)));
        }
        Ok(Self(psks))
    }
}

/// Looks up the PSKs of a commit: resumption PSKs of the group itself by `own`, everything else in
/// the inputs. Nonces and limits are checked before any KDF work.
pub(crate) fn combine<'a>(
    suite: &dyn Suite,
    ids: &[PreSharedKeyId],
    own: impl Fn(&GroupId, u64) -> Option<&'a Secret>,
    config: &Config,
    inputs: &Inputs<'a>,
) -> Result<PskSecret, Error> {
    if ids.len() > config.max_psks {
        return Err(Refusal::TooManyPsks.into());
    }
    if ids.iter().any(|id| id.psk_nonce.len() != suite.kdf().output_len()) {
        return Err(Rule::PskNonceLength.into());
    }
    let mut found = Vec::with_capacity(ids.len());
    let mut absent = Vec::new();
    for id in ids {
        let kept = match &id.psk {
            Psk::Resumption { psk_group_id, psk_epoch, .. } => own(psk_group_id, *psk_epoch),
            Psk::External { .. } => None,
        };
        match kept.or_else(|| inputs.psks.iter().find(|(psk, _)| *psk == id.psk).map(|(_, secret)| secret)) {
            Some(secret) => found.push((id, secret)),
            None => absent.push(id.psk.clone()),
        }
    }
    if !absent.is_empty() {
        return Err(NotYet::Psks(absent).into());
    }
    let limit = u16::try_from(config.max_psks).unwrap_or(u16::MAX);
    psk::psk_secret(suite, &found, limit).map_err(|error| match error {
        PskError::TooMany => Refusal::TooManyPsks.into(),
        PskError::Crypto(error) => error.into(),
    })
}
