//! The thread in which a client works.
//!
//! It owns all rooms, so that nothing is locked; the store blocks it and nobody else. Requests run
//! beside it and bring their answers back through a channel.

mod advice;
mod commands;
mod credential;
mod successor;
mod welcomes;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{ClientError, DeviceUri, Identity, LiveEvent, LogEntry, MailboxItem, RoomUri, Stock};
use keyroom_store::{Scan, Store, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::context::{self, Context, Env};
use crate::device::device;
use crate::event::{Event, Message, MessageId};
use crate::live::{MOST_EVENTS, News, Want, listen};
use crate::options::PathUpdates;
use crate::room::{Asked, Output, Room, Taken};
use crate::rows::{self, Outgoing, Phase};
use crate::slot::{LONGEST_PAUSE, PAUSE, Slot};
use crate::stock::{self, Kind};
use crate::transport::{Answer, HttpTransport, Request, Transport};
use crate::view::{Agreement, View};
use crate::{Error, Options};
use credential::Renewal;

/// How long the log may take to show what the server has taken.
const ECHO: Duration = Duration::from_secs(2);

/// Where the answer to a command goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What a handle asks for.
pub(crate) enum Command {
    Create { room: RoomUri, reply: Reply<()> },
    Join { room: RoomUri, reply: Reply<()> },
    Await { room: RoomUri, reply: Reply<()> },
    Find { room: RoomUri, reply: Reply<()> },
    Rooms { reply: Reply<Vec<RoomUri>> },
    Reachable { reply: Reply<()> },
    Send { room: RoomUri, text: String, reply: Reply<MessageId> },
    Change { room: RoomUri, changes: Vec<(Outgoing, Reply<u64>)> },
    Flush { room: RoomUri, reply: Reply<()> },
    History { room: RoomUri, after: Option<MessageId>, limit: usize, reply: Reply<Vec<Message>> },
    Recent { room: RoomUri, limit: usize, reply: Reply<Vec<Message>> },
    View { room: RoomUri, reply: Reply<View> },
    Compare { room: RoomUri, epoch: u64, authenticator: Vec<u8>, reply: Reply<Agreement> },
    Close { reply: Reply<()> },
}

/// What a driver starts from.
pub(crate) struct Seed {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) server: String,
    pub(crate) options: Options,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) events: broadcast::Sender<(RoomUri, Event)>,
}

/// What comes back from requests.
enum Incoming {
    Answer {
        room: RoomUri,
        asked: Asked,
        answer: Result<Answer, ClientError>,
    },
    Stock(Result<Answer, ClientError>),
    /// The tree of the first Welcome that waits.
    Tree(Result<Answer, ClientError>),
    /// From the Authentication Service.
    Credential(Result<keyroom_wire::Credential, Error>),
}

struct Driver {
    context: Arc<Context>,
    env: Env,
    transport: Arc<dyn Transport>,
    key_packages: u64,
    path_updates: PathUpdates,
    renewal: Option<Renewal>,
    /// The server has been asked about key packages and has not answered.
    stocking: bool,
    /// Those who wait until others can invite this device.
    reachable: Vec<Reply<()>>,
    stocked: bool,
    /// When the server is asked again about key packages, after it did not answer.
    restock: Option<Instant>,
    restock_pause: Duration,
    /// The store is closed: nothing can be done any more.
    dead: bool,
    rooms: BTreeMap<RoomUri, Slot>,
    /// Those who wait until this device is in a room.
    entering: HashMap<RoomUri, Vec<Reply<()>>>,
    /// Welcomes in the order in which they came; the tree of the first is on its way.
    welcomes: VecDeque<MailboxItem>,
    /// When the mailbox is asked for again, after a Welcome that could not be stored.
    mail: Option<Instant>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: broadcast::Sender<(RoomUri, Event)>,
    answers: mpsc::UnboundedSender<Incoming>,
    wants: mpsc::UnboundedSender<Want>,
}

/// Starts the thread of a client.
pub(crate) fn spawn(seed: Seed, ready: oneshot::Sender<Result<DeviceUri, Error>>) -> Result<(), Error> {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return drop(ready.send(Err(Error::Closed))) };
        runtime.block_on(run(seed, ready));
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("keyroom".into()).spawn(work).map(drop).map_err(|_| Error::Closed)
}

async fn run(seed: Seed, ready: oneshot::Sender<Result<DeviceUri, Error>>) {
    let (answers, incoming) = mpsc::unbounded_channel();
    let (wants, wanted) = mpsc::unbounded_channel();
    let (news, heard) = mpsc::channel(MOST_EVENTS);
    match Driver::open(seed, answers, wants).await {
        Err(error) => drop(ready.send(Err(error))),
        Ok(driver) => {
            tokio::spawn(listen(driver.transport.clone(), wanted, news));
            if ready.send(Ok(driver.context.device.clone())).is_ok() {
                driver.serve(incoming, heard).await;
            }
        }
    }
}

impl Driver {
    async fn open(
        seed: Seed,
        answers: mpsc::UnboundedSender<Incoming>,
        wants: mpsc::UnboundedSender<Want>,
    ) -> Result<Self, Error> {
        let Seed { store, server, options, commands, events } = seed;
        let mut env = Env::system();
        let device = device(store.as_ref(), &server, &options).await?;
        let suite = context::suite(options.provider, device.cipher_suite)?;
        let signer = context::signer(store.as_ref(), suite, &device, &mut env)?;
        let identity = Identity::new(device.cipher_suite, signer.clone());
        let http = HttpTransport::new(&server, device.device.clone(), identity).map_err(|_| Error::Answer)?;
        let mut transport: Arc<dyn Transport> = Arc::new(http.silence(options.silence));
        if let Some(wrap) = options.wrap {
            transport = wrap(transport);
        }
        let begun = credential::begin(store.as_ref(), &device.device, suite, signer.as_ref(), options.enrolment);
        let (credential, renewal) = begun.await?;
        let context = Context {
            store,
            provider: options.provider,
            suite,
            config: Arc::new(options.config),
            judge: options.judge,
            device: device.device,
            signer,
            credential: credential.into(),
        };
        let mut driver = Self {
            context: Arc::new(context),
            env,
            transport,
            key_packages: options.key_packages,
            path_updates: options.path_updates,
            renewal,
            stocking: false,
            reachable: Vec::new(),
            stocked: false,
            restock: None,
            restock_pause: PAUSE,
            dead: false,
            rooms: BTreeMap::new(),
            entering: HashMap::new(),
            welcomes: VecDeque::new(),
            mail: None,
            commands,
            events,
            answers,
            wants,
        };
        driver.open_rooms()?;
        driver.plan_renewal(Duration::ZERO);
        Ok(driver)
    }

    fn open_rooms(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let scan = Scan::Namespace { namespace: rows::ROOMS, after: after.as_ref() };
            let page = self.context.store.rows(scan, 100)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for row in page {
                let row: rows::RoomRow = rows::decode(&row.value)?;
                if let Some(room) = Room::open(self.context.clone(), &row.room)? {
                    self.rooms.insert(row.room, Slot::new(room));
                }
            }
        }
    }

    async fn serve(mut self, mut incoming: mpsc::UnboundedReceiver<Incoming>, mut heard: mpsc::Receiver<News>) {
        while !self.dead {
            self.pump();
            let times =
                self.rooms.values().flat_map(|slot| [slot.retry, slot.watch, slot.commit, slot.cover, slot.found]);
            let renewal = self.renewal.as_ref().and_then(|renewal| renewal.due);
            let retry = times.flatten().chain(self.mail).chain(self.restock).chain(renewal).min();
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break,
                    Some(Command::Close { reply }) => {
                        let _ = reply.send(self.context.store.scrub().map_err(Error::from));
                        break;
                    }
                    Some(command) => self.command(command),
                },
                Some(incoming) = incoming.recv() => self.incoming(incoming),
                Some(news) = heard.recv() => self.news(news),
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => self.wake(),
            }
        }
    }

    /// Lets rooms try again whose time has come.
    fn wake(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.mail) {
            self.mail = None;
            let _ = self.wants.send(Want::Mailbox);
        }
        if due(self.restock) {
            self.ask_stock(Request::Stock);
        }
        self.renew_as_due(now);
        self.commit_as_advised(now);
        self.cover_as_due(now);
        self.found_as_due(now);
        for uri in self.due(now, |slot| slot.retry) {
            self.retry(&uri);
        }
        for uri in self.due(now, |slot| slot.watch) {
            self.want(&uri);
            if let Some(slot) = self.rooms.get_mut(&uri) {
                slot.watch = Some(now + ECHO);
            }
        }
    }

    /// The rooms of whose times this one has come.
    fn due(&self, now: Instant, time: impl Fn(&Slot) -> Option<Instant>) -> Vec<RoomUri> {
        let due = |slot: &Slot| time(slot).is_some_and(|at| at <= now);
        self.rooms.iter().filter(|(_, slot)| due(slot)).map(|(uri, _)| uri.clone()).collect()
    }

    /// Lets a room try again; one whose step failed is read from the store first.
    fn retry(&mut self, uri: &RoomUri) {
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        slot.retry = None;
        if !slot.stale {
            return;
        }
        match Room::open(self.context.clone(), uri) {
            Ok(Some(room)) => {
                slot.stale = false;
                slot.room = room;
                self.resume(uri);
            }
            Ok(None) => drop(self.rooms.remove(uri)),
            Err(error) => self.trouble(uri, &error),
        }
    }

    /// Tells those who wait for what has come about while a step failed, and asks for the log again.
    fn resume(&mut self, uri: &RoomUri) {
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        let lost: Vec<u64> = slot.changes.keys().copied().filter(|entry| !slot.room.awaits(*entry)).collect();
        for reply in lost.iter().filter_map(|entry| slot.changes.remove(entry)) {
            // Whether it was done or given up is not known any more; the view shows it.
            let _ = reply.send(Err(Error::Interrupted));
        }
        if slot.room.phase() == Phase::Active {
            for reply in self.entering.remove(uri).unwrap_or_default() {
                let _ = reply.send(Ok(()));
            }
        }
        self.want(uri);
    }

    /// Lets every room ask for what it needs, and passes on what rooms say.
    fn pump(&mut self) {
        let rooms: Vec<RoomUri> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.pump_room(&room);
        }
    }

    fn pump_room(&mut self, uri: &RoomUri) {
        self.pass_on(uri);
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        if slot.busy || slot.stale || slot.retry.is_some() {
            return;
        }
        match slot.room.next_request(&mut self.env) {
            Ok(None) => {
                if self.heed_credential(uri) {
                    return self.pump_room(uri);
                }
                self.heed_proposals(uri);
                self.heed_advice(uri);
                self.heed_closure(uri);
            }
            Ok(Some((asked, request))) => {
                slot.busy = true;
                let (transport, answers, room) = (self.transport.clone(), self.answers.clone(), uri.clone());
                tokio::spawn(async move {
                    let answer = transport.request(request).await;
                    // Nobody waits for it any more when the client is closed.
                    let _ = answers.send(Incoming::Answer { room, asked, answer });
                });
            }
            Err(error) => self.trouble(uri, &error),
        }
        self.pass_on(uri);
    }

    fn pass_on(&mut self, uri: &RoomUri) {
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        let (mut opened, mut gone) = (false, None);
        for output in slot.room.take_outputs() {
            match output {
                // Nobody may be listening.
                Output::Event(event) => drop(self.events.send((uri.clone(), event))),
                Output::Settled { entry, result } => {
                    if let Some(reply) = slot.changes.remove(&entry) {
                        let _ = reply.send(result);
                    }
                }
                Output::Opened(result) => {
                    opened |= result.is_ok();
                    for reply in self.entering.remove(uri).unwrap_or_default() {
                        let _ = reply.send(result.clone());
                    }
                }
                Output::Gone { without } => gone = Some(without),
            }
        }
        if let Some(without) = gone {
            return self.forget_successor(uri, without);
        }
        if !slot.room.awaits_log() {
            slot.watch = None;
        } else if slot.watch.is_none() {
            slot.watch = Some(Instant::now() + ECHO);
        }
        if slot.room.is_idle() {
            slot.flushes.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
        }
        if opened {
            self.retire_predecessor(uri);
        }
    }

    /// A step of a room failed: nothing that it holds in memory is trusted any more.
    fn trouble(&mut self, uri: &RoomUri, error: &Error) {
        tracing::warn!(%error, "a step of a room failed and is repeated");
        self.dead |= matches!(error, Error::Store(StoreError::Closed));
        if let Some(slot) = self.rooms.get_mut(uri) {
            slot.stale = true;
            slot.later();
        }
    }

    /// Asks live delivery for a room from its cursor on.
    fn want(&self, uri: &RoomUri) {
        let after = self.rooms.get(uri).and_then(|slot| slot.room.wants_log());
        if let Some(after) = after {
            let _ = self.wants.send(Want::Room { room: uri.clone(), after });
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Answer { room, asked, answer } => self.answer(&room, &asked, answer),
            Incoming::Stock(answer) => self.stock(answer),
            Incoming::Tree(answer) => self.tree(answer),
            Incoming::Credential(answer) => self.renewed(answer),
        }
    }

    fn answer(&mut self, uri: &RoomUri, asked: &Asked, answer: Result<Answer, ClientError>) {
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        slot.busy = false;
        if slot.stale {
            // It is asked again, with the same key.
            return;
        }
        match &answer {
            Err(error) if error.is_retryable() => slot.later(),
            _ => slot.calm(),
        }
        let before = slot.room.wants_log().is_some();
        let done = slot.room.answer(asked, answer, &mut self.env);
        let after = slot.room.wants_log().is_some();
        if let Err(error) = done {
            return self.trouble(uri, &error);
        }
        if after && !before {
            self.want(uri);
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Up => {
                let _ = self.wants.send(Want::Mailbox);
                self.ask_stock(Request::Stock);
                self.rooms.keys().for_each(|uri| self.want(uri));
            }
            News::Refused(error) => self.unreachable(&error),
            News::Event(event, taken) => {
                self.event(event);
                drop(taken);
            }
        }
    }

    fn event(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Entry { room, entry } => self.entry(&room, &entry),
            LiveEvent::Mailbox(item) => self.mail(item),
            LiveEvent::KeyPackagesLow { .. } => self.ask_stock(Request::Stock),
            // That it is out, the commit has shown.
            LiveEvent::Closed { room, closure } => self.closed(&room, closure),
            LiveEvent::CaughtUp { .. } | LiveEvent::Left { .. } => {}
        }
    }

    fn entry(&mut self, uri: &RoomUri, entry: &LogEntry) {
        let Some(slot) = self.rooms.get_mut(uri).filter(|slot| !slot.stale) else { return };
        match slot.room.entry(entry, &mut self.env) {
            Ok(Taken::Yes) => {}
            Ok(Taken::Gap) => self.want(uri),
            Err(error) => self.trouble(uri, &error),
        }
        self.pass_on(uri);
    }

    /// Puts a room in its place; those who wait for it stay.
    fn place(&mut self, uri: RoomUri, room: Room) {
        match self.rooms.get_mut(&uri) {
            Some(slot) => {
                slot.room = room;
                slot.stale = false;
            }
            None => drop(self.rooms.insert(uri, Slot::new(room))),
        }
    }

    /// Asks about key packages, or publishes some; one request at a time, so that the answer counts
    /// what was published before.
    fn ask_stock(&mut self, request: Request) {
        if std::mem::replace(&mut self.stocking, true) {
            return;
        }
        self.restock = None;
        let (transport, answers) = (self.transport.clone(), self.answers.clone());
        tokio::spawn(async move {
            let answer = transport.request(request).await;
            let _ = answers.send(Incoming::Stock(answer));
        });
    }

    /// Makes up for the key packages that the server lacks.
    fn stock(&mut self, answer: Result<Answer, ClientError>) {
        self.stocking = false;
        if let (Err(_), Some(renewal)) = (&answer, &mut self.renewal) {
            renewal.replacing = false;
        }
        let stock = match answer {
            Ok(Answer::Stock(stock)) => stock,
            Err(error) if !error.is_retryable() => {
                self.unreachable(&error);
                return self.restock_later();
            }
            Ok(_) | Err(_) => return self.restock_later(),
        };
        self.restock_pause = PAUSE;
        match self.replaces_stock() {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                tracing::warn!(%error, "old key packages could not be replaced");
                return self.restock_later();
            }
        }
        let kinds = self.lacking(&stock);
        if kinds.is_empty() {
            self.stocked = true;
            self.reachable.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
            return;
        }
        match stock::fill(&self.context, &kinds, &mut self.env) {
            Ok(key_packages) => self.ask_stock(Request::Publish { key_packages }),
            Err(error) => {
                tracing::warn!(%error, "key packages could not be made");
                self.restock_later();
            }
        }
    }

    /// The server takes nothing from this device: it knows it by another key, say. Whoever waits would do so
    /// for ever.
    fn unreachable(&mut self, error: &ClientError) {
        let why = crate::room::refused(error);
        self.reachable.drain(..).for_each(|reply| drop(reply.send(Err(why.clone()))));
    }

    /// Whoever waits to be reachable would wait for the next connection otherwise.
    fn restock_later(&mut self) {
        self.restock = Some(Instant::now() + self.restock_pause);
        self.restock_pause = self.restock_pause.saturating_mul(2).min(LONGEST_PAUSE);
    }

    /// What the server shall have.
    fn full_stock(&self) -> Vec<Kind> {
        let mut kinds = vec![Kind::OneTime; usize::try_from(self.key_packages).unwrap_or(0)];
        kinds.push(Kind::LastResort);
        kinds
    }

    fn lacking(&self, stock: &Stock) -> Vec<Kind> {
        let suite = self.context.suite.cipher_suite().0;
        let found = stock.suites.iter().find(|found| found.cipher_suite == suite);
        let (one_time, last_resort) = found.map_or((0, 0), |found| (found.one_time, found.last_resort));
        let missing = usize::try_from(self.key_packages.saturating_sub(one_time)).unwrap_or(0);
        let mut kinds = vec![Kind::OneTime; missing];
        if last_resort == 0 {
            kinds.push(Kind::LastResort);
        }
        kinds
    }
}
