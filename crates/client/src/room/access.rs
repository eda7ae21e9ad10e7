//! Rooms with private handshakes: the server cannot see who comes and goes, so members prove in each epoch
//! that they know its secrets.

use keyroom_api::{
    ACCESS_LABEL, AccessContent, AccessProof, Bundle as _, ClientError, DeviceUri, LogEntry, ReportReason, RoomUri,
};
use keyroom_crypto::labels::sign_with_label;
use keyroom_crypto::{Secret, Signer};
use keyroom_mls::config::HandshakePolicy;
use keyroom_mls::error::Error as ProtocolError;
use keyroom_mls::group::{ExternalJoins, GroupInfoContent, TreeDelivery};
use keyroom_wire::CipherSuite;

use super::outbox::refused;
use super::{Asked, Room};
use crate::Error;
use crate::context::{Context, Env};
use crate::rows::{Broken, Phase};
use crate::transport::Request;

/// Label of `MLS-Exporter` (RFC 9420 §8.5) for the private key; the context is the room's URI.
const EXPORTER: &str = "keyroom access";
/// Its length in bytes: a private key of Ed25519.
const LENGTH: usize = 32;
/// The suite whose signatures proofs have, whatever that of the group is.
const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

impl Context {
    /// Whether this device sends handshakes that the server cannot read. All members of a room do, or none.
    pub(crate) fn is_keyed(&self) -> bool {
        matches!(self.config.handshakes, HandshakePolicy::Private | HandshakePolicy::OnlyPrivate)
    }

    /// What the server is told about an epoch. It gets the tree of the first one beside this, and knows those
    /// of all others: it has followed every commit that it could read.
    pub(crate) fn group_info(&self) -> GroupInfoContent {
        let tree = if self.is_keyed() { TreeDelivery::Inside } else { TreeDelivery::OutOfBand };
        GroupInfoContent { tree, external: ExternalJoins::Allowed }
    }

    /// The access key that is registered for an epoch, which `export` exports from; `None` where the server
    /// sees for itself who is in.
    pub(crate) fn access_key(&self, room: &RoomUri, export: impl Export) -> Result<Option<Vec<u8>>, Error> {
        if !self.is_keyed() {
            return Ok(None);
        }
        Ok(Some(self.access_signer(room, export)?.public_key().as_slice().to_vec()))
    }

    fn access_signer(&self, room: &RoomUri, export: impl Export) -> Result<Box<dyn Signer>, Error> {
        let secret = export(EXPORTER, room.to_string().as_bytes(), LENGTH)?;
        let suite = self.provider.suite(SUITE).map_err(|_| crate::Usage::CipherSuite)?;
        suite.signer(secret.expose()).map_err(|error| ProtocolError::Crypto(error).into())
    }
}

/// `MLS-Exporter` of an epoch.
pub(crate) trait Export: FnOnce(&str, &[u8], usize) -> Result<Secret, ProtocolError> {}

impl<T: FnOnce(&str, &[u8], usize) -> Result<Secret, ProtocolError>> Export for T {}

impl Room {
    /// Whether the server knows that this device has followed the log so far.
    pub(super) fn has_access(&self) -> bool {
        !self.context.is_keyed() || self.proved.is_some() && self.proved == self.loaded_epoch()
    }

    /// The proof for the present epoch, if the server does not have it.
    pub(super) fn prove(&mut self, env: &mut Env) -> Result<Option<(Asked, Request)>, Error> {
        if !self.context.is_keyed() || !matches!(self.row.phase, Phase::Active | Phase::Halted) {
            return Ok(None);
        }
        let (room, proved) = (self.row.room.clone(), self.proved);
        let proof = self.with_group(|group, context| {
            let epoch = group.epoch();
            if proved == Some(epoch) {
                return Ok(None);
            }
            let content = AccessContent { room: room.clone(), device: context.device.clone(), epoch }.to_bytes();
            let signer = context.access_signer(&room, |label, context, length| group.export(label, context, length))?;
            let signature = sign_with_label(signer.as_ref(), ACCESS_LABEL, &content, &mut env.rng)
                .map_err(|error| Error::Protocol(error.into()))?;
            Ok(Some(AccessProof { epoch, signature: signature.as_slice().to_vec() }))
        })?;
        let room = self.row.room.clone();
        Ok(proof.map(|proof| (Asked::Access { epoch: proof.epoch }, Request::Prove { room, proof })))
    }

    pub(super) fn proved(&mut self, epoch: u64) {
        self.proved = Some(epoch);
        self.followed = None;
    }

    /// Somebody has registered another key than the members of this epoch have, or the server says so: the
    /// commit could be followed, and yet nobody gets any further. It is reported like one that could not, and
    /// what was good last is the epoch that it began.
    pub(super) fn not_proved(&mut self, epoch: u64, error: &ClientError, env: &mut Env) -> Result<(), Error> {
        self.proved = Some(epoch);
        if self.row.phase != Phase::Active {
            return Ok(());
        }
        let present = |followed: &Followed| epoch.checked_sub(1) == Some(followed.entry.epoch);
        let own = |followed: &Followed| followed.by.as_ref() == Some(&self.context.device);
        let report = match self.followed.take().filter(|followed| present(followed) && !own(followed)) {
            Some(Followed { entry, by }) => {
                self.row.broken = Some(Broken { sequence: entry.sequence, by });
                Some(self.report(&entry, ReportReason::Other, env)?)
            }
            None => None,
        };
        self.halt(self.row.cursor, refused(error), None, report)
    }

    /// Remembers a commit until this device has proved that it has followed it.
    pub(super) fn followed(&mut self, entry: &LogEntry, by: Option<DeviceUri>) {
        self.followed = self.context.is_keyed().then(|| Followed { entry: entry.clone(), by });
    }
}

/// A commit that began an epoch, and who made it.
pub(super) struct Followed {
    entry: LogEntry,
    by: Option<DeviceUri>,
}
