//! A member that knows all secrets of its group and breaks the rules: a committer of its own, whose
//! every step can be altered before the next one builds upon it.

use std::collections::BTreeMap;

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite, labels};
use keyroom_mls::group::Group;
use keyroom_mls::key_schedule::{AeadKey, CommitSecret, EpochSecrets, InitSecret, JoinerSecret};
use keyroom_mls::leaf_node::{LeafNodeParts, LeafPlace, generate_key_pair, sign_leaf};
use keyroom_mls::psk::{PskSecret, psk_secret};
use keyroom_mls::record::{RecordKey, RecordKind, RecordValue};
use keyroom_mls::secret_tree::{MessageKey, RatchetLimits, RatchetType, SecretTree, SecretTreeError};
use keyroom_mls::transcript;
use keyroom_mls::tree::{Leaf, PathStep, Recipient, Tree};
use keyroom_wire::{
    AuthenticatedContent, Commit, Content, Encode, FramedContent, FramedContentAuthData, GroupContext, GroupInfo,
    GroupSecrets, HpkePublicKey, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, Mac, MlsMessage, Opaque,
    PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef, PublicMessage, Sender, Signature, UpdatePath, UpdatePathNode,
    Welcome, WireFormat,
};

pub(crate) type Hook<'a, T> = Option<Box<dyn Fn(&mut T) + 'a>>;

/// What is done otherwise, step by step.
#[derive(Default)]
pub struct Alter<'a> {
    pub without_path: bool,
    /// The tree after the proposals and before the path.
    pub tree: Hook<'a, Tree>,
    /// The public keys of the path.
    pub keys: Hook<'a, Vec<HpkePublicKey>>,
    /// The new leaf before it is signed.
    pub parts: Hook<'a, LeafNodeParts>,
    /// The new leaf after it has been signed.
    pub leaf: Hook<'a, LeafNode>,
    /// For which place the leaf is signed.
    pub leaf_index: Option<LeafIndex>,
    /// The path secret on its way to one recipient.
    pub secret: Option<Box<dyn Fn(&Recipient<'_>, &mut Vec<u8>) + 'a>>,
    /// The finished path.
    pub path: Hook<'a, UpdatePath>,
    /// The content before it is signed.
    pub content: Hook<'a, FramedContent>,
    /// The signature, before what depends on it.
    pub signature: Hook<'a, Signature>,
    /// Signature and confirmation tag.
    pub auth: Hook<'a, FramedContentAuthData>,
    /// The context of the new epoch.
    pub context: Hook<'a, GroupContext>,
    /// The message after its membership tag.
    pub message: Hook<'a, PublicMessage>,
    /// What the signature is made for.
    pub wire_format: Option<WireFormat>,
    /// For which group and epoch the signature is made.
    pub signed_in: Option<GroupContext>,
    /// What the transcript takes it for: a commit that is to be encrypted with [`Private::seal`](crate::Private::seal).
    pub sent_as: Option<WireFormat>,
    /// At which leaf a joiner puts its path, if not at the leftmost free one.
    pub place: Option<LeafIndex>,
    /// To which leaves the path secrets are encrypted.
    pub recipients: Recipients,
    /// From which init secret an external committer goes on.
    pub init: Init,
    /// The PSKs of the key schedule, in this order.
    pub psks: Vec<(PreSharedKeyId, Secret)>,
    /// What references stand for that this member has not kept, and who proposed it.
    pub named: Vec<(ProposalRef, LeafIndex, Proposal)>,
}

/// To which leaves path secrets are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// As it should be: without those that the commit adds.
    #[default]
    WithoutAdded,
    /// To those that the commit adds too.
    WithAdded,
}

/// Which init secret the key schedule of an external commit begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// As it should be: the one that is encapsulated.
    #[default]
    Encapsulated,
    /// That of the epoch that ends, which a joiner cannot know.
    OfOldEpoch,
}

pub(crate) fn alter<T>(hook: &Hook<'_, T>, value: &mut T) {
    if let Some(hook) = hook {
        hook(value);
    }
}

/// A commit and the epoch that it would begin.
pub struct Made {
    pub message: PublicMessage,
    pub context: GroupContext,
    pub tree: Tree,
    pub joiner_secret: Vec<u8>,
    pub path: Vec<(PathStep, Secret)>,
    pub secrets: EpochSecrets,
    pub welcome_key: AeadKey,
    pub tag: Mac,
    pub added: Vec<KeyPackage>,
}

impl Made {
    pub fn bytes(&self) -> Vec<u8> {
        MlsMessage::PublicMessage(self.message.clone()).to_bytes()
    }

    /// The commit as it is to be encrypted.
    pub fn signed(&self) -> AuthenticatedContent {
        let PublicMessage { content, auth, .. } = self.message.clone();
        AuthenticatedContent { wire_format: WireFormat::PRIVATE_MESSAGE, content, auth }
    }

    /// The GroupInfo of the new epoch, signed after it has been altered.
    pub fn group_info(
        &self,
        signer_leaf: LeafIndex,
        signer: &dyn Signer,
        change: impl FnOnce(&mut GroupInfo),
        rng: &mut dyn CryptoRng,
    ) -> GroupInfo {
        let mut info = GroupInfo {
            group_context: self.context.clone(),
            extensions: keyroom_wire::Extensions::new(),
            confirmation_tag: self.tag.clone(),
            signer: signer_leaf,
            signature: Signature::default(),
        };
        info.extensions.set(keyroom_wire::ExtensionType::RATCHET_TREE, self.tree.export().unwrap());
        change(&mut info);
        info.signature = labels::sign_with_label(signer, "GroupInfoTBS", &info.tbs(), rng).unwrap();
        info
    }

    /// A Welcome for the only client added.
    pub fn welcome(
        &self,
        suite: &dyn Suite,
        info: &GroupInfo,
        parts: &SecretParts,
        rng: &mut dyn CryptoRng,
    ) -> Welcome {
        seal_welcome(suite, (&self.welcome_key, &self.joiner_secret), &self.added[0], &info.to_bytes(), parts, rng)
    }

    /// The path secret that the leaf shall get.
    pub fn path_secret_for(&self, leaf: LeafIndex) -> Option<Vec<u8>> {
        let found = self.path.iter().find(|(step, _)| step.node.covers(leaf));
        found.map(|(_, secret)| secret.expose().to_vec())
    }
}

/// A Welcome for one client, around whatever takes the place of a GroupInfo.
pub(crate) fn seal_welcome(
    suite: &dyn Suite,
    (key, joiner_secret): (&AeadKey, &[u8]),
    package: &KeyPackage,
    info: &[u8],
    parts: &SecretParts,
    rng: &mut dyn CryptoRng,
) -> Welcome {
    let mut encrypted_group_info = info.to_vec();
    suite.aead_seal(key.key.expose(), key.nonce.expose(), b"", &mut encrypted_group_info).unwrap();
    let secrets = GroupSecrets {
        joiner_secret: parts.joiner_secret.as_deref().unwrap_or(joiner_secret),
        path_secret: parts.path_secret.as_deref(),
        psks: parts.psks.clone(),
    };
    let plaintext = [secrets.to_bytes().as_slice(), &parts.trailing].concat();
    let key = package.init_key.as_slice();
    let sealed = labels::encrypt_with_label(suite, key, "Welcome", &encrypted_group_info, &plaintext, rng).unwrap();
    Welcome {
        cipher_suite: suite.cipher_suite(),
        secrets: vec![keyroom_wire::EncryptedGroupSecrets {
            new_member: labels::key_package_ref(suite, &package.to_bytes()),
            encrypted_group_secrets: sealed,
        }],
        encrypted_group_info: encrypted_group_info.into(),
    }
}

/// What a Welcome tells its reader.
#[derive(Default)]
pub struct SecretParts {
    pub joiner_secret: Option<Vec<u8>>,
    pub path_secret: Option<Vec<u8>>,
    pub psks: Vec<PreSharedKeyId>,
    pub trailing: Vec<u8>,
}

/// The member.
pub struct Insider<'a> {
    pub group: &'a Group,
    pub signer: &'a dyn Signer,
    pub secrets: EpochSecrets,
    records: BTreeMap<RecordKey, RecordValue>,
}

impl<'a> Insider<'a> {
    pub fn new(group: &'a Group, signer: &'a dyn Signer) -> Self {
        let records = group.snapshot().unwrap();
        let record = &records[&RecordKey::new(RecordKind::Epoch, group.epoch(), 0)];
        let secrets = EpochSecrets::from_record(group.suite(), record).unwrap();
        Self { group, signer, secrets, records }
    }

    /// A key of the secret tree, as this member can derive it.
    pub fn key(&self, leaf: LeafIndex, ratchet: RatchetType, generation: u32) -> MessageKey {
        let mut tree = SecretTree::stored(self.group.suite(), self.group.tree().depth(), self.group.epoch());
        let limits = RatchetLimits { max_forward: 5_000, ..RatchetLimits::default() };
        loop {
            match tree.open_key(leaf, ratchet, generation, &limits) {
                Err(SecretTreeError::Missing(missing)) => {
                    let records = missing.0.into_iter().map(|key| (key, self.records.get(&key).cloned()));
                    tree.supply(&records.collect::<Vec<_>>()).unwrap();
                }
                other => return other.unwrap().0,
            }
        }
    }

    pub fn sender(&self) -> Sender {
        Sender::Member(self.group.own_leaf())
    }

    pub fn framed(&self, sender: Sender, content: Content) -> FramedContent {
        FramedContent {
            group_id: self.group.group_id().clone(),
            epoch: self.group.epoch(),
            sender,
            authenticated_data: Opaque::default(),
            content,
        }
    }

    /// Signs; the signature is for this wire format.
    pub fn sign(
        &self,
        content: FramedContent,
        wire_format: WireFormat,
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> AuthenticatedContent {
        self.sign_in(content, wire_format, self.group.context(), signer, rng)
    }

    /// The same for another group or epoch.
    pub fn sign_in(
        &self,
        content: FramedContent,
        wire_format: WireFormat,
        context: &GroupContext,
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> AuthenticatedContent {
        let tbs = content.tbs(wire_format, &context.to_bytes());
        let signature = labels::sign_with_label(signer, "FramedContentTBS", &tbs, rng).unwrap();
        AuthenticatedContent { wire_format, content, auth: FramedContentAuthData { signature, confirmation_tag: None } }
    }

    /// Puts a membership tag on what a member sends.
    pub fn tagged(&self, content: FramedContent, auth: FramedContentAuthData) -> PublicMessage {
        let mut message = PublicMessage { content, auth, membership_tag: None };
        if matches!(message.content.sender, Sender::Member(_)) {
            let tbm = message.tbm(&self.group.context().to_bytes());
            message.membership_tag = Some(self.secrets.membership_key().tag(self.group.suite(), &tbm));
        }
        message
    }

    /// A signed and tagged public message with this content.
    pub fn public(&self, sender: Sender, content: Content, rng: &mut dyn CryptoRng) -> PublicMessage {
        let content = self.framed(sender, content);
        let signed = self.sign(content, WireFormat::PUBLIC_MESSAGE, self.signer, rng);
        self.tagged(signed.content, signed.auth)
    }

    /// The proposals with their senders; those by reference as far as they are named or this member has
    /// kept them.
    fn resolve(
        &self,
        proposals: &[ProposalOrRef],
        committer: Sender,
        named: &[(ProposalRef, LeafIndex, Proposal)],
    ) -> Vec<(Proposal, Sender)> {
        let kept = self.group.pending_proposals();
        let resolved = proposals.iter().filter_map(|entry| match entry {
            ProposalOrRef::Proposal(proposal) => Some((proposal.clone(), committer)),
            ProposalOrRef::Reference(reference) => {
                if let Some((_, sender, proposal)) = named.iter().find(|(named, ..)| named == reference) {
                    return Some((proposal.clone(), Sender::Member(*sender)));
                }
                let found = kept.iter().find(|kept| kept.reference == *reference)?;
                Some(((*found.proposal).clone(), found.sender))
            }
        });
        resolved.collect()
    }

    /// An encoded public message with a proposal of this member.
    pub fn proposal(&self, proposal: Proposal, rng: &mut dyn CryptoRng) -> Vec<u8> {
        MlsMessage::PublicMessage(self.public(self.sender(), Content::Proposal(proposal), rng)).to_bytes()
    }

    /// A signed leaf of this member for an Update, altered before it is signed.
    pub fn update(&self, change: impl FnOnce(&mut LeafNodeParts), rng: &mut dyn CryptoRng) -> LeafNode {
        let leaf_index = self.group.own_leaf();
        let own = self.group.member(leaf_index).unwrap().unwrap().leaf().node().to_owned().unwrap();
        let key = generate_key_pair(self.group.suite(), rng).unwrap().public;
        let mut parts = LeafNodeParts::successor(&own, key, LeafNodeSource::Update);
        change(&mut parts);
        sign_leaf(parts, LeafPlace::Update { group_id: self.group.group_id(), leaf_index }, self.signer, rng).unwrap()
    }

    /// A commit of this member that names proposals and holds others by value.
    pub fn commit_with(&self, proposals: Vec<ProposalOrRef>, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Made {
        let own = self.group.member(self.group.own_leaf()).unwrap().unwrap().leaf().node().to_owned().unwrap();
        self.commit_of(self.sender(), &own, self.signer, proposals, change, rng)
    }

    /// A commit of this member with proposals by value.
    pub fn commit(&self, proposals: Vec<Proposal>, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Made {
        self.commit_with(proposals.into_iter().map(ProposalOrRef::Proposal).collect(), change, rng)
    }

    /// A commit of whoever: a member, or a joiner whose leaf looks like this one.
    pub fn commit_of(
        &self,
        sender: Sender,
        base: &LeafNode,
        leaf_signer: &dyn Signer,
        proposals: impl IntoIterator<Item = ProposalOrRef>,
        change: &Alter<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Made {
        let suite = self.group.suite();
        let mut proposals: Vec<ProposalOrRef> = proposals.into_iter().collect();
        let external = matches!(sender, Sender::NewMemberCommit).then(|| {
            let public = self.secrets.external_key_pair(suite).unwrap().public;
            InitSecret::encapsulate(suite, &public, rng).unwrap()
        });
        if let Some((kem_output, _)) = &external {
            for proposal in &mut proposals {
                if let ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: wanted }) = proposal
                    && wanted.is_empty()
                {
                    *wanted = kem_output.clone();
                }
            }
        }
        let mut tree = self.group.tree().clone();
        let resolved = self.resolve(&proposals, sender, &change.named);
        let (mut before_adds, added) = apply(&mut tree, &resolved);
        if change.tree.is_some() {
            alter(&change.tree, &mut before_adds);
            alter(&change.tree, &mut tree);
        }
        let leaf_index = match (sender, change.place) {
            (Sender::Member(leaf_index), _) | (_, Some(leaf_index)) => leaf_index,
            _ => tree.reserve(1 << 20).unwrap(),
        };
        let mut context = self.group.context().clone();
        context.epoch += 1;
        for (proposal, _) in &resolved {
            if let Proposal::GroupContextExtensions { extensions } = proposal {
                context.extensions = extensions.clone();
            }
        }
        let mut path_secrets = Vec::new();
        let mut commit_secret = CommitSecret::none(suite);
        let mut path = None;
        if !change.without_path {
            let steps = tree.filtered_direct_path(leaf_index).unwrap();
            let mut current = Secret::random(suite.kdf().output_len(), rng);
            let mut keys = Vec::new();
            for step in &steps {
                let node = labels::derive_secret(suite, current.expose(), "node").unwrap();
                keys.push(suite.kem().derive_key_pair(node.expose()).unwrap().public);
                let next = labels::derive_secret(suite, current.expose(), "path").unwrap();
                path_secrets.push((*step, core::mem::replace(&mut current, next)));
            }
            commit_secret = current.into();
            alter(&change.keys, &mut keys);
            let parent_hash = tree.apply_path(leaf_index, &keys).unwrap();
            let source = LeafNodeSource::Commit { parent_hash: parent_hash.into() };
            let pair = generate_key_pair(suite, rng).unwrap();
            let mut parts = LeafNodeParts::successor(base, pair.public, source);
            alter(&change.parts, &mut parts);
            let place = LeafPlace::Commit {
                group_id: self.group.group_id(),
                leaf_index: change.leaf_index.unwrap_or(leaf_index),
            };
            let mut leaf_node = sign_leaf(parts, place, leaf_signer, rng).unwrap();
            alter(&change.leaf, &mut leaf_node);
            tree.set_committed_leaf(leaf_index, Leaf::from(&leaf_node)).unwrap();
            context.tree_hash = tree.tree_hash().unwrap().as_slice().into();
            let provisional = context.to_bytes();
            let reached = match change.recipients {
                Recipients::WithoutAdded => &before_adds,
                Recipients::WithAdded => &tree,
            };
            let nodes = path_secrets
                .iter()
                .zip(keys)
                .map(|((step, secret), encryption_key)| UpdatePathNode {
                    encryption_key,
                    encrypted_path_secret: reached
                        .resolution(step.copath)
                        .unwrap()
                        .iter()
                        .map(|recipient| {
                            let mut plaintext = secret.expose().to_vec();
                            if let Some(hook) = &change.secret {
                                hook(recipient, &mut plaintext);
                            }
                            let key = recipient.encryption_key;
                            labels::encrypt_with_label(suite, key, "UpdatePathNode", &provisional, &plaintext, rng)
                                .unwrap()
                        })
                        .collect(),
                })
                .collect();
            let mut update_path = UpdatePath { leaf_node, nodes };
            alter(&change.path, &mut update_path);
            path = Some(update_path);
        }
        context.tree_hash = tree.tree_hash().unwrap().as_slice().into();
        let mut content = self.framed(sender, Content::Commit(Commit { proposals, path }));
        alter(&change.content, &mut content);
        let sent_as = change.sent_as.unwrap_or(WireFormat::PUBLIC_MESSAGE);
        let signed_in = change.signed_in.as_ref().unwrap_or(self.group.context());
        let wire_format = change.wire_format.unwrap_or(sent_as);
        let mut signed = self.sign_in(content, wire_format, signed_in, leaf_signer, rng);
        alter(&change.signature, &mut signed.auth.signature);
        signed.wire_format = sent_as;
        let interim = self.group.interim_transcript_hash();
        let confirmed = transcript::confirmed_transcript_hash(suite, interim, &signed);
        context.confirmed_transcript_hash = confirmed.as_slice().into();
        alter(&change.context, &mut context);
        let encapsulated = external.as_ref().filter(|_| change.init == Init::Encapsulated);
        let init = encapsulated.map_or(self.secrets.init_secret(), |(_, init)| init);
        let joiner = JoinerSecret::derive(suite, init, commit_secret, &context.to_bytes()).unwrap();
        let joiner_secret = joiner.expose().to_vec();
        let member = joiner.into_member(suite, &combined(suite, &change.psks));
        let welcome_key = member.welcome_key_nonce(suite).unwrap();
        let (secrets, _) = member.into_epoch(suite, &context.to_bytes()).unwrap().into_secrets(suite).unwrap();
        let tag = secrets.confirmation_tag(suite, &confirmed);
        signed.auth.confirmation_tag = Some(tag.clone());
        alter(&change.auth, &mut signed.auth);
        let mut message = self.tagged(signed.content, signed.auth);
        alter(&change.message, &mut message);
        Made { message, context, tree, joiner_secret, path: path_secrets, secrets, welcome_key, tag, added }
    }
}

/// The PSKs in this order as one secret.
pub(crate) fn combined(suite: &dyn Suite, psks: &[(PreSharedKeyId, Secret)]) -> PskSecret {
    let psks: Vec<_> = psks.iter().map(|(id, psk)| (id, psk)).collect();
    psk_secret(suite, &psks, u16::MAX).unwrap()
}

/// What can be applied of the proposals; the tree before the adds, and who was added.
fn apply(tree: &mut Tree, proposals: &[(Proposal, Sender)]) -> (Tree, Vec<KeyPackage>) {
    for proposal in proposals {
        if let (Proposal::Update { leaf_node }, Sender::Member(leaf_index)) = proposal {
            let _absent = tree.update(*leaf_index, Leaf::from(&**leaf_node));
        }
    }
    for (proposal, sender) in proposals {
        if let (Proposal::SelfRemove, Sender::Member(leaf_index)) = (proposal, sender) {
            let _absent = tree.remove(*leaf_index);
        }
    }
    for (proposal, _) in proposals {
        if let Proposal::Remove { removed } = proposal {
            let _absent = tree.remove(*removed);
        }
    }
    let before_adds = tree.clone();
    let mut added = Vec::new();
    for (proposal, _) in proposals {
        if let Proposal::Add { key_package } = proposal {
            tree.add(Leaf::from(&key_package.leaf_node), 1 << 20).unwrap();
            added.push((**key_package).clone());
        }
    }
    (before_adds, added)
}
