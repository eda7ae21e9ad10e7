use alloc::vec::Vec;
use core::fmt::{self, Debug};

use keyroom_wire::CipherSuite;

use crate::{Suite, SuiteName};

/// The cipher suites that a provider crate offers.
pub trait Provider: Send + Sync + Debug {
    /// All of them, in the order of preference.
    fn suites(&self) -> Vec<&'static dyn Suite>;

    /// The one with this code point.
    ///
    /// # Errors
    /// [`NoSuite`] says whether the provider lacks the suite or nobody knows the number.
    fn suite(&self, cipher_suite: CipherSuite) -> Result<&'static dyn Suite, NoSuite>;
}

/// Why a provider has no suite for a code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoSuite {
    /// The code point is known, and the provider's library lacks a primitive of the suite.
    Lacking(SuiteName),
    /// No suite has this code point in the provider's map.
    Unknown(CipherSuite),
}

impl fmt::Display for NoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacking(name) => write!(f, "provider lacks the primitives of {name}"),
            Self::Unknown(number) => write!(f, "no cipher suite is known as 0x{:04x}", number.0),
        }
    }
}

impl core::error::Error for NoSuite {}

/// Two providers as one: a suite comes from the first, or if that lacks it from the second.
///
/// Both must be built over the same [`CodePoints`](crate::CodePoints), or a number means a suite of
/// the first and, where it has none, a suite of the second.
#[derive(Clone, Copy, Debug)]
pub struct Fallback {
    first: &'static dyn Provider,
    second: &'static dyn Provider,
}

impl Fallback {
    /// Asks one provider, then another.
    pub const fn new(first: &'static dyn Provider, second: &'static dyn Provider) -> Self {
        Self { first, second }
    }
}

impl Provider for Fallback {
    /// The suites of the first, then what only the second has.
    fn suites(&self) -> Vec<&'static dyn Suite> {
        let mut suites = self.first.suites();
        let missing = |suite: &&'static dyn Suite| self.first.suite(suite.cipher_suite()).is_err();
        suites.extend(self.second.suites().into_iter().filter(missing));
        suites
    }

    fn suite(&self, cipher_suite: CipherSuite) -> Result<&'static dyn Suite, NoSuite> {
        self.first.suite(cipher_suite).or_else(|_| self.second.suite(cipher_suite))
    }
}
