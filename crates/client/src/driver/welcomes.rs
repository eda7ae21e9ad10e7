//! Welcomes: a line of them, each with the tree that belongs to it.

use keyroom_api::{ClientError, MailboxItem};
use keyroom_store::StoreError;
use tokio::time::Instant;

use super::{Driver, Incoming};
use crate::Error;
use crate::room::Room;
use crate::slot::PAUSE;
use crate::stock;
use crate::transport::{Answer, Request};

/// Welcomes that wait for their trees at most: the server sends what the mailbox holds again.
const MOST: usize = 64;

impl Driver {
    /// A Welcome takes its place in the line; the mailbox is asked for again when there is none.
    pub(super) fn mail(&mut self, item: MailboxItem) {
        if self.welcomes.iter().any(|waiting| waiting.sequence == item.sequence) {
            return;
        }
        if self.welcomes.len() >= MOST {
            self.mail = Some(Instant::now() + PAUSE);
            return;
        }
        self.welcomes.push_back(item);
        if self.welcomes.len() == 1 {
            self.next_welcome();
        }
    }

    /// Asks for the tree of the first Welcome that is for a key package of this device. Trees are large:
    /// one comes at a time, and none for what cannot be joined anyway.
    fn next_welcome(&mut self) {
        while let Some(item) = self.welcomes.front() {
            let bundle = stock::bundle_of(&self.context, &item.welcome);
            if matches!(bundle, Ok(Some(_))) {
                let request = Request::Tree { room: item.room.clone(), tree_hash: item.tree_hash.clone() };
                let (transport, answers) = (self.transport.clone(), self.answers.clone());
                tokio::spawn(async move {
                    let answer = transport.request(request).await;
                    let _ = answers.send(Incoming::Tree(answer));
                });
                return;
            }
            let Some(item) = self.welcomes.pop_front() else { return };
            match bundle {
                // It may be for this device all the same.
                Err(Error::Store(error)) => self.put_off(&error),
                _ => self.admit(&item, None),
            }
        }
    }

    /// The tree of the first Welcome, or the word that the server has none; then the Welcome itself must
    /// hold it.
    pub(super) fn tree(&mut self, answer: Result<Answer, ClientError>) {
        let Some(item) = self.welcomes.pop_front() else { return };
        match answer {
            Ok(Answer::Tree(tree)) => self.admit(&item, Some(&tree)),
            Err(error) if error.is_retryable() => self.mail = Some(Instant::now() + PAUSE),
            Ok(_) | Err(_) => self.admit(&item, None),
        }
        self.next_welcome();
    }

    /// The room is joined, and the item acknowledged once that is stored.
    fn admit(&mut self, item: &MailboxItem, tree: Option<&[u8]>) {
        match self.welcome(item, tree) {
            Ok(()) => {}
            Err(Error::Store(error)) => return self.put_off(&error),
            // It would be refused again.
            Err(error) => tracing::warn!(%error, "a Welcome was refused"),
        }
        let (transport, sequence) = (self.transport.clone(), item.sequence);
        tokio::spawn(async move { transport.request(Request::Acknowledge { sequence }).await });
    }

    /// The store fails: the mailbox still has the Welcome, and is asked for it again.
    fn put_off(&mut self, error: &StoreError) {
        tracing::warn!(%error, "a Welcome could not be stored");
        self.mail = Some(Instant::now() + PAUSE);
    }

    fn welcome(&mut self, item: &MailboxItem, tree: Option<&[u8]>) -> Result<(), Error> {
        let uri = item.room.clone();
        let before = Room::open(self.context.clone(), &uri)?;
        let joined = match Room::welcome(self.context.clone(), item, tree, before, &mut self.env)? {
            Some(joined) => Some(joined),
            // It was stored before, by a step whose end was not seen.
            None if !self.rooms.contains_key(&uri) => Room::open(self.context.clone(), &uri)?,
            None => None,
        };
        if let Some(joined) = joined {
            self.place(uri.clone(), joined);
            self.pass_on(&uri);
            self.resume(&uri);
        }
        Ok(())
    }
}
