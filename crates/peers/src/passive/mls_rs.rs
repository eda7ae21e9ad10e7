use keyroom_negative::Opening;
use mls_rs::client_builder::MlsConfig;
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::group::ExportedTree;
use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client, CryptoProvider, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use super::{Passive, text};

/// Protocol version and wire format, which precede the key package in its message.
const MESSAGE_HEADER: usize = 4;

struct MlsRs<C: MlsConfig> {
    client: Client<C>,
    group: Option<Group<C>>,
    storage: InMemoryKeyPackageStorage,
    /// The reference of the key package, and what is stored of it.
    package: (Vec<u8>, KeyPackageData),
}

impl<C: MlsConfig + Clone> MlsRs<C> {
    /// A key package is forgotten with its first use.
    fn remember(&self) {
        self.storage.insert(self.package.0.clone(), self.package.1.clone());
    }
}

pub(super) fn client(opening: &Opening) -> Result<Box<dyn Passive>, String> {
    let suite = CipherSuite::new(opening.cipher_suite);
    let provider = RustCryptoProvider::new();
    let cipher_suite = provider.cipher_suite_provider(suite).ok_or("UnsupportedCipherSuite")?;
    let message = MlsMessage::from_bytes(&opening.key_package).map_err(text)?;
    let reference = message.key_package_reference(&cipher_suite).map_err(text)?.ok_or("NoKeyPackage")?;
    let key_package = message.as_key_package().ok_or("NoKeyPackage")?;
    let identity = key_package.signing_identity().clone();
    let mut secret = opening.signature_priv.to_vec();
    if suite != CipherSuite::P256_AES128 {
        // Ed25519 keys are kept as a pair.
        secret.extend_from_slice(&identity.signature_key);
    }
    let storage = InMemoryKeyPackageStorage::new();
    let bytes = opening.key_package.get(MESSAGE_HEADER..).unwrap_or_default().to_vec();
    let (init, leaf) = (opening.init_priv.to_vec().into(), opening.encryption_priv.to_vec().into());
    let package = (reference.to_vec(), KeyPackageData::new(bytes, init, leaf, u64::MAX));
    storage.insert(package.0.clone(), package.1.clone());
    let mut builder = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .key_package_repo(storage.clone());
    for psk in &opening.external_psks {
        builder = builder.psk(ExternalPskId::new(psk.psk_id.to_vec()), PreSharedKey::new(psk.psk.to_vec()));
    }
    let client = builder.signing_identity(identity, SignatureSecretKey::new(secret), suite).build();
    Ok(Box::new(MlsRs { client, group: None, storage, package }))
}

impl<C: MlsConfig + Clone> Passive for MlsRs<C> {
    fn join(&mut self, welcome: &[u8], ratchet_tree: Option<&[u8]>) -> Result<(), String> {
        let welcome = MlsMessage::from_bytes(welcome).map_err(text)?;
        let tree = ratchet_tree.map(ExportedTree::from_bytes).transpose().map_err(text)?;
        let joined = self.client.join_group(tree, &welcome, Some(MlsTime::now())).map_err(text)?;
        self.group = Some(joined.0);
        Ok(())
    }

    fn join_second(&mut self, welcome: &[u8]) -> Result<(), String> {
        self.remember();
        self.join(welcome, None)
    }

    fn succeed(&mut self, welcome: &[u8]) -> Result<(), String> {
        self.remember();
        let welcome = MlsMessage::from_bytes(welcome).map_err(text)?;
        let (group, now) = (self.group.as_ref().expect("a member"), Some(MlsTime::now()));
        let joined = match group.clone().get_reinit_client(None, None) {
            Ok(client) => client.join(&welcome, None, now),
            Err(_not_reinitialised) => group.join_subgroup(&welcome, None, now),
        };
        self.group = Some(joined.map_err(text)?.0);
        Ok(())
    }

    fn enter(&mut self, group_info: &[u8]) -> Result<(), String> {
        let group_info = MlsMessage::from_bytes(group_info).map_err(text)?;
        self.client.commit_external(group_info).map(drop).map_err(text)
    }

    fn process(&mut self, message: &[u8]) -> Result<(), String> {
        let message = MlsMessage::from_bytes(message).map_err(text)?;
        let group = self.group.as_mut().expect("a member");
        group.process_incoming_message_with_time(message, MlsTime::now()).map(drop).map_err(text)
    }

    fn add(&mut self, key_package: &[u8]) -> Result<(), String> {
        let message = MlsMessage::from_bytes(key_package).map_err(text)?;
        let group = self.group.as_mut().expect("a member");
        group.commit_builder().add_member(message).map_err(text)?.build().map_err(text)?;
        group.clear_pending_commit();
        Ok(())
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        let group = self.group.as_ref().expect("a member");
        group.epoch_authenticator().expect("an epoch").as_bytes().to_vec()
    }
}
