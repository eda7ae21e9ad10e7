//! Application messages.

use crate::runner::FullCommit;
use crate::stage::runners;

#[tokio::test]
async fn messages_are_read_in_order_and_out_of_order() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob", "charlie"]).await.unwrap();
        let mut said = Vec::new();
        for number in 0..5 {
            said.push(runner.protect("alice", &format!("header {number}"), &format!("text {number}")).await.unwrap());
        }
        for message in &said {
            runner.unprotect("bob", message).await.unwrap();
        }
        for message in said.iter().rev() {
            runner.unprotect("charlie", message).await.unwrap();
        }
        let again = runner.unprotect("bob", &said[0]).await.unwrap_err();
        assert!(again.contains("GenerationConsumed"), "{again}");
        let own = runner.unprotect("alice", &said[0]).await.unwrap_err();
        assert!(own.contains("OwnMessage"), "{own}");
    }
}

#[tokio::test]
async fn messages_of_past_epochs_are_read_late_with_the_newest_state() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let mut said = Vec::new();
        for epoch in 0..4 {
            for number in 0..2 {
                said.push(runner.protect("alice", &format!("{epoch}"), &format!("{number}")).await.unwrap());
            }
            runner.commit(FullCommit { actor: "alice", members: &["bob"], ..FullCommit::default() }).await.unwrap();
        }
        for message in said.iter().rev() {
            runner.unprotect("bob", message).await.unwrap();
        }
    }
}

#[tokio::test]
async fn empty_plaintext_and_empty_header_come_through() {
    for mut runner in runners().await {
        runner.create_group("alice", &["bob"]).await.unwrap();
        let said = runner.protect("bob", "", "").await.unwrap();
        runner.unprotect("alice", &said).await.unwrap();
    }
}
