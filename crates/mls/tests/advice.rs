//! Who follows the advice makes the commits of all others cheap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_insider::{Member, commit, config, room};
use keyroom_mls::group::CommitAdvice;

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
