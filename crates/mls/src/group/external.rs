//! Joining by external commit (RFC 9420 §12.4.3.2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite};
use keyroom_wire::{
    Commit, Content, Decode, Encode, ExtensionType, ExternalPub, FramedContent, GroupId, HpkePublicKey, LeafIndex,
    LeafNodeSource, Limits, MlsMessage, Opaque, PreSharedKeyId, Proposal, Psk, PublicMessage, Sender, UpdatePath,
    WireFormat,
};

use super::info::{GroupInfoContent, sign_group_info};
use super::join::Joining;
use super::path::PathSecrets;
use super::propose::{ProposalCache, check_list};
use super::{Group, psks, stage};
use crate::config::{Config, Inputs};
use crate::error::{Error, Rule, Usage};
use crate::fingerprint::Seed;
use crate::framing;
use crate::identity::{Questions, Verdict};
use crate::key_package::KeyPackageBundle;
use crate::key_schedule::{InitSecret, JoinerSecret};
use crate::leaf_node::{LeafNodeParts, LeafPlace, generate_key_pair, sign_leaf};
use crate::proposals::{ProposalEntry, PskContext};
use crate::public::{Change, Committer, PublicState, SignedInfo};
use crate::public_message;
use crate::record::ChangeSet;
use crate::secret_tree::SecretTree;
use crate::transcript;
use crate::tree::Leaf;

/// What an external joiner decides.
#[must_use]
#[derive(Debug)]
pub struct ExternalJoinBuilder<'a> {
    suite: &'static dyn Suite,
    bundle: &'a KeyPackageBundle,
    config: Arc<Config>,
    ratchet_tree: Option<&'a [u8]>,
    resync: Option<LeafIndex>,
    groups: &'a [GroupId],
    psks: Vec<Psk>,
    self_removes: Vec<&'a [u8]>,
    authenticated_data: Vec<u8>,
    group_info: Option<GroupInfoContent>,
}

/// An external commit on its way: the group exists once the Delivery Service has accepted it.
#[derive(Debug)]
pub struct ExternalJoin {
    /// The commit, an encoded MLSMessage.
    pub message: Vec<u8>,
    /// The GroupInfo of the new epoch, if it was asked for; an encoded MLSMessage.
    pub group_info: Option<Vec<u8>>,
    joining: Joining,
}

impl ExternalJoin {
    /// Who must be judged: every member of the group.
    pub fn questions(&self) -> &Questions {
        self.joining.questions()
    }

    /// The group as it would be.
    pub fn group(&self) -> &Group {
        self.joining.group()
    }

    /// Takes the place in the group, after the Delivery Service has accepted the commit.
    ///
    /// # Errors
    /// [`Usage::WrongVerdict`].
    pub fn accept(self, verdict: &Verdict) -> Result<(Group, ChangeSet), Error> {
        self.joining.accept(verdict)
    }
}

impl Group {
    /// Begins an external join. The bundle gives credential, capabilities and extensions of the new
    /// leaf; its keys are not used, fresh ones are drawn.
    pub fn join_external<'a>(
        suite: &'static dyn Suite,
        bundle: &'a KeyPackageBundle,
        config: Arc<Config>,
    ) -> ExternalJoinBuilder<'a> {
        ExternalJoinBuilder {
            suite,
            bundle,
            config,
            ratchet_tree: None,
            resync: None,
            groups: &[],
            psks: Vec::new(),
            self_removes: Vec::new(),
            authenticated_data: Vec::new(),
            group_info: None,
        }
    }
}

impl<'a> ExternalJoinBuilder<'a> {
    /// The ratchet tree, if the GroupInfo does not carry it.
    pub fn ratchet_tree(self, ratchet_tree: &'a [u8]) -> Self {
        Self { ratchet_tree: Some(ratchet_tree), ..self }
    }

    /// Removes an own earlier leaf in the same commit. If its SelfRemove waits, that does it.
    pub fn resync(self, removed: LeafIndex) -> Self {
        Self { resync: Some(removed), ..self }
    }

    /// The groups that this client is in: it cannot join them again (§12.4.3), unless it takes the
    /// place of an own earlier leaf.
    pub fn groups(self, groups: &'a [GroupId]) -> Self {
        Self { groups, ..self }
    }

    /// Mixes in a pre-shared key, for instance a resumption PSK that proves earlier membership.
    pub fn psk(mut self, psk: Psk) -> Self {
        self.psks.push(psk);
        self
    }

    /// Covers a SelfRemove that waits in the epoch of the GroupInfo: the message in which a member sent
    /// it, an encoded MLSMessage. Whoever hands out the GroupInfo has them, and a joiner must cover all
    /// (draft-ietf-mls-extensions, SelfRemove Proposal). All of it is checked but the membership tag,
    /// for which it takes the secrets of the group. One that is passed twice counts once.
    pub fn self_remove(mut self, message: &'a [u8]) -> Self {
        self.self_removes.push(message);
        self
    }

    /// Data that travels in the clear, authenticated.
    pub fn authenticated_data(self, data: impl Into<Vec<u8>>) -> Self {
        Self { authenticated_data: data.into(), ..self }
    }

    /// Also makes a GroupInfo of the new epoch.
    pub fn group_info(self, content: GroupInfoContent) -> Self {
        Self { group_info: Some(content), ..self }
    }

    /// Makes the external commit from a GroupInfo, an encoded MLSMessage.
    ///
    /// # Errors
    /// [`Error::Rule`] for whatever the RFC tells a joiner to refuse, in a SelfRemove too; [`Error::NotYet`] for PSKs
    /// that were not passed in.
    pub fn build(
        self,
        group_info: &[u8],
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<ExternalJoin, Error> {
        // The leaf takes its credential from the key package, so its key must be the same too.
        if self.bundle.key_package.leaf_node.signature_key != *signer.public_key() {
            return Err(Usage::WrongSigner.into());
        }
        let MlsMessage::GroupInfo(info) = MlsMessage::from_bytes(group_info, &self.config.limits)? else {
            return Err(Usage::WrongMessageKind.into());
        };
        if info.group_context.cipher_suite != self.suite.cipher_suite() {
            return Err(Rule::GroupCipherSuite.into());
        }
        let external = info.extensions.read::<ExternalPub>(ExtensionType::EXTERNAL_PUB, &Limits::default());
        let external = external.map_err(|_| Rule::MalformedExtension)?.ok_or(Rule::ExternalPubAbsent)?;
        let signed = SignedInfo::new(self.suite, info, self.ratchet_tree, &self.config)?;
        if self.resync.is_none() && self.groups.contains(&signed.info.group_context.group_id) {
            return Err(Rule::AlreadyMember.into());
        }
        let (public, mut questions) = signed.validate(self.resync, &self.config, inputs, Seed::random(rng))?;
        let (kem_output, init_secret) = InitSecret::encapsulate(self.suite, &external.external_pub, rng)?;
        let entries = self.entries(kem_output, &public, inputs, rng)?;
        let list = check_list(entries, Committer::New, &public, &self.config, PskContext::Group)?;
        let mut change = Change::new(&public, &list, Committer::New, &self.config, self.config.lifetime.check, inputs)?;
        questions.append(&mut change.questions);
        let psk_secret = psks::combine(self.suite, &change.psks, |_, _| None, &self.config, inputs)?;
        let path = self.path(&public.context.group_id, &mut change, signer, inputs, rng)?;
        let provisional = change.finish()?;
        let nodes =
            path.secrets.encrypt(self.suite, &change.tree_before_adds, &path.steps, &provisional.to_bytes(), rng)?;
        let commit = Commit {
            proposals: list.into_commit_entries(),
            path: Some(UpdatePath { leaf_node: path.leaf_node.clone(), nodes }),
        };
        let content = FramedContent {
            group_id: public.context.group_id.clone(),
            epoch: public.context.epoch,
            sender: Sender::NewMemberCommit,
            authenticated_data: self.authenticated_data.as_slice().into(),
            content: Content::Commit(commit),
        };
        let mut content = framing::sign(signer, WireFormat::PUBLIC_MESSAGE, content, &public.context_bytes, rng)?;
        let confirmed = transcript::confirmed_transcript_hash(self.suite, &public.interim_transcript_hash, &content);
        let mut context = provisional;
        context.confirmed_transcript_hash = Opaque::from(confirmed.as_slice());
        let commit_secret = path.secrets.commit_secret.duplicate().into();
        let joiner = JoinerSecret::derive(self.suite, &init_secret, commit_secret, &context.to_bytes())?;
        let epoch = joiner.into_member(self.suite, &psk_secret).into_epoch(self.suite, &context.to_bytes())?;
        let (secrets, encryption) = epoch.into_secrets(self.suite)?;
        let tag = secrets.confirmation_tag(self.suite, &confirmed);
        content.auth.confirmation_tag = Some(tag.clone());
        let interim = transcript::interim_transcript_hash(self.suite, &confirmed, &tag);
        let next = change.take_state(context, interim, tag);
        let group_info = match self.group_info {
            None => None,
            Some(wanted) => {
                let info = sign_group_info(&next, &secrets, path.leaf_index, wanted, signer, rng)?;
                Some(MlsMessage::GroupInfo(info).to_bytes())
            }
        };
        let secret_tree = SecretTree::new(self.suite, encryption, next.tree.depth(), next.epoch());
        let keys = stage::own_keys(&path.steps, path.secrets.keys, path.leaf_private);
        let group = Group::joined(self.config, next, path.leaf_index, secrets, secret_tree, keys);
        let message = PublicMessage { content: content.content, auth: content.auth, membership_tag: None };
        Ok(ExternalJoin {
            message: MlsMessage::PublicMessage(message).to_bytes(),
            group_info,
            joining: Joining { group, questions: Questions::new(questions), key_package: None },
        })
    }

    /// The joiner's own proposals by value, then the SelfRemoves of others by reference.
    fn entries(
        &self,
        kem_output: Opaque,
        public: &PublicState,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<ProposalEntry>, Error> {
        let mut waiting = ProposalCache::default();
        for message in &self.self_removes {
            self.keep_self_remove(&mut waiting, message, public, inputs)?;
        }
        let resync = self.resync.filter(|removed| !waiting.is_leaving(*removed));
        let own = self.own_proposals(kem_output, resync, rng).into_iter().map(|proposal| ProposalEntry {
            proposal: Arc::new(proposal),
            sender: Sender::NewMemberCommit,
            reference: None,
        });
        Ok(own.chain(waiting.listed()).collect())
    }

    fn keep_self_remove(
        &self,
        waiting: &mut ProposalCache,
        message: &[u8],
        public: &PublicState,
        inputs: &Inputs<'_>,
    ) -> Result<(), Error> {
        let MlsMessage::PublicMessage(message) = MlsMessage::from_bytes(message, &self.config.limits)? else {
            return Err(Usage::WrongMessageKind.into());
        };
        if message.content.content != Content::Proposal(Proposal::SelfRemove) {
            return Err(Rule::ExternalProposalByReference.into());
        }
        public.check_place(message.content.group_id.as_slice(), message.content.epoch)?;
        public_message::check_form(self.suite, &message)?;
        let verified = public.verify(message.into_authenticated_content())?;
        waiting.keep_public(&verified, &Proposal::SelfRemove, public, &self.config, inputs)?;
        Ok(())
    }

    fn own_proposals(&self, kem_output: Opaque, resync: Option<LeafIndex>, rng: &mut dyn CryptoRng) -> Vec<Proposal> {
        let mut proposals = Vec::from([Proposal::ExternalInit { kem_output }]);
        proposals.extend(resync.map(|removed| Proposal::Remove { removed }));
        let nonce_length = self.suite.kdf().output_len();
        proposals.extend(self.psks.iter().cloned().map(|psk| Proposal::PreSharedKey {
            psk: PreSharedKeyId { psk, psk_nonce: Secret::random(nonce_length, rng).expose().into() },
        }));
        proposals
    }

    fn path(
        &self,
        group_id: &GroupId,
        change: &mut Change,
        signer: &dyn Signer,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<JoinerPath, Error> {
        let pair = generate_key_pair(self.suite, rng)?;
        let own = &self.bundle.key_package.leaf_node;
        let parts = |parent_hash: Vec<u8>| {
            let source = LeafNodeSource::Commit { parent_hash: Opaque::from(parent_hash) };
            LeafNodeParts::successor(own, pair.public.clone(), source)
        };
        let leaf_index = change.place_committer(Committer::New, &self.config)?;
        let steps = change.state.tree.filtered_direct_path(leaf_index)?;
        let first = Secret::random(self.suite.kdf().output_len(), rng);
        let secrets = PathSecrets::derive(self.suite, first, steps.len())?;
        let keys: Vec<HpkePublicKey> = secrets.public_keys();
        let parent_hash = change.fill_path(leaf_index, &steps, &keys)?;
        let place = LeafPlace::Commit { group_id, leaf_index };
        let leaf_node = sign_leaf(parts(parent_hash), place, signer, rng)?;
        change.expectation(&self.config, inputs).check(place, &leaf_node)?;
        change.set_committer_leaf(Committer::New, leaf_index, Leaf::from(&leaf_node))?;
        Ok(JoinerPath { leaf_index, leaf_node, leaf_private: pair.private, steps, secrets })
    }
}

struct JoinerPath {
    leaf_index: LeafIndex,
    leaf_node: keyroom_wire::LeafNode,
    leaf_private: Secret,
    steps: Vec<crate::tree::PathStep>,
    secrets: PathSecrets,
}
