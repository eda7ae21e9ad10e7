//! The seam between the Delivery Service and the half of MLS that has no secrets.

use std::sync::Arc;

use keyroom_api::DeviceUri;
use keyroom_authority::{CredentialError, Lapse};

use crate::RosterChange;

/// Why a message was refused. The same bytes will be refused again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The bytes are not an `MLSMessage`, or have trailing bytes.
    #[error("the bytes do not parse")]
    Malformed,
    /// An `MLSMessage` of another kind than the request is about.
    #[error("the message is of another kind than expected")]
    WrongKind,
    /// The message is for another group.
    #[error("the message is for another group")]
    WrongGroup,
    /// The message belongs to another epoch than what it came with.
    #[error("the message is for another epoch")]
    WrongEpoch,
    /// The epoch is above 2^63 − 1, which no store of this project keeps.
    #[error("the epoch is too high")]
    EpochTooHigh,
    /// A report of something that is no commit of that epoch, or by its own sender.
    #[error("the report is not about a commit of another member")]
    NoSuchCommit,
    /// The first epoch of a room is neither 0 nor 1.
    #[error("a group is registered in its first epoch")]
    NotFirstEpoch,
    /// A Welcome does not have one addressee for each of its secrets.
    #[error("the addressees are not those of the Welcome")]
    Addressees,
    /// A handshake in a PrivateMessage, where the server takes public ones only.
    #[error("the handshake is private")]
    PrivateHandshake,
    /// The GroupInfo has no ratchet tree where one is needed.
    #[error("the GroupInfo has no ratchet tree")]
    NoRatchetTree,
    /// An access key where none belongs, none where one does, or one that is none.
    #[error("the access key is missing, superfluous or malformed")]
    AccessKey,
    /// The credential is not that of the device that sent it.
    #[error("the credential is not that of the sending device")]
    ForeignCredential,
    /// The credential does not verify, where all must.
    #[error("{0}")]
    Credential(CredentialError),
    /// The certificate verifies, and is not good now.
    #[error("{0}")]
    Lapsed(Lapse),
    /// The signature key is not one by which the server knows the device.
    #[error("the signature key is not one of the sending device")]
    ForeignKey,
    /// The cipher suite is not one that this server can judge.
    #[error("the cipher suite is not known")]
    UnknownCipherSuite,
    /// A commit names a proposal that is not in the log of its epoch.
    #[error("the commit names a proposal that is not in the log")]
    UnknownProposal,
    /// Above a bound of the judge: too many leaves or proposals, say.
    #[error("the message is over a limit")]
    OverLimit,
    /// A rule of the protocol.
    #[error("{code} (section {section})")]
    Rule {
        /// Stable code of the rule.
        code: &'static str,
        /// The section of RFC 9420 that states it.
        section: &'static str,
    },
}

/// A key package that passed every check which needs no secret (RFC 9420 §10.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedKeyPackage {
    /// What tells it from every other key package: its `KeyPackageRef` (§5.2).
    pub reference: Vec<u8>,
    /// Code point of its cipher suite.
    pub cipher_suite: u16,
    /// Whether it is marked as a last resort.
    pub last_resort: bool,
    /// The last second of its lifetime, since 1970-01-01T00:00Z.
    pub not_after: u64,
}

/// A key package that passed, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedKeyPackage {
    /// What a ledger keeps beside the message.
    pub checked: CheckedKeyPackage,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a key package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It was signed with this key, for what its credential names.
    Signed {
        /// The device, if the credential names one.
        device: Option<DeviceUri>,
        /// The public key.
        signature_key: Vec<u8>,
    },
    /// The validator verifies no signature, so that nothing that a key package says of its owner counts.
    Unjudged,
}

/// A record of a public state as a ledger keeps it: its key within the room, and its value. The
/// validator gives both their meaning.
pub type StateRecord = (Vec<u8>, Vec<u8>);

/// What a change of epoch does to the records of a room's public state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// These records are all there is.
    Whole(Vec<StateRecord>),
    /// Some records change and the others stay: what is written is what the commit changed, not the
    /// group.
    Part {
        /// All records whose keys start like this go. This comes first.
        cleared: Vec<Vec<u8>>,
        /// These are set or, without a value, deleted.
        writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    },
}

/// A public state that has been judged, and how to keep it.
pub struct Judged {
    /// The view of the epoch.
    pub view: Arc<dyn PublicView>,
    /// What to write so that [`Validator::restore`] finds it again.
    pub change: StateChange,
    /// Who comes and who goes.
    pub roster: Roster,
}

/// What a validator knows of who is in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roster {
    /// It follows the members: of a first epoch all are added, of a commit those whom it adds. Members whose
    /// credentials name no device are not among them.
    Known(RosterChange),
    /// It does not: it reads no more than structure.
    Unknown,
}

/// Judges bytes that clients send. Implementations are pure: they keep nothing between calls but
/// what they return.
pub trait Validator: Send + Sync {
    /// Judges a key package in an `MLSMessage`. `now` is in seconds since 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`Invalid`]: malformed, expired, signatures, capabilities (§10.1).
    fn key_package(&self, message: &[u8], now: u64) -> Result<JudgedKeyPackage, Invalid>;

    /// Judges the GroupInfo of an epoch that is not known yet: the first of a room, or the one after
    /// a private commit. `message` is an `MLSMessage` with a GroupInfo that carries its ratchet tree,
    /// unless that comes beside it. `now` is in seconds since 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`Invalid`]: malformed, without tree, signature or tree (§12.4.3.1).
    fn open(&self, message: &[u8], ratchet_tree: Option<&[u8]>, now: u64) -> Result<Judged, Invalid>;

    /// Reads a view back from all records of its epoch.
    ///
    /// # Errors
    /// [`Invalid::Malformed`] when the records are not what was written.
    fn restore(&self, records: Vec<StateRecord>) -> Result<Arc<dyn PublicView>, Invalid>;

    /// Judges the signature of an [`AccessProof`](keyroom_api::AccessProof) over this content.
    ///
    /// # Errors
    /// [`Invalid::Rule`]: it is not that of the key.
    fn check_access(&self, key: &[u8], content: &[u8], signature: &[u8]) -> Result<(), Invalid>;
}

/// What an observer of a room knows about one epoch. Values are immutable and shared.
pub trait PublicView: Send + Sync {
    /// The MLS group id.
    fn group_id(&self) -> &[u8];

    /// The epoch.
    fn epoch(&self) -> u64;

    /// The hash of the ratchet tree (RFC 9420 §7.8).
    fn tree_hash(&self) -> &[u8];

    /// Number of members.
    fn members(&self) -> u64;

    /// The leaves of a device, if this view knows who the members are.
    fn leaves(&self, device: &DeviceUri) -> Option<Vec<u32>>;

    /// Judges the signature of a member's report over this content.
    ///
    /// # Errors
    /// [`Invalid::Rule`]: nobody is at this leaf, or the signature is not that member's.
    fn check_report(&self, leaf: u32, content: &[u8], signature: &[u8]) -> Result<(), Invalid>;

    /// Whether the commit that began this epoch ended the group (RFC 9420 §11.2).
    fn is_ended(&self) -> bool;

    /// Judges a proposal in a PublicMessage of this epoch. `now` is in seconds since
    /// 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`Invalid`]: malformed or breaks a rule of §12.1.
    fn check_proposal(&self, message: &[u8], now: u64) -> Result<(), Invalid>;

    /// Judges a commit in a PublicMessage of this epoch and returns the view of the next one.
    /// `proposals` are the proposals of this epoch that the log holds, in its order, each a whole
    /// `MLSMessage`; those in a PrivateMessage are among them. `now` is in seconds since
    /// 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`Invalid`]: malformed or breaks a rule of §12.2 to §12.4.
    fn check_commit(&self, message: &[u8], proposals: &[Vec<u8>], now: u64) -> Result<Judged, Invalid>;

    /// Whose a handshake in a PublicMessage is that comes from somebody who is not a member: an external
    /// commit, the Add of oneself, a proposal of an external sender.
    ///
    /// # Errors
    /// [`Invalid`]: malformed, or not from outside.
    fn outsider(&self, message: &[u8]) -> Result<Owner, Invalid>;

    /// Judges the GroupInfo that claims to describe this epoch, with or without ratchet tree:
    /// context, signature, and the tree if there is one.
    ///
    /// # Errors
    /// [`Invalid`]: malformed, another group or epoch, or breaks a rule of §12.4.3.
    fn check_group_info(&self, message: &[u8]) -> Result<(), Invalid>;

    /// The content of a `ratchet_tree` extension for this epoch (§12.4.3.3), if this view knows it.
    fn ratchet_tree(&self) -> Option<Vec<u8>>;
}
