//! Joining by Welcome.

use crate::runner::{FullCommit, add, external_psk};
use crate::stage::runners;

#[tokio::test]
async fn a_client_joins_by_welcome_with_and_without_a_path() {
    for mut runner in runners().await {
        for force_path in [false, true] {
            runner.create_group("alice", &[]).await.unwrap();
            let package = runner.key_package("bob").await.unwrap();
            let proposal = runner.add("alice", package).await.unwrap();
            let made = runner
                .commit(FullCommit {
                    actor: "alice",
                    by_reference: vec![proposal],
                    joiners: &["bob"],
                    force_path,
                    ..FullCommit::default()
                })
                .await
                .unwrap();
            assert!(!made.welcome.is_empty() && made.ratchet_tree.is_empty());
            runner.agree(&["alice", "bob"]).await.unwrap();
            runner.free().await.unwrap();
        }
    }
}

#[tokio::test]
async fn psks_stored_before_joining_are_good_in_the_welcome_and_later() {
    for mut runner in runners().await {
        runner.create_group("alice", &[]).await.unwrap();
        let package = runner.key_package("bob").await.unwrap();
        let first = runner.install_psk(&["alice", "bob"]).await.unwrap();
        let second = runner.install_psk(&["alice", "bob"]).await.unwrap();
        let proposal = runner.external_psk("alice", &first).await.unwrap();
        runner
            .commit(FullCommit {
                actor: "alice",
                by_reference: vec![proposal],
                by_value: vec![add(package), external_psk(&second)],
                joiners: &["bob"],
                ..FullCommit::default()
            })
            .await
            .unwrap();
        for committer in ["bob", "alice"] {
            runner
                .commit(FullCommit {
                    actor: committer,
                    by_value: vec![external_psk(&second), external_psk(&first)],
                    members: if committer == "bob" { &["alice"] } else { &["bob"] },
                    ..FullCommit::default()
                })
                .await
                .unwrap();
        }
        runner.agree(&["alice", "bob"]).await.unwrap();
    }
}

#[tokio::test]
async fn the_tree_may_travel_beside_the_welcome() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let package = runner.key_package("charlie").await.unwrap();
        let proposal = runner.add("bob", package).await.unwrap();
        let full = FullCommit {
            actor: "alice",
            by_reference: vec![proposal],
            members: &["bob"],
            joiners: &["charlie"],
            external_tree: true,
            ..FullCommit::default()
        };
        let made = runner.commit(full).await.unwrap();
        assert!(!made.ratchet_tree.is_empty());
        runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
        let alone =
            FullCommit { actor: "charlie", members: &["alice", "bob"], external_tree: true, ..FullCommit::default() };
        let made = runner.commit(alone).await.unwrap();
        assert!(made.welcome.is_empty() && !made.ratchet_tree.is_empty());
    }
}
