//! Live delivery to one device.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use keyroom_api::{Closure, DeviceUri, LiveEvent, LiveRequest, RoomUri};
use tokio::time::timeout;

use super::Delivery;
use super::recent::Wanted;
use crate::{LogRead, Moment, Page, Refusal, RoomId, Subscription, Topic};

/// What one live connection has sent and has yet to send.
///
/// It holds cursors, not messages: hints say where to look, the ledger says what there is, and a
/// cursor moves only when its events have been handed out. So nothing is lost, doubled or out of
/// order, however many hints are.
pub struct Feed {
    delivery: Arc<Delivery>,
    device: DeviceUri,
    subscription: Subscription,
    rooms: HashMap<RoomUri, Cursor>,
    mailbox: Option<u64>,
    /// Where to look next, each once, and since when something may be new there.
    due: VecDeque<(Topic, Moment)>,
}

#[derive(Clone, Debug)]
struct Cursor {
    room: RoomId,
    after: u64,
    /// Whether the client knows that it has seen all there was when it subscribed.
    caught_up: bool,
    /// Whether a device that may read no further may prove that it may.
    keyed: bool,
    /// Whether the ledger has let it read to the head of the log, where it is now, so that it is in the room
    /// until a commit says otherwise.
    inside: bool,
    /// What it knows of the room's end.
    closed: Option<Closure>,
}

impl Feed {
    /// A feed for a device, with nothing subscribed.
    ///
    /// # Errors
    /// [`Refusal::ForeignHost`].
    pub fn new(delivery: Arc<Delivery>, device: DeviceUri) -> Result<Self, Refusal> {
        delivery.own_host(device.host())?;
        let subscription = delivery.bus.subscribe();
        Ok(Self { delivery, device, subscription, rooms: HashMap::new(), mailbox: None, due: VecDeque::new() })
    }

    /// Does what the client asks.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::NotMember`], [`Refusal::NotThen`]; [`Refusal::TooLarge`] with too
    /// many rooms. The feed goes on.
    pub async fn request(&mut self, request: LiveRequest) -> Result<(), Refusal> {
        match request {
            LiveRequest::Subscribe { room, after } => {
                let room = RoomUri::new(self.delivery.host.clone(), room);
                self.subscribe(room, after).await
            }
            LiveRequest::Unsubscribe { room } => {
                let room = RoomUri::new(self.delivery.host.clone(), room);
                self.forget(&room);
                Ok(())
            }
            LiveRequest::Mailbox { after } => {
                self.mailbox = Some(after);
                for topic in [Topic::Mailbox(self.device.clone()), Topic::KeyPackages(self.device.clone())] {
                    self.subscription.add(topic.clone());
                    self.look(topic, Moment::now());
                }
                Ok(())
            }
        }
    }

    fn forget(&mut self, room: &RoomUri) {
        self.subscription.remove(&Topic::Room(room.clone()));
        self.rooms.remove(room);
    }

    async fn subscribe(&mut self, room: RoomUri, after: u64) -> Result<(), Refusal> {
        let limit = self.delivery.limits.live_rooms;
        if self.rooms.len() >= limit && !self.rooms.contains_key(&room) {
            return Err(Refusal::TooLarge { limit });
        }
        let found = self.delivery.find_as_reader(&self.device, &room).await?;
        let first = Page { after, entries: 1, bytes: 0 };
        if self.delivery.ledger.log(found.id, Some(&self.device), first).await? == LogRead::Outside {
            return Err(Refusal::NotThen);
        }
        let topic = Topic::Room(room.clone());
        self.subscription.add(topic.clone());
        let (keyed, closed) = (found.keyed, None);
        self.rooms.insert(room, Cursor { room: found.id, after, caught_up: false, keyed, inside: false, closed });
        self.look(topic, Moment::now());
        Ok(())
    }

    /// Waits for the next events; the list is never empty. It can be cancelled without losing any.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the ledger does not answer; a later call goes on from there.
    pub async fn next(&mut self) -> Result<Vec<LiveEvent>, Refusal> {
        loop {
            while let Some((topic, since)) = self.due.front().cloned() {
                let (events, more) = match &topic {
                    Topic::Room(room) => self.entries(room, since).await?,
                    Topic::Mailbox(_) => self.items().await?,
                    Topic::KeyPackages(_) => (self.stock().await?, false),
                };
                // Nothing is awaited from here to the return.
                self.due.pop_front();
                if more {
                    self.look(topic, since);
                }
                self.advance(&events);
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            match timeout(self.delivery.limits.poll, self.subscription.changed()).await {
                Ok(topics) => topics.into_iter().for_each(|(topic, since)| self.look(topic, since)),
                Err(_) => self.look_everywhere(),
            }
        }
    }

    fn look(&mut self, topic: Topic, since: Moment) {
        match self.due.iter_mut().find(|(due, _)| *due == topic) {
            Some((_, known)) => *known = since.max(*known),
            None => self.due.push_back((topic, since)),
        }
    }

    fn look_everywhere(&mut self) {
        let rooms: Vec<Topic> = self.rooms.keys().cloned().map(Topic::Room).collect();
        let now = Moment::now();
        rooms.into_iter().for_each(|topic| self.look(topic, now));
        if self.mailbox.is_some() {
            self.look(Topic::Mailbox(self.device.clone()), now);
            self.look(Topic::KeyPackages(self.device.clone()), now);
        }
    }

    async fn entries(&mut self, room: &RoomUri, since: Moment) -> Result<(Vec<LiveEvent>, bool), Refusal> {
        let Some(cursor) = self.rooms.get_mut(room) else { return Ok((Vec::new(), false)) };
        let page = self.delivery.page(cursor.after, None);
        // Whether the device is still in the room, is read with the entries themselves.
        let (ledger, recent) = (self.delivery.ledger.as_ref(), &self.delivery.recent);
        let wanted = Wanted { room: cursor.room, page, since, inside: cursor.inside };
        let read = async || ledger.log(wanted.room, Some(&self.device), page).await;
        let (page, until) = match recent.log(wanted, read).await? {
            LogRead::Page { page, until } => (page, until),
            LogRead::Outside => return Ok((vec![LiveEvent::Left { room: room.clone(), head: cursor.after }], false)),
        };
        let last = page.entries.last().map_or(cursor.after, |entry| entry.sequence);
        let more = last < page.head;
        // A cursor beyond the head says nothing: the commits before it have not been seen.
        cursor.inside = last == page.head && until.is_none();
        let entries = page.entries.into_iter().map(|entry| LiveEvent::Entry { room: room.clone(), entry });
        let mut events: Vec<LiveEvent> = entries.collect();
        if !more && !cursor.caught_up {
            events.push(LiveEvent::CaughtUp { room: room.clone(), head: page.head });
        }
        if let (false, Some(head), false) = (more, until, cursor.keyed) {
            events.push(LiveEvent::Left { room: room.clone(), head });
        }
        if let Some(closure) = page.closed.filter(|closure| !more && cursor.closed.as_ref() != Some(closure)) {
            events.push(LiveEvent::Closed { room: room.clone(), closure });
        }
        Ok((events, more))
    }

    async fn items(&self) -> Result<(Vec<LiveEvent>, bool), Refusal> {
        let Some(after) = self.mailbox else { return Ok((Vec::new(), false)) };
        let page = self.delivery.ledger.mailbox(&self.device, self.delivery.page(after, None)).await?;
        // Whether there is more shows only on the next look.
        let more = !page.items.is_empty();
        Ok((page.items.into_iter().map(LiveEvent::Mailbox).collect(), more))
    }

    async fn stock(&self) -> Result<Vec<LiveEvent>, Refusal> {
        let stock = self.delivery.ledger.stock(&self.device, self.delivery.seconds()).await?;
        // Claims are for one suite: what is left of the others does not help.
        let left = stock.suites.iter().map(|suite| suite.one_time).min().unwrap_or(0);
        let low = left < self.delivery.limits.low_stock;
        Ok(if low { vec![LiveEvent::KeyPackagesLow { left }] } else { Vec::new() })
    }

    /// Moves the cursors past what is handed out.
    fn advance(&mut self, events: &[LiveEvent]) {
        for event in events {
            match event {
                LiveEvent::Entry { room, entry } => {
                    if let Some(cursor) = self.rooms.get_mut(room) {
                        cursor.after = entry.sequence;
                    }
                }
                LiveEvent::CaughtUp { room, .. } => {
                    if let Some(cursor) = self.rooms.get_mut(room) {
                        cursor.caught_up = true;
                    }
                }
                LiveEvent::Closed { room, closure } => {
                    if let Some(cursor) = self.rooms.get_mut(room) {
                        cursor.closed = Some(closure.clone());
                    }
                }
                LiveEvent::Left { room, .. } => self.forget(room),
                LiveEvent::Mailbox(item) => self.mailbox = Some(item.sequence),
                LiveEvent::KeyPackagesLow { .. } => {}
            }
        }
    }
}
