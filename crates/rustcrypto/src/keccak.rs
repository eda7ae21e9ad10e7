use keyroom_crypto::Secret;
use sha3::Digest as _;
use shake::{ExtendableOutput as _, Update as _, XofReader as _};
use zeroize::Zeroize as _;

/// SHA3-256 and SHAKE256.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keccak;

impl keyroom_crypto::pq::Keccak for Keccak {
    fn sha3_256(&self, parts: &[&[u8]]) -> Secret {
        let mut hash = sha3::Sha3_256::new();
        parts.iter().for_each(|part| sha3::Digest::update(&mut hash, part));
        let mut output = hash.finalize();
        let secret = Secret::copy_of(&output);
        output.as_mut_slice().zeroize();
        secret
    }

    fn shake256(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut sponge = shake::Shake256::default();
        parts.iter().for_each(|part| sponge.update(part));
        sponge.finalize_xof().read(out);
    }
}
