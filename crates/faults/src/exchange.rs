//! Requests and answers, as the server's sockets saw them.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyroom_api::{Bundle as _, CommitBundle, EntryKind, Receipt};
use keyroom_wire::Limits;

use crate::history::{History, Mark, Outcome, Sent};
use crate::trace::{Call, Place, What};

/// A message that was sent to a room, and what the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The name of the room.
    pub room: String,
    /// What was sent.
    pub kind: EntryKind,
    /// The message.
    pub message: Vec<u8>,
    /// Where its first byte came in.
    pub asked: Place,
    /// The answer, if one was begun.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where its first byte went out.
    pub begun: Place,
    /// What the client was promised; `None` for a refusal.
    pub receipt: Option<Receipt>,
}

impl Exchange {
    /// What is found in a database only if the message is there: its last bytes, which are of a
    /// ciphertext or a tag.
    pub fn token(&self) -> &[u8] {
        &self.message[self.message.len().saturating_sub(32)..]
    }

    /// Where the answer began that promises something.
    pub fn acknowledged(&self) -> Option<Place> {
        self.answer.filter(|answer| answer.receipt.is_some()).map(|answer| answer.begun)
    }
}

/// All that was sent to rooms, in the order in which it came.
pub fn exchanges(calls: &[Call]) -> Vec<Exchange> {
    let mut lines: BTreeMap<&Arc<str>, Line> = BTreeMap::new();
    let mut found = Vec::new();
    for call in calls {
        match &call.what {
            What::Receive(socket, bytes) if !bytes.is_empty() => {
                let line = lines.entry(socket).or_default();
                if line.answered.is_some() {
                    found.extend(std::mem::take(line).exchange());
                }
                line.asked.get_or_insert(call.began);
                line.request.extend_from_slice(bytes);
            }
            What::Send(socket, bytes) => {
                let line = lines.entry(socket).or_default();
                line.answered.get_or_insert(call.began);
                line.answer.extend_from_slice(bytes);
            }
            _ => {}
        }
    }
    found.extend(lines.into_values().filter_map(Line::exchange));
    found.sort_by_key(|exchange| exchange.asked);
    found
}

/// What the clients of a room knew at a place of the trace.
pub fn history(exchanges: &[Exchange], room: &str, until: Place) -> History {
    let sent = exchanges.iter().filter(|exchange| exchange.room == room && exchange.asked < until);
    let sent = sent.map(|exchange| {
        let outcome = match exchange.answer.filter(|answer| answer.begun < until) {
            None => Outcome::Unknown,
            Some(Answer { receipt: None, .. }) => Outcome::Refused,
            Some(Answer { receipt: Some(receipt), begun }) => {
                Outcome::Acknowledged { sequence: receipt.sequence, ended: moment(begun) }
            }
        };
        let epoch = epoch(&exchange.message);
        Sent { kind: exchange.kind, epoch, mark: Mark::of(&exchange.message), began: moment(exchange.asked), outcome }
    });
    History { sent: sent.collect(), seen: Vec::new() }
}

fn moment(place: Place) -> u64 {
    place as u64
}

fn epoch(message: &[u8]) -> u64 {
    use keyroom_wire::{Decode as _, MlsMessage};
    match MlsMessage::from_bytes(message, &Limits::default()) {
        Ok(MlsMessage::PublicMessage(message)) => message.content.epoch,
        Ok(MlsMessage::PrivateMessage(message)) => message.epoch,
        other => panic!("a message of ours: {other:?}"),
    }
}

/// One request on a connection, with its answer.
#[derive(Default)]
struct Line {
    asked: Option<Place>,
    request: Vec<u8>,
    answered: Option<Place>,
    answer: Vec<u8>,
}

impl Line {
    /// `None` if it is about something else, or has not come in full.
    fn exchange(self) -> Option<Exchange> {
        let (head, body) = parts(&self.request)?;
        let path = head.strip_prefix("POST /v1/rooms/")?.split(' ').next()?;
        let (room, kind, message) = match path.split_once('/')? {
            (room, "messages") => (room, EntryKind::Application, body.to_vec()),
            (room, "commits") => {
                (room, EntryKind::Commit, CommitBundle::from_bytes(body, &Limits::default()).ok()?.commit)
            }
            _ => return None,
        };
        let answer = self.answered.map(|begun| Answer { begun, receipt: receipt(&self.answer) });
        Some(Exchange { room: room.to_owned(), kind, message, asked: self.asked?, answer })
    }
}

/// What the head of an answer and its body promise. An answer of which only a part was sent when the trace
/// ended is one all the same if it begins like one: then its number is not known, and 0 is no number.
fn receipt(answer: &[u8]) -> Option<Receipt> {
    if !answer.starts_with(b"HTTP/1.1 2") {
        return None;
    }
    let unknown = Receipt { sequence: 0, epoch: 0, accepted_at: 0 };
    Some(parts(answer).and_then(|(_, body)| serde_json::from_slice(body).ok()).unwrap_or(unknown))
}

fn parts(message: &[u8]) -> Option<(&str, &[u8])> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&message[..end]).ok()?, &message[end + 4..]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn request(message: &[u8]) -> What {
        let head = format!("POST /v1/rooms/one/messages HTTP/1.1\r\ncontent-length: {}\r\n\r\n", message.len());
        What::Receive("socket:[1]".into(), [head.as_bytes(), message].concat())
    }

    pub(crate) fn answer(sequence: u64) -> What {
        let body = format!(r#"{{"sequence":{sequence},"epoch":0,"accepted_at":1}}"#);
        What::Send("socket:[1]".into(), format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes())
    }

    pub(crate) fn calls(all: impl IntoIterator<Item = What>) -> Vec<Call> {
        all.into_iter().enumerate().map(|(at, what)| Call { began: at, ended: at, what }).collect()
    }

    #[test]
    fn an_answer_belongs_to_the_request_before_it_on_the_same_connection() {
        let socket: Arc<str> = "socket:[1]".into();
        let conflict = What::Send(socket.clone(), b"HTTP/1.1 409 Conflict\r\n\r\n{}".to_vec());
        let other = What::Receive("socket:[2]".into(), b"GET /v1/server HTTP/1.1\r\n\r\n".to_vec());
        let What::Receive(_, third) = request(b"third") else { panic!("it is one") };
        let (first, rest) = third.split_at(20);
        let parts = [first, rest].map(|part| What::Receive(socket.clone(), part.to_vec()));
        let [begin, end] = parts;
        let calls = calls([request(b"first"), other, answer(7), request(b"second"), conflict, begin, end]);
        let found = exchanges(&calls);
        let seen: Vec<_> = found.iter().map(|e| (e.message.as_slice(), e.asked, e.answer)).collect();
        let receipt = Receipt { sequence: 7, epoch: 0, accepted_at: 1 };
        let expected = [
            (b"first".as_slice(), 0, Some(Answer { begun: 2, receipt: Some(receipt) })),
            (b"second", 3, Some(Answer { begun: 4, receipt: None })),
            (b"third", 5, None),
        ];
        assert_eq!(seen, expected);
    }
}
