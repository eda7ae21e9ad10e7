//! A large group whose tree is full, made without a single member who commits: one generator owns
//! every key but those of two guests.
//!
//! The n leaves are those of key packages; two of them are removed again, to make room for the
//! guests. Then every second leaf takes new keys for itself and its path, exactly as a commit does,
//! so that every parent has a key but the two above the places that are free. A last commit of the
//! neighbour of the first guest adds both. So the first guest knows the secrets of its whole path,
//! the second is an unmerged leaf at each node below their common ancestor. The transcript and the
//! joiner secret are drawn: nobody can tell from inside that there were no commits.

use std::thread;

use chacha20::ChaCha20Rng;
use keyroom_crypto::{CryptoRng, Secret, Signer, Suite, labels};
use keyroom_mls::key_schedule::{EpochSecrets, JoinerSecret, MemberSecret};
use keyroom_mls::leaf_node::{LeafNodeParts, LeafPlace, capabilities_for, generate_key_pair, lifetime_from, sign_leaf};
use keyroom_mls::padding::Padding;
use keyroom_mls::private_message::{random_reuse_guard, seal};
use keyroom_mls::psk::PskSecret;
use keyroom_mls::record::ChangeSet;
use keyroom_mls::secret_tree::{RatchetType, SecretTree};
use keyroom_mls::tree::{Leaf, PathStep, Tree};
use keyroom_wire::{
    AuthenticatedContent, Content, Credential, CredentialType, Encode, EncryptedGroupSecrets, ExtensionType,
    Extensions, FramedContent, FramedContentAuthData, GroupContext, GroupId, GroupInfo, GroupSecrets, HpkePublicKey,
    KeyPackage, LeafIndex, LeafNode, LeafNodeSource, MlsMessage, Opaque, Sender, Signature, Welcome, WireFormat,
};

/// The first guest's leaf.
pub const FIRST: LeafIndex = LeafIndex(2);
/// Its neighbour, who adds the guests.
const HOST: LeafIndex = LeafIndex(3);

/// Two guests have been let in.
pub struct Admitted {
    welcome: Vec<u8>,
    context: GroupContext,
    joiner_secret: Secret,
    depth: u8,
    places: [LeafIndex; 2],
}

impl Admitted {
    /// The Welcome, an encoded MLSMessage.
    pub fn welcome(&self) -> &[u8] {
        &self.welcome
    }
}

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
        for (leaf, signer) in in_parallel(members, rng, |index, rng| settler(suite, index, now, rng)) {
            populated.tree.add(Leaf::from(&leaf), u32::MAX).unwrap();
            populated.leaves.push(leaf);
            populated.signers.push(signer);
        }
        populated.tree.remove(second(members)).unwrap();
        populated.tree.remove(FIRST).unwrap();
        let evens = (0..members).step_by(2).map(LeafIndex);
        let evens = evens.filter(|leaf| *leaf != FIRST && *leaf != second(members));
        let committers: Vec<LeafIndex> =
            evens.chain([FIRST, second(members)].map(|free| LeafIndex(free.0 + 1))).collect();
        populated.commit_all(&committers, rng);
        populated
    }

    /// What commits of these leaves do to the tree, one after another. Their path secrets are forgotten:
    /// nobody who can be reached only by them is still to learn anything. A node gets the same key from
    /// all, since only the last one stays.
    fn commit_all(&mut self, committers: &[LeafIndex], rng: &mut dyn CryptoRng) {
        let key = |_, rng: &mut ChaCha20Rng| generate_key_pair(self.suite, rng).unwrap().public;
        let leaf_keys = in_parallel(u32::try_from(committers.len()).unwrap(), rng, key);
        let parent_keys = in_parallel(self.tree.slots(), rng, key);
        let mut tree = std::mem::replace(&mut self.tree, Tree::new(self.suite));
        for (leaf, leaf_key) in committers.iter().zip(leaf_keys) {
            let steps = tree.filtered_direct_path(*leaf).unwrap();
            // Parents have the odd indexes of the array, one for each leaf slot but the last.
            let place = |step: &PathStep| usize::try_from(step.node.to_array() / 2).unwrap();
            let keys: Vec<_> = steps.iter().map(|step| parent_keys[place(step)].clone()).collect();
            self.set_path(&mut tree, *leaf, &keys, leaf_key, rng);
        }
        self.tree = tree;
    }

    fn set_path(
        &self,
        tree: &mut Tree,
        leaf_index: LeafIndex,
        keys: &[HpkePublicKey],
        encryption_key: HpkePublicKey,
        rng: &mut dyn CryptoRng,
    ) {
        let place = usize::try_from(leaf_index.0).unwrap();
        let parent_hash = Opaque::from(tree.apply_path(leaf_index, keys).unwrap());
        let source = LeafNodeSource::Commit { parent_hash };
        let parts = LeafNodeParts::successor(&self.leaves[place], encryption_key, source);
        let at = LeafPlace::Commit { group_id: &self.group_id, leaf_index };
        let leaf = sign_leaf(parts, at, self.signers[place].as_ref(), rng).unwrap();
        tree.set_committed_leaf(leaf_index, Leaf::from(&leaf)).unwrap();
    }

    /// Lets two guests in. Returns their Welcome with the tree inside, an encoded MLSMessage. May be
    /// called again: each call begins from the same tree.
    pub fn welcome(&self, guests: [&KeyPackage; 2], rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.admit(guests, rng).welcome
    }

    /// The same, with what is needed to send messages in the epoch of the Welcome.
    pub fn admit(&self, guests: [&KeyPackage; 2], rng: &mut dyn CryptoRng) -> Admitted {
        let mut tree = self.tree.clone();
        let places = guests.map(|guest| tree.add(Leaf::from(&guest.leaf_node), u32::MAX).unwrap());
        assert_eq!(places[0], FIRST);
        let steps = tree.filtered_direct_path(HOST).unwrap();
        let path = self.path_secrets(steps.len(), rng);
        let keys: Vec<_> = path.iter().map(|(_, key)| key.clone()).collect();
        let leaf_key = generate_key_pair(self.suite, rng).unwrap().public;
        self.set_path(&mut tree, HOST, &keys, leaf_key, rng);

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
        Admitted {
            welcome: MlsMessage::Welcome(welcome).to_bytes(),
            context,
            joiner_secret,
            depth: tree.depth(),
            places,
        }
    }

    /// So many application messages with this content in the epoch of the Welcome, from so many members
    /// in turn; encoded MLSMessages. The senders are spread over the tree.
    pub fn backlog(
        &self,
        admitted: &Admitted,
        senders: u32,
        messages: usize,
        data: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Vec<Vec<u8>> {
        let members = u32::try_from(self.leaves.len()).unwrap();
        assert!(members >= senders + 2);
        let own = |leaf: &LeafIndex| !admitted.places.contains(leaf);
        let step = usize::try_from(members / (senders + 2)).unwrap();
        let leaves: Vec<LeafIndex> = (0..members).step_by(step).map(LeafIndex).filter(own).collect();
        let senders = &leaves[..usize::try_from(senders).unwrap()];
        let context = admitted.context.to_bytes();
        let epoch = self.member(&admitted.joiner_secret).into_epoch(self.suite, &context).unwrap();
        let (secrets, encryption_secret) = epoch.into_secrets(self.suite).unwrap();
        let mut tree = SecretTree::new(self.suite, encryption_secret, admitted.depth, admitted.context.epoch);
        let mut one = |leaf: LeafIndex| {
            let content = FramedContent {
                group_id: self.group_id.clone(),
                epoch: admitted.context.epoch,
                sender: Sender::Member(leaf),
                authenticated_data: Opaque::default(),
                content: Content::Application(data.into()),
            };
            let (wire_format, signer) = (WireFormat::PRIVATE_MESSAGE, &self.signers[usize::try_from(leaf.0).unwrap()]);
            let tbs = content.tbs(wire_format, &context);
            let signature = labels::sign_with_label(signer.as_ref(), "FramedContentTBS", &tbs, rng).unwrap();
            let auth = FramedContentAuthData { signature, confirmation_tag: None };
            let signed = AuthenticatedContent { wire_format, content, auth };
            let (key, puncture) = tree.next_key(leaf, RatchetType::Application).unwrap();
            tree.apply(puncture, &mut ChangeSet::new(self.group_id.clone(), 0)).unwrap();
            let (secret, guard) = (secrets.sender_data_secret(), random_reuse_guard(rng));
            let sealed = seal(self.suite, secret, key, guard, &signed, Padding::None).unwrap();
            MlsMessage::PrivateMessage(sealed).to_bytes()
        };
        senders.iter().cycle().take(messages).map(|leaf| one(*leaf)).collect()
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

/// A new member's leaf and signer.
fn settler(suite: &dyn Suite, index: u32, now: u64, rng: &mut dyn CryptoRng) -> (LeafNode, Box<dyn Signer>) {
    let signer = suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap();
    let parts = LeafNodeParts {
        encryption_key: generate_key_pair(suite, rng).unwrap().public,
        credential: Credential::basic(format!("member {index}").as_bytes()),
        capabilities: capabilities_for([suite.cipher_suite()], [CredentialType::BASIC]),
        leaf_node_source: LeafNodeSource::KeyPackage(lifetime_from(now, 24 * 3600)),
        extensions: Extensions::new(),
    };
    (sign_leaf(parts, LeafPlace::KeyPackage, signer.as_ref(), rng).unwrap(), signer)
}

/// Makes so many of something on all cores, in their order. The same whatever the number of cores: each
/// chunk has randomness of its own.
fn in_parallel<T: Send>(
    count: u32,
    rng: &mut dyn CryptoRng,
    make: impl Fn(u32, &mut ChaCha20Rng) -> T + Sync,
) -> Vec<T> {
    const CHUNK: usize = 512;
    let mut chunks: Vec<(u32, u64, Vec<T>)> =
        (0..count).step_by(CHUNK).map(|first| (first, rng.next_u64(), Vec::new())).collect();
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let share = chunks.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for chunks in chunks.chunks_mut(share) {
            scope.spawn(|| {
                for (first, seed, made) in chunks {
                    let mut rng = keyroom_vectors::rng(*seed);
                    made.extend((*first..count).take(CHUNK).map(|index| make(index, &mut rng)));
                }
            });
        }
    });
    chunks.into_iter().flat_map(|(.., made)| made).collect()
}

/// The second guest's leaf: far from the first.
fn second(members: u32) -> LeafIndex {
    LeafIndex((members / 4 * 3) & !1)
}

fn path_secret<'a>(steps: &[PathStep], path: &'a [(Secret, HpkePublicKey)], leaf: LeafIndex) -> Option<&'a Secret> {
    steps.iter().position(|step| step.node.covers(leaf)).map(|step| &path[step].0)
}
