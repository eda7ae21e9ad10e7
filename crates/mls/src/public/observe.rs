//! A group as its Delivery Service sees it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Hash, Provider, Suite, Zeroizing};
use keyroom_wire::{
    AuthenticatedContent, Commit, Content, Decode, Encode, GroupContext, GroupInfo, LeafIndex, Limits, MlsMessage,
    Opaque, ProposalRef, ProposalType, PublicMessage, ReInit, Reader, Sender,
};

use super::stage::{Change, Committer};
use super::validate::index_of;
use super::{PublicState, SignedInfo};
use crate::config::{Config, Inputs};
use crate::error::{Error, Rule, Usage};
use crate::extension::{ExtensionTable, check_group_info_extensions};
use crate::fingerprint::Seed;
use crate::framing::VerifiedContent;
use crate::group::keys::put_bytes;
use crate::group::propose::ProposalCache;
use crate::group::stored::{PublicHead, check_version};
use crate::identity::{Member, Questions, Verdict};
use crate::proposals::PskContext;
use crate::public_message;
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind, RecordValue};
use crate::transcript;

/// The public state of a group, kept by someone who is not a member.
///
/// It checks all of a commit that needs no secret: signatures, proposals, the new tree, parent and
/// transcript hashes. What it cannot check are membership and confirmation tags, path ciphertexts
/// and PSKs: a member can still send those wrong.
#[derive(Clone, Debug)]
pub struct PublicGroup {
    state: PublicState,
    proposals: Arc<ProposalCache>,
    config: Arc<Config>,
    version: u64,
    reinit: Option<ReInit>,
}

/// A group that is about to be observed; its members have not been judged.
#[derive(Debug)]
pub struct Observing {
    group: PublicGroup,
    questions: Questions,
}

impl Observing {
    /// Who must be judged: every member.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// The observer's state. [`PublicGroup::store_whole`] writes it.
    ///
    /// # Errors
    /// [`Usage::WrongVerdict`].
    pub fn accept(self, verdict: &Verdict) -> Result<PublicGroup, Error> {
        if verdict.answers(&self.questions) { Ok(self.group) } else { Err(Usage::WrongVerdict.into()) }
    }
}

/// What a message was to an observer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observed {
    /// A proposal, now kept.
    Proposal(ProposalRef),
    /// A commit, to be judged and applied.
    Commit(Box<StagedPublicCommit>),
}

/// A commit that an observer has checked and not applied.
#[derive(Debug)]
pub struct StagedPublicCommit {
    base: Arc<[u8]>,
    base_interim: Hash,
    reinit: Option<ReInit>,
    next: PublicState,
    questions: Questions,
    committer: Sender,
    added: Vec<LeafIndex>,
    removed: Vec<Member>,
}

impl StagedPublicCommit {
    /// What must be judged before the commit may be applied.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Who committed.
    pub fn committer(&self) -> Sender {
        self.committer
    }

    /// The leaves added.
    pub fn added(&self) -> &[LeafIndex] {
        &self.added
    }

    /// The members removed, as they were.
    pub fn removed(&self) -> &[Member] {
        &self.removed
    }

    /// The context of the next epoch.
    pub fn next_context(&self) -> &GroupContext {
        &self.next.context
    }

    /// The member at a leaf in the next epoch, for policies that look at the state that would be.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn next_member(&self, leaf_index: LeafIndex) -> Result<Option<Member>, Error> {
        self.next.member(leaf_index)
    }

    /// Number of members in the next epoch.
    pub fn next_members_count(&self) -> u32 {
        self.next.tree.members()
    }

    /// The successor, if the commit ends the group (§11.2).
    pub fn reinit(&self) -> Option<&ReInit> {
        self.reinit.as_ref()
    }

    /// Whether a GroupInfo is that of the epoch that this commit begins: same context, same
    /// confirmation tag, signed by a member, same tree if it carries one. Its `external_pub` cannot
    /// be checked without a secret.
    ///
    /// # Errors
    /// The rule that the GroupInfo breaks.
    pub fn check_group_info(&self, group_info: &[u8], config: &Config) -> Result<(), Error> {
        self.next.check_group_info(group_info, &config.limits, &config.extensions)
    }
}

impl PublicGroup {
    /// Reads a GroupInfo, an encoded MLSMessage, and its tree, and validates both (§12.4.3.1).
    ///
    /// # Errors
    /// The rule that they break.
    pub fn observe(
        provider: &dyn Provider,
        group_info: &[u8],
        ratchet_tree: Option<&[u8]>,
        config: Arc<Config>,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Observing, Error> {
        let info = read_group_info(group_info, &config.limits)?;
        let suite = provider.suite(info.group_context.cipher_suite).map_err(|_| Usage::UnknownCipherSuite)?;
        let signed = SignedInfo::new(suite, info, ratchet_tree, &config)?;
        let (state, questions) = signed.validate(None, &config, inputs, Seed::random(rng))?;
        let group = Self { state, proposals: Arc::default(), config, version: 0, reinit: None };
        Ok(Observing { group, questions: Questions::new(questions) })
    }

    /// What all members agree on.
    pub fn context(&self) -> &GroupContext {
        &self.state.context
    }

    /// The successor, if a commit has ended the group (§11.2): nothing more is accepted in it.
    pub fn reinit(&self) -> Option<&ReInit> {
        self.reinit.as_ref()
    }

    /// The version of the stored state that this value corresponds to.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of the epoch.
    pub fn epoch(&self) -> u64 {
        self.state.epoch()
    }

    /// The cipher suite.
    pub fn suite(&self) -> &'static dyn Suite {
        self.state.suite
    }

    /// Number of members.
    pub fn members_count(&self) -> u32 {
        self.state.tree.members()
    }

    /// Whether all members support SelfRemove, so that they may send one.
    pub fn is_self_remove_capable(&self) -> bool {
        self.state.supports_proposal(ProposalType::SELF_REMOVE)
    }

    /// The member at a leaf.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn member(&self, leaf_index: LeafIndex) -> Result<Option<Member>, Error> {
        self.state.member(leaf_index)
    }

    /// All members in the order of their leaves.
    ///
    /// # Errors
    /// [`Error::Missing`]: this one needs the whole tree.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        self.state.members()
    }

    /// The ratchet tree in the form of the `ratchet_tree` extension.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn ratchet_tree(&self) -> Result<Vec<u8>, Error> {
        Ok(self.state.tree.export()?)
    }

    /// Whether a GroupInfo is that of the current epoch. See [`StagedPublicCommit::check_group_info`].
    ///
    /// # Errors
    /// The rule that the GroupInfo breaks.
    pub fn check_group_info(&self, group_info: &[u8]) -> Result<(), Error> {
        self.state.check_group_info(group_info, &self.config.limits, &self.config.extensions)
    }

    /// Checks one public handshake message of this group, an encoded MLSMessage.
    ///
    /// # Errors
    /// [`Error`] says who is at fault; the state is unchanged. [`Usage::WrongMessageKind`] for
    /// anything that is not a PublicMessage.
    pub fn process(&mut self, message: &[u8], inputs: &Inputs<'_>) -> Result<Observed, Error> {
        match MlsMessage::from_bytes(message, &self.config.limits)? {
            MlsMessage::PublicMessage(message) => self.process_public(message, inputs),
            _ => Err(Usage::WrongMessageKind.into()),
        }
    }

    fn process_public(&mut self, message: PublicMessage, inputs: &Inputs<'_>) -> Result<Observed, Error> {
        self.state.check_place(message.content.group_id.as_slice(), message.content.epoch)?;
        if self.reinit.is_some() {
            return Err(Rule::GroupReinitialised.into());
        }
        public_message::check_form(self.suite(), &message)?;
        let verified = self.state.verify(message.into_authenticated_content())?;
        match &verified.framed().content {
            Content::Proposal(proposal) => {
                let cache = Arc::make_mut(&mut self.proposals);
                let reference = cache.keep_public(&verified, proposal, &self.state, &self.config, inputs)?;
                Ok(Observed::Proposal(reference))
            }
            Content::Commit(commit) => Ok(Observed::Commit(Box::new(self.stage(&verified, commit, inputs)?))),
            Content::Application(_) => Err(Rule::ApplicationInPublicMessage.into()),
        }
    }

    fn stage(
        &self,
        verified: &VerifiedContent,
        commit: &Commit,
        inputs: &Inputs<'_>,
    ) -> Result<StagedPublicCommit, Error> {
        let content: &AuthenticatedContent = verified.authenticated();
        let committer = Committer::of(content.content.sender)?;
        let tag = content.auth.confirmation_tag.clone().ok_or(Rule::ConfirmationTag)?;
        if tag.len() != self.suite().kdf().output_len() {
            return Err(Rule::ConfirmationTag.into());
        }
        let list = self.proposals.resolve(commit, committer, &self.state, &self.config, PskContext::Group)?;
        if list.path_required() && commit.path.is_none() {
            return Err(Rule::PathMissing.into());
        }
        let mut change = Change::new(&self.state, &list, committer, &self.config, self.config.lifetime.check, inputs)?;
        if let Some(path) = &commit.path {
            change.set_path(committer, path, &self.config, inputs)?;
        }
        let mut context = change.finish()?;
        let interim = &self.state.interim_transcript_hash;
        let confirmed = transcript::confirmed_transcript_hash(self.suite(), interim, content);
        context.confirmed_transcript_hash = Opaque::from(confirmed.as_slice());
        let interim = transcript::interim_transcript_hash(self.suite(), &confirmed, &tag);
        Ok(StagedPublicCommit {
            base: self.state.context_bytes.clone(),
            base_interim: self.state.interim_transcript_hash,
            reinit: change.reinit.clone(),
            next: change.take_state(context, interim, tag),
            questions: Questions::new(change.questions),
            committer: committer.sender(),
            added: change.added.iter().map(|added| added.leaf_index).collect(),
            removed: change.removed,
        })
    }

    /// Applies a staged commit.
    ///
    /// # Errors
    /// [`Usage::StaleCommit`] if the commit was made from another state; [`Usage::WrongVerdict`].
    pub fn apply(&mut self, staged: StagedPublicCommit, verdict: &Verdict) -> Result<ChangeSet, Error> {
        let same_base =
            staged.base == self.state.context_bytes && staged.base_interim == self.state.interim_transcript_hash;
        if !same_base {
            return Err(Usage::StaleCommit.into());
        }
        if !verdict.answers(&staged.questions) {
            return Err(Usage::WrongVerdict.into());
        }
        let StagedPublicCommit { mut next, reinit, .. } = staged;
        let mut changes = ChangeSet::new(self.state.context.group_id.clone(), self.version);
        next.tree.changes(&self.state.tree, &mut changes)?;
        next.index.write(&mut changes);
        next.index.maintain_loaded(&mut changes);
        next.counts.write(Some(&self.state.counts), &mut changes);
        self.state = next;
        self.reinit = reinit;
        self.proposals = Arc::default();
        if self.version == 0 {
            // No store holds what the differences would be to.
            return self.store_whole();
        }
        changes.put(RecordKey::HEAD, self.head()?);
        self.version = changes.version;
        Ok(changes)
    }

    /// A change set that writes the whole state: for a group that is new to a store. Waiting
    /// proposals are not part of it; whoever stores messages reads them again.
    ///
    /// # Errors
    /// [`Error::Missing`] for a state that is not loaded.
    pub fn store_whole(&mut self) -> Result<ChangeSet, Error> {
        let mut changes = ChangeSet::new(self.state.context.group_id.clone(), 0);
        changes.version = self.version.saturating_add(1);
        // The index remembers which of its records a store holds; this one holds none.
        self.state.index = index_of(&self.state.tree, self.state.index.seed().clone())?;
        self.state.store_whole(&mut changes)?;
        changes.put(RecordKey::HEAD, self.head()?);
        self.version = changes.version;
        Ok(changes)
    }

    fn head(&self) -> Result<RecordValue, Error> {
        let reinit = self.reinit.as_ref().map(ReInit::to_bytes).unwrap_or_default();
        // Sized beforehand: a buffer that grows leaves the seed of the index behind.
        let mut out = Zeroizing::new(Vec::with_capacity(self.state.head_len() + reinit.len() + 16));
        out.push(1);
        self.state.encode_head(&mut out)?;
        put_bytes(&mut out, &reinit);
        Ok(out)
    }

    /// Opens a stored state; see [`Group::open`](crate::group::Group::open).
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`], [`Usage::UnknownCipherSuite`].
    pub fn open(
        provider: &dyn Provider,
        config: Arc<Config>,
        version: u64,
        records: &BTreeMap<RecordKey, RecordValue>,
    ) -> Result<Self, Error> {
        let head = records.get(&RecordKey::HEAD).ok_or_else(|| Missing([RecordKey::HEAD].into()))?;
        let mut reader = Reader::new(head, Limits::default());
        let corrupt = |_| Error::Corrupt(RecordKey::HEAD);
        check_version(&mut reader).map_err(corrupt)?;
        let head = PublicHead::decode(&mut reader).map_err(corrupt)?;
        let reinit = match reader.opaque().map_err(corrupt)? {
            [] => None,
            bytes => Some(ReInit::from_bytes(bytes, &Limits::default()).map_err(corrupt)?),
        };
        reader.finish().map_err(corrupt)?;
        let missing: Vec<RecordKey> =
            head.counts.records().0.into_iter().filter(|key| !records.contains_key(key)).collect();
        if !missing.is_empty() {
            return Err(Missing(missing).into());
        }
        let suite = provider.suite(head.context.cipher_suite).map_err(|_| Usage::UnknownCipherSuite)?;
        let state = head.open(suite, &config, records)?;
        Ok(Self { state, proposals: Arc::default(), config, version, reinit })
    }

    /// Takes in records that an operation asked for.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        debug_assert!(records.iter().all(|(key, _)| key.kind != RecordKind::Head));
        self.state.supply(records)
    }
}

fn read_group_info(bytes: &[u8], limits: &Limits) -> Result<GroupInfo, Error> {
    match MlsMessage::from_bytes(bytes, limits)? {
        MlsMessage::GroupInfo(info) => Ok(info),
        _ => Err(Usage::WrongMessageKind.into()),
    }
}

impl PublicState {
    /// Whether a GroupInfo is that of this epoch.
    fn check_group_info(&self, group_info: &[u8], limits: &Limits, table: &ExtensionTable) -> Result<(), Error> {
        let info = read_group_info(group_info, limits)?;
        check_group_info_extensions(&info.extensions, self.suite, table)?;
        if info.group_context != *self.context {
            return Err(Rule::GroupInfoContext.into());
        }
        if info.confirmation_tag != self.confirmation_tag {
            return Err(Rule::ConfirmationTag.into());
        }
        let signer = self.leaf(info.signer)?.ok_or(Rule::GroupInfoSigner)?;
        crate::group::info::verify_group_info(self.suite, &info, signer.signature_key())?;
        match info.extensions.get(keyroom_wire::ExtensionType::RATCHET_TREE) {
            Some(tree) if tree != self.tree.export()? => Err(Rule::TreesDiffer.into()),
            _ => Ok(()),
        }
    }
}
