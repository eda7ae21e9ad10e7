use keyroom_crypto::{CryptoError, Kdf, Kem, Provider, Suite};
use serde::Deserialize;

use super::{File, Verdict};
use crate::one_of_each::one_of_each;
use crate::{Hex, load};

#[derive(Deserialize)]
struct Group {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: u32,
    flags: Vec<String>,
    public: Hex,
    private: Hex,
    shared: Hex,
    result: Verdict,
}

impl Test {
    fn flagged(&self, flag: &str) -> bool {
        self.flags.iter().any(|present| present == flag)
    }

    /// RFC 9180 asks for more than Wycheproof: uncompressed points, no all-zero result.
    fn must_agree(&self) -> bool {
        self.result != Verdict::Invalid && !self.flagged("CompressedPoint") && !self.flagged("ZeroSharedSecret")
    }
}

/// The Diffie-Hellman group under every suite's DHKEM. The expected point goes through
/// `ExtractAndExpand` (RFC 9180 §4.1) here, and is compared with what `decap` gives.
///
/// # Panics
/// On a wrong verdict or output.
pub fn agreement(provider: &dyn Provider) {
    for suite in one_of_each(provider, |suite| suite.kem().id()) {
        let name = match suite.kem().id() {
            0x0010 => "ecdh_secp256r1_ecpoint",
            0x0011 => "ecdh_secp384r1_ecpoint",
            0x0012 => "ecdh_secp521r1_ecpoint",
            0x0020 => "x25519",
            0x0021 => "x448",
            _ => continue,
        };
        let Some(file) = load::<File<Group>>(&format!("wycheproof/{name}.json")) else { return };
        let tests = || file.groups.iter().flat_map(|group| &group.tests);
        tests().for_each(|test| check(suite, test));
        assert!(tests().filter(|test| test.must_agree()).count() > 200);
    }
}

fn check(suite: &dyn Suite, test: &Test) {
    let private = fit(&test.private, suite.kem().private_key_len());
    let secret = suite.kem().decap(&test.public, &private);
    if test.must_agree() {
        let own = suite.kem().public_key(&private).unwrap();
        let expected = shared_secret(suite.kem(), suite.kdf(), &test.shared, &[&*test.public, own.as_slice()].concat());
        assert_eq!(secret.unwrap().expose(), expected, "tc{}", test.tc_id);
        suite.kem().validate_public_key(&test.public).unwrap();
    } else {
        assert_eq!(secret.err(), Some(CryptoError::InvalidEncapsulation), "tc{}", test.tc_id);
        let refused = Some(CryptoError::InvalidPublicKey);
        assert_eq!(suite.kem().validate_public_key(&test.public).err(), refused, "tc{}", test.tc_id);
        assert_eq!(suite.kem().encap(&test.public, &[7; 66]).err(), refused, "tc{}", test.tc_id);
    }
}

/// The files write NIST scalars as integers, with or without leading zeros.
fn fit(private: &[u8], length: usize) -> Vec<u8> {
    let significant = private.iter().position(|byte| *byte != 0).map_or(&private[..0], |first| &private[first..]);
    let significant = if private.len() == length { private } else { significant };
    [vec![0; length - significant.len()].as_slice(), significant].concat()
}

fn shared_secret(kem: &dyn Kem, kdf: &dyn Kdf, dh: &[u8], context: &[u8]) -> Vec<u8> {
    let suite_id = [b"KEM", kem.id().to_be_bytes().as_slice()].concat();
    let prk = kdf.extract(b"", &[b"HPKE-v1", &suite_id, b"eae_prk", dh]);
    let length = u16::try_from(kem.secret_len()).unwrap();
    let mut out = vec![0; kem.secret_len()];
    let info: [&[u8]; 5] = [&length.to_be_bytes(), b"HPKE-v1", &suite_id, b"shared_secret", context];
    kdf.expand(prk.expose(), &info, &mut out).unwrap();
    out
}
