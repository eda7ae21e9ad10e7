//! Reading a backlog: messages that have piled up while a member was away.
//!
//! Most of what a message costs is its signature, and many signatures are verified together in a
//! fraction of the time. Everything else is as if [`Group::process`] had read one after the other.

use alloc::vec::Vec;

use keyroom_wire::{ContentType, Decode, MlsMessage, PrivateMessage, SenderData};

use super::process::{Opened, application};
use super::{Group, Processed, Received};
use crate::config::Inputs;
use crate::error::Error;
use crate::framing::VerifiedContent;
use crate::identity::Member;
use crate::record::{ChangeSet, Missing};
use crate::secret_tree::RatchetType;

/// Signatures that are verified together at most, so that memory stays in bounds.
const AT_ONCE: usize = 4_096;

/// What became of the first messages of a backlog.
#[derive(Debug)]
pub struct Backlog {
    /// One for each message that has been read, in order. Fewer than were passed, but at least one,
    /// if reading ended early: pass the rest again, after having acted on the last one. A commit,
    /// above all, must be judged and applied before anything behind it can be read.
    pub outcomes: Vec<Result<Received, Error>>,
    /// What changed, all of it together; to be stored before any content is shown.
    pub changes: Option<ChangeSet>,
}

/// A message on its way into a batch, or why it cannot be in one.
type Candidate = Result<(PrivateMessage, SenderData), Error>;

/// What has been decrypted and waits for its signature to be verified: a position among the outcomes,
/// who sent it, and its generation.
type Pending = (usize, Member, u32);

impl Group {
    /// Reads the first messages of a backlog, each an encoded MLSMessage: as many as need no decision
    /// in between, their signatures verified together. Each has its own outcome, the same that
    /// [`process`](Self::process) would have given it. One that is refused does not keep those behind
    /// it from being read.
    ///
    /// # Errors
    /// [`Error::Missing`] with the records that they need, the group unchanged. Whatever is wrong with a
    /// single message stands among the outcomes.
    pub fn process_backlog(&mut self, messages: &[&[u8]], inputs: &Inputs<'_>) -> Result<Backlog, Error> {
        let batch = self.batch(messages);
        match batch.len() {
            0 | 1 => self.process_singly(messages.get(..1).unwrap_or_default(), inputs),
            _ => self.process_batch(messages, batch, inputs),
        }
    }

    /// The messages up to the first that is not application data of this epoch. What cannot be decoded
    /// is refused in its turn.
    fn batch(&self, messages: &[&[u8]]) -> Vec<Candidate> {
        if self.check_active().is_err() {
            return Vec::new();
        }
        let in_batch = |message: &PrivateMessage| {
            message.content_type == ContentType::Application
                && message.group_id == *self.group_id()
                && message.epoch == self.epoch()
        };
        let candidates = messages.iter().take(AT_ONCE).map_while(|message| {
            match MlsMessage::from_bytes(message, &self.config.limits) {
                Ok(MlsMessage::PrivateMessage(message)) if in_batch(&message) => {
                    Some(self.sender_of(&message).map(|sender| (message, sender)))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }
        });
        candidates.collect()
    }

    fn process_batch(
        &mut self,
        messages: &[&[u8]],
        batch: Vec<Candidate>,
        inputs: &Inputs<'_>,
    ) -> Result<Backlog, Error> {
        self.require_batch(&batch)?;
        let mut changes = self.changes();
        let mut outcomes: Vec<Result<Option<Received>, Error>> = Vec::with_capacity(batch.len());
        let (mut spent, mut pending, mut contents) = (Vec::new(), Vec::<Pending>::new(), Vec::new());
        for candidate in batch {
            match candidate.and_then(|(message, sender)| self.open_current(message, sender)) {
                // A message out of order moves the keys that were skipped: it is read on its own.
                Ok(opened) if !opened.puncture.is_in_order() => break,
                Err(Error::Missing(_)) => break,
                Ok(Opened { sender, member, content, puncture }) => {
                    spent.push(self.secret_tree.apply_for_now(puncture, &mut changes)?);
                    pending.push((outcomes.len(), member, sender.generation));
                    contents.push(content);
                    outcomes.push(Ok(None));
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        let read = outcomes.len();
        let keys = pending.iter().map(|(_, member, _)| member.leaf().signature_key());
        let verified = VerifiedContent::verify_all(self.suite(), contents, keys, &self.public.context_bytes);
        let Some(verified) = verified.filter(|_| read > 0) else {
            // A bad signature takes a member to make; the keys of such a message must not be spent.
            self.secret_tree.take_back(spent);
            return self.process_singly(messages.get(..read.max(1)).unwrap_or_default(), inputs);
        };
        for ((position, member, generation), verified) in pending.into_iter().zip(verified) {
            if let Some(outcome) = outcomes.get_mut(position) {
                *outcome = application(member, generation, verified).map(Some).map_err(Error::from);
            }
        }
        let outcomes = outcomes.into_iter().filter_map(Result::transpose).collect();
        Ok(Backlog { outcomes, changes: (!spent.is_empty()).then(|| self.changed(changes)) })
    }

    /// Asks for the records of all messages at once.
    fn require_batch(&self, batch: &[Candidate]) -> Result<(), Error> {
        let mut missing = Vec::new();
        for (_, SenderData { leaf_index, generation, .. }) in batch.iter().flatten() {
            let key = self.secret_tree.require_key(*leaf_index, RatchetType::Application, *generation);
            for lacking in [self.public.leaf(*leaf_index).map(drop), key.map_err(Error::from)] {
                if let Err(Error::Missing(Missing(keys))) = lacking {
                    missing.extend(keys);
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing).into()) }
    }

    /// Reads one after the other until a record is missing.
    fn process_singly(&mut self, messages: &[&[u8]], inputs: &Inputs<'_>) -> Result<Backlog, Error> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut changes: Option<ChangeSet> = None;
        for message in messages {
            match self.process(message, inputs) {
                Err(Error::Missing(missing)) if outcomes.is_empty() => return Err(missing.into()),
                Err(Error::Missing(_)) => break,
                Ok(Processed { received, changes: more }) => {
                    outcomes.push(Ok(received));
                    changes = match (changes, more) {
                        (Some(earlier), Some(more)) => Some(earlier.then(more)),
                        (earlier, more) => earlier.or(more),
                    };
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        Ok(Backlog { outcomes, changes })
    }
}
