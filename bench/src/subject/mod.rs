//! One client of one implementation, as the measurements see it.

mod keyroom;
mod mls_rs;
mod openmls;

use std::time::{Duration, Instant};

/// What is measured: an implementation on a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    KeyroomAwsLc,
    KeyroomRustCrypto,
    MlsRsAwsLc,
    MlsRsRustCrypto,
    OpenMls,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::KeyroomAwsLc, Self::KeyroomRustCrypto, Self::MlsRsAwsLc, Self::MlsRsRustCrypto, Self::OpenMls];

    pub fn name(self) -> &'static str {
        match self {
            Self::KeyroomAwsLc => "keyroom aws-lc",
            Self::KeyroomRustCrypto => "keyroom rustcrypto",
            Self::MlsRsAwsLc => "mls-rs aws-lc",
            Self::MlsRsRustCrypto => "mls-rs rustcrypto",
            Self::OpenMls => "openmls rustcrypto",
        }
    }

    /// Whether it is one of the others.
    pub fn is_peer(self) -> bool {
        !matches!(self, Self::KeyroomAwsLc | Self::KeyroomRustCrypto)
    }

    /// A client outside any group.
    pub fn client(self, name: &str) -> Box<dyn Subject> {
        match self {
            Self::KeyroomAwsLc => keyroom::client(&keyroom_awslc::AWSLC, name),
            Self::KeyroomRustCrypto => keyroom::client(&keyroom_rustcrypto::RUSTCRYPTO, name),
            Self::MlsRsAwsLc => mls_rs::client(mls_rs_crypto_awslc::AwsLcCryptoProvider::new(), name),
            Self::MlsRsRustCrypto => mls_rs::client(mls_rs_crypto_rustcrypto::RustCryptoProvider::new(), name),
            Self::OpenMls => openmls::client(name),
        }
    }
}

/// What one operation cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// The operation itself.
    pub work: Duration,
    /// Writing the new state to a store in memory, where the implementation lets the two be told apart.
    pub store: Duration,
    /// Bytes written.
    pub bytes: usize,
}

/// Runs and takes the time.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}

/// After each operation the new state has been written to a store in memory.
pub trait Subject {
    /// An encoded MLSMessage.
    fn key_package(&mut self) -> Vec<u8>;
    /// Founds a group and adds all these clients in one commit with one Welcome, the tree inside.
    fn create(&mut self, key_packages: &[Vec<u8>]) -> Cost;
    fn join(&mut self, welcome: &[u8]) -> Cost;
    /// A commit with new keys and nothing else, made and applied.
    fn commit(&mut self) -> (Vec<u8>, Cost);
    /// Reads a commit and applies it.
    fn process(&mut self, message: &[u8]) -> Cost;
    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost);
    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost;
    fn epoch_authenticator(&self) -> Vec<u8>;
}

/// The suite of all measurements: MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519.
pub const SUITE: u16 = 1;

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs()
}
