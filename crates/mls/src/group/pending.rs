//! Own commits that have been made and not applied: stored before their message leaves, found again
//! after a restart, to be applied or sent again byte for byte.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::{Secret, Zeroizing, constant_time_eq};
use keyroom_wire::{
    AuthenticatedContent, Content, Decode, DecodeError, DecodeErrorKind, Encode, Limits, MlsMessage, Reader, WireFormat,
};

use super::keys::{put, put_bytes};
use super::stage::OwnPath;
use super::{Admission, Group, PendingCommit};
use crate::config::Inputs;
use crate::error::{Error, Usage};
use crate::framing::VerifiedContent;
use crate::proposals::PskContext;
use crate::record::{ChangeSet, RecordKey, RecordKind, RecordValue};

/// Names an own pending commit within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingId(pub u64);

/// What is stored of an own commit: everything that must be sent, and the secrets from which the
/// next epoch follows without HPKE.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The message as it is sent.
    pub(crate) message: Vec<u8>,
    /// The signed content with its confirmation tag, where the message hides it.
    pub(crate) content: Option<Zeroizing<Vec<u8>>>,
    pub(crate) leaf_private: Option<Secret>,
    pub(crate) path_secret: Option<Secret>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) group_info: Option<Vec<u8>>,
    /// What its PSKs are for.
    pub(crate) psks: PskContext,
}

/// The pending commits of the current epoch.
#[derive(Debug, Default)]
pub(crate) struct PendingCommits {
    commits: BTreeMap<PendingId, Pending>,
    next: u64,
}

impl PendingCommits {
    pub(crate) fn with_next(next: u64) -> Self {
        Self { commits: BTreeMap::new(), next }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PendingId> + '_ {
        self.commits.keys().copied()
    }

    pub(crate) fn insert(&mut self, pending: Pending) -> PendingId {
        let id = PendingId(self.next);
        self.next += 1;
        self.commits.insert(id, pending);
        id
    }

    pub(crate) fn restore(&mut self, id: PendingId, bytes: &[u8]) -> Result<(), Error> {
        let pending = Pending::decode(bytes).map_err(|_| Error::Corrupt(id.key()))?;
        self.commits.insert(id, pending);
        Ok(())
    }

    pub(crate) fn store_all(&self, changes: &mut ChangeSet) {
        self.commits.iter().for_each(|(id, pending)| changes.put(id.key(), pending.encode()));
    }

    pub(crate) fn at(&self, id: PendingId) -> Option<&Pending> {
        self.commits.get(&id)
    }

    /// The pending commit whose message is this one, byte for byte (checklist row 103).
    pub(crate) fn find(&self, message: &[u8]) -> Option<PendingId> {
        self.commits.iter().find(|(_, pending)| constant_time_eq(&pending.message, message)).map(|(id, _)| *id)
    }

    /// All go with their epoch.
    pub(crate) fn clear(&mut self) -> Vec<RecordKey> {
        core::mem::take(&mut self.commits).into_keys().map(PendingId::key).collect()
    }

    pub(crate) fn remove(&mut self, id: PendingId) -> Option<RecordKey> {
        self.commits.remove(&id).map(|_| id.key())
    }
}

impl PendingId {
    pub(crate) fn key(self) -> RecordKey {
        RecordKey::new(RecordKind::Pending, 0, self.0)
    }
}

impl Pending {
    pub(crate) fn encode(&self) -> RecordValue {
        let parts = self.parts();
        let size = parts.iter().map(|part| part.map_or(1, <[u8]>::len) + 5).sum::<usize>() + 2;
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(1);
        put(&mut out, psk_context_code(self.psks));
        for part in parts {
            match part {
                None => put(&mut out, 0u8),
                Some(bytes) => {
                    put(&mut out, 1u8);
                    put_bytes(&mut out, bytes);
                }
            }
        }
        out
    }

    fn parts(&self) -> [Option<&[u8]>; 6] {
        [
            Some(&self.message),
            self.content.as_ref().map(|content| content.as_slice()),
            self.leaf_private.as_ref().map(Secret::expose),
            self.path_secret.as_ref().map(Secret::expose),
            self.welcome.as_deref(),
            self.group_info.as_deref(),
        ]
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Limits::default());
        let at = reader.error(DecodeErrorKind::UnknownValue { value: 0 });
        if u8::decode(&mut reader)? != 1 {
            return Err(at);
        }
        let psks = match u8::decode(&mut reader)? {
            0 => PskContext::Group,
            1 => PskContext::ReInit,
            2 => PskContext::Branch,
            _ => return Err(at),
        };
        let mut part = || match u8::decode(&mut reader)? {
            0 => Ok(None),
            1 => reader.opaque().map(Some),
            _ => Err(at.clone()),
        };
        let message = part()?.unwrap_or_default().to_vec();
        let content = part()?.map(|content| Zeroizing::new(content.to_vec()));
        let leaf_private = part()?.map(Secret::copy_of);
        let path_secret = part()?.map(Secret::copy_of);
        let (welcome, group_info) = (part()?.map(<[u8]>::to_vec), part()?.map(<[u8]>::to_vec));
        reader.finish()?;
        Ok(Self { message, content, leaf_private, path_secret, welcome, group_info, psks })
    }

    /// The signed content.
    fn authenticated(&self, limits: &Limits) -> Result<Option<AuthenticatedContent>, DecodeError> {
        match &self.content {
            Some(content) => AuthenticatedContent::from_bytes(content, limits).map(Some),
            None => match MlsMessage::from_bytes(&self.message, limits)? {
                MlsMessage::PublicMessage(message) => Ok(Some(message.into_authenticated_content())),
                _ => Ok(None),
            },
        }
    }
}

impl Group {
    /// The own commits of this epoch that have been made and not applied.
    pub fn pending_commits(&self) -> impl Iterator<Item = PendingId> + '_ {
        self.pending.ids()
    }

    /// An own commit of this epoch, staged again from what is stored: to be sent again byte for
    /// byte, or applied.
    ///
    /// # Errors
    /// [`Usage::NoSuchPendingCommit`]; otherwise as for a received commit.
    pub fn pending_commit(&self, id: PendingId, inputs: &Inputs<'_>) -> Result<PendingCommit, Error> {
        let pending = self.pending.at(id).ok_or(Usage::NoSuchPendingCommit)?;
        let corrupt = Error::Corrupt(id.key());
        let content = pending.authenticated(&self.config.limits).map_err(|_| corrupt.clone())?.ok_or(corrupt)?;
        let own = OwnPath {
            leaf_private: pending.leaf_private.as_ref().map(Secret::duplicate),
            path_secret: pending.path_secret.as_ref().map(Secret::duplicate),
            psks: pending.psks,
        };
        let verified = VerifiedContent::own(content);
        let Content::Commit(commit) = &verified.framed().content else { return Err(Error::Corrupt(id.key())) };
        let mut staged = self.stage(&verified, commit, Some(own), inputs)?;
        let (welcome, group_info) = (pending.welcome.clone(), pending.group_info.clone());
        *staged.admission = Admission { welcome, group_info };
        Ok(PendingCommit { id, message: pending.message.clone(), staged })
    }

    /// Forgets an own commit that lost or is not wanted any more.
    ///
    /// # Errors
    /// [`Usage::NoSuchPendingCommit`].
    pub fn discard(&mut self, id: PendingId) -> Result<ChangeSet, Error> {
        let key = self.pending.remove(id).ok_or(Usage::NoSuchPendingCommit)?;
        let mut changes = self.changes();
        changes.delete(key);
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(self.changed(changes))
    }
}

fn psk_context_code(context: PskContext) -> u8 {
    match context {
        PskContext::Group => 0,
        PskContext::ReInit => 1,
        PskContext::Branch => 2,
    }
}

/// Whether a message of this format hides its content.
pub(crate) fn is_private(wire_format: WireFormat) -> bool {
    wire_format == WireFormat::PRIVATE_MESSAGE
}

/// The content to store beside a message that hides it.
pub(crate) fn hidden_content(content: &AuthenticatedContent) -> Option<Zeroizing<Vec<u8>>> {
    is_private(content.wire_format).then(|| Zeroizing::new(content.to_bytes()))
}
