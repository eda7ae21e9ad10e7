//! What handles ask for.

use keyroom_api::{Code, RoomUri};

use super::{Command, Driver, Reply};
use crate::room::Room;
use crate::rows::{Outgoing, Phase};
use crate::{Error, Usage};

impl Driver {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Create { room, reply } => self.create(room, reply),
            Command::Join { room, reply } => self.join(room, reply),
            Command::Await { room, reply } => self.enter(room, reply),
            Command::Find { room, reply } => {
                let found = self.rooms.contains_key(&room);
                let _ = reply.send(found.then_some(()).ok_or(Usage::UnknownRoom.into()));
            }
            Command::Rooms { reply } => drop(reply.send(Ok(self.rooms.keys().cloned().collect()))),
            Command::Reachable { reply } if self.stocked => drop(reply.send(Ok(()))),
            Command::Reachable { reply } => self.reachable.push(reply),
            Command::Send { room, text, reply } => {
                let sent = self.step(&room, |room| room.send(text));
                let _ = reply.send(sent);
            }
            Command::Change { room, changes } => self.change(&room, changes),
            Command::Flush { room, reply } => match self.rooms.get_mut(&room) {
                Some(slot) => slot.flushes.push(reply),
                None => drop(reply.send(Err(Usage::UnknownRoom.into()))),
            },
            Command::History { room, after, limit, reply } => {
                let found = self.step(&room, |room| room.history(after, limit));
                let _ = reply.send(found);
            }
            Command::Recent { room, limit, reply } => {
                let found = self.step(&room, |room| room.recent(limit));
                let _ = reply.send(found);
            }
            Command::View { room, reply } => {
                let seen = self.step(&room, Room::view);
                let _ = reply.send(seen);
            }
            Command::Compare { room, epoch, authenticator, reply } => {
                let compared = self.step(&room, |room| room.compare(epoch, &authenticator));
                let _ = reply.send(compared);
            }
            Command::Close { .. } => {}
        }
    }

    /// Runs a step of a room; after a failure of the store the room is read again.
    pub(super) fn step<T>(
        &mut self,
        uri: &RoomUri,
        step: impl FnOnce(&mut Room) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let slot = self.rooms.get_mut(uri).ok_or(Usage::UnknownRoom)?;
        if slot.stale {
            slot.room = Room::open(self.context.clone(), uri)?.ok_or(Usage::UnknownRoom)?;
            slot.stale = false;
            self.resume(uri);
        }
        let slot = self.rooms.get_mut(uri).ok_or(Usage::UnknownRoom)?;
        let done = step(&mut slot.room);
        if let Err(error @ (Error::Store(_) | Error::Corrupt)) = &done {
            self.trouble(uri, error);
        }
        done
    }

    fn change(&mut self, uri: &RoomUri, changes: Vec<(Outgoing, Reply<u64>)>) {
        let (changes, replies): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        match self.step(uri, |room| room.change(changes)) {
            Ok(entries) => {
                if let Some(slot) = self.rooms.get_mut(uri) {
                    slot.changes.extend(entries.into_iter().zip(replies));
                }
            }
            Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone())))),
        }
    }

    fn create(&mut self, uri: RoomUri, reply: Reply<()>) {
        if self.rooms.get(&uri).is_some_and(|slot| slot.room.phase() != Phase::Removed) {
            return drop(reply.send(Err(Usage::RoomExists.into())));
        }
        match Room::create(self.context.clone(), uri.clone(), &mut self.env) {
            Ok(room) => {
                self.place(uri.clone(), room);
                self.entering.entry(uri).or_default().push(reply);
            }
            Err(error) => {
                self.find_again(&uri);
                let _ = reply.send(Err(error));
            }
        }
    }

    fn join(&mut self, uri: RoomUri, reply: Reply<()>) {
        let wanted = match self.rooms.get_mut(&uri).map(|slot| slot.room.phase()) {
            Some(Phase::Active) => return drop(reply.send(Ok(()))),
            Some(Phase::Wanted | Phase::Joining | Phase::Creating) => Ok(()),
            Some(Phase::Removed | Phase::Halted) => self.step(&uri, Room::want_again),
            Some(Phase::Succeeded) => Err(Error::Refused(Code::Closed)),
            None => Room::want(self.context.clone(), uri.clone()).map(|room| self.place(uri.clone(), room)),
        };
        match wanted {
            Ok(()) => self.entering.entry(uri).or_default().push(reply),
            Err(error) => {
                self.find_again(&uri);
                let _ = reply.send(Err(error));
            }
        }
    }

    /// A new room whose storing failed may be stored all the same.
    fn find_again(&mut self, uri: &RoomUri) {
        if let (false, Ok(Some(room))) = (self.rooms.contains_key(uri), Room::open(self.context.clone(), uri)) {
            self.place(uri.clone(), room);
        }
    }

    fn enter(&mut self, uri: RoomUri, reply: Reply<()>) {
        if self.rooms.get(&uri).is_some_and(|slot| slot.room.phase() == Phase::Active) {
            return drop(reply.send(Ok(())));
        }
        self.entering.entry(uri).or_default().push(reply);
    }
}
