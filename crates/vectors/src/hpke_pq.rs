//! `hpke/hpke-pq.json`: the vectors of draft-ietf-hpke-pq, and `hpke/x-wing.json`.

use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{Kem, Provider, Secret, Suite};
use serde::Deserialize;

use crate::mixed::Mixed;
use crate::{Hex, load};

#[derive(Deserialize)]
struct Case {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    info: Hex,
    #[serde(rename = "ikmR")]
    ikm_r: Hex,
    #[serde(rename = "ikmE")]
    ikm_e: Hex,
    #[serde(rename = "skRm")]
    sk_r: Hex,
    #[serde(rename = "pkRm")]
    pk_r: Hex,
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

/// A KDF that no suite uses: it hashes with SHAKE in one step.
const SINGLE_STAGE: u16 = 0x0010;

/// Every KEM of the provider agrees with every case that names it, that is keys, encapsulation and
/// decapsulation; and with HKDF, under the KDF and AEAD of whatever suite has them, the key
/// schedule, encryptions and exports.
///
/// # Panics
/// If not.
pub fn hpke_pq(provider: &dyn Provider) {
    let Some(cases) = load::<Vec<Case>>("hpke/hpke-pq.json") else { return };
    let suites = provider.suites();
    for case in &cases {
        assert_eq!(case.mode, 0);
        let Some(with_kem) = suites.iter().find(|suite| suite.kem().id() == case.kem_id) else { continue };
        kem(with_kem.kem(), case);
        if case.kdf_id < SINGLE_STAGE {
            let fits = |suite: &&&dyn Suite| suite.hpke_kdf_id() == case.kdf_id && suite.hpke_aead_id() == case.aead_id;
            let rest = suites.iter().find(fits).expect("a suite with this KDF and AEAD");
            key_schedule(&Mixed { kem: with_kem.kem(), rest: *rest }, case);
        }
    }
    for suite in suites.iter().filter(|suite| suite.kem().id() == 0x0011 || suite.kem().id() > 0x0021) {
        assert!(cases.iter().any(|case| case.kem_id == suite.kem().id()), "a case for {}", suite.cipher_suite());
    }
}

fn kem(kem: &dyn Kem, case: &Case) {
    let recipient = kem.derive_key_pair(&case.ikm_r).unwrap();
    assert_eq!(recipient.public.as_slice(), &*case.pk_r);
    // The file clamps the private key of X448 beforehand.
    if kem.id() == 0x0021 {
        assert_eq!(kem.public_key(&case.sk_r).unwrap(), recipient.public);
    } else {
        assert_eq!(recipient.private.expose(), &*case.sk_r);
    }
    let (secret, encapsulated) = kem.encap(&case.pk_r, &case.ikm_e).unwrap();
    assert_eq!((secret.expose(), encapsulated.as_slice()), (&*case.shared_secret, &*case.enc));
    assert_eq!(kem.decap(&case.enc, &case.sk_r).unwrap().expose(), &*case.shared_secret);
}

fn key_schedule(suite: &dyn Suite, case: &Case) {
    let info = Info::base(suite, &case.info);
    let (encapsulated, mut sender) =
        hpke::setup_sender(suite, &info, &case.pk_r, &Secret::copy_of(&case.ikm_e)).unwrap();
    assert_eq!(encapsulated, *case.enc);
    let mut receiver = hpke::setup_receiver(suite, &info, &case.sk_r, &case.enc).unwrap();
    for message in &case.encryptions {
        assert_eq!(sender.seal(suite, &message.aad, &message.pt).unwrap(), *message.ct);
        assert_eq!(**receiver.open(suite, &message.aad, &message.ct).unwrap(), *message.pt);
    }
    for export in &case.exports {
        let value = receiver.export(suite, &export.exporter_context, export.length).unwrap();
        assert_eq!(value.expose(), &*export.exported_value);
    }
}

#[derive(Deserialize)]
struct XWing {
    seed: Hex,
    eseed: Hex,
    ss: Hex,
    sk: Hex,
    pk: Hex,
    ct: Hex,
}

/// X-Wing of every suite that has it agrees with the vectors of its own draft.
///
/// # Panics
/// If not.
pub fn x_wing(provider: &dyn Provider) {
    let Some(cases) = load::<Vec<XWing>>("hpke/x-wing.json") else { return };
    assert!(!cases.is_empty());
    for suite in provider.suites().iter().filter(|suite| suite.kem().id() == 0x647a) {
        for case in &cases {
            assert_eq!(case.seed, case.sk);
            assert_eq!(suite.kem().public_key(&case.sk).unwrap().as_slice(), &*case.pk);
            let (secret, ciphertext) = suite.kem().encap(&case.pk, &case.eseed).unwrap();
            assert_eq!((secret.expose(), ciphertext.as_slice()), (&*case.ss, &*case.ct));
            assert_eq!(suite.kem().decap(&case.ct, &case.sk).unwrap().expose(), &*case.ss);
        }
    }
}
