//! Live delivery over WebSocket.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use keyroom_api::{Bundle as _, DeviceUri, LIVE_PROTOCOL, LiveEvent, LiveRequest, Problem};
use keyroom_delivery::{Feed, Refusal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::app::App;
use crate::metrics::Open;
use crate::parts::Session;
use crate::refused::Refused;

/// Longest frame from a client, in bytes: a request is short.
const LONGEST_REQUEST: usize = 4 << 10;

/// What is read at once of what a client says. Each connection has a buffer of this size, whether it says
/// anything or not.
const READ_BUFFER: usize = 2 << 10;

/// How often the other end is asked whether it is there. Two silent intervals end the connection.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The session is over (the code of the registry for "unauthorized").
const SESSION_OVER: u16 = 3000;

pub(crate) async fn upgrade(
    State(app): State<App>,
    Session(caller): Session,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade.map_err(|_| Refused::malformed("this path speaks WebSocket"))?;
    let device = caller.device.clone();
    let feed = Feed::new(app.delivery.clone(), caller.device)?;
    let over = caller.until.map(|until| Instant::now() + until.saturating_sub(app.delivery.now()));
    let alive = (app.alive.upgrade(), app.metrics.live());
    let upgrade = upgrade.max_message_size(LONGEST_REQUEST).max_frame_size(LONGEST_REQUEST);
    let upgrade = upgrade.read_buffer_size(READ_BUFFER).protocols([LIVE_PROTOCOL]);
    Ok(upgrade.on_upgrade(move |socket| Live { app, device, feed, socket, over, _alive: alive }.run()))
}

/// One connection.
struct Live {
    app: App,
    device: DeviceUri,
    feed: Feed,
    socket: WebSocket,
    /// When the session ends under which it was opened.
    over: Option<Instant>,
    _alive: (Option<mpsc::Sender<()>>, Open),
}

/// What happened next.
enum Step {
    Events(Result<Vec<LiveEvent>, Refusal>),
    Frame(Option<Result<Message, axum::Error>>),
    Beat,
    Stop,
    Over,
}

/// Why a connection ends.
enum End {
    /// The other end closed it or is gone.
    Gone,
    /// We close it.
    Close(u16),
}

impl Live {
    async fn run(mut self) {
        let end = self.serve().await;
        if let End::Close(code) = end {
            let frame = CloseFrame { code, reason: "".into() };
            let _ = timeout(self.app.limits().transfer, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn serve(&mut self) -> End {
        let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.app.clone();
        let stopping = stopping.stopping();
        tokio::pin!(stopping);
        let mut silent = 0u8;
        loop {
            let step = tokio::select! {
                biased;
                () = &mut stopping => Step::Stop,
                () = sleep_until(self.over.unwrap_or_else(Instant::now)), if self.over.is_some() => Step::Over,
                frame = self.socket.recv() => Step::Frame(frame),
                _ = beat.tick() => Step::Beat,
                events = self.feed.next() => Step::Events(events),
            };
            if matches!(step, Step::Frame(_)) {
                silent = 0;
            }
            let done = match step {
                Step::Stop => Err(End::Close(close_code::AWAY)),
                Step::Over => Err(End::Close(SESSION_OVER)),
                Step::Beat if silent >= 2 => Err(End::Gone),
                Step::Beat => {
                    silent += 1;
                    self.send(Message::Ping(axum::body::Bytes::new())).await
                }
                Step::Frame(frame) => self.hear(frame).await,
                Step::Events(events) => self.tell(events).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn tell(&mut self, events: Result<Vec<LiveEvent>, Refusal>) -> Result<(), End> {
        match events {
            Ok(events) => {
                for event in events {
                    self.send(Message::Binary(event.to_bytes().into())).await?;
                }
                Ok(())
            }
            Err(refusal) => {
                self.refuse(refusal.into()).await?;
                Err(End::Close(close_code::AGAIN))
            }
        }
    }

    async fn hear(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(End::Close(close_code::UNSUPPORTED)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        if let Err(Refused(problem)) = self.app.limiters.device(&self.device) {
            return self.refuse(*problem).await;
        }
        let asked = match serde_json::from_str::<LiveRequest>(&text) {
            Ok(request) => self.feed.request(request).await.map_err(Problem::from),
            Err(_) => Err(*Refused::malformed("this is not a live request").0),
        };
        match asked {
            Ok(()) => Ok(()),
            Err(problem) => self.refuse(problem).await,
        }
    }

    async fn refuse(&mut self, problem: Problem) -> Result<(), End> {
        self.app.metrics.refused(problem.code);
        let text = serde_json::to_string(&problem).unwrap_or_default();
        self.send(Message::Text(text.into())).await
    }

    /// Sends a frame; who does not take it in time is gone.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.app.limits().transfer, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
