//! A bus between nodes, over core NATS.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Bus, LocalBus, Subscription, Topic, TopicId, lock};

/// Where hints travel. One subject is enough: a node may hold ten thousand listeners, and what travels
/// are sixteen bytes for a topic.
const SUBJECT: &str = "keyroom.hints";

/// Most topics that wait to be sent. Above that hints are lost, which is allowed.
const MOST_WAITING: usize = 65_536;

/// Most topics in one message.
const MOST_AT_ONCE: usize = 1_024;

/// Messages that wait between our task and the connection's.
const QUEUE: usize = 64;

/// Messages from others that wait to be read.
const UNREAD: usize = 1_024;

/// How often the other end is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

/// Longest time between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a bus was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// The address cannot be read.
    #[error("the address of NATS cannot be read")]
    Address,
}

/// A bus between nodes.
///
/// Listeners of this node are told at once, those of other nodes over core NATS, of which nothing more
/// is expected than that it often works. Publishing puts the topic into a bounded set, from which a task
/// sends it, merged with others; so it neither waits nor fails, whatever state NATS is in. When a
/// connection comes back every listener looks into the ledger, since hints of others may have been
/// lost meanwhile.
///
/// What travels are hashes of topics. They name nobody, but whoever can read the subject and guesses
/// the name of a room can see when something happens there.
pub struct NatsBus {
    client: Client,
    local: LocalBus,
    waiting: Arc<Waiting>,
    tasks: [JoinHandle<()>; 2],
}

/// Topics that are still to be sent.
#[derive(Default)]
struct Waiting {
    topics: Mutex<BTreeSet<TopicId>>,
    some: Notify,
}

impl NatsBus {
    /// Whether an address can be read, whatever is there.
    ///
    /// # Errors
    /// [`NatsError::Address`].
    pub fn check_address(url: &str) -> Result<(), NatsError> {
        url.parse::<ServerAddr>().map(|_| ()).map_err(|_| NatsError::Address)
    }

    /// A bus over the server at `url`, such as `nats://user:password@host:4222` or `tls://host`. It
    /// connects in the background of the runtime that runs this, and again whenever the connection is
    /// lost; whether the server is there now does not matter.
    ///
    /// # Errors
    /// [`NatsError::Address`].
    pub async fn connect(url: &str) -> Result<Self, NatsError> {
        let address: ServerAddr = url.parse().map_err(|_| NatsError::Address)?;
        let local = LocalBus::new();
        let client = options(&local).connect(address).await.map_err(|_| NatsError::Address)?;
        let waiting = Arc::new(Waiting::default());
        let tasks =
            [tokio::spawn(send(client.clone(), waiting.clone())), tokio::spawn(receive(client.clone(), local.clone()))];
        Ok(Self { client, local, waiting, tasks })
    }
}

impl std::fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsBus").field("waiting", &lock(&self.waiting.topics).len()).finish_non_exhaustive()
    }
}

impl Bus for NatsBus {
    fn publish(&self, topic: &Topic) {
        let id = topic.id();
        self.local.wake(id);
        self.waiting.add(id);
    }

    fn subscribe(&self) -> Subscription {
        self.local.subscribe()
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Waiting {
    fn add(&self, id: TopicId) {
        let mut topics = lock(&self.topics);
        if topics.len() < MOST_WAITING {
            topics.insert(id);
            self.some.notify_one();
        }
    }

    /// Waits until there are some, and takes them all.
    async fn take(&self) -> BTreeSet<TopicId> {
        loop {
            let some = self.some.notified();
            let topics = std::mem::take(&mut *lock(&self.topics));
            if !topics.is_empty() {
                return topics;
            }
            some.await;
        }
    }
}

fn options(local: &LocalBus) -> ConnectOptions {
    let local = local.clone();
    ConnectOptions::new()
        .name("keyroomd")
        .no_echo()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Duration::from_millis(50).saturating_mul(attempts).min(PAUSE)
        })
        .client_capacity(QUEUE)
        .subscription_capacity(UNREAD)
        .ping_interval(PING)
        .event_callback(move |event| {
            let local = local.clone();
            async move { heed(&event, &local) }
        })
}

fn heed(event: &Event, local: &LocalBus) {
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            local.wake_all();
        }
        Event::Disconnected => tracing::warn!("NATS is lost; live delivery falls back to looking now and then"),
        // Hints were dropped because we were too slow for them.
        Event::SlowConsumer(_) => local.wake_all(),
        // The errors of a client may hold what the server said, which may name the user.
        _ => tracing::debug!("an event of NATS"),
    }
}

async fn send(client: Client, waiting: Arc<Waiting>) {
    loop {
        let topics: Vec<TopicId> = waiting.take().await.into_iter().collect();
        for some in topics.chunks(MOST_AT_ONCE) {
            let message: Vec<u8> = some.iter().flat_map(|id| id.0).collect();
            if client.publish(SUBJECT, message.into()).await.is_err() {
                tracing::debug!("hints were not sent");
            }
        }
    }
}

async fn receive(client: Client, local: LocalBus) {
    let mut messages = match client.subscribe(SUBJECT).await {
        Ok(messages) => messages,
        Err(_) => return tracing::error!("no subscription to NATS"),
    };
    while let Some(message) = messages.next().await {
        for id in message.payload.chunks_exact(TopicId::LENGTH) {
            if let Ok(id) = id.try_into() {
                local.wake(TopicId(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_to_be_sent_is_merged_and_bounded() {
        let waiting = Waiting::default();
        for number in 0..(MOST_WAITING as u128 + 100) {
            waiting.add(TopicId(number.to_be_bytes()));
            waiting.add(TopicId(number.to_be_bytes()));
        }
        assert_eq!(waiting.take().await.len(), MOST_WAITING);
        waiting.add(TopicId([7; 16]));
        assert_eq!(waiting.take().await, BTreeSet::from([TopicId([7; 16])]));
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_and_an_absent_server_holds_nobody_up() {
        assert_eq!(NatsBus::connect("nats://[").await.unwrap_err(), NatsError::Address);
        let bus = NatsBus::connect("nats://127.0.0.1:1").await.unwrap();
        let topic = Topic::Room("mimi://h/r/a".parse().unwrap());
        let mut subscription = bus.subscribe();
        subscription.add(topic.clone());
        for _ in 0..10_000 {
            bus.publish(&topic);
        }
        assert!(subscription.changed().await.into_keys().eq([topic]));
        assert!(!bus.is_connected());
    }
}
