//! What every implementation must be able to do with every other.

use super::peer::{Change, Event, Kind, Proposal, Style, client, openmls_accepts};
use super::world::World;

/// The founder, then two others of the other implementations.
fn cast(keyroom: Kind, founder: Kind) -> [Kind; 3] {
    match founder {
        Kind::MlsRs => [Kind::MlsRs, Kind::OpenMls, keyroom],
        Kind::OpenMls => [Kind::OpenMls, keyroom, Kind::MlsRs],
        Kind::Keyroom | Kind::KeyroomAwsLc | Kind::KeyroomGrease => [keyroom, Kind::MlsRs, Kind::OpenMls],
    }
}

fn added_together(cast: [Kind; 3], suite: u16, style: Style) -> World {
    let mut world = World::founded_by(cast[0], suite, style);
    let others = vec![world.client(cast[1]), world.client(cast[2])];
    world.add(0, others);
    world
}

fn added_in_turn(cast: [Kind; 3], suite: u16, style: Style) -> World {
    let mut world = World::founded_by(cast[0], suite, style);
    let second = world.client(cast[1]);
    world.add(0, vec![second]);
    let third = world.client(cast[2]);
    // Not the founder: every implementation also invites into a group that it has not made.
    world.add(1, vec![third]);
    world
}

/// Each member commits new keys.
fn updates(world: &mut World) {
    for from in 0..world.members.len() {
        world.commit(from, &Change::default());
        world.talk();
    }
}

/// Each member proposes an Update, each other one commits it.
fn updates_by_reference(world: &mut World) {
    let count = world.members.len();
    for (proposer, committer) in pairs(count) {
        world.propose(proposer, &Proposal::Update);
        world.commit(committer, &Change::default());
        world.agree();
    }
    // Several at once: all but the committer.
    for committer in 0..count {
        for proposer in (0..count).filter(|proposer| *proposer != committer) {
            world.propose(proposer, &Proposal::Update);
        }
        world.commit(committer, &Change::default());
        world.agree();
    }
    world.talk();
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |a| (0..count).map(move |b| (a, b))).filter(|(a, b)| a != b)
}

/// A guest is proposed by one and added by another, then proposed for removal by one and removed by
/// another. What is sent afterwards it cannot read.
fn guests_by_reference(world: &mut World, kinds: [Kind; 3]) {
    for ((proposer, committer), kind) in pairs(3).zip(kinds.into_iter().cycle()) {
        let mut guest = world.client(kind);
        world.propose(proposer, &Proposal::Add(guest.key_package()));
        let (committed, _) = world.commit(committer, &Change::default());
        world.welcome(vec![guest], &committed);
        world.talk();

        let leaf = world.members[3].own_leaf();
        world.propose(committer, &Proposal::Remove(leaf));
        let (_, gone) = world.commit(proposer, &Change::default());
        assert_shut_out(world, gone);
    }
}

/// Each removes a guest of each implementation by a proposal in the commit itself; the guest has
/// committed before, so that blanks and unmerged leaves come up.
fn guests_by_value(world: &mut World, kinds: [Kind; 3]) {
    for host in 0..3 {
        for kind in kinds {
            let guest = world.client(kind);
            world.add(host, vec![guest]);
            world.commit(3, &Change::default());
            world.talk();
            let removes = vec![world.members[3].own_leaf()];
            let (_, gone) = world.commit((host + 1) % 3, &Change { removes, ..Change::default() });
            assert_shut_out(world, gone);
        }
    }
}

fn assert_shut_out(world: &mut World, gone: Vec<Box<dyn super::peer::Peer>>) {
    assert_eq!(gone.len(), 1);
    for mut guest in gone {
        for from in 0..world.members.len() {
            let message = world.members[from].send(b"not for guests");
            assert!(guest.receive(&message).is_err(), "{} reads on", guest.name());
            for (position, member) in world.members.iter_mut().enumerate() {
                assert!(position == from || matches!(member.receive(&message), Ok(Event::Text { .. })));
            }
        }
    }
}

/// Each lets a guest of each implementation in by GroupInfo.
fn external_joins(world: &mut World, kinds: [Kind; 3]) {
    for host in 0..3 {
        for kind in kinds {
            let guest = world.client(kind);
            world.join_external(guest, host);
            world.talk();
            let removes = vec![world.members[3].own_leaf()];
            let (_, gone) = world.commit(host, &Change { removes, ..Change::default() });
            assert_shut_out(world, gone);
        }
    }
}

/// Each mixes in a PSK, and adds a guest with one, who must know it too.
fn psks(world: &mut World, kinds: [Kind; 3]) {
    for (host, kind) in (0..3).zip(kinds.into_iter().rev()) {
        world.commit(host, &Change { psk: true, ..Change::default() });
        world.talk();
        let mut guest = world.client(kind);
        let adds = vec![guest.key_package()];
        let (committed, _) = world.commit(host, &Change { adds, psk: true, ..Change::default() });
        world.welcome(vec![guest], &committed);
        world.talk();
        let removes = vec![world.members[3].own_leaf()];
        let (_, gone) = world.commit(host, &Change { removes, ..Change::default() });
        assert_shut_out(world, gone);
    }
}

fn play(keyroom: Kind, founder: Kind, suite: u16, style: Style) {
    play_with(cast(keyroom, founder), suite, style);
}

fn play_with(kinds: [Kind; 3], suite: u16, style: Style) {
    let mut world = added_in_turn(kinds, suite, style);
    world.talk();
    let mut world = {
        drop(std::mem::take(&mut world.members));
        added_together(kinds, suite, style)
    };
    world.talk();
    updates(&mut world);
    updates_by_reference(&mut world);
    guests_by_reference(&mut world, kinds);
    guests_by_value(&mut world, kinds);
    if style == Style::Public {
        external_joins(&mut world, kinds);
    }
    psks(&mut world, kinds);
}

macro_rules! plays {
    ($($name:ident: $keyroom:ident, $founder:ident, $suite:literal, $style:ident;)*) => {$(
        #[test]
        fn $name() {
            play(Kind::$keyroom, Kind::$founder, $suite, Style::$style);
        }
    )*};
}

plays! {
    keyroom_founds_in_suite_1: Keyroom, Keyroom, 1, Public;
    keyroom_founds_in_suite_2: Keyroom, Keyroom, 2, Public;
    keyroom_founds_in_suite_3: Keyroom, Keyroom, 3, Public;
    keyroom_on_aws_lc_founds_in_suite_1: KeyroomAwsLc, KeyroomAwsLc, 1, Public;
    keyroom_on_aws_lc_founds_in_suite_2: KeyroomAwsLc, KeyroomAwsLc, 2, Public;
    keyroom_on_aws_lc_founds_in_suite_3: KeyroomAwsLc, KeyroomAwsLc, 3, Public;
    mls_rs_founds_in_suite_1: Keyroom, MlsRs, 1, Public;
    mls_rs_founds_in_suite_2: Keyroom, MlsRs, 2, Public;
    mls_rs_founds_in_suite_3: Keyroom, MlsRs, 3, Public;
    openmls_founds_in_suite_1: Keyroom, OpenMls, 1, Public;
    openmls_founds_in_suite_2: Keyroom, OpenMls, 2, Public;
    openmls_founds_in_suite_3: Keyroom, OpenMls, 3, Public;
    keyroom_founds_with_private_handshakes: Keyroom, Keyroom, 1, Private;
    mls_rs_founds_with_private_handshakes: Keyroom, MlsRs, 1, Private;
    openmls_founds_with_private_handshakes: Keyroom, OpenMls, 1, Private;
}

/// OpenMLS over RustCrypto ends at suite 3, mls-rs over RustCrypto has suite 7 too.
#[test]
fn keyroom_founds_in_suite_7_without_openmls() {
    play_with([Kind::Keyroom, Kind::MlsRs, Kind::KeyroomAwsLc], 7, Style::Public);
}

#[test]
fn mls_rs_founds_in_suite_7_without_openmls() {
    play_with([Kind::MlsRs, Kind::Keyroom, Kind::MlsRs], 7, Style::Public);
}

/// RFC 9420 §13.5 lets a client send extensions of reserved types in leaves and key packages.
#[test]
fn mls_rs_accepts_grease_in_every_place() {
    let mut world = World::founded_by(Kind::MlsRs, 1, Style::Public);
    let ours = world.client(Kind::KeyroomGrease);
    world.add(0, vec![ours]);
    let theirs = world.client(Kind::MlsRs);
    world.add(1, vec![theirs]);
    updates(&mut world);
    updates_by_reference(&mut world);
}

/// A known defect of OpenMLS up to 0.9.2 (its issue 2156). When this fails, it has been mended, and
/// `Grease::Capabilities` is not needed any more.
#[test]
fn openmls_refuses_extensions_of_reserved_types() {
    assert!(openmls_accepts(&client(Kind::Keyroom, "plain", 1, Style::Public).key_package()));
    assert!(!openmls_accepts(&client(Kind::KeyroomGrease, "greased", 1, Style::Public).key_package()));
}
