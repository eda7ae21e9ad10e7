//! The own certificate: from an Authentication Service, in time.

use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{DeviceUri, RoomUri};
use keyroom_crypto::{Signer, Suite};
use keyroom_store::{Store, Transaction};
use keyroom_wire::Credential;
use tokio::time::Instant;

use super::{Driver, Incoming};
use crate::identity::{Applicant, Enrolment, renewal};
use crate::rows::{self, Outgoing, Phase};
use crate::slot::{LONGEST_PAUSE, PAUSE};
use crate::transport::Request;
use crate::{Error, context, stock};

/// A clock may be set; further ahead than this, nothing is planned.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// An authority whose certificates are old when they come is not asked without pause.
const LEAST: Duration = Duration::from_secs(60);

/// Where certificates come from, and when the next one is asked for.
pub(crate) struct Renewal {
    enrolment: Arc<dyn Enrolment>,
    applicant: Applicant,
    pub(super) due: Option<Instant>,
    asking: bool,
    pause: Duration,
    /// The server has key packages with an older certificate.
    pub(super) stale: bool,
    /// It has been asked to replace them.
    pub(super) replacing: bool,
}

/// The credential with which a device begins: the stored one, or else a new one, which must come before anything else.
pub(super) async fn begin(
    store: &dyn Store,
    device: &DeviceUri,
    suite: &dyn Suite,
    signer: &dyn Signer,
    enrolment: Option<Arc<dyn Enrolment>>,
) -> Result<(Credential, Option<Renewal>), Error> {
    let Some(enrolment) = enrolment else { return Ok((device.credential(), None)) };
    let signature_key = signer.public_key().as_slice().to_vec();
    let applicant = Applicant { device: device.clone(), cipher_suite: suite.cipher_suite().0, signature_key };
    let credential = match context::stored_credential(store)? {
        Some(credential) => credential,
        None => {
            let credential = enrolment.credential(&applicant).await?;
            check(&credential, &applicant)?;
            context::store_credential(store, &credential)?;
            credential
        }
    };
    let stale = store.row(&rows::stale_stock_key())?.is_some();
    let (asking, replacing) = (false, false);
    Ok((credential, Some(Renewal { enrolment, applicant, due: None, asking, pause: PAUSE, stale, replacing })))
}

/// An authority that makes a mistake would cost all rooms of this device.
fn check(credential: &Credential, applicant: &Applicant) -> Result<(), Error> {
    let named = keyroom_authority::device_of(credential);
    if named.as_ref() == Some(&applicant.device) { Ok(()) } else { Err(Error::Answer) }
}

impl Driver {
    /// Sets the time at which the next certificate is asked for, not before `least` from now.
    pub(super) fn plan_renewal(&mut self, least: Duration) {
        let Some(renewal) = &mut self.renewal else { return };
        let credential = self.context.credential();
        let wait = self::renewal(&credential).map(|at| Duration::from_secs(at.saturating_sub(self.env.now())));
        renewal.due = wait.map(|wait| Instant::now() + wait.min(FAR).max(least));
    }

    /// Asks for a certificate if it is time.
    pub(super) fn renew_as_due(&mut self, now: Instant) {
        let Some(renewal) = &mut self.renewal else { return };
        if renewal.asking || renewal.due.is_none_or(|due| due > now) {
            return;
        }
        renewal.due = None;
        if self::renewal(&self.context.credential()).is_some_and(|at| at > self.env.now()) {
            return self.plan_renewal(Duration::ZERO);
        }
        renewal.asking = true;
        let (enrolment, applicant, answers) =
            (renewal.enrolment.clone(), renewal.applicant.clone(), self.answers.clone());
        tokio::spawn(async move {
            let credential = enrolment.credential(&applicant).await;
            let _ = answers.send(Incoming::Credential(credential));
        });
    }

    /// A certificate has come: rooms and key packages get it.
    pub(super) fn renewed(&mut self, answer: Result<Credential, Error>) {
        let Some(renewal) = &mut self.renewal else { return };
        renewal.asking = false;
        let taken = answer.and_then(|credential| {
            check(&credential, &renewal.applicant)?;
            context::store_credential(self.context.store.as_ref(), &credential)?;
            Ok(credential)
        });
        match taken {
            Ok(credential) => {
                renewal.pause = PAUSE;
                // What is on its way has the certificate before this one.
                (renewal.stale, renewal.replacing) = (true, false);
                self.context.renew(credential);
                self.plan_renewal(LEAST);
                self.ask_stock(Request::Stock);
                self.rooms.values_mut().for_each(|slot| slot.shown = None);
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate was not renewed");
                renewal.due = Some(Instant::now() + renewal.pause);
                renewal.pause = renewal.pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Looks, once in each epoch and only while the room has nothing else to do, whether others see the own
    /// credential as it is now: not if it was renewed, or if somebody has added this device with an older one.
    /// Whether there is something to send now.
    pub(super) fn heed_credential(&mut self, uri: &RoomUri) -> bool {
        let Some(slot) = self.rooms.get_mut(uri).filter(|_| self.renewal.is_some()) else { return false };
        let idle = slot.room.phase() == Phase::Active && slot.room.is_idle();
        // It is read from the store once, however quiet the room is.
        if !idle || (slot.shown.is_some() && slot.shown == slot.room.loaded_epoch()) {
            return false;
        }
        let shown = self.step(uri, |room| {
            let shown = room.shows_credential()?;
            if !shown {
                room.change([Outgoing::Rotate])?;
            }
            Ok((shown, room.loaded_epoch()))
        });
        match shown {
            Ok((shown, epoch)) => {
                if let Some(slot) = self.rooms.get_mut(uri) {
                    slot.shown = epoch;
                }
                !shown
            }
            // The room is read again, and this with it.
            Err(error) => {
                tracing::debug!(%error, "the new certificate is not in a room yet");
                false
            }
        }
    }

    /// The server has answered about key packages. Whether it was asked to replace old ones now, which comes first.
    pub(super) fn replaces_stock(&mut self) -> Result<bool, Error> {
        let Some(renewal) = self.renewal.as_mut().filter(|renewal| renewal.stale) else { return Ok(false) };
        if renewal.replacing {
            self.context.store.apply(Transaction::new().delete(rows::stale_stock_key()))?;
            (renewal.stale, renewal.replacing) = (false, false);
            return Ok(false);
        }
        let key_packages = stock::fill(&self.context, &self.full_stock(), &mut self.env)?;
        if let Some(renewal) = &mut self.renewal {
            renewal.replacing = true;
        }
        self.ask_stock(Request::Replace { key_packages });
        Ok(true)
    }
}
