//! The cipher suites of Messaging Layer Security on aws-lc-rs, the fastest on native platforms.
//!
//! [`AWSLC`] offers the suites 1, 2, 3, 5 and 7 of RFC 9420. The library has neither X448 nor Ed448,
//! which suites 4 and 6 need, and it does not make ML-KEM keys from seeds, which the private keys of
//! the post-quantum suites are: for these the answer is
//! [`NoSuite::Lacking`](keyroom_crypto::NoSuite), and [`Fallback`](keyroom_crypto::Fallback) puts
//! another provider behind this one.
//!
//! * **Randomness.** ECDSA signatures (suites 2, 5 and 7) take their nonces from the library's own
//!   generator: the `rng` given to [`Signer::sign`](keyroom_crypto::Signer::sign) is not used, two
//!   signatures of one message differ, and a run cannot be replayed from a seed. Everything else is
//!   a function of its input.
//! * **Hashes.** SHA-2, HMAC and HKDF are those of [`keyroom_crypto::sha2`]: a key schedule is made of
//!   short inputs, for which they take half the time.
//! * **Threads.** From six jobs on, [`Suite::seal_many`](keyroom_crypto::Suite::seal_many) and
//!   [`Suite::verify_many`](keyroom_crypto::Suite::verify_many) use rayon's threads, of which there is
//!   one per core unless the application says otherwise. Results and errors are those of the
//!   sequential order.
//!
//! ```
//! use keyroom_awslc::AWSLC;
//! use keyroom_crypto::{Provider, hpke};
//! use keyroom_wire::CipherSuite;
//!
//! let suite = AWSLC.suite(CipherSuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384).unwrap();
//! let recipient = suite.kem().derive_key_pair(&[7; 48])?;
//! let info = hpke::Info::base(suite, b"example");
//! let randomness = keyroom_crypto::Secret::copy_of(&[9; 48]); // from a generator, in earnest
//! let sealed = hpke::seal(suite, &info, recipient.public.as_slice(), &randomness, b"", b"text")?;
//! let opened = hpke::open(suite, &info, recipient.private.expose(), b"", &sealed)?;
//! assert_eq!(opened.as_slice(), b"text");
//! # Ok::<(), keyroom_crypto::CryptoError>(())
//! ```

mod aead;
mod ecdsa;
mod eddsa;
mod group;
mod suites;
mod threads;

use keyroom_crypto::{CodePoints, SuiteTable, Suites};

/// The aws-lc-rs provider, with the numbers of [`CodePoints::DEFAULT`].
pub static AWSLC: Suites = Suites::new(&DEFAULT);

static DEFAULT: SuiteTable = suites(&CodePoints::DEFAULT);

/// The suites under other numbers, for a provider of one's own.
///
/// ```
/// use keyroom_crypto::{CodePoints, SuiteTable, Suites};
///
/// static SUITES: SuiteTable = keyroom_awslc::suites(&CodePoints::OPENMLS);
/// static PROVIDER: Suites = Suites::new(&SUITES);
/// ```
pub const fn suites(code_points: &CodePoints) -> SuiteTable {
    suites::PRIMITIVES.suites(code_points)
}
