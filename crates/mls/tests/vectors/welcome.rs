//! The welcome vectors: group secrets, GroupInfo, its signature and its confirmation tag.
use keyroom_crypto::labels;
use keyroom_mls::key_schedule::JoinerSecret;
use keyroom_mls::psk::PskSecret;
use keyroom_vectors::Hex;
use keyroom_wire::{Decode, Encode, GroupInfo, GroupSecrets, Limits, MlsMessage};
use serde::Deserialize;

use crate::{PROVIDER, private_key, suite};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    init_priv: Hex,
    key_package: Hex,
    signer_pub: Hex,
    welcome: Hex,
}

#[test]
fn group_info_of_the_vectors_opens_and_its_signature_and_tag_verify() {
    let Some(cases) = keyroom_vectors::load::<Vec<Case>>("mls/welcome.json") else { return };
    let mut run = 0;
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let limits = Limits::default();
        let MlsMessage::KeyPackage(key_package) = MlsMessage::from_bytes(&case.key_package, &limits).unwrap() else {
            panic!()
        };
        let MlsMessage::Welcome(welcome) = MlsMessage::from_bytes(&case.welcome, &limits).unwrap() else { panic!() };
        let reference = labels::key_package_ref(suite, &key_package.to_bytes());
        let entry = welcome.secrets.iter().find(|entry| entry.new_member == reference).unwrap();
        let context = welcome.encrypted_group_info.as_slice();
        let secret = &entry.encrypted_group_secrets;
        let opened =
            labels::decrypt_with_label(suite, &private_key(suite, &case.init_priv), "Welcome", context, secret)
                .unwrap();
        let secrets = GroupSecrets::from_bytes(&opened, &limits).unwrap();
        assert!(secrets.psks.is_empty());
        let joiner = JoinerSecret::from_welcome(secrets.joiner_secret);
        let member = joiner.into_member(suite, &PskSecret::none(suite));
        let key = member.welcome_key_nonce(suite).unwrap();
        let mut buffer = context.to_vec();
        suite.aead_open(key.key.expose(), key.nonce.expose(), b"", &mut buffer).unwrap();
        let info = GroupInfo::from_bytes(&buffer, &limits).unwrap();
        let signature = info.signature.as_slice();
        labels::verify_with_label(suite, &case.signer_pub, "GroupInfoTBS", &info.tbs(), signature).unwrap();
        let epoch = member.into_epoch(suite, &info.group_context.to_bytes()).unwrap();
        let (secrets, _) = epoch.into_secrets(suite).unwrap();
        let confirmed = info.group_context.confirmed_transcript_hash.as_slice();
        secrets.verify_confirmation_tag(suite, confirmed, &info.confirmation_tag).unwrap();
        run += 1;
    }
    assert_eq!(run, PROVIDER.suites().iter().filter(|suite| suite.cipher_suite().0 <= 7).count());
}
