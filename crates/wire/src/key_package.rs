use alloc::vec::Vec;

use crate::codec::wire_struct;
use crate::{CipherSuite, Encode, Extensions, HpkePublicKey, LeafNode, ProtocolVersion, Signature};

wire_struct! {
    /// What a client publishes so that others can add it (RFC 9420 §10).
    pub struct KeyPackage {
        /// Protocol version.
        pub version: ProtocolVersion,
        /// Cipher suite.
        pub cipher_suite: CipherSuite,
        /// HPKE key to which the Welcome's secrets are encrypted.
        pub init_key: HpkePublicKey,
        /// The leaf with which the client will stand in the tree.
        pub leaf_node: LeafNode,
        /// Extensions of the key package.
        pub extensions: Extensions,
        /// Signature over [`KeyPackage::tbs`], by the key in `leaf_node`.
        pub signature: Signature,
    }
}

impl KeyPackage {
    /// `KeyPackageTBS`: what the signature covers.
    pub fn tbs(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.version.encode(&mut out);
        self.cipher_suite.encode(&mut out);
        self.init_key.encode(&mut out);
        self.leaf_node.encode(&mut out);
        self.extensions.encode(&mut out);
        out
    }
}
