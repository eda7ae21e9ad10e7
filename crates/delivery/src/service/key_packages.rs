//! Key packages: validated on upload, claimed once.

use std::sync::Arc;

use keyroom_api::{DeviceClaim, DeviceUri, Stock, UserUri};

use super::{Delivery, compute};
use crate::{
    Claim, Claims, Invalid, JudgedKeyPackage, Owner, Publication, Published, Refusal, SignatureKey, Topic, Validator,
};

/// In seconds.
const HOUR: u64 = 3600;

impl Delivery {
    /// Publishes key packages of the calling device: all of them, or none if one is refused. Each must name
    /// the device and be signed with a key by which it is known.
    ///
    /// # Errors
    /// [`Refusal::InvalidElement`], [`Refusal::TooManyKeyPackages`], [`Refusal::NotOwn`].
    pub async fn publish_key_packages(
        &self,
        caller: &DeviceUri,
        device: &DeviceUri,
        messages: Vec<Vec<u8>>,
        publication: Publication,
    ) -> Result<Stock, Refusal> {
        self.own_device(caller, device)?;
        let now = self.seconds();
        let validator = self.validator.clone();
        let keys = self.accounts.keys(device).await?;
        let owner = device.clone();
        let checked = compute(move || {
            let judged = check_all(&validator, messages, now)?;
            let own = |(index, (judged, message)): (usize, (JudgedKeyPackage, Vec<u8>))| {
                check_owner(&judged.owner, &owner, &keys)
                    .map_err(|reason| Refusal::InvalidElement { index, reason })
                    .map(|()| (judged.checked, message))
            };
            judged.into_iter().enumerate().map(own).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        match self.ledger.publish(device, checked, publication, self.limits.key_packages, now).await? {
            Published::Stock(stock) => Ok(stock),
            Published::TooMany => Err(Refusal::TooManyKeyPackages),
        }
    }

    /// What the calling device has left.
    ///
    /// # Errors
    /// [`Refusal::NotOwn`].
    pub async fn stock(&self, caller: &DeviceUri, device: &DeviceUri) -> Result<Stock, Refusal> {
        self.own_device(caller, device)?;
        Ok(self.ledger.stock(device, self.seconds()).await?)
    }

    /// Claims one key package of every device of a user.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] if no device of the user has ever published; [`Refusal::TooManyClaims`] from a
    /// device that asks for the user again and again.
    pub async fn claim_key_packages(
        &self,
        caller: &DeviceUri,
        user: &UserUri,
        cipher_suite: u16,
    ) -> Result<Vec<DeviceClaim>, Refusal> {
        self.own_host(caller.host())?;
        self.own_host(user.host())?;
        let now = self.seconds();
        let (by, user, most) = (caller.clone(), user.clone(), self.limits.claims);
        let claims = match self.ledger.claim(Claim { by, user, cipher_suite, most, now }).await? {
            Claims::Given(claims) => claims,
            Claims::TooMany => return Err(Refusal::TooManyClaims { retry_after: HOUR - now % HOUR }),
        };
        if claims.is_empty() {
            return Err(Refusal::UnknownUser);
        }
        for claim in &claims {
            self.bus.publish(&Topic::KeyPackages(claim.device.clone()));
        }
        Ok(claims)
    }
}

fn check_all(
    validator: &Arc<dyn Validator>,
    messages: Vec<Vec<u8>>,
    now: u64,
) -> Result<Vec<(JudgedKeyPackage, Vec<u8>)>, Refusal> {
    let check = |(index, message): (usize, Vec<u8>)| match validator.key_package(&message, now) {
        Ok(checked) => Ok((checked, message)),
        Err(reason) => Err(Refusal::InvalidElement { index, reason }),
    };
    messages.into_iter().enumerate().map(check).collect()
}

/// A device that is known by no key is one for which something in front of the server vouches.
pub(super) fn check_owner(owner: &Owner, device: &DeviceUri, keys: &[SignatureKey]) -> Result<(), Invalid> {
    let Owner::Signed { device: named, signature_key } = owner else { return Ok(()) };
    if named.as_ref() != Some(device) {
        return Err(Invalid::ForeignCredential);
    }
    if keys.is_empty() || keys.iter().any(|key| key.public == *signature_key) {
        Ok(())
    } else {
        Err(Invalid::ForeignKey)
    }
}
