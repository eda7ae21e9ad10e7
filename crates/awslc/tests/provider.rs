//! The vectors and the conformance suite, on the aws-lc-rs provider, and both providers together.

keyroom_vectors::provider_tests!(keyroom_awslc::AWSLC);

#[test]
fn agrees_with_the_pure_rust_provider() {
    let (one, other) = (&keyroom_awslc::AWSLC, &keyroom_rustcrypto::RUSTCRYPTO);
    keyroom_vectors::conformance::each_opens_and_verifies_what_the_other_made(one, other);
}
