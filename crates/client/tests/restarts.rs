//! Clients that are stopped at the worst time, and stores that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{Client, ClientError, Error, Event, MemoryStore, Room, Store, Usage};
use keyroom_store::testing::{Effect, Fault, FaultStore, Moment};
use tokio::sync::Notify;
use tokio::time::timeout;
use world::{World, agree, hears, reaches, texts};

/// A transport whose commits are accepted and never answered.
struct Silent {
    inner: Arc<dyn Transport>,
    accepted: Arc<Notify>,
}

impl Transport for Silent {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        let commit = matches!(request, Request::Commit { .. });
        Box::pin(async move {
            let answer = self.inner.request(request).await;
            if commit {
                self.accepted.notify_one();
                std::future::pending::<()>().await;
            }
            answer
        })
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        // Nothing comes back by the log either.
        Box::pin(std::future::pending())
    }
}

/// Opens a client whose next commit is accepted and never answered.
async fn silent(world: &World, user: &str, store: Arc<MemoryStore>) -> (Client, Arc<Notify>) {
    let accepted = Arc::new(Notify::new());
    let (heard, options) = (accepted.clone(), world.options(user));
    let options = options.transport(move |inner| Arc::new(Silent { inner, accepted: heard }) as Arc<dyn Transport>);
    (Client::open(store, &world.server.url(), options).await.unwrap(), accepted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_never_seen_is_found_after_a_restart() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let (alice, bob) = (world.open("alice", store.clone()).await.unwrap(), world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    alice.close().await.unwrap();

    let (alice, accepted) = silent(&world, "alice", store.clone()).await;
    let room = alice.room("meeting").await.unwrap();
    let wish = tokio::spawn(async move { room.rotate().await });
    accepted.notified().await;
    reaches(&there, 2).await;
    there.send("meanwhile").await.unwrap();
    there.flush().await.unwrap();
    alice.close().await.unwrap();
    assert_eq!(wish.await.unwrap(), Err(Error::Closed));

    let alice = world.open("alice", store).await.unwrap();
    let room = alice.room("meeting").await.unwrap();
    room.flush().await.unwrap();
    hears(&room, "meanwhile").await;
    agree(&[&room, &there]).await;
    assert_eq!(world.log(room.uri()).await.len(), 3, "two commits and a text, none of them twice");
}

/// A transport whose first questions about key packages get no answer.
struct Forgetful {
    inner: Arc<dyn Transport>,
    left: AtomicU32,
}

impl Transport for Forgetful {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        let forgets = matches!(request, Request::Stock | Request::Publish { .. });
        if forgets && self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Box::pin(std::future::ready(Err(ClientError::Unavailable)));
        }
        self.inner.request(request)
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.inner.live()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_packages_are_published_although_the_server_did_not_answer_at_first() {
    let world = World::new().await;
    let wrap = |inner| Arc::new(Forgetful { inner, left: AtomicU32::new(3) }) as Arc<dyn Transport>;
    let options = world.options("alice").transport(wrap);
    let alice = Client::open(Arc::new(MemoryStore::new()), &world.server.url(), options).await.unwrap();
    timeout(Duration::from_secs(10), alice.reachable()).await.expect("asks again").unwrap();
    assert_eq!(world.stock("alice").await, (world::PACKAGES, 1));
}

/// A transport that notes which texts leave the device; they may be lost on their way.
struct Noting {
    inner: Arc<dyn Transport>,
    left: Arc<Mutex<Vec<Vec<u8>>>>,
    lost: bool,
}

impl Transport for Noting {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        Box::pin(async move {
            if let Request::Send { message, .. } = &request {
                self.left.lock().unwrap().push(message.clone());
                if self.lost {
                    std::future::pending::<()>().await;
                }
            }
            self.inner.request(request).await
        })
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.inner.live()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_118_what_has_left_is_stored_and_leaves_again_byte_for_byte() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let left = Arc::new(Mutex::new(Vec::new()));
    let noting = |lost| {
        let left = left.clone();
        let wrap = move |inner| Arc::new(Noting { inner, left: left.clone(), lost }) as Arc<dyn Transport>;
        world.options("alice").transport(wrap)
    };
    let alice = Client::open(store.clone(), &world.server.url(), noting(true)).await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    let wish = tokio::spawn(async move { room.send("once").await.map(drop) });
    while left.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    alice.close().await.unwrap();
    let _ = wish.await;

    // The next life does not encrypt the text again under the same key: it has the bytes.
    let alice = Client::open(store, &world.server.url(), noting(false)).await.unwrap();
    let room = alice.room("meeting").await.unwrap();
    room.flush().await.unwrap();
    let left = left.lock().unwrap().clone();
    assert_eq!(left.len(), 2);
    assert_eq!(left[0], left[1]);
    let log = world.log(room.uri()).await;
    assert_eq!(log.iter().map(|entry| &entry.message).collect::<Vec<_>>(), [&left[0]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_whose_answer_was_never_seen_is_found_after_a_restart() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let alice = world.client("alice").await;
    let room = alice.create_room("meeting").await.unwrap();
    let (dana, accepted) = silent(&world, "dana", store.clone()).await;
    let joining = dana.clone();
    let wish = tokio::spawn(async move { joining.join_room("meeting").await.map(drop) });
    accepted.notified().await;
    reaches(&room, 1).await;
    room.send("Who is there?").await.unwrap();
    dana.close().await.unwrap();
    wish.await.unwrap().unwrap_err();

    let dana = world.open("dana", store).await.unwrap();
    let there = dana.entered("meeting").await.unwrap();
    hears(&there, "Who is there?").await;
    agree(&[&room, &there]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_without_a_server_happens_when_there_is_one() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let (alice, bob) = (world.open("alice", store.clone()).await.unwrap(), world.client("bob").await);
    alice.create_room("meeting").await.unwrap();
    alice.close().await.unwrap();
    // A port where nobody listens.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alice = Client::open(store.clone(), &format!("http://{nowhere}"), world.options("alice")).await.unwrap();
    let room = alice.room("meeting").await.unwrap();
    let wish = timeout(Duration::from_millis(50), room.invite("bob")).await;
    assert!(wish.is_err(), "an invitation without a server waits");
    room.send("sent offline").await.unwrap();
    alice.close().await.unwrap();

    let _alice = world.open("alice", store).await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    assert_eq!(hears(&there, "sent offline").await.epoch, Some(1));
}

/// Says and does something in a room; returns the texts that were acknowledged.
async fn live_a_little(room: &Room) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for text in ["one", "two"] {
        if room.send(text).await.is_ok() {
            acknowledged.insert(text.to_owned());
        }
        // What a failure of the store leaves open, the next life of the client brings to an end.
        let _ = timeout(Duration::from_secs(5), room.rotate()).await;
    }
    if room.send("three").await.is_ok() {
        acknowledged.insert("three".into());
    }
    let _ = timeout(Duration::from_secs(5), room.flush()).await;
    acknowledged
}

/// One life of Alice with a fault, another without one; afterwards everything is as if there had
/// been no fault. Returns whether the fault came.
async fn survives(world: &World, number: u64, fault: Fault) -> bool {
    let (alice_name, bob_name, room_name) = (format!("alice{number}"), format!("bob{number}"), format!("r{number}"));
    let store = Arc::new(MemoryStore::new());
    let bob = world.client(&bob_name).await;
    let alice = world.open(&alice_name, store.clone()).await.unwrap();
    let room = alice.create_room(&room_name).await.unwrap();
    room.invite(&bob_name).await.unwrap();
    alice.close().await.unwrap();
    let there = bob.entered(&room_name).await.unwrap();
    let mut events = there.events();

    let faulty = Arc::new(FaultStore::new(store.clone(), fault));
    let mut acknowledged = BTreeSet::new();
    if let Ok(alice) = world.open(&alice_name, faulty.clone()).await {
        if let Ok(room) = alice.room(&room_name).await {
            acknowledged = live_a_little(&room).await;
        }
        let _ = alice.close().await;
    }
    let alice = world.open(&alice_name, store).await.unwrap();
    let room = alice.room(&room_name).await.unwrap();
    timeout(Duration::from_secs(10), room.flush())
        .await
        .unwrap_or_else(|_| panic!("{fault:?}: the outbox is never empty"))
        .unwrap();
    room.send("the end").await.unwrap();
    hears(&there, "the end").await;
    let heard = texts(&there).await;
    for text in &acknowledged {
        assert_eq!(heard.iter().filter(|heard| *heard == text).count(), 1, "{fault:?}: {text} in {heard:?}");
    }
    assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), heard.len(), "{fault:?}: {heard:?} repeats a text");
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        // A generation that was used twice would show here.
        assert!(!matches!(event, Event::Unreadable { .. } | Event::Halted { .. }), "{fault:?}: {event:?}");
    }
    agree(&[&room, &there]).await;
    faulty.calls() > fault.call
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
async fn a_crash_before_any_call_of_the_store_loses_nothing() {
    survives_everywhere(Moment::Before, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_any_call_of_the_store_loses_nothing() {
    survives_everywhere(Moment::After, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_before_any_call_loses_nothing() {
    survives_everywhere(Moment::Before, Effect::Fail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_after_any_call_loses_nothing() {
    survives_everywhere(Moment::After, Effect::Fail).await;
}

/// A room is created, and two come in: each of them with a fault in the store of its first life.
async fn enters(world: &World, number: u64, fault: Fault) -> bool {
    let soon = Duration::from_millis(300);
    let name = |who: &str| format!("{who}{number}");
    let room_name = name("r");
    let stores: Vec<Arc<MemoryStore>> = (0..3).map(|_| Arc::new(MemoryStore::new())).collect();
    let faulty: Vec<_> = stores.iter().map(|store| Arc::new(FaultStore::new(store.clone(), fault))).collect();

    if let Ok(alice) = world.open(&name("alice"), faulty[0].clone()).await {
        let _ = timeout(soon, alice.create_room(&room_name)).await;
        let _ = alice.close().await;
    }
    let alice = world.open(&name("alice"), stores[0].clone()).await.unwrap();
    let created = alice.create_room(&room_name).await;
    assert!(matches!(created, Ok(_) | Err(Error::Usage(Usage::RoomExists))), "{fault:?}: {created:?}");
    let room = alice.entered(&room_name).await.unwrap();

    let first = world.open(&name("bob"), faulty[1].clone()).await;
    if let Ok(bob) = &first {
        let _ = timeout(soon, bob.reachable()).await;
    }
    let second = if first.is_err() { Some(world.open(&name("bob"), stores[1].clone()).await.unwrap()) } else { None };
    let wish = tokio::spawn({
        let (room, bob) = (room.clone(), name("bob"));
        async move {
            // Until the server has key packages of Bob there is nobody to invite.
            while room.invite(&bob).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    if let Ok(bob) = first {
        let _ = timeout(soon, bob.entered(&room_name)).await;
        let _ = bob.close().await;
    }
    let bob = match second {
        Some(bob) => bob,
        None => world.open(&name("bob"), stores[1].clone()).await.unwrap(),
    };
    wish.await.unwrap();
    let there = timeout(Duration::from_secs(10), bob.entered(&room_name)).await;
    let there = there.unwrap_or_else(|_| panic!("{fault:?}: never welcomed")).unwrap();
    there.send("bob is here").await.unwrap();
    hears(&room, "bob is here").await;

    if let Ok(dana) = world.open(&name("dana"), faulty[2].clone()).await {
        let _ = timeout(soon, dana.join_room(&room_name)).await;
        let _ = dana.close().await;
    }
    let dana = world.open(&name("dana"), stores[2].clone()).await.unwrap();
    let here = timeout(Duration::from_secs(10), dana.join_room(&room_name)).await;
    let here = here.unwrap_or_else(|_| panic!("{fault:?}: never came in")).unwrap();
    here.send("dana is here").await.unwrap();
    hears(&room, "dana is here").await;
    hears(&there, "dana is here").await;
    agree(&[&room, &there, &here]).await;
    assert_eq!(room.view().await.unwrap().members.len(), 3, "{fault:?}: somebody is there twice");
    faulty.iter().any(|store| store.calls() > fault.call)
}

async fn enters_everywhere(moment: Moment, effect: Effect) {
    let world = World::new().await;
    let mut call = 0;
    while enters(&world, call, Fault { call, moment, effect }).await {
        call += 1;
    }
    assert!(call > 5, "only {call} calls of the store: this test shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_any_call_of_the_store_keeps_nobody_out() {
    enters_everywhere(Moment::Before, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_any_call_of_the_store_keeps_nobody_out() {
    enters_everywhere(Moment::After, Effect::Crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_after_any_call_keeps_nobody_out() {
    enters_everywhere(Moment::After, Effect::Fail).await;
}

/// A store type that is not `MemoryStore` goes in as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_store_will_do() {
    let world = World::new().await;
    let store: Box<dyn Store> = Box::new(MemoryStore::new());
    world.open("alice", store).await.unwrap().create_room("meeting").await.unwrap();
}
