//! Founding a group (RFC 9420 §11).

use alloc::sync::Arc;

use keyroom_crypto::{CryptoRng, Suite};
use keyroom_wire::{Encode, Extensions, GroupContext, GroupId, LeafIndex, Opaque};

use super::keys::PathKeys;
use super::past::PastEpochs;
use super::pending::PendingCommits;
use super::propose::ProposalCache;
use super::psks::ResumptionPsks;
use super::{Group, Status};
use crate::config::{Config, Inputs};
use crate::counts::Counts;
use crate::error::Error;
use crate::extension::GroupExtensions;
use crate::fingerprint::Seed;
use crate::key_index::{KeyIndex, Slot};
use crate::key_package::{KeyPackageBundle, check_unsigned};
use crate::key_schedule::EpochSecret;
use crate::leaf_node::LeafExpectation;
use crate::public::{PublicState, leaf_class};
use crate::record::ChangeSet;
use crate::secret_tree::SecretTree;
use crate::transcript;
use crate::tree::{Leaf, Tree};

/// What a new group starts from.
#[derive(Debug)]
pub struct Founder {
    /// The founder's key package with its private keys; its leaf becomes leaf 0.
    pub bundle: KeyPackageBundle,
    /// Identifies the group; unique among the groups of its members.
    pub group_id: GroupId,
    /// Extensions of the GroupContext.
    pub extensions: Extensions,
}

impl Group {
    /// Founds a group of one member in epoch 0.
    ///
    /// # Errors
    /// [`Error::Rule`] if the founder's own leaf or the extensions break a rule.
    pub fn create(
        suite: &'static dyn Suite,
        founder: Founder,
        config: Arc<Config>,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, ChangeSet), Error> {
        let Founder { bundle, group_id, extensions } = founder;
        let extensions = Arc::new(GroupExtensions::validate(extensions, suite, &config.extensions)?);
        let expectation = LeafExpectation {
            suite,
            version: keyroom_wire::ProtocolVersion::MLS10,
            group: Some(&extensions),
            extensions: &config.extensions,
            lifetimes: config.lifetime,
            now: Some(inputs.now),
        };
        check_unsigned(&bundle.key_package, &expectation)?;
        let leaf = Leaf::from(&bundle.key_package.leaf_node);
        let mut context = GroupContext::new(suite.cipher_suite(), group_id);
        context.extensions = extensions.extensions().clone();
        let (mut tree, index, counts) = first_tree(suite, leaf, rng)?;
        counts.check_external_senders(&extensions, tree.members())?;
        context.tree_hash = Opaque::from(tree.tree_hash()?.as_slice());
        let (secrets, encryption) = EpochSecret::random(suite, rng).into_secrets(suite)?;
        let confirmation_tag = secrets.confirmation_tag(suite, b"");
        let public = PublicState {
            suite,
            context_bytes: context.to_bytes().into(),
            context: Arc::new(context),
            interim_transcript_hash: transcript::interim_transcript_hash(suite, b"", &confirmation_tag),
            confirmation_tag,
            tree,
            index,
            counts,
            extensions,
        };
        let secret_tree = SecretTree::new(suite, encryption, public.tree.depth(), 0);
        let mut group = Self {
            config,
            version: 0,
            status: Status::Active,
            own_leaf: LeafIndex(0),
            secrets,
            secret_tree,
            keys: PathKeys::leaf(bundle.leaf_private),
            proposals: ProposalCache::default(),
            pending: PendingCommits::default(),
            past: PastEpochs::default(),
            resumption: ResumptionPsks::default(),
            public,
        };
        let changes = group.store_whole()?;
        Ok((group, changes))
    }
}

fn first_tree(
    suite: &'static dyn Suite,
    leaf: Leaf,
    rng: &mut dyn CryptoRng,
) -> Result<(Tree, KeyIndex, Counts), Error> {
    let mut tree = Tree::new(suite);
    let mut counts = Counts::default();
    let mut index = KeyIndex::new(Seed::random(rng));
    let leaf_index = tree.add(leaf.clone(), 1)?;
    counts.add(leaf_class(&leaf)?);
    index.insert(leaf.encryption_key(), Slot::encryption_key(leaf_index));
    index.insert(leaf.signature_key(), Slot::signature_key(leaf_index));
    Ok((tree, index, counts))
}
