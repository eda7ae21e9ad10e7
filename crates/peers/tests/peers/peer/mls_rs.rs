use mls_rs::client_builder::MlsConfig;
use mls_rs::extension::ExtensionType;
use mls_rs::group::{CommitEffect, ExportedTree, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, Extension, ExtensionList, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use super::{
    Agreement, BASIC_REQUIRED, CONTEXT, Change, Committed, EXPORTED, Event, GroupExtensions, LABEL, PSK, PSK_ID, Peer,
    Proposal, Style,
};

struct MlsRs<C: MlsConfig> {
    name: String,
    client: Client<C>,
    group: Option<Group<C>>,
}

pub(super) fn client(name: &str, suite: u16, style: Style) -> Box<dyn Peer> {
    let suite = CipherSuite::new(suite);
    let provider = RustCryptoProvider::new();
    let (secret, public) = provider.cipher_suite_provider(suite).unwrap().signature_key_generate().unwrap();
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let private = style == Style::Private;
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_path_required(true).with_ratchet_tree_extension(!private))
        .with_encryption_options(EncryptionOptions::new(private, Default::default()));
    let client = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .mls_rules(rules)
        .psk(ExternalPskId::new(PSK_ID.to_vec()), PreSharedKey::new(PSK.to_vec()))
        .signing_identity(SigningIdentity::new(credential, public), secret, suite)
        .build();
    Box::new(MlsRs { name: name.to_owned(), client, group: None })
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&self) -> &Group<C> {
        self.group.as_ref().expect("a member")
    }

    fn group_mut(&mut self) -> &mut Group<C> {
        self.group.as_mut().expect("a member")
    }
}

fn parse(message: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(message).unwrap()
}

impl<C: MlsConfig + Clone> Peer for MlsRs<C> {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_package(&mut self) -> Vec<u8> {
        let none = ExtensionList::default;
        self.client.generate_key_package_message(none(), none(), None).unwrap().to_bytes().unwrap()
    }

    fn create(&mut self, group_id: &[u8]) {
        let none = ExtensionList::default;
        self.group = Some(self.client.create_group_with_id(group_id.to_vec(), none(), none(), None).unwrap());
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) {
        let tree = tree.map(|tree| ExportedTree::from_bytes(tree).unwrap());
        self.group = Some(self.client.join_group(tree, &parse(welcome), None).unwrap().0);
    }

    fn group_info(&mut self) -> Vec<u8> {
        self.group().group_info_message_allowing_ext_commit(true).unwrap().to_bytes().unwrap()
    }

    fn join_external(&mut self, group_info: &[u8]) -> Vec<u8> {
        let (group, commit) = self.client.commit_external(parse(group_info)).unwrap();
        self.group = Some(group);
        commit.to_bytes().unwrap()
    }

    fn commit(&mut self, change: &Change) -> Committed {
        let group = self.group_mut();
        let mut builder = group.commit_builder();
        for key_package in &change.adds {
            builder = builder.add_member(parse(key_package)).unwrap();
        }
        for removed in &change.removes {
            builder = builder.remove_member(*removed).unwrap();
        }
        if change.psk {
            builder = builder.add_external_psk(ExternalPskId::new(PSK_ID.to_vec())).unwrap();
        }
        if let Some(extensions) = change.extensions {
            let mut list = ExtensionList::default();
            if extensions == GroupExtensions::BasicRequired {
                list.set(Extension::new(ExtensionType::REQUIRED_CAPABILITIES, BASIC_REQUIRED.to_vec()));
            }
            builder = builder.set_group_context_ext(list).unwrap();
        }
        let output = builder.build().unwrap();
        group.apply_pending_commit().unwrap();
        Committed {
            message: output.commit_message().to_bytes().unwrap(),
            welcome: output.welcome_messages().first().map(|welcome| welcome.to_bytes().unwrap()),
            tree: output.ratchet_tree().map(|tree| tree.to_bytes().unwrap()),
        }
    }

    fn propose(&mut self, proposal: &Proposal) -> Vec<u8> {
        let group = self.group_mut();
        let message = match proposal {
            Proposal::Update => group.propose_update(Vec::new()),
            Proposal::Remove(leaf) => group.propose_remove(*leaf, Vec::new()),
            Proposal::Add(key_package) => group.propose_add(parse(key_package), Vec::new()),
        };
        message.unwrap().to_bytes().unwrap()
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        self.group_mut().encrypt_application_message(text, Vec::new()).unwrap().to_bytes().unwrap()
    }

    fn receive(&mut self, message: &[u8]) -> Result<Event, String> {
        let message = MlsMessage::from_bytes(message).map_err(|error| format!("{error:?}"))?;
        match self.group_mut().process_incoming_message(message).map_err(|error| format!("{error:?}"))? {
            ReceivedMessage::ApplicationMessage(message) => {
                Ok(Event::Text { sender: message.sender_index, text: message.data().to_vec() })
            }
            ReceivedMessage::Proposal(_) => Ok(Event::Proposal),
            ReceivedMessage::Commit(commit) => match commit.effect {
                CommitEffect::Removed { .. } => Ok(Event::Removed),
                _ => Ok(Event::NewEpoch),
            },
            other => Err(format!("{other:?}")),
        }
    }

    /// The private keys of a path are set before the confirmation tag is checked.
    fn receive_or_restore(&mut self, message: &[u8]) -> Result<Event, String> {
        let before = self.group.clone();
        let heard = self.receive(message);
        if heard.is_err() {
            self.group = before;
        }
        heard
    }

    fn own_leaf(&self) -> u32 {
        self.group().current_member_index()
    }

    fn agreement(&self) -> Agreement {
        let group = self.group();
        let identity =
            |member: &SigningIdentity| member.credential.as_basic().expect("a basic credential").identifier.clone();
        Agreement {
            epoch: group.current_epoch(),
            epoch_authenticator: group.epoch_authenticator().unwrap().as_bytes().to_vec(),
            exported: group.export_secret(LABEL.as_bytes(), CONTEXT, EXPORTED).unwrap().as_bytes().to_vec(),
            tree: group.export_tree().to_bytes().unwrap(),
            members: group
                .roster()
                .members_iter()
                .map(|member| (member.index, identity(&member.signing_identity)))
                .collect(),
        }
    }
}
