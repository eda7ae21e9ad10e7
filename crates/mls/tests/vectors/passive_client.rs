//! The passive-client vectors: join by Welcome, then follow commits.
use std::sync::Arc;

use keyroom_crypto::{Provider, Secret};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::group::{Group, JoinOptions, Received};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::leaf_node::LifetimeCheck;
use keyroom_vectors::Hex;
use keyroom_wire::{CipherSuite, Decode, Limits, MlsMessage, Psk};
use serde::Deserialize;

use crate::{PROVIDER, private_key};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    external_psks: Vec<ExternalPsk>,
    key_package: Hex,
    encryption_priv: Hex,
    init_priv: Hex,
    welcome: Hex,
    ratchet_tree: Option<Hex>,
    initial_epoch_authenticator: Hex,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct ExternalPsk {
    psk_id: Hex,
    psk: Hex,
}

#[derive(Deserialize)]
struct Epoch {
    proposals: Vec<Hex>,
    commit: Hex,
    epoch_authenticator: Hex,
}

fn run(file: &str, provider: &dyn Provider) {
    let Some(cases) = keyroom_vectors::load::<Vec<Case>>(file) else { return };
    let mut run = 0;
    for (number, case) in cases.iter().enumerate() {
        if provider.suite(CipherSuite(case.cipher_suite)).is_ok() {
            follow(case, provider, number);
            run += 1;
        }
    }
    assert!(run > 0, "no case of {file} has a suite of this provider");
}

fn follow(case: &Case, provider: &dyn Provider, number: usize) {
    let suite = provider.suite(CipherSuite(case.cipher_suite)).unwrap();
    let mut rng = keyroom_vectors::rng(1);
    let mut config = Config::default();
    config.lifetime.check = LifetimeCheck::Order;
    config.received_lifetimes = LifetimeCheck::Order;
    config.joined_lifetimes = LifetimeCheck::Order;
    let config = Arc::new(config);
    let MlsMessage::KeyPackage(key_package) = MlsMessage::from_bytes(&case.key_package, &Limits::default()).unwrap()
    else {
        panic!("case {number}: a key package was expected");
    };
    let bundles = [KeyPackageBundle {
        key_package,
        init_private: Secret::new(private_key(suite, &case.init_priv)),
        leaf_private: Secret::new(private_key(suite, &case.encryption_priv)),
    }];
    let psks: Vec<(Psk, Secret)> = case
        .external_psks
        .iter()
        .map(|psk| (Psk::External { psk_id: psk.psk_id.to_vec().into() }, Secret::copy_of(&psk.psk)))
        .collect();
    let inputs = Inputs { now: 0, psks: &psks };
    let options = JoinOptions { ratchet_tree: case.ratchet_tree.as_deref(), ..JoinOptions::new(&bundles) };
    let joining = Group::join(suite, &case.welcome, &options, config, &inputs, &mut rng)
        .unwrap_or_else(|error| panic!("case {number}: join: {error}"));
    let verdict = joining.questions().accept_unseen();
    let (mut group, _) = joining.accept(&verdict).unwrap();
    assert_eq!(group.epoch_authenticator(), &case.initial_epoch_authenticator[..], "case {number}");
    for epoch in &case.epochs {
        let at = group.epoch();
        for proposal in &epoch.proposals {
            let read = group.process(proposal, &inputs);
            read.unwrap_or_else(|error| panic!("case {number}, epoch {at}: proposal: {error}"));
        }
        let read = group.process(&epoch.commit, &inputs);
        let read = read.unwrap_or_else(|error| panic!("case {number}, epoch {at}: commit: {error}"));
        let Received::Commit(staged) = read.received else { panic!("case {number}: a commit was expected") };
        let verdict = staged.questions().accept_unseen();
        group.apply(staged, &verdict).unwrap_or_else(|error| panic!("case {number}, epoch {at}: apply: {error}"));
        assert_eq!(group.epoch_authenticator(), &epoch.epoch_authenticator[..], "case {number}, epoch {at}");
    }
}

#[test]
fn joins_every_group_of_the_welcome_vectors() {
    run("mls/passive-client-welcome.json", PROVIDER);
}

#[test]
fn follows_every_commit_of_the_handling_commit_vectors() {
    run("mls/passive-client-handling-commit.json", PROVIDER);
}

#[test]
fn follows_a_random_history_of_two_hundred_commits() {
    run("mls/passive-client-random.json", PROVIDER);
}
