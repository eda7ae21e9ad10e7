//! The time from sending a message to each of a thousand subscribers of one group, at twenty messages a
//! second.
//!
//! A message counts from the moment at which it was to be sent, so that a server that keeps the sender
//! waiting does not look faster for it.

use std::time::Duration;

use keyroom_api::{EntryKind, Live, LiveEvent};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::devices::{devices, for_each, told};
use super::figures::{Figure, Target, Times};
use super::host::Host;
use super::line::{Line, Post};
use super::messages::MESSAGE;
use super::rooms::{found, messages};
use super::{Measured, Plan};

/// Members of the group; all subscribe.
const SUBSCRIBERS: usize = 1_000;

/// Time between two messages.
const INTERVAL: Duration = Duration::from_millis(50);

/// Most that 99 of 100 deliveries may take, in milliseconds.
const TARGET: f64 = 50.0;

/// Messages before those that count.
const WARMING: usize = 5;

/// How long a subscriber waits for the rest at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// When the messages are to be sent.
#[derive(Clone, Copy)]
struct Schedule {
    begin: Instant,
    count: usize,
}

impl Schedule {
    fn due(&self, number: usize) -> Instant {
        self.begin + INTERVAL * u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn end(&self) -> Instant {
        self.due(self.count)
    }
}

pub(super) async fn measure(plan: &Plan, host: &Host) -> Measured {
    let members = devices(0, plan.scaled(SUBSCRIBERS))?;
    let mut room = found("hall", &members, host).await?;
    let sender = members.first().ok_or("there is no sender")?;
    let count = usize::try_from(plan.seconds.as_millis() / INTERVAL.as_millis()).unwrap_or(usize::MAX).max(1);
    let count = count.saturating_add(WARMING);
    let sent = messages(&mut room.group, sender, count, MESSAGE)?;
    let uri = &room.uri;
    let lives = for_each(&members, async |member| {
        let mut live = member.live(host).await?;
        live.subscribe(uri, 0).await.map_err(told("a subscription"))?;
        caught_up(live).await
    });
    let lives = lives.await?;
    let line = sender.line(host).await?;
    let schedule = Schedule { begin: Instant::now() + Duration::from_millis(200), count };
    let mut hearing = JoinSet::new();
    for live in lives {
        hearing.spawn(hear(live, schedule));
    }
    let path = format!("/v1/rooms/{}/messages", uri.name());
    send(line, &path, &sent, schedule).await?;
    let mut times = Vec::new();
    while let Some(heard) = hearing.join_next().await {
        times.extend(heard.map_err(|_| "a subscriber broke off")??);
    }
    let times = Times::new(times);
    let milliseconds = |percent| times.percentile(percent).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1e3);
    tracing::debug!(deliveries = times.count(), "measured");
    Ok(vec![
        Figure::new("delivery to 1,000 subscribers, p50", milliseconds(50), "ms"),
        Figure::new("delivery to 1,000 subscribers, p99", milliseconds(99), "ms").should(Target::Below(TARGET)),
    ])
}

/// Reads up to the head of the log.
async fn caught_up(mut live: Live) -> Result<Live, String> {
    loop {
        match live.next().await.map_err(told("live delivery"))? {
            Some(LiveEvent::CaughtUp { .. }) => return Ok(live),
            Some(_) => {}
            None => return Err("the server closed a subscription".into()),
        }
    }
}

async fn send(mut line: Line, path: &str, messages: &[Vec<u8>], schedule: Schedule) -> Result<(), String> {
    for (number, message) in messages.iter().enumerate() {
        sleep_until(schedule.due(number)).await;
        let key = format!("d{number}");
        let post = Post { path, media: keyroom_api::MESSAGE, idempotency_key: Some(&key), body: message };
        let answer = line.post(&post).await?;
        if answer.status != 201 {
            return Err(format!("a message was answered with {}", answer.status));
        }
    }
    Ok(())
}

/// Waits for all messages and returns how long each took that counts. They come in the order of the log,
/// which is that in which the one sender has sent them.
async fn hear(mut live: Live, schedule: Schedule) -> Result<Vec<Duration>, String> {
    let mut times = Vec::with_capacity(schedule.count);
    while times.len() < schedule.count {
        let left = schedule.end().saturating_duration_since(Instant::now()) + PATIENCE;
        let event = timeout(left, live.next()).await.map_err(|_| "a message did not come")?;
        match event.map_err(told("live delivery"))? {
            Some(LiveEvent::Entry { entry, .. }) if entry.kind == EntryKind::Application => {
                times.push(schedule.due(times.len()).elapsed());
            }
            Some(_) => {}
            None => return Err("the server closed a subscription".into()),
        }
    }
    Ok(times.split_off(WARMING.min(times.len())))
}
