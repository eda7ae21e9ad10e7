//! Accepted commits.
//!
//! In the hot group every member commits as fast as it can: one wins, the others get the winner with
//! their refusal, follow it and commit anew. That takes this side more work than the server. Over many
//! groups the founder of each sends a row of commits that was made before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyroom_api::{BUNDLE, Conflict, Connection, EntryKind, Problem, RoomUri};
use keyroom_mls::group::Group;
use tokio::task::JoinSet;

use super::devices::{Device, devices, for_each, in_parallel, told};
use super::figures::{Figure, rate};
use super::host::Host;
use super::line::{Line, Post};
use super::rooms::{Room, Town, apply, commit, follow, found, join};
use super::{Measured, Plan};

/// Members of the hot group; all commit.
const COMMITTERS: usize = 16;

/// Commits that are made ahead, for each second of the measure; more than a server takes on two cores.
const AHEAD: u64 = 1_500;

pub(super) async fn measure(plan: &Plan, host: &Host) -> Measured {
    let many = many(plan, host).await?;
    let hot = hot(plan, host).await?;
    Ok(vec![hot, many])
}

/// A member of the hot group.
struct Committer {
    device: Device,
    group: Group,
    room: RoomUri,
    line: Line,
    connection: Connection,
}

async fn hot(plan: &Plan, host: &Host) -> Result<Figure, String> {
    // Names that no other measure of this server uses.
    let members = devices(1_000_000, plan.scaled(COMMITTERS))?;
    let room = found("hot", &members, host).await?;
    let uri = room.uri.clone();
    let mut groups = in_parallel(members.len() - 1, |index| join(&room, members.get(index + 1).ok_or("no member")?))?;
    groups.insert(0, room.group);
    let committers = for_each(members.into_iter().zip(groups), async |(device, group)| {
        let (line, connection) = (device.line(host).await?, device.connect(host)?);
        Ok(Committer { device, group, room: uri.clone(), line, connection })
    });
    let committers = committers.await?;
    let (begin, end) = (Instant::now(), Instant::now() + plan.seconds);
    let mut working = JoinSet::new();
    for committer in committers {
        working.spawn(committer.work(end));
    }
    let mut accepted = 0;
    while let Some(count) = working.join_next().await {
        accepted += count.map_err(|_| "a committer broke off")??;
    }
    Ok(Figure::new("commits accepted, one hot group", rate(accepted, begin.elapsed()), "1/s"))
}

impl Committer {
    /// Commits until the time is over and returns how many were accepted.
    async fn work(mut self, end: Instant) -> Result<u64, String> {
        let path = format!("/v1/rooms/{}/commits", self.room.name());
        let (mut accepted, mut tries) = (0, 0u64);
        while Instant::now() < end {
            let (pending, body) = commit(&mut self.group, &self.device)?;
            tries += 1;
            let key = format!("c{tries}");
            let post = Post { path: &path, media: BUNDLE, idempotency_key: Some(&key), body: &body };
            let answer = self.line.post(&post).await?;
            match answer.status {
                201 => {
                    apply(&mut self.group, pending)?;
                    accepted += 1;
                }
                409 => {
                    let problem: Problem = serde_json::from_slice(&answer.body).map_err(told("a refusal"))?;
                    self.rebase(problem.conflict.ok_or("a refusal without the winner")?).await?;
                }
                status => return Err(format!("a commit was answered with {status}")),
            }
        }
        Ok(accepted)
    }

    /// Follows the winner, and all that have won since.
    async fn rebase(&mut self, conflict: Conflict) -> Result<(), String> {
        let (commit, mut cursor) = conflict.commit.zip(conflict.commit_sequence).ok_or("there is no winner")?;
        follow(&mut self.group, &commit)?;
        while self.group.epoch() < conflict.epoch {
            let page = self.connection.log(&self.room, cursor, Duration::ZERO).await.map_err(told("the log"))?;
            for entry in page.entries {
                cursor = entry.sequence;
                if entry.kind == EntryKind::Commit && entry.epoch == self.group.epoch() {
                    follow(&mut self.group, &entry.message)?;
                }
            }
        }
        Ok(())
    }
}

/// Rooms with commits that wait to be sent.
struct Stock {
    path: String,
    founder: usize,
    commits: Vec<Vec<u8>>,
}

async fn many(plan: &Plan, host: &Host) -> Result<Figure, String> {
    let Town { devices, rooms } = Town::build(plan, host).await?;
    let each = (u128::from(AHEAD) * plan.seconds.as_millis() / 1_000).div_ceil(rooms.len().max(1) as u128);
    let each = usize::try_from(each).unwrap_or(usize::MAX).max(1);
    let slots: Vec<_> = rooms.into_iter().map(|room| std::sync::Mutex::new(Some(room))).collect();
    let stocks = in_parallel(slots.len(), |index| {
        let room = slots.get(index).and_then(|slot| slot.lock().ok()?.take()).ok_or("no room")?;
        stock(room, &devices, each)
    })?;
    let mut shares: Vec<Vec<Stock>> = devices.iter().map(|_| Vec::new()).collect();
    for stock in stocks {
        shares.get_mut(stock.founder).ok_or("no founder")?.push(stock);
    }
    let shares = devices.iter().zip(shares).filter(|(_, share)| !share.is_empty());
    let shares = for_each(shares, async |(device, share)| Ok((device.line(host).await?, share))).await?;
    let (begin, end) = (Instant::now(), Instant::now() + plan.seconds);
    let accepted = Arc::new(AtomicU64::new(0));
    let mut working = JoinSet::new();
    for (line, share) in shares {
        working.spawn(send(line, share, end, accepted.clone()));
    }
    while let Some(done) = working.join_next().await {
        done.map_err(|_| "a committer broke off")??;
    }
    // Where the server takes them faster than they were made ahead, the time ends with them.
    let accepted = accepted.load(Ordering::Relaxed);
    Ok(Figure::new("commits accepted, many groups", rate(accepted, begin.elapsed()), "1/s"))
}

fn stock(mut room: Room, devices: &[Device], each: usize) -> Result<Stock, String> {
    let device = devices.get(room.founder).ok_or("no founder")?;
    let mut commits = Vec::new();
    for _ in 0..each {
        let (pending, body) = commit(&mut room.group, device)?;
        apply(&mut room.group, pending)?;
        commits.push(body);
    }
    Ok(Stock { path: format!("/v1/rooms/{}/commits", room.uri.name()), founder: room.founder, commits })
}

/// Sends commits, room after room, until the time is over or there are no more.
async fn send(mut line: Line, share: Vec<Stock>, end: Instant, accepted: Arc<AtomicU64>) -> Result<(), String> {
    let rounds = share.iter().map(|stock| stock.commits.len()).max().unwrap_or(0);
    for round in 0..rounds {
        for (number, stock) in share.iter().enumerate() {
            if Instant::now() >= end {
                return Ok(());
            }
            let Some(body) = stock.commits.get(round) else { continue };
            let key = format!("n{number}-{round}");
            let post = Post { path: &stock.path, media: BUNDLE, idempotency_key: Some(&key), body };
            let answer = line.post(&post).await?;
            if answer.status != 201 {
                return Err(format!("a commit was answered with {}", answer.status));
            }
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
