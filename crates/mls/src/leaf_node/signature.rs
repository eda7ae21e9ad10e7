use alloc::vec::Vec;

use keyroom_crypto::{Suite, VerifyJob, labels};
use keyroom_wire::{GroupId, LeafIndex, LeafNode, LeafNodeRef, LeafNodeSource};

use crate::error::Rule;

pub(super) const LABEL: &str = "LeafNodeTBS";

/// Signatures gathered before they are checked: enough for a provider to spread over its threads,
/// few enough that the messages take a few megabytes.
pub(crate) const GATHERED: usize = 16_384;

/// A leaf of a tree that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLeaf {
    /// Which leaf.
    pub leaf_index: LeafIndex,
    /// Which rule.
    pub rule: Rule,
}

/// Verifies the signatures of the leaves of a tree (RFC 9420 §7.3), in batches.
///
/// # Errors
/// The first leaf whose signature fails, with [`Rule::LeafSignature`], or [`Rule::InvalidPublicKey`]
/// if the suite refuses its key.
pub fn verify_leaf_signatures<'a>(
    suite: &dyn Suite,
    group_id: &GroupId,
    leaves: impl IntoIterator<Item = (LeafIndex, LeafNodeRef<'a>)>,
) -> Result<(), InvalidLeaf> {
    let signed = |(leaf_index, leaf): (LeafIndex, LeafNodeRef<'a>)| {
        let message = signed_message_ref(&leaf, group_id, leaf_index);
        let otherwise = Rule::LeafSignature;
        (leaf_index, Signed { public_key: leaf.signature_key, message, signature: leaf.signature, otherwise })
    };
    let mut leaves = leaves.into_iter().map(signed);
    loop {
        let batch: Vec<_> = leaves.by_ref().take(GATHERED).collect();
        if batch.is_empty() {
            return Ok(());
        }
        verify_leaves(suite, &batch)?;
    }
}

fn verify_leaves(suite: &dyn Suite, batch: &[(LeafIndex, Signed<'_>)]) -> Result<(), InvalidLeaf> {
    verify_batch(suite, batch, |(_, signed)| signed)
        .map_err(|((leaf_index, _), rule)| InvalidLeaf { leaf_index: *leaf_index, rule })
}

/// Something signed, with everything that it takes to check it.
pub(crate) struct Signed<'a> {
    pub(crate) public_key: &'a [u8],
    /// The message, its label included.
    pub(crate) message: Vec<u8>,
    pub(crate) signature: &'a [u8],
    /// The rule that is broken if the signature is not good.
    pub(crate) otherwise: Rule,
}

/// Verifies signatures together, with the verdicts of single checks.
///
/// # Errors
/// The first that fails, and why.
pub(crate) fn verify_batch<'b, 'a: 'b, T>(
    suite: &dyn Suite,
    batch: &'b [T],
    signed: impl Fn(&'b T) -> &'b Signed<'a>,
) -> Result<(), (&'b T, Rule)> {
    let job = |signed: &'b Signed<'a>| VerifyJob {
        public_key: signed.public_key,
        message: &signed.message,
        signature: signed.signature,
    };
    let jobs: Vec<VerifyJob<'_>> = batch.iter().map(|entry| job(signed(entry))).collect();
    let Err(position) = suite.verify_many(&jobs) else { return Ok(()) };
    // A provider that names a position outside the batch still means that something failed.
    let Some(failed) = batch.get(position).or(batch.first()) else { return Ok(()) };
    let Signed { public_key, otherwise, .. } = signed(failed);
    Err((failed, fault(suite, public_key, *otherwise)))
}

/// What the signature of a leaf covers, its label included. The source decides whether the place is
/// part of it (§7.2).
pub(crate) fn signed_message(leaf: &LeafNode, place: Option<(&GroupId, LeafIndex)>) -> Vec<u8> {
    let place = place.filter(|_| !matches!(leaf.leaf_node_source, LeafNodeSource::KeyPackage(_)));
    labels::sign_content(LABEL, &leaf.tbs(place))
}

fn signed_message_ref(leaf: &LeafNodeRef<'_>, group_id: &GroupId, leaf_index: LeafIndex) -> Vec<u8> {
    let bound = !matches!(leaf.leaf_node_source, LeafNodeSource::KeyPackage(_));
    labels::sign_content(LABEL, &leaf.tbs(bound.then_some((group_id, leaf_index))))
}

/// Why a signature failed: the key itself, or else the rule on the signature.
pub(crate) fn fault(suite: &dyn Suite, public_key: &[u8], otherwise: Rule) -> Rule {
    if suite.validate_signature_key(public_key).is_err() { Rule::InvalidPublicKey } else { otherwise }
}
