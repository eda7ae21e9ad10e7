use keyroom_crypto::labels::expand_with_label;
use keyroom_crypto::{CryptoError, Suite};
use keyroom_mls::error::Rule;
use keyroom_mls::key_schedule::{CommitSecret, EpochSecret, EpochSecrets, InitSecret, JoinerSecret, PastEpochSecrets};
use keyroom_mls::psk::PskSecret;
use keyroom_vectors::{Hex, load, rng};
use keyroom_wire::Mac;
use serde::Deserialize;

use crate::{secret, suite};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    initial_init_secret: Hex,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    group_context: Hex,
    commit_secret: Hex,
    psk_secret: Hex,
    joiner_secret: Hex,
    welcome_secret: Hex,
    init_secret: Hex,
    sender_data_secret: Hex,
    encryption_secret: Hex,
    exporter_secret: Hex,
    epoch_authenticator: Hex,
    external_secret: Hex,
    confirmation_key: Hex,
    membership_key: Hex,
    resumption_psk: Hex,
    external_pub: Hex,
    exporter: Exporter,
}

#[derive(Deserialize)]
struct Exporter {
    label: String,
    context: Hex,
    length: usize,
    secret: Hex,
}

#[test]
fn every_epoch_has_the_secrets_of_the_vectors() {
    let Some(cases) = load::<Vec<Case>>("mls/key-schedule.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let mut init: InitSecret = secret(&case.initial_init_secret);
        for epoch in &case.epochs {
            let secrets = derive(suite, &init, epoch);
            check(suite, epoch, &secrets);
            init = secret(secrets.init_secret().expose());
        }
    }
}

fn derive(suite: &dyn Suite, init: &InitSecret, epoch: &Epoch) -> EpochSecrets {
    let commit: CommitSecret = secret(&epoch.commit_secret);
    let joiner = JoinerSecret::derive(suite, init, commit, &epoch.group_context).unwrap();
    assert_eq!(joiner.expose(), &*epoch.joiner_secret);

    let psk_secret: PskSecret = secret(&epoch.psk_secret);
    let member = JoinerSecret::from_welcome(joiner.expose()).into_member(suite, &psk_secret);
    let welcome = member.welcome_key_nonce(suite).unwrap();
    let expand = |label, length| expand_with_label(suite, &epoch.welcome_secret, label, b"", length).unwrap();
    assert_eq!(welcome.key.expose(), expand("key", suite.aead_key_len()).expose());
    assert_eq!(welcome.nonce.expose(), expand("nonce", suite.aead_nonce_len()).expose());

    let (secrets, encryption) = member.into_epoch(suite, &epoch.group_context).unwrap().into_secrets(suite).unwrap();
    assert_eq!(encryption.expose(), &*epoch.encryption_secret);
    secrets
}

fn check(suite: &dyn Suite, epoch: &Epoch, secrets: &EpochSecrets) {
    assert_eq!(secrets.init_secret().expose(), &*epoch.init_secret);
    assert_eq!(secrets.sender_data_secret().expose(), &*epoch.sender_data_secret);
    assert_eq!(secrets.exporter_secret().expose(), &*epoch.exporter_secret);
    assert_eq!(secrets.epoch_authenticator().expose(), &*epoch.epoch_authenticator);
    assert_eq!(secrets.external_secret().expose(), &*epoch.external_secret);
    assert_eq!(secrets.confirmation_key().expose(), &*epoch.confirmation_key);
    assert_eq!(secrets.membership_key().expose(), &*epoch.membership_key);
    assert_eq!(secrets.resumption_psk().expose(), &*epoch.resumption_psk);
    assert_eq!(secrets.external_key_pair(suite).unwrap().public.as_slice(), &*epoch.external_pub);
    let Exporter { label, context, length, secret } = &epoch.exporter;
    assert_eq!(secrets.export(suite, label, context, *length).unwrap().expose(), &**secret);
}

fn new_epoch(seed: u64) -> (&'static dyn Suite, EpochSecrets) {
    let suite = suite(1).unwrap();
    (suite, EpochSecret::random(suite, &mut rng(seed)).into_secrets(suite).unwrap().0)
}

#[test]
fn an_external_joiner_and_the_members_get_one_init_secret() {
    for number in 1..=7 {
        let Some(suite) = suite(number) else { continue };
        let (secrets, _) = EpochSecret::random(suite, &mut rng(1)).into_secrets(suite).unwrap();
        let external = secrets.external_key_pair(suite).unwrap();
        let (kem_output, joiner) = InitSecret::encapsulate(suite, &external.public, &mut rng(2)).unwrap();
        let member = InitSecret::decapsulate(suite, &external.private, &kem_output).unwrap();
        assert_eq!(joiner.expose(), member.expose());
        assert_eq!(joiner.expose().len(), suite.kdf().output_len());
        assert!(InitSecret::decapsulate(suite, &external.private, &Vec::new().into()).is_err());
    }
}

#[test]
fn row_102_a_confirmation_tag_that_is_cut_or_empty_or_changed_is_refused() {
    let (suite, secrets) = new_epoch(3);
    let tag = secrets.confirmation_tag(suite, b"transcript");
    let verify = |bytes: &[u8]| secrets.verify_confirmation_tag(suite, b"transcript", &Mac::from(bytes));
    assert_eq!(verify(tag.as_slice()), Ok(()));
    let mut changed = tag.as_slice().to_vec();
    changed[31] ^= 1;
    let longer = [tag.as_slice(), &[0]].concat();
    for bad in [&changed[..], &longer, &tag.as_slice()[..31], &[]] {
        assert_eq!(verify(bad), Err(Rule::ConfirmationTag));
    }
}

#[test]
fn secrets_survive_their_record_and_damaged_records_are_refused() {
    let (suite, secrets) = new_epoch(4);
    let record = secrets.to_record();
    assert_eq!(record.len(), 1 + 8 * 32);
    assert_eq!(EpochSecrets::from_record(suite, &record).unwrap().to_record(), record);
    for length in 0..record.len() {
        assert!(EpochSecrets::from_record(suite, &record[..length]).is_err());
    }
    let past = secrets.into_past().0.to_record();
    assert_eq!(PastEpochSecrets::from_record(suite, &past).unwrap().to_record(), past);
    assert!(EpochSecrets::from_record(suite, &past).is_err());
    assert!(PastEpochSecrets::from_record(suite, &record).is_err());
    assert!(PastEpochSecrets::from_record(suite, &[&past[..], &[0]].concat()).is_err());
}

#[test]
fn row_237_a_past_epoch_keeps_nothing_from_which_the_next_one_follows() {
    let (_, secrets) = new_epoch(5);
    let init = secrets.init_secret().expose().to_vec();
    let past = secrets.into_past().0.to_record();
    assert!(!past.windows(init.len()).any(|window| window == init));
}

#[test]
fn debug_output_shows_no_secret() {
    let (_, secrets) = new_epoch(6);
    let text = format!("{secrets:?}");
    assert!(text.contains("SenderDataSecret(Secret(32 bytes))"), "{text}");
    assert!(!text.contains('['), "{text}");
}

#[test]
fn row_033_exports_longer_than_the_kdf_can_give_are_refused() {
    let (suite, secrets) = new_epoch(7);
    let export = |length| secrets.export(suite, "label", b"context", length);
    assert_eq!(export(255 * 32).unwrap().len(), 255 * 32);
    for length in [255 * 32 + 1, 65_535, 65_536, usize::MAX >> 1] {
        assert_eq!(export(length).unwrap_err(), CryptoError::OutputTooLong);
    }
}
