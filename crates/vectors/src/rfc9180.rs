//! `hpke/rfc9180.json`: the vectors of RFC 9180 in base and PSK mode.

use keyroom_crypto::hpke::{self, Context, Info};
use keyroom_crypto::{Kem, Provider, Secret, Suite};
use serde::Deserialize;

use crate::{Hex, load};

#[derive(Deserialize)]
struct Case {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    info: Hex,
    #[serde(default)]
    psk: Hex,
    #[serde(default)]
    psk_id: Hex,
    #[serde(rename = "ikmR")]
    ikm_r: Hex,
    #[serde(rename = "ikmE")]
    ikm_e: Hex,
    #[serde(rename = "skRm")]
    sk_r: Hex,
    #[serde(rename = "pkRm")]
    pk_r: Hex,
    #[serde(rename = "skEm")]
    sk_e: Hex,
    enc: Hex,
    shared_secret: Hex,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: Hex,
    ct: Hex,
    pt: Hex,
}

#[derive(Deserialize)]
struct Export {
    exporter_context: Hex,
    #[serde(rename = "L")]
    length: usize,
    exported_value: Hex,
}

/// Every KEM of the provider agrees with every case that names it, and every suite with the cases
/// that name its KEM, KDF and AEAD. There are none for DHKEM(P-384).
///
/// # Panics
/// If it does not.
pub fn rfc9180(provider: &dyn Provider) {
    let Some(cases) = load::<Vec<Case>>("hpke/rfc9180.json") else { return };
    for suite in provider.suites() {
        let named = |case: &&Case| case.kem_id == suite.kem().id();
        let whole =
            |case: &&Case| named(case) && case.kdf_id == suite.hpke_kdf_id() && case.aead_id == suite.hpke_aead_id();
        cases.iter().filter(named).for_each(|case| kem(suite.kem(), case));
        let met = cases.iter().filter(whole).map(|case| key_schedule(suite, case)).count();
        assert_eq!(met, expected(suite.kem().id()), "cases of {}", suite.cipher_suite());
    }
}

/// The file has a base and a PSK case for the combination of each suite, but nothing for P-384 and
/// for what is not a DHKEM.
fn expected(kem_id: u16) -> usize {
    match kem_id {
        0x0010 | 0x0012 | 0x0020 | 0x0021 => 2,
        _ => 0,
    }
}

fn kem(kem: &dyn Kem, case: &Case) {
    let recipient = kem.derive_key_pair(&case.ikm_r).unwrap();
    assert_eq!((recipient.private.expose(), recipient.public.as_slice()), (&*case.sk_r, &*case.pk_r));
    assert_eq!(kem.derive_key_pair(&case.ikm_e).unwrap().private.expose(), &*case.sk_e);
    let (secret, encapsulated) = kem.encap(&case.pk_r, &case.ikm_e).unwrap();
    assert_eq!((secret.expose(), encapsulated.as_slice()), (&*case.shared_secret, &*case.enc));
    assert_eq!(kem.decap(&case.enc, &case.sk_r).unwrap().expose(), &*case.shared_secret);
}

fn key_schedule(suite: &dyn Suite, case: &Case) {
    let info = match case.mode {
        0 => Info::base(suite, &case.info),
        1 => Info::psk(suite, &case.info, Secret::copy_of(&case.psk), &case.psk_id).unwrap(),
        mode => panic!("mode {mode}"),
    };
    let (encapsulated, mut sender) =
        hpke::setup_sender(suite, &info, &case.pk_r, &Secret::copy_of(&case.ikm_e)).unwrap();
    assert_eq!(encapsulated, *case.enc);
    let mut receiver = hpke::setup_receiver(suite, &info, &case.sk_r, &case.enc).unwrap();
    for message in &case.encryptions {
        assert_eq!(sender.seal(suite, &message.aad, &message.pt).unwrap(), *message.ct);
        assert_eq!(**receiver.open(suite, &message.aad, &message.ct).unwrap(), *message.pt);
    }
    exports(suite, case, &sender);
    exports(suite, case, &receiver);
}

fn exports(suite: &dyn Suite, case: &Case, context: &Context) {
    for export in &case.exports {
        let value = context.export(suite, &export.exporter_context, export.length).unwrap();
        assert_eq!(value.expose(), &*export.exported_value);
    }
}
