//! Proposals: own ones, those received and kept for a commit, and those from outside the group
//! (RFC 9420 §12.1).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret, Signer, Zeroizing};
use keyroom_wire::{
    AuthenticatedContent, Commit, Content, Decode, DecodeError, Encode, ExternalSender, FramedContent, GroupContext,
    KeyPackage, LeafIndex, LeafNodeSource, Limits, MlsMessage, Opaque, Proposal, ProposalOrRef, ProposalRef,
    ProposalType, PublicMessage, Reader, Sender, WireFormat,
};

use super::Group;
use super::keys::{put, put_bytes};
use crate::config::{Config, Inputs};
use crate::error::{Error, NotYet, Refusal, Rule, Usage};
use crate::extension::GroupExtensions;
use crate::framing::{self, VerifiedContent};
use crate::key_package::ValidKeyPackage;
use crate::leaf_node::{LeafExpectation, LeafNodeParts, LeafPlace, generate_key_pair, sign_leaf};
use crate::proposals::{ListError, ListRules, ProposalEntry, ProposalList, PskContext, check_proposal, leaving};
use crate::public::{Committer, PublicState};
use crate::record::{ChangeSet, RecordKey, RecordKind, RecordValue};

/// The proposals of the current epoch that a commit may name by reference.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProposalCache {
    cached: BTreeMap<ProposalRef, Cached>,
    /// How many each sender has; newcomers count as one.
    of_sender: BTreeMap<(u8, u32), usize>,
    /// Whose SelfRemove is among them.
    leaving: BTreeSet<LeafIndex>,
    /// Encoded length of all.
    bytes: usize,
    next: u64,
}

/// Whether a proposal that was kept is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is.
    New,
    /// It was there already: nothing has changed.
    Known,
}

#[derive(Clone, Debug)]
struct Cached {
    number: u64,
    proposal: Arc<Proposal>,
    /// Encoded length of the proposal.
    bytes: usize,
    sender: Sender,
    /// The private key of an own Update.
    leaf_private: Option<Arc<Secret>>,
}

/// A proposal that waits for a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingProposal {
    /// Its reference.
    pub reference: ProposalRef,
    /// What is proposed.
    pub proposal: Arc<Proposal>,
    /// Who proposed it.
    pub sender: Sender,
}

impl ProposalCache {
    /// Keeps a proposal; one that is known already changes nothing (checklist row 138).
    pub(crate) fn insert(
        &mut self,
        reference: ProposalRef,
        content: &FramedContent,
        proposal: &Proposal,
        leaf_private: Option<Secret>,
        config: &Config,
        changes: &mut ChangeSet,
    ) -> Result<Kept, Error> {
        if self.cached.contains_key(&reference) {
            return Ok(Kept::Known);
        }
        let (sender, bytes) = (content.sender, proposal.to_bytes().len());
        self.check_first(sender, proposal)?;
        self.check_room(sender, bytes, config)?;
        let leaf_private = leaf_private.map(Arc::new);
        let cached = Cached { number: self.next, proposal: Arc::new(proposal.clone()), bytes, sender, leaf_private };
        self.next += 1;
        changes.put(RecordKey::new(RecordKind::Proposal, content.epoch, cached.number), cached.encode(&reference));
        self.enter(reference, cached);
        Ok(Kept::New)
    }

    /// A member takes itself out once in an epoch.
    fn check_first(&self, sender: Sender, proposal: &Proposal) -> Result<(), Rule> {
        let first = leaving(proposal, sender).is_none_or(|leaf_index| !self.is_leaving(leaf_index));
        if first { Ok(()) } else { Err(Rule::SelfRemoveTwice) }
    }

    /// Keeps a proposal that somebody without the group's secrets has verified. Nothing is stored.
    pub(crate) fn keep_public(
        &mut self,
        verified: &VerifiedContent,
        proposal: &Proposal,
        public: &PublicState,
        config: &Config,
        inputs: &Inputs<'_>,
    ) -> Result<ProposalRef, Error> {
        check_alone(proposal, verified.framed().sender, public, config, inputs)?;
        let reference = verified.proposal_ref(public.suite);
        let mut unused = ChangeSet::new(public.context.group_id.clone(), 0);
        self.insert(reference.clone(), verified.framed(), proposal, None, config, &mut unused)?;
        Ok(reference)
    }

    /// Whether a member's SelfRemove waits.
    pub(crate) fn is_leaving(&self, leaf_index: LeafIndex) -> bool {
        self.leaving.contains(&leaf_index)
    }

    /// Nobody may take all the room: each sender has a share, and bytes count beside numbers.
    fn check_room(&self, sender: Sender, bytes: usize, config: &Config) -> Result<(), Refusal> {
        if self.cached.len() >= config.max_proposals {
            return Err(Refusal::TooManyProposals);
        }
        if self.of_sender.get(&share_of(sender)).copied().unwrap_or(0) >= config.max_proposals_per_sender {
            return Err(Refusal::TooManyProposalsOfSender);
        }
        let fits = self.bytes.saturating_add(bytes) <= config.max_waiting_bytes;
        if fits { Ok(()) } else { Err(Refusal::WaitingProposalsTooLong) }
    }

    fn enter(&mut self, reference: ProposalRef, cached: Cached) {
        *self.of_sender.entry(share_of(cached.sender)).or_default() += 1;
        if let Some(leaf_index) = leaving(&cached.proposal, cached.sender) {
            self.leaving.insert(leaf_index);
        }
        self.bytes = self.bytes.saturating_add(cached.bytes);
        self.cached.insert(reference, cached);
    }

    fn remove(&mut self, reference: &ProposalRef) -> Option<u64> {
        let cached = self.cached.remove(reference)?;
        if let Some(count) = self.of_sender.get_mut(&share_of(cached.sender)) {
            *count = count.saturating_sub(1);
        }
        if let Some(leaf_index) = leaving(&cached.proposal, cached.sender) {
            self.leaving.remove(&leaf_index);
        }
        self.bytes = self.bytes.saturating_sub(cached.bytes);
        Some(cached.number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cached.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::with_next(self.next);
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn with_next(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.cached.values().map(|cached| cached.number).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn store_all(&self, epoch: u64, changes: &mut ChangeSet) {
        for (reference, cached) in &self.cached {
            changes.put(RecordKey::new(RecordKind::Proposal, epoch, cached.number), cached.encode(reference));
        }
    }

    pub(super) fn restore(&mut self, key: RecordKey, bytes: &[u8]) -> Result<(), Error> {
        let (reference, cached) = Cached::decode(key.minor, bytes).map_err(|_| Error::Corrupt(key))?;
        self.enter(reference, cached);
        Ok(())
    }

    /// In the order in which they arrived.
    fn in_order(&self) -> Vec<(&ProposalRef, &Cached)> {
        let mut all: Vec<_> = self.cached.iter().collect();
        all.sort_unstable_by_key(|(_, cached)| cached.number);
        all
    }

    /// All, as entries of a list by reference, in the order in which they arrived.
    pub(super) fn listed(&self) -> Vec<ProposalEntry> {
        self.in_order().into_iter().map(|(reference, cached)| cached.listed(reference)).collect()
    }

    /// The proposals of a commit with their senders, and the rules for such a list checked (§12.2).
    pub(crate) fn resolve(
        &self,
        commit: &Commit,
        committer: Committer,
        public: &PublicState,
        config: &Config,
        psks: PskContext,
    ) -> Result<ProposalList, Error> {
        if commit.proposals.len() > config.max_proposals {
            return Err(Refusal::TooManyProposals.into());
        }
        let entries = commit
            .proposals
            .iter()
            .map(|entry| match entry {
                ProposalOrRef::Proposal(proposal) => Ok(ProposalEntry {
                    proposal: Arc::new(proposal.clone()),
                    sender: committer.sender(),
                    reference: None,
                }),
                ProposalOrRef::Reference(reference) => match self.cached.get(reference) {
                    Some(cached) => Ok(cached.listed(reference)),
                    None if committer == Committer::New && !joiners_name_proposals(public, config) => {
                        Err(Rule::ExternalProposalByReference.into())
                    }
                    None if reference.len() != public.suite.kdf().output_len() => Err(Rule::ProposalRefLength.into()),
                    None => Err(NotYet::UnknownProposal(reference.clone()).into()),
                },
            })
            .collect::<Result<Vec<_>, Error>>()?;
        check_list(entries, committer, public, config, psks)
    }

    /// The own Update among the proposals of a list, with its private key.
    pub(super) fn own_update(&self, list: &ProposalList) -> Option<(&ProposalRef, &Secret)> {
        list.iter().find_map(|entry| {
            let (reference, cached) = self.cached.get_key_value(entry.reference.as_ref()?)?;
            Some((reference, cached.leaf_private.as_deref()?))
        })
    }

    pub(super) fn take_leaf_private(&mut self, reference: &ProposalRef) -> Option<Secret> {
        Arc::into_inner(self.cached.get_mut(reference)?.leaf_private.take()?)
    }
}

/// Checks the rules of §12.2 for a list and its committer.
pub(crate) fn check_list(
    entries: Vec<ProposalEntry>,
    committer: Committer,
    public: &PublicState,
    config: &Config,
    psks: PskContext,
) -> Result<ProposalList, Error> {
    let is_member = |leaf_index| is_member(public, leaf_index);
    let rules = list_rules(public, config, psks, &is_member);
    let list = match committer {
        Committer::Member(leaf_index) => ProposalList::of_member(entries, leaf_index, &rules),
        Committer::New => ProposalList::of_external_commit(entries, &rules),
    };
    list.map_err(|error| match error {
        ListError::Rule(rule) => rule.into(),
        ListError::TooManyProposals => Refusal::TooManyProposals.into(),
        ListError::TooManyPsks => Refusal::TooManyPsks.into(),
    })
}

/// Whether a leaf is a member's. One that is not in memory is asked for when the proposals are applied.
fn is_member(public: &PublicState, leaf_index: LeafIndex) -> bool {
    public.leaf(leaf_index).map_or(true, |leaf| leaf.is_some())
}

fn list_rules<'a>(
    public: &PublicState,
    config: &'a Config,
    psks: PskContext,
    is_member: &'a dyn Fn(LeafIndex) -> bool,
) -> ListRules<'a> {
    ListRules {
        suite: public.suite,
        version: public.context.version,
        table: &config.proposals,
        is_member,
        psks,
        max_proposals: config.max_proposals,
        max_bytes: config.max_proposal_bytes,
        max_psks: config.max_psks,
    }
}

/// Whether a joiner may name a proposal at all: one of a type that the table admits there and that all
/// members support.
fn joiners_name_proposals(public: &PublicState, config: &Config) -> bool {
    config.proposals.named_by_joiners().any(|proposal_type| public.supports_proposal(proposal_type))
}

/// Under what the proposals of a sender are counted. Anybody can be a newcomer any number of times.
fn share_of(sender: Sender) -> (u8, u32) {
    match sender {
        Sender::Member(leaf_index) => (0, leaf_index.0),
        Sender::External(position) => (1, position),
        Sender::NewMemberProposal | Sender::NewMemberCommit => (2, 0),
    }
}

impl Cached {
    fn listed(&self, reference: &ProposalRef) -> ProposalEntry {
        ProposalEntry { proposal: self.proposal.clone(), sender: self.sender, reference: Some(reference.clone()) }
    }

    fn encode(&self, reference: &ProposalRef) -> RecordValue {
        let proposal = self.proposal.to_bytes();
        let room = proposal.len() + reference.len() + self.leaf_private.as_deref().map_or(0, Secret::len) + 32;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        put_bytes(&mut out, reference.as_slice());
        put(&mut out, self.sender);
        put_bytes(&mut out, &proposal);
        put_bytes(&mut out, self.leaf_private.as_deref().map(Secret::expose).unwrap_or_default());
        out
    }

    fn decode(number: u64, bytes: &[u8]) -> Result<(ProposalRef, Self), DecodeError> {
        let limits = Limits::default();
        let mut reader = Reader::new(bytes, limits);
        let reference = ProposalRef::from(reader.field()?);
        let sender = Sender::decode(&mut reader)?;
        let encoded = reader.opaque()?;
        let proposal = Arc::new(Proposal::from_bytes(encoded, &limits)?);
        let private = reader.field()?;
        reader.finish()?;
        let leaf_private = (!private.is_empty()).then(|| Arc::new(Secret::copy_of(private)));
        Ok((reference, Self { number, proposal, bytes: encoded.len(), sender, leaf_private }))
    }
}

/// An own proposal on its way out. The change set must be durable before the message leaves.
#[derive(Debug)]
pub struct OutgoingProposal {
    /// The message, an encoded MLSMessage.
    pub message: Vec<u8>,
    /// The reference by which commits name the proposal.
    pub reference: ProposalRef,
    /// What changed.
    pub changes: ChangeSet,
}

impl Group {
    /// The proposals that wait for a commit, in the order in which they arrived.
    pub fn pending_proposals(&self) -> Vec<PendingProposal> {
        let all = self.proposals.in_order();
        all.into_iter()
            .map(|(reference, cached)| PendingProposal {
                reference: reference.clone(),
                proposal: cached.proposal.clone(),
                sender: cached.sender,
            })
            .collect()
    }

    /// Forgets a waiting proposal: one that the application does not want, or that cannot be
    /// committed. A commit of another member that names it can then not be read until the proposal
    /// has been processed again.
    ///
    /// # Errors
    /// [`Usage::NoSuchProposal`].
    pub fn drop_proposal(&mut self, reference: &ProposalRef) -> Result<ChangeSet, Error> {
        let number = self.proposals.remove(reference).ok_or(Usage::NoSuchProposal)?;
        let mut changes = self.changes();
        changes.delete(RecordKey::new(RecordKind::Proposal, self.epoch(), number));
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(self.changed(changes))
    }

    /// Proposes a change (§12.1). For an own Update use [`Group::propose_update`]; to leave,
    /// [`Group::propose_self_remove`].
    ///
    /// # Errors
    /// [`Error::Usage`] for a signer that is not the own one; [`Rule::SenderMayNotPropose`] for a
    /// type that members do not propose by reference.
    pub fn propose(
        &mut self,
        proposal: Proposal,
        authenticated_data: &[u8],
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<OutgoingProposal, Error> {
        if matches!(proposal, Proposal::Update { .. } | Proposal::ExternalInit { .. }) {
            return Err(Rule::SenderMayNotPropose.into());
        }
        self.send_proposal(proposal, None, authenticated_data, signer, inputs, rng)
    }

    /// Proposes a new encryption key for the own leaf (§12.1.2); `new_signer` also replaces the
    /// signature key. The new key is stored with the change set and takes effect with the commit.
    ///
    /// # Errors
    /// As [`Group::propose`].
    pub fn propose_update(
        &mut self,
        authenticated_data: &[u8],
        signer: &dyn Signer,
        new_signer: Option<&dyn Signer>,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<OutgoingProposal, Error> {
        let own = self.public.leaf(self.own_leaf)?.ok_or(Usage::NotMember)?.node().to_owned()?;
        let pair = generate_key_pair(self.suite(), rng)?;
        let parts = LeafNodeParts::successor(&own, pair.public, LeafNodeSource::Update);
        let place = LeafPlace::Update { group_id: self.group_id(), leaf_index: self.own_leaf };
        let leaf_node = sign_leaf(parts, place, new_signer.unwrap_or(signer), rng)?;
        self.send_proposal(
            Proposal::Update { leaf_node: Box::new(leaf_node) },
            Some(pair.private),
            authenticated_data,
            signer,
            inputs,
            rng,
        )
    }

    /// Proposes to take this member out of the group (draft-ietf-mls-extensions, SelfRemove Proposal).
    /// Any other member can commit it, and so can whoever joins by external commit; it therefore
    /// travels as a PublicMessage, whatever the policy for handshakes. It holds in this epoch only.
    ///
    /// # Errors
    /// [`Rule::ProposalTypeNotSupported`] unless all members support it
    /// ([`is_self_remove_capable`](Self::is_self_remove_capable)); [`Rule::SelfRemoveTwice`] for a second
    /// one in the same epoch; [`Usage::WrongSigner`].
    pub fn propose_self_remove(
        &mut self,
        authenticated_data: &[u8],
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<OutgoingProposal, Error> {
        self.send_proposal(Proposal::SelfRemove, None, authenticated_data, signer, inputs, rng)
    }

    /// Whether all members support SelfRemove, so that they may send one.
    pub fn is_self_remove_capable(&self) -> bool {
        self.public.supports_proposal(ProposalType::SELF_REMOVE)
    }

    fn send_proposal(
        &mut self,
        proposal: Proposal,
        leaf_private: Option<Secret>,
        authenticated_data: &[u8],
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<OutgoingProposal, Error> {
        self.check_active()?;
        self.check_signer(signer)?;
        // Everything that can fail comes before a key is spent.
        let sender = Sender::Member(self.own_leaf);
        self.proposals.check_first(sender, &proposal)?;
        self.proposals.check_room(sender, proposal.to_bytes().len(), &self.config)?;
        check_alone(&proposal, sender, &self.public, &self.config, inputs)?;
        let content = self.framed(Content::Proposal(proposal.clone()), authenticated_data);
        let leaves = proposal == Proposal::SelfRemove;
        let wire_format = if leaves { WireFormat::PUBLIC_MESSAGE } else { self.config.handshakes.sends() };
        let content = framing::sign(signer, wire_format, content, &self.public.context_bytes, rng)?;
        let verified = VerifiedContent::own(content);
        let reference = verified.proposal_ref(self.suite());
        let mut changes = self.changes();
        let message = self.protect(verified.authenticated(), &mut changes, rng)?;
        let config = self.config.clone();
        let framed = verified.framed();
        self.proposals.insert(reference.clone(), framed, &proposal, leaf_private, &config, &mut changes)?;
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(OutgoingProposal { message, reference, changes: self.changed(changes) })
    }

    /// Keeps a received proposal after checking what can be checked before a commit names it.
    pub(super) fn keep_proposal(
        &mut self,
        verified: &VerifiedContent,
        proposal: &Proposal,
        inputs: &Inputs<'_>,
        changes: &mut ChangeSet,
    ) -> Result<(PendingProposal, Kept), Error> {
        let reference = verified.proposal_ref(self.suite());
        let framed = verified.framed();
        check_alone(proposal, framed.sender, &self.public, &self.config, inputs)?;
        let config = self.config.clone();
        let kept = self.proposals.insert(reference.clone(), framed, proposal, None, &config, changes)?;
        changes.put(RecordKey::HEAD, self.head()?);
        Ok((PendingProposal { reference, proposal: Arc::new(proposal.clone()), sender: framed.sender }, kept))
    }

    /// The content of an own message of the current epoch.
    pub(super) fn framed(&self, content: Content, authenticated_data: &[u8]) -> FramedContent {
        FramedContent {
            group_id: self.group_id().clone(),
            epoch: self.epoch(),
            sender: Sender::Member(self.own_leaf),
            authenticated_data: authenticated_data.into(),
            content,
        }
    }
}

/// Checks a proposal on its own, before it is kept (§12.1, checklist row 120).
pub(crate) fn check_alone(
    proposal: &Proposal,
    sender: Sender,
    public: &PublicState,
    config: &Config,
    inputs: &Inputs<'_>,
) -> Result<(), Error> {
    let expectation = LeafExpectation {
        suite: public.suite,
        version: public.context.version,
        group: Some(&public.extensions),
        extensions: &config.extensions,
        lifetimes: config.lifetime,
        now: Some(inputs.now),
    };
    let is_member = |leaf_index| is_member(public, leaf_index);
    check_proposal(proposal, &list_rules(public, config, PskContext::Group, &is_member))?;
    let proposal_type = proposal.proposal_type();
    let entry = config.proposals.entry(proposal_type).ok_or(Rule::ProposalTypeNotSupported)?;
    entry.check_sender(sender)?;
    match (proposal, sender) {
        (Proposal::Add { key_package }, _) => {
            ValidKeyPackage::validate((**key_package).clone(), &expectation)?;
        }
        (Proposal::Update { leaf_node }, Sender::Member(leaf_index)) => {
            let place = LeafPlace::Update { group_id: &public.context.group_id, leaf_index };
            expectation.validate(place, (**leaf_node).clone())?;
        }
        (Proposal::GroupContextExtensions { extensions }, _) => {
            GroupExtensions::validate(extensions.clone(), public.suite, &config.extensions)?;
        }
        (Proposal::SelfRemove | Proposal::Custom { .. }, _) if !public.supports_proposal(proposal_type) => {
            return Err(Rule::ProposalTypeNotSupported.into());
        }
        _ => {}
    }
    Ok(())
}

/// A proposal of an external sender that the group lists (§12.1.8.1), as a PublicMessage.
///
/// # Errors
/// [`Usage::WrongSigner`] if the signer's key is not in the group's `external_senders`;
/// [`Error::Crypto`] if signing fails.
pub fn propose_externally(
    context: &GroupContext,
    proposal: Proposal,
    signer: &dyn Signer,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Error> {
    let senders: Vec<ExternalSender> =
        context.extensions.read(keyroom_wire::ExtensionType::EXTERNAL_SENDERS, &Limits::default())?.unwrap_or_default();
    let position = senders.iter().position(|sender| sender.signature_key == *signer.public_key());
    let position = position.and_then(|position| u32::try_from(position).ok()).ok_or(Usage::WrongSigner)?;
    from_outside(context, Sender::External(position), proposal, signer, rng)
}

/// The proposal of a client that asks to be added itself (§12.1.8), as a PublicMessage.
///
/// # Errors
/// [`Error::Crypto`] if signing fails.
pub fn propose_own_addition(
    context: &GroupContext,
    key_package: KeyPackage,
    signer: &dyn Signer,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Error> {
    from_outside(context, Sender::NewMemberProposal, Proposal::Add { key_package: Box::new(key_package) }, signer, rng)
}

fn from_outside(
    context: &GroupContext,
    sender: Sender,
    proposal: Proposal,
    signer: &dyn Signer,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Error> {
    let content = FramedContent {
        group_id: context.group_id.clone(),
        epoch: context.epoch,
        sender,
        authenticated_data: Opaque::default(),
        content: Content::Proposal(proposal),
    };
    let AuthenticatedContent { content, auth, .. } =
        framing::sign(signer, WireFormat::PUBLIC_MESSAGE, content, b"", rng)?;
    Ok(MlsMessage::PublicMessage(PublicMessage { content, auth, membership_tag: None }).to_bytes())
}
