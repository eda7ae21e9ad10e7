//! The cases, one file for each section of the checklist.

mod a_syntax;
mod b_primitives;
mod d_leaf_nodes;
mod e_key_packages;
mod f_framing;
mod g_private_messages;
mod h_proposals;
mod i_proposal_lists;
mod j_external_commits;
mod k_commits;
mod l_trees;
mod m_welcomes;
mod successors;

use keyroom_insider::flipped as flip;
use keyroom_insider::proposals::extensions;
use keyroom_wire::{ExtensionType, RequiredCapabilities};

use crate::book::Book;
use crate::corpus::FILES;
use crate::stage::Stage;

/// Suites beyond the first, for which one case of each of these rows is made.
const OTHER_SUITES: [u16; 2] = [2, 3];
const ROWS_IN_OTHER_SUITES: [u16; 30] = [
    3, 15, 21, 24, 47, 48, 74, 75, 97, 98, 99, 102, 107, 109, 111, 124, 130, 141, 155, 165, 172, 175, 177, 178, 179,
    190, 191, 206, 211, 216,
];

type Section = fn(&mut Book, &Stage);

const SECTIONS: [Section; 12] = [
    a_syntax::cases,
    b_primitives::cases,
    d_leaf_nodes::cases,
    e_key_packages::cases,
    f_framing::cases,
    g_private_messages::cases,
    h_proposals::cases,
    i_proposal_lists::cases,
    j_external_commits::cases,
    k_commits::cases,
    l_trees::cases,
    m_welcomes::cases,
];

/// Every file with its cases.
pub(crate) fn all() -> Vec<(&'static str, Book)> {
    let first = Stage::plain(1);
    let others = OTHER_SUITES.map(Stage::plain);
    let made = FILES.into_iter().zip(SECTIONS).map(|(file, section)| {
        let mut book = Book::default();
        section(&mut book, &first);
        for stage in &others {
            let mut few = Book::of_rows(&ROWS_IN_OTHER_SUITES);
            section(&mut few, stage);
            book.cases.extend(few.cases);
        }
        (file, book)
    });
    made.collect()
}

/// Required capabilities of one extension type, proposal type or credential type each.
fn required(extension: Option<u16>, proposal: Option<u16>, credential: Option<u16>) -> RequiredCapabilities {
    RequiredCapabilities {
        extension_types: extension.into_iter().map(ExtensionType).collect(),
        proposal_types: proposal.into_iter().map(keyroom_wire::ProposalType).collect(),
        credential_types: credential.into_iter().map(keyroom_wire::CredentialType).collect(),
    }
}
