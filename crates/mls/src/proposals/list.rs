use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::Suite;
use keyroom_wire::{
    Encode, Extensions, KeyPackage, LeafIndex, LeafNode, Opaque, PreSharedKeyId, Proposal, ProposalRef, ProposalType,
    ProtocolVersion, Psk, ReInit, ResumptionPskUsage, Sender,
};

use super::table::{PathNeed, ProposalTable, ProposalTypeEntry};
use crate::error::Rule;
use crate::leaf_node::ensure;

/// One proposal of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalEntry {
    /// The proposal.
    pub proposal: Arc<Proposal>,
    /// Who sent it; for a proposal by value the committer.
    pub sender: Sender,
    /// Its reference, unless it stands in the commit by value.
    pub reference: Option<ProposalRef>,
}

impl ProposalEntry {
    /// The leaf that it takes out if it is a SelfRemove.
    pub(crate) fn leaving(&self) -> Option<LeafIndex> {
        leaving(&self.proposal, self.sender)
    }

    /// The leaf that it names if it is a Remove.
    pub(crate) fn removed(&self) -> Option<LeafIndex> {
        match *self.proposal {
            Proposal::Remove { removed } => Some(removed),
            _ => None,
        }
    }
}

/// Which kind of commit PSKs are used in (RFC 9420 §12.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PskContext {
    /// Any commit of a group.
    Group,
    /// The first commit of a reinitialised group (§11.2).
    ReInit,
    /// The first commit of a branch (§11.3).
    Branch,
}

/// What a list is checked against.
#[derive(Clone, Copy)]
pub struct ListRules<'a> {
    /// The group's cipher suite.
    pub suite: &'a dyn Suite,
    /// The group's protocol version.
    pub version: ProtocolVersion,
    /// Known proposal types.
    pub table: &'a ProposalTable,
    /// Whether a leaf is non-blank in the tree before the commit; false outside the tree.
    pub is_member: &'a dyn Fn(LeafIndex) -> bool,
    /// What PSKs are for.
    pub psks: PskContext,
    /// Most proposals in a commit.
    pub max_proposals: usize,
    /// Most bytes of all proposals together, encoded.
    pub max_bytes: usize,
    /// Most PSKs in a commit.
    pub max_psks: usize,
}

impl fmt::Debug for ListRules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListRules").field("suite", &self.suite).field("psks", &self.psks).finish_non_exhaustive()
    }
}

/// Why a list was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListError {
    /// The committer broke a rule.
    Rule(Rule),
    /// Our limit on the number or size of proposals.
    TooManyProposals,
    /// Our limit on the number of PSKs.
    TooManyPsks,
}

impl From<Rule> for ListError {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::TooManyProposals => f.write_str("more proposals than a commit may hold"),
            Self::TooManyPsks => f.write_str("more PSKs than a commit may hold"),
        }
    }
}

impl core::error::Error for ListError {}

/// A list of proposals that is valid as far as it can be without the tree (§12.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalList {
    entries: Vec<ProposalEntry>,
    path: PathNeed,
    /// Positions of proposals whose effect is the application's, in the order of application.
    custom: Vec<usize>,
}

impl ProposalList {
    /// Checks the list of a member's commit.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn of_member(
        entries: Vec<ProposalEntry>,
        committer: LeafIndex,
        rules: &ListRules<'_>,
    ) -> Result<Self, ListError> {
        check_limits(&entries, rules)?;
        for entry in &entries {
            check_in_member_commit(entry, committer, rules.table)?;
            check_proposal(&entry.proposal, rules)?;
        }
        check_targets(&entries, Some(committer))?;
        check_adds(&entries)?;
        check_psks(&entries)?;
        check_single(&entries)?;
        Ok(Self::checked(entries, rules.table))
    }

    /// Checks the list of an external commit.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn of_external_commit(entries: Vec<ProposalEntry>, rules: &ListRules<'_>) -> Result<Self, ListError> {
        check_limits(&entries, rules)?;
        for entry in &entries {
            check_in_external_commit(entry, rules.table)?;
            check_proposal(&entry.proposal, rules)?;
        }
        ensure(count(&entries, ProposalType::EXTERNAL_INIT) == 1, Rule::ExternalInitCount)?;
        ensure(count(&entries, ProposalType::REMOVE) <= 1, Rule::ExternalRemoveCount)?;
        check_targets(&entries, None)?;
        check_psks(&entries)?;
        let list = Self::checked(entries, rules.table);
        Ok(Self { path: PathNeed::Required, ..list })
    }

    fn checked(entries: Vec<ProposalEntry>, table: &ProposalTable) -> Self {
        let known = |entry: &ProposalEntry| table.entry(entry.proposal.proposal_type()).copied();
        let required = entries.iter().any(|e| known(e).is_none_or(|known| known.path == PathNeed::Required));
        let path = if entries.is_empty() || required { PathNeed::Required } else { PathNeed::Optional };
        let mut custom: Vec<(u8, usize)> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| matches!(*entry.proposal, Proposal::Custom { .. }))
            .map(|(position, entry)| (known(entry).map_or(u8::MAX, |known| known.order), position))
            .collect();
        custom.sort_unstable();
        Self { entries, path, custom: custom.into_iter().map(|(_, position)| position).collect() }
    }

    /// Whether the commit must have a path (§12.4).
    pub fn path_required(&self) -> bool {
        self.path == PathNeed::Required
    }

    /// All proposals, in the order of the commit.
    pub fn iter(&self) -> impl Iterator<Item = &ProposalEntry> {
        self.entries.iter()
    }

    /// All proposals, owned.
    pub(crate) fn into_entries(self) -> Vec<ProposalEntry> {
        self.entries
    }

    /// Number of proposals.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the commit covers no proposal.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The new extensions, if the list replaces them.
    pub fn group_context_extensions(&self) -> Option<&Extensions> {
        self.entries.iter().find_map(|entry| match &*entry.proposal {
            Proposal::GroupContextExtensions { extensions } => Some(extensions),
            _ => None,
        })
    }

    /// The leaves updated, each with its new content.
    pub fn updates(&self) -> impl Iterator<Item = (LeafIndex, &LeafNode)> {
        self.entries.iter().filter_map(|entry| match (&*entry.proposal, entry.sender) {
            (Proposal::Update { leaf_node }, Sender::Member(leaf_index)) => Some((leaf_index, &**leaf_node)),
            _ => None,
        })
    }

    /// The members that take themselves out of the group, in the order of the commit.
    pub fn self_removes(&self) -> impl Iterator<Item = LeafIndex> {
        self.entries.iter().filter_map(ProposalEntry::leaving)
    }

    /// The leaves that Remove proposals name; not those of [`self_removes`](Self::self_removes).
    pub fn removes(&self) -> impl Iterator<Item = LeafIndex> {
        self.entries.iter().filter_map(ProposalEntry::removed)
    }

    /// The clients added, in order.
    pub fn adds(&self) -> impl Iterator<Item = &KeyPackage> {
        adds(&self.entries)
    }

    /// The PSKs, in order.
    pub fn psks(&self) -> impl Iterator<Item = &PreSharedKeyId> {
        psks(&self.entries)
    }

    /// The encapsulated key of an external joiner.
    pub fn external_init(&self) -> Option<&Opaque> {
        self.entries.iter().find_map(|entry| match &*entry.proposal {
            Proposal::ExternalInit { kem_output } => Some(kem_output),
            _ => None,
        })
    }

    /// The successor, if the group ends with the commit.
    pub fn reinit(&self) -> Option<&ReInit> {
        self.entries.iter().find_map(|entry| match &*entry.proposal {
            Proposal::ReInit(reinit) => Some(reinit),
            _ => None,
        })
    }

    /// The proposals whose effect is the application's, in the order of application.
    pub fn custom(&self) -> impl Iterator<Item = &ProposalEntry> {
        self.custom.iter().filter_map(|position| self.entries.get(*position))
    }

    /// The types that RFC 9420 does not define, once for each proposal. Every member that processes the
    /// commit must support them: those of the tree after the removes and before the adds (§12.2).
    pub fn types_to_support(&self) -> impl Iterator<Item = ProposalType> {
        self.entries.iter().map(|entry| entry.proposal.proposal_type()).filter(|t| !t.is_default())
    }
}

fn check_limits(entries: &[ProposalEntry], rules: &ListRules<'_>) -> Result<(), ListError> {
    if entries.len() > rules.max_proposals {
        return Err(ListError::TooManyProposals);
    }
    if count(entries, ProposalType::PSK) > rules.max_psks {
        return Err(ListError::TooManyPsks);
    }
    let mut buffer = Vec::new();
    let mut left = rules.max_bytes;
    for entry in entries {
        buffer.clear();
        entry.proposal.encode(&mut buffer);
        left = left.checked_sub(buffer.len()).ok_or(ListError::TooManyProposals)?;
    }
    Ok(())
}

fn count(entries: &[ProposalEntry], proposal_type: ProposalType) -> usize {
    entries.iter().filter(|entry| entry.proposal.proposal_type() == proposal_type).count()
}

fn adds(entries: &[ProposalEntry]) -> impl Iterator<Item = &KeyPackage> {
    entries.iter().filter_map(|entry| match &*entry.proposal {
        Proposal::Add { key_package } => Some(&**key_package),
        _ => None,
    })
}

fn psks(entries: &[ProposalEntry]) -> impl Iterator<Item = &PreSharedKeyId> {
    entries.iter().filter_map(|entry| match &*entry.proposal {
        Proposal::PreSharedKey { psk } => Some(psk),
        _ => None,
    })
}

/// The leaf that a proposal takes out if it is a SelfRemove: its sender's.
pub(crate) fn leaving(proposal: &Proposal, sender: Sender) -> Option<LeafIndex> {
    match (proposal, sender) {
        (Proposal::SelfRemove, Sender::Member(leaf_index)) => Some(leaf_index),
        _ => None,
    }
}

fn known<'a>(entry: &ProposalEntry, table: &'a ProposalTable) -> Result<&'a ProposalTypeEntry, Rule> {
    table.entry(entry.proposal.proposal_type()).ok_or(Rule::ProposalTypeNotSupported)
}

/// Type and sender of one proposal in a member's commit.
fn check_in_member_commit(entry: &ProposalEntry, committer: LeafIndex, table: &ProposalTable) -> Result<(), Rule> {
    let proposal_type = entry.proposal.proposal_type();
    ensure(proposal_type != ProposalType::EXTERNAL_INIT, Rule::ExternalInitByMember)?;
    let known = known(entry, table)?;
    known.check_sender(entry.sender)?;
    let own = entry.sender == Sender::Member(committer);
    ensure(proposal_type != ProposalType::UPDATE || !own, Rule::CommitterUpdate)?;
    check_self_remove(entry)?;
    ensure(proposal_type != ProposalType::SELF_REMOVE || !own, Rule::CommitterSelfRemove)?;
    let admitted = match entry.reference {
        Some(_) => known.member_commit.admits_reference(),
        None => known.member_commit.admits_value() && own,
    };
    ensure(admitted, Rule::SenderMayNotPropose)
}

/// By value a SelfRemove would be the committer's own, or a joiner's who is no member.
fn check_self_remove(entry: &ProposalEntry) -> Result<(), Rule> {
    let by_reference = entry.reference.is_some();
    ensure(by_reference || *entry.proposal != Proposal::SelfRemove, Rule::SelfRemoveByValue)
}

/// Type and sender of one proposal in an external commit.
fn check_in_external_commit(entry: &ProposalEntry, table: &ProposalTable) -> Result<(), Rule> {
    check_self_remove(entry)?;
    let admits = table.entry(entry.proposal.proposal_type()).map(|known| known.external_commit);
    let Some(admits) = admits.filter(|admits| admits.admits_value() || admits.admits_reference()) else {
        // By reference every type of RFC 9420 is refused, and for that reason.
        let by_reference = entry.reference.is_some();
        return Err(if by_reference { Rule::ExternalProposalByReference } else { Rule::ExternalProposalType });
    };
    match entry.reference {
        Some(_) => {
            ensure(admits.admits_reference(), Rule::ExternalProposalByReference)?;
            known(entry, table)?.check_sender(entry.sender)
        }
        None => {
            ensure(admits.admits_value(), Rule::ExternalProposalType)?;
            ensure(entry.sender == Sender::NewMemberCommit, Rule::SenderMayNotPropose)
        }
    }
}

/// What one proposal says on its own (§12.1).
pub(crate) fn check_proposal(proposal: &Proposal, rules: &ListRules<'_>) -> Result<(), Rule> {
    match proposal {
        Proposal::Remove { removed } => ensure((rules.is_member)(*removed), Rule::RemovedNotMember),
        Proposal::PreSharedKey { psk } => check_psk(psk, rules),
        Proposal::ReInit(reinit) => {
            ensure(reinit.version >= rules.version, Rule::ReInitVersion)?;
            ensure(reinit.extensions.duplicate().is_none(), Rule::DuplicateExtension)
        }
        Proposal::ExternalInit { kem_output } => {
            ensure(kem_output.len() == rules.suite.kem().encapsulation_len(), Rule::ExternalInitKemOutput)
        }
        Proposal::Add { .. }
        | Proposal::Update { .. }
        | Proposal::GroupContextExtensions { .. }
        | Proposal::SelfRemove
        | Proposal::Custom { .. } => Ok(()),
    }
}

fn check_psk(id: &PreSharedKeyId, rules: &ListRules<'_>) -> Result<(), Rule> {
    ensure(id.psk_nonce.len() == rules.suite.kdf().output_len(), Rule::PskNonceLength)?;
    match id.psk {
        Psk::External { .. } | Psk::Resumption { usage: ResumptionPskUsage::Application, .. } => Ok(()),
        Psk::Resumption { usage: ResumptionPskUsage::ReInit, .. } => {
            ensure(rules.psks == PskContext::ReInit, Rule::ReInitPsk)
        }
        Psk::Resumption { usage: ResumptionPskUsage::Branch, .. } => {
            ensure(rules.psks == PskContext::Branch, Rule::BranchPsk)
        }
    }
}

/// The leaves that updates and removes name: never the committer's, each once, each updated by a member.
/// Who goes by itself is not updated or removed besides.
fn check_targets(entries: &[ProposalEntry], committer: Option<LeafIndex>) -> Result<(), Rule> {
    let mut leaving: Vec<LeafIndex> = entries.iter().filter_map(ProposalEntry::leaving).collect();
    leaving.sort_unstable();
    ensure(!repeats(&leaving), Rule::SelfRemoveTwice)?;
    let mut targets = Vec::new();
    for entry in entries {
        match (&*entry.proposal, entry.sender) {
            (Proposal::Remove { removed }, _) => {
                ensure(Some(*removed) != committer, Rule::CommitterRemove)?;
                ensure(leaving.binary_search(removed).is_err(), Rule::RemoveBesideSelfRemove)?;
                targets.push(*removed);
            }
            (Proposal::Update { .. }, Sender::Member(leaf_index)) => targets.push(leaf_index),
            _ => {}
        }
    }
    targets.extend(leaving);
    ensure(all_different(targets), Rule::LeafTouchedTwice)
}

/// Clients are told apart by their keys here; the application is asked about identities.
fn check_adds(entries: &[ProposalEntry]) -> Result<(), Rule> {
    let packages = || adds(entries);
    ensure(all_different(packages().map(|p| &p.leaf_node.signature_key).collect()), Rule::ClientAddedTwice)?;
    ensure(all_different(packages().map(|p| &p.init_key).collect()), Rule::InitKeyAddedTwice)?;
    let updated = entries.iter().filter_map(|entry| match &*entry.proposal {
        Proposal::Update { leaf_node } => Some(&leaf_node.encryption_key),
        _ => None,
    });
    let mut leaf_keys: Vec<_> = packages().map(|p| &p.leaf_node.encryption_key).chain(updated).collect();
    leaf_keys.sort_unstable();
    // One key for init and leaf of the same package has a rule of its own (§10.1).
    let others = packages().filter(|p| p.init_key != p.leaf_node.encryption_key);
    let init_key_elsewhere = others.map(|p| &p.init_key).any(|key| leaf_keys.binary_search(&key).is_ok());
    ensure(!init_key_elsewhere, Rule::InitKeyIsLeafKey)
}

fn check_psks(entries: &[ProposalEntry]) -> Result<(), Rule> {
    ensure(all_different(psks(entries).collect()), Rule::DuplicatePsk)
}

/// What may stand in a list once, or alone.
fn check_single(entries: &[ProposalEntry]) -> Result<(), Rule> {
    let extensions = count(entries, ProposalType::GROUP_CONTEXT_EXTENSIONS);
    ensure(extensions <= 1, Rule::DuplicateGroupContextExtensions)?;
    let reinits = count(entries, ProposalType::REINIT);
    ensure(reinits == 0 || entries.len() == 1, Rule::ReInitNotAlone)
}

fn all_different<T: Ord>(mut items: Vec<T>) -> bool {
    items.sort_unstable();
    !repeats(&items)
}

fn repeats<T: PartialEq>(sorted: &[T]) -> bool {
    sorted.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}
