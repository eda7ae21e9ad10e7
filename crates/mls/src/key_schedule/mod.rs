//! The key schedule (RFC 9420 §8): from one epoch's init secret to all secrets of the next.
//!
//! Each step consumes the secret that it replaces, so that the deletion schedule (§9.2) is a
//! property of moves:
//!
//! ```text
//! InitSecret ─┐ (by reference: the old epoch keeps it until the new one is applied)
//! CommitSecret┴▶ JoinerSecret ─PskSecret─▶ MemberSecret ─GroupContext─▶ EpochSecret ─▶ EpochSecrets
//!                                               │                                      EncryptionSecret
//!                                               └▶ key and nonce of the GroupInfo in a Welcome
//! ```

mod chain;
mod epoch;
mod external;
mod keys;
mod stored;

pub use chain::{CommitSecret, EpochSecret, InitSecret, JoinerSecret, MemberSecret};
pub use epoch::{EpochSecrets, PastEpochSecrets};
pub use keys::{
    AeadKey, ConfirmationKey, EncryptionSecret, EpochAuthenticator, ExporterSecret, ExternalSecret, MembershipKey,
    ResumptionPsk, SenderDataSecret,
};

/// Declares a secret of the RFC as a type of its own: zeroised, not `Clone`, without `==`, opaque
/// in `Debug`.
macro_rules! secret {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(keyroom_crypto::Secret);

        impl $name {
            /// The bytes. Every use of the secret goes through here, so that it can be searched for.
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }

            /// The secret, borrowed without its name.
            pub fn as_secret(&self) -> &keyroom_crypto::Secret {
                &self.0
            }

            /// The secret without its name.
            pub fn into_secret(self) -> keyroom_crypto::Secret {
                self.0
            }
        }

        impl From<keyroom_crypto::Secret> for $name {
            fn from(secret: keyroom_crypto::Secret) -> Self {
                Self(secret)
            }
        }
    )*};
}
pub(crate) use secret;
