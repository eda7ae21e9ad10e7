//! A foreign tree and GroupInfo, checked as a joiner or an observer must (RFC 9420 §12.4.3.1).
//!
//! Cheapest first: limits and shape, the GroupInfo's signature, the tree hash, then the structure
//! of the tree, and last the signatures of its leaves.

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::{Encode, ExtensionType, GroupInfo, LeafIndex, ProtocolVersion};

use super::PublicState;
use super::stage::{key_at, key_conflict, leaf_class};
use crate::config::{Config, Inputs};
use crate::counts::Counts;
use crate::error::{Error, Rule};
use crate::extension::{GroupExtensions, check_group_info_extensions};
use crate::fingerprint::Seed;
use crate::identity::{Member, Question};
use crate::key_index::{KeyIndex, Slot};
use crate::leaf_node::{LeafExpectation, LeafPlace, verify_leaf_signatures};
use crate::transcript;
use crate::tree::Tree;

/// A GroupInfo whose tree has been read and whose signature is its signer's; nothing else has been
/// checked yet.
#[derive(Debug)]
pub(crate) struct SignedInfo {
    pub(crate) info: GroupInfo,
    pub(crate) tree: Tree,
    suite: &'static dyn Suite,
}

impl SignedInfo {
    /// Reads the tree, from the GroupInfo or from beside it, and verifies the signature.
    pub(crate) fn new(
        suite: &'static dyn Suite,
        info: GroupInfo,
        ratchet_tree: Option<&[u8]>,
        config: &Config,
    ) -> Result<Self, Error> {
        if info.group_context.version != ProtocolVersion::MLS10 {
            return Err(Rule::GroupVersion.into());
        }
        check_group_info_extensions(&info.extensions, suite, &config.extensions)?;
        let inside = info.extensions.get(ExtensionType::RATCHET_TREE);
        let bytes = match (inside, ratchet_tree) {
            (Some(inside), Some(beside)) if inside != beside => return Err(Rule::TreesDiffer.into()),
            (Some(bytes), _) | (None, Some(bytes)) => bytes,
            (None, None) => return Err(Rule::TreeAbsent.into()),
        };
        let tree = Tree::import(suite, bytes, &config.limits, config.max_leaves)?;
        let signer = (info.signer.0 < tree.slots()).then(|| tree.leaf(info.signer)).transpose()?.flatten();
        let signer = signer.ok_or(Rule::GroupInfoSigner)?;
        crate::group::info::verify_group_info(suite, &info, signer.signature_key())?;
        Ok(Self { info, tree, suite })
    }

    /// Checks the whole tree against the context and returns the public state of the epoch, with
    /// one question for each member but `me`.
    pub(crate) fn validate(
        self,
        me: Option<LeafIndex>,
        config: &Config,
        inputs: &Inputs<'_>,
        seed: Seed,
    ) -> Result<(PublicState, Vec<Question>), Error> {
        let Self { info, mut tree, suite } = self;
        let context = info.group_context;
        if tree.tree_hash()?.as_slice() != context.tree_hash.as_slice() {
            return Err(Rule::TreeHash.into());
        }
        check_hash_lengths(suite, &context)?;
        let extensions = Arc::new(GroupExtensions::validate(context.extensions.clone(), suite, &config.extensions)?);
        tree.verify_parent_hashes()?;
        let index = index_of(&tree, seed)?;
        let counts = counts_of(&tree)?;
        counts.check_external_senders(&extensions, tree.members())?;
        let expectation = LeafExpectation {
            suite,
            version: context.version,
            group: Some(&extensions),
            extensions: &config.extensions,
            lifetimes: config.lifetime.checking(config.joined_lifetimes),
            now: Some(inputs.now),
        };
        let mut leaves = Vec::new();
        for entry in tree.leaves() {
            let (leaf_index, leaf) = entry?;
            let place = LeafPlace::Tree { group_id: &context.group_id, leaf_index };
            expectation.check_ref(place, &leaf.node())?;
            leaves.push((leaf_index, leaf));
        }
        counts.check_credentials(tree.members())?;
        verify_leaf_signatures(suite, &context.group_id, leaves.iter().map(|(index, leaf)| (*index, leaf.node())))
            .map_err(|invalid| invalid.rule)?;
        let senders = extensions.external_senders().iter().cloned().map(Question::ExternalSender);
        let questions = leaves
            .into_iter()
            .filter(|(leaf_index, _)| Some(*leaf_index) != me)
            .map(|(leaf_index, leaf)| Question::Present(Member::new(leaf_index, leaf.clone())))
            .chain(senders)
            .collect();
        let confirmed = context.confirmed_transcript_hash.as_slice();
        let state = PublicState {
            suite,
            interim_transcript_hash: transcript::interim_transcript_hash(suite, confirmed, &info.confirmation_tag),
            confirmation_tag: info.confirmation_tag,
            context_bytes: context.to_bytes().into(),
            context: Arc::new(context),
            tree,
            index,
            counts,
            extensions,
        };
        Ok((state, questions))
    }
}

/// Epoch 0 alone has an empty transcript; every other hash is as long as the suite's (§8.2).
fn check_hash_lengths(suite: &dyn Suite, context: &keyroom_wire::GroupContext) -> Result<(), Error> {
    let expected = if context.epoch == 0 { 0 } else { suite.kdf().output_len() };
    if context.epoch >= 1 << 63 {
        return Err(Rule::EpochOverflow.into());
    }
    if context.confirmed_transcript_hash.len() == expected { Ok(()) } else { Err(Rule::TranscriptHashLength.into()) }
}

/// The index of all keys of a tree.
pub(super) fn index_of(tree: &Tree, seed: Seed) -> Result<KeyIndex, Error> {
    let mut keys: Vec<(&[u8], Slot)> = Vec::new();
    for entry in tree.leaves() {
        let (leaf_index, leaf) = entry?;
        keys.push((leaf.encryption_key(), Slot::encryption_key(leaf_index)));
        keys.push((leaf.signature_key(), Slot::signature_key(leaf_index)));
    }
    for entry in tree.parents() {
        let (node, parent) = entry?;
        tree.suite().kem().validate_public_key(parent.encryption_key).map_err(|_| Rule::InvalidPublicKey)?;
        keys.push((parent.encryption_key, Slot::parent(node.to_array())));
    }
    KeyIndex::build(seed, keys, |slot| key_at(tree, slot)).map_err(key_conflict)
}

fn counts_of(tree: &Tree) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    for entry in tree.leaves() {
        counts.add(leaf_class(entry?.1)?);
    }
    Ok(counts)
}
