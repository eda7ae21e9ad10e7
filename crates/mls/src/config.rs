//! What a client decides for itself: limits, windows, policies. Values, never hidden constants.

use keyroom_crypto::Secret;
use keyroom_wire::{Limits, Psk, WireFormat};

use crate::extension::ExtensionTable;
use crate::leaf_node::{LifetimeCheck, LifetimePolicy};
use crate::padding::Padding;
use crate::proposals::ProposalTable;
use crate::secret_tree::RatchetLimits;

/// Limits, windows and policies of one group, with safe defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds on decoding, in bytes.
    pub limits: Limits,
    /// Bounds on ratchets and skipped keys (RFC 9420 §9.2, §15.3).
    pub ratchet: RatchetLimits,
    /// How many past epochs keep their keys for late application messages. Default 3.
    pub past_epochs: usize,
    /// After how many seconds a past epoch goes in any case. Default one week.
    pub past_epoch_seconds: u64,
    /// How many past epochs keep their resumption PSK (§8.6). Default 8.
    pub resumption_epochs: usize,
    /// Most leaves that the tree may have. Default and maximum 2^24.
    pub max_leaves: u32,
    /// Most proposals in a commit, and most that wait in an epoch. Default 20,000.
    pub max_proposals: usize,
    /// Most proposals of one sender that wait in an epoch; newcomers together are one. Default 1,000.
    pub max_proposals_per_sender: usize,
    /// Most bytes of all proposals that wait in an epoch. Default 16 MiB.
    pub max_waiting_bytes: usize,
    /// Most bytes of all proposals of a commit together. Default 64 MiB.
    pub max_proposal_bytes: usize,
    /// Most PSKs in a commit. Default 64.
    pub max_psks: usize,
    /// How plaintexts are padded (§6.3.1).
    pub padding: Padding,
    /// In which wire format handshake messages are sent and accepted.
    pub handshakes: HandshakePolicy,
    /// How lifetimes are judged of what this client sends, keeps or, as a server, accepts (§7.3).
    pub lifetime: LifetimePolicy,
    /// How much of a lifetime is judged in a commit that others made. The RFC only recommends it:
    /// the commit has been accepted, and a member whose clock differs, or who reads it late, would
    /// be cut off from the group for good. Default: its length.
    pub received_lifetimes: LifetimeCheck,
    /// How much of a lifetime is judged in the tree of a group that this client joins or observes. The
    /// RFC only recommends its range: members stay whose key package has run out. Default: its length.
    pub joined_lifetimes: LifetimeCheck,
    /// Proposal types beyond those of RFC 9420 and SelfRemove that the application defines.
    pub proposals: ProposalTable,
    /// Extension types that the application registers.
    pub extensions: ExtensionTable,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            ratchet: RatchetLimits::default(),
            past_epochs: 3,
            past_epoch_seconds: 7 * 24 * 3600,
            resumption_epochs: 8,
            max_leaves: 1 << 24,
            max_proposals: 20_000,
            max_proposals_per_sender: 1_000,
            max_waiting_bytes: 16 << 20,
            max_proposal_bytes: 64 << 20,
            max_psks: 64,
            padding: Padding::default(),
            handshakes: HandshakePolicy::default(),
            lifetime: LifetimePolicy::default(),
            received_lifetimes: LifetimeCheck::Length,
            joined_lifetimes: LifetimeCheck::Length,
            proposals: ProposalTable::default(),
            extensions: ExtensionTable::default(),
        }
    }
}

/// In which wire format a member sends commits and proposals, and which it accepts (§6). External
/// messages and SelfRemove proposals are public in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakePolicy {
    /// Sends public messages, so that the Delivery Service can validate them; accepts both.
    #[default]
    Public,
    /// Sends private messages; accepts both.
    Private,
    /// Sends and accepts public messages only.
    OnlyPublic,
    /// Sends and accepts private messages only, external ones and SelfRemove proposals apart.
    OnlyPrivate,
}

impl HandshakePolicy {
    pub(crate) fn sends(self) -> WireFormat {
        match self {
            Self::Public | Self::OnlyPublic => WireFormat::PUBLIC_MESSAGE,
            Self::Private | Self::OnlyPrivate => WireFormat::PRIVATE_MESSAGE,
        }
    }

    pub(crate) fn accepts(self, wire_format: WireFormat) -> bool {
        match self {
            Self::Public | Self::Private => true,
            Self::OnlyPublic => wire_format == WireFormat::PUBLIC_MESSAGE,
            Self::OnlyPrivate => wire_format == WireFormat::PRIVATE_MESSAGE,
        }
    }
}

/// What an operation takes from outside: the time, and pre-shared keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Seconds since 1970-01-01T00:00Z, for lifetimes and for the age of past epochs. For a message
    /// out of a backlog this is the time at which the Delivery Service accepted it: a key package
    /// that was valid when it was added does not become invalid because a member was away.
    pub now: u64,
    /// Pre-shared keys that this operation may use. Resumption PSKs of the group itself need not
    /// be passed as long as they are kept.
    pub psks: &'a [(Psk, Secret)],
}

impl Inputs<'_> {
    /// Only a time.
    pub const fn at(now: u64) -> Self {
        Self { now, psks: &[] }
    }
}
