//! Section B: what primitives must refuse, with every suite of both providers, and what a group
//! makes of it.

use std::sync::Arc;
use std::time::Duration;

use keyroom_awslc::AWSLC;
use keyroom_crypto::{CryptoError, Provider, Secret, Suite, constant_time_eq, labels};
use keyroom_insider::{Alter, Bench, Insider, Member, SecretParts, config, flipped, now, room, suite};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, Refusal, Rule, Usage};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::leaf_node::LeafNodeParts;
use keyroom_mls::public::PublicGroup;
use keyroom_mls::record::RecordKey;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Credential, Encode, ExtensionType, ExternalPub, ExternalSender, GroupInfo, HpkeCiphertext, KeyPackage,
    LeafNode, Limits, MlsMessage, Opaque, PrivateMessage, Proposal, ProposalOrRef, Sender, UpdatePath, WireFormat,
};

use super::leaves::{
    BOB, add, commit_is_refused, committed, extensions, faulty_package, group_info, leaf_is_refused_everywhere,
    nobody_joins, package_is_refused, path_is_refused, proposal_is_refused, proposed, verdicts,
};

/// The code point of MLKEM768-X25519 among the KEMs of HPKE.
const X_WING: u16 = 0x647a;
const P256: CipherSuite = CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// The suites of RFC 9420 that a provider has.
fn suites(provider: &dyn Provider) -> Vec<&'static dyn Suite> {
    (1..=7).flat_map(|code| provider.suite(CipherSuite(code))).collect()
}

/// Those of both providers.
fn all() -> Vec<&'static dyn Suite> {
    [suites(&RUSTCRYPTO), suites(&AWSLC)].concat()
}

fn with_nist_curve(suite: &dyn Suite) -> bool {
    (0x0010..=0x0012).contains(&suite.kem().id())
}

/// The bytes cut, extended and absent.
fn other_lengths(bytes: &[u8]) -> Vec<Vec<u8>> {
    vec![Vec::new(), bytes[1..].to_vec(), bytes[..bytes.len() - 1].to_vec(), [bytes, &[0]].concat()]
}

#[test]
fn row_021_a_signature_counts_for_its_label_content_and_key_only() {
    let refused = Err(CryptoError::InvalidSignature);
    for suite in all() {
        let rng = &mut keyroom_vectors::rng(1);
        let signer = suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap();
        let signature = labels::sign_with_label(signer.as_ref(), "LeafNodeTBS", b"content", rng).unwrap();
        let key = signer.public_key().as_slice();
        let verify = |label, content| labels::verify_with_label(suite, key, label, content, signature.as_slice());
        assert_eq!(verify("LeafNodeTBS", b"content"), Ok(()));
        assert_eq!(verify("KeyPackageTBS", b"content"), refused);
        assert_eq!(verify("LeafNodeTB", b"content"), refused);
        assert_eq!(verify("LeafNodeTBS", b"contents"), refused);
        // Without the prefix and the lengths of §5.1.2.
        assert_eq!(suite.verify(key, b"LeafNodeTBScontent", signature.as_slice()), refused);
        assert_eq!(suite.verify(key, b"content", signature.as_slice()), refused);
        let bare = signer.sign(b"content", rng).unwrap();
        assert_eq!(labels::verify_with_label(suite, key, "LeafNodeTBS", b"content", bare.as_slice()), refused);
    }
}

#[test]
fn row_021_a_message_signed_under_another_label_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(2);
    let bob = bench.bob();
    let context = bob.group.context().to_bytes();
    let mut message = committed(&bench, Vec::new(), &Alter::default()).message;
    let tbs = message.content.tbs(WireFormat::PUBLIC_MESSAGE, &context);
    message.auth.signature = labels::sign_with_label(bob.signer, "FramedContentTBM", &tbs, rng).unwrap();
    let message = MlsMessage::PublicMessage(bob.tagged(message.content, message.auth)).to_bytes();
    bench.refuses("another label", &message, Rule::MessageSignature);
    let relabelled = |leaf: &mut LeafNode| {
        let signer = bench.members[1].client.signer.as_ref();
        let tbs = leaf.tbs(Some((bench.members[1].group.group_id(), BOB)));
        leaf.signature = labels::sign_with_label(signer, "KeyPackageTBS", &tbs, &mut keyroom_vectors::rng(3)).unwrap();
    };
    let alter = Alter { leaf: Some(Box::new(relabelled)), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &alter).bytes();
    drop(alter);
    bench.refuses("a leaf under another label", &message, Rule::LeafSignature);
    bench.goes_on();
}

/// Encodings of points of small order: with any private key they give zero.
fn small_order(suite: &dyn Suite) -> Vec<Vec<u8>> {
    let little = |length: usize, bytes: &[(usize, u8)], fill: u8| {
        let mut point = vec![fill; length];
        bytes.iter().for_each(|(at, byte)| point[*at] = *byte);
        point
    };
    match suite.kem().id() {
        0x0020 => vec![
            vec![0; 32],
            little(32, &[(0, 1)], 0),
            little(32, &[(0, 0xec), (31, 0x7f)], 0xff),
            little(32, &[(0, 0xed), (31, 0x7f)], 0xff),
            little(32, &[(0, 0xee), (31, 0x7f)], 0xff),
            little(32, &[(31, 0x80)], 0),
            hex::decode("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800").unwrap(),
            hex::decode("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157").unwrap(),
        ],
        0x0021 => vec![
            vec![0; 56],
            little(56, &[(0, 1)], 0),
            little(56, &[(0, 0xfe), (28, 0xfe)], 0xff),
            little(56, &[(28, 0xfe)], 0xff),
            [vec![0; 28], vec![0xff; 28]].concat(),
        ],
        _ => Vec::new(),
    }
}

#[test]
fn row_022_a_point_of_small_order_is_neither_a_key_nor_an_encapsulation() {
    let mut seen = 0;
    for suite in all() {
        let kem = suite.kem();
        let pair = kem.derive_key_pair(b"pair").unwrap();
        for point in small_order(suite) {
            assert_eq!(kem.validate_public_key(&point), Err(CryptoError::InvalidPublicKey), "{point:02x?}");
            let sealed = labels::encrypt_with_label(suite, &point, "label", b"", b"text", &mut keyroom_vectors::rng(4));
            assert_eq!(sealed.err(), Some(CryptoError::InvalidPublicKey));
            let sealed = HpkeCiphertext { kem_output: point.into(), ciphertext: vec![0; 32].into() };
            let opened = labels::decrypt_with_label(suite, pair.private.expose(), "label", b"", &sealed);
            assert!(matches!(opened.err(), Some(CryptoError::InvalidEncapsulation | CryptoError::Open)));
            seen += 1;
        }
    }
    assert!(seen >= 16);
}

#[test]
fn row_022_a_hybrid_takes_no_point_of_small_order_beside_ml_kem() {
    let hybrid = |suite: &&dyn Suite| suite.kem().id() == X_WING;
    let suites = || RUSTCRYPTO.suites().into_iter().chain(AWSLC.suites()).filter(hybrid);
    assert!(suites().count() > 0);
    for suite in suites() {
        let kem = suite.kem();
        let pair = kem.derive_key_pair(b"pair").unwrap();
        let rng = &mut keyroom_vectors::rng(4);
        let sealed = labels::encrypt_with_label(suite, pair.public.as_slice(), "label", b"", b"text", rng).unwrap();
        let with_zero = |bytes: &[u8]| [&bytes[..bytes.len() - 32], &[0; 32]].concat();
        let public = with_zero(pair.public.as_slice());
        assert_eq!(kem.validate_public_key(&public), Err(CryptoError::InvalidPublicKey));
        let to_zero = labels::encrypt_with_label(suite, &public, "label", b"", b"text", rng);
        assert_eq!(to_zero.err(), Some(CryptoError::InvalidPublicKey));
        let honest = sealed.kem_output.as_slice();
        for kem_output in other_lengths(honest).into_iter().chain([with_zero(honest)]) {
            let sealed = HpkeCiphertext { kem_output: kem_output.into(), ciphertext: sealed.ciphertext.clone() };
            let opened = labels::decrypt_with_label(suite, pair.private.expose(), "label", b"", &sealed);
            assert_eq!(opened.err(), Some(CryptoError::InvalidEncapsulation));
        }
    }
}

#[test]
fn row_022_a_group_takes_no_point_of_small_order() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    for point in small_order(suite(1)) {
        let fault = |parts: &mut LeafNodeParts| parts.encryption_key = point.clone().into();
        let package = faulty_package(&client, &bundle, &fault);
        proposal_is_refused(&mut bench, &package, Rule::InvalidPublicKey);
        path_is_refused(&mut bench, &fault, Rule::InvalidPublicKey);
        let path = |path: &mut UpdatePath| {
            for node in &mut path.nodes {
                node.encrypted_path_secret.iter_mut().for_each(|sealed| sealed.kem_output = point.clone().into());
            }
        };
        let alter = Alter { path: Some(Box::new(path)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("an encapsulation", &message, Rule::PathDecryption);
        let init = Proposal::ExternalInit { kem_output: point.clone().into() };
        let message = external_commit(&mut bench, init);
        refused_by_alice(&mut bench, &message, Rule::ExternalInitKemOutput);
    }
    bench.goes_on();
}

fn external_commit(bench: &mut Bench, init: Proposal) -> Vec<u8> {
    let (eve, bundle) = bench.newcomer("eve");
    let leaf = bundle.key_package.leaf_node;
    let rng = &mut keyroom_vectors::rng(5);
    let entries = [ProposalOrRef::Proposal(init)];
    bench.bob().commit_of(Sender::NewMemberCommit, &leaf, eve.signer.as_ref(), entries, &Alter::default(), rng).bytes()
}

/// Only members can decapsulate, so that an observer does not see it.
#[track_caller]
fn refused_by_alice(bench: &mut Bench, message: &[u8], expected: Rule) {
    refused_by(&mut bench.members[0], message, expected);
}

#[track_caller]
fn refused_by(member: &mut Member, message: &[u8], expected: Rule) {
    let before = member.group.snapshot().unwrap();
    assert_eq!(member.group.process(message, &now()).map(drop).unwrap_err(), Error::Rule(expected));
    assert!(member.group.snapshot().unwrap() == before, "the group has changed");
}

/// What SEC 1 knows beside an uncompressed point on the curve.
fn wrong_points(uncompressed: &[u8]) -> Vec<Vec<u8>> {
    let (x, y) = uncompressed[1..].split_at(uncompressed.len() / 2);
    let parity = y[y.len() - 1] & 1;
    let with = |tag: u8, parts: &[&[u8]]| [&[tag], parts.concat().as_slice()].concat();
    vec![
        vec![0],
        with(0, &[x, y]),
        with(2 + parity, &[x]),
        with(6 + parity, &[x, y]),
        with(4, &[&vec![0; x.len()], &vec![0; x.len()]]),
        flipped(uncompressed, uncompressed.len() - 1),
    ]
}

#[test]
fn row_023_a_point_that_is_not_uncompressed_and_on_the_curve_is_no_key() {
    let mut seen = 0;
    for suite in all().into_iter().filter(|suite| with_nist_curve(*suite)) {
        let pair = suite.kem().derive_key_pair(b"pair").unwrap();
        let refused = Err(CryptoError::InvalidPublicKey);
        for point in wrong_points(pair.public.as_slice()) {
            assert_eq!(suite.kem().validate_public_key(&point), refused, "{point:02x?}");
            assert_eq!(suite.validate_signature_key(&point), refused, "{point:02x?}");
            let sealed = labels::encrypt_with_label(suite, &point, "label", b"", b"text", &mut keyroom_vectors::rng(6));
            assert_eq!(sealed.err(), Some(CryptoError::InvalidPublicKey));
            seen += 1;
        }
    }
    assert!(seen >= 24);

    let mut members = room(&["alice", "bob"], P256.0, config(), &mut keyroom_vectors::rng(7));
    let faye = keyroom_insider::Client::new("faye", suite(P256.0), &mut keyroom_vectors::rng(8));
    let bundle = faye.bundle(&mut keyroom_vectors::rng(9));
    for point in wrong_points(bundle.key_package.leaf_node.encryption_key.as_slice()) {
        let fault = |parts: &mut LeafNodeParts| parts.encryption_key = point.clone().into();
        let package = faulty_package(&faye, &bundle, &fault);
        let message = {
            let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
            proposed(&bob, add(&package))
        };
        refused_by(&mut members[0], &message, Rule::InvalidPublicKey);
    }
}

#[test]
fn row_024_an_hpke_key_of_another_length_or_form_is_refused() {
    for suite in all() {
        let pair = suite.kem().derive_key_pair(b"pair").unwrap();
        for key in other_lengths(pair.public.as_slice()) {
            let refused = CryptoError::InvalidPublicKey;
            assert_eq!(suite.kem().validate_public_key(&key), Err(refused), "{key:02x?}");
            let sealed = labels::encrypt_with_label(suite, &key, "label", b"", b"text", &mut keyroom_vectors::rng(4));
            assert_eq!(sealed.err(), Some(refused), "{key:02x?}");
        }
    }
    let mut bench = Bench::open();
    let expected = Rule::InvalidPublicKey;
    let (client, bundle) = bench.newcomer("faye");
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    for key in [Vec::new(), vec![9; 31], vec![9; 33], vec![4; 65]] {
        let mut package = bundle.key_package.clone();
        package.init_key = key.clone().into();
        let package = keyroom_insider::resigned(package, &client, &mut keyroom_vectors::rng(10));
        package_is_refused(&mut bench, &package, expected);
        let leaf = |parts: &mut LeafNodeParts| parts.encryption_key = key.clone().into();
        leaf_is_refused_everywhere(&mut bench, &leaf, expected);
        let keys = |keys: &mut Vec<keyroom_wire::HpkePublicKey>| keys[0] = key.clone().into();
        let alter = Alter { keys: Some(Box::new(keys)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("a key of the path", &message, expected);
        let tree = committed(&bench, vec![add(&gina.key_package)], &alter);
        nobody_joins(&mut bench, &tree, &gina, |_| {}, expected);
        let external_pub = |info: &mut GroupInfo| {
            let key = ExternalPub { external_pub: key.clone().into() };
            info.extensions.set(ExtensionType::EXTERNAL_PUB, key.to_bytes());
        };
        nobody_joins(&mut bench, &made, &gina, external_pub, expected);
    }
    bench.goes_on();
}

#[test]
fn row_025_a_signature_key_of_another_length_or_form_is_refused() {
    for suite in all() {
        let rng = &mut keyroom_vectors::rng(11);
        let signer = suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap();
        for key in other_lengths(signer.public_key().as_slice()) {
            assert_eq!(suite.validate_signature_key(&key), Err(CryptoError::InvalidPublicKey), "{key:02x?}");
            let signature = signer.sign(b"text", rng).unwrap();
            assert_eq!(suite.verify(&key, b"text", signature.as_slice()), Err(CryptoError::InvalidSignature));
        }
    }
    let mut bench = Bench::open();
    let expected = Rule::InvalidPublicKey;
    let (client, bundle) = bench.newcomer("faye");
    let (_, gina) = bench.newcomer("gina");
    let small_order = hex::decode("0100000000000000000000000000000000000000000000000000000000000000").unwrap();
    for key in [Vec::new(), vec![9; 31], vec![9; 33], vec![4; 65], small_order] {
        let with_key = |package: &mut KeyPackage| package.leaf_node.signature_key = key.clone().into();
        let mut package = bundle.key_package.clone();
        with_key(&mut package);
        let package = keyroom_insider::resigned(package, &client, &mut keyroom_vectors::rng(12));
        package_is_refused(&mut bench, &package, expected);
        let made = committed(&bench, vec![add(&gina.key_package), add(&package)], &Alter::default());
        nobody_joins(&mut bench, &made, &gina, |_| {}, expected);
        let mut leaf = bench.leaf(BOB.0);
        leaf.leaf_node_source = keyroom_wire::LeafNodeSource::Update;
        leaf.signature_key = key.clone().into();
        let message = proposed(&bench.bob(), Proposal::Update { leaf_node: Box::new(leaf) });
        bench.refuses("an Update", &message, expected);
        let sender = ExternalSender { signature_key: key.clone().into(), credential: Credential::basic("service") };
        let senders = extensions(&[(ExtensionType::EXTERNAL_SENDERS, &vec![sender].to_bytes())]);
        let proposal = Proposal::GroupContextExtensions { extensions: senders };
        let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
        bench.refuses("an external sender", &message, expected);
    }
    bench.goes_on();
}

/// What each provider that has the suite says; they must agree, one by one and in a batch.
fn verdict(cipher_suite: CipherSuite, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let have: Vec<&dyn Suite> = [&RUSTCRYPTO as &dyn Provider, &AWSLC]
        .into_iter()
        .flat_map(|provider| provider.suite(cipher_suite))
        .map(|suite| suite as &dyn Suite)
        .collect();
    let verdicts: Vec<_> = have.iter().map(|suite| suite.verify(key, message, signature)).collect();
    let job = keyroom_crypto::VerifyJob { public_key: key, message, signature };
    for suite in &have {
        assert_eq!(suite.verify_many(&[job; 3]).is_ok(), verdicts[0].is_ok(), "{signature:02x?}");
    }
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{signature:02x?}");
    verdicts[0]
}

/// Little-endian addition.
fn sum(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let digits = one.iter().zip(other.iter().chain(std::iter::repeat(&0)));
    let add = |(a, b): (&u8, &u8)| {
        let total = u16::from(*a) + u16::from(*b) + carry;
        carry = total >> 8;
        total.to_le_bytes()[0]
    };
    digits.map(add).collect()
}

/// Encodings of A that are not canonical or of small order, the order L, by the length of a key.
fn edwards(length: usize) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let point = |fill: u8, bytes: &[(usize, u8)]| {
        let mut point = vec![fill; length];
        bytes.iter().for_each(|(at, byte)| point[*at] = *byte);
        point
    };
    let order = match length {
        32 => "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010".to_owned(),
        57 => format!("f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7c{}3f00", "ff".repeat(27)),
        _ => return None,
    };
    let points = match length {
        // y = 1, 0 and −1, then p + 1, p, −0 with a sign.
        32 => vec![
            point(0, &[(0, 1)]),
            point(0, &[]),
            point(0xff, &[(0, 0xec), (31, 0x7f)]),
            point(0xff, &[(0, 0xee), (31, 0x7f)]),
            point(0xff, &[(0, 0xed), (31, 0x7f)]),
            point(0, &[(0, 1), (31, 0x80)]),
        ],
        _ => vec![
            point(0, &[(0, 1)]),
            point(0, &[]),
            point(0xff, &[(0, 0xfe), (28, 0xfe), (56, 0)]),
            point(0xff, &[(28, 0xfe), (56, 0)]),
            point(0, &[(0, 1), (56, 0x80)]),
        ],
    };
    Some((points, hex::decode(order).unwrap()))
}

#[test]
fn row_026_an_eddsa_signature_that_is_not_canonical_is_refused_by_every_provider() {
    let refused = Err(CryptoError::InvalidSignature);
    let mut schemes = 0;
    for suite in all() {
        let rng = &mut keyroom_vectors::rng(13);
        let signer = suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap();
        let key = signer.public_key().as_slice();
        let Some((points, order)) = edwards(key.len()) else { continue };
        let said = |key: &[u8], signature: &[u8]| verdict(suite.cipher_suite(), key, b"text", signature);
        let signature = signer.sign(b"text", rng).unwrap();
        let (r, s) = signature.as_slice().split_at(key.len());
        assert_eq!(said(key, signature.as_slice()), Ok(()));
        assert_eq!(said(key, &[r, &sum(s, &order)].concat()), refused, "S + L");
        assert_eq!(said(key, &[r, &order].concat()), refused, "S = L");
        for point in &points {
            assert_eq!(suite.validate_signature_key(point), Err(CryptoError::InvalidPublicKey), "{point:02x?}");
            // For a key of small order the signature of nothing fits one message in a few.
            for r in &points {
                let nothing = [r.as_slice(), &vec![0; s.len()]].concat();
                assert_eq!(said(point, &nothing), refused);
            }
            assert_eq!(said(key, &[point, s].concat()), refused, "R replaced");
        }
        schemes += 1;
    }
    assert!(schemes >= 4, "two suites of two providers");
}

#[test]
fn row_026_a_message_with_an_eddsa_signature_that_is_not_canonical_is_refused() {
    let mut bench = Bench::open();
    let mut message = committed(&bench, Vec::new(), &Alter::default()).message;
    let signature = message.auth.signature.as_slice().to_vec();
    let (_, order) = edwards(32).unwrap();
    message.auth.signature = [&signature[..32], &sum(&signature[32..], &order)].concat().into();
    let bob = bench.bob();
    let message = MlsMessage::PublicMessage(bob.tagged(message.content, message.auth)).to_bytes();
    bench.refuses("S + L", &message, Rule::MessageSignature);
    bench.goes_on();
}

/// The integers of a signature in DER.
fn integers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = if der[1] == 0x81 { 3 } else { 2 };
    let r = &der[at + 2..at + 2 + usize::from(der[at + 1])];
    let s = &der[at + 2 + r.len() + 2..];
    (r.to_vec(), s.to_vec())
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let header = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
    [header, content.to_vec()].concat()
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    sequence(&[integer(r), integer(s)].concat())
}

/// The order less this integer: the other S for which a signature verifies.
fn other_half(order: &str, s: &[u8]) -> Vec<u8> {
    let order = hex::decode(order).unwrap();
    let s: Vec<u8> = s.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut borrow = 0_i16;
    let mut other: Vec<u8> = Vec::new();
    for place in 0..order.len() {
        let digit = s.len().checked_sub(place + 1).map_or(0, |at| i16::from(s[at]));
        let mut rest = i16::from(order[order.len() - 1 - place]) - digit - borrow;
        borrow = i16::from(rest < 0);
        rest += 256 * borrow;
        other.push(u8::try_from(rest).unwrap());
    }
    while other.last() == Some(&0) {
        other.pop();
    }
    if other.last().is_some_and(|top| *top >= 0x80) {
        other.push(0);
    }
    other.reverse();
    other
}

const ORDERS: [(u16, &str); 2] = [
    (2, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    (7, "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"),
];

/// The same two numbers in forms that DER does not allow, and forms without DER.
fn not_der(signature: &[u8]) -> Vec<Vec<u8>> {
    let (r, s) = integers(signature);
    let content = &signature[if signature[1] == 0x81 { 3 } else { 2 }..];
    let length = u8::try_from(content.len()).unwrap();
    let unsigned = |n: &[u8]| n.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    vec![
        Vec::new(),
        [&[0x30, 0x82, 0, length], content].concat(),
        [&[0x30, 0x80], content, &[0, 0]].concat(),
        [signature, &[0]].concat(),
        [&[0x30, 0x81, length + 2], content, &[5, 0]].concat(),
        der(&[&[0], r.as_slice()].concat(), &s),
        der(&r, &[&[0], s.as_slice()].concat()),
        der(&[0], &s),
        der(&r, &[0]),
        der(&s, &r),
        [unsigned(&r), unsigned(&s)].concat(),
    ]
}

#[test]
fn row_027_an_ecdsa_signature_that_is_not_strict_der_is_refused_by_every_provider() {
    for provider in [&RUSTCRYPTO as &dyn Provider, &AWSLC] {
        for (code, order) in ORDERS {
            let suite = provider.suite(CipherSuite(code)).unwrap();
            let rng = &mut keyroom_vectors::rng(14);
            let signer = suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap();
            let said = |text: &[u8], signature: &[u8]| {
                verdict(CipherSuite(code), signer.public_key().as_slice(), text, signature)
            };
            let mut negative = 0;
            for text in 0..24_u8 {
                let signature = signer.sign(&[text], rng).unwrap();
                let signature = signature.as_slice();
                assert_eq!(said(&[text], signature), Ok(()));
                for form in not_der(signature) {
                    assert_eq!(said(&[text], &form), Err(CryptoError::InvalidSignature), "{form:02x?}");
                }
                let (r, s) = integers(signature);
                if r[0] == 0 {
                    // Without its zero the number is negative.
                    assert_eq!(said(&[text], &der(&r[1..], &s)), Err(CryptoError::InvalidSignature));
                    negative += 1;
                }
                // Either half of S is accepted, as by every peer; which one comes is nobody's identity.
                assert_eq!(said(&[text], &der(&r, &other_half(order, &s))), Ok(()));
            }
            assert!(negative > 0);
        }
    }
}

#[test]
fn row_027_a_message_with_an_ecdsa_signature_that_is_not_strict_der_is_refused() {
    let mut members = room(&["alice", "bob"], P256.0, config(), &mut keyroom_vectors::rng(15));
    let (honest, forms, high) = {
        let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
        let honest = bob.commit(Vec::new(), &Alter::default(), &mut keyroom_vectors::rng(16)).message;
        let with = |signature: Vec<u8>| {
            let mut auth = honest.auth.clone();
            auth.signature = signature.into();
            MlsMessage::PublicMessage(bob.tagged(honest.content.clone(), auth)).to_bytes()
        };
        let signature = honest.auth.signature.as_slice();
        let (r, s) = integers(signature);
        let high = with(der(&r, &other_half(ORDERS[0].1, &s)));
        let forms: Vec<Vec<u8>> = not_der(signature).into_iter().map(with).collect();
        (MlsMessage::PublicMessage(honest.clone()).to_bytes(), forms, high)
    };
    for message in forms {
        refused_by(&mut members[0], &message, Rule::MessageSignature);
    }
    // The transcript covers the signature: with its other half the commit leads elsewhere.
    refused_by(&mut members[0], &high, Rule::ConfirmationTag);
    members[0].follow(&honest);
}

#[test]
fn row_028_what_an_aead_does_not_open_gives_one_error_and_no_plaintext() {
    for suite in all() {
        let (key, nonce) = (vec![7; suite.aead_key_len()], vec![8; suite.aead_nonce_len()]);
        let plaintext = b"what nobody else may ever read".repeat(3);
        let mut sealed = plaintext.clone();
        suite.aead_seal(&key, &nonce, b"aad", &mut sealed).unwrap();
        let refuse = |key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]| {
            let mut buffer = sealed.to_vec();
            assert_eq!(suite.aead_open(key, nonce, aad, &mut buffer), Err(CryptoError::Open));
            assert!(!buffer.windows(8).any(|part| plaintext.windows(8).any(|secret| secret == part)));
        };
        refuse(&flipped(&key, 3), &nonce, b"aad", &sealed);
        refuse(&key, &flipped(&nonce, 3), b"aad", &sealed);
        refuse(&key, &nonce, b"AAD", &sealed);
        (0..sealed.len()).for_each(|at| refuse(&key, &nonce, b"aad", &flipped(&sealed, at)));
        (0..sealed.len()).step_by(7).for_each(|length| refuse(&key, &nonce, b"aad", &sealed[..length]));
        other_lengths(&key).iter().for_each(|key| refuse(key, &nonce, b"aad", &sealed));
        other_lengths(&nonce).iter().for_each(|nonce| refuse(&key, nonce, b"aad", &sealed));
        suite.aead_open(&key, &nonce, b"aad", &mut sealed).unwrap();
        assert_eq!(sealed, plaintext);
    }
}

#[test]
fn row_028_a_private_message_that_does_not_open_is_refused_for_one_reason() {
    let mut bench = Bench::open();
    let honest = bench.members[1].send("text", &mut keyroom_vectors::rng(17));
    let Ok(MlsMessage::PrivateMessage(message)) = keyroom_wire::Decode::from_bytes(&honest, &Limits::default()) else {
        panic!("a private message")
    };
    let bytes = |message: PrivateMessage| MlsMessage::PrivateMessage(message).to_bytes();
    // Beyond the sample from which the keys of the sender data come.
    let sealed = message.ciphertext.as_slice();
    for at in [40, sealed.len() / 2 + 20, sealed.len() - 1] {
        let altered = PrivateMessage { ciphertext: flipped(sealed, at).into(), ..message.clone() };
        bench.refuses("content", &bytes(altered), Rule::ContentDecryption);
    }
    let aad = PrivateMessage { authenticated_data: b"other"[..].into(), ..message.clone() };
    bench.refuses("authenticated data", &bytes(aad), Rule::ContentDecryption);
    let cut = PrivateMessage { ciphertext: sealed[..sealed.len() - 1].into(), ..message.clone() };
    bench.refuses("a byte less", &bytes(cut), Rule::ContentDecryption);
    let sender = message.encrypted_sender_data.as_slice();
    for at in [0, sender.len() - 1] {
        let altered = PrivateMessage { encrypted_sender_data: flipped(sender, at).into(), ..message.clone() };
        bench.refuses("sender data", &bytes(altered), Rule::SenderData);
    }
    assert_eq!(bench.members[0].read(&honest).0, b"text");
}

#[test]
fn row_029_what_hpke_does_not_open_is_refused() {
    for suite in all() {
        let pair = suite.kem().derive_key_pair(b"pair").unwrap();
        let other = suite.kem().derive_key_pair(b"other").unwrap();
        let rng = &mut keyroom_vectors::rng(18);
        let sealed = labels::encrypt_with_label(suite, pair.public.as_slice(), "Welcome", b"info", b"text", rng);
        let sealed = sealed.unwrap();
        let open = |private: &Secret, label, context: &[u8], sealed: &HpkeCiphertext| {
            labels::decrypt_with_label(suite, private.expose(), label, context, sealed).map(|text| text.to_vec()).err()
        };
        let refused = Some(CryptoError::Open);
        assert_eq!(open(&pair.private, "Welcome", b"info", &sealed), None);
        assert_eq!(open(&other.private, "Welcome", b"info", &sealed), refused);
        assert_eq!(open(&pair.private, "UpdatePathNode", b"info", &sealed), refused);
        assert_eq!(open(&pair.private, "Welcome", b"other", &sealed), refused);
        let ciphertext = flipped(sealed.ciphertext.as_slice(), 0).into();
        assert_eq!(open(&pair.private, "Welcome", b"info", &HpkeCiphertext { ciphertext, ..sealed.clone() }), refused);
        for length in [0, 1, sealed.kem_output.len() - 1] {
            let kem_output = sealed.kem_output.as_slice()[..length].into();
            let cut = HpkeCiphertext { kem_output, ..sealed.clone() };
            assert_eq!(open(&pair.private, "Welcome", b"info", &cut), Some(CryptoError::InvalidEncapsulation));
        }
    }
}

#[test]
fn row_029_path_secrets_and_group_secrets_that_do_not_open_are_refused() {
    let mut bench = Bench::open();
    type Damage = fn(&mut HpkeCiphertext);
    let damages: [Damage; 3] = [
        |sealed| sealed.ciphertext = flipped(sealed.ciphertext.as_slice(), 0).into(),
        |sealed| sealed.ciphertext = Opaque::default(),
        |sealed| sealed.kem_output = Opaque::default(),
    ];
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let info = group_info(&bench, &made, |_| {});
    let welcome = made.welcome(suite(1), &info, &SecretParts::default(), &mut keyroom_vectors::rng(19));
    let join = |welcome: &keyroom_wire::Welcome| {
        let options = JoinOptions::new(std::slice::from_ref(&gina));
        let bytes = MlsMessage::Welcome(welcome.clone()).to_bytes();
        Group::join(suite(1), &bytes, &options, config(), &now(), &mut keyroom_vectors::rng(20)).map(drop)
    };
    for damage in damages {
        let path = |path: &mut UpdatePath| {
            path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret).for_each(damage);
        };
        let alter = Alter { path: Some(Box::new(path)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("path secrets", &message, Rule::PathDecryption);
        let mut damaged = welcome.clone();
        damage(&mut damaged.secrets[0].encrypted_group_secrets);
        assert_eq!(join(&damaged), Err(Rule::GroupSecretsDecryption.into()));
    }
    assert_eq!(join(&welcome), Ok(()));
    bench.goes_on();
}

#[test]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "how long it takes is the question")]
fn row_030_comparing_tags_takes_as_long_for_the_first_byte_as_for_the_last() {
    const LENGTH: usize = 1 << 16;
    let tag = vec![0; LENGTH];
    let fastest = |other: &[u8]| -> Duration {
        let once = || {
            let start = std::time::Instant::now();
            assert!(!std::hint::black_box(constant_time_eq(std::hint::black_box(&tag), other)));
            start.elapsed()
        };
        std::iter::repeat_with(once).take(10).min().unwrap()
    };
    let (first, last) = (fastest(&flipped(&tag, 0)), fastest(&flipped(&tag, LENGTH - 1)));
    // A comparison that stops at the first difference would be thousands of times faster.
    assert!(first * 8 > last, "{first:?} against {last:?}");
    assert!(!constant_time_eq(&tag, &tag[1..]));
}

#[test]
fn row_030_tags_meet_that_comparison_and_no_other() {
    let source = include_str!("../../src/key_schedule/keys.rs");
    let body = source.split("fn same_tag(").nth(1).unwrap();
    assert!(body.contains("constant_time_eq(ours.as_slice(), theirs.as_slice())"));
    let checks: Vec<&str> = source.split("pub fn verify(").skip(1).collect();
    assert_eq!(checks.len(), 2, "of the confirmation tag and of the membership tag");
    assert!(checks.iter().all(|check| check.split("\n    }").next().unwrap().contains("same_tag(")));
}

#[test]
fn row_031_nothing_is_encrypted_that_is_longer_than_a_message_may_be() {
    let limits = Limits { message: 20_000, ..Limits::default() };
    let mut bench = Bench::new(1, Arc::new(Config { limits, ..Config::default() }));
    let rng = &mut keyroom_vectors::rng(21);
    let Member { client, group } = &mut bench.members[1];
    let before = group.snapshot().unwrap();
    for (text, data) in [(20_001, 0), (0, 20_001), (10_000, 10_001), (19_900, 0), (usize::from(u16::MAX), 0)] {
        let refused = group.encrypt(&vec![0; text], &vec![0; data], client.signer.as_ref(), rng);
        assert_eq!(refused.map(drop).unwrap_err(), Error::Refused(Refusal::MessageTooLong));
        assert!(group.snapshot().unwrap() == before, "no key was spent");
    }
    // What is just short enough is read by the others.
    let longest = (0..20_000).rev().step_by(8).find_map(|length| {
        let sent = group.encrypt(&vec![5; length], b"", client.signer.as_ref(), rng);
        sent.ok().map(|sent| (length, sent.message))
    });
    let (length, message) = longest.unwrap();
    assert!((18_000..20_000).contains(&length) && message.len() <= 20_000);
    assert_eq!(bench.members[0].read(&message).0.len(), length);
    // Handshakes count as well.
    let Member { client, group } = &mut bench.members[1];
    let before = group.snapshot().unwrap();
    let commit = group.commit().authenticated_data(vec![0; 20_000]);
    let refused = commit.build(client.signer.as_ref(), &now(), rng).map(drop).unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::MessageTooLong));
    let proposal = super::leaves::remove(3);
    let refused = group.propose(proposal, &vec![0; 20_000], client.signer.as_ref(), &now(), rng).map(drop).unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::MessageTooLong));
    assert!(group.snapshot().unwrap() == before);
    bench.goes_on();
}

#[test]
fn row_032_a_suite_that_is_unknown_here_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(22);
    let (client, bundle) = bench.newcomer("faye");
    let made = committed(&bench, vec![add(&bundle.key_package)], &Alter::default());
    for code in [0, 0x0a0a, 0x7777, 0xffff] {
        let info = group_info(&bench, &made, |info| info.group_context.cipher_suite = CipherSuite(code));
        let info = MlsMessage::GroupInfo(info).to_bytes();
        for provider in [&RUSTCRYPTO as &dyn Provider, &AWSLC] {
            let observed = PublicGroup::observe(provider, &info, None, config(), &now(), rng).map(drop);
            assert_eq!(observed, Err(Usage::UnknownCipherSuite.into()));
            let mut stored = bench.members[0].group.snapshot().unwrap();
            let head = stored.get_mut(&RecordKey::HEAD).unwrap();
            let context = [&[0, 1, 0, 1, 4][..], b"room"].concat();
            let at = head.windows(context.len()).position(|part| part == context).unwrap();
            head[at + 2..at + 4].copy_from_slice(&code.to_be_bytes());
            let opened = Group::open(provider, config(), 1, &stored).map(drop);
            assert_eq!(opened.unwrap_err(), Usage::UnknownCipherSuite.into());
            let mut stored = bench.observer.as_mut().unwrap().store_whole().unwrap().writes;
            let head = stored.get_mut(&RecordKey::HEAD).unwrap().as_mut().unwrap();
            let at = head.windows(context.len()).position(|part| part == context).unwrap();
            head[at + 2..at + 4].copy_from_slice(&code.to_be_bytes());
            let stored = stored.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let opened = PublicGroup::open(provider, config(), 1, &stored).map(drop);
            assert_eq!(opened.unwrap_err(), Usage::UnknownCipherSuite.into());
        }
        let honest = group_info(&bench, &made, |_| {});
        let mut welcome = made.welcome(suite(1), &honest, &SecretParts::default(), rng);
        welcome.cipher_suite = CipherSuite(code);
        let welcome = MlsMessage::Welcome(welcome).to_bytes();
        let options = JoinOptions::new(std::slice::from_ref(&bundle));
        let joined = Group::join(suite(1), &welcome, &options, config(), &now(), rng).map(drop);
        assert_eq!(joined, Err(Rule::WelcomeCipherSuite.into()));
        let mut package = bundle.key_package.clone();
        package.cipher_suite = CipherSuite(code);
        let package = keyroom_insider::resigned(package, &client, rng);
        commit_is_refused(&mut bench, &package, Rule::KeyPackageCipherSuite);
    }
    bench.goes_on();
}

#[test]
fn row_033_no_more_is_exported_than_the_kdf_can_give() {
    let refused = Some(CryptoError::OutputTooLong);
    for suite in all() {
        let most = (255 * suite.kdf().output_len()).min(65_535);
        let secret = vec![3; suite.kdf().output_len()];
        let expand = |length| labels::expand_with_label(suite, &secret, "label", b"", length);
        assert_eq!(expand(most).unwrap().len(), most);
        for length in [most + 1, 65_536, 65_536 + 32, 1 << 20] {
            assert_eq!(expand(length).err(), refused);
        }
        assert_eq!(suite.kdf().expand(&secret, &[], &mut vec![0; 255 * secret.len() + 1]).err(), refused);
    }
    let bench = Bench::open();
    let group = &bench.members[0].group;
    assert_eq!(group.export("label", b"", 255 * 32).unwrap().len(), 255 * 32);
    assert_eq!(group.export("label", b"", 0).unwrap().len(), 0);
    for length in [255 * 32 + 1, 65_536, 65_536 + 16, usize::MAX] {
        assert_eq!(group.export("label", b"", length).err(), Some(Error::Crypto(CryptoError::OutputTooLong)));
    }
}

#[test]
fn a_joiner_reads_what_the_honest_insider_makes() {
    let mut bench = Bench::open();
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let info = group_info(&bench, &made, |_| {});
    assert_eq!(verdicts(&bench, &made, &gina, info), [Ok(()), Ok(()), Ok(())]);
}
