//! The differences between the members that are known, and the measurements behind them.

use keyroom_wire::LeafIndex;

use super::forgery::{FORGERIES, Forgery};
use super::peer::{Change, Event, Kind, Style};
use super::world::World;

/// A difference that is known: who, on what, and which row of `conformance/` says what is right. One
/// that is not here fails the test.
struct Explained {
    who: Kind,
    what: &'static str,
    how: How,
    row: u16,
    why: &'static str,
}

/// In what way a member differs, which says how it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It accepts what must be refused, or a bad message uses up the good one: `docs/peers.md` has it.
    Published,
    /// It refuses like the others but keeps something of what it refused: a test below has it.
    Keeps,
}

const EXPLAINED: [Explained; 8] = [
    Explained {
        who: Kind::MlsRs,
        what: "a message after a spoilt copy of it",
        how: How::Published,
        row: 116,
        why: "a message that fails uses up its key",
    },
    Explained {
        who: Kind::OpenMls,
        what: "a commit that removes one member twice",
        how: How::Published,
        row: 142,
        why: "accepted; other members refuse it",
    },
    Explained {
        who: Kind::OpenMls,
        what: "a commit with group extensions twice",
        how: How::Published,
        row: 146,
        why: "accepted; other members refuse it",
    },
    Explained {
        who: Kind::OpenMls,
        what: "a commit with a path node that has a ciphertext more",
        how: How::Published,
        row: 176,
        why: "accepted where the ciphertext is not for this member",
    },
    Explained {
        who: Kind::MlsRs,
        what: "a commit with a path node that has a ciphertext more",
        how: How::Published,
        row: 176,
        why: "accepted where the ciphertext is not for this member",
    },
    Explained {
        who: Kind::MlsRs,
        what: "a commit with path secrets that are longer",
        how: How::Published,
        row: 177,
        why: "accepted; other members refuse it",
    },
    Explained {
        who: Kind::OpenMls,
        what: "a commit with path secrets that are longer",
        how: How::Published,
        row: 177,
        why: "accepted; other members refuse it",
    },
    Explained {
        who: Kind::MlsRs,
        what: "a commit with a wrong confirmation tag",
        how: How::Keeps,
        row: 102,
        why: "refused, but the private keys of its path stay: what is sealed to the old ones cannot be read",
    },
];

pub(super) fn explained(who: Kind, what: &str, how: How) -> bool {
    EXPLAINED.iter().any(|known| known.who == who && known.what == what && known.how == how)
}

/// `docs/peers.md` has been measured, and another test keeps it true.
#[test]
fn every_explained_difference_is_backed_by_the_published_table() {
    let table = std::fs::read_to_string(keyroom_peers::verdicts::path()).unwrap();
    for Explained { who, what, row, why, .. } in EXPLAINED.iter().filter(|known| known.how == How::Published) {
        let column = if *who == Kind::MlsRs { 5 } else { 6 };
        let lines = table.lines().filter(|line| line.starts_with(&format!("| {row} |")));
        let mut verdicts = lines.filter_map(|line| line.split('|').nth(column));
        let backed = verdicts.any(|verdict| verdict.contains("ACCEPTED") || verdict.contains("then the twin too"));
        assert!(backed, "{who:?}, {what} ({why}): row {row}");
    }
}

/// How the reader took a commit that breaks a rule, and how it took the honest one after it.
struct Taken {
    bad: Result<Event, String>,
    good: Result<Event, String>,
}

/// The maker and the reader are neighbours, so the path of the bad commit replaces the node above
/// them; the honest commit comes from the other side and is sealed to that node as all others know it.
fn taken(reader: Kind, forgery: &Forgery, receive: fn(&mut World, &[u8]) -> Result<Event, String>) -> Taken {
    let mut world = World::founded_by(Kind::Keyroom, 1, Style::Public);
    for kind in [reader, Kind::Keyroom] {
        let guest = world.client(kind);
        world.add(0, vec![guest]);
    }
    let bad = forgery.commit(world.members[0].as_ref(), LeafIndex(2), &mut keyroom_vectors::rng(1));
    let bad = receive(&mut world, &bad);
    let good = world.members[2].commit(&Change::default()).message;
    assert_eq!(world.members[0].receive(&good), Ok(Event::NewEpoch));
    let good = world.members[READER].receive(&good);
    Taken { bad, good }
}

const READER: usize = 1;

#[test]
fn a_refused_commit_leaves_no_trace_but_where_that_is_explained() {
    for reader in [Kind::Keyroom, Kind::MlsRs, Kind::OpenMls] {
        for forgery in &FORGERIES {
            let Taken { bad, good } = taken(reader, forgery, |world, message| world.members[READER].receive(message));
            if bad.is_ok() {
                continue;
            }
            let keeps = explained(reader, forgery.what, How::Keeps);
            assert_eq!(good.is_err(), keeps, "{reader:?}, {}: {bad:?}, then {good:?}", forgery.what);
        }
    }
}

#[test]
fn a_member_that_is_restored_after_a_refused_commit_goes_on() {
    for known in EXPLAINED.iter().filter(|known| known.how == How::Keeps) {
        let forgery = FORGERIES.iter().find(|forgery| forgery.what == known.what).unwrap();
        let Taken { bad, good } =
            taken(known.who, forgery, |world, message| world.members[READER].receive_or_restore(message));
        assert!(bad.is_err(), "{:?}, {}: {bad:?}", known.who, known.what);
        assert_eq!(good, Ok(Event::NewEpoch), "{:?}, {}, row {}: {}", known.who, known.what, known.row, known.why);
    }
}
