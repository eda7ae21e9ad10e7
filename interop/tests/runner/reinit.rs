//! Reinitialisation.

use crate::runner::{FullCommit, Runner, empty_lists};
use crate::stage::{client, runners, suites};
use crate::successors::Succession;

const ALL: [&str; 5] = ["alice", "bob", "charlie", "dana", "ellen"];

async fn play(runner: &mut Runner, succession: Succession<'_>, group_id: Vec<u8>, suite: u32, empty: bool) {
    runner.create_group("alice", &ALL[1..]).await.unwrap();
    let extensions = if empty { Vec::new() } else { empty_lists() };
    let proposal = runner.propose_reinit("alice", group_id, suite, extensions).await.unwrap();
    runner.reinit(proposal, succession).await.unwrap();
    runner.agree(&ALL).await.unwrap();
    runner.commit(FullCommit { actor: "ellen", members: &ALL[..4], ..FullCommit::default() }).await.unwrap();
    let said = runner.protect("bob", "", "hello again").await.unwrap();
    runner.unprotect("dana", &said).await.unwrap();
    runner.free().await.unwrap();
}

#[tokio::test]
async fn a_group_goes_on_under_the_same_id_in_another_suite() {
    let available = suites(&mut client().await).await;
    for mut runner in runners().await {
        let succession = Succession {
            committer: "bob",
            welcomer: "charlie",
            members: &["alice", "dana", "ellen"],
            ..Succession::default()
        };
        let old = runner.suite;
        let suite = available[(available.iter().position(|suite| *suite == old).unwrap() + 1) % available.len()];
        // The id of the group that is made next.
        let mut same = runner.fresh("probe");
        same = String::from_utf8(same).unwrap().replace("probe 1", "group 2").into_bytes();
        play(&mut runner, succession, same, suite, true).await;
    }
}

#[tokio::test]
async fn one_member_may_propose_commit_and_welcome_into_another_group() {
    for mut runner in runners().await {
        let succession =
            Succession { committer: "alice", welcomer: "alice", members: &ALL[1..], ..Succession::default() };
        let (group_id, suite) = (runner.fresh("successor"), runner.suite);
        play(&mut runner, succession, group_id, suite, true).await;
    }
}

#[tokio::test]
async fn the_successor_has_other_extensions_and_its_tree_may_travel_apart() {
    for mut runner in runners().await {
        let succession = Succession {
            committer: "bob",
            welcomer: "charlie",
            members: &["alice", "dana", "ellen"],
            force_path: true,
            external_tree: true,
        };
        let (group_id, suite) = (runner.fresh("successor"), runner.suite);
        play(&mut runner, succession, group_id, suite, false).await;
    }
}

#[tokio::test]
async fn the_old_state_is_gone_and_may_still_be_freed() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let old = runner.state("bob");
        let (group_id, suite) = (runner.fresh("successor"), runner.suite);
        let proposal = runner.propose_reinit("bob", group_id, suite, Vec::new()).await.unwrap();
        let succession = Succession { committer: "alice", welcomer: "bob", ..Succession::default() };
        runner.reinit(proposal, succession).await.unwrap();
        let request = keyroom_interop::messages::StateAuthRequest { state_id: old };
        let gone = runner.client("bob").state_auth(request).await.unwrap_err();
        assert_eq!(gone.code(), tonic::Code::NotFound);
        runner.client("bob").free(keyroom_interop::messages::FreeRequest { state_id: old }).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_ends_no_group_is_not_taken_for_one() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let update = runner.update("bob").await.unwrap();
        let succession = Succession { committer: "alice", welcomer: "bob", ..Succession::default() };
        let refused = runner.reinit(update, succession).await.unwrap_err();
        assert!(refused.contains("does not end the group"), "{refused}");
    }
}
