//! Joining by external commit.

use keyroom_wire::{MlsMessage, Sender};

use crate::commits::decoded;
use crate::runner::{Entrance, FullCommit};
use crate::stage::runners;

#[tokio::test]
async fn a_client_joins_from_outside_with_the_tree_inside_or_beside() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
        let members = ["alice", "bob"];
        let dana = Entrance { actor: "charlie", joiner: "dana", members: &members, ..Entrance::default() };
        let commit = runner.external_join(dana).await.unwrap();
        let MlsMessage::PublicMessage(message) = decoded(&commit) else { panic!("an external commit is public") };
        assert_eq!(message.content.sender, Sender::NewMemberCommit);
        let members = ["alice", "bob", "charlie"];
        let ellen =
            Entrance { actor: "dana", joiner: "ellen", members: &members, external_tree: true, ..Entrance::default() };
        runner.external_join(ellen).await.unwrap();
        let all = ["alice", "bob", "charlie", "dana", "ellen"];
        runner.agree(&all).await.unwrap();
        for committer in ["ellen", "dana"] {
            let others: Vec<&str> = all.into_iter().filter(|actor| *actor != committer).collect();
            let full = FullCommit { actor: committer, members: &others, ..FullCommit::default() };
            runner.commit(full).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_group_info_with_the_tree_beside_it_holds_none() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        for external_tree in [false, true] {
            let info = runner.group_info("bob", external_tree).await.unwrap();
            let MlsMessage::GroupInfo(shown) = decoded(&info.group_info) else { panic!("a GroupInfo") };
            assert_eq!(shown.extensions.contains(keyroom_wire::ExtensionType::RATCHET_TREE), !external_tree);
            assert!(shown.extensions.contains(keyroom_wire::ExtensionType::EXTERNAL_PUB));
            assert_eq!(info.ratchet_tree.is_empty(), !external_tree);
        }
    }
}

#[tokio::test]
async fn a_client_that_comes_back_takes_its_old_leaf_away() {
    for mut runner in runners().await {
        for external_tree in [false, true] {
            runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
            let again = Entrance {
                actor: "alice",
                joiner: "bob",
                members: &["charlie"],
                remove_prior: true,
                external_tree,
                ..Entrance::default()
            };
            runner.external_join(again).await.unwrap();
            runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
            let info = runner.group_info("bob", true).await.unwrap();
            let tree: keyroom_wire::RatchetTree =
                keyroom_wire::Decode::from_bytes(&info.ratchet_tree, &keyroom_wire::Limits::default()).unwrap();
            assert_eq!(tree.nodes.iter().step_by(2).flatten().count(), 3);
        }
    }
}

#[tokio::test]
async fn psks_are_mixed_into_an_external_commit() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let psks = vec![
            runner.install_psk(&["alice", "bob"]).await.unwrap(),
            runner.install_psk(&["alice", "bob"]).await.unwrap(),
        ];
        let later = psks[1].clone();
        let entrance = Entrance { actor: "alice", joiner: "charlie", members: &["bob"], psks, ..Entrance::default() };
        runner.external_join(entrance).await.unwrap();
        runner.agree(&["alice", "bob", "charlie"]).await.unwrap();
        // The joiner keeps them.
        let by_reference = vec![runner.external_psk("charlie", &later).await.unwrap()];
        let members = ["alice", "charlie"];
        runner
            .commit(FullCommit { actor: "bob", by_reference, members: &members, ..FullCommit::default() })
            .await
            .unwrap();
        let unknown = vec![crate::runner::StoredPsk { id: b"nobody has it".to_vec(), secret: vec![7; 32] }];
        let entrance = Entrance { actor: "alice", joiner: "dana", psks: unknown, ..Entrance::default() };
        let refused = runner.external_join(entrance).await.unwrap_err();
        assert!(refused.contains("PSKs are needed"), "{refused}");
    }
}
