use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{CryptoError, KeyPair, SealJob, Secret, Suite, VerifyJob};

use super::kem::randomness;

const PLAINTEXT: &[u8] = b"a path secret of thirty-two byte";

fn recipients(suite: &dyn Suite, count: u8) -> Vec<KeyPair> {
    (0..count).map(|number| suite.kem().derive_key_pair(&[number; 32]).unwrap()).collect()
}

fn job<'a>(suite: &dyn Suite, public_key: &'a [u8], number: usize) -> SealJob<'a> {
    // Not zero, which is no private key of a NIST curve.
    let randomness = Secret::copy_of(&randomness(suite.kem(), u8::try_from(number + 1).unwrap()));
    SealJob { public_key, plaintext: &PLAINTEXT[..number % 32], randomness }
}

/// [`Suite::seal_many`] is [`hpke::seal`] in a loop, given the same randomness.
///
/// # Panics
/// If an output or its place differs.
pub fn many_seals_equal_single_ones(suite: &dyn Suite) {
    let info = Info::base(suite, b"shared");
    let recipients = recipients(suite, 40);
    for count in [0, 1, 2, 15, 16, 17, 40] {
        let jobs =
            || recipients[..count].iter().enumerate().map(|(number, pair)| job(suite, pair.public.as_slice(), number));
        let many = suite.seal_many(&info, &jobs().collect::<Vec<_>>()).unwrap();
        let one_by_one: Vec<_> = jobs()
            .map(|job| hpke::seal(suite, &info, job.public_key, &job.randomness, b"", job.plaintext).unwrap())
            .collect();
        assert_eq!(many, one_by_one);
    }
}

/// The error of a batch is that of its first bad job.
///
/// # Panics
/// If it is not, or if the batch succeeds.
pub fn many_seals_report_the_first_error(suite: &dyn Suite) {
    let info = Info::base(suite, b"shared");
    let recipients = recipients(suite, 24);
    for bad in [0, 1, 12, 23] {
        let mut jobs: Vec<_> =
            recipients.iter().enumerate().map(|(number, pair)| job(suite, pair.public.as_slice(), number)).collect();
        jobs[bad].public_key = b"no key";
        assert_eq!(suite.seal_many(&info, &jobs).err(), Some(CryptoError::InvalidPublicKey));
        jobs.truncate(bad);
        assert_eq!(suite.seal_many(&info, &jobs).unwrap().len(), bad);
    }
}

/// [`Suite::verify_many`] finds the first bad signature among good ones, wherever it stands.
///
/// # Panics
/// If it does not.
pub fn many_checks_report_the_first_bad_one(suite: &dyn Suite) {
    let mut rng = crate::rng(5);
    let signed: Vec<_> = (0u8..100)
        .map(|number| {
            let private = suite.generate_signature_key(&mut rng).unwrap();
            let signer = suite.signer(private.expose()).unwrap();
            let signature = signer.sign(&[number], &mut rng).unwrap();
            (signer.public_key().clone(), [number], signature)
        })
        .collect();
    let jobs: Vec<_> = signed
        .iter()
        .map(|(key, message, signature)| VerifyJob {
            public_key: key.as_slice(),
            message,
            signature: signature.as_slice(),
        })
        .collect();
    for count in [0, 1, 63, 64, 100] {
        assert_eq!(suite.verify_many(&jobs[..count]), Ok(()));
    }
    for bad in [&[0][..], &[99], &[50], &[7, 80], &[31, 32, 33]] {
        let mut jobs = jobs.clone();
        bad.iter().for_each(|position| jobs[*position].message = b"another");
        assert_eq!(suite.verify_many(&jobs), Err(bad[0]));
    }
}
