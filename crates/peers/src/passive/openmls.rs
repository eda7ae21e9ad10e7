use keyroom_negative::Opening;
use openmls::group::{MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls::prelude::tls_codec::Deserialize;
use openmls::prelude::{
    Ciphersuite, CredentialWithKey, HpkePrivateKey, KeyPackage, KeyPackageBundle, KeyPackageRef,
    MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider, ProcessedMessageContent,
    ProtocolVersion, RatchetTreeIn,
};
use openmls::schedule::PreSharedKeyId;
use openmls::storage::StorageProvider;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use super::{Passive, text};

struct OpenMls {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    group: Option<MlsGroup>,
    reference: KeyPackageRef,
    package: KeyPackageBundle,
}

pub(super) fn client(opening: &Opening) -> Result<Box<dyn Passive>, String> {
    let suite = Ciphersuite::try_from(opening.cipher_suite).map_err(text)?;
    let provider = OpenMlsRustCrypto::default();
    for psk in &opening.external_psks {
        // Only the identifier is kept; the nonce does not matter.
        PreSharedKeyId::external(psk.psk_id.to_vec(), Vec::new()).store(&provider, &psk.psk).map_err(text)?;
    }
    let key_package = key_package(&provider, &opening.key_package)?;
    let public = key_package.leaf_node().signature_key().as_slice().to_vec();
    let signer = SignatureKeyPair::from_raw(suite.signature_algorithm(), opening.signature_priv.to_vec(), public);
    let reference = key_package.hash_ref(provider.crypto()).map_err(text)?;
    let bundle = bundle(&key_package, &opening.init_priv, &opening.encryption_priv)?;
    store(provider.storage(), &reference, &bundle)?;
    Ok(Box::new(OpenMls { provider, signer, group: None, reference, package: bundle }))
}

fn key_package(provider: &OpenMlsRustCrypto, message: &[u8]) -> Result<KeyPackage, String> {
    match MlsMessageIn::tls_deserialize_exact(message).map_err(text)?.extract() {
        MlsMessageBodyIn::KeyPackage(package) => {
            package.validate(provider.crypto(), ProtocolVersion::Mls10).map_err(text)
        }
        other => Err(format!("NoKeyPackage({other:?})")),
    }
}

/// Outside of its tests, OpenMLS makes a bundle only with keys of its own, but reads any from storage.
fn bundle(key_package: &KeyPackage, init: &[u8], encryption: &[u8]) -> Result<KeyPackageBundle, String> {
    let key = |bytes: &[u8]| serde_json::to_value(HpkePrivateKey::from(bytes.to_vec())).map_err(text);
    let stored = serde_json::json!({
        "key_package": serde_json::to_value(key_package).map_err(text)?,
        "private_init_key": key(init)?,
        "private_encryption_key": { "key": key(encryption)? },
    });
    serde_json::from_value(stored).map_err(text)
}

fn join_config() -> MlsGroupJoinConfig {
    let config = MlsGroupJoinConfig::builder().wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY);
    config.use_ratchet_tree_extension(true).build()
}

fn store<S: StorageProvider>(storage: &S, reference: &KeyPackageRef, bundle: &KeyPackageBundle) -> Result<(), String> {
    storage.write_key_package(reference, bundle).map_err(text)
}

impl Passive for OpenMls {
    fn join(&mut self, welcome: &[u8], ratchet_tree: Option<&[u8]>) -> Result<(), String> {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome).map_err(text)?.extract()
        else {
            return Err("NoWelcome".to_owned());
        };
        let tree = ratchet_tree.map(RatchetTreeIn::tls_deserialize_exact).transpose().map_err(text)?;
        let staged = StagedWelcome::new_from_welcome(&self.provider, &join_config(), welcome, tree).map_err(text)?;
        self.group = Some(staged.into_group(&self.provider).map_err(text)?);
        Ok(())
    }

    fn join_second(&mut self, welcome: &[u8]) -> Result<(), String> {
        // A key package is forgotten with its first use.
        store(self.provider.storage(), &self.reference, &self.package)?;
        self.join(welcome, None)
    }

    fn succeed(&mut self, welcome: &[u8]) -> Result<(), String> {
        self.join_second(welcome)
    }

    fn enter(&mut self, group_info: &[u8]) -> Result<(), String> {
        let MlsMessageBodyIn::GroupInfo(group_info) =
            MlsMessageIn::tls_deserialize_exact(group_info).map_err(text)?.extract()
        else {
            return Err("NoGroupInfo".to_owned());
        };
        let leaf = self.package.key_package().leaf_node();
        let (credential, signature_key) = (leaf.credential().clone(), leaf.signature_key().clone());
        MlsGroup::external_commit_builder()
            .with_config(join_config())
            .build_group(&self.provider, group_info, CredentialWithKey { credential, signature_key })
            .map_err(text)?
            .load_psks(self.provider.storage())
            .map_err(text)?
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .map(drop)
            .map_err(text)
    }

    fn process(&mut self, message: &[u8]) -> Result<(), String> {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(text)?;
        let message = message.try_into_protocol_message().map_err(text)?;
        let group = self.group.as_mut().expect("a member");
        match group.process_message(&self.provider, message).map_err(text)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(_) => Ok(()),
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal).map_err(text)
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                group.merge_staged_commit(&self.provider, *staged).map_err(text)
            }
            other => Err(text(other)),
        }
    }

    fn add(&mut self, package: &[u8]) -> Result<(), String> {
        let package = key_package(&self.provider, package)?;
        let group = self.group.as_mut().expect("a member");
        group.propose_add_member(&self.provider, &self.signer, &package).map_err(text)?;
        group.clear_pending_proposals(self.provider.storage()).map_err(text)
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().expect("a member").epoch_authenticator().as_slice().to_vec()
    }
}
