//! A line on which nothing comes any more, while both ends believe that it is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyroom::{Client, MemoryStore};
use keyroom_api::{ClientError, Connection, DeviceUri, Identity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use world::{World, hears, reaches, signer};

/// Passes connections on to a server. Each time it is told so, it swallows from then on whatever comes on the
/// connections that it has, without closing any; new ones pass.
struct Relay {
    address: SocketAddr,
    swallowed: watch::Sender<u64>,
}

impl Relay {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (swallowed, watched) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (from_near, to_near) = near.into_split();
                let (from_far, to_far) = TcpStream::connect(server).await.unwrap().into_split();
                let number = *watched.borrow();
                tokio::spawn(pass(from_near, to_far, watched.clone(), number));
                tokio::spawn(pass(from_far, to_near, watched.clone(), number));
            }
        });
        Self { address, swallowed }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn swallow(&self) {
        self.swallowed.send_modify(|number| *number += 1);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallowed: watch::Receiver<u64>, number: u64) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        match from.read(&mut bytes).await {
            Ok(0) | Err(_) if *swallowed.borrow() > number => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(_) if *swallowed.borrow() > number => {}
            Ok(length) => drop(to.write_all(&bytes[..length]).await),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_line_has_gone_silent_takes_another_one() {
    let world = World::new().await;
    let relay = Relay::before(world.server.address()).await;
    let options = world.options("bob").silence(Duration::from_secs(1));
    let bob = Client::open(Arc::new(MemoryStore::new()), &relay.url(), options).await.unwrap();
    bob.reachable().await.unwrap();
    let alice = world.client("alice").await;
    let room = alice.create_room("meeting").await.unwrap();
    room.invite("bob").await.unwrap();
    let bobs = bob.entered("meeting").await.unwrap();
    reaches(&bobs, 1).await;
    room.send("before").await.unwrap();
    hears(&bobs, "before").await;
    for number in 0..3 {
        relay.swallow();
        let (text, begin) = (format!("silence {number}"), Instant::now());
        room.send(text.clone()).await.unwrap();
        let limit = tokio::time::timeout(Duration::from_secs(10), async {
            // It waits up to five seconds itself.
            hears(&bobs, &text).await;
        });
        limit.await.unwrap_or_else(|_| panic!("not heard after {:?}", begin.elapsed()));
    }
}

#[tokio::test]
async fn a_silent_connection_ends_with_an_error_in_time_and_one_that_never_opens_too() {
    let world = World::new().await;
    let device: DeviceUri = "mimi://localhost/d/bob/main".parse().unwrap();
    let relay = Relay::before(world.server.address()).await;
    let connect = |url: &str, silence| {
        let identity = Identity::new(1, signer("bob"));
        Connection::new(url, device.clone(), identity).unwrap().silence(Duration::from_millis(silence))
    };
    let connection = connect(&relay.url(), 600);
    let mut live = connection.live().await.unwrap();
    relay.swallow();
    let begin = Instant::now();
    assert_eq!(live.next().await, Err(ClientError::Unavailable));
    assert!((500..5_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());

    // Somebody who takes connections and says nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    let held = tokio::spawn(async move {
        let mut all = Vec::new();
        loop {
            all.push(deaf.accept().await.unwrap());
        }
    });
    let unproved = Connection::unproved(&format!("http://{address}"), device.clone()).unwrap();
    let begin = Instant::now();
    let error = unproved.silence(Duration::from_millis(600)).live().await.unwrap_err();
    assert_eq!(error, ClientError::Unavailable);
    assert!((500..5_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    held.abort();
}
