//! One hand-made value of every struct, with unknown code points wherever they may stand.

use keyroom_wire::{
    AuthenticatedContent, Capabilities, CipherSuite, Commit, Content, ContentType, Credential, CredentialType, Encode,
    EncryptedGroupSecrets, Extension, ExtensionType, Extensions, ExternalPub, ExternalSender, FramedContent,
    FramedContentAuthData, GroupContext, GroupId, GroupInfo, GroupSecrets, HpkeCiphertext, KeyPackage, LeafIndex,
    LeafNode, LeafNodeSource, Lifetime, Mac, MlsMessage, Node, Opaque, ParentNode, PreSharedKeyId, PrivateMessage,
    PrivateMessageContent, Proposal, ProposalOrRef, ProposalRef, ProposalType, ProtocolVersion, Psk, PublicMessage,
    RatchetTree, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender, SenderData, UpdatePath, UpdatePathNode,
    Welcome, WireFormat,
};

/// Encoded samples with the name of their decoder.
pub(crate) fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    all.extend(messages().iter().map(|message| ("MlsMessage", message.to_bytes())));
    all.extend(leaf_nodes().iter().map(|leaf| ("LeafNode", leaf.to_bytes())));
    all.extend(proposals().iter().map(|proposal| ("Proposal", proposal.to_bytes())));
    all.extend(psks().iter().map(|psk| ("PreSharedKeyID", psk.to_bytes())));
    all.extend(private_contents());
    all.extend(parts());
    all
}

fn parts() -> Vec<(&'static str, Vec<u8>)> {
    let secrets = GroupSecrets { joiner_secret: &[1; 32], path_secret: Some(&[2; 32]), psks: psks() };
    let without_path = GroupSecrets { joiner_secret: &[1; 32], path_secret: None, psks: Vec::new() };
    let sender = ExternalSender { signature_key: bytes(9, 32).into(), credential: Credential::basic("server") };
    let sender_data = SenderData { leaf_index: LeafIndex(3), generation: 7, reuse_guard: [1, 2, 3, 4] };
    let signed = AuthenticatedContent {
        wire_format: WireFormat::PRIVATE_MESSAGE,
        content: framed(Sender::Member(LeafIndex(1)), Content::Commit(commit())),
        auth: auth(ContentType::Commit),
    };
    vec![
        ("RatchetTree", tree().to_bytes()),
        ("GroupSecrets", secrets.to_bytes()),
        ("GroupSecrets", without_path.to_bytes()),
        ("KeyPackage", key_package().to_bytes()),
        ("Extensions", extensions().to_bytes()),
        ("Commit", commit().to_bytes()),
        ("AuthenticatedContent", signed.to_bytes()),
        ("Capabilities", capabilities().to_bytes()),
        ("Credential", x509().to_bytes()),
        ("ExternalPub", ExternalPub { external_pub: bytes(4, 32).into() }.to_bytes()),
        ("ExternalSenders", vec![sender].to_bytes()),
        ("GroupContext", context().to_bytes()),
        ("GroupInfo", group_info().to_bytes()),
        ("RequiredCapabilities", required().to_bytes()),
        ("SenderData", sender_data.to_bytes()),
        ("UpdatePath", path().to_bytes()),
        ("Welcome", welcome().to_bytes()),
    ]
}

fn messages() -> Vec<MlsMessage> {
    let senders =
        [Sender::Member(LeafIndex(1)), Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit];
    let mut messages: Vec<_> = senders
        .into_iter()
        .flat_map(|sender| {
            [
                Content::Application(bytes(7, 5).into()),
                Content::Proposal(Proposal::Remove { removed: LeafIndex(2) }),
                Content::Commit(commit()),
            ]
            .map(|content| MlsMessage::PublicMessage(public(sender, content)))
        })
        .collect();
    messages.push(MlsMessage::PrivateMessage(PrivateMessage {
        group_id: group_id(),
        epoch: 4,
        content_type: ContentType::Application,
        authenticated_data: bytes(1, 3).into(),
        encrypted_sender_data: bytes(2, 28).into(),
        ciphertext: bytes(3, 90).into(),
    }));
    messages.push(MlsMessage::Welcome(welcome()));
    messages.push(MlsMessage::GroupInfo(group_info()));
    messages.push(MlsMessage::KeyPackage(key_package()));
    messages
}

fn public(sender: Sender, content: Content) -> PublicMessage {
    let auth = auth(content.content_type());
    let membership_tag = matches!(sender, Sender::Member(_)).then(|| Mac::from(bytes(5, 32)));
    PublicMessage { content: framed(sender, content), auth, membership_tag }
}

fn private_contents() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("PrivateMessageContent(application)", Content::Application(bytes(7, 5).into())),
        ("PrivateMessageContent(proposal)", Content::Proposal(Proposal::Remove { removed: LeafIndex(2) })),
        ("PrivateMessageContent(commit)", Content::Commit(commit())),
    ]
    .map(|(name, content)| {
        let auth = auth(content.content_type());
        (name, PrivateMessageContent { content, auth, padding: 9 }.to_bytes())
    })
    .into()
}

fn proposals() -> Vec<Proposal> {
    let [leaf_node, ..] = leaf_nodes();
    let mut all: Vec<_> = psks().into_iter().map(|psk| Proposal::PreSharedKey { psk }).collect();
    all.extend([
        Proposal::Add { key_package: Box::new(key_package()) },
        Proposal::Update { leaf_node: Box::new(leaf_node) },
        Proposal::Remove { removed: LeafIndex(2) },
        Proposal::ReInit(ReInit {
            group_id: group_id(),
            version: ProtocolVersion::MLS10,
            cipher_suite: CipherSuite(0x1a1a),
            extensions: extensions(),
        }),
        Proposal::ExternalInit { kem_output: bytes(8, 32).into() },
        Proposal::GroupContextExtensions { extensions: extensions() },
        Proposal::SelfRemove,
        Proposal::Custom { proposal_type: ProposalType(0xf00d), body: bytes(6, 70).into() },
    ]);
    all
}

fn psks() -> Vec<PreSharedKeyId> {
    let resumption = |usage| Psk::Resumption { usage, psk_group_id: group_id(), psk_epoch: 3 };
    [
        Psk::External { psk_id: bytes(1, 6).into() },
        resumption(ResumptionPskUsage::Application),
        resumption(ResumptionPskUsage::ReInit),
        resumption(ResumptionPskUsage::Branch),
    ]
    .map(|psk| PreSharedKeyId { psk, psk_nonce: bytes(2, 32).into() })
    .into()
}

fn commit() -> Commit {
    let mut proposals: Vec<_> = proposals().into_iter().map(ProposalOrRef::Proposal).collect();
    proposals.push(ProposalOrRef::Reference(ProposalRef::from(bytes(3, 32))));
    Commit { proposals, path: Some(path()) }
}

fn path() -> UpdatePath {
    let [.., leaf_node] = leaf_nodes();
    let ciphertext = HpkeCiphertext { kem_output: bytes(4, 32).into(), ciphertext: bytes(5, 48).into() };
    let node = UpdatePathNode { encryption_key: bytes(6, 32).into(), encrypted_path_secret: vec![ciphertext; 2] };
    UpdatePath { leaf_node, nodes: vec![node; 2] }
}

/// A leaf of every source, each with another kind of credential.
pub(crate) fn leaf_nodes() -> [LeafNode; 3] {
    let lifetime = Lifetime { not_before: 0, not_after: u64::MAX };
    [
        leaf(Credential::basic("alice"), LeafNodeSource::KeyPackage(lifetime)),
        leaf(x509(), LeafNodeSource::Update),
        leaf(other_credential(), LeafNodeSource::Commit { parent_hash: bytes(7, 32).into() }),
    ]
}

fn leaf(credential: Credential, leaf_node_source: LeafNodeSource) -> LeafNode {
    LeafNode {
        encryption_key: bytes(1, 32).into(),
        signature_key: bytes(2, 32).into(),
        credential,
        capabilities: capabilities(),
        leaf_node_source,
        extensions: extensions(),
        signature: bytes(3, 64).into(),
    }
}

fn x509() -> Credential {
    Credential::X509 { certificates: vec![bytes(4, 80).into(), bytes(5, 70).into()] }
}

fn other_credential() -> Credential {
    Credential::Other { credential_type: CredentialType(0x4a4a), body: bytes(6, 5).into() }
}

fn capabilities() -> Capabilities {
    Capabilities {
        versions: vec![ProtocolVersion::MLS10, ProtocolVersion(0x0a0a)],
        cipher_suites: vec![CipherSuite(1), CipherSuite(0x2a2a)],
        extensions: vec![ExtensionType::LAST_RESORT, ExtensionType(0x3a3a)],
        proposals: vec![ProposalType(0x5a5a)],
        credentials: vec![CredentialType::BASIC, CredentialType(0x6a6a)],
    }
}

fn required() -> RequiredCapabilities {
    RequiredCapabilities {
        extension_types: vec![ExtensionType(0xff01)],
        proposal_types: vec![ProposalType(0xff02)],
        credential_types: vec![CredentialType(0xff03)],
    }
}

fn extensions() -> Extensions {
    let extension =
        |code, data: Vec<u8>| Extension { extension_type: ExtensionType(code), extension_data: data.into() };
    Extensions {
        list: vec![extension(0x7a7a, bytes(1, 100)), extension(0xffff, Vec::new()), extension(1, bytes(2, 3))],
    }
}

fn key_package() -> KeyPackage {
    let [leaf_node, ..] = leaf_nodes();
    KeyPackage {
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(0x8a8a),
        init_key: bytes(9, 32).into(),
        leaf_node,
        extensions: extensions(),
        signature: bytes(1, 64).into(),
    }
}

fn tree() -> RatchetTree {
    let [a, b, c] = leaf_nodes().map(|leaf| Some(Node::Leaf(Box::new(leaf))));
    let parent = Some(Node::Parent(Box::new(ParentNode {
        encryption_key: bytes(1, 32).into(),
        parent_hash: Opaque::default(),
        unmerged_leaves: vec![LeafIndex(0), LeafIndex(2)],
    })));
    RatchetTree { nodes: vec![a, None, b, parent, c] }
}

fn context() -> GroupContext {
    GroupContext { epoch: 5, extensions: extensions(), ..GroupContext::new(CipherSuite(1), group_id()) }
}

fn group_info() -> GroupInfo {
    GroupInfo {
        group_context: context(),
        extensions: extensions(),
        confirmation_tag: bytes(2, 32).into(),
        signer: LeafIndex(1),
        signature: bytes(3, 64).into(),
    }
}

fn welcome() -> Welcome {
    let secrets = EncryptedGroupSecrets {
        new_member: bytes(1, 32).into(),
        encrypted_group_secrets: HpkeCiphertext { kem_output: bytes(2, 32).into(), ciphertext: bytes(3, 84).into() },
    };
    Welcome { cipher_suite: CipherSuite(1), secrets: vec![secrets; 2], encrypted_group_info: bytes(4, 200).into() }
}

fn framed(sender: Sender, content: Content) -> FramedContent {
    FramedContent { group_id: group_id(), epoch: 4, sender, authenticated_data: bytes(1, 3).into(), content }
}

fn auth(content_type: ContentType) -> FramedContentAuthData {
    let confirmation_tag = (content_type == ContentType::Commit).then(|| Mac::from(bytes(3, 32)));
    FramedContentAuthData { signature: bytes(2, 64).into(), confirmation_tag }
}

fn group_id() -> GroupId {
    GroupId::from(&b"room"[..])
}

fn bytes(fill: u8, count: usize) -> Vec<u8> {
    vec![fill; count]
}
