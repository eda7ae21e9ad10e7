//! Who follows the advice makes the commits of all others cheap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_insider::{Member, commit, config, room, sent};
use keyroom_mls::error::{Error, Usage};
use keyroom_mls::group::CommitAdvice;
use keyroom_wire::LeafIndex;

const NAMES: [&str; 40] = [
    "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "33", "34", "35", "36", "37",
    "38", "39",
];

fn advice(members: &[Member]) -> Vec<Option<CommitAdvice>> {
    members.iter().map(|member| member.group.commit_advice().unwrap()).collect()
}

fn ciphertexts(members: &[Member]) -> u32 {
    members.iter().map(|member| member.group.commit_ciphertexts().unwrap()).max().unwrap()
}

#[test]
fn all_members_of_a_part_of_the_tree_agree_on_who_goes_first() {
    let mut rng = keyroom_vectors::rng(1);
    let members = room(&NAMES, 1, config(), &mut rng);
    let advice = advice(&members);
    // Forty leaves under a root of depth six. The founder's commit has filled its own path: what lies
    // right of it, and the second quarter, have no key.
    let part = |from: usize, to: usize| {
        for (rank, advice) in advice[from..to].iter().enumerate() {
            let count = u32::try_from(to - from).unwrap();
            let rank = u32::try_from(rank).unwrap();
            assert_eq!(*advice, Some(CommitAdvice { ciphertexts: count, members: count, rank }));
        }
    };
    assert_eq!(advice[..16], [None; 16], "the part around the founder is below the threshold");
    part(16, 32);
    assert_eq!(advice[32..], [None; 8], "eight members on their own are below the threshold");
}

#[test]
fn commits_as_advised_make_every_commit_cheap() {
    let mut rng = keyroom_vectors::rng(2);
    let mut members = room(&NAMES, 1, config(), &mut rng);
    let before = ciphertexts(&members);
    let mut commits = 0;
    while let Some(first) = advice(&members).iter().position(|advice| advice.is_some_and(|advice| advice.rank == 0)) {
        commit(&mut members, first, &mut rng, |builder| builder);
        commits += 1;
        assert!(commits <= 4, "the advice comes to no end");
    }
    assert!(commits > 0);
    let after = ciphertexts(&members);
    assert!(before == 39 && after < 30, "{before} ciphertexts before, {after} after {commits} commits");
}

#[test]
fn who_is_removed_gets_no_advice() {
    let mut rng = keyroom_vectors::rng(3);
    let mut members = room(&["alice", "bob"], 1, config(), &mut rng);
    let (alice, rest) = members.split_first_mut().unwrap();
    let signer = alice.client.signer.as_ref();
    let (pending, _) =
        alice.group.commit().remove(LeafIndex(1)).build(signer, &keyroom_insider::now(), &mut rng).unwrap();
    let bob = &mut rest[0];
    bob.follow(&sent(&pending));
    assert_eq!(bob.group.commit_advice().unwrap_err(), Error::Usage(Usage::NotMember));
    assert_eq!(bob.group.commit_ciphertexts().unwrap_err(), Error::Usage(Usage::NotMember));
}
