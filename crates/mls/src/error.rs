//! Errors by who is at fault. Nothing secret and no free text is in any of them.

use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::CryptoError;
use keyroom_wire::{DecodeError, ProposalRef, Psk};

use crate::private_message::SealError;
use crate::record::{MalformedRecord, Missing, RecordKey};
use crate::secret_tree::SecretTreeError;
use crate::tree::TreeError;

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $section:literal;)*) => {
        /// A rule that a peer broke, of RFC 9420 unless another document is named. The same bytes will
        /// break it again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$meta])* $name,)*
        }

        impl Rule {
            /// Stable code, for logs and for other languages.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The section of RFC 9420 that states the rule, or the document and the title of its section.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
            }
        }
    };
}

rules! {
    // Framing, §6
    /// The message is for another group.
    WrongGroup = "wrong-group", "6";
    /// A handshake message of another epoch than the current one.
    WrongEpoch = "wrong-epoch", "12.4.2";
    /// Application data in a PublicMessage.
    ApplicationInPublicMessage = "application-in-public-message", "6";
    /// The sender's leaf is blank or outside the tree.
    SenderNotMember = "sender-not-member", "6.1";
    /// An external sender that the group does not list.
    UnknownExternalSender = "unknown-external-sender", "12.1.8.1";
    /// An external sender that sends something other than a proposal.
    ExternalSenderContent = "external-sender-content", "6.1";
    /// A client that proposes its own addition and sends something other than a proposal.
    NewMemberProposalContent = "new-member-proposal-content", "6.1";
    /// A client that joins by external commit and sends something other than a commit.
    NewMemberCommitContent = "new-member-commit-content", "6.1";
    /// A PrivateMessage of someone who is not a member.
    NonMemberInPrivateMessage = "non-member-in-private-message", "6.3.2";
    /// The signature of a message does not verify.
    MessageSignature = "message-signature", "6.1";
    /// A PublicMessage of a member without a membership tag.
    MembershipTagAbsent = "membership-tag-absent", "6.2";
    /// A membership tag on the message of someone who is not a member.
    MembershipTagOfNonMember = "membership-tag-of-non-member", "6.2";
    /// The membership tag is wrong or has the wrong length.
    MembershipTag = "membership-tag", "6.2";
    /// The confirmation tag is wrong, has the wrong length or is missing.
    ConfirmationTag = "confirmation-tag", "8.1";
    /// The sender data of a PrivateMessage does not open or parse.
    SenderData = "sender-data", "6.3.2";
    /// The content of a PrivateMessage does not open.
    ContentDecryption = "content-decryption", "6.3.1";
    /// The plaintext of a PrivateMessage does not parse.
    PrivateContent = "private-content", "6.3.1";
    /// The padding of a PrivateMessage holds a byte other than zero.
    PaddingNotZero = "padding-not-zero", "6.3.1";
    /// The generation was used before, or its key has made room for those of others.
    GenerationConsumed = "generation-consumed", "9.2";
    /// An own message came back; its keys are gone.
    OwnMessage = "own-message", "6.3.2";
    /// The epoch number would pass 2^63 − 1.
    EpochOverflow = "epoch-overflow", "8";
    /// The group has been reinitialised: nothing more is sent or accepted in it.
    GroupReinitialised = "group-reinitialised", "11.2";

    // Leaf nodes, §7.2, §7.3
    /// The signature of a leaf node does not verify.
    LeafSignature = "leaf-signature", "7.3";
    /// A leaf node whose source does not fit where it stands.
    LeafSource = "leaf-source", "7.3";
    /// A leaf lacks an extension type that the group requires.
    LeafLacksRequiredExtension = "leaf-lacks-required-extension", "7.3";
    /// A leaf lacks a proposal type that the group requires.
    LeafLacksRequiredProposal = "leaf-lacks-required-proposal", "7.3";
    /// A leaf lacks a credential type that the group requires.
    LeafLacksRequiredCredential = "leaf-lacks-required-credential", "7.3";
    /// A leaf does not support an extension of the GroupContext.
    LeafLacksGroupExtension = "leaf-lacks-group-extension", "13.4";
    /// A leaf does not support the protocol version of the group.
    LeafLacksVersion = "leaf-lacks-version", "7.2";
    /// A leaf does not support the cipher suite of the group.
    LeafLacksCipherSuite = "leaf-lacks-cipher-suite", "7.2";
    /// The credential type of a leaf is not supported by every member.
    CredentialNotSupportedByMembers = "credential-not-supported-by-members", "7.3";
    /// A leaf does not support a credential type that is in use.
    LeafLacksCredentialInUse = "leaf-lacks-credential-in-use", "7.3";
    /// A leaf does not list the type of its own credential.
    LeafLacksOwnCredential = "leaf-lacks-own-credential", "7.2";
    /// A leaf holds an extension that its capabilities do not list.
    LeafExtensionNotListed = "leaf-extension-not-listed", "7.2";
    /// Capabilities list a type that RFC 9420 itself defines.
    DefaultTypeListed = "default-type-listed", "7.2";
    /// A list of capabilities longer than any honest client's.
    TooManyCapabilities = "too-many-capabilities", "7.2";
    /// Now is outside the lifetime of a leaf.
    LifetimeOutside = "lifetime-outside", "7.3";
    /// The lifetime of a leaf is longer than allowed.
    LifetimeTooLong = "lifetime-too-long", "7.2";
    /// A lifetime that ends before it begins.
    LifetimeReversed = "lifetime-reversed", "7.2";
    /// A signature key that another member has too.
    SignatureKeyNotUnique = "signature-key-not-unique", "7.3";
    /// An encryption key of a leaf that another leaf has too.
    EncryptionKeyNotUnique = "encryption-key-not-unique", "7.3";
    /// The key of a parent node that another node has too, a leaf or a parent.
    ParentKeyNotUnique = "parent-key-not-unique", "12.4.2";
    /// One key that signs in one place and decrypts in another.
    KeyInTwoRoles = "key-in-two-roles", "16.7";
    /// An Update or a path that keeps the old encryption key.
    EncryptionKeyUnchanged = "encryption-key-unchanged", "7.3";
    /// A public key that the suite refuses.
    InvalidPublicKey = "invalid-public-key", "5.1";
    /// An extension that does not belong where it stands.
    ExtensionNotAllowedHere = "extension-not-allowed-here", "17.3";
    /// An extension list with one type twice.
    DuplicateExtension = "duplicate-extension", "13.4";
    /// A known extension whose data does not parse.
    MalformedExtension = "malformed-extension", "13.4";
    /// A list of required capabilities longer than what a leaf may list.
    TooManyRequiredCapabilities = "too-many-required-capabilities", "11.1";
    /// More external senders than any group has.
    TooManyExternalSenders = "too-many-external-senders", "12.1.8.1";

    // Key packages, §10
    /// A key package of another protocol version than the group's.
    KeyPackageVersion = "key-package-version", "10.1";
    /// A key package of another cipher suite than the group's.
    KeyPackageCipherSuite = "key-package-cipher-suite", "10.1";
    /// The signature of a key package does not verify.
    KeyPackageSignature = "key-package-signature", "10.1";
    /// A key package holds an extension of a registered type that the capabilities of its leaf do not list.
    KeyPackageExtensionNotListed = "key-package-extension-not-listed", "10";
    /// The init key of a key package equals the encryption key of its leaf.
    InitKeyIsEncryptionKey = "init-key-is-encryption-key", "10.1";

    // Proposals, §12.1, §12.2
    /// A reference to a proposal that is not as long as the suite's hash, so that no proposal can have it.
    ProposalRefLength = "proposal-ref-length", "5.2";
    /// A Remove or Update of a leaf that is blank or outside the tree.
    RemovedNotMember = "removed-not-member", "12.1.3";
    /// A PSK whose nonce is not as long as the KDF's output.
    PskNonceLength = "psk-nonce-length", "12.1.4";
    /// A resumption PSK for a reinitialisation outside of one.
    ReInitPsk = "reinit-psk", "12.1.4";
    /// A resumption PSK for a branch outside of one.
    BranchPsk = "branch-psk", "12.1.4";
    /// A ReInit to a lower protocol version.
    ReInitVersion = "reinit-version", "12.1.5";
    /// Encapsulated key of an ExternalInit that does not decapsulate.
    ExternalInitKemOutput = "external-init-kem-output", "12.1.6";
    /// A new GroupContext extension that some member does not support.
    GroupExtensionNotSupported = "group-extension-not-supported", "12.1.7";
    /// A newly required capability that some member does not have.
    RequiredCapabilityNotSupported = "required-capability-not-supported", "12.1.7";
    /// The credential type of an external sender that some member does not support.
    ExternalSenderCredential = "external-sender-credential", "12.1.8.1";
    /// A proposal type that some member does not support.
    ProposalTypeNotSupported = "proposal-type-not-supported", "12.2";
    /// A proposal type that a member may not send, or not in this way.
    SenderMayNotPropose = "sender-may-not-propose", "12.1.8";
    /// A proposal type that external senders may not send.
    ExternalSenderProposal = "external-sender-proposal", "12.1.8";
    /// A client outside the group that proposes something other than its own addition.
    NewMemberProposalType = "new-member-proposal-type", "12.1.8";
    /// An Update by someone who is not a member.
    UpdateByNonMember = "update-by-non-member", "12.1.2";
    /// An Update by the committer.
    CommitterUpdate = "committer-update", "12.2";
    /// A Remove of the committer.
    CommitterRemove = "committer-remove", "12.2";
    /// Two Updates or Removes for one leaf.
    LeafTouchedTwice = "leaf-touched-twice", "12.2";
    /// Two Adds of one client.
    ClientAddedTwice = "client-added-twice", "12.2";
    /// An Add of a client that is a member already, told by its signature key, and is not removed in
    /// the same commit.
    ClientAlreadyMember = "client-already-member", "12.2";
    /// Two Adds of key packages with one init key.
    InitKeyAddedTwice = "init-key-added-twice", "12.2";
    /// An init key that is also the encryption key of a leaf in the same list.
    InitKeyIsLeafKey = "init-key-is-leaf-key", "12.2";
    /// Two PreSharedKey proposals with one identifier.
    DuplicatePsk = "duplicate-psk", "12.2";
    /// More than one GroupContextExtensions.
    DuplicateGroupContextExtensions = "duplicate-group-context-extensions", "12.2";
    /// A ReInit beside another proposal.
    ReInitNotAlone = "reinit-not-alone", "12.2";
    /// An ExternalInit in the commit of a member.
    ExternalInitByMember = "external-init-by-member", "12.2";
    /// An external commit without exactly one ExternalInit.
    ExternalInitCount = "external-init-count", "12.2";
    /// An external commit with more than one Remove.
    ExternalRemoveCount = "external-remove-count", "12.2";
    /// An external commit with a proposal type that is not allowed there.
    ExternalProposalType = "external-proposal-type", "12.2";
    /// An external commit with a proposal by reference.
    ExternalProposalByReference = "external-proposal-by-reference", "12.4.3.2";

    // Proposals that take their sender out
    /// A SelfRemove that stands in a commit by value.
    SelfRemoveByValue = "self-remove-by-value", "draft-ietf-mls-extensions, SelfRemove Proposal";
    /// A second SelfRemove of one member in an epoch.
    SelfRemoveTwice = "self-remove-twice", "draft-ietf-mls-extensions, SelfRemove Proposal";
    /// A SelfRemove in a PrivateMessage, which joiners cannot read.
    SelfRemoveInPrivateMessage = "self-remove-in-private-message", "draft-ietf-mls-extensions, SelfRemove Proposal";
    /// A SelfRemove of the committer.
    CommitterSelfRemove = "committer-self-remove", "draft-ietf-mls-extensions, SelfRemove Proposal";
    /// A Remove of a member whose SelfRemove stands in the same commit.
    RemoveBesideSelfRemove = "remove-beside-self-remove", "draft-ietf-mls-extensions, SelfRemove Proposal";

    // Commits and paths, §7.5, §7.6, §12.4
    /// A commit without the path that its proposals call for.
    PathMissing = "path-missing", "12.4";
    /// A path with another number of nodes than the filtered direct path.
    PathLength = "path-length", "7.6";
    /// A path node with another number of ciphertexts than the resolution calls for.
    PathCiphertextCount = "path-ciphertext-count", "7.6";
    /// The path secret meant for this member does not decrypt.
    PathDecryption = "path-decryption", "7.5";
    /// A public key that does not follow from its path secret.
    PathKeyMismatch = "path-key-mismatch", "7.5";
    /// A path with one public key in two places.
    PathKeyTwice = "path-key-twice", "12.4.2";
    /// A public key of a path that stood before it on the committer's own direct path.
    PathKeyUnchanged = "path-key-unchanged", "12.4.2";
    /// The parent hash of the committer's leaf is wrong.
    PathParentHash = "path-parent-hash", "7.9.2";

    // Trees, §7.9.2, §12.4.3.1, §12.4.3.3
    /// A ratchet tree without any node.
    TreeEmpty = "tree-empty", "12.4.3.3";
    /// A ratchet tree that ends with a blank node.
    TreeEndsBlank = "tree-ends-blank", "12.4.3.3";
    /// A ratchet tree that ends with a parent: its right half is blank and should have been cut off.
    TreeNotTruncated = "tree-not-truncated", "7.7";
    /// The tree does not have the hash that the GroupContext names.
    TreeHash = "tree-hash", "12.4.3.1";
    /// A parent node that no parent hash below it vouches for: whoever could has another one.
    ParentHash = "parent-hash", "7.9.2";
    /// A parent node that no parent hash below it vouches for: whoever could has none.
    ParentHashAbsent = "parent-hash-absent", "7.9.2";
    /// A parent node whose unmerged leaves leave nobody below it whose parent hash could vouch for it.
    ParentHashResolution = "parent-hash-resolution", "7.9.2";
    /// Unmerged leaves of a parent that are not in increasing order, each once.
    UnmergedLeaves = "unmerged-leaves", "7.1";
    /// An unmerged leaf that is blank or not below its parent.
    UnmergedLeafAbsent = "unmerged-leaf-absent", "12.4.3.1";
    /// An unmerged leaf that a parent between it and the parent that lists it does not list.
    UnmergedLeafSkipped = "unmerged-leaf-skipped", "12.4.3.1";

    // Welcome and GroupInfo, §12.4.3
    /// A Welcome without an entry for one of the given key packages.
    WelcomeNotForUs = "welcome-not-for-us", "12.4.3.1";
    /// A Welcome whose cipher suite differs from the key package's.
    WelcomeCipherSuite = "welcome-cipher-suite", "12.4.3.1";
    /// A GroupInfo of another cipher suite than the key package's.
    GroupCipherSuite = "group-cipher-suite", "12.4.3.1";
    /// Group secrets that do not decrypt.
    GroupSecretsDecryption = "group-secrets-decryption", "12.4.3.1";
    /// Group secrets that do not parse, or hold a secret of the wrong length.
    GroupSecrets = "group-secrets", "12.4.3.1";
    /// PSKs of a Welcome that do not fit a reinitialisation or a branch.
    WelcomePsks = "welcome-psks", "12.4.3.1";
    /// A GroupInfo that is not that of the epoch.
    GroupInfoContext = "group-info-context", "12.4.3";
    /// A confirmed transcript hash of another length than the suite's.
    TranscriptHashLength = "transcript-hash-length", "8.2";
    /// A GroupInfo inside a Welcome that does not decrypt.
    GroupInfoDecryption = "group-info-decryption", "12.4.3.1";
    /// A GroupInfo inside a Welcome that decrypts and does not parse.
    GroupInfoContent = "group-info-content", "12.4.3.1";
    /// The signature of a GroupInfo does not verify.
    GroupInfoSignature = "group-info-signature", "12.4.3.1";
    /// The signer of a GroupInfo is a leaf that is blank or outside the tree.
    GroupInfoSigner = "group-info-signer", "12.4.3.1";
    /// A GroupInfo of a group that this client is in already.
    AlreadyMember = "already-member", "12.4.3.1";
    /// A GroupContext of a protocol version other than the key package's.
    GroupVersion = "group-version", "12.4.3.1";
    /// No tree, neither in the GroupInfo nor beside it.
    TreeAbsent = "tree-absent", "12.4.3.1";
    /// Two trees that differ, in the GroupInfo and beside it.
    TreesDiffer = "trees-differ", "12.4.3.1";
    /// The tree does not hold the leaf of the key package.
    OwnLeafAbsent = "own-leaf-absent", "12.4.3.1";
    /// The path secret of a Welcome names a node that is blank.
    PathSecretNodeBlank = "path-secret-node-blank", "12.4.3.1";
    /// The first epoch of a reinitialised or branched group is not 1.
    SuccessorEpoch = "successor-epoch", "12.4.3.1";
    /// A group that names another predecessor than the one given.
    SuccessorOfAnother = "successor-of-another", "12.4.3.1";
    /// A reinitialised group whose predecessor was not ended by a ReInit in the epoch named.
    SuccessorNotAnnounced = "successor-not-announced", "11.2";
    /// A reinitialised group that is not what the ReInit announced.
    SuccessorParameters = "successor-parameters", "11.2";
    /// A reinitialised group with other members than its predecessor.
    SuccessorMembers = "successor-members", "11.2";
    /// A branch of another protocol version or cipher suite than its group.
    BranchParameters = "branch-parameters", "11.3";
    /// A branch with somebody who is not a member of its group.
    BranchMembers = "branch-members", "11.3";
    /// A GroupInfo without the key that an external joiner needs.
    ExternalPubAbsent = "external-pub-absent", "12.4.3.2";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = self.section();
        let of_rfc = section.starts_with(|first: char| first.is_ascii_digit());
        let document = if of_rfc { "RFC 9420 §" } else { "" };
        write!(f, "{} ({document}{section})", self.code())
    }
}

impl core::error::Error for Rule {}

/// Something that our own limits refuse; a peer with other limits may accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A generation further ahead than [`RatchetLimits`](crate::secret_tree::RatchetLimits) allow (§9.2).
    GenerationTooFarAhead,
    /// A generation older than the skipped keys that are kept of its sender (§15.3).
    GenerationNotKept,
    /// An application message of an epoch that is no longer kept (§15.3).
    EpochNotKept,
    /// More proposals, or more bytes of them, than a commit or an epoch may hold.
    TooManyProposals,
    /// More waiting proposals than one sender may have in an epoch (§12.4).
    TooManyProposalsOfSender,
    /// More bytes of waiting proposals than an epoch may hold (§12.4).
    WaitingProposalsTooLong,
    /// More PSKs than a commit may hold.
    TooManyPsks,
    /// A message longer than the limit.
    MessageTooLong,
    /// The send ratchet of this epoch is used up; a commit starts a new one.
    RatchetExhausted,
    /// More leaves than the tree may have.
    TooManyLeaves,
    /// A handshake message in a wire format that the group's policy does not take.
    HandshakeFormat,
}

/// What an operation still needs from outside; with it, the same bytes may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotYet {
    /// The message is of an epoch that this member has not reached.
    FutureEpoch {
        /// Its epoch.
        epoch: u64,
    },
    /// A commit refers to a proposal that has not been seen (§12.4).
    UnknownProposal(ProposalRef),
    /// These PSKs are needed and were not passed in (§8.4).
    Psks(Vec<Psk>),
}

/// A call that makes no sense in the state that the group is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// The pending or staged commit was made from another state of the group.
    StaleCommit,
    /// The verdict answers the questions of another operation.
    WrongVerdict,
    /// The provider does not have the group's cipher suite.
    UnknownCipherSuite,
    /// The signer's key is not the one in the own leaf.
    WrongSigner,
    /// This client has been removed from the group.
    NotMember,
    /// Application data may not be sent while proposals wait for a commit (§12.4).
    ProposalsPending,
    /// No such pending commit.
    NoSuchPendingCommit,
    /// The message kind belongs to another call: a Welcome, GroupInfo or KeyPackage.
    WrongMessageKind,
    /// No such waiting proposal.
    NoSuchProposal,
    /// The group has not been reinitialised, or not with these parameters.
    NotReinitialised,
}

/// Why an operation of a group failed. The group is unchanged, to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are malformed.
    Malformed(DecodeError),
    /// A peer broke a rule.
    Rule(Rule),
    /// Our own limits or the application refused.
    Refused(Refusal),
    /// Something from outside is missing; supply it and try again.
    NotYet(NotYet),
    /// Records are not in memory; read them, supply them, call again.
    Missing(Missing),
    /// The caller misused the API.
    Usage(Usage),
    /// A stored record does not fit what the head commits to, or does not parse.
    Corrupt(RecordKey),
    /// A cryptographic operation of our own failed.
    Crypto(CryptoError),
}

/// Whether the same call may succeed another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Never with the same bytes.
    Never,
    /// After the records, proposals, PSKs or commits named have been supplied.
    AfterSupply,
}

impl Error {
    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotYet(_) | Self::Missing(_) => Retry::AfterSupply,
            _ => Retry::Never,
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from!(
    DecodeError => Malformed,
    Rule => Rule,
    Refusal => Refused,
    NotYet => NotYet,
    Missing => Missing,
    Usage => Usage,
    CryptoError => Crypto,
);

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Missing(missing) => Self::Missing(missing),
            TreeError::Malformed(error) => Self::Malformed(error),
            TreeError::Rule(rule) => Self::Rule(rule),
            TreeError::Record { key, .. } => Self::Corrupt(key),
            TreeError::TooManyLeaves { .. } => Self::Refused(Refusal::TooManyLeaves),
            TreeError::OutOfRange | TreeError::BlankLeaf(_) => Self::Rule(Rule::RemovedNotMember),
            TreeError::NotHashed => Self::Usage(Usage::StaleCommit),
        }
    }
}

impl From<SecretTreeError> for Error {
    fn from(error: SecretTreeError) -> Self {
        match error {
            SecretTreeError::Missing(missing) => Self::Missing(missing),
            SecretTreeError::LeafOutside => Self::Rule(Rule::SenderNotMember),
            SecretTreeError::Consumed => Self::Rule(Rule::GenerationConsumed),
            SecretTreeError::TooOld => Self::Refused(Refusal::GenerationNotKept),
            SecretTreeError::TooFarAhead => Self::Refused(Refusal::GenerationTooFarAhead),
            SecretTreeError::Exhausted => Self::Refused(Refusal::RatchetExhausted),
            SecretTreeError::Stale => Self::Usage(Usage::StaleCommit),
            SecretTreeError::Record(MalformedRecord(kind)) => Self::Corrupt(RecordKey::new(kind, 0, 0)),
            SecretTreeError::Crypto(error) => Self::Crypto(error),
        }
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Crypto(error) => Self::Crypto(error),
            SealError::SenderNotMember | SealError::WireFormat => Self::Usage(Usage::WrongMessageKind),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed: {error}"),
            Self::Rule(rule) => write!(f, "a peer broke a rule: {rule}"),
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            Self::NotYet(NotYet::FutureEpoch { epoch }) => write!(f, "not yet: epoch {epoch} has not been reached"),
            Self::NotYet(NotYet::UnknownProposal(_)) => f.write_str("not yet: a proposal has not been seen"),
            Self::NotYet(NotYet::Psks(psks)) => write!(f, "not yet: {} PSKs are needed", psks.len()),
            Self::Missing(missing) => write!(f, "{} records are not in memory", missing.0.len()),
            Self::Usage(usage) => write!(f, "misuse: {usage:?}"),
            Self::Corrupt(key) => write!(f, "stored record {key:?} is corrupt"),
            Self::Crypto(error) => write!(f, "cryptography failed: {error}"),
        }
    }
}

impl core::error::Error for Error {}
