//! Every rule by its row: what a member refuses, and that it is the same member afterwards, to the
//! byte; or what it must do or accept. A test is named after the row of `conformance/` it shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::type_complexity,
    reason = "test"
)]

mod rows {
    mod a_syntax;
    mod b_primitives;
    mod c_credentials;
    mod d_leaf_nodes;
    mod e_key_packages;
    mod f_framing;
    mod g_private_messages;
    mod h_proposals;
    mod i_proposal_lists;
    mod j_external_commits;
    mod k_commits;
    mod l_trees;
    mod leaves;
    mod m_welcomes;
    mod n_lifecycle;
    mod readers;
}
