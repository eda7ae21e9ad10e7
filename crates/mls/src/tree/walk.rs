//! Walks over all nodes of a tree that are not blank.

use alloc::vec::Vec;

use keyroom_wire::LeafIndex;

use super::error::TreeError;
use super::leaf::Leaf;
use super::node::NodeId;
use super::subtree::Subtree;
use super::{ParentView, Tree};

impl Tree {
    /// All leaves that are not blank, from the left. After an error the iterator ends.
    pub fn leaves(&self) -> impl Iterator<Item = Result<(LeafIndex, &Leaf), TreeError>> {
        self.walk(|subtree| Ok(subtree.leaf()?.map(|leaf| (LeafIndex(subtree.node.index), leaf))))
    }

    /// All parents that are not blank, each before those below it. After an error the iterator ends.
    pub fn parents(&self) -> impl Iterator<Item = Result<(NodeId, ParentView<'_>), TreeError>> {
        self.walk(|subtree| Ok(subtree.parent()?.map(|parent| (subtree.node, ParentView::of(parent)))))
    }

    fn walk<'a, T, F>(&'a self, visit: F) -> Walk<'a, F>
    where
        F: Fn(&Subtree<'a>) -> Result<Option<T>, TreeError>,
    {
        Walk { stack: [self.root()].into(), visit }
    }
}

/// Visits nodes in pre-order and skips what is blank altogether. The stack holds at most one node
/// for each level.
struct Walk<'a, F> {
    stack: Vec<Subtree<'a>>,
    visit: F,
}

impl<'a, T, F> Walk<'a, F>
where
    F: Fn(&Subtree<'a>) -> Result<Option<T>, TreeError>,
{
    fn step(&mut self, subtree: Subtree<'a>) -> Result<Option<T>, TreeError> {
        if let Some((left, right)) = subtree.children()? {
            self.stack.extend([right, left]);
        }
        (self.visit)(&subtree)
    }
}

impl<'a, T, F> Iterator for Walk<'a, F>
where
    F: Fn(&Subtree<'a>) -> Result<Option<T>, TreeError>,
{
    type Item = Result<T, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(subtree) = self.stack.pop() {
            if subtree.is_blank() {
                continue;
            }
            match self.step(subtree) {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(error) => {
                    self.stack.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
