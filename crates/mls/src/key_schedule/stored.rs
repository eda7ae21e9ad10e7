//! How the secrets of an epoch lie in its record: a version byte, then each secret in a fixed
//! order, all of `Nh` bytes.

use keyroom_crypto::{Secret, Suite, Zeroizing};

use super::{EpochSecrets, PastEpochSecrets};
use crate::record::{MalformedRecord, RecordKind, RecordValue};

const CURRENT: u8 = 0x01;
const PAST: u8 = 0x81;

impl EpochSecrets {
    /// The bytes for the record of the epoch, in a buffer that was sized beforehand.
    pub fn to_record(&self) -> RecordValue {
        write(
            CURRENT,
            [
                self.sender_data_secret.expose(),
                self.exporter_secret.expose(),
                self.external_secret.expose(),
                self.confirmation_key.expose(),
                self.membership_key.expose(),
                self.resumption_psk.expose(),
                self.epoch_authenticator.expose(),
                self.init_secret.expose(),
            ],
        )
    }

    /// Reads what [`to_record`](Self::to_record) wrote.
    ///
    /// # Errors
    /// [`MalformedRecord`] for another version, length or suite.
    pub fn from_record(suite: &dyn Suite, bytes: &[u8]) -> Result<Self, MalformedRecord> {
        let [sender_data, exporter, external, confirmation, membership, resumption, authenticator, init] =
            read(suite, CURRENT, bytes)?;
        Ok(Self {
            sender_data_secret: sender_data.into(),
            exporter_secret: exporter.into(),
            external_secret: external.into(),
            confirmation_key: confirmation.into(),
            membership_key: membership.into(),
            resumption_psk: resumption.into(),
            epoch_authenticator: authenticator.into(),
            init_secret: init.into(),
        })
    }
}

impl PastEpochSecrets {
    /// The bytes for the record of the epoch, in a buffer that was sized beforehand.
    pub fn to_record(&self) -> RecordValue {
        write(PAST, [self.sender_data_secret.expose()])
    }

    /// Reads what [`to_record`](Self::to_record) wrote.
    ///
    /// # Errors
    /// [`MalformedRecord`] for another version, length or suite.
    pub fn from_record(suite: &dyn Suite, bytes: &[u8]) -> Result<Self, MalformedRecord> {
        let [sender_data] = read(suite, PAST, bytes)?;
        Ok(Self { sender_data_secret: sender_data.into() })
    }
}

fn write<const N: usize>(version: u8, secrets: [&[u8]; N]) -> RecordValue {
    let length = 1 + secrets.iter().map(|secret| secret.len()).sum::<usize>();
    let mut out = Zeroizing::new(alloc::vec::Vec::with_capacity(length));
    out.push(version);
    secrets.iter().for_each(|secret| out.extend_from_slice(secret));
    out
}

fn read<const N: usize>(suite: &dyn Suite, version: u8, bytes: &[u8]) -> Result<[Secret; N], MalformedRecord> {
    const MALFORMED: MalformedRecord = MalformedRecord(RecordKind::Epoch);
    let length = suite.kdf().output_len();
    let (found, body) = bytes.split_first().ok_or(MALFORMED)?;
    if *found != version || body.len() != N * length {
        return Err(MALFORMED);
    }
    let mut parts = body.chunks_exact(length).map(Secret::copy_of);
    Ok(core::array::from_fn(|_| parts.next().unwrap_or_else(|| Secret::zeros(length))))
}
