use std::time::Duration;

use keyroom_api::{BUNDLE, Bundle, Code, JSON, KeyPackages, LIVE_PROTOCOL, MESSAGE, PROBLEM, Problem, TOKEN_PROTOCOL};
use reqwest::{Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, application, bundle, founding, key, key_package, room};

struct Raw {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Raw {
    async fn of(world: &World) -> Self {
        let token = world.token("alice/phone").await;
        Self { base: world.server.url(), token, http: reqwest::Client::new() }
    }

    async fn send(&self, method: Method, path: &str, media: &str, body: Vec<u8>) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("content-type", media);
        request.bearer_auth(&self.token).body(body).send().await.unwrap()
    }
}

/// The problem in an answer whose status is its own.
async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], PROBLEM);
    let body = response.bytes().await.unwrap();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem.status, status);
    assert!((400..500).contains(&status), "{problem}");
    problem
}

async fn world() -> (World, Raw) {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    alice.create_room(&room("meeting"), &founding("g", 0)).await.unwrap();
    let raw = Raw::of(&world).await;
    (world, raw)
}

/// The server still does its work.
async fn goes_on(world: &World) {
    let alice = world.connect("alice/phone");
    assert_eq!(alice.room(&room("meeting")).await.unwrap().head, 0, "nothing was changed");
    alice.send_message(&room("meeting"), application("g", 0, 1), &key("on")).await.unwrap();
}

#[tokio::test]
async fn every_prefix_and_every_flipped_byte_of_a_body_is_refused_or_read_and_never_a_failure() {
    let (world, raw) = world().await;
    let good = bundle("g", 7, 1).to_bytes();
    let packages = KeyPackages { key_packages: vec![key_package(1)] }.to_bytes();
    let bodies = [
        (Method::POST, "/v1/rooms/meeting/commits", BUNDLE, good),
        (Method::POST, "/v1/rooms/meeting/messages", MESSAGE, application("g", 7, 1)),
        (Method::PUT, "/v1/rooms/meeting", BUNDLE, founding("g", 0).to_bytes()),
        (Method::POST, "/v1/users/alice/devices/phone/key-packages", BUNDLE, packages),
    ];
    for (method, path, media, body) in bodies {
        for end in (0..body.len()).step_by(5) {
            let answer = raw.send(method.clone(), path, media, body[..end].to_vec()).await;
            assert_eq!(problem(answer).await.code, Code::Malformed, "{path} cut at {end}");
        }
        for place in (0..body.len()).step_by(3) {
            let mut flipped = body.clone();
            flipped[place] ^= 0x81;
            let answer = raw.send(method.clone(), path, media, flipped).await;
            assert!(answer.status().as_u16() < 500, "{path} flipped at {place}: {}", answer.status());
        }
        let longer = [body.as_slice(), b"x"].concat();
        assert_eq!(problem(raw.send(method, path, media, longer).await).await.code, Code::Malformed, "{path}");
    }
    goes_on(&world).await;
}

#[tokio::test]
async fn malformed_json_is_refused() {
    let (world, raw) = world().await;
    let deep = "[".repeat(5_000);
    for body in ["", "{", "null", "[]", "{}", r#"{"cipher_suite":-1}"#, r#"{"cipher_suite":70000}"#, &deep, "\u{0}"] {
        let answer = raw.send(Method::POST, "/v1/users/bob/key-packages/claim", JSON, body.into()).await;
        assert_eq!(problem(answer).await.code, Code::Malformed, "{body:.20}");
    }
    let extra = r#"{"cipher_suite":1,"x":1}"#;
    let answer = raw.send(Method::POST, "/v1/users/bob/key-packages/claim", JSON, extra.into()).await;
    assert_eq!(problem(answer).await.code, Code::Malformed);
    let binary = vec![0xff; 20];
    let answer = raw.send(Method::POST, "/v1/users/bob/key-packages/claim", JSON, binary).await;
    assert_eq!(problem(answer).await.code, Code::Malformed);
    goes_on(&world).await;
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let (world, raw) = world().await;
    let message = application("g", 0, 1);
    for media in ["text/plain", "", "application/json", "message/mlsx", "message"] {
        let answer = raw.send(Method::POST, "/v1/rooms/meeting/messages", media, message.clone()).await;
        assert_eq!(problem(answer).await.code, Code::MediaType, "{media}");
    }
    goes_on(&world).await;
    let parameter = "Message/MLS; profile=x";
    let answer = raw.send(Method::POST, "/v1/rooms/meeting/messages", parameter, message).await;
    assert_eq!(answer.status(), 201);
}

#[tokio::test]
async fn paths_names_queries_and_headers_are_checked() {
    let (world, raw) = world().await;
    let get = async |path: &str| problem(raw.send(Method::GET, path, JSON, vec![]).await).await.code;
    assert_eq!(get("/").await, Code::NotFound);
    assert_eq!(get("/v1/rooms").await, Code::NotFound);
    assert_eq!(get("/v1/rooms/none").await, Code::UnknownRoom);
    assert_eq!(get("/v1/rooms/none/log").await, Code::UnknownRoom);
    assert_eq!(get("/v1/rooms/none/group-info").await, Code::UnknownRoom);
    assert_eq!(get("/v1/rooms/Meeting").await, Code::WrongName);
    assert_eq!(get("/v1/rooms/%ff").await, Code::Malformed);
    assert_eq!(get("/v1/rooms/a%2fb").await, Code::WrongName);
    assert_eq!(get(&format!("/v1/rooms/{}", "x".repeat(65))).await, Code::WrongName);
    assert_eq!(get("/v1/rooms/meeting/log?after=-1").await, Code::Malformed);
    assert_eq!(get("/v1/rooms/meeting/log?after=x").await, Code::Malformed);
    assert_eq!(get("/v1/rooms/meeting/log?after=18446744073709551616").await, Code::Malformed);
    assert_eq!(get("/v1/rooms/meeting/group-info?epoch=").await, Code::Malformed);
    assert_eq!(get("/v1/live").await, Code::Malformed);
    let delete = async |path: &str| problem(raw.send(Method::DELETE, path, JSON, vec![]).await).await.code;
    assert_eq!(delete("/v1/rooms/meeting").await, Code::MethodNotAllowed);
    assert_eq!(delete("/v1/users/alice/devices/phone/mailbox/x").await, Code::Malformed);
    assert_eq!(delete("/v1/users/bob/devices/phone/mailbox/1").await, Code::Forbidden);
    let many = "k".repeat(65);
    for (header, value, code) in [
        ("authorization", "Bearer", Code::Unauthenticated),
        ("authorization", "Bearer x", Code::Unauthenticated),
        ("authorization", "Basic YWxpY2U6", Code::Unauthenticated),
        ("idempotency-key", "", Code::Malformed),
        ("idempotency-key", &many, Code::Malformed),
    ] {
        let request = raw.http.post(format!("{}/v1/rooms/meeting/messages", raw.base));
        let request = if header == "authorization" { request } else { request.bearer_auth(&raw.token) };
        let request = request.header(header, value).header("content-type", MESSAGE);
        assert_eq!(problem(request.body(application("g", 0, 1)).send().await.unwrap()).await.code, code, "{value}");
    }
    goes_on(&world).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let world = World::with(|config| {
        config.limits.message = 1_000;
        config.limits.body = 10_000;
        config.limits.batch = 10_000;
    })
    .await;
    world.connect("alice/phone").create_room(&room("meeting"), &founding("g", 0)).await.unwrap();
    let raw = Raw::of(&world).await;
    for (path, media, length) in [
        ("/v1/rooms/meeting/messages", MESSAGE, 1_001),
        ("/v1/rooms/meeting/messages", MESSAGE, 500_000),
        ("/v1/rooms/meeting/commits", BUNDLE, 10_001),
        ("/v1/users/alice/devices/phone/key-packages", BUNDLE, 10_001),
        ("/v1/users/alice/key-packages/claim", JSON, 100_000),
    ] {
        let answer = raw.send(Method::POST, path, media, vec![b' '; length]).await;
        assert_eq!(problem(answer).await.code, Code::TooLarge, "{path} {length}");
    }
    goes_on(&world).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::with(|config| config.limits.transfer = Duration::from_millis(100)).await;
    world.connect("alice/phone").create_room(&room("meeting"), &founding("g", 0)).await.unwrap();
    let token = world.token("alice/phone").await;
    let mut stream = tokio::net::TcpStream::connect(world.server.address()).await.unwrap();
    let head = format!(
        "POST /v1/rooms/meeting/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: {MESSAGE}\r\ncontent-length: 100\r\n\r\nabc"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    goes_on(&world).await;
}

#[tokio::test]
async fn noise_instead_of_http_leaves_the_server_up() {
    let (world, _) = world().await;
    for noise in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: -5\r\n\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(world.server.address()).await.unwrap();
        stream.write_all(noise).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 5"));
    }
    goes_on(&world).await;
}

#[tokio::test]
async fn a_malformed_live_request_is_answered_and_the_connection_goes_on() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    let (world, raw) = world().await;
    // As a browser does it: the token among the subprotocols.
    let mut request = format!("ws://{}/v1/live", world.server.address()).into_client_request().unwrap();
    let offered = format!("{LIVE_PROTOCOL}, {TOKEN_PROTOCOL}{}", raw.token);
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], LIVE_PROTOCOL);
    for text in ["", "{", "{}", r#"{"subscribe":{}}"#, r#"{"subscribe":{"room":"../x","after":0}}"#, "[[[["] {
        socket.send(Message::text(text)).await.unwrap();
        let Message::Text(answer) = socket.next().await.unwrap().unwrap() else { panic!() };
        assert_eq!(serde_json::from_str::<Problem>(&answer).unwrap().code, Code::Malformed, "{text}");
    }
    socket.send(Message::text(r#"{"subscribe":{"room":"meeting","after":0}}"#)).await.unwrap();
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)));
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Close(_)));
    goes_on(&world).await;
}

#[tokio::test]
async fn health_and_server_need_no_device() {
    let (world, raw) = world().await;
    for path in ["/healthz", "/v1/server"] {
        let answer = raw.http.get(format!("{}{path}", raw.base)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &JSON.parse().unwrap()));
    }
    let health = raw.http.get(format!("{}/healthz", raw.base)).send().await.unwrap().text().await.unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["durable"], true);
    let settings = ["synchronous=FULL, journal_mode=WAL", "synchronous_commit=on, fsync=on, full_page_writes=on"];
    assert!(settings.contains(&health["settings"].as_str().unwrap()), "{health}");
    let info = world.connect("alice/phone").server().await.unwrap();
    assert_eq!(info.host.as_str(), "example.org");
}
