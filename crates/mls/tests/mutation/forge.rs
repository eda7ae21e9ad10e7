//! An insider who changes one thing in a message and does everything else right.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Alter, Client, Insider, Made, Member, Private, suite};
use keyroom_mls::record::ChangeSet;
use keyroom_mls::secret_tree::{MessageKey, RatchetType, SecretTree, SecretTreeError};
use keyroom_wire::{
    AuthenticatedContent, CipherSuite, Content, Decode, Encode, ExtensionType, Extensions, FramedContentAuthData,
    LeafIndex, LeafNode, Limits, MlsMessage, PreSharedKeyId, Proposal, ProposalOrRef, ProposalType, ProtocolVersion,
    Psk, PublicMessage, ReInit, Sender, WireFormat,
};

use super::{below, mutate, mutated};

/// The insider, with what it changes.
pub(super) struct Forge<'a> {
    bob: Insider<'a>,
    tree: SecretTree,
    eve: Client,
    leaf: LeafNode,
    proposals: Vec<Proposal>,
    commits: Vec<Made>,
    external: Made,
}

/// A value whose encoding differs and still decodes.
fn changed<T: Encode + for<'a> Decode<'a> + Clone>(value: &T, rng: &mut dyn CryptoRng) -> T {
    let bytes = value.to_bytes();
    let mut attempts = (0..20).filter_map(|_| T::from_bytes(&mutated(&bytes, rng), &Limits::default()).ok());
    attempts.next().unwrap_or_else(|| value.clone())
}

impl<'a> Forge<'a> {
    pub(super) fn new(bob: &'a Member) -> Self {
        let rng = &mut keyroom_vectors::rng(61);
        let [gina, eve] = ["gina", "eve"].map(|name| Client::new(name, suite(1), rng));
        let package = gina.bundle(rng).key_package;
        let leaf = eve.bundle(rng).key_package.leaf_node;
        let own = bob.group.member(bob.group.own_leaf()).unwrap().unwrap().leaf().node().to_owned().unwrap();
        let mut extensions = Extensions::new();
        extensions.set(ExtensionType(0xff01), b"data".to_vec());
        let psk = Psk::External { psk_id: b"known"[..].into() };
        let reinit = ReInit {
            group_id: b"next"[..].into(),
            version: ProtocolVersion::MLS10,
            cipher_suite: CipherSuite(1),
            extensions: extensions.clone(),
        };
        let proposals = vec![
            Proposal::Add { key_package: Box::new(package.clone()) },
            Proposal::Update { leaf_node: Box::new(own) },
            Proposal::Remove { removed: LeafIndex(3) },
            Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![1; 32].into() } },
            Proposal::ReInit(reinit),
            Proposal::ExternalInit { kem_output: vec![9; 32].into() },
            Proposal::GroupContextExtensions { extensions },
            Proposal::Custom { proposal_type: ProposalType(0xff00), body: b"body"[..].into() },
        ];
        let insider = Insider::new(&bob.group, bob.client.signer.as_ref());
        let add = Proposal::Add { key_package: Box::new(package) };
        let remove = Proposal::Remove { removed: LeafIndex(3) };
        let commits = [vec![], vec![remove.clone()], vec![add, remove]]
            .map(|proposals| insider.commit(proposals, &Alter::default(), rng))
            .into();
        let init = [ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() })];
        let joins = Sender::NewMemberCommit;
        let external = insider.commit_of(joins, &leaf, eve.signer.as_ref(), init, &Alter::default(), rng);
        let tree = own_tree(bob);
        Self { bob: insider, tree, eve, leaf, proposals, commits, external }
    }

    /// A message, and the ratchet of which it takes the next key.
    pub(super) fn message(&self, rng: &mut dyn CryptoRng) -> (Vec<u8>, Option<RatchetType>) {
        match below(rng, 16) {
            0..=3 => (self.public(self.content(rng), rng), None),
            4 | 5 => (self.framed(rng), None),
            6 => (self.external(rng), None),
            7 => (self.of_outsiders(rng), None),
            8 => (self.commit(rng), None),
            9..=11 => self.private(self.content(rng), rng),
            12 => self.private(Content::Application(mutated(b"some text", rng).into()), rng),
            _ => self.spoilt(rng),
        }
    }

    /// The key of a message has been used.
    pub(super) fn spent(&mut self, ratchet: Option<RatchetType>) {
        if let Some(ratchet) = ratchet {
            let (_, puncture) = self.tree.next_key(self.bob.group.own_leaf(), ratchet).unwrap();
            let mut unused = ChangeSet::new(self.bob.group.group_id().clone(), 0);
            self.tree.apply(puncture, &mut unused).unwrap();
        }
    }

    /// A proposal or a commit in which something was changed.
    fn content(&self, rng: &mut dyn CryptoRng) -> Content {
        if below(rng, 2) == 0 {
            return Content::Proposal(changed(&self.proposals[below(rng, self.proposals.len())], rng));
        }
        let Content::Commit(commit) = &self.commits[below(rng, self.commits.len())].message.content.content else {
            panic!("a commit")
        };
        Content::Commit(changed(commit, rng))
    }

    fn tag(&self, auth: &mut FramedContentAuthData, content: &Content, rng: &mut dyn CryptoRng) {
        if let Content::Commit(_) = content {
            let mut tag = self.commits[0].tag.as_slice().to_vec();
            if below(rng, 8) == 0 {
                mutate(&mut tag, rng);
            }
            auth.confirmation_tag = Some(tag.as_slice().into());
        }
    }

    fn public(&self, content: Content, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let content = self.bob.framed(self.bob.sender(), content);
        let mut signed = self.bob.sign(content, WireFormat::PUBLIC_MESSAGE, self.bob.signer, rng);
        self.tag(&mut signed.auth, &signed.content.content, rng);
        bytes(self.bob.tagged(signed.content, signed.auth))
    }

    /// Everything that is signed is open to change: group, epoch, sender and all.
    fn framed(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let proposal = self.proposals[below(rng, self.proposals.len())].clone();
        let content = changed(&self.bob.framed(self.bob.sender(), Content::Proposal(proposal)), rng);
        let mut signed = self.bob.sign(content, WireFormat::PUBLIC_MESSAGE, self.bob.signer, rng);
        self.tag(&mut signed.auth, &signed.content.content, rng);
        bytes(self.bob.tagged(signed.content, signed.auth))
    }

    /// An external commit, signed by the joiner.
    fn external(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let Content::Commit(commit) = &self.external.message.content.content else { panic!("a commit") };
        let mut commit = changed(commit, rng);
        if let Some(path) = commit.path.as_mut().filter(|_| below(rng, 4) == 0) {
            path.leaf_node = self.leaf.clone();
        }
        let content = self.bob.framed(Sender::NewMemberCommit, Content::Commit(commit));
        let mut signed = self.bob.sign(content, WireFormat::PUBLIC_MESSAGE, self.eve.signer.as_ref(), rng);
        signed.auth.confirmation_tag = Some(self.external.tag.clone());
        bytes(self.bob.tagged(signed.content, signed.auth))
    }

    /// Proposals of all kinds of outsiders.
    fn of_outsiders(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let proposal = changed(&self.proposals[below(rng, self.proposals.len())], rng);
        let sender = [Sender::NewMemberProposal, Sender::NewMemberCommit, Sender::External(0)][below(rng, 3)];
        let content = self.bob.framed(sender, Content::Proposal(proposal));
        let signed = self.bob.sign(content, WireFormat::PUBLIC_MESSAGE, self.eve.signer.as_ref(), rng);
        bytes(self.bob.tagged(signed.content, signed.auth))
    }

    /// A commit of which one step was altered and all that follow were built upon it.
    fn commit(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let (step, seed) = (below(rng, 6), below(rng, 1 << 30) as u64);
        let rng_of_step = move || keyroom_vectors::rng(seed);
        let mut change = Alter::default();
        match step {
            0 => change.leaf = Some(Box::new(move |leaf| *leaf = changed(leaf, &mut rng_of_step()))),
            1 => change.path = Some(Box::new(move |path| *path = changed(path, &mut rng_of_step()))),
            2 => change.context = Some(Box::new(move |context| *context = changed(context, &mut rng_of_step()))),
            3 => change.secret = Some(Box::new(move |_, secret| mutate(secret, &mut rng_of_step()))),
            4 => {
                change.keys = Some(Box::new(move |keys| {
                    let mut key = keys[0].as_slice().to_vec();
                    mutate(&mut key, &mut rng_of_step());
                    keys[0] = key.into();
                }));
            }
            _ => {
                change.parts = Some(Box::new(move |parts| {
                    parts.capabilities = changed(&parts.capabilities, &mut rng_of_step());
                }));
            }
        }
        self.bob.commit(Vec::new(), &change, rng).bytes()
    }

    fn key(&self, ratchet: RatchetType) -> MessageKey {
        self.tree.next_key(self.bob.group.own_leaf(), ratchet).unwrap().0
    }

    fn private(&self, content: Content, rng: &mut dyn CryptoRng) -> (Vec<u8>, Option<RatchetType>) {
        let framed = self.bob.framed(self.bob.sender(), content);
        let mut signed = self.bob.sign(framed, WireFormat::PRIVATE_MESSAGE, self.bob.signer, rng);
        self.tag(&mut signed.auth, &signed.content.content, rng);
        self.sealed(&signed, Private::text(b""), rng)
    }

    /// A private message of which something was changed that no signature covers.
    fn spoilt(&self, rng: &mut dyn CryptoRng) -> (Vec<u8>, Option<RatchetType>) {
        let (step, seed) = (below(rng, 4), below(rng, 1 << 30) as u64);
        let change = move |bytes: &mut Vec<u8>| mutate(bytes, &mut keyroom_vectors::rng(seed));
        let mut private = Private::text(b"");
        match step {
            0 => private.plaintext = Some(Box::new(change)),
            1 => private.ciphertext = Some(Box::new(change)),
            2 => private.sender_data = Some(Box::new(change)),
            _ => private.plaintext = Some(Box::new(move |bytes| bytes.push(u8::try_from(seed % 256).unwrap()))),
        }
        let content = match below(rng, 2) {
            0 => Content::Application(b"some text"[..].into()),
            _ => Content::Proposal(self.proposals[2].clone()),
        };
        let framed = self.bob.framed(self.bob.sender(), content);
        let signed = self.bob.sign(framed, WireFormat::PRIVATE_MESSAGE, self.bob.signer, rng);
        self.sealed(&signed, private, rng)
    }

    fn sealed(
        &self,
        signed: &AuthenticatedContent,
        private: Private<'_>,
        rng: &mut dyn CryptoRng,
    ) -> (Vec<u8>, Option<RatchetType>) {
        let ratchet = RatchetType::from(signed.content.content.content_type());
        let message = private.seal_with(self.key(ratchet), signed, &self.bob, rng);
        (MlsMessage::PrivateMessage(message).to_bytes(), Some(ratchet))
    }
}

fn bytes(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

/// The member's own ratchets, where they stand.
fn own_tree(member: &Member) -> SecretTree {
    let group = &member.group;
    let records = group.snapshot().unwrap();
    let mut tree = SecretTree::stored(group.suite(), group.tree().depth(), group.epoch());
    for ratchet in [RatchetType::Application, RatchetType::Handshake] {
        while let Err(SecretTreeError::Missing(missing)) = tree.next_key(group.own_leaf(), ratchet) {
            let found = missing.0.into_iter().map(|key| (key, records.get(&key).cloned()));
            tree.supply(&found.collect::<Vec<_>>()).unwrap();
        }
    }
    tree
}
