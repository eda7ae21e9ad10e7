//! What the peers offer beyond RFC 9420, measured. OpenMLS 0.9.2 comes closest: it has eight of the
//! eleven suites of draft-ietf-mls-pq-ciphersuites. Its HPKE and its signatures are the drafts', but
//! its `DeriveKeyPair` is that of an earlier draft, which hashes the key material without a label. In
//! MLS every key of a parent node comes out of that function, so that no member could follow a
//! commit of the other side. mls-rs 0.57 has four suites of its own, which no draft has.

use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{CodePoints, Provider, Secret, Suite, SuiteName, SuiteTable, Suites};
use keyroom_wire::HpkeCiphertext;
use openmls::prelude::{Ciphersuite, OpenMlsCrypto};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::types;

static TABLE: SuiteTable = keyroom_rustcrypto::suites(&CodePoints::OPENMLS);
static KEYROOM: Suites = Suites::new(&TABLE);

/// The post-quantum suites that OpenMLS has, each as both have it.
fn suites() -> Vec<(&'static dyn Suite, Ciphersuite)> {
    let numbers = SuiteName::ALL.into_iter().filter(|name| name.is_post_quantum());
    let numbers = numbers.filter_map(|name| CodePoints::OPENMLS.number(name));
    let both: Vec<_> =
        numbers.map(|number| (KEYROOM.suite(number).unwrap(), Ciphersuite::try_from(number.0).unwrap())).collect();
    assert_eq!(both.len(), 8);
    both
}

#[test]
fn openmls_names_the_same_suite_by_the_same_number() {
    for (suite, theirs) in suites() {
        let name = CodePoints::OPENMLS.name(suite.cipher_suite()).unwrap();
        assert_eq!(format!("{theirs:?}"), name.name());
        assert_eq!(RustCrypto::default().supports(theirs), Ok(()));
    }
}

#[test]
fn openmls_opens_what_keyroom_sealed_and_the_other_way_round() {
    let crypto = RustCrypto::default();
    for (suite, theirs) in suites() {
        let info = Info::base(suite, b"info");
        let config = || theirs.hpke_config();

        let their_pair = crypto.derive_hpke_keypair(config(), &[7; 64]).unwrap();
        assert_eq!(suite.kem().public_key(&their_pair.private).unwrap().as_slice(), &*their_pair.public);
        let randomness = Secret::random(suite.kem().randomness_len(), &mut keyroom_vectors::rng(1));
        let sealed = hpke::seal(suite, &info, &their_pair.public, &randomness, b"aad", b"from keyroom").unwrap();
        let sealed = types::HpkeCiphertext {
            kem_output: sealed.kem_output.as_slice().into(),
            ciphertext: sealed.ciphertext.as_slice().into(),
        };
        let opened = crypto.hpke_open(config(), &sealed, &their_pair.private, b"info", b"aad").unwrap();
        assert_eq!(opened, b"from keyroom");

        let our_pair = suite.kem().derive_key_pair(b"a pair of keys").unwrap();
        let sealed = crypto.hpke_seal(config(), our_pair.public.as_slice(), b"info", b"aad", b"from openmls").unwrap();
        let sealed = HpkeCiphertext {
            kem_output: sealed.kem_output.as_slice().into(),
            ciphertext: sealed.ciphertext.as_slice().into(),
        };
        let opened = hpke::open(suite, &info, our_pair.private.expose(), b"aad", &sealed).unwrap();
        assert_eq!(**opened, *b"from openmls");
    }
}

#[test]
fn openmls_verifies_what_keyroom_signed_and_the_other_way_round() {
    let crypto = RustCrypto::default();
    for (suite, theirs) in suites() {
        let scheme = theirs.signature_algorithm();
        let mut rng = keyroom_vectors::rng(2);
        let private = suite.generate_signature_key(&mut rng).unwrap();
        let signer = suite.signer(private.expose()).unwrap();
        let signature = signer.sign(b"message", &mut rng).unwrap();
        crypto.verify_signature(scheme, b"message", signer.public_key().as_slice(), signature.as_slice()).unwrap();

        let (private, public) = crypto.signature_key_gen(scheme).unwrap();
        let signature = crypto.sign(scheme, b"message", &private).unwrap();
        suite.verify(&public, b"message", &signature).unwrap();
        assert_eq!(suite.signer(&private).unwrap().public_key().as_slice(), &*public);
    }
}

/// When this fails, OpenMLS has moved to the draft, and the suites belong into the scenarios.
#[test]
fn openmls_derives_other_keys_than_the_draft_so_that_no_group_can_be_shared() {
    let crypto = RustCrypto::default();
    for (suite, theirs) in suites() {
        let ikm = [7; 64];
        let pair = crypto.derive_hpke_keypair(theirs.hpke_config(), &ikm).unwrap();
        assert_ne!(suite.kem().derive_key_pair(&ikm).unwrap().public.as_slice(), &*pair.public);
    }
}
