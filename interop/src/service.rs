//! The network around [`Actors`]: one call after the other, on a thread that may take its time.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request as HttpRequest, Response as HttpResponse};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::{Actors, Failure};

/// Longest message in bytes that is taken or sent. A tree of ten thousand members fits.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// The gRPC service. Clones share the actors.
#[derive(Clone, Debug)]
pub struct Service {
    actors: Arc<Mutex<Actors>>,
}

impl Service {
    /// Puts actors behind the network.
    pub fn new(actors: Actors) -> Self {
        Self { actors: Arc::new(Mutex::new(actors)) }
    }

    /// Answers calls on a socket for ever.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder().add_service(self).serve_with_incoming(incoming).await.map_err(std::io::Error::other)
    }

    /// Decodes a request, calls, and encodes the answer.
    pub(crate) async fn answer<Q, A>(
        &self,
        request: HttpRequest<Body>,
        call: fn(&mut Actors, Q) -> Result<A, Failure>,
    ) -> HttpResponse<Body>
    where
        Q: prost::Message + Default + Send + 'static,
        A: prost::Message + Send + 'static,
    {
        let service = self.clone();
        let handler = tower::service_fn(move |request: Request<Q>| {
            let service = service.clone();
            async move { service.run(move |actors| call(actors, request.into_inner())).await.map(Response::new) }
        });
        let codec = ProstCodec::<A, Q>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(MOST_BYTES).max_encoding_message_size(MOST_BYTES);
        grpc.unary(handler, request).await
    }

    /// Runs one call where it may block. A panic ends the call and nothing else: the lock that it
    /// leaves poisoned is taken all the same, and whoever was not part of the call is untouched.
    async fn run<A: Send + 'static>(
        self,
        call: impl FnOnce(&mut Actors) -> Result<A, Failure> + Send + 'static,
    ) -> Result<A, Status> {
        let work = move || call(&mut self.actors.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(Status::internal(format!("the call was broken off: {error}"))),
        }
    }
}

impl NamedService for Service {
    const NAME: &'static str = "mls_client.MLSClient";
}

impl tower::Service<HttpRequest<Body>> for Service {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.dispatch(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use keyroom_rustcrypto::RUSTCRYPTO;
    use tonic::Code;

    use super::*;
    use crate::Setup;
    use crate::messages::NameRequest;

    #[tokio::test]
    async fn a_panic_ends_its_call_and_no_other() {
        let service = Service::new(Actors::new(Setup::new(&RUSTCRYPTO)));
        let broken = service.clone().run(|_| -> Result<(), Failure> { panic!("out of luck") }).await.unwrap_err();
        assert_eq!(broken.code(), Code::Internal);
        assert!(broken.message().contains("out of luck"), "{}", broken.message());
        let name = service.run(|actors| actors.name(NameRequest {})).await.unwrap();
        assert_eq!(name.name, "Keyroom");
    }
}
