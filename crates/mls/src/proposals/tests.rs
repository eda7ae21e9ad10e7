use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use keyroom_vectors::rng;
use keyroom_wire::{
    Credential, ExtensionType, Extensions, GroupId, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, Opaque,
    PreSharedKeyId, Proposal, ProposalRef, ProposalType, ProtocolVersion, Psk, ReInit, ResumptionPskUsage, Sender,
};

use super::*;
use crate::error::Rule;
use crate::key_package::KeyPackageBuilder;
use crate::leaf_node::tests::{NOW, parts, signed, signer, suite};
use crate::leaf_node::{LeafNodeParts, LeafPlace, lifetime_from};

const COMMITTER: LeafIndex = LeafIndex(0);
const CUSTOM: ProposalType = ProposalType(0xf000);
const LIKE_REMOVE: ProposalType = ProposalType(0xf001);

/// Leaves 0 to 9 are members.
fn is_member(leaf_index: LeafIndex) -> bool {
    leaf_index.0 < 10
}

fn table() -> ProposalTable {
    let entry = |proposal_type, path, external_commit, order| ProposalTypeEntry {
        proposal_type,
        senders: &[SenderType::Member],
        path,
        member_commit: CommitUse::Any,
        external_commit,
        order,
    };
    ProposalTable::new().with(entry(CUSTOM, PathNeed::Optional, CommitUse::Forbidden, 80)).with(entry(
        LIKE_REMOVE,
        PathNeed::Required,
        CommitUse::ByReference,
        25,
    ))
}

fn rules(table: &ProposalTable) -> ListRules<'_> {
    ListRules {
        suite: suite(),
        version: ProtocolVersion::MLS10,
        table,
        is_member: &is_member,
        psks: PskContext::Group,
        max_proposals: 20,
        max_bytes: 1 << 20,
        max_psks: 3,
    }
}

fn by_value(proposal: Proposal) -> ProposalEntry {
    ProposalEntry { proposal: Arc::new(proposal), sender: Sender::Member(COMMITTER), reference: None }
}

fn joins(proposal: Proposal) -> ProposalEntry {
    ProposalEntry { sender: Sender::NewMemberCommit, ..by_value(proposal) }
}

fn sent(proposal: Proposal, sender: Sender) -> ProposalEntry {
    ProposalEntry { proposal: Arc::new(proposal), sender, reference: Some(ProposalRef::from(vec![1])) }
}

fn by_member(proposal: Proposal, leaf: u32) -> ProposalEntry {
    sent(proposal, Sender::Member(LeafIndex(leaf)))
}

fn member(entries: Vec<ProposalEntry>) -> Result<ProposalList, ListError> {
    ProposalList::of_member(entries, COMMITTER, &rules(&table()))
}

fn external(entries: Vec<ProposalEntry>) -> Result<ProposalList, ListError> {
    ProposalList::of_external_commit(entries, &rules(&table()))
}

#[track_caller]
fn breaks(verdict: Result<ProposalList, ListError>, rule: Rule) {
    assert_eq!(verdict.map(drop), Err(ListError::Rule(rule)));
}

fn key_package(seed: u64) -> KeyPackage {
    let builder = KeyPackageBuilder::new(suite(), Credential::basic("a"), lifetime_from(NOW, 1_000));
    builder.build(&*signer(seed), &mut rng(seed)).unwrap().key_package
}

fn leaf(seed: u64) -> LeafNode {
    let group_id = GroupId::from(&b"g"[..]);
    let place = LeafPlace::Update { group_id: &group_id, leaf_index: LeafIndex(1) };
    signed(LeafNodeParts { leaf_node_source: LeafNodeSource::Update, ..parts(seed) }, place, seed)
}

fn add(key_package: KeyPackage) -> Proposal {
    Proposal::Add { key_package: key_package.into() }
}

fn update(leaf_node: LeafNode) -> Proposal {
    Proposal::Update { leaf_node: leaf_node.into() }
}

fn remove(leaf: u32) -> Proposal {
    Proposal::Remove { removed: LeafIndex(leaf) }
}

fn psk(name: u8) -> Proposal {
    let psk = Psk::External { psk_id: vec![name].into() };
    Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![7; 32].into() } }
}

fn resumption(usage: ResumptionPskUsage) -> Proposal {
    let psk = Psk::Resumption { usage, psk_group_id: GroupId::default(), psk_epoch: 1 };
    Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![7; 32].into() } }
}

fn reinit(version: u16) -> Proposal {
    Proposal::ReInit(ReInit {
        group_id: GroupId::default(),
        version: ProtocolVersion(version),
        cipher_suite: suite().cipher_suite(),
        extensions: Extensions::new(),
    })
}

fn extensions() -> Proposal {
    Proposal::GroupContextExtensions { extensions: Extensions::new() }
}

fn external_init(length: usize) -> Proposal {
    Proposal::ExternalInit { kem_output: vec![1; length].into() }
}

fn custom(proposal_type: ProposalType) -> Proposal {
    Proposal::Custom { proposal_type, body: Opaque::default() }
}

#[test]
fn a_list_that_breaks_no_rule_comes_back_sorted_by_kind() {
    let list = member(vec![
        by_value(add(key_package(1))),
        by_member(update(leaf(2)), 2),
        by_value(custom(CUSTOM)),
        sent(remove(3), Sender::External(0)),
        sent(add(key_package(4)), Sender::NewMemberProposal),
        by_member(custom(LIKE_REMOVE), 5),
        by_value(psk(1)),
        by_member(psk(2), 6),
        by_value(extensions()),
    ])
    .unwrap();
    assert_eq!(list.len(), 9);
    assert_eq!(
        list.adds().map(|k| k.init_key.clone()).collect::<Vec<_>>(),
        [key_package(1).init_key, key_package(4).init_key]
    );
    assert_eq!(list.updates().map(|(index, _)| index).collect::<Vec<_>>(), [LeafIndex(2)]);
    assert_eq!(list.removes().collect::<Vec<_>>(), [LeafIndex(3)]);
    assert_eq!(list.psks().count(), 2);
    let custom: Vec<ProposalType> = list.custom().map(|entry| entry.proposal.proposal_type()).collect();
    assert_eq!(custom, [LIKE_REMOVE, CUSTOM], "in the order of application");
    assert_eq!(list.types_to_support().collect::<Vec<_>>(), [CUSTOM, LIKE_REMOVE]);
    assert!(list.group_context_extensions().is_some());
    assert!(list.reinit().is_none() && list.external_init().is_none());
}

#[test]
fn rows_090_092_123_164_types_are_sent_by_whom_the_table_allows() {
    let outsider = |p: Proposal| member(vec![sent(p, Sender::External(0))]);
    for allowed in [add(key_package(1)), remove(1), psk(1), reinit(1), extensions()] {
        assert!(outsider(allowed).is_ok());
    }
    breaks(outsider(update(leaf(1))), Rule::UpdateByNonMember);
    breaks(outsider(custom(CUSTOM)), Rule::ExternalSenderProposal);
    let newcomer = |p: Proposal| member(vec![sent(p, Sender::NewMemberProposal)]);
    assert!(newcomer(add(key_package(1))).is_ok());
    breaks(newcomer(update(leaf(1))), Rule::UpdateByNonMember);
    for refused in [remove(1), psk(1), reinit(1), extensions()] {
        breaks(newcomer(refused), Rule::NewMemberProposalType);
    }
    breaks(member(vec![sent(remove(1), Sender::NewMemberCommit)]), Rule::SenderMayNotPropose);
    for entry in KNOWN_TYPES.map(|t| table().entry(t).copied().unwrap()) {
        assert!(!entry.may_send(Sender::NewMemberCommit));
        assert!(entry.proposal_type != ProposalType::EXTERNAL_INIT || entry.senders.is_empty());
    }
}

const KNOWN_TYPES: [ProposalType; 7] = [
    ProposalType::ADD,
    ProposalType::UPDATE,
    ProposalType::REMOVE,
    ProposalType::PSK,
    ProposalType::REINIT,
    ProposalType::EXTERNAL_INIT,
    ProposalType::GROUP_CONTEXT_EXTENSIONS,
];

#[test]
fn a_proposal_by_value_has_the_committer_as_its_sender() {
    let entry = ProposalEntry { sender: Sender::Member(LeafIndex(1)), ..by_value(remove(3)) };
    breaks(member(vec![entry]), Rule::SenderMayNotPropose);
    let entry = by_value(external_init(32));
    breaks(external(vec![entry]), Rule::SenderMayNotPropose);
}

#[test]
fn rows_013_134_a_type_that_nobody_registered_is_refused() {
    breaks(member(vec![by_value(custom(ProposalType(0xf123)))]), Rule::ProposalTypeNotSupported);
    breaks(member(vec![by_value(custom(ProposalType(0x0a0a)))]), Rule::ProposalTypeNotSupported);
}

#[test]
fn row_124_only_members_can_be_removed() {
    assert!(member(vec![by_value(remove(9))]).is_ok());
    breaks(member(vec![by_value(remove(10))]), Rule::RemovedNotMember);
    breaks(member(vec![by_value(remove(u32::MAX))]), Rule::RemovedNotMember);
}

#[test]
fn rows_125_126_resumption_psks_must_fit_the_kind_of_commit() {
    use ResumptionPskUsage::{Application, Branch, ReInit};
    let table = table();
    for (psks, usage, broken) in [
        (PskContext::Group, Application, None),
        (PskContext::Group, ReInit, Some(Rule::ReInitPsk)),
        (PskContext::Group, Branch, Some(Rule::BranchPsk)),
        (PskContext::ReInit, ReInit, None),
        (PskContext::ReInit, Branch, Some(Rule::BranchPsk)),
        (PskContext::Branch, Branch, None),
        (PskContext::Branch, ReInit, Some(Rule::ReInitPsk)),
    ] {
        let rules = ListRules { psks, ..rules(&table) };
        let verdict = ProposalList::of_member(vec![by_value(resumption(usage))], COMMITTER, &rules);
        assert_eq!(verdict.err(), broken.map(ListError::Rule));
    }
}

#[test]
fn row_127_a_psk_nonce_is_as_long_as_the_kdf_output() {
    for length in [0, 31, 33] {
        let psk = Psk::External { psk_id: vec![1].into() };
        let id = PreSharedKeyId { psk, psk_nonce: vec![7; length].into() };
        breaks(member(vec![by_value(Proposal::PreSharedKey { psk: id })]), Rule::PskNonceLength);
    }
}

#[test]
fn row_129_a_successor_has_no_lower_version() {
    breaks(member(vec![by_value(reinit(0))]), Rule::ReInitVersion);
    assert!(member(vec![by_value(reinit(2))]).is_ok());
}

#[test]
fn row_232_the_extensions_of_a_successor_have_no_type_twice() {
    let Proposal::ReInit(mut successor) = reinit(1) else { panic!("a ReInit") };
    successor.extensions.set(ExtensionType(100), []);
    let again = successor.extensions.list.clone();
    successor.extensions.list.extend(again);
    breaks(member(vec![by_value(Proposal::ReInit(successor))]), Rule::DuplicateExtension);
}

#[test]
fn row_140_the_committer_may_not_update_itself() {
    breaks(member(vec![by_value(update(leaf(1)))]), Rule::CommitterUpdate);
    breaks(member(vec![by_member(update(leaf(1)), COMMITTER.0)]), Rule::CommitterUpdate);
}

#[test]
fn row_141_the_committer_may_not_be_removed() {
    breaks(member(vec![by_value(remove(COMMITTER.0))]), Rule::CommitterRemove);
    breaks(member(vec![by_member(remove(COMMITTER.0), 4)]), Rule::CommitterRemove);
}

#[test]
fn row_142_a_leaf_is_updated_or_removed_once() {
    breaks(member(vec![by_value(remove(2)), by_member(remove(2), 3)]), Rule::LeafTouchedTwice);
    breaks(member(vec![by_value(remove(2)), by_member(update(leaf(1)), 2)]), Rule::LeafTouchedTwice);
    breaks(member(vec![by_member(update(leaf(1)), 2), by_member(update(leaf(2)), 2)]), Rule::LeafTouchedTwice);
}

#[test]
fn row_143_a_client_is_added_once() {
    let mut second = key_package(2);
    second.leaf_node.signature_key = key_package(1).leaf_node.signature_key;
    breaks(member(vec![by_value(add(key_package(1))), by_value(add(second))]), Rule::ClientAddedTwice);
}

#[test]
fn row_145_a_psk_is_used_once() {
    breaks(member(vec![by_value(psk(1)), by_value(psk(2)), by_member(psk(1), 2)]), Rule::DuplicatePsk);
}

#[test]
fn row_146_extensions_are_replaced_once() {
    let twice = vec![by_value(extensions()), by_member(extensions(), 3)];
    breaks(member(twice), Rule::DuplicateGroupContextExtensions);
}

#[test]
fn row_147_a_reinit_stands_alone() {
    assert!(member(vec![by_value(reinit(1))]).unwrap().reinit().is_some());
    breaks(member(vec![by_value(reinit(1)), by_value(psk(1))]), Rule::ReInitNotAlone);
    breaks(member(vec![by_value(reinit(1)), by_member(reinit(1), 2)]), Rule::ReInitNotAlone);
}

#[test]
fn row_148_a_member_commits_no_external_init() {
    breaks(member(vec![by_value(external_init(32))]), Rule::ExternalInitByMember);
    breaks(member(vec![by_member(external_init(32), 3)]), Rule::ExternalInitByMember);
}

#[test]
fn row_151_an_init_key_is_used_once_and_by_no_leaf() {
    let mut second = key_package(2);
    second.init_key = key_package(1).init_key;
    breaks(member(vec![by_value(add(key_package(1))), by_value(add(second))]), Rule::InitKeyAddedTwice);
    let mut second = key_package(2);
    second.init_key = key_package(1).leaf_node.encryption_key;
    breaks(member(vec![by_value(add(key_package(1))), by_value(add(second))]), Rule::InitKeyIsLeafKey);
    let mut second = key_package(2);
    second.init_key = leaf(1).encryption_key;
    breaks(member(vec![by_member(update(leaf(1)), 1), by_value(add(second))]), Rule::InitKeyIsLeafKey);
}

#[test]
fn number_and_size_are_bounded_before_anything_else() {
    let many = |count| (0..count).map(|_| by_value(extensions())).collect::<Vec<_>>();
    assert_eq!(member(many(21)), Err(ListError::TooManyProposals));
    breaks(member(many(20)), Rule::DuplicateGroupContextExtensions);
    assert_eq!(member((0..4).map(|n| by_value(psk(n))).collect()), Err(ListError::TooManyPsks));
    assert_eq!(external((0..4).map(|n| joins(psk(n))).collect()), Err(ListError::TooManyPsks));
    let body = Opaque::from(vec![0; 1 << 20]);
    let large = Proposal::Custom { proposal_type: CUSTOM, body };
    assert_eq!(member(vec![by_value(large)]), Err(ListError::TooManyProposals));
}

#[test]
fn row_170_what_needs_a_path_is_what_the_registry_says() {
    let needs = |entry: ProposalEntry| member(vec![entry]).unwrap().path_required();
    assert!(member(vec![]).unwrap().path_required(), "an empty commit");
    for proposal in [remove(3), extensions(), custom(LIKE_REMOVE)] {
        assert!(needs(by_value(proposal)));
    }
    assert!(needs(by_member(update(leaf(1)), 1)));
    for proposal in [add(key_package(1)), psk(1), reinit(1), custom(CUSTOM)] {
        assert!(!needs(by_value(proposal)));
    }
    let mixed = member(vec![by_value(psk(1)), by_value(remove(3)), by_value(psk(2))]);
    assert!(mixed.unwrap().path_required());
}

#[test]
fn an_external_commit_may_hold_its_init_a_remove_and_psks() {
    let list = external(vec![
        joins(psk(1)),
        joins(remove(3)),
        joins(external_init(32)),
        joins(psk(2)),
        by_member(custom(LIKE_REMOVE), 4),
    ])
    .unwrap();
    assert_eq!(list.external_init().map(Opaque::len), Some(32));
    assert_eq!((list.removes().collect::<Vec<_>>(), list.psks().count()), (vec![LeafIndex(3)], 2));
}

#[test]
fn row_155_an_external_commit_has_an_external_init() {
    breaks(external(vec![]), Rule::ExternalInitCount);
    breaks(external(vec![joins(psk(1))]), Rule::ExternalInitCount);
}

#[test]
fn row_156_an_external_commit_has_one_external_init() {
    breaks(external(vec![joins(external_init(32)), joins(external_init(32))]), Rule::ExternalInitCount);
}

#[test]
fn row_130_an_encapsulated_key_has_the_length_of_the_kem() {
    for length in [0, 31, 33] {
        breaks(external(vec![joins(external_init(length))]), Rule::ExternalInitKemOutput);
    }
}

#[test]
fn row_157_an_external_commit_removes_at_most_one() {
    let entries = vec![joins(external_init(32)), joins(remove(1)), joins(remove(2))];
    breaks(external(entries), Rule::ExternalRemoveCount);
    breaks(external(vec![joins(external_init(32)), joins(remove(10))]), Rule::RemovedNotMember);
}

#[test]
fn row_160_an_external_commit_holds_nothing_else() {
    for proposal in [add(key_package(1)), update(leaf(1)), reinit(1), extensions(), custom(CUSTOM)] {
        breaks(external(vec![joins(external_init(32)), joins(proposal)]), Rule::ExternalProposalType);
    }
    let unknown = custom(ProposalType(0xf123));
    breaks(external(vec![joins(external_init(32)), joins(unknown)]), Rule::ExternalProposalType);
    let value = joins(custom(LIKE_REMOVE));
    breaks(external(vec![joins(external_init(32)), value]), Rule::ExternalProposalType);
}

#[test]
fn row_161_an_external_commit_holds_no_proposal_of_the_rfc_by_reference() {
    for proposal in [add(key_package(1)), remove(1), psk(1), extensions()] {
        let entries = vec![joins(external_init(32)), by_member(proposal, 2)];
        breaks(external(entries), Rule::ExternalProposalByReference);
    }
}

#[test]
fn row_162_an_external_commit_needs_a_path() {
    assert!(external(vec![joins(external_init(32))]).unwrap().path_required());
}

#[test]
fn rows_125_127_145_psks_of_an_external_commit_follow_the_same_rules() {
    let with = |entries: Vec<ProposalEntry>| external([vec![joins(external_init(32))], entries].concat());
    breaks(with(vec![joins(resumption(ResumptionPskUsage::ReInit))]), Rule::ReInitPsk);
    breaks(with(vec![joins(psk(1)), joins(psk(1))]), Rule::DuplicatePsk);
    assert!(with(vec![joins(resumption(ResumptionPskUsage::Application))]).is_ok());
}

#[test]
fn a_registered_type_cannot_redefine_one_of_the_rfc() {
    let mut entry = *ProposalTable::new().entry(ProposalType::UPDATE).unwrap();
    entry.member_commit = CommitUse::Any;
    let table = ProposalTable::new().with(entry);
    assert_eq!(table.entry(ProposalType::UPDATE).unwrap().member_commit, CommitUse::ByReference);
}
