//! TreeKEM: path secrets, their key pairs and their encryption (RFC 9420 §7.4–§7.6).

use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, KeyPair, SealJob, Secret, Suite, labels};
use keyroom_wire::{HpkePublicKey, LeafIndex, UpdatePathNode};

use super::keys::PathKeys;
use crate::error::{Error, Rule};
use crate::tree::{PathStep, Tree};

const LABEL: &str = "UpdatePathNode";

/// The secrets of a filtered direct path from one node upwards: as its maker or as a receiver who
/// learned the secret of that node.
pub(crate) struct PathSecrets {
    /// One per step, in the order of the steps.
    pub(crate) secrets: Vec<Secret>,
    /// One per step.
    pub(crate) keys: Vec<KeyPair>,
    /// One step beyond the last.
    pub(crate) commit_secret: Secret,
}

impl PathSecrets {
    /// Derives `count` path secrets and key pairs, the first from `first` itself (§7.4).
    pub(crate) fn derive(suite: &dyn Suite, first: Secret, count: usize) -> Result<Self, Error> {
        let mut secrets = Vec::with_capacity(count);
        let mut keys = Vec::with_capacity(count);
        let mut current = first;
        for _ in 0..count {
            let node_secret = labels::derive_secret(suite, current.expose(), "node")?;
            keys.push(suite.kem().derive_key_pair(node_secret.expose())?);
            let next = labels::derive_secret(suite, current.expose(), "path")?;
            secrets.push(core::mem::replace(&mut current, next));
        }
        Ok(Self { secrets, keys, commit_secret: current })
    }

    /// The public keys in the order of the steps.
    pub(crate) fn public_keys(&self) -> Vec<HpkePublicKey> {
        self.keys.iter().map(|pair| pair.public.clone()).collect()
    }

    /// Encrypts each path secret to the resolution of its copath node. `tree` is the tree before the
    /// adds of the commit, so that new leaves are left out; `context` is the provisional GroupContext.
    pub(crate) fn encrypt(
        &self,
        suite: &dyn Suite,
        tree: &Tree,
        steps: &[PathStep],
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<UpdatePathNode>, Error> {
        let mut jobs = Vec::new();
        let mut counts = Vec::with_capacity(steps.len());
        for (step, secret) in steps.iter().zip(&self.secrets) {
            let resolution = tree.resolution(step.copath)?;
            counts.push(resolution.len());
            jobs.extend(resolution.into_iter().map(|recipient| SealJob {
                public_key: recipient.encryption_key,
                plaintext: secret.expose(),
                randomness: Secret::random(suite.kem().randomness_len(), rng),
            }));
        }
        let info = labels::encryption_info(suite, LABEL, context);
        let mut sealed = suite.seal_many(&info, &jobs)?.into_iter();
        Ok(self
            .keys
            .iter()
            .zip(counts)
            .map(|(pair, count)| UpdatePathNode {
                encryption_key: pair.public.clone(),
                encrypted_path_secret: sealed.by_ref().take(count).collect(),
            })
            .collect())
    }

    /// The secret that a joiner at `leaf` gets: that of the lowest step above it.
    pub(crate) fn secret_for(&self, steps: &[PathStep], leaf: LeafIndex) -> Option<&Secret> {
        let step = steps.iter().position(|step| step.node.covers(leaf))?;
        self.secrets.get(step)
    }
}

/// Checks the shape of a received path against the tree: one entry per step, one ciphertext per
/// node of the resolution in the tree before the adds (§7.6).
pub(crate) fn check_shape(tree_before_adds: &Tree, steps: &[PathStep], nodes: &[UpdatePathNode]) -> Result<(), Error> {
    if nodes.len() != steps.len() {
        return Err(Rule::PathLength.into());
    }
    for (step, node) in steps.iter().zip(nodes) {
        let expected = usize::try_from(tree_before_adds.resolution_len(step.copath)?).unwrap_or(usize::MAX);
        if node.encrypted_path_secret.len() != expected {
            return Err(Rule::PathCiphertextCount.into());
        }
    }
    Ok(())
}

/// What a receiver learns from a path.
pub(crate) struct ReceivedPath {
    /// New private keys of the receiver by height.
    pub(crate) keys: PathKeys,
    /// The commit secret.
    pub(crate) commit_secret: Secret,
}

/// Decrypts the path secret meant for `me`, derives upwards, and compares every public key (§7.5).
pub(crate) fn decrypt<'k>(
    suite: &dyn Suite,
    tree_before_adds: &Tree,
    steps: &[PathStep],
    nodes: &[UpdatePathNode],
    me: LeafIndex,
    private_key: impl Fn(u8) -> Option<&'k Secret>,
    context: &[u8],
) -> Result<ReceivedPath, Error> {
    let at = steps.iter().position(|step| step.node.covers(me)).ok_or(Rule::PathDecryption)?;
    let (Some(step), Some(node)) = (steps.get(at), nodes.get(at)) else {
        return Err(Rule::PathLength.into());
    };
    let place = tree_before_adds.place_in_resolution(step.copath, me)?.ok_or(Rule::PathDecryption)?;
    let ciphertext = node.encrypted_path_secret.get(place.position).ok_or(Rule::PathCiphertextCount)?;
    let private = private_key(place.key_holder.height).ok_or(Rule::PathDecryption)?;
    let mut opened = labels::decrypt_with_label(suite, private.expose(), LABEL, context, ciphertext)
        .map_err(|_| Rule::PathDecryption)?;
    if opened.len() != suite.kdf().output_len() {
        return Err(Rule::PathDecryption.into());
    }
    let first = Secret::new(core::mem::take(&mut *opened));
    let rest = steps.get(at..).unwrap_or_default();
    let expected = nodes.get(at..).unwrap_or_default().iter().map(|node| &node.encryption_key);
    adopt(suite, first, rest, expected)
}

/// Derives key pairs upwards from a path secret and keeps the private keys if every public key is
/// the one in the tree (§7.5, §12.4.3.1).
pub(crate) fn adopt<'a>(
    suite: &dyn Suite,
    first: Secret,
    steps: &[PathStep],
    expected: impl Iterator<Item = &'a HpkePublicKey>,
) -> Result<ReceivedPath, Error> {
    let PathSecrets { keys, commit_secret, .. } = PathSecrets::derive(suite, first, steps.len())?;
    if !keys.iter().map(|pair| &pair.public).eq(expected) {
        return Err(Rule::PathKeyMismatch.into());
    }
    let mut own = PathKeys::default();
    steps.iter().zip(keys).for_each(|(step, pair)| own.set(step.node.height, pair.private));
    Ok(ReceivedPath { keys: own, commit_secret })
}
