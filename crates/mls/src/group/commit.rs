//! Making a commit (RFC 9420 §12.4.1).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret, Signer};
use keyroom_wire::{
    AuthenticatedContent, Commit, Content, Credential, Encode, Extensions, GroupContext, KeyPackage, LeafIndex,
    LeafNode, LeafNodeSource, Mac, MlsMessage, Opaque, PreSharedKeyId, Proposal, ProposalOrRef, Psk, ReInit,
    UpdatePath, WireFormat,
};

use super::info::{ExternalJoins, GroupInfoContent, TreeDelivery, WelcomeParts, seal_welcome, sign_group_info};
use super::keys::PathKeys;
use super::path::PathSecrets;
use super::pending::{Pending, PendingId, hidden_content};
use super::stage::{NextEpoch, NextEpochParts, StagedCommit, kept_heights, own_keys};
use super::waiting::Waiting;
use super::{Group, stage};
use crate::config::Inputs;
use crate::error::{Error, Usage};
use crate::framing;
use crate::identity::{Questions, Verdict};
use crate::key_schedule::{AeadKey, CommitSecret, EncryptionSecret, EpochSecrets, JoinerSecret};
use crate::leaf_node::{LeafNodeParts, LeafPlace, generate_key_pair, sign_leaf};
use crate::proposals::{ProposalList, PskContext};
use crate::public::{Change, Committer};
use crate::record::{ChangeSet, Missing, RecordKey};
use crate::secret_tree::{RatchetType, SecretTreeError};
use crate::transcript;
use crate::tree::{Leaf, PathStep};

/// Whether a commit brings new keys for the committer even where its proposals do not ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathChoice {
    /// It always does: every commit then heals the committer's secrets (§16.6).
    #[default]
    Always,
    /// Only where §12.4 requires it.
    WhenRequired,
}

/// Collects what a commit shall do; [`CommitBuilder::build`] makes it.
#[must_use]
#[derive(Debug)]
pub struct CommitBuilder<'a> {
    pub(super) group: &'a mut Group,
    pub(super) values: Vec<Proposal>,
    pub(super) psks: Vec<Psk>,
    pub(super) waiting: Waiting,
    pub(super) path: PathChoice,
    pub(super) succeeding: PskContext,
    pub(super) authenticated_data: Vec<u8>,
    pub(super) welcome_tree: TreeDelivery,
    pub(super) welcome_external: ExternalJoins,
    pub(super) group_info: Option<GroupInfoContent>,
    pub(super) new_identity: Option<(&'a dyn Signer, Credential)>,
}

/// An own commit that has been made and not applied. The change set that came with it must be
/// durable before the message leaves. Dropping it is the rollback; [`Group::discard`] also forgets
/// what is stored.
///
/// What others read of it comes out step by step. The message leaves when the application has judged
/// what it does: [`message`](Self::message) takes the verdict. The Welcome must not be delivered
/// before the commit has been accepted (§14), so it comes with [`Applied::Epoch`]:
///
/// ```
/// use keyroom_mls::{error::Error, group::{Applied, Group, PendingCommit}, identity::Verdict};
///
/// fn accepted(group: &mut Group, pending: PendingCommit, verdict: &Verdict) -> Result<Option<Vec<u8>>, Error> {
///     match group.apply(pending.into_staged(), verdict)?.0 {
///         Applied::Epoch { admission, .. } => Ok(admission.welcome),
///         _ => Ok(None),
///     }
/// }
/// ```
///
/// and is out of reach until then:
///
/// ```compile_fail,E0616
/// use keyroom_mls::group::PendingCommit;
///
/// fn too_early(pending: PendingCommit) -> Option<Vec<u8>> {
///     pending.into_staged().admission.welcome
/// }
/// ```
///
/// A Delivery Service that takes commit and Welcome in one step, all or nothing, gets both by
/// [`for_atomic_delivery`](Self::for_atomic_delivery).
///
/// [`Applied::Epoch`]: super::Applied::Epoch
#[derive(Debug)]
pub struct PendingCommit {
    /// Names it in the group.
    pub id: PendingId,
    pub(super) message: Vec<u8>,
    pub(super) staged: StagedCommit,
}

/// What a commit brings beside its message, for those who are not in the group before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The Welcome for the members added, an encoded MLSMessage.
    pub welcome: Option<Vec<u8>>,
    /// The GroupInfo of the new epoch, if it was asked for; an encoded MLSMessage.
    pub group_info: Option<Vec<u8>>,
}

/// Everything that a commit brings, for a Delivery Service that accepts all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub struct AtomicDelivery<'a> {
    /// The commit, an encoded MLSMessage.
    pub message: &'a [u8],
    /// Welcome and GroupInfo.
    pub admission: &'a Admission,
}

impl PendingCommit {
    /// The message, an encoded MLSMessage. The verdict must answer this commit's questions: what one
    /// refuses oneself is not sent to others (§12.4).
    ///
    /// # Errors
    /// [`Usage::WrongVerdict`].
    pub fn message(&self, verdict: &Verdict) -> Result<&[u8], Error> {
        if verdict.answers(self.questions()) { Ok(&self.message) } else { Err(Usage::WrongVerdict.into()) }
    }

    /// Everything at once, for **one request to a Delivery Service that hands out the Welcome only if
    /// and when it accepts the commit** (§14). With any other, send [`message`](Self::message) alone
    /// and take the Welcome from [`Applied::Epoch`](super::Applied::Epoch).
    ///
    /// # Errors
    /// [`Usage::WrongVerdict`].
    pub fn for_atomic_delivery(&self, verdict: &Verdict) -> Result<AtomicDelivery<'_>, Error> {
        Ok(AtomicDelivery { message: self.message(verdict)?, admission: &self.staged.admission })
    }

    /// What must be judged before the commit may be applied.
    pub fn questions(&self) -> &Questions {
        self.staged.questions()
    }

    /// The commit as it would look to others.
    pub fn staged(&self) -> &StagedCommit {
        &self.staged
    }

    /// The value to apply.
    pub fn into_staged(self) -> StagedCommit {
        self.staged
    }
}

impl Group {
    /// Begins a commit. By default it covers all waiting proposals and brings new keys; a Welcome
    /// carries the tree.
    pub fn commit(&mut self) -> CommitBuilder<'_> {
        CommitBuilder {
            group: self,
            values: Vec::new(),
            psks: Vec::new(),
            waiting: Waiting::All,
            path: PathChoice::Always,
            succeeding: PskContext::Group,
            authenticated_data: Vec::new(),
            welcome_tree: TreeDelivery::Inside,
            welcome_external: ExternalJoins::NotOffered,
            group_info: None,
            new_identity: None,
        }
    }
}

impl<'a> CommitBuilder<'a> {
    /// Adds the client of a key package.
    #[expect(clippy::should_implement_trait, reason = "Add is the RFC's word for it")]
    pub fn add(self, key_package: KeyPackage) -> Self {
        self.propose(Proposal::Add { key_package: Box::new(key_package) })
    }

    /// Removes a member.
    pub fn remove(self, removed: LeafIndex) -> Self {
        self.propose(Proposal::Remove { removed })
    }

    /// Mixes in a pre-shared key; its nonce is drawn when the commit is made (§8.4).
    pub fn psk(mut self, psk: Psk) -> Self {
        self.psks.push(psk);
        self
    }

    /// Replaces all extensions of the GroupContext.
    pub fn extensions(self, extensions: Extensions) -> Self {
        self.propose(Proposal::GroupContextExtensions { extensions })
    }

    /// Ends the group in favour of another.
    pub fn reinit(self, reinit: ReInit) -> Self {
        self.propose(Proposal::ReInit(reinit))
    }

    /// Any proposal by value.
    pub fn propose(mut self, proposal: Proposal) -> Self {
        self.values.push(proposal);
        self
    }

    /// Which waiting proposals are covered.
    pub fn waiting(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    /// Whether new keys are brought in any case.
    pub fn path(self, path: PathChoice) -> Self {
        Self { path, ..self }
    }

    /// Data that travels in the clear, authenticated.
    pub fn authenticated_data(self, data: impl Into<Vec<u8>>) -> Self {
        Self { authenticated_data: data.into(), ..self }
    }

    /// How the tree reaches those who are welcomed. Out of band it is that of the new epoch, which
    /// [`Group::ratchet_tree`] gives when the commit has been applied: making it costs as much as there
    /// are members, and a Delivery Service that follows the group has it.
    pub fn welcome_tree(self, welcome_tree: TreeDelivery) -> Self {
        Self { welcome_tree, ..self }
    }

    /// Whether the GroupInfo inside the Welcome also lets its readers join externally.
    pub fn welcome_external(self, welcome_external: ExternalJoins) -> Self {
        Self { welcome_external, ..self }
    }

    /// Also makes a GroupInfo of the next epoch.
    pub fn group_info(self, content: GroupInfoContent) -> Self {
        Self { group_info: Some(content), ..self }
    }

    /// Gives the own leaf another signature key and credential. The commit itself is still signed
    /// with the old key, its GroupInfo with the new one.
    pub fn new_identity(self, signer: &'a dyn Signer, credential: Credential) -> Self {
        Self { new_identity: Some((signer, credential)), ..self }
    }

    /// Lets the commit carry the PSK of a predecessor (§11.2, §11.3).
    pub(super) fn succeeding(self, succeeding: PskContext) -> Self {
        Self { succeeding, ..self }
    }

    /// Makes the commit. The change set must be durable before the message leaves.
    ///
    /// # Errors
    /// [`Error::Rule`] if what was asked for breaks a rule that every receiver checks;
    /// [`Error::Usage`] for a signer that is not the own one; [`Error::NotYet`] for PSKs that were
    /// not passed in; [`Error::Missing`].
    pub fn build(
        mut self,
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(PendingCommit, ChangeSet), Error> {
        self.group.check_active()?;
        self.group.check_signer(signer)?;
        let list = self.list(inputs, rng)?;
        let committer = Committer::Member(self.group.own_leaf);
        let mut change = {
            let config = &self.group.config;
            Change::new(&self.group.public, &list, committer, config, config.lifetime.check, inputs)?
        };
        let psk_secret = self.group.combine_psks(&change.psks, inputs)?;
        let wants_path = list.path_required() || self.path == PathChoice::Always || self.new_identity.is_some();
        self.require(&change, wants_path)?;
        let path = if wants_path { Some(self.own_path(&mut change, signer, inputs, rng)?) } else { None };
        let provisional = change.finish()?;
        let sealed = self.seal_path(&change, path, &provisional, rng)?;
        let (update_path, path) = match sealed {
            Some((update_path, path)) => (Some(update_path), Some(path)),
            None => (None, None),
        };
        let commit = Commit { proposals: list.into_commit_entries(), path: update_path };
        let mut content = self.sign(commit, signer, rng)?;
        let schedule = self.schedule(&content, provisional, path.as_ref(), &psk_secret, !change.added.is_empty())?;
        content.auth.confirmation_tag = Some(schedule.tag.clone());
        self.finish(change, content, schedule, path, signer, inputs, rng)
    }

    /// Asks for all records that the commit takes, before any key is made or signature computed.
    fn require(&self, change: &Change, wants_path: bool) -> Result<(), Error> {
        let carries_tree = !change.added.is_empty() && self.welcome_tree == TreeDelivery::Inside;
        let exports = carries_tree || self.group_info.is_some_and(|content| content.tree == TreeDelivery::Inside);
        let mut missing = Vec::new();
        if exports {
            missing.extend(change.state.tree.require_all().err());
        }
        if wants_path {
            missing.extend(change.tree_before_adds.require_resolutions(self.group.own_leaf).err());
        }
        if self.group.config.handshakes.sends() == WireFormat::PRIVATE_MESSAGE {
            match self.group.secret_tree.next_key(self.group.own_leaf, RatchetType::Handshake) {
                Err(SecretTreeError::Missing(keys)) => missing.push(keys),
                other => drop(other?),
            }
        }
        let keys: BTreeSet<RecordKey> = missing.into_iter().flat_map(|missing| missing.0).collect();
        if keys.is_empty() { Ok(()) } else { Err(Missing(keys.into_iter().collect()).into()) }
    }

    /// Fresh keys for the own leaf and the path above it; the leaf is signed last, over the parent
    /// hash of what stands above it.
    fn own_path(
        &self,
        change: &mut Change,
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<OwnPathParts, Error> {
        let group = &*self.group;
        let suite = group.suite();
        let leaf_index = group.own_leaf;
        let own = group.public.leaf(leaf_index)?.ok_or(Usage::NotMember)?.node().to_owned()?;
        let pair = generate_key_pair(suite, rng)?;
        let first = Secret::random(suite.kdf().output_len(), rng);
        let steps = change.state.tree.filtered_direct_path(leaf_index)?;
        let secrets = PathSecrets::derive(suite, first.duplicate(), steps.len())?;
        let parent_hash = change.fill_path(leaf_index, &steps, &secrets.public_keys())?;
        let source = LeafNodeSource::Commit { parent_hash: Opaque::from(parent_hash) };
        let mut parts = LeafNodeParts::successor(&own, pair.public, source);
        let leaf_signer = match &self.new_identity {
            Some((new_signer, credential)) => {
                parts.credential = credential.clone();
                *new_signer
            }
            None => signer,
        };
        let place = LeafPlace::Commit { group_id: group.group_id(), leaf_index };
        let leaf_node = sign_leaf(parts, place, leaf_signer, rng)?;
        change.expectation(&group.config, inputs).check(place, &leaf_node)?;
        change.set_committer_leaf(Committer::Member(leaf_index), leaf_index, Leaf::from(&leaf_node))?;
        Ok(OwnPathParts { leaf_node, leaf_private: pair.private, first, steps, secrets })
    }

    fn seal_path(
        &self,
        change: &Change,
        path: Option<OwnPathParts>,
        provisional: &GroupContext,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<(UpdatePath, OwnPathParts)>, Error> {
        let Some(path) = path else { return Ok(None) };
        let tree = &change.tree_before_adds;
        let nodes = path.secrets.encrypt(self.group.suite(), tree, &path.steps, &provisional.to_bytes(), rng)?;
        Ok(Some((UpdatePath { leaf_node: path.leaf_node.clone(), nodes }, path)))
    }

    fn sign(
        &self,
        commit: Commit,
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> Result<AuthenticatedContent, Error> {
        let content = self.group.framed(Content::Commit(commit), &self.authenticated_data);
        let wire_format = self.group.config.handshakes.sends();
        framing::sign(signer, wire_format, content, &self.group.public.context_bytes, rng)
    }

    /// The key schedule of the next epoch (§8).
    fn schedule(
        &self,
        content: &AuthenticatedContent,
        provisional: GroupContext,
        path: Option<&OwnPathParts>,
        psk_secret: &crate::psk::PskSecret,
        welcomes: bool,
    ) -> Result<Schedule, Error> {
        let suite = self.group.suite();
        let interim = &self.group.public.interim_transcript_hash;
        let confirmed = transcript::confirmed_transcript_hash(suite, interim, content);
        let mut context = provisional;
        context.confirmed_transcript_hash = Opaque::from(confirmed.as_slice());
        let commit_secret = match path {
            Some(path) => path.secrets.commit_secret.duplicate().into(),
            None => CommitSecret::none(suite),
        };
        let init_secret = self.group.secrets.init_secret();
        let joiner = JoinerSecret::derive(suite, init_secret, commit_secret, &context.to_bytes())?;
        let joiner_secret = welcomes.then(|| Secret::copy_of(joiner.expose()));
        let member = joiner.into_member(suite, psk_secret);
        let welcome_key = member.welcome_key_nonce(suite)?;
        let (secrets, encryption) = member.into_epoch(suite, &context.to_bytes())?.into_secrets(suite)?;
        let tag = secrets.confirmation_tag(suite, &confirmed);
        Ok(Schedule { context, tag, joiner_secret, welcome_key, secrets, encryption })
    }

    #[expect(clippy::too_many_arguments, reason = "the last step takes over everything that the others made")]
    fn finish(
        self,
        change: Change,
        content: AuthenticatedContent,
        schedule: Schedule,
        path: Option<OwnPathParts>,
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(PendingCommit, ChangeSet), Error> {
        let Schedule { context, tag, joiner_secret, welcome_key, secrets, encryption } = schedule;
        let (added, psks) = (change.added.clone(), change.psks.clone());
        let (own, walked) = match path {
            None => (OwnSecrets::default(), None),
            Some(parts) => parts.split(),
        };
        let keys = own.keys.unwrap_or_default();
        let heights = kept_heights(&change.state, self.group.own_leaf, &self.group.keys, &keys)?;
        let next = NextEpochParts { context, tag, secrets, encryption, keys, heights, own_update: None };
        let id = PendingId(self.group.pending.next());
        let committer = Committer::Member(self.group.own_leaf);
        let mut staged = self.group.staged_epoch(change, committer, next, inputs);
        let signer = self.new_identity.as_ref().map_or(signer, |(new_signer, _)| *new_signer);
        let stage::Effect::Epoch(next) = &staged.effect else { return Err(Usage::NotMember.into()) };
        let welcome = match &joiner_secret {
            None => None,
            Some(joiner_secret) => {
                let path = walked.as_ref().map(|(steps, secrets)| (steps.as_slice(), secrets));
                let key = (&welcome_key, joiner_secret.expose());
                Some(self.welcome(next, key, path, &psks, &added, signer, rng)?)
            }
        };
        let group_info = self.next_group_info(next, signer, rng)?;
        let mut changes = self.group.changes();
        let message = self.group.protect(&content, &mut changes, rng)?;
        let pending = Pending {
            content: hidden_content(&content),
            message: message.clone(),
            leaf_private: own.leaf_private,
            path_secret: own.path_secret,
            welcome: welcome.clone(),
            group_info: group_info.clone(),
            psks: self.succeeding,
        };
        changes.put(id.key(), pending.encode());
        self.group.pending.insert(pending);
        changes.put(RecordKey::HEAD, self.group.head()?);
        *staged.admission = Admission { welcome, group_info };
        let pending = PendingCommit { id, message, staged };
        Ok((pending, self.group.changed(changes)))
    }

    #[expect(clippy::too_many_arguments, reason = "a Welcome is made of this many things")]
    fn welcome(
        &self,
        next: &NextEpoch,
        (key, joiner_secret): (&AeadKey, &[u8]),
        path: Option<(&[PathStep], &PathSecrets)>,
        psks: &[PreSharedKeyId],
        added: &[crate::public::Added],
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let content = GroupInfoContent { tree: self.welcome_tree, external: self.welcome_external };
        let own_leaf = self.group.own_leaf;
        let group_info = sign_group_info(&next.public, &next.secrets, own_leaf, content, signer, rng)?;
        let parts = WelcomeParts { group_info: &group_info, key, joiner_secret, path, psks, added };
        let welcome = seal_welcome(self.group.suite(), &parts, rng)?;
        Ok(MlsMessage::Welcome(welcome).to_bytes())
    }

    fn next_group_info(
        &self,
        next: &NextEpoch,
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(content) = self.group_info else { return Ok(None) };
        let info = sign_group_info(&next.public, &next.secrets, self.group.own_leaf, content, signer, rng)?;
        Ok(Some(MlsMessage::GroupInfo(info).to_bytes()))
    }
}

/// An own path before it is encrypted.
struct OwnPathParts {
    leaf_node: LeafNode,
    leaf_private: Secret,
    first: Secret,
    steps: Vec<PathStep>,
    secrets: PathSecrets,
}

/// The secrets of an own commit, as they are stored and as they are applied.
#[derive(Default)]
struct OwnSecrets {
    keys: Option<PathKeys>,
    leaf_private: Option<Secret>,
    path_secret: Option<Secret>,
}

/// A path and its secrets, from which joiners get theirs.
type Walked = (Vec<PathStep>, PathSecrets);

impl OwnPathParts {
    fn split(mut self) -> (OwnSecrets, Option<Walked>) {
        let pairs = core::mem::take(&mut self.secrets.keys);
        let keys = own_keys(&self.steps, pairs, self.leaf_private.duplicate());
        let own = OwnSecrets { keys: Some(keys), leaf_private: Some(self.leaf_private), path_secret: Some(self.first) };
        (own, Some((self.steps, self.secrets)))
    }
}

/// The key schedule of the next epoch.
struct Schedule {
    context: GroupContext,
    tag: Mac,
    joiner_secret: Option<Secret>,
    welcome_key: AeadKey,
    secrets: EpochSecrets,
    encryption: EncryptionSecret,
}

impl ProposalList {
    /// The list as it stands in a commit.
    pub(crate) fn into_commit_entries(self) -> Vec<ProposalOrRef> {
        self.into_entries()
            .into_iter()
            .map(|entry| match entry.reference {
                Some(reference) => ProposalOrRef::Reference(reference),
                None => ProposalOrRef::Proposal(Arc::unwrap_or_clone(entry.proposal)),
            })
            .collect()
    }
}
