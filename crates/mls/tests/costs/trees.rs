//! A tree and a GroupInfo from a stranger: cheapest checks first, and no more work than its size bounds.

use std::sync::Arc;

use keyroom_crypto::{NoSuite, Provider, Suite, labels};
use keyroom_insider::{Counting, INFO, Tally, config, now};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, Refusal, Rule};
use keyroom_mls::group::{GroupInfoContent, TreeDelivery};
use keyroom_mls::public::PublicGroup;
use keyroom_mls::tree::{NodeId, Tree};
use keyroom_wire::{CipherSuite, Decode, Encode, GroupInfo, LeafIndex, Limits, MlsMessage};

use super::{Room, THOUSAND};

const MEMBERS: usize = 1_000;

/// A provider of one suite that counts.
#[derive(Debug)]
struct Only(&'static Counting);

impl Provider for Only {
    fn suites(&self) -> Vec<&'static dyn Suite> {
        vec![self.0]
    }

    fn suite(&self, _: CipherSuite) -> Result<&'static dyn Suite, NoSuite> {
        Ok(self.0)
    }
}

struct Stranger {
    room: Room,
    info: GroupInfo,
    tree: Vec<u8>,
}

impl Stranger {
    fn new() -> Self {
        let mut room = Room::new(&THOUSAND);
        room.commit(|commit| commit);
        let content = GroupInfoContent { tree: TreeDelivery::OutOfBand, ..INFO };
        let info = room.first.group.group_info(content, room.first.client.signer.as_ref(), &mut room.rng).unwrap();
        let MlsMessage::GroupInfo(info) = MlsMessage::from_bytes(&info, &Limits::default()).unwrap() else { panic!() };
        let tree = room.first.group.ratchet_tree().unwrap();
        Self { room, info, tree }
    }

    /// The tree with one bit changed within these bytes of it.
    fn damaged(&self, within: &[u8]) -> Vec<u8> {
        let place = self.tree.windows(within.len()).position(|window| window == within).unwrap();
        let mut tree = self.tree.clone();
        tree[place + within.len() / 2] ^= 1;
        tree
    }

    /// Signs the GroupInfo again, for another tree.
    fn signed_for(&mut self, tree: &[u8]) -> GroupInfo {
        let suite = self.room.first.group.suite();
        let mut imported = Tree::import(suite, tree, &Limits::default(), 1 << 24).unwrap();
        let mut info = self.info.clone();
        info.group_context.tree_hash = imported.tree_hash().unwrap().as_slice().into();
        let signer = self.room.first.client.signer.as_ref();
        info.signature = labels::sign_with_label(signer, "GroupInfoTBS", &info.tbs(), &mut self.room.rng).unwrap();
        info
    }

    fn refused(&mut self, info: &GroupInfo, tree: &[u8], config: Arc<Config>) -> (Error, Tally) {
        let info = MlsMessage::GroupInfo(info.clone()).to_bytes();
        self.room.suite.take();
        let provider = Only(self.room.suite);
        let refused = PublicGroup::observe(&provider, &info, Some(tree), config, &now(), &mut self.room.rng);
        (refused.map(|_| ()).unwrap_err(), self.room.suite.take())
    }
}

#[test]
fn a_tree_beyond_the_limit_of_leaves_is_refused_before_any_cryptography() {
    let mut stranger = Stranger::new();
    let (info, tree) = (stranger.info.clone(), stranger.tree.clone());
    let small = Arc::new(Config { max_leaves: 512, ..Config::clone(&config()) });
    let (error, cost) = stranger.refused(&info, &tree, small);
    assert_eq!((error, cost), (Refusal::TooManyLeaves.into(), Tally::default()));
    let (error, cost) = stranger.refused(&info, &tree[..tree.len() - 1], config());
    assert!(matches!(error, Error::Malformed(_)), "{error:?}");
    assert_eq!(cost, Tally::default());
}

#[test]
fn a_tree_that_the_group_info_does_not_name_costs_one_signature_check_and_its_hashes() {
    let mut stranger = Stranger::new();
    let key = stranger.room.first.group.member(LeafIndex(700)).unwrap().unwrap().leaf().encryption_key().to_vec();
    let (info, tree) = (stranger.info.clone(), stranger.damaged(&key));
    let (error, cost) = stranger.refused(&info, &tree, config());
    assert_eq!(error, Rule::TreeHash.into());
    assert_eq!(cost.verified, 1, "that of the GroupInfo");
    assert!(cost.hashes <= 2 * MEMBERS + 50, "{cost:?}");
}

#[test]
fn a_tree_whose_parent_hashes_are_wrong_costs_no_signature_check_of_a_leaf() {
    let mut stranger = Stranger::new();
    let parent = stranger.room.first.group.tree().parent(NodeId::new(3, 50)).unwrap().unwrap();
    let tree = stranger.damaged(parent.parent_hash);
    let info = stranger.signed_for(&tree);
    let (error, cost) = stranger.refused(&info, &tree, config());
    assert_eq!(error, Rule::ParentHash.into());
    assert_eq!(cost.verified, 1, "that of the GroupInfo");
    assert!(cost.hashes <= 12 * MEMBERS, "{cost:?}");
}

#[test]
fn a_tree_with_a_forged_leaf_costs_each_signature_once() {
    let mut stranger = Stranger::new();
    // The last committer's own leaf: no parent hash covers it.
    let own = stranger.room.first.group.own_leaf();
    let signature = stranger.room.first.group.member(own).unwrap().unwrap().leaf().node().signature.to_vec();
    let tree = stranger.damaged(&signature);
    let info = stranger.signed_for(&tree);
    let (error, cost) = stranger.refused(&info, &tree, config());
    assert_eq!(error, Rule::LeafSignature.into());
    assert!(cost.verified <= MEMBERS + 1, "{cost:?}");
    assert!(cost.hashes <= 12 * MEMBERS, "{cost:?}");
}
