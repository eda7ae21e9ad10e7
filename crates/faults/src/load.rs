//! Clients at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyroom_api::{ClientError, Code, Connection, EntryKind, Receipt};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::history::{Entry, Outcome};
use crate::room::{Moments, Open, Room, State, lock};

/// Clients that write at the same time.
pub(crate) const WRITERS: u64 = 8;

/// Of so many steps of a writer one is a contest of commits.
const CONTEST: u32 = 12;

/// Longest time until a room takes something after a fault.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients of one cycle have been told so far.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) acknowledged: AtomicU64,
    pub(crate) contested: AtomicU64,
    stop: AtomicBool,
}

/// Writers and a reader under way.
pub(crate) struct Load {
    pub(crate) progress: Arc<Progress>,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(
        server: &Connection,
        rooms: &[Arc<Room>],
        moments: &Arc<Moments>,
        seed: u64,
        writers: u64,
    ) -> Self {
        let progress = Arc::<Progress>::default();
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            let client = Client { server: server.clone(), moments: moments.clone(), progress: progress.clone() };
            let rng = StdRng::seed_from_u64(seed ^ (writer << 48));
            tasks.spawn(client.write(rooms.to_vec(), rng));
        }
        tasks.spawn(read(server.clone(), rooms.to_vec(), progress.clone()));
        Self { progress, tasks }
    }

    /// Lets everybody finish what is under way.
    pub(crate) async fn stop(mut self) {
        self.progress.stop.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
    }
}

/// One client, and where it notes what it was told.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) server: Connection,
    pub(crate) moments: Arc<Moments>,
    pub(crate) progress: Arc<Progress>,
}

/// What an answer means.
enum Answer {
    Acknowledged,
    /// Refused; with the commit that has won, if that is why.
    Refused(Option<Vec<u8>>),
    Unknown,
}

impl Client {
    async fn write(self, rooms: Vec<Arc<Room>>, mut rng: StdRng) {
        while !self.progress.stop.load(Ordering::SeqCst) {
            let room = &rooms[rng.random_range(0..rooms.len())];
            if rng.random_range(0..CONTEST) == 0 {
                let mut state = room.group.lock().await;
                if state.contest.is_empty() {
                    self.contest(room, &mut state).await;
                }
            } else {
                self.message(room).await;
            }
        }
    }

    /// Sends a message in the room's current epoch, which may pass meanwhile.
    async fn message(&self, room: &Room) {
        let open = {
            let mut state = room.group.lock().await;
            if !state.contest.is_empty() {
                drop(state);
                return sleep(Duration::from_millis(5)).await;
            }
            let (epoch, message) = (state.epoch(), state.message());
            room.begin(EntryKind::Application, epoch, message, self.moments.next())
        };
        if let Answer::Unknown = self.send(room, &open).await {
            lock(&room.open).push(open);
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn send(&self, room: &Room, open: &Open) -> Answer {
        let answer = self.server.send_message(&room.uri, open.message.clone(), &open.key).await;
        self.note(room, open, answer)
    }

    /// Sends commits for one epoch at the same time, and moves on with the one that has won, unless
    /// that is not known.
    pub(crate) async fn contest(&self, room: &Room, state: &mut State) {
        if state.contest.is_empty() {
            state.contend(room, &self.moments);
        }
        let mut sending = JoinSet::new();
        for contender in &state.contest {
            let (server, uri) = (self.server.clone(), room.uri.clone());
            let (bundle, open) = (contender.bundle.clone(), contender.open.clone());
            sending.spawn(async move { (server.commit(&uri, &bundle, &open.key).await, open) });
        }
        let (mut winner, mut lost) = (None, 0);
        while let Some(sent) = sending.join_next().await {
            let (answer, open) = sent.unwrap();
            match self.note(room, &open, answer) {
                Answer::Acknowledged => winner = Some(open.message),
                Answer::Refused(Some(other)) => {
                    lost += 1;
                    winner.get_or_insert(other);
                }
                Answer::Refused(None) | Answer::Unknown => {}
            }
        }
        if let Some(winner) = winner {
            state.advance(&winner);
            if lost > 0 {
                self.progress.contested.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn note(&self, room: &Room, open: &Open, answer: Result<Receipt, ClientError>) -> Answer {
        match answer {
            Ok(receipt) => {
                let ended = self.moments.next();
                room.end(open, Outcome::Acknowledged { sequence: receipt.sequence, ended });
                self.progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                Answer::Acknowledged
            }
            Err(ClientError::Unavailable | ClientError::Malformed) => Answer::Unknown,
            Err(error) if error.code() == Some(Code::Unavailable) => Answer::Unknown,
            Err(error) => {
                assert_eq!(error.code(), Some(Code::WrongEpoch), "{error}");
                room.end(open, Outcome::Refused);
                Answer::Refused(error.conflict().and_then(|conflict| conflict.commit.clone()))
            }
        }
    }

    /// After a fault: asks about everything that had no answer, and sends a new message and a new
    /// commit. `false` if the room does not take them.
    pub(crate) async fn recover(&self, room: &Room) -> bool {
        let end = Instant::now() + PATIENCE;
        let open = std::mem::take(&mut *lock(&room.open));
        for open in open {
            while let Answer::Unknown = self.send(room, &open).await {
                if Instant::now() > end {
                    return false;
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        let mut state = room.group.lock().await;
        let before = state.epoch();
        let unsettled = !state.contest.is_empty();
        // What was open is settled first, then comes a new one.
        let goal = before + 1 + u64::from(unsettled);
        while state.epoch() < goal {
            self.contest(room, &mut state).await;
            if Instant::now() > end {
                return false;
            }
        }
        let (epoch, message) = (state.epoch(), state.message());
        let new = room.begin(EntryKind::Application, epoch, message, self.moments.next());
        loop {
            match self.send(room, &new).await {
                Answer::Acknowledged => return true,
                Answer::Unknown if Instant::now() < end => sleep(Duration::from_millis(10)).await,
                Answer::Unknown | Answer::Refused(_) => return false,
            }
        }
    }
}

/// Notes what is in the logs while they grow.
async fn read(server: Connection, rooms: Vec<Arc<Room>>, progress: Arc<Progress>) {
    let mut cursors: Vec<u64> = rooms.iter().map(|room| room.log().last().map_or(0, |entry| entry.sequence)).collect();
    while !progress.stop.load(Ordering::SeqCst) {
        for (room, cursor) in rooms.iter().zip(&mut cursors) {
            if let Ok(page) = server.log(&room.uri, *cursor, Duration::ZERO).await {
                *cursor = page.entries.last().map_or(*cursor, |entry| entry.sequence);
                room.see(page.entries.iter().map(Entry::from));
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}
