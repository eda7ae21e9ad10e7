//! Which credentials are believed, and which are not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_api::DeviceUri;
use keyroom_authority::{
    Authorities, AuthorityError, CredentialError, Files, IssueError, Issuer, Lapse, OpenError, Revoked, Serial,
    Validity, Verified, device_of,
};
use keyroom_crypto::{Provider as _, Suite};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, Credential, Opaque};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;
const WEEK: Validity = Validity { not_before: NOW, not_after: NOW + 7 * DAY };
const DECADE: Validity = Validity { not_before: NOW - DAY, not_after: NOW + 3650 * DAY };

fn device(name: &str) -> DeviceUri {
    format!("mimi://example.org/d/{name}").parse().unwrap()
}

fn suite(number: u16) -> &'static dyn Suite {
    RUSTCRYPTO.suite(CipherSuite(number)).unwrap()
}

/// A signature public key of this suite.
fn key(suite: &dyn Suite, seed: u64) -> Vec<u8> {
    let private = suite.generate_signature_key(&mut StdRng::seed_from_u64(seed)).unwrap();
    suite.signer(private.expose()).unwrap().public_key().as_slice().to_vec()
}

fn serial(number: u8) -> Serial {
    Serial::new([number; 16])
}

struct Scene {
    issuer: Issuer,
    authorities: Authorities,
    key: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let files = Issuer::create("Authority of example.org", DECADE).unwrap();
        let issuer = Issuer::open(&files).unwrap();
        let authorities = Authorities::new(&RUSTCRYPTO, [issuer.certificate()]).unwrap();
        Self { issuer, authorities, key: key(suite(1), 1) }
    }

    fn credential(&self) -> Credential {
        self.issuer.issue(&device("alice/phone"), &self.key, serial(1), WEEK).unwrap()
    }

    fn verify(&self, credential: &Credential) -> Result<Verified, CredentialError> {
        self.authorities.verify(credential, &self.key, NOW + DAY)
    }
}

fn certificates(credential: &Credential) -> Vec<Opaque> {
    let Credential::X509 { certificates } = credential else { panic!("no chain") };
    certificates.clone()
}

fn chain(certificates: impl IntoIterator<Item = Vec<u8>>) -> Credential {
    Credential::X509 { certificates: certificates.into_iter().map(Opaque::from).collect() }
}

#[test]
fn a_certificate_says_whose_a_key_is_in_every_suite_but_those_with_ed448() {
    let scene = Scene::new();
    for suite in RUSTCRYPTO.suites() {
        let key = key(suite, 3);
        let issued = scene.issuer.issue(&device("alice/phone"), &key, serial(2), WEEK);
        if [4, 6].contains(&suite.cipher_suite().0) {
            assert_eq!(issued, Err(IssueError::UnsupportedKey));
            continue;
        }
        let credential = issued.unwrap();
        assert_eq!(device_of(&credential), Some(device("alice/phone")));
        let verified = scene.authorities.verify_device(&credential, &key, &device("alice/phone"), NOW + DAY).unwrap();
        assert_eq!((verified.lapse, verified.identity.signature_key), (None, key), "{:?}", suite.cipher_suite());
        assert_eq!((verified.identity.not_before, verified.identity.not_after), (WEEK.not_before, WEEK.not_after));
    }
}

#[test]
fn two_credentials_are_the_same_client_if_they_name_one_device() {
    let scene = Scene::new();
    let identity = |name: &str, seed| {
        let key = key(suite(1), seed);
        let credential = scene.issuer.issue(&device(name), &key, serial(9), WEEK).unwrap();
        scene.authorities.verify(&credential, &key, NOW).unwrap().identity
    };
    let (old, renewed) = (identity("alice/phone", 1), identity("alice/phone", 2));
    assert!(old.is_same_client(&renewed));
    assert!(!old.is_same_client(&identity("alice/laptop", 1)));
    assert!(!old.is_same_client(&identity("eve/phone", 1)));
}

#[test]
fn another_devices_certificate_and_another_keys_are_refused() {
    let scene = Scene::new();
    let credential = scene.credential();
    let verify = |key: &[u8], name: &str| scene.authorities.verify_device(&credential, key, &device(name), NOW);
    assert_eq!(verify(&scene.key, "eve/phone"), Err(CredentialError::OtherDevice));
    assert_eq!(verify(&key(suite(1), 2), "alice/phone"), Err(CredentialError::OtherKey));
    assert_eq!(verify(&key(suite(2), 2), "alice/phone"), Err(CredentialError::OtherKey));
    assert_eq!(verify(&[], "alice/phone"), Err(CredentialError::OtherKey));
}

#[test]
fn time_decides_nothing_but_is_said() {
    let scene = Scene::new();
    let credential = scene.credential();
    let lapse = |now| scene.authorities.verify(&credential, &scene.key, now).unwrap().lapse;
    assert_eq!(lapse(WEEK.not_before - 1), Some(Lapse::NotYetValid { not_before: WEEK.not_before }));
    assert_eq!((lapse(WEEK.not_before), lapse(WEEK.not_after)), (None, None));
    assert_eq!(lapse(WEEK.not_after + 1), Some(Lapse::Expired { not_after: WEEK.not_after }));
    assert_eq!(lapse(0), Some(Lapse::NotYetValid { not_before: WEEK.not_before }));
    assert_eq!(lapse(u64::MAX), Some(Lapse::Expired { not_after: WEEK.not_after }));
}

#[test]
fn what_was_revoked_is_said_to_be_and_lists_only_go_forward() {
    let mut scene = Scene::new();
    let credential = scene.credential();
    let day = Validity { not_before: NOW, not_after: NOW + DAY };
    let list = |number, revoked: Vec<Revoked>| scene.issuer.revocations(number, revoked, day).unwrap();
    let (none, one) = (list(255, vec![]), list(256, vec![Revoked { serial: serial(1), at: NOW }]));
    let other = list(257, vec![Revoked { serial: serial(7), at: NOW }]);
    assert_eq!(scene.authorities.revoke(&one, NOW + DAY + 1), Err(AuthorityError::Expired { next_update: NOW + DAY }));
    assert_eq!(scene.authorities.revoke(&none, NOW), Ok(()));
    assert_eq!(scene.verify(&credential).unwrap().lapse, None);
    assert_eq!(scene.authorities.revoke(&one, NOW), Ok(()));
    assert_eq!(scene.verify(&credential).unwrap().lapse, Some(Lapse::Revoked));
    // A server cannot take a revocation back by showing what it showed before.
    assert_eq!(scene.authorities.revoke(&none, NOW), Err(AuthorityError::Older));
    assert_eq!(scene.verify(&credential).unwrap().lapse, Some(Lapse::Revoked));
    assert_eq!(scene.authorities.revoke(&other, NOW), Ok(()));
    assert_eq!(scene.verify(&credential).unwrap().lapse, None);
}

#[test]
fn a_list_of_somebody_else_changes_nothing() {
    let mut scene = Scene::new();
    let stranger = Issuer::open(&Issuer::create("Authority of example.org", DECADE).unwrap()).unwrap();
    let list = stranger.revocations(1, [Revoked { serial: serial(1), at: NOW }], WEEK).unwrap();
    assert_eq!(scene.authorities.revoke(&list, NOW), Err(AuthorityError::UnknownAuthority));
    let own = scene.issuer.revocations(1, [Revoked { serial: serial(1), at: NOW }], WEEK).unwrap();
    for place in 0..own.len() {
        let mut spoilt = own.clone();
        spoilt[place] ^= 1;
        assert!(scene.authorities.revoke(&spoilt, NOW).is_err(), "byte {place}");
        assert!(scene.authorities.revoke(&own[..place], NOW).is_err(), "cut at {place}");
    }
    assert_eq!(scene.verify(&scene.credential()).unwrap().lapse, None);
}

#[test]
fn a_stranger_is_no_authority_whatever_its_name() {
    let scene = Scene::new();
    for name in ["Authority of example.org", "Eve"] {
        let stranger = Issuer::open(&Issuer::create(name, DECADE).unwrap()).unwrap();
        let credential = stranger.issue(&device("alice/phone"), &scene.key, serial(1), WEEK).unwrap();
        // One of the same name is a change of the authority's key that nobody was told.
        let expected = if name == "Eve" { CredentialError::UnknownAuthority } else { CredentialError::Signature };
        assert_eq!(scene.verify(&credential), Err(expected), "{name}");
    }
}

#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    let scene = Scene::new();
    let der = certificates(&scene.credential())[0].as_slice().to_vec();
    for place in 0..der.len() {
        let mut spoilt = der.clone();
        spoilt[place] ^= 1 << (place % 8);
        assert!(scene.verify(&chain([spoilt])).is_err(), "byte {place}");
        assert!(scene.verify(&chain([der[..place].to_vec()])).is_err(), "cut at {place}");
    }
    assert!(scene.verify(&chain([der])).is_ok());
}

#[test]
fn what_is_no_chain_is_refused() {
    let scene = Scene::new();
    let own = certificates(&scene.credential())[0].as_slice().to_vec();
    assert_eq!(scene.verify(&Credential::basic(b"alice")), Err(CredentialError::NotX509));
    assert_eq!(scene.verify(&chain([])), Err(CredentialError::Empty));
    let long = CredentialError::TooLong { count: 5, most: 4 };
    assert_eq!(scene.verify(&chain(vec![own.clone(); 5])), Err(long));
    assert_eq!(scene.verify(&chain([own.clone(), vec![0x30]])), Err(CredentialError::Malformed { index: 1 }));
    assert_eq!(scene.verify(&chain([own.clone(), own])), Err(CredentialError::OutOfOrder));
}

/// A key that certificates are made for by hand.
struct Raw(Vec<u8>);

impl PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

/// A trusted root, of which certificates are made by hand.
struct Hand {
    key: KeyPair,
    params: CertificateParams,
    authorities: Authorities,
    device_key: Vec<u8>,
}

impl Hand {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = authority("Root", BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let authorities = Authorities::new(&RUSTCRYPTO, [root.der().as_ref()]).unwrap();
        Self { key, params, authorities, device_key: self::key(suite(1), 1) }
    }

    fn issuer(&self) -> rcgen::Issuer<'_, &KeyPair> {
        rcgen::Issuer::from_params(&self.params, &self.key)
    }

    fn judge(&self, params: &CertificateParams) -> Result<(), CredentialError> {
        let leaf = params.signed_by(&Raw(self.device_key.clone()), &self.issuer()).unwrap();
        self.judge_chain([leaf.der().to_vec()])
    }

    fn judge_chain(&self, certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<(), CredentialError> {
        self.authorities.verify(&chain(certificates), &self.device_key, NOW).map(|verified| {
            assert_eq!(verified.lapse, None);
        })
    }
}

fn authority(name: &str, constraints: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![uri("mimi://example.org/d/alice/phone")];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40])];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn a_leaf_names_one_device_and_is_for_messages() {
    let hand = Hand::new();
    assert_eq!(hand.judge(&leaf()), Ok(()));
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        params
    };
    let alice = || uri("mimi://example.org/d/alice/phone");
    for bad in [
        vec![],
        vec![alice(), alice()],
        vec![alice(), uri("mimi://example.org/d/eve/phone")],
        vec![uri("mimi://example.org/u/alice")],
        vec![uri("https://example.org")],
        vec![SanType::DnsName("example.org".try_into().unwrap())],
    ] {
        assert_eq!(hand.judge(&with(&|params| params.subject_alt_names = bad.clone())), Err(CredentialError::NoDevice));
    }
    let (client, any) = (ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Any);
    for bad in [vec![], vec![client], vec![any]] {
        assert_eq!(
            hand.judge(&with(&|params| params.extended_key_usages = bad.clone())),
            Err(CredentialError::OtherUsage)
        );
    }
    let authority = with(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(hand.judge(&authority), Err(CredentialError::Invalid));
}

#[test]
fn a_certificate_signed_by_its_own_key_proves_nothing() {
    let mut hand = Hand::new();
    let own = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = leaf();
    params.distinguished_name.push(DnType::CommonName, "Root");
    let forged = params.self_signed(&own).unwrap();
    hand.device_key = own.public_key_raw().to_vec();
    // It says that it is of the authority; the key is another one.
    assert_eq!(hand.judge_chain([forged.der().to_vec()]), Err(CredentialError::UnsupportedSignature));
    params.distinguished_name = rcgen::DistinguishedName::new();
    let honest = params.self_signed(&own).unwrap();
    assert_eq!(hand.judge_chain([honest.der().to_vec()]), Err(CredentialError::UnknownAuthority));
}

#[test]
fn a_chain_goes_up_to_a_trusted_authority_step_by_step() {
    let hand = Hand::new();
    let middle_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let middle = authority("Middle", BasicConstraints::Constrained(0));
    let middle_der = middle.signed_by(&middle_key, &hand.issuer()).unwrap().der().to_vec();
    let below = rcgen::Issuer::from_params(&middle, &middle_key);
    let leaf_der = leaf().signed_by(&Raw(hand.device_key.clone()), &below).unwrap().der().to_vec();
    assert_eq!(hand.judge_chain([leaf_der.clone(), middle_der.clone()]), Ok(()));
    assert_eq!(hand.judge_chain([leaf_der.clone()]), Err(CredentialError::UnknownAuthority));
    let mut old = middle.clone();
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let old_der = old.signed_by(&middle_key, &hand.issuer()).unwrap().der().to_vec();
    assert_eq!(hand.judge_chain([leaf_der.clone(), old_der]), Err(CredentialError::OutlivesAuthority));
    let mut other = middle.clone();
    other.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let other_der = other.signed_by(&middle_key, &hand.issuer()).unwrap().der().to_vec();
    assert_eq!(hand.judge_chain([leaf_der.clone(), other_der]), Err(CredentialError::OtherUsage));
    assert_eq!(hand.judge_chain([middle_der.clone(), leaf_der.clone()]), Err(CredentialError::NoDevice));
    // What may issue for devices only must not make authorities.
    let low_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let low = authority("Low", BasicConstraints::Unconstrained);
    let low_der = low.signed_by(&low_key, &below).unwrap().der().to_vec();
    let under = rcgen::Issuer::from_params(&low, &low_key);
    let deep = leaf().signed_by(&Raw(hand.device_key.clone()), &under).unwrap().der().to_vec();
    assert!(hand.judge_chain([deep, low_der, middle_der]).is_err());
    // A device is no authority.
    let device = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = leaf();
    params.distinguished_name.push(DnType::CommonName, "Device");
    let device_der = params.signed_by(&device, &hand.issuer()).unwrap().der().to_vec();
    let by_device = rcgen::Issuer::from_params(&params, &device);
    let forged = leaf().signed_by(&Raw(hand.device_key.clone()), &by_device).unwrap().der().to_vec();
    assert_eq!(hand.judge_chain([forged, device_der]), Err(CredentialError::Invalid));
}

#[test]
fn a_trusted_authority_is_trusted_whatever_it_says_of_its_own_time() {
    let files = Issuer::create("Short", Validity { not_before: NOW - 100 * DAY, not_after: NOW - DAY }).unwrap();
    let issuer = Issuer::open(&files).unwrap();
    let authorities = Authorities::new(&RUSTCRYPTO, [issuer.certificate()]).unwrap();
    let key = key(suite(1), 1);
    let credential = issuer.issue(&device("alice/phone"), &key, serial(1), WEEK).unwrap();
    // Who trusts a certificate trusts its key (RFC 5280 §6.1.1); whoever doubts it takes it off the list.
    assert_eq!(authorities.verify(&credential, &key, NOW).unwrap().lapse, None);
}

#[test]
fn an_authority_is_opened_with_its_own_key_only_and_does_not_show_it() {
    let open = |certificates: &str, key: &str| {
        let files = Files { certificates: certificates.into(), key: key.to_owned().into() };
        Issuer::open(&files).map(|issuer| issuer.certificate().to_vec())
    };
    let (one, two) = (Issuer::create("One", DECADE).unwrap(), Issuer::create("Two", DECADE).unwrap());
    assert!(open(&one.certificates, &one.key).is_ok());
    assert_eq!(open(&one.certificates, &two.key), Err(OpenError::OtherKey));
    assert_eq!(open("", &one.key), Err(OpenError::Certificate));
    assert_eq!(open(&one.certificates, ""), Err(OpenError::Key));
    assert_eq!(open(&one.certificates, &one.certificates), Err(OpenError::Key));
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let plain = leaf().self_signed(&pair).unwrap().pem();
    assert_eq!(open(&plain, &pair.serialize_pem()), Err(OpenError::NoAuthority));
    let shown = format!("{one:?} {:?}", Issuer::open(&one).unwrap());
    assert!(!shown.contains("PRIVATE") && !shown.contains(one.key.lines().nth(1).unwrap()));
}

#[test]
fn an_authority_with_a_key_from_elsewhere_issues_too() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P521_SHA512] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = authority("Given", BasicConstraints::Unconstrained).self_signed(&key).unwrap();
        let files = Files { certificates: certificate.pem(), key: key.serialize_pem().into() };
        let issuer = Issuer::open(&files).unwrap();
        let mut authorities = Authorities::new(&RUSTCRYPTO, [issuer.certificate()]).unwrap();
        let device_key = self::key(suite(1), 1);
        let credential = issuer.issue(&device("alice/phone"), &device_key, serial(1), WEEK).unwrap();
        assert_eq!(authorities.verify(&credential, &device_key, NOW).unwrap().lapse, None);
        let list = issuer.revocations(1, [Revoked { serial: serial(1), at: NOW }], WEEK).unwrap();
        assert_eq!(authorities.revoke(&list, NOW), Ok(()));
        assert_eq!(authorities.verify(&credential, &device_key, NOW).unwrap().lapse, Some(Lapse::Revoked));
    }
}

#[test]
fn times_that_certificates_cannot_name_are_refused() {
    let scene = Scene::new();
    let issue = |validity| scene.issuer.issue(&device("alice/phone"), &scene.key, serial(1), validity);
    let backwards = Validity { not_before: NOW, not_after: NOW - 1 };
    for bad in [backwards, Validity { not_before: NOW, not_after: u64::MAX }] {
        assert_eq!(issue(bad), Err(IssueError::Time));
    }
}
