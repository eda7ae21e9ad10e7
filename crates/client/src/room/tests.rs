#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_api::MailboxItem;
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error as ProtocolError, Rule};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_store::MemoryStore;
use keyroom_wire::{Decode as _, Limits, MlsMessage};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;
use crate::context::{Env, signer, suite};
use crate::rows::DeviceRow;
use crate::stock::{self, Kind};
use crate::{Config, TrustNames};

fn env() -> Env {
    Env { rng: Box::new(StdRng::seed_from_u64(212)), clock: || 1_800_000_000 }
}

fn context(user: &str, env: &mut Env) -> Arc<Context> {
    let store = Arc::new(MemoryStore::new());
    let device: DeviceUri = format!("mimi://localhost/d/{user}/main").parse().unwrap();
    let suite = suite(&RUSTCRYPTO, 1).unwrap();
    let row = DeviceRow { device: device.clone(), cipher_suite: 1 };
    let signer = signer(store.as_ref(), suite, &row, env).unwrap();
    let (config, judge) = (Arc::new(Config::default()), Arc::new(TrustNames));
    let credential = device.credential().into();
    Arc::new(Context { store, provider: &RUSTCRYPTO, suite, config, judge, device, signer, credential })
}

fn room(name: &str) -> RoomUri {
    format!("mimi://localhost/r/{name}").parse().unwrap()
}

/// A Welcome that brings the owner of this key package into the room.
fn welcome(room: &mut Room, key_package: &[u8], env: &mut Env) -> MailboxItem {
    let message = MlsMessage::from_bytes(key_package, &Limits::default()).unwrap();
    let MlsMessage::KeyPackage(key_package) = message else { panic!("no key package") };
    let (signer, inputs) = (room.context.signer.as_ref(), Inputs::at(env.now()));
    let commit = room.group.as_mut().unwrap().commit().add(key_package);
    let (pending, _) = commit.build(signer, &inputs, &mut env.rng).unwrap();
    let verdict = pending.questions().accept_unseen();
    let welcome = pending.for_atomic_delivery(&verdict).unwrap().admission.welcome.clone().unwrap();
    MailboxItem { sequence: 1, room: room.row.room.clone(), epoch: 1, cursor: 1, tree_hash: Vec::new(), welcome }
}

#[test]
fn row_212_a_welcome_into_a_group_that_the_device_is_in_is_refused() {
    let env = &mut env();
    let (alice, bob) = (context("alice", env), context("bob", env));
    let mut meeting = Room::create(alice, room("meeting"), env).unwrap();
    // One that may be used again, so that not its absence ends it.
    let package = stock::fill(&bob, &[Kind::LastResort], env).unwrap().remove(0);
    let item = welcome(&mut meeting, &package, env);
    let mut joined = Room::welcome(bob.clone(), &item, None, None, env).unwrap().unwrap();
    let before = joined.view().unwrap();

    // The server gives it out once more, as one for a room that the device does not know.
    let again = MailboxItem { room: room("elsewhere"), ..item.clone() };
    let refused = Room::welcome(bob.clone(), &again, None, None, env).err();
    assert_eq!(refused, Some(Error::Protocol(ProtocolError::Rule(Rule::AlreadyMember))));
    assert_eq!(Room::open(bob.clone(), &room("elsewhere")).map(|room| room.is_none()), Ok(true));
    let mut stored = Room::open(bob.clone(), &room("meeting")).unwrap().unwrap();
    assert_eq!(stored.view(), Ok(before));

    // What it has left it is not in any more: there only the name is wrong.
    let change = joined.delete_group(Transaction::new()).unwrap();
    joined.store(change).unwrap();
    assert_eq!(Room::welcome(bob, &again, None, None, env).err(), Some(Error::Rejected));
}
