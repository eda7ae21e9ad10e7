/// Upper bounds that a decoder enforces before it allocates, in bytes.
///
/// RFC 9420 §2.1.2 allows vectors of up to 2^30 − 1 bytes; no honest message needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest top-level input (an `MLSMessage`, a ratchet tree). Default 64 MiB, which holds the
    /// tree of about two hundred thousand members of a classical suite.
    pub message: usize,
    /// Longest single vector that may hold content: application data, ciphertexts, extension data,
    /// lists. Default 64 MiB.
    pub vector: usize,
    /// Longest single key, signature, identifier, tag or hash. Default 64 KiB; the largest
    /// post-quantum signature takes 4,627 bytes.
    pub field: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 64 << 20, vector: 64 << 20, field: 64 << 10 }
    }
}
