use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use keyroom_api::{Closure, DeviceUri, EntryKind, LogPage, Offer, RoomStatus, RoomUri};
use keyroom_delivery::{
    Appended, CheckedKeyPackage, Claim, Claims, Created, KeptInfo, Ledger, LogRead, NewAccess, NewCommit, NewEntry,
    NewEpoch, NewReport, NewRoom, NewWelcome, Once, Page, Place, Publication, Reported, RoomId, RosterChange, Standing,
    StateChange,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::Database;

const NOW: u64 = 1_000;
const ALL: Page = Page { after: 0, entries: usize::MAX >> 1, bytes: usize::MAX };

fn device(name: &str) -> DeviceUri {
    format!("mimi://h/d/{name}/phone").parse().unwrap()
}

fn uri(name: &str) -> RoomUri {
    format!("mimi://h/r/{name}").parse().unwrap()
}

/// An epoch whose state is one record.
fn state(epoch: u64) -> NewEpoch {
    NewEpoch {
        group_info: vec![1, epoch as u8],
        tree_hash: vec![3, epoch as u8],
        change: StateChange::Part { cleared: vec![], writes: vec![(vec![2], Some(vec![epoch as u8]))] },
    }
}

/// Whether an epoch is kept as [`state`] described it.
async fn is_kept(ledger: &Arc<dyn Ledger>, room: RoomId, epoch: u64) -> bool {
    let group_info = ledger.group_info(room, epoch).await.unwrap();
    let records = ledger.state(room, epoch).await.unwrap();
    assert_eq!(group_info.is_some(), records.is_some());
    let expected = KeptInfo { group_info: state(epoch).group_info, tree_hash: state(epoch).tree_hash };
    assert!(group_info.is_none_or(|info| info == expected));
    records.is_some_and(|records| records == [(vec![2], vec![epoch as u8])])
}

fn new_room(name: &str) -> NewRoom {
    let (room, group_id) = (uri(name), name.as_bytes().to_vec());
    NewRoom {
        room,
        group_id,
        epoch: 0,
        first: state(0),
        roster: None,
        access: None,
        welcomes: Vec::new(),
        mailbox: 3,
        predecessor: None,
        reports_needed: 0,
    }
}

/// Where an open room is.
fn at(epoch: u64, head: u64) -> RoomStatus {
    RoomStatus { epoch, head, closed: None }
}

async fn room(ledger: &Arc<dyn Ledger>, name: &str) -> RoomId {
    assert_eq!(ledger.create(new_room(name)).await.unwrap(), Created::New(at(0, 0)));
    ledger.room(&uri(name), &device("nobody")).await.unwrap().unwrap().id
}

/// The log after a cursor, if the reader may read there.
async fn read(ledger: &Arc<dyn Ledger>, room: RoomId, reader: Option<&str>, after: u64) -> Option<LogPage> {
    let reader = reader.map(device);
    match ledger.log(room, reader.as_ref(), Page { after, ..ALL }).await.unwrap() {
        LogRead::Page { page, until } => {
            assert!(until.is_none_or(|until| page.head == until));
            Some(page)
        }
        LogRead::Outside => None,
    }
}

fn entry(room: RoomId, epoch: u64, kind: EntryKind, message: impl Into<Vec<u8>>) -> NewEntry {
    NewEntry { room, epoch, kind, message: message.into(), accepted_at: 7, once: None, member: None }
}

fn commit(room: RoomId, epoch: u64, message: impl Into<Vec<u8>>) -> NewCommit {
    let entry = entry(room, epoch, EntryKind::Commit, message);
    NewCommit {
        entry,
        next: state(epoch + 1),
        roster: RosterChange::default(),
        access: None,
        welcomes: Vec::new(),
        mailbox: 3,
        epochs_kept: 2,
        epochs_for_welcomes: 2,
        closes: false,
    }
}

/// A Welcome to these devices, each with its number in the place of its secrets.
fn welcome(mark: impl Into<Vec<u8>>, to: &[&str]) -> NewWelcome {
    let to = (0..).zip(to).map(|(number, name)| (device(name), vec![number])).collect();
    NewWelcome { head: vec![7], tail: mark.into(), to }
}

fn once(name: &str, key: &str) -> Option<Once> {
    Some(Once { device: device(name), key: key.parse().unwrap() })
}

fn package(id: u16) -> (CheckedKeyPackage, Vec<u8>) {
    let reference = id.to_be_bytes().to_vec();
    (CheckedKeyPackage { reference, cipher_suite: 1, last_resort: false, not_after: NOW + 1 }, vec![id as u8])
}

/// What this device gets of Alice's, at most three times an hour.
async fn claim(ledger: &Arc<dyn Ledger>, by: &str, now: u64) -> Option<Vec<Offer>> {
    let claim = Claim { by: device(by), user: device("alice").user(), cipher_suite: 1, most: 3, now };
    match ledger.claim(claim).await.unwrap() {
        Claims::Given(claims) => Some(claims.into_iter().map(|claim| claim.offer).collect()),
        Claims::TooMany => None,
    }
}

async fn publish(ledger: &Arc<dyn Ledger>, name: &str, ids: std::ops::Range<u16>) {
    let packages = ids.map(package).collect();
    ledger.publish(&device(name), packages, Publication::Add, 1_000, NOW).await.unwrap();
}

pub(crate) async fn what_is_answered_is_on_the_disk(database: &Database) {
    let durability = database.node().await.durability().await.unwrap();
    assert!(durability.synchronous, "{}", durability.settings);
    assert!(durability.settings.contains("synchronous"), "{}", durability.settings);
}

pub(crate) async fn one_commit_for_each_epoch_also_between_nodes(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    for epoch in 0..10 {
        let racers = (0..6u8).map(|racer| {
            let node = nodes[usize::from(racer % 2)].clone();
            tokio::spawn(async move { node.append_commit(commit(room, epoch, [racer])).await.unwrap() })
        });
        let mut won = None;
        let mut lost = Vec::new();
        for (number, racer) in racers.collect::<Vec<_>>().into_iter().enumerate() {
            match racer.await.unwrap() {
                Appended::Accepted(receipt) => {
                    assert_eq!(won.replace(number as u8), None, "two won");
                    assert_eq!((receipt.sequence, receipt.epoch), (epoch + 1, epoch));
                }
                Appended::WrongEpoch(conflict) => lost.push(conflict),
                other => panic!("{other:?}"),
            }
        }
        let winner = vec![won.expect("one won")];
        assert_eq!(lost.len(), 5);
        for conflict in lost {
            assert_eq!((conflict.epoch, conflict.commit_sequence), (epoch + 1, Some(epoch + 1)));
            assert_eq!(conflict.commit.as_ref(), Some(&winner));
        }
        assert!(is_kept(&nodes[1], room, epoch + 1).await);
    }
}

pub(crate) async fn no_gap_in_a_log_that_two_nodes_write(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    let writers = (0..4u8).map(|writer| {
        let node = nodes[usize::from(writer % 2)].clone();
        tokio::spawn(async move {
            for number in 0..25u8 {
                let new = entry(room, 0, EntryKind::Application, [writer, number]);
                assert!(matches!(node.append(new, 0).await.unwrap(), Appended::Accepted(_)));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    // A reader beside them never sees an entry before those below it.
    let mut cursor = 0;
    while cursor < 100 {
        let page = read(&nodes[0], room, None, cursor).await.unwrap();
        for entry in page.entries {
            assert_eq!(entry.sequence, cursor + 1);
            cursor = entry.sequence;
        }
        assert!(cursor <= page.head);
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let log = read(&nodes[1], room, None, 0).await.unwrap();
    for writer in 0..4u8 {
        let own = log.entries.iter().filter(|e| e.message[0] == writer).map(|e| e.message[1]);
        assert!(own.eq(0..25), "a writer's messages keep their order");
    }
}

pub(crate) async fn a_key_package_is_claimed_once_also_between_nodes(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    publish(&nodes[0], "alice", 0..30).await;
    let claims = (0..40usize).map(|number| {
        let node = nodes[number % 2].clone();
        tokio::spawn(async move { claim(&node, &format!("bob{number}"), NOW).await.unwrap().remove(0) })
    });
    let mut taken = BTreeSet::new();
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Offer::OneTime(message) => assert!(taken.insert(message)),
            offer => assert_eq!(offer, Offer::Exhausted),
        }
    }
    assert_eq!(taken.len(), 30);
    publish(&nodes[1], "alice", 0..30).await;
    assert_eq!(claim(&nodes[0], "bob", NOW).await.unwrap()[0], Offer::Exhausted);
}

pub(crate) async fn a_repetition_through_another_node_gets_the_outcome_of_then(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    let mut new = commit(room, 0, "first");
    new.entry.once = once("alice", "key");
    let Appended::Accepted(receipt) = nodes[0].append_commit(new.clone()).await.unwrap() else { panic!() };
    assert_eq!(nodes[1].append_commit(new.clone()).await.unwrap(), Appended::Repeated(receipt));
    let remembered = nodes[1].remembered(new.entry.once.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!((remembered.room, remembered.receipt, remembered.message), (room, receipt, b"first".to_vec()));
    let mut other = commit(room, 1, "other");
    other.entry.once = once("alice", "key");
    assert_eq!(nodes[1].append_commit(other.clone()).await.unwrap(), Appended::KeyReused);
    other.entry.once = once("bob", "key");
    assert!(matches!(nodes[1].append_commit(other).await.unwrap(), Appended::Accepted(_)));
}

pub(crate) async fn a_key_package_is_never_passed_over_for_a_last_resort(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    publish(&nodes[0], "alice", 0..20).await;
    let (checked, message) = package(99);
    let last_resort = vec![(CheckedKeyPackage { last_resort: true, ..checked }, message.clone())];
    nodes[0].publish(&device("alice"), last_resort, Publication::Add, 1_000, NOW).await.unwrap();
    let claims = (0..25usize).map(|number| {
        let node = nodes[number % 2].clone();
        tokio::spawn(async move { claim(&node, &format!("bob{number}"), NOW).await.unwrap().remove(0) })
    });
    let mut one_time = BTreeSet::new();
    let mut last = 0;
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Offer::OneTime(message) => assert!(one_time.insert(message)),
            offer => {
                assert_eq!(offer, Offer::LastResort(message.clone()));
                last += 1;
            }
        }
    }
    assert_eq!((one_time.len(), last), (20, 5));
    let stock = nodes[1].stock(&device("alice"), NOW).await.unwrap().suites;
    assert_eq!((stock[0].one_time, stock[0].last_resort), (0, 1));
}

pub(crate) async fn requests_that_race_under_one_key_are_carried_out_once(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    for round in 0..10u8 {
        let racers = (0..6usize).map(|number| {
            let node = nodes[number % 2].clone();
            let mut new = entry(room, 0, EntryKind::Application, [round]);
            new.once = once("alice", &round.to_string());
            tokio::spawn(async move { node.append(new, 0).await.unwrap() })
        });
        let mut receipts = BTreeSet::new();
        let mut accepted = 0;
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Appended::Accepted(receipt) => {
                    accepted += 1;
                    receipts.insert(receipt.sequence);
                }
                Appended::Repeated(receipt) => drop(receipts.insert(receipt.sequence)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((accepted, receipts), (1, BTreeSet::from([u64::from(round) + 1])));
    }
    let mut other = entry(room, 0, EntryKind::Application, "other");
    other.once = once("alice", "3");
    assert_eq!(nodes[0].append(other, 0).await.unwrap(), Appended::KeyReused);
}

pub(crate) async fn what_is_refused_leaves_no_trace(database: &Database) {
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    publish(&ledger, "bob", 0..1).await;
    let mut unknown = commit(room, 0, "unknown");
    unknown.entry.once = once("alice", "key");
    unknown.welcomes = vec![welcome([1], &["bob", "nobody"])];
    assert_eq!(ledger.append_commit(unknown).await.unwrap(), Appended::UnknownDevice(1));
    let mut full = commit(room, 0, "full");
    full.entry.once = once("alice", "key");
    full.welcomes = vec![welcome([1], &["bob"; 2]), welcome([2], &["bob"; 2])];
    assert_eq!(ledger.append_commit(full).await.unwrap(), Appended::MailboxFull(3));
    assert!(matches!(ledger.append_commit(commit(room, 3, "early")).await.unwrap(), Appended::WrongEpoch(_)));

    assert_eq!(ledger.room(&uri("room"), &device("nobody")).await.unwrap().unwrap().status, at(0, 0));
    assert_eq!(read(&ledger, room, None, 0).await.unwrap().entries, []);
    assert!(!is_kept(&ledger, room, 1).await);
    assert_eq!(ledger.mailbox(&device("bob"), ALL).await.unwrap().items, []);
    assert_eq!(ledger.remembered(&once("alice", "key").unwrap()).await.unwrap(), None);
}

pub(crate) async fn a_welcome_is_cut_for_each_addressee(database: &Database) {
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    publish(&ledger, "alice", 0..1).await;
    publish(&ledger, "bob", 1..2).await;
    let mut new = commit(room, 0, "add");
    new.welcomes = vec![welcome([9, 9], &["alice", "bob"])];
    ledger.append_commit(new).await.unwrap();
    for (name, expected) in [("alice", [7, 0, 9, 9]), ("bob", [7, 1, 9, 9])] {
        let item = ledger.mailbox(&device(name), ALL).await.unwrap().items.remove(0);
        assert_eq!((item.epoch, item.cursor, item.tree_hash), (1, 1, state(1).tree_hash));
        assert_eq!(item.welcome, expected);
    }
    // The first epoch of a room may have Welcomes too.
    let first = NewRoom { welcomes: vec![welcome([8], &["bob"])], ..new_room("other") };
    ledger.create(first.clone()).await.unwrap();
    assert_eq!(ledger.create(first).await.unwrap(), Created::Repeated(at(0, 0)));
    let items = ledger.mailbox(&device("bob"), ALL).await.unwrap().items;
    assert_eq!((items.len(), items[1].cursor, items[1].welcome.as_slice()), (2, 0, [7, 0, 8].as_slice()));
    let nobody = NewRoom { welcomes: vec![welcome([8], &["bob", "nobody"])], ..new_room("third") };
    assert_eq!(ledger.create(nobody).await.unwrap(), Created::UnknownDevice(1));
    assert_eq!(ledger.room(&uri("third"), &device("nobody")).await.unwrap(), None);
}

pub(crate) async fn an_epoch_is_kept_as_long_as_a_welcome_into_it_waits(database: &Database) {
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    publish(&ledger, "bob", 0..1).await;
    let next = async |epoch: u64, to: &[&str]| {
        let mut new = commit(room, epoch, epoch.to_be_bytes());
        new.welcomes = vec![welcome([1], to)];
        new.epochs_for_welcomes = 10;
        assert!(matches!(ledger.append_commit(new).await.unwrap(), Appended::Accepted(_)));
    };
    for epoch in 0..8 {
        next(epoch, if epoch == 2 { &["bob"] } else { &[] }).await;
    }
    for epoch in 0..=8 {
        assert_eq!(is_kept(&ledger, room, epoch).await, epoch >= 3, "{epoch}");
    }
    assert_eq!(ledger.epoch_of_tree(room, &state(3).tree_hash).await.unwrap(), Some(3));
    assert_eq!(ledger.epoch_of_tree(room, &state(2).tree_hash).await.unwrap(), None);
    ledger.acknowledge(&device("bob"), 1).await.unwrap();
    next(8, &["bob"]).await;
    for epoch in 0..=9 {
        assert_eq!(is_kept(&ledger, room, epoch).await, epoch >= 8, "{epoch}");
    }
    // Not for ever.
    for epoch in 9..20 {
        next(epoch, &[]).await;
    }
    for epoch in 8..=20 {
        assert_eq!(is_kept(&ledger, room, epoch).await, epoch >= 19, "{epoch}");
    }
}

pub(crate) async fn a_closed_room_takes_nothing_more_and_gets_one_successor(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    let continued = |name: &str| NewRoom { predecessor: Some(uri("room")), ..new_room(name) };
    assert_eq!(nodes[0].create(continued("early")).await.unwrap(), Created::NotClosed);
    nodes[0].append(entry(room, 0, EntryKind::Application, "a"), 0).await.unwrap();
    let end = NewCommit { closes: true, ..commit(room, 0, "end") };
    assert!(matches!(nodes[0].append_commit(end).await.unwrap(), Appended::Accepted(_)));

    let closed = Closure { at: 2, successor: None };
    assert_eq!(nodes[1].append_commit(commit(room, 1, "more")).await.unwrap(), Appended::Closed(closed.clone()));
    let late = entry(room, 1, EntryKind::Application, "late");
    assert_eq!(nodes[1].append(late, 3).await.unwrap(), Appended::Closed(closed.clone()));
    let there = nodes[1].room(&uri("room"), &device("nobody")).await.unwrap().unwrap().status;
    assert_eq!(there, RoomStatus { closed: Some(closed), ..at(1, 2) });

    let rivals = (0..6usize).map(|number| {
        let (node, new) = (nodes[number % 2].clone(), continued(&format!("next{number}")));
        tokio::spawn(async move { node.create(new).await.unwrap() })
    });
    let mut made = 0;
    let mut told = BTreeSet::new();
    for rival in rivals.collect::<Vec<_>>() {
        match rival.await.unwrap() {
            Created::New(_) => made += 1,
            Created::Succeeded(closure) => drop(told.insert(closure.successor.unwrap().to_string())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, told.len()), (1, 1));
    let closure = read(&nodes[0], room, None, 0).await.unwrap().closed.unwrap();
    assert!(closure.at == 2 && told.contains(&closure.successor.unwrap().to_string()));
}

pub(crate) async fn reports_of_enough_leaves_close_a_room_at_the_commit(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = room(&nodes[0], "room").await;
    nodes[0].append(entry(room, 0, EntryKind::Application, "a"), 0).await.unwrap();
    for epoch in 0..3 {
        nodes[0].append_commit(commit(room, epoch, epoch.to_be_bytes())).await.unwrap();
    }
    let report = |leaf: u32, epoch: u64| NewReport {
        room,
        sequence: epoch + 2,
        epoch,
        leaf,
        reason: 2,
        signature: vec![leaf as u8],
        needed: 3,
    };
    assert_eq!(nodes[0].report(report(1, 2)).await.unwrap(), Reported::Counted(1));
    assert_eq!(nodes[1].report(report(1, 2)).await.unwrap(), Reported::Counted(1), "each leaf once");
    assert_eq!(nodes[1].report(report(9, 1)).await.unwrap(), Reported::Counted(1), "each commit for itself");
    // The epoch stays until it is decided, however many commits follow.
    for epoch in 3..9 {
        let more = commit(room, epoch, epoch.to_be_bytes());
        assert!(matches!(nodes[0].append_commit(more).await.unwrap(), Appended::Accepted(_)));
    }
    assert!(is_kept(&nodes[0], room, 2).await);
    assert_eq!(nodes[0].report(report(5, 2)).await.unwrap(), Reported::Counted(2));
    let last = (6..12u32).map(|leaf| {
        let (node, report) = (nodes[leaf as usize % 2].clone(), report(leaf, 2));
        tokio::spawn(async move { node.report(report).await.unwrap() })
    });
    let closure = Closure { at: 4, successor: None };
    for done in last.collect::<Vec<_>>() {
        let done = done.await.unwrap();
        assert!(matches!(&done, Reported::Closed(3.., closed) if *closed == closure), "{done:?}");
    }
    assert_eq!(nodes[1].append_commit(commit(room, 9, "more")).await.unwrap(), Appended::Closed(closure));
}

pub(crate) async fn a_proposal_counts_for_its_epoch_only(database: &Database) {
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    for (epoch, message) in [(0, "a"), (0, "b")] {
        ledger.append(entry(room, epoch, EntryKind::Proposal, message), 0).await.unwrap();
    }
    ledger.append(entry(room, 0, EntryKind::Application, "x"), 0).await.unwrap();
    assert_eq!(ledger.proposals(room, 0).await.unwrap(), [b"a", b"b"]);
    ledger.append_commit(commit(room, 0, "c")).await.unwrap();
    let late = ledger.append(entry(room, 0, EntryKind::Proposal, "late"), 0).await.unwrap();
    assert!(matches!(late, Appended::WrongEpoch(_)));
    assert_eq!(ledger.proposals(room, 1).await.unwrap(), Vec::<Vec<u8>>::new());
}

/// Two rooms whose commits go to the same devices in opposite orders, from two nodes at once.
pub(crate) async fn welcomes_to_many_keep_their_order_and_go_when_all_have_them(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let rooms = [room(&nodes[0], "one").await, room(&nodes[0], "two").await];
    let names = ["a", "b", "c", "d"];
    for name in names {
        publish(&nodes[0], name, 0..1).await;
    }
    let writers = [0, 1].map(|which| {
        let (node, room) = (nodes[which].clone(), rooms[which]);
        let mut to = names;
        if which == 1 {
            to.reverse();
        }
        tokio::spawn(async move {
            for epoch in 0..10u8 {
                let mut new = commit(room, epoch.into(), [epoch]);
                new.mailbox = 1_000;
                new.welcomes = vec![welcome([which as u8, epoch], &to), welcome([], &[])];
                assert!(matches!(node.append_commit(new).await.unwrap(), Appended::Accepted(_)));
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    for name in names {
        let items = nodes[0].mailbox(&device(name), ALL).await.unwrap().items;
        assert_eq!(items.iter().map(|item| item.sequence).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
        for which in 0..2u8 {
            let of_room: Vec<_> = items.iter().filter(|item| item.welcome[2] == which).collect();
            assert!(of_room.iter().map(|item| item.welcome[3]).eq(0..10), "in the order of the commits");
            assert!(of_room.iter().all(|item| item.cursor == u64::from(item.welcome[3]) + 1));
        }
    }
    // Everybody acknowledges everything at once, through both nodes.
    let readers = names.map(|name| {
        let nodes = nodes.clone();
        tokio::spawn(async move {
            for sequence in 1..=20u64 {
                nodes[sequence as usize % 2].acknowledge(&device(name), sequence).await.unwrap();
                nodes[0].acknowledge(&device(name), sequence).await.unwrap();
            }
        })
    });
    for reader in readers {
        reader.await.unwrap();
    }
    for name in names {
        assert_eq!(nodes[1].mailbox(&device(name), ALL).await.unwrap().items, []);
    }
    assert_eq!(database.count("welcomes"), 0);
    let mut again = commit(rooms[0], 10, "again");
    again.welcomes = vec![welcome([7], &["a"])];
    nodes[0].append_commit(again).await.unwrap();
    assert_eq!(nodes[0].mailbox(&device("a"), ALL).await.unwrap().items[0].sequence, 21, "numbers are not used twice");
}

pub(crate) async fn pages_end_where_they_should(database: &Database) {
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    publish(&ledger, "bob", 0..1).await;
    for (epoch, size) in (0..).zip([10usize, 10, 5_000, 2]) {
        let mut new = commit(room, epoch, vec![epoch as u8; size]);
        new.mailbox = 10;
        // Head and secrets are two bytes more.
        new.welcomes = vec![welcome(vec![epoch as u8; size.saturating_sub(2)], &["bob"])];
        assert!(matches!(ledger.append_commit(new).await.unwrap(), Appended::Accepted(_)));
    }
    let cases = [
        (Page { after: 0, entries: 2, bytes: 1_000_000 }, 2),
        (Page { after: 0, entries: 10, bytes: 20 }, 2),
        (Page { after: 0, entries: 10, bytes: 19 }, 1),
        (Page { after: 0, entries: 10, bytes: 5_020 }, 3),
        (Page { after: 2, entries: 10, bytes: 1 }, 1),
        (Page { after: 2, entries: 10, bytes: 5_002 }, 2),
        (Page { after: 4, entries: 10, bytes: 1 }, 0),
        (Page { after: u64::MAX, entries: 10, bytes: 1 }, 0),
    ];
    for (page, expected) in cases {
        let read = ledger.log(room, None, page).await.unwrap();
        let LogRead::Page { page: log, until: None } = read else { panic!("{read:?}") };
        assert_eq!((log.entries.len(), log.head), (expected, 4), "{page:?}");
        assert!(log.entries.iter().map(|entry| entry.sequence).eq((page.after..).skip(1).take(expected)));
        assert_eq!(ledger.mailbox(&device("bob"), page).await.unwrap().items.len(), expected, "{page:?}");
    }
}

pub(crate) async fn one_room_for_a_name_and_one_for_a_group_however_many_race(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let racers = (0..8usize).map(|number| {
        let node = nodes[number % 2].clone();
        // Four want the name, two each with one group; four want the group of another name.
        let (name, group) = if number < 4 { ("name", number / 2) } else { ("other", 7) };
        let name = if number < 4 { name.to_owned() } else { format!("{name}{}", number / 2) };
        let new = NewRoom { group_id: vec![group as u8], epoch: 3, first: state(3), ..new_room(&name) };
        tokio::spawn(async move { (number, node.create(new).await.unwrap()) })
    });
    let mut answers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        answers.push(racer.await.unwrap());
    }
    let count = |range: std::ops::Range<usize>, wanted: fn(&Created) -> bool| {
        answers.iter().filter(|(number, created)| range.contains(number) && wanted(created)).count()
    };
    for range in [0..4, 4..8] {
        assert_eq!(count(range.clone(), |c| matches!(c, Created::New(_))), 1, "{answers:?}");
        assert_eq!(count(range, |c| matches!(c, Created::Repeated(_))), 1, "{answers:?}");
    }
    assert_eq!(count(0..4, |c| *c == Created::NameTaken), 2, "{answers:?}");
    assert_eq!(count(4..8, |c| *c == Created::GroupTaken), 2, "{answers:?}");
    let there = nodes[0].room(&uri("name"), &device("nobody")).await.unwrap().unwrap();
    assert_eq!(there.status, at(3, 0));
    assert!(is_kept(&nodes[1], there.id, 3).await);
}

/// A group id, a reference and a message may be longer than what an index of a database takes.
pub(crate) async fn names_of_any_length_are_kept(database: &Database) {
    let ledger = database.node().await;
    let long = |last: u8| [vec![5; 20_000], vec![last]].concat();
    for last in [1, 2] {
        let name = format!("room{last}");
        let new = NewRoom { group_id: long(last), ..new_room(&name) };
        assert!(matches!(ledger.create(new.clone()).await.unwrap(), Created::New(_)));
        assert!(matches!(ledger.create(new).await.unwrap(), Created::Repeated(_)));
        assert_eq!(ledger.room(&uri(&name), &device("nobody")).await.unwrap().unwrap().group_id, long(last));
    }
    let packages = [1, 2, 1].map(|last| {
        let (checked, _) = package(0);
        (CheckedKeyPackage { reference: long(last), ..checked }, long(last))
    });
    ledger.publish(&device("alice"), packages.to_vec(), Publication::Add, 10, NOW).await.unwrap();
    assert_eq!(ledger.stock(&device("alice"), NOW).await.unwrap().suites[0].one_time, 2);
}

/// Each commit changes a few records; every epoch that is kept reads back as it was, and what no
/// kept epoch needs is gone.
pub(crate) async fn kept_epochs_read_back_as_they_were_however_the_state_changes(database: &Database) {
    let mut rng = StdRng::seed_from_u64(8);
    let ledger = database.node().await;
    let room = room(&ledger, "room").await;
    let mut now = BTreeMap::from([(vec![2], vec![0])]);
    let mut kept = VecDeque::from([now.clone()]);
    for epoch in 0..60u64 {
        let mut next = commit(room, epoch, epoch.to_be_bytes());
        next.epochs_kept = 3;
        next.next.change = if rng.random_range(0..10) == 0 {
            now = (0..3).map(|_| (vec![rng.random_range(0..8), 1], vec![rng.random()])).collect();
            StateChange::Whole(now.clone().into_iter().collect())
        } else {
            let changed: BTreeMap<_, _> = (0..3)
                .map(|_| {
                    (
                        vec![rng.random_range(0..8), rng.random_range(0..2)],
                        (rng.random_range(0..3) > 0).then(|| vec![rng.random()]),
                    )
                })
                .collect();
            // A key with a second byte, so that a prefix names more than one.
            let clear: u8 = rng.random_range(0..20);
            now.retain(|key, _| key[0] != clear);
            for (key, value) in &changed {
                match value {
                    Some(value) => now.insert(key.clone(), value.clone()),
                    None => now.remove(key),
                };
            }
            StateChange::Part { cleared: vec![vec![clear]], writes: changed.into_iter().collect() }
        };
        assert!(matches!(ledger.append_commit(next).await.unwrap(), Appended::Accepted(_)));
        kept.push_back(now.clone());
        if kept.len() > 3 {
            kept.pop_front();
        }
        for (back, expected) in kept.iter().rev().enumerate() {
            let found = ledger.state(room, epoch + 1 - back as u64).await.unwrap().expect("kept");
            assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>(), "epoch {epoch}, {back} back");
        }
        if let Some(gone) = (epoch + 1).checked_sub(3) {
            assert_eq!(ledger.state(room, gone).await.unwrap(), None);
        }
    }
}

/// What a ledger should hold, kept the simplest way.
#[derive(Default)]
struct Model {
    epoch: u64,
    log: Vec<(u64, EntryKind, Vec<u8>)>,
    mailbox: Vec<(u64, Vec<u8>)>,
    mailbox_head: u64,
}

pub(crate) async fn a_random_history_reads_back_as_a_plain_model_says(database: &Database) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut ledger = database.node().await;
    let rooms = [room(&ledger, "a").await, room(&ledger, "b").await];
    publish(&ledger, "bob", 0..1).await;
    let mut models = [Model::default(), Model::default()];
    let bob = device("bob");
    for step in 0..300u64 {
        let which = rng.random_range(0..2usize);
        let (room, message) = (rooms[which], step.to_be_bytes().to_vec());
        let epoch = models[which].epoch.saturating_sub(rng.random_range(0..3));
        match rng.random_range(0..10) {
            0..5 => {
                let taken =
                    ledger.append(entry(room, epoch, EntryKind::Application, message.clone()), 1).await.unwrap();
                let expected = models[which].epoch - epoch <= 1;
                assert_eq!(matches!(taken, Appended::Accepted(_)), expected, "step {step}");
                if expected {
                    models[which].log.push((epoch, EntryKind::Application, message));
                }
            }
            5..8 => {
                let mut new = commit(room, epoch, message.clone());
                new.welcomes = vec![welcome(message.clone(), &["bob"])];
                let taken = ledger.append_commit(new).await.unwrap();
                // One device's mailbox serves both rooms; the first model keeps it.
                let current = epoch == models[which].epoch;
                let space = models[0].mailbox.len() < 3;
                match taken {
                    Appended::Accepted(_) => {
                        assert!(current && space, "step {step}");
                        models[which].epoch += 1;
                        models[which].log.push((epoch, EntryKind::Commit, message.clone()));
                        models[0].mailbox_head += 1;
                        let sequence = models[0].mailbox_head;
                        models[0].mailbox.push((sequence, [[7, 0].as_slice(), &message].concat()));
                    }
                    Appended::WrongEpoch(_) => assert!(!current, "step {step}"),
                    Appended::MailboxFull(0) => assert!(current && !space, "step {step}"),
                    other => panic!("step {step}: {other:?}"),
                }
            }
            8 => {
                if let Some((sequence, _)) = models[0].mailbox.first().cloned() {
                    ledger.acknowledge(&bob, sequence).await.unwrap();
                    models[0].mailbox.remove(0);
                }
            }
            _ => {
                drop(ledger);
                ledger = database.node().await;
            }
        }
    }
    for (room, model) in rooms.into_iter().zip(&models) {
        let page = read(&ledger, room, None, 0).await.unwrap();
        let log: Vec<_> = page.entries.into_iter().map(|e| (e.epoch, e.kind, e.message)).collect();
        assert_eq!((page.epoch, page.head, &log), (model.epoch, model.log.len() as u64, &model.log));
        for epoch in 0..=model.epoch {
            let kept = epoch + 2 > model.epoch;
            assert_eq!(is_kept(&ledger, room, epoch).await, kept);
        }
    }
    let items = ledger.mailbox(&bob, ALL).await.unwrap().items;
    let mailbox: Vec<_> = items.into_iter().map(|item| (item.sequence, item.welcome)).collect();
    assert_eq!(mailbox, models[0].mailbox);
}

fn place(leaf: u32, name: &str) -> Place {
    Place { leaf, device: device(name) }
}

/// A room that Alice has founded.
async fn listed(ledger: &Arc<dyn Ledger>) -> RoomId {
    let roster = Some(vec![place(0, "alice")]);
    let new = NewRoom { roster, ..new_room("listed") };
    assert!(matches!(ledger.create(new).await.unwrap(), Created::New(_)));
    ledger.room(&uri("listed"), &device("alice")).await.unwrap().unwrap().id
}

async fn says(ledger: &Arc<dyn Ledger>, room: RoomId, epoch: u64, name: &str) -> Appended {
    let said = entry(room, epoch, EntryKind::Application, name);
    ledger.append(NewEntry { member: Some(device(name)), ..said }, 4).await.unwrap()
}

fn change(room: RoomId, epoch: u64, removed: &[u32], added: &[Place]) -> NewCommit {
    let mut commit = commit(room, epoch, epoch.to_be_bytes());
    commit.entry.member = Some(device("alice"));
    commit.roster = RosterChange { removed: removed.to_vec(), added: added.to_vec() };
    commit
}

async fn numbers(ledger: &Arc<dyn Ledger>, room: RoomId, name: &str, after: u64) -> Option<Vec<u64>> {
    let page = read(ledger, room, Some(name), after).await?;
    Some(page.entries.iter().map(|entry| entry.sequence).collect())
}

pub(crate) async fn a_device_sends_and_reads_while_it_is_in_the_room(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = listed(&nodes[0]).await;
    let standing = async |name: &str| nodes[1].room(&uri("listed"), &device(name)).await.unwrap().unwrap().standing;
    let accepted = |appended: Appended| matches!(appended, Appended::Accepted(_));
    assert_eq!((standing("alice").await, standing("bob").await), (Standing::Member, Standing::Stranger));
    assert!(accepted(says(&nodes[0], room, 0, "alice").await));
    assert_eq!(says(&nodes[0], room, 0, "bob").await, Appended::NotMember);
    assert_eq!(numbers(&nodes[1], room, "bob", 0).await, None);
    // Bob and another of the same name come in by entry 2; entry 4 removes one of them, entry 5 the other.
    let both = [place(1, "bob"), place(2, "bob"), place(3, "carol")];
    assert!(accepted(nodes[1].append_commit(change(room, 0, &[], &both)).await.unwrap()));
    assert_eq!(standing("bob").await, Standing::Member);
    assert!(accepted(says(&nodes[0], room, 1, "bob").await));
    assert_eq!(numbers(&nodes[0], room, "bob", 0).await, None, "not what was before");
    assert_eq!(numbers(&nodes[0], room, "bob", 1).await, Some(vec![2, 3]));
    assert!(accepted(nodes[0].append_commit(change(room, 1, &[1], &[])).await.unwrap()));
    assert_eq!(standing("bob").await, Standing::Member);
    assert!(accepted(nodes[0].append_commit(change(room, 2, &[2], &[])).await.unwrap()));
    assert_eq!(standing("bob").await, Standing::Removed);
    assert_eq!(says(&nodes[1], room, 2, "bob").await, Appended::NotMember);
    let mut late = change(room, 3, &[0], &[]);
    late.entry.member = Some(device("bob"));
    assert_eq!(nodes[1].append_commit(late).await.unwrap(), Appended::NotMember);
    assert!(accepted(says(&nodes[0], room, 3, "alice").await));
    let page = read(&nodes[1], room, Some("bob"), 1).await.unwrap();
    assert_eq!((page.entries.last().unwrap().sequence, page.head, page.epoch), (5, 5, 3));
    assert_eq!(numbers(&nodes[1], room, "bob", 5).await, Some(vec![]));
    // Somebody else at a leaf that was left, and Bob again.
    let again = [place(1, "dana"), place(2, "bob")];
    assert!(accepted(nodes[0].append_commit(change(room, 3, &[3], &again)).await.unwrap()));
    assert_eq!((standing("carol").await, standing("dana").await), (Standing::Removed, Standing::Member));
    assert_eq!(numbers(&nodes[1], room, "bob", 6).await, Some(vec![7]));
    assert_eq!(numbers(&nodes[1], room, "bob", 3).await, Some(vec![4, 5]));
    assert_eq!(numbers(&nodes[1], room, "alice", 0).await, Some((1..=7).collect()));
}

/// In a room of this epoch, the device registers a key that is this byte.
fn access(name: &str, key: u8) -> Option<NewAccess> {
    Some(NewAccess { key: vec![key; 32], by: device(name), welcomed: vec![device("dana")] })
}

pub(crate) async fn in_a_keyed_room_every_commit_asks_all_but_its_sender_for_a_proof(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let new = NewRoom { access: access("alice", 0), ..new_room("keyed") };
    assert!(matches!(nodes[0].create(new).await.unwrap(), Created::New(_)));
    let found = nodes[1].room(&uri("keyed"), &device("alice")).await.unwrap().unwrap();
    let room = found.id;
    assert_eq!((found.keyed, found.standing), (true, Standing::Member));
    let standing = async |name: &str| nodes[1].room(&uri("keyed"), &device(name)).await.unwrap().unwrap().standing;
    let commits = async |epoch: u64, by: &str| {
        let rekeyed = NewCommit { access: access(by, epoch as u8 + 1), ..commit(room, epoch, epoch.to_be_bytes()) };
        assert!(matches!(nodes[0].append_commit(rekeyed).await.unwrap(), Appended::Accepted(_)));
    };
    let text = async |epoch: u64| {
        let text = entry(room, epoch, EntryKind::Application, "text");
        assert!(matches!(nodes[0].append(text, 0).await.unwrap(), Appended::Accepted(_)));
    };
    // Entry 1 a text, entry 2 begins epoch 1, 3 a text, 4 begins epoch 2, 5 a text, 6 begins epoch 3.
    text(0).await;
    commits(0, "alice").await;
    assert_eq!((standing("alice").await, standing("bob").await), (Standing::Member, Standing::Stranger));
    for (epoch, key) in [(0, Some(0)), (1, Some(1)), (2, None)] {
        assert_eq!(nodes[1].access_key(room, epoch).await.unwrap(), key.map(|key| vec![key; 32]));
    }
    nodes[0].admit(room, &device("bob"), 1).await.unwrap();
    nodes[1].admit(room, &device("bob"), 1).await.unwrap();
    assert_eq!(standing("bob").await, Standing::Member);
    text(1).await;
    commits(1, "bob").await;
    assert_eq!((standing("alice").await, standing("bob").await), (Standing::Removed, Standing::Member));
    assert_eq!(numbers(&nodes[0], room, "alice", 0).await, Some(vec![1, 2, 3, 4]), "the commit that put it out");
    assert_eq!(numbers(&nodes[0], room, "bob", 0).await, None, "nothing of an epoch before");
    assert_eq!(numbers(&nodes[0], room, "bob", 1).await, Some(vec![2, 3, 4]));
    text(2).await;
    commits(2, "bob").await;
    // Alice was away for an epoch and goes on, one after the other.
    assert_eq!(numbers(&nodes[0], room, "alice", 4).await, Some(vec![]));
    nodes[0].admit(room, &device("alice"), 2).await.unwrap();
    assert_eq!(standing("alice").await, Standing::Removed);
    assert_eq!(numbers(&nodes[0], room, "alice", 0).await, Some((1..=6).collect()));
    text(3).await;
    assert_eq!(numbers(&nodes[0], room, "alice", 6).await, Some(vec![]));
    nodes[0].admit(room, &device("alice"), 3).await.unwrap();
    assert_eq!(standing("alice").await, Standing::Member);
    assert_eq!(numbers(&nodes[1], room, "alice", 0).await, Some((1..=7).collect()));
    // An old proof, given again, changes nothing.
    nodes[0].admit(room, &device("alice"), 1).await.unwrap();
    assert_eq!(numbers(&nodes[1], room, "alice", 0).await, Some((1..=7).collect()));
    // Dana has been welcomed by each commit, and by the room's founder.
    assert_eq!(numbers(&nodes[1], room, "dana", 0).await, Some((1..=7).collect()));
    // Carol was in for one epoch, long ago.
    nodes[0].admit(room, &device("carol"), 1).await.unwrap();
    assert_eq!(standing("carol").await, Standing::Removed);
    assert_eq!(numbers(&nodes[1], room, "carol", 1).await, Some(vec![2, 3, 4]));
    assert_eq!(numbers(&nodes[1], room, "carol", 4).await, Some(vec![]));
}

pub(crate) async fn what_comes_with_a_removal_is_before_it_or_refused(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let room = listed(&nodes[0]).await;
    nodes[0].append_commit(change(room, 0, &[], &[place(1, "bob")])).await.unwrap();
    let talking = {
        let node = nodes[1].clone();
        tokio::spawn(async move {
            let mut last = 0;
            loop {
                match says(&node, room, 1, "bob").await {
                    Appended::Accepted(receipt) => last = receipt.sequence,
                    other => return (last, other),
                }
            }
        })
    };
    while read(&nodes[0], room, None, 0).await.unwrap().head < 5 {
        tokio::task::yield_now().await;
    }
    let Appended::Accepted(removal) = nodes[0].append_commit(change(room, 1, &[1], &[])).await.unwrap() else {
        panic!("not accepted")
    };
    let (last, refused) = talking.await.unwrap();
    assert_eq!(refused, Appended::NotMember);
    assert_eq!(last + 1, removal.sequence, "nothing of Bob's is after his removal");
}

pub(crate) async fn a_device_claims_of_one_user_a_few_times_an_hour(database: &Database) {
    let nodes = [database.node().await, database.node().await];
    let hour = 3_600;
    let packages = (0..20).map(|id| {
        let (checked, message) = package(id);
        (CheckedKeyPackage { not_after: 10 * hour, ..checked }, message)
    });
    nodes[0].publish(&device("alice"), packages.collect(), Publication::Add, 1_000, NOW).await.unwrap();
    let races = (0..8usize).map(|number| {
        let node = nodes[number % 2].clone();
        tokio::spawn(async move { claim(&node, "bob", hour + 5).await })
    });
    let mut given = BTreeSet::new();
    for race in races.collect::<Vec<_>>() {
        if let Some(offers) = race.await.unwrap() {
            let [Offer::OneTime(message)] = offers.as_slice() else { panic!("{offers:?}") };
            assert!(given.insert(message.clone()));
        }
    }
    assert_eq!(given.len(), 3);
    let left = || async { nodes[0].stock(&device("alice"), hour).await.unwrap().suites[0].one_time };
    assert_eq!(left().await, 17, "a refused claim takes nothing");
    assert_eq!(claim(&nodes[0], "bob", 2 * hour - 1).await, None);
    assert!(claim(&nodes[0], "carol", 2 * hour - 1).await.is_some());
    assert!(claim(&nodes[1], "bob", 2 * hour).await.is_some());
    assert_eq!(left().await, 15);
}
