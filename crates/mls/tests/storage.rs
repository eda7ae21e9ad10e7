//! A group that is opened from storage before every operation does what one in memory does, byte
//! for byte, and notices records that are not those it wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Secret, Signer};
use keyroom_insider::{Bench, Disk, Member};
use keyroom_insider::{NOW, admission, below, count, seed, sent, suite};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::Error;
use keyroom_mls::group::{
    Applied, ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, PathChoice, PendingId, Received,
    TreeDelivery,
};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_mls::public::PublicGroup;
use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{Credential, Extensions, GroupId, LeafIndex, Proposal, Psk};

const INFO: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };

fn fixed_psk() -> (Psk, Secret) {
    (Psk::External { psk_id: b"shared"[..].into() }, Secret::copy_of(b"a shared secret"))
}

fn signer(name: &str) -> Box<dyn Signer> {
    let rng = &mut keyroom_vectors::rng(name.bytes().fold(7, |sum: u64, byte| sum * 31 + u64::from(byte)));
    let key = suite(1).generate_signature_key(rng).unwrap();
    suite(1).signer(key.expose()).unwrap()
}

fn bundle(name: &str, rng: &mut dyn CryptoRng) -> KeyPackageBundle {
    KeyPackageBuilder::new(suite(1), Credential::basic(name.as_bytes()), lifetime_from(NOW, 1000))
        .build(signer(name).as_ref(), rng)
        .unwrap()
}

/// Most rounds of reading that one operation took, by its name.
type Rounds = BTreeMap<&'static str, usize>;

/// One member twice: in memory all the time, and opened from storage for every operation.
struct Twin {
    name: String,
    config: Arc<Config>,
    memory: Group,
    disk: Disk,
}

impl Twin {
    fn new(name: String, memory: Group, changes: ChangeSet) -> Self {
        let config = Arc::new(memory.config().clone());
        let twin = Self { name, config, memory, disk: Disk::of(changes) };
        twin.check();
        twin
    }

    fn check(&self) {
        assert_eq!(self.disk.snapshot(), self.memory.snapshot().unwrap(), "{}: storage is not the group", self.name);
        assert_eq!(self.disk.version, self.memory.version());
    }

    /// The operation in memory and on the stored group, with the same random numbers.
    fn both<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &'static str,
        rounds: &mut Rounds,
        seed: u64,
        operation: impl Fn(&mut Group, &mut dyn CryptoRng) -> Result<(T, Option<ChangeSet>), Error>,
    ) -> Result<T, Error> {
        let before = self.disk.clone();
        let memory = operation(&mut self.memory, &mut keyroom_vectors::rng(seed));
        let (mut stored, opening) = self.disk.open::<Group>(&self.config).unwrap();
        assert!(opening <= 2, "opening takes two rounds");
        let (outcome, taken) =
            self.disk.attempt(&mut stored, |group| operation(group, &mut keyroom_vectors::rng(seed)));
        let most = rounds.entry(what).or_default();
        *most = taken.max(*most);
        match (memory, outcome) {
            (Ok((in_memory, changes)), Ok((from_disk, stored_changes))) => {
                assert_eq!(in_memory, from_disk, "{}: {what}", self.name);
                assert_eq!(changes, stored_changes, "{}: {what}", self.name);
                if let Some(changes) = stored_changes {
                    if changes.deleted {
                        self.disk.apply(changes);
                        assert!(self.disk.records.is_empty());
                        return Ok(in_memory);
                    }
                    self.disk.apply(changes);
                }
                assert_eq!(stored.version(), self.disk.version);
                self.check();
                Ok(in_memory)
            }
            (Err(in_memory), Err(from_disk)) => {
                assert_eq!(in_memory, from_disk, "{}: {what}", self.name);
                assert!(self.disk == before);
                self.check();
                Err(in_memory)
            }
            (in_memory, from_disk) => panic!("{}: {what}: {in_memory:?} in memory, {from_disk:?} stored", self.name),
        }
    }
}

/// What came of a message, without the parts that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Data { from: LeafIndex, epoch: u64, generation: u32, data: Vec<u8> },
    Proposal,
    Applied(Applied, Vec<u8>),
    Own(PendingId),
}

fn read(group: &mut Group, message: &[u8]) -> Result<(Read, Option<ChangeSet>), Error> {
    let psks = [fixed_psk()];
    let processed = group.process(message, &Inputs { now: NOW, psks: &psks })?;
    Ok(match processed.received {
        Received::Application { sender, epoch, generation, data, .. } => {
            (Read::Data { from: sender.leaf_index, epoch, generation, data }, processed.changes)
        }
        Received::Proposal(_) => (Read::Proposal, processed.changes),
        Received::Commit(staged) => {
            let verdict = staged.questions().accept_unseen();
            let (applied, changes) = group.apply(staged, &verdict)?;
            (Read::Applied(applied, group.epoch_authenticator().to_vec()), Some(changes))
        }
        Received::OwnCommit(id) => (Read::Own(id), processed.changes),
        other => panic!("{other:?}"),
    })
}

struct Late {
    message: Vec<u8>,
    from: String,
    /// Who has not read it yet, by name.
    waiting: Vec<String>,
}

struct World {
    twins: Vec<Twin>,
    config: Arc<Config>,
    late: Vec<Late>,
    rounds: Rounds,
    next_name: u32,
    largest: u32,
}

impl World {
    fn new(config: Arc<Config>, rng: &mut dyn CryptoRng) -> Self {
        let mut world =
            Self { twins: Vec::new(), config, late: Vec::new(), rounds: Rounds::new(), next_name: 0, largest: 0 };
        let name = world.name();
        let founder = Founder {
            bundle: bundle(&name, rng),
            group_id: GroupId::from(&b"room"[..]),
            extensions: Extensions::new(),
        };
        let (group, changes) =
            Group::create(suite(1), founder, world.config.clone(), &keyroom_insider::now(), rng).unwrap();
        world.twins.push(Twin::new(name, group, changes));
        world
    }

    fn name(&mut self) -> String {
        self.next_name += 1;
        format!("client {}", self.next_name)
    }

    /// Everybody but its sender reads a message.
    fn deliver(&mut self, sender: Option<usize>, message: &[u8], what: &'static str) {
        let mut left = Vec::new();
        for (position, twin) in self.twins.iter_mut().enumerate() {
            if Some(position) == sender {
                continue;
            }
            let read = twin.both(what, &mut self.rounds, 0, |group, _| read(group, message)).unwrap();
            if matches!(read, Read::Applied(Applied::Removed, _)) {
                left.push(position);
            }
        }
        for position in left.into_iter().rev() {
            self.twins.remove(position);
        }
        self.agree();
    }

    fn agree(&mut self) {
        let first = &self.twins[0].memory;
        for twin in &self.twins {
            assert_eq!(twin.memory.epoch_authenticator(), first.epoch_authenticator());
        }
        self.largest = self.largest.max(first.members_count());
    }

    fn step(&mut self, rng: &mut dyn CryptoRng) {
        match below(rng, 16) {
            0..=4 => self.commit(rng),
            5..=6 => self.propose(rng),
            7..=9 => self.send(rng),
            10..=12 => self.catch_up(rng),
            13 => self.external_join(rng),
            14 => self.discard(rng),
            _ => self.expire(rng),
        }
    }

    fn commit(&mut self, rng: &mut dyn CryptoRng) {
        let from = below(rng, self.twins.len());
        let members = self.twins[from].memory.members_count();
        let mut silent = Vec::new();
        let adds = if members > 34 { 0 } else { below(rng, 5) };
        for _ in 0..adds {
            let name = self.name();
            silent.push(bundle(&name, rng).key_package);
        }
        let live = (self.twins.len() < 5 && members < 38 && below(rng, 3) == 0).then(|| {
            let name = self.name();
            let bundle = bundle(&name, rng);
            (name, bundle)
        });
        let removed = (members > 4 && below(rng, 3) == 0).then(|| self.victim(from, rng)).flatten();
        let psk = (below(rng, 4) == 0).then(fixed_psk);
        let resumption = (below(rng, 4) == 0)
            .then(|| self.twins[from].memory.epoch().checked_sub(1))
            .flatten()
            .filter(|epoch| self.twins.iter().all(|twin| twin.memory.resumption_psk(*epoch).is_some()));
        let path = if below(rng, 3) == 0 { PathChoice::WhenRequired } else { PathChoice::Always };
        let tree = if below(rng, 3) == 0 { TreeDelivery::OutOfBand } else { TreeDelivery::Inside };
        let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
        let group_id = self.twins[from].memory.group_id().clone();
        let twin = &mut self.twins[from];
        let own_signer = signer(&twin.name);
        let (id, message, welcome) = twin
            .both("commit", &mut self.rounds, seed, |group, rng| {
                let mut builder = group.commit().path(path).welcome_tree(tree);
                for package in silent.iter().chain(live.as_ref().map(|(_, bundle)| &bundle.key_package)) {
                    builder = builder.add(package.clone());
                }
                if let Some(removed) = removed {
                    builder = builder.remove(removed);
                }
                if let Some((psk, _)) = &psk {
                    builder = builder.psk(psk.clone());
                }
                if let Some(psk_epoch) = resumption {
                    let usage = keyroom_wire::ResumptionPskUsage::Application;
                    builder = builder.psk(Psk::Resumption { usage, psk_group_id: group_id.clone(), psk_epoch });
                }
                let psks = [fixed_psk()];
                let (pending, changes) = builder.build(own_signer.as_ref(), &Inputs { now: NOW, psks: &psks }, rng)?;
                let context = pending.staged().next_context().cloned();
                let parts = (pending.id, sent(&pending), admission(&pending).welcome);
                Ok(((parts, context), Some(changes)))
            })
            .unwrap()
            .0;
        // Found again after a restart, and the same to the byte.
        twin.both("own commit", &mut self.rounds, seed, |group, _| {
            assert_eq!(group.pending_commits().collect::<Vec<_>>(), [id]);
            let psks = [fixed_psk()];
            let pending = group.pending_commit(id, &Inputs { now: NOW, psks: &psks })?;
            assert_eq!((&sent(&pending), &admission(&pending).welcome), (&message, &welcome));
            let verdict = pending.questions().accept_unseen();
            let (applied, changes) = group.apply(pending.into_staged(), &verdict)?;
            Ok((applied, Some(changes)))
        })
        .unwrap();
        self.deliver(Some(from), &message, "process a commit");
        if let Some((name, bundle)) = live {
            let bundles = [bundle];
            let beside = self.twins[from].memory.ratchet_tree().unwrap();
            let tree = (tree == TreeDelivery::OutOfBand).then_some(beside);
            let options = JoinOptions { ratchet_tree: tree.as_deref(), ..JoinOptions::new(&bundles) };
            let psks = [fixed_psk()];
            let mut psks = psks.to_vec_of();
            if let Some(psk_epoch) = resumption {
                let usage = keyroom_wire::ResumptionPskUsage::Application;
                let known = self.twins[0].memory.resumption_psk(psk_epoch).unwrap();
                psks.push((Psk::Resumption { usage, psk_group_id: group_id, psk_epoch }, Secret::copy_of(known)));
            }
            let inputs = Inputs { now: NOW, psks: &psks };
            let joining =
                Group::join(suite(1), &welcome.unwrap(), &options, self.config.clone(), &inputs, rng).unwrap();
            let verdict = joining.questions().accept_unseen();
            let (group, changes) = joining.accept(&verdict).unwrap();
            self.twins.push(Twin::new(name, group, changes));
            self.agree();
        }
    }

    /// A leaf to remove: mostly one of those who never speak.
    fn victim(&self, from: usize, rng: &mut dyn CryptoRng) -> Option<LeafIndex> {
        let members = self.twins[from].memory.members().unwrap();
        let live: Vec<LeafIndex> = self.twins.iter().map(|twin| twin.memory.own_leaf()).collect();
        let wanted = members[below(rng, members.len())].leaf_index;
        let allowed = !live.contains(&wanted) || (self.twins.len() > 2 && below(rng, 3) == 0);
        (allowed && wanted != self.twins[from].memory.own_leaf()).then_some(wanted)
    }

    fn propose(&mut self, rng: &mut dyn CryptoRng) {
        let from = below(rng, self.twins.len());
        let proposal = match below(rng, 4) {
            0 => {
                let name = self.name();
                Some(Proposal::Add { key_package: Box::new(bundle(&name, rng).key_package) })
            }
            1 if self.twins[from].memory.members_count() > 4 => {
                let live: Vec<LeafIndex> = self.twins.iter().map(|twin| twin.memory.own_leaf()).collect();
                self.victim(from, rng).filter(|leaf| !live.contains(leaf)).map(|removed| Proposal::Remove { removed })
            }
            _ => None,
        };
        let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
        let twin = &mut self.twins[from];
        let own_signer = signer(&twin.name);
        let message = twin
            .both("propose", &mut self.rounds, seed, |group, rng| {
                let out = match &proposal {
                    Some(proposal) => {
                        group.propose(proposal.clone(), b"why", own_signer.as_ref(), &keyroom_insider::now(), rng)?
                    }
                    None => group.propose_update(b"", own_signer.as_ref(), None, &keyroom_insider::now(), rng)?,
                };
                Ok(((out.message, out.reference), Some(out.changes)))
            })
            .unwrap()
            .0;
        self.deliver(Some(from), &message, "process a proposal");
        // The same again: nothing new if it is public, a spent key if it is private.
        let again = (from + 1) % self.twins.len();
        if again != from {
            let _seen =
                self.twins[again].both("process a proposal", &mut self.rounds, 0, |group, _| read(group, &message));
        }
    }

    fn send(&mut self, rng: &mut dyn CryptoRng) {
        let from = below(rng, self.twins.len());
        let others: Vec<String> =
            self.twins.iter().map(|twin| twin.name.clone()).filter(|name| *name != self.twins[from].name).collect();
        for _ in 0..1 + below(rng, 4) {
            let text = vec![u8::try_from(below(rng, 256)).unwrap(); below(rng, 300)];
            let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
            let twin = &mut self.twins[from];
            let own_signer = signer(&twin.name);
            let sent = twin.both("send", &mut self.rounds, seed, |group, rng| {
                let out = group.encrypt(&text, b"clear", own_signer.as_ref(), rng)?;
                Ok(((out.message, out.generation), Some(out.changes)))
            });
            if let Ok((message, _)) = sent {
                self.late.push(Late { message, from: twin.name.clone(), waiting: others.clone() });
            }
        }
    }

    /// Some who have not read some message yet read it now, in any order; some read it twice.
    fn catch_up(&mut self, rng: &mut dyn CryptoRng) {
        for _ in 0..6 {
            if self.late.is_empty() {
                return;
            }
            let at = below(rng, self.late.len());
            let Late { message, from, waiting } = &mut self.late[at];
            let reader = waiting.pop();
            let replay = reader.is_none();
            let reader = reader.unwrap_or_else(|| from.clone());
            let message = message.clone();
            if waiting.is_empty() && (replay || below(rng, 2) == 0) {
                self.late.swap_remove(at);
            }
            let Some(twin) = self.twins.iter_mut().find(|twin| twin.name == reader) else { continue };
            let outcome = twin.both("read a message", &mut self.rounds, 0, |group, _| read(group, &message));
            if outcome.is_ok() {
                assert!(!replay, "nobody reads what is its own");
                let again = twin.both("read a message", &mut self.rounds, 0, |group, _| read(group, &message));
                assert!(again.is_err());
            }
        }
    }

    fn external_join(&mut self, rng: &mut dyn CryptoRng) {
        let helper = below(rng, self.twins.len());
        let own_signer = signer(&self.twins[helper].name);
        let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
        let info = self.twins[helper].both("group info", &mut self.rounds, seed, |group, rng| {
            Ok((group.group_info(INFO, own_signer.as_ref(), rng)?, None))
        });
        let resync = self.twins.len() > 3 && below(rng, 2) == 0;
        let lost = resync.then(|| self.twins.remove((helper + 1) % self.twins.len()));
        let name = self.name();
        let bundle = bundle(&name, rng);
        let mut builder = Group::join_external(suite(1), &bundle, self.config.clone());
        if let Some(lost) = &lost {
            builder = builder.resync(lost.memory.own_leaf());
        }
        let join = builder.build(&info.unwrap(), signer(&name).as_ref(), &keyroom_insider::now(), rng).unwrap();
        self.deliver(None, &join.message, "process an external commit");
        let verdict = join.questions().accept_unseen();
        let (group, changes) = join.accept(&verdict).unwrap();
        if self.twins.len() < 6 {
            self.twins.push(Twin::new(name, group, changes));
        }
        self.agree();
    }

    /// Two commits are made; one is forgotten, the other loses against a third.
    fn discard(&mut self, rng: &mut dyn CryptoRng) {
        let from = below(rng, self.twins.len());
        let own_signer = signer(&self.twins[from].name);
        let mut ids = Vec::new();
        for _ in 0..2 {
            let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
            let id = self.twins[from].both("commit", &mut self.rounds, seed, |group, rng| {
                let (pending, changes) = group.commit().build(own_signer.as_ref(), &keyroom_insider::now(), rng)?;
                Ok(((pending.id, sent(&pending)), Some(changes)))
            });
            ids.push(id.unwrap().0);
        }
        let twin = &mut self.twins[from];
        twin.both("discard", &mut self.rounds, 0, |group, _| Ok(((), Some(group.discard(ids[0])?)))).unwrap();
        assert!(twin.both("discard", &mut self.rounds, 0, |group, _| Ok(((), Some(group.discard(ids[0])?)))).is_err());
        assert_eq!(twin.disk.records.keys().filter(|key| key.kind == RecordKind::Pending).count(), 1);
        if self.twins.len() > 1 {
            let other = (from + 1) % self.twins.len();
            let own_signer = signer(&self.twins[other].name);
            let seed = u64::try_from(below(rng, 1 << 30)).unwrap();
            let message = self.twins[other]
                .both("commit", &mut self.rounds, seed, |group, rng| {
                    let (pending, changes) = group.commit().build(own_signer.as_ref(), &keyroom_insider::now(), rng)?;
                    Ok(((pending.id, sent(&pending)), Some(changes)))
                })
                .unwrap()
                .1;
            self.twins[other]
                .both("own commit", &mut self.rounds, 1, |group, _| {
                    let (read, none) = read(group, &message)?;
                    let Read::Own(id) = read else { panic!("{read:?}") };
                    assert!(none.is_none());
                    let pending = group.pending_commit(id, &keyroom_insider::now())?;
                    let verdict = pending.questions().accept_unseen();
                    let (applied, changes) = group.apply(pending.into_staged(), &verdict)?;
                    Ok((applied, Some(changes)))
                })
                .unwrap();
            self.deliver(Some(other), &message, "process a commit");
            let twin = self.twins.iter().find(|twin| signer(&twin.name).public_key() == own_signer.public_key());
            assert!(twin.is_some());
        } else {
            let id = ids[1];
            self.twins[from]
                .both("discard", &mut self.rounds, 0, |group, _| Ok(((), Some(group.discard(id)?))))
                .unwrap();
        }
        for twin in &self.twins {
            assert!(twin.disk.records.keys().all(|key| key.kind != RecordKind::Pending), "none outlives its epoch");
        }
    }

    fn expire(&mut self, rng: &mut dyn CryptoRng) {
        let at = below(rng, self.twins.len());
        let later = NOW + 30 * 24 * 3600;
        let before = self.twins[at].disk.records.len();
        self.twins[at].both("expire", &mut self.rounds, 0, |group, _| Ok(((), group.expire(later)?))).unwrap();
        let epochs = self.twins[at].disk.records.keys().filter(|key| key.kind == RecordKind::Epoch).count();
        assert_eq!(epochs, 1, "only the current epoch is kept");
        assert!(self.twins[at].disk.records.len() <= before);
    }
}

trait ToVecOf {
    fn to_vec_of(self) -> Vec<(Psk, Secret)>;
}

impl ToVecOf for [(Psk, Secret); 1] {
    fn to_vec_of(self) -> Vec<(Psk, Secret)> {
        Vec::from(self)
    }
}

#[test]
fn a_stored_group_does_what_one_in_memory_does() {
    let mut rounds = Rounds::new();
    for (run, handshakes) in [HandshakePolicy::Public, HandshakePolicy::Private].into_iter().enumerate() {
        let config = Arc::new(Config { handshakes, past_epochs: 2, ..Config::default() });
        let rng = &mut keyroom_vectors::rng(seed() + u64::try_from(run).unwrap());
        let mut world = World::new(config, rng);
        for _ in 0..count(60) {
            world.step(rng);
        }
        assert!(world.largest > 16, "the history reaches trees of some depth: {}", world.largest);
        for (what, most) in world.rounds {
            let entry = rounds.entry(what).or_default();
            *entry = most.max(*entry);
        }
    }
    for (what, most) in rounds {
        // Who adds members sends the whole tree along, which is read row by row.
        let bound = if matches!(what, "commit" | "own commit" | "group info") { 6 } else { 4 };
        assert!(most <= bound, "{what} takes {most} rounds");
    }
}

/// What an operation showed to the outside.
type Shown = Result<String, Error>;

/// An operation and its name, on a group that may have to be asked again.
type Operation<'a> = (&'static str, Box<dyn Fn(&mut Group) -> Shown + 'a>);

/// What a group in storage does when asked for an operation.
fn outcome(disk: &Disk, config: &Arc<Config>, operation: &dyn Fn(&mut Group) -> Shown) -> Shown {
    let (mut group, _) = disk.open::<Group>(config)?;
    disk.attempt(&mut group, operation).0
}

/// The seal of a store covers these records with their names and the version; the group cannot tell
/// every other value of them, but it must never take one for the truth silently.
fn sealed_only(kind: RecordKind) -> bool {
    !matches!(
        kind,
        RecordKind::Leaf | RecordKind::Page | RecordKind::Counts | RecordKind::IndexBase | RecordKind::IndexLog
    )
}

/// Twins with a history, the disk of one before the last epochs, and three messages for it: one of a
/// past epoch, one of this epoch, and a commit.
fn damaged_world() -> (World, Disk, [Vec<u8>; 3]) {
    let rng = &mut keyroom_vectors::rng(77);
    let config = Arc::new(Config { past_epochs: 2, ..Config::default() });
    let mut world = World::new(config, rng);
    while world.twins.len() < 3 || world.largest < 20 {
        world.commit(rng);
    }
    let stale = world.twins[0].disk.clone();
    world.propose(rng);
    world.commit(rng);
    let say = |world: &mut World| {
        let twin = &mut world.twins[1];
        let own_signer = signer(&twin.name);
        twin.both("send", &mut world.rounds, 5, |group, rng| {
            let out = group.encrypt(b"hello", b"", own_signer.as_ref(), rng)?;
            Ok((out.message, Some(out.changes)))
        })
        .unwrap()
    };
    let late = say(&mut world);
    let at = world.twins[2].name.clone();
    let rng = &mut keyroom_vectors::rng(78);
    let own_signer = signer(&at);
    let twin = &mut world.twins[2];
    let message = twin
        .both("commit", &mut world.rounds, 6, |group, rng| {
            let (pending, changes) = group.commit().build(own_signer.as_ref(), &keyroom_insider::now(), rng)?;
            Ok(((pending.id, sent(&pending)), Some(changes)))
        })
        .unwrap();
    twin.both("own commit", &mut world.rounds, 6, |group, _| {
        let pending = group.pending_commit(message.0, &keyroom_insider::now())?;
        let verdict = pending.questions().accept_unseen();
        let (applied, changes) = group.apply(pending.into_staged(), &verdict)?;
        Ok((applied, Some(changes)))
    })
    .unwrap();
    world.deliver(Some(2), &message.1, "process a commit");
    let current = say(&mut world);
    let packages: Vec<_> = (0..3).map(|n| bundle(&format!("new {n}"), rng).key_package).collect();
    let twin = &mut world.twins[1];
    let own_signer = signer(&twin.name);
    let mut builder = twin.memory.commit();
    for package in packages {
        builder = builder.add(package);
    }
    let (pending, _) = builder.build(own_signer.as_ref(), &keyroom_insider::now(), rng).unwrap();
    (world, stale, [late, current, sent(&pending)])
}

#[test]
fn a_record_that_is_not_the_one_written_is_noticed() {
    let (world, stale, messages) = damaged_world();
    let twin = &world.twins[0];
    let own_signer = signer(&twin.name);
    let package = bundle("newest", &mut keyroom_vectors::rng(80)).key_package;
    let mut operations: Vec<Operation<'_>> = Vec::new();
    for (name, message) in ["late message", "message", "commit"].into_iter().zip(&messages) {
        operations
            .push((name, Box::new(move |group: &mut Group| read(group, message).map(|(read, _)| format!("{read:?}")))));
    }
    operations.push((
        "make a commit",
        Box::new(move |group: &mut Group| {
            let rng = &mut keyroom_vectors::rng(81);
            let builder = group.commit().add(package.clone());
            let (pending, _) = builder.build(own_signer.as_ref(), &keyroom_insider::now(), rng)?;
            Ok(format!("{:?}{:?}", sent(&pending), admission(&pending).welcome))
        }),
    ));
    let truths: Vec<Shown> =
        operations.iter().map(|(_, operation)| outcome(&twin.disk, &twin.config, operation.as_ref())).collect();
    assert!(truths.iter().all(Result::is_ok), "{truths:?}");
    let rng = &mut keyroom_vectors::rng(seed());
    let mut noticed = BTreeMap::<RecordKind, usize>::new();
    for (key, value) in &twin.disk.records {
        let mut damages: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new())];
        for _ in 0..2 {
            damages.push(Some(value[..below(rng, value.len())].to_vec()));
        }
        for _ in 0..4 {
            let mut flipped = value.to_vec();
            let bit = below(rng, value.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            damages.push(Some(flipped));
        }
        damages.push(Some([value.as_slice(), &[0]].concat()));
        damages.extend(stale.records.get(key).filter(|old| *old != value).map(|old| Some(old.to_vec())));
        let swapped = twin.disk.records.iter().find(|(other, _)| other.kind == key.kind && *other != key);
        damages.extend(swapped.map(|(_, other)| Some(other.to_vec())));
        for damage in damages {
            let mut disk = twin.disk.clone();
            match &damage {
                Some(damaged) => drop(disk.records.insert(*key, damaged.clone().into())),
                None => drop(disk.records.remove(key)),
            }
            for ((name, operation), truth) in operations.iter().zip(&truths) {
                match outcome(&disk, &twin.config, operation.as_ref()) {
                    Err(Error::Corrupt(_) | Error::Missing(_)) => *noticed.entry(key.kind).or_default() += 1,
                    Err(_) if sealed_only(key.kind) => *noticed.entry(key.kind).or_default() += 1,
                    Ok(shown) if Ok(&shown) != truth.as_ref() && sealed_only(key.kind) && *name == "make a commit" => {}
                    other => assert!(other == *truth, "{name} with another {key:?} ({damage:?}): {other:?}"),
                }
            }
        }
    }
    for kind in [RecordKind::Head, RecordKind::Epoch, RecordKind::Leaf, RecordKind::Page, RecordKind::IndexLog] {
        assert!(noticed.get(&kind).is_some_and(|times| *times > 0), "{kind:?}");
    }
}

#[test]
fn a_head_of_another_version_or_with_more_behind_it_is_corrupt() {
    let mut bench = Bench::open();
    let member = bench.members[0].group.snapshot().unwrap();
    let written = bench.observer.as_mut().unwrap().store_whole().unwrap().writes;
    let observer: BTreeMap<_, _> = written.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let config = bench.members[0].group.config().clone();
    let open_group = |records: &BTreeMap<RecordKey, RecordValue>| {
        Group::open(&RUSTCRYPTO, Arc::new(config.clone()), 1, records).map(drop).err()
    };
    let open_public = |records: &BTreeMap<RecordKey, RecordValue>| {
        PublicGroup::open(&RUSTCRYPTO, Arc::new(config.clone()), 1, records).map(drop).err()
    };
    assert_eq!((open_group(&member), open_public(&observer)), (None, None));
    let damages: [fn(&mut RecordValue); 2] = [|head| head[0] ^= 1, |head| head.push(0)];
    for damage in damages {
        let damaged = |records: &BTreeMap<RecordKey, RecordValue>| {
            let mut records = records.clone();
            damage(records.get_mut(&RecordKey::HEAD).unwrap());
            records
        };
        let corrupt = Some(Error::Corrupt(RecordKey::HEAD));
        assert_eq!(open_group(&damaged(&member)), corrupt);
        assert_eq!(open_public(&damaged(&observer)), corrupt);
    }
}

#[test]
fn what_waits_is_corrupt_with_more_behind_it() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(5);
    let message = bench.insider(2).proposal(Proposal::Remove { removed: LeafIndex(1) }, rng);
    bench.keep(2, &message);
    let Member { client, group } = &mut bench.members[0];
    group.commit().build(client.signer.as_ref(), &Inputs::at(NOW), rng).unwrap();
    let records = group.snapshot().unwrap();
    let open = |records: &BTreeMap<RecordKey, RecordValue>| {
        Group::open(&RUSTCRYPTO, Arc::new(group.config().clone()), 1, records).map(drop).err()
    };
    assert_eq!(open(&records), None);
    for kind in [RecordKind::Proposal, RecordKind::Pending] {
        let key = *records.keys().find(|key| key.kind == kind).unwrap();
        let mut damaged = records.clone();
        damaged.get_mut(&key).unwrap().push(0);
        assert_eq!(open(&damaged), Some(Error::Corrupt(key)));
    }
}
