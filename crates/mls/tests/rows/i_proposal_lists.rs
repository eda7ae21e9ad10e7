//! Section I: the list of proposals of a member's commit (RFC 9420 §12.2, §12.3).
//!
//! What is refused is refused by a member and an observer who read it and by the member who would
//! commit it.

use std::sync::Arc;

use keyroom_insider::proposals::{add, extensions, external_psk, group_context, psk, reinit, remove, resumption_psk};
use keyroom_insider::{Alter, BLANK, Bench, Client, INFO, Member, commit, now, resigned, sent, suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Rule, Usage};
use keyroom_mls::group::{CommitBuilder, Group, Waiting};
use keyroom_mls::identity::{Judgement, Question, Questions};
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    Content, Credential, CredentialType, Encode, ExtensionType, HpkePublicKey, KeyPackage, LeafIndex, Proposal,
    ProposalOrRef, ProposalRef, RequiredCapabilities, ResumptionPskUsage, Sender,
};

/// Bob's commit of these.
fn by_value(bench: &Bench, proposals: Vec<Proposal>) -> Vec<u8> {
    bench.bob().commit(proposals, &Alter::default(), &mut keyroom_vectors::rng(20)).bytes()
}

/// Nobody takes this list: not from Bob, and Alice does not commit it.
#[track_caller]
fn nobody_takes(bench: &mut Bench, name: &str, proposals: Vec<Proposal>, expected: impl Into<Error>) {
    let expected = expected.into();
    let message = by_value(bench, proposals.clone());
    bench.refuses(name, &message, expected.clone());
    bench.own_refuses(name, |builder| proposals.into_iter().fold(builder, CommitBuilder::propose), expected);
}

/// Nobody takes a list of these that all have kept.
#[track_caller]
fn nobody_takes_kept(bench: &mut Bench, name: &str, references: &[ProposalRef], expected: Rule) {
    let message = bench.naming(references);
    bench.refuses(name, &message, expected);
    let only = Waiting::Only(references.to_vec());
    bench.own_refuses(name, |builder| builder.waiting(only), expected);
}

/// Dana proposes this, and all keep it.
fn dana_proposes(bench: &mut Bench, proposal: Proposal) -> ProposalRef {
    let message = bench.insider(2).proposal(proposal, &mut keyroom_vectors::rng(22));
    bench.keep(2, &message)
}

/// An Update of the member at a position, with this encryption key; all keep it.
fn update_to(bench: &mut Bench, member: usize, key: HpkePublicKey) -> ProposalRef {
    let rng = &mut keyroom_vectors::rng(23 + u64::try_from(member).unwrap());
    let insider = bench.insider(member);
    let leaf_node = Box::new(insider.update(|parts| parts.encryption_key = key, rng));
    let message = insider.proposal(Proposal::Update { leaf_node }, rng);
    bench.keep(member, &message)
}

fn package(bench: &mut Bench, name: &'static str) -> KeyPackage {
    bench.newcomer(name).1.key_package
}

fn requiring(extension: u16) -> Proposal {
    let required = RequiredCapabilities {
        extension_types: vec![ExtensionType(extension)],
        proposal_types: Vec::new(),
        credential_types: Vec::new(),
    };
    group_context(extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())]))
}

#[test]
fn row_139_one_invalid_proposal_spoils_the_list() {
    let mut bench = Bench::open();
    let mut unsigned = package(&mut bench, "hugo");
    unsigned.signature = vec![0; 64].as_slice().into();
    let early = resumption_psk(ResumptionPskUsage::Branch, 1);
    for (invalid, expected) in [
        (remove(BLANK.0), Rule::RemovedNotMember),
        (add(&unsigned), Rule::KeyPackageSignature),
        (psk(external_psk(b"a"), 31), Rule::PskNonceLength),
        (psk(early, 32), Rule::BranchPsk),
        (reinit(0), Rule::ReInitVersion),
        (requiring(0xff01), Rule::RequiredCapabilityNotSupported),
        (
            group_context(extensions(&[(ExtensionType(0xff02), b"x"), (ExtensionType(0xff02), b"x")])),
            Rule::DuplicateExtension,
        ),
    ] {
        let name = format!("{expected}");
        nobody_takes(&mut bench, &name, vec![remove(3), invalid], expected);
    }
    // Sent on its own it is not even kept, so that nobody can name it.
    let bob = bench.bob();
    let message = bob.public(bob.sender(), Content::Proposal(remove(BLANK.0)), &mut keyroom_vectors::rng(1));
    let content = message.clone().into_authenticated_content().to_bytes();
    let reference = keyroom_crypto::labels::proposal_ref(suite(1), &content);
    let message = keyroom_wire::MlsMessage::PublicMessage(message).to_bytes();
    bench.refuses("on its own", &message, Rule::RemovedNotMember);
    let message = bench.naming(std::slice::from_ref(&reference));
    bench.refuses("by reference", &message, NotYet::UnknownProposal(reference));
    bench.goes_on();
}

#[test]
fn row_140_a_committer_does_not_update_itself() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(2);
    let own = bench.bob().update(|_| {}, rng);
    let update = Proposal::Update { leaf_node: Box::new(own) };
    let message = by_value(&bench, vec![update.clone()]);
    bench.refuses("by value", &message, Rule::CommitterUpdate);
    let message = bench.bob().proposal(update, rng);
    let kept = bench.keep(1, &message);
    let message = bench.naming(&[kept]);
    bench.refuses("by reference", &message, Rule::CommitterUpdate);

    let own = bench.insider(0).update(|_| {}, rng);
    let update = Proposal::Update { leaf_node: Box::new(own) };
    bench.own_refuses("by value", |builder| builder.propose(update), Rule::CommitterUpdate);
    let Member { client, group } = &mut bench.members[0];
    let proposed = group.propose_update(b"", client.signer.as_ref(), None, &now(), rng).unwrap().reference;
    let only = Waiting::Only(vec![proposed]);
    bench.own_refuses("by reference", |builder| builder.waiting(only), Rule::CommitterUpdate);
    let Member { client, group } = &mut bench.members[0];
    group.commit().build(client.signer.as_ref(), &now(), rng).expect("the own Update stays out");
}

#[test]
fn row_141_a_committer_does_not_remove_itself() {
    let mut bench = Bench::open();
    let message = by_value(&bench, vec![remove(1)]);
    bench.refuses("by value", &message, Rule::CommitterRemove);
    let removes_bob = dana_proposes(&mut bench, remove(1));
    let message = bench.naming(&[removes_bob]);
    bench.refuses("by reference", &message, Rule::CommitterRemove);
    bench.own_refuses("by value", |builder| builder.remove(LeafIndex(0)), Rule::CommitterRemove);
    let removes_alice = dana_proposes(&mut bench, remove(0));
    let only = Waiting::Only(vec![removes_alice]);
    bench.own_refuses("by reference", |builder| builder.waiting(only), Rule::CommitterRemove);
}

#[test]
fn row_142_a_leaf_is_updated_or_removed_once() {
    let mut bench = Bench::open();
    nobody_takes(&mut bench, "removed twice", vec![remove(3), remove(3)], Rule::LeafTouchedTwice);
    let new_key = |seed| keyroom_mls::leaf_node::generate_key_pair(suite(1), &mut keyroom_vectors::rng(seed)).unwrap();
    let first = update_to(&mut bench, 2, new_key(1).public);
    let second = update_to(&mut bench, 2, new_key(2).public);
    let removal = {
        let message = bench.bob().proposal(remove(3), &mut keyroom_vectors::rng(4));
        bench.keep(1, &message)
    };
    nobody_takes_kept(&mut bench, "updated twice", &[first.clone(), second.clone()], Rule::LeafTouchedTwice);
    // Bob knows his own proposal without having kept it: what he commits of it is by value.
    let entries = vec![ProposalOrRef::Reference(first.clone()), ProposalOrRef::Proposal(remove(3))];
    let message = bench.bob().commit_with(entries, &Alter::default(), &mut keyroom_vectors::rng(5)).bytes();
    bench.refuses("updated and removed", &message, Rule::LeafTouchedTwice);
    let both = Waiting::Only(vec![first, removal]);
    bench.own_refuses("updated and removed", |builder| builder.waiting(both), Rule::LeafTouchedTwice);
}

#[test]
fn row_142_a_committer_prefers_the_remove_and_else_the_latest_update() {
    let mut bench = Bench::open();
    let new_key = |seed| keyroom_mls::leaf_node::generate_key_pair(suite(1), &mut keyroom_vectors::rng(seed)).unwrap();
    update_to(&mut bench, 2, new_key(1).public);
    let latest = new_key(2).public;
    update_to(&mut bench, 2, latest.clone());
    let made = |bench: &mut Bench| {
        let Bench { members, rng, .. } = bench;
        let Member { client, group } = &mut members[0];
        group.commit().build(client.signer.as_ref(), &now(), &mut **rng).unwrap().0
    };
    let updated = made(&mut bench).staged().next_member(LeafIndex(3)).unwrap().unwrap();
    assert_eq!(updated.leaf().encryption_key(), latest.as_slice());
    let message = bench.bob().proposal(remove(3), &mut keyroom_vectors::rng(4));
    bench.keep(1, &message);
    let removed = made(&mut bench);
    assert_eq!(removed.staged().removed().iter().map(|member| member.leaf_index).collect::<Vec<_>>(), [LeafIndex(3)]);
}

#[test]
fn row_143_a_client_is_added_once() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("gina");
    let first = bundle.key_package;
    let second = client.bundle(&mut keyroom_vectors::rng(3)).key_package;
    assert_ne!(first.init_key, second.init_key);
    nobody_takes(&mut bench, "one package twice", vec![add(&first), add(&first)], Rule::ClientAddedTwice);
    nobody_takes(&mut bench, "two packages", vec![add(&first), add(&second)], Rule::ClientAddedTwice);
    bench.goes_on();
}

#[test]
fn row_143_two_adds_of_one_identity_come_before_the_application() {
    let mut bench = Bench::open();
    let (phone, laptop) = (package(&mut bench, "gina"), package(&mut bench, "gina"));
    let message = by_value(&bench, vec![add(&phone), add(&laptop)]);
    let staged = bench.accepts(&message);
    let mut seen = Vec::new();
    let verdict = staged.questions().judge(|question| match question {
        Question::Joins(member) if seen.contains(&member.credential().unwrap()) => Judgement::Reject,
        Question::Joins(member) => {
            seen.push(member.credential().unwrap());
            Judgement::Accept
        }
        _ => Judgement::Accept,
    });
    assert!(verdict.is_err(), "an application with one client per identity sees the second");
    assert_eq!(seen, [Credential::basic(&b"gina"[..])]);
}

#[test]
fn row_144_a_member_is_added_only_where_it_is_removed() {
    let mut bench = Bench::open();
    let again = bench.members[2].client.bundle(&mut keyroom_vectors::rng(3)).key_package;
    nobody_takes(&mut bench, "Dana again", vec![add(&again)], Rule::ClientAlreadyMember);
    nobody_takes(&mut bench, "beside the wrong Remove", vec![remove(4), add(&again)], Rule::ClientAlreadyMember);
    let message = by_value(&bench, vec![add(&again), remove(3)]);
    let staged = bench.accepts(&message);
    assert_eq!(staged.added(), [BLANK], "her new place");
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let builder = group.commit().remove(LeafIndex(3)).add(again);
    builder.build(client.signer.as_ref(), &now(), &mut **rng).expect("removed and added in one commit");
}

#[test]
fn row_145_a_psk_id_stands_once() {
    let mut bench = Bench::open();
    let one = psk(external_psk(b"a"), 32);
    nobody_takes(&mut bench, "one id twice", vec![one.clone(), one.clone()], Rule::DuplicatePsk);
    let kept = dana_proposes(&mut bench, one.clone());
    let entries = vec![ProposalOrRef::Reference(kept), ProposalOrRef::Proposal(one)];
    let message = bench.bob().commit_with(entries, &Alter::default(), &mut keyroom_vectors::rng(5)).bytes();
    bench.refuses("by reference and by value", &message, Rule::DuplicatePsk);
    // With another nonce it is another id; then only the PSK itself is missing.
    let other = Proposal::PreSharedKey {
        psk: keyroom_wire::PreSharedKeyId { psk: external_psk(b"a"), psk_nonce: vec![2; 32].into() },
    };
    let message = by_value(&bench, vec![psk(external_psk(b"a"), 32), other]);
    let Err(Error::NotYet(NotYet::Psks(_))) = bench.members[0].group.process(&message, &now()) else {
        panic!("two nonces, two ids")
    };
}

#[test]
fn row_146_extensions_are_replaced_once() {
    let mut bench = Bench::open();
    let empty = || group_context(extensions(&[]));
    nobody_takes(&mut bench, "by value", vec![empty(), empty()], Rule::DuplicateGroupContextExtensions);
    let kept = dana_proposes(&mut bench, empty());
    let entries = vec![ProposalOrRef::Reference(kept), ProposalOrRef::Proposal(empty())];
    let message = bench.bob().commit_with(entries, &Alter::default(), &mut keyroom_vectors::rng(5)).bytes();
    bench.refuses("by reference and by value", &message, Rule::DuplicateGroupContextExtensions);
}

#[test]
fn row_147_a_reinit_stands_alone() {
    let mut bench = Bench::open();
    let gina = package(&mut bench, "gina");
    nobody_takes(&mut bench, "beside a Remove", vec![reinit(1), remove(3)], Rule::ReInitNotAlone);
    nobody_takes(&mut bench, "after an Add", vec![add(&gina), reinit(1)], Rule::ReInitNotAlone);
    nobody_takes(&mut bench, "twice", vec![reinit(1), reinit(1)], Rule::ReInitNotAlone);
    let kept = dana_proposes(&mut bench, reinit(1));
    let entries = vec![ProposalOrRef::Reference(kept), ProposalOrRef::Proposal(remove(4))];
    let message = bench.bob().commit_with(entries, &Alter::default(), &mut keyroom_vectors::rng(5)).bytes();
    bench.refuses("by reference and by value", &message, Rule::ReInitNotAlone);
    // A committer prefers the others: the ReInit waits for an epoch of its own.
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().remove(LeafIndex(4)).build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    assert!(pending.staged().reinit().is_none());
    group.discard(pending.id).unwrap();
    let (pending, _) = group.commit().build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    assert!(pending.staged().reinit().is_some());
}

#[test]
fn row_148_members_commit_no_external_init() {
    let mut bench = Bench::open();
    let init = Proposal::ExternalInit { kem_output: vec![0; 32].into() };
    nobody_takes(&mut bench, "alone", vec![init.clone()], Rule::ExternalInitByMember);
    nobody_takes(&mut bench, "beside a Remove", vec![remove(3), init], Rule::ExternalInitByMember);
    bench.goes_on();
}

#[test]
fn row_149_a_tree_with_a_key_in_two_places_is_refused() {
    let mut bench = Bench::open();
    let erins = bench.leaf(4).encryption_key;
    let taken = update_to(&mut bench, 2, erins);
    nobody_takes_kept(&mut bench, "an Update to the key of another member", &[taken], Rule::EncryptionKeyNotUnique);
    let fresh = keyroom_mls::leaf_node::generate_key_pair(suite(1), &mut keyroom_vectors::rng(9)).unwrap().public;
    let one = update_to(&mut bench, 2, fresh.clone());
    let other = update_to(&mut bench, 3, fresh);
    nobody_takes_kept(&mut bench, "two Updates to one key", &[one, other], Rule::EncryptionKeyNotUnique);
    bench.members.iter_mut().for_each(|member| {
        for kept in member.group.pending_proposals() {
            member.group.drop_proposal(&kept.reference).unwrap();
        }
    });
    bench.goes_on();
}

#[test]
fn row_149_keys_may_change_places() {
    // Uniqueness is that of the resulting tree, not of the list.
    let mut bench = Bench::open();
    let (danas, erins) = (bench.leaf(3).encryption_key, bench.leaf(4).encryption_key);
    let to_erins = update_to(&mut bench, 2, erins.clone());
    nobody_takes_kept(
        &mut bench,
        "one half of the exchange",
        std::slice::from_ref(&to_erins),
        Rule::EncryptionKeyNotUnique,
    );
    let to_danas = update_to(&mut bench, 3, danas.clone());
    for references in [[to_erins.clone(), to_danas.clone()], [to_danas, to_erins]] {
        let message = bench.naming(&references);
        let staged = bench.accepts(&message);
        let key = |leaf| staged.next_member(LeafIndex(leaf)).unwrap().unwrap().leaf().encryption_key().to_vec();
        assert_eq!((key(3), key(4)), (erins.as_slice().to_vec(), danas.as_slice().to_vec()));
    }
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    let message = sent(&pending);
    assert!(matches!(bench.observer.as_mut().unwrap().process(&message, &now()), Ok(Observed::Commit(_))));
    assert!(bench.members[1].group.process(&message, &now()).is_ok());
}

#[test]
fn row_149_a_key_that_a_remove_frees_may_come_back() {
    let mut bench = Bench::open();
    let danas = bench.leaf(3).encryption_key;
    let (client, bundle) = bench.newcomer("gina");
    let mut heir = bundle.key_package;
    heir.leaf_node.encryption_key = danas;
    let heir = resigned(heir, &client, &mut keyroom_vectors::rng(3));
    nobody_takes(&mut bench, "while Dana has it", vec![add(&heir)], Rule::EncryptionKeyNotUnique);
    let message = by_value(&bench, vec![add(&heir), remove(3)]);
    bench.accepts(&message);
}

#[test]
fn row_149_a_leaf_that_the_others_do_not_understand_is_refused() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("gina");
    let mut foreign = bundle.key_package;
    let credential_type = CredentialType(0xf100);
    foreign.leaf_node.credential = Credential::Other { credential_type, body: b"x"[..].into() };
    foreign.leaf_node.capabilities.credentials.push(credential_type);
    let foreign = resigned(foreign, &client, &mut keyroom_vectors::rng(3));
    nobody_takes(&mut bench, "a new type", vec![add(&foreign)], Rule::CredentialNotSupportedByMembers);
    bench.goes_on();
}

#[test]
fn row_150_adds_take_what_removes_leave_wherever_they_stand() {
    let mut bench = Bench::open();
    let (gina, hugo) = (package(&mut bench, "gina"), package(&mut bench, "hugo"));
    let lists = [vec![add(&gina), remove(1), add(&hugo)], vec![remove(1), add(&gina), add(&hugo)]];
    for list in lists {
        let dana = bench.insider(2);
        let message = dana.commit(list.clone(), &Alter::default(), &mut keyroom_vectors::rng(3)).bytes();
        let staged = bench.accepts(&message);
        assert_eq!(staged.added(), [LeafIndex(1), BLANK], "Bob's leaf is the leftmost once he has gone");
        let at = |leaf| staged.next_member(leaf).unwrap().unwrap().credential().unwrap();
        assert_eq!(at(LeafIndex(1)), Credential::basic(&b"gina"[..]));
        assert_eq!(at(BLANK), Credential::basic(&b"hugo"[..]));
        let Bench { members, rng, .. } = &mut bench;
        let Member { client, group } = &mut members[0];
        let builder = list.into_iter().fold(group.commit(), CommitBuilder::propose);
        let (pending, _) = builder.build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
        assert_eq!(pending.staged().added(), [LeafIndex(1), BLANK]);
        let message = sent(&pending);
        assert!(matches!(bench.observer.as_mut().unwrap().process(&message, &now()), Ok(Observed::Commit(_))));
    }
    bench.goes_on();
}

#[test]
fn row_150_new_extensions_govern_the_proposals_beside_them() {
    let mut bench = Bench::open();
    let gina = package(&mut bench, "gina");
    for list in [vec![add(&gina), requiring(0xff01)], vec![requiring(0xff01), add(&gina)]] {
        nobody_takes(&mut bench, "an Add", list, Rule::LeafLacksRequiredExtension);
    }
    let fresh = keyroom_mls::leaf_node::generate_key_pair(suite(1), &mut keyroom_vectors::rng(9)).unwrap().public;
    let update = update_to(&mut bench, 2, fresh);
    let required = {
        let message = bench.insider(3).proposal(requiring(0xff01), &mut keyroom_vectors::rng(5));
        bench.keep(3, &message)
    };
    nobody_takes_kept(&mut bench, "an Update", &[update, required], Rule::LeafLacksRequiredExtension);
}

#[test]
fn row_150_psks_count_in_the_order_of_the_list() {
    let mut bench = Bench::open();
    let named = [b"one".as_slice(), b"two"].map(external_psk);
    let psks = named.clone().map(|name| (name, keyroom_crypto::Secret::copy_of(b"secret")));
    let inputs = Inputs { psks: &psks, ..now() };
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let builder = group.commit().psk(named[1].clone()).psk(named[0].clone());
    let message = sent(&builder.build(client.signer.as_ref(), &inputs, &mut **rng).unwrap().0);
    assert!(members[1].group.process(&message, &inputs).is_ok(), "as committed, not sorted");
}

#[test]
fn row_151_an_init_key_is_used_once_and_by_no_leaf() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let one = package(&mut bench, "gina");
    let (client, bundle) = bench.newcomer("hugo");
    let with_init_key = |key: HpkePublicKey, rng: &mut dyn keyroom_crypto::CryptoRng| {
        let mut package = bundle.key_package.clone();
        package.init_key = key;
        resigned(package, &client, rng)
    };
    let same = with_init_key(one.init_key.clone(), rng);
    nobody_takes(&mut bench, "one init key", vec![add(&one), add(&same)], Rule::InitKeyAddedTwice);
    let of_leaf = with_init_key(one.leaf_node.encryption_key.clone(), rng);
    nobody_takes(&mut bench, "of a new leaf", vec![add(&one), add(&of_leaf)], Rule::InitKeyIsLeafKey);
    let of_dana = with_init_key(bench.leaf(3).encryption_key, rng);
    nobody_takes(&mut bench, "of a member", vec![add(&of_dana)], Rule::InitKeyIsLeafKey);
    // A parent off the paths of Alice and Bob, so that it stays.
    let parents: Vec<_> = bench.members[0].group.tree().parents().map(|entry| entry.unwrap()).collect();
    let aside = parents.iter().find(|(node, _)| !node.covers(LeafIndex(1))).unwrap().1.encryption_key.to_vec();
    drop(parents);
    let of_parent = with_init_key(aside.into(), rng);
    nobody_takes(&mut bench, "of a parent", vec![add(&of_parent)], Rule::InitKeyIsLeafKey);
    bench.goes_on();
}

/// A policy: Dana proposes nothing, and a group has six members at most.
fn policy(members_after: u32) -> impl FnMut(&Question) -> Judgement {
    move |question| match question {
        Question::Proposal { proposer: Sender::Member(LeafIndex(3)), .. } => Judgement::Reject,
        Question::Joins(_) if members_after > 6 => Judgement::Reject,
        _ => Judgement::Accept,
    }
}

#[test]
fn row_152_the_application_judges_each_proposal_by_its_proposer() {
    let mut bench = Bench::open();
    let gina = package(&mut bench, "gina");
    let reference = dana_proposes(&mut bench, add(&gina));
    let message = bench.naming(&[reference]);
    let staged = bench.accepts(&message);
    let asked = |questions: &Questions| {
        let found = questions.iter().find_map(|question| match question {
            Question::Proposal { proposal, proposer, committer } => Some((proposal.clone(), *proposer, *committer)),
            _ => None,
        });
        found.expect("a question about the proposal")
    };
    let expected = (Arc::new(add(&gina)), Sender::Member(LeafIndex(3)), Sender::Member(LeafIndex(1)));
    assert_eq!(asked(staged.questions()), expected, "Dana proposed, Bob only committed");
    assert!(staged.questions().judge(policy(staged.next_members_count().unwrap())).is_err());
    let Ok(Observed::Commit(observed)) = bench.observer.as_mut().unwrap().process(&message, &now()) else { panic!() };
    assert_eq!(asked(observed.questions()), expected);
    let by_bob = by_value(&bench, vec![add(&gina)]);
    let by_bob = bench.accepts(&by_bob);
    assert!(by_bob.questions().judge(policy(by_bob.next_members_count().unwrap())).is_ok(), "Bob may");
}

#[test]
fn row_152_policies_see_the_state_that_would_be() {
    let mut bench = Bench::open();
    let (gina, hugo) = (package(&mut bench, "gina"), package(&mut bench, "hugo"));
    let judged = |bench: &mut Bench, list: Vec<Proposal>| {
        let message = by_value(bench, list);
        let staged = bench.accepts(&message);
        let Ok(Observed::Commit(observed)) = bench.observer.as_mut().unwrap().process(&message, &now()) else {
            panic!("a commit")
        };
        assert_eq!(Some(observed.next_members_count()), staged.next_members_count());
        assert_eq!(observed.next_member(BLANK).unwrap(), staged.next_member(BLANK).unwrap());
        staged.questions().judge(policy(staged.next_members_count().unwrap())).is_ok()
    };
    // Five members now: two Adds are one too many, unless another goes in the same commit.
    assert!(judged(&mut bench, vec![add(&gina)]));
    assert!(!judged(&mut bench, vec![add(&gina), add(&hugo)]));
    assert!(judged(&mut bench, vec![add(&gina), add(&hugo), remove(3)]));
}

#[test]
fn row_152_without_the_verdict_nothing_is_applied_or_sent() {
    let mut bench = Bench::open();
    let gina = package(&mut bench, "gina");
    let message = by_value(&bench, vec![add(&gina)]);
    let (judged, other) = (bench.accepts(&message), bench.accepts(&message));
    let verdict = other.questions().accept_unseen();
    let group = &mut bench.members[0].group;
    let before = group.snapshot().unwrap();
    assert_eq!(group.apply(judged, &verdict).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    assert!(group.snapshot().unwrap() == before);
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().add(gina).build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    assert_eq!(pending.message(&verdict).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    assert_eq!(pending.for_atomic_delivery(&verdict).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    let refused = pending.questions().judge(|question| match question {
        Question::Proposal { .. } => Judgement::Reject,
        _ => Judgement::Accept,
    });
    assert!(refused.is_err(), "the own commit is judged like any other");
}

#[test]
fn row_153_a_tree_grows_to_its_limit_and_no_further() {
    let small = Arc::new(Config { max_leaves: 6, ..Config::default() });
    let mut bench = Bench::new(1, small.clone());
    let (gina, hugo) = (package(&mut bench, "gina"), package(&mut bench, "hugo"));
    nobody_takes(&mut bench, "one too many", vec![add(&gina), add(&hugo)], Refusal::TooManyLeaves);
    bench.goes_on();
    let (message, _) = commit(&mut bench.members, 0, &mut *bench.rng, |builder| builder.add(gina));
    let full = bench.observer.as_mut().unwrap();
    let Ok(Observed::Commit(staged)) = full.process(&message, &now()) else { panic!("one has room") };
    let verdict = staged.questions().accept_unseen();
    full.apply(*staged, &verdict).unwrap();

    let (eve, bundle) = bench.newcomer("eve");
    let bob = bench.bob();
    let init = ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() });
    let leaf = &bundle.key_package.leaf_node;
    let (joiner, rng) = (Sender::NewMemberCommit, &mut keyroom_vectors::rng(3));
    let message = bob.commit_of(joiner, leaf, eve.signer.as_ref(), [init], &Alter::default(), rng).bytes();
    bench.refuses("by external commit", &message, Refusal::TooManyLeaves);
    let Member { client, group } = &bench.members[0];
    let info = group.group_info(INFO, client.signer.as_ref(), rng).unwrap();
    let join = Group::join_external(suite(1), &bundle, small).build(&info, eve.signer.as_ref(), &now(), rng);
    assert_eq!(join.map(drop).unwrap_err(), Error::Refused(Refusal::TooManyLeaves));
    let smaller = Arc::new(Config { max_leaves: 5, ..Config::default() });
    let observed = PublicGroup::observe(&RUSTCRYPTO, &info, None, smaller, &now(), rng);
    assert_eq!(observed.map(drop).unwrap_err(), Error::Refused(Refusal::TooManyLeaves));
}

#[test]
fn row_154_the_number_of_proposals_is_limited() {
    let mut bench = Bench::new(1, Arc::new(Config { max_proposals: 5, ..Config::default() }));
    let names = ["g", "h", "i", "j", "k", "l"];
    let packages: Vec<Proposal> = names.map(|name| add(&package(&mut bench, name))).into();
    nobody_takes(&mut bench, "six", packages.clone(), Refusal::TooManyProposals);
    let unknown = (0..6).map(|number| ProposalOrRef::Reference(vec![number; 32].into())).collect();
    let message = bench.bob().commit_with(unknown, &Alter::default(), &mut keyroom_vectors::rng(4)).bytes();
    bench.refuses("six that nobody asks for", &message, Refusal::TooManyProposals);
    let message = by_value(&bench, packages[..5].to_vec());
    bench.accepts(&message);
    let mut waiting = packages.clone();
    let last = waiting.pop().unwrap();
    for proposal in waiting {
        dana_proposes(&mut bench, proposal);
    }
    let message = bench.bob().proposal(last.clone(), &mut keyroom_vectors::rng(4));
    bench.refuses("a sixth that waits", &message, Refusal::TooManyProposals);
    let observed = bench.observer.as_mut().unwrap().process(&message, &now());
    assert_eq!(observed.map(drop).unwrap_err(), Error::Refused(Refusal::TooManyProposals));
    // What waits does not keep Alice from committing what she wants.
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().propose(last).build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    assert_eq!(pending.staged().added().len(), 5);
}

#[test]
fn row_154_the_bytes_of_proposals_are_limited() {
    let one = add(&Client::new("gina", suite(1), &mut keyroom_vectors::rng(1))
        .bundle(&mut keyroom_vectors::rng(2))
        .key_package);
    // Room for five that are a little longer.
    let limit = one.to_bytes().len() * 5 + 100;
    let limited = Config { max_proposal_bytes: limit, max_waiting_bytes: limit, ..Config::default() };
    let mut bench = Bench::new(1, Arc::new(limited));
    let packages: Vec<Proposal> = ["g", "h", "i", "j", "k", "l"].map(|name| add(&package(&mut bench, name))).into();
    nobody_takes(&mut bench, "six", packages.clone(), Refusal::TooManyProposals);
    let message = by_value(&bench, packages[..5].to_vec());
    bench.accepts(&message);
    let mut kept = Vec::new();
    for proposal in &packages[..5] {
        kept.push(dana_proposes(&mut bench, proposal.clone()));
    }
    let message = bench.bob().proposal(packages[5].clone(), &mut keyroom_vectors::rng(4));
    bench.refuses("a sixth that waits", &message, Refusal::WaitingProposalsTooLong);
    let observed = bench.observer.as_mut().unwrap().process(&message, &now());
    assert_eq!(observed.map(drop).unwrap_err(), Error::Refused(Refusal::WaitingProposalsTooLong));
    let alice = &mut bench.members[0].group;
    alice.drop_proposal(&kept[0]).unwrap();
    assert!(alice.process(&message, &now()).is_ok(), "who drops one has room again");
}

#[test]
fn waiting_psks_beyond_the_limit_stay_out_of_a_commit() {
    let mut bench = Bench::new(1, Arc::new(Config { max_psks: 2, ..Config::default() }));
    let epoch = bench.members[0].group.epoch();
    for nonce in 0..3u8 {
        let psk = resumption_psk(ResumptionPskUsage::Application, epoch);
        let id = keyroom_wire::PreSharedKeyId { psk, psk_nonce: vec![nonce; 32].into() };
        dana_proposes(&mut bench, Proposal::PreSharedKey { psk: id });
    }
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    let message = sent(&pending);
    assert!(members[1].group.process(&message, &now()).is_ok());
}
