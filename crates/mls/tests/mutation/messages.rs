//! What a member and an observer read.

use std::collections::{BTreeMap, BTreeSet};

use keyroom_insider::{Bench, INFO, Member, config, now, suite};
use keyroom_mls::config::HandshakePolicy;
use keyroom_mls::error::{Error, Retry};
use keyroom_mls::group::{Group, Received};
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_mls::record::{RecordKey, RecordValue};
use keyroom_wire::{LeafIndex, Proposal};

use super::forge::Forge;
use super::{Records, below, mutated, policy, replay, round_rng, share};

/// After so many messages the state is compared.
const BATCH: usize = 100;
/// One message in so many is an insider's.
const INSIDER: usize = 3;

/// Bob's messages in the format of the group: application, commit, proposal, Update; and an external commit.
fn honest(bench: &mut Bench) -> Vec<Vec<u8>> {
    let (_, bundle) = bench.newcomer("gina");
    let (eve, eve_bundle) = bench.newcomer("eve");
    let Bench { members, rng, .. } = bench;
    let rng = &mut **rng;
    let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), rng).unwrap();
    let join = Group::join_external(suite(1), &eve_bundle, config());
    let external = join.build(&info, eve.signer.as_ref(), &now(), rng).unwrap().message;
    let bob = &mut members[1];
    let signer = bob.client.signer.as_ref();
    let said = bob.group.encrypt(b"a message of some length", b"data", signer, rng).unwrap().message;
    let builder = bob.group.commit().add(bundle.key_package.clone()).remove(LeafIndex(3));
    let commit = keyroom_insider::sent(&builder.build(signer, &now(), rng).unwrap().0);
    let remove = Proposal::Remove { removed: LeafIndex(3) };
    let proposal = bob.group.propose(remove, b"", signer, &now(), rng).unwrap().message;
    let update = bob.group.propose_update(b"", signer, None, &now(), rng).unwrap().message;
    vec![said, commit, proposal, update, external]
}

/// Whoever reads bad messages, and the state that it must keep.
struct Victim<'a> {
    member: &'a mut Member,
    before: Records,
    version: u64,
    observer: Option<Observer>,
    /// Each single message is compared.
    each: bool,
    errors: BTreeSet<String>,
}

/// Someone who reads the same and knows no secret.
struct Observer {
    group: PublicGroup,
    pristine: PublicGroup,
    before: Seen,
}

/// What an observer would store, and all that it has in memory.
type Seen = (BTreeMap<RecordKey, Option<RecordValue>>, String);

fn seen(observer: &PublicGroup) -> Seen {
    (observer.clone().store_whole().unwrap().writes, format!("{observer:?}"))
}

impl Observer {
    fn new(group: PublicGroup) -> Self {
        Self { pristine: group.clone(), before: seen(&group), group }
    }

    /// It cannot see a wrong tag: what a member refuses for its tag alone it may take, a commit to be applied, a
    /// proposal to be kept. That is forgotten here.
    fn reads(&mut self, message: &[u8]) -> Option<Error> {
        match self.group.process(message, &now()) {
            Err(error) => return Some(error),
            Ok(Observed::Commit(_)) => {}
            Ok(_) => self.group = self.pristine.clone(),
        }
        None
    }
}

impl<'a> Victim<'a> {
    fn new(member: &'a mut Member, observer: Option<PublicGroup>, each: bool) -> Self {
        let (before, version) = (member.group.snapshot().unwrap(), member.group.version());
        Self { member, before, version, observer: observer.map(Observer::new), each, errors: BTreeSet::new() }
    }

    /// A message that nobody can have sent is refused.
    fn refuses(&mut self, message: &[u8], round: usize) {
        match self.member.group.process(message, &now()) {
            Ok(processed) => panic!("{}: accepted: {processed:?}", replay(round)),
            Err(error) => self.note(&error, round),
        }
        if let Some(error) = self.observer.as_mut().and_then(|observer| observer.reads(message)) {
            self.note(&error, round);
        }
        assert_eq!(self.member.group.version(), self.version, "{}", replay(round));
        if self.each || round.is_multiple_of(BATCH) {
            self.same(round);
            self.same_observed(round);
        }
    }

    /// A message of an insider is refused and changes nothing, or is a valid one. Says whether it spent a key.
    fn reads(&mut self, message: &[u8], round: usize) -> bool {
        match self.member.group.process(message, &now()) {
            Err(error) => self.note(&error, round),
            Ok(processed) => {
                if processed.changes.is_some() {
                    self.goes_on(&processed.received);
                    return true;
                }
                assert!(matches!(processed.received, Received::Commit(_) | Received::Proposal(_)));
            }
        }
        self.same(round);
        false
    }

    /// What was valid becomes the state from now on; a proposal is dropped again.
    fn goes_on(&mut self, received: &Received) {
        if let Received::Proposal(kept) = received {
            self.member.group.drop_proposal(&kept.reference).unwrap();
        }
        assert!(self.member.group.version() > self.version);
        self.before = self.member.group.snapshot().unwrap();
        self.version = self.member.group.version();
    }

    fn note(&mut self, error: &Error, round: usize) {
        let own_fault = matches!(error, Error::Missing(_) | Error::Corrupt(_) | Error::Crypto(_) | Error::Usage(_));
        let kind = matches!(error, Error::Usage(keyroom_mls::error::Usage::WrongMessageKind));
        assert!(!own_fault || kind, "{}: {error:?} is not the sender's fault", replay(round));
        let retry = matches!(error, Error::NotYet(_));
        assert_eq!(error.retry() == Retry::AfterSupply, retry);
        if let Error::Rule(rule) = error {
            self.errors.insert(rule.code().to_owned());
        }
    }

    fn same(&self, round: usize) {
        assert!(self.member.group.snapshot().unwrap() == self.before, "{}: the group has changed", replay(round));
        assert_eq!(self.member.group.version(), self.version, "{}", replay(round));
    }

    fn same_observed(&self, round: usize) {
        if let Some(observer) = &self.observer {
            assert!(seen(&observer.group) == observer.before, "{}: the observer has changed", replay(round));
        }
    }
}

fn survives(handshakes: HandshakePolicy, rounds: usize) -> BTreeSet<String> {
    let mut bench = Bench::new(60, policy(handshakes));
    let honest = honest(&mut bench);
    let observer = bench.observer.take();
    let (alice, others) = bench.members.split_first_mut().unwrap();
    let mut victim = Victim::new(alice, observer, rounds <= BATCH);
    let mut forge = Forge::new(&others[0]);
    for round in 0..rounds {
        let rng = &mut round_rng(round);
        if below(rng, INSIDER) == 0 {
            victim.same(round);
            let (message, key) = forge.message(rng);
            if victim.reads(&message, round) {
                forge.spent(key);
            }
        } else {
            let damaged = mutated(&honest[below(rng, honest.len())], rng);
            if !honest.contains(&damaged) {
                victim.refuses(&damaged, round);
            }
        }
    }
    victim.same(rounds);
    victim.same_observed(rounds);
    let errors = victim.errors;
    for message in &honest {
        alice.group.process(message, &now()).unwrap();
    }
    errors
}

/// That the messages went deep: rules that only a message with a right signature can break are among the errors.
#[track_caller]
fn went_deep(errors: &BTreeSet<String>, rules: &[&str], rounds: usize) {
    if rounds < 5_000 {
        return;
    }
    for rule in rules {
        assert!(errors.contains(*rule), "{rule} is not among {errors:?}");
    }
    assert!(errors.len() >= 20, "{errors:?}");
}

#[test]
fn bad_public_messages_change_nothing() {
    let rounds = share(40);
    let errors = survives(HandshakePolicy::Public, rounds);
    let rules = ["membership-tag", "message-signature", "leaf-signature", "path-length", "removed-not-member"];
    went_deep(&errors, &rules, rounds);
}

#[test]
fn bad_private_messages_change_nothing() {
    let rounds = share(40);
    let errors = survives(HandshakePolicy::Private, rounds);
    let rules = ["sender-data", "content-decryption", "private-content", "padding-not-zero", "message-signature"];
    went_deep(&errors, &rules, rounds);
}

#[test]
fn messages_that_are_cut_short_or_too_long_change_nothing() {
    for handshakes in [HandshakePolicy::Public, HandshakePolicy::Private] {
        let mut bench = Bench::new(60, policy(handshakes));
        let honest = honest(&mut bench);
        let observer = bench.observer.take();
        let mut victim = Victim::new(&mut bench.members[0], observer, false);
        for message in &honest {
            for cut in 0..message.len() {
                victim.refuses(&message[..cut], cut);
            }
            victim.refuses(&[message.as_slice(), &[0]].concat(), 0);
        }
        victim.same(0);
        victim.same_observed(0);
    }
}
