//! Welcomes that wait for a device.

use keyroom_api::{DeviceUri, MailboxPage};

use super::Delivery;
use crate::Refusal;

impl Delivery {
    /// What waits for the calling device, after a cursor.
    ///
    /// # Errors
    /// [`Refusal::NotOwn`].
    pub async fn mailbox(
        &self,
        caller: &DeviceUri,
        device: &DeviceUri,
        after: u64,
        limit: Option<usize>,
    ) -> Result<MailboxPage, Refusal> {
        self.own_device(caller, device)?;
        Ok(self.ledger.mailbox(device, self.page(after, limit)).await?)
    }

    /// Removes an item from the mailbox of the calling device: it is stored there. To remove what is
    /// not there succeeds.
    ///
    /// # Errors
    /// [`Refusal::NotOwn`].
    pub async fn acknowledge(&self, caller: &DeviceUri, device: &DeviceUri, sequence: u64) -> Result<(), Refusal> {
        self.own_device(caller, device)?;
        Ok(self.ledger.acknowledge(device, sequence).await?)
    }
}
