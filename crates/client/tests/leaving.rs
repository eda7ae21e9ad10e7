//! Clients that leave a room, with a real server in the same process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use keyroom::{Client, Event, MemoryStore, PathUpdates, Room, Usage};
use keyroom_api::{EntryKind, RoomUri};
use keyroom_crypto::Provider as _;
use keyroom_mls::key_package::KeyPackageBuilder;
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, Encode as _, MlsMessage};
use tokio::time::sleep;
use world::{World, agree, reaches, removed};

/// A client that commits nothing of its own accord.
async fn passive(world: &World, user: &str) -> Client {
    let options = world.options(user).path_updates(PathUpdates::Never);
    let client = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    client.reachable().await.unwrap();
    client
}

/// Waits until so many proposals are in the log.
async fn proposals(world: &World, room: &RoomUri, count: usize) {
    for _ in 0..10_000 {
        let log = world.log(room).await;
        if log.iter().filter(|entry| entry.kind == EntryKind::Proposal).count() >= count {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("not so many proposals");
}

fn leave(room: &Room) -> tokio::task::JoinHandle<Result<u64, keyroom::Error>> {
    let room = room.clone();
    tokio::spawn(async move { room.leave().await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_taken_out_by_the_clients_that_stay() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    let mut events = there.events();
    there.send("Farewell.").await.unwrap();
    assert_eq!(there.leave().await, Ok(2));
    reaches(&room, 2).await;
    assert_eq!(room.view().await.unwrap().members.len(), 1);
    world::hears(&room, "Farewell.").await;
    assert_eq!(there.view().await, Err(Usage::Removed.into()));
    loop {
        if let Event::Removed { by } = events.next().await.unwrap() {
            assert_eq!(by.as_ref(), Some(alice.device()));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_takes_out_who_leaves_if_nobody_else_does() {
    let world = World::new().await;
    let (alice, bob) = (passive(&world, "alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    let left = leave(&there);
    proposals(&world, room.uri(), 1).await;
    assert_eq!(there.send("one more thing").await, Err(Usage::Leaving.into()));
    assert_eq!(there.leave().await, Err(Usage::Leaving.into()));
    let connection = world.connection("onlooker");
    assert_eq!(connection.epoch_info(room.uri()).await.unwrap().self_removes.len(), 1);

    let dana = world.client("dana").await.join_room("meeting").await.unwrap();
    assert_eq!(left.await.unwrap(), Ok(2));
    reaches(&room, 2).await;
    agree(&[&room, &dana]).await;
    assert_eq!(room.view().await.unwrap().members.len(), 2);
    assert!(connection.epoch_info(room.uri()).await.unwrap().self_removes.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_does_not_support_it_a_removal_is_proposed_until_it_is_committed() {
    let world = World::new().await;
    let (alice, bob) = (passive(&world, "alice").await, world.client("bob").await);
    let carol = world.connection("carol");
    let mut rng = rand::make_rng::<rand::rngs::StdRng>();
    let suite = RUSTCRYPTO.suite(CipherSuite(1)).unwrap();
    let signer = world::signer("carol");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let credential = carol.device().credential();
    let package = KeyPackageBuilder::new(suite, credential, lifetime_from(now, 3_600));
    let package = package.build(signer.as_ref(), &mut rng).unwrap().key_package;
    carol.publish_key_packages(vec![MlsMessage::KeyPackage(package).to_bytes()]).await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    room.invite("carol").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    reaches(&there, 2).await;
    let mut events = there.events();
    let left = leave(&there);
    proposals(&world, room.uri(), 1).await;
    assert!(carol.epoch_info(room.uri()).await.unwrap().self_removes.is_empty());
    // A joiner cannot commit it, but as a member she does.
    let dana = world.client("dana").await.join_room("meeting").await.unwrap();
    assert_eq!(left.await.unwrap(), Ok(4));
    let mut again = None;
    while again.is_none() {
        if let Event::Reproposed { epoch } = events.next().await.unwrap() {
            again = Some(epoch);
        }
    }
    assert_eq!(again, Some(3));
    reaches(&room, 4).await;
    reaches(&dana, 4).await;
    agree(&[&room, &dana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_to_leave_survives_a_restart() {
    let world = World::new().await;
    let alice = passive(&world, "alice").await;
    let store = Arc::new(MemoryStore::new());
    let bob = world.open("bob", store.clone()).await.unwrap();
    bob.reachable().await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    let left = leave(&there);
    proposals(&world, room.uri(), 1).await;
    bob.close().await.unwrap();
    assert!(left.await.unwrap().is_err());
    let bob = world.open("bob", store).await.unwrap();
    let there = bob.room("meeting").await.unwrap();
    world.client("dana").await.join_room("meeting").await.unwrap();
    removed(&there).await;
    reaches(&room, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_one_leaves_at_once_and_may_come_back() {
    let world = World::new().await;
    let alice = world.client("alice").await;
    let room = alice.create_room("meeting").await.unwrap();
    assert_eq!(room.leave().await, Ok(1));
    assert_eq!(room.view().await, Err(Usage::Removed.into()));
    let room = alice.join_room("meeting").await.unwrap();
    reaches(&room, 1).await;
    assert_eq!(room.view().await.unwrap().members.len(), 1);
}
