//! A room that was closed because its members could not follow a commit goes on in another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{Client, ClientError, Code, Error, Event, MemoryStore, PathUpdates, Room, Store};
use keyroom_api::{RoomBundle, RoomUri};
use keyroom_store::testing::{Effect, Fault, FaultStore, Moment};
use tokio::time::{sleep, timeout};
use world::insider::Insider;
use world::{World, agree, hears, reaches, texts};

/// The room in which it goes on.
async fn successor(events: &mut keyroom::Events) -> RoomUri {
    let named = async {
        loop {
            if let Event::Closed { successor: Some(successor), .. } = events.next().await.unwrap() {
                return successor;
            }
        }
    };
    timeout(Duration::from_secs(20), named).await.expect("the room goes on nowhere")
}

/// A client that commits and founds by itself only if it is told to.
async fn client(world: &World, user: &str, store: impl Store + 'static, path_updates: PathUpdates) -> Client {
    let options = world.options(user).path_updates(path_updates);
    Client::open(store, &world.server.url(), options).await.unwrap()
}

const SOON: PathUpdates = PathUpdates::After(Duration::from_millis(20));

async fn devices(room: &Room) -> BTreeSet<String> {
    let members = room.view().await.unwrap().members;
    members.iter().map(|member| member.device.as_ref().unwrap().user_name().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_but_who_broke_the_room_go_on_in_a_branch_of_it() {
    let world = World::new().await;
    let stores: Vec<Arc<MemoryStore>> = (0..3).map(|_| Arc::new(MemoryStore::new())).collect();
    let mut clients = Vec::new();
    for (user, store) in ["alice", "bob", "carol"].into_iter().zip(&stores) {
        let client = client(&world, user, store.clone(), SOON).await;
        client.reachable().await.unwrap();
        clients.push(client);
    }
    let room = clients[0].create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    room.invite("carol").await.unwrap();
    let rooms = [room, clients[1].entered("meeting").await.unwrap(), clients[2].entered("meeting").await.unwrap()];
    rooms[0].send("before").await.unwrap();
    let mut mallory = Insider::enter(&world, &rooms[0]).await;
    for room in &rooms {
        hears(room, "before").await;
        let epoch = rooms[0].view().await.unwrap().epoch;
        reaches(room, epoch.max(mallory.group.epoch())).await;
    }
    let mut events: Vec<_> = rooms.iter().map(Room::events).collect();
    mallory.breaks(&rooms[0]).await;

    let named = successor(&mut events[0]).await;
    for events in &mut events[1..] {
        assert_eq!(successor(events).await, named);
    }
    let mut there = Vec::new();
    for client in &clients {
        there.push(client.entered(named.name().as_str()).await.unwrap());
    }
    there[1].send("here we are").await.unwrap();
    for room in &there {
        hears(room, "here we are").await;
        assert_eq!(devices(room).await, ["alice", "bob", "carol"].map(str::to_owned).into());
    }
    agree(&there.iter().collect::<Vec<_>>()).await;

    for ((client, old), store) in clients.iter().zip(&rooms).zip(&stores) {
        // What was said stays; the keys of the old group are gone, and nothing is left of other attempts.
        assert_eq!(texts(old).await, ["before"]);
        assert_eq!(old.send("too late").await, Err(Error::Refused(Code::Closed)));
        for _ in 0..10_000 {
            if store.groups().unwrap().len() == 1 {
                break;
            }
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(store.groups().unwrap().len(), 1);
        let known: BTreeSet<RoomUri> = client.rooms().await.unwrap().into_iter().collect();
        assert_eq!(known, [old.uri().clone(), named.clone()].into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_to_commit_nothing_founds_nothing() {
    let world = World::new().await;
    let alice = client(&world, "alice", MemoryStore::new(), PathUpdates::Never).await;
    let room = alice.create_room("meeting").await.unwrap();
    let mut mallory = Insider::enter(&world, &room).await;
    reaches(&room, 1).await;
    let mut events = room.events();
    mallory.breaks(&room).await;
    while !matches!(events.next().await.unwrap(), Event::Closed { successor: None, .. }) {}
    assert!(timeout(Duration::from_millis(700), successor(&mut events)).await.is_err());
    assert_eq!(alice.rooms().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_welcomed_does_not_keep_the_others_from_going_on() {
    let world = World::with(|config| config.limits.mailbox = 1).await;
    let options = world.options("alice").path_updates(SOON);
    let options = options.transport(|inner| Arc::new(OneReport(inner)) as Arc<dyn Transport>);
    let alice = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    let bob = client(&world, "bob", MemoryStore::new(), PathUpdates::Never).await;
    bob.reachable().await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    // So many that there would not be enough attempts. They are away, and their mailboxes are full.
    let other = alice.create_room("other").await.unwrap();
    for user in ["carol", "dana", "emil", "fred"] {
        let guest = client(&world, user, MemoryStore::new(), PathUpdates::Never).await;
        guest.reachable().await.unwrap();
        room.invite(user).await.unwrap();
        guest.entered("meeting").await.unwrap();
        while !world.is_mailbox_empty(user).await {
            sleep(Duration::from_millis(2)).await;
        }
        guest.close().await.unwrap();
        other.invite(user).await.unwrap();
    }
    reaches(&there, room.view().await.unwrap().epoch).await;
    let mut mallory = Insider::enter(&world, &room).await;
    for room in [&room, &there] {
        reaches(room, mallory.group.epoch()).await;
    }
    let mut events = there.events();
    mallory.breaks(&room).await;
    let named = successor(&mut events).await;
    let on = alice.entered(named.name().as_str()).await.unwrap();
    bob.entered(named.name().as_str()).await.unwrap();
    assert_eq!(devices(&on).await, ["alice", "bob"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_packages_that_do_not_fit_together_do_not_keep_the_others_from_going_on() {
    let world = World::new().await;
    let options = world.options("alice").path_updates(SOON);
    let options = options.transport(|inner| Arc::new(OneReport(inner)) as Arc<dyn Transport>);
    let alice = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    let bob = client(&world, "bob", MemoryStore::new(), PathUpdates::Never).await;
    bob.reachable().await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    // Two who use the same keys: each of them is as it should be.
    for user in ["eve", "fay"] {
        Insider::enter_as(user, &world, &room).await.publishes(5).await;
    }
    let mut mallory = Insider::enter(&world, &room).await;
    for room in [&room, &there] {
        reaches(room, mallory.group.epoch()).await;
    }
    let mut events = there.events();
    mallory.breaks(&room).await;
    let named = successor(&mut events).await;
    let on = alice.entered(named.name().as_str()).await.unwrap();
    bob.entered(named.name().as_str()).await.unwrap();
    assert_eq!(devices(&on).await, ["alice", "bob", "eve"].map(str::to_owned).into());
}

/// A transport that founds rooms which one report closes.
struct OneReport(Arc<dyn Transport>);

impl Transport for OneReport {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        self.0.request(match request {
            Request::CreateRoom { room, bundle } => {
                Request::CreateRoom { room, bundle: RoomBundle { reports_needed: 1, ..bundle } }
            }
            request => request,
        })
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.0.live()
    }
}

/// Until this device stands still, or the room is closed.
async fn halted(events: &mut keyroom::Events) {
    while !matches!(events.next().await.unwrap(), Event::Halted { .. } | Event::Closed { .. }) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_come_in_again_after_the_broken_commit_founds_nothing_from_there() {
    let world = World::new().await;
    let stores: Vec<Arc<MemoryStore>> = (0..2).map(|_| Arc::new(MemoryStore::new())).collect();
    let alice = client(&world, "alice", MemoryStore::new(), SOON).await;
    let room = alice.create_room("meeting").await.unwrap();
    for (user, store) in ["bob", "carol"].into_iter().zip(&stores) {
        let guest = client(&world, user, store.clone(), PathUpdates::Never).await;
        guest.reachable().await.unwrap();
        room.invite(user).await.unwrap();
        guest.entered("meeting").await.unwrap();
        guest.close().await.unwrap();
    }
    let mut mallory = Insider::enter(&world, &room).await;
    let epoch = mallory.group.epoch();
    reaches(&room, epoch).await;
    let mut events = room.events();
    mallory.breaks_and_lets_in(&room).await;
    halted(&mut events).await;
    // Alone she comes in again, where only Mallory could follow.
    let again = alice.join_room("meeting").await.unwrap();
    reaches(&again, epoch + 2).await;

    let status = async || mallory.connection.room(room.uri()).await.unwrap();
    let mut others = Vec::new();
    for (user, store) in ["bob", "carol"].into_iter().zip(&stores) {
        others.push(client(&world, user, store.clone(), PathUpdates::Never).await);
    }
    while status().await.closed.is_none() {
        sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..70 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status().await.closed.unwrap().successor, None, "Bob and Carol could not come into it");
    // Her keys are of no use there, and to come in once more is not possible either.
    assert_eq!(alice.join_room("meeting").await.err(), Some(Error::Refused(Code::Closed)));

    let bob = others.remove(0);
    bob.close().await.unwrap();
    let bob = client(&world, "bob", stores[0].clone(), SOON).await;
    let mut events = bob.room("meeting").await.unwrap().events();
    let named = successor(&mut events).await;
    let both = async { (bob.entered(named.name().as_str()).await, others[0].entered(named.name().as_str()).await) };
    let both = timeout(Duration::from_secs(20), both).await.expect("they come in");
    agree(&[&both.0.unwrap(), &both.1.unwrap()]).await;
}

/// One life of the founder with a fault, another without one: the room goes on, once. Returns whether
/// the fault came.
async fn survives(world: &World, number: u64, fault: Fault) -> bool {
    let name = |who: &str| format!("{who}{number}");
    let store = Arc::new(MemoryStore::new());
    let alice = client(world, &name("alice"), store.clone(), PathUpdates::Never).await;
    let bob = client(world, &name("bob"), MemoryStore::new(), PathUpdates::Never).await;
    bob.reachable().await.unwrap();
    let room = alice.create_room(&name("r")).await.unwrap();
    room.invite(&name("bob")).await.unwrap();
    let there = bob.entered(&name("r")).await.unwrap();
    let mut mallory = Insider::enter(world, &room).await;
    reaches(&room, 2).await;
    reaches(&there, 2).await;
    alice.close().await.unwrap();
    let mut events = there.events();
    mallory.breaks(&there).await;

    let faulty = Arc::new(FaultStore::new(store.clone(), fault));
    let options = world.options(&name("alice")).path_updates(SOON);
    let alice = match Client::open(faulty.clone(), &world.server.url(), options).await {
        // A store that failed once is good again: this life comes to the end by itself.
        Ok(alice) if matches!(fault.effect, Effect::Fail) => alice,
        opened => {
            if let Ok(alice) = opened {
                let _ = timeout(Duration::from_millis(400), successor(&mut events)).await;
                let _ = alice.close().await;
            }
            client(world, &name("alice"), store, SOON).await
        }
    };
    let status = async {
        loop {
            let status = mallory.connection.room(there.uri()).await.unwrap();
            if let Some(successor) = status.closed.and_then(|closed| closed.successor) {
                return successor;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let named = timeout(Duration::from_secs(20), status).await.unwrap_or_else(|_| panic!("{fault:?}: no successor"));
    let both = async { (alice.entered(named.name().as_str()).await, bob.entered(named.name().as_str()).await) };
    let both = timeout(Duration::from_secs(20), both).await.unwrap_or_else(|_| panic!("{fault:?}: never came in"));
    let (on, over) = (both.0.unwrap(), both.1.unwrap());
    if faulty.calls() <= fault.call {
        return false;
    }
    over.send("bob is here").await.unwrap();
    hears(&on, "bob is here").await;
    agree(&[&on, &over]).await;
    true
}

async fn survives_everywhere(moment: Moment, effect: Effect) {
    let world = World::new().await;
    let mut call = 0;
    while survives(&world, call, Fault { call, moment, effect }).await {
        call += 1;
    }
    assert!(call > 15, "only {call} calls of the store: this test shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_that_crashes_before_any_call_of_the_store_founds_once() {
    survives_everywhere(Moment::Before, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_that_crashes_after_any_call_of_the_store_founds_once() {
    survives_everywhere(Moment::After, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_whose_store_fails_after_any_call_founds_once() {
    survives_everywhere(Moment::After, Effect::Fail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_whose_store_fails_before_any_call_founds_once() {
    survives_everywhere(Moment::Before, Effect::Fail).await;
}
