//! Commits of every kind.

use keyroom_wire::{Content, Decode, Limits, MlsMessage};

use crate::runner::{
    FullCommit, Handshakes, Runner, add, empty_lists, extensions, external_psk, remove, resumption_psk,
};
use crate::stage::runners;

/// A commit that covers nothing.
async fn advance(runner: &mut Runner, actor: &str, members: &[&str]) {
    runner.commit(FullCommit { actor, members, ..FullCommit::default() }).await.unwrap();
}

#[tokio::test]
async fn an_empty_commit_moves_everybody() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        advance(&mut runner, "alice", &["bob"]).await;
        advance(&mut runner, "bob", &["alice"]).await;
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn clients_are_added_by_reference_and_by_value() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let mut members = vec!["bob"];
        for (force_path, joiners) in [(true, ["c1", "c2", "c3"]), (false, ["c4", "c5", "c6"])] {
            let mut packages = Vec::new();
            for joiner in joiners {
                packages.push(runner.key_package(joiner).await.unwrap());
            }
            let last = packages.pop().unwrap();
            let by_bob = runner.add("bob", packages.pop().unwrap()).await.unwrap();
            let by_alice = runner.add("alice", packages.pop().unwrap()).await.unwrap();
            let full = FullCommit {
                actor: "alice",
                by_reference: vec![by_alice, by_bob],
                by_value: vec![add(last)],
                members: &members,
                joiners: &joiners,
                force_path,
                ..FullCommit::default()
            };
            let made = runner.commit(full).await.unwrap();
            if runner.handshakes == Handshakes::Public {
                assert_eq!(has_path(&made.commit), force_path);
            }
            members.extend(joiners);
        }
        members.push("alice");
        runner.agree(&members).await.unwrap();
    }
}

#[tokio::test]
async fn members_are_removed_by_reference_and_by_value() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "c1", "c2", "c3"]).await.unwrap();
        let by_alice = runner.remove("alice", "c1").await.unwrap();
        let by_bob = runner.remove("bob", "c2").await.unwrap();
        let full = FullCommit {
            actor: "alice",
            by_reference: vec![by_alice.clone(), by_bob.clone()],
            by_value: vec![remove("c3")],
            members: &["bob"],
            ..FullCommit::default()
        };
        let made = runner.commit(full).await.unwrap();
        runner.agree(&["alice", "bob"]).await.unwrap();
        let out = runner.follow("c1", &[by_alice, by_bob], &made.commit, b"").await.unwrap_err();
        assert!(out.contains("another epoch"), "a removed member has nothing to compare: {out}");
        let refused = runner.protect("c1", "", "still here?").await.unwrap_err();
        assert!(refused.contains("NotMember"), "{refused}");
        runner.free().await.unwrap();
    }
}

#[tokio::test]
async fn updates_take_effect_when_somebody_else_commits_them() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
        let updates = vec![runner.update("bob").await.unwrap(), runner.update("charlie").await.unwrap()];
        let full =
            FullCommit { actor: "alice", by_reference: updates, members: &["bob", "charlie"], ..FullCommit::default() };
        runner.commit(full).await.unwrap();
        // The new keys are in use: they receive the next path and make one.
        advance(&mut runner, "bob", &["alice", "charlie"]).await;
        advance(&mut runner, "charlie", &["alice", "bob"]).await;
        // One that nobody commits goes with its epoch.
        runner.update("bob").await.unwrap();
        advance(&mut runner, "alice", &["bob", "charlie"]).await;
        advance(&mut runner, "charlie", &["alice", "bob"]).await;
        runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
    }
}

#[tokio::test]
async fn extensions_are_replaced_and_cleared() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let lists = [runner.extensions("alice", empty_lists()).await.unwrap()];
        let full = |by_reference: Vec<Vec<u8>>| FullCommit {
            actor: "alice",
            by_reference,
            members: &["bob"],
            ..FullCommit::default()
        };
        runner.commit(full(lists.to_vec())).await.unwrap();
        let cleared = runner.extensions("bob", Vec::new()).await.unwrap();
        runner.commit(full(vec![cleared])).await.unwrap();
        let by_value = vec![extensions(empty_lists())];
        runner.commit(FullCommit { by_value, ..full(Vec::new()) }).await.unwrap();
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn external_psks_are_mixed_in_in_the_order_of_the_commit() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let mut psks = Vec::new();
        for _ in 0..4 {
            psks.push(runner.install_psk(&["alice", "bob"]).await.unwrap());
        }
        for force_path in [true, false] {
            let by_alice = runner.external_psk("alice", &psks[0]).await.unwrap();
            let by_bob = runner.external_psk("bob", &psks[1]).await.unwrap();
            let full = FullCommit {
                actor: "alice",
                by_reference: vec![by_alice, by_bob],
                by_value: vec![external_psk(&psks[2]), external_psk(&psks[3])],
                members: &["bob"],
                force_path,
                ..FullCommit::default()
            };
            runner.commit(full).await.unwrap();
        }
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn resumption_psks_of_every_epoch_are_kept() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        for _ in 1..12 {
            advance(&mut runner, "alice", &["bob"]).await;
        }
        let by_alice = runner.resumption_psk("alice", 1).await.unwrap();
        let by_bob = runner.resumption_psk("bob", 2).await.unwrap();
        let full = FullCommit {
            actor: "alice",
            by_reference: vec![by_alice, by_bob],
            by_value: vec![resumption_psk(7), resumption_psk(12)],
            members: &["bob"],
            ..FullCommit::default()
        };
        runner.commit(full).await.unwrap();
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn all_kinds_go_together_whoever_proposed_them() {
    for mut runner in runners().await {
        for proposer in ["alice", "bob"] {
            runner.create_group("alice", &["bob", "c1", "c2"]).await.unwrap();
            let psks = [
                runner.install_psk(&["alice", "bob"]).await.unwrap(),
                runner.install_psk(&["alice", "bob"]).await.unwrap(),
            ];
            advance(&mut runner, "alice", &["bob", "c1", "c2"]).await;
            let package = runner.key_package("c3").await.unwrap();
            let mut by_reference = vec![
                runner.add(proposer, package).await.unwrap(),
                runner.remove(proposer, "c1").await.unwrap(),
                runner.extensions(proposer, empty_lists()).await.unwrap(),
                runner.external_psk(proposer, &psks[0]).await.unwrap(),
                runner.resumption_psk(proposer, 1).await.unwrap(),
            ];
            if proposer == "bob" {
                by_reference.push(runner.update("bob").await.unwrap());
            }
            // A joiner cannot know resumption PSKs: nobody joins by this Welcome.
            let package = runner.key_package("c4").await.unwrap();
            let by_value = vec![add(package), remove("c2"), external_psk(&psks[1]), resumption_psk(2)];
            let full =
                FullCommit { actor: "alice", by_reference, by_value, members: &["bob"], ..FullCommit::default() };
            runner.commit(full).await.unwrap();
            runner.agree(&["alice", "bob"]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_commit_moves_nobody_until_it_is_applied_and_a_later_one_replaces_it() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let request = keyroom_interop::messages::CommitRequest {
            state_id: runner.state("alice"),
            by_value: vec![extensions(empty_lists())],
            ..Default::default()
        };
        for _ in 0..2 {
            runner.client("alice").commit(request.clone()).await.unwrap();
        }
        runner.agree(&["alice", "bob"]).await.unwrap();
        // Another member wins: what is pending is forgotten.
        advance(&mut runner, "bob", &["alice"]).await;
        let request = keyroom_interop::messages::HandlePendingCommitRequest { state_id: runner.state("alice") };
        let nothing = runner.client("alice").handle_pending_commit(request).await.unwrap_err();
        assert_eq!(nothing.code(), tonic::Code::FailedPrecondition);
        advance(&mut runner, "alice", &["bob"]).await;
    }
}

#[tokio::test]
async fn an_own_commit_may_come_back_like_anybody_elses() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let state_id = runner.state("alice");
        let request = keyroom_interop::messages::CommitRequest { state_id, ..Default::default() };
        let commit = runner.client("alice").commit(request).await.unwrap().commit;
        let request =
            keyroom_interop::messages::HandleCommitRequest { state_id, commit: commit.clone(), ..Default::default() };
        let applied = runner.client("alice").handle_commit(request).await.unwrap();
        runner.follow("bob", &[], &commit, &applied.epoch_authenticator).await.unwrap();
    }
}

#[tokio::test]
async fn handshake_messages_have_the_form_that_was_asked_for() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let proposal = runner.update("bob").await.unwrap();
        let by_reference = vec![proposal.clone()];
        let made = runner
            .commit(FullCommit { actor: "alice", by_reference, members: &["bob"], ..FullCommit::default() })
            .await
            .unwrap();
        for message in [proposal, made.commit] {
            let private = matches!(decoded(&message), MlsMessage::PrivateMessage(_));
            assert_eq!(private, runner.handshakes == Handshakes::Private);
        }
    }
}

fn has_path(commit: &[u8]) -> bool {
    match decoded(commit) {
        MlsMessage::PublicMessage(message) => match message.content.content {
            Content::Commit(commit) => commit.path.is_some(),
            other => panic!("a commit was expected, not {other:?}"),
        },
        other => panic!("a public message was expected, not {other:?}"),
    }
}

pub fn decoded(message: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(message, &Limits::default()).unwrap()
}
