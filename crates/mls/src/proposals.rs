//! The list of proposals that a commit covers (RFC 9420 §12.2): what can be checked of it before
//! the tree is touched.
//!
//! [`ProposalTable`] says what each proposal type needs; [`ProposalList`] is a list that has been
//! checked. What the proposals carry (leaves, key packages, extensions) is validated where they are
//! applied, because the extensions in force may change with the same list (§12.3).

mod list;
mod table;

pub use self::list::{ListError, ListRules, ProposalEntry, ProposalList, PskContext};
pub(crate) use self::list::{check_proposal, leaving};
pub use self::table::{CommitUse, PathNeed, ProposalTable, ProposalTypeEntry, SenderType};

#[cfg(test)]
mod tests;
