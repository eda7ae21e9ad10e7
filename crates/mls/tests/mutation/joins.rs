//! What a joiner and a new observer read.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Bench, Client, INFO, config, now, suite};
use keyroom_mls::error::{Error, Usage};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::public::PublicGroup;
use keyroom_rustcrypto::RUSTCRYPTO;

use super::{mutated, replay, round_rng, share};

/// A Welcome for Gina and a GroupInfo for Eve.
struct Doors {
    bundles: [KeyPackageBundle; 1],
    welcome: Vec<u8>,
    eve: Client,
    eve_bundle: KeyPackageBundle,
    info: Vec<u8>,
}

impl Doors {
    fn open() -> Self {
        let mut bench = Bench::open();
        let (_, bundle) = bench.newcomer("gina");
        let (eve, eve_bundle) = bench.newcomer("eve");
        let Bench { members, rng, .. } = &mut bench;
        let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), &mut **rng).unwrap();
        let bob = &mut members[1];
        let builder = bob.group.commit().add(bundle.key_package.clone());
        let (pending, _) = builder.build(bob.client.signer.as_ref(), &now(), &mut **rng).unwrap();
        let welcome = keyroom_insider::admission(&pending).welcome.unwrap();
        Self { bundles: [bundle], welcome, eve, eve_bundle, info }
    }

    fn join(&self, welcome: &[u8]) -> Result<(), Error> {
        let rng: &mut dyn CryptoRng = &mut keyroom_vectors::rng(1);
        Group::join(suite(1), welcome, &JoinOptions::new(&self.bundles), config(), &now(), rng).map(drop)
    }

    /// The external joiner and the observer agree.
    fn enter(&self, info: &[u8]) -> Result<(), Error> {
        let rng: &mut dyn CryptoRng = &mut keyroom_vectors::rng(1);
        let observed = PublicGroup::observe(&RUSTCRYPTO, info, None, config(), &now(), rng).map(drop);
        let builder = Group::join_external(suite(1), &self.eve_bundle, config());
        let joined = builder.build(info, self.eve.signer.as_ref(), &now(), rng).map(drop);
        assert_eq!(observed.is_ok(), joined.is_ok());
        joined
    }
}

/// It fails, and by the fault of who made it.
#[track_caller]
fn fails(outcome: Result<(), Error>, what: &str) {
    match outcome {
        Ok(()) => panic!("{what}: let in"),
        Err(Error::Missing(_) | Error::Corrupt(_) | Error::Crypto(_)) => panic!("{what}: {outcome:?}"),
        // The name of an unknown suite or message kind.
        Err(Error::Usage(Usage::UnknownCipherSuite | Usage::WrongMessageKind)) => {}
        Err(Error::Usage(_)) => panic!("{what}: {outcome:?}"),
        Err(_) => {}
    }
}

#[test]
fn bad_welcomes_let_nobody_in() {
    let doors = Doors::open();
    doors.join(&doors.welcome).unwrap();
    for cut in (0..doors.welcome.len()).step_by(5) {
        fails(doors.join(&doors.welcome[..cut]), "cut");
    }
    for round in 0..share(12) {
        let damaged = mutated(&doors.welcome, &mut round_rng(round));
        if damaged != doors.welcome {
            fails(doors.join(&damaged), &replay(round));
        }
    }
    doors.join(&doors.welcome).unwrap();
}

#[test]
fn bad_group_infos_let_nobody_in() {
    let doors = Doors::open();
    doors.enter(&doors.info).unwrap();
    for cut in (0..doors.info.len()).step_by(5) {
        fails(doors.enter(&doors.info[..cut]), "cut");
    }
    for round in 0..share(8) {
        let damaged = mutated(&doors.info, &mut round_rng(round));
        if damaged != doors.info {
            fails(doors.enter(&damaged), &replay(round));
        }
    }
    doors.enter(&doors.info).unwrap();
}
