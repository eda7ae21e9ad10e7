//! The client's end of live delivery.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use keyroom_wire::Limits;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use zeroize::Zeroizing;

use super::{ClientError, to_json};
use crate::{Bundle, LiveEvent, LiveRequest, Problem, RoomUri, Token};

/// What is read at once. The buffer is cleared for every read, so a large one costs time, too.
const READ_BUFFER: usize = 16 << 10;

/// What is left to a frame that came while nobody asked for it, and is found once somebody does.
const GRACE: Duration = Duration::from_secs(1);

/// Live delivery to one device.
///
/// The server says something at least every 30 seconds. A connection on which nothing came for
/// [so long](super::Connection::silence) counts as broken, whatever the network says: the other end may be gone
/// without a word.
///
/// Keep the cursors (the last sequence number of each room and of the mailbox) with what they stand
/// for; after a break, or when the session is over, open another one and subscribe from them.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    limits: Limits,
    silence: Duration,
    /// When something came last.
    heard: Instant,
}

impl Live {
    pub(super) async fn open(
        base: &str,
        token: Option<&Token>,
        limits: Limits,
        silence: Duration,
    ) -> Result<Self, ClientError> {
        // http becomes ws, https becomes wss.
        let rest = base.strip_prefix("http").ok_or(ClientError::Address)?;
        let url = format!("ws{rest}/v1/live");
        let mut request = url.into_client_request().map_err(|_| ClientError::Address)?;
        if let Some(token) = token {
            let text = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Malformed)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.message))
            .max_frame_size(Some(limits.message))
            .read_buffer_size(READ_BUFFER);
        let opening = tokio_tungstenite::connect_async_with_config(request, Some(config), true);
        let opened = timeout(silence, opening).await.map_err(|_| ClientError::Unavailable)?;
        let (socket, _) = opened.map_err(|error| refused(&error))?;
        Ok(Self { socket, limits, silence, heard: Instant::now() })
    }

    /// Asks for a room's log after a cursor; 0 for all of it.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] if the connection broke. A refusal comes from [`next`](Self::next).
    pub async fn subscribe(&mut self, room: &RoomUri, after: u64) -> Result<(), ClientError> {
        self.request(&LiveRequest::Subscribe { room: room.name().clone(), after }).await
    }

    /// Asks for nothing more of a room. Entries that are on their way still come.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`].
    pub async fn unsubscribe(&mut self, room: &RoomUri) -> Result<(), ClientError> {
        self.request(&LiveRequest::Unsubscribe { room: room.name().clone() }).await
    }

    /// Asks for the device's mailbox after a cursor, and for word when its key packages run low.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`].
    pub async fn mailbox(&mut self, after: u64) -> Result<(), ClientError> {
        self.request(&LiveRequest::Mailbox { after }).await
    }

    /// Waits for the next event; `None` once the server has closed the connection. It can be cancelled
    /// without losing one.
    ///
    /// # Errors
    /// [`ClientError::Problem`] when the server refuses a request, the connection goes on;
    /// [`ClientError::Unavailable`] when it broke, or nothing came for too long.
    pub async fn next(&mut self) -> Result<Option<LiveEvent>, ClientError> {
        while let Some(message) = self.message().await? {
            match message {
                Message::Binary(bytes) => return Ok(Some(LiveEvent::from_bytes(&bytes, &self.limits)?)),
                Message::Text(text) => {
                    let problem: Problem = serde_json::from_str(&text).map_err(|_| ClientError::Malformed)?;
                    return Err(ClientError::Problem(Box::new(problem)));
                }
                Message::Close(_) => return Ok(None),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Ok(None)
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] if it was broken.
    pub async fn close(mut self) -> Result<(), ClientError> {
        self.socket.close(None).await.map_err(|_| ClientError::Unavailable)
    }

    async fn message(&mut self) -> Result<Option<Message>, ClientError> {
        let end = (self.heard + self.silence).max(Instant::now() + GRACE.min(self.silence));
        let message = timeout_at(end, self.socket.next()).await.map_err(|_| ClientError::Unavailable)?;
        self.heard = Instant::now();
        message.transpose().map_err(|_| ClientError::Unavailable)
    }

    async fn request(&mut self, request: &LiveRequest) -> Result<(), ClientError> {
        let text = String::from_utf8(to_json(request)?).map_err(|_| ClientError::Malformed)?;
        let sent = timeout(self.silence, self.socket.send(Message::text(text))).await;
        sent.map_err(|_| ClientError::Unavailable)?.map_err(|_| ClientError::Unavailable)
    }
}

/// What the server says instead of changing to WebSocket.
fn refused(error: &tungstenite::Error) -> ClientError {
    let tungstenite::Error::Http(response) = error else { return ClientError::Unavailable };
    let body = response.body().as_deref().unwrap_or_default();
    serde_json::from_slice(body).map_or(ClientError::Unavailable, |problem| ClientError::Problem(Box::new(problem)))
}
