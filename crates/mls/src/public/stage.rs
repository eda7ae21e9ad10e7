//! What a list of proposals, and then a path, does to the public state (RFC 9420 §12.3, §12.4.2).
//!
//! The same steps serve a received commit, an own one, an external joiner and an observer: first
//! [`Change::new`] applies the proposals, then [`Change::set_path`] the path, then
//! [`Change::finish`] checks what must hold for the result and computes the next context.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::Hash;
use keyroom_wire::{
    Encode, GroupContext, HpkePublicKey, KeyPackageRef, LeafIndex, LeafNode, Mac, Opaque, PreSharedKeyId, ReInit,
    Sender,
};

use super::state::PublicState;
use crate::config::{Config, Inputs};
use crate::counts::LeafClass;
use crate::error::{Error, Rule};
use crate::extension::GroupExtensions;
use crate::identity::{Member, Question};
use crate::key_index::{KeyConflict, Place, Slot};
use crate::key_package::ValidKeyPackage;
use crate::leaf_node::{LeafExpectation, LeafPlace, LifetimeCheck, LifetimePolicy};
use crate::proposals::ProposalList;
use crate::tree::{Leaf, NodeId, PathStep, Tree, TreeError};

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committer {
    /// A member, at this leaf.
    Member(LeafIndex),
    /// A joiner by external commit; its leaf is found when its path is set.
    New,
}

impl Committer {
    /// The committer behind the sender of a commit.
    pub(crate) fn of(sender: Sender) -> Result<Self, Error> {
        match sender {
            Sender::Member(leaf_index) => Ok(Self::Member(leaf_index)),
            Sender::NewMemberCommit => Ok(Self::New),
            Sender::External(_) => Err(Rule::ExternalSenderContent.into()),
            Sender::NewMemberProposal => Err(Rule::NewMemberProposalContent.into()),
        }
    }

    pub(crate) fn sender(self) -> Sender {
        match self {
            Self::Member(leaf_index) => Sender::Member(leaf_index),
            Self::New => Sender::NewMemberCommit,
        }
    }
}

/// A public state on its way to the next epoch. Dropping it is the rollback.
#[derive(Debug)]
pub(crate) struct Change {
    /// Tree, index and counts as far as they have been changed; the context is still the old one
    /// until [`Change::finish`].
    pub(crate) state: PublicState,
    /// The tree after updates and removes: the resolutions of the path are taken in it.
    pub(crate) tree_before_adds: Tree,
    /// The members added, in order.
    pub(crate) added: Vec<Added>,
    /// The members removed.
    pub(crate) removed: Vec<Member>,
    /// The earlier leaf of a joiner that removes it.
    rejoins: Option<LeafIndex>,
    /// The leaves that this commit touches, as they were.
    pub(crate) replaced: BTreeMap<LeafIndex, Option<Leaf>>,
    /// The PSKs, in the order of the commit.
    pub(crate) psks: Vec<PreSharedKeyId>,
    /// Encapsulated key of an external joiner.
    pub(crate) external_init: Option<Opaque>,
    /// The successor, if the group ends with this commit.
    pub(crate) reinit: Option<ReInit>,
    /// What the application must judge.
    pub(crate) questions: Vec<Question>,
    /// The group's extensions after the commit.
    pub(crate) extensions: Arc<GroupExtensions>,
    lifetimes: LifetimePolicy,
    fresh: Vec<(Vec<u8>, Slot)>,
    /// The tree before the path, and from where on `fresh` holds the keys of the path.
    before_path: Option<(Tree, usize)>,
}

/// A member that a commit adds.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    pub(crate) leaf_index: LeafIndex,
    pub(crate) reference: KeyPackageRef,
    pub(crate) init_key: HpkePublicKey,
}

impl Change {
    /// Applies the proposals in the order of §12.3: GroupContextExtensions, Update, SelfRemove, Remove,
    /// Add.
    pub(crate) fn new(
        base: &PublicState,
        list: &ProposalList,
        committer: Committer,
        config: &Config,
        lifetimes: LifetimeCheck,
        inputs: &Inputs<'_>,
    ) -> Result<Self, Error> {
        let extensions = match list.group_context_extensions() {
            Some(new) => Arc::new(GroupExtensions::validate(new.clone(), base.suite, &config.extensions)?),
            None => base.extensions.clone(),
        };
        let mut change = Self {
            state: base.clone(),
            tree_before_adds: base.tree.clone(),
            added: Vec::new(),
            removed: Vec::new(),
            rejoins: if committer == Committer::New { list.removes().next() } else { None },
            replaced: BTreeMap::new(),
            psks: list.psks().cloned().collect(),
            external_init: list.external_init().cloned(),
            reinit: list.reinit().cloned(),
            questions: policy_questions(list, committer),
            extensions,
            lifetimes: config.lifetime.checking(lifetimes),
            fresh: Vec::new(),
            before_path: None,
        };
        change.require(list, committer)?;
        change.ask_external_senders(base);
        for (leaf_index, leaf_node) in list.updates() {
            change.update(leaf_index, leaf_node, config, inputs)?;
        }
        for leaf_index in list.self_removes().chain(list.removes()) {
            change.remove(leaf_index)?;
        }
        change.tree_before_adds = change.state.tree.clone();
        change.check_types(list)?;
        let key_packages = list.adds().cloned().collect();
        for added in ValidKeyPackage::validate_all(key_packages, &change.expectation(config, inputs))? {
            change.add(&added, config)?;
        }
        change.check_group_support(base)?;
        change.ask_for_cipher_suite(base);
        Ok(change)
    }

    /// Asks for all records at once that the proposals and the committer touch.
    fn require(&self, list: &ProposalList, committer: Committer) -> Result<(), Error> {
        let mut leaves: Vec<LeafIndex> = list.updates().map(|(leaf_index, _)| leaf_index).collect();
        leaves.extend(list.self_removes().chain(list.removes()));
        if let Committer::Member(leaf_index) = committer {
            leaves.push(leaf_index);
        }
        let joiner = usize::from(committer == Committer::New);
        let adds = u32::try_from(list.adds().count().saturating_add(joiner)).unwrap_or(u32::MAX);
        // What is removed leaves room further to the left at most, and its path is asked for anyway.
        Ok(self.state.tree.require_change(&leaves, adds)?)
    }

    pub(crate) fn expectation<'a>(&'a self, config: &'a Config, inputs: &Inputs<'_>) -> LeafExpectation<'a> {
        LeafExpectation {
            suite: self.state.suite,
            version: self.state.context.version,
            group: Some(&self.extensions),
            extensions: &config.extensions,
            lifetimes: self.lifetimes,
            now: Some(inputs.now),
        }
    }

    fn ask_external_senders(&mut self, base: &PublicState) {
        let known: BTreeSet<Vec<u8>> = base.extensions.external_senders().iter().map(Encode::to_bytes).collect();
        let senders = self.extensions.external_senders().iter();
        let new = senders.filter(|sender| !known.contains(&sender.to_bytes()));
        self.questions.extend(new.cloned().map(Question::ExternalSender));
    }

    /// Who founds a group answers for its cipher suite when the first members come in (§11).
    fn ask_for_cipher_suite(&mut self, base: &PublicState) {
        if base.epoch() > 0 || self.added.is_empty() {
            return;
        }
        let chosen = base.context.cipher_suite;
        let of_all = self.state.counts.cipher_suites_of_all(self.state.tree.members());
        let others: Vec<_> = of_all.filter(|suite| *suite != chosen).collect();
        if !others.is_empty() {
            self.questions.push(Question::CipherSuite { chosen, others });
        }
    }

    fn update(
        &mut self,
        leaf_index: LeafIndex,
        leaf_node: &LeafNode,
        config: &Config,
        inputs: &Inputs<'_>,
    ) -> Result<(), Error> {
        let group_id = &self.state.context.group_id;
        let place = LeafPlace::Update { group_id, leaf_index };
        let valid = self.expectation(config, inputs).validate(place, leaf_node.clone())?;
        let leaf = Leaf::from(valid.leaf_node());
        let old = self.member(leaf_index)?;
        check_succession(&old, &leaf)?;
        self.ask_if_changed(old, leaf_index, &leaf);
        self.replace(leaf_index, Some(&leaf))?;
        self.state.tree.update(leaf_index, leaf)?;
        Ok(())
    }

    fn remove(&mut self, leaf_index: LeafIndex) -> Result<(), Error> {
        let old = self.member(leaf_index)?;
        self.replace(leaf_index, None)?;
        self.state.tree.remove(leaf_index)?;
        self.removed.push(old);
        Ok(())
    }

    fn add(&mut self, added: &ValidKeyPackage, config: &Config) -> Result<(), Error> {
        let package = added.key_package();
        let (reference, init_key) = (added.reference().clone(), package.init_key.clone());
        let leaf_index = self.add_leaf(Leaf::from(&package.leaf_node), config)?;
        self.ask_joins(leaf_index)?;
        self.added.push(Added { leaf_index, reference, init_key });
        Ok(())
    }

    fn add_leaf(&mut self, leaf: Leaf, config: &Config) -> Result<LeafIndex, Error> {
        let leaf_index = self.state.tree.add(leaf.clone(), config.max_leaves)?;
        self.enter(leaf_index, &leaf)?;
        Ok(leaf_index)
    }

    /// Notes a leaf where there was none.
    fn enter(&mut self, leaf_index: LeafIndex, leaf: &Leaf) -> Result<(), Error> {
        self.replaced.entry(leaf_index).or_insert(None);
        self.state.counts.add(leaf_class(leaf)?);
        self.note_keys(leaf_index, leaf);
        Ok(())
    }

    fn ask_joins(&mut self, leaf_index: LeafIndex) -> Result<(), Error> {
        let member = self.member(leaf_index)?;
        self.questions.push(Question::Joins(member));
        Ok(())
    }

    fn ask_if_changed(&mut self, old: Member, leaf_index: LeafIndex, leaf: &Leaf) {
        let same = old.leaf().signature_key() == leaf.signature_key()
            && old.leaf().node().credential == leaf.node().credential;
        if !same {
            self.questions.push(Question::Changes { old, new: Member::new(leaf_index, leaf.clone()) });
        }
    }

    /// The member at a leaf of the tree as it stands now.
    fn member(&self, leaf_index: LeafIndex) -> Result<Member, Error> {
        self.state.member(leaf_index)?.ok_or(Rule::RemovedNotMember.into())
    }

    /// Notes that a leaf changes: its earlier version, its counts, its new keys.
    fn replace(&mut self, leaf_index: LeafIndex, new: Option<&Leaf>) -> Result<(), Error> {
        let old = self.member(leaf_index)?.leaf().clone();
        self.state.counts.remove(leaf_class(&old)?);
        self.replaced.entry(leaf_index).or_insert(Some(old));
        if let Some(leaf) = new {
            self.state.counts.add(leaf_class(leaf)?);
            self.note_keys(leaf_index, leaf);
        }
        Ok(())
    }

    fn note_keys(&mut self, leaf_index: LeafIndex, leaf: &Leaf) {
        self.fresh.push((leaf.encryption_key().to_vec(), Slot::encryption_key(leaf_index)));
        self.fresh.push((leaf.signature_key().to_vec(), Slot::signature_key(leaf_index)));
    }

    /// Whoever processes the commit must understand its proposals: the members that stay, without
    /// those that it adds (§12.2).
    fn check_types(&self, list: &ProposalList) -> Result<(), Rule> {
        let members = self.state.tree.members();
        let understood = |proposal_type| self.state.counts.every_member_supports_proposal(proposal_type, members);
        if list.types_to_support().all(understood) { Ok(()) } else { Err(Rule::ProposalTypeNotSupported) }
    }

    /// What the group asks of all members after the proposals (§12.1.7).
    fn check_group_support(&self, base: &PublicState) -> Result<(), Error> {
        if !Arc::ptr_eq(&base.extensions, &self.extensions) {
            self.state.counts.check_group_extensions(&self.extensions, self.state.tree.members())?;
        }
        Ok(())
    }

    /// The leaf that a committer gets: its own, or the leftmost free one for a joiner.
    pub(crate) fn place_committer(&mut self, committer: Committer, config: &Config) -> Result<LeafIndex, Error> {
        match committer {
            Committer::Member(leaf_index) => Ok(leaf_index),
            Committer::New => Ok(self.state.tree.reserve(config.max_leaves)?),
        }
    }

    /// Blanks and fills the direct path; returns the parent hash that the new leaf must carry.
    pub(crate) fn fill_path(
        &mut self,
        leaf_index: LeafIndex,
        steps: &[PathStep],
        keys: &[HpkePublicKey],
    ) -> Result<Vec<u8>, Error> {
        self.before_path = Some((self.state.tree.clone(), self.fresh.len()));
        for (step, key) in steps.iter().zip(keys) {
            self.fresh.push((key.as_slice().to_vec(), Slot::parent(step.node.to_array())));
        }
        Ok(self.state.tree.apply_path(leaf_index, keys)?)
    }

    /// Puts the committer's new leaf in its place. The leaf has been validated.
    pub(crate) fn set_committer_leaf(
        &mut self,
        committer: Committer,
        leaf_index: LeafIndex,
        leaf: Leaf,
    ) -> Result<(), Error> {
        match committer {
            Committer::Member(_) => {
                let old = self.member(leaf_index)?;
                check_succession(&old, &leaf)?;
                self.ask_if_changed(old, leaf_index, &leaf);
                self.replace(leaf_index, Some(&leaf))?;
            }
            Committer::New => {
                // Who rejoins brings what an Update would have to (checklist row 159).
                let earlier = self.earlier_leaf().cloned();
                if let Some(old) = &earlier {
                    check_succession(old, &leaf)?;
                }
                self.enter(leaf_index, &leaf)?;
                let new = Member::new(leaf_index, leaf.clone());
                self.questions.push(match earlier {
                    Some(old) => Question::Rejoins { old, new },
                    None => Question::Joins(new),
                });
            }
        }
        self.state.tree.set_committed_leaf(leaf_index, leaf)?;
        Ok(())
    }

    fn earlier_leaf(&self) -> Option<&Member> {
        self.removed.iter().find(|old| Some(old.leaf_index) == self.rejoins)
    }

    /// Checks a received path leaf and sets path and leaf (§7.5, §12.4.2). Returns the committer's
    /// leaf index and the steps of its filtered direct path.
    pub(crate) fn set_path(
        &mut self,
        committer: Committer,
        path: &keyroom_wire::UpdatePath,
        config: &Config,
        inputs: &Inputs<'_>,
    ) -> Result<(LeafIndex, Vec<PathStep>), Error> {
        let leaf = Leaf::from(&path.leaf_node);
        let leaf_index = self.place_committer(committer, config)?;
        // The shape is cheaper to check than a signature.
        let steps = self.state.tree.filtered_direct_path(leaf_index)?;
        crate::group::path::check_shape(&self.tree_before_adds, &steps, &path.nodes)?;
        let keys: Vec<HpkePublicKey> = path.nodes.iter().map(|node| node.encryption_key.clone()).collect();
        for key in &keys {
            self.state.suite.kem().validate_public_key(key.as_slice()).map_err(|_| Rule::InvalidPublicKey)?;
        }
        check_distinct(&leaf, &keys)?;
        let place = LeafPlace::Commit { group_id: &self.state.context.group_id, leaf_index };
        self.expectation(config, inputs).validate(place, path.leaf_node.clone())?;
        let parent_hash = self.fill_path(leaf_index, &steps, &keys)?;
        if leaf.parent_hash() != Some(parent_hash.as_slice()) {
            return Err(Rule::PathParentHash.into());
        }
        self.set_committer_leaf(committer, leaf_index, leaf)?;
        Ok((leaf_index, steps))
    }

    /// Checks that all keys are unique and all leaves fit together in the resulting tree, and
    /// computes its hash. Returns the provisional context: next epoch, new tree hash and
    /// extensions, old transcript hash (§12.4.1).
    pub(crate) fn finish(&mut self) -> Result<GroupContext, Error> {
        self.check_keys()?;
        self.check_leaves_fit()?;
        let tree_hash = self.state.tree.tree_hash()?;
        let old = &self.state.context;
        let epoch = old.epoch.checked_add(1).filter(|epoch| *epoch < 1 << 63).ok_or(Rule::EpochOverflow)?;
        Ok(GroupContext {
            version: old.version,
            cipher_suite: old.cipher_suite,
            group_id: old.group_id.clone(),
            epoch,
            tree_hash: Opaque::from(tree_hash.as_slice()),
            confirmed_transcript_hash: old.confirmed_transcript_hash.clone(),
            extensions: self.extensions.extensions().clone(),
        })
    }

    /// Every key that this commit brings in must be unlike every other key of the resulting tree.
    fn check_keys(&mut self) -> Result<(), Error> {
        let fresh = core::mem::take(&mut self.fresh);
        let init_keys = self.added.iter().map(|added| added.init_key.as_slice());
        let keys: Vec<&[u8]> = fresh.iter().map(|(key, _)| key.as_slice()).chain(init_keys).collect();
        self.state.index.require(&keys)?;
        self.state.index.insert_all(fresh.iter().map(|(key, slot)| (key, *slot)));
        for (key, slot) in &fresh {
            // A slot may have been filled twice in one commit; only what stands there now counts.
            if key_at(&self.state.tree, *slot)? == Some(key.as_slice()) {
                let read = |suspect| key_at(&self.state.tree, suspect);
                self.state.index.check_unique(key, *slot, read).map_err(|conflict| self.conflict(conflict))?;
            }
        }
        self.check_path_is_new(&fresh)?;
        // An init key may not serve as the encryption key of a node too (checklist row 151).
        for added in &self.added {
            let read = |suspect| key_at(&self.state.tree, suspect);
            let holder = self.state.index.holder(added.init_key.as_slice(), read).map_err(key_conflict)?;
            if holder.is_some() {
                return Err(Rule::InitKeyIsLeafKey.into());
            }
        }
        Ok(())
    }

    /// The keys of a path must be unlike every key of the tree that it is put into, those that it
    /// replaces too (§12.4.2): who sends its old keys again has healed nothing.
    fn check_path_is_new(&self, fresh: &[(Vec<u8>, Slot)]) -> Result<(), Error> {
        let Some((tree, from)) = &self.before_path else { return Ok(()) };
        let path = fresh.get(*from..).unwrap_or_default();
        for (key, _) in path.iter().filter(|(_, slot)| !matches!(slot.place(), Place::LeafSignature(_))) {
            let holder = self.state.index.holder(key, |suspect| key_at(tree, suspect)).map_err(key_conflict)?;
            if holder.is_some() {
                return Err(Rule::PathKeyUnchanged.into());
            }
        }
        Ok(())
    }

    /// What a conflict of a new key means: a signature key that an added client shares with a member
    /// says that they are one (§12.2).
    fn conflict(&self, conflict: KeyConflict<TreeError>) -> Error {
        let KeyConflict::Duplicate(new, other) = &conflict else { return key_conflict(conflict) };
        let added = |leaf_index| self.added.iter().any(|added| added.leaf_index == leaf_index);
        match (new.place(), other.place()) {
            (Place::LeafSignature(new), Place::LeafSignature(_)) if added(new) => Rule::ClientAlreadyMember.into(),
            _ => key_conflict(conflict),
        }
    }

    /// Credential types: each new leaf against those in use, and its own against all members (§7.3).
    /// A leaf that supports and uses what it did before cannot be at fault.
    fn check_leaves_fit(&self) -> Result<(), Error> {
        let members = self.state.tree.members();
        for (leaf_index, old) in &self.replaced {
            let Some(leaf) = self.state.leaf(*leaf_index)? else { continue };
            let class = leaf_class(leaf)?;
            if old.as_ref().map(leaf_class).transpose()?.as_ref() != Some(&class) {
                self.state.counts.check_leaf(class, members)?;
            }
        }
        Ok(())
    }

    /// Completes the next state with the context of the new epoch and its transcript.
    pub(crate) fn take_state(
        &mut self,
        context: GroupContext,
        interim_transcript_hash: Hash,
        confirmation_tag: Mac,
    ) -> PublicState {
        PublicState {
            context_bytes: context.to_bytes().into(),
            context: Arc::new(context),
            extensions: self.extensions.clone(),
            interim_transcript_hash,
            confirmation_tag,
            ..self.state.clone()
        }
    }
}

/// The key that stands in a slot of the key index.
pub(crate) fn key_at(tree: &Tree, slot: Slot) -> Result<Option<&[u8]>, TreeError> {
    let leaf = |leaf_index: LeafIndex| {
        if leaf_index.0 < tree.slots() { tree.leaf(leaf_index) } else { Ok(None) }
    };
    Ok(match slot.place() {
        Place::LeafEncryption(leaf_index) => leaf(leaf_index)?.map(Leaf::encryption_key),
        Place::LeafSignature(leaf_index) => leaf(leaf_index)?.map(Leaf::signature_key),
        Place::Parent(index) => {
            let node = NodeId::from_array(index);
            let inside = node.height <= tree.depth() && node.first_leaf().0 < tree.slots();
            if inside { tree.parent(node)?.map(|parent| parent.encryption_key) } else { None }
        }
    })
}

/// What a conflict in the key index means to a commit.
pub(crate) fn key_conflict(conflict: KeyConflict<TreeError>) -> Error {
    match conflict {
        KeyConflict::Duplicate(one, other) => same_key(one.place(), other.place()).into(),
        KeyConflict::Missing(missing) => missing.into(),
        KeyConflict::Read(error) => error.into(),
    }
}

/// The rule that one key in these two places breaks.
fn same_key(one: Place, other: Place) -> Rule {
    match (one, other) {
        (Place::LeafSignature(_), Place::LeafSignature(_)) => Rule::SignatureKeyNotUnique,
        (Place::LeafSignature(_), _) | (_, Place::LeafSignature(_)) => Rule::KeyInTwoRoles,
        (Place::LeafEncryption(_), Place::LeafEncryption(_)) => Rule::EncryptionKeyNotUnique,
        (Place::Parent(_), _) | (_, Place::Parent(_)) => Rule::ParentKeyNotUnique,
    }
}

/// What a leaf counts as among the members' capabilities.
pub(crate) fn leaf_class(leaf: &Leaf) -> Result<LeafClass, Error> {
    Ok(LeafClass::new(&leaf.capabilities()?, leaf.credential_type()))
}

/// A leaf that takes the place of another must bring a new encryption key (§7.3).
fn check_succession(old: &Member, new: &Leaf) -> Result<(), Rule> {
    if old.leaf().encryption_key() == new.encryption_key() { Err(Rule::EncryptionKeyUnchanged) } else { Ok(()) }
}

/// A path brings a new key for each of its nodes and for its leaf.
fn check_distinct(leaf: &Leaf, keys: &[HpkePublicKey]) -> Result<(), Rule> {
    let mut all: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).chain([leaf.encryption_key()]).collect();
    all.sort_unstable();
    let twice = all.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    if twice { Err(Rule::PathKeyTwice) } else { Ok(()) }
}

fn policy_questions(list: &ProposalList, committer: Committer) -> Vec<Question> {
    list.iter()
        .map(|entry| Question::Proposal {
            proposal: entry.proposal.clone(),
            proposer: entry.sender,
            committer: committer.sender(),
        })
        .collect()
}
