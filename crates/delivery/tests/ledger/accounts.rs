use keyroom_api::DeviceUri;
use keyroom_crypto::Secret;
use keyroom_delivery::{Entered, Entrance, SignatureKey};

use crate::Database;

const NOW: u64 = 1_000;

fn device(name: &str) -> DeviceUri {
    format!("mimi://h/d/{name}/phone").parse().unwrap()
}

fn key(cipher_suite: u16, public: u8) -> SignatureKey {
    SignatureKey { cipher_suite, public: vec![public; 32] }
}

/// Alice, who is new, with one key.
fn entrance(challenge: u8) -> Entrance {
    Entrance {
        device: device("alice"),
        known: Vec::new(),
        new: vec![key(1, 1)],
        challenge: vec![challenge; 32],
        expires: NOW + 60,
        now: NOW,
    }
}

pub(crate) async fn all_nodes_have_one_secret_and_it_stays(database: &Database) {
    let nodes = [database.accounts().await, database.accounts().await];
    let calls = (0..8u8).map(|number| {
        let node = nodes[usize::from(number % 2)].clone();
        tokio::spawn(async move { node.secret(Secret::copy_of(&[number; 32])).await.unwrap().expose().to_vec() })
    });
    let mut seen = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        seen.push(call.await.unwrap());
    }
    assert!(seen.iter().all(|secret| *secret == seen[0] && secret.len() == 32));
    drop(nodes);
    let later = database.accounts().await.secret(Secret::copy_of(&[99; 32])).await.unwrap();
    assert_eq!(later.expose(), seen[0]);
}

pub(crate) async fn a_challenge_is_spent_once_also_between_nodes(database: &Database) {
    let nodes = [database.accounts().await, database.accounts().await];
    let races = (0..8usize).map(|number| {
        let node = nodes[number % 2].clone();
        let entrance = Entrance { device: device(&format!("racer{number}")), ..entrance(7) };
        tokio::spawn(async move { (number, node.enter(entrance).await.unwrap()) })
    });
    let mut entered = Vec::new();
    for race in races.collect::<Vec<_>>() {
        match race.await.unwrap() {
            (number, Entered::Done) => entered.push(number),
            (number, other) => {
                assert_eq!(other, Entered::Spent);
                let keys = nodes[0].keys(&device(&format!("racer{number}"))).await.unwrap();
                assert_eq!(keys, [], "a spent challenge registers nothing");
            }
        }
    }
    assert_eq!(entered.len(), 1);
    // It is remembered for as long as it would be good, and not for longer.
    let late = |now| Entrance { device: device("late"), now, ..entrance(7) };
    assert_eq!(nodes[1].enter(late(NOW + 60)).await.unwrap(), Entered::Spent);
    assert_eq!(nodes[1].enter(late(NOW + 61)).await.unwrap(), Entered::Done);
}

pub(crate) async fn a_key_is_registered_only_where_nothing_has_changed(database: &Database) {
    let nodes = [database.accounts().await, database.accounts().await];
    assert_eq!(nodes[0].keys(&device("alice")).await.unwrap(), []);
    assert_eq!(nodes[0].enter(entrance(1)).await.unwrap(), Entered::Done);
    assert_eq!(nodes[1].keys(&device("alice")).await.unwrap(), [key(1, 1)]);
    // Somebody who thinks that she is new.
    let other = Entrance { new: vec![key(1, 2)], ..entrance(2) };
    assert_eq!(nodes[1].enter(other).await.unwrap(), Entered::Changed);
    assert_eq!(nodes[1].keys(&device("alice")).await.unwrap(), [key(1, 1)]);
    // What was refused has not spent its challenge.
    let again = Entrance { known: vec![key(1, 1)], new: Vec::new(), ..entrance(2) };
    assert_eq!(nodes[1].enter(again.clone()).await.unwrap(), Entered::Done);
    assert_eq!(nodes[0].enter(again).await.unwrap(), Entered::Spent);
    let more = Entrance { known: vec![key(1, 1)], new: vec![key(3, 3), key(2, 2)], ..entrance(3) };
    assert_eq!(nodes[0].enter(more).await.unwrap(), Entered::Done);
    assert_eq!(nodes[1].keys(&device("alice")).await.unwrap(), [key(1, 1), key(2, 2), key(3, 3)]);
    assert_eq!(nodes[1].keys(&device("bob")).await.unwrap(), []);
}
