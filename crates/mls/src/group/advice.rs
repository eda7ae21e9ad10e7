//! Who should commit next.
//!
//! In a large group that was just made, nearly every parent is blank: each commit has to encrypt to
//! every member one by one (RFC 9420 §7.4). A commit fills the blanks above its own leaf, so a few
//! commits by the right members make all later ones cheap.

use super::Group;
use crate::error::Error;

/// From how many ciphertexts on filling a part of the tree is advised.
const WORTH_IT: u32 = 16;

/// What a commit by this member would be worth to all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitAdvice {
    /// Ciphertexts that every commit from elsewhere carries now for the part of the tree that this
    /// member is in. After a commit by any member of that part it is one.
    pub ciphertexts: u32,
    /// Members in that part of the tree; each of them gets this advice.
    pub members: u32,
    /// How many of them come before this member. The one with rank 0 should commit; the others
    /// should wait, the longer the higher their rank, in case it is not there.
    pub rank: u32,
}

impl Group {
    /// Whether this member should commit soon, although it has nothing to propose. All members of a
    /// part of the tree come to the same answer without talking to each other. `None` if others would
    /// save fewer than sixteen ciphertexts. O(depth), and looks at the own direct path alone.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Usage::NotMember`](crate::error::Usage::NotMember) after a removal.
    pub fn commit_advice(&self) -> Result<Option<CommitAdvice>, Error> {
        self.check_active()?;
        let Some(crowd) = self.public.tree.crowd_around(self.own_leaf, WORTH_IT)? else { return Ok(None) };
        Ok(Some(CommitAdvice { ciphertexts: crowd.resolution, members: crowd.members, rank: crowd.before }))
    }

    /// How many HPKE ciphertexts a commit of this member carries as the tree stands: its size and its
    /// cost are proportional to it. O(depth).
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Usage::NotMember`](crate::error::Usage::NotMember) after a removal.
    pub fn commit_ciphertexts(&self) -> Result<u32, Error> {
        self.check_active()?;
        let tree = &self.public.tree;
        let steps = tree.filtered_direct_path(self.own_leaf)?;
        let counts = steps.iter().map(|step| tree.resolution_len(step.copath));
        Ok(counts.sum::<Result<u32, _>>()?)
    }
}
