//! Rooms whose handshakes the server cannot read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{Client, ClientError, Code, Error, Event, Events, MemoryStore, Options, PathUpdates, Store, Usage};
use keyroom_api::CommitBundle;
use keyroom_delivery::Handshakes;
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_wire::{Decode as _, Limits, MlsMessage};
use tokio::time::timeout;
use world::insider::Insider;
use world::{World, agree, hears, reaches, removed, texts};

async fn private() -> World {
    World::with(|config| config.handshakes = Handshakes::PublicAndPrivate).await
}

fn options(world: &World, user: &str) -> Options {
    let config = Config { handshakes: HandshakePolicy::Private, ..Config::default() };
    world.options(user).config(config)
}

async fn open(world: &World, user: &str, store: impl Store + 'static) -> Client {
    let client = Client::open(store, &world.server.url(), options(world, user)).await.unwrap();
    client.reachable().await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_lives_although_the_server_reads_none_of_its_commits() {
    let world = private().await;
    let store = Arc::new(MemoryStore::new());
    let (alice, bob) = (open(&world, "alice", MemoryStore::new()).await, open(&world, "bob", store.clone()).await);
    let dana = open(&world, "dana", MemoryStore::new()).await;
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    room.send("hello").await.unwrap();
    hears(&there, "hello").await;
    there.rotate().await.unwrap();
    there.send("hello yourself").await.unwrap();
    hears(&room, "hello yourself").await;
    // Bob is away for three epochs, and comes in again through each of them.
    bob.close().await.unwrap();
    for text in ["one", "two", "three"] {
        room.rotate().await.unwrap();
        room.send(text).await.unwrap();
    }
    room.flush().await.unwrap();
    let joined = dana.join_room("meeting").await.unwrap();
    reaches(&room, 6).await;
    let bob = open(&world, "bob", store).await;
    let there = bob.room("meeting").await.unwrap();
    hears(&there, "three").await;
    reaches(&there, 6).await;
    agree(&[&room, &there, &joined]).await;
    joined.send("dana is here").await.unwrap();
    hears(&there, "dana is here").await;

    let log = world.log(room.uri()).await;
    let public = |message: &[u8]| {
        matches!(MlsMessage::from_bytes(message, &Limits::default()), Ok(MlsMessage::PublicMessage(_)))
    };
    assert_eq!(log.iter().filter(|entry| public(&entry.message)).count(), 1, "only who comes from outside is seen");

    room.remove("bob").await.unwrap();
    removed(&there).await;
    room.send("among us").await.unwrap();
    hears(&joined, "among us").await;
    assert!(!texts(&there).await.contains(&"among us".to_owned()));
    assert_eq!(there.send("still?").await, Err(Usage::Removed.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_invited_while_away_comes_in_although_commits_have_followed() {
    let world = private().await;
    let store = Arc::new(MemoryStore::new());
    let alice = open(&world, "alice", MemoryStore::new()).await;
    open(&world, "bob", store.clone()).await.close().await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    // Each of them ends the place that Bob has by his Welcome.
    room.rotate().await.unwrap();
    room.rotate().await.unwrap();
    let bob = open(&world, "bob", store).await;
    let entered = timeout(Duration::from_secs(10), bob.entered("meeting")).await;
    let there = entered.expect("his Welcome is of no use").unwrap();
    reaches(&there, 3).await;
    there.send("at last").await.unwrap();
    hears(&room, "at last").await;
    agree(&[&room, &there]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_talk_at_once_follow_each_others_commits() {
    let world = private().await;
    let clients = [
        open(&world, "alice", MemoryStore::new()).await,
        open(&world, "bob", MemoryStore::new()).await,
        open(&world, "carol", MemoryStore::new()).await,
    ];
    let room = clients[0].create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    room.invite("carol").await.unwrap();
    let mut rooms = vec![room];
    for client in &clients[1..] {
        rooms.push(client.entered("meeting").await.unwrap());
    }
    let talks = rooms.iter().cloned().enumerate().map(|(number, room)| {
        tokio::spawn(async move {
            for text in 0..5 {
                room.send(format!("{number}.{text}")).await.unwrap();
                room.rotate().await.unwrap();
            }
            room.flush().await.unwrap();
        })
    });
    let talks: Vec<_> = talks.collect();
    for talk in talks {
        timeout(Duration::from_secs(30), talk).await.expect("somebody waits for ever").unwrap();
    }
    for room in &rooms {
        for (number, text) in (0..3).flat_map(|number| (0..5).map(move |text| (number, text))) {
            hears(room, &format!("{number}.{text}")).await;
        }
        assert_eq!(texts(room).await.len(), 15);
    }
    // Two invitations, and what each has committed for itself.
    for room in &rooms {
        reaches(room, 2 + 15).await;
    }
    agree(&rooms.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_broken_goes_on_in_a_branch_of_it() {
    let world = private().await;
    let soon = PathUpdates::After(Duration::from_millis(20));
    let mut clients = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let options = options(&world, user).path_updates(soon);
        let client = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
        client.reachable().await.unwrap();
        clients.push(client);
    }
    let room = clients[0].create_room("meeting").await.unwrap();
    let mut rooms = vec![room.clone()];
    for (user, client) in ["bob", "carol"].into_iter().zip(&clients[1..]) {
        room.invite(user).await.unwrap();
        rooms.push(client.entered("meeting").await.unwrap());
    }
    let mut mallory = Insider::enter(&world, &room).await;
    for room in &rooms {
        reaches(room, mallory.group.epoch()).await;
    }
    let mut events = room.events();
    mallory.breaks(&room).await;
    let named = successor(&mut events).await;
    let mut there = Vec::new();
    for client in &clients {
        there.push(client.entered(&named).await.unwrap());
    }
    there[1].send("here we are").await.unwrap();
    for room in &there {
        hears(room, "here we are").await;
        assert_eq!(room.view().await.unwrap().members.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_public_handshakes_only_says_so() {
    let world = World::new().await;
    let alice = open(&world, "alice", MemoryStore::new()).await;
    assert_eq!(alice.create_room("meeting").await.err(), Some(Error::Refused(Code::Invalid)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_commit_registers_a_false_key_stands_still_and_says_so() {
    let world = private().await;
    let (alice, bob) = (open(&world, "alice", MemoryStore::new()).await, mistaken(&world, "bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    room.send("all is well").await.unwrap();
    room.flush().await.unwrap();
    let mut events = room.events();
    there.rotate().await.unwrap();
    loop {
        if let Event::Halted { why, .. } = events.next().await.unwrap() {
            assert_eq!(why, Error::Refused(Code::NotMember));
            break;
        }
    }
    // Who is alone with such a commit needs nobody else to end the room.
    let closed = async { while !matches!(events.next().await.unwrap(), Event::Closed { .. }) {} };
    timeout(Duration::from_secs(20), closed).await.expect("the room is never closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_a_false_key_has_stopped_goes_on_without_who_registered_it() {
    let world = private().await;
    let mut clients = Vec::new();
    for user in ["alice", "bob"] {
        let options = options(&world, user).path_updates(PathUpdates::After(Duration::from_millis(20)));
        let client = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
        client.reachable().await.unwrap();
        clients.push(client);
    }
    let carol = mistaken(&world, "carol").await;
    let room = clients[0].create_room("meeting").await.unwrap();
    room.invite_all(["bob", "carol"]).await.unwrap();
    let there = clients[1].entered("meeting").await.unwrap();
    let carols = carol.entered("meeting").await.unwrap();
    for room in [&room, &there, &carols] {
        reaches(room, 1).await;
    }
    let mut events = there.events();
    // To her own client it is a surprise, too.
    let rotating = tokio::spawn(async move { carols.rotate().await });
    let named = successor(&mut events).await;
    let (on, over) = (clients[0].entered(&named).await.unwrap(), clients[1].entered(&named).await.unwrap());
    over.send("here we are").await.unwrap();
    hears(&on, "here we are").await;
    assert_eq!(on.view().await.unwrap().members.len(), 2);
    rotating.abort();
}

/// The room in which it goes on.
async fn successor(events: &mut Events) -> String {
    let named = async {
        loop {
            if let Event::Closed { successor: Some(successor), .. } = events.next().await.unwrap() {
                return successor.name().as_str().to_owned();
            }
        }
    };
    timeout(Duration::from_secs(20), named).await.expect("the room goes on nowhere")
}

/// A transport that registers keys which nobody derives.
struct FalseKey(Arc<dyn Transport>);

impl Transport for FalseKey {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        self.0.request(match request {
            Request::Commit { room, bundle, key } => {
                let bundle = CommitBundle { access_key: Some(vec![7; 32]), ..bundle };
                Request::Commit { room, bundle, key }
            }
            request => request,
        })
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.0.live()
    }
}

/// A client that registers keys which nobody derives.
async fn mistaken(world: &World, user: &str) -> Client {
    let options = options(world, user).transport(|inner| Arc::new(FalseKey(inner)) as Arc<dyn Transport>);
    let client = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    client.reachable().await.unwrap();
    client
}
