//! Wake-ups: hints that a ledger has something new.
//!
//! A hint may be lost, late or doubled. Whoever gets one reads on from its own cursor in the
//! [`Ledger`](crate::Ledger), so a lost hint costs time and never a message.

mod nats;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use keyroom_api::{DeviceUri, RoomUri};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

pub use nats::{NatsBus, NatsError};

/// What a hint is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The log of a room has grown.
    Room(RoomUri),
    /// The mailbox of a device has grown.
    Mailbox(DeviceUri),
    /// Key packages of a device were claimed.
    KeyPackages(DeviceUri),
}

/// Tells topics apart without naming them: this is what travels between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TopicId([u8; TopicId::LENGTH]);

impl TopicId {
    /// In bytes: long enough that two topics never share one by chance.
    const LENGTH: usize = 16;
}

impl Topic {
    fn id(&self) -> TopicId {
        let (kind, name) = match self {
            Self::Room(room) => (1, room.to_string()),
            Self::Mailbox(device) => (2, device.to_string()),
            Self::KeyPackages(device) => (3, device.to_string()),
        };
        let hash: [u8; 32] = Sha256::new().chain_update([kind]).chain_update(name).finalize().into();
        let mut id = [0; TopicId::LENGTH];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        TopicId(id)
    }
}

/// When something happened in this process, in an order that all its threads agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment, which is later than every other one before.
    pub fn now() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::SeqCst))
    }
}

/// Carries hints from those who write to those who read, within a process or between nodes.
pub trait Bus: Send + Sync {
    /// Tells whoever listens, if anyone. It does not wait and cannot fail: a hint may be lost.
    fn publish(&self, topic: &Topic);

    /// A listener that has no topics yet.
    fn subscribe(&self) -> Subscription;

    /// Whether hints reach other nodes now, as far as is known; always, where there are no others.
    fn is_connected(&self) -> bool {
        true
    }
}

/// A bus within one process. Hints for a listener that is busy are merged, so that a slow one costs
/// no memory beyond its own topics.
#[derive(Clone, Debug, Default)]
pub struct LocalBus {
    registry: Arc<Mutex<Registry>>,
}

type Registry = HashMap<TopicId, Listeners>;

/// Those who listen to one topic.
#[derive(Debug)]
struct Listeners {
    topic: Topic,
    list: Vec<Weak<Listener>>,
}

impl Listeners {
    /// The registry is locked, so that a later hint has a later moment.
    fn wake(&self) {
        let moment = Moment::now();
        for listener in self.list.iter().filter_map(Weak::upgrade) {
            lock(&listener.fresh).insert(self.topic.clone(), moment);
            listener.wake.notify_one();
        }
    }
}

#[derive(Debug, Default)]
struct Listener {
    /// What is new, each with the moment of its last hint.
    fresh: Mutex<BTreeMap<Topic, Moment>>,
    wake: Notify,
}

impl LocalBus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    fn wake(&self, id: TopicId) {
        if let Some(listeners) = lock(&self.registry).get(&id) {
            listeners.wake();
        }
    }

    /// Tells everybody about everything they listen to, for hints that may have been lost.
    fn wake_all(&self) {
        lock(&self.registry).values().for_each(Listeners::wake);
    }
}

impl Bus for LocalBus {
    fn publish(&self, topic: &Topic) {
        self.wake(topic.id());
    }

    fn subscribe(&self) -> Subscription {
        Subscription { registry: self.registry.clone(), listener: Arc::default(), topics: BTreeSet::new() }
    }
}

/// Receives the hints for its topics. Dropping it ends them.
#[derive(Debug)]
pub struct Subscription {
    registry: Arc<Mutex<Registry>>,
    listener: Arc<Listener>,
    topics: BTreeSet<Topic>,
}

impl Subscription {
    /// Listens to one topic more.
    pub fn add(&mut self, topic: Topic) {
        if self.topics.insert(topic.clone()) {
            let mut registry = lock(&self.registry);
            let listeners = registry.entry(topic.id()).or_insert_with(|| Listeners { topic, list: Vec::new() });
            listeners.list.push(Arc::downgrade(&self.listener));
        }
    }

    /// Listens to one topic less.
    pub fn remove(&mut self, topic: &Topic) {
        if self.topics.remove(topic) {
            forget(&mut lock(&self.registry), topic, &self.listener);
            lock(&self.listener.fresh).remove(topic);
        }
    }

    /// Waits until there is a hint and returns the topics that it is about, with the moment of their last
    /// hint: whatever that is about was true before. It can be cancelled without losing one.
    pub async fn changed(&self) -> BTreeMap<Topic, Moment> {
        loop {
            let woken = self.listener.wake.notified();
            let fresh = std::mem::take(&mut *lock(&self.listener.fresh));
            if !fresh.is_empty() {
                return fresh;
            }
            woken.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut registry = lock(&self.registry);
        for topic in &self.topics {
            forget(&mut registry, topic, &self.listener);
        }
    }
}

fn forget(registry: &mut Registry, topic: &Topic, listener: &Arc<Listener>) {
    let id = topic.id();
    if let Some(listeners) = registry.get_mut(&id) {
        listeners.list.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(listener)));
        if listeners.list.is_empty() {
            registry.remove(&id);
        }
    }
}

/// A panic elsewhere leaves the sets as they were: at worst a hint is lost, which is allowed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Topic {
        Topic::Room(format!("mimi://h/r/{name}").parse().unwrap())
    }

    async fn topics(subscription: &Subscription) -> BTreeSet<Topic> {
        subscription.changed().await.into_keys().collect()
    }

    #[tokio::test]
    async fn a_hint_comes_with_a_moment_between_its_cause_and_its_effect() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        bus.publish(&room("a"));
        let before = Moment::now();
        bus.publish(&room("a"));
        let after = Moment::now();
        let moment = subscription.changed().await[&room("a")];
        assert!(before < moment && moment < after, "the last hint counts");
    }

    #[tokio::test]
    async fn a_listener_hears_its_topics_merged_and_no_others() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        subscription.add(room("b"));
        for topic in [room("a"), room("c"), room("a"), room("b")] {
            bus.publish(&topic);
        }
        assert_eq!(topics(&subscription).await, BTreeSet::from([room("a"), room("b")]));
        subscription.remove(&room("a"));
        bus.publish(&room("a"));
        bus.publish(&room("b"));
        assert_eq!(topics(&subscription).await, BTreeSet::from([room("b")]));
    }

    #[tokio::test]
    async fn a_hint_wakes_a_listener_that_waits() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        let waiting = tokio::spawn(async move { topics(&subscription).await });
        tokio::task::yield_now().await;
        bus.publish(&room("a"));
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([room("a")]));
    }

    #[tokio::test]
    async fn everybody_can_be_told_about_everything() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        subscription.add(room("b"));
        bus.wake_all();
        assert_eq!(topics(&subscription).await, BTreeSet::from([room("a"), room("b")]));
    }

    #[test]
    fn a_topic_is_known_by_its_kind_and_name() {
        let device: DeviceUri = "mimi://h/d/a/b".parse().unwrap();
        assert_eq!(room("a").id(), room("a").id());
        assert_ne!(room("a").id(), room("b").id());
        assert_ne!(Topic::Mailbox(device.clone()).id(), Topic::KeyPackages(device).id());
    }

    #[test]
    fn a_dropped_listener_leaves_nothing_behind() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        drop(subscription);
        assert!(lock(&bus.registry).is_empty());
        bus.publish(&room("a"));
    }
}
