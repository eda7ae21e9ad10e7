//! Section K: commits, their paths, and what comes of them (RFC 9420 §7.5, §7.6, §8.2, §12.4, §14).

use std::sync::Arc;

use keyroom_crypto::CryptoRng;
use keyroom_insider::proposals::{add, extensions, external_psk, group_context, reinit, remove};
use keyroom_insider::{
    Alter, BLANK, Bench, Client, Disk, INFO, Insider, Member, Private, Recipients, SecretParts, admission, commit,
    config, flipped, now, room, sent, suite,
};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::{Error, NotYet, Rule, Usage};
use keyroom_mls::group::{
    Applied, CommitBuilder, Founder, Group, JoinOptions, PathChoice, PendingCommit, Received, Status, Waiting,
};
use keyroom_mls::leaf_node::generate_key_pair;
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_mls::record::{RecordKey, RecordKind};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    Commit, Content, Credential, CredentialType, Decode, Encode, ExtensionType, HpkePublicKey, LeafIndex,
    LeafNodeSource, Limits, MlsMessage, Proposal, ProposalOrRef, PublicMessage, Sender, UpdatePath,
};

/// Bob's commit, made otherwise than it should be.
fn altered(bench: &Bench, proposals: Vec<Proposal>, change: &Alter<'_>) -> Vec<u8> {
    bench.bob().commit(proposals, change, &mut keyroom_vectors::rng(40)).bytes()
}

fn with_path(change: impl Fn(&mut UpdatePath) + 'static) -> Alter<'static> {
    Alter { path: Some(Box::new(change)), ..Alter::default() }
}

fn with_keys(change: impl Fn(&mut Vec<HpkePublicKey>) + 'static) -> Alter<'static> {
    Alter { keys: Some(Box::new(change)), ..Alter::default() }
}

fn with_leaf_key(key: HpkePublicKey) -> Alter<'static> {
    Alter { parts: Some(Box::new(move |parts| parts.encryption_key = key.clone())), ..Alter::default() }
}

fn fresh_key(seed: u64) -> HpkePublicKey {
    generate_key_pair(suite(1), &mut keyroom_vectors::rng(seed)).unwrap().public
}

/// Alice's own commit.
fn alice_makes(
    bench: &mut Bench,
    build: impl FnOnce(CommitBuilder<'_>) -> CommitBuilder<'_>,
    inputs: &Inputs<'_>,
) -> PendingCommit {
    let Bench { members, rng, .. } = bench;
    let Member { client, group } = &mut members[0];
    build(group.commit()).build(client.signer.as_ref(), inputs, &mut **rng).unwrap().0
}

fn public(message: &[u8]) -> PublicMessage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::PublicMessage(message) => message,
        other => panic!("a public message was expected, not {other:?}"),
    }
}

fn commit_in(message: &[u8]) -> Commit {
    match public(message).content.content {
        Content::Commit(commit) => commit,
        other => panic!("a commit was expected, not {other:?}"),
    }
}

/// The observer and another member take an own commit of Alice.
fn others_take(bench: &mut Bench, message: &[u8], inputs: &Inputs<'_>) {
    let observed = bench.observer.as_mut().unwrap().process(message, inputs).unwrap();
    assert!(matches!(observed, Observed::Commit(_)));
    let read = bench.members[1].group.process(message, inputs).unwrap();
    assert!(matches!(read.received, Received::Commit(_)));
}

#[test]
fn row_169_only_members_and_joiners_commit() {
    let mut bench = Bench::open();
    let own = bench.leaf(1);
    for (name, sender, expected) in [
        ("an external sender", Sender::External(0), Rule::ExternalSenderContent),
        ("a proposer", Sender::NewMemberProposal, Rule::NewMemberProposalContent),
    ] {
        let bob = bench.bob();
        let entries = [ProposalOrRef::Proposal(remove(3))];
        let rng = &mut keyroom_vectors::rng(3);
        let message = bob.commit_of(sender, &own, bob.signer, entries, &Alter::default(), rng).bytes();
        bench.refuses(name, &message, expected);
    }
    bench.goes_on();
}

#[test]
fn row_170_a_path_is_there_where_the_registry_calls_for_one() {
    // §12.4.2 names only Update, Remove and the empty list; §12.4 and §17.4 have the whole of it.
    let mut bench = Bench::open();
    let without = Alter { without_path: true, ..Alter::default() };
    for (name, proposals) in [
        ("empty", vec![]),
        ("Remove", vec![remove(3)]),
        ("GroupContextExtensions", vec![group_context(extensions(&[]))]),
        ("Remove beside an Add", vec![add(&bench.newcomer("gina").1.key_package), remove(3)]),
    ] {
        let message = altered(&bench, proposals, &without);
        bench.refuses(name, &message, Rule::PathMissing);
    }
    let (eve, bundle) = bench.newcomer("eve");
    let init = ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() });
    let (leaf, rng) = (&bundle.key_package.leaf_node, &mut keyroom_vectors::rng(3));
    let signer = eve.signer.as_ref();
    let message = bench.bob().commit_of(Sender::NewMemberCommit, leaf, signer, [init], &without, rng).bytes();
    bench.refuses("ExternalInit", &message, Rule::PathMissing);
    bench.goes_on();
    let dana = bench.insider(2);
    let update = Proposal::Update { leaf_node: Box::new(dana.update(|_| {}, rng)) };
    let message = dana.proposal(update, rng);
    let update = ProposalOrRef::Reference(bench.keep(2, &message));
    let message = bench.bob().commit_with(vec![update], &without, rng).bytes();
    bench.refuses("Update", &message, Rule::PathMissing);
}

#[test]
fn row_170_own_commits_have_a_path_where_one_is_needed() {
    let mut bench = Bench::open();
    let gina = bench.newcomer("gina").1.key_package;
    let psk = external_psk(b"a");
    let psks = [(psk.clone(), keyroom_crypto::Secret::copy_of(b"secret"))];
    let inputs = Inputs { psks: &psks, ..now() };
    let has_path = |bench: &mut Bench, proposals: Vec<Proposal>, with_psk: bool| {
        let pending = alice_makes(
            bench,
            |builder| {
                let builder =
                    proposals.into_iter().fold(builder, CommitBuilder::propose).path(PathChoice::WhenRequired);
                if with_psk { builder.psk(psk.clone()) } else { builder }
            },
            &inputs,
        );
        let message = sent(&pending);
        others_take(bench, &message, &inputs);
        commit_in(&message).path.is_some()
    };
    assert!(has_path(&mut bench, vec![], false));
    assert!(has_path(&mut bench, vec![remove(3)], false));
    assert!(has_path(&mut bench, vec![group_context(extensions(&[]))], false));
    assert!(has_path(&mut bench, vec![add(&gina), remove(3)], false));
    assert!(!has_path(&mut bench, vec![add(&gina)], false));
    assert!(!has_path(&mut bench, vec![], true));
    assert!(!has_path(&mut bench, vec![add(&gina)], true));
    assert!(!has_path(&mut bench, vec![reinit(1)], false));
    let rng = &mut keyroom_vectors::rng(3);
    let dana = bench.insider(2);
    let update = Proposal::Update { leaf_node: Box::new(dana.update(|_| {}, rng)) };
    let message = dana.proposal(update, rng);
    bench.keep(2, &message);
    assert!(has_path(&mut bench, vec![], false), "with an Update that waits");
}

#[test]
fn row_171_the_leaf_of_a_path_is_valid() {
    let mut bench = Bench::open();
    let parts = |change: fn(&mut keyroom_mls::leaf_node::LeafNodeParts)| Alter {
        parts: Some(Box::new(change)),
        ..Alter::default()
    };
    let cases = [
        ("a source", parts(|parts| parts.leaf_node_source = LeafNodeSource::Update), Rule::LeafSource),
        ("the suite", parts(|parts| parts.capabilities.cipher_suites.clear()), Rule::LeafLacksCipherSuite),
        ("the version", parts(|parts| parts.capabilities.versions.clear()), Rule::LeafLacksVersion),
        ("its credential", parts(|parts| parts.capabilities.credentials.clear()), Rule::LeafLacksOwnCredential),
        (
            "an extension that is not listed",
            parts(|parts| parts.extensions = extensions(&[(ExtensionType(0xff03), b"")])),
            Rule::LeafExtensionNotListed,
        ),
        ("a key that is none", parts(|parts| parts.encryption_key = Vec::new().into()), Rule::InvalidPublicKey),
        (
            "a credential that nobody reads",
            parts(|parts| {
                let credential_type = CredentialType(0xf100);
                parts.credential = Credential::Other { credential_type, body: b"x"[..].into() };
                parts.capabilities.credentials.push(credential_type);
            }),
            Rule::CredentialNotSupportedByMembers,
        ),
        (
            "another credential under the old signature",
            Alter {
                leaf: Some(Box::new(|leaf| leaf.credential = Credential::basic(&b"alice"[..]))),
                ..Alter::default()
            },
            Rule::LeafSignature,
        ),
        ("signed for another place", Alter { leaf_index: Some(LeafIndex(3)), ..Alter::default() }, Rule::LeafSignature),
    ];
    for (name, change, expected) in cases {
        let message = altered(&bench, vec![], &change);
        bench.refuses(name, &message, expected);
    }
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let foreign = Credential::Other { credential_type: CredentialType(0xf100), body: b"x"[..].into() };
    let own = group.commit().new_identity(client.signer.as_ref(), foreign);
    let own = own.build(client.signer.as_ref(), &now(), &mut **rng).map(drop);
    assert_eq!(own.unwrap_err(), Error::Rule(Rule::LeafLacksOwnCredential), "nor is it sent");
    bench.goes_on();
}

#[test]
fn row_172_the_leaf_of_a_path_has_a_new_key() {
    let mut bench = Bench::open();
    let message = altered(&bench, vec![], &with_leaf_key(bench.leaf(1).encryption_key));
    bench.refuses("the same key", &message, Rule::EncryptionKeyUnchanged);
    let before = bench.leaf(0).encryption_key;
    let message = sent(&alice_makes(&mut bench, |builder| builder, &now()));
    assert_ne!(commit_in(&message).path.unwrap().leaf_node.encryption_key, before);
    bench.goes_on();
}

/// The keys on Bob's direct path, from his parent to the root, and one that is not on it.
fn keys_on_and_off_the_path(bench: &Bench) -> (Vec<HpkePublicKey>, HpkePublicKey) {
    let tree = bench.members[0].group.tree();
    let parents: Vec<_> = tree.parents().map(|entry| entry.unwrap()).collect();
    let key = |parent: &keyroom_mls::tree::ParentView<'_>| HpkePublicKey::from(parent.encryption_key.to_vec());
    let keys = parents.iter().map(|(node, parent)| (node.height, node.covers(LeafIndex(1)), key(parent)));
    let (mut on, off): (Vec<_>, Vec<_>) = keys.partition(|(_, on, _)| *on);
    on.sort_by_key(|(height, ..)| *height);
    (on.into_iter().map(|(.., key)| key).collect(), off[0].2.clone())
}

#[test]
fn row_173_a_path_brings_no_key_that_stands_in_the_tree() {
    let mut bench = Bench::open();
    let (_, aside) = keys_on_and_off_the_path(&bench);
    let danas = bench.leaf(3).encryption_key;
    let signature_key = HpkePublicKey::from(bench.leaf(3).signature_key.as_slice().to_vec());
    for (name, key, in_node, in_leaf) in [
        ("a leaf", danas, Rule::ParentKeyNotUnique, Rule::EncryptionKeyNotUnique),
        ("a parent", aside, Rule::ParentKeyNotUnique, Rule::ParentKeyNotUnique),
        ("a signature", signature_key, Rule::KeyInTwoRoles, Rule::KeyInTwoRoles),
    ] {
        let at_node = key.clone();
        let message = altered(&bench, vec![], &with_keys(move |keys| keys[0] = at_node.clone()));
        bench.refuses(&format!("the key of {name} in a node"), &message, in_node);
        let message = altered(&bench, vec![], &with_leaf_key(key));
        bench.refuses(&format!("the key of {name} in the leaf"), &message, in_leaf);
    }
    bench.goes_on();
}

#[test]
fn row_173_a_path_brings_back_no_key_that_it_replaces() {
    // The tree in which its keys must not stand is that before the path is put in.
    let mut bench = Bench::open();
    let (old, _) = keys_on_and_off_the_path(&bench);
    assert_eq!(old.len(), 3);
    for (from, key) in old.iter().enumerate() {
        for to in 0..old.len() {
            let at_node = key.clone();
            let message = altered(&bench, vec![], &with_keys(move |keys| keys[to] = at_node.clone()));
            bench.refuses(&format!("from {from} to {to}"), &message, Rule::PathKeyUnchanged);
        }
        let message = altered(&bench, vec![], &with_leaf_key(key.clone()));
        bench.refuses(&format!("from {from} to the leaf"), &message, Rule::PathKeyUnchanged);
    }
    let own = bench.leaf(1).encryption_key;
    let message = altered(&bench, vec![], &with_keys(move |keys| keys[1] = own.clone()));
    bench.refuses("from the leaf to a node", &message, Rule::PathKeyUnchanged);

    let before = keys_on_and_off_the_path(&bench).0;
    let message = sent(&alice_makes(&mut bench, |builder| builder, &now()));
    let path = commit_in(&message).path.unwrap();
    assert!(path.nodes.iter().all(|node| !before.contains(&node.encryption_key)), "own paths are new");
    bench.goes_on();
}

#[test]
fn row_173_a_key_that_a_remove_has_freed_may_stand_in_a_path() {
    let mut bench = Bench::open();
    let danas = bench.leaf(3).encryption_key;
    let message = altered(&bench, vec![remove(3)], &with_leaf_key(danas));
    bench.accepts(&message);
}

#[test]
fn a_path_key_that_is_no_key_is_refused() {
    let mut bench = Bench::open();
    let message = altered(&bench, vec![], &with_keys(|keys| keys[0] = vec![1; 5].into()));
    bench.refuses("five bytes", &message, Rule::InvalidPublicKey);
    bench.goes_on();
}

#[test]
fn row_174_a_path_has_a_key_for_each_place() {
    let mut bench = Bench::open();
    for (from, to) in [(0, 1), (1, 2), (0, 2)] {
        let message = altered(&bench, vec![], &with_keys(move |keys| keys[to] = keys[from].clone()));
        bench.refuses(&format!("nodes {from} and {to}"), &message, Rule::PathKeyTwice);
    }
    for node in 0..3 {
        let key = fresh_key(50 + node);
        let at_node = key.clone();
        let node = usize::try_from(node).unwrap();
        let change = Alter { keys: Some(Box::new(move |keys| keys[node] = at_node.clone())), ..with_leaf_key(key) };
        let message = altered(&bench, vec![], &change);
        bench.refuses(&format!("node {node} and the leaf"), &message, Rule::PathKeyTwice);
    }
    bench.goes_on();
}

#[test]
fn row_175_a_path_has_a_node_for_each_step() {
    let mut bench = Bench::open();
    let changes: [(&str, fn(&mut UpdatePath)); 4] = [
        ("one less", |path| drop(path.nodes.pop())),
        ("the first missing", |path| drop(path.nodes.remove(0))),
        ("one more", |path| path.nodes.push(path.nodes[0].clone())),
        ("none", |path| path.nodes.clear()),
    ];
    for (name, change) in changes {
        let message = altered(&bench, vec![], &with_path(change));
        bench.refuses(name, &message, Rule::PathLength);
    }
    // Frank's sibling subtrees are partly blank: what is filtered out counts as a node too many.
    let steps = bench.members[4].group.tree().filtered_direct_path(LeafIndex(5)).unwrap().len();
    assert_eq!(steps, 2);
    let frank = bench.insider(4);
    let full = with_path(|path| path.nodes.insert(1, path.nodes[0].clone()));
    let message = frank.commit(vec![], &full, &mut keyroom_vectors::rng(3)).bytes();
    bench.refuses("a node that is filtered out", &message, Rule::PathLength);
    let steps = bench.members[0].group.tree().filtered_direct_path(LeafIndex(0)).unwrap().len();
    let message = sent(&alice_makes(&mut bench, |builder| builder, &now()));
    assert_eq!(commit_in(&message).path.unwrap().nodes.len(), steps);
    others_take(&mut bench, &message, &now());
    bench.goes_on();
}

#[test]
fn row_176_a_node_has_a_ciphertext_for_each_recipient() {
    let mut bench = Bench::open();
    let changes: [(&str, fn(&mut UpdatePath)); 3] = [
        ("one less", |path| drop(path.nodes[0].encrypted_path_secret.pop())),
        ("none", |path| path.nodes[2].encrypted_path_secret.clear()),
        ("one more", |path| {
            let one = path.nodes[0].encrypted_path_secret[0].clone();
            path.nodes[2].encrypted_path_secret.push(one);
        }),
    ];
    for (name, change) in changes {
        let message = altered(&bench, vec![], &with_path(change));
        bench.refuses(name, &message, Rule::PathCiphertextCount);
    }
    bench.goes_on();
}

#[test]
fn row_176_who_is_added_gets_no_ciphertext() {
    let mut bench = Bench::open();
    let (gina, hugo) = (bench.newcomer("gina").1.key_package, bench.newcomer("hugo").1.key_package);
    let too_many = Alter { recipients: Recipients::WithAdded, ..Alter::default() };
    let message = altered(&bench, vec![add(&gina)], &too_many);
    bench.refuses("one for the newcomer", &message, Rule::PathCiphertextCount);
    let message = altered(&bench, vec![add(&gina)], &Alter::default());
    bench.accepts(&message);
    // Gina comes to leaf 2 and Hugo to leaf 6, where there was nobody: a node without recipients.
    let erin = &mut bench.members[3];
    let builder = erin.group.commit().add(gina).add(hugo);
    let (pending, _) = builder.build(erin.client.signer.as_ref(), &now(), &mut *bench.rng).unwrap();
    assert_eq!(pending.staged().added(), [BLANK, LeafIndex(6)]);
    let message = sent(&pending);
    let counts: Vec<usize> =
        commit_in(&message).path.unwrap().nodes.iter().map(|node| node.encrypted_path_secret.len()).collect();
    assert_eq!(counts.len(), 3);
    assert_eq!(counts[1], 0, "{counts:?}");
    bench.accepts(&message);
}

#[test]
fn row_177_a_path_secret_that_does_not_open_is_noticed() {
    let mut bench = Bench::open();
    let damaged = |change: fn(&mut keyroom_wire::HpkeCiphertext)| {
        with_path(move |path| {
            for sealed in path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret) {
                change(sealed);
            }
        })
    };
    let changes = [
        (
            "a bit of the ciphertext",
            damaged(|sealed| sealed.ciphertext = flipped(sealed.ciphertext.as_slice(), 3).into()),
        ),
        ("a bit of the key", damaged(|sealed| sealed.kem_output = flipped(sealed.kem_output.as_slice(), 3).into())),
        ("no key", damaged(|sealed| sealed.kem_output = Vec::new().into())),
        ("no ciphertext", damaged(|sealed| sealed.ciphertext = Vec::new().into())),
        ("an empty secret", Alter { secret: Some(Box::new(|_, secret| secret.clear())), ..Alter::default() }),
        ("a byte more", Alter { secret: Some(Box::new(|_, secret| secret.push(0))), ..Alter::default() }),
    ];
    for (name, change) in changes {
        let message = altered(&bench, vec![], &change);
        bench.refuses(name, &message, Rule::PathDecryption);
        // It takes a secret to see that: an observer goes on, and the next GroupInfo tells.
        assert!(bench.observer.as_mut().unwrap().process(&message, &now()).is_ok(), "{name}");
    }
    bench.goes_on();
}

/// Alice in memory and in storage, and Bob, whom she has let in.
fn alice_on_disk(rng: &mut dyn CryptoRng) -> (Disk, Member, Member) {
    let [alice, bob] = ["alice", "bob"].map(|name| Client::new(name, suite(1), rng));
    let founder = Founder { bundle: alice.bundle(rng), group_id: b"room"[..].into(), extensions: extensions(&[]) };
    let (mut group, created) = Group::create(suite(1), founder, config(), &now(), rng).unwrap();
    let mut disk = Disk::of(created);
    let bundle = bob.bundle(rng);
    let builder = group.commit().add(bundle.key_package.clone());
    let (pending, made) = builder.build(alice.signer.as_ref(), &now(), rng).unwrap();
    disk.apply(made);
    let (welcome, verdict) = (admission(&pending).welcome.unwrap(), pending.questions().accept_unseen());
    disk.apply(group.apply(pending.into_staged(), &verdict).unwrap().1);
    let bobs = bob.join(&welcome, bundle, config(), rng);
    (disk, Member { client: alice, group }, Member { client: bob, group: bobs })
}

#[test]
fn row_177_who_makes_a_commit_reads_its_secrets_from_storage() {
    // Nothing is encrypted to the committer: after a restart it derives what others decrypt.
    let rng = &mut keyroom_vectors::rng(3);
    let (mut disk, mut alice, mut bob) = alice_on_disk(rng);
    let (made, changes) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    disk.apply(changes);
    let (mut stored, _) = disk.open::<Group>(&config()).unwrap();
    let again = disk.attempt(&mut stored, |group| group.pending_commit(made.id, &now())).0.unwrap();
    let verdict = again.questions().accept_unseen();
    bob.follow(again.message(&verdict).unwrap());
    stored.apply(again.into_staged(), &verdict).unwrap();
    assert_eq!(stored.epoch_authenticator(), bob.group.epoch_authenticator());
}

#[test]
fn row_178_public_keys_follow_from_the_path_secret() {
    let mut bench = Bench::open();
    for node in 0..3 {
        let message = altered(&bench, vec![], &with_keys(move |keys| keys[node] = fresh_key(99)));
        bench.refuses(&format!("another key at node {node}"), &message, Rule::PathKeyMismatch);
    }
    let garbage = Alter { secret: Some(Box::new(|_, secret| secret.fill(3))), ..Alter::default() };
    let message = altered(&bench, vec![], &garbage);
    bench.refuses("another secret", &message, Rule::PathKeyMismatch);
    assert!(bench.observer.as_mut().unwrap().process(&message, &now()).is_ok(), "it takes a secret to see that");
    bench.goes_on();
}

#[test]
fn row_178_a_secret_that_is_garbage_for_one_member_is_noticed_by_that_member() {
    let mut bench = Bench::open();
    let change = Alter {
        secret: Some(Box::new(|recipient, secret| {
            if recipient.node.covers(LeafIndex(0)) && recipient.node.height == 0 {
                secret.fill(9);
            }
        })),
        ..Alter::default()
    };
    let message = altered(&bench, vec![], &change);
    bench.refuses("garbage for Alice", &message, Rule::PathKeyMismatch);
    for reader in 2..5 {
        bench.members[reader].group.process(&message, &now()).unwrap();
    }
    bench.goes_on();
}

#[test]
fn row_178_an_own_path_secret_that_was_damaged_in_storage_is_noticed() {
    let rng = &mut keyroom_vectors::rng(3);
    let (mut disk, mut alice, _) = alice_on_disk(rng);
    let (made, changes) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    disk.apply(changes);
    let record = disk.records.get_mut(&RecordKey::new(RecordKind::Pending, 0, made.id.0)).unwrap();
    // Three bytes of header, the message, no hidden content, then the leaf's key and the path secret.
    let message = keyroom_wire::Opaque::from(sent(&made)).to_bytes();
    let path_secret = 3 + (1 + message.len()) + 1 + (2 + 32) + 2;
    record[path_secret] ^= 1;
    let (mut stored, _) = disk.open::<Group>(&config()).unwrap();
    let again = disk.attempt(&mut stored, |group| group.pending_commit(made.id, &now())).0;
    assert_eq!(again.map(drop).unwrap_err(), Error::Rule(Rule::PathKeyMismatch));
}

#[test]
fn row_179_the_parent_hash_is_recomputed() {
    let mut bench = Bench::open();
    let with_parent_hash = |hash: Vec<u8>| Alter {
        parts: Some(Box::new(move |parts| {
            parts.leaf_node_source = LeafNodeSource::Commit { parent_hash: hash.clone().into() };
        })),
        ..Alter::default()
    };
    let stale = match bench.leaf(0).leaf_node_source {
        LeafNodeSource::Commit { parent_hash } => parent_hash.as_slice().to_vec(),
        other => panic!("Alice has committed: {other:?}"),
    };
    for (name, hash) in [("zeros", vec![0; 32]), ("none", Vec::new()), ("another leaf's", stale)] {
        let message = altered(&bench, vec![], &with_parent_hash(hash));
        bench.refuses(name, &message, Rule::PathParentHash);
    }
    let message = sent(&alice_makes(&mut bench, |builder| builder, &now()));
    others_take(&mut bench, &message, &now());
    bench.goes_on();
}

#[test]
fn row_180_the_transcript_covers_format_content_and_signature_and_then_the_tag() {
    for handshakes in [HandshakePolicy::Public, HandshakePolicy::Private] {
        let config = Arc::new(Config { handshakes, ..Config::default() });
        let rng = &mut keyroom_vectors::rng(3);
        let mut members = room(&["alice", "bob"], 1, config, rng);
        let interim = *members[0].group.interim_transcript_hash();
        let alice = &mut members[0];
        let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
        let content = match handshakes {
            HandshakePolicy::Public => public(&sent(&pending)).into_authenticated_content(),
            _ => {
                // The record of the commit holds what the message hides.
                let key = RecordKey::new(RecordKind::Pending, 0, pending.id.0);
                let record = alice.group.snapshot().unwrap()[&key].to_vec();
                let message = keyroom_wire::Opaque::from(sent(&pending)).to_bytes();
                let mut reader = keyroom_wire::Reader::new(&record[2 + 1 + message.len() + 1..], Limits::default());
                let hidden = reader.opaque().unwrap();
                keyroom_wire::AuthenticatedContent::from_bytes(hidden, &Limits::default()).unwrap()
            }
        };
        assert_eq!(
            content.wire_format,
            if handshakes == HandshakePolicy::Public {
                keyroom_wire::WireFormat::PUBLIC_MESSAGE
            } else {
                keyroom_wire::WireFormat::PRIVATE_MESSAGE
            }
        );
        let confirmed = suite(1).hash(&[
            &interim,
            &content.wire_format.to_bytes(),
            &content.content.to_bytes(),
            &content.auth.signature.to_bytes(),
        ]);
        let message = sent(&pending);
        alice.apply(pending);
        members[1].follow(&message);
        let tag = content.auth.confirmation_tag.unwrap();
        let interim = suite(1).hash(&[&confirmed, &tag.to_bytes()]);
        for member in &members {
            assert_eq!(member.group.context().confirmed_transcript_hash.as_slice(), confirmed.as_slice());
            assert_eq!(*member.group.interim_transcript_hash(), interim);
        }
    }
}

#[test]
fn row_180_another_transcript_shows_in_the_confirmation_tag() {
    let mut bench = Bench::open();
    let context =
        |change: fn(&mut keyroom_wire::GroupContext)| Alter { context: Some(Box::new(change)), ..Alter::default() };
    for (name, change) in [
        ("zeros", context(|context| context.confirmed_transcript_hash = vec![0; 32].into())),
        ("none", context(|context| context.confirmed_transcript_hash = Vec::new().into())),
        ("another epoch", context(|context| context.epoch += 1)),
        ("another tree", context(|context| context.tree_hash = vec![0; 32].into())),
    ] {
        let message = altered(&bench, vec![], &change);
        bench.refuses(name, &message, Rule::ConfirmationTag);
    }
    bench.goes_on();
}

#[test]
fn row_181_who_is_removed_is_out_for_good() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let info = bench.members[0].group.group_info(INFO, bench.members[0].client.signer.as_ref(), rng).unwrap();
    let dana = bench.insider(2);
    let message = dana.commit(vec![remove(0)], &Alter::default(), rng).bytes();
    let next = dana.commit(vec![], &Alter::default(), rng).bytes();
    let said = bench.members[2].send("late", rng);
    let Member { client, group } = &mut bench.members[0];
    let Received::Commit(staged) = group.process(&message, &now()).unwrap().received else { panic!("a commit") };
    assert!(staged.removes_us());
    assert_eq!(*group.status(), Status::Active, "not before it is applied");
    let verdict = staged.questions().accept_unseen();
    let out = Error::Usage(Usage::NotMember);
    assert_eq!(staged.export("label", b"", 32).map(drop).unwrap_err(), out, "the next epoch is not for us");
    let (applied, changes) = group.apply(staged, &verdict).unwrap();
    assert_eq!((applied, changes.deleted), (Applied::Removed, true));
    assert_eq!(*group.status(), Status::Removed);

    let signer = client.signer.as_ref();
    assert_eq!(group.encrypt(b"x", b"", signer, rng).map(drop).unwrap_err(), out);
    assert_eq!(group.propose(remove(3), b"", signer, &now(), rng).map(drop).unwrap_err(), out);
    assert_eq!(group.propose_update(b"", signer, None, &now(), rng).map(drop).unwrap_err(), out);
    assert_eq!(group.commit().build(signer, &now(), rng).map(drop).unwrap_err(), out);
    assert_eq!(group.group_info(INFO, signer, rng).map(drop).unwrap_err(), out);
    assert_eq!(group.export("label", b"", 32).map(drop).unwrap_err(), out);
    for message in [&message, &next, &said, &info] {
        assert_eq!(group.process(message, &now()).map(drop).unwrap_err(), out);
    }
    assert_eq!(group.resumption_psk(group.epoch()), None);
    assert!(group.pending_proposals().is_empty() && group.pending_commits().next().is_none());
}

#[test]
fn row_181_a_removal_is_verified_like_any_commit() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let unsigned =
        Alter { auth: Some(Box::new(|auth| auth.signature = vec![0; 64].as_slice().into())), ..Alter::default() };
    for (name, list, change, expected) in [
        ("a signature", vec![remove(0)], unsigned, Rule::MessageSignature),
        ("no path", vec![remove(0)], Alter { without_path: true, ..Alter::default() }, Rule::PathMissing),
        ("a second Remove", vec![remove(0), remove(0)], Alter::default(), Rule::LeafTouchedTwice),
        ("a path too short", vec![remove(0)], with_path(|path| drop(path.nodes.pop())), Rule::PathLength),
    ] {
        let message = bench.insider(2).commit(list, &change, rng).bytes();
        bench.refuses(name, &message, expected);
    }
    bench.goes_on();
}

#[test]
fn row_182_a_group_that_was_reinitialised_is_at_rest() {
    let rng = &mut keyroom_vectors::rng(3);
    let mut members = room(&["alice", "bob", "charlie"], 1, config(), rng);
    let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), rng).unwrap();
    let observing = PublicGroup::observe(&RUSTCRYPTO, &info, None, config(), &now(), rng).unwrap();
    let verdict = observing.questions().accept_unseen();
    let mut observer = observing.accept(&verdict).unwrap();
    let late = members[1].send("before the end", rng);
    let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
    let rival = bob.commit(vec![], &Alter::default(), rng).bytes();
    let Received::Commit(rival) = members[0].group.process(&rival, &now()).unwrap().received else { panic!() };
    let (end, _) = commit(&mut members, 0, rng, |builder| builder.propose(reinit(1)));
    let Ok(Observed::Commit(staged)) = observer.process(&end, &now()) else { panic!("a commit") };
    let verdict = staged.questions().accept_unseen();
    observer.apply(*staged, &verdict).unwrap();

    // Bob makes by hand what his client would not.
    let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
    let handshakes = [
        bob.commit(vec![], &Alter::default(), rng).bytes(),
        bob.commit(vec![reinit(1)], &Alter::default(), rng).bytes(),
        bob.proposal(remove(2), rng),
    ];
    let hidden = [Content::Proposal(remove(2)), Content::Application(b"new"[..].into())]
        .map(|content| MlsMessage::PrivateMessage(Private::new(content).make(&bob, rng)).to_bytes());
    let over = || Error::Rule(Rule::GroupReinitialised);
    let Member { client, group } = &mut members[0];
    let disk = Disk { records: group.snapshot().unwrap(), version: group.version() };
    let (mut stored, _) = disk.open::<Group>(&config()).unwrap();
    for message in &handshakes {
        assert_eq!(group.process(message, &now()).map(drop).unwrap_err(), over());
        assert_eq!(stored.process(message, &now()).map(drop).unwrap_err(), over(), "nor after a restart");
        assert_eq!(observer.process(message, &now()).map(drop).unwrap_err(), over());
    }
    for message in &hidden {
        assert_eq!(group.process(message, &now()).map(drop).unwrap_err(), over());
    }
    let verdict = rival.questions().accept_unseen();
    assert_eq!(group.apply(rival, &verdict).map(drop).unwrap_err(), over());
    assert_eq!(group.next_generation().unwrap_err(), over());
    let signer = client.signer.as_ref();
    assert_eq!(group.encrypt(b"x", b"", signer, rng).map(drop).unwrap_err(), over());
    assert_eq!(group.propose(remove(2), b"", signer, &now(), rng).map(drop).unwrap_err(), over());
    assert_eq!(group.propose_update(b"", signer, None, &now(), rng).map(drop).unwrap_err(), over());
    assert_eq!(group.commit().build(signer, &now(), rng).map(drop).unwrap_err(), over());
    assert_eq!(group.group_info(INFO, signer, rng).map(drop).unwrap_err(), over(), "nobody is let in either");
    assert!(group.snapshot().unwrap() == disk.records);
    assert_eq!(members[0].read(&late).1, "bob", "what was said before may still be read");
}

#[test]
fn row_183_making_a_commit_moves_nothing() {
    let mut bench = Bench::open();
    let gina = bench.newcomer("gina").1.key_package;
    let group = &bench.members[0].group;
    let before = (group.context().clone(), group.epoch_authenticator().to_vec(), group.ratchet_tree().unwrap());
    let snapshot = group.snapshot().unwrap();
    let pending = alice_makes(&mut bench, |builder| builder.add(gina).remove(LeafIndex(3)), &now());
    let group = &bench.members[0].group;
    assert!((group.context().clone(), group.epoch_authenticator().to_vec(), group.ratchet_tree().unwrap()) == before);
    // What is new is the record of the commit, and in the head the number of the next one.
    let after = group.snapshot().unwrap();
    let own = |key: &RecordKey| key.kind == RecordKind::Pending || *key == RecordKey::HEAD;
    let same = |key: &&RecordKey| snapshot.get(key) == after.get(key);
    assert!(snapshot.keys().chain(after.keys()).all(|key| own(key) || same(&key)));
    // Meanwhile the group is alive, and another's commit wins.
    let said = bench.members[1].send("meanwhile", &mut keyroom_vectors::rng(3));
    assert_eq!(bench.members[0].read(&said).1, "bob");
    bench.members[0].send("indeed", &mut keyroom_vectors::rng(4));
    bench.members[0].group.discard(pending.id).unwrap();
    assert!(bench.members[0].group.pending_commits().next().is_none());
    bench.goes_on();
}

#[test]
fn row_183_a_commit_that_cannot_be_made_moves_nothing_either() {
    let mut bench = Bench::open();
    bench.own_refuses("a PSK that is not at hand", |builder| builder.psk(external_psk(b"a")), {
        Error::NotYet(NotYet::Psks(vec![external_psk(b"a")]))
    });
    bench.goes_on();
}

#[test]
fn row_184_the_welcome_comes_with_the_commit_that_has_been_applied() {
    let mut bench = Bench::open();
    let (gina, bundle) = bench.newcomer("gina");
    let package = bundle.key_package.clone();
    let pending = alice_makes(&mut bench, |builder| builder.add(package), &now());
    let verdict = pending.questions().accept_unseen();
    let message = pending.message(&verdict).unwrap().to_vec();
    // The Delivery Service has accepted it.
    let (applied, _) = bench.members[0].group.apply(pending.into_staged(), &verdict).unwrap();
    let Applied::Epoch { admission, .. } = applied else { panic!("an epoch was expected") };
    let group = gina.join(&admission.welcome.unwrap(), bundle, config(), &mut keyroom_vectors::rng(3));
    assert_eq!(group.epoch_authenticator(), bench.members[0].group.epoch_authenticator());
    let Received::Commit(staged) = bench.members[1].group.process(&message, &now()).unwrap().received else { panic!() };
    let verdict = staged.questions().accept_unseen();
    let Applied::Epoch { admission, .. } = bench.members[1].group.apply(staged, &verdict).unwrap().0 else { panic!() };
    assert_eq!(admission, Default::default(), "who follows welcomes nobody");
}

#[test]
fn row_184_the_welcome_of_a_commit_that_lost_is_gone() {
    let mut bench = Bench::open();
    let gina = bench.newcomer("gina").1.key_package;
    let pending = alice_makes(&mut bench, |builder| builder.add(gina), &now());
    let (id, verdict) = (pending.id, pending.questions().accept_unseen());
    let winner = altered(&bench, vec![], &Alter::default());
    bench.members[0].follow(&winner);
    let lost = bench.members[0].group.apply(pending.into_staged(), &verdict);
    assert_eq!(lost.map(drop).unwrap_err(), Error::Usage(Usage::StaleCommit));
    let again = bench.members[0].group.pending_commit(id, &now());
    assert_eq!(again.map(drop).unwrap_err(), Error::Usage(Usage::NoSuchPendingCommit));
    let discarded = bench.members[0].group.discard(id);
    assert_eq!(discarded.map(drop).unwrap_err(), Error::Usage(Usage::NoSuchPendingCommit));
}

#[test]
fn row_184_a_welcome_survives_a_kill_until_its_commit_is_accepted() {
    let rng = &mut keyroom_vectors::rng(3);
    let (mut disk, mut alice, _) = alice_on_disk(rng);
    let gina = Client::new("gina", suite(1), rng).bundle(rng).key_package;
    let builder = alice.group.commit().add(gina);
    let (made, changes) = builder.build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    disk.apply(changes);
    let (mut stored, _) = disk.open::<Group>(&config()).unwrap();
    // The own commit comes back from the log: now it is accepted.
    let message = sent(&made);
    let read = disk.attempt(&mut stored, |group| group.process(&message, &now())).0.unwrap();
    let Received::OwnCommit(id) = read.received else { panic!("the own commit was expected") };
    let again = disk.attempt(&mut stored, |group| group.pending_commit(id, &now())).0.unwrap();
    let verdict = again.questions().accept_unseen();
    let (applied, _) = stored.apply(again.into_staged(), &verdict).unwrap();
    let Applied::Epoch { admission: kept, .. } = applied else { panic!("an epoch was expected") };
    assert!(kept.welcome.is_some());
    assert!(kept == admission(&made), "byte for byte");
}

#[test]
fn row_185_one_commit_is_applied_per_epoch() {
    let mut bench = Bench::open();
    let messages = [1, 2]
        .map(|seed| bench.bob().commit(vec![remove(3)], &Alter::default(), &mut keyroom_vectors::rng(seed)).bytes());
    let own = alice_makes(&mut bench, |builder| builder, &now());
    let own_verdict = own.questions().accept_unseen();
    let [first, second] = messages.each_ref().map(|message| bench.accepts(message));
    let [verdict, stale] = [&first, &second].map(|staged| staged.questions().accept_unseen());
    let observer = bench.observer.as_mut().unwrap();
    let mut observed = messages.each_ref().map(|message| match observer.process(message, &now()).unwrap() {
        Observed::Commit(staged) => Some(*staged),
        other => panic!("a commit was expected, not {other:?}"),
    });
    let mut observe = |staged: keyroom_mls::public::StagedPublicCommit| {
        let verdict = staged.questions().accept_unseen();
        observer.apply(staged, &verdict).map(drop)
    };
    observe(observed[0].take().unwrap()).unwrap();
    assert_eq!(observe(observed[1].take().unwrap()).unwrap_err(), Error::Usage(Usage::StaleCommit));

    let alice = &mut bench.members[0].group;
    alice.apply(first, &verdict).unwrap();
    let after = alice.snapshot().unwrap();
    assert_eq!(alice.apply(second, &stale).map(drop).unwrap_err(), Error::Usage(Usage::StaleCommit));
    let own = alice.apply(own.into_staged(), &own_verdict);
    assert_eq!(own.map(drop).unwrap_err(), Error::Usage(Usage::StaleCommit), "her own neither");
    assert!(alice.snapshot().unwrap() == after);
    for message in &messages {
        bench.refuses("of the epoch before", message, Rule::WrongEpoch);
    }
}

#[test]
fn row_185_a_commit_fits_one_of_two_epochs_with_one_number() {
    // A fork: the same number, another transcript.
    let mut bench = Bench::open();
    let [one, other] =
        [1, 2].map(|seed| bench.bob().commit(vec![], &Alter::default(), &mut keyroom_vectors::rng(seed)).bytes());
    bench.members[0].follow(&one);
    bench.members[3].follow(&other);
    assert_eq!(bench.members[0].group.epoch(), bench.members[3].group.epoch());
    let erin = &mut bench.members[3];
    let (pending, _) = erin.group.commit().build(erin.client.signer.as_ref(), &now(), &mut *bench.rng).unwrap();
    let verdict = pending.questions().accept_unseen();
    let stale = bench.members[0].group.apply(pending.into_staged(), &verdict);
    assert_eq!(stale.map(drop).unwrap_err(), Error::Usage(Usage::StaleCommit));
}

#[test]
fn row_186_no_application_data_is_sent_while_proposals_wait() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let message = bench.bob().proposal(remove(3), rng);
    let reference = bench.keep(1, &message);
    let waiting = Error::Usage(Usage::ProposalsPending);
    let Member { client, group } = &mut bench.members[0];
    let before = group.snapshot().unwrap();
    let refused = group.encrypt(b"x", b"", client.signer.as_ref(), rng);
    assert_eq!(refused.map(drop).unwrap_err(), waiting);
    assert!(group.snapshot().unwrap() == before, "no key is spent");
    let disk = Disk { records: before, version: group.version() };
    let (mut stored, _) = disk.open::<Group>(&config()).unwrap();
    let refused = disk.attempt(&mut stored, |group| group.encrypt(b"x", b"", client.signer.as_ref(), rng)).0;
    assert_eq!(refused.map(drop).unwrap_err(), waiting, "nor after a restart");
    // The application may drop a proposal that it does not want, or commit it.
    stored.drop_proposal(&reference).unwrap();
    disk.attempt(&mut stored, |group| group.encrypt(b"x", b"", client.signer.as_ref(), rng)).0.unwrap();
    let (pending, _) = group.commit().waiting(Waiting::All).build(client.signer.as_ref(), &now(), rng).unwrap();
    bench.members[0].apply(pending);
    bench.members[0].send("after the commit", rng);
}

#[test]
fn row_186_an_own_proposal_waits_too() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let Member { client, group } = &mut bench.members[0];
    group.propose(remove(3), b"", client.signer.as_ref(), &now(), rng).unwrap();
    let refused = group.encrypt(b"x", b"", client.signer.as_ref(), rng);
    assert_eq!(refused.map(drop).unwrap_err(), Error::Usage(Usage::ProposalsPending));
}

/// A group in its last epoch: Gina, whom Bob has let into it.
fn last_epoch(bench: &mut Bench, epoch: u64) -> Result<(Client, Group), Error> {
    let (gina, bundle) = bench.newcomer("gina");
    let rng = &mut keyroom_vectors::rng(3);
    let at = Alter { context: Some(Box::new(move |context| context.epoch = epoch)), ..Alter::default() };
    let made = bench.bob().commit(vec![add(&bundle.key_package)], &at, rng);
    let info = made.group_info(LeafIndex(1), bench.bob().signer, |_| {}, rng);
    let parts = SecretParts { path_secret: made.path_secret_for(BLANK), ..SecretParts::default() };
    let welcome = MlsMessage::Welcome(made.welcome(suite(1), &info, &parts, rng)).to_bytes();
    let bundles = [bundle];
    let joining = Group::join(suite(1), &welcome, &JoinOptions::new(&bundles), config(), &now(), rng)?;
    let verdict = joining.questions().accept_unseen();
    Ok((gina, joining.accept(&verdict)?.0))
}

#[test]
fn row_187_no_epoch_follows_the_last_one() {
    const LAST: u64 = (1 << 63) - 1;
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(4);
    let (gina, mut group) = last_epoch(&mut bench, LAST).unwrap();
    assert_eq!(group.epoch(), LAST);
    let overflow = Error::Rule(Rule::EpochOverflow);
    let snapshot = group.snapshot().unwrap();
    let own = group.commit().build(gina.signer.as_ref(), &now(), rng).map(drop);
    assert_eq!(own.unwrap_err(), overflow, "own commit");

    let info = group.group_info(INFO, gina.signer.as_ref(), rng).unwrap();
    let observing = PublicGroup::observe(&RUSTCRYPTO, &info, None, config(), &now(), rng).unwrap();
    let verdict = observing.questions().accept_unseen();
    let mut observer = observing.accept(&verdict).unwrap();
    let bobs = group.member(LeafIndex(1)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    let signer = bench.members[1].client.signer.as_ref();
    let insider = Insider::new(&group, signer);
    let entries: [ProposalOrRef; 0] = [];
    let bob = Sender::Member(LeafIndex(1));
    let message = insider.commit_of(bob, &bobs, signer, entries, &Alter::default(), rng).bytes();
    assert_eq!(group.process(&message, &now()).map(drop).unwrap_err(), overflow);
    assert_eq!(observer.process(&message, &now()).map(drop).unwrap_err(), overflow);
    assert!(group.snapshot().unwrap() == snapshot);
    let (eve, bundle) = bench.newcomer("eve");
    let join = Group::join_external(suite(1), &bundle, config()).build(&info, eve.signer.as_ref(), &now(), rng);
    assert_eq!(join.map(drop).unwrap_err(), overflow, "external commit");
    let said = group.encrypt(b"the last words", b"", gina.signer.as_ref(), rng);
    assert!(said.is_ok(), "what is left can still be used");
}

#[test]
fn row_187_a_group_beyond_the_last_epoch_is_not_entered() {
    for epoch in [1 << 63, u64::MAX] {
        let mut bench = Bench::open();
        let refused = last_epoch(&mut bench, epoch).map(drop).unwrap_err();
        assert_eq!(refused, Error::Rule(Rule::EpochOverflow));
        // A message of such an epoch is one that has not been reached.
        let far = Alter { content: Some(Box::new(move |content| content.epoch = epoch)), ..Alter::default() };
        let message = altered(&bench, vec![], &far);
        bench.refuses("a commit", &message, NotYet::FutureEpoch { epoch });
    }
}
