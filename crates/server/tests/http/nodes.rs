//! Several nodes on one PostgreSQL, with NATS between them or without, and what is taken from them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyroom_api::{Code, Connection, IdempotencyKey, Identity, Live, LiveEvent, Receipt, RoomUri};
use keyroom_delivery::{Bus, LocalBus, NatsBus, Structural, Subscription, Topic};
use keyroom_server::{Config, Handle, Server};
use keyroom_testbed::{Nats, Postgres, Proxy, shared_postgres};
use tokio::time::{sleep, timeout};

use crate::world::{SUITE, application, bundle, device, durable, founding, key, room, signer_of};

/// So long that nothing in a test arrives by looking.
const NEVER: Duration = Duration::from_secs(600);
const OFTEN: Duration = Duration::from_millis(100);

/// A bus that carries nothing, not even within the node.
#[derive(Default)]
struct Silent(LocalBus);

impl Bus for Silent {
    fn publish(&self, _: &Topic) {}

    fn subscribe(&self) -> Subscription {
        self.0.subscribe()
    }
}

async fn node(url: &str, bus: impl Bus + 'static, poll: Duration) -> Handle {
    let mut config = Config::new("example.org".parse().unwrap(), crate::postgres(url.to_owned()));
    config.validator = Arc::new(Structural::default());
    config.bus = Arc::new(bus);
    config.limits.poll = poll;
    durable(Server::start(config).await.unwrap()).await
}

fn connect(node: &Handle, name: &str) -> Connection {
    let identity = Identity::new(SUITE.0, signer_of(&device(name)));
    Connection::new(&node.url(), device(name), identity).unwrap()
}

/// Repeats a message until there is an answer.
async fn send(by: &Connection, room: &RoomUri, mark: u64) -> Receipt {
    let key: IdempotencyKey = key(mark);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match by.send_message(room, application("g", 0, mark), &key).await {
            Ok(receipt) => return receipt,
            Err(error) => assert!(error.is_retryable() && Instant::now() < end, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The next entries are these, in their order and without gaps.
async fn hear(live: &mut Live, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        loop {
            let event = timeout(Duration::from_secs(20), live.next()).await.expect("in time");
            match event.unwrap().expect("an open connection") {
                LiveEvent::Entry { entry, .. } => {
                    assert_eq!(entry.sequence, number);
                    break;
                }
                LiveEvent::CaughtUp { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A live connection that has caught up, opened again while the node says that it is unavailable.
async fn subscribed(to: &Handle, room: &RoomUri) -> Live {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let mut live = connect(to, "bob/phone").live().await.unwrap();
        live.subscribe(room, 0).await.unwrap();
        while let Ok(Some(event)) = live.next().await {
            if let LiveEvent::CaughtUp { .. } = event {
                return live;
            }
        }
    }
    panic!("not subscribed in time");
}

/// Two nodes, a room, and a subscriber on the first.
struct Pair {
    nodes: [Handle; 2],
    meeting: RoomUri,
    alice: Connection,
    live: Live,
}

impl Pair {
    async fn new(urls: [&str; 2], buses: [impl Bus + 'static; 2], poll: Duration) -> Self {
        let [first, second] = buses;
        let nodes = [node(urls[0], first, poll).await, node(urls[1], second, poll).await];
        let (meeting, alice) = (room("meeting"), connect(&nodes[1], "alice/phone"));
        alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
        let live = subscribed(&nodes[0], &meeting).await;
        Self { nodes, meeting, alice, live }
    }

    /// Waits until hints travel from the second node to the first. One that is sent before both have connected is
    /// lost, as hints may be.
    async fn hints_travel(&self) {
        let other = room("other");
        self.alice.create_room(&other, &founding("other", 0)).await.unwrap();
        let mut live = subscribed(&self.nodes[0], &other).await;
        for mark in 0..100 {
            let message = application("other", 0, mark);
            self.alice.send_message(&other, message, &key(format!("other{mark}"))).await.unwrap();
            if let Ok(event) = timeout(Duration::from_millis(200), live.next()).await {
                assert!(matches!(event.unwrap(), Some(LiveEvent::Entry { .. })));
                return;
            }
        }
        panic!("no hint arrives");
    }
}

async fn buses(nats: &Nats) -> [NatsBus; 2] {
    [NatsBus::connect(&nats.url()).await.unwrap(), NatsBus::connect(&nats.url()).await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_of_one_node_hears_within_a_second_what_another_takes() {
    let (Some(server), Some(nats)) = (shared_postgres(), Nats::start()) else { return };
    let url = server.schema();
    let mut pair = Pair::new([&url, &url], buses(&nats).await, NEVER).await;
    pair.hints_travel().await;
    for mark in 1..=20 {
        send(&pair.alice, &pair.meeting, mark).await;
        hear(&mut pair.live, mark..=mark).await;
    }
    // A busy machine may stop everything for a second, but hardly every time.
    let mut fastest = Duration::MAX;
    for epoch in 0..5 {
        let new = bundle("g", epoch, epoch);
        let commit = pair.alice.commit(&pair.meeting, &new, &key(format!("commit{epoch}"))).await.unwrap();
        let sent = Instant::now();
        hear(&mut pair.live, commit.sequence..=commit.sequence).await;
        fastest = fastest.min(sent.elapsed());
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

/// Both nodes append while a crowd listens on both: everybody gets each entry once and in order.
async fn a_crowd_hears_both_nodes(pair: &Pair) {
    const MARKS: u64 = 60;
    let mut crowd = Vec::new();
    for listener in 0..12 {
        let mut live = subscribed(&pair.nodes[listener % 2], &pair.meeting).await;
        crowd.push(tokio::spawn(async move { hear(&mut live, 1..=MARKS).await }));
    }
    let writers = [connect(&pair.nodes[0], "alice/phone"), connect(&pair.nodes[1], "alice/phone")];
    for mark in 1..=MARKS {
        let node = usize::from(mark % 3 == 0);
        send(&writers[node], &pair.meeting, mark).await;
    }
    for listener in crowd {
        listener.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_on_two_nodes_is_told_by_hints_of_what_either_takes() {
    let (Some(server), Some(nats)) = (shared_postgres(), Nats::start()) else { return };
    let url = server.schema();
    let pair = Pair::new([&url, &url], buses(&nats).await, NEVER).await;
    pair.hints_travel().await;
    a_crowd_hears_both_nodes(&pair).await;
}

/// Each node keeps what its own subscribers have read, and hears nothing of what the other takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_on_two_nodes_that_do_not_hear_each_other_finds_what_either_takes() {
    let Some(server) = shared_postgres() else { return };
    let url = server.schema();
    let pair = Pair::new([&url, &url], [LocalBus::new(), LocalBus::new()], OFTEN).await;
    a_crowd_hears_both_nodes(&pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_commit_of_all_that_race_through_both_nodes_wins_and_a_repetition_may_ask_the_other() {
    let Some(server) = shared_postgres() else { return };
    let url = server.schema();
    let pair = Pair::new([&url, &url], [LocalBus::new(), LocalBus::new()], OFTEN).await;
    let devices = [connect(&pair.nodes[0], "alice/phone"), connect(&pair.nodes[1], "alice/phone")];
    for epoch in 0..5 {
        let racers = (0..6usize).map(|number| {
            let (device, meeting) = (devices[number % 2].clone(), pair.meeting.clone());
            let bundle = bundle("g", epoch, number as u64);
            tokio::spawn(async move { device.commit(&meeting, &bundle, &key(format!("{epoch}/{number}"))).await })
        });
        let mut won = Vec::new();
        for (number, racer) in racers.collect::<Vec<_>>().into_iter().enumerate() {
            match racer.await.unwrap() {
                Ok(receipt) => won.push((number, receipt)),
                Err(error) => assert_eq!(error.conflict().unwrap().commit_sequence, Some(epoch + 1)),
            }
        }
        let [(number, receipt)] = won[..] else { panic!("{won:?}") };
        let (again, key) = (bundle("g", epoch, number as u64), key(format!("{epoch}/{number}")));
        let repeated = devices[1 - number % 2].commit(&pair.meeting, &again, &key).await.unwrap();
        assert_eq!(repeated, receipt);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nats_is_killed_everything_arrives_in_order_by_looking() {
    let (Some(server), Some(mut nats)) = (shared_postgres(), Nats::start()) else { return };
    let url = server.schema();
    let mut pair = Pair::new([&url, &url], buses(&nats).await, OFTEN).await;
    send(&pair.alice, &pair.meeting, 1).await;
    nats.kill();
    for mark in 2..=10 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    hear(&mut pair.live, 1..=10).await;
    nats.restart();
    for mark in 11..=20 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    hear(&mut pair.live, 11..=20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nats_comes_back_everybody_looks_for_what_was_not_said() {
    let (Some(server), Some(mut nats)) = (shared_postgres(), Nats::start()) else { return };
    let url = server.schema();
    let mut pair = Pair::new([&url, &url], buses(&nats).await, NEVER).await;
    sleep(Duration::from_millis(500)).await;
    nats.kill();
    send(&pair.alice, &pair.meeting, 1).await;
    nats.restart();
    hear(&mut pair.live, 1..=1).await;
    send(&pair.alice, &pair.meeting, 2).await;
    hear(&mut pair.live, 2..=2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_carries_nothing_loses_nothing() {
    let Some(server) = shared_postgres() else { return };
    let url = server.schema();
    let mut pair = Pair::new([&url, &url], [Silent::default(), Silent::default()], OFTEN).await;
    for mark in 1..=30 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    hear(&mut pair.live, 1..=30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_says_so_and_catches_up() {
    let Some(server) = shared_postgres() else { return };
    let (url, line) = (server.schema(), Proxy::before(server.port()));
    let through = url.replace(&server.port().to_string(), &line.port().to_string());
    let mut pair = Pair::new([&through, &url], [LocalBus::new(), LocalBus::new()], OFTEN).await;
    let bob = connect(&pair.nodes[0], "bob/phone");
    send(&bob, &pair.meeting, 1).await;
    hear(&mut pair.live, 1..=1).await;
    line.cut();
    let error = bob.send_message(&pair.meeting, application("g", 0, 2), &key(2)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert!(reqwest::get(format!("{}/healthz", pair.nodes[0].url())).await.unwrap().status() == 503);
    // The other node goes on; whoever was connected to this one is told to come again.
    for mark in 3..=5 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    while let Ok(Some(_)) | Err(_) = timeout(Duration::from_secs(10), pair.live.next()).await.unwrap() {}
    line.mend();
    send(&bob, &pair.meeting, 2).await;
    let mut live = subscribed(&pair.nodes[0], &pair.meeting).await;
    live.subscribe(&pair.meeting, 0).await.unwrap();
    hear(&mut live, 1..=5).await;
    let log = bob.log(&pair.meeting, 0, Duration::ZERO).await.unwrap();
    let messages: Vec<_> = log.entries.into_iter().map(|entry| entry.message).collect();
    assert_eq!(messages, [1, 3, 4, 5, 2].map(|mark| application("g", 0, mark)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_costs_a_typed_answer_and_nothing_else() {
    let Some(mut server) = Postgres::start() else { return };
    let url = server.url();
    let pair = Pair::new([&url, &url], [LocalBus::new(), LocalBus::new()], OFTEN).await;
    for mark in 1..=5 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    server.kill();
    let error = pair.alice.send_message(&pair.meeting, application("g", 0, 6), &key(6)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert!(error.is_retryable());
    server.restart();
    let receipt = send(&pair.alice, &pair.meeting, 6).await;
    assert_eq!(receipt.sequence, 6);
    // Every connection of the pool works again, and no group is stuck.
    for mark in 7..=40 {
        send(&pair.alice, &pair.meeting, mark).await;
    }
    pair.alice.commit(&pair.meeting, &bundle("g", 0, 41), &key("commit")).await.unwrap();
    let mut live = subscribed(&pair.nodes[0], &pair.meeting).await;
    live.subscribe(&pair.meeting, 0).await.unwrap();
    hear(&mut live, 1..=41).await;
}

/// The statements in a part of PostgreSQL's log, in the order in which they were carried out.
fn statements(log: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut within = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t').filter(|_| within) {
            statements.last_mut().unwrap().extend(["\n", more]);
            continue;
        }
        let said = line.split_once("LOG:  ").map_or("", |(_, said)| said);
        let (how, text) = said.split_once(": ").unwrap_or_default();
        within = how == "statement" || how.starts_with("execute");
        if within {
            statements.push(text.to_owned());
        }
    }
    statements
}

/// The load generator compares a server with pgbench, which sends this statement and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_message_is_one_statement_and_that_of_the_benchmarks_script() {
    let Some(server) = Postgres::start() else { return };
    let node = node(&server.url(), LocalBus::new(), NEVER).await;
    let (meeting, alice) = (room("meeting"), connect(&node, "alice/phone"));
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    server.execute("ALTER SYSTEM SET log_statement = 'all'");
    server.execute("SELECT pg_reload_conf()");
    let mut mark = 0;
    while !server.log().contains("INSERT INTO idempotency") {
        mark += 1;
        send(&alice, &meeting, mark).await;
    }
    let begin = server.log().len();
    for mark in mark + 1..=mark + 20 {
        send(&alice, &meeting, mark).await;
    }
    let log = server.log();
    let statements = statements(log.get(begin..).unwrap());
    assert_eq!(statements.len(), 20, "{:#?}", statements.iter().collect::<BTreeSet<_>>());
    let expected = include_str!("../../../delivery/src/postgres/message.sql");
    for statement in statements {
        assert_eq!(statement.trim_end(), expected.trim_end());
    }
}
