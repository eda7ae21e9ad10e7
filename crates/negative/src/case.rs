//! The format of a case. `vectors/negative/README.md` describes it for others.

use keyroom_vectors::Hex;
use serde::{Deserialize, Serialize};

/// One case: a reader, a bad message and a good one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Row of the checklist in `conformance/`.
    pub row: u16,
    /// What is wrong with the bad message.
    pub description: String,
    /// The stable code of the error that Keyroom gives.
    pub error: String,
    /// How the reader comes into the group, as in the official passive-client vectors.
    #[serde(flatten)]
    pub opening: Opening,
    /// Messages that the reader accepts before the bad one and before its twin.
    pub before: Vec<Hex>,
    pub bad: Bad,
    pub twin: Twin,
}

/// A passive client and its way into the group: the fields of the official vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub cipher_suite: u16,
    pub external_psks: Vec<ExternalPsk>,
    /// An MLSMessage.
    pub key_package: Hex,
    pub signature_priv: Hex,
    pub encryption_priv: Hex,
    pub init_priv: Hex,
    /// An MLSMessage.
    pub welcome: Hex,
    pub ratchet_tree: Option<Hex>,
    pub initial_epoch_authenticator: Hex,
    pub epochs: Vec<Epoch>,
}

/// A pre-shared key that the reader holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalPsk {
    pub psk_id: Hex,
    pub psk: Hex,
}

/// A commit with the proposals that it names, and the epoch it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    pub proposals: Vec<Hex>,
    pub commit: Hex,
    pub epoch_authenticator: Hex,
}

/// What the message is, and so what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Joins anew, in place of the case's own Welcome; nothing comes before.
    Welcome,
    Commit,
    Proposal,
    Application,
    /// A key package that the reader is to add to its group.
    KeyPackage,
    /// A second Welcome for the key package with which the reader has come into its group.
    SecondWelcome,
    /// A Welcome into what succeeds the reader's group.
    Successor,
    /// A GroupInfo from which the reader is to join from outside.
    GroupInfo,
}

/// A message, and proposals that go before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    pub kind: Kind,
    /// Of these and the message, one must be refused.
    pub proposals: Vec<Hex>,
    /// An MLSMessage.
    pub message: Hex,
    /// The tree beside a Welcome.
    pub ratchet_tree: Option<Hex>,
}

/// The good message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    pub kind: Kind,
    pub proposals: Vec<Hex>,
    pub message: Hex,
    pub ratchet_tree: Option<Hex>,
    /// Of the epoch that the reader is in afterwards.
    pub epoch_authenticator: Hex,
}

impl Twin {
    /// The message apart from what it leads to.
    pub fn message(&self) -> Bad {
        let Self { kind, proposals, message, ratchet_tree, .. } = self.clone();
        Bad { kind, proposals, message, ratchet_tree }
    }
}
