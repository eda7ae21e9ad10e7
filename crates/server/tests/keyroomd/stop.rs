//! Readiness, with what it needs away, and a stop that callers are warned of.

use keyroom_testbed::{Nats, Postgres};

use crate::program::{Place, Program};

async fn ask(program: &Program, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://{}{path}", program.address())).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_server_that_is_to_stop_says_so_at_once_and_serves_until_then() {
    let place = Place::new();
    let mut program = Program::start(&place.database(), &["--drain", "600"]);
    assert_eq!(ask(&program, "/readyz").await.0, 200);
    program.signal("TERM");
    program.hears("draining");
    let (status, text) = ask(&program, "/readyz").await;
    assert!(status == 503 && text.contains("about to stop"), "{status} {text}");
    assert_eq!(ask(&program, "/healthz").await.0, 200);
    assert_eq!(ask(&program, "/v1/server").await.0, 200);
    program.signal("TERM");
    assert!(program.ended().success(), "who asks twice does not wait");
}

#[tokio::test]
async fn after_the_time_to_drain_the_server_stops_by_itself() {
    let place = Place::new();
    let mut program = Program::start(&place.database(), &["--drain", "1"]);
    program.signal("INT");
    assert!(program.ended().success());
    assert!(program.said().contains("stopping"));
}

#[tokio::test]
async fn a_server_whose_bus_is_away_is_alive_and_not_ready() {
    let place = Place::new();
    let program = Program::start(&place.database(), &["--bus", "nats://127.0.0.1:1"]);
    let (status, text) = ask(&program, "/readyz").await;
    assert!(status == 503 && text.contains("the bus is not connected"), "{status} {text}");
    assert_eq!(ask(&program, "/healthz").await.0, 200);
}

/// Waits until the server is ready, or is not and says why.
async fn becomes(program: &Program, status: u16, says: &str) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let told = ask(program, "/readyz").await;
        if told.0 == status && told.1.contains(says) {
            return;
        }
        assert!(std::time::Instant::now() < end, "{told:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_is_ready_again_when_its_database_and_bus_come_back_and_counts_what_failed() {
    let (Some(mut database), Some(mut bus)) = (Postgres::start(), Nats::start()) else { return };
    let arguments = ["--bus", &bus.url(), "--metrics-listen", "127.0.0.1:0"];
    let program = Program::start(&database.url(), &arguments);
    becomes(&program, 200, "ready").await;
    bus.kill();
    becomes(&program, 503, "the bus is not connected").await;
    bus.restart();
    becomes(&program, 200, "ready").await;
    database.kill();
    becomes(&program, 503, "the ledger cannot answer now").await;
    let metrics = program.hears("metrics address=");
    let url = format!("http://{}/metrics", metrics.split_once("address=").unwrap().1.trim());
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let failed = "keyroom_database_errors_total{operation=\"room\",kind=\"unavailable\"}";
    assert!(text.contains(failed), "{text}");
    database.restart();
    becomes(&program, 200, "ready").await;
}
