//! Section L: trees of somebody else. Whoever reads one refuses it for the same reason: by Welcome, by
//! external commit, as an observer. The insider holds all keys, so what is wrong is well signed.

use std::sync::Arc;

use keyroom_crypto::{NoSuite, Provider, Suite, labels};
use keyroom_insider::{Counting, Forged, NOW, Tally, suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, Refusal, Rule};
use keyroom_mls::leaf_node::{LifetimeCheck, generate_key_pair};
use keyroom_mls::public::PublicGroup;
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, DecodeErrorKind, Encode, ExtensionType, GroupInfo, HpkePublicKey,
    LeafIndex, LeafNodeSource, Lifetime, MlsMessage, Opaque, ProposalType, ProtocolVersion, RatchetTree,
};

use super::readers::{Readers, change_leaf, leaf, rng};

// In the tree of the bench Alice's path is 1, 3 and 7, Frank's is 9, and Gina, at leaf 2, is unmerged
// at 3 and 7.

#[test]
fn row_188_a_group_without_a_tree_is_refused_and_so_is_an_empty_tree() {
    let readers = Readers::new();
    let forged = readers.forged();
    let without = |info: &mut GroupInfo| {
        info.extensions.list.retain(|extension| extension.extension_type != ExtensionType::RATCHET_TREE);
    };
    let absent = || Err(Error::Rule(Rule::TreeAbsent));
    assert_eq!(readers.outcomes(&forged, without), [absent(), absent(), absent()]);
    let empty = |info: &mut GroupInfo| info.extensions.set(ExtensionType::RATCHET_TREE, vec![0]);
    let refused = || Err(Error::Rule(Rule::TreeEmpty));
    assert_eq!(readers.outcomes(&forged, empty), [refused(), refused(), refused()]);
}

#[test]
fn row_189_a_tree_that_ends_with_a_blank_or_should_have_been_cut_is_refused() {
    let readers = Readers::new();
    let forged = readers.forged();
    let with = |nodes: Vec<_>| {
        let bytes = RatchetTree { nodes }.to_bytes();
        move |info: &mut GroupInfo| info.extensions.set(ExtensionType::RATCHET_TREE, bytes.clone())
    };
    let nodes = || forged.tree.ratchet_tree().nodes;
    for blanks in [1, 2, 4] {
        let longer = with([nodes(), vec![None; blanks]].concat());
        let refused = || Err(Error::Rule(Rule::TreeEndsBlank));
        assert_eq!(readers.outcomes(&forged, longer), [refused(), refused(), refused()], "{blanks}");
    }
    // The right half of this one is blank.
    let refused = || Err(Error::Rule(Rule::TreeNotTruncated));
    let half = with(nodes()[..8].to_vec());
    assert_eq!(readers.outcomes(&forged, half), [refused(), refused(), refused()]);
}

#[test]
fn row_190_a_tree_with_another_hash_than_the_context_names_is_refused() {
    let readers = Readers::new();
    for hash in [vec![0; 32], vec![0; 31], Vec::new()] {
        readers.refuse(Rule::TreeHash, |forged| forged.context.tree_hash = hash.clone().into());
    }
    // A well-made tree, and not that of the context.
    readers.refuse(Rule::TreeHash, |forged| {
        let before = forged.context.tree_hash.clone();
        change_leaf(forged, 3);
        forged.mend(&mut rng());
        forged.context.tree_hash = before;
    });
}

#[test]
fn row_191_a_parent_with_a_key_or_a_hash_that_nobody_signed_is_refused() {
    let readers = Readers::new();
    for node in [1, 3, 7, 9] {
        readers.refuse(Rule::ParentHash, |forged| {
            let pair = generate_key_pair(suite(1), &mut rng()).unwrap();
            forged.tree.parent_mut(node).encryption_key = pair.public;
            forged.hash();
        });
        readers.refuse(Rule::ParentHash, |forged| {
            forged.tree.parent_mut(node).parent_hash = vec![7; 32].into();
            forged.hash();
        });
    }
    // A sibling that has changed since.
    readers.refuse(Rule::ParentHash, |forged| {
        change_leaf(forged, 3);
        forged.hash();
    });
}

#[test]
fn row_192_a_parent_without_any_chain_is_refused_and_one_is_enough() {
    let readers = Readers::new();
    // The chain of a parent ends where its committer has updated its leaf since: such an Update blanks
    // the parent, and here somebody has kept it.
    readers.refuse(Rule::ParentHashAbsent, |forged| {
        forged.tree.leaf_mut(5).leaf_node_source = LeafNodeSource::Update;
        forged.sign(5, &mut rng());
        forged.chain(&[7, 3, 1], 0, &mut rng());
        forged.hash();
    });
    readers.refuse(Rule::ParentHash, |forged| {
        // The leaf of Frank carries the hash of another tree.
        forged.tree.leaf_mut(5).leaf_node_source = LeafNodeSource::Commit { parent_hash: vec![7; 32].into() };
        forged.sign(5, &mut rng());
        forged.chain(&[7, 3, 1], 0, &mut rng());
        forged.hash();
    });
    // Erin signs for the parent as well as Frank does: it is still one chain, the hash of the other
    // cannot fit, as each would have to contain the other.
    let mut forged = readers.forged();
    let hash = forged.parent_hash(9, 8);
    forged.tree.leaf_mut(4).leaf_node_source = LeafNodeSource::Commit { parent_hash: hash.into() };
    forged.sign(4, &mut rng());
    forged.mend(&mut rng());
    assert_eq!(readers.outcomes(&forged, |_| {}), [Ok(()), Ok(()), Ok(())]);
}

#[test]
fn row_193_a_parent_whose_unmerged_leaves_leave_nobody_to_vouch_for_it_is_refused() {
    let readers = Readers::new();
    // Both leaves below are unmerged: nobody knows the key that the insider has put there.
    readers.refuse(Rule::ParentHashResolution, |forged| {
        for node in [9, 7] {
            let list = &mut forged.tree.parent_mut(node).unmerged_leaves;
            list.extend([LeafIndex(4), LeafIndex(5)]);
            list.sort_unstable();
        }
        forged.mend(&mut rng());
    });
    // Gina is not said to be unmerged: with her, two nodes of the resolution remain on her side, and
    // the hash on the other was made without her.
    readers.refuse(Rule::ParentHash, |forged| {
        for node in [3, 7] {
            forged.tree.parent_mut(node).unmerged_leaves.clear();
        }
        forged.hash();
    });
    // Dana is said to be unmerged where she has been merged: the hash was made with her.
    readers.refuse(Rule::ParentHash, |forged| {
        for node in [3, 7] {
            forged.tree.parent_mut(node).unmerged_leaves.push(LeafIndex(3));
        }
        forged.hash();
    });
}

#[test]
fn row_194_a_parent_hash_that_was_emptied_is_refused() {
    let readers = Readers::new();
    // In the leaf that ends the chain.
    readers.refuse(Rule::ParentHashAbsent, |forged| {
        forged.tree.leaf_mut(0).leaf_node_source = LeafNodeSource::Commit { parent_hash: Opaque::default() };
        forged.sign(0, &mut rng());
        forged.hash();
    });
    // In a parent on the way.
    readers.refuse(Rule::ParentHashAbsent, |forged| {
        // Dana, on the other side, has none in any case.
        forged.tree.leaf_mut(3).leaf_node_source = LeafNodeSource::Update;
        forged.sign(3, &mut rng());
        forged.mend(&mut rng());
        forged.tree.parent_mut(1).parent_hash = Opaque::default();
        forged.chain(&[1], 0, &mut rng());
        forged.hash();
    });
    // A root with a parent hash of its own is fine, if the chain says so: truncation makes such roots.
    let mut forged = readers.forged();
    forged.tree.parent_mut(7).parent_hash = vec![7; 32].into();
    forged.mend(&mut rng());
    assert_eq!(readers.outcomes(&forged, |_| {}), [Ok(()), Ok(()), Ok(())]);
}

#[test]
fn row_195_a_tree_with_a_leaf_that_is_not_valid_is_refused() {
    let readers = Readers::new();
    readers.refuse(Rule::LeafSignature, |forged| {
        let mut signature = forged.tree.leaf(3).signature.as_slice().to_vec();
        signature[9] ^= 1;
        forged.tree.leaf_mut(3).signature = signature.into();
        forged.mend(&mut rng());
    });
    // Signed for another place.
    readers.refuse(Rule::LeafSignature, |forged| {
        forged.tree.leaf_mut(4).leaf_node_source = LeafNodeSource::Update;
        let node = forged.tree.leaf(4).clone();
        let signer = readers.signer(4);
        let place = (&forged.context.group_id, LeafIndex(3));
        let tbs = node.tbs(Some(place));
        let signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, &mut rng()).unwrap();
        forged.tree.leaf_mut(4).signature = signature;
        forged.mend(&mut rng());
    });
    leaf(&readers, Rule::LeafLacksVersion, |leaf| leaf.capabilities.versions = vec![ProtocolVersion(9)]);
    leaf(&readers, Rule::LeafLacksCipherSuite, |leaf| leaf.capabilities.cipher_suites = vec![CipherSuite(9)]);
    leaf(&readers, Rule::LeafExtensionNotListed, |leaf| leaf.extensions.set(ExtensionType(0xff05), Vec::new()));
    leaf(&readers, Rule::ExtensionNotAllowedHere, |leaf| leaf.extensions.set(ExtensionType::RATCHET_TREE, vec![0]));
    leaf(&readers, Rule::MalformedExtension, |leaf| leaf.extensions.set(ExtensionType::APPLICATION_ID, vec![9]));
    leaf(&readers, Rule::DefaultTypeListed, |leaf| leaf.capabilities.proposals.push(ProposalType::ADD));
    leaf(&readers, Rule::InvalidPublicKey, |leaf| leaf.encryption_key = vec![9; 31].into());
    leaf(&readers, Rule::LifetimeReversed, |leaf| {
        leaf.leaf_node_source = LeafNodeSource::KeyPackage(Lifetime { not_before: 2, not_after: 1 });
    });
}

/// The parents at these nodes list these leaves, and the hashes follow.
fn lists(forged: &mut Forged<'_>, lists: &[(usize, &[u32])]) {
    for (node, list) in lists {
        forged.tree.parent_mut(*node).unmerged_leaves = list.iter().copied().map(LeafIndex).collect();
    }
    forged.mend(&mut rng());
}

#[test]
fn row_196_an_unmerged_leaf_that_is_blank_or_elsewhere_is_refused() {
    let readers = Readers::new();
    // Blank, outside the tree, and below another node.
    for leaf in [6, 7, 8, u32::MAX] {
        readers.refuse(Rule::UnmergedLeafAbsent, |forged| lists(forged, &[(7, &[2, leaf])]));
    }
    for (node, leaf) in [(3, 4), (9, 3), (1, 2)] {
        readers.refuse(Rule::UnmergedLeafAbsent, |forged| {
            let mut list: Vec<u32> = forged.tree.parent(node).unwrap().unmerged_leaves.iter().map(|l| l.0).collect();
            list.push(leaf);
            lists(forged, &[(node, &list)]);
        });
    }
}

#[test]
fn row_019_unmerged_leaves_in_disorder_or_twice_are_refused_with_the_tree() {
    let readers = Readers::new();
    // A list with a leaf twice is as long as an honest one with another leaf.
    for list in [&[2, 2][..], &[3, 2], &[0, 2, 2], &[2, 3, 3], &[2, 0]] {
        readers.refuse(Rule::UnmergedLeaves, |forged| lists(forged, &[(3, list)]));
    }
}

#[test]
fn row_197_an_unmerged_leaf_that_a_node_on_the_way_does_not_list_is_refused() {
    let readers = Readers::new();
    readers.refuse(Rule::UnmergedLeafSkipped, |forged| lists(forged, &[(3, &[])]));
    readers.refuse(Rule::UnmergedLeafSkipped, |forged| lists(forged, &[(7, &[2, 5])]));
    readers.refuse(Rule::UnmergedLeafSkipped, |forged| lists(forged, &[(3, &[1, 2]), (7, &[1, 2])]));
    // Listed further down only is what a later path of Frank leaves behind.
    let mut forged = readers.forged();
    lists(&mut forged, &[(7, &[])]);
    forged.chain(&[7, 9], 5, &mut rng());
    forged.hash();
    assert_eq!(readers.outcomes(&forged, |_| {}), [Ok(()), Ok(()), Ok(())]);
}

#[test]
fn row_198_a_key_of_a_parent_that_stands_elsewhere_too_is_refused() {
    let readers = Readers::new();
    let parent_of_parent = |forged: &Forged<'_>| forged.tree.parent(9).unwrap().encryption_key.clone();
    let of_leaf = |forged: &Forged<'_>| forged.tree.leaf(4).encryption_key.clone();
    let keys: [fn(&Forged<'_>) -> HpkePublicKey; 2] = [parent_of_parent, of_leaf];
    for key in keys {
        for node in [1, 3, 7] {
            readers.refuse(Rule::ParentKeyNotUnique, |forged| {
                forged.tree.parent_mut(node).encryption_key = key(forged);
                forged.mend(&mut rng());
            });
        }
    }
}

#[test]
fn row_199_one_signature_key_in_two_leaves_is_refused() {
    let readers = Readers::new();
    readers.refuse(Rule::SignatureKeyNotUnique, |forged| {
        forged.tree.leaf_mut(3).signature_key = forged.tree.leaf(4).signature_key.clone();
        forged.sign_as(3, readers.signer(4), &mut rng());
        forged.mend(&mut rng());
    });
}

#[test]
fn row_200_one_encryption_key_in_two_leaves_is_refused() {
    let readers = Readers::new();
    readers.refuse(Rule::EncryptionKeyNotUnique, |forged| {
        forged.tree.leaf_mut(3).encryption_key = forged.tree.leaf(4).encryption_key.clone();
        forged.sign(3, &mut rng());
        forged.mend(&mut rng());
    });
}

#[test]
fn row_201_a_member_whose_credential_type_others_do_not_support_is_refused() {
    let readers = Readers::new();
    // Dana has a credential that nobody else knows; and Dana knows hers only.
    let own = Credential::Other { credential_type: CredentialType(0xff01), body: vec![1].into() };
    leaf(&readers, Rule::CredentialNotSupportedByMembers, |leaf| {
        leaf.capabilities.credentials.push(own.credential_type());
        leaf.credential = own.clone();
    });
    leaf(&readers, Rule::CredentialNotSupportedByMembers, |leaf| {
        leaf.capabilities.credentials = vec![own.credential_type()];
        leaf.credential = own.clone();
    });
}

#[test]
fn row_202_members_whose_key_package_has_run_out_are_refused_only_if_that_is_asked_for() {
    let mut readers = Readers::new();
    let expired = |forged: &mut Forged<'_>| {
        let source = LeafNodeSource::KeyPackage(Lifetime { not_before: NOW - 90_000, not_after: NOW - 80_000 });
        forged.tree.leaf_mut(3).leaf_node_source = source;
        forged.sign(3, &mut rng());
        forged.mend(&mut rng());
    };
    let mut forged = readers.forged();
    expired(&mut forged);
    assert_eq!(readers.outcomes(&forged, |_| {}), [Ok(()), Ok(()), Ok(())], "members may stay");
    readers.config =
        Arc::new(Config { joined_lifetimes: LifetimeCheck::LengthAndRange, ..Config::clone(&readers.config) });
    readers.refuse(Rule::LifetimeOutside, expired);
}

/// A provider whose work is counted.
#[derive(Debug)]
struct Counted(&'static dyn Suite);

impl Provider for Counted {
    fn suites(&self) -> Vec<&'static dyn Suite> {
        vec![self.0]
    }

    fn suite(&self, cipher_suite: CipherSuite) -> Result<&'static dyn Suite, NoSuite> {
        if cipher_suite == self.0.cipher_suite() { Ok(self.0) } else { Err(NoSuite::Unknown(cipher_suite)) }
    }
}

#[test]
fn row_203_a_tree_beyond_the_limits_is_refused_before_any_work_that_grows_with_it() {
    let readers = Readers::new();
    let rng = &mut keyroom_vectors::rng(72);
    let info = readers.forged().seal(rng).info(|_| {}, rng);
    let info = MlsMessage::GroupInfo(info).to_bytes();
    let counting = Counting::leaked(suite(1));
    let provider = Counted(counting);
    let mut observe = |config: Config| {
        counting.take();
        let inputs = Inputs::at(NOW);
        let outcome = PublicGroup::observe(&provider, &info, None, Arc::new(config), &inputs, rng).map(|_| ());
        (outcome, counting.take())
    };
    let (accepted, work) = observe(Config::default());
    assert_eq!(accepted, Ok(()));
    assert!(work.verified > 6 && work.hashes > 20, "{work:?}");
    let leaves = Config { max_leaves: 5, ..Config::default() };
    assert_eq!(observe(leaves), (Err(Refusal::TooManyLeaves.into()), Tally::default()));
    let mut bytes = Config::default();
    bytes.limits.vector = 1_000;
    let (refused, work) = observe(bytes);
    let Err(Error::Malformed(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error.kind, DecodeErrorKind::TooLong { .. }), "{error:?}");
    assert_eq!(work, Tally::default());
}
