//! The vectors and the conformance suite, on the aws-lc-rs provider, and both providers together.

keyroom_vectors::provider_tests!(keyroom_awslc::AWSLC);

#[test]
fn agrees_with_the_pure_rust_provider() {
    let (one, other) = (&keyroom_awslc::AWSLC, &keyroom_rustcrypto::RUSTCRYPTO);
    keyroom_vectors::conformance::each_opens_and_verifies_what_the_other_made(one, other);
}

#[test]
fn suites_that_the_library_lacks_are_told_from_numbers_that_nobody_knows() {
    use keyroom_crypto::{CodePoints, NoSuite, Provider, SuiteName};
    use keyroom_wire::CipherSuite;

    let offered = [
        SuiteName::X25519Aes128Ed25519,
        SuiteName::X25519ChaChaEd25519,
        SuiteName::P256Aes128P256,
        SuiteName::P384Aes256P384,
        SuiteName::P521Aes256P521,
    ];
    for name in SuiteName::ALL {
        let number = CodePoints::DEFAULT.number(name).unwrap();
        let answer = keyroom_awslc::AWSLC.suite(number).map(|suite| suite.cipher_suite());
        assert_eq!(answer, if offered.contains(&name) { Ok(number) } else { Err(NoSuite::Lacking(name)) });
    }
    let unknown = CipherSuite(0xfefe);
    assert_eq!(keyroom_awslc::AWSLC.suite(unknown).err(), Some(NoSuite::Unknown(unknown)));
    assert_eq!(keyroom_awslc::AWSLC.suites().len(), offered.len());
}

#[test]
fn another_provider_fills_the_gaps() {
    use keyroom_crypto::{Fallback, NoSuite, Provider, SuiteName};
    use keyroom_wire::CipherSuite;

    let both = Fallback::new(&keyroom_awslc::AWSLC, &keyroom_rustcrypto::RUSTCRYPTO);
    let suites = both.suites();
    assert_eq!(suites.len(), SuiteName::COUNT);
    for suite in suites {
        assert_eq!(both.suite(suite.cipher_suite()).unwrap().cipher_suite(), suite.cipher_suite());
    }
    // The first is asked first: its suites are the fast ones.
    let of = |provider: &dyn Provider| format!("{:?}", provider.suite(CipherSuite(2)).unwrap());
    assert_eq!(of(&both), of(&keyroom_awslc::AWSLC));
    assert_ne!(of(&both), of(&keyroom_rustcrypto::RUSTCRYPTO));
    let unknown = CipherSuite(0xfefe);
    assert_eq!(both.suite(unknown).err(), Some(NoSuite::Unknown(unknown)));
}
