//! Proposals from outside the group.

use keyroom_wire::MlsMessage;

use crate::commits::decoded;
use crate::runner::{FullCommit, add, empty_lists, extensions, external_psk, reinit, remove, resumption_psk};
use crate::stage::{client, runners, suites};
use crate::successors::Succession;

#[tokio::test]
async fn a_client_asks_to_be_added_itself() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let by_reference = vec![runner.new_member_add("bob", "charlie").await.unwrap()];
        assert!(matches!(decoded(&by_reference[0]), MlsMessage::PublicMessage(_)));
        let full = FullCommit {
            actor: "alice",
            by_reference,
            members: &["bob"],
            joiners: &["charlie"],
            ..FullCommit::default()
        };
        runner.commit(full).await.unwrap();
        runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
    }
}

#[tokio::test]
async fn an_external_signer_proposes_every_kind_that_it_may() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
        let psk = runner.install_psk(&["alice", "bob", "charlie"]).await.unwrap();
        // Two signers: the second is not at index 0, which is all that a runner says.
        for signer in ["first", "second"] {
            let by_reference = vec![runner.add_external_signer("alice", signer).await.unwrap()];
            let members = ["bob", "charlie"];
            let full = FullCommit { actor: "alice", by_reference, members: &members, ..FullCommit::default() };
            runner.commit(full).await.unwrap();
        }
        let package = runner.key_package("dana").await.unwrap();
        let mut by_reference = Vec::new();
        for (signer, description) in
            [("second", add(package)), ("first", external_psk(&psk)), ("second", remove("charlie"))]
        {
            by_reference.push(runner.propose_externally(signer, "bob", description).await.unwrap());
        }
        // Dana has been given the PSK that her Welcome needs.
        let seat = *runner.seat("dana");
        let request = keyroom_interop::messages::StorePskRequest {
            state_or_transaction_id: seat.transaction.unwrap(),
            psk_id: psk.id.clone(),
            psk_secret: psk.secret.clone(),
        };
        runner.client("dana").store_psk(request).await.unwrap();
        let full =
            FullCommit { actor: "alice", by_reference, members: &["bob"], joiners: &["dana"], ..FullCommit::default() };
        runner.commit(full).await.unwrap();
        let members = ["bob", "dana"];
        for description in [resumption_psk(4), extensions(empty_lists())] {
            let by_reference = vec![runner.propose_externally("second", "dana", description).await.unwrap()];
            let full = FullCommit { actor: "alice", by_reference, members: &members, ..FullCommit::default() };
            runner.commit(full).await.unwrap();
        }
        runner.agree(&["alice", "bob", "dana"]).await.unwrap();
        let gone = runner.propose_externally("second", "dana", remove("bob")).await.unwrap_err();
        assert!(gone.contains("WrongSigner"), "the last proposal has emptied the list of senders: {gone}");
    }
}

#[tokio::test]
async fn an_external_signer_proposes_to_reinitialise() {
    let other_suites = suites(&mut client().await).await;
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
        let by_reference = vec![runner.add_external_signer("alice", "ds").await.unwrap()];
        let members = ["bob", "charlie"];
        let full = FullCommit { actor: "alice", by_reference, members: &members, ..FullCommit::default() };
        runner.commit(full).await.unwrap();
        let suite = *other_suites.iter().find(|suite| **suite != runner.suite).unwrap();
        let group_id = runner.fresh("successor");
        let description = reinit(group_id, suite, empty_lists());
        let proposal = runner.propose_externally("ds", "bob", description).await.unwrap();
        let succession =
            Succession { committer: "alice", welcomer: "bob", members: &["charlie"], ..Succession::default() };
        runner.reinit(proposal, succession).await.unwrap();
        runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
    }
}
