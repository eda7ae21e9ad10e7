use std::fmt;

use keyroom_crypto::Secret;

/// The key that an application supplies for an encrypted store. Keep it where the operating system
/// keeps secrets (Keychain, Keystore, Secret Service, DPAPI) and use it for one store only.
pub struct StoreKey(Secret);

impl StoreKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// A key of uniformly random bytes. What a person can remember is not one: derive it with a
    /// password hash first.
    pub fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Secret::copy_of(&bytes))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// A second copy, for a second handle.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey")
    }
}
