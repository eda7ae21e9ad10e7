//! From a verified commit to the next epoch, held as a value (RFC 9420 §12.4.2).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::{KeyPair, Secret};
use keyroom_wire::{Commit, Encode, GroupContext, LeafIndex, Mac, Opaque, ReInit, Sender, UpdatePath};

use super::keys::PathKeys;
use super::path::{self, ReceivedPath};
use super::{Admission, Group, psks};
use crate::config::Inputs;
use crate::error::{Error, Rule};
use crate::framing::VerifiedContent;
use crate::identity::{Member, Questions};
use crate::key_schedule::{CommitSecret, EncryptionSecret, EpochSecrets, InitSecret, JoinerSecret};
use crate::proposals::PskContext;
use crate::public::{Change, Committer, PublicState};
use crate::transcript;
use crate::tree::{Leaf, NodeId, PathStep};

/// A commit that has been verified and not applied. Dropping it is the rollback.
#[derive(Debug)]
pub struct StagedCommit {
    pub(super) base: Base,
    pub(super) effect: Effect,
    pub(super) questions: Questions,
    pub(super) committer: Sender,
    pub(super) added: Vec<LeafIndex>,
    pub(super) removed: Vec<Member>,
    pub(super) replaced: BTreeMap<LeafIndex, Option<Leaf>>,
    pub(super) reinit: Option<ReInit>,
    pub(super) now: u64,
    /// The handshake key that opened a private commit: deleted when the commit is applied (§9.2).
    pub(super) spent: Option<(LeafIndex, u32)>,
    /// What an own commit brings for newcomers: handed out when it is applied (§14).
    pub(super) admission: Box<Admission>,
}

/// The state that a commit was made from: no two epochs share a confirmation tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    epoch: u64,
    confirmation_tag: Mac,
}

impl Base {
    pub(super) fn of(public: &PublicState) -> Self {
        Self { epoch: public.epoch(), confirmation_tag: public.confirmation_tag.clone() }
    }
}

/// What happens when the commit is applied.
#[derive(Debug)]
pub(super) enum Effect {
    /// The next epoch begins.
    Epoch(Box<NextEpoch>),
    /// We are out.
    Removed,
}

/// A next epoch, with only the secrets that are new in it.
#[derive(Debug)]
pub(super) struct NextEpoch {
    pub(super) public: PublicState,
    pub(super) secrets: EpochSecrets,
    pub(super) encryption: EncryptionSecret,
    /// New private keys by height.
    pub(super) keys: PathKeys,
    /// Heights at which a private key, new or kept, still fits the tree.
    pub(super) heights: Vec<u8>,
    /// The own Update proposal that takes effect: its key becomes the leaf's.
    pub(super) own_update: Option<keyroom_wire::ProposalRef>,
}

impl StagedCommit {
    /// What must be judged before the commit may be applied.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Who committed.
    pub fn committer(&self) -> Sender {
        self.committer
    }

    /// The leaves that it adds.
    pub fn added(&self) -> &[LeafIndex] {
        &self.added
    }

    /// The members that it removes, as they were.
    pub fn removed(&self) -> &[Member] {
        &self.removed
    }

    /// Whether it removes this client.
    pub fn removes_us(&self) -> bool {
        matches!(self.effect, Effect::Removed)
    }

    /// The context of the next epoch; `None` if the commit removes us.
    pub fn next_context(&self) -> Option<&GroupContext> {
        match &self.effect {
            Effect::Epoch(next) => Some(&next.public.context),
            Effect::Removed => None,
        }
    }

    /// The member at a leaf in the next epoch, for policies that look at the state that would be
    /// (§12.4); `None` if the leaf is blank or outside the tree, or the commit removes us.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn next_member(&self, leaf_index: LeafIndex) -> Result<Option<Member>, Error> {
        match &self.effect {
            Effect::Epoch(next) => next.public.member(leaf_index),
            Effect::Removed => Ok(None),
        }
    }

    /// Number of members in the next epoch; `None` if the commit removes us.
    pub fn next_members_count(&self) -> Option<u32> {
        match &self.effect {
            Effect::Epoch(next) => Some(next.public.tree.members()),
            Effect::Removed => None,
        }
    }

    /// The successor, if the commit ends the group.
    pub fn reinit(&self) -> Option<&ReInit> {
        self.reinit.as_ref()
    }

    /// The tree of the next epoch in the form of the `ratchet_tree` extension (§12.4.3.3); `None` if
    /// the commit removes us.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn next_ratchet_tree(&self) -> Result<Option<Vec<u8>>, Error> {
        match &self.effect {
            Effect::Epoch(next) => Ok(Some(next.public.tree.export()?)),
            Effect::Removed => Ok(None),
        }
    }

    /// `MLS-Exporter` of the epoch that would begin (§8.5).
    ///
    /// # Errors
    /// [`Error::Crypto`] for too long an output; [`Error::Usage`] if the commit removes us.
    pub fn export(&self, label: &str, context: &[u8], length: usize) -> Result<Secret, Error> {
        match &self.effect {
            Effect::Epoch(next) => Ok(next.secrets.export(next.public.suite, label, context, length)?),
            Effect::Removed => Err(crate::error::Usage::NotMember.into()),
        }
    }
}

/// The secrets of an own commit, found again after a restart.
pub(super) struct OwnPath {
    pub(super) leaf_private: Option<Secret>,
    pub(super) path_secret: Option<Secret>,
    /// What its PSKs are for: the first commit of a successor may carry what others may not.
    pub(super) psks: PskContext,
}

impl Group {
    /// Stages a commit, the content of a message whose signature has been verified. `own` is given for an own commit that is
    /// staged again from storage: its path is derived instead of decrypted.
    pub(super) fn stage(
        &self,
        verified: &VerifiedContent,
        commit: &Commit,
        own: Option<OwnPath>,
        inputs: &Inputs<'_>,
    ) -> Result<StagedCommit, Error> {
        let content = verified.authenticated();
        let committer = Committer::of(content.content.sender)?;
        let tag = content.auth.confirmation_tag.as_ref().ok_or(Rule::ConfirmationTag)?;
        let psks = own.as_ref().map_or(PskContext::Group, |own| own.psks);
        let list = self.proposals.resolve(commit, committer, &self.public, &self.config, psks)?;
        if list.path_required() && commit.path.is_none() {
            return Err(Rule::PathMissing.into());
        }
        self.public.tree.require_paths(&[self.own_leaf])?;
        let mut change =
            Change::new(&self.public, &list, committer, &self.config, self.config.received_lifetimes, inputs)?;
        let steps = self.set_received_path(&mut change, committer, commit, inputs)?;
        let provisional = change.finish()?;
        if change.removed.iter().any(|member| member.leaf_index == self.own_leaf) {
            return Ok(self.staged(change, committer, Effect::Removed, inputs));
        }
        let psk_secret = self.combine_psks(&change.psks, inputs)?;
        let own_update = self.proposals.own_update(&list);
        let received = match &commit.path {
            None => ReceivedPath {
                keys: PathKeys::default(),
                commit_secret: CommitSecret::none(self.suite()).into_secret(),
            },
            Some(path) => self.receive_path(&change, path, &steps, &provisional, own, own_update)?,
        };
        let confirmed =
            transcript::confirmed_transcript_hash(self.suite(), &self.public.interim_transcript_hash, content);
        let mut context = provisional;
        context.confirmed_transcript_hash = Opaque::from(confirmed.as_slice());
        let init_secret = self.external_init(change.external_init.as_ref())?;
        let joiner = JoinerSecret::derive(
            self.suite(),
            init_secret.as_ref().unwrap_or(self.secrets.init_secret()),
            received.commit_secret.into(),
            &context.to_bytes(),
        )?;
        let epoch_secret =
            joiner.into_member(self.suite(), &psk_secret).into_epoch(self.suite(), &context.to_bytes())?;
        let (secrets, encryption) = epoch_secret.into_secrets(self.suite())?;
        secrets.verify_confirmation_tag(self.suite(), &confirmed, tag)?;
        let heights = kept_heights(&change.state, self.own_leaf, &self.keys, &received.keys)?;
        let next = NextEpochParts {
            context,
            tag: tag.clone(),
            secrets,
            encryption,
            keys: received.keys,
            heights,
            own_update: own_update.map(|(reference, _)| reference.clone()),
        };
        Ok(self.staged_epoch(change, committer, next, inputs))
    }

    fn set_received_path(
        &self,
        change: &mut Change,
        committer: Committer,
        commit: &Commit,
        inputs: &Inputs<'_>,
    ) -> Result<Vec<PathStep>, Error> {
        match &commit.path {
            None => Ok(Vec::new()),
            Some(path) => Ok(change.set_path(committer, path, &self.config, inputs)?.1),
        }
    }

    /// The new private keys and the commit secret of a path: derived for an own commit, decrypted
    /// for a foreign one.
    fn receive_path(
        &self,
        change: &Change,
        path: &UpdatePath,
        steps: &[PathStep],
        provisional: &GroupContext,
        own: Option<OwnPath>,
        own_update: Option<(&keyroom_wire::ProposalRef, &Secret)>,
    ) -> Result<ReceivedPath, Error> {
        if let Some(OwnPath { leaf_private: Some(leaf_private), path_secret: Some(path_secret), .. }) = own {
            let expected = path.nodes.iter().map(|node| &node.encryption_key);
            let mut received = path::adopt(self.suite(), path_secret, steps, expected)?;
            received.keys.set(0, leaf_private);
            return Ok(received);
        }
        let updated_leaf = own_update.map(|(_, private)| private);
        let private_key = |height| match (height, updated_leaf) {
            (0, Some(private)) => Some(private),
            _ => self.keys.at(height),
        };
        path::decrypt(
            self.suite(),
            &change.tree_before_adds,
            steps,
            &path.nodes,
            self.own_leaf,
            private_key,
            &provisional.to_bytes(),
        )
    }

    /// The init secret that an external joiner has encapsulated (§8.3).
    fn external_init(&self, kem_output: Option<&Opaque>) -> Result<Option<InitSecret>, Error> {
        let Some(kem_output) = kem_output else { return Ok(None) };
        let external = self.secrets.external_key_pair(self.suite())?;
        let init = InitSecret::decapsulate(self.suite(), &external.private, kem_output);
        Ok(Some(init.map_err(|_| Rule::ExternalInitKemOutput)?))
    }

    pub(super) fn combine_psks(
        &self,
        ids: &[keyroom_wire::PreSharedKeyId],
        inputs: &Inputs<'_>,
    ) -> Result<crate::psk::PskSecret, Error> {
        let current = self.secrets.resumption_psk().as_secret();
        let own = |group_id: &keyroom_wire::GroupId, epoch| {
            if group_id != self.group_id() {
                None
            } else if epoch == self.epoch() {
                Some(current)
            } else {
                self.resumption.at(epoch)
            }
        };
        psks::combine(self.suite(), ids, own, &self.config, inputs)
    }

    pub(super) fn staged_epoch(
        &self,
        mut change: Change,
        committer: Committer,
        next: NextEpochParts,
        inputs: &Inputs<'_>,
    ) -> StagedCommit {
        let interim = transcript::interim_transcript_hash(
            self.suite(),
            next.context.confirmed_transcript_hash.as_slice(),
            &next.tag,
        );
        let public = change.take_state(next.context, interim, next.tag);
        let effect = Effect::Epoch(Box::new(NextEpoch {
            public,
            secrets: next.secrets,
            encryption: next.encryption,
            keys: next.keys,
            heights: next.heights,
            own_update: next.own_update,
        }));
        self.staged(change, committer, effect, inputs)
    }

    fn staged(&self, change: Change, committer: Committer, effect: Effect, inputs: &Inputs<'_>) -> StagedCommit {
        StagedCommit {
            base: Base::of(&self.public),
            effect,
            questions: Questions::new(change.questions),
            committer: committer.sender(),
            added: change.added.iter().map(|added| added.leaf_index).collect(),
            removed: change.removed,
            replaced: change.replaced,
            reinit: change.reinit,
            now: inputs.now,
            spent: None,
            admission: Box::default(),
        }
    }
}

/// What [`Group::staged_epoch`] puts together.
pub(super) struct NextEpochParts {
    pub(super) context: GroupContext,
    pub(super) tag: Mac,
    pub(super) secrets: EpochSecrets,
    pub(super) encryption: EncryptionSecret,
    pub(super) keys: PathKeys,
    pub(super) heights: Vec<u8>,
    pub(super) own_update: Option<keyroom_wire::ProposalRef>,
}

/// The heights at which a private key still belongs to a node: the leaf, and each parent on the
/// own direct path that is not blank.
pub(super) fn kept_heights(
    next: &PublicState,
    own_leaf: LeafIndex,
    kept: &PathKeys,
    new: &PathKeys,
) -> Result<Vec<u8>, Error> {
    let mut heights = Vec::new();
    for height in kept.heights().chain(new.heights()) {
        let fits = height == 0
            || (height <= next.tree.depth() && next.tree.parent(NodeId::above(own_leaf, height))?.is_some());
        if fits && !heights.contains(&height) {
            heights.push(height);
        }
    }
    Ok(heights)
}

/// The private keys of an own commit by height.
pub(super) fn own_keys(steps: &[PathStep], pairs: Vec<KeyPair>, leaf_private: Secret) -> PathKeys {
    let mut keys = PathKeys::leaf(leaf_private);
    steps.iter().zip(pairs).for_each(|(step, pair)| keys.set(step.node.height, pair.private));
    keys
}
