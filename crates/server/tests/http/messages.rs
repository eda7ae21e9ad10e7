use std::time::{Duration, Instant};

use keyroom_api::{Code, EntryKind};

use crate::world::{NOW, World, application, bundle, commit, founding, key, proposal, room};

#[tokio::test]
async fn messages_and_commits_share_one_log_without_gaps() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    alice.send_message(&meeting, application("g", 0, 1), &key(1)).await.unwrap();
    alice.send_message(&meeting, proposal("g", 0, 2), &key(2)).await.unwrap();
    alice.commit(&meeting, &bundle("g", 0, 3), &key(3)).await.unwrap();
    let receipt = alice.send_message(&meeting, application("g", 1, 4), &key(4)).await.unwrap();
    assert_eq!((receipt.sequence, receipt.epoch, receipt.accepted_at), (4, 1, NOW * 1_000));
    let page = alice.log(&meeting, 0, Duration::ZERO).await.unwrap();
    let seen: Vec<_> = page.entries.iter().map(|e| (e.sequence, e.epoch, e.kind)).collect();
    let kinds = [EntryKind::Application, EntryKind::Proposal, EntryKind::Commit, EntryKind::Application];
    assert_eq!(seen, [(1, 0, kinds[0]), (2, 0, kinds[1]), (3, 0, kinds[2]), (4, 1, kinds[3])]);
    assert_eq!(page.entries[2].message, commit("g", 0, 3));
    assert_eq!((page.epoch, page.head), (1, 4));
}

#[tokio::test]
async fn a_reader_pages_from_its_cursor() {
    let world = World::with(|config| config.limits.page = 3).await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    for mark in 1..=8 {
        alice.send_message(&meeting, application("g", 0, mark), &key(mark)).await.unwrap();
    }
    let mut cursor = 0;
    let mut pages = Vec::new();
    loop {
        let page = alice.log(&meeting, cursor, Duration::ZERO).await.unwrap();
        let Some(last) = page.entries.last() else { break };
        pages.push(page.entries.len());
        assert_eq!(page.entries[0].sequence, cursor + 1);
        cursor = last.sequence;
    }
    assert_eq!((pages, cursor), (vec![3, 3, 2], 8));
    assert!(alice.log(&meeting, u64::MAX, Duration::ZERO).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn pages_end_at_a_size_and_hold_one_entry_at_least() {
    let world = World::with(|config| config.limits.page_bytes = 1).await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    for mark in 1..=2 {
        alice.send_message(&meeting, application("g", 0, mark), &key(mark)).await.unwrap();
    }
    assert_eq!(alice.log(&meeting, 0, Duration::ZERO).await.unwrap().entries.len(), 1);
    assert_eq!(alice.log(&meeting, 1, Duration::ZERO).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_repeated_message_is_appended_once() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let first = alice.send_message(&meeting, application("g", 0, 1), &key("a")).await.unwrap();
    assert_eq!(alice.send_message(&meeting, application("g", 0, 1), &key("a")).await.unwrap(), first);
    let other = alice.send_message(&meeting, application("g", 0, 2), &key("a")).await.unwrap_err();
    assert_eq!(other.code(), Some(Code::KeyReused));
    assert_eq!(alice.room(&meeting).await.unwrap().head, 1);
}

#[tokio::test]
async fn application_messages_may_be_a_little_late_and_proposals_may_not() {
    let world = World::with(|config| config.limits.late_epochs = 1).await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    alice.commit(&meeting, &bundle("g", 0, 1), &key("c0")).await.unwrap();
    alice.send_message(&meeting, application("g", 0, 1), &key("a")).await.unwrap();
    let late = alice.send_message(&meeting, proposal("g", 0, 1), &key("p")).await.unwrap_err();
    assert_eq!(late.conflict().unwrap().commit, Some(commit("g", 0, 1)));
    alice.commit(&meeting, &bundle("g", 1, 2), &key("c1")).await.unwrap();
    for epoch in [0, 3] {
        let error = alice.send_message(&meeting, application("g", epoch, 9), &key("z")).await.unwrap_err();
        assert_eq!(error.conflict().unwrap().epoch, 2, "{epoch}");
    }
    let commit_as_message = alice.send_message(&meeting, commit("g", 2, 1), &key("m")).await.unwrap_err();
    assert_eq!(commit_as_message.code(), Some(Code::Malformed));
    let elsewhere = alice.send_message(&meeting, application("other", 2, 1), &key("o")).await.unwrap_err();
    assert_eq!(elsewhere.code(), Some(Code::Invalid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_is_woken() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let reading = {
        let meeting = meeting.clone();
        tokio::spawn(async move { bob.log(&meeting, 0, Duration::from_secs(20)).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let sent = Instant::now();
    alice.send_message(&meeting, application("g", 0, 1), &key("a")).await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap().entries.len(), 1);
    assert!(sent.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_one_log_and_every_receipt_is_true() {
    let world = World::new().await;
    let meeting = room("meeting");
    world.connect("alice/phone").create_room(&meeting, &founding("g", 0)).await.unwrap();
    let writers = (0..8u64).map(|writer| {
        let (connection, meeting) = (world.connect(&format!("writer{writer}/phone")), meeting.clone());
        tokio::spawn(async move {
            let mut sent = Vec::new();
            for number in 0..10 {
                let message = application("g", 0, writer * 100 + number);
                let receipt = connection.send_message(&meeting, message.clone(), &key(number)).await.unwrap();
                sent.push((receipt.sequence, message));
            }
            sent
        })
    });
    let mut sent = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        sent.extend(writer.await.unwrap());
    }
    sent.sort();
    let page = world.connect("alice/phone").log(&meeting, 0, Duration::ZERO).await.unwrap();
    let log: Vec<_> = page.entries.into_iter().map(|entry| (entry.sequence, entry.message)).collect();
    assert_eq!(log, sent);
    assert_eq!(log.len(), 80);
}
