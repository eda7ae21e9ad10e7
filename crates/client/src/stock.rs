//! Key packages: private keys kept here, public halves published.

use keyroom_mls::key_package::{BuildError, KeyPackageBuilder, KeyPackageBundle, KeyPackageUse};
use keyroom_mls::leaf_node::{capabilities_for, lifetime_from};
use keyroom_store::{RowKey, Transaction};
use keyroom_wire::{CredentialType, Decode as _, Encode as _, Limits, MlsMessage, ProposalType};

use crate::context::{Context, Env};
use crate::rows::KEY_PACKAGES;
use crate::{Error, Usage};

/// How long a key package can be used, in seconds: 90 days.
const LIFETIME: u64 = 90 * 24 * 3600;

/// How often a key package may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OneTime,
    LastResort,
}

/// Makes a key package of this device.
pub(crate) fn make(context: &Context, kind: Kind, env: &mut Env) -> Result<KeyPackageBundle, Error> {
    let kind = match kind {
        Kind::OneTime => KeyPackageUse::Once,
        Kind::LastResort => KeyPackageUse::LastResort,
    };
    let mut capabilities =
        capabilities_for([context.suite.cipher_suite()], [CredentialType::BASIC, CredentialType::X509]);
    capabilities.proposals.push(ProposalType::SELF_REMOVE);
    KeyPackageBuilder::new(context.suite, context.credential(), lifetime_from(env.now(), LIFETIME))
        .capabilities(capabilities)
        .usable(kind)
        .build(context.signer.as_ref(), &mut env.rng)
        .map_err(unmade)
}

/// Makes key packages and stores their private keys; what is returned is to be published.
pub(crate) fn fill(context: &Context, kinds: &[Kind], env: &mut Env) -> Result<Vec<Vec<u8>>, Error> {
    let mut change = Transaction::new();
    let mut messages = Vec::new();
    for kind in kinds {
        let bundle = make(context, *kind, env)?;
        change = change.put(key(bundle.reference(context.suite).as_slice()), bundle.encode());
        messages.push(MlsMessage::KeyPackage(bundle.key_package).to_bytes());
    }
    context.store.apply(change)?;
    Ok(messages)
}

/// The own key package that a Welcome names, if it is still there.
pub(crate) fn bundle_of(context: &Context, welcome: &[u8]) -> Result<Option<(RowKey, KeyPackageBundle)>, Error> {
    let message = MlsMessage::from_bytes(welcome, &Limits::default());
    let Ok(MlsMessage::Welcome(welcome)) = message else { return Err(Error::Answer) };
    for entry in &welcome.secrets {
        let key = key(entry.new_member.as_slice());
        if let Some(row) = context.store.row(&key)? {
            let bundle = KeyPackageBundle::decode(&row).map_err(|_| Error::Corrupt)?;
            return Ok(Some((key, bundle)));
        }
    }
    Ok(None)
}

fn unmade(error: BuildError) -> Error {
    match error {
        BuildError::Crypto(error) => Error::Protocol(error.into()),
        BuildError::Invalid(rule) => Error::Protocol(rule.into()),
        // What it cannot make today is for a suite or credential that it does not have.
        _ => Usage::CipherSuite.into(),
    }
}

fn key(reference: &[u8]) -> RowKey {
    RowKey::new(KEY_PACKAGES, reference)
}
