use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyroom_crypto::{CryptoRng, Provider, Signer, Suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::Error;
use keyroom_mls::group::{Backlog, Founder, Group, JoinOptions, PendingCommit, Processed, Received, TreeDelivery};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{Grease, lifetime_from};
use keyroom_mls::padding::Padding;
use keyroom_mls::record::{ChangeSet, Missing, RecordKey, RecordValue};
use keyroom_store::Transaction;
use keyroom_wire::{CipherSuite, Credential, Encode, Extensions, GroupId, LeafIndex, MlsMessage};

use super::records::Records;
use super::{Change, Cost, ROOM, SUITE, Storage, Subject, now, timed};
use crate::world::{parse_key_package, rng};

struct Keyroom {
    name: String,
    provider: &'static dyn Provider,
    suite: &'static dyn Suite,
    signer: Box<dyn Signer>,
    config: Arc<Config>,
    rng: Box<dyn CryptoRng>,
    bundles: Vec<KeyPackageBundle>,
    group: Option<Group>,
    records: Records,
}

/// A client of ours.
pub fn client(provider: &'static dyn Provider, name: &str, storage: Storage<'_>) -> Box<dyn Subject> {
    let suite = provider.suite(CipherSuite(SUITE)).expect("a suite of the provider");
    let mut rng = rng(name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(257).wrapping_add(byte.into())));
    let key = suite.generate_signature_key(&mut rng).unwrap();
    Box::new(Keyroom {
        name: name.to_owned(),
        provider,
        suite,
        signer: suite.signer(key.expose()).unwrap(),
        config: config(),
        rng: Box::new(rng),
        bundles: Vec::new(),
        group: None,
        records: Records::new(storage),
    })
}

/// Opens a group from a file and loads all its records, some at a time.
pub fn load<T>(provider: &'static dyn Provider, path: &Path, opened: impl FnOnce() -> T) -> (T, Box<dyn Any>) {
    const AT_ONCE: usize = 128;
    let (records, names) = Records::reopen(path);
    records.read(&[RecordKey::HEAD]);
    let before = opened();
    let mut group = open(provider, &config(), &records);
    for names in names.chunks(AT_ONCE) {
        group.supply(&records.read(names).1).unwrap();
    }
    group.tree().require_all().unwrap();
    (before, Box::new((records, group)))
}

/// The defaults, without padding, and with room for the largest commits that are measured.
fn config() -> Arc<Config> {
    Arc::new(Config {
        padding: Padding::None,
        max_proposals: 1 << 20,
        max_proposals_per_sender: 1 << 20,
        max_proposal_bytes: 1 << 30,
        ..Config::default()
    })
}

/// From the store, without leaves, pages and ratchets.
fn open(provider: &dyn Provider, config: &Arc<Config>, records: &Records) -> Group {
    let mut read: BTreeMap<RecordKey, RecordValue> = BTreeMap::new();
    let mut version = 0;
    loop {
        match Group::open(provider, config.clone(), version, &read) {
            Err(Error::Missing(Missing(missing))) => {
                let (stored, found) = records.read(&missing);
                version = stored;
                read.extend(found.into_iter().filter_map(|(key, value)| Some((key, value?))));
            }
            opened => return opened.unwrap(),
        }
    }
}

impl Keyroom {
    fn bundle(&mut self) -> KeyPackageBundle {
        KeyPackageBuilder::new(self.suite, Credential::basic(self.name.as_bytes()), lifetime_from(now(), 24 * 3600))
            .grease(Grease::Omit)
            .build(self.signer.as_ref(), self.rng.as_mut())
            .unwrap()
    }

    fn group(&mut self) -> &mut Group {
        self.group.as_mut().expect("a member")
    }

    fn keep(&mut self, work: Duration, changes: Vec<ChangeSet>) -> Cost {
        self.keep_with(work, changes, Transaction::new())
    }

    fn keep_with(&mut self, work: Duration, changes: Vec<ChangeSet>, transaction: Transaction) -> Cost {
        let bytes = Some(self.records.note(&changes));
        let ((), store) = timed(|| self.records.apply(changes, transaction));
        Cost { work, store, bytes }
    }

    /// Makes a commit. What the group lacks for it is read from the store.
    fn build(&mut self, change: Change<'_>) -> (PendingCommit, ChangeSet) {
        let group = self.group.as_mut().expect("a member");
        loop {
            let commit = match change {
                Change::Keys => group.commit(),
                Change::Add(added) => {
                    group.commit().add(parse_key_package(added)).welcome_tree(TreeDelivery::OutOfBand)
                }
                Change::Remove(leaf) => group.commit().remove(LeafIndex(leaf)),
            };
            match commit.build(self.signer.as_ref(), &Inputs::at(now()), self.rng.as_mut()) {
                Err(Error::Missing(Missing(missing))) => group.supply(&self.records.read(&missing).1).unwrap(),
                built => return built.unwrap(),
            }
        }
    }

    /// Reads a message, and what the group lacks for it from the store.
    fn process(&mut self, message: &[u8]) -> Processed {
        let group = self.group.as_mut().expect("a member");
        loop {
            match group.process(message, &Inputs::at(now())) {
                Err(Error::Missing(Missing(missing))) => group.supply(&self.records.read(&missing).1).unwrap(),
                processed => return processed.unwrap(),
            }
        }
    }

    fn read(&mut self, message: &[u8], expected: &[u8]) -> Option<ChangeSet> {
        let Processed { received, changes } = self.process(message);
        assert_data(&received, expected);
        changes
    }

    fn process_backlog(&mut self, messages: &[&[u8]]) -> Backlog {
        let group = self.group.as_mut().expect("a member");
        loop {
            match group.process_backlog(messages, &Inputs::at(now())) {
                Err(Error::Missing(Missing(missing))) => group.supply(&self.records.read(&missing).1).unwrap(),
                processed => return processed.unwrap(),
            }
        }
    }
}

fn assert_data(received: &Received, expected: &[u8]) {
    let Received::Application { data, .. } = received else { panic!("data was expected") };
    assert_eq!(data, expected);
}

impl Subject for Keyroom {
    fn key_package(&mut self) -> (Vec<u8>, Cost) {
        let ((bundle, message), work) = timed(|| {
            let bundle = self.bundle();
            let message = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
            (bundle, message)
        });
        let (bytes, store) = timed(|| {
            let reference = bundle.reference(self.suite);
            self.records.put_key_package(reference.as_slice(), bundle.encode())
        });
        self.bundles.push(bundle);
        (message, Cost { work, store, bytes: Some(bytes) })
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> (Vec<u8>, Cost) {
        let inputs = Inputs::at(now());
        let ((welcome, changes), work) = timed(|| {
            let founder =
                Founder { bundle: self.bundle(), group_id: GroupId::from(ROOM), extensions: Extensions::new() };
            let (mut group, founded) =
                Group::create(self.suite, founder, self.config.clone(), &inputs, self.rng.as_mut()).unwrap();
            let added = key_packages.iter().map(|added| parse_key_package(added));
            let commit = added.fold(group.commit(), |commit, added| commit.add(added));
            let (pending, made) = commit.build(self.signer.as_ref(), &inputs, self.rng.as_mut()).unwrap();
            let verdict = pending.questions().accept_unseen();
            let welcome = pending.for_atomic_delivery(&verdict).unwrap().admission.welcome.clone().unwrap();
            let (_, applied) = group.apply(pending.into_staged(), &verdict).unwrap();
            self.group = Some(group);
            (welcome, vec![founded, made, applied])
        });
        (welcome, self.keep(work, changes))
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let ((used, changes), work) = timed(|| {
            let options = JoinOptions::new(&self.bundles);
            let inputs = Inputs::at(now());
            let joining =
                Group::join(self.suite, welcome, &options, self.config.clone(), &inputs, self.rng.as_mut()).unwrap();
            let verdict = joining.questions().accept_unseen();
            let used = joining.key_package().unwrap().as_slice().to_vec();
            let (group, changes) = joining.accept(&verdict).unwrap();
            self.group = Some(group);
            (used, vec![changes])
        });
        self.keep_with(work, changes, Records::without_key_package(&used))
    }

    fn commit(&mut self, change: Change<'_>) -> (Vec<u8>, Cost) {
        let ((message, changes), work) = timed(|| {
            let (pending, made) = self.build(change);
            let verdict = pending.questions().accept_unseen();
            let message = pending.message(&verdict).unwrap().to_vec();
            let (_, applied) = self.group().apply(pending.into_staged(), &verdict).unwrap();
            (message, vec![made, applied])
        });
        (message, self.keep(work, changes))
    }

    fn receive(&mut self, message: &[u8]) -> Cost {
        let (changes, work) = timed(|| {
            let Received::Commit(staged) = self.process(message).received else { panic!("a commit was expected") };
            let verdict = staged.questions().accept_unseen();
            vec![self.group().apply(staged, &verdict).unwrap().1]
        });
        self.keep(work, changes)
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().expect("a member");
        let (sent, work) = timed(|| group.encrypt(data, b"", self.signer.as_ref(), self.rng.as_mut()).unwrap());
        (sent.message, self.keep(work, vec![sent.changes]))
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let (changes, work) = timed(|| self.read(message, expected));
        self.keep(work, changes.into_iter().collect())
    }

    fn backlog(&mut self, messages: &[Vec<u8>], expected: &[u8]) -> Cost {
        let mut rest: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let (changes, work) = timed(|| {
            let mut changes = Vec::new();
            while !rest.is_empty() {
                let backlog = self.process_backlog(&rest);
                rest.drain(..backlog.outcomes.len());
                changes.extend(backlog.changes);
                backlog.outcomes.into_iter().for_each(|outcome| assert_data(&outcome.unwrap(), expected));
            }
            changes
        });
        self.keep(work, changes)
    }

    fn open(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        self.group = None;
        let (changes, work) = timed(|| {
            self.group = Some(open(self.provider, &self.config, &self.records));
            self.read(message, expected)
        });
        self.keep(work, changes.into_iter().collect())
    }

    fn state(&self) -> Option<usize> {
        Some(self.records.size())
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().expect("a member").epoch_authenticator().to_vec()
    }

    fn close(self: Box<Self>) {
        self.records.close();
    }
}
