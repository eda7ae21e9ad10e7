//! The bus between the servers of one database.

use std::time::Duration;

use keyroom_delivery::{Bus as _, NatsBus};
use keyroom_server::Database;
use tokio::time::{Instant, sleep};

use super::Finding;

const ABOUT: &str = "bus";

/// Longest time to connect.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn examine(bus: Option<&str>, database: &Database) -> Option<Finding> {
    let Some(url) = bus else {
        // One server alone needs none.
        let shared = matches!(database, Database::Postgres { .. });
        return shared.then(|| {
            Finding::warning(
                ABOUT,
                "none: with several servers, set bus, or news of the others come after `poll` seconds",
            )
        });
    };
    let Ok(bus) = NatsBus::connect(url).await else {
        return Some(Finding::failed(ABOUT, "its address cannot be read: correct bus"));
    };
    let end = Instant::now() + PATIENCE;
    while !bus.is_connected() {
        if Instant::now() > end {
            return Some(Finding::failed(ABOUT, "it is not reached: see whether NATS runs and lets us in"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Some(Finding::ok(ABOUT, "it is connected"))
}
