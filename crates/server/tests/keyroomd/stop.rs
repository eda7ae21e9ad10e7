//! Readiness, and a stop that callers are warned of.

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
