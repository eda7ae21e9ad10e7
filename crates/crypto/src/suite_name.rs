use core::fmt;

macro_rules! suite_names {
    ($($(#[$meta:meta])* $variant:ident = $text:literal;)*) => {
        /// The suites that this workspace knows, named by what they are made of: those of RFC 9420
        /// §17.1 and those of draft-ietf-mls-pq-ciphersuites-06. Which number one has on the wire is
        /// said by [`CodePoints`](crate::CodePoints).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SuiteName {
            $($(#[$meta])* $variant,)*
        }

        impl SuiteName {
            /// All of them, in the order of preference: the cheapest first, post-quantum ones last.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant,)*];

            /// How many there are.
            pub const COUNT: usize = [$($text,)*].len();

            /// The name in the RFC or draft.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

suite_names! {
    /// Suite 1 of RFC 9420.
    X25519Aes128Ed25519 = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
    /// Suite 3 of RFC 9420.
    X25519ChaChaEd25519 = "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519";
    /// Suite 2 of RFC 9420.
    P256Aes128P256 = "MLS_128_DHKEMP256_AES128GCM_SHA256_P256";
    /// Suite 7 of RFC 9420.
    P384Aes256P384 = "MLS_256_DHKEMP384_AES256GCM_SHA384_P384";
    /// Suite 5 of RFC 9420.
    P521Aes256P521 = "MLS_256_DHKEMP521_AES256GCM_SHA512_P521";
    /// Suite 4 of RFC 9420.
    X448Aes256Ed448 = "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448";
    /// Suite 6 of RFC 9420.
    X448ChaChaEd448 = "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448";
    /// Suite 1 of the draft: hybrid, classical signatures.
    MlKem768X25519Aes128Ed25519 = "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519";
    /// Suite 2 of the draft: hybrid, classical signatures.
    MlKem768X25519Aes256Ed25519 = "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519";
    /// Suite 3 of the draft: hybrid, classical signatures.
    MlKem768P256Aes128P256 = "MLS_128_MLKEM768P256_AES128GCM_SHA256_P256";
    /// Suite 4 of the draft: hybrid, classical signatures over SHA-256 beside a hash of SHA-384.
    MlKem768P256Aes256P256 = "MLS_128_MLKEM768P256_AES256GCM_SHA384_P256";
    /// Suite 5 of the draft: hybrid, classical signatures.
    MlKem1024P384Aes256P384 = "MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384";
    /// Suite 6 of the draft: ML-KEM alone, classical signatures.
    MlKem768Aes256Ed25519 = "MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519";
    /// Suite 7 of the draft: ML-KEM alone, classical signatures over SHA-256 beside a hash of SHA-384.
    MlKem768Aes256P256 = "MLS_128_MLKEM768_AES256GCM_SHA384_P256";
    /// Suite 8 of the draft: ML-KEM alone, classical signatures.
    MlKem1024Aes256P384 = "MLS_192_MLKEM1024_AES256GCM_SHA384_P384";
    /// Suite 9 of the draft: hybrid, post-quantum signatures.
    MlKem768X25519ChaChaMlDsa44 = "MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44";
    /// Suite 10 of the draft: post-quantum alone.
    MlKem768Aes256MlDsa65 = "MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65";
    /// Suite 11 of the draft: post-quantum alone.
    MlKem1024Aes256MlDsa87 = "MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87";
}

impl SuiteName {
    /// The suite with this name, in capital or small letters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Whether recorded messages stay secret from one who builds a quantum computer later.
    pub const fn is_post_quantum(self) -> bool {
        !matches!(
            self,
            Self::X25519Aes128Ed25519
                | Self::X25519ChaChaEd25519
                | Self::P256Aes128P256
                | Self::P384Aes256P384
                | Self::P521Aes256P521
                | Self::X448Aes256Ed448
                | Self::X448ChaChaEd448
        )
    }
}

impl fmt::Display for SuiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_others_are_not() {
        for suite in SuiteName::ALL {
            assert_eq!(SuiteName::named(suite.name()), Some(suite));
            assert_eq!(SuiteName::named(&suite.name().to_ascii_lowercase()), Some(suite));
            assert_eq!(suite.is_post_quantum(), suite.name().contains("MLKEM"));
        }
        assert_eq!(SuiteName::named("MLS_128"), None);
    }
}
