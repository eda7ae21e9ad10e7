//! Cycles of load, fault and check.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyroom_api::Connection;
use keyroom_testbed::Postgres;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::check::{Tally, Violation, check};
use crate::history::Entry;
use crate::load::{Client, Load, WRITERS};
use crate::room::{Moments, Room};
use crate::server::Server;

/// A cycle counts with as many answers.
const ACKNOWLEDGED: u64 = 50;

/// Longest time until a cycle has them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rooms that are written to at the same time.
const ROOMS: u64 = 4;

/// After so many cycles new rooms take the place of the old ones, whose logs have grown.
const GENERATION: u64 = 20;

/// Which database is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A SQLite file in a temporary folder.
    Sqlite,
    /// A PostgreSQL server of its own, which is killed in one cycle of five.
    Postgres,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program `keyroomd`.
    pub program: PathBuf,
    /// The database.
    pub engine: Engine,
    /// Cycles that must count.
    pub cycles: u64,
    /// Decides who sends what and when the fault comes; the rest is up to the machine.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cycles that counted.
    pub cycles: u64,
    /// Answers that promised something.
    pub acknowledged: u64,
    /// What is wrong.
    pub tally: Tally,
}

/// Runs the plan. `None`, with a word on standard error, where PostgreSQL is not installed.
///
/// # Panics
/// If the server does not start, or there is too little load for a cycle to count.
pub async fn run(plan: &Plan) -> Option<Report> {
    let mut world = World::new(plan)?;
    let mut report = Report::default();
    for cycle in 0..plan.cycles {
        if cycle % GENERATION == 0 {
            world.renew(cycle / GENERATION).await;
        }
        report.acknowledged += world.cycle(&mut report.tally).await;
        report.cycles += 1;
    }
    world.retire();
    world.read_everything(&mut report.tally).await;
    Some(report)
}

struct World {
    plan: Plan,
    rng: StdRng,
    moments: Arc<Moments>,
    database: Database,
    server: Server,
    rooms: Vec<Arc<Room>>,
    past: Vec<Arc<Room>>,
}

enum Database {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl Database {
    fn address(&self) -> String {
        match self {
            Self::Sqlite(folder) => folder.path().join("keyroom.db").to_str().unwrap().to_owned(),
            Self::Postgres(server) => server.url(),
        }
    }
}

impl World {
    fn new(plan: &Plan) -> Option<Self> {
        let database = match plan.engine {
            Engine::Sqlite => Database::Sqlite(tempfile::tempdir().unwrap()),
            Engine::Postgres => Database::Postgres(Box::new(Postgres::start()?)),
        };
        let server = Server::start(&plan.program, &database.address());
        Some(Self {
            plan: plan.clone(),
            rng: StdRng::seed_from_u64(plan.seed),
            moments: Arc::default(),
            database,
            server,
            rooms: Vec::new(),
            past: Vec::new(),
        })
    }

    async fn renew(&mut self, generation: u64) {
        self.retire();
        let server = self.server.connect();
        for number in 0..ROOMS {
            let name = format!("room{generation}x{number}");
            let seed = self.rng.random();
            self.rooms.push(Arc::new(Room::open(&name, seed, &server).await));
        }
    }

    fn retire(&mut self) {
        self.past.append(&mut self.rooms);
    }

    /// One cycle; returns how much was acknowledged.
    async fn cycle(&mut self, tally: &mut Tally) -> u64 {
        let load = Load::start(&self.server.connect(), &self.rooms, &self.moments, self.rng.random(), WRITERS);
        let progress = load.progress.clone();
        let end = Instant::now() + PATIENCE;
        let enough = |count: &AtomicU64, least| count.load(Ordering::SeqCst) >= least;
        while !enough(&progress.acknowledged, ACKNOWLEDGED) || !enough(&progress.contested, 1) {
            assert!(Instant::now() < end, "too little load for a cycle to count");
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_micros(self.rng.random_range(0..60_000))).await;
        self.fault();
        load.stop().await;
        let client = Client { server: self.server.connect(), moments: self.moments.clone(), progress };
        for room in &self.rooms {
            let mut found = Vec::new();
            if !client.recover(room).await {
                found.push(Violation::Stuck);
            }
            follow(&client.server, room).await;
            found.extend(check(&room.history(), &room.log()));
            tally.add(&found);
        }
        client.progress.acknowledged.load(Ordering::SeqCst)
    }

    /// Kills the server, or PostgreSQL, or both, and starts them again.
    fn fault(&mut self) {
        let address = self.database.address();
        let which = self.rng.random_range(0..10);
        if let Database::Postgres(database) = &mut self.database {
            if which < 2 {
                database.kill();
                if which == 0 {
                    self.server.kill();
                }
                database.restart();
            }
            if which == 1 {
                return;
            }
        }
        self.server.kill();
        self.server = Server::start(&self.plan.program, &address);
    }

    /// Reads every log of the run from its beginning and checks it again.
    async fn read_everything(&self, tally: &mut Tally) {
        let server = self.server.connect();
        for room in &self.past {
            let before = std::mem::take(&mut *room.log());
            follow(&server, room).await;
            if *room.log() != before {
                tally.add(&check(&room.history(), &room.log()));
            }
        }
    }
}

/// Reads the rest of a log.
async fn follow(server: &Connection, room: &Room) {
    loop {
        let cursor = room.log().last().map_or(0, |entry| entry.sequence);
        let page = server.log(&room.uri, cursor, Duration::ZERO).await.expect("a log that can be read");
        if page.entries.is_empty() {
            return;
        }
        room.log().extend(page.entries.iter().map(Entry::from));
    }
}
