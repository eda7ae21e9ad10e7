//! Ratchet trees, compressed once for all who come in.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use keyroom_api::{DeviceUri, RoomUri};
use tokio::sync::OnceCell;

use super::{Delivery, compute};
use crate::{PublicView, Refusal, RoomId, Standing};

/// Trees that are held at most, whatever their size.
const MOST: usize = 256;

/// A ratchet tree as it travels: the content of a `ratchet_tree` extension, compressed with gzip.
#[derive(Clone, Debug)]
pub struct TreeFile {
    /// The compressed bytes.
    pub bytes: Arc<[u8]>,
    /// A checksum of them: two nodes that compress differently must not complete each other's parts.
    pub checksum: u32,
}

impl Delivery {
    /// The ratchet tree with this hash, if an epoch that is kept has it; for whoever may have the GroupInfo,
    /// and in a keyed room for whoever was in that epoch.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::UnknownTree`], [`Refusal::NotMember`].
    pub async fn tree(&self, caller: &DeviceUri, room: &RoomUri, tree_hash: &[u8]) -> Result<TreeFile, Refusal> {
        self.own_host(caller.host())?;
        let room = self.find(caller, room).await?;
        let epoch = self.ledger.epoch_of_tree(room.id, tree_hash).await?;
        if !self.was_in(caller, &room, epoch).await? {
            self.check_open(&room).await?;
            let outside = matches!(room.standing, Standing::Removed | Standing::Stranger);
            if outside && epoch.is_some_and(|epoch| epoch != room.status.epoch) {
                return Err(Refusal::NotMember);
            }
        }
        let epoch = epoch.ok_or(Refusal::UnknownTree)?;
        let cell = self.trees.cell(room.id, tree_hash);
        let file = cell
            .get_or_try_init(async || {
                let view = self.view(room.id, epoch).await?.ok_or(Refusal::UnknownTree)?;
                compute(move || compress(view.as_ref())).await
            })
            .await?
            .clone();
        self.trees.shrink(self.limits.trees);
        Ok(file)
    }
}

fn compress(view: &dyn PublicView) -> Result<TreeFile, Refusal> {
    let tree = view.ratchet_tree().ok_or(Refusal::UnknownTree)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let bytes = encoder.write_all(&tree).and_then(|()| encoder.finish()).map_err(|_| Refusal::Interrupted)?;
    let mut crc = Crc::new();
    crc.update(&bytes);
    Ok(TreeFile { bytes: bytes.into(), checksum: crc.sum() })
}

/// The trees that were asked for last. The cell of a tree is there before the tree, so that those who
/// come at once wait for one of them.
#[derive(Default)]
pub(super) struct Trees {
    held: Mutex<VecDeque<Held>>,
}

struct Held {
    room: RoomId,
    tree_hash: Vec<u8>,
    cell: Arc<OnceCell<TreeFile>>,
}

impl Trees {
    fn cell(&self, room: RoomId, tree_hash: &[u8]) -> Arc<OnceCell<TreeFile>> {
        let mut held = self.lock();
        let found = held.iter().position(|one| one.room == room && one.tree_hash == tree_hash);
        let one = found.and_then(|at| held.remove(at)).unwrap_or_else(|| Held {
            room,
            tree_hash: tree_hash.to_vec(),
            cell: Arc::default(),
        });
        let cell = one.cell.clone();
        held.push_back(one);
        cell
    }

    /// Lets go of those that were asked for longest ago.
    fn shrink(&self, most: usize) {
        let mut held = self.lock();
        let mut left = MOST;
        let mut bytes = most;
        let fits = held.iter().rev().take_while(|one| {
            let size = one.cell.get().map_or(0, |file| file.bytes.len());
            let fits = left > 0 && size <= bytes;
            left = left.saturating_sub(1);
            bytes = bytes.saturating_sub(size);
            fits
        });
        let kept = fits.count();
        let gone = held.len().saturating_sub(kept);
        held.drain(..gone);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
