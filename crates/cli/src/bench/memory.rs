//! Memory of the server for ten thousand subscribers that do nothing: each is another device with a
//! session of its own, subscribes to its room and its mailbox, and answers when the server asks whether
//! it is there. The server's own is what it had when it had just started.

use std::time::Duration;

use keyroom_api::{Live, LiveEvent};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::devices::{for_each, told};
use super::figures::{Figure, Target};
use super::host::Host;
use super::rooms::{MEMBERS, Town};
use super::{Measured, Plan};

/// How many there are.
const SUBSCRIBERS: usize = 10_000;

/// Most memory in megabytes.
const TARGET: f64 = 400.0;

/// Quiet before memory is read.
const QUIET: Duration = Duration::from_secs(2);

pub(super) async fn measure(plan: &Plan, host: &Host) -> Measured {
    let before = host.resident()?;
    let subscribers = plan.scaled(SUBSCRIBERS).next_multiple_of(MEMBERS);
    let town = Town::of(subscribers / MEMBERS, subscribers, host).await?;
    let rooms = &town.rooms;
    let lives = for_each(town.devices.iter().enumerate(), async |(index, device)| {
        // Ten devices in a row are the members of a room.
        let room = rooms.get(index / MEMBERS).ok_or("a device without a room")?;
        let mut live = device.live(host).await?;
        live.mailbox(0).await.map_err(told("a subscription"))?;
        live.subscribe(&room.uri, 0).await.map_err(told("a subscription"))?;
        ready(live).await
    });
    let mut idle = JoinSet::new();
    for live in lives.await? {
        idle.spawn(rest(live));
    }
    sleep(QUIET).await;
    let after = host.resident()?;
    if let Some(ended) = idle.try_join_next() {
        return Err(format!("a subscriber did not stay: {ended:?}"));
    }
    let megabytes = megabytes(after.saturating_sub(before));
    Ok(vec![Figure::new("memory for 10,000 idle subscribers", megabytes, "MB").should(Target::Below(TARGET))])
}

/// Reads until all that was there has been said.
async fn ready(mut live: Live) -> Result<Live, String> {
    loop {
        match live.next().await.map_err(told("live delivery"))? {
            Some(LiveEvent::CaughtUp { .. }) => return Ok(live),
            Some(_) => {}
            None => return Err("the server closed a subscription".into()),
        }
    }
}

/// Stays and answers the server's pings; ends if the connection does.
async fn rest(mut live: Live) {
    while let Ok(Some(_)) = live.next().await {}
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0
}
