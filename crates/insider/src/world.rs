//! A small world of clients: found a room, let members in, commit, follow, write and read.

use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Provider, Signer, Suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::group::{Admission, Founder, Group, JoinOptions, PendingCommit, Processed, Received};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{capabilities_for, lifetime_from};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, ExtensionType, Extensions, GroupId, KeyPackage, ProposalType,
};

/// The time in every test, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// An extension type beyond RFC 9420 that every client of this world supports.
pub const EXTENSION: ExtensionType = ExtensionType(0xf0e0);
/// A proposal type beyond RFC 9420 that every client of this world supports.
pub const PROPOSAL: ProposalType = ProposalType(0xf0e1);

pub fn suite(code: u16) -> &'static dyn Suite {
    RUSTCRYPTO.suite(CipherSuite(code)).expect("a suite of the provider")
}

pub fn now() -> Inputs<'static> {
    Inputs::at(NOW)
}

pub fn config() -> Arc<Config> {
    Arc::new(Config::default())
}

/// A client outside any group: an identity and the means to make key packages.
pub struct Client {
    pub name: &'static str,
    pub suite: &'static dyn Suite,
    pub signer: Box<dyn Signer>,
    /// The proposal types beyond RFC 9420 that it supports.
    pub proposals: Vec<ProposalType>,
}

impl Client {
    pub fn new(name: &'static str, suite: &'static dyn Suite, rng: &mut dyn CryptoRng) -> Self {
        let key = suite.generate_signature_key(rng).unwrap();
        Self { name, suite, signer: suite.signer(key.expose()).unwrap(), proposals: vec![PROPOSAL] }
    }

    /// One that supports another proposal type too.
    pub fn supporting(mut self, proposal_type: ProposalType) -> Self {
        self.proposals.push(proposal_type);
        self
    }

    pub fn bundle(&self, rng: &mut dyn CryptoRng) -> KeyPackageBundle {
        self.bundle_for(Credential::basic(self.name.as_bytes()), rng)
    }

    /// A key package with another credential.
    pub fn bundle_for(&self, credential: Credential, rng: &mut dyn CryptoRng) -> KeyPackageBundle {
        let usual = [CredentialType::BASIC, CredentialType::X509];
        let mut capabilities = capabilities_for([self.suite.cipher_suite()], usual);
        capabilities.extensions.push(EXTENSION);
        capabilities.proposals.extend(&self.proposals);
        KeyPackageBuilder::new(self.suite, credential, lifetime_from(NOW, 1000))
            .capabilities(capabilities)
            .build(self.signer.as_ref(), rng)
            .unwrap()
    }

    pub fn found(&self, group_id: &[u8], config: Arc<Config>, rng: &mut dyn CryptoRng) -> Group {
        let founder =
            Founder { bundle: self.bundle(rng), group_id: GroupId::from(group_id), extensions: Extensions::new() };
        Group::create(self.suite, founder, config, &now(), rng).unwrap().0
    }

    pub fn join(
        &self,
        welcome: &[u8],
        bundle: KeyPackageBundle,
        config: Arc<Config>,
        rng: &mut dyn CryptoRng,
    ) -> Group {
        let bundles = [bundle];
        let joining = Group::join(self.suite, welcome, &JoinOptions::new(&bundles), config, &now(), rng).unwrap();
        let verdict = joining.questions().accept_unseen();
        joining.accept(&verdict).unwrap().0
    }
}

/// A member: a client and its group.
pub struct Member {
    pub client: Client,
    pub group: Group,
}

impl Member {
    /// Applies an own commit.
    pub fn apply(&mut self, pending: PendingCommit) {
        let verdict = pending.questions().accept_unseen();
        self.group.apply(pending.into_staged(), &verdict).unwrap();
    }

    /// Reads a commit and applies it.
    pub fn follow(&mut self, message: &[u8]) {
        match self.group.process(message, &now()).unwrap().received {
            Received::Commit(staged) => {
                let verdict = staged.questions().accept_unseen();
                self.group.apply(staged, &verdict).unwrap();
            }
            other => panic!("{}: a commit was expected, not {other:?}", self.client.name),
        }
    }

    pub fn send(&mut self, text: &str, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.group.encrypt(text.as_bytes(), b"", self.client.signer.as_ref(), rng).unwrap().message
    }

    /// Reads application data and says who sent it.
    pub fn read(&mut self, message: &[u8]) -> (Vec<u8>, String) {
        let Processed { received, changes } = self.group.process(message, &now()).unwrap();
        assert!(changes.is_some(), "a message that spends a key comes with a change set");
        match received {
            Received::Application { sender, data, .. } => (sender.credential().unwrap().identity_bytes(), data).swap(),
            other => panic!("application data was expected, not {other:?}"),
        }
    }
}

trait Swap {
    fn swap(self) -> (Vec<u8>, String);
}

impl Swap for (Vec<u8>, Vec<u8>) {
    fn swap(self) -> (Vec<u8>, String) {
        (self.1, String::from_utf8(self.0).unwrap())
    }
}

trait Identity {
    fn identity_bytes(&self) -> Vec<u8>;
}

impl Identity for Credential {
    fn identity_bytes(&self) -> Vec<u8> {
        match self {
            Credential::Basic { identity } => identity.as_slice().to_vec(),
            other => panic!("a basic credential was expected, not {other:?}"),
        }
    }
}

/// A group of these members; the first has founded it and added the others in one commit.
pub fn room(names: &[&'static str], code: u16, config: Arc<Config>, rng: &mut dyn CryptoRng) -> Vec<Member> {
    room_in(suite(code), names, config, rng)
}

/// As [`room`], in a suite of any provider.
pub fn room_in(
    suite: &'static dyn Suite,
    names: &[&'static str],
    config: Arc<Config>,
    rng: &mut dyn CryptoRng,
) -> Vec<Member> {
    let clients = names.iter().map(|name| Client::new(name, suite, rng)).collect();
    room_of(clients, config, rng)
}

/// As [`room`], of these clients.
pub fn room_of(clients: Vec<Client>, config: Arc<Config>, rng: &mut dyn CryptoRng) -> Vec<Member> {
    let mut clients = clients.into_iter();
    let founder = clients.next().unwrap();
    let group = founder.found(b"room", config.clone(), rng);
    let mut members = vec![Member { client: founder, group }];
    let joiners: Vec<(Client, KeyPackageBundle)> = clients
        .map(|client| {
            let bundle = client.bundle(rng);
            (client, bundle)
        })
        .collect();
    if joiners.is_empty() {
        return members;
    }
    let packages: Vec<KeyPackage> = joiners.iter().map(|(_, bundle)| bundle.key_package.clone()).collect();
    let first = &mut members[0];
    let mut commit = first.group.commit();
    for package in packages {
        commit = commit.add(package);
    }
    let (pending, _) = commit.build(first.client.signer.as_ref(), &now(), rng).unwrap();
    let welcome = admission(&pending).welcome.unwrap();
    first.apply(pending);
    for (client, bundle) in joiners {
        let group = client.join(&welcome, bundle, config.clone(), rng);
        members.push(Member { client, group });
    }
    agree(&members);
    members
}

/// The message of an own commit, with everything accepted unseen.
pub fn sent(pending: &PendingCommit) -> Vec<u8> {
    let verdict = pending.questions().accept_unseen();
    pending.message(&verdict).unwrap().to_vec()
}

/// What an own commit brings for newcomers, as an atomic Delivery Service would get it.
pub fn admission(pending: &PendingCommit) -> Admission {
    let verdict = pending.questions().accept_unseen();
    pending.for_atomic_delivery(&verdict).unwrap().admission.clone()
}

/// All members are in the same epoch and have the same secrets.
pub fn agree(members: &[Member]) {
    for member in members {
        assert_eq!(member.group.context(), members[0].group.context());
        assert_eq!(member.group.epoch_authenticator(), members[0].group.epoch_authenticator());
    }
}

/// Member `from` commits what `build` adds to its commit; all others follow; its Welcome is returned.
pub fn commit(
    members: &mut [Member],
    from: usize,
    rng: &mut dyn CryptoRng,
    build: impl FnOnce(keyroom_mls::group::CommitBuilder<'_>) -> keyroom_mls::group::CommitBuilder<'_>,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let member = &mut members[from];
    let builder = build(member.group.commit());
    let (pending, _) = builder.build(member.client.signer.as_ref(), &now(), rng).unwrap();
    let (message, welcome) = (sent(&pending), admission(&pending).welcome);
    member.apply(pending);
    for (position, other) in members.iter_mut().enumerate() {
        if position != from {
            other.follow(&message);
        }
    }
    (message, welcome)
}

/// Where random tests begin: `KEYROOM_SEED`, or 1.
pub fn seed() -> u64 {
    std::env::var("KEYROOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// How long random tests go on: `KEYROOM_COUNT`, or what is usual.
pub fn count(usual: usize) -> usize {
    std::env::var("KEYROOM_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// A random number below a bound.
pub fn below(rng: &mut dyn CryptoRng, bound: usize) -> usize {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(bound).unwrap()).unwrap()
}
