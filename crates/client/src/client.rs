//! Handles: what an application holds.

use std::fmt;
use std::sync::Arc;

use keyroom_api::{DeviceUri, RoomUri, ShortName, UserUri};
use keyroom_store::Store;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::driver::{self, Command, Seed};
use crate::event::{Event, Message, MessageId};
use crate::rows::Outgoing;
use crate::view::{Agreement, View};
use crate::{Error, Options};

/// Events that are kept for a listener that does not take them.
const EVENTS: usize = 4096;

/// A device of a user, connected to its server.
///
/// It works in a thread of its own until it is [closed](Self::close) or the last handle, rooms
/// included, is dropped. What is durable and has not been sent goes out when it is opened again.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    events: broadcast::Sender<(RoomUri, Event)>,
    device: DeviceUri,
}

impl Client {
    /// Opens the client whose state is in `store`, at the server with this address, such as
    /// `http://127.0.0.1:8440`. A new store gets a new device with fresh keys; for that the server
    /// must be reachable, later it need not be.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Unreachable`], [`Error::Store`], [`Usage`](crate::Usage).
    pub async fn open(store: impl Store + 'static, server: &str, options: Options) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS);
        let (ready, opened) = oneshot::channel();
        let seed = Seed {
            store: Arc::new(store),
            server: server.to_owned(),
            options,
            commands: inbox,
            events: events.clone(),
        };
        driver::spawn(seed, ready)?;
        let device = opened.await.map_err(|_| Error::Closed)??;
        Ok(Self { commands, events, device })
    }

    /// This device.
    pub fn device(&self) -> &DeviceUri {
        &self.device
    }

    /// Creates a room, and returns once the server has it. The name is short, or a URI.
    ///
    /// # Errors
    /// [`Usage::RoomExists`](crate::Usage::RoomExists), [`Error::Refused`] if the name is taken.
    pub async fn create_room(&self, name: &str) -> Result<Room, Error> {
        let room = self.room_uri(name)?;
        self.ask(|reply| Command::Create { room: room.clone(), reply }).await?;
        Ok(self.handle(room))
    }

    /// Comes into a room by external commit, without being invited, and returns once the log shows
    /// it. Also the way back into a room that has [halted](Event::Halted).
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Protocol`], [`Error::Rejected`].
    pub async fn join_room(&self, name: &str) -> Result<Room, Error> {
        let room = self.room_uri(name)?;
        self.ask(|reply| Command::Join { room: room.clone(), reply }).await?;
        Ok(self.handle(room))
    }

    /// Waits until this device is in a room: by an invitation that comes, or at once.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn entered(&self, name: &str) -> Result<Room, Error> {
        let room = self.room_uri(name)?;
        self.ask(|reply| Command::Await { room: room.clone(), reply }).await?;
        Ok(self.handle(room))
    }

    /// A room that this device has, if it is in it or was.
    ///
    /// # Errors
    /// [`Usage::UnknownRoom`](crate::Usage::UnknownRoom).
    pub async fn room(&self, name: &str) -> Result<Room, Error> {
        let room = self.room_uri(name)?;
        self.ask(|reply| Command::Find { room: room.clone(), reply }).await?;
        Ok(self.handle(room))
    }

    /// All rooms that this device has.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn rooms(&self) -> Result<Vec<RoomUri>, Error> {
        self.ask(|reply| Command::Rooms { reply }).await
    }

    /// Waits until others can invite this device: until the server has its key packages.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server takes none, because it knows the device by another key
    /// ([`Code::KeyMismatch`](crate::Code::KeyMismatch)), say; [`Error::Closed`].
    pub async fn reachable(&self) -> Result<(), Error> {
        self.ask(|reply| Command::Reachable { reply }).await
    }

    /// Stops. What is durable stays and goes out later.
    ///
    /// # Errors
    /// [`Error::Store`] if what was deleted could not be scrubbed from the files.
    pub async fn close(self) -> Result<(), Error> {
        self.ask(|reply| Command::Close { reply }).await
    }

    fn handle(&self, room: RoomUri) -> Room {
        Room { client: self.clone(), room }
    }

    fn room_uri(&self, name: &str) -> Result<RoomUri, Error> {
        if name.starts_with("mimi://") {
            return Ok(name.parse()?);
        }
        Ok(RoomUri::new(self.device.user().host().clone(), name.parse::<ShortName>()?))
    }

    fn user_uri(&self, name: &str) -> Result<UserUri, Error> {
        if name.starts_with("mimi://") {
            return Ok(name.parse()?);
        }
        Ok(UserUri::new(self.device.user().host().clone(), name.parse::<ShortName>()?))
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.device)
    }
}

/// A room, as its member on this device sees it.
#[derive(Clone, Debug)]
pub struct Room {
    client: Client,
    room: RoomUri,
}

impl Room {
    /// Its name.
    pub fn uri(&self) -> &RoomUri {
        &self.room
    }

    /// Says something. Returns once the text is durable; it goes out by itself, also after a restart,
    /// and [`Event::Sent`] tells when the log has it.
    ///
    /// # Errors
    /// [`Usage::Removed`](crate::Usage::Removed), [`Error::Store`].
    pub async fn send(&self, text: impl Into<String>) -> Result<MessageId, Error> {
        let (room, text) = (self.room.clone(), text.into());
        self.client.ask(|reply| Command::Send { room, text, reply }).await
    }

    /// Adds all devices of a user, and returns the epoch in which they are in. The wish is durable:
    /// dropping the future does not take it back, and it survives a restart.
    ///
    /// # Errors
    /// [`Usage::NoKeyPackage`](crate::Usage::NoKeyPackage), [`Error::Refused`].
    pub async fn invite(&self, user: &str) -> Result<u64, Error> {
        let user = self.client.user_uri(user)?;
        self.change(Outgoing::Invite { user, claimed: None }).await
    }

    /// Adds all devices of several users in one commit, as far as they can be added: one who cannot does
    /// not keep out the others. What became of each comes in the order of the names; otherwise as
    /// [`invite`](Self::invite).
    ///
    /// # Errors
    /// [`Error::Name`] if one of these is no name; then nobody is invited. Nor if one is a user of another server:
    /// then [`Usage::ForeignHost`](crate::Usage::ForeignHost) is what became of each.
    pub async fn invite_all<'a>(
        &self,
        users: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Result<u64, Error>>, Error> {
        let users: Vec<_> = users.into_iter().map(|user| self.client.user_uri(user)).collect::<Result<_, _>>()?;
        Ok(self.changes(users.into_iter().map(|user| Outgoing::Invite { user, claimed: None })).await)
    }

    /// Removes all devices of a user, and returns the first epoch without them. Durable as
    /// [`invite`](Self::invite); what is said after it was asked for, they cannot read.
    ///
    /// # Errors
    /// [`Usage::NotMember`](crate::Usage::NotMember), [`Usage::OwnDevice`](crate::Usage::OwnDevice).
    pub async fn remove(&self, user: &str) -> Result<u64, Error> {
        let user = self.client.user_uri(user)?;
        self.change(Outgoing::Remove { user }).await
    }

    /// Replaces the own keys, so that whoever has learned the old ones is out, and returns the first
    /// epoch with the new ones. Durable as [`invite`](Self::invite).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn rotate(&self) -> Result<u64, Error> {
        self.change(Outgoing::Rotate).await
    }

    /// Takes this device out, and returns the first epoch without it. Nobody can do that alone: another
    /// member, or somebody who joins, commits it; the last one in a room leaves it at once. Durable as
    /// [`invite`](Self::invite); what was asked for before goes out first, and nothing after it. If an
    /// epoch passes without it, it is proposed anew ([`Event::Reproposed`]).
    ///
    /// # Errors
    /// [`Usage::Leaving`](crate::Usage::Leaving) if it was asked for before,
    /// [`Usage::Removed`](crate::Usage::Removed).
    pub async fn leave(&self) -> Result<u64, Error> {
        self.change(Outgoing::Leave { proposed: None }).await
    }

    /// Waits until everything that was asked for is in the log, or given up.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn flush(&self) -> Result<(), Error> {
        let room = self.room.clone();
        self.client.ask(|reply| Command::Flush { room, reply }).await
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events { events: self.client.events.subscribe(), room: self.room.clone() }
    }

    /// Texts that this device has, from the one after `after` on, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn history(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<Message>, Error> {
        let room = self.room.clone();
        self.client.ask(|reply| Command::History { room, after, limit, reply }).await
    }

    /// The last texts that this device has, at most `limit`, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn recent(&self, limit: usize) -> Result<Vec<Message>, Error> {
        let room = self.room.clone();
        self.client.ask(|reply| Command::Recent { room, limit, reply }).await
    }

    /// Epoch, members and tree as they are now.
    ///
    /// # Errors
    /// [`Usage::Removed`](crate::Usage::Removed).
    pub async fn view(&self) -> Result<View, Error> {
        let room = self.room.clone();
        self.client.ask(|reply| Command::View { room, reply }).await
    }

    /// Compares what a peer sees with what this device sees, in constant time: pass the
    /// [`View::epoch`] and the [`View::authenticator`] that the peer reports by a way that the server
    /// of the room has no hand in. A server that shows its members different commits leads them into
    /// epochs with different keys, which nothing else shows (RFC 9420 §8.7).
    ///
    /// # Errors
    /// [`Usage::Removed`](crate::Usage::Removed), [`Usage::NotEntered`](crate::Usage::NotEntered).
    pub async fn compare(&self, epoch: u64, authenticator: &[u8]) -> Result<Agreement, Error> {
        let (room, authenticator) = (self.room.clone(), authenticator.to_vec());
        self.client.ask(|reply| Command::Compare { room, epoch, authenticator, reply }).await
    }

    async fn change(&self, change: Outgoing) -> Result<u64, Error> {
        self.changes([change]).await.pop().unwrap_or(Err(Error::Closed))
    }

    /// Asks for changes in one step, and waits until all are settled.
    async fn changes(&self, changes: impl IntoIterator<Item = Outgoing>) -> Vec<Result<u64, Error>> {
        let (changes, answers): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .map(|change| {
                let (reply, answer) = oneshot::channel();
                ((change, reply), answer)
            })
            .unzip();
        // If the client is closed, the answers say so.
        let _ = self.client.commands.send(Command::Change { room: self.room.clone(), changes });
        let mut settled = Vec::new();
        for answer in answers {
            settled.push(answer.await.unwrap_or(Err(Error::Closed)));
        }
        settled
    }
}

/// What happens in a room, as it happens.
#[derive(Debug)]
pub struct Events {
    events: broadcast::Receiver<(RoomUri, Event)>,
    room: RoomUri,
}

impl Events {
    /// Waits for the next event; `None` once the client is closed. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.events.recv().await {
                Ok((room, event)) if room == self.room => return Some(event),
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(Event::Missed { count }),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
