//! `docs/peers.md` says what is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test")]

use keyroom_peers::verdicts;

#[test]
fn the_committed_table_is_what_a_fresh_run_gives() {
    let fresh = verdicts::document(&verdicts::measure());
    let committed = std::fs::read_to_string(verdicts::path()).expect("docs/peers.md");
    for (number, (committed, fresh)) in committed.lines().zip(fresh.lines()).enumerate() {
        assert_eq!(committed, fresh, "line {}: run `cargo run -p keyroom-peers -- verdicts`", number + 1);
    }
    assert_eq!(committed.lines().count(), fresh.lines().count());
}
