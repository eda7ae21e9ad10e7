#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

//! Hand-made messages, whose keys and signatures are no real ones.

use keyroom_wire::{
    Capabilities, CipherSuite, Commit, Content, ContentType, Credential, CredentialType, Encode, EncryptedGroupSecrets,
    Extension, ExtensionType, Extensions, ExternalPub, ExternalSender, FramedContent, FramedContentAuthData,
    GroupContext, GroupInfo, HpkeCiphertext, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, Lifetime, MlsMessage,
    Node, Opaque, ParentNode, PreSharedKeyId, PrivateMessage, Proposal, ProposalOrRef, ProposalType, ProtocolVersion,
    Psk, PublicMessage, RatchetTree, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender, UpdatePath,
    UpdatePathNode, Welcome,
};

const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

/// The encoding of a message by its name.
pub(crate) fn message(name: &str) -> Vec<u8> {
    match name {
        "key-package" => MlsMessage::KeyPackage(key_package()).to_bytes(),
        "group-info" => MlsMessage::GroupInfo(group_info(group_info_extensions())).to_bytes(),
        "bad-extension" => MlsMessage::GroupInfo(group_info(bad_extensions())).to_bytes(),
        "commit" => MlsMessage::PublicMessage(external_commit()).to_bytes(),
        "welcome" => MlsMessage::Welcome(welcome()).to_bytes(),
        "private-message" => MlsMessage::PrivateMessage(private_message()).to_bytes(),
        "tree" => tree().to_bytes(),
        "hostile-credential" => Credential::basic("\u{1b}[2J\u{202e}\u{7}").to_bytes(),
        other => panic!("no message {other}"),
    }
}

fn bytes(fill: u8, count: usize) -> Vec<u8> {
    vec![fill; count]
}

fn key_package() -> KeyPackage {
    let lifetime = Lifetime { not_before: 1_767_225_600, not_after: u64::MAX };
    KeyPackage {
        version: ProtocolVersion::MLS10,
        cipher_suite: SUITE,
        init_key: bytes(0x11, 32).into(),
        leaf_node: leaf(Credential::basic("alice"), LeafNodeSource::KeyPackage(lifetime)),
        extensions: Extensions::new(),
        signature: bytes(0x66, 64).into(),
    }
}

fn leaf(credential: Credential, leaf_node_source: LeafNodeSource) -> LeafNode {
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::APPLICATION_ID, Opaque::from(&b"phone"[..]).to_bytes());
    extensions.set(ExtensionType(0x4a4a), bytes(0x44, 40));
    LeafNode {
        encryption_key: bytes(0x22, 32).into(),
        signature_key: bytes(0x33, 32).into(),
        credential,
        capabilities: Capabilities {
            versions: vec![ProtocolVersion::MLS10],
            cipher_suites: vec![SUITE, CipherSuite(0x2a2a)],
            extensions: vec![ExtensionType(0x4a4a)],
            proposals: Vec::new(),
            credentials: vec![CredentialType::BASIC, CredentialType::X509],
        },
        leaf_node_source,
        extensions,
        signature: bytes(0x55, 64).into(),
    }
}

fn tree() -> RatchetTree {
    let x509 = Credential::X509 { certificates: vec![bytes(0x30, 40).into(), bytes(0x31, 5).into()] };
    let other = Credential::Other { credential_type: CredentialType(0xf000), body: bytes(1, 3).into() };
    let parent = ParentNode {
        encryption_key: bytes(0x77, 32).into(),
        parent_hash: Opaque::default(),
        unmerged_leaves: vec![LeafIndex(0), LeafIndex(1)],
    };
    let leaf = |credential, source| Some(Node::Leaf(Box::new(leaf(credential, source))));
    RatchetTree {
        nodes: vec![
            leaf(x509, LeafNodeSource::Update),
            None,
            leaf(other, LeafNodeSource::Commit { parent_hash: bytes(0x88, 32).into() }),
            Some(Node::Parent(Box::new(parent))),
        ],
    }
}

fn context() -> GroupContext {
    let required = RequiredCapabilities {
        extension_types: vec![ExtensionType(0x4a4a)],
        proposal_types: Vec::new(),
        credential_types: vec![CredentialType::BASIC],
    };
    let server = ExternalSender { signature_key: bytes(0x99, 32).into(), credential: Credential::basic("server") };
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::REQUIRED_CAPABILITIES, required.to_bytes());
    extensions.set(ExtensionType::EXTERNAL_SENDERS, vec![server].to_bytes());
    GroupContext {
        epoch: 7,
        tree_hash: bytes(0xaa, 32).into(),
        extensions,
        ..GroupContext::new(SUITE, (&b"room"[..]).into())
    }
}

fn group_info_extensions() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::EXTERNAL_PUB, ExternalPub { external_pub: bytes(0xbb, 32).into() }.to_bytes());
    extensions.set(ExtensionType::RATCHET_TREE, RatchetTree { nodes: vec![None] }.to_bytes());
    extensions
}

fn bad_extensions() -> Extensions {
    let extension = |extension_type, data: &[u8]| Extension { extension_type, extension_data: data.into() };
    Extensions {
        list: vec![
            extension(ExtensionType::EXTERNAL_PUB, &[1, 2, 3]),
            extension(ExtensionType::RATCHET_TREE, &[2, 1, 7]),
        ],
    }
}

fn group_info(extensions: Extensions) -> GroupInfo {
    GroupInfo {
        group_context: context(),
        extensions,
        confirmation_tag: bytes(0xcc, 32).into(),
        signer: LeafIndex(0),
        signature: bytes(0xdd, 64).into(),
    }
}

fn external_commit() -> PublicMessage {
    PublicMessage {
        content: FramedContent {
            group_id: (&b"room"[..]).into(),
            epoch: 7,
            sender: Sender::NewMemberCommit,
            authenticated_data: Opaque::default(),
            content: Content::Commit(commit()),
        },
        auth: FramedContentAuthData {
            signature: bytes(0xee, 64).into(),
            confirmation_tag: Some(bytes(0xef, 32).into()),
        },
        membership_tag: None,
    }
}

fn commit() -> Commit {
    let psk = |psk| Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: bytes(2, 32).into() } };
    let resumption =
        Psk::Resumption { usage: ResumptionPskUsage::ReInit, psk_group_id: (&b"old room"[..]).into(), psk_epoch: 3 };
    let reinit = ReInit {
        group_id: (&b"next room"[..]).into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: SUITE,
        extensions: Extensions::new(),
    };
    let proposals = [
        Proposal::ExternalInit { kem_output: bytes(1, 32).into() },
        Proposal::Remove { removed: LeafIndex(4) },
        psk(Psk::External { psk_id: (&b"password"[..]).into() }),
        psk(resumption),
        Proposal::ReInit(reinit),
        Proposal::GroupContextExtensions { extensions: Extensions::new() },
        Proposal::SelfRemove,
        Proposal::Custom { proposal_type: ProposalType(0xf00d), body: bytes(5, 6).into() },
    ];
    let mut proposals: Vec<_> = proposals.into_iter().map(ProposalOrRef::Proposal).collect();
    proposals.push(ProposalOrRef::Reference(bytes(3, 32).into()));
    let ciphertext = HpkeCiphertext { kem_output: bytes(4, 32).into(), ciphertext: bytes(5, 48).into() };
    let node = UpdatePathNode { encryption_key: bytes(6, 32).into(), encrypted_path_secret: vec![ciphertext] };
    let leaf_node = leaf(Credential::basic("bob"), LeafNodeSource::Commit { parent_hash: bytes(7, 32).into() });
    Commit { proposals, path: Some(UpdatePath { leaf_node, nodes: vec![node] }) }
}

fn welcome() -> Welcome {
    let secrets = EncryptedGroupSecrets {
        new_member: bytes(1, 32).into(),
        encrypted_group_secrets: HpkeCiphertext { kem_output: bytes(2, 32).into(), ciphertext: bytes(3, 84).into() },
    };
    Welcome { cipher_suite: SUITE, secrets: vec![secrets], encrypted_group_info: bytes(4, 100).into() }
}

fn private_message() -> PrivateMessage {
    PrivateMessage {
        group_id: (&b"room"[..]).into(),
        epoch: 7,
        content_type: ContentType::Application,
        authenticated_data: Opaque::default(),
        encrypted_sender_data: bytes(1, 28).into(),
        ciphertext: bytes(2, 90).into(),
    }
}
