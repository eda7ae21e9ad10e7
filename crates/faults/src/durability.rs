//! Whether what was acknowledged was on the disk: a recorded run, and what is left of it when the disk
//! forgets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keyroom_testbed::Postgres;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::exchange::{Exchange, exchanges};
use crate::forget::{Cuts, forget};
use crate::load::{Load, WRITERS};
use crate::order::{Order, order};
use crate::recorder::{Recorder, Syncs};
use crate::room::{Moments, Room};
use crate::run::Engine;
use crate::server::Server;
use crate::trace::Call;

/// Rooms that are written to at the same time.
const ROOMS: u64 = 4;

/// Answers and cuts of the run in which synchronisations are left out.
const PROOF: (u64, u64) = (150, 60);

/// Longest time without progress.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program `keyroomd`.
    pub program: PathBuf,
    /// The database.
    pub engine: Engine,
    /// Answers to record, a quarter of them of requests that come one after the other.
    pub acknowledgements: u64,
    /// Places at which the disk fails; SQLite only.
    pub cuts: u64,
    /// Decides who sends what, and what the disk forgets.
    pub seed: u64,
}

/// What a run shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Answers that the clients have got.
    pub acknowledged: u64,
    /// What the trace says about them.
    pub order: Order,
    /// What is left at the cuts; `None` for PostgreSQL.
    pub cuts: Option<Cuts>,
}

impl Report {
    /// Whether an answer came too early, is not in the trace, or something that was promised is lost.
    pub fn is_bad(&self) -> bool {
        self.order.violations() > 0
            || self.order.acknowledged != self.acknowledged
            || self.cuts.is_some_and(|cuts| cuts.is_bad())
    }
}

/// Runs the plan, after a short run with synchronisations left out, in which the same checks must find
/// something: its report comes first. `None`, with a word on standard error, where `strace` or PostgreSQL is
/// not installed.
///
/// # Panics
/// If a server does not start, or nothing goes through.
pub async fn run(plan: &Plan) -> Option<(Report, Report)> {
    let (acknowledgements, cuts) = PROOF;
    let short = Plan { acknowledgements, cuts, ..plan.clone() };
    Some((one(&short, Syncs::Missing).await?, one(plan, Syncs::Late).await?))
}

async fn one(plan: &Plan, syncs: Syncs) -> Option<Report> {
    let recorder = Recorder::new(syncs)?;
    let acknowledged = match plan.engine {
        Engine::Sqlite => sqlite(plan, &recorder).await,
        Engine::Postgres => postgres(plan, &recorder, syncs).await?,
    };
    let calls = recorder.calls();
    let exchanges = exchanges(&calls);
    let order = order(plan.engine, &calls, &exchanges);
    let cuts = cuts(plan, &calls, &exchanges).await;
    Some(Report { acknowledged, order, cuts })
}

async fn cuts(plan: &Plan, calls: &[Call], exchanges: &[Exchange]) -> Option<Cuts> {
    match plan.engine {
        Engine::Sqlite => Some(forget(calls, exchanges, plan.cuts, plan.seed).await),
        Engine::Postgres => None,
    }
}

/// The server is recorded from its first call on, so that the whole file is in the trace.
async fn sqlite(plan: &Plan, recorder: &Recorder) -> u64 {
    let folder = TempDir::new().unwrap();
    let mut server = Server::recorded(recorder, &plan.program, &file(folder.path()));
    let acknowledged = work(plan, &server).await;
    server.kill();
    acknowledged
}

fn file(folder: &Path) -> String {
    folder.join("keyroom.db").to_str().unwrap().to_owned()
}

/// Recorded are the server and all processes of PostgreSQL.
async fn postgres(plan: &Plan, recorder: &Recorder, syncs: Syncs) -> Option<u64> {
    let database = Postgres::start()?;
    let mut server = Server::start(&plan.program, &database.url());
    if syncs == Syncs::Missing {
        // A server that starts on it would refuse to.
        database.execute("ALTER SYSTEM SET fsync = off");
        database.execute("SELECT pg_reload_conf()");
    }
    let mut processes = database.processes();
    processes.push(server.id());
    let attached = recorder.attach(&processes);
    let acknowledged = work(plan, &server).await;
    attached.detach();
    server.kill();
    Some(acknowledged)
}

/// Lets clients write: first one at a time, then many at once. How many answers they got.
async fn work(plan: &Plan, server: &Server) -> u64 {
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        let seed = plan.seed.wrapping_mul(1_000).wrapping_add(number);
        rooms.push(Arc::new(Room::open(&format!("room{number}"), seed, &server.connect()).await));
    }
    let mut acknowledged = 0;
    for (writers, goal) in [(1, plan.acknowledgements / 4), (WRITERS, plan.acknowledgements)] {
        let load = Load::start(&server.connect(), &rooms, &Arc::<Moments>::default(), plan.seed, writers);
        let progress = load.progress.clone();
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let now = progress.acknowledged.load(Ordering::SeqCst);
            if acknowledged + now >= goal {
                break;
            }
            if now > last {
                (last, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "nothing goes through");
            sleep(Duration::from_millis(5)).await;
        }
        load.stop().await;
        acknowledged += progress.acknowledged.load(Ordering::SeqCst);
    }
    acknowledged
}
