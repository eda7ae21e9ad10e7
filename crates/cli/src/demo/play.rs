//! The acts. Each expectation that does not hold ends the play.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use keyroom::RoomUri;
use keyroom_api::{EntryKind, LogEntry};
use keyroom_delivery::{Ledger as _, LogRead, Page, Sqlite};
use keyroom_wire::CipherSuite;

use super::client::{Order, Report};
use super::company::{Actor, Scene};
use super::pry::Leaked;
use super::relay::Relay;
use super::screen::Screen;
use crate::process::ServerProcess;
use crate::suite;

/// Names at the server of the demonstration.
const ROOM: &str = "mimi://demo.example/r/meeting";
const NOBODY: &str = "mimi://demo.example/d/nobody/main";

/// The stage: who is there, and what is known to all.
struct Stage {
    screen: Screen,
    folder: PathBuf,
    server: String,
    suite: CipherSuite,
    relay: Relay,
    /// The server's database, as whoever runs the server sees it.
    database: Sqlite,
    room: RoomUri,
    checks: u64,
}

/// Plays all acts.
pub(super) async fn play(folder: &Path, suite: CipherSuite) -> Result<(), String> {
    let begin = Instant::now();
    let database = folder.join("server.db");
    let server = ServerProcess::start(&[
        "--host".as_ref(),
        "demo.example".as_ref(),
        "--database".as_ref(),
        database.as_os_str(),
    ])
    .await?;
    let mut stage = Stage::new(folder, &server.url, suite).await?;
    stage.screen.aside("a server that cannot read, and clients that share nothing but it")?;

    let (mut alice, mut bob, mut charlie) =
        tokio::try_join!(stage.enter("alice"), stage.enter("bob"), stage.enter("charlie"))?;
    stage.open_the_room(&mut alice).await?;
    stage.two_come_by_welcome(&mut alice, &mut bob, &mut charlie).await?;
    let mut dana = stage.enter("dana").await?;
    stage.one_comes_by_external_commit(&mut alice, &mut bob, &mut charlie, &mut dana).await?;
    stage.one_is_removed(&mut alice, &mut bob, &mut charlie, &mut dana).await?;
    stage.one_rotates(&mut alice, &mut bob, &mut dana).await?;
    stage.one_is_killed(alice, &mut bob, &mut dana).await?;
    stage.finish(begin).await?;
    server.stop().await;
    Ok(())
}

impl Stage {
    async fn new(folder: &Path, server: &str, suite: CipherSuite) -> Result<Self, String> {
        let address = server.trim_start_matches("http://").parse().map_err(|_| "the server has no address")?;
        let relay = Relay::start(address).await.map_err(|error| error.to_string())?;
        Ok(Self {
            screen: Screen::new(),
            folder: folder.to_owned(),
            server: relay.url(),
            suite,
            relay,
            database: Sqlite::open(folder.join("server.db")).map_err(|error| error.to_string())?,
            room: ROOM.parse().map_err(|_| "a bad name")?,
            checks: 0,
        })
    }

    async fn enter(&self, name: &'static str) -> Result<Actor, String> {
        Actor::enter(name, self.scene(self.folder.join(name))).await
    }

    fn scene(&self, folder: PathBuf) -> Scene {
        Scene { folder, server: self.server.clone(), suite: self.suite }
    }

    async fn open_the_room(&mut self, alice: &mut Actor) -> Result<(), String> {
        self.screen.act("Act 1: Alice opens a room")?;
        let seen = alice.obey(&Order::Create).await?;
        self.screen.note(seen.epoch, "alice", &format!("creates {ROOM}"))?;
        self.expect(seen.epoch == 0 && seen.members == ["alice"], "a new room has one member, in epoch 0")?;
        self.screen.tree(seen.epoch, &seen.tree)
    }

    async fn two_come_by_welcome(
        &mut self,
        alice: &mut Actor,
        bob: &mut Actor,
        charlie: &mut Actor,
    ) -> Result<(), String> {
        self.screen.act("Act 2: Bob and Charlie come in by Welcome")?;
        let users = vec!["bob".to_owned(), "charlie".to_owned()];
        let seen = alice.obey(&Order::Invite { users }).await?;
        self.screen.note(seen.epoch, "alice", "invites bob and charlie, in one commit")?;
        bob.obey(&Order::Enter).await?;
        charlie.obey(&Order::Enter).await?;
        let mut all = [alice, bob, charlie];
        self.agree(1, &mut all).await?;
        self.talk(0, "Welcome to the meeting. Only we can read this.", &mut all).await?;
        self.talk(1, "Hello Alice! The server sees nothing but noise.", &mut all).await?;
        self.talk(2, "Good morning, everyone.", &mut all).await
    }

    async fn one_comes_by_external_commit(
        &mut self,
        alice: &mut Actor,
        bob: &mut Actor,
        charlie: &mut Actor,
        dana: &mut Actor,
    ) -> Result<(), String> {
        self.screen.act("Act 3: Dana comes in by external commit")?;
        let seen = dana.obey(&Order::Join).await?;
        self.screen.note(seen.epoch, "dana", "joins without being invited")?;
        let mut all = [alice, bob, charlie, dana];
        self.agree(2, &mut all).await?;
        self.talk(3, "Hi, I let myself in: you can all see my name in the tree.", &mut all).await?;
        self.talk(2, "Welcome, Dana!", &mut all).await
    }

    async fn one_is_removed(
        &mut self,
        alice: &mut Actor,
        bob: &mut Actor,
        charlie: &mut Actor,
        dana: &mut Actor,
    ) -> Result<(), String> {
        self.screen.act("Act 4: Charlie is removed")?;
        let copy = self.copy_of("charlie")?;
        self.screen.note(2, "charlie", "keeps a copy of all his files, keys included")?;
        let before = self.log_after(0).await?.len();
        self.talk(3, "Charlie can still read this.", &mut [&mut *alice, &mut *bob, &mut *charlie, &mut *dana]).await?;
        let seen = alice.obey(&Order::Remove { user: "charlie".into() }).await?;
        self.screen.note(seen.epoch, "alice", "removes charlie")?;
        charlie.obey(&Order::Leave).await?;
        let mut all = [alice, bob, dana];
        self.agree(3, &mut all).await?;
        self.talk(0, "Charlie cannot read this.", &mut all).await?;
        self.talk(1, "Nor this.", &mut all).await?;
        self.charlie_tries(charlie, &copy, u64::try_from(before).unwrap_or_default()).await
    }

    /// Charlie has what follows his removal from somebody who runs the server, and tries to read it: with
    /// what his client has, and with the copy.
    async fn charlie_tries(&mut self, charlie: &mut Actor, copy: &Path, after: u64) -> Result<(), String> {
        charlie.kill().await?;
        let entries: Vec<Leaked> = self.log_after(after).await?.iter().map(Leaked::from).collect();
        self.screen.note(3, "charlie", "gets the messages from somebody who runs the server")?;
        let mut honest = Actor::start("charlie", self.scene(self.folder.join("charlie")))?;
        let own = honest.obey(&Order::Pry { entries: entries.clone() }).await?;
        let mut thief = Actor::start("charlie", self.scene(copy.to_owned()))?;
        let stolen = thief.obey(&Order::Pry { entries }).await?;
        let texts =
            |report: &Report| report.attempts.iter().filter(|attempt| !attempt.commit && attempt.epoch == 3).count();
        self.expect(texts(&own) == 2, "Charlie has the two messages")?;
        self.expect(texts(&stolen) == 4, "Charlie tries each of the two messages in two ways")?;
        let control = stolen.attempts.iter().filter(|attempt| attempt.read).count();
        self.expect(control == 1, "the copy is good: it reads what was said before the removal, and only that")?;
        for (report, with) in [(&own, "his own files"), (&stolen, "the copy")] {
            for attempt in &report.attempts {
                let what = if attempt.commit { "commit" } else { "message" };
                let line = format!("{what} {} with {with}: {}", attempt.sequence, attempt.outcome);
                self.screen.note(attempt.epoch, "charlie", &line)?;
                let before = with == "the copy" && attempt.epoch == 2 && !attempt.commit;
                self.expect(attempt.read == before, "Charlie reads nothing after his removal")?;
            }
        }
        Ok(())
    }

    async fn one_rotates(&mut self, alice: &mut Actor, bob: &mut Actor, dana: &mut Actor) -> Result<(), String> {
        self.screen.act("Act 5: Bob replaces his keys")?;
        let seen = bob.obey(&Order::Rotate).await?;
        self.screen.note(seen.epoch, "bob", "rotates: whoever stole his keys is out")?;
        let mut all = [alice, bob, dana];
        self.agree(4, &mut all).await?;
        self.talk(1, "New keys, same Bob.", &mut all).await
    }

    /// Alice is killed after the server has accepted her commit and before she has seen the answer.
    async fn one_is_killed(&mut self, mut alice: Actor, bob: &mut Actor, dana: &mut Actor) -> Result<(), String> {
        self.screen.act("Act 6: Alice is killed between a commit and its answer")?;
        let report = alice.obey(&Order::RotateAndHang).await?;
        self.expect(report.held, "Alice waits between her commit and its answer")?;
        alice.kill().await?;
        self.screen.note(4, "alice", "sends a commit and is killed (SIGKILL) before the answer")?;
        let commits = self.commits().await?;
        self.expect(commits == 5, "the server has accepted Alice's commit")?;
        self.agree(5, &mut [bob, dana]).await?;
        self.talk(0, "Alice? Are you there?", &mut [bob, dana]).await?;
        let mut alice = alice.enter_again().await?;
        let seen = alice.obey(&Order::Reach { epoch: 5 }).await?;
        self.screen.note(seen.epoch, "alice", "is started again from her folder, and goes on")?;
        let heard = alice.obey(&Order::Hear { text: "Alice? Are you there?".into() }).await?;
        self.expect(heard.sender == "bob" && heard.epoch == 5, "Alice reads what was said while she was dead")?;
        let mut all = [&mut alice, bob, dana];
        self.agree(5, &mut all).await?;
        self.talk(0, "Yes. Nothing is lost, and nothing was sent twice.", &mut all).await?;
        self.talk(2, "See you tomorrow!", &mut all).await?;
        self.expect(self.commits().await? == 5, "Alice's commit is in the log once")
    }

    async fn finish(&mut self, begin: Instant) -> Result<(), String> {
        let entries = self.log_after(0).await?;
        let of = |kind| entries.iter().filter(move |entry| entry.kind == kind);
        let size = |kind| of(kind).map(|entry| entry.message.len()).sum::<usize>();
        let (texts, commits) = (EntryKind::Application, EntryKind::Commit);
        let count = of(texts).count();
        self.screen.summary(&[
            ("cipher suite", suite::describe(self.suite)),
            ("messages", format!("{count}, {} bytes encrypted", size(texts))),
            ("commits", format!("{}, {} bytes", of(commits).count(), size(commits))),
            ("bytes on the wire", format!("{}, all clients, with HTTP and WebSocket", self.relay.bytes())),
            ("expectations that held", self.checks.to_string()),
            ("milliseconds", begin.elapsed().as_millis().to_string()),
        ])
    }

    /// One says something, and all hear the same words, from the same sender, in the same epoch.
    async fn talk(&mut self, from: usize, text: &str, all: &mut [&mut Actor]) -> Result<(), String> {
        let speaker = all.get_mut(from).ok_or("nobody speaks")?;
        let name = speaker.name;
        let said = speaker.obey(&Order::Say { text: text.into() }).await?;
        self.screen.say(said.epoch, name, text)?;
        for actor in all.iter_mut() {
            let heard = actor.obey(&Order::Hear { text: text.into() }).await?;
            let same = heard.sender == name && heard.epoch == said.epoch;
            self.expect(same, "all hear the same words from the same sender in the same epoch")?;
        }
        Ok(())
    }

    /// All are in this epoch, with the same members, tree and epoch authenticator.
    async fn agree(&mut self, epoch: u64, all: &mut [&mut Actor]) -> Result<(), String> {
        let mut seen: Option<Report> = None;
        for actor in all.iter_mut() {
            let report = actor.obey(&Order::Reach { epoch }).await?;
            let same = seen.as_ref().is_none_or(|seen| *seen == report);
            self.expect(same, "all see the same members, tree and epoch authenticator")?;
            seen = Some(report);
        }
        let Some(seen) = seen else { return Ok(()) };
        self.screen.tree(epoch, &seen.tree)?;
        let short: String = seen.authenticator.chars().take(16).collect();
        self.screen.aside(&format!("{} agree on epoch {epoch}: authenticator {short}", seen.members.join(", ")))
    }

    fn expect(&mut self, holds: bool, what: &str) -> Result<(), String> {
        self.checks += 1;
        if holds { Ok(()) } else { Err(format!("this did not hold: {what}")) }
    }

    async fn log_after(&self, after: u64) -> Result<Vec<LogEntry>, String> {
        let text = |error: keyroom_delivery::LedgerError| error.to_string();
        let nobody = NOBODY.parse().map_err(|_| "a bad name")?;
        let room = self.database.room(&self.room, &nobody).await.map_err(text)?.ok_or("the server has no such room")?;
        let page = Page { after, entries: 10_000, bytes: usize::MAX };
        match self.database.log(room.id, None, page).await.map_err(text)? {
            LogRead::Page { page, .. } => Ok(page.entries),
            LogRead::Outside => Err("the log cannot be read".into()),
        }
    }

    async fn commits(&self) -> Result<usize, String> {
        Ok(self.log_after(0).await?.iter().filter(|entry| entry.kind == EntryKind::Commit).count())
    }

    /// A copy of everything that a client has on disk.
    fn copy_of(&self, name: &str) -> Result<PathBuf, String> {
        let text = |error: std::io::Error| error.to_string();
        let copy = self.folder.join(format!("copy-of-{name}"));
        fs::create_dir(&copy).map_err(text)?;
        for entry in fs::read_dir(self.folder.join(name)).map_err(text)? {
            let entry = entry.map_err(text)?;
            // The shared memory of the database belongs to its processes.
            if entry.file_name() != "lock" && !entry.file_name().to_string_lossy().ends_with("-shm") {
                fs::copy(entry.path(), copy.join(entry.file_name())).map_err(text)?;
            }
        }
        Ok(copy)
    }
}
