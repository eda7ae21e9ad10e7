//! The labelled operations of RFC 9420 §5.1.2, §5.1.3, §5.2 and §8, written once for every suite.

use alloc::vec::Vec;

use keyroom_wire::{
    Encode, HpkeCiphertext, KeyPackageRef, Opaque, ProposalRef, Signature, length_header, write_vector,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{CryptoError, Hash, SealJob, Secret, Signer, Suite, hpke};

const PREFIX: &[u8] = b"MLS 1.0 ";

fn write_label(out: &mut Vec<u8>, label: &[u8]) {
    write_vector(out, |out| {
        out.extend_from_slice(PREFIX);
        out.extend_from_slice(label);
    });
}

fn labelled(label: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX.len() + label.len() + content.len() + 8);
    write_label(&mut out, label);
    write_vector(&mut out, |out| out.extend_from_slice(content));
    out
}

/// `SignContent` (§5.1.2): the message that is really signed.
pub fn sign_content(label: &str, content: &[u8]) -> Vec<u8> {
    labelled(label.as_bytes(), content)
}

/// [`sign_content`] of a content that is written in place, some `length` bytes of it.
pub fn sign_content_of(label: &str, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX.len() + label.len() + length + 8);
    write_label(&mut out, label.as_bytes());
    write_vector(&mut out, write);
    out
}

/// `SignWithLabel(key, label, content)` (§5.1.2).
///
/// # Errors
/// What the signer says.
pub fn sign_with_label(
    signer: &dyn Signer,
    label: &str,
    content: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Signature, CryptoError> {
    signer.sign(&sign_content(label, content), rng)
}

/// `VerifyWithLabel(key, label, content, signature)` (§5.1.2).
///
/// # Errors
/// [`CryptoError::InvalidSignature`].
pub fn verify_with_label(
    suite: &dyn Suite,
    public_key: &[u8],
    label: &str,
    content: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    suite.verify(public_key, &sign_content(label, content), signature)
}

/// The HPKE `info` of `EncryptWithLabel` (§5.1.3), hashed once for any number of recipients.
pub fn encryption_info(suite: &dyn Suite, label: &str, context: &[u8]) -> hpke::Info {
    hpke::Info::base(suite, &labelled(label.as_bytes(), context))
}

/// `EncryptWithLabel` (§5.1.3).
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`].
pub fn encrypt_with_label(
    suite: &dyn Suite,
    public_key: &[u8],
    label: &str,
    context: &[u8],
    plaintext: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<HpkeCiphertext, CryptoError> {
    let job = SealJob { public_key, plaintext, randomness: Secret::random(suite.kem().randomness_len(), rng) };
    hpke::seal(suite, &encryption_info(suite, label, context), job.public_key, &job.randomness, b"", job.plaintext)
}

/// `DecryptWithLabel` (§5.1.3).
///
/// # Errors
/// [`CryptoError::Open`] or [`CryptoError::InvalidEncapsulation`].
pub fn decrypt_with_label(
    suite: &dyn Suite,
    private_key: &[u8],
    label: &str,
    context: &[u8],
    ciphertext: &HpkeCiphertext,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    hpke::open(suite, &encryption_info(suite, label, context), private_key, b"", ciphertext)
}

/// `ExpandWithLabel(secret, label, context, out.len())` (§8) into a buffer.
///
/// # Errors
/// [`CryptoError::OutputTooLong`].
pub fn expand_with_label_into(
    suite: &dyn Suite,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let length = u16::try_from(out.len()).map_err(|_| CryptoError::OutputTooLong)?.to_be_bytes();
    // In parts, so that nothing is put together in memory: keys are derived by the dozen.
    let (label_header, label_width) = length_header(PREFIX.len() + label.len());
    let (context_header, context_width) = length_header(context.len());
    let label_header = label_header.get(..label_width).unwrap_or_default();
    let context_header = context_header.get(..context_width).unwrap_or_default();
    suite.kdf().expand(secret, &[&length, label_header, PREFIX, label, context_header, context], out)
}

/// `ExpandWithLabel(secret, label, context, length)` (§8).
///
/// # Errors
/// [`CryptoError::OutputTooLong`] beyond 65,535 bytes or 255 · Nh.
pub fn expand_with_label(
    suite: &dyn Suite,
    secret: &[u8],
    label: &str,
    context: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    if length > usize::from(u16::MAX) {
        return Err(CryptoError::OutputTooLong);
    }
    let mut out = Secret::zeros(length);
    expand_with_label_into(suite, secret, label.as_bytes(), context, out.expose_mut())?;
    Ok(out)
}

/// `DeriveSecret(secret, label)` (§8).
///
/// # Errors
/// None for a secret of the suite; the result type is that of the KDF.
pub fn derive_secret(suite: &dyn Suite, secret: &[u8], label: &str) -> Result<Secret, CryptoError> {
    expand_with_label(suite, secret, label, b"", suite.kdf().output_len())
}

/// `DeriveTreeSecret(secret, label, generation, length)` (§9).
///
/// # Errors
/// As [`expand_with_label`].
pub fn derive_tree_secret(
    suite: &dyn Suite,
    secret: &[u8],
    label: &str,
    generation: u32,
    length: usize,
) -> Result<Secret, CryptoError> {
    expand_with_label(suite, secret, label, &generation.to_be_bytes(), length)
}

/// `RefHash(label, value)` (§5.2). The label is used as it is given.
pub fn ref_hash(suite: &dyn Suite, label: &str, value: &[u8]) -> Hash {
    let mut input = Vec::with_capacity(label.len() + value.len() + 8);
    write_vector(&mut input, |out| out.extend_from_slice(label.as_bytes()));
    write_vector(&mut input, |out| out.extend_from_slice(value));
    suite.hash(&[&input])
}

/// `MakeKeyPackageRef` over an encoded KeyPackage (§5.2).
pub fn key_package_ref(suite: &dyn Suite, key_package: &[u8]) -> KeyPackageRef {
    ref_hash(suite, "MLS 1.0 KeyPackage Reference", key_package).as_slice().into()
}

/// `MakeProposalRef` over an encoded AuthenticatedContent (§5.2).
pub fn proposal_ref(suite: &dyn Suite, authenticated_content: &[u8]) -> ProposalRef {
    ref_hash(suite, "MLS 1.0 Proposal Reference", authenticated_content).as_slice().into()
}

/// An `opaque<V>` on its own, as inputs of hashes need it.
pub fn opaque_bytes(bytes: &[u8]) -> Vec<u8> {
    Opaque::from(bytes).to_bytes()
}
