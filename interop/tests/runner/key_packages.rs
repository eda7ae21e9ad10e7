//! What own key packages say.

use keyroom_crypto::Provider;
use keyroom_interop::messages::{CreateKeyPackageRequest, GroupInfoRequest, NewMemberAddProposalRequest};
use keyroom_interop::{Actors, Client, Service, Setup};
use keyroom_mls::leaf_node::Grease;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Content, CredentialType, KeyPackage, MlsMessage, Proposal, ProtocolVersion, is_grease,
};
use tokio::net::TcpListener;

use crate::commits::decoded;
use crate::stage::{client, runners, suites};

fn key_package(message: &[u8]) -> KeyPackage {
    match decoded(message) {
        MlsMessage::KeyPackage(key_package) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

/// Private keys: init, encryption, signature.
fn fits(package: &KeyPackage, [init, encryption, signature]: [&[u8]; 3]) {
    let suite = RUSTCRYPTO.suite(package.cipher_suite).unwrap();
    assert_eq!(suite.kem().public_key(init).unwrap(), package.init_key);
    assert_eq!(suite.kem().public_key(encryption).unwrap(), package.leaf_node.encryption_key);
    assert_eq!(*suite.signer(signature).unwrap().public_key(), package.leaf_node.signature_key);
}

#[tokio::test]
async fn the_private_keys_that_are_shown_fit_the_public_ones() {
    for mut runner in runners().await {
        let request = CreateKeyPackageRequest { cipher_suite: runner.suite, identity: b"bob".to_vec() };
        let made = runner.client("bob").create_key_package(request).await.unwrap();
        fits(&key_package(&made.key_package), [&made.init_priv, &made.encryption_priv, &made.signature_priv]);
        runner.create_group("alice", &[]).await.unwrap();
        let state_id = runner.state("alice");
        let request = GroupInfoRequest { state_id, external_tree: false };
        let group_info = runner.client("alice").group_info(request).await.unwrap().group_info;
        let request = NewMemberAddProposalRequest { group_info, identity: b"charlie".to_vec() };
        let made = runner.client("charlie").new_member_add_proposal(request).await.unwrap();
        let MlsMessage::PublicMessage(message) = decoded(&made.proposal) else { panic!("a public message") };
        let Content::Proposal(Proposal::Add { key_package }) = message.content.content else { panic!("an Add") };
        fits(&key_package, [&made.init_priv, &made.encryption_priv, &made.signature_priv]);
    }
}

#[tokio::test]
async fn a_leaf_supports_every_suite_and_lists_nothing_that_is_default() {
    let mut client = client().await;
    let offered = suites(&mut client).await;
    for cipher_suite in offered.clone() {
        let request = CreateKeyPackageRequest { cipher_suite, identity: b"bob".to_vec() };
        let package = key_package(&client.create_key_package(request).await.unwrap().key_package);
        let capabilities = &package.leaf_node.capabilities;
        assert_eq!(capabilities.versions, [ProtocolVersion::MLS10]);
        assert!(offered.iter().all(|suite| capabilities.cipher_suites.contains(&CipherSuite(*suite as u16))));
        assert!(capabilities.credentials.contains(&CredentialType::BASIC));
        assert!(!capabilities.extensions.iter().any(|extension_type| extension_type.is_default()));
        assert!(!capabilities.proposals.iter().any(|proposal_type| proposal_type.is_default()));
        assert!(package.leaf_node.extensions.list.is_empty() && package.extensions.list.is_empty());
    }
}

#[tokio::test]
async fn reserved_values_stand_where_they_were_asked_for() {
    for (grease, in_capabilities, in_extensions) in
        [(Grease::Omit, false, false), (Grease::Capabilities, true, false), (Grease::Add, true, true)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Service::new(Actors::new(Setup::new(&RUSTCRYPTO).grease(grease))).serve(listener));
        let mut client = Client::connect(address).await.unwrap();
        let request = CreateKeyPackageRequest { cipher_suite: 1, identity: b"bob".to_vec() };
        let package = key_package(&client.create_key_package(request).await.unwrap().key_package);
        let listed = package.leaf_node.capabilities.proposals.iter().any(|proposal_type| is_grease(proposal_type.0));
        assert_eq!(listed, in_capabilities);
        let carried = |extensions: &keyroom_wire::Extensions| extensions.types().any(|kind| is_grease(kind.0));
        assert_eq!(carried(&package.leaf_node.extensions), in_extensions);
        assert_eq!(carried(&package.extensions), in_extensions);
    }
}
