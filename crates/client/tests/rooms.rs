//! Clients in rooms, with a real server in the same process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::time::Duration;

use keyroom::{Client, Code, Error, Event, MemoryStore, MessageState, PathUpdates, Room, Usage};
use tokio::time::timeout;
use world::{World, agree, hears, reaches, texts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_are_invited_talk() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    assert_eq!(room.invite("bob").await, Ok(1));
    let there = bob.entered("meeting").await.unwrap();
    room.send("Hello, Bob.").await.unwrap();
    let message = hears(&there, "Hello, Bob.").await;
    assert_eq!(message.sender, *alice.device());
    assert_eq!((message.epoch, message.state), (Some(1), MessageState::Received));
    there.send("Hello, Alice.").await.unwrap();
    assert_eq!(hears(&room, "Hello, Alice.").await.sender.to_string(), "mimi://localhost/d/bob/main");
    agree(&[&room, &there]).await;
}

/// All replace their keys five times, at once. Returns how many commits were overtaken.
async fn all_rotate(rooms: &[Room]) -> u64 {
    let mut races = tokio::task::JoinSet::new();
    for room in rooms {
        let room = room.clone();
        races.spawn(async move {
            let mut lost = 0;
            let mut events = room.events();
            for _ in 0..5 {
                room.rotate().await.unwrap();
            }
            while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
                lost += u64::from(matches!(event, Event::Rebased { .. }));
            }
            lost
        });
    }
    races.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_commits_that_race_all_take_effect_one_after_the_other() {
    let world = World::new().await;
    let clients: Vec<Client> =
        vec![world.client("alice").await, world.client("bob").await, world.client("charlie").await];
    let founder = clients[0].create_room("meeting").await.unwrap();
    assert_eq!(founder.invite_all(["bob", "charlie"]).await, Ok(vec![Ok(1), Ok(1)]));
    let mut rooms = Vec::new();
    for client in &clients {
        rooms.push(client.entered("meeting").await.unwrap());
    }
    let begin = rooms[0].view().await.unwrap().epoch;
    for room in &rooms {
        reaches(room, begin).await;
    }
    // Whether they meet is chance.
    let (mut rounds, mut lost) = (0, 0);
    while lost == 0 {
        assert!(rounds < 20, "nobody loses a race: this test shows nothing");
        lost = all_rotate(&rooms).await;
        rounds += 1;
    }
    for room in &rooms {
        reaches(room, begin + 15 * rounds).await;
    }
    agree(&rooms.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_removed_has_no_keys_and_keeps_the_history() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let there = bob.entered("meeting").await.unwrap();
    let mut events = there.events();
    room.send("before").await.unwrap();
    hears(&there, "before").await;
    // Not awaited one by one: what is said after the wish is encrypted without Bob.
    let (removed, said) = tokio::join!(room.remove("bob"), room.send("after"));
    assert_eq!(removed, Ok(2));
    said.unwrap();
    room.flush().await.unwrap();
    assert_eq!(hears(&room, "after").await.epoch, Some(2));
    loop {
        if let Event::Removed { by } = events.next().await.unwrap() {
            assert_eq!(by.as_ref(), Some(alice.device()));
            break;
        }
    }
    assert_eq!(there.view().await, Err(Usage::Removed.into()));
    assert_eq!(there.send("still here?").await, Err(Usage::Removed.into()));
    assert_eq!(texts(&there).await, ["before"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_comes_in_uninvited_and_comes_in_again_after_a_removal() {
    let world = World::new().await;
    let (alice, dana) = (world.client("alice").await, world.client("dana").await);
    let room = alice.create_room("meeting").await.unwrap();
    let there = dana.join_room("meeting").await.unwrap();
    reaches(&room, 1).await;
    agree(&[&room, &there]).await;
    room.remove("dana").await.unwrap();
    world::removed(&there).await;
    let there = dana.join_room("meeting").await.unwrap();
    reaches(&room, 3).await;
    agree(&[&room, &there]).await;
    there.send("back again").await.unwrap();
    hears(&room, "back again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_store_of_a_member_takes_the_place_of_the_lost_one_only_under_its_own_key() {
    let world = World::new().await;
    let (alice, dana) = (world.client("alice").await, world.client("dana").await);
    let room = alice.create_room("meeting").await.unwrap();
    dana.join_room("meeting").await.unwrap();
    reaches(&room, 1).await;
    // Nothing proves that the same name with other keys is the same device: the server takes nothing of it.
    let again = world.open("dana", MemoryStore::new()).await.unwrap();
    let refused = Error::Refused(Code::KeyMismatch);
    assert_eq!(again.reachable().await, Err(refused.clone()));
    assert_eq!(again.join_room("meeting").await.unwrap_err(), refused);
    let view = room.view().await.unwrap();
    assert_eq!((view.epoch, view.members.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_in_types() {
    let world = World::new().await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    assert_eq!(alice.create_room("meeting").await.unwrap_err(), Usage::RoomExists.into());
    assert_eq!(bob.create_room("meeting").await.unwrap_err(), Error::Refused(Code::NameTaken));
    assert_eq!(bob.join_room("elsewhere").await.unwrap_err(), Error::Refused(Code::UnknownRoom));
    assert_eq!(room.invite("nobody").await, Err(Error::Refused(Code::UnknownUser)));
    assert_eq!(room.invite("mimi://other.example/u/bob").await, Err(Usage::ForeignHost.into()));
    assert_eq!(room.remove("bob").await, Err(Usage::NotMember.into()));
    assert_eq!(room.remove("alice").await, Err(Usage::OwnDevice.into()));
    assert!(matches!(room.invite("Not A Name").await, Err(Error::Name(_))));
    assert_eq!(alice.room("other").await.unwrap_err(), Usage::UnknownRoom.into());
    assert!(matches!(room.invite_all(["bob", "Not A Name"]).await, Err(Error::Name(_))));
    // And the room goes on, with those who can come.
    let unknown = Error::Refused(Code::UnknownUser);
    assert_eq!(room.invite_all(["nobody", "bob"]).await, Ok(vec![Err(unknown), Ok(1)]));
    // Somebody who is there already needs no commit.
    assert_eq!(room.invite("bob").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_mailbox_is_full_keeps_nobody_else_out() {
    let world = World::with(|config| config.limits.mailbox = 1).await;
    let alice = world.client("alice").await;
    // Bob is away, and fetches no Welcome.
    world.client("bob").await.close().await.unwrap();
    world.client("carol").await;
    let (first, second) = (alice.create_room("first").await.unwrap(), alice.create_room("second").await.unwrap());
    assert_eq!(first.invite("bob").await, Ok(1));
    let full = Error::Refused(Code::MailboxFull);
    assert_eq!(second.invite_all(["bob", "carol"]).await, Ok(vec![Err(full.clone()), Ok(1)]));
    assert_eq!(second.invite("bob").await, Err(full));
    assert_eq!(second.rotate().await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_packages_are_made_up_for_as_they_are_used() {
    let world = World::new().await;
    let bob = world.client("bob").await;
    let alice = world.client("alice").await;
    for name in ["one", "two", "three"] {
        let room = alice.create_room(name).await.unwrap();
        room.invite("bob").await.unwrap();
        bob.entered(name).await.unwrap();
    }
    let wanted = world::PACKAGES;
    for _ in 0..2_000 {
        if world.stock("bob").await == (wanted, 1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server has {:?} instead of {wanted} key packages", world.stock("bob").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_large_new_room_members_commit_until_commits_are_cheap() {
    let world = World::new().await;
    let soon =
        |user: &str| world.options(user).key_packages(1).path_updates(PathUpdates::After(Duration::from_millis(20)));
    let names: Vec<String> = (0..32).map(|number| format!("member{number}")).collect();
    let mut clients = Vec::new();
    for name in &names {
        let client = Client::open(MemoryStore::new(), &world.server.url(), soon(name)).await.unwrap();
        client.reachable().await.unwrap();
        clients.push(client);
    }
    let founder = clients[0].create_room("meeting").await.unwrap();
    let invited = founder.invite_all(names.iter().skip(1).map(String::as_str)).await.unwrap();
    let invited = invited.into_iter().map(Result::unwrap).max().unwrap();
    // Nobody but the founder has ever been told to commit; half of the tree has no keys of its own.
    let other = clients[16].entered("meeting").await.unwrap();
    for _ in 0..10_000 {
        let (one, two) = (founder.view().await.unwrap(), other.view().await.unwrap());
        if one.epoch > invited && one.epoch == two.epoch {
            assert_eq!(one.authenticator, two.authenticator);
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("nobody has committed");
}
