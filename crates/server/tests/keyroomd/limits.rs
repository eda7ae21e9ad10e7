//! How many requests callers may send.

use keyroom_api::{DEVICE_HEADER, Problem};
use reqwest::{Client, Response};

use crate::program::{Place, Program};

/// Sends requests until one is refused, and returns how many were not, and the refusal.
async fn until_refused(ask: impl AsyncFn() -> Response) -> (usize, Response) {
    for number in 0..1_000 {
        let response = ask().await;
        if response.status() == 429 {
            return (number, response);
        }
    }
    panic!("nothing is refused");
}

async fn is_told_when_to_come_again(refused: Response) {
    assert_eq!(refused.headers()["retry-after"], "1");
    let problem: Problem = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!((problem.code.as_str(), problem.retry_after), ("too-many-requests", Some(1)));
}

#[tokio::test]
async fn a_device_that_sends_too_much_is_told_when_to_come_again_and_others_are_not_touched() {
    let place = Place::new();
    let arguments = ["--trust-device-header", "--rates-device", "1", "--rates-device-burst", "5"];
    let program = Program::start(&place.database(), &arguments);
    let (http, url) = (Client::new(), format!("http://{}/v1/rooms/nowhere", program.address()));
    let ask = async |device: &str| {
        let device = format!("mimi://example.org/d/{device}");
        http.get(&url).header(DEVICE_HEADER, device).send().await.unwrap()
    };
    let (taken, refused) = until_refused(async || ask("alice/phone").await).await;
    assert!(taken >= 5, "{taken}");
    is_told_when_to_come_again(refused).await;
    assert_eq!(ask("bob/phone").await.status(), 404);
}

#[tokio::test]
async fn an_address_that_sends_too_much_is_refused_before_anything_else_and_probes_are_not() {
    let place = Place::new();
    let program = Program::start(&place.database(), &["--rates-address", "1", "--rates-address-burst", "7"]);
    let http = Client::new();
    let ask = async |path: &str| http.get(format!("http://{}{path}", program.address())).send().await.unwrap();
    let (taken, refused) = until_refused(async || ask("/v1/server").await).await;
    assert!(taken >= 7, "{taken}");
    is_told_when_to_come_again(refused).await;
    for _ in 0..20 {
        assert_eq!(ask("/healthz").await.status(), 200);
    }
}

#[tokio::test]
async fn behind_a_proxy_an_address_is_what_the_proxy_says_last_and_only_if_that_is_set() {
    let place = Place::new();
    let bound = ["--rates-address", "1", "--rates-address-burst", "3"];
    let believed = [&bound[..], &["--rates-address-header", "X-Forwarded-For"]].concat();
    let http = Client::new();
    let ask = async |program: &Program, said: &str| {
        let url = format!("http://{}/v1/server", program.address());
        http.get(url).header("x-forwarded-for", said).send().await.unwrap()
    };
    let program = Program::start(&place.database(), &believed);
    until_refused(async || ask(&program, "192.0.2.1, 203.0.113.1").await).await;
    assert_eq!(ask(&program, "192.0.2.1, 203.0.113.2").await.status(), 200, "another address");
    drop(program);
    let program = Program::start(&place.database(), &bound);
    let number = std::sync::atomic::AtomicU8::new(0);
    let next = || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    until_refused(async || ask(&program, &format!("203.0.113.{}", next())).await).await;
}
