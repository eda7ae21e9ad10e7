//! Wire structs as items, with the RFC's field names.

use keyroom_wire::{
    AuthenticatedContent, Capabilities, CipherSuite, Commit, Content, ContentType, Credential, CredentialType, Decode,
    DecodeError, EncryptedGroupSecrets, Extension, ExtensionType, Extensions, ExternalPub, ExternalSender,
    FramedContent, FramedContentAuthData, GroupContext, GroupId, GroupInfo, HpkeCiphertext, HpkePublicKey, KeyPackage,
    KeyPackageRef, LeafIndex, LeafNode, LeafNodeSource, Lifetime, Limits, Mac, MlsMessage, Node, Opaque, ParentNode,
    PreSharedKeyId, PrivateMessage, Proposal, ProposalOrRef, ProposalRef, ProposalType, ProtocolVersion, Psk,
    PublicMessage, RatchetTree, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender, Signature,
    SignaturePublicKey, UpdatePath, UpdatePathNode, Welcome, WireFormat,
};

use super::item::Item;

/// What comes up while a value is described.
#[derive(Debug)]
pub(crate) struct Notes {
    limits: Limits,
    problems: Vec<Problem>,
}

/// A known extension whose data does not parse (RFC 9420 §13.4).
#[derive(Debug)]
pub(crate) struct Problem {
    /// Its type.
    pub(crate) extension_type: ExtensionType,
    /// Why; the offset counts from the start of the data.
    pub(crate) error: DecodeError,
}

impl Notes {
    /// Nothing noted yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, problems: Vec::new() }
    }

    /// The limits for data inside the value.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The extensions that do not parse.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// A value that can say what is in it.
pub(crate) trait Describe {
    /// Says what is in it.
    fn describe(&self, notes: &mut Notes) -> Item;
}

impl Describe for u64 {
    fn describe(&self, _: &mut Notes) -> Item {
        Item::Number(*self)
    }
}

impl Describe for LeafIndex {
    fn describe(&self, _: &mut Notes) -> Item {
        Item::Number(self.0.into())
    }
}

impl<T: Describe> Describe for Box<T> {
    fn describe(&self, notes: &mut Notes) -> Item {
        T::describe(self, notes)
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe(&self, notes: &mut Notes) -> Item {
        self.as_ref().map_or(Item::Absent, |value| value.describe(notes))
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::List(self.iter().map(|value| value.describe(notes)).collect())
    }
}

macro_rules! bytes {
    ($($name:ident),*) => {$(
        impl Describe for $name {
            fn describe(&self, _: &mut Notes) -> Item {
                Item::Bytes(self.as_slice().to_vec())
            }
        }
    )*};
}
bytes!(Opaque, HpkePublicKey, SignaturePublicKey, Signature, Mac, ProposalRef, KeyPackageRef);

impl Describe for GroupId {
    fn describe(&self, _: &mut Notes) -> Item {
        text(self.as_slice())
    }
}

fn text(bytes: impl AsRef<[u8]>) -> Item {
    Item::Text(bytes.as_ref().to_vec())
}

macro_rules! codes {
    ($($name:ident),*) => {$(
        impl Describe for $name {
            fn describe(&self, _: &mut Notes) -> Item {
                Item::Code { value: self.0, name: self.name() }
            }
        }
    )*};
}
codes!(ProtocolVersion, CipherSuite, WireFormat, ExtensionType, ProposalType, CredentialType);

macro_rules! words {
    ($($name:ident { $($variant:ident = $text:literal),* })*) => {$(
        impl Describe for $name {
            fn describe(&self, _: &mut Notes) -> Item {
                Item::Word(match self { $(Self::$variant => $text),* })
            }
        }
    )*};
}
words! {
    ContentType { Application = "application", Proposal = "proposal", Commit = "commit" }
    ResumptionPskUsage { Application = "application", ReInit = "reinit", Branch = "branch" }
}

macro_rules! records {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Describe for $name {
            fn describe(&self, notes: &mut Notes) -> Item {
                Item::Record(vec![$((stringify!($field), self.$field.describe(notes))),*])
            }
        }
    )*};
}
records! {
    Capabilities { versions, cipher_suites, extensions, proposals, credentials }
    Commit { proposals, path }
    EncryptedGroupSecrets { new_member, encrypted_group_secrets }
    ExternalPub { external_pub }
    ExternalSender { signature_key, credential }
    FramedContentAuthData { signature, confirmation_tag }
    GroupContext { version, cipher_suite, group_id, epoch, tree_hash, confirmed_transcript_hash, extensions }
    GroupInfo { group_context, extensions, confirmation_tag, signer, signature }
    HpkeCiphertext { kem_output, ciphertext }
    KeyPackage { version, cipher_suite, init_key, leaf_node, extensions, signature }
    ParentNode { encryption_key, parent_hash, unmerged_leaves }
    PublicMessage { content, auth, membership_tag }
    RatchetTree { nodes }
    ReInit { group_id, version, cipher_suite, extensions }
    RequiredCapabilities { extension_types, proposal_types, credential_types }
    UpdatePath { leaf_node, nodes }
    UpdatePathNode { encryption_key, encrypted_path_secret }
    Welcome { cipher_suite, secrets, encrypted_group_info }
    AuthenticatedContent { wire_format, content, auth }
}

impl Describe for Lifetime {
    fn describe(&self, _: &mut Notes) -> Item {
        Item::Record(vec![("not_before", Item::Time(self.not_before)), ("not_after", Item::Time(self.not_after))])
    }
}

impl Describe for Credential {
    fn describe(&self, notes: &mut Notes) -> Item {
        let content = match self {
            Self::Basic { identity } => ("identity", text(identity)),
            Self::X509 { certificates } => ("certificates", certificates.describe(notes)),
            Self::Other { body, .. } => ("body", body.describe(notes)),
        };
        Item::Record(vec![("credential_type", self.credential_type().describe(notes)), content])
    }
}

impl Describe for LeafNode {
    fn describe(&self, notes: &mut Notes) -> Item {
        let mut fields = vec![
            ("encryption_key", self.encryption_key.describe(notes)),
            ("signature_key", self.signature_key.describe(notes)),
            ("credential", self.credential.describe(notes)),
            ("capabilities", self.capabilities.describe(notes)),
        ];
        match &self.leaf_node_source {
            LeafNodeSource::KeyPackage(lifetime) => {
                fields.push(("leaf_node_source", Item::Word("key_package")));
                fields.push(("lifetime", lifetime.describe(notes)));
            }
            LeafNodeSource::Update => fields.push(("leaf_node_source", Item::Word("update"))),
            LeafNodeSource::Commit { parent_hash } => {
                fields.push(("leaf_node_source", Item::Word("commit")));
                fields.push(("parent_hash", parent_hash.describe(notes)));
            }
        }
        fields.push(("extensions", self.extensions.describe(notes)));
        fields.push(("signature", self.signature.describe(notes)));
        Item::Record(fields)
    }
}

impl Describe for Node {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::Record(vec![match self {
            Self::Leaf(leaf) => ("leaf_node", leaf.describe(notes)),
            Self::Parent(parent) => ("parent_node", parent.describe(notes)),
        }])
    }
}

impl Describe for Extensions {
    fn describe(&self, notes: &mut Notes) -> Item {
        self.list.describe(notes)
    }
}

impl Describe for Extension {
    fn describe(&self, notes: &mut Notes) -> Item {
        let data = match self.known_data(notes) {
            Ok(known) => known.unwrap_or_else(|| self.extension_data.describe(notes)),
            Err(error) => {
                notes.problems.push(Problem { extension_type: self.extension_type, error });
                self.extension_data.describe(notes)
            }
        };
        Item::Record(vec![("extension_type", self.extension_type.describe(notes)), ("extension_data", data)])
    }
}

/// The data of an extension, if RFC 9420 says what is in it.
trait KnownData {
    fn known_data(&self, notes: &mut Notes) -> Result<Option<Item>, DecodeError>;
}

impl KnownData for Extension {
    fn known_data(&self, notes: &mut Notes) -> Result<Option<Item>, DecodeError> {
        fn read<T: for<'a> Decode<'a> + Describe>(data: &[u8], notes: &mut Notes) -> Result<Option<Item>, DecodeError> {
            T::from_bytes(data, &notes.limits).map(|value| Some(value.describe(notes)))
        }
        let data = self.extension_data.as_slice();
        match self.extension_type {
            ExtensionType::APPLICATION_ID => {
                Opaque::from_bytes(data, &notes.limits).map(|application_id| Some(text(application_id)))
            }
            ExtensionType::RATCHET_TREE => read::<RatchetTree>(data, notes),
            ExtensionType::REQUIRED_CAPABILITIES => read::<RequiredCapabilities>(data, notes),
            ExtensionType::EXTERNAL_PUB => read::<ExternalPub>(data, notes),
            ExtensionType::EXTERNAL_SENDERS => read::<Vec<ExternalSender>>(data, notes),
            _ => Ok(None),
        }
    }
}

impl Describe for Psk {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::Record(match self {
            Self::External { psk_id } => vec![("psktype", Item::Word("external")), ("psk_id", text(psk_id))],
            Self::Resumption { usage, psk_group_id, psk_epoch } => vec![
                ("psktype", Item::Word("resumption")),
                ("usage", usage.describe(notes)),
                ("psk_group_id", psk_group_id.describe(notes)),
                ("psk_epoch", psk_epoch.describe(notes)),
            ],
        })
    }
}

impl Describe for PreSharedKeyId {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::Record(vec![("psk", self.psk.describe(notes)), ("psk_nonce", self.psk_nonce.describe(notes))])
    }
}

impl Describe for Proposal {
    fn describe(&self, notes: &mut Notes) -> Item {
        let content = match self {
            Self::Add { key_package } => ("key_package", key_package.describe(notes)),
            Self::Update { leaf_node } => ("leaf_node", leaf_node.describe(notes)),
            Self::Remove { removed } => ("removed", removed.describe(notes)),
            Self::PreSharedKey { psk } => ("psk", psk.describe(notes)),
            Self::ReInit(reinit) => ("reinit", reinit.describe(notes)),
            Self::ExternalInit { kem_output } => ("kem_output", kem_output.describe(notes)),
            Self::GroupContextExtensions { extensions } => ("extensions", extensions.describe(notes)),
            Self::SelfRemove => return Item::Record(vec![("proposal_type", self.proposal_type().describe(notes))]),
            Self::Custom { body, .. } => ("body", body.describe(notes)),
        };
        Item::Record(vec![("proposal_type", self.proposal_type().describe(notes)), content])
    }
}

impl Describe for ProposalOrRef {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::Record(vec![match self {
            Self::Proposal(proposal) => ("proposal", proposal.describe(notes)),
            Self::Reference(reference) => ("reference", reference.describe(notes)),
        }])
    }
}

impl Describe for Sender {
    fn describe(&self, _: &mut Notes) -> Item {
        let (sender_type, index) = match *self {
            Self::Member(leaf_index) => ("member", Some(("leaf_index", leaf_index.0))),
            Self::External(sender_index) => ("external", Some(("sender_index", sender_index))),
            Self::NewMemberProposal => ("new_member_proposal", None),
            Self::NewMemberCommit => ("new_member_commit", None),
        };
        let index = index.map(|(name, value)| (name, Item::Number(value.into())));
        Item::Record([("sender_type", Item::Word(sender_type))].into_iter().chain(index).collect())
    }
}

impl Describe for FramedContent {
    fn describe(&self, notes: &mut Notes) -> Item {
        let content = match &self.content {
            Content::Application(data) => ("application_data", text(data)),
            Content::Proposal(proposal) => ("proposal", proposal.describe(notes)),
            Content::Commit(commit) => ("commit", commit.describe(notes)),
        };
        Item::Record(vec![
            ("group_id", self.group_id.describe(notes)),
            ("epoch", self.epoch.describe(notes)),
            ("sender", self.sender.describe(notes)),
            ("authenticated_data", text(&self.authenticated_data)),
            ("content_type", self.content.content_type().describe(notes)),
            content,
        ])
    }
}

impl Describe for PrivateMessage {
    fn describe(&self, notes: &mut Notes) -> Item {
        Item::Record(vec![
            ("group_id", self.group_id.describe(notes)),
            ("epoch", self.epoch.describe(notes)),
            ("content_type", self.content_type.describe(notes)),
            ("authenticated_data", text(&self.authenticated_data)),
            ("encrypted_sender_data", self.encrypted_sender_data.describe(notes)),
            ("ciphertext", self.ciphertext.describe(notes)),
        ])
    }
}

impl Describe for MlsMessage {
    fn describe(&self, notes: &mut Notes) -> Item {
        let body = match self {
            Self::PublicMessage(message) => ("public_message", message.describe(notes)),
            Self::PrivateMessage(message) => ("private_message", message.describe(notes)),
            Self::Welcome(welcome) => ("welcome", welcome.describe(notes)),
            Self::GroupInfo(group_info) => ("group_info", group_info.describe(notes)),
            Self::KeyPackage(key_package) => ("key_package", key_package.describe(notes)),
        };
        Item::Record(vec![
            ("version", ProtocolVersion::MLS10.describe(notes)),
            ("wire_format", self.wire_format().describe(notes)),
            body,
        ])
    }
}
