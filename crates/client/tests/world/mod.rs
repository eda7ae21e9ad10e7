//! A server and its clients, for the tests of this folder.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support; each test file uses a part of it"
)]

pub(crate) mod insider;

use std::sync::Arc;
use std::time::Duration;

use keyroom::{Client, MemoryStore, Message, Options, Room, Store, Usage};
use keyroom_api::{Connection, DeviceUri, Identity, LogEntry, RoomUri};
use keyroom_crypto::{Provider as _, Signer};
use keyroom_delivery::{Handshakes, Ledger as _, LogRead, Page, Sqlite};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_server::{Config, Handle, Server};
use keyroom_testbed::require_durable;
use keyroom_wire::CipherSuite;
use rand::SeedableRng as _;
use tempfile::TempDir;
use tokio::time::sleep;

/// How often is looked for what must come, two milliseconds after each other: what takes longest on a busy machine.
const PATIENCE: u32 = 10_000;

/// Key packages that every client keeps in stock.
pub(crate) const PACKAGES: u64 = 10;

/// A server.
pub(crate) struct World {
    pub(crate) server: Handle,
    folder: TempDir,
    handshakes: Handshakes,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a server that is set up like this.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("localhost".parse().unwrap(), folder.path().join("server.db"));
        change(&mut config);
        let handshakes = config.handshakes;
        let server = Server::start(config).await.unwrap();
        let address = server.address().to_string();
        tokio::task::spawn_blocking(move || require_durable(&address)).await.unwrap();
        Self { server, folder, handshakes }
    }

    /// Whether rooms are made with private handshakes.
    pub(crate) fn is_private(&self) -> bool {
        self.handshakes == Handshakes::PublicAndPrivate
    }

    /// A new client of a user.
    pub(crate) async fn client(&self, user: &str) -> Client {
        let client = self.open(user, Arc::new(MemoryStore::new())).await.unwrap();
        // Others can invite it once its key packages are there.
        client.reachable().await.unwrap();
        client
    }

    /// A client on a store.
    pub(crate) async fn open(&self, user: &str, store: impl Store + 'static) -> Result<Client, keyroom::Error> {
        Client::open(store, &self.server.url(), self.options(user)).await
    }

    pub(crate) fn options(&self, user: &str) -> Options {
        Options::new(user, &RUSTCRYPTO).key_packages(PACKAGES)
    }

    /// One-time and last-resort key packages that the server has of a user's device.
    pub(crate) async fn stock(&self, user: &str) -> (u64, u64) {
        let stock = self.database().stock(&device(user), 0).await.unwrap();
        stock.suites.first().map_or((0, 0), |stock| (stock.one_time, stock.last_resort))
    }

    /// Whether no Welcome waits for a user's device.
    pub(crate) async fn is_mailbox_empty(&self, user: &str) -> bool {
        let one = Page { after: 0, entries: 1, bytes: 0 };
        self.database().mailbox(&device(user), one).await.unwrap().items.is_empty()
    }

    /// The log of a room.
    pub(crate) async fn log(&self, room: &RoomUri) -> Vec<LogEntry> {
        let database = self.database();
        let id = database.room(room, &device("nobody")).await.unwrap().unwrap().id;
        let all = Page { after: 0, entries: 10_000, bytes: usize::MAX };
        let LogRead::Page { page, .. } = database.log(id, None, all).await.unwrap() else { panic!("not all") };
        page.entries
    }

    /// What a device of a user says to the server without a client, by a key that follows from its name.
    pub(crate) fn connection(&self, user: &str) -> Connection {
        let identity = Identity::new(1, signer(user));
        Connection::new(&self.server.url(), device(user), identity).unwrap()
    }

    /// What the server has, as its operator sees it.
    fn database(&self) -> Sqlite {
        Sqlite::open(self.folder.path().join("server.db")).unwrap()
    }
}

fn device(user: &str) -> DeviceUri {
    format!("mimi://localhost/d/{user}/main").parse().unwrap()
}

/// The key of a device without a client.
pub(crate) fn signer(user: &str) -> Arc<dyn Signer> {
    let suite = RUSTCRYPTO.suite(CipherSuite(1)).unwrap();
    let seed = user.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(257) ^ u64::from(byte));
    let private = suite.generate_signature_key(&mut rand::rngs::StdRng::seed_from_u64(seed)).unwrap();
    suite.signer(private.expose()).unwrap().into()
}

/// Waits until a text is there.
pub(crate) async fn hears(room: &Room, text: &str) -> Message {
    for _ in 0..PATIENCE {
        let history = room.history(None, 10_000).await.unwrap();
        let found = history.into_iter().find(|message| message.text == text && message.sequence.is_some());
        if let Some(message) = found {
            return message;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("{text:?} was never heard");
}

/// All texts that a room has.
pub(crate) async fn texts(room: &Room) -> Vec<String> {
    room.history(None, 10_000).await.unwrap().into_iter().map(|message| message.text).collect()
}

/// Waits until a room is in an epoch.
pub(crate) async fn reaches(room: &Room, epoch: u64) {
    for _ in 0..PATIENCE {
        if room.view().await.unwrap().epoch >= epoch {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(room.view().await.unwrap().epoch, epoch);
}

/// Waits until this client is removed.
pub(crate) async fn removed(room: &Room) {
    for _ in 0..PATIENCE {
        if room.view().await == Err(Usage::Removed.into()) {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("still in the room");
}

/// All see the same epoch, members, tree and authenticator.
pub(crate) async fn agree(rooms: &[&Room]) {
    let first = rooms[0].view().await.unwrap();
    for room in rooms {
        let view = room.view().await.unwrap();
        assert_eq!((view.epoch, &view.members), (first.epoch, &first.members));
        assert_eq!((&view.tree, view.authenticator), (&first.tree, first.authenticator.clone()));
    }
}
