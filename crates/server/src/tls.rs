//! TLS: a certificate that can be exchanged while connections are open.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::serve::Listener;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::secret_file::{SecretFileError, check_secret_file};

/// Longest time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Most handshakes at once; who comes then waits to be accepted.
const HANDSHAKES: usize = 1_000;

/// What a server shows that it is itself, as files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and the root.
    pub certificate: PathBuf,
    /// Its private key, which only the owner of the file may read.
    pub key: PathBuf,
}

/// Why a certificate is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Others can read the key, or it is not there.
    #[error(transparent)]
    Key(#[from] SecretFileError),
    /// The file with the key holds none.
    #[error("{} holds no private key that TLS can use: give one in PEM, without a password", .0.display())]
    KeyForm(PathBuf),
    /// There is no certificate in the file.
    #[error("{} holds no certificate: give the chain in PEM, the server's own first", .0.display())]
    Certificate(PathBuf),
    /// The certificate is for another key.
    #[error("{} is not for the key in {}: give the two that belong together", .certificate.display(), .key.display())]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
}

impl TlsFiles {
    /// Reads the certificate chain.
    ///
    /// # Errors
    /// [`TlsError::Certificate`].
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let unread = || TlsError::Certificate(self.certificate.clone());
        let read = CertificateDer::pem_file_iter(&self.certificate).map_err(|_| unread())?;
        let chain = read.collect::<Result<Vec<_>, _>>().map_err(|_| unread())?;
        if chain.is_empty() { Err(unread()) } else { Ok(chain) }
    }

    /// Checks that both files are there, hold what they should, and belong together.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn check(&self) -> Result<(), TlsError> {
        self.load(&aws_lc_rs::default_provider()).map(|_| ())
    }

    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        check_secret_file(&self.key)?;
        let chain = self.chain()?;
        let key = read_key(&self.key)?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => TlsError::Certificate(self.certificate.clone()),
            _ => TlsError::KeyForm(self.key.clone()),
        })
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|_| TlsError::KeyForm(file.to_owned()))
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    pub(crate) fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = RwLock::new(Arc::new(files.load(&provider)?));
        Ok(Arc::new(Self { files, provider, current }))
    }

    /// Reads the files again, for connections that are opened from now on. If they are not good, the certificate
    /// stays as it was.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let next = Arc::new(self.files.load(&self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Accepts connections whose handshake is done. A slow one holds up nobody else.
pub(crate) struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, certificate: Arc<Certificate>) -> Result<Self, io::Error> {
        let provider = certificate.provider.clone();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), handshakes: JoinSet::new() })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            tokio::select! {
                (stream, address) = Listener::accept(&mut self.listener), if self.handshakes.len() < HANDSHAKES => {
                    let handshake = timeout(HANDSHAKE, self.acceptor.accept(stream));
                    self.handshakes.spawn(async move { Some((handshake.await.ok()?.ok()?, address)) });
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = done {
                        return accepted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
