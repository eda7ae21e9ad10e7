use std::collections::BTreeMap;
use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Provider, Signer, Suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::group::{Founder, Group, JoinOptions, Received};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{Grease, lifetime_from};
use keyroom_mls::padding::Padding;
use keyroom_mls::record::{ChangeSet, RecordKey, RecordValue};
use keyroom_wire::{CipherSuite, Credential, Decode, Encode, Extensions, GroupId, KeyPackage, Limits, MlsMessage};

use super::{Cost, SUITE, Subject, now, timed};

struct Keyroom {
    name: String,
    suite: &'static dyn Suite,
    signer: Box<dyn Signer>,
    config: Arc<Config>,
    rng: Box<dyn CryptoRng>,
    bundles: Vec<KeyPackageBundle>,
    group: Option<Group>,
    store: BTreeMap<RecordKey, RecordValue>,
}

pub fn client(provider: &dyn Provider, name: &str) -> Box<dyn Subject> {
    let suite = provider.suite(CipherSuite(SUITE)).expect("a suite of the provider");
    let mut rng = crate::rng(name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(257).wrapping_add(byte.into())));
    let key = suite.generate_signature_key(&mut rng).unwrap();
    Box::new(Keyroom {
        name: name.to_owned(),
        suite,
        signer: suite.signer(key.expose()).unwrap(),
        config: Arc::new(Config { padding: Padding::None, ..Config::default() }),
        rng: Box::new(rng),
        bundles: Vec::new(),
        group: None,
        store: BTreeMap::new(),
    })
}

impl Keyroom {
    fn bundle(&mut self) -> KeyPackageBundle {
        KeyPackageBuilder::new(self.suite, Credential::basic(self.name.as_bytes()), lifetime_from(now(), 24 * 3600))
            .grease(Grease::Omit)
            .build(self.signer.as_ref(), self.rng.as_mut())
            .unwrap()
    }

    fn keep(&mut self, work: std::time::Duration, changes: Vec<ChangeSet>) -> Cost {
        let bytes = changes.iter().map(ChangeSet::bytes).sum();
        let ((), store) = timed(|| {
            for changes in changes {
                for (kind, major) in changes.cleared {
                    let all = RecordKey::new(kind, major, 0)..=RecordKey::new(kind, major, u64::MAX);
                    let keys: Vec<RecordKey> = self.store.range(all).map(|(key, _)| *key).collect();
                    keys.iter().for_each(|key| drop(self.store.remove(key)));
                }
                for (key, value) in changes.writes {
                    match value {
                        Some(value) => drop(self.store.insert(key, value)),
                        None => drop(self.store.remove(&key)),
                    }
                }
            }
        });
        Cost { work, store, bytes }
    }
}

fn parse(message: &[u8]) -> KeyPackage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::KeyPackage(key_package) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

impl Subject for Keyroom {
    fn key_package(&mut self) -> Vec<u8> {
        let bundle = self.bundle();
        let message = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
        self.bundles.push(bundle);
        message
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> Cost {
        let inputs = Inputs::at(now());
        let (changes, work) = timed(|| {
            let founder = Founder {
                bundle: self.bundle(),
                group_id: GroupId::from(b"room".as_slice()),
                extensions: Extensions::new(),
            };
            let (mut group, founded) =
                Group::create(self.suite, founder, self.config.clone(), &inputs, self.rng.as_mut()).unwrap();
            let commit = key_packages.iter().fold(group.commit(), |commit, added| commit.add(parse(added)));
            let (pending, made) = commit.build(self.signer.as_ref(), &inputs, self.rng.as_mut()).unwrap();
            let verdict = pending.questions().accept_unseen();
            assert!(pending.for_atomic_delivery(&verdict).unwrap().admission.welcome.is_some());
            let (_, applied) = group.apply(pending.into_staged(), &verdict).unwrap();
            self.group = Some(group);
            vec![founded, made, applied]
        });
        self.keep(work, changes)
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let (changes, work) = timed(|| {
            let options = JoinOptions::new(&self.bundles);
            let inputs = Inputs::at(now());
            let joining =
                Group::join(self.suite, welcome, &options, self.config.clone(), &inputs, self.rng.as_mut()).unwrap();
            let verdict = joining.questions().accept_unseen();
            let (group, changes) = joining.accept(&verdict).unwrap();
            self.group = Some(group);
            vec![changes]
        });
        self.keep(work, changes)
    }

    fn commit(&mut self) -> (Vec<u8>, Cost) {
        let ((message, changes), work) = timed(|| {
            let group = self.group.as_mut().unwrap();
            let commit = group.commit();
            let (pending, made) = commit.build(self.signer.as_ref(), &Inputs::at(now()), self.rng.as_mut()).unwrap();
            let verdict = pending.questions().accept_unseen();
            let message = pending.message(&verdict).unwrap().to_vec();
            let (_, applied) = group.apply(pending.into_staged(), &verdict).unwrap();
            (message, vec![made, applied])
        });
        (message, self.keep(work, changes))
    }

    fn process(&mut self, message: &[u8]) -> Cost {
        let (changes, work) = timed(|| {
            let group = self.group.as_mut().unwrap();
            let Received::Commit(staged) = group.process(message, &Inputs::at(now())).unwrap().received else {
                panic!("a commit was expected");
            };
            let verdict = staged.questions().accept_unseen();
            vec![group.apply(staged, &verdict).unwrap().1]
        });
        self.keep(work, changes)
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().unwrap();
        let (sent, work) = timed(|| group.encrypt(data, b"", self.signer.as_ref(), self.rng.as_mut()).unwrap());
        (sent.message, self.keep(work, vec![sent.changes]))
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let group = self.group.as_mut().unwrap();
        let (processed, work) = timed(|| group.process(message, &Inputs::at(now())).unwrap());
        let Received::Application { data, .. } = processed.received else { panic!("data was expected") };
        assert_eq!(data, expected);
        self.keep(work, processed.changes.into_iter().collect())
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().unwrap().epoch_authenticator().to_vec()
    }
}
