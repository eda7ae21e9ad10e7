//! The one place that says which number a suite has.

use keyroom_wire::CipherSuite;

use crate::SuiteName;

/// Which number stands for which suite on the wire.
///
/// The numbers of RFC 9420's suites are settled. Those of the post-quantum suites are not, and every
/// implementation has chosen its own, so a provider is built over one of these maps. A map holds a
/// suite only where the other side means the same construction: KEM of draft-ietf-hpke-pq with its
/// code point, KDF, AEAD, hash and signature scheme.
///
/// ```
/// use keyroom_crypto::{CodePoints, SuiteName};
/// use keyroom_wire::CipherSuite;
///
/// let name = SuiteName::MlKem768X25519Aes256Ed25519;
/// assert_eq!(CodePoints::DEFAULT.number(name), Some(CipherSuite(0xf0b2)));
/// assert_eq!(CodePoints::OPENMLS.number(name), Some(CipherSuite(0x004e)));
/// assert_eq!(CodePoints::OPENMLS.name(CipherSuite(0x004e)), Some(name));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePoints([Option<CipherSuite>; SuiteName::COUNT]);

impl CodePoints {
    /// The seven suites of RFC 9420 §17.1 and no others.
    pub const RFC9420: Self = Self([None; SuiteName::COUNT])
        .with(SuiteName::X25519Aes128Ed25519, CipherSuite(1))
        .with(SuiteName::P256Aes128P256, CipherSuite(2))
        .with(SuiteName::X25519ChaChaEd25519, CipherSuite(3))
        .with(SuiteName::X448Aes256Ed448, CipherSuite(4))
        .with(SuiteName::P521Aes256P521, CipherSuite(5))
        .with(SuiteName::X448ChaChaEd448, CipherSuite(6))
        .with(SuiteName::P384Aes256P384, CipherSuite(7));

    /// Ours: the suites 1 to 11 of draft-ietf-mls-pq-ciphersuites are 0xf0b1 to 0xf0bb, in the range
    /// for private use.
    pub const DEFAULT: Self = Self::RFC9420
        .with(SuiteName::MlKem768X25519Aes128Ed25519, CipherSuite(0xf0b1))
        .with(SuiteName::MlKem768X25519Aes256Ed25519, CipherSuite(0xf0b2))
        .with(SuiteName::MlKem768P256Aes128P256, CipherSuite(0xf0b3))
        .with(SuiteName::MlKem768P256Aes256P256, CipherSuite(0xf0b4))
        .with(SuiteName::MlKem1024P384Aes256P384, CipherSuite(0xf0b5))
        .with(SuiteName::MlKem768Aes256Ed25519, CipherSuite(0xf0b6))
        .with(SuiteName::MlKem768Aes256P256, CipherSuite(0xf0b7))
        .with(SuiteName::MlKem1024Aes256P384, CipherSuite(0xf0b8))
        .with(SuiteName::MlKem768X25519ChaChaMlDsa44, CipherSuite(0xf0b9))
        .with(SuiteName::MlKem768Aes256MlDsa65, CipherSuite(0xf0ba))
        .with(SuiteName::MlKem1024Aes256MlDsa87, CipherSuite(0xf0bb));

    /// OpenMLS 0.9.2 with `draft-ietf-mls-pq-ciphersuites`, which has the suites 1, 2 and 6 to 11. It
    /// means these suites, but that version derives key pairs as an earlier draft of the KEMs did, so
    /// that groups cannot be shared yet: `crates/peers` measures it.
    pub const OPENMLS: Self = Self::RFC9420
        .with(SuiteName::MlKem768X25519Aes128Ed25519, CipherSuite(0x004f))
        .with(SuiteName::MlKem768X25519Aes256Ed25519, CipherSuite(0x004e))
        .with(SuiteName::MlKem768Aes256Ed25519, CipherSuite(0xf042))
        .with(SuiteName::MlKem768Aes256P256, CipherSuite(0x0050))
        .with(SuiteName::MlKem1024Aes256P384, CipherSuite(0x0042))
        .with(SuiteName::MlKem768X25519ChaChaMlDsa44, CipherSuite(0x0052))
        .with(SuiteName::MlKem768Aes256MlDsa65, CipherSuite(0x0051))
        .with(SuiteName::MlKem1024Aes256MlDsa87, CipherSuite(0x0907));

    /// mlspp (commit 61e4d76), which has the suites 2, 4 and 5.
    pub const MLSPP: Self = Self::RFC9420
        .with(SuiteName::MlKem768X25519Aes256Ed25519, CipherSuite(0x0008))
        .with(SuiteName::MlKem768P256Aes256P256, CipherSuite(0x0009))
        .with(SuiteName::MlKem1024P384Aes256P384, CipherSuite(0x000a));

    /// mls-rs 0.57: none beyond RFC 9420. Its 65001 to 65003 and 65100 put ML-KEM or a combiner of its
    /// own under KDF, AEAD and signatures of suites 1 and 7, which no suite of the draft is.
    pub const MLS_RS: Self = Self::RFC9420;

    /// ts-mls: none beyond RFC 9420. Each of its post-quantum suites combines HKDF-SHA512, or a hash
    /// of 512 bits, with a KEM or signature scheme beside which no suite of the draft has it.
    pub const TS_MLS: Self = Self::RFC9420;

    /// The same map with another number for one suite.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "as long as there are names, and a slice's get_mut is not const")]
    pub const fn with(mut self, name: SuiteName, number: CipherSuite) -> Self {
        self.0[name as usize] = Some(number);
        self
    }

    /// The number of a suite, if the map has it.
    #[expect(clippy::indexing_slicing, reason = "as long as there are names, and a slice's get is not const")]
    pub const fn number(&self, name: SuiteName) -> Option<CipherSuite> {
        self.0[name as usize]
    }

    /// The suite with a number, if the map has it; of two, the one of more preference.
    pub fn name(&self, number: CipherSuite) -> Option<SuiteName> {
        SuiteName::ALL.into_iter().find(|name| self.number(*name) == Some(number))
    }
}

impl Default for CodePoints {
    /// [`CodePoints::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: [CodePoints; 5] =
        [CodePoints::DEFAULT, CodePoints::OPENMLS, CodePoints::MLSPP, CodePoints::MLS_RS, CodePoints::TS_MLS];

    #[test]
    fn no_map_gives_one_number_twice() {
        for map in MAPS {
            for name in SuiteName::ALL {
                if let Some(number) = map.number(name) {
                    assert_eq!(map.name(number), Some(name));
                }
            }
        }
    }

    #[test]
    fn the_suites_of_the_rfc_are_the_same_in_all_maps() {
        for map in MAPS {
            for name in SuiteName::ALL.into_iter().filter(|name| !name.is_post_quantum()) {
                let number = map.number(name).unwrap();
                assert_eq!(number.name().map(str::to_ascii_lowercase), Some(name.name().to_ascii_lowercase()));
            }
        }
    }

    #[test]
    fn the_default_has_every_suite_and_new_numbers_are_for_private_use_and_not_grease() {
        for name in SuiteName::ALL {
            let number = CodePoints::DEFAULT.number(name).unwrap();
            assert_eq!(name.is_post_quantum(), (0xf000..=0xffff).contains(&number.0));
            assert!(!keyroom_wire::is_grease(number.0));
        }
    }
}
