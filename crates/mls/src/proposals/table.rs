use alloc::vec::Vec;

use keyroom_wire::{ProposalType, Sender};

use crate::error::Rule;

/// Who may send a proposal of a type on its own (RFC 9420 §12.1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderType {
    /// A member.
    Member,
    /// An entry of `external_senders`: the registry's column "Ext".
    External,
    /// A client that proposes its own addition.
    NewMember,
}

/// Whether a commit that covers a type needs a path (§12.4): the registry's column "Path".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathNeed {
    /// It does.
    Required,
    /// It does not on account of this type.
    Optional,
}

/// How a type may stand in one kind of commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitUse {
    /// Not at all.
    Forbidden,
    /// By value only.
    ByValue,
    /// By reference only.
    ByReference,
    /// Both ways.
    Any,
}

impl CommitUse {
    pub(super) fn admits_value(self) -> bool {
        matches!(self, Self::ByValue | Self::Any)
    }

    pub(super) fn admits_reference(self) -> bool {
        matches!(self, Self::ByReference | Self::Any)
    }
}

/// What is known of one proposal type (§17.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalTypeEntry {
    /// The type.
    pub proposal_type: ProposalType,
    /// Who may send it.
    pub senders: &'static [SenderType],
    /// Whether it needs a path.
    pub path: PathNeed,
    /// How it may stand in the commit of a member.
    pub member_commit: CommitUse,
    /// How it may stand in an external commit (§12.4.3.2).
    pub external_commit: CommitUse,
    /// Its place in the order of application (§12.3); those of RFC 9420 are multiples of ten, from
    /// GroupContextExtensions at 10 to ReInit at 70; SelfRemove has 25.
    pub order: u8,
}

impl ProposalTypeEntry {
    /// Whether the sender of a message may propose this type. A joiner by external commit may not
    /// propose anything on its own.
    pub fn may_send(&self, sender: Sender) -> bool {
        let sender = match sender {
            Sender::Member(_) => SenderType::Member,
            Sender::External(_) => SenderType::External,
            Sender::NewMemberProposal => SenderType::NewMember,
            Sender::NewMemberCommit => return false,
        };
        self.senders.contains(&sender)
    }

    /// The same as a rule that the sender breaks.
    pub(crate) fn check_sender(&self, sender: Sender) -> Result<(), Rule> {
        if self.may_send(sender) {
            return Ok(());
        }
        let update = self.proposal_type == ProposalType::UPDATE;
        Err(match sender {
            Sender::Member(_) | Sender::NewMemberCommit => Rule::SenderMayNotPropose,
            Sender::External(_) | Sender::NewMemberProposal if update => Rule::UpdateByNonMember,
            Sender::External(_) => Rule::ExternalSenderProposal,
            Sender::NewMemberProposal => Rule::NewMemberProposalType,
        })
    }
}

/// The proposal types of RFC 9420, SelfRemove of draft-ietf-mls-extensions, and those that an
/// application registers.
#[derive(Clone, Debug, Default)]
pub struct ProposalTable {
    registered: Vec<ProposalTypeEntry>,
}

const MEMBER: &[SenderType] = &[SenderType::Member];
const OUTSIDE: &[SenderType] = &[SenderType::Member, SenderType::External];
const ANYONE: &[SenderType] = &[SenderType::Member, SenderType::External, SenderType::NewMember];

const KNOWN: [ProposalTypeEntry; 8] = [
    known(
        ProposalType::GROUP_CONTEXT_EXTENSIONS,
        OUTSIDE,
        PathNeed::Required,
        CommitUse::Any,
        CommitUse::Forbidden,
        10,
    ),
    // By value it would be the committer's own, which the path replaces.
    known(ProposalType::UPDATE, MEMBER, PathNeed::Required, CommitUse::ByReference, CommitUse::Forbidden, 20),
    known(ProposalType::SELF_REMOVE, MEMBER, PathNeed::Required, CommitUse::ByReference, CommitUse::ByReference, 25),
    known(ProposalType::REMOVE, OUTSIDE, PathNeed::Required, CommitUse::Any, CommitUse::ByValue, 30),
    known(ProposalType::ADD, ANYONE, PathNeed::Optional, CommitUse::Any, CommitUse::Forbidden, 40),
    known(ProposalType::PSK, OUTSIDE, PathNeed::Optional, CommitUse::Any, CommitUse::ByValue, 50),
    known(ProposalType::EXTERNAL_INIT, &[], PathNeed::Required, CommitUse::Forbidden, CommitUse::ByValue, 60),
    known(ProposalType::REINIT, OUTSIDE, PathNeed::Optional, CommitUse::Any, CommitUse::Forbidden, 70),
];

const fn known(
    proposal_type: ProposalType,
    senders: &'static [SenderType],
    path: PathNeed,
    member_commit: CommitUse,
    external_commit: CommitUse,
    order: u8,
) -> ProposalTypeEntry {
    ProposalTypeEntry { proposal_type, senders, path, member_commit, external_commit, order }
}

impl ProposalTable {
    /// The table without registered types.
    pub const fn new() -> Self {
        Self { registered: Vec::new() }
    }

    /// Adds a type. An entry for a type that is already known does not change it.
    #[must_use]
    pub fn with(mut self, entry: ProposalTypeEntry) -> Self {
        if self.entry(entry.proposal_type).is_none() {
            self.registered.push(entry);
        }
        self
    }

    /// The types that may stand in an external commit by reference: SelfRemove and registered ones.
    /// None of RFC 9420 may (§12.4.3.2).
    pub(crate) fn named_by_joiners(&self) -> impl Iterator<Item = ProposalType> + '_ {
        let named = self.entries().filter(|entry| entry.external_commit.admits_reference());
        named.map(|entry| entry.proposal_type)
    }

    /// What is known of a type.
    pub fn entry(&self, proposal_type: ProposalType) -> Option<&ProposalTypeEntry> {
        self.entries().find(|entry| entry.proposal_type == proposal_type)
    }

    fn entries(&self) -> impl Iterator<Item = &ProposalTypeEntry> {
        KNOWN.iter().chain(&self.registered)
    }
}
