//! Whose certificates count, where a deployment has an Authentication Service.

use std::sync::{Arc, PoisonError, RwLock};

use keyroom_authority::{Authorities, Identity, Verified};
use keyroom_mls::identity::{Member, Question, Questions};
use keyroom_wire::{Credential, SignaturePublicKey};

use crate::validator::Invalid;

/// The judgement of identities by a server. It is trusted with none of them: members verify for themselves. But it
/// takes each handshake once, so that it can refuse what has lapsed for all of them alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identities(Option<Arc<RwLock<Authorities>>>);

impl Identities {
    /// Everybody is to have a certificate of these.
    pub(crate) fn of(authorities: Arc<RwLock<Authorities>>) -> Self {
        Self(Some(authorities))
    }

    /// Judges whoever comes in, or shows a new credential: their certificates must be good now.
    pub(crate) fn check(&self, credential: &Credential, key: &SignaturePublicKey, now: u64) -> Result<(), Invalid> {
        self.good(credential, key, now).map(drop)
    }

    /// Judges all that an epoch asks. Of those who were there before, the chain alone counts: they may have been away.
    pub(crate) fn check_all(&self, questions: &Questions, now: u64) -> Result<(), Invalid> {
        if self.0.is_none() {
            return Ok(());
        }
        for question in questions.iter() {
            match question {
                Question::Present(member) => drop(self.identity(member, now)?),
                Question::Joins(member) => drop(self.newcomer(member, now)?),
                Question::Changes { old, new } | Question::Rejoins { old, new } => {
                    let identities = (self.identity(old, now)?, self.newcomer(new, now)?);
                    if !matches!(identities, (Some(old), Some(new)) if old.is_same_client(&new)) {
                        return Err(Invalid::ForeignCredential);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn newcomer(&self, member: &Member, now: u64) -> Result<Option<Identity>, Invalid> {
        let credential = member.credential().map_err(|_| Invalid::Malformed)?;
        self.good(&credential, &member.signature_key(), now)
    }

    fn good(&self, credential: &Credential, key: &SignaturePublicKey, now: u64) -> Result<Option<Identity>, Invalid> {
        match self.verify(credential, key, now)? {
            Some(Verified { lapse: Some(lapse), .. }) => Err(Invalid::Lapsed(lapse)),
            verified => Ok(verified.map(|verified| verified.identity)),
        }
    }

    fn identity(&self, member: &Member, now: u64) -> Result<Option<Identity>, Invalid> {
        let credential = member.credential().map_err(|_| Invalid::Malformed)?;
        Ok(self.verify(&credential, &member.signature_key(), now)?.map(|verified| verified.identity))
    }

    fn verify(&self, credential: &Credential, key: &SignaturePublicKey, now: u64) -> Result<Option<Verified>, Invalid> {
        let Some(authorities) = &self.0 else { return Ok(None) };
        let authorities = authorities.read().unwrap_or_else(PoisonError::into_inner);
        authorities.verify(credential, key.as_slice(), now).map(Some).map_err(Invalid::Credential)
    }
}
