//! Where rules are broken: a group in which Alice reads what Bob, an insider, makes up.

use std::sync::Arc;

use keyroom_crypto::{CryptoRng, labels};
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::error::{Error, NotYet, Rule};
use keyroom_mls::group::{CommitBuilder, ExternalJoins, GroupInfoContent, Received, StagedCommit, TreeDelivery};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::leaf_node::LifetimeCheck;
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    Decode, KeyPackage, LeafIndex, LeafNode, Limits, MlsMessage, ProposalOrRef, ProposalRef, ProposalType,
};

use crate::{Alter, Client, Insider, Member, agree, commit, config, now, room_of, suite};

/// A GroupInfo with the tree inside, for external joiners.
pub const INFO: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };

/// Alice, who reads; Bob, who breaks rules; others; and a blank leaf where Charlie was.
pub struct Bench {
    pub members: Vec<Member>,
    pub rng: Box<dyn CryptoRng>,
    /// Someone outside who reads what is public, and refuses for the same reasons.
    pub observer: Option<PublicGroup>,
}

pub const BLANK: LeafIndex = LeafIndex(2);

impl Bench {
    pub fn new(seed: u64, config: Arc<Config>) -> Self {
        Self::of(seed, config, |client| client)
    }

    /// A group in which all support SelfRemove.
    pub fn leaving(config: Arc<Config>) -> Self {
        Self::of(1, config, |client| client.supporting(ProposalType::SELF_REMOVE))
    }

    /// A group of clients that are made special.
    pub fn of(seed: u64, config: Arc<Config>, special: impl Fn(Client) -> Client) -> Self {
        // As strict as it can be set, so that every rule shows.
        let strict = Config { received_lifetimes: LifetimeCheck::LengthAndRange, ..Config::clone(&config) };
        let config = Arc::new(strict);
        let mut rng = keyroom_vectors::rng(seed);
        let names = ["alice", "bob", "charlie", "dana", "erin", "frank"];
        let clients = names.iter().map(|name| special(Client::new(name, suite(1), &mut rng))).collect();
        let mut members = room_of(clients, config, &mut rng);
        for from in [3, 0, 5] {
            commit(&mut members, from, &mut rng, |builder| builder);
        }
        members.remove(2);
        commit(&mut members, 0, &mut rng, |builder| builder.remove(BLANK));
        let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), &mut rng).unwrap();
        let config = Arc::new(members[0].group.config().clone());
        let public = matches!(config.handshakes, HandshakePolicy::Public);
        let observing = PublicGroup::observe(&RUSTCRYPTO, &info, None, config, &now(), &mut rng).unwrap();
        let verdict = observing.questions().accept_unseen();
        let observer = public.then(|| observing.accept(&verdict).unwrap());
        Self { members, rng: Box::new(rng), observer }
    }

    pub fn open() -> Self {
        Self::new(1, config())
    }

    /// A commit that all follow, the observer too. Returns its Welcome.
    pub fn commit(
        &mut self,
        from: usize,
        build: impl FnOnce(CommitBuilder<'_>) -> CommitBuilder<'_>,
    ) -> Option<Vec<u8>> {
        let (message, welcome) = commit(&mut self.members, from, &mut *self.rng, build);
        self.observe(&message);
        welcome
    }

    pub fn bob(&self) -> Insider<'_> {
        Insider::new(&self.members[1].group, self.members[1].client.signer.as_ref())
    }

    /// Alice refuses the message, for this reason, and is as before.
    #[track_caller]
    pub fn refuses(&mut self, name: &str, message: &[u8], expected: impl Into<Error>) {
        self.reader_refuses(0, name, message, expected);
    }

    #[track_caller]
    pub fn reader_refuses(&mut self, reader: usize, name: &str, message: &[u8], expected: impl Into<Error>) {
        let group = &mut self.members[reader].group;
        let before = group.snapshot().unwrap();
        let version = group.version();
        let outcome = group.process(message, &now());
        let Err(error) = outcome else { panic!("{name}: accepted") };
        let expected = expected.into();
        assert_eq!(error, expected, "{name}");
        assert!(group.snapshot().unwrap() == before, "{name}: the group has changed");
        assert_eq!(group.version(), version, "{name}");
        self.observer_refuses(name, message, &expected);
    }

    /// So does the observer, if it takes no secret to see.
    #[track_caller]
    fn observer_refuses(&mut self, name: &str, message: &[u8], expected: &Error) {
        let Some(observer) = &mut self.observer else { return };
        let before = observer.context().clone();
        let outcome = observer.process(message, &now());
        let public = matches!(MlsMessage::from_bytes(message, &Limits::default()), Ok(MlsMessage::PublicMessage(_)));
        let unseen = match expected {
            Error::Rule(Rule::MembershipTag | Rule::ConfirmationTag | Rule::PathDecryption | Rule::PathKeyMismatch) => {
                true
            }
            Error::NotYet(NotYet::Psks(_)) => true,
            _ => !public,
        };
        assert!(outcome.is_err() || unseen, "{name}: accepted by the observer");
        if !unseen {
            assert_eq!(outcome.err().as_ref(), Some(expected), "{name}: observed");
        }
        assert_eq!(*observer.context(), before, "{name}");
    }

    /// Alice refuses to commit this herself, for this reason, and is as before.
    #[track_caller]
    pub fn own_refuses(
        &mut self,
        name: &str,
        build: impl FnOnce(CommitBuilder<'_>) -> CommitBuilder<'_>,
        expected: impl Into<Error>,
    ) {
        let Member { client, group } = &mut self.members[0];
        let before = group.snapshot().unwrap();
        let made = build(group.commit()).build(client.signer.as_ref(), &now(), &mut *self.rng);
        let Err(error) = made else { panic!("{name}: committed") };
        assert_eq!(error, expected.into(), "{name}: own commit");
        assert!(group.snapshot().unwrap() == before, "{name}: the group has changed");
    }

    /// Everybody keeps a proposal, the member at `from` in the list apart. Returns its reference.
    pub fn keep(&mut self, from: usize, message: &[u8]) -> ProposalRef {
        let mut reference = None;
        for (_, member) in self.members.iter_mut().enumerate().filter(|(position, _)| *position != from) {
            let Received::Proposal(kept) = member.group.process(message, &now()).unwrap().received else {
                panic!("a proposal was expected")
            };
            reference = Some(kept.reference);
        }
        if let Some(observer) = &mut self.observer {
            let Observed::Proposal(kept) = observer.process(message, &now()).unwrap() else { panic!("a proposal") };
            assert_eq!(Some(&kept), reference.as_ref());
        }
        reference.unwrap()
    }

    /// Alice and the observer accept a commit of someone else. Nobody moves.
    #[track_caller]
    pub fn accepts(&mut self, message: &[u8]) -> StagedCommit {
        if let Some(observer) = &mut self.observer {
            observer.process(message, &now()).unwrap();
        }
        match self.members[0].group.process(message, &now()).unwrap().received {
            Received::Commit(staged) => staged,
            other => panic!("a commit was expected, not {other:?}"),
        }
    }

    /// A leaf as it stands in the tree.
    pub fn leaf(&self, leaf: u32) -> LeafNode {
        self.members[0].group.member(LeafIndex(leaf)).unwrap().unwrap().leaf().node().to_owned().unwrap()
    }

    /// A commit of Bob that names proposals.
    pub fn naming(&self, references: &[ProposalRef]) -> Vec<u8> {
        let named = references.iter().cloned().map(ProposalOrRef::Reference).collect();
        self.bob().commit_with(named, &Alter::default(), &mut keyroom_vectors::rng(4)).bytes()
    }

    /// Someone who knows what this member knows.
    pub fn insider(&self, member: usize) -> Insider<'_> {
        Insider::new(&self.members[member].group, self.members[member].client.signer.as_ref())
    }

    fn observe(&mut self, message: &[u8]) {
        if let Some(observer) = &mut self.observer {
            let Observed::Commit(staged) = observer.process(message, &now()).unwrap() else { panic!("a commit") };
            let verdict = staged.questions().accept_unseen();
            observer.apply(*staged, &verdict).unwrap();
        }
    }

    /// All go on as if nothing had happened.
    pub fn goes_on(&mut self) {
        for from in [1, 0] {
            self.commit(from, |builder| builder);
        }
        agree(&self.members);
        if let Some(observer) = &self.observer {
            assert_eq!(observer.context(), self.members[0].group.context());
        }
        let Self { members, rng, .. } = self;
        let message = members[1].send("still here", &mut **rng);
        assert_eq!(members[0].read(&message).1, "bob");
    }

    pub fn newcomer(&mut self, name: &'static str) -> (Client, KeyPackageBundle) {
        let client = Client::new(name, suite(1), &mut *self.rng);
        let bundle = client.bundle(&mut *self.rng);
        (client, bundle)
    }
}

/// Signs leaf and key package again after they have been altered.
pub fn resigned(mut package: KeyPackage, client: &Client, rng: &mut dyn CryptoRng) -> KeyPackage {
    package.leaf_node.signature =
        labels::sign_with_label(client.signer.as_ref(), "LeafNodeTBS", &package.leaf_node.tbs(None), rng).unwrap();
    package.signature = labels::sign_with_label(client.signer.as_ref(), "KeyPackageTBS", &package.tbs(), rng).unwrap();
    package
}

pub fn rule(rule: Rule) -> Error {
    rule.into()
}

/// The same bytes with one bit of one byte changed.
pub fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
