//! A relay that counts what goes over the wire.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Passes every byte between the clients and the server, and counts it.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to the server at `server`, on a free port.
    pub(super) async fn start(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Self { address: listener.local_addr()?, bytes: Arc::default() };
        let bytes = relay.bytes.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, bytes.clone()));
            }
        });
        Ok(relay)
    }

    /// The address for clients.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes so far, both ways, with all headers.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: SocketAddr, bytes: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Small messages go out at once.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::join!(copy(client_in, server_out, &bytes), copy(server_in, client_out, &bytes));
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, bytes: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(piece) = buffer.get(..length) else { break };
        if to.write_all(piece).await.is_err() {
            break;
        }
        bytes.fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::SeqCst);
    }
    let _ = to.shutdown().await;
}
