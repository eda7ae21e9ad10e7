//! A database whose operations are counted.

use std::sync::Arc;
use std::time::Instant;

use keyroom_api::{Conflict, DeviceUri, EntryKind, MailboxPage, RoomUri, Stock};
use keyroom_crypto::Secret;
use keyroom_delivery::{
    Accounts, Answer, Appended, CheckedKeyPackage, Claim, Claims, Created, Durability, Entered, Entrance, KeptInfo,
    Ledger, LogRead, NewCommit, NewEntry, NewReport, NewRoom, NewWelcome, Once, Page, Publication, Published,
    Remembered, Reported, RoomId, RoomRecord, SignatureKey, StateRecord,
};

use super::Metrics;

/// Counts what a ledger or accounts do, and how long it takes.
pub(crate) struct Metered<T: ?Sized> {
    pub(crate) inner: Arc<T>,
    pub(crate) metrics: Metrics,
}

impl<T: ?Sized + Send + Sync> Metered<T> {
    fn timed<'a, V: Send + 'a>(&'a self, operation: &'static str, answer: Answer<'a, V>) -> Answer<'a, V> {
        self.seen(operation, answer, |_, _| {})
    }

    /// The same, and looks at what came of it.
    fn seen<'a, V: Send + 'a>(
        &'a self,
        operation: &'static str,
        answer: Answer<'a, V>,
        look: impl FnOnce(&Metrics, &V) + Send + 'a,
    ) -> Answer<'a, V> {
        let began = Instant::now();
        Box::pin(async move {
            let result = answer.await;
            self.metrics.operation(operation, began, result.as_ref().err());
            if let Ok(value) = &result {
                look(&self.metrics, value);
            }
            result
        })
    }
}

impl Ledger for Metered<dyn Ledger> {
    fn durability(&self) -> Answer<'_, Durability> {
        self.timed("durability", self.inner.durability())
    }

    fn publish<'a>(
        &'a self,
        device: &'a DeviceUri,
        packages: Vec<(CheckedKeyPackage, Vec<u8>)>,
        publication: Publication,
        most: u64,
        now: u64,
    ) -> Answer<'a, Published> {
        let number = packages.len();
        let answer = self.inner.publish(device, packages, publication, most, now);
        self.seen("publish", answer, move |metrics, published| {
            if let Published::Stock(_) = published {
                metrics.add("keyroom_key_packages_published_total", number);
            }
        })
    }

    fn stock<'a>(&'a self, device: &'a DeviceUri, now: u64) -> Answer<'a, Stock> {
        self.timed("stock", self.inner.stock(device, now))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claims> {
        self.seen("claim", self.inner.claim(claim), |metrics, claims| {
            if let Claims::Given(devices) = claims {
                metrics.claimed(devices);
            }
        })
    }

    fn create(&self, room: NewRoom) -> Answer<'_, Created> {
        let welcomes = addressees(&room.welcomes);
        self.seen("create", self.inner.create(room), move |metrics, created| {
            if let Created::New(_) = created {
                metrics.add("keyroom_rooms_created_total", 1);
                metrics.add("keyroom_welcomes_total", welcomes);
            }
        })
    }

    fn room<'a>(&'a self, room: &'a RoomUri, device: &'a DeviceUri) -> Answer<'a, Option<RoomRecord>> {
        self.timed("room", self.inner.room(room, device))
    }

    fn group_info(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<KeptInfo>> {
        self.timed("group_info", self.inner.group_info(room, epoch))
    }

    fn state(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<StateRecord>>> {
        self.timed("state", self.inner.state(room, epoch))
    }

    fn epoch_of_tree<'a>(&'a self, room: RoomId, tree_hash: &'a [u8]) -> Answer<'a, Option<u64>> {
        self.timed("epoch_of_tree", self.inner.epoch_of_tree(room, tree_hash))
    }

    fn proposals(&self, room: RoomId, epoch: u64) -> Answer<'_, Vec<Vec<u8>>> {
        self.timed("proposals", self.inner.proposals(room, epoch))
    }

    fn remembered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Remembered>> {
        self.timed("remembered", self.inner.remembered(once))
    }

    fn conflict(&self, room: RoomId, epoch: u64) -> Answer<'_, Conflict> {
        self.timed("conflict", self.inner.conflict(room, epoch))
    }

    fn append_commit(&self, commit: NewCommit) -> Answer<'_, Appended> {
        let welcomes = addressees(&commit.welcomes);
        self.seen("append_commit", self.inner.append_commit(commit), move |metrics, appended| {
            if let Appended::Accepted(_) = appended {
                metrics.entry("commit");
                metrics.add("keyroom_welcomes_total", welcomes);
            }
        })
    }

    fn append(&self, entry: NewEntry, late: u64) -> Answer<'_, Appended> {
        let kind = match entry.kind {
            EntryKind::Application => "application",
            EntryKind::Proposal => "proposal",
            EntryKind::Commit => "commit",
        };
        self.seen("append", self.inner.append(entry, late), move |metrics, appended| {
            if let Appended::Accepted(_) = appended {
                metrics.entry(kind);
            }
        })
    }

    fn access_key(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<u8>>> {
        self.timed("access_key", self.inner.access_key(room, epoch))
    }

    fn admit<'a>(&'a self, room: RoomId, device: &'a DeviceUri, epoch: u64) -> Answer<'a, ()> {
        self.timed("admit", self.inner.admit(room, device, epoch))
    }

    fn report(&self, report: NewReport) -> Answer<'_, Reported> {
        self.timed("report", self.inner.report(report))
    }

    fn log<'a>(&'a self, room: RoomId, reader: Option<&'a DeviceUri>, page: Page) -> Answer<'a, LogRead> {
        self.timed("log", self.inner.log(room, reader, page))
    }

    fn mailbox<'a>(&'a self, device: &'a DeviceUri, page: Page) -> Answer<'a, MailboxPage> {
        self.seen("mailbox", self.inner.mailbox(device, page), |metrics, page| {
            metrics.add("keyroom_mailbox_read_total", page.items.len());
        })
    }

    fn acknowledge<'a>(&'a self, device: &'a DeviceUri, sequence: u64) -> Answer<'a, ()> {
        self.seen("acknowledge", self.inner.acknowledge(device, sequence), |metrics, ()| {
            metrics.add("keyroom_mailbox_acknowledged_total", 1);
        })
    }
}

impl Accounts for Metered<dyn Accounts> {
    fn secret(&self, fresh: Secret) -> Answer<'_, Secret> {
        self.timed("secret", self.inner.secret(fresh))
    }

    fn keys<'a>(&'a self, device: &'a DeviceUri) -> Answer<'a, Vec<SignatureKey>> {
        self.timed("keys", self.inner.keys(device))
    }

    fn enter(&self, entrance: Entrance) -> Answer<'_, Entered> {
        self.timed("enter", self.inner.enter(entrance))
    }
}

fn addressees(welcomes: &[NewWelcome]) -> usize {
    welcomes.iter().map(|welcome| welcome.to.len()).sum()
}
