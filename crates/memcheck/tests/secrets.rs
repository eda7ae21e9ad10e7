//! No memory that is given back holds a secret of a group (RFC 9420 §9.2, §14): not after keys were
//! replaced, not after a member left, not by a buffer that grew.
//!
//! The life of a group is played twice with the same random numbers: once to learn its secrets, and
//! again while every freed block is searched for them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use keyroom_crypto::{CryptoRng, Signer, Suite, labels};
use keyroom_memcheck::{Watching, blocks, forget, found, watch};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::group::{
    Applied, ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, Received, TreeDelivery,
};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_mls::record::RecordKind;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, Credential, Decode, Extensions, GroupSecrets, Limits, Mac, MlsMessage, Reader};

#[global_allocator]
static ALLOCATOR: Watching = Watching;

const NOW: u64 = 1_800_000_000;

/// The secrets learnt, each with a name that says where it was seen.
type Learnt = Vec<(String, Vec<u8>)>;

struct Client {
    name: &'static str,
    signer: Box<dyn Signer>,
}

impl Client {
    fn new(name: &'static str, suite: &dyn Suite, learnt: &mut Option<Learnt>, rng: &mut dyn CryptoRng) -> Self {
        let key = suite.generate_signature_key(rng).unwrap();
        if let Some(learnt) = learnt {
            learnt.push(("signature key".into(), key.expose().to_vec()));
        }
        Self { name, signer: suite.signer(key.expose()).unwrap() }
    }

    fn bundle(&self, suite: &dyn Suite, rng: &mut dyn CryptoRng) -> KeyPackageBundle {
        let credential = Credential::basic(self.name.as_bytes());
        KeyPackageBuilder::new(suite, credential, lifetime_from(NOW, 1000)).build(self.signer.as_ref(), rng).unwrap()
    }
}

/// Learns what is in the records of a group. Nothing is copied when `learnt` is `None`: the copy
/// itself would be found.
fn learn(what: &str, group: &Group, learnt: &mut Option<Learnt>) {
    let Some(learnt) = learnt else { return };
    let nh = group.suite().kdf().output_len();
    for (key, value) in group.snapshot().unwrap() {
        let mut add = |part: &str, bytes: &[u8]| {
            learnt.push((format!("{what}: {part} of {:?} {} {}", key.kind, key.major, key.minor), bytes.to_vec()));
        };
        match key.kind {
            RecordKind::Epoch if key.major == group.epoch() => {
                value[1..].chunks(nh).enumerate().for_each(|(n, secret)| add(&format!("secret {n}"), secret));
            }
            // Height, length, key.
            // Each after its height, or after its epoch.
            RecordKind::PathKeys => vectors(&value[1..], 1).into_iter().for_each(|key| add("key", key)),
            RecordKind::Resumption => vectors(&value[1..], 8).into_iter().for_each(|psk| add("psk", psk)),
            RecordKind::Ratchet | RecordKind::Secrets => add("end", &value[value.len() - nh..]),
            RecordKind::Head => add("seed of the index", &index_seed(&value)),
            RecordKind::Pending => pending(&value).iter().for_each(|secret| add("secret", secret)),
            _ => {}
        }
    }
}

/// Vectors that each stand after so many other bytes.
fn vectors(mut bytes: &[u8], before: usize) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (vector, rest) = vector(&bytes[before..]);
        found.push(vector);
        bytes = rest;
    }
    found
}

/// The first vector, and what follows it.
fn vector(bytes: &[u8]) -> (&[u8], &[u8]) {
    let size = 1 << (bytes[0] >> 6);
    let length = bytes[1..size].iter().fold(usize::from(bytes[0] & 0x3f), |n, b| n << 8 | usize::from(*b));
    bytes[size..].split_at(length)
}

/// The seed of the key index in a head record, which makes it a secret.
fn index_seed(head: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(&head[1..], Limits::default());
    let _context = reader.opaque().unwrap();
    let _confirmation_tag = Mac::decode(&mut reader).unwrap();
    let _tree = reader.opaque().unwrap();
    reader.opaque().unwrap()[1..17].to_vec()
}

/// The leaf key and the path secret of a pending commit.
fn pending(record: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = &record[2..];
    while let [flag, after @ ..] = rest {
        rest = after;
        if *flag == 1 {
            let (part, after) = vector(rest);
            parts.push(Some(part.to_vec()));
            rest = after;
        } else {
            parts.push(None);
        }
    }
    parts[2..4].iter().flatten().cloned().collect()
}

/// What a Welcome tells its reader (§12.4.3.1).
fn group_secrets(suite: &dyn Suite, welcome: &[u8], bundle: &KeyPackageBundle) -> Learnt {
    let Ok(MlsMessage::Welcome(welcome)) = MlsMessage::from_bytes(welcome, &Limits::default()) else { panic!() };
    let reference = bundle.reference(suite);
    let entry = welcome.secrets.iter().find(|entry| entry.new_member == reference).unwrap();
    let info = welcome.encrypted_group_info.as_slice();
    let private = bundle.init_private.expose();
    let opened = labels::decrypt_with_label(suite, private, "Welcome", info, &entry.encrypted_group_secrets).unwrap();
    let secrets = GroupSecrets::from_bytes(&opened, &Limits::default()).unwrap();
    let path = secrets.path_secret.map(|secret| ("path secret of the Welcome".to_owned(), secret.to_vec()));
    let joiner = ("joiner secret".to_owned(), secrets.joiner_secret.to_vec());
    [joiner].into_iter().chain(path).collect()
}

fn follow(group: &mut Group, message: &[u8]) {
    let Received::Commit(staged) = group.process(message, &Inputs::at(NOW)).unwrap().received else { panic!() };
    let verdict = staged.questions().accept_unseen();
    group.apply(staged, &verdict).unwrap();
}

/// Founding, adding, talking, updating, an external join, a removal, and the end.
fn life(handshakes: HandshakePolicy, code: u16, learnt: &mut Option<Learnt>) {
    let suite = keyroom_crypto::Provider::suite(&RUSTCRYPTO, CipherSuite(code)).unwrap();
    let rng = &mut keyroom_vectors::rng(u64::from(code));
    let config = Arc::new(Config { handshakes, past_epochs: 1, resumption_epochs: 2, ..Config::default() });
    let clients = ["alice", "bob", "charlie"].map(|name| Client::new(name, suite, learnt, rng));
    let founder =
        Founder { bundle: clients[0].bundle(suite, rng), group_id: b"room"[..].into(), extensions: Extensions::new() };
    let mut alice = Group::create(suite, founder, config.clone(), &Inputs::at(NOW), rng).unwrap().0;
    learn("founded", &alice, learnt);
    let bundles: Vec<KeyPackageBundle> = clients[1..].iter().map(|client| client.bundle(suite, rng)).collect();
    if let Some(learnt) = learnt {
        for bundle in &bundles {
            learnt.push(("init key".into(), bundle.init_private.expose().to_vec()));
            learnt.push(("leaf key".into(), bundle.leaf_private.expose().to_vec()));
        }
    }
    let mut commit = alice.commit();
    for bundle in &bundles {
        commit = commit.add(bundle.key_package.clone());
    }
    let (made, _) = commit.build(clients[0].signer.as_ref(), &Inputs::at(NOW), rng).unwrap();
    learn("waiting", &alice, learnt);
    let verdict = made.questions().accept_unseen();
    let applied = alice.apply(made.into_staged(), &verdict).unwrap().0;
    let Applied::Epoch { admission, .. } = applied else { panic!("an epoch was expected") };
    let welcome = admission.welcome.unwrap();
    if let Some(learnt) = learnt {
        bundles.iter().for_each(|bundle| learnt.extend(group_secrets(suite, &welcome, bundle)));
    }
    let mut groups = vec![alice];
    for bundle in bundles {
        let own = [bundle];
        let joining =
            Group::join(suite, &welcome, &JoinOptions::new(&own), config.clone(), &Inputs::at(NOW), rng).unwrap();
        let verdict = joining.questions().accept_unseen();
        groups.push(joining.accept(&verdict).unwrap().0);
    }
    groups.iter().for_each(|group| learn("joined", group, learnt));
    for round in 0..4 {
        let from = round % 3;
        let mut messages = Vec::new();
        for text in [&b"one"[..], b"two", b"three"] {
            messages.push(groups[from].encrypt(text, b"", clients[from].signer.as_ref(), rng).unwrap().message);
        }
        for reader in (0..3).filter(|reader| *reader != from) {
            for message in messages.iter().rev() {
                groups[reader].process(message, &Inputs::at(NOW)).unwrap();
            }
        }
        groups.iter().for_each(|group| learn("talking", group, learnt));
        let proposer = (from + 1) % 3;
        let signer = clients[proposer].signer.as_ref();
        let update = groups[proposer].propose_update(b"", signer, None, &Inputs::at(NOW), rng).unwrap().message;
        for reader in (0..3).filter(|reader| *reader != proposer) {
            groups[reader].process(&update, &Inputs::at(NOW)).unwrap();
        }
        let (made, _) = groups[from].commit().build(clients[from].signer.as_ref(), &Inputs::at(NOW), rng).unwrap();
        groups.iter().for_each(|group| learn("waiting", group, learnt));
        // Found again in storage or at hand.
        let made = if round == 2 { groups[from].pending_commit(made.id, &Inputs::at(NOW)).unwrap() } else { made };
        let verdict = made.questions().accept_unseen();
        let message = made.message(&verdict).unwrap().to_vec();
        groups[from].apply(made.into_staged(), &verdict).unwrap();
        for reader in (0..3).filter(|reader| *reader != from) {
            follow(&mut groups[reader], &message);
        }
        groups.iter().for_each(|group| learn("updated", group, learnt));
        drop(groups[0].export("label", b"", 48).unwrap());
    }
    let info = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
    let info = groups[0].group_info(info, clients[0].signer.as_ref(), rng).unwrap();
    let dana = Client::new("dana", suite, learnt, rng);
    let bundle = dana.bundle(suite, rng);
    let builder = Group::join_external(suite, &bundle, config);
    let join = builder.build(&info, dana.signer.as_ref(), &Inputs::at(NOW), rng).unwrap();
    groups.iter_mut().for_each(|group| follow(group, &join.message));
    let verdict = join.questions().accept_unseen();
    groups.push(join.accept(&verdict).unwrap().0);
    groups.iter().for_each(|group| learn("external", group, learnt));
    let gone = groups[2].own_leaf();
    let builder = groups[0].commit().remove(gone);
    let (made, _) = builder.build(clients[0].signer.as_ref(), &Inputs::at(NOW), rng).unwrap();
    let verdict = made.questions().accept_unseen();
    let message = made.message(&verdict).unwrap().to_vec();
    groups[0].apply(made.into_staged(), &verdict).unwrap();
    groups[1..].iter_mut().for_each(|group| follow(group, &message));
    learn("last", &groups[0], learnt);
}

/// The search is for one test at a time.
static SEARCH: Mutex<()> = Mutex::new(());

/// Plays these lives and says in how many freed blocks each of their secrets was found.
fn watched(lives: &[(HandshakePolicy, u16)]) -> Vec<(String, usize)> {
    let _alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let mut watched = Vec::new();
    for (handshakes, code) in lives.iter().copied() {
        let mut learnt = Some(Learnt::new());
        life(handshakes, code, &mut learnt);
        let mut learnt = learnt.unwrap();
        learnt.sort_by(|a, b| a.1.cmp(&b.1));
        learnt.dedup_by(|a, b| a.1[..16] == b.1[..16]);
        let numbers: Vec<(String, usize)> =
            learnt.iter().map(|(name, secret)| (format!("{handshakes:?} {code}, {name}"), watch(secret))).collect();
        drop(learnt);
        let before: Vec<usize> = numbers.iter().map(|(_, number)| found(*number)).collect();
        life(handshakes, code, &mut None);
        watched.extend(numbers.into_iter().zip(before).map(|((name, number), before)| (name, found(number) - before)));
        forget();
    }
    watched
}

#[test]
fn row_227_memory_that_is_given_back_does_not_hold_what_opened_a_welcome() {
    let watched = watched(&[(HandshakePolicy::Public, 2)]);
    for secret in ["init key", "joiner secret", "path secret of the Welcome"] {
        let mut times = watched.iter().filter(|(name, _)| name.ends_with(secret)).map(|(_, times)| *times).peekable();
        assert!(times.peek().is_some(), "{secret} was watched");
        assert_eq!(times.sum::<usize>(), 0, "{secret} is left in freed memory");
    }
}

#[test]
fn row_237_memory_that_is_given_back_holds_no_secret() {
    // The search finds what is really left behind.
    let alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let canary = watch(&[0xa5; 16]);
    drop(std::hint::black_box(vec![0xa5_u8; 40]));
    assert!(found(canary) > 0, "the search works");
    forget();
    drop(alone);
    let lives = [(HandshakePolicy::Public, 1), (HandshakePolicy::Private, 1), (HandshakePolicy::Private, 3)];
    let watched = watched(&lives);
    assert!(watched.len() > 150, "{} secrets", watched.len());
    assert!(blocks() > 1_000);
    none_is_left(&watched);
}

/// Keys of other lengths: of P-521 and X448, of Ed448, of longer hashes, and of ML-KEM.
#[test]
fn row_237_memory_that_is_given_back_holds_no_secret_of_another_length_either() {
    let mut kinds = BTreeSet::new();
    let suites = keyroom_crypto::Provider::suites(&RUSTCRYPTO);
    let shape = |suite: &&dyn Suite| (suite.kem().id(), suite.kdf().output_len(), suite.kem().private_key_len());
    let chosen = suites.into_iter().filter(|suite| kinds.insert(shape(suite)));
    let lives: Vec<_> = chosen.map(|suite| (HandshakePolicy::Private, suite.cipher_suite().0)).collect();
    let lengths: BTreeSet<usize> = kinds.iter().map(|(_, _, private)| *private).collect();
    assert!([32, 48, 56, 64, 66].iter().all(|length| lengths.contains(length)), "{lengths:?}");
    let watched = watched(&lives);
    assert!(watched.len() > 50 * lives.len(), "{} secrets", watched.len());
    none_is_left(&watched);
}

#[track_caller]
fn none_is_left(watched: &[(String, usize)]) {
    let left: Vec<&(String, usize)> = watched.iter().filter(|(_, times)| *times > 0).collect();
    assert!(left.is_empty(), "left in freed memory: {left:#?}");
}
