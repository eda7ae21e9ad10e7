//! Records of a tree: one for each page and one for each leaf, and the summary that the head holds.
//!
//! A leaf record is the bytes of the leaf. A page record holds the parents that are not blank and,
//! for each subtree below, hash and sums; the hashes of the inner rows are recomputed when it is read.
//! The tree hash covers parents and hashes; how the sums divide among the subtrees is checked when
//! the page below is read, and until then rests on the seal of the record.

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::{Decode, DecodeError, DecodeErrorKind, Encode, LeafIndex, Limits, Reader};

use super::Tree;
use super::error::{RecordFault, TreeError};
use super::hash::{BlankMemo, vector};
use super::node::MAX_DEPTH;
use super::page::{ABSENT, Content, Geometry, Kid, Page, PageId, Parent, Position, Summary, TOP, level};
use super::wire_form::encode_parent;
use crate::record::{RecordKey, RecordKind};

/// Records are compared with what the tree commits to, and are as long as the store says.
const NO_LIMITS: Limits = Limits { message: usize::MAX, vector: usize::MAX, field: usize::MAX };

/// The name of the record of a page.
pub(super) fn page_key(page: PageId) -> RecordKey {
    RecordKey::new(RecordKind::Page, page.row.into(), page.index.into())
}

/// The name of the record of a leaf.
pub(super) fn leaf_key(leaf: LeafIndex) -> RecordKey {
    RecordKey::new(RecordKind::Leaf, 0, leaf.0.into())
}

/// What a record key of this module names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordName {
    Page(PageId),
    Leaf(LeafIndex),
}

impl RecordName {
    /// `None` if the key is not one of a tree.
    pub(super) fn of(key: RecordKey) -> Option<Self> {
        let index = u32::try_from(key.minor).ok()?;
        match key.kind {
            RecordKind::Leaf if key.major == 0 => Some(Self::Leaf(LeafIndex(index))),
            RecordKind::Page => Some(Self::Page(PageId { row: key.major.try_into().ok()?, index })),
            _ => None,
        }
    }
}

impl Tree {
    /// What the head record holds of the tree: depth, tree hash, sums and the size of pages.
    ///
    /// # Errors
    /// [`TreeError::NotHashed`] after a change.
    pub fn summary(&self) -> Result<Vec<u8>, TreeError> {
        let hash = self.hash.ok_or(TreeError::NotHashed)?;
        let mut out = Vec::new();
        out.extend_from_slice(&[self.geometry.levels, self.depth]);
        encode_summary(&mut out, self.root.summary);
        self.no_blank_before.encode(&mut out);
        vector(&mut out, &hash);
        Ok(out)
    }

    /// A tree of which only the summary is in memory.
    ///
    /// # Errors
    /// [`TreeError::Record`] with the key of the head if the summary is malformed.
    pub fn from_summary(suite: &'static dyn Suite, summary: &[u8]) -> Result<Self, TreeError> {
        let fault = TreeError::record(RecordKey::HEAD, RecordFault::Malformed);
        let head = Head::decode(summary).map_err(|_| fault.clone())?;
        let geometry = Geometry { levels: head.levels, hash_len: suite.kdf().output_len() };
        let levels_fit = (1..=Geometry::MOST_LEVELS).contains(&geometry.levels);
        if !levels_fit || head.depth > MAX_DEPTH || head.hash.len() != geometry.hash_len {
            return Err(fault);
        }
        Ok(Self {
            suite,
            geometry,
            depth: head.depth,
            root: stored(head.summary),
            hash: Some(Hash::from_slice(head.hash).ok_or(fault)?),
            memo: BlankMemo::default(),
            no_blank_before: head.no_blank_before,
        })
    }
}

/// A summary as it is stored.
struct Head<'a> {
    levels: u8,
    depth: u8,
    summary: Summary,
    no_blank_before: LeafIndex,
    hash: &'a [u8],
}

impl<'a> Head<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, NO_LIMITS);
        let [levels, depth] = reader.array()?;
        let summary = decode_summary(&mut reader)?;
        let no_blank_before = LeafIndex::decode(&mut reader)?;
        let hash = reader.field()?;
        reader.finish()?;
        Ok(Self { levels, depth, summary, no_blank_before, hash })
    }
}

/// A subtree that is not in memory.
fn stored(summary: Summary) -> Kid {
    if summary.resolution == 0 { ABSENT.clone() } else { Kid { summary, content: Content::Stored } }
}

fn encode_summary(out: &mut Vec<u8>, summary: Summary) {
    summary.leaves.encode(out);
    summary.resolution.encode(out);
}

fn decode_summary(reader: &mut Reader<'_>) -> Result<Summary, DecodeError> {
    let summary = Summary { leaves: u32::decode(reader)?, resolution: u32::decode(reader)? };
    if (summary.leaves == 0) != (summary.resolution == 0) {
        return Err(reader.error(DecodeErrorKind::UnknownValue { value: summary.resolution }));
    }
    Ok(summary)
}

/// The subtrees that hang below a node of a page.
fn kids_below(geometry: Geometry, root: Position) -> impl Iterator<Item = Position> {
    let down = geometry.levels - level(root);
    let first = root << down;
    (0..1 << down).map(move |place| first + place)
}

/// The positions of parents at and below a node of a page, as bits: what the tree hash covers.
fn parents_below(geometry: Geometry, root: Position) -> u8 {
    let below =
        |position: &Position| level(*position) >= level(root) && position >> (level(*position) - level(root)) == root;
    (TOP..geometry.kids()).filter(below).fold(0, |bits, position| bits | 1 << position)
}

/// The record of a page whose part below `root` belongs to the tree; `None` if a hash is not known.
pub(super) fn encode_page(geometry: Geometry, page: &Page, row: u8, root: Position) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    out.push(page.mask());
    for parent in page.parents() {
        encode_parent(&mut out, parent, parent.unmerged());
    }
    let kids = || kids_below(geometry, root);
    if row == 0 {
        // Leaves: one bit each, and no hash for a blank, which is cheap to recompute.
        let occupied = |position: &Position| page.kid(*position).summary.resolution != 0;
        out.push(kids().zip(0..8).filter(|(kid, _)| occupied(kid)).fold(0, |bits, (_, place)| bits | 1 << place));
        for position in kids().filter(occupied) {
            out.extend_from_slice(page.hash(position, geometry)?);
        }
    } else {
        for position in kids() {
            encode_summary(&mut out, page.kid(position).summary);
            out.extend_from_slice(page.hash(position, geometry)?);
        }
    }
    Some(out)
}

/// Reads the record of a page, with everything below it in storage.
pub(super) fn decode_page(geometry: Geometry, bytes: &[u8], row: u8, root: Position) -> Result<Arc<Page>, DecodeError> {
    let mut reader = Reader::new(bytes, NO_LIMITS);
    let mut page = Page::blank(geometry);
    let [mask] = reader.array()?;
    if mask & !parents_below(geometry, root) != 0 {
        return Err(reader.error(DecodeErrorKind::UnknownValue { value: mask.into() }));
    }
    for position in (TOP..geometry.kids()).filter(|position| mask & 1 << position != 0) {
        let (key, hash) = (reader.field()?, reader.field()?);
        page.set_parent(position, Some(Parent::new(key, hash, Vec::decode(&mut reader)?)));
    }
    let occupied = if row == 0 { Some(u8::decode(&mut reader)?) } else { None };
    for (position, place) in kids_below(geometry, root).zip(0..8u8) {
        let summary = match occupied {
            None => decode_summary(&mut reader)?,
            Some(bits) if bits & 1 << place != 0 => Kid::LEAF,
            Some(_) => continue,
        };
        let hash = reader.take(geometry.hash_len)?;
        page.set_kid(position, stored(summary));
        if let Some(hash) = Hash::from_slice(hash) {
            page.set_hash(position, &hash, geometry);
        }
    }
    reader.finish()?;
    Ok(Arc::new(page))
}
