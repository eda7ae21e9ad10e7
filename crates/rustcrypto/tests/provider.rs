//! The vectors and the conformance suite, on the pure-Rust provider.

keyroom_vectors::provider_tests!(keyroom_rustcrypto::RUSTCRYPTO);
