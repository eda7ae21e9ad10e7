//! Calls that make no sense end in a status, and the server goes on.

use keyroom_interop::METHODS;
use keyroom_interop::messages::*;
use tonic::{Code, Status};

use crate::runner::{Handshakes, Runner};
use crate::stage::client;

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> Code {
    let status = answer.unwrap_err();
    assert!(!status.message().is_empty(), "a status says why: {status:?}");
    status.code()
}

#[tokio::test]
async fn the_interface_has_thirty_four_calls() {
    let mut names = METHODS.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 34);
}

#[tokio::test]
async fn ids_that_name_nobody_are_not_found() {
    let mut client = client().await;
    for state_id in [0, 1, u32::MAX] {
        assert_eq!(code(client.state_auth(StateAuthRequest { state_id }).await), Code::NotFound);
        assert_eq!(code(client.group_info(GroupInfoRequest { state_id, external_tree: true }).await), Code::NotFound);
        assert_eq!(code(client.update_proposal(UpdateProposalRequest { state_id }).await), Code::NotFound);
        let psk = StorePskRequest { state_or_transaction_id: state_id, psk_id: vec![1], psk_secret: vec![2] };
        assert_eq!(code(client.store_psk(psk).await), Code::NotFound);
        let join = JoinGroupRequest { transaction_id: state_id, ..Default::default() };
        assert_eq!(code(client.join_group(join).await), Code::NotFound);
        let welcome = ReInitWelcomeRequest { reinit_id: state_id, ..Default::default() };
        assert_eq!(code(client.re_init_welcome(welcome).await), Code::NotFound);
        let external = ExternalSignerProposalRequest { signer_id: state_id, ..Default::default() };
        assert_eq!(code(client.external_signer_proposal(external).await), Code::NotFound);
    }
    client.free(FreeRequest { state_id: 0 }).await.unwrap();
    assert_eq!(code(client.free(FreeRequest { state_id: 1 }).await), Code::NotFound);
}

#[tokio::test]
async fn unknown_suites_and_malformed_bytes_are_refused() {
    let mut client = client().await;
    for cipher_suite in [0, 999, 0xffff_ffff] {
        let request = CreateGroupRequest { cipher_suite, ..Default::default() };
        assert!(matches!(code(client.create_group(request).await), Code::Unimplemented | Code::InvalidArgument));
    }
    for bytes in [vec![], vec![0], vec![0xff; 1000]] {
        let add = |state_id| AddProposalRequest { state_id, key_package: bytes.clone() };
        let mut runner = Runner::new(vec![client.clone()], 1, Handshakes::Public);
        runner.create_group("alice", &["bob"]).await.unwrap();
        let state_id = runner.state("alice");
        assert_eq!(code(client.add_proposal(add(state_id)).await), Code::InvalidArgument);
        let external = ExternalJoinRequest { group_info: bytes.clone(), ..Default::default() };
        assert_eq!(code(client.external_join(external).await), Code::InvalidArgument);
        let commit = HandleCommitRequest { state_id, commit: bytes.clone(), ..Default::default() };
        assert_eq!(code(client.handle_commit(commit).await), Code::Aborted);
        let read = UnprotectRequest { state_id, ciphertext: bytes.clone() };
        assert_eq!(code(client.unprotect(read).await), Code::Aborted);
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_script_may_not_ask_for_is_refused_and_changes_nothing() {
    let mut runner = Runner::new(vec![client().await], 1, Handshakes::Private);
    runner.create_group("alice", &["bob"]).await.unwrap();
    let nobody = runner.remove("alice", "mallory").await.unwrap_err();
    assert!(nobody.contains("mallory"), "{nobody}");
    let state_id = runner.state("alice");
    let odd = ProposalDescription { proposal_type: b"promote".to_vec(), ..Default::default() };
    let request = CommitRequest { state_id, by_value: vec![odd], ..Default::default() };
    assert_eq!(code(runner.client("alice").commit(request).await), Code::InvalidArgument);
    let request = ExportRequest { state_id, key_length: u32::MAX, ..Default::default() };
    assert_eq!(code(runner.client("alice").export(request).await), Code::Aborted);
    let missing = crate::runner::StoredPsk { id: b"unknown".to_vec(), secret: Vec::new() };
    let request =
        CommitRequest { state_id, by_value: vec![crate::runner::external_psk(&missing)], ..Default::default() };
    assert_eq!(code(runner.client("alice").commit(request).await), Code::Aborted);
    runner.agree(&["alice", "bob"]).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_no_reinit_goes_on_waiting_when_it_is_asked_to_end_the_group() {
    let mut runner = Runner::new(vec![client().await], 1, Handshakes::Public);
    runner.create_group("alice", &["bob"]).await.unwrap();
    let state_id = runner.state("alice");
    let nothing = HandlePendingCommitRequest { state_id };
    assert_eq!(code(runner.client("alice").handle_pending_commit(nothing).await), Code::FailedPrecondition);
    let request = CommitRequest { state_id, force_path: true, ..Default::default() };
    let made = runner.client("alice").commit(request).await.unwrap();
    for _ in 0..2 {
        let ending = HandlePendingCommitRequest { state_id };
        assert_eq!(code(runner.client("alice").handle_pending_re_init_commit(ending).await), Code::FailedPrecondition);
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
    let applied = runner.client("alice").handle_pending_commit(HandlePendingCommitRequest { state_id }).await;
    let authenticator = applied.unwrap().epoch_authenticator;
    runner.follow("bob", &[], &made.commit, &authenticator).await.unwrap();
    runner.agree(&["alice", "bob"]).await.unwrap();
}

#[tokio::test]
async fn ids_of_one_kind_are_never_ids_of_another() {
    let mut runner = Runner::new(vec![client().await], 1, Handshakes::Public);
    let mut ids = Vec::new();
    for _ in 0..3 {
        runner.create_group("alice", &["bob"]).await.unwrap();
        runner.key_package("charlie").await.unwrap();
        runner.add_external_signer("alice", "ds").await.unwrap();
        ids.extend([runner.state("alice"), runner.state("bob")]);
        ids.extend([runner.seat("charlie").transaction.unwrap(), runner.seat("ds").signer.unwrap()]);
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
