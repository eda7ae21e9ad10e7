//! Messages durably accepted, over a thousand groups of ten.
//!
//! Each of a hundred devices sends over one connection, the next message when the last one has been
//! acknowledged, to each of the rooms that it has founded in turn. What is sent has been encrypted before.

use std::time::Instant;

use tokio::task::JoinSet;

use super::devices::{Device, for_each, in_parallel};
use super::figures::{Figure, Target, rate};
use super::host::Host;
use super::line::{Line, Post};
use super::rooms::{Room, Town, messages};
use super::{Measured, Plan};

/// A message in bytes, as it is sent and stored.
pub(super) const MESSAGE: usize = 1_024;

/// Messages that are made for each room. They are sent again and again, each time under a new
/// idempotency key: for the server, which cannot read them, each is another one.
const AHEAD: usize = 4;

/// Least messages a second on SQLite.
const TARGET: f64 = 5_000.0;

/// Least part of what pgbench reaches with the statement of one message, on the same PostgreSQL.
const SHARE: f64 = 0.4;

/// What one connection sends.
struct Sender {
    line: Line,
    /// Paths and messages, in the order in which they go out.
    posts: Vec<(String, Vec<u8>)>,
}

pub(super) async fn measure(plan: &Plan, host: &Host) -> Measured {
    let town = Town::build(plan, host).await?;
    let senders = senders(town, host).await?;
    let (begin, end) = (Instant::now(), Instant::now() + plan.seconds);
    let mut sending = JoinSet::new();
    for (number, sender) in senders.into_iter().enumerate() {
        sending.spawn(sender.send(number, end));
    }
    let mut accepted = 0;
    while let Some(count) = sending.join_next().await {
        accepted += count.map_err(|_| "a sender broke off")??;
    }
    let figure = Figure::new("messages accepted, many groups", rate(accepted, begin.elapsed()), "1/s");
    let Some(cluster) = host.cluster() else { return Ok(vec![figure.should(Target::AtLeast(TARGET))]) };
    Ok(match cluster.pgbench(plan.seconds).await? {
        Some(alone) => {
            vec![figure.should(Target::AtLeast(SHARE * alone)), Figure::new("the same by pgbench", alone, "1/s")]
        }
        None => vec![figure.should(Target::Unknown)],
    })
}

/// One sender for each founder.
async fn senders(town: Town, host: &Host) -> Result<Vec<Sender>, String> {
    let Town { devices, rooms } = town;
    let mut of_founder: Vec<Vec<Room>> = devices.iter().map(|_| Vec::new()).collect();
    for room in rooms {
        of_founder.get_mut(room.founder).ok_or("no founder")?.push(room);
    }
    let founders: Vec<(Device, Vec<Room>)> =
        devices.into_iter().zip(of_founder).filter(|(_, rooms)| !rooms.is_empty()).collect();
    let slots: Vec<_> = founders.into_iter().map(|founder| std::sync::Mutex::new(Some(founder))).collect();
    let prepared = in_parallel(slots.len(), |index| {
        let founder = slots.get(index).and_then(|slot| slot.lock().ok()?.take());
        let (device, rooms) = founder.ok_or("no founder")?;
        let posts = posts(&device, rooms)?;
        Ok((device, posts))
    })?;
    for_each(prepared, async |(device, posts)| Ok(Sender { line: device.line(host).await?, posts })).await
}

fn posts(device: &Device, rooms: Vec<Room>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut posts = Vec::new();
    for mut room in rooms {
        let path = format!("/v1/rooms/{}/messages", room.uri.name());
        let made = messages(&mut room.group, device, AHEAD, MESSAGE)?;
        posts.extend(made.into_iter().enumerate().map(|(round, message)| (round, path.clone(), message)));
    }
    // Room after room, so that no two messages in a row go to the same.
    posts.sort_by_key(|(round, ..)| *round);
    Ok(posts.into_iter().map(|(_, path, message)| (path, message)).collect())
}

impl Sender {
    /// Sends until the time is over and returns how many messages were accepted.
    async fn send(mut self, number: usize, end: Instant) -> Result<u64, String> {
        let mut accepted = 0;
        for (path, message) in self.posts.iter().cycle() {
            if Instant::now() >= end {
                break;
            }
            let key = format!("m{number}-{accepted}");
            let post = Post { path, media: keyroom_api::MESSAGE, idempotency_key: Some(&key), body: message };
            let answer = self.line.post(&post).await?;
            if answer.status != 201 {
                return Err(format!("a message was answered with {}", answer.status));
            }
            accepted += 1;
        }
        Ok(accepted)
    }
}
