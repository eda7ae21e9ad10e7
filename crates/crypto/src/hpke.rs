//! HPKE (RFC 9180) in base and PSK mode over the suite's KEM, KDF and AEAD.
//!
//! MLS uses single-shot seal and open with a shared `info` ([`Info`]) and, for external commits,
//! the secret export. The `info` is hashed once, however many recipients it has.

use alloc::vec::Vec;

use keyroom_wire::{HpkeCiphertext, Opaque};
use zeroize::Zeroizing;

use crate::{CryptoError, Secret, Suite};

const MODE_BASE: u8 = 0;
const MODE_PSK: u8 = 1;

fn suite_id<S: Suite + ?Sized>(suite: &S) -> [u8; 10] {
    let [a, b] = suite.kem().id().to_be_bytes();
    let [c, d] = suite.hpke_kdf_id().to_be_bytes();
    let [e, f] = suite.hpke_aead_id().to_be_bytes();
    [b'H', b'P', b'K', b'E', a, b, c, d, e, f]
}

fn labeled_extract<S: Suite + ?Sized>(suite: &S, salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
    suite.kdf().extract(salt, &[b"HPKE-v1", &suite_id(suite), label, ikm])
}

fn labeled_expand<S: Suite + ?Sized>(
    suite: &S,
    prk: &[u8],
    label: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    let wide = u16::try_from(length).map_err(|_| CryptoError::OutputTooLong)?;
    let mut out = Secret::zeros(length);
    let parts: [&[u8]; 5] = [&wide.to_be_bytes(), b"HPKE-v1", &suite_id(suite), label, info];
    suite.kdf().expand(prk, &parts, out.expose_mut())?;
    Ok(out)
}

/// The part of the key schedule that does not depend on the recipient: mode, PSK and hashed `info`
/// (RFC 9180 §5.1).
#[derive(Debug)]
pub struct Info {
    context: Vec<u8>,
    psk: Secret,
}

impl Info {
    /// Mode base.
    pub fn base<S: Suite + ?Sized>(suite: &S, info: &[u8]) -> Self {
        Self::schedule(suite, MODE_BASE, info, Secret::zeros(0), b"")
    }

    /// Mode PSK.
    ///
    /// # Errors
    /// [`CryptoError::WrongLength`] for an empty identifier or a PSK below 32 bytes (RFC 9180 §9.5).
    pub fn psk<S: Suite + ?Sized>(suite: &S, info: &[u8], psk: Secret, psk_id: &[u8]) -> Result<Self, CryptoError> {
        if psk.len() < 32 || psk_id.is_empty() {
            return Err(CryptoError::WrongLength);
        }
        Ok(Self::schedule(suite, MODE_PSK, info, psk, psk_id))
    }

    fn schedule<S: Suite + ?Sized>(suite: &S, mode: u8, info: &[u8], psk: Secret, psk_id: &[u8]) -> Self {
        let mut context = Vec::with_capacity(1 + 2 * suite.kdf().output_len());
        context.push(mode);
        context.extend_from_slice(labeled_extract(suite, b"", b"psk_id_hash", psk_id).expose());
        context.extend_from_slice(labeled_extract(suite, b"", b"info_hash", info).expose());
        Self { context, psk }
    }

    /// `KeySchedule` for one shared secret.
    fn context<S: Suite + ?Sized>(&self, suite: &S, shared_secret: &Secret) -> Result<Context, CryptoError> {
        let secret = labeled_extract(suite, shared_secret.expose(), b"secret", self.psk.expose());
        let expand = |label: &[u8], length| labeled_expand(suite, secret.expose(), label, &self.context, length);
        Ok(Context {
            key: expand(b"key", suite.aead_key_len())?,
            base_nonce: expand(b"base_nonce", suite.aead_nonce_len())?,
            exporter_secret: expand(b"exp", suite.kdf().output_len())?,
            sequence: 0,
        })
    }
}

/// An encryption context of one sender and one recipient (RFC 9180 §5.2).
#[derive(Debug)]
pub struct Context {
    key: Secret,
    base_nonce: Secret,
    exporter_secret: Secret,
    sequence: u64,
}

impl Context {
    fn nonce(&self) -> Secret {
        let mut nonce = self.base_nonce.duplicate();
        let places = nonce.expose_mut().iter_mut().rev();
        places.zip(self.sequence.to_be_bytes().iter().rev()).for_each(|(n, s)| *n ^= s);
        nonce
    }

    fn advance(&mut self) -> Result<(), CryptoError> {
        self.sequence = self.sequence.checked_add(1).ok_or(CryptoError::MessageLimit)?;
        Ok(())
    }

    /// Encrypts the next message.
    ///
    /// # Errors
    /// [`CryptoError::InputTooLong`] or [`CryptoError::MessageLimit`].
    pub fn seal<S: Suite + ?Sized>(&mut self, suite: &S, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut buffer = Vec::with_capacity(plaintext.len() + suite.aead_tag_len());
        buffer.extend_from_slice(plaintext);
        suite.aead_seal(self.key.expose(), self.nonce().expose(), aad, &mut buffer)?;
        self.advance()?;
        Ok(buffer)
    }

    /// Decrypts the next message.
    ///
    /// # Errors
    /// [`CryptoError::Open`]; the context then stays where it was.
    pub fn open<S: Suite + ?Sized>(
        &mut self,
        suite: &S,
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        suite.aead_open(self.key.expose(), self.nonce().expose(), aad, &mut buffer)?;
        self.advance()?;
        Ok(buffer)
    }

    /// `Export(exporter_context, length)` (RFC 9180 §5.3).
    ///
    /// # Errors
    /// [`CryptoError::OutputTooLong`].
    pub fn export<S: Suite + ?Sized>(
        &self,
        suite: &S,
        exporter_context: &[u8],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        labeled_expand(suite, self.exporter_secret.expose(), b"sec", exporter_context, length)
    }
}

/// `SetupBaseS` or `SetupPSKS`: encapsulated key and context (RFC 9180 §5.1).
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`].
pub fn setup_sender<S: Suite + ?Sized>(
    suite: &S,
    info: &Info,
    public_key: &[u8],
    randomness: &Secret,
) -> Result<(Vec<u8>, Context), CryptoError> {
    let (shared_secret, encapsulated) = suite.kem().encap(public_key, randomness.expose())?;
    Ok((encapsulated, info.context(suite, &shared_secret)?))
}

/// `SetupBaseR` or `SetupPSKR` (RFC 9180 §5.1).
///
/// # Errors
/// [`CryptoError::InvalidEncapsulation`] or [`CryptoError::InvalidPrivateKey`].
pub fn setup_receiver<S: Suite + ?Sized>(
    suite: &S,
    info: &Info,
    private_key: &[u8],
    encapsulated: &[u8],
) -> Result<Context, CryptoError> {
    info.context(suite, &suite.kem().decap(encapsulated, private_key)?)
}

/// Single-shot encryption (RFC 9180 §6.1).
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`].
pub fn seal<S: Suite + ?Sized>(
    suite: &S,
    info: &Info,
    public_key: &[u8],
    randomness: &Secret,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<HpkeCiphertext, CryptoError> {
    let (encapsulated, mut context) = setup_sender(suite, info, public_key, randomness)?;
    let ciphertext = context.seal(suite, aad, plaintext)?;
    Ok(HpkeCiphertext { kem_output: Opaque::from(encapsulated), ciphertext: Opaque::from(ciphertext) })
}

/// Single-shot decryption (RFC 9180 §6.1).
///
/// # Errors
/// [`CryptoError::Open`] or [`CryptoError::InvalidEncapsulation`].
pub fn open<S: Suite + ?Sized>(
    suite: &S,
    info: &Info,
    private_key: &[u8],
    aad: &[u8],
    ciphertext: &HpkeCiphertext,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    setup_receiver(suite, info, private_key, ciphertext.kem_output.as_slice())?.open(
        suite,
        aad,
        ciphertext.ciphertext.as_slice(),
    )
}
