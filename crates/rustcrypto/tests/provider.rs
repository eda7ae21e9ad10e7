//! The vectors and the conformance suite, on the pure-Rust provider.

keyroom_vectors::provider_tests!(keyroom_rustcrypto::RUSTCRYPTO);

#[test]
fn every_suite_is_there_under_the_numbers_of_the_map() {
    use keyroom_crypto::{CodePoints, NoSuite, Provider, SuiteName, SuiteTable, Suites};
    use keyroom_rustcrypto::RUSTCRYPTO;

    static TABLE: SuiteTable = keyroom_rustcrypto::suites(&CodePoints::OPENMLS);
    static OPENMLS: Suites = Suites::new(&TABLE);

    assert_eq!(RUSTCRYPTO.suites().len(), SuiteName::COUNT);
    for name in SuiteName::ALL {
        let number = CodePoints::DEFAULT.number(name).unwrap();
        let suite = RUSTCRYPTO.suite(number).unwrap();
        assert_eq!(suite.cipher_suite(), number);
        // Under another map the same suite has another number, and its own means nothing.
        if let Some(other) = CodePoints::OPENMLS.number(name) {
            let same = OPENMLS.suite(other).unwrap();
            let ids = |suite: &dyn keyroom_crypto::Suite| (suite.kem().id(), suite.hpke_kdf_id(), suite.hpke_aead_id());
            assert_eq!((same.cipher_suite(), ids(same)), (other, ids(suite)));
        }
        if name.is_post_quantum() {
            assert_eq!(OPENMLS.suite(number).err(), Some(NoSuite::Unknown(number)));
        }
    }
}
