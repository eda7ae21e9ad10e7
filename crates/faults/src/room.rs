//! A room of a real group, and what was done in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use keyroom_api::{CommitBundle, Connection, EntryKind, IdempotencyKey, RoomBundle, RoomUri};
use keyroom_crypto::{Provider as _, Signer};
use keyroom_mls::config::Inputs;
use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, PendingCommit, TreeDelivery};
use keyroom_mls::key_package::KeyPackageBuilder;
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, Extensions, GroupId};

use crate::history::{Entry, History, Mark, Moment, Outcome, Sent};

/// Commits that are made for the same epoch and sent at the same time.
const CONTENDERS: usize = 3;

pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

/// A room whose one member has many clients at work. What they may do together needs no lock; the group
/// has one, because every message and commit is a real one.
pub(crate) struct Room {
    pub(crate) uri: RoomUri,
    pub(crate) group: tokio::sync::Mutex<State>,
    /// Messages that have no answer yet.
    pub(crate) open: Mutex<Vec<Open>>,
    history: Mutex<History>,
    log: Mutex<Vec<Entry>>,
}

/// The group, and the commits for its epoch of which nobody knows which one has won.
pub(crate) struct State {
    group: Group,
    signer: Box<dyn Signer>,
    seed: u64,
    pub(crate) contest: Vec<Contender>,
}

/// A commit that was made for the current epoch.
pub(crate) struct Contender {
    pub(crate) open: Open,
    pub(crate) bundle: CommitBundle,
    pending: PendingCommit,
}

/// A message and the place of its answer.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) message: Vec<u8>,
    pub(crate) key: IdempotencyKey,
    place: usize,
}

/// The clock of all clients.
#[derive(Default)]
pub(crate) struct Moments(AtomicU64);

impl Moments {
    pub(crate) fn next(&self) -> Moment {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl Room {
    /// Founds a group and opens its room.
    pub(crate) async fn open(name: &str, seed: u64, by: &Connection) -> Self {
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let mut rng = keyroom_vectors::rng(seed);
        let signer = signer();
        let lifetime = lifetime_from(now(), 7 * 24 * 3_600);
        let builder = KeyPackageBuilder::new(suite, by.device().credential(), lifetime);
        let bundle = builder.build(signer.as_ref(), &mut rng).unwrap();
        let founder = Founder { bundle, group_id: GroupId::from(name.as_bytes()), extensions: Extensions::new() };
        let (group, _) = Group::create(suite, founder, Arc::default(), &inputs(), &mut rng).unwrap();
        let info = group.group_info(info(TreeDelivery::Inside), signer.as_ref(), &mut rng).unwrap();
        let uri: RoomUri = format!("mimi://localhost/r/{name}").parse().unwrap();
        let bundle = RoomBundle::new(info, None);
        by.create_room(&uri, &bundle).await.unwrap();
        let group = State { group, signer, seed: seed.wrapping_mul(1_000_003), contest: Vec::new() };
        Self { uri, group: group.into(), open: Mutex::default(), history: Mutex::default(), log: Mutex::default() }
    }

    /// Notes that a message is about to be sent.
    pub(crate) fn begin(&self, kind: EntryKind, epoch: u64, message: Vec<u8>, at: Moment) -> Open {
        let mut history = lock(&self.history);
        let place = history.sent.len();
        let mark = Mark::of(&message);
        history.sent.push(Sent { kind, epoch, mark, began: at, outcome: Outcome::Unknown });
        let key = format!("{}-{place}", self.uri.name()).parse().unwrap();
        Open { message, key, place }
    }

    /// Notes what a client was told.
    pub(crate) fn end(&self, open: &Open, outcome: Outcome) {
        lock(&self.history).sent[open.place].outcome = outcome;
    }

    /// Notes what a reader has seen.
    pub(crate) fn see(&self, entries: impl Iterator<Item = Entry>) {
        lock(&self.history).seen.extend(entries.map(|entry| (entry.sequence, entry.mark)));
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// The log as far as it was read.
    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.log)
    }
}

impl State {
    pub(crate) fn epoch(&self) -> u64 {
        self.group.epoch()
    }

    /// An application message.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let mut rng = self.rng();
        self.group.encrypt(&[b'm'; 64], b"", self.signer.as_ref(), &mut rng).unwrap().message
    }

    /// Makes commits of which one can win.
    pub(crate) fn contend(&mut self, room: &Room, moments: &Moments) {
        for _ in 0..CONTENDERS {
            let mut rng = self.rng();
            let commit = self.group.commit().group_info(info(TreeDelivery::OutOfBand));
            let (pending, _) = commit.build(self.signer.as_ref(), &inputs(), &mut rng).unwrap();
            let verdict = pending.questions().accept_unseen();
            let delivery = pending.for_atomic_delivery(&verdict).unwrap();
            let commit = delivery.message.to_vec();
            let group_info = delivery.admission.group_info.clone().unwrap();
            let open = room.begin(EntryKind::Commit, self.group.epoch(), commit.clone(), moments.next());
            let bundle = CommitBundle::new(commit, group_info);
            self.contest.push(Contender { open, bundle, pending });
        }
    }

    /// Moves to the epoch that the winner begins.
    pub(crate) fn advance(&mut self, winner: &[u8]) {
        let contest = std::mem::take(&mut self.contest);
        let won = contest.into_iter().find(|contender| contender.bundle.commit == winner);
        let pending = won.expect("the winner is one of ours").pending;
        let verdict = pending.questions().accept_unseen();
        self.group.apply(pending.into_staged(), &verdict).unwrap();
    }

    fn rng(&mut self) -> impl rand::CryptoRng + use<> {
        self.seed = self.seed.wrapping_add(1);
        keyroom_vectors::rng(self.seed)
    }
}

/// The key of the one device.
pub(crate) fn signer() -> Box<dyn Signer> {
    let suite = RUSTCRYPTO.suite(SUITE).unwrap();
    suite.signer(suite.generate_signature_key(&mut keyroom_vectors::rng(1)).unwrap().expose()).unwrap()
}

fn info(tree: TreeDelivery) -> GroupInfoContent {
    GroupInfoContent { tree, external: ExternalJoins::Allowed }
}

fn inputs() -> Inputs<'static> {
    Inputs::at(now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
