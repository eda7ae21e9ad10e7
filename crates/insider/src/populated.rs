//! A large group whose tree is full, made without a single member who commits: one generator owns
//! every key but those of two guests.
//!
//! The n leaves are those of key packages; two of them are removed again, to make room for the
//! guests. Then every second leaf takes new keys for itself and its path, exactly as a commit does,
//! so that every parent has a key but the two above the places that are free. A last commit of the
//! neighbour of the first guest adds both. So the first guest knows the secrets of its whole path,
//! the second is an unmerged leaf at each node below their common ancestor. The transcript and the
//! joiner secret are drawn: nobody can tell from inside that there were no commits.

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite, labels};
use keyroom_mls::key_schedule::{EpochSecrets, JoinerSecret, MemberSecret};
use keyroom_mls::leaf_node::{LeafNodeParts, LeafPlace, capabilities_for, generate_key_pair, lifetime_from, sign_leaf};
use keyroom_mls::psk::PskSecret;
use keyroom_mls::tree::{Leaf, PathStep, Tree};
use keyroom_wire::{
    Credential, CredentialType, Encode, EncryptedGroupSecrets, ExtensionType, Extensions, GroupContext, GroupId,
    GroupInfo, GroupSecrets, HpkePublicKey, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, MlsMessage, Opaque,
    Signature, Welcome,
};

/// The first guest's leaf.
pub const FIRST: LeafIndex = LeafIndex(2);
/// Its neighbour, who adds the guests.
const HOST: LeafIndex = LeafIndex(3);

/// A full tree with two free places.
pub struct Populated {
    suite: &'static dyn Suite,
    group_id: GroupId,
    tree: Tree,
    leaves: Vec<LeafNode>,
    signers: Vec<Box<dyn Signer>>,
}

impl Populated {
    /// A group of `members`, at least ten, the guests counted. `now` in seconds since 1970.
    pub fn new(suite: &'static dyn Suite, members: u32, now: u64, rng: &mut dyn CryptoRng) -> Self {
        assert!(members >= 10);
        let mut populated = Self {
            suite,
            group_id: GroupId::from(b"a large room".as_slice()),
            tree: Tree::new(suite),
            leaves: Vec::new(),
            signers: Vec::new(),
        };
        for index in 0..members {
            populated.settle(index, now, rng);
        }
        populated.tree.remove(second(members)).unwrap();
        populated.tree.remove(FIRST).unwrap();
        let evens = (0..members).step_by(2).map(LeafIndex);
        for leaf in evens.filter(|leaf| *leaf != FIRST && *leaf != second(members)) {
            populated.commit(leaf, rng);
        }
        for free in [FIRST, second(members)] {
            populated.commit(LeafIndex(free.0 + 1), rng);
        }
        populated
    }

    fn settle(&mut self, index: u32, now: u64, rng: &mut dyn CryptoRng) {
        let signer = self.suite.signer(self.suite.generate_signature_key(rng).unwrap().expose()).unwrap();
        let parts = LeafNodeParts {
            encryption_key: generate_key_pair(self.suite, rng).unwrap().public,
            credential: Credential::basic(format!("member {index}").as_bytes()),
            capabilities: capabilities_for([self.suite.cipher_suite()], [CredentialType::BASIC]),
            leaf_node_source: LeafNodeSource::KeyPackage(lifetime_from(now, 24 * 3600)),
            extensions: Extensions::new(),
        };
        let leaf = sign_leaf(parts, LeafPlace::KeyPackage, signer.as_ref(), rng).unwrap();
        self.tree.add(Leaf::from(&leaf), u32::MAX).unwrap();
        self.leaves.push(leaf);
        self.signers.push(signer);
    }

    /// What a commit of this leaf does to the tree. Its path secrets are forgotten: nobody who can
    /// be reached only by them is still to learn anything.
    fn commit(&mut self, leaf: LeafIndex, rng: &mut dyn CryptoRng) {
        let steps = self.tree.filtered_direct_path(leaf).unwrap();
        let keys: Vec<_> = steps.iter().map(|_| generate_key_pair(self.suite, rng).unwrap().public).collect();
        let mut tree = self.tree.clone();
        self.set_path(&mut tree, leaf, &keys, rng);
        self.tree = tree;
    }

    fn set_path(&self, tree: &mut Tree, leaf_index: LeafIndex, keys: &[HpkePublicKey], rng: &mut dyn CryptoRng) {
        let place = usize::try_from(leaf_index.0).unwrap();
        let parent_hash = Opaque::from(tree.apply_path(leaf_index, keys).unwrap());
        let encryption_key = generate_key_pair(self.suite, rng).unwrap().public;
        let source = LeafNodeSource::Commit { parent_hash };
        let parts = LeafNodeParts::successor(&self.leaves[place], encryption_key, source);
        let at = LeafPlace::Commit { group_id: &self.group_id, leaf_index };
        let leaf = sign_leaf(parts, at, self.signers[place].as_ref(), rng).unwrap();
        tree.set_committed_leaf(leaf_index, Leaf::from(&leaf)).unwrap();
    }

    /// Lets two guests in. Returns their Welcome with the tree inside, an encoded MLSMessage. May be
    /// called again: each call begins from the same tree.
    pub fn welcome(&self, guests: [&KeyPackage; 2], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut tree = self.tree.clone();
        let places = guests.map(|guest| tree.add(Leaf::from(&guest.leaf_node), u32::MAX).unwrap());
        assert_eq!(places[0], FIRST);
        let steps = tree.filtered_direct_path(HOST).unwrap();
        let path = self.path_secrets(steps.len(), rng);
        let keys: Vec<_> = path.iter().map(|(_, key)| key.clone()).collect();
        self.set_path(&mut tree, HOST, &keys, rng);

        let length = self.suite.kdf().output_len();
        let mut context = GroupContext::new(self.suite.cipher_suite(), self.group_id.clone());
        context.epoch = 1 + u64::from(tree.members());
        context.tree_hash = tree.tree_hash().unwrap().as_slice().into();
        context.confirmed_transcript_hash = Secret::random(length, rng).expose().into();
        let joiner_secret = Secret::random(length, rng);
        let info = self.group_info(&context, &tree, self.member(&joiner_secret), rng);
        let key = self.member(&joiner_secret).welcome_key_nonce(self.suite).unwrap();
        let mut sealed = info.to_bytes();
        self.suite.aead_seal(key.key.expose(), key.nonce.expose(), b"", &mut sealed).unwrap();
        let secrets = guests.iter().zip(places).map(|(guest, place)| {
            let secret = path_secret(&steps, &path, place);
            self.seal_secrets(guest, &joiner_secret, secret, &sealed, rng)
        });
        let secrets = secrets.collect();
        let welcome = Welcome { cipher_suite: self.suite.cipher_suite(), secrets, encrypted_group_info: sealed.into() };
        MlsMessage::Welcome(welcome).to_bytes()
    }

    /// Path secrets (§7.4) and the public keys that follow from them.
    fn path_secrets(&self, count: usize, rng: &mut dyn CryptoRng) -> Vec<(Secret, HpkePublicKey)> {
        let mut secret = Secret::random(self.suite.kdf().output_len(), rng);
        let mut path = Vec::new();
        for _ in 0..count {
            let node_secret = labels::derive_secret(self.suite, secret.expose(), "node").unwrap();
            let pair = self.suite.kem().derive_key_pair(node_secret.expose()).unwrap();
            let next = labels::derive_secret(self.suite, secret.expose(), "path").unwrap();
            path.push((std::mem::replace(&mut secret, next), pair.public));
        }
        path
    }

    fn member(&self, joiner_secret: &Secret) -> MemberSecret {
        JoinerSecret::from_welcome(joiner_secret.expose()).into_member(self.suite, &PskSecret::none(self.suite))
    }

    fn group_info(
        &self,
        context: &GroupContext,
        tree: &Tree,
        member: MemberSecret,
        rng: &mut dyn CryptoRng,
    ) -> GroupInfo {
        let epoch = member.into_epoch(self.suite, &context.to_bytes()).unwrap();
        let (secrets, _): (EpochSecrets, _) = epoch.into_secrets(self.suite).unwrap();
        let mut extensions = Extensions::new();
        extensions.set(ExtensionType::RATCHET_TREE, tree.export().unwrap());
        let mut info = GroupInfo {
            group_context: context.clone(),
            extensions,
            confirmation_tag: secrets.confirmation_tag(self.suite, context.confirmed_transcript_hash.as_slice()),
            signer: HOST,
            signature: Signature::default(),
        };
        let signer = &self.signers[usize::try_from(HOST.0).unwrap()];
        info.signature = labels::sign_with_label(signer.as_ref(), "GroupInfoTBS", &info.tbs(), rng).unwrap();
        info
    }

    fn seal_secrets(
        &self,
        guest: &KeyPackage,
        joiner_secret: &Secret,
        path_secret: Option<&Secret>,
        encrypted_group_info: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> EncryptedGroupSecrets {
        let secrets = GroupSecrets {
            joiner_secret: joiner_secret.expose(),
            path_secret: path_secret.map(Secret::expose),
            psks: Vec::new(),
        };
        let encrypted_group_secrets = labels::encrypt_with_label(
            self.suite,
            guest.init_key.as_slice(),
            "Welcome",
            encrypted_group_info,
            &secrets.to_bytes(),
            rng,
        );
        EncryptedGroupSecrets {
            new_member: labels::key_package_ref(self.suite, &guest.to_bytes()),
            encrypted_group_secrets: encrypted_group_secrets.unwrap(),
        }
    }
}

/// The second guest's leaf: far from the first.
fn second(members: u32) -> LeafIndex {
    LeafIndex((members / 4 * 3) & !1)
}

fn path_secret<'a>(steps: &[PathStep], path: &'a [(Secret, HpkePublicKey)], leaf: LeafIndex) -> Option<&'a Secret> {
    steps.iter().position(|step| step.node.covers(leaf)).map(|step| &path[step].0)
}
