//! A PostgreSQL that is set wrongly, goes away, or is newer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyroom_api::EntryKind;
use keyroom_delivery::{
    Appended, Durable, Ledger, LedgerError, LogRead, NewCommit, NewEntry, NewEpoch, NewRoom, Once, Page, Postgres,
    PostgresOptions, RoomId, RosterChange, StateChange, StateRecord,
};
use keyroom_testbed::{Postgres as Server, shared_postgres};

const ALL: Page = Page { after: 0, entries: 100_000, bytes: usize::MAX };

async fn open(url: &str) -> Result<Postgres, LedgerError> {
    Postgres::open(url, PostgresOptions { connections: 8, ..PostgresOptions::default() }).await
}

fn epoch(records: Vec<StateRecord>) -> NewEpoch {
    NewEpoch { group_info: vec![1], tree_hash: vec![2], change: StateChange::Whole(records) }
}

fn nobody() -> keyroom_api::DeviceUri {
    "mimi://h/d/nobody/phone".parse().unwrap()
}

async fn room(ledger: &Postgres) -> RoomId {
    let uri: keyroom_api::RoomUri = "mimi://h/r/room".parse().unwrap();
    let (room, group_id, first) = (uri.clone(), vec![1], epoch(vec![]));
    let (roster, welcomes, predecessor) = (None, vec![], None);
    let new = NewRoom {
        room,
        group_id,
        epoch: 0,
        first,
        roster,
        access: None,
        welcomes,
        mailbox: 1,
        predecessor,
        reports_needed: 0,
    };
    ledger.create(new).await.unwrap();
    ledger.room(&uri, &nobody()).await.unwrap().unwrap().id
}

fn entry(room: RoomId, writer: usize, number: u64) -> NewEntry {
    let device = format!("mimi://h/d/user{writer}/phone").parse().unwrap();
    let once = Some(Once { device, key: number.to_string().parse().unwrap() });
    let message = format!("{writer}/{number}").into_bytes();
    NewEntry { room, epoch: 0, kind: EntryKind::Application, message, accepted_at: 1, once, member: None }
}

#[tokio::test]
async fn nodes_that_start_at_once_make_the_tables_once() {
    let Some(server) = shared_postgres() else { return };
    let url = server.schema();
    let nodes = (0..6).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { open(&url).await })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap().unwrap();
    }
    assert_eq!(server.execute_at(&url, "SELECT count(*) || ' ' || max(version) FROM keyroom_versions"), "1 1");
}

#[tokio::test]
async fn a_newer_database_or_one_of_somebody_else_is_refused_and_left_as_it_is() {
    let Some(server) = shared_postgres() else { return };
    let newer = server.schema();
    drop(open(&newer).await.unwrap());
    server.execute_at(&newer, "INSERT INTO keyroom_versions VALUES (99)");
    assert_eq!(open(&newer).await.unwrap_err(), LedgerError::Corrupt);
    let foreign = server.schema();
    server.execute_at(&foreign, "CREATE TABLE rooms (number int)");
    assert_eq!(open(&foreign).await.unwrap_err(), LedgerError::Corrupt);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()";
    assert_eq!(server.execute_at(&foreign, tables), "1");
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_told_apart() {
    assert_eq!(open("postgres://h:port/").await.unwrap_err(), LedgerError::Address);
    assert_eq!(open("postgres://keyroom@127.0.0.1:1/nothing").await.unwrap_err(), LedgerError::Unavailable);
    let Some(server) = shared_postgres() else { return };
    let absent = server.url().replace("/postgres", "/absent");
    assert_eq!(open(&absent).await.unwrap_err(), LedgerError::Unavailable);
    let encrypted = format!("{}?sslmode=require", server.url());
    assert_eq!(open(&encrypted).await.unwrap_err(), LedgerError::Unavailable, "this server has no TLS");
}

#[tokio::test]
async fn every_session_waits_for_the_disk_and_a_server_that_does_not_is_refused() {
    let Some(server) = Server::start() else { return };
    // A default that a session can change is changed.
    let sloppy = format!("{}?options=-csynchronous_commit%3Doff", server.url());
    drop(open(&sloppy).await.unwrap());
    server.execute("ALTER SYSTEM SET fsync = off");
    server.execute("SELECT pg_reload_conf()");
    let end = Instant::now() + Duration::from_secs(10);
    while server.execute("SHOW fsync") != "off" {
        assert!(Instant::now() < end);
    }
    assert_eq!(open(&server.url()).await.unwrap_err(), LedgerError::NotDurable);
    let options = PostgresOptions { durability: Durable::AsConfigured, ..PostgresOptions::default() };
    Postgres::open(&server.url(), options).await.unwrap();
}

/// Writers repeat what brought no answer; the server is killed and comes back under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_and_comes_back_has_lost_and_doubled_nothing() {
    let Some(mut server) = Server::start() else { return };
    let ledger = Arc::new(open(&server.url()).await.unwrap());
    let room = room(&ledger).await;
    let end = Instant::now() + Duration::from_secs(4);
    let writers = (0..4usize).map(|writer| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let (mut sent, mut unavailable) = (Vec::new(), 0u32);
            for number in 0.. {
                if Instant::now() > end {
                    break;
                }
                loop {
                    match ledger.append(entry(room, writer, number), 0).await {
                        Ok(Appended::Accepted(receipt) | Appended::Repeated(receipt)) => {
                            sent.push((receipt.sequence, format!("{writer}/{number}").into_bytes()));
                            break;
                        }
                        Err(LedgerError::Unavailable) => {
                            unavailable += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            (sent, unavailable)
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut server = tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(500));
            server.kill();
            std::thread::sleep(Duration::from_millis(200));
            server.restart();
        }
        server
    })
    .await
    .unwrap();
    let (mut sent, mut unavailable) = (Vec::new(), 0);
    for writer in writers {
        let (own, failures) = writer.await.unwrap();
        sent.extend(own);
        unavailable += failures;
    }
    sent.sort_unstable();
    assert!(unavailable > 0, "the server was away");
    let read = ledger.log(room, None, ALL).await.unwrap();
    let LogRead::Page { page: log, until: None } = read else { panic!("{read:?}") };
    let found: Vec<_> = log.entries.into_iter().map(|entry| (entry.sequence, entry.message)).collect();
    assert_eq!(found, sent);
    assert!(found.iter().map(|(sequence, _)| *sequence).eq(1..=log.head));
    server.kill();
    assert_eq!(ledger.log(room, None, ALL).await.unwrap_err(), LedgerError::Unavailable);
}

/// A node that hangs in the middle of a transaction holds the lock of a room only so long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_gives_up_leaves_no_lock_behind() {
    let Some(server) = shared_postgres() else { return };
    let ledger = Arc::new(open(&server.schema()).await.unwrap());
    let room = room(&ledger).await;
    for number in 0..60u64 {
        let (ledger, entry) = (ledger.clone(), entry(room, 0, number));
        let entry = NewEntry { kind: EntryKind::Commit, once: None, ..entry };
        let commit = NewCommit {
            entry,
            next: epoch(vec![(vec![1], vec![1])]),
            roster: RosterChange::default(),
            access: None,
            welcomes: vec![],
            mailbox: 1,
            epochs_kept: 1,
            epochs_for_welcomes: 1,
            closes: false,
        };
        let commit = async move { ledger.append_commit(commit).await };
        // Cut off at any point: before, within or after.
        let _ = tokio::time::timeout(Duration::from_micros(number * 40), commit).await;
    }
    let status = ledger.room(&"mimi://h/r/room".parse().unwrap(), &nobody()).await.unwrap().unwrap().status;
    let next = NewEntry { epoch: status.epoch, ..entry(room, 1, 0) };
    let taken = tokio::time::timeout(Duration::from_secs(5), ledger.append(next, 0)).await.expect("in time");
    assert!(matches!(taken.unwrap(), Appended::Accepted(_)));
}
