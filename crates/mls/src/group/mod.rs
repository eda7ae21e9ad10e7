//! A member's view of a group (RFC 9420 §11, §12.4): one file per operation.
//!
//! | file | operation |
//! |---|---|
//! | `create` | founding a group |
//! | `propose` | own proposals, cached proposals, proposals from outside |
//! | `commit`, `waiting` | making a commit: message, Welcome, GroupInfo; which proposals it covers |
//! | `process`, `stage` | reading messages; staging a received commit |
//! | `advice` | who should commit next |
//! | `backlog` | reading many messages together |
//! | `apply` | moving to the next epoch |
//! | `message` | sending application data |
//! | `join` | joining by Welcome |
//! | `external` | joining by external commit |
//! | `successor` | reinitialisation and branching |
//! | `stored` | records |

mod advice;
mod apply;
mod backlog;
mod commit;
mod create;
mod external;
pub(crate) mod info;
mod join;
pub(crate) mod keys;
mod message;
mod past;
pub(crate) mod path;
mod pending;
mod process;
pub(crate) mod propose;
mod psks;
mod stage;
pub(crate) mod stored;
mod successor;
mod waiting;

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Secret, Signer, Suite};
use keyroom_wire::{GroupContext, GroupId, LeafIndex, ReInit};

pub use self::advice::CommitAdvice;
pub use self::apply::Applied;
pub use self::backlog::Backlog;
pub use self::commit::{Admission, AtomicDelivery, CommitBuilder, PathChoice, PendingCommit};
pub use self::create::Founder;
pub use self::external::{ExternalJoin, ExternalJoinBuilder};
pub use self::info::{ExternalJoins, GroupInfoContent, TreeDelivery};
pub use self::join::{JoinOptions, Joining};
pub use self::message::OutgoingMessage;
pub use self::pending::PendingId;
pub use self::process::{Processed, Received};
pub use self::propose::{OutgoingProposal, PendingProposal, propose_externally, propose_own_addition};
pub use self::stage::StagedCommit;
pub use self::stored::peek;
pub use self::successor::{Succession, Successor};
pub use self::waiting::Waiting;

use self::keys::PathKeys;
use self::past::PastEpochs;
use self::pending::PendingCommits;
use self::propose::ProposalCache;
use self::psks::ResumptionPsks;
use crate::config::Config;
use crate::error::{Error, Rule, Usage};
use crate::identity::Member;
use crate::key_schedule::EpochSecrets;
use crate::public::PublicState;
use crate::record::ChangeSet;
use crate::secret_tree::SecretTree;

/// A member's state of one group.
///
/// Operations that move nothing borrow it; those that spend a key (sending, reading a message) or
/// take effect return a [`ChangeSet`] that must be durable before a ciphertext leaves or a
/// plaintext is shown. If storing fails, drop the value and load the group again.
#[derive(Debug)]
pub struct Group {
    config: Arc<Config>,
    version: u64,
    status: Status,
    public: PublicState,
    own_leaf: LeafIndex,
    secrets: EpochSecrets,
    secret_tree: SecretTree,
    keys: PathKeys,
    proposals: ProposalCache,
    pending: PendingCommits,
    past: PastEpochs,
    resumption: ResumptionPsks,
}

/// Whether a group still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Active,
    /// A commit has ended it in favour of another (§11.2): nothing is sent or accepted any more.
    Reinitialised(ReInit),
    /// This client has been removed.
    Removed,
}

impl Group {
    /// The group id.
    pub fn group_id(&self) -> &GroupId {
        &self.public.context.group_id
    }

    /// The number of the epoch.
    pub fn epoch(&self) -> u64 {
        self.public.epoch()
    }

    /// What all members agree on.
    pub fn context(&self) -> &GroupContext {
        &self.public.context
    }

    /// The cipher suite.
    pub fn suite(&self) -> &'static dyn Suite {
        self.public.suite
    }

    /// The own leaf.
    pub fn own_leaf(&self) -> LeafIndex {
        self.own_leaf
    }

    /// Whether the group still lives.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The version of the stored state that this value corresponds to.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Limits, windows and policies in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of members.
    pub fn members_count(&self) -> u32 {
        self.public.tree.members()
    }

    /// The member at a leaf, or `None` if it is blank or outside the tree.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn member(&self, leaf_index: LeafIndex) -> Result<Option<Member>, Error> {
        self.public.member(leaf_index)
    }

    /// All members in the order of their leaves.
    ///
    /// # Errors
    /// [`Error::Missing`]: this one needs the whole tree.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        self.public.members()
    }

    /// The ratchet tree in the form of the `ratchet_tree` extension (§12.4.3.3).
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn ratchet_tree(&self) -> Result<Vec<u8>, Error> {
        Ok(self.public.tree.export()?)
    }

    /// The ratchet tree itself, for display.
    pub fn tree(&self) -> &crate::tree::Tree {
        &self.public.tree
    }

    /// `MLS-Exporter(label, context, length)` of the current epoch (§8.5).
    ///
    /// # Errors
    /// [`Error::Crypto`] beyond 65,535 bytes or 255 · Nh; [`Usage::NotMember`] after a removal.
    pub fn export(&self, label: &str, context: &[u8], length: usize) -> Result<Secret, Error> {
        if self.status == Status::Removed {
            return Err(Usage::NotMember.into());
        }
        Ok(self.secrets.export(self.suite(), label, context, length)?)
    }

    /// The epoch authenticator: equal for all members who agree on the epoch, to be compared out of
    /// band (§8.7).
    pub fn epoch_authenticator(&self) -> &[u8] {
        self.secrets.epoch_authenticator().expose()
    }

    /// The resumption PSK of an epoch, if it is still kept (§8.6).
    pub fn resumption_psk(&self, epoch: u64) -> Option<&[u8]> {
        if epoch == self.epoch() && self.status != Status::Removed {
            return Some(self.secrets.resumption_psk().expose());
        }
        self.resumption.at(epoch).map(Secret::expose)
    }

    /// The interim transcript hash (§8.2).
    pub fn interim_transcript_hash(&self) -> &Hash {
        &self.public.interim_transcript_hash
    }

    fn check_active(&self) -> Result<(), Error> {
        match self.status {
            Status::Active => Ok(()),
            Status::Reinitialised(_) => Err(Rule::GroupReinitialised.into()),
            Status::Removed => Err(Usage::NotMember.into()),
        }
    }

    fn check_signer(&self, signer: &dyn Signer) -> Result<(), Error> {
        let own = self.public.leaf(self.own_leaf)?.ok_or(Usage::NotMember)?;
        if own.signature_key() == signer.public_key().as_slice() { Ok(()) } else { Err(Usage::WrongSigner.into()) }
    }

    /// An empty change set on top of the current version.
    fn changes(&self) -> ChangeSet {
        ChangeSet::new(self.group_id().clone(), self.version)
    }

    /// Takes note that a change set has been handed out.
    fn changed(&mut self, changes: ChangeSet) -> ChangeSet {
        self.version = changes.version;
        changes
    }
}
