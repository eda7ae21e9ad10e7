//! Messaging Layer Security (RFC 9420) as a pure function of state, input, entropy and time.
//!
//! Nothing here reads a clock, draws randomness, waits, or touches a file or a socket. State, bytes,
//! entropy and time go in; messages to send, events to show and [changes to store](record::ChangeSet)
//! come out. A [`Group`](group::Group) is a member's view, a [`PublicGroup`](public::PublicGroup)
//! that of a server or another observer.
//!
//! * A commit is made or received as a value that owns the next epoch. It takes effect with
//!   [`apply`](group::Group::apply); dropping it is the rollback.
//! * Who must be judged (credentials, policies) comes with that value as [`Questions`]; `apply`
//!   takes the [`Verdict`], which only an answer to exactly those questions can make.
//! * What is encrypted spends its key at once: store the change set before the message leaves.
//!   A message that fails to be read leaves the state as it was, to the byte.
//! * A stored group is a small head plus records. An operation that lacks one returns
//!   [`Missing`](record::Missing) before it does any work; [`supply`](group::Group::supply) it and
//!   call again.
//!
//! [`Questions`]: identity::Questions
//! [`Verdict`]: identity::Verdict
//!
//! Modules follow the chapters of the RFC: [`tree`] (§4, §7), [`public_message`] and
//! [`private_message`] (§6), [`key_schedule`], [`psk`] and [`transcript`] (§8), [`secret_tree`] (§9),
//! [`key_package`] (§10), [`group`] (§11, §12.4), [`proposals`] (§12.1 to §12.3), [`extension`] (§13).
//!
//! ```
//! use std::sync::Arc;
//! use keyroom_crypto::{CryptoRng, Provider};
//! use keyroom_mls::config::{Config, Inputs};
//! use keyroom_mls::group::{Applied, Founder, Group, JoinOptions, Received};
//! use keyroom_mls::key_package::KeyPackageBuilder;
//! use keyroom_mls::leaf_node::lifetime_from;
//! use keyroom_rustcrypto::RUSTCRYPTO;
//! use keyroom_wire::{CipherSuite, Credential, Extensions, GroupId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = keyroom_vectors::rng(1);
//! let suite = RUSTCRYPTO.suite(CipherSuite(1))?;
//! let (config, inputs) = (Arc::new(Config::default()), Inputs::at(1_800_000_000));
//! let client = |name: &str, rng: &mut dyn CryptoRng| {
//!     let signer = suite.signer(suite.generate_signature_key(rng)?.expose())?;
//!     let lifetime = lifetime_from(inputs.now, 3600);
//!     let bundle = KeyPackageBuilder::new(suite, Credential::basic(name.as_bytes()), lifetime)
//!         .build(signer.as_ref(), rng)?;
//!     Ok::<_, Box<dyn std::error::Error>>((signer, bundle))
//! };
//! let (alice_key, founder) = client("alice", &mut rng)?;
//! let (_, bob) = client("bob", &mut rng)?;
//!
//! let founder = Founder { bundle: founder, group_id: GroupId::from(&b"room"[..]), extensions: Extensions::new() };
//! let (mut alice, _stored) = Group::create(suite, founder, config.clone(), &inputs, &mut rng)?;
//! let (pending, _stored) =
//!     alice.commit().add(bob.key_package.clone()).build(alice_key.as_ref(), &inputs, &mut rng)?;
//! // The application judges what the commit does, and sends it.
//! let verdict = pending.questions().accept_unseen();
//! let _commit = pending.message(&verdict)?;
//! // The Delivery Service has accepted it: now it takes effect, and the Welcome may leave.
//! let (Applied::Epoch { admission, .. }, _stored) = alice.apply(pending.into_staged(), &verdict)? else {
//!     return Err("a new epoch was expected".into());
//! };
//! let welcome = admission.welcome.ok_or("a Welcome")?;
//!
//! let joining = Group::join(suite, &welcome, &JoinOptions::new(&[bob]), config, &inputs, &mut rng)?;
//! let verdict = joining.questions().accept_unseen();
//! let (mut bob, _stored) = joining.accept(&verdict)?;
//!
//! let out = alice.encrypt(b"hello", b"", alice_key.as_ref(), &mut rng)?;
//! let Received::Application { data, .. } = bob.process(&out.message, &inputs)?.received else {
//!     return Err("application data was expected".into());
//! };
//! assert_eq!(data, b"hello");
//! # Ok(())
//! # }
//! ```
#![no_std]

extern crate alloc;

pub mod config;
pub mod counts;
pub mod error;
pub mod extension;
pub mod fingerprint;
mod framing;
pub mod group;
pub mod identity;
pub mod key_index;
pub mod key_package;
pub mod key_schedule;
pub mod leaf_node;
pub mod padding;
pub mod private_message;
pub mod proposals;
pub mod psk;
pub mod public;
pub mod public_message;
pub mod record;
pub mod secret_tree;
pub mod transcript;
pub mod tree;
