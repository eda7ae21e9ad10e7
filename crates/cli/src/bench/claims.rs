//! Key packages claimed under contention: everybody wants those of one user until there are none, then
//! those of the next.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use keyroom_api::{Bundle as _, ClaimRequest, Claimed, JSON, Offer};
use tokio::task::JoinSet;

use super::devices::{SUITE, devices, for_each, told};
use super::figures::{Figure, rate};
use super::host::Host;
use super::line::{Line, Post};
use super::{Measured, Plan};

/// Devices that claim, each over one connection.
const CLAIMERS: usize = 64;

/// Key packages of one user; a server takes no more of one device.
const EACH: usize = 1_000;

/// Users for each second of the measure; more than a server serves.
const USERS: f64 = 5.0;

pub(super) async fn measure(plan: &Plan, host: &Host) -> Measured {
    let users = (plan.seconds.as_secs_f64() * USERS).ceil().clamp(2.0, 60.0);
    let users = (2..=60).find(|count| f64::from(*count) >= users).map_or(60, |count: u8| usize::from(count));
    let each = plan.scaled(EACH);
    let owners = devices(0, users)?;
    for owner in &owners {
        let stock = owner.key_packages(each)?;
        owner.connect(host)?.publish_key_packages(stock).await.map_err(told("key packages"))?;
    }
    let paths: Arc<[String]> =
        owners.iter().map(|owner| format!("/v1/users/{}/key-packages/claim", owner.uri.user_name())).collect();
    let claimers = devices(users, CLAIMERS)?;
    let lines = for_each(&claimers, |claimer| claimer.line(host)).await?;
    let (begin, end) = (Instant::now(), Instant::now() + plan.seconds);
    let current = Arc::new(AtomicUsize::new(0));
    let mut claiming = JoinSet::new();
    for line in lines {
        claiming.spawn(claim(line, paths.clone(), current.clone(), end));
    }
    let mut claimed = Vec::new();
    while let Some(packages) = claiming.join_next().await {
        claimed.extend(packages.map_err(|_| "a claimer broke off")??);
    }
    let elapsed = begin.elapsed();
    let different: HashSet<&[u8]> = claimed.iter().map(Vec::as_slice).collect();
    if different.len() != claimed.len() {
        return Err("a key package was given out twice".into());
    }
    let count = u64::try_from(claimed.len()).unwrap_or(u64::MAX);
    Ok(vec![Figure::new("key packages claimed, contended", rate(count, elapsed), "1/s")])
}

/// Claims until the time is over or there are none, and returns what it got.
async fn claim(
    mut line: Line,
    paths: Arc<[String]>,
    current: Arc<AtomicUsize>,
    end: Instant,
) -> Result<Vec<Vec<u8>>, String> {
    let body = serde_json::to_vec(&ClaimRequest { cipher_suite: SUITE.0 }).map_err(told("a claim"))?;
    let mut got = Vec::new();
    while Instant::now() < end {
        let user = current.load(Ordering::Relaxed);
        let Some(path) = paths.get(user) else { break };
        let answer = line.post(&Post { path, media: JSON, idempotency_key: None, body: &body }).await?;
        if answer.status != 200 {
            return Err(format!("a claim was answered with {}", answer.status));
        }
        let claimed = Claimed::from_bytes(&answer.body, &keyroom_wire::Limits::default()).map_err(told("a claim"))?;
        for device in claimed.devices {
            match device.offer {
                Offer::OneTime(package) => got.push(package),
                // One of those who find nothing moves on for all.
                Offer::Exhausted => {
                    let _ = current.compare_exchange(user, user + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
                Offer::LastResort(_) | Offer::Incompatible => return Err("this is not what was published".into()),
            }
        }
    }
    Ok(got)
}
