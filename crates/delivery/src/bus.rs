//! Wake-ups: hints that a ledger has something new.
//!
//! A hint may be lost, late or doubled. Whoever gets one reads on from its own cursor in the
//! [`Ledger`](crate::Ledger), so a lost hint costs time and never a message.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use keyroom_api::{DeviceUri, RoomUri};
use tokio::sync::Notify;

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

/// Carries hints from those who write to those who read, within a process or between nodes.
pub trait Bus: Send + Sync {
    /// Tells whoever listens, if anyone. It does not wait and cannot fail: a hint may be lost.
    fn publish(&self, topic: &Topic);

    /// A listener that has no topics yet.
    fn subscribe(&self) -> Subscription;
}

/// A bus within one process. Hints for a listener that is busy are merged, so that a slow one costs
/// no memory beyond its own topics.
#[derive(Clone, Debug, Default)]
pub struct LocalBus {
    registry: Arc<Mutex<Registry>>,
}

type Registry = HashMap<Topic, Vec<Weak<Listener>>>;

#[derive(Debug, Default)]
struct Listener {
    fresh: Mutex<BTreeSet<Topic>>,
    wake: Notify,
}

impl LocalBus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bus for LocalBus {
    fn publish(&self, topic: &Topic) {
        let registry = lock(&self.registry);
        for listener in registry.get(topic).into_iter().flatten().filter_map(Weak::upgrade) {
            lock(&listener.fresh).insert(topic.clone());
            listener.wake.notify_one();
        }
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
            lock(&self.registry).entry(topic).or_default().push(Arc::downgrade(&self.listener));
        }
    }

    /// Listens to one topic less.
    pub fn remove(&mut self, topic: &Topic) {
        if self.topics.remove(topic) {
            forget(&mut lock(&self.registry), topic, &self.listener);
            lock(&self.listener.fresh).remove(topic);
        }
    }

    /// Waits until there is a hint and returns the topics that it is about. It can be cancelled
    /// without losing one.
    pub async fn changed(&self) -> BTreeSet<Topic> {
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
    if let Some(listeners) = registry.get_mut(topic) {
        listeners.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(listener)));
        if listeners.is_empty() {
            registry.remove(topic);
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

    #[tokio::test]
    async fn a_listener_hears_its_topics_merged_and_no_others() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        subscription.add(room("b"));
        for topic in [room("a"), room("c"), room("a"), room("b")] {
            bus.publish(&topic);
        }
        assert_eq!(subscription.changed().await, BTreeSet::from([room("a"), room("b")]));
        subscription.remove(&room("a"));
        bus.publish(&room("a"));
        bus.publish(&room("b"));
        assert_eq!(subscription.changed().await, BTreeSet::from([room("b")]));
    }

    #[tokio::test]
    async fn a_hint_wakes_a_listener_that_waits() {
        let bus = LocalBus::new();
        let mut subscription = bus.subscribe();
        subscription.add(room("a"));
        let waiting = tokio::spawn(async move { subscription.changed().await });
        tokio::task::yield_now().await;
        bus.publish(&room("a"));
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([room("a")]));
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
