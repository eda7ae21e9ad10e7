//! Rooms with private handshakes: members prove that they know the secrets of an epoch.

use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{
    ACCESS_LABEL, AccessContent, AccessProof, Bundle as _, Code, CommitBundle, Connection, IdempotencyKey, LiveEvent,
    RoomBundle,
};
use keyroom_crypto::{Provider as _, Secret, Signer, labels::sign_with_label};
use keyroom_delivery::Handshakes;
use keyroom_delivery::Protocol;
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, TreeDelivery};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, Decode as _, Extensions, LeafIndex, Limits, MlsMessage};

use crate::protocol::{Client, INPUTS, apply, sent};
use crate::world::{SUITE, World, key, private, room};

const CLOSED: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::NotOffered };

fn config() -> Arc<Config> {
    Arc::new(Config { handshakes: HandshakePolicy::OnlyPrivate, ..Config::default() })
}

async fn world() -> World {
    World::with(|config| {
        config.validator = Arc::new(Protocol::new(&RUSTCRYPTO, Config::default()));
        config.handshakes = Handshakes::PublicAndPrivate;
    })
    .await
}

/// The key that all members of an epoch derive, and nobody else.
fn signer(secret: Secret) -> Box<dyn Signer> {
    RUSTCRYPTO.suite(CipherSuite(1)).unwrap().signer(secret.expose()).unwrap()
}

fn of(group: &Group) -> Box<dyn Signer> {
    signer(group.export("test", b"", 32).unwrap())
}

fn proof(connection: &Connection, epoch: u64, signer: &dyn Signer) -> AccessProof {
    let (room, device) = (room("meeting"), connection.device().clone());
    let content = AccessContent { room, device, epoch }.to_bytes();
    let signature = sign_with_label(signer, ACCESS_LABEL, &content, &mut keyroom_vectors::rng(9)).unwrap();
    AccessProof { epoch, signature: signature.as_slice().to_vec() }
}

fn client(world: &World, name: &str) -> Client {
    Client::new(world, name, name.bytes().map(u64::from).sum())
}

fn bundle(client: &Client) -> KeyPackageBundle {
    KeyPackageBundle::decode(&client.bundle.encode()).unwrap()
}

/// Alice founds a group for a room in which nobody can come in from outside.
fn founded(alice: &Client) -> (Group, RoomBundle) {
    let mut rng = keyroom_vectors::rng(3);
    let founder = Founder { bundle: bundle(alice), group_id: b"meeting"[..].into(), extensions: Extensions::new() };
    let (group, _) = Group::create(RUSTCRYPTO.suite(SUITE).unwrap(), founder, config(), &INPUTS, &mut rng).unwrap();
    let info = group.group_info(CLOSED, alice.signer.as_ref(), &mut rng).unwrap();
    let access_key = Some(of(&group).public_key().as_slice().to_vec());
    (group, RoomBundle { access_key, ..RoomBundle::new(info, None) })
}

/// Sends a commit of Alice with the key of the epoch that it begins.
async fn commit(alice: &Client, group: &mut Group, add: &[(&Client, &str)], remove: Option<u32>, mark: u64) {
    let mut commit = group.commit().group_info(CLOSED).welcome_tree(TreeDelivery::OutOfBand);
    for (joiner, _) in add {
        commit = commit.add(joiner.bundle.key_package.clone());
    }
    if let Some(leaf) = remove {
        commit = commit.remove(LeafIndex(leaf));
    }
    let (pending, _) = commit.build(alice.signer.as_ref(), &INPUTS, &mut keyroom_vectors::rng(mark)).unwrap();
    let names: Vec<&str> = add.iter().map(|(_, name)| *name).collect();
    let bundle = sent(&pending, &names);
    assert!(matches!(MlsMessage::from_bytes(&bundle.commit, &Limits::default()), Ok(MlsMessage::PrivateMessage(_))));
    let staged = group.pending_commit(pending.id, &INPUTS).unwrap().into_staged();
    let access_key = Some(signer(staged.export("test", b"", 32).unwrap()).public_key().as_slice().to_vec());
    let connection = &alice.connection;
    for wrong in [None, Some(vec![1; 31]), Some(Vec::new())] {
        let wrong = CommitBundle { access_key: wrong, ..bundle.clone() };
        let refused = connection.commit(&room("meeting"), &wrong, &key(mark)).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Invalid));
    }
    connection.commit(&room("meeting"), &CommitBundle { access_key, ..bundle }, &key(mark)).await.unwrap();
    apply(group, pending);
}

async fn log(connection: &Connection, after: u64) -> Result<Vec<u64>, Option<Code>> {
    let page = connection.log(&room("meeting"), after, Duration::ZERO).await.map_err(|error| error.code())?;
    Ok(page.entries.iter().map(|entry| entry.sequence).collect())
}

fn idempotent(name: &str) -> IdempotencyKey {
    name.parse().unwrap()
}

#[tokio::test]
async fn members_prove_in_each_epoch_that_they_are() {
    let world = world().await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| client(&world, name));
    for joiner in [&bob, &carol] {
        joiner.connection.publish_key_packages(vec![joiner.key_package()]).await.unwrap();
    }
    let meeting = room("meeting");
    let (mut group, new) = founded(&alice);
    alice.connection.create_room(&meeting, &new).await.unwrap();
    commit(&alice, &mut group, &[(&bob, "bob")], None, 1).await;
    let item = bob.connection.mailbox(0).await.unwrap().items.remove(0);
    let tree = bob.connection.tree(&meeting, &item.tree_hash).await.unwrap();
    let (suite, bundles) = (RUSTCRYPTO.suite(SUITE).unwrap(), [bundle(&bob)]);
    let options = JoinOptions { ratchet_tree: Some(&tree), ..JoinOptions::new(&bundles) };
    let mut rng = keyroom_vectors::rng(4);
    let joining = Group::join(suite, &item.welcome, &options, config(), &INPUTS, &mut rng).unwrap();
    let verdict = joining.questions().accept_unseen();
    let there = joining.accept(&verdict).unwrap().0;
    // He is in by the Welcome, until the next commit.
    assert_eq!(log(&bob.connection, 0).await, Ok(vec![1]));
    commit(&alice, &mut group, &[(&carol, "carol")], None, 2).await;
    assert_eq!(log(&bob.connection, 1).await, Ok(vec![2]));
    alice.connection.send_message(&meeting, private_text(&mut group, &alice), &key(70)).await.unwrap();
    assert_eq!(log(&bob.connection, 2).await, Ok(vec![]));
    let mut there = there;
    let late = there.encrypt(b"late", b"", bob.signer.as_ref(), &mut rng).unwrap().message;
    let refused = bob.connection.send_message(&meeting, late, &key(80)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::WrongEpoch), "he has to follow first");
    let mut live = bob.connection.live().await.unwrap();
    live.subscribe(&meeting, 1).await.unwrap();
    assert!(matches!(live.next().await.unwrap(), Some(LiveEvent::Entry { entry, .. }) if entry.sequence == 2));

    // Proofs for another epoch, by another key, of another device; and the good one.
    let good = proof(&bob.connection, 2, of(&group).as_ref());
    let old = proof(&bob.connection, 2, of(&there).as_ref());
    let carols = proof(&carol.connection, 2, of(&group).as_ref());
    let none = AccessProof { epoch: 3, ..good.clone() };
    let beyond = AccessProof { epoch: u64::MAX, ..good.clone() };
    let empty = AccessProof { epoch: 2, signature: Vec::new() };
    for bad in [old, carols, none, beyond, empty] {
        let refused = bob.connection.prove(&meeting, &bad).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::NotMember), "{bad:?}");
    }
    assert_eq!(log(&bob.connection, 2).await, Ok(vec![]));
    bob.connection.prove(&meeting, &good).await.unwrap();
    bob.connection.prove(&meeting, &good).await.unwrap();
    assert_eq!(log(&bob.connection, 2).await, Ok(vec![3]));
    live.subscribe(&meeting, 2).await.unwrap();
    let next = async {
        loop {
            if let Some(LiveEvent::Entry { entry, .. }) = live.next().await.unwrap() {
                return entry.sequence;
            }
        }
    };
    assert_eq!(next.await, 3);

    // Bob is removed: he has read the commit that does it, and cannot prove the next epoch.
    commit(&alice, &mut group, &[], Some(1), 3).await;
    assert_eq!(log(&bob.connection, 3).await, Ok(vec![4]));
    alice.connection.send_message(&meeting, private_text(&mut group, &alice), &key(71)).await.unwrap();
    for bad in [proof(&bob.connection, 3, of(&there).as_ref()), AccessProof { epoch: 3, ..good.clone() }] {
        assert_eq!(bob.connection.prove(&meeting, &bad).await.unwrap_err().code(), Some(Code::NotMember));
    }
    bob.connection.prove(&meeting, &good).await.unwrap();
    assert_eq!(log(&bob.connection, 4).await, Ok(vec![]), "an old proof opens nothing new");

    // To a stranger there is no such room.
    let eve = client(&world, "eve");
    let guess = proof(&eve.connection, 3, of(&there).as_ref());
    assert_eq!(eve.connection.prove(&meeting, &guess).await.unwrap_err().code(), Some(Code::UnknownRoom));
    assert_eq!(log(&eve.connection, 0).await, Err(Some(Code::UnknownRoom)));
}

fn private_text(group: &mut Group, sender: &Client) -> Vec<u8> {
    group.encrypt(b"text", b"", sender.signer.as_ref(), &mut keyroom_vectors::rng(6)).unwrap().message
}

#[tokio::test]
async fn private_handshakes_are_taken_only_in_rooms_made_for_them() {
    let world = world().await;
    let alice = client(&world, "alice");
    let meeting = room("meeting");
    let (_, new) = founded(&alice);
    for wrong in [vec![1; 31], vec![1; 33], Vec::new()] {
        let wrong = RoomBundle { access_key: Some(wrong), ..new.clone() };
        let refused = alice.connection.create_room(&meeting, &wrong).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Invalid));
    }
    let plain = RoomBundle { access_key: None, ..new.clone() };
    alice.connection.create_room(&meeting, &plain).await.unwrap();
    let secret = private("meeting", 0, keyroom_wire::ContentType::Proposal, 1);
    let refused = alice.connection.send_message(&meeting, secret, &idempotent("secret")).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Invalid));
    let guess = AccessProof { epoch: 0, signature: vec![0; 64] };
    assert_eq!(alice.connection.prove(&meeting, &guess).await.unwrap_err().code(), Some(Code::Invalid));

    // A server that takes none says so when the room is to be made.
    let world = crate::protocol::judging().await;
    let alice = client(&world, "alice");
    assert_eq!(alice.connection.create_room(&meeting, &new).await.unwrap_err().code(), Some(Code::Invalid));
}
