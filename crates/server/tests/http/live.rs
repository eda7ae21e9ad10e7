use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyroom_api::{ClientError, Code, EntryKind, Live, LiveEvent};
use keyroom_delivery::{Bus, LocalBus, Subscription, Topic};

use keyroom_wire::{CipherSuite, Extensions};

use crate::world::{
    NOW, SUITE, World, application, bundle, device, founding, key, key_package, key_package_of, room, with_welcome,
};

/// A bus that loses two hints of three and doubles the others.
#[derive(Default)]
struct Lossy {
    bus: LocalBus,
    count: AtomicU64,
}

impl Bus for Lossy {
    fn publish(&self, topic: &Topic) {
        if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            self.bus.publish(topic);
            self.bus.publish(topic);
        }
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe()
    }
}

/// So long that nothing in a test arrives by looking.
const NEVER: Duration = Duration::from_secs(600);

async fn next(live: &mut Live) -> LiveEvent {
    let event = tokio::time::timeout(Duration::from_secs(10), live.next()).await;
    event.expect("an event in time").unwrap().expect("an open connection")
}

/// Sequence numbers of the entries up to and including `last`.
async fn sequences(live: &mut Live, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        if let LiveEvent::Entry { entry, .. } = next(live).await {
            seen.push(entry.sequence);
        }
    }
    seen
}

#[tokio::test]
async fn entries_and_welcomes_are_pushed_as_they_come() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    bob.publish_key_packages((0..20).map(key_package).collect()).await.unwrap();
    let mut live = bob.live().await.unwrap();
    live.mailbox(0).await.unwrap();
    let add = with_welcome(bundle("g", 0, 1), &["bob/phone"], 1);
    alice.commit(&meeting, &add, &key("add")).await.unwrap();
    let LiveEvent::Mailbox(item) = next(&mut live).await else { panic!() };
    assert_eq!((&item.room, item.epoch, item.cursor), (&meeting, 1, 1));
    live.subscribe(&item.room, item.cursor).await.unwrap();
    assert_eq!(next(&mut live).await, LiveEvent::CaughtUp { room: meeting.clone(), head: 1 });
    alice.send_message(&meeting, application("g", 1, 2), &key("m")).await.unwrap();
    let LiveEvent::Entry { entry, .. } = next(&mut live).await else { panic!() };
    assert_eq!((entry.sequence, entry.message), (2, application("g", 1, 2)));
    live.unsubscribe(&meeting).await.unwrap();
    live.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_doubled_wake_ups_lose_double_and_reorder_nothing() {
    let world = World::with(|config| {
        config.bus = Arc::new(Lossy::default());
        config.limits.poll = Duration::from_millis(50);
        config.limits.page = 4;
    })
    .await;
    let alice = world.connect("alice/phone");
    let rooms = ["one", "two"].map(room);
    for (group, room) in ["one", "two"].iter().zip(&rooms) {
        alice.create_room(room, &founding(group, 0)).await.unwrap();
        for mark in 1..=10 {
            alice.send_message(room, application(group, 0, mark), &key(format!("{group}{mark}"))).await.unwrap();
        }
    }
    let mut live = world.connect("bob/phone").live().await.unwrap();
    live.subscribe(&rooms[0], 3).await.unwrap();
    live.subscribe(&rooms[1], 0).await.unwrap();
    let writing = {
        let rooms = rooms.clone();
        tokio::spawn(async move {
            for mark in 11..=30 {
                for (group, room) in ["one", "two"].iter().zip(&rooms) {
                    let message = application(group, 0, mark);
                    alice.send_message(room, message, &key(format!("{group}{mark}"))).await.unwrap();
                }
            }
        })
    };
    let mut seen = [Vec::new(), Vec::new()];
    let mut caught_up = 0;
    while seen.iter().any(|room| room.last() != Some(&30)) {
        match next(&mut live).await {
            LiveEvent::Entry { room, entry } => seen[usize::from(room == rooms[1])].push(entry.sequence),
            LiveEvent::CaughtUp { .. } => caught_up += 1,
            other => panic!("{other:?}"),
        }
    }
    writing.await.unwrap();
    assert_eq!(seen[0], (4..=30).collect::<Vec<_>>());
    assert_eq!(seen[1], (1..=30).collect::<Vec<_>>());
    assert!(caught_up <= 2);
}

/// Messages and commits of each room while a crowd listens in all of them: everybody gets each once and in
/// order. Who comes late reads a part from its cursor.
async fn a_crowd_hears_everything(world: &World, names: &[&str]) {
    const ENTRIES: u64 = 40;
    let alice = world.connect("alice/phone");
    for name in names {
        alice.create_room(&room(name), &founding(name, 0)).await.unwrap();
    }
    let hear = async |mut live: Live, rooms: Vec<String>, after: u64| {
        for name in &rooms {
            live.subscribe(&room(name), after).await.unwrap();
        }
        let mut seen = vec![Vec::new(); rooms.len()];
        while seen.iter().any(|room: &Vec<u64>| room.last() != Some(&ENTRIES)) {
            match next(&mut live).await {
                LiveEvent::Entry { room: of, entry } => {
                    let kind = if entry.sequence % 9 == 0 { EntryKind::Commit } else { EntryKind::Application };
                    assert_eq!(entry.kind, kind);
                    seen[rooms.iter().position(|name| room(name) == of).unwrap()].push(entry.sequence);
                }
                LiveEvent::CaughtUp { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        for seen in seen {
            assert_eq!(seen, (after + 1..=ENTRIES).collect::<Vec<_>>());
        }
    };
    let all = || names.iter().map(ToString::to_string).collect();
    let mut crowd = Vec::new();
    for _ in 0..12 {
        let live = world.connect("bob/phone").live().await.unwrap();
        crowd.push(tokio::spawn(hear(live, all(), 0)));
    }
    for number in 1..=ENTRIES {
        for name in names {
            let key = key(format!("{name}{number}"));
            let epoch = (number - 1) / 9;
            if number % 9 == 0 {
                alice.commit(&room(name), &bundle(name, epoch, number), &key).await.unwrap();
            } else {
                alice.send_message(&room(name), application(name, epoch, number), &key).await.unwrap();
            }
        }
        if number % 10 == 0 {
            let live = world.connect("bob/phone").live().await.unwrap();
            crowd.push(tokio::spawn(hear(live, all(), number / 2)));
        }
    }
    for listener in crowd {
        listener.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_told_by_hints_alone() {
    let world = World::with(|config| config.limits.poll = NEVER).await;
    a_crowd_hears_everything(&world, &["one"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_loses_hints_loses_nothing_else() {
    let world = World::with(|config| {
        config.bus = Arc::new(Lossy::default());
        config.limits.poll = Duration::from_millis(50);
    })
    .await;
    a_crowd_hears_everything(&world, &["one", "two"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_needs_nothing_that_is_held_in_memory() {
    let world = World::with(|config| {
        config.limits.poll = NEVER;
        config.limits.recent = 0;
    })
    .await;
    a_crowd_hears_everything(&world, &["one", "two"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_push_each_other_out_of_memory_take_nothing_from_a_crowd() {
    let world = World::with(|config| {
        config.limits.poll = NEVER;
        config.limits.recent = 2_000;
    })
    .await;
    a_crowd_hears_everything(&world, &["one", "two", "three", "four", "five"]).await;
}

#[tokio::test]
async fn a_connection_that_breaks_goes_on_from_its_cursor() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let send = async |marks: std::ops::RangeInclusive<u64>| {
        for mark in marks {
            alice.send_message(&meeting, application("g", 0, mark), &key(mark)).await.unwrap();
        }
    };
    send(1..=5).await;
    let bob = world.connect("bob/phone");
    let mut live = bob.live().await.unwrap();
    live.subscribe(&meeting, 0).await.unwrap();
    assert_eq!(sequences(&mut live, 3).await, [1, 2, 3]);
    drop(live);
    send(6..=8).await;
    let mut live = bob.live().await.unwrap();
    live.subscribe(&meeting, 3).await.unwrap();
    assert_eq!(sequences(&mut live, 8).await, [4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_device_whose_key_packages_run_low_is_told() {
    let world = World::with(|config| config.limits.low_stock = 2).await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    bob.publish_key_packages((0..3).map(key_package).collect()).await.unwrap();
    let mut live = bob.live().await.unwrap();
    live.mailbox(0).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let user = device("bob/any").user();
    alice.claim_key_packages(&user, SUITE.0).await.unwrap();
    alice.claim_key_packages(&user, SUITE.0).await.unwrap();
    assert_eq!(next(&mut live).await, LiveEvent::KeyPackagesLow { left: 1 });
}

#[tokio::test]
async fn a_device_is_told_of_a_suite_that_runs_low_however_many_key_packages_of_others_there_are() {
    let world = World::with(|config| config.limits.low_stock = 2).await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let other = CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
    let packages = (0..20).map(|id| key_package_of(id, other, NOW + 900, Extensions::new()));
    bob.publish_key_packages(packages.chain((20..22).map(key_package)).collect()).await.unwrap();
    let mut live = bob.live().await.unwrap();
    live.mailbox(0).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(300), live.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    alice.claim_key_packages(&device("bob/any").user(), SUITE.0).await.unwrap();
    assert_eq!(next(&mut live).await, LiveEvent::KeyPackagesLow { left: 1 });
}

#[tokio::test]
async fn a_refused_request_is_answered_and_the_connection_goes_on() {
    let world = World::with(|config| config.limits.live_rooms = 1).await;
    let alice = world.connect("alice/phone");
    let (first, second) = (room("first"), room("second"));
    alice.create_room(&first, &founding("1", 0)).await.unwrap();
    alice.create_room(&second, &founding("2", 0)).await.unwrap();
    let mut live = alice.live().await.unwrap();
    live.subscribe(&room("nowhere"), 0).await.unwrap();
    assert_eq!(live.next().await.unwrap_err().code(), Some(Code::UnknownRoom));
    live.subscribe(&first, 0).await.unwrap();
    assert_eq!(next(&mut live).await, LiveEvent::CaughtUp { room: first.clone(), head: 0 });
    live.subscribe(&second, 0).await.unwrap();
    assert_eq!(live.next().await.unwrap_err().code(), Some(Code::TooLarge));
    live.unsubscribe(&first).await.unwrap();
    live.subscribe(&second, 0).await.unwrap();
    assert_eq!(next(&mut live).await, LiveEvent::CaughtUp { room: second, head: 0 });
    let stranger = world.connect_as("mimi://other.org/d/eve/pc".parse().unwrap());
    let Err(ClientError::Problem(problem)) = stranger.live().await else { panic!() };
    assert_eq!(problem.code, Code::WrongName);
}
