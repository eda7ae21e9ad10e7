//! The cipher suites of Messaging Layer Security on aws-lc-rs, the fastest on native platforms.
//!
//! [`AWSLC`] offers the suites 1, 2, 3, 5 and 7.
//!
//! * **Randomness.** ECDSA signatures (suites 2, 5 and 7) take their nonces from the library's own
//!   generator: the `rng` given to [`Signer::sign`](keyroom_crypto::Signer::sign) is not used, two
//!   signatures of one message differ, and a run cannot be replayed from a seed. Everything else is
//!   a function of its input.
//! * **Threads.** [`Suite::seal_many`] from 16 jobs and [`Suite::verify_many`] from 64 jobs start
//!   one thread per available core for the time of the call. Results and errors are those of the
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
mod hash;
mod suites;
mod threads;

use keyroom_crypto::{Provider, Suite};

/// The aws-lc-rs provider.
pub static AWSLC: AwsLc = AwsLc(());

/// Type of [`AWSLC`].
#[derive(Debug)]
pub struct AwsLc(());

impl Provider for AwsLc {
    fn suites(&self) -> &[&'static dyn Suite] {
        &suites::ALL
    }
}
