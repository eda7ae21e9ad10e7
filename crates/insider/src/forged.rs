//! A group that never was: any tree and any context, with secrets, GroupInfo and Welcome that fit
//! them, so that a reader gets as far as the rule that is broken.

use std::collections::BTreeMap;

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite, labels};
use keyroom_mls::key_schedule::{AeadKey, EpochSecrets, JoinerSecret};
use keyroom_wire::{
    Encode, ExtensionType, Extensions, ExternalPub, GroupContext, GroupInfo, KeyPackage, LeafIndex, LeafNodeSource,
    Mac, PreSharedKeyId, RatchetTree, Signature, Welcome,
};

use crate::insider::{SecretParts, combined, seal_welcome};
use crate::naive::ArrayTree;
use crate::{Bench, Client};

/// What is claimed of a group. Change it, [`Forged::sign`] and [`Forged::chain`] what must still
/// hold, and [`Forged::seal`] it.
pub struct Forged<'a> {
    pub suite: &'static dyn Suite,
    pub tree: ArrayTree,
    pub context: GroupContext,
    /// Mixed in, and listed in the Welcome.
    pub psks: Vec<(PreSharedKeyId, Secret)>,
    /// Who signs the GroupInfo. At first Bob.
    pub signer: LeafIndex,
    signers: BTreeMap<usize, &'a dyn Signer>,
}

impl<'a> Forged<'a> {
    /// The group of a bench, one epoch on, with a guest as an unmerged leaf: nothing is wrong yet.
    pub fn of(bench: &'a Bench, guest: &'a Client, package: &KeyPackage) -> Self {
        let group = &bench.members[1].group;
        let bytes = group.ratchet_tree().unwrap();
        let nodes = keyroom_wire::Decode::from_bytes(&bytes, &group.config().limits).unwrap();
        let mut tree = ArrayTree::extended(group.suite(), nodes);
        let members = bench.members.iter();
        let mut signers: BTreeMap<usize, &dyn Signer> =
            members.map(|member| (member.group.own_leaf().0 as usize, member.client.signer.as_ref())).collect();
        signers.insert(tree.add(package.leaf_node.clone()), guest.signer.as_ref());
        let mut context = group.context().clone();
        context.epoch += 1;
        let mut forged =
            Self { suite: group.suite(), tree, context, psks: Vec::new(), signer: group.own_leaf(), signers };
        forged.hash();
        forged
    }

    /// The leaf at this place signs with its own key again, after it has been changed.
    pub fn sign(&mut self, leaf: usize, rng: &mut dyn CryptoRng) {
        let signer = self.signers[&leaf];
        self.sign_as(leaf, signer, rng);
    }

    /// As [`Forged::sign`], with another key.
    pub fn sign_as(&mut self, leaf: usize, signer: &dyn Signer, rng: &mut dyn CryptoRng) {
        let leaf_index = LeafIndex(leaf.try_into().unwrap());
        let node = self.tree.leaf_mut(leaf);
        let place = match node.leaf_node_source {
            LeafNodeSource::KeyPackage(_) => None,
            _ => Some((&self.context.group_id, leaf_index)),
        };
        node.signature = labels::sign_with_label(signer, "LeafNodeTBS", &node.tbs(place), rng).unwrap();
    }

    /// Writes the parent hashes of a chain anew, from its topmost parent down to the leaf, which signs.
    pub fn chain(&mut self, parents: &[usize], leaf: usize, rng: &mut dyn CryptoRng) {
        for (place, node) in parents.iter().copied().enumerate() {
            let below = parents.get(place + 1).copied().unwrap_or(2 * leaf);
            let hash = self.parent_hash(node, below);
            match parents.get(place + 1) {
                Some(next) => self.tree.parent_mut(*next).parent_hash = hash.into(),
                None => {
                    self.tree.leaf_mut(leaf).leaf_node_source = LeafNodeSource::Commit { parent_hash: hash.into() };
                    self.sign(leaf, rng);
                }
            }
        }
    }

    /// The parent hash of a node towards something below it.
    pub fn parent_hash(&self, node: usize, below: usize) -> Vec<u8> {
        let (left, right) = (crate::naive::left(node), crate::naive::right(node));
        let copath = if crate::naive::covers(left, below) { right } else { left };
        self.tree.parent_hash(node, copath)
    }

    /// The parent hashes of the bench's tree again: those of Alice's path and of Frank's.
    pub fn mend(&mut self, rng: &mut dyn CryptoRng) {
        self.chain(&[9], 5, rng);
        self.chain(&[7, 3, 1], 0, rng);
        self.hash();
    }

    /// The context names the tree as it is.
    pub fn hash(&mut self) {
        self.context.tree_hash = self.tree.tree_hash(self.tree.root()).into();
    }

    /// Secrets that fit the context, whatever it says.
    pub fn seal(&self, rng: &mut dyn CryptoRng) -> Sealed<'a> {
        let suite = self.suite;
        let joiner_secret = Secret::random(suite.kdf().output_len(), rng).expose().to_vec();
        let member = JoinerSecret::from_welcome(&joiner_secret).into_member(suite, &combined(suite, &self.psks));
        let welcome_key = member.welcome_key_nonce(suite).unwrap();
        let epoch = member.into_epoch(suite, &self.context.to_bytes()).unwrap();
        let (secrets, _) = epoch.into_secrets(suite).unwrap();
        Sealed {
            suite,
            tree: self.tree.ratchet_tree(),
            context: self.context.clone(),
            tag: secrets.confirmation_tag(suite, self.context.confirmed_transcript_hash.as_slice()),
            joiner_secret,
            secrets,
            welcome_key,
            psks: self.psks.iter().map(|(id, _)| id.clone()).collect(),
            signer: self.signer,
            signing: *self.signers.get(&(self.signer.0 as usize)).unwrap_or(&self.signers[&1]),
        }
    }
}

/// A [`Forged`] group with its secrets.
pub struct Sealed<'a> {
    pub suite: &'static dyn Suite,
    pub tree: RatchetTree,
    pub context: GroupContext,
    pub tag: Mac,
    pub joiner_secret: Vec<u8>,
    pub secrets: EpochSecrets,
    pub welcome_key: AeadKey,
    pub psks: Vec<PreSharedKeyId>,
    pub signer: LeafIndex,
    signing: &'a dyn Signer,
}

impl Sealed<'_> {
    /// The GroupInfo with the tree inside and a key for external joiners, signed after it has been
    /// altered.
    pub fn info(&self, change: impl FnOnce(&mut GroupInfo), rng: &mut dyn CryptoRng) -> GroupInfo {
        let mut info = GroupInfo {
            group_context: self.context.clone(),
            extensions: Extensions::new(),
            confirmation_tag: self.tag.clone(),
            signer: self.signer,
            signature: Signature::default(),
        };
        let external_pub = self.secrets.external_key_pair(self.suite).unwrap().public;
        info.extensions.set(ExtensionType::RATCHET_TREE, self.tree.to_bytes());
        info.extensions.set(ExtensionType::EXTERNAL_PUB, ExternalPub { external_pub }.to_bytes());
        change(&mut info);
        info.signature = labels::sign_with_label(self.signing, "GroupInfoTBS", &info.tbs(), rng).unwrap();
        info
    }

    /// A Welcome for one client. PSKs are listed as `parts` says, or as they were mixed in.
    pub fn welcome(&self, info: &[u8], package: &KeyPackage, parts: SecretParts, rng: &mut dyn CryptoRng) -> Welcome {
        let psks = if parts.psks.is_empty() { self.psks.clone() } else { parts.psks };
        let parts = SecretParts { psks, ..parts };
        seal_welcome(self.suite, (&self.welcome_key, &self.joiner_secret), package, info, &parts, rng)
    }
}
