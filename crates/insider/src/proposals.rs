//! Proposals in one line each.

use keyroom_wire::{
    CipherSuite, Extension, ExtensionType, Extensions, KeyPackage, LeafIndex, PreSharedKeyId, Proposal,
    ProtocolVersion, Psk, ReInit, ResumptionPskUsage,
};

pub fn add(package: &KeyPackage) -> Proposal {
    Proposal::Add { key_package: Box::new(package.clone()) }
}

pub fn remove(leaf: u32) -> Proposal {
    Proposal::Remove { removed: LeafIndex(leaf) }
}

/// With a nonce of this length.
pub fn psk(psk: Psk, nonce: usize) -> Proposal {
    Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![1; nonce].into() } }
}

pub fn external_psk(id: &[u8]) -> Psk {
    Psk::External { psk_id: id.into() }
}

/// The resumption PSK of an epoch of the room.
pub fn resumption_psk(usage: ResumptionPskUsage, psk_epoch: u64) -> Psk {
    Psk::Resumption { usage, psk_group_id: b"room"[..].into(), psk_epoch }
}

pub fn extensions(list: &[(ExtensionType, &[u8])]) -> Extensions {
    let extension = |(extension_type, data): &(ExtensionType, &[u8])| Extension {
        extension_type: *extension_type,
        extension_data: (*data).into(),
    };
    Extensions { list: list.iter().map(extension).collect() }
}

pub fn group_context(extensions: Extensions) -> Proposal {
    Proposal::GroupContextExtensions { extensions }
}

/// A successor with the suite of the room.
pub fn reinit(version: u16) -> Proposal {
    Proposal::ReInit(ReInit {
        group_id: b"next"[..].into(),
        version: ProtocolVersion(version),
        cipher_suite: CipherSuite(1),
        extensions: Extensions::new(),
    })
}
