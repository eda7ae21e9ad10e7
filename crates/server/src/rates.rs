//! How many requests a caller may send.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use keyroom_api::{Code, DeviceUri, Problem};
use tokio::net::TcpListener;

use crate::app::App;
use crate::refused::Refused;
use crate::tls::TlsListener;

/// After so many requests, callers who have been quiet for long are forgotten.
const TIDY: usize = 4_096;

/// Paths that are asked again and again by what watches a server.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// How many requests a caller may send: a bucket that holds `burst` of them and is filled up evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many come in each second.
    pub per_second: NonZeroU32,
    /// So many may be sent at once.
    pub burst: NonZeroU32,
}

/// How many requests callers may send. Default: as many as they like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Each device that has proved itself, over all its connections; what it asks of a live connection counts.
    pub device: Option<Rate>,
    /// Each address, whoever asks from there; an IPv6 network of 64 bits is one.
    pub address: Option<Rate>,
    /// The header in which the proxy in front says where a request comes from, such as `X-Forwarded-For`; the last
    /// address in it counts. Everybody can set it where there is no such proxy. `None` for the address of the
    /// connection.
    pub address_header: Option<HeaderName>,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The buckets of all callers.
pub(crate) struct Limiters {
    devices: Option<Buckets<DeviceUri>>,
    addresses: Option<Buckets<IpAddr>>,
    header: Option<HeaderName>,
}

impl Limiters {
    pub(crate) fn new(rates: &Rates) -> Self {
        Self {
            devices: rates.device.map(Buckets::new),
            addresses: rates.address.map(Buckets::new),
            header: rates.address_header.clone(),
        }
    }

    /// Counts a request of a device that has proved itself.
    pub(crate) fn device(&self, device: &DeviceUri) -> Result<(), Refused> {
        self.devices.as_ref().map_or(Ok(()), |buckets| buckets.take(device))
    }

    /// Counts a request from an address.
    fn address(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<(), Refused> {
        let Some(buckets) = &self.addresses else { return Ok(()) };
        let told = self.header.as_ref().and_then(|name| last_address(headers, name));
        buckets.take(&network(told.unwrap_or(peer.ip())))
    }
}

/// Counts each request by where it comes from, before anything else is done with it.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_probe = path.is_some_and(|path| PROBES.contains(&path.as_str()));
    if let Some(ConnectInfo(Peer(peer))) = request.extensions().get().filter(|_| !is_probe)
        && let Err(refused) = app.limiters.address(request.headers(), *peer)
    {
        return refused.into_response();
    }
    next.run(request).await
}

/// A bucket for each caller.
struct Buckets<K: Clone + Eq + Hash> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    taken: AtomicUsize,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), taken: AtomicUsize::new(1) }
    }

    fn take(&self, caller: &K) -> Result<(), Refused> {
        if self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY) {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(caller).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            Refused(Box::new(Problem { retry_after: Some(seconds), ..Problem::new(Code::TooManyRequests) }))
        })
    }
}

/// The address that the nearest proxy has put last; what stands before it, anybody can have written.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let last = headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Whoever has one address of an IPv6 network has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[test]
    fn a_caller_has_its_burst_and_is_told_when_to_come_again_and_others_are_not_touched() {
        let buckets = Buckets::new(rate(1, 3));
        for _ in 0..3 {
            buckets.take(&"alice").unwrap();
        }
        let Refused(problem) = buckets.take(&"alice").unwrap_err();
        assert_eq!((problem.code, problem.status, problem.retry_after), (Code::TooManyRequests, 429, Some(1)));
        buckets.take(&"bob").unwrap();
    }

    #[test]
    fn callers_who_are_quiet_are_forgotten() {
        let buckets = Buckets::new(rate(u32::MAX, 1));
        for number in 0..=2 * TIDY {
            buckets.take(&number).unwrap();
        }
        assert!(buckets.limiter.len() <= TIDY + 1, "{}", buckets.limiter.len());
    }

    #[test]
    fn of_what_proxies_say_the_last_address_counts() {
        let name = HeaderName::from_static("x-forwarded-for");
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| {
                headers.append(name.clone(), axum::http::HeaderValue::from_static(value));
            });
            last_address(&headers, &name).map(|address| address.to_string())
        };
        assert_eq!(read(&["10.0.0.1, 10.0.0.2"]).as_deref(), Some("10.0.0.2"));
        assert_eq!(read(&["10.0.0.1", "10.0.0.3:80"]).as_deref(), Some("10.0.0.3"));
        assert_eq!(read(&["[2001:db8::1]:443"]).as_deref(), Some("2001:db8::1"));
        for wrong in [&["unknown"][..], &["10.0.0.1,"], &[]] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn a_network_is_one_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(network("10.0.0.7"), "10.0.0.7");
    }
}
