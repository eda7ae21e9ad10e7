//! A client of the demonstration: a process of its own that does what it reads from standard input,
//! one JSON object a line, and answers each with one line.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{Client, ClientError, Options, Room, SqliteStore};
use keyroom_wire::CipherSuite;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep};

use super::pry;
use crate::failure::Failure;
use crate::{output, state, suite};

/// How long a client waits for what must come: less than the stage waits for the client.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it looks.
const GLANCE: Duration = Duration::from_millis(2);
/// The room of the demonstration.
pub(super) const ROOM: &str = "meeting";

/// Where a client of the demonstration works.
#[derive(Debug, Args)]
pub(crate) struct ClientOptions {
    #[arg(long)]
    server: String,
    #[arg(long)]
    user: String,
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, value_parser = suite::parse)]
    suite: CipherSuite,
}

/// What a client is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Order {
    /// Open the state and connect.
    Open,
    /// Create the room.
    Create,
    /// Wait for a Welcome.
    Enter,
    /// Come in by external commit.
    Join,
    /// Invite users, all in one commit.
    Invite { users: Vec<String> },
    /// Remove a user.
    Remove { user: String },
    /// Replace the own keys.
    Rotate,
    /// Replace the own keys, and say `held` when the server has accepted that and before the answer is
    /// looked at; then do nothing more.
    RotateAndHang,
    /// Say something and wait until the log has it.
    Say { text: String },
    /// Wait for a text.
    Hear { text: String },
    /// Wait for an epoch.
    Reach { epoch: u64 },
    /// Wait until this device is removed.
    Leave,
    /// Show the room.
    View,
    /// Try to read entries of the log with the state in the folder, in every way that there is.
    Pry { entries: Vec<pry::Leaked> },
}

/// What a client answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The commit is accepted and the answer is held back.
    #[serde(default)]
    pub(super) held: bool,
    #[serde(default)]
    pub(super) epoch: u64,
    #[serde(default)]
    pub(super) sender: String,
    #[serde(default)]
    pub(super) authenticator: String,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) tree: String,
    #[serde(default)]
    pub(super) attempts: Vec<pry::Attempt>,
}

/// Does what it is told until standard input ends.
pub(crate) fn run(options: ClientOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::usage(error.to_string()))?.block_on(serve(options))
}

async fn serve(options: ClientOptions) -> Result<(), Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut actor = Actor { options, hold: Arc::new(AtomicBool::new(false)), opened: None };
    while let Ok(Some(line)) = lines.next_line().await {
        let order: Order = serde_json::from_str(&line).map_err(|error| Failure::usage(error.to_string()))?;
        let report = match actor.obey(order).await {
            Ok(report) => report,
            Err(error) => Report { error: Some(error), ..Report::default() },
        };
        say(&report)?;
    }
    Ok(())
}

fn say(report: &Report) -> Result<(), Failure> {
    let line = serde_json::to_string(report).map_err(|error| Failure::usage(error.to_string()))?;
    output::write(&format!("{line}\n"))
}

struct Actor {
    options: ClientOptions,
    hold: Arc<AtomicBool>,
    opened: Option<(Client, state::State)>,
}

impl Actor {
    async fn obey(&mut self, order: Order) -> Result<Report, String> {
        match order {
            Order::Open => self.open().await,
            Order::Pry { entries } => pry::pry(&self.options.folder, &entries),
            order => {
                let (client, _) = self.opened.as_ref().ok_or("not open")?;
                obey(client, order, &self.hold).await
            }
        }
    }

    async fn open(&mut self) -> Result<Report, String> {
        let state = state::open(&self.options.folder).map_err(|failure| format!("{failure:?}"))?;
        let hold = self.hold.clone();
        let options = Options::new(&self.options.user, &suite::PROVIDER)
            .cipher_suite(self.options.suite.0)
            .transport(move |inner| Arc::new(Holding { inner, hold }) as Arc<dyn Transport>);
        let store: SqliteStore = state.store.clone();
        let client = Client::open(store, &self.options.server, options).await.map_err(text)?;
        client.reachable().await.map_err(text)?;
        self.opened = Some((client, state));
        Ok(Report::default())
    }
}

async fn obey(client: &Client, order: Order, hold: &Arc<AtomicBool>) -> Result<Report, String> {
    match order {
        Order::Create => drop(client.create_room(ROOM).await.map_err(text)?),
        Order::Enter => drop(client.entered(ROOM).await.map_err(text)?),
        Order::Join => drop(client.join_room(ROOM).await.map_err(text)?),
        order => {
            let room = client.room(ROOM).await.map_err(text)?;
            return in_room(&room, order, hold).await;
        }
    }
    see(&client.room(ROOM).await.map_err(text)?).await
}

async fn in_room(room: &Room, order: Order, hold: &Arc<AtomicBool>) -> Result<Report, String> {
    match order {
        Order::Invite { users } => {
            let settled = room.invite_all(users.iter().map(String::as_str)).await.map_err(text)?;
            settled.into_iter().collect::<Result<Vec<_>, _>>().map_err(text)?;
        }
        Order::Remove { user } => {
            room.remove(&user).await.map_err(text)?;
        }
        Order::Rotate => {
            room.rotate().await.map_err(text)?;
        }
        Order::RotateAndHang => {
            hold.store(true, Ordering::SeqCst);
            // Its transport reports, and never lets it come back.
            room.rotate().await.map_err(text)?;
        }
        Order::Say { text: said } => return speak(room, said).await,
        Order::Hear { text: said } => return hear(room, &said).await,
        Order::Reach { epoch } => return reach(room, epoch).await,
        Order::Leave => return leave(room).await,
        _ => {}
    }
    see(room).await
}

async fn speak(room: &Room, said: String) -> Result<Report, String> {
    room.send(said.clone()).await.map_err(text)?;
    room.flush().await.map_err(text)?;
    hear(room, &said).await
}

async fn hear(room: &Room, said: &str) -> Result<Report, String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let history = room.history(None, 1000).await.map_err(text)?;
        if let Some(found) = history.iter().find(|message| message.text == said) {
            let sender = found.sender.user_name().to_string();
            return Ok(Report { epoch: found.epoch.unwrap_or_default(), sender, ..Report::default() });
        }
        sleep(GLANCE).await;
    }
    Err(format!("has not heard: {said}"))
}

async fn reach(room: &Room, epoch: u64) -> Result<Report, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = see(room).await?;
        if seen.epoch == epoch {
            return Ok(seen);
        }
        if Instant::now() > until || seen.epoch > epoch {
            return Err(format!("is in epoch {} instead of {epoch}", seen.epoch));
        }
        sleep(GLANCE).await;
    }
}

/// A device that was removed has no group to look at any more.
async fn leave(room: &Room) -> Result<Report, String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if room.view().await == Err(keyroom::Usage::Removed.into()) {
            return Ok(Report::default());
        }
        sleep(GLANCE).await;
    }
    Err("is still in the room".into())
}

async fn see(room: &Room) -> Result<Report, String> {
    let view = room.view().await.map_err(text)?;
    let name = |member: &keyroom::Member| member.device.as_ref().map(|device| device.user_name().to_string());
    Ok(Report {
        epoch: view.epoch,
        authenticator: hex::encode(&view.authenticator),
        members: view.members.iter().filter_map(name).collect(),
        tree: view.tree,
        ..Report::default()
    })
}

fn text(error: keyroom::Error) -> String {
    error.to_string()
}

/// A transport that can stop between a commit's acceptance and its answer.
struct Holding {
    inner: Arc<dyn Transport>,
    hold: Arc<AtomicBool>,
}

impl Transport for Holding {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        let holds = self.hold.load(Ordering::SeqCst) && matches!(request, Request::Commit { .. });
        Box::pin(async move {
            let answer = self.inner.request(request).await;
            if holds && answer.is_ok() {
                let _ = say(&Report { held: true, ..Report::default() });
                std::future::pending::<()>().await;
            }
            answer
        })
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        Box::pin(async move {
            let inner = self.inner.live().await?;
            Ok(Box::new(HoldingFeed { inner, hold: self.hold.clone() }) as Box<dyn Feed>)
        })
    }
}

struct HoldingFeed {
    inner: Box<dyn Feed>,
    hold: Arc<AtomicBool>,
}

impl Feed for HoldingFeed {
    fn subscribe<'a>(&'a mut self, room: &'a keyroom::RoomUri, after: u64) -> Later<'a, Result<(), ClientError>> {
        self.inner.subscribe(room, after)
    }

    fn mailbox(&mut self, after: u64) -> Later<'_, Result<(), ClientError>> {
        self.inner.mailbox(after)
    }

    fn next(&mut self) -> Later<'_, Result<Option<keyroom_api::LiveEvent>, ClientError>> {
        Box::pin(async move {
            let event = self.inner.next().await;
            if self.hold.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            event
        })
    }
}
