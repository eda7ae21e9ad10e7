//! One client of one implementation, as the measurements see it.

mod keyroom;
mod mls_rs;
mod mls_rs_storage;
mod openmls;
mod openmls_storage;
mod records;

use std::path::Path;
use std::time::{Duration, Instant};

/// What is measured: an implementation on a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ours on aws-lc, whose figures the targets are about.
    KeyroomAwsLc,
    /// Ours in pure Rust.
    KeyroomRustCrypto,
    /// mls-rs on aws-lc.
    MlsRsAwsLc,
    /// mls-rs in pure Rust.
    MlsRsRustCrypto,
    /// OpenMLS in pure Rust.
    OpenMlsRustCrypto,
    /// OpenMLS on libcrux.
    OpenMlsLibcrux,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::KeyroomAwsLc,
        Self::KeyroomRustCrypto,
        Self::MlsRsAwsLc,
        Self::MlsRsRustCrypto,
        Self::OpenMlsRustCrypto,
        Self::OpenMlsLibcrux,
    ];

    /// Those that the targets compare with.
    pub const PEERS: [Self; 2] = [Self::MlsRsAwsLc, Self::OpenMlsRustCrypto];

    /// Its name, in two words.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyroomAwsLc => "keyroom aws-lc",
            Self::KeyroomRustCrypto => "keyroom rustcrypto",
            Self::MlsRsAwsLc => "mls-rs aws-lc",
            Self::MlsRsRustCrypto => "mls-rs rustcrypto",
            Self::OpenMlsRustCrypto => "openmls rustcrypto",
            Self::OpenMlsLibcrux => "openmls libcrux",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A client outside any group.
    pub fn client(self, name: &str, storage: Storage<'_>) -> Box<dyn Subject> {
        match self {
            Self::KeyroomAwsLc => keyroom::client(&keyroom_awslc::AWSLC, name, storage),
            Self::KeyroomRustCrypto => keyroom::client(&keyroom_rustcrypto::RUSTCRYPTO, name, storage),
            Self::MlsRsAwsLc => mls_rs::client(mls_rs_crypto_awslc::AwsLcCryptoProvider::new(), name, storage),
            Self::MlsRsRustCrypto => mls_rs::client(mls_rs_crypto_rustcrypto::RustCryptoProvider::new(), name, storage),
            Self::OpenMlsRustCrypto => openmls::client(openmls_rust_crypto::RustCrypto::default(), name, storage),
            Self::OpenMlsLibcrux => openmls::client(libcrux(), name, storage),
        }
    }

    /// Opens the group that [`Subject::close`] has left in a file, and loads all of it. What `opened`
    /// returns is taken between opening the file and loading; it is returned with what was loaded.
    pub fn load<T>(self, path: &Path, opened: impl FnOnce() -> T) -> (T, Box<dyn std::any::Any>) {
        match self {
            Self::KeyroomAwsLc => keyroom::load(&keyroom_awslc::AWSLC, path, opened),
            Self::KeyroomRustCrypto => keyroom::load(&keyroom_rustcrypto::RUSTCRYPTO, path, opened),
            Self::MlsRsAwsLc => mls_rs::load(mls_rs_crypto_awslc::AwsLcCryptoProvider::new(), path, opened),
            Self::MlsRsRustCrypto => mls_rs::load(mls_rs_crypto_rustcrypto::RustCryptoProvider::new(), path, opened),
            Self::OpenMlsRustCrypto | Self::OpenMlsLibcrux => openmls::load(path, opened),
        }
    }
}

fn libcrux() -> openmls_libcrux_crypto::CryptoProvider {
    openmls_libcrux_crypto::CryptoProvider::new().expect("entropy from the operating system")
}

/// Where a client keeps its state.
#[derive(Clone, Copy, Debug)]
pub enum Storage<'a> {
    /// In memory.
    Memory,
    /// In a SQLite file: write-ahead log, synchronous=FULL.
    Sqlite(&'a Path),
}

/// What one operation cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// The operation itself. OpenMLS stores while it works: its storage is in here.
    pub work: Duration,
    /// Handing the new state to the store.
    pub store: Duration,
    /// Keys and values handed to the store, in bytes, where that was counted.
    pub bytes: Option<usize>,
}

/// Runs and takes the time.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}

/// After each operation the new state is in the store.
pub trait Subject {
    /// A new key package, an encoded MLSMessage.
    fn key_package(&mut self) -> (Vec<u8>, Cost);
    /// Founds a group and adds all these clients in one commit with new keys and one Welcome, the
    /// tree inside. Returns the Welcome.
    fn create(&mut self, key_packages: &[Vec<u8>]) -> (Vec<u8>, Cost);
    /// Joins by a Welcome that has the tree inside.
    fn join(&mut self, welcome: &[u8]) -> Cost;
    /// A commit, made and applied, without a GroupInfo.
    fn commit(&mut self, change: Change<'_>) -> (Vec<u8>, Cost);
    /// Reads a commit and applies it.
    fn receive(&mut self, message: &[u8]) -> Cost;
    /// Sends a message.
    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost);
    /// Reads a message, which must hold this.
    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost;
    /// Reads messages that have waited, each holding this; what they change is stored at the end in
    /// one transaction where the implementation allows it.
    fn backlog(&mut self, messages: &[Vec<u8>], expected: &[u8]) -> Cost;
    /// Forgets the group, opens it from the store and reads a message, which must hold this.
    fn open(&mut self, message: &[u8], expected: &[u8]) -> Cost;
    /// Counts the bytes of the next operation. Where that takes looking at the whole state, its time is
    /// not representative.
    fn count_bytes(&mut self) {}
    /// Size of the stored state in bytes, keys and values; only in memory.
    fn state(&self) -> Option<usize>;
    /// What all members have in common.
    fn epoch_authenticator(&self) -> Vec<u8>;
    /// Closes the file, and leaves what [`Kind::load`] needs.
    fn close(self: Box<Self>);
}

/// What a commit changes beside the keys of its committer.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Nothing.
    Keys,
    /// One client comes in, by a Welcome without the tree.
    Add(&'a [u8]),
    /// One member leaves.
    Remove(u32),
}

/// The suite of all measurements: MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519.
pub const SUITE: u16 = 1;

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// The group of those who have founded it themselves.
pub const ROOM: &[u8] = b"room";

/// Where [`Subject::close`] writes the id of the group.
fn group_file(path: &Path) -> std::path::PathBuf {
    path.with_extension("group")
}
