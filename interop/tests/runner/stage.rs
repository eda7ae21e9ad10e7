//! Servers, and runners for every suite and both forms of handshakes.

use std::net::SocketAddr;

use keyroom_crypto::Provider;
use keyroom_interop::messages::SupportedCiphersuitesRequest;
use keyroom_interop::{Actors, Client, Service, Setup};
use keyroom_rustcrypto::RUSTCRYPTO;
use tokio::net::TcpListener;

use crate::runner::{Handshakes, Runner};

/// A server of our own on a free port.
pub async fn server(provider: &'static dyn Provider, seed: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let setup = Setup::new(provider).entropy(keyroom_vectors::rng(seed));
    tokio::spawn(Service::new(Actors::new(setup)).serve(listener));
    address
}

/// A connection to a server of our own.
pub async fn client() -> Client {
    Client::connect(server(&RUSTCRYPTO, 1).await).await.unwrap()
}

/// The suites that a server says it has.
pub async fn suites(client: &mut Client) -> Vec<u32> {
    client.supported_ciphersuites(SupportedCiphersuitesRequest {}).await.unwrap().ciphersuites
}

/// Of these suites, those of RFC 9420 and one post-quantum suite, or all of them if `KEYROOM_ALL_SUITES`
/// is set: post-quantum suites differ in sizes, not in what the scripts do.
pub fn chosen(available: &[u32]) -> Vec<u32> {
    let all = std::env::var_os("KEYROOM_ALL_SUITES").is_some();
    let is_standard = |suite: u32| (1..=7).contains(&suite);
    let extra = available.iter().copied().find(|suite| !is_standard(*suite));
    available.iter().copied().filter(|suite| all || is_standard(*suite) || Some(*suite) == extra).collect()
}

/// Runners against one server of our own, for the chosen suites and both forms of handshakes.
pub async fn runners() -> Vec<Runner> {
    let mut client = client().await;
    let mut runners = Vec::new();
    for suite in chosen(&suites(&mut client).await) {
        for handshakes in [Handshakes::Public, Handshakes::Private] {
            runners.push(Runner::new(vec![client.clone()], suite, handshakes));
        }
    }
    assert!(runners.len() >= 8, "the provider has at least four suites");
    runners
}
