use keyroom_api::{Code, CommitBundle, RoomBundle, RoomStatus};
use keyroom_delivery::Handshakes;
use keyroom_wire::{ContentType, Extensions};

use crate::world::{
    World, bundle, commit, founding, group_info, group_info_with, key, key_package, private, proposal, room, welcome,
    with_welcome,
};

#[tokio::test]
async fn a_room_is_created_once_and_a_repetition_is_recognised_by_its_group() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    assert_eq!(alice.room(&meeting).await.unwrap_err().code(), Some(Code::UnknownRoom));
    let start = RoomStatus { epoch: 0, head: 0, closed: None };
    assert_eq!(alice.create_room(&meeting, &founding("g", 0)).await.unwrap(), start);
    assert_eq!(alice.create_room(&meeting, &founding("g", 0)).await.unwrap(), start);
    let taken = alice.create_room(&meeting, &founding("other", 0)).await.unwrap_err();
    assert_eq!(taken.code(), Some(Code::NameTaken));
    let taken = alice.create_room(&room("second"), &founding("g", 0)).await.unwrap_err();
    assert_eq!(taken.code(), Some(Code::GroupTaken));
    assert_eq!(alice.room(&meeting).await.unwrap(), start);
    let bare = RoomBundle { group_info: group_info_with("bare", 0, Extensions::new()), ..founding("bare", 0) };
    assert_eq!(alice.create_room(&room("bare"), &bare).await.unwrap_err().code(), Some(Code::Invalid));
    let later = alice.create_room(&room("later"), &founding("later", 2)).await.unwrap_err();
    assert_eq!(later.code(), Some(Code::Invalid), "a group is registered in its first epoch");
    alice.create_room(&room("beside"), &RoomBundle { ratchet_tree: Some(vec![0]), ..bare }).await.unwrap();
    alice.create_room(&room("continued"), &founding("continued", 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_commits_for_one_epoch_exactly_one_wins_and_the_others_learn_it() {
    let world = World::new().await;
    let meeting = room("meeting");
    world.connect("alice/phone").create_room(&meeting, &founding("g", 0)).await.unwrap();
    for epoch in 0..3 {
        let racers = (0..24).map(|number| {
            let racer = world.connect(&format!("racer{number}/phone"));
            let meeting = meeting.clone();
            tokio::spawn(async move { racer.commit(&meeting, &bundle("g", epoch, number), &key(epoch)).await })
        });
        let mut winners = Vec::new();
        let mut conflicts = Vec::new();
        for (number, racer) in racers.collect::<Vec<_>>().into_iter().enumerate() {
            match racer.await.unwrap() {
                Ok(receipt) => winners.push((number, receipt)),
                Err(error) => conflicts.push(error.conflict().unwrap_or_else(|| panic!("{error}")).clone()),
            }
        }
        let [(winner, receipt)] = winners[..] else { panic!("{} winners", winners.len()) };
        assert_eq!((receipt.epoch, receipt.sequence), (epoch, epoch + 1));
        assert_eq!(conflicts.len(), 23);
        for conflict in conflicts {
            assert_eq!((conflict.epoch, conflict.head), (epoch + 1, epoch + 1));
            assert_eq!(conflict.commit_sequence, Some(epoch + 1));
            assert_eq!(conflict.commit, Some(commit("g", epoch, winner as u64)));
        }
    }
    let page = world.connect("alice/phone").log(&meeting, 0, Default::default()).await.unwrap();
    assert_eq!((page.epoch, page.head, page.entries.len()), (3, 3, 3));
}

#[tokio::test]
async fn a_repeated_commit_gets_the_stored_outcome_also_when_the_room_has_moved_on() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    alice.publish_key_packages(vec![key_package(1)]).await.unwrap();
    let first = with_welcome(bundle("g", 0, 1), &["alice/phone"], 1);
    let receipt = alice.commit(&meeting, &first, &key("a")).await.unwrap();
    assert_eq!(alice.commit(&meeting, &first, &key("a")).await.unwrap(), receipt);
    alice.commit(&meeting, &bundle("g", 1, 2), &key("b")).await.unwrap();
    assert_eq!(alice.commit(&meeting, &first, &key("a")).await.unwrap(), receipt);
    assert_eq!(alice.room(&meeting).await.unwrap(), RoomStatus { epoch: 2, head: 2, closed: None });
    assert_eq!(alice.mailbox(0).await.unwrap().items.len(), 1, "the Welcome went out once");

    let reused = alice.commit(&meeting, &bundle("g", 2, 3), &key("a")).await.unwrap_err();
    assert_eq!(reused.code(), Some(Code::KeyReused));
    // Another device may use the same key.
    world.connect("bob/phone").commit(&meeting, &bundle("g", 2, 3), &key("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repetitions_that_race_are_carried_out_once() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let racers = (0..16).map(|_| {
        let (alice, meeting) = (alice.clone(), meeting.clone());
        tokio::spawn(async move { alice.commit(&meeting, &bundle("g", 0, 7), &key("same")).await })
    });
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(receipt) => assert_eq!(receipt.sequence, 1),
            // It looked for its key before the winner had stored it, and for the epoch after.
            Err(error) => assert_eq!(error.conflict().unwrap().commit, Some(commit("g", 0, 7))),
        }
    }
    assert_eq!(alice.room(&meeting).await.unwrap().head, 1);
    assert_eq!(alice.commit(&meeting, &bundle("g", 0, 7), &key("same")).await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_commit_becomes_visible_with_its_welcomes_and_group_info_or_not_at_all() {
    let world = World::with(|config| config.limits.mailbox = 1).await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    bob.publish_key_packages(vec![key_package(1)]).await.unwrap();

    let to_nobody = with_welcome(bundle("g", 0, 1), &["bob/phone", "nobody/phone"], 1);
    let error = alice.commit(&meeting, &to_nobody, &key("a")).await.unwrap_err();
    let keyroom_api::ClientError::Problem(problem) = &error else { panic!("{error}") };
    assert_eq!((problem.code, problem.index), (Code::UnknownDevice, Some(1)));
    assert_eq!(alice.room(&meeting).await.unwrap(), RoomStatus { epoch: 0, head: 0, closed: None });
    assert_eq!(bob.mailbox(0).await.unwrap().items, []);

    let to_bob = with_welcome(bundle("g", 0, 1), &["bob/phone"], 1);
    alice.commit(&meeting, &to_bob, &key("a")).await.unwrap();
    let items = bob.mailbox(0).await.unwrap().items;
    assert_eq!((items[0].epoch, items[0].cursor, &items[0].room), (1, 1, &meeting));
    assert_eq!(items[0].welcome, welcome([0], 1));
    assert_eq!(alice.epoch_info(&meeting).await.unwrap().group_info, group_info("g", 1));

    let again = with_welcome(bundle("g", 1, 2), &["bob/phone"], 2);
    let error = alice.commit(&meeting, &again, &key("b")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::MailboxFull));
    assert!(error.is_retryable());
    bob.acknowledge(items[0].sequence).await.unwrap();
    bob.acknowledge(items[0].sequence).await.unwrap();
    alice.commit(&meeting, &again, &key("b")).await.unwrap();
    let item = &bob.mailbox(items[0].sequence).await.unwrap().items[0];
    assert!(item.sequence > items[0].sequence, "numbers are not used twice");
}

#[tokio::test]
async fn the_public_state_of_recent_epochs_is_kept() {
    let world = World::with(|config| config.limits.epochs_kept = 2).await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    for epoch in 0..3 {
        alice.commit(&meeting, &bundle("g", epoch, epoch), &key(epoch)).await.unwrap();
    }
    assert_eq!(alice.epoch_info_of(&meeting, 2).await.unwrap().group_info, group_info("g", 2));
    assert_eq!(alice.epoch_info_of(&meeting, 3).await.unwrap().head, 3);
    for epoch in [0, 1, 4, u64::MAX] {
        let error = alice.epoch_info_of(&meeting, epoch).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::UnknownEpoch), "{epoch}");
    }
}

#[tokio::test]
async fn what_does_not_belong_to_the_room_and_epoch_is_refused() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let good = bundle("g", 0, 1);
    let wrong = [
        CommitBundle { commit: commit("other", 0, 1), ..good.clone() },
        CommitBundle { commit: private("g", 0, ContentType::Commit, 1), ..good.clone() },
        CommitBundle { commit: commit("g", i64::MAX as u64, 1), ..good.clone() },
        CommitBundle { group_info: group_info("g", 0), ..good.clone() },
        CommitBundle { group_info: group_info("other", 1), ..good.clone() },
    ];
    for (number, bundle) in wrong.iter().enumerate() {
        let error = alice.commit(&meeting, bundle, &key(number)).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::Invalid), "{number}");
    }
    let other_kinds = [
        CommitBundle { commit: proposal("g", 0, 1), ..good.clone() },
        CommitBundle { commit: welcome([], 1), ..good.clone() },
        CommitBundle { group_info: commit("g", 0, 1), ..good.clone() },
        with_welcome(CommitBundle { ..good.clone() }, &["alice/phone"], 0),
    ];
    for (number, mut bundle) in other_kinds.into_iter().enumerate() {
        bundle.welcomes.iter_mut().for_each(|w| w.welcome = group_info("g", 1));
        let error = alice.commit(&meeting, &bundle, &key(number)).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::Malformed), "{number}");
    }
    let foreign = CommitBundle { welcomes: vec![], ..good.clone() };
    let mut foreign = with_welcome(foreign, &["bob/phone"], 1);
    foreign.welcomes[0].devices = vec!["mimi://other.org/d/bob/phone".parse().unwrap()];
    assert_eq!(alice.commit(&meeting, &foreign, &key("f")).await.unwrap_err().code(), Some(Code::WrongName));
    let mut short = with_welcome(good.clone(), &["alice/phone", "bob/phone"], 1);
    short.welcomes[0].devices.truncate(1);
    let refused = alice.commit(&meeting, &short, &key("s")).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Invalid), "one addressee for each of the secrets");
    let early = alice.commit(&meeting, &bundle("g", 5, 1), &key("e")).await.unwrap_err();
    assert_eq!((early.conflict().unwrap().epoch, early.conflict().unwrap().commit.as_ref()), (0, None));
    assert_eq!(alice.room(&meeting).await.unwrap(), RoomStatus { epoch: 0, head: 0, closed: None });
    alice.commit(&meeting, &good, &key("good")).await.unwrap();
}

#[tokio::test]
async fn private_commits_are_ordered_too_where_the_server_takes_them() {
    let world = World::with(|config| config.handshakes = Handshakes::PublicAndPrivate).await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    let access_key = Some(vec![7; 32]);
    alice.create_room(&meeting, &RoomBundle { access_key: access_key.clone(), ..founding("g", 0) }).await.unwrap();
    let bundle = |epoch, mark| CommitBundle { access_key: access_key.clone(), ..bundle("g", epoch, mark) };
    let secret = CommitBundle { commit: private("g", 0, ContentType::Commit, 1), ..bundle(0, 1) };
    alice.send_message(&meeting, private("g", 0, ContentType::Proposal, 1), &key("p")).await.unwrap();
    let skipped = CommitBundle { group_info: group_info("g", 2), ..secret.clone() };
    assert_eq!(alice.commit(&meeting, &skipped, &key("a")).await.unwrap_err().code(), Some(Code::Invalid));
    let bare = CommitBundle { group_info: group_info_with("g", 1, Extensions::new()), ..secret.clone() };
    assert_eq!(alice.commit(&meeting, &bare, &key("a")).await.unwrap_err().code(), Some(Code::Invalid));
    alice.commit(&meeting, &secret, &key("a")).await.unwrap();
    let late = alice.commit(&meeting, &bundle(0, 9), &key("b")).await.unwrap_err();
    assert_eq!(late.conflict().unwrap().commit, Some(secret.commit));
    alice.commit(&meeting, &bundle(1, 2), &key("c")).await.unwrap();
}
