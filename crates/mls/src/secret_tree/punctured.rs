//! A binary tree of secrets of which every part can be given up for good (RFC 9420 §9).
//!
//! Only the *frontier* is kept: the secrets of the highest nodes that have not been consumed. To
//! evaluate a leaf means to take its ancestor in the frontier, derive down, and keep the siblings
//! met on the way. Afterwards the leaf cannot be derived again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Debug;

use keyroom_crypto::labels::expand_with_label;
use keyroom_crypto::{CryptoError, Secret, Suite};

/// One of the two children of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The bit 0.
    Left,
    /// The bit 1.
    Right,
}

impl Side {
    /// The sibling's side.
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// The context of the derivation (§9).
    const fn context(self) -> &'static [u8] {
        match self {
            Self::Left => b"left",
            Self::Right => b"right",
        }
    }
}

/// The way from the root to a leaf, most significant bit first. Levels count from the root.
pub trait Path: Clone + Ord + Debug {
    /// Where the way goes below `level`.
    fn side(&self, level: u16) -> Side;

    /// The first `level` steps; the others are set to left.
    fn prefix(&self, level: u16) -> Self;

    /// The same way with another step below `level`.
    fn toward(&self, level: u16, side: Side) -> Self;
}

/// Names a node: how far below the root, and on which way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName<P> {
    /// Distance from the root.
    pub level: u16,
    /// The way there; steps from `level` on are left.
    pub path: P,
}

/// The leaf cannot be derived: it, or what it follows from, was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctureError {
    /// Nothing is left from which the leaf follows.
    Consumed,
    /// The KDF refused.
    Crypto(CryptoError),
}

impl From<CryptoError> for PunctureError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

/// What evaluating a leaf does to the tree, not done yet. Dropping it changes nothing.
#[derive(Debug)]
pub struct TreePuncture<P> {
    removed: NodeName<P>,
    inserted: Vec<(NodeName<P>, Secret)>,
}

impl<P> TreePuncture<P> {
    /// All nodes whose secrets come or go.
    pub fn touched(&self) -> impl Iterator<Item = &NodeName<P>> {
        core::iter::once(&self.removed).chain(self.inserted.iter().map(|(node, _)| node))
    }
}

/// The secret that a puncture took out of the tree.
#[derive(Debug)]
pub struct Consumed<P> {
    node: NodeName<P>,
    secret: Secret,
    inserted: Vec<NodeName<P>>,
}

/// The secrets of the highest unconsumed nodes of a tree of `2^depth` leaves.
#[derive(Debug)]
pub struct PuncturedTree<P> {
    depth: u16,
    frontier: BTreeMap<NodeName<P>, Secret>,
}

impl<P: Path> PuncturedTree<P> {
    /// A whole tree; `origin` is any path.
    pub fn new(root: Secret, depth: u16, origin: &P) -> Self {
        let mut tree = Self::empty(depth);
        tree.insert(NodeName { level: 0, path: origin.prefix(0) }, root);
        tree
    }

    /// A tree of which nothing is left, or nothing loaded yet.
    pub fn empty(depth: u16) -> Self {
        Self { depth, frontier: BTreeMap::new() }
    }

    /// Levels below the root.
    pub fn depth(&self) -> u16 {
        self.depth
    }

    /// Attaches a stored secret of the frontier.
    pub fn insert(&mut self, node: NodeName<P>, secret: Secret) {
        self.frontier.insert(node, secret);
    }

    /// The secret of a node, if the node is in the frontier.
    pub fn secret(&self, node: &NodeName<P>) -> Option<&Secret> {
        self.frontier.get(node)
    }

    /// All nodes of the frontier.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName<P>> {
        self.frontier.keys()
    }

    /// Derives the secret of a leaf, on copies. The tree changes when the puncture is applied.
    ///
    /// # Errors
    /// [`PunctureError::Consumed`].
    pub fn evaluate(&self, suite: &dyn Suite, leaf: &P) -> Result<(Secret, TreePuncture<P>), PunctureError> {
        let (ancestor, secret) = self.cover(leaf).ok_or(PunctureError::Consumed)?;
        let mut secret = secret.duplicate();
        let mut inserted = Vec::with_capacity(usize::from(self.depth.saturating_sub(ancestor.level)));
        for level in ancestor.level..self.depth {
            let side = leaf.side(level);
            let sibling = leaf.prefix(level).toward(level, side.other());
            inserted.push((NodeName { level: level + 1, path: sibling }, child(suite, &secret, side.other())?));
            secret = child(suite, &secret, side)?;
        }
        Ok((secret, TreePuncture { removed: ancestor.clone(), inserted }))
    }

    /// Gives up what was evaluated. The puncture must come from this state of the tree. Whoever keeps
    /// the result can [restore](Self::restore) it; dropping it is what erases the secret.
    pub fn apply(&mut self, puncture: TreePuncture<P>) -> Option<Consumed<P>> {
        let secret = self.frontier.remove(&puncture.removed)?;
        let inserted = puncture.inserted.iter().map(|(node, _)| node.clone()).collect();
        self.frontier.extend(puncture.inserted);
        Some(Consumed { node: puncture.removed, secret, inserted })
    }

    /// Takes the last [`apply`](Self::apply) back.
    pub fn restore(&mut self, consumed: Consumed<P>) {
        consumed.inserted.iter().for_each(|node| drop(self.frontier.remove(node)));
        self.frontier.insert(consumed.node, consumed.secret);
    }

    /// The node of the frontier from which a leaf follows.
    fn cover(&self, leaf: &P) -> Option<(&NodeName<P>, &Secret)> {
        (0..=self.depth).find_map(|level| self.frontier.get_key_value(&NodeName { level, path: leaf.prefix(level) }))
    }
}

fn child(suite: &dyn Suite, secret: &Secret, side: Side) -> Result<Secret, CryptoError> {
    expand_with_label(suite, secret.expose(), "tree", side.context(), suite.kdf().output_len())
}

impl Path for u32 {
    fn side(&self, level: u16) -> Side {
        let bit = 0x8000_0000_u32.checked_shr(level.into()).unwrap_or(0);
        if self & bit == 0 { Side::Left } else { Side::Right }
    }

    fn prefix(&self, level: u16) -> Self {
        self & Self::MAX.checked_shl(32_u32.saturating_sub(level.into())).unwrap_or(0)
    }

    fn toward(&self, level: u16, side: Side) -> Self {
        let bit = 0x8000_0000_u32.checked_shr(level.into()).unwrap_or(0);
        match side {
            Side::Left => self & !bit,
            Side::Right => self | bit,
        }
    }
}

impl<const N: usize> Path for [u8; N] {
    fn side(&self, level: u16) -> Side {
        let byte = self.get(usize::from(level / 8)).copied().unwrap_or(0);
        if byte & (0x80 >> (level % 8)) == 0 { Side::Left } else { Side::Right }
    }

    fn prefix(&self, level: u16) -> Self {
        let mut prefix = *self;
        let (whole, bits) = (usize::from(level / 8), level % 8);
        if let Some(byte) = prefix.get_mut(whole) {
            *byte &= !(0xff >> bits);
        }
        prefix.iter_mut().skip(whole + 1).for_each(|byte| *byte = 0);
        prefix
    }

    fn toward(&self, level: u16, side: Side) -> Self {
        let mut path = *self;
        if let Some(byte) = path.get_mut(usize::from(level / 8)) {
            let bit = 0x80 >> (level % 8);
            match side {
                Side::Left => *byte &= !bit,
                Side::Right => *byte |= bit,
            }
        }
        path
    }
}
