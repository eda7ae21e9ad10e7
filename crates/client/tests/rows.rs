//! Rows of `conformance/` that a client has to see to, and what it does with a commit that it cannot
//! follow, with a real server and real stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{Agreement, Client, ClientError, Error, Event, MemoryStore, Store, Unreadable, Usage};
use keyroom_api::EpochInfo;
use keyroom_mls::error::{Error as ProtocolError, Rule};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_store::{Namespace, Scan};
use world::insider::Insider;
use world::{World, agree, hears, reaches, texts};

/// The private keys of key packages that a store holds: their names, and whether each is a last resort.
fn key_packages(store: &MemoryStore) -> BTreeSet<(Vec<u8>, bool)> {
    let scan = Scan::Namespace { namespace: Namespace::new("keyroom/key-packages"), after: None };
    let rows = store.rows(scan, 1_000).unwrap();
    let kind = |value: &[u8]| KeyPackageBundle::decode(value).unwrap().is_last_resort();
    rows.iter().map(|row| (row.key.name.to_vec(), kind(&row.value))).collect()
}

/// Bob, who keeps so many key packages for one use, and what he holds before and after he is welcomed.
async fn welcomed(packages: u64) -> [BTreeSet<(Vec<u8>, bool)>; 2] {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let options = world.options("bob").key_packages(packages);
    let bob = Client::open(store.clone(), &world.server.url(), options).await.unwrap();
    bob.reachable().await.unwrap();
    let before = key_packages(&store);
    let room = world.client("alice").await.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    agree(&[&room, &there]).await;
    [before, key_packages(&store)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_080_the_keys_of_a_package_for_one_use_are_gone_once_it_has_brought_its_owner_in() {
    let [before, after] = welcomed(3).await;
    assert_eq!(before.len(), 4);
    // Others may have been made in the meantime.
    let gone: Vec<_> = before.difference(&after).collect();
    let [(_, is_last_resort)] = gone[..] else { panic!("{} of the four are gone", gone.len()) };
    assert!(!is_last_resort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_080_the_keys_of_a_last_resort_stay_as_it_may_be_used_again() {
    let [before, after] = welcomed(0).await;
    assert_eq!(before.iter().map(|(_, is_last_resort)| *is_last_resort).collect::<Vec<_>>(), [true]);
    assert!(before.is_subset(&after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_report_a_commit_that_they_cannot_follow_and_the_room_ends_there() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    let mut mallory = Insider::enter(&world, &room).await;
    reaches(&room, 2).await;
    reaches(&there, 2).await;
    let mut events = [room.events(), there.events()];
    let sequence = mallory.breaks(&room).await;
    for events in &mut events {
        let mut halted = false;
        loop {
            match events.next().await.unwrap() {
                Event::Halted { sequence: at, why } => {
                    assert_eq!(at, sequence);
                    assert_eq!(why, Error::Protocol(ProtocolError::Rule(Rule::ConfirmationTag)));
                    halted = true;
                }
                Event::Closed { sequence: at, successor } => {
                    assert_eq!((at, successor, halted), (sequence, None, true));
                    break;
                }
                _ => {}
            }
        }
    }
    let closed = mallory.connection.room(room.uri()).await.unwrap().closed.unwrap();
    assert_eq!(closed.at, sequence);
    // What was said before is still there.
    assert!(room.history(None, 10).await.is_ok());
}

/// A transport that answers the question for one room with another's GroupInfo and tree.
struct Mistaken {
    inner: Arc<dyn Transport>,
    info: EpochInfo,
    tree: Vec<u8>,
}

impl Transport for Mistaken {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        match request {
            Request::EpochInfo { .. } => Box::pin(std::future::ready(Ok(Answer::EpochInfo(self.info.clone())))),
            Request::Tree { tree_hash, .. } if tree_hash == self.info.tree_hash => {
                Box::pin(std::future::ready(Ok(Answer::Tree(self.tree.clone()))))
            }
            request => self.inner.request(request),
        }
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.inner.live()
    }
}

async fn mistaken(world: &World, user: &str, (info, tree): &(EpochInfo, Vec<u8>)) -> Client {
    let (info, tree) = (info.clone(), tree.clone());
    let wrap = move |inner| Arc::new(Mistaken { inner, info, tree }) as Arc<dyn Transport>;
    let options = world.options(user).transport(wrap);
    let client = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    client.reachable().await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_212_a_client_enters_no_group_by_external_commit_that_it_is_in() {
    let world = World::new().await;
    let room = world.client("alice").await.create_room("meeting").await.unwrap();
    // From before Bob came in, so that he is not in its tree: nothing but the group's identifier shows it.
    let onlooker = world.connection("onlooker");
    let info = onlooker.epoch_info(room.uri()).await.unwrap();
    let tree = onlooker.tree(room.uri(), &info.tree_hash).await.unwrap();
    let old = (info, tree);
    let bob = mistaken(&world, "bob", &old).await;
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();

    let joined = bob.join_room("elsewhere").await.unwrap_err();
    assert_eq!(joined, Error::Protocol(ProtocolError::Rule(Rule::AlreadyMember)));
    agree(&[&room, &there]).await;
    there.send("still here").await.unwrap();
    hears(&room, "still here").await;
    // Somebody else is not in that group; it is only not the room that was asked for.
    let dana = mistaken(&world, "dana", &old).await;
    assert_eq!(dana.join_room("elsewhere").await.unwrap_err(), Error::Rejected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_239_two_who_compare_see_whether_they_are_in_one_epoch() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let mut pairs = Vec::new();
    for name in ["one", "two"] {
        let room = alice.create_room(name).await.unwrap();
        room.invite("bob").await.unwrap();
        pairs.push((room, bob.entered(name).await.unwrap()));
    }
    let (room, there) = &pairs[0];
    let seen = room.view().await.unwrap();
    assert_eq!(there.compare(1, &seen.authenticator).await, Ok(Agreement::Same));
    // Another group in an epoch of the same number, as a server that leads its members apart makes it.
    assert_eq!(pairs[1].1.compare(1, &seen.authenticator).await, Ok(Agreement::Apart));
    for at in 0..seen.authenticator.len() {
        let mut other = seen.authenticator.clone();
        other[at] ^= 1;
        assert_eq!(there.compare(1, &other).await, Ok(Agreement::Apart));
    }
    for other in [&seen.authenticator[1..], b""] {
        assert_eq!(there.compare(1, other).await, Ok(Agreement::Apart));
    }
    room.rotate().await.unwrap();
    reaches(there, 2).await;
    assert_eq!(there.compare(1, &seen.authenticator).await, Ok(Agreement::OtherEpoch { own: 2 }));
    let seen = room.view().await.unwrap();
    assert_eq!(there.compare(2, &seen.authenticator).await, Ok(Agreement::Same));
    room.remove("bob").await.unwrap();
    world::removed(there).await;
    assert_eq!(there.compare(2, &seen.authenticator).await, Err(Usage::Removed.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_240_what_was_said_once_is_shown_once_however_often_it_is_encrypted() {
    let world = World::new().await;
    let room = world.client("alice").await.create_room("meeting").await.unwrap();
    let mut events = room.events();
    let mut insider = Insider::enter(&world, &room).await;
    reaches(&room, 1).await;
    // Signatures of this suite are deterministic and cover no generation: the second message is, byte
    // for byte, what any member makes of the first by encrypting it with the sender's next key.
    let payload = [0_u32.to_be_bytes().as_slice(), b"pay"].concat();
    insider.send(&room, &payload, "first").await;
    insider.send(&room, &payload, "copy").await;
    insider.send(&room, &[2_u32.to_be_bytes().as_slice(), b"thanks"].concat(), "next").await;
    hears(&room, "thanks").await;
    assert_eq!(texts(&room).await, ["pay", "thanks"]);
    loop {
        if let Event::Unreadable { sequence, why } = events.next().await.unwrap() {
            assert_eq!((sequence, why), (3, Unreadable::Repeated));
            break;
        }
    }
}
