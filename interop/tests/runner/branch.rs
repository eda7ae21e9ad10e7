//! Branches.

use crate::runner::{FullCommit, Runner, empty_lists};
use crate::stage::runners;

const ALL: [&str; 4] = ["alice", "bob", "charlie", "dana"];

/// The branch lives, and so does the old group.
async fn both_live(runner: &mut Runner, old: Vec<(String, u32)>) {
    runner.commit(FullCommit { actor: "bob", members: &["alice", "charlie"], ..FullCommit::default() }).await.unwrap();
    runner.agree(&ALL[..3]).await.unwrap();
    runner.free().await.unwrap();
    for (actor, state) in old {
        runner.seat(&actor).state = Some(state);
    }
    runner.commit(FullCommit { actor: "alice", members: &["bob", "charlie"], ..FullCommit::default() }).await.unwrap();
    runner.agree(&ALL[..3]).await.unwrap();
    runner.free().await.unwrap();
}

#[tokio::test]
async fn members_branch_off_and_both_groups_live() {
    for mut runner in runners().await {
        for (extensions, external_tree) in [(Vec::new(), false), (empty_lists(), true)] {
            runner.create_group("alice", &ALL[1..3]).await.unwrap();
            let old = runner.branch("alice", &ALL[1..3], extensions, external_tree).await.unwrap();
            both_live(&mut runner, old).await;
        }
    }
}

#[tokio::test]
async fn nobody_enters_a_branch_who_was_not_in_the_group() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        runner.create_group("mallory", &[]).await.unwrap();
        let refused = runner.branch("alice", &["bob", "mallory"], Vec::new(), false).await.unwrap_err();
        assert!(refused.contains("BranchMembers"), "{refused}");
    }
}
