//! Those who read what an insider says of a group: by Welcome, by external commit, as an observer.

use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Signer};
use keyroom_insider::{Bench, Client, Forged, SecretParts, config, now, suite};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, Rule};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::public::PublicGroup;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{Encode, ExtensionType, GroupInfo, LeafIndex, LeafNode, MlsMessage};

/// What a guest, a stranger and an observer make of a group.
pub(super) type Outcomes = [Result<(), Error>; 3];

/// Gina, who is welcomed; and whatever else a reader needs.
pub(super) struct Readers {
    pub(super) bench: Bench,
    pub(super) gina: Client,
    pub(super) guest: KeyPackageBundle,
    pub(super) config: Arc<Config>,
}

impl Readers {
    pub(super) fn new() -> Self {
        let mut bench = Bench::open();
        let (gina, guest) = bench.newcomer("gina");
        Self { bench, gina, guest, config: config() }
    }

    pub(super) fn forged(&self) -> Forged<'_> {
        Forged::of(&self.bench, &self.gina, &self.guest.key_package)
    }

    /// By Welcome, by external commit, as an observer.
    pub(super) fn outcomes(&self, forged: &Forged<'_>, change: impl Fn(&mut GroupInfo)) -> Outcomes {
        let rng = &mut keyroom_vectors::rng(70);
        let sealed = forged.seal(rng);
        let info = sealed.info(change, rng);
        let welcome = sealed.welcome(&info.to_bytes(), &self.guest.key_package, SecretParts::default(), rng);
        let (welcome, info) = (MlsMessage::Welcome(welcome).to_bytes(), MlsMessage::GroupInfo(info).to_bytes());
        told(&welcome, &info, &self.guest, &self.config)
    }

    /// The tree is changed, the hashes of those who could sign for it follow, and all refuse it.
    #[track_caller]
    pub(super) fn refuse(&self, expected: impl Into<Error>, change: impl Fn(&mut Forged<'_>)) {
        let honest = self.forged();
        assert_eq!(self.outcomes(&honest, |_| {}), [Ok(()), Ok(()), Ok(())], "the group before it is forged");
        let expected = expected.into();
        let mut forged = self.forged();
        change(&mut forged);
        let refused = || Err(expected.clone());
        assert_eq!(self.outcomes(&forged, |_| {}), [refused(), refused(), refused()]);
    }

    /// The key of whoever sits at a leaf.
    pub(super) fn signer(&self, leaf: u32) -> &dyn Signer {
        let member = self.bench.members.iter().find(|member| member.group.own_leaf() == LeafIndex(leaf));
        member.unwrap().client.signer.as_ref()
    }
}

/// What comes of a Welcome for this guest, and of its GroupInfo.
pub(super) fn told(welcome: &[u8], info: &[u8], guest: &KeyPackageBundle, config: &Arc<Config>) -> Outcomes {
    let rng = &mut keyroom_vectors::rng(78);
    let options = JoinOptions::new(std::slice::from_ref(guest));
    let joined = Group::join(suite(1), welcome, &options, config.clone(), &now(), rng).map(drop);
    let hugo = Client::new("hugo", suite(1), rng);
    let bundle = hugo.bundle(rng);
    let external = Group::join_external(suite(1), &bundle, config.clone());
    let external = external.build(info, hugo.signer.as_ref(), &now(), rng).map(drop);
    let observed = PublicGroup::observe(&RUSTCRYPTO, info, None, config.clone(), &now(), rng).map(drop);
    [joined, external, observed]
}

/// Random numbers that need not differ from those of another call.
pub(super) fn rng() -> impl CryptoRng {
    keyroom_vectors::rng(71)
}

/// Something harmless in a leaf, which signs again.
pub(super) fn change_leaf(forged: &mut Forged<'_>, leaf: usize) {
    forged.tree.leaf_mut(leaf).capabilities.extensions.push(ExtensionType(0xff07));
    forged.sign(leaf, &mut rng());
}

/// A leaf is changed and signs again, and so does everybody who vouches for it.
pub(super) fn leaf(readers: &Readers, expected: Rule, change: impl Fn(&mut LeafNode)) {
    readers.refuse(expected, |forged| {
        change(forged.tree.leaf_mut(3));
        forged.sign(3, &mut rng());
        forged.mend(&mut rng());
    });
}
