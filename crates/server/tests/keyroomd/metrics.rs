//! What a server tells of itself, and what it does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use keyroom_api::{Code, Live};

use crate::member::{Member, SUITE, room};
use crate::program::{Place, Program};

/// Names that stand nowhere else.
const NAMES: [&str; 5] = ["zanzibar", "telephone9", "ulaanbaatar", "tablet7", "rendezvous3"];

fn metrics_of(program: &Program) -> String {
    let line = program.hears("metrics address=");
    format!("http://{}/metrics", line.split_once("address=").unwrap().1.trim())
}

/// Two devices meet in a room, one is welcomed, the other talks, and some requests are refused. What is returned
/// is still open.
async fn converse(address: &str) -> Live {
    let alice = Member::new(address, "zanzibar/telephone9", 1);
    let bob = Member::new(address, "ulaanbaatar/tablet7", 2);
    bob.connection.publish_key_packages(vec![bob.key_package()]).await.unwrap();
    let mut group = alice.found("rendezvous3").await;
    let user = bob.connection.device().user();
    alice.connection.claim_key_packages(&user, SUITE.0).await.unwrap();
    alice.add(&mut group, "rendezvous3", &bob).await;
    let mut live = bob.connection.live().await.unwrap();
    live.subscribe(&room("rendezvous3"), 1).await.unwrap();
    for mark in 0..3 {
        alice.say("rendezvous3", 1, mark).await;
    }
    tokio::time::timeout(Duration::from_secs(20), live.next()).await.unwrap().unwrap();
    let mailbox = bob.connection.mailbox(0).await.unwrap();
    bob.connection.acknowledge(mailbox.items[0].sequence).await.unwrap();
    let refused = bob.connection.room(&room("zanzibar")).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::UnknownRoom));
    let other = format!("http://{address}/v1/users/zanzibar/devices/telephone9/nothing/rendezvous3?zanzibar=1");
    assert_eq!(reqwest::get(other).await.unwrap().status(), 404);
    live
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_tell_what_happened_and_neither_they_nor_the_log_name_anybody() {
    let place = Place::new();
    let arguments = ["--metrics-listen", "127.0.0.1:0", "--log", "debug"];
    let mut program = Program::start(&place.database(), &arguments);
    let live = converse(&program.address()).await;
    let response = reqwest::get(metrics_of(&program)).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = response.text().await.unwrap();
    for line in [
        "keyroom_rooms_created_total 1",
        "keyroom_entries_total{kind=\"commit\"} 1",
        "keyroom_entries_total{kind=\"application\"} 3",
        "keyroom_key_packages_published_total 1",
        "keyroom_key_packages_claimed_total{offer=\"one_time\"} 1",
        "keyroom_welcomes_total 1",
        "keyroom_mailbox_acknowledged_total 1",
        "keyroom_live_connections 1",
        "keyroom_refusals_total{code=\"unknown-room\"} 1",
        "keyroom_requests_total{method=\"POST\",route=\"/v1/rooms/{room}/commits\",status=\"201\"} 1",
        "keyroom_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "keyroom_request_seconds_count{method=\"POST\",route=\"/v1/rooms/{room}/messages\"} 3",
        "keyroom_database_seconds_count{operation=\"append_commit\"} 1",
        &format!("keyroom_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in:\n{text}");
    }
    drop(live);
    program.signal("TERM");
    assert!(program.ended().success());
    let said = program.said();
    assert!(said.contains("answered"), "requests are logged:\n{said}");
    for name in NAMES {
        assert!(!text.contains(name), "{name} is in the numbers:\n{text}");
        assert!(!said.contains(name), "{name} is in the log:\n{said}");
    }
    let addresses = said.lines().filter(|line| line.contains("127.0.0.1") && !line.contains(" address=127.0.0.1:"));
    assert_eq!(addresses.collect::<Vec<_>>(), Vec::<&str>::new(), "the address of a client");
}

#[tokio::test]
async fn numbers_are_told_nowhere_unless_somebody_wants_them_and_never_to_clients() {
    let place = Place::new();
    let program = Program::start(&place.database(), &[]);
    let path = format!("http://{}/metrics", program.address());
    assert_eq!(reqwest::get(path).await.unwrap().status(), 404);
    assert!(!program.said().contains("metrics address"));
    drop(program);
    let program = Program::start(&place.database(), &["--metrics-listen", "127.0.0.1:0"]);
    let path = format!("http://{}/metrics", program.address());
    assert_eq!(reqwest::get(path).await.unwrap().status(), 404);
    let health = metrics_of(&program).replace("/metrics", "/v1/server");
    assert_eq!(reqwest::get(health).await.unwrap().status(), 404);
}

/// Every word of a text that is the name of a number, without what a histogram adds to it.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).filter(|word| word.starts_with("keyroom_"));
    words.map(|word| ["_bucket", "_sum", "_count"].iter().fold(word, |word, end| word.trim_end_matches(end))).collect()
}

#[test]
fn the_dashboard_and_the_page_for_operators_name_the_numbers_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let source = read("crates/server/src/metrics/mod.rs");
    let described: BTreeSet<_> = source.lines().filter(|line| line.contains("    describe_")).flat_map(names).collect();
    assert!(described.len() > 10, "{described:?}");
    let dashboard = read("packaging/grafana.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    assert_eq!(names(&dashboard), described);
    assert_eq!(names(&read("docs/operating.md")), described);
}
