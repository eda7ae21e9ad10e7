//! The group of a case: four honest clients, one of whom also breaks rules, and the reader.

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite, labels};
pub(crate) use keyroom_insider::proposals::add;
use keyroom_insider::{Alter, Client, Insider, Made, Member, now, suite};
use keyroom_mls::error::Error;
use keyroom_mls::group::{Founder, Group, Waiting};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{Grease, capabilities_for};
use keyroom_mls::record::Missing;
use keyroom_vectors::Hex;
use keyroom_wire::{
    Capabilities, Content, Credential, CredentialType, Encode, ExtensionType, Extensions, GroupId, KeyPackage,
    LeafIndex, LeafNode, Lifetime, MlsMessage, PreSharedKeyId, Proposal, ProposalType, Psk, PublicMessage, Sender,
};

use crate::case::{Epoch, ExternalPsk, Opening};
use crate::reader::config;

pub(crate) const ALICE: LeafIndex = LeafIndex(0);
/// Who breaks the rules.
pub(crate) const BOB: LeafIndex = LeafIndex(1);
pub(crate) const READER: LeafIndex = LeafIndex(2);
pub(crate) const BLANK: LeafIndex = LeafIndex(3);
pub(crate) const DANA: LeafIndex = LeafIndex(4);

/// An extension type and a proposal type that all members of the group support.
pub(crate) const KNOWN_EXTENSION: ExtensionType = ExtensionType(0xf101);
pub(crate) const KNOWN_PROPOSAL: ProposalType = ProposalType(0xf100);
/// The external PSK that the reader holds.
pub(crate) const PSK_ID: &[u8] = b"known";
const PSK: &[u8] = &[0x5b; 32];

/// A client as it is outside a group.
pub(crate) struct Outsider {
    pub(crate) client: Client,
    pub(crate) signature_private: Vec<u8>,
    pub(crate) bundle: KeyPackageBundle,
}

/// The group after the reader has followed its first epoch.
pub(crate) struct Stage {
    pub(crate) suite: &'static dyn Suite,
    /// Alice, Bob, Dana and Erin.
    pub(crate) members: Vec<Member>,
    pub(crate) opening: Opening,
    /// Bob's group before he adds the reader, for Welcomes made by hand.
    pub(crate) before: Group,
    pub(crate) reader: Outsider,
}

/// Valid today and for a long time.
pub(crate) fn lifetime() -> Lifetime {
    Lifetime { not_before: 0, not_after: 4_102_444_800 }
}

pub(crate) fn outsider(name: &'static str, suite: &'static dyn Suite, rng: &mut dyn CryptoRng) -> Outsider {
    let key = suite.generate_signature_key(rng).unwrap();
    let client = Client { name, suite, signer: suite.signer(key.expose()).unwrap(), proposals: Vec::new() };
    let mut capabilities: Capabilities =
        capabilities_for([suite.cipher_suite()], [CredentialType::BASIC, CredentialType::X509]);
    capabilities.extensions.push(KNOWN_EXTENSION);
    capabilities.proposals.push(KNOWN_PROPOSAL);
    let bundle = KeyPackageBuilder::new(suite, Credential::basic(name.as_bytes()), lifetime())
        .grease(Grease::Omit)
        .capabilities(capabilities)
        .build(client.signer.as_ref(), rng)
        .unwrap();
    Outsider { client, signature_private: key.expose().to_vec(), bundle }
}

impl Stage {
    /// A group with these extensions in its context.
    pub(crate) fn new(code: u16, extensions: Extensions) -> Self {
        let suite = suite(code);
        let rng = &mut keyroom_vectors::rng(u64::from(code));
        let mut members = founded(suite, extensions, rng);
        for from in [4, 5, 0] {
            commit(&mut members, from, rng, &[]);
        }
        commit(&mut members, 0, rng, &[Proposal::Remove { removed: READER }, Proposal::Remove { removed: BLANK }]);
        members.drain(2..4);
        let before = copy(&members[1].group);
        let reader = outsider("rita", suite, rng);
        let add = Proposal::Add { key_package: Box::new(reader.bundle.key_package.clone()) };
        let (_, welcome) = commit(&mut members, 1, rng, &[add]);
        let initial_epoch_authenticator = Hex(members[0].group.epoch_authenticator().to_vec());
        let epochs = vec![first_epoch(&mut members, rng)];
        let opening = Opening {
            cipher_suite: code,
            external_psks: vec![ExternalPsk { psk_id: Hex(PSK_ID.to_vec()), psk: Hex(PSK.to_vec()) }],
            key_package: Hex(MlsMessage::KeyPackage(reader.bundle.key_package.clone()).to_bytes()),
            signature_priv: Hex(reader.signature_private.clone()),
            encryption_priv: Hex(reader.bundle.leaf_private.expose().to_vec()),
            init_priv: Hex(reader.bundle.init_private.expose().to_vec()),
            welcome: Hex(welcome.unwrap()),
            ratchet_tree: None,
            initial_epoch_authenticator,
            epochs,
        };
        Self { suite, members, opening, before, reader }
    }

    pub(crate) fn plain(code: u16) -> Self {
        Self::new(code, Extensions::new())
    }

    pub(crate) fn bob(&self) -> Insider<'_> {
        Insider::new(&self.members[1].group, self.bob_signer())
    }

    pub(crate) fn bob_signer(&self) -> &dyn Signer {
        self.members[1].client.signer.as_ref()
    }

    /// The KDF's output length.
    pub(crate) fn nh(&self) -> usize {
        self.suite.kdf().output_len()
    }

    /// Dana, after she has followed a commit.
    pub(crate) fn dana_after(&self, commit: &[u8]) -> Member {
        self.after(2, &[commit])
    }

    /// One of the members, after these commits.
    pub(crate) fn after(&self, member: usize, commits: &[&[u8]]) -> Member {
        let mut member = Self::plain(self.suite.cipher_suite().0).members.remove(member);
        commits.iter().for_each(|commit| member.follow(commit));
        member
    }

    /// What stands in a leaf.
    pub(crate) fn leaf(&self, leaf: LeafIndex) -> LeafNode {
        self.members[0].group.member(leaf).unwrap().unwrap().leaf().node().to_owned().unwrap()
    }

    /// A commit of Bob's with these proposals by value, made otherwise where told.
    pub(crate) fn made(&self, proposals: Vec<Proposal>, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Made {
        self.bob().commit(proposals, change, rng)
    }

    pub(crate) fn commit(&self, proposals: Vec<Proposal>, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.made(proposals, &Alter::default(), rng).bytes()
    }

    pub(crate) fn altered(&self, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.made(Vec::new(), change, rng).bytes()
    }

    /// An honest commit without proposals.
    pub(crate) fn honest(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.commit(Vec::new(), rng)
    }

    /// A public message of Bob's.
    pub(crate) fn public(&self, sender: Sender, content: Content, rng: &mut dyn CryptoRng) -> PublicMessage {
        self.bob().public(sender, content, rng)
    }

    pub(crate) fn proposal(&self, sender: Sender, proposal: Proposal, rng: &mut dyn CryptoRng) -> Vec<u8> {
        bytes(self.public(sender, Content::Proposal(proposal), rng))
    }

    pub(crate) fn outsider(&self, name: &'static str, rng: &mut dyn CryptoRng) -> Outsider {
        outsider(name, self.suite, rng)
    }

    /// The leaf that an Update of this member brings, before it is signed.
    pub(crate) fn update_of(&self, leaf: LeafIndex, rng: &mut dyn CryptoRng) -> LeafNode {
        let mut node = self.leaf(leaf);
        let pair = keyroom_mls::leaf_node::generate_key_pair(self.suite, rng).unwrap();
        node.encryption_key = pair.public;
        node.leaf_node_source = keyroom_wire::LeafNodeSource::Update;
        node
    }

    /// Signs a leaf for a place in the group.
    pub(crate) fn sign_leaf(&self, mut leaf: LeafNode, place: LeafIndex, rng: &mut dyn CryptoRng) -> LeafNode {
        let position = self.members.iter().position(|member| member.group.own_leaf() == place).unwrap();
        let tbs = leaf.tbs(Some((self.members[0].group.group_id(), place)));
        let signer = self.members[position].client.signer.as_ref();
        leaf.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, rng).unwrap();
        leaf
    }

    /// The external PSK that the reader holds, with its identifier.
    pub(crate) fn psk(&self, rng: &mut dyn CryptoRng) -> (PreSharedKeyId, Secret) {
        let nonce = Secret::random(self.nh(), rng);
        let psk = Psk::External { psk_id: PSK_ID.into() };
        (PreSharedKeyId { psk, psk_nonce: nonce.expose().into() }, Secret::copy_of(PSK))
    }
}

pub(crate) fn bytes(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

pub(crate) fn remove(removed: LeafIndex) -> Proposal {
    Proposal::Remove { removed }
}

/// Alice has founded the group and added five others, in the order of their leaves.
fn founded(suite: &'static dyn Suite, extensions: Extensions, rng: &mut dyn CryptoRng) -> Vec<Member> {
    let Outsider { client, bundle, .. } = outsider("alice", suite, rng);
    let founder = Founder { bundle, group_id: GroupId::from(&b"room"[..]), extensions };
    let group = Group::create(suite, founder, config(), &now(), rng).unwrap().0;
    let mut members = vec![Member { client, group }];
    let guests = ["bob", "charlie", "xena", "dana", "erin"].map(|name| outsider(name, suite, rng));
    let adds: Vec<_> = guests.iter().map(|guest| add(&guest.bundle.key_package)).collect();
    let (_, welcome) = commit(&mut members, 0, rng, &adds);
    for guest in guests {
        let group = guest.client.join(welcome.as_deref().unwrap(), guest.bundle, config(), rng);
        members.push(Member { client: guest.client, group });
    }
    members
}

fn commit(
    members: &mut [Member],
    from: usize,
    rng: &mut dyn CryptoRng,
    proposals: &[Proposal],
) -> (Vec<u8>, Option<Vec<u8>>) {
    keyroom_insider::commit(members, from, rng, |builder| {
        proposals.iter().cloned().fold(builder, |builder, proposal| builder.propose(proposal))
    })
}

/// Alice proposes an Update; Erin commits it, so that there are parent nodes on both sides.
fn first_epoch(members: &mut [Member], rng: &mut dyn CryptoRng) -> Epoch {
    let Member { client, group } = &mut members[0];
    let update = group.propose_update(b"", client.signer.as_ref(), None, &now(), rng).unwrap().message;
    for member in &mut members[1..] {
        member.group.process(&update, &now()).unwrap();
    }
    let (commit, _) = keyroom_insider::commit(members, 3, rng, |builder| builder.waiting(Waiting::All));
    let epoch_authenticator = Hex(members[0].group.epoch_authenticator().to_vec());
    Epoch { proposals: vec![Hex(update)], commit: Hex(commit), epoch_authenticator }
}

/// The same group again, with all its records in memory.
fn copy(group: &Group) -> Group {
    let records = group.snapshot().unwrap();
    let disk = keyroom_insider::Disk { records, version: group.version() };
    let (mut copy, _): (Group, _) = disk.open(&config()).unwrap();
    while let Err(error) = copy.snapshot() {
        let Error::Missing(Missing(keys)) = error else { panic!("a copy that cannot be read: {error}") };
        let records: Vec<_> = keys.into_iter().map(|key| (key, disk.records.get(&key).cloned())).collect();
        copy.supply(&records).unwrap();
    }
    copy
}

/// Signs leaf and key package again after they have been altered.
pub(crate) fn resigned(
    package: &Outsider,
    change: impl FnOnce(&mut KeyPackage),
    rng: &mut dyn CryptoRng,
) -> KeyPackage {
    let mut altered = package.bundle.key_package.clone();
    change(&mut altered);
    keyroom_insider::resigned(altered, &package.client, rng)
}
