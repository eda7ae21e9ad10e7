//! `keyroom chat`: talking in a room, line by line.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use keyroom::{Client, DeviceUri, Error, Event, Events, Message, MessageId, MessageState, Room, Usage, View};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::{output, state, suite};

/// Texts that are shown of what was said before.
const REMEMBERED: usize = 1000;

/// How long the program stays for what was said last.
const LAST_WORDS: Duration = Duration::from_secs(5);

const HELP: &str = "\
A line is a message. Lines that start with a slash:
  /invite USER.. add all devices of users, in one commit
  /remove USER   remove all devices of a user
  /rotate        replace the own keys
  /members       show who is here, the ratchet tree and the code of the epoch
  /history       show what has been said
  /quit          leave the program; the room stays
  //TEXT         say TEXT with its slash
";

/// Talk in a room.
///
/// Creates the room if there is none of this name, comes in if somebody has invited you, or, with
/// --join, comes in without an invitation. Everything is kept in a folder, encrypted; a program that
/// was killed goes on where it was.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address of the server.
    #[arg(long, env = "KEYROOM_SERVER", default_value = "http://127.0.0.1:8440")]
    server: String,

    /// Your name at the server, or mimi://HOST/u/NAME.
    #[arg(long)]
    user: String,

    /// Name of this device among yours.
    #[arg(long, default_value = "main")]
    device: String,

    /// Name of the room at the server, or mimi://HOST/r/NAME.
    #[arg(long)]
    room: String,

    /// Come in without an invitation, or come in again.
    #[arg(long)]
    join: bool,

    /// Wait for an invitation instead of creating the room.
    #[arg(long, conflicts_with = "join")]
    wait: bool,

    /// Folder for the state. Default: keyroom/SERVER/USER where the system keeps data of applications.
    /// The key of the store is read from KEYROOM_STORE_KEY (64 hexadecimal digits), or kept beside the
    /// store in client.key, readable for you only.
    #[arg(long)]
    state: Option<PathBuf>,
}

/// Talks until the input ends.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(error.to_string()))?;
    let talked = runtime.block_on(talk(options));
    // A read of standard input that nobody waits for must not keep the program alive.
    runtime.shutdown_background();
    talked
}

async fn talk(options: Options) -> Result<(), Failure> {
    let folder = match &options.state {
        Some(folder) => folder.clone(),
        None => state::default_folder(&options.server, &options.user)?,
    };
    let state = state::open(&folder)?;
    let opening = keyroom::Options::new(&options.user, &suite::PROVIDER).device(&options.device);
    let client = Client::open(state.store.clone(), &options.server, opening).await.map_err(|error| failure(&error))?;
    let room = enter(&client, &options).await?;
    let mut talk = Talk { events: room.events(), own: client.device().clone(), room, shown: None };
    talk.greet().await?;
    let ended = talk.run().await;
    client.close().await.map_err(|error| failure(&error))?;
    ended
}

/// Finds the way into the room.
async fn enter(client: &Client, options: &Options) -> Result<Room, Failure> {
    let name = &options.room;
    if options.join {
        return client.join_room(name).await.map_err(|error| failure(&error));
    }
    match client.room(name).await {
        Err(Error::Usage(Usage::UnknownRoom)) => {}
        found => return found.map_err(|error| failure(&error)),
    }
    if !options.wait {
        match client.create_room(name).await {
            // Somebody has created it: an invitation is needed.
            Err(Error::Refused(keyroom::Code::NameTaken)) => {}
            created => return created.map_err(|error| failure(&error)),
        }
    }
    client.reachable().await.map_err(|error| failure(&error))?;
    output::write(&format!("-- waiting for an invitation to {name}; --join comes in without one\n"))?;
    client.entered(name).await.map_err(|error| failure(&error))
}

/// A conversation.
struct Talk {
    room: Room,
    events: Events,
    own: DeviceUri,
    /// The last text that was shown at the start.
    shown: Option<MessageId>,
}

/// What came of a command.
enum Line {
    Say(String),
    Quit,
}

impl Talk {
    async fn greet(&mut self) -> Result<(), Failure> {
        let mut text = format!("-- {} as {}; /help for help\n", self.room.uri(), self.own);
        for message in self.room.recent(REMEMBERED).await.map_err(|error| failure(&error))? {
            text.push_str(&self.said(&message));
            self.shown = Some(message.id);
        }
        if let Ok(view) = self.room.view().await {
            let _ = writeln!(text, "-- epoch {}: {}", view.epoch, members(&view));
        }
        output::write(&text)
    }

    async fn run(&mut self) -> Result<(), Failure> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let (tell, mut told) = mpsc::unbounded_channel();
        loop {
            let text = tokio::select! {
                line = next_line(&mut lines) => match line {
                    None => return self.drain(&mut told).await,
                    Some(line) => match self.line(&line, &tell).await {
                        Line::Say(text) => text,
                        Line::Quit => return self.drain(&mut told).await,
                    },
                },
                Some(text) = told.recv() => text,
                event = self.events.next() => match event {
                    None => return Ok(()),
                    Some(event) => self.happened(&event),
                },
            };
            output::write(&text)?;
        }
    }

    /// Lets what was said last go out, as far as the server is there, before the program ends.
    async fn drain(&mut self, told: &mut mpsc::UnboundedReceiver<String>) -> Result<(), Failure> {
        let flushed = timeout(LAST_WORDS, self.room.flush()).await;
        while let Ok(Some(event)) = timeout(Duration::ZERO, self.events.next()).await {
            output::write(&self.happened(&event))?;
        }
        while let Ok(text) = told.try_recv() {
            output::write(&text)?;
        }
        if flushed.is_err() {
            output::write("-- the server was not reached; what is left goes out next time\n")?;
        }
        Ok(())
    }

    /// Does what a line asks for. What takes time is told later.
    async fn line(&mut self, line: &str, tell: &mpsc::UnboundedSender<String>) -> Line {
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => Line::Say(String::new()),
            "/quit" => Line::Quit,
            "/help" => Line::Say(HELP.into()),
            "/members" => Line::Say(self.members().await),
            "/history" => Line::Say(self.history().await),
            "/invite" | "/remove" | "/rotate" => {
                self.change(word, rest.trim(), tell);
                Line::Say(String::new())
            }
            _ if word.starts_with('/') && !word.starts_with("//") => {
                Line::Say(format!("-- there is no {word}; /help shows what there is\n"))
            }
            _ => Line::Say(self.say(line.strip_prefix('/').unwrap_or(line)).await),
        }
    }

    async fn say(&self, text: &str) -> String {
        match self.room.send(text).await {
            // It is shown when the log has it.
            Ok(_) => String::new(),
            Err(error) => format!("-- not sent: {error}\n"),
        }
    }

    fn change(&self, word: &str, users: &str, tell: &mpsc::UnboundedSender<String>) {
        let (room, tell, word, users) = (self.room.clone(), tell.clone(), word.to_owned(), users.to_owned());
        tokio::spawn(async move {
            let done = match word.as_str() {
                "/invite" => return invite(&room, &users, &tell).await,
                "/remove" => room.remove(&users).await,
                _ => room.rotate().await,
            };
            if let Err(error) = done {
                // Nobody listens any more when the program ends.
                let _ = tell.send(format!("-- {word} {users}: {error}\n"));
            }
        });
    }

    async fn members(&self) -> String {
        match self.room.view().await {
            Err(error) => format!("-- {error}\n"),
            Ok(view) => {
                let code = hex::encode(&view.authenticator);
                let mut text = format!("-- epoch {}: {}\n-- code {code}\n", view.epoch, members(&view));
                for line in view.tree.lines() {
                    let _ = writeln!(text, "   {line}");
                }
                text
            }
        }
    }

    async fn history(&self) -> String {
        match self.room.recent(REMEMBERED).await {
            Err(error) => format!("-- {error}\n"),
            Ok(messages) => messages.iter().map(|message| self.said(message)).collect(),
        }
    }

    fn said(&self, message: &Message) -> String {
        let state = match message.state {
            MessageState::Received | MessageState::Sent => "",
            MessageState::Sending => " (on its way)",
            MessageState::Failed => " (not sent)",
        };
        format!("{}{state}: {}\n", self.name(&message.sender), printable(&message.text))
    }

    fn happened(&self, event: &Event) -> String {
        match event {
            // It came while the history was read.
            Event::Message(message) if self.shown >= Some(message.id) => String::new(),
            Event::Message(message) | Event::Sent(message) => self.said(message),
            Event::Joined { epoch } => format!("-- you are in, epoch {epoch}\n"),
            Event::NotSent { why, .. } => format!("-- not sent: {why}\n"),
            Event::Epoch { epoch, by, added, removed } => self.new_epoch(*epoch, by.as_ref(), added, removed),
            Event::Rebased { .. } => "-- somebody was faster; trying again\n".into(),
            Event::Unreadable { sequence, why } => format!("-- message {sequence} cannot be read: {why}\n"),
            Event::Removed { by } => format!("-- {} removed you\n", self.by(by.as_ref())),
            Event::Halted { why, .. } => {
                format!("-- this room cannot be followed any more: {why}; --join comes in again\n")
            }
            Event::Closed { successor: None, .. } => "-- this room has ended\n".into(),
            Event::Closed { successor: Some(successor), .. } => {
                format!("-- this room has ended; it goes on as {}\n", successor.name())
            }
            Event::Missed { count } => format!("-- {count} events were missed; /history shows all messages\n"),
            _ => String::new(),
        }
    }

    fn new_epoch(&self, epoch: u64, by: Option<&DeviceUri>, added: &[DeviceUri], removed: &[DeviceUri]) -> String {
        let by = self.by(by);
        let names =
            |devices: &[DeviceUri]| devices.iter().map(|device| self.name(device)).collect::<Vec<_>>().join(", ");
        match (added, removed) {
            ([], []) => format!("-- epoch {epoch}: {by} has new keys\n"),
            (added, []) if names(added) == by => format!("-- epoch {epoch}: {by} came in\n"),
            (added, []) => format!("-- epoch {epoch}: {by} added {}\n", names(added)),
            ([], removed) => format!("-- epoch {epoch}: {by} removed {}\n", names(removed)),
            (added, removed) => {
                format!("-- epoch {epoch}: {by} added {} and removed {}\n", names(added), names(removed))
            }
        }
    }

    fn by(&self, by: Option<&DeviceUri>) -> String {
        by.map_or("somebody".into(), |device| self.name(device))
    }

    /// A short name where it is one of the own server.
    fn name(&self, device: &DeviceUri) -> String {
        match device.user().host() == self.own.user().host() {
            true if device.name().as_str() == "main" => device.user_name().to_string(),
            true => format!("{}/{}", device.user_name(), device.name()),
            false => device.to_string(),
        }
    }
}

fn members(view: &View) -> String {
    let name = |member: &keyroom::Member| {
        member.device.as_ref().map_or("?".into(), |device| format!("{}/{}", device.user_name(), device.name()))
    };
    view.members.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Others must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

async fn next_line(lines: &mut Lines<BufReader<Stdin>>) -> Option<String> {
    lines.next_line().await.ok().flatten()
}

fn failure(error: &Error) -> Failure {
    let hint = match error {
        Error::Unreachable => "is the server running? keyroom serve starts one",
        Error::Usage(Usage::OtherDevice) => "give another folder with --state",
        Error::Refused(keyroom::Code::UnknownRoom) => "leave out --join to create the room",
        Error::Name(_) => "names are short (a-z 0-9 . _ -) or URIs such as mimi://example.org/u/alice",
        _ => return Failure::usage(error.to_string()),
    };
    Failure::data(error.to_string(), hint)
}

/// Invites users, and says who could not be.
async fn invite(room: &Room, users: &str, tell: &mpsc::UnboundedSender<String>) {
    let names: Vec<&str> = users.split_whitespace().collect();
    let failures: Vec<(&str, Error)> = match room.invite_all(names.iter().copied()).await {
        Err(error) => vec![(users, error)],
        Ok(settled) => {
            names.iter().copied().zip(settled).filter_map(|(name, done)| Some((name, done.err()?))).collect()
        }
    };
    for (name, error) in failures {
        let _ = tell.send(format!("-- /invite {name}: {error}\n"));
    }
}
